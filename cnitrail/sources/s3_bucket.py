"""A bucket on S3: its folders, keys and objects.

An error that affects every call is a ``SourceError``. One about a single object is an ``OSError`` whose text
is the reason: a ``PermissionError`` if access is denied.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.sources import aws
from cnitrail.sources.obstore_reader import BucketAddress, ObstoreReader, open_obstore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from boto3 import Session
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectRequestTypeDef,
        HeadObjectRequestTypeDef,
        ListObjectsV2OutputTypeDef,
        ListObjectsV2RequestTypeDef,
        ObjectTypeDef,
    )

    from cnitrail.model import Scope
    from cnitrail.sources.layout import KeyRange

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

RANGE_BYTES: Final = 16 * 1024 * 1024
"""The most that one call fetches. CloudTrail's files have at most 50 MB."""

CONNECT_SECONDS = 10
READ_SECONDS = 30
_MAX_ATTEMPTS: Final = 5

_ACCESS_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_NO_KEY = frozenset({"NoSuchKey", "404"})
_REASONS = {
    "InvalidObjectState": "archived in Glacier: restore it first",
    "SlowDown": "S3 throttled the request until all retries were used up (SlowDown): try again later",
}


class ListingError(SourceError):
    """A page of one listing cannot be read. Other listings may succeed."""


class S3Object(Struct, frozen=True):
    """An object as it was listed; ``size`` in bytes, ``etag`` without its quotes.

    The ETag is empty if the listing has no ETag or no size: such an object cannot be fetched as listed.
    """

    key: str
    size: int
    etag: str


class ListingPosition(Struct, frozen=True):
    """Where a listing continues: at S3's token, or after a key, if the keys before it are not needed."""

    token: str | None = None
    after: str | None = None


class ListingPage(Struct, frozen=True):
    """One page of a listing; ``following`` is where the next page starts, None at the end."""

    objects: tuple[S3Object, ...]
    following: ListingPosition | None


class S3Bucket:
    """A bucket, read with boto3: its credentials, its retries, its redirects to other Regions.

    Objects are fetched by ``ObstoreReader`` if possible: boto3 takes ten times its CPU. All methods
    may be called from several threads at once.
    """

    def __init__(self, uri: str, name: str, scope: Scope, connections: int) -> None:
        self._uri = uri
        self._name = name
        self._payer = scope.request_payer
        self._session = aws.open_session(scope.profile)
        self._profile = scope.profile
        self._client = _client(uri, self._session, scope, connections)
        self._client.meta.events.register("before-sign.s3.ListObjectsV2", self._note_address)
        self._address = ("", "")
        self.keys_in_folders: list[str] = []
        """The keys that were listed directly in the folders that were searched."""
        self._obstore: ObstoreReader | None = None
        self._known: BucketAddress | None = None

    def folders(self, folder: str) -> list[str]:
        """Return the folders directly in a folder, each with its slash. Raises ``SourceError``."""
        return [subfolder for page in self.folder_pages(folder) for subfolder in page]

    def folder_pages(self, folder: str) -> Iterator[list[str]]:
        """Yield the folders directly in a folder, page by page: pages with many objects have few folders."""
        request = self._listing(folder)
        request["Delimiter"] = "/"
        while True:
            answer = self._list(request)
            self.keys_in_folders += [listed["Key"] for listed in answer.get("Contents", ())]
            yield [common["Prefix"] for common in answer.get("CommonPrefixes", ())]
            if not (token := answer.get("NextContinuationToken")):
                return
            request["ContinuationToken"] = token

    def has_keys(self, prefix: str) -> bool:
        """Return whether any key begins with a prefix. Raises ``SourceError``."""
        request = self._listing(prefix)
        request["MaxKeys"] = 1
        return bool(self._list(request).get("Contents"))

    def page(self, keys: KeyRange, start: ListingPosition | None) -> ListingPage:
        """Return a page of the objects in a key range: the first one, or the one at a position.

        Raises ``SourceError``: a ``ListingError`` if other key ranges may still be listed.
        """
        request = self._listing(keys.prefix)
        start = start or ListingPosition(after=keys.first if keys.first > keys.prefix else None)
        if start.token is not None:
            request["ContinuationToken"] = start.token
        elif start.after is not None:
            request["StartAfter"] = start.after
        answer = self._list(request)
        objects = tuple(
            _object(listed)
            for listed in answer.get("Contents", ())
            if keys.first <= listed["Key"] < keys.last
        )
        _LOG.debug("s3://%s/%s: page of %d objects", self._name, keys.prefix, len(objects))
        return ListingPage(objects, _following(keys, answer))

    def fetch(self, object_: S3Object, start: int) -> bytes:
        """Return at most ``RANGE_BYTES`` of an object from ``start`` on, exactly as listed.

        Raises ``OSError`` and ``SourceError``. Something must have been listed before.
        """
        length = min(object_.size - start, RANGE_BYTES)
        _LOG.debug("s3://%s/%s: bytes %d-%d", self._name, object_.key, start, start + length)
        if (
            self._obstore
            and object_.etag
            and (body := self._obstore.fetch(object_.key, object_.etag, start, length))
        ):
            return body
        request: GetObjectRequestTypeDef = {"Bucket": self._name, "Key": object_.key}
        if length < object_.size:
            request["Range"] = f"bytes={start}-{start + length - 1}"
        if self._payer:
            request["RequestPayer"] = "requester"
        return _retry_torn(lambda: self._get(request, object_.etag, length))[0]

    def fetch_whole(self, key: str, etag: str, size: int) -> tuple[bytes, dict[str, str]]:
        """Return a small object and its metadata (with lower-case names), exactly as listed.

        Raises ``OSError`` and ``SourceError``.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._name, "Key": key}
        if self._payer:
            request["RequestPayer"] = "requester"
        return _retry_torn(lambda: self._get(request, etag, size))

    def find(self, key: str) -> S3Object | None:
        """Return an object by its key, or None. Raises ``OSError`` and ``SourceError``."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import parser_errors_raised

        request: HeadObjectRequestTypeDef = {"Bucket": self._name, "Key": key}
        if self._payer:
            request["RequestPayer"] = "requester"
        try:
            with parser_errors_raised():
                answer = self._client.head_object(**request)
        except (BotoCoreError, ClientError) as error:
            if aws.code_of(error) in _NO_KEY:
                return None
            raise self._fatal_error(error) or _fetch_error(error) from None
        return S3Object(key, answer["ContentLength"], answer["ETag"].strip('"'))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _listing(self, prefix: str) -> ListObjectsV2RequestTypeDef:
        request: ListObjectsV2RequestTypeDef = {"Bucket": self._name, "Prefix": prefix}
        if self._payer:
            request["RequestPayer"] = "requester"
        return request

    def _list(self, request: ListObjectsV2RequestTypeDef) -> ListObjectsV2OutputTypeDef:
        """Return one page of a listing. Raises ``SourceError``."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedResponseError, parser_errors_raised

        def once() -> ListObjectsV2OutputTypeDef:
            try:
                with parser_errors_raised():
                    answer = self._client.list_objects_v2(**request)
            except UnexpectedResponseError as error:
                raise _TornError(str(error)) from None
            if problem := _contradiction(request, answer):
                raise _TornError(f"a page of the listing contradicts itself: {problem}")
            return answer

        try:
            answer = _retry_torn(once)
        except (BotoCoreError, ClientError, _TornError) as error:
            raise self._fatal_error(error) or self._listing_error(error) from None
        self._obstore = self._obstore or self._open_obstore()
        return answer

    def _note_address(self, request: AWSRequest, region_name: str, **_: object) -> None:
        """Note where botocore sends a listing, redirects included, and for which Region it signs it."""
        signing = request.context.get("signing", {})
        self._address = (str(request.url), str(signing.get("region") or region_name))

    def address(self) -> BucketAddress | None:
        """Return the endpoint that has answered a listing, with keys that were renewed before they expired.

        Keys that cannot be renewed are returned as they were. None if obstore cannot use the endpoint, as
        with a private CA.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        url, region = self._address
        core = self._session._session  # noqa: SLF001  boto3 has no other way to this setting
        has_private_ca = url.startswith("https:") and core.get_config_variable("ca_bundle")
        credentials = self._session.get_credentials()
        if not url or credentials is None or has_private_ca:
            return None
        try:
            keys = credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            _LOG.debug("%s: credentials cannot be renewed: %s", self._uri, error)
            return self._known
        assert keys.access_key is not None
        assert keys.secret_key is not None
        if self._known is not None and self._known.secret_access_key == keys.secret_key:
            return self._known
        self._known = BucketAddress(
            bucket=self._name,
            url=url.partition("?")[0].rstrip("/"),
            region=region,
            access_key_id=keys.access_key,
            secret_access_key=keys.secret_key,
            token=keys.token,
            requester_pays=bool(self._payer),
            connect_seconds=CONNECT_SECONDS,
            read_seconds=READ_SECONDS,
        )
        return self._known

    def is_fast(self, object_: S3Object) -> bool:
        """Return whether obstore can fetch an object. Something must have been listed before."""
        if self._obstore is None or not object_.etag:
            return False
        start = min(object_.size, RANGE_BYTES)
        return self._obstore.fetch(object_.key, object_.etag, 0, start) is not None

    def _open_obstore(self) -> ObstoreReader | None:
        """Open the fast reader at the endpoint that has answered, if it can be used."""
        first = self.address()
        return open_obstore(lambda: self.address() or first) if first is not None else None

    def _get(self, request: GetObjectRequestTypeDef, etag: str, length: int) -> tuple[bytes, dict[str, str]]:
        """Return the bytes of an object that must have this ETag and length, and its metadata.

        Raises ``OSError`` and ``SourceError``.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedResponseError, parser_errors_raised

        if not etag:
            raise OSError("listed without an ETag or a size, so it cannot be fetched as listed")
        try:
            with parser_errors_raised():
                answer = self._client.get_object(**request)
        except UnexpectedResponseError as error:
            raise _TornError(str(error)) from None
        except (BotoCoreError, ClientError) as error:
            raise self._fatal_error(error) or _fetch_error(error) from None
        with closing(answer["Body"]) as arriving:
            if answer["ETag"].strip('"') != etag:
                raise OSError("replaced after it was listed: try again")
            try:
                body = arriving.read()
            except BotoCoreError as error:
                raise _TornError(f"the response broke off ({error})") from None
        if len(body) != length:
            raise _TornError(f"the response broke off ({len(body)} bytes instead of {length})")
        return body, answer["Metadata"]

    def _fatal_error(self, error: Exception) -> SourceError | None:
        """Return the cause of an error that affects every call, or None."""
        failure = aws.fatal_failure(error, self._profile)
        return failure.as_error(self._uri) if failure is not None else None

    def _listing_error(self, error: Exception) -> SourceError:
        """Return why a listing failed."""
        from botocore.exceptions import ParamValidationError

        code = aws.code_of(error)
        if code == "NoSuchBucket":
            return SourceError(
                f"{self._uri}: there is no bucket {self._name}", "aws s3 ls lists your buckets"
            )
        if code in _ACCESS_DENIED:
            payer = "" if self._payer else "; for a Requester Pays bucket, use --request-payer requester"
            return SourceError(
                f"{self._uri}: access denied: listing needs the IAM action s3:ListBucket on {self._name}",
                f"allow it for this identity (aws sts get-caller-identity){payer}",
            )
        if isinstance(error, ParamValidationError):
            hint = "use s3://BUCKET/PREFIX; an access point has an alias that can be used as BUCKET"
            return SourceError(f"{self._uri}: {self._name!r} is not a bucket name", hint)
        if isinstance(error, _TornError):
            hint = "check the network, the proxy and --endpoint-url, then try again"
        elif aws.is_refusal(error):
            hint = "check the name of the bucket, --endpoint-url and --profile"
        else:
            hint = "try again; set AWS_MAX_ATTEMPTS for more retries"
        return ListingError(f"{self._uri}: listing failed: {error}", hint)


def _object(listed: ObjectTypeDef) -> S3Object:
    """Return an object of a listing."""
    size, etag = listed.get("Size", -1), listed.get("ETag", "").strip('"')
    return S3Object(listed["Key"], size, etag) if size >= 0 else S3Object(listed["Key"], 0, "")


def _following(keys: KeyRange, answer: ListObjectsV2OutputTypeDef) -> ListingPosition | None:
    """Return where the listing of a key range continues after a page; keys out of scope are passed over."""
    token = answer.get("NextContinuationToken")
    reached = answer["Contents"][-1]["Key"] if answer.get("Contents") else ""
    if token is None or reached >= keys.last:
        return None
    for first, last in keys.unwanted:
        if first <= reached < last:
            return ListingPosition(after=last)
    return ListingPosition(token)


def _contradiction(request: ListObjectsV2RequestTypeDef, answer: ListObjectsV2OutputTypeDef) -> str | None:
    """Return what in a page of a listing cannot be true; None if it is as S3 sends it."""
    objects, folders = answer.get("Contents", ()), answer.get("CommonPrefixes", ())
    token = answer.get("NextContinuationToken")
    names = [*(object_.get("Key") for object_ in objects), *(folder.get("Prefix") for folder in folders)]
    if answer.get("KeyCount", 0) > len(names):
        return f"KeyCount is {answer['KeyCount']:,}, but it lists {len(names):,}"
    if not all(name and name.startswith(request.get("Prefix", "")) for name in names):
        return "it has keys with another prefix, or without a name"
    if answer["IsTruncated"] and not token:
        return "it is truncated, but has no NextContinuationToken"
    if token and token == request.get("ContinuationToken"):
        return "its NextContinuationToken leads to the same page"
    return None


def _client(uri: str, session: Session, scope: Scope, connections: int) -> S3Client:
    """Return an S3 client. Raises ``SourceError``."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        max_pool_connections=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    try:
        return session.client("s3", endpoint_url=scope.endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:  # a ValueError if the endpoint is not a URL
        raise aws.client_failure(error, scope).as_error(uri) from None


class _TornError(OSError):
    """A response that broke off, has the wrong length, or contradicts itself."""


def _retry_torn(call: Callable[[], T]) -> T:
    """Return a call's result, calling again if the response is torn: botocore does not retry that."""
    for _ in range(_MAX_ATTEMPTS - 1):
        try:
            return call()
        except _TornError as error:
            _LOG.debug("call again: %s", error)
    return call()


def _fetch_error(error: Exception) -> OSError:
    """Return why an object could not be fetched."""
    code = aws.code_of(error)
    if code in _ACCESS_DENIED:
        return PermissionError(
            f"access denied: s3:GetObject (or kms:Decrypt for its KMS key) is not allowed ({error})"
        )
    if code in _NO_KEY:
        return FileNotFoundError("deleted after it was listed")
    return OSError(_REASONS.get(code) or str(error))
