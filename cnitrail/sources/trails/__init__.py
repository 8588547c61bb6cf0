"""Trails as they are stored, digests and log files by account and Region, to be verified or copied."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from cnitrail.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import DigestFile, LogFile, Metadata, Scope, Skipped

AccountRegion = tuple[str, str]
"""An account and a Region."""

NEXT_TO: Final = timedelta(hours=3)
"""How far from the time asked for what lies next to it is looked for: a digest's span is an hour."""


class Trail(Protocol):
    """Where digests and log files are stored. All methods but ``sites`` may be called by several threads."""

    @property
    def uri(self) -> str:
        """The source as the user named it."""

    @property
    def scope(self) -> Scope:
        """What is asked for here: a source may name a day, or a Region, itself."""

    @property
    def threads(self) -> int:
        """How many calls at a time are worth it."""

    def sites(self) -> Iterator[AccountRegion | Skipped]:
        """The accounts and Regions that are asked for, once each, and what could not be looked into."""

    def digests(self, site: AccountRegion) -> Iterable[DigestFile | Skipped]:
        """The digests of a site whose span may meet the time asked for, or lies next to it."""

    def logs(self, site: AccountRegion) -> Iterable[LogFile | Skipped]:
        """The log files of a site that may have been delivered in the time asked for, or next to it."""

    def sum_files(self) -> Sequence[str]:
        """The paths of lists of checksums that are kept with a copy."""

    def key_files(self) -> Sequence[str]:
        """The paths of files with public keys that are kept with a copy."""

    def finds(self, bucket: str, key: str) -> LogFile | None:
        """A file by its place, which was not listed; None where there is none. Raises ``OSError``."""

    def holds(self, bucket: str) -> bool:
        """Whether files of a bucket are to be looked for here."""

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """The stored bytes of a log file. Raises ``OSError``, ``FileNotFoundError`` where it is gone."""

    def whole(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        """The stored bytes of a digest, and S3's metadata; None where that is not known.

        A text says why it cannot be read. Raises ``OSError``.
        """

    def close(self) -> None:
        """Leave what is open."""


def open_trail(uri: str, scope: Scope) -> Trail:
    """The trail in a bucket or in a directory. Raises ``SourceError`` where it is neither."""
    if uri.startswith("s3://"):
        from cnitrail.sources.trails.bucket import BucketTrail

        return BucketTrail(uri, scope)
    if uri in {"-", "lookup:"} or "://" in uri:
        raise SourceError(
            f"{uri}: there are no digests: they lie beside the log files of a trail",
            "name the trail's bucket (s3://BUCKET), or a directory that holds a copy of it (cnitrail sync)",
        )
    from cnitrail.sources.trails.directory import DirectoryTrail

    return DirectoryTrail(uri, scope)
