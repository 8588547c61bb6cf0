"""CSV that is safe to open in a spreadsheet: no cell from a record becomes a formula."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from cnitrail.render.safe import spreadsheet

Cell = str | int | datetime | bool | None | Iterable[object]
Columns = dict[str, Callable[..., Cell]]


def table(columns: Columns, entries: Iterable[object]) -> Iterator[str]:
    """Yield a header line of column names, then a line for each entry."""
    from csv import writer

    line = writer(_Lines(), lineterminator="\n").writerow
    values = list(columns.values())
    yield line(columns)
    for entry in entries:
        yield line([_cell(value(entry)) for value in values])


class _Lines:
    """A file whose ``write`` returns what it is given: so does ``writerow``, then."""

    def write(self, text: str) -> str:
        return text


def fields(columns: Columns, entry: object) -> dict[str, Cell]:
    """Return the values of an entry by column name, without empty ones."""
    values = {name: column(entry) for name, column in columns.items()}
    return {name: value for name, value in values.items() if value not in (None, (), [])}


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return spreadsheet(value)
    if value == ():
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return spreadsheet(" ".join(map(str, value)))
