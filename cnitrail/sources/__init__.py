"""Where evidence is stored and how it is fetched. This room does not know what an event means.

A source may deliver too much, never too little. A new source is one file here and one row in ``_SCHEMES``.
"""

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from cnitrail.errors import SourceError
from cnitrail.model import (
    CutShort,
    Document,
    LookedUp,
    LookupProgress,
    Lost,
    Note,
    Record,
    Reference,
    Scope,
    Skipped,
    StoredCounts,
)
from cnitrail.model.table import ATHENA, TRINO, EngineReport, QueryProgress, TablePart
from cnitrail.sources.files import FileSource, StandardInput
from cnitrail.sources.table_names import is_misnamed_table, misnamed_table
from cnitrail.store.file_header import is_sqlite

LOOKUP: Final = "lookup:"
"""CloudTrail's event history (LookupEvents): the source used if none is given."""

LOGS: Final = "logs:"
"""A log group of CloudWatch Logs."""

Delivered = (
    Document
    | Record
    | Skipped
    | CutShort
    | LookedUp
    | Note
    | LookupProgress
    | StoredCounts
    | TablePart
    | QueryProgress
    | EngineReport
    | Lost
)
"""What a source may deliver."""


class Source(Protocol):
    """Anything that delivers documents."""

    @property
    def uri(self) -> str:
        """The source as the user named it."""

    @property
    def found(self) -> int:
        """Number of files, objects or pages found so far; each is delivered or yielded as ``Skipped``."""

    def documents(self) -> Iterator[Delivered]:
        """Yield every document, in an order that is always the same.

        A source that keeps single records, and knows where each came from, delivers them as such.
        Notes come when there is something to say.
        """


@runtime_checkable
class Referring(Protocol):
    """A source that can name its documents before it opens them."""

    opens_slowly: bool
    """Whether to open a document means to wait: then many are opened at once, in other processes only."""

    def references(self) -> Iterator[Document | Reference | Skipped]:
        """Yield a reference to every document, in the order of ``documents``; or what that yields."""

    def open(self, reference: Reference) -> Document | Skipped:
        """Return a document that only the source can open, or why it cannot be read."""

    def withdraw(self) -> None:
        """Count one document less than were ``found``: it was no evidence."""


@runtime_checkable
class Measured(Protocol):
    """A source that knows how much there is to read."""

    def total_bytes(self) -> int:
        """Return the stored bytes of all documents that it will deliver."""


@runtime_checkable
class Stoppable(Protocol):
    """A source that can end early, with an answer of what it has read: the newest events."""

    def stop(self) -> bool:
        """End soon, and return True; False if nothing was read yet. A signal handler may call this."""


@runtime_checkable
class Querying(Protocol):
    """A source whose query runs elsewhere, and is stopped if its answer is not read to the end."""

    @property
    def uri(self) -> str:
        """The source as the user named it."""

    @property
    def is_running(self) -> bool:
        """Whether the query runs now."""

    @property
    def ended_early(self) -> str | None:
        """What became of the query, in a sentence, if reading ended early; else None."""


class SourceType(Struct, frozen=True, kw_only=True):
    """A type of source: how to open one, and what can be expected of it.

    ``narrows``: it delivers only the events of the instances, ENIs and addresses that were asked for.
    ``has_digests``: CloudTrail's digests may be stored beside its log files.
    ``answers_completely``: it reports itself if an answer is incomplete, so a quiet time is no log gap.
    ``is_remote``: reading it calls AWS.
    ``is_table``: a query engine reads its files, and does not say which of them it could not read.
    """

    open: Callable[[str, Scope], Source]
    narrows: bool = False
    has_digests: bool = False
    answers_completely: bool = False
    is_remote: bool = False
    is_table: bool = False


def _lookup(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.lookup import LookupSource

    return LookupSource(uri, scope)


def _logs(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.logs.source import LogsSource

    return LogsSource(uri, scope)


def _s3(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.s3 import S3Source

    return S3Source(uri, scope)


def _store(uri: str, scope: Scope) -> Source:
    from cnitrail.store.reader import StoreReader

    return StoreReader(uri, scope)


def _athena(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.sql.athena import AthenaEngine
    from cnitrail.sources.sql.source import TableSource

    return TableSource(AthenaEngine(uri, scope), scope, is_resumed="?query=" in uri)


def _trino(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.sql.source import TableSource
    from cnitrail.sources.sql.trino import TrinoEngine

    return TableSource(TrinoEngine(uri, scope), scope)


def _refuse(uri: str, _scope: Scope) -> Source:
    raise SourceError(
        f"{uri}: cnitrail reads files, directories, standard input, stores, s3://BUCKET/PREFIX, {LOOKUP}, "
        f"{LOGS}LOG-GROUP, {ATHENA}DATABASE.TABLE and {TRINO}HOST/CATALOG/SCHEMA/TABLE",
        "download the logs first (aws s3 sync s3://BUCKET/AWSLogs/ logs/), then name the directory",
    )


def _refuse_misnamed(uri: str, _scope: Scope) -> Source:
    raise misnamed_table(uri)


def _refuse_misnamed_bucket(uri: str, _scope: Scope) -> Source:
    from cnitrail.sources.bucket_names import misnamed_bucket

    raise misnamed_bucket(uri)


_STANDARD_INPUT: Final = "-"
_SCHEMES: Final = {
    LOOKUP: SourceType(open=_lookup, narrows=True, answers_completely=True, is_remote=True),
    LOGS: SourceType(open=_logs, is_remote=True),
    "s3://": SourceType(open=_s3, has_digests=True, is_remote=True),
    ATHENA: SourceType(open=_athena, is_remote=True, is_table=True),
    TRINO: SourceType(open=_trino, is_table=True),
}
_PIPE: Final = SourceType(open=StandardInput)
_FILES: Final = SourceType(open=FileSource, has_digests=True)
_STORE: Final = SourceType(open=_store, narrows=True)
_UNKNOWN: Final = SourceType(open=_refuse)
_MISNAMED: Final = SourceType(open=_refuse_misnamed)
_MISNAMED_BUCKET: Final = SourceType(open=_refuse_misnamed_bucket)


def sources_or_default(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources that were named; LookupEvents if there are none."""
    return uris or (LOOKUP,)


def source_type(uri: str) -> SourceType:
    """Return the type of the source that a command line argument names; opening an unknown one fails."""
    if uri == _STANDARD_INPUT:
        return _PIPE
    if is_misnamed_table(uri):
        return _MISNAMED
    for scheme, kind in _SCHEMES.items():
        if uri.startswith(scheme):
            return kind
    if ":" in uri and _is_misnamed_bucket(uri):
        return _MISNAMED_BUCKET
    if "://" in uri:
        return _UNKNOWN
    return _STORE if is_sqlite(uri) else _FILES


def _is_misnamed_bucket(uri: str) -> bool:
    from cnitrail.sources.bucket_names import is_misnamed_bucket

    return is_misnamed_bucket(uri)


def is_pipe(uri: str) -> bool:
    """Return whether a source can be read only once: standard input, or a named pipe (``<(zcat FILE)``)."""
    return uri == _STANDARD_INPUT or (os.path.exists(uri) and stat.S_ISFIFO(os.stat(uri).st_mode))


def open_source(uri: str, scope: Scope) -> Source:
    """Return the source that a command line argument names.

    Raises ``SourceError`` if it cannot be read at all.
    """
    return source_type(uri).open(uri, scope)


def is_event_history(uri: str) -> bool:
    """Return whether a document is an answer of LookupEvents, by its URI: these need no trail."""
    return uri.startswith(LOOKUP)
