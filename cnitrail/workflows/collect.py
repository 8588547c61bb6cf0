"""Sources → store: the workflow of ``collect``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.errors import SourceError, UsageError
from cnitrail.model import Extent, Skipped
from cnitrail.sources import open_source, sources_or_default
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows.accounting import SourceCounts
from cnitrail.workflows.index_entry import index_entry
from cnitrail.workflows.ingest import ingest
from cnitrail.workflows.observer import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnitrail.decode import Decoded
    from cnitrail.model import Growth, Record, Scope, StoredCounts
    from cnitrail.sources import Source
    from cnitrail.workflows.observer import Observer
    from cnitrail.workflows.scan_pool import Scanned

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
            raise SourceError(f"{uris[0]}: no files in it", "name the directory that holds the log files")
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

    def begin(self, scanned: Scanned) -> None:
        self._store.retry(scanned.document.uri)

    def end(self, scanned: Scanned) -> None:
        """Note that a document was read, unless its bytes could not all be read."""
        document, tally = scanned.document, scanned.tally
        self._store.sign(tally.signs)
        if not scanned.failed:
            skips = [found for found in scanned.found if isinstance(found, Skipped)]
            unreadable = tally.unlisted + sum(skip.extent is Extent.RECORD for skip in skips)
            self._store.read(document.uri, document.etag, 1, tally.bytes, tally.passed_over, unreadable)

    def add(self, record: Record, decoded: Decoded) -> int:
        entry = index_entry(record, decoded)
        assert entry is not None
        return self._store.add(record, entry)

    def lose(self, skipped: Skipped) -> None:
        self._store.skip(skipped)

    def skip(self, skipped: Skipped) -> None:
        self.skipped.add(skipped)
        self._store.skip(skipped, self._source)

    def take_over(self, counts: StoredCounts) -> None:
        """Take over what another store has counted."""
        self._store.sign(counts.signs)
        self._store.read(
            counts.uri,
            counts.etag,
            counts.files,
            counts.bytes,
            counts.passed_over,
            counts.unreadable,
        )

    def checkpoint(self) -> None:
        now = self._clock()
        if now - self._committed > _BATCH_SECONDS:
            self._store.commit()
            self._committed = now
