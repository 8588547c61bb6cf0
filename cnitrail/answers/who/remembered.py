"""Answers to many questions: each is found once for as long as it stays the same."""

from array import array
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.over_time import bounds_around, second_of
from cnitrail.answers.who.change_points import ChangePoints
from cnitrail.answers.who.holder_index import AskedAddress, EniAnswer, HolderIndex
from cnitrail.model import Address, WhoAnswer

_REMEMBERED: Final = 250_000
"""Number of answers and addresses (about 1 kB each) that are remembered: questions may be about millions."""

_Narrowed = tuple[str | None, str | None]
"""The VPC and account that a question narrows its address to."""


class RememberedAnswers:
    """Answers questions as ``HolderIndex`` does, and remembers a bounded number of answers."""

    def __init__(self, holders: HolderIndex, wanted: Filter) -> None:
        self._holders = holders
        self._wanted = wanted
        self._filters: dict[_Narrowed, Filter] = {}
        self._addresses: dict[tuple[_Narrowed, Address | None], _Address] = {}
        self._size = 0

    def who(self, ip: Address, at: datetime, vpc: str | None = None, account: str | None = None) -> WhoAnswer:
        """Return who held an address in the second of a time, and which pod."""
        narrowed, pods = (vpc, account), self._holders.pods
        if self._holders.verified:
            return self._holders.who(ip, at, self._filter(narrowed))
        second = at.astimezone(UTC).replace(microsecond=0)
        address = self._addresses.get((narrowed, ip)) or self._address(ip, narrowed)
        enis = self._eni_answer(address, second)
        text = enis.answer.ip if address.is_named else str(ip)
        if pods is None:
            return enis.of(text, second)
        question = pods.question(ip, at, self._filter(narrowed))
        if any(True for _ in pods.contradictions(question, enis.answer.holders)):
            return self._holders.who(ip, at, self._filter(narrowed))
        return self._holders.with_pod(question, enis.of(text, second))

    def _eni_answer(self, address: "_Address", second: datetime) -> EniAnswer:
        known = address.answer(second_of(second))
        if known is None:
            self._grow()
            known = self._holders.eni_answer(address.asked, second)
            address.remember(second, known)
        return known

    def _address(self, ip: Address, narrowed: _Narrowed) -> "_Address":
        """Return what is remembered of an address; all that no record names share that."""
        is_named = self._holders.names(ip)
        key = narrowed, ip if is_named else None
        known = self._addresses.get(key)
        if known is None:
            asked = self._holders.asked(ip, self._filter(narrowed))
            known = _Address(asked, self._holders.change_points, is_named=is_named)
            self._grow()
            self._addresses[key] = known
        return known

    def _grow(self) -> None:
        """Note that one more is to be remembered; forget everything first if it is too much."""
        self._size += 1
        if self._size > _REMEMBERED:
            self._addresses.clear()
            self._filters.clear()
            self._size = 1

    def _filter(self, narrowed: _Narrowed) -> Filter:
        known = self._filters.get(narrowed)
        if known is None:
            given = zip(("vpc", "account"), narrowed, strict=True)
            known = replace(self._wanted, **{field: (name,) for field, name in given if name is not None})
            self._filters[narrowed] = known
        return known


class _Address:
    """What is remembered of an address: the answers that were asked for, and in which seconds they hold.

    ``_firsts`` and ``_lasts`` are the first and last second of each of the ``answers``, in order. They are
    about all addresses that no record names, unless it ``is_named``.
    """

    def __init__(self, asked: AskedAddress, points: ChangePoints, *, is_named: bool) -> None:
        self.asked = asked
        self.is_named = is_named
        self._points = points
        self._groups = asked.relevant
        self._shared = (
            array("q", points.of_holders(asked.forms, self._groups)),
            *points.of_evidence(self._groups),
        )
        self._firsts = array("q")
        self._lasts = array("q")
        self.answers: list[EniAnswer] = []

    def answer(self, second: int) -> EniAnswer | None:
        """Return what is remembered of a second."""
        place = bisect_right(self._firsts, second) - 1
        return self.answers[place] if place >= 0 and second <= self._lasts[place] else None

    def remember(self, time: datetime, answer: EniAnswer) -> None:
        """Remember an answer for all seconds between the changes around one."""
        changes = (*self._shared, *self._points.near(self._groups, time))
        first, last = bounds_around(second_of(time), changes)
        place = bisect_right(self._firsts, first)
        self._firsts.insert(place, first)
        self._lasts.insert(place, last)
        self.answers.insert(place, answer)
