"""A trail in its bucket → a copy on this machine: the workflow of ``sync``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from cnitrail.errors import EmptySourceError, SourceError
from cnitrail.model import DigestFile, LogFile, Metadata, Skipped
from cnitrail.prefetch import prefetch
from cnitrail.sources.public_keys import PublicKeys
from cnitrail.sources.trail_copy.format import KEYS, SIDECAR, sidecar
from cnitrail.sources.trail_copy.writer import TrailCopy
from cnitrail.sources.trail_reader import open_trail
from cnitrail.validation.keys import read_keys, written_keys
from cnitrail.workflows.keyring import SLACK
from cnitrail.workflows.observer import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cnitrail.model import PublicKey, Scope
    from cnitrail.sources.trail_reader import Trail
    from cnitrail.workflows.observer import Observer

_AHEAD_BYTES: Final = 64 * 1024 * 1024


class Synced(Struct, kw_only=True):
    """What one run of ``sync`` copied, and what was there already (``known``); ``bytes`` as stored."""

    digests: int = 0
    logs: int = 0
    bytes: int = 0
    known: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def sync_trail(uri: str, folder: str, scope: Scope, observer: Observer = SILENT) -> Synced:
    """Copy a trail in a bucket to a folder.

    Raises ``SourceError`` if either cannot be opened, and ``EmptySourceError`` if there is nothing to copy.
    """
    observer.stage("known")
    trail = open_trail(uri, scope)
    try:
        copy = TrailCopy(folder)
        syncing = _Syncing(trail, copy, scope)
        try:
            syncing.sync(observer)
        finally:
            copy.close()
    finally:
        trail.close()
    synced = syncing.synced
    if not (synced.digests or synced.logs or synced.known or synced.skipped):
        raise EmptySourceError(
            f"{uri}: no digests and no log files of what was asked for",
            "name the bucket itself, or the folder above AWSLogs/; --since and --until are times of events",
        )
    return synced


class _Syncing:
    """Copies the files of a trail that are asked for, and that the copy does not have yet."""

    def __init__(self, trail: Trail, copy: TrailCopy, scope: Scope) -> None:
        self.synced = Synced()
        self._trail = trail
        self._copy = copy
        self._scope = scope
        self._spans: dict[str, tuple[datetime, datetime]] = {}

    def sync(self, observer: Observer) -> None:
        """Copy the files, and the public keys for their time. Raises ``SourceError``."""
        synced = self.synced
        with ThreadPoolExecutor(self._trail.threads, "sync") as pool:
            for file, done in prefetch(
                pool,
                self._fetch,
                self._new(),
                most=2 * self._trail.threads,
                size=lambda file: file.size,
                most_size=_AHEAD_BYTES,
            ):
                written = done.result()
                if isinstance(written, Skipped):
                    synced.skipped.append(written)
                    continue
                for path, hash_ in written:
                    self._copy.list(path, hash_)
                synced.digests += isinstance(file, DigestFile)
                synced.logs += isinstance(file, LogFile)
                synced.bytes += file.size
                observer.advance(synced.digests + synced.logs, synced.bytes, synced.known)
        self._copy_keys()

    def _new(self) -> Iterator[DigestFile | LogFile]:
        """Yield the files that the copy does not have."""
        for site in self._trail.account_regions():
            if isinstance(site, Skipped):
                self.synced.skipped.append(site)
                continue
            for file in chain(self._trail.digests(site), self._trail.logs(site)):
                if isinstance(file, Skipped):
                    self.synced.skipped.append(file)
                    continue
                if isinstance(file, DigestFile):
                    first, last = self._spans.get(file.region, (file.ended, file.ended))
                    self._spans[file.region] = (min(first, file.ended), max(last, file.ended))
                if self._is_there(file):
                    self.synced.known += 1
                else:
                    yield file

    def _is_there(self, file: DigestFile | LogFile) -> bool:
        path = _path(file)
        is_whole = isinstance(file, LogFile) or self._copy.has(path + SIDECAR)
        return is_whole and self._copy.has(path, file.size)

    def _fetch(self, file: DigestFile | LogFile) -> list[tuple[str, str]] | Skipped:
        """Copy a file, a digest with its S3 metadata; return the paths and hashes of what was written."""
        path = _path(file)
        try:
            if isinstance(file, LogFile):
                return [(path, self._copy.put(path, self._trail.pieces(file)))]
            body, metadata = self._trail.read_digest(file)
            assert isinstance(metadata, Metadata)
            beside = path + SIDECAR
            return [
                (beside, self._copy.put(beside, (sidecar(metadata),))),
                (path, self._copy.put(path, (body,))),
            ]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            return Skipped(file.uri, str(reason or error))

    def _copy_keys(self) -> None:
        """Add the public keys of the digests' Regions to those that are there."""
        known = self._copy.read(KEYS)
        keys: set[PublicKey] = set(read_keys(known, KEYS)) if known is not None else set()
        try:
            aws = PublicKeys(self._scope) if self._spans else None
            for region, (first, last) in sorted(self._spans.items()):
                assert aws is not None
                keys |= {
                    type(key)(key.fingerprint, key.value, KEYS)
                    for key in aws.of(region, first - SLACK, last + SLACK)
                }
        except SourceError as error:
            self.synced.skipped.append(
                Skipped(self._trail.uri, f"{error.message}; verify needs --public-keys")
            )
        if keys:
            self._copy.list(KEYS, self._copy.put(KEYS, (written_keys(keys).encode(),)))


def _path(file: DigestFile | LogFile) -> str:
    return f"{file.bucket}/{file.key}"
