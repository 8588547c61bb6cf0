"""AWS sessions in the AWS CLI's way, and what AWS's errors mean to a person, one sentence each."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.errors import SourceError

if TYPE_CHECKING:
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


class Failure(Struct, frozen=True):
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

    from cnitrail.sources.reply import checked

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

    home = session.region_name or "us-east-1"
    try:
        with closing(session.client("ec2", region_name=home, endpoint_url=scope.endpoint_url)) as ec2:
            return tuple(sorted(region["RegionName"] for region in ec2.describe_regions()["Regions"]))
    except (BotoCoreError, ClientError):
        partition = session.get_partition_for_region(home)
        return tuple(session.get_available_regions("cloudtrail", partition_name=partition))


def code_of(error: Exception) -> str:
    """The code of an error that AWS answered with, else an empty text."""
    from botocore.exceptions import ClientError

    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def fatal(error: Exception) -> Failure | None:
    """What an error says about credentials or the network: it would befall every other call, too.

    None for an error that is about the thing asked for alone.
    """
    from botocore import exceptions as boto

    code = code_of(error)
    if code in _EXPIRED:
        return Failure(f"the AWS session token has expired ({code})", "sign in again (aws sso login)")
    if code in _UNKNOWN_KEY:
        return Failure(
            f"AWS does not know these credentials ({code})",
            "aws sts get-caller-identity tells whose they are; --profile takes others",
        )
    if code in _WRONG_SECRET:
        return Failure(f"the AWS secret key does not fit the access key ({code})", "aws configure")
    if code in _WRONG_CLOCK:
        return Failure(f"this machine's clock is wrong, so AWS refuses it ({code})", "set the clock")
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return Failure(
            f"there are no AWS credentials ({error})",
            "name a profile (--profile), or run aws configure",
        )
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        return Failure(f"the AWS sign-in has expired ({error})", "aws sso login")
    unhad = isinstance(error, boto.ClientError) and error.operation_name in _FOR_CREDENTIALS
    if unhad or isinstance(error, boto.CredentialRetrievalError):
        return Failure(f"the AWS credentials cannot be had ({error})", "look at the profile's set-up")
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return Failure(
            f"AWS cannot be reached ({error})", "look at the network, the proxy and --endpoint-url"
        )
    if isinstance(error, boto.SSLError):
        return Failure(
            f"the server's certificate is not trusted ({error})",
            "AWS_CA_BUNDLE names a file of further authorities",
        )
    return None


def failure(error: Exception, action: str) -> Failure:
    """What any error of botocore means; ``action`` is the IAM action of the call."""
    from botocore import exceptions as boto

    lasting = fatal(error)
    if lasting is not None:
        return lasting
    if not isinstance(error, boto.ClientError):
        return Failure(str(error), None)
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "no reason given")
    if code in _REFUSED:
        reason = f"access denied: these credentials may not call {action} ({message})"
        return Failure(reason, f"allow {action} in their IAM policy, or use another --profile")
    if code in _THROTTLED:
        hint = "try again later; other programs may be using up the calls that the account has"
        return Failure(f"AWS went on throttling {action} ({code})", hint, lasting=False)
    return Failure(f"{action} failed: {code or 'unknown'}: {message}", "try again later", lasting=False)
