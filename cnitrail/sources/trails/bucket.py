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
from cnitrail.sources.s3_bucket import PIECE, Object, S3Bucket
from cnitrail.sources.trail_discovery import (
    THREADS,
    Unlisted,
    accounts_below,
    is_asked_for,
    listed,
    name_of,
    search,
)
from cnitrail.sources.trails import NEXT_TO
from cnitrail.timeclamp import FIRST, shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnitrail.model import Scope
    from cnitrail.sources.trails import AccountRegion

_LARGEST_DIGEST: Final = PIECE


class BucketTrail:
    """The trails in a bucket, at or below a prefix.

    A prefix that leads into an account asks for its Region, and its days, alone: digests lie beside the
    log files, not among them. Raises ``SourceError``.
    """

    threads = THREADS

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self._name, _, prefix = uri.removeprefix("s3://").partition("/")
        if not self._name:
            raise SourceError(f"{uri}: no bucket is named", "s3://BUCKET or s3://BUCKET/PREFIX")
        self._folder, self.scope = _asked(prefix, scope)
        self._bucket = S3Bucket(uri, self._name, scope, connections=THREADS)
        self._pool = ThreadPoolExecutor(THREADS, "s3-listing")
        self._folders: defaultdict[tuple[AccountRegion, str], list[str]] = defaultdict(list)

    def sites(self) -> Iterator[AccountRegion | Skipped]:
        """The accounts and Regions that are asked for."""
        inside = layout.below_root(self._folder) is not None
        roots, unsearched = ([self._folder], 0) if inside else search(self._bucket, self._folder)
        if unsearched:
            yield Skipped(
                self.uri,
                f"{unsearched} folders were not searched for trails; name the one above AWSLogs/",
            )
        accounts = [account for root in roots for account in self._accounts(root)]
        below = [f"{account}{kind}/" for account in accounts for kind in (layout.DIGESTS, layout.TRAIL)]
        for folder, regions in zip(below, self._pool.map(self._bucket.folders, below), strict=True):
            account, kind = folder.removesuffix("/").split("/")[-2:]
            for region in regions:
                if layout.asks_for_region(name_of(region), self.scope):
                    self._folders[(account, name_of(region)), kind].append(region)
        yield from sorted({site for site, _ in self._folders})

    def digests(self, site: AccountRegion) -> Iterator[DigestFile | Skipped]:
        """The digests of a site, by key."""
        for each in self._objects(site, layout.DIGESTS):
            name = layout.digest_name(each.key)
            if name is None:
                yield Skipped(self._uri_of(each), "it lies among the digests, but is not named as one")
            else:
                yield DigestFile(
                    self._name,
                    each.key,
                    each.size,
                    each.etag,
                    layout.top_of(each.key),
                    *site,
                    trail=name.trail,
                    home_region=name.home_region,
                    ended=name.ended,
                    backfill=name.backfill,
                )

    def logs(self, site: AccountRegion) -> Iterator[LogFile | Skipped]:
        """The log files of a site, by key."""
        for each in self._objects(site, layout.TRAIL):
            name = layout.log_name(each.key)
            if name is None:
                yield Skipped(self._uri_of(each), "it lies among the log files, but is not named as one")
            else:
                yield self._log(each, name)

    def sum_files(self) -> tuple[str, ...]:
        """None."""
        return ()

    def key_files(self) -> tuple[str, ...]:
        """None."""
        return ()

    def finds(self, bucket: str, key: str) -> LogFile | None:
        """An object by its key."""
        each = self._bucket.find(key) if bucket == self._name else None
        if each is None:
            return None
        return self._log(each, layout.log_name(key) or layout.LogName("", "", FIRST))

    def holds(self, bucket: str) -> bool:
        """Whether it is this bucket."""
        return bucket == self._name

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """An object's bytes, in pieces."""
        each = Object(file.key, file.size, file.etag)
        for start in range(0, each.size, PIECE):
            yield self._bucket.fetch(each, start)

    def whole(self, file: DigestFile) -> tuple[bytes, Metadata | None]:
        """An object with its metadata."""
        if file.size > _LARGEST_DIGEST:
            raise OSError(f"it has {file.size:,} bytes, more than any digest")
        body, values = self._bucket.fetch_whole(file.key, file.etag, file.size)
        return body, Metadata(self._name, file.key, values)

    def close(self) -> None:
        """Leave the connections that are open."""
        self._pool.shutdown(cancel_futures=True)
        self._bucket.close()

    def _accounts(self, root: str) -> list[str]:
        """The folders of accounts, at or below a folder of a trail."""
        names = layout.below_root(root) or []
        if names and layout.is_account(names[-1]):
            return [root] if is_asked_for(root, self.scope.accounts) else []
        return [
            each for each in accounts_below(self._bucket, root) if is_asked_for(each, self.scope.accounts)
        ]

    def _objects(self, site: AccountRegion, kind: str) -> Iterator[Object]:
        wide = replace(
            self.scope,
            since=self.scope.since and shifted(self.scope.since, -NEXT_TO),
            until=self.scope.until and shifted(self.scope.until, self.scope.delivery_lag + NEXT_TO),
            delivery_lag=timedelta(),
        )
        folders = sorted(self._folders.get((site, kind), ()))
        spans = [span for folder in folders if (span := layout.of_days(folder, wide)) is not None]
        for each in listed(self._pool, self._bucket, spans):
            if isinstance(each, Unlisted):
                raise each.error  # what is not listed would be called missing
            if not each.key.endswith("/"):
                yield each

    def _log(self, each: Object, name: layout.LogName) -> LogFile:
        return LogFile(
            self._name,
            each.key,
            each.size,
            each.etag,
            layout.top_of(each.key),
            name.account,
            name.region,
            name.delivered,
        )

    def _uri_of(self, each: Object) -> str:
        return f"s3://{self._name}/{each.key}"


def _asked(prefix: str, scope: Scope) -> tuple[str, Scope]:
    """The folder at or above an account that a prefix leads to, and what else the prefix asks for."""
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    names = layout.below_root(folder) or []
    into = names[1:] if names and layout.is_organisation(names[0]) else names
    if len(into) < 2:
        return folder, scope
    above = folder.removesuffix("/").split("/")[: 1 - len(into)]
    _, _, *rest = into
    if rest and layout.asks_for_region(rest[0], scope):
        scope = replace(scope, regions=(rest[0],))
    elif rest:
        scope = replace(scope, accounts=("none",))
    return "/".join(above) + "/", _of_day(rest[1:4], scope)


def _of_day(date: list[str], scope: Scope) -> Scope:
    """What a scope asks for of a year, a month or a day."""
    try:
        year, month, day = (int(each) for each in [*date, "1", "1"][:3])
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
