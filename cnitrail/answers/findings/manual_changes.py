"""Addresses that a person, or a program other than the VPC CNI, assigned to or released from a node's ENI.

ipamd takes every address that it finds on its ENIs into its pool and assigns it to pods, and drops
what is gone while a pod may still use it (nodeIPPoolReconcile, pkg/ipamd/ipamd.go in
amazon-vpc-cni-k8s).
"""

from collections.abc import Iterator

from cnitrail.answers.findings.commands import describe_enis, pods_with
from cnitrail.answers.findings.context import (
    FindingContext,
    ResourceCall,
    RuleMatch,
    grouped,
    is_foreign,
    program_of,
)
from cnitrail.model import Basis, Effect, Held, Severity
from cnitrail.model.callers import principal_of
from cnitrail.text import counted, short_list

_KEEP_APART = "Keep IPs of your own on an ENI with the tag node.k8s.amazonaws.com/no_manage=true."
_ASSIGNED = (
    "The VPC CNI adds these IPs to its pool and may assign them to pods as well. Unassign those that pods "
    f"must not use (aws ec2 unassign-private-ip-addresses). {_KEEP_APART} If the caller is the cluster's own "
    "network plugin, nothing is wrong."
)
_RELEASED = (
    "Pods that use these IPs have lost their network, and the VPC CNI notices only later. Delete those pods. "
    f"{_KEEP_APART}"
)

_SEVERITY_BY_SIGNS = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)
"""By how many of two signs there are: addresses requested by name, and an ENI that the CNI manages."""


def assigned_by_hand(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield addresses that were assigned to an ENI of a node, but not by the VPC CNI."""
    calls = [call for call in _on_nodes(case, Effect.ASSIGN) if not _may_reassign(call)]
    for group in _by_caller(calls):
        by_name = any(call.entry.requested_addresses for call in group)
        signs = by_name, _is_in_the_pool(case, group)
        leases = [lease for call in group for lease in case.leases_by_start.get(call.event.key, ())]
        how = " The IPs were requested by name, which the VPC CNI never does." if by_name else ""
        who = case.who(group[0].entry.actor)
        yield RuleMatch(
            severity=_SEVERITY_BY_SIGNS[sum(signs)],
            sentence=f"{who} assigned {_addresses(group)} to {_enis(case, group)}.{how}",
            advice=_ASSIGNED,
            commands=describe_enis(group[0].place, (call.entry.eni for call in group)),
            calls=group,
            ongoing=any(lease.end.basis is Basis.OPEN for lease in leases),
        )


def released_by_hand(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield addresses that were released from an ENI of a node, but not by the VPC CNI.

    An address that was assigned by hand may be released by hand.
    """
    assigned: dict[tuple[str, Held], ResourceCall] = {}
    for call in _on_nodes(case, Effect.ASSIGN):
        for lease in case.leases_by_start.get(call.event.key, ()):
            assigned.setdefault((lease.eni, lease.held), call)

    def is_own(call: ResourceCall) -> bool:
        by_hand = (assigned.get((call.entry.eni or "", held)) for held in call.entry.removed)
        return all(before is not None and before.time <= call.time for before in by_hand)

    calls = [call for call in _on_nodes(case, Effect.UNASSIGN) if not is_own(call)]
    for group in _by_caller(calls):
        who = case.who(group[0].entry.actor)
        yield RuleMatch(
            severity=Severity.HIGH if _is_in_the_pool(case, group) else Severity.MEDIUM,
            sentence=f"{who} released {_addresses(group)} from {_enis(case, group)}.",
            advice=_RELEASED,
            commands=pods_with(held for call in group for held in call.entry.removed),
            calls=group,
        )


def _on_nodes(case: FindingContext, effect: Effect) -> Iterator[ResourceCall]:
    """Yield the calls of others on ENIs that the CNI manages, or may manage."""
    for call in case.calls:
        entry = call.entry
        is_on_a_node = entry.eni in case.cni_enis or (entry.eni_kind == "node-primary" and entry.cluster)
        if call.did(effect) and is_on_a_node and is_foreign(call):
            yield call


def _is_in_the_pool(case: FindingContext, group: list[ResourceCall]) -> bool:
    """Return whether pods may have the addresses, or may get them."""
    return any(call.entry.eni in case.cni_enis for call in group)


def _may_reassign(call: ResourceCall) -> bool:
    """Return whether the call may take addresses from other ENIs, which is a finding of its own."""
    return any(subject.reassign for subject in call.event.subjects)


def _by_caller(calls: list[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """Yield the calls of each principal with each program."""
    groups = grouped(
        calls,
        lambda call: (
            call.place,
            principal_of(call.entry.actor),
            program_of(call.entry.actor),
        ),
    )
    yield from groups.values()


def _addresses(group: list[ResourceCall]) -> str:
    held = [str(address) for call in group for address in (*call.entry.added, *call.entry.removed)]
    if held:
        return short_list(held)
    return counted(sum(call.entry.requested or 0 for call in group), "IP")


def _enis(case: FindingContext, group: list[ResourceCall]) -> str:
    """Return the ENIs and their instances, and whether the CNI manages all of them."""
    enis = {call.entry.eni for call in group if call.entry.eni}
    instances = {call.entry.instance for call in group if call.entry.instance}
    managed = ", which the VPC CNI manages" if enis <= case.cni_enis else ""
    return short_list(enis) + (f" of {short_list(instances)}" if instances else "") + managed
