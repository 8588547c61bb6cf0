"""What sentences of findings call a caller, and a principal with all its sessions.

No name depends on other callers: unrelated evidence changes no finding.
"""

from collections.abc import Collection, Sequence

from cnitrail.answers.findings.calls import ResourceCall, program_of
from cnitrail.model import Actor, ActorKind
from cnitrail.model.callers import ROLE_SESSIONS, described, distinguishing_facts, kind_facts, named
from cnitrail.text import counted, short_list


def caller_name(actor: Actor, *, with_cluster: bool = True) -> str:
    """Return the name of a caller with its kind, its cluster and its program."""
    program = program_of(actor)
    facts = distinguishing_facts(actor) if with_cluster else kind_facts(actor)
    return described(actor.label, (*facts, program) if program and program != actor.label else facts)


def principal_name(calls: Sequence[ResourceCall], clusters: Collection[str]) -> str:
    """Return the name of a principal with its clusters; nodes and sessions with one role are one."""
    actor = calls[0].entry.actor
    noun = "cluster" if len(clusters) == 1 else "clusters"
    of_cluster = f" of {noun} {short_list(clusters)}" if clusters else ""
    sessions = _sessions(calls)
    if len(sessions) > 1 and actor.kind is ActorKind.INSTANCE_ROLE:
        return described(f"The node role {actor.role}", (short_list(sessions),)) + of_cluster
    if len(sessions) > 1:
        return described(f"Role {actor.role}", (counted(len(sessions), "session"),)) + of_cluster
    return caller_name(actor, with_cluster=not clusters) + of_cluster


def role_name(calls: Sequence[ResourceCall], cluster: str | None) -> str:
    """Return the name of a principal by its role, for sentences that name its programs themselves.

    It is like ``kube-system/aws-node of cluster batch (role AmazonEKSVPCCNIRole)``.
    """
    actor = calls[0].entry.actor
    of_cluster = _of_cluster(actor, cluster)
    role = actor.role if actor.kind in ROLE_SESSIONS else None
    sessions = _sessions(calls)
    if actor.kind is ActorKind.INSTANCE_ROLE and role is not None:
        noun = "node" if cluster else "instance"
        return f"{noun} role {role}{of_cluster} ({counted(len(sessions), noun)})"
    if len(sessions) > 1:
        return f"role {role}{of_cluster} ({counted(len(sessions), 'session')})"
    if actor.service_account is not None and role is not None:
        return f"{actor.label}{of_cluster} (role {role})"
    return f"{named(actor)}{of_cluster}"


def _of_cluster(actor: Actor, cluster: str | None) -> str:
    """Return the cluster of a principal, or the ID of its OIDC provider; empty if neither is known."""
    if cluster:
        return f" of cluster {cluster}"
    provider = (actor.oidc_provider or "").rpartition("/")[2]
    return f" of the cluster with OIDC provider {provider}" if provider else ""


def _sessions(calls: Sequence[ResourceCall]) -> set[str]:
    """Return the sessions of a principal: by instance if they are of a node's own role."""
    return {call.entry.actor.instance or call.entry.actor.label for call in calls}
