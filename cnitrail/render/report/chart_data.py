"""The picture of a report: the line of each instance as SVG, and the numbers that the script draws from.

Times are whole seconds from the picture's left edge, which is a little before the first call.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil

from msgspec import Struct

from cnitrail.model import (
    Basis,
    Edge,
    Evidence,
    HoldingSpan,
    InstanceLife,
    InterfaceLife,
    Report,
)
from cnitrail.render.report.row_folding import FoldedRow
from cnitrail.render.safe import printable
from cnitrail.timeclamp import shifted

_MARGIN = 0.02
"""How much of the span is shown before the first call and after the last one."""


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Frame(Struct, frozen=True):
    """The time that the picture shows; aware, UTC."""

    start: datetime
    end: datetime

    @property
    def width(self) -> int:
        """Its length in seconds."""
        return self.x(self.end)

    def x(self, time: datetime) -> int:
        """Where a time is, in seconds from the left edge."""
        return round((time - self.start).total_seconds())


def frame(report: Report) -> Frame:
    """The frame around all calls. Raises ``ValueError`` where there are none."""
    if report.start is None or report.end is None:
        raise ValueError("a report without calls has no picture")
    margin = timedelta(seconds=ceil((report.end - report.start).total_seconds() * _MARGIN) + 1)
    return Frame(shifted(report.start, -margin), shifted(report.end, margin))


class Line(Struct, frozen=True):
    """The line of an instance: an SVG path over seconds, upside down as SVG is, and its limit."""

    height: int
    path: str
    limit: int | None
    holes: tuple[tuple[int, int], ...]

    @property
    def limit_percent(self) -> int:
        """Where the limit is, in hundredths of the height."""
        return round(100 * (self.limit or 0) / self.height)


def line(life: InstanceLife, evidence: Evidence, shown: Frame) -> Line:
    """The number of addresses of an instance as steps, with room above for its limit."""
    limit = life.limits.addresses if life.limits else None
    height = max(life.most, limit or 0, 1) + 1
    path = [f"M0 {height}V{height - life.steps[0].number}"]
    path += [f"H{shown.x(step.time)}V{height - step.number}" for step in life.steps[1:]]
    path.append(f"H{shown.width}V{height}")
    holes = tuple(_holes(life, evidence, shown))
    return Line(height, "".join(path), None if limit is None else height - limit, holes)


def _holes(life: InstanceLife, evidence: Evidence, shown: Frame) -> Iterator[tuple[int, int]]:
    """Where nothing was read of the instance's account and Region: left edge and width."""
    for reach in evidence.coverage:
        if reach.account in (life.account, None) and reach.region in (life.region, None):
            for hole in reach.holes:
                left, right = max(shown.x(hole.start), 0), min(shown.x(hole.end), shown.width)
                if left < right:
                    yield left, right - left


Flat = list[object]


def data(report: Report, rows: Sequence[FoldedRow], evidence: Evidence) -> dict[str, object]:
    """What the script knows: lists, so that ten thousand calls fit into a mail.

    ``calls``: event, life, interface, failure (0: none), added, removed, row; added and removed
    addresses as how far back they first appeared, 0 for one that is new;
    ``events``: time, name, principal, id (a UUID without its dashes), then of each file its number and
    the place in it;
    ``lives``: instance, holes, interfaces, each ENI, kind, stays, holdings, reach;
    a holding: slots (first, number, …), addresses, start, end, doubtful;
    an edge: its event, or [time, basis, event (0: none)] where the event's time does not say it all.
    """
    shown = frame(report)
    names, ips, files, enis = _TextTable(), _TextTable(), _TextTable(), _TextTable()
    row_of = {id(call): number for number, row in enumerate(rows) for call in row.calls}
    places = {life.instance: place for place, life in enumerate(report.instances)}
    calls = [
        [
            call.event,
            places.get(call.entry.instance, -1),
            enis[call.entry.eni or ""],
            names[call.entry.error.code] + 1 if call.entry.error else 0,
            [ips.back(str(each)) for each in (*call.entry.added, *call.entry.shown)],
            [ips.back(str(each)) for each in call.entry.removed],
            row_of[id(call)],
        ]
        for call in report.calls
    ]
    events = [
        [
            shown.x(event.time),
            names[event.event],
            event.principal,
            _short(event.event_id),
            *(each for origin in event.origins for each in (files[origin.source], origin.index)),
        ]
        for event in report.events
    ]
    lives = [
        [
            printable(life.instance or ""),
            list(line(life, evidence, shown).holes),
            [
                [
                    enis[each.eni],
                    _kind(each),
                    [[_edge(stay.start, shown), _edge(stay.end, shown)] for stay in each.stays],
                    [_holding(holding, slots, ips, shown) for holding, slots in _stacked(each)],
                    _reach(each, shown),
                ]
                for each in life.interfaces
            ],
        ]
        for life in report.instances
    ]
    return {
        "start": int(shown.start.timestamp()),
        "width": shown.width,
        "principals": [printable(each.title) for each in report.principals],
        "names": list(map(printable, names)),
        "ips": list(ips),
        "enis": list(map(printable, enis)),
        "files": list(map(printable, files)),
        "calls": calls,
        "events": events,
        "lives": lives,
    }


class _TextTable(dict[str, int]):
    """The place of each text in a list, which is that of its first appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]

    def back(self, text: str) -> int:
        """How far back its first appearance is: 0 for a new one, 1 for the newest."""
        newest = len(self)
        return newest - self[text]


def _reach(life: InterfaceLife, shown: Frame) -> Flat:
    """From where to where the life is told: 0 and the width where nothing bounds it."""
    since = shown.x(life.since) if life.since else 0
    until = shown.x(life.until) if life.until else shown.width
    return [max(since, 0), min(until, shown.width)]


def _short(event_id: str | None) -> str:
    """An event id; a UUID in its usual spelling without the dashes, anything else after an equals sign."""
    if event_id is None:
        return "=without an id"
    return event_id.replace("-", "") if _UUID.fullmatch(event_id) else "=" + printable(event_id)


def _kind(life: InterfaceLife) -> str:
    devices = {stay.device_index for stay in life.stays if stay.device_index is not None}
    return ", ".join([life.kind, *(f"device {each}" for each in sorted(devices))])


def _edge(edge: Edge, shown: Frame) -> Flat | int:
    if edge.basis is Basis.OBSERVED and edge.event is not None:
        return edge.event
    return [None if edge.time is None else shown.x(edge.time), _BASES[edge.basis], edge.event or 0]


_BASES = {basis: place for place, basis in enumerate(Basis)}


def _holding(holding: HoldingSpan, slots: Sequence[int], ips: _TextTable, shown: Frame) -> Flat:
    return [
        [each for run in _runs(slots) for each in run],
        [ips[str(each)] for each in holding.held],
        _edge(holding.start, shown),
        _edge(holding.end, shown),
        int(holding.doubted),
    ]


def _stacked(life: InterfaceLife) -> Iterator[tuple[HoldingSpan, list[int]]]:
    """The holdings by start, each with the lowest slots of the lane that are free then."""
    free: list[int] = []
    top = 0
    ends: list[tuple[datetime, int, list[int]]] = []
    for order, holding in enumerate(life.holdings):
        start = holding.start.time
        while ends and start is not None and ends[0][0] <= start:
            for slot in heappop(ends)[2]:
                heappush(free, slot)
        slots = []
        for _ in holding.held:
            if not free:
                heappush(free, top)
                top += 1
            slots.append(heappop(free))
        if holding.end.time is not None:
            heappush(ends, (holding.end.time, order, slots))
        yield holding, slots


def _runs(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Slots that follow each other: the first, and how many."""
    first = 0
    for place, (slot, after) in enumerate(pairwise([*slots, -1]), 1):
        if after != slot + 1:
            yield slots[first], place - first
            first = place
