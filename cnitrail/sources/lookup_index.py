"""Which events LookupEvents finds by resource name, learned from its own answers."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from cnitrail.model.lookup import EventHints, LookupHints


class FoundEvent(Struct, frozen=True, kw_only=True):
    """An event as LookupEvents returned it.

    ``answer`` is LookupEvents' own JSON, ``resources`` the names that it finds the event by. ``hints`` is
    None if the record in it cannot be read.
    """

    answer: msgspec.Raw
    event_id: str | None
    time: datetime | None
    username: str | None
    resources: frozenset[str]
    hints: EventHints | None


class LookupIndex:
    """Which event names are known to be found by the resources that their events name."""

    def __init__(self, known: LookupHints) -> None:
        self._known = known
        self._observed: dict[str, bool] = {}
        self._enabled: set[str] = set()

    def learn(self, event: FoundEvent) -> None:
        """Check whether a successful call is indexed by every resource that it names."""
        hints = event.hints
        if hints is None or not hints.succeeded:
            return
        named = {resource for resource in hints.ids if resource_type(resource) != "eni-attach"} or hints.ids
        if named:
            was_indexed = self._observed.get(hints.event_name, True)
            self._observed[hints.event_name] = was_indexed and named <= event.resources

    def enable(self, event_names: Iterable[str]) -> None:
        """Note conditional event names that may exist for the resources that are looked up."""
        self._enabled.update(event_names)

    def is_indexed(self, event_name: str) -> bool:
        """Return whether events of this name were seen to be found by resource."""
        return self._observed.get(event_name, False)

    def not_found_by_resource(self, event_names: Iterable[str]) -> list[str]:
        """Return the event names that a lookup by resource may have missed."""
        missed: list[str] = []
        for name in event_names:
            is_assumed = name not in self._observed and self._is_assumed_indexed(name, missed)
            if not self.is_indexed(name) and not is_assumed:
                missed.append(name)
        return missed

    def _is_assumed_indexed(self, event_name: str, missed: list[str]) -> bool:
        """Return whether an event name that was not seen needs no lookup of its own.

        One that is indexed like another name is decided once that name has been read.
        """
        known = self._known
        other = known.indexed_like.get(event_name)
        return (
            event_name in known.indexed
            or (other is not None and (self.is_indexed(other) or other in missed))
            or (event_name in known.conditional and event_name not in self._enabled)
        )


def resource_type(resource: str) -> str:
    """Return the prefix of a resource ID: ``i``, ``eni`` or ``eni-attach``."""
    return resource.rpartition("-")[0]
