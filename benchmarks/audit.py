"""Measures how fast Kubernetes audit events are read: `python benchmarks/audit.py [--megabytes 500] …`.

Writes invented audit events of a busy EKS cluster as JSON lines, as an export task of CloudWatch Logs and as
filter-log-events prints them, each gzipped. One in a hundred events is about a pod; the others are what fills
such a log: leases, reads, the states of nodes, endpoints. Each way runs in its own process, in turns; a ratio
is that to decompression alone.
"""

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

from measuring import Taken, taken

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import audit_events  # noqa: E402

BEGIN = datetime(2026, 5, 14, tzinfo=UTC)
LEVEL = 6
SHARES = {
    "lease of a node": 34,
    "lease of a controller": 22,
    "get": 20,
    "watch": 6,
    "node status": 5,
    "endpoint slice": 4,
    "endpoints": 3,
    "access review": 5,
    "pod": 1,
}
"""The kinds of events, by hundred."""

Event = dict[str, object]
DECOMPRESS = (
    "import sys\nfrom zlib import decompressobj\n"
    "inflating = decompressobj(wbits=31)\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    while chunk := file.read(1 << 16):\n"
    "        inflating.decompress(chunk)\n"
)
PARSE = "import gzip,json,sys\nfor line in gzip.open(sys.argv[1]):\n    json.loads(line)\n"


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    name: str
    instance: str
    ip: str


def nodes(random: Random) -> list[Node]:
    """Return 60 nodes."""
    found = []
    for number in range(60):
        ip = f"10.0.{number // 16}.{10 + number % 16 * 15}"
        name = f"ip-{ip.replace('.', '-')}.eu-west-1.compute.internal"
        found.append(Node(name, f"i-0{random.getrandbits(64):016x}", ip))
    return found


def events() -> Iterator[tuple[datetime, Event]]:
    """Yield events without end, 200 a second."""
    random = Random(7)
    fleet = nodes(random)
    kinds, weights = list(SHARES), list(SHARES.values())
    time, number = BEGIN, 0
    while True:
        number += 1
        time += timedelta(microseconds=random.randrange(10_000))
        node = random.choice(fleet)
        kind = random.choices(kinds, weights)[0]
        yield time, _event(kind, f"{time:%Y-%m-%dT%H:%M:%S.%f}Z", node, number, random)


def _event(kind: str, time: str, node: Node, number: int, random: Random) -> Event:
    kubelet = audit_events.kubelet(node.name, node.instance)
    pod = number % 40
    account = audit_events.service_account("karpenter", "karpenter", f"karpenter-{pod}", f"uid-{pod}")
    match kind:
        case "lease of a node":
            target = {"resource": "leases", "namespace": "kube-node-lease", "name": node.name}
            user, verb = kubelet, "update"
        case "lease of a controller":
            target = {"resource": "leases", "namespace": "karpenter", "name": f"lease-{pod}"}
            user, verb = account, random.choice(("get", "update"))
        case "get":
            target = {"resource": "pods", "namespace": "shop", "name": f"web-{number}"}
            user, verb = kubelet, "get"
        case "watch":
            target = {"resource": "configmaps", "namespace": "shop", "name": "kube-root-ca.crt"}
            user, verb = kubelet, "watch"
        case "endpoint slice":
            target = {"resource": "endpointslices", "namespace": "shop", "name": f"web-{pod}"}
            user, verb = audit_events.other_user("system:serviceaccount:kube-system:eps"), "update"
        case "access review":
            target = {"resource": "subjectaccessreviews", "apiGroup": "authorization.k8s.io"}
            user, verb = account, "create"
        case "node status":
            target = {"resource": "nodes", "name": node.name, "subresource": "status"}
            return audit_events.event(
                time,
                "patch",
                kubelet,
                target,
                asked=_node_status(time),
                level="Request",
                source_ips=(node.ip,),
            )
        case "endpoints":
            target = {"resource": "endpoints", "namespace": "shop", "name": f"web-{pod}"}
            user = audit_events.other_user("system:serviceaccount:kube-system:endpoint-controller")
            return audit_events.event(time, "update", user, target, asked=_endpoints(node, number))
        case _:
            return _pod_event(time, node, number)
    return audit_events.event(time, verb, user, target, level="Metadata", source_ips=(f"10.0.9.{pod}",))


def _pod_event(time: str, node: Node, number: int) -> Event:
    pod, uid = f"shop/web-6d4cf56db6-{number}", f"10177585-b79f-44a0-bdcc-{number:012}"
    ip, place = (
        f"10.1.{number // 200 % 256}.{number % 200 + 4}",
        {"node": node.name, "instance": node.instance},
    )
    match number % 4:
        case 0:
            return audit_events.bind(time, pod, uid, node=node.name)
        case 1:
            return audit_events.final_delete(time, pod, uid, ips=[ip], **place)
        case _:
            return audit_events.status_patch(time, pod, uid, ips=[ip], phase="Running", **place)


def _node_status(time: str) -> Event:
    conditions = [
        {
            "lastHeartbeatTime": time,
            "lastTransitionTime": "2026-05-01T09:30:00Z",
            "message": f"kubelet has sufficient {what} available",
            "reason": f"KubeletHasSufficient{what}",
            "status": "False",
            "type": f"{what}Pressure",
        }
        for what in ("Memory", "Disk", "PID", "Ready")
    ]
    return {"status": {"$setElementOrder/conditions": [{"type": "Ready"}], "conditions": conditions}}


def _endpoints(node: Node, number: int) -> Event:
    addresses = [
        {
            "ip": f"10.1.7.{index}",
            "nodeName": node.name,
            "targetRef": {"kind": "Pod", "name": f"web-{index}", "namespace": "shop", "uid": f"{number:036}"},
        }
        for index in range(8)
    ]
    return {"kind": "Endpoints", "apiVersion": "v1", "subsets": [{"addresses": addresses}]}


def _line(time: datetime, event: Event) -> str:  # noqa: ARG001
    return json.dumps(event, separators=(",", ":")) + "\n"


def _export(time: datetime, event: Event) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z {_line(time, event)}"


def _message(time: datetime, event: Event) -> str:
    row = {"timestamp": round(time.timestamp() * 1000), "message": _line(time, event)[:-1]}
    return json.dumps(row, separators=(",", ":")) + "\n"


FORMS: dict[str, Callable[[datetime, Event], str]] = {
    "JSON lines": _line,
    "export task": _export,
    "log events, one a line": _message,
}


def write(path: Path, form: Callable[[datetime, Event], str], megabytes: int) -> int:
    """Write a gzipped file with this much text in it; return the number of events."""
    size = number = 0
    with gzip.open(path, "wt", LEVEL) as out:
        for time, event in events():
            line = form(time, event)
            out.write(line)
            size += len(line)
            number += 1
            if size >= megabytes * 1_000_000:
                break
    return number


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--megabytes", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, form in FORMS.items():
            path, out = Path(folder, f"{name.split(',')[0].replace(' ', '-')}.gz"), Path(folder, "out")
            number = write(path, form, asked.megabytes)
            ways = {
                "decompression alone: zlib": [sys.executable, "-c", DECOMPRESS, str(path)],
                "**cnitrail pods -o jsonl**": [
                    sys.executable,
                    "-m",
                    "cnitrail",
                    "pods",
                    str(path),
                    "-o",
                    "jsonl",
                ],
            }
            if form is _line:
                ways["gzip, json.loads"] = [sys.executable, "-c", PARSE, str(path)]
            _table(f"{name}: {asked.megabytes} MB, {number:,} events", ways, out, asked.rounds)
            path.unlink()


def _table(title: str, ways: dict[str, list[str]], out: Path, rounds: int) -> None:
    took: dict[str, list[Taken]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, command in ways.items():
            took[way].append(taken(command, out, cores=1))
    limit = median(run.cpu for run in next(iter(took.values())))
    print(f"\n{title}\n\n| way | wall s | CPU s | CPU ÷ limit | peak MB |\n|---|---|---|---|---|")
    for way, runs in took.items():
        wall, cpu = median(run.wall for run in runs), median(run.cpu for run in runs)
        memory = max(run.process_mb for run in runs)
        print(f"| {way} | {wall:.2f} | {cpu:.2f} | {cpu / limit:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
