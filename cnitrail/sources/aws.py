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
_THROTTLED = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)
_CLOCK_SKEW = frozenset({"RequestTimeTooSkewed"})
_MAYBE_CLOCK_SKEW = frozenset(
    {"RequestExpired", "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
"""Error codes that may be due to a wrong clock: AWS rejects signatures that are five minutes old."""

_STALE_SIGNATURE = re.compile(
    r"Signature (?:expired|not yet current)(?:: (?P<ours>\w+) is .* \((?P<aws>\w+) [-+])?"
)
_SET_CLOCK = "set the clock (timedatectl status shows whether NTP does), then try again"
_TRY_AGAIN = "check the network and the proxy, then try again"
_TOLERATED_SKEW = timedelta(minutes=4, seconds=30)
"""Slightly less than the five minutes that AWS tolerates: a smaller skew is not the cause of an error."""


class AwsFailure(Struct, frozen=True):
    """Why a call to AWS failed, in one sentence, and what to do.

    ``fatal`` if every further call would fail in the same way; ``no_credentials`` if no call was made, as
    there are no credentials.
    """

    reason: str
    hint: str | None
    fatal: bool = True
    no_credentials: bool = False

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
        name, region = session.profile_name, session.region_name
    except BotoCoreError as error:
        raise _configuration_error(error).as_error("AWS configuration") from None
    logging.getLogger(__name__).debug("AWS profile %s, Region %s", name, region)
    return with_response_check(session)


def _configuration_error(error: Exception) -> AwsFailure:
    """Return what is wrong with the AWS configuration files or variables."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ProfileNotFound):
        return AwsFailure(str(error), "aws configure list-profiles lists your profiles")
    if isinstance(error, (boto.ConfigParseError, boto.ConfigNotFound)):
        return AwsFailure(str(error), "correct this file; AWS_CONFIG_FILE names another one")
    return AwsFailure(shown(error), "aws configure list shows where each setting comes from")


_PASSWORD = re.compile(r"(?<=://)[^/\s]+@|(?<!\S)[^/@\s:]+:[^/\s]+@")


def shown(error: object) -> str:
    """Return an error's text without the user name and password of a URL in it."""
    return _PASSWORD.sub("***@", str(error))


def _with_profile(command: str, profile: str | None) -> str:
    """Return a command of the AWS CLI for the profile in use."""
    import shlex

    name = profile or os.environ.get("AWS_PROFILE")
    return f"{command} --profile {shlex.quote(name)}" if name else command


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
        raise client_failure(error, scope).as_error(f"{uri}{region}") from None


def client_failure(error: Exception, scope: Scope) -> AwsFailure:
    """Return why a client could not be made: no call was made yet."""
    from botocore import exceptions as boto

    if isinstance(error, boto.InvalidRegionError):
        return AwsFailure(str(error), "use the name of a Region, such as --region eu-west-1")
    if isinstance(error, ValueError) and "endpoint" in str(error):
        return AwsFailure(shown(error), "--endpoint-url is a URL, such as https://HOST:PORT")
    if isinstance(error, ValueError):
        return AwsFailure(
            f"an AWS setting is malformed ({shown(error)})",
            "check the environment variables that begin with AWS_, and the profile (aws configure list)",
        )
    if isinstance(error, boto.NoRegionError):
        return NO_REGION
    return fatal_failure(error, scope.profile) or _configuration_error(error)


NO_REGION: Final = AwsFailure(
    "no AWS Region is set",
    "use --region REGION, or --region all; or set AWS_REGION, or region in the profile",
)


def regions_of(session: boto3.Session, scope: Scope, uri: str) -> tuple[str, ...]:
    """Return the Regions that were asked for, else that of the profile or the environment.

    Raises ``SourceError`` if there is none.
    """
    if "all" in scope.regions:
        return _enabled_regions(session, scope)
    regions = scope.regions or ((session.region_name,) if session.region_name else ())
    if not regions:
        raise SourceError(f"{uri} {NO_REGION.reason}", NO_REGION.hint)
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


def is_access_denied(error: Exception) -> bool:
    """Return whether AWS refused a call because its caller may not make it."""
    return code_of(error) in _ACCESS_DENIED


def is_refusal(error: Exception) -> bool:
    """Return whether AWS refused a call for what it asks (status 4xx), so that it would refuse it again."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError) or code_of(error) in _THROTTLED:
        return False
    return 400 <= error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < 500


def fatal_failure(error: Exception, profile: str | None = None) -> AwsFailure | None:
    """Return the cause of an error that affects every call (credentials, clock, network).

    None if the error is only about the resource that was asked for. ``profile`` is the profile in use.
    """
    from botocore import exceptions as boto

    code = code_of(error)
    if (skew := _clock_skew(error)) is not None:
        return AwsFailure(
            f"this machine's clock is wrong{_by(skew)}, so AWS rejected the call ({code})", _SET_CLOCK
        )
    if code in _EXPIRED:
        sign_in = _with_profile("aws sso login", profile)
        hint = f"sign in again: {sign_in}, or however you obtained these credentials"
        return AwsFailure(f"the AWS session token has expired ({code})", hint)
    if code in _UNKNOWN_KEY:
        return AwsFailure(
            f"AWS does not know these credentials ({code})",
            "they were deleted, belong to another partition, or the Region is not enabled in the account "
            "(aws account list-regions); --profile NAME selects others (aws configure list-profiles)",
        )
    if code in _WRONG_SECRET:
        return AwsFailure(
            f"the AWS secret key does not match the access key ({code})", "set both again with aws configure"
        )
    if isinstance(error, boto.PartialCredentialsError):
        hint = _with_profile("aws configure list", profile) + " shows where each value comes from"
        return AwsFailure(f"the AWS credentials are incomplete ({error})", hint, no_credentials=True)
    if isinstance(error, boto.NoCredentialsError):
        return AwsFailure(
            f"there are no AWS credentials ({error})",
            "use --profile NAME (aws configure list-profiles), or run aws configure",
            no_credentials=True,
        )
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        reason = f"you are not signed in to AWS, or the sign-in has expired ({error})"
        hint = f"sign in: {_with_profile('aws sso login', profile)}"
        return AwsFailure(reason, hint, no_credentials=True)
    if isinstance(error, getattr(boto, "LoginError", ())):  # of botocore 1.41 or later
        reason = f"you are not signed in to AWS, or the sign-in has expired ({error})"
        return AwsFailure(reason, f"sign in: {_with_profile('aws login', profile)}", no_credentials=True)
    if isinstance(error, (boto.ProfileNotFound, boto.ConfigParseError, boto.InvalidConfigError)):
        failure = _configuration_error(error)
        return AwsFailure(f"AWS configuration: {failure.reason}", failure.hint, no_credentials=True)
    sign_in_failed = isinstance(error, boto.ClientError) and error.operation_name in _SIGN_IN_CALLS
    if sign_in_failed or isinstance(error, boto.CredentialRetrievalError):
        check = _with_profile("aws sts get-caller-identity", profile)
        hint = f"correct the profile until {check} succeeds"
        return AwsFailure(f"no AWS credentials could be obtained ({shown(error)})", hint, no_credentials=True)
    if isinstance(error, boto.ProxyConnectionError):
        hint = "check HTTPS_PROXY; NO_PROXY=amazonaws.com bypasses the proxy"
        return AwsFailure(f"AWS cannot be reached through the proxy ({shown(error)})", hint)
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError)):
        hint = "check the Region's name, the network, HTTPS_PROXY and --endpoint-url"
        return AwsFailure(f"AWS cannot be reached ({shown(error)})", hint)
    if isinstance(error, boto.SSLError):
        return AwsFailure(
            f"the server's certificate is not trusted ({shown(error)})",
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


def failure_of(error: Exception, action: str, profile: str | None = None) -> AwsFailure:
    """Return what any botocore error means; ``action`` is the IAM action, ``profile`` the profile in use."""
    from botocore import exceptions as boto

    from cnitrail.sources.response_check import UnexpectedResponseError

    fatal = fatal_failure(error, profile)
    if fatal is not None:
        return fatal
    if isinstance(error, UnexpectedResponseError):
        return AwsFailure(f"{action}: {shown(error)}", "check the proxy and --endpoint-url", fatal=False)
    if isinstance(error, boto.ReadTimeoutError):
        return AwsFailure(f"{action}: AWS did not answer in time ({shown(error)})", _TRY_AGAIN)
    if isinstance(error, boto.HTTPClientError):
        return AwsFailure(f"{action}: the connection to AWS broke off ({shown(error)})", _TRY_AGAIN)
    if not isinstance(error, boto.ClientError):
        return AwsFailure(f"{action}: {shown(error)}", "aws configure list shows the settings in use")
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
