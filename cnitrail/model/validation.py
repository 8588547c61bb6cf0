"""What CloudTrail's signed digests prove of the evidence, and what they contradict.

The terms are those of AWS ("CloudTrail digest file structure",
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html):
a digest lists, about every hour, the log files that were delivered for an account and Region, with their
hashes, and names the digest before it. Times are aware, UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from cnitrail.model.evidence import Skipped


class DigestChain(Struct, frozen=True, gc=False, order=True):
    """The digest chain of one trail, by its name and home Region; backfill digests belong to it."""

    trail: str = ""
    home_region: str = ""


class Proven(Struct, frozen=True, gc=False, order=True, kw_only=True):
    """A time of deliveries that the digests of one trail prove.

    Every log file that the trail delivered for an account and Region from ``start`` until ``end`` (aware,
    UTC; the end is not part of it) is there and unchanged. An event is delivered some minutes after it
    happened, so its file may be listed in a later digest. Which events the trail was configured to record is
    not known here.
    """

    account: str
    region: str
    start: datetime
    end: datetime
    chain: DigestChain = DigestChain()


class Vouched(Struct, frozen=True, gc=False):
    """A log file that is as a genuine digest lists it: digest chain, and SHA-256 of the stored bytes (hex).

    A digest lists the hash of the text. The hash of the stored bytes was computed in the same pass, so that a
    later reading can be compared with this one.
    """

    chain: DigestChain
    stored_hash: str


class Charge(StrEnum):
    """What a fault means. ``UNPROVEN`` is not an accusation: the file may be genuine."""

    INVALID = "invalid"
    MISSING = "missing"
    UNPROVEN = "unproven"


class FaultKind(StrEnum):
    """Kinds of faults."""

    SIGNATURE = "signature"
    UNKNOWN_KEY = "unknown-key"
    UNSIGNED = "unsigned"
    MOVED = "moved"
    NOT_AS_RECORDED = "not-as-recorded"
    HASH = "hash"
    DAMAGED = "damaged"
    AMBIGUOUS = "ambiguous"
    MISSING_DIGEST = "missing-digest"
    MISSING_LOG = "missing-log"
    ELSEWHERE = "elsewhere"
    GAP = "gap"
    DIGESTS_END = "digests-end"
    UNLISTED = "unlisted"
    NOT_YET_LISTED = "not-yet-listed"
    UNDIGESTED = "undigested"
    CHECKSUM = "checksum"


class Fault(Struct, frozen=True, gc=False, kw_only=True):
    """A reason why a file or a time is not proven.

    ``digest`` is the URI of the digest that shows it; ``start`` and ``end`` are the time of deliveries that
    it concerns, if known.
    """

    kind: FaultKind
    charge: Charge
    uri: str
    reason: str
    digest: str | None = None
    account: str | None = None
    region: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Checked(Struct, frozen=True, gc=False):
    """Number of files by result; every file counts once."""

    valid: int = 0
    invalid: int = 0
    missing: int = 0
    unproven: int = 0


class StoredFile(Struct, frozen=True, gc=False, kw_only=True):
    """A file of a trail as it is stored; the account and Region are from its name.

    ``bucket`` is None if the file is a local copy, whose bucket only its content names; ``key`` is then its
    path. ``top`` is the folder above the trail's account folders, empty if the path does not show it.
    """

    bucket: str | None
    key: str
    size: int
    etag: str
    top: str
    account: str
    region: str

    @property
    def uri(self) -> str:
        """Return where it is: the path, or the S3 URI."""
        return self.key if self.bucket is None else f"s3://{self.bucket}/{self.key}"


class DigestFile(StoredFile, frozen=True, gc=False, kw_only=True):
    """A digest file; the trail and the end of its time are from its name."""

    trail: str
    home_region: str
    ended: datetime
    backfill: bool


class LogFile(StoredFile, frozen=True, gc=False, kw_only=True):
    """A log file; ``delivered`` is the timestamp in its name, to the minute."""

    delivered: datetime


class Metadata(Struct, frozen=True, gc=False):
    """S3 metadata of a digest: as S3 returned it, or from the file next to a copy.

    ``bucket`` and ``key`` are where the object was when the copy was made.
    """

    bucket: str
    key: str
    values: Mapping[str, str]


class PublicKey(Struct, frozen=True, gc=False):
    """A public key of CloudTrail: RSA, PKCS#1, DER; ``origin`` is where it was found."""

    fingerprint: str
    value: bytes
    origin: str


class Verification(Struct, frozen=True, gc=False, kw_only=True):
    """What signed digests prove of sources, and what they do not.

    ``proven`` is sorted, and adjacent times of a chain in an account and Region are one. ``files`` and
    ``bytes`` (as stored) were read. ``keys`` are the keys with which a signature was verified. ``skipped`` is
    what could not be read, so nothing is known of it. ``vouched`` are the log files that are as a genuine
    digest lists them, by URI; ``altered`` the URIs of those that were changed, damaged or added.
    """

    proven: tuple[Proven, ...]
    faults: tuple[Fault, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    digests: Checked = Checked()
    backfill_digests: Checked = Checked()
    logs: Checked = Checked()
    files: int = 0
    bytes: int = 0
    keys: tuple[PublicKey, ...] = ()
    vouched: Mapping[str, Vouched] = field(default_factory=dict)
    altered: frozenset[str] = frozenset()


class VerifyAnswer(Struct, frozen=True, gc=False):
    """The answer of ``verify``: its query, and what it found."""

    query: Mapping[str, object]
    verification: Verification
