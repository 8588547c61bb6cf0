"""A stored stream → its text; whether it is gzipped is detected by content."""

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
"""Maximum size in bytes of the pieces that a longer text is decompressed in."""

AT_ONCE: Final = 16 * 1024 * 1024
"""Maximum size in bytes of a text that is decompressed in one call."""

GZIP: Final = b"\x1f\x8b"
_MEMBER: Final = GZIP + b"\x08"
_SLICE: Final = 32 * 1024
_FREED: Final = 4 * 1024 * 1024
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


class TornStream(Exception):
    """A stream is cut short or damaged; its message says how."""


def raise_mmap_threshold() -> None:
    """Raise glibc's mmap threshold, so that the memory of one text is reused for the next.

    glibc returns freed memory to the system unless it has seen a larger block freed (mallopt(3),
    M_MMAP_THRESHOLD). Paging it in again for each text costs half as much as the decompression.
    """
    bytearray(_FREED)


class InflatedText(Struct, frozen=True):
    """A text in pieces, which may raise ``TornStream``; ``checked`` if a checksum protects it."""

    pieces: Iterator[Bytes]
    checked: bool


def inflated_text(chunks: Iterator[bytes], growth: Growth) -> InflatedText:
    """Return the text of a plain or gzipped stream, whatever the file is called."""
    chunks = _readable(chunks)
    try:
        head = next(chunks, b"")
        while len(head) < 16 and (more := next(chunks, b"")):
            head += more
    except TornStream as torn:
        return InflatedText(_raising(torn), checked=False)
    for magic, reason in _FOREIGN.items():
        if head.startswith(magic):
            return InflatedText(_raising(TornStream(reason)), checked=False)
    zipped = head.startswith(GZIP)
    pieces = _gunzipped(head, chunks, growth) if zipped else chain((head,), chunks)
    return InflatedText(_without_mark(pieces), zipped)


def _readable(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks; a read error counts as damage to the text."""
    try:
        yield from chunks
    except OSError as error:
        raise TornStream(f"reading failed: {error.strerror or error}") from None


def _raising(torn: TornStream) -> Iterator[Bytes]:
    raise torn
    yield


def _without_mark(pieces: Iterator[Bytes]) -> Iterator[Bytes]:
    """Yield a text without the byte order mark that it may begin with."""
    mark, head = b"\xef\xbb\xbf", next(pieces, b"")
    while len(head) < len(mark) and (piece := next(pieces, b"")):
        head += piece
    yield head[len(mark) :] if head.startswith(mark) else head  # noqa: FURB188  it copies a bytearray
    yield from pieces


def _gunzipped(head: bytes, chunks: Iterator[bytes], growth: Growth) -> Iterator[Bytes]:
    """Yield the text of a gzip stream: in one piece if that is faster, else in pieces of bounded size."""
    more = next(chunks, b"")
    text = None if more else _at_once(head, growth)
    if text is None:
        yield from _gunzip(_Slices(chain((head, more), chunks)), growth)
    else:
        yield text


def _at_once(stored: bytes, growth: Growth) -> Bytes | None:
    """Return the text of a gzip stream of one member; None if it may be anything else.

    libdeflate reads only one member, and must be given the length of its text, which is in the last bytes
    of the stream. So trailing bytes are not noticed here if they end with that same length.
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
    """Small slices of stored bytes, counted: zlib copies its unused input with every piece of output."""

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
    """Yield the text of all members of a gzip stream, in pieces of bounded size."""
    member, pending, given = zlib.decompressobj(wbits=31), next(chunks), 0
    while True:
        before = member.copy()
        try:
            text = member.decompress(pending, PIECE)
        except zlib.error as error:
            yield from _salvaged(before, pending)
            raise TornStream(f"the gzip stream is damaged ({error})") from None
        given += len(text)
        if not growth.allows(chunks.taken, given):
            raise TornStream(f"a gzip bomb: decompression stopped at {growth.refusal}")
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
                raise TornStream("the gzip stream is cut short")


def _salvaged(member: "zlib._Decompress", pending: bytes) -> Iterator[bytes]:
    """Yield the text before the damage, to the last byte."""
    for at in range(len(pending)):
        try:
            text = member.decompress(pending[at : at + 1])
        except zlib.error:
            return
        if text:
            yield text


def _check_padding(rest: bytes, chunks: Iterator[bytes]) -> None:
    """Raise ``TornStream`` if anything but zeros, with which tapes pad, follows a gzip stream."""
    trailing = 0
    while rest:
        trailing += len(rest.lstrip(b"\0"))
        rest = next(chunks, b"")
    if trailing:
        raise TornStream(f"{trailing} bytes follow the end of the gzip stream")
