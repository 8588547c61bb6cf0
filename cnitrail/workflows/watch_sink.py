"""What the polls of ``--watch`` fill: a ledger that drops what it has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.history import Ledger
from cnitrail.sources.layout import is_in_scope, log_name
from cnitrail.workflows.read import LedgerSink

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.decode import Decoded
    from cnitrail.model import Document, Record, Scope, Skipped, StoredCounts
    from cnitrail.workflows.scan_pool import Scanned, ScannedDocument


class WatchSink(LedgerSink):
    """A ledger that many polls fill; it drops repeats."""

    def __init__(self) -> None:
        super().__init__(Ledger(), None, None)
        self.seen: dict[str, str] = {}
        """The ETags of the documents that were read, by URI."""
        self.known: set[object] = set()
        """What identifies the records that were taken."""
        self.missed: list[Skipped] = []
        """What could not be read in this poll, and is asked for again."""
        self.whole: set[str] = set()
        """The documents that this poll has read to their end."""
        self.newest: dict[str, datetime] = {}
        """The newest time of each source: of an event, or in the name of a log file."""
        self._uri = ""
        self._is_answer = False

    def open(self, source: str, *, answers_completely: bool) -> None:
        """Begin a source."""
        super().open(source, answers_completely=answers_completely)
        self._uri, self._is_answer = source, answers_completely

    def begin_poll(self) -> None:
        """Begin a poll: what was missed before may be read in this one."""
        for skipped in self.missed:
            self.unread.pop(skipped.source, None)
        self.missed = []
        self.whole = set()

    def open_document(self, document: Document) -> None:
        """Begin a document, perhaps again: what could not be read of it before may be there now."""
        self.unread.pop(document.uri, None)

    def begin(self, scanned: Scanned) -> None:
        """Begin a file; the name of a log file has its time."""
        super().begin(scanned)
        name = log_name(scanned.uri)
        if name is not None:
            self._reach(name.delivered)

    def close_document(self, scanned: ScannedDocument) -> None:
        """End a document; unless it was torn, it is not read again."""
        document = scanned.document
        if any(file.failed for file in scanned.files):
            return
        self.whole.add(document.uri)
        if document.etag is not None:
            self.seen[document.uri] = document.etag

    def take_over(self, counts: StoredCounts) -> None:
        """Take what a store counted of a document that it had read."""
        super().take_over(counts)
        if counts.etag is not None:
            self.seen[counts.uri] = counts.etag

    def add(self, record: Record, decoded: Decoded) -> int:
        """Take a record unless an earlier poll brought it: pages of LookupEvents overlap, files grow."""
        fact = decoded.fact
        key = fact.key if fact is not None else None
        is_damaged = self._is_altered(record)
        place = self._uri if self._is_answer and key is not None else record.origins
        if (key, place, is_damaged) in self.known:
            return 0
        self.known.add((key, place, is_damaged))
        if fact is not None and self._is_answer:
            self._reach(fact.time)
        return super().add(record, decoded)

    def skip(self, skipped: Skipped) -> None:
        """Take what could not be read: the next poll asks for it again."""
        super().skip(skipped)
        self.missed.append(skipped)

    def _reach(self, time: datetime) -> None:
        self.newest[self._uri] = max(self.newest.get(self._uri, time), time)

    def forget(self, uri: str, scope: Scope) -> None:
        """Forget the objects of a bucket that are out of scope now: they are not listed again."""
        if uri.startswith("s3://"):
            self.seen = {
                name: etag
                for name, etag in self.seen.items()
                if not name.startswith("s3://") or is_in_scope(name, scope)
            }
