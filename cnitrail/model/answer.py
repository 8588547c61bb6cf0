"""Answers to questions, as they are shown: field names are the JSON's own (design contract)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

from cnitrail.model.coverage import Ground
from cnitrail.model.event import Actor, Effect, Failure, Held, HoldingKind
from cnitrail.model.evidence import Evidence, Origin
from cnitrail.model.history import Basis, SetAside
from cnitrail.model.trail import TrailChange

Entry = TypeVar("Entry")


class Answer(Struct, Generic[Entry], frozen=True, gc=False):
    """What a command answers: its entries, with what it was asked and what was read for it."""

    command: str
    query: Mapping[str, object]
    evidence: Evidence
    entries: Sequence[Entry]


class Moved(Struct, frozen=True, gc=False):
    """An address that a call took from another interface."""

    ip: Held
    from_eni: str
    from_instance: str | None = None
    from_vpc: str | None = None
    from_subnet: str | None = None
    from_clusters: tuple[str, ...] = ()


class TimelineEntry(Struct, frozen=True, gc=False):
    """What one call did to one interface (or instance, where it names no interface).

    A call that touches several interfaces has an entry for each. ``removed`` of a deletion or a
    termination is what the history shows the interface to have held until then. ``shown`` are the
    addresses of an interface that was there before its instance was launched with it. ``cluster`` is
    the interface's at the time of the call, by its tags, else by its instance's; None if they name
    several, which are in ``clusters``. ``claimed_instance`` is what somebody wrote on the interface who had
    no part in it. ``set_aside`` says why a call moves nothing here. ``proven`` says whether digests vouch
    for it; None if that was not asked. ``correction_of`` is the eventID that the record replaces.
    ``trail`` is set
    if the call configured a trail, or its bucket, and touched no interface.
    """

    time: datetime
    event_id: str | None
    event: str
    effect: Effect
    outcome: str
    error: Failure | None
    account: str | None
    region: str | None
    actor: Actor
    eni: str | None
    eni_kind: str | None
    attachment: str | None
    device_index: int | None
    instance: str | None
    instance_basis: str | None
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


class AttachmentEntry(Struct, frozen=True, gc=False):
    """An interface's stay on an instance, with what its bounds rest on."""

    instance: str | None
    device_index: int | None
    attachment: str | None
    start: datetime | None
    start_basis: Basis
    end: datetime | None
    end_basis: Basis
    how: str = "attach"


class LeaseEntry(Struct, frozen=True, gc=False):
    """An interval in which an interface held an address or a prefix.

    Attachments are those that meet the interval, with their own bounds. ``unproven`` means that only
    records speak of the interface that no digest vouches for, though digests were asked.
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


class LeaseSegment(Struct, frozen=True, gc=False):
    """The part of a lease during which its interface stood on one instance, or on none.

    Where a bound is None, it is not known, or there is none in the evidence.
    """

    lease: LeaseEntry
    start: datetime | None
    end: datetime | None


class Swimlane(Struct, frozen=True, gc=False):
    """What happened to one interface on one instance: its attachments, its addresses, the calls.

    ``instance`` is None for the time between attachments, and where no instance is known; ``eni``
    is None for calls that name no interface.
    """

    instance: str | None
    instance_type: str | None
    eni: str | None
    eni_kind: str | None
    attachments: tuple[AttachmentEntry, ...]
    stretches: tuple[LeaseSegment, ...]
    calls: tuple[TimelineEntry, ...]


class HeldEntry(Struct, frozen=True, gc=False):
    """An address that an interface holds at a time, and what that rests on."""

    ip: Held
    kind: HoldingKind
    start: datetime | None
    start_basis: Basis
    end: datetime | None
    end_basis: Basis


class StateEntry(Struct, frozen=True, gc=False):
    """An interface as it stood at the end of a second.

    ``attached`` is None where the evidence does not tell.
    """

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
    instance_basis: str | None = None
    unproven: bool = False


class Verdict(StrEnum):
    """How far an answer to ``who`` can be trusted."""

    CERTAIN = "certain"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"


class Holder(Struct, frozen=True, gc=False):
    """An interface that held an address, alone or through a prefix."""

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
    instance_basis: str | None = None


class WhoAnswer(Struct, frozen=True, gc=False):
    """Who held an address at a second, how sure that is, and why.

    ``rests_on`` is the least of what the answer rests on, from the holder's start (or since it has been on
    the instance that is named) to its end, or to the time asked for if that is later; None without a holder.
    """

    ip: str
    at: datetime | None
    verdict: Verdict
    holders: tuple[Holder, ...]
    reasons: tuple[str, ...]
    rests_on: Ground | None
