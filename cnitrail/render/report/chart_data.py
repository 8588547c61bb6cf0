"""The chart of a report: the line of each instance as SVG, and the data that the script draws from.

Times are whole seconds from the chart's left edge, which is a little before the first call.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import TypeVar

from msgspec import Raw, Struct
from msgspec.json import Encoder

from cnitrail.model import (
    Basis,
    CallOutcome,
    CitedBound,
    CitedCall,
    CitedHolding,
    Evidence,
    Held,
    InstanceReport,
    InterfaceReport,
    Report,
    TimelineEntry,
)
from cnitrail.render.safe import printable
from cnitrail.render.timeline_parts import changes_of
from cnitrail.timeclamp import shifted

T = TypeVar("T")

_MARGIN = 0.02
"""Share of the time range that is shown before the first call and after the last one."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ChartRange(Struct, frozen=True):
    """The time that the chart shows; aware, UTC."""

    start: datetime
    end: datetime

    @property
    def width(self) -> int:
        """Return its length in seconds."""
        return self.x(self.end)

    def x(self, time: datetime) -> int:
        """Return the position of a time, in seconds from the left edge."""
        return round((time - self.start).total_seconds())


def chart_range(report: Report) -> ChartRange:
    """Return the range around all calls. Raises ``ValueError`` if there are none."""
    if report.start is None or report.end is None:
        raise ValueError("a report without calls has no chart")
    margin = timedelta(seconds=ceil((report.end - report.start).total_seconds() * _MARGIN) + 1)
    return ChartRange(shifted(report.start, -margin), shifted(report.end, margin))


class CountLine(Struct, frozen=True):
    """The number of addresses of an instance: an SVG path over seconds (with y downwards), and its limit.

    The path begins and ends outside of the chart, which would else show a count of zero at its edges.
    """

    height: int
    path: str
    limit: int | None
    holes: tuple[tuple[int, int], ...]

    @property
    def limit_percent(self) -> int:
        """Return the position of the limit, in percent of the height."""
        return round(100 * (self.limit or 0) / self.height)


def line(instance: InstanceReport, evidence: Evidence, shown: ChartRange) -> CountLine:
    """Return the number of addresses of an instance as steps, with room above for its limit."""
    limit = instance.limits.addresses if instance.limits else None
    height = max(instance.most, limit or 0, 1) + 1
    path = [f"M{-shown.width} {height}V{height - instance.steps[0].number}"]
    path += [f"H{shown.x(step.time)}V{height - step.number}" for step in instance.steps[1:]]
    path.append(f"H{2 * shown.width}V{height}")
    holes = tuple(_holes(instance, evidence, shown))
    return CountLine(height, "".join(path), None if limit is None else height - limit, holes)


def _holes(instance: InstanceReport, evidence: Evidence, shown: ChartRange) -> Iterator[tuple[int, int]]:
    """Yield the log gaps of the instance's account and Region: left edge and width."""
    for reach in evidence.coverage:
        if reach.account in (instance.account, None) and reach.region in (instance.region, None):
            for hole in reach.holes:
                left, right = max(shown.x(hole.start), 0), min(shown.x(hole.end), shown.width)
                if left < right:
                    yield left, right - left


_Flat = list[object]


def _failure(entry: TimelineEntry, names: "_Numbered[str]") -> int:
    """Return the number of the code that a call failed with, from 1; 0 if it did not fail."""
    failed = entry.error is not None and entry.outcome is CallOutcome.FAILED
    return names[entry.error.code] + 1 if failed and entry.error is not None else 0


def data(
    report: Report,
    drawn_calls: Sequence[tuple[CitedCall, int]],
    drawn: Sequence[InstanceReport],
    lines: Sequence[CountLine],
) -> dict[str, object]:
    """Return what the script draws from, as lists, so that ten thousand calls fit into a mail.

    ``calls``: event, instance, ENI, failure (0: none), added, removed, row, and the changes of
    attributes if there are any; added and removed addresses as how far back they first appeared, 0 for one
    that is new;
    ``events``: time, name, principal, ID (a UUID without its dashes), then for each file its number and
    the record's number; 0 for one that is neither a call nor a bound here;
    ``instances``: ID, holes, ENIs, each with ID, kind, attachments, holdings, and the time it belonged
    to the instance;
    a holding: slots (first, number, …), addresses, start, end, doubted;
    a bound: its event, or [time, basis, event (0: none)] if the event's time is not all.

    ``drawn_calls`` have the numbers of their rows; ``lines`` are those of the instances. The lists are JSON
    already: of a million calls, as objects they would take gigabytes.
    """
    shown = chart_range(report)
    names, ips, files, enis = (_Numbered[str](), _Numbered[Held](), _Numbered[str](), _Numbered[str]())
    calls = json_lines(_calls(drawn_calls, drawn, names, ips, enis))
    is_whole = len(drawn_calls) == len(report.calls)
    used = None if is_whole else {*(call.event for call, _ in drawn_calls), *_bounding(drawn)}
    events = json_lines(
        [
            shown.x(event.time),
            names[event.event],
            event.principal,
            _short(event.event_id),
            *[number for origin in event.origins for number in (files[origin.source], origin.index)],
        ]
        if used is None or number in used
        else 0
        for number, event in enumerate(report.events, 1)
    )
    instances = json_lines(
        [
            printable(instance.instance or ""),
            line.holes,
            [_interface(interface, enis, ips, shown) for interface in instance.interfaces],
        ]
        for instance, line in zip(drawn, lines, strict=True)
    )
    return {
        "start": int(shown.start.timestamp()),
        "width": shown.width,
        "principals": [printable(principal.title) for principal in report.principals],
        "names": list(map(printable, names)),
        "ips": list(map(str, ips)),
        "enis": list(map(printable, enis)),
        "files": list(map(printable, files)),
        "calls": calls,
        "events": events,
        "instances": instances,
    }


def json_lines(values: Iterable[object]) -> Raw:
    """Return values as a JSON list with a line for each, so that a person can read it."""
    lines = _ENCODER.encode_lines(values).rstrip()
    return Raw(b"[\n%b\n]" % lines.replace(b"\n", b",\n") if lines else b"[]")


_ENCODER = Encoder()


def _bounding(instances: Iterable[InstanceReport]) -> Iterator[int | None]:
    """Yield the numbers of the events with which the attachments and holdings of instances start and end."""
    for interface in (interface for instance in instances for interface in instance.interfaces):
        for attachment in interface.attachments:
            yield from (attachment.start.event, attachment.end.event)
        for holding in interface.holdings:
            yield from (holding.start.event, holding.end.event)


def _calls(
    calls: Iterable[tuple[CitedCall, int]],
    drawn: Sequence[InstanceReport],
    names: "_Numbered[str]",
    ips: "_Numbered[Held]",
    enis: "_Numbered[str]",
) -> Iterator[_Flat]:
    places = {instance.instance: place for place, instance in enumerate(drawn)}
    for call, row in calls:
        entry = call.entry
        flat: _Flat = [
            call.event,
            places.get(entry.instance, -1),
            enis[entry.eni or ""],
            _failure(entry, names) if entry.error is not None else 0,
            ips.back(entry.added + entry.shown),
            ips.back(entry.removed),
            row,
        ]
        if entry.changes:
            flat.append([names[change] for change in changes_of(entry)])
        yield flat


class _Numbered(dict[T, int]):
    """The position of each value in a list of distinct ones, in the order of their first appearance."""

    def __missing__(self, value: T) -> int:
        self[value] = len(self)
        return self[value]

    def back(self, values: Iterable[T]) -> list[int]:
        """Return how far back the first appearance of each is: 0 for a new value, 1 for the newest one."""
        return [len(self) - self[value] for value in values]


def _interface(
    interface: InterfaceReport, enis: _Numbered[str], ips: _Numbered[Held], shown: ChartRange
) -> _Flat:
    return [
        enis[interface.eni],
        _kind(interface),
        [
            [_bound(attachment.start, shown), _bound(attachment.end, shown)]
            for attachment in interface.attachments
        ],
        [_holding(holding, slots, ips, shown) for holding, slots in _stacked(interface)],
        _reach(interface, shown),
    ]


def _reach(interface: InterfaceReport, shown: ChartRange) -> _Flat:
    """Return the time that the ENI belonged to the instance: from 0 to the width if nothing bounds it."""
    since = shown.x(interface.since) if interface.since else 0
    until = shown.x(interface.until) if interface.until else shown.width
    return [max(since, 0), min(until, shown.width)]


def _short(event_id: str | None) -> str:
    """Return an event ID: a UUID in its usual form without the dashes, anything else after an equals sign."""
    if event_id is None:
        return "=without an ID"
    return event_id.replace("-", "") if _UUID.fullmatch(event_id) else "=" + printable(event_id)


def _kind(interface: InterfaceReport) -> str:
    indexes = {attachment.device_index for attachment in interface.attachments}
    known = sorted(index for index in indexes if index is not None)
    place = ["not attached"] if interface.unattached else [f"device {index}" for index in known]
    return ", ".join([interface.kind, *place])


def _bound(bound: CitedBound, shown: ChartRange) -> _Flat | int:
    if bound.basis is Basis.OBSERVED and bound.event is not None:
        return bound.event
    return [None if bound.time is None else shown.x(bound.time), _BASES[bound.basis], bound.event or 0]


_BASES = {basis: place for place, basis in enumerate(Basis)}


def _holding(holding: CitedHolding, slots: Sequence[int], ips: _Numbered[Held], shown: ChartRange) -> _Flat:
    return [
        _runs(slots),
        [ips[held] for held in holding.held],
        _bound(holding.start, shown),
        _bound(holding.end, shown),
        int(holding.doubted),
    ]


def _stacked(interface: InterfaceReport) -> Iterator[tuple[CitedHolding, list[int]]]:
    """Yield the holdings by start, each with the lowest slots of the lane that are free at that time."""
    free: list[int] = []
    unused = count()
    ends: list[tuple[datetime, int, list[int]]] = []
    for order, holding in enumerate(interface.holdings):
        start = holding.start.time
        while ends and start is not None and ends[0][0] <= start:
            for slot in heappop(ends)[2]:
                heappush(free, slot)
        slots = [heappop(free) if free else next(unused) for _ in holding.held]
        if holding.end.time is not None:
            heappush(ends, (holding.end.time, order, slots))
        yield holding, slots


def _runs(slots: Sequence[int]) -> list[int]:
    """Return the first slot of each run of consecutive ones, with their number after it."""
    runs: list[int] = []
    for slot in slots:
        if runs and slot == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += (slot, 1)
    return runs
