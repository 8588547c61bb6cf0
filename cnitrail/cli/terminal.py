"""Tables and blocks in a terminal, fitted to its width, and colors for terminals and pipes."""

from __future__ import annotations

import os
import re
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from cnitrail.cli.color import is_colored
from cnitrail.render.safe import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from cnitrail.render.text import Block, GroupedTable, Part, Table

_SEPARATOR = "  "
_COLUMNS = 80
_MIN_FOLDED = 24
"""Width below which a column that is folded more than once is hard to read, in characters."""
_COLOR_SYSTEM: Literal["standard"] = "standard"
"""The 16 colors that every color scheme defines, so that they can be read on its background."""


def screen(out: IO[str]) -> IO[str]:
    """Return a ``Terminal`` if the output is one, else the output itself, with colors if they are wanted."""
    if out.isatty():
        return cast("IO[str]", Terminal(out))
    return cast("IO[str]", Colored(out)) if is_colored(out) else out


def columns_of(out: IO[str]) -> int:
    """Return the width of a terminal: what ``COLUMNS`` says, else what it has, else 80."""
    if (wanted := os.environ.get("COLUMNS", "")).isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(out.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS


class Colored:
    """A stream that gets colors (``render.text.Painted``) but is no terminal, such as ``| less -R``."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def paint(self, text: str, style: str) -> str:
        """Return a text in a rich style."""
        return _painted(text, style)


class Terminal:
    """A stream that lays tables out by itself (``render.text.Screen``); all else is the stream's own."""

    def __init__(self, out: IO[str], console: Console | None = None) -> None:
        self._out = out
        self._made = console

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def isatty(self) -> bool:
        """Return True."""
        return True

    @property
    def _console(self) -> Console:
        """Return rich's console; it is slow to import, so it is made when something is drawn."""
        if self._made is None:
            from rich.console import Console

            self._made = Console(
                file=self._out,
                width=columns_of(self._out),
                force_terminal=True,
                color_system=_COLOR_SYSTEM if is_colored(self._out) else None,
                no_color=False,
                highlight=False,
            )
        return self._made

    @property
    def width(self) -> int:
        """Return the number of characters in a line."""
        return self._console.width

    def paint(self, text: str, style: str) -> str:
        """Return a text in a rich style, or without it if the terminal gets no colors."""
        return text if self._console.color_system is None else _painted(text, style)

    def fits(self, table: Table) -> bool:
        """Return whether a table fits, with nothing folded but its columns that have a share."""
        available, wanted = self.width - _gaps(table), _wanted(table)
        if sum(wanted) <= available or not table.shares:
            return sum(wanted) <= available
        return sum(_unfolded(table, wanted, _needed(table))) <= available

    def draw(self, table: Table) -> None:
        """Draw a table; if its words do not fit side by side, draw each row as a block of lines.

        Words are never cut, so that IDs, addresses and ARNs can be copied.
        """
        widths = _widths(table, self.width - _gaps(table))
        if widths is None:
            self._draw_blocks(table)
            return
        is_right = [heading in table.right for heading in table.headings]
        headings = [[(heading, "bold")] for heading in table.headings]
        for row in (headings, *table.rows):
            cells = [list(_stacked(cell, width)) for cell, width in zip(row, widths, strict=True)]
            for parts in zip_longest(*cells, fillvalue=("", "")):
                self._write_line(list(zip(parts, widths, is_right, strict=True)))

    def _write_line(self, cells: Sequence[tuple[Part, int, bool]]) -> None:
        """Write one line of a row, without spaces at its end."""
        from rich.cells import cell_len

        line, blank = "", 0
        for (text, style), width, is_right in cells:
            if text:
                space = width - cell_len(text)
                line += " " * (blank + space * is_right) + self.paint(text, style)
                blank = space * (not is_right)
            else:
                blank += width
            blank += len(_SEPARATOR)
        self._out.write(f"{line}\n")

    def draw_block(self, block: Block) -> None:
        """Draw a block: its paragraphs below each other, wrapped between words only."""
        for paragraph in block:
            parts = [(printable(text), style) for text, style in paragraph.parts]
            text = "".join(text for text, _ in parts)
            if paragraph.as_is:
                self._out.write(
                    f"{' ' * paragraph.indent}{''.join(self._painted_part(parts, 0, len(text)))}\n"
                )
                continue
            for start, end in _lines(text, self.width - paragraph.indent - paragraph.hanging):
                indent = max(min(paragraph.indent, self.width - (end - start)), 0)
                indent += paragraph.hanging if start else 0
                self._out.write(f"{' ' * indent}{''.join(self._painted_part(parts, start, end))}\n")

    def draw_groups(self, table: GroupedTable) -> None:
        """Draw groups of rows: a row is one line if it fits, and goes on below, indented, if not."""
        from cnitrail.cli.grouped_table import lines_of

        for line in lines_of(table, self.width):
            self._out.write("".join(self.paint(text, style) for text, style in line) + "\n")

    def _painted_part(self, parts: Sequence[Part], start: int, end: int) -> Iterator[str]:
        """Yield what lies between two places of a running text, each piece in its style."""
        place = 0
        for text, style in parts:
            piece = text[max(start - place, 0) : max(end - place, 0)]
            if piece:
                yield self.paint(piece, style)
            place += len(text)

    def _draw_blocks(self, table: Table) -> None:
        """Draw each row as a block: a line for each cell that is not empty, longer if it must."""
        margin = max(map(len, table.headings)) + len(_SEPARATOR)
        for number, row in enumerate(table.rows):
            if number:
                self._out.write("\n")
            for heading, cell in zip(table.headings, row, strict=True):
                label = self.paint(heading, "bold") + " " * (margin - len(heading))
                for line, length in self._cell_lines(cell, self.width - margin):
                    indent = max(min(margin, self.width - length), 0)
                    if indent < margin and label:
                        self._out.write(label.rstrip() + "\n")
                        label = ""
                    self._out.write(f"{label or ' ' * indent}{line}\n")
                    label = ""

    def _cell_lines(self, cell: Sequence[Part], width: int) -> Iterator[tuple[str, int]]:
        """Yield the lines of a cell of a block with their lengths.

        Its parts are side by side if they fit, else below each other.
        """
        from rich.cells import cell_len

        parts = [(printable(text), style) for text, style in cell if text]
        length = sum(cell_len(text) + 1 for text, _ in parts) - 1
        if parts and length <= width:
            yield " ".join(self.paint(text, style) for text, style in parts), length
            return
        for text, style in parts:
            yield from ((self.paint(line, style), cell_len(line)) for line in _wrapped(text, width))


def _painted(text: str, style: str) -> str:
    """Return a text between the escape sequences of a rich style."""
    if not style:
        return text
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def _gaps(table: Table) -> int:
    """Return the number of characters between the columns."""
    return len(_SEPARATOR) * (len(table.headings) - 1)


def _wanted(table: Table) -> list[int]:
    """Return the width of each column if nothing is folded."""
    from rich.cells import cell_len

    return [
        max(map(cell_len, (heading, *(printable(text) for row in table.rows for text, _ in row[number]))))
        for number, heading in enumerate(table.headings)
    ]


def _needed(table: Table) -> list[int]:
    """Return the width of the longest word in each column; a heading is not folded."""
    from rich.cells import cell_len

    return [
        max(
            cell_len(heading),
            max(
                (cell_len(word) for row in table.rows for text, _ in row[number] for word in _words(text)),
                default=0,
            ),
        )
        for number, heading in enumerate(table.headings)
    ]


def _words(text: str) -> list[str]:
    return printable(text).split()


def _widths(table: Table, available: int) -> list[int] | None:
    """Return the width of each column, or None if not even the longest words fit.

    Columns without a share are folded only if the others cannot give enough.
    """
    wanted = _wanted(table)
    if sum(wanted) <= available:
        return wanted
    needed = _needed(table)
    shares = [table.shares.get(heading, 0) for heading in table.headings]
    widths = _unfolded(table, wanted, needed)
    if sum(widths) > available:
        least = zip(needed, widths, shares, strict=True)
        widths = [width if share else need for need, width, share in least]
        shares = [share or 1 for share in shares]
    spare = available - sum(widths)
    return None if spare < 0 else _shared_out(spare, widths, wanted, shares)


def _unfolded(table: Table, wanted: list[int], needed: list[int]) -> list[int]:
    """Return the width of each column if only those that have a share are folded, as far as can be read."""
    return [
        max(need, min(_MIN_FOLDED, want // 2)) if heading in table.shares else want
        for heading, need, want in zip(table.headings, needed, wanted, strict=True)
    ]


def _shared_out(spare: int, widths: list[int], wanted: list[int], shares: list[int]) -> list[int]:
    """Return the widths with the spare characters given to the columns that want more, by their shares."""
    widths = list(widths)
    while spare > 0:
        growing = [i for i, share in enumerate(shares) if share and widths[i] < wanted[i]]
        if not growing:
            break
        total, left = sum(shares[i] for i in growing), spare
        for i in growing:
            given = min(max(left * shares[i] // total, 1), wanted[i] - widths[i], spare)
            widths[i] += given
            spare -= given
    return widths


def _stacked(cell: Sequence[Part], width: int) -> Iterator[Part]:
    """Yield the lines of a cell of a table: its parts below each other, folded to the width."""
    for text, style in cell:
        yield from ((line, style) for line in _wrapped(printable(text), width))


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text, broken between words only."""
    return (text[start:end] for start, end in _lines(text, width))


def _lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Yield where each line of a text begins and ends; spaces between the words of a line are kept."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        if text.strip():
            yield 0, len(text.rstrip())
        return
    start, end, length = 0, 0, 0
    for word in re.finditer(r"\S+", text):
        added = cell_len(text[end : word.end()])
        if end and length + added > width:
            yield start, end
            start, added, length = word.start(), cell_len(word[0]), 0
        end, length = word.end(), length + added
    if end:
        yield start, end
