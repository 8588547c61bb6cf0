"""Contemporaries: the other ENIs on which the leases of an address depend at a time.

Within a VPC an address is on one ENI at a time. So when an ENI that never had it before gets it, and no
other call of that second concerns it, everything before is over: a *fresh start*. What an address went
through from the second fresh start before a time to the second one after it decides its leases at that time,
the one before them, and the next one.

An ENI whose VPC is not clear may be in any. It makes no fresh start, nor does a record that may not count.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from cnitrail.store.index_columns import Act, block_key

_STARTS = 2
"""The last lease before a time begins with a fresh start, and takes the address from the one before that. The
next lease begins with one, and another may be found to begin with it until the one after that."""


class AddressCall(NamedTuple):
    """What a call did to an address on an ENI; without ``act`` it failed, or only asked for it."""

    time: str
    eni: str | None
    act: str | None
    subject: int


class Contemporaries:
    """Finds the contemporaries in one store, of addresses that no prefix excludes (``is_by_itself``).

    The temporary tables ``uncertain`` and ``contested`` have the records that may not count, and what these
    name.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._vpcs: dict[str, str | None] = {}

    def is_by_itself(self, place: str) -> bool:
        """Return whether no other place of its block excludes an address or prefix."""
        block = block_key(place)
        (has_prefix,) = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM prefix_blocks WHERE block = ?)", (block,)
        ).fetchone()
        if not has_prefix:
            return True
        ends = self._connection.execute(
            "SELECT (SELECT min(place) FROM addresses WHERE place > ?1 AND place < ?2),"
            " (SELECT max(place) FROM addresses WHERE place > ?1 AND place < ?2)",
            (block, block + "~"),
        ).fetchone()
        return bool(ends == (place, place))

    def calls(self, place: str) -> list[AddressCall]:
        """Return the calls that name an address or prefix, by time."""
        return [AddressCall(*row) for row in self._connection.execute(_CALLS, (place,))]

    def holders(self, place: str, start: str | None, end: str | None, *, with_next: bool) -> set[str]:
        """Return the ENIs on which the leases of an address in a time depend: all, if any lease matters.

        ``with_next``: so does the next holder. It may be in another VPC, however late the lease ends: of
        several VPCs, or ENIs of unknown VPC, all that follows matters.
        """
        calls = self.calls(place)
        if start is None and end is None:
            return enis_of(calls)
        vpcs = {self._vpc(eni) for eni in enis_of(calls)} - {None}
        unclear = {eni for eni in enis_of(calls) if self._vpc(eni) is None}
        is_bounded = end is not None and not (with_next and len(vpcs) + len(unclear) > 1)
        begin, last = start or "", end if end is not None and is_bounded else LATEST
        found = enis_of(call for call in calls if begin <= call.time <= last)
        if unclear:
            found |= unclear | enis_of(call for call in calls if call.act == Act.TAKE)
        for vpc in vpcs:
            found |= enis_of(self._around(calls, vpc, begin, last))
        return enis_of(calls) if any(_is_instant(calls, eni) for eni in found) else found

    def of_stay(self, place: str, own: Sequence[AddressCall]) -> Sequence[AddressCall]:
        """Return the calls on which all leases of an address on one ENI depend.

        ``own`` are the calls that did something to the address on this ENI, by time.
        """
        first, last = own[0], own[-1]
        vpc = self._vpc(first.eni)
        is_certain = self._counts(first) and self._counts(last) and not _is_instant(own, first.eni)
        if vpc is None or not is_certain:
            return self.calls(place)
        if first.act == Act.ASSIGN:
            following = self._following(place, vpc, first, last)
            if following is not None:
                return following
        return self._around(self.calls(place), vpc, first.time, last.time)

    def may_hold(self, own: Sequence[AddressCall], start: str, end: str) -> bool:
        """Return whether an ENI may have an address in a time, by what calls did to the address on it.

        A call that releases the address, or shows it, is a sign that the ENI had it before. If a record that
        may not count names the ENI, nothing is certain.
        """
        following = next((call for call in own if call.time >= start), None)
        if following is not None and (following.time <= end or following.act in _SIGNS):
            return True
        before = [call for call in own if call.time < start]
        last = [call for call in before if call.time == before[-1].time]
        return any(call.act != Act.RELEASE for call in last) or self._is_contested(own[0].eni)

    def taken_by(self, call: AddressCall) -> list[str]:
        """Return all addresses that a call took, if it may take them from other ENIs."""
        if call.act != Act.TAKE:
            return []
        rows = self._connection.execute("SELECT place FROM addresses WHERE subject = ?", (call.subject,))
        return [place for (place,) in rows]

    def _following(
        self, place: str, vpc: str, first: AddressCall, last: AddressCall
    ) -> list[AddressCall] | None:
        """Return the calls from a fresh start to the end of a stay; None if it is no fresh start."""
        until = last.time if last.act == Act.RELEASE else LATEST
        rows = self._connection.execute(_CALLS_WITHIN, (place, first.time, until))
        calls = (call for call in map(AddressCall._make, rows) if self._vpc(call.eni) in (vpc, None))
        found: list[AddressCall] = []
        for time, of_second in groupby(calls, key=attrgetter("time")):
            together = list(of_second)
            is_alone = len(together) == 1
            if time == first.time and not is_alone:
                return None
            is_new = enis_of(found).isdisjoint(enis_of(together))
            found += together
            if time > last.time and is_alone and is_new and self._starts(together[0], vpc):
                break
        return found

    def _around(
        self, calls: Iterable[AddressCall], vpc: str | None, start: str, end: str
    ) -> Sequence[AddressCall]:
        """Return the calls in a VPC from the second fresh start before a time to the second one after it."""
        acts = [call for call in calls if call.act is not None and self._vpc(call.eni) in (vpc, None)]
        starts = [*_fresh_starts(acts)]
        earlier = (number for number, call in reversed(starts) if call.time < start)
        later = (number for number, call in starts if call.time > end)
        begins = (number for number in earlier if self._starts(acts[number], vpc))
        ends = (number for number in later if self._starts(acts[number], vpc))
        begin = next(islice(begins, _STARTS - 1, None), 0)
        return acts[begin : next(islice(ends, _STARTS - 1, None), len(acts)) + 1]

    def _starts(self, call: AddressCall, vpc: str | None) -> bool:
        """Return whether a call certainly gives the address to an ENI in a VPC."""
        return call.act in _GAINS and self._vpc(call.eni) == vpc and self._counts(call)

    def _counts(self, call: AddressCall) -> bool:
        """Return whether no record of the event says something else, and all it names is of one owner."""
        (is_uncertain,) = self._connection.execute(_UNCERTAIN, (call.subject,)).fetchone()
        return not is_uncertain

    def _is_contested(self, eni: str | None) -> bool:
        (is_contested,) = self._connection.execute(_CONTESTED, (eni,)).fetchone()
        return bool(is_contested)

    def _vpc(self, eni: str | None) -> str | None:
        """Return the VPC of an ENI; None if no record that counts shows it, or if several disagree."""
        if eni is None:
            return None
        if eni not in self._vpcs:
            (self._vpcs[eni],) = self._connection.execute(_VPC, (eni,)).fetchone() or (None,)
        return self._vpcs[eni]


_GAINS = (Act.ASSIGN, Act.TAKE)
_SIGNS = (Act.RELEASE, Act.SHOW)
LATEST = "~"
"""Sorts after every time."""

_CALLS = "SELECT coalesce(time, ''), eni, act, subject FROM addresses WHERE place = ? ORDER BY time"
_CALLS_WITHIN = """
SELECT time, eni, act, subject FROM addresses
WHERE place = ? AND time BETWEEN ? AND ? AND act IS NOT NULL ORDER BY time
"""
_UNCERTAIN = """
SELECT EXISTS (SELECT 1 FROM subjects CROSS JOIN uncertain USING (record) WHERE subjects.id = ?)
"""
_CONTESTED = "SELECT EXISTS (SELECT 1 FROM contested WHERE name = ?)"
_VPC = """
SELECT vpc FROM resources
WHERE name = ? AND NOT contested AND record NOT IN (SELECT record FROM uncertain)
"""


def enis_of(calls: Iterable[AddressCall]) -> set[str]:
    """Return the ENIs that calls name."""
    return {call.eni for call in calls if call.eni is not None}


def _fresh_starts(acts: Sequence[AddressCall]) -> Iterator[tuple[int, AddressCall]]:
    """Yield the calls that may be fresh starts of an address, each with its index."""
    seen: set[str | None] = set()
    index = 0
    for _, of_second in groupby(acts, key=attrgetter("time")):
        together = list(of_second)
        if len(together) == 1 and together[0].eni not in seen:
            yield index, together[0]
        seen.update(call.eni for call in together)
        index += len(together)


def _is_instant(calls: Iterable[AddressCall], eni: str | None) -> bool:
    """Return whether an ENI got and lost an address in one second: then all its leases matter."""
    acts: dict[str, set[str | None]] = defaultdict(set)
    for call in calls:
        if call.eni == eni:
            acts[call.time].add(call.act)
    return any(Act.RELEASE in of_second and len(of_second - {None}) > 1 for of_second in acts.values())
