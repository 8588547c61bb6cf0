"""What ``sync`` keeps beside the files of a copy, so that it can be verified without AWS, years later.

``SHA256SUMS``, in coreutils' form, is of every file as it is stored; ``public-keys.json`` beside it is what
``aws cloudtrail list-public-keys`` prints; and beside each digest lies what S3 knew of it, its signature
among that: ``{"bucket": …, "key": …, "metadata": {…}}``.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from cnitrail.model import Metadata
from cnitrail.sources.layout import digest_name

SUMS: Final = "SHA256SUMS"
KEYS: Final = "public-keys.json"
SIDECAR: Final = ".s3.json"
LOCK: Final = ".sync-lock"
"""An empty file that is there only while ``sync`` writes to the copy, or after it was killed."""

_LONGEST = 64 * 1024
_LONGEST_NAME = 200
_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>.+)\n")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class BadLine(Struct, frozen=True):
    """A line that is no checksum of a file in the folder: its number from 1, and whether it lacks its end."""

    number: int
    torn: bool


class _SidecarFields(Struct, frozen=True, forbid_unknown_fields=True):
    bucket: str
    key: str
    metadata: dict[str, str]


def is_of_a_copy(path: str) -> bool:
    """Whether a file is one that ``sync`` keeps beside others."""
    folder, name = os.path.split(path)
    if name in {SUMS, LOCK}:
        return True
    if name == KEYS:
        return os.path.exists(os.path.join(folder, SUMS))
    return name.endswith(SIDECAR) and digest_name(name.removesuffix(SIDECAR)) is not None


def sidecar(metadata: Metadata) -> bytes:
    """What is kept beside a digest."""
    return msgspec.json.encode(
        _SidecarFields(metadata.bucket, metadata.key, dict(metadata.values)), order="sorted"
    )


def read_sidecar(path: str) -> Metadata | None:
    """What is kept beside a digest; None where nothing is.

    Raises ``ValueError`` where it is something else, and ``OSError``.
    """
    beside = path + SIDECAR
    if not os.path.lexists(beside):
        return None
    if not os.path.isfile(beside):
        raise ValueError("not a regular file")
    with open(beside, "rb") as file:
        text = file.read(_LONGEST + 1)
    fields = msgspec.json.decode(text, type=_SidecarFields)
    metadata = Metadata(fields.bucket, fields.key, fields.metadata)
    if sidecar(metadata) != text:
        raise ValueError("it is not as sync writes it")
    return metadata


def read_sums(lines: Iterable[str]) -> Iterator[tuple[str, str] | BadLine]:
    """Each line's path and hash, or that it has none. The lines come with their ends."""
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found and is_inside(found["path"]):
            yield found["path"], found["hash"]
        else:
            yield BadLine(number, torn=not line.endswith("\n"))


def is_inside(path: str) -> bool:
    """Whether a path, with slashes, stays below the folder that it is relative to, on any system."""
    return _UNSAFE.search(path) is None and all(
        part not in {"", ".", ".."} and len(part.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME
        for part in path.split("/")
    )
