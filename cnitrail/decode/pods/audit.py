"""Kubernetes audit events, as EKS writes them to CloudWatch Logs.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ has their fields; the EKS best practices
guide (detective controls) has the policy that says which of them are logged.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from cnitrail.decode.pods.pod_object import (
    addresses_of,
    branch_annotation,
    branches_in,
    instance_of,
    is_ready,
    objects_in,
    owner_of,
    running_since,
    service_account_of,
)
from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import Fields, Problems, address, fields, shared_text, text, time
from cnitrail.model.forms import CLOUDWATCH_TIME, IS_CUT
from cnitrail.model.pod_facts import (
    BranchGiven,
    NodeNamed,
    PodBound,
    PodDeleted,
    PodFact,
    PodReported,
)
from cnitrail.model.pods import PodName

_NODE: Final = "system:node:"
_RESOURCE_CONTROLLER: Final = "eks:vpc-resource-controller"
"""The user of the VPC resource controller that EKS runs: webhooks/core/annotation_validation_webhook.go of
amazon-vpc-resource-controller-k8s lets nobody else change the annotation of a branch ENI."""

_MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of the API server's copy of a static pod: the kubelet deletes it while the pod runs on."""

_INSTANCE: Final = re.compile(r"i-[0-9a-f]{8,17}")

_WHOLE_PARTS: Final = (None, "status", "ephemeralcontainers", "resize")
"""The subresources of a pod that are written and answered as a Pod; None is the pod itself."""

_CHANGES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_FIRST_YEAR: Final = 2014
"""The year of the first release of Kubernetes: an earlier time is none, as Go's zero time."""

_CUT: Final = "partly read: CloudWatch Logs cut it short, and what is left of it is used"
_UNTIMED: Final = (
    "it lost its times, and its envelope has none: export it with the times of CloudWatch Logs "
    "(aws logs filter-log-events)"
)
_DROPPED: Final = (
    "partly read: its objects are missing, because it was too long for the API server "
    "(audit.k8s.io/truncated)"
)

_PARTS: Final = ("user", "objectRef", "responseStatus", "requestObject", "responseObject")
_REWRITTEN: Final = (
    "its objectRef or another part is missing, or a text in place of an object: "
    "export the audit log as the API server writes it"
)


class _Call(Struct, frozen=True, kw_only=True):
    """An audit event, in the parts that its facts are made of."""

    verb: str | None
    user: Fields
    kubelet: str | None
    """The node whose kubelet calls, if one does."""
    target: Fields
    asked: Fields
    answered: Fields
    is_cut: bool

    @property
    def part(self) -> str | None:
        return text(self.target.get("subresource"))


def read(entry: object) -> PodReading:
    """Return what an audit event says about pods and their nodes."""
    event = fields(entry)
    call = _Call(
        verb=text(event.get("verb")),
        user=fields(event.get("user")),
        kubelet=_kubelet(event),
        target=fields(event.get("objectRef")),
        asked=_asked(event.get("requestObject")),
        answered=fields(event.get("responseObject")),
        is_cut=event.get(IS_CUT) is True,
    )
    facts = list(_facts(event, call))
    problems = Problems()
    is_short = call.is_cut or _is_dropped(event)
    if is_short and (facts or _may_be_about_pods(event, call)):
        problems.append(_CUT if call.is_cut else _DROPPED)
    elif _is_rewritten(event, call):
        problems.append(_REWRITTEN)
    if not facts:
        return PodReading(problems=tuple(problems)) if problems else NOTHING
    written = _time(event, call, problems)
    identity = f"{text(event.get('auditID'))}/{text(event.get('stage'))}"
    return PodReading(
        time=written, facts=tuple(facts), problems=tuple(problems), truncated=is_short, identity=identity
    )


def _asked(request: object) -> Fields:
    """Return the object of a request; of a JSON patch, what it sets except within lists (RFC 6902)."""
    asked = fields(request)
    for step in map(fields, request if isinstance(request, list) else ()):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in str(step.get("path")).split("/")[1:]]
        if step.get("op") not in ("add", "replace") or not keys or any(map(_IN_LIST.fullmatch, keys)):
            continue
        place = asked
        for key in keys[:-1]:
            place[key] = place = fields(place.get(key))
        place[keys[-1]] = step.get("value")
    return asked


_IN_LIST: Final = re.compile(r"[0-9]+|-")


def _time(event: Fields, call: _Call, problems: Problems) -> datetime | None:
    """Return when the API server got the request; of a cut event, when CloudWatch Logs got the event."""
    for key in ("requestReceivedTimestamp", "stageTimestamp", CLOUDWATCH_TIME):
        found = time(event.get(key))
        if found is not None and found.year >= _FIRST_YEAR:
            return found
        if event.get(key) is not None:
            problems.unreadable(key, event[key], "a time")
    problems.append("it has no time" if not call.is_cut else _UNTIMED)
    return None


def _is_dropped(event: Fields) -> bool:
    """Return whether the API server left out the objects of an event because it was too long."""
    return fields(event.get("annotations")).get("audit.k8s.io/truncated") == "true"


def _may_be_about_pods(event: Fields, call: _Call) -> bool:
    """Return whether an event that is not complete may have been one that says something about a pod."""
    if not _is_done(event, call, unknown=True) or call.verb not in _CHANGES:
        return False
    if call.target:
        return _is_core(call.target, "pods") and call.part in (*_WHOLE_PARTS, "binding")
    return "/pods" in (text(event.get("requestURI")) or "")


def _is_rewritten(event: Fields, call: _Call) -> bool:
    """Return whether a change of a pod has its parts as texts or flattened: the API server writes objects."""
    if event.get("stage") != "ResponseComplete" or call.verb not in _CHANGES:
        return False
    has_texts = any(isinstance(event.get(part), str) for part in _PARTS)
    return (has_texts or not call.target) and "/pods" in (text(event.get("requestURI")) or "")


def _is_core(target: Fields, resource: str) -> bool:
    """Return whether the target is of Kubernetes' core API: other API groups may have the same name."""
    return target.get("resource") == resource and not target.get("apiGroup")


def _is_done(event: Fields, call: _Call, *, unknown: bool) -> bool:
    """Return whether a request was carried out; ``unknown`` if the event was cut before its response."""
    if event.get("stage") != "ResponseComplete" or _is_dry_run(event, call.asked):
        return False
    response = event.get("responseStatus")
    if response is None and call.is_cut:
        return unknown
    code = fields(response).get("code")
    return isinstance(code, int) and not isinstance(code, bool) and 200 <= code < 300


def _is_dry_run(event: Fields, asked: Fields) -> bool:
    """Return whether a request was only tried: so it says in its URL, or in the options of a deletion."""
    options = (asked, fields(asked.get("deleteOptions")))
    if any(option.get("dryRun") for option in options):
        return True
    try:
        query = parse_qsl(urlsplit(text(event.get("requestURI")) or "").query)
    except ValueError:
        return True
    return any(key == "dryRun" for key, _ in query)


def _facts(event: Fields, call: _Call) -> Iterator[PodFact]:
    session = _session(call)
    if session is not None:
        yield session
    if call.verb not in _CHANGES or not _is_done(event, call, unknown=False):
        return
    if _is_core(call.target, "nodes"):
        yield from _registered(call)
    elif _is_core(call.target, "pods"):
        yield from _pod_facts(call)


def _kubelet(event: Fields) -> str | None:
    """Return the node whose kubelet calls; None if no kubelet does, or it acts as somebody else."""
    user = fields(event.get("user"))
    name, groups = text(user.get("username")) or "", user.get("groups")
    if not name.startswith(_NODE) or not isinstance(groups, list) or "system:nodes" not in groups:
        return None
    return shared_text(name.removeprefix(_NODE)) if not event.get("impersonatedUser") else None


def _session(call: _Call) -> NodeNamed | None:
    """Return the instance of the kubelet that calls: the session name of its role, which EC2 chooses."""
    session = _only(fields(call.user.get("extra")).get("sessionName"))
    if call.kubelet is None or session is None or not _INSTANCE.fullmatch(session):
        return None
    return _named(call.kubelet, session)


@lru_cache(maxsize=4096)
def _named(node: str, instance: str) -> NodeNamed:
    """Return one fact for all events of a kubelet."""
    return NodeNamed(node=node, instance=instance, basis="kubelet-session")


def _only(values: object) -> str | None:
    """Return the text in a list of one; None if it is none."""
    return text(values[0]) if isinstance(values, list) and len(values) == 1 else None


def _registered(call: _Call) -> Iterator[NodeNamed]:
    """Yield the instance of a node that its own kubelet registers, if its session allows it.

    A kubelet chooses the providerID, but not the name of its session: that of an instance is its ID.
    """
    node = call.answered if call.answered.get("kind") == "Node" else call.asked
    name = text(fields(node.get("metadata")).get("name"))
    instance = instance_of(fields(node.get("spec")).get("providerID"))
    session = _only(fields(call.user.get("extra")).get("sessionName"))
    if instance is None or session not in (None, instance):
        return
    if call.verb == "create" and call.kubelet is not None and name == call.kubelet:
        yield NodeNamed(node=name, instance=instance, basis="provider-id")


def _pod_facts(call: _Call) -> Iterator[PodFact]:
    if call.verb == "deletecollection":
        for item in objects_in(call.answered.get("items")):
            yield from _deleted(call, item)
    elif call.part == "binding":
        yield from _bound(call)
    elif call.part == "eviction":
        pod = _name(call, {})
        if pod is not None:
            yield PodDeleted(pod=pod, uid=_uid(call, {}), node=None, final=False)
    elif call.part in _WHOLE_PARTS:
        whole = call.answered if call.answered.get("kind") == "Pod" else {}
        if call.verb == "delete":
            yield from _deleted(call, whole)
        else:
            yield from _written(call, whole)


def _name(call: _Call, whole: Fields) -> PodName | None:
    """Return the name of a pod: as the API server has it, or as the request names it."""
    for holder in (fields(whole.get("metadata")), call.target, fields(call.asked.get("metadata"))):
        namespace, name = shared_text(holder.get("namespace")), text(holder.get("name"))
        if namespace is not None and name is not None:
            return PodName(namespace, name)
    return None


def _uid(call: _Call, whole: Fields) -> str | None:
    """Return the UID of a pod. In a request that was carried out, it is right: the API server compares it.

    Except for a creation, whose UID the API server chooses.
    """
    uid = text(fields(whole.get("metadata")).get("uid")) or text(call.target.get("uid"))
    if uid is not None or (call.verb == "create" and call.part is None):
        return uid
    needed = fields(call.asked.get("preconditions"))
    return text(fields(call.asked.get("metadata")).get("uid")) or text(needed.get("uid"))


def _bound(call: _Call) -> Iterator[PodBound]:
    pod, target = _name(call, {}), fields(call.asked.get("target"))
    node = shared_text(target.get("name"))
    if pod is not None and node is not None and target.get("kind") in (None, "", "Node"):
        yield PodBound(pod=pod, uid=_uid(call, {}), node=node)


def _deleted(call: _Call, whole: Fields) -> Iterator[PodFact]:
    """Yield what the deletion of a pod says: the pod as it was last, and whether its sandbox was gone."""
    pod, uid = _name(call, whole), _uid(call, whole)
    if pod is None:
        return
    if whole:
        yield _reported(call, whole, pod, uid, by_kubelet=False)
        yield from _branches(call, whole, pod, uid)
    node = shared_text(fields(whole.get("spec")).get("nodeName"))
    is_own = call.kubelet is not None and node in (None, call.kubelet)
    needed = text(fields(call.asked.get("preconditions")).get("uid"))
    grace = call.asked.get("gracePeriodSeconds")
    is_mirror = _MIRROR in fields(fields(whole.get("metadata")).get("annotations"))
    is_at_once = call.verb == "delete" and grace == 0 and grace is not False and not is_mirror
    is_final = is_at_once and is_own and needed is not None and needed == uid
    yield PodDeleted(
        pod=pod,
        uid=uid,
        node=node or (call.kubelet if is_own else None),
        final=is_final,
        gone=is_at_once and not is_final,
    )


def _written(call: _Call, whole: Fields) -> Iterator[PodFact]:
    """Yield what the creation or a change of a pod says."""
    pod, uid = _name(call, whole), _uid(call, whole)
    if pod is None:
        return
    node = text(fields((whole or call.asked).get("spec")).get("nodeName"))
    reports = call.kubelet is not None and call.part == "status" and node in (None, call.kubelet)
    yield _reported(call, whole, pod, uid, by_kubelet=reports and call.verb != "create")
    yield from _branches(call, whole, pod, uid)


def _reported(call: _Call, whole: Fields, pod: PodName, uid: str | None, *, by_kubelet: bool) -> PodReported:
    """Return the state of a pod: as the API server answered it, or as a kubelet's request has it."""
    asked_status = fields(call.asked.get("status")) if call.part == "status" else {}
    status = fields(whole.get("status")) or asked_status
    given, _ = addresses_of(status)
    _, removed = addresses_of(asked_status)
    is_request = not whole and call.verb in ("create", "update") and call.part is None
    spec = fields((call.asked if is_request else whole).get("spec"))
    node = shared_text(spec.get("nodeName")) or (call.kubelet if by_kubelet else None)
    meta = fields((whole or (call.asked if is_request else {})).get("metadata"))
    return PodReported(
        pod=pod,
        uid=uid,
        node=node,
        by_kubelet=by_kubelet,
        phase=shared_text(status.get("phase")),
        ready=is_ready(status),
        addresses=given,
        removed=tuple(ip for ip in removed if ip not in given),
        host_ip=address(text(status.get("hostIP")) or ""),
        host_network=_host_network(call, spec),
        service_account=service_account_of(pod, spec),
        owner=owner_of(meta),
        created=time(meta.get("creationTimestamp")) if whole else None,
        running_since=running_since(status),
    )


def _host_network(call: _Call, spec: Fields) -> bool | None:
    """Return whether a pod has its node's network; None if the event does not say, or was cut before."""
    if spec.get("hostNetwork") is True:
        return True
    return False if spec and not call.is_cut else None


def _branches(call: _Call, whole: Fields, pod: PodName, uid: str | None) -> Iterator[BranchGiven]:
    """Yield the branch ENIs in a pod's annotation; only its controller's own request proves them."""
    asked = branch_annotation(call.asked)
    is_written = call.verb in ("patch", "update") and asked is not None
    by_controller = is_written and call.user.get("username") == _RESOURCE_CONTROLLER
    written = asked if by_controller else branch_annotation(whole) or (asked if not whole else None)
    yield from branches_in(written, pod, uid, by_controller=by_controller)
