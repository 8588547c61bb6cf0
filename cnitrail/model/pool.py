"""Answers to ``pool`` as they are shown: field names are those of the JSON output."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.event import Held
from cnitrail.model.manager import Management
from cnitrail.model.reason import Reason


class EventRef(Struct, frozen=True):
    """A reference to an event."""

    time: datetime
    event: str
    event_id: str | None


class PodEnis(StrEnum):
    """Which ENIs of a node may have addresses for pods."""

    ALL = "all"
    """The VPC CNI's default."""
    SECONDARY = "secondary"
    """All but the primary one: custom networking."""
    PRIMARY = "primary"
    """The only ENI of a Windows node."""


class PoolLimits(Struct, frozen=True, kw_only=True):
    """Limits of the instance type, as far as whatever manages the node's addresses uses them.

    ``pool`` and ``prefix_pool`` count addresses for pods, without and with prefixes. They, ``pod_enis`` and
    ``max_pods`` are None if the manager is not known to assign a pool of IPv4 addresses to a node.
    """

    enis: int
    ipv4_per_eni: int
    addresses: int
    pod_enis: PodEnis | None
    pool: int | None
    prefix_pool: int | None
    max_pods: int | None


class LogGap(Struct, frozen=True):
    """A time of a node of which events may be missing (aware, UTC), and why."""

    since: datetime
    until: datetime
    because: Reason


class PoolSize(Struct, frozen=True, kw_only=True):
    """What the interfaces of a node hold since a second.

    ``pool`` counts as the CNI does (awscni_total_ip_addresses): secondary addresses and those in prefixes,
    without the ``primary`` address of each interface. ``held`` are all addresses taken from the subnets.
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
    """How often EC2 refused calls with one error code."""

    code: str
    count: int


class CallCount(Struct, frozen=True, kw_only=True):
    """How often an EC2 API was called; ``by_cni`` are the calls known to be the CNI's own.

    ``claimed`` are the calls that name the node only in a description or tag which their caller chose.
    """

    event: str
    calls: int
    by_cni: int
    failed: int
    errors: tuple[ErrorCount, ...]
    claimed: int = 0


class Mode(StrEnum):
    """What the CNI assigns to interfaces: single addresses or prefixes."""

    SECONDARY = "secondary"
    PREFIX = "prefix"


class Values(Struct, frozen=True):
    """A range of values of a setting, both included; ``most`` is None if larger values behave the same."""

    least: int
    most: int | None


class Versions(Struct, frozen=True):
    """A range of CNI versions, both included; ``until`` is None for the current version."""

    since: str
    until: str | None

    def __str__(self) -> str:
        """Return ``1.6 to 1.7.10``, or ``1.19 or later``."""
        return f"{self.since} to {self.until}" if self.until else f"{self.since} or later"


class Pods(Struct, frozen=True):
    """A number of pods with an address of the pool, at some time between two times."""

    pods: int
    since: datetime
    until: datetime


class PodRange(Struct, frozen=True):
    """How many pods had an address of the pool at a time, by the settings that fit."""

    time: datetime
    least: int
    most: int


class ClosedSpan(Struct, frozen=True):
    """A time range that includes both of its ends: the seconds of two events."""

    since: datetime
    until: datetime


class Candidate(Struct, frozen=True, kw_only=True):
    """Settings that explain every call of a period; a setting without effect is None.

    ``pods_at_least`` and ``pods_at_most`` are the pod counts that these settings assume. ``held_back`` is a
    time in which they would have made the CNI act, and it did not: they fit only if something prevented it (a
    cordoned node, MAX_ENI, a reserved slot).
    """

    mode: Mode
    warm_eni_target: Values | None
    warm_prefix_target: Values | None
    warm_ip_target: Values | None
    minimum_ip_target: Values | None
    pods_at_least: Pods | None
    pods_at_most: Pods | None
    held_back: ClosedSpan | None = None


class PoolBatch(Struct, frozen=True, kw_only=True):
    """What one call of the CNI did to the pool, and what that means.

    ``change`` is in addresses, or in prefixes of 16 if ``prefixes``; ``room`` is how many of these the
    interface had room for, None if nothing was added. ``pool`` is the size of the pool after the call.
    """

    by: EventRef
    eni: str | None
    change: int
    prefixes: bool
    room: int | None
    pool: int
    meaning: str


class RuledOut(Struct, frozen=True, kw_only=True):
    """What no longer fits, and the event that rules it out.

    Either versions; or a mode with all its settings; or, if targets are set, these in that mode: all pairs of
    the two if there are two.
    """

    versions: Versions | None = None
    mode: Mode | None = None
    warm_eni_target: Values | None = None
    warm_prefix_target: Values | None = None
    warm_ip_target: Values | None = None
    minimum_ip_target: Values | None = None
    by: EventRef
    because: str


class SettingsPeriod(Struct, frozen=True, kw_only=True):
    """The settings that fit for a period in which aws-node did not restart: it reads them at start.

    ``begins`` is how the start is known. ``until`` is None at the end of the evidence. ``pool_before`` to
    ``enis_after`` are what the node held for pods at the start and the end of the period.
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
    """A time for which no settings are concluded, and why."""

    since: datetime
    until: datetime | None
    because: Reason


class Usage(Struct, frozen=True, kw_only=True):
    """The size of a simulated pool since a second."""

    time: datetime
    pool: int
    pods: int
    waiting: int
    enis: int


class Wait(Struct, frozen=True):
    """A time in which pods waited for an address; ``pods`` is their maximum."""

    instance: str
    since: datetime
    until: datetime
    pods: int


class Drain(Struct, frozen=True, kw_only=True):
    """Calls of one API against EC2's token bucket for it, of one account and Region.

    ``observed`` are the calls in the logs; None for calls that only read, which are not counted.
    ``most_per_second`` is the maximum in one second, ``least_tokens`` the minimum of tokens left, and
    ``throttled`` how many calls EC2 would have refused without any other callers.
    """

    event: str
    calls: int
    observed: int | None
    most_per_second: int
    capacity: int
    refill: int
    least_tokens: float
    throttled: int


class WhatIf(Struct, frozen=True, kw_only=True):
    """What other settings would have meant for the same pods.

    ``demand`` is ``history`` or ``file``. ``lower_bound`` means that there may have been more pods than the
    history shows, so all numbers are minimums. ``mean_pool`` is the average over time.
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
    """A number of ipamd and the one in the logs; None if either does not have it."""

    what: str
    ipamd: int | None
    trail: int | None
    same: bool | None


class PodAddress(Struct, frozen=True, kw_only=True):
    """An address in ipamd's pool, and the pod that has it (None if no pod has).

    ``assigned`` is since when the pod has it; with ``released``, when ipamd gave it to its last pod, which is
    no longer named, and took it back. ``in_trail`` is whether the logs also show it on that interface.
    """

    ip: Held
    eni: str
    pod: str | None
    assigned: datetime | None
    released: datetime | None
    in_trail: bool


class AgainstIpamd(Struct, frozen=True, kw_only=True):
    """ipamd's own numbers, compared with the end of the logs."""

    source: str
    trail_until: datetime | None
    compared: tuple[Compared, ...]
    addresses: tuple[PodAddress, ...]
    only_in_trail: tuple[Held, ...]


class PoolEntry(Struct, frozen=True, kw_only=True):
    """The address pool of one node, or of several together (``instance`` is then None).

    ``is_node`` is False for an instance that nothing shows to be a Kubernetes node. ``management`` is what
    manages the addresses for its pods; None if several nodes differ. ``platform`` is ``windows`` if EC2 says
    so. ``until`` is its termination, ``known_until`` that or the end of the evidence. ``complete`` means that
    the evidence covers the node since its launch; else sizes are minimums. ``capacity`` is the maximum size
    of the pool, with prefixes if the node has any. ``no_pool`` is why the pool is always empty. Events of
    the ``gaps`` may be missing. ``pods_from`` is where the pod counts come from that narrow the settings:
    ``file`` (given by the user) or ``pod-evidence``; None if none are known.
    """

    instance: str | None
    nodes: tuple[str, ...]
    is_node: bool
    management: Management | None
    instance_type: str | None
    platform: str | None
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
    capacity: int | None
    size: tuple[PoolSize, ...]
    no_pool: Reason | None
    gaps: tuple[LogGap, ...]
    calls: tuple[CallCount, ...]
    batches: tuple[PoolBatch, ...]
    settings: tuple[SettingsPeriod, ...]
    unsettled: tuple[Unsettled, ...]
    pods: tuple[PodRange, ...]
    what_if: tuple[WhatIf, ...]
    metrics: AgainstIpamd | None
    ipamd: AgainstIpamd | None
    pods_from: str | None = None
