"""The properties of a table from Trino's SHOW CREATE TABLE, with the names that Athena uses.

Trino keeps partition projection of a table in properties of its columns
(https://trino.io/docs/current/connector/hive.html, "Partition projection"); Athena keeps it in TBLPROPERTIES.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUE: Final = r"ARRAY\[(?:'(?:[^']|'')*'|[^\]'])*\]|'(?:[^']|'')*'|[^\s,)]+"
_PROPERTY = re.compile(rf"(\w+) = ({_VALUE})")
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_COLUMN = re.compile(r'\s*("(?:[^"]|"")+"|\w+) .* WITH \((partition_projection_.*)\),?$')
_PROJECTION: Final = "partition_projection_"
_OF_TABLE: Final = {
    "partition_projection_enabled": "projection.enabled",
    "partition_projection_location_template": "storage.location.template",
}


def properties_of(ddl: str) -> dict[str, str]:
    """Return the properties in the text of a CREATE TABLE."""
    columns, _, options = ddl.rpartition("\nWITH (\n")
    found = {_OF_TABLE.get(name, name): value for name, value in _properties(options)}
    for line in columns.splitlines():
        column = _COLUMN.match(line)
        if column is None:
            continue
        name = column[1].strip('"').replace('""', '"').lower()
        for option, value in _properties(column[2]):
            kind = option.removeprefix(_PROJECTION).replace("_", ".")
            found[f"projection.{name}.{kind}"] = value.lower() if kind == "type" else value
    return found


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values; a list's items are joined with commas, as Athena writes them."""
    for name, value in _PROPERTY.findall(text):
        texts = [item.replace("''", "'") for item in _TEXT.findall(value)]
        yield name.lower(), ",".join(texts) if texts or value.startswith("ARRAY") else value
