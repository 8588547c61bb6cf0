"""Tar archives → their members, as they pass by.

The headers are parsed by ``tarfile``. Its own way through an archive is not used: it keeps extended headers
of any size in memory, and some versions never end if a size is negative.
"""

import tarfile
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from cnitrail.scan.containers.names import decoded
from cnitrail.scan.containers.streams import PIECE, Member, TornStream, raising
from cnitrail.scan.multisearch import Bytes

_BLOCK: Final = tarfile.BLOCKSIZE
_CUT: Final = "the tar archive is cut short"
_NO_FILE: Final = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE),
)
"""Types of members that have no content, whatever their size says."""

_EXTENDED_SPARSE: Final = 482, 504
"""Offset of the byte that says that another block of holes follows: in the header, and in such a block."""


class _Extended(Struct, frozen=True):
    """What extended headers say about the next member."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False


def is_tar(head: Bytes) -> bool:
    """Return whether a stream begins with the header of a tar archive."""
    return _header(bytes(head[:_BLOCK])) is not None


def tar_members(pieces: Iterator[Bytes]) -> Iterator[Member]:
    """Yield the files in a tar archive, or in several one after the other.

    Raises ``TornStream`` after the last one if the archive is cut short or damaged, unless reading the last
    member has already raised it.
    """
    blocks = _Blocks(pieces)
    ended, extended = False, _Extended()
    while block := blocks.read(_BLOCK):
        if len(block) == _BLOCK and not block.strip(b"\0"):
            ended = True
            continue
        header = _header(block)
        if header is None and len(block) == _BLOCK:
            where = "data follows its end" if ended else f"no header at byte {blocks.offset - _BLOCK:,}"
            raise TornStream(f"the tar archive is damaged ({where}); the rest was not read")
        if header is None:
            raise blocks.cut()
        ended = False
        if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            extended = _of_pax(blocks.whole(header.size))
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            extended = _Extended(blocks.whole(header.size).partition(b"\0")[0])
        elif header.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            blocks.whole(header.size)
        else:
            yield from _member(blocks, header, block, extended)
            extended = _Extended()
            if blocks.torn:
                return
    if not ended or blocks.error is not None:
        raise blocks.cut()


def _member(
    blocks: "_Blocks", header: tarfile.TarInfo, block: bytes, extended: _Extended
) -> Iterator[Member]:
    """Yield the member of a header, if it is a file, and pass over what was not read of it."""
    name = decoded(extended.name or header.name.encode("utf-8", "surrogateescape"))
    sparse = extended.sparse or header.type == tarfile.GNUTYPE_SPARSE
    at, following = _EXTENDED_SPARSE
    while header.type == tarfile.GNUTYPE_SPARSE and block[at]:
        block, at = blocks.whole(_BLOCK), following
    size = header.size if extended.size is None else extended.size
    blocks.left = 0 if header.type in _NO_FILE else size
    padding = -blocks.left % _BLOCK
    if sparse:
        yield Member(name, raising(TornStream("a sparse file in a tar archive; unpack it first (tar -xf)")))
    elif header.type not in (*_NO_FILE, b"D", b"V"):
        yield Member(name, blocks.member())
    if not blocks.torn:
        blocks.skip(blocks.left + padding)


def _header(block: bytes) -> tarfile.TarInfo | None:
    """Return the header in a block; None if it is not one. A header has zeros, unlike text."""
    if b"\0" not in block:
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return header if header.size >= 0 else None


def _of_pax(data: bytes) -> _Extended:
    """Return what the records of a pax header say: each is its length, a blank, a key, "=", a value, LF."""
    found: dict[bytes, bytes] = {}
    at = 0
    while data[at : at + 1].strip(b"\0"):
        length, blank, _ = data[at : at + 20].partition(b" ")
        if not blank or not length.isdigit() or not (end := at + int(length)) > at + len(length) + 1:
            raise TornStream("the tar archive is damaged (a broken pax header); the rest was not read")
        key, _, value = data[at + len(length) + 1 : end - 1].partition(b"=")
        found[key] = value
        at = end
    size = found.get(b"size", b"")
    return _Extended(
        found.get(b"GNU.sparse.name", found.get(b"path")),
        int(size) if size.isdigit() and len(size) < 20 else None,
        any(key.startswith(b"GNU.sparse.") for key in found),
    )


class _Blocks:
    """The bytes of an archive, in the amounts that are asked for.

    ``left`` is what was not read of the member. ``error`` says how the stream is torn;
    ``torn`` is set as soon as that has been raised.
    """

    def __init__(self, pieces: Iterator[Bytes]) -> None:
        self.offset = 0
        self.left = 0
        self.torn = False
        self.error: TornStream | None = None
        self._pieces = pieces
        self._piece: Bytes = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes; fewer only at the end."""
        found = self._take(size)
        if len(found) < size:
            parts, missing = [found], size - len(found)
            while missing and self._advance():
                parts.append(self._take(missing))
                missing -= len(parts[-1])
            found = b"".join(parts)
        self.offset += len(found)
        return found

    def whole(self, size: int) -> bytes:
        """Return the content of an extended header, without its padding."""
        if size > PIECE:
            raise TornStream(
                "the tar archive has an extended header of more than 1 MB; the rest was not read"
            )
        found = self.read(size + -size % _BLOCK)
        if len(found) < size:
            raise self.cut()
        return found[:size]

    def member(self) -> Iterator[Bytes]:
        """Yield what is left of the member."""
        while self.left:
            piece = self.read(min(self.left, PIECE))
            if not piece:
                raise self.cut()
            self.left -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Skip ``size`` bytes. Raises ``TornStream`` if there are fewer."""
        while size:
            piece = self.read(min(size, PIECE))
            if not piece:
                raise self.cut()
            size -= len(piece)

    def cut(self) -> TornStream:
        """Return why there are no more bytes."""
        self.torn = True
        return self.error or TornStream(_CUT)

    def _take(self, size: int) -> bytes:
        found = self._piece[self._at : self._at + size]
        self._at += len(found)
        return bytes(found)

    def _advance(self) -> bool:
        if self.error is not None:
            return False
        try:
            self._piece, self._at = next(self._pieces, b""), 0
        except TornStream as torn:
            self.error, self._piece, self._at = torn, b"", 0
        return bool(self._piece)
