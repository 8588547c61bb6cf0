"""Whether a trail records the Region, and is logging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from cnitrail.model.checkup import Caller, Check, CheckCause, CheckCode, CheckStatus
from cnitrail.sources.probes import Probe, ProbeAnswer
from cnitrail.text import counted, listed
from cnitrail.workflows.doctor.call_check import call_check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.sources.probes import AwsProbes

_MAX_TRAILS: Final = 5
"""Trails whose status is asked for: most accounts have one or two."""

DESCRIBE_TRAILS: Final = Probe(
    service="cloudtrail", operation="describe_trails", action="cloudtrail:DescribeTrails"
)


def trail_checks(probes: AwsProbes, caller: Caller, answer: ProbeAnswer) -> Iterator[Check]:
    """Yield for each trail that records this Region whether it is logging, and to which bucket."""
    action = DESCRIBE_TRAILS.action
    if answer.json is None:
        purpose = "which shows whether a trail is logging"
        yield call_check(CheckCode.TRAIL, action, answer, caller, purpose, is_required=False)
        return
    trails = msgspec.json.decode(answer.json, type=_DescribedTrails).trailList
    if not trails:
        yield Check(
            code=CheckCode.TRAIL,
            status=CheckStatus.WARNING,
            text=f"No trail records Region {probes.region}: after 90 days its events are lost, "
            "and nothing proves that they were not changed",
            hint="create a trail, and read it as s3://BUCKET",
            action=action,
        )
    statuses = probes.ask(
        [
            Probe(
                service="cloudtrail",
                operation="get_trail_status",
                action="cloudtrail:GetTrailStatus",
                parameters={"Name": trail.TrailARN or trail.Name},
            )
            for trail in trails[:_MAX_TRAILS]
        ]
    )
    for trail, status in zip(trails, statuses, strict=False):
        yield _trail_check(trail, status, caller)
    if len(trails) > _MAX_TRAILS:
        names = [trail.Name for trail in trails[_MAX_TRAILS:]]
        yield Check(
            code=CheckCode.TRAIL,
            status=CheckStatus.SKIPPED,
            text=f"{counted(len(names), 'more trail')} not checked: {listed(names[:3])}",
            cause=CheckCause.NOT_ASKED,
        )


class _DescribedTrail(Struct, frozen=True, kw_only=True):
    """A trail, with the field names of DescribeTrails."""

    Name: str = ""
    TrailARN: str | None = None
    S3BucketName: str | None = None
    S3KeyPrefix: str | None = None
    HomeRegion: str | None = None


class _DescribedTrails(Struct, frozen=True):
    trailList: tuple[_DescribedTrail, ...] = ()  # noqa: N815  CloudTrail's name


class _DescribedStatus(Struct, frozen=True, kw_only=True):
    """The state of a trail, with the field names of GetTrailStatus."""

    IsLogging: bool = False
    LatestDeliveryError: str | None = None
    StopLoggingTime: str | None = None


def _trail_check(trail: _DescribedTrail, answer: ProbeAnswer, caller: Caller) -> Check:
    """Return whether a trail is logging."""
    action = "cloudtrail:GetTrailStatus"
    if answer.json is None:
        purpose = f"which shows whether trail {trail.Name} is logging"
        return call_check(CheckCode.TRAIL, action, answer, caller, purpose, is_required=False)
    status = msgspec.json.decode(answer.json, type=_DescribedStatus)
    prefix = f"/{trail.S3KeyPrefix}" if trail.S3KeyPrefix else ""
    bucket = f"s3://{trail.S3BucketName}{prefix}" if trail.S3BucketName else None
    if not status.IsLogging:
        since = f" since {status.StopLoggingTime[:19]}Z" if status.StopLoggingTime else ""
        return Check(
            code=CheckCode.TRAIL,
            status=CheckStatus.WARNING,
            text=f"Trail {trail.Name} is not logging{since}: its bucket lacks all calls from then on",
            hint="find out who stopped it",
            commands=("cnitrail findings lookup: --since 90d",),
            resource=trail.TrailARN,
            action=action,
        )
    if status.LatestDeliveryError:
        return Check(
            code=CheckCode.TRAIL,
            status=CheckStatus.WARNING,
            text=f"Trail {trail.Name} cannot deliver log files to {bucket} ({status.LatestDeliveryError})",
            hint="check the bucket and its policy",
            resource=trail.TrailARN,
            action=action,
        )
    return Check(
        code=CheckCode.TRAIL,
        status=CheckStatus.OK,
        text=f"Trail {trail.Name} is logging to {bucket}",
        resource=trail.TrailARN,
        action=action,
    )
