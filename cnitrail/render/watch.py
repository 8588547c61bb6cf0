"""What a watch finds, batch by batch: as a table that goes on, as JSON lines, as CSV."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from textwrap import wrap
from typing import IO, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import Answer, CallOutcome, Finding, TimelineEntry
from cnitrail.render.json import line
from cnitrail.render.safe import printable
from cnitrail.render.text import Paragraph, Screen, draw_blocks, width_of
from cnitrail.render.timeline import sentence
from cnitrail.render.writers import writer
from cnitrail.text import capitalized, clock, iso

FORMATS = ("table", "jsonl", "csv")
"""The formats that can be written batch by batch."""

_MARKS = ("seen_at", "late", "updated")


class Mark(Struct, frozen=True, kw_only=True):
    """What a watch adds to an entry; ``seen_at`` is aware, UTC, ``late`` says how late the entry is."""

    seen_at: datetime
    late: str | None = None
    updated: bool = False

    @property
    def cells(self) -> dict[str, str | bool]:
        """Return the fields that are added in JSON and CSV."""
        return {"seen_at": iso(self.seen_at), "late": self.late is not None, "updated": self.updated}

    @property
    def note(self) -> str:
        """Return what is noted before an entry that a person reads; empty if there is nothing."""
        notes = [f"late by {self.late}"] if self.late else []
        return ", ".join([*notes, "updated"] if self.updated else notes)


def write(answer: Answer[Any], marks: Sequence[Mark], output: str, out: IO[str], *, first: bool) -> None:
    """Write a batch of entries, each with its mark. ``first``: nothing was written before."""
    {"table": _write_table, "jsonl": _write_lines, "csv": _write_csv}[output](answer, marks, out, first)


def _write_lines(answer: Answer[Any], marks: Sequence[Mark], out: IO[str], _first: bool) -> None:
    lines = _written(answer, "jsonl")
    out.writelines(
        line({**msgspec.json.decode(text), **mark.cells}) for text, mark in zip(lines, marks, strict=True)
    )


def _write_csv(answer: Answer[Any], marks: Sequence[Mark], out: IO[str], first: bool) -> None:
    header, *rows = _written(answer, "csv")
    if first:
        out.write(f"{header},{','.join(_MARKS)}\n")
    for row, mark in zip(rows, marks, strict=True):
        cells = (str(cell).lower() if isinstance(cell, bool) else cell for cell in mark.cells.values())
        out.write(",".join((row, *cells)) + "\n")


def _written(answer: Answer[Any], output: str) -> list[str]:
    """Return the lines of a batch in a format that has one line for each entry."""
    text = StringIO()
    writer(answer.command, output)(answer, text)
    return [written for written in text.getvalue().split("\n") if written]


def _write_table(answer: Answer[Any], marks: Sequence[Mark], out: IO[str], first: bool) -> None:
    if not answer.entries:
        return
    if answer.command == "timeline":
        rows = (_row(entry, mark, out) for entry, mark in zip(answer.entries, marks, strict=True))
        heading = [Paragraph([(_HEADING, "bold")])] if first else []
        draw_blocks([[*heading, *(paragraph for row in rows for paragraph in row)]], out)
        return
    if not first:
        out.write("\n")
    entries = [_noted(entry, mark) for entry, mark in zip(answer.entries, marks, strict=True)]
    writer(answer.command, "table")(replace(answer, entries=entries), out)


_TIME_WIDTH = len("2022-10-05 13:15:46Z  ")
_HEADING = "TIME (UTC)".ljust(_TIME_WIDTH) + "API CALL"


def _row(entry: TimelineEntry, mark: Mark, out: IO[str]) -> Iterator[Paragraph]:
    """Yield the lines of an entry: one, or on a screen as many as it takes, below each other."""
    note = f"{mark.note}: " if mark.note else ""
    text = printable(f"{note}{sentence(entry)}")
    lines = [text]
    if isinstance(out, Screen):
        width = max(width_of(out) - _TIME_WIDTH, 1)
        lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
    style = "bold red" if entry.outcome is CallOutcome.FAILED else "magenta" if mark.late else ""
    yield Paragraph([(f"{clock(entry.time)}  ", "dim"), (lines[0], style)])
    for more in lines[1:]:
        yield Paragraph([(more, style)], indent=_TIME_WIDTH)


def _noted(finding: Finding, mark: Mark) -> Finding:
    return (
        replace(finding, sentence=f"{capitalized(mark.note)}: {finding.sentence}") if mark.note else finding
    )
