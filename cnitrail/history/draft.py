"""A lease while its story is being read."""

from datetime import UTC, datetime

from msgspec import Struct

from cnitrail.model import OPEN, Bound, Event, Held, HoldingKind

GroupKey = tuple[bool, str]
"""(True, VPC id), or (False, ENI id) where the VPC of the ENI is not known."""


class LeaseDraft(Struct, eq=False):
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
    retaken: Event | None = None
    """The last call that gave the address to the interface once more."""

    def reach(self) -> datetime | None:
        """The first moment that the lease may cover; None for any time before."""
        return self.start.time or self.earliest


_LATEST = datetime.max.replace(tzinfo=UTC)


def begins(lease: LeaseDraft) -> tuple[bool, datetime, datetime, str]:
    """The order of leases; one that may begin at any time comes first."""
    reach, end = lease.reach(), lease.end.time
    return reach is not None, reach or _LATEST, end or _LATEST, lease.eni
