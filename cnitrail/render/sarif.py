r"""SARIF 2.1.0: one log with every rule, the findings as results, and what could not be read.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/. GitHub reads ``security-severity`` and the first
location of a result
(https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
Texts of records may contain SARIF's placeholders (``{0}``) and links (``[text](1)``), so both are escaped.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import IO
from urllib.parse import quote

from msgspec import Struct, field

from cnitrail.model import Answer, Evidence, Extent, Finding, Held, Origin, Severity
from cnitrail.model.rules import RULE_DESCRIPTIONS, RuleDescription
from cnitrail.render.finding_parts import NamedDoubt, doubts, resources
from cnitrail.render.json import document
from cnitrail.render.safe import printable
from cnitrail.text import account_and_region, clock
from cnitrail.version import __version__

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_SCORES = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFO: "0.0",
}
"""GitHub's scores: critical is above 9.0, high from 7.0, medium from 4.0, low from 0.1."""
_MAX_LOCATIONS = 100
"""Maximum number of records that a result points to: GitHub shows no more. Its properties have all events."""
_FINGERPRINTS = ("firstEvent/v1", "primaryLocationLineHash")
"""What the fingerprint is called: by its basis, and as GitHub wants it to recognize a result."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?!\\)")

_INDEX_OF_RULE = {name: index for index, name in enumerate(RULE_DESCRIPTIONS)}


class _Sarif(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An object of SARIF: names in camelCase, and no empty properties."""


class _Text(_Sarif, frozen=True):
    text: str


class _RuleProperties(Struct, frozen=True):
    tags: tuple[str, ...]
    score: str = field(name="security-severity")


class _Configuration(_Sarif, frozen=True):
    level: str


class _ReportingDescriptor(_Sarif, frozen=True, kw_only=True):
    id: str
    short_description: _Text
    full_description: _Text
    help: _Text
    default_configuration: _Configuration
    properties: _RuleProperties


class _Driver(_Sarif, frozen=True):
    name: str
    version: str
    semantic_version: str
    rules: tuple[_ReportingDescriptor, ...]


class _Tool(_Sarif, frozen=True):
    driver: _Driver


class _ArtifactLocation(_Sarif, frozen=True):
    uri: str


class _Region(_Sarif, frozen=True):
    """GitHub requires a line. A log file of a trail has only one."""

    start_line: int


class _PhysicalLocation(_Sarif, frozen=True):
    artifact_location: _ArtifactLocation
    region: _Region | None = None


class _LogicalLocation(_Sarif, frozen=True):
    name: str
    fully_qualified_name: str
    kind: str


class _RecordProperties(Struct, frozen=True):
    """The index of a record in its file, from 0, and its form."""

    record: int
    form: str


class _SarifLocation(_Sarif, frozen=True):
    physical_location: _PhysicalLocation | None = None
    logical_locations: tuple[_LogicalLocation, ...] = ()
    properties: _RecordProperties | None = None


class _ResultProperties(Struct, frozen=True, kw_only=True):
    """The fields of a finding under their names in ``-o json``, without its census.

    ``events`` are the IDs of its events.
    """

    severity: Severity
    since: datetime
    until: datetime | None
    account: str | None
    region: str | None
    clusters: tuple[str, ...]
    vpcs: tuple[str, ...]
    subnets: tuple[str, ...]
    instances: tuple[str, ...]
    enis: tuple[str, ...]
    addresses: tuple[Held, ...]
    advice: str
    commands: tuple[str, ...]
    doubts: tuple[NamedDoubt, ...]
    techniques: tuple[str, ...]
    events: tuple[str, ...]


class _SarifResult(_Sarif, frozen=True, kw_only=True):
    rule_id: str
    rule_index: int
    level: str
    message: _Text
    locations: tuple[_SarifLocation, ...]
    partial_fingerprints: dict[str, str]
    properties: _ResultProperties


class _Notification(_Sarif, frozen=True):
    level: str
    message: _Text
    locations: tuple[_SarifLocation, ...] = ()


class _Invocation(_Sarif, frozen=True):
    execution_successful: bool
    tool_execution_notifications: tuple[_Notification, ...] = ()


class _Run(_Sarif, frozen=True):
    tool: _Tool
    invocations: tuple[_Invocation, ...]
    results: list[_SarifResult]


class _Log(Struct, frozen=True):
    schema: str = field(name="$schema")
    version: str
    runs: tuple[_Run, ...]


def write(answer: Answer[Finding], out: IO[str]) -> None:
    """Write one SARIF log with one run."""
    rules = tuple(_rule(name, rule) for name, rule in RULE_DESCRIPTIONS.items())
    driver = _Driver("cnitrail", __version__, __version__, rules)
    results = [_result(finding) for finding in answer.entries]
    run = _Run(_Tool(driver), (_invocation(answer.evidence),), results)
    out.write(document(_Log(_SCHEMA, "2.1.0", (run,))))


def _rule(name: str, rule: RuleDescription) -> _ReportingDescriptor:
    techniques = tuple(f"external/attack/{technique}" for technique in rule.techniques)
    return _ReportingDescriptor(
        id=name,
        short_description=_Text(f"{rule.title}."),
        full_description=_Text(rule.meaning),
        help=_Text(f"{rule.meaning} The page docs/findings.md has the evidence, false positives and remedy."),
        default_configuration=_Configuration(_LEVELS[rule.severity]),
        properties=_RuleProperties(
            ("security" if techniques else "reliability", *techniques), _SCORES[rule.severity]
        ),
    )


def _result(finding: Finding) -> _SarifResult:
    return _SarifResult(
        rule_id=finding.rule,
        rule_index=_INDEX_OF_RULE[finding.rule],
        level=_LEVELS[finding.severity],
        message=_message(finding.sentence),
        locations=tuple(_locations(finding)),
        partial_fingerprints=dict.fromkeys(_FINGERPRINTS, finding.fingerprint),
        properties=_ResultProperties(
            severity=finding.severity,
            since=finding.since,
            until=finding.until,
            account=finding.account,
            region=finding.region,
            clusters=finding.clusters,
            vpcs=finding.vpcs,
            subnets=finding.subnets,
            instances=finding.instances,
            enis=finding.enis,
            addresses=finding.addresses,
            advice=finding.advice,
            commands=finding.commands,
            doubts=doubts(finding),
            techniques=finding.techniques,
            events=tuple(event.shown_id for event in finding.events),
        ),
    )


def _message(text: str) -> _Text:
    """Return a text that no viewer takes for a placeholder or a link."""
    plain = re.sub(r"(\\*)([\[\]])", r"\1\1\\\2", printable(text))
    return _Text(plain.replace("{", "{{").replace("}", "}}"))


def _locations(finding: Finding) -> Iterator[_SarifLocation]:
    """Yield the records of a finding; the first location also has the resources."""
    logical = tuple(
        _LogicalLocation(resource.name, resource.arn or resource.name, "resource")
        for resource in resources(finding)
    )
    origins = dict.fromkeys(origin for event in finding.events for origin in event.origins)
    for origin in islice(origins, _MAX_LOCATIONS):
        yield _record(origin, logical)
        logical = ()


def _record(origin: Origin, logical: tuple[_LogicalLocation, ...]) -> _SarifLocation:
    place = _PhysicalLocation(_ArtifactLocation(_uri(origin.source)), _Region(1))
    return _SarifLocation(place, logical, _RecordProperties(origin.index, origin.form))


def _invocation(evidence: Evidence) -> _Invocation:
    notifications = (*_unread(evidence), *_gaps(evidence))
    return _Invocation(not evidence.skipped and not evidence.faults, notifications)


def _unread(evidence: Evidence) -> Iterator[_Notification]:
    """Yield what could not be read, and the files that digests show as altered or missing."""
    for skipped in evidence.skipped:
        level = "error" if skipped.extent is Extent.FILE else "warning"
        yield _about(skipped.source, f"Not read: {skipped.source}: {skipped.reason}", level)
    for faulty in evidence.faults:
        yield _about(faulty.source, f"At fault: {faulty.source}: {faulty.reason}", "error")


def _about(source: str, text: str, level: str) -> _Notification:
    place = _PhysicalLocation(_ArtifactLocation(_uri(source)))
    return _Notification(level, _message(text), (_SarifLocation(place),))


def _gaps(evidence: Evidence) -> Iterator[_Notification]:
    """Yield the times in which events may be missing."""
    for reach in evidence.coverage:
        place = account_and_region(reach.account, reach.region)
        for hole in reach.holes:
            when = f"from {clock(hole.start)} to {clock(hole.end)}"
            text = f"Events of {place} may be missing {when} ({hole.reason.value})."
            yield _Notification("warning", _message(text))


def _uri(source: str) -> str:
    """Return the URI of a source: a path stays relative if it is."""
    scheme = _SCHEME.match(source)
    if scheme is not None:
        return scheme[0] + quote(source[scheme.end() :], safe="/:@!$&'()*+,;=~")
    path = quote(source, safe="/@!$&'()*+,;=~")
    return f"file://{path}" if path.startswith("/") else path
