"""Where evidence lies and how it is fetched. This room does not know what an event means.

A source may deliver too much, never too little. A new source is one file here and one row in
``_SCHEMES``.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from cnitrail.errors import SourceError
from cnitrail.model import Document, Note, Record, Scope, Skipped, StoredCounts
from cnitrail.sources.files import FileSource, StandardInput
from cnitrail.store.file_header import is_sqlite


class Source(Protocol):
    """Anything that delivers documents."""

    @property
    def uri(self) -> str:
        """The source as the user named it."""

    @property
    def found(self) -> int:
        """How many files, objects or pages were come upon so far: each is delivered, or told as skipped."""

    def documents(self) -> Iterator[Document | Record | Skipped | Note | StoredCounts]:
        """Every document, in an order that is always the same.

        A source that keeps single records, and knows where each came from, delivers them as such.
        Notes come when there is something to say.
        """


@runtime_checkable
class Measured(Protocol):
    """A source that can tell how much there is to read."""

    def total_bytes(self) -> int:
        """The stored bytes of all documents that it will deliver."""


def _lookup(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.lookup import LookupSource

    return LookupSource(uri, scope)


def _s3(uri: str, scope: Scope) -> Source:
    from cnitrail.sources.s3 import S3Source

    return S3Source(uri, scope)


def _store(uri: str, scope: Scope) -> Source:
    from cnitrail.store.reader import StoreReader

    return StoreReader(uri, scope)


_SCHEMES: dict[str, Callable[[str, Scope], Source]] = {
    "-": StandardInput,
    "lookup:": _lookup,
    "s3://": _s3,
}


def open_source(uri: str, scope: Scope) -> Source:
    """The source that a command line argument names.

    Raises ``SourceError`` where it names none that can be read.
    """
    for scheme, source in _SCHEMES.items():
        if uri == scheme or (uri.startswith(scheme) and scheme != "-"):
            return source(uri, scope)
    if "://" in uri:
        raise SourceError(
            f"{uri}: cnitrail reads files, directories, standard input, s3://BUCKET/PREFIX and lookup:",
            "download the logs first (aws s3 sync s3://BUCKET/AWSLogs/ logs/), then name the directory",
        )
    return _store(uri, scope) if is_sqlite(uri) else FileSource(uri, scope)
