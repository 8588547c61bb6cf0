"""CloudTrail's public keys, as AWS knows them: ListPublicKeys, of each Region its own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cnitrail.errors import SourceError
from cnitrail.model import PublicKey
from cnitrail.sources import aws

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.model import Scope

_HINT = (
    "--public-keys FILE takes what aws cloudtrail list-public-keys --start-time … --end-time … printed, "
    "in each Region"
)


class PublicKeys:
    """Asks AWS for the keys of a Region and a time. Raises ``SourceError`` where it does not answer."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._session = aws.session(scope.profile)

    def of(self, region: str, start: datetime, end: datetime) -> tuple[PublicKey, ...]:
        """The keys that digests of a Region were signed with in a span of time."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import understood

        origin = f"ListPublicKeys in {region}"
        try:
            client = self._session.client(
                "cloudtrail", region_name=region, endpoint_url=self._scope.endpoint_url
            )
            with closing(client), understood():
                pages = client.get_paginator("list_public_keys").paginate(StartTime=start, EndTime=end)
                return tuple(
                    PublicKey(each["Fingerprint"], bytes(each["Value"]), origin)
                    for page in pages
                    for each in page["PublicKeyList"]
                )
        except (BotoCoreError, ClientError, ValueError) as error:
            failure = aws.failure(error, "cloudtrail:ListPublicKeys")
            raise SourceError(f"CloudTrail's public keys of {region}: {failure.reason}", _HINT) from None
