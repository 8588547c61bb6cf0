"""Selection: the records that the history of certain ENIs, instances or addresses needs.

It may select too much, never too little: the history of what was asked for is the same as with all records.
Selected are:

1. The requested ENIs, which the answer may show: those that are named; those that were ever attached to a
   requested instance, are marked with it, or were named in one of its calls; those that ever held a
   requested address.
2. The life of each of these ENIs: every record that names it, its trunk, an attachment of either, or an
   instance that either was attached to (a termination names only the instance), and one record of each
   account and Region that has ENIs in its VPC, or in no known one. Of each other ENI that these records name,
   one that shows its VPC.
3. Other holders of its addresses, and their lives: a lease ends when another one begins. In a block with
   delegated prefixes, the holders of the whole block. If a call reassigned several addresses, all of them.
4. What trails recorded: every call that configured a trail affects which times are covered.
5. The callers: the credentials that were issued, the instance that called, one call of each operator on
   it that shows it to be one, and, for the cluster of a role, the ENIs that show for which clusters the role
   created ENIs.
6. Every version of an event, every unclear record, and every record of an ENI that an unclear one names, or
   one that may not count. Events whose versions disagree are among these.
7. If the answer shows what manages addresses, the lives of the other ENIs of the nodes, and what the nodes
   called. Other nodes of a cluster may show it as well: whoever asks has to read everything then.
8. Every record of pod evidence: it is small, and what it says of one pod depends on others. A kubelet may
   say that a pod on its instance has an address of another one's ENI, so for an instance the addresses of
   all pods count as its own. The lives of all instances and ENIs that it names: a pod ends with its instance,
   even if no call shows its address there.

There is no time limit: an address may have been assigned long before the requested time.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from cnitrail.model import LeasePeriod, Scope
from cnitrail.model.forms import FORMS, Fidelity
from cnitrail.store.contemporaries import AddressCall, Contemporaries, enis_of
from cnitrail.store.index_columns import block_key, key_ranges, sort_key
from cnitrail.store.schema import form_counts, time_text

_MAX_ADDRESSES = 1_000
"""Of more, all records are read: what most of them need is found faster so."""

_TABLES = """
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
    SELECT eni FROM addresses WHERE place BETWEEN ? AND ? AND eni NOT NULL""",
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

_ON_NODES = """
INSERT OR IGNORE INTO requested SELECT trunk FROM subjects WHERE eni IN requested AND trunk NOT NULL;
INSERT OR IGNORE INTO nodes SELECT instance FROM instances;
INSERT OR IGNORE INTO nodes SELECT instance FROM subjects WHERE eni IN requested AND instance NOT NULL;
INSERT OR IGNORE INTO nodes SELECT mark FROM subjects WHERE eni IN requested AND mark NOT NULL;
INSERT OR IGNORE INTO nodes SELECT instance FROM subjects WHERE instance NOT NULL AND attachment IN (
    SELECT attachment FROM subjects WHERE eni IN requested);
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE caller_instance IN nodes;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE mark IN nodes;
INSERT OR IGNORE INTO enis SELECT eni FROM subjects WHERE instance IN nodes AND eni NOT NULL;
INSERT OR IGNORE INTO enis SELECT eni FROM subjects WHERE mark IN nodes AND eni NOT NULL;
INSERT OR IGNORE INTO enis SELECT eni FROM subjects WHERE eni NOT NULL AND attachment IN (
    SELECT attachment FROM subjects WHERE instance IN nodes);
"""

_OF_PODS = """
INSERT OR IGNORE INTO instances
    SELECT json_extract(CASE named.type WHEN 'object' THEN named.value END, '$.instance') AS instance
    FROM records CROSS JOIN json_each(payload, '$.pods.facts') AS named
    WHERE fact = 'pods' AND instance NOT NULL;
INSERT OR IGNORE INTO enis
    SELECT json_extract(CASE named.type WHEN 'object' THEN named.value END, '$.eni') AS eni
    FROM records CROSS JOIN json_each(payload, '$.pods.facts') AS named
    WHERE fact = 'pods' AND eni NOT NULL;
"""

_SHARED_VPCS = """
INSERT OR IGNORE INTO chosen SELECT coalesce(
    CASE WHEN record IN uncertain THEN (
        SELECT record FROM subjects CROSS JOIN records ON records.id = record
        WHERE subjects.vpc = vpcs.vpc AND coalesce(records.account, '') = vpcs.account
            AND coalesce(records.region, '') = vpcs.region AND record NOT IN uncertain
        ORDER BY record LIMIT 1
    ) END, record)
    FROM vpcs WHERE vpc IN (SELECT vpc FROM resources WHERE name IN enis AND vpc IS NOT NULL);
INSERT OR IGNORE INTO chosen SELECT min(record) FROM resources
    WHERE is_eni AND vpc IS NULL AND name NOT IN contested GROUP BY account, region
"""

_HELD = """
INSERT OR IGNORE INTO places
    SELECT place FROM subjects JOIN addresses ON subject = subjects.id WHERE subjects.eni IN requested
"""

_REASSIGNED = """
INSERT OR IGNORE INTO places
    SELECT also.place FROM addresses AS taken JOIN subjects ON subjects.id = taken.subject AND reassign
    JOIN addresses AS also ON also.subject = subjects.id WHERE taken.place IN places
"""

_HOLDERS = """
INSERT OR IGNORE INTO enis
    SELECT eni FROM addresses WHERE place IN places AND eni NOT NULL
"""

_OF_REQUESTED = """
SELECT place, coalesce(addresses.time, ''), addresses.eni, act, subject
FROM requested CROSS JOIN subjects ON subjects.eni = requested.eni
CROSS JOIN addresses ON subject = subjects.id WHERE act IS NOT NULL
ORDER BY addresses.eni, place, addresses.time
"""
_OF_ENI = """
SELECT place, coalesce(addresses.time, ''), addresses.eni, act, subject
FROM subjects CROSS JOIN addresses ON subject = subjects.id
WHERE subjects.eni = ? AND place = ? AND act IS NOT NULL ORDER BY addresses.time
"""
_PLACES = """
SELECT account, region, contested FROM resources WHERE name IN (SELECT value FROM json_each(?))
"""

_INCOMPLETE = """
INSERT INTO enis
    SELECT DISTINCT addresses.eni FROM places
    CROSS JOIN addresses ON addresses.place = places.place AND act IS NOT NULL
    CROSS JOIN subjects ON subjects.id = subject
    WHERE subjects.record IN chosen AND addresses.eni NOT NULL AND addresses.eni NOT IN complete
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
INSERT OR IGNORE INTO operators SELECT record FROM (
    SELECT (
        SELECT id FROM records AS shown WHERE caller_instance = known.caller_instance
            AND operator = known.operator
            AND NOT EXISTS (SELECT 1 FROM records WHERE key = shown.key AND unclear)
            AND NOT EXISTS (
                SELECT 1 FROM subjects JOIN contested ON name IN (eni, instance, attachment, trunk)
                WHERE record = shown.id)
        LIMIT 1
    ) AS record FROM (
        SELECT DISTINCT caller_instance, operator FROM records WHERE operator NOT NULL
            AND caller_instance IN (SELECT caller_instance FROM records WHERE id IN chosen)
    ) AS known
) WHERE record NOT NULL;
INSERT OR IGNORE INTO chosen SELECT record FROM operators;
INSERT OR IGNORE INTO chosen SELECT resources.record FROM operators
    CROSS JOIN subjects USING (record) CROSS JOIN resources ON name = eni;
"""

_ROLES = "SELECT DISTINCT role FROM records WHERE id IN chosen AND role NOT NULL"

_NEXT_CLUSTER = "SELECT min(cluster) FROM subjects WHERE maker = ? AND cluster > ?"
_TAGGED_ONCE = """
SELECT eni FROM subjects WHERE maker = ? AND cluster = ? AND eni NOT NULL AND eni NOT IN retagged
ORDER BY eni LIMIT 1
"""
_RETAGGED = """
WITH tagged AS (
    SELECT DISTINCT retagged.eni, tags.cluster FROM retagged
    CROSS JOIN subjects AS made ON made.eni = retagged.eni AND made.maker = :role
    CROSS JOIN subjects AS tags ON tags.eni = retagged.eni AND tags.cluster IS NOT NULL
)
SELECT min(eni) FROM tagged GROUP BY cluster
UNION SELECT eni FROM tagged GROUP BY eni HAVING count(*) > 1
"""

_VPCS = """
INSERT OR IGNORE INTO chosen SELECT resources.record FROM subjects CROSS JOIN resources ON name = eni
    WHERE subjects.record IN chosen AND resources.vpc NOT NULL
"""

_REST = """
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE fact = 'pods';
INSERT OR IGNORE INTO chosen SELECT id FROM records WHERE unclear;
INSERT OR IGNORE INTO chosen SELECT coalesce(
    CASE WHEN subnets.record IN uncertain THEN (
        SELECT shown.record FROM subjects AS shown CROSS JOIN records AS showing ON showing.id = shown.record
        WHERE shown.subnet = subnets.subnet AND shown.vpc IS NOT NULL AND showing.outcome = 'ok'
            AND shown.record NOT IN uncertain
        ORDER BY shown.record LIMIT 1
    ) END, subnets.record)
    FROM records CROSS JOIN subjects ON subjects.record = records.id CROSS JOIN subnets USING (subnet)
    WHERE unclear;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN (
    SELECT instance FROM records CROSS JOIN subjects ON subjects.record = records.id WHERE unclear);
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN contested;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE trunk IN contested;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN contested;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE attachment IN contested;
INSERT OR IGNORE INTO chosen
    SELECT id FROM records WHERE key IN (SELECT key FROM records WHERE id IN chosen);
"""


def choose(connection: sqlite3.Connection, scope: Scope) -> bool:
    """Fill the table ``chosen``; return False if all records are needed, as those of damaged files are."""
    if not (scope.enis or scope.instances or scope.addresses) or len(scope.addresses) > _MAX_ADDRESSES:
        return False
    (has_damage,) = connection.execute(_HAS_DAMAGE).fetchone()
    if has_damage:
        return False
    _run(connection, _TABLES)
    period = scope.period if scope.period is not None and _may_narrow(connection) else None
    if scope.enis:
        _insert(connection, "requested", scope.enis)
    elif scope.instances:
        _insert(connection, "instances", scope.instances)
        _run(connection, _REQUESTED_INSTANCES)
        _run(connection, "INSERT OR IGNORE INTO places SELECT place FROM pod_addresses")
    elif period is None:
        _request_addresses(connection, scope)
    if period is None:
        _add_all_holders(connection)
    else:
        _add_contemporaries(connection, scope, period)
    if scope.managers:
        _run(connection, _ON_NODES)
    _run(connection, _OF_PODS)
    _run(connection, _HISTORIES)
    _run(connection, "INSERT INTO complete SELECT eni FROM enis")
    _run(connection, _SHARED_VPCS)
    _run(connection, _TRAILS)
    _run(connection, _CALLERS)
    _add_cluster_enis(connection)
    _run(connection, _VPCS)
    _run(connection, _REST)
    if period is not None:
        _complete(connection)
    return True


def _complete(connection: sqlite3.Connection) -> None:
    """Select the lives of ENIs of which single records show a requested address.

    Without the rest of their lives, they would seem to have kept it.
    """
    while True:
        _run(connection, "DELETE FROM enis")
        if not connection.execute(_INCOMPLETE).rowcount:
            return
        _run(connection, _HISTORIES)
        _run(connection, "INSERT OR IGNORE INTO complete SELECT eni FROM enis")
        _run(connection, _CALLERS)
        _run(connection, _REST)


def _may_narrow(connection: sqlite3.Connection) -> bool:
    """Return whether records of other times change nothing: not with pods, or forms that leave out fields."""
    (has_pods,) = connection.execute(_HAS_PODS).fetchone()
    if has_pods:
        return False
    forms = (FORMS.get(counts.form) for counts in form_counts(connection))
    return all(form is not None and form.fidelity is not Fidelity.PARTIAL for form in forms)


_HAS_DAMAGE = "SELECT EXISTS (SELECT 1 FROM origins WHERE damaged)"
"""Any record of a damaged file may be altered, and leaves a doubt about addresses that it does not name."""

_HAS_PODS = "SELECT EXISTS (SELECT 1 FROM records WHERE fact = 'pods')"


def _add_all_holders(connection: sqlite3.Connection) -> None:
    """Select every ENI that ever had an address of a requested one."""
    _run(connection, "INSERT INTO enis SELECT eni FROM requested")
    _run(connection, _HELD)
    _whole_blocks(connection)
    _run(connection, _REASSIGNED)
    _whole_blocks(connection)
    _run(connection, _HOLDERS)


def _add_contemporaries(connection: sqlite3.Connection, scope: Scope, period: LeasePeriod) -> None:
    """Select the ENIs on which the leases of a period depend."""
    found = Contemporaries(connection)
    for place in _requested_places(connection, scope):
        _request_holders(connection, found, scope, period, place)
    _run(connection, "INSERT INTO enis SELECT eni FROM requested")
    if period.leases_only and not (scope.enis or scope.instances):
        return
    taken: set[tuple[str, str]] = set()
    for place, own in _stays(connection, _OF_REQUESTED):
        calls = _calls_around(connection, found, place, own)
        _insert(connection, "enis", enis_of(calls))
        taken.update((call.eni, other) for call in calls if call.eni for other in found.taken_by(call))
    for taker, place in taken:
        for _, own in _stays(connection, _OF_ENI, (taker, place)):
            _insert(connection, "enis", enis_of(_calls_around(connection, found, place, own)))


def _requested_places(connection: sqlite3.Connection, scope: Scope) -> Iterator[str]:
    """Yield the addresses that are in a requested network, and the prefixes that may overlap it."""
    if scope.enis or scope.instances:
        return
    for network in scope.addresses:
        first_address = sort_key(network.network_address)
        for first, last in key_ranges(network):
            rows = connection.execute(
                "SELECT DISTINCT place FROM addresses WHERE place BETWEEN ? AND ?", (first, last)
            ).fetchall()
            yield from (place for (place,) in rows if "/" in place or place >= first_address)


def _request_holders(
    connection: sqlite3.Connection,
    found: Contemporaries,
    scope: Scope,
    period: LeasePeriod,
    place: str,
) -> None:
    """Request the ENIs that had an address in a period, and select the calls that show it on no ENI."""
    calls = found.calls(place)
    start, end = _time(period.start), _time(period.end)
    is_whole = not found.is_by_itself(place) or not _are_all_asked(connection, scope, calls)
    enis = found.holders(place, *((None, None) if is_whole else (start, end)))
    if not found.is_by_itself(place):
        enis |= enis_of(_of_block(connection, place))
    _insert(connection, "requested", enis)
    shown = [call for call in calls if call.act is None or call.eni is None]
    connection.executemany(
        "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE id = ?",
        {(call.subject,) for call in shown},
    )
    _insert(connection, "places", (place,))


def _are_all_asked(connection: sqlite3.Connection, scope: Scope, calls: Iterable[AddressCall]) -> bool:
    """Return whether every ENI of an address is of an account and Region that was asked for.

    Others in the same VPC decide whether the filter keeps its leases, whenever they had it.
    """
    regions = () if "all" in scope.regions else scope.regions
    if not (scope.accounts or regions):
        return True
    enis = {call.eni for call in calls if call.eni is not None}
    rows = connection.execute(_PLACES, (json.dumps(sorted(enis)),))
    return all(
        (not scope.accounts or account in scope.accounts)
        and (not regions or region in regions)
        and not contested
        for account, region, contested in rows
    )


def _stays(
    connection: sqlite3.Connection, query: str, parameters: tuple[str, ...] = ()
) -> list[tuple[str, list[AddressCall]]]:
    """Return each address of some ENIs with what calls did to it there, by time."""
    rows = connection.execute(query, parameters)
    return [
        (place, [AddressCall(*call) for _, *call in of_stay])
        for (_, place), of_stay in groupby(rows, key=itemgetter(2, 0))
    ]


def _calls_around(
    connection: sqlite3.Connection, found: Contemporaries, place: str, own: Sequence[AddressCall]
) -> Sequence[AddressCall]:
    """Return the calls on which the leases of an address on one ENI depend."""
    return found.of_stay(place, own) if found.is_by_itself(place) else _of_block(connection, place)


def _of_block(connection: sqlite3.Connection, place: str) -> list[AddressCall]:
    """Return all calls that name an address of a block with delegated prefixes."""
    block = block_key(place)
    rows = connection.execute(
        "SELECT coalesce(time, ''), eni, act, subject FROM addresses WHERE place > ? AND place < ?",
        (block, block + "~"),
    )
    return [AddressCall(*row) for row in rows]


def _time(time: datetime | None) -> str | None:
    """Return a time as text of the same form as stored times."""
    return time_text(time.astimezone(UTC)) if time is not None else None


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
        _insert(connection, "enis", [*_cluster_enis(connection, role)])
    _run(connection, "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis")


def _cluster_enis(connection: sqlite3.Connection, role: str) -> Iterator[str]:
    """Yield one of a role's ENIs for each cluster, and every ENI that was tagged with several.

    Most ENIs are tagged once, when they are created; of those that were ``retagged`` all tags count.
    """
    cluster: str | None = ""
    while cluster is not None:
        (cluster,) = connection.execute(_NEXT_CLUSTER, (role, cluster)).fetchone()
        for (eni,) in connection.execute(_TAGGED_ONCE, (role, cluster)).fetchall():
            yield eni
    for (eni,) in connection.execute(_RETAGGED, {"role": role}).fetchall():
        yield eni
