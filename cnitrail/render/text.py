"""Tables for people: fitted to a terminal, one untruncated line per row when piped."""

from collections.abc import Mapping, Sequence
from typing import IO, Protocol, runtime_checkable

from msgspec import Struct

from cnitrail.render.safe import printable

Part = tuple[str, str]
"""A text and its rich style; the text may come from a record."""

Row = Sequence[Sequence[Part]]
"""Cells, each a sequence of parts: stacked in a terminal, side by side when piped."""


_WIDTH = 100
"""Line width of an output that is no screen, in characters."""


class Table(Struct, frozen=True):
    """Column headings and rows.

    ``shares`` names the columns that fold in a narrow terminal, each with its share of the remaining width.
    """

    headings: tuple[str, ...]
    rows: Sequence[Row]
    shares: Mapping[str, int]


@runtime_checkable
class Screen(Protocol):
    """An output that lays tables out by itself, such as a terminal."""

    @property
    def width(self) -> int:
        """Return the number of characters in a line."""

    def draw(self, table: Table) -> None:
        """Draw a table, fitted to the width."""


def width_of(out: IO[str]) -> int:
    """Return the number of characters that fit in a line of an output."""
    return out.width if isinstance(out, Screen) else _WIDTH


def draw(table: Table, out: IO[str]) -> None:
    """Draw a table on a screen, or write it untruncated to anything else."""
    if isinstance(out, Screen):
        out.draw(table)
    else:
        _write_plain(table, out)


def _write_plain(table: Table, out: IO[str]) -> None:
    rows = [[" ".join(printable(text) for text, _ in cell if text) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.headings, *rows, strict=True)]
    for row in ([*table.headings], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
