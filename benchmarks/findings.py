"""Measures `findings` against `timeline`, for 50,000 and 100,000 relevant events of busy worlds.

    python benchmarks/findings.py [--events N] [--rounds N] [WORLD…]

In each world, another kind of trouble goes on all the time, so that the rules have much to find. The first
ratio is that of whole commands, `cnitrail findings DIR -o jsonl` and `cnitrail timeline DIR -o jsonl`, which
take turns with the same log files; it must be less than 1.5. CPU seconds, minimum of the rounds. MB is the
peak of a process. The other ratios are measured in one process: with the building of the history, and of the
answers alone. The exponent is the slope of history and findings between half of the events and all of them on
a log-log scale (1 is linear). The slowest rules are listed with their matches; the first rule that needs an
index pays for it.
"""

import argparse
import gzip
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures"), str(ROOT / "benchmarks")]

from callers import Caller, Role, auto_scaling, iam_user, node_session, not_authorized, role_user  # noqa: E402
from calls import (  # noqa: E402
    Call,
    Eni,
    Instance,
    Subnet,
    assign,
    assign_named,
    attach,
    create_network_interface,
    delete,
    delete_in_use,
    detach,
    failed,
    run_instances,
    terminate,
    unassign,
)
from cni import CNI_1_18, CNI_1_19, node_tags, of_cni  # noqa: E402
from crowd import crowd  # noqa: E402
from measuring import taken  # noqa: E402
from trail import Trail  # noqa: E402

from cnitrail.answers.filters import Filter  # noqa: E402
from cnitrail.answers.findings import RULES, findings  # noqa: E402
from cnitrail.answers.findings.context import FindingContext  # noqa: E402
from cnitrail.answers.timeline import timeline  # noqa: E402
from cnitrail.decode import decode  # noqa: E402
from cnitrail.history import Ledger, build, cover  # noqa: E402
from cnitrail.model import Coverage, History, Origin, Record  # noqa: E402

GOAL = 1.5
RUNS = 3
PER_FILE = 500
ENOUGH = 20.0
"""CPU seconds after which an answer is not measured again."""

ACCOUNT, REGION = "111111111111", "eu-west-1"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SUBNET = Subnet(
    "subnet-0c0a1b2c3d4e5f607", "vpc-0c1b2c3d4e5f60718", ACCOUNT, f"{REGION}a", "sg-0c2c3d4e5f6071829"
)
ROLE = Role(ACCOUNT, "busy-NodeInstanceRole")
CLI = "aws-cli/2.27.31 md/awscrt#0.26.1 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.13.3"
FULL = (
    "Client.InsufficientFreeAddressesInSubnet",
    "The specified subnet does not have enough free addresses.",
)
THROTTLED = ("Client.RequestLimitExceeded", "Request limit exceeded.")
FULL_INSTANCE = ("Client.AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large")

Made = tuple[datetime, Caller, Call]
T = TypeVar("T")


class Node:
    """A node with the CNI, and what it needs to make its calls; nodes and their IDs follow from a number."""

    def __init__(
        self,
        number: int,
        born: datetime,
        *,
        cluster: str | None = None,
        subnet: Subnet = SUBNET,
        agent: str = CNI_1_18,
    ) -> None:
        self.id = f"i-0{number:016x}"
        self.first = replace(self.eni(number, 0), subnet=subnet)
        self.cni = node_session(ROLE, self.id, born, "203.0.113.7", agent).caller
        tags = node_tags(cluster or f"busy-{number % 5}", "workers")
        self.instance = Instance(self.id, "m5.large", self.first, tags)
        self.born = born
        self.number = number

    @staticmethod
    def eni(number: int, serial: int) -> Eni:
        """Return an ENI of the node with an address of its own."""
        mark = f"{serial:04x}{number:013x}"
        address = f"10.{number >> 6 & 255}.{(number & 63) << 2 | serial >> 6 & 3}.{serial & 63}"
        return Eni(f"eni-{mark}", SUBNET, address, f"eni-attach-{mark}")

    def launch(self) -> Iterator[Made]:
        """Yield the launch, and the first assignment by the CNI."""
        yield self.born, auto_scaling(ACCOUNT, self.born), run_instances(self.instance)
        yield self.born + 60 * SECOND, self.cni, assign(self.first.id, *self.addresses(9))

    def addresses(self, amount: int, first: int = 64) -> list[str]:
        """Return addresses that no other node has."""
        block = f"10.{self.number >> 6 & 255}.{(self.number & 63) << 2}"
        return [f"{block}.{host}" for host in range(first, first + amount)]


def exhausted() -> Iterator[Made]:
    """Twenty nodes request nine addresses, one, and an ENI every two minutes; nothing is left."""
    nodes = [Node(number, BEGIN + number * SECOND) for number in range(20)]
    for node in nodes:
        yield from node.launch()
    for step in count():
        for node in nodes:
            at = BEGIN + 300 * SECOND + 125 * SECOND * step + node.number * SECOND
            wanted = replace(Node.eni(node.number, step % 60 + 1), secondaries=tuple(node.addresses(9)))
            yield at, node.cni, failed(assign(node.first.id, *node.addresses(9)), *FULL)
            yield at, node.cni, failed(assign(node.first.id, *node.addresses(1)), *FULL)
            yield at + SECOND, node.cni, failed(create_network_interface(of_cni(wanted, node.id, at)), *FULL)


def throttled() -> Iterator[Made]:
    """A script drains the tokens of EC2, and forty nodes are throttled, in a minute of every ten."""
    nodes = [Node(32 + number, BEGIN + number * SECOND) for number in range(40)]
    script = iam_user(ACCOUNT, "vip-keeper", "198.51.100.4", CLI)
    for node in nodes:
        yield from node.launch()
    for step in count():
        start = BEGIN + 600 * SECOND * (step + 1)
        for second in range(60):
            at = start + second * SECOND
            for _ in range(8):
                yield at, script, assign_named(nodes[0].first.id, "10.250.0.1")
            for node in nodes[second % 8 :: 8]:
                yield at, node.cni, failed(assign(node.first.id, *node.addresses(9)), *THROTTLED)


def leaking() -> Iterator[Made]:
    """Nodes leave ENIs behind: never attached, detached only, or outliving the instance."""
    for number in count():
        node = Node(6000 + number, BEGIN + 20 * SECOND * number)
        yield from node.launch()
        at, scaling = node.born, auto_scaling(ACCOUNT, node.born)
        enis = [of_cni(Node.eni(node.number, serial), node.id, at) for serial in (1, 2, 3)]
        for later, eni in enumerate(enis):
            yield at + (70 + later) * SECOND, node.cni, create_network_interface(eni)
        for eni in enis[1:]:
            yield at + 80 * SECOND, node.cni, attach(eni, node.id, 1)
        yield at + 300 * SECOND, node.cni, detach(enis[1])
        yield at + 302 * SECOND, node.cni, delete_in_use(enis[1])
        yield at + 303 * SECOND, scaling, terminate(node.id)


def failing() -> Iterator[Made]:
    """Nodes are denied addresses, and others create, fail to attach, and delete an ENI all the time."""
    nodes = [Node(128 + number, BEGIN + number * SECOND) for number in range(30)]
    for node in nodes:
        yield from node.launch()
    for step in count():
        for node in nodes:
            at = BEGIN + 300 * SECOND + 30 * SECOND * step + node.number * SECOND
            if node.number % 2:
                denied = not_authorized(node.cni, "ec2:AssignPrivateIpAddresses", f"eni/{node.first.id}")
                yield at, node.cni, failed(assign(node.first.id, *node.addresses(9)), *denied)
                yield at, node.cni, failed(assign(node.first.id, *node.addresses(1)), *denied)
            else:
                eni = replace(Node.eni(node.number, 1), id=f"eni-1{step:08x}{node.number:08x}")
                made = of_cni(eni, node.id, at)
                yield at, node.cni, create_network_interface(made)
                yield at + SECOND, node.cni, failed(attach(made, node.id, 3), *FULL_INSTANCE)
                yield at + 2 * SECOND, node.cni, delete(made)


def moving() -> Iterator[Made]:
    """Two hosts take a virtual IP from each other all the time, and a user takes addresses of pods."""
    hosts = [Node(192 + number, BEGIN) for number in range(2)]
    callers = [
        node_session(Role(ACCOUNT, "db-host"), host.id, BEGIN, "10.1.1.1", CLI).caller for host in hosts
    ]
    nodes = [Node(200 + number, BEGIN + number * SECOND) for number in range(40)]
    user = iam_user(ACCOUNT, "mallory", "192.0.2.66", CLI)
    for host in hosts:
        yield host.born, user, run_instances(replace(host.instance, tags={"Name": "db"}))
    for node in nodes:
        yield from node.launch()
    for step in count():
        at = BEGIN + 300 * SECOND + 20 * SECOND * step
        yield at, callers[step % 2], assign_named(hosts[step % 2].first.id, "10.250.0.1", reassign=True)
        if step % 3 == 0:
            taker, loser = nodes[step % 40], nodes[(step + 7) % 40]
            call = assign_named(taker.first.id, loser.addresses(1, 64 + step % 9)[0], reassign=True)
            yield at + SECOND, user, call


def strangers() -> Iterator[Made]:
    """A user assigns and releases addresses on the CNI's ENIs, and a job deletes ENIs of the CNI."""
    user = iam_user(ACCOUNT, "mallory", "192.0.2.66", CLI)
    job = role_user(Role(ACCOUNT, "eni-janitor"), "nightly", BEGIN, "198.51.100.9", CLI)
    for number in count():
        node = Node(512 + number, BEGIN + 30 * SECOND * number)
        yield from node.launch()
        eni = of_cni(
            replace(Node.eni(node.number, 1), secondaries=tuple(node.addresses(9, 80))), node.id, node.born
        )
        at = node.born + 70 * SECOND
        yield at, node.cni, create_network_interface(eni)
        yield at + SECOND, node.cni, attach(eni, node.id, 1)
        for step in range(8):
            later = at + (60 + step) * SECOND
            yield later, user, assign_named(eni.id, *node.addresses(1, 100 + step))
            yield later + 10 * SECOND, user, unassign(eni.id, *node.addresses(1, 80 + step))
        yield at + 200 * SECOND, job, detach(eni)
        yield at + 205 * SECOND, job, delete(eni)


def clusters() -> Iterator[Made]:
    """Small clusters, each in a VPC of its own with two builds of the CNI, churn and a full subnet."""
    for number in count():
        born = BEGIN + 30 * SECOND * number
        subnet = replace(SUBNET, id=f"subnet-1{number:016x}", vpc=f"vpc-1{number:016x}")
        busy, full, newer = (
            Node(9000 + 3 * number + serial, born, cluster=f"small-{number}", subnet=subnet, agent=agent)
            for serial, agent in enumerate((CNI_1_18, CNI_1_18, CNI_1_19))
        )
        for node in (busy, full, newer):
            yield from node.launch()
        for step in range(12):
            at = born + (300 + 240 * step) * SECOND
            (address,) = busy.addresses(1, 100 + step)
            yield at, busy.cni, assign(busy.first.id, address)
            yield at + 60 * SECOND, busy.cni, unassign(busy.first.id, address)
            if step >= 6:
                yield at, full.cni, failed(assign(full.first.id, *full.addresses(9)), *FULL)
                yield at, full.cni, failed(assign(full.first.id, *full.addresses(1)), *FULL)
            if step % 3 == 0:
                at = born + (300 + 2400 * step) * SECOND
                for node in (full, newer):
                    yield at, node.cni, assign(node.first.id, *node.addresses(4, 100 + 4 * step))


def from_crowd(size: int) -> list[bytes]:
    """Return the records of nodes without any trouble."""
    return [json.dumps(record).encode() for _, _, record in crowd(size)]


def from_calls(size: int, made: Callable[[], Iterator[Made]]) -> list[bytes]:
    """Return the records of calls in order of time."""
    trail = Trail(made.__name__, ACCOUNT, REGION, "2026-01-01", "1.11")
    first = sorted(islice(made(), size), key=lambda call: call[0])
    return [json.dumps(trail.record(*call)).encode() for call in first]


def mixed(size: int) -> list[bytes]:
    """Return records of all worlds at once, in one account, in order of time."""
    share = size // len(WORLDS) + 1
    records = [record for world in list(WORLDS.values())[:-1] for record in world(share)]
    random.Random(1).shuffle(records)
    return records


WORLDS: dict[str, Callable[[int], list[bytes]]] = {
    "quiet": from_crowd,
    **{
        made.__name__: lambda size, made=made: from_calls(size, made)  # type: ignore[misc]
        for made in (exhausted, throttled, leaking, failing, moving, strangers, clusters)
    },
    "mixed": mixed,
}


def shortest(answer: Callable[[], T]) -> tuple[float, T]:
    """Return the CPU seconds of the shortest of several runs, and the answer."""
    taken: list[float] = []
    while True:
        begun = time.process_time()
        found = answer()
        taken.append(time.process_time() - begun)
        if len(taken) == RUNS or sum(taken) >= ENOUGH:
            return min(taken), found


def by_rule(history: History, coverage: Coverage) -> list[tuple[float, str, int]]:
    """Return the CPU seconds of each rule, with its matches; the slowest first."""
    begun = time.process_time()
    case = FindingContext(history, coverage)
    found = [(time.process_time() - begun, "(all calls)", len(case.calls))]
    for name, rule in RULES.items():
        begun = time.process_time()
        matches = sum(1 for _ in rule(case))
        found.append((time.process_time() - begun, name, matches))
    return sorted(found, reverse=True)


def in_process(world: str, size: int) -> dict[str, Any]:
    """Return the CPU seconds of the history and of both answers for one world, and of the slowest rules."""
    ledger = Ledger()
    for index, payload in enumerate(WORLDS[world](size)):
        fact = decode(Record((Origin("log", index),), payload)).fact
        if fact is not None:
            ledger.add(fact)
    events, sessions = ledger.events(), ledger.sessions()
    built, history = shortest(lambda: build(events, sessions))
    signs = [(ACCOUNT, REGION, event.time) for event in history.events[::50]]
    coverage = cover(signs, history.events)
    listed, _ = shortest(lambda: list(timeline(history, Filter())))
    judged, found = shortest(lambda: findings(history, coverage, Filter()))
    return {
        "events": len(history.events),
        "findings": len(found),
        "history": built,
        "timeline": listed,
        "judged": judged,
        "rules": by_rule(history, coverage)[:4],
    }


def whole_commands(world: str, size: int, rounds: int) -> dict[str, float]:
    """Return the CPU seconds and the memory of both commands for one world."""
    with TemporaryDirectory() as folder:
        logs, payloads = Path(folder, "logs"), WORLDS[world](size)
        logs.mkdir()
        for number in range(0, len(payloads), PER_FILE):
            records = b",".join(payloads[number : number + PER_FILE])
            file = logs / f"{number:07}.json.gz"
            file.write_bytes(gzip.compress(b'{"Records":[' + records + b"]}", 6))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(Path(folder, "pyc"))}
        ours = [sys.executable, "-m", "cnitrail"]
        subprocess.run([*ours, "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds: dict[str, float] = {}
        for _ in range(rounds):
            for command in ("timeline", "findings"):
                took = taken([*ours, command, str(logs), "-q", "-o", "jsonl"], Path(os.devnull))
                seconds[command] = min(took.cpu, seconds.get(command, took.cpu))
                seconds[f"{command} MB"] = took.process_mb
        return seconds


def main() -> int:
    """Measure each world and size, and print a table; return 1 if a ratio is too high."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("worlds", metavar="WORLD", nargs="*", default=list(WORLDS))
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.in_process:
        print(json.dumps(in_process(asked.worlds[0], asked.events)))
        return 0
    print(
        "| world | events | findings | `timeline` s, MB | `findings` s, MB | ÷ "
        "| with history ÷ | answers ÷ | exponent |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    slowest: list[str] = []
    ratios: list[float] = []
    for world in asked.worlds:
        half, whole = (_in_own_process(world, size) for size in (asked.events // 2, asked.events))
        command = whole_commands(world, asked.events, asked.rounds)
        slope = math.log2((whole["history"] + whole["judged"]) / (half["history"] + half["judged"]))
        ratios.append(command["findings"] / command["timeline"])
        with_history = (whole["history"] + whole["judged"]) / (whole["history"] + whole["timeline"])
        print(
            f"| {world} | {whole['events']:,} | {whole['findings']:,} "
            f"| {command['timeline']:.2f}, {command['timeline MB']:.0f} "
            f"| {command['findings']:.2f}, {command['findings MB']:.0f} "
            f"| {ratios[-1]:.2f} | {with_history:.2f} | {whole['judged'] / whole['timeline']:.2f} "
            f"| {slope:.2f} |",
            flush=True,
        )
        rules = (f"{name} {took:.2f} s ({matches:,})" for took, name, matches in whole["rules"])
        slowest.append(f"- {world}: {', '.join(rules)}")
    print("\nThe slowest rules, with their matches:\n")
    print("\n".join(slowest))
    return int(max(ratios) >= GOAL)


def _in_own_process(world: str, size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--in-process", "--events", str(size), world]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
