"""DuckDB as a query engine: statements of cnitrail run on tables of CloudTrail records, in every shape.

sqlglot translates the statements from Athena's SQL. Rows are those that Athena's readers make of log files.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from export_forms import ATHENA_IDENTITY, compact, fields_of, own_rows, security_lake_rows, snake
from msgspec import Struct

from cnitrail.model.table import QueryProgress, QueryState
from cnitrail.sources.sql.column_types import ColumnType, parse_type
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Cells, Partition, QueryResult

Entry = dict[str, Any]

IDENTITY_2016 = (
    "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,accesskeyid:string,"
    "username:string,sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,"
    "sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>>>"
)
IDENTITY_NOW = (
    "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,accesskeyid:string,"
    "username:string,onbehalfof:struct<userid:string,identitystorearn:string>,"
    "sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,"
    "sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,"
    "ec2roledelivery:string,"
    "webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>>"
)
_TEXTS_2016 = (
    *("eventversion", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent"),
    *("errorcode", "errormessage", "requestparameters", "responseelements", "additionaleventdata"),
    *("requestid", "eventid", "readonly", "eventtype", "apiversion", "recipientaccountid"),
    *("serviceeventdetails", "sharedeventid", "vpcendpointid"),
)
TABLE_NOW: Mapping[str, str] = {
    **dict.fromkeys(_TEXTS_2016, "string"),
    "useridentity": IDENTITY_NOW,
    "resources": "array<struct<arn:string,accountid:string,type:string>>",
    "vpcendpointaccountid": "string",
    "eventcategory": "string",
    "addendum": "struct<reason:string,updatedfields:string,originalrequestid:string,originaleventid:string>",
    "sessioncredentialfromconsole": "string",
    "edgedevicedetails": "string",
    "tlsdetails": "struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>",
}
"""The columns of the Athena guide's table, as Athena describes them."""


def description(columns: Mapping[str, str], partitions: Mapping[str, str] | None = None) -> TableDescription:
    """A table with columns of these types."""
    return TableDescription(
        columns={name: parse_type(text) for name, text in columns.items()},
        partition_columns={name: parse_type(text) for name, text in (partitions or {}).items()},
        properties={},
    )


def log_files(folder: Path) -> Iterator[tuple[str, list[Entry]]]:
    """The log files of a folder by their paths, with their records."""
    for path in sorted(folder.rglob("*.json.gz")):
        if "CloudTrail-Digest" not in str(path):
            yield str(path), json.loads(gzip.decompress(path.read_bytes()))["Records"]


def of_type(value: object, column: ColumnType) -> object:
    """A value as a JSON reader of Hive makes it: structs with the columns' names, texts of anything else."""
    if value is None:
        return None
    if column.is_struct:
        given = {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}
        return {name: of_type(given.get(name), inner) for name, inner in column.members}
    if column.name == "array":
        return [of_type(item, column.members[0][1]) for item in value] if isinstance(value, list) else None
    if column.name == "map":
        return {name: of_type(inner, column.members[1][1]) for name, inner in value.items()}  # type: ignore[attr-defined]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # as Java writes a lone surrogate
    return compact(value).encode("utf-8", "replace").decode() if column.is_text else value


def type_of(values: Iterable[object]) -> str:
    """The type that a crawler gives a column with these values: a text if they differ."""
    known = [value for value in values if value not in (None, {}, [])]
    if known and all(isinstance(value, dict) for value in known):
        inside: dict[str, list[object]] = {}
        for value in known:
            for name, inner in value.items():  # type: ignore[attr-defined]
                inside.setdefault(name.lower(), []).append(inner)
        return "struct<" + ",".join(f"{name}:{type_of(inner)}" for name, inner in inside.items()) + ">"
    if known and all(isinstance(value, list) for value in known):
        return f"array<{type_of(item for value in known for item in value)}>"  # type: ignore[attr-defined]
    if known and all(isinstance(value, bool) for value in known):
        return "boolean"
    if known and all(isinstance(value, int) and not isinstance(value, bool) for value in known):
        return "bigint"
    return "string"


def duck_type(column: ColumnType) -> str:
    """The type of a column as DuckDB writes it."""
    if column.is_struct:
        return "STRUCT(" + ", ".join(f'"{name}" {duck_type(inner)}' for name, inner in column.members) + ")"
    if column.name == "array":
        return duck_type(column.members[0][1]) + "[]"
    if column.name == "map":
        return f"MAP({duck_type(column.members[0][1])}, {duck_type(column.members[1][1])})"
    return "VARCHAR" if column.is_text else column.name.upper()


class DuckEngine:
    """An engine whose table has a row for each record of files."""

    name = "duckdb"
    uri = "athena://default.cloudtrail_logs"
    table = '"cloudtrail_logs"'

    def __init__(
        self, table: TableDescription, rows: Iterable[tuple[str, Entry]], *, has_paths: bool = True
    ) -> None:
        self._table = table
        self._db = duckdb.connect(config={"threads": 1})  # tables are small, and tests run side by side
        columns = {**table.columns, **table.partition_columns}
        types = {name: duck_type(column) for name, column in columns.items()}
        if has_paths:
            types["$path"] = "VARCHAR"
        listed = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        self._db.execute(f"CREATE TABLE cloudtrail_logs ({listed})")
        values = [
            json.dumps({"$path": path} | {name: of_type(row.get(name), columns[name]) for name in columns})
            for path, row in rows
        ]
        self._db.execute(
            "INSERT INTO cloudtrail_logs SELECT entry.* FROM (SELECT unnest(from_json(?::JSON, ?)) AS entry)",
            ("[" + ",".join(values) + "]", json.dumps([types])),
        )
        self.statement = ""

    def describe(self) -> TableDescription:
        return self._table

    def partitions(self) -> tuple[Partition, ...] | str:
        """The partitions that the table's rows have."""
        names = ", ".join(f'"{name}"' for name in self._table.partition_columns)
        rows = self._db.execute(f"SELECT DISTINCT {names} FROM cloudtrail_logs ORDER BY ALL").fetchall()
        return tuple(tuple("" if value is None else str(value) for value in row) for row in rows)

    def run(self, statement: str) -> Iterator[QueryProgress]:
        self.statement = statement
        yield QueryProgress(state=QueryState.RUNNING, query="q-1", elapsed=timedelta())
        self._result = self._db.execute(_translated(statement))

    def result(self) -> QueryResult:
        return QueryResult(query="q-1", statement=self.statement)

    def rows(self) -> Iterator[Cells]:
        while (row := self._result.fetchone()) is not None:
            yield tuple(row)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self._db.close()


@lru_cache(maxsize=64)
def _translated(statement: str) -> str:
    (translated,) = sqlglot.transpile(statement, read="athena", write="duckdb")
    return translated


Files = Iterable[tuple[str, list[Entry]]]


def cloudtrail_rows(files: Files) -> Iterator[tuple[str, Entry]]:
    """The rows that CloudTrailInputFormat makes of log files: one for each record."""
    for path, records in files:
        for record in records:
            row = {name.lower(): value for name, value in record.items()}
            yield path, row | {"useridentity_as_string": record.get("userIdentity")}


def crawler_rows(files: Files) -> Iterator[tuple[str, Entry]]:
    """The rows of a table with a row for each file."""
    for path, records in files:
        yield path, {"records": records}


def ocsf_table_rows(files: Files) -> Iterator[tuple[str, Entry]]:
    """The rows that Security Lake makes of records."""
    for path, records in files:
        for row in security_lake_rows(records):
            yield path, row


def own_table_rows(files: Files) -> Iterator[tuple[str, Entry]]:
    """The rows of a copy with JSON texts and times."""
    for path, records in files:
        for row in own_rows(records):
            yield path, {name.lower(): value for name, value in row.items()}


def snake_rows(files: Files) -> Iterator[tuple[str, Entry]]:
    """The rows of a copy whose columns have underscores."""
    for path, records in files:
        for record in records:
            row = {
                **record,
                "userIdentity": snake(record.get("userIdentity"), fields_of(ATHENA_IDENTITY["lake"])),
            }
            named = {name: compact(row[name]) for name in _JSON_TEXTS if row.get(name) is not None}
            yield path, {snake_name(name): value for name, value in (row | named).items()}


def snake_name(name: str) -> str:
    """The name of a field with underscores."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.replace("_i_d", "_id").replace("_i_p_", "_ip_")


_JSON_TEXTS = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")


class TableShape(Struct, frozen=True, kw_only=True):
    """A kind of table: its columns (None if a crawler finds them), and the rows that it has of log files."""

    columns: Mapping[str, str] | None
    rows: Callable[[Files], Iterator[tuple[str, Entry]]]
    is_typed: bool = True
    """Whether a crawler also finds the types of parameters."""

    def engine(self, files: Files) -> "DuckEngine":
        """An engine with a table of log files."""
        files = list(files)
        rows = list(self.rows(files))
        columns = self.columns
        if columns is None:
            found = crawled(entry for _, entries in files for entry in entries)
            texts = {} if self.is_typed else dict.fromkeys(map(str.lower, _JSON_TEXTS), "string")
            found = {name: texts.get(name, kind) for name, kind in found.items()}
            columns = {
                "records": "array<struct<" + ",".join(f"{name}:{kind}" for name, kind in found.items()) + ">>"
            }
        return DuckEngine(description(columns), rows)


def crawled(entries: Iterable[Entry]) -> dict[str, str]:
    """The columns that a crawler finds in records."""
    values: dict[str, list[object]] = {}
    for entry in entries:
        for name, value in entry.items():
            values.setdefault(name.lower(), []).append(value)
    return {name: type_of(found) for name, found in values.items()}


TABLE_2022 = {name: kind for name, kind in TABLE_NOW.items() if name != "sessioncredentialfromconsole"} | {
    "useridentity": IDENTITY_NOW.replace(
        "struct<federatedprovider:string,attributes:map<string,string>>", "map<string,string>"
    )
}
TABLE_2016 = {
    **dict.fromkeys(_TEXTS_2016, "string"),
    "useridentity": IDENTITY_2016,
    "resources": TABLE_NOW["resources"],
}
TABLE_OWN = {
    "eventtime": "timestamp",
    "eventid": "varchar(36)",
    **dict.fromkeys(
        (
            *("eventname", "eventsource", "awsregion", "sourceipaddress", "useragent", "errorcode"),
            *("errormessage", "requestid", "recipientaccountid", "useridentity", "requestparameters"),
            *("responseelements", "serviceeventdetails", "eventtype", "eventcategory", "addendum"),
            "sessioncredentialfromconsole",
        ),
        "varchar",
    ),
    "readonly": "boolean",
}
OCSF_TABLE = {
    "metadata": "struct<product:struct<name:string,vendor_name:string,version:string,"
    "feature:struct<name:string>>,uid:string,version:string,event_code:string>",
    "time": "bigint",
    "cloud": "struct<region:string,provider:string>",
    "api": "struct<operation:string,version:string,service:struct<name:string>,"
    "request:struct<uid:string,data:string>,response:struct<error:string,message:string,data:string>>",
    "src_endpoint": "struct<ip:string,domain:string,uid:string>",
    "http_request": "struct<user_agent:string>",
    "class_uid": "int",
    "status": "string",
    "actor": "struct<user:struct<type:string,name:string,credential_uid:string,uid:string,uid_alt:string,"
    "account:struct<uid:string>>,invoked_by:string,"
    "session:struct<issuer:string,is_mfa:boolean,created_time:bigint>,idp:struct<name:string>>",
    "unmapped": "map<string,string>",
}
SHAPES = {
    "now": TableShape(columns=TABLE_NOW, rows=cloudtrail_rows),
    "identity-as-string": TableShape(
        columns=TABLE_2016
        | {
            "useridentity_as_string": "string",
            "sessioncredentialfromconsole": "string",
            "addendum": TABLE_NOW["addendum"],
        },
        rows=cloudtrail_rows,
    ),
    "2022": TableShape(columns=TABLE_2022, rows=cloudtrail_rows),
    "2016": TableShape(columns=TABLE_2016, rows=cloudtrail_rows),
    "crawler": TableShape(columns=None, rows=crawler_rows),
    "crawler-texts": TableShape(columns=None, rows=crawler_rows, is_typed=False),
    "ocsf": TableShape(columns=OCSF_TABLE, rows=ocsf_table_rows),
    "own": TableShape(columns=TABLE_OWN, rows=own_table_rows),
    "own-zoned": TableShape(
        columns=TABLE_OWN | {"eventtime": "timestamp(6) with time zone"}, rows=own_table_rows
    ),
    "own-snake": TableShape(
        columns={
            snake_name(name): "string"
            for name in (
                *("eventTime", "eventID", "eventName", "eventSource", "awsRegion", "sourceIPAddress"),
                *("userAgent", "errorCode", "errorMessage", "requestID", "recipientAccountId", *_JSON_TEXTS),
                *("eventType", "eventCategory", "sessionCredentialFromConsole"),
            )
        }
        | {"user_identity": "string"},
        rows=snake_rows,
    ),
}
"""Every kind of table that is read."""
