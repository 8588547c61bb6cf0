"""Where the evidence says nothing of a time that is asked for."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cnitrail.answers.filters import Filter
from cnitrail.model import Coverage

LATE = timedelta(minutes=15)
"""How late an event may be delivered, as a rule: of so long before its end, evidence may lack events."""


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
                yield f"nothing of {place} was read between {clock(hole.start)} and {clock(hole.end)}"


def holes(coverage: Coverage, wanted: Filter) -> Iterator[str]:
    """What was not read between the beginnings and the ends, a sentence for each hole."""
    for reach in coverage.reaches:
        if wanted.takes_value("account", reach.account) and wanted.takes_value("region", reach.region):
            place = place_of(reach.account, reach.region)
            for hole in reach.holes:
                yield f"nothing of {place} was read between {clock(hole.start)} and {clock(hole.end)}"


def clock(time: datetime) -> str:
    """A time as a sentence names it."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def place_of(account: str | None, region: str | None) -> str:
    """An account and Region as a sentence names them."""
    return f"{account or 'any account'} in {region or 'any Region'}"
