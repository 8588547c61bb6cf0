"""Who is behind a session: what other records add to the caller of an event.

Only the STS event that issued the credentials of an IRSA or Pod Identity session names its service account.
The two are joined by access key; by role and session name, which callers choose, only for a call without
an access key; never by role name alone, and never with an event later than the call.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.history.kinds import cluster_tags, clusters_of_tags
from cnitrail.model import (
    Actor,
    ActorKind,
    Attachment,
    CniMark,
    Effect,
    Event,
    Instance,
    InstanceBasis,
    Interface,
    IssuedSession,
    Strength,
    Subject,
    Tagged,
    tagged_at,
)
from cnitrail.model.basis import BY_CALL
from cnitrail.model.callers import CNI_ACCOUNT, CNI_AGENT, ON_NODES, may_be_the_cni

_PODS = (ActorKind.IRSA, ActorKind.POD_IDENTITY)
_ON_NODES = (Effect.ASSIGN, Effect.UNASSIGN, Effect.DETACH)
"""What the CNI of a node does to interfaces of this node only."""

_ASSIGN, _CREATE, _MODIFY, _SIGN_IN = Effect.ASSIGN, Effect.CREATE, Effect.MODIFY, Effect.SIGN_IN
"""To look up a member of an enumeration takes long in Python 3.11, for every event."""

_PodRole = tuple[str | None, str | None]
"""The ARN of a pod's role, and its OIDC provider (None with Pod Identity)."""

_ROLE_DELIVERY_SINCE = 2021
"""CloudTrail has ec2RoleDelivery since this year; older calls do not show that an instance made them."""


def identify_actors(events: Iterable[Event], sessions: Iterable[IssuedSession]) -> dict[str, Actor]:
    """Return the callers with the session that STS had issued to them by then, by event key.

    The caller of any other event, of nearly all, is as its record says.
    """
    issued = _SessionIndex(sessions)
    known: dict[tuple[int, IssuedSession | None, str | None], Actor] = {}
    identified: dict[str, Actor] = {}
    for event in events:
        actor = event.actor
        if not issued.knows(actor):
            continue
        session, assumer = issued.behind(actor, event.time), issued.assumer_of(actor, event.time)
        key = id(actor), session, assumer
        if key not in known:
            known[key] = _identified(actor, session, assumer)
        identified[event.key] = known[key]
    return identified


def complete_actors(
    events: Iterable[Event],
    identified: Mapping[str, Actor],
    interfaces: Mapping[str, Interface],
    instances: Mapping[str, Instance],
    enis_by_attachment: Mapping[str, str],
    witnesses: Iterable[Event],
) -> dict[str, Actor]:
    """Return the identified callers with their cluster, and the rule by which a call is the VPC CNI's own.

    ``witnesses`` are the events that may complete the callers of other events.
    """
    witnesses = tuple(witnesses)
    clusters = _Clusters(_clusters_by_role(witnesses, identified), instances)
    enis = _Enis(interfaces, instances, enis_by_attachment, _creators(witnesses, identified))
    completed: dict[str, Actor] = {}
    by_rule: dict[tuple[int, str], Actor] = {}
    may_be_cni: dict[int, bool] = {}
    for event in events:
        actor = clusters.complete(identified.get(event.key, event.actor), event.time)
        is_candidate = may_be_cni.get(id(actor))
        if is_candidate is None:
            is_candidate = may_be_cni[id(actor)] = may_be_the_cni(actor)
        rule = _ipamd_rule(event, actor, enis) if is_candidate else None
        if rule is not None:
            known = by_rule.get((id(actor), rule))
            if known is None:
                known = by_rule[id(actor), rule] = replace(actor, ipamd=rule)
            actor = known
        completed[event.key] = actor
    _complete_sign_ins(events, completed, witnesses)
    return completed


def _complete_sign_ins(
    events: Iterable[Event], completed: dict[str, Actor], witnesses: Iterable[Event]
) -> None:
    """Give failed sign-ins the cluster of their OIDC provider: each cluster has one of its own."""
    failed = [event for event in events if event.effect is _SIGN_IN]
    named: dict[str, set[str]] = defaultdict(set)
    others = (event for event in (witnesses if failed else ()) if event.effect is not _SIGN_IN)
    for actor in (completed[event.key] for event in others):
        if actor.kind is ActorKind.IRSA and actor.oidc_provider and actor.cluster:
            named[actor.oidc_provider].add(actor.cluster)
    for event in failed:
        actor, clusters = completed[event.key], named.get(completed[event.key].oidc_provider or "", set())
        if len(clusters) == 1 and actor.kind is ActorKind.IRSA and actor.basis.cluster != "sts-event":
            completed[event.key] = replace(
                actor,
                cluster=next(iter(clusters)),
                basis=replace(actor.basis, cluster="provider"),
                strength=replace(actor.strength, cluster=Strength.CLAIMED),
            )


class _SessionIndex:
    """Sessions by their credentials."""

    def __init__(self, sessions: Iterable[IssuedSession]) -> None:
        self._by_key: dict[str, set[IssuedSession]] = defaultdict(set)
        self._by_name: dict[tuple[str, str], set[IssuedSession]] = defaultdict(set)
        for session in sessions:
            if session.access_key_id:
                self._by_key[session.access_key_id].add(session)
            if session.role_arn and session.session and session.assumer is None:
                self._by_name[session.role_arn, session.session].add(session)

    def knows(self, actor: Actor) -> bool:
        """Return whether any session has the credentials of a caller."""
        return bool(self._of(actor))

    def behind(self, actor: Actor, time: datetime) -> IssuedSession | None:
        """Return the session behind a caller; None if no event shows one by then, or if several disagree."""
        found = [
            session for session in self._of(actor) if session.time <= time and _may_be_behind(session, actor)
        ]
        if not found:
            return None
        named = {(session.service_account, session.cluster, session.pod_identity) for session in found}
        return min(found, key=_session_order) if len(named) == 1 else None

    def assumer_of(self, actor: Actor, time: datetime) -> str | None:
        """Return who opened the session with AssumeRole; an ARN counts more than another account's label."""
        found = {
            session.assumer
            for session in self._by_key.get(actor.access_key_id or "", ())
            if session.assumer is not None and session.time <= time
        }
        assumers = {assumer for assumer in found if assumer.startswith("arn:")} or found
        return assumers.pop() if len(assumers) == 1 else None

    def _of(self, actor: Actor) -> Iterable[IssuedSession]:
        if actor.access_key_id:
            return self._by_key.get(actor.access_key_id, ())
        return self._by_name.get((actor.role_arn or "", actor.session or ""), ())


def _session_order(session: IssuedSession) -> tuple[datetime, str]:
    return session.time, session.key


def _may_be_behind(session: IssuedSession, actor: Actor) -> bool:
    """Return whether a session can be the one of a call, by what AWS writes into both."""
    if session.assumer is not None:
        return False
    if session.pod_identity:
        return actor.kind is ActorKind.ASSUMED_ROLE
    if actor.oidc_provider is not None:
        same = session.oidc_provider in (None, actor.oidc_provider)
        return actor.kind is ActorKind.IRSA and same
    by_key = session.oidc_provider is not None and actor.access_key_id is not None
    return actor.kind is ActorKind.ASSUMED_ROLE and by_key


def _identified(actor: Actor, session: IssuedSession | None, assumer: str | None) -> Actor:
    if assumer is not None:
        actor = replace(actor, assumed_by=assumer)
    if session is None:
        return actor
    account, cluster = session.service_account, session.cluster
    return replace(
        actor,
        kind=ActorKind.POD_IDENTITY if session.pod_identity else ActorKind.IRSA,
        label=account or actor.role or actor.label,
        service_account=account,
        oidc_provider=actor.oidc_provider or session.oidc_provider,
        cluster=cluster or actor.cluster,
        claimed_instance=None,
        basis=replace(
            actor.basis,
            service_account="sts-event" if account else None,
            cluster="sts-event" if cluster else actor.basis.cluster,
        ),
        strength=replace(
            actor.strength,
            service_account=Strength.OBSERVED if account else None,
            cluster=Strength.OBSERVED if cluster else actor.strength.cluster,
        ),
    )


class _Clusters:
    """The clusters of instances and roles, by tags."""

    def __init__(self, by_role: Mapping[_PodRole, str], instances: Mapping[str, Instance]) -> None:
        self._by_role = by_role
        self._instances = instances
        self._completed: dict[tuple[int, Tagged | str], Actor] = {}

    def complete(self, actor: Actor, time: datetime) -> Actor:
        """Return the caller with its cluster at the time of a call: by STS event, else by tags."""
        if actor.basis.cluster == "sts-event" or not (actor.instance or self._by_role):
            return actor
        instance = self._instances.get(actor.instance or "")
        tagged = tagged_at(instance.tagged, time) if instance else self._by_role.get(_pod_role(actor))
        if tagged is None:
            return actor
        key = id(actor), tagged
        if key not in self._completed:
            self._completed[key] = _in_cluster(actor, tagged)
        return self._completed[key]


def _in_cluster(actor: Actor, tagged: Tagged | str) -> Actor:
    """Return the caller with the cluster that tags name; without one if they name several."""
    if isinstance(tagged, str):
        name: str | None = tagged
        strength: Strength | None = Strength.CLAIMED
    else:
        name = tagged.clusters[0] if len(tagged.clusters) == 1 else None
        strength = Strength.PROVEN if tagged.by_aws else Strength.CLAIMED
    known = name is not None
    return replace(
        actor,
        cluster=name,
        basis=replace(actor.basis, cluster="tag" if known else None),
        strength=replace(actor.strength, cluster=strength if known else None),
    )


def _pod_role(actor: Actor) -> _PodRole:
    """Return the role of a pod and its OIDC provider: clusters may share a role, but not a provider."""
    return actor.role_arn, actor.oidc_provider


def _clusters_by_role(events: Iterable[Event], identified: Mapping[str, Actor]) -> dict[_PodRole, str]:
    """Return the cluster of each service account's role, from the tags that it first wrote on its own ENIs.

    What others write on them says nothing about their creator.
    """
    named: dict[_PodRole, set[str]] = defaultdict(set)
    untagged: dict[str, _PodRole] = {}
    for event in events:
        if event.effect is not _CREATE and event.effect is not _MODIFY:
            continue
        actor = identified.get(event.key, event.actor)
        if actor.role_arn is None or actor.kind not in _PODS:
            continue
        role = _pod_role(actor)
        for subject in event.subjects:
            if subject.eni is None or (event.effect is _MODIFY and untagged.get(subject.eni) != role):
                continue
            clusters, _ = clusters_of_tags(cluster_tags(subject.details.tags))
            if clusters:
                named[role].update(clusters)
                untagged.pop(subject.eni, None)
            elif event.effect is _CREATE:
                untagged[subject.eni] = role
    return {role: clusters.pop() for role, clusters in named.items() if len(clusters) == 1}


def _creators(events: Iterable[Event], identified: Mapping[str, Actor]) -> dict[str, Actor]:
    """Return who created each interface."""
    return {
        subject.eni: identified.get(event.key, event.actor)
        for event in events
        if event.effect is _CREATE and event.failure is None
        for subject in event.subjects
        if subject.eni is not None
    }


class _Enis(Struct, frozen=True):
    """What is known of the interfaces that calls name."""

    interfaces: Mapping[str, Interface]
    instances: Mapping[str, Instance]
    by_attachment: Mapping[str, str]
    creators: Mapping[str, Actor]

    def eni_of(self, subject: Subject) -> str:
        """Return the interface of a subject, which may name only the attachment; empty if it is not known."""
        return subject.eni or self.by_attachment.get(subject.attachment or "", "")

    def attachment_of(self, subject: Subject, time: datetime) -> Attachment | None:
        """Return the attachment of the interface at a time."""
        interface = self.interfaces.get(self.eni_of(subject))
        return interface.attachment_at(time) if interface is not None else None


def _ipamd_rule(event: Event, actor: Actor, enis: _Enis) -> str | None:
    """Return the rule by which a call of what may be the VPC CNI is its own; None if no rule applies.

    The CNI never names the addresses that it wants and never takes them from another interface
    (amazon-vpc-cni-k8s, pkg/awsutils/awsutils.go), so a call that does is not the CNI's, whatever its user
    agent says.
    """
    if _names_addresses(event) or event.effect is _SIGN_IN:
        return None
    if event.effect in _ON_NODES and _is_elsewhere(event, actor, enis):
        return None
    has_name = actor.agent.name == CNI_AGENT
    if actor.service_account == CNI_ACCOUNT:
        return "user-agent" if has_name else "sts-event"
    if has_name and _is_from_a_node(event, actor):
        return "user-agent"
    for subject in event.subjects:
        if _of_cni_lineage(event, actor, subject, enis):
            return "user-agent" if has_name else "eni-lineage"
    return None


def _is_elsewhere(event: Event, actor: Actor, enis: _Enis) -> bool:
    """Return whether a call changes an interface on another node than the caller's, or in another cluster.

    The CNI of a node only deletes interfaces of others, which they left behind.
    """
    return any(_is_of_another(event, actor, subject, enis) for subject in event.subjects)


def _is_of_another(event: Event, actor: Actor, subject: Subject, enis: _Enis) -> bool:
    if actor.instance is not None:
        attachment = enis.attachment_of(subject, event.time)
        if attachment is not None and attachment.how in BY_CALL:
            return attachment.instance not in (None, actor.instance)
    creator = enis.creators.get(enis.eni_of(subject))
    if creator is not None and _are_of_two_clusters(actor, creator):
        return True
    if actor.basis.cluster != "sts-event":
        return False
    attachment = enis.attachment_of(subject, event.time)
    node = enis.instances.get(attachment.instance or "") if attachment is not None else None
    tagged = tagged_at(node.tagged, event.time) if node is not None else None
    return tagged is not None and bool(tagged.clusters) and actor.cluster not in tagged.clusters


def _are_of_two_clusters(one: Actor, other: Actor) -> bool:
    """Return whether AWS shows that aws-node of two clusters called: each has an OIDC provider of its own."""
    if one.kind is not other.kind or {one.service_account, other.service_account} != {CNI_ACCOUNT}:
        return False
    if one.kind is ActorKind.POD_IDENTITY:
        return None not in (one.cluster, other.cluster) and one.cluster != other.cluster
    providers = [(actor.oidc_provider or "").rpartition("/")[2] for actor in (one, other)]
    return all(providers) and len({*providers}) > 1


def _names_addresses(event: Event) -> bool:
    """Return whether a call assigns addresses by name, or takes them from others: the CNI never does."""
    if event.effect is _ASSIGN:
        for subject in event.subjects:
            if subject.requested_addresses or subject.reassign:
                return True
    return False


def _is_from_a_node(event: Event, actor: Actor) -> bool:
    """Return whether a call was made with the credentials of a node or a pod.

    Before 2021, calls with a node's own credentials show only a session with the instance's name.
    """
    if actor.kind in ON_NODES:
        return True
    return actor.claimed_instance is not None and event.time.year < _ROLE_DELIVERY_SINCE


def _of_cni_lineage(event: Event, actor: Actor, subject: Subject, enis: _Enis) -> bool:
    """Return whether the interface was created with the CNI's description, by a caller like this one.

    A session that AWS does not show to be a node's must be of the role that created it: any pod may have one.
    """
    is_on_node = actor.kind in ON_NODES
    if event.effect is _CREATE:
        mark = subject.details.mark if is_on_node and _is_for_itself(actor, subject.details.mark) else None
    else:
        eni = enis.eni_of(subject)
        interface, creator = enis.interfaces.get(eni), enis.creators.get(eni)
        created_by = creator.role_arn if creator is not None else None
        same_role = actor.kind is ActorKind.INSTANCE_ROLE or created_by == actor.role_arn
        mark = interface.mark_at(event.time) if interface is not None and same_role else None
    return mark is not None and mark.basis is InstanceBasis.DESCRIPTION


def _is_for_itself(actor: Actor, mark: CniMark | None) -> bool:
    """Return whether a node's own role creates an interface for that node, as the CNI does."""
    return mark is not None and actor.instance in (None, mark.instance)
