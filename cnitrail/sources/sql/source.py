"""A CloudTrail table as a source: described, asked with one statement, and delivered in parts."""

from __future__ import annotations

import time
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from cnitrail.debuglog import debug
from cnitrail.errors import EmptySourceError, SourceError, UsageError
from cnitrail.model import HoleReason, Lost, Note
from cnitrail.model.table import EngineReport, QueryProgress, QueryState, ScanEstimate
from cnitrail.sources.sql import source_texts as texts
from cnitrail.sources.sql.answer import parts
from cnitrail.sources.sql.estimate import estimate
from cnitrail.sources.sql.listed_partitions import listed_partitions
from cnitrail.sources.sql.partitions import pruning
from cnitrail.sources.sql.prices import scan_cost
from cnitrail.sources.sql.scope_conditions import scope_conditions
from cnitrail.sources.sql.shapes import losses, shape_of
from cnitrail.sources.sql.statement import statement

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from cnitrail.model import Scope
    from cnitrail.model.table import TablePart
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.engine import Cells, Engine, QueryResult
    from cnitrail.sources.sql.listed_partitions import ListedPartitions
    from cnitrail.sources.sql.partitions import Pruning
    from cnitrail.sources.sql.shapes import Shape
    from cnitrail.sources.sql.statement import TableQuery

MAX_ROWS: Final = 2_000_000
"""Rows of an answer that are fetched at most: relevant events take about 2 kB of memory."""

_BATCH: Final = 1000
"""Rows between two reports of progress."""


class TableSource:
    """A table in a query engine: the records that may be relevant, and counts of all others.

    ``is_resumed``: the query has run before, and only its answer is read. Raises ``SourceError`` if the table
    cannot be read, and ``EmptySourceError`` if it has nothing of what was asked for. The query is stopped if
    ``documents`` is closed, or fails, before its end.
    """

    def __init__(self, engine: Engine, scope: Scope, *, is_resumed: bool = False) -> None:
        self.uri = engine.uri
        self.found = 0
        """Number of parts that came."""
        self.ended_early: str | None = None
        """What became of the query if reading ended before its end."""
        self._engine = engine
        self._scope = scope
        self._is_resumed = is_resumed
        self._progress: QueryProgress | None = None

    @property
    def is_running(self) -> bool:
        """Whether the query was begun, and its rows are not fetched yet."""
        return self._progress is not None and self._progress.state is not QueryState.FETCHING

    def documents(self) -> Iterator[TablePart | QueryProgress | EngineReport | Lost | Note]:
        """Yield notes, the progress of the query, the parts of its answer, and a report at the end."""
        is_read = False
        try:
            yield from self._read()
            is_read = True
        finally:
            if not is_read:
                self._stop()
            self._engine.close()

    def _read(self) -> Iterator[TablePart | QueryProgress | EngineReport | Lost | Note]:
        """Yield notes on the query before it runs, its progress, its answer in parts, and its report."""
        engine, scope = self._engine, self._scope
        table = engine.describe()
        shape = shape_of(table, self.uri)
        pruned = pruning(table, scope)
        self._check_any(pruned)
        listed = yield from self._listed(table)
        gaps = (*pruned.gaps, *(listed.gaps if listed is not None else ()))
        yield from (Note(self.uri, text) for text in pruned.notes)
        yield from self._noted(gaps)
        estimated = None if self._is_resumed else (yield from self._estimate(table, pruned))
        self._check_pruning(table, pruned, estimated)
        lost = losses(shape, table)
        if scope.into:  # no answer follows that states it
            yield from (Note(self.uri, text) for text in lost)
        if engine.name != texts.ATHENA and (unused := texts.of_athena_only(scope.engine)) is not None:
            yield Note(self.uri, unused)
        if not table.has_paths:
            yield Note(self.uri, texts.NO_PATHS)
        if estimated is not None:
            yield Note(self.uri, texts.planned(engine.name, table, pruned, scope, estimated, listed))
        query = self._query(shape, table, pruned)
        known = estimated if isinstance(estimated, ScanEstimate) else None
        yield from self._run(query.text, known)
        yield from gaps
        result = engine.result()
        if self._is_resumed:
            later = tuple(self._later(result))
            yield from self._noted(later)
            yield from later
        debug(__name__, "query %s: %s rows, %s bytes", result.query, result.rows, result.scanned_bytes)
        yield from self._parts(result, table, shape, query)
        result = engine.result()
        if not self.found:
            has_partitions = listed is not None
            raise EmptySourceError(
                *texts.nothing_found(
                    self.uri, result, table, pruned, scope, known, gaps, has_partitions=has_partitions
                )
            )
        report = self._report(result, table, shape, pruned, known, lost)
        yield Note(self.uri, texts.done(report, result, self.uri, is_resumed=self._is_resumed))
        yield report

    def _check_any(self, pruned: Pruning) -> None:
        """Raise ``EmptySourceError`` if a query would return nothing: it costs something."""
        if pruned.excludes_all:
            reasons = "; ".join(dict.fromkeys(gap.what for gap in pruned.gaps))
            raise EmptySourceError(
                f"{self.uri}: {reasons}", "use another table, or ask for what this one has"
            )

    def _listed(self, table: TableDescription) -> Generator[Note, None, ListedPartitions | None]:
        """Return what a catalog lists of the table's partitions; None if it does not, or that is not known.

        Raises ``EmptySourceError`` if a query would read none of them.
        """
        listed = listed_partitions(self._engine, table, self._scope)
        if isinstance(listed, str):
            yield Note(self.uri, f"whether partitions are missing was not checked: {listed}")
            return None
        if listed is not None and not listed.asked and not self._is_resumed:
            raise EmptySourceError(
                *texts.no_partition(self._engine.name, self.uri, listed.total, table, self._scope)
            )
        return listed

    def _query(self, shape: Shape, table: TableDescription, pruned: Pruning) -> TableQuery:
        """Return the statement for the table."""
        calls = self._scope.relevant_calls
        assert calls is not None
        query = statement(
            shape,
            table,
            self._engine.table,
            calls,
            pruning=pruned.conditions,
            files=scope_conditions(self._scope),
            has_paths=table.has_paths,
        )
        debug(__name__, "statement: %s", " ".join(query.text.split()))
        return query

    def _noted(self, gaps: tuple[Lost, ...]) -> Iterator[Note]:
        """Yield a note for each gap if a store is filled: no answer follows that states it."""
        if self._scope.into:
            yield from (Note(self.uri, text) for text in dict.fromkeys(gap.what for gap in gaps))

    def _later(self, result: QueryResult) -> Iterator[Lost]:
        """Yield the time that the answer of an earlier query cannot have."""
        until = self._scope.until
        if result.submitted is None or (until is not None and until <= result.submitted):
            return
        yield Lost(
            account=None,
            region=None,
            start=result.submitted,
            end=until,
            reason=HoleReason.NOT_IN_TABLE,
            what=texts.earlier_answer(result.query, result.submitted),
        )

    def _estimate(
        self, table: TableDescription, pruned: Pruning
    ) -> Generator[QueryProgress, None, ScanEstimate | str]:
        """Return what the query is going to scan, or why that is not known; yields how many files so far."""
        begun = time.monotonic()
        listing = estimate(table, pruned, self._scope)
        while True:
            try:
                files = next(listing)
            except StopIteration as end:
                found: ScanEstimate | str = end.value
                return found
            elapsed = timedelta(seconds=time.monotonic() - begun)
            yield QueryProgress(state=QueryState.LISTING, query=None, elapsed=elapsed, rows=files)

    def _check_pruning(
        self, table: TableDescription, pruned: Pruning, estimated: ScanEstimate | str | None
    ) -> None:
        """Raise ``UsageError`` if a partitioned table would be scanned as a whole."""
        is_limited = bool(pruned.columns) or self._scope.engine.max_scan is not None or self._is_resumed
        if table.partition_columns and not is_limited:
            size = f" ({texts.size_of(estimated)})" if isinstance(estimated, ScanEstimate) else ""
            raise UsageError(
                f"{self.uri}: nothing limits what is scanned{size}, "
                f"and the table is partitioned by {', '.join(table.partition_columns)}",
                "add --since, --last, --account or --region; or --max-scan SIZE to scan up to SIZE",
            )

    def _run(self, text: str, estimated: ScanEstimate | None) -> Iterator[QueryProgress | Note]:
        """Run the query, and yield its progress."""
        self._progress = QueryProgress(state=QueryState.QUEUED, query=None, elapsed=timedelta())
        yield self._progress
        size = estimated.bytes if estimated is not None and estimated.is_whole else None
        for progress in self._engine.run(text):
            if isinstance(progress, Note):
                yield progress
                continue
            if progress.query != self._progress.query:
                debug(__name__, "query %s", progress.query)
            self._progress = replace(progress, estimated_bytes=size)
            yield self._progress

    def _parts(
        self, result: QueryResult, table: TableDescription, shape: Shape, query: TableQuery
    ) -> Iterator[TablePart | QueryProgress]:
        """Yield the parts of the answer, and how many rows were fetched. Raises ``SourceError``."""
        if result.rows is not None and result.rows > MAX_ROWS:
            raise self._too_many(result, f"{result.rows:,} rows")
        assert self._progress is not None
        reported = self._progress = replace(
            self._progress, state=QueryState.FETCHING, query=result.query, total_rows=result.rows
        )
        yield reported
        records = 0
        try:
            for part in parts(self._rows(result), _marked(self.uri, table), result.query, shape, query.cells):
                self.found += 1
                records += sum(row.copies for row in part.rows)
                if records > MAX_ROWS:
                    raise self._too_many(result, f"rows of more than {MAX_ROWS:,} records")
                yield part
                if self._progress.rows - reported.rows >= _BATCH:
                    reported = self._progress
                    yield reported
        except ValueError as error:
            raise SourceError(
                f"{self.uri}: the result of query {result.query} is not as expected ({error})",
                "run the command again" + (", without ?query=" if self._is_resumed else ""),
            ) from None

    def _rows(self, result: QueryResult) -> Iterator[Cells]:
        """Yield the rows of the answer, and count them. Raises ``SourceError`` if there are too many."""
        for number, row in enumerate(self._engine.rows(), 1):
            if number > MAX_ROWS:
                raise self._too_many(result, f"more than {MAX_ROWS:,} rows")
            if number % _BATCH == 0:
                assert self._progress is not None
                self._progress = replace(self._progress, rows=number)
            yield row

    def _too_many(self, result: QueryResult, number: str) -> SourceError:
        return SourceError(
            f"{self.uri}: the result of query {result.query} has {number}; the most that cnitrail reads "
            f"are {MAX_ROWS:,}, as each takes memory",
            "ask for less with --since, --until, --account or --region; or collect shorter times into one "
            "store (cnitrail collect --to FILE.db)",
        )

    def _report(
        self,
        result: QueryResult,
        table: TableDescription,
        shape: Shape,
        pruned: Pruning,
        estimated: ScanEstimate | None,
        lost: tuple[str, ...],
    ) -> EngineReport:
        is_billed = self._engine.name == texts.ATHENA and result.scanned_bytes is not None
        return EngineReport(
            engine=self._engine.name,
            query=result.query,
            table=self._engine.table,
            shape=shape.value,
            is_partitioned=bool(table.partition_columns),
            pruned_by=pruned.columns,
            scanned_bytes=result.scanned_bytes,
            seconds=result.seconds,
            cost_usd=scan_cost(result.scanned_bytes or 0, is_reused=result.is_reused) if is_billed else None,
            estimated_files=estimated.files if estimated else None,
            estimated_bytes=estimated.bytes if estimated else None,
            losses=lost,
        )

    def _stop(self) -> None:
        """Stop the query, if it was begun and still runs: it is paid for."""
        if self._progress is not None:
            self.ended_early = texts.not_stopped(self._engine.name, self._progress, self.uri)
            self._engine.stop()  # a second Ctrl-C ends it early
            self.ended_early = texts.ended_early(self._engine.name, self._progress, self.uri)


def _marked(uri: str, table: TableDescription) -> str:
    """Return a table's URI with a mark of its location, which differs in other accounts and Regions."""
    location = table.properties.get("storage.location.template") or table.location
    if not location:
        return uri
    return f"{uri}@{sha256(location.removesuffix('/').encode()).hexdigest()[:8]}"
