"""Compares the ends of flows with who really sent and received simulated traffic.

    python benchmarks/flow_truth.py [WORLDS [FIRST]]

Traffic between nodes, pods and the outside of small worlds whose logs lack much: windows of up to ten
minutes, times that are late by up to 60 seconds, records with and without the packets' addresses, and
metadata that are missing or wrong. A determined end is one of which the logs determine the ENI in every
second. A mistaken one is wrong because the record fits a wrong interface: see ``tests/test_flow_truth.py``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fixtures")]

from flow_traffic import FlowFigures, calm_world  # noqa: E402
from simulator import deliver, random_world, small_world  # noqa: E402
from test_flow_truth import joined_flows, joined_pods  # noqa: E402

from cnitrail.model import Verdict  # noqa: E402


def crowded(seed: int) -> FlowFigures:
    """A small world of little time whose logs lack much."""
    return joined_flows(deliver(*small_world(seed)), seed, 100)


def calm(seed: int) -> FlowFigures:
    """A small world of hours, often with all of its logs."""
    return joined_flows(deliver(*calm_world(seed)), seed, 100)


def whole(seed: int) -> FlowFigures:
    """A world of a thousand calls with all of its logs."""
    return joined_flows(deliver(random_world(seed, actions=1000)), seed, 1000)


def with_pods(seed: int) -> FlowFigures:
    """A world of pods whose evidence lacks much."""
    with TemporaryDirectory() as place:
        return joined_pods(seed, Path(place))


_SORTS = (("crowded", crowded), ("calm", calm), ("whole logs", whole), ("pods", with_pods))


def rows(worlds: int, first: int) -> Iterator[tuple[str, FlowFigures]]:
    """The figures of each sort of world."""
    for name, figures in _SORTS:
        total = FlowFigures()
        for seed in range(first, first + worlds):
            total.add(figures(seed))
        yield name, total


def main(worlds: int = 20, first: int = 0) -> None:
    """Print one row for each sort of world, and what is wrong to stderr."""
    verdicts = "".join(f"{verdict:>11}" for verdict in Verdict)
    print(
        f"{'':<12}{'ends':>9}{verdicts}{'determined':>12}{'answered':>10}"
        f"{'pods certain':>14}{'no pod':>8}{'wrong':>7}{'no pod, wrong':>15}{'mistaken':>10}"
    )
    for name, total in rows(worlds, first):
        answered = f"{total.answered / total.determined:.1%}" if total.determined else "-"
        verdicts = "".join(f"{total.verdicts[verdict]:>11,}" for verdict in Verdict)
        print(
            f"{name:<12}{total.ends:>9,}{verdicts}{total.determined:>12,}{answered:>10}"
            f"{total.pods_certain:>14,}{total.pods_none:>8,}{len(total.wrong):>7}{len(total.wrong_none):>15}"
            f"{len(total.mistaken):>10}",
            flush=True,
        )
        for text in (*total.wrong, *total.wrong_none):
            print(f"  {name}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
