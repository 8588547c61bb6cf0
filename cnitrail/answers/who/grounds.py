"""What an answer rests on: what digests prove, and the records that name the address and are not used."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.who.indexes import IndexedEvidence
from cnitrail.model import Address, Event, Ground, Held, Lease, SetAside, Subject, held_of
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock
from cnitrail.timeclamp import FIRST

WEAKER_LAST = (Ground.PROVEN, Ground.MERELY_READ, Ground.MISSING)
"""From the strongest to the weakest."""


class LeaseGround(Struct, frozen=True):
    """What the evidence of a lease rests on, over all of the time that the answer is about."""

    ground: Ground
    start: datetime
    end: datetime


def ground_of(evidence: IndexedEvidence, lease: Lease, second: datetime) -> LeaseGround:
    """Return what a holder rests on, from its start (and that of its attachment) to its end."""
    interface = evidence.interface(lease)
    attachment = interface.attachment_at(second)
    bounds = [lease.start] + ([attachment.start] if attachment and attachment.instance else [])
    start = min([bound.time or FIRST for bound in bounds])
    end = max(second, lease.end.time or second)
    ground = evidence.coverage.ground(*interface.place, start, end)
    if lease.eni in evidence.history.unproven and ground is Ground.PROVEN:
        ground = Ground.MERELY_READ
    return LeaseGround(ground, start, end)


def proof(known: LeaseGround) -> Reason:
    """Return what digests prove of the time that a holder was found for."""
    if known.start == FIRST:
        text = "not proven by digests: no event shows when the holder's time began"
        return Reason(ReasonCode.NOT_PROVEN, text)
    span = f"from {clock(known.start)} to {clock(known.end)}"
    if known.ground is Ground.PROVEN:
        text = f"proven by CloudTrail's digests: no event is missing or changed {span}"
        return Reason(ReasonCode.PROVEN, text)
    if known.ground is Ground.MERELY_READ:
        return Reason(ReasonCode.NOT_PROVEN, f"not verified: digests do not cover all of the time {span}")
    text = f"not proven by digests: not all evidence {span} was read"
    return Reason(ReasonCode.PARTLY_UNREAD, text)


def unread_records(evidence: IndexedEvidence, forms: tuple[Held, ...], second: datetime) -> Iterator[Reason]:
    """Yield the unreadable records that name an address, or its prefix: it may have been where they say."""
    for lost in evidence.coverage.lost:
        addresses = {held for text in lost.addresses if (held := held_of(text)) is not None}
        before = lost.start is None or lost.start <= second
        if before and not addresses.isdisjoint(forms):
            on = f" on {', '.join(lost.enis)}" if lost.enis else ""
            text = f"{lost.what} names it{on}: it may have been there"
            yield Reason(ReasonCode.UNREAD_RECORD, text)


def without_eni(evidence: IndexedEvidence, ip: Address, second: datetime) -> Iterator[Reason]:
    """Yield the last call until a second that shows an address and does not name its ENI."""
    call = evidence.without_eni.latest(ip, second, lambda _event, _subject: True)
    if call is not None:
        yield no_eni_named(*call)


def no_eni_named(event: Event, subject: Subject) -> Reason:
    """Return that an event shows an address, and does not name its ENI."""
    on = f" on {subject.instance}" if subject.instance else ""
    text = f"{event.name} at {clock(event.time)} shows the address{on}, but does not name its ENI"
    return Reason.citing(ReasonCode.NO_ENI_NAMED, text, event)


def unused_records(evidence: IndexedEvidence, forms: tuple[Held, ...], enis: set[str]) -> Iterator[Reason]:
    """Yield the events that name an address, its prefix, or an ENI that held it, and are not used."""
    for event in evidence.unused:
        addresses = {held for subject in event.subjects for held in subject.addresses()}
        if not addresses.isdisjoint(forms) or any(subject.eni in enis for subject in event.subjects):
            code, why = _UNUSED[evidence.history.set_aside[event.key]]
            text = f"{event.name} at {clock(event.time)} (event {event.event_id}) is not used: {why}"
            yield Reason.citing(code, text, event)


_UNUSED = {
    SetAside.FOREIGN: (
        ReasonCode.OTHER_OWNER,
        "the interface or instance belongs to another account or Region",
    ),
    SetAside.UNPROVEN: (
        ReasonCode.OUTRANKED,
        "no digest covers it, and verified records name the same resources",
    ),
}
