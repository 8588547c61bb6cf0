"""The one statement that reads a table: relevant records as rows, all others as counts.

Its text runs on Athena (engine version 3) and Trino. A table of JSON files is read as a whole whatever is
selected, so to count costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.sources.sql.expressions import NULL, Value, identifier, instant, listed_literals, literal
from cnitrail.sources.sql.shapes import IDENTITY_COLUMNS, RECORD_COLUMNS, Shape, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cnitrail.model.table import RelevantCalls
    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.description import TableDescription

ANSWER: Final = ("account", "region", "day", "sign", "minutes", "path", "place", "record", "records")
"""The columns of an answer, all of them texts.

A row with a ``record`` is a relevant record (or several that are alike: ``records`` is how many), which
the engine read from the file ``path``, where it has the index ``place``, if the table shows that. A row
without is ``records`` others. ``day`` (``2022-10-05``) and ``minutes`` (``1315 1320``) are UTC: of the
delivery of the file if ``sign`` is ``delivery``, else of the events.
"""

_LOG_NAME: Final = (
    "[0-9]{12}_CloudTrail_[a-z0-9-]+"
    "_2[0-9]{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])[0-5][0-9]Z_[^/]*$"
)
"""The name of a log file, with its account, Region and time of delivery, as ``sources.layout`` reads it.

It ends the path: a folder may have any name.
"""

_FIRST: Final = ("eventtime", "eventid", "useridentityasstring")
"""The cells that come first in a record, by their folded names: they give rows their order."""


class Cell(Struct, frozen=True):
    """A cell of the records in an answer, which is a text; that of ``column`` is JSON if it has members.

    ``path`` has the name of a column, and those of the fields below it.
    """

    path: tuple[str, ...]
    column: ColumnType


class TableQuery(Struct, frozen=True):
    """A statement, and the cells of its records, in their order."""

    text: str
    cells: tuple[Cell, ...]


class Rows(Struct, frozen=True, kw_only=True):
    """A table as rows of records, in SQL expressions; ``source`` is what follows FROM.

    ``cells`` are the texts that make up a record. ``event_time`` is a text that begins as
    ``2022-10-05T13:16``, or null. ``place`` is the record's index in its file. ``is_record`` is false for a
    row of a file without records. ``is_called_by`` returns the condition that a service made the call.
    """

    source: str
    account: str
    region: str
    event_time: str
    event_name: str
    event_source: str
    source_address: str
    is_called_by: Callable[[str], str]
    cells: tuple[tuple[Cell, str], ...]
    place: str = NULL
    is_record: str = "TRUE"


def statement(
    shape: Shape,
    table: TableDescription,
    name: str,
    calls: RelevantCalls,
    *,
    pruning: Iterable[str] = (),
    files: Iterable[str] = (),
    has_paths: bool = True,
) -> TableQuery:
    """Return the statement for a table, whose quoted name is ``name``.

    ``pruning`` are conditions on columns of the table, ``files`` are conditions on the columns of ``found``:
    ``account``, ``region``, ``stamp`` (of a log file's name, ``20221005T1315``, or null) and ``event_time``.
    ``has_paths`` is whether the table has Hive's column ``$path``.
    """
    rows = _ROWS[shape](table, name)
    record = f"json_format(CAST(ARRAY[{', '.join(text for _, text in rows.cells)}] AS JSON))"
    path = identifier("$path") if has_paths else NULL
    text = f"""\
WITH scanned AS (
  SELECT
    {path} AS path,
    {rows.account} AS record_account,
    {rows.region} AS record_region,
    {rows.event_time} AS event_time,
    {rows.is_record} AS is_record,
    {rows.place} AS place,
    CASE WHEN {_relevant(rows, calls)} THEN {record} END AS record
  FROM {rows.source}{_where([*pruning])}
), named AS (
  SELECT
    nullif(regexp_extract(path, '{_LOG_NAME}'), '') AS name, record_account, record_region, event_time,
    is_record, record,
    CASE WHEN record IS NOT NULL THEN path END AS path,
    CASE WHEN record IS NOT NULL THEN place END AS place
  FROM scanned
), found AS (
  SELECT
    coalesce(split_part(name, '_', 1), record_account) AS account,
    coalesce(split_part(name, '_', 3), record_region) AS region,
    substr(split_part(name, '_', 4), 1, 13) AS stamp,
    event_time, is_record, path, place, record
  FROM named
), placed AS (
  SELECT
    account, region,
    coalesce(
      substr(stamp, 1, 4) || '-' || substr(stamp, 5, 2) || '-' || substr(stamp, 7, 2),
      substr(event_time, 1, 10)
    ) AS day,
    CASE WHEN stamp IS NULL THEN 'event' ELSE 'delivery' END AS sign,
    coalesce(substr(stamp, 10, 4), substr(event_time, 12, 2) || substr(event_time, 15, 2)) AS minute,
    is_record, path, place, record
  FROM found{_where(["(is_record OR stamp IS NOT NULL)", *files])}
)
SELECT
  account, region, day, sign, array_join(array_sort(array_agg(DISTINCT minute)), ' ') AS minutes,
  path, place, record, CAST(sum(CASE WHEN is_record THEN 1 ELSE 0 END) AS varchar) AS records
FROM placed
GROUP BY account, region, day, sign, path, place, record
ORDER BY account, region, day, record IS NOT NULL, path"""  # noqa: S608  names and texts are quoted
    return TableQuery(text, tuple(cell for cell, _ in rows.cells))


def _where(conditions: list[str]) -> str:
    joined = "\n    AND ".join(conditions)
    return f"\n  WHERE {joined}" if conditions else ""


def _relevant(rows: Rows, calls: RelevantCalls) -> str:
    """Return the condition under which a record may be relevant."""
    by_name = (
        f"{rows.event_name} IN ({listed_literals(calls.names)})"
        f" AND ({rows.event_source} IS NULL"
        f" OR {rows.event_source} IN ({listed_literals(('', 'null', *calls.sources))}))"
    )
    by_caller = (
        f"{rows.event_name} = {literal(calls.assume_role)}"
        f" AND ({rows.is_called_by(calls.invoked_by)}"
        f" OR regexp_like({rows.source_address}, {literal('^(' + calls.from_address + ')')}))"
    )
    return f"({by_name}) OR ({by_caller})"


def _cloudtrail_rows(table: TableDescription, name: str) -> Rows:
    """Return the rows of a table with a row for each record."""
    return _record_rows(name, _values(table))


def _values(table: TableDescription) -> dict[str, Value]:
    """Return the columns of a table as expressions."""
    return {column: Value(identifier(column), kind) for column, kind in table.all_columns.items()}


def _crawler_rows(table: TableDescription, name: str) -> Rows:
    """Return the rows of a table with a row for each file, and one for each file without records."""
    length = f"coalesce(cardinality({identifier('records')}), 0)"
    place = f"{identifier('numbered')}.{identifier('record_number')}"
    entry = Value(f"element_at({identifier('records')}, {place})", table.columns["records"].members[0][1])
    numbered = f"{identifier('numbered')} ({identifier('record_number')})"
    rows = _record_rows(
        f"{name} CROSS JOIN UNNEST(sequence(1, greatest({length}, 1))) AS {numbered}",
        {field: entry.field(field) for field in entry.column.fields},
    )
    return replace(
        rows,
        place=f"CAST({place} - 1 AS varchar)",
        is_record=f"{place} <= {length}",
    )


def _record_rows(source: str, values: Mapping[str, Value]) -> Rows:
    """Return rows whose ``values`` have CloudTrail's names, in lower case or with underscores."""
    by_name = {folded(name): value for name, value in values.items()}

    def text(name: str) -> str:
        return by_name[name].text() if name in by_name else NULL

    recipient = by_name.get("recipientaccountid")
    return Rows(
        source=source,
        account=f"nullif({recipient.account() if recipient is not None else NULL}, '')",
        region=f"nullif({text('awsregion')}, '')",
        event_time=instant(by_name["eventtime"]),
        event_name=text("eventname"),
        event_source=text("eventsource"),
        source_address=text("sourceipaddress"),
        is_called_by=lambda service: _is_called_by(by_name, service),
        cells=tuple(_record_cells(values)),
    )


def _is_called_by(by_name: Mapping[str, Value], service: str) -> str:
    """Return the condition that a service made a call; of an identity in one text, that it may have."""
    conditions = []
    for name in ("useridentityasstring", "useridentityjson", "useridentity", "useridentityinvokedby"):
        identity = by_name.get(name)
        if identity is not None and (invoked_by := _field(identity, "invokedby")) is not None:
            conditions.append(f"{invoked_by.text()} = {literal(service)}")
        elif identity is not None and identity.is_readable:
            conditions.append(f"strpos({identity.text()}, {literal(service)}) > 0")
    return " OR ".join(conditions) or "FALSE"


def _field(value: Value, name: str) -> Value | None:
    """Return a field of a struct by its folded name."""
    for field in value.column.fields if value.column.is_struct else ():
        if folded(field) == name:
            return value.field(field)
    return None


def _record_cells(values: Mapping[str, Value]) -> Iterator[tuple[Cell, str]]:
    """Yield the cells of a record: first its time and ID, so that its rows have an order."""
    read = RECORD_COLUMNS | IDENTITY_COLUMNS
    known = [name for name in values if folded(name) in read and values[name].is_readable]
    for name in sorted(known, key=_position):
        value = values[name]
        is_account = folded(name) == "recipientaccountid"
        yield Cell((name,), value.column), value.account() if is_account else value.text()


def _position(name: str) -> int:
    column = folded(name)
    return _FIRST.index(column) if column in _FIRST else len(_FIRST)


def _ocsf_rows(table: TableDescription, name: str) -> Rows:
    """Return the rows of a table with a row for each event in OCSF."""
    values = _values(table)

    def at(path: str) -> Value | None:
        first, *others = path.split(".")
        found = values.get(first)
        for field in others:
            found = _field(found, folded(field)) if found is not None else None
        return found

    def text(*paths: str) -> str:
        texts = [f"nullif({value.text()}, '')" for path in paths if (value := at(path)) is not None]
        return f"coalesce({', '.join(texts)}, {NULL})" if texts else NULL

    found = [(path, value) for path in OCSF_PATHS if (value := at(path)) is not None and value.is_readable]
    unmapped = at("unmapped")
    recipient = unmapped.entry("recipientAccountId") if unmapped is not None else NULL
    time = at("time") or at("time_dt")
    invoked_by = text("actor.invoked_by")
    return Rows(
        source=name,
        account=f"coalesce(nullif({recipient}, ''), {text('cloud.account.uid')})",
        region=text("cloud.region"),
        event_time=NULL if time is None else instant(time),
        event_name=text("api.operation"),
        event_source=text("api.service.name"),
        source_address=text("src_endpoint.ip", "src_endpoint.domain"),
        is_called_by=lambda service: f"{invoked_by} = {literal(service)}",
        cells=tuple((Cell(tuple(path.split(".")), value.column), value.text()) for path, value in found),
    )


OCSF_PATHS: Final = (
    *("time", "time_dt", "metadata.uid", "metadata.version", "metadata.event_code", "metadata.product.name"),
    *("metadata.product.version", "metadata.product.feature.name", "class_uid", "status"),
    *("api.operation", "api.version", "api.service.name", "api.request.uid", "api.request.data"),
    *("api.response.error", "api.response.message", "api.response.data"),
    *("cloud.region", "cloud.account.uid", "src_endpoint.ip", "src_endpoint.domain", "src_endpoint.uid"),
    *("http_request.user_agent", "actor.invoked_by", "actor.idp.name", "actor.user.type", "actor.user.name"),
    *("actor.user.uid", "actor.user.uid_alt", "actor.user.account.uid", "actor.user.credential_uid"),
    *("actor.session.issuer", "actor.session.is_mfa", "actor.session.created_time"),
    *("actor.session.created_time_dt", "unmapped"),
)
"""The fields of OCSF that ``scan.rows.ocsf`` maps back; the first ones give rows their order."""


_ROWS: Final[Mapping[Shape, Callable[[TableDescription, str], Rows]]] = {
    Shape.CLOUDTRAIL: _cloudtrail_rows,
    Shape.CLOUDTRAIL_2022: _cloudtrail_rows,
    Shape.CLOUDTRAIL_2016: _cloudtrail_rows,
    Shape.CRAWLER: _crawler_rows,
    Shape.OCSF: _ocsf_rows,
}
