"""The text of a digest file → a ``Digest``: strictly, as two readings of it would be a way in."""

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
    """What a digest says of the one before it: where it is, the SHA-256 of its text, its signature."""

    bucket: str
    key: str
    hash: str
    signature: str


class Digest(Struct, frozen=True, gc=False):
    """A digest file that can be read, whether or not it is genuine.

    ``end_text`` is its end as it was written, and ``hash`` the SHA-256 of its text: they are signed.
    ``previous`` is None where a chain of digests begins.
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


class _DigestFields(Struct, frozen=True):
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
    """What a digest's text says. Raises ``Damage``."""
    try:
        fields = msgspec.convert(_values(text), _DigestFields)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"it is no digest ({error})") from None
    algorithms = {fields.previousDigestHashAlgorithm, *(log.hashAlgorithm for log in fields.logFiles)}
    if fields.digestSignatureAlgorithm != SIGNED_WITH or algorithms - {_HASHED_WITH, None}:
        raise DamagedFile(f"it names other algorithms than {SIGNED_WITH} and {_HASHED_WITH}")
    start, end = _time(fields.digestStartTime), _time(fields.digestEndTime)
    if start >= end:
        raise DamagedFile("its span ends before it begins")
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
    """The values of a JSON text, in which no key of an object comes twice. Raises ``Damage``."""
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
        raise DamagedFile("a key comes twice in its JSON, so it can be read in two ways", ambiguous=True)
    return values


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _first_line(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or f"{time:%Y-%m-%dT%H:%M:%S}Z" != text or not 2000 <= time.year < 3000:
        raise DamagedFile(f"{text[:40]!r} is no time as CloudTrail writes it")
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
    raise DamagedFile("it names the digest before it only in part", ambiguous=True)
