"""Sources → store: the loop of ``collect``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cnitrail.cli.filing import file_under
from cnitrail.cli.scanning import Scanned, problems, scan_source
from cnitrail.decode import decode
from cnitrail.model import Account, Note, Record, Skipped
from cnitrail.scan import Tally

if TYPE_CHECKING:
    from cnitrail.cli.progress import Progress
    from cnitrail.decode import Decoded
    from cnitrail.sources import Source
    from cnitrail.store.writer import Writer

_BATCH_SECONDS = 0.5
"""How much work a kill may take back at most, but for the document at hand."""


class Collected(Struct):
    """What one run of ``collect`` brought in."""

    files: int = 0
    relevant: int = 0
    tally: Tally = field(default_factory=Tally)
    skipped: list[Skipped] = field(default_factory=list)


class Collector:
    """Brings sources into a store, in transactions that end between two documents."""

    def __init__(self, store: Writer, progress: Progress) -> None:
        self.collected = Collected()
        self._store = store
        self._progress = progress
        self._committed = time.monotonic()

    def collect(self, source: Source) -> None:
        """Read what is new in a source."""
        unopened: set[Skipped] = set()
        self._progress.begin(source, self.collected.tally.bytes)
        for delivered in scan_source(source):
            match delivered:
                case Scanned():
                    self._document(delivered)
                case Record():
                    self.collected.tally.records += 1
                    self._record(delivered, decode(delivered))
                case Skipped():
                    unopened.add(delivered)
                    self.collected.skipped.append(delivered)
                    self._store.skip(delivered, source.uri)
                case Note():
                    self._progress.note(delivered, self.collected.files)
                case Account():
                    self._account(delivered)
            counted = self.collected
            self._progress.advance(counted.files, counted.tally.bytes, counted.relevant)
            if time.monotonic() - self._committed > _BATCH_SECONDS:
                self._store.commit()
                self._committed = time.monotonic()
        self._store.settle(source.uri, unopened)

    def _document(self, scanned: Scanned) -> None:
        """File what a document holds, and mark it as read unless its bytes could not all be had."""
        document, tally, filed = scanned.document, scanned.tally, 0
        self.collected.files += 1
        self.collected.tally.bytes += tally.bytes
        self.collected.tally.records += tally.records
        self._store.retry(document.uri)
        for found in scanned.found:
            if isinstance(found, Skipped):
                self.collected.skipped.append(found)
                self._store.skip(found)
            else:
                filed += self._record(*found)
        self._store.sign(tally.signs)
        if not scanned.failed:
            self._store.read(document.uri, document.etag, 1, tally.bytes, tally.records - filed)

    def _record(self, record: Record, decoded: Decoded) -> bool:
        """File a record; False where it is of no matter."""
        self.collected.skipped += problems(record, decoded)
        filing = file_under(record, decoded)
        if filing is None:
            return False
        self.collected.relevant += decoded.fact is not None
        self._store.add(record, filing)
        return True

    def _account(self, account: Account) -> None:
        """Take over what another store has counted."""
        self.collected.files += account.files
        self.collected.tally.bytes += account.bytes
        self.collected.tally.records += account.records
        passed_over = account.records - account.relevant
        self._store.sign(account.signs)
        self._store.read(account.uri, account.etag, account.files, account.bytes, passed_over)
