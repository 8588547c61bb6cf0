"""How work that takes long reports its progress, to whoever wants to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cnitrail.model import Note
    from cnitrail.sources import Source


class Observer(Protocol):
    """Watches a workflow. Every method is called from the thread that runs the workflow."""

    def stage(self, counted: str) -> None:
        """Begin a stage of the work; ``counted`` names what ``advance`` counts beside files."""

    def begin(self, source: Source, size: int) -> None:
        """Begin a source, after ``size`` stored bytes of earlier ones."""

    def advance(self, files: int, size: int, counted: int) -> None:
        """Take the totals of this stage so far: files, stored bytes, and what the stage counts."""

    def note(self, note: Note, files: int) -> None:
        """Take a note from a source, after ``files`` files."""

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

    def note(self, note: Note, files: int) -> None:
        """Ignore a note."""

    def wait(self, reason: str) -> None:
        """Ignore a wait."""


SILENT = Silent()
