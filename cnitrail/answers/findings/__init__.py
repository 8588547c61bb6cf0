"""Findings: problems and suspicious changes, as a table of rules over one history.

A new finding is one file here, or one function in one, and one row in ``RULES``.
"""

from collections.abc import Callable, Iterable, Iterator

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.address_churn import churn
from cnitrail.answers.findings.attach_limit import attach_limit
from cnitrail.answers.findings.cni_versions import mixed_versions
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.ip_exhaustion import several_then_one, subnet_exhausted
from cnitrail.answers.findings.leaked_enis import deleted_by_others, never_attached, never_deleted
from cnitrail.answers.findings.manual_changes import assigned_by_hand, released_by_hand
from cnitrail.answers.findings.new_callers import never_seen_before
from cnitrail.answers.findings.node_role_fallback import node_role_beside_irsa
from cnitrail.answers.findings.reassigned import reassigned_address
from cnitrail.answers.findings.throttling import throttled
from cnitrail.answers.findings.trail_changes import trail_bucket_changed, trail_narrowed, trail_stopped
from cnitrail.answers.leases import meets_time
from cnitrail.answers.timeline import takes_place
from cnitrail.model import SEVERITY_ORDER, Coverage, Finding, History, order_of

__all__ = ["RULES", "findings"]

RULES: dict[str, Callable[[FindingContext], Iterator[RuleMatch]]] = {
    "address-assigned-by-hand": assigned_by_hand,
    "address-released-by-hand": released_by_hand,
    "address-stolen": reassigned_address,
    "subnet-exhausted": subnet_exhausted,
    "several-then-one": several_then_one,
    "api-throttled": throttled,
    "address-churn": churn,
    "interface-never-attached": never_attached,
    "interface-never-deleted": never_deleted,
    "interface-deleted-by-others": deleted_by_others,
    "attach-limit-loop": attach_limit,
    "node-role-beside-irsa": node_role_beside_irsa,
    "never-seen-before": never_seen_before,
    "mixed-cni-versions": mixed_versions,
    "trail-stopped": trail_stopped,
    "trail-narrowed": trail_narrowed,
    "trail-bucket-changed": trail_bucket_changed,
}


def findings(history: History, coverage: Coverage, wanted: Filter) -> tuple[Finding, ...]:
    """Return the findings of all rules that a filter keeps, by severity, then by time.

    Rules see the whole history. A finding is kept if it overlaps the time range, and if the filter
    keeps at least one of its calls.
    """
    case = FindingContext(history, coverage)
    found = [
        _finding(name, match) for name, rule in RULES.items() for match in rule(case) if _takes(wanted, match)
    ]
    return tuple(sorted(found, key=_severity_and_time))


def _severity_and_time(finding: Finding) -> tuple[object, ...]:
    return SEVERITY_ORDER[finding.severity], finding.since, finding.rule, finding.sentence


def _takes(wanted: Filter, match: RuleMatch) -> bool:
    return meets_time(match.since, match.until, wanted) and any(
        takes_place(wanted, call.entry)
        and wanted.takes_actor(call.entry.actor)
        and wanted.takes_event(call.event.name)
        for call in match.calls
    )


def _finding(rule: str, match: RuleMatch) -> Finding:
    entries = [call.entry for call in match.calls]
    addresses = {
        held
        for entry in entries
        for held in (*entry.added, *entry.shown, *entry.removed, *(moved.ip for moved in entry.moved))
    }
    first = entries[0]
    return Finding(
        rule=rule,
        severity=match.severity,
        sentence=match.sentence,
        advice=match.advice,
        commands=match.commands,
        doubts=match.doubts,
        since=match.since,
        until=match.until,
        account=first.account,
        region=first.region,
        clusters=_names(name for entry in entries for name in (entry.cluster, entry.actor.cluster)),
        vpcs=_names(entry.vpc for entry in entries),
        subnets=_names(entry.subnet for entry in entries),
        instances=_names(entry.instance for entry in entries),
        enis=_names(
            name for entry in entries for name in (entry.eni, *(moved.from_eni for moved in entry.moved))
        ),
        addresses=tuple(sorted(addresses, key=order_of)),
        events=tuple({call.event.key: call.event for call in match.calls}.values()),
    )


def _names(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
