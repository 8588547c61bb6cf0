"""The outputs of each command: a row for each, with the function of ``render`` that writes it.

A function takes an ``Answer`` (that of ``verify`` a ``VerifyAnswer``) and the stream to write to. The
first row of a command is what it prints unless asked otherwise. Functions are named here and imported
when they are asked for: start-up is felt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from cnitrail.model import Answer, VerifyAnswer

    Write = Callable[[Answer[Any] | VerifyAnswer, IO[str]], None]

OUTPUTS = {
    "timeline": {
        "table": "timeline:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "csv": "timeline:write_csv",
        "timesketch": "timesketch:write_timeline",
        "perfetto": "perfetto:write_trace",
    },
    "who": {
        "table": "who:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "csv": "who:write_csv",
    },
    "leases": {
        "table": "leases:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "csv": "leases:write_csv",
        "timesketch": "timesketch:write_leases",
    },
    "findings": {
        "table": "findings:write_table",
        "json": "findings:write_document",
        "jsonl": "findings:write_lines",
        "csv": "findings:write_csv",
    },
    "state": {
        "table": "state:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "csv": "state:write_csv",
    },
    "pool": {
        "table": "pool:write_table",
        "json": "json:write_document",
        "jsonl": "json:write_lines",
        "csv": "pool:write_csv",
    },
    "verify": {
        "table": "verify:write_table",
        "json": "verify:write_document",
        "jsonl": "verify:write_lines",
    },
    "report": {
        "md": "report.markdown:write",
        "html": "report.html:write",
    },
}


def writer(command: str, output: str) -> Write:
    """The function that writes an output of a command."""
    module, name = OUTPUTS[command][output].split(":")
    write: Write = getattr(import_module(f"cnitrail.render.{module}"), name)
    return write


def output_option(command: str) -> Callable[[Any], Any]:
    """``-o/--output`` with the outputs that a command has."""
    names = list(OUTPUTS[command])
    return click.option(
        "-o",
        "--output",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="How to print the answer.",
    )
