"""Who held which address, as leases.

Leases are folded by VPC and address: VPC IDs are unique, and within a VPC an address is on one ENI at a
time. An ENI of unknown VPC is folded by itself and never merged with another. A prefix excludes the
addresses inside it, so an address block (a /28, an IPv6 /80) is folded as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from itertools import chain

from msgspec import Struct

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot
from cnitrail.history.fold import Fold
from cnitrail.history.seconds import WHOLE_ENI, ActionKind, AddressAction
from cnitrail.history.unknown_vpc import doubt_across, shared_vpcs
from cnitrail.model import (
    Basis,
    Bound,
    Certainty,
    Effect,
    Event,
    Held,
    HoldingKind,
    Interface,
    Lease,
    Subject,
    block_of,
    is_prefix,
    order_of,
)

Block = tuple[int, int]
Holders = dict[Held, tuple[tuple[Lease, ...], ...]]


_KINDS = {
    (4, False): HoldingKind.SECONDARY,
    (4, True): HoldingKind.PREFIX,
    (6, False): HoldingKind.IPV6,
    (6, True): HoldingKind.IPV6_PREFIX,
}
"""The kind of what a release names, by IP version and whether it is a prefix: EC2 releases no primary
address."""


def fold_holdings(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> tuple[tuple[Lease, ...], Holders]:
    """Return every lease, sorted by address and start; and the same by address, grouped by VPC.

    ``deaths`` are the terminations that deleted ENIs, by ENI.
    """
    leases: list[Lease] = []
    holders: Holders = {}
    shared = shared_vpcs(interfaces.values())
    stories = _stories(events, interfaces, deaths)
    stories.sort(key=_story_order, reverse=True)
    while stories:
        folded: dict[GroupKey, list[Slot]] = {}
        block = stories[-1].block
        while stories and stories[-1].block == block:
            story = stories.pop()  # its actions are not needed after this
            folded[story.key] = Fold(story.slots, interfaces, deaths).read(story.actions)
        doubt_across(folded, interfaces, shared)
        for held, groups in _by_held(folded):
            holders[held] = groups
            leases += groups[0] if len(groups) == 1 == len(groups[0]) else _in_order(groups)
    return tuple(leases), holders


def _by_held(
    folded: Mapping[GroupKey, list[Slot]],
) -> Iterable[tuple[Held, tuple[tuple[Lease, ...], ...]]]:
    """Return the leases of each address of a block, one group for each VPC, by address."""
    found = [
        (slot.held, tuple([_finished(lease, name if has_vpc else None) for lease in slot.leases]))
        for (has_vpc, name), slots in folded.items()
        for slot in slots
        if slot.leases
    ]
    if len(folded) == 1:
        return [(held, (group,)) for held, group in found]
    by_held: dict[Held, list[tuple[Lease, ...]]] = defaultdict(list)
    for held, group in found:
        by_held[held].append(group)
    return [(held, tuple(by_held[held])) for held in sorted(by_held, key=order_of)]


def _in_order(groups: Iterable[tuple[Lease, ...]]) -> list[Lease]:
    """Return the leases of an address as they are shown."""
    return sorted(chain.from_iterable(groups), key=_start_order)


class _Story(Struct, gc=False):
    """What calls do to one address block in one VPC."""

    block: Block
    key: GroupKey
    slots: list[Slot]
    actions: list[AddressAction]


def _story_order(story: _Story) -> tuple[Block, GroupKey]:
    return story.block, story.key


class _Slots:
    """The slot of each address of a VPC, with the actions on its block."""

    def __init__(self, key: GroupKey, stories: list[_Story]) -> None:
        self._key = key
        self._stories = stories
        self._blocks: dict[Block, _Story] = {}
        self._slots: dict[Held | int, tuple[list[AddressAction], Slot]] = {}

    def of(self, held: Held) -> tuple[list[AddressAction], Slot]:
        """Return the slot of an address, and the actions on its block."""
        number = int(held) if type(held) is IPv4Address else held  # to hash an address takes long
        known = self._slots.get(number)
        if known is None:
            known = self._slots[number] = self._new(held)
        return known

    def _new(self, held: Held) -> tuple[list[AddressAction], Slot]:
        block = block_of(held)
        story = self._blocks.get(block)
        if story is None:
            story = self._blocks[block] = _Story(block, self._key, [], [])
            self._stories.append(story)
        slot = Slot(held=held, kind=_KINDS[held.version, is_prefix(held)])
        story.slots.append(slot)
        return story.actions, slot


def _stories(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> list[_Story]:
    """Return what calls do to each address block in each VPC."""
    stories: list[_Story] = []
    by_key: dict[GroupKey, _Slots] = {}
    by_eni: dict[str, _Slots] = {}
    deletions: dict[str, Event] = {}
    delete = Effect.DELETE
    for event in events:
        if event.failure is not None:
            continue
        for subject in event.subjects:
            eni = subject.eni
            if eni is None:
                continue
            if event.effect is delete:
                deletions.setdefault(eni, event)
                continue
            slots = by_eni.get(eni)
            if slots is None:
                vpc = interfaces[eni].vpc
                key = (False, eni) if vpc is None else (True, vpc)
                slots = by_eni[eni] = by_key.setdefault(key, _Slots(key, stories))
            if subject.added or subject.removed:
                _add(slots, event, subject, eni)
    ends = (
        {eni: _on_eni(ActionKind.DELETE_ENI, eni, event) for eni, event in deletions.items()},
        {eni: _on_eni(ActionKind.TERMINATE, eni, event) for eni, event in deaths.items()},
    )
    for story in stories:
        enis = {action.eni for action in story.actions}
        for ended in ends:
            story.actions += [ended[eni] for eni in enis if eni in ended]
    return stories


_ASSIGN, _RELEASE, _OBSERVED = ActionKind.ASSIGN, ActionKind.RELEASE, Basis.OBSERVED


def _add(slots: _Slots, event: Event, subject: Subject, eni: str) -> None:
    """Add what a call does to the addresses of an ENI."""
    time, observed, reassigns = event.time, Bound(event.time, _OBSERVED, event), subject.reassign
    kind = ActionKind.SHOW if subject.existing else _ASSIGN
    for holding in subject.added:
        actions, slot = slots.of(holding.held)
        actions.append(AddressAction(time, observed, kind, eni, slot, holding.kind, reassigns))
    for held in subject.removed:
        actions, slot = slots.of(held)
        actions.append(AddressAction(time, observed, _RELEASE, eni, slot, slot.kind, reassigns))


def _on_eni(kind: ActionKind, eni: str, event: Event) -> AddressAction:
    observed = Bound(event.time, Basis.OBSERVED, event)
    return AddressAction(event.time, observed, kind, eni, WHOLE_ENI, WHOLE_ENI.kind)


def _finished(lease: LeaseDraft, vpc: str | None) -> Lease:
    return Lease(
        held=lease.held,
        kind=lease.kind,
        eni=lease.eni,
        vpc=vpc,
        start=lease.start,
        end=lease.end,
        certainty=Certainty(
            earliest_start=lease.earliest_start,
            last_seen=lease.last_seen,
            released=lease.released,
            assigned_again=lease.assigned_again.time if lease.assigned_again else None,
            takeover_from=lease.takeover_from,
            contested=lease.contested,
            rivals=lease.rivals if lease.contested or lease.settled_at else frozenset(),
            settled_at=lease.settled_at,
        ),
    )


def _start_order(lease: Lease) -> tuple[object, ...]:
    """Return the key that sorts the leases of an address as they are shown."""
    reach = lease.start.time or lease.certainty.earliest_start
    return reach is not None, reach, lease.vpc or "", lease.eni
