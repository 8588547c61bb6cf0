"""Whose credentials are used, in which Region, and where both come from."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.sources.aws import fatal_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import boto3

    from cnitrail.model import Scope

_ACTION: Final = "sts:GetCallerIdentity"
_CONNECT_SECONDS: Final = 3
_READ_SECONDS: Final = 5
"""Short: without an answer, the lookup goes on."""

_MAX_REGIONS: Final = 3
_CREDENTIALS: Final = {
    "env": "credentials from environment variables",
    "iam-role": "the instance's role",
    "container-role": "the container's role",
}
"""How botocore found credentials (``credentials.py``, ``METHOD``), if no profile has them."""


class CallerIdentity(Struct, frozen=True):
    """The account and the ARN that AWS knows the credentials by."""

    account: str
    arn: str


def caller_of(session: boto3.Session, scope: Scope, region: str, uri: str) -> CallerIdentity | None:
    """Return whose credentials a session uses; None if STS does not answer.

    GetCallerIdentity needs no permission. Raises ``SourceError`` if there are no usable credentials.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    config = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1}
    )
    try:
        client = session.client("sts", region_name=region, endpoint_url=scope.endpoint_url, config=config)
        with closing(client), parser_errors_raised():
            answer = client.get_caller_identity()
            return CallerIdentity(str(answer["Account"]), str(answer["Arn"]))
    except (BotoCoreError, ClientError, LookupError, ValueError) as error:
        failure = fatal_failure(error, scope.profile)
        if failure is not None and failure.no_credentials:
            raise failure.as_error(f"{uri}{region}") from None
        return None


def announcement(
    session: boto3.Session,
    scope: Scope,
    regions: Sequence[str],
    caller: CallerIdentity | None,
    *,
    call: str = "LookupEvents",
    account_read: str | None = None,
) -> str:
    """Return who is about to make a ``call``, and for which account (the caller's if None) and Regions."""
    read = account_read or (caller.account if caller is not None else None)
    account = f"{read}/" if read is not None else ""
    where = ", ".join(f"{account}{region}" for region in regions[:_MAX_REGIONS])
    if len(regions) > _MAX_REGIONS:
        where = f"{len(regions)} Regions" + (f" of account {caller.account}" if caller is not None else "")
    who = f" as {caller.arn}" if caller is not None else ""
    return f"{call} in {where}{who} ({_origins(session, scope)})"


def _origins(session: boto3.Session, scope: Scope) -> str:
    """Return where the credentials and the Region come from."""
    credentials = session.get_credentials()
    method = getattr(credentials, "method", None)
    named = f"profile {session.profile_name}"
    origins = [named if scope.profile else _CREDENTIALS.get(str(method), named)]
    if not scope.regions:
        variables = (name for name in ("AWS_REGION", "AWS_DEFAULT_REGION") if os.environ.get(name))
        variable = next(variables, None)
        origins.append(f"Region from {variable or 'the AWS config file'}")
    return ", ".join(origins)
