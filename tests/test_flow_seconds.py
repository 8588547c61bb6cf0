"""The verdict of an end is the worst that ``who`` gives for any second in which its packets may lie.

Every second from ``start`` - 60 to ``end`` is asked, one by one. What a record says can change the verdict,
but only as the tables here say, and then a code is among the reasons.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

import pytest
from flow_traffic import Flow, Traffic, calm_world, calm_worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from pod_evidence import deliver_pods, random_losses
from pod_runs import random_pods
from pod_truth_figures import read_pods_of
from simulator import ACCOUNTS, REGIONS, Delivery, deliver, deliveries, worlds
from test_flow_answers import half_proven, spoiled, with_losses

from cnitrail.answers.filters import Filter
from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.flows.ends import FlowKey
from cnitrail.answers.over_time import time_of
from cnitrail.answers.who import HolderIndex
from cnitrail.model import Address, Coverage, History, WhoAnswer
from cnitrail.model.flows import FlowEnd

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

SAYS_LEAST = ("certain", "free", "likely", "ambiguous", "unknown")
"""Verdicts; the worst comes last."""

CAPS = {
    ("certain", "likely"): {
        "vpc-unknown",
        "vpc-of-flow-record",
        "flow-contradicts",
        "outside-vpc",
    },
    ("free", "unknown"): {
        "vpc-unknown",
        "vpc-of-flow-record",
        "flow-contradicts",
        "used-while-free",
    },
    ("ambiguous", "likely"): {"settled-by-interface"},
}
"""The worst verdict of the seconds and that of the end, where they differ, and the codes that say why.

One of these codes must be there. All other ends have the worst verdict of their seconds: also those of an
address that changed hands, since the second in which it did is ambiguous or unknown by itself.
"""

AGAINST_CERTAIN = CAPS["certain", "likely"] | {"changed-in-interval"}
"""Codes that no certain end has."""

POD_SAYS_LEAST = ("certain", "none", "likely", "ambiguous", "unknown")

POD_CAPS = {
    ("certain", "likely"): CAPS["certain", "likely"],
    ("certain", "ambiguous"): {"pod-changed-then"},
    ("none", "ambiguous"): {"pod-changed-then"},
    ("likely", "ambiguous"): None,
    ("certain", "unknown"): {"interface-address-only", "snat-possible"},
    ("none", "unknown"): {"interface-address-only", "snat-possible"},
    ("likely", "unknown"): {"interface-address-only", "snat-possible"},
    ("ambiguous", "unknown"): {"interface-address-only", "snat-possible"},
}
"""The same of pods. A likely one has other reasons; then the seconds have several pods, or none."""

NO_VPC = {"2", "3", "6", "7", "8"}
"""Values of ``traffic-path`` that lead to no VPC, so that nobody is asked for."""
PEERED = {"4", "5"}
"""Values that lead to another VPC, which the end names."""


@dataclass
class Seen:
    """What was compared: ends and pods, by the worst verdict and that of the end, and codes that say why."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    pods: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)


class Seconds:
    """Asks ``who`` for every second of the packets of a flow."""

    def __init__(self, history: History, coverage: Coverage, seen: Seen, *, verified: bool = False) -> None:
        self.history = history
        self.holders = HolderIndex(history, coverage, verified=verified)
        self.ends = FlowEnds(history, HolderIndex(history, coverage, verified=verified))
        self.seen = seen
        self._known: dict[tuple[Address, str | None, int], WhoAnswer] = {}

    def answers(self, ip: Address, vpc: str | None, flow: Flow) -> Iterator[WhoAnswer]:
        for second in range(flow.first, flow.last + 1):
            key = (ip, vpc, second)
            if key not in self._known:
                wanted = Filter(vpc=(vpc,) if vpc is not None else ())
                self._known[key] = self.holders.who(ip, time_of(second), wanted)
            yield self._known[key]

    def vpc(self, fields: dict[str, str], name: str) -> str | None:
        """The VPC of an end: that of the interface by the history, else what the record says."""
        interface = self.history.interfaces.get(fields.get("interface-id", "-"))
        said = (fields.get(field, "-") for field in (f"tgw-{name}-vpc-id", "vpc-id"))
        known = interface.vpc if interface is not None else None
        return known or next((vpc for vpc in said if vpc != "-"), None)

    def disagreements(self, flow: Flow) -> Iterator[str]:
        """What the ends of a flow say that no second does."""
        both = self.ends.join(FlowKey.of(flow.fields), flow.first, flow.last)
        for name, end in (("src", both.src), ("dst", both.dst)):
            is_local, is_contradicted = both.local == name, bool(both.contradicted)
            found = [*self._disagreements(name, end, flow)]
            if end.verdict == "free" and (name == "src" or is_local):
                found.append("it was used")
            if end.verdict == "certain" and is_local and is_contradicted:
                found.append("the record contradicts it")
            yield from (f"{name}, {why}: {end} of {flow}" for why in found)

    def _disagreements(self, name: str, end: FlowEnd, flow: Flow) -> Iterator[str]:
        codes, fields = {*map(str, end.reasons)}, flow.fields
        text = next(fields[key] for key in (f"pkt-{name}addr", f"{name}addr") if fields.get(key, "-") != "-")
        path = fields.get("traffic-path", "-") if name == "dst" else "-"
        path = "-" if fields.get("flow-direction") == "ingress" else path
        vpc = self.vpc(fields, name)
        if end.ip != text:
            yield "the answer is about another address"
        if end.verdict == "certain" and codes & AGAINST_CERTAIN:
            yield "certain with reasons against it"
        if path in NO_VPC or (path in PEERED and not end.eni):
            self.seen.ends["-", end.verdict] += 1
            if end.verdict != "unknown" or not codes & {"outside-vpc", "public-address"}:
                yield "outside of the VPC"
            return
        if path in PEERED:
            (vpc,) = {self.history.interfaces[eni].vpc for eni in end.eni}
            if vpc == self.vpc(fields, name):
                yield "peered with its own VPC"
        answers = tuple(self.answers(ip_address(text), vpc, flow))
        worst = max((str(answer.verdict) for answer in answers), key=SAYS_LEAST.index)
        caps = codes & CAPS.get((worst, str(end.verdict)), set())
        self.seen.ends[worst, end.verdict] += 1
        self.seen.codes |= caps
        if worst != end.verdict and not caps:
            yield f"worst is {worst}"
        at_once = [{holder.eni for holder in answer.holders} for answer in answers]
        enis = set().union(*at_once)
        if vpc is None and end.verdict in ("certain", "free"):
            yield "in no VPC"
        if path in PEERED and end.verdict in ("certain", "free"):
            yield "behind a peering connection"
        is_one = all(one == enis for one in at_once) or "settled-by-interface" in codes
        if not is_one and SAYS_LEAST.index(end.verdict) < SAYS_LEAST.index("ambiguous"):
            yield "it changed hands"
        if "settled-by-interface" in codes:
            enis &= {fields["interface-id"]}
        if {*end.eni} != enis:
            yield f"the ENIs were {enis}"
        yield from self._of_pods(end, codes, answers)

    def _of_pods(self, end: FlowEnd, codes: set[str], answers: tuple[WhoAnswer, ...]) -> Iterator[str]:
        if "settled-by-interface" in codes or end.pod_verdict is None:
            return
        said = [answer.pod for answer in answers if answer.pod is not None]
        worst = max((str(pod.verdict) for pod in said), key=POD_SAYS_LEAST.index)
        self.seen.pods[worst, end.pod_verdict] += 1
        pods = {f"{pod.namespace}/{pod.pod}" for answer in said for pod in answer.pods if pod.pod is not None}
        uids = {pod.uid for answer in said for pod in answer.pods if pod.uid is not None}
        is_several = len(pods) > 1 or len(uids) > 1 or any(answer.verdict == "none" for answer in said)
        if worst != end.pod_verdict:
            caps = POD_CAPS.get((worst, str(end.pod_verdict)), set())
            if not (codes & caps if caps is not None else is_several):
                yield f"worst of pods is {worst}"
        if {*end.pod} - pods:
            yield f"the pods were {pods}"
        if end.pod_verdict in ("certain", "likely") and {*end.pod} != pods:
            yield f"the pods were all of {pods}"


_TURNED = {
    "srcaddr": "dstaddr",
    "dstaddr": "srcaddr",
    "pkt-srcaddr": "pkt-dstaddr",
    "pkt-dstaddr": "pkt-srcaddr",
}


class Odd(Traffic):
    """Traffic whose records say anything: fields of other records, which fit nothing."""

    def odd(self, count: int) -> Iterator[Flow]:
        chance = self.chance
        for flow in self.flows(count):
            fields = dict(flow.fields)
            if chance.random() < 0.15:  # the other end answers, whether or not anybody is there
                turned = {name: fields.get(name, "-") for name in _TURNED}
                fields |= {_TURNED[name]: value for name, value in turned.items()}
            for _ in range(chance.choice((0, 0, 0, 1, 2, 4))):
                name = chance.choice(sorted(self.values))
                fields[name] = chance.choice(self.values[name])
            yield flow._replace(fields=fields)

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """Values of the fields."""
        ips = [holding.text.partition("/")[0] for holding in self.world.holdings]
        vpcs = [*(vpc.id for vpc in self.world.vpcs), "vpc-0unknown"]
        return {
            "interface-id": [*self.enis, "eni-0unknown", "-"],
            "srcaddr": [*ips, "192.0.2.7"],
            "dstaddr": [*ips, "192.0.2.7"],
            "pkt-srcaddr": [*ips, "203.0.113.7", "-"],
            "pkt-dstaddr": [*ips, "203.0.113.7", "-"],
            "vpc-id": vpcs,
            "tgw-src-vpc-id": ["-", "-", *vpcs],
            "tgw-dst-vpc-id": ["-", "-", *vpcs],
            "subnet-id": [*(subnet.id for subnet in self.world.subnets), "subnet-0unknown"],
            "account-id": [*ACCOUNTS, "unknown"],
            "region": list(REGIONS),
            "flow-direction": ["egress", "ingress", "-"],
            "traffic-path": [*"12345678", "-"],
        }


def disagreements(delivery: Delivery, seed: int, count: int, seen: Seen) -> list[str]:
    """Join odd flows of a world, some of whose evidence is spoiled, and ask for every second."""
    history, coverage = read(delivery)
    if not history.events:
        return []
    history = spoiled(history, seed) if seed % 4 == 1 else history
    coverage = with_losses(coverage, history, seed) if seed % 4 == 2 else coverage
    coverage = half_proven(coverage, seed) if seed % 8 == 3 else coverage
    world = Seconds(history, coverage, seen, verified=seed % 8 == 3)
    return [
        text
        for flow in Odd(delivery.world, random.Random(seed)).odd(count)
        for text in world.disagreements(flow)
    ]


class TestTheVerdictIsTheWorstOfEverySecond:
    @settings(parent=thorough, max_examples=40)
    @given(data=st.data(), seed=st.integers(0, 1 << 16))
    def test_in_any_world(self, data: st.DataObject, seed: int) -> None:
        delivery: Delivery = data.draw(deliveries(data.draw(worlds() | calm_worlds())))
        assert disagreements(delivery, seed, 10, Seen()) == []

    def test_in_calm_worlds_which_have_every_verdict(self, pytestconfig: pytest.Config) -> None:
        first, seen = pytestconfig.getoption("--first-world"), Seen()
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 25):
            found = disagreements(deliver(*calm_world(seed)), seed, 12, seen)
            assert found == [], f"calm_world({seed})"
        count = seen.ends.total()
        assert seen.ends["certain", "certain"] > count / 20
        assert all(seen.ends[verdict, verdict] > count / 1000 for verdict in SAYS_LEAST)
        assert {*CAPS} <= {*seen.ends}
        assert set().union(*CAPS.values()) - {"outside-vpc"} <= seen.codes

    def test_of_pods(self, pytestconfig: pytest.Config, tmp_path: Path) -> None:
        first, seen = pytestconfig.getoption("--first-world"), Seen()
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 50):
            pods = random_pods(seed, 40, clusters=1 + seed % 2, skewed=seed % 3 == 0)
            case = read_pods_of(deliver_pods(pods, random_losses(pods, seed)), tmp_path / str(seed))
            world = Seconds(case.history, case.coverage, seen)
            found = [
                text
                for flow in Odd(pods.ec2, random.Random(seed), pods).odd(12)
                for text in world.disagreements(flow)
            ]
            assert found == [], f"random_pods({seed})"
        assert {verdict for _, verdict in seen.pods} == {*POD_SAYS_LEAST}
