"""Small read-only calls to AWS, to find out what works: for ``doctor``.

Each call is tried for real, because a policy simulator does not see service control policies, endpoint
policies, proxies, or clocks. Timeouts are short, and calls are repeated once.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cnitrail.errors import SourceError
from cnitrail.model.checkup import Caller, CheckCause
from cnitrail.sources.aws import code_of, failure_of, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from cnitrail.model import Scope

_READ_ONLY = re.compile(r"(?:Get|List|Describe|Lookup|Head)[A-Z]\w*")
"""Names of operations that change nothing."""

_CONNECT_SECONDS: Final = 4
_READ_SECONDS: Final = 10
_ATTEMPTS: Final = 2
_CONCURRENT_CALLS: Final = 8
_MAX_PAGES: Final = 20

_CREDENTIAL_CODES = re.compile(
    r"Expired|TokenRefreshRequired|InvalidAccessKeyId|InvalidClientTokenId|InvalidToken|UnrecognizedClient"
    r"|AuthFailure|MissingAuthenticationToken|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature"
)
_DENIED_CODES = re.compile(r"AccessDenied|UnauthorizedOperation|Forbidden|^403$")
_EXPLICIT_DENY = re.compile(r"explicit deny in an? ([a-z-]+(?: [a-z-]+)*)")
_THROTTLED_CODES = re.compile(r"Throttl|RequestLimitExceeded|SlowDown|TooManyRequests")


class Probe(Struct, frozen=True, kw_only=True):
    """A call to try: its service (as boto3 names it), its operation, its parameters, and the IAM action."""

    service: str
    operation: str
    action: str
    parameters: Mapping[str, Any] = {}
    all_pages: bool = False


class ProbeAnswer(Struct, frozen=True, kw_only=True):
    """What became of a call: the answer as JSON, or why there is none, and what to do.

    ``command`` renews the credentials. ``denied_by`` is the kind of policy with an explicit deny, as AWS
    names it. ``seconds`` is how long the call took, ``retries`` how often botocore repeated it, ``skew`` how
    far this machine's clock is ahead of AWS's. ``is_partial``: there are more pages than were read.
    """

    json: bytes | None = None
    cause: CheckCause | None = None
    reason: str = ""
    hint: str | None = None
    command: str | None = None
    denied_by: str | None = None
    seconds: float = 0.0
    retries: int = 0
    skew: timedelta | None = None
    is_partial: bool = False


class AwsProbes:
    """Calls of one profile in one Region. Operations that could change anything are refused.

    Raises ``SourceError`` if there is no such profile, or no Region is known.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._session = open_session(scope.profile)
        self._session.events.register("before-call", _refuse_writes)
        region = scope.regions[0] if scope.regions else self._session.region_name
        if not region:
            raise SourceError("no AWS Region is set", "use --region REGION, or set AWS_REGION")
        self.region: str = region
        self._clients: dict[str, Any] = {}

    def caller(self) -> tuple[Caller, ProbeAnswer]:
        """Return whose credentials these are (GetCallerIdentity, which needs no permission)."""
        probe = Probe(service="sts", operation="get_caller_identity", action="sts:GetCallerIdentity")
        answer = self.ask([probe])[0]
        identity = msgspec.json.decode(answer.json) if answer.json else {}
        profile, profile_source = _profile(self._scope, self._session)
        caller = Caller(
            account=identity.get("Account"),
            arn=identity.get("Arn"),
            profile=profile,
            profile_source=profile_source,
            credentials=_credentials(self._session),
            region=self.region,
            region_source=_region_source(self._scope, profile),
        )
        if answer.cause is CheckCause.CREDENTIALS:
            hint, command = _sign_in(self._session, profile, caller)
            answer = replace(answer, hint=hint, command=command)
        return caller, answer

    def ask(self, probes: list[Probe]) -> list[ProbeAnswer]:
        """Return what became of each call; they are made side by side, and none stops another."""
        from concurrent.futures import ThreadPoolExecutor

        # boto3: clients may be shared between threads, sessions may not
        for service in dict.fromkeys(probe.service for probe in probes):
            if service not in self._clients:
                self._clients[service] = self._client(service)
        with ThreadPoolExecutor(_CONCURRENT_CALLS) as pool:
            return list(pool.map(self._answer, probes))

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            if not isinstance(client, ProbeAnswer):
                client.close()

    def _client(self, service: str) -> Any:
        """Return a client, or the answer of every call that it would have made."""
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        )
        try:
            return self._session.client(
                service,  # type: ignore[call-overload]
                region_name=self.region,
                endpoint_url=self._scope.endpoint_url,
                config=config,
            )
        except (BotoCoreError, ValueError) as error:
            return _failed(error, service)

    def _answer(self, probe: Probe) -> ProbeAnswer:
        """Return what became of a call."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        client = self._clients[probe.service]
        if isinstance(client, ProbeAnswer):
            return client
        begun = time.monotonic()
        try:
            with parser_errors_raised():
                answer, is_partial = _called(client, probe)
        except (BotoCoreError, ClientError, OSError) as error:
            failed = _failed(error, probe.action)
            return replace(failed, seconds=time.monotonic() - begun)
        metadata = answer.pop("ResponseMetadata", {})
        body = answer.pop("Body", None)
        if body is not None:
            with closing(body):
                body.read(1)
        return ProbeAnswer(
            json=msgspec.json.encode(answer, enc_hook=str),
            seconds=time.monotonic() - begun,
            retries=int(metadata.get("RetryAttempts", 0)),
            skew=_skew(metadata.get("HTTPHeaders", {}).get("date")),
            is_partial=is_partial,
        )


def _called(client: Any, probe: Probe) -> tuple[dict[str, Any], bool]:
    """Return the answer to a call, and whether it lacks further pages."""
    if not probe.all_pages:
        return getattr(client, probe.operation)(**probe.parameters), False
    pages = client.get_paginator(probe.operation).paginate(
        **probe.parameters, PaginationConfig={"PageSize": 1000, "MaxItems": 1000 * _MAX_PAGES}
    )
    result = pages.build_full_result()
    return result, result.pop("NextToken", None) is not None


def _refuse_writes(model: Any, **_: object) -> None:
    """Raise ``AssertionError`` before an operation that could change something is sent."""
    if not _READ_ONLY.fullmatch(model.name):
        raise AssertionError(f"{model.name} is not a read-only operation")


def _failed(error: Exception, action: str) -> ProbeAnswer:
    """Return why a call has no answer."""
    failure = failure_of(error, action)
    denied = _EXPLICIT_DENY.search(str(error))
    return ProbeAnswer(
        cause=_cause(error, failure.reason),
        reason=failure.reason,
        hint=failure.hint,
        denied_by=denied[1] if denied else None,
    )


def _cause(error: Exception, reason: str) -> CheckCause:
    """Return the kind of an error."""
    from botocore import exceptions as boto

    code = code_of(error)
    if "clock is wrong" in reason:
        return CheckCause.CLOCK
    if _DENIED_CODES.search(code):
        return CheckCause.ACCESS_DENIED
    if _THROTTLED_CODES.search(code):
        return CheckCause.THROTTLED
    if _CREDENTIAL_CODES.search(code) or reason.startswith("no AWS credentials"):
        return CheckCause.CREDENTIALS
    of_credentials = (
        *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError),
        *(boto.SSOError, boto.TokenRetrievalError, boto.NoAuthTokenError),
    )
    if isinstance(error, of_credentials):
        return CheckCause.CREDENTIALS
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError, OSError)):
        return CheckCause.UNREACHABLE
    return CheckCause.NO_ANSWER


def _skew(date: str | None) -> timedelta | None:
    """Return how far this machine's clock is ahead of an HTTP date; None if there is none."""
    from email.utils import parsedate_to_datetime

    try:
        return datetime.now(UTC) - parsedate_to_datetime(str(date))
    except (ValueError, TypeError):
        return None


def _profile(scope: Scope, session: boto3.Session) -> tuple[str | None, str | None]:
    """Return the profile in use, and what chose it."""
    if scope.profile:
        return scope.profile, "--profile"
    for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"):  # botocore's order
        if os.environ.get(name):
            return os.environ[name], name
    return session.profile_name, "by default"


def _region_source(scope: Scope, profile: str | None) -> str:
    """Return what chose the Region."""
    if scope.regions:
        return "--region"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return name
    return f"profile {profile}" if profile else "the AWS config"


def _credentials(session: boto3.Session) -> str | None:
    """Return how botocore found credentials (``env``, ``sso``, ``assume-role``); None if it found none."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        credentials = session.get_credentials()
    except (BotoCoreError, ClientError):
        return None
    return str(credentials.method) if credentials is not None else None


def _sign_in(session: boto3.Session, profile: str | None, caller: Caller) -> tuple[str, str | None]:
    """Return how to renew the credentials in use, and the command for it, if there is one."""
    from shlex import quote

    if caller.credentials == "env":
        return "renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them", None
    named = quote(profile or "default")
    settings = _settings(session)
    if settings.keys() & {"sso_session", "sso_start_url"}:
        return "sign in again", f"aws sso login --profile {named}"
    if "login_session" in settings:
        return "sign in again", f"aws login --profile {named}"
    if source := settings.get("source_profile"):
        return f"renew the credentials of profile {source}, from which {named} assumes its role", None
    if caller.credentials in {"iam-role", "container-role"}:
        return "check the role of this instance or container", None
    if caller.credentials is None:
        return "sign in with a profile, and name it with --profile", "aws sso login --profile NAME"
    return f"renew the keys of profile {named}", f"aws configure --profile {named}"


def _settings(session: boto3.Session) -> Mapping[str, Any]:
    """Return the settings of the profile in the AWS config."""
    from botocore.exceptions import BotoCoreError

    try:
        found: Mapping[str, Any] = session._session.get_scoped_config()  # noqa: SLF001
    except BotoCoreError:
        return {}
    return found
