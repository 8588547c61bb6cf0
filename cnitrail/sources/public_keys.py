"""CloudTrail's public keys from AWS: ListPublicKeys, in each Region."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from cnitrail.errors import SourceError
from cnitrail.model import PublicKey
from cnitrail.sources import aws

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.model import Scope

_LOG = logging.getLogger(__name__)

_HINT = (
    "run aws cloudtrail list-public-keys --start-time … --end-time … in each Region, and give its output "
    "with --public-keys FILE"
)


class PublicKeys:
    """Fetches the keys of a Region and a time range. Raises ``SourceError`` if AWS does not answer."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._session = aws.open_session(scope.profile)

    def of(self, region: str, start: datetime, end: datetime) -> tuple[PublicKey, ...]:
        """Return the keys that sign the digests of a Region in a time range."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        origin = f"ListPublicKeys in {region}"
        _LOG.debug("%s from %s to %s", origin, start, end)
        try:
            client = self._session.client(
                "cloudtrail", region_name=region, endpoint_url=self._scope.endpoint_url
            )
            with closing(client), parser_errors_raised():
                pages = client.get_paginator("list_public_keys").paginate(StartTime=start, EndTime=end)
                return tuple(
                    PublicKey(key["Fingerprint"], bytes(key["Value"]), origin)
                    for page in pages
                    for key in page["PublicKeyList"]
                )
        except (BotoCoreError, ClientError, ValueError) as error:
            failure = aws.failure_of(error, "cloudtrail:ListPublicKeys", self._scope.profile)
            raise SourceError(f"no CloudTrail public keys for {region}: {failure.reason}", _HINT) from None
