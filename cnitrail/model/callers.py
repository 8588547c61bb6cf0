"""Callers: names that tell them apart, and which of them manage addresses: the VPC CNI, or another."""

import re
from collections import defaultdict
from collections.abc import Iterable

from cnitrail.model.event import Actor, ActorKind
from cnitrail.model.manager import Manager

CNI_AGENT = "amazon-vpc-cni-k8s"
CNI_ACCOUNT = "kube-system/aws-node"
CILIUM_ACCOUNT = "/cilium-operator"
"""The end of the Cilium operator's service account: it may be in any namespace."""

OPENSHIFT_ACCOUNT = "openshift-cloud-network-config-controller/cloud-network-config-controller"
_OPENSHIFT = re.compile(r"[\w.-]+-openshift-cloud-network")
"""The users and roles that the installer of OpenShift creates begin with the ID of the cluster."""

_EKS = "eks.amazonaws.com"
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
_GO_SDK = "aws-sdk-go"
_KINDS = {
    ActorKind.IRSA: "IRSA",
    ActorKind.POD_IDENTITY: "Pod Identity",
    ActorKind.INSTANCE_ROLE: "instance role",
    ActorKind.ASSUMED_ROLE: "assumed role",
    ActorKind.IDENTITY_CENTER: "Identity Center",
    ActorKind.FEDERATED: "federated",
    ActorKind.IAM_USER: "IAM user",
    ActorKind.ROOT: "account root",
    ActorKind.AWS_SERVICE: "AWS service",
    ActorKind.AWS_ACCOUNT: "AWS account",
}
ON_NODES = (ActorKind.IRSA, ActorKind.POD_IDENTITY, ActorKind.INSTANCE_ROLE)
"""Kinds of callers that are programs on nodes, as AWS itself records them."""

ROLE_SESSIONS = (*ON_NODES, ActorKind.ASSUMED_ROLE)
"""Kinds of callers whose sessions are many, and whose role is one."""

Principal = tuple[ActorKind, str, str, str, str]


def named(actor: Actor) -> str:
    """Return the label of a caller with its kind: anybody can name a user or a role like something else."""
    return described(actor.label, kind_facts(actor))


def described(name: str, facts: Iterable[str]) -> str:
    """Return a name with facts in parentheses after it."""
    listed = ", ".join(facts)
    return f"{name} ({listed})" if listed else name


def principal_of(actor: Actor) -> Principal:
    """Return the key that the calls of one principal share.

    Clusters may share a role, so a pod's OIDC provider or cluster is part of the key.
    """
    of_pod = actor.cluster if actor.kind is ActorKind.POD_IDENTITY else actor.oidc_provider
    arn = actor.role_arn or actor.arn or ""
    return actor.kind, actor.label, arn, of_pod or "", actor.assumed_by or ""


def role_principal_of(actor: Actor) -> Principal:
    """Return the key that the calls of one principal share, whichever session it uses.

    Nodes with one role are one principal, and so are the sessions of a role that a program assumes; those
    of a person through IAM Identity Center are not.
    """
    kind, label, arn, of_pod, assumed_by = principal_of(actor)
    is_role = actor.kind in ROLE_SESSIONS and actor.role_arn is not None
    return kind, (actor.service_account or "") if is_role else label, arn, of_pod, assumed_by


def role_or_user_of(actor: Actor) -> str | None:
    """Return the ARN of the role or user whose permissions a caller has, whoever assumed the role."""
    return actor.role_arn or actor.arn


class Names:
    """The names of the callers in one answer; those with the same name have their cluster or ARN in it.

    Each call is a caller and the cluster of the ENI or instance that it is about: a network plugin calls only
    for its own cluster.
    """

    def __init__(self, calls: Iterable[tuple[Actor, str | None]]) -> None:
        self._clusters: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for actor, cluster in dict.fromkeys(calls):
            of_arn = self._clusters[named(actor)][_arn(actor)]
            known = actor.cluster or (cluster if manager_of_caller(actor) is not None else None)
            if known is not None:
                of_arn.add(known)

    def __call__(self, actor: Actor) -> str:
        """Return the name of a caller in this answer."""
        return described(actor.label, self.facts(actor))

    def facts(self, actor: Actor) -> tuple[str, ...]:
        """Return what distinguishes a caller: its kind, and its cluster or ARN if others share its name."""
        by_arn = self._clusters.get(named(actor), {})
        clusters = [cluster for found in by_arn.values() for cluster in found]
        is_one = len(by_arn) <= 1 and len(clusters) <= 1
        if is_one:
            return kind_facts(actor)
        own = by_arn.get(_arn(actor), set())
        cluster = actor.cluster or (next(iter(own)) if len(own) == 1 else None)
        by_cluster = cluster is not None and clusters.count(cluster) == 1
        if by_cluster or len(by_arn) <= 1:
            return (*kind_facts(actor), *([f"cluster {cluster}"] if cluster else []))
        return (*kind_facts(actor), _arn(actor))


def distinguishing_facts(actor: Actor) -> tuple[str, ...]:
    """Return what distinguishes a caller from all others in its account, whichever these are.

    That is its kind, and of a pod its cluster; its role if the cluster is not known.
    """
    if actor.service_account is None:
        return kind_facts(actor)
    of_pod = f"cluster {actor.cluster}" if actor.cluster else f"role {actor.role or _arn(actor)}"
    return (*kind_facts(actor), of_pod)


def kind_facts(actor: Actor) -> tuple[str, ...]:
    """Return what people call the kind of a caller, as one fact; no fact if the kind is not known."""
    kind = _KINDS.get(actor.kind)
    return (kind,) if kind else ()


def _arn(actor: Actor) -> str:
    return actor.role_arn or actor.arn or actor.account or "no ARN"


def may_be_the_cni(actor: Actor) -> bool:
    """Return whether a caller looks like the VPC CNI: a role session with the AWS SDK for Go."""
    return (
        actor.kind in ROLE_SESSIONS
        and not is_another_program(actor)
        and (actor.agent.sdk or "").startswith(_GO_SDK)
    )


def is_another_program(actor: Actor) -> bool:
    """Return whether anything shows that a caller is not the VPC CNI.

    The CNI is a Go program with a role and one service account; a caller that assumed a role by a call of its
    own, or that an AWS service calls for, is not the CNI. What is not recorded shows nothing.
    """
    agent = actor.agent
    if actor.kind not in ROLE_SESSIONS and actor.kind is not ActorKind.UNKNOWN:
        return True
    return (
        actor.assumed_by is not None
        or actor.invoked_by is not None
        or actor.service_account not in (None, CNI_ACCOUNT)
        or agent.name not in (None, CNI_AGENT)
        or (agent.raw is not None and not (agent.sdk or "").startswith(_GO_SDK))
    )


def may_be_cilium(actor: Actor) -> bool:
    """Return whether a caller may be the Cilium operator: a Go program on a node that does not say its name.

    Without a service account, only the description that it gives an ENI shows it, which any program may copy.
    """
    is_nameless = actor.agent.name is None and (
        actor.agent.raw is None or (actor.agent.sdk or "").startswith(_GO_SDK)
    )
    return actor.kind in ON_NODES and is_nameless


def is_controller(actor: Actor) -> bool:
    """Return whether a caller looks like the VPC resource controller: a role session with its user agent."""
    return (
        actor.kind in ROLE_SESSIONS
        and actor.invoked_by is None
        and actor.agent.name == "amazon-vpc-resource-controller-k8s"
        and (actor.agent.sdk or "").startswith(_GO_SDK)
    )


def is_of_eks(actor: Actor) -> bool:
    """Return whether EKS itself called with a cluster's role: CloudTrail writes the source of a call."""
    return actor.kind is ActorKind.ASSUMED_ROLE and actor.source_ip == _EKS


def manager_of_caller(actor: Actor) -> Manager | None:
    """Return what a caller manages addresses for; None if it is no manager, as far as its record shows.

    Anybody may choose the user agent of the VPC resource controller, and the names of OpenShift.
    """
    if actor.ipamd is not None:
        return Manager.VPC_CNI
    if is_controller(actor):
        return Manager.RESOURCE_CONTROLLER
    if (actor.service_account or "").endswith(CILIUM_ACCOUNT):
        return Manager.CILIUM
    if is_of_eks(actor):
        return Manager.AUTO_MODE
    is_named = _OPENSHIFT.match(actor.role or actor.user or "") is not None
    if actor.kind is not ActorKind.AWS_SERVICE and (actor.service_account == OPENSHIFT_ACCOUNT or is_named):
        return Manager.OPENSHIFT
    return None


def service_of(actor: Actor) -> str | None:
    """Return the DNS name of the AWS service that made a call, itself or with a customer's role; else None.

    CloudTrail writes the source of a call and ``invokedBy``; a user agent may be anybody's.
    """
    if actor.invoked_by is not None:
        return actor.invoked_by
    if actor.kind is ActorKind.AWS_SERVICE:
        return actor.label
    return actor.source_ip if _SERVICE.fullmatch(actor.source_ip or "") else None


def may_mark(actor: Actor, instance: str) -> bool:
    """Return whether to believe a caller for which instance the VPC CNI created an interface.

    That is the instance itself, or the CNI's own service account; a pod role whose service account is not
    known only if it looks like the CNI.
    """
    if actor.instance is not None:
        return actor.instance == instance
    if actor.service_account is not None:
        return actor.service_account == CNI_ACCOUNT
    is_a_pod = actor.kind in (ActorKind.IRSA, ActorKind.POD_IDENTITY)
    return is_a_pod and actor.agent.name == CNI_AGENT and may_be_the_cni(actor)
