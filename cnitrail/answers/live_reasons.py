"""Why the evidence and EC2 may differ about an ENI or an address."""

from collections import defaultdict
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.model import USUAL_LAG, AccountRegion, Coverage, Held, History, Lease, LiveInterface
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock
from cnitrail.timeclamp import shifted

LATER: Final = ", after the time asked for"
_TICK = timedelta(seconds=1)


class DifferenceReasons:
    """What explains a difference: the evidence before and after a time, and its gaps."""

    def __init__(self, history: History, coverage: Coverage, at: datetime) -> None:
        self._history = history
        self._coverage = coverage
        self._at = at
        self._contested = {(lease.eni, lease.held) for lease in history.leases if lease.certainty.contested}
        later = [lease for lease in history.leases if lease.start.time is not None and lease.start.time > at]
        self._assigned_later = {(lease.eni, lease.held): lease.start for lease in reversed(later)}
        self._leases: dict[Held, list[Lease]] = defaultdict(list)
        for lease in history.leases:
            self._leases[lease.held].append(lease)

    def attached_later(self, eni: str) -> Reason | None:
        """Return a reason if the evidence has the interface attached or detached later; else None."""
        attachments = self._history.interfaces[eni].attachments
        bounds = [bound for attachment in attachments for bound in (attachment.start, attachment.end)]
        calls = [(bound.time, bound.event) for bound in bounds if bound.time and bound.event]
        later = [(time, event) for time, event in calls if time > self._at]
        if not later:
            return None
        time, event = max(later, key=itemgetter(0))
        text = f"attached or detached at {clock(time)}{LATER}"
        return Reason.citing(ReasonCode.CHANGED_LATER, text, event)

    def not_logged(self, what: str, place: AccountRegion) -> Reason:
        """Return why the evidence may not have an event of a change."""
        ends = [reach.last for reach in self._coverage.of(*place)]
        if ends and shifted(max(ends), -USUAL_LAG) < self._at:
            text = f"{what} after the evidence ends at {clock(max(ends))}, or without an event in it"
            return Reason(ReasonCode.AFTER_EVIDENCE, text)
        return Reason(ReasonCode.NOT_LOGGED, f"{what} without an event in the evidence")

    def contested_order(self, eni: str, held: Held) -> Reason | None:
        """Return a reason if calls of one second move an address in unknown order; else None."""
        if (eni, held) not in self._contested:
            return None
        text = "several calls moved it in one second, and CloudTrail does not record their order"
        return Reason(ReasonCode.ORDER_UNKNOWN, text)

    def unseen(self, eni: str, held: Held, place: AccountRegion) -> Reason:
        """Return why the evidence may not know that an interface has an address."""
        start = self._assigned_later.get((eni, held))
        if start is not None and start.time is not None:
            text = f"assigned at {clock(start.time)}{LATER}"
            return Reason.citing(ReasonCode.CHANGED_LATER, text, start.event)
        created = self._history.interfaces[eni].created
        if created.time is None:
            text = "the ENI is older than the evidence, so the address may be older as well"
            return Reason(ReasonCode.BEFORE_EVIDENCE, text)
        hole = self._coverage.hole_between(*place, created.time, self._at)
        return gap_reason(hole) if hole is not None else self.not_logged("assigned", place)

    def unseen_interface(self, live: LiveInterface) -> Reason:
        """Return why the evidence may not have an interface at that time."""
        known = self._history.interfaces.get(live.eni)
        if known is not None and known.deleted.time is not None:
            text = f"deleted at {clock(known.deleted.time)} according to CloudTrail ({known.deleted.basis})"
            return Reason.citing(ReasonCode.DELETED_IN_EVIDENCE, text, known.deleted.event)
        if known is not None and known.created.time is not None:
            text = f"created at {clock(known.created.time)}"
            return Reason.citing(ReasonCode.CHANGED_LATER, text, known.created.event)
        reaches = self._coverage.of(live.account, live.region)
        if not reaches:
            text = f"the evidence has nothing of {account_and_region(live.account, live.region)}"
            return Reason(ReasonCode.NO_EVIDENCE, text)
        first, last = min(reach.first for reach in reaches), max(reach.last for reach in reaches)
        if live.attached is None:
            text = (
                f"older than the evidence, which begins at {clock(first)}, or created without an event in it"
            )
            return Reason(ReasonCode.BEFORE_EVIDENCE, text)
        return self._unseen_attachment(live, live.attached, first, last)

    def _unseen_attachment(
        self, live: LiveInterface, attached: datetime, first: datetime, last: datetime
    ) -> Reason:
        """Return why the evidence, which reaches from ``first`` to ``last``, may not have an attachment."""
        when = f"attached at {clock(attached)}"
        if attached < first:
            text = f"{when}, before the evidence begins at {clock(first)}"
            return Reason(ReasonCode.BEFORE_EVIDENCE, text)
        if attached > shifted(last, -USUAL_LAG):
            text = f"{when}, about when the evidence ends at {clock(last)}"
            return Reason(ReasonCode.AFTER_EVIDENCE, text)
        around = shifted(attached, -_TICK), shifted(attached, _TICK)
        hole = self._coverage.hole_between(live.account, live.region, *around)
        if hole is not None:
            gap = gap_reason(hole)
            return Reason(gap.code, f"{when}: {gap.text}")
        return Reason(ReasonCode.NOT_LOGGED, f"{when}, with no event in the evidence")

    def unseen_anywhere(self, held: Held) -> Reason:
        """Return why no interface has an address in the evidence."""
        leases = self._leases.get(held, [])
        starts = [(lease.start.time, lease) for lease in leases if lease.start.time is not None]
        later = [(time, lease) for time, lease in starts if time > self._at]
        if later:
            time, lease = min(later, key=itemgetter(0))
            text = f"assigned to {lease.eni} at {clock(time)}{LATER}"
            return Reason.citing(ReasonCode.CHANGED_LATER, text, lease.start.event)
        ends = [(lease.end.time, lease) for lease in leases if lease.end.time is not None]
        if not ends:
            return Reason(ReasonCode.NEVER_SEEN, "no event in the evidence shows it on an ENI")
        time, lease = max(ends, key=itemgetter(0))
        why = self.not_logged("assigned again", self._history.interfaces[lease.eni].place)
        return Reason(why.code, f"on {lease.eni} until {clock(time)} in CloudTrail: {why.text}")
