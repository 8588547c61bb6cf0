"""Changes of what CloudTrail records, or of the bucket that it delivers to."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

TRAIL_CALLS: Final = (
    "CreateTrail",
    "DeleteTrail",
    "PutEventSelectors",
    "PutInsightSelectors",
    "StartLogging",
    "StopLogging",
    "UpdateTrail",
)
"""The calls that configure a trail (https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/)."""

BUCKET_CALLS: Final = (
    "DeleteBucket",
    "DeleteBucketLifecycle",
    "DeleteBucketPolicy",
    "PutBucketLifecycle",
    "PutBucketLifecycleConfiguration",
    "PutBucketPolicy",
)
"""The calls after which a bucket may no longer receive or keep log files; not only a trail's bucket."""


class TrailAction(StrEnum):
    """What a call did to a trail.

    ``narrowed``: from then on, not all of EC2's write calls are recorded. ``widened``: all are.
    """

    STOPPED = "stopped"
    STARTED = "started"
    NARROWED = "narrowed"
    WIDENED = "widened"
    DELETED = "deleted"
    CREATED = "created"
    CHANGED = "changed"
    BUCKET_CHANGED = "bucket-changed"


class TrailChange(Struct, frozen=True, gc=False, kw_only=True):
    """What a call did to a trail or a bucket.

    ``trail`` is the trail's ARN, or its name as the call has it. ``records_writes`` is whether the trail was
    configured to record EC2's write calls: None if only some of them, or if that is not known.
    ``multi_region`` and ``organization`` are None if the record does not have them. ``delivers`` is whether a
    bucket policy names CloudTrail.
    """

    change: TrailAction
    trail: str | None = None
    records_writes: bool | None = None
    bucket: str | None = None
    multi_region: bool | None = None
    organization: bool | None = None
    delivers: bool = False
