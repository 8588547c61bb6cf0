"""Candidate settings: all that explain the observations, in every mode of the VPC CNI."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.pool.constraints import (
    Observation,
    Range,
    Silence,
    TargetPart,
    targets,
    warm_enis,
    warm_prefixes,
)
from cnitrail.answers.pool.generations import Generation
from cnitrail.answers.pool.value_sets import SingleTargets, TargetPairs, all_pairs, all_singles
from cnitrail.model import Limits
from cnitrail.model.pool import Candidate, ClosedSpan, Mode, Pods


class ValueCheck(Struct, frozen=True):
    """Checks values of settings against an observation: the pod counts with which each explains it."""

    observation: Observation
    limits: Limits
    assigned: Callable[[int], Range]

    @property
    def total(self) -> int:
        """The addresses that ipamd counts in secondary mode."""
        return self.observation.before.total(prefix_mode=False)

    @property
    def in_prefixes(self) -> int:
        """The addresses that ipamd counts in prefix mode."""
        return self.observation.before.total(prefix_mode=True)

    def warm_eni(self, target: int) -> Range | None:
        """Check a WARM_ENI_TARGET without any other target."""
        return warm_enis(target, self.observation, self.limits, self.assigned(self.total))

    def addresses(self, warm: int) -> tuple[TargetPart, ...]:
        """Check a WARM_IP_TARGET in secondary mode."""
        return targets(warm, self.observation, self.assigned(self.total), prefix_mode=False)

    def filling(self, warm: int) -> tuple[TargetPart, ...]:
        """Check a WARM_IP_TARGET in secondary mode, as versions up to 1.7 decide."""
        return targets(warm, self.observation, self.assigned(self.total), prefix_mode=False, fills=True)

    def warm_prefix(self, target: int) -> Range | None:
        """Check a WARM_PREFIX_TARGET without any other target."""
        return warm_prefixes(target, self.observation, self.assigned(self.in_prefixes))

    def prefixes(self, warm: int) -> tuple[TargetPart, ...]:
        """Check a WARM_IP_TARGET in prefix mode."""
        return targets(warm, self.observation, self.assigned(self.in_prefixes), prefix_mode=True)


class FittingSettings(Struct, frozen=True, kw_only=True):
    """The settings that explain all observations so far, for each way in which the CNI may decide."""

    warm_eni: SingleTargets
    addresses: TargetPairs
    filling: TargetPairs
    """The same as versions up to 1.7 decide: they fill an ENI that has room."""
    warm_prefix: SingleTargets
    prefixes: TargetPairs

    @classmethod
    def everything(cls, limits: Limits, versions: Sequence[Generation], since: datetime) -> "FittingSettings":
        """Return all settings that an instance type and the versions of the CNI allow."""
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
            else SingleTargets(Mode.PREFIX, 0, {}),
            prefixes=all_pairs(Mode.PREFIX, limits.in_prefixes, nobody) if delegates else none,
        )

    def narrowed(
        self, observation: Observation, limits: Limits, assigned: Callable[[int], Range]
    ) -> "FittingSettings":
        """Return the settings that explain an observation as well; all if both modes left addresses."""
        if observation.before.mixed or observation.after.mixed:
            return self
        check = ValueCheck(observation, limits, assigned)
        when = partial(_when, observation)
        return FittingSettings(
            warm_eni=self.warm_eni.narrowed(check.warm_eni, when, check.total),
            addresses=self.addresses.narrowed(check.addresses, when, check.total),
            filling=self.filling.narrowed(check.filling, when, check.total),
            warm_prefix=self.warm_prefix.narrowed(check.warm_prefix, when, check.in_prefixes),
            prefixes=self.prefixes.narrowed(check.prefixes, when, check.in_prefixes),
        )

    def needed(
        self, observation: Observation, limits: Limits, assigned: Callable[[int], Range]
    ) -> Range | None:
        """Return the pod counts with which any of the settings explains an observation; None if unknown."""
        if observation.before.mixed or observation.after.mixed:
            return None
        check = ValueCheck(observation, limits, assigned)
        ranges = [
            *self.warm_eni.needed(check.warm_eni),
            *self.addresses.needed(check.addresses),
            *self.filling.needed(check.filling),
            *self.warm_prefix.needed(check.warm_prefix),
            *self.prefixes.needed(check.prefixes),
        ]
        if not ranges:
            return None
        return Range(min(pods.least for pods in ranges), max(pods.most for pods in ranges))

    def default(self) -> "FittingSettings | None":
        """Return the CNI's defaults alone; None if they do not fit."""
        none = self.without(self)
        if 1 in self.warm_eni.needs:
            return replace(none, warm_eni=replace(self.warm_eni, needs={1: self.warm_eni.needs[1]}))
        if 1 in self.warm_prefix.needs:
            return replace(none, warm_prefix=replace(self.warm_prefix, needs={1: self.warm_prefix.needs[1]}))
        return None

    def without(self, other: "FittingSettings") -> "FittingSettings":
        """Return the settings that the other does not have."""
        return FittingSettings(
            warm_eni=self.warm_eni.without(other.warm_eni),
            addresses=self.addresses.without(other.addresses),
            filling=self.filling.without(other.filling),
            warm_prefix=self.warm_prefix.without(other.warm_prefix),
            prefixes=self.prefixes.without(other.prefixes),
        )

    def modes(self) -> tuple[Mode, ...]:
        """Return the modes in which any settings fit."""
        secondary = self.warm_eni.needs or self.addresses.rows or self.filling.rows
        prefix = self.warm_prefix.needs or self.prefixes.rows
        return (*((Mode.SECONDARY,) if secondary else ()), *((Mode.PREFIX,) if prefix else ()))

    def ranges(self) -> Iterator[Candidate]:
        """Yield the settings as ranges, adjacent ones together, whatever pods they need."""
        yield from self.warm_eni.ranges()
        yield from self.warm_prefix.ranges()
        yield from (fitting for fitting in self.candidates() if fitting.warm_ip_target is not None)

    def candidates(self, held_back: ClosedSpan | None = None) -> Iterator[Candidate]:
        """Yield the settings as candidates, with the pods that each needs."""
        yield from self.warm_eni.candidates(held_back)
        yield from self.addresses.candidates(held_back)
        if self.filling.rows != self.addresses.rows:
            yield from self.filling.candidates(held_back)
        yield from self.warm_prefix.candidates(held_back)
        yield from self.prefixes.candidates(held_back)


def _when(observation: Observation, number: int) -> Pods:
    if isinstance(observation, Silence):
        return Pods(number, observation.since, observation.until)
    return Pods(number, observation.event.time, observation.event.time)
