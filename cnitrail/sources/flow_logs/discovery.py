"""Finds where flow logs are in a bucket, with few listings, folder by folder."""

from __future__ import annotations

import logging
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.sources.flow_logs.key_layout import (
    account_of,
    dated_folder,
    is_closed,
    is_in_service,
    is_parent,
    is_selected,
    keys_of,
    service_folder,
)
from cnitrail.sources.layout import ROOT, below_root, whole
from cnitrail.sources.trail_discovery import MAX_SEARCHED_PAGES, DiscoveredKeys

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cnitrail.model import Scope
    from cnitrail.sources.s3_bucket import S3Bucket

_LOG = logging.getLogger(__name__)


class FlowFolders(Struct):
    """What a search has found: folders of a Region or a date, and folders that have such.

    ``has_root`` if there is a folder ``AWSLogs``. ``unsearched`` is the number of folders not searched.
    """

    dated: list[str]
    parents: list[str]
    has_root: bool = False
    unsearched: int = 0


def discover_flow_logs(bucket: S3Bucket, prefix: str, scope: Scope, pool: Executor) -> DiscoveredKeys:
    """Return the key ranges that hold the flow logs in scope. Raises ``SourceError``.

    Without one of AWS's layouts, every key with the prefix is read; below ``AWSLogs/``, none is.
    """
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    if prefix and not bucket.has_keys(folder):
        return DiscoveredKeys((whole(prefix),), 0)
    found = find_folders(bucket, folder)
    parents = [parent for parent in found.parents if is_selected(account_of(parent), None, scope)]
    below = chain.from_iterable(pool.map(bucket.folders, parents))
    dated = [
        place for name in dict.fromkeys((*found.dated, *below)) if (place := dated_folder(name)) is not None
    ]
    if dated:
        ranges = (keys_of(place, scope) for place in dated if is_selected(place.account, place.region, scope))
        return DiscoveredKeys(tuple(sorted(keys for keys in ranges if keys is not None)), found.unsearched)
    if found.has_root and not is_in_service(folder):
        return DiscoveredKeys((), found.unsearched)
    _LOG.debug("%s: no layout of flow logs, every key is read", prefix or "the bucket")
    return DiscoveredKeys((whole(folder),), 0)


def find_folders(bucket: S3Bucket, top: str) -> FlowFolders:
    """Return the folders of flow logs at and below a folder.

    A folder may hold millions of other objects, so ``AWSLogs/`` in it is looked up by name, and the search
    for others ends after some pages.
    """
    found = FlowFolders(dated=[], parents=[], has_root=below_root(top) is not None)
    waiting: deque[str] = deque()
    _sort(top, top, found, waiting)
    root = f"{top}{ROOT}/"
    if not found.has_root and waiting and bucket.has_keys(root):
        found.has_root = True
        waiting.appendleft(root)
    pages = 0
    while waiting:
        folder = waiting.popleft()
        for subfolders in bucket.folder_pages(folder):
            for subfolder in subfolders:
                if subfolder != root:
                    _sort(subfolder, top, found, waiting)
            pages += 1
            if pages == MAX_SEARCHED_PAGES:
                found.unsearched = len(waiting) + 1
                return found
    return found


def _sort(folder: str, top: str, found: FlowFolders, waiting: deque[str]) -> None:
    """Put a folder where it belongs: found, to be searched, or neither."""
    found.has_root = found.has_root or below_root(folder) is not None
    if dated_folder(folder) is not None:
        found.dated.append(folder)
    elif is_parent(folder, top):
        found.parents.append(folder)
    else:
        service = service_folder(folder)
        if service is not None:
            found.parents.append(service)
        if not is_closed(folder):
            waiting.append(folder)
