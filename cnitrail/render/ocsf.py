"""OCSF 1.5.0: a Detection Finding (class 2004, cloud profile) for each finding, one JSON object a line.

The class: https://schema.ocsf.io/1.5.0/classes/detection_finding?profiles=cloud. Times are milliseconds since
the epoch. The same evidence gives the same output, so a finding counts as created at its last event.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import IO

from msgspec import Struct

from cnitrail.model import Actor, ActorKind, Answer, Event, Evidence, Finding, Held, Severity, Skipped
from cnitrail.model.finding import SEVERITY_ORDER
from cnitrail.model.partitions import partition_of
from cnitrail.model.rules import RULE_DESCRIPTIONS
from cnitrail.model.techniques import ATTACK_VERSION, TECHNIQUES, Technique
from cnitrail.render.finding_parts import NamedDoubt, NamedResource, doubts, resources
from cnitrail.render.json import line
from cnitrail.render.safe import printable
from cnitrail.version import __version__

_OCSF_VERSION = "1.5.0"
_MAX_EVIDENCES = 100
"""Maximum number of calls given in full: Amazon Data Firehose takes records of up to 1 MB."""
_MAX_RELATED = 1000
"""Maximum number of events named by their ID, for the same reason; ``-o json`` has all."""
_MAX_SKIPPED = 20
"""Maximum number of unread files that each finding names: it repeats them for every finding."""

_SEVERITY_NAMES = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
    Severity.INFO: "Informational",
}
_MOST_SEVERE_ID = 5
_USER, _ADMIN, _SYSTEM, _OTHER, _UNKNOWN = 1, 2, 3, 99, 0
_USER_TYPES = {
    ActorKind.IAM_USER: _USER,
    ActorKind.IDENTITY_CENTER: _USER,
    ActorKind.FEDERATED: _USER,
    ActorKind.ROOT: _ADMIN,
    ActorKind.AWS_SERVICE: _SYSTEM,
    ActorKind.UNKNOWN: _UNKNOWN,
}
"""OCSF's user type IDs. It has none for roles."""


class _Ocsf(Struct, frozen=True, omit_defaults=True):
    """An object of OCSF: absent values are left out."""


class _Named(_Ocsf, frozen=True):
    """A tactic, a technique or a sub-technique."""

    uid: str
    name: str
    src_url: str | None = None


class _Account(_Ocsf, frozen=True):
    uid: str
    type: str
    type_id: int


class _Owner(_Ocsf, frozen=True):
    account: _Account


class _Cloud(_Ocsf, frozen=True):
    provider: str
    account: _Account | None = None
    region: str | None = None
    cloud_partition: str | None = None


class _Attack(_Ocsf, frozen=True):
    version: str
    tactic: _Named
    technique: _Named
    sub_technique: _Named | None = None


class _Analytic(_Ocsf, frozen=True, kw_only=True):
    uid: str
    name: str
    desc: str
    type: str
    type_id: int


class _RelatedEvent(_Ocsf, frozen=True):
    uid: str
    type: str
    created_time: int


class _FindingInfo(_Ocsf, frozen=True, kw_only=True):
    uid: str
    title: str
    desc: str
    types: tuple[str, ...]
    analytic: _Analytic
    attacks: tuple[_Attack, ...] = ()
    created_time: int
    first_seen_time: int
    last_seen_time: int
    data_sources: tuple[str, ...]
    related_events: tuple[_RelatedEvent, ...]
    related_events_count: int


class _OcsfUser(_Ocsf, frozen=True, kw_only=True):
    name: str
    type: str
    type_id: int
    uid: str | None = None
    account: _Account | None = None
    credential_uid: str | None = None


class _Session(_Ocsf, frozen=True):
    uid: str
    issuer: str | None = None


class _OcsfActor(_Ocsf, frozen=True):
    user: _OcsfUser
    session: _Session | None = None
    invoked_by: str | None = None
    app_name: str | None = None


class _Response(_Ocsf, frozen=True):
    error: str
    error_message: str | None = None


class _Api(_Ocsf, frozen=True):
    operation: str
    response: _Response | None = None


class _Endpoint(_Ocsf, frozen=True):
    ip: str | None = None
    svc_name: str | None = None


class _EvidenceArtifact(_Ocsf, frozen=True, kw_only=True):
    uid: str
    name: str
    actor: _OcsfActor
    api: _Api
    src_endpoint: _Endpoint | None = None
    data: "_EventData"


class _EventData(Struct, frozen=True):
    """What OCSF has no field for: the time of a call, and the files with its record."""

    time: datetime
    sources: tuple[str, ...]


class _ResourceDetails(_Ocsf, frozen=True, kw_only=True):
    uid: str
    name: str
    type: str
    region: str | None = None
    cloud_partition: str | None = None
    owner: _Owner | None = None


class _Remediation(_Ocsf, frozen=True):
    desc: str


class _Product(_Ocsf, frozen=True):
    name: str
    vendor_name: str
    version: str


class _OcsfMetadata(_Ocsf, frozen=True, kw_only=True):
    version: str
    product: _Product
    profiles: tuple[str, ...]
    event_code: str
    log_name: str


class _EvidenceEntry(Struct, frozen=True, kw_only=True):
    """What was read, and what was not: ``skipped`` are the first of ``skipped_count``."""

    first_event: datetime | None
    last_event: datetime | None
    verified: bool
    skipped_count: int
    skipped: tuple[Skipped, ...]


class _Unmapped(Struct, frozen=True, kw_only=True):
    """Fields of a finding that OCSF has no place for, under their names in ``-o json``."""

    until: datetime | None
    addresses: tuple[Held, ...]
    commands: tuple[str, ...]
    doubts: tuple[NamedDoubt, ...]
    evidence: _EvidenceEntry


class _DetectionFinding(_Ocsf, frozen=True, kw_only=True):
    activity_id: int
    activity_name: str
    category_uid: int
    category_name: str
    class_uid: int
    class_name: str
    type_uid: int
    type_name: str
    time: int
    start_time: int
    end_time: int | None = None
    count: int
    severity_id: int
    severity: str
    status_id: int
    status: str
    confidence_id: int
    confidence: str
    message: str
    metadata: _OcsfMetadata
    cloud: _Cloud
    finding_info: _FindingInfo
    evidences: tuple[_EvidenceArtifact, ...]
    resources: tuple[_ResourceDetails, ...] = ()
    remediation: _Remediation
    unmapped: _Unmapped


def write(answer: Answer[Finding], out: IO[str]) -> None:
    """Write one line of JSON for each finding."""
    evidence = _read(answer.evidence)
    out.writelines(line(_detection_finding(finding, evidence)) for finding in answer.entries)


def _detection_finding(finding: Finding, evidence: _EvidenceEntry) -> _DetectionFinding:
    last = max(event.time for event in finding.events)
    sentence = printable(finding.sentence)
    return _DetectionFinding(
        activity_id=1,
        activity_name="Create",
        category_uid=2,
        category_name="Findings",
        class_uid=2004,
        class_name="Detection Finding",
        type_uid=200401,
        type_name="Detection Finding: Create",
        time=_milliseconds(last),
        start_time=_milliseconds(finding.since),
        end_time=None if finding.until is None else _milliseconds(finding.until),
        count=len(finding.events),
        severity_id=_MOST_SEVERE_ID - SEVERITY_ORDER[finding.severity],
        severity=_SEVERITY_NAMES[finding.severity],
        status_id=1,
        status="New",
        confidence_id=2 if finding.doubts else 3,
        confidence="Medium" if finding.doubts else "High",
        message=sentence,
        metadata=_OcsfMetadata(
            version=_OCSF_VERSION,
            product=_Product("cnitrail", "cnitrail", __version__),
            profiles=("cloud",),
            event_code=finding.rule,
            log_name="AWS CloudTrail",
        ),
        cloud=_Cloud("AWS", _account(finding.account), finding.region, partition_of(finding.region).name),
        finding_info=_finding_info(finding, sentence, last),
        evidences=tuple(_artifact(event) for event in islice(finding.events, _MAX_EVIDENCES)),
        resources=tuple(_resource(finding, resource) for resource in resources(finding)),
        remediation=_Remediation(printable(finding.advice)),
        unmapped=_Unmapped(
            until=finding.until,
            addresses=finding.addresses,
            commands=finding.commands,
            doubts=doubts(finding),
            evidence=evidence,
        ),
    )


def _finding_info(finding: Finding, sentence: str, last: datetime) -> _FindingInfo:
    rule = RULE_DESCRIPTIONS[finding.rule]
    return _FindingInfo(
        uid=finding.fingerprint,
        title=rule.title,
        desc=sentence,
        types=(finding.rule,),
        analytic=_Analytic(uid=finding.rule, name=finding.rule, desc=rule.meaning, type="Rule", type_id=1),
        attacks=tuple(_attacks(finding.techniques)),
        created_time=_milliseconds(last),
        first_seen_time=_milliseconds(finding.since),
        last_seen_time=_milliseconds(last),
        data_sources=("AWS CloudTrail",),
        related_events=tuple(
            _RelatedEvent(event.shown_id, event.name, _milliseconds(event.time))
            for event in islice(finding.events, _MAX_RELATED)
        ),
        related_events_count=len(finding.events),
    )


def _attacks(uids: Iterable[str]) -> Iterator[_Attack]:
    """Yield each technique once for each of its tactics."""
    for uid in uids:
        technique = TECHNIQUES[uid]
        for tactic in technique.tactics:
            parent = technique.parent
            yield _Attack(
                ATTACK_VERSION,
                _Named(tactic.uid, tactic.name),
                _technique(parent or technique),
                _technique(technique) if parent is not None else None,
            )


def _technique(technique: Technique) -> _Named:
    return _Named(technique.uid, technique.name, technique.url)


def _artifact(event: Event) -> _EvidenceArtifact:
    failure = event.failure
    return _EvidenceArtifact(
        uid=event.shown_id,
        name=event.name,
        actor=_actor(event.actor),
        api=_Api(event.name, None if failure is None else _Response(failure.code, failure.message)),
        src_endpoint=_endpoint(event.actor.source_ip),
        data=_EventData(event.time, tuple(dict.fromkeys(origin.source for origin in event.origins))),
    )


def _actor(actor: Actor) -> _OcsfActor:
    user = _OcsfUser(
        name=printable(actor.label),
        type=actor.kind.value,
        type_id=_USER_TYPES.get(actor.kind, _OTHER),
        uid=actor.arn,
        account=_account(actor.account),
        credential_uid=actor.access_key_id,
    )
    session = _Session(actor.session, actor.role_arn) if actor.session is not None else None
    return _OcsfActor(user, session, actor.invoked_by, actor.agent.name or actor.agent.sdk)


def _endpoint(source_ip: str | None) -> _Endpoint | None:
    """Return where a call came from: CloudTrail writes an address, or the name of an AWS service."""
    if not source_ip:
        return None
    try:
        return _Endpoint(ip=str(ip_address(source_ip)))
    except ValueError:
        return _Endpoint(svc_name=source_ip)


def _resource(finding: Finding, resource: NamedResource) -> _ResourceDetails:
    account = _account(finding.account)
    return _ResourceDetails(
        uid=resource.arn or resource.name,
        name=resource.name,
        type=resource.kind,
        region=finding.region,
        cloud_partition=partition_of(finding.region).name,
        owner=_Owner(account) if account is not None else None,
    )


def _account(uid: str | None) -> _Account | None:
    return _Account(uid, "AWS Account", 10) if uid is not None else None


def _read(evidence: Evidence) -> _EvidenceEntry:
    return _EvidenceEntry(
        first_event=evidence.first_event,
        last_event=evidence.last_event,
        verified=evidence.verified,
        skipped_count=len(evidence.skipped),
        skipped=evidence.skipped[:_MAX_SKIPPED],
    )


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
