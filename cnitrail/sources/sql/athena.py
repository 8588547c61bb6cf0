"""Amazon Athena: ``athena://[CATALOG/]DATABASE.TABLE[?query=ID]``, with boto3.

The client's Region is that of the profile or the environment; ``--region`` selects events.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from cnitrail.errors import SourceError, UsageError
from cnitrail.model import Note
from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.aws import AwsFailure, code_of, is_access_denied
from cnitrail.sources.rate_limit import SystemClock
from cnitrail.sources.sql.athena_calls import MAX_MESSAGE, AthenaCalls, message_of
from cnitrail.sources.sql.athena_catalog import AthenaCatalog
from cnitrail.sources.sql.athena_causes import cause_of
from cnitrail.sources.sql.athena_execution import Execution, execution_of
from cnitrail.sources.sql.athena_uri import parse_uri
from cnitrail.sources.sql.engine import QueryResult
from cnitrail.sources.sql.expressions import identifier
from cnitrail.sources.sql.same_query import check_same
from cnitrail.sources.sql.statement import ANSWER
from cnitrail.text import byte_size, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from cnitrail.model import Scope
    from cnitrail.sources.rate_limit import Clock
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.engine import Cells, Partition

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_STATEMENT: Final = 262_144
"""Maximum bytes of a statement: StartQueryExecution's QueryString."""

MAX_STARTS: Final = 4
"""How often a query is started if Athena says that its failure may pass: once, and three times again."""

_FIRST_PAUSE: Final = 0.2
_LAST_PAUSE: Final = 2.0
_PAUSE_GROWTH: Final = 1.5
"""Seconds between two looks at a query; they grow, as a long query needs no quick answer."""

_RESTART_PAUSE: Final = 5.0
"""Seconds before a failed query is started again; twice as many before each further time."""

_RESTART_WITHIN: Final = 600.0
"""Seconds after which a query that fails is not started again: it would take as long once more."""

_STOP_TIMEOUT: Final = 10.0
"""Seconds that ``stop`` waits for Athena's answer."""

_PAGE: Final = 1000
"""Rows of a page of results, the most that GetQueryResults gives."""


_UNKNOWN: Final = (
    "run the command again; if it fails again, look for the message in Athena's troubleshooting guide, or "
    "read the bucket with s3://"
)
"""The hint for a reason that is not in ``athena_causes``."""

_GONE: Final = re.compile(r"not found|could not find|not exist|expired|no longer", re.IGNORECASE)


_START_REFUSED: Final = "needs-retry.athena.StartQueryExecution"
"""The event of botocore that decides whether a start is tried again."""


class _CrowdedError(Exception):
    """Athena starts no query now, because too many run or wait."""


class AthenaEngine:
    """One table in Athena, and one query at a time. AWS is called first by ``describe`` or ``run``."""

    name = "athena"

    def __init__(self, uri: str, scope: Scope, clock: Clock | None = None) -> None:
        self._table = parse_uri(uri)
        self._scope = scope
        self._clock = clock or SystemClock()
        self._calls = AthenaCalls(self._table, scope)
        self._catalog = AthenaCatalog(self._table, scope, self._calls, self._clock)
        self._execution: Execution | None = None
        self._rows: int | None = None
        self._unfinished: str | None = None
        """The ID of a query that may still run, and that ``close`` has to stop."""
        self._starting: Mapping[str, Any] | None = None
        """The request for a query whose ID has not come yet."""
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        location = scope.engine.output_location
        if location is not None and not re.fullmatch(r"s3://[^/\s]+(?:/\S*)?", location):
            raise UsageError(f"--output-location {location}: not a location on S3", "use s3://BUCKET/PREFIX/")

    @property
    def uri(self) -> str:
        """The table, without a query's ID."""
        return self._table.uri

    @property
    def table(self) -> str:
        """The table as statements name it; its catalog is in the context of the query.

        A catalog such as ``s3tablescatalog/BUCKET`` may not be a part of the name:
        https://docs.aws.amazon.com/athena/latest/ug/gdc-register-s3-table-bucket-cat.html.
        """
        return f"{identifier(self._table.database)}.{identifier(self._table.table)}"

    def describe(self) -> TableDescription:
        """Return the table's columns and properties."""
        return self._catalog.describe()

    def partitions(self) -> tuple[Partition, ...] | str:
        """Return all partitions of the table as Glue lists them, or why they are not known."""
        return self._catalog.partitions()

    def run(self, statement: str) -> Iterator[QueryProgress | Note]:
        """Run a statement, or attach to the query that the URI names; return when its answer is there."""
        begin = self._clock.now()
        if self._table.query is not None:
            execution = yield from self._attach(self._table.query, statement, begin)
        else:
            execution = yield from self._start_until_ended(statement, begin)
        self._execution = execution
        self._rows = self._output_rows(execution.query)
        yield self._progress(execution, begin, rows=self._rows)

    def _attach(self, query: str, statement: str, begin: float) -> Generator[QueryProgress, None, Execution]:
        """Wait for a query that was started earlier. Raises ``SourceError`` if it asks something else."""
        execution = self._look(query)
        place = f"{self.uri}: Athena query {query}"
        if execution.catalog.lower() != self._table.catalog.lower():
            raise SourceError(
                f"{place} ran in another catalog: {execution.catalog}",
                "name the table that it read, or run the command without ?query= to scan again",
            )
        check_same(execution.statement, statement, self.table, place)
        if not execution.has_ended:
            self._unfinished = query
            execution = yield from self._wait(query, begin)
        if execution.state != "SUCCEEDED":
            raise self._ended_badly(execution, starts=1)
        return execution

    def _start_until_ended(
        self, statement: str, begin: float
    ) -> Generator[QueryProgress | Note, None, Execution]:
        """Start a query; start it again if it fails for a reason that may pass."""
        size = len(statement.encode())
        if size > MAX_STATEMENT:
            raise SourceError(
                f"{self.uri}: the statement has {size:,} bytes, and Athena allows {MAX_STATEMENT:,}",
                "name fewer accounts, Regions or days in one command",
            )
        pause = _RESTART_PAUSE
        for start in range(1, MAX_STARTS + 1):
            query = yield from self._start(statement)
            execution = yield from self._wait(query, begin)
            if execution.state == "SUCCEEDED":
                return execution
            is_late = self._clock.now() - begin > _RESTART_WITHIN
            if execution.state != "FAILED" or not execution.is_retryable or is_late or start == MAX_STARTS:
                break
            _LOG.info("%s: query %s failed, and is started again", self.uri, execution.query)
            yield self._progress(execution, begin)
            self._clock.wait_until(self._clock.now() + pause)
            pause *= 2
        raise self._ended_badly(execution, starts=start)

    def _start(self, statement: str) -> Generator[Note, None, str]:
        """Start a query and return its ID; yield a note if that has to wait.

        An earlier answer is never reused: it may lack what came since.
        """
        options, table = self._scope.engine, self._table
        asked = {
            "QueryString": statement,
            "ClientRequestToken": str(uuid4()),
            "QueryExecutionContext": {"Catalog": table.catalog, "Database": table.database},
            **({"WorkGroup": options.work_group} if options.work_group is not None else {}),
            **(
                {"ResultConfiguration": {"OutputLocation": options.output_location}}
                if options.output_location is not None
                else {}
            ),
        }
        if self._stopping.is_set():
            raise SourceError(f"{self.uri}: interrupted before a query was started")
        self._starting = asked
        try:
            query = yield from self._started(asked)
        except SourceError:
            self._starting = None
            raise
        self._unfinished, self._starting = query, None
        _LOG.debug("%s: started query %s", self.uri, query)
        return query

    def _started(self, asked: Mapping[str, Any]) -> Generator[Note, None, str]:
        """Return the ID of a query that was started; yield a note if Athena starts none for now."""

        def start() -> str:
            return self._calls.call(lambda: self._start_or_find(asked), "athena:StartQueryExecution")

        try:
            with _raised_if_crowded(self._client):
                return start()
        except _CrowdedError:
            yield Note(self.uri, "waiting: too many queries run in this account and Region")
            return start()

    def _start_or_find(self, asked: Mapping[str, Any]) -> str:
        """Return the ID of a query; a second request with the same ClientRequestToken starts no other one."""
        return str(self._client.start_query_execution(**asked)["QueryExecutionId"])

    def _wait(self, query: str, begin: float) -> Generator[QueryProgress, None, Execution]:
        """Yield the progress of a query until it has ended."""
        pause, limit = _FIRST_PAUSE, self._scope.engine.max_scan
        while True:
            execution = self._look(query)
            if execution.has_ended:
                self._unfinished = None
                return execution
            if limit is not None and execution.scanned_bytes > limit:
                execution = self._stop_and_look(execution)
                if execution.state != "SUCCEEDED":
                    raise self._scanned_too_much(execution, limit)
                return execution  # just in time, and paid for
            yield self._progress(execution, begin)
            if self._stopping.is_set():
                self.stop()
                raise SourceError(
                    f"{self.uri}: Athena query {query} was interrupted after it had scanned "
                    f"{byte_size(execution.scanned_bytes)}, which AWS bills",
                    None if self._stopped.is_set() else f"it could not be stopped: {_stop_command(query)}",
                )
            self._clock.wait_until(self._clock.now() + pause)
            pause = min(pause * _PAUSE_GROWTH, _LAST_PAUSE)

    def _look(self, query: str) -> Execution:
        """Return how far a query is."""
        return self._call(
            lambda: execution_of(
                self._client.get_query_execution(QueryExecutionId=query)["QueryExecution"], query
            ),
            "athena:GetQueryExecution",
            query,
        )

    def _progress(self, execution: Execution, begin: float, rows: int | None = None) -> QueryProgress:
        states = {"RUNNING": QueryState.RUNNING, "SUCCEEDED": QueryState.FETCHING}
        return QueryProgress(
            state=states.get(execution.state, QueryState.QUEUED),
            query=execution.query,
            elapsed=timedelta(seconds=self._clock.now() - begin),
            scanned_bytes=execution.scanned_bytes,
            total_rows=rows,
        )

    def _output_rows(self, query: str) -> int | None:
        """Return the number of rows of an answer; None if GetQueryRuntimeStatistics does not say it."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        try:
            with parser_errors_raised():
                answer = self._client.get_query_runtime_statistics(QueryExecutionId=query)
                return int(answer["QueryRuntimeStatistics"]["Rows"]["OutputRows"])
        except (BotoCoreError, ClientError) as error:
            _LOG.debug("%s: the number of rows is not known: %s", self.uri, error)
            return None

    def result(self) -> QueryResult:
        """Return the query that ``run`` has ended."""
        execution = self._execution
        assert execution is not None, "run has not ended"
        return QueryResult(
            query=execution.query,
            statement=execution.statement,
            rows=self._rows,
            scanned_bytes=execution.scanned_bytes,
            seconds=execution.seconds,
            is_reused=execution.is_reused,
            submitted=execution.submitted,
        )

    def rows(self) -> Iterator[Cells]:
        """Yield the rows of the answer, in its order, page by page."""
        query = self.result().query
        paginator = self._client.get_paginator("get_query_results")
        pages = iter(paginator.paginate(QueryExecutionId=query, PaginationConfig={"PageSize": _PAGE}))
        is_first = True
        while (page := self._page(pages, query)) is not None:
            # the first row of the first page has the names of the columns
            yield from page[1:] if is_first and page[:1] == [ANSWER] else page
            is_first = False

    def _page(self, pages: Iterator[Mapping[str, Any]], query: str) -> list[Cells] | None:
        """Return the next page of an answer; None after the last one."""

        def fetch() -> list[Cells] | None:
            page = next(pages, None)
            return None if page is None else [_cells(row) for row in page["ResultSet"].get("Rows") or ()]

        return self._call(fetch, "athena:GetQueryResults", query)

    def stop(self) -> None:
        """Stop the query, if it still runs. Never raises; a signal handler may call this.

        Another thread makes the call: the one that was interrupted may hold locks of the client.
        """
        self._stopping.set()
        query, self._unfinished = self._unfinished, None
        starting, self._starting = self._starting, None
        if query is None and starting is None:
            return
        thread = threading.Thread(target=self._request_stop, args=(query, starting), daemon=True)
        thread.start()
        thread.join(_STOP_TIMEOUT)

    def _request_stop(self, query: str | None, starting: Mapping[str, Any] | None) -> None:
        try:
            if query is None and starting is not None:
                query = self._start_or_find(starting)
            self._client.stop_query_execution(QueryExecutionId=query)
        except Exception as error:  # noqa: BLE001  # nothing can be done about it
            _LOG.debug("%s: query %s could not be stopped: %s", self.uri, query, error)
        else:
            self._stopped.set()

    def close(self) -> None:
        """Stop a query whose answer nobody waits for any more, and close connections."""
        if self._unfinished is not None or self._starting is not None:
            self.stop()
        self._calls.close()

    @property
    def _client(self) -> Any:
        return self._calls.client("athena")

    def _call(self, call: Callable[[], _T], action: str, query: str) -> _T:
        """Return what a call about a query returns. Raises ``SourceError``, which says how to go on."""
        return self._calls.call(
            call, action, lambda failure, error: self._lost_contact(failure, error, query)
        )

    def _lost_contact(self, failure: AwsFailure, error: Exception, query: str) -> SourceError:
        """Return the error for a call about a query that failed."""
        resume = f"{self.uri}?query={query}"
        place = f"{self.uri}: Athena query {query}"
        if code_of(error) == "InvalidRequestException" and _GONE.search(str(error)):
            return SourceError(
                f"{place}: Athena does not have it, or no longer has its results ({message_of(error)})",
                "Athena keeps queries for 45 days and managed results for 24 hours, in the Region where they "
                "ran; run the command without ?query= to scan again",
            )
        if is_access_denied(error) and self._unfinished is not None:
            return SourceError(f"{place}: {failure.reason}", failure.hint)
        is_running = self._unfinished is not None
        self._unfinished = None  # so that close does not stop it
        hint = (
            f"{failure.hint or 'try again'}; then continue with '{resume}', the same options, and fixed "
            "times instead of ages such as 2h: the query is not lost"
        )
        if is_running and self._scope.engine.max_scan is not None:
            hint += f"; --max-scan no longer limits it: {_stop_command(query)}"
        return SourceError(f"{place}: {failure.reason}", hint)

    def _stop_and_look(self, execution: Execution) -> Execution:
        """Stop a query, and return what is known of it then."""
        self.stop()
        if not self._stopped.is_set():
            return execution
        try:
            return self._look(execution.query)
        except SourceError as error:
            _LOG.debug("%s", error.message)
            return execution

    def _scanned_too_much(self, execution: Execution, limit: int) -> SourceError:
        """Return the error for a query that was stopped at the limit."""
        is_stopped = self._stopped.is_set()
        end = "was stopped" if is_stopped else "could not be stopped"
        hint = "" if is_stopped else f"{_stop_command(execution.query)}; "
        return SourceError(
            f"{self.uri}: Athena query {execution.query} {end}: it had scanned "
            f"{byte_size(execution.scanned_bytes)}, more than --max-scan {byte_size(limit)}; "
            "AWS bills what was scanned",
            f"{hint}ask for less with --since, --until, --account and --region, or raise --max-scan",
        )

    def _ended_badly(self, execution: Execution, starts: int) -> SourceError:
        """Return the error for a query that failed, or was cancelled."""
        cause = cause_of(execution.reason)
        what = f"{self.uri}: Athena query {execution.query} "
        if execution.state == "CANCELLED" and cause is None:
            by = "was interrupted" if self._stopping.is_set() else "was cancelled, but not by this command"
            said = f" ({shortened(execution.reason, MAX_MESSAGE)})" if execution.reason else ""
            return SourceError(
                f"{what}{by}, after it had scanned {byte_size(execution.scanned_bytes)}{said}",
                "run the command again" + (", without ?query=" if self._table.query is not None else ""),
            )
        end = "was cancelled" if execution.state == "CANCELLED" else "failed"
        often = f", the last of {starts} that were started" if starts > 1 else ""
        hint = self._calls.completed(cause.hint) if cause is not None else _UNKNOWN
        if self._table.query is not None:
            hint += "; then run the command without ?query="
        reason = shortened(execution.reason or "none", MAX_MESSAGE)
        why = f"{cause.reason}: {reason}" if cause is not None else reason
        return SourceError(f"{what}{end}{often}: {why}", hint)


@contextmanager
def _raised_if_crowded(client: Any) -> Iterator[None]:
    """Raise ``_CrowdedError`` if Athena refuses a start for now, before the client retries it in silence."""

    def check(response: tuple[object, Mapping[str, Any]] | None, **_: object) -> None:
        error = response[1].get("Error") or {} if response is not None else {}
        if error.get("Code") == "TooManyRequestsException":
            raise _CrowdedError

    client.meta.events.register_first(_START_REFUSED, check)
    try:
        yield
    finally:
        client.meta.events.unregister(_START_REFUSED, check)


def _cells(row: Mapping[str, Any]) -> Cells:
    """Return a row of a page; a null has no ``VarCharValue``."""
    values = (datum.get("VarCharValue") for datum in row.get("Data") or ())
    return tuple(None if value is None else str(value) for value in values)


def _stop_command(query: str) -> str:
    return f"stop it with aws athena stop-query-execution --query-execution-id {query}"
