"""Callers: names that tell them apart, and which of them may be the VPC CNI."""

from collections import defaultdict
from collections.abc import Iterable

from cnitrail.model.event import Actor, ActorKind

CNI_AGENT = "amazon-vpc-cni-k8s"
CNI_ACCOUNT = "kube-system/aws-node"
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

_ROLE_SESSIONS = (*ON_NODES, ActorKind.ASSUMED_ROLE)

Principal = tuple[ActorKind, str, str, str | None]


def named(actor: Actor) -> str:
    """Return the label of a caller with its kind: anybody can name a user or a role like something else."""
    return described(actor.label, _kind(actor))


def described(name: str, facts: Iterable[str]) -> str:
    """Return a name with facts in parentheses after it."""
    listed = ", ".join(facts)
    return f"{name} ({listed})" if listed else name


def principal_of(actor: Actor) -> Principal:
    """Return the key that the calls of one principal share."""
    return actor.kind, actor.label, actor.role_arn or actor.arn or "", actor.assumed_by


class Names:
    """The names of the callers in one answer; those with the same name have their cluster or ARN in it."""

    def __init__(self, actors: Iterable[Actor]) -> None:
        self._clusters: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for actor in actors:
            of_arn = self._clusters[named(actor)][_arn(actor)]
            if actor.cluster is not None:
                of_arn.add(actor.cluster)

    def __call__(self, actor: Actor) -> str:
        """Return the name of a caller in this answer."""
        return described(actor.label, self.facts(actor))

    def facts(self, actor: Actor) -> tuple[str, ...]:
        """Return what tells a caller apart: its kind, and its cluster or ARN if others share its name."""
        by_arn = self._clusters.get(named(actor), {})
        clusters = [cluster for found in by_arn.values() for cluster in found]
        is_one = len(by_arn) <= 1 and len(clusters) <= 1
        if is_one:
            return _kind(actor)
        by_cluster = actor.cluster is not None and clusters.count(actor.cluster) == 1
        if by_cluster or len(by_arn) <= 1:
            return (*_kind(actor), *([f"cluster {actor.cluster}"] if actor.cluster else []))
        return (*_kind(actor), _arn(actor))


def _kind(actor: Actor) -> tuple[str, ...]:
    kind = _KINDS.get(actor.kind)
    return (kind,) if kind else ()


def _arn(actor: Actor) -> str:
    return actor.role_arn or actor.arn or actor.account or "no ARN"


def may_be_the_cni(actor: Actor) -> bool:
    """Return whether a caller looks like the VPC CNI: a role session with the AWS SDK for Go."""
    return (
        actor.kind in _ROLE_SESSIONS
        and not is_another_program(actor)
        and (actor.agent.sdk or "").startswith(_GO_SDK)
    )


def is_another_program(actor: Actor) -> bool:
    """Return whether anything shows that a caller is not the VPC CNI.

    The CNI is a Go program with a role and one service account; a caller that assumed a role by a call of its
    own, or that an AWS service calls for, is not the CNI. What is not recorded shows nothing.
    """
    agent = actor.agent
    if actor.kind not in _ROLE_SESSIONS and actor.kind is not ActorKind.UNKNOWN:
        return True
    return (
        actor.assumed_by is not None
        or actor.invoked_by is not None
        or actor.service_account not in (None, CNI_ACCOUNT)
        or agent.name not in (None, CNI_AGENT)
        or (agent.raw is not None and not (agent.sdk or "").startswith(_GO_SDK))
    )


def is_controller(actor: Actor) -> bool:
    """Return whether a caller looks like the VPC resource controller: a role session with its user agent."""
    return (
        actor.kind in _ROLE_SESSIONS
        and actor.invoked_by is None
        and actor.agent.name == "amazon-vpc-resource-controller-k8s"
        and (actor.agent.sdk or "").startswith(_GO_SDK)
    )


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
