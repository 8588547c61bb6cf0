"""Answers to many questions: each is found once for as long as it stays the same."""

from array import array
from bisect import bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.over_time import second_of
from cnitrail.answers.who.change_points import ChangePoints
from cnitrail.answers.who.holder_index import AskedAddress, EniAnswer, HolderIndex
from cnitrail.model import Address, WhoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMEMBERED: Final = 100_000
"""Number of answers (about 1 kB each) that are remembered: questions may be about millions."""

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
        enis = self._eni_answer(ip, narrowed, second)
        if pods is None:
            return enis.of(str(ip), second)
        question = pods.question(ip, at, self._filter(narrowed))
        if any(True for _ in pods.contradictions(question, enis.answer.holders)):
            return self._holders.who(ip, at, self._filter(narrowed))
        return self._holders.with_pod(question, enis.of(str(ip), second))

    def _eni_answer(self, ip: Address, narrowed: _Narrowed, second: datetime) -> EniAnswer:
        address = self._addresses.get((narrowed, ip)) or self._address(ip, narrowed)
        key = address.stretch(second)
        known = address.answers.get(key)
        if known is None:
            self._grow()
            known = address.answers[key] = self._holders.eni_answer(address.asked, second)
        return known

    def _address(self, ip: Address, narrowed: _Narrowed) -> "_Address":
        """Return what is remembered of an address; all that no record names share that."""
        key = narrowed, ip if self._holders.names(ip) else None
        known = self._addresses.get(key)
        if known is None:
            asked = self._holders.asked(ip, self._filter(narrowed))
            known = _Address(asked, self._holders.change_points)
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
    """What is remembered of an address: when its answers change, and those that were asked for."""

    def __init__(self, asked: AskedAddress, points: ChangePoints) -> None:
        self.asked = asked
        self._points = points
        self._groups = asked.relevant
        self._of_holders = array("q", points.of_holders(asked.forms, self._groups))
        self._of_evidence = points.of_evidence(self._groups)
        self._near: dict[int, list[Sequence[int]]] = {}
        self.answers: dict[tuple[int, ...], EniAnswer] = {}

    def stretch(self, time: datetime) -> tuple[int, ...]:
        """Return what is the same for all seconds between two changes."""
        second = second_of(time)
        place = bisect_right(self._of_holders, second)
        near = self._near.get(place)
        if near is None:
            near = self._near[place] = [*self._of_evidence, *self._points.near(self._groups, time)]
        return (place, *[bisect_right(seconds, second) for seconds in near])
