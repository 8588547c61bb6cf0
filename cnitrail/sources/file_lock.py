"""A file lock, held by one process at a time."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock of the operating system, held until it is released or the process ends or is killed.

    Raises ``BlockingIOError`` if another process holds it, and ``OSError`` if the file cannot be locked.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        while True:
            self._file = open(path, "ab")  # noqa: SIM115  it is open as long as the lock is held
            try:
                _lock(self._file.fileno())
                if os.path.samestat(os.fstat(self._file.fileno()), os.stat(path)):
                    return
            except FileNotFoundError:
                pass
            except OSError:
                self._file.close()
                raise
            self._file.close()  # the holder before removed this file, and another may have locked a new one

    def release(self) -> None:
        """Remove the file, and release the lock."""
        if sys.platform == "win32":
            self._file.close()  # Windows cannot remove an open file
        with suppress(OSError):  # an empty file that stays does no harm
            os.unlink(self._path)
        self._file.close()


def _lock(descriptor: int) -> None:
    """Lock a file, or raise at once."""
    if sys.platform == "win32":
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, "locked") from None
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
