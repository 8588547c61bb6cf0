"""Instances and their interfaces: what they held, as it grew and shrank."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cnitrail.answers.report.interface_segments import Interval, Scene, changes, clip
from cnitrail.answers.report.principals import Principals
from cnitrail.limits import limits_of
from cnitrail.model import (
    Basis,
    Effect,
    History,
    HoldingKind,
    HoldingSpan,
    InstanceLife,
    InterfaceLife,
    Lease,
    Stay,
    Step,
    TimelineEntry,
    order_of,
)
from cnitrail.timeclamp import FIRST

_IPV6 = (HoldingKind.IPV6, HoldingKind.IPV6_PREFIX)


def lives(
    history: History,
    found: Mapping[str | None, Sequence[Scene]],
    entries: Sequence[TimelineEntry],
    cast: Principals,
) -> tuple[InstanceLife, ...]:
    """The instances of a report, those first whose calls moved most addresses."""
    by_instance: dict[str | None, list[TimelineEntry]] = defaultdict(list)
    for entry in entries:
        by_instance[entry.instance].append(entry)
    told = [
        _life(history, instance, scenes, by_instance[instance], entries[0].time, entries[-1].time, cast)
        for instance, scenes in found.items()
    ]
    return tuple(sorted(told, key=lambda life: (life.instance is None, -(life.added + life.removed))))


def _life(
    history: History,
    instance: str | None,
    scenes: Sequence[Scene],
    entries: Sequence[TimelineEntry],
    start: datetime,
    end: datetime,
    cast: Principals,
) -> InstanceLife:
    known = history.instances.get(instance or "")
    first = scenes[0].interface if scenes else None
    return InstanceLife(
        instance=instance,
        instance_type=known.instance_type if known else None,
        cluster=history.cluster_of(first.eni if first and instance else None, instance, end).name,
        account=known.account if known else first.account if first else None,
        region=known.region if known else first.region if first else None,
        limits=limits_of(known.instance_type) if known and known.instance_type else None,
        interfaces=tuple(_interface(scene, start, end, cast) for scene in sorted(scenes, key=_rank)),
        steps=_steps([each for scene in scenes for each in _attached(scene)], start, end),
        calls=len(entries),
        added=sum(len(entry.added) for entry in entries),
        removed=sum(len(entry.removed) for entry in entries),
    )


def _rank(scene: Scene) -> tuple[int, str, str]:
    """Interfaces by device index, then in the order in which they came."""
    index = min((each.device_index for each in scene.stays if each.device_index is not None), default=99)
    created = scene.interface.created.time
    return index, created.isoformat() if created else "", scene.interface.eni


def _attached(scene: Scene) -> Iterable[Interval]:
    """When the instance had each IPv4 address; without a known attachment, as long as it was held."""
    stays = [(each.start.time, each.end.time) for each in scene.stays] or [(None, None)]
    for lease in scene.leases:
        for stay in stays if lease.kind not in _IPV6 else ():
            both = clip(lease.reach(), lease.end.time, *stay)
            if both is not None:
                yield both


def _steps(intervals: Iterable[Interval], start: datetime, end: datetime) -> tuple[Step, ...]:
    number, deltas = changes(intervals, start)
    steps = [Step(start, number)]
    for time, delta in deltas:
        if time <= end:
            number += delta
            steps.append(Step(time, number))
    return tuple(steps)


def _interface(scene: Scene, start: datetime, end: datetime, cast: Principals) -> InterfaceLife:
    held = (clip(each.reach(), each.end.time, scene.since, scene.until) for each in scene.leases)
    return InterfaceLife(
        eni=scene.interface.eni,
        kind=scene.interface.kind,
        vpc=scene.interface.vpc,
        subnet=scene.interface.subnet,
        since=scene.since,
        until=scene.until,
        stays=tuple(
            Stay(each.device_index, cast.edge(each.start), cast.edge(each.end)) for each in scene.stays
        ),
        holdings=_holdings(scene.leases, start, end, cast),
        steps=_steps((each for each in held if each is not None), start, end),
    )


def _holdings(
    leases: Iterable[Lease], start: datetime, end: datetime, cast: Principals
) -> tuple[HoldingSpan, ...]:
    """Leases with the same start and end read as one."""
    together: dict[tuple[object, ...], list[Lease]] = defaultdict(list)
    for lease in leases:
        reach = lease.reach()
        if (lease.end.time is None or lease.end.time >= start) and (reach is None or reach <= end):
            first, last = lease.start, lease.end
            starts = first.time, first.basis, first.event.key if first.event else None
            ends = last.time, last.basis, last.event.key if last.event else None
            together[lease.kind, starts, ends, _doubted(lease)].append(lease)
    holdings = [
        HoldingSpan(
            held=tuple(sorted((each.held for each in alike), key=order_of)),
            kind=alike[0].kind,
            start=cast.edge(alike[0].start),
            end=cast.edge(alike[0].end),
            doubted=_doubted(alike[0]),
        )
        for alike in together.values()
    ]
    return tuple(sorted(holdings, key=_begins))


def _begins(holding: HoldingSpan) -> tuple[datetime, tuple[int, int, int]]:
    return holding.start.time or FIRST, order_of(holding.held[0])


def _doubted(lease: Lease) -> bool:
    """Whether more is open about a lease than when it ended with its instance."""
    ended = lease.end.event.effect if lease.end.event else None
    unseen = lease.end.basis is Basis.IMPLIED and ended is not Effect.TERMINATE
    unsure = lease.contested or lease.doubt_from is not None
    return lease.start.basis is not Basis.OBSERVED or unseen or unsure
