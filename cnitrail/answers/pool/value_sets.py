"""Sets of values of settings: those that explain the observations of a period so far."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from cnitrail.answers.pool.constraints import Range, TargetPart
from cnitrail.model.pool import Candidate, ClosedSpan, Mode, Pods, Values

Bits = int
"""A set of whole numbers, as the bits of an integer."""


class PodNeed(NamedTuple):
    """The pod counts that values need: a minimum at one time, a maximum at another (None: any)."""

    least: Pods
    most: Pods | None

    def and_(self, pods: Range, when: Callable[[int], Pods], total: int) -> "PodNeed":
        """Return what is needed if a range of pods is needed as well; ``total`` is the most that can be."""
        least, most = self
        if pods.least > least.pods:
            least = when(pods.least)
        if pods.most < total and (most is None or pods.most < most.pods):
            most = when(pods.most)
        return PodNeed(least, most)

    def or_(self, other: "PodNeed") -> "PodNeed":
        """Return what one of two needs, at some time at which either needs it."""
        if self == other:
            return self
        least = _both(self.least, other.least, min)
        if self.most is None or other.most is None:
            return PodNeed(least, None)
        return PodNeed(least, _both(self.most, other.most, max))


def _both(one: Pods, other: Pods, choose: Callable[[int, int], int]) -> Pods:
    """Return one number of pods, at some time of both."""
    pods = choose(one.pods, other.pods)
    return Pods(pods, min(one.since, other.since), max(one.until, other.until))


class TargetRow(NamedTuple):
    """The MINIMUM_IP_TARGETs that fit with a WARM_IP_TARGET, and the pods that they need."""

    minimum: Range
    need: PodNeed


class SingleTargets(Struct, frozen=True):
    """The values of WARM_ENI_TARGET, or WARM_PREFIX_TARGET, that fit without any other target.

    All values from ``limit`` on have the same effect.
    """

    mode: Mode
    limit: int
    needs: dict[int, PodNeed]

    def narrowed(
        self, answer: Callable[[int], Range | None], when: Callable[[int], Pods], total: int
    ) -> "SingleTargets":
        """Return the values that pass a check."""
        answers = ((value, need, answer(value)) for value, need in self.needs.items())
        kept = {value: need.and_(pods, when, total) for value, need, pods in answers if pods is not None}
        return SingleTargets(self.mode, self.limit, kept)

    def needed(self, answer: Callable[[int], Range | None]) -> list[Range]:
        """Return the pods that each value needs for an observation."""
        return [pods for pods in map(answer, self.needs) if pods is not None]

    def without(self, other: "SingleTargets") -> "SingleTargets":
        """Return the values that the other does not have."""
        left = {value: need for value, need in self.needs.items() if value not in other.needs}
        return SingleTargets(self.mode, self.limit, left)

    def ranges(self) -> Iterator[Candidate]:
        """Yield the values as ranges, whatever pods they need."""
        for found in ranges_of(sum(1 << value for value in self.needs)):
            yield self._candidate(found, None, None, None)

    def candidates(self, held_back: ClosedSpan | None) -> Iterator[Candidate]:
        """Yield a candidate for each value, with the pods that it needs."""
        for value, need in sorted(self.needs.items()):
            yield self._candidate(Range(value, value), _or_none(need.least), need.most, held_back)

    def _candidate(
        self, found: Range, least: Pods | None, most: Pods | None, held_back: ClosedSpan | None
    ) -> Candidate:
        values = values_of(found, self.limit)
        eni, prefix = (values, None) if self.mode is Mode.SECONDARY else (None, values)
        return Candidate(
            mode=self.mode,
            warm_eni_target=eni,
            warm_prefix_target=prefix,
            warm_ip_target=None,
            minimum_ip_target=None,
            pods_at_least=least,
            pods_at_most=most,
            held_back=held_back,
        )


class TargetPairs(Struct, frozen=True):
    """The pairs of WARM_IP_TARGET and MINIMUM_IP_TARGET that fit, of which not both are 0.

    All values from ``limit`` on have the same effect.
    """

    mode: Mode
    limit: int
    rows: dict[int, tuple[TargetRow, ...]]

    def narrowed(
        self, answer: Callable[[int], tuple[TargetPart, ...]], when: Callable[[int], Pods], total: int
    ) -> "TargetPairs":
        """Return the pairs that pass a check."""
        kept = {}
        for warm, rows in self.rows.items():
            parts = answer(warm)
            met = [
                TargetRow(minimum, row.need.and_(part.assigned, when, total))
                for row in rows
                for part in parts
                if (minimum := _meet(row.minimum, part.minimum)) is not None
            ]
            if met:
                kept[warm] = tuple(_joined(met))
        return TargetPairs(self.mode, self.limit, kept)

    def needed(self, answer: Callable[[int], tuple[TargetPart, ...]]) -> list[Range]:
        """Return the pods that each pair needs for an observation."""
        return [
            part.assigned
            for warm, rows in self.rows.items()
            for part in answer(warm)
            if any(_meet(row.minimum, part.minimum) for row in rows)
        ]

    def without(self, other: "TargetPairs") -> "TargetPairs":
        """Return the pairs that the other does not have."""
        left = {}
        for warm, rows in self.rows.items():
            taken = _union(bits_of(row.minimum) for row in other.rows.get(warm, ()))
            kept = [
                TargetRow(minimum, row.need)
                for row in rows
                for minimum in ranges_of(bits_of(row.minimum) & ~taken)
            ]
            if kept:
                left[warm] = tuple(kept)
        return TargetPairs(self.mode, self.limit, left)

    def candidates(self, held_back: ClosedSpan | None) -> Iterator[Candidate]:
        """Yield a candidate for each block of adjacent pairs."""
        growing: dict[Range, tuple[int, PodNeed]] = {}
        for warm, following in pairwise((*sorted(self.rows), None)):
            assert warm is not None
            rows = {row.minimum: row.need for row in self.rows[warm]}
            growing = {
                minimum: (growing[minimum][0], growing[minimum][1].or_(need))
                if minimum in growing
                else (warm, need)
                for minimum, need in rows.items()
            }
            ahead = {row.minimum for row in self.rows[following]} if following == warm + 1 else set()
            for minimum, (first, need) in growing.items():
                if minimum not in ahead:
                    yield self._candidate(Range(first, warm), minimum, need, held_back)
            growing = {minimum: begun for minimum, begun in growing.items() if minimum in ahead}

    def _candidate(
        self, warm: Range, minimum: Range, need: PodNeed, held_back: ClosedSpan | None
    ) -> Candidate:
        return Candidate(
            mode=self.mode,
            warm_eni_target=None,
            warm_prefix_target=None,
            warm_ip_target=values_of(warm, self.limit),
            minimum_ip_target=values_of(minimum, self.limit),
            pods_at_least=_or_none(need.least),
            pods_at_most=need.most,
            held_back=held_back,
        )


def all_singles(mode: Mode, limit: int, nobody: Pods) -> SingleTargets:
    """Return all values of a target: from 0, for prefixes from 1.

    With WARM_PREFIX_TARGET=0 alone aws-node does not start (validateEnvVars in its main.go).
    """
    least = 1 if mode is Mode.PREFIX else 0
    return SingleTargets(mode, limit, dict.fromkeys(range(least, limit + 1), PodNeed(nobody, None)))


def all_pairs(mode: Mode, limit: int, nobody: Pods) -> TargetPairs:
    """Return all pairs except that of two zeros."""
    need = PodNeed(nobody, None)
    others = dict.fromkeys(range(1, limit + 1), (TargetRow(Range(0, limit), need),))
    return TargetPairs(mode, limit, {0: (TargetRow(Range(1, limit), need),), **others})


def _meet(one: Range, other: Range) -> Range | None:
    least, most = max(one.least, other.least), min(one.most, other.most)
    return Range(least, most) if least <= most else None


def _joined(rows: list[TargetRow]) -> Iterator[TargetRow]:
    """Yield rows, with adjacent ones that need the same pods as one."""
    rows.sort(key=lambda row: row.minimum)
    last = rows[0]
    for row in rows[1:]:
        if last.need == row.need and last.minimum.most + 1 == row.minimum.least:
            last = TargetRow(Range(last.minimum.least, row.minimum.most), last.need)
        else:
            yield last
            last = row
    yield last


def _or_none(least: Pods) -> Pods | None:
    return least if least.pods else None


def values_of(found: Range, limit: int) -> Values:
    """Return a range as it is shown: without an upper end if all larger values have the same effect."""
    return Values(found.least, None if found.most >= limit else found.most)


def _union(sets: Iterator[Bits]) -> Bits:
    found = 0
    for bits in sets:
        found |= bits
    return found


def bits_of(found: Range) -> Bits:
    """Return the numbers of a range as a set."""
    return ((1 << (found.most - found.least + 1)) - 1) << found.least


def ranges_of(bits: Bits) -> Iterator[Range]:
    """Yield the numbers of a set as ranges."""
    number = 0
    while bits:
        skipped = (bits & -bits).bit_length() - 1
        bits >>= skipped
        length = (~bits & (bits + 1)).bit_length() - 1
        number += skipped
        yield Range(number, number + length - 1)
        bits >>= length
        number += length
