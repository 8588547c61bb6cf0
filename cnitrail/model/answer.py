"""Answers as they are shown: field names are those of the JSON output."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Generic, TypeVar

from msgspec import Struct

from cnitrail.model.basis import Basis, InstanceBasis
from cnitrail.model.coverage import Ground
from cnitrail.model.event import Actor, AttributeChange, CallOutcome, Effect, Failure, Held, HoldingKind
from cnitrail.model.evidence import Evidence, Origin
from cnitrail.model.history import SetAside
from cnitrail.model.manager import UNKNOWN_MANAGEMENT, Management
from cnitrail.model.pods import PodAnswer, PodEntry, is_own_address
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.model.trail import TrailChange

Entry = TypeVar("Entry")


class Answer(Struct, Generic[Entry], frozen=True, gc=False, kw_only=True):
    """The answer of a command: its query, the evidence that was read, and the entries.

    ``limitations`` are what of the time that was asked for the evidence does not cover.
    """

    command: str
    query: Mapping[str, object]
    evidence: Evidence
    entries: Sequence[Entry]
    limitations: Sequence[Reason] = ()


class Moved(Struct, frozen=True, gc=False, kw_only=True):
    """An address that a call took from another interface (allowReassignment)."""

    ip: Held
    from_eni: str
    from_instance: str | None = None
    from_vpc: str | None = None
    from_subnet: str | None = None
    from_clusters: tuple[str, ...] = ()


class TimelineEntry(Struct, frozen=True, gc=False):
    """What one call did to one interface (or instance, if it names no interface).

    A call on several interfaces has an entry for each. ``removed`` by a deletion or a termination is what the
    interface held until then. ``shown`` are the addresses of an interface from before the launch of its
    instance. ``cluster`` is the cluster of the interface at the time of the call, by its tags or its
    instance's; None if they name several, which are in ``clusters``. ``claimed_instance`` is what somebody
    else than the CNI or the instance wrote on the interface. ``set_aside`` is why a call changes nothing
    here. ``proven`` is whether digests prove the record; None if verification was not asked for.
    ``correction_of`` is the eventID that the record replaces. ``trail`` is set if the call configured a trail
    or its bucket, and names no interface. ``omitted`` are the parts of the record (``request``,
    ``response``) that CloudTrail left out because they are too large. ``requested_kind`` is what the call
    asked for, whether by number or by name. ``resource`` is the NAT gateway, VPC endpoint or EFS mount target
    that the interface belongs to, the role that a failed sign-in asked for, or the subnet that the call
    created, with its ``cidr``. ``carried`` are the addresses that the interface held when the call attached
    or detached it; a detached trunk carries those of its branches. ``force`` is a detachment that did not
    wait for the instance's operating system. ``changes`` are the attributes that the call set, or tried to.
    """

    time: datetime
    event_id: str | None
    event: str
    effect: Effect
    outcome: CallOutcome
    error: Failure | None
    account: str | None
    region: str | None
    actor: Actor
    eni: str | None
    eni_kind: str | None
    attachment: str | None
    device_index: int | None
    instance: str | None
    instance_basis: InstanceBasis | None
    instance_type: str | None
    cluster: str | None
    vpc: str | None
    subnet: str | None
    added: tuple[Held, ...]
    removed: tuple[Held, ...]
    shown: tuple[Held, ...]
    requested: int | None
    requested_addresses: tuple[str, ...]
    moved: tuple[Moved, ...]
    trunk: str | None
    public_address: str | None
    allocation: str | None
    origins: tuple[Origin, ...]
    clusters: tuple[str, ...] = ()
    cluster_basis: str | None = None
    claimed_instance: str | None = None
    set_aside: SetAside | None = None
    proven: bool | None = None
    damaged: bool = False
    disputed: bool = False
    correction_of: str | None = None
    trail: TrailChange | None = None
    omitted: tuple[str, ...] = ()
    resource: str | None = None
    carried: tuple[Held, ...] = ()
    force: bool = False
    requested_kind: HoldingKind | None = None
    cidr: IPv4Network | None = None
    changes: tuple[AttributeChange, ...] = ()
    pods: tuple[PodEntry, ...] = ()
    """If pods were asked for: those that had an address of the call while its ENI held that."""


class AttachmentEntry(Struct, frozen=True, gc=False, kw_only=True):
    """The time of an interface on an instance, with the basis of each bound."""

    instance: str | None
    device_index: int | None
    attachment: str | None
    start: datetime | None
    start_basis: Basis
    end: datetime | None
    end_basis: Basis
    how: InstanceBasis = InstanceBasis.ATTACH


class LeaseEntry(Struct, frozen=True, gc=False, kw_only=True):
    """An interval in which an interface held an address or a prefix.

    Attachments are those that overlap the interval, with their own bounds. ``unproven`` means that
    verification was asked for and only unproven records name the interface. ``doubt`` is why another
    interface may have the address instead: ``order-unknown`` or ``may-be-taken``.
    """

    ip: Held
    kind: HoldingKind
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    eni: str
    eni_kind: str
    start: datetime | None
    start_basis: Basis
    start_event: str | None
    assigned_by: Actor | None
    end: datetime | None
    end_basis: Basis
    end_event: str | None
    released_by: Actor | None
    attachments: tuple[AttachmentEntry, ...]
    unproven: bool = False
    doubt: ReasonCode | None = None


class LeaseSegment(Struct, frozen=True, gc=False):
    """The part of a lease during which its interface was on one instance, or on none.

    A bound is None if it is not known, or not in the evidence.
    """

    lease: LeaseEntry
    start: datetime | None
    end: datetime | None


class Swimlane(Struct, frozen=True, gc=False, kw_only=True):
    """The attachments, addresses and calls of one interface on one instance.

    ``instance`` is None between attachments, and if no instance is known; ``eni`` is None for calls that name
    no interface.
    """

    instance: str | None
    instance_type: str | None
    eni: str | None
    eni_kind: str | None
    attachments: tuple[AttachmentEntry, ...]
    stretches: tuple[LeaseSegment, ...]
    calls: tuple[TimelineEntry, ...]


class HeldEntry(Struct, frozen=True, gc=False, kw_only=True):
    """An address that an interface holds at a time, with the basis of each bound.

    ``doubt`` is why another interface may have it instead: ``order-unknown`` or ``may-be-taken``.
    """

    ip: Held
    kind: HoldingKind
    start: datetime | None
    start_basis: Basis
    end: datetime | None
    end_basis: Basis
    doubt: ReasonCode | None = None


class StateEntry(Struct, frozen=True, gc=False, kw_only=True):
    """An interface at the end of a second; ``attached`` is None if that is not known."""

    eni: str
    eni_kind: str
    account: str | None
    region: str | None
    vpc: str | None
    subnet: str | None
    cluster: str | None
    attached: bool | None
    instance: str | None
    instance_type: str | None
    device_index: int | None
    attachment: str | None
    attached_since: datetime | None
    attached_basis: Basis | None
    addresses: tuple[HeldEntry, ...]
    clusters: tuple[str, ...] = ()
    instance_basis: InstanceBasis | None = None
    unproven: bool = False
    management: Management = UNKNOWN_MANAGEMENT


class Verdict(StrEnum):
    """Confidence in an answer to ``who``."""

    CERTAIN = "certain"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    FREE = "free"
    """Nobody: an event released the address, and the logs since then are complete and assign it to no ENI."""
    UNKNOWN = "unknown"


class Holder(Struct, frozen=True, gc=False, kw_only=True):
    """An interface that held an address, by itself or as part of a prefix.

    ``cluster`` is the cluster of the interface then, by its tags or its instance's; None if not known.
    ``attached`` is None if it is not known whether it was attached. ``service`` is the AWS service that uses
    the interface (``lambda``, ``elb``); None if none does.
    """

    eni: str
    eni_kind: str
    instance: str | None
    vpc: str | None
    subnet: str | None
    account: str | None
    region: str | None
    device_index: int | None
    kind: HoldingKind
    prefix: Held | None
    start: datetime | None
    start_basis: Basis
    end: datetime | None
    end_basis: Basis
    assigned_by: Actor | None
    assign_event: str | None
    instance_basis: InstanceBasis | None = None
    cluster: str | None = None
    attached: bool | None = None
    service: str | None = None

    @property
    def is_own_address(self) -> bool:
        """Return whether the address is the interface's own, which no pod has."""
        return is_own_address(self.kind, self.eni_kind)


class WhoAnswer(Struct, frozen=True, gc=False, kw_only=True):
    """Who held an address at a second, how sure that is, and why.

    ``rests_on`` is how well the evidence covers the time of the holders: from the start of the lease (or of
    the attachment to the instance, if later) to its end, or to the time asked for if that is later. For a
    free address it is the time from its release to the time asked for; it is None if the verdict is unknown.
    ``last_holder`` is the last one before the second; None if there is a holder, or if no earlier one is
    known.
    """

    ip: str
    at: datetime | None
    verdict: Verdict
    holders: tuple[Holder, ...]
    reasons: tuple[Reason, ...]
    rests_on: Ground | None
    last_holder: Holder | None = None
    pod: PodAnswer | None = None
    """The pod that had the address; None if no pod evidence was read."""
