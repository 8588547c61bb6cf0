"""The sums that hold for the counts of every source."""

from typing import Any

from msgspec import to_builtins

from cnitrail.model import SourceReport


def added_up(source: SourceReport | dict[str, Any]) -> dict[str, Any]:
    """Return a source's counts from JSON after checking their four sums."""
    numbers: dict[str, Any] = source if isinstance(source, dict) else to_builtins(source)
    assert all(number >= 0 for number in numbers.values() if isinstance(number, int))
    others = sum(numbers["other_files"].values())
    assert numbers["files_found"] == numbers["files"] + numbers["files_skipped"] + others
    assert numbers["records"] == sum(form["records"] for form in numbers["forms"])
    assert numbers["records"] == numbers["relevant"] + numbers["passed_over"]
    assert numbers["relevant"] == numbers["kept"] + numbers["duplicates"] + numbers["records_skipped"]
    return numbers
