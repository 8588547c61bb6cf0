"""Where the evidence says nothing of a time that is asked for."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from cnitrail.answers.filters import Filter
from cnitrail.model import Coverage, Hole, HoleReason, Period


def uncovered(coverage: Coverage, second: datetime, wanted: Filter) -> Iterator[str]:
    """What of a time the evidence does not cover, a sentence for each account and Region."""
    for reach in coverage.reaches:
        if not wanted.takes_value("account", reach.account):
            continue
        if not wanted.takes_value("region", reach.region):
            continue
        place = place_of(reach.account, reach.region)
        if second < reach.first:
            yield f"the evidence of {place} begins only at {clock(reach.first)}"
        elif second > reach.last:
            yield f"the evidence of {place} ends at {clock(reach.last)}"
        for hole in reach.holes:
            if hole.start <= second <= hole.end:
                yield unread(hole, place)


def holes(coverage: Coverage, wanted: Filter) -> Iterator[str]:
    """What was not read between the beginnings and the ends, a sentence for each hole."""
    for reach in coverage.reaches:
        if wanted.takes_value("account", reach.account) and wanted.takes_value("region", reach.region):
            place = place_of(reach.account, reach.region)
            for hole in reach.holes:
                yield unread(hole, place)


def lasting(span: timedelta) -> str:
    """A length of time in its two greatest units."""
    seconds = round(span.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def unread(hole: Hole, place: str | None = None) -> str:
    """What of an account and Region, as ``place_of`` names them, was not read."""
    what = _MISSING[hole.reason].format(of=f" of {place}" if place else "")
    return f"{what} between {clock(hole.start)} and {clock(hole.end)}"


_MISSING = {
    HoleReason.GAP: "little or nothing{of} was read",
    HoleReason.MISSING: "a log file{of} is missing",
    HoleReason.UNREAD: "a log file or record{of} could not be read",
    HoleReason.ALTERED: "a log file{of} was changed after delivery, and is not used",
    HoleReason.STOPPED: "the trail{of} was stopped, and recorded nothing",
    HoleReason.NARROWED: "the trail{of} did not record all calls that change something",
    HoleReason.DELETED: "the trail{of} was deleted, and recorded nothing",
}


def how_proven(coverage: Coverage) -> str:
    """How much of the time that the evidence covers is proven, merely read, and missing."""
    by_digests = "proven by CloudTrail's digests"
    lengths = {
        by_digests: _length(each for reach in coverage.reaches for each in reach.proven),
        "merely read": _length(each for reach in coverage.reaches for each in reach.merely_read),
        "missing": _length(each for reach in coverage.reaches for each in reach.holes),
    }
    parts = [f"{lasting(length)} {kind}" for kind, length in lengths.items() if length]
    if not lengths[by_digests]:
        parts.insert(0, f"nothing {by_digests} (cnitrail verify says why)")
    places = len(coverage.reaches)
    return ", ".join(parts) + (f", of {places} accounts and Regions together" if places > 1 else "")


def _length(periods: Iterable[Period]) -> timedelta:
    return sum((each.end - each.start for each in periods), timedelta())


def clock(time: datetime) -> str:
    """A time as a sentence names it."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def place_of(account: str | None, region: str | None) -> str:
    """An account and Region as a sentence names them."""
    return f"{account or 'any account'} in {region or 'any Region'}"
