"""Leases while their story is being read."""

from datetime import datetime

from msgspec import Struct, field

from cnitrail.model import OPEN, Bound, Event, Held, HoldingKind
from cnitrail.timeclamp import LAST

GroupKey = tuple[bool, str]
"""(True, VPC id), or (False, ENI id) where the VPC of the ENI is not known."""


class LeaseDraft(Struct, eq=False, gc=False):
    """A lease while its story is being read."""

    held: Held
    kind: HoldingKind
    eni: str
    start: Bound
    end: Bound = OPEN
    earliest: datetime | None = None
    proven: datetime | None = None
    released: bool = False
    doubt_from: datetime | None = None
    contested: bool = False
    rivals: tuple[str, ...] = ()
    settled: datetime | None = None
    retaken: Event | None = None
    """The last call that gave the address to the interface once more."""
    thefts: list[datetime] = field(default_factory=list)
    """When calls that may take the address from another interface (allowReassignment) gave it to this one."""

    def reach(self) -> datetime | None:
        """The first moment that the lease may cover; None for any time before."""
        return self.start.time or self.earliest


class Slot(Struct, eq=False):
    """One address or prefix in one VPC: who has it, who had it, and every lease of it so far.

    ``kind`` is that of a release, which does not say it. ``open`` is the lease of each interface
    that has it, ``last`` the last that is over of each; ``ended`` is when the latest was over.
    """

    held: Held
    kind: HoldingKind
    leases: list[LeaseDraft] = field(default_factory=list)
    open: dict[str, LeaseDraft] = field(default_factory=dict)
    last: dict[str, LeaseDraft] = field(default_factory=dict)
    ended: datetime | None = None


def begins(lease: LeaseDraft) -> tuple[bool, datetime, datetime, str]:
    """The order of leases; one that may begin at any time comes first."""
    reach, end = lease.reach(), lease.end.time
    return reach is not None, reach or LAST, end or LAST, lease.eni
