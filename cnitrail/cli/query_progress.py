"""Progress of a query in a terminal: what the engine has scanned, and then what was fetched."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cnitrail.model.table import QueryState
from cnitrail.render.safe import printable
from cnitrail.text import byte_size, counted, duration

if TYPE_CHECKING:
    from cnitrail.model.table import QueryProgress


class QueryView:
    """A line at the bottom of a terminal that leaves nothing behind."""

    def __init__(self, due: float) -> None:
        self.console = Console(stderr=True)
        self._due = due
        self._progress: QueryProgress | None = None
        self._updated = 0.0
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def update(self, progress: QueryProgress) -> None:
        """Show how far a query is, once it is time to show anything."""
        self._progress, self._updated = progress, time.monotonic()
        if self._updated < self._due:
            return
        if self._live is None:
            self._live = Live(
                console=self.console, transient=True, refresh_per_second=8, get_renderable=self._shown
            )
            self._live.start()

    def _shown(self) -> Spinner:
        assert self._progress is not None
        since = timedelta(seconds=time.monotonic() - self._updated)
        text = printable(status_line(self._progress, since))
        self._spinner.update(text=Text(text, no_wrap=True, overflow="ellipsis"))
        return self._spinner

    def close(self) -> None:
        """Remove the line."""
        if self._live is not None:
            self._live.stop()
        self._live = None


def status_line(progress: QueryProgress, since: timedelta = timedelta()) -> str:
    """Return how far a query is, in one line; the progress was that some time ago (``since``)."""
    elapsed = duration(progress.elapsed + since)
    query = f" (query {progress.query})" if progress.query is not None else ""
    match progress.state:
        case QueryState.LISTING:
            return f"listing the files of the table: {counted(progress.rows, 'file')}, {elapsed}"
        case QueryState.QUEUED:
            return f"queued, {elapsed}{query}" if query else f"starting the query, {elapsed}"
        case QueryState.RUNNING:
            return f"running, {_scanned(progress)}{elapsed}{query}"
    of_all = f" of {progress.total_rows:,}" if progress.total_rows is not None else ""
    return f"fetched {progress.rows:,}{of_all} rows{query}"


def _scanned(progress: QueryProgress) -> str:
    """Return how much was scanned, and of how much; empty if the engine does not say so."""
    scanned, estimated = progress.scanned_bytes, progress.estimated_bytes
    if scanned is None:
        return ""
    if not estimated or scanned > estimated:  # Athena counts what it reads: more than was listed, at times
        return f"{byte_size(scanned)} scanned, "
    return f"{byte_size(scanned)} of about {byte_size(estimated)} scanned ({scanned / estimated:.0%}), "
