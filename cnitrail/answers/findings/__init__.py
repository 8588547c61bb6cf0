"""What is out of the ordinary: a table of rules over one history.

A new finding is one file here, or one function in one, and one row in ``RULES``.
"""

from collections.abc import Callable, Iterable, Iterator

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.attach_limit import attach_limit
from cnitrail.answers.findings.by_hand import assigned_by_hand, released_by_hand
from cnitrail.answers.findings.churn import churn
from cnitrail.answers.findings.context import Claim, FindingContext
from cnitrail.answers.findings.exhausted import several_then_one, subnet_exhausted
from cnitrail.answers.findings.leaks import deleted_by_others, never_attached, never_deleted
from cnitrail.answers.findings.newcomers import never_seen_before
from cnitrail.answers.findings.node_role import node_role_beside_irsa
from cnitrail.answers.findings.reassigned import stolen_address
from cnitrail.answers.findings.throttled import throttled
from cnitrail.answers.findings.trail import trail_bucket_changed, trail_narrowed, trail_stopped
from cnitrail.answers.findings.versions import mixed_versions
from cnitrail.answers.leases import meets_time
from cnitrail.answers.timeline import takes_place
from cnitrail.model import SEVERITY_ORDER, Coverage, Finding, History, order_of

__all__ = ["RULES", "findings"]

RULES: dict[str, Callable[[FindingContext], Iterator[Claim]]] = {
    "address-assigned-by-hand": assigned_by_hand,
    "address-released-by-hand": released_by_hand,
    "address-stolen": stolen_address,
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
    """What every rule finds, as far as a filter keeps it: the gravest first, then by time.

    Rules see the whole history. A finding is kept where it meets the time range, and where one of
    the calls that it rests on is about what was asked for.
    """
    case = FindingContext(history, coverage)
    found = [
        _finding(name, claim) for name, rule in RULES.items() for claim in rule(case) if _takes(wanted, claim)
    ]
    return tuple(sorted(found, key=_place))


def _place(finding: Finding) -> tuple[object, ...]:
    return SEVERITY_ORDER[finding.severity], finding.since, finding.rule, finding.sentence


def _takes(wanted: Filter, claim: Claim) -> bool:
    return meets_time(claim.since, claim.until, wanted) and any(
        takes_place(wanted, call.entry)
        and wanted.takes_actor(call.entry.actor)
        and wanted.takes_event(call.event.name)
        for call in claim.calls
    )


def _finding(rule: str, claim: Claim) -> Finding:
    entries = [call.entry for call in claim.calls]
    addresses = {
        held
        for entry in entries
        for held in (*entry.added, *entry.shown, *entry.removed, *(each.ip for each in entry.moved))
    }
    first = entries[0]
    return Finding(
        rule=rule,
        severity=claim.severity,
        sentence=claim.sentence,
        advice=claim.advice,
        doubts=claim.doubts,
        since=claim.since,
        until=claim.until,
        account=first.account,
        region=first.region,
        clusters=_names(name for each in entries for name in (each.cluster, each.actor.cluster)),
        vpcs=_names(each.vpc for each in entries),
        subnets=_names(each.subnet for each in entries),
        instances=_names(each.instance for each in entries),
        enis=_names(
            name for each in entries for name in (each.eni, *(moved.from_eni for moved in each.moved))
        ),
        addresses=tuple(sorted(addresses, key=order_of)),
        events=tuple({call.event.key: call.event for call in claim.calls}.values()),
    )


def _names(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
