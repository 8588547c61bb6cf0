"""Calls that configure trails → the times in which EC2's write calls were not recorded.

LookupEvents is no trail: AWS keeps its event history whatever becomes of trails.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from cnitrail.model import Event, TrailAction, TrailChange, Unrecorded, Unrecording

_SECOND = timedelta(seconds=1)
_ARN = re.compile(r"arn:[a-z-]+:cloudtrail:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):trail/(?P<name>.+)")
_FOLDER = "/AWSLogs/"
_ORGANIZATION = re.compile(r"(?:^|/)AWSLogs/o-[a-z0-9]{10,32}/")

_TrailKey = tuple[str | None, str | None, str | None]
"""Account, home Region and name of a trail."""


def unrecorded(events: Iterable[Event], *, looked_up: bool = False) -> list[Unrecorded]:
    """Return the times in which trails did not record all of EC2's write calls, by start.

    ``events`` are in the order of time. A trail whose creation is not among them is taken for the one that
    delivered the evidence. One that is created later is a second trail: to stop it takes nothing away from
    the first, and to start it does not replace the first. What is known from LookupEvents alone counts only
    if ``looked_up``: what that delivers is complete all the same.
    """
    trails: dict[_TrailKey, _Recording] = {}
    for event in events:
        change = event.trail
        if change is None or change.change is TrailAction.BUCKET_CHANGED or event.failure is not None:
            continue
        if not looked_up and all(origin.source.startswith("lookup:") for origin in event.origins):
            continue
        key = _key(event, change)
        if key not in trails:
            trails[key] = _Recording(key, is_second=change.change is TrailAction.CREATED)
        trails[key].read(event, change)
    found = [gap for trail in trails.values() if not trail.is_second for gap in trail.gaps]
    return sorted(found, key=lambda gap: (gap.start, gap.reason, gap.event.key))


def without_foreign_buckets(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Return the events without calls on buckets that are not known to be a trail's.

    A bucket is a trail's if a call made it so, if log files lie in it, or if its policy names CloudTrail.
    """
    if not any(map(_is_on_bucket, events)):
        return events
    known = set(_trail_buckets(events))
    above = "".join(f"/{top}/" for top in {top for event in events for top in _tops(event)})
    return tuple(
        event
        for event in events
        if not _is_on_bucket(event) or _bucket(event) in known or f"/{_bucket(event)}/" in above
    )


def _is_on_bucket(event: Event) -> bool:
    return event.trail is not None and event.trail.change is TrailAction.BUCKET_CHANGED


def _bucket(event: Event) -> str | None:
    return event.trail.bucket if event.trail is not None else None


def _trail_buckets(events: Iterable[Event]) -> Iterator[str | None]:
    """The buckets that calls show to be trails'."""
    for event in events:
        change = event.trail
        if change is not None and (change.delivers or change.change is not TrailAction.BUCKET_CHANGED):
            yield change.bucket


def _tops(event: Event) -> Iterator[str]:
    """What stands above a trail's folders, where an event was read: the bucket, and a prefix."""
    for origin in event.origins:
        top, found, _ = origin.source.partition(_FOLDER)
        if found:
            yield top


def _key(event: Event, change: TrailChange) -> _TrailKey:
    """Which trail a call is about: a mere name is of the account and Region of the call."""
    arn = _ARN.fullmatch(change.trail or "")
    if arn is not None:
        return arn["account"], arn["region"], arn["name"]
    return event.account, event.region, change.trail


def _bounds(event: Event) -> tuple[datetime, datetime]:
    """The earliest and the latest time of a call: records that disagree may name several."""
    return min(event.disputed, default=event.time), max(event.disputed, default=event.time)


class _Recording(Struct):
    """One trail, followed through the calls that configure it.

    ``gaps`` are all times in which it did not record everything, and ``open`` the last of each kind that
    has not ended, by its place there.
    """

    key: _TrailKey
    is_second: bool
    multi_region: bool | None = None
    organization: bool | None = None
    open: dict[str, int] = field(default_factory=dict)
    gaps: list[Unrecorded] = field(default_factory=list)

    def read(self, event: Event, change: TrailChange) -> None:
        """Take in what a call did to it."""
        if change.organization is not None:
            self.organization = change.organization
        match change.change:
            case TrailAction.STOPPED:
                self._begin("logging", Unrecording.STOPPED, event)
            case TrailAction.DELETED:
                self._begin("logging", Unrecording.DELETED, event)
            case TrailAction.STARTED:
                self._end("logging", event)
            case TrailAction.NARROWED:
                self._end("selectors", event)
                self._begin("selectors", Unrecording.NARROWED, event, partly=change.records_writes is None)
            case TrailAction.WIDENED:
                self._end("selectors", event)
            case TrailAction.CREATED:
                self._end("selectors", event)
                self._cover(event, multi_region=change.multi_region is True)
            case TrailAction.CHANGED if change.multi_region is not None:
                self._cover(event, multi_region=change.multi_region)

    def _cover(self, event: Event, *, multi_region: bool) -> None:
        """It records in all Regions from now on, or in its home Region alone."""
        if multi_region:
            self._end("regions", event)
        elif self.multi_region is not False:
            self._begin("regions", Unrecording.NARROWED, event, partly=True, unless_region=self.key[1])
        self.multi_region = multi_region

    def _begin(
        self,
        kind: str,
        reason: Unrecording,
        event: Event,
        *,
        partly: bool = False,
        unless_region: str | None = None,
    ) -> None:
        """It stops recording, unless it did so before."""
        if kind in self.open:
            return
        self.open[kind] = len(self.gaps)
        is_local = self.multi_region is False and unless_region is None
        self.gaps.append(
            Unrecorded(
                account=None if self._may_be_of_organization(event) else event.account,
                region=self.key[1] if is_local else None,
                start=_bounds(event)[0],
                end=None,
                reason=reason,
                event=event,
                trail=self.key[2],
                unless_region=unless_region,
                partly=partly,
            )
        )

    def _end(self, kind: str, event: Event) -> None:
        """It records again: if both calls are of one second, nothing shows which came last."""
        place = self.open.get(kind)
        if place is None:
            return
        gap, (first, last) = self.gaps[place], _bounds(event)
        if first > _bounds(gap.event)[1]:
            self.gaps[place] = replace(gap, end=last + _SECOND, ended_by=event)
            del self.open[kind]

    def _may_be_of_organization(self, event: Event) -> bool:
        """Whether it may have recorded for other accounts, too."""
        if self.organization is not None:
            return self.organization
        in_folder = any(_ORGANIZATION.search(origin.source) for origin in event.origins)
        return in_folder or self.key[0] != event.account
