"""The public keys of a verification: from a file, from a copy of the trail, or from AWS."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cnitrail.decode.cli_output import decoded
from cnitrail.errors import SourceError
from cnitrail.validation.keys import read_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cnitrail.model import PublicKey, Scope
    from cnitrail.sources.public_keys import PublicKeys
    from cnitrail.sources.trail_reader import Trail

SLACK: Final = timedelta(hours=2)
"""How far beyond the times of digests their keys are requested."""

_MAX_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of a file with keys that is read."""


class Keyring:
    """The keys in the file that was given, else those stored with the copies, else those of AWS.

    Raises ``SourceError`` if a file cannot be read.
    """

    def __init__(self, scope: Scope, trails: Sequence[Trail], given: str | None) -> None:
        beside = [path for trail in trails for path in trail.key_files()]
        paths = [given] if given is not None else beside
        self._keys = {key.fingerprint: key for path in paths for key in _read(path)}
        is_copy = bool(beside) and len({trail.uri for trail in trails if trail.key_files()}) == len(trails)
        self._asks_aws = given is None and not is_copy
        self._scope = scope
        self._aws: PublicKeys | None = None
        self._asked: set[tuple[str, datetime, datetime]] = set()

    def find(
        self, region: str, fingerprint: str, times: Sequence[tuple[datetime, datetime]]
    ) -> PublicKey | None:
        """Return the key with a fingerprint, or None; AWS is asked once for each Region and time.

        Raises ``SourceError`` if AWS does not answer.
        """
        for start, end in times:
            if fingerprint in self._keys:
                break
            asked = (region, start - SLACK, end + SLACK)
            if self._asks_aws and asked not in self._asked:
                self._asked.add(asked)
                self._keys |= {key.fingerprint: key for key in self._ask(*asked)}
        return self._keys.get(fingerprint)

    def _ask(self, region: str, start: datetime, end: datetime) -> tuple[PublicKey, ...]:
        if self._aws is None:
            from cnitrail.sources.public_keys import PublicKeys

            self._aws = PublicKeys(self._scope)
        return self._aws.of(region, start, end)


def _read(path: str) -> tuple[PublicKey, ...]:
    try:
        with open(path, "rb") as file:
            keys = read_keys(decoded(file.read(_MAX_BYTES)), path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(
            f"{path}: the public keys cannot be read: {reason}",
            "--public-keys FILE takes what aws cloudtrail list-public-keys --output json printed",
        ) from None
    if not keys:
        raise SourceError(
            f"{path}: it has no public keys",
            "aws cloudtrail list-public-keys --region … --start-time … prints those of a Region and time",
        )
    return keys
