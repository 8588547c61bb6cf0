"""Selection for a period: who had the addresses around it, and what else the answer shows of these ENIs.

Of an address, only the ENIs that had it around the period are selected (``cnitrail.store.contemporaries``).
Of an ENI, the answer may show

- every address that it had: it was asked for, or a call moved, deleted or terminated it while it had an
  address that was asked for, or, in the state of a time, it has one then. All of its calls are selected, and
  those around its stays with other addresses.
- only the addresses that were asked for, or nothing: then only the calls on these are selected, or only those
  around the stay of another ENI. They all depend on its life, but not on the calls on its other addresses.

A call that takes several addresses shows from where it took each: what is around these is selected, too.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from cnitrail.model import LeasePeriod, Scope
from cnitrail.store.contemporaries import LATEST, AddressCall, Contemporaries, enis_of
from cnitrail.store.index_columns import block_key, key_ranges, sort_key
from cnitrail.store.schema import time_text
from cnitrail.store.selected import insert, inside, run

_PARTS = """
INSERT INTO parts SELECT eni, eni FROM enis;
INSERT OR IGNORE INTO parts SELECT parts.eni, trunk FROM parts
    CROSS JOIN subjects ON subjects.eni = name AND NOT only_addresses WHERE trunk NOT NULL;
INSERT OR IGNORE INTO parts SELECT parts.eni, attachment FROM parts
    CROSS JOIN subjects ON subjects.eni = name AND NOT only_addresses WHERE attachment NOT NULL;
INSERT OR IGNORE INTO parts SELECT parts.eni, instance FROM parts
    CROSS JOIN subjects ON subjects.eni = name AND NOT only_addresses WHERE instance NOT NULL;
INSERT OR IGNORE INTO parts SELECT parts.eni, instance FROM parts
    CROSS JOIN subjects ON attachment = name WHERE instance NOT NULL;
"""
_MOVES = """
WITH named (eni, record) AS (
    SELECT parts.eni, record FROM parts CROSS JOIN subjects ON subjects.eni = name AND NOT only_addresses
    UNION ALL SELECT parts.eni, record FROM parts
    CROSS JOIN subjects ON attachment = name AND subjects.eni IS NULL
    UNION ALL SELECT parts.eni, record FROM parts
    CROSS JOIN subjects ON instance = name AND subjects.eni IS NULL
)
SELECT eni, effect, coalesce(time, '') FROM named CROSS JOIN records ON id = record
WHERE outcome = 'ok' AND effect IN ('attach', 'detach', 'delete', 'terminate')
"""

_OF_REQUESTED = """
SELECT place, coalesce(addresses.time, ''), addresses.eni, act, subject
FROM requested CROSS JOIN subjects ON subjects.eni = requested.eni
CROSS JOIN addresses ON subject = subjects.id WHERE act IS NOT NULL
ORDER BY addresses.eni, place, addresses.time
"""
_OF_PLACES = """
SELECT places.place, coalesce(time, ''), eni, act, subject
FROM places CROSS JOIN addresses ON addresses.place = places.place
WHERE eni IN enis AND act IS NOT NULL ORDER BY eni, places.place, time
"""
_OF_ENI = """
SELECT place, coalesce(addresses.time, ''), addresses.eni, act, subject
FROM subjects CROSS JOIN addresses ON subject = subjects.id
WHERE subjects.eni = ? AND place = ? AND act IS NOT NULL ORDER BY addresses.time
"""
_OWNERS = """
SELECT account, region, contested FROM resources WHERE name IN (SELECT value FROM json_each(?))
"""


class PeriodSelection:
    """Selects what is around a period, into the temporary tables of one store."""

    def __init__(self, connection: sqlite3.Connection, scope: Scope, period: LeasePeriod) -> None:
        self._connection = connection
        self._scope = scope
        self._period = period
        self._found = Contemporaries(connection)
        self._is_of_addresses = not (scope.enis or scope.instances)
        self._start, self._end = _text(period.start) or "", _text(period.end) or LATEST

    def fill(self) -> None:
        """Select the ENIs on which the answer depends, and the calls on their addresses."""
        if self._is_of_addresses:
            for place in self._requested_places():
                self._add_holders(place)
            if self._period.leases_only:
                return
            self._request_shown()
        run(self._connection, "INSERT OR IGNORE INTO enis SELECT eni FROM requested")
        taken: set[tuple[str, str]] = set()
        for place, own in self._shown_stays():
            calls = self._calls_around(place, own)
            self._add_calls(calls)
            taken.update(
                (call.eni, other) for call in calls if call.eni for other in self._found.taken_by(call)
            )
        for taker, place in taken:
            for _, own in self._stays(_OF_ENI, (taker, place)):
                self._add_calls(self._calls_around(place, own))

    def _requested_places(self) -> Iterator[str]:
        """Yield the addresses that are in a requested network, and the prefixes that may overlap it."""
        for network in self._scope.addresses:
            first_address = sort_key(network.network_address)
            for first, last in key_ranges(network):
                rows = self._connection.execute(
                    "SELECT DISTINCT place FROM addresses WHERE place BETWEEN ? AND ?", (first, last)
                ).fetchall()
                yield from (place for (place,) in rows if "/" in place or place >= first_address)

    def _add_holders(self, place: str) -> None:
        """Select the ENIs that had an address in the period, and the calls that show it on no ENI."""
        calls = self._found.calls(place)
        start, end = _text(self._period.start), _text(self._period.end)
        is_by_itself = self._found.is_by_itself(place)
        if not is_by_itself or not self._are_all_asked(calls):
            start, end = None, None
        enis = self._found.holders(place, start, end, with_next=self._period.leases_only)
        if is_by_itself:
            insert(self._connection, "places", (place,))
        else:
            insert(self._connection, "places", [*inside(self._connection, block_key(place))])
            enis |= enis_of(self._of_block(place))
        insert(self._connection, "enis", enis)
        self._choose(call for call in calls if call.act is None or call.eni is None)

    def _are_all_asked(self, calls: Iterable[AddressCall]) -> bool:
        """Return whether every ENI of an address is of an account and Region that was asked for.

        Others in the same VPC decide whether the filter keeps its leases, whenever they had it.
        """
        accounts = self._scope.accounts
        regions = () if "all" in self._scope.regions else self._scope.regions
        if not (accounts or regions):
            return True
        rows = self._connection.execute(_OWNERS, (json.dumps(sorted(enis_of(calls))),))
        return all(
            (not accounts or account in accounts) and (not regions or region in regions) and not contested
            for account, region, contested in rows
        )

    def _request_shown(self) -> None:
        """Request the holders of which the answer shows every address."""
        stays: dict[str | None, list[Sequence[AddressCall]]] = defaultdict(list)
        for _, own in self._stays(_OF_PLACES):
            stays[own[0].eni].append(own)
        shown = (
            eni
            for eni, start, end in self._showing_times(stays)
            if eni is not None and any(self._found.may_hold(own, start, end) for own in stays[eni])
        )
        insert(self._connection, "requested", {*shown})

    def _showing_times(self, enis: Iterable[str | None]) -> Iterator[tuple[str | None, str, str]]:
        """Yield the times of which the answer shows every address of an ENI that has a requested one then.

        A termination also ends what its ENI is given later.
        """
        if self._scope.managers:  # the state of a time
            yield from ((eni, self._start, self._end) for eni in enis)
            return
        run(self._connection, _PARTS)
        for eni, effect, time in self._connection.execute(_MOVES).fetchall():
            if self._start <= time <= self._end:
                yield eni, time, LATEST if effect == "terminate" else time

    def _shown_stays(self) -> list[tuple[str, Sequence[AddressCall]]]:
        """Return each address that the answer shows on an ENI, with what calls did to it there."""
        stays = [*self._stays(_OF_REQUESTED), *self._stays(_OF_PLACES)]
        if self._is_of_addresses and self._scope.managers:
            return [(place, own) for place, own in stays if self._found.may_hold(own, self._start, self._end)]
        return stays

    def _stays(
        self, query: str, parameters: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, Sequence[AddressCall]]]:
        """Yield each address of some ENIs with what calls did to it there, by time."""
        rows = self._connection.execute(query, parameters).fetchall()
        for (_, place), of_stay in groupby(rows, key=itemgetter(2, 0)):
            yield place, [AddressCall(*call) for _, *call in of_stay]

    def _calls_around(self, place: str, own: Sequence[AddressCall]) -> Sequence[AddressCall]:
        """Return the calls on which the leases of an address on one ENI depend."""
        return self._found.of_stay(place, own) if self._found.is_by_itself(place) else self._of_block(place)

    def _of_block(self, place: str) -> list[AddressCall]:
        """Return all calls that name an address of a block with delegated prefixes."""
        block = block_key(place)
        rows = self._connection.execute(
            "SELECT coalesce(time, ''), eni, act, subject FROM addresses WHERE place > ? AND place < ?",
            (block, block + "~"),
        )
        return [AddressCall(*row) for row in rows]

    def _add_calls(self, calls: Collection[AddressCall]) -> None:
        """Select calls, and the lives of their ENIs."""
        insert(self._connection, "enis", enis_of(calls))
        self._choose(calls)

    def _choose(self, calls: Iterable[AddressCall]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO chosen SELECT record FROM subjects WHERE id = ?",
            {(call.subject,) for call in calls},
        )


def _text(time: datetime | None) -> str | None:
    """Return a time as text of the same form as stored times."""
    return time_text(time.astimezone(UTC)) if time is not None else None
