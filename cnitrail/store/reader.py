"""Reads a store: all of it, or what the history of some interfaces, instances or addresses needs."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from cnitrail.model import Account, Moment, Origin, Record, Scope, Skipped
from cnitrail.store.closure import choose
from cnitrail.store.schema import connect, told, uri_of

_ALL = """
SELECT records.id, time IS NOT NULL, payload, uri, position FROM records
CROSS JOIN origins ON origins.record = records.id CROSS JOIN documents ON documents.id = origins.document
ORDER BY records.id
"""
_CHOSEN = """
SELECT records.id, time IS NOT NULL, payload, uri, position FROM chosen
CROSS JOIN records ON records.id = chosen.record
CROSS JOIN origins ON origins.record = records.id CROSS JOIN documents ON documents.id = origins.document
ORDER BY chosen.record
"""


class Reader:
    """A store that is asked. Raises ``StoreError`` where it cannot be read."""

    def __init__(self, path: str, scope: Scope) -> None:
        self.uri = path
        self._scope = scope
        connect(path).close()

    def documents(self) -> Iterator[Record | Skipped | Account]:
        """What could not be read, the records that the scope needs, the account of it all.

        One state of the store is read, whatever is written to it meanwhile.
        """
        etag = _etag(self.uri)
        with told(self.uri), closing(connect(self.uri)) as connection:
            connection.execute("BEGIN")
            yield from _skipped(connection)
            if (self.uri, etag) in self._scope.seen:
                return
            delivered = relevant = 0
            for is_fact, record in _records(connection, choose(connection, self._scope)):
                delivered += 1
                relevant += is_fact
                yield record
            yield _account(connection, self.uri, etag, delivered, relevant)


def _etag(path: str) -> str:
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}"


def _skipped(connection: sqlite3.Connection) -> Iterator[Skipped]:
    rows = connection.execute(
        "SELECT uri, reason FROM skipped JOIN documents ON documents.id = document ORDER BY skipped.rowid"
    )
    for uri, reason in rows:
        yield Skipped(uri_of(uri), reason)


def _records(connection: sqlite3.Connection, chosen: bool) -> Iterator[tuple[bool, Record]]:
    """The records, each with all its origins and whether it tells a fact; with ``chosen`` only those."""
    rows = connection.execute(_CHOSEN if chosen else _ALL)
    for _, group in groupby(rows, key=itemgetter(0)):
        found = list(group)
        origins = sorted(Origin(uri_of(uri), position) for *_, uri, position in found)
        _, is_fact, payload, *_ = found[0]
        text = payload.encode() if isinstance(payload, str) else payload
        yield bool(is_fact), Record(tuple(origins), text)


def _account(connection: sqlite3.Connection, uri: str, etag: str, delivered: int, relevant: int) -> Account:
    counts = connection.execute("SELECT files, bytes, records, relevant, kept FROM account").fetchone()
    files, size, all_records, all_relevant, kept = counts
    signs = connection.execute("SELECT account, region, time FROM signs")
    reaches = connection.execute("SELECT account, region, first, last FROM reaches")
    return Account(
        uri=uri,
        etag=etag,
        files=files,
        bytes=size,
        records=all_records - delivered,
        relevant=all_relevant - relevant,
        duplicates=all_relevant - kept,
        signs=frozenset((of or None, at or None, datetime.fromisoformat(time)) for of, at, time in signs),
        ends=tuple(
            Moment(of or None, at or None, datetime.fromisoformat(time))
            for of, at, *ends in reaches
            for time in ends
        ),
    )
