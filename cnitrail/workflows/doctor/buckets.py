"""Whether a bucket can be listed, and an object in it read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.model.checkup import Caller, Check, CheckCode, CheckStatus
from cnitrail.sources.probes import Probe
from cnitrail.workflows.doctor.call_check import call_check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.sources.probes import AwsProbes

S3: Final = "s3://"


class _ListedObject(Struct, frozen=True):
    """An object, with the field names of ListObjectsV2."""

    Key: str
    Size: int = 0


class _BucketListing(Struct, frozen=True):
    Contents: tuple[_ListedObject, ...] = ()


def bucket_checks(probes: AwsProbes, caller: Caller, uri: str) -> Iterator[Check]:
    """Yield whether a bucket can be listed, and an object in it read."""
    bucket, _, prefix = uri.removeprefix(S3).partition("/")
    arn = f"arn:{_partition(caller)}:s3:::{bucket}"
    listing = Probe(
        service="s3",
        operation="list_objects_v2",
        action="s3:ListBucket",
        parameters={"Bucket": bucket, "Prefix": prefix, "MaxKeys": 20},
    )
    answer = probes.ask([listing])[0]
    purpose = f"which the source {uri} needs"
    allowed = call_check(CheckCode.BUCKET, listing.action, answer, caller, purpose, resource=arn)
    is_missing = "NoSuchBucket" in answer.reason
    hint = "check the name: aws s3 ls lists the buckets of this account" if is_missing else allowed.hint
    yield replace(allowed, hint=hint)
    if answer.json is None:
        return
    objects = msgspec.json.decode(answer.json, type=_BucketListing).Contents
    key = next((found.Key for found in objects if found.Size), None)
    if key is None:
        yield Check(
            code=CheckCode.BUCKET,
            status=CheckStatus.WARNING,
            text=f"{uri} is empty: no object has this prefix",
            hint="check the prefix",
            commands=(f"aws s3 ls s3://{bucket}/",),
            resource=arn,
        )
        return
    reading = Probe(
        service="s3",
        operation="get_object",
        action="s3:GetObject",
        parameters={"Bucket": bucket, "Key": key, "Range": "bytes=0-0"},
    )
    answer = probes.ask([reading])[0]
    yield call_check(CheckCode.BUCKET, reading.action, answer, caller, purpose, resource=f"{arn}/*")


def _partition(caller: Caller) -> str:
    """Return the partition of the caller's ARN: ``aws``, ``aws-cn``, ``aws-us-gov``."""
    return caller.arn.split(":")[1] if caller.arn else "aws"
