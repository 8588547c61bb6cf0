"""Parses digest files strictly: text that can be read in two ways would let an attacker in."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from cnitrail.validation.damage import DamagedFile


class ListedLog(Struct, frozen=True, gc=False):
    """A log file that a digest lists, with the SHA-256 of its text in hex."""

    bucket: str
    key: str
    hash: str


class Previous(Struct, frozen=True, gc=False):
    """What a digest says about the previous one: its location, the SHA-256 of its text, its signature."""

    bucket: str
    key: str
    hash: str
    signature: str


class Digest(Struct, frozen=True, kw_only=True, gc=False):
    """A digest file that can be read, whether or not it is genuine.

    ``end_text`` is the end of its time span as written, ``hash`` the SHA-256 of its text: both are signed.
    ``previous`` is None at the start of a chain of digests.
    """

    bucket: str
    key: str
    start: datetime
    end: datetime
    end_text: str
    fingerprint: str
    hash: str
    previous: Previous | None
    logs: tuple[ListedLog, ...]


class _LogFields(Struct, frozen=True):
    s3Bucket: str  # noqa: N815  CloudTrail's own words
    s3Object: str  # noqa: N815
    hashValue: str  # noqa: N815
    hashAlgorithm: str  # noqa: N815


class _DigestFields(Struct, frozen=True, kw_only=True):
    digestStartTime: str  # noqa: N815
    digestEndTime: str  # noqa: N815
    digestS3Bucket: str  # noqa: N815
    digestS3Object: str  # noqa: N815
    digestPublicKeyFingerprint: str  # noqa: N815
    digestSignatureAlgorithm: str  # noqa: N815
    previousDigestS3Bucket: str | None  # noqa: N815
    previousDigestS3Object: str | None  # noqa: N815
    previousDigestHashValue: str | None  # noqa: N815
    previousDigestHashAlgorithm: str | None  # noqa: N815
    previousDigestSignature: str | None  # noqa: N815
    logFiles: tuple[_LogFields, ...]  # noqa: N815


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
SIGNED_WITH = "SHA256withRSA"
_HASHED_WITH = "SHA-256"


def read_digest(text: bytes) -> Digest:
    """Return the digest in a text. Raises ``DamagedFile``."""
    try:
        fields = msgspec.convert(_values(text), _DigestFields)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"it is not a digest ({error})") from None
    algorithms = {fields.previousDigestHashAlgorithm, *(log.hashAlgorithm for log in fields.logFiles)}
    if fields.digestSignatureAlgorithm != SIGNED_WITH or algorithms - {_HASHED_WITH, None}:
        raise DamagedFile(f"its algorithms are not {SIGNED_WITH} and {_HASHED_WITH}")
    start, end = _time(fields.digestStartTime), _time(fields.digestEndTime)
    if start >= end:
        raise DamagedFile("its time span ends before it starts")
    return Digest(
        bucket=fields.digestS3Bucket,
        key=fields.digestS3Object,
        start=start,
        end=end,
        end_text=fields.digestEndTime,
        fingerprint=fields.digestPublicKeyFingerprint,
        hash=sha256(text).hexdigest(),
        previous=_previous(fields),
        logs=tuple(ListedLog(log.s3Bucket, log.s3Object, log.hashValue) for log in fields.logFiles),
    )


def _values(text: bytes) -> object:
    """Return the values of a JSON text without duplicate keys. Raises ``DamagedFile``."""
    try:
        values = json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
        if _SURROGATE.search(text):
            json.dumps(values, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"its JSON is broken ({_first_line(error)})") from None
    else:
        return values


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise DamagedFile("its JSON has a duplicate key, so it can be read in two ways", ambiguous=True)
    return values


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _first_line(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or f"{time:%Y-%m-%dT%H:%M:%S}Z" != text or not 2000 <= time.year < 3000:
        raise DamagedFile(f"{text[:40]!r} is not a time as CloudTrail writes it")
    return time.astimezone(UTC)


def _previous(fields: _DigestFields) -> Previous | None:
    match (
        fields.previousDigestS3Bucket,
        fields.previousDigestS3Object,
        fields.previousDigestHashValue,
        fields.previousDigestSignature,
    ):
        case (None, None, None, None):
            return None
        case (str(bucket), str(key), str(hash_), str(signature)):
            return Previous(bucket, key, hash_, signature)
    raise DamagedFile("only part of the fields about the previous digest are set", ambiguous=True)
