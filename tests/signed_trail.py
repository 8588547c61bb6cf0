"""A trail with digests as CloudTrail signs them, hour after hour, by a key of the tests' own."""

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cnitrail.model import DigestFile, LogFile, Metadata, PublicKey, Scope, Skipped
from cnitrail.sources import layout

HOUR = timedelta(hours=1)
START = datetime(2025, 3, 4, 9, 1, 31, tzinfo=UTC)
"""Real digests do not begin on the hour, either."""

ACCOUNT, REGION, TRAIL, BUCKET = "111111111111", "eu-west-1", "audit", "audit-logs"


@cache
def private_key(name: str = "CloudTrail") -> RSAPrivateKey:
    """A key, made once in a session; other names are other keys."""
    return generate_private_key(65537, 1024 if name == "short" else 2048)


def public_key(name: str = "CloudTrail") -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


def fingerprint(name: str = "CloudTrail") -> str:
    return hashlib.md5(public_key(name)).hexdigest()


def public_keys(*names: str) -> str:
    """What ``aws cloudtrail list-public-keys`` prints of keys."""
    listed = [
        {
            "Value": b64encode(public_key(name)).decode(),
            "ValidityStartTime": "2025-01-01T00:00:00+00:00",
            "ValidityEndTime": "2025-12-31T00:00:00+00:00",
            "Fingerprint": fingerprint(name),
        }
        for name in names or ("CloudTrail",)
    ]
    return json.dumps({"PublicKeyList": listed}, indent=4)


def public_keys_of(*names: str) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(fingerprint(name), public_key(name), "the test") for name in names)


@dataclass(frozen=True)
class Stored:
    """An object: its bytes, and S3's metadata of it."""

    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)


Objects = dict[str, Stored]


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


@dataclass
class SignedTrail:
    """The objects of a trail in one account and Region, and where its chain of digests is.

    ``top`` is where its folders of accounts lie, with the organisation's folder for an organisation.
    """

    account: str = ACCOUNT
    region: str = REGION
    trail: str = TRAIL
    bucket: str = BUCKET
    top: str = "AWSLogs/"
    key: str = "CloudTrail"
    now: datetime = START
    objects: Objects = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    previous: dict[str, Any] = field(default_factory=dict)

    def hour(self, *texts: bytes, length: timedelta = HOUR) -> str:
        """An hour goes by in which log files with these texts are delivered; its digest's key."""
        start, self.now = self.now, self.now + length
        step = length / (len(texts) + 1)
        keys = [self.log(text, start + step * (at + 1)) for at, text in enumerate(texts)]
        key = self._digest(start, self.now, keys)
        self.digests.append(key)
        return key

    def quiet(self, length: timedelta) -> None:
        """Validation is switched off for a while: the next digest begins a chain."""
        self.now += length
        self.previous = {}

    def backfill(self, digest: str, *texts: bytes) -> str:
        """A digest comes later, of log files that another one did not list."""
        start, end = (
            datetime.fromisoformat(self.fields(digest)[f"digest{end}Time"]) for end in ("Start", "End")
        )
        keys = [self.log(text, start + timedelta(minutes=3 + at)) for at, text in enumerate(texts)]
        kept, self.previous = self.previous, {}
        key = self._digest(start, end, keys, backfill=True)
        self.previous = kept
        return key

    def log(self, text: bytes, delivered: datetime) -> str:
        """A log file that is delivered, and not yet listed."""
        stamp = f"{delivered:%Y%m%dT%H%MZ}"
        mark = hashlib.sha256(text + stamp.encode()).hexdigest()[:16]
        folder = f"{self.top}{self.account}/CloudTrail/{self.region}/{delivered:%Y/%m/%d}"
        key = f"{folder}/{self.account}_CloudTrail_{self.region}_{stamp}_{mark}.json.gz"
        self.objects[key] = Stored(zipped(text))
        self.logs.append(key)
        return key

    def fields(self, key: str) -> dict[str, Any]:
        """What a digest says."""
        fields: dict[str, Any] = json.loads(gzip.decompress(self.objects[key].body))
        return fields

    def _digest(self, start: datetime, end: datetime, logs: list[str], *, backfill: bool = False) -> str:
        late = "_backfill" if backfill else ""
        folder = f"{self.top}{self.account}/CloudTrail-Digest/{self.region}/{end:%Y/%m/%d}"
        trail = f"{self.account}_CloudTrail-Digest_{self.region}_{self.trail}_{self.region}"
        key = f"{folder}/{trail}_{end:%Y%m%dT%H%M%SZ}{late}.json.gz"
        before = self.previous
        fields = {
            "awsAccountId": self.account,
            "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "digestEndTime": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": fingerprint(self.key),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": None,
            "oldestEventTime": None,
            "previousDigestS3Bucket": before.get("bucket"),
            "previousDigestS3Object": before.get("key"),
            "previousDigestHashValue": before.get("hash"),
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before.get("signature"),
            "logFiles": [
                {
                    "s3Bucket": self.bucket,
                    "s3Object": log,
                    "hashValue": hashlib.sha256(gzip.decompress(self.objects[log].body)).hexdigest(),
                    "hashAlgorithm": "SHA-256",
                    "newestEventTime": None,
                    "oldestEventTime": None,
                }
                for log in logs
            ],
        }
        text = json.dumps(fields, separators=(",", ":")).encode()
        signature = sign(fields, text, self.key)
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        if backfill:
            metadata["backfill-generation-timestamp"] = f"{end + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
        self.objects[key] = Stored(zipped(text), metadata)
        self.previous = {
            "bucket": self.bucket,
            "key": key,
            "hash": hashlib.sha256(text).hexdigest(),
            "signature": signature,
        }
        return key


def sign(fields: dict[str, Any], text: bytes, key: str = "CloudTrail") -> str:
    """The signature of a digest, as AWS's documentation describes it."""
    signed = "\n".join(
        (
            fields["digestEndTime"],
            f"{fields['digestS3Bucket']}/{fields['digestS3Object']}",
            hashlib.sha256(text).hexdigest(),
            fields["previousDigestSignature"] or "null",
        )
    )
    return private_key(key).sign(signed.encode(), PKCS1v15(), SHA256()).hex()


def write_plain(objects: Objects, folder: Path) -> None:
    """A copy as ``aws s3 sync`` makes one: without S3's metadata."""
    for key, stored in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.body)


def write_copy(objects: Objects, folder: Path, bucket: str = BUCKET, keys: str | None = None) -> None:
    """A copy as ``cnitrail sync`` makes one."""
    files: dict[str, bytes] = {"public-keys.json": (keys or public_keys()).encode()}
    for key, stored in objects.items():
        files[f"{bucket}/{key}"] = stored.body
        if stored.metadata:
            beside = {"bucket": bucket, "key": key, "metadata": dict(sorted(stored.metadata.items()))}
            files[f"{bucket}/{key}.s3.json"] = json.dumps(beside, separators=(",", ":")).encode()
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    sums = [f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items())]
    (folder / "SHA256SUMS").write_text("".join(sums))


def records(*names: str) -> bytes:
    """The text of a log file with some events, of no matter here."""
    return json.dumps({"Records": [{"eventName": name} for name in names]}, separators=(",", ":")).encode()


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


def small_trail(**changes: Any) -> SignedTrail:
    """Three hours: two log files, none, one."""
    trail = replace(SignedTrail(), objects={}, digests=[], logs=[], previous={}, **changes)
    trail.hour(records("A"), records("B"))
    trail.hour()
    trail.hour(records("C"))
    return trail
