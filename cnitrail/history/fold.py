"""The calls on one address block in one VPC → leases, second by second."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import attrgetter

from cnitrail.history.draft import LeaseDraft, Slot, lease_order
from cnitrail.history.seconds import (
    ActionKind,
    Actions,
    AddressAction,
    EniSlot,
    Gain,
    Second,
    contests,
    death_of,
    group,
    order,
)
from cnitrail.model import UNKNOWN, Basis, Bound, Effect, Event, Interface, is_prefix, order_of

_ASSIGN, _RELEASE = ActionKind.ASSIGN, ActionKind.RELEASE
"""The kinds of nearly all actions: to look up a member of an enumeration takes long."""


class Fold:
    """The leases of one address block in one VPC; ``deaths`` are the terminations that deleted ENIs."""

    def __init__(
        self, slots: Iterable[Slot], interfaces: Mapping[str, Interface], deaths: Mapping[str, Event]
    ) -> None:
        self._slots = list(slots)
        if len(self._slots) > 1:
            self._slots.sort(key=lambda slot: order_of(slot.held))
        self._prefixes = [slot for slot in self._slots if is_prefix(slot.held)]
        self._interfaces = interfaces
        self._deaths = deaths

    def read(self, actions: Iterable[AddressAction]) -> list[Slot]:
        """Return every slot with its leases, in the order of their possible starts."""
        ordered = sorted(actions, key=attrgetter("time"))
        start, count = 0, len(ordered)
        while start < count:
            first, end = ordered[start], start + 1
            while end < count and ordered[end].time == first.time:
                end += 1
            if end == start + 1 and (first.eni not in self._deaths or not death_of(first, self._deaths)):
                self._apply_one(first)
            else:
                self._apply(group(first.time, ordered[start:end], self._deaths))
            start = end
        for slot in self._slots:
            if len(slot.leases) > 1:
                slot.leases.sort(key=lease_order)
        return self._slots

    def _apply_one(self, action: AddressAction) -> None:
        """Apply the only action of its second, as nearly all are: it needs no order."""
        kind, is_open = action.action, action.eni in action.slot.open
        if kind is _RELEASE:
            if is_open:
                self._end(action.slot, action.eni, action.observed, released=True)
            else:
                self._release_unseen(action)
        elif kind is _ASSIGN or (kind is ActionKind.SHOW and not is_open):
            self._assign(action)
        elif kind is ActionKind.DELETE_ENI:
            self._delete(action)

    def _apply(self, second: Second) -> None:
        """Apply the actions of one second, in the order that is possible."""
        left = self._release_earlier(second)
        for action in second.deleted.values():
            self._delete(action)
        gains = order(second, left)
        self._apply_gains(gains)
        for slot, enis in contests(second, gains):
            _contest(second.time, slot, enis)
        for eni, death in second.terminated.items():
            self._end_all(eni, Bound(second.time, Basis.IMPLIED, death))

    def _release_earlier(self, second: Second) -> Actions:
        """Release what ENIs had before a second; return the releases of what was assigned within it."""
        left: Actions = {}
        for eni_slot, releases in second.released.items():
            eni, slot = eni_slot
            first, *others = releases
            assigned = second.assigned.get(eni_slot)
            if eni in slot.open:
                if assigned:
                    slot.open[eni].assigned_again = assigned[-1].event
                self._end(slot, eni, first.observed, released=True)
            elif not assigned:
                self._release_unseen(first)
            else:
                others = releases
            left[eni_slot] = others
        return left

    def _delete(self, action: AddressAction) -> None:
        """End all that a deleted ENI has in this block."""
        self._end_all(action.eni, action.observed)
        self._extend_to_deletion(action)

    def _apply_gains(self, gains: Iterable[Gain]) -> None:
        for action, end in gains:
            self._assign(action)
            if end is not None:
                released = end.event is not None and end.event.effect is Effect.UNASSIGN
                self._end(action.slot, action.eni, end, released=released)

    def _assign(self, action: AddressAction) -> None:
        """Start a lease of the ENI, and end those of all others in the VPC."""
        known = action.slot.open.get(action.eni)
        if known is not None and self._assign_again(known, action):
            return
        is_observed = action.action is _ASSIGN
        earliest = None if is_observed else self._latest_end(action.slot)
        if action.slot.open or self._prefixes:  # hardly ever
            for eni, slot in self._conflicting(action):
                self._end(slot, eni, Bound(action.time, Basis.IMPLIED, action.event))
        lease = LeaseDraft(
            held=action.slot.held,
            kind=action.kind,
            eni=action.eni,
            start=action.observed if is_observed else UNKNOWN,
            earliest_start=earliest,
            last_seen=action.time,
        )
        if action.reassigns:
            lease.reassigned(action.time)
        self._begin(action.slot, lease)

    def _assign_again(self, known: LeaseDraft, action: AddressAction) -> bool:
        """Note that a call gives an ENI what it has already; return whether that lease goes on.

        It ended unseen if EC2 chose the address, which it never does if the ENI has it; and one of several
        rivals may get the address again.
        """
        is_same_second = known.last_seen == action.time
        if known.start is UNKNOWN and is_same_second and action.action is ActionKind.ASSIGN:
            known.start = action.observed
        known.last_seen, known.assigned_again = action.time, action.event
        if action.reassigns:
            known.reassigned(action.time)
        if is_same_second or not (known.rivals or action.is_chosen_by_ec2):
            return True
        self._end(action.slot, action.eni, Bound(action.time, Basis.IMPLIED, action.event))
        return False

    def _release_unseen(self, action: AddressAction) -> None:
        """Apply a release of an address that no call assigned: the ENI held it until now."""
        last = action.slot.last.get(action.eni)
        conflicts = self._conflicting(action)
        if last is not None and len(conflicts) == 1 and self._settle(action, last, conflicts[0]):
            return
        if last is not None and not conflicts and self._ended_with_instance(action.slot, last):
            last.end, last.last_seen = action.observed, action.time
            action.slot.ended = action.time
            return
        self._begin(action.slot, self._lease_until(action, conflicts))
        for eni, slot in conflicts:
            self._end(slot, eni, Bound(action.time, Basis.IMPLIED, action.event))
        self._end(action.slot, action.eni, action.observed, released=True)

    def _settle(self, action: AddressAction, last: LeaseDraft, conflict: EniSlot) -> bool:
        """Apply a release that shows which of two rivals got the address last; return whether it does."""
        taker, taken = conflict
        winner, slot = taken.open[taker], action.slot
        taking = last.assigned_again or last.start.event
        is_rival = last.contested and action.eni in winner.rivals
        if not is_rival or winner.start.time is None or taking is None:
            return False
        self._end(taken, taker, Bound(winner.start.time, Basis.IMPLIED, taking))
        winner.contested, last.contested = False, False
        if last.start.time == winner.start.time:
            slot.leases.remove(last)
        settled = LeaseDraft(
            held=slot.held,
            kind=last.kind,
            eni=action.eni,
            start=Bound(winner.start.time, Basis.OBSERVED, taking),
            last_seen=action.time,
            rivals=frozenset((taker,)),
            settled_at=action.time,
            reassignments=last.reassignments,
        )
        self._begin(slot, settled)
        self._end(slot, action.eni, action.observed, released=True)
        return True

    def _lease_until(self, action: AddressAction, conflicts: list[EniSlot]) -> LeaseDraft:
        """Return the lease that a release shows to have lasted until then.

        Beside other holders it may have started at any time after the last sign of theirs.
        """
        if conflicts:
            earliest: datetime | None = max(
                slot.open[eni].last_seen or action.time for eni, slot in conflicts
            )
            start = Bound(None, Basis.IMPLIED, action.event)
        else:
            known = (self._latest_end(action.slot), self._interfaces[action.eni].created.time)
            earliest = max((time for time in known if time is not None and time <= action.time), default=None)
            start = Bound(earliest, Basis.IMPLIED, action.event)
        return LeaseDraft(
            held=action.slot.held,
            kind=action.kind,
            eni=action.eni,
            start=start,
            earliest_start=earliest,
            last_seen=action.time,
        )

    def _extend_to_deletion(self, action: AddressAction) -> None:
        """Let leases that ended with an instance last until the later deletion of their ENI.

        The deletion shows that the ENI was not deleted with its instance, so it kept its addresses.
        """
        if action.eni not in self._deaths:
            return
        for slot in self._slots:
            lease = slot.last.get(action.eni)
            if lease is not None and self._ended_with_instance(slot, lease):
                lease.end = action.observed
                slot.ended = action.time

    def _ended_with_instance(self, slot: Slot, lease: LeaseDraft) -> bool:
        """Return whether only a termination ended a lease, and no ENI has had the address since."""
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
    def _end(slot: Slot, eni: str, end: Bound, *, released: bool = False) -> None:
        lease = slot.open.pop(eni)
        lease.end = end
        if released:
            lease.last_seen = end.time
            # The release shows that this rival came last, unless it got the address again in this second.
            again = lease.assigned_again
            is_assigned_again = again is not None and again.time == end.time
            if lease.contested and lease.rivals and not is_assigned_again:
                lease.contested, lease.settled_at = False, end.time
                for rival in map(slot.last.get, lease.rivals):
                    if rival is not None and rival.rivals is lease.rivals:
                        rival.contested = False
        slot.last[eni] = lease
        if end.time is not None and (slot.ended is None or slot.ended < end.time):
            slot.ended = end.time

    def _end_all(self, eni: str, end: Bound) -> None:
        """End all leases of an ENI in this block."""
        for slot in self._slots:
            if eni in slot.open:
                self._end(slot, eni, end)

    def _conflicting(self, action: AddressAction) -> list[EniSlot]:
        """Return what other ENIs hold now of the same address."""
        return [
            (eni, slot)
            for slot in self._overlapping(action.slot)
            for eni in sorted(slot.open)
            if eni != action.eni
        ]

    def _latest_end(self, slot: Slot) -> datetime | None:
        return max((other.ended for other in self._overlapping(slot) if other.ended), default=None)

    def _overlapping(self, slot: Slot) -> list[Slot]:
        """Return the slots that exclude one another with a slot: a prefix excludes all of its block."""
        return self._slots if slot in self._prefixes else [slot, *self._prefixes]


def _contest(time: datetime, slot: Slot, enis: set[str]) -> None:
    """Mark the leases of ENIs of which any may have been the last of a second."""
    rivals = frozenset(enis if len(enis) > 1 else ())
    for eni in enis:
        lease = slot.open.get(eni) or slot.last.get(eni)
        if lease is not None and lease.last_seen == time:
            lease.contested = True
            lease.rivals = rivals
