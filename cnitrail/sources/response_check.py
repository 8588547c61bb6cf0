"""Checks that a response is from AWS: a proxy or a captive portal may answer with status 200, too.

botocore accepts any JSON or XML, and ignores what it does not know: to it, a login page is an empty list.
Every operation that cnitrail calls has a member that AWS never leaves out.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from boto3 import Session
    from botocore.awsrequest import AWSResponse
    from botocore.model import OperationModel

_REQUIRED_MEMBER: Final[Mapping[str, str]] = {
    "DescribeFlowLogs": "FlowLogs",
    "DescribeInstanceTypes": "InstanceTypes",
    "DescribeInstances": "Reservations",
    "DescribeNetworkInterfaces": "NetworkInterfaces",
    "DescribeLogGroups": "logGroups",
    "DescribeRegions": "Regions",
    "DescribeSubnets": "Subnets",
    "DescribeTrails": "trailList",
    "FilterLogEvents": "events",
    "GetCallerIdentity": "Account",
    "GetObject": "ETag",
    "GetPartitions": "Partitions",
    "GetQueryExecution": "QueryExecution",
    "GetQueryResults": "ResultSet",
    "GetTableMetadata": "TableMetadata",
    "GetTrailStatus": "IsLogging",
    "HeadObject": "ETag",
    "ListObjectsV2": "IsTruncated",
    "ListPublicKeys": "PublicKeyList",
    "LookupEvents": "Events",
    "StartQueryExecution": "QueryExecutionId",
}
"""The member that a response to each operation always has."""

_BUCKET_LISTING = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?<ListBucketResult[\s>]")

_JSON_OPERATIONS = frozenset({"DescribeLogGroups", "FilterLogEvents", "ListPublicKeys", "LookupEvents"})

_PARSER_ERRORS: Final = (
    *(ResponseParserError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    RuntimeError,  # nested too deeply, or a time that no time zone has
)


class UnexpectedResponseError(BotoCoreError):
    """A response that AWS does not send."""

    fmt = "the response is damaged, or not from AWS: {problem}"


def with_response_check(session: Session) -> Session:
    """Return a session whose clients raise ``UnexpectedResponseError`` if a response is not from AWS."""
    session.events.register("after-call", _check)
    return session


@contextmanager
def parser_errors_raised() -> Iterator[None]:
    """Raise ``UnexpectedResponseError`` for what botocore's parsers raise on values of another type."""
    try:
        yield
    except (BotoCoreError, ClientError):
        raise
    except _PARSER_ERRORS as error:
        raise UnexpectedResponseError(problem=f"it cannot be parsed ({error})") from None


def _check(http_response: AWSResponse, parsed: Mapping[str, Any], model: OperationModel, **_: object) -> None:
    """Look for the required member, and for the root element of a bucket listing."""
    name, member = model.name, _REQUIRED_MEMBER.get(model.name)
    if http_response.status_code >= 300 or member is None:
        return
    content_type = http_response.headers.get("Content-Type", "no content type")
    if parsed.get(member) is None or (
        name in _JSON_OPERATIONS and not parsed[member] and not _is_list(member, http_response)
    ):
        raise UnexpectedResponseError(problem=f"{name} was answered with {content_type} without {member}")
    if name == "ListObjectsV2" and not _BUCKET_LISTING.match(http_response.content):
        raise UnexpectedResponseError(
            problem=f"{name} was answered with {content_type}, not a bucket listing"
        )


def _is_list(member: str, response: AWSResponse) -> bool:
    """Return whether a member of a JSON response is a list: botocore reads an empty object as one."""
    return re.search(rb'"%s"\s*:\s*\[' % member.encode(), response.content) is not None
