"""The rows of a statement's answer → parts: one for each account, Region and day."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import Struct

from cnitrail.jsontext import parse
from cnitrail.model.table import TablePart, TableRow
from cnitrail.sources.sql.shapes import Shape
from cnitrail.sources.sql.statement import ANSWER
from cnitrail.text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import Sign
    from cnitrail.sources.sql.column_types import ColumnType
    from cnitrail.sources.sql.engine import Cells
    from cnitrail.sources.sql.statement import Cell

_FORMS: Final = {Shape.OCSF: "security-lake"}
"""The form of the records of each shape, if it is not ``athena``."""

_NUMBER: Final = re.compile("[0-9]{1,12}")
"""Numbers of records: the sum of those in two million rows fits in a store."""

PIECE: Final = 10_000
"""Records of a part that are delivered together."""


class AnswerRow(Struct, frozen=True, kw_only=True):
    """One row of an answer; its fields are the columns ``ANSWER``."""

    account: str | None
    region: str | None
    day: str | None
    sign: str | None
    minutes: str | None
    path: str | None
    place: str | None
    record: str | None
    records: str | None


def parts(
    rows: Iterable[Cells], uri: str, query: str, shape: Shape, cells: Sequence[Cell]
) -> Iterator[TablePart]:
    """Yield the parts of an answer, whose rows are in the order of the statement.

    A part of many records comes in pieces, which are named like the members of an archive. ``uri`` names the
    table, ``cells`` are those of its records. Raises ``ValueError`` for a row that no statement returns.
    """
    answered = map(_answer_row, rows)
    for (account, region, day), group in groupby(answered, lambda row: (row.account, row.region, row.day)):
        part = "/".join((uri, *map(_in_uri, (account, region, day))))
        for number, piece in enumerate(_pieces(group)):
            records = [row for row in piece if row.record is not None]
            others = [row for row in piece if row.record is None]
            signing = (row for row in piece if row.sign == "delivery" or row.record is None)
            yield TablePart(
                uri=f"{part}!/{number}" if number else part,
                query=query,
                form=_FORMS.get(shape, "athena"),
                rows=tuple(_records(records, part, cells)),
                passed_over=sum(_number(row.records) for row in others),
                signs=frozenset(sign for row in signing for sign in _signs(row)),
            )


def _answer_row(row: Cells) -> AnswerRow:
    if len(row) != len(ANSWER):
        raise ValueError(f"a row has {len(row)} columns instead of {len(ANSWER)}")
    if not all(cell is None or isinstance(cell, str) for cell in row):
        raise ValueError("a row has values that are no texts")
    return AnswerRow(**dict(zip(ANSWER, row, strict=True)))


def _pieces(rows: Iterable[AnswerRow]) -> Iterator[list[AnswerRow]]:
    """Yield the rows of a part in lists that are not much longer than ``PIECE`` and divide no file."""
    piece: list[AnswerRow] = []
    for row in rows:
        if len(piece) >= PIECE and row.path != piece[-1].path:
            yield piece
            piece = []
        piece.append(row)
    yield piece


def _signs(row: AnswerRow) -> Iterator[Sign]:
    """Yield the times that a row shows to be logged."""
    if row.account is None or row.region is None or row.day is None:
        return
    for minute in (row.minutes or "").split():
        try:
            time = datetime.fromisoformat(f"{row.day}T{minute}").replace(tzinfo=UTC)
        except ValueError:
            continue
        yield row.account, row.region, time


def _records(rows: list[AnswerRow], part: str, cells: Sequence[Cell]) -> Iterator[TableRow]:
    """Yield the records of a part, file by file; the part is the source of those whose file is not known."""
    rows.sort(key=lambda row: (row.path or "", _number(row.place or "0"), row.record or ""))
    for path, group in groupby(rows, lambda row: row.path):
        counted = 0
        for row in group:
            copies = _number(row.records)
            if not copies:
                raise ValueError("a record that the table has 0 times")
            yield TableRow(
                source=path or part,
                index=_number(row.place) if row.place is not None else counted,
                copies=copies,
                cells=_cells(row.record, cells),
            )
            counted += copies


def _in_uri(name: str | None) -> str:
    """Return an account, a Region or a day as a segment of a URI: ``-`` if it is not known."""
    if name is None:
        return "-"
    return "%2D" if name == "-" else quote(name, safe="", errors="replace")


def _number(text: str | None) -> int:
    """Return a number of records. Raises ``ValueError`` if it is none, or too large for any table."""
    if text is None or _NUMBER.fullmatch(text) is None:
        shown = "none" if text is None else repr(shortened(text, 30))
        raise ValueError(f"a number of records is {shown}")
    return int(text)


def _cells(record: str | None, cells: Sequence[Cell]) -> dict[str, object]:
    """Return the cells of a record by column: texts, and what is JSON with the names of its fields."""
    texts = _parsed(record)
    if not isinstance(texts, list):
        raise ValueError("a record is no list")  # noqa: TRY004  a type of JSON
    if len(texts) != len(cells):
        raise ValueError(f"a record has {len(texts)} cells instead of {len(cells)}")
    found: dict[str, object] = {}
    for cell, text in zip(cells, texts, strict=True):
        *above, name = cell.path
        inside = found
        for column in above:
            inside = inside.setdefault(column, {})  # type: ignore[assignment]  # no path begins with another
        inside[name] = _named(_parsed(text), cell.column) if cell.column.members else text
    return found


def _parsed(text: object) -> object:
    """Return the value of a JSON text; the text itself if it is none."""
    try:
        return parse(text.encode("utf-8", "replace")) if isinstance(text, str) else text
    except ValueError:
        return text


def _named(value: object, column: ColumnType) -> object:
    """Return a value with the names of a struct's fields: Athena's engine version 2 leaves all of them out.

    https://docs.aws.amazon.com/athena/latest/ug/engine-versions-reference-0003.html
    """
    match value:
        case list() if column.is_struct:
            return {
                name: _named(item, inner) for (name, inner), item in zip(column.members, value, strict=False)
            }
        case list() if column.members:
            inner = column.members[0][1]
            return [_named(item, inner) for item in value]
        case dict() if column.name == "map":
            inner = column.members[1][1]
            return {name: _named(item, inner) for name, item in value.items()}
    return value
