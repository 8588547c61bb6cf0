"""What a query engine returns of a CloudTrail table: relevant records as rows, and counts of the others."""

import re
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from cnitrail.model.coverage import Sign

ATHENA: Final = "athena://"
TRINO: Final = "trino://"
"""How the URIs of tables begin; ``cnitrail.sources`` has an engine for each."""

_FILES = re.compile(r"@[0-9a-f]{8}\Z")


def table_of(uri: str) -> str | None:
    """Return the table of a part by the part's URI; None for any other document.

    A large part may come in pieces, which are named as members of an archive are: ``…/2022-10-05!/1``.
    """
    files = files_of_table(uri)
    return _FILES.sub("", files) if files is not None else None


def files_of_table(uri: str) -> str | None:
    """Return the table of a part with the mark of its files, by the part's URI; None for any other document.

    Tables of one name in two accounts or Regions differ in that mark: ``athena://default.logs@0a1b2c3d``.
    """
    return uri.partition("!/")[0].rsplit("/", 3)[0] if uri.startswith((ATHENA, TRINO)) else None


def place_of_part(uri: str) -> tuple[str | None, str | None, date | None] | None:
    """Return the account, the Region and the day (UTC) of a part of a table; None for any other document."""
    if table_of(uri) is None:
        return None
    account, region, day = uri.partition("!/")[0].rsplit("/", 3)[1:]
    try:
        known = date.fromisoformat(day)
    except ValueError:
        known = None
    return None if account == "-" else account, None if region == "-" else region, known


class RelevantCalls(Struct, frozen=True, kw_only=True):
    """Which records a statement has to return; ``decode`` provides it.

    A record matters by its event name, one of ``names``, if its event source is one of ``sources`` or not
    known. One of ``assume_role`` matters only if a service whose name is ``invoked_by`` made the call, or if
    its source IP address matches ``from_address``, a regular expression for the beginning of an address.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    assume_role: str
    invoked_by: str
    from_address: str


class EngineOptions(Struct, frozen=True, kw_only=True):
    """How a query engine is used: Athena's workgroup, where it writes its results, and a limit of bytes.

    ``max_scan`` is the number of bytes after which a query is stopped; None for no limit.
    """

    work_group: str | None = None
    output_location: str | None = None
    max_scan: int | None = None


class TableRow(Struct, frozen=True, gc=False, kw_only=True):
    """A record as a table has it: ``cells`` by column name, texts or parsed JSON; ``copies`` are alike.

    ``source`` is the file that the engine read it from, or the part of the table. ``index`` is the record's
    index in that file, from 0. Most tables do not know it: there, it counts the rows of the file (or part)
    that were returned, in the order of their times and event IDs.
    """

    source: str
    index: int
    copies: int
    cells: dict[str, object]


class TablePart(Struct, frozen=True, kw_only=True):
    """What a table has of one account, Region and day (UTC): of delivery, or of the events.

    ``uri`` names the table (with the mark of ``files_of_table``) and these, ``query`` is the ID of the query.
    ``rows`` are the records that may be relevant, ``passed_over`` is the number of the others, whose form is
    ``form``. ``signs`` are the times that the part shows to be logged.
    """

    uri: str
    query: str
    form: str
    rows: tuple[TableRow, ...]
    passed_over: int
    signs: frozenset[Sign]


class QueryState(StrEnum):
    """What a query engine is doing."""

    LISTING = "listing"
    """The files of the table are listed, to know their sizes; no query was begun."""
    QUEUED = "queued"
    RUNNING = "running"
    FETCHING = "fetching"
    """The query has ended, and its rows are fetched."""


class QueryProgress(Struct, frozen=True, gc=False, kw_only=True):
    """How far a query is: bytes that the engine has scanned, and rows fetched of ``total_rows``.

    ``estimated_bytes`` is how much there is to scan. While files are listed, ``rows`` counts them. None if
    not known.
    """

    state: QueryState
    query: str | None
    elapsed: timedelta
    scanned_bytes: int | None = None
    estimated_bytes: int | None = None
    rows: int = 0
    total_rows: int | None = None


class ScanEstimate(Struct, frozen=True):
    """What a query is going to scan: stored bytes. If not ``is_whole``, there is more that was not listed."""

    files: int
    bytes: int
    is_whole: bool


class EngineReport(Struct, frozen=True, gc=False, kw_only=True):
    """How a query engine read a table.

    ``engine`` is ``athena`` or ``trino``, ``query`` the ID of its query, ``shape`` the kind of table, and
    ``pruned_by`` are the partition columns that limited what it scanned. ``is_partitioned`` is whether the
    table has partition columns. ``scanned_bytes`` are bytes as stored (compressed), ``seconds`` the time that
    the engine took, without the queue. ``cost_usd`` is computed from the bytes and Athena's price per TB.
    ``estimated_files`` and ``estimated_bytes`` are what a listing of the bucket found beforehand. None is for
    what is not known. ``losses`` are sentences about what the table does not keep of a record.
    """

    engine: str
    query: str
    table: str
    shape: str
    is_partitioned: bool
    pruned_by: tuple[str, ...]
    scanned_bytes: int | None
    seconds: float | None
    cost_usd: float | None
    estimated_files: int | None = None
    estimated_bytes: int | None = None
    losses: tuple[str, ...] = ()
