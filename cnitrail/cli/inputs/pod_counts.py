"""``pool --pods``: how many pods had an address, in a CSV file."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from cnitrail.cli.options import time_of
from cnitrail.errors import UsageError
from cnitrail.sources.ipamd import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_HINT = "begin it with the line time,pods; 2024-05-14T09:30:00Z,12 says that there were twelve from then on"


def read_counts(uri: str) -> tuple[tuple[datetime, int], ...]:
    """The counts of a file, by time. Raises ``UsageError`` where a line is none."""
    text = fetch(uri).decode("utf-8-sig", "replace")
    reader = csv.DictReader(StringIO(text, newline=None), skipinitialspace=True)
    try:
        counts = tuple(sorted(_counts(reader, uri)))
    except csv.Error as error:
        raise UsageError(f"{uri}: not CSV ({error})", _HINT) from None
    if not counts:
        raise UsageError(f"{uri}: no counts in it", _HINT)
    return counts


def _counts(reader: csv.DictReader[str], uri: str) -> Iterator[tuple[datetime, int]]:
    header = {column.strip().lower(): column for column in reader.fieldnames or ()}
    if not {"time", "pods"} <= header.keys():
        raise UsageError(f"{uri}: no header that names time and pods", _HINT)
    for row in reader:
        time, pods = (str(row[header[name]] or "").strip() for name in ("time", "pods"))
        try:
            yield time_of(time), _count(pods)
        except (ValueError, OverflowError, OSError):
            said = f"{uri}: line {reader.line_num}: {time[:40]!r},{pods[:40]!r} is no time and number of pods"
            raise UsageError(said, _HINT) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError(text)
    return int(text)
