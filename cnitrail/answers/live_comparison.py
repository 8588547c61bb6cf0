"""The rebuilt state against what EC2 says itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cnitrail.answers.coverage_text import clock, place_of, unread
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
from cnitrail.timeclamp import shifted

_RANK = {match: rank for rank, match in enumerate(Match)}
_OVER = ("shutting-down", "terminated")
_TICK = timedelta(seconds=1)
_LATER = ", after the time that was asked for"


def compare(
    history: History, coverage: Coverage, at: datetime, present: Present, wanted: Filter
) -> list[ComparedEntry]:
    """Every interface of the state at a time, and every one that EC2 describes: what differs first.

    EC2 is asked later than the last event that the evidence can hold, so a difference is said to be
    one that may have come since, unless the evidence goes on after the time.
    """
    comparison = _Comparison(history, coverage, at, present)
    interfaces = present.interfaces
    entries = [
        entry for entry in comparison.entries() if _takes(history, wanted, entry, interfaces.get(entry.eni))
    ]
    entries.sort(key=_place)
    return entries


def _place(entry: ComparedEntry) -> tuple[object, ...]:
    return _RANK[entry.match], entry.instance or "~", entry.device_index or 0, entry.eni


def _takes(history: History, wanted: Filter, entry: ComparedEntry, live: LiveInterface | None) -> bool:
    """Whether the trail or EC2 puts an interface where it was asked for."""
    names = (entry.instance, entry.live_instance)
    clusters = (name for each in names for name in history.cluster_of(None, each, None).names)
    sides = (entry, live) if live is not None else (entry,)
    return (
        wanted.takes_value("eni", entry.eni)
        and wanted.takes_value("vpc", *(side.vpc for side in sides))
        and wanted.takes_value("subnet", *(side.subnet for side in sides))
        and wanted.takes_value("account", *(side.account for side in sides))
        and wanted.takes_value("region", *(side.region for side in sides))
        and wanted.takes_value("instance", *names)
        and wanted.takes_value("cluster", *entry.clusters, *(side.cluster for side in sides), *clusters)
        and wanted.takes_addresses(each.ip for each in entry.addresses)
    )


class _Comparison:
    """One state beside one present."""

    def __init__(self, history: History, coverage: Coverage, at: datetime, present: Present) -> None:
        self._history = history
        self._coverage = coverage
        self._at = at
        self._present = present
        self._contested = {(lease.eni, lease.held) for lease in history.leases if lease.contested}
        later = [lease for lease in history.leases if lease.start.time is not None and lease.start.time > at]
        self._given_later = {(lease.eni, lease.held): lease.start for lease in reversed(later)}

    def entries(self) -> Iterator[ComparedEntry]:
        """Each interface once."""
        known = {entry.eni: entry for entry in state(self._history, self._at, Filter())}
        for eni, entry in known.items():
            live = self._present.interfaces.get(eni)
            yield self._only_known(entry) if live is None else self._in_both(entry, live)
        for eni, live in self._present.interfaces.items():
            if eni not in known:
                yield self._only_live(live)

    def _in_both(self, entry: StateEntry, live: LiveInterface) -> ComparedEntry:
        place = (entry.account, entry.region)
        there = {holding.held: holding for holding in live.addresses}
        known = {address.ip for address in entry.addresses}
        addresses = [self._held(entry, each, each.ip in there) for each in entry.addresses]
        addresses += [
            _new(
                each, self._open_order(entry.eni, each.held) or self._since_when(entry.eni, each.held, place)
            )
            for each in live.addresses
            if each.held not in known
        ]
        reasons = list(self._moved(entry, live))
        same = not reasons and all(address.match is Match.SAME for address in addresses)
        return _entry(entry, Match.SAME if same else Match.DIFFERS, reasons, live.instance, addresses)

    def _held(self, entry: StateEntry, address: HeldEntry, there: bool) -> ComparedAddress:
        """An address of the trail's state, there or not."""
        if there:
            return _compared(address, Match.SAME, None)
        if address.end is not None and address.end > self._at:
            return _compared(address, Match.GONE, f"let go at {clock(address.end)}{_LATER}")
        why = self._changed("released", (entry.account, entry.region))
        return _compared(address, Match.GONE, self._open_order(entry.eni, address.ip) or why)

    def _moved(self, entry: StateEntry, live: LiveInterface) -> Iterator[str]:
        """That an interface is on another instance than the evidence has it on."""
        told = entry.instance is not None or entry.attached is False
        if told and live.instance != entry.instance:
            now, then = live.instance or "no instance", entry.instance or "none"
            why = self._change_of_place(entry.eni) or self._changed("moved", (entry.account, entry.region))
            yield f"on {now} now, on {then} as the evidence has it: {why}"

    def _only_known(self, entry: StateEntry) -> ComparedEntry:
        place = (entry.account, entry.region)
        whole = place in self._present.whole
        if not whole and not (entry.attached and place in self._present.attached):
            reasons = [f"of {place_of(*place)} EC2 was not asked, or did not tell all"]
            addresses = [_compared(each, Match.UNCHECKED, None) for each in entry.addresses]
            return _entry(entry, Match.UNCHECKED, reasons, None, addresses)
        deleted = self._history.interfaces[entry.eni].deleted.time
        if deleted is not None and deleted > self._at:
            why = f"deleted at {clock(deleted)}{_LATER}"
        elif whole:
            why = self._changed("deleted", place)
        else:
            why = self._change_of_place(entry.eni) or self._changed("detached or deleted", place)
        reasons = [why]
        instance = self._present.instances.get(entry.instance or "")
        if instance is not None and instance.state in _OVER:
            reasons.insert(0, f"{instance.instance} is {instance.state}")
        addresses = [_compared(each, Match.GONE, None) for each in entry.addresses]
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
        addresses = [_new(holding, None) for holding in live.addresses]
        return _entry(entry, Match.MISSING, [self._unseen(live)], live.instance, addresses)

    def _change_of_place(self, eni: str) -> str | None:
        """That the evidence has the interface attached or detached, but later."""
        attachments = self._history.interfaces[eni].attachments
        times = [bound.time for each in attachments for bound in (each.start, each.end)]
        last = max((time for time in times if time is not None and time > self._at), default=None)
        return f"attached or detached at {clock(last)}{_LATER}" if last is not None else None

    def _changed(self, how: str, place: AccountRegion) -> str:
        """Why the evidence may not know of a change."""
        ends = [reach.last for reach in self._coverage.of(*place)]
        if ends and shifted(max(ends), -USUAL_LAG) < self._at:
            return f"{how} after {clock(max(ends))}, where the evidence ends, or without an event in it"
        return f"{how} without an event in the evidence"

    def _open_order(self, eni: str, held: Held) -> str | None:
        """Why the evidence may be wrong about an address, where calls of one second move it."""
        if (eni, held) not in self._contested:
            return None
        return "calls of one second move it in an order that nothing tells"

    def _since_when(self, eni: str, held: Held, place: AccountRegion) -> str:
        """Why the evidence may not know that an interface has an address."""
        given = self._given_later.get((eni, held))
        if given is not None and given.time is not None:
            return f"given at {clock(given.time)}{_LATER}"
        created = self._history.interfaces[eni].created
        if created.time is None:
            return "the interface is older than the evidence, so the address may be"
        hole = self._coverage.hole_between(*place, created.time, self._at)
        if hole is not None:
            return unread(hole)
        return self._changed("given", place)

    def _unseen(self, live: LiveInterface) -> str:
        """Why the evidence may not have an interface at that time."""
        known = self._history.interfaces.get(live.eni)
        if known is not None and known.deleted.time is not None:
            return f"{known.deleted.basis} as deleted at {clock(known.deleted.time)}"
        if known is not None and known.created.time is not None:
            return f"made at {clock(known.created.time)}"
        reaches = self._coverage.of(live.account, live.region)
        if not reaches:
            return f"the evidence has nothing of {place_of(live.account, live.region)}"
        first, last = min(reach.first for reach in reaches), max(reach.last for reach in reaches)
        if live.attached is None:
            return f"older than the evidence, which begins at {clock(first)}, or made without an event in it"
        when = f"attached at {clock(live.attached)}"
        if live.attached < first:
            return f"{when}, before the evidence begins at {clock(first)}"
        if live.attached > shifted(last, -USUAL_LAG):
            return f"{when}, about where the evidence ends at {clock(last)}"
        around = shifted(live.attached, -_TICK), shifted(live.attached, _TICK)
        hole = self._coverage.hole_between(live.account, live.region, *around)
        if hole is not None:
            return f"{when}, where {'not all' if hole.partial else 'little or nothing'} was read"
        return f"{when}, with no event in the evidence"


def _compared(address: HeldEntry, match: Match, reason: str | None) -> ComparedAddress:
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


def _new(holding: Holding, reason: str | None) -> ComparedAddress:
    """An address that EC2 alone knows."""
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
    reasons: list[str],
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
