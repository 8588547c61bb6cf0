"""How a JSON object is recognized as pod evidence: by the keys that it has."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

POD_OBJECTS: Final = (
    ("eks-audit", {"auditID", "stage"}),
    ("ipamd-log", {"level", "ts", "caller", "msg"}),
    ("kubernetes-pods", {"apiVersion", "kind", "metadata"}),
    ("kubernetes-pods", {"metadata", "spec", "status"}),
    ("kube-state-metrics", {"metric", "value"}),
    ("kube-state-metrics", {"metric", "values"}),
    ("ipamd-enis", {"ENIs"}),
    ("ipamd-enis", {"ENIIPPools"}),
    ("ipam-checkpoint", {"version", "allocations"}),
)
"""Forms and the keys of their objects, most specific first."""

_BEGINNINGS: Final = {
    "ipam-checkpoint": ("version", b'"vpc-cni-ipam/'),
    "kube-state-metrics": ("metric", b"{"),
    "kubernetes-pods": ("metadata", b"{"),
    "ipamd-enis": ("ENIs", b"{"),
}
"""Forms whose keys are common words: a key, and what its value begins with."""

_HINT: Final = "; give the pods as kubectl get pods -A -o json prints them"
_BRANCHES: Final = "vpc.amazonaws.com/pod-eni"
_CARD: Final = re.compile(rb'\{\s*+(?:"[A-Za-z0-9]{1,40}"\s*+:\s*+[0-9]{1,9}\s*+,\s*+){0,4}"ENIs"\s*+:')
"""The beginning of what ipamd says about a network card: its counts and interfaces."""


_TELLING: Final = frozenset(("auditID", "msg", "metadata", "metric", "ENIs", "ENIIPPools", "allocations"))
"""A key of each form: most objects have none of them."""


def pod_form_of(fields: Mapping[str, Raw]) -> str | None:
    """Return the form of an object of pod evidence by its keys; None if it is none."""
    if _TELLING.isdisjoint(fields) and not next(iter(fields), "").isdecimal():
        return None
    found = next((form for form, needed in POD_OBJECTS if needed <= fields.keys()), None)
    if found == "kubernetes-pods" and (bytes(fields.get("items", b"")).startswith(b"[") or _is_table(fields)):
        return None  # the elements of a list are the records
    if found == "kubernetes-pods" and _is_pod_of_python(fields):
        return None
    key, beginning = _BEGINNINGS.get(found or "", ("", b""))
    if not bytes(fields.get(key, beginning)).startswith(beginning):
        return None
    if found is None and fields and all(map(str.isdecimal, fields)):
        is_card = all(_CARD.match(bytes(card)) is not None for card in fields.values())
        return "ipamd-enis" if is_card else None
    return found


_EMPTY_LIST: Final = re.compile(rb'"[A-Za-z]{0,64}List"')


def _is_table(fields: Mapping[str, Raw]) -> bool:
    """Return whether an object is what the API server answers for the table of kubectl, or in a row of it."""
    return bytes(fields.get("kind", b"")) in (b'"Table"', b'"PartialObjectMetadata"')


def _is_pod_of_python(fields: Mapping[str, Raw]) -> bool:
    """Return whether an object is a pod with the keys of Kubernetes' client for Python."""
    return "api_version" in fields and b'"pod_ip"' in bytes(fields.get("status", b""))


def is_empty_list(fields: Mapping[str, Raw]) -> bool:
    """Return whether an object is a list of Kubernetes objects without any, as kubectl prints it."""
    items = bytes(fields.get("items", b"?")).translate(None, b" \t\r\n")
    return items in (b"[]", b"null") and _EMPTY_LIST.fullmatch(bytes(fields.get("kind", b""))) is not None


def why_no_evidence(fields: Mapping[str, Raw]) -> str | None:
    """Return why an object is about pods and still no evidence; None if it is not about pods."""
    if b'"frames"' in bytes(fields.get("results", b"")) or {"schema", "data"} <= fields.keys():
        return (
            "data frames of Grafana; give the answer of Prometheus itself: "
            "/api/v1/query_range?query=kube_pod_info&start=START&end=END&step=30"
        )
    if _BRANCHES in fields:
        return (
            "a pod-eni annotation without its pod: it does not say which pod it belongs to; "
            "give the pods as kubectl get pods -A -o json prints them"
        )
    if _is_pod_of_python(fields):
        return f"to_dict() of Kubernetes' client for Python renames the keys of a pod{_HINT}"
    return None


_TABLE: Final = re.compile(
    rb"\A\s*(?:NAMESPACE[ \t]{2,})?NAME[ \t]{2,}READY[ \t]{2,}STATUS[ \t]{2,}RESTARTS[ \t]{2,}AGE\b"
)
_API_TABLE: Final = re.compile(rb'\A\s*\{\s*"kind"\s*:\s*"Table"\s*,\s*"apiVersion"\s*:\s*"meta\.k8s\.io/')
"""What ``kubectl get`` asks the API server for unless another output is chosen."""

_DESCRIPTION: Final = re.compile(
    rb"\A\s*Name:[ \t]{2,}[^\n]*\nNamespace:[ \t]{2,}[^\n]*\n(?:[^\n]*\n){0,40}?IPs?:"
)


def why_no_table(head: bytes) -> str | None:
    """Return why a text that kubectl prints of pods is no evidence; None if it is none."""
    if _TABLE.match(head) or _API_TABLE.match(head):
        return f"the table of kubectl get pods has ages instead of times{_HINT}"
    if _DESCRIPTION.match(head):
        return f"what kubectl describe pod prints is for people{_HINT}"
    return None
