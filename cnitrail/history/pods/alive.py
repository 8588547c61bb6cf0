"""Until when a pod had an address whose release no line shows: the log of its node is silent about it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cnitrail.history.pods.bounds import implied, open_end
from cnitrail.history.pods.homes import Homes
from cnitrail.intervals import Interval
from cnitrail.model import Address, Basis
from cnitrail.model.evidence import Origin
from cnitrail.model.pod_facts import AddressFreed, IpamdStarted, PodRecord
from cnitrail.model.pods import PodLease, Witness
from cnitrail.timeclamp import FIRST, shifted

_MINUTE: Final = timedelta(minutes=1)

_Freed = tuple[datetime, datetime, Origin]


class SilentLog:
    """The lines of the nodes' logs that end an interval without a release; ``records`` are in order."""

    def __init__(
        self, records: Iterable[PodRecord], heard: Mapping[str, list[Interval]], homes: Homes
    ) -> None:
        self._heard, self._homes = heard, homes
        self._starts: dict[str, list[datetime]] = {}
        self._freed: dict[tuple[str, Address], list[_Freed]] = {}
        for record in records:
            for fact in record.facts:
                if not isinstance(fact, (IpamdStarted, AddressFreed)):
                    continue
                if record.time is None:
                    continue
                for home in homes.all_of(record.origins):
                    if isinstance(fact, IpamdStarted):
                        self._starts.setdefault(home, []).append(record.time)
                    else:
                        freed = (fact.earliest, fact.latest, record.origins[0])
                        self._freed.setdefault((home, fact.ip), []).append(freed)

    def applied(self, leases: Iterable[PodLease]) -> Iterator[PodLease]:
        """Yield the leases of the CNI's logs; those without an end go on as long as the log is silent.

        That is until it has a gap, until it gives the address to another sandbox, and until ipamd starts
        again: what it held then is recovered, or gone.
        """
        groups: dict[tuple[str | None, Address], list[PodLease]] = {}
        for lease in leases:
            groups.setdefault((self._homes.of(lease.origins), lease.ip), []).append(lease)
        for (home, _), alike in groups.items():
            starts = sorted(lease.start.latest for lease in alike if lease.start.latest is not None)
            for lease in alike:
                is_open = lease.end.basis is Basis.OPEN and lease.end.earliest is not None
                yield self._continued(home, lease, starts) if home is not None and is_open else lease

    def _continued(self, home: str, lease: PodLease, starts: list[datetime]) -> PodLease:
        if lease.end.earliest is None:
            return lease
        begun = max(lease.end.earliest, lease.start.latest or FIRST)
        following = _first_after(starts, begun)
        for earliest, latest, origin in self._freed.get((home, lease.ip), ()):
            if begun < earliest and (following is None or latest <= following):
                return replace(lease, end=implied(earliest, latest, Witness.IPAMD, origin))
        # The minute of the last line about the address may be the first one of the log.
        heard = next(
            (
                time.end
                for time in self._heard.get(home, ())
                if shifted(time.start, -_MINUTE) <= begun < time.end
            ),
            None,
        )
        if heard is None:
            return lease
        stops = (heard, following, _first_after(self._starts.get(home, []), begun))
        return replace(lease, end=open_end(min(stop for stop in stops if stop is not None)))


def _first_after(times: list[datetime], time: datetime) -> datetime | None:
    place = bisect_right(times, time)
    return times[place] if place < len(times) else None
