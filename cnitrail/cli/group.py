"""The program: imports commands when they are asked for, and turns errors into messages and a status."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.click_errors import describe
from cnitrail.cli.help import HelpContext
from cnitrail.cli.stderr import say, show_error
from cnitrail.cli.writing import BrokenPipe, WriteError, writing
from cnitrail.errors import CnitrailError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BROKEN_PIPE = 128 + 13
"""The status of a program that SIGPIPE ends."""
_INTERRUPTED = 128 + 2
"""The status of a program that SIGINT ends."""


class CommandGroup(click.Group):
    """A group whose commands are imported one by one, and whose errors are messages, never tracebacks.

    ``summaries`` has the name and the summary of every command. The command is the function of that
    name in the module of that name in ``cnitrail.cli.commands``.
    """

    context_class = HelpContext

    def __init__(self, *args: Any, summaries: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._summaries = summaries

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(self._summaries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name; None if there is no such command."""
        if cmd_name not in self._summaries:
            return None
        command: click.Command = getattr(import_module(f"cnitrail.cli.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summary of every command without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries[name]) for name in self.list_commands(ctx)])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line and exit with its status; errors are shown on stderr."""
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            status = run(*args, standalone_mode=False, **extra)
        except BrokenPipe:
            os._exit(_BROKEN_PIPE)  # as below, and without a message: the reader has seen enough
        except WriteError as error:
            show_error(error.message, error.hint)
            os._exit(1)  # what is still buffered cannot be written either
        except CnitrailError as error:
            show_error(error.message, error.hint)
            status = 2 if isinstance(error, UsageError) else 1
        except click.exceptions.NoArgsIsHelpError as error:
            for line in error.format_message().splitlines():
                say(line)
            status = error.exit_code
        except click.ClickException as error:
            show_error(*describe(error))
            status = error.exit_code
        except click.Abort:
            show_error("interrupted")
            status = _INTERRUPTED
        sys.exit(status if isinstance(status, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the options before the command; --help and --version are written here."""
        if sys.stdout is None:
            raise WriteError("standard output is closed, so the answer cannot be written")
        with writing():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises ``CnitrailError`` for whatever the system refuses, and ``Abort``."""
        try:
            return super().invoke(ctx)
        except OSError as error:  # caught before click takes any broken connection for a broken pipe
            raise CnitrailError(_reason(error)) from error
        except KeyboardInterrupt:
            raise click.Abort from None


def _reason(error: OSError) -> str:
    """Return what the system refused, and for which file."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
