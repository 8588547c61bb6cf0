"""Virtual IPs: addresses that a failover tool moves between a few ENIs, by design.

Each node takes the address over by a call of its own, to its own ENI (``awsvip`` of ClusterLabs'
resource-agents, scripts of keepalived, virtual appliances), or one program moves it back and forth.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.findings.calls import ResourceCall, grouped
from cnitrail.answers.findings.context import NODES_SINCE, FindingContext
from cnitrail.model import ActorKind, Held, Manager
from cnitrail.model.callers import role_or_user_of
from cnitrail.text import distinct

_MOST_ENIS = 4
"""Maximum number of ENIs between which one program moves a virtual IP: failover groups are small."""

_MOST_CALLERS = 3
"""Maximum number of callers to try as the one that usually moves an address."""

_PAIR = _FEWEST_ENIS = _FEWEST_CALLS = 2

_NEVER = (
    Manager.VPC_CNI,
    Manager.RESOURCE_CONTROLLER,
    Manager.CILIUM,
    Manager.AUTO_MODE,
    Manager.AWS_SERVICE,
)
"""Managers whose ENIs have addresses for pods or for a service: whoever moves these breaks something."""


class VirtualIp(Struct, frozen=True, kw_only=True):
    """Addresses that move together, with the calls that assigned them and the ENIs that had them.

    ``by_own_role`` if each call is by the instance that got them, with its own role; else one caller moves
    them. ``is_habitual`` if they moved more than once, or between instances with one role. ``by_others`` are
    the calls of others that took them.
    """

    addresses: tuple[Held, ...]
    calls: Sequence[ResourceCall]
    enis: tuple[str, ...]
    moves: int
    by_own_role: bool
    is_habitual: bool
    by_others: Sequence[ResourceCall] = ()


def virtual_ips(
    case: FindingContext, allowed: Iterable[ResourceCall], named: Iterable[ResourceCall]
) -> list[VirtualIp]:
    """Return the virtual IPs among the addresses of calls that were allowed to reassign them.

    ``named`` are the other assignments: after a release, anybody can assign a virtual IP.
    """
    found: dict[tuple[object, ...], VirtualIp] = {}
    free = grouped(
        ((address, call) for call in named if call.entry.requested_addresses for address in call.entry.added),
        lambda pair: (pair[1].place, pair[0]),
    )
    for address, calls in _by_address(allowed):
        virtual = _virtual_ip(case, address, calls)
        if virtual is not None:
            also = _by_others(virtual, [call for _, call in free.get((calls[0].place, address), ())])
            others = (*virtual.by_others, *also)
            virtual = replace(virtual, by_others=_in_order(others))
            key = _pattern(virtual)
            found[key] = _together(found[key], virtual) if key in found else virtual
    return list(found.values())


def _pattern(virtual: VirtualIp) -> tuple[object, ...]:
    """Return what addresses have in common that move together, in one call or in one call each."""
    others = tuple((_credentials(call), call.entry.eni) for call in virtual.by_others)
    hosts = tuple((_credentials(call), call.entry.eni) for call in virtual.calls)
    return virtual.calls[0].place, virtual.enis, hosts, others


def _together(one: VirtualIp, other: VirtualIp) -> VirtualIp:
    return replace(
        one,
        addresses=(*one.addresses, *other.addresses),
        calls=_in_order((*one.calls, *other.calls)),
        by_others=_in_order((*one.by_others, *other.by_others)),
    )


def _in_order(calls: Iterable[ResourceCall]) -> list[ResourceCall]:
    """Return calls by time, each once."""
    by_event = {call.event.key: call for call in calls}
    return sorted(by_event.values(), key=lambda call: call.time)


def _by_others(virtual: VirtualIp, calls: Iterable[ResourceCall]) -> list[ResourceCall]:
    """Return the calls that assigned a virtual IP to other ENIs, by callers that do not usually move it."""
    callers = {_credentials(call) for call in virtual.calls}
    vpc = next((vpc for call in virtual.calls if (vpc := call.vpc) is not None), None)
    return [
        call
        for call in calls
        if call.entry.eni not in virtual.enis
        and _credentials(call) not in callers
        and (vpc is None or call.vpc in (None, vpc))
    ]


def _by_address(allowed: Iterable[ResourceCall]) -> Iterator[tuple[Held, list[ResourceCall]]]:
    """Yield each address of each VPC with the calls that assigned it; a VPC that is not known may be any."""
    pairs = [(address, call) for call in allowed for address in call.entry.added]
    for (_, address), of_address in grouped(pairs, lambda pair: (pair[1].place, pair[0])).items():
        calls = [call for _, call in of_address]
        by_vpc = grouped(calls, lambda call: call.vpc)
        of_vpcs = by_vpc.values() if len(by_vpc.keys() - {None}) > 1 else [calls]
        yield from ((address, of_vpc) for of_vpc in of_vpcs)


def _virtual_ip(case: FindingContext, address: Held, calls: list[ResourceCall]) -> VirtualIp | None:
    """Return a virtual IP: of all who moved the address, or else of those who move it habitually."""
    virtual = _moved_by(case, address, calls, ())
    if virtual is not None:
        return virtual
    for group in _habitual(calls):
        keys = {call.event.key for call in group}
        others = [call for call in calls if call.event.key not in keys]
        virtual = _moved_by(case, address, group, others) if others else None
        if virtual is not None and virtual.moves > 1:
            return virtual
    return None


def _habitual(calls: Sequence[ResourceCall]) -> Iterator[list[ResourceCall]]:
    """Yield the calls of those who may move an address by design, the most likely first.

    These are the hosts with one role, the hosts that took it more than once, and then any one caller.
    """
    own = [call for call in calls if _is_own_eni(call)]
    yield from _largest_first(grouped(own, _credentials).values())
    often = [group for group in grouped(own, lambda call: call.entry.eni).values() if len(group) > 1]
    yield _in_order(call for group in often for call in group)
    yield from _largest_first(grouped(calls, _credentials).values())


def _largest_first(groups: Iterable[list[ResourceCall]]) -> list[list[ResourceCall]]:
    return sorted(groups, key=len, reverse=True)[:_MOST_CALLERS]


def _moved_by(
    case: FindingContext, address: Held, calls: list[ResourceCall], others: Sequence[ResourceCall]
) -> VirtualIp | None:
    """Return the virtual IP that calls move; None if they are not like those of failover tools."""
    if len(calls) < _FEWEST_CALLS:
        return None
    to_others = {call.entry.eni for call in others} - {call.entry.eni for call in calls}
    holders = _holders(address, calls, to_others)
    enis = distinct(holders)
    if len(enis) < _FEWEST_ENIS:
        return None
    losers = {eni for call in calls for eni in possible_losers(case, call)}
    if any(case.history.manager_of(eni).manager in _NEVER for eni in {*enis, *losers}):
        return None
    by_own_role = all(_is_own_eni(call) for call in calls)
    roles = {_credentials(call) for call in calls}
    comes_back = len(holders) > len(enis)
    is_small = len(enis) <= _MOST_ENIS
    if by_own_role:
        have_own_roles = len(roles) == len({call.entry.eni for call in calls})
        is_virtual = len(roles) == 1 or len(enis) == _PAIR or (have_own_roles and comes_back and is_small)
    else:
        is_virtual = len(roles) == 1 and comes_back and is_small
    if not is_virtual:
        return None
    moves = len(holders) - 1
    return VirtualIp(
        addresses=(address,),
        calls=calls,
        enis=enis,
        moves=moves,
        by_own_role=by_own_role,
        is_habitual=len(roles) == 1 or (moves > 1 and len(enis) == _PAIR),
        by_others=others,
    )


def _holders(address: Held, calls: Iterable[ResourceCall], without: Collection[str | None]) -> list[str]:
    """Return the ENIs that had an address one after the other, as far as the calls show, but for some."""
    enis: list[str] = []
    for call in calls:
        lost = (moved.from_eni for moved in call.entry.moved if moved.ip == address)
        enis += [eni for eni in lost if eni not in without]
        enis.append(call.entry.eni or "")
    return [eni for eni, _ in groupby(enis)]


def possible_losers(case: FindingContext, call: ResourceCall) -> set[str]:
    """Return the ENIs of unknown VPC that held an address when it was taken."""
    keys = ((call.place, held, call.time) for held in call.entry.added)
    enis = (eni for key in keys for eni in case.takeovers.get(key, ()))
    return {eni for eni in enis if eni != call.entry.eni}


def _is_own_eni(call: ResourceCall) -> bool:
    """Return whether an instance assigned an address to its own ENI, with its own role."""
    actor, instance = call.entry.actor, call.entry.instance
    if actor.kind is ActorKind.INSTANCE_ROLE:
        return actor.instance == instance
    is_old = call.time.year < NODES_SINCE
    return is_old and actor.claimed_instance is not None and actor.claimed_instance == instance


def _credentials(call: ResourceCall) -> tuple[str | None, str]:
    """Return whose credentials a call used: those of a role whatever the session, else the caller's."""
    actor = call.entry.actor
    return actor.account, role_or_user_of(actor) or actor.label
