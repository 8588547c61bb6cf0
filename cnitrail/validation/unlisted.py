"""Log files that no digest lists: which are suspect, and which are only not listed yet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.intervals import Interval, through
from cnitrail.model import Charge, Fault, FaultKind, LogFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

SLACK: Final = timedelta(minutes=15)
"""AWS does not document how timestamps in file names are rounded, nor which of two adjacent digests lists a
log file that is delivered at their border."""

PENDING: Final = timedelta(hours=3)
"""How long after the end of the newest digest the next one may still come: they come every hour."""


class ChainReach(Struct, frozen=True, kw_only=True):
    """The times that a chain of digests covers.

    ``top`` is the folder that its trail delivers to, ``covered`` what genuine digests cover, ``begins``
    whether the first digest starts the chain, according to CloudTrail.
    """

    top: str
    covered: list[Interval]
    first: datetime
    last: datetime
    begins: bool

    def may_list(self, log: LogFile) -> bool:
        """Return whether a log file may be of its trail."""
        return not self.top or not log.top or self.top == log.top

    def lists_all_about(self, time: datetime) -> bool:
        """Return whether genuine digests list every log file that was delivered around a time."""
        around = Interval(time - SLACK, time + SLACK)
        return any(span.contains(around) for span in self.covered)

    def delivered_nothing_at(self, time: datetime) -> bool:
        """Return whether the trail delivered nothing around a time: not begun, or over."""
        return (self.begins and time < self.first - SLACK) or time > self.last + PENDING


def sort_out(
    logs: Iterable[LogFile], reaches: Sequence[ChainReach], doubtful: Sequence[Interval]
) -> dict[FaultKind, list[LogFile]]:
    """Return log files of an account and Region that no digest lists, by what that means.

    ``doubtful`` are the time spans of invalid backfill digests, which may have listed more files.
    """
    sorted_out: dict[FaultKind, list[LogFile]] = {}
    for log in sorted(logs, key=lambda log: (log.delivered, log.key)):
        kind = _kind(log, [reach for reach in reaches if reach.may_list(log)])
        if kind is FaultKind.UNLISTED and _meets(doubtful, log.delivered):
            kind = FaultKind.UNDIGESTED
        sorted_out.setdefault(kind, []).append(log)
    return sorted_out


def faults_of(sorted_out: dict[FaultKind, list[LogFile]], reaches: Sequence[ChainReach]) -> Iterator[Fault]:
    """Yield one fault for each suspect file, and one for all other files of a kind: they may be many."""
    for log in sorted_out.get(FaultKind.UNLISTED, ()):
        yield Fault(
            kind=FaultKind.UNLISTED,
            charge=Charge.INVALID,
            uri=log.uri,
            reason="no digest lists it, though digests cover the time at which its name says that it was "
            "delivered (a trail without log file validation leaves such files in the folder, too)",
            digest=None,
            account=log.account,
            region=log.region,
            start=log.delivered,
            end=log.delivered,
        )
    newest = max((reach.last for reach in reaches), default=None)
    for kind, (charge, reason) in _REASONS.items():
        if logs := sorted_out.get(kind):
            yield _together(kind, charge, reason, logs, newest)


def _meets(spans: Sequence[Interval], time: datetime) -> bool:
    """Return whether a time is in one of the spans or near one; what is exactly ``SLACK`` away is near."""
    return any(through(span.start - SLACK, span.end + SLACK).includes(time) for span in spans)


def _kind(log: LogFile, reaches: Sequence[ChainReach]) -> FaultKind:
    time = log.delivered
    if not reaches:
        return FaultKind.UNDIGESTED
    if any(reach.lists_all_about(time) for reach in reaches):
        is_sure = all(reach.lists_all_about(time) or reach.delivered_nothing_at(time) for reach in reaches)
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
        "{it} delivered at a time that no valid digest covers: not verified",
    ),
    FaultKind.NOT_YET_LISTED: (
        Charge.UNPROVEN,
        "{it} delivered at or after the end of the newest digest: not listed yet, verify again later",
    ),
    FaultKind.DIGESTS_END: (
        Charge.MISSING,
        "{it} delivered long after the newest digest ({newest:%Y-%m-%d %H:%MZ}): digests are missing",
    ),
}


def _together(
    kind: FaultKind, charge: Charge, reason: str, logs: Sequence[LogFile], newest: datetime | None
) -> Fault:
    first, last = logs[0], logs[-1]
    it = "it was" if len(logs) == 1 else f"it and {len(logs) - 1:,} more were"
    return Fault(
        kind=kind,
        charge=charge,
        uri=first.uri,
        reason=reason.format(it=it, newest=newest),
        digest=None,
        account=first.account,
        region=first.region,
        start=first.delivered,
        end=last.delivered,
    )
