"""Addresses that a stranger assigned to or released from a node's ENI: a person, or another program.

ipamd takes every address that it finds on its ENIs into its pool and assigns it to pods, and drops
what is gone while a pod may still use it (nodeIPPoolReconcile, pkg/ipamd/ipamd.go in
amazon-vpc-cni-k8s). What another manager of an ENI does with it, by its own rules, is no finding.
"""

from collections.abc import Collection, Iterator

from cnitrail.answers.findings.calls import (
    MAY_BE_THE_CNI,
    ResourceCall,
    grouped,
    is_controller,
    is_elsewhere,
    is_foreign,
    program_of,
)
from cnitrail.answers.findings.commands import describe_enis, pods_with
from cnitrail.answers.findings.context import NODES_SINCE, FindingContext, RuleMatch
from cnitrail.answers.findings.wording import enis_managed_by
from cnitrail.model import (
    MANAGER_NAMES,
    ActorKind,
    Basis,
    Effect,
    Held,
    Manager,
    Severity,
    Strength,
    is_prefix,
)
from cnitrail.model.callers import manager_of_caller, may_be_the_cni, principal_of
from cnitrail.model.manager import NO_PLUGIN, PLUGINS
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import capitalized, counted, short_list

_KEEP_APART = "Keep IPs of your own on an ENI with the tag node.k8s.amazonaws.com/no_manage=true."
_ASSIGNED = (
    "The VPC CNI adds these IPs to its pool and may assign them to pods as well. Unassign those that pods "
    f"must not use (aws ec2 unassign-private-ip-addresses). {_KEEP_APART}"
)
_RELEASED = (
    "Pods that use these IPs have lost their network, and the VPC CNI notices only later. Delete those pods. "
    f"{_KEEP_APART}"
)
_TWO_PLUGINS = (
    "Two network plugins manage one ENI: {plugin} and the VPC CNI, which takes the IPs of the other into its "
    "pool. Finish the migration: keep aws-node off the nodes that {plugin} manages, and replace nodes that "
    "both have used."
)
_OTHER_MANAGER = (
    "{manager} manages the IPs of this ENI and may not know of the change. Ask the caller why, and undo it "
    "if nobody needs it."
)
_NO_CNI = (
    "If the caller is the cluster's own network plugin, nothing is wrong. Otherwise ask the caller why: pods "
    "may use these IPs."
)
_NOT_USED = (
    "The VPC CNI does not assign single IPv6 addresses to pods, only prefixes. Ask the caller what the IPs "
    "are for."
)
_NOT_FOR_PODS = (Manager.NOT_KUBERNETES, Manager.AWS_SERVICE)
_IPV4 = 4
_BY_SIGNS = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)
"""By how many of two signs there are: addresses requested by name, and an ENI that the CNI manages."""


def assigned_by_hand(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield addresses that a stranger assigned to an ENI of a node."""
    calls = [call for call in _by_strangers(case, Effect.ASSIGN) if not call.may_reassign]
    for group in _by_caller(case, calls):
        by_name = any(call.entry.requested_addresses for call in group)
        leases = [lease for call in group for lease in case.leases_by_start.get(call.event.key, ())]
        how = " The IPs were requested by name, which the VPC CNI never does." if by_name else ""
        who = case.who(group[0].entry.actor)
        yield RuleMatch(
            severity=_severity_of_assignment(case, group),
            sentence=f"{who} assigned {_addresses(group)} to {_enis(case, group)}."
            f"{how if case.manager_of(group[0]).manager is Manager.VPC_CNI else ''}",
            advice=_advice(case, group, _ASSIGNED),
            commands=describe_enis(group[0].place, (call.entry.eni for call in group)),
            calls=group,
            doubts=_doubts(case, group),
            ongoing=any(lease.end.basis is Basis.OPEN for lease in leases),
        )


def released_by_hand(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield addresses that a stranger released from an ENI of a node.

    An address that was assigned by hand may be released by hand.
    """
    released = list(_by_strangers(case, Effect.UNASSIGN))
    assigned: dict[tuple[str, Held], ResourceCall] = {}
    for call in _by_strangers(case, Effect.ASSIGN) if released else ():
        for lease in case.leases_by_start.get(call.event.key, ()):
            assigned.setdefault((lease.eni, lease.held), call)

    def is_own(call: ResourceCall) -> bool:
        by_hand = (assigned.get((call.entry.eni or "", held)) for held in call.entry.removed)
        return all(before is not None and before.time <= call.time for before in by_hand)

    calls = [call for call in released if not is_own(call)]
    for group in _by_caller(case, calls):
        who = case.who(group[0].entry.actor)
        yield RuleMatch(
            severity=_severity_of_release(case, group),
            sentence=f"{who} released {_addresses(group)} from {_enis(case, group)}.",
            advice=_advice(case, group, _RELEASED),
            commands=pods_with(held for call in group for held in call.entry.removed),
            calls=group,
            doubts=_doubts(case, group),
        )


def _by_strangers(case: FindingContext, effect: Effect) -> Iterator[ResourceCall]:
    """Yield the calls that others than its manager made on an ENI whose addresses pods may have."""
    for call in case.calls:
        entry = call.entry
        if not call.did(effect):
            continue
        is_of_a_node = entry.eni in case.cni_enis or (entry.eni_kind == "node-primary" and entry.cluster)
        is_for_pods = is_of_a_node or case.manager_of(call).manager in PLUGINS
        if is_for_pods and _is_by_a_stranger(case, call):
            yield call


def _is_by_a_stranger(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether neither the manager of the ENI nor an AWS service made a call.

    The resource controller changes no addresses of another plugin's ENIs, so its user agent exempts nothing.
    """
    manager, actor = case.manager_of(call).manager, call.entry.actor
    if manager in _NOT_FOR_PODS or manager_of_caller(actor) is manager:
        return False
    is_stranger = is_foreign(call) or (manager in PLUGINS and is_controller(call))
    if manager is Manager.VPC_CNI:
        return is_stranger or is_elsewhere(call) or _has_another_role(case, call)
    return is_stranger and (actor.role_arn is None or actor.role_arn not in _roles_of_manager(case, call))


def _has_another_role(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a caller only looks like the VPC CNI, whose calls have other roles.

    Any program in Go has such a user agent, and anybody may choose one.
    """
    actor = call.entry.actor
    is_known = actor.claimed_instance is None or call.time.year >= NODES_SINCE
    return (
        case.is_in_the_pool(call.entry.eni)
        and actor.kind is ActorKind.ASSUMED_ROLE
        and actor.ipamd is None
        and is_known
        and may_be_the_cni(actor)
        and actor.role_arn not in case.cni_roles.get(call.place, ())
    )


def _roles_of_manager(case: FindingContext, call: ResourceCall) -> Collection[str | None]:
    """Return the roles that created the ENI; else those that created its manager's ENIs on its node.

    If the manager is only claimed, these are the creators of all its ENIs: a plugin whose service account is
    not known is known by what it created.
    """
    managed = case.manager_of(call)
    created = [one for one in case.by_eni.get(call.entry.eni or "", ()) if one.did(Effect.CREATE)]
    if created:
        return {one.entry.actor.role_arn for one in created}
    node = None if managed.strength is Strength.CLAIMED else call.entry.instance or ""
    return case.creators.get((call.place, managed.manager, node), frozenset())


def _severity_of_assignment(case: FindingContext, group: list[ResourceCall]) -> Severity:
    manager = case.manager_of(group[0]).manager
    if manager not in PLUGINS or not _may_be_of_pods(group):
        return Severity.LOW
    if manager is not Manager.VPC_CNI:
        return Severity.MEDIUM if _is_observed(case, group) else Severity.LOW
    if _may_be_the_cni(case, group):
        return Severity.MEDIUM
    by_name = any(call.entry.requested_addresses for call in group)
    return _BY_SIGNS[by_name + any(case.is_in_the_pool(call.entry.eni) for call in group)]


def _severity_of_release(case: FindingContext, group: list[ResourceCall]) -> Severity:
    manager = case.manager_of(group[0]).manager
    if manager not in PLUGINS or not _may_be_of_pods(group):
        return Severity.LOW
    if manager is Manager.VPC_CNI:
        is_certain = any(case.is_in_the_pool(call.entry.eni) for call in group) and not _may_be_the_cni(
            case, group
        )
    else:
        is_certain = _is_observed(case, group)
    return Severity.HIGH if is_certain else Severity.MEDIUM


def _is_observed(case: FindingContext, group: list[ResourceCall]) -> bool:
    """Return whether evidence shows the manager of one of the ENIs at least, not only a name or a tag."""
    strengths = (case.manager_of(call).strength for call in group)
    return any(strength is not Strength.CLAIMED for strength in strengths)


def _may_be_of_pods(group: list[ResourceCall]) -> bool:
    """Return whether pods may have the addresses: the VPC CNI gives them no single IPv6 addresses."""
    held = [address for call in group for address in (*call.entry.added, *call.entry.removed)]
    return not held or any(address.version == _IPV4 or is_prefix(address) for address in held)


def _may_be_the_cni(case: FindingContext, group: list[ResourceCall]) -> bool:
    call = group[0]
    return _has_another_role(case, call) and not is_foreign(call) and not is_controller(call)


def _by_caller(case: FindingContext, calls: list[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """Yield the calls of each principal with each program, on ENIs of each manager."""
    groups = grouped(
        calls,
        lambda call: (
            call.place,
            principal_of(call.entry.actor),
            program_of(call.entry.actor),
            case.manager_of(call).manager,
            _may_be_the_cni(case, [call]),
            _may_be_of_pods([call]),
        ),
    )
    yield from groups.values()


def _addresses(group: list[ResourceCall]) -> str:
    held = [str(address) for call in group for address in (*call.entry.added, *call.entry.removed)]
    if held:
        return short_list(held)
    return counted(sum(call.entry.requested or 0 for call in group), "IP")


def _enis(case: FindingContext, group: list[ResourceCall]) -> str:
    """Return the ENIs and their instances, and what manages them if evidence shows it of all."""
    enis = {call.entry.eni for call in group if call.entry.eni}
    instances = {call.entry.instance for call in group if call.entry.instance}
    text = short_list(enis) + (f" of {short_list(instances)}" if instances else "")
    manager = case.manager_of(group[0]).manager
    is_shown = manager is not Manager.VPC_CNI or all(case.is_in_the_pool(eni) for eni in enis)
    return f"{text} {enis_managed_by(manager, len(enis))}" if is_shown and manager not in NO_PLUGIN else text


def _named_plugin(group: list[ResourceCall]) -> Manager | None:
    """Return which other network plugin made the calls, if it is known by its service account.

    That two plugins use one ENI is a charge against both: a name that anybody may choose is not enough.
    """
    actor = group[0].entry.actor
    return manager_of_caller(actor) if actor.service_account is not None else None


def _advice(case: FindingContext, group: list[ResourceCall], of_cni: str) -> str:
    """Return what to do, by the manager of the ENIs and by who changed them."""
    manager, plugin = case.manager_of(group[0]).manager, _named_plugin(group)
    if manager is Manager.VPC_CNI and not _may_be_of_pods(group):
        return _NOT_USED
    if manager in NO_PLUGIN:
        return _NO_CNI
    if manager is not Manager.VPC_CNI:
        return _OTHER_MANAGER.format(manager=capitalized(MANAGER_NAMES[manager]))
    return _TWO_PLUGINS.format(plugin=MANAGER_NAMES[plugin]) if plugin is not None else of_cni


def _doubts(case: FindingContext, group: list[ResourceCall]) -> tuple[Reason, ...]:
    """Return a doubt if nothing shows a plugin on the nodes, or the caller may be the VPC CNI itself."""
    if _may_be_the_cni(case, group):
        return (MAY_BE_THE_CNI,)
    if case.manager_of(group[0]).manager not in NO_PLUGIN:
        return ()
    clusters = short_list({call.entry.cluster for call in group if call.entry.cluster})
    text = f"No call of the VPC CNI is in the evidence of cluster {clusters}."
    return (Reason(ReasonCode.NO_CNI_SEEN, text),)
