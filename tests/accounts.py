"""The sums that hold for the counts of every source."""

from typing import Any

from cnitrail.model import SourceReport


def added_up(source: SourceReport | dict[str, Any]) -> dict[str, Any]:
    """Return a source's counts from JSON after checking their three sums."""
    numbers = (
        source
        if isinstance(source, dict)
        else {name: getattr(source, name) for name in SourceReport.__struct_fields__}
    )
    assert all(number >= 0 for name, number in numbers.items() if name != "uri")
    assert numbers["files_found"] == numbers["files"] + numbers["files_skipped"]
    assert numbers["records"] == numbers["relevant"] + numbers["passed_over"]
    assert numbers["relevant"] == numbers["kept"] + numbers["duplicates"] + numbers["records_skipped"]
    return numbers
