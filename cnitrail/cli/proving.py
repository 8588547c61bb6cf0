"""``--verify``: what CloudTrail's digests prove of the sources, and what of the evidence they do not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cnitrail.errors import UsageError
from cnitrail.history import cover
from cnitrail.model import Charge, FaultKind, Faulty, Unproven
from cnitrail.sources.layout import STAMP_SLACK, log_name
from cnitrail.store.head import is_sqlite
from cnitrail.times import FIRST, LAST, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnitrail.cli.progress import Progress
    from cnitrail.model import Coverage, Event, IssuedSession, Moment, Scope, Sign, Skipped

_SECOND = timedelta(seconds=1)


class Proof:
    """What digests prove, and, as the evidence is read, which times of it they do not vouch for.

    A time is not vouched for if a file of it could not be read, though it is as it was delivered, or if
    an event of it comes from elsewhere than from files that digests list.
    """

    def __init__(
        self, uris: Sequence[str], scope: Scope, public_keys: str | None, progress: Progress
    ) -> None:
        """Raises ``UsageError`` where no source can have digests, ``SourceError`` as its sources do."""
        from cnitrail.cli.verifying import verify_sources

        self._scope = scope
        self._verified = tuple(uri for uri in uris if can_have_digests(uri))
        if not self._verified:
            raise UsageError(
                "--verify: no source here has digests",
                "name a trail's bucket (s3://BUCKET), or a copy that cnitrail sync has made",
            )
        found = verify_sources(self._verified, scope, public_keys, progress.advance)
        self._proven = found.proven
        self.skipped = found.skipped
        self.faults = tuple(
            Faulty(each.uri, each.reason) for each in found.faults if each.charge is not Charge.UNPROVEN
        )
        self._vouched = found.vouched
        self._missing = [
            (name.account, name.region, name.delivered)
            for each in found.faults
            if (each.kind, each.charge) == (FaultKind.MISSING_LOG, Charge.MISSING)
            and (name := log_name(each.uri)) is not None
        ]
        self._doubts: list[Unproven] = []

    def vouches(self, source: str, uri: str) -> bool:
        """Whether a document of a source is as a digest lists it."""
        return source in self._verified and uri in self._vouched

    def doubt(self, fact: Event | IssuedSession) -> None:
        """Learn of a fact in a document that is not vouched for."""
        around = moved(fact.time, -_SECOND), moved(fact.time, _SECOND)
        self._doubts.append(Unproven(fact.account, fact.region, *around))

    def cover(
        self, signs: Iterable[Sign], moments: Iterable[Event | Moment], skipped: Sequence[Skipped]
    ) -> Coverage:
        """What the evidence covers, now that all is read."""
        doubts = [*self._doubts, *self._unread(skipped), *self._not_asked_for()]
        return cover(signs, moments, self._proven, doubts, self._missing, self._scope.delivery_lag)

    def _unread(self, skipped: Sequence[Skipped]) -> Iterator[Unproven]:
        """The times of files that could not be read."""
        for each in skipped:
            name = log_name(each.source)
            if name is not None:
                first = moved(moved(name.delivered, -STAMP_SLACK), -self._scope.delivery_lag)
                yield Unproven(name.account, name.region, first, moved(name.delivered, STAMP_SLACK))

    def _not_asked_for(self) -> Iterator[Unproven]:
        """The times that sources may have left out."""
        if self._scope.since is not None:
            yield Unproven(None, None, FIRST, self._scope.since)
        if self._scope.until is not None:
            yield Unproven(None, None, self._scope.until, LAST)


def can_have_digests(uri: str) -> bool:
    """Whether digests may lie in a source: a store, LookupEvents and standard input have none."""
    return uri not in ("-", "lookup:") and not is_sqlite(uri)
