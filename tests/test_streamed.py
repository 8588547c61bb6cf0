"""Entries that are made while they are written."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import FIXTURES, Run
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.cli.streamed import Streamed
from cnitrail.intervals import meet


class Made:
    """Makes three entries, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Iterator[str]:
        self.times += 1
        yield from ("a", "b", "c")


def test_the_number_of_entries_is_known_once_they_were_written() -> None:
    make = Made()
    entries = Streamed(make)
    assert [entry for entry in entries] == ["a", "b", "c"]  # noqa: C416  a list asks for the length first
    assert len(entries) == 3
    assert make.times == 1


def test_entries_are_made_again_each_time_they_are_read() -> None:
    make = Made()
    entries = Streamed(make)
    assert (len(entries), bool(entries), entries[0], entries[1:]) == (3, True, "a", ["b", "c"])
    assert list(entries) == list(entries)
    assert make.times > 1


@pytest.mark.parametrize("command", ["timeline", "leases"])
def test_json_lines_are_the_entries_of_json(run: Run, command: str) -> None:
    lines = run(command, FIXTURES / "ironman", "-o", "jsonl").stdout.splitlines()
    whole = json.loads(run(command, FIXTURES / "ironman", "-o", "json").stdout)
    assert [json.loads(line) for line in lines] == whole["entries"]


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = st.none() | st.integers(0, 9).map(lambda second: BEGIN + timedelta(seconds=second))


@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_two_intervals_meet_if_some_second_is_in_both(
    start: datetime | None, last: datetime | None, other_start: datetime | None, other_last: datetime | None
) -> None:
    seconds = [BEGIN + timedelta(seconds=second) for second in range(-1, 11)]
    shared = [
        second
        for second in seconds
        if (start is None or start <= second)
        and (last is None or second <= last)
        and (other_start is None or other_start <= second)
        and (other_last is None or second <= other_last)
    ]
    is_interval = (None in (start, last) or start <= last) and (  # type: ignore[operator]
        None in (other_start, other_last) or other_start <= other_last  # type: ignore[operator]
    )
    if is_interval:
        assert meet(start, last, other_start, other_last) is bool(shared)
