"""Who held which address, as leases.

Leases are folded by VPC and address: VPC IDs are unique, and within a VPC an address is on one ENI at a
time. An ENI of unknown VPC is folded by itself and never merged with another. A prefix excludes the
addresses inside it, so an address block (a /28, an IPv6 /80) is folded as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from msgspec import Struct, field

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot
from cnitrail.history.fold import Fold
from cnitrail.history.seconds import WHOLE_ENI, ActionKind, AddressAction
from cnitrail.history.unknown_vpc import doubt_across, shared_vpcs
from cnitrail.model import (
    NO_DOUBTS,
    Basis,
    Bound,
    Certainty,
    Effect,
    Event,
    Held,
    Holding,
    HoldingKind,
    Interface,
    Lease,
    Subject,
    block_of,
    is_prefix,
    order_of,
)

Block = tuple[int, int]


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
) -> tuple[Lease, ...]:
    """Return every lease, sorted by address and start.

    ``deaths`` are the terminations that deleted ENIs, by ENI.
    """
    leases: list[Lease] = []
    shared = shared_vpcs(interfaces.values())
    stories, deletions = _stories(events, interfaces)
    ends = _ends(deletions, deaths)
    stories.sort(key=_story_order, reverse=True)
    while stories:
        folded: dict[GroupKey, list[Slot]] = {}
        block = stories[-1].block
        while stories and stories[-1].block == block:
            story = stories.pop()  # it is not needed after this
            slots, actions = story.actions()
            if ends:
                for eni in {action.eni for action in actions}:
                    actions += ends.get(eni, ())
            folded[story.key] = Fold(slots, interfaces, deaths).read(actions)
        doubt_across(folded, interfaces, shared)
        leases += _in_order(folded)
    return tuple(leases)


def _in_order(folded: Mapping[GroupKey, list[Slot]]) -> Iterator[Lease]:
    """Yield the leases of a block as they are shown: by address, then by start."""
    found = [
        (slot.held, [_finished(lease, name if has_vpc else None) for lease in slot.leases])
        for (has_vpc, name), slots in folded.items()
        for slot in slots
    ]
    if len(folded) > 1:
        by_held: dict[Held, list[Lease]] = defaultdict(list)
        for held, leases in found:
            by_held[held] += leases
        found = sorted(by_held.items(), key=lambda item: order_of(item[0]))
    for _, leases in found:
        if len(leases) > 1:
            leases.sort(key=_start_order)
        yield from leases


class _Story(Struct, gc=False, kw_only=True):
    """What calls do to one address block in one VPC: in order, each address that a call names.

    It has lists and no value for each of them: they are the most that there is while a history is built.
    """

    block: Block
    key: GroupKey
    named: list[Holding | Held] = field(default_factory=list)
    """What a call assigns or shows, with its kind, or releases."""
    bounds: list[Bound] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)

    def actions(self) -> tuple[Iterable[Slot], list[AddressAction]]:
        """Return the addresses, and what calls do to them."""
        slots: dict[Held | int, Slot] = {}
        actions: list[AddressAction] = []
        for named, observed, subject in zip(self.named, self.bounds, self.subjects, strict=True):
            time, eni = observed.time, subject.eni
            assert time is not None
            assert eni is not None
            if isinstance(named, Holding):
                held, kind, what = named.held, named.kind, _SHOW if subject.details.existing else _ASSIGN
            else:
                held, kind, what = named, None, _RELEASE
            number = int(held) if type(held) is IPv4Address else held  # to hash an address takes long
            slot = slots.get(number)
            if slot is None:
                slot = slots[number] = Slot(held=held, kind=_KINDS[held.version, is_prefix(held)])
            action = AddressAction(time, observed, what, eni, slot, kind or slot.kind, subject.reassign)
            actions.append(action)
        return slots.values(), actions


_ASSIGN, _SHOW, _RELEASE = ActionKind.ASSIGN, ActionKind.SHOW, ActionKind.RELEASE
_OBSERVED = Basis.OBSERVED


def _story_order(story: _Story) -> tuple[Block, GroupKey]:
    return story.block, story.key


class _Vpc:
    """The address blocks of one VPC, or of one ENI of unknown VPC."""

    def __init__(self, key: GroupKey, stories: list[_Story]) -> None:
        self._key = key
        self._stories = stories
        self._blocks: dict[Block, _Story] = {}

    def read(self, event: Event, subject: Subject) -> None:
        """Add what a call does to the addresses of an ENI."""
        observed = Bound(event.time, _OBSERVED, event)
        for named in (*subject.added, *subject.removed):
            block = block_of(named.held if isinstance(named, Holding) else named)
            story = self._blocks.get(block)
            if story is None:
                story = self._blocks[block] = _Story(block=block, key=self._key)
                self._stories.append(story)
            story.named.append(named)
            story.bounds.append(observed)
            story.subjects.append(subject)


def _stories(
    events: Iterable[Event], interfaces: Mapping[str, Interface]
) -> tuple[list[_Story], dict[str, Event]]:
    """Return what calls do to each address block in each VPC, and the first deletion of each ENI."""
    stories: list[_Story] = []
    by_key: dict[GroupKey, _Vpc] = {}
    by_eni: dict[str, _Vpc] = {}
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
            vpc = by_eni.get(eni)
            if vpc is None:
                name = interfaces[eni].vpc
                key = (False, eni) if name is None else (True, name)
                vpc = by_eni[eni] = by_key.setdefault(key, _Vpc(key, stories))
            if subject.added or subject.removed:
                vpc.read(event, subject)
    return stories, deletions


def _ends(deletions: Mapping[str, Event], deaths: Mapping[str, Event]) -> dict[str, list[AddressAction]]:
    """Return how ENIs ended: by their deletions, or with their instances."""
    ends: dict[str, list[AddressAction]] = defaultdict(list)
    for kind, events in ((ActionKind.DELETE_ENI, deletions), (ActionKind.TERMINATE, deaths)):
        for eni, event in events.items():
            ends[eni].append(_on_eni(kind, eni, event))
    return ends


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
        last_seen=lease.last_seen,
        certainty=_certainty(lease),
    )


def _certainty(lease: LeaseDraft) -> Certainty:
    """Return the doubts about a lease; nearly all have none."""
    again, is_contested = lease.assigned_again, lease.contested or lease.settled_at is not None
    if not (lease.earliest_start or again or lease.takeover_from or is_contested):
        return NO_DOUBTS
    return Certainty(
        earliest_start=lease.earliest_start,
        assigned_again=again.time if again is not None else None,
        takeover_from=lease.takeover_from,
        contested=lease.contested,
        rivals=lease.rivals if is_contested else NO_DOUBTS.rivals,
        settled_at=lease.settled_at,
    )


def _start_order(lease: Lease) -> tuple[object, ...]:
    """Return the key that sorts the leases of an address as they are shown."""
    reach = lease.possible_start()
    return reach is not None, reach, lease.vpc or "", lease.eni
