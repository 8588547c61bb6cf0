"""Trino's client protocol on loopback: statements run on DuckDB, and answers come page by page.

https://trino.io/docs/current/develop/client-protocol.html describes it.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from duck_engine import TABLE_NOW, DuckEngine, description, log_files
from moto_loopback import running

from cnitrail.sources.sql.column_types import ColumnType

TABLE = '"hive"."logs"."cloudtrail"'
_VARCHAR = {"rawType": "varchar", "arguments": [{"kind": "LONG", "value": 2147483647}]}


def trino_type(column: ColumnType) -> str:
    """A type as Trino writes it."""
    if column.is_struct:
        return "row(" + ", ".join(f'"{name}" {trino_type(inner)}' for name, inner in column.members) + ")"
    if column.members:
        return f"{column.name}({', '.join(trino_type(inner) for _, inner in column.members)})"
    return "varchar" if column.is_text else column.name


@dataclass(frozen=True)
class Answer:
    """What the server answers instead of what is right."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"


@dataclass(frozen=True)
class Failed:
    """How a query fails."""

    name: str
    message: str = "as the test asks"
    type: str = "USER_ERROR"
    cause: str | None = None


@dataclass
class Query:
    """A query: its pages that are left to fetch."""

    statement: str
    pages: list[list[list[Any]]]
    waits: list[str] = field(default_factory=list)
    """States in which it is before its first rows."""
    scanned: int = 0
    is_canceled: bool = False


@dataclass
class Trino:
    """A server with one table: a row for each record of log files."""

    engine: DuckEngine
    url: str = ""
    port: int = 0
    page: int = 1000
    waits: tuple[str, ...] = ("QUEUED", "PLANNING", "RUNNING")
    scanned_a_page: int = 1_000_000
    ddl: str = f"CREATE TABLE {TABLE} (\n   eventname varchar\n)\nWITH (\n   format = 'OPENX_JSON'\n)"
    fault: Callable[[str, str], Answer | Failed | None] = lambda _method, _text: None
    queries: list[Query] = field(default_factory=list)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"trino://127.0.0.1:{self.port}/hive/logs/cloudtrail"

    def rows_of(self, statement: str) -> list[list[Any]]:
        """The answer to a statement."""
        if statement.startswith("DESCRIBE"):
            table = self.engine.describe()
            return [
                [name, trino_type(kind), "partition key" if name in table.partition_columns else "", ""]
                for name, kind in {**table.columns, **table.partition_columns}.items()
            ]
        if "$partitions" in statement:
            return [list(values) for values in self.engine.partitions()]
        if statement.startswith("SHOW CREATE TABLE"):
            return [[self.ddl]]
        if statement.endswith("LIMIT 0"):
            return []
        for _ in self.engine.run(statement.replace(TABLE, self.engine.table)):
            pass
        return [list(row) for row in self.engine.rows()]


@lru_cache
def _engine(story: Path) -> DuckEngine:
    """A table of a story's records; making one takes a second."""
    rows = (
        (path, {name.lower(): value for name, value in record.items()})
        for path, records in log_files(story)
        for record in records
    )
    return DuckEngine(description(TABLE_NOW), rows)


@contextmanager
def trino_loopback(story: Path) -> Iterator[Trino]:
    """A server with the records of log files."""
    trino = Trino(_engine(story))
    server = _Server(("127.0.0.1", 0), _Handler)
    server.trino = trino
    trino.port = server.server_address[1]
    trino.url = f"http://127.0.0.1:{trino.port}"
    with running(server):
        yield trino


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    trino: Trino
    lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_POST(self) -> None:
        """A new query."""
        trino = self.server.trino
        statement = self.rfile.read(int(self.headers["Content-Length"])).decode()
        trino.requests.append(("POST", dict(self.headers.items())))
        if self._is_spoiled("POST", statement):
            return
        with self.server.lock:
            rows = trino.rows_of(statement)
        size = trino.page
        pages = [rows[at : at + size] for at in range(0, len(rows), size)] or [[]]
        is_short = statement.startswith(("SHOW", "DESCRIBE")) or "LIMIT" in statement
        waits = [] if is_short else list(trino.waits)
        trino.queries.append(Query(statement, pages, waits))
        self._page(len(trino.queries) - 1)

    def do_GET(self) -> None:
        """The next page of a query."""
        self.server.trino.requests.append(("GET", dict(self.headers.items())))
        number = int(self.path.split("/")[-2])
        if not self._is_spoiled("GET", self.server.trino.queries[number].statement):
            self._page(number)

    def do_DELETE(self) -> None:
        """The end of a query."""
        self.server.trino.requests.append(("DELETE", dict(self.headers.items())))
        self.server.trino.queries[int(self.path.split("/")[-2])].is_canceled = True
        self._send(204, b"", "application/json")

    def _is_spoiled(self, method: str, statement: str) -> bool:
        fault = self.server.trino.fault(method, statement)
        if isinstance(fault, Answer):
            self._send(fault.status, fault.body, fault.type)
        elif isinstance(fault, Failed):
            self._fail(fault)
        return fault is not None

    def _fail(self, failed: Failed) -> None:
        error = {
            "message": failed.message,
            "errorName": failed.name,
            "errorType": failed.type,
            "errorCode": 1,
            "failureInfo": {"cause": {"message": failed.cause}},
        }
        self._answer({"id": "q", "infoUri": "", "stats": {"state": "FAILED"}, "error": error})

    def _page(self, number: int) -> None:
        trino = self.server.trino
        query = trino.queries[number]
        if query.is_canceled:
            self._fail(Failed("USER_CANCELED", "Query was canceled"))
            return
        answer: dict[str, Any] = {"id": f"q-{number}", "infoUri": trino.url, "warnings": []}
        state = query.waits.pop(0) if query.waits else "FINISHED"
        if state in ("RUNNING", "FINISHED"):
            query.scanned += trino.scanned_a_page
        if state == "FINISHED":
            rows = query.pages.pop(0)
            width = len(rows[0]) if rows else 0
            names = [f"c{column}" for column in range(width)]
            answer["columns"] = [{"name": n, "type": "varchar", "typeSignature": _VARCHAR} for n in names]
            answer["data"] = rows
            state = "RUNNING" if query.pages else "FINISHED"
        answer["stats"] = {
            "state": state,
            "physicalInputBytes": query.scanned,
            "elapsedTimeMillis": 3500,
            "queuedTimeMillis": 500,
        }
        if query.pages:
            answer["nextUri"] = f"{trino.url}/v1/statement/executing/{number}/1"
        self._answer(answer)

    def _answer(self, answer: dict[str, Any]) -> None:
        self._send(200, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
