"""Findings as a table, as JSON and as CSV."""

from collections.abc import Iterator
from typing import IO, Any

from cnitrail.model import Answer, Event, Finding, Severity
from cnitrail.render import json
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw

_STYLES = {Severity.HIGH: "bold red", Severity.MEDIUM: "bold yellow", Severity.LOW: "bold"}
_CITED = 3
"""So many event ids stand in a terminal; piped, all do."""

_COLUMNS: Columns = {
    "severity": lambda finding: finding.severity.value,
    "rule": lambda finding: finding.rule,
    "sentence": lambda finding: finding.sentence,
    "doubts": lambda finding: finding.doubts,
    "advice": lambda finding: finding.advice,
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
    "events": lambda finding: map(_id, finding.events),
}


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
    """Write a table of the findings: how grave, since when, where, what, and what to do."""
    if answer.entries:
        cited = _CITED if out.isatty() else None
        rows = [_row(finding, cited) for finding in answer.entries]
        draw(
            Table(
                ("SEVERITY", "SINCE (UTC)", "WHERE", "WHAT, AND WHAT TO DO"),
                rows,
                {"WHAT, AND WHAT TO DO": 1},
            ),
            out,
        )


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
        yield "still so", "yellow"
    elif finding.until.date() != finding.since.date():
        yield f"to {finding.until:%Y-%m-%d %H:%M:%S}", "dim"
    elif finding.until != finding.since:
        yield f"to {finding.until:%H:%M:%S}", "dim"


def _where(finding: Finding) -> Iterator[Part]:
    """Where it is, from the narrowest place to the widest: of several of a kind, how many."""
    clusters = tuple(f"cluster {name}" for name in finding.clusters)
    for names, kind in (
        (finding.enis, "interfaces"),
        (finding.instances, "instances"),
        (finding.subnets, "subnets"),
        (clusters, "clusters"),
    ):
        if names:
            yield names[0] if len(names) == 1 else f"{len(names):,} {kind}", ""
    yield " in ".join(filter(None, (finding.account, finding.region))), "dim"


def _what(finding: Finding, cited: int | None) -> Iterator[Part]:
    yield finding.sentence, ""
    for doubt in finding.doubts:
        yield doubt, "dim"
    yield f"→ {finding.advice}", "cyan"
    ids = [_id(event) for event in finding.events]
    more = (
        f" and {len(ids) - cited:,} more (-o json has all)" if cited is not None and len(ids) > cited else ""
    )
    yield f"{finding.rule}, by {' '.join(ids[:cited])}{more}", "dim"


def _id(event: Event) -> str:
    return event.event_id or event.key


def _shown(answer: Answer[Finding]) -> Answer[Any]:
    """Findings with their events as they are cited, not as a whole."""
    names = Finding.__struct_fields__
    entries = [
        {name: getattr(finding, name) for name in names}
        | {"events": [_cited(event) for event in finding.events]}
        for finding in answer.entries
    ]
    return Answer(answer.command, answer.query, answer.evidence, entries)


def _cited(event: Event) -> dict[str, object]:
    return {
        "time": event.time,
        "event_id": event.event_id,
        "event": event.name,
        "outcome": "ok" if event.failure is None else "failed",
        "error": event.failure,
        "actor": event.actor.label,
        "actor_kind": event.actor.kind.value,
        "origins": event.origins,
    }
