"""The headers of zip archives, by PKWARE's APPNOTE.TXT (4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.5.3)."""

import struct
from stat import S_IFLNK, S_IFMT
from typing import Final

from msgspec import Struct

from cnitrail.scan.containers.names import decoded

LOCAL_MAGIC: Final = b"PK\x03\x04"
ENTRY_MAGIC: Final = b"PK\x01\x02"
DESCRIPTOR_MAGIC: Final = b"PK\x07\x08"
SPLIT_MAGIC: Final = DESCRIPTOR_MAGIC, b"PK00"
"""What an archive of several parts begins with, also if there is only one."""

_END_MAGIC: Final = b"PK\x05\x06"
_END64_MAGIC: Final = b"PK\x06\x06"
_LOCATOR_MAGIC: Final = b"PK\x06\x07"

_END: Final = struct.Struct("<4s6xHLLH")
_END64: Final = struct.Struct("<4s28xQQQ")
_LOCATOR: Final = struct.Struct("<4s16x")
_ENTRY: Final = struct.Struct("<4sxB2xHH4xLLLHHH4xLL")
_LOCAL: Final = struct.Struct("<4s2xHH4xLLLHH")

LOCAL_SIZE: Final = _LOCAL.size
"""Size in bytes of a local header without the name and the extra fields after it."""

MAX_ENTRY: Final = _ENTRY.size + 3 * 0xFFFF
"""Maximum size in bytes of an entry of the directory."""

MAX_END: Final = _LOCATOR.size + _END64.size + _END.size + 0xFFFF
"""Maximum size in bytes of what follows the directory."""

ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
HAS_END_MARKER: Final = 1 << 1
HAS_DESCRIPTOR: Final = 1 << 3
_IS_UTF8: Final = 1 << 11

_UNIX: Final = 3
_IN_ZIP64: Final = 0xFFFFFFFF


class Entry(Struct, frozen=True, kw_only=True):
    """What a header says about a member; ``at`` is the offset of its local header."""

    name: str
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    at: int
    is_link: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the member is neither a folder nor a symbolic link."""
        return not self.is_link and not (self.name.endswith("/") and not self.size)


class Directory(Struct, frozen=True):
    """Where the central directory is, and the number of its entries; ``trailing`` follows its end."""

    start: int
    end: int
    entries: int
    trailing: bytes


def directory_of(tail: bytes, tail_at: int) -> Directory | None:
    """Return where the directory is; None if it is missing, or is that of a zip inside the archive.

    ``tail`` are the last bytes of the archive, at most ``MAX_END``, and ``tail_at`` is their offset.
    """
    at = tail.rfind(_END_MAGIC, 0, len(tail) - _END.size + len(_END_MAGIC))
    if at < 0:
        return None
    _, entries, size, offset, comment = _END.unpack_from(tail, at)
    trailing = tail[at + _END.size + comment :]
    if tail.startswith(_LOCATOR_MAGIC, max(0, at - _LOCATOR.size)):
        at -= _LOCATOR.size + _END64.size
        if at < 0 or not tail.startswith(_END64_MAGIC, at):
            return None
        _, entries, size, offset = _END64.unpack_from(tail, at)
    end = tail_at + at
    return Directory(offset, end, entries, trailing) if offset + size == end else None


def directory_entry(buffer: bytes, at: int) -> tuple[Entry, int] | None:
    """Return the entry of a directory at an offset, and the offset of the next one; None if it is broken."""
    if len(buffer) - at < _ENTRY.size or not buffer.startswith(ENTRY_MAGIC, at):
        return None
    _, system, flags, method, crc, stored, size, name, extra, comment, attributes, local = _ENTRY.unpack_from(
        buffer, at
    )
    at += _ENTRY.size
    end = at + name + extra + comment
    if len(buffer) < end:
        return None
    size, stored, local = _zip64(buffer[at + name : at + name + extra], size, stored, local)
    entry = Entry(
        name=_name(buffer[at : at + name], flags),
        flags=flags,
        method=method,
        crc=crc,
        stored=stored,
        size=size,
        at=local,
        is_link=system == _UNIX and S_IFMT(attributes >> 16) == S_IFLNK,
    )
    return entry, end


def rest_of_local_header(header: bytes) -> int | None:
    """Return the size of the name and the extra fields after a local header; None if it is not one."""
    if len(header) < _LOCAL.size or not header.startswith(LOCAL_MAGIC):
        return None
    *_, name, extra = _LOCAL.unpack(header)
    return int(name + extra)


def local_entry(header: bytes, rest: bytes, at: int) -> Entry:
    """Return the entry of a local header, and of what follows it; ``at`` is its offset."""
    _, flags, method, crc, stored, size, name, _ = _LOCAL.unpack(header)
    size, stored = _zip64(rest[name:], size, stored)
    return Entry(
        name=_name(rest[:name], flags),
        flags=flags,
        method=method,
        crc=crc,
        stored=stored,
        size=size,
        at=at,
    )


def _zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    """Return the values of a header; those that need more than 32 bits are in an extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        at += 4
        if kind == 1:
            count = min(length, len(extra) - at) // 8
            wide = iter(struct.unpack_from(f"<{count}Q", extra, at))
            return tuple(next(wide, value) if value == _IN_ZIP64 else value for value in values)
        at += length
    return values


def _name(name: bytes, flags: int) -> str:
    """Return the name of a member: UTF-8, also if the flag for it is missing, else code page 437."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return decoded(name) if flags & _IS_UTF8 else name.decode("cp437")
