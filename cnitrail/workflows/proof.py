"""``--verify``: what CloudTrail's digests prove of the evidence that is read, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.errors import UsageError
from cnitrail.history import cover
from cnitrail.model import Charge, FaultKind, Faulty, HoleReason, Unproven
from cnitrail.sources import source_type
from cnitrail.sources.layout import is_in_scope, log_name
from cnitrail.timeclamp import FIRST, LAST
from cnitrail.workflows.losses import lost_file
from cnitrail.workflows.observer import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.model import AccountRegion, Coverage, DigestChain, Event, Lost, Moment, Scope, Sign
    from cnitrail.workflows.observer import Observer

_ALTERED = (FaultKind.HASH, FaultKind.DAMAGED)
_CHANGED = "it was modified between verification and reading"
_GONE = "it was verified, but removed before the evidence was read"


class Proof:
    """What digests prove; while the evidence is read, it learns which times they do not prove after all.

    A time is not proven if one of its files could not be read as it was verified. Only a trail that is known
    to record EC2's write calls proves anything: one that records only reads, or only data events, delivers
    nothing while addresses change.
    """

    def __init__(
        self,
        uris: Sequence[str],
        scope: Scope,
        public_keys: str | None = None,
        observer: Observer = SILENT,
    ) -> None:
        """Verify the sources. Raises ``UsageError`` if none can have digests, ``SourceError`` as they do."""
        from cnitrail.workflows.verify import verify_sources

        self._scope = scope
        self._verified = tuple(uri for uri in uris if source_type(uri).has_digests)
        if not self._verified:
            tables = [uri for uri in uris if source_type(uri).is_table]
            if tables:
                raise UsageError(
                    f"--verify: digests sign log files, and {', '.join(tables)} is read by a query engine",
                    "name the bucket of its log files instead (s3://BUCKET/PREFIX), or leave out --verify",
                )
            raise UsageError(
                "--verify: no source here has digests",
                "name a trail's bucket (s3://BUCKET), or a copy that cnitrail sync has made",
            )
        found = verify_sources(self._verified, scope, public_keys, observer)
        self._proven = found.proven
        self.skipped = found.skipped
        self._faults = [
            Faulty(fault.uri, fault.reason) for fault in found.faults if fault.charge is not Charge.UNPROVEN
        ]
        self._vouched = found.vouched
        self._altered = set(found.altered)
        self._read: set[str] = set()
        self._lost = [
            fault.uri for fault in found.faults if fault.kind in _ALTERED and fault.charge is Charge.INVALID
        ]
        self._writers: set[tuple[str, DigestChain]] = set()
        self._missing = [
            (name.account, name.region, name.delivered)
            for fault in found.faults
            if (fault.kind, fault.charge) == (FaultKind.MISSING_LOG, Charge.MISSING)
            and (name := log_name(fault.uri)) is not None
        ]

    @property
    def faults(self) -> tuple[Faulty, ...]:
        """The files that are not as CloudTrail delivered them, or were not read as they were verified."""
        return tuple(self._faults)

    def vouches(self, source: str, uri: str, stored_hash: str | None) -> bool:
        """Return whether a document is proven: a digest lists it, and the bytes read are those verified.

        ``stored_hash`` is SHA-256 of the stored bytes that were read, in hex; None if they were not all read.
        """
        vouched = self._vouched.get(uri) if source in self._verified else None
        if vouched is None:
            return False
        self._read.add(uri)
        if stored_hash is not None and stored_hash != vouched.stored_hash and uri not in self._altered:
            self._altered.add(uri)
            self._lose(uri, _CHANGED)
        return stored_hash == vouched.stored_hash and uri not in self._altered

    def wrote(self, uri: str) -> None:
        """Note that a proven document has a write call of EC2, so that its trail records them."""
        name = log_name(uri)
        if name is not None:
            self._writers.add((name.account, self._vouched[uri].chain))

    def cover(
        self,
        signs: Iterable[Sign],
        moments: Iterable[Event | Moment],
        lost: Iterable[Lost],
        answered: Iterable[AccountRegion],
        unread: Iterable[str],
        *,
        assume_complete: bool,
    ) -> Coverage:
        """Return what the evidence covers, once everything is read."""
        for uri in sorted(self._vouched.keys() - self._read - set(unread)):
            if is_in_scope(uri, self._scope) and uri.startswith(self._verified):
                self._lose(uri, _GONE)
        altered = (lost_file(uri, HoleReason.ALTERED) for uri in dict.fromkeys(self._lost))
        return cover(
            set(signs) - self._signs_of_other_trails(),
            moments,
            [span for span in self._proven if (span.account, span.chain) in self._writers],
            self._not_asked_for(),
            self._missing,
            self._scope.delivery_lag,
            lost=[*lost, *altered],
            answered=answered,
            assume_complete=assume_complete,
        )

    def _signs_of_other_trails(self) -> set[Sign]:
        """Return the signs of trails that do not record writes, in accounts where another trail does.

        Such files would hide that the other trail was switched off.
        """
        accounts = {account for account, _ in self._writers}
        stamps: dict[bool, set[Sign]] = {True: set(), False: set()}
        for uri, vouched in self._vouched.items():
            name = log_name(uri)
            if name is not None and name.account in accounts:
                records_writes = (name.account, vouched.chain) in self._writers
                stamps[records_writes].add((name.account, name.region, name.delivered))
        return stamps[False] - stamps[True]

    def _lose(self, uri: str, reason: str) -> None:
        """Note that a file could not be read as it was verified."""
        self._lost.append(uri)
        self._faults.append(Faulty(uri, reason))

    def _not_asked_for(self) -> Iterator[Unproven]:
        """The times that sources may have left out."""
        if self._scope.since is not None:
            yield Unproven(None, None, FIRST, self._scope.since)
        if self._scope.until is not None:
            yield Unproven(None, None, self._scope.until, LAST)
