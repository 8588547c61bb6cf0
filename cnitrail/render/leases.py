"""Leases as a table and as CSV."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import IO

from msgspec import Struct

from cnitrail.model import Actor, Answer, Basis, HoldingKind, LeaseEntry
from cnitrail.model.callers import named
from cnitrail.model.reason import ReasonCode
from cnitrail.render.csv import Columns, table
from cnitrail.render.shared import TimeStyle, context, shared, time_style
from cnitrail.render.table_columns import Column, column_table, joined_columns, row_cells
from cnitrail.render.text import Part, Screen, Table, draw_blocks, draw_fitting, draw_lines

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
    "doubt": lambda entry: entry.doubt and entry.doubt.value,
}


def write_csv(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write one CSV line per lease."""
    out.writelines(table(COLUMNS, answer.entries))


def write_table(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write a table of the leases: fitted to a screen, or with everything in one line each."""
    if not isinstance(out, Screen):
        write_wide(answer, out)
    elif answer.entries:
        rows = [_row(entry) for entry in answer.entries]
        common = shared(rows, ("account", "region", "vpc", *(["instance"] if len(rows) > 1 else [])))
        times = time_style(time for entry in answer.entries for time in (entry.start, entry.end))
        draw_blocks([context(common, times.heading)], out)
        draw_fitting(_layouts(rows, times, common), out)


def write_wide(answer: Answer[LeaseEntry], out: IO[str]) -> None:
    """Write a table of the leases with everything in one line each."""
    if answer.entries:
        columns = [*_WIDE, *([_NOTE] if any(map(_notes, answer.entries)) else [])]
        times = TimeStyle(None)
        rows = (row_cells(columns, _row(entry), times) for entry in answer.entries)
        draw_lines([heading for heading, _ in columns], rows, out)


class _LeaseRow(Struct, frozen=True, kw_only=True):
    """A lease with the texts that are shared or not."""

    entry: LeaseEntry
    account: str | None
    region: str | None
    vpc: str
    instance: str


def _row(entry: LeaseEntry) -> _LeaseRow:
    instances = " ".join(attachment.instance for attachment in entry.attachments if attachment.instance)
    return _LeaseRow(
        entry=entry,
        account=entry.account,
        region=entry.region,
        vpc=entry.vpc or "VPC unknown",
        instance=instances,
    )


_Column = Column[_LeaseRow]


def _start(row: _LeaseRow, times: TimeStyle) -> Iterator[Part]:
    yield _time(row.entry.start, row.entry.start_basis, times), ""


def _end(row: _LeaseRow, times: TimeStyle) -> Iterator[Part]:
    style = "green" if row.entry.end_basis is Basis.OPEN else ""
    yield _time(row.entry.end, row.entry.end_basis, times), style


def _time(time: datetime | None, basis: Basis, times: TimeStyle) -> str:
    """Return a bound with its basis unless it is observed."""
    if time is None:
        return "still held" if basis is Basis.OPEN else f"({basis.value})"
    return times.show(time) + ("" if basis is Basis.OBSERVED else f" ({basis.value})")


def _held(row: _LeaseRow, times: TimeStyle) -> Iterator[Part]:
    (start, _), (end, style) = *_start(row, times), *_end(row, times)
    is_over = row.entry.end_basis is not Basis.OPEN
    yield (start if is_over else f"{start},"), ""
    yield (f"to {end}" if is_over else end), style


def _principal(actor: Actor | None) -> Iterator[Part]:
    if actor is not None:
        yield named(actor), ""


def _address(row: _LeaseRow, _: TimeStyle) -> Iterator[Part]:
    yield str(row.entry.ip), "bold"


def _noted_address(row: _LeaseRow, times: TimeStyle) -> Iterator[Part]:
    yield from _address(row, times)
    yield from _short_notes(row.entry)


def _address_and_kind(row: _LeaseRow, times: TimeStyle) -> Iterator[Part]:
    yield from _address(row, times)
    if row.entry.kind is not HoldingKind.SECONDARY:
        yield row.entry.kind.value, "dim"
    yield from _short_notes(row.entry)


def _short_notes(entry: LeaseEntry) -> Iterator[Part]:
    if entry.unproven:
        yield "not verified", "magenta"
    if entry.doubt:
        yield _DOUBTS[entry.doubt].partition(":")[0], "magenta"


def _notes(entry: LeaseEntry) -> list[Part]:
    """Return why a lease may not be as it is shown."""
    notes = ["not verified: no valid digest covers it"] if entry.unproven else []
    notes += [_DOUBTS[entry.doubt]] if entry.doubt else []
    return [(note, "magenta") for note in notes]


_DOUBTS = {
    ReasonCode.ORDER_UNKNOWN: "order unknown: several calls of its first second moved it",
    ReasonCode.MAY_BE_TAKEN: "may be taken: another ENI got it, perhaps in the same VPC",
}


_ADDRESS: _Column = ("ADDRESS", _address)
_KIND: _Column = ("KIND", lambda row, _: [(row.entry.kind.value, "")])
_START: _Column = ("START", _start)
_END: _Column = ("END", _end)
_ENI: _Column = ("ENI", lambda row, _: [(row.entry.eni, "")])
_INSTANCE: _Column = ("INSTANCE", lambda row, _: [(name, "") for name in row.instance.split()])
_ASSIGNED: _Column = ("ASSIGNED BY", lambda row, _: _principal(row.entry.assigned_by))
_RELEASED: _Column = ("RELEASED BY", lambda row, _: _principal(row.entry.released_by))
_VPC: _Column = ("VPC", lambda row, _: [(row.vpc, "")])
_ACCOUNT: _Column = ("ACCOUNT", lambda row, _: [(row.account or "account unknown", "")])
_REGION: _Column = ("REGION", lambda row, _: [(row.region or "Region unknown", "")])
_NOTE: _Column = ("NOTE", lambda row, _: _notes(row.entry))
_NOTED_ADDRESS: _Column = ("ADDRESS", _noted_address)
_SHORT_ADDRESS: _Column = ("ADDRESS", _address_and_kind)
_HELD: _Column = ("HELD", _held)
_WIDE = (
    *(_ADDRESS, _KIND, ("START (UTC)", _start), ("END (UTC)", _end), _ENI, _INSTANCE),
    *(_ASSIGNED, _RELEASED, _VPC, _ACCOUNT, _REGION),
)


def _layouts(rows: Sequence[_LeaseRow], times: TimeStyle, common: Collection[str]) -> Iterator[Table]:
    """Yield the layouts for a screen, from the widest to the narrowest: the last is one for blocks.

    What all rows have in common is left out.
    """
    instance = [] if "instance" in common else [_INSTANCE]
    places = {"vpc": _VPC, "account": _ACCOUNT, "region": _REGION}
    place = [column for name, column in places.items() if name not in common]
    on = joined_columns((_ENI, *instance, *place))
    one_line = (_NOTED_ADDRESS, _KIND, _START, _END, _ENI, *instance, *place, _ASSIGNED, _RELEASED)
    yield column_table(one_line, rows, times)
    yield column_table(one_line[:-1], rows, times)
    yield column_table((_SHORT_ADDRESS, _START, _END, _ENI, *instance, *place, _ASSIGNED), rows, times)
    yield column_table((_SHORT_ADDRESS, _START, _END, on, _ASSIGNED), rows, times)
    yield column_table((_SHORT_ADDRESS, _HELD, on, _ASSIGNED), rows, times, {"ASSIGNED BY": 1})
    yield column_table((_SHORT_ADDRESS, joined_columns((_HELD, _ASSIGNED)), on), rows, times)
    yield column_table((_SHORT_ADDRESS, _HELD, _ENI, *instance, *place, _ASSIGNED), rows, times)


def bound(time: datetime | None, basis: Basis, actor: Actor | None) -> list[Part]:
    """Return a lease's start or end as text: time, basis unless observed, and principal."""
    parts: list[Part] = []
    if time is not None:
        parts += [(f"{time:%Y-%m-%d}", ""), (f"{time:%H:%M:%S}", "")]
    if basis is not Basis.OBSERVED:
        parts.append((f"({basis.value})", "magenta"))
    if actor is not None:
        parts.append((f"by {named(actor)}", "dim"))
    return parts
