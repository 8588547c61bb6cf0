"""Athena on loopback: its JSON protocol, with DuckDB as the engine, and a script of what goes wrong."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto_loopback import running

from cnitrail.sources.sql.engine import Cells
from cnitrail.sources.sql.statement import ANSWER

Asked = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call: its operation, its Region, what was asked, and how many of this operation came before it."""

    operation: str
    region: str
    asked: Asked
    number: int


@dataclass(frozen=True)
class Refused:
    """An error response."""

    code: str
    message: str = "as the test asks"
    status: int = 400


Fault = Refused | bytes | str
"""A refusal; a body that does not come from AWS; or ``reset``, for a connection that is cut."""


@dataclass(frozen=True)
class Look:
    """What GetQueryExecution answers once."""

    state: str
    scanned: int = 0
    reason: str | None = None
    retryable: bool = False
    category: int = 2
    reused: bool = False


SUCCEEDED = Look("SUCCEEDED", scanned=1_234_567)


@dataclass
class Query:
    """A query that was started; ``looks`` are its answers to come, and the last one stays."""

    id: str
    asked: Asked
    looks: list[Look]
    rows: list[Cells] | None = None


@dataclass
class ServedTable:
    """A table: the types of its columns as Hive writes them, and what runs its statements."""

    columns: dict[str, str]
    run: Callable[[str], list[Cells]] = lambda _: []
    partition_keys: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    partitions: list[list[str]] = field(default_factory=list)
    type: str = "EXTERNAL_TABLE"


@dataclass
class Athena:
    """An account's Athena in all Regions.

    ``scripts`` are the looks of the first query, the second, and so on; the last one is that of all others.
    ``page`` is the most rows of a page, ``header`` whether answers begin with the names of the columns.
    """

    url: str = ""
    tables: dict[tuple[str, str, str], ServedTable] = field(default_factory=dict)
    scripts: list[Sequence[Look]] = field(default_factory=lambda: [[SUCCEEDED]])
    fault: Callable[[Call], Fault | None] = lambda _: None
    page: int = 1000
    header: bool = True
    calls: list[Call] = field(default_factory=list)
    queries: dict[str, Query] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    def add(
        self,
        table: ServedTable,
        name: str = "cloudtrail_logs",
        database: str = "default",
        catalog: str = "AwsDataCatalog",
    ) -> None:
        """Add a table."""
        self.tables[catalog, database, name] = table

    def operations(self) -> list[str]:
        """Return the operations that were called, in order."""
        return [call.operation for call in self.calls]

    def asked(self, operation: str) -> list[Asked]:
        """Return what each call of an operation asked for."""
        return [call.asked for call in self.calls if call.operation == operation]

    def answer(self, operation: str, asked: Asked) -> dict[str, Any] | Refused:
        """Return the answer to a call."""
        answers: dict[str, Callable[[Asked], dict[str, Any] | Refused]] = {
            "GetTableMetadata": self._get_table_metadata,
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._look,
            "GetQueryResults": self._results,
            "GetQueryRuntimeStatistics": self._statistics,
            "StopQueryExecution": self._stop,
            "GetPartitions": self._partitions,
        }
        query = asked.get("QueryExecutionId")
        if query is not None and query not in self.queries:
            return Refused("InvalidRequestException", f"QueryExecution {query} was not found")
        if operation not in answers:
            return Refused("UnknownOperationException", f"{operation} is not an operation of Athena")
        return answers[operation](asked)

    def _get_table_metadata(self, asked: Asked) -> dict[str, Any] | Refused:
        name = asked["CatalogName"], asked["DatabaseName"], asked["TableName"]
        if name not in self.tables:
            return Refused(
                "MetadataException",
                "Entity Not Found (Service: AmazonDataCatalog; Status Code: 400; Error Code: "
                "EntityNotFoundException; Request ID: 1f0e; Proxy: null)",
            )
        table = self.tables[name]
        return {
            "TableMetadata": {
                "Name": name[2],
                "TableType": table.type,
                "Columns": [
                    {"Name": n, "Type": t, "Comment": "from deserializer"} for n, t in table.columns.items()
                ],
                "PartitionKeys": [{"Name": n, "Type": t} for n, t in table.partition_keys.items()],
                "Parameters": table.parameters,
            }
        }

    def _start(self, asked: Asked) -> dict[str, Any]:
        token = asked["ClientRequestToken"]
        for query in self.queries.values():
            if query.asked["ClientRequestToken"] == token:
                return {"QueryExecutionId": query.id}
        number = len(self.queries)
        looks = list(self.scripts[min(number, len(self.scripts) - 1)])
        query = Query(f"0b0e7a1c-0000-4000-8000-{number + 1:012}", asked, looks)
        self.queries[query.id] = query
        return {"QueryExecutionId": query.id}

    def _look(self, asked: Asked) -> dict[str, Any]:
        query = self.queries[asked["QueryExecutionId"]]
        look = query.looks.pop(0) if len(query.looks) > 1 else query.looks[0]
        status: dict[str, Any] = {"State": look.state, "SubmissionDateTime": 1664975770.5}
        if look.reason is not None:
            status["StateChangeReason"] = look.reason
            status["AthenaError"] = {
                "ErrorCategory": look.category,
                "ErrorType": 233,
                "Retryable": look.retryable,
                "ErrorMessage": look.reason,
            }
        execution = {
            "QueryExecutionId": query.id,
            "Query": query.asked["QueryString"],
            "StatementType": "DML",
            "QueryExecutionContext": query.asked["QueryExecutionContext"],
            "Status": status,
            "Statistics": {
                "EngineExecutionTimeInMillis": 2500,
                "DataScannedInBytes": look.scanned,
                "ResultReuseInformation": {"ReusedPreviousResult": look.reused},
            },
        }
        return {"QueryExecution": execution}

    def _answered(self, query: Query) -> list[Cells]:
        """Return the rows of a query's answer."""
        if query.rows is None:
            context = query.asked["QueryExecutionContext"]
            text = query.asked["QueryString"]
            (table,) = (
                table
                for (catalog, database, name), table in self.tables.items()
                if catalog == context["Catalog"] and f'FROM "{database}"."{name}"' in text
            )
            query.rows = table.run(text)
        return query.rows

    def _results(self, asked: Asked) -> dict[str, Any]:
        query = self.queries[asked["QueryExecutionId"]]
        rows = self._answered(query)
        if self.header:
            rows = [ANSWER, *rows]
        begin = int(asked.get("NextToken", "0"))
        end = begin + min(self.page, asked["MaxResults"])
        shown = [{"Data": [{} if c is None else {"VarCharValue": c} for c in row]} for row in rows[begin:end]]
        names = [{"Name": name, "Type": "varchar"} for name in ANSWER]
        body: dict[str, Any] = {
            "ResultSet": {"Rows": shown, "ResultSetMetadata": {"ColumnInfo": names}},
            "UpdateCount": 0,
        }
        if end < len(rows):
            body["NextToken"] = str(end)
        return body

    def _statistics(self, asked: Asked) -> dict[str, Any]:
        rows = len(self._answered(self.queries[asked["QueryExecutionId"]]))
        return {"QueryRuntimeStatistics": {"Rows": {"InputRows": 9000, "OutputRows": rows}}}

    def _stop(self, asked: Asked) -> dict[str, Any]:
        query = self.queries[asked["QueryExecutionId"]]
        scanned = query.looks[0].scanned
        self.stopped.append(query.id)
        query.looks = [Look("CANCELLED", scanned=scanned, reason="Query cancelled by user")]
        return {}

    def _partitions(self, asked: Asked) -> dict[str, Any]:
        table = self.tables["AwsDataCatalog", asked["DatabaseName"], asked["TableName"]]
        begin = int(asked.get("NextToken", "0"))
        end = begin + self.page
        body: dict[str, Any] = {"Partitions": [{"Values": values} for values in table.partitions[begin:end]]}
        if end < len(table.partitions):
            body["NextToken"] = str(end)
        return body


@contextmanager
def athena() -> Iterator[Athena]:
    """Athena without tables."""
    account, turn = Athena(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            asked = json.loads(body) if operation else {}  # other services have other forms
            region = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])
            assert region is not None
            with turn:
                call = Call(operation, region[1], asked, account.operations().count(operation))
                account.calls.append(call)
                answer = account.fault(call) or account.answer(operation, asked)
            if answer == "reset":
                self.close_connection = True
                return
            self._respond(answer)

        def _respond(self, answer: dict[str, Any] | Fault) -> None:
            status, body = 200, b""
            match answer:
                case Refused():
                    status = answer.status
                    body = json.dumps({"__type": answer.code, "Message": answer.message}).encode()
                case bytes():
                    body = answer
                case _:
                    body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    account.url = f"http://127.0.0.1:{server.server_port}"
    with running(server):
        yield account
