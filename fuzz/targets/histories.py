"""Sequences of facts of any content: the history that they tell, and the answers that it gives."""

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


class Told(Struct, frozen=True):
    """What records tell: the facts in their order, the history, and the account of the evidence."""

    facts: list[Fact]
    history: History
    evidence: Evidence
    witness: HolderIndex


def told(data: bytes) -> Told:
    """What an array of records tells."""
    decoded = [
        decode(Record((Origin(ORIGIN.source, index),), text)) for index, text in enumerate(payloads(data))
    ]
    facts = [each.fact for each in decoded if each.fact is not None]
    skipped = tuple(Skipped(ORIGIN.source, problem) for each in decoded for problem in each.problems)
    past = _built(facts)
    times = [event.time for event in past.events]
    evidence = Evidence(
        sources=(_account(len(data), len(decoded), len(facts), len(skipped)),),
        first_event=min(times, default=None),
        last_event=max(times, default=None),
        coverage=cover((), past.events).reaches,
        skipped=skipped,
    )
    return Told(facts, past, evidence, HolderIndex(past, Coverage(evidence.coverage)))


def _account(size: int, records: int, relevant: int, skipped: int) -> SourceReport:
    """The account of one file, each of whose relevant records is another one."""
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
    """Order and repeats change nothing; nothing ends before it begins."""
    whole = told(data)
    chance = Random(crc32(data))
    shuffled = chance.sample(whole.facts * 2, 2 * len(whole.facts))
    other = _built(shuffled)
    assert other.events == whole.history.events
    assert other.leases == whole.history.leases
    assert other.interfaces == whole.history.interfaces
    assert other.actors == whole.history.actors
    for lease in whole.history.leases:
        assert _in_order(lease.start, lease.end), lease
    for interface in whole.history.interfaces.values():
        for attachment in interface.attachments:
            assert _in_order(attachment.start, attachment.end), attachment


def _in_order(start: Bound, end: Bound) -> bool:
    return start.time is None or end.time is None or start.time <= end.time


def answers(data: bytes) -> None:
    """Answers are in order, agree with each other, and are no surer than the evidence."""
    whole = told(data)
    entries = list(timeline(whole.history, Filter()))
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
    assert {entry.event_id for entry in entries} <= {event.event_id for event in whole.history.events}
    assert len(list(leases(whole.history, Filter()))) == len(whole.history.leases)
    for ip, at in questions(whole.history):
        _ask(whole.witness, ip, at)
    for at in islice(times(whole.history), 3):
        for entry in state(whole.history, at, Filter()):
            assert len({(held.ip, held.kind) for held in entry.addresses}) == len(entry.addresses)


def _ask(witness: HolderIndex, ip: Address, at: datetime) -> None:
    answer = witness.who(ip, at, Filter())
    assert (answer.verdict is Verdict.UNKNOWN) == (not answer.holders)
    assert answer.reasons
    if answer.verdict is Verdict.CERTAIN:
        (holder,) = answer.holders
        assert (holder.start_basis, holder.end_basis) == (Basis.OBSERVED, Basis.OBSERVED)
        assert holder.start is not None
        assert holder.end is not None
        assert holder.start <= at <= holder.end


def questions(past: History) -> Iterator[tuple[Address, datetime]]:
    """Some addresses that were held, each at some times around its leases."""
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
