"""Rows of query engines and of tables → CloudTrail records, with CloudTrail's names.

A record has only what its row has. What could be read in more than one way is not read, because callers can
choose texts that look like further fields.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from cnitrail.jsontext import json_object
from cnitrail.scan.rows.elastic import from_elastic, is_elastic
from cnitrail.scan.rows.ocsf import from_ocsf, is_ocsf, kind_of_other_ocsf
from cnitrail.scan.rows.ocsf_audit import audit_row, is_ocsf_audit
from cnitrail.scan.rows.result import Rebuilt, Refused
from cnitrail.scan.rows.sentinel import from_sentinel, is_sentinel
from cnitrail.scan.rows.tables import from_columns
from cnitrail.scan.rows.values import Columns, at, is_empty

__all__ = [
    "Rebuilt",
    "Refused",
    "athena_rows",
    "audit_row",
    "event_name_of",
    "is_ocsf_audit",
    "kind_of_other_ocsf",
    "lake_row",
    "rebuild",
]


def rebuild(
    row: Columns, *, is_table: bool = False, head_only: bool = False, has_nulls: bool = False
) -> Rebuilt | Refused | None:
    """Return the record in a row, or why there is none; None if the row is of no known table.

    ``is_table``: all rows have the same columns, so that a field without a column was not selected.
    ``has_nulls``: a cell without a value is null, and not the text ``null``.
    With ``head_only``, the record has all that a record is counted by, if it is not relevant: its event name,
    time, account and Region. Of the rest, it may have some. That takes a fraction of the time.
    """
    whole = row.get("eventJson") or row.get("eventjson")
    if whole and (record := json_object(whole)) is not None and "eventName" in record:
        return Rebuilt(record, "lake-event-json")
    if "eventName" in row:
        form = _form_of(row)
        is_whole = form == "records" and not is_table
        return from_columns(row, form, is_whole=is_whole, head_only=head_only)
    if "eventname" in row or "EVENTNAME" in row or ("eventtime" in row and "eventsource" in row):
        return from_columns(row, "athena", head_only=head_only, has_nulls=has_nulls)
    if "event_name" in row and "event_time" in row:
        form = "tailpipe" if "tp_timestamp" in row or "tp_id" in row else "athena"
        return from_columns(row, form, head_only=head_only, has_nulls=has_nulls)
    if is_sentinel(row):
        return from_sentinel(row, head_only=head_only)
    if is_ocsf(row):
        return from_ocsf(row, head_only=head_only)
    if is_elastic(row):
        return from_elastic(row, head_only=head_only)
    if "Event name" in row and "Event time" in row:
        return Refused(
            "a CSV file of the console's event history has no request parameters; "
            "download the events as JSON instead"
        )
    return None


def _form_of(row: Columns) -> str:
    """Return the form of a row with CloudTrail's own names.

    A row with a struct as text is CloudTrail Lake's. One without some field of every record is the result of
    a query for some columns.
    """
    texts = (row.get(name) for name in ("userIdentity", "requestParameters", "responseElements"))
    is_lake = any(
        isinstance(text, str) and json_object(text) is None and not is_empty(text) for text in texts
    )
    if is_lake:
        return "cloudtrail-lake"
    return "records" if row.keys() >= _IN_EVERY_RECORD else "athena"


_IN_EVERY_RECORD: Final = frozenset(
    (
        *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "eventID"),
        *("sourceIPAddress", "requestParameters", "responseElements", "eventType"),
    )
)
"""Fields of every record, some of them null; an error is only in the records of failed calls."""


def event_name_of(row: Columns) -> str | None:
    """Return the event name in a row of any known table, without reading the rest; None if it has none."""
    name = (
        row.get("eventName")
        or row.get("eventname")
        or row.get("event_name")
        or row.get("EVENTNAME")
        or row.get("EventName")
        or at(row, "api.operation")
        or at(row, "event.action")
    )
    return name if isinstance(name, str) else None


def lake_row(cells: Iterable[object]) -> Columns | None:
    """Return a row of ``QueryResultRows``, a list of objects with one column each; None if it is not one."""
    row: Columns = {}
    for cell in cells:
        if not isinstance(cell, dict) or len(cell) != 1 or row.keys() & cell.keys():
            return None
        row |= cell
    return row or None


def athena_rows(result: object) -> Iterator[Columns]:
    """Yield the rows of Athena's ``ResultSet`` by column.

    A cell without ``VarCharValue`` is null. The first row has the column names, but only in the first page of
    several, so they are taken from ``ResultSetMetadata`` if it is there
    (https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html).
    """
    match result:
        case {"Rows": list(rows), "ResultSetMetadata": {"ColumnInfo": [_, *_] as columns}}:
            header = [column.get("Name") if isinstance(column, dict) else None for column in columns]
        case {"Rows": [first, *rows]}:
            header = _cells(first)
        case _:
            return
    for row in rows:
        cells = _cells(row)
        if len(cells) == len(header) and cells != header:
            yield {name: cell for name, cell in zip(header, cells, strict=True) if isinstance(name, str)}


def _cells(row: object) -> list[object]:
    match row:
        case {"Data": list(cells)}:
            return [cell.get("VarCharValue") if isinstance(cell, dict) else None for cell in cells]
    return []
