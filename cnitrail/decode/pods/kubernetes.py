"""Objects of the Kubernetes API, as ``kubectl get pods -o json`` prints them: pods and nodes.

https://kubernetes.io/docs/reference/kubernetes-api/
"""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.decode.pods.pod_object import (
    addresses_of,
    branch_annotation,
    branches_in,
    containers_of,
    instance_of,
    is_ready,
    objects_in,
    owner_of,
    ran_at,
    running_since,
    service_account_of,
)
from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import Fields, address, fields, flag, text, time
from cnitrail.model.pod_facts import FINAL_PHASES, NodeNamed, PodFact, PodReported
from cnitrail.model.pods import PodName


def read(entry: object) -> PodReading:
    """Return what an object says: the state of a pod, or the instance of a node."""
    whole = fields(entry)
    meta, spec, status = (fields(whole.get(part)) for part in ("metadata", "spec", "status"))
    kind = whole.get("kind", "Pod" if "containers" in spec else "Node")  # elements of a PodList have no kind
    name = text(meta.get("name"))
    facts: tuple[PodFact, ...] = ()
    if kind == "Pod" and name is not None:
        pod = PodName(text(meta.get("namespace")) or "default", name)
        branches = branches_in(branch_annotation(whole), pod, text(meta.get("uid")), by_controller=False)
        facts = (_reported(pod, meta, spec, status), *branches)
    elif kind == "Node" and name is not None:
        instance = instance_of(spec.get("providerID"))
        facts = (NodeNamed(node=name, instance=instance, basis="provider-id"),) if instance else ()
    return PodReading(facts=facts) if facts else NOTHING


def _reported(pod: PodName, meta: Fields, spec: Fields, status: Fields) -> PodReported:
    phase = text(status.get("phase"))
    return PodReported(
        pod=pod,
        uid=text(meta.get("uid")),
        node=text(spec.get("nodeName")),
        by_kubelet=False,
        phase=phase,
        ready=is_ready(status),
        addresses=addresses_of(status)[0],
        host_ip=address(text(status.get("hostIP")) or ""),
        host_network=flag(spec.get("hostNetwork")) or False if spec else None,
        service_account=service_account_of(pod, spec),
        owner=owner_of(meta),
        created=time(meta.get("creationTimestamp")),
        running_since=running_since(status) or (ran_at(status) if phase in FINAL_PHASES else None),
        seen=max(_times(meta, status), default=None),
    )


def _times(meta: Fields, status: Fields) -> Iterator[datetime]:
    """Yield the times that the API server and the kubelet wrote into a pod.

    Not when it is to be deleted, which may be in the future, or what anybody may write into annotations.
    """
    values = [meta.get("creationTimestamp"), status.get("startTime")]
    values += [field.get("time") for field in objects_in(meta.get("managedFields"))]
    for condition in objects_in(status.get("conditions")):
        values += [condition.get("lastTransitionTime"), condition.get("lastProbeTime")]
    for container in containers_of(status):
        for part in ("state", "lastState"):
            for state in map(fields, fields(container.get(part)).values()):
                values += [state.get("startedAt"), state.get("finishedAt")]
    for value in values:
        found = time(value)
        if found is not None:
            yield found
