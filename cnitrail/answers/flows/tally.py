"""What many flows show together: who talked most, what was rejected, and how much has no certain name."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct

from cnitrail.answers.over_time import time_of
from cnitrail.model import Verdict
from cnitrail.model.flows import (
    FlowEnd,
    FlowSummary,
    PodVerdictShare,
    RejectedFlow,
    Talker,
    UnattributedShare,
    VerdictShare,
)
from cnitrail.model.pods import PodVerdict
from cnitrail.model.reason import MEANING, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cnitrail.answers.flows.ends import JoinedEnds

_TALKERS: Final = 10_000
"""Names that are counted one by one."""

_PAIRS: Final = 2_000
"""Pairs of names with rejected flows that are counted one by one: a scan from the Internet has millions."""

MANY_PORTS: Final = 32
"""Destination ports of one pair that are counted one by one; more of them are a port scan."""

OTHERS: Final = "others"

_INTERFACE_ONLY: Final = ReasonCode.INTERFACE_ADDRESS_ONLY

_FREE: Final = "No ENI had the address then, and the evidence of that time is complete."

_Pair = tuple[str, str]

_Doubt = tuple[Verdict, PodVerdict | None, ReasonCode | None]
"""A verdict, that on the pod if only that is in doubt, and the first reason."""

Key = TypeVar("Key", bound=tuple[str, str])
Part = TypeVar("Part")


class TopCounts(Generic[Key]):
    """Lists of numbers by key, of which the largest are kept, and the rest are summed up.

    The first two numbers of a list decide. A key that was summed up begins again at 0, so numbers are exact
    until there are twice as many keys as are kept.
    """

    def __init__(self, width: int, kept: int) -> None:
        self.others = [0] * width
        self._kept = kept
        self._counts: dict[Key, list[int]] = {}

    def __contains__(self, key: Key) -> bool:
        """Return whether a key is kept."""
        return key in self._counts

    def add(self, key: Key, *numbers: int) -> None:
        """Add to the numbers of a key."""
        known = self._counts.get(key)
        if known is None:
            if len(self._counts) >= 2 * self._kept:
                self._sum_up()
            self._counts[key] = list(numbers)
            return
        _add(known, numbers)

    def merge(self, other: TopCounts[Key]) -> None:
        """Add all numbers of another one."""
        _add(self.others, other.others)
        for key, numbers in other._counts.items():
            self.add(key, *numbers)

    def largest(self) -> list[tuple[Key, list[int]]]:
        """Return what is kept, the largest first."""
        if len(self._counts) > self._kept:
            self._sum_up()
        return self._sorted()

    def _sorted(self) -> list[tuple[Key, list[int]]]:
        return sorted(self._counts.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))

    def _sum_up(self) -> None:
        ranked = self._sorted()
        for _, numbers in ranked[self._kept :]:
            _add(self.others, numbers)
        self._counts = dict(ranked[: self._kept])


class _Volume(Struct):
    """A number of records, or of their ends, with their bytes."""

    number: int = 0
    bytes: int = 0

    def add(self, number: int, size: int) -> None:
        self.number += number
        self.bytes += size


class EndsKind(Struct, frozen=True, gc=False, kw_only=True):
    """What many flows have in common, whatever the names of their ends."""

    verdicts: tuple[Verdict, ...]
    pod_verdicts: tuple[PodVerdict, ...]
    doubts: tuple[_Doubt, ...]
    confirmed: tuple[str, ...]
    contradicted: tuple[str, ...]
    is_at_no_end: bool
    is_interface_only: bool

    @classmethod
    def of(cls, ends: JoinedEnds) -> EndsKind:
        """Return the kind of some ends."""
        both = (ends.src, ends.dst)
        return cls(
            verdicts=tuple(end.verdict for end in both),
            pod_verdicts=tuple(end.pod_verdict for end in both if end.pod_verdict is not None and end.eni),
            doubts=tuple(doubt for doubt in map(_doubt, both) if doubt is not None),
            confirmed=ends.confirmed,
            contradicted=ends.contradicted,
            is_at_no_end=ends.local is None,
            is_interface_only=any(_INTERFACE_ONLY in end.reasons for end in both),
        )


class FlowTally:
    """Counts flows by the names of their ends, in bounded memory."""

    def __init__(self) -> None:
        self._talkers = TopCounts[_Pair](6, _TALKERS)
        self._rejected = TopCounts[_Pair](2, _PAIRS)
        self._ports: dict[_Pair, dict[str | None, list[int]] | None] = {}
        self._volumes: dict[EndsKind, _Volume] = {}
        self._first: int | None = None
        self._last: int | None = None

    def add(
        self,
        ends: JoinedEnds,
        kind: EndsKind,
        port: str | None = None,
        *,
        is_rejected: bool = False,
        records: int = 1,
        size: int = 0,
        packets: int = 0,
    ) -> None:
        """Count some records with the same ends, of a kind, and destination port: their sums.

        ``packets`` matter only if they were rejected.
        """
        self._volume(kind).add(records, size)
        local = ends.dst if ends.local == "dst" else ends.src
        certain = records if _is_certain(local) else 0
        talker = (name_of_end(local), local.kind)
        if is_rejected:
            self._talkers.add(talker, 0, records, certain, 0, 0, records)
            self._reject((name_of_end(ends.src), name_of_end(ends.dst)), port, records, packets)
        else:
            sent, received = (0, size) if ends.local == "dst" else (size, 0)
            self._talkers.add(talker, size, records, certain, sent, received, 0)

    def _volume(self, kind: EndsKind) -> _Volume:
        volume = self._volumes.get(kind)
        if volume is None:
            volume = self._volumes[kind] = _Volume()
        return volume

    @property
    def records(self) -> int:
        """Number of records that were counted."""
        return sum(volume.number for volume in self._volumes.values())

    def add_times(self, first: int, last: int) -> None:
        """Note that packets of some records lie from one Unix second to another."""
        self._first = first if self._first is None else min(first, self._first)
        self._last = last if self._last is None else max(last, self._last)

    def merge(self, other: FlowTally) -> None:
        """Add all that another one has counted."""
        self._talkers.merge(other._talkers)
        self._merge_rejected(other)
        for kind, volume in other._volumes.items():
            self._volume(kind).add(volume.number, volume.bytes)
        if other._first is not None and other._last is not None:
            self.add_times(other._first, other._last)

    def summary(self) -> FlowSummary:
        """Return everything that was counted."""
        talkers = [_talker(name, kind, numbers) for (name, kind), numbers in self._talkers.largest()]
        rejected = sorted(self._rejected_flows(), key=_rejected_order)
        verdicts = self._shares(lambda kind: kind.verdicts)
        pod_verdicts = self._shares(lambda kind: kind.pod_verdicts)
        unattributed = sorted(self._shares(lambda kind: kind.doubts).items(), key=_doubt_order)
        others, (records, packets) = self._talkers.others, self._rejected.others
        return FlowSummary(
            records=self.records,
            bytes=sum(volume.bytes for volume in self._volumes.values()),
            first=time_of(self._first) if self._first is not None else None,
            last=time_of(self._last) if self._last is not None else None,
            verdicts=tuple(
                VerdictShare(verdict=verdict, ends=volume.number, bytes=volume.bytes)
                for verdict in Verdict
                if (volume := verdicts.get(verdict)) is not None
            ),
            pod_verdicts=tuple(
                PodVerdictShare(verdict=verdict, ends=volume.number, bytes=volume.bytes)
                for verdict in PodVerdict
                if (volume := pod_verdicts.get(verdict)) is not None
            ),
            unattributed=tuple(
                UnattributedShare(
                    verdict=verdict,
                    pod_verdict=pod_verdict,
                    reason=reason,
                    text=_why(verdict, reason),
                    ends=volume.number,
                    bytes=volume.bytes,
                )
                for (verdict, pod_verdict, reason), volume in unattributed
            ),
            talkers=tuple(talkers),
            rejected=tuple(rejected),
            other_talkers=_talker(OTHERS, OTHERS, others) if any(others) else None,
            other_rejected=RejectedFlow(src=OTHERS, dst=OTHERS, port=None, records=records, packets=packets)
            if records
            else None,
            at_no_end=self._records_of(lambda kind: kind.is_at_no_end),
            interface_only=self._records_of(lambda kind: kind.is_interface_only),
            confirmed=_numbers(self._shares(lambda kind: kind.confirmed)),
            contradicted=_numbers(self._shares(lambda kind: kind.contradicted)),
        )

    def _shares(self, parts: Callable[[EndsKind], Iterable[Part]]) -> dict[Part, _Volume]:
        """Return how much was counted of each part of the kinds of ends."""
        shares: dict[Part, _Volume] = defaultdict(_Volume)
        for kind, volume in self._volumes.items():
            for part in parts(kind):
                shares[part].add(volume.number, volume.bytes)
        return shares

    def _records_of(self, takes: Callable[[EndsKind], bool]) -> int:
        return sum(volume.number for kind, volume in self._volumes.items() if takes(kind))

    def _reject(self, pair: _Pair, port: str | None, records: int, packets: int) -> None:
        """Count rejected records; those of a pair with many ports are not counted by port."""
        port = None if port == "-" else port
        if pair not in self._rejected:
            self._ports[pair] = {}
        self._rejected.add(pair, records, packets)
        ports = self._ports[pair]
        if ports is not None:
            _add(ports.setdefault(port, [0, 0]), (records, packets))
            if len(ports) > MANY_PORTS:
                self._ports[pair] = None
        if len(self._ports) > 4 * _PAIRS:
            self._ports = {pair: ports for pair, ports in self._ports.items() if pair in self._rejected}

    def _merge_rejected(self, other: FlowTally) -> None:
        for pair, (records, packets) in other._rejected.largest():
            ports = other._ports[pair]
            if ports is None:
                self._rejected.add(pair, records, packets)
                self._ports[pair] = None
                continue
            for port, numbers in ports.items():
                self._reject(pair, port, *numbers)
        _add(self._rejected.others, other._rejected.others)

    def _rejected_flows(self) -> Iterator[RejectedFlow]:
        """Yield the rejected flows, with all ports of a scan as one."""
        for (src, dst), (records, packets) in self._rejected.largest():
            ports = self._ports[src, dst]
            if ports is None:
                yield RejectedFlow(
                    src=src, dst=dst, port=None, records=records, packets=packets, is_scan=True
                )
                continue
            for port, (refused, of_port) in ports.items():
                yield RejectedFlow(src=src, dst=dst, port=port, records=refused, packets=of_port)


def name_of_end(end: FlowEnd) -> str:
    """Return the best name of an end: its pod, its instance, its ENI, or else its address.

    Several names are candidates, and so is one name unless the end is certain.
    """
    if end.pod:
        return " or ".join(end.pod)
    machine = " or ".join(end.instance or end.eni)
    if not machine:
        return end.ip or "no address"
    if end.kind == "pod" and end.pod_verdict is not PodVerdict.NONE:
        return f"a pod of {machine}"
    return f"{machine} or its pods" if end.kind == "node-or-pod" else machine


def _is_certain(end: FlowEnd) -> bool:
    """Return whether the name of an end is certain."""
    is_pod_certain = not end.pod or end.pod_verdict is PodVerdict.CERTAIN
    return end.verdict is Verdict.CERTAIN and is_pod_certain


def _why(verdict: Verdict, reason: ReasonCode | None) -> str | None:
    """Return what a reason means, or a verdict that needs none."""
    if reason is not None:
        return MEANING[reason]
    return _FREE if verdict is Verdict.FREE else None


def _doubt(end: FlowEnd) -> _Doubt | None:
    """Return what is not certain about an end, and why; None if all is."""
    reason = end.reasons[0] if end.reasons else None
    if end.verdict is not Verdict.CERTAIN:
        return end.verdict, None, reason
    is_pod_settled = end.pod_verdict in (None, PodVerdict.CERTAIN, PodVerdict.NONE)
    return None if is_pod_settled else (end.verdict, end.pod_verdict, reason)


def _doubt_order(item: tuple[_Doubt, _Volume]) -> tuple[int, str, str, str]:
    (verdict, pod_verdict, reason), volume = item
    return -volume.number, verdict, pod_verdict or "", reason or ""


def _rejected_order(flow: RejectedFlow) -> tuple[int, str, str, str]:
    return -flow.records, flow.src, flow.dst, flow.port or ""


def _numbers(shares: Mapping[str, _Volume]) -> dict[str, int]:
    return {name: volume.number for name, volume in sorted(shares.items())}


def _talker(name: str, kind: str, numbers: list[int]) -> Talker:
    _, records, certain, sent, received, rejected = numbers
    return Talker(
        name=name,
        kind=kind,
        records=records,
        certain=certain,
        sent=sent,
        received=received,
        rejected=rejected,
    )


def _add(counts: list[int], numbers: list[int] | tuple[int, ...]) -> None:
    for place, number in enumerate(numbers):
        counts[place] += number
