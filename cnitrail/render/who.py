"""Answers to ``who`` as text and as CSV columns."""

from collections.abc import Sequence
from typing import IO

from cnitrail.model import Holder, Verdict, WhoAnswer
from cnitrail.render.csv import Columns
from cnitrail.render.leases import bound
from cnitrail.render.text import Part, Row, Table, write_table

COLUMNS: Columns = {
    "ip": lambda answer: answer.ip,
    "at": lambda answer: answer.at,
    "verdict": lambda answer: answer.verdict.value,
    "eni": lambda answer: [holder.eni for holder in answer.holders],
    "instance": lambda answer: [holder.instance for holder in answer.holders if holder.instance],
    "vpc": lambda answer: [holder.vpc for holder in answer.holders if holder.vpc],
    "account": lambda answer: [holder.account for holder in answer.holders if holder.account],
    "region": lambda answer: [holder.region for holder in answer.holders if holder.region],
    "assigned_by": lambda answer: [each.assigned_by.label for each in answer.holders if each.assigned_by],
    "reasons": lambda answer: "; ".join(answer.reasons),
}

_STYLES = {
    Verdict.CERTAIN: "bold green",
    Verdict.LIKELY: "bold",
    Verdict.AMBIGUOUS: "bold yellow",
    Verdict.UNKNOWN: "bold red",
}


def write_answers(answers: Sequence[WhoAnswer], out: IO[str]) -> None:
    """Write a table of the answers: the verdict, who it was, and why."""
    headings = ("ADDRESS", "VERDICT", "HELD BY", "BECAUSE")
    shares = {"HELD BY": 2, "BECAUSE": 3}
    write_table(Table(headings, [_row(answer) for answer in answers], shares), out)


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
