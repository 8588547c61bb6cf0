"""``cnitrail collect``."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING

import click

from cnitrail.atomic import atomic_file
from cnitrail.cli.help import Command
from cnitrail.cli.options import complete_files, request_options
from cnitrail.cli.stderr import say
from cnitrail.cli.writing import writing
from cnitrail.errors import UsageError
from cnitrail.store.file_header import is_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.model import Skipped
    from cnitrail.workflows.accounting import SourceCounts
    from cnitrail.workflows.request import Request


@click.command(cls=Command)
@click.option("--to", metavar="FILE.db", shell_complete=complete_files, help="Store to create or update.")
@click.option(
    "--export",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write the events as JSON lines of LookupEvents, which plaso reads; - for stdout.",
)
@request_options("account", "region", "since", "until", verifiable=False, without=["assume_complete"])
def collect(request: Request, to: str | None, export: str | None) -> None:
    """Keep the events that matter in a local store.

    The store is one SQLite file with the relevant events and a list of the files that were
    read. Run the command again, and only new files are read. You can stop or kill it at any
    moment. Every command takes the store as a SOURCE.

    --export writes every event in the store; without --to, the events that were just read.

    \b
    Examples:
      cnitrail collect logs/ --to trail.db
      cnitrail timeline trail.db --eni eni-0abc…
      cnitrail collect logs/ --export events.jsonl
      sqlite3 trail.db "SELECT * FROM events WHERE instance = 'i-0abc…'"
    """
    from cnitrail.cli.quiet import inform
    from cnitrail.cli.summary import print_skipped
    from cnitrail.text import counted

    shown = "<stdout>" if export == "-" else export
    name = to or shown
    if name is None:
        raise UsageError("--to FILE.db or --export FILE is required", "cnitrail collect logs/ --to trail.db")
    if to == "-":
        raise UsageError("--to -: a store is a file", "--to FILE.db; --export - writes the events to stdout")
    _check_export(export, to, request.sources)
    with _store_path(to) as store, _exported(export) as out:
        skipped = _collect(request, store, name)
        if out is not None:
            from cnitrail.workflows.export import export as write_events

            with writing(out, "the answer" if export == "-" else str(export)):
                written, left_out = write_events(store, out)
            skipped += left_out
            inform(f"{shown}: {counted(written, 'event')} written")
    sys.exit(print_skipped(skipped, f"the table skipped of {to or 'a store (--to FILE.db)'} has all"))


def _check_export(name: str | None, to: str | None, sources: tuple[str, ...]) -> None:
    """Refuse to write over evidence, or among it. Raises ``UsageError``."""
    if name is None or name == "-":
        return
    if not name:
        raise UsageError("--export: the name of the file is empty", "name a file, or - for stdout")
    path = os.path.realpath(name)
    if to is not None and path == os.path.realpath(to):
        raise UsageError(f"--export {name} is the store to collect into", "name another file")
    if to is not None and path.startswith(f"{os.path.realpath(to)}-"):
        raise UsageError(f"--export {name} is a file that belongs to the store {to}", "name another file")
    if "-" in sources and _is_standard_input(path):
        raise UsageError(f"--export {name} is standard input, which is a source", "name another file")
    for source in sources:
        evidence = os.path.realpath(source)
        if path == evidence or path.startswith(os.path.join(evidence, "")):
            raise UsageError(f"--export {name} is in {source}, which is a source", "name a file elsewhere")
    if is_sqlite(path):
        raise UsageError(f"--export {name} would replace a database", "name another file")


def _is_standard_input(path: str) -> bool:
    """Return whether standard input is read from the file at a path."""
    with suppress(OSError, ValueError, AttributeError):  # no such file, or no file is standard input
        return os.path.isfile(path) and os.path.samestat(os.fstat(sys.stdin.fileno()), os.stat(path))
    return False


@contextmanager
def _exported(name: str | None) -> Iterator[IO[str] | None]:
    """Yield the stream to write events to; a file is there once it is whole. Raises ``UsageError``."""
    if name is None:
        yield None
        return
    if name == "-":
        yield sys.stdout
        return
    is_file = os.path.isfile(name) or not os.path.exists(name)
    with ExitStack() as stack:
        try:
            file = (
                atomic_file(os.path.realpath(name), encoding="utf-8")
                if is_file
                else open(name, "w", encoding="utf-8")  # noqa: SIM115  a pipe has no real path
            )
            out = stack.enter_context(file)
        except OSError as error:
            raise UsageError(f"--export {name}: cannot be written: {error.strerror}") from None
        yield out


@contextmanager
def _store_path(to: str | None) -> Iterator[str]:
    """Yield the path of the store; a temporary one if it is not to be kept."""
    if to is not None:
        yield to
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="cnitrail-") as folder:
        yield os.path.join(folder, "trail.db")


def _collect(request: Request, store: str, name: str) -> list[Skipped]:
    """Read the sources of a request into a store, which is called ``name`` in messages.

    Return what this run or an earlier one could not read.
    """
    from cnitrail.cli.progress import Progress
    from cnitrail.cli.quiet import inform, is_quiet
    from cnitrail.workflows.collect import collect_sources
    from cnitrail.workflows.request import scope_of

    scope = scope_of(request.wanted, request.access)
    try:
        with Progress(quiet=is_quiet()) as progress:
            collected, new = collect_sources(request.sources, scope, store, progress)
    except KeyboardInterrupt:
        if name == store:
            say(f"{store} keeps what was read so far; run the same command again to continue")
        raise
    inform(_summary(name, collected, new))
    return collected.skipped


def _summary(name: str, collected: SourceCounts, new: int) -> str:
    from cnitrail.cli.summary import files_and_tables
    from cnitrail.model.forms import POD_FORMS
    from cnitrail.text import counted
    from cnitrail.workflows.accounting import named_kinds

    others = f"; passed over {named_kinds(collected.other_files)}" if collected.other_files else ""
    if collected.files == collected.records == 0:
        return f"{name}: nothing new{others}"
    files = files_and_tables(collected.files - collected.table_parts, len(collected.tables))
    records = counted(collected.records, "event")
    has_pods = any(form in POD_FORMS for form, _ in collected.forms)
    about = "IP-related or about pods" if has_pods else "IP-related"
    return f"{name}: read {files} with {records}, {collected.relevant:,} {about}, {new:,} new{others}"
