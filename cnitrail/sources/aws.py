"""AWS sessions in the AWS CLI's way, and what ends a conversation with AWS, as one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.errors import SourceError

if TYPE_CHECKING:
    import boto3

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"}
)
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_FOR_CREDENTIALS = frozenset(
    {"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetRoleCredentials", "CreateToken"}
)
_WRONG_CLOCK = frozenset({"RequestTimeTooSkewed"})


def session(profile: str | None) -> boto3.Session:
    """A session with the credentials that the AWS CLI would use.

    Raises ``SourceError`` where there is no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.Session(profile_name=profile)
    except BotoCoreError as error:
        raise SourceError(
            f"AWS configuration: {error}", "aws configure list-profiles shows what there is"
        ) from None


def code_of(error: Exception) -> str:
    """The code of an error that AWS answered with, else an empty text."""
    from botocore.exceptions import ClientError

    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def fatal(error: Exception, uri: str) -> SourceError | None:
    """What an error says about credentials or the network: it would befall every other call, too.

    None for an error that is about the thing asked for alone.
    """
    from botocore import exceptions as boto

    code = code_of(error)
    if code in _EXPIRED:
        return SourceError(
            f"{uri}: the AWS session token has expired ({code})", "sign in again (aws sso login)"
        )
    if code in _UNKNOWN_KEY:
        return SourceError(
            f"{uri}: AWS does not know these credentials ({code})",
            "aws sts get-caller-identity tells whose they are; --profile takes others",
        )
    if code in _WRONG_SECRET:
        return SourceError(f"{uri}: the AWS secret key does not fit the access key ({code})", "aws configure")
    if code in _WRONG_CLOCK:
        return SourceError(
            f"{uri}: this machine's clock is wrong, so AWS refuses it ({code})", "set the clock"
        )
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return SourceError(
            f"{uri}: there are no AWS credentials ({error})",
            "name a profile (--profile), or run aws configure",
        )
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        return SourceError(f"{uri}: the AWS sign-in has expired ({error})", "aws sso login")
    unhad = isinstance(error, boto.ClientError) and error.operation_name in _FOR_CREDENTIALS
    if unhad or isinstance(error, boto.CredentialRetrievalError):
        return SourceError(
            f"{uri}: the AWS credentials cannot be had ({error})", "look at the profile's set-up"
        )
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return SourceError(
            f"{uri}: AWS cannot be reached ({error})", "look at the network, the proxy and --endpoint-url"
        )
    if isinstance(error, boto.SSLError):
        return SourceError(
            f"{uri}: the server's certificate is not trusted ({error})",
            "AWS_CA_BUNDLE names a file of further authorities",
        )
    return None
