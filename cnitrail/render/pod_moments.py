"""When pods got and released their addresses, as rows between the calls of the timeline."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model import Basis, TimelineEntry
from cnitrail.model.pods import COOLDOWN, PodEntry
from cnitrail.render.folded_calls import FoldedCalls
from cnitrail.render.pod_parts import ended, name_of, started
from cnitrail.render.text import Part
from cnitrail.text import duration


class PodMoment(Struct, frozen=True, kw_only=True):
    """A moment in the time of a pod with its address.

    ``first`` is a call on the ENI of the address, with the time of the moment.
    """

    first: TimelineEntry
    pod: PodEntry
    what: str
    when: str | None = None

    @property
    def details(self) -> Iterator[Part]:
        """Yield the pod, its address, what is known of the moment if it is not exact, and the doubts."""
        yield f"{name_of(self.pod)} {self.pod.ip}", "bold"
        if self.when is not None:
            yield self.when, ""
        for doubt in self.pod.doubts:
            yield doubt.text, "magenta"


Line = FoldedCalls | PodMoment
"""What is one row of the timeline."""


def with_moments(rows: Sequence[FoldedCalls]) -> Sequence[Line]:
    """Return rows of calls with the moments of their pods between them: by time, as the rows are."""
    moments = [moment for pod, entry in _pods(rows).items() for moment in _moments(pod, entry)]
    if not moments:
        return rows
    is_newest_first = rows[0].first.time > rows[-1].first.time
    moments.sort(key=lambda moment: moment.first.time, reverse=is_newest_first)
    return list(_merged(rows, moments, newest_first=is_newest_first))


def _merged(
    rows: Sequence[FoldedCalls], moments: Sequence[PodMoment], *, newest_first: bool
) -> Iterator[Line]:
    """Yield rows and moments by time; a call comes before the moments of its second."""
    left = iter(moments)
    moment = next(left, None)
    for row in rows:
        while moment is not None and _is_before(moment.first.time, row.first.time, newest_first=newest_first):
            yield moment
            moment = next(left, None)
        yield row
    while moment is not None:
        yield moment
        moment = next(left, None)


def _is_before(moment: datetime, call: datetime, *, newest_first: bool) -> bool:
    return moment >= call if newest_first else moment < call


def _pods(rows: Iterable[FoldedCalls]) -> dict[PodEntry, TimelineEntry]:
    """Return the pods of some calls, each with the first call on its ENI, or else its first call."""
    found: dict[PodEntry, TimelineEntry] = {}
    for entry in (entry for row in rows for entry in row.entries):
        for pod in entry.pods:
            known = found.setdefault(pod, entry)
            if known.eni != pod.eni and entry.eni == pod.eni:
                found[pod] = entry
    return found


def _moments(pod: PodEntry, entry: TimelineEntry) -> Iterator[PodMoment]:
    """Yield when a pod got its address and when it released it, or was last seen with it."""

    def moment(time: datetime, what: str, when: str | None = None) -> PodMoment:
        return PodMoment(first=replace(entry, time=time), pod=pod, what=what, when=when)

    no_end = "no end seen" if pod.end is None else None
    if pod.start is not None and pod.start_basis is Basis.OBSERVED:
        yield moment(pod.start, "pod got address", no_end)
    elif pod.start is not None:
        yield moment(pod.start, "pod has address", started(pod))
    if pod.end is not None and pod.end_basis is Basis.OBSERVED:
        yield moment(pod.end, "pod released address", f"in cooldown for {duration(COOLDOWN)} by default")
    elif pod.end is not None:
        yield moment(pod.end, "pod without address", ended(pod))
    elif pod.end_not_before is not None and pod.end_not_before != pod.start:
        yield moment(pod.end_not_before, "pod still has address", "no end seen")
