"""Intervals of time: one convention, and the arithmetic checked against sets of seconds."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.intervals import Interval, between, difference, through, total_length, union
from cnitrail.timeclamp import FIRST, LAST

_NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def second(number: int) -> datetime:
    return _NOON + timedelta(seconds=number)


def interval(start: int, end: int) -> Interval:
    return Interval(second(start), second(end))


def seconds_of(*intervals: Interval) -> set[int]:
    """Return the seconds at which any of the intervals holds."""
    return {number for number in range(-5, 45) for one in intervals if one.includes(second(number))}


class TestConvention:
    def test_the_start_belongs_to_an_interval_and_the_end_does_not(self) -> None:
        assert interval(1, 3).includes(second(1))
        assert interval(1, 3).includes(second(2))
        assert not interval(1, 3).includes(second(3))

    def test_adjacent_intervals_do_not_overlap(self) -> None:
        assert not interval(1, 3).overlaps(interval(3, 5))
        assert interval(1, 3).intersection(interval(3, 5)) is None

    def test_an_interval_without_time_in_it_is_empty(self) -> None:
        assert interval(3, 3).length == interval(3, 1).length == timedelta(0)
        assert union([interval(3, 3), interval(5, 4)]) == []

    def test_a_side_without_a_bound_is_an_end_of_the_calendar(self) -> None:
        assert between(None, second(3)) == Interval(FIRST, second(3))
        assert between(second(3), None) == Interval(second(3), LAST)
        assert between(None, None).contains(interval(0, 9))

    def test_through_also_includes_the_last_second(self) -> None:
        assert through(second(1), second(3)).includes(second(3))
        assert not through(second(1), second(3)).includes(second(3) + datetime.resolution)
        assert through(second(1), second(3)).overlaps(through(second(3), second(5)))
        assert not through(second(1), second(3)).overlaps(through(second(4), second(5)))

    def test_a_last_second_at_the_end_of_the_calendar_is_no_error(self) -> None:
        assert through(None, LAST) == through(None, None) == Interval(FIRST, LAST)


class TestTwoIntervals:
    def test_an_interval_contains_itself_and_a_moment_at_its_bounds(self) -> None:
        assert interval(1, 3).contains(interval(1, 3))
        assert interval(1, 3).contains(interval(3, 3))
        assert not interval(1, 3).contains(interval(2, 4))

    def test_a_moment_overlaps_the_interval_around_it(self) -> None:
        assert interval(1, 3).overlaps(interval(2, 2))
        assert not interval(1, 3).overlaps(interval(1, 1))
        assert not interval(1, 3).overlaps(interval(3, 3))

    def test_the_intersection_is_the_common_part(self) -> None:
        assert interval(1, 5).intersection(interval(3, 9)) == interval(3, 5)
        assert interval(3, 5).intersection(interval(1, 9)) == interval(3, 5)


class TestManyIntervals:
    def test_a_union_joins_overlapping_and_adjacent_intervals(self) -> None:
        parts = [interval(7, 9), interval(1, 3), interval(3, 4), interval(2, 3)]
        assert union(parts) == [interval(1, 4), interval(7, 9)]

    def test_a_difference_keeps_the_parts_outside_the_cuts(self) -> None:
        assert difference([interval(0, 10)], [interval(2, 3), interval(8, 12)]) == [
            interval(0, 2),
            interval(3, 8),
        ]

    def test_a_difference_does_not_join_intervals(self) -> None:
        assert difference([interval(4, 8), interval(0, 4)], []) == [interval(4, 8), interval(0, 4)]

    def test_the_total_length_is_the_sum(self) -> None:
        assert total_length([interval(0, 2), interval(5, 8), interval(8, 8)]) == timedelta(seconds=5)
        assert total_length([]) == timedelta(0)


_INTERVALS = st.lists(
    st.builds(interval, st.integers(min_value=0, max_value=40), st.integers(min_value=0, max_value=40)),
    max_size=8,
)


class TestAgainstSetsOfSeconds:
    @given(_INTERVALS)
    def test_a_union_has_the_seconds_of_all_in_order_and_apart(self, parts: list[Interval]) -> None:
        joined = union(parts)
        assert seconds_of(*joined) == seconds_of(*parts)
        assert all(before.end < after.start for before, after in pairwise(joined))
        assert total_length(joined) == timedelta(seconds=len(seconds_of(*parts)))

    @given(_INTERVALS, _INTERVALS)
    def test_a_difference_has_the_seconds_of_one_and_not_of_the_other(
        self, parts: list[Interval], cuts: list[Interval]
    ) -> None:
        left = difference(union(parts), cuts)
        assert seconds_of(*left) == seconds_of(*parts) - seconds_of(*cuts)
        assert left == union(left)

    @given(*[st.integers(min_value=0, max_value=20)] * 4)
    def test_two_intervals_share_the_seconds_of_both(self, a: int, b: int, c: int, d: int) -> None:
        one, other = interval(a, b), interval(c, d)
        shared = one.intersection(other)
        assert seconds_of(*([shared] if shared else [])) == seconds_of(one) & seconds_of(other)
        if a < b and c < d:
            assert one.overlaps(other) == (shared is not None)
            assert one.contains(other) == (seconds_of(other) <= seconds_of(one))

    @given(*[st.integers(min_value=0, max_value=20)] * 4)
    def test_intervals_through_a_last_second_meet_if_they_have_one_in_common(
        self, a: int, b: int, c: int, d: int
    ) -> None:
        one, other = through(second(a), second(a + b)), through(second(c), second(c + d))
        assert one.overlaps(other) == bool({*range(a, a + b + 1)} & {*range(c, c + d + 1)})


@pytest.mark.parametrize("cuts", [[], [interval(3, 3)], [interval(5, 1)]])
def test_an_empty_cut_removes_nothing(cuts: list[Interval]) -> None:
    assert difference([interval(0, 9)], cuts) == [interval(0, 9)]
