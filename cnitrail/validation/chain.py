"""A chain of digests, the newest first: which are genuine, which are missing, where it has gaps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from cnitrail.model import Charge, DigestFile, Fault, FaultKind, Metadata, PublicKey
from cnitrail.validation.damage import DamagedFile
from cnitrail.validation.digest import SIGNED_WITH, Digest, Previous
from cnitrail.validation.object_key import lies_at
from cnitrail.validation.signature import is_signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

GENERATED: Final = "backfill-generation-timestamp"
SPAN: Final = timedelta(hours=1)
"""How long a digest's span is as a rule."""


class Fetched(Struct, frozen=True, gc=False):
    """A digest file that was read: what it says, or why that cannot be told.

    ``aside`` is why S3's metadata that a copy keeps beside it cannot be read.
    """

    file: DigestFile
    digest: Digest | DamagedFile
    metadata: Metadata | None
    aside: str | None = None


class Judged(Struct, frozen=True, gc=False):
    """A digest file, judged; ``charge`` is None where it is genuine.

    ``is_asked`` says whether its span meets the time asked for. One that does not is looked at only for
    what it says of its neighbours.
    """

    file: DigestFile
    digest: Digest | None
    charge: Charge | None
    start: datetime
    end: datetime
    is_asked: bool
    key: PublicKey | None

    @property
    def begins(self) -> bool:
        """Whether CloudTrail says that nothing came before it."""
        return self.digest is not None and self.charge is None and self.digest.previous is None


class TrailLookups(Protocol):
    """What a chain needs to know of the world."""

    def key(self, file: DigestFile, digest: Digest, generated: str | None) -> PublicKey | None:
        """CloudTrail's key of a fingerprint in the digest's Region."""

    def has_digest(self, bucket: str, key: str) -> bool | None:
        """Whether a digest is there; None where nobody looked into its bucket."""


class Chain:
    """The digests of one trail in one account and Region, or its backfill digests."""

    def __init__(
        self, around: TrailLookups, since: datetime | None, until: datetime | None, *, backfill: bool
    ) -> None:
        self._around = around
        self._since = since
        self._until = until
        self._backfill = backfill

    def judge(self, files: Iterable[Fetched]) -> Iterator[Judged | Fault]:
        """Each file, judged, and what speaks against it and its neighbours; the newest file comes first."""
        newer: Judged | None = None
        for fetched in files:
            told = _told(newer, fetched.file)
            judged, faults = self._judge(fetched, newer if told else None, told)
            if newer is not None:
                yield from self._between(newer, judged, is_told=told is not None)
            yield judged
            yield from faults
            newer = judged
        if newer is not None:
            yield from self._between(newer, None, is_told=False)

    def _judge(
        self, fetched: Fetched, newer: Judged | None, told: Previous | None
    ) -> tuple[Judged, list[Fault]]:
        file, digest = fetched.file, fetched.digest
        if isinstance(digest, DamagedFile):
            start, end = file.ended - SPAN, file.ended
            judged = Judged(file, None, Charge.INVALID, start, end, self._asks(start, end), None)
            kind = FaultKind.AMBIGUOUS if digest.ambiguous else FaultKind.DAMAGED
            return judged, _kept(judged, [_fault(judged, kind, Charge.INVALID, digest.reason)])
        generated = fetched.metadata.values.get(GENERATED) if fetched.metadata else None
        key = self._around.key(file, digest, generated)
        found = list(_against(fetched, digest, key, newer, told))
        charges = [charge for _, charge, _ in found]
        charge = Charge.INVALID if Charge.INVALID in charges else charges[0] if charges else None
        asked = self._asks(digest.start, digest.end)
        judged = Judged(
            file, digest, charge, digest.start, digest.end, asked, key if charge is None else None
        )
        teller = newer.file.uri if newer else None
        faults = [_fault(judged, *each, teller=teller) for each in found]
        faults = _kept(judged, faults)
        if newer is not None and told is not None:
            faults += _kept(newer, list(_contradicted(newer, told, judged, digest)))
        return judged, faults

    def _between(self, newer: Judged, older: Judged | None, *, is_told: bool) -> Iterator[Fault]:
        """What is wrong between two digests that follow one another as they are stored."""
        digest = newer.digest
        if digest is None or not (self._since is None or newer.start > self._since):
            return
        if digest.previous is not None and not is_told:
            yield from self._absent(newer, digest.previous)
        if older is None or self._backfill or older.end >= newer.start:
            return
        if not self._asks(older.end, newer.start):
            return
        if digest.previous is None or is_told:
            yield _fault(
                newer,
                FaultKind.GAP,
                Charge.UNPROVEN,
                "no digest covers the time before it: log file validation, or the trail, was switched off"
                if digest.previous is None
                else "its span does not join that of the digest before it",
                span=(older.end, newer.start),
            )

    def _absent(self, newer: Judged, previous: Previous) -> Iterator[Fault]:
        """What it means that the digest before one is not the next that is stored."""
        is_there = self._around.has_digest(previous.bucket, previous.key)
        if is_there or not self._asks(newer.start - SPAN, newer.start):
            return
        uri = f"s3://{previous.bucket}/{previous.key}"
        span = (newer.start - SPAN, newer.start)
        if is_there is None:
            hint = f"it lies in another bucket: name s3://{previous.bucket}, too"
            yield _fault(newer, FaultKind.ELSEWHERE, Charge.UNPROVEN, hint, uri=uri, span=span)
            return
        is_credible = newer.charge is not Charge.INVALID
        yield _fault(
            newer,
            FaultKind.MISSING_DIGEST,
            Charge.MISSING if is_credible else Charge.UNPROVEN,
            "it is not there, but the digest after it names it"
            if is_credible
            else "it is not there, but the digest after it names it, which is itself not valid",
            uri=uri,
            span=span,
        )

    def _asks(self, start: datetime, end: datetime) -> bool:
        return (self._since is None or end > self._since) and (self._until is None or start < self._until)


def _told(newer: Judged | None, file: DigestFile) -> Previous | None:
    """What the digest after a file says of it, if that names it."""
    previous = newer.digest.previous if newer is not None and newer.digest is not None else None
    return previous if previous is not None and lies_at(file, previous.bucket, previous.key) else None


Against = tuple[FaultKind, Charge, str]


def _against(
    fetched: Fetched, digest: Digest, key: PublicKey | None, newer: Judged | None, told: Previous | None
) -> Iterator[Against]:
    """What speaks against a digest that can be read; nothing where it is genuine."""
    file, metadata = fetched.file, fetched.metadata
    if fetched.aside is not None:
        yield (
            FaultKind.DAMAGED,
            Charge.INVALID,
            f"S3's metadata kept beside it cannot be read: {fetched.aside}",
        )
        return
    if not _lies_there(file, metadata, digest):
        there = f"s3://{digest.bucket}/{digest.key}"
        yield FaultKind.MOVED, Charge.INVALID, f"it was moved or renamed: CloudTrail wrote it to {there}"
        return
    if key is None:
        yield (
            FaultKind.UNKNOWN_KEY,
            Charge.INVALID,
            f"{file.region} has no public key of the fingerprint {digest.fingerprint[:64]!r} that it names",
        )
        return
    if metadata is not None:
        found = list(_by_metadata(file, metadata.values, digest, key))
        yield from found
        if found:
            return
    elif told is None:
        yield (
            FaultKind.UNSIGNED,
            Charge.UNPROVEN,
            "its signature is not at hand: S3's metadata is not beside it, and no digest after it keeps it",
        )
        return
    elif not is_signed(digest, told.signature, key.value):
        if newer is not None and newer.charge is not None and told.hash == digest.hash:
            yield (
                FaultKind.UNSIGNED,
                Charge.UNPROVEN,
                "its signature is not at hand, and the one that the digest after it keeps is not valid",
            )
        else:
            yield (
                FaultKind.SIGNATURE,
                Charge.INVALID,
                "the signature that the digest after it keeps does not fit it",
            )
        return
    if newer is not None and newer.charge is None and told is not None:
        yield from _as_recorded(metadata, digest, told)


def _by_metadata(
    file: DigestFile, values: Mapping[str, str], digest: Digest, key: PublicKey
) -> Iterator[Against]:
    """What speaks against a digest by its own signature."""
    signature = values.get("signature")
    if signature is None or values.get("signature-algorithm") != SIGNED_WITH:
        yield (
            FaultKind.SIGNATURE,
            Charge.INVALID,
            f"S3's metadata has no signature by {SIGNED_WITH}, as CloudTrail writes it",
        )
    elif not is_signed(digest, signature, key.value):
        yield FaultKind.SIGNATURE, Charge.INVALID, "its signature does not fit it: one of them was changed"
    elif file.backfill and GENERATED not in values:
        yield (
            FaultKind.DAMAGED,
            Charge.INVALID,
            "S3's metadata does not say when it was generated, as a backfill digest's does",
        )


def _as_recorded(metadata: Metadata | None, digest: Digest, told: Previous) -> Iterator[Against]:
    """Whether a digest is the one that the digest after it, which is genuine, names."""
    if told.hash != digest.hash:
        yield FaultKind.NOT_AS_RECORDED, Charge.INVALID, "the digest after it names another hash of it"
    if metadata is not None and metadata.values.get("signature") not in {None, told.signature}:
        yield FaultKind.NOT_AS_RECORDED, Charge.INVALID, "the digest after it names another signature of it"


def _contradicted(newer: Judged, told: Previous, judged: Judged, digest: Digest) -> Iterator[Fault]:
    """What a digest shows of the one after it, which has no signature to go by."""
    if newer.charge is not Charge.UNPROVEN:
        return
    is_sound = judged.charge is None
    if is_sound and told.hash != digest.hash:
        reason = "it names another hash of the digest before it, whose signature is valid"
    elif judged.charge is Charge.UNPROVEN and told.hash == digest.hash:
        reason = "it names a signature of the digest before it that does not fit it, though the hash does"
    else:
        return
    yield _fault(newer, FaultKind.NOT_AS_RECORDED, Charge.INVALID, reason, teller=judged.file.uri)


def _lies_there(file: DigestFile, metadata: Metadata | None, digest: Digest) -> bool:
    """Whether a digest is where CloudTrail wrote it, as far as that is known."""
    if metadata is not None and (metadata.bucket, metadata.key) != (digest.bucket, digest.key):
        return False
    return lies_at(file, digest.bucket, digest.key)


def _fault(
    judged: Judged,
    kind: FaultKind,
    charge: Charge,
    reason: str,
    *,
    uri: str | None = None,
    span: tuple[datetime, datetime] | None = None,
    teller: str | None = None,
) -> Fault:
    file = judged.file
    start, end = span or (judged.start, judged.end)
    says = file.uri if uri is not None or span is not None else teller
    return Fault(kind, charge, uri or file.uri, reason, says, file.account, file.region, start, end)


def _kept(judged: Judged, faults: list[Fault]) -> list[Fault]:
    """The faults of a digest, if its span was asked for."""
    return faults if judged.is_asked else []
