"""Charts and tables of pool sizes and calls."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import IO

from cnitrail.model import MANAGER_NAMES, Manager
from cnitrail.model.pool import Candidate, LogGap, PodEnis, PoolEntry, PoolLimits, PoolSize
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.render.chart import accepts_unicode, chart, gap_sign
from cnitrail.render.pool.settings import candidate_text, joined
from cnitrail.render.pool.words import draw_below, managed_by, time_heading, times_on, write_wrapped
from cnitrail.render.shared import TimeStyle
from cnitrail.render.text import Part, Row, Table, width_of
from cnitrail.text import account_and_region, clock, counted

_PRIMARY_LEFT_OUT = "; the primary ENI has no addresses for pods (custom networking)"

_MAX_SETTINGS = 3
"""Maximum number of settings in a node's cell: more would hide the nodes."""


_POD_MANAGERS = (Manager.VPC_CNI, Manager.RESOURCE_CONTROLLER, Manager.CILIUM, Manager.AUTO_MODE)
"""What assigns addresses of the VPC to pods."""

_MAX_GAPS = 5
"""Maximum number of log gaps that are named one by one below a chart."""


def limit_of(entry: PoolEntry, size: PoolSize) -> int | None:
    """Return the maximum size of the pool in the mode of a size; None if it is unknown."""
    if entry.limits is None:
        return None
    return entry.limits.prefix_pool if size.prefixes else entry.limits.pool


def is_of_the_cni(entry: PoolEntry) -> bool:
    """Return whether the VPC CNI manages a node, or at least one of several."""
    return entry.management is None or entry.management.manager is Manager.VPC_CNI


def write_size(entry: PoolEntry, out: IO[str]) -> None:
    """Write the node's type, limits and manager, and a chart of its pool over time."""
    for text in _heading(entry):
        write_wrapped(text, out)
    unicode = accepts_unicode(out)
    out.write("\n")
    if entry.no_pool is not None:
        write_wrapped(entry.no_pool.text, out)
    elif entry.size:
        end = max(entry.known_until, entry.size[-1].time)
        points = [(size.time, size.pool) for size in entry.size]
        gaps = [(gap.since, gap.until) for gap in entry.gaps]
        is_pool = entry.management is None or entry.management.manager in _POD_MANAGERS
        out.write("addresses for pods\n" if is_pool else "secondary addresses\n")
        drawn = chart(points, end, entry.capacity, width_of(out), gaps=gaps, unicode=unicode)
        out.writelines(f"{line}\n" for line in drawn)
    for text in _gaps(entry.gaps):
        write_wrapped(f"{gap_sign(unicode=unicode)} {text}", out)
    out.write("\n")


def _gaps(gaps: Sequence[LogGap]) -> Iterator[str]:
    """Yield a sentence for each of the first log gaps, and one for all others."""
    for gap in gaps[:_MAX_GAPS]:
        is_silence = gap.because.code is ReasonCode.LOG_GAP
        yield f"no logs from {clock(gap.since)} to {clock(gap.until)}" if is_silence else gap.because.text
    if gaps[_MAX_GAPS:]:
        yield f"and {counted(len(gaps) - _MAX_GAPS, 'more gap')} in the logs until {clock(gaps[-1].until)}"


def _heading(entry: PoolEntry) -> Iterator[str]:
    name = entry.instance or counted(len(entry.nodes), "node")
    platform = f" ({entry.platform.capitalize()})" if entry.platform else ""
    kind = f"{name}  {entry.instance_type or ''}{platform}".rstrip()
    limits = entry.limits
    yield f"{kind}: {_limits(limits, entry.capacity)}" if limits is not None else kind
    until = f" to {clock(entry.until)}" if entry.until else ""
    cluster = f"cluster {entry.cluster}, " if entry.cluster else ""
    incomplete = "" if entry.complete else "; older than the evidence, so sizes are minimums"
    place = account_and_region(entry.account, entry.region)
    yield f"{cluster}{place}, from {clock(entry.since)}{until}{incomplete}"
    if not entry.is_node:
        yield from (unsettled.because.text for unsettled in entry.unsettled)
    elif entry.management is not None:
        yield managed_by(entry.management)
    else:
        yield "different managers assign the addresses of these nodes: --instance shows one node"


def _limits(limits: PoolLimits, capacity: int | None) -> str:
    """Return the limits of a node in one line: those that apply to its mode first."""
    of_each = " each" if limits.enis > 1 else ""
    enis = f"{counted(limits.enis, 'ENI')} with {counted(limits.ipv4_per_eni, 'address')}{of_each}"
    if limits.pool is None or limits.max_pods is None:
        return enis
    note = _PRIMARY_LEFT_OUT if limits.pod_enis is PodEnis.SECONDARY else ""
    if limits.prefix_pool and capacity == limits.prefix_pool:
        return f"{enis}, {capacity} for pods in prefixes ({limits.pool} without){note}"
    prefixes = f" ({limits.prefix_pool} with prefixes)" if limits.prefix_pool else ""
    return f"{enis}, {limits.pool} for pods{prefixes}, max-pods {limits.max_pods}{note}"


def write_steps(entry: PoolEntry, out: IO[str]) -> None:
    """Write the calls that changed the size, or were meant to, and what each batch shows."""
    sizes = {size.time: size for size in entry.size}
    by_time = groupby(entry.batches, key=lambda batch: batch.by.time)
    batches = {time: list(of_time) for time, of_time in by_time}
    is_cni = is_of_the_cni(entry)
    rows: list[Row] = []
    last: PoolSize | None = None
    times = sorted({*sizes, *batches})
    shown = times_on(out, times)
    for time in times:
        last = sizes.get(time, last)
        events = [(event.event, "") for event in sizes[time].events] if time in sizes else []
        of_time = batches.get(time, [])
        calls = events or [(batch.by.event, "") for batch in of_time]
        meanings = [[(batch.meaning, "") for batch in of_time]] if is_cni else []
        rows.append(
            (
                [(shown.show(time), "")],
                [(str(last.pool if last else 0), "bold")],
                [(str(last.enis if last else 0), "")],
                calls,
                *meanings,
            )
        )
    numbers = ("POOL", "ENIS")
    headings = (time_heading(shown), *numbers, "API CALL", *(["VPC CNI"] if is_cni else []))
    short = [[*row[:3], [part for cell in row[3:] for part in cell]] for row in rows]
    layouts = (
        Table(headings, rows, {"VPC CNI": 1}, right=numbers),
        Table(headings[:4], short, {"API CALL": 1}, right=numbers),
    )
    draw_below(layouts, out)


def write_calls(entry: PoolEntry, out: IO[str]) -> None:
    """Write how often each API was called, by whom, and with which errors."""
    is_cni = is_of_the_cni(entry) or any(count.by_cni for count in entry.calls)
    rows: list[Row] = [
        (
            [(count.event, "")],
            [(str(count.calls), "")],
            *([[(str(count.by_cni), "")]] if is_cni else []),
            [(f"{error.code} {error.count}", "red") for error in count.errors],
        )
        for count in entry.calls
    ]
    numbers = ("CALLS", *(["BY VPC CNI"] if is_cni else []))
    short = [[[*row[0], *((f"  {text}", style) for text, style in row[-1])], *row[1:-1]] for row in rows]
    layouts = (
        Table(("API CALL", *numbers, "FAILED"), rows, {}, right=numbers),
        Table(("API CALL, FAILED", *numbers), short, {"API CALL, FAILED": 1}, right=numbers),
    )
    draw_below(layouts, out)
    claimed = sum(count.claimed for count in entry.calls)
    if claimed:
        node = "the node" if entry.instance is not None else "a node"
        names = "names" if claimed == 1 else "name"
        text = f"{claimed:,} of these calls {names} {node} only in a description or tag"
        write_wrapped(f"{text}, which a caller can choose", out)
        out.write("\n")


def write_nodes(entries: Sequence[PoolEntry], out: IO[str]) -> None:
    """Write a line for each of several nodes."""
    times = times_on(out, (time for entry in entries for time in (entry.since, entry.until)))
    rows = [_node(entry, times) for entry in entries]
    numbers = ("PEAK", "LAST", "LIMIT", "ENIS")
    headings = ("NODE", "START (UTC)", "END (UTC)", *numbers, "LAST SETTINGS")
    short = [
        [row[0], [*row[1], *(("to " + text, style) for text, style in row[2])], *row[3:]] for row in rows
    ]
    shortest = [[[*row[0], *_period(row)], *row[3:]] for row in rows]
    layouts = (
        Table(headings, rows, {"LAST SETTINGS": 1}, right=numbers),
        Table(("NODE", "SINCE (UTC)", *headings[3:]), short, {"LAST SETTINGS": 1}, right=numbers),
        Table(("NODE, SINCE (UTC)", *headings[3:]), shortest, {"LAST SETTINGS": 1}, right=numbers),
    )
    draw_below(layouts, out)


def _period(row: Row) -> Iterator[Part]:
    """Yield the period of a node as one text."""
    yield " to ".join(text for cell in row[1:3] for text, _ in cell), ""


def _node(entry: PoolEntry, times: TimeStyle) -> Row:
    last = entry.size[-1] if entry.size else None
    limit = entry.capacity
    limits = entry.limits
    candidates = entry.settings[-1].candidates if entry.settings else ()
    fitting = joined(candidate for candidate in candidates if candidate.held_back is None)
    because = entry.unsettled[-1].because if entry.unsettled else entry.no_pool
    unsettled = [(_unsettled(entry, because), "dim")] if because is not None else []
    return (
        [(entry.instance or "", ""), (entry.instance_type or "", "")],
        [(times.show(entry.since), "")],
        [(times.show(entry.until), "")] if entry.until else [],
        [(str(max((size.pool for size in entry.size), default=0)), "")],
        [(str(last.pool if last else 0), "bold")],
        [("" if limit is None else str(limit), "")],
        [(f"{last.enis if last else 0} of {limits.enis}" if limits else str(last.enis if last else 0), "")],
        _shown_settings(fitting) or unsettled,
    )


def _unsettled(entry: PoolEntry, because: Reason) -> str:
    """Return why there are no settings, in a few words if something else manages the addresses."""
    if because.code is not ReasonCode.OTHER_MANAGER or entry.management is None:
        return because.text
    name = MANAGER_NAMES[entry.management.manager]
    return f"not managed by the VPC CNI: {name}" if name != "unknown" else "manager unknown"


def _shown_settings(candidates: Sequence[Candidate]) -> list[Part]:
    """Return the settings, any of which may be the right ones, or their number if they fill a cell."""
    if len(candidates) > _MAX_SETTINGS:
        return [(f"{len(candidates)} candidates; --instance shows them", "dim")]
    texts = [candidate_text(candidate) for candidate in candidates]
    return [(f"or {text}" if number else text, "") for number, text in enumerate(texts)]
