"""Reads a store: all of it, or what the history of certain ENIs, instances or addresses needs."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter
from types import NoneType

from msgspec import Struct

from cnitrail.model import (
    MAX_FILES,
    Extent,
    FileReport,
    FormReport,
    Lost,
    Moment,
    Origin,
    Scope,
    Skipped,
    StoredCounts,
    StoredRecord,
)
from cnitrail.store.schema import (
    TEXT,
    StoredForm,
    connect,
    form_counts,
    is_summed,
    lacks_in,
    malformed,
    rhythms_in,
    skipped_in,
    time_of,
    translate_errors,
    typed,
    uri_of,
)
from cnitrail.store.selection import choose

_ALL = """
SELECT records.id, fact IS NOT NULL, payload, uri, position, form, damaged FROM records
CROSS JOIN origins ON origins.record = records.id CROSS JOIN documents ON documents.id = origins.document
ORDER BY records.id
"""
_CHOSEN = """
SELECT records.id, fact IS NOT NULL, payload, uri, position, form, damaged FROM chosen
CROSS JOIN records ON records.id = chosen.record
CROSS JOIN origins ON origins.record = records.id CROSS JOIN documents ON documents.id = origins.document
ORDER BY chosen.record
"""


_EVENTS = "SELECT count(DISTINCT key) FROM records WHERE fact IS NOT NULL"
_CHOSEN_EVENTS = """
SELECT count(DISTINCT key) FROM chosen CROSS JOIN records ON records.id = chosen.record WHERE fact IS NOT NULL
"""


class StoreReader:
    """A store as a source. Raises ``StoreError`` if it cannot be read."""

    def __init__(self, path: str, scope: Scope) -> None:
        self.uri = path
        self.found = 0
        self._scope = scope
        connect(path).close()

    def documents(self) -> Iterator[StoredRecord | Skipped | Lost | StoredCounts]:
        """Yield what could not be read, the records that the scope needs, and the counts of the others.

        All of it is from one state of the store, even if another process writes to it.
        """
        etag = _etag(self.uri)
        with translate_errors(self.uri), closing(connect(self.uri)) as connection:
            connection.execute("BEGIN")
            for skipped in skipped_in(connection):
                self.found += skipped.extent is Extent.FILE
                yield skipped
            if (self.uri, etag) in self._scope.seen:
                return
            yield from lacks_in(connection)
            chosen = choose(connection, self._scope)
            delivered = _Delivered()
            for is_fact, record in _records(connection, chosen):
                delivered.records += len(record.origins)
                delivered.relevant += len(record.origins) if is_fact else 0
                yield record
            (delivered.kept,) = connection.execute(_CHOSEN_EVENTS if chosen else _EVENTS).fetchone()
            has_rhythms = chosen and self._scope.period is not None and is_summed(connection)
            counts = _undelivered(connection, self.uri, etag, delivered, has_rhythms=has_rhythms)
            self.found += counts.files + sum(counts.other_files.values())
            yield counts


class _Delivered(Struct):
    """Counts of what was delivered: origins of records, those of events among them, and events (``kept``)."""

    records: int = 0
    relevant: int = 0
    kept: int = 0


def _etag(path: str) -> str:
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}"


def _records(connection: sqlite3.Connection, chosen: bool) -> Iterator[tuple[bool, StoredRecord]]:
    """Yield whether a record contains a fact, and the record with all its origins.

    A record that is in intact and in damaged files is yielded once with the ones, and once with the others.
    """
    rows = typed(connection.execute(_CHOSEN if chosen else _ALL), int, int, TEXT, TEXT, int, str, int)
    for (_, is_fact), found in groupby(rows, key=itemgetter(0, 1)):
        payload = b""
        by_damage: dict[bool, list[Origin]] = {}
        for *_, text, uri, position, form, damaged in found:
            payload = payload or (text.encode() if isinstance(text, str) else text)
            by_damage.setdefault(bool(damaged), []).append(Origin(uri_of(uri), position, form))
        for is_damaged, origins in by_damage.items():
            yield bool(is_fact), StoredRecord(tuple(sorted(origins)), payload, is_damaged=is_damaged)


def _undelivered(
    connection: sqlite3.Connection, uri: str, etag: str, delivered: _Delivered, *, has_rhythms: bool
) -> StoredCounts:
    """Return the counts of what was not delivered. Raises ``sqlite3.DatabaseError`` if they are wrong.

    With ``has_rhythms``, they have the rhythms of accounts and Regions in place of their signs.
    """
    by_form = form_counts(connection)
    forms = tuple(_forms(by_form))
    all_records = sum(report.records for report in forms)
    remaining = _remaining(connection, all_records, delivered)
    files, size, records, passed_over, relevant, kept, duplicates, unreadable = remaining
    signs = () if has_rhythms else connection.execute("SELECT account, region, time FROM signs")
    return StoredCounts(
        uri=uri,
        etag=etag,
        files=files,
        bytes=size,
        records=records,
        passed_over=passed_over,
        relevant=relevant,
        kept=kept,
        duplicates=duplicates,
        unreadable=unreadable,
        signs=frozenset(
            (account or None, region or None, time_of(time))
            for account, region, time in typed(signs, str, str, str)
        ),
        rhythms=rhythms_in(connection) if has_rhythms else {},
        ends=tuple(_ends(connection)),
        forms=forms,
        rest=_rest(by_form),
        other_files=dict(typed(connection.execute(_OTHER_FILES), str, int)),
        first_files=tuple(_first_files(connection)),
        table_parts=min(files, *(parts for (parts,) in typed(connection.execute(_TABLE_PARTS), int))),
        tables=tuple(uri for (uri,) in typed(connection.execute("SELECT uri FROM tables ORDER BY uri"), str)),
        heard=_heard(connection),
    )


_Counts = tuple[int, int, int, int, int, int, int, int]
"""Files, bytes, records, passed over, relevant, kept, duplicates, unreadable: the columns of ``account``."""


def _remaining(connection: sqlite3.Connection, all_records: int, delivered: _Delivered) -> _Counts:
    """Return the counts of a store less what was delivered of it.

    ``all_records`` is the sum of the records by form. Raises ``sqlite3.DatabaseError`` if a sum is wrong.
    """
    rows = connection.execute(
        "SELECT files, bytes, records, passed_over, relevant, kept, duplicates, unreadable FROM account"
    )
    counts = next(typed(rows, *(int,) * 8), None)
    if counts is None:
        raise malformed("no counts")
    files, size, records, passed_over, relevant, kept, duplicates, unreadable = counts
    is_sum_of_forms = all_records == records
    records -= delivered.records
    kept -= delivered.kept
    duplicates -= delivered.relevant - delivered.kept
    unreadable -= delivered.records - delivered.relevant
    relevant += unreadable - delivered.relevant
    rest = (files, size, records, passed_over, relevant, kept, duplicates, unreadable)
    adds_up = records == relevant + passed_over and relevant == kept + duplicates + unreadable
    if min(rest) < 0 or not (adds_up and is_sum_of_forms):
        raise malformed("its counts do not add up")
    return rest


_TABLE_PARTS = """
SELECT coalesce(sum(files), 0) FROM documents
WHERE uri GLOB 'athena://*/*/*/*' OR uri GLOB 'trino://*/*/*/*'
"""
"""A store that was merged into this one is a single document, whose files all count as such."""
_OTHER_FILES = "SELECT kind, sum(files) FROM other_files GROUP BY kind"
_FIRST_FILES = """
SELECT first.id, uri, compression, kept, kind, form, added + others FROM (
    SELECT id, uri, compression, kept FROM documents WHERE compression IS NOT NULL ORDER BY id LIMIT ?
) AS first
LEFT JOIN other_files ON other_files.document = first.id LEFT JOIN forms ON forms.document = first.id
ORDER BY first.id
"""


def _ends(connection: sqlite3.Connection) -> Iterator[Moment]:
    """Yield when the events of each account and Region begin and end.

    Of an event whose records disagree, only one time counts, and every record is delivered: it is left out.
    """
    disputed = {key for (key,) in connection.execute(_DISPUTED)}
    at_ends = {
        (account or "", region or "", time)
        for key in disputed
        for account, region, time in connection.execute(_VERSIONS, (key,))
    }
    reaches = connection.execute("SELECT account, region, first, last FROM reaches").fetchall()
    for account, region, *ends in typed(reaches, str, str, str, str):
        for end, order in zip(ends, ("ASC", "DESC"), strict=True):
            times: Iterable[str] = (end,)
            if (account, region, end) in at_ends:
                events = connection.execute(_BY_TIME + order, (account, region))
                times = (time for key, time in typed(events, str, str) if key not in disputed)
            for time in islice(times, 1):
                yield Moment(account or None, region or None, time_of(time))


_DISPUTED = """
SELECT key FROM records AS version
WHERE unclear AND (SELECT count(*) FROM records WHERE key = version.key) > 1
"""
_VERSIONS = "SELECT account, region, time FROM records WHERE key = ?"
_BY_TIME = """
SELECT key, time FROM records
WHERE effect IS NOT NULL AND coalesce(account, '') = ? AND coalesce(region, '') = ? ORDER BY time
"""


def _forms(counted: Iterable[StoredForm]) -> Iterator[FormReport]:
    """Yield the number of files and records of each form and compression."""
    for counts in counted:
        names = None if counts.compression is None else tuple(counts.compression.split())
        if counts.records:
            yield FormReport(form=counts.form, compression=names, files=counts.files, records=counts.records)


def _rest(counted: Iterable[StoredForm]) -> dict[str, int]:
    """Return the number of records of each form that are not in the store."""
    rest = Counter[str]()
    for counts in counted:
        rest[counts.form] += counts.others
    return dict(+rest)


def _heard(connection: sqlite3.Connection) -> dict[tuple[str, str], frozenset[str]]:
    """Return the minutes of which each file and form has records of pod evidence."""
    rows = connection.execute(
        "SELECT uri, form, minute FROM heard JOIN documents ON documents.id = document"
        " ORDER BY document, form"
    )
    return {
        (uri_of(uri), form): frozenset(minute for *_, minute in found)
        for (uri, form), found in groupby(typed(rows, TEXT, str, str), key=itemgetter(0, 1))
    }


def _first_files(connection: sqlite3.Connection) -> Iterator[FileReport]:
    """Yield the counts of the first files; stores that were merged are not among them."""
    optional = (str, NoneType)
    rows = typed(
        connection.execute(_FIRST_FILES, (MAX_FILES,)),
        *(int, TEXT, str, int, optional, optional, (int, NoneType)),
    )
    for (_, uri, compression, kept, kind), found in groupby(rows, key=itemgetter(0, 1, 2, 3, 4)):
        forms = {form: records for *_, form, records in found if records}
        yield FileReport(
            source=uri_of(uri),
            forms=forms,
            compression=tuple(compression.split()),
            records=sum(forms.values()),
            kept=kept,
            other_kind=kind,
        )
