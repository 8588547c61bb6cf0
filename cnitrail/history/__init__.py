"""Facts → intervals: who held what, what was attached where, and who stood behind a call.

This room knows effects and subjects, no event names and no JSON.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cnitrail.history.coverage import cover
from cnitrail.history.interfaces import Registry
from cnitrail.history.leases import fold_holdings
from cnitrail.history.ledger import Dispute, Ledger
from cnitrail.history.owners import owners_of
from cnitrail.history.provenance import separate
from cnitrail.history.recording import unrecorded, without_foreign_buckets
from cnitrail.history.sessions import complete_actors, identify_actors
from cnitrail.model import Event, History, IssuedSession, SetAside

__all__ = ["Dispute", "Ledger", "build", "cover", "unrecorded"]


def build(
    events: tuple[Event, ...], sessions: Iterable[IssuedSession] = (), proven: frozenset[str] | None = None
) -> History:
    """The history that ordered, deduplicated events tell (see ``Ledger``).

    ``proven`` are the keys of the facts that digests vouch for, if that was asked: then nothing else
    changes what they say.
    """
    with _collector_at_rest():
        events = without_foreign_buckets(events)
        reasons: dict[str, SetAside] = {}
        unproven: frozenset[str] = frozenset()
        sessions_aside: tuple[IssuedSession, ...] = ()
        moving = events
        if proven is not None:
            separated = separate(events, sessions, proven)
            moving, sessions, unproven = separated.events, separated.sessions, separated.unproven
            sessions_aside = separated.sessions_aside
            reasons |= {event.key: SetAside.UNPROVEN for event in separated.set_aside}
        owners = owners_of(moving)
        if owners.foreign:
            reasons |= dict.fromkeys(owners.foreign, SetAside.FOREIGN)
            moving = tuple(event for event in moving if event.key not in owners.foreign)
        identified = identify_actors(events, sessions)
        registry = Registry(identified, owners.disputed)
        for event in moving:
            registry.read(event)
        interfaces = registry.interfaces()
        instances = registry.instances()
        leases, holders = fold_holdings(moving, interfaces, registry.deaths)
        return History(
            events=events,
            interfaces=interfaces,
            instances=instances,
            leases=leases,
            holders=holders,
            actors=complete_actors(events, identified, interfaces, instances, _witnesses(moving, proven)),
            attachments=registry.enis_by_attachment(),
            associations=registry.associations,
            set_aside=reasons,
            proven=proven,
            unproven=unproven,
            sessions_aside=sessions_aside,
            unrecorded=tuple(unrecorded(moving, looked_up=True)),
        )


def _witnesses(events: tuple[Event, ...], proven: frozenset[str] | None) -> tuple[Event, ...]:
    """The events that may say something of the callers of others."""
    return events if proven is None else tuple(event for event in events if event.key in proven)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """A time without garbage collection.

    Values make no cycles; to look at them all, again and again as their number grows, takes a
    fifth of the time with some hundred thousand events.
    """
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()
