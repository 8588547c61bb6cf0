"""Selection: the records that the history of certain ENIs, instances or addresses needs.

It may select too much, never too little: the history of what was asked for is the same as with all records.
Selected are:

1. The requested ENIs, which the answer may show: those that are named; those that were ever attached to a
   requested instance, are marked with it, or were named in one of its calls; those that ever held a
   requested address.
2. The life of each of these ENIs: every record that names it, its trunk, an attachment of either, or an
   instance that either was attached to (a termination names only the instance), and one record of each
   account and Region that has ENIs in its VPC, or in no known one. Of each other ENI that these records name,
   one that shows its VPC. Of the calls on its addresses, for a question about a period only those that matter
   (``cnitrail.store.period_selection``) and, for ``who``, the last one that shows the ENI to exist.
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

import sqlite3
from collections.abc import Iterator

from cnitrail.model import LeasePeriod, Scope
from cnitrail.model.forms import FORMS, Fidelity
from cnitrail.store.index_columns import block_key, key_ranges
from cnitrail.store.period_selection import PeriodSelection
from cnitrail.store.schema import form_counts
from cnitrail.store.selected import TABLES, insert, inside, run

_MAX_ADDRESSES = 1_000
"""Of more, all records are read: what most of them need is found faster so."""

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

_LIVES = """
INSERT OR IGNORE INTO enis
    SELECT trunk FROM subjects WHERE eni IN enis AND NOT only_addresses AND trunk NOT NULL;
INSERT OR IGNORE INTO attachments
    SELECT attachment FROM subjects WHERE eni IN enis AND NOT only_addresses AND attachment NOT NULL;
INSERT OR IGNORE INTO instances
    SELECT instance FROM subjects WHERE eni IN enis AND NOT only_addresses AND instance NOT NULL;
INSERT OR IGNORE INTO instances
    SELECT mark FROM subjects WHERE eni IN enis AND NOT only_addresses AND mark NOT NULL;
INSERT OR IGNORE INTO instances
    SELECT instance FROM subjects WHERE attachment IN attachments AND instance NOT NULL;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis AND NOT only_addresses;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE trunk IN enis;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE instance IN instances;
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE attachment IN attachments;
"""

_ALL_ADDRESSES = "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis"

_OF_UNCLEAR_LIFE = """
INSERT OR IGNORE INTO requested SELECT eni FROM enis WHERE NOT EXISTS (
    SELECT 1 FROM resources WHERE name = enis.eni AND vpc IS NOT NULL
) OR eni IN contested OR NOT EXISTS (
    SELECT 1 FROM subjects CROSS JOIN records ON records.id = record
    WHERE subjects.eni = enis.eni AND NOT only_addresses AND outcome = 'ok'
        AND (effect = 'create' OR (effect IN ('launch', 'attach') AND instance IS NOT NULL)))
"""
"""Requests the ENIs whose VPC is not known, or of which no call shows whether they were on an instance.

These may be in any VPC, and the callers of all of their calls show their instance.
"""

_SOME_ADDRESSES = """
INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN requested;
INSERT OR IGNORE INTO chosen SELECT subjects.record FROM places
    CROSS JOIN addresses ON addresses.place = places.place AND addresses.eni IN enis
    CROSS JOIN subjects ON subjects.id = subject
"""

_LAST_SIGNS = """
INSERT OR IGNORE INTO chosen SELECT last.record FROM enis CROSS JOIN subjects AS last ON last.id = (
    SELECT id FROM subjects WHERE subjects.eni = enis.eni ORDER BY seen DESC LIMIT 1)
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
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE instance IN nodes AND eni NOT NULL;
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE mark IN nodes AND eni NOT NULL;
INSERT OR IGNORE INTO requested SELECT eni FROM subjects WHERE eni NOT NULL AND attachment IN (
    SELECT attachment FROM subjects WHERE instance IN nodes);
INSERT OR IGNORE INTO enis SELECT eni FROM requested;
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
    run(connection, TABLES)
    period = scope.period if scope.period is not None and _may_narrow(connection) else None
    if scope.enis:
        insert(connection, "requested", scope.enis)
    elif scope.instances:
        insert(connection, "instances", scope.instances)
        run(connection, _REQUESTED_INSTANCES)
        run(connection, "INSERT OR IGNORE INTO places SELECT place FROM pod_addresses")
    elif period is None:
        _request_addresses(connection, scope)
    if period is None:
        _add_all_holders(connection)
    else:
        PeriodSelection(connection, scope, period).fill()
    if scope.managers:
        run(connection, _ON_NODES)
    run(connection, _OF_PODS)
    _add_lives(connection, period)
    run(connection, "INSERT INTO complete SELECT eni FROM enis")
    run(connection, _SHARED_VPCS)
    run(connection, _TRAILS)
    run(connection, _CALLERS)
    _add_cluster_enis(connection)
    run(connection, _VPCS)
    run(connection, _REST)
    if period is not None:
        _complete(connection, period)
    return True


def _add_lives(connection: sqlite3.Connection, period: LeasePeriod | None) -> None:
    """Select the lives of ENIs, with all of the calls on their addresses or with those that matter."""
    run(connection, _LIVES)
    if period is None:
        run(connection, _ALL_ADDRESSES)
        return
    run(connection, _OF_UNCLEAR_LIFE)
    run(connection, _SOME_ADDRESSES)
    if period.leases_only:
        run(connection, _LAST_SIGNS)


def _complete(connection: sqlite3.Connection, period: LeasePeriod) -> None:
    """Select the lives of ENIs of which single records show a requested address.

    Without the rest of their lives, they would seem to have kept it.
    """
    while True:
        run(connection, "DELETE FROM enis")
        if not connection.execute(_INCOMPLETE).rowcount:
            return
        _add_lives(connection, period)
        run(connection, "INSERT OR IGNORE INTO complete SELECT eni FROM enis")
        run(connection, _CALLERS)
        run(connection, _REST)


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
    run(connection, "INSERT INTO enis SELECT eni FROM requested")
    run(connection, _HELD)
    _whole_blocks(connection)
    run(connection, _REASSIGNED)
    _whole_blocks(connection)
    run(connection, _HOLDERS)


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
        places = list(inside(connection, block))
        if any("/" in place for place in places):
            insert(connection, "places", places)


def _add_cluster_enis(connection: sqlite3.Connection) -> None:
    """Select the lives of the ENIs that show which clusters the calling roles belong to."""
    connection.execute("DELETE FROM enis")
    for (role,) in connection.execute(_ROLES).fetchall():
        insert(connection, "enis", [*_cluster_enis(connection, role)])
    run(
        connection,
        "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE eni IN enis AND NOT only_addresses",
    )


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
