"""The times in which trails did not record EC2's write calls."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.coverage import may_be_one_place
from cnitrail.model.event import Event


class Unrecording(StrEnum):
    """Why write calls were not recorded."""

    STOPPED = "trail-stopped"
    NARROWED = "trail-narrowed"
    DELETED = "trail-deleted"


class Unrecorded(Struct, frozen=True, gc=False, kw_only=True):
    """A time in which a trail did not record EC2's write calls, or not all of them.

    ``start`` and ``end`` (aware, UTC; ``end`` is None if nothing shows that it ended) include the seconds of
    the calls ``event`` and ``ended_by``. ``account`` is None for any account (the trail of an organization),
    ``region`` is None for any Region except ``unless_region``. ``partly`` means that some write calls, or all
    of them in some Regions, were still recorded, or that it is not known which.
    """

    account: str | None
    region: str | None
    start: datetime
    end: datetime | None
    reason: Unrecording
    event: Event
    trail: str | None = None
    ended_by: Event | None = None
    unless_region: str | None = None
    partly: bool = False

    def concerns(self, account: str | None, region: str | None) -> bool:
        """Return whether it may concern the calls of an account and Region; None means any."""
        is_here = may_be_one_place((account, region), (self.account, self.region))
        return is_here and (region is None or region != self.unless_region)
