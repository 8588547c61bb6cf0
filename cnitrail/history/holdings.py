"""Who held which address, as intervals that can be trusted.

Holdings are keyed by (VPC, address): a VPC's id is unique, and within it one address is on one
interface at a time. An interface whose VPC no event tells is a key of its own: it is never merged
with another. Addresses and prefixes exclude each other inside one block (a /28, an IPv6 /80),
so a block is rebuilt as one.

CloudTrail's clock has one-second steps. Calls of one second are put in the one order that is
possible: who held the address before lets it go first, what is taken and let go within the second
leaves nothing behind. Where two orders are possible the lease is contested, and says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from ipaddress import IPv4Address
from itertools import groupby, zip_longest
from operator import attrgetter
from typing import NamedTuple

from cnitrail.model import (
    OPEN,
    UNKNOWN,
    Basis,
    Bound,
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


class _Verb(Enum):
    """What a call says about an address on an interface."""

    TAKE = "take"
    SHOW = "show"
    """The address is on the interface, since when is not said."""
    RELEASE = "release"
    DELETE = "delete"
    """The interface is gone, and every address of it."""
    DIE = "die"
    """The interface's instance is terminated and takes it along, some seconds later."""


_Place = tuple[str, Held]


class _Act(NamedTuple):
    """What one call says of one holding; DELETE and DIE are of a whole interface."""

    time: datetime
    verb: _Verb
    eni: str
    event: Event
    held: Held = IPv4Address(0)
    kind: HoldingKind = HoldingKind.SECONDARY

    @property
    def place(self) -> _Place:
        """The interface and what it holds."""
        return self.eni, self.held

    @property
    def steals(self) -> bool:
        """Whether the address is taken from whoever has it."""
        return any(subject.reassign for subject in self.event.subjects)

    @property
    def fresh(self) -> bool:
        """Whether EC2 chose the address: it chooses none that the interface has already."""
        if self.event.effect is not Effect.ASSIGN:
            return False
        return all(subject.requested is not None for subject in self.event.subjects)


_KINDS = {
    (4, False): HoldingKind.SECONDARY,
    (4, True): HoldingKind.PREFIX,
    (6, False): HoldingKind.IPV6,
    (6, True): HoldingKind.IPV6_PREFIX,
}
"""What a release lets go: primary addresses cannot be released."""


@dataclass(slots=True, eq=False)
class _Lease:
    """A lease while its story is being read."""

    held: Held
    kind: HoldingKind
    eni: str
    start: Bound
    end: Bound = OPEN
    earliest: datetime | None = None
    proven: datetime | None = None
    released: bool = False
    doubt_from: datetime | None = None
    contested: bool = False
    rivals: tuple[str, ...] = ()
    retaken: Event | None = None
    """The last call that gave the address to the interface once more."""

    def reach(self) -> datetime | None:
        """The first moment that the lease may cover; None for any time before."""
        return self.start.time or self.earliest


Block = tuple[int, int]
Holders = dict[Held, tuple[tuple[Lease, ...], ...]]


def fold_holdings(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> tuple[tuple[Lease, ...], Holders]:
    """Every lease, sorted by address and start; and the same by address, grouped by VPC.

    ``deaths`` are the terminations that took an interface along, by ENI.
    """
    leases: list[Lease] = []
    holders: dict[Held, list[tuple[Lease, ...]]] = defaultdict(list)
    for _, groups in sorted(_acts_by_block(events, interfaces, deaths).items()):
        folded = {key: _Fold(acts, interfaces, deaths).leases() for key, acts in sorted(groups.items())}
        _doubt_across(folded, interfaces)
        for key, group in folded.items():
            by_held: dict[Held, list[Lease]] = defaultdict(list)
            for lease in group:
                by_held[lease.held].append(_finished(lease, key[1] if key[0] else None))
            for held, one_held in by_held.items():
                holders[held].append(tuple(one_held))
                leases.extend(one_held)
    leases.sort(key=_place)
    return tuple(leases), {held: tuple(groups) for held, groups in holders.items()}


GroupKey = tuple[bool, str]
"""(True, VPC id), or (False, ENI id) where the VPC of the ENI is not known."""


def _acts_by_block(
    events: Iterable[Event], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
) -> dict[Block, dict[GroupKey, list[_Act]]]:
    blocks: dict[Block, dict[GroupKey, list[_Act]]] = defaultdict(lambda: defaultdict(list))
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
            verb = _Verb.SHOW if subject.existing else _Verb.TAKE
            for holding in subject.added:
                block = block_of(holding.held)
                act = _Act(event.time, verb, eni, event, holding.held, holding.kind)
                blocks[block][key].append(act)
                blocks_of[eni].add(block)
            for held in subject.removed:
                block = block_of(held)
                kind = _KINDS[held.version, is_prefix(held)]
                blocks[block][key].append(_Act(event.time, _Verb.RELEASE, eni, event, held, kind))
                blocks_of[eni].add(block)
    for verb, ends in ((_Verb.DELETE, deletions), (_Verb.DIE, deaths)):
        for eni, event in ends.items():
            for block in blocks_of.get(eni, ()):
                blocks[block][keys[eni]].append(_Act(event.time, verb, eni, event))
    return blocks


class _Fold:
    """The leases of one block in one VPC, second by second."""

    def __init__(
        self, acts: list[_Act], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
    ) -> None:
        self._acts = sorted(acts, key=attrgetter("time"))
        self._interfaces = interfaces
        self._deaths = deaths
        self._helds = {act.held for act in acts if act.verb not in (_Verb.DELETE, _Verb.DIE)}
        self._prefixes = [held for held in self._helds if is_prefix(held)]
        self._open: dict[_Place, _Lease] = {}
        self._holders: dict[Held, set[str]] = defaultdict(set)
        self._held_by: dict[str, set[Held]] = defaultdict(set)
        self._last: dict[_Place, _Lease] = {}
        self._ended: dict[Held, datetime] = {}
        self._leases: list[_Lease] = []

    def leases(self) -> list[_Lease]:
        """Every lease, in the order in which they may begin."""
        for time, acts in groupby(self._acts, key=attrgetter("time")):
            self._second(time, list(acts))
        self._leases.sort(key=_begins)
        return self._leases

    def _second(self, time: datetime, acts: list[_Act]) -> None:
        """The calls of one second, in the order that is possible: see the module's text."""
        takes: dict[_Place, list[_Act]] = defaultdict(list)
        releases: dict[_Place, list[_Act]] = defaultdict(list)
        for act in sorted(acts, key=_precedence):
            known = act.place in takes or act.place in self._open
            if act.verb is _Verb.TAKE or (act.verb is _Verb.SHOW and not known):
                takes[act.place].append(act)
            elif act.verb is _Verb.RELEASE:
                releases[act.place].append(act)
        deletes = {act.eni: act for act in acts if act.verb is _Verb.DELETE}
        dying = {act.eni: death for act in acts if (death := self._death(act))}
        holders = {place for place in takes if place in self._open}
        moving = set(releases)
        for place, lets_go in releases.items():
            if place in self._open:
                self._end(place, Bound(time, Basis.OBSERVED, lets_go.pop(0).event), released=True)
            elif place not in takes:
                self._unseen_release(lets_go.pop(0))
        for eni, act in deletes.items():
            for held in sorted(self._held_by[eni], key=order_of):
                self._end((eni, held), Bound(time, Basis.OBSERVED, act.event))
            self._outlived_its_instance(act)
        gained: list[tuple[_Act, Bound | None]] = []
        for place, gains in takes.items():
            ends = [Bound(time, Basis.OBSERVED, act.event) for act in releases.get(place, ())]
            last = None
            if place[0] in deletes:
                last = Bound(time, Basis.OBSERVED, deletes[place[0]].event)
            elif place[0] in dying:
                last = Bound(time, Basis.IMPLIED, dying[place[0]])
            gained += zip_longest(gains, ends[: len(gains)], fillvalue=last)  # type: ignore[arg-type]
        # What is let go within the second is let go before anybody takes it to keep.
        gained.sort(key=lambda gain: (gain[0].steals, gain[1] is None, *_precedence(gain[0])))
        for act, end in gained:
            self._take(act)
            if end is not None:
                released = end.event is not None and end.event.effect is Effect.UNASSIGN
                self._end(act.place, end, released)
        kept = [act for act, end in gained if end is None]
        self._contest(
            time,
            [act for act, end in gained if act.steals or (end is None and act.place not in holders)],
        )
        for act in kept:
            if act.place in moving:
                self._contested(time, act.held, {place[0] for place in takes if place[1] == act.held})
        for eni, death in dying.items():
            for held in sorted(self._held_by[eni], key=order_of):
                self._end((eni, held), Bound(time, Basis.IMPLIED, death))

    def _death(self, act: _Act) -> Event | None:
        """The termination that has taken the interface along by the time of a call, or soon will."""
        death = self._deaths.get(act.eni)
        return death if death is not None and death.time <= act.time else None

    def _contest(self, time: datetime, takes: list[_Act]) -> None:
        """Note where several interfaces took an address in one second, the last of them unknown.

        What is taken by theft is taken last; among several thefts, and among several that
        were no thefts, nothing tells the order.
        """
        takers: dict[tuple[Held, bool], set[str]] = defaultdict(set)
        for act in takes:
            takers[act.held, act.steals].add(act.eni)
        for (held, steals), enis in takers.items():
            if len(enis) > 1 and (steals or (held, True) not in takers):
                self._contested(time, held, enis)

    def _contested(self, time: datetime, held: Held, enis: set[str]) -> None:
        """Mark the leases of interfaces of which any may have been the last of a second."""
        for eni in enis:
            lease = self._open.get((eni, held)) or self._last.get((eni, held))
            if lease is not None and lease.proven == time:
                lease.contested = True
                lease.rivals = tuple(sorted(enis - {eni}))

    def _take(self, act: _Act) -> None:
        """The interface has the address from now on; within a VPC nobody else has."""
        known = self._open.get(act.place)
        if known is not None:
            if known.start is UNKNOWN and known.proven == act.time and act.verb is _Verb.TAKE:
                known.start = Bound(act.time, Basis.OBSERVED, act.event)
            same_second, known.proven, known.retaken = known.proven == act.time, act.time, act.event
            if same_second or not (known.rivals or act.fresh):
                return
            # A count never gives what is held already; and one of several rivals may take it again.
            self._end(act.place, Bound(act.time, Basis.IMPLIED, act.event))
        earliest = self._latest_end(act.held)
        for place in self._conflicting(act):
            self._end(place, Bound(act.time, Basis.IMPLIED, act.event))
        observed = act.verb is _Verb.TAKE
        self._begin(
            _Lease(
                held=act.held,
                kind=act.kind,
                eni=act.eni,
                start=Bound(act.time, Basis.OBSERVED, act.event) if observed else UNKNOWN,
                earliest=None if observed else earliest,
                proven=act.time,
            )
        )

    def _unseen_release(self, act: _Act) -> None:
        """A release of what was never seen taken: it was held until now, since when is not known."""
        released = Bound(act.time, Basis.OBSERVED, act.event)
        last = self._last.get(act.place)
        conflicts = self._conflicting(act)
        if last is not None and len(conflicts) == 1:
            winner = self._open[conflicts[0]]
            if last.contested and act.eni in winner.rivals:
                # The release tells which of the rivals came last.
                assert winner.start.time is not None
                self._end(conflicts[0], Bound(winner.start.time, Basis.IMPLIED, last.start.event))
                winner.contested, last.contested = False, False
                start = Bound(winner.start.time, Basis.OBSERVED, last.retaken or last.start.event)
                if last.start.time == winner.start.time:
                    self._leases.remove(last)
                self._begin(_Lease(act.held, last.kind, act.eni, start, proven=act.time))
                self._end(act.place, released, released=True)
                return
        if last is not None and not conflicts and self._ended_with_instance(last):
            last.end, last.released, last.proven = released, True, act.time
            self._ended[act.held] = act.time
            return
        known = (self._latest_end(act.held), self._interfaces[act.eni].created.time)
        earliest = max((time for time in known if time is not None and time <= act.time), default=None)
        start = Bound(earliest, Basis.IMPLIED, act.event)
        if conflicts:
            # Both held it since the other's last sign, in an order that nothing tells.
            earliest = max(self._open[place].proven or act.time for place in conflicts)
            start = Bound(None, Basis.IMPLIED, act.event)
        for place in conflicts:
            self._end(place, Bound(act.time, Basis.IMPLIED, act.event))
        self._begin(_Lease(act.held, act.kind, act.eni, start, earliest=earliest, proven=act.time))
        self._end(act.place, released, released=True)

    def _outlived_its_instance(self, act: _Act) -> None:
        """A deletion shows that the interface did not go with its instance, so its addresses stayed."""
        if act.eni not in self._deaths:
            return
        for held in self._helds:
            lease = self._last.get((act.eni, held))
            if lease is not None and self._ended_with_instance(lease):
                lease.end = Bound(act.time, Basis.OBSERVED, act.event)
                self._ended[held] = act.time

    def _ended_with_instance(self, lease: _Lease) -> bool:
        """Whether a termination alone ended a lease, and nobody has had the address since."""
        event = lease.end.event
        return (
            lease.end.basis is Basis.IMPLIED
            and event is not None
            and event.effect is Effect.TERMINATE
            and lease.end.time is not None
            and self._latest_end(lease.held) == lease.end.time
            and not any(self._holders[held] for held in self._overlapping(lease.held))
        )

    def _begin(self, lease: _Lease) -> None:
        self._leases.append(lease)
        self._open[lease.eni, lease.held] = lease
        self._holders[lease.held].add(lease.eni)
        self._held_by[lease.eni].add(lease.held)

    def _end(self, place: _Place, end: Bound, released: bool = False) -> None:
        eni, held = place
        lease = self._open.pop(place)
        self._holders[held].discard(eni)
        self._held_by[eni].discard(held)
        lease.end, lease.released = end, released
        if released:
            lease.proven, lease.contested = end.time, lease.contested and not lease.rivals
        self._last[place] = lease
        if end.time is not None:
            self._ended[held] = max(end.time, self._ended.get(held, end.time))

    def _conflicting(self, act: _Act) -> list[_Place]:
        """What others hold now of the same address."""
        return [
            (eni, held)
            for held in self._overlapping(act.held)
            for eni in sorted(self._holders[held])
            if eni != act.eni
        ]

    def _latest_end(self, held: Held) -> datetime | None:
        ends = (self._ended.get(other) for other in self._overlapping(held))
        return max((time for time in ends if time is not None), default=None)

    def _overlapping(self, held: Held) -> list[Held]:
        """What cannot be held beside it: itself, and a prefix and the addresses inside it."""
        if held in self._prefixes:
            return sorted(self._helds, key=order_of)
        return [held, *self._prefixes]


def _precedence(act: _Act) -> tuple[bool, bool, str]:
    """The order in which addresses are taken within a second.

    A call that shows an address comes after one that gives it, a theft after what there is to take.
    """
    return act.steals, act.verb is _Verb.SHOW, act.event.key


_LATEST = datetime.max.replace(tzinfo=UTC)


def _begins(lease: _Lease) -> tuple[bool, datetime, datetime, str]:
    """The order of leases; one that may begin at any time comes first."""
    reach, end = lease.reach(), lease.end.time
    return reach is not None, reach or _LATEST, end or _LATEST, lease.eni


def _doubt_across(folded: Mapping[GroupKey, list[_Lease]], interfaces: Mapping[str, Interface]) -> None:
    """Where a VPC is not known, another ENI's lease of the same address may be in the same one.

    If so, one of the two has ended without an event that shows it: from the moment at which two
    such leases meet, neither is beyond doubt. Interfaces of two Regions are never in one VPC.
    """
    if len(folded) < 2 or all(known for known, _ in folded):
        return
    everything = {lease.held for group in folded.values() for lease in group}
    prefixes = [held for held in everything if is_prefix(held)]
    by_held: dict[Held, list[tuple[GroupKey, _Lease]]] = defaultdict(list)
    for key, group in folded.items():
        for lease in group:
            for held in everything if is_prefix(lease.held) else (lease.held, *prefixes):
                by_held[held].append((key, lease))
    for entries in by_held.values():
        entries.sort(key=lambda entry: _begins(entry[1]))
        _doubt_overlaps(entries, interfaces)


def _doubt_overlaps(entries: list[tuple[GroupKey, _Lease]], interfaces: Mapping[str, Interface]) -> None:
    """Mark every lease that meets a possible rival; entries are in the order of their beginning."""
    running: list[tuple[GroupKey, _Lease]] = []
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


def _goes_on(lease: _Lease, time: datetime) -> bool:
    return lease.end.time is None or lease.end.time >= time


def _one_region(one: Interface, other: Interface) -> bool:
    return one.region == other.region or None in (one.region, other.region)


def _doubt(lease: _Lease, since: datetime) -> None:
    if lease.doubt_from is None or since < lease.doubt_from:
        lease.doubt_from = since


def _finished(lease: _Lease, vpc: str | None) -> Lease:
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
