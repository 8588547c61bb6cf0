"""Whether an answer is one that AWS gives: a proxy or a portal answers with status 200, too.

botocore takes any JSON or XML for an answer, and reads nothing from what it does not know: a login page
is an empty list to it. Every operation that is called here has a member that AWS never leaves out.
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

_ALWAYS: Final[Mapping[str, str]] = {
    "DescribeInstanceTypes": "InstanceTypes",
    "DescribeInstances": "Reservations",
    "DescribeNetworkInterfaces": "NetworkInterfaces",
    "DescribeRegions": "Regions",
    "GetCallerIdentity": "Account",
    "GetObject": "ETag",
    "HeadObject": "ETag",
    "ListObjectsV2": "IsTruncated",
    "ListPublicKeys": "PublicKeyList",
    "LookupEvents": "Events",
}
"""The member that an answer to each operation always has."""

_LISTING = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?<ListBucketResult[\s>]")


_JSON = frozenset({"ListPublicKeys", "LookupEvents"})

_OF_PARSERS: Final = (
    *(ResponseParserError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    RuntimeError,  # nested too deeply, or a time that no time zone has
)


class UnexpectedReplyError(BotoCoreError):
    """An answer that AWS does not give."""

    fmt = "what answered is not AWS, or the answer is damaged: {problem}"


def checked(session: Session) -> Session:
    """A session whose clients raise ``UnexpectedReplyError`` for what is no answer."""
    session.events.register("after-call", _check)
    return session


@contextmanager
def understood() -> Iterator[None]:
    """Raise ``UnexpectedReplyError`` for whatever botocore's parsers raise on values of another shape."""
    try:
        yield
    except (BotoCoreError, ClientError):
        raise
    except _OF_PARSERS as error:
        raise UnexpectedReplyError(problem=f"it cannot be read ({error})") from None


def _check(http_response: AWSResponse, parsed: Mapping[str, Any], model: OperationModel, **_: object) -> None:
    """Look for the member that is always there, and at the root of a listing."""
    name, member = model.name, _ALWAYS.get(model.name)
    if http_response.status_code >= 300 or member is None:
        return
    kind = http_response.headers.get("Content-Type", "no type")
    if parsed.get(member) is None or (
        name in _JSON and not parsed[member] and not _is_list(member, http_response)
    ):
        raise UnexpectedReplyError(problem=f"{name} was answered with {kind} and no {member}")
    if name == "ListObjectsV2" and not _LISTING.match(http_response.content):
        raise UnexpectedReplyError(problem=f"{name} was answered with {kind} that is no listing")


def _is_list(member: str, answer: AWSResponse) -> bool:
    """Whether a member of a JSON answer is a list: botocore takes an empty object for one."""
    return re.search(rb'"%s"\s*:\s*\[' % member.encode(), answer.content) is not None
