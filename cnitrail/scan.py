"""The bytes of a log file → the few records that matter, each with where it came from.

A document is inflated, cut into its records without parsing them, and only those in which the
name of a relevant event stands are handed on. Nothing is held but the record at hand, so a file
may have any size. What cannot be read becomes a ``Skipped``; everything around it is still read.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from cnitrail.jsontext import parse
from cnitrail.model import Document, Origin, Record, Skipped

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


class Scanner:
    """Finds the records that name one of some events.

    ``names`` are event names; ``markers`` are further texts that make a record relevant (the
    service that calls AssumeRole, for instance, as its name alone stands in a tenth of all
    records). A scanner may find too much, never too little: an ASCII letter written as an escape
    counts as a hit, too.
    """

    def __init__(self, names: Iterable[str], markers: Iterable[str] = ()) -> None:
        needles = [re.escape(text).encode() for text in (*names, *markers)]
        self._needle = re.compile(rb"\\u00[4-7]|" + b"|".join(sorted(needles)))

    def scan(self, document: Document, tally: Tally) -> Iterator[Record | Skipped]:
        """The relevant records of a document, and what of it could not be read."""
        counted = _counted(document.chunks, tally)
        for item in _split(_inflate(counted)):
            if isinstance(item, _Damage):
                yield Skipped(document.uri, item.reason)
                continue
            index = tally.records
            tally.records += 1
            try:
                payload = self._payload(item)
            except _DigestFile:
                tally.records -= 1
                continue
            except _Unreadable as error:
                yield Skipped(document.uri, f"record {index}: {error}")
                continue
            if payload is not None:
                yield Record((Origin(document.uri, index),), payload)
        if tally.bytes == 0:
            yield Skipped(document.uri, "the file is empty")

    def _payload(self, item: bytes) -> bytes | None:
        """The record inside an item, or None where it is of no matter."""
        if self._needle.search(item) is None and b"eventName" in item:
            return None
        if item[:1] != b"{":
            raise _Unreadable(f"not an object but {_excerpt(item)}")
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
            return orjson.dumps(record)
        case {"digestStartTime": _, "digestS3Object": _}:
            raise _DigestFile
        case {"EventId": _}:
            raise _Unreadable("a LookupEvents item without its CloudTrailEvent")
    raise _Unreadable(f"not a CloudTrail record (no eventName): {_excerpt(item)}")


def _excerpt(item: bytes) -> str:
    text = item[:60].decode("utf-8", "replace")
    return text + ("…" if len(item) > 60 else "")


def _counted(chunks: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    for chunk in chunks:
        tally.bytes += len(chunk)
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
        if head.startswith(b"\x1f\x8b"):
            yield from _gunzip(head, chunks)
        else:
            yield head.removeprefix(b"\xef\xbb\xbf")
            yield from chunks
    except OSError as error:
        raise _Torn(f"reading failed: {error.strerror or error}") from None


def _gunzip(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream, one after the other, in pieces of bounded size."""
    member, pending = zlib.decompressobj(wbits=31), head
    while True:
        try:
            text = member.decompress(pending, _PIECE)
        except zlib.error as error:
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


def _check_padding(rest: bytes, chunks: Iterator[bytes]) -> None:
    """Zeros may follow a gzip stream (tapes pad with them); anything else is damage."""
    trailing = 0
    while rest:
        trailing += len(rest.lstrip(b"\0"))
        rest = next(chunks, b"")
    if trailing:
        raise _Torn(f"{trailing} bytes follow the end of the gzip stream")


_SPACE = re.compile(rb"[ \t\r\n,]*+")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}]++")
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\]]*+')
_ARRAY_FOLLOWS = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+\[")
_ANCHOR = re.compile(rb'[,\s]*(?=\{\s*+"eventVersion"\s*+:)')


def _split(chunks: Iterator[bytes]) -> Iterator[bytes | _Damage]:
    """The items of a document: the elements of its Records or Events, or of a bare array, or its lines."""
    yield from _Splitter(chunks).items()


class _Splitter:
    """Cuts a stream of JSON into its items by brackets and strings alone.

    ``data[pos:]`` is what has not been looked at yet. While an item is open, it begins at ``data[0]``.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = b""
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
                self._cut(1)
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
        self._data += chunk
        return bool(chunk)

    def _cut(self, end: int) -> bytes:
        """Take what lies before ``end``; the rest is looked at from its beginning."""
        taken, self._data, self._pos = self._data[:end], self._data[end:], 0
        return taken

    def _next_byte(self) -> bytes | None:
        """The first byte of what comes next, past blanks and commas; None at the end."""
        while True:
            self._cut(_end(_SPACE, self._data, 0))
            if self._data:
                return self._data[:1]
            if not self._more():
                return None

    def _stray(self) -> bytes:
        """An element that is no object: a string, a number, a word."""
        pattern = _STRING if self._data.startswith(b'"') else _SCALAR
        while _end(pattern, self._data, 0) in (0, len(self._data)) and len(self._data) < _PIECE:
            if not self._more():
                break
        return self._cut(_end(pattern, self._data, 0) or 1)

    def _stray_lines(self) -> _Damage:
        """Lines on end that are no JSON, as one damage."""
        first, more = self._stray_line(), 0
        while (byte := self._next_byte()) is not None and byte not in b"{[":
            self._stray_line()
            more += 1
        others = f" (and {more} more lines)" if more else ""
        return _Damage(f"not JSON: {_excerpt(first)}{others}")

    def _stray_line(self) -> bytes:
        """A line that is no JSON, or as much of it as one piece holds."""
        while b"\n" not in self._data and len(self._data) < _PIECE and self._more():
            pass
        return self._cut(self._data.find(b"\n") + 1 or len(self._data)).rstrip()

    def _item(self, top_level: bool) -> Iterator[bytes | _Damage]:
        """The object or array that begins at ``data[0]``; of an envelope, the items inside."""
        depth, self._pos, oversize, envelope = 0, 0, False, False
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
            elif byte:
                depth += 1 if byte in b"{[" else -1
                self._pos += 1
                if depth == 0:
                    item = self._cut(self._pos)
                    if oversize:
                        yield _Damage(f"a record is longer than {RECORD_LIMIT >> 20} MB")
                    elif not envelope:
                        yield self._resynchronised(item)
                    return
                continue
            if len(self._data) > RECORD_LIMIT:
                oversize = True
                self._forget(in_string=bool(byte))
            if not self._more():
                break
        rest = self._cut(len(self._data))
        if oversize:
            yield _Damage(f"a record is longer than {RECORD_LIMIT >> 20} MB")
        if envelope:
            if self._torn is None:
                yield _Damage("the JSON ends before its envelope is closed")
        elif not oversize:
            yield from _recovered(rest, torn=self._torn is not None)

    def _resynchronised(self, item: bytes) -> bytes | _Damage:
        """An item as it is; if it is broken and has swallowed others, it ends where the next begins."""
        swallowed = _ANCHOR.search(item, 1)
        if swallowed is None or _is_json(item):
            return item
        self._data = item[swallowed.end() :] + self._data
        return _Damage(f"broken JSON: {_excerpt(item[: swallowed.start()])}")

    def _elements(self) -> Iterator[bytes | _Damage]:
        """The elements of an envelope's array, up to and with its closing bracket."""
        while (byte := self._next_byte()) is not None:
            if byte == b"]":
                self._cut(1)
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

    def _torn_line(self, string: re.Match[bytes] | None) -> int:
        """Where a string runs over a line's end, which JSON forbids: the line's end, else 0."""
        end = string.end() if string else len(self._data)
        return max(self._data.find(b"\n", self._pos, end), 0)

    def _forget(self, in_string: bool) -> None:
        """Drop what has been looked at of an item that is too long, keeping the place in it."""
        if not in_string:
            self._cut(self._pos)
            return
        backslashes = len(self._data) - len(self._data.rstrip(b"\\"))
        self._data, self._pos = b'"' + b"\\" * (backslashes % 2), 0


def _end(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    match = pattern.match(data, pos)
    return match.end() if match else pos


def _recovered(rest: bytes, torn: bool = False) -> Iterator[bytes | _Damage]:
    """What can be read of an item that does not close: the records, or the lines, inside it."""
    pieces = _pieces(rest)
    if len(pieces) == 1:
        lines = [line for line in rest.splitlines() if line.strip(b" \t\r,")]
        if sum(map(_is_json, lines)) > len(lines) // 2:
            pieces = lines
    for piece in pieces:
        whole = _leading_object(piece)
        if whole is not None:
            yield whole
        elif not (torn and piece is pieces[-1]):
            yield _Damage(f"broken JSON: {_excerpt(piece)}")


def _leading_object(text: bytes) -> bytes | None:
    """The JSON object that a text begins with, whatever follows it; None where there is none."""
    decoded = text.decode("utf-8", "replace")
    try:
        value, end = json.JSONDecoder().raw_decode(decoded)
    except (ValueError, RecursionError):
        return None
    return decoded[:end].encode("utf-8", "replace") if isinstance(value, dict) else None


def _pieces(text: bytes) -> list[bytes]:
    """A text cut where records begin; what lies before the first beginning is a piece, too."""
    starts = sorted({0, *(cut.end() for cut in _ANCHOR.finditer(text))})
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
