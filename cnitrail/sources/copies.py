"""What ``sync`` keeps beside the files of a copy, so that it can be verified without AWS, years later.

``SHA256SUMS``, in coreutils' form, is of every file as it is stored; ``public-keys.json`` beside it is what
``aws cloudtrail list-public-keys`` prints; and beside each digest lies what S3 knew of it, its signature
among that: ``{"bucket": …, "key": …, "metadata": {…}}``.
"""

import os
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count
from shutil import rmtree
from typing import Final

import msgspec
from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.model import Metadata
from cnitrail.sources.layout import digest_name

SUMS: Final = "SHA256SUMS"
KEYS: Final = "public-keys.json"
SIDECAR: Final = ".s3.json"

_INCOMING = ".incoming"
_LONGEST = 64 * 1024
_LONGEST_NAME = 200
_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>.+)\n")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class _Fields(Struct, frozen=True, forbid_unknown_fields=True):
    bucket: str
    key: str
    metadata: dict[str, str]


def is_of_a_copy(path: str) -> bool:
    """Whether a file is one that ``sync`` keeps beside others."""
    folder, name = os.path.split(path)
    if name == SUMS:
        return True
    if name == KEYS:
        return os.path.exists(os.path.join(folder, SUMS))
    return name.endswith(SIDECAR) and digest_name(name.removesuffix(SIDECAR)) is not None


def sidecar(metadata: Metadata) -> bytes:
    """What is kept beside a digest."""
    return msgspec.json.encode(_Fields(metadata.bucket, metadata.key, dict(metadata.values)), order="sorted")


def read_sidecar(path: str) -> Metadata | None:
    """What is kept beside a digest; None where nothing is.

    Raises ``ValueError`` where it is something else, and ``OSError``.
    """
    try:
        with open(path + SIDECAR, "rb") as file:
            text = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return None
    fields = msgspec.json.decode(text, type=_Fields)
    metadata = Metadata(fields.bucket, fields.key, fields.metadata)
    if sidecar(metadata) != text:
        raise ValueError("it is not as sync writes it")
    return metadata


def read_sums(lines: Iterable[str]) -> Iterator[tuple[str, str] | int]:
    """Each line's path and hash; the number of a line, from 1, that is none, or leads out of the folder.

    The lines come with their ends.
    """
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        yield (found["path"], found["hash"]) if found and is_inside(found["path"]) else number


def is_inside(path: str) -> bool:
    """Whether a path, with slashes, stays below the folder that it is relative to, on any system."""
    return _UNSAFE.search(path) is None and all(
        part not in {"", ".", ".."} and len(part.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME
        for part in path.split("/")
    )


class Copy:
    """A copy that is made, or gone on with.

    A file is there at once and whole, or not at all, and ``SHA256SUMS`` lists it then; it may be stopped
    or killed at any moment. ``put`` may be called from several threads at once, all else from one. Raises
    ``SourceError`` where the copy cannot be written, or is not one.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sums_path = os.path.join(folder, SUMS)
        self._incoming = os.path.join(folder, _INCOMING)
        self._number = count()
        try:
            os.makedirs(folder, exist_ok=True)
            self._sums = dict(self._known())
            rmtree(self._incoming, ignore_errors=True)
            os.mkdir(self._incoming)
            self._list = open(self._sums_path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        except OSError as error:
            raise SourceError(f"{folder}: a copy cannot be written here: {error.strerror}") from None
        self._root = os.path.realpath(folder)

    def has(self, path: str, size: int | None = None) -> bool:
        """Whether a file is there, of this size, and listed."""
        if path not in self._sums:
            return False
        try:
            status = os.stat(os.path.join(self._folder, path))
        except OSError:
            return False
        return size is None or status.st_size == size

    def read(self, path: str) -> str | None:
        """The text of a file; None where there is none."""
        try:
            with open(os.path.join(self._folder, path), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, path: str, pieces: Iterable[bytes]) -> str:
        """Write a file; its SHA-256 in hex. One that was listed is not replaced by another one.

        Raises ``OSError``, ``ValueError`` where the path is none to write to.
        """
        target = os.path.join(self._folder, path)
        if not is_inside(path):
            raise ValueError("its name would lead out of the copy, or is none that every system can store")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.commonpath([self._root, os.path.realpath(os.path.dirname(target))]) != self._root:
            raise ValueError("a link leads from its place out of the copy")
        arriving, hash_ = os.path.join(self._incoming, str(next(self._number))), sha256()
        with open(arriving, "wb") as file:
            for piece in pieces:
                file.write(piece)
                hash_.update(piece)
        found = hash_.hexdigest()
        if path != KEYS and self._sums.get(path, found) != found:
            raise ValueError("it is not what was copied before; the copy is left as it is")
        os.replace(arriving, target)
        return found

    def list(self, path: str, hash_: str) -> None:
        """Note a file that was written."""
        if self._sums.get(path) != hash_:
            self._sums[path] = hash_
            self._list.write(f"{hash_}  {path}\n")
            self._list.flush()

    def close(self) -> None:
        """Sort the list of checksums."""
        self._list.close()
        arriving = os.path.join(self._incoming, SUMS)
        with open(arriving, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{hash_}  {path}\n" for path, hash_ in sorted(self._sums.items()))
        os.replace(arriving, self._sums_path)
        rmtree(self._incoming, ignore_errors=True)

    def _known(self) -> Iterator[tuple[str, str]]:
        """What is listed already; of a file that is listed twice, what came last."""
        if not os.path.exists(self._sums_path):
            if os.listdir(self._folder):
                raise SourceError(
                    f"{self._folder}: there are files in it, but no {SUMS}: it is no copy of a trail",
                    "name a new directory",
                )
            return
        with open(self._sums_path, encoding="utf-8", newline="\n") as file:
            for line in read_sums(file):
                if isinstance(line, int):
                    raise SourceError(
                        f"{self._sums_path}: line {line} is no checksum of a file below its folder",
                        f"cnitrail verify {self._folder} tells what else is wrong with this copy",
                    )
                yield line
