"""Finds where a trail's files are in a bucket, with few listings, folder by folder."""

from __future__ import annotations

import logging
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.prefetch import prefetch
from cnitrail.sources import layout
from cnitrail.sources.s3_bucket import ListingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from cnitrail.model import Scope
    from cnitrail.sources.layout import KeyRange
    from cnitrail.sources.s3_bucket import ListingPage, S3Bucket, S3Object

_LOG = logging.getLogger(__name__)

THREADS: Final = 32
"""Concurrent calls: if each takes 30 ms, a thousand objects a second."""

MAX_SEARCHED_PAGES: Final = 100
"""Listing pages that are searched for trails below a folder."""

_MAX_AHEAD: Final = 2 * THREADS


class BrokenListing(Struct, frozen=True):
    """The rest of a listing that failed, after the last key that was listed (empty if none), and why.

    If ``error`` is not a ``ListingError``, nothing after it was listed, either.
    """

    keys: KeyRange
    last_key: str
    error: SourceError


class DiscoveredKeys(Struct, frozen=True):
    """The key ranges to list, in order, and the number of folders that were not searched."""

    ranges: tuple[KeyRange, ...]
    unsearched: int


def discover(bucket: S3Bucket, prefix: str, scope: Scope, pool: Executor) -> DiscoveredKeys:
    """Return the key ranges that hold the log files in scope. Raises ``SourceError``.

    A prefix that is no folder (``2022/1``, or a key) is taken as S3 takes it: for what many keys begin with.
    """
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    is_inside = layout.below_root(folder) is not None
    roots, unsearched = ([folder], 0) if is_inside else find_roots(bucket, folder)
    regions = [found for root in roots if (found := _regions(bucket, root, scope, pool)) is not None]
    if regions:
        of_days = (layout.of_days(region, scope) for region in chain.from_iterable(regions))
        ranges = (*(keys for keys in of_days if keys is not None), *_directly_in_accounts(bucket))
        return DiscoveredKeys(tuple(sorted(ranges)), unsearched)
    _LOG.debug("%s: not a trail's layout, every key is read", prefix or "the bucket")
    return DiscoveredKeys((layout.whole(folder if bucket.has_keys(folder) else prefix),), 0)


def find_roots(bucket: S3Bucket, folder: str) -> tuple[list[str], int]:
    """Return the ``AWSLogs/`` folders at and below a folder, and the number of folders not searched.

    A folder may hold millions of other objects, so ``AWSLogs/`` in it is looked up by name, and the search
    for others ends after some pages.
    """
    here = f"{folder}{layout.ROOT}/"
    roots = {here} if bucket.has_keys(here) else set()
    waiting, pages = deque([folder]), 0
    while waiting:
        for subfolders in bucket.folder_pages(waiting.popleft()):
            for subfolder in subfolders:
                if layout.below_root(subfolder) is None:
                    waiting.append(subfolder)
                else:
                    roots.add(subfolder)
            pages += 1
            if pages == MAX_SEARCHED_PAGES:
                return sorted(roots), len(waiting) + 1
    return sorted(roots), 0


def _regions(bucket: S3Bucket, folder: str, scope: Scope, pool: Executor) -> list[str] | None:
    """Return the folders of Regions, or of days in them, in a folder of a trail.

    None if the folder does not have a trail's layout.
    """
    names = layout.below_root(folder) or []
    if names and layout.is_organization(names[0]):
        names = names[1:]
    match names:
        case []:
            accounts = accounts_below(bucket, folder)
            if not accounts:
                return None
            in_scope = [account for account in accounts if is_selected(account, scope.accounts)]
            return _regions_of_accounts(bucket, in_scope, scope, pool)
        case [account] if layout.is_account(account):
            return _regions_of_accounts(bucket, [folder], scope, pool)
        case [_, layout.TRAIL]:
            return _in_scope(bucket.folders(folder), scope)
        case [_, layout.TRAIL, *region_and_date] if layout.is_date_folder(region_and_date):
            return [folder]
        case _:
            return None


def _regions_of_accounts(
    bucket: S3Bucket, accounts: Sequence[str], scope: Scope, pool: Executor
) -> list[str]:
    """Return the folders of Regions in those of accounts; one without any is searched for log files."""
    trails = [f"{account}{layout.TRAIL}/" for account in accounts]
    found = list(pool.map(bucket.folders, trails))
    flat = [account for account, regions in zip(accounts, found, strict=True) if not regions]
    list(pool.map(bucket.folders, flat))
    return _in_scope(chain.from_iterable(found), scope)


def _in_scope(regions: Iterable[str], scope: Scope) -> list[str]:
    return [region for region in regions if layout.is_region_in_scope(name_of(region), scope)]


def _directly_in_accounts(bucket: S3Bucket) -> Iterator[KeyRange]:
    """Yield the log files that were seen directly in the folder of an account, as some copies have them."""
    logs = (key.rpartition("/")[0] for key in bucket.keys_in_folders if layout.log_name(key))
    for folder in sorted(set(logs)):
        if layout.below_root(folder) and layout.is_account(name_of(folder)):
            yield layout.whole(f"{folder}/{name_of(folder)}_{layout.TRAIL}_")


def accounts_below(bucket: S3Bucket, root: str) -> list[str]:
    """Return the folders of accounts in a trail's root, or in an organization's folder there."""
    accounts = []
    for folder in bucket.folders(root):
        if layout.is_account(name_of(folder)):
            accounts.append(folder)
        elif layout.is_organization(name_of(folder)):
            accounts += [member for member in bucket.folders(folder) if layout.is_account(name_of(member))]
    return accounts


def is_selected(folder: str, names: tuple[str, ...]) -> bool:
    """Return whether a folder has one of these names; without names, every folder is selected."""
    return not names or name_of(folder) in names


def name_of(folder: str) -> str:
    """Return the last name in a folder's path."""
    return folder.removesuffix("/").rpartition("/")[2]


def list_objects(
    pool: Executor, bucket: S3Bucket, ranges: Iterable[KeyRange]
) -> Iterator[S3Object | BrokenListing]:
    """Yield all objects of the key ranges, in order; the next page is fetched while one is read.

    A range whose listing fails ends with a ``BrokenListing``; the other ranges are listed all the same,
    unless every call would fail.
    """
    for keys, first in prefetch(pool, lambda keys: bucket.page(keys, None), ranges, most=_MAX_AHEAD):
        next_page: Future[ListingPage] | None = first
        last_key = ""
        while next_page is not None:
            try:
                page = next_page.result()
            except SourceError as error:
                yield BrokenListing(keys, last_key, error)
                if not isinstance(error, ListingError):
                    return
                break
            next_page = pool.submit(bucket.page, keys, page.following) if page.following else None
            for object_ in page.objects:
                yield object_
                last_key = object_.key
