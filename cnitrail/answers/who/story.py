"""How an address came to an interface and left it, in sentences."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from cnitrail.answers.coverage_text import uncovered
from cnitrail.answers.filters import Filter
from cnitrail.answers.who.indexes import IndexedEvidence, LeaseGroup
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.model import Basis, Bound, Coverage, Effect, History, Lease, is_prefix
from cnitrail.model.callers import named
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock, duration
from cnitrail.timeclamp import FIRST

_SOON = timedelta(minutes=10)
"""How soon after a lease the next holder of its address is worth a sentence."""
_REMEMBERED: Final = 100_000
"""Leases whose sentences (some 500 bytes each) are remembered."""


class Stories:
    """How leases began and ended, in sentences that are the same for each second: they are made once."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._bounds: dict[int, tuple[Reason, tuple[Reason, ...]]] = BoundedMemory(_REMEMBERED)
        self._next: dict[int, Reason] = BoundedMemory(_REMEMBERED)

    def of(self, lease: Lease, second: datetime) -> Iterator[Reason]:
        """Yield how a lease began, how its ENI left its instance by a second, and how the lease ended."""
        beginning, ending = self._bounds.get(id(lease)) or self._bounds_of(lease)
        yield beginning
        yield from _departure(self._history, lease, second)
        yield from ending

    def following(self, lease: Lease) -> Reason:
        """Return how a lease with a known start began, as what came next."""
        known = self._next.get(id(lease))
        if known is None:
            text = f"next assigned on {lease.eni} at {_when_and_by_whom(self._history, lease.start)}"
            known = Reason.citing(ReasonCode.NEXT_HOLDER, text, lease.start.event)
            self._next[id(lease)] = known
        return known

    def _bounds_of(self, lease: Lease) -> tuple[Reason, tuple[Reason, ...]]:
        ending = _ending(self._history, lease)
        known = self._bounds[id(lease)] = _beginning(self._history, lease), tuple(ending)
        return known


def next_holders(groups: Iterable[LeaseGroup], holders: tuple[Lease, ...]) -> Iterator[Reason]:
    """Yield the interfaces that held the address soon after the end of the first of its holders."""
    end = holders[0].end.time
    if end is None:
        return
    for group in groups:
        following = group.after(end)
        if following is None or following.start.time is None or following in holders:
            continue
        taken = following.start.event is holders[0].end.event
        pause = following.start.time - end
        if not taken and pause <= _SOON:
            text = f"seen on {following.eni} {duration(pause)} later"
            yield Reason.citing(ReasonCode.NEXT_HOLDER, text, following.start.event)


def outside_filter(evidence: IndexedEvidence, lease: Lease) -> Reason:
    """Return where the address was, on an interface that the filter leaves out: accounts may share a VPC."""
    place = account_and_region(*evidence.interface(lease).place)
    text = f"the address was on {lease.eni} of {place} then, which the filter leaves out"
    return Reason.citing(ReasonCode.OUTSIDE_FILTER, text, lease.start.event)


def absence(
    stories: Stories, coverage: Coverage, groups: list[LeaseGroup], second: datetime, wanted: Filter
) -> Iterator[Reason]:
    """Yield the last holder before a second and the next one after it, and what the evidence lacks."""
    for group in groups:
        last = group.before(second)
        if last is not None:
            yield from stories.of(last, second)
        following = group.after(second)
        if following is not None and following.start.time is not None:
            yield stories.following(following)
    yield from uncovered(coverage, second, wanted)


def never_seen(everywhere: list[LeaseGroup], groups: list[LeaseGroup]) -> Iterator[Reason]:
    """Yield that no event shows the address, at all or on an interface that the filter keeps."""
    if not everywhere:
        yield Reason(ReasonCode.NEVER_SEEN, "no event in the evidence shows this address on an ENI")
    elif not groups:
        enis = sorted({eni for group in everywhere for eni in group.enis})
        text = f"the filter leaves out every ENI that held this address: {', '.join(enis)}"
        yield Reason(ReasonCode.OUTSIDE_FILTER, text)


def _beginning(history: History, lease: Lease) -> Reason:
    start = lease.start
    on = f"in {lease.held} on {lease.eni}" if is_prefix(lease.held) else f"on {lease.eni}"
    if start.basis is Basis.OBSERVED:
        text = f"assigned {on} at {_when_and_by_whom(history, start)}"
        return Reason.citing(ReasonCode.ASSIGNED, text, start.event)
    if start.event is not None:
        text = f"held {on} until {_call(history, start)} released it at {clock(start.event.time)}"
        return Reason.citing(ReasonCode.HELD_UNTIL, text, start.event)
    return Reason(ReasonCode.NO_ASSIGNMENT_SEEN, f"seen {on}, with no event that assigned it")


def _departure(history: History, lease: Lease, second: datetime) -> Iterator[Reason]:
    """Yield the call that took the ENI off its instance during a lease, if none attached it again by then."""
    last_second = min(second, lease.end.time or second)
    gone = history.departure(lease.eni, last_second)
    event = gone.end.event if gone is not None else None
    if gone is None or event is None or gone.end.time is None:
        return
    if not gone.was_attached:
        ended = f"terminated no later than {_when_and_by_whom(history, gone.end)}"
        text = f"the VPC CNI created its ENI for {gone.instance}, {ended}"
        yield Reason.citing(ReasonCode.INSTANCE_TERMINATED, text, event)
        return
    if (lease.start.time or FIRST) > gone.end.time:
        return
    at, left = clock(gone.end.time), f"left {gone.instance or 'its instance'}"
    if event.effect is Effect.TERMINATE:
        text = f"its ENI {left} no later than {at}, terminated by {_call(history, gone.end)}"
    else:
        forced = any(subject.details.force for subject in event.subjects)
        with_trunk = " with its trunk" if gone.with_trunk else ""
        by = _call(history, gone.end, note="forced, " if forced else "")
        text = f"its ENI {left}{with_trunk} at {at}, detached by {by}"
    yield Reason.citing(ReasonCode.ENI_DETACHED, text, event)


def _ending(history: History, lease: Lease) -> Iterator[Reason]:
    end, event = lease.end, lease.end.event
    if end.basis is Basis.OBSERVED:
        code = ReasonCode.RELEASED if lease.released else ReasonCode.ENI_DELETED
        what = "released" if lease.released else "ENI deleted"
        yield Reason.citing(code, f"{what} at {_when_and_by_whom(history, end)}", event)
    elif end.basis is Basis.IMPLIED and event is not None:
        who, ended = named(history.actors[event.key]), f"ended no later than {clock(event.time)}"
        if event.effect is Effect.TERMINATE:
            text = f"{ended}: {who} terminated the instance"
            yield Reason.citing(ReasonCode.INSTANCE_TERMINATED, text, event)
        else:
            naming = [subject for subject in event.subjects if lease.held in subject.addresses()]
            enis = ", ".join(sorted({subject.eni for subject in naming or event.subjects if subject.eni}))
            text = f"{ended}: {event.name} by {who} shows the address on {enis}"
            yield Reason.citing(ReasonCode.SEEN_ELSEWHERE, text, event)


def _when_and_by_whom(history: History, bound: Bound) -> str:
    assert bound.time is not None
    return f"{clock(bound.time)} by {_call(history, bound)}"


def _call(history: History, bound: Bound, note: str = "") -> str:
    event = bound.event
    assert event is not None
    corrected = f", which corrects event {event.key}" if event.corrects else ""
    return f"{named(history.actors[event.key])} ({note}{event.name}, event {event.event_id}{corrected})"
