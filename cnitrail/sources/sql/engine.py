"""What a query engine has to do."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from cnitrail.model import Note
from cnitrail.model.table import QueryProgress
from cnitrail.sources.sql.description import TableDescription

Cells = tuple[str | None, ...]
"""A row of an answer: texts, in the order of its columns."""

Partition = tuple[str, ...]
"""The values of a partition as stored, in the order of its table's partition columns; empty for a null."""

MAX_PARTITIONS: Final = 200_000
"""Maximum number of partitions that are listed: 200 calls of Glue's GetPartitions."""

MAX_LISTING_SECONDS: Final = 20.0
"""How long partitions are listed at most: they are only compared with what is asked for."""


class QueryResult(Struct, frozen=True, kw_only=True):
    """A query that has succeeded, as its engine reports it; None for what it does not report.

    ``statement`` is its text. ``rows`` is the number of rows of its answer. ``scanned_bytes`` are bytes as
    stored, ``seconds`` the time that it ran, without the queue.
    """

    query: str
    statement: str
    rows: int | None = None
    scanned_bytes: int | None = None
    seconds: float | None = None
    is_reused: bool = False
    """Whether the engine returned the kept answer of an earlier query, and scanned nothing."""
    submitted: datetime | None = None
    """When the query was submitted, aware: later events are not in its answer."""


class Engine(Protocol):
    """A query engine and one table in it. Every method raises ``SourceError`` with a hint if it fails."""

    @property
    def name(self) -> str:
        """``athena`` or ``trino``."""

    @property
    def uri(self) -> str:
        """The table as a user names it, without a query's ID."""

    @property
    def table(self) -> str:
        """The table as statements name it, quoted."""

    def describe(self) -> TableDescription:
        """Return the table's columns and properties."""

    def partitions(self) -> tuple[Partition, ...] | str:
        """Return all partitions of a partitioned table, or why they are not known; nothing is scanned.

        Called only for tables whose partitions are listed in a catalog, not computed. Raises nothing.
        """

    def run(self, statement: str) -> Iterator[QueryProgress | Note]:
        """Run a statement, or attach to the query that the URI names; return when its answer is there.

        Yields its progress several times a second at most, and a note if it cannot start yet.
        """

    def result(self) -> QueryResult:
        """Return the query that ``run`` has ended; of an engine that streams, also what is known after it."""

    def rows(self) -> Iterator[Cells]:
        """Yield the rows of the answer, in its order, page by page."""

    def stop(self) -> None:
        """Stop the query, if it still runs. Never raises; a signal handler may call this."""

    def close(self) -> None:
        """Close connections."""
