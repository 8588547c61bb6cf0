"""How every command ends: the answer on stdout, the account of the evidence on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import click
from msgspec.structs import asdict

from cnitrail.cli.outputs import answer_writer
from cnitrail.cli.stderr import warn
from cnitrail.cli.summary import NO_MATCH, summarize
from cnitrail.cli.writing import writing
from cnitrail.model import Answer
from cnitrail.model.reason import ReasonCode
from cnitrail.text import at_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Sized

    from cnitrail.model import Evidence
    from cnitrail.model.reason import Reason
    from cnitrail.workflows.request import Request

    class Entries(Sized, Iterable[object], Protocol):
        """The entries of an answer; those that are found while they are printed are counted then."""


_MAX_SHOWN = 20
"""Warnings that a terminal shows: a trail may have a gap every hour."""


def respond(
    request: Request,
    output: str,
    evidence: Evidence,
    entries: Entries,
    *,
    nothing: str = NO_MATCH,
    shown: int | None = None,
    limitations: Sequence[Reason] = (),
    **asked: object,
) -> int:
    """Print the entries of an answer, what was read, and what that does not cover; return the exit status.

    ``nothing`` is printed if there are no entries, ``shown`` as their number if some of them sum up others;
    ``asked`` is what the command was asked beside its filters.
    """
    print_answer(request, output, evidence, entries, limitations, **asked)
    number = len(entries) if shown is None else shown
    status = summarize(evidence, number, nothing)
    warn_of(limitations, evidence, is_empty=not number)
    return status


def warn_of(limitations: Sequence[Reason], evidence: Evidence, *, is_empty: bool) -> None:
    """Print what the evidence does not cover, unless it was printed as skipped.

    That nothing shows what it covers is true of every export of some events: it is printed beside an empty
    answer, which could be taken for proof that nothing happened.
    """
    skipped = {at_source(skip.source, skip.reason) for skip in evidence.skipped}
    stated = [
        limitation
        for limitation in limitations
        if limitation.text not in skipped and (is_empty or limitation.code is not ReasonCode.COVERAGE_UNKNOWN)
    ]
    for limitation in stated[:_MAX_SHOWN]:
        warn(limitation.text)
    if len(stated) > _MAX_SHOWN:
        warn(f"{len(stated) - _MAX_SHOWN:,} more; -o json lists all under limitations")


def print_answer(
    request: Request,
    output: str,
    evidence: Evidence,
    entries: Entries,
    limitations: Sequence[Reason] = (),
    **asked: object,
) -> None:
    """Print the entries of an answer. Raises ``WriteError``."""
    command = click.get_current_context().command.name
    assert command is not None
    query = {"command": command, "sources": request.sources, **asdict(request.wanted), **asked}
    answer = Answer(
        command=command,
        query=query,
        evidence=evidence,
        entries=cast("Sequence[object]", entries),
        limitations=limitations,
    )
    write = answer_writer(command, output)
    with writing() as stdout:
        write(answer, stdout)
