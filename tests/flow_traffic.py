"""Traffic in simulated worlds: flow log records, and who really sent and received their packets.

A record has packets of a few milliseconds of its window. Its ``start`` and ``end`` are late by up to 60
seconds. Without ``pkt-`` fields it shows the primary address of its interface.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from pod_simulator import PodHolding, PodWorld
from simulator import PRIMARY, Delivery, Eni, Holding, World, _one_of, determined

from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.flows.ends import FlowKey
from cnitrail.model import Verdict
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import PodVerdict

LATE = 60_000
LONGEST = 600_000
OUTSIDE = "203.0.113.9"


class Truth(NamedTuple):
    """Who was at one end in the packets of a record: ENIs and pods, with None for nobody."""

    ip: str
    vpc: str | None
    enis: frozenset[str | None]
    pods: frozenset[str | None]


class Flow(NamedTuple):
    """A record by the names of its fields, in its usual form, and the truth of both ends."""

    fields: dict[str, str]
    first: int
    last: int
    src: Truth
    dst: Truth


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
        """Yield some records; packets within an instance cross no interface, and somebody sends each."""
        for _ in range(count if self.world.holdings else 0):
            flow = self._flow()
            is_sent = flow.src.vpc is None or None not in flow.src.enis
            if is_sent and not self._machines(flow.src) & self._machines(flow.dst):
                yield flow

    def _machines(self, end: Truth) -> set[str]:
        """The interfaces of an end, and the instances that they were on."""
        enis = {eni for eni in end.enis if eni is not None}
        on = (self.world._attached.get(eni, ()) for eni in enis)
        return enis | {attachment.instance.id for attached in on for attachment in attached}

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
        mine = Truth(local, vpc, frozenset((eni.id,)), frozenset((pod,)))
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
        """The address of the other end, its VPC (None: outside AWS), and the traffic path to it."""
        chance, way = self.chance, self.chance.random()
        version = 6 if ":" in local else 4
        if way < 0.15:
            return ("2001:db8::9" if version == 6 else OUTSIDE), None, "8"
        mine = {cidr for s in self.world.subnets if s.vpc.id == vpc for cidr in s.cidrs}
        theirs = [
            h
            for h in self.world.holdings
            if (":" in h.text) == (version == 6)
            and (h.vpc == vpc or (way > 0.8 and not mine & set(h.eni.subnet.cidrs)))
        ]
        if not theirs:
            return ("2001:db8::9" if version == 6 else OUTSIDE), None, "8"
        if self.pods is not None and self.pods.holdings and chance.random() < 0.5:
            pods = [h for h in self.pods.holdings if h.vpc == vpc and (":" in h.ip) == (version == 6)]
            if pods:
                return chance.choice(pods).ip, vpc, "1"
        found = chance.choice(theirs)
        return _one_of(found.text, chance), found.vpc, "1" if found.vpc == vpc else "4"

    def _truth(self, ip: str, vpc: str | None, packets: list[int]) -> Truth:
        enis: set[str | None] = set()
        pods: set[str | None] = set()
        for time in packets:
            holding = holding_at(self.world, ip, vpc, time) if vpc is not None else None
            enis.add(holding.eni.id if holding is not None else None)
            if self.pods is not None and vpc is not None:
                there = self.pods.holders(ip, vpc, time, time + 1)
                pods |= {_name(one) for one in there} or {None}
        return Truth(ip, vpc, frozenset(enis), frozenset(pods))

    def _record(
        self, eni: Eni, mine: Truth, there: Truth, packets: list[int], *, is_egress: bool, path: str
    ) -> Flow:
        chance, primary = self.chance, primary_of(eni, self.world)
        start, end = record_times(packets, chance)
        src, dst = (mine, there) if is_egress else (there, mine)
        shown = primary if ":" not in mine.ip else mine.ip
        fields = {
            "interface-id": eni.id,
            "account-id": eni.account,
            "srcaddr": shown if is_egress else there.ip,
            "dstaddr": there.ip if is_egress else shown,
            "start": str(start),
            "end": str(end),
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
            fields["flow-direction"] = "egress" if is_egress else "ingress"
            fields["traffic-path"] = path if is_egress else "-"
        self._spoil(fields, eni)
        return Flow(fields, start - 60, end, src, dst)

    def _spoil(self, fields: dict[str, str], eni: Eni) -> None:
        """Leave metadata out, or let them be wrong: they are best effort."""
        chance = self.chance
        near = [other.id for other in self.world.enis if other.subnet.vpc is eni.subnet.vpc]
        wrong = {
            "vpc-id": [vpc.id for vpc in self.world.vpcs],
            "instance-id": [one.id for one in (*self.world.instances, *self.world.dead)],
            "subnet-id": [subnet.id for subnet in self.world.subnets],
            "interface-id": near,
        }
        for name, values in wrong.items():
            way = chance.random()
            if name in fields and way < 0.12:
                fields[name] = "-" if way < 0.08 or not values else chance.choice(values)


@dataclass
class FlowFigures:
    """Counts of ends and what is said of them: ``wrong`` ones are certain, and not true.

    ``wrong_none`` say that no pod was there, and one was. What is free is not judged: of an account whose
    trail is not there, nobody knows.
    """

    ends: int = 0
    certain: int = 0
    determined: int = 0
    answered: int = 0
    pods_certain: int = 0
    pods_none: int = 0
    wrong: list[str] = field(default_factory=list)
    wrong_none: list[str] = field(default_factory=list)

    def add(self, other: FlowFigures) -> None:
        """Add the counts of other records."""
        for name in ("ends", "certain", "determined", "answered", "pods_certain", "pods_none"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong
        self.wrong_none += other.wrong_none


def joined(ends: FlowEnds, traffic: Traffic, count: int, delivery: Delivery | None = None) -> FlowFigures:
    """Join records with their ends, and compare these with the truth."""
    found = FlowFigures()
    for flow in traffic.flows(count):
        both = ends.join(FlowKey.of(flow.fields), flow.first, flow.last)
        for name, end, truth in (("src", both.src, flow.src), ("dst", both.dst, flow.dst)):
            found.ends += 1
            found.certain += end.verdict is Verdict.CERTAIN
            found.pods_certain += end.pod_verdict is PodVerdict.CERTAIN
            found.pods_none += end.pod_verdict is PodVerdict.NONE
            begin = datetime.fromtimestamp(flow.first, UTC)
            text = f"{name}: {flow.fields} from {begin}: {end}, truth {truth}"
            why = _wrong(end, truth, traffic, flow)
            found.wrong += [f"{why}: {text}"] if why else []
            is_none = end.pod_verdict is PodVerdict.NONE and not truth.pods <= {None}
            found.wrong_none += [text] if is_none else []
            if delivery is not None and _is_determined(traffic.world, delivery, flow, truth):
                found.determined += 1
                is_named = end.verdict in (Verdict.CERTAIN, Verdict.LIKELY)
                found.answered += is_named and {*end.eni} == truth.enis
    return found


def _wrong(end: FlowEnd, truth: Truth, traffic: Traffic, flow: Flow) -> str:
    if end.verdict is Verdict.CERTAIN and truth.enis != {*end.eni}:
        return "wrong ENI"
    if end.verdict is Verdict.CERTAIN and end.instance and not _is_there(end, traffic.world, flow):
        return "wrong instance"
    if traffic.pods is None:
        return ""
    if end.pod_verdict is PodVerdict.CERTAIN and truth.pods != {*end.pod}:
        return "wrong pod"
    return ""


def _is_there(end: FlowEnd, world: World, flow: Flow) -> bool:
    seconds = range(flow.first, flow.last + 1)
    return any({*end.instance} & world.attached(end.eni[0], second) for second in seconds)


def _is_determined(world: World, delivery: Delivery, flow: Flow, truth: Truth) -> bool:
    """Whether the logs determine an end in every second, and the record its VPC and address."""
    is_one = None not in truth.enis and len(truth.enis) == 1 and truth.vpc is not None
    in_vpc = [end.enis for end in (flow.src, flow.dst) if end.vpc == truth.vpc]
    is_right = any(flow.fields["interface-id"] in enis for enis in in_vpc)
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
