"""What ``who`` looks up: the leases of an address by time, events by what they name, and what was read."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import accumulate

from msgspec import Struct

from cnitrail.model import (
    AccountRegion,
    Address,
    Attachment,
    Coverage,
    Event,
    Fidelity,
    Held,
    History,
    Hole,
    Instance,
    Interface,
    Lease,
    Subject,
    block_of,
    is_prefix,
)
from cnitrail.model.ec2 import prefix_of
from cnitrail.timeclamp import FIRST, LAST


class EventsByName:
    """Events by the interfaces, instances and addresses that they name."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events: dict[object, Event] = {}
        for event in events:
            for subject in event.subjects:
                for name in (subject.eni, subject.instance, *subject.addresses()):
                    self._events.setdefault(name, event)

    def first_of(self, names: Iterable[object]) -> Event | None:
        """Return the first event that names one of the names."""
        if not self._events:
            return None
        return next((self._events[name] for name in names if name is not None and name in self._events), None)


class AddressesWithoutEni:
    """Calls that show addresses and do not name their ENI, by address block, in time order."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._calls: dict[tuple[int, int], list[tuple[Held, Event, Subject]]] = defaultdict(list)
        for event in events:
            for subject in event.subjects:
                for holding in subject.added if subject.eni is None else ():
                    self._calls[block_of(holding.held)].append((holding.held, event, subject))

    @property
    def blocks(self) -> Iterable[tuple[int, int]]:
        """The blocks of all addresses that calls show."""
        return self._calls.keys()

    def latest(
        self, held: Held, until: datetime, takes: Callable[[Event, Subject], bool]
    ) -> tuple[Event, Subject] | None:
        """Return the last call until a time that shows an address, its prefix or a part of it."""
        for shown, event, subject in reversed(self._of_block(held)):
            if event.time <= until and _covers(shown, held) and takes(event, subject):
                return event, subject
        return None

    def times(self, held: Held) -> Iterator[datetime]:
        """Yield the times of all calls that show an address, its prefix or a part of it."""
        for shown, event, _ in self._of_block(held):
            if _covers(shown, held):
                yield event.time

    def _of_block(self, held: Held) -> Sequence[tuple[Held, Event, Subject]]:
        """Return the calls that show any address of a block."""
        return self._calls.get(block_of(held), ()) if self._calls else ()


def _covers(one: Held, other: Held) -> bool:
    """Return whether two are the same, or one is a prefix that the other is in."""
    return one == other or (block_of(one) == block_of(other) and (is_prefix(one) or is_prefix(other)))


class IndexedEvidence(Struct, frozen=True, kw_only=True):
    """A history with the coverage of its evidence, and the events of it that cannot be fully trusted."""

    history: History
    coverage: Coverage
    disputed: tuple[Event, ...]
    """Events of which records disagree."""
    damaged: EventsByName
    """Events from damaged files."""
    partial: EventsByName
    """Events known only from a form that does not keep all fields."""
    imperfect: tuple[Event, ...]
    """Events from damaged files, or known only from such a form."""
    unused: tuple[Event, ...]
    """Events that the history leaves out; ``history.set_aside`` says why."""
    without_eni: "AddressesWithoutEni"
    """Events that show addresses and do not name their ENI."""
    unnamed: tuple[tuple[Event, str | None], ...]
    """Calls that gave addresses which their records do not name, and the VPC (None: not known)."""
    places: Mapping[str | None, frozenset[AccountRegion]]
    """The accounts and Regions that use each VPC; under None, those with ENIs of unknown VPC."""

    @classmethod
    def of(cls, history: History, coverage: Coverage) -> "IndexedEvidence":
        """Index a history."""
        return cls(
            history=history,
            coverage=coverage,
            disputed=tuple(event for event in history.events if event.disputed),
            damaged=EventsByName(event for event in history.events if event.damaged),
            without_eni=AddressesWithoutEni(
                event
                for event in history.events
                if event.failure is None and event.key not in history.set_aside
            ),
            partial=EventsByName(event for event in history.events if event.fidelity is Fidelity.PARTIAL),
            imperfect=tuple(
                event for event in history.events if event.damaged or event.fidelity is Fidelity.PARTIAL
            ),
            unused=tuple(event for event in history.events if event.key in history.set_aside),
            unnamed=tuple(_unnamed(history)),
            places=_places_by_vpc(history),
        )

    def interface(self, lease: Lease) -> Interface:
        """Return the interface of a lease."""
        return self.history.interfaces[lease.eni]

    def instance(self, attachment: Attachment) -> Instance | None:
        """Return the instance of an attachment, if it is known."""
        return self.history.instances.get(attachment.instance or "")

    def hole(self, lease: Lease, start: datetime, end: datetime) -> Hole | None:
        """Return a hole between two times in the evidence of a lease's account and Region."""
        return self.coverage.hole_between(*self.interface(lease).place, start, end)


def _places_by_vpc(history: History) -> dict[str | None, frozenset[AccountRegion]]:
    """Return the accounts and Regions with ENIs in a VPC, or with calls that name it."""
    places: dict[str | None, set[AccountRegion]] = defaultdict(set)
    for interface in history.interfaces.values():
        places[interface.vpc].add(interface.place)
    for event in history.events:
        for subject in event.subjects:
            if subject.vpc is not None:
                places[subject.vpc].add(event.place)
    return {vpc: frozenset(names) for vpc, names in places.items()}


class _VpcNames:
    """The VPCs of ENIs and subnets."""

    def __init__(self, history: History) -> None:
        self._interfaces = history.interfaces
        pairs = [(interface.subnet, interface.vpc) for interface in history.interfaces.values()]
        pairs += [(subnet.subnet, subnet.vpc) for subnet in history.subnets.values()]
        self._subnets = {subnet: vpc for subnet, vpc in pairs if subnet is not None and vpc is not None}

    def of(self, subject: Subject) -> str | None:
        """Return the VPC that a call is about; None if it is not known."""
        if subject.vpc is not None:
            return subject.vpc
        interface = self._interfaces.get(subject.eni or "")
        known = interface.vpc if interface is not None else None
        return known or (self._subnets.get(subject.subnet) if subject.subnet else None)


def _unnamed(history: History) -> Iterator[tuple[Event, str | None]]:
    """Yield the calls that gave addresses which their records do not name, with the VPC."""
    vpcs = _VpcNames(history)
    described = {
        attachment.instance
        for interface in history.interfaces.values()
        for attachment in interface.attachments
    }
    for event in history.events:
        for subject in event.subjects if event.failure is None else ():
            if event.leaves_out_addresses(subject) and (subject.instance or "") not in described:
                yield event, vpcs.of(subject)


class HolderAt(Struct, frozen=True, kw_only=True):
    """A lease that covers a second, its interface and attachment then, and the evidence of it all."""

    evidence: IndexedEvidence
    lease: Lease
    second: datetime
    interface: Interface
    attachment: Attachment | None

    @classmethod
    def of(cls, evidence: IndexedEvidence, lease: Lease, second: datetime) -> "HolderAt":
        """Return a holder with its interface and attachment at a second."""
        interface = evidence.interface(lease)
        return cls(
            evidence=evidence,
            lease=lease,
            second=second,
            interface=interface,
            attachment=interface.attachment_at(second),
        )


class LeaseGroup:
    """The leases of one address in one VPC, one after the other.

    ``vpcs`` is that VPC, or the ENI if its VPC is not known.
    """

    def __init__(self, leases: tuple[Lease, ...]) -> None:
        self.enis = {lease.eni for lease in leases}
        self.vpcs = {lease.vpc or lease.eni for lease in leases}
        self.has_unknown_vpc = any(lease.vpc is None for lease in leases)
        self.leases = leases
        self._begins = [lease.possible_start() or FIRST for lease in leases]
        self._latest_ends = list(accumulate([lease.end.time or LAST for lease in leases], max))

    def at(self, second: datetime) -> list[Lease]:
        """Return the leases that may cover a second, both ends included."""
        found = []
        place = bisect_right(self._begins, second)
        while place > 0 and self._latest_ends[place - 1] >= second:
            place -= 1
            lease = self.leases[place]
            if lease.end.time is None or lease.end.time >= second:
                found.append(lease)
        return found[::-1]

    def rivals_of(self, lease: Lease) -> Iterator[Lease]:
        """Yield the leases that may hold the address in place of one whose first second is contested.

        Of each ENI it is the last one: the address may have left it, and come back, in that second.
        """
        rivals, latest = lease.certainty.rivals, dict[str, Lease]()
        for place in self._places_by_end.get(lease.start.time or LAST, ()) if rivals else ():
            rival = self.leases[place]
            is_other = rival.eni in rivals and rival.eni != lease.eni
            if is_other and rival.end.time == lease.start.time:
                latest[rival.eni] = rival
        yield from latest.values()

    def ended_last(self, second: datetime) -> list[Lease]:
        """Return the leases that ended last, of those that begin before a second: several if they tie.

        None of the leases may cover the second.
        """
        place = bisect_left(self._begins, second)
        if not place:
            return []
        end = self._latest_ends[place - 1]
        if place == 1 or self._latest_ends[place - 2] < end:
            return [self.leases[place - 1]]
        return [self.leases[other] for other in self._places_by_end[end] if other < place]

    @cached_property
    def _places_by_end(self) -> Mapping[datetime, list[int]]:
        places: dict[datetime, list[int]] = defaultdict(list)
        for place, lease in enumerate(self.leases):
            places[lease.end.time or LAST].append(place)
        return places

    def before(self, second: datetime) -> Lease | None:
        """Return the last lease that begins before a second."""
        place = bisect_left(self._begins, second)
        return self.leases[place - 1] if place else None

    def after(self, second: datetime) -> Lease | None:
        """Return the first lease that begins at a second or later."""
        place = bisect_left(self._begins, second)
        return self.leases[place] if place < len(self.leases) else None


def with_rivals(
    history: History,
    groups: Sequence[LeaseGroup],
    found: Sequence[Lease],
    contested: Iterable[Lease],
    time: datetime,
) -> list[Lease]:
    """Return the leases found at a time, and those that may hold the address in place of contested ones.

    Nothing is left of those whose ENI was deleted before.
    """
    contested = [lease for lease in contested if lease.certainty.rivals]
    if not contested:
        return list(found)
    leases = {id(lease): lease for lease in found}
    enis: dict[tuple[datetime | None, frozenset[str]], set[str]] = defaultdict(set)
    for lease in contested:
        # Leases that share their rivals have all of them after two: each leaves out its own ENI only.
        done = enis[lease.start.time, lease.certainty.rivals]
        if len(done) < 2:
            done.add(lease.eni)
            rivals = (rival for group in groups for rival in group.rivals_of(lease))
            leases.update({id(rival): rival for rival in rivals if _exists(history, rival.eni, time)})
    return list(leases.values())


def _exists(history: History, eni: str, time: datetime) -> bool:
    """Return whether an ENI was not deleted before a time."""
    deleted = history.interfaces[eni].deleted.time
    return deleted is None or deleted >= time


def address_and_prefix(ip: Address) -> tuple[Address, Held]:
    """Return an address, and the prefix that it would be held through."""
    return ip, prefix_of(ip)
