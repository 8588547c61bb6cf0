"""Random runs of the clusters of ``pod_simulator``.

* ``PodStep`` and ``play_pods``: a run as a list of plain numbers, so that it shrinks well;
* ``random_pods`` (a seed) and ``pod_worlds`` (hypothesis).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import cni_logs
from cni_logs import GENERATIONS
from hypothesis import strategies as st
from pod_simulator import PERSON, Cluster, Node, Pod, PodHolding, PodWorld
from simulator import IPV6_PREFIX, PREFIX, SECONDARY, Refused


class PodStep(NamedTuple):
    """One action of a run, ``wait`` milliseconds after the one before; a number decides the rest."""

    action: str
    wait: int
    number: int


_WEIGHTS = {
    "deploy": 18,
    "stateful": 8,
    "job": 8,
    "host": 2,
    "branch": 3,
    "touch": 14,
    "renew": 6,
    "delete": 14,
    "force": 4,
    "lose": 1,
    "terminate": 1,
    "launch": 2,
    "fail": 2,
    "restart": 2,
    "rotate": 2,
    "grow": 3,
    "shrink": 6,
    "evil": 2,
    "usurp": 2,
    "lie": 2,
    "trespass": 2,
    "call": 6,
    "stolen token": 2,
    "move": 1,
}
_WEIGHTED = tuple(action for action, weight in _WEIGHTS.items() for _ in range(weight))
_MODES = (SECONDARY, SECONDARY, SECONDARY, PREFIX, IPV6_PREFIX)
_POD_WAITS = (0, 100, 1000, 4000, 9000, 15_000, 31_000, 60_000, 120_000)
_HOSTILE = ("10.0.0.5", "i-0123456789abcdef0", "kube-system", "eni-0123456789abcdef0", "node", "system-node")


def take_pod(world: PodWorld, step: PodStep) -> None:
    """Do one action, if there is something to do it with."""
    chance = random.Random(step.number)
    world.wait(step.wait)
    world.use(step.number)
    cluster = chance.choice(world.clusters)
    working = [node for node in cluster.nodes if node.works]
    if step.action == "launch" or len(working) < 2:
        if len(working) < 4:
            _launch(world, cluster, chance)
        return
    node, pods = chance.choice(working), [pod for pod in cluster.pods if pod.node is not None]
    running = [pod for pod in pods if pod.runs]
    pod = chance.choice(running or pods) if pods else None
    held = [holding for holding in world.holdings if holding.end is None and holding.pod is not pod]
    name = f"db-{chance.randrange(3)}"
    match step.action:
        case "deploy":
            world.create(cluster)
        case "stateful" if all(known.name != name for known in cluster.pods):
            world.create(cluster, name)
        case "job":
            world.create(cluster, lasts=chance.choice((0, 500, 5000, 60_000)))
        case "host":
            world.create(cluster, host_network=True)
        case "branch":
            world.create(cluster, branch=True)
        case "fail":
            world.create(cluster, fails=True)
        case "touch" if pods:
            world.touch(chance.choice(pods))
        case "renew" if pod:
            world.renew(pod)
        case "delete" if pods:
            world.delete(chance.choice(pods))
        case "force" if pods:
            world.force_delete(chance.choice(pods))
        case "lose":
            world.lose(node, silent=chance.random() < 0.2)
        case "terminate":
            world.terminate(node, silent=chance.random() < 0.2)
        case "restart":
            world.restart_cni(node)
        case "rotate":
            world.rotate(node)
        case "grow":
            world._fill(node)
        case "shrink":
            world.shrink(node)
        case "evil" if held:
            victim = chance.choice(held)
            evil = world.create(cluster, f"{chance.choice(_HOSTILE)}-{step.number % 9973}")
            world.annotate(evil, victim.carrier.eni.id, victim.ip, PERSON)
        case "usurp" if held and pod:
            world.usurp(pod, chance.choice(held).ip)
        case "lie" if held and pod:
            _lie(world, pod, held, chance)
        case "call" if pod and pod.shown["ip"] and (pod.runs or pod.host_network):
            world.call(pod, pod.holding.ip if pod.holding else node.address)
        case "stolen token" if held and pod:
            world.call(pod, chance.choice(held).ip)
        case "move" if held:
            _move(world, node, chance.choice(held))
        case "trespass" if held and pod:
            world.trespass(node, chance.choice(held).pod, chance.choice(held).ip)


def _move(world: PodWorld, node: Node, victim: PodHolding) -> None:
    """Let somebody move the address of a pod to another node's ENI, which the CNIs do not notice."""
    if victim.carrier.kind == SECONDARY and victim.carrier.eni.subnet is node.enis[0].subnet:
        world.ec2.assign(node.enis[0], victim.ip, allow_reassignment=True)


def _launch(world: PodWorld, cluster: Cluster, chance: random.Random) -> None:
    """Launch a node; prefixes are for VPC CNI 1.9 and later, IPv6 for 1.10 and later."""
    generation, mode = chance.choice(GENERATIONS), chance.choice(_MODES)
    needed = {SECONDARY: (1, 0), PREFIX: (1, 9), IPV6_PREFIX: (1, 10)}[mode]
    world.launch(cluster, generation, mode if cni_logs.number(generation) >= needed else SECONDARY)


def _lie(world: PodWorld, pod: Pod, held: list[PodHolding], chance: random.Random) -> None:
    """Let a kubelet claim an address that a pod of its cluster holds, and of which the API knows."""
    known = [h for h in held if h.pod.cluster is pod.cluster and h.pod.shown["ip"] == h.ip]
    if known:
        world.lie(pod, chance.choice(known).ip)


def play_pods(
    run: Iterable[PodStep], seed: int = 0, clusters: int = 1, pool: int = 12, *, skewed: bool = False
) -> PodWorld:
    """Return the world that follows from a run."""
    world, chance = PodWorld(seed, clusters, pool, skewed=skewed), random.Random(seed)
    next_scrape = world.now
    for cluster in world.clusters:
        for _ in range(2):
            _launch(world, cluster, chance)
    for step in run:
        with suppress(Refused):
            take_pod(world, step)
        while next_scrape <= world.now:
            next_scrape += 30_000
            world.scrape()
    world.wait(20_000)
    return world


def random_pod_steps(seed: int, actions: int, attacks: bool = True) -> Iterator[PodStep]:
    """Yield the steps of a run that follows from a seed."""
    chance = random.Random(seed)
    hostile = {"evil", "usurp", "lie", "trespass", "stolen token", "move"}
    for _ in range(actions):
        action = chance.choice(_WEIGHTED)
        if attacks or action not in hostile:
            yield PodStep(action, chance.choice(_POD_WAITS), chance.getrandbits(32))


def random_pods(
    seed: int,
    actions: int = 60,
    clusters: int = 1,
    pool: int = 12,
    *,
    skewed: bool = False,
    attacks: bool = True,
) -> PodWorld:
    """Return a world that follows from a seed."""
    steps = random_pod_steps(seed, actions, attacks)
    return play_pods(steps, seed, clusters, pool, skewed=skewed)


def pod_steps() -> st.SearchStrategy[PodStep]:
    """Draw one action of a run; it shrinks towards no waiting and the first choice."""
    return st.builds(
        PodStep, st.sampled_from(_WEIGHTED), st.sampled_from(_POD_WAITS), st.integers(0, (1 << 16) - 1)
    )


def pod_worlds(max_actions: int = 30) -> st.SearchStrategy[PodWorld]:
    """Draw a whole run of at most ``max_actions`` actions."""
    runs = st.integers(1, max_actions).flatmap(
        lambda size: st.lists(pod_steps(), min_size=size, max_size=size)
    )
    return st.builds(
        play_pods, runs, seed=st.integers(0, 255), clusters=st.integers(1, 2), skewed=st.booleans()
    )
