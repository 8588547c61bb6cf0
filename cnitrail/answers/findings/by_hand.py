"""Addresses that a person, or a program other than the VPC CNI, gave or took on a node's interface.

ipamd takes every address that it finds on its interfaces into its pool and gives it to pods, and
drops what is gone while a pod may still use it (nodeIPPoolReconcile, pkg/ipamd/ipamd.go in
amazon-vpc-cni-k8s).
"""

from collections.abc import Iterator

from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.words import counted, listed, through
from cnitrail.model import Basis, Effect, Held, Severity
from cnitrail.model.callers import principal_of

_KEEP_APART = "Keep addresses of your own on an interface tagged node.k8s.amazonaws.com/no_manage=true."
_ASSIGNED = (
    "The VPC CNI takes these addresses into its pool and may give them to pods as well: release what pods "
    f"are not meant to have (aws ec2 unassign-private-ip-addresses). {_KEEP_APART} If the program is this "
    "cluster's own network plugin, nothing is wrong."
)
_RELEASED = (
    "A pod that had one of these addresses is cut off, and the VPC CNI notices only later: delete the pods "
    f"that cannot be reached. {_KEEP_APART}"
)


_GRAVITY = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)
"""By how many of two signs there are: addresses asked for by name, and an interface of the CNI's pool."""


def assigned_by_hand(case: FindingContext) -> Iterator[Claim]:
    """Addresses were added to an interface of a node, but not by the VPC CNI."""
    calls = [call for call in _on_nodes(case, Effect.ASSIGN) if not _takes_over(call)]
    for group in _by_actor(calls):
        signs = any(call.entry.requested_addresses for call in group), _is_in_the_pool(case, group)
        held = [lease for call in group for lease in case.taken_by.get(call.event.key, ())]
        how = " by name, as the VPC CNI never does," if signs[0] else ""
        actor = group[0].entry.actor
        yield Claim(
            severity=_GRAVITY[sum(signs)],
            sentence=f"{case.who(actor)} assigned {_addresses(group)}{how} to {_interfaces(case, group)}.",
            advice=_ASSIGNED,
            calls=group,
            ongoing=any(lease.end.basis is Basis.OPEN for lease in held),
        )


def released_by_hand(case: FindingContext) -> Iterator[Claim]:
    """Addresses were released from an interface of a node, but not by the VPC CNI.

    What somebody assigned by hand, somebody may release by hand.
    """
    given: dict[tuple[str, Held], ResourceCall] = {}
    for call in _on_nodes(case, Effect.ASSIGN):
        for lease in case.taken_by.get(call.event.key, ()):
            given.setdefault((lease.eni, lease.held), call)

    def is_own(call: ResourceCall) -> bool:
        by_hand = (given.get((call.entry.eni or "", held)) for held in call.entry.removed)
        return all(before is not None and before.time <= call.time for before in by_hand)

    calls = [call for call in _on_nodes(case, Effect.UNASSIGN) if not is_own(call)]
    for group in _by_actor(calls):
        actor = group[0].entry.actor
        yield Claim(
            severity=Severity.HIGH if _is_in_the_pool(case, group) else Severity.MEDIUM,
            sentence=f"{case.who(actor)} released {_addresses(group)} of {_interfaces(case, group)}.",
            advice=_RELEASED,
            calls=group,
        )


def _on_nodes(case: FindingContext, effect: Effect) -> Iterator[ResourceCall]:
    """The calls of others on interfaces that the CNI manages, or may manage."""
    for call in case.calls:
        entry = call.entry
        of_a_node = entry.eni in case.of_the_cni or (entry.eni_kind == "node-primary" and entry.cluster)
        if call.did(effect) and of_a_node and is_foreign(call):
            yield call


def _is_in_the_pool(case: FindingContext, group: list[ResourceCall]) -> bool:
    """Whether pods may have the addresses, or may get them."""
    return any(call.entry.eni in case.of_the_cni for call in group)


def _takes_over(call: ResourceCall) -> bool:
    """Whether the call may take addresses from others: that is a finding of its own."""
    return any(subject.reassign for subject in call.event.subjects)


def _by_actor(calls: list[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """The calls of each actor through each program."""
    groups = grouped(
        calls,
        lambda call: (
            call.place,
            principal_of(call.entry.actor),
            through(call.entry.actor),
        ),
    )
    yield from groups.values()


def _addresses(group: list[ResourceCall]) -> str:
    held = [str(each) for call in group for each in (*call.entry.added, *call.entry.removed)]
    if held:
        return listed(held)
    return counted(sum(call.entry.requested or 0 for call in group), "address", "addresses")


def _interfaces(case: FindingContext, group: list[ResourceCall]) -> str:
    """Where the addresses are, and whether the CNI manages them there."""
    enis = {call.entry.eni for call in group if call.entry.eni}
    instances = {call.entry.instance for call in group if call.entry.instance}
    managed = ", which the VPC CNI manages" if enis <= case.of_the_cni else ""
    return listed(enis) + (f" of {listed(instances)}" if instances else "") + managed
