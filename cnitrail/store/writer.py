"""Fills a store with records, in transactions of whole documents."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct, json
from msgspec.structs import replace

from cnitrail.errors import StoreError
from cnitrail.intervals import Interval, between, difference
from cnitrail.jsontext import parse
from cnitrail.model import Lost, Origin, Record, Sign, Skipped
from cnitrail.model.rhythm import rhythm_of
from cnitrail.store.file_header import is_store
from cnitrail.store.index_columns import IndexEntry, Mention, block_key, sort_key
from cnitrail.store.schema import (
    COUNT_FORMS,
    TEXT,
    closed_on_error,
    connect,
    create,
    is_summed,
    lacks_in,
    skipped_in,
    time_of,
    time_text,
    translate_errors,
    typed,
    uri_of,
)

LOCK_TIMEOUT = 60.0
"""How long one writer waits for another, in seconds."""


class ReadFile(Struct, frozen=True, kw_only=True):
    """The counts of a document, a member of an archive, or another store, without the records added.

    ``forms`` has by form the number of files, and of records that were not added: those that are not relevant
    (``passed_over``) or could not be read (``unreadable``). ``compression`` is None for a store.
    ``other_files`` has by kind the number of files that are not CloudTrail's. ``etag`` is None if the source
    has none.
    """

    uri: str
    etag: str | None
    files: int
    bytes: int
    passed_over: int
    unreadable: int
    compression: tuple[str, ...] | None
    forms: Mapping[str, tuple[int, int]]
    other_files: Mapping[str, int]


class StoreWriter:
    """A store that is open for writing, by one writer at a time.

    Additions are kept from the next ``commit`` on; leaving the context with an error, or a kill, rolls back
    to the last one. ``wait`` is called once if another writer has the lock. Raises ``StoreError`` if the
    file is not a store, or cannot be written.
    """

    def __init__(self, path: str, wait: Callable[[], None]) -> None:
        self.path = path
        if not Path(path).absolute().parent.is_dir():
            raise StoreError(f"{path}: no such directory", "create the directory first")
        if Path(path).is_dir():
            raise StoreError(f"{path}: is a directory", "name a file in it")
        if Path(path).exists() and not Path(path).is_file():
            raise StoreError(f"{path}: not a regular file", "name a regular file, or a new path")
        is_new = not Path(path).exists() or Path(path).stat().st_size == 0
        if not is_new and not is_store(path):
            connect(path).close()  # raises, before a lock is left beside somebody else's file
        self._lock = _writer_lock(path, wait)
        try:
            is_new = not Path(path).exists() or Path(path).stat().st_size == 0
            self._connection = create(path) if is_new else connect(path)
        except StoreError:
            self._lock.close()
            raise
        self._documents: dict[str, int] = {}
        self._described: set[tuple[tuple[str | None, ...], str]] = set()
        self._counted = Counter[str]()
        self._added = Counter[tuple[int, str]]()
        """New origins by document and form."""
        self._kept = Counter[int]()
        self._copies = Counter[tuple[int, int]]()
        """The number of copies of each record in each document, in the part of a table that is read."""
        """New events by document."""
        self._was_summed = False
        self._signed: set[tuple[str, str]] = set()
        """The accounts and Regions that have new signs."""
        self._reached: dict[tuple[str, str], tuple[str, str]] = {}
        self.kept = 0
        """Number of new events."""

    def __enter__(self) -> Self:
        self._begin()
        with translate_errors(self.path):
            self._was_summed = is_summed(self._connection)
            self._connection.execute("UPDATE account SET is_summed = 0")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._enter_counts()
                self._sum_up()
                self._commit()
        finally:
            self._connection.close()  # what is not committed is rolled back
            self._lock.close()

    def commit(self) -> None:
        """Commit everything that was added so far, in one transaction."""
        self._enter_counts()
        self._commit()
        self._begin()

    def _commit(self) -> None:
        with translate_errors(self.path):
            self._connection.execute("COMMIT")

    def _enter_counts(self) -> None:
        """Enter what was counted since the last transaction."""
        with translate_errors(self.path):
            self._connection.execute(
                "UPDATE account SET files = files + ?, bytes = bytes + ?, records = records + ?,"
                " passed_over = passed_over + ?, relevant = relevant + ?, kept = kept + ?,"
                " duplicates = duplicates + ?, unreadable = unreadable + ?",
                [self._counted[column] for column in _COUNTED],
            )
            self._connection.executemany(
                "INSERT INTO reaches VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET first = min(first, excluded.first), last = max(last, excluded.last)",
                [(*account_region, *ends) for account_region, ends in self._reached.items()],
            )
            self._connection.executemany(
                "INSERT INTO forms VALUES (?, ?, 0, ?, 0)"
                " ON CONFLICT DO UPDATE SET added = added + excluded.added",
                [(*document_form, number) for document_form, number in self._added.items()],
            )
            self._connection.executemany(
                "UPDATE documents SET kept = kept + ? WHERE id = ?",
                [(number, document) for document, number in self._kept.items()],
            )
            self._added.clear()
            self._kept.clear()
            self._counted.clear()
            self._reached.clear()

    def _sum_up(self) -> None:
        """Enter the sums of large tables."""
        with translate_errors(self.path):
            self._connection.execute("DELETE FROM form_counts")
            self._connection.execute(f"INSERT INTO form_counts {COUNT_FORMS}")
            if not self._was_summed:
                self._signed.update(self._connection.execute("SELECT DISTINCT account, region FROM signs"))
            for place in self._signed:
                self._sum_up_signs(*place)
            self._connection.execute("UPDATE account SET is_summed = 1")

    def _sum_up_signs(self, account: str, region: str) -> None:
        """Enter how often something of an account and Region was logged."""
        place = (account, region)
        rows = self._connection.execute(
            "SELECT time FROM signs WHERE account = ? AND region = ? ORDER BY time", place
        )
        rhythm = rhythm_of([time_of(time) for (time,) in typed(rows, str)])
        ends = (time_text(rhythm.first), time_text(rhythm.last))
        self._connection.execute(
            "INSERT OR REPLACE INTO rhythms VALUES (?, ?, ?, ?, ?)",
            (*place, *ends, int(rhythm.usual.total_seconds())),
        )
        self._connection.execute("DELETE FROM gaps WHERE account = ? AND region = ?", place)
        self._connection.executemany(
            "INSERT INTO gaps VALUES (?, ?, ?, ?)",
            [(*place, time_text(gap.start), time_text(gap.end)) for gap in rhythm.gaps],
        )

    def _begin(self) -> None:
        with translate_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")

    def seen(self) -> frozenset[tuple[str, str]]:
        """Return the (uri, etag) of every document that was read to its end."""
        with translate_errors(self.path):
            rows = self._connection.execute("SELECT uri, etag FROM documents WHERE etag IS NOT NULL")
            return frozenset((uri_of(uri), etag) for uri, etag in typed(rows, TEXT, str))

    def is_empty(self) -> bool:
        """Return whether nothing of CloudTrail, and nothing unreadable, was ever added."""
        with translate_errors(self.path):
            (is_filled,) = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM documents WHERE files > 0)"
                " OR EXISTS (SELECT 1 FROM records) OR EXISTS (SELECT 1 FROM skipped)"
            ).fetchone()
            return not is_filled

    def skipped(self) -> list[Skipped]:
        """Return what could not be read, in this run and all earlier ones."""
        with translate_errors(self.path):
            return [*skipped_in(self._connection)]

    def add(
        self, record: Record, entry: IndexEntry, part: str | None = None, *, is_damaged: bool = False
    ) -> bool:
        """Add a record, or its new origins if it is known. Return whether its event is new.

        ``part`` is the part of a table that it was read from, which counts it instead of its file.
        ``is_damaged``: the file that it was read from is.
        """
        with translate_errors(self.path):
            kept = self.kept
            number = self._record(record.payload, entry)
            origins = record.origins if part is None else [*self._new_copies(number, record.origins)]
            new = sum(self._origin(number, origin, part, is_damaged=is_damaged) for origin in origins)
            is_new = self.kept > kept
            if is_new:
                self._kept[self._document(part or record.origins[0].source)] += 1
            self._counted["records"] += new
            if entry.fact is None:
                self._counted["unreadable"] += new
            else:
                self._counted["relevant"] += new
                self._counted["duplicates"] += new - is_new
            return is_new

    def _new_copies(self, record: int, origins: Sequence[Origin]) -> Iterator[Origin]:
        """Yield the origins of a row of a table, all in one document, that earlier answers did not have.

        Copies of a record are counted: their indexes may differ from answer to answer.
        """
        first = origins[0]
        document = self._document(first.source)
        rows = self._connection.execute(
            "SELECT position, form FROM origins WHERE record = ? AND document = ?", (record, document)
        )
        taken = {int(position): form for position, form in rows}
        known = sum(form == first.form for form in taken.values())
        self._copies[record, document] += len(origins)
        free = [origin.index for origin in origins if origin.index not in taken]
        following = count(max((*taken, *free), default=-1) + 1)
        for position in islice(chain(free, following), max(0, self._copies[record, document] - known)):
            yield Origin(first.source, position, first.form)

    def _origin(self, record: int, origin: Origin, part: str | None, *, is_damaged: bool) -> bool:
        """Add an origin of a record; return whether it is new. Of a known one, its file may be repaired."""
        document = self._document(origin.source)
        is_new = (
            self._connection.execute(
                "INSERT OR IGNORE INTO origins VALUES (?, ?, ?, ?, ?)",
                (record, document, origin.index, origin.form, is_damaged),
            ).rowcount
            > 0
        )
        if is_new:
            self._added[document if part is None else self._document(part), origin.form] += 1
        else:
            self._connection.execute(
                "UPDATE origins SET damaged = ?"
                " WHERE record = ? AND document = ? AND position = ? AND damaged <> ?",
                (is_damaged, record, document, origin.index, is_damaged),
            )
        return is_new

    def _record(self, payload: bytes, entry: IndexEntry) -> int:
        """Return the number of a record; insert a new one with its index columns."""
        digest = blake2b(payload, digest_size=16).digest()
        known = self._connection.execute(
            "SELECT id FROM records WHERE key = ? AND digest = ?", (entry.key, digest)
        ).fetchone()
        if known is not None:
            return int(known[0])
        version = self._connection.execute(
            "SELECT payload FROM records WHERE key = ? LIMIT 1", (entry.key,)
        ).fetchone()
        is_contradiction = version is not None and not _say_the_same(version[0], payload)
        cursor = self._connection.execute(
            "INSERT INTO records (key, digest, fact, time, event, effect, outcome, account, region,"
            " caller_instance, operator, access_key, role, session, unclear, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.key,
                digest,
                entry.fact,
                time_text(entry.time),
                entry.event,
                entry.effect,
                entry.outcome,
                entry.account,
                entry.region,
                entry.caller_instance,
                entry.operator,
                entry.access_key,
                entry.role,
                entry.session,
                entry.unclear or is_contradiction,
                _text(payload),
            ),
        )
        number = cursor.lastrowid
        assert number is not None
        for mention in entry.mentions:
            self._mention(number, entry, mention)
        self._connection.executemany(
            "INSERT OR IGNORE INTO pod_addresses VALUES (?)",
            [(sort_key(address),) for address in entry.pod_addresses],
        )
        if entry.effect is not None:
            self._reach(entry)
        if entry.fact is not None and version is None:
            self.kept += 1
            self._counted["kept"] += 1
        return number

    def _reach(self, entry: IndexEntry) -> None:
        """Update the first and the last event of an account and Region."""
        account_region, time = (entry.account or "", entry.region or ""), time_text(entry.time)
        assert time is not None
        first, last = self._reached.get(account_region, (time, time))
        self._reached[account_region] = min(first, time), max(last, time)

    def _mention(self, record: int, entry: IndexEntry, mention: Mention) -> None:
        self._note_tags(mention)
        time = time_text(entry.time)
        cursor = self._connection.execute(
            "INSERT INTO subjects (record, eni, instance, attachment, trunk, mark, maker, cluster, vpc,"
            " subnet, reassign, seen, only_addresses)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                mention.subnet,
                mention.reassign,
                time if entry.outcome == "ok" else None,
                entry.says_only_addresses_of(mention),
            ),
        )
        places = [(sort_key(held), str(held), act) for held, act in mention.addresses]
        self._connection.executemany(
            "INSERT OR IGNORE INTO addresses VALUES (?, ?, ?, ?, ?, ?)",
            [(cursor.lastrowid, place, text, time, mention.eni, act) for place, text, act in places],
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO prefix_blocks VALUES (?)",
            [(block_key(place),) for place, _, _ in places if "/" in place],
        )
        self._describe(record, entry, mention)

    def _describe(self, record: int, entry: IndexEntry, mention: Mention) -> None:
        """Note whose the resources are that a record names, and in which VPC."""
        where = (entry.account, entry.region)
        if mention.vpc is not None and self._is_news(where, mention.vpc):
            self._connection.execute(
                "INSERT OR IGNORE INTO vpcs VALUES (?, ?, ?, ?)",
                (mention.vpc, entry.account or "", entry.region or "", record),
            )
        if entry.outcome != "ok":
            return
        if mention.vpc is not None and mention.subnet is not None and self._is_news((), mention.subnet):
            self._connection.execute("INSERT OR IGNORE INTO subnets VALUES (?, ?)", (mention.subnet, record))
        for name, vpc, is_eni in (
            (mention.eni, mention.vpc, True),
            (mention.trunk, None, True),
            (mention.instance, None, False),
            (mention.attachment, None, False),
        ):
            if name is not None and self._is_news((*where, vpc), name):
                self._connection.execute(_RESOURCE, (name, *where, vpc, is_eni, record))

    def _note_tags(self, mention: Mention) -> None:
        """Note an ENI that is tagged after its creation, or of which there are several creations."""
        is_again = mention.cluster is not None
        if mention.maker is not None:
            made = "SELECT 1 FROM subjects WHERE eni = ? AND maker IS NOT NULL"
            is_again = self._connection.execute(made, (mention.eni,)).fetchone() is not None
        if mention.eni is not None and is_again:
            self._connection.execute("INSERT OR IGNORE INTO retagged VALUES (?)", (mention.eni,))

    def _is_news(self, where: tuple[str | None, ...], name: str) -> bool:
        """Return whether a resource may be new here: those of the last records are remembered."""
        is_news = (where, name) not in self._described
        if is_news:
            if len(self._described) >= _MAX_CACHED_RESOURCES:
                self._described.clear()
            self._described.add((where, name))
        return is_news

    def read(self, file: ReadFile) -> None:
        """Count a file that was read to its end, and its records that were not added.

        The counts of a new version replace those of the earlier one; without an etag to tell versions apart,
        they are added.
        """
        with translate_errors(self.path):
            number = self._document(file.uri)
            if file.etag is not None:
                self._forget(number)
            self._counted.update(_counts(file.files, file.bytes, file.passed_over, file.unreadable))
            self._connection.execute(
                "UPDATE documents SET etag = ?, files = files + ?, bytes = bytes + ?,"
                " passed_over = passed_over + ?, unreadable = unreadable + ?, compression = ? WHERE id = ?",
                (
                    file.etag,
                    file.files,
                    file.bytes,
                    file.passed_over,
                    file.unreadable,
                    None if file.compression is None else " ".join(file.compression),
                    number,
                ),
            )
            self._connection.executemany(
                "INSERT INTO forms VALUES (?, ?, ?, 0, ?) ON CONFLICT DO UPDATE"
                " SET files = files + excluded.files, others = others + excluded.others",
                [(number, form, *counts) for form, counts in file.forms.items()],
            )
            self._connection.executemany(
                "INSERT INTO other_files VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET files = files + excluded.files",
                [(number, kind, files) for kind, files in file.other_files.items()],
            )

    def mark(self, uri: str, etag: str | None) -> None:
        """Set the etag of an archive that was read to its end; None if it must be read again."""
        with translate_errors(self.path):
            self._connection.execute(
                "UPDATE documents SET etag = ? WHERE id = ?", (etag, self._document(uri))
            )

    def _forget(self, document: int) -> None:
        """Subtract the counts of an earlier version of a file from all sums; its records are kept."""
        row = self._connection.execute(
            "SELECT files, bytes, passed_over, unreadable, compression IS NOT NULL OR files > 0"
            " FROM documents WHERE id = ?",
            (document,),
        ).fetchone()
        *counts, was_read = row
        if not was_read:
            return
        self._counted.subtract(_counts(*counts))
        self._connection.execute(
            "UPDATE documents SET files = 0, bytes = 0, passed_over = 0, unreadable = 0, compression = NULL"
            " WHERE id = ?",
            (document,),
        )
        self._connection.execute("UPDATE forms SET files = 0, others = 0 WHERE document = ?", (document,))
        self._connection.execute("DELETE FROM other_files WHERE document = ?", (document,))

    def sign(self, signs: Iterable[Sign]) -> None:
        """Add at which times which accounts and Regions were logged."""
        with translate_errors(self.path):
            stored = [(account or "", region or "", time_text(time)) for account, region, time in signs]
            cursor = self._connection.executemany("INSERT OR IGNORE INTO signs VALUES (?, ?, ?)", stored)
            if cursor.rowcount > 0:
                self._signed.update((account, region) for account, region, _ in stored)

    def hear(self, uri: str, minutes: Iterable[tuple[str, str]]) -> None:
        """Add of which minutes a file has records of pod evidence, each with their form."""
        with translate_errors(self.path):
            document = self._document(uri)
            self._connection.executemany(
                "INSERT OR IGNORE INTO heard VALUES (?, ?, ?)",
                [(document, form, minute) for form, minute in minutes],
            )

    def skip(self, skipped: Skipped, asked: str | None = None) -> None:
        """Add what could not be read; ``asked`` is the source if no document was opened at all."""
        with translate_errors(self.path):
            self._connection.execute(
                "INSERT OR IGNORE INTO skipped (document, reason, asked, extent, of_pods)"
                " VALUES (?, ?, ?, ?, ?)",
                (self._document(skipped.source), skipped.reason, asked, skipped.extent, skipped.of_pods),
            )

    def retry(self, uri: str, *, is_replaced: bool) -> None:
        """Delete the errors of a document and of its members, because it is read again.

        ``is_replaced``: the new counts replace the earlier ones, so those of the members are subtracted.
        """
        if "!/" not in uri:  # a part of a table may come in pieces
            self._copies.clear()
        with translate_errors(self.path):
            documents = [self._document(uri), *self._members(uri)]
            self._connection.executemany(
                "DELETE FROM skipped WHERE document = ?", [(document,) for document in documents]
            )
            for member in documents[1:] if is_replaced else ():
                self._forget(member)

    def _members(self, archive: str) -> list[int]:
        """Return the numbers of the documents that are members of an archive."""
        begin = os.fsencode(archive) + MEMBER
        end = begin[:-1] + bytes((begin[-1] + 1,))
        ranges = {(_text(begin), _text(end)), (begin, end)}  # names are text, or bytes if not valid UTF-8
        return [
            int(document)
            for one_range in ranges
            for (document,) in self._connection.execute(
                "SELECT id FROM documents WHERE uri > ? AND uri < ?", one_range
            )
        ]

    def settle(self, asked: str, still: Collection[Skipped]) -> None:
        """Delete what of a source could not be opened before, except what ``still`` cannot."""
        kept = {(skipped.source, skipped.reason, skipped.extent) for skipped in still}
        with translate_errors(self.path):
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
                    if (uri_of(uri), reason, extent) not in kept
                ],
            )

    def name_table(self, uri: str) -> None:
        """Note that records come from a table."""
        with translate_errors(self.path):
            self._connection.execute("INSERT OR IGNORE INTO tables VALUES (?)", (uri,))

    def lack(
        self, asked: str, whole: Interval, lost: Iterable[Lost], is_asked: Callable[[Lost], bool]
    ) -> None:
        """Set what a table lacks of the time that was asked of it; what it lacks of other times is kept.

        ``is_asked`` returns whether something that it lacked before was asked for again.
        """
        with translate_errors(self.path):
            earlier = [*lacks_in(self._connection, asked)]
            others = (
                replace(lack, start=period.start, end=period.end)
                for lack in earlier
                for period in difference([between(lack.start, lack.end)], [whole] if is_asked(lack) else [])
            )
            self._connection.execute("DELETE FROM lacks WHERE asked = ?", (asked,))
            self._connection.executemany(
                "INSERT INTO lacks VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (asked, lack.account, lack.region, time_text(lack.start), time_text(lack.end), lack.what)
                    for lack in dict.fromkeys((*others, *lost))
                ],
            )

    def _document(self, uri: str) -> int:
        """Return the number of a document; insert a new one."""
        known = self._documents.get(uri)
        if known is not None:
            return known
        named = (_text(os.fsencode(uri)),)
        self._connection.execute("INSERT OR IGNORE INTO documents (uri) VALUES (?)", named)
        found = self._connection.execute("SELECT id FROM documents WHERE uri = ?", named).fetchone()
        if len(self._documents) >= _MAX_CACHED_DOCUMENTS:
            self._documents.clear()
        self._documents[uri] = number = int(found[0])
        return number


_MAX_CACHED_DOCUMENTS = 10_000
_MAX_CACHED_RESOURCES = 100_000
_RESOURCE = """
INSERT INTO resources (name, account, region, vpc, is_eni, record) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    contested = contested OR account IS NOT excluded.account OR region IS NOT excluded.region
        OR coalesce(vpc <> excluded.vpc, 0),
    record = CASE WHEN vpc IS NULL AND excluded.vpc IS NOT NULL THEN excluded.record ELSE record END,
    vpc = coalesce(vpc, excluded.vpc)
WHERE account IS NOT excluded.account OR region IS NOT excluded.region
    OR (excluded.vpc IS NOT NULL AND vpc IS NOT excluded.vpc)
"""
_COUNTED = ("files", "bytes", "records", "passed_over", "relevant", "kept", "duplicates", "unreadable")


MEMBER = b"!/"
"""What separates an archive from the name of a member in a URI: ``a.zip!/x.json``."""


def _counts(files: int, size: int, passed_over: int, unreadable: int) -> dict[str, int]:
    """Return the counts of a file in the sums of a store."""
    return {
        "files": files,
        "bytes": size,
        "passed_over": passed_over,
        "unreadable": unreadable,
        "records": passed_over + unreadable,
    }


def _text(raw: bytes) -> str | bytes:
    """Return valid text as text, so that any SQLite tool can show it; else the bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _say_the_same(stored: str | bytes, payload: bytes) -> bool:
    """Return whether two records of one event have the same fields and values, in any order and spacing."""
    try:
        values = map(parse, (stored.encode() if isinstance(stored, str) else stored, payload))
        one, other = (json.encode(value, order="sorted") for value in values)
    except ValueError:
        return False
    return one == other


def _writer_lock(path: str, wait: Callable[[], None]) -> sqlite3.Connection:
    """Return an exclusive writer lock: an open transaction on a side file, which ends if closed or killed.

    The store itself is not locked, so that it can be read at the same time.
    """
    with translate_errors(f"{path}-lock"):
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
        lock.execute(f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT * 1000)}")
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{path}: locked by another collect for more than {LOCK_TIMEOUT:.0f} s", "try again later"
            ) from error
    return lock
