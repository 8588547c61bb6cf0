"""``cnitrail leases``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnitrail.cli.options import PLACE_FILTERS, request_options
from cnitrail.cli.outputs import output_option

if TYPE_CHECKING:
    from cnitrail.workflows.request import Request


@click.command()
@request_options(*PLACE_FILTERS, "actor", "agent", "event", "since", "until")
@output_option("leases")
def leases(request: Request, output: str) -> None:
    """Every interval in which an interface held an address or a prefix.

    Each bound says what it rests on: observed (an event says so), implied (something
    else shows it), unknown, or open (no end is in the evidence).

    \b
    Examples:
      cnitrail leases logs/ --ip 10.0.1.25
      cnitrail leases logs/ --instance i-0abc… --since 2h -o csv
    """
    from cnitrail.answers.leases import leases as answer
    from cnitrail.cli.printing import respond
    from cnitrail.workflows.read import ask

    history, evidence = ask(request)
    entries = list(answer(history, request.wanted))
    sys.exit(respond(request, output, evidence, entries))
