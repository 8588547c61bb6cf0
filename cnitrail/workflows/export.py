"""Store → lines in the form of LookupEvents: ``collect --export``."""

from __future__ import annotations

from typing import IO

from cnitrail.decode import decode
from cnitrail.decode.envelope import enveloped
from cnitrail.model import Extent, Record, Scope, Skipped
from cnitrail.render.lookup_events import event_line
from cnitrail.store.reader import StoreReader

_MAX_FIRST_LINE = 64 * 1024
"""Bytes of the first line that plaso reads to recognize a file."""


def export(store: str, out: IO[str]) -> tuple[int, list[Skipped]]:
    """Write every event of a store once; return how many there are, and those that were left out."""
    written: set[str] = set()
    left_out: dict[str, list[Skipped]] = {}
    long_lines: list[str] = []
    for record in StoreReader(store, Scope()).documents():
        fact = decode(record).fact if isinstance(record, Record) else None
        if not isinstance(record, Record) or fact is None:
            continue
        key = fact.event_id or fact.key
        if key in written:
            continue
        event = enveloped(record, fact)
        if not event.has_identity:
            reason = "not exported: it has no userIdentity, and plaso reads nothing after such an event"
            left_out.setdefault(key, []).extend(
                Skipped(origin.source, f"record {origin.index}: {reason}", Extent.RECORD)
                for origin in record.origins
            )
            continue
        written.add(key)
        line = event_line(event)
        if len(line.encode()) <= _MAX_FIRST_LINE:
            out.write(line)
        else:
            long_lines.append(line)
    out.writelines(long_lines)
    skipped = [skip for key in left_out.keys() - written for skip in left_out[key]]
    return len(written), sorted(skipped, key=lambda skip: (skip.source, skip.reason))
