"""Whether a released address is free: nobody has had it since, and the logs would show it.

That is a statement about everybody: any event that is missing since the release may have assigned the
address.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.coverage_text import after_evidence, gap_reason, unchecked_tables
from cnitrail.answers.filters import Filter
from cnitrail.answers.who.doubts import coverage_unknown, damaged_file, owner_disputed, partial_copy
from cnitrail.answers.who.grounds import WEAKER_LAST, LeaseGround, no_eni_named
from cnitrail.answers.who.indexes import HolderAt, IndexedEvidence, LeaseGroup
from cnitrail.intervals import through
from cnitrail.model import (
    USUAL_LAG,
    AccountRegion,
    Basis,
    Event,
    Ground,
    Held,
    Lease,
    Subject,
)
from cnitrail.model.coverage import may_be_equal, may_be_one_place
from cnitrail.model.event import ASSIGNING_EFFECTS
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock, counted, listed
from cnitrail.timeclamp import FIRST, shifted

_LATE = timedelta(minutes=10)
"""Margin before the last log file: twice the average time from an event to its log file.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
"""


class ReleasedLease(Struct, frozen=True, kw_only=True):
    """The last lease of an address in one VPC, which ended before a second."""

    evidence: IndexedEvidence
    lease: Lease
    second: datetime
    places: Sequence[AccountRegion]
    """The accounts and Regions whose events may assign the address: all that may use the VPC."""
    is_order_unknown: bool
    """Whether a call of the second of its release may have assigned the address again after it."""

    @property
    def released(self) -> datetime:
        """Return when it ended."""
        assert self.lease.end.time is not None
        return self.lease.end.time

    @property
    def is_observed(self) -> bool:
        """Return whether an event is the end: a release of this address, or the deletion of its ENI.

        The ENIs of a NAT gateway or mount target are deleted some time after the call that deletes it, and
        the addresses of a NAT gateway are released when their connections have ended.
        """
        event = self.lease.end.event
        if self.lease.end.basis is not Basis.OBSERVED or event is None:
            return False
        of_eni = [subject.details for subject in event.subjects if subject.eni == self.lease.eni]
        return all(details.resource is None for details in of_eni)

    @property
    def is_instant(self) -> bool:
        """Return whether the address was assigned and released in one second."""
        return self.lease.start.time == self.released

    @property
    def since(self) -> datetime:
        """Return from when on nothing may be missing.

        A release shows that the ENI had the address until then. The deletion of an ENI does not: the address
        may have left it after the last event that shows it there. Nor does a release in the second of an
        assignment: if the ENI had the address before, it may have come first.
        """
        if self.is_instant:
            return self.evidence.interface(self.lease).created.time or FIRST
        if self.lease.released:
            return self.released
        return self.lease.last_seen or FIRST

    def ground(self) -> LeaseGround:
        """Return how well the evidence covers the time from the release to the second."""
        grounds = [self.evidence.coverage.ground(*place, self.since, self.second) for place in self.places]
        ground = max(grounds, key=WEAKER_LAST.index)
        if self.lease.eni in self.evidence.history.unproven and ground is Ground.PROVEN:
            ground = Ground.MERELY_READ
        return LeaseGround(ground, self.since, self.second)


def released_leases(
    evidence: IndexedEvidence, groups: Iterable[LeaseGroup], second: datetime
) -> list[ReleasedLease]:
    """Return the last lease before a second in each VPC; none of the leases of ``groups`` covers it.

    An address may be held by itself or through its prefix: ``groups`` has those of both.
    """
    by_vpc: dict[str, list[Lease]] = defaultdict(list)
    groups_of: dict[str, list[LeaseGroup]] = defaultdict(list)
    for group in groups:
        for vpc in group.vpcs:
            groups_of[vpc].append(group)
        for lease in group.ended_last(second):
            by_vpc[lease.vpc or lease.eni].append(lease)
    return [
        ReleasedLease(
            evidence=evidence,
            lease=lease,
            second=second,
            places=_places(evidence, lease),
            is_order_unknown=_is_order_unknown(lease, groups_of[vpc]),
        )
        for vpc, leases in by_vpc.items()
        for lease in _last_of(leases)
    ]


def _places(evidence: IndexedEvidence, lease: Lease) -> Sequence[AccountRegion]:
    """Return the accounts and Regions that may use the VPC of a lease."""
    place = evidence.interface(lease).place
    if evidence.places.get(lease.vpc) == frozenset((place,)) and None not in evidence.places:
        return (place,)
    of_unknown_vpc = evidence.places.get(None, frozenset())
    known = evidence.places.get(lease.vpc, frozenset()) | {place}
    known |= {other for other in of_unknown_vpc if may_be_equal(place[1], other[1])}
    return sorted(known, key=lambda place: (place[0] or "", place[1] or ""))


def _is_order_unknown(last: Lease, groups: Sequence[LeaseGroup]) -> bool:
    """Return whether an assignment in the second of a release may have come after it.

    What begins and ends in one second was assigned first, then released, unless its ENI had it before. A
    lease that another assignment ended in its first second may in truth have come after it, and gone on.
    """
    end = last.end.time
    assert end is not None
    others = [lease for group in groups for lease in group.at(end) if lease is not last]
    if any(lease.start.time == end for lease in others):
        return True
    if last.start.time != end:
        return False
    return any(lease.end.time == end for lease in others) or any(
        lease.end.basis is Basis.IMPLIED and lease.start.time == lease.end.time
        for group in groups
        for lease in group.leases
    )


def _last_of(leases: Sequence[Lease]) -> Iterator[Lease]:
    """Yield the leases that ended last, without those that the start of another one of them ended.

    If one began in that second, too, the calls may have come in the other order; if no event shows the
    start of the other one, a call between them is missing.
    """
    end = max(lease.end.time for lease in leases if lease.end.time is not None)
    last = [lease for lease in leases if lease.end.time == end]
    for lease in last:
        starts = (other.start for other in last if other is not lease)
        is_taken = (
            lease.start.time != end
            and lease.end.basis is Basis.IMPLIED
            and any(start.basis is Basis.OBSERVED and start.event is lease.end.event for start in starts)
        )
        if not is_taken:
            yield lease


def doubts_of_free(
    last: ReleasedLease, everywhere: Iterable[LeaseGroup], forms: Sequence[Held]
) -> Iterator[Reason]:
    """Yield every reason why an address may not be free in the VPC of its last lease.

    ``everywhere`` are its leases of all VPCs, ``forms`` the address and its prefix.
    """
    if not last.is_observed:
        event = last.lease.end.event
        yield Reason.citing(ReasonCode.IMPLIED_END, "end time inferred, not logged", event)
        return
    holder = HolderAt.of(last.evidence, last.lease, last.released)
    for check in (owner_disputed, coverage_unknown, damaged_file, partial_copy):
        yield from check(holder)
    yield from _not_covered(last)
    yield from _not_checked(last)
    yield from _of_unknown_vpc(last, everywhere)
    yield from _without_eni(last, forms)
    yield from _unnamed(last)
    yield from _altered_records(last)
    yield from _doubtful_records(last, forms)


def _not_covered(last: ReleasedLease) -> Iterator[Reason]:
    """Yield what is missing since the release, in every account and Region that may use the VPC.

    Unless the user says that the evidence is complete, the last log files may come later than its end.
    """
    coverage = last.evidence.coverage
    late = timedelta() if coverage.assumed_complete else _LATE
    for place in last.places:
        reaches = coverage.of(*place)
        for reach in reaches:
            if reach.ground(last.since, last.second) is Ground.PROVEN:
                continue
            owner = (reach.account, reach.region)
            if last.second > reach.last:
                yield after_evidence(reach.last, *owner)
            elif last.second > shifted(reach.last, -late):
                where, full = account_and_region(*owner), shifted(reach.last, -late)
                text = (
                    f"the evidence of {where} ends at {clock(reach.last)}; "
                    f"events after {clock(full)} may be delivered later"
                )
                yield Reason(ReasonCode.AFTER_EVIDENCE, text)
            if last.since < reach.first:
                text = f"the evidence of {account_and_region(*owner)} begins only at {clock(reach.first)}"
                yield Reason(ReasonCode.BEFORE_EVIDENCE, text)
            for hole in reach.holes:
                if through(hole.start, hole.end).includes(last.second):
                    yield gap_reason(hole, *owner)
                elif hole.overlaps(through(last.since, last.second)):
                    yield gap_reason(hole, *owner, so="the address may have been assigned then")
        if not reaches:
            text = f"the evidence has nothing of {account_and_region(*place)}"
            yield Reason(ReasonCode.NO_EVIDENCE, text)
        elif place != _place(last) and not coverage.is_known(*place):
            text = f"nothing shows whether the evidence of {account_and_region(*place)} is complete"
            yield Reason(ReasonCode.COVERAGE_UNKNOWN, text)


def _not_checked(last: ReleasedLease) -> Iterator[Reason]:
    """Yield the tables of the evidence: rows that an engine left out may have assigned the address."""
    coverage = last.evidence.coverage
    is_checked = coverage.assumed_complete or not coverage.tables
    if not is_checked and last.ground().ground is not Ground.PROVEN:
        yield from unchecked_tables(coverage)


def _place(last: ReleasedLease) -> AccountRegion:
    return last.evidence.interface(last.lease).place


def _of_unknown_vpc(last: ReleasedLease, everywhere: Iterable[LeaseGroup]) -> Iterator[Reason]:
    """Yield the ENIs of unknown VPC that may hold the address: they may be in this one."""
    region = _place(last)[1]
    for lease in (lease for group in everywhere for lease in group.at(last.second) if lease.vpc is None):
        if may_be_equal(region, last.evidence.interface(lease).region):
            text = f"{lease.eni} may have held it then, and its VPC is not in the evidence"
            yield Reason.citing(ReasonCode.VPC_UNKNOWN, text, lease.start.event)


def _without_eni(last: ReleasedLease, forms: Sequence[Held]) -> Iterator[Reason]:
    """Yield the last call that shows the address without its ENI, unless the release came after it."""

    def may_hold(event: Event, subject: Subject) -> bool:
        vpcs = (subject.vpc, last.lease.vpc)
        return event.time >= last.since if None not in vpcs and vpcs[0] == vpcs[1] else None in vpcs

    for held in forms:
        call = last.evidence.without_eni.latest(held, last.second, may_hold)
        if call is not None:
            yield no_eni_named(*call)
            return


def _unnamed(last: ReleasedLease) -> Iterator[Reason]:
    """Yield the calls that may have assigned it: their records do not name the addresses that they gave.

    AWS makes the ENIs of a NAT gateway or VPC endpoint after the call.
    """
    region = _place(last)[1]
    for event, vpc in last.evidence.unnamed:
        is_in_vpc = may_be_equal(vpc, last.lease.vpc)
        made_later = any(subject.details.resource is not None for subject in event.subjects)
        earliest = shifted(last.since, -USUAL_LAG) if made_later else last.since
        if earliest <= event.time <= last.second and is_in_vpc and may_be_equal(region, event.region):
            text = f"{event.name} at {clock(event.time)} gave addresses that its record does not name"
            yield Reason.citing(ReasonCode.UNNAMED_ADDRESSES, text, event)


def _altered_records(last: ReleasedLease) -> Iterator[Reason]:
    """Yield the records since the release that may have named another address before they were altered."""
    for event in last.evidence.imperfect:
        is_here = any(may_be_one_place(event.place, place) for place in last.places)
        if not (is_here and last.since <= event.time <= last.second):
            continue
        said = f"{event.name} (event {event.event_id}) at {clock(event.time)}"
        if event.damaged:
            text = f"{said} comes from a damaged file: it may have named the address"
            yield Reason.citing(ReasonCode.DAMAGED_FILE, text, event)
        elif event.failure is None and event.effect in ASSIGNING_EFFECTS:
            text = f"{said} is known only from a form that does not keep all fields"
            yield Reason.citing(ReasonCode.PARTIAL_COPY, text, event)


def _doubtful_records(last: ReleasedLease, forms: Sequence[Held]) -> Iterator[Reason]:
    """Yield the records of the account and Region since the release of which others say something else."""
    for event in last.evidence.disputed:
        is_here = any(may_be_one_place(event.place, place) for place in last.places)
        if is_here and any(last.since <= time <= last.second for time in event.disputed):
            yield Reason.citing(
                ReasonCode.RECORDS_DISAGREE,
                f"records of {event.name} (event {event.event_id}) at {clock(event.time)} disagree, "
                "and the evidence does not show which is true",
                event,
            )
    if any(
        last.since <= event.time <= last.second and held in forms
        for event in last.evidence.unused
        for subject in event.subjects
        for held in subject.addresses()
    ):
        text = "a record that names it since then is not used"
        yield Reason(ReasonCode.OTHER_OWNER, text)


def shared_vpc(last: ReleasedLease, wanted: Filter) -> Iterator[Reason]:
    """Yield that other accounts may use the VPC: one that is not in the evidence may have the address."""
    accounts = {account for account, _ in last.places if account is not None}
    if len(accounts) > 1:
        text = (
            f"{last.lease.vpc} is shared by {counted(len(accounts), 'account')} of the evidence; "
            "the calls of any other account in it are not here"
        )
        yield Reason(ReasonCode.SHARED_VPC, text)
    elif wanted.account:
        text = (
            f"only {listed(wanted.account)} was asked for: if its VPC is shared, "
            "calls of other accounts may not have been read"
        )
        yield Reason(ReasonCode.SHARED_VPC, text)
