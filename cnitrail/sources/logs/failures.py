"""What errors of CloudWatch Logs mean, and which log group may be meant by a name that does not exist."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from cnitrail.sources.aws import AwsFailure, code_of, failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnitrail.sources.logs.group import LogGroup

ACTION: Final = "logs:FilterLogEvents"

_MAX_PAGES: Final = 4
"""Pages of 50 log groups that are searched for a similar name."""

_MAX_NAMES: Final = 3


def logs_failure(error: Exception, client: Any, group: LogGroup, profile: str | None) -> AwsFailure:
    """Return what an error of FilterLogEvents means; ``client`` may be asked which log groups there are."""
    code, region = code_of(error), client.meta.region_name
    if code == "ResourceNotFoundException":
        return AwsFailure(f"there is no such log group in {region}", _similar(client, group))
    failure = failure_of(error, ACTION, profile)
    if code == "InvalidOperationException":
        return AwsFailure(
            failure.reason,
            "FilterLogEvents reads log groups of the Standard class only: query this one with Logs Insights "
            "(aws logs start-query, fields @message), and give cnitrail the result as a file",
        )
    if code == "AccessDeniedException" and "kms" in failure.reason.lower():
        hint = f"the log group's KMS key must be enabled, and allow logs.{region}.amazonaws.com to use it"
        return AwsFailure(failure.reason, hint)
    return failure


def is_refused_pattern(error: Exception) -> bool:
    """Return whether a parameter was refused, which may be the filter pattern."""
    return code_of(error) == "InvalidParameterException"


def _similar(client: Any, group: LogGroup) -> str:
    """Return a hint with the log groups whose names are most similar, if these may be listed."""
    named = get_close_matches(group.name, _names(client, group), n=_MAX_NAMES)
    region = client.meta.region_name
    listing = f"aws logs describe-log-groups --region {region} lists the log groups"
    if named:
        return f"did you mean {' or '.join(f'logs:{name}' for name in named)}? {listing}"
    switched_off = (
        "; the log group of a cluster exists once control plane logging was switched on"
        if group.is_of_cluster
        else ""
    )
    return f"{listing}; --region REGION, or the group's ARN, selects another Region{switched_off}"


def _names(client: Any, group: LogGroup) -> Sequence[str]:
    """Return the names of log groups in the same folder, as far as they may be listed."""
    from botocore.exceptions import BotoCoreError, ClientError

    folder = "/aws/eks/" if group.is_of_cluster else group.name.rpartition("/")[0]
    asked = {"logGroupNamePrefix": folder} if folder else {}
    names: list[str] = []
    try:
        pages = client.get_paginator("describe_log_groups").paginate(**asked)
        for page in islice(pages, _MAX_PAGES):
            names += [found["logGroupName"] for found in page["logGroups"]]
    except (BotoCoreError, ClientError, LookupError):
        return names
    return names
