"""Dates as partition values: the patterns of Java that ``projection.COLUMN.format`` has.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from cnitrail.timeclamp import FIRST, LAST

_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])")
UNITS: Final = ("year", "month", "day", "hour", "minute", "second")
"""Units of time, as attributes of ``datetime``, in their order."""
_UNITS: Final = dict(zip("yMdHms", UNITS, strict=True), u="year")
_NOW = re.compile(
    r"NOW(?:\s*([+-])\s*(\d{1,6})\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?", re.IGNORECASE
)


class DatePattern(Struct, frozen=True):
    """A pattern: texts, and units of time with the number of their digits (1 for as many as needed)."""

    pieces: tuple[str | tuple[str, int], ...]

    @property
    def units(self) -> tuple[str, ...]:
        """The units in their order in the text."""
        return tuple(piece[0] for piece in self.pieces if isinstance(piece, tuple))

    @property
    def finest(self) -> str:
        """The shortest unit."""
        return max(self.units, key=UNITS.index)

    @property
    def is_sorted(self) -> bool:
        """Whether texts sort as their times do."""
        fixed = all(isinstance(piece, str) or piece[1] > 1 for piece in self.pieces)
        return fixed and self.units == UNITS[: len(self.units)]

    def text(self, time: datetime) -> str:
        """Return a time as the pattern writes it."""
        return "".join(
            piece if isinstance(piece, str) else f"{getattr(time, piece[0]):0{piece[1]}}"
            for piece in self.pieces
        )

    def start(self, text: str) -> datetime | None:
        """Return when the time begins that a text names (aware, UTC); None if it is not of this pattern."""
        expression = "".join(
            re.escape(piece)
            if isinstance(piece, str)
            else rf"(?P<{piece[0]}>\d{{{piece[1]}}})"
            if piece[1] > 1
            else rf"(?P<{piece[0]}>\d{{1,2}})"
            for piece in self.pieces
        )
        found = re.fullmatch(expression, text, re.ASCII)
        if found is None:
            return None
        values = {unit: int(value) for unit, value in found.groupdict().items()}
        try:
            return datetime(**{"month": 1, "day": 1, **values}, tzinfo=UTC)
        except ValueError:
            return None


def date_pattern(text: str) -> DatePattern | None:
    """Return a pattern of Java's DateTimeFormatter; None if it has other parts than a year and numbers."""
    pieces: list[str | tuple[str, int]] = []
    for token in _TOKEN.finditer(text):
        letters = token["letters"]
        if not letters:
            pieces.append(token["other"] or (token["quoted"] or "").replace("''", "'") or "'")
            continue
        unit = _UNITS.get(letters[0])
        if unit is None or (len(letters) != 4 if unit == "year" else len(letters) > 2):
            return None
        pieces.append((unit, len(letters)))
    pattern = DatePattern(tuple(pieces))
    units = pattern.units
    is_unique = len({*units}) == len(units)
    is_whole = {*units} == {*UNITS[: len(units)]}
    return pattern if units and is_unique and is_whole else None


def range_bound(text: str, pattern: DatePattern, now: datetime) -> datetime | None:
    """Return the time that a bound of ``projection.COLUMN.range`` names: a date, or relative to NOW.

    It is the start of a partition. None if the bound cannot be read.
    """
    found = _NOW.fullmatch(text.strip())
    if found is None:
        return pattern.start(text.strip())
    sign, count, unit = found.groups()
    time = now if unit is None else moved(now, int(f"{sign}{count}"), unit.lower())
    return pattern.start(pattern.text(time))


def moved(time: datetime, count: int, unit: str) -> datetime:
    """Return a time (aware, UTC) some units later, within the calendar; ``unit`` is such as ``day``."""
    try:
        if unit in ("year", "month"):
            months = time.year * 12 + time.month - 1 + count * (12 if unit == "year" else 1)
            first = time.replace(year=months // 12, month=months % 12 + 1, day=1)
            return min(first + timedelta(days=time.day - 1), _last_of_month(first))
        return time + timedelta(**{f"{unit}s": count})
    except (OverflowError, ValueError):
        return LAST if count > 0 else FIRST


def _last_of_month(first: datetime) -> datetime:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
