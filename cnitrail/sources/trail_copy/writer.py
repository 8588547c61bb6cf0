"""Writes a local copy of a trail, file by file, each whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count
from secrets import token_hex
from shutil import rmtree
from typing import Final, TypedDict

from cnitrail.atomic import atomic_file
from cnitrail.errors import SourceError
from cnitrail.sources.file_lock import FileLock
from cnitrail.sources.trail_copy.format import KEYS, LOCK, SUMS, BadChecksumLine, is_inside, read_checksums

_INCOMING: Final = ".incoming"


class _TextMode(TypedDict):
    encoding: str
    errors: str
    newline: str


_TEXT: Final[_TextMode] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}


class TrailCopy:
    """A local copy of a trail, created or resumed.

    A file appears whole or not at all, and ``SHA256SUMS`` lists it then; writing may be stopped or killed at
    any moment. One process at a time writes to a copy. ``put`` may be called from several threads at once,
    everything else from one. Raises ``SourceError`` if the copy cannot be written, or is not one.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sums_path = os.path.join(folder, SUMS)
        self._incoming = os.path.join(folder, _INCOMING)
        self._run, self._number = token_hex(8), count()
        try:
            os.makedirs(folder, exist_ok=True)
            self._lock = FileLock(os.path.join(folder, LOCK))
        except BlockingIOError:
            raise SourceError(
                f"{folder}: another sync is writing to this copy",
                "wait until it has finished, then run this again",
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._open()
        except OSError as error:
            self._lock.release()
            raise self._unwritable(error) from None
        except SourceError:
            self._lock.release()
            raise
        self._root = os.path.realpath(folder)

    def _open(self) -> None:
        """Read and open the list of checksums; partial files of an earlier run are removed."""
        self._sums = dict(self._known())
        rmtree(self._incoming, ignore_errors=True)
        os.mkdir(self._incoming)
        self._list = open(self._sums_path, "a", **_TEXT)  # noqa: SIM115

    def _unwritable(self, error: OSError) -> SourceError:
        return SourceError(f"{self._folder}: cannot write a copy here: {error.strerror}")

    def has(self, path: str, size: int | None = None) -> bool:
        """Return whether a file is there, listed, and of this size."""
        if path not in self._sums:
            return False
        try:
            status = os.stat(os.path.join(self._folder, path))
        except OSError:
            return False
        return size is None or status.st_size == size

    def read(self, path: str) -> str | None:
        """Return the text of a file; None if there is none."""
        try:
            with open(os.path.join(self._folder, path), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, path: str, pieces: Iterable[bytes]) -> str:
        """Write a file, and return its SHA-256 in hex. A listed file is never replaced by a different one.

        Raises ``OSError``, and ``ValueError`` if the file must not be written.
        """
        target = os.path.join(self._folder, path)
        if not is_inside(path):
            raise ValueError("its name leads out of the copy, or is not valid on every operating system")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.commonpath([self._root, os.path.realpath(os.path.dirname(target))]) != self._root:
            raise ValueError("a link leads from its place out of the copy")
        arriving, hash_ = os.path.join(self._incoming, f"{self._run}-{next(self._number)}"), sha256()
        with atomic_file(target, "wb", arriving=arriving) as file:
            for piece in pieces:
                file.write(piece)
                hash_.update(piece)
            found = hash_.hexdigest()
            if path != KEYS and self._sums.get(path, found) != found:
                raise ValueError("it is not what was copied before; the copy is left as it is")
        return found

    def list(self, path: str, hash_: str) -> None:
        """Add a file that was written to the list of checksums."""
        if self._sums.get(path) != hash_:
            self._sums[path] = hash_
            self._list.write(f"{hash_}  {path}\n")
            self._list.flush()

    def close(self) -> None:
        """Sort the list of checksums, and release the copy."""
        try:
            self._list.close()
            arriving = os.path.join(self._incoming, SUMS)
            with atomic_file(self._sums_path, arriving=arriving, **_TEXT) as file:
                file.writelines(f"{hash_}  {path}\n" for path, hash_ in sorted(self._sums.items()))
            rmtree(self._incoming, ignore_errors=True)
        finally:
            self._lock.release()

    def _known(self) -> Iterator[tuple[str, str]]:
        """Yield the path and hash of each listed file; if one is listed twice, the last counts.

        A last line that breaks off (full disk, power failure) is removed, and its file is copied again.
        """
        if not os.path.exists(self._sums_path):
            if set(os.listdir(self._folder)) - {LOCK}:
                raise SourceError(
                    f"{self._folder}: it has files, but no {SUMS}, so it is not a copy of a trail",
                    "use a new directory",
                )
            return
        _cut_torn_line(self._sums_path)
        with open(self._sums_path, **_TEXT) as file:
            for line in read_checksums(file):
                if isinstance(line, BadChecksumLine):
                    raise SourceError(
                        f"{self._sums_path}: line {line.number} is not the checksum of a file in this copy",
                        f"cnitrail verify {self._folder} reports everything that is wrong with this copy",
                    )
                yield line


def _cut_torn_line(path: str) -> None:
    """Remove what follows the last complete line."""
    with open(path, "r+b") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
