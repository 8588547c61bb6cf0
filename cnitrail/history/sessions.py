"""Who stood behind a session: what other records add to an actor.

The service account behind an IRSA or Pod Identity session stands only in the STS event that issued
its credentials. It is joined by the access key, else by role and session name, and never guessed
from the name of a role.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from cnitrail.model import (
    Actor,
    ActorBasis,
    ActorKind,
    Effect,
    Event,
    Instance,
    Interface,
    IssuedSession,
    Subject,
)

_CNI_AGENT = "amazon-vpc-cni-k8s"
_CNI_ACCOUNT = "kube-system/aws-node"
_CNI_POD_SESSION = re.compile(r"^eks-.*-aws-node-")


def complete_actors(
    events: Iterable[Event],
    sessions: Iterable[IssuedSession],
    interfaces: Mapping[str, Interface],
    instances: Mapping[str, Instance],
) -> dict[str, Actor]:
    """The actor of every event, by event key, with what the rest of the evidence knows of it."""
    events = tuple(events)
    issued = _Issued(sessions)
    clusters = _clusters_by_role(events, interfaces)
    completed: dict[int, Actor] = {}
    actors: dict[str, Actor] = {}
    for event in events:
        actor = completed.get(id(event.actor))
        if actor is None:
            actor = completed[id(event.actor)] = _complete(event.actor, issued, clusters, instances)
        rule = ipamd_rule(event, actor, interfaces)
        actors[event.key] = replace(actor, ipamd=rule) if rule else actor
    return actors


class _Issued:
    """Sessions by the credentials that they use."""

    def __init__(self, sessions: Iterable[IssuedSession]) -> None:
        self._by_key: dict[str, set[IssuedSession]] = defaultdict(set)
        self._by_name: dict[tuple[str, str], set[IssuedSession]] = defaultdict(set)
        for session in sessions:
            if session.access_key_id:
                self._by_key[session.access_key_id].add(session)
            if session.role_arn and session.session:
                self._by_name[session.role_arn, session.session].add(session)

    def behind(self, actor: Actor) -> IssuedSession | None:
        """The session of an actor; None where none is known, or where they disagree."""
        found = self._by_key.get(actor.access_key_id or "")
        if not found and actor.role_arn and actor.session:
            found = self._by_name.get((actor.role_arn, actor.session))
        if not found:
            return None
        first = min(found, key=lambda session: (session.time, session.key))
        agree = {(each.service_account, each.cluster, each.pod_identity) for each in found}
        return first if len(agree) == 1 else None


def _complete(
    actor: Actor,
    issued: _Issued,
    clusters: Mapping[str, str],
    instances: Mapping[str, Instance],
) -> Actor:
    session = issued.behind(actor)
    if session is not None:
        kind = ActorKind.POD_IDENTITY if session.pod_identity else ActorKind.IRSA
        cluster = session.cluster or actor.cluster
        actor = replace(
            actor,
            kind=kind,
            label=session.service_account or actor.role or actor.label,
            service_account=session.service_account,
            oidc_provider=actor.oidc_provider or session.oidc_provider,
            cluster=cluster,
            basis=ActorBasis(
                service_account="sts-event" if session.service_account else None,
                cluster="sts-event" if session.cluster else actor.basis.cluster,
                instance=actor.basis.instance,
            ),
        )
    if actor.basis.cluster == "sts-event":
        return actor
    instance = instances.get(actor.instance or "")
    tagged = instance.cluster if instance else clusters.get(actor.role_arn or "")
    if tagged is None:
        return actor
    return replace(actor, cluster=tagged, basis=replace(actor.basis, cluster="tag"))


def _clusters_by_role(events: Iterable[Event], interfaces: Mapping[str, Interface]) -> dict[str, str]:
    """The cluster of a service account's role, from the tags that it puts on the ENIs it makes."""
    named: dict[str, set[str]] = defaultdict(set)
    for event in events:
        actor = event.actor
        if event.effect is not Effect.CREATE or actor.role_arn is None:
            continue
        if actor.kind not in (ActorKind.IRSA, ActorKind.POD_IDENTITY):
            continue
        for subject in event.subjects:
            interface = interfaces.get(subject.eni or "")
            if interface is not None and interface.cluster is not None:
                named[actor.role_arn].add(interface.cluster)
    return {role: clusters.pop() for role, clusters in named.items() if len(clusters) == 1}


def ipamd_rule(event: Event, actor: Actor, interfaces: Mapping[str, Interface]) -> str | None:
    """By which rule a call is the VPC CNI's own; None where none fires.

    The CNI never names the addresses that it wants and never takes them from another interface
    (amazon-vpc-cni-k8s, pkg/awsutils/awsutils.go), so a call that does is somebody else's,
    whatever its user agent says.
    """
    if event.effect is Effect.ASSIGN and any(
        subject.requested_addresses or subject.reassign for subject in event.subjects
    ):
        return None
    if actor.agent.name == _CNI_AGENT:
        return "user-agent"
    if actor.agent.name is not None:
        return None
    if actor.service_account == _CNI_ACCOUNT:
        return "sts-event"
    if _CNI_POD_SESSION.match(actor.session or ""):
        return "session-name"
    if (actor.agent.sdk or "").startswith("aws-sdk-go") and any(
        _of_cni_lineage(subject, interfaces) for subject in event.subjects
    ):
        return "eni-lineage"
    return None


def _of_cni_lineage(subject: Subject, interfaces: Mapping[str, Interface]) -> bool:
    """Whether the interface was made with the CNI's own description."""
    interface = interfaces.get(subject.eni or "")
    mark = subject.mark or (interface.mark if interface is not None else None)
    return mark is not None and mark[1] == "description"
