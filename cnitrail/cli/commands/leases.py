"""``cnitrail leases``."""

from __future__ import annotations

import sys
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
    """
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case

    case = read_case(request)
    sys.exit(respond(request, output, case.evidence, case.leases(), limitations=case.limitations()))
