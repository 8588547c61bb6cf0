"""Checks a chain of digests, newest first: which are genuine, which are missing, where it has gaps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from cnitrail.intervals import Interval, between
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
"""Usual time span of a digest."""


class Fetched(Struct, frozen=True, gc=False):
    """A digest file that was fetched: its content, or why it cannot be read.

    ``aside`` is why the S3 metadata beside it cannot be read.
    """

    file: DigestFile
    digest: Digest | DamagedFile
    metadata: Metadata | None
    aside: str | None = None


class Judged(Struct, frozen=True, kw_only=True, gc=False):
    """A digest file and its verdict; ``charge`` is None if it is genuine.

    ``is_asked`` is False if its time span is outside the time range: then only what it says about its
    neighbors matters.
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
        """Whether it is the first digest of its chain, according to CloudTrail."""
        return self.digest is not None and self.charge is None and self.digest.previous is None


class TrailLookups(Protocol):
    """Lookups that a chain needs: public keys, and whether a digest exists."""

    def key(self, file: DigestFile, digest: Digest, generated: str | None) -> PublicKey | None:
        """Return CloudTrail's public key for a digest's fingerprint in its Region, or None."""

    def has_digest(self, bucket: str, key: str) -> bool | None:
        """Return whether a digest exists; None if its bucket was not searched."""


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
        """Yield each file's verdict, and the faults of it and its neighbors; the newest file comes first."""
        newer: Judged | None = None
        for fetched in files:
            entry = _entry_for(fetched.file, newer)
            judged, faults = self._judge(fetched, newer if entry else None, entry)
            if newer is not None:
                yield from self._between(newer, judged, is_named=entry is not None)
            yield judged
            yield from faults
            newer = judged
        if newer is not None:
            yield from self._between(newer, None, is_named=False)

    def _judge(
        self, fetched: Fetched, newer: Judged | None, entry: Previous | None
    ) -> tuple[Judged, list[Fault]]:
        """Return a digest's verdict and its faults; ``entry`` is what ``newer`` says about it."""
        file, digest = fetched.file, fetched.digest
        if isinstance(digest, DamagedFile):
            start, end = file.ended - SPAN, file.ended
            judged = Judged(
                file=file,
                digest=None,
                charge=Charge.INVALID,
                start=start,
                end=end,
                is_asked=self._asks(start, end),
                key=None,
            )
            kind = FaultKind.AMBIGUOUS if digest.ambiguous else FaultKind.DAMAGED
            return judged, _kept(judged, [_fault(judged, kind, Charge.INVALID, digest.reason)])
        generated = fetched.metadata.values.get(GENERATED) if fetched.metadata else None
        key = self._around.key(file, digest, generated)
        found = list(_findings(fetched, digest, key, newer, entry))
        charges = [charge for _, charge, _ in found]
        charge = Charge.INVALID if Charge.INVALID in charges else charges[0] if charges else None
        judged = Judged(
            file=file,
            digest=digest,
            charge=charge,
            start=digest.start,
            end=digest.end,
            is_asked=self._asks(digest.start, digest.end),
            key=key if charge is None else None,
        )
        named_by = newer.file.uri if newer else None
        faults = [_fault(judged, *finding, named_by=named_by) for finding in found]
        faults = _kept(judged, faults)
        if newer is not None and entry is not None:
            faults += _kept(newer, list(_contradictions(newer, entry, judged, digest)))
        return judged, faults

    def _between(self, newer: Judged, older: Judged | None, *, is_named: bool) -> Iterator[Fault]:
        """Yield the faults between two stored digests; ``is_named``: the newer one names the older one."""
        digest = newer.digest
        if digest is None or not (self._since is None or newer.start > self._since):
            return
        if digest.previous is not None and not is_named:
            yield from self._previous_missing(newer, digest.previous)
        if older is None or self._backfill or older.end >= newer.start:
            return
        if not self._asks(older.end, newer.start):
            return
        if digest.previous is None or is_named:
            yield _fault(
                newer,
                FaultKind.GAP,
                Charge.UNPROVEN,
                "no digest covers the time before it: log file validation, or the trail, was switched off"
                if digest.previous is None
                else "its time span does not adjoin that of the previous digest",
                span=(older.end, newer.start),
            )

    def _previous_missing(self, newer: Judged, previous: Previous) -> Iterator[Fault]:
        """Yield the fault of a previous digest that is not stored next to the newer one."""
        is_there = self._around.has_digest(previous.bucket, previous.key)
        if is_there or not self._asks(newer.start - SPAN, newer.start):
            return
        uri = f"s3://{previous.bucket}/{previous.key}"
        span = (newer.start - SPAN, newer.start)
        if is_there is None:
            hint = f"it is in another bucket: add s3://{previous.bucket}"
            yield _fault(newer, FaultKind.ELSEWHERE, Charge.UNPROVEN, hint, uri=uri, span=span)
            return
        is_credible = newer.charge is not Charge.INVALID
        yield _fault(
            newer,
            FaultKind.MISSING_DIGEST,
            Charge.MISSING if is_credible else Charge.UNPROVEN,
            "it is not there, but the next digest names it"
            if is_credible
            else "it is not there, but the next digest names it, which is not valid itself",
            uri=uri,
            span=span,
        )

    def _asks(self, start: datetime, end: datetime) -> bool:
        return between(self._since, self._until).overlaps(Interval(start, end))


def _entry_for(file: DigestFile, newer: Judged | None) -> Previous | None:
    """Return what the next digest says about a file; None if it does not name the file."""
    previous = newer.digest.previous if newer is not None and newer.digest is not None else None
    return previous if previous is not None and lies_at(file, previous.bucket, previous.key) else None


_Finding = tuple[FaultKind, Charge, str]


def _findings(
    fetched: Fetched, digest: Digest, key: PublicKey | None, newer: Judged | None, entry: Previous | None
) -> Iterator[_Finding]:
    """Yield what is wrong with a readable digest; nothing if it is genuine."""
    file, metadata = fetched.file, fetched.metadata
    if fetched.aside is not None:
        yield (
            FaultKind.DAMAGED,
            Charge.INVALID,
            f"the S3 metadata stored beside it cannot be read: {fetched.aside}",
        )
        return
    if not _is_in_place(file, metadata, digest):
        original = f"s3://{digest.bucket}/{digest.key}"
        yield FaultKind.MOVED, Charge.INVALID, f"moved or renamed: CloudTrail wrote it to {original}"
        return
    if key is None:
        yield (
            FaultKind.UNKNOWN_KEY,
            Charge.INVALID,
            f"{file.region} has no public key with its fingerprint {digest.fingerprint[:64]!r}",
        )
        return
    if metadata is not None:
        found = list(_signature_findings(file, metadata.values, digest, key))
        yield from found
        if found:
            return
    elif entry is None:
        yield (
            FaultKind.UNSIGNED,
            Charge.UNPROVEN,
            "its signature is not available: neither in S3 metadata beside it, nor in a next digest",
        )
        return
    elif not is_signed(digest, entry.signature, key.value):
        if newer is not None and newer.charge is not None and entry.hash == digest.hash:
            yield (
                FaultKind.UNSIGNED,
                Charge.UNPROVEN,
                "its signature is not available, and the one in the next digest is not valid",
            )
        else:
            yield (
                FaultKind.SIGNATURE,
                Charge.INVALID,
                "the signature in the next digest does not match it",
            )
        return
    if newer is not None and newer.charge is None and entry is not None:
        yield from _entry_findings(metadata, digest, entry)


def _signature_findings(
    file: DigestFile, values: Mapping[str, str], digest: Digest, key: PublicKey
) -> Iterator[_Finding]:
    """Yield what is wrong with a digest's own signature."""
    signature = values.get("signature")
    if signature is None or values.get("signature-algorithm") != SIGNED_WITH:
        yield (
            FaultKind.SIGNATURE,
            Charge.INVALID,
            f"its S3 metadata has no {SIGNED_WITH} signature as CloudTrail writes it",
        )
    elif not is_signed(digest, signature, key.value):
        yield FaultKind.SIGNATURE, Charge.INVALID, "its signature does not match: one of them was changed"
    elif file.backfill and GENERATED not in values:
        yield (
            FaultKind.DAMAGED,
            Charge.INVALID,
            "its S3 metadata does not say when it was generated, as that of a backfill digest does",
        )


def _entry_findings(metadata: Metadata | None, digest: Digest, entry: Previous) -> Iterator[_Finding]:
    """Yield how a digest differs from what the next digest, which is genuine, says about it."""
    if entry.hash != digest.hash:
        yield FaultKind.NOT_AS_RECORDED, Charge.INVALID, "the next digest has another hash for it"
    if metadata is not None and metadata.values.get("signature") not in {None, entry.signature}:
        yield FaultKind.NOT_AS_RECORDED, Charge.INVALID, "the next digest has another signature for it"


def _contradictions(newer: Judged, entry: Previous, judged: Judged, digest: Digest) -> Iterator[Fault]:
    """Yield what a digest shows to be wrong with the next one, whose own signature is not available."""
    if newer.charge is not Charge.UNPROVEN:
        return
    is_genuine = judged.charge is None
    if is_genuine and entry.hash != digest.hash:
        reason = "it has another hash for the previous digest, whose signature is valid"
    elif judged.charge is Charge.UNPROVEN and entry.hash == digest.hash:
        reason = "its signature for the previous digest does not match, though its hash does"
    else:
        return
    yield _fault(newer, FaultKind.NOT_AS_RECORDED, Charge.INVALID, reason, named_by=judged.file.uri)


def _is_in_place(file: DigestFile, metadata: Metadata | None, digest: Digest) -> bool:
    """Return whether a digest is where CloudTrail wrote it, as far as that is known."""
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
    named_by: str | None = None,
) -> Fault:
    file = judged.file
    start, end = span or (judged.start, judged.end)
    says = file.uri if uri is not None or span is not None else named_by
    return Fault(
        kind=kind,
        charge=charge,
        uri=uri or file.uri,
        reason=reason,
        digest=says,
        account=file.account,
        region=file.region,
        start=start,
        end=end,
    )


def _kept(judged: Judged, faults: list[Fault]) -> list[Fault]:
    """Return the faults of a digest if its time span is in the time range."""
    return faults if judged.is_asked else []
