"""Pods as a table and as CSV."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import IO

from msgspec import Struct

from cnitrail.model import Answer, Basis
from cnitrail.model.pods import PodEntry
from cnitrail.model.reason import Reason
from cnitrail.render.csv import Columns, table
from cnitrail.render.pod_parts import moment, name_of
from cnitrail.render.shared import TimeStyle, context, shared, time_style
from cnitrail.render.table_columns import Column, column_table, joined_columns, row_cells
from cnitrail.render.text import Paragraph, Part, Screen, Table, draw_blocks, draw_fitting, draw_lines
from cnitrail.text import fraction

COLUMNS: Columns = {
    "ip": lambda entry: str(entry.ip),
    "namespace": lambda entry: entry.namespace,
    "pod": lambda entry: entry.pod,
    "uid": lambda entry: entry.uid,
    "start": lambda entry: moment(entry.start),
    "start_not_before": lambda entry: moment(entry.start_not_before),
    "start_basis": lambda entry: entry.start_basis.value,
    "start_witness": lambda entry: entry.start_witness,
    "end": lambda entry: moment(entry.end),
    "end_not_before": lambda entry: moment(entry.end_not_before),
    "end_basis": lambda entry: entry.end_basis.value,
    "end_witness": lambda entry: entry.end_witness,
    "eni": lambda entry: entry.eni,
    "instance": lambda entry: entry.instance,
    "node": lambda entry: entry.node,
    "service_account": lambda entry: entry.service_account,
    "owner": lambda entry: entry.owner,
    "sandbox": lambda entry: entry.sandbox,
    "cluster": lambda entry: entry.cluster,
    "vpc": lambda entry: entry.vpc,
    "account": lambda entry: entry.account,
    "region": lambda entry: entry.region,
    "doubts": lambda entry: "; ".join(doubt.text for doubt in entry.doubts),
}


def write_csv(answer: Answer[PodEntry], out: IO[str]) -> None:
    """Write one CSV line per interval."""
    out.writelines(table(COLUMNS, answer.entries))


def write_table(answer: Answer[PodEntry], out: IO[str]) -> None:
    """Write a table of the intervals: fitted to a screen, or with everything in one line each."""
    if not isinstance(out, Screen):
        write_wide(answer, out)
    elif answer.entries:
        of_all = _doubts_of_all(answer.entries)
        rows = [_row(entry, of_all) for entry in answer.entries]
        common = shared(
            rows, ("account", "region", "vpc", *(["node", "instance", "eni"] if len(rows) > 1 else []))
        )
        times = time_style(time for entry in answer.entries for time in _times(entry))
        doubts = [Paragraph([(f"all of them: {doubt.text}", "magenta")]) for doubt in of_all]
        draw_blocks([[*context(common, times.heading), *doubts]], out)
        draw_fitting(_layouts(rows, times, common), out)


def write_wide(answer: Answer[PodEntry], out: IO[str]) -> None:
    """Write a table of the intervals with everything in one line each."""
    if answer.entries:
        columns = [*_WIDE, *([_DOUBTS] if any(entry.doubts for entry in answer.entries) else [])]
        times = TimeStyle(None)
        rows = (row_cells(columns, _row(entry), times) for entry in answer.entries)
        draw_lines([heading for heading, _ in columns], rows, out)


def _doubts_of_all(entries: Sequence[PodEntry]) -> tuple[Reason, ...]:
    """Return the doubts that all of several entries have: they are shown once."""
    first, *others = entries
    if not others:
        return ()
    return tuple(doubt for doubt in first.doubts if all(doubt in other.doubts for other in others))


class _PodRow(Struct, frozen=True, kw_only=True):
    """An interval with the texts that are shared or not."""

    entry: PodEntry
    account: str | None
    region: str | None
    vpc: str | None
    node: str
    instance: str
    eni: str
    doubts: tuple[Reason, ...]


def _row(entry: PodEntry, of_all: Collection[Reason] = ()) -> _PodRow:
    return _PodRow(
        entry=entry,
        account=entry.account,
        region=entry.region,
        vpc=entry.vpc,
        node=entry.node or "",
        instance=entry.instance or "",
        eni=entry.eni or "",
        doubts=tuple(doubt for doubt in entry.doubts if doubt not in of_all),
    )


_Column = Column[_PodRow]


def _times(entry: PodEntry) -> tuple[datetime | None, ...]:
    return entry.start_not_before, entry.start, entry.end_not_before, entry.end


def _start(row: _PodRow, times: TimeStyle) -> Iterator[Part]:
    entry = row.entry
    if entry.start is None:
        yield f"({entry.start_basis.value})", ""
    else:
        yield from _known(entry.start_not_before, entry.start, entry.start_basis, times)


def _end(row: _PodRow, times: TimeStyle) -> Iterator[Part]:
    entry = row.entry
    if entry.end is None:
        yield "no end seen", "green"
        if entry.end_not_before is not None:
            yield f"(last {_show(entry.end_not_before, times)})", "dim"
    else:
        yield from _known(entry.end_not_before, entry.end, entry.end_basis, times)


def _known(earliest: datetime | None, latest: datetime, basis: Basis, times: TimeStyle) -> Iterator[Part]:
    """Yield a start or end that a record shows, or that lies between two times."""
    if basis is Basis.OBSERVED:
        yield _show(latest, times), ""
    else:
        yield _within(earliest, latest, times), ""
        yield "(implied)", "dim"


def _within(earliest: datetime | None, latest: datetime, times: TimeStyle) -> str:
    """Return the bounds of a moment that no record shows, or ``by 13:20:05`` if only one is known."""
    if earliest is None:
        return f"by {_show(latest, times)}"
    if earliest == latest:
        return _show(latest, times)
    later = TimeStyle("same day") if earliest.date() == latest.date() else times
    return f"{_show(earliest, times)}–{_show(latest, later)}"


def _show(time: datetime, times: TimeStyle) -> str:
    """Return a time with its milliseconds: logs of the CNI and of the API server have them."""
    return times.show(time) + fraction(time)[:4]


def _held(row: _PodRow, times: TimeStyle) -> Iterator[Part]:
    """Yield the start and the end below each other."""
    start, end = (" ".join(text for text, _ in parts(row, times)) for parts in (_start, _end))
    yield (start if row.entry.end is None or end.startswith("by ") else f"{start} to"), ""
    yield end, "" if row.entry.end is not None else "green"


def _pod(row: _PodRow, _: TimeStyle) -> Iterator[Part]:
    yield name_of(row.entry), "bold" if row.entry.pod else "dim"
    for doubt in row.doubts:
        yield doubt.text, "magenta"


def _text(value: str | None) -> list[Part]:
    return [(value or "-", "")]


_ADDRESS: _Column = ("ADDRESS", lambda row, _: [(str(row.entry.ip), "bold")])
_POD: _Column = ("POD", _pod)
_NAME: _Column = ("POD", lambda row, _: [(name_of(row.entry), "")])
_START: _Column = ("START", _start)
_END: _Column = ("END", _end)
_HELD: _Column = ("HELD", _held)
_NODE: _Column = ("NODE", lambda row, _: _text(row.node))
_INSTANCE: _Column = ("INSTANCE", lambda row, _: _text(row.instance))
_ENI: _Column = ("ENI", lambda row, _: _text(row.entry.eni))
_ACCOUNT_NAME: _Column = ("SERVICE ACCOUNT", lambda row, _: _text(row.entry.service_account))
_OWNER: _Column = ("OWNER", lambda row, _: _text(row.entry.owner))
_UID: _Column = ("UID", lambda row, _: _text(row.entry.uid))
_SANDBOX: _Column = ("SANDBOX", lambda row, _: _text(row.entry.sandbox))
_VPC: _Column = ("VPC", lambda row, _: [(row.vpc or "VPC unknown", "")])
_ACCOUNT: _Column = ("ACCOUNT", lambda row, _: [(row.account or "account unknown", "")])
_REGION: _Column = ("REGION", lambda row, _: [(row.region or "Region unknown", "")])
_DOUBTS: _Column = ("DOUBTS", lambda row, _: _text("; ".join(doubt.text for doubt in row.doubts)))
_WIDE = (
    *(_ADDRESS, _NAME, ("START (UTC)", _start), ("END (UTC)", _end), _NODE, _INSTANCE, _ENI),
    *(_ACCOUNT_NAME, _OWNER, _UID, _SANDBOX, _VPC, _ACCOUNT, _REGION),
)


def _layouts(rows: Sequence[_PodRow], times: TimeStyle, common: Collection[str]) -> Iterator[Table]:
    """Yield the layouts for a screen, from the widest to the narrowest: the last is one for blocks.

    What all rows have in common is left out.
    """
    columns = {
        "node": _NODE,
        "instance": _INSTANCE,
        "eni": _ENI,
        "vpc": _VPC,
        "account": _ACCOUNT,
        "region": _REGION,
    }
    known = [name for name in columns if any(getattr(row, name) for row in rows)]
    on = [columns[name] for name in known if name not in common]
    below = [joined_columns(on)] if on else []
    yield column_table((_ADDRESS, _POD, _START, _END, *on), rows, times)
    yield column_table((_ADDRESS, _POD, _START, _END, *below), rows, times)
    yield column_table((_ADDRESS, _POD, _HELD, *below), rows, times)
    yield column_table((_ADDRESS, _POD, _HELD, *below), rows, times, {"POD": 1})
    yield column_table((_ADDRESS, _with_below(_POD, on), _HELD), rows, times, {"POD": 1})
    doubts = [_DOUBTS] if any(row.doubts for row in rows) else []
    yield column_table((_ADDRESS, _NAME, _START, _END, *on, *doubts), rows, times)


def _with_below(column: _Column, others: Sequence[_Column]) -> _Column:
    """Return a column with the texts of others, which need no heading, below its own."""
    heading, _ = column
    return heading, joined_columns([column, *others])[1]
