"""``cnitrail completion``."""

from __future__ import annotations

import click

from cnitrail.cli.color import COLOR
from cnitrail.cli.help import Command
from cnitrail.cli.options import DEBUG
from cnitrail.cli.param_types import OneOf
from cnitrail.cli.writing import writing


@click.command(cls=Command)
@click.argument("shell", type=OneOf(["bash", "zsh", "fish"]))
@COLOR
@DEBUG
def completion(shell: str) -> None:
    """Print a completion script for bash, zsh or fish.

    The script completes commands, options, their values, and files for SOURCE.

    \b
    Install it for the current user; in zsh, $fpath must have ~/.zfunc:
      cnitrail completion bash > ~/.local/share/bash-completion/completions/cnitrail
      cnitrail completion zsh > ~/.zfunc/_cnitrail
      cnitrail completion fish > ~/.config/fish/completions/cnitrail.fish

    \b
    Try it in a running bash:
      source <(cnitrail completion bash)
    """
    from click.shell_completion import get_completion_class

    program = click.get_current_context().find_root()
    name = "cnitrail"
    shell_completion = get_completion_class(shell)
    assert shell_completion is not None
    script = shell_completion(program.command, {}, name, f"_{name.upper()}_COMPLETE").source()
    with writing() as stdout:
        stdout.write(script)
