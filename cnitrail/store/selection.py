"""Selection: the records that the history of certain ENIs, instances or addresses needs.

It may select too much, never too little: the history of what was asked for is the same as with all records.
Selected are:

1. The requested ENIs, which the answer may show: those that are named; those that were ever attached to a
   requested instance, are marked with it, or were named in one of its calls; those that ever held a
   requested address.
2. The life of each of these ENIs: every record that names it, its trunk, an attachment of either, or an
   instance that either was attached to (a termination names only the instance), and one record of each
   account and Region that has ENIs in its VPC, or in no known one.
3. Other holders of its addresses, and their lives: a lease ends when another one begins. In a block with
   delegated prefixes, the holders of the whole block. If a call reassigned several addresses, all of them.
4. What trails recorded: every call that configured a trail affects which times are covered.
5. The callers: the credentials that were issued, the instance that called, and, for the cluster of a role,
   the ENIs that show for which clusters the role created ENIs.
6. Every version of an event, and every unclear record.
7. Every record of pod evidence: it is small, and what it says of one pod depends on others. A kubelet may
   say that a pod on its instance has an address of another one's ENI, so for an instance the addresses of
   all pods count as its own.

There is no time limit: an address may have been assigned long before the requested time.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from cnitrail.model import Scope
from cnitrail.store.index_columns import block_key, key_ranges

_TABLES = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE chosen (record INTEGER PRIMARY KEY);
CREATE TEMP TABLE requested (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE enis (eni TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE instances (instance TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE attachments (attachment TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE places (place TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_REQUESTED_INSTANCES = """
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE caller_instance IN instances;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE mark IN instances;
INSERT OR IGNORE INTO attachments
    SELECT attachment FROM subjects WHERE instance IN instances AND attachment NOT NULL;
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE instance IN instances AND eni NOT NULL;
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE record IN chosen AND eni NOT NULL;
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE trunk IN requested AND eni NOT NULL;
"""

_REQUESTED_ADDRESSES = (
    """INSERT OR IGNORE INTO chosen
    SELECT record FROM addresses JOIN subjects ON subjects.id = subject WHERE place BETWEEN ? AND ?""",
    """INSERT OR IGNORE INTO requested
    SELECT eni FROM addresses JOIN subjects ON subjects.id = subject
    WHERE place BETWEEN ? AND ? AND eni NOT NULL""",
)

_HISTORIES = """
INSERT OR IGNORE INTO enis SELECT trunk FROM subjects WHERE eni IN enis AND trunk NOT NULL;
INSERT OR IGNORE INTO attachments SELECT attachment FROM subjects WHERE eni IN enis AND attachment NOT NULL;
INSERT OR IGNORE INTO instances SELECT instance FROM subjects WHERE eni IN enis AND instance NOT NULL;
INSERT OR IGNORE INTO instances SELECT mark FROM subjects WHERE eni IN enis AND mark NOT NULL;
INSERT OR IGNORE INTO instances
    SELECT instance FROM subjects WHERE attachment IN attachments AND instance NOT NULL;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE trunk IN enis;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN instances;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE attachment IN attachments;
"""

_SHARED_VPCS = """
INSERT OR IGNORE INTO chosen SELECT min(record) FROM subjects JOIN records ON records.id = record
    WHERE vpc IN (SELECT vpc FROM subjects WHERE eni IN enis AND vpc IS NOT NULL)
    GROUP BY vpc, account, region;
INSERT OR IGNORE INTO chosen SELECT min(record) FROM subjects JOIN records ON records.id = record
    WHERE eni IS NOT NULL AND eni NOT IN (SELECT eni FROM subjects WHERE vpc IS NOT NULL AND eni IS NOT NULL)
    GROUP BY account, region
"""

_HELD = """
INSERT OR IGNORE INTO places
    SELECT place FROM subjects JOIN addresses ON subject = subjects.id WHERE eni IN requested
"""

_REASSIGNED = """
INSERT OR IGNORE INTO places
    SELECT also.place FROM addresses AS taken JOIN subjects ON subjects.id = taken.subject AND reassign
    JOIN addresses AS also ON also.subject = subjects.id WHERE taken.place IN places
"""

_HOLDERS = """
INSERT OR IGNORE INTO enis
    SELECT eni FROM addresses JOIN subjects ON subjects.id = subject WHERE place IN places AND eni NOT NULL
"""

_TRAILS = "INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE effect = 'record'"

_CALLERS = """
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN (
    SELECT caller_instance FROM records WHERE id IN chosen);
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE fact = 'credentials' AND access_key IN (
    SELECT access_key FROM records WHERE id IN chosen);
INSERT OR IGNORE INTO chosen SELECT issued.id FROM (
    SELECT DISTINCT role, session FROM records WHERE id IN chosen
) AS called CROSS JOIN records AS issued ON issued.fact = 'credentials'
    AND issued.role = called.role AND issued.session = called.session;
"""

_ROLES = "SELECT DISTINCT role FROM records WHERE id IN chosen AND role NOT NULL"

_CLUSTER_ENIS = """
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
"""One of a role's ENIs for each cluster, and every ENI that was tagged with several.

Most ENIs are tagged once, when they are created; of the others (``often``) all tags count.
"""

_REST = """
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE fact = 'pods';
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE unclear;
INSERT OR IGNORE INTO chosen
    SELECT id FROM records WHERE key IN (SELECT key FROM records WHERE id IN chosen);
"""


def choose(connection: sqlite3.Connection, scope: Scope) -> bool:
    """Fill the table ``chosen``; return False if all records are needed."""
    if not (scope.enis or scope.instances or scope.addresses):
        return False
    _run(connection, _TABLES)
    if scope.enis:
        _insert(connection, "requested", scope.enis)
    elif scope.instances:
        _insert(connection, "instances", scope.instances)
        _run(connection, _REQUESTED_INSTANCES)
        _run(connection, "INSERT OR IGNORE INTO places SELECT place FROM pod_addresses")
    else:
        _request_addresses(connection, scope)
    _run(connection, "INSERT INTO enis SELECT eni FROM requested")
    _run(connection, _HELD)
    _whole_blocks(connection)
    _run(connection, _REASSIGNED)
    _whole_blocks(connection)
    _run(connection, _HOLDERS)
    _run(connection, _HISTORIES)
    _run(connection, _SHARED_VPCS)
    _run(connection, _TRAILS)
    _run(connection, _CALLERS)
    _add_cluster_enis(connection)
    _run(connection, _REST)
    return True


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements one by one: ``executescript`` would end the transaction."""
    for statement in statements.split(";"):
        connection.execute(statement)


_INTO = {
    table: f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608
    for table in ("requested", "instances", "enis", "places")
}


def _insert(connection: sqlite3.Connection, table: str, values: Iterable[str]) -> None:
    connection.executemany(_INTO[table], ((value,) for value in values))


def _request_addresses(connection: sqlite3.Connection, scope: Scope) -> None:
    """Select the records that name a requested address, and their ENIs."""
    for network in scope.addresses:
        for key_range in key_ranges(network):
            for statement in _REQUESTED_ADDRESSES:
                connection.execute(statement, key_range)


def _whole_blocks(connection: sqlite3.Connection) -> None:
    """Select every address of a block that contains a delegated prefix."""
    blocks = {block_key(place) for (place,) in connection.execute("SELECT place FROM places")}
    for block in blocks:
        inside = list(_inside(connection, block))
        if any("/" in place for place in inside):
            _insert(connection, "places", inside)


def _inside(connection: sqlite3.Connection, block: str) -> Iterator[str]:
    """Yield the addresses of a block in order, with one index lookup for each."""
    place: str | None = block
    while place is not None:
        (place,) = connection.execute(
            "SELECT min(place) FROM addresses WHERE place > ? AND place < ?", (place, block + "~")
        ).fetchone()
        if place is not None:
            yield place


def _add_cluster_enis(connection: sqlite3.Connection) -> None:
    """Select the lives of the ENIs that show which clusters the calling roles belong to."""
    connection.execute("DELETE FROM enis")
    for (role,) in connection.execute(_ROLES).fetchall():
        found = connection.execute(_CLUSTER_ENIS, {"role": role}).fetchall()
        _insert(connection, "enis", (eni for (eni,) in found))
    _run(connection, "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis")
