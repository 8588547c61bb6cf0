"""Tables in a terminal, drawn by rich and fitted to the width."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, cast

from cnitrail.render.safe import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from cnitrail.render.text import Part, Table

_GAP = 3
"""Characters between two columns, including padding."""
_SEPARATOR = "  "


def screen(out: IO[str]) -> IO[str]:
    """Return a ``Terminal`` if the output is one, else the output itself. ``NO_COLOR`` holds (rich)."""
    if not _may_be_terminal(out):
        return out
    from rich.console import Console

    console = Console(file=out, highlight=False, soft_wrap=False)
    return cast("IO[str]", Terminal(out, console)) if console.is_terminal else out


def _may_be_terminal(out: IO[str]) -> bool:
    """Return whether rich could see a terminal; it is slow to import, so it is not asked otherwise."""
    return out.isatty() or any(name in os.environ for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))


class Terminal:
    """A stream that draws tables by itself (``render.text.Screen``); everything else is the stream's own."""

    def __init__(self, out: IO[str], console: Console) -> None:
        self._out = out
        self._console = console

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    @property
    def width(self) -> int:
        """Return the number of characters in a line."""
        return self._console.width

    def draw(self, table: Table) -> None:
        """Draw a table; if its words do not fit side by side, draw each row as lines below each other.

        Words are never cut, so that IDs, addresses and ARNs can be copied.
        """
        widths = _widths(table, self.width)
        if widths is None:
            self._draw_stacked(table)
            return
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
        for heading, width in zip(table.headings, widths, strict=True):
            drawn.add_column(heading, width=width, overflow="fold")
        for row in table.rows:
            drawn.add_row(
                *(Text("\n").join(Text(printable(text), style) for text, style in cell) for cell in row)
            )
        self._console.print(drawn)

    def _draw_stacked(self, table: Table) -> None:
        from rich.text import Text

        margin = max(map(len, table.headings)) + len(_SEPARATOR)
        for number, row in enumerate(table.rows):
            if number:
                self._console.print()
            for heading, cell in zip(table.headings, row, strict=True):
                label = Text(heading.ljust(margin), "bold")
                for line, style in _wrapped(cell, self.width - margin):
                    self._console.print(
                        label + Text(line, style), overflow="ignore", no_wrap=True, crop=False
                    )
                    label = Text(" " * margin)


def _widths(table: Table, available: int) -> list[int] | None:
    """Return the width of each column, or None if not even the longest words fit.

    Columns without a share are folded only if the others cannot give enough.
    """
    from rich.cells import cell_len

    available -= _GAP * len(table.headings)
    needed, wanted = [], []
    for number, heading in enumerate(table.headings):
        texts = [heading, *(printable(text) for row in table.rows for text, _ in row[number])]
        wanted.append(max(map(cell_len, texts)))
        needed.append(max(cell_len(word) for text in texts for word in text.split() or [""]))
    if sum(wanted) <= available:
        return wanted
    shares = [table.shares.get(heading, 0) for heading in table.headings]
    unfolded = [need if share else want for need, want, share in zip(needed, wanted, shares, strict=True)]
    widths = unfolded if sum(unfolded) <= available else needed
    spare = available - sum(widths)
    if spare < 0:
        return None
    total = sum(shares) or 1
    return [width + spare * share // total for width, share in zip(widths, shares, strict=True)]


def _wrapped(cell: Sequence[Part], width: int) -> Iterator[Part]:
    """Yield the lines of a cell, broken between words only; one empty line if it has none."""
    from textwrap import wrap

    lines = [
        (line, style)
        for text, style in cell
        for line in wrap(printable(text), max(width, 1), break_long_words=False, break_on_hyphens=False)
    ]
    yield from lines or [("", "")]
