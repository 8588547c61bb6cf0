"""What a verification has found so far: verdicts on digests and log files, and what they prove."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cnitrail.intervals import Interval, difference, union
from cnitrail.model import (
    Charge,
    Checked,
    DigestChain,
    DigestFile,
    Fault,
    FaultKind,
    LogFile,
    Proven,
    Skipped,
    Verification,
    Vouched,
)
from cnitrail.timeclamp import FIRST
from cnitrail.validation.hashing import Hashes
from cnitrail.validation.object_key import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from cnitrail.model import PublicKey
    from cnitrail.sources.trail_reader import AccountRegion, Trail
    from cnitrail.validation.chain import Judged
    from cnitrail.validation.damage import DamagedFile
    from cnitrail.validation.digest import ListedLog
    from cnitrail.workflows.verify_files import LogJob

_VALID = "valid"


class SiteFiles(Struct, kw_only=True):
    """The files of one account and Region, while they are verified.

    ``logs`` and ``digests`` are by name, ``listed`` has the URIs of log files that a digest lists.
    ``doubted`` are spans in which something is wrong with a log file.
    """

    site: AccountRegion
    trails: Sequence[Trail]
    logs: defaultdict[str, list[tuple[Trail, LogFile]]] = field(default_factory=lambda: defaultdict(list))
    digests: defaultdict[str, list[tuple[Trail, DigestFile]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    listed: set[str] = field(default_factory=set)
    chains: list[list[Judged]] = field(default_factory=list)
    doubted: list[Interval] = field(default_factory=list)

    def doubt(self, judged: Judged) -> None:
        """Note that something is wrong with a log file of a digest."""
        self.doubted.append(Interval(judged.start, judged.end))

    def proven(self) -> Iterator[Proven]:
        """Yield what each chain proves, except where any chain has a gap.

        While one trail was switched off, another may have recorded only reads, or only data events: its
        digests say nothing about the calls that the first one would have recorded.
        """
        valid: dict[DigestChain, list[Interval]] = {}
        bad = list(self.doubted)
        for judged in self.chains:
            asked = [digest for digest in judged if digest.is_asked]
            if not asked or asked[0].file.backfill:
                continue
            hull = Interval(min(digest.start for digest in asked), max(digest.end for digest in asked))
            spans = [Interval(digest.start, digest.end) for digest in asked if digest.charge is None]
            valid[_chain_of(asked[0].file)] = spans
            bad += difference([hull], spans)
        account, region = self.site
        for chain, spans in valid.items():
            for span in difference(union(spans), bad):
                yield Proven(account=account, region=region, start=span.start, end=span.end, chain=chain)


class Verdicts:
    """Collects what is found, and counts each digest and log file once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.skipped: list[Skipped] = []
        self.proven: list[Proven] = []
        self._files = self._bytes = 0
        self._keys: set[PublicKey] = set()
        self._vouched: dict[str, Vouched] = {}
        self._altered: set[str] = set()
        self._digests: Counter[tuple[bool, str]] = Counter()
        self._logs: Counter[str] = Counter()

    def count_file(self, size: int) -> tuple[int, int, int]:
        """Count a file that was read; return how many files, bytes and faults there are."""
        self._files += 1
        self._bytes += size
        return self._files, self._bytes, len(self.faults)

    def record_digest(self, judged: Judged, *, backfill: bool) -> None:
        """Record a digest that was judged, and the key it is signed with."""
        if judged.is_asked:
            self._digests[backfill, judged.charge or _VALID] += 1
        if judged.key is not None:
            self._keys.add(judged.key)

    def record_chain_fault(self, fault: Fault, files: SiteFiles, *, backfill: bool) -> None:
        """Record a fault in a chain of digests."""
        self.faults.append(fault)
        if fault.kind is FaultKind.MISSING_DIGEST:
            self._digests[backfill, fault.charge] += 1
        if backfill and fault.start is not None and fault.end is not None:
            files.doubted.append(Interval(fault.start, fault.end))

    def record_unread(self, files: SiteFiles, judged: Judged) -> None:
        """Record that a log file that a digest lists could not be read."""
        self._logs[Charge.UNPROVEN] += 1
        files.doubt(judged)

    def record_missing(self, files: SiteFiles, judged: Judged, listed: ListedLog) -> None:
        """Record that a log file that a digest lists is not there."""
        uri = f"s3://{listed.bucket}/{listed.key}"
        if not any(trail.has_bucket(listed.bucket) for trail in files.trails):
            reason = f"it is in another bucket: name s3://{listed.bucket}, too"
            self._record_log_fault(files, judged, FaultKind.ELSEWHERE, Charge.UNPROVEN, uri, reason)
            return
        reason = "a digest lists it, but it is not there"
        if namesakes := files.logs.get(name_of(listed.key)):
            reason += f" ({namesakes[0][1].uri} has its name)"
        self._record_log_fault(files, judged, FaultKind.MISSING_LOG, Charge.MISSING, uri, reason)

    def compare(self, files: SiteFiles, job: LogJob, found: Hashes | DamagedFile | OSError) -> None:
        """Compare the hash of a log file with the one that its digest lists."""
        uri, judged = job.file.uri, job.judged
        match found:
            case FileNotFoundError():
                reason = "a digest lists it, but it was removed during the verification"
                self._record_log_fault(files, judged, FaultKind.MISSING_LOG, Charge.MISSING, uri, reason)
            case OSError():
                self.skipped.append(Skipped(uri, str(found.strerror or found)))
                self.record_unread(files, judged)
            case Hashes(text=job.listed.hash):
                self._logs[_VALID if judged.charge is None else Charge.UNPROVEN] += 1
                if judged.charge is None:
                    self._vouched[uri] = Vouched(_chain_of(judged.file), found.stored)
            case Hashes():
                reason = "its SHA-256 is not the one in the digest: it was modified"
                self._record_log_fault(files, judged, FaultKind.HASH, Charge.INVALID, uri, reason)
            case damage:
                self._record_log_fault(files, judged, FaultKind.DAMAGED, Charge.INVALID, uri, damage.reason)

    def record_unlisted(self, kind: FaultKind, logs: Sequence[LogFile]) -> None:
        """Count log files that no digest lists; ``kind`` says whether one should."""
        is_invalid = kind is FaultKind.UNLISTED
        self._logs[Charge.INVALID if is_invalid else Charge.UNPROVEN] += len(logs)
        if is_invalid:
            self._altered.update(log.uri for log in logs)

    def verification(self) -> Verification:
        """Return everything that was found."""
        digests = {kind: count for (late, kind), count in self._digests.items() if not late}
        backfill = {kind: count for (late, kind), count in self._digests.items() if late}
        return Verification(
            proven=tuple(sorted(self.proven)),
            faults=tuple(sorted(self.faults, key=_order)),
            skipped=tuple(self.skipped),
            digests=_checked(digests),
            backfill_digests=_checked(backfill),
            logs=_checked(self._logs),
            files=self._files,
            bytes=self._bytes,
            keys=tuple(sorted(self._keys, key=lambda key: (key.fingerprint, key.origin))),
            vouched=self._vouched,
            altered=frozenset(self._altered),
        )

    def _record_log_fault(
        self, files: SiteFiles, judged: Judged, kind: FaultKind, charge: Charge, uri: str, reason: str
    ) -> None:
        """Record a fault of a log file; it is only unproven if its digest is not genuine itself."""
        if judged.charge is not None:
            charge, reason = Charge.UNPROVEN, f"{reason}; but the digest is not proven itself"
        if charge is Charge.INVALID:
            self._altered.add(uri)
        self._logs[charge] += 1
        files.doubt(judged)
        account, region = files.site
        self.faults.append(
            Fault(
                kind=kind,
                charge=charge,
                uri=uri,
                reason=reason,
                digest=judged.file.uri,
                account=account,
                region=region,
                start=judged.start,
                end=judged.end,
            )
        )


def _chain_of(file: DigestFile) -> DigestChain:
    return DigestChain(file.trail, file.home_region)


def _checked(counted: Mapping[str, int]) -> Checked:
    return Checked(**{name: counted.get(name, 0) for name in Checked.__struct_fields__})


def _order(fault: Fault) -> tuple[str, str, datetime, str, str]:
    start = fault.start or FIRST
    return fault.account or "", fault.region or "", start, fault.uri, fault.kind
