"""What CloudTrail shows of the last hours: findings, refused calls of network plugins, broken sign-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cnitrail.answers.coverage_text import OF_TABLES
from cnitrail.model import Severity
from cnitrail.model.checkup import Check, CheckCause, CheckCode, CheckStatus
from cnitrail.model.finding import severity_counts
from cnitrail.model.reason import ReasonCode
from cnitrail.sources import LOOKUP
from cnitrail.text import clock, counted, duration, listed, time_range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from cnitrail.model import Evidence, Finding
    from cnitrail.model.reason import Reason

_STATUS: Final = {
    Severity.CRITICAL: CheckStatus.FAILED,
    Severity.HIGH: CheckStatus.FAILED,
    Severity.MEDIUM: CheckStatus.WARNING,
    Severity.LOW: CheckStatus.WARNING,
    Severity.INFO: CheckStatus.OK,
}

_OWN_ROWS: Final = {
    "cni-call-denied": CheckCode.CNI_CALLS,
    "irsa-sign-in-failing": CheckCode.SIGN_INS,
    "node-role-beside-irsa": CheckCode.SIGN_INS,
}
"""Rules whose findings are checks of their own, which are shown even if nothing is found."""

_NOTHING: Final = {
    CheckCode.CNI_CALLS: "No denied call of a network plugin",
    CheckCode.SIGN_INS: "No failed sign-in of a service account (IRSA, Pod Identity)",
}


def event_checks(
    found: Sequence[Finding], others: int, where: str, unseen: str | None = None
) -> Iterator[Check]:
    """Yield the findings as checks; ``others`` is how many there are outside of ``where``.

    ``unseen`` says why the evidence shows nothing of the range: then no findings are no good sign.
    """
    for code, nothing in _NOTHING.items():
        own = [finding for finding in found if _OWN_ROWS.get(finding.rule) is code]
        yield from _rows(own, code)
        if not own and unseen is None:
            yield Check(code=code, status=CheckStatus.OK, text=f"{nothing}{where}")
        elif not own:
            yield _unjudged(code, unseen)
    yield _unjudged(CheckCode.FINDINGS, unseen) if unseen and not found else _summary(found, others, where)
    yield from _rows((finding for finding in found if finding.rule not in _OWN_ROWS), CheckCode.FINDING)


def read_check(
    evidence: Evidence, limitations: Sequence[Reason], since: datetime | None, lag: timedelta
) -> Check:
    """Return what was read, and what of the time that was asked for this does not cover."""
    records = sum(source.records for source in evidence.sources)
    relevant = sum(source.kept for source in evidence.sources) - evidence.pod_records
    uris = [source.uri for source in evidence.sources]
    begin = f" from {clock(since)} on" if since is not None else ""
    text = f"Read {counted(records, 'event')} of {listed(uris)}{begin}, {relevant:,} of them IP-related"
    if evidence.first_event is not None and evidence.last_event is not None:
        text += f" ({time_range(evidence.first_event, evidence.last_event)})"
    if evidence.pod_records:
        text += f", and {evidence.pod_records:,} about pods"
    general = (ReasonCode.COVERAGE_UNKNOWN, *OF_TABLES)
    gaps = [reason.text for reason in limitations if reason.code not in general]
    of_tables = [reason.text for reason in limitations if reason.code in OF_TABLES]
    parts = [f"{counted(len(evidence.skipped), 'part')} could not be read"] if evidence.skipped else []
    if not records and not evidence.coverage:
        parts.append("this does not show that nothing happened")
    parts += gaps[:_SHOWN_GAPS]
    if len(gaps) > _SHOWN_GAPS:
        parts.append(f"{len(gaps) - _SHOWN_GAPS} more gaps")
    late = [f"LookupEvents may show the newest events up to {duration(lag)} late"] if LOOKUP in uris else []
    return Check(
        code=CheckCode.EVIDENCE,
        status=CheckStatus.WARNING if parts else CheckStatus.OK,
        text="; ".join((text, *parts)),
        hint="; ".join((*late, *of_tables)) or None,
    )


_SHOWN_GAPS: Final = 3


def unread_check(reason: str, hint: str | None) -> Check:
    """Return that events could not be read, and why."""
    return Check(
        code=CheckCode.EVIDENCE,
        status=CheckStatus.FAILED,
        text=reason,
        hint=hint,
        cause=CheckCause.NO_ANSWER,
    )


_WHY_UNREAD: Final = {
    CheckCause.ACCESS_DENIED: "access is denied",
    CheckCause.CREDENTIALS: "AWS cannot be called (see identity)",
    CheckCause.CLOCK: "this machine's clock is wrong",
    CheckCause.UNREACHABLE: "AWS cannot be reached",
    CheckCause.THROTTLED: "the calls are throttled",
}


def refused_check(uri: str, cause: CheckCause) -> Check:
    """Return that a source was not read, because a check before has shown that it cannot be."""
    return Check(
        code=CheckCode.EVIDENCE,
        status=CheckStatus.SKIPPED,
        text=f"The source {uri} was not read: {_WHY_UNREAD.get(cause, 'a call for it failed')}",
        cause=cause,
        resource=uri,
    )


def unjudged_checks() -> Iterator[Check]:
    """Yield the checks that need events, as skipped."""
    for code in _SUBJECTS:
        yield _unjudged(code, "no events were read")


def _unjudged(code: CheckCode, why: str | None) -> Check:
    text = f"{_SUBJECTS[code]} not checked: {why}"
    return Check(code=code, status=CheckStatus.SKIPPED, text=text, cause=CheckCause.NO_ANSWER)


_SUBJECTS: Final = {
    CheckCode.CNI_CALLS: "Denied calls",
    CheckCode.SIGN_INS: "Sign-ins of service accounts",
    CheckCode.FINDINGS: "Findings",
}


def _summary(found: Sequence[Finding], others: int, where: str) -> Check:
    """Return how many findings there are of each severity."""
    by_severity = ", ".join(severity_counts(finding.severity for finding in found))
    outside = f"; {others} about other resources" if others else ""
    text = f"{counted(len(found), 'finding')}{where}: {by_severity}" if found else f"No findings{where}"
    return Check(code=CheckCode.FINDINGS, status=CheckStatus.OK, text=f"{text}{outside}")


def _rows(found: Iterable[Finding], code: CheckCode) -> Iterator[Check]:
    for finding in found:
        yield Check(
            code=code,
            status=_STATUS[finding.severity],
            text=finding.sentence.rstrip("."),
            hint=finding.advice.rstrip("."),
            commands=finding.commands,
            resource=_resource(finding),
            rule=finding.rule,
            events=tuple(event.shown_id for event in finding.events),
        )


def _resource(finding: Finding) -> str | None:
    """Return the one thing that a finding is about, from the smallest to the largest."""
    for names in (finding.enis, finding.instances, finding.subnets, finding.clusters):
        if names:
            return names[0] if len(names) == 1 else None
    return None
