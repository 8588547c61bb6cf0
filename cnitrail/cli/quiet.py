"""``--quiet``: whether it was given, and the messages that it suppresses."""

from __future__ import annotations

import click

from cnitrail.cli.stderr import say

_QUIET = "cnitrail.quiet"


def be_quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Note whether ``--quiet`` was given; the callback of the option."""
    ctx.meta[_QUIET] = value


def is_quiet() -> bool:
    """Return whether ``--quiet`` was given to the command that runs."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_QUIET))


def inform(text: str) -> None:
    """Print one line on stderr, unless ``--quiet`` was given."""
    if not is_quiet():
        say(text)
