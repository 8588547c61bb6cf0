"""Gzip streams → their text: in one call if that is faster, as it is for nearly all log files."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from cnitrail.scan.containers.streams import GZIP_MAGIC, HEAD, Meter, peeked
from cnitrail.scan.multisearch import Bytes, count

try:
    import deflate
except ImportError:
    deflate = None  # type: ignore[assignment, unused-ignore]

AT_ONCE: Final = 16 * 1024 * 1024
"""Maximum size in bytes of a text that is decompressed in one call."""

GZIPPED: Final = ("gzip",)
"""The containers of a text that is only gzipped."""

_MEMBER: Final = GZIP_MAGIC + b"\x08"
_TRAILER: Final = 4
_FREED: Final = 4 * 1024 * 1024


def raise_mmap_threshold() -> None:
    """Raise glibc's mmap threshold, so that the memory of one text is reused for the next.

    glibc returns freed memory to the system unless it has seen a larger block freed (mallopt(3),
    M_MMAP_THRESHOLD). Paging it in again for each text costs half as much as the decompression.
    """
    bytearray(_FREED)


def gunzipped(head: Bytes, rest: Iterator[Bytes], meter: Meter, layer: int) -> tuple[Bytes, Iterator[Bytes]]:
    """Return the beginning of the text of a gzip stream, and the text after it.

    The beginning has ``HEAD`` bytes, if there are that many. The text is in one piece if that is faster, else
    in pieces of bounded size.
    """
    more, rest = peeked(rest, 1)
    text = None if more else _at_once(head, meter, layer)
    if text is not None:
        return text, rest
    from cnitrail.scan.containers.compression import GZIP, decompressed

    return peeked(decompressed(GZIP, chain((head, more), rest), meter, layer), HEAD)


def _at_once(stored: Bytes, meter: Meter, layer: int) -> Bytes | None:
    """Return the text of a gzip stream of one member; None if it may be anything else.

    libdeflate reads only one member, and must be given the length of its text, which is in the last bytes
    of the stream. So trailing bytes are not noticed here if they end with that same length.
    """
    length = int.from_bytes(stored[-_TRAILER:], "little")
    plausible = 0 < length <= AT_ONCE and meter.allows(layer, length, len(stored))
    if deflate is None or not plausible or count(stored, _MEMBER) > 1:
        return None
    try:
        text = deflate.gzip_decompress(stored, length)
    except deflate.DeflateError:
        return None
    if len(text) != length:
        return None
    meter.take(layer, length, len(stored))
    return text
