"""Stored bytes → their text, or the hashes of both: one gzip stream and nothing else, in bounded memory.

In a bucket everything is zipped, as CloudTrail writes it. A copy may have been unzipped: what does not
begin as a gzip stream is taken as it is there.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Final

from msgspec import Struct

from cnitrail.model import Growth
from cnitrail.validation.damage import DamagedFile

LONGEST_DIGEST: Final = 16 * 1024 * 1024
"""The longest text of a digest that is read, in bytes: one that lists some thirty thousand log files."""

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1024 * 1024


def text_of(chunks: Iterable[bytes], growth: Growth, *, is_copy: bool) -> bytes:
    """The text of a digest. Raises ``Damage`` and ``OSError``."""
    pieces: list[bytes] = []
    length = 0
    for piece in _text(chunks, growth, is_copy=is_copy):
        length += len(piece)
        if length > LONGEST_DIGEST:
            raise DamagedFile(f"its text is longer than {LONGEST_DIGEST:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class Hashes(Struct, frozen=True, gc=False):
    """SHA-256 of a log file's text, and of its stored bytes, in hex."""

    text: str
    stored: str


def hashes_of(chunks: Iterable[bytes], growth: Growth, *, is_copy: bool) -> Hashes:
    """Hash a log file's text and its stored bytes in one pass. Raises ``Damage`` and ``OSError``."""
    text, stored = sha256(), sha256()
    for piece in _text(_hashed(chunks, stored.update), growth, is_copy=is_copy):
        text.update(piece)
    return Hashes(text.hexdigest(), stored.hexdigest())


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk


def _text(chunks: Iterable[bytes], growth: Growth, *, is_copy: bool) -> Iterator[bytes]:
    pieces = iter(chunks)
    first = next(pieces, b"")
    pieces = chain((first,), pieces)
    return pieces if is_copy and not first.startswith(_GZIP) else _inflated(pieces, growth)


def _inflated(chunks: Iterable[bytes], growth: Growth) -> Iterator[bytes]:
    """The text of a gzip stream, in pieces. A second stream behind it is damage, as all else is."""
    stream, stored, length = zlib.decompressobj(wbits=31), 0, 0
    for chunk in chunks:
        pending = chunk
        stored += len(chunk)
        while pending and not stream.eof:
            try:
                text = stream.decompress(pending, _PIECE)
            except zlib.error as error:
                raise DamagedFile(f"its gzip stream is damaged ({error})") from None
            length += len(text)
            if not growth.allows(stored, length):
                raise DamagedFile(f"it is a gzip bomb: {growth.refusal}")
            yield text
            pending = stream.unconsumed_tail
        if stream.unused_data or (stream.eof and pending):
            raise DamagedFile("bytes follow the end of its gzip stream")
    if not stream.eof:
        raise DamagedFile("its gzip stream is cut short")
