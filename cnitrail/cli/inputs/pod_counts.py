"""``pool --pods``: pod counts over time, in a CSV file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING

from cnitrail.errors import UsageError
from cnitrail.parse import parse_time
from cnitrail.sources.ipamd import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINT = "start it with the line time,pods; then 2024-05-14T09:30:00Z,12 means 12 pods from that time on"


def read_counts(uri: str) -> tuple[tuple[datetime, int], ...]:
    """Return the counts in a file, by time. Raises ``UsageError`` if a line is not a time and a count."""
    text = fetch(uri).decode("utf-8-sig", "replace")
    reader = csv.DictReader(StringIO(text, newline=None), skipinitialspace=True)
    try:
        counts = tuple(sorted(_counts(reader, uri)))
    except csv.Error as error:
        raise UsageError(f"{uri}: not CSV ({error})", _HINT) from None
    if not counts:
        raise UsageError(f"{uri}: it has no counts", _HINT)
    return counts


def _counts(reader: csv.DictReader[str], uri: str) -> Iterator[tuple[datetime, int]]:
    header = {column.strip().lower(): column for column in reader.fieldnames or ()}
    if not {"time", "pods"} <= header.keys():
        raise UsageError(f"{uri}: its header does not name time and pods", _HINT)
    for row in reader:
        time, pods = (str(row[header[name]] or "").strip() for name in ("time", "pods"))
        try:
            yield parse_time(time, datetime.now(UTC)), _count(pods)
        except (ValueError, OverflowError, OSError):
            message = (
                f"{uri}: line {reader.line_num}: {time[:40]!r},{pods[:40]!r} is not a time and a pod count"
            )
            raise UsageError(message, _HINT) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError(text)
    return int(text)
