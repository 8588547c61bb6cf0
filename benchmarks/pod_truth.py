"""Compares answers about pods with the known truth of simulated clusters, by the evidence that there is.

    python benchmarks/pod_truth.py [WORLDS [FIRST]]

A world: about 150 actions in one or two clusters of two to four nodes with the VPC CNI of any release, some
with clocks that are wrong by up to two seconds. Pods start, end, restart and are deleted in every way; nodes
are lost; people and kubelets claim the addresses of others. Most questions are about times near a change.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fixtures")]

from pod_truth_figures import SORTS, PodFigures, figures_of  # noqa: E402


def main(worlds: int = 20, first: int = 0) -> None:
    """Print one row for each sort of evidence, and what is wrong or not answered to stderr."""
    print(
        f"{'':<20}{'held':>7}{'certain':>10}{'likely':>10}{'determined':>12}{'named':>10}"
        f"{'wrong':>7}{'likely, wrong':>15}{'free in pool':>14}{'none':>10}"
    )
    for name, losses in SORTS.items():
        total = PodFigures()
        for seed in range(first, first + worlds):
            total.add(figures_of(losses, seed))
        certain, likely = (total.of_held[verdict] / total.held for verdict in ("certain", "likely"))
        named = f"{total.share_right:.2%}" if total.determined else "-"
        none = f"{total.none / total.pooled:.1%}" if total.pooled else "-"
        print(
            f"{name:<20}{total.held:>7,}{certain:>10.1%}{likely:>10.1%}{total.determined:>12,}{named:>10}"
            f"{len(total.wrong):>7}{total.wrong_likely:>15,}{total.pooled:>14,}{none:>10}",
            flush=True,
        )
        for text in (*total.wrong, *total.missed):
            print(f"  {name}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
