"""The calls around a pod: those on the ENI that held its address, from the assignment to the release."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from cnitrail.answers.filters import Filter
from cnitrail.intervals import through
from cnitrail.model import Held, History, Lease
from cnitrail.model.ec2 import prefix_of
from cnitrail.model.pods import PodLease


class PodAddresses:
    """The ENI leases in which the pods that a filter asks for had their addresses."""

    def __init__(self, history: History, wanted: Filter) -> None:
        self._found: dict[Held, list[tuple[Lease, PodLease]]] = defaultdict(list)
        for pod in history.pods.leases:
            if wanted.takes_pod(pod.pod):
                for lease in _eni_leases(history, pod):
                    self._found[lease.held].append((lease, pod))

    def pods_in(self, lease: Lease) -> Iterator[PodLease]:
        """Yield the pods that had the address of an ENI lease, or one in its prefix, during it."""
        return (pod for known, pod in self._found.get(lease.held, ()) if known is lease)

    def pods_of_call(
        self, addresses: Iterable[Held], enis: Iterable[str | None], time: datetime
    ) -> Iterator[PodLease]:
        """Yield the pods around a call: it names their address or prefix while an ENI of its held that."""
        enis = set(enis)
        for held in dict.fromkeys(addresses):
            for lease, pod in self._found.get(held, ()):
                is_then = through(lease.possible_start(), lease.end.time).includes(time)
                if is_then and (lease.eni in enis or enis == {None}):
                    yield pod


def _eni_leases(history: History, pod: PodLease) -> Iterator[Lease]:
    """Yield the ENI leases of a pod's address, or of its prefix, in which the pod's time lies."""
    held_by_pod = through(pod.start.latest or pod.start.earliest, pod.end.earliest or pod.end.latest)
    for held in (pod.ip, prefix_of(pod.ip)):
        for group in history.holders.get(held, ()):
            for lease in group:
                is_its_eni = pod.eni in (lease.eni, None)
                if is_its_eni and through(lease.possible_start(), lease.end.time).overlaps(held_by_pod):
                    yield lease
