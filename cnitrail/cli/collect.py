"""``cnitrail collect``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from cnitrail.cli.options import request_options
from cnitrail.errors import SourceError, UsageError

if TYPE_CHECKING:
    from cnitrail.cli.collecting import Collected
    from cnitrail.cli.request import Request


@click.command()
@click.option("--to", required=True, metavar="FILE.db", help="The store: made, or gone on with.")
@request_options("account", "region", "since", "until")
def collect(request: Request, to: str) -> None:
    """Bring events into a local store, and go on where the last run stopped.

    The store is one SQLite file with the events that matter, as they came, and a note of every
    file that was read: run again, only what is new is read. It may be stopped or killed at any
    moment. Every command takes the store as a SOURCE.

    \b
    Examples:
      cnitrail collect logs/ --to trail.db
      cnitrail timeline trail.db --eni eni-0abc…
      sqlite3 trail.db "SELECT * FROM events WHERE instance = 'i-0abc…'"
    """
    from cnitrail.cli.collecting import Collector
    from cnitrail.cli.progress import Progress
    from cnitrail.cli.reading import scope_of, tell_skipped
    from cnitrail.sources import open_source
    from cnitrail.store.writer import Writer

    def wait() -> None:
        if not request.quiet:
            click.echo(f"waiting: another collect is writing to {to}", err=True)

    scope = scope_of(request.wanted, request.access)
    uris = request.sources or ("lookup:",)
    if os.path.realpath(to) in map(os.path.realpath, uris):
        raise UsageError(f"{to} is both a source and the store to collect into")
    for uri in uris:
        open_source(uri, scope)  # what cannot be read at all is told before a store is made
    try:
        with Writer(to, wait) as store, Progress(request.quiet) as progress:
            collector = Collector(store, progress)
            for uri in uris:
                collector.collect(open_source(uri, replace(scope, seen=store.seen(), into=to)))
            if store.is_empty():
                raise SourceError(f"{uris[0]}: no files in it", "name the directory that holds the log files")
    except KeyboardInterrupt:
        click.echo(f"{to} keeps what was read so far; run the same command again to go on", err=True)
        raise
    collected = collector.collected
    if not request.quiet:
        click.echo(_summary(to, collected, store.kept), err=True)
    sys.exit(tell_skipped(collected.skipped, f"the table skipped of {to} has all"))


def _summary(to: str, collected: Collected, new: int) -> str:
    if collected.files == collected.tally.records == 0:
        return f"{to}: nothing new"
    from cnitrail.cli.reading import many

    files, records = many(collected.files, "file"), many(collected.tally.records, "record")
    return f"{to}: {files} with {records} read, {collected.relevant:,} relevant, {new:,} new"
