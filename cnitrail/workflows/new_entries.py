"""Which entries and findings a watch has not shown yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnitrail.model import Event, Finding, TimelineEntry

T = TypeVar("T")

LATE = timedelta(minutes=5)
"""Log files come within about five minutes on average (CloudTrail FAQ), and each Region's at its own time:
an entry that is further behind is late."""


class Seen(Struct, Generic[T], frozen=True, kw_only=True):
    """An entry, and what a watch knows about it.

    ``at`` (aware, UTC) is when the poll that brought it ended. ``late`` is how far it is behind an entry that
    was shown before; None if that is usual. ``updated``: what was shown of it before has changed since.
    """

    entry: T
    at: datetime
    late: timedelta | None = None
    updated: bool = False


class NewEntries:
    """The entries of a timeline that were not shown before.

    One call has one entry for each of its ENIs. If a later poll shows another ENI of a call, that entry is
    new, and marked as an update of the call.
    """

    def __init__(self) -> None:
        self._shown: dict[str, set[tuple[str | None, int]]] = {}
        self._newest: datetime | None = None

    def take(self, calls: Iterable[tuple[Event, TimelineEntry]], at: datetime) -> list[Seen[TimelineEntry]]:
        """Return the new entries of a whole timeline, in its order; they count as shown from now on."""
        found: dict[str, list[TimelineEntry]] = {}
        for event, entry in calls:
            found.setdefault(event.key, []).append(entry)
        new: list[Seen[TimelineEntry]] = []
        for key, entries in found.items():
            shown = self._shown.setdefault(key, set())
            is_update = bool(shown)
            numbers: dict[str | None, int] = {}
            for entry in entries:
                number = numbers[entry.eni] = numbers.get(entry.eni, 0) + 1
                if (entry.eni, number) not in shown:
                    shown.add((entry.eni, number))
                    new.append(Seen(entry=entry, at=at, late=self._late(entry), updated=is_update))
        times = [seen.entry.time for seen in new]
        self._newest = max([*times, *([self._newest] if self._newest else [])], default=None)
        return new

    def _late(self, entry: TimelineEntry) -> timedelta | None:
        behind = self._newest - entry.time if self._newest is not None else timedelta()
        return behind if behind > LATE else None


class NewFindings:
    """The findings that were not shown before, or that changed since."""

    def __init__(self) -> None:
        self._shown: dict[str, Finding] = {}

    def take(self, findings: Iterable[Finding], at: datetime) -> list[Seen[Finding]]:
        """Return the new and the changed findings, in their order; they count as shown from now on."""
        new: list[Seen[Finding]] = []
        for finding in findings:
            before = self._shown.get(finding.fingerprint)
            if before is None or _statement(before) != _statement(finding):
                self._shown[finding.fingerprint] = finding
                new.append(Seen(entry=finding, at=at, updated=before is not None))
        return new

    def drop_missing(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the shown findings that later events have refuted: ``findings`` no longer has them."""
        found = {finding.fingerprint for finding in findings}
        gone = [finding for name, finding in self._shown.items() if name not in found]
        for finding in gone:
            del self._shown[finding.fingerprint]
        return gone


def _statement(finding: Finding) -> tuple[object, ...]:
    return finding.severity, finding.sentence, finding.until
