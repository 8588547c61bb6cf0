"""Which accounts, Regions and times the evidence covers."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

AccountRegion = tuple[str | None, str | None]
"""An account and a Region."""

Sign = tuple[str | None, str | None, datetime]
"""An account, a Region, and a time at which something of them was read."""


class Moment(Struct, frozen=True, gc=False):
    """When and where an event happened, without the event."""

    account: str | None
    region: str | None
    time: datetime


class Period(Struct, frozen=True, gc=False, order=True):
    """A span of time; aware, UTC."""

    start: datetime
    end: datetime


class HoleReason(StrEnum):
    """Why events of a time may be missing from the evidence."""

    GAP = "gap"
    """Nothing was read for longer than is usual here."""
    MISSING = "missing-file"
    """A digest lists a log file that is not there."""
    UNREAD = "unread"
    """A log file or a record is there, and could not be read."""
    ALTERED = "altered-file"
    """A log file is not as CloudTrail delivered it, so that its records are not used."""
    STOPPED = "trail-stopped"
    NARROWED = "trail-narrowed"
    DELETED = "trail-deleted"


class Hole(Period, frozen=True, gc=False, order=True):
    """A time of which events may be missing from the evidence.

    If ``partial``, only some of them: a log file or a record of that time.
    """

    partial: bool = False
    reason: HoleReason = HoleReason.GAP


class Lost(Struct, frozen=True, gc=False):
    """Evidence that is known to exist and was not read, and the time of events that it may hold.

    None stands for any account, any Region, and any time before or after. ``enis`` and ``addresses``
    are what an unreadable record names, and ``what`` says in a few words what it is.
    """

    account: str | None
    region: str | None
    start: datetime | None
    end: datetime | None
    reason: HoleReason = HoleReason.UNREAD
    what: str = ""
    enis: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Unproven(Struct, frozen=True, gc=False):
    """A time of events (aware, UTC) of which digests do not vouch for all that was read.

    None stands for any account, and for any Region.
    """

    account: str | None
    region: str | None
    start: datetime
    end: datetime


class Ground(StrEnum):
    """What a statement about a span of time rests on."""

    PROVEN = "proven"
    MERELY_READ = "merely_read"
    MISSING = "missing"


class Reach(Struct, frozen=True, gc=False):
    """The evidence of one account and Region, from ``first`` to ``last``: three kinds of time.

    Of ``proven`` time CloudTrail's signed digests prove that no event is missing, and that each is as
    it was written; ``merely_read`` is what files happened to be there for; of ``holes`` little or
    nothing was read. They do not overlap, and before ``first`` and after ``last`` all is missing.
    ``known`` is False if nothing shows which times were read: an export of some events alone.
    """

    account: str | None
    region: str | None
    first: datetime
    last: datetime
    holes: tuple[Hole, ...]
    proven: tuple[Period, ...]
    merely_read: tuple[Period, ...]
    known: bool = True

    def ground(self, start: datetime, end: datetime) -> Ground:
        """What is known of all of a time, both ends included: the least of its parts."""
        if any(each.start <= start and end <= each.end for each in self.proven):
            return Ground.PROVEN
        holed = any(each.start < end and start < each.end for each in self.holes)
        within = self.first <= start and end <= self.last
        return Ground.MERELY_READ if within and not holed else Ground.MISSING


class Coverage(Struct, frozen=True, gc=False):
    """The reach of the evidence, sorted by account and Region."""

    reaches: tuple[Reach, ...]
    lost: tuple[Lost, ...] = ()
    """What could not be read, as far as a record names interfaces or addresses."""

    def is_known(self, account: str | None, region: str | None) -> bool:
        """Whether something shows which times of an account and Region were read."""
        return all(reach.known for reach in self.of(account, region))

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

    def ground(self, account: str | None, region: str | None, start: datetime, end: datetime) -> Ground:
        """What a statement about all of a time in an account and Region rests on."""
        grounds = {reach.ground(start, end) for reach in self.of(account, region)}
        if not grounds or Ground.MISSING in grounds:
            return Ground.MISSING
        return Ground.MERELY_READ if Ground.MERELY_READ in grounds else Ground.PROVEN
