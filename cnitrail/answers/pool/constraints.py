"""What an observation shows about the settings: the arithmetic of ipamd, read backwards.

An observation is a batch, or a silence in which the pool did not change. Each function checks one value of
a setting: could the CNI have done this, and with how many pods? The number of pods that use an address is
a hidden variable: ``assigned`` is the range that is known of it, and the result is the range that it then
must have been in (None if no number explains the observation). WARM_IP_TARGET and MINIMUM_IP_TARGET work
together: the result for a WARM_IP_TARGET has a part for each range of MINIMUM_IP_TARGETs.

What the CNI does not decide by its settings rules out none of them.
"""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from cnitrail.answers.pool.batches import Batch, BatchKind, Holdings
from cnitrail.model import PREFIX_SIZE, Limits


class Range(NamedTuple):
    """Whole numbers from ``least`` to ``most``, both included."""

    least: int
    most: int


class TargetPart(NamedTuple):
    """A range of MINIMUM_IP_TARGETs, and the pod counts that are needed with each of them."""

    minimum: Range
    assigned: Range


class Silence(Struct, frozen=True):
    """A time in which the pool did not change, long enough for the CNI to have changed it."""

    since: datetime
    until: datetime
    before: Holdings
    can_grow: bool

    @property
    def after(self) -> Holdings:
        """The same as before: nothing happened."""
        return self.before


Observation = Batch | Silence

_ANY = 1 << 30
"""More addresses than any instance type can hold."""


def _range(least: int, most: int) -> Range | None:
    return Range(least, most) if least <= most else None


# --- whole ENIs, whole prefixes --------------------------------------------------------------------


def warm_enis(target: int, observation: Observation, limits: Limits, assigned: Range) -> Range | None:
    """Check a WARM_ENI_TARGET alone: ENIs are filled and released as a whole."""
    unit = limits.secondary_per_eni
    if isinstance(observation, Silence):
        return _not_low(target, unit, observation, observation.before.secondary, assigned)
    total = observation.before.secondary
    if observation.kind is BatchKind.FREE:
        return _range(assigned.least, min(assigned.most, total - (target + 1) * unit))
    if observation.prefixes:
        return assigned if observation.kind is BatchKind.SHRINK else None
    if observation.kind is BatchKind.SHRINK or observation.count != observation.room:
        return None
    return _low(target, unit, total, assigned)


def warm_prefixes(target: int, observation: Observation, assigned: Range) -> Range | None:
    """Check a WARM_PREFIX_TARGET alone: it counts prefixes of which no address is used."""
    if isinstance(observation, Silence):
        held = observation.before.prefixes
        quiet = _not_low(target, PREFIX_SIZE, observation, held * PREFIX_SIZE, assigned)
        return quiet and _range(max(quiet.least, held - target), quiet.most)
    if not observation.prefixes and observation.count:
        return None if observation.kind is BatchKind.GROW else assigned
    if observation.kind is not BatchKind.GROW:
        unused = (observation.after.prefixes - target) * PREFIX_SIZE
        return _range(assigned.least, min(assigned.most, unused))
    held = observation.before.prefixes
    low = _low(target, PREFIX_SIZE, held * PREFIX_SIZE, assigned)
    ranges = [_with_free(free, held, low) for free in _free_prefixes(target, observation)] if low else []
    found = [pods for pods in ranges if pods is not None]
    return Range(min(pods.least for pods in found), max(pods.most for pods in found)) if found else None


def _free_prefixes(target: int, observation: Batch) -> range:
    """Return how many prefixes can have been without a pod, given how many were requested."""
    held = observation.before.prefixes
    if observation.count > observation.room:
        return range(0)
    if observation.count == 1:
        return range(0 if observation.room == 1 else max(target - 1, 0), held + 1)
    if observation.count == observation.room:
        return range(min(target - observation.room, held) + 1)
    free = target - observation.count
    return range(free, free + 1) if 0 <= free <= held else range(0)


def _with_free(free: int, held: int, assigned: Range) -> Range | None:
    """Return the pod counts with which ``free`` of the prefixes can be without a pod."""
    used = held - free
    return _range(max(assigned.least, used), min(assigned.most, used * PREFIX_SIZE))


def _low(target: int, unit: int, total: int, assigned: Range) -> Range | None:
    """Return the pod counts with which fewer addresses were available than the target; none, if it is 0."""
    least = total - target * unit + 1 if target else total
    return _range(max(assigned.least, least), assigned.most)


def _not_low(target: int, unit: int, quiet: Silence, total: int, assigned: Range) -> Range | None:
    if not quiet.can_grow:
        return assigned
    return _range(assigned.least, min(assigned.most, total - max(target * unit, 1)))


# --- single addresses ------------------------------------------------------------------------------


def targets(
    warm: int, observation: Observation, assigned: Range, *, prefix_mode: bool, fills: bool = False
) -> tuple[TargetPart, ...]:
    """Check a WARM_IP_TARGET, together with any MINIMUM_IP_TARGET.

    ``fills``: as versions up to 1.7 decide, which fill an ENI that has room.
    """
    if isinstance(observation, Silence):
        return (
            _quiet_prefixes(warm, observation, assigned)
            if prefix_mode
            else _quiet(warm, observation, assigned)
        )
    if observation.kind is not BatchKind.FREE and observation.prefixes is not prefix_mode:
        return (TargetPart(Range(0, _ANY), assigned),) if observation.kind is BatchKind.SHRINK else ()
    if observation.kind is not BatchKind.GROW:
        return _kept(warm, observation.after.total(prefix_mode=prefix_mode), assigned)
    total = observation.before.total(prefix_mode=prefix_mode)
    unit = PREFIX_SIZE if prefix_mode else 1
    if observation.count > observation.room:
        return ()
    if observation.count == observation.room:
        return _short(warm, total, Range(1 if fills else (observation.room - 1) * unit + 1, _ANY), assigned)
    if fills and not observation.fresh:
        return ()
    return _short(warm, total, Range((observation.count - 1) * unit + 1, observation.count * unit), assigned)


def _parts(*parts: tuple[Range | None, Range | None]) -> tuple[TargetPart, ...]:
    return tuple(
        TargetPart(minimum, pods) for minimum, pods in parts if minimum is not None and pods is not None
    )


def _short(warm: int, total: int, short: Range, assigned: Range) -> tuple[TargetPart, ...]:
    """Return what fits if ``short`` addresses were missing to reach the larger of both targets."""
    least, most = total + short.least, total + short.most
    by_warm = _range(max(assigned.least, least - warm), min(assigned.most, most - warm))
    by_minimum = _range(assigned.least, min(assigned.most, most - warm))
    return _parts((Range(0, least - 1), by_warm), (Range(least, most), by_minimum))


def _kept(warm: int, total: int, assigned: Range) -> tuple[TargetPart, ...]:
    """Return what fits if the addresses left after a release still reach both targets."""
    return _parts((Range(0, total), _range(assigned.least, min(assigned.most, total - warm))))


def _quiet(warm: int, quiet: Silence, assigned: Range) -> tuple[TargetPart, ...]:
    """Return what fits if no address was too many, and none was missing unless the pool could not grow."""
    total = quiet.before.secondary
    most = min(assigned.most, total - warm) if quiet.can_grow else assigned.most
    return _parts(
        (_range(0, total - 1), _range(max(assigned.least, total - warm), most)),
        (Range(total, total if quiet.can_grow else _ANY), _range(assigned.least, most)),
    )


def _quiet_prefixes(warm: int, quiet: Silence, assigned: Range) -> tuple[TargetPart, ...]:
    """Return the same for prefix mode: a prefix is released as a whole, and only without a pod in it."""
    held = quiet.before.prefixes
    total, last = held * PREFIX_SIZE, max(held - 1, 0) * PREFIX_SIZE
    most = min(assigned.most, total - warm) if quiet.can_grow else assigned.most
    least = max(assigned.least, min(held, last + 1 - warm))
    return _parts(
        (Range(0, last), _range(least, most)),
        (_range(last + 1, total if quiet.can_grow else _ANY), _range(assigned.least, most)),
    )
