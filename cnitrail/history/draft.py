"""Leases under construction."""

from datetime import datetime

from msgspec import Struct, field

from cnitrail.model import OPEN, Bound, Event, Held, HoldingKind
from cnitrail.timeclamp import LAST

GroupKey = tuple[bool, str]
"""(True, VPC ID), or (False, ENI ID) if the VPC of the ENI is not known."""


class LeaseDraft(Struct, eq=False, gc=False, kw_only=True):
    """A lease under construction; see ``Lease`` and ``Certainty`` for what its fields mean."""

    held: Held
    kind: HoldingKind
    eni: str
    start: Bound
    end: Bound = OPEN
    earliest_start: datetime | None = None
    last_seen: datetime | None = None
    takeover_from: datetime | None = None
    contested: bool = False
    rivals: frozenset[str] = frozenset()
    settled_at: datetime | None = None
    assigned_again: Event | None = None
    """The last call that assigned the address to the same ENI again."""
    reassignments: list[datetime] | None = None
    """Times of the calls with allowReassignment that assigned the address to this ENI, if any: each may have
    taken it from another one."""

    def possible_start(self) -> datetime | None:
        """Return the first moment that the lease may cover; None for any time before."""
        return self.start.time or self.earliest_start

    def reassigned(self, time: datetime) -> None:
        """Note a call with allowReassignment."""
        if self.reassignments is None:
            self.reassignments = []
        self.reassignments.append(time)


class Slot(Struct, eq=False, kw_only=True):
    """One address or prefix in one VPC: who has it, who had it, and its leases so far.

    ``kind`` is the kind of holding that a release ends, which the call does not name. ``open`` is the
    current lease of each ENI that has the address, ``last`` the latest ended lease of each ENI, and
    ``ended`` the latest end of any.
    """

    held: Held
    kind: HoldingKind
    leases: list[LeaseDraft] = field(default_factory=list)
    open: dict[str, LeaseDraft] = field(default_factory=dict)
    last: dict[str, LeaseDraft] = field(default_factory=dict)
    ended: datetime | None = None


def lease_order(lease: LeaseDraft) -> tuple[bool, datetime, datetime, str]:
    """Return the key that sorts leases by start; one that may have started at any time comes first."""
    reach, end = lease.possible_start(), lease.end.time
    return reach is not None, reach or LAST, end or LAST, lease.eni
