"""Pod leases: every interval in which a pod held an address."""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import meets_time
from cnitrail.answers.nodes import instances_of_name
from cnitrail.answers.pods.asked import Asked
from cnitrail.model import History
from cnitrail.model.pods import PodEntry, PodLease
from cnitrail.model.reason import Reason, ReasonCode


def pods(history: History, wanted: Filter, at: datetime | None = None) -> Iterator[PodEntry]:
    """Yield the pod leases that a filter keeps, by address and start.

    With a time, only those that may cover it: all of a second, or an instant if it has a fraction.
    """
    asked = Asked.of(at) if at is not None else None
    for lease in pod_leases(history, wanted):
        if asked is None or lease.perhaps_held(asked.first, asked.last):
            yield pod_entry(lease)


def pod_leases(history: History, wanted: Filter) -> Iterator[PodLease]:
    """Yield the pod leases that a filter keeps, by address and start."""
    return (lease for lease in history.pods.leases if _takes(history, wanted, lease))


def no_pod_evidence(history: History) -> Iterator[Reason]:
    """Yield a reason if no pod evidence was read."""
    if not has_pod_evidence(history):
        text = "no pod evidence in the sources: CloudTrail does not record which pod has an address"
        yield Reason(ReasonCode.NO_POD_EVIDENCE, text)


def has_pod_evidence(history: History) -> bool:
    """Return whether any pod evidence was read."""
    return not history.pods.is_empty


def _takes(history: History, wanted: Filter, lease: PodLease) -> bool:
    return (
        wanted.takes_addresses((lease.ip,))
        and wanted.takes_pod(lease.pod)
        and wanted.takes_instance(*_instances(history, lease))
        and wanted.takes_value("eni", lease.eni)
        and (not wanted.cluster or wanted.takes_value("cluster", lease.cluster, *_clusters(history, lease)))
        and may_be_in(history, wanted, lease)
        and meets_time(lease.start.earliest, lease.end.latest, wanted)
    )


def may_be_in(history: History, wanted: Filter, lease: PodLease) -> bool:
    """Return True unless a lease is known to be of another VPC, account or Region than was asked for.

    Pod evidence names none of them. They are known once CloudTrail shows the ENI or the instance.
    """
    if not (wanted.vpc or wanted.account or wanted.region):
        return True
    instance = history.instances.get(lease.instance or "")
    places = {
        "vpc": lease.vpc or (instance.vpc if instance else None),
        "account": lease.account or (instance.account if instance else None),
        "region": lease.region or (instance.region if instance else None),
    }
    return all(place is None or wanted.takes_value(name, place) for name, place in places.items())


def _clusters(history: History, lease: PodLease) -> tuple[str, ...]:
    """Return the clusters of a pod's ENI, as CloudTrail shows them."""
    time = lease.start.latest or lease.start.earliest
    return history.cluster_of(lease.eni, lease.instance, time).names if lease.eni and time else ()


def _instances(history: History, lease: PodLease) -> tuple[str | None, ...]:
    """Return the instance of a pod; else what its node's name may mean, and the name."""
    if lease.instance is not None or lease.node is None:
        return (lease.instance,)
    return (*instances_of_name(history, lease.node), lease.node)


def pod_entry(lease: PodLease) -> PodEntry:
    """Return a pod lease as it is shown."""
    start, end = lease.start, lease.end
    return PodEntry(
        ip=lease.ip,
        account=lease.account,
        region=lease.region,
        vpc=lease.vpc,
        cluster=lease.cluster,
        eni=lease.eni,
        instance=lease.instance,
        node=lease.node,
        namespace=lease.pod.namespace if lease.pod else None,
        pod=lease.pod.name if lease.pod else None,
        uid=lease.uid,
        service_account=lease.service_account,
        owner=lease.owner,
        sandbox=lease.sandbox,
        start=start.latest,
        start_not_before=start.earliest,
        start_basis=start.basis,
        start_witness=start.witness,
        end=end.latest,
        end_not_before=end.earliest,
        end_basis=end.basis,
        end_witness=end.witness,
        doubts=lease.doubts,
        origins=lease.origins,
    )


def pod_name(pod: PodEntry) -> str:
    """Return a pod in a sentence: as ``namespace/name``, or its sandbox if no record names it."""
    return _named(f"{pod.namespace}/{pod.pod}" if pod.pod is not None else None, pod.sandbox)


def lease_name(lease: PodLease) -> str:
    """Return the pod of a lease in a sentence."""
    return _named(str(lease.pod) if lease.pod is not None else None, lease.sandbox)


def _named(name: str | None, sandbox: str | None) -> str:
    return name or (f"sandbox {sandbox}" if sandbox else "without a name")
