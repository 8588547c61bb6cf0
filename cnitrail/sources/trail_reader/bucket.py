"""A trail in its bucket: ``s3://bucket[/prefix]``."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from cnitrail.errors import SourceError
from cnitrail.model import DigestFile, LogFile, Metadata, Skipped
from cnitrail.sources import layout
from cnitrail.sources.s3_bucket import RANGE_BYTES, S3Bucket, S3Object
from cnitrail.sources.trail_discovery import (
    THREADS,
    BrokenListing,
    accounts_below,
    find_roots,
    is_selected,
    list_objects,
    name_of,
)
from cnitrail.sources.trail_reader import SEARCH_MARGIN
from cnitrail.timeclamp import FIRST, shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnitrail.model import Scope
    from cnitrail.sources.trail_reader import AccountRegion

MAX_DIGEST_BYTES: Final = RANGE_BYTES


class BucketTrail:
    """The trails in a bucket, at or below a prefix.

    A prefix below an account narrows the scope to its Region and days: digests are stored beside the log
    files, not among them. Raises ``SourceError``.
    """

    threads = THREADS

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self._name, _, prefix = uri.removeprefix("s3://").partition("/")
        if not self._name:
            raise SourceError(f"{uri}: no bucket name", "use s3://BUCKET or s3://BUCKET/PREFIX")
        self._folder, self.scope = _narrowed(prefix, scope)
        self._bucket = S3Bucket(uri, self._name, scope, connections=THREADS)
        self._pool = ThreadPoolExecutor(THREADS, "s3-listing")
        self._folders: defaultdict[tuple[AccountRegion, str], list[str]] = defaultdict(list)

    def account_regions(self) -> Iterator[AccountRegion | Skipped]:
        """Yield the accounts and Regions in scope."""
        is_inside = layout.below_root(self._folder) is not None
        roots, unsearched = ([self._folder], 0) if is_inside else find_roots(self._bucket, self._folder)
        if unsearched:
            yield Skipped(
                self.uri,
                f"{unsearched} folders were not searched for trails; use the folder above AWSLogs/",
            )
        accounts = [account for root in roots for account in self._accounts(root)]
        below = [f"{account}{kind}/" for account in accounts for kind in (layout.DIGESTS, layout.TRAIL)]
        for folder, regions in zip(below, self._pool.map(self._bucket.folders, below), strict=True):
            account, kind = folder.removesuffix("/").split("/")[-2:]
            for region in regions:
                if layout.is_region_in_scope(name_of(region), self.scope):
                    self._folders[(account, name_of(region)), kind].append(region)
        yield from sorted({site for site, _ in self._folders})

    def digests(self, site: AccountRegion) -> Iterator[DigestFile | Skipped]:
        """Yield the digests of an account and Region, by key."""
        account, region = site
        for object_ in self._objects(site, layout.DIGESTS):
            name = layout.digest_name(object_.key)
            if name is None:
                yield Skipped(self._uri_of(object_), "in the folder of digests, but not named like a digest")
            else:
                yield DigestFile(
                    bucket=self._name,
                    key=object_.key,
                    size=object_.size,
                    etag=object_.etag,
                    top=layout.top_of(object_.key),
                    account=account,
                    region=region,
                    trail=name.trail,
                    home_region=name.home_region,
                    ended=name.ended,
                    backfill=name.backfill,
                )

    def logs(self, site: AccountRegion) -> Iterator[LogFile | Skipped]:
        """Yield the log files of an account and Region, by key."""
        for object_ in self._objects(site, layout.TRAIL):
            name = layout.log_name(object_.key)
            if name is None:
                yield Skipped(self._uri_of(object_), "in the folder of log files, but not named like one")
            else:
                yield self._log(object_, name)

    def checksum_files(self) -> tuple[str, ...]:
        """Return nothing: a bucket has no checksum files."""
        return ()

    def key_files(self) -> tuple[str, ...]:
        """Return nothing: a bucket has no public key files."""
        return ()

    def find(self, bucket: str, key: str) -> LogFile | None:
        """Return an object by its key, or None."""
        object_ = self._bucket.find(key) if bucket == self._name else None
        if object_ is None:
            return None
        return self._log(object_, layout.log_name(key) or layout.LogName("", "", FIRST))

    def has_bucket(self, bucket: str) -> bool:
        """Return whether it is this bucket."""
        return bucket == self._name

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """Yield an object's bytes."""
        object_ = S3Object(file.key, file.size, file.etag)
        for start in range(0, object_.size, RANGE_BYTES):
            yield self._bucket.fetch(object_, start)

    def read_digest(self, file: DigestFile) -> tuple[bytes, Metadata | None]:
        """Return an object with its metadata."""
        if file.size > MAX_DIGEST_BYTES:
            raise OSError(f"too large for a digest ({file.size:,} bytes)")
        body, values = self._bucket.fetch_whole(file.key, file.etag, file.size)
        return body, Metadata(self._name, file.key, values)

    def close(self) -> None:
        """Close all connections."""
        self._pool.shutdown(cancel_futures=True)
        self._bucket.close()

    def _accounts(self, root: str) -> list[str]:
        """Return the account folders at or below a folder of a trail."""
        names = layout.below_root(root) or []
        if names and layout.is_account(names[-1]):
            return [root] if is_selected(root, self.scope.accounts) else []
        accounts = accounts_below(self._bucket, root)
        return [account for account in accounts if is_selected(account, self.scope.accounts)]

    def _objects(self, site: AccountRegion, kind: str) -> Iterator[S3Object]:
        wide = replace(
            self.scope,
            since=self.scope.since and shifted(self.scope.since, -SEARCH_MARGIN),
            until=self.scope.until and shifted(self.scope.until, self.scope.delivery_lag + SEARCH_MARGIN),
            delivery_lag=timedelta(),
        )
        folders = sorted(self._folders.get((site, kind), ()))
        ranges = [keys for folder in folders if (keys := layout.of_days(folder, wide)) is not None]
        for object_ in list_objects(self._pool, self._bucket, ranges):
            if isinstance(object_, BrokenListing):
                raise object_.error  # unlisted files would be reported as missing
            if not object_.key.endswith("/"):
                yield object_

    def _log(self, object_: S3Object, name: layout.LogName) -> LogFile:
        return LogFile(
            bucket=self._name,
            key=object_.key,
            size=object_.size,
            etag=object_.etag,
            top=layout.top_of(object_.key),
            account=name.account,
            region=name.region,
            delivered=name.delivered,
        )

    def _uri_of(self, object_: S3Object) -> str:
        return f"s3://{self._name}/{object_.key}"


def _narrowed(prefix: str, scope: Scope) -> tuple[str, Scope]:
    """Return the account folder in a prefix, or the folder above it, and the scope that the rest narrows."""
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    names = layout.below_root(folder) or []
    into = names[1:] if names and layout.is_organization(names[0]) else names
    if len(into) < 2:
        return folder, scope
    above = folder.removesuffix("/").split("/")[: 1 - len(into)]
    _, _, *rest = into
    if rest and layout.is_region_in_scope(rest[0], scope):
        scope = replace(scope, regions=(rest[0],))
    elif rest:
        scope = replace(scope, accounts=("none",))
    return "/".join(above) + "/", _of_day(rest[1:4], scope)


def _of_day(date: list[str], scope: Scope) -> Scope:
    """Return a scope narrowed to a year, a month or a day."""
    try:
        year, month, day = (int(part) for part in [*date, "1", "1"][:3])
        start = datetime(year, month, day, tzinfo=UTC)
        end = _END_OF[len(date)](start)
    except (KeyError, ValueError, OverflowError):
        return scope
    return replace(
        scope,
        since=max(start, scope.since or start),
        until=min(end, scope.until or end),
        delivery_lag=timedelta(),
    )


_END_OF: Final[dict[int, Callable[[datetime], datetime]]] = {
    1: lambda start: start.replace(year=start.year + 1),
    2: lambda start: (start + timedelta(days=31)).replace(day=1),
    3: lambda start: start + timedelta(days=1),
}
