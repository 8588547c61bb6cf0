"""The quality of answers about pods in simulated clusters, compared with the truth.

``benchmarks/pod_truth.py`` prints the figures of many worlds.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pod_evidence import (
    AUDIT,
    ENIS,
    IPAM,
    IPAMD,
    LOGS,
    PODS,
    SERIES,
    TRAIL,
    PodDelivery,
    PodLosses,
    PodQuestion,
    deliver_pods,
    held_by,
    is_right,
    pod_questions,
    pool_determined,
    random_losses,
    write_pods,
)
from pod_runs import random_pods
from pod_simulator import Pod, PodHolding

import cnitrail
from cnitrail.model.pods import PodLease, PodVerdict

SORTS: dict[str, PodLosses | None] = {
    "everything": PodLosses(),
    "ipamd.log": PodLosses(given=frozenset({IPAMD, TRAIL})),
    "audit log": PodLosses(given=frozenset({AUDIT, TRAIL})),
    "/v1/enis": PodLosses(given=frozenset({ENIS, TRAIL})),
    "ipam.json": PodLosses(given=frozenset({IPAM, TRAIL})),
    "kubectl get pods": PodLosses(given=frozenset({PODS, TRAIL})),
    "Prometheus": PodLosses(given=frozenset({SERIES, TRAIL})),
    "no CloudTrail": PodLosses(given=LOGS - {TRAIL}),
    "something lost": None,
}
"""Which evidence there is: what is asked for each; None if a seed decides what is lost."""


@dataclass
class PodFigures:
    """Counts of questions and their answers.

    ``held``: those about a second in which one pod held the address; ``determined``: those of them that
    the evidence determines; ``right``: those of these that name the pod as certain or likely. ``wrong`` and
    ``missed`` describe answers that are certain, or none, and wrong, and determined ones without an answer.
    ``pooled``: those that the evidence determines to be free in a node's pool; ``none``: those of them whose
    answer is that.
    """

    asked: int = 0
    held: int = 0
    determined: int = 0
    right: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    of_held: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    wrong_likely: int = 0
    pooled: int = 0
    none: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def share_right(self) -> float:
        """Return which part of the determined questions was answered."""
        return self.right / self.determined if self.determined else 1.0

    def add(self, other: PodFigures) -> None:
        """Add the counts of other questions."""
        for name in ("asked", "held", "determined", "right", "wrong_likely", "pooled", "none"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("wrong", "missed"):
            getattr(self, name).extend(getattr(other, name))
        self.verdicts.update(other.verdicts)
        self.of_held.update(other.of_held)


def read_pods_of(delivery: PodDelivery, place: Path, order: int | None = None) -> cnitrail.Case:
    """Return the case of the evidence of a world, written below a directory."""
    return cnitrail.read(write_pods(delivery, place, order=order))


def ask_all(delivery: PodDelivery, case: cnitrail.Case, count: int, seed: int = 0) -> PodFigures:
    """Ask about pods, and compare the answers with the truth."""
    found = PodFigures()
    for question in pod_questions(delivery, count, seed):
        _ask(delivery, case, question, found)
    return found


def _ask(delivery: PodDelivery, case: cnitrail.Case, question: PodQuestion, found: PodFigures) -> None:
    at = datetime.fromtimestamp(question.second, UTC)
    said = case.who(question.ip, at, vpc=question.vpc if TRAIL in delivery.losses.given else None).pod
    verdict = said.verdict if said is not None else PodVerdict.UNKNOWN
    is_named = verdict in (PodVerdict.CERTAIN, PodVerdict.LIKELY)
    named = {(entry.namespace or "", entry.pod or ""): entry.uid for entry in said.pods} if said else {}
    right = is_named and len(named) == 1 and is_right(delivery, question, *next(iter(named.items())))
    found.asked += 1
    found.verdicts[verdict] += 1
    asked = f"{question.ip} {question.vpc} at {at:%H:%M:%S}"
    text = f"{asked}: {verdict} {named}, truth {_shown_holding(question.holding)}"
    if verdict is PodVerdict.CERTAIN and not right:
        found.wrong.append(text)
    if verdict is PodVerdict.LIKELY and not right:
        found.wrong_likely += 1
    if verdict is PodVerdict.NONE and _is_held(delivery, question):
        found.wrong.append(text)
    if pool_determined(delivery, question.ip, question.vpc, question.second):
        found.pooled += 1
        found.none += verdict is PodVerdict.NONE
    if question.holding is not None:
        found.held += 1
        found.of_held[verdict] += 1
    if question.determined:
        found.determined += 1
        found.right += right
        if not right:
            found.missed.append(
                f"{text}; reasons {[reason.code for reason in said.reasons] if said else None}"
            )


def _is_held(delivery: PodDelivery, question: PodQuestion) -> bool:
    """Return whether a pod held the address at the second, even if the clock of its node is wrong."""
    start, end = question.second * 1000, question.second * 1000 + 1000
    return any(
        holding.meets(start + abs(holding.node.skew), end - abs(holding.node.skew))
        for holding in delivery.world.holders(question.ip, question.vpc, start, end)
    )


def _shown_holding(holding: PodHolding | None) -> str:
    if holding is None:
        return "no pod"
    end = "" if holding.end is None else f"{datetime.fromtimestamp(holding.end / 1000, UTC):%H:%M:%S.%f}"
    start = f"{datetime.fromtimestamp(holding.start / 1000, UTC):%H:%M:%S.%f}"
    pod, node = holding.pod, holding.node
    return f"{pod.namespace}/{pod.name} {pod.uid} {start}..{end} on {node.instance.id} ({node.generation})"


# --- leases ----------------------------------------------------------------------------------


def wrong_leases(delivery: PodDelivery, case: cnitrail.Case) -> Iterator[str]:
    """Describe the pod leases whose surely held part is not in the truth, or the truth not in the rest.

    A pod whose kubelet lies, or whose status a person wrote, is left out: one lease alone cannot know.
    """
    for lease in case.history.pods.leases:
        start, end = lease.start.latest, lease.end.earliest
        if lease.doubts or lease.pod is None or start is None or end is None or start > end:
            continue
        name = (lease.pod.namespace, lease.pod.name)
        holdings = [
            h for h in delivery.world.holdings if h.ip == str(lease.ip) and held_by(h, name, lease.uid)
        ]
        pods = [pod for pod in _all_pods(delivery) if (pod.namespace, pod.name) == name]
        if any(pod.lies or pod.host_network for pod in pods):
            continue
        around = [holding for holding in holdings if _contains(delivery, holding, start, end)]
        truth = [_shown_holding(holding) for holding in around or holdings]
        if not around:
            yield f"surely held, and was not: {_shown(lease)}; truth {truth}"
        elif not any(_is_around(lease, holding) for holding in around):
            yield f"held for longer than perhaps: {_shown(lease)}; truth {truth}"


def _all_pods(delivery: PodDelivery) -> list[Pod]:
    return [holding.pod for holding in delivery.world.holdings]


def _contains(delivery: PodDelivery, holding: PodHolding, start: datetime, end: datetime) -> bool:
    """Return whether a holding lasts from one time to another.

    The CNI does not notice if somebody moves the address away; only CloudTrail shows it.
    """
    is_shown = TRAIL in delivery.losses.given and delivery.trail.complete
    near, ends = _tolerance(holding), holding.end if is_shown else holding.released
    return _at(holding.start) - near <= start and (ends is None or end <= _at(ends) + near)


def _is_around(lease: PodLease, holding: PodHolding) -> bool:
    near, ends = _tolerance(holding), holding.end
    earliest, latest = lease.start.earliest, lease.end.latest
    starts = earliest is None or earliest - near <= _at(holding.start)
    return starts and (latest is None or (ends is not None and _at(ends) <= latest + near))


def _tolerance(holding: PodHolding) -> timedelta:
    return timedelta(milliseconds=abs(holding.node.skew))


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(milliseconds=milliseconds % 1000)


def _shown(lease: PodLease) -> str:
    times = (lease.start.earliest, lease.start.latest, lease.end.earliest, lease.end.latest)
    shown = ", ".join(f"{time:%H:%M:%S.%f}" if time else "-" for time in times)
    return f"{lease.ip} {lease.pod} {lease.uid} [{shown}] by {lease.start.witness}, {lease.end.witness}"


# --- the figures -----------------------------------------------------------------------------


def figures_of(losses: PodLosses | None, seed: int, count: int = 60, actions: int = 150) -> PodFigures:
    """Return the figures of one world with these losses."""
    world = random_pods(seed, actions, clusters=1 + seed % 2, pool=24, skewed=seed % 3 == 0)
    lost = random_losses(world, seed) if losses is None else replace(losses, wrapped=seed % 2 == 1)
    delivery = deliver_pods(world, lost)
    with tempfile.TemporaryDirectory() as place:
        case = read_pods_of(delivery, Path(place))
        found = ask_all(delivery, case, count, seed)
        found.wrong = [f"seed {seed}: {text}" for text in (*found.wrong, *wrong_leases(delivery, case))]
        found.missed = [f"seed {seed}: {text}" for text in found.missed]
    return found
