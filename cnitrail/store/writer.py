"""Fills a store: records and what was read of them, in transactions of whole documents."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from cnitrail.errors import StoreError
from cnitrail.model import Record, Sign, Skipped
from cnitrail.store.index_columns import Filing, Mention, place_of
from cnitrail.store.schema import (
    TEXT,
    closed_on_error,
    connect,
    create,
    skipped_in,
    told,
    typed,
    uri_of,
)

_TURN_SECONDS = 60.0
"""How long one collect waits for another."""


class StoreWriter:
    """A store that is being filled; one at a time has it.

    What is added stands from the next ``commit`` on; leaving the context with an error, or being
    killed, takes back what came after the last one. ``wait`` is called once where another writer
    has the store. Raises ``StoreError`` where the file is no store, or cannot be written.
    """

    def __init__(self, path: str, wait: Callable[[], None]) -> None:
        self.path = path
        if not Path(path).absolute().parent.is_dir():
            raise StoreError(f"{path}: there is no such directory", "make the directory first")
        if Path(path).is_dir():
            raise StoreError(f"{path}: is a directory", "name a file in it")
        if Path(path).exists() and not Path(path).is_file():
            raise StoreError(f"{path}: not a regular file", "name one, or a place where there is nothing yet")
        self._turn = _turn(path, wait)
        try:
            is_new = not Path(path).exists() or Path(path).stat().st_size == 0
            self._connection = create(path) if is_new else connect(path)
        except StoreError:
            self._turn.close()
            raise
        self._documents: dict[str, int] = {}
        self._counted = Counter[str]()
        self._reached: dict[tuple[str, str], tuple[str, str]] = {}
        self.kept = 0
        """How many events were new."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._connection.close()  # what is not committed is rolled back
            self._turn.close()

    def commit(self) -> None:
        """Make everything that was added so far permanent, at once."""
        self._commit()
        self._begin()

    def _commit(self) -> None:
        with told(self.path):
            self._connection.execute(
                "UPDATE account SET files = files + ?, bytes = bytes + ?, records = records + ?,"
                " passed_over = passed_over + ?, relevant = relevant + ?, kept = kept + ?,"
                " duplicates = duplicates + ?, unreadable = unreadable + ?",
                [self._counted[each] for each in _COUNTED],
            )
            self._connection.executemany(
                "INSERT INTO reaches VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET first = min(first, excluded.first), last = max(last, excluded.last)",
                [(*place, *ends) for place, ends in self._reached.items()],
            )
            self._connection.execute("COMMIT")
            self._counted.clear()
            self._reached.clear()

    def _begin(self) -> None:
        with told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")

    def seen(self) -> frozenset[tuple[str, str]]:
        """The (uri, etag) of everything that was read to its end."""
        with told(self.path):
            rows = self._connection.execute("SELECT uri, etag FROM documents WHERE etag IS NOT NULL")
            return frozenset((uri_of(uri), etag) for uri, etag in typed(rows, TEXT, str))

    def is_empty(self) -> bool:
        """Whether nothing was ever read into it."""
        with told(self.path):
            return self._connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None

    def skipped(self) -> list[Skipped]:
        """What could not be read, in this run and all before it."""
        with told(self.path):
            return [*skipped_in(self._connection)]

    def add(self, record: Record, filing: Filing) -> bool:
        """File a record; one that is known gains the origins that are new. True where its event is new."""
        with told(self.path):
            kept = self.kept
            number = self._record(record.payload, filing)
            origins = [(number, self._document(each.source), each.index) for each in record.origins]
            before = self._connection.total_changes
            self._connection.executemany("INSERT OR IGNORE INTO origins VALUES (?, ?, ?)", origins)
            new = self._connection.total_changes - before
            is_new = self.kept > kept
            self._counted["records"] += new
            if filing.time is None:
                self._counted["unreadable"] += new
            else:
                self._counted["relevant"] += new
                self._counted["duplicates"] += new - is_new
            return is_new

    def _record(self, payload: bytes, filing: Filing) -> int:
        """The record's number; a new one is written with all that it is found by."""
        digest = blake2b(payload, digest_size=16).digest()
        known = self._connection.execute(
            "SELECT id FROM records WHERE key = ? AND digest = ?", (filing.key, digest)
        ).fetchone()
        if known is not None:
            return int(known[0])
        is_version = self._connection.execute(
            "SELECT 1 FROM records WHERE key = ? LIMIT 1", (filing.key,)
        ).fetchone()
        cursor = self._connection.execute(
            "INSERT INTO records (key, digest, time, event, effect, outcome, account, region,"
            " caller_instance, access_key, role, session, unclear, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                filing.key,
                digest,
                time_text(filing.time),
                filing.event,
                filing.effect,
                filing.outcome,
                filing.account,
                filing.region,
                filing.caller_instance,
                filing.access_key,
                filing.role,
                filing.session,
                filing.unclear,
                _text(payload),
            ),
        )
        number = cursor.lastrowid
        assert number is not None
        for mention in filing.mentions:
            self._mention(number, mention)
        if filing.effect is not None:
            self._reach(filing)
        if filing.time is not None and is_version is None:
            self.kept += 1
            self._counted["kept"] += 1
        return number

    def _reach(self, filing: Filing) -> None:
        """Note the first and the last event of each account and Region."""
        place, time = (filing.account or "", filing.region or ""), time_text(filing.time)
        assert time is not None
        first, last = self._reached.get(place, (time, time))
        self._reached[place] = min(first, time), max(last, time)

    def _mention(self, record: int, mention: Mention) -> None:
        cursor = self._connection.execute(
            "INSERT INTO subjects (record, eni, instance, attachment, trunk, mark, maker, cluster, vpc,"
            " reassign)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record,
                mention.eni,
                mention.instance,
                mention.attachment,
                mention.trunk,
                mention.mark,
                mention.maker,
                mention.cluster,
                mention.vpc,
                mention.reassign,
            ),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO addresses VALUES (?, ?, ?)",
            [(cursor.lastrowid, place_of(held), str(held)) for held in mention.addresses],
        )

    def read(
        self, uri: str, etag: str | None, files: int, size: int, passed_over: int, unreadable: int
    ) -> None:
        """Note that a document was read to its end: its stored bytes, and its records that are not filed.

        Those are of no matter, or could not be read. A new version takes the place of the one before;
        where nothing tells versions apart, each reading counts.
        """
        counts = Counter(files=files, bytes=size, passed_over=passed_over, unreadable=unreadable)
        with told(self.path):
            number = self._document(uri)
            row = self._connection.execute(
                "SELECT files, bytes, passed_over, unreadable FROM documents WHERE id = ?", (number,)
            ).fetchone()
            earlier = Counter(dict(zip(counts, row, strict=True)))
            self._counted.update(counts)
            if etag is not None:
                self._counted.subtract(earlier)
                self._counted["records"] -= earlier["passed_over"] + earlier["unreadable"]
            else:
                counts.update(earlier)
            self._connection.execute(
                "UPDATE documents SET etag = ?, files = ?, bytes = ?, passed_over = ?, unreadable = ?"
                " WHERE id = ?",
                (etag, *counts.values(), number),
            )
            self._counted["records"] += passed_over + unreadable

    def sign(self, signs: Iterable[Sign]) -> None:
        """Note by which signs the evidence covers which times."""
        with told(self.path):
            self._connection.executemany(
                "INSERT OR IGNORE INTO signs VALUES (?, ?, ?)",
                [(account or "", region or "", time_text(time)) for account, region, time in signs],
            )

    def skip(self, skipped: Skipped, asked: str | None = None) -> None:
        """Keep what could not be read; ``asked`` is the source, where no document was opened at all."""
        with told(self.path):
            self._connection.execute(
                "INSERT OR IGNORE INTO skipped (document, reason, asked, extent) VALUES (?, ?, ?, ?)",
                (self._document(skipped.source), skipped.reason, asked, skipped.extent),
            )

    def retry(self, uri: str) -> None:
        """Forget what could not be read of a document: it is being read again."""
        with told(self.path):
            self._connection.execute("DELETE FROM skipped WHERE document = ?", (self._document(uri),))

    def settle(self, asked: str, still: Collection[Skipped]) -> None:
        """Forget what of a source could not be opened before, and now can."""
        told_still = {(each.source, each.reason, each.extent) for each in still}
        with told(self.path):
            rows = self._connection.execute(
                "SELECT document, uri, reason, extent FROM skipped JOIN documents ON id = document"
                " WHERE asked = ?",
                (asked,),
            )
            earlier = [*typed(rows, int, TEXT, str, str)]
            self._connection.executemany(
                "DELETE FROM skipped WHERE document = ? AND reason = ?",
                [
                    (number, reason)
                    for number, uri, reason, extent in earlier
                    if (uri_of(uri), reason, extent) not in told_still
                ],
            )

    def _document(self, uri: str) -> int:
        """The number of a document, or of any other place where records are found."""
        known = self._documents.get(uri)
        if known is not None:
            return known
        named = (_text(os.fsencode(uri)),)
        self._connection.execute("INSERT OR IGNORE INTO documents (uri) VALUES (?)", named)
        found = self._connection.execute("SELECT id FROM documents WHERE uri = ?", named).fetchone()
        if len(self._documents) >= _REMEMBERED:
            self._documents.clear()
        self._documents[uri] = number = int(found[0])
        return number


_REMEMBERED = 10_000
_COUNTED = ("files", "bytes", "records", "passed_over", "relevant", "kept", "duplicates", "unreadable")


def time_text(time: datetime | None) -> str | None:
    """A time as it stands in the tables, which sorts as it passes."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z") if time is not None else None


def _text(raw: bytes) -> str | bytes:
    """Text where it is valid, so that any SQLite tool shows it; else the bytes as they came."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _turn(path: str, wait: Callable[[], None]) -> sqlite3.Connection:
    """The right to write a store, until closed or killed: a lock on an empty file beside it.

    Not on the store itself: questions may be asked of it meanwhile.
    """
    with told(f"{path}-lock"):
        lock = sqlite3.connect(f"{path}-lock", timeout=0, isolation_level=None)
    with closed_on_error(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):
                raise StoreError(
                    f"{path}: cannot be written: {error}", "check the path and its permissions"
                ) from error
        else:
            return lock
        wait()
        lock.execute(f"PRAGMA busy_timeout = {int(_TURN_SECONDS * 1000)}")
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{path}: another collect has been writing to it for {_TURN_SECONDS:.0f} s", "try again later"
            ) from error
    return lock
