"""Tables for people: fitted to a terminal, whole and one line a row where they are piped."""

import os
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from msgspec import Struct

from cnitrail.render.safe import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

Part = tuple[str, str]
"""A text and its style, in rich's words; the text may come from a record."""

Row = Sequence[Sequence[Part]]
"""Cells, each a sequence of parts that stand below each other, or side by side where piped."""


_UNLIMITED = 100_000
_LEAST_SHARE = 10
"""The least width of a folded column, in characters, that can still be read beside others."""


class Table(Struct, frozen=True):
    """Column headings and rows.

    ``shares`` names the columns that are folded where a terminal is narrow, with the share that
    each has of what the others leave.
    """

    headings: tuple[str, ...]
    rows: Sequence[Row]
    shares: Mapping[str, int]


def width_of(out: IO[str]) -> int:
    """How many characters a line of a terminal takes; of anything else a hundred are a line."""
    if not _may_be_terminal(out):
        return 100
    from rich.console import Console

    console = Console(file=out)
    return console.width if console.is_terminal else 100


def draw(table: Table, out: IO[str]) -> None:
    """Write a table to a terminal, or whole to anything else. ``NO_COLOR`` holds (rich)."""
    if not _may_be_terminal(out):
        _write_plain(table, out)
        return
    from rich.console import Console

    console = Console(file=out, highlight=False, soft_wrap=False)
    if console.is_terminal:
        _write_fitted(table, console)
    else:
        _write_plain(table, out)


def _may_be_terminal(out: IO[str]) -> bool:
    """Whether rich, which takes long to import, need be asked: what makes it draw is set, or there."""
    return out.isatty() or any(name in os.environ for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))


def _write_fitted(table: Table, console: "Console") -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for heading in table.headings:
        drawn.add_column(heading, no_wrap=heading not in table.shares, overflow="fold")
    for row in table.rows:
        drawn.add_row(
            *(Text("\n").join(Text(printable(text), style) for text, style in cell) for cell in row)
        )
    wanted = console.measure(drawn, options=console.options.update(max_width=_UNLIMITED)).maximum
    if wanted > console.width:
        _fit(drawn, table, console)
    console.print(drawn)


def _fit(drawn: "RichTable", table: Table, console: "Console") -> None:
    """Fold the columns that have shares; where even that is too little, fold every column."""
    from rich.measure import Measurement

    columns = list(zip(drawn.columns, table.headings, strict=True))
    options = console.options.update(max_width=_UNLIMITED)
    kept = sum(
        max(Measurement.get(console, options, cell).maximum for cell in column.cells)
        for column, heading in columns
        if heading not in table.shares
    )
    left = console.width - kept - 3 * len(columns)
    if left < _LEAST_SHARE * len(table.shares):
        for column, _ in columns:
            column.no_wrap = False
        return
    drawn.expand = True
    for column, heading in columns:
        column.ratio = table.shares.get(heading)


def _write_plain(table: Table, out: IO[str]) -> None:
    rows = [[" ".join(printable(text) for text, _ in cell if text) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.headings, *rows, strict=True)]
    for row in ([*table.headings], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
