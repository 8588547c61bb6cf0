"""What a batch, or a silence, says of the settings: the arithmetic of ipamd, read backwards.

Each function answers for one value of a setting: could the CNI have done this, and with how many pods?
The number of pods with an address of the pool is a hidden variable: ``assigned`` is all that is known
of it, and the answer is what it then must have been (None where no number does). Of two targets that
work together the answer to a WARM_IP_TARGET is in parts, one for each range of MINIMUM_IP_TARGETs.

What the CNI does not decide by its settings says nothing of them: any value may have done that.
"""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from cnitrail.answers.pool.batches import Batch, Holdings, Kind
from cnitrail.model import PREFIX_SIZE, Limits


class Range(NamedTuple):
    """Whole numbers from ``least`` to ``most``, both included."""

    least: int
    most: int


class Part(NamedTuple):
    """A range of MINIMUM_IP_TARGETs, and the pods that are needed with each of them."""

    minimum: Range
    assigned: Range


class Silence(Struct, frozen=True):
    """A time in which the pool stayed as it was, long enough for the CNI to have changed it."""

    since: datetime
    until: datetime
    before: Holdings
    can_grow: bool

    @property
    def after(self) -> Holdings:
        """The same: nothing happened."""
        return self.before


Sign = Batch | Silence

_ANY = 1 << 30
"""More than any instance type can hold."""


def _range(least: int, most: int) -> Range | None:
    return Range(least, most) if least <= most else None


# --- whole interfaces, whole prefixes --------------------------------------------------------------


def warm_enis(target: int, sign: Sign, limits: Limits, assigned: Range) -> Range | None:
    """WARM_ENI_TARGET without any other target: whole interfaces, and none given back in parts."""
    unit = limits.secondary_per_eni
    if isinstance(sign, Silence):
        return _not_low(target, unit, sign, sign.before.secondary, assigned)
    total = sign.before.secondary
    if sign.kind is Kind.FREE:
        return _range(assigned.least, min(assigned.most, total - (target + 1) * unit))
    if sign.prefixes:
        return assigned if sign.kind is Kind.SHRINK else None
    if sign.kind is Kind.SHRINK or sign.count != sign.room:
        return None
    return _low(target, unit, total, assigned)


def warm_prefixes(target: int, sign: Sign, assigned: Range) -> Range | None:
    """WARM_PREFIX_TARGET without any other target: prefixes of which no address is used."""
    if isinstance(sign, Silence):
        held = sign.before.prefixes
        quiet = _not_low(target, PREFIX_SIZE, sign, held * PREFIX_SIZE, assigned)
        return quiet and _range(max(quiet.least, held - target), quiet.most)
    if not sign.prefixes and sign.count:
        return None if sign.kind is Kind.GROW else assigned
    if sign.kind is not Kind.GROW:
        unused = (sign.after.prefixes - target) * PREFIX_SIZE
        return _range(assigned.least, min(assigned.most, unused))
    held = sign.before.prefixes
    low = _low(target, PREFIX_SIZE, held * PREFIX_SIZE, assigned)
    each = [_with_free(free, held, low) for free in _free_prefixes(target, sign)] if low else []
    found = [pods for pods in each if pods is not None]
    return Range(min(pods.least for pods in found), max(pods.most for pods in found)) if found else None


def _free_prefixes(target: int, sign: Batch) -> range:
    """How many prefixes were without a pod, given how many more were asked for."""
    held = sign.before.prefixes
    if sign.count > sign.room:
        return range(0)
    if sign.count == 1:
        return range(0 if sign.room == 1 else max(target - 1, 0), held + 1)
    if sign.count == sign.room:
        return range(min(target - sign.room, held) + 1)
    free = target - sign.count
    return range(free, free + 1) if 0 <= free <= held else range(0)


def _with_free(free: int, held: int, assigned: Range) -> Range | None:
    """The pods with which so many of the prefixes can be without one."""
    used = held - free
    return _range(max(assigned.least, used), min(assigned.most, used * PREFIX_SIZE))


def _low(target: int, unit: int, total: int, assigned: Range) -> Range | None:
    """Fewer addresses were available than the target wants; with 0, none at all."""
    least = total - target * unit + 1 if target else total
    return _range(max(assigned.least, least), assigned.most)


def _not_low(target: int, unit: int, quiet: Silence, total: int, assigned: Range) -> Range | None:
    if not quiet.can_grow:
        return assigned
    return _range(assigned.least, min(assigned.most, total - max(target * unit, 1)))


# --- single addresses ------------------------------------------------------------------------------


def targets(
    warm: int, sign: Sign, assigned: Range, *, prefix_mode: bool, fills: bool = False
) -> tuple[Part, ...]:
    """WARM_IP_TARGET with MINIMUM_IP_TARGET.

    ``fills``: in the manner of 1.7 and before, where an interface that has room is filled.
    """
    if isinstance(sign, Silence):
        return _quiet_prefixes(warm, sign, assigned) if prefix_mode else _quiet(warm, sign, assigned)
    if sign.kind is not Kind.FREE and sign.prefixes is not prefix_mode:
        return (Part(Range(0, _ANY), assigned),) if sign.kind is Kind.SHRINK else ()
    if sign.kind is not Kind.GROW:
        return _kept(warm, sign.after.total(prefix_mode=prefix_mode), assigned)
    total = sign.before.total(prefix_mode=prefix_mode)
    unit = PREFIX_SIZE if prefix_mode else 1
    if sign.count > sign.room:
        return ()
    if sign.count == sign.room:
        return _short(warm, total, Range(1 if fills else (sign.room - 1) * unit + 1, _ANY), assigned)
    if fills and not sign.fresh:
        return ()
    return _short(warm, total, Range((sign.count - 1) * unit + 1, sign.count * unit), assigned)


def _parts(*parts: tuple[Range | None, Range | None]) -> tuple[Part, ...]:
    return tuple(Part(minimum, pods) for minimum, pods in parts if minimum is not None and pods is not None)


def _short(warm: int, total: int, short: Range, assigned: Range) -> tuple[Part, ...]:
    """So many addresses were short of the larger of the two targets."""
    least, most = total + short.least, total + short.most
    by_warm = _range(max(assigned.least, least - warm), min(assigned.most, most - warm))
    by_minimum = _range(assigned.least, min(assigned.most, most - warm))
    return _parts((Range(0, least - 1), by_warm), (Range(least, most), by_minimum))


def _kept(warm: int, total: int, assigned: Range) -> tuple[Part, ...]:
    """What was given back was over: what is left still meets both targets."""
    return _parts((Range(0, total), _range(assigned.least, min(assigned.most, total - warm))))


def _quiet(warm: int, quiet: Silence, assigned: Range) -> tuple[Part, ...]:
    """Nothing was over; and nothing was short, unless nothing more could be had."""
    total = quiet.before.secondary
    most = min(assigned.most, total - warm) if quiet.can_grow else assigned.most
    return _parts(
        (_range(0, total - 1), _range(max(assigned.least, total - warm), most)),
        (Range(total, total if quiet.can_grow else _ANY), _range(assigned.least, most)),
    )


def _quiet_prefixes(warm: int, quiet: Silence, assigned: Range) -> tuple[Part, ...]:
    """The same, where a prefix is given back only as a whole, and only without a pod in it."""
    held = quiet.before.prefixes
    total, last = held * PREFIX_SIZE, max(held - 1, 0) * PREFIX_SIZE
    most = min(assigned.most, total - warm) if quiet.can_grow else assigned.most
    least = max(assigned.least, min(held, last + 1 - warm))
    return _parts(
        (Range(0, last), _range(least, most)),
        (_range(last + 1, total if quiet.can_grow else _ANY), _range(assigned.least, most)),
    )
