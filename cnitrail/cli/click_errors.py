"""Click's own errors (bad values, unknown options and commands) in the style of all other errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


class BadValue(click.BadParameter):
    """A value that an option or argument cannot have, with values that it can."""

    def __init__(
        self, message: str, hint: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> None:
        super().__init__(message, ctx, param)
        self.hint = hint


_ALIKE = 0.7


def describe(error: click.ClickException) -> tuple[str, str | None]:
    """Return the message and the hint for an error of click."""
    match error:
        case click.exceptions.NoSuchCommand():
            return f"no such command {error.command_name!r}", _nearest_command(error) or _help_hint(error)
        case click.NoSuchOption():
            return f"no such option {error.option_name}", _nearest_option(error) or _help_hint(error)
        case BadValue():
            return f"{_name(error)}: {error.message}", error.hint
        case click.MissingParameter():
            return f"{_name(error)} is required", _first_example(error) or _help_hint(error)
        case click.BadParameter():
            return f"{_name(error)}: {_plain(error.message)}", _help_hint(error)
        case click.UsageError():
            return _plain(error.format_message()), _help_hint(error)
    return _plain(error.format_message()), None


def _name(error: click.BadParameter) -> str:
    """Return the name that a user knows a parameter by: its long option, or the metavar of an argument."""
    param = error.param
    if param is None:
        return "invalid value"
    if isinstance(param, click.Argument):
        return param.metavar or param.human_readable_name.upper()
    return max(param.opts, key=len)


def _nearest_option(error: click.NoSuchOption) -> str | None:
    """Return the option that is spelled most alike; click's own guesses have little in common with it."""
    from difflib import get_close_matches

    return _nearest(get_close_matches(error.option_name, error.possibilities or (), cutoff=_ALIKE))


def _nearest_command(error: click.exceptions.NoSuchCommand) -> str | None:
    from difflib import get_close_matches

    ctx = error.ctx
    if ctx is None or not isinstance(ctx.command, click.Group) or "/" in error.command_name:
        return None
    return _nearest(get_close_matches(error.command_name.lower(), ctx.command.list_commands(ctx)))


def _nearest(names: Iterable[str] | None) -> str | None:
    name = next(iter(names or ()), None)
    return f"did you mean {name}?" if name else None


def _help_hint(error: click.UsageError) -> str | None:
    return f"see {error.ctx.command_path} --help" if error.ctx is not None else None


def _first_example(error: click.UsageError) -> str | None:
    """Return the first example in the help of a command; None if it has none."""
    if error.ctx is None or error.ctx.command.help is None:
        return None
    lines = (line.strip() for line in error.ctx.command.help.splitlines())
    return next((line for line in lines if line.startswith(f"{error.ctx.command_path} ")), None)


def _plain(message: str) -> str:
    """Return a sentence of click as ours are written: no capital first, no period last."""
    return message[:1].lower() + message[1:].rstrip(".")
