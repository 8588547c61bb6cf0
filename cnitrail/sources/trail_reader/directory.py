"""A trail in a directory: what ``cnitrail sync`` or ``aws s3 sync`` has written.

Files are recognized by the names that CloudTrail gave them; the folders above them do not matter.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from cnitrail.errors import SourceError
from cnitrail.model import DigestFile, LogFile, Skipped
from cnitrail.sources import layout
from cnitrail.sources.files import file_pieces, shown, walk
from cnitrail.sources.trail_copy.format import KEYS, SUMS, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnitrail.model import Metadata, Scope
    from cnitrail.sources.trail_reader import AccountRegion

MAX_DIGEST_BYTES: Final = 16 * 1024 * 1024


class DirectoryTrail:
    """Digests and log files below a directory, or a single one of them.

    Raises ``SourceError`` if nothing exists at the path.
    """

    threads = min(os.cpu_count() or 1, 4)

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self._sums: list[str] = []
        self._keys: list[str] = []
        if not os.path.lexists(uri):
            raise SourceError(
                f"{uri}: no such file or directory", "use a directory with a copy of a trail, or s3://BUCKET"
            )
        self.scope = scope
        self._digests: defaultdict[AccountRegion, list[DigestFile]] = defaultdict(list)
        self._logs: defaultdict[AccountRegion, list[LogFile]] = defaultdict(list)
        self._paths: dict[str, str] = {}
        self._skipped: list[Skipped] = []
        self._unread: str | None = None
        self._search()

    def account_regions(self) -> Iterator[AccountRegion | Skipped]:
        """Yield the accounts and Regions in scope."""
        yield from self._skipped
        scope = self.scope
        for account, region in sorted({*self._digests, *self._logs}):
            is_in_scope = not scope.accounts or account in scope.accounts
            if is_in_scope and layout.is_region_in_scope(region, scope):
                yield account, region

    def digests(self, site: AccountRegion) -> Iterable[DigestFile | Skipped]:
        """Return the digests of an account and Region."""
        return self._digests.get(site, ())

    def logs(self, site: AccountRegion) -> Iterable[LogFile | Skipped]:
        """Return the log files of an account and Region."""
        return self._logs.get(site, ())

    def checksum_files(self) -> list[str]:
        """Return the paths of files that ``sync``, or ``sha256sum``, has written."""
        return self._sums

    def key_files(self) -> list[str]:
        """Return the paths of files that ``sync`` has written."""
        return self._keys

    def find(self, _bucket: str, _key: str) -> LogFile | None:
        """Return None: every file is listed. Raises ``OSError`` if a directory could not be read."""
        if self._unread is not None:
            raise PermissionError(f"not found; it may be in {self._unread}, which cannot be read")
        return None

    def has_bucket(self, _bucket: str) -> bool:
        """Return True: a copy may be of any bucket."""
        return True

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """Yield a file's bytes."""
        path = self._paths.get(file.key, file.key)
        status = os.stat(path)
        return file_pieces(path, status.st_size if stat.S_ISREG(status.st_mode) else None)

    def read_digest(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        """Return a file, and the S3 metadata that is kept beside it."""
        path = self._paths.get(file.key, file.key)
        if file.size > MAX_DIGEST_BYTES:
            raise OSError(f"too large for a digest ({file.size:,} bytes)")
        with open(path, "rb") as opened:
            body = opened.read(MAX_DIGEST_BYTES)
        try:
            return body, read_sidecar(path)
        except OSError as error:
            reason = f"the S3 metadata stored beside it cannot be read: {error.strerror or error}"
            raise OSError(error.errno, reason) from error
        except ValueError as error:
            return body, str(error)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _search(self) -> None:
        for found in walk(self.uri):
            if isinstance(found, Skipped):
                self._skipped.append(found)
                self._unread = _unread_directory(found.source) or self._unread
                continue
            path, status = found
            name = os.path.basename(path)
            if name == SUMS:
                self._sums.append(path)
            elif name == KEYS:
                self._keys.append(path)
            else:
                self._enter(path, status)

    def _enter(self, path: str, status: os.stat_result) -> None:
        """Add a file, if it is named like a digest or a log file."""
        key = shown(path).replace(os.sep, "/")
        if key != path:
            self._paths[key] = path
        etag = f"{status.st_size}-{status.st_mtime_ns}"
        if (digest := layout.digest_name(key)) is not None:
            self._digests[digest.account, digest.region].append(
                DigestFile(
                    bucket=None,
                    key=key,
                    size=status.st_size,
                    etag=etag,
                    top=layout.top_of(key),
                    account=digest.account,
                    region=digest.region,
                    trail=digest.trail,
                    home_region=digest.home_region,
                    ended=digest.ended,
                    backfill=digest.backfill,
                )
            )
        elif key.endswith((".json", ".json.gz")) and (log := layout.log_name(key)) is not None:
            self._logs[log.account, log.region].append(
                LogFile(
                    bucket=None,
                    key=key,
                    size=status.st_size,
                    etag=etag,
                    top=layout.top_of(key),
                    account=log.account,
                    region=log.region,
                    delivered=log.delivered,
                )
            )


def _unread_directory(path: str) -> str | None:
    """Return the directory that could not be read, if a path was skipped because of one."""
    try:
        return path if stat.S_ISDIR(os.stat(path).st_mode) else None
    except OSError as error:
        return os.path.dirname(path) if isinstance(error, PermissionError) else None
