"""Parts of Kubernetes objects that audit events and the output of kubectl have in common.

https://kubernetes.io/docs/reference/kubernetes-api/
"""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from cnitrail.decode.pods.markers import BRANCH_ANNOTATION
from cnitrail.decode.shapes import Fields, address, fields, shared_text, text, time
from cnitrail.jsontext import json_list
from cnitrail.model import Address
from cnitrail.model.pod_facts import BranchGiven
from cnitrail.model.pods import PodName

MAX_ADDRESSES: Final = 16
"""Elements of ``podIPs`` that are read: the API server takes one of each IP version, and a patch names old
ones too (validatePodIPs in pkg/apis/core/validation/validation.go)."""

_CONTAINERS: Final = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_PROVIDER_ID: Final = re.compile(r"aws:///[a-z0-9-]*/(i-[0-9a-f]{8,17})")
_ENI: Final = re.compile(r"eni-[0-9a-f]{8,17}")


def objects_in(value: object) -> Iterator[Fields]:
    """Yield the elements of a list of objects; nothing if it is none."""
    return map(fields, value) if isinstance(value, list) else iter(())


def addresses_of(status: Fields) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """Return the addresses that a status has, and those that a strategic merge patch deletes from it."""
    given: dict[Address, None] = {}
    removed: dict[Address, None] = {}
    first = address(text(status.get("podIP")) or "")
    if first is not None:
        given[first] = None
    for element in islice(objects_in(status.get("podIPs")), MAX_ADDRESSES):
        ip = address(text(element.get("ip")) or "")
        if ip is not None:
            (removed if element.get("$patch") == "delete" else given)[ip] = None
    return tuple(given), tuple(removed)


def is_ready(status: Fields) -> bool | None:
    """Return whether a pod is ready, by its condition; None if the status does not have it."""
    for condition in objects_in(status.get("conditions")):
        if condition.get("type") == "Ready":
            return condition.get("status") == "True"
    return None


def containers_of(status: Fields) -> Iterator[Fields]:
    """Yield the statuses of all containers of a pod."""
    for key in _CONTAINERS:
        yield from objects_in(status.get(key))


def running_since(status: Fields) -> datetime | None:
    """Return when the first of the containers started that are running."""
    states = (fields(container.get("state")) for container in containers_of(status))
    starts = (time(fields(state.get("running")).get("startedAt")) for state in states)
    return min((start for start in starts if start is not None), default=None)


def ran_at(status: Fields) -> datetime | None:
    """Return when the last of the containers started that have exited."""
    states = (fields(container.get("state")) for container in containers_of(status))
    starts = (time(fields(state.get("terminated")).get("startedAt")) for state in states)
    return max((start for start in starts if start is not None), default=None)


def service_account_of(pod: PodName, spec: Fields) -> str | None:
    """Return the service account of a pod as ``namespace/name``."""
    name = text(spec.get("serviceAccountName")) or text(spec.get("serviceAccount"))
    return shared_text(f"{pod.namespace}/{name}") if name is not None else None


def owner_of(meta: Fields) -> str | None:
    """Return the controller of an object, such as ``ReplicaSet/web-6d4cf56db6``; its creator may name any."""
    for owner in objects_in(meta.get("ownerReferences")):
        kind, name = text(owner.get("kind")), text(owner.get("name"))
        if owner.get("controller") is True and kind is not None and name is not None:
            return shared_text(f"{kind}/{name}")
    return None


def branch_annotation(whole: Fields) -> str | None:
    """Return the annotation of an object that names its branch ENIs."""
    return text(fields(fields(whole.get("metadata")).get("annotations")).get(BRANCH_ANNOTATION))


def branches_in(
    annotation: str | None, pod: PodName, uid: str | None, *, by_controller: bool
) -> Iterator[BranchGiven]:
    """Yield the branch ENIs that an annotation names, with each of their addresses."""
    for branch in objects_in(json_list(annotation)):
        eni = text(branch.get("eniId")) or ""
        for key in ("privateIp", "ipv6Addr"):
            ip = address(text(branch.get(key)) or "")
            if ip is not None and _ENI.fullmatch(eni):
                yield BranchGiven(pod=pod, uid=uid, eni=eni, ip=ip, by_controller=by_controller)


def instance_of(provider_id: object) -> str | None:
    """Return the instance of a node's ``spec.providerID`` (``aws:///eu-west-1a/i-…``)."""
    found = _PROVIDER_ID.fullmatch(provider_id) if isinstance(provider_id, str) else None
    return found[1] if found is not None else None
