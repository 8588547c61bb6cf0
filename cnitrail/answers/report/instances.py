"""Instances and their ENIs: how many addresses they held over time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cnitrail.answers.leases import doubt_of
from cnitrail.answers.pool.capacity import usable_limits
from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.answers.report.interface_segments import InterfaceSegment, changes, clip
from cnitrail.intervals import Interval, meet
from cnitrail.limits import limits_of
from cnitrail.model import (
    Basis,
    CitedAttachment,
    CitedBound,
    CitedHolding,
    CountStep,
    Effect,
    Held,
    History,
    HoldingKind,
    InstanceReport,
    InterfaceReport,
    Lease,
    TimelineEntry,
)
from cnitrail.timeclamp import FIRST, LAST

_IPV6 = (HoldingKind.IPV6, HoldingKind.IPV6_PREFIX)


def instance_reports(
    history: History,
    segments: Mapping[str | None, Sequence[InterfaceSegment]],
    entries: Sequence[TimelineEntry],
    index: CitationIndex,
) -> tuple[InstanceReport, ...]:
    """Return the instances of a report, those first whose calls moved most addresses."""
    by_instance: dict[str | None, list[TimelineEntry]] = defaultdict(list)
    for entry in entries:
        by_instance[entry.instance].append(entry)
    reports = [
        _instance(history, instance, own, by_instance[instance], entries[0].time, entries[-1].time, index)
        for instance, own in segments.items()
    ]
    return tuple(sorted(reports, key=_by_activity))


def _by_activity(report: InstanceReport) -> tuple[bool, int]:
    return report.instance is None, -(report.added + report.removed)


def _instance(
    history: History,
    instance: str | None,
    segments: Sequence[InterfaceSegment],
    entries: Sequence[TimelineEntry],
    start: datetime,
    end: datetime,
    index: CitationIndex,
) -> InstanceReport:
    known = history.instances.get(instance or "")
    unattached = {segment.interface.eni for segment in segments if _is_unattached(history, segment, end)}
    counted = [segment for segment in segments if not (instance and segment.interface.eni in unattached)]
    first = segments[0].interface if segments else None
    limits = limits_of(known.instance_type) if known and known.instance_type else None
    management = history.manager_of_node(instance)
    return InstanceReport(
        instance=instance,
        instance_type=known.instance_type if known else None,
        cluster=history.cluster_of(first.eni if first and instance else None, instance, end).name,
        account=known.account if known else first.account if first else None,
        region=known.region if known else first.region if first else None,
        limits=usable_limits(limits, management) if limits is not None else None,
        interfaces=tuple(
            _interface(segment, start, end, index, unattached=segment.interface.eni in unattached)
            for segment in sorted(segments, key=_by_device)
        ),
        steps=_steps([time for segment in counted for time in _attached_times(segment)], start, end),
        calls=len(entries),
        added=sum([len(entry.added) for entry in entries]),
        removed=sum([len(entry.removed) for entry in entries]),
        management=management,
    )


def _is_unattached(history: History, segment: InterfaceSegment, end: datetime) -> bool:
    """Return whether the evidence shows that an ENI was attached to nothing by the end of a report."""
    return not segment.attachments and history.is_attached(segment.interface, None, end) is False


def _by_device(segment: InterfaceSegment) -> tuple[int, str, str]:
    """Return the sort key of ENIs: by device index, then by creation."""
    devices = (attachment.device_index for attachment in segment.attachments)
    device = min((device for device in devices if device is not None), default=99)
    created = segment.interface.created.time
    return device, created.isoformat() if created else "", segment.interface.eni


def _attached_times(segment: InterfaceSegment) -> Iterable[Interval]:
    """Yield when the instance had each IPv4 address; without a known attachment, while the ENI held it."""
    attached = [(attachment.start.time, attachment.end.time) for attachment in segment.attachments]
    for lease in segment.leases:
        for start, end in (attached or [(None, None)]) if lease.kind not in _IPV6 else ():
            both = clip(lease.possible_start(), lease.end.time, start, end)
            if both is not None:
                yield both


def _steps(intervals: Iterable[Interval], start: datetime, end: datetime) -> tuple[CountStep, ...]:
    number, deltas = changes(intervals, start)
    steps = [CountStep(start, number)]
    for time, delta in deltas:
        if time <= end:
            number += delta
            steps.append(CountStep(time, number))
    return tuple(steps)


def _interface(
    segment: InterfaceSegment, start: datetime, end: datetime, index: CitationIndex, *, unattached: bool
) -> InterfaceReport:
    times = (
        clip(lease.possible_start(), lease.end.time, segment.since, segment.until) for lease in segment.leases
    )
    return InterfaceReport(
        eni=segment.interface.eni,
        kind=segment.interface.kind,
        vpc=segment.interface.vpc,
        subnet=segment.interface.subnet,
        since=segment.since,
        until=segment.until,
        attachments=tuple(
            CitedAttachment(
                attachment.device_index, index.bound(attachment.start), index.bound(attachment.end)
            )
            for attachment in segment.attachments
        ),
        unattached=unattached,
        holdings=_holdings(segment.leases, start, end, index),
        steps=_steps((time for time in times if time is not None), start, end),
    )


def _holdings(
    leases: Iterable[Lease], start: datetime, end: datetime, index: CitationIndex
) -> tuple[CitedHolding, ...]:
    """Return the leases of a time, by start and address; those with the same start and end are one holding.

    The leases are by address.
    """
    together: dict[tuple[HoldingKind, CitedBound, CitedBound, bool], list[Held]] = defaultdict(list)
    for lease in leases:
        if meet(lease.possible_start(), lease.end.time, start, end):
            bounds = index.bound(lease.start), index.bound(lease.end)
            together[lease.kind, *bounds, _doubted(lease)].append(lease.held)
    holdings = [
        CitedHolding(held=tuple(held), kind=kind, start=first, end=last, doubted=doubted)
        for (kind, first, last, doubted), held in together.items()
    ]
    return tuple(sorted(holdings, key=lambda holding: holding.start.time or FIRST))


def _doubted(lease: Lease) -> bool:
    """Return whether more is uncertain about a lease than when it ended with its instance."""
    ended = lease.end.event.effect if lease.end.event else None
    unseen = lease.end.basis is Basis.IMPLIED and ended is not Effect.TERMINATE
    return lease.start.basis is not Basis.OBSERVED or unseen or doubt_of(lease, LAST) is not None
