"""Leases that may be doubted, because an interface's VPC is not known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot, begins
from cnitrail.model import Held, HoldingKind, Interface, is_prefix


def shared_vpcs(interfaces: Iterable[Interface]) -> frozenset[str]:
    """The VPCs in which several accounts have interfaces."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for interface in interfaces:
        if interface.vpc is not None and interface.account is not None:
            accounts[interface.vpc].add(interface.account)
    return frozenset(vpc for vpc, names in accounts.items() if len(names) > 1)


def doubt_across(
    folded: Mapping[GroupKey, list[Slot]], interfaces: Mapping[str, Interface], shared: frozenset[str]
) -> None:
    """Doubt a lease if an interface of unknown VPC may have taken its address.

    Within a VPC an address leaves an interface without an event that names it only if a call with
    allowReassignment takes it, and a primary address never does. Interfaces of two Regions are never in
    one VPC, and those of two accounts only in a shared one.
    """
    if len(folded) < 2 or all(known for known, _ in folded):
        return
    everything = {slot.held for slots in folded.values() for slot in slots}
    prefixes = [held for held in everything if is_prefix(held)]
    by_held: dict[Held, list[tuple[GroupKey, LeaseDraft]]] = defaultdict(list)
    for key, slots in folded.items():
        for slot in slots:
            for held in everything if is_prefix(slot.held) else (slot.held, *prefixes):
                by_held[held] += [(key, lease) for lease in slot.leases]
    for entries in by_held.values():
        entries.sort(key=lambda entry: begins(entry[1]))
        _doubt_overlaps(entries, interfaces, shared)


def _doubt_overlaps(
    entries: list[tuple[GroupKey, LeaseDraft]], interfaces: Mapping[str, Interface], shared: frozenset[str]
) -> None:
    """Mark every lease whose address a rival may have taken; entries are in the order of their beginning."""
    running: list[tuple[GroupKey, LeaseDraft]] = []
    for key, lease in entries:
        meet = lease.reach()
        if meet is not None:
            running = [each for each in running if _goes_on(each[1], meet)]
            for other_key, other in running:
                both_known = key[0] and other_key[0]
                owners = interfaces[lease.eni], interfaces[other.eni]
                if other_key != key and not both_known and _may_share_a_vpc(*owners, shared):
                    for taker, loser in ((lease, other), (other, lease)):
                        _doubt(taker, loser)
        running.append((key, lease))


def _goes_on(lease: LeaseDraft, time: datetime) -> bool:
    return lease.end.time is None or lease.end.time >= time


def _may_share_a_vpc(one: Interface, other: Interface, shared: frozenset[str]) -> bool:
    if one.region != other.region and None not in (one.region, other.region):
        return False
    if one.account == other.account or None in (one.account, other.account):
        return True
    vpc = one.vpc or other.vpc
    return vpc is None or vpc in shared


def _doubt(taker: LeaseDraft, loser: LeaseDraft) -> None:
    """Doubt a lease from the time on at which a call may have taken its address for another one."""
    if loser.kind is HoldingKind.PRIMARY:
        return
    began = loser.reach()
    for time in taker.thefts:
        since_then = began is None or began <= time
        if since_then and (loser.doubt_from is None or time < loser.doubt_from):
            loser.doubt_from = time
