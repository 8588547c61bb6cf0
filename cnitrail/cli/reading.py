"""Sources → events: the first half of every command, and the account of what was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cnitrail.cli.progress import Progress
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.errors import SourceError
from cnitrail.history import Ledger, build, cover
from cnitrail.model import Document, Evidence, Note, Record, Scope, Sign, Skipped, SourceReport
from cnitrail.render.safe import printable
from cnitrail.scan import Scanner, Tally
from cnitrail.sources import open_source
from cnitrail.sources.layout import log_name

if TYPE_CHECKING:
    from cnitrail.cli.options import Request
    from cnitrail.model import History
    from cnitrail.sources import Source

_SHOWN = 20


@dataclass(slots=True)
class _Count:
    """One source's account, while it is read."""

    files: int = 0
    relevant: int = 0
    duplicates: int = 0
    tally: Tally = field(default_factory=Tally)
    signs: set[Sign] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)


def ask(request: Request) -> tuple[History, Evidence]:
    """The history that the sources of a request tell, and the account of what was read."""
    wanted, access = request.wanted, request.access
    scope = Scope(
        since=wanted.since,
        until=wanted.until,
        regions=wanted.region,
        accounts=wanted.account,
        instances=wanted.instance,
        enis=wanted.eni,
        addresses=wanted.ip,
        event_names=NAMES,
        profile=access.profile,
        endpoint_url=access.endpoint_url,
        lag=access.lag,
        max_calls=access.max_calls,
        request_payer=access.request_payer,
        delivery_lag=access.delivery_lag,
    )
    with Progress(request.quiet) as progress:
        ledger, evidence = read_evidence(request.sources, scope, progress)
    return build(ledger.events(), ledger.sessions()), evidence


def read_evidence(uris: tuple[str, ...], scope: Scope, progress: Progress) -> tuple[Ledger, Evidence]:
    """Everything that the sources hold, and the account of it.

    Raises ``SourceError`` where a source cannot be read at all.
    """
    scanner = Scanner(NAMES, MARKERS)
    ledger = Ledger()
    sources = [open_source(uri, scope) for uri in uris or ("lookup:",)]
    reports: list[SourceReport] = []
    skipped: list[Skipped] = []
    signs: set[Sign] = set()
    for source in sources:
        count = _read(source, scanner, ledger, progress)
        if count.files == 0 and not count.skipped:
            raise SourceError(f"{source.uri}: no files in it", "name the directory that holds the log files")
        skipped.extend(count.skipped)
        signs |= count.signs | count.tally.signs
        reports.append(
            SourceReport(
                uri=source.uri,
                files=count.files,
                bytes=count.tally.bytes,
                records=count.tally.records,
                relevant=count.relevant,
                duplicates=count.duplicates,
                skipped=len(count.skipped),
            )
        )
    events = ledger.events()
    return ledger, Evidence(
        sources=tuple(reports),
        first_event=events[0].time if events else None,
        last_event=events[-1].time if events else None,
        coverage=cover(signs, events).reaches,
        skipped=tuple(skipped),
    )


def _read(source: Source, scanner: Scanner, ledger: Ledger, progress: Progress) -> _Count:
    count = _Count()
    for delivered in source.documents():
        if isinstance(delivered, Document):
            count.files += 1
            name = log_name(delivered.uri)
            if name is not None:
                count.signs.add((name.account, name.region, name.delivered))
            for found in scanner.scan(delivered, count.tally, signs=name is None):
                _enter(found, ledger, count)
        elif isinstance(delivered, Note):
            progress.say(f"{delivered.source}: {delivered.text}")
            if delivered.documents is not None:
                progress.expect(count.files + delivered.documents)
        else:
            _enter(delivered, ledger, count)
            count.tally.records += isinstance(delivered, Record)
        progress.advance(count.files, count.tally.bytes, count.relevant)
    return count


def _enter(found: Record | Skipped, ledger: Ledger, count: _Count) -> None:
    """Take a record into the ledger, and into the account."""
    if isinstance(found, Skipped):
        count.skipped.append(found)
        return
    decoded = decode(found)
    origin = found.origins[0]
    count.skipped += [
        Skipped(origin.source, f"record {origin.index}: {problem}") for problem in decoded.problems
    ]
    if decoded.fact is not None:
        count.relevant += 1
        count.duplicates += not ledger.add(decoded.fact)


def tell(evidence: Evidence, shown: int, quiet: bool) -> int:
    """Say on stderr what was read and what was not; the exit status that follows from it."""
    if not quiet:
        click.echo(_summary(evidence, shown), err=True)
    for skip in evidence.skipped[:_SHOWN]:
        click.echo(f"skipped: {printable(skip.source)}: {printable(skip.reason)}", err=True)
    more = len(evidence.skipped) - _SHOWN
    if more > 0:
        click.echo(f"skipped: {more} more; -o json lists all under evidence.skipped", err=True)
    return 3 if evidence.skipped else 0


def _summary(evidence: Evidence, shown: int) -> str:
    files = sum(source.files for source in evidence.sources)
    records = sum(source.records for source in evidence.sources)
    relevant = sum(source.relevant - source.duplicates for source in evidence.sources)
    read = f"{_many(files, 'file')} with {_many(records, 'record')} read, {relevant} relevant"
    if evidence.first_event is None or evidence.last_event is None:
        return f"nothing to show: {read}; none moves an address or an interface"
    span = f"{evidence.first_event:%Y-%m-%d %H:%M:%SZ} to {evidence.last_event:%Y-%m-%d %H:%M:%SZ}"
    if shown == 0:
        return f"nothing to show: {read} ({span}), but the filters keep none of them"
    return f"{shown} shown; {read} ({span})"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
