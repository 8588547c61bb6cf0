"""Sources → store: the workflow of ``collect``."""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.errors import UsageError
from cnitrail.intervals import between
from cnitrail.model import Extent, Origin, Skipped, StoredRecord
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.table import files_of_table, table_of
from cnitrail.sources import open_source, source_type, sources_or_default
from cnitrail.sources.layout import log_name
from cnitrail.store.writer import ReadFile, StoreWriter
from cnitrail.workflows.accounting import SourceCounts, no_files
from cnitrail.workflows.index_entry import index_entry
from cnitrail.workflows.ingest import ingest, unread_of
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.scan_pool import ScanPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnitrail.decode import Decoded
    from cnitrail.model import CutShort, Document, LookedUp, Lost, Record, Scope, StoredCounts
    from cnitrail.sources import Source
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.scan_pool import Scanned, ScannedDocument

_BATCH_SECONDS = 0.5
"""Maximum age of an open transaction between two documents: what a kill may lose."""


def collect_sources(
    uris: tuple[str, ...],
    scope: Scope,
    store: str,
    observer: Observer = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[SourceCounts, int]:
    """Read what is new in sources into a store; return what was counted, and how many facts are new.

    ``skipped`` of the counts also has what earlier runs could not read. ``clock`` returns seconds that only
    grow. Raises ``UsageError`` if the store is a source, and ``SourceError`` if a source or the store cannot
    be read.
    """
    uris = sources_or_default(uris)
    if os.path.realpath(store) in map(os.path.realpath, uris):
        message = f"{store} is both a source and the store to collect into"
        raise UsageError(message, "name another file for --to")
    for uri in uris:
        open_source(uri, scope)  # fails before a store is made
    with StoreWriter(store, lambda: observer.wait(f"another collect is writing to {store}")) as writer:
        with ScanPool(scope.growth, workers=scope.workers) as pool:
            collector = Collector(writer, pool, observer, clock)
            for uri in uris:
                collector.collect(open_source(uri, replace(scope, seen=writer.seen(), into=store)), scope)
        if writer.is_empty():
            raise no_files(uris[0], collector.collected.other_files)
        skipped = collector.collected.skipped
        known = {skip.source for skip in skipped}
        skipped += [skip for skip in writer.skipped() if skip.source not in known]
    return collector.collected, writer.kept


class Collector:
    """Reads sources into a store, in transactions that end between two documents."""

    def __init__(
        self,
        store: StoreWriter,
        pool: ScanPool,
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.collected = SourceCounts()
        """What this run has read."""
        self._store = store
        self._pool = pool
        self._observer = observer
        self._clock = clock

    def collect(self, source: Source, scope: Scope) -> None:
        """Read what is new in a source, which was opened for ``scope``.

        Raises ``AccountingError`` if what was read does not add up.
        """
        sink = _StoreSink(self._store, source.uri, self._clock)
        is_table = source_type(source.uri).is_table
        ingest(source, self._pool, sink, self.collected, self._observer)
        self._store.settle(source.uri, sink.skipped)
        if sink.lost or is_table:
            whole = between(scope.since, scope.until)
            self._store.lack(sink.table, whole, sink.lost, partial(_is_asked, scope))
        self.collected.check(source.uri)


class _StoreSink:
    """Puts records into a store, with a note of each document that was read."""

    def __init__(self, store: StoreWriter, source: str, clock: Callable[[], float]) -> None:
        self.skipped: set[Skipped] = set()
        """What the source could not deliver."""
        self.lost: list[Lost] = []
        """What a table lacks."""
        self.table = source
        """The source; of a table with the mark of its files."""
        self._store = store
        self._source = source
        self._part: str | None = None
        self._is_damaged = False
        self._clock = clock
        self._committed = clock()

    @property
    def kept(self) -> int:
        return self._store.kept

    def open_document(self, document: Document) -> None:
        self._store.retry(document.uri, is_replaced=document.etag is not None)

    def begin(self, scanned: Scanned) -> None:
        """Begin a file, or a part of a table, whose records have the names of the files in the table."""
        table = table_of(scanned.uri)
        self._part = scanned.uri if table is not None else None
        self._is_damaged = scanned.tally.damaged
        if table is not None:
            self._store.name_table(table)
            self.table = files_of_table(scanned.uri) or self.table

    def end(self, scanned: Scanned) -> None:
        """Note that a file was read, unless its bytes could not all be read."""
        self._part, self._is_damaged = None, False
        if scanned.tally.other_kind is None:
            self._store.sign(scanned.tally.signs)
        if scanned.tally.heard:
            self._store.hear(scanned.uri, scanned.tally.heard)
        if not scanned.failed:
            self._store.read(_read_file(scanned))

    def close_document(self, scanned: ScannedDocument) -> None:
        """Note that an archive was read, in the same transaction as its members."""
        document, files = scanned.document, scanned.files
        if [file.uri for file in files] != [document.uri]:
            is_complete = not any(file.failed for file in files)
            self._store.mark(document.uri, document.etag if is_complete else None)

    def add(self, record: Record, decoded: Decoded) -> int:
        entry = index_entry(record, decoded)
        assert entry is not None
        is_damaged = self._is_damaged or (isinstance(record, StoredRecord) and record.is_damaged)
        if record.origins[0].form in POD_FORMS:
            from cnitrail.decode.pods.stored import stored_record

            record = stored_record(record, decoded.pods, decoded.problems)
        if self._part:
            record = _of_part(record, self._part)
        return self._store.add(record, entry, self._part, is_damaged=is_damaged)

    def lose(self, skipped: Skipped) -> None:
        self._store.skip(skipped)

    def skip(self, skipped: Skipped) -> None:
        self.skipped.add(skipped)
        self._store.skip(skipped, self._source)

    def cut_short(self, cut: CutShort) -> None:
        """Note it as something that was skipped: the next run reads it again."""
        self.skip(unread_of(cut))

    def lack(self, lost: Lost) -> None:
        """Note what a table lacks, so that the store also says it."""
        self.lost.append(lost)

    def looked_up(self, looked_up: LookedUp) -> None:
        """Do nothing: a store knows only events and files."""

    def take_over(self, counts: StoredCounts) -> None:
        """Take over what another store has counted."""
        self._store.sign(counts.signs)
        for (file, form), minutes in counts.heard.items():
            self._store.hear(file, ((form, minute) for minute in minutes))
        for table in counts.tables:
            self._store.name_table(table)
        files = Counter[str]()
        for report in counts.forms:
            files[report.form] += report.files
        self._store.read(
            ReadFile(
                uri=counts.uri,
                etag=counts.etag,
                files=counts.files,
                bytes=counts.bytes,
                passed_over=counts.passed_over,
                unreadable=counts.unreadable,
                compression=None,
                forms={form: (number, counts.rest.get(form, 0)) for form, number in files.items()},
                other_files=counts.other_files,
            )
        )

    def checkpoint(self) -> None:
        now = self._clock()
        if now - self._committed > _BATCH_SECONDS:
            self._store.commit()
            self._committed = now


def _of_part(record: Record, part: str) -> Record:
    """Return a record of a part of a table, which is its origin if the table does not read log files.

    The files of a copy are written again as others, for example when a table in Iceberg is compacted.
    """
    whole = part.partition("!/")[0]
    if log_name(record.origins[0].source) is not None:
        return record
    return replace(record, origins=tuple(Origin(whole, o.index, o.form) for o in record.origins))


def _is_asked(scope: Scope, lost: Lost) -> bool:
    """Return whether something that a table lacks was asked of it."""
    is_account = not scope.accounts or lost.account in scope.accounts
    is_region = not scope.regions or "all" in scope.regions or lost.region in scope.regions
    return is_account and is_region


def _read_file(scanned: Scanned) -> ReadFile:
    """Return the counts of a file, without the records that were added to the store."""
    document, tally = scanned.document, scanned.tally
    added, unreadable = Counter[str](), tally.unlisted
    for found in scanned.found:
        if isinstance(found, Skipped):
            unreadable += found.extent is Extent.RECORD
        elif found[1].is_relevant:
            added.update(origin.form for origin in found[0].origins)
    return ReadFile(
        uri=scanned.uri,
        etag=document.etag if scanned.uri == document.uri else None,
        files=int(tally.other_kind is None),
        bytes=tally.bytes,
        passed_over=tally.passed_over,
        unreadable=unreadable,
        compression=tally.compression,
        forms={form: (1, records - added[form]) for form, records in tally.forms.items()},
        other_files={tally.other_kind: 1} if tally.other_kind is not None else {},
    )
