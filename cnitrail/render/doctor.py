"""A checkup as a list for a terminal, as JSON, and as a block of Markdown for a ticket."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import IO, TYPE_CHECKING

from cnitrail.model.checkup import CheckCode, CheckStatus
from cnitrail.render import json
from cnitrail.render.text import Paragraph, Screen, draw_blocks, width_of
from cnitrail.text import clock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cnitrail.model.checkup import Check, CheckupAnswer
    from cnitrail.render.text import Block

_STYLES = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "bold magenta",
    CheckStatus.FAILED: "bold red",
    CheckStatus.SKIPPED: "",
}
_PROBLEMS = (CheckStatus.FAILED, CheckStatus.WARNING)
_AREAS = {
    CheckCode.IDENTITY: "AWS access",
    CheckCode.CLOCK: "AWS access",
    CheckCode.PERMISSION: "AWS access",
    CheckCode.TRAIL: "AWS access",
    CheckCode.BUCKET: "AWS access",
    CheckCode.NODE: "Node",
    CheckCode.ENI: "Node",
    CheckCode.SUBNET: "Subnets",
    CheckCode.EVIDENCE: "Events",
    CheckCode.CNI_CALLS: "Events",
    CheckCode.SIGN_INS: "Events",
    CheckCode.FINDINGS: "Events",
    CheckCode.FINDING: "Events",
}
_INDENT = 9
"""Width of the longest status, and a space."""

_CITED = 3
"""Event IDs that are shown for a check; JSON has all of them."""


def write_table(answer: CheckupAnswer, out: IO[str]) -> None:
    """Write the checks by area, the verdict, and a block for a ticket."""
    draw_blocks(_blocks(answer, out), out)
    out.write("\n")
    ticket = _ticket(answer, _PROBLEMS)
    draw_blocks([[Paragraph([(line, "")], hanging=_CONTINUED) for line in ticket]], out)


def _blocks(answer: CheckupAnswer, out: IO[str]) -> Iterator[Block]:
    width = width_of(out) if isinstance(out, Screen) else None
    for area, checks in groupby(answer.entries, lambda check: _AREAS[check.code]):
        lines = [line for check in checks for line in _lines(check, width)]
        yield [Paragraph([(area, "bold underline")]), *lines]
    yield [Paragraph([(answer.checkup.verdict, _STYLES[answer.checkup.status])])]
    yield [Paragraph([("For a ticket (-o md has every check):", "bold")])]


def _lines(check: Check, width: int | None) -> Iterator[Paragraph]:
    """Yield a check: one line if it fits, and what to do next below it."""
    status = (check.status.value.ljust(_INDENT), _STYLES[check.status])
    heading = check.rule or check.code.value
    if width is None or _INDENT + len(heading) + 2 + len(check.text) <= width:
        yield Paragraph([status, (heading, "bold"), (f"  {check.text}", "")])
    else:
        yield Paragraph([status, (heading, "bold")])
        yield Paragraph([(check.text, "")], indent=_INDENT)
    if check.hint and (check.status is not CheckStatus.OK or check.code is CheckCode.EVIDENCE):
        yield Paragraph([(f"→ {check.hint}", "")], indent=_INDENT)
    for command in check.commands:
        yield Paragraph([(f"$ {command}", "bold")], indent=_INDENT, as_is=True)
    if check.events:
        yield Paragraph([(f"events {_cited(check)}", "dim")], indent=_INDENT)


def _cited(check: Check) -> str:
    """Return the first events of a check, and how many more there are."""
    more = len(check.events) - _CITED
    return " ".join(check.events[:_CITED]) + (f" and {more:,} more" if more > 0 else "")


_CONTINUED = 6
"""Indent from which no line of Markdown can begin a list, a heading or a fence, even in a list item.

A line of the block that is wrapped on a screen, and then pasted, stays one paragraph, whatever is in it.
"""


def write_document(answer: CheckupAnswer, out: IO[str]) -> None:
    """Write one JSON object."""
    whole = {
        "schema": f"cnitrail/{answer.command}/v1",
        "query": answer.query,
        "evidence": answer.evidence,
        "limitations": answer.limitations,
        "checkup": answer.checkup,
        "entries": answer.entries,
    }
    out.write(json.document(whole))


def write_markdown(answer: CheckupAnswer, out: IO[str]) -> None:
    """Write the block for a ticket, with every check."""
    out.writelines(f"{line}\n" for line in _ticket(answer, (*CheckStatus,)))


def _ticket(answer: CheckupAnswer, shown: Collection[CheckStatus]) -> Iterator[str]:
    """Yield the lines of the block for a ticket, with the checks that ended in one of these ways."""
    from cnitrail.render.report.markdown import code, prose

    checkup, number = answer.checkup, Counter(check.status for check in answer.entries)
    caller = checkup.caller
    yield f"**cnitrail doctor: {prose(checkup.verdict)}**"
    yield ""
    yield f"- checked {clock(checkup.at)} with cnitrail {prose(checkup.version)}"
    if caller is not None:
        yield f"- account {code(caller.account or 'unknown')}, Region {code(caller.region)}"
        yield f"- caller {code(caller.arn or 'unknown')}"
    yield f"- {', '.join(f'{number[status]} {status}' for status in CheckStatus if number[status])}"
    for check in answer.entries:
        if check.status in shown:
            yield "".join(_ticket_line(check))


def _ticket_line(check: Check) -> Iterator[str]:
    """Yield the parts of the line of a check."""
    from cnitrail.render.report.markdown import code, prose

    yield f"- **{check.status}** {prose(check.rule or check.code.value)}: {prose(check.text)}"
    if check.events:
        more = len(check.events) - _CITED
        yield f"; events {', '.join(map(code, check.events[:_CITED]))}"
        yield f" and {more:,} more" if more > 0 else ""
