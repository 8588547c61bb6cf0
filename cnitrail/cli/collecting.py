"""Sources → store: the loop of ``collect``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cnitrail.cli.filing import file_under
from cnitrail.cli.reading import scan_document
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.model import Account, Document, Note, Record, Skipped
from cnitrail.scan import Scanner, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.cli.progress import Progress
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
        self._scanner = Scanner(NAMES, MARKERS)
        self._committed = time.monotonic()

    def collect(self, source: Source) -> None:
        """Read what is new in a source."""
        unopened: set[Skipped] = set()
        self._progress.begin(source, self.collected.tally.bytes)
        for delivered in source.documents():
            match delivered:
                case Document():
                    self._document(delivered)
                case Record():
                    self.collected.tally.records += 1
                    self._record(delivered)
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

    def _document(self, document: Document) -> None:
        """Read a document, and mark it as read unless its bytes could not all be had."""
        self.collected.files += 1
        self._store.retry(document.uri)
        chunks = _Chunks(document.chunks)
        tally = self.collected.tally
        before, filed = Tally(tally.bytes, tally.records), 0
        tally.signs.clear()
        watched = Document(document.uri, document.size, iter(chunks), document.etag)
        for found in scan_document(self._scanner, watched, tally):
            if isinstance(found, Skipped):
                self.collected.skipped.append(found)
                self._store.skip(found)
            else:
                filed += self._record(found)
        self._store.sign(tally.signs)
        if not chunks.failed:
            passed_over = tally.records - before.records - filed
            size = tally.bytes - before.bytes
            self._store.read(document.uri, document.etag, 1, size, passed_over)

    def _record(self, record: Record) -> bool:
        """File a record; False where it is of no matter."""
        decoded = decode(record)
        self.collected.skipped += [
            Skipped(origin.source, f"record {origin.index}: {problem}")
            for origin in record.origins
            for problem in decoded.problems
        ]
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


class _Chunks:
    """The pieces of a document, and whether one could not be had."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except OSError:
            self.failed = True
            raise
