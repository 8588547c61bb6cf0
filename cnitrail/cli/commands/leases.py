"""``cnitrail leases``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import CALL_FILTERS, PLACE_FILTERS, POD_FILTERS, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@request_options(*PLACE_FILTERS, *CALL_FILTERS, *POD_FILTERS, "since", "until")
@output_option("leases")
def leases(request: Request, output: str) -> None:
    """List every interval in which an ENI held an address.

    \b
    Each start and end has a basis:
      observed  an event says so
      implied   another event shows it
      unknown   the evidence does not show it
      open      still held when the evidence ends

    Prefixes (/28 and /80) are listed like addresses.

    \b
    Examples:
      cnitrail leases logs/ --ip 10.0.1.25
      cnitrail leases logs/ --instance i-0abc… --since 2h -o csv
      cnitrail leases logs/ -o parquet > leases.parquet
    """
    from msgspec.structs import replace

    from cnitrail.answers.leases import leases as entries_of
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.streamed import entries_for
    from cnitrail.cli.summary import NO_LEASES
    from cnitrail.workflows.request import period_of

    if output == "parquet":
        sys.exit(_write_parquet(request))
    case = read_case(replace(request, period=period_of(request.wanted, leases_only=True)))
    entries = entries_for(output, partial(entries_of, case.history, case.wanted))
    limitations = case.limitations()
    sys.exit(respond(request, output, case.evidence, entries, nothing=NO_LEASES, limitations=limitations))


def _write_parquet(request: Request) -> int:
    """Write a table for SQL, and return the exit status."""
    from cnitrail.answers.flows.lease_answers import LeaseAnswers
    from cnitrail.answers.who import HolderIndex
    from cnitrail.cli.printing import warn_of
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.summary import NO_LEASES, summarize
    from cnitrail.cli.writing import writing
    from cnitrail.errors import UsageError
    from cnitrail.render.lease_table import LeaseTableRow, write_parquet
    from cnitrail.render.parquet import check_installed

    check_installed()
    if sys.stdout.isatty():
        raise UsageError("Parquet is binary: it is not written to a terminal", "add > leases.parquet")
    case = read_case(request)
    entries = case.leases()
    holders = HolderIndex(case.history, case.coverage, verified=case.evidence.verified)
    answers = LeaseAnswers(case.history, holders)
    with writing():
        write_parquet((LeaseTableRow(entry, answers.of(entry)) for entry in entries), sys.stdout.buffer)
    status = summarize(case.evidence, len(entries), NO_LEASES)
    warn_of(case.limitations(), case.evidence, is_empty=not entries)
    return status
