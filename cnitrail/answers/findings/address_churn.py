"""Nodes that assign and release a few IPs at a time, over and over."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from cnitrail.answers.findings.calls import ResourceCall, grouped, is_foreign
from cnitrail.answers.findings.commands import AWS_NODE_SETTINGS
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.model import Effect, Manager, Severity
from cnitrail.model.callers import manager_of_caller
from cnitrail.text import counted, short_list
from cnitrail.timeclamp import shifted

_HOUR = timedelta(hours=1)
_FEW = 3
_OFTEN = 10
"""Minimum number of both assignments and releases by one node in an hour."""

_COST = "Every call counts against the account's API limits, and pods wait while the pool is empty."
_ADVICE = {
    Manager.VPC_CNI: "Set MINIMUM_IP_TARGET close to the usual number of pods on a node, and WARM_IP_TARGET "
    f"above 2 (or unset both to keep whole ENIs). {_COST}",
    Manager.RESOURCE_CONTROLLER: "For Windows nodes, set windows-minimum-ip-target close to the usual number "
    "of pods on a node, and windows-warm-ip-target above 2, in the ConfigMap amazon-vpc-cni of kube-system. "
    f"{_COST}",
    Manager.CILIUM: "Set ipam.min-allocate of the CiliumNodes close to the usual number of pods on a node, "
    f"and ipam.pre-allocate above 2, or turn off --aws-release-excess-ips. {_COST}",
}
"""What to do, by those managers of ENIs that have settings for warm IPs."""

_CAUSE = {
    Manager.VPC_CNI: "A low WARM_IP_TARGET does this.",
    Manager.RESOURCE_CONTROLLER: "A low windows-warm-ip-target does this.",
    Manager.CILIUM: "A low ipam.pre-allocate does this.",
}


def churn(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield clusters whose nodes assigned and released a few IPs at a time, many times in an hour.

    Only WARM_IP_TARGET, MINIMUM_IP_TARGET and prefixes make the VPC CNI release addresses
    (decreaseDatastorePool in pkg/ipamd/ipamd.go of amazon-vpc-cni-k8s).
    """
    small = [
        call for call in case.calls if call.entry.instance and _is_small(call) and _by_manager(case, call)
    ]
    by_node = grouped(small, lambda call: (call.place, call.entry.instance, case.manager_of(call).manager))
    busy = filter(None, map(_busiest_hour, by_node.values()))
    by_cluster = grouped(
        busy,
        lambda hour: (
            hour[0].place,
            hour[0].entry.cluster or hour[0].entry.vpc,
            case.manager_of(hour[0]).manager,
        ),
    )
    throttled = grouped(filter(is_throttled, case.calls if by_cluster else ()), lambda call: call.place)
    throttled_at = {place: [call.time for call in calls] for place, calls in throttled.items()}
    for (place, _, manager), hours in by_cluster.items():
        calls = sorted((call for hour in hours for call in hour), key=lambda call: call.time)
        begin, end = calls[0].time, shifted(calls[-1].time, _HOUR)
        times = throttled_at.get(place, [])
        refused = bisect_left(times, begin) < bisect_right(times, end)
        nodes = short_list(call.entry.instance or "" for call in calls)
        most = counted(max(map(len, hours)), "call")
        and_throttled = ", while EC2 throttled calls" if refused else ""
        yield RuleMatch(
            severity=Severity.MEDIUM if refused else Severity.LOW,
            sentence=f"{nodes} kept assigning and releasing IPs, at most {_FEW} at a time: {most} by one "
            f"node in an hour{and_throttled}. {_CAUSE[manager]}",
            advice=_ADVICE[manager],
            commands=(AWS_NODE_SETTINGS,) if manager is Manager.VPC_CNI else (),
            calls=calls,
        )


def _by_manager(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether a manager with settings for warm IPs may have made a call on an ENI of its own."""
    manager = case.manager_of(call).manager
    is_its_own = manager_of_caller(call.entry.actor) is manager
    return manager in _ADVICE and (is_its_own or not is_foreign(call))


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
