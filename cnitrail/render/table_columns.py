"""Columns whose cells depend on a row and on how its times are shown, and the tables that they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from cnitrail.render.shared import TimeStyle
from cnitrail.render.text import Part, Row, Table

_RowT = TypeVar("_RowT")

Column = tuple[str, Callable[[_RowT, TimeStyle], Iterable[Part]]]
"""A heading, and the function that returns the parts of a cell."""


def joined_columns(columns: Sequence[Column[_RowT]]) -> Column[_RowT]:
    """Return several columns as one, with their texts below each other."""
    heading = ", ".join(name for name, _ in columns)
    return heading, lambda row, times: [part for _, cell in columns for part in cell(row, times)]


def column_table(
    columns: Iterable[Column[_RowT]],
    rows: Sequence[_RowT],
    times: TimeStyle,
    shares: Mapping[str, int] | None = None,
) -> Table:
    """Return a table of rows; ``shares`` are those of ``Table``."""
    columns = list(columns)
    drawn = [row_cells(columns, row, times) for row in rows]
    return Table(tuple(heading for heading, _ in columns), drawn, shares or {})


def row_cells(columns: Iterable[Column[_RowT]], row: _RowT, times: TimeStyle) -> Row:
    """Return the cells of a row."""
    return [list(cell(row, times)) for _, cell in columns]
