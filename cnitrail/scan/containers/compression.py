"""Compressed streams → their text: gzip, bzip2, xz, LZMA and zstd, in pieces of bounded size."""

import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Protocol

from msgspec import Struct

from cnitrail.scan.containers.streams import GZIP_MAGIC, PIECE, Meter, TornStream, sliced
from cnitrail.scan.multisearch import Bytes

_SMALL: Final = 4 * 1024
"""Size of the slices of most codecs: if one is damaged, its text is lost."""

_LARGE: Final = 32 * 1024
"""Size of the slices for zlib, which finds the text before the damage when it reads the slice again."""

_MAX_WINDOW_LOG: Final = 27
_MAX_MEMORY: Final = 1 << _MAX_WINDOW_LOG
"""Maximum memory for the past text that a decompressor refers to: ``xz -9`` needs 65 MB, ``zstd --ultra -22``
needs 128 MB."""


class Decompressor(Protocol):
    """Decompresses one stream, as in the standard library's ``bz2`` and ``lzma``."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether no further text can be decompressed without further input."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end of the stream."""

    def decompress(self, data: Bytes, max_length: int = -1, /) -> bytes:
        """Return the next text, at most ``max_length`` bytes of it."""


Start = Callable[[], Decompressor]


class Codec(Struct, frozen=True, kw_only=True):
    """A way to compress a stream.

    ``magic`` are the bytes that a stream may begin with; a file may have several streams. ``library`` returns
    the function that starts the decompression of a stream, and the exception that decompressing raises.
    ``tool`` is the command for a stream that cannot be read here. ``slices`` is the size in bytes of the
    slices that are decompressed at once.
    """

    name: str
    magic: tuple[bytes, ...]
    library: Callable[[], tuple[Start, type[Exception]]]
    tool: str
    slices: int = _SMALL


class _Zlib:
    """A zlib decompressor with the interface of the others, which can be copied."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: Bytes, max_length: int = 0, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    def copy(self) -> "_Zlib":
        other = _Zlib.__new__(_Zlib)
        other._inner = self._inner.copy()  # noqa: SLF001  it is our own
        return other

    def salvaged(self, data: Bytes) -> Iterator[bytes]:
        """Yield the text before the damage, to the last byte."""
        data = self._inner.unconsumed_tail + data
        for at in range(len(data)):
            try:
                text = self._inner.decompress(data[at : at + 1])
            except zlib.error:
                return
            if text:
                yield text


def _zlib(wbits: int) -> Callable[[], tuple[Start, type[Exception]]]:
    return lambda: (lambda: _Zlib(wbits), zlib.error)


def _bz2() -> tuple[Start, type[Exception]]:
    import bz2

    return bz2.BZ2Decompressor, OSError


def _lzma() -> tuple[Start, type[Exception]]:
    import lzma

    return lambda: lzma.LZMADecompressor(memlimit=_MAX_MEMORY), lzma.LZMAError


def _zstd() -> tuple[Start, type[Exception]]:
    zstd: Any
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    options = {zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError


GZIP: Final = Codec(name="gzip", magic=(GZIP_MAGIC,), library=_zlib(31), tool="gunzip", slices=_LARGE)
DEFLATE: Final = Codec(name="deflate", magic=(), library=_zlib(-15), tool="unzip", slices=_LARGE)
BZIP2: Final = Codec(
    name="bzip2", magic=tuple(b"BZh%d" % size for size in range(1, 10)), library=_bz2, tool="bunzip2"
)
XZ: Final = Codec(name="xz", magic=(b"\xfd7zXZ\x00",), library=_lzma, tool="xz -d")
LZMA: Final = Codec(
    name="lzma",
    # LC, LP and PB as every encoder sets them, and a dictionary of 64 KB or more in whole or half powers of 2
    magic=tuple(
        b"\x5d" + (size << power).to_bytes(4, "little") for power in range(15, 30) for size in (2, 3)
    ),
    library=_lzma,
    tool="xz -d",
)
ZSTD: Final = Codec(
    name="zstd",
    magic=(b"\x28\xb5\x2f\xfd", *(bytes((kind, 0x2A, 0x4D, 0x18)) for kind in range(0x50, 0x60))),
    library=_zstd,
    tool="zstd -d",
)
CODECS: Final = (GZIP, ZSTD, BZIP2, XZ, LZMA)
"""The codecs of files, which begin with a magic number."""

_ZSTD_FRAME: Final = ZSTD.magic[0]


def is_checked(codec: Codec, head: Bytes) -> bool:
    """Return whether a checksum protects the text of a stream, according to its header."""
    if codec is XZ:
        return len(head) > 7 and head[7] & 0b1111 != 0
    if codec is ZSTD:
        return head.startswith(_ZSTD_FRAME) and len(head) > 4 and head[4] & 0b100 != 0
    return codec is not LZMA


def decompressed(codec: Codec, pieces: Iterator[Bytes], meter: Meter, layer: int) -> Iterator[Bytes]:
    """Yield the text of one stream after the other, in pieces of bounded size."""
    slices = meter.counted(sliced(pieces, codec.slices), layer)
    rest, length = next(slices, b""), max(map(len, codec.magic))
    while True:
        rest = yield from one_stream(codec, rest, slices, meter, layer)
        while len(rest) < length and (more := next(slices, b"")):
            rest += more
        if not rest.startswith(codec.magic):
            return _check_padding(codec, rest, slices)


def one_stream(
    codec: Codec,
    pending: Bytes,
    slices: Iterator[Bytes],
    meter: Meter,
    layer: int,
    container: str | None = None,
) -> Generator[Bytes, None, Bytes]:
    """Yield the text of a stream that begins with ``pending``; return the bytes that follow it."""
    decompressor, error_type = _started(codec)
    while True:
        before = decompressor.copy() if isinstance(decompressor, _Zlib) else None
        try:
            text = decompressor.decompress(pending, PIECE)
        except error_type as error:
            if before is not None:
                yield from before.salvaged(pending)
            raise _damage(codec, error) from None
        meter.add(layer, len(text), container or codec.name)
        if text:
            yield text
        if decompressor.eof:
            return decompressor.unused_data
        pending = next(slices, b"") if decompressor.needs_input else b""
        if not pending and not text:
            raise TornStream(f"the {codec.name} stream is cut short")


def _started(codec: Codec) -> tuple[Decompressor, type[Exception]]:
    try:
        start, error_type = codec.library()
    except ImportError:
        reason = f"{codec.name}-compressed, which this Python cannot read; decompress it first ({codec.tool})"
        raise TornStream(reason) from None
    return start(), error_type


def _damage(codec: Codec, error: Exception) -> TornStream:
    """Return a library's error as a sentence; lzma and zstd mention memory only if it does not suffice."""
    if "memory" in str(error).lower():
        needed = f"needs more than {_MAX_MEMORY >> 20} MB of memory"
        return TornStream(f"the {codec.name} stream {needed}; decompress it first ({codec.tool})")
    return TornStream(f"the {codec.name} stream is damaged ({error})")


def _check_padding(codec: Codec, rest: Bytes, slices: Iterator[Bytes]) -> None:
    """Raise ``TornStream`` if anything but zeros, which are padding on tapes, follows a stream."""
    trailing = 0
    while rest:
        trailing += len(rest.lstrip(b"\0"))
        rest = next(slices, b"")
    if trailing:
        raise TornStream(f"{trailing} bytes follow the end of the {codec.name} stream")
