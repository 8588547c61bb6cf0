"""The pods that had an address when a call took it from their ENI."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.pods.asked import Asked
from cnitrail.answers.pods.index import PodIndex
from cnitrail.model import Address, Held, History, is_prefix
from cnitrail.model.pods import CLOCKS, PodLease
from cnitrail.model.reason import ReasonCode
from cnitrail.timeclamp import shifted


class CutOff(Struct, frozen=True):
    """A pod that had an address when its ENI lost it; not ``surely`` if it only may have had it."""

    lease: PodLease
    surely: bool


class CutOffIndex:
    """The pod leases of a history by address."""

    def __init__(self, history: History) -> None:
        self._pods = PodIndex(history)
        self._leases: dict[Address, list[PodLease]] = defaultdict(list)
        for lease in history.pods.leases:
            self._leases[lease.ip].append(lease)

    def cut_off(self, held: Held, eni: str | None, time: datetime) -> Iterator[CutOff]:
        """Yield the pods that had an address, or one of a prefix, of an ENI in the second of a call."""
        second = Asked.of(time)
        for ip in self._addresses(held):
            for lease in self._leases.get(ip, ()):
                if lease.eni in (eni, None) and lease.perhaps_held(second.first, second.last):
                    yield CutOff(lease, surely=lease.eni is not None and self._surely_had(lease, second))

    def _surely_had(self, lease: PodLease, second: Asked) -> bool:
        """Return whether records show a pod with its address until a call takes it, or for longer.

        Its sure time ends ``CLOCKS`` before the call. It is shown in the second of the call, too, because
        neither ipamd nor the kubelet notices.
        """
        before = shifted(second.first, -CLOCKS)
        is_shown = lease.shown_until is not None and lease.shown_until >= second.first
        is_doubted = any(doubt.code is not ReasonCode.POD_OUTSIDE_ENI_LEASE for doubt in lease.doubts)
        is_sure = is_shown and not is_doubted and lease.surely_held(before, before)
        return is_sure and not any(self._pods.gaps_in_proof(lease))

    def _addresses(self, held: Held) -> list[Address]:
        if not is_prefix(held):
            return [held]  # type: ignore[list-item]  # not a prefix
        return [ip for ip in self._leases if ip.version == held.version and ip in held]  # type: ignore[operator]
