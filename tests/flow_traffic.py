"""Traffic in simulated worlds: flow log records, and who really sent and received their packets.

A record has packets of a few milliseconds of its window. Its ``start`` and ``end`` are late by up to 60
seconds. Without ``pkt-`` fields it shows the primary address of its interface. ``calm_world`` makes worlds in
which addresses are held for longer than that: in those of ``simulator.small_world``, hardly any end is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from typing import NamedTuple

from hypothesis import strategies as st
from pod_simulator import PodHolding, PodWorld
from simulator import (
    ACCOUNTS,
    PRIMARY,
    REGIONS,
    Delivery,
    Eni,
    Holding,
    Losses,
    Refused,
    Step,
    World,
    _one_of,
    determined,
    losses_of,
    random_steps,
    steps,
    take,
)

from cnitrail.answers.filters import Filter
from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.flows.ends import FlowKey
from cnitrail.answers.who import HolderIndex
from cnitrail.model import Verdict
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import PodVerdict

LATE = 60_000
LONGEST = 600_000
OUTSIDE = "203.0.113.9"


class Truth(NamedTuple):
    """Who was at one end in the packets of a record: ENIs and pods, with None for nobody.

    ``vpc`` is None for an address outside of all VPCs. ``instances`` are those of the ENIs at these times.
    ``is_local``: the end is at the interface.
    """

    ip: str
    vpc: str | None
    enis: frozenset[str | None]
    pods: frozenset[str | None]
    instances: frozenset[str]
    is_local: bool = False


class Flow(NamedTuple):
    """A record by the names of its fields, in its usual form, and the truth of both ends.

    Its packets lie in the Unix seconds from ``first`` to ``last``. ``eni`` is its true interface, None for
    transit gateways.
    """

    fields: dict[str, str]
    first: int
    last: int
    src: Truth
    dst: Truth
    eni: Eni | None


def calm(run: Iterable[Step], vpcs: int = 3, pool: int = 6, *, drained: bool = True) -> World:
    """Play a run in which much time passes between most steps; ``drained``: nothing is left at its end."""
    world = World(vpcs, pool)
    for number, step in enumerate(run):
        wait = max(step.wait, min(step.wait * (1, 40, 100)[number % 3], 600_000))
        take(world, step._replace(wait=wait))
    if drained:
        world.wait(100_000)
        for instance in tuple(world.instances):
            world.terminate(instance)
        world.settle()
        for eni in tuple(world.enis):
            with suppress(Refused):
                world.delete(eni)
    world.settle()
    return world


def calm_world(seed: int) -> tuple[World, Losses]:
    """Return a calm world that follows from a seed, and what goes wrong with its logs: often nothing."""
    chance = random.Random(seed)
    steps = random_steps(seed, chance.randint(10, 60))
    drained = chance.random() < 0.8
    world = calm(steps, vpcs=chance.choice((1, 2, 2, 3, 4)), pool=chance.randint(3, 6), drained=drained)
    losses = losses_of(world, chance)
    return world, Losses() if chance.random() < 0.6 else losses


def calm_worlds() -> st.SearchStrategy[World]:
    """Draw a calm world."""
    runs = st.integers(1, 40).flatmap(lambda size: st.lists(steps(), min_size=size, max_size=size))
    return st.builds(calm, runs, st.integers(1, 4), st.integers(3, 6), drained=st.booleans())


def record_times(packets: list[int], chance: random.Random) -> tuple[int, int]:
    """The seconds in which a record says that it starts and ends; packets are in milliseconds."""
    start = min(packets) + chance.choice((0, 0, LATE, chance.randint(0, LATE)))
    end = max(start, max(packets) + chance.choice((0, 0, LATE, chance.randint(0, LATE))))
    return start // 1000, end // 1000


def packets_in(holding: Holding | PodHolding, now: int, chance: random.Random) -> list[int]:
    """Times in milliseconds of packets of an address while it was held, in one window."""
    end = min(now, holding.end if holding.end is not None else now)
    begin = chance.randint(holding.start, max(holding.start, end - 1))
    if chance.random() < 0.3:
        begin = chance.choice((holding.start, max(holding.start, end - chance.randint(1, LATE))))
    stop = min(end - 1, begin + chance.choice((0, 1000, 30_000, LONGEST)))
    some = [chance.randint(begin, max(begin, stop)) for _ in range(chance.choice((0, 1, 3)))]
    return sorted({begin, max(begin, stop), *some})


def holding_at(world: World, ip: str, vpc: str, time: int) -> Holding | None:
    """The holding of an address at a millisecond."""
    found = (h for h in world.during(ip, time // 1000, vpc) if h.start <= time)
    return next((h for h in found if h.end is None or time < h.end), None)


def primary_of(eni: Eni, world: World) -> str:
    """The primary address of an interface."""
    return next(h.text for h in world.holdings if h.eni is eni and h.kind == PRIMARY)


@dataclass
class Traffic:
    """Draws the records of a world; ``pods`` if it has some."""

    world: World
    chance: random.Random
    pods: PodWorld | None = None

    def flows(self, count: int) -> Iterator[Flow]:
        """Yield some records: somebody sends each."""
        for _ in range(count if self.world.holdings else 0):
            flow = self._flow()
            if flow.src.vpc is None or None not in flow.src.enis:
                yield flow

    def _flow(self) -> Flow:
        """A record of an interface that sends or receives."""
        chance = self.chance
        sender = self._pod() if self.pods is not None and chance.random() < 0.8 else None
        holding = sender.carrier if sender is not None else chance.choice(self.world.holdings)
        packets = packets_in(sender or holding, self.world.now, chance)
        eni, vpc = holding.eni, holding.vpc
        local = sender.ip if sender is not None else _one_of(holding.text, chance)
        pod = _name(sender)
        if self.pods is not None and sender is None:
            local = primary_of(eni, self.world)
            pod = self._only_pod(eni)
        other, remote_vpc, path = self._other(vpc, local)
        is_egress = chance.random() < 0.6
        if sender is not None and remote_vpc != vpc and is_egress and not _is_branch(sender):
            local, eni = sender.node.address, sender.node.enis[0]  # SNAT
        mine = Truth(
            local, vpc, frozenset((eni.id,)), frozenset((pod,)), self._on((eni.id,), packets), is_local=True
        )
        there = self._truth(other, remote_vpc, packets)
        return self._record(eni, mine, there, packets, is_egress=is_egress, path=path)

    def _only_pod(self, eni: Eni) -> str | None:
        """The pod of a branch ENI; None for the processes of a node."""
        assert self.pods is not None
        owners = (h for h in self.pods.holdings if h.carrier.eni is eni and _is_branch(h))
        return _name(next(owners, None))

    def _pod(self) -> PodHolding | None:
        assert self.pods is not None
        return self.chance.choice(self.pods.holdings) if self.pods.holdings else None

    def _other(self, vpc: str, local: str) -> tuple[str, str | None, str]:
        """The address of the other end, its VPC (None: in none), and the traffic path to it."""
        chance, way = self.chance, self.chance.random()
        version = 6 if ":" in local else 4
        mine = {cidr for s in self.world.subnets if s.vpc.id == vpc for cidr in s.cidrs}
        of_version = [h for h in self.world.holdings if (":" in h.text) == (version == 6)]
        foreign = [h for h in of_version if not mine & set(h.eni.subnet.cidrs)]
        near = [h for h in of_version if h.vpc == vpc]
        if foreign and way < 0.05:  # an office, whose range is also that of a VPC
            return _one_of(chance.choice(foreign).text, chance), None, chance.choice("13")
        if foreign and way < 0.2:
            found = chance.choice(foreign)
            return _one_of(found.text, chance), found.vpc, chance.choice("14")
        if not near or way < 0.35:
            return ("2001:db8::9" if version == 6 else OUTSIDE), None, "8"
        if self.pods is not None and self.pods.holdings and chance.random() < 0.5:
            pods = [h for h in self.pods.holdings if h.vpc == vpc and (":" in h.ip) == (version == 6)]
            if pods:
                return chance.choice(pods).ip, vpc, "1"
        return _one_of(chance.choice(near).text, chance), vpc, "1"

    def _truth(self, ip: str, vpc: str | None, packets: list[int]) -> Truth:
        enis: set[str | None] = set()
        pods: set[str | None] = set()
        for time in packets:
            holding = holding_at(self.world, ip, vpc, time) if vpc is not None else None
            enis.add(holding.eni.id if holding is not None else None)
            if self.pods is not None and vpc is not None:
                there = self.pods.holders(ip, vpc, time, time + 1)
                pods |= {_name(one) for one in there} or {None}
        return Truth(ip, vpc, frozenset(enis), frozenset(pods), self._on(enis, packets))

    def _on(self, enis: Iterable[str | None], packets: Iterable[int]) -> frozenset[str]:
        """The instances of ENIs at some milliseconds."""
        return frozenset(
            attachment.instance.id
            for eni in enis
            for attachment in self.world._attached.get(eni or "", ())
            for time in packets
            if attachment.start <= time and (attachment.end is None or time < attachment.end)
        )

    def _record(
        self, eni: Eni, mine: Truth, there: Truth, packets: list[int], *, is_egress: bool, path: str
    ) -> Flow:
        chance, primary = self.chance, primary_of(eni, self.world)
        start, end = record_times(packets, chance)
        src, dst = (mine, there) if is_egress else (there, mine)
        times = {"start": str(start), "end": str(end)}
        if mine.vpc != there.vpc and path == "1" and chance.random() < 0.5:
            fields = times | {
                "tgw-id": "tgw-0a1b2c3d4e5f60718",
                "srcaddr": src.ip,
                "dstaddr": dst.ip,
                "tgw-src-vpc-id": src.vpc or "-",
                "tgw-dst-vpc-id": dst.vpc or "-",
                "flow-direction": chance.choice(("ingress", "egress")),
            }
            self._spoil(fields)
            src, dst = src._replace(is_local=False), dst._replace(is_local=False)
            return Flow(fields, start - 60, end, src, dst, None)
        shown = primary if ":" not in mine.ip else mine.ip
        fields = times | {
            "interface-id": eni.id,
            "account-id": eni.account,
            "srcaddr": shown if is_egress else there.ip,
            "dstaddr": there.ip if is_egress else shown,
        }
        version = chance.choice((2, 3, 5))
        if version > 2:
            instance = next(iter(sorted(self.world.attached(eni.id, packets[0] // 1000))), "-")
            fields |= {
                "vpc-id": eni.subnet.vpc.id,
                "subnet-id": eni.subnet.id,
                "instance-id": instance,
                "pkt-srcaddr": src.ip,
                "pkt-dstaddr": dst.ip,
            }
        if version > 4:
            fields["region"] = eni.subnet.vpc.region
            fields["flow-direction"] = "egress" if is_egress else "ingress"
            fields["traffic-path"] = path if is_egress else "-"
        self._spoil(fields)
        return Flow(fields, start - 60, end, src, dst, eni)

    def _spoil(self, fields: dict[str, str]) -> None:
        """Leave metadata out, or let them be wrong: they are best effort.

        Of ``interface-id``, ``vpc-id`` and ``subnet-id``, one is wrong at most: else they may agree.
        """
        chance, way = self.chance, self.chance.random()
        if way < 0.1:  # nothing says which of two VPCs of one address range it was in
            fields |= dict.fromkeys({"interface-id", "vpc-id"} & fields.keys(), "-")
        if way < 0.05:
            fields |= dict.fromkeys({"subnet-id", "instance-id"} & fields.keys(), "-")
        wrong = {
            "interface-id": [eni.id for eni in self.enis.values()],
            "vpc-id": [vpc.id for vpc in self.world.vpcs],
            "subnet-id": [subnet.id for subnet in self.world.subnets],
            "instance-id": [one.id for one in (*self.world.instances, *self.world.dead)],
            "account-id": ["unknown", *ACCOUNTS],
            "region": list(REGIONS),
        }
        of_place = chance.choice(("interface-id", "vpc-id", "subnet-id"))
        for name in (*wrong, *_LEFT_OUT):
            way, given = chance.random(), fields.get(name, "-")
            values = wrong.get(name, ()) if name == of_place or name not in _OF_PLACE else ()
            if given != "-" and way < 0.12:
                fields[name] = chance.choice(values) if values and way < 0.06 else "-"

    @cached_property
    def enis(self) -> dict[str, Eni]:
        """All interfaces that ever were, by ID."""
        return {holding.eni.id: holding.eni for holding in self.world.holdings}


_OF_PLACE = ("interface-id", "vpc-id", "subnet-id")
_LEFT_OUT = (
    "tgw-src-vpc-id",
    "tgw-dst-vpc-id",
    "flow-direction",
    "traffic-path",
    "pkt-srcaddr",
    "pkt-dstaddr",
)
"""Fields that are missing in some records and never wrong."""


@dataclass
class FlowFigures:
    """Counts of ends and what is said of them: ``wrong`` ones are certain or free, and not true.

    ``wrong_none`` say that no pod was there, and one was. ``mistaken`` are the wrong ones of records that
    fit the wrong interface in all that they say (``fits_another``).
    """

    ends: int = 0
    determined: int = 0
    answered: int = 0
    pods_certain: int = 0
    pods_none: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    wrong_none: list[str] = field(default_factory=list)
    mistaken: list[str] = field(default_factory=list)

    @property
    def certain(self) -> int:
        """The number of ends that are certain."""
        return self.verdicts[Verdict.CERTAIN]

    @property
    def free(self) -> int:
        """The number of ends that are free."""
        return self.verdicts[Verdict.FREE]

    def add(self, other: FlowFigures) -> None:
        """Add the counts of other records."""
        for name in ("ends", "determined", "answered", "pods_certain", "pods_none"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.verdicts.update(other.verdicts)
        self.wrong += other.wrong
        self.wrong_none += other.wrong_none
        self.mistaken += other.mistaken


def joined(
    ends: FlowEnds, holders: HolderIndex, traffic: Traffic, delivery: Delivery, count: int
) -> FlowFigures:
    """Join records with their ends, and compare these with the truth."""
    found = FlowFigures()
    for flow in traffic.flows(count):
        both = ends.join(FlowKey.of(flow.fields), flow.first, flow.last)
        for name, end, truth in (("src", both.src, flow.src), ("dst", both.dst, flow.dst)):
            found.ends += 1
            found.verdicts[end.verdict] += 1
            found.pods_certain += end.pod_verdict is PodVerdict.CERTAIN
            found.pods_none += end.pod_verdict is PodVerdict.NONE
            begin = datetime.fromtimestamp(flow.first, UTC)
            text = f"{name}: {flow.fields} from {begin}: {end}, truth {truth}"
            is_sender = name in ("src", both.local)
            if end.verdict is Verdict.FREE:
                why = _wrong_free(truth, flow, delivery, is_sender=is_sender)
            else:
                why = _wrong(end, truth, traffic)
            is_none = end.pod_verdict is PodVerdict.NONE and not truth.pods <= {None}
            if (why or is_none) and fits_another(flow, traffic, holders):
                found.mistaken.append(f"{why or 'wrong none'}: {text}")
            else:
                found.wrong += [f"{why}: {text}"] if why else []
                found.wrong_none += [text] if is_none else []
            if _is_determined(traffic.world, delivery, flow, truth):
                found.determined += 1
                is_named = end.verdict in (Verdict.CERTAIN, Verdict.LIKELY)
                found.answered += is_named and {*end.eni} == truth.enis
    return found


def fits_another(flow: Flow, traffic: Traffic, holders: HolderIndex) -> bool:
    """Return whether a record names another interface, and nothing in it speaks against that.

    Nothing else that it says of its interface differs, and by ``who`` that one may have had one of its
    addresses at the time.
    """
    fields, eni = flow.fields, traffic.enis.get(flow.fields.get("interface-id", "-"))
    if eni is None or eni is flow.eni:
        return False
    subnet, vpc = eni.subnet, eni.subnet.vpc
    true = {"vpc-id": vpc.id, "subnet-id": subnet.id, "region": vpc.region, "account-id": eni.account}
    if any(fields.get(name, "-") not in ("-", "unknown", value) for name, value in true.items()):
        return False
    texts = {value for name, value in fields.items() if name.endswith("addr") and value != "-"}
    wanted = Filter(vpc=(vpc.id,))
    return any(
        eni.id == holder.eni
        for ip in map(ip_address, texts)
        for second in range(flow.first, flow.last + 1)
        for holder in holders.who(ip, datetime.fromtimestamp(second, UTC), wanted).holders
    )


def _wrong(end: FlowEnd, truth: Truth, traffic: Traffic) -> str:
    if end.verdict is Verdict.CERTAIN and truth.enis != {*end.eni}:
        return "wrong ENI"
    if end.verdict is Verdict.CERTAIN and end.instance and truth.instances - {*end.instance}:
        return "wrong instance"
    if traffic.pods is None:
        return ""
    if end.pod_verdict is PodVerdict.CERTAIN and truth.pods != {*end.pod}:
        return "wrong pod"
    return ""


def _wrong_free(truth: Truth, flow: Flow, delivery: Delivery, *, is_sender: bool) -> str:
    """Return what is wrong with an end that is free; ``is_sender``: it sent, or was at the interface.

    Nothing shows the ENIs of an account whose trail is not there at all: it may share the VPC. Nor does
    anything show that logs end before a file which was delivered late: with CloudTrail, no logs do.
    """
    if is_sender:
        return "free, and it was used"
    losses, world = delivery.losses, delivery.world
    vpc = next((vpc for vpc in world.vpcs if vpc.id == truth.vpc), None)
    ends_late = losses.end is not None and (losses.late or losses.repeated)
    if vpc is None or ends_late or losses.accounts.intersection(vpc.accounts):
        return ""
    seconds = range(flow.first, flow.last + 1)
    is_held = any(any(world.during(truth.ip, second, vpc.id)) for second in seconds)
    return "free, and it was held" if is_held else ""


def _is_determined(world: World, delivery: Delivery, flow: Flow, truth: Truth) -> bool:
    """Whether the logs determine an end in every second, and the record its VPC and address."""
    is_one = None not in truth.enis and len(truth.enis) == 1 and truth.vpc is not None
    in_vpc = [end.enis for end in (flow.src, flow.dst) if end.vpc == truth.vpc]
    is_right = any(flow.fields.get("interface-id") in enis for enis in in_vpc)
    if not is_one or not is_right or truth.ip not in flow.fields.values():
        return False
    (eni,) = truth.enis
    seconds = range(flow.first, flow.last + 1)
    return all(
        (truth.vpc, eni) in world.holders_throughout(truth.ip, second)
        and determined(world, delivery, truth.ip, second, truth.vpc)
        for second in seconds
    )


def _name(holding: PodHolding | None) -> str | None:
    return f"{holding.pod.namespace}/{holding.pod.name}" if holding is not None else None


def _is_branch(holding: PodHolding) -> bool:
    return holding.carrier.kind == PRIMARY
