"""Who held an address at a second. A wrong holder is the one unforgivable answer."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import accumulate

from msgspec import Struct

from cnitrail.answers.coverage_text import clock, place_of, uncovered, unread
from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import actor_of, takes_interface
from cnitrail.model import (
    Address,
    Attachment,
    Basis,
    Bound,
    Coverage,
    Effect,
    Event,
    Ground,
    Held,
    History,
    Holder,
    Hole,
    Interface,
    Lease,
    SetAside,
    Subject,
    Verdict,
    WhoAnswer,
    held_of,
    is_prefix,
)
from cnitrail.model.callers import named
from cnitrail.timeclamp import FIRST, LAST

_SOON = timedelta(minutes=10)
"""How near another holding must be to be worth a sentence."""


class HolderIndex:
    """Answers questions over one history, each by binary search.

    ``verified`` says that digests were asked: reasons then tell what they prove.
    """

    def __init__(self, history: History, coverage: Coverage, *, verified: bool = False) -> None:
        self._history = history
        self._coverage = coverage
        self._verified = verified
        self._groups: dict[Held, list[_Group]] = {}
        self._disputed = [event for event in history.events if event.disputed]
        self._damaged = _Named(event for event in history.events if event.damaged)
        self._aside = [event for event in history.events if event.key in history.set_aside]

    def who(self, ip: Address, at: datetime, wanted: Filter) -> WhoAnswer:
        """Who held an address in the second of a time, by the evidence.

        ``wanted`` narrows the holders by VPC, account and Region.
        """
        second = at.astimezone(UTC).replace(microsecond=0)
        everywhere = [group for held in _holdings_of(ip) for group in self._groups_of(held)]
        groups = [group for group in everywhere if self._takes(wanted, group)]
        found = [lease for group in groups for lease in group.at(second)]
        contested = [lease for lease in found if self._is_contested(lease)]
        for rival in (each for lease in contested for group in groups for each in group.rivals_of(lease)):
            if rival not in found:
                found.append(rival)
        elsewhere = [lease for lease in found if not takes_interface(wanted, self._interface(lease))]
        if len(elsewhere) == len(found):
            found = []
        enis = {lease.eni for lease in found}
        reasons: list[str] = []
        if not found:
            verdict = Verdict.UNKNOWN
            reasons += map(self._outside, elsewhere)
            reasons += self._absence(groups, everywhere, second, wanted)
        elif any(_changes(lease, second) for lease in found):
            verdict = Verdict.AMBIGUOUS
            reasons += self._told(found)
            reasons.append(
                "the clock of CloudTrail has one-second steps, and the address changed in this one"
            )
        elif contested:
            verdict = Verdict.AMBIGUOUS
            reasons += self._told(found)
            reasons.append("calls of one second at its beginning are in an order that nothing tells")
        elif len(enis) > 1:
            verdict = Verdict.AMBIGUOUS
            reasons += self._told(found)
            reasons.append(self._rivalry(found))
        else:
            doubts = [doubt for lease in found for doubt in self._doubts(lease, second)]
            verdict = Verdict.LIKELY if doubts else Verdict.CERTAIN
            reasons += [*self._told(found), *self._next(groups, found), *doubts]
        grounds = [self._ground(lease, second) for lease in found]
        if self._verified:
            reasons += dict.fromkeys(map(_footing, grounds))
            if verdict is Verdict.CERTAIN and any(each.ground is not Ground.PROVEN for each in grounds):
                verdict = Verdict.LIKELY
        reasons += self._unread(ip, second)
        reasons += self._set_aside(ip, {lease.eni for lease in found})
        return WhoAnswer(
            ip=str(ip),
            at=second,
            verdict=verdict,
            holders=tuple(self._holder(lease, second) for lease in found),
            reasons=tuple(reasons),
            rests_on=max((each.ground for each in grounds), key=_WEAKNESS.index, default=None),
        )

    def _interface(self, lease: Lease) -> Interface:
        return self._history.interfaces[lease.eni]

    def _outside(self, lease: Lease) -> str:
        """Where the address was at the time, beside what was asked for: accounts may share a VPC."""
        interface = self._interface(lease)
        place = place_of(interface.account, interface.region)
        return f"by the evidence it was on {lease.eni} then, of {place}, which was not asked for"

    def _is_contested(self, lease: Lease) -> bool:
        """Whether another may have taken the address last; a release behind a hole does not tell who did."""
        if lease.start.time is None or lease.settled is None:
            return lease.contested
        return self._hole(lease, lease.start.time, lease.settled) is not None

    def _hole(self, lease: Lease, start: datetime, end: datetime) -> Hole | None:
        """A hole between two times in the evidence of a lease's account and Region."""
        interface = self._interface(lease)
        return self._coverage.hole_between(interface.account, interface.region, start, end)

    def _ground(self, lease: Lease, second: datetime) -> "_WholeGround":
        """What all of the time rests on in which it held the address, and was on the instance."""
        interface = self._interface(lease)
        attachment = interface.attachment_at(second)
        begins = [lease.start] + ([attachment.start] if attachment and attachment.instance else [])
        start = min(each.time or FIRST for each in begins)
        end = max(second, lease.end.time or second)
        ground = self._coverage.ground(*interface.place, start, end)
        if lease.eni in self._history.unproven and ground is Ground.PROVEN:
            ground = Ground.MERELY_READ
        return _WholeGround(ground, start, end)

    def _unread(self, ip: Address, second: datetime) -> Iterator[str]:
        """Records that name the address and could not be read: where else it may have been."""
        for lost in self._coverage.lost:
            named = {held for text in lost.addresses if (held := held_of(text)) is not None}
            before = lost.start is None or lost.start <= second
            if before and not named.isdisjoint(_holdings_of(ip)):
                on = f" on {', '.join(lost.enis)}" if lost.enis else ""
                yield f"{lost.what} names it{on}: it may have been there"

    def _set_aside(self, ip: Address, enis: set[str]) -> Iterator[str]:
        """What records say of the address, or of who held it, that do not count here."""
        held = set(_holdings_of(ip))
        for event in self._aside:
            named = {each for subject in event.subjects for each in _held_of(subject)}
            if not named.isdisjoint(held) or any(subject.eni in enis for subject in event.subjects):
                why = _ASIDE[self._history.set_aside[event.key]]
                yield f"{event.name} at {clock(event.time)} (event {event.event_id}) is set aside: {why}"

    def _groups_of(self, held: Held) -> "list[_Group]":
        """The holdings of an address, indexed when they are first asked for."""
        known = self._groups.get(held)
        if known is None:
            known = [_Group(leases) for leases in self._history.holders.get(held, ())]
            self._groups[held] = known
        return known

    def _takes(self, wanted: Filter, group: "_Group") -> bool:
        """Whether a group may hold what was asked for; its leases stay together, as they are rivals."""
        return any(takes_interface(wanted, self._history.interfaces[eni]) for eni in group.enis)

    def _holder(self, lease: Lease, second: datetime) -> Holder:
        interface = self._interface(lease)
        attachment = interface.attachment_at(second)
        instance, basis = self._history.instance_of(lease.eni, second)
        start_event = lease.start.event if lease.start.basis is Basis.OBSERVED else None
        return Holder(
            eni=lease.eni,
            eni_kind=interface.kind,
            instance=instance,
            instance_basis=basis,
            vpc=interface.vpc,
            subnet=interface.subnet,
            account=interface.account,
            region=interface.region,
            device_index=attachment.device_index if attachment else None,
            kind=lease.kind,
            prefix=lease.held if is_prefix(lease.held) else None,
            start=lease.start.time,
            start_basis=lease.start.basis,
            end=lease.end.shown,
            end_basis=lease.end.basis,
            assigned_by=actor_of(self._history, lease.start),
            assign_event=start_event.event_id if start_event else None,
        )

    def _doubts(self, lease: Lease, second: datetime) -> Iterator[str]:
        """Why an only holder is not beyond doubt at a second."""
        interface = self._interface(lease)
        if lease.start.basis is not Basis.OBSERVED:
            yield "since when it held the address is not in the evidence"
        if lease.end.basis is not Basis.OBSERVED and not self._lives(interface, second):
            if lease.end.basis is Basis.OPEN:
                yield "no end of it is in the evidence"
                yield from self._beyond(lease, second)
            else:
                yield "its end is only implied"
        if lease.doubt_from is not None and second >= lease.doubt_from:
            yield (
                f"another interface may have taken the address at {clock(lease.doubt_from)}, "
                "and the evidence does not tell whether the two are in one VPC"
            )
        if interface.disputed_owner:
            yield f"records of several accounts or Regions name {lease.eni}, and none shows who made it"
        if not self._coverage.is_known(*interface.place):
            yield _UNKNOWN_COVERAGE
        yield from self._disputes(lease, second)
        yield from self._damages(lease, second)
        yield from self._holes(lease, second)
        yield from self._attachment_doubts(lease, second)

    def _lives(self, interface: Interface, second: datetime) -> bool:
        """Whether a later event shows that an interface was still there.

        An address does not leave an interface that lives on without an event that names it. If the
        interface was on an instance, and no event took it off, the instance's own life shows it.
        """
        attachment = interface.attachment_at(second)
        return _later(interface.alive, second) or (attachment is not None and self._runs(attachment, second))

    def _runs(self, attachment: Attachment, second: datetime) -> bool:
        """Whether a later event shows that an instance was not terminated yet."""
        instance = self._history.instances.get(attachment.instance or "")
        return instance is not None and _later(instance.alive, second)

    def _damages(self, lease: Lease, second: datetime) -> Iterator[str]:
        """Records of damaged files that name what a lease is about: any of their text may be altered."""
        attachment = self._interface(lease).attachment_at(second)
        names = (lease.eni, attachment.instance if attachment else None, lease.held)
        event = self._damaged.of(names)
        if event is not None:
            yield f"{event.name} (event {event.event_id}) comes from a damaged file: it may be altered"

    def _disputes(self, lease: Lease, second: datetime) -> Iterator[str]:
        """Events of the time that a lease rests on, of which records disagree: any of them may be false."""
        interface = self._interface(lease)
        start, end = lease.start.time or FIRST, lease.end.time or second
        for event in self._disputed:
            is_here = event.account in (interface.account, None) and event.region in (interface.region, None)
            if is_here and any(start <= time <= end for time in event.disputed):
                yield (
                    f"records of {event.name} (event {event.event_id}) at {clock(event.time)} disagree, "
                    "and nothing tells which is true"
                )

    def _attachment_doubts(self, lease: Lease, second: datetime) -> Iterator[str]:
        """Why the instance that is named is not beyond doubt."""
        interface = self._interface(lease)
        attachment = interface.attachment_at(second)
        if attachment is None or attachment.instance is None:
            instance, basis = self._history.instance_of(lease.eni, second)
            if instance is not None and basis is not None:
                yield f"no event attaches the interface to {instance}: that is inferred from {_HOW[basis]}"
            return
        start, end, instance = attachment.start, attachment.end, attachment.instance
        if second in (start.time, end.time):
            yield f"the interface was attached or detached in that very second ({instance})"
        ended = end.event.effect if end.event is not None else None
        if start.basis is not Basis.OBSERVED and attachment.how == "attach":
            yield f"since when the interface was on {instance} is not in the evidence"
        if attachment.how not in ("attach", "launch"):
            how = _HOW[attachment.how]
            yield f"no event attaches the interface to {instance}: that is inferred from {how}"
        if end.basis is Basis.IMPLIED and ended is not Effect.TERMINATE and end.time is not None:
            yield f"the interface left {instance} at an unknown time before {clock(end.time)}"
        elif end.basis is not Basis.OBSERVED and not self._stays(attachment, second):
            if end.time is not None and self._ended_before(instance):
                yield f"{instance} ended at an unknown time before {clock(end.time)}"
            else:
                yield f"no later event shows that {instance} was still running, with the interface"
        if start.time is not None and end.basis is not Basis.OBSERVED:
            hole = self._hole(lease, start.time, second)
            if hole is not None:
                yield f"{unread(hole)}: the interface may have left {instance} there"

    def _ended_before(self, instance: str) -> bool:
        """Whether all that is known of an instance's end is that it was over when somebody ended it."""
        known = self._history.instances.get(instance)
        return known is not None and known.ended.basis is Basis.IMPLIED

    def _stays(self, attachment: Attachment, second: datetime) -> bool:
        """Whether a later event shows that the interface had not left with its instance unseen."""
        interface = self._history.interfaces[attachment.eni]
        went_with_it = attachment.dies_with_instance and _later(interface.alive, second)
        return went_with_it or self._runs(attachment, second)

    def _holes(self, lease: Lease, second: datetime) -> Iterator[str]:
        """A hole in the evidence between a time and the sign that the address was held.

        Held from its start on: what ended it could only be missing between the start and the time.
        A release proves as well that it was held just before: then nothing may be missing between
        the time and the release, nor may a call at that time or later have given it to the interface
        once more.
        """
        if lease.start.time is None:
            return
        before = self._hole(lease, lease.start.time, second)
        if before is None:
            return
        released = lease.end.time if lease.released else None
        if (
            released is not None
            and (lease.retaken is None or lease.retaken < second)
            and self._hole(lease, second, released) is None
        ):
            return
        interface = self._interface(lease)
        place = place_of(interface.account, interface.region)
        yield f"{unread(before, place)}: the address may have moved there"

    def _beyond(self, lease: Lease, second: datetime) -> Iterator[str]:
        interface = self._interface(lease)
        reaches = self._coverage.of(interface.account, interface.region)
        last = max((reach.last for reach in reaches), default=None)
        if last is not None and second > last:
            yield f"the evidence of {place_of(interface.account, interface.region)} ends at {clock(last)}"

    def _told(self, found: list[Lease]) -> list[str]:
        return [sentence for lease in found for sentence in self._story(lease)]

    def _story(self, lease: Lease) -> Iterator[str]:
        """How a lease began and ended, in plain words."""
        start, end = lease.start, lease.end
        on = f"on {lease.eni}"
        if is_prefix(lease.held):
            on = f"in {lease.held} {on}"
        if start.basis is Basis.OBSERVED:
            yield f"assigned {on} at {self._deed(start)}"
        elif start.event is not None:
            yield f"held {on} before {clock(start.event.time)}, when {self._call(start)} let it go"
        else:
            yield f"shown {on}, with no event that assigned it"
        if end.basis is Basis.OBSERVED:
            yield f"{'released' if lease.released else 'gone with its interface'} at {self._deed(end)}"
        elif end.basis is Basis.IMPLIED and end.event is not None:
            yield f"must have ended by {clock(end.event.time)}: {self._implication(end)}"

    def _implication(self, end: Bound) -> str:
        assert end.event is not None
        who = named(self._history.actors[end.event.key])
        if end.event.effect is Effect.TERMINATE:
            return f"the instance was terminated by {who}"
        elsewhere = ", ".join(sorted({subject.eni for subject in end.event.subjects if subject.eni}))
        return f"{end.event.name} by {who} shows the address on {elsewhere}"

    def _deed(self, bound: Bound) -> str:
        assert bound.time is not None
        return f"{clock(bound.time)} by {self._call(bound)}"

    def _call(self, bound: Bound) -> str:
        assert bound.event is not None
        event = bound.event
        corrected = f", which corrects event {event.key}" if event.corrects else ""
        return f"{named(self._history.actors[event.key])} ({event.name}, event {event.event_id}{corrected})"

    def _next(self, groups: "list[_Group]", found: list[Lease]) -> Iterator[str]:
        """Where the address turned up soon after it was let go."""
        end = found[0].end.time
        if end is None:
            return
        for group in groups:
            follower = group.after(end)
            if follower is not None and follower.start.time is not None and follower not in found:
                if follower.start.event is found[0].end.event:
                    continue  # it took the address away: that is told already
                gap = follower.start.time - end
                if gap <= _SOON:
                    seconds = int(gap.total_seconds())
                    yield f"seen again {seconds} s later on {follower.eni}"

    def _rivalry(self, found: list[Lease]) -> str:
        vpcs = {self._history.interfaces[lease.eni].vpc for lease in found}
        if None in vpcs:
            return "the VPC of one is not in the evidence, so that both may be right"
        if len(vpcs) > 1:
            return f"{len(vpcs)} VPCs use the address: name one (--vpc)"
        return "both held it in this time, and the evidence does not tell when it changed"

    def _absence(
        self, groups: "list[_Group]", everywhere: "list[_Group]", second: datetime, wanted: Filter
    ) -> Iterator[str]:
        """What is known around a time at which nobody is known to have held the address."""
        if not everywhere:
            yield "no event in the evidence shows this address on an interface"
        elif not groups:
            enis = sorted({eni for group in everywhere for eni in group.enis})
            yield f"no event shows this address where it was asked for; elsewhere it was on {', '.join(enis)}"
        for group in groups:
            last = group.before(second)
            if last is not None:
                yield from self._story(last)
            follower = group.after(second)
            if follower is not None and follower.start.time is not None:
                yield f"next assigned on {follower.eni} at {self._deed(follower.start)}"
        yield from uncovered(self._coverage, second, wanted)


class _Named:
    """Events by what they name."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events: dict[object, Event] = {}
        for event in events:
            for subject in event.subjects:
                for name in (subject.eni, subject.instance, *_held_of(subject)):
                    self._events.setdefault(name, event)

    def of(self, names: Iterable[object]) -> Event | None:
        """The first event that names one of some things."""
        return next((self._events[name] for name in names if name is not None and name in self._events), None)


class _Group:
    """The leases of one address in one VPC, one after the other."""

    def __init__(self, leases: tuple[Lease, ...]) -> None:
        self.enis = {lease.eni for lease in leases}
        self._leases = leases
        self._begins = [lease.reach() or FIRST for lease in leases]
        self._latest_ends = list(accumulate((lease.end.time or LAST for lease in leases), max))

    def at(self, second: datetime) -> list[Lease]:
        """The leases that may cover a second, both ends included."""
        found = []
        place = bisect_right(self._begins, second)
        while place > 0 and self._latest_ends[place - 1] >= second:
            place -= 1
            lease = self._leases[place]
            if lease.end.time is None or lease.end.time >= second:
                found.append(lease)
        return found[::-1]

    def rivals_of(self, lease: Lease) -> Iterator[Lease]:
        """Leases that may have been the last of a contested second, in place of one that was found."""
        for rival in self._leases:
            if rival.eni in lease.rivals and rival.end.time == lease.start.time:
                yield rival

    def before(self, second: datetime) -> Lease | None:
        """The last lease that was over before a second."""
        place = bisect_left(self._begins, second)
        return self._leases[place - 1] if place else None

    def after(self, second: datetime) -> Lease | None:
        """The first lease that begins at a second or later."""
        place = bisect_left(self._begins, second)
        return self._leases[place] if place < len(self._leases) else None


class _WholeGround(Struct, frozen=True):
    """What all of a time rests on."""

    ground: Ground
    start: datetime
    end: datetime


_WEAKNESS = (Ground.PROVEN, Ground.MERELY_READ, Ground.MISSING)


def _footing(known: _WholeGround) -> str:
    """What digests prove of the time that a holder was found for."""
    if known.start == FIRST:
        return "not proven by digests: its beginning is not in the evidence"
    span = f"from {clock(known.start)} to {clock(known.end)}"
    return {
        Ground.PROVEN: f"proven by CloudTrail's digests: nothing is missing or changed {span}",
        Ground.MERELY_READ: f"merely read: digests do not prove all {span}",
        Ground.MISSING: f"not proven by digests: not all {span} was read",
    }[known.ground]


_UNKNOWN_COVERAGE = (
    "coverage unknown: nothing shows which other events of that time were logged; "
    "--assume-complete states that the evidence has them all"
)

_HOW = {
    "description": "the description that the VPC CNI gave it",
    "tag": "the tag that the VPC CNI gave it",
    "session": "the instance's own calls on it",
}

_ASIDE = {
    SetAside.FOREIGN: "the interface or instance belongs to another account or Region",
    SetAside.UNPROVEN: "no digest vouches for it, and it never changes what proven records say",
}


def _later(alive: datetime | None, second: datetime) -> bool:
    return alive is not None and alive > second


def _held_of(subject: Subject) -> Iterator[Held]:
    """The addresses and prefixes that a call moved, or asked for."""
    yield from (holding.held for holding in subject.added)
    yield from subject.removed
    yield from (held for text in subject.requested_addresses if (held := held_of(text)) is not None)


def _holdings_of(ip: Address) -> tuple[Held, Held]:
    """An address, and the prefix that it would be held through."""
    length = 28 if ip.version == 4 else 80
    return ip, ip_network((ip, length), strict=False)


def _changes(lease: Lease, second: datetime) -> bool:
    """Whether the address was taken, or let go, in that very second.

    A termination does not count: the interface goes some seconds after it.
    """
    taken = lease.start.time == second
    terminated = lease.end.event is not None and lease.end.event.effect is Effect.TERMINATE
    return taken or (lease.end.time == second and not terminated)
