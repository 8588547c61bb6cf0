"""Which accounts, Regions and times the evidence covers."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.intervals import Interval

AccountRegion = tuple[str | None, str | None]
"""An account and a Region; None if not known."""

Sign = tuple[str | None, str | None, datetime]
"""An account, a Region, and a time of which something was read."""


def may_be_equal(one: str | None, other: str | None) -> bool:
    """Return whether two names may be the same; None is one that is not known."""
    return one == other or one is None or other is None


def may_be_one_place(one: AccountRegion, other: AccountRegion) -> bool:
    """Return whether two accounts and Regions may be the same; an export may leave out either."""
    return may_be_equal(one[0], other[0]) and may_be_equal(one[1], other[1])


class Moment(Struct, frozen=True, gc=False):
    """When and where an event happened, without the event."""

    account: str | None
    region: str | None
    time: datetime


class HoleReason(StrEnum):
    """Why events may be missing from the evidence."""

    GAP = "gap"
    """Nothing was read for longer than usual."""
    MISSING = "missing-file"
    """A digest lists a log file that is not there."""
    UNREAD = "unread"
    """A log file or a record could not be read."""
    ALTERED = "altered-file"
    """A log file was changed after delivery, so its records are not used."""
    NOT_READ = "not-read"
    """A lookup ended before it had read the events of that time."""
    NOT_IN_TABLE = "not-in-table"
    """A table is not made for that account, Region or time."""
    STOPPED = "trail-stopped"
    NARROWED = "trail-narrowed"
    DELETED = "trail-deleted"


class Hole(Interval, frozen=True, gc=False, order=True):
    """A period with little or no evidence; ``partial`` if only a log file or a record of it is missing."""

    partial: bool = False
    reason: HoleReason = HoleReason.GAP


class Lost(Struct, frozen=True, gc=False, kw_only=True):
    """Evidence that exists but was not read, with the time of the events that it may hold.

    None means any account, any Region, and any time before or after. ``enis`` and ``addresses`` are what an
    unreadable record names, and ``what`` describes it in a few words.
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
    """A time (aware, UTC) in which digests do not prove all events; None means any account or Region."""

    account: str | None
    region: str | None
    start: datetime
    end: datetime


class Ground(StrEnum):
    """How well the evidence covers the time of a statement: the least of its parts."""

    PROVEN = "proven"
    """CloudTrail's digests prove that no event is missing or changed."""
    MERELY_READ = "merely_read"
    """It was read, and not verified."""
    MISSING = "missing"
    """Not all of it was read."""


class Reach(Struct, frozen=True, gc=False, kw_only=True):
    """What the evidence of one account and Region covers, from ``first`` to ``last``.

    In ``proven`` time CloudTrail's signed digests prove that no event is missing or changed; ``merely_read``
    time was read and not verified; of ``holes`` little or nothing was read. Before ``first`` and after
    ``last`` all is missing. ``known`` is False if nothing shows which times were read, as in an export of
    some events.
    """

    account: str | None
    region: str | None
    first: datetime
    last: datetime
    holes: tuple[Hole, ...]
    proven: tuple[Interval, ...]
    merely_read: tuple[Interval, ...]
    known: bool = True

    def ground(self, start: datetime, end: datetime) -> Ground:
        """Return how well all of a time is covered: the least of its parts."""
        asked = Interval(start, end)
        if any(period.contains(asked) for period in self.proven):
            return Ground.PROVEN
        is_read = Interval(self.first, self.last).contains(asked)
        has_hole = any(hole.overlaps(asked) for hole in self.holes)
        return Ground.MERELY_READ if is_read and not has_hole else Ground.MISSING


class UncheckedTable(Struct, frozen=True, gc=False):
    """A table that records come from: its query engine does not say which files it could not read.

    ``losses`` are sentences about what its columns do not keep of a record.
    """

    uri: str
    losses: tuple[str, ...] = ()


class Coverage(Struct, frozen=True, gc=False):
    """What the evidence covers, by account and Region."""

    reaches: tuple[Reach, ...]
    lost: tuple[Lost, ...] = ()
    """What could not be read, if it names interfaces or addresses, or a lookup or table lacks it."""
    assumed_complete: bool = False
    """True if the user says that no event is missing, except those that could not be read."""
    tables: tuple[UncheckedTable, ...] = ()
    """The tables that records come from."""

    def is_known(self, account: str | None, region: str | None) -> bool:
        """Return whether anything shows which times of an account and Region were read."""
        return all(reach.known for reach in self.of(account, region))

    def of(self, account: str | None, region: str | None) -> tuple[Reach, ...]:
        """Return the reaches that may hold the events of an account and Region; None means any."""
        return tuple(
            [
                reach
                for reach in self.reaches
                if (account is None or reach.account is None or reach.account == account)
                and (region is None or reach.region is None or reach.region == region)
            ]
        )

    def hole_between(
        self, account: str | None, region: str | None, start: datetime, end: datetime
    ) -> Hole | None:
        """Return a hole of an account and Region that overlaps a time; None if there is none."""
        asked = Interval(start, end)
        for reach in self.of(account, region):
            for hole in reach.holes:
                if hole.overlaps(asked):
                    return hole
        return None

    def ground(self, account: str | None, region: str | None, start: datetime, end: datetime) -> Ground:
        """Return how well all of a time in an account and Region is covered."""
        grounds = {reach.ground(start, end) for reach in self.of(account, region)}
        if not grounds or Ground.MISSING in grounds:
            return Ground.MISSING
        return Ground.MERELY_READ if Ground.MERELY_READ in grounds else Ground.PROVEN
