"""The bytes of a log file → the few records that matter, each with where it came from.

A document is inflated, cut into its records without parsing them, and only those in which the
name of a relevant event stands are handed on. Nothing is held but the record at hand, so a file
may have any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import orjson

from cnitrail.jsontext import parse
from cnitrail.model import Document, Origin, Record, Sign, Skipped

RECORD_LIMIT = 64 * 1024 * 1024
"""The longest record that is read, in bytes; CloudTrail's own are at most 256 KB."""

_PIECE = 1024 * 1024
_CONTAINERS = (b'"Records"', b'"Events"')
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "zstd-compressed; decompress it first (zstd -d)",
    b"BZh": "bzip2-compressed; decompress it first (bunzip2)",
    b"PK\x03\x04": "a zip archive; unpack it first (unzip)",
    b"\xfd7zXZ": "xz-compressed; decompress it first (xz -d)",
    b"\xff\xfe": "UTF-16 text; convert it first (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "UTF-16 text; convert it first (iconv -f UTF-16 -t UTF-8)",
    b"SQLite format 3\x00": "an SQLite database, but not one that cnitrail wrote",
    b"PAR1": "a Parquet file; export it as JSON first",
}


@dataclass(slots=True)
class Tally:
    """What was read of a document, counted while it is scanned."""

    bytes: int = 0
    records: int = 0
    signs: set[Sign] = field(default_factory=set)
    """(account, Region, minute) of records that are of no matter, where they are asked for."""


class Scanner:
    """Finds the records that name one of some events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the
    service that calls AssumeRole, for instance, as its name alone stands in a tenth of all
    records). A scanner may find too much, never too little: an ASCII letter, digit, dot or hyphen
    written as an escape counts as a hit, too.
    """

    def __init__(self, names: Iterable[str], markers: Iterable[str] = ()) -> None:
        needles = [re.escape(text).encode() for text in (*names, *markers)]
        self._needle = re.compile(rb"\\u00(?:[4-7]|3[0-9]|2[dDeE])|" + b"|".join(sorted(needles)))

    def scan(self, document: Document, tally: Tally, *, signs: bool = False) -> Iterator[Record | Skipped]:
        """The relevant records of a document, and what of it could not be read.

        With ``signs``, the tally learns when and where the other records happened.
        """
        counted = _counted(document.chunks, tally)
        bytes_before, records_before = tally.bytes, tally.records
        for item in _split(_inflate(counted)):
            if isinstance(item, _Damage):
                yield Skipped(document.uri, item.reason)
                continue
            index = tally.records - records_before
            tally.records += 1
            try:
                payload = self._payload(item)
                if payload is None and signs:
                    tally.signs.update(_sign(item))
            except _DigestFile:
                tally.records -= 1
                continue
            except _Unreadable as error:
                yield Skipped(document.uri, f"record {index}: {error}")
                continue
            if payload is not None:
                yield Record((Origin(document.uri, index),), payload)
        if tally.bytes == bytes_before:
            yield Skipped(document.uri, "the file is empty")

    def _payload(self, item: bytes) -> bytes | None:
        """The record inside an item, or None where it is of no matter."""
        if item[:1] != b"{":
            raise _Unreadable(f"not an object but {_excerpt(item)}")
        if self._needle.search(item) is None and b"eventName" in item:
            return None
        try:
            fields = parse(item)
        except ValueError as error:
            raise _Unreadable(f"broken JSON ({error}): {_excerpt(item)}") from None
        assert isinstance(fields, dict)
        return _unwrap(fields, item)


class _Unreadable(Exception):
    """An item that is no record."""


class _DigestFile(Exception):
    """CloudTrail's own list of log files: no evidence of a call, and no damage."""


@dataclass(frozen=True, slots=True)
class _Damage:
    """Something between or around the records that cannot be read."""

    reason: str


class _Torn(Exception):
    """A stream that ends, or turns bad, before its end."""


def _unwrap(fields: dict[str, object], item: bytes) -> bytes:
    """The record inside a LookupEvents item or an EventBridge envelope; the item itself, if it is one."""
    if "eventName" in fields:
        return item
    match fields:
        case {"CloudTrailEvent": str(text)}:
            return text.encode()
        case {"CloudTrailEvent": dict(record)} | {"detail-type": str(), "detail": dict(record)}:
            return _dumped(record)
        case {"insightDetails": _}:
            return item
        case {"digestStartTime": _, "digestS3Object": _}:
            raise _DigestFile
        case {"EventId": _}:
            raise _Unreadable("a LookupEvents item without its CloudTrailEvent")
    raise _Unreadable(f"not a CloudTrail record (no eventName): {_excerpt(item)}")


_PLACE = re.compile(rb'\\*"(recipientAccountId|awsRegion|eventTime)\\*"\s*:\s*\\*"([^"\\]*)')


def _sign(item: bytes) -> Iterator[Sign]:
    """Where and when a record happened, read without parsing it."""
    found = {name: value.decode("utf-8", "replace") for name, value in _PLACE.findall(item)}
    try:
        time = datetime.strptime(found[b"eventTime"][:16], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return
    yield found.get(b"recipientAccountId"), found.get(b"awsRegion"), time


def _dumped(record: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError as error:
        raise _Unreadable(f"the record in its envelope is nested too deeply ({error})") from None


def _excerpt(item: bytes) -> str:
    text = item[:60].decode("utf-8", "replace")
    return text + ("…" if len(item) > 60 else "")


def _counted(chunks: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    """The chunks, without empty ones: an empty chunk is not the end."""
    for chunk in chunks:
        tally.bytes += len(chunk)
        if chunk:
            yield chunk


def _inflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text of a plain or gzipped stream, whatever its name. Raises ``_Torn``."""
    try:
        head = next(chunks, b"")
        while len(head) < 16 and (more := next(chunks, b"")):
            head += more
        for magic, reason in _FOREIGN.items():
            if head.startswith(magic):
                raise _Torn(reason)
        zipped = head.startswith(b"\x1f\x8b")
        yield from _unmarked(_gunzip(head, chunks) if zipped else chain((head,), chunks))
    except OSError as error:
        raise _Torn(f"reading failed: {error.strerror or error}") from None


def _unmarked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A text without the byte order mark that it may begin with."""
    mark, head = b"\xef\xbb\xbf", b""
    while len(head) < len(mark) and (piece := next(pieces, b"")):
        head += piece
    yield head.removeprefix(mark)
    yield from pieces


def _gunzip(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream, one after the other, in pieces of bounded size."""
    member, pending = zlib.decompressobj(wbits=31), head
    while True:
        before = member.copy()
        try:
            text = member.decompress(pending, _PIECE)
        except zlib.error as error:
            yield from _salvaged(before, pending)
            raise _Torn(f"the gzip stream is damaged ({error})") from None
        if text:
            yield text
        pending = member.unconsumed_tail
        if member.eof:
            rest = member.unused_data
            while len(rest) < 2 and (more := next(chunks, b"")):
                rest += more
            if not rest.startswith(b"\x1f\x8b"):
                return _check_padding(rest, chunks)
            member, pending = zlib.decompressobj(wbits=31), rest
        elif not pending:
            pending = next(chunks, b"")
            if not pending and not text:
                raise _Torn("the gzip stream is cut short")


def _salvaged(member: "zlib._Decompress", pending: bytes) -> Iterator[bytes]:
    """What a damaged stream still gives: the text before the damage, to the last byte."""
    for at in range(len(pending)):
        try:
            text = member.decompress(pending[at : at + 1])
        except zlib.error:
            return
        if text:
            yield text


def _check_padding(rest: bytes, chunks: Iterator[bytes]) -> None:
    """Zeros may follow a gzip stream (tapes pad with them); anything else is damage."""
    trailing = 0
    while rest:
        trailing += len(rest.lstrip(b"\0"))
        rest = next(chunks, b"")
    if trailing:
        raise _Torn(f"{trailing} bytes follow the end of the gzip stream")


_SPACE = re.compile(rb"[ \t\r\n,]*+")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}]*+")
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\]]*+')
_CLOSING = re.compile(rb"[ \t\r\n,\]}]*+")
_ARRAY_FOLLOWS = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+\[")
_BEGINNING = re.compile(
    rb'(?:"(?:Records|Events)"\s*+:\s*+\[|[,}\]\n])\s*+(?=\{\s*+"(?:eventVersion|EventId|AccessKeyId)"\s*+:)'
    rb"|\n(?=\{)"
)
"""Where an item may begin: behind another one, at the beginning of an envelope or of a line, but never
as the value of a key, where a request may hold anything."""


def _split(chunks: Iterator[bytes]) -> Iterator[bytes | _Damage]:
    """The items of a document: the elements of its Records or Events, or of a bare array, or its lines."""
    yield from _Splitter(chunks).items()


class _Splitter:
    """Cuts a stream of JSON into its items by brackets and strings alone.

    ``data[start:]`` has not been handed on yet: while an item is open, it begins there. ``pos`` is
    how far it has been looked at.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._data = b""
        self._start = 0
        self._pos = 0
        self._torn: str | None = None

    def items(self) -> Iterator[bytes | _Damage]:
        """Every item, in order, with what lies between them and cannot be read."""
        in_array = False
        while (byte := self._next_byte()) is not None:
            if byte in b"{[" and (in_array or byte == b"{"):
                yield from self._item(top_level=not in_array)
            elif byte in b"[]" and in_array == (byte == b"]"):
                in_array = not in_array
                self._cut(self._start + 1)
            elif in_array:
                yield self._stray()
            else:
                yield self._stray_lines()
        if self._torn:
            yield _Damage(self._torn)
        elif in_array:
            yield _Damage("the JSON ends before its array is closed")

    def _more(self) -> bool:
        """Append the next chunk; False at the end, also where the stream is torn there."""
        if self._torn is not None:
            return False
        try:
            chunk = next(self._chunks, b"")
        except _Torn as error:
            self._torn = str(error)
            return False
        self._data = self._data[self._start :] + chunk
        self._pos -= self._start
        self._start = 0
        return bool(chunk)

    def _cut(self, end: int) -> bytes:
        """Take what lies before ``end``; the rest is looked at from its beginning."""
        taken = self._data[self._start : end]
        self._start = self._pos = end
        return taken

    def _open(self) -> int:
        """How many bytes there are that have not been handed on."""
        return len(self._data) - self._start

    def _next_byte(self) -> bytes | None:
        """The first byte of what comes next, past blanks and commas; None at the end."""
        while True:
            self._start = self._pos = _end(_SPACE, self._data, self._start)
            if self._open():
                return self._data[self._start : self._start + 1]
            if not self._more():
                return None

    def _stray(self) -> bytes:
        """An element that is no object: a string, a number, a word; of a long one, its beginning."""
        if not self._data.startswith(b'"', self._start):
            while (end := _end(_SCALAR, self._data, self._start)) == len(self._data):
                if self._open() > _PIECE or not self._more():
                    break
            return self._cut(max(end, self._start + 1))
        beginning = b""
        while (string := _STRING.match(self._data, self._start)) is None:
            if self._open() > _PIECE:
                beginning = beginning or self._data[self._start : self._start + _PIECE]
                self._forget(in_string=True)
            if not self._more():
                break
        taken = self._cut(string.end() if string else len(self._data))
        return beginning or taken

    def _stray_lines(self) -> _Damage:
        """Lines on end that are no JSON, as one damage."""
        first, more = self._stray_line(), 0
        while (byte := self._next_byte()) is not None and byte not in b"{[":
            self._stray_line()
            more += 1
        others = f" (and {more} more lines)" if more else ""
        return _Damage(f"not JSON: {_excerpt(first)}{others}")

    def _stray_line(self) -> bytes:
        """A line that is no JSON, up to where an item begins in it, or as much as one piece holds."""
        while (end := self._data.find(b"\n", self._start)) < 0:
            if self._open() > _PIECE or not self._more():
                end = len(self._data)
                break
        item = _BEGINNING.search(self._data, self._start, end)
        return self._cut(item.end() if item else end).rstrip()

    def _item(self, top_level: bool) -> Iterator[bytes | _Damage]:
        """The object or array that begins here; of an envelope, the items inside."""
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
                    container = top_level and depth == 1 and string[0] in _CONTAINERS
                    if container and self._array_follows():
                        envelope = True
                        self._cut(self._pos)
                        yield from self._elements()
                    continue
            elif envelope and depth == 1 and byte in (b"{", b"[") and not self._is_value():
                self._cut(self._pos)
                yield from self._item(top_level=False)
                continue
            elif byte:
                depth += 1 if byte in b"{[" else -1
                self._pos += 1
                if depth == 0:
                    item = self._cut(self._pos)
                    if oversize:
                        yield _too_long()
                    elif not envelope:
                        yield self._resynchronised(item, closed=True) or item
                    return
                continue
            if self._open() > _PIECE and not (trusted or oversize or envelope):
                trusted = True
                if damage := self._resynchronised(self._data[self._start :], closed=False):
                    yield damage
                    return
            if oversize or self._open() > RECORD_LIMIT:
                oversize = True
                self._forget(in_string=bool(byte))
            if not self._more():
                yield from self._unclosed(oversize=oversize, envelope=envelope)
                return

    def _unclosed(self, *, oversize: bool, envelope: bool) -> Iterator[bytes | _Damage]:
        """What can be read of an item, or of an envelope, that the document's end cuts short."""
        rest = self._cut(len(self._data))
        if oversize:
            yield _too_long()
        if envelope:
            if self._torn is None:
                yield _Damage("the JSON ends before its envelope is closed")
            if lost := _BEGINNING.search(rest):
                yield from _recovered(rest[lost.end() :], torn=self._torn is not None)
        elif not oversize:
            yield from _recovered(rest, torn=self._torn is not None)

    def _resynchronised(self, item: bytes, *, closed: bool) -> _Damage | None:
        """If an item is broken and has swallowed others: go back to where the first of them begins."""
        if not _may_hold_others(item):
            return None
        other = _BEGINNING.search(item, 1)
        if other is None or not _is_broken(item, closed=closed):
            return None
        self._start -= len(item) if closed else 0
        self._cut(self._start + other.end())
        return _broken(item[: other.end()])

    def _elements(self) -> Iterator[bytes | _Damage]:
        """The elements of an envelope's array, up to and with its closing bracket."""
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
        """Whether a colon and an opening bracket come next; if so, step behind them."""
        while (follows := _ARRAY_FOLLOWS.match(self._data, self._pos)) is None:
            if self._data[self._pos :].strip(b" \t\r\n:") or not self._more():
                return False
        self._pos = follows.end()
        return True

    def _is_value(self) -> bool:
        """Whether what comes next is the value of a key, and not an item that its array has lost."""
        return self._data[self._start : self._pos].rstrip(b" \t\r\n").endswith(b":")

    def _torn_line(self, string: re.Match[bytes] | None) -> int:
        """Where a string runs over a line's end, which JSON forbids: the line's end, else 0."""
        end = string.end() if string else len(self._data)
        return max(self._data.find(b"\n", self._pos, end), 0)

    def _forget(self, in_string: bool) -> None:
        """Drop what has been looked at of an item that is too long, keeping the place in it."""
        if not in_string:
            self._start = self._pos
            return
        backslashes = len(self._data) - len(self._data.rstrip(b"\\"))
        self._data = b'"' + b"\\" * (backslashes % 2)
        self._start = self._pos = 0


def _end(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    match = pattern.match(data, pos)
    return match.end() if match else pos


def _too_long() -> _Damage:
    return _Damage(f"a record is longer than {RECORD_LIMIT >> 20} MB")


def _broken(text: bytes) -> _Damage:
    return _Damage(f"broken JSON: {_excerpt(text.rstrip(b', '))}")


def _recovered(text: bytes, torn: bool = False) -> Iterator[bytes | _Damage]:
    """The objects in a text that does not close, and what lies between them."""
    characters, at = text.decode("latin-1"), _end(_CLOSING, text, 0)
    while at < len(text):
        end = _object_end(characters, at)
        if end:
            yield text[at:end]
        else:
            other = _BEGINNING.search(text, at + 1)
            end = other.end() if other else len(text)
            if not (torn and other is None):
                yield _broken(text[at:end])
        at = _end(_CLOSING, text, end)


_DECODER = json.JSONDecoder()
_LENIENT = json.JSONDecoder(strict=False)


def _object_end(text: str, at: int) -> int:
    """Where the JSON object ends that begins at a place in a text; 0 if there is none."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return 0
    return end if isinstance(value, dict) else 0


def _may_hold_others(item: bytes) -> bool:
    """A quick look whether an item may have swallowed others."""
    return item.count(b'"eventVersion"') > 1 or item.count(b'"EventId"') > 1 or b"\n{" in item


def _is_broken(text: bytes, *, closed: bool) -> bool:
    """Whether a text is no JSON, nor the beginning of one where it is not closed.

    Nesting without end, and characters that do not belong there, are no matter of brackets.
    """
    try:
        _LENIENT.raw_decode(text.decode("latin-1"))
    except json.JSONDecodeError as error:
        unfinished = error.pos > len(text) - 16 or error.msg.startswith("Unterminated")
        return closed or not unfinished
    except (ValueError, RecursionError):
        return False
    return False
