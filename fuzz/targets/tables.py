"""Tables in Athena and Trino: what servers describe, answer and complain about."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from trino.exceptions import TrinoQueryError

from cnitrail.decode import RELEVANT_CALLS
from cnitrail.errors import UsageError
from cnitrail.jsontext import parse
from cnitrail.model import Skipped
from cnitrail.model.table import TablePart
from cnitrail.scan.table_rows import read_part
from cnitrail.scan.tally import Tally
from cnitrail.sources.sql.answer import parts
from cnitrail.sources.sql.athena_causes import cause_of
from cnitrail.sources.sql.athena_uri import parse_uri
from cnitrail.sources.sql.column_types import names_of, parse_type
from cnitrail.sources.sql.date_patterns import date_pattern, range_bound
from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Cells
from cnitrail.sources.sql.shapes import Shape
from cnitrail.sources.sql.statement import ANSWER, TableQuery, statement
from cnitrail.sources.sql.trino_errors import trino_error

_URI: Final = "athena://default.cloudtrail_logs"
_NOW: Final = datetime(2022, 10, 5, 14, 20, tzinfo=UTC)
_MANY: Final = 50
"""Lines or rows of an input that are tried."""

_COLUMNS: Final = {
    "useridentity": "struct<type:string,arn:string,accountid:string,invokedby:string,username:string,"
    "sessioncontext:struct<sessionissuer:struct<arn:string>,"
    "webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>>",
    **dict.fromkeys(
        (
            *("eventtime", "eventid", "eventsource", "eventname", "awsregion", "sourceipaddress"),
            *("useragent", "errorcode", "requestparameters", "responseelements", "recipientaccountid"),
        ),
        "string",
    ),
}


def _query() -> TableQuery:
    """Return the query whose answers are in the corpus."""
    columns = {name: parse_type(text) for name, text in _COLUMNS.items()}
    table = TableDescription(columns=columns, partition_columns={}, properties={})
    return statement(Shape.CLOUDTRAIL, table, '"default"."cloudtrail_logs"', RELEVANT_CALLS)


QUERY: Final = _query()


def column_types(data: bytes) -> None:
    """The type of a column is read, or refused; names are in lower case."""
    for line in _lines(data):
        with suppress(ValueError):
            assert all(name == name.lower() for name in names_of(parse_type(line)))


def date_patterns(data: bytes) -> None:
    """A text of a pattern names the time that the pattern writes as this text; bounds are in the calendar."""
    for line in _lines(data):
        written, _, text = line.partition("|")
        pattern = date_pattern(written)
        if pattern is None:
            continue
        start = pattern.start(text)
        assert start is None or pattern.start(pattern.text(start)) == start
        for bound in text.split(","):
            found = range_bound(bound, pattern, _NOW)
            assert found is None or found.tzinfo is UTC


def answers(data: bytes) -> None:
    """Every row of an answer is a record, counted or listed as unreadable; or the answer is refused."""
    try:
        found = parse(data)
    except ValueError:
        return
    rows = (_cells(row) for row in (found if isinstance(found, list) else [])[:_MANY])
    with suppress(ValueError):
        for part in parts(rows, _URI, "query", Shape.CLOUDTRAIL, QUERY.cells):
            _check_part(part)


def _cells(row: object) -> Cells:
    """Return a row as engines deliver it: texts or nulls, as many as the statement has columns."""
    texts = [cell if isinstance(cell, str) else None for cell in (row if isinstance(row, list) else [])]
    return tuple((*texts, *(None for _ in ANSWER))[: len(ANSWER)])


def _check_part(part: TablePart) -> None:
    tally = Tally()
    found = list(read_part(part, tally))
    assert part.passed_over >= 0
    assert tally.records == part.passed_over + sum(row.copies for row in part.rows)
    assert sum(tally.forms.values()) == tally.records
    assert all(item.reason for item in found if isinstance(item, Skipped))
    assert all(row.copies > 0 and row.index >= 0 for row in part.rows)


def engine_errors(data: bytes) -> None:
    """Every message of a server becomes a sentence, and so does the URI of a table that is none."""
    for line in _lines(data):
        cause = cause_of(line)
        assert cause is None or (cause.reason and cause.hint)
        failed = trino_error("trino://localhost/a/b/c", TrinoQueryError({"errorName": line, "message": line}))
        assert len(failed.message) < 1000
        try:
            table = parse_uri(line)
        except UsageError:
            continue
        assert parse_uri(table.uri).uri == table.uri


def _lines(data: bytes) -> Iterable[str]:
    return data.decode("utf-8", "replace").splitlines()[:_MANY]
