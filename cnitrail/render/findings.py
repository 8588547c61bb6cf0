"""Findings as a table, as JSON and as CSV."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any

from msgspec import Struct

from cnitrail.model import ActorKind, Answer, CallOutcome, Event, Failure, Finding, Origin, Severity
from cnitrail.render import json
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw
from cnitrail.text import counted

_STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold",
    Severity.INFO: "dim",
}
_CITED = 3
"""Event IDs that a terminal shows for a finding; piped output has all of them."""

_FINDING = "FINDING / REMEDIATION"

_COLUMNS: Columns = {
    "severity": lambda finding: finding.severity.value,
    "rule": lambda finding: finding.rule,
    "sentence": lambda finding: finding.sentence,
    "doubts": lambda finding: " ".join(doubt.text for doubt in finding.doubts),
    "advice": lambda finding: finding.advice,
    "commands": lambda finding: "; ".join(finding.commands),
    "since": lambda finding: finding.since,
    "until": lambda finding: finding.until,
    "account": lambda finding: finding.account,
    "region": lambda finding: finding.region,
    "clusters": lambda finding: finding.clusters,
    "vpcs": lambda finding: finding.vpcs,
    "subnets": lambda finding: finding.subnets,
    "instances": lambda finding: finding.instances,
    "enis": lambda finding: finding.enis,
    "addresses": lambda finding: finding.addresses,
    "events": lambda finding: (event.shown_id for event in finding.events),
    "techniques": lambda finding: finding.techniques,
    "fingerprint": lambda finding: finding.fingerprint,
}


class FindingEvent(Struct, frozen=True, kw_only=True):
    """An event that a finding rests on, as far as it is printed."""

    time: datetime
    event_id: str | None
    event: str
    outcome: CallOutcome
    error: Failure | None
    actor: str
    actor_kind: ActorKind
    origins: tuple[Origin, ...]


class FindingEntry(Finding, frozen=True):
    """A finding as it is printed in JSON."""

    events: tuple[FindingEvent, ...]  # type: ignore[assignment]


def write_csv(answer: Answer[Finding], out: IO[str]) -> None:
    """Write a line of CSV for each finding."""
    out.writelines(table(_COLUMNS, answer.entries))


def write_document(answer: Answer[Finding], out: IO[str]) -> None:
    """Write one JSON object."""
    json.write_document(_shown(answer), out)


def write_lines(answer: Answer[Finding], out: IO[str]) -> None:
    """Write a line of JSON for each finding."""
    json.write_lines(_shown(answer), out)


def write_table(answer: Answer[Finding], out: IO[str]) -> None:
    """Write a table of the findings: severity, time, place, and what happened with its remediation."""
    if answer.entries:
        cited = _CITED if out.isatty() else None
        rows = [_row(finding, cited) for finding in answer.entries]
        draw(Table(("SEVERITY", "SINCE (UTC)", "WHERE", _FINDING), rows, {_FINDING: 1}), out)


def _row(finding: Finding, cited: int | None) -> Row:
    return (
        [(finding.severity.value, _STYLES[finding.severity])],
        list(_times(finding)),
        list(_where(finding)),
        list(_what(finding, cited)),
    )


def _times(finding: Finding) -> Iterator[Part]:
    yield f"{finding.since:%Y-%m-%d}", ""
    yield f"{finding.since:%H:%M:%S}", ""
    if finding.until is None:
        yield "ongoing", "yellow"
    elif finding.until.date() != finding.since.date():
        yield f"to {finding.until:%Y-%m-%d %H:%M:%S}", "dim"
    elif finding.until != finding.since:
        yield f"to {finding.until:%H:%M:%S}", "dim"


def _where(finding: Finding) -> Iterator[Part]:
    """Yield the resources, from the smallest to the largest: an ID, or the number of several."""
    clusters = tuple(f"cluster {name}" for name in finding.clusters)
    for names, kind in (
        (finding.enis, "ENI"),
        (finding.instances, "instance"),
        (finding.subnets, "subnet"),
        (clusters, "cluster"),
    ):
        if names:
            yield names[0] if len(names) == 1 else counted(len(names), kind), ""
    yield " in ".join(filter(None, (finding.account, finding.region))), "dim"


def _what(finding: Finding, cited: int | None) -> Iterator[Part]:
    yield finding.sentence, ""
    for doubt in finding.doubts:
        yield doubt.text, "dim"
    yield f"→ {finding.advice}", "cyan"
    for command in finding.commands:
        yield f"$ {command}", "cyan"
    ids = [event.shown_id for event in finding.events]
    is_cut = cited is not None and len(ids) > cited
    more = f" and {len(ids) - (cited or 0):,} more (-o json has all)" if is_cut else ""
    yield f"{finding.rule}, events {' '.join(ids[:cited])}{more}", "dim"


def _shown(answer: Answer[Finding]) -> Answer[Any]:
    """Return the answer with short references to events instead of whole events."""
    names = Finding.__struct_fields__
    entries = [
        FindingEntry(**{name: getattr(finding, name) for name in names} | {"events": _cited(finding.events)})
        for finding in answer.entries
    ]
    return Answer(answer.command, answer.query, answer.evidence, entries)


def _cited(events: Iterable[Event]) -> tuple[FindingEvent, ...]:
    return tuple(
        FindingEvent(
            time=event.time,
            event_id=event.event_id,
            event=event.name,
            outcome=event.outcome,
            error=event.failure,
            actor=event.actor.label,
            actor_kind=event.actor.kind,
            origins=event.origins,
        )
        for event in events
    )
