"""Facts → intervals: who held what, what was attached where, and who stood behind a call.

This room knows effects and subjects, no event names and no JSON.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cnitrail.history.coverage import cover
from cnitrail.history.holdings import fold_holdings
from cnitrail.history.interfaces import Registry
from cnitrail.history.ledger import Dispute, Ledger
from cnitrail.history.sessions import complete_actors, identify_actors
from cnitrail.model import Event, History, IssuedSession

__all__ = ["Dispute", "Ledger", "build", "cover", "unrecorded"]


def build(events: tuple[Event, ...], sessions: Iterable[IssuedSession] = ()) -> History:
    """The history that ordered, deduplicated events tell (see ``Ledger``)."""
    with _collector_at_rest():
        identified = identify_actors(events, sessions)
        registry = Registry()
        for event in events:
            registry.read(event)
        interfaces = registry.interfaces()
        instances = registry.instances()
        leases, holders = fold_holdings(events, interfaces, registry.deaths)
        return History(
            events=events,
            interfaces=interfaces,
            instances=instances,
            leases=leases,
            holders=holders,
            actors=complete_actors(events, identified, interfaces, instances),
            attachments=registry.enis_by_attachment(),
            associations=registry.associations,
            unrecorded=tuple(unrecorded(events, looked_up=True)),
        )


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
