"""Flow log records with both ends, line by line: CSV, and JSON lines."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from cnitrail.model.flows import FlowEnd

Shared = tuple[bytes, bytes]
"""What is written before and after the middle of a record (``Middle``), the same in many records."""

PlainRow = tuple[bytes, Sequence[bytes], Shared | None]
"""A record of a plain text, its middle from place 1 on, and what is written around that.

Without the latter, the first is the record as it is written, or nothing.
"""


class LineWriter(Protocol):
    """Writes the records of files with certain columns.

    ``line`` writes any record. ``rows`` writes those of a text that ``plain`` returned, each with what
    ``shared`` returned for an earlier one that was the same except for its middle: it is faster, and the
    result is the same.
    """

    without_ends: bytes
    """What is written for the ends of a record without traffic."""

    def header(self) -> bytes:
        """Return what comes before the first record."""

    def ends(self, src: FlowEnd, dst: FlowEnd) -> bytes:
        """Return both ends as they are written in every record of such a flow."""

    def line(self, fields: Sequence[bytes], ends: bytes) -> bytes:
        """Return a whole record."""

    def plain(self, text: bytes, separator: bytes) -> tuple[bytes, bytes] | None:
        """Return records for ``rows``, and what separates their fields; None if they need ``line``."""

    def shared(self, fields: Sequence[bytes], ends: bytes) -> Shared | None:
        """Return what is written before and after the middle of a record; None if it needs ``line``."""

    def rows(self, rows: Iterable[PlainRow]) -> bytes:
        """Return many whole records."""


OpenWriter = Callable[[tuple[str, ...], tuple[str, ...]], LineWriter]
"""Returns the writer for records with certain columns, which are these fields of AWS."""
