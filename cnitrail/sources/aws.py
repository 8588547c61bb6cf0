"""How AWS is reached, and what its errors mean to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnitrail.errors import SourceError

if TYPE_CHECKING:
    import boto3

    from cnitrail.model import Scope

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_UNKNOWN = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why AWS gave no answer, in one sentence, and what to try.

    ``lasting`` where every further call in this Region would fail in the same way.
    """

    reason: str
    hint: str | None
    lasting: bool


def session_of(scope: Scope) -> boto3.Session:
    """The session that a profile, or the environment, gives. Raises ``SourceError``."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.Session(profile_name=scope.profile)
    except BotoCoreError as error:
        raise SourceError(str(error), "aws configure list-profiles shows the profiles there are") from None


def failure(error: Exception, action: str) -> Failure:
    """What an exception of botocore means; ``action`` is the IAM action of the call."""
    from botocore import exceptions

    match error:
        case exceptions.ClientError():
            return _refusal(error, action)
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            hint = "sign in (aws sso login, aws configure), or name a profile with --profile"
            return Failure("no complete AWS credentials were found", hint, lasting=True)
        case exceptions.CredentialRetrievalError() | exceptions.SSOError() | exceptions.TokenRetrievalError():
            reason = f"the AWS credentials could not be fetched: {error}"
            return Failure(reason, "sign in again: aws sso login", lasting=True)
        case exceptions.EndpointConnectionError() | exceptions.HTTPClientError():
            hint = "check the network, the Region's name and --endpoint-url"
            return Failure(f"AWS cannot be reached: {error}", hint, lasting=True)
    return Failure(str(error), None, lasting=True)


def _refusal(error: Exception, action: str) -> Failure:
    """What an error that AWS itself answered with means."""
    said = getattr(error, "response", {}).get("Error", {})
    code, message = said.get("Code", "unknown"), said.get("Message", "no reason given")
    if code in _EXPIRED:
        reason = f"the AWS credentials have expired ({code})"
        return Failure(reason, "sign in again: aws sso login, or fetch new keys", lasting=True)
    if code in _REFUSED:
        reason = f"access denied: these credentials may not call {action} ({message})"
        return Failure(reason, f"allow {action} in their IAM policy, or use another --profile", lasting=True)
    if code in _UNKNOWN:
        hint = "check the keys, and whether the Region is enabled in this account"
        return Failure(f"AWS does not accept the credentials ({code}: {message})", hint, lasting=True)
    if code in _THROTTLED:
        hint = "try again later; other programs may be using up the calls that the account has"
        return Failure(f"AWS went on throttling {action} ({code})", hint, lasting=False)
    return Failure(f"{action} failed: {code}: {message}", "try again later", lasting=False)
