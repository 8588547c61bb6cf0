"""Doubts about leases because the VPC of an ENI is not known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot, lease_order
from cnitrail.model import Held, HoldingKind, Interface, is_prefix
from cnitrail.model.coverage import may_be_equal


def shared_vpcs(interfaces: Iterable[Interface]) -> frozenset[str]:
    """Return the VPCs in which several accounts have ENIs."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for interface in interfaces:
        if interface.vpc is not None and interface.account is not None:
            accounts[interface.vpc].add(interface.account)
    return frozenset(vpc for vpc, names in accounts.items() if len(names) > 1)


def doubt_across(
    folded: Mapping[GroupKey, list[Slot]], interfaces: Mapping[str, Interface], shared: frozenset[str]
) -> None:
    """Mark the leases whose address an ENI of unknown VPC may have taken (``takeover_from``).

    Within a VPC an address leaves an ENI without an event that names the ENI only if a call with
    allowReassignment takes it, and a primary address never does. ENIs of two Regions are never in one VPC,
    and those of two accounts only in a shared one.
    """
    if len(folded) < 2 or all(has_vpc for has_vpc, _ in folded):
        return
    everything = {slot.held for slots in folded.values() for slot in slots}
    prefixes = [held for held in everything if is_prefix(held)]
    by_held: dict[Held, list[tuple[GroupKey, LeaseDraft]]] = defaultdict(list)
    for key, slots in folded.items():
        for slot in slots:
            for held in everything if is_prefix(slot.held) else (slot.held, *prefixes):
                by_held[held] += [(key, lease) for lease in slot.leases]
    for entries in by_held.values():
        entries.sort(key=lambda entry: lease_order(entry[1]))
        _doubt_overlaps(entries, interfaces, shared)


def _doubt_overlaps(
    entries: list[tuple[GroupKey, LeaseDraft]], interfaces: Mapping[str, Interface], shared: frozenset[str]
) -> None:
    """Mark every lease whose address another ENI may have taken; ``entries`` are in ``lease_order``."""
    running: list[tuple[GroupKey, LeaseDraft]] = []
    for key, lease in entries:
        start = lease.possible_start()
        if start is not None:
            running = [entry for entry in running if _lasts_until(entry[1], start)]
            for other_key, other in running:
                both_known = key[0] and other_key[0]
                owners = interfaces[lease.eni], interfaces[other.eni]
                if other_key != key and not both_known and _may_share_a_vpc(*owners, shared):
                    _doubt(lease, other)
                    _doubt(other, lease)
        running.append((key, lease))


def _lasts_until(lease: LeaseDraft, time: datetime) -> bool:
    """Return whether a lease may hold at a time: the second in which it ends is part of it."""
    return lease.end.time is None or lease.end.time >= time


def _may_share_a_vpc(one: Interface, other: Interface, shared: frozenset[str]) -> bool:
    if not may_be_equal(one.region, other.region):
        return False
    if may_be_equal(one.account, other.account):
        return True
    vpc = one.vpc or other.vpc
    return vpc is None or vpc in shared


def _doubt(taker: LeaseDraft, loser: LeaseDraft) -> None:
    """Mark a lease from the first call that may have taken its address for another ENI."""
    if loser.kind is HoldingKind.PRIMARY:
        return
    start = loser.possible_start()
    for time in taker.reassignments or ():
        is_later = start is None or start <= time
        if is_later and (loser.takeover_from is None or time < loser.takeover_from):
            loser.takeover_from = time
