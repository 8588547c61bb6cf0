"""Which pod held an address at a time, beside the ENI that ``who`` names. A wrong pod is unforgivable, too.

A pod is ``certain`` if it surely held the address for all of the time asked for, no other pod may have, and
the ENI that CloudTrail shows is certain and that of the pod's node.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, chain
from typing import Final

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.pods.asked import Asked
from cnitrail.answers.pods.change_points import pod_change_points
from cnitrail.answers.pods.doubts import doubted_eni, doubts_of
from cnitrail.answers.pods.entries import may_be_in, pod_entry
from cnitrail.answers.pods.limits import audit_gaps, audit_reaches, uncovered_pods, unread_pods
from cnitrail.answers.pods.reasons import (
    left_out,
    next_pod,
    no_pod_seen,
    node_address,
    on_other_eni,
    outranked,
    released,
    story_of,
    warm_pool,
)
from cnitrail.answers.pods.rivals import (
    agrees,
    best_of,
    by_vpc,
    is_any_of,
    is_excluded,
    verdict_of,
)
from cnitrail.model import Address, Basis, History, Holder, Verdict, WhoAnswer
from cnitrail.model.pods import PodAnswer, PodEntry, PodLease, PodVerdict, WatchedNode, Witness
from cnitrail.model.reason import Reason
from cnitrail.timeclamp import FIRST, LAST, shifted

_MINUTE: Final = timedelta(minutes=1)


class PodIndex:
    """The pod leases of a history by address, found by binary search.

    What many answers share is made once: each lease as it is shown, and what is said of a node without a pod.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        leases: dict[Address, list[PodLease]] = defaultdict(list)
        for lease in history.pods.leases:
            leases[lease.ip].append(lease)
        self._leases = leases
        self._groups: dict[Address, _LeasesInOrder] = {}
        self._watched: dict[str, list[WatchedNode]] = defaultdict(list)
        for node in history.pods.watched:
            self._watched[node.instance].append(node)
        self._shown: dict[int, _ShownLease] = {}
        self._unseen: dict[str | None, Reason] = {}

    def question(self, ip: Address, at: datetime, wanted: Filter) -> "PodQuestion":
        """Return which pod may have had an address at a time, of the VPCs, accounts and Regions asked for."""
        asked, group = Asked.of(at), self._group(ip)
        found = [lease for lease in group.at(asked) if self._may_be_in(wanted, lease)]
        return PodQuestion(ip, asked, wanted, found)

    @property
    def addresses(self) -> Iterable[Address]:
        """All addresses that any pod had at any time."""
        return self._leases

    def names(self, ip: Address) -> bool:
        """Return whether any pod had an address at any time."""
        return ip in self._leases

    def change_points(self, ip: Address, instances: Iterable[str | None]) -> list[int]:
        """Return the seconds at which the pod of an address may begin to be another one.

        ``instances`` are those that the ENIs of the address were on.
        """
        return pod_change_points(
            self._leases.get(ip, ()),
            [node for instance in instances for node in self._watched.get(instance or "", ())],
            self._history.pods.spans,
        )

    def contradictions(self, question: "PodQuestion", holders: Sequence[Holder]) -> Iterator[Reason]:
        """Yield the pods that surely held an address, and not on the ENI that CloudTrail shows.

        Without a holder, every such pod contradicts that no ENI had the address. A pod in the VPC of a holder
        does not, if another pod surely had the address on that holder: a VPC has each address once, so one
        hijacked kubelet would speak against both CloudTrail and the holder's own kubelet or CNI.
        """
        asked = question.asked
        sure = [lease for lease in question.found if lease.surely_held(asked.first, asked.last)]
        confirmed = {lease.vpc for lease in sure if not lease.doubts}
        for lease in sure:
            is_elsewhere = all(agrees(lease, holder) is False for holder in holders)
            if is_elsewhere and (self._vpc(lease) not in confirmed or not lease.doubts):
                yield on_other_eni(lease, holders)

    def _vpc(self, lease: PodLease) -> str | None:
        """Return the VPC of a pod: that of its ENI, else of its instance."""
        instance = self._history.instances.get(lease.instance or "")
        return lease.vpc or (instance.vpc if instance is not None else None)

    def answer(self, question: "PodQuestion", enis: WhoAnswer) -> PodAnswer:
        """Return the pod that held an address at a time.

        ``enis`` is the answer that CloudTrail gives to the same question.
        """
        asked, found = question.asked, question.found
        holder = enis.holders[0] if len(enis.holders) == 1 else None
        is_shown = enis.verdict is Verdict.CERTAIN or not found
        if holder is not None and is_shown and holder.is_own_address:
            found = [lease for lease in found if lease.eni == holder.eni]
            if not found:
                return self._answer(asked, PodVerdict.NONE, (), [node_address(holder), *doubted_eni(enis)])
        left = [lease for lease in found if is_excluded(lease, asked, enis)]
        kept = [lease for lease in found if lease not in left] if left else found
        reasons = [left_out(lease) for lease in left]
        if not kept:
            return self._without_pod(question, enis, reasons)
        best = kept
        if len(kept) > 1:
            best = [lease for rivals in by_vpc(kept) for lease in best_of(rivals, asked)]
        shown = [self._show(lease) for lease in best]
        reasons = [*chain.from_iterable(one.story for one in shown), *reasons]
        if len(kept) > 1:
            reasons += [outranked(lease, best[0]) for lease in kept if not is_any_of(lease, best)]
        doubts = [*doubts_of(best, asked, enis), *chain.from_iterable(one.gaps for one in shown)]
        verdict = verdict_of(best, asked, doubts)
        if verdict is not PodVerdict.CERTAIN:
            doubts += unread_pods(self._history.pods)
            doubts += (reason for lease in best for reason in self._audit_gaps(lease, asked))
        return self._answer(asked, verdict, best, [*reasons, *doubts])

    def _show(self, lease: PodLease) -> "_ShownLease":
        """Return a lease as it is shown; it is known by its identity, because its hash is slow."""
        shown = self._shown.get(id(lease))
        if shown is None:
            gaps = tuple(self.gaps_in_proof(lease))
            shown = self._shown[id(lease)] = _ShownLease(pod_entry(lease), tuple(story_of(lease)), gaps)
        return shown

    def _answer(
        self, asked: Asked, verdict: PodVerdict, leases: Iterable[PodLease], reasons: Iterable[Reason]
    ) -> PodAnswer:
        return PodAnswer(
            at=asked.first,
            verdict=verdict,
            pods=tuple(self._show(lease).entry for lease in leases),
            reasons=tuple(dict.fromkeys(reasons)),
        )

    def gaps_in_proof(self, lease: PodLease) -> Iterator[Reason]:
        """Yield what the audit log lacks between two reports of a pod: it may have had another address.

        Of the time that the ``ipamd.log`` of its node covers, that does not matter.
        """
        start, end = lease.start.latest, lease.shown_until
        if start is not None and end is not None and _rests_on_audit_log(lease):
            since = self._logged_until(lease, start)
            if since < end and audit_reaches(self._history.pods, lease.cluster, end):
                yield from audit_gaps(self._history.pods, lease.cluster, since, end)

    def _logged_until(self, lease: PodLease, start: datetime) -> datetime:
        """Return until when the log of a node has everything of an assignment that it shows at a time."""
        if lease.start.witness is not Witness.IPAMD:
            return start
        # The minute of the assignment may be the first one of the log, which does not count as whole.
        spans = (node.span for node in self._watched.get(lease.instance or "", ()))
        ends = (span.end for span in spans if span.includes(start) or span.includes(shifted(start, _MINUTE)))
        return max((end for end in ends if end is not None), default=start)

    def _audit_gaps(self, lease: PodLease, asked: Asked) -> Iterator[Reason]:
        """Yield what the audit log lacks between the last report of a pod with an address and a time."""
        known = lease.end.earliest or lease.start.latest
        if known is not None and _rests_on_audit_log(lease):
            yield from audit_gaps(self._history.pods, lease.cluster, known, asked.first)

    def _group(self, ip: Address) -> "_LeasesInOrder":
        known = self._groups.get(ip)
        if known is None:
            known = self._groups[ip] = _LeasesInOrder(self._leases.get(ip, ()))
        return known

    def _without_pod(self, question: "PodQuestion", enis: WhoAnswer, reasons: list[Reason]) -> PodAnswer:
        """Return that no pod had the address, if the log of its node shows that; else that it is unknown."""
        asked, wanted, group = question.asked, question.wanted, self._group(question.ip)
        last = group.before(asked.first)
        earlier = [released(last, asked)] if last is not None and self._may_be_in(wanted, last) else []
        following = group.after(asked.last)
        if following is not None and self._may_be_in(wanted, following):
            earlier.append(next_pod(following, asked))
        instances = {holder.instance for holder in enis.holders}
        instance = next(iter(instances)) if len(instances) == 1 else None
        if instance is not None and not reasons and self._is_in_warm_pool(instance, question, enis):
            shown = [warm_pool(instance), *earlier, *doubted_eni(enis)]
            return self._answer(asked, PodVerdict.NONE, (), shown)
        unseen = [
            *uncovered_pods(self._history.pods, asked.first, asked.first),
            *unread_pods(self._history.pods),
            self._no_pod_seen(instance),
        ]
        return self._answer(asked, PodVerdict.UNKNOWN, (), [*reasons, *earlier, *unseen])

    def _no_pod_seen(self, instance: str | None) -> Reason:
        if (known := self._unseen.get(instance)) is None:
            known = no_pod_seen(instance, self._watched.get(instance or "", ()))
            self._unseen[instance] = known
        return known

    def _is_in_warm_pool(self, instance: str, question: "PodQuestion", enis: WhoAnswer) -> bool:
        """Return True if CloudTrail shows an address on a node, whose log shows that no pod had it.

        If it only likely was there, it may have been on another ENI, whose pods the log does not name, unless
        the node assigns it again later.
        """
        leases, asked = self._leases.get(question.ip, ()), question.asked
        added = next((holder.start for holder in enis.holders if holder.start_basis is Basis.OBSERVED), None)
        is_certain, is_likely = (enis.verdict is known for known in (Verdict.CERTAIN, Verdict.LIKELY))
        return any(
            (is_certain or (is_likely and node.assigns_after(leases, asked.last)))
            and node.shows_free(leases, asked.first, asked.last, added)
            for node in self._watched.get(instance, ())
        )

    def _may_be_in(self, wanted: Filter, lease: PodLease) -> bool:
        return may_be_in(self._history, wanted, lease)


class PodQuestion(Struct, frozen=True, gc=False):
    """Which pod had an address at a time, and the leases that may cover a part of that time."""

    ip: Address
    asked: Asked
    wanted: Filter
    found: Sequence[PodLease]


class _ShownLease(Struct, frozen=True, gc=False):
    """A lease as every answer shows it, and what the audit log lacks during it."""

    entry: PodEntry
    story: tuple[Reason, ...]
    gaps: tuple[Reason, ...]


def _rests_on_audit_log(lease: PodLease) -> bool:
    """Return True if an audit log shows how long a pod had an address, and no log of ipamd."""
    is_audited = any(origin.form == "eks-audit" for origin in lease.origins)
    return is_audited and lease.end.basis is not Basis.OBSERVED


class _LeasesInOrder:
    """The pod leases of one address by their earliest start."""

    def __init__(self, leases: Iterable[PodLease]) -> None:
        self._leases = sorted(leases, key=lambda lease: lease.start.earliest or FIRST)
        self._begins = [lease.start.earliest or FIRST for lease in self._leases]
        self._latest_ends = list(accumulate((lease.end.latest or LAST for lease in self._leases), max))

    def at(self, asked: Asked) -> list[PodLease]:
        """Return the leases that may cover a part of a time."""
        found = []
        place = bisect_right(self._begins, asked.last)
        while place > 0 and self._latest_ends[place - 1] >= asked.first:
            place -= 1
            if self._leases[place].perhaps_held(asked.first, asked.last):
                found.append(self._leases[place])
        return found[::-1]

    def before(self, time: datetime) -> PodLease | None:
        """Return the last lease that had ended before a time."""
        place = bisect_right(self._begins, time)
        return self._leases[place - 1] if place else None

    def after(self, time: datetime) -> PodLease | None:
        """Return the first lease that began after a time."""
        place = bisect_right(self._begins, time)
        return self._leases[place] if place < len(self._leases) else None
