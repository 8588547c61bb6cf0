"""The seconds at which an answer to ``who`` about one address may begin to be another one.

Between two of them verdict, holders and the codes of the reasons stay the same; with those of doubtful
records, the whole answer but the times in it. There may be more of them than needed, never fewer:
``tests/test_flow_answers.py`` asks every second.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from cnitrail.answers.over_time import second_of
from cnitrail.answers.who.indexes import IndexedEvidence, LeaseGroup, with_rivals
from cnitrail.model import (
    USUAL_LAG,
    AccountRegion,
    Attachment,
    Effect,
    Held,
    Interface,
    Lease,
    Tagged,
    block_of,
    held_of,
)
from cnitrail.model.ec2 import SHUTDOWN
from cnitrail.model.event import ASSIGNING_EFFECTS
from cnitrail.timeclamp import FIRST, shifted

_LATE: Final = timedelta(minutes=10)
"""As in ``released``: how long before the end of the evidence the last log file may be missing."""


class ChangePoints:
    """Finds the change points of addresses in one history."""

    def __init__(self, evidence: IndexedEvidence, *, verified: bool) -> None:
        self._evidence = evidence
        self._verified = verified
        self._shared: dict[frozenset[AccountRegion], list[int]] = {}
        self._interfaces: dict[str, list[int]] = {}
        self._firsts = _FirstTimes(evidence)
        self._named = _times_of_doubtful_records(evidence)
        self.blocks = frozenset(
            (
                *map(block_of, evidence.history.holders),
                *map(block_of, self._named),
                *evidence.without_eni.blocks,
            )
        )
        """The blocks of all addresses that have change points of their own."""

    def of(self, forms: Sequence[Held], groups: Iterable[LeaseGroup]) -> tuple[list[int], list[int]]:
        """Return the change points of an address, and those of the evidence of its accounts and Regions.

        ``groups`` are its leases in all VPCs.
        """
        groups = list(groups)
        seconds = _seconds(self._of_records(forms, groups))
        for group in groups:
            for lease in group.leases:
                seconds |= _seconds(_of_lease(lease))
        points = set(_around(seconds)).union(*(self._of_eni(eni) for group in groups for eni in group.enis))
        return sorted(points), self._of_places(groups)

    def of_holders(self, forms: Sequence[Held], groups: Sequence[LeaseGroup]) -> list[int]:
        """Return when an address with some leases may get another holder, or a record names it."""
        times: set[datetime | None] = set(self._of_records(forms, ()))
        for group in groups:
            for lease in group.leases:
                times.update((lease.possible_start(), lease.end.time))
                for eni in lease.certainty.rivals:
                    times.add(self._evidence.history.interfaces[eni].deleted.time)
        return _around(_seconds(times))

    def near(self, groups: Sequence[LeaseGroup], second: datetime) -> list[Sequence[int]]:
        """Return when what is said of the leases that matter in a second, and of their ENIs, may change.

        They hold as long as nothing changes that ``of_holders`` names.
        """
        found = [lease for group in groups for lease in group.at(second)]
        found = with_rivals(self._evidence.history, groups, found, found, second)
        for group in groups:
            last = group.before(second)
            if last is not None:
                found += (last, *group.ended_last(second))
        leases = {id(lease): lease for lease in found}.values()
        times = {time for lease in leases for time in _of_lease(lease)}
        return [_around(_seconds(times)), *map(self._of_eni, {lease.eni for lease in leases})]

    def of_evidence(self, groups: Sequence[LeaseGroup]) -> tuple[list[int], list[int]]:
        """Return when the evidence of the accounts and Regions of some leases, and of all, may change.

        That of all has the records, too, each of which may add a reason to those of an answer.
        """
        return self._of_places(groups), self._of_doubtful_records

    @cached_property
    def _of_doubtful_records(self) -> list[int]:
        evidence = self._evidence
        doubtful = (*evidence.imperfect, *(event for event, _ in evidence.unnamed))
        times = (time for event in evidence.disputed for time in event.disputed)
        return _around(_seconds((*times, *(event.time for event in doubtful))))

    def name(self, forms: Sequence[Held]) -> bool:
        """Return whether a record without an ENI, or one that is not used, names an address."""
        return any(True for _ in self._of_records(forms, ()))

    def of_interface(self, interface: Interface) -> list[int]:
        """Return when the instance of an interface may change."""
        return self._of_eni(interface.eni)

    def _of_eni(self, eni: str) -> list[int]:
        known = self._interfaces.get(eni)
        if known is None:
            times = _of_interface(self._evidence, self._evidence.history.interfaces[eni])
            known = self._interfaces[eni] = _around(_seconds(times))
        return known

    def _of_records(self, forms: Sequence[Held], groups: Sequence[LeaseGroup]) -> Iterator[datetime | None]:
        for held in forms:
            yield from self._evidence.without_eni.times(held)
            yield from self._named.get(held, ())
        if groups:
            for begin in {FIRST, *filter(None, self._beginnings(groups))}:
                yield from self._firsts.after(begin)

    def _beginnings(self, groups: Iterable[LeaseGroup]) -> Iterator[datetime | None]:
        """Yield the times since which a missing or doubtful record may matter."""
        for group in groups:
            for lease in group.leases:
                yield from (lease.start.time, lease.end.time, lease.last_seen)
            for eni in group.enis:
                yield self._evidence.history.interfaces[eni].created.time

    def _of_places(self, groups: Iterable[LeaseGroup]) -> list[int]:
        places = frozenset(place for group in groups for place in self._places(group))
        known = self._shared.get(places)
        if known is None:
            known = self._shared[places] = _around(_seconds(self._of_coverage(places)))
        return known

    def _places(self, group: LeaseGroup) -> Iterator[AccountRegion]:
        by_vpc = self._evidence.places
        for eni in group.enis:
            yield self._evidence.history.interfaces[eni].place
        for vpc in (None, *group.vpcs):
            yield from by_vpc.get(vpc, ())

    def _of_coverage(self, places: Iterable[AccountRegion]) -> Iterator[datetime | None]:
        """Yield when evidence begins, ends and lacks something.

        That no ENI had an address is said with what any account and Region lacks; what its own ones lack also
        counts before and after.
        """
        coverage = self._evidence.coverage
        for lost in coverage.lost:
            yield from (lost.start, lost.end)
        for reach in coverage.reaches:
            yield from (reach.first, reach.last)
            for hole in reach.holes:
                yield from (hole.start, hole.end)
        for reach in {reach for place in places for reach in coverage.of(*place)}:
            yield shifted(reach.last, -_LATE)
            for interval in reach.proven if self._verified else ():
                yield from (interval.start, interval.end)


def _of_lease(lease: Lease) -> Iterator[datetime | None]:
    certainty = lease.certainty
    yield from (lease.start.time, lease.possible_start(), lease.end.time, certainty.earliest_start)
    yield from (lease.last_seen, certainty.assigned_again, certainty.takeover_from, certainty.settled_at)


def _of_interface(evidence: IndexedEvidence, interface: Interface) -> Iterator[datetime | None]:
    yield from (interface.created.time, interface.deleted.time, interface.marked, interface.alive)
    yield from _of_tags(interface.tagged)
    instances = {interface.mark.instance if interface.mark else None}
    for attachment in interface.attachments:
        yield from _of_attachment(attachment)
        instances.add(attachment.instance)
    for name in instances:
        instance = evidence.history.instances.get(name or "")
        if instance is not None:
            yield from (instance.alive, instance.launched.time, instance.ended.time)
            yield from _of_tags(instance.tagged)


def _of_attachment(attachment: Attachment) -> Iterator[datetime | None]:
    end = attachment.end
    yield from (attachment.start.time, end.time)
    if end.event is not None and end.event.effect is Effect.TERMINATE:
        yield shifted(end.event.time, SHUTDOWN)


def _of_tags(tagged: Iterable[Tagged]) -> Iterator[datetime | None]:
    return (tag.since for tag in tagged)


def _seconds(times: Iterable[datetime | None]) -> set[int]:
    return {second_of(time) for time in times if time is not None}


def _around(seconds: set[int]) -> list[int]:
    """Return some seconds, and those after them: a bound belongs to both sides."""
    return sorted(seconds | {second + 1 for second in seconds})


def _times_of_doubtful_records(evidence: IndexedEvidence) -> dict[Held, list[datetime]]:
    """Return the times of records that are not used, or could not be read, by the addresses they name."""
    times: dict[Held, list[datetime]] = defaultdict(list)
    for event in evidence.unused:
        for subject in event.subjects:
            for held in subject.addresses():
                times[held].append(event.time)
    for lost in evidence.coverage.lost:
        for text in lost.addresses:
            named = held_of(text)
            if named is not None:
                times[named].append(lost.start if lost.start is not None else FIRST)
    return times


class _FirstTimes:
    """The times of records of each sort of which only the first one after a time matters."""

    def __init__(self, evidence: IndexedEvidence) -> None:
        times: dict[tuple[object, ...], set[tuple[datetime, datetime]]] = defaultdict(set)
        for event in evidence.disputed:
            times["disputed", event.account, event.region].update((time, time) for time in event.disputed)
        for event in evidence.imperfect:
            is_assigning = event.failure is None and event.effect in ASSIGNING_EFFECTS
            if event.damaged or is_assigning:
                times["imperfect", event.damaged, event.account, event.region].add((event.time, event.time))
        for event, vpc in evidence.unnamed:
            made_later = any(subject.details.resource is not None for subject in event.subjects)
            latest = shifted(event.time, USUAL_LAG) if made_later else event.time
            times["unnamed", made_later, vpc, event.region].add((latest, event.time))
        self._times = [sorted(known) for known in times.values()]

    def after(self, begin: datetime) -> Iterator[datetime]:
        """Yield the first time of each sort that matters since another one."""
        for times in self._times:
            place = bisect_left(times, (begin, FIRST))
            if place < len(times):
                yield times[place][1]
