"""The pods with addresses on an instance or ENI at a time."""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.pods.asked import Asked
from cnitrail.answers.pods.entries import lease_name
from cnitrail.model import History


class PodsOn(Struct, frozen=True):
    """Names of the pods that surely had an address, and of all that may have had one."""

    surely: frozenset[str]
    perhaps: frozenset[str]


def pods_on(
    history: History, at: datetime, *, instance: str | None = None, enis: Collection[str] | None = None
) -> PodsOn:
    """Return the pods on an instance, or on ENIs, in all of a second, or at an instant with a fraction."""
    asked = Asked.of(at)
    there = [
        lease
        for lease in history.pods.leases
        if (instance is None or lease.instance == instance)
        and (enis is None or lease.eni in enis)
        and lease.perhaps_held(asked.first, asked.last)
    ]
    sure = [lease for lease in there if not lease.doubts and lease.surely_held(asked.first, asked.last)]
    return PodsOn(frozenset(map(lease_name, sure)), frozenset(map(lease_name, there)))
