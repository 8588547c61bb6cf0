"""Pods and the time in which they held an address."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from cnitrail.intervals import Interval
from cnitrail.model.basis import Basis
from cnitrail.model.event import Address, HoldingKind
from cnitrail.model.evidence import Origin, Skipped
from cnitrail.model.reason import Reason
from cnitrail.model.word import Word
from cnitrail.timeclamp import FIRST, LAST

ENIS_OF_ONE_POD: Final = frozenset(("branch", "fargate"))
"""Kinds of ENIs whose primary address is that of a pod; that of any other ENI is its node's."""


def is_own_address(kind: HoldingKind, eni_kind: str) -> bool:
    """Return whether an address is the ENI's own, which no pod has, by how it is held and by the kind of ENI.

    Network plugins give pods IPv6 addresses of prefixes only, so a single one is the node's: the VPC CNI
    refuses IPv6 without prefix delegation (``isConfigValid`` in pkg/ipamd/ipamd.go of amazon-vpc-cni-k8s,
    https://docs.aws.amazon.com/eks/latest/userguide/cni-ipv6.html), and Cilium has no IPv6 in ENI mode
    (https://docs.cilium.io/en/stable/network/concepts/ipam/eni/).
    """
    return eni_kind not in ENIS_OF_ONE_POD and kind in (HoldingKind.PRIMARY, HoldingKind.IPV6)


COOLDOWN: Final = timedelta(seconds=30)
"""Time for which ipamd gives a released address to no pod (``IP_COOLDOWN_PERIOD``, by default 30 s)."""

CLOCKS: Final = timedelta(seconds=5)
"""Largest difference between two clocks that contradicts nothing.

CloudTrail's event time has one-second steps and is up to seconds from the change itself. A node's clock
(which ipamd's log has) follows the Amazon Time Sync Service within milliseconds, but not at boot.
"""


class Witness(Word):
    """The record that shows a bound of a pod's lease."""

    IPAMD = "ipamd"
    """A line of ``ipamd.log``."""
    V1_ENIS = "v1-enis"
    """ipamd's answer to ``/v1/enis``."""
    IPAM_JSON = "ipam-json"
    """ipamd's checkpoint."""
    CNI_PLUGIN = "cni-plugin"
    """A line of ``plugin.log``."""
    STATUS_PATCH = "status-patch"
    """The status that the kubelet of the node reports."""
    KUBELET_DELETE = "kubelet-delete"
    """The kubelet deletes the pod: it does so once the sandbox is gone."""
    POD_FINISHED = "pod-finished"
    """A phase that no pod leaves again: its kubelet stops the sandbox then."""
    POD_OBJECT = "pod-object"
    """The object in the API server, whose state may be old, and which others may change."""
    POD_LIST = "pod-list"
    """A list of pods, with the start of the pod's containers."""
    POD_SEEN = "pod-seen"
    """A list of pods with nothing in it that is later than the address: the address came later."""
    POD_ENI = "pod-eni"
    """The annotation that the VPC resource controller writes."""
    POD_ENI_CLAIM = "pod-eni-claim"
    """The same annotation, if anybody may have written it."""
    KUBE_STATE_METRICS = "kube-state-metrics"
    NEXT_POD = "next-pod"
    """The next pod has the address."""
    ENI_LEASE = "eni-lease"
    """The ENI lost the address, by CloudTrail."""
    INSTANCE_END = "instance-end"
    """The instance was terminated, by CloudTrail."""


WITNESS_NAMES: Final = {
    Witness.IPAMD: "ipamd.log",
    Witness.V1_ENIS: "/v1/enis",
    Witness.IPAM_JSON: "ipam.json",
    Witness.CNI_PLUGIN: "plugin.log",
    Witness.STATUS_PATCH: "audit log",
    Witness.KUBELET_DELETE: "audit log",
    Witness.POD_FINISHED: "phase of the pod",
    Witness.POD_OBJECT: "audit log",
    Witness.POD_LIST: "kubectl get pods",
    Witness.POD_SEEN: "kubectl get pods",
    Witness.POD_ENI: "audit log",
    Witness.POD_ENI_CLAIM: "annotation",
    Witness.KUBE_STATE_METRICS: "Prometheus",
    Witness.NEXT_POD: "next pod",
    Witness.ENI_LEASE: "CloudTrail",
    Witness.INSTANCE_END: "CloudTrail",
}
"""What people call each of these records."""


def witness_name(witness: Witness | None) -> str:
    """Return what people call the record that shows a bound; empty if none does."""
    return WITNESS_NAMES[witness] if witness is not None else ""


class PodName(Struct, frozen=True, gc=False, order=True):
    """The namespace and name of a pod."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class PodBoundary(Struct, frozen=True, gc=False, kw_only=True):
    """The start or end of a pod's lease: it lies from ``earliest`` to ``latest``, both included (aware, UTC).

    None means any time before, or after. With basis ``observed`` (ipamd) both are the same time, or within
    one second if the record has whole seconds; ``implied`` ones are bounds by other records; ``unknown`` (a
    start) and ``open`` (an end) are not known. ``witness`` is what shows it, ``origin`` its record.
    """

    earliest: datetime | None
    latest: datetime | None
    basis: Basis
    witness: Witness | None = None
    origin: Origin | None = None


class PodLease(Struct, frozen=True, gc=False, kw_only=True):
    """An interval in which a pod held an address: surely from ``start.latest`` to ``end.earliest``.

    Perhaps it held it from ``start.earliest`` to ``end.latest``. ``pod`` is None if no record names it.
    ``shown_until`` is the last time at which a record shows the pod with the address: it is after
    ``end.earliest`` if EC2 took the address away before, which neither ipamd nor the kubelet notices.
    ``eni``, ``vpc``, ``account`` and ``region`` are those of the ENI lease in which it lies; ``instance`` is
    the node's. ``doubts`` say what contradicts it.
    """

    ip: Address
    pod: PodName | None
    start: PodBoundary
    end: PodBoundary
    uid: str | None = None
    sandbox: str | None = None
    node: str | None = None
    instance: str | None = None
    eni: str | None = None
    vpc: str | None = None
    account: str | None = None
    region: str | None = None
    cluster: str | None = None
    service_account: str | None = None
    owner: str | None = None
    shown_until: datetime | None = None
    doubts: tuple[Reason, ...] = ()
    origins: tuple[Origin, ...] = ()

    def surely_held(self, start: datetime, end: datetime) -> bool:
        """Return whether the pod surely held the address from one time to another, both included."""
        begun, ended = self.start.latest, self.end.earliest
        return begun is not None and ended is not None and begun <= start and end <= ended

    def may_overlap(self, other: "PodLease") -> bool:
        """Return whether both pods may have had the address at one time."""
        start = max(lease.start.earliest or FIRST for lease in (self, other))
        end = min(lease.end.latest or LAST for lease in (self, other))
        return start <= end

    def perhaps_held(self, start: datetime, end: datetime) -> bool:
        """Return whether the pod may have held the address at some time from one to another."""
        starts = self.start.earliest is None or self.start.earliest <= end
        return starts and (self.end.latest is None or start <= self.end.latest)


class WatchedNode(Struct, frozen=True, gc=False, kw_only=True):
    """A time of which the evidence has every assignment and release of a node: by its ``ipamd.log``.

    From ``complete_from`` on, it also names every holder from before, because ipamd started then.
    """

    instance: str
    span: Interval
    complete_from: datetime | None = None

    def shows_free(
        self,
        leases: Iterable[PodLease],
        start: datetime,
        end: datetime,
        added: datetime | None = None,
    ) -> bool:
        """Return whether the log shows that no pod had an address from one time to another.

        ``leases`` are those of the address, and none of them may cover the time. A pod may have got it
        before the log begins: so the log must show that it was free at the beginning (``added`` is when the
        ENI got the address), or a release before, or the next assignment.
        """
        if not (self.span.includes(start) and self.span.includes(end)):
            return False
        begins = (self.complete_from, added if added is not None and added >= self.span.start else None)
        if any(begin is not None and begin <= start for begin in begins):
            return True
        of_log = [lease for lease in leases if self._is_of_log(lease)]
        released = (lease.end.latest for lease in of_log if lease.end.basis is Basis.OBSERVED)
        is_released = any(time is not None and self.span.start <= time <= start for time in released)
        return is_released or self.assigns_after(of_log, end)

    def assigns_after(self, leases: Iterable[PodLease], time: datetime) -> bool:
        """Return whether the log assigns an address after a time: it was still in the pool."""
        of_log = filter(self._is_of_log, leases)
        assigned = (lease.start.latest for lease in of_log if lease.start.basis is Basis.OBSERVED)
        return any(start is not None and time <= start < self.span.end for start in assigned)

    def _is_of_log(self, lease: PodLease) -> bool:
        return lease.instance == self.instance and lease.sandbox is not None


class PodSpan(Struct, frozen=True, gc=False):
    """From when to when a log has records of pod evidence (aware, UTC).

    ``name`` is that of the log in a sentence, such as ``the audit log of cluster prod``. ``gaps`` are the
    times between in which an audit log has nothing, though an API server writes an event every second.
    """

    name: str
    first: datetime
    last: datetime
    gaps: tuple[Interval, ...] = ()


def audit_log_name(cluster: str | None) -> str:
    """Return what the audit log of a cluster is called in a sentence."""
    return f"the audit log of cluster {cluster}" if cluster is not None else "the audit log"


class PodHistory(Struct, frozen=True, gc=False, kw_only=True):
    """Everything that the evidence shows of pods; ``leases`` are sorted by address, then by start."""

    leases: tuple[PodLease, ...] = ()
    nodes: Mapping[str, tuple[str, ...]] = {}
    """The instances of each node name, in the order in which they had it."""
    watched: tuple[WatchedNode, ...] = ()
    records: int = 0
    """Number of different records of pod evidence."""
    unread: tuple[Skipped, ...] = ()
    """The pod evidence that could not be read."""
    spans: tuple[PodSpan, ...] = ()
    """Of each audit log, and of the ``ipamd.log`` of each instance."""

    @property
    def is_empty(self) -> bool:
        """Whether no pod evidence was read."""
        return not (self.records or self.watched or self.leases)


class PodVerdict(StrEnum):
    """Confidence in the pod of an answer to ``who``."""

    CERTAIN = "certain"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    NONE = "none"
    """No pod: the address was in the warm pool of its node, or is the node's own."""
    UNKNOWN = "unknown"


class PodEntry(Struct, frozen=True, gc=False, kw_only=True):
    """An interval in which a pod held an address.

    ``start`` and ``end`` are observed, or the tightest bounds known: the pod surely had the address at
    ``start`` (not before ``start_not_before``) and no longer after ``end`` (surely until ``end_not_before``).
    """

    ip: Address
    account: str | None
    region: str | None
    vpc: str | None
    cluster: str | None
    eni: str | None
    instance: str | None
    node: str | None
    namespace: str | None
    pod: str | None
    uid: str | None
    service_account: str | None
    owner: str | None
    sandbox: str | None
    start: datetime | None
    start_not_before: datetime | None
    start_basis: Basis
    start_witness: Witness | None
    end: datetime | None
    end_not_before: datetime | None
    end_basis: Basis
    end_witness: Witness | None
    doubts: tuple[Reason, ...]
    origins: tuple[Origin, ...]


class PodAnswer(Struct, frozen=True, gc=False, kw_only=True):
    """Which pod held an address, how sure that is, and why.

    ``at`` is the time asked for: a whole second, for all of which the answer holds, or an instant if it has a
    fraction. ``pods`` are all that may have held the address. With the verdict ``none``, it was in the warm
    pool of its node, or is the address of the node itself.
    """

    at: datetime
    verdict: PodVerdict
    pods: tuple[PodEntry, ...]
    reasons: tuple[Reason, ...]
