"""Leases that may be doubted, because an interface's VPC is not known."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot, begins
from cnitrail.model import Held, Interface, is_prefix


def doubt_across(folded: Mapping[GroupKey, list[Slot]], interfaces: Mapping[str, Interface]) -> None:
    """Where a VPC is not known, another ENI's lease of the same address may be in the same one.

    If so, one of the two has ended without an event that shows it: from the moment at which two
    such leases meet, neither is beyond doubt. Interfaces of two Regions are never in one VPC.
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
        _doubt_overlaps(entries, interfaces)


def _doubt_overlaps(entries: list[tuple[GroupKey, LeaseDraft]], interfaces: Mapping[str, Interface]) -> None:
    """Mark every lease that meets a possible rival; entries are in the order of their beginning."""
    running: list[tuple[GroupKey, LeaseDraft]] = []
    for key, lease in entries:
        meet = lease.reach()
        if meet is not None:
            running = [each for each in running if _goes_on(each[1], meet)]
            for other_key, other in running:
                both_known = key[0] and other_key[0]
                regions = interfaces[lease.eni], interfaces[other.eni]
                if other_key != key and not both_known and _one_region(*regions):
                    _doubt(lease, meet)
                    _doubt(other, meet)
        running.append((key, lease))


def _goes_on(lease: LeaseDraft, time: datetime) -> bool:
    return lease.end.time is None or lease.end.time >= time


def _one_region(one: Interface, other: Interface) -> bool:
    return one.region == other.region or None in (one.region, other.region)


def _doubt(lease: LeaseDraft, since: datetime) -> None:
    if lease.doubt_from is None or since < lease.doubt_from:
        lease.doubt_from = since
