"""Facts → intervals: which ENI held an address, what was attached where, and who made a call.

This room knows effects and subjects, no event names and no JSON.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.garbage import without_garbage_collection
from cnitrail.history.coverage import cover
from cnitrail.history.interfaces import Registry
from cnitrail.history.leases import fold_holdings
from cnitrail.history.ledger import Dispute, Ledger
from cnitrail.history.managed_enis import with_deleted_enis
from cnitrail.history.managers import managers_of
from cnitrail.history.operators import operators_of
from cnitrail.history.owners import owners_of
from cnitrail.history.provenance import separate
from cnitrail.history.recording import unrecorded, without_foreign_buckets
from cnitrail.history.sessions import complete_actors, identify_actors
from cnitrail.history.subnets import subnets_of
from cnitrail.history.twins import without_twins
from cnitrail.model import Event, History, IssuedSession, SetAside

if TYPE_CHECKING:
    from cnitrail.model.pod_facts import PodEvidence

__all__ = ["Dispute", "Ledger", "build", "cover", "unrecorded"]


def build(
    events: tuple[Event, ...],
    sessions: Iterable[IssuedSession] = (),
    proven: frozenset[str] | None = None,
    pods: "PodEvidence | None" = None,
) -> History:
    """Return the history of ordered, deduplicated events (see ``Ledger``).

    ``proven`` are the keys of the facts that CloudTrail's digests prove, if verification was asked for: then
    no other fact changes what these say. ``pods`` change nothing in the history of ENIs.
    """
    with without_garbage_collection():
        facts = _separated(without_twins(without_foreign_buckets(events)), sessions, proven)
        history = _folded(facts, proven)
        if pods is None or not pods.records:
            return history
        from cnitrail.history.pods import pod_history

        return replace(history, pods=pod_history(pods, history))


class _Facts(Struct, frozen=True, kw_only=True):
    """All events, and those that make the history: the others are set aside, each with the reason.

    ``disputed`` are the interfaces and instances whose owner is not certain, ``unproven`` the interfaces that
    only unproven records name.
    """

    events: tuple[Event, ...]
    effective: tuple[Event, ...]
    sessions: tuple[IssuedSession, ...]
    reasons: Mapping[str, SetAside]
    sessions_aside: tuple[IssuedSession, ...]
    disputed: AbstractSet[str]
    unproven: frozenset[str]


def _separated(
    events: tuple[Event, ...], sessions: Iterable[IssuedSession], proven: frozenset[str] | None
) -> _Facts:
    """Return the facts that make the history, without those that are not proven, or of another owner."""
    reasons: dict[str, SetAside] = {}
    sessions_aside: tuple[IssuedSession, ...] = ()
    unproven: frozenset[str] = frozenset()
    effective = events
    if proven is not None:
        separated = separate(events, sessions, proven)
        effective, sessions, unproven = separated.events, separated.sessions, separated.unproven
        sessions_aside = separated.sessions_aside
        reasons |= {event.key: SetAside.UNPROVEN for event in separated.set_aside}
    owners = owners_of(effective)
    if owners.foreign:
        reasons |= {event.key: SetAside.FOREIGN for event in effective if event.key in owners.foreign}
        effective = tuple(event for event in effective if event.key not in owners.foreign)
    deletions = with_deleted_enis(effective)
    if deletions:
        effective = tuple(deletions.get(event.key, event) for event in effective)
        events = tuple(deletions.get(event.key, event) for event in events)
    return _Facts(
        events=events,
        effective=effective,
        sessions=tuple(sessions),
        reasons=reasons,
        sessions_aside=sessions_aside,
        disputed=owners.disputed,
        unproven=unproven,
    )


def _folded(facts: _Facts, proven: frozenset[str] | None) -> History:
    """Return the history of ENIs and instances."""
    effective = facts.effective
    identified = identify_actors(facts.events, facts.sessions)
    operators = operators_of(effective, identified)
    registry = Registry(identified, facts.disputed, operators)
    for event in effective:
        registry.read(event)
    interfaces = registry.interfaces()
    instances = registry.instances()
    attachments, witnesses = registry.enis_by_attachment(), _witnesses(effective, proven)
    actors = complete_actors(facts.events, identified, interfaces, instances, attachments, witnesses)
    managers = managers_of(effective, actors, interfaces, instances)
    return History(
        events=facts.events,
        interfaces=interfaces,
        instances=instances,
        leases=fold_holdings(effective, interfaces, registry.deaths),
        actors=actors,
        attachments=attachments,
        associations=registry.associations,
        set_aside=facts.reasons,
        proven=proven,
        unproven=facts.unproven,
        sessions_aside=facts.sessions_aside,
        eni_managers=managers.enis,
        node_managers=managers.nodes,
        operators=operators,
        subnets=subnets_of(effective),
        unrecorded=tuple(unrecorded(effective)),
    )


def _witnesses(events: tuple[Event, ...], proven: frozenset[str] | None) -> tuple[Event, ...]:
    """Return the events that may complete the callers of other events."""
    return events if proven is None else tuple(event for event in events if event.key in proven)
