"""Calls that configure trails → the times in which EC2's write calls were not recorded."""

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


def unrecorded(events: Iterable[Event]) -> list[Unrecorded]:
    """Return the times in which trails did not record all of EC2's write calls, by start.

    ``events`` are in the order of time. A trail whose creation is not among them is taken for the one that
    delivered the evidence. One that is created later is a second trail: to stop it takes nothing away from
    the first, and to start it does not replace the first.
    """
    trails: dict[_TrailKey, _Recording] = {}
    for event in events:
        change = event.trail
        if change is None or change.change is TrailAction.BUCKET_CHANGED or event.failure is not None:
            continue
        key = _key(event, change)
        if key not in trails:
            trails[key] = _Recording(key=key, is_second=change.change is TrailAction.CREATED)
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
    above = "".join(f"/{parent}/" for parent in {parent for event in events for parent in _parents(event)})
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
    """Yield the buckets that calls show to be a trail's."""
    for event in events:
        change = event.trail
        if change is not None and (change.delivers or change.change is not TrailAction.BUCKET_CHANGED):
            yield change.bucket


def _parents(event: Event) -> Iterator[str]:
    """Yield the bucket and prefix above a trail's folders, for each place where an event was read."""
    for origin in event.origins:
        parent, found, _ = origin.source.partition(_FOLDER)
        if found:
            yield parent


def _key(event: Event, change: TrailChange) -> _TrailKey:
    """Return which trail a call is about; a name without ARN is of the account and Region of the call."""
    arn = _ARN.fullmatch(change.trail or "")
    if arn is not None:
        return arn["account"], arn["region"], arn["name"]
    return event.account, event.region, change.trail


def _bounds(event: Event) -> tuple[datetime, datetime]:
    """Return the earliest and the latest time of a call: records that disagree may have several."""
    return min(event.disputed, default=event.time), max(event.disputed, default=event.time)


class _Recording(Struct, kw_only=True):
    """What one trail records, call by call.

    ``gaps`` are all times in which it did not record everything, and ``open`` is the index of the one of
    each kind that has not ended.
    """

    key: _TrailKey
    is_second: bool
    multi_region: bool | None = None
    organization: bool | None = None
    open: dict[str, int] = field(default_factory=dict)
    gaps: list[Unrecorded] = field(default_factory=list)

    def read(self, event: Event, change: TrailChange) -> None:
        """Apply a call that configures the trail."""
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
        """From now on it records in all Regions, or only in its home Region."""
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
        """Start a gap, unless one of this kind is open."""
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
        """End a gap, unless it started in the same second: then nothing shows which call came last.

        The second of the call belongs to the gap, so it ends one second later.
        """
        index = self.open.get(kind)
        if index is None:
            return
        gap, (first, last) = self.gaps[index], _bounds(event)
        if first > _bounds(gap.event)[1]:
            self.gaps[index] = replace(gap, end=last + _SECOND, ended_by=event)
            del self.open[kind]

    def _may_be_of_organization(self, event: Event) -> bool:
        """Return whether it may also have recorded for other accounts."""
        if self.organization is not None:
            return self.organization
        in_folder = any(_ORGANIZATION.search(origin.source) for origin in event.origins)
        return in_folder or self.key[0] != event.account
