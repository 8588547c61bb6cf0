"""Sources → store: the loop of ``collect``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cnitrail.decode import decode
from cnitrail.model import Extent, Note, Record, Skipped, StoredCounts
from cnitrail.workflows.accounting import SourceCounts
from cnitrail.workflows.index_entry import index_entry
from cnitrail.workflows.scan_pool import Scanned, problems, scan_source

if TYPE_CHECKING:
    from cnitrail.cli.progress import Progress
    from cnitrail.decode import Decoded
    from cnitrail.model import Growth
    from cnitrail.sources import Source
    from cnitrail.store.writer import StoreWriter

_BATCH_SECONDS = 0.5
"""How much work a kill may take back at most, but for the document at hand."""


class Collector:
    """Brings sources into a store, in transactions that end between two documents."""

    def __init__(self, store: StoreWriter, progress: Progress) -> None:
        self.collected = SourceCounts()
        """What this run brought in."""
        self._store = store
        self._progress = progress
        self._committed = time.monotonic()

    def collect(self, source: Source, growth: Growth) -> None:
        """Read what is new in a source, whose compressed files may give so much text.

        Raises ``AccountError`` where what was read does not add up.
        """
        unopened: set[Skipped] = set()
        count, known = self.collected, self._store.kept
        self._progress.begin(source, count.bytes)
        for delivered in scan_source(source, growth):
            match delivered:
                case Scanned():
                    self._document(delivered)
                case Record():
                    decoded = decode(delivered)
                    count.single(len(delivered.origins), matters=decoded.matters)
                    self._record(delivered, decoded)
                case Skipped():
                    unopened.add(delivered)
                    count.not_delivered(delivered)
                    self._store.skip(delivered, source.uri)
                case Note():
                    self._progress.note(delivered, count.files)
                case StoredCounts():
                    self._account(delivered)
            self._progress.advance(count.files, count.bytes, count.relevant)
            if time.monotonic() - self._committed > _BATCH_SECONDS:
                self._store.commit()
                self._committed = time.monotonic()
        self._store.settle(source.uri, unopened)
        count.found += source.found
        count.kept += self._store.kept - known
        count.check(source.uri)

    def _document(self, scanned: Scanned) -> None:
        """File what a document holds, and mark it as read unless its bytes could not all be had."""
        document, tally, unreadable = scanned.document, scanned.tally, scanned.tally.untold
        self.collected.scanned(scanned)
        self._store.retry(document.uri)
        for found in scanned.found:
            if isinstance(found, Skipped):
                unreadable += found.extent is Extent.RECORD
                self.collected.lost(found)
                self._store.skip(found)
            else:
                self._record(*found)
        self._store.sign(tally.signs)
        if not scanned.failed:
            self._store.read(document.uri, document.etag, 1, tally.bytes, tally.passed_over, unreadable)

    def _record(self, record: Record, decoded: Decoded) -> None:
        """File a record, unless it is of no matter."""
        count = self.collected
        count.skipped += problems(record, decoded)
        filing = index_entry(record, decoded)
        if filing is None:
            return
        is_new = self._store.add(record, filing)
        if decoded.fact is None:
            count.unreadable += len(record.origins)
        else:
            count.duplicates += len(record.origins) - is_new

    def _account(self, account: StoredCounts) -> None:
        """Take over what another store has counted."""
        self.collected.take_over(account)
        self._store.sign(account.signs)
        self._store.read(
            account.uri,
            account.etag,
            account.files,
            account.bytes,
            account.passed_over,
            account.unreadable,
        )
