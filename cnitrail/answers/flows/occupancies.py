"""Who had the addresses of records, by the history alone: what many records share is found once."""

from collections.abc import Iterable
from typing import Final

from cnitrail.answers.filters import Filter
from cnitrail.answers.flows.kinds import address_of
from cnitrail.answers.flows.occupancy import Occupancy, sure_vpc
from cnitrail.answers.flows.record import BEYOND_AWS, PEERED
from cnitrail.answers.over_time import IntervalBounds, OverTime
from cnitrail.answers.who import HolderIndex
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.model import Address, Verdict, WhoAnswer

MOST_REMEMBERED: Final = 20_000
"""Number of addresses, and of ENIs, whose answers are remembered (some KB each): logs may have millions."""


class Occupancies:
    """Finds who had an address in an interval."""

    def __init__(self, holders: HolderIndex) -> None:
        self._holders = holders
        self._answers: dict[tuple[Address, str | None], OverTime[WhoAnswer]] = BoundedMemory(MOST_REMEMBERED)
        self._known: dict[tuple[str | None, ...], Occupancy] = BoundedMemory(MOST_REMEMBERED)

    def during(
        self,
        first: int,
        last: int,
        text: str | None,
        vpc: str | None,
        way_out: str | None = None,
        region: str | None = None,
    ) -> Occupancy:
        """Return who had an address; ``way_out`` is the path that leads to it from a VPC in a Region."""
        asked = (text, vpc, way_out, region if way_out is not None else None)
        known = self._known.get(asked)
        if known is None or not known.bounds.include(first, last):
            found = self._found(first, last, text, vpc, way_out, region)
            if known is not None and known.says_the_same(found):
                found.ends = known.ends
            self._known[asked] = found
            return found
        return known

    def _found(
        self,
        first: int,
        last: int,
        text: str | None,
        vpc: str | None,
        way_out: str | None,
        region: str | None,
    ) -> Occupancy:
        ip, is_public = address_of(text) if text is not None else (None, False)
        is_peered = way_out in PEERED
        found = Occupancy(ip=ip, is_public=is_public, vpc=vpc, is_outside=way_out is not None)
        if ip is None or way_out in BEYOND_AWS or (is_public and not self._is_in_history(ip)):
            return found
        answers, bounds = self._answers_in(ip, None if is_peered else vpc, first, last)
        if is_peered:
            peer = _peer(answers, vpc, region, is_in_region=way_out == "4")
            answers, of_peer = self._answers_in(ip, peer, first, last) if peer is not None else ([], bounds)
            bounds = bounds.intersection(of_peer)
        elif self._may_differ(ip, vpc):
            found.everywhere, of_all = self._answers_in(ip, None, first, last)
            bounds = bounds.intersection(of_all)
        found.answers, found.bounds = answers, bounds
        found.enis = frozenset(holder.eni for answer in answers for holder in answer.holders)
        found.is_certain = any(answer.verdict is Verdict.CERTAIN for answer in answers)
        found.sure_vpc = sure_vpc(answers, vpc)
        return found

    def _may_differ(self, ip: Address, vpc: str | None) -> bool:
        """Return whether the answer about an address in a VPC may differ from that without a VPC."""
        return vpc is not None and (self._holders.names_pod(ip) or not self._holders.vpcs_of(ip) <= {vpc})

    def _is_in_history(self, ip: Address) -> bool:
        """Return whether the evidence names a holder of an address, or a pod with it."""
        return self._holders.names_pod(ip) or bool(self._holders.vpcs_of(ip))

    def _answers_in(
        self, ip: Address, vpc: str | None, first: int, last: int
    ) -> tuple[list[WhoAnswer], IntervalBounds]:
        """Return the answers about an address in an interval, and the intervals that they are those of."""
        stretches = self._over_time(ip, vpc).during(first, last)
        return [stretch.value for stretch in stretches], IntervalBounds.of(stretches)

    def _over_time(self, ip: Address, vpc: str | None) -> OverTime[WhoAnswer]:
        known = self._answers.get((ip, vpc))
        if known is None:
            wanted = Filter(vpc=(vpc,) if vpc is not None else ())
            known = self._answers[ip, vpc] = self._holders.over_time(ip, wanted)
        return known


def _peer(
    answers: Iterable[WhoAnswer], vpc: str | None, region: str | None, *, is_in_region: bool
) -> str | None:
    """Return the VPC behind a peering connection of a VPC and Region; None unless exactly one fits."""
    vpcs = {
        holder.vpc
        for answer in answers
        for holder in answer.holders
        if holder.vpc != vpc and (region is None or (holder.region == region) is is_in_region)
    }
    return vpcs.pop() if len(vpcs) == 1 else None
