"""A step chart of a number over time, drawn with plain characters."""

from collections.abc import Sequence
from datetime import datetime
from typing import IO

from msgspec import Struct

_HEIGHT = 6
_LIMIT = " limit"
_MIN_COLUMNS = 20

_Point = tuple[datetime, int]
_Span = tuple[datetime, datetime]


class _Signs(Struct, frozen=True, kw_only=True):
    """The characters of a chart; ``eighths`` fill a row by eighths."""

    eighths: str
    corner: str
    wall: str
    floor: str
    limit: str
    gap: str


_UNICODE = _Signs(eighths=" ▁▂▃▄▅▆▇█", corner="└", wall="┤", floor="─", limit="╌", gap="░")
_ASCII = _Signs(eighths="    #####", corner="+", wall="|", floor="-", limit=".", gap="?")


def accepts_unicode(out: IO[str]) -> bool:
    """Return whether a stream can encode more than ASCII."""
    return (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def gap_sign(*, unicode: bool) -> str:
    """Return the character that fills the columns of a time without evidence."""
    return _signs(unicode=unicode).gap


def chart(
    points: Sequence[_Point],
    end: datetime,
    limit: int | None,
    width: int,
    *,
    gaps: Sequence[_Span] = (),
    unicode: bool,
) -> list[str]:
    """Return the lines of a step chart, of at most ``width`` characters unless that is less than 50.

    Each point is valid until the next one, the last until ``end``; times are aware, UTC. A column shows the
    maximum of its time range; if it overlaps one of the ``gaps``, it shows that instead. The limit is drawn
    if it is at most twice the maximum.
    """
    most = max((value for _, value in points), default=0)
    is_near = limit is not None and most <= limit <= 2 * most
    top = limit if limit is not None and is_near else most
    note = _LIMIT if top == limit else ""
    labels = len(str(top)) + 1
    count = max(width - labels - 2 - len(note), _MIN_COLUMNS)
    columns = _columns(points, end, count)
    unknown = _overlapping(gaps, points[0][0], end, count)
    signs = _signs(unicode=unicode)
    rows = []
    for row in range(_HEIGHT, 0, -1):
        is_limit = row == _HEIGHT and top == limit
        empty = signs.limit if is_limit else " "
        bar = "".join(
            signs.gap if column in unknown else signs.eighths[_eighths(value, row, top)].replace(" ", empty)
            for column, value in enumerate(columns)
        )
        is_labeled = row == _HEIGHT or (row == _HEIGHT // 2 and top > 1)
        label = str(round(top * row / _HEIGHT)) if is_labeled else ""
        rows.append(f"{label:>{labels}} {signs.wall}{bar.rstrip()}{note if is_limit else ''}")
    rows.append(f"{0:>{labels}} {signs.corner}{signs.floor * count}")
    rows.append(" " * (labels + 2) + _times(points[0][0], end, count))
    return rows


def _signs(*, unicode: bool) -> _Signs:
    return _UNICODE if unicode else _ASCII


def _columns(points: Sequence[_Point], end: datetime, count: int) -> list[int]:
    """Return the maximum in each of ``count`` equal parts of the time range."""
    begin = points[0][0]
    columns = [0] * count
    ends = [*(time for time, _ in points[1:]), end]
    for (time, value), until in zip(points, ends, strict=True):
        for column in _covered((time, until), begin, end, count):
            columns[column] = max(columns[column], value)
    return columns


def _overlapping(spans: Sequence[_Span], begin: datetime, end: datetime, count: int) -> set[int]:
    """Return the columns that overlap one of some spans of time."""
    inside = [(max(since, begin), min(until, end)) for since, until in spans if since < end and begin < until]
    return {column for span in inside for column in _covered(span, begin, end, count)}


def _covered(span: _Span, begin: datetime, end: datetime, count: int) -> range:
    """Return the columns that a span of time covers, at least one."""
    seconds = max((end - begin).total_seconds(), 1.0)
    since, until = ((time - begin).total_seconds() / seconds * count for time in span)
    first = min(int(since), count - 1)
    return range(first, min(max(int(until - 1e-9), first), count - 1) + 1)


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
