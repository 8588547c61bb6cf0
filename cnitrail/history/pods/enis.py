"""Which ENI, instance and Region the files of one node show."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from cnitrail.history.pods.homes import OWN, Homes
from cnitrail.model import Address, Held, History
from cnitrail.model.ec2 import prefix_of
from cnitrail.model.pod_facts import (
    AddressKept,
    EniListed,
    IpamdStarted,
    NodeNamed,
    PodFact,
    PodRecord,
    RegionNamed,
)
from cnitrail.timeclamp import FIRST


class NodeFiles:
    """The ENIs that a node's files list, and the instance that they name; ``records`` are in order."""

    def __init__(self, records: Iterable[PodRecord], homes: Homes, history: History) -> None:
        self._homes, self._history = homes, history
        self._listed: dict[tuple[str, Held], list[tuple[datetime, str | None]]] = defaultdict(list)
        self._named: dict[str, set[str]] = defaultdict(set)
        self._shown: dict[str, set[str]] = defaultdict(set)
        self._regions: dict[str, set[str]] = defaultdict(set)
        self._starts: dict[str, list[datetime]] = defaultdict(list)
        for record in records:
            for fact in record.facts:
                self._read(record, fact)
        self._listing = {home for home, _ in self._listed}

    def _read(self, record: PodRecord, fact: PodFact) -> None:
        match fact:
            case IpamdStarted() if record.time is not None:
                for home in self._homes.all_of(record.origins):
                    self._starts[home].append(record.time)
            case RegionNamed():
                for home in self._homes.all_of(record.origins):
                    self._regions[home].add(fact.region)
            case NodeNamed() if fact.basis in OWN:
                owner = self._homes.of(record.origins)
                if owner is not None:
                    self._named[owner].add(fact.instance)
            case EniListed(removed=is_removed):
                self._read_eni(record, fact.held, fact.eni, is_removed=is_removed)
            case AddressKept():
                self._read_eni(record, fact.ip, fact.eni)

    def _read_eni(self, record: PodRecord, held: Held, eni: str | None, *, is_removed: bool = False) -> None:
        """Note that a file lists an address or prefix of an ENI, and the instance of the ENI then."""
        owner = self._homes.of(record.origins)
        if owner is None or eni is None:
            return
        self._listed[owner, held].append((record.time or FIRST, None if is_removed else eni))
        instance, _ = self._history.instance_of(eni, record.time) if record.time else (None, None)
        if instance is not None:
            self._shown[owner].add(instance)

    def instance_of(self, home: str | None) -> str | None:
        """Return the instance of a node's files; None if they name none, or several."""
        known = self._named.get(home or "") or self._shown.get(home or "") or set()
        return next(iter(known)) if len(known) == 1 else None

    def region_of(self, home: str | None) -> str | None:
        """Return the Region of a node's files; None if they name none, or several."""
        known = self._regions.get(home or "", set())
        return next(iter(known)) if len(known) == 1 else None

    def starts_of(self, home: str) -> list[datetime]:
        """Return the times at which ipamd started, by a node's files."""
        return self._starts.get(home, [])

    def eni_of(self, home: str | None, ip: Address, time: datetime) -> str | None:
        """Return the ENI to which a node's files last added an address, or its prefix, by a time."""
        if home not in self._listing:
            return None
        found: list[tuple[datetime, str | None]] = []
        for held in (ip, prefix_of(ip)):
            found += self._listed.get((home, held), ())
        # ipamd lists an address before it gives it to a pod; a file without times lists it at any time.
        before = [one for one in found if one[0] <= time]
        return max(before, key=lambda one: one[0])[1] if before else None
