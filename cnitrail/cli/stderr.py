"""What is said on stderr: the one way there, as any of it may quote a record, a key or a server."""

import click

from cnitrail.render.safe import printable


def say(text: str) -> None:
    """Print one line on stderr; whatever would steer a terminal is shown as an escape."""
    click.echo(printable(text), err=True)
