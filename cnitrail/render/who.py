"""Answers to ``who`` as a table and as CSV."""

from collections.abc import Callable
from datetime import datetime
from typing import IO

from cnitrail.model import Answer, Holder, Verdict, WhoAnswer
from cnitrail.render.csv import Columns, table
from cnitrail.render.leases import bound
from cnitrail.render.text import Part, Row, Table, draw


def _of_each(answer: WhoAnswer, field: Callable[[Holder], object]) -> list[str]:
    """A field of every holder, each in its place: one that is not known is written as such."""
    values = map(field, answer.holders)
    return ["unknown" if value is None else str(value) for value in values]


def _time(time: datetime | None) -> str | None:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time is not None else None


_COLUMNS: Columns = {
    "ip": lambda answer: answer.ip,
    "at": lambda answer: answer.at,
    "verdict": lambda answer: answer.verdict.value,
    "eni": lambda answer: _of_each(answer, lambda holder: holder.eni),
    "eni_kind": lambda answer: _of_each(answer, lambda holder: holder.eni_kind),
    "instance": lambda answer: _of_each(answer, lambda holder: holder.instance),
    "instance_basis": lambda answer: _of_each(answer, lambda holder: holder.instance_basis),
    "device_index": lambda answer: _of_each(answer, lambda holder: holder.device_index),
    "vpc": lambda answer: _of_each(answer, lambda holder: holder.vpc),
    "subnet": lambda answer: _of_each(answer, lambda holder: holder.subnet),
    "account": lambda answer: _of_each(answer, lambda holder: holder.account),
    "region": lambda answer: _of_each(answer, lambda holder: holder.region),
    "kind": lambda answer: _of_each(answer, lambda holder: holder.kind.value),
    "prefix": lambda answer: _of_each(answer, lambda holder: holder.prefix or "none"),
    "start": lambda answer: _of_each(answer, lambda holder: _time(holder.start)),
    "start_basis": lambda answer: _of_each(answer, lambda holder: holder.start_basis.value),
    "end": lambda answer: _of_each(answer, lambda holder: _time(holder.end)),
    "end_basis": lambda answer: _of_each(answer, lambda holder: holder.end_basis.value),
    "assigned_by": lambda answer: _of_each(
        answer, lambda holder: holder.assigned_by.label if holder.assigned_by else None
    ),
    "assigned_by_kind": lambda answer: _of_each(
        answer, lambda holder: holder.assigned_by.kind.value if holder.assigned_by else None
    ),
    "assign_event": lambda answer: _of_each(answer, lambda holder: holder.assign_event),
    "rests_on": lambda answer: answer.rests_on.value if answer.rests_on else None,
    "reasons": lambda answer: "; ".join(answer.reasons),
}

_STYLES = {
    Verdict.CERTAIN: "bold green",
    Verdict.LIKELY: "bold",
    Verdict.AMBIGUOUS: "bold yellow",
    Verdict.UNKNOWN: "bold red",
}


def write_csv(answer: Answer[WhoAnswer], out: IO[str]) -> None:
    """Write a line of CSV for each question."""
    out.writelines(table(_COLUMNS, answer.entries))


def write_table(answer: Answer[WhoAnswer], out: IO[str]) -> None:
    """Write a table of the answers: the verdict, who it was, and why."""
    headings = ("ADDRESS", "VERDICT", "HELD BY", "BECAUSE")
    shares = {"HELD BY": 2, "BECAUSE": 3}
    draw(Table(headings, [_row(each) for each in answer.entries], shares), out)


def _row(answer: WhoAnswer) -> Row:
    at = f"at {answer.at:%Y-%m-%d %H:%M:%S}Z" if answer.at else ""
    return (
        [(answer.ip, "bold"), (at, "dim")],
        [(answer.verdict.value, _STYLES[answer.verdict])],
        [part for holder in answer.holders for part in _holder(holder)] or [("nobody known", "dim")],
        [(f"{reason}.", "") for reason in answer.reasons],
    )


def _holder(holder: Holder) -> list[Part]:
    kind = holder.eni_kind + (f", device {holder.device_index}" if holder.device_index is not None else "")
    start = bound(holder.start, holder.start_basis, holder.assigned_by)
    end = bound(holder.end, holder.end_basis, None)
    return [
        (holder.eni, ""),
        (kind, "dim"),
        (holder.instance or "no instance known", "cyan"),
        (holder.vpc or "VPC not known", "dim"),
        *([(f"through {holder.prefix}", "dim")] if holder.prefix else []),
        (" ".join(["from", *(text for text, _ in start)]), "dim"),
        (" ".join(["to", *(text for text, _ in end)]), "dim"),
    ]
