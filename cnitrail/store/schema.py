"""The tables of a store, and how it is created, opened and checked."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple

from cnitrail.errors import StoreError
from cnitrail.intervals import Interval
from cnitrail.model import AccountRegion, Extent, HoleReason, Lost, Skipped
from cnitrail.model.rhythm import Rhythm
from cnitrail.store.file_header import APPLICATION_ID, is_sqlite, is_store

VERSION = 11
_BUSY_TIMEOUT = 60.0
"""How long to wait for another process's transaction, in seconds."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    uri TEXT NOT NULL UNIQUE,
    etag TEXT,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    passed_over INTEGER NOT NULL DEFAULT 0,
    unreadable INTEGER NOT NULL DEFAULT 0,
    kept INTEGER NOT NULL DEFAULT 0,
    compression TEXT
);
CREATE TABLE forms (
    document INTEGER NOT NULL REFERENCES documents,
    form TEXT NOT NULL,
    files INTEGER NOT NULL,
    added INTEGER NOT NULL,
    others INTEGER NOT NULL,
    PRIMARY KEY (document, form)
) WITHOUT ROWID;
CREATE TABLE form_counts (
    form TEXT NOT NULL,
    compression TEXT,
    files INTEGER NOT NULL,
    records INTEGER NOT NULL,
    others INTEGER NOT NULL
);
CREATE TABLE other_files (
    document INTEGER NOT NULL REFERENCES documents,
    kind TEXT NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (document, kind)
) WITHOUT ROWID;
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    fact TEXT,
    time TEXT,
    event TEXT,
    effect TEXT,
    outcome TEXT,
    account TEXT,
    region TEXT,
    caller_instance TEXT,
    operator TEXT,
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
    form TEXT NOT NULL,
    damaged INTEGER NOT NULL,
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
    subnet TEXT,
    reassign INTEGER NOT NULL,
    seen TEXT,
    only_addresses INTEGER NOT NULL
);
CREATE TABLE addresses (
    subject INTEGER NOT NULL REFERENCES subjects,
    place TEXT NOT NULL,
    address TEXT NOT NULL,
    time TEXT,
    eni TEXT,
    act TEXT,
    PRIMARY KEY (subject, place)
) WITHOUT ROWID;
CREATE TABLE retagged (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE prefix_blocks (block TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE resources (
    name TEXT PRIMARY KEY,
    account TEXT,
    region TEXT,
    vpc TEXT,
    is_eni INTEGER NOT NULL,
    contested INTEGER NOT NULL DEFAULT 0,
    record INTEGER NOT NULL REFERENCES records
) WITHOUT ROWID;
CREATE TABLE vpcs (
    vpc TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    record INTEGER NOT NULL REFERENCES records,
    PRIMARY KEY (vpc, account, region)
) WITHOUT ROWID;
CREATE TABLE subnets (
    subnet TEXT PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES records
) WITHOUT ROWID;
CREATE TABLE skipped (
    document INTEGER NOT NULL REFERENCES documents,
    reason TEXT NOT NULL,
    asked TEXT,
    extent TEXT NOT NULL,
    of_pods INTEGER NOT NULL,
    UNIQUE (document, reason)
);
CREATE TABLE tables (uri TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE lacks (
    asked TEXT NOT NULL,
    account TEXT,
    region TEXT,
    start TEXT,
    end TEXT,
    what TEXT NOT NULL
);
CREATE TABLE account (
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    records INTEGER NOT NULL,
    passed_over INTEGER NOT NULL,
    relevant INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    unreadable INTEGER NOT NULL,
    is_summed INTEGER NOT NULL
);
INSERT INTO account VALUES (0, 0, 0, 0, 0, 0, 0, 0, 1);
CREATE TABLE signs (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (account, region, time)
) WITHOUT ROWID;
CREATE TABLE rhythms (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    usual INTEGER NOT NULL,
    PRIMARY KEY (account, region)
) WITHOUT ROWID;
CREATE TABLE gaps (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    start TEXT NOT NULL,
    end TEXT NOT NULL,
    PRIMARY KEY (account, region, start)
) WITHOUT ROWID;
CREATE TABLE heard (
    document INTEGER NOT NULL REFERENCES documents,
    form TEXT NOT NULL,
    minute TEXT NOT NULL,
    PRIMARY KEY (document, form, minute)
) WITHOUT ROWID;
CREATE TABLE pod_addresses (place TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE reaches (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    PRIMARY KEY (account, region)
) WITHOUT ROWID;
CREATE INDEX records_by_time ON records (time) WHERE effect IS NOT NULL;
CREATE INDEX records_by_caller ON records (caller_instance) WHERE caller_instance IS NOT NULL;
CREATE INDEX records_of_operators ON records (caller_instance, operator) WHERE operator IS NOT NULL;
CREATE INDEX credentials_by_key ON records (access_key) WHERE fact = 'credentials';
CREATE INDEX credentials_by_name ON records (role, session) WHERE fact = 'credentials';
CREATE INDEX records_of_trails ON records (id) WHERE effect = 'record';
CREATE INDEX records_of_pods ON records (id) WHERE fact = 'pods';
CREATE INDEX records_unclear ON records (id) WHERE unclear;
CREATE INDEX origins_damaged ON origins (record) WHERE damaged;
CREATE INDEX subjects_by_record ON subjects (record);
CREATE INDEX subjects_by_eni ON subjects (eni, seen) WHERE eni IS NOT NULL;
CREATE INDEX subjects_of_lives ON subjects (eni) WHERE eni IS NOT NULL AND NOT only_addresses;
CREATE INDEX subjects_by_instance ON subjects (instance) WHERE instance IS NOT NULL;
CREATE INDEX subjects_by_attachment ON subjects (attachment) WHERE attachment IS NOT NULL;
CREATE INDEX subjects_by_trunk ON subjects (trunk) WHERE trunk IS NOT NULL;
CREATE INDEX subjects_by_mark ON subjects (mark) WHERE mark IS NOT NULL;
CREATE INDEX subjects_by_maker ON subjects (maker, cluster, eni) WHERE maker IS NOT NULL;
CREATE INDEX subjects_by_vpc ON subjects (vpc, record) WHERE vpc IS NOT NULL;
CREATE INDEX subjects_by_subnet ON subjects (subnet, record) WHERE subnet IS NOT NULL AND vpc IS NOT NULL;
CREATE INDEX subjects_made ON subjects (eni) WHERE maker IS NOT NULL;
CREATE INDEX addresses_by_place ON addresses (place, time, eni, act);
CREATE INDEX resources_contested ON resources (name) WHERE contested;
CREATE INDEX enis_without_vpc ON resources (account, region, record) WHERE is_eni AND vpc IS NULL;
CREATE INDEX skipped_by_asked ON skipped (asked) WHERE asked IS NOT NULL;
CREATE VIEW events AS
    SELECT time, event, effect, outcome, eni, instance,
        (SELECT group_concat(address, ' ') FROM addresses WHERE subject = subjects.id) AS addresses,
        account, region, role, session, caller_instance, key, records.id AS record
    FROM records JOIN subjects ON subjects.record = records.id;
"""


def connect(path: str) -> sqlite3.Connection:
    """Open a store of this version. Raises ``StoreError`` if the file is not one.

    Readers, too, open the file for writing if they may: whoever opens it after a kill must roll back the
    unfinished transaction.
    """
    if not is_store(path):
        what = "an SQLite database, but not one that cnitrail wrote" if is_sqlite(path) else "not a store"
        raise StoreError(f"{path}: {what}", "name a file that cnitrail collect wrote")
    with translate_errors(path):
        connection = _open(path, "rw")
    with closed_on_error(connection):
        with translate_errors(path):
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            version = _version(connection)
            foreign = connection.execute(_FOREIGN).fetchone()
            (size,) = connection.execute(_SIZE).fetchone()
        if version != VERSION:
            is_newer = version > VERSION
            raise StoreError(
                f"{path}: written by {'a newer' if is_newer else 'an older'} cnitrail "
                f"(store version {version}; this one reads {VERSION})",
                "update cnitrail" if is_newer else _COLLECT_AGAIN,
            )
        if size > os.path.getsize(path):
            raise StoreError(f"{path}: the store is cut short", _COLLECT_AGAIN)
        if foreign is not None:
            raise StoreError(
                f"{path}: it contains an object that cnitrail did not create: {foreign[0]}", _COLLECT_AGAIN
            )
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


_MAX_VALUE = 128 << 20
"""Maximum size of a value that is read, in bytes: twice the maximum size of a record."""

_FOREIGN = """
SELECT name FROM sqlite_schema
WHERE type = 'trigger' OR (type = 'view' AND name <> 'events') OR sql LIKE 'create virtual%'
"""
"""Objects that could make SQLite do more than read tables."""

_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close the connection if an error is raised."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def create(path: str) -> sqlite3.Connection:
    """Create an empty store at a path where there is no file, or an empty one."""
    with translate_errors(path):
        connection = _open(path, "rwc")
        with closed_on_error(connection):
            connection.executescript(
                f"BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {VERSION}; {_SCHEMA} COMMIT;"
            )
    return connection


def _open(path: str, mode: str) -> sqlite3.Connection:
    uri = f"{Path(path).absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None)


_DAMAGE = ("malformed", "not a database", "no such", "decode to UTF-8", "too big")
_COLLECT_AGAIN = "collect its sources again, into a new file"


@contextmanager
def translate_errors(path: str) -> Iterator[None]:
    """Translate SQLite's errors into ``StoreError``."""
    try:
        yield
    except sqlite3.Error as error:
        reason = str(error)
        if "full" in reason:
            raise StoreError(f"{path}: the disk is full; what was committed before is kept") from error
        if "locked" in reason:
            raise StoreError(f"{path}: it is locked by another process", "try again later") from error
        if any(sign in reason for sign in _DAMAGE):
            raise StoreError(f"{path}: the store is damaged ({reason})", _COLLECT_AGAIN) from error
        raise StoreError(f"{path}: {reason}", "check the path and its permissions") from error


TEXT: Final = (str, bytes)
"""The types of a text column: bytes if it is not valid UTF-8."""


def typed(rows: Iterable[tuple[Any, ...]], *types: type | tuple[type, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield rows, checking the types of their values: in SQLite any column may contain any type.

    Raises ``sqlite3.DatabaseError`` if a type is wrong.
    """
    for row in rows:
        if not all(map(isinstance, row, types)):
            raise malformed("a value of the wrong type")
        yield row


def malformed(what: str) -> sqlite3.DatabaseError:
    """Return the error for content that cnitrail never writes."""
    return sqlite3.DatabaseError(f"malformed: {what}")


def uri_of(stored: str | bytes) -> str:
    """Return the name of a document; a file name may not be valid text."""
    return stored if isinstance(stored, str) else os.fsdecode(stored)


_EXTENTS = frozenset(Extent)


def skipped_in(connection: sqlite3.Connection) -> Iterator[Skipped]:
    """Yield what could not be read when the store was filled."""
    rows = connection.execute(
        "SELECT uri, reason, extent, of_pods FROM skipped JOIN documents ON documents.id = document"
        " ORDER BY skipped.rowid"
    )
    for uri, reason, extent, of_pods in typed(rows, TEXT, str, str, int):
        if extent not in _EXTENTS:
            raise malformed(f"an extent {extent!r}")
        yield Skipped(uri_of(uri), reason, Extent(extent), bool(of_pods))


def lacks_in(connection: sqlite3.Connection, asked: str | None = None) -> Iterator[Lost]:
    """Yield what tables lacked when the store was filled: one table, or all."""
    rows = connection.execute(
        "SELECT account, region, start, end, what FROM lacks WHERE ?1 IS NULL OR asked = ?1 ORDER BY rowid",
        (asked,),
    )
    optional = (str, NoneType)
    for account, region, start, end, what in typed(rows, optional, optional, optional, optional, str):
        yield Lost(
            account=account,
            region=region,
            start=None if start is None else time_of(start),
            end=None if end is None else time_of(end),
            reason=HoleReason.NOT_IN_TABLE,
            what=what,
        )


COUNT_FORMS: Final = """
SELECT form, compression, sum(forms.files), sum(added + others), sum(others)
FROM forms JOIN documents ON documents.id = document GROUP BY form, compression
"""


class StoredForm(NamedTuple):
    """The number of files and records of one form and compression; ``others`` are not in the store."""

    form: str
    compression: str | None
    files: int
    records: int
    others: int


def is_summed(connection: sqlite3.Connection) -> bool:
    """Return whether the sums of large tables are those of the present; not if a writer was interrupted."""
    (known,) = next(typed(connection.execute("SELECT is_summed FROM account"), int), (0,))
    return bool(known)


def form_counts(connection: sqlite3.Connection) -> list[StoredForm]:
    """Return the counts of all forms."""
    rows = connection.execute("SELECT * FROM form_counts" if is_summed(connection) else COUNT_FORMS)
    return [StoredForm(*row) for row in typed(rows, str, (str, NoneType), int, int, int)]


def time_text(time: datetime | None) -> str | None:
    """Return a time as it is stored: text that sorts in order of time."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z") if time is not None else None


def rhythms_in(connection: sqlite3.Connection) -> dict[AccountRegion, Rhythm]:
    """Return how often something of each account and Region was logged, from the sums."""
    gaps: dict[tuple[str, str], list[Interval]] = defaultdict(list)
    for account, region, *ends in typed(connection.execute("SELECT * FROM gaps"), *(str,) * 4):
        gaps[account, region].append(Interval(*map(time_of, ends)))
    rows = typed(connection.execute("SELECT * FROM rhythms"), str, str, str, str, int)
    return {
        (account or None, region or None): Rhythm(
            first=time_of(first),
            last=time_of(last),
            usual=timedelta(seconds=usual),
            gaps=tuple(gaps[account, region]),
        )
        for account, region, first, last, usual in rows
    }


def time_of(text: str) -> datetime:
    """Return a stored time. Raises ``sqlite3.DatabaseError`` if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise malformed(f"a time {text[:40]!r}") from None
    if time.tzinfo is None:
        raise malformed(f"a time {text[:40]!r}")
    return time
