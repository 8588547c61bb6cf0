"""CSV that is safe to open in a spreadsheet: no cell from a record becomes a formula."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from io import StringIO

from cnitrail.render.safe import spreadsheet

Cell = str | int | datetime | bool | None | Iterable[object]
Columns = dict[str, Callable[..., Cell]]


def table(columns: Columns, entries: Iterable[object]) -> Iterator[str]:
    """Yield a header line of column names, then a line for each entry."""
    yield _line(list(columns))
    for entry in entries:
        yield _line([_cell(column(entry)) for column in columns.values()])


def fields(columns: Columns, entry: object) -> dict[str, Cell]:
    """Return the values of an entry by column name, without empty ones."""
    values = {name: column(entry) for name, column in columns.items()}
    return {name: value for name, value in values.items() if value not in (None, (), [])}


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return spreadsheet(str(value)) if isinstance(value, str) else str(value)
    return spreadsheet(" ".join(map(str, value)))


def _line(cells: list[str]) -> str:
    from csv import writer

    out = StringIO()
    writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
