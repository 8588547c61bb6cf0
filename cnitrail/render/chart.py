"""A step chart of a number over time, drawn with plain characters."""

from collections.abc import Sequence
from datetime import datetime
from typing import IO

_HEIGHT = 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ASCII = "    #####"


def accepts_unicode(out: IO[str]) -> bool:
    """Return whether a stream can encode more than ASCII."""
    return (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def chart(
    points: Sequence[tuple[datetime, int]], end: datetime, limit: int | None, width: int, *, unicode: bool
) -> list[str]:
    """Return the lines of a step chart; each point is valid until the next one, the last until ``end``.

    Times are aware, UTC. A column shows the maximum of its time range. The limit is drawn if it is at most
    twice the maximum.
    """
    labels = len(str(max((value for _, value in points), default=0))) + 1
    columns = _columns(points, end, max(width - labels - 3, 20))
    most = max(columns, default=0)
    top = limit if limit is not None and most <= limit <= 2 * most else most
    signs, corner, wall, floor, line = (
        (_EIGHTHS, "└", "┤", "─", "╌") if unicode else (_ASCII, "+", "|", "-", ".")
    )
    rows = []
    for row in range(_HEIGHT, 0, -1):
        bar = "".join(signs[_eighths(value, row, top)] for value in columns)
        if row == _HEIGHT and top == limit:
            bar = "".join(line if sign == " " else sign for sign in bar)
        label = str(round(top * row / _HEIGHT)) if row in (_HEIGHT, _HEIGHT // 2) else ""
        note = " limit" if row == _HEIGHT and top == limit else ""
        rows.append(f"{label:>{labels}} {wall}{bar.rstrip()}{note}")
    rows.append(f"{0:>{labels}} {corner}{floor * len(columns)}")
    rows.append(" " * (labels + 2) + _times(points[0][0], end, len(columns)))
    return rows


def _columns(points: Sequence[tuple[datetime, int]], end: datetime, count: int) -> list[int]:
    """Return the maximum in each of ``count`` equal parts of the time range."""
    begin = points[0][0]
    span = max((end - begin).total_seconds(), 1.0)
    columns = [0] * count
    ends = [*(time for time, _ in points[1:]), end]
    for (time, value), until in zip(points, ends, strict=True):
        first = int((time - begin).total_seconds() / span * count)
        last = int((until - begin).total_seconds() / span * count - 1e-9)
        for column in range(min(first, count - 1), min(max(last, first), count - 1) + 1):
            columns[column] = max(columns[column], value)
    return columns


def _eighths(value: int, row: int, top: int) -> int:
    """Return how much of a row a value fills, in eighths; at least one eighth of the lowest row."""
    if not value or not top:
        return 0
    filled = value / top * _HEIGHT - (row - 1)
    return max(min(round(filled * 8), 8), 1 if row == 1 else 0)


def _times(begin: datetime, end: datetime, width: int) -> str:
    one_day = begin.date() == end.date()
    first = f"{begin:%Y-%m-%d %H:%M:%S}"
    last = f"{end:%H:%M:%S}" if one_day else f"{end:%Y-%m-%d %H:%M:%S}"
    return first + last.rjust(max(width - len(first), len(last) + 1))
