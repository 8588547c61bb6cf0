"""The tables of a store, and how its file is known and opened."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cnitrail.errors import StoreError
from cnitrail.model import Extent, Skipped
from cnitrail.store.file_header import APPLICATION_ID, is_sqlite, is_store

VERSION = 3
_PATIENCE_SECONDS = 60.0
"""How long one process waits for the other's transaction."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    uri TEXT NOT NULL UNIQUE,
    etag TEXT,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    passed_over INTEGER NOT NULL DEFAULT 0,
    unreadable INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    time TEXT,
    event TEXT,
    effect TEXT,
    outcome TEXT,
    account TEXT,
    region TEXT,
    caller_instance TEXT,
    access_key TEXT,
    role TEXT,
    session TEXT,
    unclear INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (key, digest)
);
CREATE TABLE origins (
    record INTEGER NOT NULL REFERENCES records,
    document INTEGER NOT NULL REFERENCES documents,
    position INTEGER NOT NULL,
    PRIMARY KEY (record, document, position)
) WITHOUT ROWID;
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES records,
    eni TEXT,
    instance TEXT,
    attachment TEXT,
    trunk TEXT,
    mark TEXT,
    maker TEXT,
    cluster TEXT,
    vpc TEXT,
    reassign INTEGER NOT NULL
);
CREATE TABLE addresses (
    subject INTEGER NOT NULL REFERENCES subjects,
    place TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (subject, place)
) WITHOUT ROWID;
CREATE TABLE skipped (
    document INTEGER NOT NULL REFERENCES documents,
    reason TEXT NOT NULL,
    asked TEXT,
    extent TEXT NOT NULL,
    UNIQUE (document, reason)
);
CREATE TABLE account (
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    records INTEGER NOT NULL,
    passed_over INTEGER NOT NULL,
    relevant INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    unreadable INTEGER NOT NULL
);
INSERT INTO account VALUES (0, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE signs (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (account, region, time)
) WITHOUT ROWID;
CREATE TABLE reaches (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    PRIMARY KEY (account, region)
) WITHOUT ROWID;
CREATE INDEX records_by_time ON records (time) WHERE effect IS NOT NULL;
CREATE INDEX records_by_caller ON records (caller_instance) WHERE caller_instance IS NOT NULL;
CREATE INDEX credentials_by_key ON records (access_key) WHERE effect IS NULL;
CREATE INDEX credentials_by_name ON records (role, session) WHERE effect IS NULL;
CREATE INDEX records_of_trails ON records (id) WHERE effect = 'record';
CREATE INDEX records_unclear ON records (id) WHERE unclear;
CREATE INDEX subjects_by_eni ON subjects (eni) WHERE eni IS NOT NULL;
CREATE INDEX subjects_by_instance ON subjects (instance) WHERE instance IS NOT NULL;
CREATE INDEX subjects_by_attachment ON subjects (attachment) WHERE attachment IS NOT NULL;
CREATE INDEX subjects_by_trunk ON subjects (trunk) WHERE trunk IS NOT NULL;
CREATE INDEX subjects_by_mark ON subjects (mark) WHERE mark IS NOT NULL;
CREATE INDEX subjects_by_maker ON subjects (maker, cluster, eni) WHERE maker IS NOT NULL;
CREATE INDEX subjects_by_vpc ON subjects (vpc, record) WHERE vpc IS NOT NULL;
CREATE INDEX subjects_made ON subjects (eni) WHERE maker IS NOT NULL;
CREATE INDEX subjects_tagged_later ON subjects (eni) WHERE maker IS NULL AND cluster IS NOT NULL;
CREATE INDEX addresses_by_place ON addresses (place);
CREATE INDEX skipped_by_asked ON skipped (asked) WHERE asked IS NOT NULL;
CREATE VIEW events AS
    SELECT time, event, effect, outcome, eni, instance,
        (SELECT group_concat(address, ' ') FROM addresses WHERE subject = subjects.id) AS addresses,
        account, region, role, session, caller_instance, key, records.id AS record
    FROM records JOIN subjects ON subjects.record = records.id;
"""


def connect(path: str) -> sqlite3.Connection:
    """An open store of this version. Raises ``StoreError`` if the file is no such store.

    The file is opened for writing where that is allowed, also by readers: after a kill the next
    one to open it puts it right.
    """
    if not is_store(path):
        what = "an SQLite database, but not one that cnitrail wrote" if is_sqlite(path) else "not a store"
        raise StoreError(f"{path}: {what}", "name a file that cnitrail collect wrote")
    with told(path):
        connection = _open(path, "rw")
    with closed_on_error(connection):
        with told(path):
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            version = _version(connection)
            foreign = connection.execute(_FOREIGN).fetchone()
            (size,) = connection.execute(_SIZE).fetchone()
        if version != VERSION:
            is_newer = version > VERSION
            raise StoreError(
                f"{path}: written by {'a newer' if is_newer else 'an older'} cnitrail "
                f"(store version {version}; this one reads {VERSION})",
                "update cnitrail" if is_newer else _AGAIN,
            )
        if size > os.path.getsize(path):
            raise StoreError(f"{path}: the store is cut short", _AGAIN)
        if foreign is not None:
            raise StoreError(f"{path}: something that cnitrail did not make is in it: {foreign[0]}", _AGAIN)
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


_LONGEST = 128 << 20
"""The longest value that is read, in bytes: twice the longest record."""

_FOREIGN = """
SELECT name FROM sqlite_schema
WHERE type = 'trigger' OR (type = 'view' AND name <> 'events') OR sql LIKE 'create virtual%'
"""
"""What could make SQLite do more than look into tables."""

_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that turns out to be of no use."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def create(path: str) -> sqlite3.Connection:
    """A new, empty store at a path where there is nothing, or an empty file."""
    with told(path):
        connection = _open(path, "rwc")
        with closed_on_error(connection):
            connection.executescript(
                f"BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {VERSION}; {_SCHEMA} COMMIT;"
            )
    return connection


def _open(path: str, mode: str) -> sqlite3.Connection:
    uri = f"{Path(path).absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)


_DAMAGE = ("malformed", "not a database", "no such", "decode to UTF-8", "too big")
_AGAIN = "collect its sources again, into a new file"


@contextmanager
def told(path: str) -> Iterator[None]:
    """SQLite's errors as one sentence about the store."""
    try:
        yield
    except sqlite3.Error as error:
        reason = str(error)
        if "full" in reason:
            raise StoreError(f"{path}: the disk is full; what was committed before stands") from error
        if "locked" in reason:
            raise StoreError(f"{path}: another process has kept it locked", "try again later") from error
        if any(sign in reason for sign in _DAMAGE):
            raise StoreError(f"{path}: the store is damaged ({reason})", _AGAIN) from error
        raise StoreError(f"{path}: {reason}", "check the path and its permissions") from error


TEXT: Final = (str, bytes)
"""Text as it stands in a table: bytes where it is no valid UTF-8."""


def typed(rows: Iterable[tuple[Any, ...]], *types: type | tuple[type, ...]) -> Iterator[tuple[Any, ...]]:
    """Rows whose values have these types: in SQLite any column may hold anything.

    Raises ``sqlite3.DatabaseError``.
    """
    for row in rows:
        if not all(map(isinstance, row, types)):
            raise malformed("a value of the wrong type")
        yield row


def malformed(what: str) -> sqlite3.DatabaseError:
    """The error of a store that nobody wrote so."""
    return sqlite3.DatabaseError(f"malformed: {what}")


def uri_of(stored: str | bytes) -> str:
    """A document's name; that of a file may be no valid text."""
    return stored if isinstance(stored, str) else os.fsdecode(stored)


_EXTENTS = frozenset(Extent)


def skipped_in(connection: sqlite3.Connection) -> Iterator[Skipped]:
    """What could not be read of what was collected into a store."""
    rows = connection.execute(
        "SELECT uri, reason, extent FROM skipped JOIN documents ON documents.id = document"
        " ORDER BY skipped.rowid"
    )
    for uri, reason, extent in typed(rows, TEXT, str, str):
        if extent not in _EXTENTS:
            raise malformed(f"an extent {extent!r}")
        yield Skipped(uri_of(uri), reason, Extent(extent))
