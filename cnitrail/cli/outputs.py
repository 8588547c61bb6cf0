"""``-o/--output``: the formats that a command can write its answer in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnitrail.render.writers import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Callable


def output_option(command: str) -> Callable[[Any], Any]:
    """Add ``-o/--output`` with the formats of a command."""
    names = list(OUTPUTS[command])
    return click.option(
        "-o",
        "--output",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        metavar="FORMAT",
        help=f"Output format: {', '.join(names[:-1])} or {names[-1]}.",
    )
