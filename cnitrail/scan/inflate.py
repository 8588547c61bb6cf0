"""A stored stream → its text, plain or gzipped, found by content."""

import zlib
from collections.abc import Iterator
from itertools import chain

PIECE = 1024 * 1024
GZIP = b"\x1f\x8b"
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


def inflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text of a plain or gzipped stream, whatever its name. Raises ``Torn``."""
    try:
        head = next(chunks, b"")
        while len(head) < 16 and (more := next(chunks, b"")):
            head += more
        for magic, reason in _FOREIGN.items():
            if head.startswith(magic):
                raise Torn(reason)
        zipped = head.startswith(GZIP)
        yield from _unmarked(_gunzip(head, chunks) if zipped else chain((head,), chunks))
    except OSError as error:
        raise Torn(f"reading failed: {error.strerror or error}") from None


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
            text = member.decompress(pending, PIECE)
        except zlib.error as error:
            yield from _salvaged(before, pending)
            raise Torn(f"the gzip stream is damaged ({error})") from None
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
