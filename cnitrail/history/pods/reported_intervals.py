"""What the API server knows of pods: intervals in which a pod held an address, within bounds.

A kubelet's status patch names the addresses of a pod only if it sets or changes them. A later patch that
says that the pod is ready shows that it still had them, up to ``KUBELET_DELAY`` before it. One that says
nothing of that, or that the pod is not ready, may follow the loss of the address: a pod that ends, or whose
sandbox is made again, is patched too.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cnitrail.history.pods.bounds import KUBELET_DELAY, implied, open_end
from cnitrail.history.pods.nodes import NodeNames, is_fargate
from cnitrail.model import Address
from cnitrail.model.evidence import Origin
from cnitrail.model.pod_facts import FINAL_PHASES, NodeNamed, PodBound, PodDeleted, PodRecord, PodReported
from cnitrail.model.pods import PodLease, PodName, Witness
from cnitrail.timeclamp import shifted

_ApiFact = PodBound | PodReported | PodDeleted

_RANK: Final = {PodBound: 0, PodReported: 1, PodDeleted: 2}
"""Cause before effect, of facts with the same time."""

_WITHOUT_KUBELET: Final = (Witness.POD_OBJECT, Witness.POD_SEEN)
"""Witnesses of a start that a report of the kubelet replaces."""

_Step = tuple[datetime, int, str, PodRecord, _ApiFact]


def reported_intervals(records: Iterable[PodRecord], nodes: NodeNames) -> Iterator[PodLease]:
    """Yield the intervals of all pods that audit events or lists of pods name."""
    for steps in _lives(records):
        yield from _Life(nodes).leases(sorted(steps, key=lambda step: step[:3]))


def finished(records: Iterable[PodRecord]) -> Mapping[tuple[PodName, str], datetime]:
    """Return since when a kubelet has to end pods, by name and UID, whatever it reports of their addresses.

    Their containers had exited, or the API server had forgotten them.
    """
    found: dict[tuple[PodName, str], datetime] = {}
    for record in records:
        for fact in record.facts:
            is_gone = isinstance(fact, PodDeleted) and fact.gone
            is_over = isinstance(fact, PodReported) and fact.by_kubelet and fact.phase in FINAL_PHASES
            if (
                isinstance(fact, (PodDeleted, PodReported))
                and (is_gone or is_over)
                and fact.uid is not None
                and record.time is not None
            ):
                found.setdefault((fact.pod, fact.uid), record.time)
    return found


def _lives(records: Iterable[PodRecord]) -> Iterable[list[_Step]]:
    """Return the facts of each pod, by UID; one without is of the pod that had its name at that time."""
    lives: dict[tuple[PodName, str | None, str | None], list[_Step]] = {}
    nameless: list[_Step] = []
    for record in records:
        for written in record.facts:
            if isinstance(written, (PodBound, PodReported, PodDeleted)):
                fact = _as_last_known(written, record)
                time = record.time or (fact.seen if isinstance(fact, PodReported) else None)
                if time is None:
                    continue
                step = (time, _RANK[type(fact)], record.key, record, fact)
                if fact.uid is None:
                    nameless.append(step)
                else:
                    lives.setdefault((fact.pod, fact.uid, None), []).append(step)
    by_name: dict[PodName, list[tuple[datetime, datetime, list[_Step]]]] = {}
    for (pod, _, _), steps in lives.items():
        times = [step[0] for step in steps]
        by_name.setdefault(pod, []).append((min(times), max(times), steps))
    for step in nameless:
        time, _, _, record, fact = step
        around = [steps for first, last, steps in by_name.get(fact.pod, ()) if first <= time <= last]
        if not around and isinstance(fact, PodBound):
            later = [(first, steps) for first, _, steps in by_name.get(fact.pod, ()) if first > time]
            around = [min(later, key=lambda life: life[0])[1]] if later else []
        if len(around) == 1:
            around[0].append(step)
        else:
            lives.setdefault((fact.pod, None, record.cluster), []).append(step)
    return lives.values()


class _Life:
    """The state of one pod, as its facts follow each other."""

    def __init__(self, nodes: NodeNames) -> None:
        self._nodes = nodes
        self._held: dict[Address, PodLease] = {}
        self._done: list[PodLease] = []
        self._bound: datetime | None = None
        self._node: str | None = None
        self._phase: str | None = None
        self._is_deleted = False
        self._has_ended = False
        self._is_cut = False
        self._was_unready = False
        self._instances: set[str] = set()
        self._account: str | None = None
        self._owner: str | None = None
        self._cluster: str | None = None
        self._last_time: datetime | None = None
        self._last_report: datetime | None = None

    def leases(self, steps: list[_Step]) -> Iterator[PodLease]:
        """Return the intervals in which the pod held each of its addresses."""
        reports = [fact for *_, fact in steps if isinstance(fact, PodReported)]
        shares_none = _is_on_fargate(fact for *_, fact in steps)
        if any(fact.host_network or (_is_of_host(fact) and not shares_none) for fact in reports):
            return
        bound = next((fact for *_, fact in steps if isinstance(fact, PodBound)), None)
        self._node = bound.node if bound is not None else None
        uid = next((fact.uid for *_, fact in steps if fact.uid is not None), None)
        for time, _, _, record, fact in steps:
            self._cluster = self._cluster or record.cluster
            match fact:
                case PodBound():
                    # The time of a cut record is that of CloudWatch Logs, which is later than the request.
                    self._bound = None if record.truncated else time
                case PodReported():
                    self._read(time, record, fact)
                case PodDeleted():
                    self._delete(time, record, fact, uid)
            self._last_time = time
        instance = self._instance()
        for lease in (*self._done, *self._held.values()):
            yield replace(
                lease,
                uid=uid,
                node=self._node,
                instance=instance,
                cluster=self._cluster,
                service_account=self._account,
                owner=self._owner,
            )

    def _delete(self, time: datetime, record: PodRecord, fact: PodDeleted, uid: str | None) -> None:
        self._is_deleted = True
        if fact.final and self._is_own(fact.node):
            for ip in tuple(self._held):
                self._end(ip, time, Witness.KUBELET_DELETE, record)
            if uid is None:
                # The next pod of this name.
                self._bound, self._node, self._phase = None, None, None
                self._is_deleted = self._has_ended = False

    def _read(self, time: datetime, record: PodRecord, fact: PodReported) -> None:
        if fact.by_kubelet and not self._is_own(fact.node):
            return
        self._account = self._account or fact.service_account
        self._owner = self._owner or fact.owner
        self._node = self._node or fact.node
        if fact.by_kubelet:
            self._take_report(time, record, fact)
        for ip in fact.addresses if not self._has_ended else ():
            known = self._held.get(ip)
            if known is None or (fact.by_kubelet and known.start.witness in _WITHOUT_KUBELET):
                self._begin(ip, time, record, fact)
        if fact.by_kubelet:
            self._last_report = time
        if self._shows_life(fact):
            for ip, lease in tuple(self._held.items()):
                if not self._was_unready or _runs_since(fact, lease):
                    self._prove(ip, shifted(time, -KUBELET_DELAY), record)
        if fact.phase in FINAL_PHASES:
            self._finish(time, record, fact)

    def _finish(self, time: datetime, record: PodRecord, fact: PodReported) -> None:
        """End what a pod holds whose containers have exited; a list of pods ends what it began itself."""
        self._has_ended |= fact.by_kubelet
        for ip, lease in tuple(self._held.items()):
            is_listed = record.time is None and lease.start.witness in (Witness.POD_SEEN, Witness.POD_LIST)
            if fact.by_kubelet or is_listed:
                self._end(ip, shifted(time, KUBELET_DELAY), Witness.POD_FINISHED, record)

    def _take_report(self, time: datetime, record: PodRecord, fact: PodReported) -> None:
        """Note what the kubelet of the node says of the pod."""
        self._instances.update(
            named.instance
            for named in record.facts
            if isinstance(named, NodeNamed) and named.basis == "kubelet-session"
        )
        self._phase = fact.phase or self._phase
        # What was cut off may be another address.
        self._is_cut = not fact.addresses and (record.truncated or self._is_cut)
        # A new sandbox may have got the same address again, after a time in which no pod had it.
        self._was_unready = not fact.addresses and (self._was_unready or self._may_restart(fact))
        for ip in self._replaced(fact):
            self._end(ip, time, Witness.STATUS_PATCH, record)

    def _may_restart(self, fact: PodReported) -> bool:
        """Return whether a report may be of a new sandbox: a pod with one is not ready for a while."""
        if fact.ready is False:
            return bool(self._held)
        is_newer = (not _runs_since(fact, lease) for lease in self._held.values())
        return fact.running_since is not None and any(is_newer)

    def _shows_life(self, fact: PodReported) -> bool:
        """Return whether a report shows that the pod has the addresses that were reported last."""
        if self._is_deleted or not fact.by_kubelet:
            return False
        return fact.ready is True and self._phase in (None, "Running") and not self._is_cut

    def _replaced(self, fact: PodReported) -> list[Address]:
        """Return the addresses that a report of the kubelet takes away: a pod has one of each IP version."""
        versions = {ip.version for ip in fact.addresses}
        return [
            ip
            for ip in self._held
            if ip not in fact.addresses and (ip in fact.removed or ip.version in versions)
        ]

    def _begin(self, ip: Address, time: datetime, record: PodRecord, fact: PodReported) -> None:
        known = self._held.get(ip)
        times = [self._bound or fact.created]
        if known is not None:
            times.append(known.start.earliest)
        elif fact.by_kubelet and self._last_report is not None:
            # The report before this one did not have the address yet.
            times.append(shifted(self._last_report, -KUBELET_DELAY))
        earliest = max((time for time in times if time is not None), default=None)
        is_listed = record.time is None
        running = fact.running_since if is_listed else None
        latest = time if running is None else running
        listed = Witness.POD_SEEN if running is None else Witness.POD_LIST
        witness = Witness.STATUS_PATCH if fact.by_kubelet else listed if is_listed else Witness.POD_OBJECT
        self._held[ip] = PodLease(
            ip=ip,
            pod=fact.pod,
            start=implied(_not_after(earliest, latest), latest, witness, record.origins[0]),
            end=open_end(None),
            origins=record.origins,
        )

    def _prove(self, ip: Address, time: datetime, record: PodRecord) -> None:
        """Note that the pod still had an address at a time."""
        lease = self._held.get(ip)
        if lease is None or lease.start.latest is None or time <= lease.start.latest:
            return
        if lease.start.witness is not Witness.STATUS_PATCH:
            # The kubelet did not say which address the pod has: anybody with a right to pods/status may have.
            return
        if lease.end.earliest is None or time > lease.end.earliest:
            origins = (*_origins_of_start(lease), *record.origins)
            self._held[ip] = replace(lease, end=open_end(time), origins=origins)

    def _end(self, ip: Address, time: datetime, witness: Witness, record: PodRecord) -> None:
        lease = self._held.pop(ip)
        self._done.append(
            replace(
                lease,
                end=implied(lease.end.earliest, time, witness, record.origins[0]),
                origins=(*lease.origins, *record.origins),
            )
        )

    def _is_own(self, node: str | None) -> bool:
        """Return whether a kubelet may report the pod: that of another node may not."""
        return node is None or self._node in (None, node)

    def _instance(self) -> str | None:
        if self._instances:
            return next(iter(self._instances)) if len(self._instances) == 1 else None
        return self._nodes.instance_of(self._cluster, self._node, self._last_time)


def _runs_since(fact: PodReported, lease: PodLease) -> bool:
    """Return whether a container of the pod runs since a time at which the pod had the address."""
    known = lease.end.earliest or lease.start.latest
    return fact.running_since is not None and known is not None and fact.running_since <= known


def _as_last_known(fact: _ApiFact, record: PodRecord) -> _ApiFact:
    """Return a fact; the object that a delete returns is as the API server last had it, no new report."""
    if not isinstance(fact, PodReported) or not fact.by_kubelet:
        return fact
    deletes = any(isinstance(other, PodDeleted) for other in record.facts)
    return replace(fact, by_kubelet=False, node=None) if deletes else fact


def _is_of_host(fact: PodReported) -> bool:
    """Return whether a pod has the address of its node, by its kubelet."""
    return fact.by_kubelet and fact.host_ip is not None and fact.host_ip in fact.addresses


def _is_on_fargate(facts: Iterable[_ApiFact]) -> bool:
    """Return whether a pod is alone on a node of Fargate, whose address is then the pod's."""
    nodes = {fact.node for fact in facts} - {None}
    return bool(nodes) and all(map(is_fargate, nodes))


def _not_after(earliest: datetime | None, latest: datetime) -> datetime | None:
    return min(earliest, latest) if earliest is not None else None


def _origins_of_start(lease: PodLease) -> tuple[Origin, ...]:
    return tuple(origin for origin in lease.origins if origin == lease.start.origin)
