"""Values that change at known seconds: each is computed once, and what says the same is one stretch."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cnitrail.answers.over_time import (
    ALL_INTERVALS,
    FIRST_SECOND,
    LAST_SECOND,
    IntervalBounds,
    OverTime,
    Stretch,
)

SECONDS = st.integers(-5, 40)
CHANGES = st.lists(st.integers(0, 30), unique=True).map(sorted)


def letters(text: str, changes: list[int]) -> OverTime[str]:
    """A value that is the next letter of a text from each change on; it begins with ``-``."""
    return OverTime((changes,), lambda second: "-" if second < changes[0] else text[_place(changes, second)])


def _place(changes: list[int], second: int) -> int:
    return sum(change <= second for change in changes) - 1


class TestStretches:
    def test_a_value_stays_the_same_between_two_changes(self) -> None:
        over = letters("ab", [10, 20])
        assert over.at(12) == Stretch(10, 19, "a")
        assert over.at(9) == Stretch(FIRST_SECOND, 9, "-")
        assert over.at(20) == Stretch(20, LAST_SECOND, "b")

    def test_stretches_with_one_value_are_one_once_both_are_known(self) -> None:
        over = letters("aab", [10, 20, 30])
        assert over.at(15) == Stretch(10, 19, "a")
        assert over.at(25) == Stretch(10, 29, "a")
        assert over.at(15) == Stretch(10, 29, "a")

    def test_a_stretch_between_two_others_joins_them(self) -> None:
        over = letters("aaab", [10, 20, 30, 40])
        over.at(15)
        over.at(35)
        assert over.at(25) == Stretch(10, 39, "a")

    def test_no_stretch_joins_another_one_across_one_that_is_not_known(self) -> None:
        over = letters("aba", [10, 20, 30])
        over.at(15)
        assert over.at(35) == Stretch(30, LAST_SECOND, "a")

    def test_each_stretch_is_computed_once(self) -> None:
        asked: list[int] = []

        def evaluate(second: int) -> str:
            asked.append(second)
            return "a"

        over = OverTime(([10], [20]), evaluate)
        for second in (15, 12, 25, 15, 5, 15):
            over.at(second)
        assert asked == [10, 20, FIRST_SECOND]

    @given(
        CHANGES.filter(bool), st.text("ab", min_size=31, max_size=31), st.lists(st.tuples(SECONDS, SECONDS))
    )
    def test_the_stretches_of_an_interval_are_its_seconds_whatever_was_asked_before(
        self, changes: list[int], text: str, asked: list[tuple[int, int]]
    ) -> None:
        over = letters(text, changes)
        for one, other in asked:
            first, last = min(one, other), max(one, other)
            found = over.during(first, last)
            said = {
                s: stretch.value
                for stretch in found
                for s in range(max(stretch.first, -9), 50)
                if s <= stretch.last
            }
            assert found[0].first <= first <= found[0].last
            assert found[-1].first <= last <= found[-1].last
            assert all(a.last + 1 == b.first for a, b in pairwise(found))
            for second in range(first, last + 1):
                expected = "-" if second < changes[0] else text[_place(changes, second)]
                assert said[second] == expected


class TestIntervalBounds:
    def test_all_intervals_include_any(self) -> None:
        assert ALL_INTERVALS.include(FIRST_SECOND, LAST_SECOND)

    def test_they_reach_from_the_first_stretch_into_the_last_one(self) -> None:
        bounds = IntervalBounds.of([Stretch(0, 9, "a"), Stretch(10, 10, "b"), Stretch(11, 19, "c")])
        assert bounds.include(9, 11)
        assert bounds.include(0, 19)
        assert not bounds.include(9, 10)
        assert not bounds.include(10, 19)

    @given(*[st.tuples(SECONDS, SECONDS, SECONDS, SECONDS)] * 2, SECONDS, SECONDS)
    def test_those_within_two_bounds_are_in_both(
        self, one: tuple[int, int, int, int], other: tuple[int, int, int, int], first: int, last: int
    ) -> None:
        names = ("first_from", "first_to", "last_from", "last_to")
        both = [IntervalBounds(**dict(zip(names, four, strict=True))) for four in (one, other)]
        is_in_both = all(bounds.include(first, last) for bounds in both)
        assert both[0].intersection(both[1]).include(first, last) is is_in_both
