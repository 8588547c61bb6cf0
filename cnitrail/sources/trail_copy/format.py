"""Files that ``sync`` keeps beside a trail's own, so that a copy can be verified years later, without AWS.

``SHA256SUMS`` has the checksum of every stored file, in coreutils' format. ``public-keys.json`` is what
``aws cloudtrail list-public-keys`` prints. ``*.s3.json`` beside each digest is its S3 metadata, with its
signature: ``{"bucket": …, "key": …, "metadata": {…}}``.
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
"""An empty file that exists while ``sync`` writes to the copy, or after it was killed."""

_MAX_SIDECAR_BYTES: Final = 64 * 1024
_MAX_NAME_BYTES: Final = 200
_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>.+)\n")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class BadChecksumLine(Struct, frozen=True):
    """A line that is not the checksum of a file in the copy: its number, from 1, and if it breaks off."""

    number: int
    torn: bool


class _SidecarFields(Struct, frozen=True, forbid_unknown_fields=True):
    bucket: str
    key: str
    metadata: dict[str, str]


def is_of_a_copy(path: str) -> bool:
    """Return whether ``sync`` keeps a file beside a trail's own."""
    folder, name = os.path.split(path)
    if name in {SUMS, LOCK}:
        return True
    if name == KEYS:
        return os.path.exists(os.path.join(folder, SUMS))
    return name.endswith(SIDECAR) and digest_name(name.removesuffix(SIDECAR)) is not None


def sidecar(metadata: Metadata) -> bytes:
    """Return the file that is kept beside a digest: its S3 metadata as JSON."""
    return msgspec.json.encode(
        _SidecarFields(metadata.bucket, metadata.key, dict(metadata.values)), order="sorted"
    )


def read_sidecar(path: str) -> Metadata | None:
    """Return the S3 metadata that is kept beside a digest; None if there is none.

    Raises ``OSError``, and ``ValueError`` if ``sync`` did not write it.
    """
    beside = path + SIDECAR
    if not os.path.lexists(beside):
        return None
    if not os.path.isfile(beside):
        raise ValueError("not a regular file")
    with open(beside, "rb") as file:
        text = file.read(_MAX_SIDECAR_BYTES + 1)
    fields = msgspec.json.decode(text, type=_SidecarFields)
    metadata = Metadata(fields.bucket, fields.key, fields.metadata)
    if sidecar(metadata) != text:
        raise ValueError("not as cnitrail sync writes it")
    return metadata


def read_checksums(lines: Iterable[str]) -> Iterator[tuple[str, str] | BadChecksumLine]:
    """Yield the path and hash of each line, or a ``BadChecksumLine``. Lines include their line ends."""
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found and is_inside(found["path"]):
            yield found["path"], found["hash"]
        else:
            yield BadChecksumLine(number, torn=not line.endswith("\n"))


def is_inside(path: str) -> bool:
    """Return whether a relative path, with slashes, stays below its folder on any operating system."""
    return _UNSAFE.search(path) is None and all(
        part not in {"", ".", ".."} and len(part.encode("utf-8", "surrogateescape")) <= _MAX_NAME_BYTES
        for part in path.split("/")
    )
