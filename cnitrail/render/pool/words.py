"""Helpers that the tables of a pool share."""

from typing import IO

from cnitrail.render.text import Table, draw
from cnitrail.text import counted


def draw_below(drawn: Table, out: IO[str]) -> None:
    """Write a table and an empty line below it; nothing if it has no rows."""
    if drawn.rows:
        draw(drawn, out)
        out.write("\n")


def many_pods(number: int) -> str:
    """Return a pod count: ``no pods``, ``1 pod``, ``2 pods``."""
    return counted(number, "pod") if number else "no pods"
