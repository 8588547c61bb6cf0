"""Rows of any table → blocks of separated text, the form in which records are joined with their ends."""

from collections.abc import Iterator, Mapping
from typing import Final

from cnitrail.model import Extent, Skipped
from cnitrail.model.flows import FlowBlock, UnlistedRecords
from cnitrail.scan.error_list import ErrorList
from cnitrail.scan.flows.columns import fields_of, known_field
from cnitrail.scan.flows.values import text_of
from cnitrail.scan.split import UnreadableSpan
from cnitrail.scan.tally import Tally

SEPARATOR: Final = b"\x1f"
"""The unit separator of ASCII, which is escaped in values."""

_ROWS: Final = 4096
"""Rows that are put together before their columns are decided."""

_QUOTED: Final = 60
"""Number of bytes of a text that an error quotes."""


Read = FlowBlock | Skipped | UnlistedRecords
"""What is found in a file of flow logs."""


class RowBlocks:
    """Puts the rows of one file together to blocks.

    The columns of a block are all that its rows and those before it have; what a row lacks is ``-``.
    """

    def __init__(self, uri: str, index: int = 0) -> None:
        self.index = index
        """The index of the next row in the file."""
        self._uri = uri
        self._tally = Tally()
        self._errors = ErrorList(uri, self._tally)
        self._columns: dict[str, str] = {}
        """The columns so far, with their fields."""
        self._rows: list[Mapping[str, object]] = []

    def add(self, row: Mapping[str, object], fields: Mapping[str, str] | None = None) -> Iterator[FlowBlock]:
        """Take a row, and yield a block if one is complete; ``fields`` are those of its columns."""
        if not row.keys() <= self._columns.keys():
            for column in row:
                if column not in self._columns:
                    self._columns[column] = (fields or {}).get(column) or fields_of((column,))[0]
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            yield from self.rest()

    def unread(self, span: UnreadableSpan, *, is_record: bool = False) -> Iterator[Skipped]:
        """Yield what could not be read, if it is to be listed."""
        reason = span.reason + span.text[:_QUOTED].decode("utf-8", "replace") + span.after
        yield from self._errors.add(reason, Extent.RECORD if is_record else Extent.PART)

    def end(self) -> Iterator[Read]:
        """Yield what is left at the end of the file."""
        yield from self.rest()
        yield from self._errors.rest()
        if self._tally.unlisted:
            yield UnlistedRecords(self._tally.unlisted)

    def has_rest(self) -> bool:
        """Return whether there are rows in no block yet."""
        return bool(self._rows)

    def rest(self) -> Iterator[FlowBlock]:
        """Yield a block of the rows that are left."""
        if not self._rows:
            return
        columns, fields = tuple(self._columns), tuple(self._columns.values())
        separator = SEPARATOR.decode()
        lines = [
            separator.join([text_of(row.get(column), field) for column, field in self._columns.items()])
            for row in self._rows
        ]
        text = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        yield FlowBlock(
            uri=self._uri,
            columns=columns,
            fields=fields,
            text=text,
            separator=SEPARATOR,
            first=self.index,
        )
        self.index += len(self._rows)
        self._rows = []


def or_one_reason(uri: str, reads: Iterator[Read]) -> Iterator[Read]:
    """Yield what is read of a file; of one without any record that can be read, only the first reason."""
    early: list[Read] = []
    for read in reads:
        if isinstance(read, FlowBlock):
            yield from early
            yield read
            yield from reads
            return
        early.append(read)
    first = next((read for read in early if isinstance(read, Skipped)), None)
    if first is not None:
        yield Skipped(uri, first.reason)


def is_row(row: Mapping[str, object]) -> bool:
    """Return whether the keys of an object are those of a flow log record: it has an address, and times."""
    fields = {known_field(key) for key in row}
    return len(fields) > 2 and not fields.isdisjoint(
        ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "interface-id")
    )
