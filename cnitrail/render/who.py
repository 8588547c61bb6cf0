"""Answers to ``who`` as a table and as CSV."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO

from cnitrail.model import Answer, Basis, Holder, Verdict, WhoAnswer
from cnitrail.model.reason import ReasonCode
from cnitrail.render.csv import Columns, table
from cnitrail.render.leases import bound
from cnitrail.render.text import Part, Row, Table, draw
from cnitrail.text import clock, duration, iso


def _of_holders(answer: WhoAnswer, field: Callable[[Holder], object]) -> list[str]:
    """Return a field of every holder, in their order; ``unknown`` if a holder has none."""
    values = map(field, answer.holders)
    return ["unknown" if value is None else str(value) for value in values]


def _time(time: datetime | None) -> str | None:
    return iso(time) if time is not None else None


_COLUMNS: Columns = {
    "ip": lambda answer: answer.ip,
    "at": lambda answer: answer.at,
    "verdict": lambda answer: answer.verdict.value,
    "eni": lambda answer: _of_holders(answer, lambda holder: holder.eni),
    "eni_kind": lambda answer: _of_holders(answer, lambda holder: holder.eni_kind),
    "instance": lambda answer: _of_holders(answer, lambda holder: holder.instance),
    "instance_basis": lambda answer: _of_holders(answer, lambda holder: holder.instance_basis),
    "device_index": lambda answer: _of_holders(answer, lambda holder: holder.device_index),
    "vpc": lambda answer: _of_holders(answer, lambda holder: holder.vpc),
    "subnet": lambda answer: _of_holders(answer, lambda holder: holder.subnet),
    "account": lambda answer: _of_holders(answer, lambda holder: holder.account),
    "region": lambda answer: _of_holders(answer, lambda holder: holder.region),
    "kind": lambda answer: _of_holders(answer, lambda holder: holder.kind.value),
    "prefix": lambda answer: _of_holders(answer, lambda holder: holder.prefix or "none"),
    "start": lambda answer: _of_holders(answer, lambda holder: _time(holder.start)),
    "start_basis": lambda answer: _of_holders(answer, lambda holder: holder.start_basis.value),
    "end": lambda answer: _of_holders(answer, lambda holder: _time(holder.end)),
    "end_basis": lambda answer: _of_holders(answer, lambda holder: holder.end_basis.value),
    "assigned_by": lambda answer: _of_holders(
        answer, lambda holder: holder.assigned_by.label if holder.assigned_by else None
    ),
    "assigned_by_kind": lambda answer: _of_holders(
        answer, lambda holder: holder.assigned_by.kind.value if holder.assigned_by else None
    ),
    "assign_event": lambda answer: _of_holders(answer, lambda holder: holder.assign_event),
    "rests_on": lambda answer: answer.rests_on.value if answer.rests_on else None,
    "reasons": lambda answer: "; ".join(reason.text for reason in answer.reasons),
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
    """Write a table of the answers: the verdict, the holders, and the reasons."""
    headings = ("ADDRESS", "VERDICT", "HELD BY", "REASONS")
    shares = {"HELD BY": 2, "REASONS": 3}
    draw(Table(headings, [_row(entry) for entry in answer.entries], shares), out)


def _row(answer: WhoAnswer) -> Row:
    at = f"at {answer.at:%Y-%m-%d %H:%M:%S}Z" if answer.at else ""
    held_by = [part for holder in answer.holders for part in _holder(answer, holder)]
    return (
        [(answer.ip, "bold"), (at, "dim")],
        [(answer.verdict.value, _STYLES[answer.verdict])],
        held_by or list(_nobody(answer)),
        [(f"{reason.text}.", "") for reason in answer.reasons],
    )


def _nobody(answer: WhoAnswer) -> Iterator[Part]:
    """Yield that no holder is known, and who held the address last."""
    last = answer.last_holder
    yield "no known holder" if last is None else "no known holder;", "dim"
    if last is not None:
        yield f"last held by {last.instance or 'an unknown instance'} ({last.eni})", "cyan"
        if last.end is not None and answer.at is not None:
            basis = "" if last.end_basis is Basis.OBSERVED else f" ({last.end_basis.value})"
            yield f"until {clock(last.end)}{basis}, {duration(answer.at - last.end)} earlier", "dim"


def _holder(answer: WhoAnswer, holder: Holder) -> list[Part]:
    is_detached = any(reason.code is ReasonCode.ENI_DETACHED for reason in answer.reasons)
    no_instance = "on no instance" if is_detached else "instance unknown"
    kind = holder.eni_kind + (f", device {holder.device_index}" if holder.device_index is not None else "")
    start = bound(holder.start, holder.start_basis, holder.assigned_by)
    end = bound(holder.end, holder.end_basis, None)
    return [
        (holder.eni, ""),
        (kind, "dim"),
        (holder.instance or no_instance, "cyan"),
        (holder.vpc or "VPC unknown", "dim"),
        *([(f"through {holder.prefix}", "dim")] if holder.prefix else []),
        (" ".join(["from", *(text for text, _ in start)]), "dim"),
        (" ".join(["to", *(text for text, _ in end)]), "dim"),
    ]
