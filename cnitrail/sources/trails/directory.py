"""A copy of a trail in a directory, of any nesting: what ``sync`` or ``aws s3 sync`` has written.

Files are known by the names that CloudTrail gave them; which folders lie above does not matter.
"""

from __future__ import annotations

import os
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
    from cnitrail.sources.trails import AccountRegion

_LARGEST_DIGEST: Final = 16 * 1024 * 1024


class DirectoryTrail:
    """Digests and log files below a directory; a single file is one of them.

    Raises ``SourceError`` where there is nothing at the path.
    """

    threads = min(os.cpu_count() or 1, 4)

    def __init__(self, uri: str, scope: Scope) -> None:
        self.uri = uri
        self._sums: list[str] = []
        self._keys: list[str] = []
        if not os.path.lexists(uri):
            raise SourceError(
                f"{uri}: no such file or directory", "name a directory with a copy of a trail, or s3://BUCKET"
            )
        self.scope = scope
        self._digests: defaultdict[AccountRegion, list[DigestFile]] = defaultdict(list)
        self._logs: defaultdict[AccountRegion, list[LogFile]] = defaultdict(list)
        self._paths: dict[str, str] = {}
        self._skipped: list[Skipped] = []
        self._look()

    def sites(self) -> Iterator[AccountRegion | Skipped]:
        """The accounts and Regions that are asked for."""
        yield from self._skipped
        scope = self.scope
        for account, region in sorted({*self._digests, *self._logs}):
            asked = not scope.accounts or account in scope.accounts
            if asked and layout.asks_for_region(region, scope):
                yield account, region

    def digests(self, site: AccountRegion) -> Iterable[DigestFile | Skipped]:
        """The digests of a site."""
        return self._digests.get(site, ())

    def logs(self, site: AccountRegion) -> Iterable[LogFile | Skipped]:
        """The log files of a site."""
        return self._logs.get(site, ())

    def sum_files(self) -> list[str]:
        """What ``sync``, or ``sha256sum``, has written."""
        return self._sums

    def key_files(self) -> list[str]:
        """What ``sync`` has written."""
        return self._keys

    def finds(self, _bucket: str, _key: str) -> LogFile | None:
        """Nothing: every file is listed."""
        return None

    def holds(self, _bucket: str) -> bool:
        """Always: a copy may be of any bucket."""
        return True

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        """A file's bytes, in pieces."""
        path = self._paths.get(file.key, file.key)
        return file_pieces(path, os.stat(path))

    def whole(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        """A file, and what is kept beside it."""
        path = self._paths.get(file.key, file.key)
        if file.size > _LARGEST_DIGEST:
            raise OSError(f"it has {file.size:,} bytes, more than any digest")
        with open(path, "rb") as opened:
            body = opened.read(_LARGEST_DIGEST)
        try:
            return body, read_sidecar(path)
        except (OSError, ValueError) as error:
            return body, str(error)

    def close(self) -> None:
        """Nothing is open."""

    def _look(self) -> None:
        for found in walk(self.uri):
            if isinstance(found, Skipped):
                self._skipped.append(found)
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
        """Take a file in, if its name is one that CloudTrail gives."""
        key = shown(path).replace(os.sep, "/")
        if key != path:
            self._paths[key] = path
        etag = f"{status.st_size}-{status.st_mtime_ns}"
        head = (None, key, status.st_size, etag, layout.top_of(key))
        if (digest := layout.digest_name(key)) is not None:
            self._digests[digest.account, digest.region].append(
                DigestFile(
                    *head,
                    digest.account,
                    digest.region,
                    digest.trail,
                    digest.home_region,
                    digest.ended,
                    digest.backfill,
                )
            )
        elif key.endswith((".json", ".json.gz")) and (log := layout.log_name(key)) is not None:
            self._logs[log.account, log.region].append(LogFile(*head, log.account, log.region, log.delivered))
