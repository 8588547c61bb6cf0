"""Fast reads of S3 objects with obstore (Rust): a tenth of boto3's CPU, and outside Python's GIL.

It uses boto3's credentials, at an endpoint that has answered boto3. What it cannot read (keys with an empty
folder name, endpoints with a private CA) or fails to read is left to boto3, which reports the cause.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from obstore.store import S3Credential, S3Store

_LOG = logging.getLogger(__name__)

MAX_RETRIES: Final = 3
MAX_FAILURES: Final = 50
"""Failed reads without a success in between, after which obstore is no longer used."""

_CREDENTIALS_VALID: Final = timedelta(minutes=5)
"""boto3 renews credentials ten minutes before they expire, when it is asked for them."""


class ObstoreReader:
    """Reads a bucket's objects, until too many reads in a row have failed.

    May be called from several threads at once.
    """

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._failures = 0

    def fetch(self, key: str, etag: str, start: int, length: int) -> bytes | None:
        """Return these bytes of an object that has this ETag (without quotes); None if boto3 must try."""
        import obstore
        from obstore.exceptions import BaseError

        if self._failures > MAX_FAILURES:
            return None
        self._failures += 1
        try:
            found = obstore.get(self._store, key, options={"range": (start, start + length)})
            body = bytes(found.bytes())
        except (BaseError, OSError, ValueError) as error:
            _LOG.debug("%s: obstore failed, boto3 tries: %s", key, error)
            return None
        if (found.meta["e_tag"] or "").strip('"') != etag or len(body) != length:
            _LOG.debug("%s: obstore read another version or length, boto3 tries", key)
            return None
        self._failures = 0
        return body


def open_obstore(
    bucket: str,
    url: str,
    region: str,
    credentials: Credentials,
    *,
    requester_pays: bool,
    connect_seconds: int,
    read_seconds: int,
) -> ObstoreReader:
    """Open a reader of a bucket; the URL is the bucket's own, with its name in the host or the path."""
    from obstore.store import S3Store

    def current_credentials() -> S3Credential:
        frozen = credentials.get_frozen_credentials()
        assert frozen.access_key is not None
        assert frozen.secret_key is not None
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_VALID,
        }

    store = S3Store(
        bucket,
        endpoint=url,
        virtual_hosted_style_request=True,
        region=region,
        credential_provider=current_credentials,
        request_payer=requester_pays,
        client_options={
            "allow_http": url.startswith("http:"),
            "connect_timeout": timedelta(seconds=connect_seconds),
            "read_timeout": timedelta(seconds=read_seconds),
            "timeout": timedelta(seconds=10 * read_seconds),
        },
        retry_config={"max_retries": MAX_RETRIES},
    )
    _LOG.debug("reading objects with obstore at %s (%s)", url, region)
    return ObstoreReader(store)
