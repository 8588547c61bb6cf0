"""What an answer about a pod says, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from cnitrail.answers.pods.asked import Asked
from cnitrail.answers.pods.entries import lease_name
from cnitrail.model import Basis, Holder
from cnitrail.model.pods import COOLDOWN, PodBoundary, PodLease, WatchedNode, Witness, witness_name
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import duration, exact, listed
from cnitrail.timeclamp import FIRST, LAST

_NAMED = 3
"""Spans that a sentence names."""

_START: Mapping[Witness, str] = {
    Witness.IPAMD: "ipamd assigned it at {} (ipamd.log)",
    Witness.CNI_PLUGIN: "ipamd gave it to the plugin of the CNI by {} (plugin.log)",
    Witness.STATUS_PATCH: "the kubelet reported it by {} (audit log)",
    Witness.POD_OBJECT: "the API server returned it with the address at {} (audit log)",
    Witness.POD_LIST: "kubectl get pods lists it with the address; it had started by {}",
    Witness.POD_SEEN: "kubectl get pods lists it with the address after {}",
    Witness.KUBE_STATE_METRICS: "kube-state-metrics showed it with the address by {}",
    Witness.V1_ENIS: "ipamd assigned it at {} (its answer /v1/enis)",
    Witness.IPAM_JSON: "ipamd assigned it at {} (its checkpoint ipam.json)",
    Witness.POD_ENI: "the VPC resource controller gave it a branch ENI with the address by {} (audit log)",
    Witness.POD_ENI_CLAIM: "its annotation pod-eni names a branch ENI with the address by {}",
}


_END: Mapping[Witness, str] = {
    Witness.IPAMD: "ipamd released it at {} (ipamd.log)",
    Witness.CNI_PLUGIN: "the kubelet gave the network of its sandbox back by {} (plugin.log)",
    Witness.STATUS_PATCH: "the kubelet reported another address by {} (audit log)",
    Witness.V1_ENIS: "ipamd released it at {} (its answer /v1/enis)",
    Witness.NEXT_POD: "another pod had the address by {}",
    Witness.ENI_LEASE: "its ENI lost the address by {} (CloudTrail)",
    Witness.INSTANCE_END: "its instance was terminated by {} (CloudTrail)",
    Witness.KUBELET_DELETE: "the kubelet deleted the pod at {}: its sandbox was gone by then (audit log)",
    Witness.POD_FINISHED: "its containers had exited, so its network was gone by {}",
}
"""What each witness of a boundary shows, with the time of its record."""


def story_of(lease: PodLease) -> Iterator[Reason]:
    """Yield what shows that a pod had the address, and what shows that it lost it."""
    for bound, code, sentences, other in (
        (lease.start, ReasonCode.POD_STARTED, _START, "had the address by {}"),
        (lease.end, ReasonCode.POD_ENDED, _END, "no longer had the address by {}"),
    ):
        if bound.latest is not None:
            text = _shown_by(bound, sentences, other).format(exact(bound.latest))
            yield Reason(code, f"pod {lease_name(lease)}: {text}")


def _shown_by(bound: PodBoundary, sentences: Mapping[Witness, str], other: str) -> str:
    """Return what shows a boundary, with a place for its time; ``other`` is for what only implies it."""
    witness = bound.witness
    if witness is None:
        return other
    is_exact = bound.basis is not Basis.IMPLIED or witness is not Witness.IPAMD
    return sentences[witness] if is_exact and witness in sentences else f"{other} ({witness_name(witness)})"


def outranked(lease: PodLease, by: PodLease) -> Reason:
    """Return that a pod does not count beside one that surely had the address."""
    text = f"pod {lease_name(lease)} is left out: the evidence of {lease_name(by)} is stronger"
    return Reason(ReasonCode.POD_OUTRANKED, text)


def on_other_eni(lease: PodLease, holders: Sequence[Holder]) -> Reason:
    """Return that CloudTrail shows the address elsewhere than the evidence of a pod does."""
    where = lease.instance or lease.node or lease.eni or "an unknown node"
    shown = listed([holder.instance or holder.eni for holder in holders]) if holders else "no ENI"
    text = f"pod evidence shows the address on {where} (pod {lease_name(lease)}), and CloudTrail on {shown}"
    return Reason(ReasonCode.POD_ON_OTHER_ENI, text)


def left_out(lease: PodLease) -> Reason:
    """Return that a pod is left out, because its node had lost the address."""
    where = lease.instance or lease.node or "its node"
    seen = f", last seen with it at {exact(lease.end.earliest)}" if lease.end.earliest is not None else ""
    lost = f"by CloudTrail, {where} did not have the address any more"
    text = f"pod {lease_name(lease)} is left out{seen}: {lost}"
    return Reason(ReasonCode.POD_LEFT, text)


def node_address(holder: Holder) -> Reason:
    """Return that the address is that of a node, which no pod has for itself."""
    text = f"the address is that of {holder.instance or holder.eni} itself; pods with hostNetwork share it"
    return Reason(ReasonCode.NODE_ADDRESS, text)


def released(lease: PodLease, asked: Asked) -> Reason:
    """Return the last pod before a time, and whether the address was still in cooldown."""
    name, end = lease_name(lease), lease.end.latest
    if end is None or end > asked.first:
        return Reason(ReasonCode.POD_ENDED, f"the last with the address was pod {name}")
    ago = duration(asked.first - end)
    if lease.end.earliest == end and asked.first - end < COOLDOWN:
        text = (
            f"pod {name} released it {ago} earlier: in cooldown, which lasts {duration(COOLDOWN)} "
            "by default (IP_COOLDOWN_PERIOD)"
        )
        return Reason(ReasonCode.IN_COOLDOWN, text)
    at_latest = "" if lease.end.earliest == end else " at the latest"
    text = f"the last with the address was pod {name}, until {exact(end)}{at_latest}, {ago} earlier"
    return Reason(ReasonCode.POD_ENDED, text)


def next_pod(lease: PodLease, asked: Asked) -> Reason:
    """Return the first pod after a time."""
    begin = lease.start.earliest or asked.last
    later = duration(begin - asked.first)
    text = f"the next with the address was pod {lease_name(lease)}, {later} later at the earliest"
    if lease.start.basis is Basis.OBSERVED:
        text = f"the next with the address was pod {lease_name(lease)}, from {exact(begin)}, {later} later"
    return Reason(ReasonCode.POD_STARTED, text)


def several_pods(leases: Sequence[PodLease]) -> Reason:
    """Return that more than one pod may have had the address."""
    names = listed(list(dict.fromkeys(map(lease_name, leases))))
    return Reason(ReasonCode.SEVERAL_PODS, f"more than one pod may have had the address: {names}")


def changed_then(lease: PodLease) -> Reason:
    """Return that a pod got or lost the address within the second asked for."""
    text = f"pod {lease_name(lease)} got or lost the address within this second"
    return Reason(ReasonCode.POD_CHANGED_THEN, f"{text}; add a fraction of a second to --at")


def not_named(lease: PodLease) -> Reason:
    """Return that the pod itself is not known, only its sandbox, if that."""
    of_sandbox = f" of sandbox {lease.sandbox}" if lease.sandbox else ""
    return Reason(ReasonCode.POD_NOT_NAMED, f"no record names the pod{of_sandbox}")


def start_uncertain(lease: PodLease) -> Reason:
    """Return between which times a pod got the address."""
    start = lease.start
    between = f"between {exact(start.earliest)} and" if start.earliest is not None else "by"
    when = f"{between} {exact(start.latest)}" if start.latest is not None else "at an unknown time"
    text = f"pod {lease_name(lease)} got the address {when}: when exactly is not known"
    return Reason(ReasonCode.POD_START_UNCERTAIN, text)


def end_uncertain(lease: PodLease) -> Reason:
    """Return when a pod was last seen with the address, and by when it had lost it."""
    end = lease.end
    seen = "was not seen with the address again"
    if end.earliest is not None:
        seen = f"was last seen with the address at {exact(end.earliest)}"
    if end.latest is None:
        text = f"pod {lease_name(lease)} {seen}, and no record shows when it lost it"
        return Reason(ReasonCode.POD_END_NOT_SEEN, text)
    text = f"pod {lease_name(lease)} {seen}, and had lost it by {exact(end.latest)}"
    return Reason(ReasonCode.POD_END_UNCERTAIN, text)


def warm_pool(instance: str) -> Reason:
    """Return that the log of a node shows that no pod had the address."""
    text = f"held by the warm pool of the node, no pod: ipamd.log of {instance} covers this time "
    return Reason(ReasonCode.WARM_POOL, f"{text}and shows no assignment")


def no_pod_seen(instance: str | None, watched: Sequence[WatchedNode]) -> Reason:
    """Return that nothing shows a pod, and of which times the log of the node has everything."""
    text = "no record of pod evidence shows a pod with the address at this time"
    if watched:
        spans = [node.span for node in watched[:_NAMED]]
        covered = listed([f"{exact(span.start or FIRST)} to {exact(span.end or LAST)}" for span in spans])
        text += f"; ipamd.log of {instance} covers {covered}"
    elif instance is not None:
        text += f", and no ipamd.log of {instance} covers it without a gap"
    return Reason(ReasonCode.NO_POD_SEEN, text)
