"""Who held which address, as intervals that can be trusted.

Holdings are keyed by (VPC, address): a VPC's id is unique, and within it one address is on one
interface at a time. An interface whose VPC no event tells is a key of its own: it is never merged
with another. Addresses and prefixes exclude each other inside one block (a /28, an IPv6 /80),
so a block is rebuilt as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from msgspec import Struct, field

from cnitrail.history.draft import GroupKey, LeaseDraft, Slot
from cnitrail.history.fold import WHOLE, Act, Fold, Verb
from cnitrail.history.unknown_vpc import doubt_across, shared_vpcs
from cnitrail.model import (
    Effect,
    Event,
    Held,
    HoldingKind,
    Interface,
    Lease,
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
"""What a release lets go: primary addresses cannot be released."""


def fold_holdings(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> tuple[tuple[Lease, ...], Holders]:
    """Every lease, sorted by address and start; and the same by address, grouped by VPC.

    ``deaths`` are the terminations that took an interface along, by ENI.
    """
    leases: list[Lease] = []
    holders: Holders = {}
    shared = shared_vpcs(interfaces.values())
    for _, stories in sorted(_stories(events, interfaces, deaths).items()):
        folded = {
            key: Fold(story.slots, interfaces, deaths).read(story.acts)
            for key, story in sorted(stories.items())
        }
        doubt_across(folded, interfaces, shared)
        by_held: dict[Held, list[tuple[Lease, ...]]] = defaultdict(list)
        for key, slots in folded.items():
            vpc = key[1] if key[0] else None
            for slot in slots:
                if slot.leases:
                    by_held[slot.held].append(tuple(_finished(lease, vpc) for lease in slot.leases))
        for held in sorted(by_held, key=order_of):
            holders[held] = tuple(by_held[held])
            leases += sorted(chain.from_iterable(by_held[held]), key=_start)
    return tuple(leases), holders


class _Story(Struct):
    """All that calls say of one block in one VPC."""

    slots: list[Slot] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)


Blocks = dict[Block, dict[GroupKey, _Story]]


class _Seats(dict[Held, tuple[list[Act], Slot]]):
    """Where each address of a VPC stands, with the acts of its block."""

    def __init__(self, key: GroupKey, blocks: Blocks) -> None:
        self._key = key
        self._blocks = blocks

    def __missing__(self, held: Held) -> tuple[list[Act], Slot]:
        story = self._blocks[block_of(held)][self._key]
        slot = Slot(held, _KINDS[held.version, is_prefix(held)])
        story.slots.append(slot)
        self[held] = seat = story.acts, slot
        return seat


def _stories(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> Blocks:
    blocks: Blocks = defaultdict(lambda: defaultdict(_Story))
    seats_by_key: dict[GroupKey, _Seats] = {}
    seats_by_eni: dict[str, _Seats] = {}
    deletions: dict[str, Event] = {}
    for event in events:
        if event.failure is not None:
            continue
        time = event.time
        for subject in event.subjects:
            eni = subject.eni
            if eni is None:
                continue
            if event.effect is Effect.DELETE:
                deletions.setdefault(eni, event)
                continue
            seats = seats_by_eni.get(eni)
            if seats is None:
                vpc = interfaces[eni].vpc
                key = (False, eni) if vpc is None else (True, vpc)
                seats = seats_by_eni[eni] = seats_by_key.setdefault(key, _Seats(key, blocks))
            verb = Verb.SHOW if subject.existing else Verb.TAKE
            for holding in subject.added:
                acts, slot = seats[holding.held]
                acts.append(Act(time, verb, eni, event, slot, holding.kind))
            for held in subject.removed:
                acts, slot = seats[held]
                acts.append(Act(time, Verb.RELEASE, eni, event, slot, slot.kind))
    for story in chain.from_iterable(stories.values() for stories in blocks.values()):
        enis = {act.eni for act in story.acts}
        for verb, ends in ((Verb.DELETE, deletions), (Verb.DIE, deaths)):
            for eni in enis & ends.keys():
                event = ends[eni]
                story.acts.append(Act(event.time, verb, eni, event, WHOLE, WHOLE.kind))
    return blocks


def _finished(lease: LeaseDraft, vpc: str | None) -> Lease:
    return Lease(
        held=lease.held,
        kind=lease.kind,
        eni=lease.eni,
        vpc=vpc,
        start=lease.start,
        end=lease.end,
        earliest=lease.earliest,
        proven=lease.proven,
        released=lease.released,
        retaken=lease.retaken.time if lease.retaken else None,
        doubt_from=lease.doubt_from,
        contested=lease.contested,
        rivals=lease.rivals if lease.contested or lease.settled else (),
        settled=lease.settled,
    )


def _start(lease: Lease) -> tuple[object, ...]:
    """The order in which the leases of an address are shown."""
    reach = lease.start.time or lease.earliest
    return reach is not None, reach, lease.vpc or "", lease.eni
