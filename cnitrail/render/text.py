"""Tables and blocks for people: fitted to a terminal, untruncated when piped."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import IO, Protocol, runtime_checkable

from msgspec import Struct

from cnitrail.render.safe import printable

Part = tuple[str, str]
"""A text and its rich style; the text may come from a record."""

Row = Sequence[Sequence[Part]]
"""Cells, each a sequence of parts: stacked in a terminal, side by side when piped."""

_SEPARATOR = "  "
_WIDTH = 100
"""Line width of an output that is no screen, in characters."""


class Table(Struct, frozen=True):
    """Column headings and rows.

    ``shares`` names the columns that fold in a narrow terminal, each with its share of the remaining width,
    ``right`` the columns of numbers.
    """

    headings: tuple[str, ...]
    rows: Sequence[Row]
    shares: Mapping[str, int]
    right: Collection[str] = ()


class Group(Struct, frozen=True):
    """Rows, and above them the parts of the header line, what they share, and of one more line."""

    header: Sequence[Part]
    rows: Sequence[Row]
    note: Sequence[Part] = ()


class GroupedTable(Struct, frozen=True):
    """Column headings and groups of rows; the last cell of a row is a running text."""

    headings: tuple[str, ...]
    groups: Sequence[Group]


class Paragraph(Struct, frozen=True):
    """Parts that follow each other in one running text, and the number of characters it is indented by.

    ``hanging`` indents its lines after the first by more, whatever is in them. A text ``as_is`` is not
    wrapped, such as a command that is copied from the screen.
    """

    parts: Sequence[Part]
    indent: int = 0
    hanging: int = 0
    as_is: bool = False


Block = Sequence[Paragraph]
"""One answer as a few paragraphs below each other; an empty line separates it from the next."""


@runtime_checkable
class Painted(Protocol):
    """An output that gets colors."""

    def paint(self, text: str, style: str) -> str:
        """Return a printable text in a rich style."""


@runtime_checkable
class Screen(Painted, Protocol):
    """An output that lays tables out by itself, such as a terminal."""

    @property
    def width(self) -> int:
        """Return the number of characters in a line."""

    def fits(self, table: Table) -> bool:
        """Return whether a table fits, with nothing folded but its columns that have a share."""

    def draw(self, table: Table) -> None:
        """Draw a table, fitted to the width."""

    def draw_block(self, block: Block) -> None:
        """Draw a block, wrapped between words only."""

    def draw_groups(self, table: GroupedTable) -> None:
        """Draw groups of rows, fitted to the width."""


def width_of(out: IO[str]) -> int:
    """Return the number of characters that fit in a line of an output."""
    return out.width if isinstance(out, Screen) else _WIDTH


def draw(table: Table, out: IO[str]) -> None:
    """Draw a table on a screen, or write it untruncated to anything else."""
    if isinstance(out, Screen):
        out.draw(table)
    else:
        draw_wide(table, out)


def draw_fitting(layouts: Iterable[Table], out: IO[str]) -> None:
    """Draw the first of several layouts of one table that fits a screen; the last of them if none does.

    Any other output gets the first one.
    """
    for table in layouts:
        if not isinstance(out, Screen) or out.fits(table):
            break
    draw(table, out)


def draw_blocks(blocks: Iterable[Block], out: IO[str]) -> None:
    """Draw blocks on a screen, or write each paragraph as one line to anything else."""
    show = _shown_on(out)
    for number, block in enumerate(blocks):
        if number:
            out.write("\n")
        if isinstance(out, Screen):
            out.draw_block(block)
        else:
            for paragraph in block:
                text = "".join(show(printable(text), style) for text, style in paragraph.parts)
                out.write(f"{' ' * paragraph.indent}{text}\n")


def draw_wide(table: Table, out: IO[str]) -> None:
    """Write a table with one line a row, however long the lines are."""
    draw_lines(table.headings, table.rows, out, table.right)


def draw_lines(
    headings: Sequence[str], rows: Iterable[Row], out: IO[str], right: Collection[str] = ()
) -> None:
    """Write rows with one line each below their headings; of each row, only its texts are kept."""
    paint = out.paint if isinstance(out, Painted) else None
    texts = [[*headings]]
    shown = [[paint(heading, "bold") for heading in headings]] if paint else texts
    for row in rows:
        texts.append([" ".join([printable(text) for text, _ in cell if text]) for cell in row])
        if paint:
            shown.append(
                [" ".join([paint(printable(text), style) for text, style in cell if text]) for cell in row]
            )
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    is_right = [heading in right for heading in headings]
    for plain, cells in zip(texts, shown, strict=True):
        line = [
            f"{' ' * (width - len(text))}{cell}" if is_number else f"{cell}{' ' * (width - len(text))}"
            for text, cell, width, is_number in zip(plain, cells, widths, is_right, strict=True)
        ]
        out.write(_SEPARATOR.join(line).rstrip() + "\n")


def _shown_on(out: IO[str]) -> Callable[[str, str], str]:
    """Return how an output shows a text with a style: in color only if it gets colors."""
    return out.paint if isinstance(out, Painted) else lambda text, _style: text
