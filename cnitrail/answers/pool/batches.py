"""Batches: what the VPC CNI did to a node's pool call by call, with the pool before and after each."""

from datetime import datetime
from enum import Enum

from msgspec import Struct

from cnitrail.intervals import between
from cnitrail.model import PREFIX_SIZE, Effect, Event, Limits
from cnitrail.model.reason import Reason
from cnitrail.text import counted


class BatchKind(Enum):
    """What a batch does to the pool."""

    GROW = "grow"
    SHRINK = "shrink"
    FREE = "free"


class Holdings(Struct, frozen=True):
    """What the ENIs of a node hold for pods."""

    secondary: int = 0
    prefixes: int = 0
    enis: int = 0
    room: int = 0
    """Free slots on the attached ENIs."""

    def total(self, *, prefix_mode: bool) -> int:
        """Return what ipamd counts in a mode; leftovers of the other mode do not count (GetIPStats)."""
        return PREFIX_SIZE * self.prefixes if prefix_mode else self.secondary

    @property
    def pool(self) -> int:
        """All addresses for pods, of both modes."""
        return self.secondary + PREFIX_SIZE * self.prefixes

    @property
    def mixed(self) -> bool:
        """True if there are addresses of both modes."""
        return self.secondary > 0 and self.prefixes > 0


class Batch(Struct, frozen=True, kw_only=True):
    """One batch: ``count`` addresses, or ``prefixes``, on one ENI.

    ``room`` is the number of free slots on that ENI before; ``fresh`` is True if it had just been created.
    ``before`` and ``after`` are what the node held.
    """

    event: Event
    eni: str
    kind: BatchKind
    count: int
    prefixes: bool
    room: int
    fresh: bool
    before: Holdings
    after: Holdings

    @property
    def pool(self) -> int:
        """Addresses for pods after the batch; those of an ENI that is created with them count at once."""
        if self.event.effect is not Effect.CREATE:
            return self.after.pool
        return self.before.pool + self.count * (PREFIX_SIZE if self.prefixes else 1)


class AwsNodeRun(Struct, frozen=True):
    """A time in which aws-node ran without a restart, as far as the evidence shows.

    ``because`` says how that is known; ``until`` is None if nothing ends it. ``from_start`` is True if it
    begins with a start, at which ipamd reads what the node holds.
    """

    since: datetime
    until: datetime | None
    because: str
    from_start: bool

    def takes(self, time: datetime) -> bool:
        """Return True if a time is in it."""
        return between(self.since, self.until).includes(time)


class HoldingsChange(Struct, frozen=True):
    """The holdings after a call; ``refused`` if EC2 rejected a call of the CNI."""

    time: datetime
    holdings: Holdings
    refused: bool


class Doubt(Struct, frozen=True):
    """A time from which settings are unknown: until aws-node starts again, or for good if ``lasting``."""

    since: datetime
    because: Reason
    lasting: bool


class CniLog(Struct, frozen=True, kw_only=True):
    """What the VPC CNI did on a node, in time order.

    ``own`` are all of its calls; ``changes`` are by any caller. ``custom_networking`` is True if the CNI
    fills other ENIs and never the primary one.
    """

    batches: tuple[Batch, ...]
    changes: tuple[HoldingsChange, ...]
    runs: tuple[AwsNodeRun, ...]
    doubts: tuple[Doubt, ...]
    own: tuple[Event, ...]
    custom_networking: bool
    ipv6: bool


def meaning_of(batch: Batch, limits: Limits) -> str:
    """Return what a batch shows, in plain words."""
    count = counted(batch.count, "prefix" if batch.prefixes else "address")
    left = f"{counted(batch.after.pool, 'address')} left for pods"
    if batch.kind is BatchKind.SHRINK:
        return f"released {count}: {left}"
    if batch.kind is BatchKind.FREE:
        return f"released an idle ENI: {left}"
    if batch.count > batch.room:
        return f"requested {count}, more than the {counted(batch.room, 'free slot')} of the ENI"
    if batch.count < batch.room:
        return f"requested {count} with {counted(batch.room, 'free slot')}: target reached"
    if batch.prefixes or batch.room < limits.secondary_per_eni:
        return f"requested {count}: all free slots of the ENI"
    return (
        f"requested {count} at once, a full ENI of {limits.instance_type}: "
        f"{limits.ipv4_per_eni} less its primary address"
    )
