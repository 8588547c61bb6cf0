"""A bucket on S3: its folders, its keys and its objects, with failures told apart.

What would befall every other call, too, is a ``SourceError``. What is about one object alone is an
``OSError`` whose text is the reason, a ``PermissionError`` where access is denied.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.sources import aws
from cnitrail.sources.obstore_reader import ObstoreReader, open_swift

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

T = TypeVar("T")

PIECE: Final = 16 * 1024 * 1024
"""The most that one call fetches, in bytes. CloudTrail's files have at most 50 MB."""

CONNECT_SECONDS = 10
READ_SECONDS = 30
_ATTEMPTS = 5

_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_NO_KEY = frozenset({"NoSuchKey", "404"})
_REASONS = {
    "InvalidObjectState": "it is archived (Glacier); restore it first",
    "SlowDown": "S3 asked to slow down until all retries were used up; read it again later",
}


class ListingError(SourceError):
    """A page of one listing cannot be had. Other listings may succeed."""


class Object(Struct, frozen=True):
    """An object as it was listed; ``size`` in bytes, ``etag`` without its quotes.

    The ETag is empty if the listing gave no ETag, or no size: such an object cannot be fetched as listed.
    """

    key: str
    size: int
    etag: str


class Next(Struct, frozen=True):
    """Where a listing goes on: at S3's token, or after a key, as the keys before it are unwanted."""

    token: str | None = None
    after: str | None = None


class ListingPage(Struct, frozen=True):
    """One page of a listing; ``following`` asks for the next one, None at the end."""

    objects: tuple[Object, ...]
    following: Next | None


class S3Bucket:
    """A bucket, spoken to by boto3: its credentials, its retries, its way to other Regions.

    Objects come by ``Swift`` where it can fetch them, as boto3's own calls cost ten times its CPU.
    All methods may be called from several threads at once.
    """

    def __init__(self, uri: str, name: str, scope: Scope, connections: int) -> None:
        self._uri = uri
        self._name = name
        self._payer = scope.request_payer
        self._session = aws.session(scope.profile)
        self._client = _client(uri, self._session, scope.endpoint_url, connections)
        self._client.meta.events.register("before-sign.s3.ListObjectsV2", self._note_address)
        self._address = ("", "")
        self._swift: ObstoreReader | None = None

    def folders(self, folder: str) -> list[str]:
        """The folders directly in a folder, each with its slash. Raises ``SourceError``."""
        return [each for page in self.folder_pages(folder) for each in page]

    def folder_pages(self, folder: str) -> Iterator[list[str]]:
        """The same, as it is listed: a page has few folders where loose objects lie among them."""
        request = self._listing(folder)
        request["Delimiter"] = "/"
        while True:
            answer = self._list(request)
            yield [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
            if not (token := answer.get("NextContinuationToken")):
                return
            request["ContinuationToken"] = token

    def has_keys(self, prefix: str) -> bool:
        """Whether any key begins with a prefix. Raises ``SourceError``."""
        request = self._listing(prefix)
        request["MaxKeys"] = 1
        return bool(self._list(request).get("Contents"))

    def page(self, span: KeyRange, start: Next | None) -> ListingPage:
        """A page of a span's objects: the first, or the one that follows another page.

        Raises ``SourceError``, a ``ListingError`` if other spans may still be listed.
        """
        request = self._listing(span.prefix)
        start = start or Next(after=span.first if span.first > span.prefix else None)
        if start.token is not None:
            request["ContinuationToken"] = start.token
        elif start.after is not None:
            request["StartAfter"] = start.after
        answer = self._list(request)
        objects = tuple(
            _object(each) for each in answer.get("Contents", ()) if span.first <= each["Key"] < span.last
        )
        return ListingPage(objects, _following(span, answer))

    def fetch(self, object_: Object, start: int) -> bytes:
        """At most ``PIECE`` bytes of an object, from ``start`` on, exactly as listed.

        Raises ``OSError`` and ``SourceError``. A listing must have come before.
        """
        length = min(object_.size - start, PIECE)
        if (
            self._swift
            and object_.etag
            and (body := self._swift.fetch(object_.key, object_.etag, start, length))
        ):
            return body
        request: GetObjectRequestTypeDef = {"Bucket": self._name, "Key": object_.key}
        if length < object_.size:
            request["Range"] = f"bytes={start}-{start + length - 1}"
        if self._payer:
            request["RequestPayer"] = "requester"

        return _persistently(lambda: self._get(request, object_.etag, length))[0]

    def fetch_whole(self, key: str, etag: str, size: int) -> tuple[bytes, dict[str, str]]:
        """A small object with its metadata, whose names are in lower case, exactly as listed.

        Raises ``OSError`` and ``SourceError``.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._name, "Key": key}
        if self._payer:
            request["RequestPayer"] = "requester"
        return _persistently(lambda: self._get(request, etag, size))

    def find(self, key: str) -> Object | None:
        """An object by its key, where there is one. Raises ``OSError`` and ``SourceError``."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import understood

        request: HeadObjectRequestTypeDef = {"Bucket": self._name, "Key": key}
        if self._payer:
            request["RequestPayer"] = "requester"
        try:
            with understood():
                answer = self._client.head_object(**request)
        except (BotoCoreError, ClientError) as error:
            if aws.code_of(error) in _NO_KEY:
                return None
            raise self._ended(error) or _unfetched(error) from None
        return Object(key, answer["ContentLength"], answer["ETag"].strip('"'))

    def close(self) -> None:
        """Leave the connections that are open."""
        self._client.close()

    def _listing(self, prefix: str) -> ListObjectsV2RequestTypeDef:
        request: ListObjectsV2RequestTypeDef = {"Bucket": self._name, "Prefix": prefix}
        if self._payer:
            request["RequestPayer"] = "requester"
        return request

    def _list(self, request: ListObjectsV2RequestTypeDef) -> ListObjectsV2OutputTypeDef:
        """One page of a listing. Raises ``SourceError``."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedReplyError, understood

        def once() -> ListObjectsV2OutputTypeDef:
            try:
                with understood():
                    answer = self._client.list_objects_v2(**request)
            except UnexpectedReplyError as error:
                raise _TornError(str(error)) from None
            if problem := _contradiction(request, answer):
                raise _TornError(f"a page of the listing is not as S3 sends it: {problem}")
            return answer

        try:
            answer = _persistently(once)
        except (BotoCoreError, ClientError, _TornError) as error:
            raise self._ended(error) or self._unlisted(error) from None
        self._swift = self._swift or self._open_swift()
        return answer

    def _note_address(self, request: AWSRequest, region_name: str, **_: object) -> None:
        """Where botocore sends a listing to, and for which Region it signs it, redirects followed."""
        signing = request.context.get("signing", {})
        self._address = (str(request.url), str(signing.get("region") or region_name))

    def _open_swift(self) -> ObstoreReader | None:
        """The quick reader at the address that has answered; none where it would not be trusted there."""
        url, region = self._address
        url = url.partition("?")[0].rstrip("/")
        credentials = self._session.get_credentials()
        core = self._session._session  # noqa: SLF001  boto3 has no other way to this setting
        own_authorities = url.startswith("https:") and core.get_config_variable("ca_bundle")
        if credentials is None or own_authorities:
            return None
        return open_swift(
            self._name, url, region, credentials, bool(self._payer), CONNECT_SECONDS, READ_SECONDS
        )

    def _get(self, request: GetObjectRequestTypeDef, etag: str, length: int) -> tuple[bytes, dict[str, str]]:
        """So many bytes of an object that has this ETag, and its metadata.

        Raises ``OSError`` and ``SourceError``.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedReplyError, understood

        if not etag:
            raise OSError("S3 listed it without an ETag or a size, so it cannot be fetched as it was listed")
        try:
            with understood():
                answer = self._client.get_object(**request)
        except UnexpectedReplyError as error:
            raise _TornError(str(error)) from None
        except (BotoCoreError, ClientError) as error:
            raise self._ended(error) or _unfetched(error) from None
        with closing(answer["Body"]) as arriving:
            if answer["ETag"].strip('"') != etag:
                raise OSError("it was replaced after it had been listed; read it again")
            try:
                body = arriving.read()
            except BotoCoreError as error:
                raise _TornError(f"its body arrives torn ({error})") from None
        if len(body) != length:
            raise _TornError(f"its body arrives torn ({len(body)} bytes instead of {length})")
        return body, answer["Metadata"]

    def _ended(self, error: Exception) -> SourceError | None:
        """What an error says that would befall every other call, too."""
        lasting = aws.fatal(error)
        return lasting.of(self._uri) if lasting is not None else None

    def _unlisted(self, error: Exception) -> SourceError:
        """Why a listing failed."""
        from botocore.exceptions import ParamValidationError

        code = aws.code_of(error)
        if code == "NoSuchBucket":
            return SourceError(
                f"{self._uri}: there is no bucket {self._name}", "aws s3 ls lists your buckets"
            )
        if code in _DENIED:
            payer = "" if self._payer else "; where the requester pays, --request-payer requester"
            return SourceError(
                f"{self._uri}: access is denied: listing needs the IAM action s3:ListBucket on {self._name}",
                f"allow it to this identity (aws sts get-caller-identity){payer}",
            )
        if isinstance(error, ParamValidationError):
            return SourceError(f"{self._uri}: {self._name!r} is no bucket's name", "s3://BUCKET/PREFIX")
        if isinstance(error, _TornError):
            hint = "look at the network, the proxy and --endpoint-url, then try again"
        else:
            hint = "try again; AWS_MAX_ATTEMPTS allows more retries"
        return ListingError(f"{self._uri}: listing failed: {error}", hint)


def _object(listed: ObjectTypeDef) -> Object:
    """An object of a listing."""
    size, etag = listed.get("Size", -1), listed.get("ETag", "").strip('"')
    return Object(listed["Key"], size, etag) if size >= 0 else Object(listed["Key"], 0, "")


def _following(span: KeyRange, answer: ListObjectsV2OutputTypeDef) -> Next | None:
    """Where the listing of a span goes on after a page; keys of which none is wanted are passed over."""
    token = answer.get("NextContinuationToken")
    reached = answer["Contents"][-1]["Key"] if answer.get("Contents") else ""
    if token is None or reached >= span.last:
        return None
    return next((Next(after=last) for first, last in span.unwanted if first <= reached < last), Next(token))


def _contradiction(request: ListObjectsV2RequestTypeDef, answer: ListObjectsV2OutputTypeDef) -> str | None:
    """What in a page of a listing cannot be; None if it is as S3 sends it."""
    objects, folders = answer.get("Contents", ()), answer.get("CommonPrefixes", ())
    token = answer.get("NextContinuationToken")
    names = [*(each.get("Key") for each in objects), *(each.get("Prefix") for each in folders)]
    if answer.get("KeyCount", 0) > len(names):
        return f"it announces {answer['KeyCount']:,} keys, and has {len(names):,}"
    if not all(name and name.startswith(request.get("Prefix", "")) for name in names):
        return "it lists keys that were not asked for, or that have no name"
    if answer["IsTruncated"] and not token:
        return "more keys follow, but it does not say how to ask for them"
    if token and token == request.get("ContinuationToken"):
        return "it is followed by itself"
    return None


def _client(uri: str, session: Session, endpoint_url: str | None, connections: int) -> S3Client:
    """A client of S3. Raises ``SourceError``."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        max_pool_connections=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    try:
        return session.client("s3", endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:  # a ValueError where the endpoint is no URL
        lasting = aws.fatal(error) or aws.AwsFailure(f"AWS configuration: {error}", None)
        raise lasting.of(uri) from None


class _TornError(OSError):
    """An answer that broke off, or is not as long as it should be."""


def _persistently(call: Callable[[], T]) -> T:
    """A call's result. Where the answer is torn it is asked again: botocore retries what comes before."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return call()
        except _TornError:
            continue
    return call()


def _unfetched(error: Exception) -> OSError:
    """Why an object could not be fetched."""
    code = aws.code_of(error)
    if code in _DENIED:
        return PermissionError(
            f"access is denied: s3:GetObject (or kms:Decrypt of its key) is missing ({error})"
        )
    if code in _NO_KEY:
        return FileNotFoundError("it was deleted after it had been listed")
    return OSError(_REASONS.get(code) or str(error))
