"""``--debug``: the logs of cnitrail on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def log_to_stderr(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    """Send the logs of ``cnitrail`` to stderr until the command ends, if that is wanted."""
    if not wanted or ctx.resilient_parsing:
        return
    import logging  # a start without --debug does not pay for it

    from cnitrail.cli.stderr import say

    class Stderr(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(self.format(record))

    logger, handler = logging.getLogger("cnitrail"), Stderr()
    handler.setFormatter(logging.Formatter("debug: %(relativeCreated)d ms %(name)s: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def stop() -> None:
        logger.removeHandler(handler)
        logger.setLevel(level)

    ctx.call_on_close(stop)
