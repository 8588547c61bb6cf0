"""The rows of a part of a table → CloudTrail records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cnitrail.model import Extent, Origin, Record, Skipped
from cnitrail.scan.rows import Rebuilt, Refused, rebuild
from cnitrail.scan.tally import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.model.table import TablePart, TableRow
    from cnitrail.scan.tally import Tally


def read_part(part: TablePart, tally: Tally) -> Iterator[Record | Skipped]:
    """Yield the records in a part's rows, and what could not be read; count all of its records."""
    tally.signs |= part.signs
    if part.passed_over:
        tally.records += part.passed_over
        tally.passed_over += part.passed_over
        tally.forms[part.form] = part.passed_over
    listed: set[str] = set()
    for row in part.rows:
        rebuilt = rebuild(row.cells, is_table=True, has_nulls=True)
        match rebuilt:
            case Rebuilt():
                _count(tally, rebuilt.form, row.copies)
                yield _record(row, rebuilt)
                if rebuilt.unread is not None:
                    yield Skipped(row.source, f"record {row.index}: {rebuilt.unread}", Extent.PART)
            case Refused():
                yield from _unreadable(tally, row, rebuilt.reason, listed)
            case None:
                yield from _unreadable(tally, row, "the row is no CloudTrail record", listed)
    if tally.unlisted:
        yield Skipped(part.uri, f"{tally.unlisted:,} more unreadable rows", Extent.PART)


def _record(row: TableRow, rebuilt: Rebuilt) -> Record:
    origins = (Origin(row.source, row.index + number, rebuilt.form) for number in range(row.copies))
    return Record(tuple(origins), msgspec.json.encode(rebuilt.record, enc_hook=str))


def _unreadable(tally: Tally, row: TableRow, reason: str, listed: set[str]) -> Iterator[Skipped]:
    """Yield a row from which no record can be rebuilt, if it is the first one of a part for this reason."""
    _count(tally, UNREADABLE, row.copies)
    tally.unlisted += row.copies
    if reason not in listed:
        listed.add(reason)
        tally.unlisted -= 1
        yield Skipped(row.source, f"record {row.index}: {reason}", Extent.RECORD)


def _count(tally: Tally, form: str, number: int) -> None:
    tally.records += number
    tally.forms[form] = tally.forms.get(form, 0) + number
