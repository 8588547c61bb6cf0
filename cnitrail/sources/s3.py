"""The source ``s3://bucket[/prefix]``: a trail's bucket on S3.

The prefix may be anywhere: above the trail, or at an account, a Region or a day. The trail is found with few
listings, folder by folder; then each Region's keys are listed from the first day in scope to the last. If
there is no trail's layout, everything with the prefix is read.
"""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from cnitrail.errors import EmptySourceError, SourceError
from cnitrail.model import CannotOpen, Document, Reference, Scope, Skipped
from cnitrail.prefetch import prefetch
from cnitrail.sources import layout
from cnitrail.sources.obstore_reader import BucketAddress, reader_of
from cnitrail.sources.s3_bucket import RANGE_BYTES, ListingError, S3Bucket, S3Object
from cnitrail.sources.trail_discovery import THREADS, BrokenListing, DiscoveredKeys, discover, list_objects
from cnitrail.text import clock, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from cnitrail.sources.layout import KeyRange

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

MAX_AHEAD: Final = 2 * THREADS
MAX_DENIED: Final = 1000
"""Objects to which access was denied, without one that could be read, after which reading ends."""

_MAX_AHEAD_BYTES: Final = 4 * RANGE_BYTES


class BucketLayout(Struct, frozen=True, kw_only=True):
    """Where log files of one kind are in a bucket.

    ``discover`` returns the keys to list, and ``is_in_scope`` whether an object may be needed, by its key.
    ``kind`` is the plural of what is looked for, and ``hint`` says where it usually is. ``is_log`` is whether
    an object surely is a log file of this kind, wherever it lies.
    """

    kind: str
    hint: str
    discover: Callable[[S3Bucket, str, Scope, Executor], DiscoveredKeys]
    is_in_scope: Callable[[str, Scope], bool]
    is_log: Callable[[str], bool] = lambda _: False


TRAILS: Final = BucketLayout(
    kind="trails",
    hint="a trail's folder is AWSLogs/",
    discover=discover,
    is_in_scope=layout.is_in_scope,
    is_log=lambda key: layout.log_name(key) is not None,
)


class ObjectReference(Reference, frozen=True, kw_only=True):
    """An object that another process can fetch."""

    opens_slowly = True

    key: str
    address: BucketAddress

    def open(self) -> Document:
        """Return the object, whose first range was fetched."""
        head = self._fetch(0)
        rest = map(self._fetch, range(RANGE_BYTES, self.size, RANGE_BYTES))
        return Document(uri=self.uri, size=self.size, chunks=chain((head,), rest), etag=self.etag)

    def _fetch(self, start: int) -> bytes:
        reader = reader_of(self.address)
        body = reader.fetch(self.key, self.etag, start, min(self.size - start, RANGE_BYTES))
        if body is None:
            raise CannotOpen
        return body


class S3Source:
    """The log files in a bucket, by default those of a trail, in the order of their keys.

    Raises ``SourceError`` if the bucket cannot be read, or has no log file in scope. An error that affects
    every call, such as credentials that have expired, ends the reading; what was read before it counts.
    """

    def __init__(self, uri: str, scope: Scope, files: BucketLayout = TRAILS) -> None:
        self.uri = uri
        self.found = 0
        self.opens_slowly = True
        self._bucket: S3Bucket | None = None
        self._ended_by: SourceError | None = None
        """The error after which nothing more is asked for."""
        self._unread_after: str | None = None
        """The key of the last object that was asked for, if others follow."""
        self._scope = scope
        self._files = files
        self._name, _, self._prefix = uri.removeprefix("s3://").partition("/")
        if not self._name:
            raise SourceError(f"{uri}: no bucket name", "use s3://BUCKET or s3://BUCKET/PREFIX")

    def documents(self) -> Iterator[Document | Skipped]:
        """Yield a document for each object; one that cannot be fetched is skipped, and the rest is read.

        Log files that AWS delivers later than ``scope.delivery_lag`` after ``scope.until`` are not read.
        """
        yield from self._in_bucket(self._fetch_all)

    def references(self) -> Iterator[Document | Reference | Skipped]:
        """Yield what ``documents`` yields, but references, if obstore can fetch the first object."""
        yield from self._in_bucket(self._refer_to_all)

    def open(self, reference: Reference) -> Document | Skipped:
        """Return an object that obstore could not fetch, as a document, or why it cannot be fetched."""
        assert self._bucket is not None
        assert isinstance(reference, ObjectReference)
        object_ = S3Object(reference.key, reference.size, reference.etag)
        try:
            head = self._fetch_more(self._bucket, object_, 0)
        except OSError as error:
            return Skipped(reference.uri, str(error))
        return self._document(self._bucket, object_, head)

    def withdraw(self) -> None:
        """Count one object less."""
        self.found -= 1

    def _in_bucket(
        self, deliver: Callable[[S3Bucket, Iterable[S3Object | BrokenListing], Executor], Iterator[T]]
    ) -> Iterator[T | Skipped]:
        """Find the objects in scope, and yield what ``deliver`` does of them. Raises ``SourceError``."""
        from concurrent.futures import ThreadPoolExecutor

        self._bucket = bucket = S3Bucket(self.uri, self._name, self._scope, connections=THREADS)
        pool = ThreadPoolExecutor(THREADS, "s3")
        try:
            found = self._files.discover(bucket, self._prefix, self._scope, pool)
            if found.unsearched:
                self.found += 1
                yield Skipped(
                    self.uri,
                    f"{found.unsearched} folders were not searched for {self._files.kind}; "
                    "use the folder above AWSLogs/",
                )
            yield from self._outside(bucket.keys_in_folders, found.ranges)
            if not found.ranges:
                raise self._no_log_files()
            yield from deliver(bucket, list_objects(pool, bucket, found.ranges), pool)
        finally:
            pool.shutdown(cancel_futures=True)
            bucket.close()

    def _outside(self, keys: Iterable[str], ranges: Iterable[KeyRange]) -> Iterator[Skipped]:
        """Yield the folders with log files that were seen on the way, and that no range of keys has."""
        outside = Counter(
            key.rpartition("/")[0]
            for key in keys
            if self._files.is_log(key)
            and self._files.is_in_scope(key, self._scope)
            and not any(keys.has(key) for keys in ranges)
        )
        for folder, number in sorted(outside.items()):
            self.found += 1
            yield Skipped(
                f"s3://{self._name}/{folder}" + ("/" if folder else ""),
                f"{counted(number, 'log file')} beside the folders of {self._files.kind}, not read; "
                "name the folder, or each file, as a SOURCE of its own",
            )

    def _fetch_all(
        self, bucket: S3Bucket, listed: Iterable[S3Object | BrokenListing], pool: Executor
    ) -> Iterator[Document | Skipped]:
        """Yield the objects in scope, fetching many at once. Raises ``SourceError``."""
        broken: list[BrokenListing] = []
        yield from self._fetch(bucket, self._in_scope(listed, broken), broken, pool)

    def _refer_to_all(
        self, bucket: S3Bucket, listed: Iterable[S3Object | BrokenListing], pool: Executor
    ) -> Iterator[Document | Reference | Skipped]:
        """Yield references to the objects in scope, if obstore can fetch the first one; else fetch them."""
        broken: list[BrokenListing] = []
        objects = self._in_scope(listed, broken)
        first = next(objects, None)
        if first is None or not bucket.is_fast(first):
            known = (first,) if first is not None else ()
            yield from self._fetch(bucket, chain(known, objects), broken, pool)
            return
        for object_ in chain((first,), objects):
            address = bucket.address()
            assert address is not None
            yield ObjectReference(
                uri=self._uri_of(object_),
                size=object_.size,
                etag=object_.etag,
                key=object_.key,
                address=address,
            )
        yield from self._unread(broken)

    def _fetch(
        self, bucket: S3Bucket, objects: Iterable[S3Object], broken: list[BrokenListing], pool: Executor
    ) -> Iterator[Document | Skipped]:
        """Yield objects, fetching many at once. Raises ``SourceError``."""
        denied = others = read = 0
        for object_, first_range in prefetch(
            pool,
            lambda object_: bucket.fetch(object_, 0),
            objects,
            most=MAX_AHEAD,
            size=lambda object_: min(object_.size, RANGE_BYTES),
            most_size=_MAX_AHEAD_BYTES,
        ):
            uri = self._uri_of(object_)
            try:
                head = first_range.result()
            except PermissionError as error:
                denied += 1
                yield Skipped(uri, str(error))
            except OSError as error:
                others += 1
                yield Skipped(uri, str(error))
            except SourceError as error:
                if not read:
                    raise
                others += 1
                yield Skipped(uri, self._end(error))
            else:
                others += 1
                read += 1
                yield self._document(bucket, object_, head)
            if denied == MAX_DENIED and not others:
                break
        if self._ended_by is not None and not read:
            raise self._ended_by
        if broken and not denied and not others:
            raise broken[0].error
        yield from self._unread(broken)
        if denied and not others:
            raise SourceError(
                f"{self.uri}: access denied to all {denied:,} log files tried: "
                f"reading them needs the IAM action s3:GetObject on {self._name}/*",
                "allow it for this identity (and kms:Decrypt, if the bucket uses a KMS key)",
            )
        if not denied and not others and not self._scope.seen:
            raise self._no_log_files()

    def _document(self, bucket: S3Bucket, object_: S3Object, head: bytes) -> Document:
        """Return an object, whose first range was fetched."""
        starts = range(RANGE_BYTES, object_.size, RANGE_BYTES)
        rest = (self._fetch_more(bucket, object_, start) for start in starts)
        return Document(
            uri=self._uri_of(object_), size=object_.size, chunks=chain((head,), rest), etag=object_.etag
        )

    def _fetch_more(self, bucket: S3Bucket, object_: S3Object, start: int) -> bytes:
        """Return a range of an object, after others were read. Raises ``OSError``."""
        if self._ended_by is not None:
            raise OSError(self._end(self._ended_by))
        try:
            return bucket.fetch(object_, start)
        except SourceError as error:
            raise OSError(self._end(error)) from None

    def _end(self, error: SourceError) -> str:
        """Ask for nothing more because of an error that affects every call, and return its text.

        Its hint is in the first such text.
        """
        hint = f"; {error.hint}" if self._ended_by is None and error.hint else ""
        self._ended_by = self._ended_by or error
        return error.message.removeprefix(f"{self.uri}: ") + hint

    def _unread(self, broken: Iterable[BrokenListing]) -> Iterator[Skipped]:
        """Yield what broken listings, and an error that affects every call, leave unread."""
        for listing in broken:
            self.found += 1
            after = f"after {listing.last_key.rpartition('/')[2]}" if listing.last_key else "at its start"
            reason = listing.error.message.removeprefix(f"{self.uri}: listing failed: ")
            yield Skipped(
                f"s3://{self._name}/{listing.keys.prefix}",
                f"listing failed {after}; the rest was not read: {reason}",
            )
        if self._ended_by is not None and self._unread_after is not None:
            self.found += 1
            reason = self._end(self._ended_by)
            yield Skipped(self.uri, f"no log file after {self._unread_after} was read: {reason}")

    def _in_scope(
        self, objects: Iterable[S3Object | BrokenListing], broken: list[BrokenListing]
    ) -> Iterator[S3Object]:
        """Yield the objects in scope that were not seen before; broken listings are collected."""
        last = ""
        for object_ in objects:
            if isinstance(object_, BrokenListing) and not isinstance(object_.error, ListingError):
                self._ended_by = self._ended_by or object_.error
            if self._ended_by is not None:
                self._unread_after = last
                return
            if isinstance(object_, BrokenListing):
                broken.append(object_)
                continue
            is_known = (self._uri_of(object_), object_.etag) in self._scope.seen
            if not is_known and self._files.is_in_scope(object_.key, self._scope):
                self.found += 1
                last = object_.key
                yield object_
            else:
                _LOG.debug("%s: passed over, %s", object_.key, "seen" if is_known else "out of scope")

    def _uri_of(self, object_: S3Object) -> str:
        return f"s3://{self._name}/{object_.key}"

    def _no_log_files(self) -> EmptySourceError:
        """Return the error for a bucket without a log file in scope."""
        scope = self._scope
        filters = [
            f"of account {', '.join(scope.accounts)}" if scope.accounts else "",
            f"of Region {', '.join(scope.regions)}" if scope.regions else "",
            f"since {clock(scope.since)}" if scope.since else "",
            f"until {clock(scope.until)}" if scope.until else "",
        ]
        which = "".join(f" {text}" for text in filters if text)
        return EmptySourceError(
            f"{self.uri}: no log files{which}",
            f"aws s3 ls {shlex.quote(self.uri.rstrip('/') + '/')} lists what is there; {self._files.hint}",
        )
