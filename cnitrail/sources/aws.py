"""AWS sessions as the AWS CLI makes them, and what AWS's errors mean, in one sentence each."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from cnitrail.model import Scope

MAX_ATTEMPTS: Final = 10
"""Attempts of a call. With botocore's backoff they last up to two minutes, longer than any throttling."""

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {
        *("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"),
        *("AuthFailure", "MissingAuthenticationToken", "OptInRequired"),
    }
)
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_SIGN_IN_CALLS = frozenset(
    {"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetRoleCredentials", "CreateToken"}
)
_ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})
_CLOCK_SKEW = frozenset({"RequestTimeTooSkewed"})
_MAYBE_CLOCK_SKEW = frozenset(
    {"RequestExpired", "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
"""Error codes that may be due to a wrong clock: AWS rejects signatures that are five minutes old."""

_STALE_SIGNATURE = re.compile(
    r"Signature (?:expired|not yet current)(?:: (?P<ours>\w+) is .* \((?P<aws>\w+) [-+])?"
)
_SET_CLOCK = "set the clock (timedatectl status shows whether NTP does), then try again"
_TOLERATED_SKEW = timedelta(minutes=4, seconds=30)
"""Slightly less than the five minutes that AWS tolerates: a smaller skew is not the cause of an error."""


class AwsFailure(Struct, frozen=True):
    """Why a call to AWS failed, in one sentence, and what to do.

    ``fatal`` if every further call would fail in the same way.
    """

    reason: str
    hint: str | None
    fatal: bool = True

    def as_error(self, uri: str) -> SourceError:
        """Return the error that ends the reading of a source."""
        return SourceError(f"{uri}: {self.reason}", self.hint)


def open_session(profile: str | None) -> boto3.Session:
    """Open a session with the credentials that the AWS CLI would use.

    Raises ``SourceError`` if there is no such profile.
    """
    import logging

    import boto3
    from botocore.exceptions import BotoCoreError

    from cnitrail.sources.response_check import with_response_check

    try:
        # the AWS CLI reads AWS_REGION first, boto3 does not read it
        session = boto3.Session(profile_name=profile, region_name=os.environ.get("AWS_REGION") or None)
    except BotoCoreError as error:
        raise SourceError(
            f"AWS configuration: {error}", "aws configure list-profiles lists your profiles"
        ) from None
    logging.getLogger(__name__).debug("AWS profile %s, Region %s", session.profile_name, session.region_name)
    return with_response_check(session)


def regional_client(session: boto3.Session, scope: Scope, service: str, region: str, uri: str) -> Any:
    """Return a client for a service in a Region. Raises ``SourceError`` if there is no such Region."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}, connect_timeout=10, read_timeout=60
    )
    try:
        return session.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            endpoint_url=scope.endpoint_url,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        hint = "check --region and --endpoint-url"
        raise SourceError(f"{uri}{region}: no endpoint for this Region: {error}", hint) from None


def regions_of(session: boto3.Session, scope: Scope, uri: str) -> tuple[str, ...]:
    """Return the Regions that were asked for, else that of the profile or the environment.

    Raises ``SourceError`` if there is none.
    """
    if "all" in scope.regions:
        return _enabled_regions(session, scope)
    regions = scope.regions or ((session.region_name,) if session.region_name else ())
    if not regions:
        raise SourceError(f"{uri} no AWS Region is set", "use --region REGION, or --region all")
    return tuple(dict.fromkeys(regions))


def _enabled_regions(session: boto3.Session, scope: Scope) -> tuple[str, ...]:
    """Return the Regions that the account has enabled; all of its partition if that cannot be read."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    home = session.region_name or "us-east-1"
    try:
        client = session.client("ec2", region_name=home, endpoint_url=scope.endpoint_url)
        with closing(client) as ec2, parser_errors_raised():
            return tuple(sorted(region["RegionName"] for region in ec2.describe_regions()["Regions"]))
    except (BotoCoreError, ClientError):
        partition = session.get_partition_for_region(home)
        return tuple(session.get_available_regions("cloudtrail", partition_name=partition))


def code_of(error: Exception) -> str:
    """Return the error code that AWS answered with, else an empty string."""
    from botocore.exceptions import ClientError

    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def fatal_failure(error: Exception) -> AwsFailure | None:
    """Return the cause of an error that affects every call (credentials, clock, network).

    None if the error is only about the resource that was asked for.
    """
    from botocore import exceptions as boto

    code = code_of(error)
    if (skew := _clock_skew(error)) is not None:
        return AwsFailure(
            f"this machine's clock is wrong{_by(skew)}, so AWS rejected the call ({code})", _SET_CLOCK
        )
    if code in _EXPIRED:
        return AwsFailure(f"the AWS session token has expired ({code})", "sign in again (aws sso login)")
    if code in _UNKNOWN_KEY:
        return AwsFailure(
            f"AWS does not know these credentials ({code})",
            "aws sts get-caller-identity shows whose they are; --profile selects others",
        )
    if code in _WRONG_SECRET:
        return AwsFailure(
            f"the AWS secret key does not match the access key ({code})", "set both again with aws configure"
        )
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return AwsFailure(
            f"there are no AWS credentials ({error})", "use --profile NAME, or run aws configure"
        )
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        return AwsFailure(f"the AWS sign-in has expired ({error})", "sign in again (aws sso login)")
    sign_in_failed = isinstance(error, boto.ClientError) and error.operation_name in _SIGN_IN_CALLS
    if sign_in_failed or isinstance(error, boto.CredentialRetrievalError):
        return AwsFailure(f"no AWS credentials could be obtained ({error})", "check the profile's settings")
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return AwsFailure(
            f"AWS cannot be reached ({error})", "check the network, the proxy and --endpoint-url"
        )
    if isinstance(error, boto.SSLError):
        return AwsFailure(
            f"the server's certificate is not trusted ({error})",
            "set AWS_CA_BUNDLE to a file with your organization's certificate authorities",
        )
    return None


def _clock_skew(error: Exception) -> timedelta | None:
    """Return how far this machine's clock is ahead of AWS's, if AWS rejected a call for that.

    Zero if the skew is unknown, None if the clock is not the cause.
    """
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return None
    details: Mapping[str, Any] = error.response.get("Error", {})
    code, stale = code_of(error), _STALE_SIGNATURE.search(str(details.get("Message")))
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    by_date = _difference(datetime.now(UTC), headers.get("date"))
    if stale is not None:
        return _difference(stale["ours"], stale["aws"]) or by_date or timedelta()
    if code in _CLOCK_SKEW:
        return _difference(details.get("RequestTime"), details.get("ServerTime")) or by_date or timedelta()
    is_skewed = code in _MAYBE_CLOCK_SKEW and by_date is not None and abs(by_date) > _TOLERATED_SKEW
    return by_date if is_skewed else None


def _difference(ours: object, theirs: object) -> timedelta | None:
    """Return the difference between two times as AWS writes them; None if one cannot be read."""
    first, second = _time(ours), _time(theirs)
    return first - second if first and second else None


def _time(text: object) -> datetime | None:
    """Return an aware time from ISO 8601 or HTTP's format, or None."""
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            time = parse(str(text))
        except (ValueError, OverflowError):
            continue
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return None


def _by(skew: timedelta) -> str:
    """Return by how much a clock is wrong, in words; empty if unknown."""
    minutes = round(abs(skew) / timedelta(minutes=1))
    if not minutes:
        return ""
    direction = "fast" if skew > timedelta() else "slow"
    return f" by about {counted(minutes, 'minute')} ({direction})"


def failure_of(error: Exception, action: str) -> AwsFailure:
    """Return what any botocore error means; ``action`` is the IAM action of the call."""
    from botocore import exceptions as boto

    from cnitrail.sources.response_check import UnexpectedResponseError

    fatal = fatal_failure(error)
    if fatal is not None:
        return fatal
    if isinstance(error, UnexpectedResponseError):
        return AwsFailure(f"{action}: {error}", "check the proxy and --endpoint-url", fatal=False)
    if not isinstance(error, boto.ClientError):
        return AwsFailure(str(error), None)
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "no reason given")
    if code in _ACCESS_DENIED:
        reason = f"access denied: these credentials may not call {action} ({message})"
        return AwsFailure(reason, f"allow {action} in their IAM policy, or use another --profile")
    if code in _THROTTLED:
        hint = "try again later; other programs may be using up the account's call quota"
        return AwsFailure(
            f"{action} was throttled until all retries were used up ({code})", hint, fatal=False
        )
    return AwsFailure(f"{action} failed: {code or 'unknown'}: {message}", "try again later", fatal=False)
