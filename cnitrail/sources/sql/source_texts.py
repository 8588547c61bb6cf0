"""Messages about a query: before it runs, after it, if it is stopped, and if it finds nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cnitrail.model.table import QueryState
from cnitrail.sources.sql.estimate import scanned_scope
from cnitrail.sources.sql.partition_columns import is_projected
from cnitrail.sources.sql.prices import request_cost, scan_cost
from cnitrail.text import byte_size, clock, counted, dollars, duration, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cnitrail.model import Lost, Scope
    from cnitrail.model.table import EngineOptions, EngineReport, QueryProgress, ScanEstimate
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.engine import QueryResult
    from cnitrail.sources.sql.listed_partitions import ListedPartitions
    from cnitrail.sources.sql.partitions import Pruning

ATHENA: Final = "athena"
"""The engine that charges for what it scans, and keeps the answers of its queries."""

NO_PATHS: Final = (
    'rows have no "$path" (a view, or a connector without files): the log file of a record is not known, and '
    "coverage is known by the times of events, not of deliveries"
)

_NAMED: Final = 3
"""Accounts, Regions or gaps that are named, not counted."""


def of_athena_only(options: EngineOptions) -> str | None:
    """Return which options have no effect for another engine than Athena; None if none of them is given."""
    given = (("--work-group", options.work_group), ("--output-location", options.output_location))
    names = [name for name, value in given if value is not None]
    if not names:
        return None
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} no effect: this is not Athena"


def planned(
    engine: str,
    table: TableDescription,
    pruned: Pruning,
    scope: Scope,
    estimated: ScanEstimate | str,
    listed: ListedPartitions | None = None,
) -> str:
    """Return what a query is going to scan, and what that costs."""
    scanned = scanned_scope(table, pruned.columns, scope)
    what = "; ".join(_scanned(scanned)) or ("some partitions" if pruned.columns else "the whole table")
    what += f"; {_partitions(listed)}" if listed is not None else ""
    what += f" (pruned by {', '.join(pruned.columns)})" if pruned.columns else ""
    if isinstance(estimated, str):
        price = ", at $5 per TB" if engine == ATHENA else ""
        return f"scans {what}{price}; the size is not known: {estimated}"
    if estimated.is_whole and not estimated.files:
        return f"S3 lists no files to scan: {what}"
    return f"scans {size_of(estimated)}{_cost_of(engine, estimated)}: {what}"


def _partitions(listed: ListedPartitions) -> str:
    """Return how many partitions are scanned: ``12 of 400 partitions``."""
    return f"{listed.asked:,} of {counted(listed.total, 'partition')}"


def size_of(estimated: ScanEstimate) -> str:
    """Return a size: ``about 12.3 GB in 41,200 files``."""
    about = "about" if estimated.is_whole else "more than"
    return f"{about} {byte_size(estimated.bytes)} in {counted(estimated.files, 'file')}"


def _cost_of(engine: str, estimated: ScanEstimate) -> str:
    if engine != ATHENA:
        return ""
    cost = scan_cost(estimated.bytes) + request_cost(estimated.files)
    return f", {_about(cost)}" if estimated.is_whole else f", more than {dollars(cost)}"


def done(report: EngineReport, result: QueryResult, uri: str, *, is_resumed: bool) -> str:
    """Return what a query has scanned, how long that took, and what it costs."""
    query = f"query {report.query}"
    again = f"{_resumed(uri, report.query)} with the same options reads the result again without a scan"
    scan = [f"scanned {byte_size(report.scanned_bytes)}"] if report.scanned_bytes is not None else []
    scan += [f"in {_seconds(report.seconds)}"] if report.seconds is not None else []
    scanned = " ".join(scan) or "ended"
    if report.cost_usd is not None:
        scanned += f", {_about(report.cost_usd)}"
    if is_resumed:
        return f"read the result of {query} without a new scan; when it ran, it {scanned}"
    if result.is_reused:
        return f"Athena returned the kept result of an earlier query, and scanned nothing; {query}"
    return f"{scanned}; {again}" if report.engine == ATHENA else f"{query} {scanned}"


def earlier_answer(query: str, submitted: datetime) -> str:
    """Return what the answer of an earlier query cannot have."""
    later = "what was delivered later, or added to the table, is not in its answer"
    return f"query {query} was started at {clock(submitted)}: {later}"


def _resumed(uri: str, query: str) -> str:
    return f"{uri}?query={query}"


def ended_early(engine: str, progress: QueryProgress, uri: str) -> str:
    """Return what became of a query that was stopped, or whose answer was not read to its end."""
    name = engine.capitalize()
    if progress.query is None:
        return f"interrupted while the query was starting; if {name} had started it, it was asked to stop it"
    query = f"query {progress.query}"
    if progress.state is QueryState.FETCHING and engine == ATHENA:
        rows = f" after {counted(progress.rows, 'row')}" if progress.rows else ""
        return (
            f"fetching the result was stopped{rows}; "
            f"{_resumed(uri, progress.query)} with the same options reads it without a new scan"
        )
    asked = f"{name} was asked to stop {query} after {duration(progress.elapsed)}"
    if progress.state is QueryState.QUEUED:
        return f"{asked}, while it was queued"
    if progress.scanned_bytes is None:
        return asked
    billed = f", which is billed ({_about(scan_cost(progress.scanned_bytes))})" if engine == ATHENA else ""
    return f"{asked}; until then it had scanned {byte_size(progress.scanned_bytes)}{billed}"


def not_stopped(engine: str, progress: QueryProgress, uri: str) -> str:
    """Return what became of a query if the program ends before the engine has stopped it."""
    if progress.state is QueryState.FETCHING and engine == ATHENA:
        return ended_early(engine, progress, uri)
    query = "the query" if progress.query is None else f"query {progress.query}"
    how = f": stop it with aws athena stop-query-execution --query-execution-id {progress.query}"
    is_known = engine == ATHENA and progress.query is not None
    return f"ended before {engine.capitalize()} stopped {query}, which may run on{how if is_known else ''}"


def _about(cost: float) -> str:
    amount = dollars(cost)
    return amount if amount.startswith("less") else f"about {amount}"


def _seconds(seconds: float) -> str:
    return duration(timedelta(seconds=seconds)) if seconds >= 10 else f"{seconds:.1f} s"


def _scanned(scope: Scope) -> Iterator[str]:
    """Yield what partitions a scope selects: days of delivery, accounts, Regions."""
    since, until = (
        time.date().isoformat() if time is not None else None for time in (scope.since, scope.until)
    )
    days = f"of {since}" if since is not None and since == until else _span(since, until, "of ")
    if days is not None:
        yield f"log files {days}"
    yield from _places(scope)


def _asked(scope: Scope) -> str:
    """Return what is asked for: times of events, accounts, Regions."""
    since, until = (clock(time) if time is not None else None for time in (scope.since, scope.until))
    span = _span(since, until)
    return "; ".join((*filter(None, (span,)), *_places(scope))) or "any time, account and Region"


def _span(since: str | None, until: str | None, both: str = "") -> str | None:
    """Return a time range: ``since A``, ``until B``, or ``A to B`` after the word for ``both``."""
    if since is not None and until is not None:
        return f"{both}{since} to {until}"
    if since is not None:
        return f"since {since}"
    return f"until {until}" if until is not None else None


def _places(scope: Scope) -> Iterator[str]:
    if scope.accounts:
        yield _few("account", scope.accounts)
    if scope.regions and "all" not in scope.regions:
        yield _few("Region", scope.regions)


def _few(noun: str, names: tuple[str, ...]) -> str:
    return counted(len(names), noun) if len(names) > _NAMED else f"{noun} {', '.join(names)}"


def nothing_found(
    uri: str,
    result: QueryResult,
    table: TableDescription,
    pruned: Pruning,
    scope: Scope,
    estimated: ScanEstimate | None,
    gaps: Iterable[Lost],
    *,
    has_partitions: bool,
) -> tuple[str, str]:
    """Return the message and the hint for a result without any row: the likely reasons, in their order.

    ``gaps`` are what the table is known to lack. ``has_partitions`` is whether it is known to have partitions
    of what was asked for.
    """
    by = f", limited by partition column {', '.join(pruned.columns)}" if pruned.columns else ""
    scanned = f", which scanned {byte_size(result.scanned_bytes)}" if result.scanned_bytes is not None else ""
    message = (
        f"{uri}: no record of any kind ({_asked(scope)}{by}) in the result of query {result.query}{scanned}"
    )
    missing = [*dict.fromkeys(gap.what for gap in gaps)]
    more = [f"{len(missing) - _NAMED:,} more such gaps"] if len(missing) > _NAMED else []
    reasons = (*missing[:_NAMED], *more, *_reasons(table, estimated, has_partitions=has_partitions))
    numbered = "; ".join(f"{number}) {text}" for number, text in enumerate(reasons, 1))
    return message, f"the table may lack it: {numbered}; see docs/athena.md"


def no_partition(engine: str, uri: str, total: int, table: TableDescription, scope: Scope) -> tuple[str, str]:
    """Return the message and the hint if a table has no partition of what is asked for."""
    columns = ", ".join(table.partition_columns)
    has = "its only partition is not for this" if total == 1 else "it has no partitions"
    if total > 1:
        has = f"none of its {counted(total, 'partition')} is for this"
    how = "ALTER TABLE ADD PARTITION, MSCK REPAIR TABLE or partition projection"
    if engine != ATHENA:
        how = "CALL CATALOG.system.sync_partition_metadata('SCHEMA', 'TABLE', 'ADD')"
    return (
        f"{uri}: {has} ({_asked(scope)}); it is partitioned by {columns}, and no query was started",
        f"add partitions with {how}, or ask for another time, account or Region; see docs/athena.md",
    )


def _reasons(
    table: TableDescription, estimated: ScanEstimate | None, *, has_partitions: bool
) -> Iterator[str]:
    """Yield why a table may have no record of what was asked for, the most likely reason first."""
    if estimated is not None and estimated.is_whole and not estimated.files:
        yield "S3 lists no log files there: the trail did not deliver any, or they were deleted"
    if is_projected(table):
        yield "the values and ranges of its partition projection (projection.* in TBLPROPERTIES) exclude it"
    elif table.partition_columns and not has_partitions:
        yield (
            "the partitions were never added: see SHOW PARTITIONS, then use ALTER TABLE ADD PARTITION, "
            "MSCK REPAIR TABLE or partition projection"
        )
    location = table.properties.get("storage.location.template") or table.location
    where = f" ({location})" if location else ""
    yield f"its LOCATION{where} has other accounts, Regions or times"
    yield "Lake Formation hides rows from you (data filters)"
