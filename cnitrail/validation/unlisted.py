"""Log files that no digest lists: which of them digests speak against, and which they do not yet know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.model import Charge, Fault, FaultKind, LogFile
from cnitrail.validation.spans import Span, is_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

SLACK: Final = timedelta(minutes=15)
"""AWS does not say how the stamp of a log file is rounded, nor to which of two digests one belongs that is
delivered at their border."""

PENDING: Final = timedelta(hours=3)
"""How long after the newest digest's end the next one is waited for: they come every hour."""


class ChainReach(Struct, frozen=True):
    """What a chain of digests knows.

    ``top`` is where its trail delivers, ``covered`` what genuine digests cover, ``begins`` whether
    CloudTrail says that nothing came before the first.
    """

    top: str
    covered: list[Span]
    first: datetime
    last: datetime
    begins: bool

    def speaks_of(self, log: LogFile) -> bool:
        """Whether a log file may be of its trail."""
        return not self.top or not log.top or self.top == log.top

    def lists_all_about(self, time: datetime) -> bool:
        """Whether digests would list every log file that was delivered about a time."""
        return is_within(self.covered, time - SLACK, time + SLACK)

    def is_silent_about(self, time: datetime) -> bool:
        """Whether its trail surely delivered nothing about a time: it had not begun, or ended long ago."""
        return (self.begins and time < self.first - SLACK) or time > self.last + PENDING


def sort_out(
    logs: Iterable[LogFile], reaches: Sequence[ChainReach], doubtful: Sequence[Span]
) -> dict[FaultKind, list[LogFile]]:
    """Log files of an account and Region that no digest lists, by what that means.

    ``doubtful`` are the spans of backfill digests that are not valid: they would have listed more.
    """
    sorted_out: dict[FaultKind, list[LogFile]] = {}
    for log in sorted(logs, key=lambda log: (log.delivered, log.key)):
        kind = _kind(log, [reach for reach in reaches if reach.speaks_of(log)])
        if kind is FaultKind.UNLISTED and _meets(doubtful, log.delivered):
            kind = FaultKind.UNDIGESTED
        sorted_out.setdefault(kind, []).append(log)
    return sorted_out


def faults_of(sorted_out: dict[FaultKind, list[LogFile]], reaches: Sequence[ChainReach]) -> Iterator[Fault]:
    """A fault for each that digests speak against; one for all others that are alike: they may be many."""
    for log in sorted_out.get(FaultKind.UNLISTED, ()):
        yield Fault(
            FaultKind.UNLISTED,
            Charge.INVALID,
            log.uri,
            "no digest lists it, though digests cover the time at which its name says that it was delivered "
            "(a trail without log file validation leaves such files in the folder, too)",
            None,
            log.account,
            log.region,
            log.delivered,
            log.delivered,
        )
    newest = max((reach.last for reach in reaches), default=None)
    for kind, (charge, reason) in _REASONS.items():
        if logs := sorted_out.get(kind):
            yield _together(kind, charge, reason, logs, newest)


def _meets(spans: Sequence[Span], time: datetime) -> bool:
    return any(start - SLACK <= time <= end + SLACK for start, end in spans)


def _kind(log: LogFile, reaches: Sequence[ChainReach]) -> FaultKind:
    time = log.delivered
    if not reaches:
        return FaultKind.UNDIGESTED
    if any(reach.lists_all_about(time) for reach in reaches):
        is_sure = all(reach.lists_all_about(time) or reach.is_silent_about(time) for reach in reaches)
        return FaultKind.UNLISTED if is_sure else FaultKind.UNDIGESTED
    newest = max(reach.last for reach in reaches)
    if time > newest + PENDING:
        return FaultKind.DIGESTS_END
    if time > newest - SLACK:
        return FaultKind.NOT_YET_LISTED
    return FaultKind.UNDIGESTED


_REASONS = {
    FaultKind.UNDIGESTED: (
        Charge.UNPROVEN,
        "{it} delivered at a time that no valid digest covers: neither proven nor accused",
    ),
    FaultKind.NOT_YET_LISTED: (
        Charge.UNPROVEN,
        "{it} delivered when the newest digest ends, or after: not listed yet, verify again later",
    ),
    FaultKind.DIGESTS_END: (
        Charge.MISSING,
        "{it} delivered long after the newest digest ends ({newest:%Y-%m-%d %H:%MZ}): digests are missing",
    ),
}


def _together(
    kind: FaultKind, charge: Charge, reason: str, logs: Sequence[LogFile], newest: datetime | None
) -> Fault:
    first, last = logs[0], logs[-1]
    it = "it was" if len(logs) == 1 else f"it and {len(logs) - 1:,} more were"
    return Fault(
        kind,
        charge,
        first.uri,
        reason.format(it=it, newest=newest),
        None,
        first.account,
        first.region,
        first.delivered,
        last.delivered,
    )
