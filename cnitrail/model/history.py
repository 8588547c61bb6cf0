"""Who held what, what was attached where: intervals, each bound with what it rests on."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Actor, Event, Held, HoldingKind
from cnitrail.model.recording import Unrecorded


class Basis(StrEnum):
    """What a bound rests on."""

    OBSERVED = "observed"
    IMPLIED = "implied"
    UNKNOWN = "unknown"
    OPEN = "open"


class Bound(Struct, frozen=True, gc=False):
    """A start or an end: the time (aware, UTC; None where no bound is known), its basis, its event."""

    time: datetime | None
    basis: Basis
    event: Event | None = None


OPEN = Bound(None, Basis.OPEN)
UNKNOWN = Bound(None, Basis.UNKNOWN)


class Attachment(Struct, frozen=True, gc=False):
    """An interface on an instance, from ``start`` to ``end``."""

    eni: str
    instance: str | None
    device_index: int | None
    attachment: str | None
    start: Bound
    end: Bound
    how: str
    """``attach`` or ``launch``: the kind of call that made it."""

    def covers(self, time: datetime) -> bool:
        """Whether the interface was attached at that second, both bounds included."""
        starts = self.start.time is None or self.start.time <= time
        return starts and (self.end.time is None or time <= self.end.time)


class Interface(Struct, frozen=True, gc=False):
    """What the evidence says of one ENI over its whole life.

    ``mark`` is the instance that the VPC CNI made it for, with ``description`` or ``tag``, and
    ``marked`` the time from which on that is written there. ``deleted`` is implied where a
    termination took the interface along.
    """

    eni: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    kind: str
    created: Bound
    deleted: Bound
    mark: tuple[str, str] | None
    marked: datetime | None
    cluster: str | None
    attachments: tuple[Attachment, ...]

    def mark_at(self, time: datetime) -> tuple[str, str] | None:
        """The mark of the CNI, as far as it was written there by then: anybody may write one later."""
        return self.mark if self.marked is not None and self.marked <= time else None

    def attachment_at(self, time: datetime) -> Attachment | None:
        """The attachment that covers a second; of two that share it, the later one."""
        for attachment in reversed(self.attachments):
            if attachment.covers(time):
                return attachment
        return None


class Lease(Struct, frozen=True, gc=False):
    """An interval in which an ENI held an address or a prefix.

    Beside the bounds that are shown, a lease knows how far it may reach and what it may be doubted
    for: ``earliest`` is the first moment at which it may have begun where ``start.time`` is
    None (None: any time before); ``proven`` is the last moment at which an event shows the address
    on the ENI; ``released`` says that the end is a release of this very address, which proves
    that it was held until then: since ``retaken``, where a call gave it to the ENI once more;
    from ``doubt_from`` on, another ENI may have taken the address;
    ``contested`` says that the order of calls within its first second is not known, and
    ``rivals`` are the other ENIs that took the address in it; ``settled`` is the time of the release
    that told later which of them came last, as far as no call between is missing.
    """

    held: Held
    kind: HoldingKind
    eni: str
    vpc: str | None
    start: Bound
    end: Bound
    earliest: datetime | None = None
    proven: datetime | None = None
    released: bool = False
    retaken: datetime | None = None
    doubt_from: datetime | None = None
    contested: bool = False
    rivals: tuple[str, ...] = ()
    settled: datetime | None = None

    def reach(self) -> datetime | None:
        """The first moment that the lease may cover; None for any time before."""
        return self.start.time or self.earliest


class Instance(Struct, frozen=True, gc=False):
    """What the evidence says of one instance."""

    instance: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    instance_type: str | None
    cluster: str | None
    launched: Bound
    ended: Bound


class History(Struct, frozen=True, gc=False):
    """The rebuilt past."""

    events: tuple[Event, ...]
    interfaces: Mapping[str, Interface]
    instances: Mapping[str, Instance]
    leases: tuple[Lease, ...]
    """Sorted by address, then by start."""
    holders: Mapping[Held, tuple[tuple[Lease, ...], ...]]
    """The leases of each address or prefix, a group for each VPC (for each ENI whose VPC is not
    known); in a group one follows the other."""
    actors: Mapping[str, Actor]
    """The completed actor of each event, by the event's key."""
    attachments: Mapping[str, str]
    """The ENI by attachment id, where the evidence connects them."""
    associations: Mapping[str, tuple[str | None, str | None]]
    """(ENI, instance) by the association id of a trunk or of a public address."""
    unrecorded: tuple[Unrecorded, ...] = ()
    """The times in which trails did not record EC2's write calls, by start; also those that are known from
    LookupEvents alone, which has the calls of that time all the same."""
