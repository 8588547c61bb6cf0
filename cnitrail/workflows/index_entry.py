"""The index columns of a record in a store."""

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from cnitrail.decode import Decoded
from cnitrail.decode.sessions import ASSUME_ROLE, WEB_IDENTITY
from cnitrail.history.kinds import cluster_of_tags
from cnitrail.history.operators import operators_of
from cnitrail.model import ActorKind, Effect, Event, Fidelity, IssuedSession, Record, Subject, held_of
from cnitrail.model.ec2 import TRUNK_TAG
from cnitrail.model.event import ASSIGNING_EFFECTS
from cnitrail.store.index_columns import Act, Held, IndexEntry, Mention

if TYPE_CHECKING:
    from cnitrail.model.pod_facts import PodRecord

_CREATORS = (ActorKind.IRSA, ActorKind.ASSUMED_ROLE)
"""Callers whose cluster may be known from the tags of the ENIs that they create.

A pod with EKS Pod Identity is an assumed role as long as its STS event is not known.
"""


def index_entry(record: Record, decoded: Decoded) -> IndexEntry | None:
    """Return the index columns of a record; None if it is not relevant."""
    unclear = bool(decoded.problems)
    if decoded.pods is not None:
        return _pods(decoded.pods, unclear)
    match decoded.fact:
        case Event() as event:
            return _event(event, unclear or _may_assign_any(event))
        case IssuedSession() as session:
            return _session(session, unclear)
    if not unclear:
        return None
    return IndexEntry(key="sha256:" + sha256(record.payload).hexdigest(), unclear=True)


def _pods(pods: "PodRecord", unclear: bool) -> IndexEntry:
    from cnitrail.model.pod_facts import addresses_of

    addresses = (address for fact in pods.facts for address in addresses_of(fact))
    return IndexEntry(
        key=pods.key,
        fact="pods",
        time=pods.time,
        unclear=unclear,
        pod_addresses=tuple(dict.fromkeys(addresses)),
    )


def _may_assign_any(event: Event) -> bool:
    """Return whether the call may have given addresses that its record does not name: any may be one."""
    if event.failure is not None:
        return False
    is_whole = event.fidelity is not Fidelity.PARTIAL and not event.damaged
    return any(
        event.leaves_out_addresses(subject) or (event.effect in ASSIGNING_EFFECTS and not is_whole)
        for subject in event.subjects
    )


def _event(event: Event, unclear: bool) -> IndexEntry:
    actor = event.actor
    return IndexEntry(
        key=event.key,
        fact="event",
        time=event.time,
        event=event.name,
        effect=event.effect.value,
        outcome=event.outcome.value,
        account=event.account,
        region=event.region,
        caller_instance=actor.instance,
        operator=(actor.agent.raw or "") if operators_of((event,), {}) else None,
        access_key=actor.access_key_id,
        role=actor.role_arn,
        session=actor.session,
        unclear=unclear,
        mentions=tuple(_mention(event, subject) for subject in event.subjects),
    )


def _session(session: IssuedSession, unclear: bool) -> IndexEntry:
    return IndexEntry(
        key=session.key,
        fact="credentials",
        time=session.time,
        event=ASSUME_ROLE if session.pod_identity or session.assumer else WEB_IDENTITY,
        account=session.account,
        region=session.region,
        access_key=session.access_key_id,
        role=session.role_arn,
        session=session.session,
        unclear=unclear,
    )


def _mention(event: Event, subject: Subject) -> Mention:
    makes = event.effect is Effect.CREATE and event.actor.kind in _CREATORS
    details = subject.details
    return Mention(
        eni=subject.eni,
        instance=subject.instance,
        attachment=subject.attachment or details.association or details.resource,
        trunk=details.trunk or dict(details.tags).get(TRUNK_TAG),
        mark=details.mark.instance if details.mark else details.served,
        maker=event.actor.role_arn if makes else None,
        cluster=_clusters(details.tags) if event.effect is not Effect.LAUNCH else None,
        vpc=subject.vpc,
        subnet=subject.subnet,
        reassign=subject.reassign,
        addresses=tuple(_addresses(event, subject)),
    )


def _addresses(event: Event, subject: Subject) -> Iterator[tuple[Held, Act | None]]:
    """Yield the addresses that a call names, each with what it did to it."""
    gain = Act.SHOW if subject.details.existing else Act.TAKE if subject.reassign else Act.ASSIGN
    succeeded = event.failure is None
    for holding in subject.added:
        yield holding.held, gain if succeeded else None
    for released in subject.removed:
        yield released, Act.RELEASE if succeeded else None
    for text in subject.requested_addresses:
        held = held_of(text)
        if held is not None:
            yield held, None


def _clusters(tags: tuple[tuple[str, str], ...]) -> str | None:
    """Return the clusters that tags name, with spaces between them: usually one."""
    named = {cluster_of_tags({key: value}) for key, value in tags}
    return " ".join(sorted(name for name in named if name is not None)) or None
