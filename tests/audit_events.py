"""Kubernetes audit events as EKS writes them, for tests: each is the object of one event.

The shapes follow EKS's audit policy (the EKS best practices guide, detective controls): a kubelet's patches
of pods/status have level Request, other writes of pods have RequestResponse.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Event = dict[str, Any]

ACCOUNT = "111122223333"
NODE = "ip-10-0-1-10.eu-west-1.compute.internal"
INSTANCE = "i-0a1b2c3d4e5f60718"
UID = "10177585-b79f-44a0-bdcc-c68ec12d012a"
SCHEDULER = "system:kube-scheduler"
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
RESOURCE_CONTROLLER = "eks:vpc-resource-controller"


def kubelet(node: str = NODE, instance: str = INSTANCE) -> Event:
    """Return the user of an event that a kubelet of an EC2 instance caused."""
    role = "eks-node-role"
    return {
        "username": f"system:node:{node}",
        "uid": f"aws-iam-authenticator:{ACCOUNT}:AROAEXAMPLENODEROLE00",
        "groups": ["system:bootstrappers", "system:nodes", "system:authenticated"],
        "extra": {
            "accessKeyId": ["ASIAEXAMPLENODE00000"],
            "arn": [f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{instance}"],
            "canonicalArn": [f"arn:aws:iam::{ACCOUNT}:role/{role}"],
            "principalId": ["AROAEXAMPLENODEROLE00"],
            "sessionName": [instance],
        },
    }


def other_user(name: str, *groups: str) -> Event:
    """Return the user of an event that is no kubelet."""
    return {"username": name, "groups": [*groups, "system:authenticated"]}


def service_account(namespace: str, name: str, pod: str, uid: str) -> Event:
    """Return the user of an event that a pod caused with its service account's token."""
    return {
        "username": f"system:serviceaccount:{namespace}:{name}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/pod-name": [pod],
            "authentication.kubernetes.io/pod-uid": [uid],
        },
    }


def event(
    time: str,
    verb: str,
    user: Event,
    target: Event,
    *,
    asked: object = None,
    answered: object = None,
    code: int = 200,
    level: str = "RequestResponse",
    source_ips: Iterable[str] = ("10.0.1.10",),
    query: str = "",
    audit_id: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Event:
    """Return an audit event; its ID is derived from its content if none is given."""
    resource, name, part = target["resource"], target.get("name"), target.get("subresource")
    place = f"/namespaces/{target['namespace']}" if "namespace" in target else ""
    uri = f"/api/v1{place}/{resource}" + "".join(f"/{step}" for step in (name, part) if step) + query
    made: Event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level,
        "auditID": audit_id or _id(time, verb, uri, user["username"]),
        "stage": "ResponseComplete",
        "requestURI": uri,
        "verb": verb,
        "user": user,
        "sourceIPs": list(source_ips),
        "userAgent": "kubelet/v1.31.4 (linux/amd64) kubernetes/a1b2c3d",
        "objectRef": {"apiVersion": "v1", **target},
        "responseStatus": {"metadata": {}, "code": code},
    }
    if asked is not None:
        made["requestObject"] = asked
    if answered is not None:
        made["responseObject"] = answered
    made["requestReceivedTimestamp"] = made["stageTimestamp"] = time
    made["annotations"] = {"authorization.k8s.io/decision": "allow", **(annotations or {})}
    return made


def pod_object(
    pod: str,
    uid: str | None = UID,
    *,
    node: str | None = None,
    ips: Iterable[str] = (),
    phase: str | None = None,
    host_ip: str | None = None,
    host_network: bool = False,
    service_account: str | None = "default",
    owner: tuple[str, str] | None = None,
    created: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Event:
    """Return a Pod as the API server returns it; ``pod`` is ``namespace/name``."""
    namespace, name = pod.split("/")
    meta: Event = {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": created}
    if owner is not None:
        meta["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    if annotations is not None:
        meta["annotations"] = dict(annotations)
    spec: Event = {"containers": [{"name": "app", "image": "app:1"}]}
    spec |= {"hostNetwork": True} if host_network else {}
    spec |= {"nodeName": node} if node is not None else {}
    spec |= {"serviceAccountName": service_account} if service_account is not None else {}
    status = _addresses(ips)
    status |= {"phase": phase} if phase is not None else {}
    status |= {"hostIP": host_ip} if host_ip is not None else {}
    meta = {key: value for key, value in meta.items() if value is not None}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}


def create(time: str, pod: str, uid: str = UID, *, user: Event | None = None, **whole: Any) -> Event:
    """Return the creation of a pod by a controller; ``whole`` are arguments of ``pod_object``."""
    namespace, _ = pod.split("/")
    answered = pod_object(pod, uid, phase="Pending", **whole)
    asked = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace},
        "spec": answered["spec"],
    }
    target = {"resource": "pods", "namespace": namespace}
    return event(
        time, "create", user or other_user(CONTROLLER), target, asked=asked, answered=answered, code=201
    )


def bind(time: str, pod: str, uid: str = UID, *, node: str = NODE) -> Event:
    """Return the binding of a pod to a node by the scheduler."""
    namespace, name = pod.split("/")
    target = {
        "resource": "pods",
        "namespace": namespace,
        "name": name,
        "uid": uid,
        "subresource": "binding",
    }
    asked = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "target": {"kind": "Node", "name": node},
    }
    answered = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return event(time, "create", other_user(SCHEDULER), target, asked=asked, answered=answered, code=201)


def status_patch(
    time: str,
    pod: str,
    uid: str = UID,
    *,
    ips: Iterable[str] = (),
    removed: Iterable[str] = (),
    phase: str | None = None,
    host_ip: str | None = None,
    ready: bool | None = None,
    started: str | None = None,
    node: str = NODE,
    instance: str = INSTANCE,
    user: Event | None = None,
    code: int = 200,
    query: str = "",
) -> Event:
    """Return a patch of pods/status, by the node's kubelet: it has only what changed."""
    namespace, name = pod.split("/")
    status = _addresses(ips)
    for ip in removed:
        status.setdefault("podIPs", []).append({"$patch": "delete", "ip": ip})
        status["$setElementOrder/podIPs"] = [{"ip": kept} for kept in ips]
    status |= {"phase": phase} if phase is not None else {}
    status |= {"hostIP": host_ip} if host_ip is not None else {}
    if ready is not None:
        state = "True" if ready else "False"
        status["conditions"] = [{"type": "Ready", "status": state, "lastTransitionTime": time}]
    if started is not None:
        status["containerStatuses"] = [{"name": "app", "state": {"running": {"startedAt": started}}}]
    target = {"resource": "pods", "namespace": namespace, "name": name, "subresource": "status"}
    by = user if user is not None else kubelet(node, instance)
    asked = {"metadata": {"uid": uid}, "status": status}
    return event(time, "patch", by, target, asked=asked, level="Request", code=code, query=query)


def delete(
    time: str,
    pod: str,
    uid: str = UID,
    *,
    user: Event | None = None,
    grace: int | None = None,
    node: str = NODE,
    ips: Iterable[str] = (),
    **whole: Any,
) -> Event:
    """Return the deletion of a pod by a controller, or by ``user``."""
    namespace, name = pod.split("/")
    target = {"resource": "pods", "namespace": namespace, "name": name}
    asked: Event = {"kind": "DeleteOptions", "apiVersion": "v1"}
    asked |= {"gracePeriodSeconds": grace} if grace is not None else {}
    answered = pod_object(pod, uid, node=node, ips=ips, **whole)
    return event(time, "delete", user or other_user(CONTROLLER), target, asked=asked, answered=answered)


def final_delete(
    time: str, pod: str, uid: str = UID, *, node: str = NODE, instance: str = INSTANCE, **whole: Any
) -> Event:
    """Return the deletion of a pod by its kubelet once its containers and its sandbox are gone."""
    made = delete(time, pod, uid, user=kubelet(node, instance), grace=0, node=node, **whole)
    made["requestObject"]["preconditions"] = {"uid": uid}
    return made


def life(
    pod: str,
    uid: str = UID,
    *,
    ips: Iterable[str],
    bound: str,
    reported: str,
    proven: str | None = None,
    gone: str | None = None,
    node: str = NODE,
    instance: str = INSTANCE,
    ready: bool | None = None,
) -> list[Event]:
    """Return the life of a pod on a node, each event at the time of its argument.

    It is ``bound`` to the node, ``reported`` with its addresses, ``proven`` to be ready, and ``gone``.
    """
    there: dict[str, Any] = {"node": node, "instance": instance}
    ips = list(ips)
    events = [
        bind(bound, pod, uid, node=node),
        status_patch(reported, pod, uid, ips=ips, phase="Running", ready=ready, **there),
    ]
    if proven is not None:
        events.append(status_patch(proven, pod, uid, ready=True, **there))
    if gone is not None:
        events.append(final_delete(gone, pod, uid, ips=ips, **there))
    return events


def heartbeats(first: str, last: str, *, node: str = NODE, instance: str = INSTANCE) -> list[Event]:
    """Return the updates of a node's lease, one a minute: a log of a cluster never falls silent."""
    begin, end = (datetime.fromisoformat(time) for time in (first, last))
    target = {"resource": "leases", "namespace": "kube-node-lease", "name": node}
    minutes = range(int((end - begin) / timedelta(minutes=1)) + 1)
    times = ((begin + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z") for minute in minutes)
    return [event(time, "update", kubelet(node, instance), target, level="Metadata") for time in times]


def node_create(
    time: str,
    *,
    node: str = NODE,
    instance: str = INSTANCE,
    zone: str = "eu-west-1a",
    ip: str = "10.0.1.10",
    user: Event | None = None,
) -> Event:
    """Return the registration of a node by its kubelet."""
    made = {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": node},
        "spec": {"providerID": f"aws:///{zone}/{instance}"},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}]},
    }
    target = {"resource": "nodes", "name": node}
    by = user if user is not None else kubelet(node, instance)
    return event(time, "create", by, target, asked=made, answered=made, code=201, source_ips=(ip,))


def lines(events: Iterable[Event]) -> bytes:
    """Return audit events as lines of JSON, as the API server writes them."""
    return b"".join(json.dumps(made, separators=(",", ":")).encode() + b"\n" for made in events)


def log_events(events: Iterable[Event], *, stream: str = "kube-apiserver-audit-4e9f9d6f9d15381d") -> bytes:
    """Return audit events as ``aws logs filter-log-events`` prints them."""
    rows = [
        {
            "logStreamName": stream,
            "timestamp": _milliseconds(made["stageTimestamp"]),
            "message": json.dumps(made, separators=(",", ":")),
            "eventId": f"{number:056}",
        }
        for number, made in enumerate(events)
    ]
    return json.dumps({"events": rows}, indent=4).encode()


def _addresses(ips: Iterable[str]) -> Event:
    given = list(ips)
    return {"podIP": given[0], "podIPs": [{"ip": ip} for ip in given]} if given else {}


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _id(*parts: str) -> str:
    return str(uuid5(NAMESPACE_URL, json.dumps(parts)))
