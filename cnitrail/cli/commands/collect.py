"""``cnitrail collect``."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import click
from msgspec.structs import replace

from cnitrail.cli.options import request_options
from cnitrail.cli.stderr import say
from cnitrail.errors import SourceError, UsageError
from cnitrail.store.file_header import is_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.workflows.accounting import SourceCounts
    from cnitrail.workflows.request import Request


@click.command()
@click.option("--to", metavar="FILE.db", help="The store: made, or gone on with.")
@click.option(
    "--export",
    metavar="FILE",
    help="Write the events as JSON lines of LookupEvents, which plaso reads; - for stdout.",
)
@request_options("account", "region", "since", "until", verifiable=False)
def collect(request: Request, to: str | None, export: str | None) -> None:
    """Bring events into a local store, and go on where the last run stopped.

    The store is one SQLite file with the events that matter, as they came, and a note of every
    file that was read: run again, only what is new is read. It may be stopped or killed at any
    moment. Every command takes the store as a SOURCE. --export writes all that is in the store,
    or, without --to, what was just read.

    \b
    Examples:
      cnitrail collect logs/ --to trail.db
      cnitrail timeline trail.db --eni eni-0abc…
      cnitrail collect logs/ --export events.jsonl
      sqlite3 trail.db "SELECT * FROM events WHERE instance = 'i-0abc…'"
    """
    from cnitrail.workflows.read import many, tell_skipped

    shown = "<stdout>" if export == "-" else export
    name = to or shown
    if name is None:
        raise UsageError("collect into what?", "name a store with --to FILE.db, or a file with --export FILE")
    if to == "-":
        raise UsageError("a store is a file", "--to FILE.db; --export - writes the events to stdout")
    _check_export(export, to, request.sources)
    with _place(to) as place, _exported(export) as out:
        collected = _collect(request, place, name)
        skipped = collected.skipped
        if out is not None:
            from cnitrail.workflows.export import export as write_events

            written, left_out = write_events(place, out)
            skipped += left_out
            if not request.quiet:
                say(f"{shown}: {many(written, 'event')} written")
    sys.exit(tell_skipped(skipped, f"the table skipped of {to or 'a store (--to FILE.db)'} has all"))


def _check_export(name: str | None, to: str | None, sources: tuple[str, ...]) -> None:
    """Refuse to write over evidence, or among it. Raises ``UsageError``."""
    if name is None or name == "-":
        return
    path = os.path.realpath(name)
    if to is not None and path == os.path.realpath(to):
        raise UsageError(f"--export {name} is the store to collect into", "name another file")
    for source in sources:
        read = os.path.realpath(source)
        if path == read or path.startswith(os.path.join(read, "")):
            raise UsageError(f"--export {name} lies in {source}, which is read", "name a file elsewhere")
    if is_sqlite(path):
        raise UsageError(f"--export {name}: a database is there, which it would replace", "name another file")


@contextmanager
def _exported(name: str | None) -> Iterator[IO[str] | None]:
    """Where to write events to: a file is there once all of them are in it. Raises ``UsageError``."""
    if name is None or name == "-":
        yield sys.stdout if name else None
        return
    is_file = os.path.isfile(name) or not os.path.exists(name)
    written = f"{os.path.realpath(name)}.{os.getpid()}.part" if is_file else name
    try:
        out = open(written, "x" if is_file else "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--export {name}: cannot be written: {error.strerror}") from None
    try:
        with out:
            yield out
        if is_file:
            os.replace(written, os.path.realpath(name))
    except BaseException:
        if is_file:
            os.unlink(written)
        raise


@contextmanager
def _place(to: str | None) -> Iterator[str]:
    """Where to collect into: what is not to be kept goes to a temporary place."""
    if to is not None:
        yield to
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="cnitrail-") as folder:
        yield os.path.join(folder, "trail.db")


def _collect(request: Request, to: str, name: str) -> SourceCounts:
    """Bring the sources of a request into a store, which is told of under a name.

    What could not be read by this run or an earlier one is in the account's ``skipped``.
    """
    from cnitrail.cli.progress import Progress
    from cnitrail.sources import open_source
    from cnitrail.store.writer import StoreWriter
    from cnitrail.workflows.collect import Collector
    from cnitrail.workflows.read import scope_of

    def wait() -> None:
        if not request.quiet:
            say(f"waiting: another collect is writing to {to}")

    scope = scope_of(request.wanted, request.access)
    uris = request.sources or ("lookup:",)
    if os.path.realpath(to) in map(os.path.realpath, uris):
        raise UsageError(f"{to} is both a source and the store to collect into")
    for uri in uris:
        open_source(uri, scope)  # what cannot be read at all is told before a store is made
    try:
        with StoreWriter(to, wait) as store, Progress(request.quiet) as progress:
            collector = Collector(store, progress)
            for uri in uris:
                source = open_source(uri, replace(scope, seen=store.seen(), into=to))
                collector.collect(source, scope.growth)
            if store.is_empty():
                raise SourceError(f"{uris[0]}: no files in it", "name the directory that holds the log files")
            skipped = collector.collected.skipped
            told = {each.source for each in skipped}
            skipped += [each for each in store.skipped() if each.source not in told]
    except KeyboardInterrupt:
        if name == to:
            say(f"{to} keeps what was read so far; run the same command again to go on")
        raise
    if not request.quiet:
        say(_summary(name, collector.collected, store.kept))
    return collector.collected


def _summary(name: str, collected: SourceCounts, new: int) -> str:
    if collected.files == collected.records == 0:
        return f"{name}: nothing new"
    from cnitrail.workflows.read import many

    files, records = many(collected.files, "file"), many(collected.records, "record")
    return f"{name}: {files} with {records} read, {collected.relevant:,} relevant, {new:,} new"
