"""The sums that hold in every account."""

from typing import Any

from cnitrail.model import SourceReport


def added_up(source: SourceReport | dict[str, Any]) -> dict[str, Any]:
    """A source's account, as JSON has it, in which the three sums were made."""
    numbers = (
        source
        if isinstance(source, dict)
        else {name: getattr(source, name) for name in SourceReport.__struct_fields__}
    )
    assert all(each >= 0 for name, each in numbers.items() if name != "uri")
    assert numbers["files_found"] == numbers["files"] + numbers["files_skipped"]
    assert numbers["records"] == numbers["relevant"] + numbers["passed_over"]
    assert numbers["relevant"] == numbers["kept"] + numbers["duplicates"] + numbers["records_skipped"]
    return numbers
