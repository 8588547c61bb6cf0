"""Lines of ``ipamd.log`` and ``plugin.log`` as the releases of the VPC CNI write them.

A generation is the first release of a series, such as ``"1.5"`` or ``"1.23"``; the texts are those of
amazon-vpc-cni-k8s at its tags. A time is text with milliseconds: ``2026-05-14T09:30:00.123Z``.
"""

import json

GENERATIONS = (
    "1.0",
    "1.5",
    "1.6",
    "1.6.4",
    "1.7",
    "1.9",
    "1.10",
    "1.15",
    "1.16",
    "1.19",
    "1.20",
    "1.21.2",
    "1.23",
)

INTERFACE = "eth0"


def number(version: str) -> tuple[int, ...]:
    """Return a version to compare with."""
    return tuple(map(int, version.split(".")))


def log(*lines: str) -> bytes:
    """Return a log file with these lines."""
    return "".join(line + "\n" for line in lines).encode()


def line(version: str, time: str, message: str, *, level: str = "info", caller: str = "") -> str:
    """Return a line: of seelog before 1.6.1, else of zap."""
    if number(version) < (1, 5):
        return f"{time[:19]}Z [{level.upper()}] {message}"
    if number(version) < (1, 6):
        return f"{time} [{level.upper()}]\t{message}"
    if version == "1.6":
        return f"{time} [{level.upper()}] \t{message}"
    fields = {"level": level, "ts": time, "caller": caller or "ipamd/ipamd.go:476", "msg": message}
    return json.dumps(fields, separators=(",", ":"))


def key(sandbox: str) -> str:
    """Return how ipamd writes a sandbox since 1.7."""
    return f"aws-cni/{sandbox}/{INTERFACE}"


def assign(
    version: str, time: str, ip: str, sandbox: str, pod: tuple[str, str], *, recovered: bool = False
) -> str:
    """Return the line of an assignment; ``recovered``: after a restart of ipamd, as a repetition."""
    namespace, name = pod
    if number(version) < (1, 7):
        prefix = "AssignPodIPv4Address" + (":" if number(version) >= (1, 5) else "")
        if recovered:
            return line(
                version, time, f"{prefix} Reassign IP {ip} to pod (name {name}, namespace {namespace})"
            )
        kind = "sandbox" if number(version) >= (1, 6) else "container"
        text = f"{prefix} Assign IP {ip} to pod (name {name}, namespace {namespace} {kind} {sandbox})"
        return line(version, time, text)
    unsafe = number(version) >= (1, 16)
    prefix = "assignPodIPAddressUnsafe" if unsafe else "AssignPodIPv4Address"
    text = f"{prefix}: Assign IP {ip} to sandbox {key(sandbox)}"
    if number(version) >= (1, 20):
        metadata = f"{{K8SPodNamespace:{namespace} K8SPodName:{name} InterfacesCount:1}}"
        text += f" with metadata {metadata}"
    return line(version, time, text, caller=f"datastore/data_store.go:{399 if recovered else 838}")


def release(version: str, time: str, ip: str, sandbox: str, pod: tuple[str, str]) -> str:
    """Return the line of a release; since 1.7 it is followed by ``released``."""
    if number(version) < (1, 7):
        return released(version, time, ip, sandbox, pod)
    if number(version) >= (1, 16):
        prefix = "unassignPodIPAddressUnsafe"
    else:
        prefix = "UnAssignPodIPAddress" if number(version) >= (1, 10) else "UnAssignPodIPv4Address"
    text = f"{prefix}: Unassign IP {ip} from sandbox {key(sandbox)}"
    return line(version, time, text, caller="datastore/data_store.go:1262")


def released(version: str, time: str, ip: str, sandbox: str, pod: tuple[str, str]) -> str:
    """Return the line that ends a release."""
    namespace, name = pod
    if number(version) < (1, 7):
        prefix = "UnassignPodIPv4Address" if number(version) >= (1, 5) else "UnAssignIPv4Address"
        kind = "Sandbox" if number(version) >= (1, 6) else "Container"
        who = f"pod (Name: {name}, NameSpace {namespace} {kind} {sandbox})"
        return line(version, time, f"{prefix}: {who}'s ipAddr {ip}, DeviceNumber0")
    prefix = "UnassignPodIPAddress" if number(version) >= (1, 10) else "UnassignPodIPv4Address"
    text = f"{prefix}: sandbox {key(sandbox)}'s ipAddr {ip}, DeviceNumber 0"
    return line(version, time, text, caller="ipamd/rpc_handler.go:353")


def add_request(version: str, time: str, sandbox: str, pod: tuple[str, str]) -> str:
    """Return the line with the pod of a sandbox, when the kubelet asks for its network (debug since 1.7)."""
    namespace, name = pod
    if number(version) < (1, 7):
        kind = "Sandbox" if number(version) >= (1, 6) else "Container"
        who = f"Pod {name}, NameSpace {namespace}, {kind} {sandbox}"
        return line(version, time, f"Received AddNetwork for NS /proc/1/ns/net, {who}, ifname {INTERFACE}")
    return _request(version, time, "AddNetworkRequest", sandbox, pod, Netns="/var/run/netns/cni-a1")


def del_request(version: str, time: str, sandbox: str, pod: tuple[str, str]) -> str:
    """Return the line with the pod of a sandbox, when its network is given back (debug since 1.7)."""
    namespace, name = pod
    if number(version) < (1, 7):
        kind = "Sandbox" if number(version) >= (1, 6) else "Container"
        who = f"Pod {name}, Namespace {namespace}, {kind} {sandbox}"
        return line(version, time, f"Received DelNetwork for IP <nil>, {who}")
    return _request(version, time, "DelNetworkRequest", sandbox, pod, Reason="PodDeleted")


def _request(version: str, time: str, kind: str, sandbox: str, pod: tuple[str, str], **more: str) -> str:
    namespace, name = pod
    fields = {
        "ClientVersion": "v" + version,
        "K8S_POD_NAME": name,
        "K8S_POD_NAMESPACE": namespace,
        "K8S_POD_INFRA_CONTAINER_ID": sandbox,
        "ContainerID": sandbox,
        "IfName": INTERFACE,
        "NetworkName": "aws-cni",
    }
    blanks = "  " if number(version) >= (1, 12) else " "
    text = blanks.join(f'{field}:"{value}"' for field, value in (fields | more).items())
    return line(version, time, f"{kind}: {text}", level="debug", caller="rpc/rpc.pb.go:713")


def recovered(version: str, time: str, ip: str, sandbox: str, eni: str) -> str:
    """Return the line that follows ``assign(recovered=True)`` since 1.7 (debug)."""
    text = f"Recovered {key(sandbox)} => {eni}/{ip}"
    return line(version, time, text, level="debug", caller="ipamd/ipamd.go:445")


def eni_listed(version: str, time: str, eni: str, held: str) -> str:
    """Return the line with which ipamd takes an address (or prefix since 1.9) of an ENI into its pool."""
    what = "IP/Prefix" if number(version) >= (1, 9) else "IP"
    cidr = held if "/" in held or what == "IP" else held + "/32"
    return line(version, time, f"Added ENI({eni})'s {what} {cidr} to datastore", caller="ipamd/ipamd.go:1316")


def started(version: str, time: str, instance: str) -> tuple[str, ...]:
    """Return the lines with which ipamd starts."""
    return (
        line(version, time, f"Starting L-IPAMD v{version}.0  ...", caller="runtime/proc.go:250"),
        line(
            version, time, f"Found instance-id: {instance} ", level="debug", caller="awsutils/awsutils.go:410"
        ),
    )
