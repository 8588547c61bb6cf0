"""Timesketch: JSON lines that its importer takes as they are.

Each line has the three fields that Timesketch wants, ``message``, ``datetime`` (ISO 8601 with an
offset) and ``timestamp_desc`` (what the time is of), then plaso's ``data_type``, then ours under the
names of the CSV columns (https://timesketch.org/guides/user/import-from-json-csv/). A field that
says nothing is left out.
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
    """Write a line for each entry, at the time of its event."""
    for entry in answer.entries:
        said = _said(timeline.sentence(entry), entry.time, "Event Time", answer.command)
        out.write(line({**said, **fields(timeline.COLUMNS, entry)}))


def write_leases(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write a line for each bound of a lease whose time is known.

    A lease of which neither is known stands at the first event of the evidence, and says so.
    """
    for entry in answer.entries:
        moments = list(_bounds(entry))
        if not moments and answer.evidence.first_event is not None:
            unbound = f"{_subject(entry)}; neither its start nor its end is known"
            moments = [(answer.evidence.first_event, "First Event Of Evidence", unbound)]
        shared = fields(leases.COLUMNS, entry)
        for time, of_what, message in moments:
            out.write(line({**_said(message, time, of_what, answer.command), **shared}))


def _bounds(entry: LeaseEntry) -> Iterator[tuple[datetime, str, str]]:
    """The known bounds of a lease: the time, what it is of, and a sentence."""
    for time, basis, by, of_what, says in (
        (entry.start, entry.start_basis, entry.assigned_by, "Lease Start", "from here on"),
        (entry.end, entry.end_basis, entry.released_by, "Lease End", "up to here"),
    ):
        if time is not None:
            actor = f", by {named(by)}" if by else ""
            doubt = "" if basis is Basis.OBSERVED else f" ({basis.value})"
            yield time, of_what, f"{_subject(entry)} {says}{doubt}{actor}"


def _subject(entry: LeaseEntry) -> str:
    instances = [each.instance for each in entry.attachments if each.instance]
    on = f" of {' '.join(instances)}" if instances else ""
    return f"{entry.ip} ({entry.kind.value}) on {entry.eni}{on}"


def _said(message: str, time: datetime, of_what: str, command: str) -> dict[str, object]:
    return {
        "message": printable(message),
        "datetime": time.isoformat(),
        "timestamp_desc": of_what,
        "data_type": f"cnitrail:{command}",
    }
