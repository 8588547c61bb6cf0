"""Perfetto traces, for ui.perfetto.dev or any viewer of Chrome's Trace Event Format.

An instance is a process. An ENI on it is a thread, with a slice while it is attached and an instant event
for each API call. Slices of a thread may not overlap but leases do, so each lease is an asynchronous slice
of the process, named by device index and address. Counters show how many addresses and prefixes an instance
holds. Times are microseconds since the epoch, UTC. An unknown start or end is drawn at the first or last
event of the evidence; the arguments of each slice give the basis of its bounds.

The format: https://perfetto.dev/docs/getting-started/other-formats
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count, groupby, zip_longest
from typing import IO

from cnitrail.model import (
    Answer,
    AttachmentEntry,
    CallOutcome,
    LeaseSegment,
    Swimlane,
    TimelineEntry,
    is_prefix,
)
from cnitrail.render import leases, timeline
from cnitrail.render.csv import Cell, Columns, fields
from cnitrail.render.json import line
from cnitrail.render.safe import printable
from cnitrail.render.timeline_parts import outcome_mark

_NO_INSTANCE = "not attached, or instance unknown"

_Event = dict[str, object]


def write_trace(answer: Answer[Swimlane], out: IO[str]) -> None:
    """Write the swimlanes as one JSON object, one trace event per line."""
    out.write('{"displayTimeUnit":"ms","traceEvents":[')
    for number, event in enumerate(_Trace(answer).events()):
        out.write(",\n" if number else "\n")
        out.write(line(event).rstrip("\n"))
    out.write("\n]}\n")


class _Trace:
    """Swimlanes as trace events, between the first and the last known time."""

    def __init__(self, answer: Answer[Swimlane]) -> None:
        self._lanes = answer.entries
        evidence = (answer.evidence.first_event, answer.evidence.last_event)
        times = [time for time in (*evidence, *_times(answer.entries)) if time is not None]
        self._since, self._until = min(times, default=None), max(times, default=None)
        self._thread_ids, self._lease_ids = count(1), count(1)

    def events(self) -> Iterator[_Event]:
        """Yield the trace events, instance by instance."""
        for instance, group in groupby(self._lanes, key=lambda lane: lane.instance):
            lanes, pid = list(group), next(self._thread_ids)
            kind = next((lane.instance_type for lane in lanes if lane.instance_type), None)
            yield _named("process_name", pid, 0, " ".join(filter(None, (instance or _NO_INSTANCE, kind))))
            for lane in lanes:
                tid = next(self._thread_ids)
                title = " ".join(filter(None, (lane.eni or "no ENI named", lane.eni_kind)))
                yield _named("thread_name", pid, tid, title)
                yield from self._attachments(pid, tid, lane.attachments)
                for call in lane.calls:
                    yield _call(pid, tid, call)
                for segment in lane.stretches:
                    yield from self._lease(pid, _device(lane), segment)
            if instance is not None:
                yield from self._counters(pid, [segment for lane in lanes for segment in lane.stretches])

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

    def _lease(self, pid: int, device: str, segment: LeaseSegment) -> Iterator[_Event]:
        shared = {
            "pid": pid,
            "id2": {"local": f"{next(self._lease_ids):#x}"},
            "cat": "lease",
            "name": f"{device}: {segment.lease.ip}",
        }
        arguments = _arguments(leases.COLUMNS, segment.lease)
        yield {"ph": "b", "ts": self._start(segment.start), **shared, "args": arguments}
        yield {"ph": "e", "ts": self._end(segment.end), **shared}

    def _counters(self, pid: int, segments: Iterable[LeaseSegment]) -> Iterator[_Event]:
        """Yield a counter event whenever the number of addresses or prefixes of an instance changes."""
        changes: dict[str, Counter[int]] = {"addresses": Counter(), "prefixes": Counter()}
        for segment in segments:
            changed = changes["prefixes" if is_prefix(segment.lease.ip) else "addresses"]
            changed[self._start(segment.start)] += 1
            if segment.end is not None:
                changed[self._end(segment.end)] -= 1
        for name, changed in changes.items():
            held = 0
            for ts in sorted(changed):
                held += changed[ts]
                yield {"ph": "C", "pid": pid, "ts": ts, "name": name, "args": {"held": held}}

    def _start(self, time: datetime | None) -> int:
        return _microseconds(time or self._since)

    def _end(self, time: datetime | None) -> int:
        return _microseconds(time or self._until)


def _device(lane: Swimlane) -> str:
    """Return a short label of a lane's ENI: its last device index, or its ID."""
    devices = [entry.device_index for entry in lane.attachments if entry.device_index is not None]
    return f"device {devices[-1]}" if devices else printable(lane.eni or "")


def _times(lanes: Iterable[Swimlane]) -> Iterator[datetime | None]:
    for lane in lanes:
        yield from (call.time for call in lane.calls)
        for attachment in lane.attachments:
            yield from (attachment.start, attachment.end)
        for segment in lane.stretches:
            yield from (segment.start, segment.end)


def _microseconds(time: datetime | None) -> int:
    assert time is not None  # if there is anything to draw, at least one time is known
    return round(time.timestamp()) * 1_000_000


def _named(what: str, pid: int, tid: int, name: str) -> _Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "args": {"name": printable(name)}}


def _call(pid: int, tid: int, entry: TimelineEntry) -> _Event:
    failed = entry.outcome is CallOutcome.FAILED
    return {
        "ph": "i",
        "s": "t",
        "pid": pid,
        "tid": tid,
        "ts": _microseconds(entry.time),
        "cat": "failed call" if failed else "call",
        "name": printable(entry.event) + outcome_mark(entry),
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
    return [printable(str(item)) for item in value]
