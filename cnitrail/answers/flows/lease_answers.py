"""What ``who`` answers about the addresses of leases, for as long as it answers the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.flows.kinds import is_managed, kind_of
from cnitrail.answers.over_time import FIRST_SECOND, LAST_SECOND, Stretch, time_of
from cnitrail.answers.who import HolderIndex
from cnitrail.answers.who.indexes import address_and_prefix
from cnitrail.model import (
    Address,
    Held,
    History,
    Holder,
    LeaseEntry,
    Verdict,
    WhoAnswer,
)
from cnitrail.model.lease_answers import WHOLE_PREFIXES, LeaseAnswer

_LeaseKey = tuple[str, Held, datetime | None, datetime | None]
_REMEMBERED = 64
"""Addresses whose answers are kept: leases are asked by address, and 16 addresses share a prefix."""


class LeaseAnswers:
    """Finds the answers to ``who`` in which a lease is a holder."""

    def __init__(self, history: History, holders: HolderIndex) -> None:
        self._history = history
        self._holders = holders
        self._answers_by_lease = lru_cache(maxsize=_REMEMBERED)(self._by_lease)

    def of(self, lease: LeaseEntry) -> tuple[LeaseAnswer, ...]:
        """Return the answers for a lease, by address and time; none for an IPv6 prefix.

        Leases of one ENI that began and ended in the same seconds share their answers: the first one that
        is asked for gets them.
        """
        key = (lease.eni, lease.ip, lease.start, lease.end)
        return tuple(
            answer
            for ip in addresses_of(lease.ip)
            for answer in sorted(self._answers_by_lease(ip).pop(key, ()), key=_order)
        )

    def _by_lease(self, ip: Address) -> dict[_LeaseKey, list[LeaseAnswer]]:
        """Return the answers about an address by lease."""
        found: dict[_LeaseKey, list[LeaseAnswer]] = defaultdict(list)
        anywhere = self._stretches(ip, None)
        vpcs = {
            self._history.interfaces[lease.eni].vpc
            for held in address_and_prefix(ip)
            for leases in self._history.holders.get(held, ())
            for lease in leases
        }
        for vpc in sorted(filter(None, vpcs)):
            # With all leases in one VPC, the question without a VPC has the same verdict and holders.
            stretches = anywhere if vpcs == {vpc} else self._stretches(ip, vpc)
            self._collect(found, ip, vpc, _with_uniqueness(stretches, anywhere))
        self._collect(found, ip, None, _with_uniqueness(anywhere, anywhere))
        return found

    def _stretches(self, ip: Address, vpc: str | None) -> list[Stretch[WhoAnswer]]:
        wanted = Filter(vpc=(vpc,) if vpc is not None else ())
        return self._holders.over_time(ip, wanted).during(FIRST_SECOND, LAST_SECOND)

    def _collect(
        self,
        found: dict[_LeaseKey, list[LeaseAnswer]],
        ip: Address,
        vpc: str | None,
        stretches: Iterable[tuple[Stretch[WhoAnswer], bool]],
    ) -> None:
        """Add the answers to one question; those that say the same and follow each other are one."""
        begun: dict[tuple[_LeaseKey, int], LeaseAnswer] = {}
        for stretch, is_unique in stretches:
            current = dict(self._answers(ip, vpc, stretch, is_unique=is_unique))
            for name in [name for name in begun if name not in current]:
                found[name[0]].append(begun.pop(name))
            for name, answer in current.items():
                before = begun.get(name)
                if before is not None and replace(answer, first=before.first) == replace(
                    before, last=answer.last
                ):
                    begun[name] = replace(before, last=answer.last)
                    continue
                if before is not None:
                    found[name[0]].append(before)
                begun[name] = answer
        for (key, _), answer in begun.items():
            found[key].append(answer)

    def _answers(
        self, ip: Address, vpc: str | None, stretch: Stretch[WhoAnswer], *, is_unique: bool
    ) -> Iterator[tuple[tuple[_LeaseKey, int], LeaseAnswer]]:
        answer = stretch.value
        blank = LeaseAnswer(
            ip=str(ip),
            vpc=vpc,
            first=stretch.first,
            last=stretch.last,
            verdict=answer.verdict.value,
            certain_in_any_vpc=is_unique,
            place=1,
            enis=len({holder.eni for holder in answer.holders}),
        )
        if answer.verdict is Verdict.FREE:
            wanted = Filter(vpc=(vpc,) if vpc is not None else ())
            last = self._holders.who(ip, time_of(stretch.first), wanted).last_holder
            if last is not None:
                yield (_key_of(last, ip), 1), blank
        for place, holder in enumerate(answer.holders, 1):
            yield (
                (_key_of(holder, ip), place),
                replace(
                    blank,
                    place=place,
                    kind=kind_of(holder, is_node=self._is_node(holder)),
                    eni=holder.eni,
                    eni_kind=holder.eni_kind,
                    instance=holder.instance,
                    cluster=holder.cluster,
                    assigned_by=holder.assigned_by.label if holder.assigned_by is not None else None,
                ),
            )

    def _is_node(self, holder: Holder) -> bool:
        """Return whether pods run on the instance of a holder."""
        return holder.cluster is not None or is_managed(self._history, holder.instance)


def addresses_of(held: Held) -> Sequence[Address]:
    """Return the addresses of a lease; none if they are too many to list."""
    if not isinstance(held, (IPv4Network, IPv6Network)):
        return (held,)
    network = held
    is_listed = isinstance(network, IPv4Network) and network.prefixlen >= WHOLE_PREFIXES
    return tuple(network) if is_listed else ()


def _order(answer: LeaseAnswer) -> tuple[str, int, int]:
    return answer.vpc or "", answer.first, answer.place


def _key_of(holder: Holder, ip: Address) -> _LeaseKey:
    return holder.eni, holder.prefix if holder.prefix is not None else ip, holder.start, holder.end


def _with_uniqueness(
    stretches: Sequence[Stretch[WhoAnswer]], anywhere: Sequence[Stretch[WhoAnswer]]
) -> Iterator[tuple[Stretch[WhoAnswer], bool]]:
    """Yield each answer, and whether it is certain without a VPC too, for as long as both stay the same."""
    for stretch, other in _overlaps(stretches, anywhere):
        is_certain = other.verdict is Verdict.CERTAIN
        yield stretch, is_certain and other.holders == stretch.value.holders


def _overlaps(
    stretches: Sequence[Stretch[WhoAnswer]], others: Sequence[Stretch[WhoAnswer]]
) -> Iterator[tuple[Stretch[WhoAnswer], WhoAnswer]]:
    """Yield the parts of some stretches that lie in one of others, which are of the same seconds."""
    places = iter(others)
    other = next(places)
    for stretch in stretches:
        first = stretch.first
        while other.last < stretch.last:
            yield Stretch(first, other.last, stretch.value), other.value
            first = other.last + 1
            other = next(places)
        yield Stretch(first, stretch.last, stretch.value), other.value
        if other.last == stretch.last:
            other = next(places, other)
