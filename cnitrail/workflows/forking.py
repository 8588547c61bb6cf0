"""Copies of this process, to use more than one processor core."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Final

MOST_WORKERS: Final = 8
"""Default maximum: the one process that puts all results together keeps about this many busy."""


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Return whether a copy of this process works: a lock that another thread holds is held forever in it.

    macOS's own libraries have such threads.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def can_fetch_in_fork() -> bool:
    """Return whether a copy of this process can fetch objects of S3: obstore's threads would not be in it."""
    return can_fork() and "obstore" not in sys.modules


def forked() -> int:
    """Return the ID of a new copy of this process; 0 in the copy itself. Raises ``OSError``."""
    import warnings

    with warnings.catch_warnings():  # of threads: those of Python were looked for, others hold no lock of it
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def end_process(process_id: int) -> str:
    """End a copy of this process, whatever it does; return how it ended, or had ended before."""
    import signal

    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])
    except ChildProcessError:
        return "unknown"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
