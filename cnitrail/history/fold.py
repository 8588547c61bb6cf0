"""The calls of one address block in one VPC → leases, second by second.

CloudTrail's clock has one-second steps. Calls of one second are put in the one order that is
possible: who held the address before lets it go first, what is taken and let go within the second
leaves nothing behind. Where two orders are possible the lease is contested, and says so.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address
from itertools import groupby, zip_longest
from operator import attrgetter
from typing import NamedTuple

from cnitrail.history.draft import LeaseDraft, begins
from cnitrail.model import (
    UNKNOWN,
    Basis,
    Bound,
    Effect,
    Event,
    Held,
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


Place = tuple[str, Held]


class Act(NamedTuple):
    """What one call says of one holding; DELETE and DIE are of a whole interface."""

    time: datetime
    verb: Verb
    eni: str
    event: Event
    held: Held = IPv4Address(0)
    kind: HoldingKind = HoldingKind.SECONDARY

    @property
    def place(self) -> Place:
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


class Fold:
    """The leases of one block in one VPC, second by second."""

    def __init__(
        self, acts: list[Act], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
    ) -> None:
        self._acts = sorted(acts, key=attrgetter("time"))
        self._interfaces = interfaces
        self._deaths = deaths
        self._helds = {act.held for act in acts if act.verb not in (Verb.DELETE, Verb.DIE)}
        self._prefixes = [held for held in self._helds if is_prefix(held)]
        self._open: dict[Place, LeaseDraft] = {}
        self._holders: dict[Held, set[str]] = defaultdict(set)
        self._held_by: dict[str, set[Held]] = defaultdict(set)
        self._last: dict[Place, LeaseDraft] = {}
        self._ended: dict[Held, datetime] = {}
        self._leases: list[LeaseDraft] = []

    def leases(self) -> list[LeaseDraft]:
        """Every lease, in the order in which they may begin."""
        for time, acts in groupby(self._acts, key=attrgetter("time")):
            together = list(acts)
            if len(together) == 1 and self._death(together[0]) is None:
                self._alone(together[0])
            else:
                self._second(time, together)
        self._leases.sort(key=begins)
        return self._leases

    def _alone(self, act: Act) -> None:
        """The only call of its second, as nearly all are: there is no order to be found."""
        if act.verb is Verb.RELEASE:
            if act.place in self._open:
                self._end(act.place, Bound(act.time, Basis.OBSERVED, act.event), released=True)
            else:
                self._unseen_release(act)
        elif act.verb is Verb.TAKE or (act.verb is Verb.SHOW and act.place not in self._open):
            self._take(act)
        elif act.verb is Verb.DELETE:
            self._second(act.time, [act])

    def _second(self, time: datetime, acts: list[Act]) -> None:
        """The calls of one second, in the order that is possible: see the module's text."""
        takes: dict[Place, list[Act]] = defaultdict(list)
        releases: dict[Place, list[Act]] = defaultdict(list)
        for act in sorted(acts, key=_precedence):
            known = act.place in takes or act.place in self._open
            if act.verb is Verb.TAKE or (act.verb is Verb.SHOW and not known):
                takes[act.place].append(act)
            elif act.verb is Verb.RELEASE:
                releases[act.place].append(act)
        deletes = {act.eni: act for act in acts if act.verb is Verb.DELETE}
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

    def _death(self, act: Act) -> Event | None:
        """The termination that has taken the interface along by the time of a call, or soon will."""
        death = self._deaths.get(act.eni)
        return death if death is not None and death.time <= act.time else None

    def _contest(self, time: datetime, takes: list[Act]) -> None:
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

    def _take(self, act: Act) -> None:
        """The interface has the address from now on; within a VPC nobody else has."""
        known = self._open.get(act.place)
        if known is not None:
            if known.start is UNKNOWN and known.proven == act.time and act.verb is Verb.TAKE:
                known.start = Bound(act.time, Basis.OBSERVED, act.event)
            same_second, known.proven, known.retaken = known.proven == act.time, act.time, act.event
            if same_second or not (known.rivals or act.fresh):
                return
            # A count never gives what is held already; and one of several rivals may take it again.
            self._end(act.place, Bound(act.time, Basis.IMPLIED, act.event))
        earliest = self._latest_end(act.held)
        for place in self._conflicting(act):
            self._end(place, Bound(act.time, Basis.IMPLIED, act.event))
        observed = act.verb is Verb.TAKE
        self._begin(
            LeaseDraft(
                held=act.held,
                kind=act.kind,
                eni=act.eni,
                start=Bound(act.time, Basis.OBSERVED, act.event) if observed else UNKNOWN,
                earliest=None if observed else earliest,
                proven=act.time,
            )
        )

    def _unseen_release(self, act: Act) -> None:
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
                self._begin(LeaseDraft(act.held, last.kind, act.eni, start, proven=act.time))
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
        self._begin(LeaseDraft(act.held, act.kind, act.eni, start, earliest=earliest, proven=act.time))
        self._end(act.place, released, released=True)

    def _outlived_its_instance(self, act: Act) -> None:
        """A deletion shows that the interface did not go with its instance, so its addresses stayed."""
        if act.eni not in self._deaths:
            return
        for held in self._helds:
            lease = self._last.get((act.eni, held))
            if lease is not None and self._ended_with_instance(lease):
                lease.end = Bound(act.time, Basis.OBSERVED, act.event)
                self._ended[held] = act.time

    def _ended_with_instance(self, lease: LeaseDraft) -> bool:
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

    def _begin(self, lease: LeaseDraft) -> None:
        self._leases.append(lease)
        self._open[lease.eni, lease.held] = lease
        self._holders[lease.held].add(lease.eni)
        self._held_by[lease.eni].add(lease.held)

    def _end(self, place: Place, end: Bound, released: bool = False) -> None:
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

    def _conflicting(self, act: Act) -> list[Place]:
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


def _precedence(act: Act) -> tuple[bool, bool, str]:
    """The order in which addresses are taken within a second.

    A call that shows an address comes after one that gives it, a theft after what there is to take.
    """
    return act.steals, act.verb is Verb.SHOW, act.event.key
