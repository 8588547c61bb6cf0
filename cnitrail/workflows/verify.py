"""Sources → what CloudTrail's signed digests prove of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct, field

from cnitrail.model import (
    Charge,
    Checked,
    DigestChain,
    DigestFile,
    Fault,
    FaultKind,
    LogFile,
    Metadata,
    Proven,
    Scope,
    Skipped,
    Verification,
    Vouched,
)
from cnitrail.prefetch import prefetch
from cnitrail.sources.trails import NEXT_TO, open_trail
from cnitrail.timeclamp import FIRST, shifted
from cnitrail.validation.chain import Chain, Fetched, Judged
from cnitrail.validation.damage import DamagedFile
from cnitrail.validation.digest import Digest, ListedLog, read_digest
from cnitrail.validation.hashing import Hashes, hashes_of, text_of
from cnitrail.validation.object_key import lies_at, name_of
from cnitrail.validation.spans import Span, union, without
from cnitrail.validation.unlisted import ChainReach, faults_of, sort_out
from cnitrail.workflows.checksums import check_sums
from cnitrail.workflows.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from cnitrail.model import PublicKey
    from cnitrail.sources.trails import AccountRegion, Trail

_AHEAD_BYTES: Final = 64 * 1024 * 1024
_DIGESTS_AHEAD: Final = 16
"""So many digests' texts are held at a time; each is read as JSON when its turn has come."""

_Times = tuple[datetime | None, datetime | None]
_File = TypeVar("_File", DigestFile, LogFile)


def verify_sources(
    uris: tuple[str, ...],
    scope: Scope,
    public_keys: str | None,
    advance: Callable[[int, int, int], None] = lambda _files, _bytes, _faults: None,
) -> Verification:
    """What the digests in sources prove of the log files there.

    Of the scope, times are those of events: what counts is delivered from ``since`` until
    ``delivery_lag`` after ``until``. ``public_keys`` is the path of a file that ``aws cloudtrail
    list-public-keys`` wrote; None where keys lie beside a copy, or AWS is asked. ``advance`` is told how
    many files and stored bytes have been read, and faults found. Raises ``SourceError`` where a source,
    or every key, cannot be had at all.
    """
    from concurrent.futures import ThreadPoolExecutor

    trails: list[Trail] = []
    try:
        trails.extend(open_trail(uri, scope) for uri in uris)
        keyring = Keyring(scope, trails, public_keys)
        threads = max((trail.threads for trail in trails), default=1)
        with ThreadPoolExecutor(threads, "verify") as pool:
            work = _Work(_times(trails), keyring, pool, 2 * threads, advance)
            try:
                return work.verification(trails)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        for trail in trails:
            trail.close()


class _Job(Struct, frozen=True, gc=False):
    """A log file to be hashed, because a digest lists it."""

    judged: Judged
    listed: ListedLog
    trail: Trail
    file: LogFile


class _Here(Struct):
    """What is known of one account and Region, while it is verified.

    Files are kept by name. ``doubted`` are spans in which something is wrong with a log file.
    """

    site: AccountRegion
    trails: Sequence[Trail]
    logs: defaultdict[str, list[tuple[Trail, LogFile]]] = field(default_factory=lambda: defaultdict(list))
    digests: defaultdict[str, list[tuple[Trail, DigestFile]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    listed: set[str] = field(default_factory=set)
    chains: list[list[Judged]] = field(default_factory=list)
    doubted: list[Span] = field(default_factory=list)


class _Work:
    """A verification in progress."""

    def __init__(
        self,
        times: _Times,
        keyring: Keyring,
        pool: Executor,
        most: int,
        advance: Callable[[int, int, int], None],
    ) -> None:
        self._since, self._until = times
        self._keyring = keyring
        self._pool = pool
        self._most = most
        self._advance = advance
        self._files = self._bytes = 0
        self._faults: list[Fault] = []
        self._skipped: list[Skipped] = []
        self._proven: list[Proven] = []
        self._keys: set[PublicKey] = set()
        self._vouched: dict[str, Vouched] = {}
        self._altered: set[str] = set()
        self._digests: Counter[tuple[bool, str]] = Counter()
        self._logs: Counter[str] = Counter()

    def verification(self, trails: Sequence[Trail]) -> Verification:
        """Verify everything, one account and Region after the other."""
        where: defaultdict[AccountRegion, list[Trail]] = defaultdict(list)
        for trail in trails:
            for found in trail.sites():
                if isinstance(found, Skipped):
                    self._skipped.append(found)
                else:
                    where[found].append(trail)
        for site in sorted(where):
            self._verify(site, where[site])
        self._faults += check_sums(trails, self._pool, self._most)
        return Verification(
            proven=tuple(sorted(self._proven)),
            faults=tuple(sorted(self._faults, key=_order)),
            skipped=tuple(self._skipped),
            digests=_checked({kind: count for (late, kind), count in self._digests.items() if not late}),
            backfill_digests=_checked({kind: count for (late, kind), count in self._digests.items() if late}),
            logs=_checked(self._logs),
            files=self._files,
            bytes=self._bytes,
            keys=tuple(sorted(self._keys, key=lambda key: (key.fingerprint, key.origin))),
            vouched=self._vouched,
            altered=frozenset(self._altered),
        )

    def _verify(self, site: AccountRegion, trails: Sequence[Trail]) -> None:
        here = _Here(site, trails)
        for trail in trails:
            self._enter(trail, trail.logs(site), here.logs)
            self._enter(trail, trail.digests(site), here.digests)
        for job, done in prefetch(
            self._pool,
            _hash,
            self._jobs(here),
            most=self._most,
            size=lambda job: min(job.file.size, _AHEAD_BYTES // 4),
            most_size=_AHEAD_BYTES,
        ):
            self._weigh(here, job, done.result())
        self._judge_unlisted(here)
        self._proven += _proven(here)

    def _enter(
        self,
        trail: Trail,
        files: Iterable[_File | Skipped],
        known: defaultdict[str, list[tuple[Trail, _File]]],
    ) -> None:
        """Take in the files of a trail; one that two sources hold is taken once."""
        for file in files:
            if isinstance(file, Skipped):
                self._skipped.append(file)
                continue
            namesakes = known[name_of(file.key)]
            if all(file.uri != other.uri for _, other in namesakes):
                namesakes.append((trail, file))

    def _jobs(self, here: _Here) -> Iterator[_Job]:
        """The log files that digests list, chain by chain; their digests are judged on the way."""
        chains: defaultdict[tuple[bool, str, str], list[tuple[Trail, DigestFile]]] = defaultdict(list)
        for trail, file in chain.from_iterable(here.digests.values()):
            if _is_near(file, self._since, self._until):
                chains[file.backfill, file.trail, file.home_region].append((trail, file))
        around = _Around(here, self._keyring, self._skipped)
        for (backfill, *_), files in sorted(chains.items(), key=lambda item: item[0]):
            files.sort(key=lambda each: (each[1].ended, each[1].key), reverse=True)
            here.chains.append([])
            judging = Chain(around, self._since, self._until, backfill=backfill)
            for found in judging.judge(self._fetched(files)):
                if isinstance(found, Fault):
                    self._accuse(found, here, backfill)
                else:
                    yield from self._logs_of(found, here, backfill)

    def _fetched(self, files: Sequence[tuple[Trail, DigestFile]]) -> Iterator[Fetched]:
        """The digests that could be read, in order; one that lies twice in a copy comes once."""
        last: tuple[str, str] | None = None
        for (_, file), done in prefetch(self._pool, _fetch, files, most=_DIGESTS_AHEAD):
            found = done.result()
            if isinstance(found, OSError):
                self._skipped.append(Skipped(file.uri, str(found.strerror or found)))
                continue
            self._count(file.size)
            fetched = _read(file, *found)
            digest = fetched.digest
            this = (name_of(file.key), digest.hash) if isinstance(digest, Digest) else None
            if this is None or this != last:
                yield fetched
            last = this

    def _logs_of(self, judged: Judged, here: _Here, backfill: bool) -> Iterator[_Job]:
        """The log files that a digest lists, where they are; what is wrong with the others is told."""
        here.chains[-1].append(judged)
        if judged.is_asked:
            self._digests[backfill, judged.charge or "valid"] += 1
        if judged.key is not None:
            self._keys.add(judged.key)
        for listed in judged.digest.logs if judged.digest else ():
            found = [
                (trail, file)
                for trail, file in here.logs.get(name_of(listed.key), ())
                if lies_at(file, listed.bucket, listed.key)
            ]
            here.listed.update(file.uri for _, file in found)
            if judged.is_asked:
                asked_for = found or self._asked_for(listed, here)
                if asked_for is None:
                    self._logs[Charge.UNPROVEN] += 1
                    here.doubted.append((judged.start, judged.end))
                    continue
                yield from (_Job(judged, listed, trail, file) for trail, file in asked_for)
                if not asked_for:
                    self._absent(judged, listed, here)

    def _asked_for(self, listed: ListedLog, here: _Here) -> list[tuple[Trail, LogFile]] | None:
        """A log file that was not listed where its name says, but may be there; None if nobody can say."""
        found, is_known = [], True
        for trail in here.trails:
            try:
                file = trail.finds(listed.bucket, listed.key)
            except OSError as error:
                self._skipped.append(Skipped(f"s3://{listed.bucket}/{listed.key}", str(error)))
                is_known = False
            else:
                found += [(trail, file)] if file is not None else []
        return found if found or is_known else None

    def _absent(self, judged: Judged, listed: ListedLog, here: _Here) -> None:
        """Tell of a log file that is not there."""
        uri = f"s3://{listed.bucket}/{listed.key}"
        if not any(trail.holds(listed.bucket) for trail in here.trails):
            reason = f"it lies in another bucket: name s3://{listed.bucket}, too"
            self._blame(here, judged, FaultKind.ELSEWHERE, Charge.UNPROVEN, uri, reason)
            return
        reason = "a digest lists it, but it is not there"
        if namesakes := here.logs.get(name_of(listed.key)):
            reason += f" ({namesakes[0][1].uri} has its name)"
        self._blame(here, judged, FaultKind.MISSING_LOG, Charge.MISSING, uri, reason)

    def _weigh(self, here: _Here, job: _Job, found: Hashes | DamagedFile | OSError) -> None:
        """Hold what a log file was found to be against what its digest says."""
        self._count(job.file.size)
        uri, judged = job.file.uri, job.judged
        match found:
            case FileNotFoundError():
                reason = "a digest lists it, but it went away while it was verified"
                self._blame(here, judged, FaultKind.MISSING_LOG, Charge.MISSING, uri, reason)
            case OSError():
                self._skipped.append(Skipped(uri, str(found.strerror or found)))
                self._logs[Charge.UNPROVEN] += 1
                here.doubted.append((judged.start, judged.end))
            case DamagedFile():
                self._blame(here, judged, FaultKind.DAMAGED, Charge.INVALID, uri, found.reason)
            case Hashes(text=job.listed.hash):
                self._logs["valid" if judged.charge is None else Charge.UNPROVEN] += 1
                if judged.charge is None:
                    self._vouched[uri] = Vouched(_chain_of(judged.file), found.stored)
            case Hashes():
                reason = "its SHA-256 is not the one that the digest lists: it was changed"
                self._blame(here, judged, FaultKind.HASH, Charge.INVALID, uri, reason)

    def _blame(
        self, here: _Here, judged: Judged, kind: FaultKind, charge: Charge, uri: str, reason: str
    ) -> None:
        """A fault of a log file; it is no accusation where its digest is not genuine itself."""
        if judged.charge is not None:
            charge, reason = Charge.UNPROVEN, f"{reason}; but the digest is not proven itself"
        if charge is Charge.INVALID:
            self._altered.add(uri)
        self._logs[charge] += 1
        here.doubted.append((judged.start, judged.end))
        self._faults.append(
            Fault(kind, charge, uri, reason, judged.file.uri, *here.site, judged.start, judged.end)
        )

    def _accuse(self, fault: Fault, here: _Here, backfill: bool) -> None:
        """A fault of a chain of digests."""
        self._faults.append(fault)
        if fault.kind is FaultKind.MISSING_DIGEST:
            self._digests[backfill, fault.charge] += 1
        if backfill and fault.start is not None and fault.end is not None:
            here.doubted.append((fault.start, fault.end))

    def _judge_unlisted(self, here: _Here) -> None:
        """The log files that no digest lists, of those delivered in the time asked for."""
        logs = [
            log
            for _, log in chain.from_iterable(here.logs.values())
            if log.uri not in here.listed
            and (self._since is None or log.delivered >= self._since)
            and (self._until is None or log.delivered <= self._until)
        ]
        reaches = [_reach(judged) for judged in here.chains if judged and not judged[0].file.backfill]
        doubtful = [
            (each.start, each.end)
            for each in chain.from_iterable(here.chains)
            if each.file.backfill and each.charge is not None
        ]
        sorted_out = sort_out(logs, reaches, doubtful)
        self._faults += faults_of(sorted_out, reaches)
        for kind, several in sorted_out.items():
            is_accused = kind is FaultKind.UNLISTED
            self._logs[Charge.INVALID if is_accused else Charge.UNPROVEN] += len(several)
            if is_accused:
                self._altered.update(log.uri for log in several)

    def _count(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        self._advance(self._files, self._bytes, len(self._faults))


class _Around:
    """What a chain of digests asks for."""

    def __init__(self, here: _Here, keyring: Keyring, skipped: list[Skipped]) -> None:
        self._here = here
        self._keyring = keyring
        self._skipped = skipped
        ends = [file.ended for _, file in chain.from_iterable(here.digests.values())]
        self._span = (min(ends), max(ends)) if ends else None

    def key(self, file: DigestFile, digest: Digest, generated: str | None) -> PublicKey | None:
        """The key of a digest: of its own time, or of the time at which it was filled in."""
        assert self._span is not None
        times = [self._span]
        if generated is not None and (time := _time(generated)) is not None:
            times.append((time, time))
        return self._keyring.find(file.region, digest.fingerprint, times)

    def has_digest(self, bucket: str, key: str) -> bool | None:
        """Whether a digest is there; where that cannot be told, it is not said to be missing."""
        if any(lies_at(file, bucket, key) for _, file in self._here.digests.get(name_of(key), ())):
            return True
        trails = [trail for trail in self._here.trails if trail.holds(bucket)]
        try:
            return any(trail.finds(bucket, key) is not None for trail in trails) if trails else None
        except OSError as error:
            self._skipped.append(Skipped(f"s3://{bucket}/{key}", str(error)))
            return True


def _fetch(each: tuple[Trail, DigestFile]) -> tuple[bytes | DamagedFile, Metadata | str | None] | OSError:
    """The text of a digest file, and what is known of it beside that."""
    trail, file = each
    try:
        stored, beside = trail.whole(file)
    except OSError as error:
        return error
    try:
        return text_of((stored,), trail.scope.growth, is_copy=file.bucket is None), beside
    except DamagedFile as damage:
        return damage, beside


def _read(file: DigestFile, text: bytes | DamagedFile, beside: Metadata | str | None) -> Fetched:
    """What a digest file says."""
    digest: Digest | DamagedFile
    try:
        digest = text if isinstance(text, DamagedFile) else read_digest(text)
    except DamagedFile as damage:
        digest = damage
    if isinstance(beside, str):
        return Fetched(file, digest, None, beside)
    return Fetched(file, digest, beside)


def _hash(job: _Job) -> Hashes | DamagedFile | OSError:
    """The hashes of a log file, or what keeps them from being had."""
    try:
        return hashes_of(job.trail.pieces(job.file), job.trail.scope.growth, is_copy=job.file.bucket is None)
    except (DamagedFile, OSError) as error:
        return error


def _times(trails: Sequence[Trail]) -> _Times:
    """From when until when what was delivered is asked for, of all trails together."""
    scopes = [trail.scope for trail in trails]
    sinces = [scope.since for scope in scopes if scope.since is not None]
    untils = [shifted(scope.until, scope.delivery_lag) for scope in scopes if scope.until is not None]
    return (
        min(sinces) if len(sinces) == len(scopes) else None,
        max(untils) if len(untils) == len(scopes) else None,
    )


def _is_near(file: DigestFile, since: datetime | None, until: datetime | None) -> bool:
    """Whether a digest may meet a span of time, or be next to one that does."""
    is_late_enough = since is None or file.ended > shifted(since, -NEXT_TO)
    return is_late_enough and (until is None or file.ended < shifted(until, NEXT_TO))


def _reach(judged: Sequence[Judged]) -> ChainReach:
    """What a chain of digests knows of log files."""
    oldest = judged[-1]
    return ChainReach(
        top=oldest.file.top,
        covered=union((each.start, each.end) for each in judged if each.charge is None),
        first=min(each.start for each in judged),
        last=max(each.end for each in judged),
        begins=oldest.begins,
    )


def _chain_of(file: DigestFile) -> DigestChain:
    return DigestChain(file.trail, file.home_region)


def _proven(here: _Here) -> Iterator[Proven]:
    """Yield what each chain of an account and Region proves, where no chain has a gap.

    While one trail was switched off, another may have recorded only reads, or only data events: its digests
    say nothing about the calls that the first one would have recorded.
    """
    valid: dict[DigestChain, list[Span]] = {}
    bad = list(here.doubted)
    for judged in here.chains:
        asked = [digest for digest in judged if digest.is_asked]
        if not asked or asked[0].file.backfill:
            continue
        hull = (min(digest.start for digest in asked), max(digest.end for digest in asked))
        spans = [(digest.start, digest.end) for digest in asked if digest.charge is None]
        valid[_chain_of(asked[0].file)] = spans
        bad += without([hull], spans)
    for chain_id, spans in valid.items():
        for start, end in without(spans, bad):
            yield Proven(*here.site, start, end, chain_id)


def _checked(counted: Mapping[str, int]) -> Checked:
    return Checked(**{name: counted.get(name, 0) for name in Checked.__struct_fields__})


def _order(fault: Fault) -> tuple[str, str, datetime, str, str]:
    start = fault.start or FIRST
    return fault.account or "", fault.region or "", start, fault.uri, fault.kind


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or UTC) if 2000 <= time.year < 3000 else None
