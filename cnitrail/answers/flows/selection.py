"""Which flows are meant by filters: a cheap test by the fields of a record, then one by its joined ends."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.answers.filters import meets
from cnitrail.answers.flows.kinds import address_of
from cnitrail.answers.over_time import second_of
from cnitrail.model.pods import PodName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.answers.filters import Filter
    from cnitrail.answers.flows.ends import FlowKey, JoinedEnds
    from cnitrail.model import Held, History

_REMEMBERED: Final = 100_000

_PORT_DIGITS: Final = 5


class FlowSelection:
    """The flows that a filter means, of which either end may meet each part of it.

    So ``--pod shop/web --ip 10.0.0.5`` are the flows between the two. ``ports`` are source or destination
    ports. ``since`` and ``until`` mean the interval in which the packets of a record lie.
    """

    def __init__(
        self,
        history: History,
        wanted: Filter,
        *,
        ports: Sequence[range] = (),
        rejected: bool = False,
    ) -> None:
        self._wanted = wanted
        self._ports = ports
        self._rejected = rejected
        self._since = second_of(wanted.since) if wanted.since is not None else None
        self._until = second_of(wanted.until) if wanted.until is not None else None
        self._parts = tuple(_parts(history, wanted))

    @property
    def limits_records(self) -> bool:
        """Whether the times, ports or the action of a record matter."""
        return bool(self._ports or self._rejected or self._since is not None or self._until is not None)

    @property
    def limits_ends(self) -> bool:
        """Whether the ends of a record matter."""
        return bool(self._parts)

    def takes_record(
        self, first: int, last: int, srcport: str | None, dstport: str | None, *, is_rejected: bool
    ) -> bool:
        """Return whether a record is meant by its own fields; its packets lie from ``first`` to ``last``."""
        return (
            (is_rejected or not self._rejected)
            and (self._since is None or last >= self._since)
            and (self._until is None or first <= self._until)
            and (not self._ports or any(self._is_port(port) for port in (srcport, dstport)))
        )

    def takes_key(self, key: FlowKey) -> bool:
        """Return whether a flow may be meant, by its ``KEY_FIELDS``: if not, it need not be joined."""
        return all(part.may_be(key) for part in self._parts)

    def takes_ends(self, key: FlowKey, ends: JoinedEnds) -> bool:
        """Return whether a flow is meant: who may have been at its ends, also if that is not certain."""
        return all(self._is_met(part, key, ends) for part in self._parts)

    def takes_interface(self, key: FlowKey, first: int, last: int) -> bool:
        """Return whether a record without traffic (NODATA, SKIPDATA) is meant: by its interface and time.

        Nothing is known of ports and actions: records that SKIPDATA has lost may be just those.
        """
        is_late = self._since is not None and last < self._since
        is_early = self._until is not None and first > self._until
        return not (is_late or is_early) and all(part.may_be_at(key) for part in self._parts)

    def _is_port(self, text: str | None) -> bool:
        # Python refuses to convert thousands of digits, which a record may have
        if text is None or len(text) > _PORT_DIGITS or not text.isdecimal():
            return False
        return any(int(text) in ports for ports in self._ports)

    def _is_met(self, part: _WantedEnds, key: FlowKey, ends: JoinedEnds) -> bool:
        both = (ends.src, ends.dst)
        match part.name:
            case "instance":
                is_named = any(instance in part.instances for end in both for instance in end.instance)
                return is_named or key.instance in part.instances or part.is_unnamed_at(key, ends)
            case "eni":
                return key.interface in part.enis or any(eni in part.enis for end in both for eni in end.eni)
            case "pod":
                names = (PodName(*name.split("/", 1)) for end in both for name in end.pod)
                return any(self._wanted.takes_pod(name) for name in names)
        return part.may_be(key)


class _WantedEnds(Struct, frozen=True, kw_only=True):
    """One filter: the interfaces, instances and addresses that it means at any time.

    ``carriers`` are the interfaces that may have the traffic of these, with that of others.
    """

    name: str
    enis: frozenset[str] = frozenset()
    carriers: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    addresses: _Addresses

    def may_be(self, key: FlowKey) -> bool:
        """Return whether the interface, its instance or one of the addresses is meant."""
        texts = (key.pkt_src, key.pkt_dst, key.src, key.dst)
        is_there = key.interface in self.enis or key.instance in self.instances
        return is_there or any(text is not None and text in self.addresses for text in texts)

    def may_be_at(self, key: FlowKey) -> bool:
        """Return whether the interface of a record may have traffic that is meant."""
        return any(key.interface in enis for enis in (self.enis, self.carriers)) or (
            key.instance in self.instances
        )

    def is_unnamed_at(self, key: FlowKey, ends: JoinedEnds) -> bool:
        """Return whether the interface is meant, and nothing shows which instance it was on at that time."""
        local = ends.dst if ends.local == "dst" else ends.src if ends.local == "src" else None
        return key.interface in self.enis and key.instance is None and (local is None or not local.instance)


def _parts(history: History, wanted: Filter) -> Iterator[_WantedEnds]:
    """Yield the filters of ends that were asked for."""
    if wanted.instance:
        enis = _enis_of_instances(history, wanted.instance)
        yield _WantedEnds(
            name="instance",
            enis=enis,
            instances=frozenset(wanted.instance),
            addresses=_Addresses(_held_by(history, enis)),
        )
    if wanted.eni:
        enis = frozenset(wanted.eni)
        yield _WantedEnds(name="eni", enis=enis, addresses=_Addresses(_held_by(history, enis)))
    if wanted.ip:
        leases = (lease for lease in history.leases if wanted.takes_addresses((lease.held,)))
        carriers = frozenset(lease.eni for lease in leases)
        yield _WantedEnds(name="ip", carriers=carriers, addresses=_Addresses(wanted.ip))
    if wanted.names_pods:
        pods = [lease for lease in history.pods.leases if lease.pod and wanted.takes_pod(lease.pod)]
        carriers = frozenset(lease.eni for lease in pods if lease.eni is not None)
        yield _WantedEnds(name="pod", carriers=carriers, addresses=_Addresses(lease.ip for lease in pods))


class _Addresses:
    """A set of addresses and blocks, asked by text, with memory of the answers."""

    def __init__(self, held: Iterable[Held]) -> None:
        several = set(held)
        self._blocks = [block for block in several if isinstance(block, (IPv4Network, IPv6Network))]
        self._single = several.difference(self._blocks)
        self._includes = lru_cache(_REMEMBERED)(self._look)

    def __contains__(self, text: str) -> bool:
        """Return whether an address is one of them."""
        return self._includes(text)

    def _look(self, text: str) -> bool:
        address, _ = address_of(text)
        return address is not None and (
            address in self._single or any(meets(block, address) for block in self._blocks)
        )


def _enis_of_instances(history: History, instances: Sequence[str]) -> frozenset[str]:
    """Return the interfaces that were on one of some instances, or were made for it, at any time."""
    return frozenset(
        interface.eni
        for interface in history.interfaces.values()
        if any(attachment.instance in instances for attachment in interface.attachments)
        or (interface.mark is not None and interface.mark.instance in instances)
    )


def _held_by(history: History, enis: frozenset[str]) -> Iterator[Held]:
    return (lease.held for lease in history.leases if lease.eni in enis)
