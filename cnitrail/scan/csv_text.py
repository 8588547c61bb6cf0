"""A CSV text → its rows, by column name; only one row is kept in memory."""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.envelope_tree import ROOT
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.rows.names import COLUMNS, folded
from cnitrail.scan.split import RECORD_LIMIT, UnreadableSpan

_DELIMITERS: Final = ",;\t|"
_QUOTED = re.compile(r'"[^"]*+"?')
_SEPARATOR = re.compile(rb"sep=[,;\t|]\r?\n")
"""The first line that names the separator of the cells, for Excel."""

_MOST_COLUMNS: Final = 2000
"""Maximum number of columns; the widest known table, Kibana's, has a few hundred."""

_MAYBE_WITH_A_RECORD: Final = frozenset(("message", "record", "raw", "log", "event", "Body", "line", "Line"))
"""Columns that may have a record. A line that is only such a word is not a line of column names."""

_WITH_A_RECORD: Final = (
    {key for key, place in ROOT.keys.items() if place.text is not None} - _MAYBE_WITH_A_RECORD
) | {"cloudtrailevent", "eventJson", "eventjson"}
"""Columns that have a whole record: those with an envelope, and those of Athena and CloudTrail Lake."""

_OF_A_TABLE: Final = (
    {"Event name", "Event time"},
    {"EventName", "TimeGenerated"},
    {"EventName", "TimeGenerated [UTC]"},
    {"event.action", "@timestamp"},
    {"api", "metadata"},
)
"""Columns of the console's event history, Sentinel, Kibana and OCSF."""


def looks_like_csv(head: bytes) -> bool:
    """Return whether a text begins with a line of column names of an export with CloudTrail events."""
    first = _SEPARATOR.sub(b"", head.lstrip(b"\r\n")).partition(b"\n")[0].rstrip(b"\r")
    if first[:1] in (b"", b"{", b"[", b"<", b" ") or len(first) > 64 * 1024:
        return False
    line = first.decode("utf-8", "replace")
    names = {name.strip().strip('"') for name in line.split(_delimiter_of(line))}
    fields = {folded(name) for name in names} & COLUMNS.keys()
    return (
        not names.isdisjoint(_WITH_A_RECORD)
        or (len(names) > 1 and not names.isdisjoint(_MAYBE_WITH_A_RECORD))
        or any(table <= names for table in _OF_A_TABLE)
        or (len(fields) > 1 and not fields.isdisjoint(("eventname", "eventtime")))
    )


def csv_rows(pieces: Iterator[Bytes]) -> Iterator[dict[str, object] | UnreadableSpan]:
    """Yield the rows of a CSV text by column name, and what cannot be read; an empty cell is None.

    Reading stops where the quotes are wrong: from there on, the text in a cell could pass for a row.
    """
    import csv

    # A record may be longer than what the csv module allows in a cell. The limit is the process's.
    csv.field_size_limit(max(csv.field_size_limit(), RECORD_LIMIT))
    lines = _Lines(pieces)
    first = next(lines, "")
    if _SEPARATOR.fullmatch(first.encode()):
        first = next(lines, "")
    reader = csv.reader(chain((first,), lines), delimiter=_delimiter_of(first), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if problem := _problem_of(header):
            yield UnreadableSpan(problem)
            return
        lines.row_length = 0
        for cells in reader:
            lines.row_length = 0
            if cells == header:
                continue  # files were put together
            if len(cells) == len(header):
                yield {name: cell or None for name, cell in zip(header, cells, strict=True)}
            elif cells:
                yield UnreadableSpan(
                    f"line {reader.line_num} of the CSV has {len(cells)} cells, not {len(header)}"
                )
    except (csv.Error, _TooLongRow) as error:
        if lines.torn is None:
            yield UnreadableSpan(f"broken CSV at line {reader.line_num} ({error}); not read from there on")
    if lines.torn is not None:
        yield UnreadableSpan(lines.torn)


def _problem_of(header: list[str]) -> str | None:
    """Return what is wrong with the column names."""
    if len(header) > _MOST_COLUMNS:
        return f"a CSV file with {len(header):,} columns"
    repeated = next((name for name in header if header.count(name) > 1), None)
    return None if repeated is None else f"the CSV file has the column {repeated[:60]!r} twice"


def _delimiter_of(line: str) -> str:
    """Return what separates the column names in a line: the most frequent delimiter."""
    unquoted = _QUOTED.sub("", line)
    return max(_DELIMITERS, key=unquoted.count)


class _TooLongRow(Exception):
    """A row is longer than a record can be."""

    def __init__(self) -> None:
        super().__init__(f"a row is longer than {RECORD_LIMIT >> 20} MB")


class _Lines:
    """The lines of a text with their ends; a row may have several.

    ``row_length`` is the number of characters of the row, which the reader of the rows sets to 0. ``torn``
    says how the stream is torn; its last line, which is not whole, is left out.
    """

    def __init__(self, pieces: Iterator[Bytes]) -> None:
        self.torn: str | None = None
        self.row_length = 0
        self._lines = self._split(pieces)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.row_length += len(line)
        if self.row_length > RECORD_LIMIT:
            raise _TooLongRow
        return line

    def _split(self, pieces: Iterator[Bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        open_line: list[str] = []
        length = 0
        try:
            for piece in pieces:
                first, *others = decoder.decode(piece).split("\n")
                open_line.append(first)
                for other in others:
                    yield "".join(open_line) + "\n"
                    open_line, length = [other], 0
                length += len(open_line[-1])
                if length > RECORD_LIMIT:
                    raise _TooLongRow
        except TornStream as error:
            self.torn = str(error)
            return
        last = "".join(open_line) + decoder.decode(b"", final=True)
        if last:
            yield last
