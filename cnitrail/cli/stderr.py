"""Messages on stderr. All of them go through here, because any may quote a record, a key or a server."""

from __future__ import annotations

import sys

import click

from cnitrail.render.safe import printable


def say(text: str) -> None:
    """Print one line on stderr, with terminal control characters shown as escapes.

    If stderr cannot be written (nobody reads it, the disk is full), the line is lost, and the status of the
    command stays what it is.
    """
    try:
        click.echo(printable(text), err=True)
    except OSError:
        sys.stderr = None  # else Python tries once more at its exit, and makes the status 120


def warn(text: str) -> None:
    """Print a warning: the answer is there, and this is what limits it."""
    say(f"warning: {text}")


def show_error(message: str, hint: str | None = None) -> None:
    """Print an error, and what to do next if that is known."""
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")
