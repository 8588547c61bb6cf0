"""What the evidence does not cover, in sentences."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.intervals import through, total_length
from cnitrail.model import Coverage, Hole, HoleReason
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock, duration


def uncovered(coverage: Coverage, second: datetime, wanted: Filter) -> Iterator[Reason]:
    """Yield why a time is not covered, for each account and Region of which it is not."""
    for reach in coverage.reaches:
        if not wanted.takes_value("account", reach.account):
            continue
        if not wanted.takes_value("region", reach.region):
            continue
        place = (reach.account, reach.region)
        if second < reach.first:
            text = f"the evidence of {account_and_region(*place)} begins only at {clock(reach.first)}"
            yield Reason(ReasonCode.BEFORE_EVIDENCE, text)
        elif second > reach.last:
            yield after_evidence(reach.last, *place)
        for hole in reach.holes:
            if through(hole.start, hole.end).includes(second):
                yield gap_reason(hole, *place)


def after_evidence(last: datetime, account: str | None, region: str | None) -> Reason:
    """Return the reason that the evidence of an account and Region ends before the time asked for."""
    text = f"the evidence of {account_and_region(account, region)} ends at {clock(last)}"
    return Reason(ReasonCode.AFTER_EVIDENCE, text)


def gap_reason(hole: Hole, *place: str | None, so: str | None = None) -> Reason:
    """Return a hole as a reason; ``place`` is its account and Region, ``so`` what follows from it."""
    text = unread(hole, account_and_region(*place) if place else None)
    return Reason(_CODES[hole.reason], f"{text}: {so}" if so else text)


def holes(coverage: Coverage, wanted: Filter) -> Iterator[str]:
    """Yield a sentence for each hole in the evidence of the accounts and Regions that a filter keeps."""
    for reach in coverage.reaches:
        if wanted.takes_value("account", reach.account) and wanted.takes_value("region", reach.region):
            place = account_and_region(reach.account, reach.region)
            for hole in reach.holes:
                yield unread(hole, place)


def unread(hole: Hole, place: str | None = None) -> str:
    """Return a hole as a sentence; ``place`` names its account and Region."""
    when = f"from {clock(hole.start)} to {clock(hole.end)}"
    return _SENTENCES[hole.reason].format(where=f" for {place}" if place else "", when=when)


_SENTENCES = {
    HoleReason.GAP: "log gap{where} {when}",
    HoleReason.MISSING: "a log file{where} is missing (events {when})",
    HoleReason.UNREAD: "a log file or record{where} could not be read (events {when})",
    HoleReason.ALTERED: "a log file{where} was changed after delivery and is not used (events {when})",
    HoleReason.STOPPED: "the trail{where} was stopped {when} and recorded nothing",
    HoleReason.NARROWED: "the trail{where} did not record all write events {when}",
    HoleReason.DELETED: "the trail{where} was deleted and recorded nothing {when}",
}
_CODES = {
    HoleReason.GAP: ReasonCode.LOG_GAP,
    HoleReason.MISSING: ReasonCode.MISSING_FILE,
    HoleReason.UNREAD: ReasonCode.UNREAD_FILE,
    HoleReason.ALTERED: ReasonCode.ALTERED_FILE,
    HoleReason.STOPPED: ReasonCode.TRAIL_STOPPED,
    HoleReason.NARROWED: ReasonCode.TRAIL_NARROWED,
    HoleReason.DELETED: ReasonCode.TRAIL_DELETED,
}


def how_proven(coverage: Coverage) -> str:
    """Return how much of the covered time is proven, not verified, and missing."""
    by_digests = "proven by CloudTrail's digests"
    lengths = {
        by_digests: total_length(period for reach in coverage.reaches for period in reach.proven),
        "not verified": total_length(period for reach in coverage.reaches for period in reach.merely_read),
        "missing": total_length(hole for reach in coverage.reaches for hole in reach.holes),
    }
    parts = [f"{duration(length)} {kind}" for kind, length in lengths.items() if length]
    if not lengths[by_digests]:
        parts.insert(0, f"nothing {by_digests} (cnitrail verify shows why)")
    places = len(coverage.reaches)
    return ", ".join(parts) + (f", of {places} accounts and Regions together" if places > 1 else "")
