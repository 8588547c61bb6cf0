"""Who held what, what was attached where: intervals, each bound with its basis."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network
from itertools import accumulate, groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

from cnitrail.model.basis import Basis, InstanceBasis
from cnitrail.model.coverage import AccountRegion
from cnitrail.model.event import Actor, CniMark, Effect, Event, Held, HoldingKind, IssuedSession
from cnitrail.model.manager import UNKNOWN_MANAGEMENT, Management
from cnitrail.model.pods import PodHistory
from cnitrail.model.recording import Unrecorded
from cnitrail.timeclamp import FIRST, LAST


class Bound(Struct, frozen=True, gc=False):
    """A start or an end: the time (aware, UTC; None if it is not known), its basis, its event."""

    time: datetime | None
    basis: Basis
    event: Event | None = None

    @property
    def shown(self) -> datetime | None:
        """Return the time to show; None if it is only the earliest possible one.

        None, too, for a termination that found the instance terminated already.
        """
        event = self.event
        if self.basis is Basis.UNKNOWN:
            return None
        if self.basis is not Basis.IMPLIED or event is None or event.effect is not Effect.TERMINATE:
            return self.time
        return (
            self.time if all(subject.details.previous_state in ALIVE for subject in event.subjects) else None
        )


ALIVE = ("pending", "running", "stopping", "stopped")
"""The states of an instance that is not terminated (EC2's InstanceState)."""


OPEN = Bound(None, Basis.OPEN)
UNKNOWN = Bound(None, Basis.UNKNOWN)


class Attachment(Struct, frozen=True, gc=False, kw_only=True):
    """An interface attached to an instance, from ``start`` to ``end``."""

    eni: str
    instance: str | None
    device_index: int | None
    attachment: str | None
    start: Bound
    end: Bound
    how: InstanceBasis
    dies_with_instance: bool = False
    """True if the interface is known to be deleted with the instance (deleteOnTermination)."""

    def covers(self, time: datetime) -> bool:
        """Return whether the interface was attached in a second; the seconds of both bounds count."""
        starts = self.start.time is None or self.start.time <= time
        return starts and (self.end.time is None or time <= self.end.time)


class Attachments(tuple[Attachment, ...]):  # noqa: SLOT001  indexes are made when they are needed
    """The attachments of one ENI, found by binary search: usually they are in the order of their starts."""

    def at(self, time: datetime) -> Attachment | None:
        """Return the last one that covers a second; None if none does."""
        near = self if len(self) < _FEW else self.during(time, time)
        for attachment in reversed(near):
            if attachment.covers(time):
                return attachment
        return None

    def begun(self, time: datetime) -> Attachment | None:
        """Return the last one that started by a second; None if none did."""
        _, after = self._places(FIRST, time)
        for place in range(after - 1, -1, -1):
            if _starts(self[place]) <= time:
                return self[place]
        return None

    def during(self, start: datetime, end: datetime) -> tuple[Attachment, ...]:
        """Return all that may overlap a time, and maybe others."""
        first, after = self._places(start, end)
        return self[first:after]

    def named(self, name: str) -> Attachment | None:
        """Return the first one with a name (``eni-attach-…``); None if none has it."""
        if len(self) < _FEW:
            return next((attachment for attachment in self if attachment.attachment == name), None)
        return self._by_name.get(name)

    def are_only_on(self, instance: str) -> bool:
        """Return whether none of them is known to be on another instance."""
        instances = self._instances if len(self) >= _FEW else {attachment.instance for attachment in self}
        return instances <= {None, instance}

    @cached_property
    def _instances(self) -> frozenset[str | None]:
        return frozenset(attachment.instance for attachment in self)

    @cached_property
    def _by_name(self) -> Mapping[str | None, Attachment]:
        return {attachment.attachment: attachment for attachment in reversed(self)}

    def _places(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Return the place of the first one that may overlap a time, and the place after the last one."""
        if len(self) < _FEW or not self._is_in_order:
            return 0, len(self)
        after = bisect_right(self, max(start, end), key=_starts)
        return bisect_left(self._latest_ends, min(start, end)), after

    @cached_property
    def _is_in_order(self) -> bool:
        return all(_starts(one) <= _starts(other) for one, other in pairwise(self))

    @cached_property
    def _latest_ends(self) -> list[datetime]:
        """The latest end of each one and those before it."""
        return list(accumulate((attachment.end.time or LAST for attachment in self), max))


_FEW = 8
"""Number of attachments that are looked at one by one as fast as they are searched."""


def _starts(attachment: Attachment) -> datetime:
    return attachment.start.time or FIRST


class Tagged(Struct, frozen=True, gc=False):
    """The EKS clusters that tags name since a time (aware, UTC); ``by_aws`` if only AWS can write these."""

    since: datetime
    clusters: tuple[str, ...]
    by_aws: bool = False


class ClaimedMark(NamedTuple):
    """An instance that somebody may have written on an ENI at a time: no mark of the VPC CNI."""

    mark: CniMark
    time: datetime


class Interface(Struct, frozen=True, gc=False, kw_only=True):
    """Everything known about one ENI.

    ``mark`` is the instance that the VPC CNI created it for, and where that was written (``description`` or
    ``tag``), since the time ``marked``: it must have been written at creation, by the instance itself or by
    the CNI. Any other such text is only ``claimed``. ``deleted`` is implied if the ENI was deleted with its
    instance. ``alive`` is the last time at which an event shows that it exists. ``tagged`` are the clusters
    that its tags name over time. ``disputed_owner`` means that calls of several accounts or Regions name it,
    and none of these calls created it.
    """

    eni: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    kind: str
    created: Bound
    deleted: Bound
    mark: CniMark | None
    marked: datetime | None
    tagged: tuple[Tagged, ...]
    attachments: Attachments
    claimed: tuple[ClaimedMark, ...] = ()
    alive: datetime | None = None
    disputed_owner: bool = False

    @property
    def place(self) -> AccountRegion:
        """Return the account and Region that own it."""
        return self.account, self.region

    def mark_at(self, time: datetime) -> CniMark | None:
        """Return the mark of the CNI, if it was written by then; else None."""
        return self.mark if self.marked is not None and self.marked <= time else None

    def attachment_at(self, time: datetime) -> Attachment | None:
        """Return the attachment that covers a second, the later of two; None if none does."""
        return self.attachments.at(time)

    def left_before(self, time: datetime) -> Attachment | None:
        """Return the attachment that ended before a second, unless another one followed.

        A detachment ended it, or the termination of its instance. The detachment of a trunk ends those of its
        branches.
        """
        attachment = self.attachments.begun(time)
        event = attachment.end.event if attachment is not None else None
        if attachment is None or event is None or event.effect not in _ENDING_ATTACHMENTS:
            return None
        return attachment if not attachment.covers(time) else None


class Departure(Struct, frozen=True, gc=False):
    """How an interface left an instance (None: which one is not known): detached, or outliving it.

    If it was not attached, as far as events show, it is the end of the instance that it was created for.
    """

    instance: str | None
    end: Bound
    was_attached: bool

    @property
    def with_trunk(self) -> bool:
        """Return whether a branch left because its trunk was detached."""
        event = self.end.event
        return self.end.basis is Basis.IMPLIED and event is not None and event.effect is Effect.DETACH


class Certainty(Struct, frozen=True, gc=False, kw_only=True):
    """How far a lease can be relied on, beyond what it shows; ``NO_DOUBTS`` for nearly all."""

    earliest_start: datetime | None = None
    """First moment at which the lease may have started if its start has no time; None: any time before."""
    assigned_again: datetime | None = None
    """Time of the last call that assigned the address to the same ENI again: a release at the end proves
    only the time since then."""
    takeover_from: datetime | None = None
    """Time from which an ENI of unknown VPC may have taken the address; None if none can have."""
    contested: bool = False
    """True if the order of the calls in the first second of the lease is not known."""
    rivals: frozenset[str] = frozenset()
    """The other ENIs that took the address in the first second of the lease."""
    settled_at: datetime | None = None
    """Time of a later release that shows which of the rivals came last, if no call in between is missing."""


NO_DOUBTS = Certainty()
_OBSERVED, _UNASSIGN = Basis.OBSERVED, Effect.UNASSIGN
_ENDING_ATTACHMENTS = (Effect.DETACH, Effect.TERMINATE)


class Lease(Struct, frozen=True, gc=False, kw_only=True):
    """An interval in which an ENI held an address or a prefix."""

    held: Held
    kind: HoldingKind
    eni: str
    vpc: str | None
    start: Bound
    end: Bound
    last_seen: datetime | None = None
    """Last time at which an event shows the address on the ENI."""
    certainty: Certainty = NO_DOUBTS

    @property
    def released(self) -> bool:
        """Return whether a release of this very address ended it: the ENI held the address until then."""
        end = self.end
        return end.basis is _OBSERVED and end.event is not None and end.event.effect is _UNASSIGN

    def possible_start(self) -> datetime | None:
        """Return the first moment that the lease may cover; None for any time before."""
        return self.start.time or self.certainty.earliest_start


class SetAside(StrEnum):
    """Why an event changes nothing in the history."""

    FOREIGN = "other-owner"
    """It names an interface or instance of another account or Region."""
    UNPROVEN = "not-proven"
    """Digests do not prove it, and it names what proven records name."""


class Instance(Struct, frozen=True, gc=False, kw_only=True):
    """Everything known about one instance."""

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
    """Last time at which an event shows that it is not terminated."""
    platform: str | None = None
    """``windows`` for an instance with Windows (EC2's ``platform``, in the response of its launch)."""

    def has_ended(self, at: datetime) -> bool:
        """Return whether it was terminated by a second."""
        return self.ended.time is not None and self.ended.time <= at

    @property
    def is_windows(self) -> bool:
        """Return whether it is known to run Windows."""
        return self.platform is not None and self.platform.lower() == "windows"


class Subnet(Struct, frozen=True, gc=False, kw_only=True):
    """A subnet as the call that created it shows it; ``cidr`` is None if it has IPv6 addresses only."""

    subnet: str
    account: str | None
    region: str | None
    vpc: str | None
    cidr: IPv4Network | None


class Cluster(Struct, frozen=True, gc=False):
    """The EKS cluster of an interface or instance, by tags.

    There are several ``names`` if tags disagree. ``basis`` is ``tag`` (the interface's) or ``instance-tag``;
    ``by_aws`` if only AWS can write the tag.
    """

    names: tuple[str, ...] = ()
    basis: str | None = None
    by_aws: bool = False

    @property
    def name(self) -> str | None:
        """Return the cluster; None if tags name none, or several."""
        return self.names[0] if len(self.names) == 1 else None


def tagged_at(tagged: tuple[Tagged, ...], time: datetime | None) -> Tagged | None:
    """Return what tags name at a time, or at last if the time is None; None if they name nothing yet."""
    for last in reversed(tagged):
        if time is None or last.since <= time:
            return last
    return None


_NO_CLUSTER = Cluster()
_held = attrgetter("held")


def _by_vpc(leases: Iterable[Lease]) -> tuple[tuple[Lease, ...], ...]:
    """Return the leases of one address in groups that may not overlap."""
    groups: dict[tuple[bool, str], list[Lease]] = defaultdict(list)
    for lease in leases:
        groups[lease.vpc is not None, lease.vpc or lease.eni].append(lease)
    return tuple([tuple(sorted(groups[key], key=_begin_and_end)) for key in sorted(groups)])


def _begin_and_end(lease: Lease) -> tuple[bool, datetime, datetime, str]:
    """Return the key that sorts the leases of a group; one that may have started at any time comes first."""
    start = lease.possible_start()
    return start is not None, start or LAST, lease.end.time or LAST, lease.eni


class History(Struct, frozen=True, kw_only=True, dict=True):
    """Everything that the events show: interfaces, instances, leases, callers."""

    events: tuple[Event, ...]
    interfaces: Mapping[str, Interface]
    instances: Mapping[str, Instance]
    leases: tuple[Lease, ...]
    """Sorted by address, then by start."""
    actors: Mapping[str, Actor]
    """The completed caller of each event, by event key."""
    attachments: Mapping[str, str]
    """ENIs by attachment ID, if the evidence connects the two."""
    associations: Mapping[str, tuple[str | None, str | None]]
    """(ENI, instance) by the association ID of a trunk or of a public address."""
    set_aside: Mapping[str, SetAside] = {}
    """The events that change nothing, by key, with the reason."""
    proven: frozenset[str] | None = None
    """Keys of the events that digests prove; None if verification was not asked for."""
    sessions_aside: tuple[IssuedSession, ...] = ()
    """Sessions that digests do not prove, with the credentials of callers in proven records: they identify no
    caller."""
    unproven: frozenset[str] = frozenset()
    """Interfaces that only unproven records name; empty if verification was not asked for."""
    eni_managers: Mapping[str, Management] = {}
    """What manages the addresses of each ENI, if that is known."""
    node_managers: Mapping[str, Management] = {}
    """What manages the addresses for the pods of each instance, if that is known."""
    operators: frozenset[tuple[str, str | None]] = frozenset()
    """(instance, user agent) of the callers with the role of an instance that call for other instances."""
    subnets: Mapping[str, Subnet] = {}
    """The subnets whose creation is in the evidence, by ID."""
    unrecorded: tuple[Unrecorded, ...] = ()
    """The times in which trails did not record EC2's write calls, by start; also those known from
    LookupEvents alone, although it returns the calls of that time."""
    pods: PodHistory = PodHistory()

    @cached_property
    def holders(self) -> Mapping[Held, tuple[tuple[Lease, ...], ...]]:
        """The leases of each address or prefix: a group for each VPC (each ENI of unknown VPC), in order."""
        return {held: _by_vpc(leases) for held, leases in groupby(self.leases, key=_held)}

    def attachment_of(self, eni: str | None, time: datetime) -> Attachment | None:
        """Return the attachment of an interface in a second; None if none is known."""
        interface = self.interfaces.get(eni or "")
        return interface.attachment_at(time) if interface is not None else None

    def instance_of(self, eni: str | None, time: datetime) -> tuple[str | None, InstanceBasis | None]:
        """Return the instance of an interface in a second, and how that is known; (None, None) if it is not.

        Without an attachment it is the instance that the VPC CNI created the interface for, unless the
        interface left it, or the instance ended, before.
        """
        interface = self.interfaces.get(eni or "")
        if interface is None:
            return None, None
        attachment = interface.attachment_at(time)
        if attachment is not None and attachment.instance is not None:
            return attachment.instance, attachment.how
        return (None, None) if self.departure(eni, time) is not None else self.made_for(eni, time)

    def departure(self, eni: str | None, time: datetime) -> Departure | None:
        """Return how an interface left its last instance before a second; None if nothing shows it."""
        interface = self.interfaces.get(eni or "")
        attachment = interface.left_before(time) if interface is not None else None
        if attachment is not None:
            return Departure(attachment.instance, attachment.end, was_attached=True)
        name, _ = self.made_for(eni, time)
        node = self.instances.get(name or "")
        if node is None or node.ended.time is None or node.ended.time >= time:
            return None
        return Departure(name, node.ended, was_attached=False)

    def last_instance_of(self, eni: str, time: datetime) -> str | None:
        """Return the last instance that an interface came to by a time, or that it was created for."""
        interface = self.interfaces.get(eni)
        last = interface.attachments.begun(time) if interface is not None else None
        return (last.instance if last is not None else None) or self.made_for(eni, time)[0]

    def is_attached(self, interface: Interface, attachment: Attachment | None, time: datetime) -> bool | None:
        """Return whether an interface is attached, given its attachment then; None if nothing shows it.

        Nothing shows it of an interface that is older than the evidence, and of those that are attached
        without an event in the customer's trail: AWS services attach theirs, and EKS associates branches.
        """
        if attachment is not None:
            return True
        if interface.attachments.begun(time) is not None:
            return False
        is_by_event = interface.kind != "branch" and not self.manager_of(interface.eni).is_service
        return False if is_by_event and interface.created.time is not None else None

    def made_for(self, eni: str | None, time: datetime) -> tuple[str | None, InstanceBasis | None]:
        """Return the instance that the VPC CNI created an interface for, and how that is known.

        (None, None) if it is not known, or if the interface was ever attached to another instance.
        """
        interface = self.interfaces.get(eni or "")
        mark = interface.mark_at(time) if interface is not None else None
        if interface is None or mark is None:
            return None, None
        is_there = interface.attachments.are_only_on(mark.instance)
        return mark if is_there else (None, None)

    def calling_instance(self, actor: Actor) -> str | None:
        """Return the instance that calls with its own role, for itself; None for an operator, or another."""
        is_operator = actor.instance is not None and (actor.instance, actor.agent.raw) in self.operators
        return None if is_operator else actor.instance

    def manager_of(self, eni: str | None) -> Management:
        """Return what manages the addresses of an ENI. Every answer takes it from here."""
        return self.eni_managers.get(eni or "", UNKNOWN_MANAGEMENT)

    def manager_of_node(self, instance: str | None) -> Management:
        """Return what manages the addresses for the pods of an instance. Every answer takes it from here."""
        return self.node_managers.get(instance or "", UNKNOWN_MANAGEMENT)

    def cluster_of(self, eni: str | None, instance: str | None, time: datetime | None) -> Cluster:
        """Return the EKS cluster of an interface at a time (None: at last), by its tags or its instance's.

        Without an instance, that is the last one that the interface was on. Anybody may write most tags, so
        AWS's own count first, and if the others name several clusters, all of them are returned. Every answer
        takes the cluster of an interface or instance from here.
        """
        if instance is None and eni is not None and time is not None:
            instance = self.last_instance_of(eni, time)
        interface, node = self.interfaces.get(eni or ""), self.instances.get(instance or "")
        own = tagged_at(interface.tagged, time) if interface is not None else None
        of_node = tagged_at(node.tagged, time) if node is not None else None
        if of_node is not None and (own is None or (of_node.by_aws and not own.by_aws)):
            return Cluster(of_node.clusters, "instance-tag", of_node.by_aws)
        if own is None:
            return _NO_CLUSTER
        if of_node is None or own.by_aws or own.clusters == of_node.clusters:
            return Cluster(own.clusters, "tag", own.by_aws)
        return Cluster(tuple(sorted({*own.clusters, *of_node.clusters})), "tag")
