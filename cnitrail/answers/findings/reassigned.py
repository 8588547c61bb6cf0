"""Addresses that a call took from another ENI (AllowReassignment), and virtual IPs that move by design."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.findings.calls import (
    ResourceCall,
    grouped,
    is_foreign,
    named_program,
    program_of,
)
from cnitrail.answers.findings.commands import describe_enis, pods_with
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.virtual_ips import VirtualIp, possible_losers, virtual_ips
from cnitrail.answers.findings.wording import enis_managed_by
from cnitrail.answers.pods.entries import lease_name
from cnitrail.model import (
    MANAGER_NAMES,
    SEVERITY_ORDER,
    ActorKind,
    Effect,
    Held,
    Manager,
    Moved,
    Severity,
    Strength,
    order_of,
)
from cnitrail.model.callers import described, manager_of_caller, principal_of
from cnitrail.model.eni_kinds import users_of
from cnitrail.model.manager import NO_PLUGIN
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, distinct, listed, short_list, times

_MANY_NODES = 3
_MANY_ADDRESSES = 10
"""From these numbers on, lost nodes or addresses are critical: part of a cluster, not a single pod."""

_TOOLS = (
    "Tools that move IPs (failover, virtual IPs) need ENIs that the VPC CNI does not manage (tag "
    "node.k8s.amazonaws.com/no_manage=true)."
)
_GAINED = "The VPC CNI adds the IP to its pool and may assign it to a pod as well; unassign it."
_FAILOVER = "Nothing to do if this is your failover tool. Otherwise ask the caller why it moves the IP."
_NO_PODS = (*NO_PLUGIN, Manager.AWS_SERVICE, Manager.NOT_KUBERNETES)


class _Loss(Struct, frozen=True):
    """What a reassignment broke: how severe that is, what is not certain, and whether pods may have it."""

    severity: Severity
    doubts: tuple[Reason, ...] = ()
    is_known: bool = True
    """Whether the evidence names the ENI that lost the address."""


def reassigned_address(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield virtual IPs, who else took them, and all other calls that may take addresses from other ENIs."""
    assigned = [
        call
        for call in case.calls
        if call.did(Effect.ASSIGN) and call.entry.actor.kind is not ActorKind.AWS_SERVICE
    ]
    allowed = [call for call in assigned if call.may_reassign]
    moved_by_design = virtual_ips(case, allowed, (call for call in assigned if not call.may_reassign))
    explained: set[tuple[str, Held]] = set()
    for virtual in moved_by_design:
        yield _virtual_ip(case, virtual)
        others = virtual.by_others if virtual.is_habitual else ()
        for calls in grouped(others, _caller_and_vpc).values():
            yield _taken(case, virtual, calls)
        by_design = (*virtual.calls, *others)
        explained.update((call.event.key, address) for call in by_design for address in virtual.addresses)
    rest = [
        call
        for call in allowed
        if not call.entry.added or any((call.event.key, ip) not in explained for ip in call.entry.added)
    ]
    for calls in grouped(rest, _caller_and_vpc).values():
        yield _reassigned(case, calls)


def _caller_and_vpc(call: ResourceCall) -> tuple[object, ...]:
    actor = call.entry.actor
    return call.place, principal_of(actor), program_of(actor), call.vpc


def _virtual_ip(case: FindingContext, virtual: VirtualIp) -> RuleMatch:
    first, last = virtual.calls[0], virtual.calls[-1]
    doubts = [
        doubt
        for call in virtual.calls
        for doubt in _loss(case, call).doubts
        if doubt.code in (ReasonCode.ORDER_UNKNOWN, ReasonCode.VPC_UNKNOWN)
    ]
    addresses = _addresses(virtual)
    noun = "A virtual IP" if len(virtual.addresses) == 1 else "Virtual IPs"
    by = _usual_caller(case, virtual)
    places = _instances(virtual) or virtual.enis
    sentence = (
        f"{noun}: {addresses} moved {times(virtual.moves)} between {listed(places)}, each time by {by}, "
    )
    sentence += f"last at {clock(_last_move(case, virtual))}."
    sentence += f" The ENIs are {listed(virtual.enis)}." if places != virtual.enis else ""
    sentence += f" {_roles_and_programs(virtual)}" if virtual.by_own_role else ""
    is_expected = virtual.is_habitual and not any(_is_on_a_node(case, eni, last) for eni in virtual.enis)
    return RuleMatch(
        severity=Severity.INFO if is_expected else Severity.LOW,
        sentence=sentence,
        advice=_FAILOVER,
        commands=describe_enis(first.place, virtual.enis),
        calls=virtual.calls,
        doubts=tuple(dict.fromkeys(doubts)),
    )


def _last_move(case: FindingContext, virtual: VirtualIp) -> datetime:
    """Return when an ENI last got a virtual IP: later calls may assign it to the ENI that has it."""
    last = virtual.calls[-1].time
    starts = (
        lease.start.time
        for address in virtual.addresses
        for group in case.history.holders.get(address, ())
        for lease in group
        if lease.eni in virtual.enis
    )
    return max((start for start in starts if start is not None and start <= last), default=last)


def _addresses(virtual: VirtualIp) -> str:
    return listed([str(address) for address in sorted(virtual.addresses, key=order_of)])


def _from(calls: Sequence[ResourceCall]) -> str:
    places = short_list(_place_of_loser(moved) for call in calls for moved in call.entry.moved)
    return f" from {places}" if places else ""


def _usual_caller(case: FindingContext, virtual: VirtualIp) -> str:
    """Return who moves a virtual IP: by the role if its sessions differ."""
    if virtual.by_own_role:
        return "the instance that got it, with its own role"
    first = virtual.calls[0].entry.actor
    is_one = len({call.entry.actor.label for call in virtual.calls}) == 1
    return case.who(first if is_one else replace(first, label=first.role or first.label))


def _taken(case: FindingContext, virtual: VirtualIp, calls: Sequence[ResourceCall]) -> RuleMatch:
    """Return the match of calls by others than those who usually move a virtual IP."""
    losses = [_loss(case, call) for call in calls if call.may_reassign]
    gains = _gains(case, calls)
    is_elsewhere = any(call.entry.eni not in virtual.enis for call in calls)
    severities = [_severity(calls, losses, gains)] if losses else []
    severities.append(Severity.MEDIUM if is_elsewhere else Severity.LOW)
    last = calls[-1]
    addresses = _addresses(virtual)
    noun = "the virtual IP" if len(virtual.addresses) == 1 else "the virtual IPs"
    by = _usual_caller(case, virtual)
    pronoun = "it moved" if len(virtual.addresses) == 1 else "they moved"
    between = listed(_instances(virtual) or virtual.enis)
    return RuleMatch(
        severity=min(severities, key=SEVERITY_ORDER.__getitem__),
        sentence=f"{case.who(last.entry.actor)} moved {noun} {addresses}{_from(calls)} to "
        f"{_winners(case, calls)}{', last' if len(calls) > 1 else ''} at {clock(last.time)}. Otherwise "
        f"{pronoun} {times(virtual.moves)} between {between}, by {by}.",
        advice=f"Ask the caller why: traffic to {addresses} went to {last.entry.eni} from then on. "
        "If this was no planned change, let your failover tool move it back.",
        commands=describe_enis(last.place, [*virtual.enis, *(call.entry.eni for call in calls)]),
        calls=calls,
        doubts=tuple(dict.fromkeys(doubt for loss in losses for doubt in loss.doubts)),
    )


def _instances(virtual: VirtualIp) -> tuple[str, ...]:
    """Return the instances between which an address moves; empty if not all of them are known."""
    instances = {call.entry.eni: call.entry.instance for call in virtual.calls}
    for call in virtual.calls:
        for moved in call.entry.moved:
            instances.setdefault(moved.from_eni, moved.from_instance)
    named = distinct(instances.get(eni) for eni in virtual.enis)
    return named if len(named) == len(virtual.enis) else ()


def _roles_and_programs(virtual: VirtualIp) -> str:
    """Return a sentence about the roles of the instances that take a virtual IP, and their programs."""
    actors = [call.entry.actor for call in virtual.calls]
    roles = {actor.role or actor.label for actor in actors}
    programs = short_list(named_program(actor) for actor in actors)
    noun = "role" if len(roles) == 1 else "roles"
    return f"The instances used {noun} {short_list(roles)} with {programs}."


def _is_on_a_node(case: FindingContext, eni: str, call: ResourceCall) -> bool:
    """Return whether an ENI is of a node of Kubernetes, as far as the evidence shows."""
    managed = case.history.manager_of(eni).manager
    if managed not in NO_PLUGIN:
        return managed not in _NO_PODS
    instance, _ = case.history.instance_of(eni, call.time)
    is_in_a_cluster = case.history.cluster_of(eni, instance, call.time).names
    return bool(is_in_a_cluster) or case.history.manager_of_node(instance).manager is not Manager.UNKNOWN


def _reassigned(case: FindingContext, calls: Sequence[ResourceCall]) -> RuleMatch:
    """Return the match of the calls of one caller in one VPC."""
    losses = [_loss(case, call) for call in calls]
    known = [call for call, loss in zip(calls, losses, strict=True) if loss.is_known]
    unknown = [call for call, loss in zip(calls, losses, strict=True) if not loss.is_known]
    gains = _gains(case, calls)
    on_nodes = _may_have_pods(case, calls)
    held = [address for call in calls for address in call.entry.added]
    enis = [call.entry.eni for call in calls]
    losers = [moved.from_eni for call in calls for moved in call.entry.moved]
    return RuleMatch(
        severity=_severity(calls, losses, gains),
        sentence=_sentence(case, known, unknown) + _pods_cut_off(case, known),
        advice=_advice(known, gains, on_nodes=on_nodes, in_pools=_is_of_the_cni(case, calls)),
        commands=pods_with(held) if on_nodes else describe_enis(calls[0].place, [*enis, *losers]),
        calls=calls,
        doubts=tuple(dict.fromkeys(doubt for loss in losses for doubt in loss.doubts)),
    )


def _gains(case: FindingContext, calls: Sequence[ResourceCall]) -> list[ResourceCall]:
    """Return the calls of strangers that assigned addresses to ENIs of the VPC CNI."""
    return [call for call in calls if case.is_in_the_pool(call.entry.eni) and is_foreign(call)]


def _severity(
    calls: Sequence[ResourceCall], losses: Sequence[_Loss], gains: Sequence[ResourceCall]
) -> Severity:
    """Return how severe the worst loss is; many of the worst are critical."""
    worst = min((loss.severity for loss in losses), key=SEVERITY_ORDER.__getitem__)
    if worst is not Severity.HIGH:
        return Severity.HIGH if gains else worst
    lost = [
        moved
        for call, loss in zip(calls, losses, strict=True)
        if loss.severity is Severity.HIGH
        for moved in call.entry.moved
    ]
    nodes, addresses = {moved.from_instance for moved in lost} - {None}, {moved.ip for moved in lost}
    is_many = len(nodes) >= _MANY_NODES or len(addresses) >= _MANY_ADDRESSES
    return Severity.CRITICAL if is_many else Severity.HIGH


def _sentence(case: FindingContext, known: Sequence[ResourceCall], unknown: Sequence[ResourceCall]) -> str:
    """Return who moved which addresses from where to where, as far as the evidence shows."""
    who = case.who((*known, *unknown)[0].entry.actor)
    sentence = ""
    if known:
        taken = short_list(str(moved.ip) for call in known for moved in call.entry.moved)
        sentence = f"{who} reassigned {taken} from {_losers(case, known)} to {_winners(case, known)}."
    if unknown:
        added = short_list(str(held) for call in unknown for held in call.entry.added) or "IPs"
        sentence += (
            f"{' It also' if known else who} assigned {added} to {_winners(case, unknown)}, with "
            "AllowReassignment: any other ENI that had it lost it."
        )
    return sentence


def _pods_cut_off(case: FindingContext, calls: Sequence[ResourceCall]) -> str:
    """Return a sentence about the pods that had the addresses then, if there is evidence of any."""
    found = [
        (f"{lease_name(cut.lease)} ({cut.lease.ip})", cut.surely)
        for call in calls
        for moved in call.entry.moved
        for cut in case.pods_cut_off.cut_off(moved.ip, moved.from_eni, call.time)
    ]
    surely = {name for name, is_sure in found if is_sure}
    perhaps = {name for name, _ in found} - surely
    text = f" Pod{'' if len(surely) == 1 else 's'} {short_list(surely)} had it then." if surely else ""
    if perhaps:
        text += f" Pod{'' if len(perhaps) == 1 else 's'} {short_list(perhaps)} may have had it then."
    return text


def _losers(case: FindingContext, calls: Sequence[ResourceCall]) -> str:
    """Return the ENIs that lost addresses, with their instances, and what manages them."""
    lost = [moved for call in calls for moved in call.entry.moved]
    managed = {case.history.manager_of(moved.from_eni) for call in calls for moved in call.entry.moved}
    facts = [f"cluster {name}" for name in sorted({name for moved in lost for name in moved.from_clusters})]
    if len(managed) == 1:
        (one,) = managed
        facts += [f"an ENI of {users_of(one.service)}"] if one.service else []
        facts += [f"managed by {MANAGER_NAMES[one.manager]}"] if one.manager not in _NO_PODS else []
    return described(short_list(map(_place_of_loser, lost)), facts)


def _place_of_loser(moved: Moved) -> str:
    return f"{moved.from_eni} of {moved.from_instance}" if moved.from_instance else moved.from_eni


def _winners(case: FindingContext, calls: Sequence[ResourceCall]) -> str:
    """Return the ENIs that got addresses, with their instances, and whether the CNI manages all of them."""
    places = {(call.entry.eni or "an unknown ENI", call.entry.instance) for call in calls}
    text = short_list(f"{eni} of {instance}" if instance else eni for eni, instance in places)
    often = f", {times(len(calls))}" if len(calls) > 1 else ""
    is_managed = all(case.is_in_the_pool(call.entry.eni) for call in calls)
    return f"{text}{f' {enis_managed_by(Manager.VPC_CNI, len(places))}' if is_managed else ''}{often}"


def _advice(
    known: Sequence[ResourceCall],
    gains: Sequence[ResourceCall],
    *,
    on_nodes: bool,
    in_pools: bool,
) -> str:
    """Return what to do about the ENI that lost an address, and the one that got it."""
    advice = (
        f"Ask the caller why. {_lost(known) if known else _LOST_IF_ANY}; CloudTrail logs no event for the "
    )
    advice += "ENI that loses an IP."
    advice += " Delete the pod that used it there." if on_nodes else ""
    advice += f" {_GAINED}" if gains else ""
    return f"{advice} {_TOOLS}" if in_pools else advice


_LOST_IF_ANY = "If another ENI had the IP, its traffic stopped at the time of the call"


def _lost(calls: Sequence[ResourceCall]) -> str:
    lost = [moved for call in calls for moved in call.entry.moved]
    instances = {moved.from_instance for moved in lost if moved.from_instance}
    where = f"{short_list(str(moved.ip) for moved in lost)} on {short_list(moved.from_eni for moved in lost)}"
    where += f" of {short_list(instances)}" if instances else ""
    first = "first " if len(calls) > 1 else ""
    return f"Traffic to {where} {first}stopped at {clock(calls[0].time)}"


def _loss(case: FindingContext, call: ResourceCall) -> _Loss:
    """Return what a reassignment broke.

    An instance may end without an event, and free its addresses unseen: that an ENI lost one to a call
    is certain only if the ENI is still there afterwards.
    """
    losers = {moved.from_eni for moved in call.entry.moved}
    if losers and _is_order_open(case, call):
        names = short_list(losers)
        text = f"{names} may have had it: several calls of that second move it, in an unknown order."
        return _doubted(case, call, losers, ReasonCode.ORDER_UNKNOWN, text, is_known=False)
    unseen = {eni for eni in losers if not _is_seen_after(case, eni, call)}
    if unseen:
        text = f"{short_list(unseen)} had it, unless its instance ended before: no later event shows the ENI."
        return _doubted(case, call, losers, ReasonCode.LOSER_NOT_SEEN_AGAIN, text, is_known=True)
    if losers:
        return _Loss(_severity_of_loss(case, losers, call))
    losers = possible_losers(case, call)
    if losers:
        text = (
            f"{short_list(losers)} had the same IP until then; the evidence does not show if in the same VPC."
        )
        return _doubted(case, call, losers, ReasonCode.VPC_UNKNOWN, text, is_known=False)
    text = "No event shows which ENI had it before."
    return _Loss(Severity.LOW, (Reason(ReasonCode.PREVIOUS_HOLDER_UNKNOWN, text),), is_known=False)


def _doubted(
    case: FindingContext,
    call: ResourceCall,
    losers: Iterable[str],
    code: ReasonCode,
    text: str,
    *,
    is_known: bool,
) -> _Loss:
    """Return a loss that is not certain, so at most medium."""
    severity = max(_severity_of_loss(case, losers, call), Severity.MEDIUM, key=SEVERITY_ORDER.__getitem__)
    return _Loss(severity, (Reason(code, text),), is_known)


def _severity_of_loss(case: FindingContext, losers: Iterable[str], call: ResourceCall) -> Severity:
    """Return how severe it is that ENIs lost an address: by what it was for."""
    severities = (_severity_of_loser(case, eni, call) for eni in losers)
    return min(severities, key=SEVERITY_ORDER.__getitem__)


def _severity_of_loser(case: FindingContext, eni: str, call: ResourceCall) -> Severity:
    managed = case.history.manager_of(eni)
    if managed.manager in _NO_PODS:
        is_used = managed.manager is Manager.AWS_SERVICE or _is_on_a_node(case, eni, call)
        return Severity.MEDIUM if is_used else Severity.LOW
    if manager_of_caller(call.entry.actor) is managed.manager:
        return Severity.LOW
    is_observed = managed.manager is Manager.VPC_CNI or managed.strength is not Strength.CLAIMED
    return Severity.HIGH if is_observed and managed.is_of_node else Severity.MEDIUM


def _affected(case: FindingContext, call: ResourceCall) -> set[str]:
    """Return the ENIs that got or lost an address, or may have lost it."""
    winner = {call.entry.eni} if call.entry.eni else set()
    return winner | {moved.from_eni for moved in call.entry.moved} | possible_losers(case, call)


def _may_have_pods(case: FindingContext, calls: Sequence[ResourceCall]) -> bool:
    """Return whether pods may have had the addresses: on the ENIs that lost them, if any is known."""
    affected = [(eni, call) for call in calls for eni in _affected(case, call)]
    lost = [(eni, call) for eni, call in affected if eni != call.entry.eni]
    return any(_is_on_a_node(case, eni, call) for eni, call in lost or affected)


def _is_of_the_cni(case: FindingContext, calls: Sequence[ResourceCall]) -> bool:
    return any(
        case.history.manager_of(eni).manager is Manager.VPC_CNI
        for call in calls
        for eni in _affected(case, call)
    )


def _is_seen_after(case: FindingContext, eni: str, call: ResourceCall) -> bool:
    """Return whether a successful call shows an ENI, or its instance, at a later time."""
    attachment = case.history.interfaces[eni].attachment_at(call.time)
    names = (eni, attachment.instance if attachment is not None else None)
    seen = (case.last_success.get(name or "") for name in names)
    return any(time is not None and time > call.time for time in seen)


def _is_order_open(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether other calls of the same second, or of a contested one before, move the address."""
    moved = {(moved.from_eni, moved.ip) for moved in call.entry.moved}
    if not moved.isdisjoint(case.contested):
        return True
    enis = {call.entry.eni or "", *(moved.from_eni for moved in call.entry.moved)}
    held = {moved.ip for moved in call.entry.moved}
    instances = {instance for eni in enis for instance in case.instances_of_eni.get(eni, ())}
    return any(
        other.entry.eni in enis
        or other.entry.instance in instances
        or not held.isdisjoint((*other.entry.added, *other.entry.shown, *other.entry.removed))
        for other in case.in_second[call.place, call.time]
        if other.event is not call.event and other.event.failure is None
    )
