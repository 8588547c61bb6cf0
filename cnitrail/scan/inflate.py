"""A stored stream → its text, plain or gzipped, found by content."""

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final

from msgspec import Struct

from cnitrail.model import Growth
from cnitrail.scan.multisearch import Bytes, count

try:
    import deflate
except ImportError:
    deflate = None  # type: ignore[assignment, unused-ignore]

PIECE: Final = 1024 * 1024
AT_ONCE: Final = 16 * 1024 * 1024
"""The longest text that is inflated in one go, in bytes."""

GZIP: Final = b"\x1f\x8b"
_MEMBER: Final = GZIP + b"\x08"
_SLICE: Final = 32 * 1024
_KEPT: Final = 4 * 1024 * 1024
_TRAILER: Final = 4
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


class Torn(Exception):
    """A stream that ends, or turns bad, before its end."""


def keep_memory() -> None:
    """Let what one text leaves serve the next.

    glibc gives freed memory back to the system, and paging it in again for each text costs half as much
    as inflating it, unless it has seen a larger block freed (mallopt(3), M_MMAP_THRESHOLD).
    """
    bytearray(_KEPT)


class Text(Struct, frozen=True):
    """A text in pieces, which may raise ``Torn``; ``checked`` where a checksum vouches for it."""

    pieces: Iterator[Bytes]
    checked: bool


def text_of(chunks: Iterator[bytes], growth: Growth) -> Text:
    """The text of a plain or gzipped stream, whatever its name."""
    chunks = _readable(chunks)
    try:
        head = next(chunks, b"")
        while len(head) < 16 and (more := next(chunks, b"")):
            head += more
    except Torn as torn:
        return Text(_raising(torn), checked=False)
    for magic, reason in _FOREIGN.items():
        if head.startswith(magic):
            return Text(_raising(Torn(reason)), checked=False)
    zipped = head.startswith(GZIP)
    return Text(_unmarked(_gunzipped(head, chunks, growth) if zipped else chain((head,), chunks)), zipped)


def _readable(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks; what keeps them from being read is damage to the text."""
    try:
        yield from chunks
    except OSError as error:
        raise Torn(f"reading failed: {error.strerror or error}") from None


def _raising(torn: Torn) -> Iterator[Bytes]:
    raise torn
    yield


def _unmarked(pieces: Iterator[Bytes]) -> Iterator[Bytes]:
    """A text without the byte order mark that it may begin with."""
    mark, head = b"\xef\xbb\xbf", next(pieces, b"")
    while len(head) < len(mark) and (piece := next(pieces, b"")):
        head += piece
    yield head[len(mark) :] if head.startswith(mark) else head  # noqa: FURB188  it copies a bytearray
    yield from pieces


def _gunzipped(head: bytes, chunks: Iterator[bytes], growth: Growth) -> Iterator[Bytes]:
    """The text of a gzip stream: in one piece where that is quicker, else in pieces of bounded size."""
    more = next(chunks, b"")
    text = None if more else _at_once(head, growth)
    if text is None:
        yield from _gunzip(_Slices(chain((head, more), chunks)), growth)
    else:
        yield text


def _at_once(stored: bytes, growth: Growth) -> Bytes | None:
    """The text of a gzip stream of one member; None where it may be anything else.

    libdeflate reads one member only, and wants to know the length of its text, which the stream's last
    bytes tell. So bytes behind the stream stay unnoticed here if they end by stating that very length.
    """
    length = int.from_bytes(stored[-_TRAILER:], "little")
    plausible = 0 < length <= AT_ONCE and growth.allows(len(stored), length)
    if deflate is None or not plausible or count(stored, _MEMBER) > 1:
        return None
    try:
        text = deflate.gzip_decompress(stored, length)
    except deflate.DeflateError:
        return None
    return text if len(text) == length else None


class _Slices:
    """Stored bytes, a few at a time: zlib copies those that it has not used yet with every piece."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.taken = 0
        self._slices = (chunk[at : at + _SLICE] for chunk in chunks for at in range(0, len(chunk), _SLICE))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        found = next(self._slices)
        self.taken += len(found)
        return found


def _gunzip(chunks: _Slices, growth: Growth) -> Iterator[bytes]:
    """All members of a gzip stream, one after the other, in pieces of bounded size."""
    member, pending, given = zlib.decompressobj(wbits=31), next(chunks), 0
    while True:
        before = member.copy()
        try:
            text = member.decompress(pending, PIECE)
        except zlib.error as error:
            yield from _salvaged(before, pending)
            raise Torn(f"the gzip stream is damaged ({error})") from None
        given += len(text)
        if not growth.allows(chunks.taken, given):
            raise Torn(f"a gzip bomb: from here on it is {growth.refusal}")
        if text:
            yield text
        pending = member.unconsumed_tail
        if member.eof:
            rest = member.unused_data
            while len(rest) < 2 and (more := next(chunks, b"")):
                rest += more
            if not rest.startswith(GZIP):
                return _check_padding(rest, chunks)
            member, pending = zlib.decompressobj(wbits=31), rest
        elif not pending:
            pending = next(chunks, b"")
            if not pending and not text:
                raise Torn("the gzip stream is cut short")


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
        raise Torn(f"{trailing} bytes follow the end of the gzip stream")
