"""A pod lease within the ENI lease of its address, and what contradicts it."""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cnitrail.history.pods.bounds import implied
from cnitrail.history.pods.enis import NodeFiles
from cnitrail.history.pods.homes import Homes
from cnitrail.history.pods.nodes import is_fargate
from cnitrail.model import Address, Basis, History, Lease
from cnitrail.model.ec2 import prefix_of
from cnitrail.model.pods import CLOCKS, PodBoundary, PodLease, Witness, is_own_address
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.timeclamp import shifted

_SHUTDOWN: Final = timedelta(minutes=10)
"""Time for which pods may live on after the call that terminates their instance (``shutting-down``)."""


class Placing:
    """Finds the ENI of pod leases, by the history of ENIs and by the files of the nodes."""

    def __init__(self, history: History, files: NodeFiles, homes: Homes) -> None:
        self._history, self._files, self._homes = history, files, homes
        self._leases: dict[Address, list[Lease]] = {}

    def placed(self, lease: PodLease) -> PodLease | None:
        """Return a lease with its ENI, and with its doubts; None if the address is its node's own."""
        time = lease.start.latest or lease.end.earliest or lease.end.latest
        if time is None:
            return lease
        home = self._homes.of(lease.origins)
        lease = replace(
            lease,
            instance=lease.instance or self._files.instance_of(home),
            region=lease.region or self._files.region_of(home),
            eni=lease.eni or self._files.eni_of(home, lease.ip, time),
            shown_until=lease.end.earliest,
        )
        found = [eni for eni in self._enis_of(lease.ip) if _covers(eni, time)]
        if lease.eni is not None:
            found = [eni for eni in found if eni.eni == lease.eni]
        own = [
            eni for eni in found if lease.instance is not None and self._instance(eni, time) == lease.instance
        ]
        fitting = own or [eni for eni in found if not _is_over(eni, time)] or found
        of_pods = [eni for eni in fitting if is_fargate(lease.node) or not self._is_of_node(eni)]
        if lease.start.witness is Witness.POD_ENI_CLAIM and found and not any(map(self._is_branch, of_pods)):
            # The annotation names an address that no branch ENI has: it is false.
            return None
        if fitting and not of_pods:
            return None if own else self._finished(lease, ReasonCode.POD_ADDRESS_OF_NODE)
        enis = {eni.eni for eni in of_pods}
        if not enis:
            return self._finished(self._of_listed(lease, time), ReasonCode.NO_ENI_LEASE)
        if len(enis) > 1:
            is_elsewhere = lease.instance is not None and all(self._instance(eni, time) for eni in of_pods)
            is_other = is_elsewhere and not own
            code = ReasonCode.POD_ON_OTHER_INSTANCE if is_other else ReasonCode.SEVERAL_ENI_LEASES
            return self._finished(lease, code)
        return self._within(lease, of_pods[-1], time)

    def _enis_of(self, ip: Address) -> list[Lease]:
        known = self._leases.get(ip)
        if known is None:
            holders = self._history.holders
            groups = (*holders.get(ip, ()), *holders.get(prefix_of(ip), ()))
            known = self._leases[ip] = [lease for group in groups for lease in group]
        return known

    def _instance(self, eni: Lease, time: datetime) -> str | None:
        """Return the instance of an ENI; a call of the very second may have attached it."""
        second = time.replace(microsecond=0)
        known, _ = self._history.instance_of(eni.eni, second)
        return known or self._history.instance_of(eni.eni, shifted(second, CLOCKS))[0]

    def _is_branch(self, eni: Lease) -> bool:
        interface = self._history.interfaces.get(eni.eni)
        return interface is not None and interface.kind == "branch"

    def _is_of_node(self, eni: Lease) -> bool:
        interface = self._history.interfaces.get(eni.eni)
        return is_own_address(eni.kind, interface.kind if interface is not None else "other")

    def _of_listed(self, lease: PodLease, time: datetime) -> PodLease:
        """Return a lease with what CloudTrail has of the ENI that the node's files list."""
        interface = self._history.interfaces.get(lease.eni or "")
        return lease if interface is None else self._with_place(lease, interface.eni, time)

    def _with_place(self, lease: PodLease, eni: str, time: datetime) -> PodLease:
        interface = self._history.interfaces[eni]
        instance = lease.instance or self._history.instance_of(eni, time.replace(microsecond=0))[0]
        cluster = lease.cluster or self._history.cluster_of(eni, instance, time).name
        return replace(
            lease,
            eni=eni,
            vpc=interface.vpc,
            account=interface.account,
            region=interface.region,
            instance=instance,
            cluster=cluster,
        )

    def _within(self, lease: PodLease, eni: Lease, time: datetime) -> PodLease:
        instance = self._instance(eni, time)
        doubts = []
        is_own = lease.instance is not None or lease.eni is not None
        if not is_own or (lease.instance is not None and instance is None):
            doubts.append(ReasonCode.POD_INSTANCE_NOT_SHOWN)
        elif lease.instance not in (None, instance):
            return self._finished(lease, ReasonCode.POD_ON_OTHER_INSTANCE)
        if _sticks_out(lease, eni):
            doubts.append(ReasonCode.POD_OUTSIDE_ENI_LEASE)
        bounded = self._with_place(replace(lease, instance=lease.instance or instance), eni.eni, time)
        if not doubts:
            bounded = replace(bounded, start=_start_within(lease, eni), end=_end_within(lease, eni))
        return self._finished(bounded, *doubts)

    def _finished(self, lease: PodLease, *codes: ReasonCode) -> PodLease:
        if lease.start.witness is Witness.POD_ENI_CLAIM:
            codes = (*codes, ReasonCode.POD_ONLY_CLAIMED)
        instance = self._history.instances.get(lease.instance or "")
        ended = instance.ended.time if instance is not None else None
        if ended is not None and lease.end.basis is not Basis.OBSERVED:
            lease = replace(lease, end=_end_before(lease, ended, _SHUTDOWN, Witness.INSTANCE_END))
        return replace(lease, doubts=(*lease.doubts, *(Reason(code, _TEXT[code]) for code in codes)))


_TEXT = {
    ReasonCode.POD_ADDRESS_OF_NODE: "the address is the ENI's own, so it is a node's",
    ReasonCode.NO_ENI_LEASE: "CloudTrail shows no ENI with the address at that time",
    ReasonCode.SEVERAL_ENI_LEASES: "several ENIs had the address then, and nothing shows which is the pod's",
    ReasonCode.POD_ON_OTHER_INSTANCE: "the ENI with the address was on another instance than the pod",
    ReasonCode.POD_INSTANCE_NOT_SHOWN: "nothing shows that the ENI was on the instance of the pod",
    ReasonCode.POD_OUTSIDE_ENI_LEASE: "the pod's time with the address is not within that of the ENI",
    ReasonCode.POD_ONLY_CLAIMED: "only an annotation that others may have written names the address",
}


def _covers(eni: Lease, time: datetime) -> bool:
    """Return whether an ENI had an address at a time, as far as the clocks agree."""
    start = eni.possible_start()
    return (start is None or shifted(start, -CLOCKS) <= time) and (
        not _is_over(eni, time) or eni.end.basis is Basis.IMPLIED
    )


def _is_over(eni: Lease, time: datetime) -> bool:
    return eni.end.time is not None and shifted(eni.end.time, CLOCKS) < time


def _sticks_out(lease: PodLease, eni: Lease) -> bool:
    """Return whether the pod surely had the address before the ENI got it, or after the ENI lost it.

    An implied end of the ENI's lease does not count: EC2 gave the address to another ENI, or terminated the
    instance, and neither ipamd nor the kubelet noticed.
    """
    begun, ended = lease.start.latest, lease.end.earliest
    start, end = eni.start.time if eni.start.basis is Basis.OBSERVED else None, eni.end.time
    if start is not None and begun is not None and begun < shifted(start, -CLOCKS):
        return True
    if eni.end.basis is not Basis.OBSERVED or end is None or ended is None:
        return False
    return ended > shifted(end, CLOCKS)


def _start_within(lease: PodLease, eni: Lease) -> PodBoundary:
    """Return the start of a pod's lease, not before the ENI had the address."""
    start, known = lease.start, eni.start.time
    if start.basis is Basis.OBSERVED or eni.start.basis is not Basis.OBSERVED or known is None:
        return start
    if start.earliest is not None and start.earliest >= known:
        return start
    return replace(start, earliest=min(known, start.latest or known))


def _end_within(lease: PodLease, eni: Lease) -> PodBoundary:
    """Return the end of a pod's lease, not after the ENI lost the address."""
    end, known = lease.end, eni.end.time
    if end.basis is Basis.OBSERVED or known is None:
        return end
    delay = CLOCKS if eni.end.basis is Basis.OBSERVED else _SHUTDOWN
    return _end_before(lease, known, delay, Witness.ENI_LEASE)


def _end_before(lease: PodLease, known: datetime, delay: timedelta, witness: Witness) -> PodBoundary:
    """Return the end of a pod's lease, not after the address was lost, which takes effect within a delay."""
    end = lease.end
    # Neither ipamd nor the kubelet notices at once that EC2 has taken an address away.
    lost = shifted(known, -CLOCKS)
    proven = min(end.earliest, lost) if end.earliest is not None else None
    latest = max(time for time in (shifted(known, delay), lease.start.latest) if time is not None)
    if end.latest is not None and end.latest <= latest:
        return replace(end, earliest=proven)
    return implied(proven, latest, witness, None)
