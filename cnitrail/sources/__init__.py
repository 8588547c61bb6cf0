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
    Note,
    Record,
    Scope,
    Skipped,
    StoredCounts,
)
from cnitrail.sources.files import FileSource, StandardInput
from cnitrail.store.file_header import is_sqlite

LOOKUP: Final = "lookup:"
"""CloudTrail's event history (LookupEvents): the source used if none is given."""

Delivered = Document | Record | Skipped | CutShort | LookedUp | Note | LookupProgress | StoredCounts
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
class Measured(Protocol):
    """A source that knows how much there is to read."""

    def total_bytes(self) -> int:
        """Return the stored bytes of all documents that it will deliver."""


@runtime_checkable
class Stoppable(Protocol):
    """A source that can end early, with an answer of what it has read: the newest events."""

    def stop(self) -> bool:
        """End soon, and return True; False if nothing was read yet. A signal handler may call this."""


class SourceType(Struct, frozen=True, kw_only=True):
    """A type of source: how to open one, and what can be expected of it.

    ``narrows``: it delivers only the events of the instances, ENIs and addresses that were asked for.
    ``has_digests``: CloudTrail's digests may be stored beside its log files.
    ``answers_completely``: it reports itself if an answer is incomplete, so a quiet time is no log gap.
    ``is_remote``: reading it calls AWS.
    """

    open: Callable[[str, Scope], Source]
    narrows: bool = False
    has_digests: bool = False
    answers_completely: bool = False
    is_remote: bool = False


def _lookup(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.lookup import LookupSource

    return LookupSource(uri, scope)


def _s3(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.s3 import S3Source

    return S3Source(uri, scope)


def _store(uri: str, scope: Scope) -> Source:
    from cnitrail.store.reader import StoreReader

    return StoreReader(uri, scope)


def _refuse(uri: str, _scope: Scope) -> Source:
    raise SourceError(
        f"{uri}: cnitrail reads files, directories, standard input, s3://BUCKET/PREFIX and {LOOKUP}",
        "download the logs first (aws s3 sync s3://BUCKET/AWSLogs/ logs/), then name the directory",
    )


_STANDARD_INPUT: Final = "-"
_SCHEMES: Final = {
    LOOKUP: SourceType(open=_lookup, narrows=True, answers_completely=True, is_remote=True),
    "s3://": SourceType(open=_s3, has_digests=True, is_remote=True),
}
_PIPE: Final = SourceType(open=StandardInput)
_FILES: Final = SourceType(open=FileSource, has_digests=True)
_STORE: Final = SourceType(open=_store, narrows=True)
_UNKNOWN: Final = SourceType(open=_refuse)


def sources_or_default(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources that were named; LookupEvents if there are none."""
    return uris or (LOOKUP,)


def source_type(uri: str) -> SourceType:
    """Return the type of the source that a command line argument names; opening an unknown one fails."""
    if uri == _STANDARD_INPUT:
        return _PIPE
    for scheme, kind in _SCHEMES.items():
        if uri.startswith(scheme):
            return kind
    if "://" in uri:
        return _UNKNOWN
    return _STORE if is_sqlite(uri) else _FILES


def is_pipe(uri: str) -> bool:
    """Whether a source can be read only once: standard input, or a named pipe (``<(zcat FILE)``)."""
    return uri == _STANDARD_INPUT or (os.path.exists(uri) and stat.S_ISFIFO(os.stat(uri).st_mode))


def open_source(uri: str, scope: Scope) -> Source:
    """Return the source that a command line argument names.

    Raises ``SourceError`` if it cannot be read at all.
    """
    return source_type(uri).open(uri, scope)


def is_event_history(uri: str) -> bool:
    """Whether a document is an answer of LookupEvents, by its URI: AWS keeps these without any trail."""
    return uri.startswith(LOOKUP)
