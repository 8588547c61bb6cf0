"""Compares the ends of flows with who really sent and received simulated traffic.

    python benchmarks/flow_truth.py [WORLDS [FIRST]]

Traffic between nodes, pods and the outside of small worlds whose logs lack much: windows of up to ten
minutes, times that are late by up to 60 seconds, records with and without the packets' addresses, and
metadata that are missing or wrong. A determined end is one of which the logs determine the ENI in every
second.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fixtures")]

from flow_traffic import FlowFigures, Traffic, joined  # noqa: E402
from incidents import read  # noqa: E402
from simulator import deliver, random_world, small_world  # noqa: E402
from test_flow_truth import joined_pods  # noqa: E402

from cnitrail.answers.flows import FlowEnds  # noqa: E402
from cnitrail.answers.who import HolderIndex  # noqa: E402


def small(seed: int) -> FlowFigures:
    """A small world whose logs lack much."""
    world, losses = small_world(seed)
    delivery = deliver(world, losses)
    history, coverage = read(delivery)
    ends = FlowEnds(history, HolderIndex(history, coverage))
    return joined(ends, Traffic(world, random.Random(seed)), 100, delivery)


def whole(seed: int) -> FlowFigures:
    """A world of a thousand calls with all of its logs."""
    world = random_world(seed, actions=1000)
    delivery = deliver(world)
    history, coverage = read(delivery)
    ends = FlowEnds(history, HolderIndex(history, coverage))
    return joined(ends, Traffic(world, random.Random(seed)), 1000, delivery)


def with_pods(seed: int) -> FlowFigures:
    """A world of pods whose evidence lacks much."""
    with TemporaryDirectory() as place:
        return joined_pods(seed, Path(place))


def rows(worlds: int, first: int) -> Iterator[tuple[str, FlowFigures]]:
    """The figures of each sort of world."""
    for name, figures in (("logs lack much", small), ("whole logs", whole), ("pods", with_pods)):
        total = FlowFigures()
        for seed in range(first, first + worlds):
            total.add(figures(seed))
        yield name, total


def main(worlds: int = 20, first: int = 0) -> None:
    """Print one row for each sort of world, and what is wrong to stderr."""
    print(
        f"{'':<16}{'ends':>9}{'certain':>9}{'determined':>12}{'answered':>10}"
        f"{'pods certain':>14}{'no pod':>8}{'wrong':>7}{'no pod, wrong':>15}"
    )
    for name, total in rows(worlds, first):
        answered = f"{total.answered / total.determined:.1%}" if total.determined else "-"
        print(
            f"{name:<16}{total.ends:>9,}{total.certain:>9,}{total.determined:>12,}{answered:>10}"
            f"{total.pods_certain:>14,}{total.pods_none:>8,}{len(total.wrong):>7}{len(total.wrong_none):>15}",
            flush=True,
        )
        for text in (*total.wrong, *total.wrong_none):
            print(f"  {name}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
