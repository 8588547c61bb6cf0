"""How much a query is going to scan: the sizes of the log files in its partitions, as S3 lists them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from cnitrail.errors import SourceError
from cnitrail.model.table import ScanEstimate
from cnitrail.sources import layout
from cnitrail.sources.s3_bucket import S3Bucket
from cnitrail.sources.sql.partition_columns import PARTS, Meaning, partition_columns
from cnitrail.sources.trail_discovery import THREADS, BrokenListing, discover, list_objects
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from cnitrail.model import Scope
    from cnitrail.sources.sql.description import TableDescription
    from cnitrail.sources.sql.partition_columns import PartitionColumn
    from cnitrail.sources.sql.partitions import Pruning

MAX_SECONDS: Final = 20.0
"""How long files are listed before a query starts anyway."""
_POLL_SECONDS: Final = 0.2
MAX_LISTINGS: Final = 1000
"""Key ranges that are listed at most. S3 charges half a cent for a thousand calls."""
MAX_FILES: Final = 1_000_000
"""Files that are counted at most: a thousand pages of ListObjectsV2."""


def estimate(
    table: TableDescription, pruned: Pruning, scope: Scope, *, seconds: float = MAX_SECONDS
) -> Generator[int, None, ScanEstimate | str]:
    """Return what a query on a table is going to scan, or why that is not known. Raises nothing.

    Ends after some ``seconds``, with what was listed until then. Yields the number of files listed so far.
    """
    location = _location(table)
    if location is None:
        return "the table's description has no S3 location"
    if table.properties.get("table_type", "").upper() == "ICEBERG":
        return "it is an Iceberg table, whose folders also have files that are no longer part of it"
    count = _Count(location, scanned_scope(table, pruned.columns, scope), is_pruned=bool(pruned.columns))
    yield from count.run(seconds)
    return count.result()


def _location(table: TableDescription) -> str | None:
    """Return the folder above all files of a table: the fixed part of the template of its partitions."""
    template = table.properties.get("storage.location.template", "").partition("${")[0]
    found = template or table.location or table.properties.get("location", "")
    return found.rpartition("/")[0] + "/" if found.startswith("s3://") and found.count("/") > 2 else None


def scanned_scope(table: TableDescription, columns: tuple[str, ...], scope: Scope) -> Scope:
    """Return a scope with all that a query reads, which is pruned by these partition columns of a table.

    A partition is read as a whole: a day, or a month or year if the columns are no finer.
    """
    pruned = [column for column in partition_columns(table) if column.name in columns]
    meanings = {column.meaning for column in pruned}
    units = {unit for column in pruned for unit in _units_of(column)}
    unit = "day" if units - {"year", "month"} else "month" if "month" in units else "year"
    lag = scope.delivery_lag
    since = shifted(scope.since, -layout.STAMP_SLACK) if scope.since and units else None
    until = shifted(shifted(scope.until, lag), layout.STAMP_SLACK) if scope.until and units else None
    return replace(
        scope,
        accounts=scope.accounts if Meaning.ACCOUNT in meanings else (),
        regions=scope.regions if Meaning.REGION in meanings else (),
        since=shifted(_first_of(since, unit), layout.STAMP_SLACK) if since else None,
        until=shifted(_last_of(until, unit), -layout.STAMP_SLACK) if until else None,
        delivery_lag=timedelta(),
    )


def _units_of(column: PartitionColumn) -> tuple[str, ...]:
    """Return the units of time that the values of a column have."""
    if column.meaning is Meaning.DATE:
        pattern = column.projection.pattern if column.projection is not None else None
        return pattern.units if pattern is not None else ("day",)
    return (column.meaning.value,) if column.meaning in PARTS else ()


def _first_of(time: datetime, unit: str) -> datetime:
    """Return the beginning of the day, month or year that a time is in."""
    first = time.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "day":
        return first
    return first.replace(day=1) if unit == "month" else first.replace(day=1, month=1)


def _last_of(time: datetime, unit: str) -> datetime:
    """Return the last second of the day, month or year that a time is in."""
    days = {"day": 1, "month": 31, "year": 366}[unit]
    following = _first_of(shifted(_first_of(time, unit), timedelta(days=days)), unit)
    return shifted(following, -timedelta(seconds=1))


class _Count:
    """The objects of a table, listed in a thread, which may be left behind."""

    def __init__(self, location: str, scope: Scope, *, is_pruned: bool) -> None:
        self._location = location
        self._name, _, self._prefix = location.removeprefix("s3://").partition("/")
        self._scope = scope
        self._is_pruned = is_pruned
        self._files = self._bytes = 0
        self._is_whole = False
        self._problem: str | None = None
        self._is_over = Signal()

    def run(self, seconds: float) -> Iterator[int]:
        """List objects for some seconds at most; yields the number of files listed so far."""
        thread = Thread(target=self._list, name="estimate", daemon=True)
        thread.start()
        end = time.monotonic() + seconds
        try:
            while thread.is_alive() and time.monotonic() < end:
                thread.join(_POLL_SECONDS)
                yield self._files
        finally:
            self._is_over.set()

    def result(self) -> ScanEstimate | str:
        """Return what was listed so far, or why nothing was."""
        if self._problem is not None:
            return self._problem
        if not self._files and not self._is_whole:
            return f"{self._location} could not be listed in time"
        return ScanEstimate(files=self._files, bytes=self._bytes, is_whole=self._is_whole)

    def _list(self) -> None:
        try:
            bucket = S3Bucket(self._location, self._name, self._scope, connections=THREADS)
        except SourceError as error:
            self._problem = error.message.removeprefix(f"{self._location}: ")
            return
        pool = ThreadPoolExecutor(THREADS, "estimate")
        try:
            self._add_all(bucket, pool)
        except SourceError as error:
            self._problem = error.message.removeprefix(f"{self._location}: ")
        except RuntimeError as error:  # the interpreter ends, and starts no threads
            self._problem = str(error)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            bucket.close()

    def _add_all(self, bucket: S3Bucket, pool: ThreadPoolExecutor) -> None:
        found = discover(bucket, self._prefix, self._scope, pool)
        has_trail = all(layout.below_root(keys.prefix) is not None for keys in found.ranges)
        if self._is_pruned and not has_trail:
            self._problem = f"{self._location} does not have the folders of a trail"
            return
        is_whole = not found.unsearched and len(found.ranges) <= MAX_LISTINGS
        broken: SourceError | None = None
        for object_ in list_objects(pool, bucket, islice(found.ranges, MAX_LISTINGS)):
            if self._is_over.is_set() or self._files >= MAX_FILES:
                return
            if isinstance(object_, BrokenListing):
                is_whole, broken = False, object_.error
            elif layout.is_in_scope(object_.key, self._scope):
                self._files += 1
                self._bytes += object_.size
        self._is_whole = is_whole
        if broken is not None and not self._files:
            self._problem = broken.message.removeprefix(f"{self._location}: ")
