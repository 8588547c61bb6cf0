"""What one record of pod evidence says: facts without the conclusions that follow from several of them.

Names, addresses and IDs are as the record has them. A pod is named by its namespace and name; its UID tells
it from a later pod of the same name.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from cnitrail.model.event import Address, Held
from cnitrail.model.evidence import Origin, Skipped
from cnitrail.model.pods import PodName


class SandboxAssigned(Struct, frozen=True, gc=False, kw_only=True, tag="sandbox-assigned"):
    """The CNI gave an address to the sandbox of a pod, at the time of the record.

    ``recovered``: the record shows only that the sandbox has it, after a restart of ipamd. ``pod`` is None
    if the line does not name it (before VPC CNI 1.20).
    """

    ip: Address
    sandbox: str
    pod: PodName | None = None
    recovered: bool = False


class SandboxReleased(Struct, frozen=True, gc=False, kw_only=True, tag="sandbox-released"):
    """The CNI took an address back from the sandbox of a pod, at the time of the record."""

    ip: Address
    sandbox: str
    pod: PodName | None = None


class SandboxNamed(Struct, frozen=True, gc=False, kw_only=True, tag="sandbox-named"):
    """The kubelet asked for, or gave back, the network of a pod's sandbox.

    ``pod`` is None if the record names only the sandbox, and the address that it got (``plugin.log`` since
    1.7). ``ip`` is the address in the reply, if the record has it. ``is_branch`` if the reply names a VLAN,
    so that the address is one of a branch ENI. ``released``: the network is given back.
    """

    sandbox: str
    pod: PodName | None = None
    uid: str | None = None
    ip: Address | None = None
    is_branch: bool = False
    released: bool = False


class EniListed(Struct, frozen=True, gc=False, kw_only=True, tag="eni-listed"):
    """ipamd put an address or prefix of an ENI into the pool of its node, or (``removed``) took it out."""

    eni: str
    held: Held
    removed: bool = False


class IpamdStarted(Struct, frozen=True, gc=False, kw_only=True, tag="ipamd-started"):
    """ipamd started, at the time of the record: what it does not recover after it, it no longer has."""


class AddressFreed(Struct, frozen=True, gc=False, kw_only=True, tag="address-freed"):
    """The last holder of an address lost it at a time from ``earliest`` to ``latest`` (aware, UTC).

    ipamd says so when its cooldown begins or ends, and when the address is assigned again.
    """

    ip: Address
    earliest: datetime
    latest: datetime


class AddressKept(Struct, frozen=True, gc=False, kw_only=True, tag="address-kept"):
    """An address in ipamd's pool, as ``/v1/enis`` or its checkpoint ``ipam.json`` lists it.

    It is held since ``assigned``; or it was held last from ``assigned`` to ``released``, by a pod that is not
    named. ``eni`` or ``sandbox`` is None if the file does not have it.
    """

    ip: Address
    eni: str | None
    sandbox: str | None
    pod: PodName | None
    assigned: datetime | None
    released: datetime | None


class PodBound(Struct, frozen=True, gc=False, kw_only=True, tag="pod-bound"):
    """The scheduler bound a pod to a node, at the time of the record."""

    pod: PodName
    uid: str | None
    node: str


FINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})
"""Phases that no pod leaves again: its containers have exited."""


class PodReported(Struct, frozen=True, gc=False, kw_only=True, tag="pod-reported"):
    """The state of a pod, as the API server got or returned it at the time of the record.

    ``by_kubelet``: the kubelet of its node reports it, so ``phase`` and ``addresses`` are new; else they may
    be old. ``addresses`` are empty if the record does not mention them: a kubelet sends only what changed.
    ``removed`` are those that it had before. None means that the record does not say.
    """

    pod: PodName
    uid: str | None
    node: str | None
    by_kubelet: bool
    phase: str | None = None
    ready: bool | None = None
    addresses: tuple[Address, ...] = ()
    removed: tuple[Address, ...] = ()
    host_ip: Address | None = None
    host_network: bool | None = None
    service_account: str | None = None
    owner: str | None = None
    created: datetime | None = None
    """When the API server created the pod."""
    running_since: datetime | None = None
    """When the first of its running containers started; of a pod in a list that has finished, when the last
    of its containers did."""
    seen: datetime | None = None
    """The latest time in the object, if the record itself has no time (``kubectl get pods``)."""


class PodDeleted(Struct, frozen=True, gc=False, kw_only=True, tag="pod-deleted"):
    """A pod was deleted, at the time of the record.

    ``final``: by the kubelet of its node once its containers and sandbox were gone (``gracePeriodSeconds``
    0). Any other deletion says nothing about its address. ``gone``: somebody else had the API server forget
    the pod at once (``gracePeriodSeconds`` 0), so that its kubelet reports nothing more of it.
    """

    pod: PodName
    uid: str | None
    node: str | None
    final: bool
    gone: bool = False


class NodeNamed(Struct, frozen=True, gc=False, kw_only=True, tag="node-named"):
    """The instance of a node.

    ``basis`` is ``kubelet-session`` (the role session with which the kubelet authenticates),
    ``provider-id`` (of the node that the kubelet registers), ``instance-id-file`` (in an archive of the
    eks-log-collector; then ``node`` is None: it is the node of all files in it) or ``ipamd-log`` (ipamd says
    so when it starts; then ``node`` is None: it is the node of this log, if only one is named in the file).
    """

    node: str | None
    instance: str
    basis: str


class RegionNamed(Struct, frozen=True, gc=False, kw_only=True, tag="region-named"):
    """The Region of the node of all files in an archive of the eks-log-collector."""

    region: str


class BranchGiven(Struct, frozen=True, gc=False, kw_only=True, tag="branch-given"):
    """The annotation ``vpc.amazonaws.com/pod-eni``: a pod's branch ENI and its address.

    ``by_controller``: the VPC resource controller wrote it; else anybody may have, who can change the pod.
    """

    pod: PodName
    uid: str | None
    eni: str
    ip: Address
    by_controller: bool


class PodScraped(Struct, frozen=True, gc=False, kw_only=True, tag="pod-scraped"):
    """kube-state-metrics showed a pod with an address from ``first`` to ``last``, without a long gap."""

    pod: PodName
    uid: str | None
    node: str | None
    ip: Address
    host_network: bool | None
    first: datetime
    last: datetime


PodFact = (
    SandboxAssigned
    | SandboxReleased
    | SandboxNamed
    | EniListed
    | IpamdStarted
    | AddressFreed
    | AddressKept
    | PodBound
    | PodReported
    | PodDeleted
    | NodeNamed
    | RegionNamed
    | BranchGiven
    | PodScraped
)


def addresses_of(fact: PodFact) -> tuple[Address, ...]:
    """Return the addresses of pods that a fact names."""
    if isinstance(fact, PodReported):
        return (*fact.addresses, *fact.removed)
    ip: Address | None = getattr(fact, "ip", None)
    return () if ip is None else (ip,)


class PodRecord(Struct, frozen=True, gc=False, kw_only=True):
    """The facts in one record of pod evidence.

    ``time`` is aware, UTC, with the record's own resolution (milliseconds in ``ipamd.log``, microseconds in
    audit logs); None if the record has none. ``key`` identifies it among copies. ``cluster`` is the EKS
    cluster by the name of its log group, if it came from one. ``truncated``: a part of it was cut off.
    ``whole_second``: it was written at any time in the second of ``time`` (``ipamd.log`` before 1.5.1).
    """

    key: str
    time: datetime | None
    facts: tuple[PodFact, ...]
    origins: tuple[Origin, ...]
    cluster: str | None = None
    truncated: bool = False
    whole_second: bool = False


_POD_LOG = re.compile(
    r"(?:^|[/!])(?:(?:ipamd|plugin)(?:[-.][^/]*)?\.log(?:[-.][^/]*)?|kube-apiserver-audit[^/]*)$"
)


def is_pod_log(source: str) -> bool:
    """Return whether a file has the name of a log of the CNI or of an audit log, whatever is in it."""
    return _POD_LOG.search(source) is not None


class PodEvidence(Struct, frozen=True, gc=False, kw_only=True):
    """All records of pod evidence, by time, and of which minutes each file has any record at all.

    ``unread`` is the pod evidence that could not be read.
    """

    records: tuple[PodRecord, ...] = ()
    heard: Mapping[tuple[str, str], frozenset[str]] = {}
    """The minutes (``2024-05-14T09:30``, UTC) by file and form, also of records that say nothing of pods."""
    unread: tuple[Skipped, ...] = ()
