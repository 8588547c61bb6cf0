"""Log files on this machine: a file, a directory with everything below it, standard input."""

import os
import stat
import sys
from collections.abc import Iterator
from io import FileIO
from itertools import chain
from typing import BinaryIO, Final

from cnitrail.errors import SourceError
from cnitrail.model import Document, Scope, Skipped
from cnitrail.sources.trail_copy.format import is_of_a_copy
from cnitrail.store.file_header import is_store_head

_BESIDE_A_STORE = ("-journal", "-lock")
_PIECE: Final = 1024 * 1024
_SMALL: Final = 4 * _PIECE
"""Up to so many bytes a file is read at once."""


class FileSource:
    """A file, or every file below a directory, in the order of their names.

    What ``sync`` keeps beside the log files is left out, and so is a store below a directory: it is a copy
    of evidence. One that is being filled is not
    even opened: closing it would take away the locks that SQLite has on it. Raises ``SourceError``
    where there is nothing at the path.
    """

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self.found = 0
        self._seen = scope.seen
        self._into = _identity(scope.into)
        if not os.path.lexists(uri):
            raise SourceError(
                f"{uri}: no such file or directory",
                "name a log file, a directory, a store, s3://BUCKET, lookup: or -",
            )

    def documents(self) -> Iterator[Document | Skipped]:
        """A document for each regular file; what is none, or cannot be listed, is skipped."""
        for found in self._new():
            self.found += 1
            if isinstance(found, Skipped):
                yield found
                continue
            path, status = found
            pieces = file_pieces(path, status)
            try:
                head = next(pieces, b"")
            except OSError as error:
                yield _unread(path, error)
                continue
            if is_store_head(head):
                self.found -= 1  # a copy of evidence is none
            else:
                yield Document(shown(path), status.st_size, chain((head,), pieces), _etag(status))

    def total_bytes(self) -> int:
        """The size of all files that are to be delivered."""
        return sum(found[1].st_size for found in self._new() if not isinstance(found, Skipped))

    def _new(self) -> Iterator[tuple[str, os.stat_result] | Skipped]:
        for found in walk(self.uri):
            if isinstance(found, Skipped):
                yield found
                continue
            path, status = found
            is_ours = self._into == (status.st_dev, status.st_ino) or is_of_a_copy(path)
            if not is_ours and (shown(path), _etag(status)) not in self._seen:
                yield found


class StandardInput:
    """Standard input, as one document."""

    def __init__(self, uri: str, _scope: Scope) -> None:
        self.uri = uri
        self.found = 0

    def documents(self) -> Iterator[Document | Skipped]:
        """The one document."""
        if sys.stdin is None or sys.stdin.isatty():
            raise SourceError(
                "-: nothing is piped in", "pipe a log file: zcat FILE.json.gz | cnitrail timeline -"
            )
        self.found = 1
        yield Document("-", None, _pieces(sys.stdin.buffer))


def walk(root: str) -> Iterator[tuple[str, os.stat_result] | Skipped]:
    """The files at or below a path. A directory is entered once, however many links lead to it."""
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in entered:
                    entered.add((status.st_dev, status.st_ino))
                    waiting += reversed(_below(path))
                continue
        except OSError as error:
            yield _unread(path, error)
            continue
        # A pipe that is named (<(zcat x.gz)) is meant; one that lies in a directory would be waited for.
        if stat.S_ISREG(status.st_mode) or (path == root and stat.S_ISFIFO(status.st_mode)):
            yield path, status
        else:
            yield Skipped(shown(path), "not a regular file")


def _below(directory: str) -> list[str]:
    """What lies in a directory, in the order of names. Raises ``OSError``."""
    names = sorted(os.listdir(directory))
    paths = (os.path.join(directory, name) for name in names)
    return [path for path in paths if not _is_beside_store(path, names)]


def shown(path: str) -> str:
    """A path as text; a name that is no UTF-8 has its odd bytes written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _identity(path: str | None) -> tuple[int, int] | None:
    """What a file is known by, under whatever name."""
    if path is None or not os.path.exists(path):
        return None
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_beside_store(path: str, names: list[str]) -> bool:
    """Whether a file is one that SQLite and collect put beside a store, and may take away any moment."""
    name = os.path.basename(path)
    return any(name.endswith(end) and name.removesuffix(end) in names for end in _BESIDE_A_STORE)


def _unread(path: str, error: OSError) -> Skipped:
    return Skipped(shown(path), f"cannot be read: {error.strerror or error}")


def file_pieces(path: str, status: os.stat_result) -> Iterator[bytes]:
    """The bytes of a file; a small one is closed with its first piece. Raises ``OSError``."""
    with FileIO(path) as file:
        if stat.S_ISREG(status.st_mode) and status.st_size < _SMALL:
            yield file.read(status.st_size)
        else:
            yield from _pieces(file)


def _pieces(file: BinaryIO | FileIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
