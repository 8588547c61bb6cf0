"""Stored bytes → their text, or its hash: one gzip stream and nothing else, in bounded memory.

In a bucket everything is zipped, as CloudTrail writes it. A copy may have been unzipped: what does not
begin as a gzip stream is taken as it is there.
"""

import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Final

from cnitrail.validation.damage import Damage

LONGEST_DIGEST: Final = 16 * 1024 * 1024
"""The longest text of a digest that is read, in bytes: one that lists some thirty thousand log files."""

LONGEST_LOG: Final = 8 * 1024 * 1024 * 1024
"""The longest text of a log file that is hashed, in bytes. AWS states 50 MB, compressed, as the most."""

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1024 * 1024


def text_of(chunks: Iterable[bytes], *, is_copy: bool) -> bytes:
    """The text of a digest. Raises ``Damage`` and ``OSError``."""
    return b"".join(_text(chunks, LONGEST_DIGEST, is_copy=is_copy))


def hash_of(chunks: Iterable[bytes], *, is_copy: bool) -> str:
    """SHA-256 of a log file's text, in hex. Raises ``Damage`` and ``OSError``."""
    digest = sha256()
    for piece in _text(chunks, LONGEST_LOG, is_copy=is_copy):
        digest.update(piece)
    return digest.hexdigest()


def _text(chunks: Iterable[bytes], longest: int, *, is_copy: bool) -> Iterator[bytes]:
    pieces = iter(chunks)
    first = next(pieces, b"")
    if not is_copy or first.startswith(_GZIP):
        yield from _inflated(chain((first,), pieces), longest)
        return
    length = 0
    for piece in chain((first,), pieces):
        length += len(piece)
        if length > longest:
            raise Damage(f"it is longer than {longest:,} bytes")
        yield piece


def _inflated(chunks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """The text of a gzip stream, in pieces. A second stream behind it is damage, as all else is."""
    stream, length = zlib.decompressobj(wbits=31), 0
    for chunk in chunks:
        pending = chunk
        while pending and not stream.eof:
            try:
                text = stream.decompress(pending, _PIECE)
            except zlib.error as error:
                raise Damage(f"its gzip stream is damaged ({error})") from None
            length += len(text)
            if length > longest:
                raise Damage(f"it is longer than {longest:,} bytes when it is unzipped")
            yield text
            pending = stream.unconsumed_tail
        if stream.unused_data or (stream.eof and pending):
            raise Damage("bytes follow the end of its gzip stream")
    if not stream.eof:
        raise Damage("its gzip stream is cut short")
