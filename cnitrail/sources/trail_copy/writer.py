"""A copy of a trail as it is written: file by file, whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count
from secrets import token_hex
from shutil import rmtree
from typing import Final, TypedDict

from cnitrail.errors import SourceError
from cnitrail.sources.lock import Lock
from cnitrail.sources.trail_copy.format import KEYS, LOCK, SUMS, BadLine, is_inside, read_sums

_INCOMING: Final = ".incoming"


class _TextMode(TypedDict):
    encoding: str
    errors: str
    newline: str


_TEXT: Final[_TextMode] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}


class Copy:
    """A copy that is made, or gone on with.

    A file is there at once and whole, or not at all, and ``SHA256SUMS`` lists it then; it may be stopped
    or killed at any moment. One process at a time has it. ``put`` may be called from several threads at
    once, all else from one. Raises ``SourceError`` if the copy cannot be written, or is not one.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sums_path = os.path.join(folder, SUMS)
        self._incoming = os.path.join(folder, _INCOMING)
        self._run, self._number = token_hex(8), count()
        try:
            os.makedirs(folder, exist_ok=True)
            self._lock = Lock(os.path.join(folder, LOCK))
        except BlockingIOError:
            raise SourceError(
                f"{folder}: another sync is writing to this copy",
                "wait until it has ended, then run this again",
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
        """Read what is listed, and make ready to add to it; what a run before left half done is removed."""
        self._sums = dict(self._known())
        rmtree(self._incoming, ignore_errors=True)
        os.mkdir(self._incoming)
        self._list = open(self._sums_path, "a", **_TEXT)  # noqa: SIM115

    def _unwritable(self, error: OSError) -> SourceError:
        return SourceError(f"{self._folder}: a copy cannot be written here: {error.strerror}")

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
        arriving, hash_ = os.path.join(self._incoming, f"{self._run}-{next(self._number)}"), sha256()
        with open(arriving, "xb") as file:
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
        """Sort the list of checksums, and let others write."""
        try:
            self._list.close()
            arriving = os.path.join(self._incoming, SUMS)
            with open(arriving, "w", **_TEXT) as file:
                file.writelines(f"{hash_}  {path}\n" for path, hash_ in sorted(self._sums.items()))
            os.replace(arriving, self._sums_path)
            rmtree(self._incoming, ignore_errors=True)
        finally:
            self._lock.release()

    def _known(self) -> Iterator[tuple[str, str]]:
        """What is listed already; of a file that is listed twice, what came last.

        A last line that broke off (the disk was full, the power failed) is removed, and its file is copied
        again.
        """
        if not os.path.exists(self._sums_path):
            if set(os.listdir(self._folder)) - {LOCK}:
                raise SourceError(
                    f"{self._folder}: there are files in it, but no {SUMS}: it is no copy of a trail",
                    "name a new directory",
                )
            return
        _cut_torn_line(self._sums_path)
        with open(self._sums_path, **_TEXT) as file:
            for line in read_sums(file):
                if isinstance(line, BadLine):
                    raise SourceError(
                        f"{self._sums_path}: line {line.number} is no checksum of a file below its folder",
                        f"cnitrail verify {self._folder} tells what else is wrong with this copy",
                    )
                yield line


def _cut_torn_line(path: str) -> None:
    """Cut off what follows the last line that has its end."""
    with open(path, "r+b") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
