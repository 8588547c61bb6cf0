"""What the tables of a pool share."""

from datetime import datetime
from typing import IO

from cnitrail.render.text import Table, draw


def draw_below(drawn: Table, out: IO[str]) -> None:
    """Write a table with an empty line below it; nothing where it has no rows."""
    if drawn.rows:
        draw(drawn, out)
        out.write("\n")


def clock(time: datetime) -> str:
    """A time as a sentence names it."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def many_pods(number: int) -> str:
    """``no pod``, ``1 pod``, ``2 pods``."""
    return f"{number or 'no'} pod{'s' if number > 1 else ''}"
