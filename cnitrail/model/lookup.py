"""What a lookup of CloudTrail's event history needs to know about events; ``decode`` provides it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from msgspec import Struct


class IssuingCall(Struct, frozen=True, gc=False):
    """The call that issued a session's credentials, and how LookupEvents finds it.

    By its ``event_name`` in the second of ``time``; if that is None, by the access key that it issued.
    """

    time: datetime
    access_key_id: str
    event_name: str | None = None


class EventHints(Protocol):
    """What one event says about where else to look."""

    @property
    def event_name(self) -> str:
        """Name of the event."""

    @property
    def account(self) -> str | None:
        """Account that recorded the event."""

    @property
    def succeeded(self) -> bool:
        """Whether the call succeeded."""

    @property
    def read_only(self) -> bool:
        """Whether the call only read."""

    @property
    def ids(self) -> frozenset[str]:
        """IDs of the instances, ENIs and attachments that the call names, tags excluded."""

    @property
    def enables(self) -> frozenset[str]:
        """Conditional event names that may follow this event."""

    @property
    def issuing_call(self) -> IssuingCall | None:
        """The call that issued the caller's credentials, if it is worth looking up."""

    def ids_related_to(self, resource: str) -> frozenset[str]:
        """Return the IDs that belong with a resource, without those of its siblings in a list.

        RunInstances lists instances that have nothing to do with each other.
        """

    def names_any(self, addresses: Iterable[IPv4Network | IPv6Network]) -> bool:
        """Return whether the call names an address in one of these networks."""


class LookupHints(Struct, frozen=True, kw_only=True, gc=False):
    """What is known about LookupEvents' index of resource names, by event name.

    ``indexed`` events are known to be found by the resources that they name. ``indexed_like`` maps an event
    name to another one with the same index. A ``conditional`` event can only follow an event that
    ``enables`` it. Events in ``not_about_enis`` need no lookup if ENIs, instances or addresses are asked
    for, and those in ``too_frequent`` are never looked up by event name.
    """

    read_event: Callable[[str], EventHints | None]
    """Reads the JSON of a CloudTrail record. None if it cannot be read."""
    indexed: frozenset[str]
    indexed_like: Mapping[str, str]
    conditional: frozenset[str]
    not_about_enis: frozenset[str]
    too_frequent: frozenset[str]
