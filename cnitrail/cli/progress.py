"""What is being read, on stderr, once reading takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_PATIENCE_SECONDS = 1.0


class Progress:
    """A line that appears after a second, on a terminal only, and leaves nothing behind."""

    def __init__(self, quiet: bool) -> None:
        self._silent = quiet or not sys.stderr.isatty()
        self._begun = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, files: int, size: int, events: int) -> None:
        """Show how far reading is: counts of files, stored bytes and relevant events."""
        if self._silent or time.monotonic() - self._begun < _PATIENCE_SECONDS:
            return
        if self._bar is None:
            self._bar, self._task = _bar()
        assert self._task is not None
        self._bar.update(self._task, files=files, completed=size, events=events)


def _bar() -> tuple[Bar, TaskID]:
    from rich.console import Console
    from rich.progress import DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[files]} files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[events]} relevant"),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("reading", total=None, files=0, events=0)
    bar.start()
    return bar, task
