"""Which partitions of a table are asked for: conditions on its partition columns.

Each column is compared by itself with constants: all engines and catalogs prune by that. Values that are
not recognized stay in: more may be read than was asked for, never less.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.errors import UsageError
from cnitrail.sources.layout import delivered_from, delivered_until
from cnitrail.sources.sql.date_conditions import (
    MAX_VALUES,
    Period,
    date_condition,
    day_text,
    or_null,
    part_conditions,
)
from cnitrail.sources.sql.expressions import identifier, listed_literals
from cnitrail.sources.sql.partition_columns import PARTS, Meaning, PartitionColumn, partition_columns
from cnitrail.sources.sql.shapes import is_ocsf
from cnitrail.sources.sql.table_limits import known_values, limits
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import Lost, Scope
    from cnitrail.sources.sql.description import TableDescription


class Pruning(Struct, frozen=True, kw_only=True):
    """Conditions on partition columns: ``conditions`` are SQL, all of them must hold.

    ``columns`` are the partition columns that limit what is scanned. ``gaps`` are accounts, Regions and
    times that the table's properties exclude although they were asked for. ``notes`` name other limits, and
    the partition columns that are not understood. ``excludes_all`` is whether a query would return nothing,
    because no account, no Region or no day of those asked for is in the table.
    """

    conditions: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    gaps: tuple[Lost, ...] = ()
    notes: tuple[str, ...] = ()
    excludes_all: bool = False


def pruning(table: TableDescription, scope: Scope, now: datetime | None = None) -> Pruning:
    """Return the conditions by which a table's partitions are pruned for what is asked for.

    ``now`` is the time until which a table is read if there is no other end (default: the current time).
    Raises ``UsageError`` if the table cannot be read without an option that is not given.
    """
    now = now or datetime.now(UTC)
    columns = partition_columns(table)
    conditions: list[tuple[str, tuple[str, ...]]] = []
    is_of_events = is_ocsf(table)
    period = _period(scope, now, is_of_events=is_of_events)
    parts = [column for column in columns if column.meaning in PARTS]
    for column in columns:
        if column.is_injected:
            _check_injected(column, scope)
        condition = _condition(column, scope, period)
        if condition:
            conditions.append((condition, (column.name,)))
    conditions += part_conditions(parts, period)
    if is_of_events:
        conditions += _of_columns(table, scope, period)
    found = limits(table, columns, scope, now)
    return Pruning(
        conditions=tuple(condition for condition, _ in conditions),
        columns=tuple(dict.fromkeys(name for _, names in conditions for name in names)),
        gaps=found.gaps,
        notes=(*_not_understood(columns), *found.notes),
        excludes_all=found.excludes_all,
    )


def _period(scope: Scope, now: datetime, *, is_of_events: bool) -> Period:
    """Return the time by which partitions are selected: of the delivery of log files, or of events."""
    first = last = None
    if scope.since is not None:
        first = delivered_from(scope.since)
    if scope.until is not None:
        lag = timedelta() if is_of_events else scope.delivery_lag
        last = delivered_until(scope.until, lag)
    if scope.into:  # whole days, so that their counts can be replaced
        first = first and datetime.combine(first.date(), time.min, UTC)
        last = last and datetime.combine(last.date(), time.max, UTC)
    # the clock of this machine may be wrong, and since may be later than it
    return Period(first, last, max(shifted(now, timedelta(days=1)), first or now))


def _condition(column: PartitionColumn, scope: Scope, period: Period) -> str | None:
    """Return the condition on a column by itself; None if there is none."""
    if column.meaning is Meaning.ACCOUNT and scope.accounts:
        return _one_of(column, scope.accounts)
    if column.meaning is Meaning.REGION and scope.regions and "all" not in scope.regions:
        return _one_of(column, scope.regions)
    return date_condition(column, period) if column.meaning is Meaning.DATE else None


def _one_of(column: PartitionColumn, asked: Sequence[str]) -> str | None:
    """Return the condition that an account or Region is asked for."""
    name = identifier(column.name)
    if column.type.is_integer:
        numbers = sorted({int(text) for text in asked if text.isdecimal()})
        return or_null(column, f"{name} IN ({', '.join(map(str, numbers))})") if numbers else None
    if not column.type.is_text:
        return None
    known = known_values(column)
    if known is not None:
        wanted = {text.lower() for text in asked}
        stored = [value for value, meant in known if meant is None or meant in wanted]
        if len(stored) > max(MAX_VALUES, len(asked)):  # a statement has at most 262,144 bytes
            return None
        # none of them: any value will do, the answer is empty
        return f"{name} IN ({listed_literals(stored or asked)})"
    texts = dict.fromkeys(asked)
    if column.projection is None:  # a copy made from numbers has no leading zeros
        texts |= dict.fromkeys(text.lstrip("0") for text in asked)
    return or_null(column, f"{name} IN ({listed_literals(texts)})")


def _of_columns(
    table: TableDescription, scope: Scope, period: Period
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield conditions on columns by which Iceberg partitions an OCSF table without showing it."""
    columns = {name: kind for name, kind in table.columns.items() if name not in table.partition_columns}
    for name, asked in (("accountid", scope.accounts), ("region", scope.regions)):
        if asked and "all" not in asked and name in columns and columns[name].is_text:
            yield f'("{name}" IS NULL OR "{name}" IN ({listed_literals(asked)}))', (name,)
    for name in ("time_dt", "time"):
        kind = columns[name].name if name in columns else ""
        bounds = []
        for sign, bound in ((">=", period.first), ("<=", period.last)):
            if bound is None:
                continue
            if kind.startswith("timestamp"):
                zone = " UTC" if kind.endswith("with time zone") else ""
                clock = f"{bound:%H:%M:%S.%f}"
                bounds.append(f"\"{name}\" {sign} TIMESTAMP '{day_text(bound, '-')} {clock}{zone}'")
            elif kind == "bigint":
                bounds.append(f'"{name}" {sign} {_milliseconds(bound)}')
        if bounds:
            yield f'("{name}" IS NULL OR {" AND ".join(bounds)})', (name,)
            return


def _milliseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _check_injected(column: PartitionColumn, scope: Scope) -> None:
    """Raise ``UsageError`` if Athena would refuse the query because a column's values are not named."""
    if column.meaning is Meaning.ACCOUNT:
        is_named, hint = bool(scope.accounts), "give --account"
    elif column.meaning is Meaning.REGION:
        is_named = bool(scope.regions) and "all" not in scope.regions
        hint = "give --region"
    elif column.meaning in (Meaning.DATE, *PARTS):
        is_named = scope.since is not None and scope.until is not None
        hint = "give --since and --until"
    else:
        is_named, hint = False, "use a table without such a column (docs/athena.md has the DDL)"
    if not is_named:
        raise UsageError(
            f"the table's column {column.name} is injected: Athena needs its values in the query", hint
        )


def _not_understood(columns: Iterable[PartitionColumn]) -> Iterator[str]:
    """Yield a note for each partition column that does not limit what is scanned."""
    for column in columns:
        if column.meaning is None or column.meaning is Meaning.ORGANIZATION:
            yield f"partition column {column.name} does not limit what is scanned: its meaning is not known"
