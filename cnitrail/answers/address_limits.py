"""Calls that EC2 refused because an ENI would have had too many addresses: what was asked for, and held.

Limits: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html. They count the primary
address; a prefix counts as one address.
"""

from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime
from functools import cached_property

from msgspec import Struct

from cnitrail.model import History, HoldingKind, Limits, TimelineEntry
from cnitrail.text import plural

_IPV6 = (HoldingKind.IPV6, HoldingKind.IPV6_PREFIX)
_IPV4 = (HoldingKind.PRIMARY, HoldingKind.SECONDARY, HoldingKind.PREFIX)
_ALWAYS = datetime.min.replace(tzinfo=UTC)


class AddressRequest(Struct, frozen=True, kw_only=True):
    """A refused request for addresses: how many it ``asked`` for, and how many the ENI ``held`` then.

    ``asked`` is None if the record does not say; of ``prefixes`` if it asked for these. ``held`` counts IPv4
    addresses and prefixes, and is all of them only if it is ``complete``: the evidence goes back to the
    creation of the ENI. ``limits`` are those of the instance type, None if that is not known, or if the
    request was for IPv6, which has limits of its own.
    """

    asked: int | None
    prefixes: bool = False
    held: int
    complete: bool
    limits: Limits | None

    @property
    def is_beyond_type(self) -> bool:
        """Return whether no ENI of the instance type can have as many addresses as were asked for."""
        return bool(self.limits and self.asked and self.asked > self.limits.secondary_per_eni)

    @property
    def is_full(self) -> bool:
        """Return whether the ENI is known to have had all the addresses that its type allows."""
        return bool(self.limits and self.held >= self.limits.ipv4_per_eni)

    @property
    def is_too_large(self) -> bool:
        """Return whether the ENI is known to have had too many addresses for the request."""
        return bool(self.limits and self.held + (self.asked or 1) > self.limits.ipv4_per_eni)

    @property
    def noun(self) -> str:
        """Return what was asked for, in the singular."""
        return "prefix" if self.prefixes else "address"

    @property
    def text(self) -> str | None:
        """Return what was asked for and held, as a clause; None if the record does not say."""
        if self.asked is None:
            return None
        least = "" if self.complete else "at least "
        of_limit = f" of {self.limits.ipv4_per_eni}" if self.limits else ""
        had = f"; the ENI had {least}{self.held}{of_limit}" if self.held else ""
        prefixes = f" {plural(self.noun) if self.asked > 1 else self.noun}" if self.prefixes else ""
        return f"asked for {self.asked} more{prefixes}{had}"


class AddressRequests:
    """What every ENI held at any time, for the calls that asked for too much."""

    def __init__(self, history: History) -> None:
        self._history = history

    @cached_property
    def _times(self) -> tuple[dict[str, list[datetime]], dict[str, list[datetime]]]:
        """Return when the leases of each ENI began, and when they ended, in order."""
        starts: dict[str, list[datetime]] = defaultdict(list)
        ends: dict[str, list[datetime]] = defaultdict(list)
        for lease in self._history.leases:
            if lease.kind in _IPV4:
                starts[lease.eni].append(lease.start.time or _ALWAYS)
                if lease.end.time is not None:
                    ends[lease.eni].append(lease.end.time)
        for times in (*starts.values(), *ends.values()):
            times.sort()
        return starts, ends

    def of(self, entry: TimelineEntry) -> AddressRequest:
        """Return what a call asked for, and what its ENI held; of a creation, only its primary address."""
        from cnitrail.limits import limits_of

        asked = len(entry.requested_addresses) or entry.requested
        if entry.requested_kind in _IPV6:
            return AddressRequest(asked=asked, held=0, complete=False, limits=None)
        eni = entry.eni or ""
        interface = self._history.interfaces.get(eni)
        starts, ends = self._times
        held = bisect_right(starts.get(eni, ()), entry.time) - bisect_right(ends.get(eni, ()), entry.time)
        return AddressRequest(
            asked=asked,
            prefixes=entry.requested_kind is HoldingKind.PREFIX,
            held=held,
            complete=interface is not None and interface.created.event is not None,
            limits=limits_of(entry.instance_type) if entry.instance_type else None,
        )
