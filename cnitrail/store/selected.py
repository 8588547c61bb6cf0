"""The temporary tables of a selection, and how they are filled."""

import sqlite3
from collections.abc import Iterable, Iterator

TABLES = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE chosen (record INTEGER PRIMARY KEY);
CREATE TEMP TABLE requested (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE enis (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE complete (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE instances (instance TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE nodes (instance TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE operators (record INTEGER PRIMARY KEY);
CREATE TEMP TABLE attachments (attachment TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE places (place TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE parts (eni TEXT, name TEXT, PRIMARY KEY (eni, name)) WITHOUT ROWID;
CREATE TEMP TABLE contested (name TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO contested SELECT name FROM resources WHERE contested;
CREATE TEMP TABLE uncertain (record INTEGER PRIMARY KEY);
INSERT INTO uncertain SELECT id FROM records WHERE key IN (SELECT key FROM records WHERE unclear);
INSERT OR IGNORE INTO uncertain SELECT record FROM contested CROSS JOIN subjects ON eni = name;
INSERT OR IGNORE INTO uncertain SELECT record FROM contested CROSS JOIN subjects ON instance = name;
INSERT OR IGNORE INTO uncertain SELECT record FROM contested CROSS JOIN subjects ON trunk = name;
INSERT OR IGNORE INTO uncertain SELECT record FROM contested CROSS JOIN subjects ON attachment = name;
INSERT OR IGNORE INTO contested
    SELECT eni FROM uncertain CROSS JOIN subjects USING (record) WHERE eni NOT NULL;
"""
"""``chosen`` are the selected records, ``enis`` the ENIs whose lives are being selected, ``requested`` those
of which all calls are, and ``places`` the addresses of which all calls on the ENIs are.

``uncertain`` are the records that may not count, because others of the event differ or because accounts,
Regions or VPCs disagree about what they name; ``contested`` is what these name.
"""


def run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements one by one: ``executescript`` would end the transaction."""
    for statement in statements.split(";"):
        connection.execute(statement)


_INTO = {
    table: f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608
    for table in ("requested", "instances", "enis", "places")
}


def insert(connection: sqlite3.Connection, table: str, values: Iterable[str]) -> None:
    """Add names to a table; those that it has stay."""
    connection.executemany(_INTO[table], ((value,) for value in values))


def inside(connection: sqlite3.Connection, block: str) -> Iterator[str]:
    """Yield the addresses of a block in order, with one index lookup for each."""
    place: str | None = block
    while place is not None:
        (place,) = connection.execute(
            "SELECT min(place) FROM addresses WHERE place > ? AND place < ?", (place, block + "~")
        ).fetchone()
        if place is not None:
            yield place
