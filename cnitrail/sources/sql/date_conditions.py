"""Conditions on partition columns with dates, or with parts of dates, for a period."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.errors import UsageError
from cnitrail.sources.sql.date_patterns import date_pattern, moved
from cnitrail.sources.sql.expressions import identifier, listed_literals, literal
from cnitrail.sources.sql.partition_columns import PARTS, Meaning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnitrail.sources.sql.date_patterns import DatePattern
    from cnitrail.sources.sql.partition_columns import PartitionColumn

MAX_VALUES: Final = 1_000
"""Values of one column that are listed at most."""
_YEARS: Final = (2000, 2999)
"""The years of log files, as ``sources.layout`` reads their names."""
_LOWEST: Final = (1, 1, 0)
_HIGHEST: Final = (12, 31, 23)
"""The least and greatest month, day and hour."""
_OLDEST, _NEWEST = "2013", "21"
"""Texts between these may be dates: no log file is older than 2013."""
_SIGNS: Final = ("-", "/", "")
"""What people put between the parts of a date."""
_DAY: Final = 3
"""The number of fields of a date up to the day."""


class Period(Struct, frozen=True):
    """The time that is asked for, both included; None for an open end, of which ``now`` is the last."""

    first: datetime | None
    last: datetime | None
    now: datetime

    def values(self, pattern: DatePattern) -> list[str] | None:
        """Return the texts of all partitions in the period; None if there are too many, or an open end."""
        if self.first is None:
            return None
        start = pattern.start(pattern.text(self.first))
        last = self.last or self.now
        found: list[str] = []
        while start is not None and start <= last:
            if len(found) == MAX_VALUES:
                return None
            found.append(pattern.text(start))
            following = moved(start, 1, pattern.finest)
            start = following if following > start else None
        return found


def date_condition(column: PartitionColumn, period: Period) -> str | None:
    """Return the condition on a column of dates; None if there is none."""
    if period.first is None and period.last is None:
        return None
    if column.is_injected:
        return _of_injected_date(column, period)
    if column.type.name == "date" or column.type.is_timestamp:
        return _of_typed_date(column, period)
    if column.type.is_integer:
        return _of_integer_date(column, period)
    if not column.type.is_text:
        return None
    pattern = column.projection.pattern if column.projection is not None else None
    return _of_pattern(column, pattern, period) if pattern is not None else _of_text_date(column, period)


def or_null(column: PartitionColumn, condition: str) -> str:
    """Return a condition that null also meets: the value in Hive's ``__HIVE_DEFAULT_PARTITION__``.

    A copy has it if the column it is partitioned by had no value. A projection has no such partition.
    """
    if column.projection is not None:
        return condition
    return f"({condition} OR {identifier(column.name)} IS NULL)"


def _of_typed_date(column: PartitionColumn, period: Period) -> str:
    """Return the condition on a column of dates or timestamps, which may be the first of a month or year."""
    name = identifier(column.name)
    unit = next((unit for unit in ("month", "year") if unit in column.name), "day")
    pattern = date_pattern({"year": "yyyy", "month": "yyyy-MM", "day": "yyyy-MM-dd"}[unit])
    assert pattern is not None
    kind = "DATE" if column.type.name == "date" else "TIMESTAMP"
    zone = " UTC" if column.type.name.endswith("with time zone") else ""
    bounds = []
    if period.first is not None and (start := pattern.start(pattern.text(period.first))) is not None:
        clock = "" if kind == "DATE" else f" 00:00:00{zone}"
        bounds.append(f"{name} >= {kind} '{day_text(start, '-')}{clock}'")
    if period.last is not None:
        clock = "" if kind == "DATE" else f" 23:59:59.999999{zone}"
        bounds.append(f"{name} <= {kind} '{day_text(period.last, '-')}{clock}'")
    return or_null(column, f"({' AND '.join(bounds)})" if len(bounds) > 1 else bounds[0])


def _of_pattern(column: PartitionColumn, pattern: DatePattern, period: Period) -> str | None:
    """Return the condition on a column of texts whose pattern is known."""
    name = identifier(column.name)
    if not pattern.is_sorted:
        values = period.values(pattern)
        return f"{name} IN ({listed_literals(values)})" if values else None
    bounds = []
    if period.first is not None:
        first = period.first
        projection = column.projection
        if projection is not None and (projection.interval, projection.unit or pattern.finest) != (
            1,
            pattern.finest,
        ):
            first = moved(first, -projection.interval, projection.unit or pattern.finest)
        bounds.append(f"{name} >= {literal(pattern.text(first))}")
    if period.last is not None:
        bounds.append(f"{name} <= {literal(pattern.text(period.last))}")
    return " AND ".join(bounds)


def _of_text_date(column: PartitionColumn, period: Period) -> str:
    """Return the condition on a column of dates in texts of any pattern that begins with the year.

    A text that cannot be one (no log file is older than 2013) stays in.
    """
    name = identifier(column.name)
    either = [f"{name} < '{_OLDEST}'", f"{name} >= '{_NEWEST}'"]
    if column.projection is None:
        either.append(f"{name} IS NULL")
    ends = [time for time in (period.first, period.last) if time is not None]
    coarse = [f"{time.year:04}" for time in ends]
    if period.first is not None:
        coarse += [f"{period.first.year:04}{sign}{period.first:%m}" for sign in _SIGNS]
    either.append(f"{name} IN ({listed_literals(dict.fromkeys(coarse))})")
    either += [
        f"({name} >= {literal(first)} AND {name} < {literal(after)})" for first, after in _text_ranges(period)
    ]
    if unpadded := _unpadded(period):
        either.append(f"{name} IN ({listed_literals(unpadded)})")
    return f"({' OR '.join(either)})"


def _text_ranges(period: Period) -> Iterator[tuple[str, str]]:
    """Yield ranges of texts, each with the first text after it, that have the days of a period.

    Only within a year do texts with different signs sort apart from each other: ``2022-10`` is before
    ``2022/01``. So the first and the last year have a range for each sign, and those between have one.
    """
    first, last = period.first, period.last
    if first is not None and last is not None and first.year == last.year:
        yield from ((day_text(first, sign), _after_day(last, sign)) for sign in _SIGNS)
        return
    if first is not None:
        yield from ((day_text(first, sign), _after_year(first, sign)) for sign in _SIGNS)
    years = f"{first.year + 1:04}" if first is not None else _OLDEST, f"{last.year:04}" if last else _NEWEST
    if years[0] < years[1]:
        yield years
    if last is not None:
        yield from ((f"{last.year:04}{sign or '0'}", _after_day(last, sign)) for sign in _SIGNS)


def _after_day(day: datetime, sign: str) -> str:
    """Return the first text after all of a day, which may end with an hour."""
    return f"{day_text(day, sign)}~"


def _after_year(day: datetime, sign: str) -> str:
    """Return the first text after all of a year whose parts have a sign between them, or none."""
    return f"{day.year:04}{chr(ord(sign or '9') + 1)}"


def _unpadded(period: Period) -> list[str]:
    """Return the days of a period without leading zeros (``2022/9/5``), where such texts sort differently.

    Those are the days of its first and last year: of two texts with different years, the years decide.
    """
    first, last = period.first, period.last
    spans = []
    if first is not None:
        spans.append((first.date(), min(date(first.year, 12, 31), last.date() if last else date.max)))
    if last is not None and (first is None or first.year < last.year):
        spans.append((date(last.year, 1, 1), last.date()))
    days = [
        date.fromordinal(number)
        for start, end in spans
        for number in range(start.toordinal(), end.toordinal() + 1)
    ]
    return [
        f"{day.year}{sign}{day.month}{sign}{day.day}"
        for sign in ("-", "/")
        for day in days
        if day.month < 10 or day.day < 10
    ]


def _of_integer_date(column: PartitionColumn, period: Period) -> str:
    """Return the condition on a column of dates as numbers: 2022, 202210, 20221005 or 2022100513."""
    name = identifier(column.name)
    least, greatest = "2013010100", "2099123123"
    first = f"{day_text(period.first, '')}00" if period.first is not None else least
    last = f"{day_text(period.last, '')}23" if period.last is not None else greatest
    lengths = (4, 6, 8, 10)
    either = [f"{name} BETWEEN {int(first[:length])} AND {int(last[:length])}" for length in lengths]
    dates = " OR ".join(f"{name} BETWEEN {least[:length]} AND {greatest[:length]}" for length in lengths)
    return or_null(column, f"({' OR '.join(either)} OR NOT ({dates}))")


def _of_injected_date(column: PartitionColumn, period: Period) -> str:
    """Return the list of days in an injected column: as a trail names its folders, or otherwise."""
    patterns = [date_pattern(text) for text in ("yyyy/MM/dd", "yyyy-MM-dd", "yyyyMMdd")]
    values = [period.values(pattern) for pattern in patterns if pattern is not None]
    listed = [text for texts in values if texts is not None for text in texts]
    if not listed or len(listed) > MAX_VALUES:
        raise UsageError(
            f"the table's column {column.name} is injected: Athena reads "
            f"{MAX_VALUES:,} of its values at most, in three forms",
            "give a shorter time with --since and --until",
        )
    return f"{identifier(column.name)} IN ({listed_literals(listed)})"


def day_text(time: datetime, sign: str) -> str:
    """Return a day with a sign between its year, month and day: ``2022-10-05``, ``20221005``."""
    return f"{time.year:04}{sign}{time:%m}{sign}{time:%d}"


def part_conditions(
    columns: Sequence[PartitionColumn], period: Period
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the condition on columns for the year, the month and so on, with their names."""
    by_part = {column.meaning: column for column in columns if column.type.is_text or column.type.is_integer}
    used: list[PartitionColumn] = []
    for part in PARTS:
        if part not in by_part:
            break
        used.append(by_part[part])
    if not used or (period.first is None and period.last is None):
        return
    first = period.first or datetime(_YEARS[0], 1, 1, tzinfo=UTC)
    last = period.last or period.now
    if first.year <= _YEARS[1] and last.year >= _YEARS[0]:
        first = max(first, datetime(_YEARS[0], 1, 1, tzinfo=UTC))
        last = min(last, datetime(_YEARS[1], 12, 31, 23, tzinfo=UTC))
    lows, highs = _fields(first)[: len(used)], _fields(last)[: len(used)]
    if any(column.is_injected for column in used):
        ranges = _separately(lows, highs)
        yield from (
            (_within(column, *span), (column.name,)) for column, span in zip(used, ranges, strict=True)
        )
        return
    while len(lows) > 1 and lows[-1] == _LOWEST[len(lows) - 2]:
        lows = lows[:-1]
    while len(highs) > 1 and highs[-1] == _highest(last, len(highs)):
        highs = highs[:-1]
    runs = [*_spans(lows, highs)]
    either = []
    for run in runs:
        both = " AND ".join(_within(column, *span) for column, span in zip(used, run, strict=False))
        either.append(f"({both})" if len(run) > 1 else both)
    if either:
        count = max(map(len, runs))
        yield f"({' OR '.join(either)})", tuple(column.name for column in used[:count])


def _separately(lows: tuple[int, ...], highs: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the least and greatest year, month and so on; all months of more than one year."""
    is_one = True
    for level, (low, high) in enumerate(zip(lows, highs, strict=True)):
        yield (low, high) if is_one else (_LOWEST[level - 1], _HIGHEST[level - 1])
        is_one = is_one and low == high


def _fields(time: datetime) -> tuple[int, ...]:
    return (time.year, time.month, time.day, time.hour)


def _highest(time: datetime, count: int) -> int:
    """Return the greatest month, day or hour in the year, month or day of a time."""
    return monthrange(time.year, time.month)[1] if count == _DAY else _HIGHEST[count - 2]


def _spans(
    lows: tuple[int, ...], highs: tuple[int, ...], level: int = 0
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield (least, greatest) of the year, month and so on, for each run of whole years, months and so on.

    ``lows`` and ``highs`` are the first and last of them; without one there is no limit.
    """
    if not lows and not highs:
        yield ()
        return
    low = lows[0] if lows else _LOWEST[level - 1]
    high = highs[0] if highs else _HIGHEST[level - 1]
    if lows and highs and low == high:
        for rest in _spans(lows[1:], highs[1:], level + 1):
            yield ((low, low), *rest)
        return
    if lows[1:]:
        for rest in _spans(lows[1:], (), level + 1):
            yield ((low, low), *rest)
        low += 1
    if highs[1:]:
        high -= 1
    if low <= high:
        yield ((low, high),)
    if highs[1:]:
        for rest in _spans((), highs[1:], level + 1):
            yield ((highs[0], highs[0]), *rest)


def _within(column: PartitionColumn, low: int, high: int) -> str:
    """Return the condition that a part of a date is in a range; texts with or without a leading zero."""
    name = identifier(column.name)
    values = range(low, high + 1)
    is_long = column.meaning is Meaning.YEAR and len(values) > 10 and not column.is_injected
    if column.type.is_integer:
        listed = ", ".join(map(str, values))
        condition = f"{name} BETWEEN {low} AND {high}" if is_long else f"{name} IN ({listed})"
        return or_null(column, condition)
    if is_long:
        return _or_other_text(column, f"{name} BETWEEN '{low:04}' AND '{high:04}'")
    digits = 4 if column.meaning is Meaning.YEAR else 2
    forms = [f"{value:0{digits}}" for value in values]
    if column.meaning is not Meaning.YEAR:
        forms += [str(value) for value in values if value < 10]
    return _or_other_text(column, f"{name} IN ({listed_literals(forms)})")


def _or_other_text(column: PartitionColumn, condition: str) -> str:
    """Return a condition on a part of a date with other texts: ``22``, ``2022-10``, ``Oct``.

    No month, day or hour is between ``2013`` and ``21``, nor greater than ``9``.
    """
    if column.projection is not None:
        return condition
    name = identifier(column.name)
    if column.meaning is Meaning.YEAR:
        other = f"{name} < '2013' OR {name} >= '21'"
    else:
        other = f"({name} >= '2013' AND {name} < '21') OR {name} > '9'"
    return f"({condition} OR {other} OR {name} IS NULL)"
