"""``SHA256SUMS`` beside a copy, held against the files as they are stored."""

from __future__ import annotations

import os
import stat
from errno import EINVAL
from hashlib import file_digest
from typing import TYPE_CHECKING

from cnitrail.model import Charge, Fault, FaultKind, Skipped
from cnitrail.prefetch import prefetch
from cnitrail.sources.files import shown, walk
from cnitrail.sources.trail_copy.format import SUMS, BadLine, read_sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from cnitrail.sources.trails import Trail


def check_sums(trails: Sequence[Trail], pool: Executor, most: int) -> Iterator[Fault]:
    """What differs from the checksums that are kept with copies, in the order of their lines.

    Every file of a copy must be listed, and every file that is listed must be there: a copy is no
    place for anything else.
    """
    for path in dict.fromkeys(path for trail in trails for path in trail.sum_files()):
        yield from _check(path, pool, most)


def _check(path: str, pool: Executor, most: int) -> Iterator[Fault]:
    folder = os.path.dirname(path)
    listed: set[str] = set()

    def lines() -> Iterator[tuple[str, str]]:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for line in read_sums(file):
                yield ("", _unreadable(line)) if isinstance(line, BadLine) else line

    for (name, hash_), done in prefetch(pool, lambda line: _hash(folder, line[0]), lines(), most=most):
        if not name:
            yield _fault(path, Charge.INVALID, hash_)
            continue
        is_again = name in listed
        listed.add(name)
        found = done.result()
        file = os.path.join(folder, name)
        if is_again:
            yield _fault(file, Charge.INVALID, "SHA256SUMS lists it twice", path)
        elif isinstance(found, FileNotFoundError):
            yield _fault(file, Charge.MISSING, "SHA256SUMS lists it, but it is not there", path)
        elif isinstance(found, OSError):
            reason = f"SHA256SUMS lists it, but it cannot be read: {found.strerror}"
            yield _fault(file, Charge.UNPROVEN, reason, path)
        elif found != hash_:
            reason = "its bytes as they are stored are not those that were copied (SHA256SUMS)"
            yield _fault(file, Charge.INVALID, reason, path)
    for name in _files(path):
        if name not in listed:
            reason = "SHA256SUMS does not list it: it was put here later, or sync did not end (run it again)"
            yield _fault(os.path.join(folder, name), Charge.INVALID, reason, path)


def _unreadable(line: BadLine) -> str:
    """What to say of a line that is no checksum."""
    if line.torn:
        return f"line {line.number}, the last one, breaks off: sync did not end (run it again)"
    return f"line {line.number} is no checksum of a file below its folder"


def _hash(folder: str, name: str) -> str | OSError | None:
    """The SHA-256 of a file as it is stored."""
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
    """The files in the list's folder and below it, by their paths from there, but for the list itself."""
    folder = os.path.dirname(path) or os.curdir
    for found in walk(folder):
        if not isinstance(found, Skipped) and found[0] != os.path.join(folder, SUMS):
            yield os.path.relpath(found[0], folder).replace(os.sep, "/")


def _fault(uri: str, charge: Charge, reason: str, says: str | None = None) -> Fault:
    return Fault(FaultKind.CHECKSUM, charge, shown(uri), reason, says and shown(says))
