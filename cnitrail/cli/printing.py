"""The formats that every answer has in common."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO

    from cnitrail.answers.filters import Filter
    from cnitrail.model import Evidence
    from cnitrail.render.csv import Columns


Entry = TypeVar("Entry")


def print_entries(
    output: str,
    entries: Sequence[Entry],
    *,
    command: str,
    query: dict[str, object],
    evidence: Evidence,
    columns: Columns,
    write_table: Callable[[Sequence[Entry], IO[str]], None],
) -> None:
    """Print the entries of an answer to stdout as table, CSV, JSON or JSON lines."""
    if output == "table":
        write_table(entries, sys.stdout)
    elif output == "csv":
        from cnitrail.render.csv import table

        sys.stdout.writelines(table(columns, entries))
    elif output == "jsonl":
        from cnitrail.render.json import lines

        sys.stdout.writelines(lines(entries))
    else:
        from cnitrail.render.json import document

        schema = f"cnitrail/{command}/v1"
        sys.stdout.writelines(document(schema, {"command": command, **query}, evidence, entries))


def query_of(sources: tuple[str, ...], wanted: Filter, **more: object) -> dict[str, object]:
    """What was asked: the sources, and the filters with their times resolved."""
    return {"sources": sources, **more, **asdict(wanted)}
