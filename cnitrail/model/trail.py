"""What a call changed about what CloudTrail records, or about the bucket to which it delivers."""

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
"""The calls by which a bucket stops taking log files, or keeping them: of any bucket, not only a trail's."""


class TrailAction(StrEnum):
    """What a call did to a trail.

    ``narrowed``: not all of EC2's write calls are recorded from then on. ``widened``: all are.
    """

    STOPPED = "stopped"
    STARTED = "started"
    NARROWED = "narrowed"
    WIDENED = "widened"
    DELETED = "deleted"
    CREATED = "created"
    CHANGED = "changed"
    BUCKET_CHANGED = "bucket-changed"


class TrailChange(Struct, frozen=True, gc=False):
    """What a call did to a trail or to a bucket, as far as its record says.

    ``trail`` is the trail's ARN, or the name by which it was called. ``records_writes`` says whether the
    trail was configured to record EC2's write calls: None if only part of them, or if that is not known.
    ``multi_region`` and ``organization`` are None if the record does not say. ``delivers`` is whether a
    bucket policy names CloudTrail.
    """

    change: TrailAction
    trail: str | None = None
    records_writes: bool | None = None
    bucket: str | None = None
    multi_region: bool | None = None
    organization: bool | None = None
    delivers: bool = False
