"""A trail's bucket on S3: ``s3://bucket[/prefix]``.

The prefix may lie anywhere: above the trail, at an account, a Region or a day. What is there is
found with few listings, folder by folder; then each Region's keys are listed from the first day
asked for to the last. Where there is no trail's layout, everything with the prefix is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.errors import SourceError
from cnitrail.model import Document, Scope, Skipped
from cnitrail.prefetch import prefetch
from cnitrail.sources import layout
from cnitrail.sources.s3_bucket import PIECE, Object, S3Bucket
from cnitrail.sources.trail_discovery import THREADS, Unlisted, find, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor

    from cnitrail.sources.layout import KeyRange

_AHEAD = 2 * THREADS
_AHEAD_BYTES = 4 * PIECE
_DENIED_ENOUGH = 1000


class S3Source:
    """The log files of a trail in a bucket, in the order of their keys.

    Raises ``SourceError`` where the bucket cannot be read or holds nothing of what is asked for.
    """

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self.found = 0
        self._scope = scope
        self._name, _, self._prefix = uri.removeprefix("s3://").partition("/")
        if not self._name:
            raise SourceError(f"{uri}: no bucket is named", "s3://BUCKET or s3://BUCKET/PREFIX")

    def documents(self) -> Iterator[Document | Skipped]:
        """A document for each object; what cannot be fetched is skipped, and the rest is read.

        A log file that AWS delivers later than ``scope.delivery_lag`` after ``scope.until`` is not
        looked for.
        """
        from concurrent.futures import ThreadPoolExecutor

        bucket = S3Bucket(self.uri, self._name, self._scope, connections=THREADS)
        pool = ThreadPoolExecutor(THREADS, "s3")
        try:
            found = find(bucket, self._prefix, self._scope, pool)
            if found.unsearched:
                self.found += 1
                yield Skipped(
                    self.uri,
                    f"{found.unsearched} folders were not searched for trails; name the one above AWSLogs/",
                )
            if not found.spans:
                raise self._nothing()
            yield from self._fetched(bucket, found.spans, pool)
        finally:
            pool.shutdown(cancel_futures=True)
            bucket.close()

    def _fetched(
        self, bucket: S3Bucket, spans: Iterable[KeyRange], pool: Executor
    ) -> Iterator[Document | Skipped]:
        """The objects, many of them on their way at once. Raises ``SourceError``."""
        denied = others = 0
        unlisted: list[Unlisted] = []
        for each, first in prefetch(
            pool,
            lambda each: bucket.fetch(each, 0),
            self._asked_for(listed(pool, bucket, spans), unlisted),
            most=_AHEAD,
            size=lambda each: min(each.size, PIECE),
            most_size=_AHEAD_BYTES,
        ):
            uri = self._uri_of(each)
            try:
                head = first.result()
            except PermissionError as error:
                denied += 1
                yield Skipped(uri, str(error))
            except OSError as error:
                others += 1
                yield Skipped(uri, str(error))
            else:
                others += 1
                yield Document(uri, each.size, _pieces(bucket, each, head), each.etag)
            if denied == _DENIED_ENOUGH and not others:
                break
        if unlisted and not denied and not others:
            raise unlisted[0].error
        yield from map(self._broken_off, unlisted)
        if denied and not others:
            raise SourceError(
                f"{self.uri}: access is denied to all {denied:,} log files tried: "
                f"reading them needs the IAM action s3:GetObject on {self._name}/*",
                "allow it (and kms:Decrypt, if a key of KMS encrypts them) to this identity",
            )
        if not denied and not others and not self._scope.seen:
            raise self._nothing()

    def _broken_off(self, each: Unlisted) -> Skipped:
        """What to say of the rest of a listing."""
        self.found += 1
        after = f"after {each.reached.rpartition('/')[2]}" if each.reached else "at its beginning"
        reason = each.error.message.removeprefix(f"{self.uri}: listing failed: ")
        return Skipped(
            f"s3://{self._name}/{each.span.prefix}",
            f"its listing broke off {after}; the rest was not read: {reason}",
        )

    def _asked_for(self, objects: Iterable[Object | Unlisted], unlisted: list[Unlisted]) -> Iterator[Object]:
        """The objects that may matter, and are not known yet; what could not be listed is noted."""
        for each in objects:
            if isinstance(each, Unlisted):
                unlisted.append(each)
                continue
            known = (self._uri_of(each), each.etag) in self._scope.seen
            if not known and layout.takes(each.key, self._scope):
                self.found += 1
                yield each

    def _uri_of(self, each: Object) -> str:
        return f"s3://{self._name}/{each.key}"

    def _nothing(self) -> SourceError:
        """What to say where no log file is found."""
        scope = self._scope
        asked = [
            f"of account {', '.join(scope.accounts)}" if scope.accounts else "",
            f"of Region {', '.join(scope.regions)}" if scope.regions else "",
            f"since {scope.since:%Y-%m-%d %H:%M:%S%z}" if scope.since else "",
            f"until {scope.until:%Y-%m-%d %H:%M:%S%z}" if scope.until else "",
        ]
        which = "".join(f" {each}" for each in asked if each)
        return SourceError(
            f"{self.uri}: no log files{which}",
            f"aws s3 ls {self.uri.rstrip('/')}/ shows what is there; a trail's folder is AWSLogs/",
        )


def _pieces(bucket: S3Bucket, each: Object, head: bytes) -> Iterator[bytes]:
    """An object's bytes; what lies behind the first piece is fetched when it is asked for."""
    yield head
    for start in range(PIECE, each.size, PIECE):
        yield bucket.fetch(each, start)
