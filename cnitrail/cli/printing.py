"""How every question ends: the answer on stdout, the account of the evidence on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from cnitrail.cli.outputs import writer
from cnitrail.model import Answer
from cnitrail.workflows.read import tell

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
    nothing: str = "none of them is what was asked for",
    **asked: object,
) -> int:
    """Print the entries of an answer, and say what was read; the exit status that follows.

    ``nothing`` is what it means that there are none; ``asked`` is what the command was asked beside
    its filters.
    """
    print_answer(request, output, evidence, entries, **asked)
    return tell(evidence, len(entries), request.quiet, nothing)


def print_answer(
    request: Request, output: str, evidence: Evidence, entries: Sequence[object], **asked: object
) -> None:
    """Print the entries of an answer."""
    command = click.get_current_context().command.name
    assert command is not None
    query = {"command": command, "sources": request.sources, **asdict(request.wanted), **asked}
    writer(command, output)(Answer(command, query, evidence, entries), sys.stdout)
    sys.stdout.flush()
