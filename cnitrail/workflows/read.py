"""Sources → history and evidence: the first half of every question."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.debuglog import debug
from cnitrail.history import Dispute, Ledger, build, cover, unrecorded
from cnitrail.model import (
    MAX_FILES,
    AccountRegion,
    Evidence,
    Extent,
    FileReport,
    HoleReason,
    Lost,
    Moment,
    Scope,
    Sign,
    Skipped,
    SourceReport,
    StoredRecord,
)
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import table_of
from cnitrail.sources import is_event_history, source_type, sources_or_default
from cnitrail.workflows.accounting import SourceCounts, no_files
from cnitrail.workflows.ingest import ingest, unread_of
from cnitrail.workflows.losses import lost_file, lost_of, set_aside
from cnitrail.workflows.narrowing import is_too_narrow, narrow_scope, scope_for, whole_scope
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.scan_pool import ScanPool, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.decode import Decoded
    from cnitrail.model import CutShort, Document, Event, History, LookedUp, Record, StoredCounts
    from cnitrail.model.rhythm import Rhythm
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.proof import Proof
    from cnitrail.workflows.raw_records import RawRecords
    from cnitrail.workflows.request import Request
    from cnitrail.workflows.scan_pool import Scanned, ScannedDocument


def read(
    request: Request, observer: Observer = SILENT, raw: RawRecords | None = None
) -> tuple[History, Evidence]:
    """Return the history that the sources of a request hold, and the account of what was read.

    The records of its events go to ``raw``.

    Raises as ``read_evidence`` does, and ``UsageError`` if ``verify`` is asked of sources without digests.
    """
    scope = narrow_scope(request)
    history, evidence = _rebuilt(request, scope, observer, raw)
    if is_too_narrow(request, scope, history):
        return _rebuilt(request, whole_scope(scope), observer, raw)
    return history, evidence


def _rebuilt(
    request: Request, scope: Scope, observer: Observer, raw: RawRecords | None
) -> tuple[History, Evidence]:
    """Return the history of the records that are read for a scope, and the account of them."""
    proof = _prove(request, scope, observer) if request.verify else None
    observer.stage("relevant")
    ledger, evidence = read_evidence(
        request.sources, scope, observer, proof, raw, assume_complete=request.access.assume_complete
    )
    proven = ledger.proven() if proof is not None else None
    pods = ledger.pods() if ledger.pod_records else None
    events, sessions = ledger.events(), ledger.sessions()
    del ledger  # its indexes are not needed while a history is built
    history = build(events, sessions, proven, pods)
    debug(__name__, "history: %d events, %d leases", len(history.events), len(history.leases))
    return history, replace(evidence, skipped=(*evidence.skipped, *set_aside(history)))


def _prove(request: Request, scope: Scope, observer: Observer) -> Proof:
    from cnitrail.workflows.proof import Proof

    return Proof(request.sources, scope, request.public_keys, observer)


def read_evidence(
    uris: tuple[str, ...],
    scope: Scope,
    observer: Observer = SILENT,
    proof: Proof | None = None,
    raw: RawRecords | None = None,
    *,
    assume_complete: bool = False,
) -> tuple[Ledger, Evidence]:
    """Return all facts in the sources, and the account of what was read.

    With ``proof``, the evidence also says what digests prove. ``assume_complete`` is the user's statement
    that no event is missing except those that could not be read.

    Raises ``SourceError`` if a source cannot be read at all, and ``AccountingError`` if what was read of one
    does not add up.
    """
    sink = LedgerSink(Ledger(), proof, raw)
    reports: list[SourceReport] = []
    files: list[FileReport] = []
    skipped: list[Skipped] = []
    others: Counter[str] = Counter()
    has_files = False
    uris = sources_or_default(uris)
    kinds = [(uri, source_type(uri)) for uri in uris]
    sources = [(kind, kind.open(uri, scope_for(uri, uris, scope))) for uri, kind in kinds]
    with ScanPool(scope.growth, hashing=proof is not None, workers=scope.workers) as pool:
        for kind, source in sources:
            sink.open(source.uri, answers_completely=kind.answers_completely)
            counts = SourceCounts()
            ingest(source, pool, sink, counts, observer)
            if counts.is_empty and not counts.other_files:
                raise no_files(source.uri, counts.other_files)
            has_files |= not counts.is_empty
            others.update(counts.other_files)
            reports.append(counts.report(source.uri))
            files += counts.first_files[: MAX_FILES - len(files)]
            skipped += counts.skipped
    if not has_files:
        raise no_files(", ".join(uri for uri, _ in kinds), others)
    evidence = evidence_in(sink, skipped, reports, files, proof, assume_complete=assume_complete)
    return sink.ledger, evidence


def evidence_in(
    sink: LedgerSink,
    skipped: Iterable[Skipped],
    reports: Iterable[SourceReport] = (),
    files: Iterable[FileReport] = (),
    proof: Proof | None = None,
    *,
    assume_complete: bool = False,
) -> Evidence:
    """Return the account of what a sink has taken: ``reports`` and ``files`` are of its sources.

    ``skipped`` is what could not be read of them.
    """
    ledger = sink.ledger
    skipped = [*skipped, *map(_disputed, ledger.disputes())]
    events = ledger.events()
    first_and_last = (*events[:1], *events[-1:])  # they are in order
    times = [*(event.time for event in first_and_last), *(end.time for end in sink.ends)]
    places = {event.place for event in events}
    places |= {(end.account, end.region) for end in sink.ends}
    moments: Iterable[Event | Moment] = chain(events, sink.ends, sink.bounds)
    lost = [*map(lost_file, sink.unread), *sink.lost]
    lost += _unrecorded(events, ledger, places, proof)
    if proof is None:
        covered = cover(
            sink.signs,
            moments,
            lost=lost,
            answered=sink.answered,
            assume_complete=assume_complete,
            rhythms=sink.rhythms,
        )
    else:
        unread = {skip.source for skip in skipped}
        covered = proof.cover(
            sink.signs, moments, lost, sink.answered, unread, assume_complete=assume_complete
        )
        skipped += [skip for skip in proof.skipped if skip.source not in unread]
    return Evidence(
        sources=tuple(reports),
        first_event=min(times, default=None),
        last_event=max(times, default=None),
        coverage=covered.reaches,
        lost=covered.lost,
        skipped=tuple(skipped),
        verified=proof is not None,
        faults=proof.faults if proof else (),
        files=tuple(files),
        tables=tuple(sorted(sink.tables)),
        assumed_complete=covered.assumed_complete,
        pod_records=ledger.pod_records,
        first_pod_record=min(ledger.pod_times(), default=None),
        last_pod_record=max(ledger.pod_times(), default=None),
    )


class LedgerSink:
    """Enters facts into a ledger, and notes what times the evidence covers and what it lacks."""

    def __init__(self, ledger: Ledger, proof: Proof | None, raw: RawRecords | None) -> None:
        self.ledger = ledger
        self.signs: set[Sign] = set()
        self.rhythms: dict[AccountRegion, Rhythm] = {}
        """Of a store that is all evidence, in place of its signs."""
        self.ends: dict[Moment, None] = {}
        self.bounds: list[Moment] = []
        """The ends of times that lookups cover, whether or not anything happened there."""
        self.tables: set[str] = set()
        """The tables that records come from, also through a store."""
        self.lost: list[Lost] = []
        self.unread: dict[str, None] = {}
        """The files of which something could not be read."""
        self.answered: set[AccountRegion] = set()
        """The accounts and Regions for which a source itself answered with all events."""
        self._is_damaged = False
        """Whether the contents of the file may be altered where they could be read."""
        self._proof = proof
        self._raw = raw
        self._is_proven = False
        self._source = ""
        self._answers_completely = False

    def open(self, source: str, *, answers_completely: bool) -> None:
        """Begin a source, which may report itself if an answer is incomplete."""
        self._source = source
        self._answers_completely = answers_completely

    @property
    def kept(self) -> int:
        """Number of different facts in the ledger."""
        return len(self.ledger)

    def open_document(self, document: Document) -> None:
        """Do nothing: files are read one by one."""

    def begin(self, scanned: Scanned) -> None:
        """Begin a file: its records are proven if digests vouch for it."""
        if scanned.tally.other_kind is None:
            self.signs |= scanned.tally.signs
        uri, proof = scanned.uri, self._proof
        if scanned.tally.heard:
            self.ledger.hear(uri, scanned.tally.heard)
        table = table_of(uri)
        if table is not None:
            self.tables.add(table)
        self._is_damaged = scanned.tally.damaged
        if proof is not None and proof.vouches(self._source, uri, scanned.stored_hash):
            self._is_proven = True
            if scanned.records_writes():
                proof.wrote(uri)

    def end(self, scanned: Scanned) -> None:  # noqa: ARG002  a store needs it
        """End a file."""
        self._is_proven = self._is_damaged = False

    def close_document(self, scanned: ScannedDocument) -> None:
        """Do nothing: a ledger keeps no list of what was read."""

    def add(self, record: Record, decoded: Decoded) -> int:
        """Enter the fact of a record; return 1 if it is new."""
        if decoded.problems:
            if record.origins[0].form in POD_FORMS:
                self.ledger.lack_pods(problems(record, decoded))
            else:
                self.lost += lost_of(record, decoded)
        fact = decoded.fact
        if decoded.pods is not None:
            return self.ledger.add_pods(decoded.pods)
        if fact is None:
            return 0
        if self._raw is not None:
            self._raw.add(record, fact)
        if self._is_altered(record):
            fact = replace(fact, damaged=True)
        if self._answers_completely:
            self.answered.add((fact.account, fact.region))
        return self.ledger.add(fact, proven=self._is_proven)

    def _is_altered(self, record: Record) -> bool:
        """Return whether a record may be altered, because the file that it was read from is damaged."""
        return self._is_damaged or (isinstance(record, StoredRecord) and record.is_damaged)

    def lose(self, skipped: Skipped) -> None:
        """Note a document that could not be read, or only in part."""
        if skipped.of_pods:
            self.ledger.lack_pods([skipped])
        else:
            self.unread[skipped.source] = None

    def skip(self, skipped: Skipped) -> None:
        """Note what the source could not deliver."""
        self.lose(skipped)

    def cut_short(self, cut: CutShort) -> None:
        """Note the time that a lookup did not reach."""
        if cut.of_pods:
            self.lose(unread_of(cut))
            return
        self.lost.append(
            Lost(
                account=None,
                region=cut.region,
                start=None,
                end=cut.complete_since,
                reason=HoleReason.NOT_READ,
                what=f"{cut.source}: {cut.reason}",
            )
        )

    def lack(self, lost: Lost) -> None:
        """Note a time of which a table is known to lack events."""
        self.lost.append(lost)

    def looked_up(self, looked_up: LookedUp) -> None:
        """Note the time of which AWS itself returned all events."""
        account, region = looked_up.account, looked_up.region
        self.answered.add((account, region))
        self.bounds += (Moment(account, region, time) for time in (looked_up.start, looked_up.end))

    def take_over(self, counts: StoredCounts) -> None:
        """Take over the times that a store covers."""
        self.signs |= counts.signs
        self.rhythms.update(counts.rhythms)
        for (file, form), minutes in counts.heard.items():
            self.ledger.hear(file, ((form, minute) for minute in minutes))
        self.ends.update(dict.fromkeys(counts.ends))
        self.tables.update(counts.tables)

    def checkpoint(self) -> None:
        """Do nothing: nothing is kept on disk."""


def _unrecorded(
    events: Sequence[Event], ledger: Ledger, places: Iterable[AccountRegion], proof: Proof | None
) -> Iterator[Lost]:
    """Yield the times in which trails did not record what matters; with digests, by proven records only."""
    proven = ledger.proven() if proof is not None else None
    counting = [event for event in from_trails(events) if proven is None or event.key in proven]
    for gap in unrecorded(counting):
        what = f"{gap.event.name} (event {gap.event.event_id})"
        for account, region in places:
            if gap.concerns(account, region):
                yield Lost(
                    account=account,
                    region=region,
                    start=gap.start,
                    end=gap.end,
                    reason=HoleReason(gap.reason.value),
                    what=what,
                )


def from_trails(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the calls that configure trails, as far as a trail delivered them.

    What only LookupEvents answered is left out: AWS keeps its event history whatever happens to trails.
    """
    for event in events:
        if event.trail is not None and not all(is_event_history(origin.source) for origin in event.origins):
            yield event


def _disputed(dispute: Dispute) -> Skipped:
    """Return an entry for a record that disagrees with another record of the same event."""
    other = f"{dispute.other.source} (record {dispute.other.index})"
    true = "which CloudTrail's digests prove" if dispute.proven else "and nothing shows which is true"
    reason = f"event {dispute.key[:60]} differs in {other}, {true}"
    return Skipped(dispute.origin.source, f"record {dispute.origin.index}: {reason}", Extent.PART)
