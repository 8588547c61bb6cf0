"""How work that takes long reports its progress, to whoever wants to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cnitrail.model import LookupProgress, Note
    from cnitrail.model.table import QueryProgress
    from cnitrail.sources import Source


class Observer(Protocol):
    """Watches a workflow. Every method is called from the thread that runs the workflow."""

    def stage(self, counted: str) -> None:
        """Begin a stage of the work; ``counted`` names what ``advance`` counts beside files."""

    def begin(self, source: Source, size: int) -> None:
        """Begin a source, after ``size`` stored bytes of earlier ones."""

    def advance(self, files: int, size: int, counted: int) -> None:
        """Take the totals of this stage so far: files, stored bytes, and what the stage counts."""

    def note(self, note: Note) -> None:
        """Take a note from a source."""

    def reached(self, progress: LookupProgress) -> None:
        """Update the progress of the lookup of a Region."""

    def queried(self, progress: QueryProgress) -> None:
        """Update the progress of a query."""

    def wait(self, reason: str) -> None:
        """Learn that the work waits for another process, and why."""


class Silent:
    """An observer that shows nothing."""

    def stage(self, counted: str) -> None:
        """Ignore a stage."""

    def begin(self, source: Source, size: int) -> None:
        """Ignore a source."""

    def advance(self, files: int, size: int, counted: int) -> None:
        """Ignore totals."""

    def note(self, note: Note) -> None:
        """Ignore a note."""

    def reached(self, progress: LookupProgress) -> None:
        """Ignore the progress of a lookup."""

    def queried(self, progress: QueryProgress) -> None:
        """Ignore the progress of a query."""

    def wait(self, reason: str) -> None:
        """Ignore a wait."""


SILENT = Silent()
