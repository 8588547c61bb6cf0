"""Adds to the records of a block who was at both ends of each.

Most records are like others before, except for their ports, counts and times. So what is written of a flow is
remembered by the text around these (``Middle``), and such a record is not read field by field.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.flows import FlowKey
from cnitrail.answers.flows.ends import JoinedEnds
from cnitrail.answers.flows.record import ATTRIBUTES, KEY_FIELDS, is_used
from cnitrail.answers.flows.tally import EndsKind, FlowTally
from cnitrail.answers.over_time import ALL_INTERVALS, LAST_SECOND
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.model import Extent, Skipped, Verdict
from cnitrail.model.flow_layout import middle_of
from cnitrail.model.flows import LATE, FlowCounts, FlowEnd, fields_of_block
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cnitrail.answers.flows import FlowEnds
    from cnitrail.answers.flows.selection import FlowSelection
    from cnitrail.answers.flows.unnamed import StandIn
    from cnitrail.answers.over_time import IntervalBounds
    from cnitrail.model.flow_layout import Middle
    from cnitrail.model.flows import FlowBlock
    from cnitrail.render.flows import LineWriter, OpenWriter, PlainRow, Shared

_MILLISECONDS: Final = 1 << 31
"""A time from here on is in milliseconds, which some records have in spite of AWS's documentation.

If it still is then, it is in microseconds or nanoseconds, as exports have them.
"""

_TIME_DIGITS: Final = 19
"""Maximum length of a time: that of nanoseconds."""

_KNOWN: Final = 1 << 15
"""Number of flows that are remembered, each of about 2 kB; and of fields, of each sort."""

Value = TypeVar("Value")

_DIGITS: Final = 18
"""Maximum length of a number: a longer one is not AWS's, and would not fit into 64 bits."""

_ABSENT: Final = frozenset((b"-", b""))

_TRAFFIC: Final = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "protocol", "packets", "bytes")
"""The fields that say which traffic a record is of; a record without traffic has none of them."""

_NAMED: Final = 3
"""Unreadable records of a block that are listed one by one."""


class JoinedBlock(Struct, frozen=True, gc=False, kw_only=True):
    """The records of a block as they are written, with what is counted of them."""

    uri: str
    text: bytes
    counts: FlowCounts
    skipped: tuple[Skipped, ...]


class BlockJoiner:
    """Joins blocks of records, with memory of the ends of the last ones."""

    def __init__(
        self, ends: FlowEnds, open_writer: OpenWriter, selection: FlowSelection | None = None
    ) -> None:
        self._tally = FlowTally()
        self._ends = ends
        self._open_writer = open_writer
        self._selection = selection
        self._limits_records = selection is not None and selection.limits_records
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], _Plan] = {}
        self._seconds = _Remembered(_second)
        self._stand_ins = _Remembered(self._stand_in)

    def take_tally(self) -> FlowTally:
        """Return what the records joined since the last time show together."""
        for plan in self._plans.values():
            self._fold(plan)
        tally, self._tally = self._tally, FlowTally()
        return tally

    def join(self, block: FlowBlock) -> JoinedBlock:
        """Return the records of a block with their ends."""
        plan = self._plan(block)
        text = block.text.replace(b"\r\n", b"\n") if b"\r" in block.text else block.text
        is_alike = plan.middle is not None and not self._limits_records
        plain = plan.writer.plain(text, block.separator) if is_alike else None
        counts = _Counts(block)
        if plan.middle is not None and plain is not None:
            written = plan.writer.rows(self._rows(plan, plan.middle, plain, counts))
        else:
            lines = enumerate(text.split(b"\n"), block.first)
            written = b"".join(
                [self._line(plan, line.split(block.separator), counts, index) for index, line in lines]
            )
        return counts.joined(text, written)

    def _rows(
        self, plan: _Plan, middle: Middle, plain: tuple[bytes, bytes], counts: _Counts
    ) -> Iterator[PlainRow]:
        """Yield the records that are written, and read only the middle of those that are like one before."""
        text, separator = plain
        accepted, rejected = (separator.join((b"", action, b"OK")) for action in (b"ACCEPT", b"REJECT"))
        width, size, start, end = middle.width, middle.size, middle.start, middle.end
        seconds, known = self._seconds, plan.known
        earliest, latest = LAST_SECOND, 0
        for index, line in enumerate(text.split(b"\n"), counts.block.first):
            head, mark, tail = line.partition(accepted)
            if not mark:
                head, mark, tail = line.partition(rejected)
            parts = head.rsplit(separator, width)
            key = mark.join((parts[0], tail))
            flow = known.get(key)
            try:
                begun, ended = seconds[parts[start]], seconds[parts[end]]
                fits = (
                    flow is not None
                    and flow.since <= begun <= ended <= flow.until
                    and (flow.bounds is None or flow.bounds.include(begun - LATE, ended))
                )
            except (ValueError, IndexError):
                fits = False
            if not fits:
                fields = line.split(separator)
                flow = self._new_flow(plan, fields, key) if plan.is_aligned(fields, parts[0], mark) else None
            if flow is None:
                yield self._line(plan, fields, counts, index), parts, None
                continue
            if not flow.is_taken:
                counts.filtered += 1
                continue
            if begun < earliest:  # noqa: PLR1730  min and max take much longer
                earliest = begun
            if ended > latest:  # noqa: PLR1730
                latest = ended
            number = parts[size]
            if flow.rejected is not None:
                flow.reject(parts[middle.port], parts[middle.packets], number)
            else:
                flow.records += 1
                if number.isdigit() and len(number) <= _DIGITS:
                    flow.size += int(number)
            yield line, parts, flow.shared
        if latest:
            self._tally.add_times(earliest, latest)

    def _new_flow(self, plan: _Plan, fields: list[bytes], key: bytes) -> _Flow | None:
        """Return what is to be remembered of a record; None if it needs to be read field by field."""
        try:
            first, last = self._interval(plan, fields)
        except ValueError:
            return None
        ends = self._known_ends(plan, fields, first, last)
        shared = plan.writer.shared(fields, ends.text)
        if shared is None:
            return None
        before = plan.known.pop(key, None)
        if before is not None:
            before.fold(self._tally)
        if len(plan.known) >= _KNOWN:
            self._fold(plan)
            plan.known.clear()
        bounds = ends.joined.bounds
        is_within_one = bounds.last_from <= bounds.first_from and bounds.last_to <= bounds.first_to
        flow = plan.known[key] = _Flow(
            since=bounds.first_from + LATE,
            until=bounds.last_to,
            bounds=None if is_within_one else bounds,
            shared=shared,
            ends=ends.joined,
            kind=ends.kind,
            is_taken=ends.is_taken,
            rejected={} if plan.field(fields, "action") == b"REJECT" else None,
        )
        return flow

    def _line(self, plan: _Plan, fields: list[bytes], counts: _Counts, index: int) -> bytes:
        """Return any record as it is written, reading all of its fields; nothing if it is not."""
        if fields == [b""]:
            counts.blank += 1
            return b""
        if len(fields) != plan.width:
            counts.skip(index, f"{counted(len(fields), 'field')}, and not {plan.width}")
            return b""
        status = plan.status(fields)
        if status in (b"NODATA", b"SKIPDATA"):
            if not self._takes_interface(plan, fields):
                counts.filtered += 1
                return b""
            counts.no_data += status == b"NODATA"
            counts.skip_data += status == b"SKIPDATA"
            return plan.writer.line(fields, plan.writer.without_ends)
        try:
            first, last = self._interval(plan, fields)
        except ValueError as error:
            counts.skip(index, str(error))
            return b""
        port, is_rejected = plan.text(fields, "dstport"), plan.field(fields, "action") == b"REJECT"
        if (
            self._limits_records
            and self._selection is not None
            and not self._selection.takes_record(
                first, last, plan.text(fields, "srcport"), port, is_rejected=is_rejected
            )
        ):
            counts.filtered += 1
            return b""
        known = self._known_ends(plan, fields, first, last)
        if not known.is_taken:
            counts.filtered += 1
            return b""
        self._tally.add_times(first + LATE, last)
        self._tally.add(
            known.joined,
            known.kind,
            port,
            is_rejected=is_rejected,
            records=1,
            size=_number(plan.field(fields, "bytes")),
            packets=_number(plan.field(fields, "packets")),
        )
        return plan.writer.line(fields, known.text)

    def _interval(self, plan: _Plan, fields: Sequence[bytes]) -> tuple[int, int]:
        """Return the Unix seconds in which the packets of a record may lie. Raises ``ValueError``."""
        start, end = self._seconds[plan.field(fields, "start")], self._seconds[plan.field(fields, "end")]
        if start > end:
            raise ValueError(f"start {start} is after end {end}")
        return start - LATE, end

    def _known_ends(self, plan: _Plan, fields: list[bytes], first: int, last: int) -> _KnownEnds:
        key = plan.key(fields)
        known = plan.ends.get(key)
        if known is None or not known.joined.bounds.include(first, last):
            known = plan.ends[key] = self._new_ends(plan, key, first, last)
        return known

    def _new_ends(self, plan: _Plan, key: _Key, first: int, last: int) -> _KnownEnds:
        selection = self._selection
        flow_key = plan.flow_key(key) if selection is not None and selection.limits_ends else None
        if selection is not None and flow_key is not None and not selection.takes_key(flow_key):
            return _NOT_TAKEN
        asked, src_ip, dst_ip = self._asked(plan, key)
        ends, kind = self._joined(plan, asked, first, last)
        if src_ip is not None:
            ends = replace(ends, src=replace(ends.src, ip=src_ip))
        if dst_ip is not None:
            ends = replace(ends, dst=replace(ends.dst, ip=dst_ip))
        if selection is not None and flow_key is not None and not selection.takes_ends(flow_key, ends):
            return _KnownEnds(ends, kind, b"", is_taken=False)
        return _KnownEnds(ends, kind, plan.writer.ends(ends.src, ends.dst), is_taken=True)

    def _joined(self, plan: _Plan, key: _Key, first: int, last: int) -> tuple[JoinedEnds, EndsKind]:
        """Return the ends of a flow whose unnamed addresses were replaced."""
        known = plan.joined.get(key)
        if known is None or not known[0].bounds.include(first, last):
            ends = self._ends.join(plan.flow_key(key), first, last)
            known = plan.joined[key] = ends, EndsKind.of(ends)
        return known

    def _asked(self, plan: _Plan, key: _Key) -> tuple[_Key, str | None, str | None]:
        """Return a key with stand-ins for the addresses that no evidence names, and these.

        An end may have two addresses, which the record compares: both are replaced if they are the same.
        """
        ips: list[str | None] = []
        for places in plan.address_places:
            shown = {key[place] for place in places} - _ABSENT
            stand_in = self._stand_ins[shown.pop()] if len(shown) == 1 else None
            ips.append(stand_in.ip if stand_in is not None else None)
            if stand_in is not None:
                asked = stand_in.asked.encode()
                fields = list(key)
                for place in places:
                    fields[place] = asked if fields[place] not in _ABSENT else fields[place]
                key = tuple(fields)
        return key, ips[0], ips[1]

    def _stand_in(self, field: bytes) -> StandIn | None:
        return self._ends.stand_in(field.decode("utf-8", "replace"))

    def _takes_interface(self, plan: _Plan, fields: list[bytes]) -> bool:
        """Return whether a record without traffic is meant; one whose time cannot be read is."""
        if self._selection is None:
            return True
        try:
            first, last = self._interval(plan, fields)
        except ValueError:
            return True
        return self._selection.takes_interface(plan.flow_key(plan.key(fields)), first, last)

    def _fold(self, plan: _Plan) -> None:
        for flow in plan.known.values():
            flow.fold(self._tally)

    def _plan(self, block: FlowBlock) -> _Plan:
        columns, fields = block.columns, fields_of_block(block)
        plan = self._plans.get((columns, fields))
        if plan is None:
            plan = self._plans[columns, fields] = _Plan(fields, self._open_writer(columns, fields))
        return plan


_Key = tuple[bytes, ...]
"""The fields of a record that decide who was at its ends, as they are written."""


class _KnownEnds(Struct, frozen=True, gc=False):
    """The ends of a flow, their cells as they are written, and whether the filters take them."""

    joined: JoinedEnds
    kind: EndsKind
    text: bytes
    is_taken: bool


_NO_END: Final = FlowEnd(ip=None, verdict=Verdict.UNKNOWN, kind="unknown")
_NO_ENDS: Final = JoinedEnds(
    bounds=ALL_INTERVALS, src=_NO_END, dst=_NO_END, local=None, confirmed=(), contradicted=()
)
_NOT_TAKEN: Final = _KnownEnds(_NO_ENDS, EndsKind.of(_NO_ENDS), b"", is_taken=False)
"""Of a flow that the filters leave out by its key, so that it need not be joined."""


class _Flow(Struct, gc=False, kw_only=True):
    """What is remembered of records that are the same but for their middle, and counted of them.

    They start at ``since`` or later, and end at ``until`` or earlier. Where that does not yet decide on their
    ends, ``bounds`` are those of their intervals, too. ``rejected`` has records, bytes and packets by
    destination port; None if the records were accepted.
    """

    since: int
    until: int
    bounds: IntervalBounds | None
    shared: Shared
    ends: JoinedEnds
    kind: EndsKind
    is_taken: bool
    records: int = 0
    size: int = 0
    rejected: dict[bytes, list[int]] | None = None

    def reject(self, port: bytes, packets: bytes, size: bytes) -> None:
        """Count a rejected record."""
        assert self.rejected is not None
        counts = self.rejected.setdefault(port, [0, 0, 0])
        counts[0] += 1
        counts[1] += _number(size)
        counts[2] += _number(packets)

    def fold(self, tally: FlowTally) -> None:
        """Add to a tally what was counted, and begin again."""
        if self.records:
            tally.add(self.ends, self.kind, records=self.records, size=self.size)
            self.records = self.size = 0
        for port, (records, size, packets) in (self.rejected or {}).items():
            name = port.decode("utf-8", "replace")
            tally.add(
                self.ends, self.kind, name, is_rejected=True, records=records, size=size, packets=packets
            )
        if self.rejected:
            self.rejected.clear()


class _Plan:
    """Where the fields are that matter, in records with certain columns, and what is remembered of them."""

    def __init__(self, fields: Sequence[str], writer: LineWriter) -> None:
        self._places = {field: place for place, field in enumerate(fields)}
        self.width = len(fields)
        names = [name for name in KEY_FIELDS if name in self._places]
        self._attributes = [ATTRIBUTES[name] for name in names]
        self._texts = _Remembered(_used_text)
        self._traffic = [self._places[name] for name in _TRAFFIC if name in self._places]
        self.key = _taker([self._places[name] for name in names])
        self.writer = writer
        self.middle = middle_of(fields)
        self.address_places = [
            [place for place, name in enumerate(names) if name in (side, f"pkt-{side}")]
            for side in ("srcaddr", "dstaddr")
        ]
        self.ends: dict[_Key, _KnownEnds] = BoundedMemory(_KNOWN)
        self.joined: dict[_Key, tuple[JoinedEnds, EndsKind]] = BoundedMemory(_KNOWN)
        self.known: dict[bytes, _Flow] = {}
        """The flows, by the text of a record without its middle."""

    def field(self, fields: Sequence[bytes], name: str) -> bytes:
        """Return a field of a record."""
        place = self._places.get(name)
        return fields[place] if place is not None else b"-"

    def text(self, fields: Sequence[bytes], name: str) -> str:
        """Return a field of a record as text."""
        return self.field(fields, name).decode("utf-8", "replace")

    def status(self, fields: Sequence[bytes]) -> bytes:
        """Return the status of a record, also of one without traffic whose format does not have it."""
        status = self.field(fields, "log-status")
        if status in _ABSENT and self._traffic and _ABSENT.issuperset([fields[at] for at in self._traffic]):
            return b"NODATA"
        return status

    def flow_key(self, key: _Key) -> FlowKey:
        """Return what decides who was at the ends of a flow, by the fields that ``key`` took."""
        values = map(self._texts.__getitem__, key)
        pairs = zip(self._attributes, values, strict=True)
        return FlowKey(**{name: value for name, value in pairs if value is not None})

    def is_aligned(self, fields: Sequence[bytes], before: bytes, mark: bytes) -> bool:
        """Return whether the text before the middle, and the action and status after it, are whole fields."""
        if self.middle is None or not mark or len(fields) != self.width:
            return False
        is_before = mark[:1].join(fields[: self.middle.first]) == before
        return is_before and self.field(fields, "log-status") == b"OK"


class _Remembered(BoundedMemory[bytes, Value]):
    """What was found for fields, each of which is looked for once."""

    def __init__(self, find: Callable[[bytes], Value]) -> None:
        super().__init__(_KNOWN)
        self._find = find

    def __missing__(self, field: bytes) -> Value:
        found = self[field] = self._find(field)
        return found


def _used_text(field: bytes) -> str | None:
    """Return a field as text; None if it is no ID or address."""
    text = field.decode("utf-8", "replace")
    return text if is_used(text) else None


def _second(field: bytes) -> int:
    """Return the Unix second that a field names. Raises ``ValueError``."""
    if not field.isdigit() or len(field) > _TIME_DIGITS:
        raise ValueError(f"{field[:40].decode('utf-8', 'replace')!r} is no time")
    second = int(field)
    while second >= _MILLISECONDS:
        second //= 1000
    return second


class _Counts:
    """Counts of the records of a block, of which the others are joined."""

    def __init__(self, block: FlowBlock) -> None:
        self.block = block
        self.no_data = self.skip_data = self.filtered = self.blank = 0
        self._skipped: list[str] = []

    def skip(self, index: int, reason: str) -> None:
        """Note a record that cannot be read."""
        self._skipped.append(f"record {index}: {reason}")

    def joined(self, text: bytes, written: bytes) -> JoinedBlock:
        """Return what is written of a text with all of the records."""
        skipped = len(self._skipped)
        records = text.count(b"\n") + 1 - self.blank
        return JoinedBlock(
            uri=self.block.uri,
            text=written,
            counts=FlowCounts(
                records=records,
                joined=records - self.no_data - self.skip_data - self.filtered - skipped,
                no_data=self.no_data,
                skip_data=self.skip_data,
                filtered=self.filtered,
                records_skipped=skipped,
            ),
            skipped=tuple(_listed(self.block.uri, self._skipped)),
        )


def _taker(places: Sequence[int]) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
    """Return a function that takes the fields at some places."""
    if len(places) > 1:
        take: Callable[[Sequence[bytes]], tuple[bytes, ...]] = itemgetter(*places)
        return take
    return lambda fields: tuple(fields[place] for place in places)


def _number(field: bytes) -> int:
    return int(field) if field.isdigit() and len(field) <= _DIGITS else 0


def _listed(uri: str, reasons: Sequence[str]) -> list[Skipped]:
    listed = [Skipped(uri, reason, Extent.RECORD) for reason in reasons[:_NAMED]]
    if len(reasons) > _NAMED:
        listed.append(Skipped(uri, counted(len(reasons) - _NAMED, "more record"), Extent.PART))
    return listed
