"""Which accounts, Regions and times the evidence covers."""

from datetime import datetime

from msgspec import Struct

Place = tuple[str | None, str | None]
"""An account and a Region."""

Sign = tuple[str | None, str | None, datetime]
"""An account, a Region, and a time at which something of them was read."""


class Moment(Struct, frozen=True, gc=False):
    """When and where an event happened, without the event."""

    account: str | None
    region: str | None
    time: datetime


class Hole(Struct, frozen=True, gc=False):
    """A span of time of which nothing was read; aware, UTC."""

    start: datetime
    end: datetime


class Reach(Struct, frozen=True, gc=False):
    """The evidence of one account and Region: from its first sign to its last, and the holes between."""

    account: str | None
    region: str | None
    first: datetime
    last: datetime
    holes: tuple[Hole, ...]


class Coverage(Struct, frozen=True, gc=False):
    """The reach of the evidence, sorted by account and Region."""

    reaches: tuple[Reach, ...]

    def of(self, account: str | None, region: str | None) -> tuple[Reach, ...]:
        """The reaches that may hold the events of an account and Region; None stands for any."""
        return tuple(
            reach
            for reach in self.reaches
            if (account is None or reach.account in (account, None))
            and (region is None or reach.region in (region, None))
        )

    def hole_between(
        self, account: str | None, region: str | None, start: datetime, end: datetime
    ) -> Hole | None:
        """A hole that meets a span of time, of those of an account and Region."""
        for reach in self.of(account, region):
            for hole in reach.holes:
                if hole.start < end and start < hole.end:
                    return hole
        return None
