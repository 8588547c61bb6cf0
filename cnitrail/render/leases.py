"""Leases as a table and as CSV."""

from datetime import datetime
from typing import IO

from cnitrail.model import Actor, Answer, Basis, LeaseEntry
from cnitrail.model.callers import named
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw

COLUMNS: Columns = {
    "ip": lambda entry: str(entry.ip),
    "kind": lambda entry: entry.kind.value,
    "account": lambda entry: entry.account,
    "region": lambda entry: entry.region,
    "vpc": lambda entry: entry.vpc,
    "subnet": lambda entry: entry.subnet,
    "eni": lambda entry: entry.eni,
    "eni_kind": lambda entry: entry.eni_kind,
    "start": lambda entry: entry.start,
    "start_basis": lambda entry: entry.start_basis.value,
    "start_event": lambda entry: entry.start_event,
    "assigned_by": lambda entry: entry.assigned_by and entry.assigned_by.label,
    "assigned_by_kind": lambda entry: entry.assigned_by and entry.assigned_by.kind.value,
    "end": lambda entry: entry.end,
    "end_basis": lambda entry: entry.end_basis.value,
    "end_event": lambda entry: entry.end_event,
    "released_by": lambda entry: entry.released_by and entry.released_by.label,
    "unproven": lambda entry: entry.unproven,
    "released_by_kind": lambda entry: entry.released_by and entry.released_by.kind.value,
    "instances": lambda entry: [
        attachment.instance for attachment in entry.attachments if attachment.instance
    ],
}


def write_csv(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write one CSV line per lease."""
    out.writelines(table(COLUMNS, answer.entries))


def write_table(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write a table of the leases."""
    if answer.entries:
        headings = ("ADDRESS", "START (UTC)", "END (UTC)", "ENI", "INSTANCE")
        draw(
            Table(
                headings, [_row(entry) for entry in answer.entries], shares={"START (UTC)": 1, "END (UTC)": 1}
            ),
            out,
        )


def _row(entry: LeaseEntry) -> Row:
    return (
        [(str(entry.ip), "bold"), (entry.kind.value, "dim")],
        bound(entry.start, entry.start_basis, entry.assigned_by),
        bound(entry.end, entry.end_basis, entry.released_by),
        [
            (entry.eni, ""),
            (entry.vpc or "VPC unknown", "dim"),
            *([("not verified: no valid digest covers it", "yellow")] if entry.unproven else []),
        ],
        [(attachment.instance, "cyan") for attachment in entry.attachments if attachment.instance],
    )


def bound(time: datetime | None, basis: Basis, actor: Actor | None) -> list[Part]:
    """Return a lease's start or end as text: time, basis unless observed, and principal."""
    parts: list[Part] = []
    if time is not None:
        parts += [(f"{time:%Y-%m-%d}", ""), (f"{time:%H:%M:%S}", "")]
    if basis is not Basis.OBSERVED:
        parts.append((f"({basis.value})", "yellow"))
    if actor is not None:
        parts.append((f"by {named(actor)}", "dim"))
    return parts
