"""The calls of one address block in one VPC → leases, second by second.

CloudTrail's clock has one-second steps. Calls of one second are put in the one order that is
possible: who held the address before lets it go first, what is taken and let go within the second
leaves nothing behind. Where two orders are possible the lease is contested, and says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address
from itertools import groupby, zip_longest
from operator import attrgetter

from msgspec import Struct

from cnitrail.history.draft import LeaseDraft, Slot, begins
from cnitrail.model import (
    UNKNOWN,
    Basis,
    Bound,
    Effect,
    Event,
    HoldingKind,
    Interface,
    is_prefix,
    order_of,
)


class Verb(Enum):
    """What a call says about an address on an interface."""

    TAKE = "take"
    SHOW = "show"
    """The address is on the interface, since when is not said."""
    RELEASE = "release"
    DELETE = "delete"
    """The interface is gone, and every address of it."""
    DIE = "die"
    """The interface's instance is terminated and takes it along, some seconds later."""


Place = tuple[str, Slot]
"""An interface, and what it has."""

WHOLE = Slot(IPv4Address(0), HoldingKind.SECONDARY)
"""The slot of what is said of a whole interface."""


class Act(Struct, frozen=True, gc=False):
    """What one call says of one holding; DELETE and DIE are of a whole interface."""

    time: datetime
    verb: Verb
    eni: str
    event: Event
    slot: Slot
    kind: HoldingKind

    @property
    def place(self) -> Place:
        """The interface and what it holds."""
        return self.eni, self.slot

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


class Fold:
    """The leases of one block in one VPC, second by second."""

    def __init__(
        self, slots: Iterable[Slot], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
    ) -> None:
        self._slots = sorted(slots, key=lambda slot: order_of(slot.held))
        self._prefixes = [slot for slot in self._slots if is_prefix(slot.held)]
        self._interfaces = interfaces
        self._deaths = deaths

    def read(self, acts: list[Act]) -> list[Slot]:
        """Every slot with its leases, in the order in which they may begin."""
        for time, of_one_second in groupby(sorted(acts, key=attrgetter("time")), key=attrgetter("time")):
            together = list(of_one_second)
            if len(together) == 1 and self._death(together[0]) is None:
                self._alone(together[0])
            else:
                self._second(time, together)
        for slot in self._slots:
            slot.leases.sort(key=begins)
        return self._slots

    def _alone(self, act: Act) -> None:
        """The only call of its second, as nearly all are: there is no order to be found."""
        if act.verb is Verb.RELEASE:
            if act.eni in act.slot.open:
                self._end(act.slot, act.eni, Bound(act.time, Basis.OBSERVED, act.event), released=True)
            else:
                self._unseen_release(act)
        elif act.verb is Verb.TAKE or (act.verb is Verb.SHOW and act.eni not in act.slot.open):
            self._take(act)
        elif act.verb is Verb.DELETE:
            self._second(act.time, [act])

    def _second(self, time: datetime, acts: list[Act]) -> None:
        """The calls of one second, in the order that is possible: see the module's text."""
        takes: dict[Place, list[Act]] = defaultdict(list)
        releases: dict[Place, list[Act]] = defaultdict(list)
        for act in sorted(acts, key=_precedence):
            known = act.place in takes or act.eni in act.slot.open
            if act.verb is Verb.TAKE or (act.verb is Verb.SHOW and not known):
                takes[act.place].append(act)
            elif act.verb is Verb.RELEASE:
                releases[act.place].append(act)
        deletes = {act.eni: act for act in acts if act.verb is Verb.DELETE}
        dying = {act.eni: death for act in acts if (death := self._death(act))}
        holders = {(eni, slot) for eni, slot in takes if eni in slot.open}
        moving = set(releases)
        for place, lets_go in releases.items():
            eni, slot = place
            if eni in slot.open:
                if place in takes:
                    slot.open[eni].retaken = takes[place][-1].event
                self._end(slot, eni, Bound(time, Basis.OBSERVED, lets_go.pop(0).event), released=True)
            elif place not in takes:
                self._unseen_release(lets_go.pop(0))
        for eni, act in deletes.items():
            self._end_all(eni, Bound(time, Basis.OBSERVED, act.event))
            self._outlived_its_instance(act)
        gained: list[tuple[Act, Bound | None]] = []
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
                self._end(act.slot, act.eni, end, released)
        kept = [act for act, end in gained if end is None]
        self._contest(
            time,
            [act for act, end in gained if act.steals or (end is None and act.place not in holders)],
        )
        for act in kept:
            if act.place in moving:
                self._contested(time, act.slot, {eni for eni, slot in takes if slot is act.slot})
        for eni, death in dying.items():
            self._end_all(eni, Bound(time, Basis.IMPLIED, death))

    def _death(self, act: Act) -> Event | None:
        """The termination that has taken the interface along by the time of a call, or soon will."""
        death = self._deaths.get(act.eni)
        return death if death is not None and death.time <= act.time else None

    def _contest(self, time: datetime, takes: list[Act]) -> None:
        """Note where several interfaces took an address in one second, the last of them unknown.

        What is taken by theft is taken last; among several thefts, and among several that
        were no thefts, nothing tells the order.
        """
        takers: dict[tuple[Slot, bool], set[str]] = defaultdict(set)
        for act in takes:
            takers[act.slot, act.steals].add(act.eni)
        for (slot, steals), enis in takers.items():
            if len(enis) > 1 and (steals or (slot, True) not in takers):
                self._contested(time, slot, enis)

    @staticmethod
    def _contested(time: datetime, slot: Slot, enis: set[str]) -> None:
        """Mark the leases of interfaces of which any may have been the last of a second."""
        for eni in enis:
            lease = slot.open.get(eni) or slot.last.get(eni)
            if lease is not None and lease.proven == time:
                lease.contested = True
                lease.rivals = tuple(sorted(enis - {eni}))

    def _take(self, act: Act) -> None:
        """The interface has the address from now on; within a VPC nobody else has."""
        slot = act.slot
        known = slot.open.get(act.eni)
        if known is not None:
            if known.start is UNKNOWN and known.proven == act.time and act.verb is Verb.TAKE:
                known.start = Bound(act.time, Basis.OBSERVED, act.event)
            same_second, known.proven, known.retaken = known.proven == act.time, act.time, act.event
            if act.steals:
                known.thefts.append(act.time)
            if same_second or not (known.rivals or act.fresh):
                return
            # A count never gives what is held already; and one of several rivals may take it again.
            self._end(slot, act.eni, Bound(act.time, Basis.IMPLIED, act.event))
        observed = act.verb is Verb.TAKE
        earliest = None if observed else self._latest_end(slot)
        for eni, other in self._conflicting(act):
            self._end(other, eni, Bound(act.time, Basis.IMPLIED, act.event))
        start = Bound(act.time, Basis.OBSERVED, act.event) if observed else UNKNOWN
        lease = LeaseDraft(slot.held, act.kind, act.eni, start, earliest=earliest, proven=act.time)
        if act.steals:
            lease.thefts.append(act.time)
        self._begin(slot, lease)

    def _unseen_release(self, act: Act) -> None:
        """A release of what was never seen taken: it was held until now, since when is not known."""
        released = Bound(act.time, Basis.OBSERVED, act.event)
        slot = act.slot
        last = slot.last.get(act.eni)
        conflicts = self._conflicting(act)
        if last is not None and len(conflicts) == 1:
            taker, taken = conflicts[0]
            winner = taken.open[taker]
            taking = last.retaken or last.start.event
            if last.contested and act.eni in winner.rivals and winner.start.time is not None and taking:
                # The release tells which of the rivals came last.
                self._end(taken, taker, Bound(winner.start.time, Basis.IMPLIED, taking))
                winner.contested, last.contested = False, False
                start = Bound(winner.start.time, Basis.OBSERVED, taking)
                if last.start.time == winner.start.time:
                    slot.leases.remove(last)
                told = LeaseDraft(
                    slot.held,
                    last.kind,
                    act.eni,
                    start,
                    proven=act.time,
                    rivals=(taker,),
                    settled=act.time,
                    thefts=last.thefts,
                )
                self._begin(slot, told)
                self._end(slot, act.eni, released, released=True)
                return
        if last is not None and not conflicts and self._ended_with_instance(slot, last):
            last.end, last.released, last.proven = released, True, act.time
            slot.ended = act.time
            return
        known = (self._latest_end(slot), self._interfaces[act.eni].created.time)
        earliest = max((time for time in known if time is not None and time <= act.time), default=None)
        start = Bound(earliest, Basis.IMPLIED, act.event)
        if conflicts:
            # Both held it since the other's last sign, in an order that nothing tells.
            earliest = max(taken.open[taker].proven or act.time for taker, taken in conflicts)
            start = Bound(None, Basis.IMPLIED, act.event)
        for taker, taken in conflicts:
            self._end(taken, taker, Bound(act.time, Basis.IMPLIED, act.event))
        self._begin(slot, LeaseDraft(slot.held, act.kind, act.eni, start, earliest=earliest, proven=act.time))
        self._end(slot, act.eni, released, released=True)

    def _outlived_its_instance(self, act: Act) -> None:
        """A deletion shows that the interface did not go with its instance, so its addresses stayed."""
        if act.eni not in self._deaths:
            return
        for slot in self._slots:
            lease = slot.last.get(act.eni)
            if lease is not None and self._ended_with_instance(slot, lease):
                lease.end = Bound(act.time, Basis.OBSERVED, act.event)
                slot.ended = act.time

    def _ended_with_instance(self, slot: Slot, lease: LeaseDraft) -> bool:
        """Whether a termination alone ended a lease, and nobody has had the address since."""
        event = lease.end.event
        return (
            lease.end.basis is Basis.IMPLIED
            and event is not None
            and event.effect is Effect.TERMINATE
            and lease.end.time is not None
            and self._latest_end(slot) == lease.end.time
            and not any(other.open for other in self._overlapping(slot))
        )

    @staticmethod
    def _begin(slot: Slot, lease: LeaseDraft) -> None:
        slot.leases.append(lease)
        slot.open[lease.eni] = lease

    @staticmethod
    def _end(slot: Slot, eni: str, end: Bound, released: bool = False) -> None:
        lease = slot.open.pop(eni)
        lease.end, lease.released = end, released
        if released:
            lease.proven = end.time
            # It tells that this rival came last, unless the address was taken once more just before.
            was_retaken = lease.retaken is not None and lease.retaken.time == end.time
            if lease.contested and lease.rivals and not was_retaken:
                lease.contested, lease.settled = False, end.time
        slot.last[eni] = lease
        if end.time is not None and (slot.ended is None or slot.ended < end.time):
            slot.ended = end.time

    def _end_all(self, eni: str, end: Bound) -> None:
        """End what an interface has in this block."""
        for slot in self._slots:
            if eni in slot.open:
                self._end(slot, eni, end)

    def _conflicting(self, act: Act) -> list[Place]:
        """What others hold now of the same address."""
        if not act.slot.open and not self._prefixes:
            return []  # as nearly always
        return [
            (eni, slot) for slot in self._overlapping(act.slot) for eni in sorted(slot.open) if eni != act.eni
        ]

    def _latest_end(self, slot: Slot) -> datetime | None:
        return max((other.ended for other in self._overlapping(slot) if other.ended), default=None)

    def _overlapping(self, slot: Slot) -> list[Slot]:
        """What cannot be held beside it: itself, and a prefix and the addresses inside it."""
        return self._slots if slot in self._prefixes else [slot, *self._prefixes]


def _precedence(act: Act) -> tuple[bool, bool, str]:
    """The order in which addresses are taken within a second.

    A call that shows an address comes after one that gives it, a theft after what there is to take.
    """
    return act.steals, act.verb is Verb.SHOW, act.event.key
