"""The one loop in which a source is read: everything it delivers is counted, and goes to a sink."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from cnitrail.debuglog import debug
from cnitrail.decode import decode
from cnitrail.model import CutShort, LookedUp, LookupProgress, Lost, Note, Record, Skipped, StoredCounts
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import EngineReport, QueryProgress
from cnitrail.workflows.scan_pool import ScannedDocument, problems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnitrail.decode import Decoded
    from cnitrail.model import Document
    from cnitrail.sources import Delivered, Source
    from cnitrail.workflows.accounting import SourceCounts
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.scan_pool import Scanned, ScanPool


class Sink(Protocol):
    """Where the contents of sources go.

    A document has one file in it, or several if it is an archive. Records of a file are added between its
    ``begin`` and its ``end``, single records outside of these.
    """

    @property
    def kept(self) -> int:
        """Number of different facts in the sink."""

    def open_document(self, document: Document) -> None:
        """Begin a document."""

    def begin(self, scanned: Scanned) -> None:
        """Begin a file of a document."""

    def end(self, scanned: Scanned) -> None:
        """End a file: all that could be read of it has been added."""

    def close_document(self, scanned: ScannedDocument) -> None:
        """End a document."""

    def add(self, record: Record, decoded: Decoded) -> int:
        """Take a record that matters, or may matter; return how many of its origins are new."""

    def lose(self, skipped: Skipped) -> None:
        """Take what could not be read of a document."""

    def skip(self, skipped: Skipped) -> None:
        """Take what the source could not deliver."""

    def cut_short(self, cut: CutShort) -> None:
        """Record that a lookup ended early."""

    def lack(self, lost: Lost) -> None:
        """Record a time of which the source is known to lack events."""

    def looked_up(self, looked_up: LookedUp) -> None:
        """Record a time range of which a lookup returned every event."""

    def take_over(self, counts: StoredCounts) -> None:
        """Take what the source itself has counted."""

    def checkpoint(self) -> None:
        """Make what was added so far durable, if it is time for that."""


def ingest(
    source: Source,
    pool: ScanPool,
    sink: Sink,
    counts: SourceCounts,
    observer: Observer,
) -> None:
    """Read a source into a sink, and count each thing where it happens."""
    known = sink.kept
    observer.begin(source, counts.bytes)
    debug(__name__, "reading %s", source.uri)
    with closing(pool.scan(source)) as deliveries:  # a query must not run on
        _ingest_all(deliveries, sink, counts, observer)
    counts.found += source.found
    counts.kept += sink.kept - known
    debug(__name__, "read %s: %d files, %d records in all", source.uri, counts.files, counts.records)


def _ingest_all(
    deliveries: Iterable[ScannedDocument | Delivered], sink: Sink, counts: SourceCounts, observer: Observer
) -> None:
    """Read what a source delivers into a sink."""
    for delivered in deliveries:
        match delivered:
            case ScannedDocument():
                _ingest_document(delivered, sink, counts)
            case Record():
                decoded = decode(delivered)
                counts.single(len(delivered.origins), matters=decoded.is_relevant)
                _ingest_record(delivered, decoded, sink, counts)
            case Skipped():
                debug(__name__, "skipped %s: %s", delivered.source, delivered.reason)
                of_pods = delivered.of_pods or _has_name_of_pod_log(delivered.source)
                skipped = replace(delivered, of_pods=of_pods)
                counts.not_delivered(skipped)
                sink.skip(skipped)
            case StoredCounts():
                counts.take_over(delivered)
                sink.take_over(delivered)
            case CutShort():
                debug(__name__, "%s: %s", delivered.source, delivered.reason)
                if not delivered.is_wanted:
                    counts.not_delivered(unread_of(delivered))
                sink.cut_short(delivered)
            case EngineReport():
                counts.engines.append(delivered)
            case Lost():
                sink.lack(delivered)
            case QueryProgress():
                observer.queried(delivered)
            case LookedUp():
                sink.looked_up(delivered)
            case Note():
                observer.note(delivered)
            case LookupProgress():
                observer.reached(delivered)
        observer.advance(counts.files, counts.bytes, counts.relevant)
        sink.checkpoint()


def unread_of(cut: CutShort) -> Skipped:
    """Return what a lookup that ended early did not read."""
    return Skipped(cut.source, cut.reason, of_pods=cut.of_pods)


def _ingest_document(scanned: ScannedDocument, sink: Sink, counts: SourceCounts) -> None:
    """Read the files of a document into a sink: one, or the members of an archive."""
    counts.found += len(scanned.files) - 1
    sink.open_document(scanned.document)
    for file in scanned.files:
        _ingest_file(file, sink, counts)
    sink.close_document(scanned)


def _ingest_file(scanned: Scanned, sink: Sink, counts: SourceCounts) -> None:
    counts.scanned(scanned)
    sink.begin(scanned)
    kept = _ingest_found(scanned, sink, counts) if scanned.found else 0
    sink.end(scanned)
    counts.list_file(scanned, kept)


def _ingest_found(scanned: Scanned, sink: Sink, counts: SourceCounts) -> int:
    """Read what was found in a file into a sink; return the number of facts that no file before it had."""
    known = sink.kept
    for found in scanned.found:
        if isinstance(found, Skipped):
            skipped = replace(found, of_pods=found.of_pods or _is_of_pods(scanned))
            counts.lost(skipped)
            sink.lose(skipped)
        else:
            _ingest_record(*found, sink, counts)
    return sink.kept - known


def _is_of_pods(scanned: Scanned) -> bool:
    """Return whether a file has pod evidence only: by what could be read of it, or else by its name."""
    read = scanned.tally.forms_read()
    return read <= POD_FORMS if read else _has_name_of_pod_log(scanned.uri)


def _has_name_of_pod_log(source: str) -> bool:
    """Return whether a file has the name of a log about pods, whatever is in it."""
    from cnitrail.model.pod_facts import is_pod_log

    return is_pod_log(source)


def _ingest_record(record: Record, decoded: Decoded, sink: Sink, counts: SourceCounts) -> None:
    if decoded.problems:
        counts.skipped += problems(record, decoded)
    if not decoded.is_relevant:
        return
    new = sink.add(record, decoded)
    if not decoded.says_something:
        counts.unreadable += len(record.origins)
    else:
        counts.duplicates += len(record.origins) - new
