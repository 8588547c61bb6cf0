"""Findings: problems and suspicious changes, as a table of rules over one history.

A new finding is one file here, or one function in one, one row in ``RULES``, and one in
``RULE_DESCRIPTIONS`` (its title, highest severity and ATT&CK techniques).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import msgspec
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.address_churn import churn
from cnitrail.answers.findings.address_limit import address_limit_exceeded
from cnitrail.answers.findings.attach_limit import attach_limit, create_attach_delete
from cnitrail.answers.findings.cleanups import deleted_by_others
from cnitrail.answers.findings.cni_versions import mixed_versions
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.denied_calls import cni_call_denied
from cnitrail.answers.findings.failing_calls import calls_keep_failing
from cnitrail.answers.findings.ip_exhaustion import several_then_one, subnet_exhausted
from cnitrail.answers.findings.leaked_enis import never_attached, never_deleted
from cnitrail.answers.findings.manual_changes import assigned_by_hand, released_by_hand
from cnitrail.answers.findings.new_callers import never_seen_before
from cnitrail.answers.findings.node_role_fallback import node_role_beside_irsa
from cnitrail.answers.findings.reassigned import reassigned_address
from cnitrail.answers.findings.sign_ins import irsa_sign_in_failing
from cnitrail.answers.findings.strangers import removed_by_stranger
from cnitrail.answers.findings.throttling import throttled
from cnitrail.answers.findings.trail_changes import trail_bucket_changed, trail_narrowed, trail_stopped
from cnitrail.answers.leases import meets_time
from cnitrail.answers.timeline import takes_place
from cnitrail.garbage import without_garbage_collection
from cnitrail.model import SEVERITY_ORDER, Coverage, Event, Finding, History, TimelineEntry, order_of
from cnitrail.model.rules import RULE_DESCRIPTIONS

__all__ = ["RULES", "FindingIndex", "findings"]


RULES: dict[str, Callable[[FindingContext], Iterator[RuleMatch]]] = {
    "address-assigned-by-hand": assigned_by_hand,
    "address-released-by-hand": released_by_hand,
    "address-reassigned": reassigned_address,
    "subnet-exhausted": subnet_exhausted,
    "several-then-one": several_then_one,
    "api-throttled": throttled,
    "address-churn": churn,
    "interface-never-attached": never_attached,
    "interface-never-deleted": never_deleted,
    "interface-deleted-by-others": deleted_by_others,
    "cni-eni-removed": removed_by_stranger,
    "attach-limit-loop": attach_limit,
    "create-attach-delete-loop": create_attach_delete,
    "address-limit-exceeded": address_limit_exceeded,
    "cni-call-denied": cni_call_denied,
    "irsa-sign-in-failing": irsa_sign_in_failing,
    "node-role-beside-irsa": node_role_beside_irsa,
    "calls-keep-failing": calls_keep_failing,
    "never-seen-before": never_seen_before,
    "mixed-cni-versions": mixed_versions,
    "trail-stopped": trail_stopped,
    "trail-narrowed": trail_narrowed,
    "trail-bucket-changed": trail_bucket_changed,
}


class FindingIndex:
    """What all rules match in a history, from which filters select findings.

    The rules run once, when findings are first asked for, and see the whole history. A finding is kept if
    it overlaps the time range, and if the filter keeps at least one of its calls, or of those that caused it.
    """

    def __init__(
        self,
        history: History,
        coverage: Coverage,
        entries: Iterable[tuple[Event, TimelineEntry]] | None = None,
    ) -> None:
        """Judge a history; ``entries`` are those of all its calls, if they are known already."""
        self._history = history
        self._coverage = coverage
        self._entries = entries

    def findings(self, *wanted: Filter) -> tuple[Finding, ...]:
        """Return the findings of all rules that any of some filters keeps, by severity, then by time."""
        with without_garbage_collection():
            found = [
                _finding(name, fingerprint, match)
                for name, fingerprint, match in self._matches
                if any(_takes(one, match) for one in wanted)
            ]
        return tuple(sorted(found, key=_severity_and_time))

    @cached_property
    def _matches(self) -> list[tuple[str, str, RuleMatch]]:
        """Return every match with its rule and its fingerprint, in the order of the rules."""
        with without_garbage_collection():
            case = FindingContext(self._history, self._coverage, self._entries)
            begun: Counter[bytes] = Counter()
            matches = []
            for name, rule in RULES.items():
                for match in rule(case):
                    first = _first_call(name, match)
                    begun[first] += 1
                    matches.append((name, _fingerprint(first, begun[first]), match))
            return matches


def findings(history: History, coverage: Coverage, wanted: Filter) -> tuple[Finding, ...]:
    """Return the findings of a history that a filter keeps, by severity, then by time."""
    return FindingIndex(history, coverage).findings(wanted)


def _first_call(name: str, match: RuleMatch) -> bytes:
    """Return what stays the same about a match when later evidence adds calls to it."""
    calls = ((call.time, call.event.key, call.entry.eni or call.entry.instance or "") for call in match.calls)
    _, key, resource = min(calls)
    return msgspec.json.encode((name, key, resource))


def _fingerprint(first: bytes, number: int) -> str:
    """Return the fingerprint of a finding, by its first call and its number among those with the same."""
    from hashlib import sha256

    return sha256(first if number == 1 else b"%b #%d" % (first, number)).hexdigest()[:32]


def _severity_and_time(finding: Finding) -> tuple[object, ...]:
    return SEVERITY_ORDER[finding.severity], finding.since, finding.rule, finding.sentence


def _takes(wanted: Filter, match: RuleMatch) -> bool:
    """Return whether a filter keeps a match: by its time, and one of its calls or of the nodes it is for."""
    is_for_node = wanted.names_instances and wanted.takes_instance(*match.nodes)
    place = replace(wanted, instance=(), node=()) if is_for_node else wanted
    return meets_time(match.since, match.until, wanted) and any(
        takes_place(place, call.entry)
        and wanted.takes_actor(call.entry.actor)
        and wanted.takes_event(call.event)
        for call in (*match.calls, *match.causes)
    )


def _finding(name: str, fingerprint: str, match: RuleMatch) -> Finding:
    """Return what a rule matched as a finding: with all that its calls, and the ENIs that lost, are about."""
    entries = [call.entry for call in match.calls]
    addresses = {
        held
        for entry in entries
        for held in (
            *entry.added,
            *entry.shown,
            *entry.removed,
            *entry.carried,
            *(moved.ip for moved in entry.moved),
        )
    }
    losers = [moved for entry in entries for moved in entry.moved]
    in_clusters = [*entries, *(call.entry for call in match.causes)]
    first = entries[0]
    return Finding(
        rule=name,
        severity=match.severity,
        sentence=match.sentence,
        advice=match.advice,
        commands=match.commands,
        doubts=match.doubts,
        since=match.since,
        until=match.until,
        account=first.account,
        region=first.region,
        clusters=_names(
            *(name for entry in in_clusters for name in (entry.cluster, entry.actor.cluster)),
            *(name for moved in losers for name in moved.from_clusters),
        ),
        vpcs=_names(*(entry.vpc for entry in entries), *(moved.from_vpc for moved in losers)),
        subnets=_names(*(entry.subnet for entry in entries), *(moved.from_subnet for moved in losers)),
        instances=_names(
            *match.nodes,
            *(entry.instance for entry in entries),
            *(moved.from_instance for moved in losers),
        ),
        enis=_names(*(entry.eni for entry in entries), *(moved.from_eni for moved in losers)),
        addresses=tuple(sorted(addresses, key=order_of)),
        events=tuple({call.event.key: call.event for call in match.calls}.values()),
        census=match.census,
        techniques=RULE_DESCRIPTIONS[name].techniques,
        fingerprint=fingerprint,
    )


def _names(*names: str | None) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
