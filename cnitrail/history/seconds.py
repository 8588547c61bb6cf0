"""The calls of one second on one address block: grouped by ENI and address, and put in order.

CloudTrail's clock has one-second steps, so calls of one second are put in the one order that is possible:
an ENI that held an address before releases it first, and what is assigned and released within the second
leaves nothing behind. If several orders are possible, the leases are contested.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address
from itertools import zip_longest
from typing import NamedTuple

from msgspec import Struct

from cnitrail.history.draft import Slot
from cnitrail.model import Basis, Bound, Effect, Event, HoldingKind

EniSlot = tuple[str, Slot]
"""An ENI, and an address or prefix that it has or had."""

WHOLE_ENI = Slot(held=IPv4Address(0), kind=HoldingKind.SECONDARY)
"""Sentinel slot for actions on a whole ENI (delete, terminate)."""


class ActionKind(Enum):
    """What a call does to an address on an ENI."""

    ASSIGN = "assign"
    SHOW = "show"
    """The call shows the address on the ENI, not since when."""
    RELEASE = "release"
    DELETE_ENI = "delete-eni"
    """The ENI is gone, with all of its addresses."""
    TERMINATE = "terminate"
    """The instance of the ENI is terminated; the ENI is deleted with it, some seconds later."""


class AddressAction(Struct, frozen=True, gc=False):
    """What one call does to one address on one ENI, or to a whole ENI (``WHOLE_ENI``).

    ``observed`` is the bound of a lease that the call starts or ends. ``reassigns``: the call takes the
    address from whoever has it (allowReassignment).
    """

    time: datetime
    observed: Bound
    action: ActionKind
    eni: str
    slot: Slot
    kind: HoldingKind
    reassigns: bool = False

    @property
    def event(self) -> Event:
        """Return the event of the call."""
        event = self.observed.event
        assert event is not None
        return event

    @property
    def eni_slot(self) -> EniSlot:
        """Return the ENI with the address."""
        return self.eni, self.slot

    @property
    def is_chosen_by_ec2(self) -> bool:
        """Return whether EC2 chose the address: it never chooses one that the ENI has already."""
        if self.event.effect is not Effect.ASSIGN:
            return False
        return all(subject.requested is not None for subject in self.event.subjects)


Actions = dict[EniSlot, list[AddressAction]]


class Second(Struct, kw_only=True):
    """The actions of one second, grouped.

    ``assigned`` and ``released`` are by ENI and address, each in the order of ``precedence``; ``deleted``
    and ``terminated`` are by ENI. ``held_before`` are the assigned ones that the ENI had already.
    """

    time: datetime
    assigned: Actions
    released: Actions
    deleted: dict[str, AddressAction]
    terminated: dict[str, Event]
    held_before: frozenset[EniSlot]


class Gain(NamedTuple):
    """An assignment, and its end if it also ended within the second."""

    action: AddressAction
    end: Bound | None


def group(time: datetime, actions: Iterable[AddressAction], deaths: Mapping[str, Event]) -> Second:
    """Return the actions of one second, grouped; ``deaths`` are the terminations that deleted ENIs.

    An address that is shown on an ENI is news only if the ENI is not known to have it.
    """
    assigned: Actions = defaultdict(list)
    released: Actions = defaultdict(list)
    actions = tuple(actions)
    for action in sorted(actions, key=precedence):
        is_known = action.eni_slot in assigned or action.eni in action.slot.open
        if action.action is ActionKind.ASSIGN or (action.action is ActionKind.SHOW and not is_known):
            assigned[action.eni_slot].append(action)
        elif action.action is ActionKind.RELEASE:
            released[action.eni_slot].append(action)
    return Second(
        time=time,
        assigned=assigned,
        released=released,
        deleted={action.eni: action for action in actions if action.action is ActionKind.DELETE_ENI},
        terminated={action.eni: death for action in actions if (death := death_of(action, deaths))},
        held_before=frozenset((eni, slot) for eni, slot in assigned if eni in slot.open),
    )


def death_of(action: AddressAction, deaths: Mapping[str, Event]) -> Event | None:
    """Return the termination that deleted the ENI by the time of an action, or soon after; else None."""
    death = deaths.get(action.eni)
    return death if death is not None and death.time <= action.time else None


def order(second: Second, releases: Mapping[EniSlot, Iterable[AddressAction]]) -> list[Gain]:
    """Return the assignments of a second in the order that is possible.

    ``releases`` are those that did not end an earlier lease: each ends an assignment of this second. What
    ends within the second comes before what is kept, and calls that take the address from another ENI come
    last.
    """
    gains: list[Gain] = []
    for (eni, slot), actions in second.assigned.items():
        ends = [
            Bound(second.time, Basis.OBSERVED, release.event) for release in releases.get((eni, slot), ())
        ]
        last = _end_of_eni(second, eni)
        pairs = zip_longest(actions, ends[: len(actions)], fillvalue=last)
        gains += (Gain(action, end) for action, end in pairs)  # type: ignore[arg-type]
    gains.sort(key=lambda gain: (gain.action.reassigns, gain.end is None, *precedence(gain.action)))
    return gains


def _end_of_eni(second: Second, eni: str) -> Bound | None:
    """Return the end of all that an ENI gets in a second in which it is deleted, or terminated; else None."""
    if eni in second.deleted:
        return Bound(second.time, Basis.OBSERVED, second.deleted[eni].event)
    if eni in second.terminated:
        return Bound(second.time, Basis.IMPLIED, second.terminated[eni])
    return None


def contests(second: Second, gains: Iterable[Gain]) -> Iterator[tuple[Slot, set[str]]]:
    """Yield each address with the ENIs of which any may have been the last to get it in a second.

    Calls with allowReassignment come last; among several of these, and among several others, no order is
    known. Nor is it known whether an ENI that got and released the address in the same second kept it.
    """
    gains = tuple(gains)
    takers: dict[tuple[Slot, bool], set[str]] = defaultdict(set)
    for action, end in gains:
        if action.reassigns or (end is None and action.eni_slot not in second.held_before):
            takers[action.slot, action.reassigns].add(action.eni)
    for (slot, reassigns), enis in takers.items():
        if len(enis) > 1 and (reassigns or (slot, True) not in takers):
            yield slot, enis
    released = [action.slot for action, end in gains if end is None and action.eni_slot in second.released]
    enis_by_slot: dict[int, set[str]] = defaultdict(set)
    for eni, slot in second.assigned if released else ():
        enis_by_slot[id(slot)].add(eni)
    for slot in {id(slot): slot for slot in released}.values():
        yield slot, enis_by_slot[id(slot)]


def precedence(action: AddressAction) -> tuple[bool, bool, str]:
    """Return the key that sorts the assignments of one second.

    A call that shows an address comes after a call that assigns it, and one that takes the address from
    another ENI comes after all that it can be taken from.
    """
    return action.reassigns, action.action is ActionKind.SHOW, action.event.key
