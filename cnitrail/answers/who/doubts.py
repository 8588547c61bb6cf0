"""What leaves a single holder in doubt at a second: a table of checks, each of which yields its reasons."""

from collections.abc import Callable, Iterator
from itertools import chain

from cnitrail.answers.coverage_text import after_evidence, gap_reason
from cnitrail.answers.who.grounds import no_eni_named
from cnitrail.answers.who.indexes import HolderAt
from cnitrail.answers.who.instance_doubts import (
    attachment_end,
    attachment_gaps,
    attachment_start,
    being_terminated,
    instance_inferred,
    is_later,
    runs,
)
from cnitrail.model import Basis, Event, Subject, form_of
from cnitrail.model.coverage import may_be_equal, may_be_one_place
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock
from cnitrail.timeclamp import FIRST


def doubts(holder: HolderAt) -> Iterator[Reason]:
    """Return every reason why a holder is not certain; none if it is beyond doubt."""
    return chain.from_iterable([check(holder) for check in CHECKS])


# --- the lease -------------------------------------------------------------------------------------


def start_unknown(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the address may have come to the ENI after the second."""
    if holder.lease.start.basis is not Basis.OBSERVED:
        yield Reason(
            ReasonCode.START_UNKNOWN,
            "no event in the evidence shows since when the ENI held the address",
        )


def end_unknown(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the address may have left the ENI before the second.

    An address does not leave an ENI that lives on without an event that names it, so a later sign of the ENI
    is enough. While the ENI is on an instance, and no event took it off, a sign of the instance is, too.
    """
    lease, second, attachment = holder.lease, holder.second, holder.attachment
    if lease.end.basis is Basis.OBSERVED or is_later(holder.interface.alive, second):
        return
    if attachment is not None and runs(holder, attachment):
        return
    if lease.end.basis is not Basis.OPEN:
        yield Reason.citing(ReasonCode.IMPLIED_END, "end time inferred, not logged", lease.end.event)
        return
    reaches = holder.evidence.coverage.of(*holder.interface.place)
    last = max((reach.last for reach in reaches), default=None)
    until = f" by the end of the evidence ({clock(last)})" if last is not None else ""
    yield Reason(ReasonCode.NO_RELEASE_SEEN, f"no release seen{until}")
    if last is not None and second > last:
        yield after_evidence(last, *holder.interface.place)


def may_be_taken(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if an ENI of unknown VPC got the address: in the same VPC, it took it from this one."""
    since = holder.lease.certainty.takeover_from
    if since is not None and holder.second >= since:
        yield Reason(
            ReasonCode.MAY_BE_TAKEN,
            f"another ENI may have taken the address at {clock(since)}: "
            "the evidence does not show whether both are in one VPC",
        )


def shown_without_eni(holder: HolderAt) -> Iterator[Reason]:
    """Yield the last call in a lease that shows its address and names no ENI: it may have moved."""
    call = holder.evidence.without_eni.latest(
        holder.lease.held, holder.second, lambda event, subject: _may_have_moved(holder, event, subject)
    )
    if call is not None:
        yield no_eni_named(*call)


def _may_have_moved(holder: HolderAt, event: Event, subject: Subject) -> bool:
    """Return True if a call may show the address of a lease elsewhere in the same VPC."""
    lease = holder.lease
    is_here = may_be_one_place(event.place, holder.interface.place)
    carrier = holder.attachment.instance if holder.attachment is not None else None
    is_there = carrier is not None and subject.instance == carrier
    return (
        (lease.start.time or FIRST) <= event.time
        and may_be_equal(subject.vpc, lease.vpc)
        and is_here
        and not is_there
    )


def log_gaps(holder: HolderAt) -> Iterator[Reason]:
    """Yield a hole in the evidence between the second and the event that shows the address on the ENI.

    Usually that event is the assignment: what ended the lease could only be missing between it and the
    second. A release also proves that the address was held just before: then nothing may be missing
    between the second and the release, and no call in between may have assigned the address again.
    """
    evidence, lease, second = holder.evidence, holder.lease, holder.second
    if lease.start.time is None:
        return
    hole = evidence.hole(lease, lease.start.time, second)
    if hole is None:
        return
    again = lease.certainty.assigned_again
    if (
        lease.released
        and lease.end.time is not None
        and (again is None or again < second)
        and evidence.hole(lease, second, lease.end.time) is None
    ):
        return
    yield gap_reason(hole, *holder.interface.place, so="the address may have moved then")


# --- the records that it rests on ------------------------------------------------------------------


def owner_disputed(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if calls of several accounts or Regions name the ENI: it may belong to any of them."""
    if holder.interface.disputed_owner:
        yield Reason(
            ReasonCode.OWNER_DISPUTED,
            f"records of several accounts or Regions name {holder.lease.eni}, and none shows who created it",
        )


def coverage_unknown(holder: HolderAt) -> Iterator[Reason]:
    """Yield a reason if the evidence is an export of some events: it does not show what else happened."""
    if not holder.evidence.coverage.is_known(*holder.interface.place):
        yield Reason(
            ReasonCode.COVERAGE_UNKNOWN,
            "coverage unknown: nothing shows which other events of that time were logged "
            "(--assume-complete if the evidence has all of them)",
        )


def records_disagree(holder: HolderAt) -> Iterator[Reason]:
    """Yield the events, in the time that the lease rests on, of which records differ: any may be false."""
    interface, lease = holder.interface, holder.lease
    start, end = lease.start.time or FIRST, lease.end.time or holder.second
    for event in holder.evidence.disputed:
        is_here = may_be_one_place(event.place, interface.place)
        if is_here and any(start <= time <= end for time in event.disputed):
            yield Reason.citing(
                ReasonCode.RECORDS_DISAGREE,
                f"records of {event.name} (event {event.event_id}) at {clock(event.time)} disagree, "
                "and the evidence does not show which is true",
                event,
            )


def damaged_file(holder: HolderAt) -> Iterator[Reason]:
    """Yield a record of a damaged file that names what the lease is about: its text may be altered."""
    event = holder.evidence.damaged.first_of(_names(holder))
    if event is not None:
        yield Reason.citing(
            ReasonCode.DAMAGED_FILE,
            f"{event.name} (event {event.event_id}) comes from a damaged file: it may be altered",
            event,
        )


def partial_copy(holder: HolderAt) -> Iterator[Reason]:
    """Yield a call of which only a copy without some fields is there: what it lacks may name the address."""
    event = holder.evidence.partial.first_of(_names(holder))
    if event is not None:
        yield Reason.citing(
            ReasonCode.PARTIAL_COPY,
            f"{event.name} (event {event.event_id}) is known only from a form that does not keep all fields "
            f"({form_of(min(event.origins).form).title})",
            event,
        )


def _names(holder: HolderAt) -> tuple[object, ...]:
    """Return what a lease is about: its ENI, the instance, and the address or prefix."""
    attachment = holder.attachment
    return holder.lease.eni, attachment.instance if attachment else None, holder.lease.held


CHECKS: tuple[Callable[[HolderAt], Iterator[Reason]], ...] = (
    start_unknown,
    end_unknown,
    may_be_taken,
    shown_without_eni,
    owner_disputed,
    coverage_unknown,
    records_disagree,
    damaged_file,
    partial_copy,
    log_gaps,
    attachment_start,
    instance_inferred,
    attachment_end,
    being_terminated,
    attachment_gaps,
)
"""In the order in which their reasons are shown."""
