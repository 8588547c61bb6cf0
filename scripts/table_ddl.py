"""A table's description from its DDL: what docs/athena.md shows is what cnitrail reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnitrail.sources.sql.column_types import parse_type
from cnitrail.sources.sql.description import TableDescription

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.sources.sql.column_types import ColumnType

_PROPERTY = re.compile(r"'([^']+)'\s*=\s*'([^']*)'")


def tables(page: str) -> Iterator[tuple[str, TableDescription]]:
    """Yield the tables that the DDL in a page creates, by name; CREATE TABLE … AS is not among them."""
    for block in re.findall(r"^```sql\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        if found := re.match(r"CREATE (?:EXTERNAL )?TABLE ([\w.]+) \(", block):
            yield found[1], _described(block[found.end() - 1 :])


def _described(ddl: str) -> TableDescription:
    """Return the table of a DDL, which begins with its columns.

    Hive has partition columns in a list of their own (``PARTITIONED BY``); Trino names some of the columns.
    """
    listed = _enclosed(ddl)
    rest = ddl[len(listed) + 2 :]
    columns = dict(_columns(listed))
    own = re.search(r"PARTITIONED BY (\(.*)", rest, re.DOTALL)
    named = re.search(r"partitioned_by = ARRAY\[(.*?)\]", rest)
    names = re.findall(r"\w+", named[1]) if named else []
    partition_columns = dict(_columns(_enclosed(own[1]))) if own else {name: columns[name] for name in names}
    return TableDescription(
        columns={name: kind for name, kind in columns.items() if name not in partition_columns},
        partition_columns=partition_columns,
        properties={
            name.lower(): value for name, value in _PROPERTY.findall(rest.partition("TBLPROPERTIES")[2])
        },
    )


def _enclosed(text: str) -> str:
    """Return what is between the bracket at the beginning of a text and the one that closes it."""
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return text[1:place]
    raise ValueError(f"a bracket is not closed: {text[:60]}")


def _columns(text: str) -> Iterator[tuple[str, ColumnType]]:
    """Yield columns by their names; a comma inside a type separates none."""
    depth, start = 0, 0
    for place, character in enumerate(text + ","):
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(character, 0)
        if character == "," and not depth:
            name, _, kind = text[start:place].strip().partition(" ")
            yield name.strip('`"').lower(), parse_type(kind.partition(" WITH ")[0])
            start = place + 1
