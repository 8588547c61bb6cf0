"""The formats of flow logs, as DescribeFlowLogs lists them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html: only flow logs that still
exist are listed, and only those of the account that asks. A flow log names its log group by its name or by
its ARN. AWS does not say whether the filter ``log-group-name`` finds the latter, so all are listed here.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cnitrail.errors import SourceError, UsageError
from cnitrail.model.flow_fields import DEFAULT, TRANSIT_GATEWAY
from cnitrail.sources.aws import AwsFailure, failure_of, open_session, regional_client, regions_of

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.model import Scope

ACTION: Final = "ec2:DescribeFlowLogs"

_URI: Final = "ec2:"
_PAGE_SIZE: Final = 1000
_FLOW_LOG: Final = re.compile(r"fl-[0-9a-f]{8,17}", re.ASCII)
_FIELD: Final = re.compile(r"\$\{([^{}]+)\}")
_GROUP_ARN: Final = re.compile(r"arn:[^:]*:logs:[^:]*:\d*:log-group:(?P<name>[^:]+)(?::\*)?")
_NAMED: Final = 3
"""Flow logs of one format that an error names."""

_OR_NAME_IT: Final = "--format names the format without asking EC2: default, or the LogFormat"


class FlowLogFormat(Struct, frozen=True, kw_only=True):
    """A flow log, and the format of its records.

    ``columns`` are the fields in the order of the records; there are none if EC2 does not list them.
    ``created`` is None if EC2 does not say it.
    """

    flow_log: str
    region: str
    resource: str
    traffic: str
    created: datetime | None
    columns: tuple[str, ...]


def is_flow_log_id(text: str) -> bool:
    """Return whether a text is the ID of a flow log."""
    return _FLOW_LOG.fullmatch(text) is not None


def columns_of_flow_log(flow_log_id: str, scope: Scope) -> tuple[str, ...]:
    """Return the columns of a flow log's records. Raises ``UsageError`` and ``SourceError``."""
    if not is_flow_log_id(flow_log_id):
        raise UsageError(f"{flow_log_id}: not the ID of a flow log", "for example fl-0123456789abcdef0")
    formats = describe_formats(scope, flow_log_id=flow_log_id)
    if not formats:
        raise SourceError(
            f"--format {flow_log_id}: there is no such flow log in {_asked(scope)}",
            f"a deleted one is not listed; --region selects another Region; {_OR_NAME_IT}",
        )
    return _known(formats[0]).columns


def _listed(formats: list[FlowLogFormat]) -> str:
    """Return some flow logs with what they log, and the number of the others."""
    named = [f"{found.flow_log} ({found.traffic} of {found.resource})" for found in formats[:_NAMED]]
    more = [f"{len(formats) - _NAMED:,} more"] if len(formats) > _NAMED else []
    return ", ".join(named + more)


def _known(found: FlowLogFormat) -> FlowLogFormat:
    """Return a flow log whose format is known. Raises ``SourceError`` if it is not."""
    if not found.columns:
        raise SourceError(f"{_URI}{found.region}: EC2 lists no format of {found.flow_log}", _OR_NAME_IT)
    return found


def format_of_log_group(name: str, scope: Scope, uri: str, end: datetime | None = None) -> FlowLogFormat:
    """Return the format of all flow logs that may have written to a log group until a time: the oldest one's.

    Raises ``SourceError`` if there is none, or they have several formats.
    """
    formats = [
        found
        for found in describe_formats(scope, log_group=name)
        if found.created is None or end is None or found.created <= end
    ]
    if not formats:
        raise SourceError(
            f"{uri}: no flow log is listed that wrote to this log group then, so the format is not known",
            f"{_OR_NAME_IT}; flow logs that were deleted, or are of another account, are not listed "
            "(aws ec2 describe-flow-logs)",
        )
    if len({found.columns for found in formats}) > 1:
        listed = "; ".join(
            f"{_listed([found for found in formats if found.columns == columns])}: {' '.join(columns)}"
            for columns in dict.fromkeys(found.columns for found in formats)
        )
        raise SourceError(
            f"{uri}: {len(formats)} flow logs with different formats write to this log group, and a record "
            f"does not show which one wrote it: {listed}",
            "--format with one of them reads records of the others wrongly, so select the interfaces "
            "of its resource, too: --eni ENI",
        )
    times = [found.created for found in formats if found.created is not None]
    oldest = min(formats, key=lambda found: found.created or times[0]) if times else formats[0]
    return _known(oldest)


def describe_formats(
    scope: Scope, *, log_group: str | None = None, flow_log_id: str | None = None
) -> tuple[FlowLogFormat, ...]:
    """Return the formats of the flow logs that write to a log group, or that have an ID.

    All Regions in scope are asked, else that of the profile. Raises ``SourceError`` if a Region does not
    answer, unless another one has the flow log.
    """
    session = open_session(scope.profile)
    filters = [] if flow_log_id is None else [{"Name": "flow-log-id", "Values": [flow_log_id]}]
    formats: list[FlowLogFormat] = []
    failed: list[tuple[str, AwsFailure]] = []
    for region in regions_of(session, scope, _URI):
        client = regional_client(session, scope, "ec2", region, _URI)
        with closing(client):
            answer = _describe(client, filters, scope)
        if isinstance(answer, AwsFailure):
            failed.append((region, answer))
        else:
            formats += (
                _format(found, region)
                for found in answer
                if log_group is None or log_group in (found.get("LogGroupName"), _group_in(found))
            )
    if failed and not formats:
        region, failure = failed[0]
        hint = f"{failure.hint}; {_OR_NAME_IT}" if failure.hint else _OR_NAME_IT
        raise SourceError(f"{_URI}{region}: {failure.reason}", hint)
    return tuple(formats)


def _describe(client: Any, filters: list[dict[str, Any]], scope: Scope) -> list[dict[str, Any]] | AwsFailure:
    """Return what a Region lists, all pages together."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    try:
        with parser_errors_raised():
            pages = client.get_paginator("describe_flow_logs").paginate(
                Filter=filters, PaginationConfig={"PageSize": _PAGE_SIZE}
            )
            return [found for page in pages for found in page["FlowLogs"]]
    except (BotoCoreError, ClientError) as error:
        return failure_of(error, ACTION, scope.profile)


def _group_in(found: dict[str, Any]) -> str | None:
    """Return the log group of the ARN that is a flow log's destination; None if it has no such ARN."""
    group = _GROUP_ARN.fullmatch(found.get("LogDestination") or "")
    return None if group is None else group["name"]


def _format(found: dict[str, Any], region: str) -> FlowLogFormat:
    resource = str(found.get("ResourceId", "-"))
    usual: tuple[str, ...] = TRANSIT_GATEWAY if resource.startswith("tgw-") else ()
    if resource.startswith(("vpc-", "subnet-", "eni-")):
        usual = DEFAULT
    return FlowLogFormat(
        flow_log=str(found.get("FlowLogId", "-")),
        region=region,
        resource=resource,
        traffic=str(found.get("TrafficType", "-")),
        created=found.get("CreationTime"),
        columns=tuple(_FIELD.findall(found.get("LogFormat", ""))) or usual,
    )


def _asked(scope: Scope) -> str:
    return ", ".join(scope.regions) if scope.regions else "the Region in use"
