"""Findings as blocks, as a table, as JSON and as CSV."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import ActorKind, Answer, CallOutcome, Event, Failure, Finding, Origin, Severity
from cnitrail.model.finding import severity_counts
from cnitrail.model.rules import RULE_DESCRIPTIONS
from cnitrail.render import json
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Block, Paragraph, Part, Row, Screen, Table, draw, draw_blocks
from cnitrail.text import account_and_region, age, clock, counted, duration, plural, short_list

_STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold magenta",
    Severity.LOW: "bold",
    Severity.INFO: "",
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
    """Write the findings: a block for each on a screen, or else a row for each."""
    if isinstance(out, Screen):
        several = [_summary(answer.entries)] if len(answer.entries) > 1 else []
        draw_blocks([*several, *map(_block, answer.entries)], out)
    elif answer.entries:
        rows = [_row(finding) for finding in answer.entries]
        draw(Table(("SEVERITY", "SINCE (UTC)", "WHERE", _FINDING), rows, {_FINDING: 1}), out)


# --- blocks --------------------------------------------------------------------------------------


def _summary(findings: Sequence[Finding]) -> Block:
    """Return how many findings there are, by severity: ``3 findings: 1 high, 2 medium``."""
    by_severity = ", ".join(severity_counts(finding.severity for finding in findings))
    return [Paragraph([(f"{counted(len(findings), 'finding')}: {by_severity}", "bold")])]


def _block(finding: Finding) -> Block:
    """Return a finding as its title, what happened, the evidence, and what to do."""
    style = _STYLES[finding.severity]
    title = RULE_DESCRIPTIONS[finding.rule].title
    return [
        Paragraph([(finding.severity.value.upper(), style), (f"  {title}", "bold")]),
        Paragraph([(_when(finding), "")], 2),
        Paragraph([(finding.sentence, "")], 2),
        *_headed("Evidence", _evidence(finding)),
        *_headed("Doubts", (doubt.text for doubt in finding.doubts)),
        *_headed("Remedy", (finding.advice,)),
        *(Paragraph([(f"$ {command}", "bold")], 4, as_is=True) for command in finding.commands),
    ]


def _headed(heading: str, texts: Iterable[str]) -> Iterator[Paragraph]:
    """Yield texts below a heading; nothing if there are none."""
    for number, text in enumerate(texts):
        if not number:
            yield Paragraph([(heading, "bold")], 2)
        yield Paragraph([(text, "")], 4)


def _when(finding: Finding) -> str:
    """Return since when, until when and for how long a finding lasted."""
    ago = age(finding.since)
    since = f"{clock(finding.since)} ({ago})" if ago else clock(finding.since)
    if finding.until is None:
        return f"Ongoing since {since}"
    if finding.until == finding.since:
        return f"At {since}"
    return f"From {since} to {clock(finding.until)}, for {duration(finding.until - finding.since)}"


def _evidence(finding: Finding) -> Iterator[str]:
    """Yield the resources, the smallest first, the account and Region, and the rule with its events."""
    for noun, names in (
        ("ENI", finding.enis),
        ("instance", finding.instances),
        ("subnet", finding.subnets),
        ("cluster", finding.clusters),
    ):
        if names:
            yield f"{noun if len(names) == 1 else plural(noun)} {short_list(names)}"
    yield account_and_region(finding.account, finding.region)
    ids = [event.shown_id for event in finding.events]
    more = f" and {len(ids) - _CITED:,} more (-o json has all)" if len(ids) > _CITED else ""
    noun = "event" if len(ids) == 1 else "events"
    yield f"Rule {finding.rule}, {noun} {' '.join(ids[:_CITED])}{more}"


# --- rows ----------------------------------------------------------------------------------------


def _row(finding: Finding) -> Row:
    return (
        [(finding.severity.value, _STYLES[finding.severity])],
        list(_times(finding)),
        list(_where(finding)),
        list(_what(finding)),
    )


def _times(finding: Finding) -> Iterator[Part]:
    yield f"{finding.since:%Y-%m-%d}", ""
    yield f"{finding.since:%H:%M:%S}", ""
    if finding.until is None:
        yield "ongoing", "magenta"
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


def _what(finding: Finding) -> Iterator[Part]:
    yield finding.sentence, ""
    for doubt in finding.doubts:
        yield doubt.text, "magenta"
    yield f"→ {finding.advice}", ""
    for command in finding.commands:
        yield f"$ {command}", "bold"
    yield f"{finding.rule}, events {' '.join(event.shown_id for event in finding.events)}", "dim"


def _shown(answer: Answer[Finding]) -> Answer[Any]:
    return replace(answer, entries=list(map(finding_entry, answer.entries)))


def finding_entry(finding: Finding) -> FindingEntry:
    """Return a finding with short references to events instead of whole events."""
    fields = {name: getattr(finding, name) for name in Finding.__struct_fields__}
    return FindingEntry(**fields | {"events": _cited(finding.events)})


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
