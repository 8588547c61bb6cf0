"""Messages on stderr. All of them go through here, because any may quote a record, a key or a server."""

from __future__ import annotations

import sys

import click

from cnitrail.cli.color import is_colored
from cnitrail.cli.terminal import columns_of
from cnitrail.render.safe import printable

_LABELS = {"error": "red", "warning": "magenta", "hint": "green"}
"""What a line can begin with, and its color."""


def say(text: str) -> None:
    """Print one line on stderr, with terminal control characters shown as escapes.

    If stderr cannot be written (nobody reads it, the disk is full), the line is lost, and the status of the
    command stays what it is.
    """
    try:
        colored = sys.stderr is not None and is_colored(sys.stderr)
        lines = wrapped(printable(text))
        click.echo(_with_label(lines) if colored else lines, err=True, color=colored)
    except OSError:
        sys.stderr = None  # else Python tries once more at its exit, and makes the status 120


def is_watched() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def wrapped(text: str) -> str:
    """Return a line as lines that fit a terminal, so that it breaks no ID; any other output gets one line."""
    if not is_watched():
        return text
    from textwrap import fill

    width = columns_of(sys.stderr)
    if len(text) <= width:
        return text
    return fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _with_label(text: str) -> str:
    """Return a text with its label in color."""
    label, colon, rest = text.partition(":")
    return click.style(label + colon, fg=_LABELS[label], bold=True) + rest if label in _LABELS else text


def warn(text: str) -> None:
    """Print a warning: the answer is there, and this is what limits it."""
    say(f"warning: {text}")


def show_error(message: str, hint: str | None = None) -> None:
    """Print an error, and what to do next if that is known."""
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")
