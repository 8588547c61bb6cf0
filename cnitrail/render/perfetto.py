"""Perfetto: a trace that opens in ui.perfetto.dev, or in any viewer of Chrome's Trace Event Format.

An instance is a process; an interface on it is a thread, with a slice while it is attached and an
instant for each call. Slices of a thread may not overlap, as leases do: each is an asynchronous slice
of the process, named by device and address. Counters tell how many addresses and prefixes an instance holds.
Times are microseconds since the epoch, UTC. What has no start or end in the evidence is drawn from
its first event or to its last; the arguments of each slice tell what its bounds rest on.

The format: https://perfetto.dev/docs/getting-started/other-formats
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count, groupby, zip_longest
from typing import IO

from cnitrail.model import Answer, AttachmentEntry, LeaseSegment, Swimlane, TimelineEntry, is_prefix
from cnitrail.render import leases, timeline
from cnitrail.render.csv import Cell, Columns, fields
from cnitrail.render.json import line
from cnitrail.render.safe import printable

_NOWHERE = "not attached, or instance not known"

_Event = dict[str, object]


def write_trace(answer: Answer[Swimlane], out: IO[str]) -> None:
    """Write the lanes as one JSON object, a trace event a line."""
    out.write('{"displayTimeUnit":"ms","traceEvents":[')
    for number, event in enumerate(_Picture(answer).events()):
        out.write(",\n" if number else "\n")
        out.write(line(event).rstrip("\n"))
    out.write("\n]}\n")


class _Picture:
    """Lanes as trace events, between the first and the last time that is known."""

    def __init__(self, answer: Answer[Swimlane]) -> None:
        self._lanes = answer.entries
        evidence = (answer.evidence.first_event, answer.evidence.last_event)
        times = [time for time in (*evidence, *_times(answer.entries)) if time is not None]
        self._since, self._until = min(times, default=None), max(times, default=None)
        self._lanes_drawn, self._leases_drawn = count(1), count(1)

    def events(self) -> Iterator[_Event]:
        """The trace events, instance by instance."""
        for instance, group in groupby(self._lanes, key=lambda lane: lane.instance):
            lanes, pid = list(group), next(self._lanes_drawn)
            kind = next((lane.instance_type for lane in lanes if lane.instance_type), None)
            yield _named("process_name", pid, 0, " ".join(filter(None, (instance or _NOWHERE, kind))))
            for lane in lanes:
                tid = next(self._lanes_drawn)
                title = " ".join(filter(None, (lane.eni or "no interface named", lane.eni_kind)))
                yield _named("thread_name", pid, tid, title)
                yield from self._attachments(pid, tid, lane.attachments)
                for call in lane.calls:
                    yield _call(pid, tid, call)
                for stretch in lane.stretches:
                    yield from self._lease(pid, _place(lane), stretch)
            if instance is not None:
                yield from self._counters(pid, [each for lane in lanes for each in lane.stretches])

    def _attachments(self, pid: int, tid: int, entries: Sequence[AttachmentEntry]) -> Iterator[_Event]:
        for entry, following in zip_longest(entries, entries[1:]):
            start = self._start(entry.start)
            end = self._end(entry.end or (following.start if following else None))
            device = "" if entry.device_index is None else f", device {entry.device_index}"
            yield {
                "ph": "X",
                "pid": pid,
                "tid": tid,
                "ts": start,
                "dur": max(end - start, 0),
                "cat": "attachment",
                "name": f"attached{device}",
                "args": _arguments(_ATTACHMENT, entry),
            }

    def _lease(self, pid: int, place: str, stretch: LeaseSegment) -> Iterator[_Event]:
        shared = {
            "pid": pid,
            "id2": {"local": f"{next(self._leases_drawn):#x}"},
            "cat": "lease",
            "name": f"{place}: {stretch.lease.ip}",
        }
        arguments = _arguments(leases.COLUMNS, stretch.lease)
        yield {"ph": "b", "ts": self._start(stretch.start), **shared, "args": arguments}
        yield {"ph": "e", "ts": self._end(stretch.end), **shared}

    def _counters(self, pid: int, stretches: Iterable[LeaseSegment]) -> Iterator[_Event]:
        """How many addresses and prefixes the instance holds, whenever that changes."""
        changes: dict[str, Counter[int]] = {"addresses": Counter(), "prefixes": Counter()}
        for stretch in stretches:
            changed = changes["prefixes" if is_prefix(stretch.lease.ip) else "addresses"]
            changed[self._start(stretch.start)] += 1
            if stretch.end is not None:
                changed[self._end(stretch.end)] -= 1
        for name, changed in changes.items():
            held = 0
            for ts in sorted(changed):
                held += changed[ts]
                yield {"ph": "C", "pid": pid, "ts": ts, "name": name, "args": {"held": held}}

    def _start(self, time: datetime | None) -> int:
        return _microseconds(time or self._since)

    def _end(self, time: datetime | None) -> int:
        return _microseconds(time or self._until)


def _place(lane: Swimlane) -> str:
    """The interface of a lane in few letters; those of an instance sort by it."""
    devices = [each.device_index for each in lane.attachments if each.device_index is not None]
    return f"device {devices[-1]}" if devices else printable(lane.eni or "")


def _times(lanes: Iterable[Swimlane]) -> Iterator[datetime | None]:
    for lane in lanes:
        yield from (call.time for call in lane.calls)
        for attachment in lane.attachments:
            yield from (attachment.start, attachment.end)
        for stretch in lane.stretches:
            yield from (stretch.start, stretch.end)


def _microseconds(time: datetime | None) -> int:
    assert time is not None  # some time is known wherever there is something to draw
    return round(time.timestamp()) * 1_000_000


def _named(what: str, pid: int, tid: int, name: str) -> _Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "args": {"name": printable(name)}}


def _call(pid: int, tid: int, entry: TimelineEntry) -> _Event:
    failed = " FAILED" if entry.error else ""
    return {
        "ph": "i",
        "s": "t",
        "pid": pid,
        "tid": tid,
        "ts": _microseconds(entry.time),
        "cat": "failed call" if entry.error else "call",
        "name": printable(entry.event) + failed,
        "args": {"call": printable(timeline.sentence(entry)), **_arguments(timeline.COLUMNS, entry)},
    }


_ATTACHMENT: Columns = {
    "attachment": lambda entry: entry.attachment,
    "start": lambda entry: entry.start,
    "start_basis": lambda entry: entry.start_basis.value,
    "end": lambda entry: entry.end,
    "end_basis": lambda entry: entry.end_basis.value,
}


def _arguments(columns: Columns, entry: object) -> dict[str, object]:
    return {name: _shown(value) for name, value in fields(columns, entry).items()}


def _shown(value: Cell) -> object:
    if isinstance(value, (str, int, datetime)) or value is None:
        return printable(value) if isinstance(value, str) else value
    return [printable(str(each)) for each in value]
