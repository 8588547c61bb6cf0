"""Grouped tables in a terminal: a row is one line if it fits, and goes on below, indented, if not.

Lines are broken between words only, so that IDs, addresses and ARNs can be copied.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.cells import cell_len

from cnitrail.render.safe import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnitrail.render.text import GroupedTable, Part, Row

_GAP = 2
"""Spaces between two columns."""

_LEAST = 20
"""Characters that a running text needs on a line to begin there: an address with its sign."""

_BRIEF = 14
"""Characters that the last column has at least on the line of its row: a text that fits in them is there."""

_WIDEST = 44
"""Characters that a column has at most; what is longer moves what follows it in its row."""

_MOST = 2 / 3
"""Share of the names that fit in their column if the details below the first line follow them."""

_SHORT = 24
"""Characters of a text that is kept on one line: ``cni, device 1``."""

_LABELS = ("by", "via")
"""Words that stay with the name after them."""

_INDENT = 2
"""Indentation of the lines below the first, if the terminal is too narrow for more."""

_NARROW = 60


class _Columns(Struct, frozen=True):
    """Where the columns begin: the line of the row, and the offset in that line.

    Cells beyond these columns follow each other. ``indent`` is that of the lines below the first.
    """

    width: int
    indent: int
    starts: tuple[tuple[int, int], ...] = ()


def lines_of(table: GroupedTable, width: int) -> Iterator[list[Part]]:
    """Yield the lines of a table on a screen, each as parts."""
    layout = _layout(table, width)
    yield from _row([[(heading, "bold")] for heading in table.headings], layout)
    for group in table.groups:
        yield []
        yield from _row([[part] for part in group.header], _Columns(width, _INDENT))
        if group.note:
            yield from _row([group.note], _Columns(width, _INDENT))
        for row in group.rows:
            yield from _row(row, layout)


def _layout(table: GroupedTable, width: int) -> _Columns:
    """Return the columns of a table: as many on the first line as fit, and the others below."""
    lengths: list[Counter[int]] = [Counter() for _ in table.headings]
    for row in (row for group in table.groups for row in group.rows):
        for column, cell in zip(lengths, row[:-1], strict=False):
            column[sum(_length(printable(text)) for text, _ in cell)] += 1
    indent = max(lengths[0], default=0) + _GAP if width >= _NARROW else _INDENT
    line, offset, starts = 0, 0, []
    for number, (heading, column) in enumerate(zip(table.headings[:-1], lengths, strict=False), 2):
        is_before_last = number == len(table.headings)
        behind = _GAP + _BRIEF if is_before_last and not line else 0
        needed = _usual(column, min(width - offset - behind, _WIDEST))
        if offset and needed is None:
            line, offset = line + 1, indent
            needed = _usual(column, min(width - offset, _WIDEST), _MOST if is_before_last else 1)
        starts.append((line, offset))
        offset += max(needed or 0, len(heading)) + _GAP
    starts.append((line, offset) if offset + _BRIEF <= width else (line + 1, indent))
    return _Columns(width, indent, tuple(starts))


def _usual(lengths: Counter[int], most: int, share: float = 1) -> int | None:
    """Return the length that a share of the fitting cells of a column have at most; None if most do not fit.

    The others move what follows them: a single long name must not push everything to the right.
    """
    fitting = sorted(length for length in lengths.elements() if length <= most)
    if 2 * len(fitting) < lengths.total():
        return None
    return fitting[int(share * (len(fitting) - 1))] if fitting else 0


def _row(row: Row, layout: _Columns) -> list[list[Part]]:
    """Return the lines of a row. What does not fit in its column moves those behind it."""
    flow = _Flow(layout)
    for number, cell in enumerate(row):
        chunks = [(chunk, style) for text, style in cell for chunk in _chunks(printable(text), layout)]
        if chunks:
            flow.add_cell(chunks, number, is_last=number == len(row) - 1)
    return flow.lines


class _Flow:
    """The lines of one row, as far as they are written."""

    def __init__(self, layout: _Columns) -> None:
        self.lines: list[list[Part]] = [[]]
        self._layout = layout
        self._column = 0
        self._planned = 0
        self._is_new = True

    def add_cell(self, chunks: Sequence[Part], number: int, *, is_last: bool) -> None:
        """Add a cell at its column, or below if it does not fit; of the last, the beginning must fit."""
        starts = self._layout.starts
        line, start = starts[number] if number < len(starts) else (0, 0)
        (first, style), *others = chunks
        whole = " ".join(chunk for chunk, _ in chunks)
        if line > self._planned and not self._is_new:
            self._begin(_length(first))
        self._planned = line
        gap = max(start - self._column, 0 if self._is_new else _GAP)
        if is_last and self._is_new:
            gap = 0
        room = self._layout.width - self._column - gap
        if room < _length(first if is_last and room >= _LEAST else whole):
            if not self._is_new:
                self._begin(_length(first))
            gap = 0
        self._write(gap, first, style)
        for chunk, other in others:
            if self._column + 1 + _length(chunk) <= self._layout.width:
                self._write(1, chunk, other)
            else:
                self._begin(_length(chunk))
                self._write(0, chunk, other)

    def _begin(self, needed: int) -> None:
        """Begin a line, indented as far as what it has to take leaves room."""
        self._column = max(min(self._layout.indent, self._layout.width - needed), 0)
        self.lines.append([(" " * self._column, "")] if self._column else [])
        self._is_new = True

    def _write(self, gap: int, text: str, style: str) -> None:
        line = self.lines[-1]
        if line and line[-1][1] == style:
            line[-1] = (f"{line[-1][0]}{' ' * gap}{text}", style)
        else:
            line += [(" " * gap, ""), (text, style)] if gap else [(text, style)]
        self._column += gap + _length(text)
        self._is_new = False


def _chunks(text: str, layout: _Columns) -> Iterator[str]:
    """Yield the words of a text; a label such as ``+1:`` or ``by`` stays with its word, if both fit."""
    if len(text) <= _SHORT and text.strip():
        yield text.strip()
        return
    label = ""
    for word in text.split():
        chunk = f"{label} {word}" if label else word
        if label and _length(chunk) > layout.width - layout.indent:
            yield label
            chunk = word
        label = ""
        if chunk.endswith(":") or word in _LABELS:
            label = chunk
        else:
            yield chunk
    if label:
        yield label


def _length(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
