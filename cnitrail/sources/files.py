"""Log files on this machine: a file, a directory with everything below it, standard input."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cnitrail.errors import SourceError
from cnitrail.model import Document, Scope, Skipped

_PIECE = 1024 * 1024


class FileSource:
    """A file, or every file below a directory, in the order of their names.

    Raises ``SourceError`` where there is nothing at the path.
    """

    def __init__(self, uri: str, _scope: Scope) -> None:
        self.uri = uri
        if not os.path.lexists(uri):
            raise SourceError(f"{uri}: no such file or directory", "name a log file, a directory, or -")

    def documents(self) -> Iterator[Document | Skipped]:
        """A document for each regular file; what is none, or cannot be listed, is skipped."""
        yield from _walk(self.uri, seen=set())


class StandardInput:
    """Standard input, as one document."""

    def __init__(self, uri: str, _scope: Scope) -> None:
        self.uri = uri

    def documents(self) -> Iterator[Document | Skipped]:
        """The one document."""
        if sys.stdin is None or sys.stdin.isatty():
            raise SourceError(
                "-: nothing is piped in", "pipe a log file: zcat FILE.json.gz | cnitrail timeline -"
            )
        yield Document("-", None, _pieces(sys.stdin.buffer))


def _walk(path: str, seen: set[tuple[int, int]]) -> Iterator[Document | Skipped]:
    """The files at or below a path. A directory is entered once, however many links lead to it."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in seen:
                return
            seen.add((status.st_dev, status.st_ino))
            names = sorted(os.listdir(path))
        elif stat.S_ISREG(status.st_mode):
            yield Document(path, status.st_size, _file_pieces(path))
            return
        else:
            yield Skipped(path, "not a regular file")
            return
    except OSError as error:
        yield Skipped(path, f"cannot be read: {error.strerror or error}")
        return
    for name in names:
        yield from _walk(os.path.join(path, name), seen)


def _file_pieces(path: str) -> Iterator[bytes]:
    with Path(path).open("rb", buffering=0) as file:
        yield from _pieces(file)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
