"""Who held which address, as leases.

Leases are folded by VPC and address: VPC IDs are unique, and within a VPC an address is on one ENI at a
time. An ENI of unknown VPC is folded by itself and never merged with another. A prefix excludes the
addresses inside it, so an address block (a /28, an IPv6 /80) is folded as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from msgspec import Struct, field

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot
from cnitrail.history.fold import Fold
from cnitrail.history.seconds import WHOLE_ENI, ActionKind, AddressAction
from cnitrail.history.unknown_vpc import doubt_across, shared_vpcs
from cnitrail.model import (
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
    for _, stories in sorted(_stories(events, interfaces, deaths).items()):
        folded = {
            key: Fold(story.slots, interfaces, deaths).read(story.actions)
            for key, story in sorted(stories.items())
        }
        doubt_across(folded, interfaces, shared)
        by_held: dict[Held, list[tuple[Lease, ...]]] = defaultdict(list)
        for (has_vpc, name), slots in folded.items():
            vpc = name if has_vpc else None
            for slot in slots:
                if slot.leases:
                    by_held[slot.held].append(tuple(_finished(lease, vpc) for lease in slot.leases))
        for held in sorted(by_held, key=order_of):
            holders[held] = tuple(by_held[held])
            leases += sorted(chain.from_iterable(by_held[held]), key=_start_order)
    return tuple(leases), holders


class _Story(Struct):
    """What calls do to one address block in one VPC."""

    slots: list[Slot] = field(default_factory=list)
    actions: list[AddressAction] = field(default_factory=list)


Blocks = dict[Block, dict[GroupKey, _Story]]


class _SlotIndex(dict[Held, tuple[list[AddressAction], Slot]]):
    """The slot of each address of a VPC, with the actions on its block."""

    def __init__(self, key: GroupKey, blocks: Blocks) -> None:
        self._key = key
        self._blocks = blocks

    def __missing__(self, held: Held) -> tuple[list[AddressAction], Slot]:
        story = self._blocks[block_of(held)][self._key]
        slot = Slot(held=held, kind=_KINDS[held.version, is_prefix(held)])
        story.slots.append(slot)
        self[held] = found = story.actions, slot
        return found


def _stories(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> Blocks:
    """Return what calls do to each address block, by VPC."""
    blocks: Blocks = defaultdict(lambda: defaultdict(_Story))
    by_key: dict[GroupKey, _SlotIndex] = {}
    by_eni: dict[str, _SlotIndex] = {}
    deletions: dict[str, Event] = {}
    for event in events:
        if event.failure is not None:
            continue
        for subject in event.subjects:
            eni = subject.eni
            if eni is None:
                continue
            if event.effect is Effect.DELETE:
                deletions.setdefault(eni, event)
                continue
            index = by_eni.get(eni)
            if index is None:
                vpc = interfaces[eni].vpc
                key = (False, eni) if vpc is None else (True, vpc)
                index = by_eni[eni] = by_key.setdefault(key, _SlotIndex(key, blocks))
            _add(index, event, subject, eni)
    for story in chain.from_iterable(stories.values() for stories in blocks.values()):
        enis = {action.eni for action in story.actions}
        for kind, ends in ((ActionKind.DELETE_ENI, deletions), (ActionKind.TERMINATE, deaths)):
            story.actions += (_on_eni(kind, eni, ends[eni]) for eni in enis & ends.keys())
    return blocks


def _add(index: _SlotIndex, event: Event, subject: Subject, eni: str) -> None:
    """Add what a call does to the addresses of an ENI."""
    kind = ActionKind.SHOW if subject.existing else ActionKind.ASSIGN
    for holding in subject.added:
        actions, slot = index[holding.held]
        actions.append(
            AddressAction(time=event.time, action=kind, eni=eni, event=event, slot=slot, kind=holding.kind)
        )
    for held in subject.removed:
        actions, slot = index[held]
        actions.append(
            AddressAction(
                time=event.time, action=ActionKind.RELEASE, eni=eni, event=event, slot=slot, kind=slot.kind
            )
        )


def _on_eni(kind: ActionKind, eni: str, event: Event) -> AddressAction:
    return AddressAction(
        time=event.time, action=kind, eni=eni, event=event, slot=WHOLE_ENI, kind=WHOLE_ENI.kind
    )


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
    reach = lease.possible_start()
    return reach is not None, reach, lease.vpc or "", lease.eni
