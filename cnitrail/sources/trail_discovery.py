"""Where in a bucket a trail's files lie: with few listings, folder by folder."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.prefetch import prefetch
from cnitrail.sources import layout
from cnitrail.sources.s3_bucket import ListingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor, Future

    from cnitrail.model import Scope
    from cnitrail.sources.layout import KeyRange
    from cnitrail.sources.s3_bucket import ListingPage, Object, S3Bucket

THREADS: Final = 32
"""Calls at a time: where each takes 30 ms, these are a thousand objects a second."""

_AHEAD = 2 * THREADS
_SEARCHED_PAGES = 100


class Unlisted(Struct, frozen=True):
    """The rest of a span, behind the last key that was listed (empty if none was), and why."""

    span: KeyRange
    reached: str
    error: ListingError


class DiscoveredKeys(Struct, frozen=True):
    """The keys to be listed, in their order, and the number of folders that nobody looked into."""

    spans: tuple[KeyRange, ...]
    unsearched: int


def find(bucket: S3Bucket, prefix: str, scope: Scope, pool: Executor) -> DiscoveredKeys:
    """Where the log files lie that are asked for. Raises ``SourceError``."""
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    inside = layout.below_root(folder) is not None
    roots, unsearched = ([folder], 0) if inside else search(bucket, folder)
    regions = [found for root in roots if (found := _regions(bucket, root, scope, pool)) is not None]
    if regions:
        spans = (layout.of_days(region, scope) for region in chain.from_iterable(regions))
        return DiscoveredKeys(tuple(sorted(span for span in spans if span is not None)), unsearched)
    return DiscoveredKeys((layout.whole(folder if bucket.has_keys(folder) else prefix),), 0)


def search(bucket: S3Bucket, folder: str) -> tuple[list[str], int]:
    """The roots of trails at and below a folder, and how many folders were left unsearched.

    A folder may hold millions of other objects, so the root in it is asked for by name, and the
    search for others ends after some pages.
    """
    here = f"{folder}{layout.ROOT}/"
    roots = {here} if bucket.has_keys(here) else set()
    waiting, pages = deque([folder]), 0
    while waiting:
        for found in bucket.folder_pages(waiting.popleft()):
            for each in found:
                if layout.below_root(each) is None:
                    waiting.append(each)
                else:
                    roots.add(each)
            pages += 1
            if pages == _SEARCHED_PAGES:
                return sorted(roots), len(waiting) + 1
    return sorted(roots), 0


def _regions(bucket: S3Bucket, folder: str, scope: Scope, pool: Executor) -> list[str] | None:
    """The folders of Regions, or of days in them, that a folder of a trail leads to.

    None where there is no trail's layout.
    """
    names = layout.below_root(folder) or []
    if names and layout.is_organisation(names[0]):
        names = names[1:]
    match names:
        case []:
            accounts = accounts_below(bucket, folder)
            if not accounts:
                return None
            asked = [each for each in accounts if is_asked_for(each, scope.accounts)]
            trails = [f"{account}{layout.TRAIL}/" for account in asked]
        case [account] if layout.is_account(account):
            trails = [f"{folder}{layout.TRAIL}/"]
        case [_, layout.TRAIL]:
            trails = [folder]
        case [_, layout.TRAIL, _, *date] if len(date) <= 3:
            return [folder]
        case _:
            return None
    regions = chain.from_iterable(pool.map(bucket.folders, trails))
    return [each for each in regions if layout.asks_for_region(name_of(each), scope)]


def accounts_below(bucket: S3Bucket, root: str) -> list[str]:
    """The folders of accounts, in a trail's root or in an organisation's folder there."""
    accounts = []
    for each in bucket.folders(root):
        if layout.is_account(name_of(each)):
            accounts.append(each)
        elif layout.is_organisation(name_of(each)):
            accounts += [inner for inner in bucket.folders(each) if layout.is_account(name_of(inner))]
    return accounts


def is_asked_for(folder: str, names: tuple[str, ...]) -> bool:
    """Whether a folder has one of some names; with no names, every one is asked for."""
    return not names or name_of(folder) in names


def name_of(folder: str) -> str:
    """The last name in a folder's path."""
    return folder.removesuffix("/").rpartition("/")[2]


def listed(pool: Executor, bucket: S3Bucket, spans: Iterable[KeyRange]) -> Iterator[Object | Unlisted]:
    """All objects of the spans, in order. The next page is on its way while one is read.

    A span whose listing breaks off ends with why; the others are listed all the same.
    """
    for span, first in prefetch(pool, lambda span: bucket.page(span, None), spans, most=_AHEAD):
        page_on_its_way: Future[ListingPage] | None = first
        reached = ""
        while page_on_its_way is not None:
            try:
                page = page_on_its_way.result()
            except ListingError as error:
                yield Unlisted(span, reached, error)
                break
            page_on_its_way = pool.submit(bucket.page, span, page.following) if page.following else None
            for each in page.objects:
                yield each
                reached = each.key
