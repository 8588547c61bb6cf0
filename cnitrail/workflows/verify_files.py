"""Reading the files of a trail for a verification: digests, and the hashes of log files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cnitrail.validation.chain import Fetched, Judged
from cnitrail.validation.damage import DamagedFile
from cnitrail.validation.digest import Digest, ListedLog, read_digest
from cnitrail.validation.hashing import Hashes, hashes_of, text_of

if TYPE_CHECKING:
    from cnitrail.model import DigestFile, LogFile, Metadata
    from cnitrail.sources.trail_reader import Trail


class LogJob(Struct, frozen=True, gc=False):
    """A log file to be hashed, because a digest lists it."""

    judged: Judged
    listed: ListedLog
    trail: Trail
    file: LogFile


def fetch_digest(
    stored: tuple[Trail, DigestFile],
) -> tuple[bytes | DamagedFile, Metadata | str | None] | OSError:
    """Return the text of a digest file and its metadata, or why it cannot be read."""
    trail, file = stored
    try:
        body, metadata = trail.read_digest(file)
    except OSError as error:
        return error
    try:
        return text_of((body,), trail.scope.growth, is_copy=file.bucket is None), metadata
    except DamagedFile as damage:
        return damage, metadata


def parse_digest(file: DigestFile, text: bytes | DamagedFile, metadata: Metadata | str | None) -> Fetched:
    """Return what a digest file says; a text in place of its metadata is why that cannot be read."""
    digest: Digest | DamagedFile
    try:
        digest = text if isinstance(text, DamagedFile) else read_digest(text)
    except DamagedFile as damage:
        digest = damage
    if isinstance(metadata, str):
        return Fetched(file, digest, None, metadata)
    return Fetched(file, digest, metadata)


def hash_log(job: LogJob) -> Hashes | DamagedFile | OSError:
    """Return the hashes of a log file, or why they cannot be computed."""
    try:
        return hashes_of(job.trail.pieces(job.file), job.trail.scope.growth, is_copy=job.file.bucket is None)
    except (DamagedFile, OSError) as error:
        return error
