"""Helpers that the tables of a pool share."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap
from typing import IO

from cnitrail.model import MANAGER_NAMES, Management, Manager, Strength
from cnitrail.render.safe import printable
from cnitrail.render.shared import TimeStyle, time_style
from cnitrail.render.text import Screen, Table, draw_fitting
from cnitrail.text import counted

_INDENT = "  "
_BASIS = {
    "interface-type": "the type of its ENIs",
    "creator": "who created its ENIs",
    "description": "the description of its ENIs",
    "tag": "tags",
    "calls": "API calls",
    "node": "its other ENIs",
    "cluster": "the other nodes of its cluster",
    "platform": "its platform",
}


def draw_below(layouts: Sequence[Table], out: IO[str]) -> None:
    """Write a table, in the first layout that fits, and an empty line below it; nothing if it has no rows."""
    if layouts[0].rows:
        draw_fitting(layouts, out)
        out.write("\n")


def times_on(out: IO[str], times: Iterable[datetime | None]) -> TimeStyle:
    """Return how a table shows its times: on a screen, the date once if they share it."""
    return time_style(times) if isinstance(out, Screen) else TimeStyle(None)


def time_heading(times: TimeStyle) -> str:
    """Return the heading of a column of times: their date if all share it."""
    return f"{times.day} UTC" if times.day is not None else "TIME (UTC)"


def write_wrapped(text: str, out: IO[str]) -> None:
    """Write a sentence in lines that fit a screen, or in one line to anything else.

    No word is cut, so that IDs can be copied.
    """
    if not isinstance(out, Screen):
        out.write(f"{printable(text)}\n")
        return
    lines = wrap(
        printable(text),
        out.width,
        subsequent_indent=_INDENT + " " * (len(text) - len(text.lstrip())),
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.writelines(f"{line}\n" for line in lines)


def many_pods(number: int) -> str:
    """Return a pod count: ``no pods``, ``1 pod``, ``2 pods``."""
    return counted(number, "pod") if number else "no pods"


def managed_by(management: Management) -> str:
    """Return what manages the addresses of a node, and how that is known."""
    match management.manager:
        case Manager.UNKNOWN:
            return "what manages its addresses is unknown"
        case Manager.RESOURCE_CONTROLLER:
            text = f"addresses given by {MANAGER_NAMES[management.manager]}: a Windows node"
        case Manager.KARPENTER:
            text = "launched by Karpenter; what manages its addresses is unknown"
        case manager:
            text = f"addresses assigned by {MANAGER_NAMES[manager]}"
    basis = _BASIS.get(management.basis or "")
    if basis is None:
        return text
    is_claimed = management.strength is Strength.CLAIMED
    return f"{text} ({'suggested' if is_claimed else 'shown'} by {basis})"
