"""Files that are there whole, or not at all, even after a power failure."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_file(path: str, mode: str = "w", *, arriving: str | None = None, **text: Any) -> Iterator[IO[Any]]:
    """Yield a new file that replaces ``path`` at the end of the block; an exception removes it.

    It is written as ``arriving``, on the same file system; beside ``path`` under a new name if None. ``text``
    are the text options of ``open``. Raises ``OSError``.
    """
    arriving = arriving or f"{path}.{os.urandom(4).hex()}.part"
    file = open(arriving, mode.replace("w", "x"), **text)  # noqa: SIM115  closed before it is renamed
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(arriving, path)
    except BaseException:
        with suppress(OSError):  # a disk that was full is also full for what is still buffered
            file.close()
        with suppress(OSError):
            os.unlink(arriving)
        raise
    _sync_directory(os.path.dirname(path) or os.curdir)


def _sync_directory(path: str) -> None:
    """Make a rename durable, on systems that can."""
    with suppress(OSError):
        directory = os.open(path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
