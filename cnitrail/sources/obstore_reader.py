"""Fast reads of S3 objects with obstore (Rust): a tenth of boto3's CPU, and outside Python's GIL.

It uses boto3's credentials, at an endpoint that has answered boto3. What it cannot read (keys with an empty
folder name, endpoints with a private CA) or fails to read is left to boto3, which reports the cause.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import S3Credential, S3Store

_LOG = logging.getLogger(__name__)

MAX_RETRIES: Final = 3
MAX_FAILURES: Final = 50
"""Failed reads without a success in between, after which obstore is no longer used."""

_CREDENTIALS_VALID: Final = timedelta(minutes=5)
"""boto3 renews credentials ten minutes before they expire, when it is asked for them."""


class BucketAddress(Struct, frozen=True, kw_only=True):
    """A bucket, and what it takes to read it: its own URL, with its name in the host or the path; keys.

    ``connect_seconds`` and ``read_seconds`` are the timeouts.
    """

    bucket: str
    url: str
    region: str
    access_key_id: str
    secret_access_key: str
    token: str | None
    requester_pays: bool
    connect_seconds: int
    read_seconds: int

    def __repr__(self) -> str:
        """Return the address without its keys."""
        return f"BucketAddress({self.url!r})"


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


def open_obstore(address: Callable[[], BucketAddress]) -> ObstoreReader:
    """Open a reader of a bucket, whose address is asked for again when keys may have expired."""
    from obstore.store import S3Store

    bucket = address()

    def current_credentials() -> S3Credential:
        current = address()
        return {
            "access_key_id": current.access_key_id,
            "secret_access_key": current.secret_access_key,
            "token": current.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_VALID,
        }

    store = S3Store(
        bucket.bucket,
        endpoint=bucket.url,
        virtual_hosted_style_request=True,
        region=bucket.region,
        credential_provider=current_credentials,
        request_payer=bucket.requester_pays,
        client_options={
            "allow_http": bucket.url.startswith("http:"),
            "connect_timeout": timedelta(seconds=bucket.connect_seconds),
            "read_timeout": timedelta(seconds=bucket.read_seconds),
            "timeout": timedelta(seconds=10 * bucket.read_seconds),
        },
        retry_config={"max_retries": MAX_RETRIES},
    )
    _LOG.debug("reading objects with obstore at %s (%s)", bucket.url, bucket.region)
    return ObstoreReader(store)


_READERS: dict[str, tuple[ObstoreReader, list[BucketAddress]]] = {}
"""The reader of each bucket in this process, by its URL, and its latest address."""


def reader_of(address: BucketAddress) -> ObstoreReader:
    """Return this process's reader of a bucket, which from now on uses these keys."""
    known = _READERS.get(address.url)
    if known is None:
        latest = [address]
        known = _READERS[address.url] = open_obstore(lambda: latest[0]), latest
    known[1][0] = address
    return known[0]
