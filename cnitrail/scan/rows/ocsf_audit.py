"""Kubernetes audit events of EKS in OCSF, as Security Lake has them (source ``EKS_AUDIT``).

Each field is mapped back by AWS's mapping (github.com/ocsf/examples, mappings/markdown/AWS/*/EKS Audit Logs).
OCSF 1.5 has the two objects of an event as JSON texts. OCSF 1.1 flattens them into ``unmapped`` and joins the
values of lists with commas: of these, only what can be read in one way is put together again.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from cnitrail.jsontext import json_list, json_object
from cnitrail.scan.rows.result import Refused
from cnitrail.scan.rows.values import Columns, at, entries_of, put, time_text

_POD: Final = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/?]+)/pods(?:/(?P<name>[^/?]+)(?:/(?P<subresource>[^/?]+))?)?/?(?:\?.*)?"
)
_NODE: Final = re.compile(r"/api/v1/nodes(?:/(?P<name>[^/?]+)(?:/(?P<subresource>[^/?]+))?)?/?(?:\?.*)?")
_TARGETS: Final = {"pods": _POD, "nodes": _NODE}
"""The URLs of pods and nodes: ``resources[].type`` runs the resource and the subresource together."""

_FIELDS: Final = {
    "metadata.log_level": "level",
    "metadata.product.version": "apiVersion",
    "api.request.uid": "auditID",
    "message": "stage",
    "api.operation": "verb",
    "actor.user.name": "user.username",
    "actor.user.uid": "user.uid",
    "api.response.code": "responseStatus.code",
}
"""The audit event's field for each of OCSF's."""

_TIMES: Final = {
    "requestReceivedTimestamp": ("start_time_dt", "start_time"),
    "stageTimestamp": ("time_dt", "time"),
}
_OBJECTS: Final = {"requestObject": "api.request.data", "responseObject": "api.response.data"}
_CLUSTER: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_EXTRA: Final = "authentication.kubernetes.io/"
_TEXTS: Final = (
    *(
        tuple(path.split("."))
        for path in (
            *("kind", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.creationTimestamp"),
            *("spec.nodeName", "spec.serviceAccountName", "spec.providerID"),
            *("status.phase", "status.hostIP", "status.podIP"),
            *("target.kind", "target.name", "preconditions.uid"),
        )
    ),
    ("metadata", "annotations", "vpc.amazonaws.com/pod-eni"),
    ("metadata", "annotations", "kubernetes.io/config.mirror"),
)
"""The paths of the texts in the two objects of an event that say something of pods."""


class AuditRow(Struct, frozen=True):
    """A row that is an audit event: the event, its cluster if it names one, and what of it was lost."""

    event: Columns
    cluster: str | None
    unread: str | None = None


def is_ocsf_audit(row: Columns) -> bool:
    """Return whether a row is a Kubernetes audit event in OCSF."""
    if "api" not in row or "metadata" not in row:
        return False
    version = at(row, "metadata.product.version")
    return isinstance(version, str) and version.startswith("audit.k8s.io/")


def audit_row(row: Columns) -> AuditRow | Refused:
    """Return the audit event in a row, or why it cannot be read."""
    if any(isinstance(row.get(name), str) and json_object(row[name]) is None for name in ("api", "actor")):
        return Refused(
            "an audit event in OCSF with its objects as text, which could be read in more than one way; "
            "export the rows as JSON or Parquet, or select cast(api as json)"
        )
    event: Columns = {"kind": "Event"}
    for path, name in _FIELDS.items():
        if (value := at(row, path)) is not None:
            put(event, name.split("."), value)
    for name, paths in _TIMES.items():
        found = filter(None, (time_text(at(row, path)) for path in paths))
        if (time := next(found, None)) is not None:
            event[name] = time
    lacking = [name for name in ("auditID", "stage", "verb") if not isinstance(event.get(name), str)]
    if lacking:
        return Refused(f"an audit event in OCSF without its {' and '.join(lacking)}; select all columns")
    unmapped = {key: value for key, value in entries_of(row.get("unmapped")) if isinstance(value, str)}
    _add_user(event, row, unmapped)
    _add_target(event, row)
    unread = [name for name in _OBJECTS if not _add_object(event, row, name, unmapped)]
    if "impersonatedUser.username" in unmapped:
        event["impersonatedUser"] = {"username": unmapped["impersonatedUser.username"]}
    if (truncated := unmapped.get("annotations.audit.k8s.io/truncated")) is not None:
        event["annotations"] = {"audit.k8s.io/truncated": truncated}
    cluster = unmapped.get("eks_cluster_name", "")
    return AuditRow(
        event,
        cluster if _CLUSTER.fullmatch(cluster) else None,
        f"the {' and '.join(unread)} of an audit event in OCSF cannot be read" if unread else None,
    )


def _add_user(event: Columns, row: Columns, unmapped: Mapping[str, str]) -> None:
    """Add who called, and from which addresses."""
    groups = json_list(at(row, "actor.user.groups")) or []
    names = [group.get("name") for group in map(json_object, groups) if group is not None]
    put(event, ("user", "groups"), names)
    if (session := at(row, "actor.session.uid")) is not None:
        put(event, ("user", "extra", "sessionName"), [session])
    for name in ("pod-name", "pod-uid"):
        value = unmapped.get(f"user.extra.{_EXTRA}{name}[]") or unmapped.get(f"user.extra.{_EXTRA}{name}")
        if value is not None:
            put(event, ("user", "extra", _EXTRA + name), value.split(","))
    addresses = [at(row, "src_endpoint.ip"), *(json_list(at(row, "src_endpoint.intermediate_ips")) or ())]
    listed = unmapped.get("sourceIPs[]")
    event["sourceIPs"] = listed.split(",") if listed else [ip for ip in addresses if ip is not None]


def _add_target(event: Columns, row: Columns) -> None:
    """Add the pod or node that the request is about, by its URL."""
    uri, query = at(row, "http_request.url.path"), at(row, "http_request.url.query_string")
    if not isinstance(uri, str):
        return
    event["requestURI"] = f"{uri}?{query}" if isinstance(query, str) and "?" not in uri else uri
    for resource, pattern in _TARGETS.items():
        found = pattern.fullmatch(uri)
        if found is not None:
            named = {key: value for key, value in found.groupdict().items() if value is not None}
            event["objectRef"] = {"resource": resource, "apiVersion": "v1", **named}


def _add_object(event: Columns, row: Columns, name: str, unmapped: Mapping[str, str]) -> bool:
    """Add the request's or the response's object; return whether all that the row has of it can be read."""
    whole = at(row, _OBJECTS[name])
    if whole is not None:
        found = json_object(whole)
        if found is not None:
            event[name] = found
        return found is not None or json_list(whole) is not None
    prefix = name + "."
    flat = {key.removeprefix(prefix): value for key, value in unmapped.items() if key.startswith(prefix)}
    if flat:
        event[name] = _put_together(flat)
    return True


def _put_together(flat: Mapping[str, str]) -> Columns:
    """Return what of a flattened object says something of a pod.

    Nobody can choose a key that looks like another: that of a label or an annotation has its path before it.
    """
    made: Columns = {}
    for path in _TEXTS:
        if (value := flat.get(".".join(path))) is not None:
            put(made, path, value)
    if any(key.startswith("spec.") for key in flat):
        spec = made.setdefault("spec", {})
        assert isinstance(spec, dict)
        spec["hostNetwork"] = flat.get("spec.hostNetwork") == "true"
    if (grace := flat.get("gracePeriodSeconds", "")).isdecimal():
        made["gracePeriodSeconds"] = int(grace)
    if "dryRun[]" in flat or "dryRun" in flat:
        made["dryRun"] = ["All"]
    for key, values in (("podIPs", [*_pod_ips(flat)]), ("conditions", [*_conditions(flat)])):
        if values:
            put(made, ("status", key), values)
    if started := flat.get("status.containerStatuses[].state.running.startedAt"):
        states = [{"state": {"running": {"startedAt": time}}} for time in started.split(",")]
        put(made, ("status", "containerStatuses"), states)
    kind, owner = flat.get("metadata.ownerReferences[].kind"), flat.get("metadata.ownerReferences[].name")
    if kind and owner and flat.get("metadata.ownerReferences[].controller") == "true":
        put(made, ("metadata", "ownerReferences"), [{"kind": kind, "name": owner, "controller": True}])
    return made


def _pod_ips(flat: Mapping[str, str]) -> Iterator[Columns]:
    """Yield the addresses of a pod; none if some of them are removed, and it is not known which."""
    listed = flat.get("status.podIPs[].ip")
    if listed and "status.podIPs[].$patch" not in flat:
        for ip in listed.split(","):
            yield {"ip": ip}


def _conditions(flat: Mapping[str, str]) -> Iterator[Columns]:
    """Yield the conditions of a pod, if each has its status."""
    kinds = flat.get("status.conditions[].type", "").split(",")
    states = flat.get("status.conditions[].status", "").split(",")
    if len(kinds) == len(states) and kinds != [""]:
        for kind, state in zip(kinds, states, strict=True):
            yield {"type": kind, "status": state}
