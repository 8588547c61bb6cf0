"""How far an answer to ``who`` can be trusted: a table of rules, the first that applies decides.

Each rule is a condition over one ``Situation``, the verdict, and the reasons that the answer then gives.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.model import Address, Effect, Lease, Verdict
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock


class Situation(Struct, frozen=True, kw_only=True):
    """What the evidence shows of one address at one second.

    ``holders`` are the leases that may cover the second, ``vpcs`` those of their interfaces (None: not
    known). ``doubts`` are about a single holder, or without one about whether the address is free;
    ``next_holders`` say where the address went soon after.
    """

    ip: Address
    second: datetime
    holders: tuple[Lease, ...]
    vpcs: frozenset[str | None]
    contested: bool
    """True if the order of the calls that gave a holder the address is not known."""
    doubts: tuple[Reason, ...] = ()
    next_holders: tuple[Reason, ...] = ()
    released: datetime | None = None
    """Without a holder: when the last one lost the address, if an event shows the release; else None."""
    unproven: bool = False
    """True if digests were asked, and do not prove all that the answer rests on."""


class VerdictRule(Struct, frozen=True):
    """A verdict, when it is given, and the reasons for it."""

    name: str
    applies: Callable[[Situation], bool]
    verdict: Verdict
    reasons: Callable[[Situation], Sequence[Reason]]


def judge(situation: Situation) -> tuple[Verdict, Sequence[Reason]]:
    """Return the verdict of the first rule that applies, and its reasons."""
    rule = rule_for(situation)
    return rule.verdict, rule.reasons(situation)


def rule_for(situation: Situation) -> VerdictRule:
    """Return the first rule that applies."""
    return next(rule for rule in RULES if rule.applies(situation))


def is_free(situation: Situation) -> bool:
    """Return True if the last holder lost the address before, and nothing may have assigned it since.

    There is no weaker form of it: with any doubt, or without the proof that was asked for, it is not known.
    """
    is_released = not situation.holders and situation.released is not None
    return is_released and not situation.doubts and not situation.unproven


def has_no_holder(situation: Situation) -> bool:
    """Return True if no lease covers the second."""
    return not situation.holders


def changes_in_second(situation: Situation) -> bool:
    """Return True if a holder got or lost the address in the second itself."""
    return any(is_changed_at(lease, situation.second) for lease in situation.holders)


def is_contested(situation: Situation) -> bool:
    """Return True if calls of one second gave the address to several interfaces, in unknown order."""
    return situation.contested


def has_several_holders(situation: Situation) -> bool:
    """Return True if more than one interface may have held the address."""
    return len({lease.eni for lease in situation.holders}) > 1


def is_doubted(situation: Situation) -> bool:
    """Return True if anything leaves the single holder in doubt."""
    return bool(situation.doubts)


def is_unproven(situation: Situation) -> bool:
    """Return True if digests were asked for a proof, and there is none."""
    return situation.unproven


def is_beyond_doubt(_situation: Situation) -> bool:
    """Return True: no rule before this one applied."""
    return True


def is_changed_at(lease: Lease, second: datetime) -> bool:
    """Return True if a lease began or ended in a second.

    A termination does not count: the interface is deleted some seconds after it.
    """
    terminated = lease.end.event is not None and lease.end.event.effect is Effect.TERMINATE
    return lease.start.time == second or (lease.end.time == second and not terminated)


def not_assigned_since(released: datetime, second: datetime) -> Reason:
    """Return that nobody got an address between its release and a second."""
    span = f"from {clock(released)} to {clock(second)}"
    text = f"no event assigns it {span}, and the logs of that time have no gap"
    return Reason(ReasonCode.NOT_ASSIGNED_SINCE, text)


def _not_assigned_since(situation: Situation) -> Sequence[Reason]:
    assert situation.released is not None
    return (not_assigned_since(situation.released, situation.second),)


def _doubts_of_free(situation: Situation) -> Sequence[Reason]:
    return situation.doubts


def _same_second(_situation: Situation) -> Sequence[Reason]:
    text = "the address changed hands within this second (CloudTrail has 1-second resolution)"
    return (Reason(ReasonCode.SAME_SECOND, text),)


def order_unknown() -> Reason:
    """Return that the last of several calls of one second is not known."""
    text = "several calls moved the address in one second, and CloudTrail does not record their order"
    return Reason(ReasonCode.ORDER_UNKNOWN, text)


def _order_unknown(_situation: Situation) -> Sequence[Reason]:
    return (order_unknown(),)


def _several_holders(situation: Situation) -> Sequence[Reason]:
    vpcs = sorted(vpc for vpc in situation.vpcs if vpc is not None)
    if None in situation.vpcs:
        text = "the VPC of an ENI is not in the evidence, so more than one of them may be right"
        return (Reason(ReasonCode.VPC_UNKNOWN, text),)
    if len(vpcs) > 1:
        text = f"{situation.ip} exists in {len(vpcs)} VPCs ({', '.join(vpcs)}); narrow with --vpc {vpcs[0]}"
        return (Reason(ReasonCode.OTHER_VPC, text),)
    text = "several ENIs held the address in this period, and no event shows when it moved"
    return (Reason(ReasonCode.CHANGE_UNKNOWN, text),)


def _doubts(situation: Situation) -> Sequence[Reason]:
    return (*situation.next_holders, *situation.doubts)


def _next_holders(situation: Situation) -> Sequence[Reason]:
    return situation.next_holders


RULES = (
    VerdictRule("free", is_free, Verdict.FREE, _not_assigned_since),
    VerdictRule("no-holder", has_no_holder, Verdict.UNKNOWN, _doubts_of_free),
    VerdictRule("same-second", changes_in_second, Verdict.AMBIGUOUS, _same_second),
    VerdictRule("order-unknown", is_contested, Verdict.AMBIGUOUS, _order_unknown),
    VerdictRule("several-holders", has_several_holders, Verdict.AMBIGUOUS, _several_holders),
    VerdictRule("doubted", is_doubted, Verdict.LIKELY, _doubts),
    VerdictRule("not-proven", is_unproven, Verdict.LIKELY, _next_holders),
    VerdictRule("beyond-doubt", is_beyond_doubt, Verdict.CERTAIN, _next_holders),
)
"""In the order in which they are tried: each assumes that those before it do not apply."""
