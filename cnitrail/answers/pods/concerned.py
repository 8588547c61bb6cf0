"""Filters of pods, for answers that know only addresses and ENIs."""

from ipaddress import ip_network

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.pods.entries import pod_leases
from cnitrail.model import History


def about_pods(history: History, wanted: Filter) -> tuple[Filter, ...]:
    """Return filters that keep what concerns the addresses and ENIs of the pods of a filter, in their time.

    A filter without pods is returned as it is.
    """
    if not wanted.names_pods:
        return (wanted,)
    found: dict[Filter, None] = {}
    for lease in pod_leases(history, wanted):
        begins = [time for time in (wanted.since, lease.start.earliest) if time is not None]
        ends = [time for time in (wanted.until, lease.end.latest) if time is not None]
        at_it = replace(
            wanted, pod=(), namespace=(), since=max(begins, default=None), until=min(ends, default=None)
        )
        vpcs = (lease.vpc,) if lease.vpc is not None else wanted.vpc
        found[replace(at_it, ip=(ip_network(lease.ip),), vpc=vpcs)] = None
        if lease.eni is not None:
            found[replace(at_it, eni=(lease.eni,), ip=())] = None
    return tuple(found)
