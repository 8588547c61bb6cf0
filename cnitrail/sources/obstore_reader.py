"""Objects fetched by obstore (Rust): a tenth of boto3's CPU, and none of it under Python's lock.

It goes where boto3 has been let in, with boto3's credentials. What it cannot do (a key with an
empty folder name in it, authorities of one's own), or fails at, is left to boto3, which can tell why.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from obstore.store import S3Credential, S3Store

_RETRIES = 3
_MISSES = 50
_CREDENTIALS_LIVE = timedelta(minutes=5)
"""boto3 renews credentials ten minutes before they expire, when it is asked for them."""


class ObstoreReader:
    """Quick reads of a bucket's objects; given up where none succeeds any more.

    May be called from several threads at once.
    """

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._missed = 0

    def fetch(self, key: str, etag: str, start: int, length: int) -> bytes | None:
        """These bytes of an object that has this ETag (without quotes); None where boto3 must try."""
        import obstore
        from obstore.exceptions import BaseError

        if self._missed > _MISSES:
            return None
        self._missed += 1
        try:
            found = obstore.get(self._store, key, options={"range": (start, start + length)})
            body = bytes(found.bytes())
        except (BaseError, OSError, ValueError):
            return None
        if (found.meta["e_tag"] or "").strip('"') != etag or len(body) != length:
            return None
        self._missed = 0
        return body


def open_swift(
    bucket: str,
    url: str,
    region: str,
    credentials: Credentials,
    pays: bool,
    connect_seconds: int,
    read_seconds: int,
) -> ObstoreReader:
    """A reader of a bucket; the URL is the bucket's own, with its name in host or path."""
    from obstore.store import S3Store

    def provide() -> S3Credential:
        now = credentials.get_frozen_credentials()
        assert now.access_key is not None
        assert now.secret_key is not None
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LIVE,
        }

    store = S3Store(
        bucket,
        endpoint=url,
        virtual_hosted_style_request=True,
        region=region,
        credential_provider=provide,
        request_payer=pays,
        client_options={
            "allow_http": url.startswith("http:"),
            "connect_timeout": timedelta(seconds=connect_seconds),
            "read_timeout": timedelta(seconds=read_seconds),
            "timeout": timedelta(seconds=10 * read_seconds),
        },
        retry_config={"max_retries": _RETRIES},
    )
    return ObstoreReader(store)
