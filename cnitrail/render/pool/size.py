"""Charts and tables of pool sizes and calls."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import IO

from cnitrail.model.pool import Candidate, PoolEntry, PoolSize
from cnitrail.render.chart import accepts_unicode, chart
from cnitrail.render.pool.settings import candidate_text
from cnitrail.render.pool.words import draw_below
from cnitrail.render.safe import printable
from cnitrail.render.text import Part, Row, Table, width_of
from cnitrail.text import account_and_region, clock

_MAX_SETTINGS = 3
"""Maximum number of settings in a node's cell: more would hide the nodes."""


def limit_of(entry: PoolEntry, size: PoolSize) -> int | None:
    """Return the maximum size of the pool in its mode; None if the limits are unknown."""
    if entry.limits is None:
        return None
    return entry.limits.prefix_pool if size.prefixes else entry.limits.pool


def write_size(entry: PoolEntry, out: IO[str]) -> None:
    """Write the node's type and limits, and a chart of its pool over time."""
    for text in _heading(entry):
        out.write(printable(text) + "\n")
    if entry.size:
        last = entry.size[-1]
        end = max(entry.known_until, last.time)
        points = [(size.time, size.pool) for size in entry.size]
        out.write("\naddresses for pods\n")
        drawn = chart(points, end, limit_of(entry, last), width_of(out), unicode=accepts_unicode(out))
        out.writelines(f"{line}\n" for line in drawn)
    out.write("\n")


def _heading(entry: PoolEntry) -> Iterator[str]:
    name = entry.instance or f"{len(entry.nodes)} nodes"
    limits = entry.limits
    if limits is not None:
        yield (
            f"{name}  {entry.instance_type}: {limits.enis} ENIs with {limits.ipv4_per_eni} addresses each, "
            f"{limits.pool} for pods ({limits.prefix_pool} with prefixes), max-pods {limits.max_pods}"
        )
    else:
        yield f"{name}  {entry.instance_type or ''}".rstrip()
    until = f" to {clock(entry.until)}" if entry.until else ""
    cluster = f"cluster {entry.cluster}, " if entry.cluster else ""
    incomplete = "" if entry.complete else "; older than the evidence, so sizes are minimums"
    place = account_and_region(entry.account, entry.region)
    yield f"{cluster}{place}, from {clock(entry.since)}{until}{incomplete}"


def write_steps(entry: PoolEntry, out: IO[str]) -> None:
    """Write the calls that changed the size, or were meant to, and what each batch shows."""
    sizes = {size.time: size for size in entry.size}
    by_time = groupby(entry.batches, key=lambda batch: batch.by.time)
    batches = {time: list(of_time) for time, of_time in by_time}
    rows: list[Row] = []
    last: PoolSize | None = None
    for time in sorted({*sizes, *batches}):
        last = sizes.get(time, last)
        events = [(event.event, "bold") for event in sizes[time].events] if time in sizes else []
        of_time = batches.get(time, [])
        calls = events or [(batch.by.event, "bold") for batch in of_time]
        rows.append(
            (
                [(f"{time:%Y-%m-%d}", "dim"), (f"{time:%H:%M:%S}", "")],
                [(str(last.pool if last else 0), "cyan")],
                [(str(last.enis if last else 0), "")],
                calls,
                [(batch.meaning, "") for batch in of_time],
            )
        )
    headings = ("TIME (UTC)", "POOL", "ENIS", "API CALL", "VPC CNI")
    draw_below(Table(headings, rows, shares={"VPC CNI": 1}), out)


def write_calls(entry: PoolEntry, out: IO[str]) -> None:
    """Write how often each API was called, and how often calls failed."""
    rows = [
        (
            [(count.event, "")],
            [(str(count.calls), "")],
            [(str(count.by_cni), "dim")],
            [(", ".join(f"{error.code} {error.count}" for error in count.errors), "red")],
        )
        for count in entry.calls
    ]
    draw_below(Table(("API CALL", "CALLS", "BY VPC CNI", "FAILED"), rows, shares={"FAILED": 1}), out)


def write_nodes(entries: Sequence[PoolEntry], out: IO[str]) -> None:
    """Write a line for each of several nodes."""
    rows = [_node(entry) for entry in entries]
    headings = ("NODE", "START (UTC)", "END (UTC)", "PEAK", "LAST", "LIMIT", "ENIS", "LAST SETTINGS")
    draw_below(Table(headings, rows, shares={"LAST SETTINGS": 1}), out)


def _node(entry: PoolEntry) -> Row:
    last = entry.size[-1] if entry.size else None
    limit = limit_of(entry, last) if last else None
    limits = entry.limits
    candidates = entry.settings[-1].candidates if entry.settings else ()
    fitting = [candidate for candidate in candidates if candidate.held_back is None]
    unsettled = [(unsettled.because.text, "dim") for unsettled in entry.unsettled[-1:]]
    return (
        [(entry.instance or "", "cyan"), (entry.instance_type or "", "dim")],
        [(f"{entry.since:%Y-%m-%d}", ""), (f"{entry.since:%H:%M:%S}", "")],
        [(f"{entry.until:%Y-%m-%d}", ""), (f"{entry.until:%H:%M:%S}", "")] if entry.until else [],
        [(str(max((size.pool for size in entry.size), default=0)), "")],
        [(str(last.pool if last else 0), "bold")],
        [("" if limit is None else str(limit), "dim")],
        [(f"{last.enis if last else 0} of {limits.enis}" if limits else str(last.enis if last else 0), "")],
        _shown_settings(fitting) or unsettled,
    )


def _shown_settings(candidates: Sequence[Candidate]) -> list[Part]:
    """Return the settings, or how many there are if they are too many for a cell."""
    if len(candidates) > _MAX_SETTINGS:
        return [(f"{len(candidates)} candidates; --instance shows them", "dim")]
    return [(candidate_text(candidate), "") for candidate in candidates]
