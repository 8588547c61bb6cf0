"""Which ENI, instance and Region the files of one node show."""

from collections.abc import Iterable
from datetime import datetime

from cnitrail.history.pods.homes import OWN, Homes
from cnitrail.model import Address, Held, History
from cnitrail.model.ec2 import prefix_of
from cnitrail.model.pod_facts import AddressKept, EniListed, IpamdStarted, NodeNamed, PodRecord, RegionNamed
from cnitrail.timeclamp import FIRST


class NodeFiles:
    """The ENIs that a node's files list, and the instance that they name; ``records`` are in order."""

    def __init__(self, records: Iterable[PodRecord], homes: Homes, history: History) -> None:
        self._listed: dict[tuple[str, Held], list[tuple[datetime, str | None]]] = {}
        self._named: dict[str, set[str]] = {}
        self._shown: dict[str, set[str]] = {}
        self._regions: dict[str, set[str]] = {}
        self._starts: dict[str, list[datetime]] = {}
        for record in records:
            for fact in record.facts:
                if isinstance(fact, IpamdStarted) and record.time is not None:
                    for place in homes.all_of(record.origins):
                        self._starts.setdefault(place, []).append(record.time)
                elif isinstance(fact, RegionNamed):
                    for place in homes.all_of(record.origins):
                        self._regions.setdefault(place, set()).add(fact.region)
                elif isinstance(fact, NodeNamed) and fact.basis in OWN:
                    owner = homes.of(record.origins)
                    if owner is not None:
                        self._named.setdefault(owner, set()).add(fact.instance)
                elif isinstance(fact, (EniListed, AddressKept)) and fact.eni is not None:
                    owner = homes.of(record.origins)
                    if owner is None:
                        continue
                    held = fact.held if isinstance(fact, EniListed) else fact.ip
                    time = record.time or FIRST
                    is_out = isinstance(fact, EniListed) and fact.removed
                    eni = None if is_out else fact.eni
                    self._listed.setdefault((owner, held), []).append((time, eni))
                    instance, _ = history.instance_of(fact.eni, time) if record.time else (None, None)
                    if instance is not None:
                        self._shown.setdefault(owner, set()).add(instance)

        self._listing = {home for home, _ in self._listed}

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
