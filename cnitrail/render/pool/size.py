"""How much nodes held: charts, and a line for each change."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO

from cnitrail.model.pool import Candidate, PoolEntry, PoolSize
from cnitrail.render.chart import chart, speaks_unicode
from cnitrail.render.pool.settings import candidate_text
from cnitrail.render.pool.words import clock, draw_below
from cnitrail.render.safe import printable
from cnitrail.render.text import Part, Row, Table, width_of

_FEW = 3


def limit_of(entry: PoolEntry, size: PoolSize) -> int | None:
    """The most that the pool may hold, in the mode that it is in."""
    if entry.limits is None:
        return None
    return entry.limits.prefix_pool if size.prefixes else entry.limits.pool


def write_size(entry: PoolEntry, out: IO[str]) -> None:
    """Write what a node is, and how much it held over time."""
    for text in _heading(entry):
        out.write(printable(text) + "\n")
    if entry.size:
        last = entry.size[-1]
        end = max(entry.known_until, last.time)
        points = [(size.time, size.pool) for size in entry.size]
        out.write("\naddresses for pods\n")
        drawn = chart(points, end, limit_of(entry, last), width_of(out), unicode=speaks_unicode(out))
        out.writelines(f"{line}\n" for line in drawn)
    out.write("\n")


def _heading(entry: PoolEntry) -> Iterator[str]:
    name = entry.instance or f"{len(entry.nodes)} nodes"
    limits = entry.limits
    if limits is not None:
        yield (
            f"{name}  {entry.instance_type}: {limits.enis} interfaces of {limits.ipv4_per_eni} addresses, "
            f"{limits.pool} for pods ({limits.prefix_pool} in prefixes); made for {limits.max_pods} pods"
        )
    else:
        yield f"{name}  {entry.instance_type or ''}".rstrip()
    until = f" to {clock(entry.until)}" if entry.until else ""
    cluster = f"cluster {entry.cluster}, " if entry.cluster else ""
    since = "" if entry.complete else "at least: the evidence begins in the middle, "
    place = f"{entry.account or 'any account'} in {entry.region or 'any Region'}"
    yield f"{cluster}{place}, {since}from {clock(entry.since)}{until}"


def write_steps(entry: PoolEntry, out: IO[str]) -> None:
    """What changed the size, or was meant to, and what each batch tells."""
    sizes = {size.time: size for size in entry.size}
    batches = {time: [each for each in entry.batches if each.by.time == time] for time in _times(entry)}
    rows: list[Row] = []
    last: PoolSize | None = None
    for time in sorted({*sizes, *batches}):
        last = sizes.get(time, last)
        events = [(event.event, "bold") for event in sizes[time].events] if time in sizes else []
        told = batches.get(time, [])
        calls = events or [(each.by.event, "bold") for each in told]
        rows.append(
            (
                [(f"{time:%Y-%m-%d}", "dim"), (f"{time:%H:%M:%S}", "")],
                [(str(last.pool if last else 0), "cyan")],
                [(str(last.enis if last else 0), "")],
                calls,
                [(each.meaning, "") for each in told],
            )
        )
    headings = ("TIME (UTC)", "POOL", "ENIS", "CALL", "WHICH MEANS")
    draw_below(Table(headings, rows, shares={"WHICH MEANS": 1}), out)


def _times(entry: PoolEntry) -> set[datetime]:
    return {batch.by.time for batch in entry.batches}


def write_calls(entry: PoolEntry, out: IO[str]) -> None:
    """Write how often EC2 was called, and how often it refused."""
    rows = [
        (
            [(count.event, "")],
            [(str(count.calls), "")],
            [(str(count.by_cni), "dim")],
            [(", ".join(f"{error.code} {error.count}" for error in count.errors), "red")],
        )
        for count in entry.calls
    ]
    draw_below(Table(("CALL TO EC2", "CALLS", "BY THE CNI", "FAILED"), rows, shares={"FAILED": 1}), out)


def write_nodes(entries: Sequence[PoolEntry], out: IO[str]) -> None:
    """Write a line for each of several nodes."""
    rows = [_node(entry) for entry in entries]
    headings = ("NODE", "FROM (UTC)", "TO (UTC)", "MOST", "LAST", "LIMIT", "ENIS", "SETTINGS AT LAST")
    draw_below(Table(headings, rows, shares={"SETTINGS AT LAST": 1}), out)


def _node(entry: PoolEntry) -> Row:
    last = entry.size[-1] if entry.size else None
    limit = limit_of(entry, last) if last else None
    limits = entry.limits
    fits = (
        [each for each in entry.settings[-1].candidates if each.held_back is None] if entry.settings else []
    )
    unsettled = [(each.because, "dim") for each in entry.unsettled[-1:]]
    return (
        [(entry.instance or "", "cyan"), (entry.instance_type or "", "dim")],
        [(f"{entry.since:%Y-%m-%d}", ""), (f"{entry.since:%H:%M:%S}", "")],
        [(f"{entry.until:%Y-%m-%d}", ""), (f"{entry.until:%H:%M:%S}", "")] if entry.until else [],
        [(str(max((size.pool for size in entry.size), default=0)), "")],
        [(str(last.pool if last else 0), "bold")],
        [("" if limit is None else str(limit), "dim")],
        [(f"{last.enis if last else 0} of {limits.enis}" if limits else str(last.enis if last else 0), "")],
        _few(fits) or unsettled,
    )


def _few(fits: Sequence[Candidate]) -> list[Part]:
    """Settings, as long as they are few."""
    if len(fits) > _FEW:
        return [(f"{len(fits)} fit; --instance shows them", "dim")]
    return [(candidate_text(each), "") for each in fits]
