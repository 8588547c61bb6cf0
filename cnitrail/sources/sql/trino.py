"""Trino: ``trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE``, with the ``trino`` client.

A password comes from the environment variable ``TRINO_PASSWORD``, as with Trino's own command line; a JSON
Web Token from ``TRINO_ACCESS_TOKEN``. Both need HTTPS. ``REQUESTS_CA_BUNDLE`` names the
file of your own certificate authority.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cnitrail.errors import CnitrailError, SourceError, UsageError
from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.sql.column_types import parse_type
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import MAX_LISTING_SECONDS, MAX_PARTITIONS, QueryResult
from cnitrail.sources.sql.expressions import identifier
from cnitrail.sources.sql.trino_errors import trino_error
from cnitrail.sources.sql.trino_properties import properties_of
from cnitrail.sources.sql.trino_uri import FORM, PASSWORD, parse_trino_uri
from cnitrail.text import byte_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trino.dbapi import Connection, Cursor

    from cnitrail.model import Scope
    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.engine import Cells, Partition
    from cnitrail.sources.sql.trino_uri import TrinoTable

ACCESS_TOKEN: Final = "TRINO_ACCESS_TOKEN"  # noqa: S105  a variable's name
_HTTP_PORT: Final = 8080
_HTTPS_PORT: Final = 443
_HTTPS_PORTS: Final = (_HTTPS_PORT, 8443)
_ATTEMPTS: Final = 4
"""Attempts of a request that gets no answer, or that the server is too busy for: three seconds at most."""
_POLL_SECONDS: Final = 0.25
_DIRECT: Final[Any] = None
"""The encoding of rows that come from the server itself, not from a storage that only it may reach."""
_STOP_SECONDS: Final = 5.0
"""How long the end of a program waits for the server to stop a query."""
_MAX_NUMBER: Final = 2**56
"""More than this is not plausible, neither as bytes scanned nor as milliseconds."""
_WAITING: Final = ("QUEUED", "WAITING_FOR_RESOURCES", "DISPATCHING", "PLANNING")


class TrinoEngine:
    """A Trino server and one table in it; it is called when the table is described, not before.

    Trino streams: the first rows come when the scan has ended. A query can be stopped, and not resumed.
    """

    name = "trino"

    def __init__(self, uri: str, scope: Scope) -> None:
        self._names = parse_trino_uri(uri)
        self.uri = uri.partition("?")[0]
        self.table = ".".join(map(identifier, (self._names.catalog, self._names.schema, self._names.table)))
        self._max_scan = scope.engine.max_scan
        self._connection: Connection | None = None
        self._cursor: Cursor | None = None
        self._statement = ""
        self._stats: Mapping[str, Any] = {}
        self._is_stopped = False

    def describe(self) -> TableDescription:
        """Return the table's columns and properties."""
        columns: dict[str, ColumnType] = {}
        partition_columns: dict[str, ColumnType] = {}
        for name, kind, extra in self._columns():
            listed = partition_columns if "partition key" in extra else columns
            try:
                listed[name.lower()] = parse_type(kind)
            except ValueError as error:
                raise SourceError(f"{self.uri}: column {name}: {error}", "name another table") from None
        properties = self._properties()
        return TableDescription(
            columns=columns,
            partition_columns=partition_columns,
            properties=properties,
            location=properties.get("external_location") or properties.get("location"),
            has_paths=self._has_paths(),
        )

    def partitions(self) -> tuple[Partition, ...] | str:
        """Return all partitions of the table, or why they are not known; nothing is scanned.

        https://trino.io/docs/current/connector/hive.html names the table ``TABLE$partitions``.
        """
        *above, name = self._names.catalog, self._names.schema, f"{self._names.table}$partitions"
        end = time.monotonic() + MAX_LISTING_SECONDS

        def check(_: object) -> None:
            if time.monotonic() > end:
                raise SourceError("they could not be listed in time")

        cursor = self._connected().cursor(stats_callback=check)
        try:
            with self._failures():
                cursor.execute(
                    f"SELECT * FROM {'.'.join(map(identifier, (*above, name)))} LIMIT {MAX_PARTITIONS + 1}"  # noqa: S608  names are quoted
                )
                rows = cursor.fetchall()
        except SourceError as error:
            _cancel(cursor)
            return error.message.removeprefix(f"{self.uri}: ")
        if len(rows) > MAX_PARTITIONS:
            return f"there are more than {MAX_PARTITIONS:,}"
        return tuple(tuple("" if value is None else str(value) for value in row) for row in rows)

    def run(self, statement: str) -> Iterator[QueryProgress]:
        """Run a statement; return when its first rows are there. Yields its progress."""
        self._statement = statement
        cursor = self._open_cursor()
        begun: Future[None] = Future()
        threading.Thread(target=self._execute, args=(cursor, statement, begun), daemon=True).start()
        while not begun.done():
            wait((begun,), _POLL_SECONDS)
            yield self._progress()
        begun.result()

    def result(self) -> QueryResult:
        """Return the query that ``run`` has begun."""
        stats = self._stats
        seconds = (stats.get("elapsedTimeMillis", 0) - stats.get("queuedTimeMillis", 0)) / 1000
        return QueryResult(
            query=self._query() or "",
            statement=self._statement,
            scanned_bytes=stats.get("physicalInputBytes"),
            seconds=seconds if "elapsedTimeMillis" in stats else None,
        )

    def rows(self) -> Iterator[Cells]:
        """Yield the rows of the answer, in its order, page by page."""
        assert self._cursor is not None
        with self._failures():
            for row in self._cursor:
                yield tuple(row)

    def stop(self) -> None:
        """Stop the query, if it still runs. Never raises; a signal handler may call this.

        Another thread sends the request: the thread that a signal interrupts may hold the client's locks.
        """
        self._is_stopped = True
        if self._cursor is not None:
            stopping = threading.Thread(target=_cancel, args=(self._cursor,), daemon=True)
            with suppress(RuntimeError):  # no thread can be started at the end of the program
                stopping.start()
                stopping.join(_STOP_SECONDS)

    def close(self) -> None:
        """Stop the query, if its rows were not all fetched, and close connections."""
        if self._stats.get("state") not in (None, "FINISHED", "FAILED"):
            self.stop()
        if self._connection is not None:
            self._connection.close()  # type: ignore[no-untyped-call]  # the client has no type for it

    def _execute(self, cursor: Cursor, statement: str, begun: Future[None]) -> None:
        """Run a statement until its first rows are there: the client returns no earlier."""
        try:
            with self._failures():
                cursor.execute(statement)  # type: ignore[no-untyped-call]  # the client has no type for it
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            begun.set_exception(error)
        else:
            begun.set_result(None)

    def _take_stats(self, stats: Mapping[str, Any]) -> None:
        """Take the statistics that the server sends with each answer.

        Raises ``SourceError``, which ends the query, if it was stopped or has scanned too much.
        """
        self._stats = {name: value for name, value in stats.items() if _is_plausible(name, value)}
        if self._is_stopped:
            raise SourceError(f"{self.uri}: the query was stopped", "run the command again")
        scanned = self._stats.get("physicalInputBytes", self._stats.get("processedBytes", 0))
        if self._max_scan is not None and scanned > self._max_scan:
            raise SourceError(
                f"{self.uri}: stopped after {byte_size(scanned)}: "
                f"--max-scan allows {byte_size(self._max_scan)}",
                "ask for less with --since, --until, --account or --region, or raise --max-scan",
            )

    def _progress(self) -> QueryProgress:
        stats = self._stats
        return QueryProgress(
            state=QueryState.QUEUED if stats.get("state", "QUEUED") in _WAITING else QueryState.RUNNING,
            query=self._query(),
            elapsed=timedelta(milliseconds=stats.get("elapsedTimeMillis", 0)),
            scanned_bytes=stats.get("physicalInputBytes"),
        )

    def _query(self) -> str | None:
        return self._cursor.query_id if self._cursor is not None else None

    def _columns(self) -> list[tuple[str, str, str]]:
        """Return the name and type of each column, and what else Trino says of it."""
        with self._failures():
            found = self._answer(f"DESCRIBE {self.table}")
            return [(str(name), str(kind), str(extra or "")) for name, kind, extra, *_ in found]

    def _properties(self) -> dict[str, str]:
        """Return the table's properties; none if the server does not show them: a view has none."""
        with suppress(SourceError):
            for (ddl,) in self._answer(f"SHOW CREATE TABLE {self.table}"):
                return properties_of(str(ddl))
        return {}

    def _has_paths(self) -> bool:
        """Return whether rows have the column ``$path``; those of views and of some connectors do not."""
        cursor = self._connected().cursor()
        try:
            cursor.execute(f'SELECT "$path" FROM {self.table} LIMIT 0')  # noqa: S608  the name is quoted
            cursor.fetchall()
        except Exception as error:  # noqa: BLE001  # the statement itself fails with more to say
            return getattr(error, "error_name", None) != "COLUMN_NOT_FOUND"
        return True

    def _answer(self, statement: str) -> list[list[Any]]:
        with self._failures():
            cursor = self._connected().cursor()
            cursor.execute(statement)
            rows: list[list[Any]] = cursor.fetchall()
            return rows

    def _open_cursor(self) -> Cursor:
        self._cursor = self._connected().cursor(stats_callback=self._take_stats)
        return self._cursor

    def _connected(self) -> Connection:
        """Return the connection; the client calls nothing before the first statement."""
        if self._connection is None:
            self._connection = _connection(self._names, self.uri)
        return self._connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise ``SourceError`` for what the client raises, also for an answer that is not Trino's."""
        try:
            yield
        except CnitrailError:
            raise
        except Exception as error:  # noqa: BLE001  # the client raises whatever an answer breaks
            raise trino_error(self.uri, error) from None


def _is_plausible(name: str, value: object) -> bool:
    """Return whether a value of the statistics is a text, or a number that can be a size or a time."""
    return isinstance(value, str) if name == "state" else type(value) is int and 0 <= value < _MAX_NUMBER


def _cancel(cursor: Cursor) -> None:
    with suppress(Exception):
        cursor.cancel()  # type: ignore[no-untyped-call]  # the client has no type for it


def _connection(names: TrinoTable, uri: str) -> Connection:
    """Return a connection to a server. Raises ``SourceError`` if the client is not installed."""
    try:
        from trino.auth import BasicAuthentication, JWTAuthentication
        from trino.dbapi import Connection
    except ImportError:
        raise SourceError(
            f"{uri}: Trino's client is not installed", "pip install 'cnitrail[trino]'"
        ) from None
    user = names.user or _login_name(uri)
    token, password = os.environ.get(ACCESS_TOKEN), os.environ.get(PASSWORD)
    auth = JWTAuthentication(token) if token else BasicAuthentication(user, password) if password else None
    is_https = auth is not None or names.port in _HTTPS_PORTS
    return Connection(
        host=names.host,
        port=names.port or (_HTTPS_PORT if is_https else _HTTP_PORT),
        user=user,
        source="cnitrail",
        catalog=names.catalog,
        schema=names.schema,
        http_scheme="https" if is_https else "http",
        auth=auth,
        max_attempts=_ATTEMPTS,
        timezone="UTC",
        encoding=_DIRECT,
    )


def _login_name(uri: str) -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise UsageError(f"{uri}: your login name is not known", f"name a user: {FORM}") from None
