"""Compares answers with the known truth of a simulated account on ordinary days.

    python benchmarks/truth.py [DAYS]

A busy day: eight EKS nodes in two VPCs with the same addresses, whose CNI calls EC2 about every 40 seconds;
other calls every minute, a file every five minutes. A quiet account: three nodes, a call every 40 minutes,
four other calls per hour. Both have primary and secondary addresses, prefixes, addresses that move, and nodes
that disappear without an event. Half of the torn files are cut short, half have one bit flipped.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fixtures")]

from simulator import Delivery  # noqa: E402
from truth_figures import Figures, busy_day, figures, quiet_days  # noqa: E402

ROWS: tuple[tuple[str, Callable[[int], Delivery], float], ...] = (
    ("busy day", busy_day, 0),
    ("logs begin after 3 h", partial(busy_day, begin=3 * 3600), 0),
    ("busy day, 5 % torn", busy_day, 0.05),
    ("quiet account", quiet_days, 0),
    ("quiet, 5 % torn", quiet_days, 0.05),
)


def main(days: int) -> None:
    """Print one row per kind of day."""
    print(f"{'':<24}{'determinable':>12}{'right':>10}{'held':>9}{'certain':>10}{'wrong certain':>15}")
    for name, make, torn in ROWS:
        found = []
        for seed in range(days):
            with TemporaryDirectory() as place:
                found.append(figures(make(seed), Path(place), asked=4000, moments=40, torn=torn, seed=seed))
        total = Figures(*map(sum, zip(*found, strict=True)))
        print(
            f"{name:<24}{total.determinable:>12,}{total.share_right:>10.2%}"
            f"{total.held:>9,}{total.share_certain:>10.1%}{total.wrong_certain:>15}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
