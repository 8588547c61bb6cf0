"""A node's life driven by the CNI's own arithmetic, as the records of a trail.

The truth is known here, and hidden from the reader of the records: settings, version, limits that are not
logged (MAX_ENI, the node's own number of pods), and the number of pods at any time.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import cni
from callers import Caller, Irsa, Role, node_session
from calls import (
    Call,
    Eni,
    Instance,
    Record,
    Subnet,
    assign,
    attach,
    create_network_interface,
    delete,
    delete_in_use,
    delete_on_termination,
    describe_instances,
    detach,
    done,
    items,
    run_instances,
    set_groups,
    unassign,
)
from records import scanned
from trail import Trail

from cnitrail.answers.filters import Filter
from cnitrail.answers.pool import PoolOptions, pool
from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.generations import GENERATIONS, Generation
from cnitrail.answers.pool.simulation import Action, IpamdAction, PodDemand, SimulatedNode, SimulationRun
from cnitrail.decode import decode
from cnitrail.history import Ledger, build
from cnitrail.limits import limits_of
from cnitrail.model import Coverage, History, Reach
from cnitrail.model.pool import PoolEntry

ACCOUNT = "111111111111"
INSTANCE = "i-0123456789abcdef0"
LAUNCHED = datetime(2024, 3, 5, 8, 0, 0, tzinfo=UTC)
BOOT = 60.0
"""Seconds from the launch to the first start of aws-node."""
SUBNET = Subnet("subnet-0123456789abcdef0", "vpc-0123456789abcdef0", ACCOUNT, "eu-west-1a", "sg-01234567")
ROLE = Role(ACCOUNT, "nodes-NodeInstanceRole")
AGENTS = dict(
    zip(
        (generation.since for generation in GENERATIONS),
        (
            "aws-sdk-go/1.33.14 (go1.13.15; linux; amd64) amazon-vpc-cni-k8s",
            cni.CNI_1_11,
            cni.CNI_1_11,
            cni.CNI_1_11,
            "amazon-vpc-cni-k8s/version/v1.16.0 aws-sdk-go/1.48.3 (go1.21.5; linux; amd64)",
            cni.CNI_1_16,
            cni.CNI_1_18,
            cni.CNI_1_20,
            cni.CNI_1_21,
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class Phase:
    """aws-node from one start to the next: its settings, its version, and the pods of that time."""

    settings: Settings
    generation: Generation
    demand: PodDemand
    end: float

    @property
    def start(self) -> float:
        return self.demand[0][0]


@dataclass(frozen=True)
class Life:
    """A node's life; ``irsa``: the CNI has a role of its own, else it uses the node's.

    With ``custom_networking`` the starts of aws-node leave no call behind.
    """

    instance_type: str
    phases: tuple[Phase, ...]
    max_pods: int | None = None
    irsa: bool = True
    seed: int | None = None
    custom_networking: bool = False

    def runs(self) -> list[SimulationRun]:
        """Return the CNI's actions in every phase. A seed sets the random order of Go's maps."""
        limits = limits_of(self.instance_type)
        assert limits is not None
        chance = random.Random(self.seed)
        pick = (
            (lambda items: items) if self.seed is None else (lambda items: chance.sample(items, len(items)))
        )
        node = SimulatedNode(limits, self.max_pods, pick, custom_networking=self.custom_networking)
        return [node.run(phase.settings, phase.generation, phase.demand, phase.end) for phase in self.phases]


def at(seconds: float) -> datetime:
    """Return a time of a life with the resolution of CloudTrail."""
    return LAUNCHED + timedelta(seconds=int(seconds))


@dataclass
class _Writer:
    """Tracks the state of EC2, and writes the records."""

    life: Life
    trail: Trail = field(default_factory=lambda: Trail("life", ACCOUNT, "eu-west-1", "2024-03-05", "1.09"))
    records: list[Record] = field(default_factory=list)
    enis: dict[int, Eni] = field(default_factory=dict)
    held: dict[int, list[str]] = field(default_factory=dict)
    number: int = 0

    def log(self, seconds: float, caller: Caller, call: Call) -> None:
        self.records.append(self.trail.record(at(seconds), caller, call))

    def addresses(self, count: int) -> list[str]:
        """Return new addresses; each is used only once."""
        first, self.number = self.number, self.number + count
        return [str(ip_address("10.0.0.10") + number) for number in range(first, first + count)]

    def prefixes(self, count: int) -> list[str]:
        first, self.number = self.number, self.number + count
        return [f"{ip_address('10.128.0.0') + 16 * number}/28" for number in range(first, first + count)]

    def write(self) -> list[Record]:
        self.enis[0] = Eni("eni-00000000000000000", SUBNET, "10.0.0.5", "eni-attach-00000000000000000")
        self.held[0] = []
        tags = {"eks:cluster-name": "sim"}
        instance = Instance(INSTANCE, self.life.instance_type, self.enis[0], tags)
        person = node_session(Role(ACCOUNT, "ops"), "ops", LAUNCHED, "198.51.100.1", "aws-cli/2.15").caller
        self.log(0, person, run_instances(instance))
        for phase, run in zip(self.life.phases, self.life.runs(), strict=True):
            caller = self._caller(phase)
            for eni in [] if self.life.custom_networking else list(self.enis.values()):
                self.log(phase.start, caller, set_groups(eni))
            for action in run.actions:
                self._act(caller, phase, action)
        return self.records

    def _caller(self, phase: Phase) -> Caller:
        agent = AGENTS[phase.generation.since]
        born = at(phase.start)
        if not self.life.irsa:
            return node_session(ROLE, INSTANCE, LAUNCHED, "198.51.100.2", agent).caller
        provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
        irsa = Irsa(Role(ACCOUNT, "cni"), provider, agent, cni.sdk_of(agent), "203.0.113.1")
        session = irsa.session(born, int(phase.start))
        self.log(phase.start, *session.opened)
        return session.caller

    def _act(self, caller: Caller, phase: Phase, action: Action) -> None:
        match action.act:
            case IpamdAction.ASSIGN:
                self._assign(action.time, caller, action)
            case IpamdAction.CREATE:
                self._create(caller, phase, action)
            case IpamdAction.UNASSIGN:
                self._unassign(caller, action)
            case IpamdAction.FREE:
                self._free(caller, action)

    def _given(self, action: Action) -> list[str]:
        given = self.prefixes(action.count) if action.prefixes else self.addresses(action.count)
        self.held[action.eni] += given
        return given

    def _assign(self, seconds: float, caller: Caller, action: Action) -> None:
        eni, given = self.enis[action.eni].id, self._given(action)
        self.log(seconds, caller, _assign_prefixes(eni, given) if action.prefixes else assign(eni, *given))

    def _create(self, caller: Caller, phase: Phase, action: Action) -> None:
        self.number += 1
        name = f"{self.number:017x}"
        (address,) = self.addresses(1)
        eni = Eni(f"eni-{name}", SUBNET, address, f"eni-attach-{name}")
        eni = cni.of_cni(eni, INSTANCE, at(action.time))
        self.held[action.eni] = []
        self.enis[action.eni] = eni
        if phase.generation.asks_at_create:
            given = tuple(self._given(action))
            eni = replace(eni, prefixes=given) if action.prefixes else replace(eni, secondaries=given)
        self.log(action.time, caller, create_network_interface(eni))
        self.log(action.time, caller, describe_instances(INSTANCE))
        self.log(action.time + 1, caller, attach(eni, INSTANCE, action.eni, card=0))
        self.log(action.time + 2, caller, delete_on_termination(eni))
        if not phase.generation.asks_at_create:
            self._assign(action.time + 2, caller, action)

    def _unassign(self, caller: Caller, action: Action) -> None:
        held = self.held[action.eni]
        gone = [text for text in held if ("/" in text) is action.prefixes][: action.count]
        self.held[action.eni] = [text for text in held if text not in gone]
        eni = self.enis[action.eni].id
        call = _unassign_prefixes(eni, gone) if action.prefixes else unassign(eni, *gone)
        self.log(action.time, caller, call)

    def _free(self, caller: Caller, action: Action) -> None:
        eni = self.enis.pop(action.eni)
        self.log(action.time, caller, detach(eni))
        self.log(action.time + 2, caller, delete_in_use(eni))
        self.log(action.time + 3, caller, delete(eni))


def _assign_prefixes(eni: str, given: Sequence[str]) -> Call:
    request = {
        "networkInterfaceId": eni,
        "privateIpAddressesSet": {},
        "ipv4PrefixCount": len(given),
        "ipv4Prefixes": {},
    }
    response = done(
        networkInterfaceId=eni,
        assignedPrivateIpAddressesSet={},
        assignedIpv4PrefixSet=items(({"ipv4Prefix": prefix} for prefix in given), "item"),
    )
    return Call("AssignPrivateIpAddresses", request, response)


def _unassign_prefixes(eni: str, gone: Sequence[str]) -> Call:
    prefixes = items({"ipv4Prefix": prefix} for prefix in gone)
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": {}, "ipv4Prefixes": prefixes}
    return Call("UnassignPrivateIpAddresses", request, done())


def records_of(life: Life) -> list[Record]:
    """The records of a life, in the order in which the calls were made."""
    return _Writer(life).write()


def assigned(run: SimulationRun) -> Iterator[tuple[float, int]]:
    """Return how many pods had an address, and from which time on."""
    for sample in run.samples:
        yield sample.time, sample.assigned


def history_of(*records: Record) -> History:
    """Return the history from records, through a log file."""
    ledger = Ledger()
    text = json.dumps({"Records": records}, separators=(",", ":")).encode()
    for found in scanned(text).records:
        read = decode(found)
        assert read.problems == ()
        if read.fact is not None:
            ledger.add(read.fact)
    return build(ledger.events(), ledger.sessions())


def entry_of(
    records: Sequence[Record],
    *,
    until: float,
    pods: Sequence[tuple[datetime, int]] = (),
    what_if: tuple[Settings, ...] = (),
) -> PoolEntry:
    """Return the pool of the only node in records, with evidence up to a time."""
    reach = Reach(
        account=ACCOUNT,
        region="eu-west-1",
        first=LAUNCHED,
        last=at(until),
        holes=(),
        proven=(),
        merely_read=(),
    )
    options = PoolOptions(limits_of=limits_of, what_if=what_if, pods=pods)
    (entry,) = pool(history_of(*records), Coverage((reach,)), Filter(), options)
    return entry


def counted(life: Life) -> list[tuple[datetime, int]]:
    """Return every change of the number of pods with an address, from the launch on."""
    return [(LAUNCHED, 0), *((at(time), pods) for run in life.runs() for time, pods in assigned(run))]


def of_life(life: Life, *, known: bool = False) -> PoolEntry:
    """Return the pool of a life, with or without its pod counts."""
    pods = counted(life) if known else ()
    return entry_of(records_of(life), until=life.phases[-1].end, pods=pods)
