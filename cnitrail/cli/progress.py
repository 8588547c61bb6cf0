"""What is being read, on stderr, once reading takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from cnitrail.cli.stderr import say
from cnitrail.sources import Measured

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from cnitrail.model import Note
    from cnitrail.sources import Source

_PATIENCE_SECONDS = 1.0


class Progress:
    """A line that appears after a second, on a terminal only, and leaves nothing behind.

    ``counted`` is what is counted of the files that are read.
    """

    def __init__(self, quiet: bool, counted: str = "relevant") -> None:
        self._quiet = quiet
        self._counted = counted
        self._silent = quiet or sys.stderr is None or not sys.stderr.isatty()
        self._expected = 0
        self._begun = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._measure: Callable[[], int] | None = None
        self._base = 0

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

    def say(self, text: str) -> None:
        """Say something about the reading, unless all is to be quiet."""
        from cnitrail.render.safe import printable

        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def note(self, note: Note, files: int) -> None:
        """Say what a source says, after so many files; the time left is shown once it is known."""
        self.say(f"{note.source}: {note.text}")
        if note.documents is not None:
            self.expect(files + note.documents)

    def expect(self, files: int) -> None:
        """How many files there will be in the end, about; from then on the time left is shown."""
        self._expected = files

    def begin(self, source: Source, size: int) -> None:
        """A source begins, after ``size`` bytes of others; how much it has is asked only if shown."""
        self._measure = source.total_bytes if isinstance(source, Measured) else None
        self._base = size
        if self._bar is not None:
            self._show_total()

    def advance(self, files: int, size: int, events: int) -> None:
        """Show how far reading is: counts of files, stored bytes and what is counted of them."""
        if self._silent or time.monotonic() - self._begun < _PATIENCE_SECONDS:
            return
        if self._bar is None:
            self._bar, self._task = _bar(self._counted)
            self._show_total()
        assert self._task is not None
        left = self._left(files)
        self._bar.update(self._task, files=files, completed=size, events=events, left=left)

    def _left(self, files: int) -> str:
        """How long it will take from here, as far as it has been told."""
        if not 0 < files < self._expected:
            return ""
        passed = time.monotonic() - self._begun
        seconds = round(passed / files * (self._expected - files))
        return f"of about {self._expected:,} ({seconds // 60}:{seconds % 60:02} left)"

    def _show_total(self) -> None:
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, total=self._base + self._measure() if self._measure else None)


def _bar(counted: str) -> tuple[Bar, TaskID]:
    from rich.console import Console
    from rich.progress import (
        DownloadColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[files]} files {task.fields[left]}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn(f"{{task.fields[events]}} {counted}"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("reading", total=None, files=0, events=0, left="")
    bar.start()
    return bar, task
