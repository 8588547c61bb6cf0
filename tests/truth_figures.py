"""The quality of the answers on ordinary days: EKS nodes in a simulated account, and the truth."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from attacker import be_a_cluster, with_records
from callers import iam_user
from click.testing import CliRunner
from simulator import (
    PREFIX,
    SECONDARY,
    START,
    Call,
    Delivery,
    Eni,
    Holding,
    Instance,
    Losses,
    Question,
    Record,
    Refused,
    World,
    ask,
    deliver,
    make_record,
    questions,
    timestamp,
    write,
)

from cnitrail.cli import main

DAY = 86_400


class Figures(NamedTuple):
    """The result of a day: counts of questions.

    ``right`` of the ``determinable`` ones name the only holder, or none if the address was free;
    ``certain`` of those about addresses ``held`` at random seconds have that verdict; ``wrong_certain``
    counts all answers.
    """

    determinable: int
    right: int
    held: int
    certain: int
    wrong_certain: int

    @property
    def share_right(self) -> float:
        return self.right / self.determinable

    @property
    def share_certain(self) -> float:
        return self.certain / self.held


@dataclass(eq=False)
class _Nodes:
    """The nodes of a cluster, and their events."""

    world: World
    chance: random.Random
    most: int
    enis: dict[str, list[Eni]] = field(default_factory=dict)

    def launch(self) -> None:
        subnet = self.chance.choice([self.world.subnets[0], self.world.subnets[-1]])
        (node,) = self.world.run(subnet, secondaries=self.chance.randint(0, 3))
        assert node.devices[0].eni.alive
        self.enis[node.id] = [node.devices[0].eni]

    def act(self) -> None:
        """Do one random action: mostly assign or release addresses for pods."""
        world, chance = self.world, self.chance
        running = [node for node in world.instances if node.id in self.enis]
        if len(running) < self.most:
            self.launch()
            return
        node = chance.choice(running)
        enis = [eni for eni in self.enis[node.id] if eni.alive]
        eni = chance.choice(enis)
        what = chance.choices(*zip(*_WEIGHTS.items(), strict=True))[0]
        held = eni.holds(SECONDARY)
        match what:
            case "assign" if len(held) < 10:
                world.assign(eni, count=chance.randint(1, 3), choice=chance.randrange(4))
            case "unassign" if held:
                world.unassign(eni, *chance.sample(held, chance.randint(1, min(2, len(held)))))
            case "prefix" if not eni.holds(PREFIX):
                world.assign(eni, count=1, kind=PREFIX)
            case "unassign prefix" if eni.holds(PREFIX):
                world.unassign(eni, eni.holds(PREFIX)[0])
            case "grow" if len(enis) < 3:
                self._grow(node)
            case "shrink" if len(enis) > 1:
                self._shrink(node, enis[-1])
            case "move":
                self._move(eni, chance.choice(running))
            case "end":
                world.terminate(node, delay=chance.randint(0, 5000))
            case "die":
                world.vanish(node)
            case _:
                world.assign(eni, count=1)

    def _grow(self, node: Instance) -> None:
        eni = self.world.create(node.subnet, secondaries=self.chance.randint(0, 5))
        self.world.wait(1200)
        self.world.attach(eni, node)
        self.world.modify(eni, True)
        self.enis[node.id].append(eni)

    def _shrink(self, node: Instance, eni: Eni) -> None:
        assert eni.attachment is not None
        self.world.detach(eni.attachment)
        self.world.wait(2300)
        self.world.delete(eni)
        self.enis[node.id].remove(eni)

    def _move(self, eni: Eni, to: Instance) -> None:
        held = eni.holds(SECONDARY)
        thief = next((other for other in self.enis[to.id] if other.alive and other is not eni), None)
        if held and thief is not None:
            self.world.assign(thief, self.chance.choice(held), allow_reassignment=True)


_WEIGHTS = {
    "assign": 40,
    "unassign": 40,
    "prefix": 3,
    "unassign prefix": 2,
    "grow": 6,
    "shrink": 3,
    "move": 0.5,
    "end": 1.5,
    "die": 0.2,
}


def day_of(seed: int, *, nodes: int, pause: float, seconds: int) -> World:
    """Return two VPCs with the same addresses and an event about every ``pause`` seconds."""
    chance = random.Random(seed)
    world = World(vpcs=2, pool=12 * nodes * 3)
    cluster = _Nodes(world, chance, nodes)
    while world.now < (START + seconds) * 1000:
        with suppress(Refused):
            cluster.act()
        world.wait(int(chance.expovariate(1 / pause) * 1000) if len(world.instances) >= nodes else 5000)
    world.settle()
    be_a_cluster(world, chance.choice(("node", "irsa")))
    return world


def _others(world: World, seconds: Iterable[int]) -> Iterator[Record]:
    """Calls that do not concern ENIs."""
    account, region = world.vpcs[0].accounts[0], world.vpcs[0].region
    identity = iam_user(account, "monitor", "198.51.100.8", "aws-cli/2.15.38").identity
    for number, second in enumerate(seconds):
        call = Call("DescribeInstances", account, region, {"instancesSet": {}, "filterSet": {}})
        yield make_record((1 << 42) + number, second, call, None) | {"userIdentity": identity}


def busy_day(seed: int, seconds: int = DAY, begin: int = 0) -> Delivery:
    """Return a day of a busy cluster, with other calls every minute and files every five.

    The logs begin some seconds after the day.
    """
    world = day_of(seed, nodes=8, pause=40, seconds=seconds)
    return _with_others(world, range(START + begin, world.now // 1000 + 600, 60), begin)


def quiet_days(seed: int, seconds: int = 3 * DAY) -> Delivery:
    """Return some days of a small, quiet cluster, with four other calls per hour."""
    world = day_of(seed, nodes=3, pause=2400, seconds=seconds)
    chance, last = random.Random(seed + 1), world.now // 1000
    return _with_others(world, sorted(chance.randrange(START, last) for _ in range((last - START) // 900)))


def _with_others(world: World, seconds: Iterable[int], begin: int = 0) -> Delivery:
    delivery = deliver(world, Losses(begin=START + begin if begin else None), heartbeat=False)
    delivery.files = with_records(delivery.files, _others(world, seconds))
    return delivery


def tear(folder: Path, share: float, seed: int) -> None:
    """Cut some of the files below a folder short, or flip one bit of them."""
    chance = random.Random(seed)
    files = sorted(folder.rglob("*.json.gz"))
    for path in chance.sample(files, int(share * len(files))):
        body = bytearray(path.read_bytes())
        if chance.random() < 0.5:
            del body[chance.randrange(len(body)) :]
        else:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        path.write_bytes(body)


def _held_at(delivery: Delivery, chance: random.Random, moments: int) -> Iterator[tuple[Holding, int]]:
    """Yield the holdings that last for all of some random seconds."""
    world, begin = delivery.world, delivery.losses.begin or START
    for _ in range(moments):
        second = chance.randrange(begin + 600, world.now // 1000)
        for holding in world.holdings:
            if holding.start <= second * 1000 and (
                holding.end is None or holding.end >= second * 1000 + 1000
            ):
                yield holding, second


def figures(
    delivery: Delivery, place: Path, *, asked: int, moments: int, torn: float = 0, seed: int = 0
) -> Figures:
    """Ask about a world's log files, and compare the answers with the truth."""
    world, folder = delivery.world, place / f"logs-{seed}-{torn}"
    write(delivery.files, folder)
    tear(folder, torn, seed)
    near = list(questions(world, delivery, count=asked, seed=seed))
    held = [
        ask(world, delivery, holding.text.partition("/")[0], holding.vpc, second)
        for holding, second in _held_at(delivery, random.Random(seed), moments)
    ]
    answers = _who(folder, [*near, *held])
    pairs = list(zip([*near, *held], answers, strict=True))
    determinable = [(question, answer) for question, answer in pairs if question.determined]
    return Figures(
        determinable=len(determinable),
        right=sum(_named(answer) == {question.eni} - {None} for question, answer in determinable),
        held=len(held),
        certain=sum(answer["verdict"] == "certain" for answer in answers[len(near) :]),
        wrong_certain=sum(_is_wrong(world, question, answer) for question, answer in pairs),
    )


def _named(answer: dict[str, Any]) -> set[str]:
    return {holder["eni"] for holder in answer["holders"]}


def _is_wrong(world: World, question: Question, answer: dict[str, Any]) -> bool:
    """Return whether an answer is certain and wrong, also in its instance."""
    if answer["verdict"] != "certain":
        return False
    (holder,) = answer["holders"]
    is_held = (question.vpc, holder["eni"]) in world.holders_throughout(question.ip, question.second)
    here = world.attached(holder["eni"], question.second)
    return not is_held or holder["instance"] not in {None, *here}


def _who(folder: Path, asked: Sequence[Question]) -> list[dict[str, Any]]:
    """The answers to questions."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(("ip", "at", "vpc"))
    lines.writerows((question.ip, timestamp(question.second), question.vpc) for question in asked)
    batch = folder.with_suffix(".csv")
    batch.write_text(text.getvalue(), encoding="utf-8")
    result = CliRunner().invoke(main, ["who", "--batch", str(batch), str(folder), "-o", "jsonl", "-q"])
    assert result.exit_code in (0, 3), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]
