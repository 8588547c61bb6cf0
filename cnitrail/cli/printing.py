"""How every command ends: the answer on stdout, the account of the evidence on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from cnitrail.cli.summary import NO_MATCH, summarize
from cnitrail.cli.writing import writing
from cnitrail.model import Answer
from cnitrail.render.writers import writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnitrail.model import Evidence
    from cnitrail.workflows.request import Request


def respond(
    request: Request,
    output: str,
    evidence: Evidence,
    entries: Sequence[object],
    *,
    nothing: str = NO_MATCH,
    shown: int | None = None,
    **asked: object,
) -> int:
    """Print the entries of an answer, then what was read; return the exit status.

    ``nothing`` is printed if there are no entries, ``shown`` as their number if some of them sum up others;
    ``asked`` is what the command was asked beside its filters.
    """
    print_answer(request, output, evidence, entries, **asked)
    return summarize(evidence, len(entries) if shown is None else shown, nothing)


def print_answer(
    request: Request, output: str, evidence: Evidence, entries: Sequence[object], **asked: object
) -> None:
    """Print the entries of an answer. Raises ``WriteError``."""
    command = click.get_current_context().command.name
    assert command is not None
    query = {"command": command, "sources": request.sources, **asdict(request.wanted), **asked}
    answer, write = Answer(command, query, evidence, entries), writer(command, output)
    with writing() as stdout:
        write(answer, stdout)
