"""Which records the history of some interfaces, instances or addresses needs.

Enough, never too little: with the records chosen here, the history of everything that was asked
for is the same as with all of them. What follows from what:

1. Asked for: the interfaces that the answer may show. Those named; those that were ever on an
   instance asked for, are marked with it, or that it called for; those that ever held an address
   asked for.
2. The life of an interface: every record that names it, its trunk, an attachment of either, or an
   instance that either was on (a termination names nothing but the instance), and a record of each
   account that has interfaces in its VPC.
3. Its addresses' other holders, and their lives: a holding ends where another's begins. In a block
   in which prefixes were given out, the holders of the whole block. Where a call took several
   addresses by force, all of those.
4. What trails recorded: every call that configured one says which times are covered.
5. Who called: the credentials that were issued, the instance that called, and, for the cluster of
   a role, the interfaces that show which clusters the role made interfaces for.
6. Every version of an event, and every record that is not clear.

Time limits nothing: what is held at a time may have been given long before.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from cnitrail.model import Scope
from cnitrail.store.index_columns import block_of, spans_of

_TABLES = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE chosen (record INTEGER PRIMARY KEY);
CREATE TEMP TABLE asked (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE lives (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE hosts (instance TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE ties (attachment TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE places (place TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_ASKED_INSTANCES = """
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE caller_instance IN hosts;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE mark IN hosts;
INSERT OR IGNORE INTO ties SELECT attachment FROM subjects WHERE instance IN hosts AND attachment NOT NULL;
INSERT OR IGNORE INTO asked SELECT eni FROM subjects WHERE instance IN hosts AND eni NOT NULL;
INSERT OR IGNORE INTO asked SELECT eni FROM subjects WHERE record IN chosen AND eni NOT NULL;
INSERT OR IGNORE INTO asked SELECT eni FROM subjects WHERE trunk IN asked AND eni NOT NULL;
"""

_ASKED_ADDRESSES = (
    """INSERT OR IGNORE INTO chosen
    SELECT record FROM addresses JOIN subjects ON subjects.id = subject WHERE place BETWEEN ? AND ?""",
    """INSERT OR IGNORE INTO asked
    SELECT eni FROM addresses JOIN subjects ON subjects.id = subject
    WHERE place BETWEEN ? AND ? AND eni NOT NULL""",
)

_LIVES = """
INSERT OR IGNORE INTO lives SELECT trunk FROM subjects WHERE eni IN lives AND trunk NOT NULL;
INSERT OR IGNORE INTO ties SELECT attachment FROM subjects WHERE eni IN lives AND attachment NOT NULL;
INSERT OR IGNORE INTO hosts SELECT instance FROM subjects WHERE eni IN lives AND instance NOT NULL;
INSERT OR IGNORE INTO hosts SELECT mark FROM subjects WHERE eni IN lives AND mark NOT NULL;
INSERT OR IGNORE INTO hosts SELECT instance FROM subjects WHERE attachment IN ties AND instance NOT NULL;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN lives;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE trunk IN lives;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN hosts;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE attachment IN ties;
"""

_SHARED_VPCS = """
INSERT OR IGNORE INTO chosen SELECT min(record) FROM subjects JOIN records ON records.id = record
    WHERE vpc IN (SELECT vpc FROM subjects WHERE eni IN lives AND vpc IS NOT NULL) GROUP BY vpc, account
"""

_HELD = """
INSERT OR IGNORE INTO places
    SELECT place FROM subjects JOIN addresses ON subject = subjects.id WHERE eni IN asked
"""

_TAKEN_BY_FORCE = """
INSERT OR IGNORE INTO places
    SELECT also.place FROM addresses AS taken JOIN subjects ON subjects.id = taken.subject AND reassign
    JOIN addresses AS also ON also.subject = subjects.id WHERE taken.place IN places
"""

_HOLDERS = """
INSERT OR IGNORE INTO lives
    SELECT eni FROM addresses JOIN subjects ON subjects.id = subject WHERE place IN places AND eni NOT NULL
"""

_TRAILS = "INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE effect = 'record'"

_CALLERS = """
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN (
    SELECT caller_instance FROM records WHERE id IN chosen);
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE effect IS NULL AND access_key IN (
    SELECT access_key FROM records WHERE id IN chosen);
INSERT OR IGNORE INTO chosen SELECT issued.id FROM (
    SELECT DISTINCT role, session FROM records WHERE id IN chosen
) AS called CROSS JOIN records AS issued ON issued.effect IS NULL
    AND issued.role = called.role AND issued.session = called.session;
"""

_ROLES = "SELECT DISTINCT role FROM records WHERE id IN chosen AND role NOT NULL"

_WITNESSES = """
WITH often AS (
    SELECT eni FROM subjects WHERE maker IS NULL AND cluster IS NOT NULL AND eni IS NOT NULL
    UNION SELECT eni FROM subjects WHERE maker IS NOT NULL AND eni IS NOT NULL
    GROUP BY eni HAVING count(*) > 1
), tagged AS (
    SELECT DISTINCT often.eni, tags.cluster FROM often
    CROSS JOIN subjects AS made ON made.eni = often.eni AND made.maker = :role
    CROSS JOIN subjects AS tags ON tags.eni = often.eni AND tags.cluster IS NOT NULL
)
SELECT min(eni) FROM subjects
    WHERE maker = :role AND cluster IS NOT NULL AND eni NOT IN often GROUP BY cluster
UNION SELECT min(eni) FROM tagged GROUP BY cluster
UNION SELECT eni FROM tagged GROUP BY eni HAVING count(*) > 1
"""
"""Of a role's interfaces one for each cluster, and each that was tagged with several.

Most are tagged once, as they are made; of the others (``often``) all tags are looked at.
"""

_REST = """
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE unclear;
INSERT OR IGNORE INTO chosen
    SELECT id FROM records WHERE key IN (SELECT key FROM records WHERE id IN chosen);
"""


def choose(connection: sqlite3.Connection, scope: Scope) -> bool:
    """Fill the table ``chosen``; False where all records are needed."""
    if not (scope.enis or scope.instances or scope.addresses):
        return False
    _run(connection, _TABLES)
    if scope.enis:
        _insert(connection, "asked", scope.enis)
    elif scope.instances:
        _insert(connection, "hosts", scope.instances)
        _run(connection, _ASKED_INSTANCES)
    else:
        _asked_addresses(connection, scope)
    _run(connection, "INSERT INTO lives SELECT eni FROM asked")
    _run(connection, _HELD)
    _whole_blocks(connection)
    _run(connection, _TAKEN_BY_FORCE)
    _whole_blocks(connection)
    _run(connection, _HOLDERS)
    _run(connection, _LIVES)
    _run(connection, _SHARED_VPCS)
    _run(connection, _TRAILS)
    _run(connection, _CALLERS)
    _witnesses(connection)
    _run(connection, _REST)
    return True


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements one by one; ``executescript`` would end the transaction."""
    for statement in statements.split(";"):
        connection.execute(statement)


_INTO = {
    table: f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608
    for table in ("asked", "hosts", "lives", "places")
}


def _insert(connection: sqlite3.Connection, table: str, values: Iterable[str]) -> None:
    connection.executemany(_INTO[table], ((value,) for value in values))


def _asked_addresses(connection: sqlite3.Connection, scope: Scope) -> None:
    """The records that name an address asked for, and their interfaces."""
    for network in scope.addresses:
        for span in spans_of(network):
            for statement in _ASKED_ADDRESSES:
                connection.execute(statement, span)


def _whole_blocks(connection: sqlite3.Connection) -> None:
    """Where prefixes were given out, every place of the block counts."""
    blocks = {block_of(place) for (place,) in connection.execute("SELECT place FROM places")}
    for block in blocks:
        inside = list(_inside(connection, block))
        if any("/" in place for place in inside):
            _insert(connection, "places", inside)


def _inside(connection: sqlite3.Connection, block: str) -> Iterator[str]:
    """The places of a block, each found by a step through the index."""
    place: str | None = block
    while place is not None:
        (place,) = connection.execute(
            "SELECT min(place) FROM addresses WHERE place > ? AND place < ?", (place, block + "~")
        ).fetchone()
        if place is not None:
            yield place


def _witnesses(connection: sqlite3.Connection) -> None:
    """The lives of interfaces that show which clusters the calling roles work for."""
    connection.execute("DELETE FROM lives")
    for (role,) in connection.execute(_ROLES).fetchall():
        _insert(
            connection, "lives", (eni for (eni,) in connection.execute(_WITNESSES, {"role": role}).fetchall())
        )
    _run(
        connection,
        "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN lives",
    )
