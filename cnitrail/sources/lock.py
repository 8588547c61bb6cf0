"""A folder that one process at a time may write to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Lock:
    """An exclusive lock of the operating system: held until it is released, or the process ends or is killed.

    Raises ``BlockingIOError`` if another process has it, and ``OSError`` if the file cannot be locked.
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
            self._file.close()  # who had it before has removed this very file: another may hold a new one

    def release(self) -> None:
        """Remove the file, and with it the lock."""
        if sys.platform == "win32":
            self._file.close()  # an open file cannot be removed there
        with suppress(OSError):  # an empty file may stay: the next to come locks it
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
