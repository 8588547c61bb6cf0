"""Log files on this machine: a file, a directory with everything below it, standard input."""

import os
import stat
import sys
from collections.abc import Iterator
from functools import partial
from io import FileIO
from itertools import chain
from typing import BinaryIO, Final

from cnitrail.errors import SourceError
from cnitrail.model import Document, Reference, Scope, Skipped
from cnitrail.sources.trail_copy.format import is_of_a_copy
from cnitrail.store.file_header import is_store_head

_PIPE_HINT: Final = "pipe a log file: zcat FILE.json.gz | cnitrail timeline -"
_BESIDE_A_STORE: Final = ("-journal", "-lock")
_CHUNK_BYTES: Final = 1024 * 1024
_SMALL_FILE_BYTES: Final = 4 * _CHUNK_BYTES
"""Files up to this size are read at once."""


class FileSource:
    """A file, or every file below a directory, in the order of their names.

    Left out are the files that ``sync`` keeps beside the log files, and stores below a directory: a store is
    a copy of evidence. A store that is being filled is not even opened, as closing it would drop SQLite's
    locks on it. Raises ``SourceError`` if nothing exists at the path.
    """

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self.found = 0
        self.opens_slowly = False
        self._seen = scope.seen
        self._into = _identity(scope.into)
        if not os.path.lexists(uri):
            raise SourceError(
                f"{uri or repr(uri)}: no such file or directory",
                "use a log file, a directory, a store, s3://BUCKET, athena://DATABASE.TABLE, lookup: or -",
            )

    def documents(self) -> Iterator[Document | Skipped]:
        """Yield a document for each regular file; anything else, or what cannot be listed, is skipped."""
        for found in self.references():
            opened = found.open() if isinstance(found, Reference) else found
            if opened is None:
                self.withdraw()
            else:
                yield opened

    def references(self) -> Iterator[Reference | Skipped]:
        """Yield a reference to each regular file; anything else, or what cannot be listed, is skipped."""
        for found in self._new():
            self.found += 1
            yield found if isinstance(found, Skipped) else _reference(*found)

    def open(self, reference: Reference) -> Document | Skipped:
        """Return a file again as a document, or why it cannot be read."""
        opened = reference.open()
        assert opened is not None
        return opened

    def withdraw(self) -> None:
        """Count one file less: a store."""
        self.found -= 1

    def total_bytes(self) -> int:
        """Return the size of all files to be delivered."""
        return sum(found[1].st_size for found in self._new() if not isinstance(found, Skipped))

    def _new(self) -> Iterator[tuple[str, os.stat_result] | Skipped]:
        for found in walk(self.uri):
            if isinstance(found, Skipped):
                yield found
                continue
            path, status = found
            is_ours = self._into == (status.st_dev, status.st_ino) or is_of_a_copy(path)
            if not is_ours and not (self._seen and (shown(path), _etag(status)) in self._seen):
                yield found
            else:
                _debug("%s: passed over, %s", path, "not evidence" if is_ours else "seen")


class FileReference(Reference, frozen=True, kw_only=True):
    """A file that was not opened, as it was when it was found."""

    path: str
    is_regular: bool

    def open(self) -> Document | Skipped | None:
        """Return the file as a document, or why it cannot be read; None if it is a store."""
        pieces = file_pieces(self.path, self.size if self.is_regular else None)
        try:
            head = next(pieces, b"")
        except OSError as error:
            return _unread(self.path, error)
        if is_store_head(head):
            _debug("%s: passed over, a store", self.path)
            return None
        _debug("%s: opened, %d bytes", self.path, self.size)
        return Document(
            uri=self.uri,
            size=self.size,
            chunks=chain((head,), pieces),
            etag=self.etag,
            open=partial(_opened, self.path) if self.is_regular else None,
        )


class StandardInput:
    """Standard input, as one document."""

    def __init__(self, uri: str, _scope: Scope, hint: str = _PIPE_HINT) -> None:
        self.uri = uri
        self.found = 0
        self._hint = hint

    def documents(self) -> Iterator[Document | Skipped]:
        """Yield the one document."""
        file = standard_input(self._hint)
        if file.isatty():
            raise SourceError("-: standard input is a terminal", self._hint)
        self.found = 1
        yield Document(uri="-", chunks=_pieces(file))


def standard_input(hint: str = _PIPE_HINT) -> BinaryIO:
    """Return the bytes of standard input. Raises ``SourceError`` if it is closed."""
    if sys.stdin is None:
        raise SourceError("-: standard input is closed", hint)
    return sys.stdin.buffer


def walk(root: str) -> Iterator[tuple[str, os.stat_result] | Skipped]:
    """Yield the files at or below a path. A directory is read once, however many links lead to it."""
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
        # a pipe given as SOURCE (<(zcat x.gz)) is read; one in a directory would block
        if stat.S_ISREG(status.st_mode) or (path == root and stat.S_ISFIFO(status.st_mode)):
            yield path, status
        else:
            yield Skipped(shown(path), "not a regular file")


def _below(directory: str) -> list[str]:
    """Return the paths in a directory, sorted by name. Raises ``OSError``."""
    names = sorted(os.listdir(directory))
    return [os.path.join(directory, name) for name in names if not _is_beside_store(name, names)]


def shown(path: str) -> str:
    """Return a path as text; bytes that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _identity(path: str | None) -> tuple[int, int] | None:
    """Return what identifies a file under any name; None if there is no file."""
    if path is None or not os.path.exists(path):
        return None
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_beside_store(name: str, names: list[str]) -> bool:
    """Return whether SQLite or ``collect`` keeps the file beside a store, and may remove it at any moment."""
    return name.endswith(_BESIDE_A_STORE) and any(
        name.removesuffix(end) in names for end in _BESIDE_A_STORE if name.endswith(end)
    )


def _unread(path: str, error: OSError) -> Skipped:
    return Skipped(shown(path), f"cannot be read: {error.strerror or error}")


def _reference(path: str, status: os.stat_result) -> FileReference:
    return FileReference(
        uri=shown(path),
        size=status.st_size,
        etag=_etag(status),
        path=path,
        is_regular=stat.S_ISREG(status.st_mode),
    )


def file_pieces(path: str, size: int | None) -> Iterator[bytes]:
    """Yield the bytes of a file; a small one is closed with its first piece. Raises ``OSError``.

    ``size`` is None if it is not known, as for a pipe.
    """
    with FileIO(path) as file:
        if size is not None and size < _SMALL_FILE_BYTES:
            yield file.read(size)
        else:
            yield from _pieces(file)


def _opened(path: str) -> BinaryIO:
    return open(path, "rb")


def _pieces(file: BinaryIO | FileIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK_BYTES):
        yield piece


def _debug(message: str, path: str, *details: object) -> None:
    """Log a path, if anything has loaded ``logging``: reading files does not need it."""
    if (logging := sys.modules.get("logging")) is not None:
        logging.getLogger(__name__).debug(message, shown(path), *details)
