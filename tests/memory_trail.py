"""A bucket that is no further away than this."""

from collections.abc import Iterator

from signed_trail import BUCKET, Objects

from cnitrail.model import DigestFile, LogFile, Metadata, Scope, Skipped
from cnitrail.sources import layout


class MemoryTrail:
    """A trail in a bucket that is no further away than this: objects by key, as S3 keeps them."""

    uri = "s3://audit-logs"
    threads = 1

    def __init__(self, objects: Objects, scope: Scope, bucket: str = BUCKET) -> None:
        self.scope = scope
        self.objects = objects
        self.bucket = bucket

    def sites(self) -> Iterator[tuple[str, str] | Skipped]:
        names = [layout.digest_name(key) or layout.log_name(key) for key in self.objects]
        yield from sorted({(name.account, name.region) for name in names if name})

    def digests(self, site: tuple[str, str]) -> Iterator[DigestFile | Skipped]:
        for key, stored in sorted(self.objects.items()):
            name = layout.digest_name(key)
            if name and (name.account, name.region) == site:
                head = (self.bucket, key, len(stored.body), "", layout.top_of(key), *site)
                yield DigestFile(*head, name.trail, name.home_region, name.ended, name.backfill)

    def logs(self, site: tuple[str, str]) -> Iterator[LogFile | Skipped]:
        for key, stored in sorted(self.objects.items()):
            name = layout.log_name(key)
            if name and (name.account, name.region) == site:
                head = (self.bucket, key, len(stored.body), "", layout.top_of(key), *site)
                yield LogFile(*head, name.delivered)

    def sum_files(self) -> tuple[str, ...]:
        return ()

    def key_files(self) -> tuple[str, ...]:
        return ()

    def finds(self, bucket: str, key: str) -> None:
        """Nothing: every object is listed."""

    def holds(self, bucket: str) -> bool:
        return bucket == self.bucket

    def pieces(self, file: LogFile) -> Iterator[bytes]:
        yield self.objects[file.key].body

    def whole(self, file: DigestFile) -> tuple[bytes, Metadata | str | None]:
        stored = self.objects[file.key]
        return stored.body, Metadata(self.bucket, file.key, stored.metadata)

    def close(self) -> None:
        """Nothing is open."""
