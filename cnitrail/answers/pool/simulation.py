"""Simulation of a node's warm pool: settings and pods over time → the calls that the VPC CNI makes.

A pure model of ipamd (amazon-vpc-cni-k8s, pkg/ipamd/ipamd.go and pkg/ipamd/datastore/data_store.go). Times
are seconds on any clock.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from math import ceil, inf

from msgspec import Struct, field

from cnitrail.answers.pool.arithmetic import Settings, Stock, is_low, over, wanted
from cnitrail.answers.pool.generations import Generation
from cnitrail.model import PREFIX_SIZE, Limits
from cnitrail.model.pods import COOLDOWN

PASS = 5.0
"""Seconds between two passes over the pool: ipPoolMonitorInterval."""

DECREASE = 30.0
"""Minimum seconds between two decreases: decreaseIPPoolInterval."""

ENI_AGE = 60.0
"""Minimum age of an ENI in seconds before it is released: minENILifeTime."""

CALL_TIME = 1.0
"""Typical seconds of an EC2 call."""

ENI_TIME = 10.0
"""Seconds until the addresses of a new ENI can be used (docs/eni-and-ip-target.md)."""


class IpamdAction(StrEnum):
    """What ipamd does to the pool."""

    ASSIGN = "assign"
    CREATE = "create"
    UNASSIGN = "unassign"
    FREE = "free"


class Action(Struct, frozen=True, kw_only=True):
    """One action on one ENI, of which the primary one is 0: ``count`` addresses, or ``prefixes``."""

    time: float
    act: IpamdAction
    eni: int
    count: int
    prefixes: bool


class Sample(Struct, frozen=True, kw_only=True):
    """The pool after a change: its addresses, those that pods use, pods without one, ENIs."""

    time: float
    total: int
    assigned: int
    waiting: int
    enis: int


class SimulationRun(Struct, frozen=True):
    """The result of settings and demand."""

    actions: tuple[Action, ...]
    samples: tuple[Sample, ...]


class _Block(Struct, eq=False):
    """An address or a prefix: how many of its addresses pods use, and when others end their cooldown."""

    size: int
    used: int = 0
    cooling: list[float] = field(default_factory=list)

    def usable(self, now: float) -> int:
        """Return how many pods may get an address of it."""
        self.cooling = [until for until in self.cooling if until > now]
        return self.size - self.used - len(self.cooling)


class _SimulatedInterface(Struct, eq=False):
    """An ENI of the node; ``ready`` is when its addresses can be used."""

    number: int
    ready: float
    blocks: list[_Block] = field(default_factory=list)

    @property
    def used(self) -> int:
        return sum(block.used for block in self.blocks)

    def cools(self, now: float) -> bool:
        return any(until > now for block in self.blocks for until in block.cooling)


PodDemand = Sequence[tuple[float, int]]
"""How many pods need an address, each count from its time on, in order."""

Pick = Callable[[Sequence[_SimulatedInterface]], Sequence[_SimulatedInterface]]
"""The order in which ENIs are tried; ipamd uses the random order of Go's maps."""


def _in_order(interfaces: Sequence[_SimulatedInterface]) -> Sequence[_SimulatedInterface]:
    return interfaces


class SimulatedNode:
    """A node with one ENI, in a subnet that never runs out of addresses.

    ``max_pods`` is the node's own limit, by default that of its type. With ``custom_networking`` the
    primary ENI has no addresses for pods. ``run`` may be called again: aws-node then restarts, with other
    settings or in another version, and reads what the node holds.
    """

    def __init__(
        self,
        limits: Limits,
        max_pods: int | None = None,
        pick: Pick = _in_order,
        *,
        custom_networking: bool = False,
    ) -> None:
        self._limits = limits
        self._max_pods = max_pods or limits.max_pods
        self._custom_networking = custom_networking
        self._pick = pick
        self._interfaces = [_SimulatedInterface(0, -inf)]
        self._made = 1

    def run(self, settings: Settings, generation: Generation, demand: PodDemand, end: float) -> SimulationRun:
        """Run ipamd from its start, at the first time of ``demand``, until ``end``.

        Passes at which nothing can happen are skipped.
        """
        self._settings = settings
        self._generation = generation
        self._most_enis = min(settings.max_eni or self._limits.enis, self._limits.enis)
        self._block = PREFIX_SIZE if settings.prefix_delegation else 1
        self._decreased = -inf
        self._actions: list[Action] = []
        self._samples: list[Sample] = []
        changes = [time for time, _ in demand]
        self._pods = demand[0][1]
        now = self._start(changes[0])
        while now < end:
            busy = self._pass(now, demand[bisect_right(changes, now) - 1][1])
            following = self._next(now, changes) if busy == 0 else now + PASS + busy
            self._meanwhile(now, min(following, end), demand, changes)
            now = following
        return SimulationRun(tuple(self._actions), tuple(self._samples))

    def _start(self, now: float) -> float:
        """Start, before any pod is served (nodeInit); return the time of the first pass."""
        for interface in self._interfaces:
            leftover = [block for block in interface.blocks if block.size != self._block]
            self._release(now, interface, leftover)
        busy = 0.0
        if self._low():
            busy = self._increase(now, may_create=self._generation.prescales_interfaces)
        self._sample(now)
        return now + busy + PASS / 2

    def _pass(self, now: float, pods: int) -> float:
        """Check the pool once (updateIPPoolIfRequired); return the seconds that its calls take."""
        self._serve(now, pods)
        stock = self._stock()
        busy = 0.0
        if self._low():
            busy = self._increase(now, may_create=True)
        elif over(self._settings, stock) > 0 and now - self._decreased >= DECREASE:
            busy = self._decrease(now)
        if self._may_free(stock):
            busy += self._free(now)
        self._sample(now)
        return busy

    def _next(self, now: float, changes: Sequence[float]) -> float:
        """Return the time of the next pass at which anything may differ from this one."""
        timers = [self._decreased + DECREASE]
        timers += [interface.ready + ENI_AGE for interface in self._interfaces]
        timers += [
            time for interface in self._interfaces for block in interface.blocks for time in block.cooling
        ]
        place = bisect_right(changes, now)
        soonest = min([*(time for time in timers if time > now), *changes[place : place + 1]], default=inf)
        return inf if soonest == inf else now + PASS * max(ceil((soonest - now) / PASS), 1)

    def _meanwhile(self, since: float, until: float, demand: PodDemand, changes: Sequence[float]) -> None:
        """Serve the pods that start and stop between two passes."""
        for time, pods in demand[bisect_right(changes, since) : bisect_right(changes, until)]:
            self._serve(time, pods)
            self._sample(time)

    # --- pods --------------------------------------------------------------------------------

    def _serve(self, now: float, pods: int) -> None:
        """Assign addresses to new pods, and take back those of pods that are gone."""
        self._pods = pods
        surplus = self._assigned() - pods
        for interface in reversed(self._pick(self._interfaces)):
            for block in reversed(interface.blocks):
                gone = max(min(block.used, surplus), 0)
                block.used -= gone
                block.cooling += [now + COOLDOWN.total_seconds()] * gone
                surplus -= gone
        for interface in self._pick(self._interfaces):
            for block in interface.blocks if interface.ready <= now else ():
                come = max(min(block.usable(now), -surplus), 0)
                block.used += come
                surplus += come

    def _assigned(self) -> int:
        return sum(interface.used for interface in self._interfaces)

    def _stock(self) -> Stock:
        """Return what ipamd counts; leftovers of the other mode do not count (GetIPStats)."""
        blocks = [block for interface in self._interfaces for block in interface.blocks]
        counted = [block for block in blocks if block.size == self._block]
        prefixes = counted if self._settings.prefix_delegation else []
        return Stock(
            total=sum(block.size for block in counted),
            assigned=sum(block.used for block in counted),
            prefixes=len(prefixes),
            free_prefixes=sum(prefix.used == 0 for prefix in prefixes),
        )

    # --- the pool ----------------------------------------------------------------------------

    def _low(self) -> bool:
        stock = self._stock()
        full = self._generation.heeds_max_pods and stock.total >= self._max_pods
        return not full and is_low(self._settings, self._limits, stock)

    def _increase(self, now: float, *, may_create: bool) -> float:
        """Fill an ENI that has room; create one only if none has (increaseDatastorePool)."""
        count = wanted(self._settings, self._limits, self._stock())
        places = self._limits.secondary_per_eni
        for interface in self._pick(self._interfaces):
            room = places - len(interface.blocks)
            if room > 0 and not (self._custom_networking and interface.number == 0):
                fills = self._generation.fills_interfaces and not self._settings.prefix_delegation
                self._add(now, IpamdAction.ASSIGN, interface, room if fills else min(room, count))
                return CALL_TIME
        if may_create and len(self._interfaces) < self._most_enis:
            interface = _SimulatedInterface(self._made, now + ENI_TIME)
            self._made += 1
            self._interfaces.append(interface)
            self._add(now, IpamdAction.CREATE, interface, min(places, count))
            return ENI_TIME
        return 0.0

    def _add(self, now: float, act: IpamdAction, interface: _SimulatedInterface, count: int) -> None:
        interface.blocks += [_Block(self._block) for _ in range(count)]
        prefixes = self._settings.prefix_delegation
        self._act(now, act, interface, count, prefixes=prefixes)

    def _act(
        self, now: float, act: IpamdAction, interface: _SimulatedInterface, count: int, *, prefixes: bool
    ) -> None:
        eni = interface.number
        self._actions.append(Action(time=now, act=act, eni=eni, count=count, prefixes=prefixes))

    def _decrease(self, now: float) -> float:
        """Release what is too much, from one ENI after another (tryUnassignCidrsFromAll)."""
        left = over(self._settings, self._stock())
        for interface in self._pick(self._interfaces):
            left -= self._release(now, interface, interface.blocks, left)
        self._decreased = now
        return CALL_TIME

    def _release(
        self, now: float, interface: _SimulatedInterface, blocks: Sequence[_Block], most: int | None = None
    ) -> int:
        """Unassign what no pod uses, addresses and prefixes in separate calls; return how much that was."""
        free = [block for block in blocks if block.used == 0][:most]
        interface.blocks = [block for block in interface.blocks if block not in free]
        for prefixes in (True, False):
            count = sum((block.size > 1) is prefixes for block in free)
            if count:
                self._act(now, IpamdAction.UNASSIGN, interface, count, prefixes=prefixes)
        return len(free)

    def _may_free(self, stock: Stock) -> bool:
        """Return True if ipamd looks for an ENI to release (shouldRemoveExtraENIs)."""
        settings, places = self._settings, self._limits.secondary_per_eni
        if settings.targeted:
            return True
        if settings.prefix_delegation:
            return True  # getDeletableENI decides: it is called whenever an ENI is unused
        return stock.available >= (settings.warm_eni_target + 1) * places

    def _free(self, now: float) -> float:
        """Detach and delete an ENI without which the targets are still reached (getDeletableENI)."""
        for interface in self._pick(self._interfaces):
            unused = interface.number != 0 and interface.used == 0 and not interface.cools(now)
            if unused and now - interface.ready >= ENI_AGE and self._can_spare(interface):
                self._interfaces.remove(interface)
                self._act(now, IpamdAction.FREE, interface, len(interface.blocks), prefixes=False)
                return PASS
        return 0.0

    def _can_spare(self, interface: _SimulatedInterface) -> bool:
        settings = self._settings
        others = [block for other in self._interfaces if other is not interface for block in other.blocks]
        counted = [block for block in others if block.size == self._block]
        if settings.targeted:
            warm = ceil(settings.warm_ip_target / self._block)
            least = ceil(settings.minimum_ip_target / self._block)
            free = sum(block.size - block.used for block in counted)
            return free >= warm * self._block and len(counted) >= least
        if settings.prefix_delegation:
            return sum(block.used == 0 for block in others) >= settings.warm_prefix_target
        return True

    def _sample(self, now: float) -> None:
        stock = self._stock()
        waiting = max(self._pods - self._assigned(), 0)
        sample = Sample(
            time=now,
            total=stock.total,
            assigned=stock.assigned,
            waiting=waiting,
            enis=len(self._interfaces),
        )
        if not self._samples or _differ(self._samples[-1], sample):
            self._samples.append(sample)


def _differ(one: Sample, other: Sample) -> bool:
    return (one.total, one.assigned, one.waiting, one.enis) != (
        other.total,
        other.assigned,
        other.waiting,
        other.enis,
    )


def waits(run: SimulationRun, end: float) -> Iterator[tuple[float, float, int]]:
    """Yield when pods waited for an address: from, until (or ``end``), and the most that waited at once."""
    since, most = None, 0
    for sample in run.samples:
        if sample.waiting:
            since = sample.time if since is None else since
            most = max(most, sample.waiting)
        elif since is not None:
            yield since, sample.time, most
            since, most = None, 0
    if since is not None:
        yield since, end, most
