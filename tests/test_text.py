"""How counts, names and times read in a sentence."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.text import (
    account_and_region,
    capitalized,
    clock,
    counted,
    duration,
    iso,
    listed,
    quoted,
    short_list,
    shortened,
    time_range,
    times,
)

NOON = datetime(2022, 10, 5, 12, 0, 0, tzinfo=UTC)


class TestCounts:
    @pytest.mark.parametrize(
        ("number", "noun", "text"),
        [
            (0, "call", "0 calls"),
            (1, "call", "1 call"),
            (2000, "call", "2,000 calls"),
            (1, "address", "1 address"),
            (3, "address", "3 addresses"),
            (2, "IPv4 address", "2 IPv4 addresses"),
            (2, "prefix", "2 prefixes"),
            (2, "log file", "2 log files"),
            (2, "batch", "2 batches"),
        ],
    )
    def test_a_count_agrees_with_its_noun(self, number: int, noun: str, text: str) -> None:
        assert counted(number, noun) == text

    @given(st.integers(min_value=2))
    def test_only_one_is_singular(self, number: int) -> None:
        assert counted(number, "ENI") == f"{number:,} ENIs"

    def test_how_often(self) -> None:
        assert [times(1), times(2), times(1200)] == ["once", "2 times", "1,200 times"]


class TestLists:
    def test_a_list_keeps_its_order(self) -> None:
        assert [listed([]), listed(["b"]), listed(["b", "a"]), listed(["c", "b", "a"])] == [
            "",
            "b",
            "b and a",
            "c, b and a",
        ]

    def test_a_short_list_has_each_name_once_and_sorted(self) -> None:
        assert short_list(["b", "a", "b"]) == "a and b"

    def test_a_short_list_spells_out_four_names_and_counts_the_rest_of_five(self) -> None:
        assert short_list("abcd") == "a, b, c and d"
        assert short_list("abcde") == "a, b, c and 2 more"

    @given(st.sets(st.text(min_size=1)))
    def test_a_short_list_is_the_same_in_any_order(self, names: set[str]) -> None:
        assert short_list(sorted(names)) == short_list(sorted(names, reverse=True))


class TestTextsFromRecords:
    def test_a_text_with_spaces_is_quoted(self) -> None:
        assert quoted("eni-1") == "eni-1"
        assert quoted("my role") == '"my role"'

    def test_a_long_text_is_cut_and_its_length_is_stated(self) -> None:
        assert quoted("x" * 1500) == f'"{"x" * 120}… (1,500 characters)"'

    @given(st.text(), st.integers(min_value=0, max_value=50))
    def test_a_text_that_fits_is_not_changed(self, text: str, length: int) -> None:
        assert (shortened(text, length) == text) == (len(text) <= length)

    def test_only_the_first_letter_is_capitalized(self) -> None:
        assert [capitalized("no log of eu-north-1"), capitalized("")] == ["No log of eu-north-1", ""]


class TestTimes:
    def test_a_time_has_its_date_and_its_zone(self) -> None:
        assert clock(NOON) == "2022-10-05 12:00:00Z"

    def test_a_time_as_cloudtrail_writes_it_is_utc_whatever_its_zone(self) -> None:
        assert iso(NOON) == "2022-10-05T12:00:00Z"
        assert iso(NOON.astimezone(timezone(timedelta(hours=5)))) == "2022-10-05T12:00:00Z"

    def test_a_range_repeats_no_date(self) -> None:
        assert time_range(NOON, NOON + timedelta(minutes=4)) == "2022-10-05 12:00:00 to 12:04:00Z"

    def test_a_range_over_midnight_has_both_dates(self) -> None:
        end = NOON + timedelta(days=1)
        assert time_range(NOON, end) == "2022-10-05 12:00:00 to 2022-10-06 12:00:00Z"

    def test_a_range_of_one_second_is_that_second(self) -> None:
        assert time_range(NOON, NOON) == "2022-10-05 12:00:00Z"

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (0.4, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (516, "8 min 36 s"),
            (3600, "1 h"),
            (3659, "1 h"),
            (3660, "1 h 1 min"),
            (86400, "1 d"),
            (97200, "1 d 3 h"),
            (86460, "1 d"),
        ],
    )
    def test_a_duration_has_at_most_two_units(self, seconds: float, text: str) -> None:
        assert duration(timedelta(seconds=seconds)) == text

    @given(st.timedeltas(min_value=timedelta(0)))
    def test_a_duration_is_never_longer_than_the_time_it_states(self, length: timedelta) -> None:
        units = {"d": 86400, "h": 3600, "min": 60, "s": 1}
        words = duration(length).split()
        stated = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
        assert 0 <= round(length.total_seconds()) - stated < (3600 if length.days else 60)

    def test_a_year_has_four_digits(self) -> None:
        first = datetime(1, 1, 1, tzinfo=UTC)
        assert clock(first) == "0001-01-01 00:00:00Z"
        assert iso(first) == "0001-01-01T00:00:00Z"


class TestAccountsAndRegions:
    def test_an_unknown_account_or_region_is_any(self) -> None:
        assert account_and_region("111111111111", "eu-north-1") == "111111111111 in eu-north-1"
        assert account_and_region(None, None) == "any account in any Region"
