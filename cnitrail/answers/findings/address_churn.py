"""Nodes that assign and release a few IPs at a time, over and over."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from cnitrail.answers.findings.commands import AWS_NODE_SETTINGS
from cnitrail.answers.findings.context import FindingContext, ResourceCall, RuleMatch, grouped, is_foreign
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.model import Effect, Severity
from cnitrail.text import counted, short_list
from cnitrail.timeclamp import shifted

_HOUR = timedelta(hours=1)
_FEW = 3
_OFTEN = 10
"""Minimum number of both assignments and releases by one node in an hour."""

_ADVICE = (
    "Set MINIMUM_IP_TARGET close to the usual number of pods on a node, and WARM_IP_TARGET above 2 (or unset "
    "both to keep whole ENIs). Every call counts against the account's API limits, and pods wait while the "
    "pool is empty."
)


def churn(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield clusters whose nodes assigned and released a few IPs at a time, many times in an hour.

    Only WARM_IP_TARGET, MINIMUM_IP_TARGET and prefixes make the VPC CNI release addresses
    (decreaseDatastorePool in pkg/ipamd/ipamd.go of amazon-vpc-cni-k8s).
    """
    small = [call for call in case.calls if call.entry.instance and _is_small(call) and not is_foreign(call)]
    by_node = grouped(small, lambda call: (call.place, call.entry.instance))
    busy = filter(None, map(_busiest_hour, by_node.values()))
    by_cluster = grouped(busy, lambda hour: (hour[0].place, hour[0].entry.cluster or hour[0].entry.vpc))
    for (place, _), hours in by_cluster.items():
        calls = sorted((call for hour in hours for call in hour), key=lambda call: call.time)
        begin, end = calls[0].time, shifted(calls[-1].time, _HOUR)
        refused = any(
            is_throttled(call) and call.place == place and begin <= call.time <= end for call in case.calls
        )
        nodes = short_list(call.entry.instance or "" for call in calls)
        most = counted(max(map(len, hours)), "call")
        and_throttled = ", while EC2 throttled calls" if refused else ""
        yield RuleMatch(
            severity=Severity.MEDIUM if refused else Severity.LOW,
            sentence=f"{nodes} kept assigning and releasing IPs, at most {_FEW} at a time: {most} by one "
            f"node in an hour{and_throttled}. A low WARM_IP_TARGET does this.",
            advice=_ADVICE,
            commands=(AWS_NODE_SETTINGS,),
            calls=calls,
        )


def _is_small(call: ResourceCall) -> bool:
    """Return whether a call assigned or released a few addresses or prefixes."""
    moves = len(call.entry.added) + len(call.entry.removed)
    return call.did(Effect.ASSIGN, Effect.UNASSIGN) and 0 < moves <= _FEW


def _busiest_hour(calls: list[ResourceCall]) -> list[ResourceCall]:
    """Return the calls of the busiest hour with enough of both kinds; empty if there is no such hour."""
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
