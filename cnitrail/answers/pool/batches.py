"""What the CNI did to a node's pool: batch by batch, with the pool as it was before and after each."""

from datetime import datetime
from enum import Enum

from msgspec import Struct

from cnitrail.model import PREFIX_SIZE, Effect, Event, Limits


class Kind(Enum):
    """What a batch does to the pool."""

    GROW = "grow"
    SHRINK = "shrink"
    FREE = "free"


class Holdings(Struct, frozen=True):
    """What the interfaces of a node hold for pods."""

    secondary: int = 0
    prefixes: int = 0
    enis: int = 0
    room: int = 0
    """Places that are left on the interfaces that there are."""

    def total(self, *, prefix_mode: bool) -> int:
        """What ipamd counts in a mode: what is left of the other one does not (GetIPStats)."""
        return PREFIX_SIZE * self.prefixes if prefix_mode else self.secondary

    @property
    def pool(self) -> int:
        """All addresses for pods, of both modes."""
        return self.secondary + PREFIX_SIZE * self.prefixes

    @property
    def mixed(self) -> bool:
        """Whether there are addresses of both modes."""
        return self.secondary > 0 and self.prefixes > 0


class Batch(Struct, frozen=True):
    """One batch: ``count`` addresses, or ``prefixes``, on one interface.

    ``room`` is how many places that interface had left; ``fresh`` says that it had just been made.
    ``before`` and ``after`` are what the node held.
    """

    event: Event
    eni: str
    kind: Kind
    count: int
    prefixes: bool
    room: int
    fresh: bool
    before: Holdings
    after: Holdings

    @property
    def pool(self) -> int:
        """The addresses for pods with it; an interface that is made with them counts already."""
        if self.event.effect is not Effect.CREATE:
            return self.after.pool
        return self.before.pool + self.count * (PREFIX_SIZE if self.prefixes else 1)


class AwsNodeRun(Struct, frozen=True):
    """A time in which aws-node ran without starting anew, as far as the evidence tells.

    ``because`` says how that is known; ``until`` is None where nothing ends it. ``anew``: it begins with
    a start, at which ipamd reads what there is.
    """

    since: datetime
    until: datetime | None
    because: str
    anew: bool

    def takes(self, time: datetime) -> bool:
        """Whether a time lies in it."""
        return self.since <= time and (self.until is None or time < self.until)


class Change(Struct, frozen=True):
    """The holdings from a call on that changed them, or that the CNI meant to and was ``refused``."""

    time: datetime
    holdings: Holdings
    refused: bool


class Doubt(Struct, frozen=True):
    """From then on nothing is concluded: until aws-node starts again, or for good where ``lasting``."""

    since: datetime
    because: str
    lasting: bool


class CniLog(Struct, frozen=True):
    """What the CNI did on a node, in time; ``own`` are all of its calls, and ``changes`` those of all.

    ``custom_networking``: it gives the first interface no addresses for pods, but others.
    """

    batches: tuple[Batch, ...]
    changes: tuple[Change, ...]
    runs: tuple[AwsNodeRun, ...]
    doubts: tuple[Doubt, ...]
    own: tuple[Event, ...]
    custom_networking: bool
    ipv6: bool


def meaning_of(batch: Batch, limits: Limits) -> str:
    """What a batch tells, in plain words."""
    count = _many(batch.count, "prefix" if batch.prefixes else "address")
    left = f"{_many(batch.after.pool, 'address')} left for pods"
    if batch.kind is Kind.SHRINK:
        return f"gave {count} back: {left}"
    if batch.kind is Kind.FREE:
        return f"freed an interface without pods: {left}"
    if batch.count > batch.room:
        return f"asked for {count} where {batch.room} should have had room"
    if batch.prefixes or batch.count < batch.room:
        return f"asked for {count} where {batch.room} had room: no more were wanted"
    if batch.room < limits.secondary_per_eni:
        return f"asked for {count}: all that the interface had room for"
    return (
        f"asked for {count} at once, a full interface of {limits.instance_type}: "
        f"{limits.ipv4_per_eni} less its primary one"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}es"
