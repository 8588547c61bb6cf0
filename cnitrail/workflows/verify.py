"""Sources → what CloudTrail's signed digests prove of them: the workflow of ``verify``."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import TYPE_CHECKING, Final, TypeVar

from cnitrail.debuglog import debug
from cnitrail.intervals import Interval, union
from cnitrail.model import DigestFile, Fault, LogFile, Scope, Skipped, Verification
from cnitrail.prefetch import prefetch
from cnitrail.sources.trail_reader import SEARCH_MARGIN, open_trail
from cnitrail.timeclamp import shifted
from cnitrail.validation.chain import Chain, Fetched, Judged
from cnitrail.validation.digest import Digest, ListedLog
from cnitrail.validation.object_key import lies_at, name_of
from cnitrail.validation.unlisted import ChainReach, faults_of, sort_out
from cnitrail.workflows.checksums import check_sums
from cnitrail.workflows.keyring import Keyring
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.verdicts import SiteFiles, Verdicts
from cnitrail.workflows.verify_files import LogJob, fetch_digest, hash_log, parse_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from cnitrail.model import PublicKey
    from cnitrail.sources.trail_reader import AccountRegion, Trail
    from cnitrail.workflows.observer import Observer

_AHEAD_BYTES: Final = 64 * 1024 * 1024
"""Maximum size of log files that are read ahead."""
_DIGESTS_AHEAD: Final = 16
"""Maximum number of digests that are read ahead: their texts are kept until they are judged."""

_Times = tuple[datetime | None, datetime | None]
_File = TypeVar("_File", DigestFile, LogFile)


def verify_sources(
    uris: tuple[str, ...],
    scope: Scope,
    public_keys: str | None = None,
    observer: Observer = SILENT,
) -> Verification:
    """Return what the digests in sources prove of the log files there.

    The times of the scope are those of events: files count that were delivered from ``since`` until
    ``delivery_lag`` after ``until``. ``public_keys`` is the path of a file that ``aws cloudtrail
    list-public-keys`` wrote; if None, keys that are stored with a copy are used, or AWS is asked. Raises
    ``SourceError`` if a source, or every key, cannot be read at all.
    """
    from concurrent.futures import ThreadPoolExecutor

    observer.stage("faults")
    trails: list[Trail] = []
    try:
        trails.extend(open_trail(uri, scope) for uri in uris)
        keyring = Keyring(scope, trails, public_keys)
        threads = max((trail.threads for trail in trails), default=1)
        with ThreadPoolExecutor(threads, "verify") as pool:
            work = _Work(_times(trails), keyring, pool, 2 * threads, observer)
            try:
                return work.verification(trails)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        for trail in trails:
            trail.close()


class _Work:
    """A verification in progress."""

    def __init__(
        self, times: _Times, keyring: Keyring, pool: Executor, most: int, observer: Observer
    ) -> None:
        self._since, self._until = times
        self._keyring = keyring
        self._pool = pool
        self._most = most
        self._observer = observer
        self._verdicts = Verdicts()

    def verification(self, trails: Sequence[Trail]) -> Verification:
        """Verify everything, one account and Region after the other."""
        verdicts = self._verdicts
        trails_of: defaultdict[AccountRegion, list[Trail]] = defaultdict(list)
        for trail in trails:
            for site in trail.account_regions():
                if isinstance(site, Skipped):
                    verdicts.skipped.append(site)
                else:
                    trails_of[site].append(trail)
        for site in sorted(trails_of):
            self._verify(site, trails_of[site])
        for found in check_sums(trails, self._pool, self._most):
            if isinstance(found, Skipped):
                verdicts.skipped.append(found)
            else:
                verdicts.faults.append(found)
        return verdicts.verification()

    def _verify(self, site: AccountRegion, trails: Sequence[Trail]) -> None:
        files = SiteFiles(site=site, trails=trails)
        for trail in trails:
            self._add(trail, trail.logs(site), files.logs)
            self._add(trail, trail.digests(site), files.digests)
        debug(__name__, "verifying %s in %s: %d digests", *site, len(files.digests))
        for job, done in prefetch(
            self._pool,
            hash_log,
            self._jobs(files),
            most=self._most,
            size=lambda job: min(job.file.size, _AHEAD_BYTES // 4),
            most_size=_AHEAD_BYTES,
        ):
            self._count(job.file.size)
            self._verdicts.compare(files, job, done.result())
        self._judge_unlisted(files)
        self._verdicts.proven += files.proven()

    def _add(
        self,
        trail: Trail,
        found: Iterable[_File | Skipped],
        known: defaultdict[str, list[tuple[Trail, _File]]],
    ) -> None:
        """Add the files of a trail; one that two sources have is added once."""
        for file in found:
            if isinstance(file, Skipped):
                self._verdicts.skipped.append(file)
                continue
            namesakes = known[name_of(file.key)]
            if all(file.uri != other.uri for _, other in namesakes):
                namesakes.append((trail, file))

    def _jobs(self, files: SiteFiles) -> Iterator[LogJob]:
        """Yield the log files that digests list, chain by chain; judge their digests on the way."""
        chains: defaultdict[tuple[bool, str, str], list[tuple[Trail, DigestFile]]] = defaultdict(list)
        for trail, file in chain.from_iterable(files.digests.values()):
            if _is_near(file, self._since, self._until):
                chains[file.backfill, file.trail, file.home_region].append((trail, file))
        lookups = _ChainLookups(files, self._keyring, self._verdicts.skipped)
        for (backfill, *_), digests in sorted(chains.items(), key=lambda item: item[0]):
            digests.sort(key=lambda stored: (stored[1].ended, stored[1].key), reverse=True)
            files.chains.append([])
            judging = Chain(lookups, self._since, self._until, backfill=backfill)
            for found in judging.judge(self._fetched(digests)):
                if isinstance(found, Fault):
                    self._verdicts.record_chain_fault(found, files, backfill=backfill)
                else:
                    files.chains[-1].append(found)
                    self._verdicts.record_digest(found, backfill=backfill)
                    yield from self._jobs_of(found, files)

    def _fetched(self, digests: Sequence[tuple[Trail, DigestFile]]) -> Iterator[Fetched]:
        """Yield the digests that can be read, in order; of equal ones, the one that has its S3 metadata."""
        for _, equal in groupby(self._readable(digests), key=_identity):
            yield max(equal, key=lambda fetched: fetched.metadata is not None)

    def _readable(self, digests: Sequence[tuple[Trail, DigestFile]]) -> Iterator[Fetched]:
        """Yield the digests that can be read, in order."""
        for (_, file), done in prefetch(self._pool, fetch_digest, digests, most=_DIGESTS_AHEAD):
            found = done.result()
            if isinstance(found, OSError):
                self._verdicts.skipped.append(Skipped(file.uri, str(found.strerror or found)))
                continue
            self._count(file.size)
            yield parse_digest(file, *found)

    def _jobs_of(self, judged: Judged, files: SiteFiles) -> Iterator[LogJob]:
        """Yield the log files that a digest lists; record those that are missing."""
        for listed in judged.digest.logs if judged.digest else ():
            found = [
                (trail, file)
                for trail, file in files.logs.get(name_of(listed.key), ())
                if lies_at(file, listed.bucket, listed.key)
            ]
            files.listed.update(file.uri for _, file in found)
            if not judged.is_asked:
                continue
            stored = found or self._find(listed, files)
            if stored is None:
                self._verdicts.record_unread(files, judged)
                continue
            yield from (LogJob(judged, listed, trail, file) for trail, file in stored)
            if not stored:
                self._verdicts.record_missing(files, judged, listed)

    def _find(self, listed: ListedLog, files: SiteFiles) -> list[tuple[Trail, LogFile]] | None:
        """Return a log file that is not stored where its name says; None if that cannot be known."""
        found, is_known = [], True
        for trail in files.trails:
            try:
                file = trail.find(listed.bucket, listed.key)
            except OSError as error:
                self._verdicts.skipped.append(Skipped(f"s3://{listed.bucket}/{listed.key}", str(error)))
                is_known = False
            else:
                found += [(trail, file)] if file is not None else []
        return found if found or is_known else None

    def _judge_unlisted(self, files: SiteFiles) -> None:
        """Record the log files that no digest lists, of those delivered in the time asked for."""
        logs = [
            log
            for _, log in chain.from_iterable(files.logs.values())
            if log.uri not in files.listed
            and (self._since is None or log.delivered >= self._since)
            and (self._until is None or log.delivered <= self._until)
        ]
        reaches = [_reach(judged) for judged in files.chains if judged and not judged[0].file.backfill]
        doubtful = [
            Interval(judged.start, judged.end)
            for judged in chain.from_iterable(files.chains)
            if judged.file.backfill and judged.charge is not None
        ]
        sorted_out = sort_out(logs, reaches, doubtful)
        self._verdicts.faults += faults_of(sorted_out, reaches)
        for kind, unlisted in sorted_out.items():
            self._verdicts.record_unlisted(kind, unlisted)

    def _count(self, size: int) -> None:
        self._observer.advance(*self._verdicts.count_file(size))


class _ChainLookups:
    """Looks up what a chain of digests asks for: keys, and whether a digest exists."""

    def __init__(self, files: SiteFiles, keyring: Keyring, skipped: list[Skipped]) -> None:
        self._files = files
        self._keyring = keyring
        self._skipped = skipped
        ends = [file.ended for _, file in chain.from_iterable(files.digests.values())]
        self._span = (min(ends), max(ends)) if ends else None

    def key(self, file: DigestFile, digest: Digest, generated: str | None) -> PublicKey | None:
        """Return the key of a digest: of its own time, or of the time at which it was backfilled."""
        assert self._span is not None
        times = [self._span]
        if generated is not None and (time := _time(generated)) is not None:
            times.append((time, time))
        return self._keyring.find(file.region, digest.fingerprint, times)

    def has_digest(self, bucket: str, key: str) -> bool | None:
        """Return whether a digest exists; True if that is not known, so that it is not reported missing."""
        if any(lies_at(file, bucket, key) for _, file in self._files.digests.get(name_of(key), ())):
            return True
        trails = [trail for trail in self._files.trails if trail.has_bucket(bucket)]
        try:
            return any(trail.find(bucket, key) is not None for trail in trails) if trails else None
        except OSError as error:
            self._skipped.append(Skipped(f"s3://{bucket}/{key}", str(error)))
            return True


def _times(trails: Sequence[Trail]) -> _Times:
    """Return the first and last time of delivery that is asked for, of all trails together."""
    scopes = [trail.scope for trail in trails]
    sinces = [scope.since for scope in scopes if scope.since is not None]
    untils = [shifted(scope.until, scope.delivery_lag) for scope in scopes if scope.until is not None]
    return (
        min(sinces) if len(sinces) == len(scopes) else None,
        max(untils) if len(untils) == len(scopes) else None,
    )


def _identity(fetched: Fetched) -> tuple[str, str]:
    """Return what copies of a digest have in common; nothing has it in common with a damaged one."""
    file, digest = fetched.file, fetched.digest
    return (name_of(file.key), digest.hash) if isinstance(digest, Digest) else (file.uri, "")


def _is_near(file: DigestFile, since: datetime | None, until: datetime | None) -> bool:
    """Return whether a digest may overlap a range of times, or be next to one that does."""
    is_late_enough = since is None or file.ended > shifted(since, -SEARCH_MARGIN)
    return is_late_enough and (until is None or file.ended < shifted(until, SEARCH_MARGIN))


def _reach(judged: Sequence[Judged]) -> ChainReach:
    """Return what a chain of digests covers."""
    oldest = judged[-1]
    return ChainReach(
        top=oldest.file.top,
        covered=union(Interval(digest.start, digest.end) for digest in judged if digest.charge is None),
        first=min(digest.start for digest in judged),
        last=max(digest.end for digest in judged),
        begins=oldest.begins,
    )


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or UTC) if 2000 <= time.year < 3000 else None
