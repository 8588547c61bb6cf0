"""The state that the evidence shows, compared with what EC2 lists itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.filters import Filter
from cnitrail.answers.state import state
from cnitrail.model import (
    USUAL_LAG,
    AccountRegion,
    Basis,
    ComparedAddress,
    ComparedEntry,
    Coverage,
    Held,
    HeldEntry,
    History,
    Holding,
    LiveInterface,
    Match,
    Present,
    StateEntry,
    order_of,
)
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock
from cnitrail.timeclamp import shifted

_RANK = {match: rank for rank, match in enumerate(Match)}
_OVER = ("shutting-down", "terminated")
_TICK = timedelta(seconds=1)
_LATER = ", after the time asked for"


def compare(
    history: History, coverage: Coverage, at: datetime, present: Present, wanted: Filter
) -> list[ComparedEntry]:
    """Return every interface of the state at a time, and every one that EC2 lists: what differs first.

    EC2 is asked later than the last event that the evidence can hold. A difference may have come since
    then, and its reason says so, unless the evidence goes on after the time.
    """
    comparison = _Comparison(history, coverage, at, present)
    interfaces = present.interfaces
    entries = [
        entry for entry in comparison.entries() if _takes(history, wanted, entry, interfaces.get(entry.eni))
    ]
    entries.sort(key=_order)
    return entries


def _order(entry: ComparedEntry) -> tuple[object, ...]:
    return _RANK[entry.match], entry.instance or "~", entry.device_index or 0, entry.eni


def _takes(history: History, wanted: Filter, entry: ComparedEntry, live: LiveInterface | None) -> bool:
    """Return True if a filter keeps an interface, by what the evidence or EC2 has of it."""
    names = (entry.instance, entry.live_instance)
    clusters = (cluster for instance in names for cluster in history.cluster_of(None, instance, None).names)
    sides = (entry, live) if live is not None else (entry,)
    return (
        wanted.takes_value("eni", entry.eni)
        and wanted.takes_value("vpc", *(side.vpc for side in sides))
        and wanted.takes_value("subnet", *(side.subnet for side in sides))
        and wanted.takes_value("account", *(side.account for side in sides))
        and wanted.takes_value("region", *(side.region for side in sides))
        and wanted.takes_value("instance", *names)
        and wanted.takes_value("cluster", *entry.clusters, *(side.cluster for side in sides), *clusters)
        and wanted.takes_addresses(address.ip for address in entry.addresses)
    )


class _Comparison:
    """The state at one time, and what EC2 lists."""

    def __init__(self, history: History, coverage: Coverage, at: datetime, present: Present) -> None:
        self._history = history
        self._coverage = coverage
        self._at = at
        self._present = present
        self._contested = {(lease.eni, lease.held) for lease in history.leases if lease.certainty.contested}
        later = [lease for lease in history.leases if lease.start.time is not None and lease.start.time > at]
        self._assigned_later = {(lease.eni, lease.held): lease.start for lease in reversed(later)}

    def entries(self) -> Iterator[ComparedEntry]:
        """Yield every interface once."""
        known = {entry.eni: entry for entry in state(self._history, self._at, Filter())}
        for eni, entry in known.items():
            live = self._present.interfaces.get(eni)
            yield self._only_known(entry) if live is None else self._in_both(entry, live)
        for eni, live in self._present.interfaces.items():
            if eni not in known:
                yield self._only_live(live)

    def _in_both(self, entry: StateEntry, live: LiveInterface) -> ComparedEntry:
        place = (entry.account, entry.region)
        listed = {holding.held for holding in live.addresses}
        known = {address.ip for address in entry.addresses}
        addresses = [self._held(entry, address, address.ip in listed) for address in entry.addresses]
        for holding in live.addresses:
            if holding.held not in known:
                why = self._contested_order(entry.eni, holding.held)
                addresses.append(_only_in_ec2(holding, why or self._unseen(entry.eni, holding.held, place)))
        reasons = list(self._other_instance(entry, live))
        same = not reasons and all(address.match is Match.SAME for address in addresses)
        return _entry(entry, Match.SAME if same else Match.DIFFERS, reasons, live.instance, addresses)

    def _held(self, entry: StateEntry, address: HeldEntry, listed: bool) -> ComparedAddress:
        """Compare an address of the state, which EC2 lists or not."""
        if listed:
            return _compared(address, Match.SAME, None)
        if address.end is not None and address.end > self._at:
            text = f"released at {clock(address.end)}{_LATER}"
            return _compared(address, Match.GONE, Reason(ReasonCode.CHANGED_LATER, text))
        why = self._not_logged("released", (entry.account, entry.region))
        return _compared(address, Match.GONE, self._contested_order(entry.eni, address.ip) or why)

    def _other_instance(self, entry: StateEntry, live: LiveInterface) -> Iterator[Reason]:
        """Yield a reason if EC2 has an interface on another instance than the evidence."""
        known = entry.instance is not None or entry.attached is False
        if known and live.instance != entry.instance:
            now, then = live.instance or "no instance", entry.instance or "none"
            why = self._attached_later(entry.eni) or self._not_logged("moved", (entry.account, entry.region))
            text = f"on {now} in EC2, on {then} in CloudTrail: {why.text}"
            yield Reason(ReasonCode.OTHER_INSTANCE, text, why.events)

    def _only_known(self, entry: StateEntry) -> ComparedEntry:
        place = (entry.account, entry.region)
        whole = place in self._present.whole
        if not whole and not (entry.attached and place in self._present.attached):
            text = f"EC2 was not asked about {account_and_region(*place)}, or its answer is not complete"
            addresses = [_compared(address, Match.UNCHECKED, None) for address in entry.addresses]
            return _entry(entry, Match.UNCHECKED, [Reason(ReasonCode.NOT_ASKED, text)], None, addresses)
        deleted = self._history.interfaces[entry.eni].deleted
        if deleted.time is not None and deleted.time > self._at:
            text = f"deleted at {clock(deleted.time)}{_LATER}"
            why = Reason.citing(ReasonCode.CHANGED_LATER, text, deleted.event)
        elif whole:
            why = self._not_logged("deleted", place)
        else:
            why = self._attached_later(entry.eni) or self._not_logged("detached or deleted", place)
        reasons = [why]
        instance = self._present.instances.get(entry.instance or "")
        if instance is not None and instance.state in _OVER:
            text = f"{instance.instance} is {instance.state}"
            reasons.insert(0, Reason(ReasonCode.INSTANCE_TERMINATED, text))
        addresses = [_compared(address, Match.GONE, None) for address in entry.addresses]
        return _entry(entry, Match.GONE, reasons, None, addresses)

    def _only_live(self, live: LiveInterface) -> ComparedEntry:
        described = self._present.instances.get(live.instance or "")
        entry = StateEntry(
            eni=live.eni,
            eni_kind=live.kind,
            account=live.account,
            region=live.region,
            vpc=live.vpc,
            subnet=live.subnet,
            cluster=live.cluster or self._history.cluster_of(None, live.instance, None).name,
            attached=live.attachment is not None,
            instance=live.instance,
            instance_type=described.instance_type if described else None,
            device_index=live.device_index,
            attachment=live.attachment,
            attached_since=live.attached,
            attached_basis=None,
            addresses=(),
        )
        addresses = [_only_in_ec2(holding, None) for holding in live.addresses]
        return _entry(entry, Match.MISSING, [self._unseen_interface(live)], live.instance, addresses)

    # --- reasons -------------------------------------------------------------------------------------

    def _attached_later(self, eni: str) -> Reason | None:
        """Return a reason if the evidence has the interface attached or detached later; else None."""
        attachments = self._history.interfaces[eni].attachments
        bounds = [bound for attachment in attachments for bound in (attachment.start, attachment.end)]
        later = [(bound.time, bound.event) for bound in bounds if bound.time and bound.time > self._at]
        if not later:
            return None
        time, event = max(later, key=itemgetter(0))
        text = f"attached or detached at {clock(time)}{_LATER}"
        return Reason.citing(ReasonCode.CHANGED_LATER, text, event)

    def _not_logged(self, what: str, place: AccountRegion) -> Reason:
        """Return why the evidence may not have an event of a change."""
        ends = [reach.last for reach in self._coverage.of(*place)]
        if ends and shifted(max(ends), -USUAL_LAG) < self._at:
            text = f"{what} after the evidence ends at {clock(max(ends))}, or without an event in it"
            return Reason(ReasonCode.AFTER_EVIDENCE, text)
        return Reason(ReasonCode.NOT_LOGGED, f"{what} without an event in the evidence")

    def _contested_order(self, eni: str, held: Held) -> Reason | None:
        """Return a reason if calls of one second move an address in unknown order; else None."""
        if (eni, held) not in self._contested:
            return None
        text = "several calls moved it in one second, and CloudTrail does not record their order"
        return Reason(ReasonCode.ORDER_UNKNOWN, text)

    def _unseen(self, eni: str, held: Held, place: AccountRegion) -> Reason:
        """Return why the evidence may not know that an interface has an address."""
        start = self._assigned_later.get((eni, held))
        if start is not None and start.time is not None:
            text = f"assigned at {clock(start.time)}{_LATER}"
            return Reason.citing(ReasonCode.CHANGED_LATER, text, start.event)
        created = self._history.interfaces[eni].created
        if created.time is None:
            text = "the ENI is older than the evidence, so the address may be older as well"
            return Reason(ReasonCode.BEFORE_EVIDENCE, text)
        hole = self._coverage.hole_between(*place, created.time, self._at)
        return gap_reason(hole) if hole is not None else self._not_logged("assigned", place)

    def _unseen_interface(self, live: LiveInterface) -> Reason:
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


def _compared(address: HeldEntry, match: Match, reason: Reason | None) -> ComparedAddress:
    return ComparedAddress(
        ip=address.ip,
        kind=address.kind,
        start=address.start,
        start_basis=address.start_basis,
        end=address.end,
        end_basis=address.end_basis,
        match=match,
        reason=reason,
    )


def _only_in_ec2(holding: Holding, reason: Reason | None) -> ComparedAddress:
    """Return an address that only EC2 has."""
    return ComparedAddress(
        ip=holding.held,
        kind=holding.kind,
        start=None,
        start_basis=Basis.UNKNOWN,
        end=None,
        end_basis=Basis.OPEN,
        match=Match.MISSING,
        reason=reason,
    )


def _entry(
    entry: StateEntry,
    match: Match,
    reasons: list[Reason],
    live_instance: str | None,
    addresses: list[ComparedAddress],
) -> ComparedEntry:
    known = {name: getattr(entry, name) for name in StateEntry.__struct_fields__ if name != "addresses"}
    return ComparedEntry(
        **known,
        match=match,
        reasons=tuple(reasons),
        live_instance=live_instance,
        addresses=tuple(sorted(addresses, key=lambda address: order_of(address.ip))),
    )
