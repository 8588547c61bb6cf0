"""Arbitrary sequences of facts: their history, and the answers from it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from random import Random
from zlib import crc32

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import leases
from cnitrail.answers.state import state
from cnitrail.answers.timeline import timeline
from cnitrail.answers.who import HolderIndex
from cnitrail.decode import decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import (
    Address,
    Basis,
    Bound,
    Coverage,
    Event,
    Evidence,
    Held,
    History,
    IssuedSession,
    Origin,
    Record,
    Skipped,
    SourceReport,
    Verdict,
)
from fuzz.targets.records import ORIGIN, payloads

SOME_TIME = datetime(2024, 5, 14, 9, 30, tzinfo=UTC)

Fact = Event | IssuedSession


class FuzzCase(Struct, frozen=True):
    """The facts of an input in order, their history, the evidence, and an index of the holders."""

    facts: list[Fact]
    history: History
    evidence: Evidence
    holders: HolderIndex


def case_of(data: bytes) -> FuzzCase:
    """Return the facts, history and evidence of an array of records."""
    decoded = [
        decode(Record((Origin(ORIGIN.source, index),), text)) for index, text in enumerate(payloads(data))
    ]
    facts = [one.fact for one in decoded if one.fact is not None]
    skipped = tuple(Skipped(ORIGIN.source, problem) for one in decoded for problem in one.problems)
    past = _built(facts)
    times = [event.time for event in past.events]
    evidence = Evidence(
        sources=(_account(len(data), len(decoded), len(facts), len(skipped)),),
        first_event=min(times, default=None),
        last_event=max(times, default=None),
        coverage=cover((), past.events).reaches,
        skipped=skipped,
    )
    return FuzzCase(facts, past, evidence, HolderIndex(past, Coverage(evidence.coverage)))


def _account(size: int, records: int, relevant: int, skipped: int) -> SourceReport:
    """Return the counts of one file without duplicates."""
    return SourceReport(
        uri=ORIGIN.source,
        files=1,
        bytes=size,
        records=records,
        relevant=relevant,
        duplicates=0,
        skipped=skipped,
        files_found=1,
        files_skipped=0,
        passed_over=records - relevant,
        kept=relevant,
        records_skipped=0,
    )


def _built(facts: list[Fact]) -> History:
    ledger = Ledger()
    for fact in facts:
        ledger.add(fact)
    return build(ledger.events(), ledger.sessions())


def history(data: bytes) -> None:
    """Order and duplicates change nothing; nothing ends before it begins."""
    case = case_of(data)
    chance = Random(crc32(data))
    shuffled = chance.sample(case.facts * 2, 2 * len(case.facts))
    other = _built(shuffled)
    assert other.events == case.history.events
    assert other.leases == case.history.leases
    assert other.interfaces == case.history.interfaces
    assert other.actors == case.history.actors
    for lease in case.history.leases:
        assert _in_order(lease.start, lease.end), lease
    for interface in case.history.interfaces.values():
        for attachment in interface.attachments:
            assert _in_order(attachment.start, attachment.end), attachment


def _in_order(start: Bound, end: Bound) -> bool:
    return start.time is None or end.time is None or start.time <= end.time


def answers(data: bytes) -> None:
    """Answers are in order and consistent, and no more certain than the evidence."""
    case = case_of(data)
    entries = list(timeline(case.history, Filter()))
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
    assert {entry.event_id for entry in entries} <= {event.event_id for event in case.history.events}
    assert len(list(leases(case.history, Filter()))) == len(case.history.leases)
    for ip, at in questions(case.history):
        _ask(case.holders, ip, at)
    for at in islice(times(case.history), 3):
        for entry in state(case.history, at, Filter()):
            assert len({(held.ip, held.kind) for held in entry.addresses}) == len(entry.addresses)


def _ask(holders: HolderIndex, ip: Address, at: datetime) -> None:
    answer = holders.who(ip, at, Filter())
    assert (answer.verdict in (Verdict.UNKNOWN, Verdict.FREE)) == (not answer.holders)
    assert answer.reasons
    if answer.verdict is Verdict.CERTAIN:
        (holder,) = answer.holders
        assert (holder.start_basis, holder.end_basis) == (Basis.OBSERVED, Basis.OBSERVED)
        assert holder.start is not None
        assert holder.end is not None
        assert holder.start <= at <= holder.end


def questions(past: History) -> Iterator[tuple[Address, datetime]]:
    """Yield some addresses that were held, each with times at the bounds of a lease."""
    for lease in past.leases[:: max(1, len(past.leases) // 6)]:
        ip = _first(lease.held)
        for bound in (lease.start, lease.end):
            yield ip, bound.time or SOME_TIME


def _first(held: Held) -> Address:
    return held.network_address if isinstance(held, (IPv4Network, IPv6Network)) else held


def times(past: History) -> Iterator[datetime]:
    """Some times at which something happened, and one at which nothing did."""
    yield SOME_TIME
    yield from (event.time for event in past.events[:: max(1, len(past.events) // 3)])
