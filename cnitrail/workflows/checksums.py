"""``SHA256SUMS`` of a copy, compared with the files as they are stored."""

from __future__ import annotations

import os
import stat
from errno import EINVAL
from hashlib import file_digest
from typing import TYPE_CHECKING

from cnitrail.model import Charge, Extent, Fault, FaultKind, Skipped
from cnitrail.prefetch import prefetch
from cnitrail.sources.files import shown, walk
from cnitrail.sources.trail_copy.format import SUMS, BadChecksumLine, read_checksums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from cnitrail.sources.trail_reader import Trail


def check_sums(trails: Sequence[Trail], pool: Executor, most: int) -> Iterator[Fault | Skipped]:
    """Yield what differs from the checksums of copies, in the order of their lines.

    Every file of a copy must be listed, and every listed file must be there: a copy has
    nothing else. A list that cannot be read is skipped: it accuses nobody.
    """
    for path in dict.fromkeys(path for trail in trails for path in trail.checksum_files()):
        try:
            yield from _check(path, pool, most)
        except OSError as error:
            reason = f"these checksums cannot be read: {error.strerror or error}"
            yield Skipped(shown(path), reason, Extent.FILE)


def _check(path: str, pool: Executor, most: int) -> Iterator[Fault]:
    """Yield the faults of one list. Raises ``OSError`` if it cannot be read."""
    folder = os.path.dirname(path)
    listed: set[str] = set()
    hashed = prefetch(pool, lambda line: _hash(folder, line[0]), _lines(path), most=most)
    for (name, sum_), done in hashed:
        if not name:
            yield _fault(path, Charge.INVALID, sum_)
            continue
        is_repeated = name in listed
        listed.add(name)
        found = done.result()
        file = os.path.join(folder, name)
        if is_repeated:
            yield _fault(file, Charge.INVALID, "SHA256SUMS lists it twice", path)
        elif isinstance(found, FileNotFoundError):
            yield _fault(file, Charge.MISSING, "SHA256SUMS lists it, but it is not there", path)
        elif isinstance(found, OSError):
            reason = f"SHA256SUMS lists it, but it cannot be read: {found.strerror}"
            yield _fault(file, Charge.UNPROVEN, reason, path)
        elif found != sum_:
            reason = "its stored bytes are not those that were copied (SHA256SUMS)"
            yield _fault(file, Charge.INVALID, reason, path)
    for name in _files(path):
        if name not in listed:
            reason = "SHA256SUMS does not list it: it was added later, or sync did not finish (run it again)"
            yield _fault(os.path.join(folder, name), Charge.INVALID, reason, path)


def _lines(path: str) -> Iterator[tuple[str, str]]:
    """Yield names and checksums; without a name, what is wrong with a line. Raises ``OSError``."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in read_checksums(file):
            yield ("", _unreadable(line)) if isinstance(line, BadChecksumLine) else line


def _unreadable(line: BadChecksumLine) -> str:
    if line.torn:
        return f"line {line.number}, the last one, is cut off: sync did not finish (run it again)"
    return f"line {line.number} is not a checksum of a file below its directory"


def _hash(folder: str, name: str) -> str | OSError | None:
    """Return the SHA-256 of a file as it is stored, or why it cannot be read."""
    if not name:
        return None
    path = os.path.join(folder, name)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return OSError(EINVAL, "not a regular file")
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error


def _files(path: str) -> Iterator[str]:
    """Yield the files in the directory of a list and below it, by their relative paths, without the list."""
    folder = os.path.dirname(path) or os.curdir
    for found in walk(folder):
        if not isinstance(found, Skipped) and found[0] != os.path.join(folder, SUMS):
            yield os.path.relpath(found[0], folder).replace(os.sep, "/")


def _fault(uri: str, charge: Charge, reason: str, says: str | None = None) -> Fault:
    return Fault(
        kind=FaultKind.CHECKSUM, charge=charge, uri=shown(uri), reason=reason, digest=says and shown(says)
    )
