"""Progress on stderr, once reading takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from cnitrail.cli.interrupt import Interruption
from cnitrail.cli.stderr import say, wrapped
from cnitrail.render.safe import printable
from cnitrail.sources import Measured

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from cnitrail.cli.lookup_progress import LookupView
    from cnitrail.cli.query_progress import QueryView
    from cnitrail.model import LookupProgress, Note
    from cnitrail.model.table import QueryProgress
    from cnitrail.sources import Source

_PROGRESS_DELAY = 1.0
"""Seconds until progress is shown."""


class Progress:
    """A line that appears after a second, on a terminal only, and leaves nothing behind.

    It is the observer of the workflows (``cnitrail.workflows.observer``). Lookups and
    queries have views of their own.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._counted = "relevant"
        self._silent = quiet or sys.stderr is None or not sys.stderr.isatty()
        self._begun = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._measure: Callable[[], int] | None = None
        self._base = 0
        self._view: LookupView | QueryView | None = None
        self._interruption = Interruption(self._say_always)

    def __enter__(self) -> Self:
        self._interruption.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._interruption.__exit__(kind, error, trace)
        self._close()

    def stage(self, counted: str) -> None:
        """Begin a stage of the work, with a line of its own."""
        self._close()
        self._counted = counted
        self._begun = time.monotonic()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._view is not None:
            self._view.close()
        self._bar = self._task = self._view = None

    def wait(self, reason: str) -> None:
        """Say that the work waits for another process, and why."""
        self.say(f"waiting: {reason}")

    def say(self, text: str) -> None:
        """Print a line above the progress, unless ``--quiet`` was given."""
        if not self._quiet:
            self._say_always(text)

    def _say_always(self, text: str) -> None:
        """Print a line above the progress."""
        console = self._bar.console if self._bar is not None else self._view and self._view.console
        if console:
            console.print(wrapped(printable(text)), markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def note(self, note: Note) -> None:
        """Print a note of a source."""
        self.say(f"{note.source}: {note.text}" if note.source else note.text)

    def begin(self, source: Source, size: int) -> None:
        """Begin a source, after ``size`` bytes of others; its size is measured only if it is shown."""
        self._interruption.watch(source)
        if self._view is not None:
            self._close()
        self._measure = source.total_bytes if isinstance(source, Measured) else None
        self._base = size
        if self._bar is not None:
            self._show_total()

    def reached(self, progress: LookupProgress) -> None:
        """Show the progress of a lookup instead of files and bytes."""
        if self._silent:
            return
        from cnitrail.cli.lookup_progress import LookupView

        if not isinstance(self._view, LookupView):
            self._close()
            self._view = LookupView(self._begun + _PROGRESS_DELAY)
        self._view.update(progress)

    def queried(self, progress: QueryProgress) -> None:
        """Show the progress of a query instead of files and bytes."""
        if self._silent:
            return
        from cnitrail.cli.query_progress import QueryView

        if not isinstance(self._view, QueryView):
            self._close()
            self._view = QueryView(self._begun + _PROGRESS_DELAY)
        self._view.update(progress)

    def advance(self, files: int, size: int, events: int) -> None:
        """Show the totals of this stage."""
        if self._silent or self._view is not None or time.monotonic() - self._begun < _PROGRESS_DELAY:
            return
        if self._bar is None:
            self._bar, self._task = _bar(self._counted)
            self._show_total()
        assert self._task is not None
        self._bar.update(self._task, files=files, completed=size, events=events)

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
        TextColumn("{task.fields[files]} files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn(f"{{task.fields[events]}} {counted}"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("reading", total=None, files=0, events=0)
    bar.start()
    return bar, task
