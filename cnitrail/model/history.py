"""Who held what, what was attached where: intervals, each bound with what it rests on."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.coverage import AccountRegion
from cnitrail.model.event import Actor, Effect, Event, Held, HoldingKind, IssuedSession
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

    @property
    def shown(self) -> datetime | None:
        """The time that is shown: none if a call found that it was over already, since when is not known."""
        event = self.event
        if self.basis is not Basis.IMPLIED or event is None or event.effect is not Effect.TERMINATE:
            return self.time
        return self.time if all(each.previous_state in ALIVE for each in event.subjects) else None


ALIVE = ("pending", "running", "stopping", "stopped")
"""The states of an instance that is not terminated (EC2's InstanceState)."""


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
    """How it is known: ``attach`` or ``launch`` is the call that made it, ``description`` and ``tag`` are
    what the VPC CNI wrote on the interface when it made it, ``session`` are the instance's own calls."""
    dies_with_instance: bool = False
    """Whether the interface is deleted with the instance (deleteOnTermination), as far as is known."""

    def covers(self, time: datetime) -> bool:
        """Whether the interface was attached at that second, both bounds included."""
        starts = self.start.time is None or self.start.time <= time
        return starts and (self.end.time is None or time <= self.end.time)


class Tagged(Struct, frozen=True, gc=False):
    """The EKS clusters that tags name from a time (aware, UTC) on.

    ``by_aws`` if AWS alone can write such tags.
    """

    since: datetime
    clusters: tuple[str, ...]
    by_aws: bool = False


class Interface(Struct, frozen=True, gc=False):
    """What the evidence says of one ENI over its whole life.

    ``mark`` is the instance that the VPC CNI made it for, with ``description`` or ``tag``, and
    ``marked`` the time from which on that is written there: only a mark that was written at creation,
    by the instance itself or by the CNI, is one. Any other is ``claimed``. ``deleted`` is implied if a
    termination took the interface along. ``alive`` is the last time at which an event shows that it exists.
    ``tagged`` are the clusters that its tags name, each from a time on. ``disputed_owner`` means that calls
    of several accounts or Regions name it, and none of them made it.
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
    tagged: tuple[Tagged, ...]
    attachments: tuple[Attachment, ...]
    claimed: tuple[tuple[str, str, datetime], ...] = ()
    alive: datetime | None = None
    disputed_owner: bool = False

    @property
    def place(self) -> AccountRegion:
        """The account and Region that it belongs to."""
        return self.account, self.region

    def mark_at(self, time: datetime) -> tuple[str, str] | None:
        """The mark of the CNI, if it was written by then."""
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


class SetAside(StrEnum):
    """Why an event moves nothing in the history."""

    FOREIGN = "other-owner"
    """It names an interface or instance that belongs to another account or Region."""
    UNPROVEN = "not-proven"
    """No digest vouches for it, and it names what proven records speak of."""


class Instance(Struct, frozen=True, gc=False):
    """What the evidence says of one instance."""

    instance: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    instance_type: str | None
    tagged: tuple[Tagged, ...]
    launched: Bound
    ended: Bound
    alive: datetime | None = None
    """The last time at which an event shows that it is not terminated."""


class Cluster(Struct, frozen=True, gc=False):
    """The EKS clusters that something belongs to, and whose tags say so.

    ``names`` are several if tags disagree. ``basis`` is ``tag`` (the interface's) or ``instance-tag``;
    ``by_aws`` if AWS alone can write the tag.
    """

    names: tuple[str, ...] = ()
    basis: str | None = None
    by_aws: bool = False

    @property
    def name(self) -> str | None:
        """The one cluster; None if there is none, or if tags name several."""
        return self.names[0] if len(self.names) == 1 else None


def tagged_at(tagged: tuple[Tagged, ...], time: datetime | None) -> Tagged | None:
    """What the tags say at a time, or last of all."""
    known = [each for each in tagged if time is None or each.since <= time]
    return known[-1] if known else None


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
    set_aside: Mapping[str, SetAside] = {}
    """The events that move nothing, by key, with the reason."""
    proven: frozenset[str] | None = None
    """The events that digests vouch for, by key; None if that was not asked."""
    sessions_aside: tuple[IssuedSession, ...] = ()
    """The credentials that no digest vouches for, of callers that proven records have: they name nobody."""
    unproven: frozenset[str] = frozenset()
    """The interfaces that only records speak of that no digest vouches for; empty unless that was asked."""
    unrecorded: tuple[Unrecorded, ...] = ()
    """The times in which trails did not record EC2's write calls, by start; also those that are known from
    LookupEvents alone, which has the calls of that time all the same."""

    def attachment_of(self, eni: str | None, time: datetime) -> Attachment | None:
        """Where an interface is attached in a second, with what that is known by (``how``)."""
        interface = self.interfaces.get(eni or "")
        return interface.attachment_at(time) if interface is not None else None

    def instance_of(self, eni: str | None, time: datetime) -> tuple[str | None, str | None]:
        """The instance of an interface in a second, and how that is known; (None, None) if it is not.

        All that names the instance of an interface asks this. Without an attachment it is the one that the
        VPC CNI made it for, unless it was ever on another.
        """
        interface = self.interfaces.get(eni or "")
        if interface is None:
            return None, None
        attachment = interface.attachment_at(time)
        if attachment is not None and attachment.instance is not None:
            return attachment.instance, attachment.how
        mark = interface.mark_at(time)
        is_unused = all(each.instance in (None, mark[0]) for each in interface.attachments) if mark else False
        return mark if mark is not None and is_unused else (None, None)

    def cluster_of(self, eni: str | None, instance: str | None, time: datetime | None) -> Cluster:
        """The EKS cluster of an interface at a time (None: at last), by its tags, else its instance's.

        All that names the cluster of an interface or instance asks this.
        """
        interface, node = self.interfaces.get(eni or ""), self.instances.get(instance or "")
        for thing, basis in ((interface, "tag"), (node, "instance-tag")):
            known = tagged_at(thing.tagged, time) if thing is not None else None
            if known is not None:
                return Cluster(known.clusters, basis, known.by_aws)
        return Cluster()
