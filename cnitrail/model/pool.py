"""Answers to ``pool``, as they are shown: field names are the JSON's own (design contract)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Held


class EventRef(Struct, frozen=True):
    """An event, named."""

    time: datetime
    event: str
    event_id: str | None


class PoolLimits(Struct, frozen=True):
    """What the instance type can carry; ``pool`` and ``prefix_pool`` count addresses for pods."""

    enis: int
    ipv4_per_eni: int
    addresses: int
    pool: int
    prefix_pool: int
    max_pods: int


class PoolSize(Struct, frozen=True):
    """What interfaces of a node hold from a second on.

    ``pool`` counts as the CNI does (awscni_total_ip_addresses): secondary addresses and those in
    prefixes, without the interfaces' own ``primary`` ones. ``held`` is what the subnets lose.
    """

    time: datetime
    events: tuple[EventRef, ...]
    enis: int
    primary: int
    secondary: int
    prefixes: int
    pool: int
    held: int


class ErrorCount(Struct, frozen=True):
    """How often EC2 refused with one code."""

    code: str
    count: int


class CallCount(Struct, frozen=True):
    """How often an API of EC2 was called; ``by_cni`` of those calls are known to be the CNI's own."""

    event: str
    calls: int
    by_cni: int
    failed: int
    errors: tuple[ErrorCount, ...]


class Mode(StrEnum):
    """What the CNI fills an interface with."""

    SECONDARY = "secondary"
    PREFIX = "prefix"


class Values(Struct, frozen=True):
    """Values of a setting, both included; ``most`` is None where any larger one does the same."""

    least: int
    most: int | None


class Versions(Struct, frozen=True):
    """Versions of the CNI, both included; ``until`` is None for those of today."""

    since: str
    until: str | None


class Pods(Struct, frozen=True):
    """A number of pods with an address of the pool, at some time within a span."""

    pods: int
    since: datetime
    until: datetime


class PodRange(Struct, frozen=True):
    """How many pods had an address of the pool at a time, as far as the fitting settings tell."""

    time: datetime
    least: int
    most: int


class ClosedSpan(Struct, frozen=True):
    """A span of time, both ends included."""

    since: datetime
    until: datetime


class Candidate(Struct, frozen=True):
    """Settings that explain every call of a period; a setting that plays no part in it is None.

    ``pods_at_least`` and ``pods_at_most`` are what these settings need to explain it. ``held_back`` is
    a time in which they would have made the CNI act, and it did not: they fit only if something kept it
    from that (a cordoned node, MAX_ENI, a reserved slot).
    """

    mode: Mode
    warm_eni_target: Values | None
    warm_prefix_target: Values | None
    warm_ip_target: Values | None
    minimum_ip_target: Values | None
    pods_at_least: Pods | None
    pods_at_most: Pods | None
    held_back: ClosedSpan | None = None


class PoolBatch(Struct, frozen=True):
    """What one call of the CNI did to the pool, and what that tells.

    ``change`` is in addresses, or in prefixes of 16 where ``prefixes``; ``room`` is how many of these
    the interface could have taken, None where nothing was added. ``pool`` are the addresses then.
    """

    by: EventRef
    eni: str | None
    change: int
    prefixes: bool
    room: int | None
    pool: int
    meaning: str


class RuledOut(Struct, frozen=True):
    """What fits no more, and the event that rules it out.

    Versions; or a mode with all its settings; or, where ``targets`` are named, these in that mode: all
    pairs of the two where they are two.
    """

    versions: Versions | None
    mode: Mode | None
    warm_eni_target: Values | None
    warm_prefix_target: Values | None
    warm_ip_target: Values | None
    minimum_ip_target: Values | None
    by: EventRef
    because: str


class SettingsPeriod(Struct, frozen=True):
    """The settings that fit while aws-node ran with the same ones: it reads them when it starts.

    ``begins`` tells how the start is known. ``until`` is None at the end of the evidence. ``pool_before``
    to ``enis_after`` are what the node held for pods at its two ends.
    """

    since: datetime
    until: datetime | None
    begins: str
    batches: int
    pool_before: int
    pool_after: int
    enis_before: int
    enis_after: int
    modes: tuple[Mode, ...]
    versions: tuple[Versions, ...]
    candidates: tuple[Candidate, ...]
    ruled_out: tuple[RuledOut, ...]


class Unsettled(Struct, frozen=True):
    """A time of which no settings are concluded, and why."""

    since: datetime
    until: datetime | None
    because: str


class Usage(Struct, frozen=True):
    """The size of a simulated pool from a second on."""

    time: datetime
    pool: int
    pods: int
    waiting: int
    enis: int


class Wait(Struct, frozen=True):
    """A span in which pods had no address; ``pods`` is the most at once."""

    instance: str
    since: datetime
    until: datetime
    pods: int


class Drain(Struct, frozen=True):
    """Calls of one API against EC2's token bucket for it, of one account and Region.

    ``observed`` are the calls that the trail has; None of those that read, which are not looked at.
    ``most_per_second`` is the busiest second, ``least_tokens`` how far the bucket was drained, and
    ``throttled`` how many calls it would have refused if nobody else had called.
    """

    event: str
    calls: int
    observed: int | None
    most_per_second: int
    capacity: int
    refill: int
    least_tokens: float
    throttled: int


class WhatIf(Struct, frozen=True):
    """What other settings would have meant, for the same pods.

    ``demand`` is ``history`` or ``file``. ``lower_bound``: there may have been more pods than the
    history shows, so all of this is the least. ``mean_pool`` is over time.
    """

    settings: dict[str, int | bool]
    version: str | None
    demand: str
    lower_bound: bool
    since: datetime
    until: datetime
    most_pods: int
    most_pool: int
    mean_pool: float
    observed_mean_pool: float
    most_enis: int
    size: tuple[Usage, ...]
    calls: tuple[Drain, ...]
    waits: tuple[Wait, ...]


class Compared(Struct, frozen=True):
    """A number that ipamd tells beside the one that the trail shows; None where one is silent."""

    what: str
    ipamd: int | None
    trail: int | None
    same: bool | None


class PodAddress(Struct, frozen=True):
    """An address that ipamd keeps, and the pod that has it (None where none has).

    ``in_trail`` tells whether the trail shows it on that interface as well.
    """

    ip: Held
    eni: str
    pod: str | None
    assigned: datetime | None
    in_trail: bool


class AgainstIpamd(Struct, frozen=True):
    """What ipamd itself says, beside the trail's last word."""

    source: str
    trail_until: datetime | None
    compared: tuple[Compared, ...]
    addresses: tuple[PodAddress, ...]
    only_in_trail: tuple[Held, ...]


class PoolEntry(Struct, frozen=True):
    """The address pool of one node, or of several together (``instance`` is then None).

    ``until`` is its termination, ``known_until`` that or the end of the evidence. ``complete`` says that
    the evidence has the node from its launch on; else sizes are the least.
    """

    instance: str | None
    nodes: tuple[str, ...]
    instance_type: str | None
    account: str | None
    region: str | None
    vpc: str | None
    subnets: tuple[str, ...]
    cluster: str | None
    since: datetime
    until: datetime | None
    known_until: datetime
    complete: bool
    limits: PoolLimits | None
    size: tuple[PoolSize, ...]
    calls: tuple[CallCount, ...]
    batches: tuple[PoolBatch, ...]
    settings: tuple[SettingsPeriod, ...]
    unsettled: tuple[Unsettled, ...]
    pods: tuple[PodRange, ...]
    what_if: tuple[WhatIf, ...]
    metrics: AgainstIpamd | None
    ipamd: AgainstIpamd | None
