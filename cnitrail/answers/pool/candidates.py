"""All settings that fit, in every way in which the CNI may decide."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.pool.constraints import Part, Range, Sign, Silence, targets, warm_enis, warm_prefixes
from cnitrail.answers.pool.generations import Generation
from cnitrail.answers.pool.value_sets import Singles, TargetPairs, all_pairs, all_singles
from cnitrail.model import Limits
from cnitrail.model.pool import Candidate, ClosedSpan, Mode, Pods


class Asked(Struct, frozen=True):
    """What a sign says of a value, in each way in which the CNI may decide."""

    sign: Sign
    limits: Limits
    assigned: Callable[[int], Range]

    @property
    def total(self) -> int:
        """The addresses that count without prefixes."""
        return self.sign.before.total(prefix_mode=False)

    @property
    def in_prefixes(self) -> int:
        """The addresses that count where prefixes are delegated."""
        return self.sign.before.total(prefix_mode=True)

    def warm_eni(self, target: int) -> Range | None:
        """Of a WARM_ENI_TARGET without any other."""
        return warm_enis(target, self.sign, self.limits, self.assigned(self.total))

    def addresses(self, warm: int) -> tuple[Part, ...]:
        """Of a WARM_IP_TARGET, with single addresses."""
        return targets(warm, self.sign, self.assigned(self.total), prefix_mode=False)

    def filling(self, warm: int) -> tuple[Part, ...]:
        """The same in the manner of 1.7 and before."""
        return targets(warm, self.sign, self.assigned(self.total), prefix_mode=False, fills=True)

    def warm_prefix(self, target: int) -> Range | None:
        """Of a WARM_PREFIX_TARGET without any other."""
        return warm_prefixes(target, self.sign, self.assigned(self.in_prefixes))

    def prefixes(self, warm: int) -> tuple[Part, ...]:
        """Of a WARM_IP_TARGET, with prefixes."""
        return targets(warm, self.sign, self.assigned(self.in_prefixes), prefix_mode=True)


class Fits(Struct, frozen=True):
    """All that fits: the ways in which the CNI may decide, and the settings that each leaves."""

    warm_eni: Singles
    addresses: TargetPairs
    filling: TargetPairs
    """The same in the manner of 1.7 and before."""
    warm_prefix: Singles
    prefixes: TargetPairs

    @classmethod
    def everything(cls, limits: Limits, versions: Sequence[Generation], since: datetime) -> "Fits":
        """Whatever an instance type and the versions of the CNI allow."""
        nobody = Pods(0, since, since)
        old = any(version.fills_interfaces for version in versions)
        new = any(not version.fills_interfaces for version in versions)
        delegates = limits.prefixes and any(version.prefixes for version in versions)
        secondary = all_pairs(Mode.SECONDARY, limits.secondary, nobody)
        none = TargetPairs(Mode.PREFIX, limits.in_prefixes, {})
        return cls(
            warm_eni=all_singles(Mode.SECONDARY, limits.enis, nobody),
            addresses=secondary if new else replace(secondary, rows={}),
            filling=secondary if old else replace(secondary, rows={}),
            warm_prefix=all_singles(Mode.PREFIX, limits.secondary, nobody)
            if delegates
            else Singles(Mode.PREFIX, 0, {}),
            prefixes=all_pairs(Mode.PREFIX, limits.in_prefixes, nobody) if delegates else none,
        )

    def narrowed(self, sign: Sign, limits: Limits, assigned: Callable[[int], Range]) -> "Fits":
        """What explains a sign as well. Where both modes have left something, none is told from it."""
        if sign.before.mixed or sign.after.mixed:
            return self
        asked = Asked(sign, limits, assigned)
        when = partial(_when, sign)
        return Fits(
            warm_eni=self.warm_eni.narrowed(asked.warm_eni, when, asked.total),
            addresses=self.addresses.narrowed(asked.addresses, when, asked.total),
            filling=self.filling.narrowed(asked.filling, when, asked.total),
            warm_prefix=self.warm_prefix.narrowed(asked.warm_prefix, when, asked.in_prefixes),
            prefixes=self.prefixes.narrowed(asked.prefixes, when, asked.in_prefixes),
        )

    def needed(self, sign: Sign, limits: Limits, assigned: Callable[[int], Range]) -> Range | None:
        """The pods that a sign needs, with any of what fits."""
        if sign.before.mixed or sign.after.mixed:
            return None
        asked = Asked(sign, limits, assigned)
        each = [
            *self.warm_eni.needed(asked.warm_eni),
            *self.addresses.needed(asked.addresses),
            *self.filling.needed(asked.filling),
            *self.warm_prefix.needed(asked.warm_prefix),
            *self.prefixes.needed(asked.prefixes),
        ]
        return Range(min(pods.least for pods in each), max(pods.most for pods in each)) if each else None

    def default(self) -> "Fits | None":
        """The CNI's own defaults alone, where they fit."""
        none = self.without(self)
        if 1 in self.warm_eni.needs:
            return replace(none, warm_eni=replace(self.warm_eni, needs={1: self.warm_eni.needs[1]}))
        if 1 in self.warm_prefix.needs:
            return replace(none, warm_prefix=replace(self.warm_prefix, needs={1: self.warm_prefix.needs[1]}))
        return None

    def without(self, other: "Fits") -> "Fits":
        """What does not fit any more."""
        return Fits(
            self.warm_eni.without(other.warm_eni),
            self.addresses.without(other.addresses),
            self.filling.without(other.filling),
            self.warm_prefix.without(other.warm_prefix),
            self.prefixes.without(other.prefixes),
        )

    def modes(self) -> tuple[Mode, ...]:
        """The modes in which anything fits."""
        secondary = self.warm_eni.needs or self.addresses.rows or self.filling.rows
        prefix = self.warm_prefix.needs or self.prefixes.rows
        return (*((Mode.SECONDARY,) if secondary else ()), *((Mode.PREFIX,) if prefix else ()))

    def ranges(self) -> Iterator[Candidate]:
        """What is in it, as far together as it lies side by side."""
        yield from self.warm_eni.ranges()
        yield from self.warm_prefix.ranges()
        yield from (each for each in self.candidates() if each.warm_ip_target is not None)

    def candidates(self, held_back: ClosedSpan | None = None) -> Iterator[Candidate]:
        """What fits, side by side what belongs together."""
        yield from self.warm_eni.candidates(held_back)
        yield from self.addresses.candidates(held_back)
        if self.filling.rows != self.addresses.rows:
            yield from self.filling.candidates(held_back)
        yield from self.warm_prefix.candidates(held_back)
        yield from self.prefixes.candidates(held_back)


def _when(sign: Sign, number: int) -> Pods:
    if isinstance(sign, Silence):
        return Pods(number, sign.since, sign.until)
    return Pods(number, sign.event.time, sign.event.time)
