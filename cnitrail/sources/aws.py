"""AWS sessions in the AWS CLI's way, and what AWS's errors mean to a person, one sentence each."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnitrail.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from cnitrail.model import Scope

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {
        *("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"),
        *("AuthFailure", "MissingAuthenticationToken", "OptInRequired"),
    }
)
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_FOR_CREDENTIALS = frozenset(
    {"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetRoleCredentials", "CreateToken"}
)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})
_WRONG_CLOCK = frozenset({"RequestTimeTooSkewed"})
_PERHAPS_CLOCK = frozenset(
    {"RequestExpired", "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
"""Codes that a wrong clock may be behind: AWS refuses signatures that are five minutes old."""

_STALE = re.compile(r"Signature (?:expired|not yet current)(?:: (?P<ours>\w+) is .* \((?P<aws>\w+) [-+])?")
_SET_CLOCK = "set the clock (timedatectl status shows whether NTP does), then try again"
_TOLERATED = timedelta(minutes=4, seconds=30)
"""Nearly the five minutes that AWS tolerates: by less, no signature is refused."""


class AwsFailure(Struct, frozen=True):
    """Why AWS gave no answer, in one sentence, and what to try.

    ``lasting`` where every further call would fail in the same way.
    """

    reason: str
    hint: str | None
    lasting: bool = True

    def of(self, uri: str) -> SourceError:
        """The error that ends the reading of a source."""
        return SourceError(f"{uri}: {self.reason}", self.hint)


def session(profile: str | None) -> boto3.Session:
    """A session with the credentials that the AWS CLI would use.

    Raises ``SourceError`` where there is no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    from cnitrail.sources.response_check import checked

    try:
        # The AWS CLI reads this one, too, and first; boto3 does not.
        return checked(boto3.Session(profile_name=profile, region_name=os.environ.get("AWS_REGION") or None))
    except BotoCoreError as error:
        raise SourceError(
            f"AWS configuration: {error}", "aws configure list-profiles shows what there is"
        ) from None


def regions_of(session: boto3.Session, scope: Scope, uri: str) -> tuple[str, ...]:
    """The Regions that were asked for, else the one that the profile or the environment names.

    Raises ``SourceError`` where there is none.
    """
    if "all" in scope.regions:
        return _enabled_regions(session, scope)
    regions = scope.regions or ((session.region_name,) if session.region_name else ())
    if not regions:
        raise SourceError(f"{uri} no AWS Region is set", "name one with --region, or --region all")
    return tuple(dict.fromkeys(regions))


def _enabled_regions(session: boto3.Session, scope: Scope) -> tuple[str, ...]:
    """The Regions that the account has enabled; where it does not say, those of its partition."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import understood

    home = session.region_name or "us-east-1"
    try:
        client = session.client("ec2", region_name=home, endpoint_url=scope.endpoint_url)
        with closing(client) as ec2, understood():
            return tuple(sorted(region["RegionName"] for region in ec2.describe_regions()["Regions"]))
    except (BotoCoreError, ClientError):
        partition = session.get_partition_for_region(home)
        return tuple(session.get_available_regions("cloudtrail", partition_name=partition))


def code_of(error: Exception) -> str:
    """The code of an error that AWS answered with, else an empty text."""
    from botocore.exceptions import ClientError

    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def fatal(error: Exception) -> AwsFailure | None:
    """What an error says about credentials or the network: it would befall every other call, too.

    None for an error that is about the thing asked for alone.
    """
    from botocore import exceptions as boto

    code = code_of(error)
    if (skew := _skew(error)) is not None:
        return AwsFailure(
            f"this machine's clock is wrong{_by(skew)}, so AWS refused the call ({code})", _SET_CLOCK
        )
    if code in _EXPIRED:
        return AwsFailure(f"the AWS session token has expired ({code})", "sign in again (aws sso login)")
    if code in _UNKNOWN_KEY:
        return AwsFailure(
            f"AWS does not know these credentials ({code})",
            "aws sts get-caller-identity tells whose they are; --profile takes others",
        )
    if code in _WRONG_SECRET:
        return AwsFailure(f"the AWS secret key does not fit the access key ({code})", "aws configure")
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return AwsFailure(
            f"there are no AWS credentials ({error})",
            "name a profile (--profile), or run aws configure",
        )
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        return AwsFailure(f"the AWS sign-in has expired ({error})", "aws sso login")
    unhad = isinstance(error, boto.ClientError) and error.operation_name in _FOR_CREDENTIALS
    if unhad or isinstance(error, boto.CredentialRetrievalError):
        return AwsFailure(f"the AWS credentials cannot be had ({error})", "look at the profile's set-up")
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return AwsFailure(
            f"AWS cannot be reached ({error})", "look at the network, the proxy and --endpoint-url"
        )
    if isinstance(error, boto.SSLError):
        return AwsFailure(
            f"the server's certificate is not trusted ({error})",
            "AWS_CA_BUNDLE names a file of further authorities",
        )
    return None


def _skew(error: Exception) -> timedelta | None:
    """How far this machine's clock is ahead of AWS's, if AWS refused a call for it; zero if not known."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return None
    said: Mapping[str, Any] = error.response.get("Error", {})
    code, stale = code_of(error), _STALE.search(str(said.get("Message")))
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    by_date = _between(datetime.now(UTC), headers.get("date"))
    if stale is not None:
        return _between(stale["ours"], stale["aws"]) or by_date or timedelta()
    if code in _WRONG_CLOCK:
        return _between(said.get("RequestTime"), said.get("ServerTime")) or by_date or timedelta()
    return by_date if code in _PERHAPS_CLOCK and by_date and abs(by_date) > _TOLERATED else None


def _between(ours: object, theirs: object) -> timedelta | None:
    """The time between two times as AWS writes them; None if one is none."""
    first, second = _time(ours), _time(theirs)
    return first - second if first and second else None


def _time(text: object) -> datetime | None:
    """An aware time from ISO 8601 or HTTP's format; None if it is none."""
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            time = parse(str(text))
        except (ValueError, OverflowError):
            continue
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return None


def _by(skew: timedelta) -> str:
    """By how much a clock is wrong, as far as it is known."""
    minutes = round(abs(skew) / timedelta(minutes=1))
    if not minutes:
        return ""
    way = "fast" if skew > timedelta() else "slow"
    return f" by about {minutes:,} minute{'s' if minutes > 1 else ''} ({way})"


def failure(error: Exception, action: str) -> AwsFailure:
    """What any error of botocore means; ``action`` is the IAM action of the call."""
    from botocore import exceptions as boto

    from cnitrail.sources.response_check import UnexpectedReplyError

    lasting = fatal(error)
    if lasting is not None:
        return lasting
    if isinstance(error, UnexpectedReplyError):
        return AwsFailure(f"{action}: {error}", "look at the proxy and --endpoint-url", lasting=False)
    if not isinstance(error, boto.ClientError):
        return AwsFailure(str(error), None)
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "no reason given")
    if code in _REFUSED:
        reason = f"access denied: these credentials may not call {action} ({message})"
        return AwsFailure(reason, f"allow {action} in their IAM policy, or use another --profile")
    if code in _THROTTLED:
        hint = "try again later; other programs may be using up the calls that the account has"
        return AwsFailure(f"AWS went on throttling {action} ({code})", hint, lasting=False)
    return AwsFailure(f"{action} failed: {code or 'unknown'}: {message}", "try again later", lasting=False)
