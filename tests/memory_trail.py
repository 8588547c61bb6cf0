"""A bucket in memory."""

from collections.abc import Iterator
from typing import Any

from signed_trail import BUCKET, Objects

from cnitrail.model import DigestFile, LogFile, Metadata, Scope, Skipped
from cnitrail.sources import layout


class MemoryTrail:
    """A trail in a bucket in memory: objects by key, as in S3."""

    uri = "s3://audit-logs"
    threads = 1

    def __init__(self, objects: Objects, scope: Scope, bucket: str = BUCKET) -> None:
        self.scope = scope
        self.objects = objects
        self.bucket = bucket

    def account_regions(self) -> Iterator[tuple[str, str] | Skipped]:
        names = [layout.digest_name(key) or layout.log_name(key) for key in self.objects]
        yield from sorted({(name.account, name.region) for name in names if name})

    def digests(self, site: tuple[str, str]) -> Iterator[DigestFile | Skipped]:
        for key in sorted(self.objects):
            name = layout.digest_name(key)
            if name and (name.account, name.region) == site:
                yield DigestFile(
                    **self._located(key, site),
                    trail=name.trail,
                    home_region=name.home_region,
                    ended=name.ended,
                    backfill=name.backfill,
                )

    def logs(self, site: tuple[str, str]) -> Iterator[LogFile | Skipped]:
        for key in sorted(self.objects):
            name = layout.log_name(key)
            if name and (name.account, name.region) == site:
                yield LogFile(**self._located(key, site), delivered=name.delivered)

    def _located(self, key: str, site: tuple[str, str]) -> dict[str, Any]:
        """Return the fields that log files and digests have in common."""
        account, region = site
        return {
            "bucket": self.bucket,
            "key": key,
            "size": len(self.objects[key].body),
            "etag": "",
            "top": layout.top_of(key),
            "account": account,
            "region": region,
        }

    def checksum_files(self) -> tuple[str, ...]:
        return ()

    def key_files(self) -> tuple[str, ...]:
        return ()

    def find(self, bucket: str, key: str) -> None:
        """Return None: every object is listed."""

    def has_bucket(self, bucket: str) -> bool:
        return bucket == self.bucket

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        yield self.objects[file.key].body

    def read_digest(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        stored = self.objects[file.key]
        return stored.body, Metadata(self.bucket, file.key, stored.metadata)

    def close(self) -> None:
        """Do nothing: there is no connection."""
