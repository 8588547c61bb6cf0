"""The state that the evidence shows, compared with what EC2 lists."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.live_reasons import LATER, DifferenceReasons
from cnitrail.answers.state import state
from cnitrail.model import (
    Basis,
    ComparedAddress,
    ComparedEntry,
    Coverage,
    Held,
    HeldEntry,
    History,
    Holding,
    HoldingKind,
    LiveInterface,
    Match,
    Present,
    Queried,
    StateEntry,
    order_of,
)
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, clock

_RANK = {match: rank for rank, match in enumerate(Match)}
_OVER = ("shutting-down", "terminated")


def compare(
    history: History,
    coverage: Coverage,
    at: datetime,
    present: Present,
    wanted: Filter,
    queried: Queried | None = None,
) -> list[ComparedEntry]:
    """Return every interface of the state at a time, and every one that EC2 lists: what differs first.

    EC2 is asked later than the last event that the evidence can hold. A difference may have come since
    then, and its reason says so, unless the evidence goes on after the time.

    The result of a ``--query`` may be about only a few instances or ENIs. If the filter names some, the
    result is taken to have everything of these.
    """
    comparison = _Comparison(history, coverage, at, present, wanted, queried)
    entries = [entry for entry in comparison.entries() if comparison.takes(entry)]
    entries.sort(key=_order)
    return entries


def _order(entry: ComparedEntry) -> tuple[object, ...]:
    return _RANK[entry.match], entry.instance or "~", entry.device_index or 0, entry.eni or "~"


class _Comparison:
    """The state at one time, and what EC2 lists."""

    def __init__(
        self,
        history: History,
        coverage: Coverage,
        at: datetime,
        present: Present,
        wanted: Filter,
        queried: Queried | None,
    ) -> None:
        self._history = history
        self._at = at
        self._present = present
        self._wanted = wanted
        self._queried = queried
        self._scoped = queried is not None and (wanted.names_instances or bool(wanted.eni))
        """Whether the filter names the instances or ENIs of which the result of a query has everything."""
        self._reasons = DifferenceReasons(history, coverage, at)
        self._known = {entry.eni: entry for entry in state(history, at, Filter())}
        regions = {interface.vpc: interface.region for interface in history.interfaces.values()}
        self._live = {
            eni: replace(live, region=live.region or regions.get(live.vpc)) if live.vpc else live
            for eni, live in present.interfaces.items()
        }
        self._listed = queried.addresses if queried is not None else frozenset()
        candidates = [  # the ENIs that may have the listed addresses
            entry
            for eni, entry in self._known.items()
            if eni not in self._live and self._is_asked_for(entry, None)
        ]
        held = [address for entry in candidates for address in entry.addresses]
        described = [holding.held for live in self._live.values() for holding in live.addresses]
        self._holders = Counter([*(address.ip for address in held), *described])
        self._listed_kinds = {address.kind for address in held if address.ip in self._listed}
        self._others = {address.ip: entry for entry in self._known.values() for address in entry.addresses}

    def entries(self) -> Iterator[ComparedEntry]:
        """Yield every interface once, and the addresses that are on none."""
        for eni, entry in self._known.items():
            live = self._live.get(eni)
            yield self._only_known(entry) if live is None else self._in_both(entry, live)
        for eni, live in self._live.items():
            if eni not in self._known:
                yield self._only_live(live)
        addresses = [self._on_no_interface(held) for held in self._listed if not self._holders[held]]
        compared = [address for address in addresses if address is not None]
        if compared:
            yield _of_no_interface(compared)

    def takes(self, entry: ComparedEntry) -> bool:
        """Return True if the filter keeps an interface, by what the evidence or EC2 has of it."""
        if entry.eni is None:
            return self._wanted.takes_addresses(address.ip for address in entry.addresses)
        asked_for = self._is_asked_for(entry, self._live.get(entry.eni))
        return asked_for and self._wanted.takes_addresses(address.ip for address in entry.addresses)

    def _is_asked_for(self, entry: StateEntry, live: LiveInterface | None) -> bool:
        """Return True if the filter keeps an interface, whatever its addresses are."""
        wanted = self._wanted
        names = (entry.instance, live.instance if live is not None else None)
        clusters = (
            cluster for instance in names for cluster in self._history.cluster_of(None, instance, None).names
        )
        sides = (entry, live) if live is not None else (entry,)
        is_of_instance = wanted.takes_instance(*names) or (
            self._scoped and live is not None and not live.instance_known and entry.eni not in self._known
        )
        return (
            is_of_instance
            and wanted.takes_value("eni", entry.eni)
            and wanted.takes_value("vpc", *(side.vpc for side in sides))
            and wanted.takes_value("subnet", *(side.subnet for side in sides))
            and wanted.takes_value("account", *(side.account for side in sides))
            and wanted.takes_value("region", *(side.region for side in sides))
            and wanted.takes_value("cluster", *entry.clusters, *(side.cluster for side in sides), *clusters)
        )

    def _in_both(self, entry: StateEntry, live: LiveInterface) -> ComparedEntry:
        place = (entry.account, entry.region)
        listed = {holding.held for holding in live.addresses}
        known = {address.ip for address in entry.addresses}
        addresses = [
            self._held(entry, address, listed=address.ip in listed, whole=live.whole)
            for address in entry.addresses
        ]
        for holding in live.addresses:
            if holding.held not in known:
                why = self._reasons.contested_order(entry.eni, holding.held)
                addresses.append(
                    _only_in_ec2(holding, why or self._reasons.unseen(entry.eni, holding.held, place))
                )
        reasons = list(self._other_instance(entry, live))
        matches = {address.match for address in addresses}
        if reasons or not matches <= {Match.SAME, Match.UNCHECKED}:
            return _entry(entry, Match.DIFFERS, reasons, live.instance, addresses)
        if Match.UNCHECKED in matches:
            text = "the list does not have all of its addresses, or not all could be read"
            return _entry(
                entry, Match.UNCHECKED, [Reason(ReasonCode.NOT_ASKED, text)], live.instance, addresses
            )
        return _entry(entry, Match.SAME, [], live.instance, addresses)

    def _held(self, entry: StateEntry, address: HeldEntry, *, listed: bool, whole: bool) -> ComparedAddress:
        """Compare an address of the state, which EC2 lists or not; ``whole`` if it lists all of them."""
        if listed:
            return _compared(address, Match.SAME, None)
        if not whole:
            return _compared(address, Match.UNCHECKED, None)
        if address.end is not None and address.end > self._at:
            text = f"released at {clock(address.end)}{LATER}"
            return _compared(address, Match.GONE, Reason(ReasonCode.CHANGED_LATER, text))
        why = self._reasons.not_logged("released", (entry.account, entry.region))
        return _compared(address, Match.GONE, self._reasons.contested_order(entry.eni, address.ip) or why)

    def _other_instance(self, entry: StateEntry, live: LiveInterface) -> Iterator[Reason]:
        """Yield a reason if EC2 has an interface on another instance than the evidence."""
        known = entry.instance is not None or entry.attached is False
        if not live.instance_known:
            differs, now = entry.attached is False and live.attachment is not None, "an instance"
        else:
            # An ENI that was created for an instance, and not attached as far as events show, may be on it.
            places = (entry.instance, None) if entry.attached is False else (entry.instance,)
            differs, now = known and live.instance not in places, live.instance or "no instance"
        if differs:
            then = entry.instance or "none"
            why = self._reasons.attached_later(entry.eni) or self._reasons.not_logged(
                "moved", (entry.account, entry.region)
            )
            text = f"on {now} in EC2, on {then} in CloudTrail: {why.text}"
            yield Reason(ReasonCode.OTHER_INSTANCE, text, why.events)

    def _only_known(self, entry: StateEntry) -> ComparedEntry:
        place = (entry.account, entry.region)
        instance = self._present.instances.get(entry.instance or "")
        if place in self._present.whole:
            return self._gone(entry, self._reasons.not_logged("deleted", place))
        if entry.attached and (place in self._present.attached or (instance is not None and instance.whole)):
            return self._gone(entry, self._left(entry))
        if self._listed:
            return self._by_address(entry)
        if self._scoped and self._queried is not None and self._queried.lists_interfaces:
            return self._gone(entry, self._left(entry))
        if self._queried is not None:
            text = "the saved list may be of other ENIs: --instance or --eni says what it is of"
        else:
            text = f"EC2 was not asked about {account_and_region(*place)}, or its answer is not complete"
        addresses = [_compared(address, Match.UNCHECKED, None) for address in entry.addresses]
        return _entry(entry, Match.UNCHECKED, [Reason(ReasonCode.NOT_ASKED, text)], None, addresses)

    def _left(self, entry: StateEntry) -> Reason:
        """Return why an interface is no longer attached."""
        why = self._reasons.attached_later(entry.eni)
        return why or self._reasons.not_logged("detached or deleted", (entry.account, entry.region))

    def _gone(self, entry: StateEntry, why: Reason) -> ComparedEntry:
        addresses = [_compared(address, Match.GONE, None) for address in entry.addresses]
        return _entry(entry, Match.GONE, self._why_gone(entry, why), None, addresses)

    def _why_gone(self, entry: StateEntry, why: Reason) -> list[Reason]:
        """Return why EC2 does not have an interface; ``why`` if the evidence does not show that."""
        deleted = self._history.interfaces[entry.eni].deleted
        if deleted.time is not None and deleted.time > self._at:
            text = f"deleted at {clock(deleted.time)}{LATER}"
            why = Reason.citing(ReasonCode.CHANGED_LATER, text, deleted.event)
        reasons = [why]
        instance = self._present.instances.get(entry.instance or "")
        if instance is not None and instance.state in _OVER:
            text = f"{instance.instance} is {instance.state}"
            reasons.insert(0, Reason(ReasonCode.INSTANCE_TERMINATED, text))
        return reasons

    def _by_address(self, entry: StateEntry) -> ComparedEntry:
        """Compare an interface with a list of addresses that names no interfaces."""
        addresses = [self._with_list(entry, address) for address in entry.addresses]
        matches = {address.match for address in addresses}
        by_address = Reason(ReasonCode.ADDRESS_ONLY, "compared by address: the list names no ENI")
        if matches == {Match.GONE}:
            return _entry(
                entry, Match.GONE, [*self._why_gone(entry, self._left(entry)), by_address], None, addresses
            )
        if Match.GONE in matches:
            return _entry(entry, Match.DIFFERS, [by_address], None, addresses)
        if matches == {Match.SAME}:
            return _entry(entry, Match.SAME, [by_address], None, addresses)
        if not self._scoped:
            text = "the list names no ENI and may be of others: --instance or --eni says what it is of"
            by_address = Reason(ReasonCode.ADDRESS_ONLY, text)
        return _entry(entry, Match.UNCHECKED, [by_address], None, addresses)

    def _with_list(self, entry: StateEntry, address: HeldEntry) -> ComparedAddress:
        """Compare an address with the listed ones.

        It is gone only if the list has all addresses of its kind: a ``--query`` may select only the primary
        ones, or no prefixes.
        """
        if address.ip in self._listed and self._holders[address.ip] > 1:
            text = "several ENIs hold it, and the list does not say which of them has it in EC2"
            return _compared(address, Match.UNCHECKED, Reason(ReasonCode.ADDRESS_ONLY, text))
        whole = self._scoped and address.kind in self._listed_kinds
        return self._held(entry, address, listed=address.ip in self._listed, whole=whole)

    def _on_no_interface(self, held: Held) -> ComparedAddress | None:
        """Compare a listed address that no compared interface has; None if the filter leaves out its own."""
        other = self._others.get(held)
        if other is not None:
            if not self._scoped:
                return None
            text = f"on {other.eni} of {other.instance or 'no known instance'} in CloudTrail"
            return _of_list(held, Match.DIFFERS, Reason(ReasonCode.OTHER_INSTANCE, text))
        return _of_list(held, Match.MISSING, self._reasons.unseen_anywhere(held))

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
        return _entry(entry, Match.MISSING, [self._reasons.unseen_interface(live)], live.instance, addresses)


def _compared(address: HeldEntry, match: Match, reason: Reason | None) -> ComparedAddress:
    return ComparedAddress(
        ip=address.ip,
        kind=address.kind,
        start=address.start,
        start_basis=address.start_basis,
        end=address.end,
        end_basis=address.end_basis,
        doubt=address.doubt,
        match=match,
        reason=reason,
    )


def _only_in_ec2(holding: Holding, reason: Reason | None) -> ComparedAddress:
    """Return an address that only EC2 has."""
    return _listed(holding.held, holding.kind, Match.MISSING, reason)


def _of_list(held: Held, match: Match, reason: Reason) -> ComparedAddress:
    """Return an address of a list, which does not show whether an IPv4 address is the primary one."""
    version_kind = {
        IPv4Network: HoldingKind.PREFIX,
        IPv6Network: HoldingKind.IPV6_PREFIX,
        IPv6Address: HoldingKind.IPV6,
    }
    return _listed(held, version_kind.get(type(held)), match, reason)


def _listed(held: Held, kind: HoldingKind | None, match: Match, reason: Reason | None) -> ComparedAddress:
    """Return an address of EC2, of which the evidence has no lease."""
    return ComparedAddress(
        ip=held,
        kind=kind,
        start=None,
        start_basis=Basis.UNKNOWN,
        end=None,
        end_basis=Basis.OPEN,
        match=match,
        reason=reason,
    )


def _of_no_interface(addresses: list[ComparedAddress]) -> ComparedEntry:
    """Return the addresses of a list that are on no interface."""
    is_missing = all(address.match is Match.MISSING for address in addresses)
    return ComparedEntry(
        eni=None,
        eni_kind="unknown",
        account=None,
        region=None,
        vpc=None,
        subnet=None,
        cluster=None,
        attached=None,
        instance=None,
        instance_type=None,
        device_index=None,
        attachment=None,
        attached_since=None,
        attached_basis=None,
        match=Match.MISSING if is_missing else Match.DIFFERS,
        reasons=(Reason(ReasonCode.ADDRESS_ONLY, "the list names no ENI"),),
        live_instance=None,
        addresses=tuple(sorted(addresses, key=lambda address: order_of(address.ip))),
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
