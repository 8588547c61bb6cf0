"""What reaches a reader of a world of pods: files of evidence, and what they lack.

The truth is in ``pod_simulator``. A question has its true answer, and whether the evidence determines it.
"""

from __future__ import annotations

import gzip
import heapq
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from audit_events import event, other_user
from hypothesis import strategies as st
from pod_simulator import (
    SLOWEST_REPORT,
    AuditLine,
    Cluster,
    CniLine,
    Event,
    Node,
    Pod,
    PodHolding,
    PodWorld,
    stamp,
)
from simulator import NOTICED, PRIMARY, START, WINDOW, Delivery, Losses, deliver, determined, write

AUDIT, IPAMD, TRAIL = "audit", "ipamd", "cloudtrail"
ENIS, IPAM, PODS, SERIES = "enis", "ipam", "pods", "prometheus"
LOGS = frozenset({AUDIT, IPAMD, TRAIL})
ALL = LOGS | {ENIS, IPAM, PODS, SERIES}
MARGIN = 1_500  # milliseconds around a boundary in which a question is about both sides of it


@dataclass(frozen=True)
class PodLosses:
    """What goes wrong between the pods and the reader; nothing by default.

    ``given``: the kinds of evidence that are there. ``cut``, ``emptied``: the shares of audit events that
    CloudWatch cuts, and from which the API server drops both objects. ``holes``: [from, to) milliseconds
    without audit events. ``streams``, ``nodes``: numbers of the streams and of the nodes whose logs are
    lost; ``oldest``: how many of the oldest log files of every node are. ``debug``: whether the CNI logs
    at that level. ``wrapped``: whether audit events come as CloudWatch delivers them, with the log group.
    """

    given: frozenset[str] = LOGS
    cut: float = 0
    emptied: float = 0
    holes: tuple[tuple[int, int], ...] = ()
    streams: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()
    oldest: int = 0
    debug: bool = True
    wrapped: bool = False
    trail: Losses = field(default_factory=Losses)
    seed: int = 0

    @property
    def has_all_audit(self) -> bool:
        """Return whether every audit event arrived whole."""
        return AUDIT in self.given and not (self.cut or self.emptied or self.holes or self.streams)


@dataclass(eq=False)
class PodDelivery:
    """The files of evidence of a world as they reached the reader; CloudTrail's are in ``trail``."""

    world: PodWorld
    losses: PodLosses
    trail: Delivery
    files: list[tuple[str, bytes]]
    claims: dict[tuple[str, str], list[_Claim]] = field(default_factory=dict)

    def has_log(self, node: Node) -> bool:
        """Return whether the whole log of a node arrived."""
        losses = self.losses
        whole = IPAMD in losses.given and (losses.oldest == 0 or not node.rotations)
        return whole and self.world.nodes.index(node) not in losses.nodes


class _Claim(NamedTuple):
    """The time in which the audit log says that a pod has an address, and nothing else of it."""

    pod: Pod
    start: int
    end: int


def deliver_pods(world: PodWorld, losses: PodLosses | None = None) -> PodDelivery:
    """Return the evidence of a world."""
    losses = losses or PodLosses()
    trail = deliver(world.ec2, losses.trail)
    if TRAIL not in losses.given:
        trail.files.clear()
    files = [*_audit_files(world, losses), *_cni_files(world, losses), *_node_files(world, losses)]
    if PODS in losses.given:
        files += [(f"{c.name}-pods.json", _pods_file(world, c)) for c in world.clusters]
    if SERIES in losses.given:
        files += [(f"{c.name}-pods-prometheus.json", _series_file(world, c)) for c in world.clusters]
    delivery = PodDelivery(world, losses, trail, files)
    for cluster in world.clusters:
        for ip, claim in _claims(world, cluster):
            delivery.claims.setdefault((ip, cluster.vpc), []).append(claim)
    return delivery


def write_pods(delivery: PodDelivery, directory: Path, *, order: int | None = None) -> Path:
    """Write all evidence below a directory; with ``order``, twice, with audit logs split and out of order."""
    write(delivery.trail.files, directory / "trail", compress=False)
    chance = random.Random(order)
    for name, body in delivery.files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if order is None:
            path.write_bytes(body)
            continue
        first = last = body
        if name.endswith(".jsonl"):
            lines = body.splitlines(keepends=True)
            at = chance.randrange(len(lines) + 1)
            rest = lines[max(0, at - chance.randrange(5)) :]
            chance.shuffle(rest)
            first, last = b"".join(lines[:at]), b"".join(rest)
        (path.parent / f"{chance.randrange(9)}-b-{path.name}").write_bytes(first)
        (path.parent / f"{chance.randrange(9)}-a-{path.name}").write_bytes(last)
    return directory


# --- audit logs ------------------------------------------------------------------------------


def _audit_files(world: PodWorld, losses: PodLosses) -> Iterator[tuple[str, bytes]]:
    if AUDIT not in losses.given:
        return
    chance = random.Random(losses.seed)
    for cluster in world.clusters:
        for number, stream in enumerate(cluster.streams):
            lines = [line for line in _with_renewals(world, cluster) if line.stream == stream]
            if number in losses.streams:
                continue
            lines = [line for line in lines if not any(low <= line.at < high for low, high in losses.holes)]
            texts = [(line.at, _spoiled(line, losses, chance)) for line in lines]
            name = f"audit-{cluster.name}/{stream}.jsonl"
            wrapped = losses.wrapped
            yield name, _subscription(cluster, stream, texts) if wrapped else _text(t for _, t in texts)


def _with_renewals(world: PodWorld, cluster: Cluster) -> Iterator[AuditLine]:
    """Yield the audit events of a cluster, with those of a controller's lease: no log falls silent."""
    target = {"resource": "leases", "namespace": "kube-system", "name": "kube-controller-manager"}
    user = other_user("system:kube-controller-manager")
    times = range(START * 1000, world.now + 1, 60_000)
    renewals = (
        AuditLine(at, stream, event(stamp(at, 6), "update", user, target, level="Metadata"))
        for at, stream in zip(times, cycle(cluster.streams), strict=False)
    )
    yield from heapq.merge(cluster.audit, renewals, key=attrgetter("at"))


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _spoiled(line: AuditLine, losses: PodLosses, chance: random.Random) -> str:
    """Return an event as a line, maybe with its objects dropped or its end cut off."""
    event = line.event
    if chance.random() < losses.emptied:
        event = {key: value for key, value in event.items() if key not in ("requestObject", "responseObject")}
        event["annotations"] = event["annotations"] | {"audit.k8s.io/truncated": "true"}
    text = _compact(event)
    if chance.random() < losses.cut:
        text = text[: int(len(text) * chance.uniform(0.3, 0.95))] + "[Truncated...]"
    return text


def _subscription(cluster: Cluster, stream: str, texts: list[tuple[int, str]]) -> bytes:
    """Return lines as a subscription of CloudWatch Logs delivers them, with the name of the log group."""
    return _text(
        _compact(
            {
                "messageType": "DATA_MESSAGE",
                "owner": cluster.subnets[0].vpc.accounts[0],
                "logGroup": f"/aws/eks/{cluster.name}/cluster",
                "logStream": stream,
                "subscriptionFilters": ["all"],
                "logEvents": [
                    {"id": f"{number:056}", "timestamp": at, "message": text}
                    for number, (at, text) in enumerate(texts[first : first + 20])
                ],
            }
        )
        for first in range(0, len(texts), 20)
    )


# --- files of nodes --------------------------------------------------------------------------


def _cni_files(world: PodWorld, losses: PodLosses) -> Iterator[tuple[str, bytes]]:
    if IPAMD not in losses.given:
        return
    for number, node in enumerate(world.nodes):
        if number in losses.nodes:
            continue
        marks = [0, *node.rotations, len(node.lines)]
        parts = [node.lines[low:high] for low, high in pairwise(marks)]
        folder = f"nodes/{node.instance.id}/var_log/aws-routed-eni"
        for part in parts[losses.oldest : -1]:
            if part:
                when = stamp(part[-1].at).replace(":", "-").removesuffix("Z")
                body = gzip.compress(_text(_cni_lines(part, losses)), 1, mtime=0)
                yield f"{folder}/ipamd-{when}.log.gz", body
        yield f"{folder}/ipamd.log", _text(_cni_lines(parts[-1], losses))


def _cni_lines(lines: Iterable[CniLine], losses: PodLosses) -> Iterator[str]:
    for line in lines:
        if losses.debug or '"level":"debug"' not in line.text:
            yield line.text


def _node_files(world: PodWorld, losses: PodLosses) -> Iterator[tuple[str, bytes]]:
    """Yield what a node's endpoint and checkpoint say at the end."""
    for number, node in enumerate(world.nodes):
        if number in losses.nodes or node.instance.state != "running":
            continue
        if ENIS in losses.given:
            yield f"nodes/{node.instance.id}/enis.json", _compact(_enis(node)).encode()
        if IPAM in losses.given and node.key >= (1, 11):
            yield f"nodes/{node.instance.id}/ipam.json", _compact(_ipam(node)).encode()


def _enis(node: Node) -> Event:
    pool: Event = {}
    for place, eni in enumerate(node.enis):
        blocks: Event = {}
        for text, holding in eni.held.items():
            if holding.kind == "primary":
                continue
            cidr = text if "/" in text else f"{text}/32"
            held = [h for h in node.used.values() if h.carrier is holding]
            was = [ip for ip in node.last if ip not in node.used and (ip == text or _lies(ip, text))]
            blocks[cidr] = {
                "Cidr": {"IP": text.partition("/")[0], "Mask": "/////w=="},
                "IPAddresses": {h.ip: _used(node, h) for h in held} | {ip: _unused(node, ip) for ip in was},
                "IsPrefix": "/" in text,
                "AddressFamily": "6" if ":" in text else "",
            }
        pool[eni.id] = {
            "ID": eni.id,
            "IsPrimary": place == 0,
            "IsTrunk": False,
            "IsEFA": False,
            "DeviceNumber": place,
            "AvailableIPv4Cidrs": {cidr: block for cidr, block in blocks.items() if ":" not in cidr},
            "IPv6Cidrs": {cidr: block for cidr, block in blocks.items() if ":" in cidr},
        }
    return {"TotalIPs": 0, "AssignedIPs": len(node.used), "ENIs": pool}


def _lies(ip: str, text: str) -> bool:
    from ipaddress import ip_address, ip_network

    return "/" in text and ip_address(ip) in ip_network(text)


def _used(node: Node, holding: PodHolding) -> Event:
    return {
        "Address": holding.ip,
        "IPAMKey": {"networkName": "aws-cni", "containerID": holding.sandbox, "ifName": "eth0"},
        "IPAMMetadata": {"k8sPodNamespace": holding.pod.namespace, "k8sPodName": holding.pod.name},
        "AssignedTime": stamp(holding.start + node.skew, 9),
        "UnassignedTime": "0001-01-01T00:00:00Z",
    }


def _unused(node: Node, ip: str) -> Event:
    start, end = node.last[ip]
    return {
        "Address": ip,
        "IPAMKey": {"networkName": "", "containerID": "", "ifName": ""},
        "IPAMMetadata": {},
        "AssignedTime": stamp(start + node.skew, 9),
        "UnassignedTime": stamp(end + node.skew, 9),
    }


def _ipam(node: Node) -> Event:
    return {
        "version": "vpc-cni-ipam/1",
        "allocations": [
            {
                "networkName": "aws-cni",
                "containerID": holding.sandbox,
                "ifName": "eth0",
                "ipv6" if ":" in holding.ip else "ipv4": holding.ip,
                "allocationTimestamp": (holding.start + node.skew) * 1_000_000,
                "metadata": {
                    "k8sPodNamespace": holding.pod.namespace,
                    "k8sPodName": holding.pod.name,
                    "interfacesCount": 1,
                },
            }
            for holding in node.used.values()
        ],
    }


# --- what the API shows ----------------------------------------------------------------------


def _pods_file(world: PodWorld, cluster: Cluster) -> bytes:
    items = [world._object(pod) for pod in cluster.pods]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1).encode()


def _series_file(world: PodWorld, cluster: Cluster) -> bytes:
    series: dict[tuple[Pod, str], list[int]] = {}
    for at, seen, pods in world.scrapes:
        for pod, ip in pods if seen is cluster else ():
            if ip is not None:
                series.setdefault((pod, ip), []).append(at)
    result = [
        {
            "metric": {
                "__name__": "kube_pod_info",
                "namespace": pod.namespace,
                "pod": pod.name,
                "uid": pod.uid,
                "pod_ip": ip,
                "host_ip": pod.node.address if pod.node else "",
                "node": pod.node.name if pod.node else "",
                "host_network": str(pod.host_network).lower(),
            },
            "values": [[at // 1000, "1"] for at in times],
        }
        for (pod, ip), times in series.items()
    ]
    return _compact({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


# --- questions and their answers -------------------------------------------------------------


class PodQuestion(NamedTuple):
    """A question, its true answer, and whether the evidence determines it.

    ``holding`` is that of the pod that held the address for the whole second; None: no single one did.
    """

    ip: str
    vpc: str
    second: int
    holding: PodHolding | None
    determined: bool


def _claims(world: PodWorld, cluster: Cluster) -> Iterator[tuple[str, _Claim]]:
    """Yield, by address, from which status patch to which next event of it a pod seems to have it."""
    pods = {holding.pod.uid: holding.pod for holding in world.holdings}
    started: dict[str, tuple[str, int]] = {}
    for line in cluster.audit:
        event = line.event
        if event["objectRef"]["resource"] != "pods" or event["responseStatus"]["code"] >= 300:
            continue
        asked, whole = event.get("requestObject", {}), event.get("responseObject", {})
        uid = whole.get("metadata", {}).get("uid") or asked.get("metadata", {}).get("uid")
        status = asked.get("status", {})
        ip, is_kubelet = status.get("podIP"), event["user"]["username"].startswith("system:node:")
        ends = ip or event["verb"] == "delete" or status.get("phase") in ("Succeeded", "Failed")
        if uid not in pods:
            continue
        if ends and uid in started:
            old, start = started.pop(uid)
            yield old, _Claim(pods[uid], start, line.at)
        if ip and event["objectRef"].get("subresource") == "status" and is_kubelet:
            started[uid] = (ip, line.at)
    for uid, (ip, start) in started.items():
        yield ip, _Claim(pods[uid], start, world.now)


def pod_determined(delivery: PodDelivery, ip: str, vpc: str, second: int) -> bool:
    """Return whether the evidence determines which pod held an address; in doubt, it does not.

    CloudTrail must determine the ENI. The kubelet of its node must not have said of another pod that it has
    the address: it is root there, and nobody can tell. Then one of three kinds of evidence is enough:

    * the whole ``ipamd.log`` of the ENI's node: no assignment or release of the address is nearer than the
      clock of the node may be wrong, and it names the pod (from 1.7 to before 1.20, only at debug level);
    * every audit event: the second is after the status patch that gave the pod its address and before the
      next event that may be the end (another address, a final phase, a deletion), less the longest delay of
      a report; the node's kubelet worked, no other pod claims the address then, and no line of the node's
      log may say otherwise because its clock is wrong;
    * ipamd's state at the end, with the pod that has the address: the second is after its assignment, and
      before the newest time in the file, because the file has no time of its own.

    Nothing follows for sure from pods listed without a time, or from Prometheus, where a pod that has ended
    keeps its address: ``kubectl get pods`` and ``kube_pod_info`` determine no question.
    """
    world, start, end = delivery.world, second * 1000, second * 1000 + 1000
    ec2 = world.ec2
    if TRAIL not in delivery.losses.given or not delivery.trail.complete:
        return False
    if not all(determined(ec2, delivery.trail, ip, at, vpc) for at in (second - 1, second, second + 1)):
        return False
    (holding,) = world.holders(ip, vpc, start, end)[:1] or (None,)
    if holding is None or not holding.spans(start, end):
        return False
    node = holding.node
    if holding.pod.lies or holding.carrier.kind == "primary":
        return False
    near = MARGIN + abs(node.skew)
    by_log = delivery.has_log(node) and holding.spans(start - near, end + near)
    if (1, 7) <= node.key < (1, 20):
        by_log = by_log and delivery.losses.debug
    until = node.lines[-1].at - node.skew
    claims = delivery.claims.get((ip, vpc), [])
    if any(claim.pod.lies and claim.pod.node is node and claim.start < end for claim in claims):
        return False
    if by_log and end < until:
        return True
    if _state_shows(delivery, holding, start - near, end + near):
        return True
    if IPAMD in delivery.losses.given and not holding.spans(start - near, end + near):
        return False
    mine = [
        claim
        for claim in claims
        if claim.pod is holding.pod
        and claim.start + MARGIN <= start
        and end <= claim.end - 2 * SLOWEST_REPORT
    ]
    stopped = node.stopped is not None and node.stopped - 2 * SLOWEST_REPORT < end
    others = any(
        claim.pod is not holding.pod and claim.start < end and (claim.end > start or claim.pod.lies)
        for claim in claims
    )
    return delivery.losses.has_all_audit and bool(mine) and not (stopped or others)


def _state_shows(delivery: PodDelivery, holding: PodHolding, start: int, end: int) -> bool:
    """Return whether ``/v1/enis`` or ``ipam.json`` shows that a pod held its address all of a time."""
    node, given = holding.node, delivery.losses.given
    is_lost = delivery.world.nodes.index(node) in delivery.losses.nodes or node.instance.state != "running"
    is_there = node.used.get(holding.ip) is holding and holding.end is None
    if is_lost or not is_there or start < holding.start:
        return False
    held = [known.start for known in node.used.values()]
    by_checkpoint = IPAM in given and node.key >= (1, 11) and end <= max(held)
    by_endpoint = ENIS in given and end <= max(*held, 0, *(at for times in _released(node) for at in times))
    return by_checkpoint or by_endpoint


def _released(node: Node) -> list[tuple[int, int]]:
    """Return the last times of the free addresses of a node's pool."""
    return [times for ip, times in node.last.items() if ip not in node.used]


def pool_determined(delivery: PodDelivery, ip: str, vpc: str, second: int) -> bool:
    """Return whether the evidence determines that an address was free in the pool of a node.

    CloudTrail must determine the ENI, and the whole ``ipamd.log`` of its node has no assignment or release
    of the address nearer than the node's clock may be wrong.
    """
    world, trail = delivery.world, delivery.trail
    if TRAIL not in delivery.losses.given or not trail.complete or ":" in ip:
        return False
    if not all(determined(world.ec2, trail, ip, at, vpc) for at in (second - 1, second, second + 1)):
        return False
    held = next(iter(world.ec2.during(ip, second, vpc)), None)
    node = next((node for node in world.nodes if held is not None and held.eni in node.enis), None)
    if held is None or held.kind == PRIMARY or node is None or not delivery.has_log(node):
        return False
    near, start = MARGIN + abs(node.skew), second * 1000
    return (
        node.lines[0].at - node.skew + near < start < node.lines[-1].at - node.skew - near
        and not world.holders(ip, vpc, start - near, start + 1000 + near)
        and all(other != ip or abs(at - start) > near for other, at in node.failed)
    )


def ask_pod(delivery: PodDelivery, ip: str, vpc: str, second: int) -> PodQuestion:
    """Return a question with its true answer."""
    start, end = second * 1000, second * 1000 + 1000
    spanning = (h for h in delivery.world.holders(ip, vpc, start, end) if h.spans(start, end))
    return PodQuestion(ip, vpc, second, next(spanning, None), pod_determined(delivery, ip, vpc, second))


def pod_questions(delivery: PodDelivery, count: int = 100, seed: int = 0) -> Iterator[PodQuestion]:
    """Yield questions about addresses of pods and times around which something happened."""
    world, chance = delivery.world, random.Random(seed)
    for _ in range(count if world.holdings else 0):
        holding = chance.choice(world.holdings)
        begin, end = holding.start // 1000, (holding.end or world.now) // 1000
        second = chance.choice((begin, end, *(chance.randint(begin, end) for _ in range(6))))
        second += chance.choice((0, 0, 0, 0, 0, -1, 1, -9, 3, 9, 31))
        yield ask_pod(delivery, holding.ip, holding.vpc, max(second, START))


def is_right(delivery: PodDelivery, question: PodQuestion, name: tuple[str, str], uid: str | None) -> bool:
    """Return whether a pod held the address for the whole second; a node's clock may be wrong."""
    start, end = question.second * 1000, question.second * 1000 + 1000
    return any(
        held_by(holding, name, uid)
        and holding.spans(start + abs(holding.node.skew), end - abs(holding.node.skew))
        for holding in delivery.world.holders(question.ip, question.vpc, start - 2000, end + 2000)
    )


def held_by(holding: PodHolding, name: tuple[str, str], uid: str | None) -> bool:
    """Return whether a holding is that of a pod with this name, and this UID if it is known."""
    pod = holding.pod
    return (pod.namespace, pod.name) == name and uid in (None, pod.uid)


# --- what goes wrong -------------------------------------------------------------------------


def random_losses(world: PodWorld, seed: int) -> PodLosses:
    """Return what goes wrong with the evidence of a world, from a seed."""
    chance = random.Random(seed)
    kinds = sorted(ALL)
    given = chance.choice(
        (LOGS, LOGS, LOGS - {IPAMD}, LOGS - {AUDIT}, ALL, frozenset(chance.sample(kinds, 3)))
    )
    low, high = START * 1000, max(world.now, START * 1000 + 1)

    def hole(shortest: int) -> tuple[int, int]:
        begin = chance.randrange(low, high)
        return begin, begin + shortest + chance.randrange(600_000)

    def some(most: int) -> frozenset[int]:
        return frozenset(chance.sample(range(most), chance.choice((0, 0, min(1, most - 1)))))

    seconds = tuple(at // 1000 for at in hole(NOTICED * WINDOW * 1000))
    return PodLosses(
        given=frozenset(given),
        cut=chance.choice((0, 0, 0.05, 0.3)),
        emptied=chance.choice((0, 0, 0.05, 0.3)),
        holes=tuple(hole(1000) for _ in range(chance.choice((0, 0, 1, 2)))),
        streams=some(3),
        nodes=some(len(world.nodes)),
        oldest=chance.choice((0, 0, 1)),
        debug=chance.random() < 0.7,
        wrapped=chance.random() < 0.5,
        trail=Losses(
            begin=chance.choice((None, None, START + (high - low) // 3000)),
            holes=chance.choice(((), (), ((seconds[0], seconds[1]),))),
        ),
        seed=seed,
    )


def pod_losses(world: PodWorld) -> st.SearchStrategy[PodLosses]:
    """Draw what goes wrong with the evidence of a world."""
    return st.builds(random_losses, st.just(world), st.integers(0, 1 << 16))
