"""The commands as one program: imported when they are asked for, ended with one clear sentence."""

from __future__ import annotations

import os
import sys
from errno import EPIPE
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.stderr import say
from cnitrail.errors import CnitrailError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class CommandGroup(click.Group):
    """A group whose commands are imported one by one, and end with a sentence, never a traceback.

    ``summaries`` tell what each command is for, by its name. The command is the function of that
    name in the module of that name beside this one.
    """

    def __init__(self, *args: Any, summaries: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._summaries = summaries

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(self._summaries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None where there is none."""
        if cmd_name not in self._summaries:
            return None
        command: click.Command = getattr(import_module(f"cnitrail.cli.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command is for, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours become a message and an exit status."""
        if sys.stdout is None:
            say("cnitrail: standard output is closed: there is nowhere to write the answer to")
            ctx.exit(1)
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == EPIPE:
                os._exit(141)  # the reader has seen enough: as of a program that SIGPIPE ends
            say(f"cnitrail: the answer cannot be written: {error.strerror or error}")
            os._exit(1)  # what is still buffered cannot be written either
        except UnicodeEncodeError as error:
            say(f"cnitrail: the answer cannot be written in {error.encoding}")
            say("try: PYTHONIOENCODING=utf-8")
            ctx.exit(1)
        except CnitrailError as error:
            say(f"cnitrail: {error.message}")
            if error.hint:
                say(f"try: {error.hint}")
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except (KeyboardInterrupt, click.Abort):
            say("cnitrail: interrupted")
            sys.exit(130)
