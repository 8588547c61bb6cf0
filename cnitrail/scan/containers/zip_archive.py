"""Zip archives → their members, in the order of the directory.

``zipfile`` is not used: it decompresses bzip2 and LZMA members without a limit, keeps an object for every
entry of a directory of any size, and opens no archive that is cut short.
"""

import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from typing import BinaryIO, Final

from cnitrail.scan.containers.compression import BZIP2, DEFLATE, LZMA, XZ, ZSTD, one_stream
from cnitrail.scan.containers.streams import PIECE, Member, Meter, TornStream, peeked, unread
from cnitrail.scan.containers.zip_headers import (
    DESCRIPTOR_MAGIC,
    ENCRYPTED,
    ENTRY_MAGIC,
    HAS_DESCRIPTOR,
    HAS_END_MARKER,
    LOCAL_MAGIC,
    LOCAL_SIZE,
    MAX_END,
    MAX_ENTRY,
    SPLIT_MAGIC,
    Directory,
    Entry,
    directory_entry,
    directory_of,
    local_entry,
    rest_of_local_header,
)
from cnitrail.scan.multisearch import Bytes

_CUT: Final = "the zip archive is cut short: its directory is missing"
_DAMAGED: Final = "the zip archive is damaged"
_WRONG_CHECKSUM: Final = "the member of the zip archive is damaged (its checksum is wrong)"

_STORED: Final = 0
_LZMA: Final = 14
_CODECS: Final = {8: DEFLATE, 12: BZIP2, _LZMA: LZMA, 93: ZSTD, 95: XZ}


class ZipArchive:
    """A zip archive in a file; it is read in layer ``layer`` of a document."""

    def __init__(self, file: BinaryIO, meter: Meter, layer: int) -> None:
        self._file = file
        self._meter = meter
        self._layer = layer
        self._length = file.seek(0, 2)
        self._taken = 0
        self._position = 0
        self._next: int | None = None
        self._is_cut = False

    def members(self) -> Iterator[Member]:
        """Yield the files in the archive, in the order of its directory.

        Raises ``TornStream`` after the last one if the archive is cut short or damaged.
        """
        tail_at = max(0, self._length - MAX_END)
        directory = directory_of(self._read(tail_at, MAX_END), tail_at)
        if directory is None:
            yield from self._without_directory()
            return
        entries = 0
        for entry in self._entries(directory):
            entries += 1
            if entry.is_file:
                yield Member(entry.name, self._member(entry))
        if entries % 0x10000 != directory.entries % 0x10000:
            raise TornStream(f"{_DAMAGED}: its directory has {entries:,} of {directory.entries:,} entries")
        if trailing := len(directory.trailing.strip(b"\0")):
            raise TornStream(f"{trailing} bytes follow the end of the zip archive")

    def _entries(self, directory: Directory) -> Iterator[Entry]:
        """Yield the entries of the directory, which is read in pieces."""
        buffer, at, position = b"", 0, directory.start
        while True:
            if len(buffer) - at < MAX_ENTRY and position < directory.end:
                more = self._read(position, min(PIECE, directory.end - position))
                if not more:
                    raise TornStream(_CUT)
                buffer, at, position = buffer[at:] + more, 0, position + len(more)
            if at == len(buffer):
                return
            found = directory_entry(buffer, at)
            if found is None:
                raise TornStream(f"{_DAMAGED}: its directory is broken; the rest was not read")
            entry, at = found
            yield entry

    # --- members -------------------------------------------------------------------------------

    def _member(self, entry: Entry) -> Iterator[Bytes]:
        """Yield the text of a member of the directory."""
        found = self._local_entry(entry.at)
        if found is None:
            raise TornStream(f"{_DAMAGED}: no member at byte {entry.at:,}")
        _, start = found
        if start + entry.stored > self._length:
            raise TornStream(f"{_DAMAGED}: a member goes on after its end")
        self._taken += entry.stored
        if self._taken > self._length:
            raise self._meter.stop("a zip bomb, or damaged: its members overlap; unpack it first (unzip)")
        yield from self._text(entry, start)

    def _text(self, entry: Entry, start: int) -> Iterator[Bytes]:
        """Yield the text of a member whose size is known, which its checksum protects."""
        if not entry.stored and not entry.size:
            return
        crc, unused = yield from _with_crc(self._decompressed(entry, start, entry.stored))
        if crc != entry.crc:
            raise TornStream(_WRONG_CHECKSUM)
        if unused:
            raise TornStream(f"{len(unused)} bytes follow the end of the compressed text")

    def _decompressed(self, entry: Entry, start: int, stored: int) -> Generator[Bytes, None, Bytes]:
        """Yield the text that begins at an offset; return the bytes that follow it."""
        if entry.flags & ENCRYPTED:
            raise TornStream("encrypted; unpack it first (unzip)")
        if entry.method == _STORED:
            for piece in self._slices(start, stored, PIECE):
                self._meter.add(self._layer, len(piece), "zip")
                yield piece
            return b""
        codec = _CODECS.get(entry.method)
        if codec is None:
            raise TornStream(f"compressed by method {entry.method}, which is unknown; unpack it first (7z x)")
        slices: Iterator[Bytes] = self._slices(start, stored, codec.slices)
        pending = next(slices, b"")
        if entry.method == _LZMA:
            pending, slices = _as_lzma(entry, pending, slices)
        return (yield from one_stream(codec, pending, slices, self._meter, self._layer, "zip"))

    def _slices(self, start: int, stored: int, size: int) -> Iterator[bytes]:
        """Yield the stored bytes of a member in slices. Raises ``TornStream`` if there are fewer."""
        end, self._position = start + stored, start
        while self._position < end:
            found = self._read(self._position, min(size, end - self._position))
            if not found:
                self._is_cut = True
                raise TornStream(_CUT)
            self._position += len(found)
            yield found

    # --- without a directory -------------------------------------------------------------------

    def _without_directory(self) -> Iterator[Member]:
        """Yield the members of an archive that is cut short, one after the other."""
        at: int | None = 4 if self._read(0, 4) in SPLIT_MAGIC else 0
        while at is not None and (found := self._local_entry(at)) is not None:
            entry, start = found
            if entry.flags & HAS_DESCRIPTOR and not entry.stored:
                at = self._next = None
                pieces = self._streamed(entry, start)
                yield Member(entry.name, pieces)
                for _ in pieces:
                    pass
                at = self._next
            else:
                if entry.is_file:
                    yield Member(entry.name, self._text(entry, start))
                at = self._after(start + entry.stored, entry.flags)
            if self._is_cut:
                return
        raise TornStream(_CUT)

    def _local_entry(self, at: int) -> tuple[Entry, int] | None:
        """Return what the local header at an offset says, and where the member begins."""
        header = self._read(at, LOCAL_SIZE)
        following = rest_of_local_header(header)
        if following is None:
            return None
        start = at + LOCAL_SIZE + following
        return local_entry(header, self._read(at + LOCAL_SIZE, following), at), start

    def _streamed(self, entry: Entry, start: int) -> Iterator[Bytes]:
        """Yield the text of a member whose size is in a descriptor after it."""
        if entry.method != 8:
            raise TornStream(f"{_CUT}, and a member has no size")
        crc, unused = yield from _with_crc(self._decompressed(entry, start, self._length))
        end = self._position - len(unused)
        stated = self._read(end, 8).removeprefix(DESCRIPTOR_MAGIC)[:4]
        self._next = self._after(end, HAS_DESCRIPTOR)
        if stated != crc.to_bytes(4, "little"):
            raise TornStream(_WRONG_CHECKSUM)

    def _after(self, end: int, flags: int) -> int | None:
        """Return where the next member begins after the end of one, which a descriptor may follow."""
        if not flags & HAS_DESCRIPTOR:
            return end
        following = self._read(end, 32)
        found = [at for magic in (LOCAL_MAGIC, ENTRY_MAGIC) if (at := following.find(magic, 12)) >= 0]
        return end + min(found) if found else None

    def _read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes of the file; fewer at its end."""
        if not 0 <= at < self._length:
            return b""
        try:
            self._file.seek(at)
            return self._file.read(size)
        except OSError as error:
            raise unread(error) from None


def _as_lzma(entry: Entry, pending: Bytes, slices: Iterator[Bytes]) -> tuple[Bytes, Iterator[Bytes]]:
    """Return a member compressed by LZMA as an ``.lzma`` file: with another header (APPNOTE 5.8.8)."""
    head, rest = peeked(chain((pending,), slices), 9)
    unknown = entry.flags & HAS_END_MARKER
    size = b"\xff" * 8 if unknown else entry.size.to_bytes(8, "little")
    return bytes(head[4:9]) + size + head[9:], rest


def _with_crc(
    texts: Generator[Bytes, None, Bytes],
) -> Generator[Bytes, None, tuple[int, Bytes]]:
    """Yield texts; return their CRC-32, and what ``texts`` returns."""
    crc = 0
    while True:
        try:
            text = next(texts)
        except StopIteration as end:
            return crc, end.value
        crc = zlib.crc32(text, crc)
        yield text
