"""Who held which address, as intervals that can be trusted.

Holdings are keyed by (VPC, address): a VPC's id is unique, and within it one address is on one
interface at a time. An interface whose VPC no event tells is a key of its own: it is never merged
with another. Addresses and prefixes exclude each other inside one block (a /28, an IPv6 /80),
so a block is rebuilt as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from cnitrail.history.doubt import doubt_across
from cnitrail.history.draft import GroupKey, LeaseDraft
from cnitrail.history.fold import Act, Fold, Verb
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
    holders: dict[Held, list[tuple[Lease, ...]]] = defaultdict(list)
    for _, groups in sorted(_acts_by_block(events, interfaces, deaths).items()):
        folded = {key: Fold(acts, interfaces, deaths).leases() for key, acts in sorted(groups.items())}
        doubt_across(folded, interfaces)
        for key, group in folded.items():
            by_held: dict[Held, list[Lease]] = defaultdict(list)
            for lease in group:
                by_held[lease.held].append(_finished(lease, key[1] if key[0] else None))
            for held, one_held in by_held.items():
                holders[held].append(tuple(one_held))
                leases.extend(one_held)
    leases.sort(key=_place)
    return tuple(leases), {held: tuple(groups) for held, groups in holders.items()}


def _acts_by_block(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> dict[Block, dict[GroupKey, list[Act]]]:
    blocks: dict[Block, dict[GroupKey, list[Act]]] = defaultdict(lambda: defaultdict(list))
    blocks_of: dict[str, set[Block]] = defaultdict(set)
    deletions: dict[str, Event] = {}
    keys: dict[str, GroupKey] = {}
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
            key = keys.get(eni)
            if key is None:
                vpc = interfaces[eni].vpc
                key = keys[eni] = (False, eni) if vpc is None else (True, vpc)
            verb = Verb.SHOW if subject.existing else Verb.TAKE
            for holding in subject.added:
                block = block_of(holding.held)
                act = Act(event.time, verb, eni, event, holding.held, holding.kind)
                blocks[block][key].append(act)
                blocks_of[eni].add(block)
            for held in subject.removed:
                block = block_of(held)
                kind = _KINDS[held.version, is_prefix(held)]
                blocks[block][key].append(Act(event.time, Verb.RELEASE, eni, event, held, kind))
                blocks_of[eni].add(block)
    for verb, ends in ((Verb.DELETE, deletions), (Verb.DIE, deaths)):
        for eni, event in ends.items():
            for block in blocks_of.get(eni, ()):
                blocks[block][keys[eni]].append(Act(event.time, verb, eni, event))
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
        doubt_from=lease.doubt_from,
        contested=lease.contested,
        rivals=lease.rivals if lease.contested else (),
    )


def _place(lease: Lease) -> tuple[object, ...]:
    """The order in which leases are shown: by address, a block after its addresses, then by start."""
    reach = lease.start.time or lease.earliest
    return *order_of(lease.held), reach is not None, reach, lease.vpc or "", lease.eni
