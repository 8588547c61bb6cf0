"""How every question ends: the answer on stdout, the account of the evidence on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click
from msgspec.structs import asdict

from cnitrail.cli.reading import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO

    from cnitrail.cli.request import Request
    from cnitrail.model import Evidence
    from cnitrail.render.csv import Columns

Entry = TypeVar("Entry")


def respond(
    request: Request,
    output: str,
    evidence: Evidence,
    entries: Sequence[Entry],
    *,
    columns: Columns,
    write_table: Callable[[Sequence[Entry], IO[str]], None],
    **asked: object,
) -> int:
    """Print the entries of an answer, and say what was read; the exit status that follows.

    ``asked`` is what the command was asked beside its filters.
    """
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

        command = click.get_current_context().info_name
        query = {"command": command, "sources": request.sources, **asdict(request.wanted), **asked}
        sys.stdout.writelines(document(f"cnitrail/{command}/v1", query, evidence, entries))
    sys.stdout.flush()
    return tell(evidence, len(entries), request.quiet)
