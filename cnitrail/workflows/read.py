"""Sources → events: the first half of every command, and the account of what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from cnitrail.cli.progress import Progress
from cnitrail.cli.stderr import say
from cnitrail.decode import NAMES, decode
from cnitrail.errors import SourceError
from cnitrail.history import Dispute, Ledger, build, cover, unrecorded
from cnitrail.model import (
    AccountRegion,
    Coverage,
    Evidence,
    Extent,
    Growth,
    HoleReason,
    Lost,
    Moment,
    Note,
    Record,
    Scope,
    Sign,
    Skipped,
    SourceReport,
    StoredCounts,
)
from cnitrail.sources import open_source
from cnitrail.workflows.accounting import SourceCounts
from cnitrail.workflows.losses import lost_file, lost_of, set_aside
from cnitrail.workflows.scan_pool import Scanned, problems, scan_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.answers.filters import Filter
    from cnitrail.decode import Decoded
    from cnitrail.model import Event, Faulty, History
    from cnitrail.sources import Source
    from cnitrail.workflows.proof import Proof
    from cnitrail.workflows.request import Access, Request

_SHOWN = 20


def ask(request: Request) -> tuple[History, Evidence]:
    """The history that the sources of a request tell, and the account of what was read."""
    scope = scope_of(request.wanted, request.access)
    proof = _prove(request, scope) if request.verify else None
    with Progress(request.quiet) as progress:
        ledger, evidence = read_evidence(
            request.sources, scope, progress, proof, assume_complete=request.access.assume_complete
        )
    history = build(ledger.events(), ledger.sessions(), ledger.proven() if proof is not None else None)
    return history, replace(evidence, skipped=(*evidence.skipped, *set_aside(history)))


def _prove(request: Request, scope: Scope) -> Proof:
    from cnitrail.workflows.proof import Proof

    with Progress(request.quiet, "faults") as progress:
        return Proof(request.sources, scope, request.public_keys, progress)


def scope_of(wanted: Filter, access: Access) -> Scope:
    """What the sources are asked for, given what will be kept."""
    return Scope(
        since=wanted.since,
        until=wanted.until,
        regions=wanted.region,
        accounts=wanted.account,
        instances=wanted.instance,
        enis=wanted.eni,
        addresses=wanted.ip,
        event_names=NAMES,
        profile=access.profile,
        endpoint_url=access.endpoint_url,
        lag=access.lag,
        max_calls=access.max_calls,
        request_payer=access.request_payer,
        delivery_lag=access.delivery_lag,
        growth=Growth(access.max_ratio),
    )


def read_evidence(
    uris: tuple[str, ...],
    scope: Scope,
    progress: Progress,
    proof: Proof | None = None,
    *,
    assume_complete: bool = False,
) -> tuple[Ledger, Evidence]:
    """Everything that the sources hold, and the account of it; what of it is proven, where that is asked.

    ``assume_complete`` is the word of whoever asks that nothing is missing but what could not be read.

    Raises ``SourceError`` where a source cannot be read at all, and ``AccountError`` where what was
    read of one does not add up.
    """
    ledger = Ledger()
    sources = [open_source(uri, scope) for uri in uris or ("lookup:",)]
    reports: list[SourceReport] = []
    skipped: list[Skipped] = []
    signs: set[Sign] = set()
    ends: list[Moment] = []
    lost: list[Lost] = []
    answered: set[AccountRegion] = set()
    for source in sources:
        read = _read(source, scope.growth, ledger, progress, proof)
        count = read.count
        if count.files == count.records == 0 and not count.skipped:
            raise SourceError(f"{source.uri}: no files in it", "name the directory that holds the log files")
        reports.append(count.report(source.uri))
        skipped.extend(count.skipped)
        signs |= read.signs
        ends.extend(read.ends)
        lost += [*map(lost_file, dict.fromkeys(read.unread)), *read.lost]
        answered |= read.answered
    skipped += map(_told, ledger.disputes())
    events = ledger.events()
    moments: list[Event | Moment] = [*events, *ends]
    times = [each.time for each in moments]
    lost += _unrecorded(events, ledger, {(each.account, each.region) for each in moments}, proof)
    if proof is None:
        covered = cover(signs, moments, lost=lost, answered=answered, assume_complete=assume_complete)
    else:
        unread = {each.source for each in skipped}
        covered = proof.cover(signs, moments, lost, answered, unread, assume_complete=assume_complete)
        known = {each.source for each in skipped}
        skipped += [each for each in proof.skipped if each.source not in known]
    return ledger, Evidence(
        sources=tuple(reports),
        first_event=min(times, default=None),
        last_event=max(times, default=None),
        coverage=covered.reaches,
        lost=covered.lost,
        skipped=tuple(skipped),
        verified=proof is not None,
        faults=proof.faults if proof else (),
    )


class _SourceRead(Struct):
    """What was read of a source beside its events."""

    count: SourceCounts = field(default_factory=SourceCounts)
    signs: set[Sign] = field(default_factory=set)
    ends: list[Moment] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """The files of which something could not be read."""
    damaged: set[str] = field(default_factory=set)
    """Those of them of which what was read may be altered."""
    is_complete: bool = False
    """Whether the source itself answers with all events that it was asked for."""
    answered: set[AccountRegion] = field(default_factory=set)
    """The accounts and Regions of which it did."""


def _read(
    source: Source, growth: Growth, ledger: Ledger, progress: Progress, proof: Proof | None
) -> _SourceRead:
    read, known = _SourceRead(is_complete=source.uri.startswith("lookup:")), len(ledger)
    count = read.count
    progress.begin(source, 0)
    for delivered in scan_source(source, growth, hashing=proof is not None):
        match delivered:
            case Scanned():
                count.scanned(delivered)
                read.signs |= delivered.tally.signs
                uri = delivered.document.uri
                if delivered.tally.damaged:
                    read.damaged.add(uri)
                proven = proof is not None and proof.vouches(source.uri, uri, delivered.stored_hash)
                if proof is not None and proven and delivered.records_writes():
                    proof.wrote(uri)
                for found in delivered.found:
                    _enter(found, ledger, read, proven=proven)
            case Record():
                decoded = decode(delivered)
                count.single(len(delivered.origins), matters=decoded.matters)
                _enter((delivered, decoded), ledger, read)
            case Skipped():
                count.not_delivered(delivered)
                read.unread.append(delivered.source)
                if delivered.extent is Extent.PART:
                    read.damaged.add(delivered.source)
            case StoredCounts():
                count.take_over(delivered)
                read.signs |= delivered.signs
                read.ends += delivered.ends
            case Note():
                progress.note(delivered, count.files)
        progress.advance(count.files, count.bytes, count.relevant)
    count.found = source.found
    count.kept += len(ledger) - known
    return read


def _enter(
    found: Skipped | tuple[Record, Decoded], ledger: Ledger, read: _SourceRead, *, proven: bool = False
) -> None:
    """Take what was found into the ledger, and into the account."""
    count = read.count
    if isinstance(found, Skipped):
        count.lost(found)
        read.unread.append(found.source)
        return
    record, decoded = found
    count.skipped += problems(record, decoded)
    read.lost += lost_of(record, decoded)
    fact = decoded.fact
    if fact is not None:
        if all(origin.source in read.damaged for origin in record.origins):
            fact = replace(fact, damaged=True)
        count.duplicates += len(record.origins) - ledger.add(fact, proven=proven)
        read.answered |= {(fact.account, fact.region)} if read.is_complete else set()
    elif decoded.matters:
        count.unreadable += len(record.origins)


def _unrecorded(
    events: Sequence[Event], ledger: Ledger, places: Iterable[AccountRegion], proof: Proof | None
) -> Iterator[Lost]:
    """The times in which trails did not record what matters; with digests, by proven records alone."""
    proven = ledger.proven() if proof is not None else None
    counting = [event for event in events if proven is None or event.key in proven]
    for gap in unrecorded(counting):
        what = f"{gap.event.name} (event {gap.event.event_id})"
        for account, region in places:
            if gap.concerns(account, region):
                yield Lost(account, region, gap.start, gap.end, HoleReason(gap.reason.value), what)


def _told(dispute: Dispute) -> Skipped:
    """A record that disagrees with another one of the same event."""
    other = f"{dispute.other.source} (record {dispute.other.index})"
    true = "which CloudTrail's digests prove" if dispute.proven else "and nothing tells which is true"
    reason = f"event {dispute.key[:60]} stands otherwise in {other}, {true}"
    return Skipped(dispute.place.source, f"record {dispute.place.index}: {reason}", Extent.PART)


def tell(evidence: Evidence, shown: int, quiet: bool, nothing: str) -> int:
    """Say on stderr what was read and what was not; the exit status that follows from it."""
    if not quiet:
        say(_summary(evidence, shown, nothing))
    unproven = evidence.verified and _tell_proven(evidence, quiet)
    faulty = _tell_each("at fault", evidence.faults, "-o json lists all under evidence.faults")
    skipped = tell_skipped(evidence.skipped, "-o json lists all under evidence.skipped")
    return 3 if unproven or faulty or skipped else 0


def _tell_proven(evidence: Evidence, quiet: bool) -> bool:
    """Say on stderr how much of the time is proven; whether nothing is."""
    from cnitrail.answers.coverage_text import how_proven

    nothing = not any(reach.proven for reach in evidence.coverage)
    if nothing or not quiet:
        say(how_proven(Coverage(evidence.coverage)))
    return nothing


def tell_skipped(skipped: Sequence[Skipped], where: str) -> int:
    """Say on stderr what could not be read, and where all of it is listed; the exit status."""
    return 3 if _tell_each("skipped", skipped, where) else 0


def _tell_each(what: str, found: Sequence[Skipped | Faulty], where: str) -> bool:
    """Say on stderr what was found, and where all of it is listed; whether there is any."""
    for each in found[:_SHOWN]:
        say(f"{what}: {each.source}: {each.reason}")
    more = len(found) - _SHOWN
    if more > 0:
        say(f"{what}: {more} more; {where}")
    return bool(found)


def _summary(evidence: Evidence, shown: int, nothing: str) -> str:
    files = sum(source.files for source in evidence.sources)
    records = sum(source.records for source in evidence.sources)
    relevant = sum(source.kept for source in evidence.sources)
    read = f"{many(files, 'file')} with {many(records, 'record')} read, {relevant} relevant"
    if evidence.first_event is None or evidence.last_event is None:
        told = f"{shown} shown" if shown else "nothing to show"
        return f"{told}: {read}; none moves an address or an interface"
    span = f"{evidence.first_event:%Y-%m-%d %H:%M:%SZ} to {evidence.last_event:%Y-%m-%d %H:%M:%SZ}"
    if shown == 0:
        return f"nothing to show: {read} ({span}), and {nothing}"
    return f"{shown} shown; {read} ({span})"


def many(number: int, noun: str) -> str:
    """A count with its noun: ``1 file``, ``2,000 files``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
