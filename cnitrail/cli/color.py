"""``--color``: whether a stream gets colors. How its tables are laid out is another question."""

from __future__ import annotations

import os
from typing import IO

import click

_AUTO, _ALWAYS, _NEVER = "auto", "always", "never"


class _Choice:
    """What ``--color`` says. Errors are shown when click's context is gone, so it cannot hold this."""

    when = _AUTO


def _choose(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Note what ``--color`` says, before the command or after it; the callback of the option."""
    if value is not None or ctx.parent is None:
        _Choice.when = value or _AUTO


COLOR = click.option(
    "--color",
    type=click.Choice([_AUTO, _ALWAYS, _NEVER]),
    metavar="WHEN",
    is_eager=True,
    expose_value=False,
    callback=_choose,
    help=f"Colors: {_AUTO} (in a terminal), {_ALWAYS} or {_NEVER}.  [default: {_AUTO}]",
)
"""An option of the program and of every command."""


def is_colored(out: IO[str]) -> bool:
    """Return whether a stream gets colors.

    ``--color`` decides; then ``NO_COLOR`` (https://no-color.org), then ``FORCE_COLOR`` and
    ``CLICOLOR_FORCE``; without any of them, a terminal gets colors unless it is dumb or ``CLICOLOR`` is 0.
    """
    if _Choice.when != _AUTO:
        return _Choice.when == _ALWAYS
    environment = os.environ.get
    if environment("NO_COLOR"):
        return False
    if forced := environment("FORCE_COLOR") or environment("CLICOLOR_FORCE"):
        return forced != "0"
    return out.isatty() and environment("TERM") != "dumb" and environment("CLICOLOR") != "0"
