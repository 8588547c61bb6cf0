"""Unzips and hashes stored files in bounded memory: exactly one gzip stream, nothing else.

In a bucket every file is zipped, as CloudTrail writes it. A file of a copy may have been unzipped: if it does
not start like a gzip stream, it is read as it is.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Final

from msgspec import Struct

from cnitrail.model import Growth
from cnitrail.validation.damage import DamagedFile

MAX_DIGEST_TEXT: Final = 16 * 1024 * 1024
"""Maximum length of a digest's text, in bytes: enough for about thirty thousand log files."""

_GZIP: Final = b"\x1f\x8b"
_PIECE_BYTES: Final = 1024 * 1024


def text_of(chunks: Iterable[bytes], growth: Growth, *, is_copy: bool) -> bytes:
    """Return the text of a digest. Raises ``DamagedFile`` and ``OSError``."""
    pieces: list[bytes] = []
    length = 0
    for piece in _text(chunks, growth, is_copy=is_copy):
        length += len(piece)
        if length > MAX_DIGEST_TEXT:
            raise DamagedFile(f"its text is longer than {MAX_DIGEST_TEXT:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class Hashes(Struct, frozen=True, gc=False):
    """SHA-256 of a log file's text, and of its stored bytes, in hex."""

    text: str
    stored: str


def hashes_of(chunks: Iterable[bytes], growth: Growth, *, is_copy: bool) -> Hashes:
    """Hash a log file's text and its stored bytes in one pass. Raises ``DamagedFile`` and ``OSError``."""
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
    """Yield the text of a gzip stream. Anything after it, even a second stream, is damage."""
    stream, stored, length = zlib.decompressobj(wbits=31), 0, 0
    for chunk in chunks:
        pending = chunk
        stored += len(chunk)
        while pending and not stream.eof:
            try:
                text = stream.decompress(pending, _PIECE_BYTES)
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
