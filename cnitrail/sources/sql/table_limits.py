"""What a table can never return, by its properties or its partitions: accounts, Regions and days.

A query for these ends without an error and without a row, so they have to be compared with what is asked for.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.model import HoleReason, Lost
from cnitrail.sources.layout import (
    STAMP_SLACK,
    delivered_from,
    delivered_until,
    is_account,
    is_organization,
)
from cnitrail.sources.sql.date_patterns import UNITS, moved, range_bound
from cnitrail.sources.sql.partition_columns import (
    PARTS,
    Meaning,
    PartitionColumn,
    is_projected,
    partition_columns,
    trail_folders,
    whole_number,
)
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cnitrail.model import Scope
    from cnitrail.sources.sql.description import TableDescription

_FIRST_LOGS: Final = date(2013, 1, 1)
"""There was no CloudTrail before the end of 2013."""
_LAST_LOGS: Final = date(2999, 12, 31)
"""The last day that ``sources.layout`` reads in names of log files."""
_MAX_NAMED: Final = 20
"""Accounts or Regions that a note names at most."""
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d{1,2}", re.ASCII)
_DATE = re.compile(r"(\d{4})(?:([-/]?)(\d\d?)(?:\2(\d\d?))?)?(?:\D.*|\d\d)?", re.ASCII)


class TableLimits(Struct, frozen=True):
    """What was asked for and is not in a table, and sentences about other limits.

    ``excludes_all`` is whether no account, no Region or no day of those asked for is in it.
    """

    gaps: tuple[Lost, ...]
    notes: tuple[str, ...]
    excludes_all: bool


class _Days(Struct, frozen=True, kw_only=True):
    """The days that a table has: ``first`` and ``last`` are its limits, if it has such, or ``has`` them.

    ``because`` names the property, or the place, that limits them.
    """

    has: Callable[[date], bool]
    first: date | None
    last: date | None
    because: str


def known_values(column: PartitionColumn) -> tuple[tuple[str, str | None], ...] | None:
    """Return the values of a column as stored, with the account or Region that they mean.

    It is None for a value that is neither, and the result is None if the values are not known.
    """
    if column.projection is None or column.projection.kind != "enum":
        return None
    return tuple((value, _meant(value, column.meaning)) for value in column.projection.values)


def _meant(value: str, meaning: Meaning | None) -> str | None:
    text = value.strip().lower()
    if meaning is Meaning.ACCOUNT:
        text = text.zfill(12) if text.isdecimal() else text
        return text if is_account(text) else None
    return text if _REGION.fullmatch(text) else None


def limits(
    table: TableDescription, columns: Sequence[PartitionColumn], scope: Scope, now: datetime
) -> TableLimits:
    """Return what a table's properties and LOCATION exclude of what is asked for."""
    gaps: list[Lost] = []
    notes: list[str] = []
    excludes_all = False
    if (
        columns
        and not is_projected(table)
        and any(name.startswith("projection.") for name in table.properties)
    ):
        notes.append(
            "the table has only the partitions that were added to it: its projection is off "
            "(projection.enabled is not true)"
        )
    for meaning, asked in ((Meaning.ACCOUNT, scope.accounts), (Meaning.REGION, scope.regions)):
        for there, because in _limited(table, columns, meaning):
            names = () if "all" in asked else asked
            found = [_no_partition(meaning, name, scope, because) for name in names if name not in there]
            gaps += found
            # a partition that was added by hand may be anywhere
            is_sure = is_projected(table) or not columns
            excludes_all |= is_sure and 0 < len(names) == len(found)
            if not names:
                notes.append(f"the table only has {_plural(meaning, there)} ({because})")
    folders = {meaning: folder for folder, meaning in trail_folders(table)}
    organization = folders.get(Meaning.ORGANIZATION, "")
    if is_organization(organization) and not is_account(folders.get(Meaning.ACCOUNT, "")):
        notes.append(f"the table only has accounts of organization {organization} ({_place(table)})")
    for days in _limited_days(table, columns, now):
        found = [*_missing_days(days, scope, now)]
        if (is_projected(table) or not columns) and _has_no_day(days, scope, now):
            found = found or [_before(days, scope)]
            excludes_all = True
        gaps += found
        notes += _edges(days, scope, now)
    return TableLimits(tuple(gaps), tuple(notes), excludes_all)


def missing_partitions(
    known: Iterable[tuple[str, ...]], table: TableDescription, scope: Scope, now: datetime | None = None
) -> Iterator[Lost]:
    """Yield what is asked for and has no partition in the catalog.

    ``known`` are the values of a table's partitions in the order of its partition columns, as
    ``"TABLE$partitions"`` lists them. A partition of an unknown date, account or Region may have anything.
    Nothing is missing of a table whose partitions are computed (``limits`` knows what those leave out).
    """
    if is_projected(table):
        return
    now = now or datetime.now(UTC)
    columns = partition_columns(table)
    listed = list(known)
    because = "no partition was added for it"
    for meaning, asked in ((Meaning.ACCOUNT, scope.accounts), (Meaning.REGION, scope.regions)):
        for number, column in enumerate(columns):
            if column.meaning is meaning and "all" not in asked:
                there = {_meant(row[number], meaning) for row in listed}
                if None not in there:
                    yield from (
                        _no_partition(meaning, name, scope, because) for name in asked if name not in there
                    )
    dated = [number for number, column in enumerate(columns) if column.meaning in (Meaning.DATE, *PARTS[:3])]
    if not dated:
        return
    dates = {_date_of([(columns[number], row[number]) for number in dated]) for row in listed}
    if () in dates:
        return
    complete = sorted(date(*fields) for fields in dates if len(fields) == 3)
    yield from _missing_days(
        _Days(
            has=lambda day: any((day.year, day.month, day.day)[:count] in dates for count in (1, 2, 3)),
            first=complete[0] if complete else None,
            last=complete[-1] if complete else None,
            because=because,
        ),
        scope,
        now,
    )


def asked_partitions(known: Iterable[tuple[str, ...]], table: TableDescription, scope: Scope) -> int:
    """Return how many of a table's partitions may have something of what is asked for.

    ``known`` are the values of its partitions, as for ``missing_partitions``.
    """
    columns = partition_columns(table)
    first = scope.since and delivered_from(scope.since).date()
    last = scope.until and delivered_until(scope.until, scope.delivery_lag).date()
    return sum(
        _is_of_asked_place([*zip(columns, values, strict=True)], scope)
        and _is_between(_date_of(zip(columns, values, strict=True)), first, last)
        for values in known
    )


def _is_of_asked_place(values: Iterable[tuple[PartitionColumn, str]], scope: Scope) -> bool:
    for column, text in values:
        is_of_account = column.meaning is Meaning.ACCOUNT
        asked = scope.accounts if is_of_account else scope.regions if column.meaning is Meaning.REGION else ()
        if asked and "all" not in asked and _meant(text, column.meaning) not in (None, *asked):
            return False
    return True


def _is_between(fields: tuple[int, ...], first: date | None, last: date | None) -> bool:
    """Return whether a partition of a year, month or day may have one of the days from first to last."""
    return (first is None or fields >= (first.year, first.month, first.day)[: len(fields)]) and (
        last is None or fields <= (last.year, last.month, last.day)[: len(fields)]
    )


def _limited(
    table: TableDescription, columns: Sequence[PartitionColumn], meaning: Meaning
) -> Iterator[tuple[list[str], str]]:
    """Yield the accounts or Regions to which something limits a table, and what does."""
    of_meaning = [column for column in columns if column.meaning is meaning]
    for column in of_meaning:
        known = known_values(column)
        if known and all(meant for _, meant in known):
            yield [meant for _, meant in known if meant], f"projection.{column.name}.values"
    if of_meaning:  # partitions may be anywhere, and a template has a variable
        return
    for folder, folder_meaning in trail_folders(table):
        if folder_meaning is meaning and _meant(folder, meaning) is not None:
            yield [folder], _place(table)


def _place(table: TableDescription) -> str:
    has_template = is_projected(table) and "storage.location.template" in table.properties
    return "storage.location.template" if has_template else "LOCATION"


def _no_partition(meaning: Meaning, name: str, scope: Scope, because: str) -> Lost:
    is_of_account = meaning is Meaning.ACCOUNT
    return Lost(
        account=name if is_of_account else None,
        region=None if is_of_account else name,
        start=scope.since,
        end=scope.until,
        reason=HoleReason.NOT_IN_TABLE,
        what=f"the table has nothing of {'account' if is_of_account else 'Region'} {name} ({because})",
    )


def _plural(meaning: Meaning, names: list[str]) -> str:
    noun = "account" if meaning is Meaning.ACCOUNT else "Region"
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names[:_MAX_NAMED])}{more}"


def _limited_days(
    table: TableDescription, columns: Sequence[PartitionColumn], now: datetime
) -> Iterator[_Days]:
    """Yield the days to which a table's properties limit it, for each property that does."""
    for column in columns:
        if column.projection is None:
            continue
        days = _of_dates(column, now) if column.projection.pattern else _of_numbers(column)
        if days is not None:
            yield days
    if any(column.meaning in (Meaning.DATE, *PARTS) for column in columns):
        return
    folders = [folder for folder, meaning in trail_folders(table) if meaning in PARTS]
    fields = tuple(map(whole_number, folders))
    if fields and None not in fields:
        yield _Days(
            has=lambda day: (day.year, day.month, day.day)[: len(fields)] == fields,
            first=None,
            last=None,
            because=_place(table),
        )


def _of_dates(column: PartitionColumn, now: datetime) -> _Days | None:
    """Return the days in a projection's range of dates; None if it has none that can be read."""
    projection = column.projection
    if projection is None or projection.pattern is None or projection.bounds is None:
        return None
    first, last = (range_bound(text, projection.pattern, now) for text in projection.bounds)
    if first is None or last is None:
        return None
    unit = projection.unit or projection.pattern.finest
    if UNITS.index(projection.pattern.finest) < UNITS.index("day"):
        unit = projection.pattern.finest
    ends = moved(last, projection.interval, unit if unit in ("year", "month", "week") else "day")
    final = max(last.date(), shifted(ends, timedelta(days=-1)).date())
    return _Days(
        has=lambda day: first.date() <= day <= final,
        first=first.date(),
        last=final,
        because=f"projection.{column.name}.range",
    )


def _of_numbers(column: PartitionColumn) -> _Days | None:
    """Return the days whose year, month or day is in a projection's range or list; None without one."""
    projection = column.projection
    if projection is None or column.meaning not in PARTS[:3]:
        return None
    attribute = str(column.meaning)
    is_list = projection.kind == "enum"
    given = [whole_number(text) for text in (projection.values if is_list else projection.bounds or ())]
    found = [number for number in given if number is not None]
    if not found or len(found) < len(given):
        return None
    numbers = {*found}
    if not is_list:
        numbers = {*range(max(found[0], 1), min(found[-1], 9999) + 1, projection.interval)}
    is_of_year = column.meaning is Meaning.YEAR
    return _Days(
        has=lambda day: getattr(day, attribute) in numbers,
        first=date(min(numbers), 1, 1) if is_of_year and numbers else None,
        last=date(max(numbers), 12, 31) if is_of_year and numbers else None,
        because=f"projection.{column.name}.{'values' if is_list else 'range'}",
    )


def _missing_days(days: _Days, scope: Scope, now: datetime) -> Iterator[Lost]:
    """Yield the times asked for that a table does not have, for each account and Region asked for."""
    asked = _asked(days, scope, now)
    if asked is None:
        return
    since, last = asked
    regions = () if "all" in scope.regions else scope.regions
    for first, final in _runs(days.has, max(since.date(), _FIRST_LOGS), last):
        span = f"of {first}" if first == final else f"from {first} to {final}"
        # what happened just before is delivered on these days
        begins = max(since, shifted(_start_of(first), -STAMP_SLACK))
        for account, region in product(scope.accounts or (None,), regions or (None,)):
            yield Lost(
                account=account,
                region=region,
                start=begins,
                end=_start_of(final, 1) if final < last else scope.until,
                reason=HoleReason.NOT_IN_TABLE,
                what=f"the table has nothing {span} ({days.because})",
            )


def _asked(days: _Days, scope: Scope, now: datetime) -> tuple[datetime, date] | None:
    """Return since when a table is asked for, and the last day on which that is delivered.

    If no time is asked for, these are the first and last that it has. None if there is none.
    """
    if scope.since is not None:
        since = shifted(scope.since, timedelta())
    elif days.first is not None:
        since = _start_of(days.first)
    else:
        return None
    if scope.since is None and scope.until is None:
        return (since, days.last) if days.last is not None else None
    until = min(scope.until or now, now)
    if until < since:
        return None
    return since, min(shifted(until, STAMP_SLACK), max(now, until)).astimezone(UTC).date()


def _has_no_day(days: _Days, scope: Scope, now: datetime) -> bool:
    """Return whether a table has none of the days on which what is asked for may be delivered."""
    if (scope.since is None and scope.until is None) or (scope.since is not None and scope.since > now):
        return False  # of the future, or this machine's clock is wrong
    first, last = _FIRST_LOGS, shifted(now, timedelta(days=1)).date()
    if scope.since is not None:
        first = max(first, delivered_from(scope.since).date())
    if scope.until is not None:
        last = min(delivered_until(scope.until, scope.delivery_lag).date(), _LAST_LOGS)
    return not any(days.has(date.fromordinal(n)) for n in range(first.toordinal(), last.toordinal() + 1))


def _before(days: _Days, scope: Scope) -> Lost:
    """Return all that was asked for, which is before the first day of a table."""
    begin = f"begins on {days.first}" if days.first is not None else "has none of these days"
    return Lost(
        account=None,
        region=None,
        start=scope.since,
        end=scope.until,
        reason=HoleReason.NOT_IN_TABLE,
        what=f"the table {begin} ({days.because})",
    )


def _runs(has: Callable[[date], bool], first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each run of days that a table does not have."""
    start: date | None = None
    for number in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(number)
        if has(day):
            if start is not None:
                yield start, date.fromordinal(number - 1)
            start = None
        elif start is None:
            start = day
    if start is not None:
        yield start, last


def _start_of(day: date, later: int = 0) -> datetime:
    """Return when a day begins, or one some days later."""
    return shifted(datetime.combine(day, time.min, UTC), timedelta(days=later))


def _edges(days: _Days, scope: Scope, now: datetime) -> Iterator[str]:
    """Yield a note for each end of a table's days if the request has no limit there."""
    if days.first is not None and scope.since is None:
        yield f"the table begins on {days.first} ({days.because})"
    is_open = scope.since is None and scope.until is None
    two_years = (date(2023, 1, 1) + timedelta(days=number) for number in range(730))
    if days.first is None and is_open and not all(map(days.has, two_years)):
        yield f"the table does not have all days ({days.because})"
    if days.last is not None and is_open and days.last < now.astimezone(UTC).date():
        yield f"the table ends on {days.last} ({days.because})"


def _date_of(values: Iterable[tuple[PartitionColumn, str]]) -> tuple[int, ...]:
    """Return the year, and if known the month and day of a partition; empty if they cannot be read."""
    parts: dict[Meaning, int] = {}
    whole: tuple[int, ...] = ()
    for column, text in values:
        if column.meaning is Meaning.DATE:
            found = _fields_of(column, text)
            whole = max(whole, found, key=len)
        elif column.meaning is not None and (number := whole_number(text)) is not None:
            parts[column.meaning] = number
    if whole:
        return whole
    fields = []
    for part in PARTS[:3]:
        if part not in parts:
            break
        fields.append(parts[part])
    return _valid(tuple(fields))


def _fields_of(column: PartitionColumn, text: str) -> tuple[int, ...]:
    pattern = column.projection.pattern if column.projection is not None else None
    if pattern is not None:
        start = pattern.start(text)
        found = (start.year, start.month, start.day) if start is not None else ()
        return found[: len(pattern.units)]
    match = _DATE.fullmatch(text)
    return _valid(tuple(int(group) for group in match.group(1, 3, 4) if group)) if match is not None else ()


def _valid(fields: tuple[int, ...]) -> tuple[int, ...]:
    try:
        date(*(*fields, 1, 1)[:3])
    except (OverflowError, TypeError, ValueError):
        return ()
    return fields
