"""Calls to AWS about one table in Athena, and what their errors mean."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cnitrail.errors import SourceError
from cnitrail.sources.aws import AwsFailure, code_of, failure_of, open_session, regional_client
from cnitrail.sources.sql.athena_causes import cause_of
from cnitrail.text import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boto3 import Session

    from cnitrail.model import Scope
    from cnitrail.sources.sql.athena_uri import AthenaTable

_T = TypeVar("_T")

MAX_MESSAGE: Final = 600
"""Maximum length of Athena's own message inside a sentence."""

_CODES: Final = frozenset(
    {"InvalidRequestException", "MetadataException", "TooManyRequestsException", "InternalServerException"}
)
"""Error codes whose meaning is in their message."""


class AthenaCalls:
    """The clients of Athena and Glue, in the Region of the profile or the environment."""

    def __init__(self, table: AthenaTable, scope: Scope) -> None:
        self._table = table
        self._scope = scope
        self._session: Session | None = None
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        """Close connections."""
        while self._clients:
            self._clients.popitem()[1].close()

    def client(self, service: str) -> Any:
        """Return the client of a service. Raises ``SourceError`` if there can be none."""
        if service not in self._clients:
            self._session = self._session or open_session(self._scope.profile)
            region = self._session.region_name
            if region is None:
                raise SourceError(
                    f"{self._table.uri}: the Region of Athena is not set",
                    "set AWS_REGION, or region in the profile; --region selects events",
                )
            client = regional_client(self._session, self._scope, service, region, f"{self._table.uri} in ")
            self._clients[service] = client
        return self._clients[service]

    def call(
        self,
        call: Callable[[], _T],
        action: str,
        as_error: Callable[[AwsFailure, Exception], SourceError] | None = None,
    ) -> _T:
        """Return what a call returns. Raises ``SourceError``, which ``as_error`` makes of a failure.

        ``action`` is the IAM action of the call.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        try:
            with parser_errors_raised():
                return call()
        except (BotoCoreError, ClientError) as error:
            failure = self._failure(error, action)
            raise (as_error(failure, error) if as_error else failure.as_error(self._place())) from None

    def _failure(self, error: Exception, action: str) -> AwsFailure:
        """Return what an error of Athena's API means."""
        code, message = code_of(error), message_of(error)
        is_known = code in _CODES or "lake formation" in message.lower()
        cause = cause_of(f"{code} {message}") if is_known else None
        if cause is None:
            return failure_of(error, action, self._scope.profile)
        return AwsFailure(
            f"{cause.reason} ({action}: {shortened(message, MAX_MESSAGE)})", self.completed(cause.hint)
        )

    def completed(self, hint: str) -> str:
        """Return a hint with the names of this table."""
        catalog, database = shlex.quote(self._table.catalog), shlex.quote(self._table.database)
        return hint.replace("CATALOG", catalog).replace("DATABASE", database)

    def _place(self) -> str:
        """Return the table and the Region in which it was looked for."""
        region = self._session.region_name if self._session is not None else None
        return f"{self._table.uri} (Athena in {region})" if region else self._table.uri


def message_of(error: Exception) -> str:
    """Return the message of an error response, else an error's text."""
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str((response.get("Error") or {}).get("Message") or error)
