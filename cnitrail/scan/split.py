"""Split a text of any layout into its items, by brackets and strings alone.

Only one item is kept in memory, so a document may have any size; a broken item does not affect the others.
"""

import json
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cnitrail.scan.containers import PIECE, TornStream

RECORD_LIMIT = 64 * 1024 * 1024
"""Maximum size of a record in bytes; CloudTrail's own limit is 256 KB."""

_REREAD_LIMIT = 8 * PIECE
"""Budget in bytes for reading broken items again, to find the items in them. Beyond it, what a broken item
contains is lost, unless the text ends in it."""


class Item(Struct, frozen=True):
    """A JSON value; ``container`` is the key of the list that it is an element of, if there is one.

    ``log_group`` is the log group of CloudWatch Logs that a subscription names before the list.
    """

    text: bytes
    container: str | None = None
    log_group: str | None = None


class UnreadableSpan(Struct, frozen=True):
    """A part of the text between or around the records that cannot be read.

    A message has the beginning of ``text`` after the reason, unless that may hold secrets.
    """

    reason: str
    text: bytes = b""
    after: str = ""


_SPACE = re.compile(rb"[ \t\r\n,]*+")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}]*+")
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\]]*+')
_RUN = re.compile(rb"[{\[]++|[}\]]++")
_CLOSING = re.compile(rb"[ \t\r\n,\]}]*+")
_ARRAY_FOLLOWS = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+\[")
_BEGINNING = re.compile(
    rb'(?:"(?:Records|Events)"\s*+:\s*+\[|[,}\]\n])\s*+(?=\{\s*+"(?:eventVersion|EventId|AccessKeyId)"\s*+:)'
    rb"|\n(?=\{)"
)
"""Where an item may begin: after another item, or at the beginning of an envelope or a line. Never as the
value of a key, because a request may contain anything."""


_LOG_GROUP = b'"logGroup"'
"""The key of the name of a log group in the messages of a subscription filter."""

_LONGEST_KEY = 64
"""Bytes in which the first key of a record ends, white space included."""


def split_items(chunks: Iterator[bytes], containers: Iterable[str]) -> Iterator[Item | UnreadableSpan]:
    """Yield the items of a document: the elements of containers or of a bare array, or the lines.

    ``containers`` are keys of an outermost object that have a list of items.
    """
    splitter = _Splitter(chunks, containers)
    for found in splitter.items():
        yield (
            found
            if isinstance(found, UnreadableSpan)
            else Item(found, splitter.container, splitter.log_group)
        )


class _Splitter:
    """Splits a stream of JSON into its items by brackets and strings alone.

    ``data[start:]`` has not been yielded yet: while an item is open, it begins there. ``pos`` is how far
    it has been scanned.
    """

    def __init__(self, chunks: Iterator[bytes], containers: Iterable[str]) -> None:
        self.container: str | None = None
        """The key of the list that the last item was an element of."""
        self.log_group: str | None = None
        """The log group that the object around the list names."""
        self._names_group = False
        self._containers = {f'"{key}"'.encode(): key for key in containers}
        self._chunks = filter(None, chunks)
        self._data = b""
        self._start = 0
        self._pos = 0
        self._torn: str | None = None
        self._reread = 0

    def items(self) -> Iterator[bytes | UnreadableSpan]:
        """Yield every item, and what cannot be read between them, in order."""
        in_array = False
        while (byte := self._next_byte()) is not None:
            if byte in b"{[" and (in_array or byte == b"{"):
                self.log_group = None
                yield from self._item(top_level=not in_array)
            elif byte in b"[]" and in_array == (byte == b"]"):
                in_array = not in_array
                self._cut(self._start + 1)
            elif in_array or self._data.startswith(b'"{', self._start):
                yield self._stray()
            else:
                yield self._stray_lines()
        if self._torn:
            yield UnreadableSpan(self._torn)
        elif in_array:
            yield UnreadableSpan("the JSON ends before its array is closed")

    def _more(self) -> bool:
        """Append the next chunk; return False at the end of the stream, or if it is torn."""
        if self._torn is not None:
            return False
        try:
            chunk = next(self._chunks, b"")
        except TornStream as error:
            self._torn = str(error)
            return False
        self._data = self._data[self._start :] + chunk
        self._pos -= self._start
        self._start = 0
        return bool(chunk)

    def _cut(self, end: int) -> bytes:
        """Return what is before ``end``, and go on after it."""
        taken = self._data[self._start : end]
        self._start = self._pos = end
        return taken

    def _open(self) -> int:
        """Return the number of bytes that have not been yielded yet."""
        return len(self._data) - self._start

    def _next_byte(self) -> bytes | None:
        """Skip white space and commas, and return the next byte; None at the end."""
        while True:
            self._start = self._pos = _end(_SPACE, self._data, self._start)
            if self._open():
                return self._data[self._start : self._start + 1]
            if not self._more():
                return None

    def _stray(self) -> bytes:
        """Return an element that is not an object; of a long one, its beginning.

        If a string ends where a key of a record begins, damage has shifted the quotes: the record is kept.
        """
        if not self._data.startswith(b'"', self._start):
            while (end := _end(_SCALAR, self._data, self._start)) == len(self._data):
                if self._open() > PIECE or not self._more():
                    break
            return self._cut(max(end, self._start + 1))
        beginning = b""
        while (string := _STRING.match(self._data, self._start)) is None:
            if self._open() > PIECE:
                beginning = beginning or self._data[self._start : self._start + PIECE]
                self._forget(in_string=True)
            if not self._more():
                break
        if string is None:
            rest = self._cut(len(self._data))
            return beginning or rest
        length = string.end() - self._start
        while self._open() < length + _LONGEST_KEY and self._more():
            pass
        end = self._start + length
        item = _BEGINNING.search(self._data, self._start, end + _LONGEST_KEY)
        taken = self._cut(item.end() if item and item.end() < end else end)
        return beginning or taken

    def _stray_lines(self) -> UnreadableSpan:
        """Return consecutive lines that are not JSON as one unreadable span."""
        first, more = self._stray_line(), 0
        while (byte := self._next_byte()) is not None and byte not in b"{[":
            self._stray_line()
            more += 1
        others = f" (and {more} more lines)" if more else ""
        return UnreadableSpan("not JSON: ", first, others)

    def _stray_line(self) -> bytes:
        """Return a line that is not JSON, at most one piece of it.

        Only a log file that lost its beginning is searched for the first item in it: it is one line without
        an end. Whoever wrote a line of another log may have chosen what is in it.
        """
        while (end := self._data.find(b"\n", self._start)) < 0:
            if self._open() > PIECE or not self._more():
                item = _BEGINNING.search(self._data, self._start)
                return self._cut(item.end() if item else len(self._data)).rstrip()
        return self._cut(end).rstrip()

    def _item(self, top_level: bool) -> Iterator[bytes | UnreadableSpan]:
        """Yield the object or array that begins here; if it is an envelope, the items in it."""
        depth, self._pos, oversize, envelope, trusted = 0, self._start, False, False, False
        while True:
            skipper = _BETWEEN if top_level and depth == 1 else _INSIDE
            self._pos = _end(skipper, self._data, self._pos)
            byte = self._data[self._pos : self._pos + 1]
            if byte == b'"':
                string = _STRING.match(self._data, self._pos)
                if top_level and (newline := self._torn_line(string)):
                    yield from _recovered(self._cut(newline))
                    return
                if string is not None:
                    self._pos = string.end()
                    container = self._container(string[0]) if top_level and depth == 1 else None
                    if container is not None and self._array_follows():
                        envelope = True
                        self._cut(self._pos)
                        self.container = container
                        yield from self._elements()
                        self.container = None
                    continue
            elif envelope and depth == 1 and byte in (b"{", b"[") and not self._is_value():
                self._cut(self._pos)
                yield from self._item(top_level=False)
                continue
            elif byte and depth > 1:
                run = _end(_RUN, self._data, self._pos) - self._pos
                step = run if byte in b"{[" else -min(run, depth - 1)
                depth += step
                self._pos += abs(step)
                continue
            elif byte:
                depth += 1 if byte in b"{[" else -1
                self._pos += 1
                if depth == 0:
                    yield from self._closed(oversize=oversize, envelope=envelope)
                    return
                continue
            if self._open() > PIECE and not (trusted or oversize or envelope):
                trusted = True
                if damage := self._resynchronized(self._data[self._start :], closed=False):
                    yield damage
                    return
            if oversize or self._open() > RECORD_LIMIT:
                oversize = True
                self._forget(in_string=bool(byte))
            if not self._more():
                yield from self._unclosed(oversize=oversize, envelope=envelope)
                return

    def _container(self, string: bytes) -> str | None:
        """Return the name of the list that may follow a string of an outermost object; note its log group."""
        if self._names_group:
            self.log_group = _plain(string)
        self._names_group = string == _LOG_GROUP
        return self._containers.get(string)

    def _closed(self, *, oversize: bool, envelope: bool) -> tuple[bytes | UnreadableSpan, ...]:
        """Return an item that ends here; nothing of an envelope, whose items were yielded already."""
        item = self._cut(self._pos)
        if oversize or (len(item) > RECORD_LIMIT and not envelope):
            return (_too_long(),)
        return () if envelope else (self._resynchronized(item, closed=True) or item,)

    def _unclosed(self, *, oversize: bool, envelope: bool) -> Iterator[bytes | UnreadableSpan]:
        """Yield what can be read of an item or an envelope that is cut short by the end of the document."""
        rest = self._cut(len(self._data))
        if oversize:
            yield _too_long()
        if envelope:
            if self._torn is None:
                yield UnreadableSpan("the JSON ends before its envelope is closed")
            if lost := _BEGINNING.search(rest):
                yield from _recovered(rest[lost.end() :], torn=self._torn is not None)
        elif not oversize:
            yield from _recovered(rest, torn=self._torn is not None)

    def _resynchronized(self, item: bytes, *, closed: bool) -> UnreadableSpan | None:
        """If a broken item contains others, go back to where the first of them begins; else return None."""
        if self._reread > _REREAD_LIMIT or not _may_hold_others(item):
            return None
        other = _BEGINNING.search(item, 1)
        if other is None or not _is_broken(item, closed=closed):
            return None
        self._reread += len(item)
        self._start -= len(item) if closed else 0
        self._cut(self._start + other.end())
        return _broken(item[: other.end()])

    def _elements(self) -> Iterator[bytes | UnreadableSpan]:
        """Yield the elements of an envelope's array, up to and including its closing bracket."""
        while (byte := self._next_byte()) is not None:
            if byte == b"]":
                self._cut(self._start + 1)
                return
            if byte in b"{[":
                yield from self._item(top_level=False)
            elif byte == b"}":
                return
            else:
                yield self._stray()

    def _array_follows(self) -> bool:
        """Return whether a colon and an opening bracket come next; if so, skip them."""
        while (follows := _ARRAY_FOLLOWS.match(self._data, self._pos)) is None:
            if self._data[self._pos :].strip(b" \t\r\n:") or not self._more():
                return False
        self._pos = follows.end()
        return True

    def _is_value(self) -> bool:
        """Return whether what comes next is the value of a key, and not an item outside of its array."""
        return self._data[self._start : self._pos].rstrip(b" \t\r\n").endswith(b":")

    def _torn_line(self, string: re.Match[bytes] | None) -> int:
        """Return the offset of the line's end if a string extends beyond it, which JSON forbids; else 0."""
        end = string.end() if string else len(self._data)
        return max(self._data.find(b"\n", self._pos, end), 0)

    def _forget(self, in_string: bool) -> None:
        """Drop what has been scanned of an item that is too long, without losing the position in it."""
        if not in_string:
            self._start = self._pos
            return
        backslashes = len(self._data) - len(self._data.rstrip(b"\\"))
        self._data = b'"' + b"\\" * (backslashes % 2)
        self._start = self._pos = 0


def _end(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    match = pattern.match(data, pos)
    return match.end() if match else pos


def _plain(string: bytes) -> str | None:
    """Return a JSON text without escapes as it is; None if it has any."""
    return string[1:-1].decode("utf-8", "replace") if b"\\" not in string else None


def _too_long() -> UnreadableSpan:
    return UnreadableSpan(f"a record is longer than {RECORD_LIMIT >> 20} MB")


def _broken(text: bytes) -> UnreadableSpan:
    return UnreadableSpan("broken JSON: ", text.rstrip(b", "))


def _recovered(text: bytes, torn: bool = False) -> Iterator[bytes | UnreadableSpan]:
    """Yield the objects in a text that is not closed, and what is between them.

    If the text is cut short in an object that is intact up to there, everything in that object is a part of
    it. A text that ends as documents do may have lost something in the middle.
    """
    characters, at = text.decode("latin-1"), _end(_CLOSING, text, 0)
    cut_short = torn or not text.rstrip(b" \t\r\n").endswith((b"}", b"]"))
    while at < len(text):
        end = _object_end(characters, at)
        if end:
            yield text[at:end]
        else:
            is_open = cut_short and end is not None
            other = None if is_open else _BEGINNING.search(text, at + 1)
            end = other.end() if other else len(text)
            if not (torn and other is None):
                yield _broken(text[at:end])
        at = _end(_CLOSING, text, end)


_WINDOW = 4096
_DECODER = json.JSONDecoder()
_LENIENT = json.JSONDecoder(strict=False)


def _object_end(text: str, at: int) -> int | None:
    """Return where the JSON object at an offset ends; 0 if it does not end, None if there is no object.

    The window grows because a parser that fails counts all lines up to its error.
    """
    size = _WINDOW
    while True:
        window = text[at : at + size]
        try:
            value, end = _DECODER.raw_decode(window)
        except json.JSONDecodeError as error:
            if not _is_unfinished(error, window):
                return None
            if at + size >= len(text):
                return 0
            size *= 8
        except (ValueError, RecursionError):
            return 0
        else:
            return at + end if isinstance(value, dict) else None


def _is_unfinished(error: json.JSONDecodeError, text: str | bytes) -> bool:
    """Return whether a text is not JSON only because it ends too early."""
    return error.pos > len(text) - 16 or error.msg.startswith("Unterminated")


def _may_hold_others(item: bytes) -> bool:
    """Return whether an item may contain others (a quick check)."""
    return item.count(b'"eventVersion"') > 1 or item.count(b'"EventId"') > 1 or b"\n{" in item


def _is_broken(text: bytes, *, closed: bool) -> bool:
    """Return whether a text is not JSON or, if it is not closed, not the beginning of JSON.

    Deep nesting and forbidden characters do not count: they do not affect the brackets.
    """
    try:
        _LENIENT.raw_decode(text.decode("latin-1"))
    except json.JSONDecodeError as error:
        return closed or not _is_unfinished(error, text)
    except (ValueError, RecursionError):
        return False
    return False
