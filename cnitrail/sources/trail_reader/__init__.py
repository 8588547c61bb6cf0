"""Reads a trail's digests and log files, by account and Region, to verify or to copy them.

A trail is in a bucket (``bucket``), or in a directory (``directory``) that ``trail_copy`` may have written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from cnitrail.errors import SourceError
from cnitrail.sources import source_type
from cnitrail.sources.bucket_names import check_bucket_name
from cnitrail.text import at_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import DigestFile, LogFile, Metadata, Scope, Skipped

AccountRegion = tuple[str, str]
"""An account and a Region."""

SEARCH_MARGIN: Final = timedelta(hours=3)
"""How far around the time range neighboring files are looked for: a digest covers an hour."""


class Trail(Protocol):
    """Digests and log files of a trail. Threads may call every method at once, except ``account_regions``."""

    @property
    def uri(self) -> str:
        """The source as the user gave it."""

    @property
    def scope(self) -> Scope:
        """What is in scope here: a source's own path may limit it to a Region or a day."""

    @property
    def threads(self) -> int:
        """Number of concurrent calls that pay off."""

    def account_regions(self) -> Iterator[AccountRegion | Skipped]:
        """Yield the accounts and Regions in scope, once each, and what could not be searched."""

    def digests(self, site: AccountRegion) -> Iterable[DigestFile | Skipped]:
        """Return the digests of an account and Region that cover the time range, and their neighbors."""

    def logs(self, site: AccountRegion) -> Iterable[LogFile | Skipped]:
        """Return the log files of an account and Region delivered in the time range, and their neighbors."""

    def checksum_files(self) -> Sequence[str]:
        """Return the paths of checksum files that are kept with a copy."""

    def key_files(self) -> Sequence[str]:
        """Return the paths of public key files that are kept with a copy."""

    def find(self, bucket: str, key: str) -> LogFile | None:
        """Return a file that was not listed, by its key, or None. Raises ``OSError``."""

    def has_bucket(self, bucket: str) -> bool:
        """Return whether files of a bucket may be here."""

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """Yield the stored bytes of a log file. Raises ``OSError``; ``FileNotFoundError`` if it is gone."""

    def read_digest(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        """Return the stored bytes of a digest, and its S3 metadata, or None if that is unknown.

        A string says why the metadata cannot be read. Raises ``OSError``.
        """

    def close(self) -> None:
        """Close all connections."""


def open_trail(uri: str, scope: Scope) -> Trail:
    """Open the trail in a bucket or in a directory. Raises ``SourceError`` if it is neither."""
    if uri.startswith("s3://"):
        from cnitrail.sources.trail_reader.bucket import BucketTrail

        return BucketTrail(uri, scope)
    check_bucket_name(uri)
    if not source_type(uri).has_digests:
        raise SourceError(
            at_source(uri, "no digests: they are stored beside the log files of a trail"),
            "use the trail's bucket (s3://BUCKET), or a directory with a copy of it (cnitrail sync)",
        )
    from cnitrail.sources.trail_reader.directory import DirectoryTrail

    return DirectoryTrail(uri, scope)
