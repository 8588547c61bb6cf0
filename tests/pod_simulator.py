"""A small model of pods on EKS nodes: the truth against which pod leases are checked.

A :class:`PodWorld` runs clusters on a :class:`simulator.World`: schedulers, kubelets, API servers and,
on each node, the VPC CNI of one generation. It keeps the true time of every holding in milliseconds,
writes the audit event of every call and the line of every step of the CNI, and knows nothing of the
code under test. Its calls (``launch``, ``create``, ``delete``, ...) are for stories written by hand, too.

Random runs of it are in ``pod_runs``, and what of it reaches a reader in ``pod_evidence``.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

import cni_logs
from audit_events import event, kubelet, other_user, pod_object, service_account
from simulator import (
    IPV6_PREFIX,
    PREFIX,
    PRIMARY,
    SECONDARY,
    Eni,
    Holding,
    Instance,
    Refused,
    Subnet,
    World,
    scramble,
    uuids,
)

Event = dict[str, Any]

COOLDOWN = 30_000  # milliseconds in which the CNI does not give a released address out
SLOWEST_REPORT = 8_000  # milliseconds from a change on the node to its status patch, unless one is under way
LONGEST_SKEW = 2_000  # milliseconds by which the clock of a node is wrong
BEAT = 25_000  # milliseconds between two lines of ipamd about its pool
CONTROLLER, PERSON = "system:serviceaccount:kube-system:replicaset-controller", "kubernetes-admin"
RESOURCE_CONTROLLER = "eks:vpc-resource-controller"
GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:pod-garbage-collector"


def stamp(milliseconds: int, digits: int = 3) -> str:
    """Return a time in UTC with milliseconds, microseconds or neither."""
    second, rest = divmod(milliseconds, 1000)
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}Z" if not digits else f"{text}.{rest:03}{'0' * (digits - 3)}Z"


# --- what exists -----------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Cluster:
    """A cluster in a VPC; ``audit`` has its events in the order in which they happened."""

    name: str
    subnets: list[Subnet]
    streams: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    audit: list[AuditLine] = field(default_factory=list)

    @property
    def vpc(self) -> str:
        """Return the id of the VPC."""
        return self.subnets[0].vpc.id


class AuditLine(NamedTuple):
    """An audit event, the stream that has it and its time."""

    at: int
    stream: str
    event: Event


class CniLine(NamedTuple):
    """A line of ``ipamd.log``, with the node's own time."""

    at: int
    text: str


@dataclass(slots=True, eq=False)
class Node:
    """An instance with a kubelet and a CNI; ``skew`` milliseconds are added to the true time in its logs.

    ``free_from`` has when an address leaves its cooldown; ``used`` the sandboxes of the addresses in use.
    ``rotations`` are the numbers of lines at which a new log file begins.
    """

    cluster: Cluster
    instance: Instance
    name: str
    address: str
    generation: str
    mode: str
    skew: int
    born: int
    enis: list[Eni] = field(default_factory=list)
    used: dict[str, PodHolding] = field(default_factory=dict)
    free_from: dict[str, int] = field(default_factory=dict)
    last: dict[str, tuple[int, int]] = field(default_factory=dict)
    failed: list[tuple[str, int]] = field(default_factory=list)
    lines: list[CniLine] = field(default_factory=list)
    rotations: list[int] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    works: bool = True
    stopped: int | None = None
    heard_until: int | None = None

    @property
    def key(self) -> tuple[int, ...]:
        """Return the generation of the CNI as numbers."""
        return cni_logs.number(self.generation)


@dataclass(slots=True, eq=False)
class Pod:
    """A pod; ``shown`` is what its object in the API says, ``state`` what its kubelet knows."""

    cluster: Cluster
    namespace: str
    name: str
    uid: str
    created: int
    account: str
    owner: str | None = None
    host_network: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    node: Node | None = None
    state: dict[str, Any] = field(default_factory=lambda: {"phase": "Pending", "ip": None, "change": 0})
    shown: dict[str, Any] = field(default_factory=lambda: {"phase": "Pending", "ip": None, "host": None})
    holding: PodHolding | None = None
    branch: Eni | None = None
    reporting: bool = False
    exists: bool = True
    deleting: bool = False
    finished: bool = False
    lies: bool = False

    @property
    def runs(self) -> bool:
        """Return whether it has a sandbox on a node that works, and nobody wants it to end."""
        on_node = self.node is not None and self.node.works
        return on_node and self.holding is not None and not (self.deleting or self.finished)


@dataclass(slots=True, eq=False)
class PodHolding:
    """The true time [start, end) in which a pod held an address; it ends with the ENI's holding."""

    ip: str
    vpc: str
    pod: Pod
    node: Node
    sandbox: str
    carrier: Holding
    start: int
    released: int | None = None

    @property
    def end(self) -> int | None:
        """Return when it ended, in milliseconds; None if it goes on."""
        ends = [end for end in (self.released, self.carrier.end) if end is not None]
        return min(ends) if ends else None

    def meets(self, start: int, end: int) -> bool:
        """Return whether some time of it lies in [start, end)."""
        return self.start < end and (self.end is None or start < self.end)

    def spans(self, start: int, end: int) -> bool:
        """Return whether it lasts from one time to another."""
        return self.start <= start and (self.end is None or end <= self.end)


# --- the world -------------------------------------------------------------------------------


class PodWorld:
    """Clusters of nodes with pods, and the truth of which pod held which address.

    ``clusters``: the second has a VPC with the same addresses as the first, and so nodes of the same
    names. ``skewed``: the clocks of the nodes are wrong by up to ``LONGEST_SKEW``.
    """

    def __init__(self, seed: int = 0, clusters: int = 1, pool: int = 40, *, skewed: bool = False) -> None:
        self.ec2 = World(vpcs=clusters, pool=pool)
        self.holdings: list[PodHolding] = []
        self.nodes: list[Node] = []
        self.scrapes: list[tuple[int, Cluster, list[tuple[Pod, str | None]]]] = []
        self._skewed = skewed
        self._chance = random.Random(seed)
        self._tasks: list[tuple[int, int, Callable[[], None]]] = []
        self._made = seed << 24
        self.clusters = [self._make_cluster(number) for number in range(clusters)]

    def _make_cluster(self, number: int) -> Cluster:
        vpc = self.ec2.vpcs[number]
        subnets = [subnet for subnet in self.ec2.subnets if subnet.vpc is vpc]
        streams = tuple(f"kube-apiserver-audit-{self._new():032x}" for _ in range(self._chance.randint(1, 3)))
        return Cluster(("quay", "pier")[number % 2], subnets, streams)

    def _new(self) -> int:
        self._made += 1
        return scramble(self._made)

    def use(self, number: int) -> None:
        """Let a number decide everything that happens by chance from now on."""
        self._chance = random.Random(number)

    # - time -

    @property
    def now(self) -> int:
        """Return the true time in milliseconds."""
        return self.ec2.now

    def wait(self, milliseconds: int) -> None:
        """Let time pass, with everything that kubelets and controllers do meanwhile."""
        until = self.now + milliseconds
        while self._tasks and self._tasks[0][0] <= until:
            due, _, task = heapq.heappop(self._tasks)
            self.ec2.wait(max(0, due - self.now))
            task()
        self.ec2.wait(max(0, until - self.now))

    def _later(self, low: int, high: int, task: Callable[[], None]) -> None:
        """Do something between ``low`` and ``high`` milliseconds from now."""
        self._made += 1
        heapq.heappush(self._tasks, (self.now + self._chance.randint(low, high), self._made, task))

    # - nodes -

    def launch(self, cluster: Cluster, generation: str = "1.20", mode: str = SECONDARY) -> Node:
        """Start a node: an instance whose kubelet registers and whose CNI fills its pool."""
        subnet = self._chance.choice(cluster.subnets)
        secondaries = self._chance.randint(2, 4) if mode == SECONDARY else 0
        (instance,) = self.ec2.run(subnet, secondaries=secondaries)
        eni = instance.devices[0].eni
        address = eni.holds(PRIMARY)[0]
        name = f"ip-{address.replace('.', '-')}.ec2.internal"
        skew = self._chance.randint(-LONGEST_SKEW, LONGEST_SKEW) if self._skewed else 0
        node = Node(cluster, instance, name, address, generation, mode, skew, self.now, [eni])
        cluster.nodes.append(node)
        self.nodes.append(node)
        self.wait(self._chance.randint(1000, 8000))
        self._begin_log(node)
        for ip in eni.holds(SECONDARY):
            self._listed(node, eni, ip)
        with suppress(Refused):
            if mode != SECONDARY:
                self._fill(node)
        self._register(node)
        self._beat(node)
        return node

    def _write(self, node: Node, form: Callable[..., str], *arguments: object, **more: object) -> None:
        """Write a line with the node's time; ``form`` is a function of ``cni_logs``."""
        at = self.now + node.skew
        node.lines.append(CniLine(at, form(node.generation, stamp(at), *arguments, **more)))

    def _begin_log(self, node: Node) -> None:
        at = self.now + node.skew
        for text in cni_logs.started(node.generation, stamp(at), node.instance.id):
            node.lines.append(CniLine(at, text))

    def _listed(self, node: Node, eni: Eni, text: str) -> None:
        self._write(node, cni_logs.eni_listed, eni.id, text)

    def _beat(self, node: Node) -> None:
        """Write the line about the pool that ipamd writes all the time."""
        if node.instance.state != "running" or node.heard_until is not None:
            return
        total, used = len(list(self._pool(node))), len(node.used)
        message = f"IP stats - total IPs: {total}, assigned IPs: {used}, cooldown IPs: 0"
        self._write(node, cni_logs.line, message, level="debug", caller="ipamd/ipamd.go:665")
        self._later(BEAT - 5000, BEAT + 5000, lambda: self._beat(node))

    def _register(self, node: Node) -> None:
        made = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": node.name},
            "spec": {"providerID": f"aws:///us-east-1a/{node.instance.id}"},
            "status": {"addresses": [{"type": "InternalIP", "address": node.address}]},
        }
        target = {"resource": "nodes", "name": node.name, "apiVersion": "v1"}
        self._audit(node.cluster, "create", target, node, asked=made, answered=made, code=201)

    def _pool(self, node: Node) -> Iterator[tuple[str, Holding]]:
        """Yield the addresses that the CNI may give to pods, with what the ENI holds."""
        for eni in node.enis:
            for text, holding in eni.held.items():
                if holding.kind == SECONDARY:
                    yield text, holding
                elif holding.kind == PREFIX:
                    yield from ((str(ip), holding) for ip in ip_network(text))
                elif holding.kind == IPV6_PREFIX:
                    first = IPv6Network(text)[0]
                    yield from ((str(first + number), holding) for number in range(1, 40))

    def _fill(self, node: Node) -> None:
        """Give the node another address or prefix, or another ENI."""
        eni = node.enis[-1]
        if node.mode == SECONDARY and len(eni.held) >= 6:
            with suppress(Refused):
                eni = self.ec2.create(eni.subnet, secondaries=1, description="aws-K8S-" + node.instance.id)
                self.ec2.wait(1200)
                self.ec2.modify(self.ec2.attach(eni, node.instance).eni, delete_on_termination=True)
                node.enis.append(eni)
                for ip in eni.holds(SECONDARY):
                    self._listed(node, eni, ip)
            return
        for text in self.ec2.assign(eni, count=1, kind=node.mode, choice=self._chance.randrange(4)):
            self._listed(node, eni, text)

    def shrink(self, node: Node) -> None:
        """Give a warm address, or a whole warm prefix, back to EC2."""
        for eni in node.enis:
            for text, holding in eni.held.items():
                of_it = [ip for ip, carrier in self._pool(node) if carrier is holding]
                if of_it and all(
                    ip not in node.used and node.free_from.get(ip, 0) <= self.now for ip in of_it
                ):
                    message = f"Deleted ENI({eni.id})'s IP/Prefix {text} from datastore"
                    self._write(node, cni_logs.line, message, caller="datastore/data_store.go:626")
                    self.ec2.unassign(eni, text)
                    return

    def restart_cni(self, node: Node) -> None:
        """Restart ipamd, which reads from its checkpoint what is in use."""
        if node.instance.state != "running":
            return
        self._begin_log(node)
        for eni in node.enis:
            for text in eni.held:
                self._listed(node, eni, text)
        for ip, holding in list(node.used.items()):
            if holding.carrier.end is not None:  # somebody moved it away
                text = f"datastore: Sandbox {cni_logs.key(holding.sandbox)} uses unknown IP Address {ip}"
                self._write(node, cni_logs.line, f"{text} - presuming stale/dead")
                del node.used[ip]
                continue
            if node.key < (1, 7) or node.key >= (1, 16):
                self._write(node, cni_logs.assign, *_said(holding), recovered=True)
            if node.key >= (1, 7):
                of_it = (holding.ip, holding.sandbox, holding.carrier.eni.id)
                self._write(node, cni_logs.recovered, *of_it)

    def rotate(self, node: Node) -> None:
        """Begin a new log file."""
        if node.lines and node.rotations[-1:] != [len(node.lines)]:
            node.rotations.append(len(node.lines))

    def lose(self, node: Node, *, silent: bool = False) -> None:
        """Let a node's kubelet stop; its pods run on until the instance is gone, some time later."""
        if not node.works:
            return
        node.works, node.stopped = False, self.now
        for pod in list(node.pods):
            self._later(40_000, 300_000, lambda pod=pod: self._collect(pod))  # type: ignore[misc]
        self._later(0, 600_000, lambda: self._end(node, silent=silent))

    def terminate(self, node: Node, *, silent: bool = False) -> None:
        """Terminate a node's instance with its pods."""
        if node.works:
            node.works, node.stopped = False, self.now
            for pod in list(node.pods):
                self._later(5_000, 300_000, lambda pod=pod: self._collect(pod))  # type: ignore[misc]
            self._end(node, silent=silent)

    def _end(self, node: Node, *, silent: bool) -> None:
        if node.instance.state == "running":
            node.heard_until = self.now
            delay = self._chance.randint(0, 5000)
            if silent:
                self.ec2.vanish(node.instance, delay)
            else:
                self.ec2.terminate(node.instance, delay=delay)
        if node in node.cluster.nodes:
            node.cluster.nodes.remove(node)

    def _collect(self, pod: Pod) -> None:
        """Delete the object of a pod whose node is lost."""
        if pod.exists:
            self._delete_object(pod, GARBAGE_COLLECTOR, {"gracePeriodSeconds": 0})

    # - pods: the API server's side -

    def create(
        self,
        cluster: Cluster,
        name: str = "",
        *,
        namespace: str = "shop",
        node: Node | None = None,
        host_network: bool = False,
        lasts: int | None = None,
        branch: bool = False,
        annotations: dict[str, str] | None = None,
        fails: bool = False,
    ) -> Pod:
        """Create a pod, which the scheduler binds and a kubelet starts; a job ends after ``lasts``."""
        number = self._new()
        owner = None if name else f"web-{number >> 44:x}"
        name = name or f"{owner}-{number & 0xFFFFF:05x}"
        uid = uuids(self._made)[0]
        pod = Pod(cluster, namespace, name, uid, self.now, "web", owner, host_network, annotations or {})
        cluster.pods.append(pod)
        target = {"resource": "pods", "namespace": namespace, "apiVersion": "v1"}
        if not owner:
            target["name"] = name
        whole = self._object(pod)
        asked = whole | {"metadata": {k: v for k, v in whole["metadata"].items() if k != "uid"}}
        self._audit(cluster, "create", target, CONTROLLER, asked=asked, answered=whole, code=201)
        working = [known for known in cluster.nodes if known.works]
        chosen = node or (self._chance.choice(working) if working else None)
        if chosen is not None:
            self._later(5, 400, lambda: self._bind(pod, chosen, lasts, branch=branch, fails=fails))
        return pod

    def _bind(self, pod: Pod, node: Node, lasts: int | None, *, branch: bool, fails: bool) -> None:
        if not (pod.exists and node.works) or pod.deleting:
            return
        pod.node = node
        node.pods.append(pod)
        target = self._target(pod) | {"uid": pod.uid, "subresource": "binding"}
        asked = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
        }
        asked["target"] = {"kind": "Node", "name": node.name}
        answer = {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}
        self._audit(
            pod.cluster, "create", target, "system:kube-scheduler", asked=asked, answered=answer, code=201
        )
        if branch:
            self._later(300, 1500, lambda: self._give_branch(pod))
        start = lambda: self._start(pod, lasts, fails=fails)  # noqa: E731
        self._later(2500 if branch else 100, 4000 if branch else 1500, start)

    def _give_branch(self, pod: Pod) -> None:
        """Make a branch ENI, and write it into the pod's annotation as the resource controller does."""
        if not pod.exists or pod.node is None:
            return
        with suppress(Refused):
            pod.branch = self.ec2.create(pod.node.instance.subnet, description="aws-k8s-branch-eni")
            self.annotate(pod, pod.branch.id, pod.branch.holds(PRIMARY)[0], RESOURCE_CONTROLLER)

    def annotate(self, pod: Pod, eni: str, ip: str, by: str) -> None:
        """Patch a pod's annotation ``pod-eni``."""
        text = (
            f'[{{"eniId":"{eni}","ifAddress":"06:00:00:00:00:01","privateIp":"{ip}","ipv6Addr":"","vlanId":1,'
            '"subnetCidr":"10.0.0.0/20","subnetV6Cidr":"","associationID":"trunk-assoc-0a"}]'
        )
        pod.annotations["vpc.amazonaws.com/pod-eni"] = text
        asked = {"metadata": {"annotations": dict(pod.annotations), "uid": pod.uid}}
        self._audit(
            pod.cluster, "patch", self._target(pod), by, asked=asked, answered=self._object(pod), code=200
        )

    def delete(self, pod: Pod, by: str = CONTROLLER) -> None:
        """Delete a pod with grace: its kubelet ends it, and deletes the object when nothing is left."""
        if not pod.exists or pod.deleting:
            return
        pod.deleting = True
        if pod.node is None:
            self._delete_object(pod, by, {})
            return
        asked = {"kind": "DeleteOptions", "apiVersion": "v1"}
        self._audit(
            pod.cluster, "delete", self._target(pod), by, asked=asked, answered=self._object(pod), code=200
        )
        self._later(50, 500, lambda: self._stop(pod))

    def force_delete(self, pod: Pod) -> None:
        """Delete a pod's object at once; its kubelet notices later."""
        if pod.exists:
            self._delete_object(pod, PERSON, {"gracePeriodSeconds": 0})
            self._later(100, 3000, lambda: self._stop(pod))

    def _delete_object(self, pod: Pod, by: str | Node, options: Event) -> None:
        asked = {"kind": "DeleteOptions", "apiVersion": "v1"} | options
        self._audit(
            pod.cluster, "delete", self._target(pod), by, asked=asked, answered=self._object(pod), code=200
        )
        pod.exists = False
        pod.cluster.pods.remove(pod)

    def usurp(self, pod: Pod, ip: str) -> None:
        """Let a person write a foreign address into a pod's status; its kubelet mends that later."""
        if not pod.exists:
            return
        pod.shown["ip"] = ip
        asked = {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}}
        target = self._target(pod) | {"subresource": "status"}
        self._audit(pod.cluster, "patch", target, PERSON, asked=asked, answered=self._object(pod), code=200)
        pod.state["change"] += 1
        self._report(pod)

    def lie(self, pod: Pod, ip: str) -> None:
        """Let a pod's own kubelet report a foreign address, again and again."""
        if pod.runs and not pod.host_network:
            pod.lies = True
            pod.state |= {"ip": ip, "change": pod.state["change"] + 1}
            self._report(pod)
            self._later(20_000, 90_000, lambda: self.touch(pod))

    def trespass(self, node: Node, pod: Pod, ip: str) -> None:
        """Let a kubelet patch a pod of another node, which the API server refuses."""
        asked = {
            "metadata": {"uid": pod.uid},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
        }
        target = self._target(pod) | {"subresource": "status"}
        self._audit(pod.cluster, "patch", target, node, asked=asked, answered=None, code=403)

    def call(self, pod: Pod, ip: str) -> None:
        """Let a pod call the API from an address: its own, or any if its token is stolen."""
        user = service_account(pod.namespace, pod.account, pod.name, pod.uid)
        target = {"resource": "configmaps", "namespace": pod.namespace, "name": "settings"}
        made = event(
            stamp(self.now, 6),
            "get",
            user,
            target,
            level="Metadata",
            source_ips=[ip],
            audit_id=self._audit_id(),
        )
        self._log(pod.cluster, made)

    # - pods: the kubelet's side -

    def _start(self, pod: Pod, lasts: int | None, *, fails: bool = False) -> None:
        node = pod.node
        if node is None or not (node.works and pod.exists) or pod.deleting:
            return
        if pod.host_network:
            pod.state |= {"phase": "Running", "ip": node.address, "change": 1}
            self._report(pod)
            return
        self._report(pod)  # that it is being created
        if fails:
            self._fail(pod)
        self._add(pod)
        if pod.holding is None:
            self._later(2000, 9000, lambda: self._start(pod, lasts))
            return
        if lasts is not None:
            self._later(lasts, lasts + 1000, lambda: self._finish(pod))

    def _free(self, node: Node) -> tuple[str, Holding] | None:
        free = [
            (ip, carrier)
            for ip, carrier in self._pool(node)
            if ip not in node.used and node.free_from.get(ip, 0) <= self.now
        ]
        # half of the choices take what was released last, so that addresses are reused at once
        if not free or self._chance.random() < 0.5:
            return self._chance.choice(free) if free else None
        return max(free, key=lambda pair: node.free_from.get(pair[0], 0))

    def _new_holding(self, pod: Pod, ip: str, carrier: Holding) -> PodHolding:
        assert pod.node is not None
        sandbox = "".join(f"{self._new():016x}" for _ in range(4))
        return PodHolding(ip, pod.cluster.vpc, pod, pod.node, sandbox, carrier, self.now)

    def _add(self, pod: Pod) -> None:
        """Make a sandbox: the CNI gives it an address of the pool, if it has one."""
        node = pod.node
        assert node is not None
        if pod.branch is not None:
            ip = pod.branch.holds(PRIMARY)[0]
            pod.holding = self._new_holding(pod, ip, pod.branch.held[ip])
            self._write(node, cni_logs.add_request, *_said(pod.holding)[1:])
        else:
            found = self._free(node)
            if found is None:
                with suppress(Refused):
                    self._fill(node)
                return
            pod.holding = self._new_holding(pod, *found)
            node.used[pod.holding.ip] = pod.holding
            self._write(node, cni_logs.add_request, *_said(pod.holding)[1:])
            self._write(node, cni_logs.assign, *_said(pod.holding))
        self.holdings.append(pod.holding)
        change = pod.state["change"] + 1
        pod.state |= {"phase": "Running", "ip": pod.holding.ip, "change": change}
        self._later(100, 3000, lambda: self._report(pod))

    def _fail(self, pod: Pod) -> None:
        """Let the CNI fail to write its checkpoint: it assigns an address and takes it back at once."""
        node = pod.node
        assert node is not None
        found = self._free(node)
        if found is None or pod.branch is not None:
            return
        holding = self._new_holding(pod, *found)
        self._write(node, cni_logs.add_request, *_said(holding)[1:])
        self._write(node, cni_logs.assign, *_said(holding))
        self._written_release(holding)
        node.failed.append((holding.ip, self.now))

    def _written_release(self, holding: PodHolding) -> None:
        node = holding.node
        self._write(node, cni_logs.release, *_said(holding))
        if node.key >= (1, 7):
            self._write(node, cni_logs.released, *_said(holding))

    def _release(self, pod: Pod) -> None:
        """Remove a pod's sandbox, so that the CNI gets its address back."""
        holding, node = pod.holding, pod.node
        if holding is None or node is None or holding.carrier.end is not None:
            return
        if node.instance.state != "running":
            return
        pod.holding = None
        holding.released = self.now
        self._write(node, cni_logs.del_request, *_said(holding)[1:])
        if pod.branch is not None:
            eni = pod.branch
            self._later(60_000, 90_000, lambda: self.ec2.delete(eni) if eni.alive else None)
            pod.branch = None
            return
        self._written_release(holding)
        del node.used[holding.ip]
        node.free_from[holding.ip] = self.now + COOLDOWN
        node.last[holding.ip] = (holding.start, self.now)

    def touch(self, pod: Pod) -> None:
        """Let a pod's readiness change, or one of its containers restart."""
        if pod.exists and pod.node is not None and pod.node.works and not pod.deleting:
            pod.state["change"] += 1
            self._report(pod)

    def renew(self, pod: Pod) -> None:
        """Let a pod's sandbox die: it gets a new one with a new address."""
        if pod.runs and pod.branch is None and not pod.lies:
            self._release(pod)
            self._later(500, 4000, lambda: self._again(pod))

    def _again(self, pod: Pod) -> None:
        if pod.exists and pod.node is not None and pod.node.works and not (pod.deleting or pod.finished):
            self._add(pod)
            if pod.holding is None:
                self._later(2000, 9000, lambda: self._again(pod))

    def _finish(self, pod: Pod) -> None:
        """Let a job's containers exit: the sandbox goes, the object stays."""
        if pod.runs and not pod.lies:
            pod.finished = True
            phase = self._chance.choice(("Succeeded", "Failed"))
            pod.state |= {"phase": phase, "change": pod.state["change"] + 1}
            self._later(0, 3000, lambda: self._release(pod))
            self._later(0, 2000, lambda: self._report(pod))
            self._later(20_000, 400_000, lambda: self.delete(pod))

    def _stop(self, pod: Pod) -> None:
        """End the containers of a deleted pod within its grace, then its sandbox."""
        if pod.node is None or not pod.node.works:
            return
        pod.deleting = True
        if pod.exists:
            pod.state["change"] += 1
            self._report(pod)
        self._later(0, 30_000, lambda: self._stopped(pod))

    def _stopped(self, pod: Pod) -> None:
        if pod.node is None or not pod.node.works:
            return
        self._release(pod)
        if pod in pod.node.pods:
            pod.node.pods.remove(pod)
        if pod.exists and self._chance.random() < 0.5:
            pod.finished = True
            pod.state |= {"phase": "Succeeded", "change": pod.state["change"] + 1}
            self._report(pod)
        self._later(200, SLOWEST_REPORT, lambda: self._gone(pod))

    def _gone(self, pod: Pod) -> None:
        if pod.exists and pod.node is not None and pod.node.works:
            self._delete_object(pod, pod.node, {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}})

    def _report(self, pod: Pod) -> None:
        """Send what the kubelet knows now; it arrives some time later, and may be old by then."""
        if pod.reporting or not pod.exists:
            return
        pod.reporting = True
        known = dict(pod.state)
        slow = self._chance.random() < 0.2
        self._later(200, SLOWEST_REPORT if slow else 1500, lambda: self._reported(pod, known))

    def _reported(self, pod: Pod, known: dict[str, Any]) -> None:
        pod.reporting = False
        node = pod.node
        if not pod.exists or node is None or not node.works:
            return
        ready = "True" if known["phase"] == "Running" and known["change"] % 2 else "False"
        status: Event = {
            "conditions": [
                {"lastTransitionTime": stamp(self.now, 0), "status": ready, "type": "Ready"},
            ]
        }
        if pod.shown["host"] is None:
            status |= {"hostIP": node.address, "startTime": stamp(pod.created, 0)}
            pod.shown["host"] = node.address
        if pod.shown["phase"] != known["phase"]:
            status["phase"] = pod.shown["phase"] = known["phase"]
        ip, old = known["ip"], pod.shown["ip"]
        if ip is not None and ip != old:
            status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
            if old is not None:
                status["$setElementOrder/podIPs"] = [{"ip": ip}]
                status["podIPs"] = [{"ip": ip}, {"$patch": "delete", "ip": old}]
            pod.shown["ip"] = ip
        target = self._target(pod) | {"subresource": "status"}
        asked = {"metadata": {"uid": pod.uid}, "status": status}
        self._audit(pod.cluster, "patch", target, node, asked=asked, answered=None, code=200)
        if known != pod.state:
            self._report(pod)

    # - what the API server writes -

    def _target(self, pod: Pod) -> Event:
        return {"resource": "pods", "namespace": pod.namespace, "name": pod.name, "apiVersion": "v1"}

    def _object(self, pod: Pod) -> Event:
        """Return a pod as the API server returns it."""
        return pod_object(
            f"{pod.namespace}/{pod.name}",
            pod.uid,
            node=pod.node.name if pod.node is not None else None,
            ips=[pod.shown["ip"]] if pod.shown["ip"] else (),
            phase=pod.shown["phase"],
            host_ip=pod.shown["host"],
            host_network=pod.host_network,
            service_account=pod.account,
            owner=("ReplicaSet", pod.owner) if pod.owner else None,
            created=stamp(pod.created, 0),
            annotations=pod.annotations or None,
        )

    def _audit(
        self,
        cluster: Cluster,
        verb: str,
        target: Event,
        by: str | Node,
        *,
        asked: Event | None,
        answered: Event | None,
        code: int,
    ) -> None:
        """Write an audit event, with the keys in the API server's order."""
        made = event(
            stamp(self.now, 6),
            verb,
            _user(by),
            target,
            asked=asked,
            answered=answered,
            code=code,
            level="Request" if answered is None else "RequestResponse",
            source_ips=[by.address if isinstance(by, Node) else "10.0.1.2"],
            audit_id=self._audit_id(),
            annotations={"authorization.k8s.io/decision": "forbid"} if code == 403 else None,
        )
        self._log(cluster, made)

    def _audit_id(self) -> str:
        self._new()
        return uuids(self._made)[0]

    def _log(self, cluster: Cluster, made: Event) -> None:
        """Write an audit event to the stream of one of the API servers."""
        stream = cluster.streams[self._new() % len(cluster.streams)]
        cluster.audit.append(AuditLine(self.now, stream, made))

    def scrape(self) -> None:
        """Let Prometheus see the pods of all clusters, as their objects in the API are."""
        for cluster in self.clusters:
            seen = [(pod, pod.shown["ip"]) for pod in cluster.pods if pod.node is not None]
            self.scrapes.append((self.now, cluster, seen))

    # - the truth -

    def holders(self, ip: str, vpc: str, start: int, end: int) -> list[PodHolding]:
        """Return the holdings of an address that have some time in [start, end)."""
        return [h for h in self.holdings if h.ip == ip and h.vpc == vpc and h.meets(start, end)]


def _said(holding: PodHolding) -> tuple[str, str, tuple[str, str]]:
    """Return what a line says of a holding: the address, the sandbox, and the pod."""
    return holding.ip, holding.sandbox, (holding.pod.namespace, holding.pod.name)


def _user(by: str | Node) -> Event:
    return other_user(by) if isinstance(by, str) else kubelet(by.name, by.instance.id)


def spelled(ip: str) -> str:
    """Return the usual spelling of an address."""
    return str(ip_address(ip))
