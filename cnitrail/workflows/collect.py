"""Sources → store: the workflow of ``collect``."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.errors import UsageError
from cnitrail.model import Extent, Skipped
from cnitrail.sources import open_source, sources_or_default
from cnitrail.store.writer import ReadFile, StoreWriter
from cnitrail.workflows.accounting import SourceCounts, no_files
from cnitrail.workflows.index_entry import index_entry
from cnitrail.workflows.ingest import ingest
from cnitrail.workflows.observer import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnitrail.decode import Decoded
    from cnitrail.model import CutShort, Document, Growth, LookedUp, Record, Scope, StoredCounts
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
        raise UsageError(f"{store} is both a source and the store to collect into")
    for uri in uris:
        open_source(uri, scope)  # fails before a store is made
    with StoreWriter(store, lambda: observer.wait(f"another collect is writing to {store}")) as writer:
        collector = Collector(writer, observer, clock)
        for uri in uris:
            collector.collect(open_source(uri, replace(scope, seen=writer.seen(), into=store)), scope.growth)
        if writer.is_empty():
            raise no_files(uris[0], collector.collected.other_files)
        skipped = collector.collected.skipped
        known = {skip.source for skip in skipped}
        skipped += [skip for skip in writer.skipped() if skip.source not in known]
    return collector.collected, writer.kept


class Collector:
    """Reads sources into a store, in transactions that end between two documents."""

    def __init__(
        self, store: StoreWriter, observer: Observer = SILENT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.collected = SourceCounts()
        """What this run has read."""
        self._store = store
        self._observer = observer
        self._clock = clock

    def collect(self, source: Source, growth: Growth) -> None:
        """Read what is new in a source; ``growth`` bounds the text of compressed files.

        Raises ``AccountingError`` if what was read does not add up.
        """
        sink = _StoreSink(self._store, source.uri, self._clock)
        ingest(source, growth, sink, self.collected, self._observer)
        self._store.settle(source.uri, sink.skipped)
        self.collected.check(source.uri)


class _StoreSink:
    """Puts records into a store, with a note of each document that was read."""

    def __init__(self, store: StoreWriter, source: str, clock: Callable[[], float]) -> None:
        self.skipped: set[Skipped] = set()
        """What the source could not deliver."""
        self._store = store
        self._source = source
        self._clock = clock
        self._committed = clock()

    @property
    def kept(self) -> int:
        return self._store.kept

    def open_document(self, document: Document) -> None:
        self._store.retry(document.uri, is_replaced=document.etag is not None)

    def begin(self, scanned: Scanned) -> None:
        """Do nothing: a store counts a file at its end."""

    def end(self, scanned: Scanned) -> None:
        """Note that a file was read, unless its bytes could not all be read."""
        if scanned.tally.other_kind is None:
            self._store.sign(scanned.tally.signs)
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
        return self._store.add(record, entry)

    def lose(self, skipped: Skipped) -> None:
        self._store.skip(skipped)

    def skip(self, skipped: Skipped) -> None:
        self.skipped.add(skipped)
        self._store.skip(skipped, self._source)

    def cut_short(self, cut: CutShort) -> None:
        """Note it as something that was skipped: the next run reads it again."""
        self.skip(Skipped(cut.source, cut.reason))

    def looked_up(self, looked_up: LookedUp) -> None:
        """Do nothing: a store knows only events and files."""

    def take_over(self, counts: StoredCounts) -> None:
        """Take over what another store has counted."""
        self._store.sign(counts.signs)
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
