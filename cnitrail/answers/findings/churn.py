"""Addresses taken and given back all the time, a few at once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.throttled import is_throttled
from cnitrail.answers.findings.words import counted, listed
from cnitrail.model import Effect, Severity
from cnitrail.timeclamp import shifted

_HOUR = timedelta(hours=1)
_FEW = 3
_OFTEN = 10
"""So often in an hour a node must both take addresses and give some back."""

_ADVICE = (
    "Set MINIMUM_IP_TARGET near to the number of pods that a node usually has, and WARM_IP_TARGET to more "
    "than one or two (or unset both for whole interfaces): each call counts against the rate that the "
    "account has, and pods wait while the pool is empty."
)


def churn(case: FindingContext) -> Iterator[Claim]:
    """Nodes took addresses and gave them back, a few at a time, many times in an hour.

    Only WARM_IP_TARGET, MINIMUM_IP_TARGET and prefixes make the VPC CNI give addresses back
    (decreaseDatastorePool in pkg/ipamd/ipamd.go of amazon-vpc-cni-k8s).
    """
    small = [call for call in case.calls if call.entry.instance and _is_small(call) and not is_foreign(call)]
    by_node = grouped(small, lambda call: (call.place, call.entry.instance))
    busy = filter(None, map(_busy_hour, by_node.values()))
    by_cluster = grouped(busy, lambda hour: (hour[0].place, hour[0].entry.cluster or hour[0].entry.vpc))
    for (place, _), hours in by_cluster.items():
        calls = sorted((call for hour in hours for call in hour), key=lambda call: call.time)
        begin, end = calls[0].time, shifted(calls[-1].time, _HOUR)
        refused = any(
            is_throttled(call) and call.place == place and begin <= call.time <= end for call in case.calls
        )
        nodes = listed(call.entry.instance or "" for call in calls)
        most = counted(max(map(len, hours)), "call")
        and_refused = ", while EC2 throttled calls" if refused else ""
        yield Claim(
            severity=Severity.MEDIUM if refused else Severity.LOW,
            sentence=f"{nodes} took addresses and gave them back, at most {_FEW} at a time, as with a low "
            f"WARM_IP_TARGET: {most} of one node in an hour{and_refused}.",
            advice=_ADVICE,
            calls=calls,
        )


def _is_small(call: ResourceCall) -> bool:
    """Whether a call moved a few addresses, or prefixes."""
    moves = len(call.entry.added) + len(call.entry.removed)
    return call.did(Effect.ASSIGN, Effect.UNASSIGN) and 0 < moves <= _FEW


def _busy_hour(calls: list[ResourceCall]) -> list[ResourceCall]:
    """The calls of the busiest hour with enough of both kinds; none where there is no such hour."""
    best, begin, counts = calls[:0], 0, Counter[Effect]()
    for end, call in enumerate(calls):
        counts[call.event.effect] += 1
        while call.time - calls[begin].time > _HOUR:
            counts[calls[begin].event.effect] -= 1
            begin += 1
        enough = min(counts[Effect.ASSIGN], counts[Effect.UNASSIGN]) >= _OFTEN
        if enough and end + 1 - begin > len(best):
            best = calls[begin : end + 1]
    return best
