"""Timesketch: JSON lines that its importer accepts without a mapping.

Each line has the three fields that Timesketch requires, ``message``, ``datetime`` (ISO 8601 with an
offset) and ``timestamp_desc`` (what the time means), then plaso's ``data_type``, then our fields under the
names of the CSV columns (https://timesketch.org/guides/user/import-from-json-csv/). Empty
fields are left out.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import IO

from cnitrail.model import Answer, Basis, LeaseEntry, TimelineEntry
from cnitrail.model.callers import named
from cnitrail.render import leases, timeline
from cnitrail.render.csv import fields
from cnitrail.render.json import line
from cnitrail.render.safe import printable


def write_timeline(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Write one line per entry, at the time of its event."""
    for entry in answer.entries:
        required = _required(timeline.sentence(entry), entry.time, "Event Time", answer.command)
        out.write(line({**required, **fields(timeline.COLUMNS, entry)}))


def write_leases(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write one line for each known bound of a lease.

    A lease without a known bound gets one line at the first event of the evidence, which says so.
    """
    for entry in answer.entries:
        moments = list(_bounds(entry))
        if not moments and answer.evidence.first_event is not None:
            unbounded = f"{_subject(entry)}: start and end unknown"
            moments = [(answer.evidence.first_event, "First Event Of Evidence", unbounded)]
        shared = fields(leases.COLUMNS, entry)
        for time, description, message in moments:
            out.write(line({**_required(message, time, description, answer.command), **shared}))


def _bounds(entry: LeaseEntry) -> Iterator[tuple[datetime, str, str]]:
    """Yield the known bounds of a lease: the time, what it means, and a sentence."""
    for time, basis, actor, description, verb in (
        (entry.start, entry.start_basis, entry.assigned_by, "Lease Start", "assigned"),
        (entry.end, entry.end_basis, entry.released_by, "Lease End", "released"),
    ):
        if time is not None:
            by = f", {verb} by {named(actor)}" if actor else ""
            doubt = "" if basis is Basis.OBSERVED else f" ({basis.value})"
            yield time, description, f"{description.capitalize()}{doubt}: {_subject(entry)}{by}"


def _subject(entry: LeaseEntry) -> str:
    instances = [attachment.instance for attachment in entry.attachments if attachment.instance]
    on = f" ({' '.join(instances)})" if instances else ""
    return f"{entry.ip} ({entry.kind.value}) on {entry.eni}{on}"


def _required(message: str, time: datetime, description: str, command: str) -> dict[str, object]:
    return {
        "message": printable(message),
        "datetime": time.isoformat(),
        "timestamp_desc": description,
        "data_type": f"cnitrail:{command}",
    }
