"""Reasons: why a node has no pool, and why no settings of the VPC CNI explain it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from cnitrail.answers.pool.nodes import InterfaceCall, Node
from cnitrail.model import Effect, Limits, Manager
from cnitrail.model.ec2 import error_code
from cnitrail.model.manager import MANAGER_NAMES
from cnitrail.model.pool import PoolSize
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import counted, listed, times

IPV6 = Reason(ReasonCode.IPV6_PODS, "its pods have IPv6 addresses: one /80 prefix, and no warm pool")

_IPV6_ASSIGN = "AssignIpv6Addresses"
_NOTHING = "nothing to explain"
_WINDOWS_SETTINGS = "warm-ip-target, minimum-ip-target and warm-prefix-target in the ConfigMap amazon-vpc-cni"


def not_of_the_cni(node: Node) -> Reason | None:
    """Return why the VPC CNI's settings do not explain a node's pool; None if the VPC CNI manages it."""
    manager = node.management.manager
    if manager is Manager.VPC_CNI:
        return None
    if not node.is_kubernetes:
        text = (
            "not a Kubernetes node: the evidence has no tag of a cluster, no ENI and no call of a CNI for it"
        )
        return Reason(ReasonCode.NOT_A_NODE, text)
    match manager:
        case Manager.RESOURCE_CONTROLLER:
            text = (
                "the VPC resource controller keeps the warm pool of a Windows node: "
                f"its settings ({_WINDOWS_SETTINGS}) are not concluded from its calls"
            )
        case Manager.UNKNOWN | Manager.KARPENTER:
            unclear = "the evidence does not show what assigns its addresses"
            text = f"not known to be managed by the VPC CNI ({unclear}): {_NOTHING}"
        case _:
            text = f"not managed by the VPC CNI: {_NOTHING} ({MANAGER_NAMES[manager]} assigns its addresses)"
    return Reason(ReasonCode.OTHER_MANAGER, text)


def has_ipv6_pods(node: Node, own: frozenset[str]) -> bool:
    """Return True if the VPC CNI requested IPv6 addresses for a node and no others."""
    names = {
        call.event.name for call in node.calls if call.event.key in own and call.event.effect is Effect.ASSIGN
    }
    return names == {_IPV6_ASSIGN}


def why_empty(
    calls: Iterable[InterfaceCall],
    sizes: Sequence[PoolSize],
    shown: Sequence[PoolSize],
    limits: Limits | None = None,
    *,
    ipv6: bool = False,
) -> Reason | None:
    """Return why a pool is empty all the time that is shown; None if it is not.

    ``calls`` are those about its nodes; ``limits`` are those of its node, if it is one.
    """
    if any(size.pool for size in shown):
        return None
    if any(size.pool for size in sizes):
        return Reason(ReasonCode.NO_POOL_ADDRESSES, "no addresses for pods in the time that is shown")
    events = {call.event.key: call for call in calls if call.subject.details.trunk is None}.values()
    requests = [call for call in events if call.event.effect in (Effect.ASSIGN, Effect.CREATE)]
    attachments = [call for call in events if call.event.effect is Effect.ATTACH]
    for attempts, what in ((requests, "request"), (attachments, "attachment")):
        if attempts and all(call.event.failure is not None for call in attempts):
            return _all_refused(attempts, what, limits)
    if ipv6:
        return IPV6
    return Reason(ReasonCode.NO_POOL_ADDRESSES, "no addresses for pods in the evidence")


def _all_refused(attempts: Sequence[InterfaceCall], what: str, limits: Limits | None) -> Reason:
    """Return that EC2 refused every request or attachment, with the errors and with what was requested."""
    failures = (call.event.failure for call in attempts)
    codes = Counter(error_code(failure.code) for failure in failures if failure is not None)
    errors = [code if len(codes) == 1 else f"{code} {times(count)}" for code, count in codes.most_common()]
    how_many = f"all {counted(len(attempts), what)}" if len(attempts) > 1 else f"the only {what}"
    text = f"EC2 refused {how_many} ({listed(errors)}){_too_many(attempts, limits)}; the pool never grew"
    return Reason.citing(ReasonCode.ALL_REQUESTS_REFUSED, text, attempts[0].event, attempts[-1].event)


def _too_many(requests: Sequence[InterfaceCall], limits: Limits | None) -> str:
    """Return the number that every request asked for, if that is more than an ENI can have; else nothing."""
    numbers = {call.subject.requested for call in requests}
    number = numbers.pop() if len(numbers) == 1 else None
    if number is None or limits is None or number <= limits.secondary_per_eni:
        return ""
    asked = f"{'each' if len(requests) > 1 else 'it'} asked for {counted(number, 'address')}"
    allowed = f"{limits.ipv4_per_eni} with its primary address"
    return f": {asked}, and an ENI of {limits.instance_type} can have {allowed}"
