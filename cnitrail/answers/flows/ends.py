"""Who was at both ends of a flow, by the history and by the record itself."""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cached_property
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.answers.flows.intervals import IntervalAnswer, over_interval
from cnitrail.answers.flows.kinds import (
    NAT_GATEWAY,
    NODE,
    NODE_OR_POD,
    POD,
    UNKNOWN,
    WARM_POOL,
    address_of,
    is_aws_service,
    is_managed,
    kind_of,
    kind_without_holder,
    may_be_translated,
)
from cnitrail.answers.flows.metadata import compared
from cnitrail.answers.flows.occupancy import (
    EndView,
    Occupancy,
    ends_elsewhere,
    local_end,
    settled,
    sure_vpc,
)
from cnitrail.answers.flows.record import BEYOND_AWS, KEY_FIELDS, PEERED, FlowKey
from cnitrail.answers.over_time import ALL_INTERVALS, IntervalBounds, OverTime
from cnitrail.answers.pods.rivals import is_node_address
from cnitrail.answers.who import HolderIndex
from cnitrail.answers.who.indexes import address_and_prefix
from cnitrail.model import Address, History, Holder, Interface, Subnet, Verdict, WhoAnswer
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import ENIS_OF_ONE_POD, PodEntry, PodVerdict
from cnitrail.model.reason import ReasonCode

__all__ = ["KEY_FIELDS", "FlowEnds", "FlowKey", "JoinedEnds"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_REMEMBERED: Final = 20_000
"""Number of addresses, and of ENIs, whose answers are remembered (some KB each): logs may have millions."""

_FORWARDING: Final = frozenset(
    ("nat-gateway", "transit-gateway", "vpc-endpoint", "network-firewall", "elb", "other")
)
"""The kinds of ENIs that forward packets of others, or may do so: appliances are ``other``."""

_MOST_TELLING: Final = (
    ReasonCode.NO_ADDRESS,
    ReasonCode.PUBLIC_ADDRESS,
    ReasonCode.OUTSIDE_VPC,
    ReasonCode.IN_OTHER_VPC,
    ReasonCode.USED_WHILE_FREE,
    ReasonCode.CHANGED_IN_INTERVAL,
    ReasonCode.FLOW_CONTRADICTS,
)
"""The codes that come before those of ``who``, in this order."""


class JoinedEnds(Struct, frozen=True, gc=False, kw_only=True):
    """Both ends of a flow, and the intervals for which they are the same.

    ``local`` is the end at the interface of the record, ``src`` or ``dst``; None if it is not known, and for
    transit gateways. ``confirmed`` and ``contradicted`` are the metadata fields that agree with the history
    of the interface, or do not.
    """

    bounds: IntervalBounds
    src: FlowEnd
    dst: FlowEnd
    local: str | None
    confirmed: tuple[str, ...]
    contradicted: tuple[str, ...]


_CONFIRMING: Final = frozenset(("vpc-id", "subnet-id"))
"""The metadata that confirm that a record is of its interface."""

_LASTING: Final = frozenset(("account-id", "region", "vpc-id", "subnet-id"))
"""The metadata that never change for an interface: if one differs, it or the ``interface-id`` is wrong."""


class _VpcBasis(Enum):
    """How the VPC of a record is known: by the history of an interface, or by the record."""

    HISTORY = "history"
    RECORD = "record"
    """By the record, whose subnet is in it, or by that of a transit gateway."""
    UNCONFIRMED = "unconfirmed"
    """By one field of the record, ``interface-id`` or ``vpc-id``, and nothing else shows that it is right."""


class _Instances(Struct, frozen=True):
    """The instances of an interface in some intervals; None among them: it is not known, or on none.

    ``may_forward``: the interface may forward packets of others, so it is not that of a Kubernetes node.
    """

    bounds: IntervalBounds
    names: frozenset[str | None]
    may_forward: bool


_NO_INSTANCES: Final = _Instances(ALL_INTERVALS, frozenset(), may_forward=True)


class FlowEnds:
    """Finds both ends of flows in one history. What many flows share is found once."""

    def __init__(self, history: History, holders: HolderIndex) -> None:
        self._history = history
        self._holders = holders
        self._pod_addresses = {lease.ip for lease in history.pods.leases}
        self._pod_instances = {lease.instance for lease in history.pods.leases if lease.instance is not None}
        pods = None if history.pods.is_empty else PodVerdict.UNKNOWN
        self._nobody = IntervalAnswer(verdict=Verdict.UNKNOWN, pod_verdict=pods)
        self._answers: dict[tuple[Address, str | None], OverTime[WhoAnswer]] = {}
        self._instances_over_time: dict[str, OverTime[str | None]] = {}
        self._unnamed: dict[tuple[int, bool], str] = {}
        self._occupancies: dict[tuple[str | None, ...], Occupancy] = {}
        self._instances: dict[str, _Instances] = {}

    def likened(self, text: str) -> tuple[str, str] | None:
        """Return an address in its usual form, and one of which as little is known, for all such addresses.

        None if the evidence names the address, or if it is none. A flow has the same ends with the other one
        in its place, but for the ``ip``.
        """
        ip, is_public = address_of(text)
        if ip is None or self._holders.names(ip):
            return None
        return str(ip), self._unnamed.setdefault((ip.version, is_public), text)

    def join(self, key: FlowKey, first: int, last: int) -> JoinedEnds:
        """Return both ends of a flow whose packets lie in the Unix seconds from ``first`` to ``last``."""
        interface = self._history.interfaces.get(key.interface) if key.interface is not None else None
        known, region = (interface.vpc, interface.region) if interface is not None else (None, None)
        src_vpc, dst_vpc = known or key.src_vpc or key.vpc, known or key.dst_vpc or key.vpc
        src = self._occupancy(key.pkt_src or key.src, src_vpc, None, None, first, last)
        dst = self._occupancy(key.pkt_dst or key.dst, dst_vpc, key.way_out, region, first, last)
        local = local_end(key, src, dst)
        instances = self._instances_of(interface, first, last)
        confirmed, contradicted = compared(key, interface, instances.names)
        doubted: tuple[str, ...] = ()
        if contradicted:
            doubted = ("src", "dst") if local is None or "vpc-id" in contradicted else (local,)
        elsewhere = ends_elsewhere(key, local, src, dst, may_forward=instances.may_forward)
        if elsewhere:
            contradicted = (*contradicted, "interface-id")
            doubted = (*doubted, *elsewhere)
        bounds = src.bounds.within(dst.bounds).within(instances.bounds)
        agrees, differs = not _CONFIRMING.isdisjoint(confirmed), not _LASTING.isdisjoint(contradicted)
        if known is None:
            is_confirmed = key.is_of_transit_gateway or self._subnets.get(key.subnet) == key.vpc
        elif agrees is differs:
            sides = [("src", src, key.src), ("dst", dst, key.dst)]
            own = [(side, text) for name, side, text in sides if local in (name, None)]
            is_confirmed, seen = self._is_at_interface(key.interface, known, own, first, last)
            bounds = bounds.within(seen)
        else:
            is_confirmed = agrees
        basis = _VpcBasis.UNCONFIRMED
        if is_confirmed:
            basis = _VpcBasis.RECORD if known is None else _VpcBasis.HISTORY
        return JoinedEnds(
            bounds=bounds,
            src=self._end(src, _view(key, "src", local, basis, doubted, src, dst)),
            dst=self._end(dst, _view(key, "dst", local, basis, doubted, dst, src)),
            local=local,
            confirmed=confirmed,
            contradicted=contradicted,
        )

    def _is_at_interface(
        self,
        interface: str | None,
        vpc: str,
        own: Sequence[tuple[Occupancy, str | None]],
        first: int,
        last: int,
    ) -> tuple[bool, IntervalBounds]:
        """Return whether an interface may have had an address of its own end, and for which intervals.

        That is the address of the packet, or that which ``srcaddr`` or ``dstaddr`` shows.
        """
        if any(interface in side.enis for side, _ in own):
            return True, ALL_INTERVALS
        bounds, is_shown = ALL_INTERVALS, False
        for _, text in own:
            side = self._occupancy(text, vpc, None, None, first, last)
            bounds = bounds.within(side.bounds)
            is_shown = is_shown or interface in side.enis
        return is_shown, bounds

    @cached_property
    def _subnets(self) -> dict[str | None, str | None]:
        """The VPC of each subnet."""
        subnets: list[Interface | Subnet] = [
            *self._history.interfaces.values(),
            *self._history.subnets.values(),
        ]
        return {one.subnet: one.vpc for one in subnets if one.subnet is not None and one.vpc is not None}

    def _occupancy(
        self,
        text: str | None,
        vpc: str | None,
        way_out: str | None,
        region: str | None,
        first: int,
        last: int,
    ) -> Occupancy:
        """Return who had an address; ``way_out`` is the path that leads to it from a VPC in a Region."""
        asked = (text, vpc, way_out, region if way_out is not None else None)
        known = self._occupancies.get(asked)
        if known is None or not known.bounds.include(first, last):
            found = self._new_occupancy(text, vpc, way_out, region, first, last)
            if known is not None and known.says_the_same(found):
                found.ends = known.ends
            _remember(self._occupancies, asked, found)
            return found
        return known

    def _new_occupancy(
        self,
        text: str | None,
        vpc: str | None,
        way_out: str | None,
        region: str | None,
        first: int,
        last: int,
    ) -> Occupancy:
        ip, is_public = address_of(text) if text is not None else (None, False)
        is_peered = way_out in PEERED
        found = Occupancy(ip=ip, is_public=is_public, vpc=vpc, is_outside=way_out is not None)
        if ip is None or way_out in BEYOND_AWS or (is_public and not self._is_in_history(ip)):
            return found
        answers, bounds = self._answers_in(ip, None if is_peered else vpc, first, last)
        if is_peered:
            peer = _peer(answers, vpc, region, is_in_region=way_out == "4")
            answers, of_peer = self._answers_in(ip, peer, first, last) if peer is not None else ([], bounds)
            bounds = bounds.within(of_peer)
        elif self._may_differ(ip, vpc):
            found.everywhere, of_all = self._answers_in(ip, None, first, last)
            bounds = bounds.within(of_all)
        found.answers, found.bounds = answers, bounds
        found.enis = frozenset(holder.eni for answer in answers for holder in answer.holders)
        found.is_certain = any(answer.verdict is Verdict.CERTAIN for answer in answers)
        found.sure_vpc = sure_vpc(answers, vpc)
        return found

    def _may_differ(self, ip: Address, vpc: str | None) -> bool:
        """Return whether the answer about an address in a VPC may differ from that without a VPC."""
        return vpc is not None and (ip in self._pod_addresses or not self._holders.vpcs_of(ip) <= {vpc})

    def _is_in_history(self, ip: Address) -> bool:
        """Return whether the evidence names a holder of an address, or a pod with it."""
        holders = self._history.holders
        return any(held in holders for held in address_and_prefix(ip)) or ip in self._pod_addresses

    def _answers_in(
        self, ip: Address, vpc: str | None, first: int, last: int
    ) -> tuple[list[WhoAnswer], IntervalBounds]:
        """Return the answers about an address in an interval, and the intervals that they are those of."""
        stretches = self._over_time(ip, vpc).during(first, last)
        return [stretch.value for stretch in stretches], IntervalBounds.of(stretches)

    def _over_time(self, ip: Address, vpc: str | None) -> OverTime[WhoAnswer]:
        known = self._answers.get((ip, vpc))
        if known is None:
            wanted = Filter(vpc=(vpc,) if vpc is not None else ())
            known = self._holders.over_time(ip, wanted)
            _remember(self._answers, (ip, vpc), known)
        return known

    def _instances_of(self, interface: Interface | None, first: int, last: int) -> _Instances:
        if interface is None:
            return _NO_INSTANCES
        known = self._instances.get(interface.eni)
        if known is None or not known.bounds.include(first, last):
            over_time = self._instances_over_time.get(interface.eni)
            if over_time is None:
                over_time = self._holders.instances_over_time(interface.eni)
                _remember(self._instances_over_time, interface.eni, over_time)
            stretches = over_time.during(first, last)
            names = frozenset(stretch.value for stretch in stretches)
            known = _Instances(IntervalBounds.of(stretches), names, self._may_forward(interface, names))
            _remember(self._instances, interface.eni, known)
        return known

    def _may_forward(self, interface: Interface, instances: Iterable[str | None]) -> bool:
        if interface.kind != "node-primary":
            return interface.kind in _FORWARDING
        clusters = (self._history.cluster_of(interface.eni, one, None).name for one in instances)
        return not (any(clusters) or any(map(self._is_managed, instances)))

    def _end(self, occupancy: Occupancy, view: EndView) -> FlowEnd:
        known = occupancy.ends.get(view)
        if known is None:
            known = occupancy.ends[view] = self._new_end(occupancy, view)
        return known

    def _new_end(self, occupancy: Occupancy, view: EndView) -> FlowEnd:
        """Return one end, with its own reasons before and after those of ``who``."""
        if occupancy.ip is None:
            return FlowEnd(ip=None, verdict=Verdict.UNKNOWN, kind=UNKNOWN, reasons=(ReasonCode.NO_ADDRESS,))
        kept = settled(occupancy.answers, view.settled_by) if view.settled_by is not None else None
        answer = self._nobody
        if occupancy.answers:
            answer = over_interval(kept or occupancy.answers, is_settled=kept is not None)
        if kept is not None:
            answer = _capped(answer, ReasonCode.SETTLED_BY_INTERFACE)
        if occupancy.is_outside:
            answer = _capped(answer, ReasonCode.OUTSIDE_VPC)
        elif answer.verdict in _CAPS:
            if occupancy.vpc is None:
                answer = _capped(answer, ReasonCode.VPC_UNKNOWN)
            elif view.is_unconfirmed or (view.is_claimed and not _is_unique(occupancy, answer)):
                answer = _capped(answer, ReasonCode.VPC_OF_FLOW_RECORD)
        if view.is_doubted:
            answer = _capped(answer, ReasonCode.FLOW_CONTRADICTS)
        if not answer.holders:
            answer = self._without_holder(occupancy, answer, view)
        return self._shown(occupancy, answer, view)

    def _without_holder(self, occupancy: Occupancy, answer: IntervalAnswer, view: EndView) -> IntervalAnswer:
        """Return an answer without a holder, with what the record says of it."""
        if occupancy.is_public and not occupancy.answers:
            return replace(answer, reasons=(ReasonCode.PUBLIC_ADDRESS,))
        reasons = answer.reasons
        verdict = answer.verdict
        if verdict is Verdict.FREE and (view.is_local or view.is_src):
            verdict = Verdict.UNKNOWN
            reasons = (ReasonCode.USED_WHILE_FREE, *reasons)
        if occupancy.is_held_elsewhere:
            kept = (code for code in reasons if code is not ReasonCode.OUTSIDE_FILTER)
            reasons = (ReasonCode.IN_OTHER_VPC, *kept)
        return replace(answer, verdict=verdict, reasons=reasons)

    def _shown(self, occupancy: Occupancy, answer: IntervalAnswer, view: EndView) -> FlowEnd:
        holders, pods, pod_verdict = answer.holders, answer.pods, answer.pod_verdict
        # A free address has no pod that could be missing.
        pod_reasons = answer.pod_reasons if answer.verdict is not Verdict.FREE else ()
        kind = self._kind(occupancy, answer, view)
        if kind == WARM_POOL and (view.is_local or view.is_src):
            pod_reasons = (ReasonCode.USED_WHILE_FREE, *pod_reasons)
        for code in self._shared_with_pods(holders, view):
            pod_reasons = (*pod_reasons, code)
            kind, pods = NODE_OR_POD if kind in (NODE, POD, WARM_POOL) else kind, ()
            pod_verdict = PodVerdict.UNKNOWN if pod_verdict is not None else None
        return FlowEnd(
            ip=str(occupancy.ip),
            verdict=answer.verdict,
            kind=kind,
            eni=_distinct([holder.eni for holder in holders]),
            eni_kind=_distinct([holder.eni_kind for holder in holders]),
            instance=_distinct([holder.instance for holder in holders]),
            cluster=_distinct([holder.cluster for holder in holders]),
            pod=_distinct([_name_of_pod(pod) for pod in pods]),
            pod_verdict=pod_verdict,
            assigned_by=_distinct([holder.assigned_by.label for holder in holders if holder.assigned_by]),
            reasons=(*_in_order(answer.reasons), *dict.fromkeys(pod_reasons)),
        )

    def _kind(self, occupancy: Occupancy, answer: IntervalAnswer, view: EndView) -> str:
        if any(pod.pod is not None for pod in answer.pods):
            return POD
        kinds = {kind_of(holder, is_node=self._is_node(holder)) for holder in answer.holders}
        if len(kinds) > 1:
            return UNKNOWN
        if kinds:
            kind = kinds.pop()
            return WARM_POOL if kind == POD and answer.pod_verdict is PodVerdict.NONE else kind
        if view.is_nat:
            return NAT_GATEWAY
        return kind_without_holder(
            is_public=occupancy.is_public,
            is_outside=occupancy.is_outside,
            is_service=view.is_aws_service,
        )

    def _is_node(self, holder: Holder) -> bool:
        return holder.cluster is not None or self._is_managed(holder.instance)

    def _may_be_node(self, holder: Holder) -> bool:
        """Return whether pods may run on the instance of a holder: any may, if that of none is known."""
        has_pod_evidence = not self._history.pods.is_empty
        return self._is_node(holder) or (has_pod_evidence and holder.instance is not None)

    def _is_managed(self, instance: str | None) -> bool:
        """Return whether an instance has pods, or anything manages addresses for them."""
        return instance in self._pod_instances or is_managed(self._history, instance)

    def _shared_with_pods(self, holders: Sequence[Holder], view: EndView) -> Iterable[ReasonCode]:
        """Yield why the packets may be those of a pod of the node whose own address the record shows."""
        of_nodes = [
            holder
            for holder in holders
            if holder.eni_kind not in ENIS_OF_ONE_POD and self._may_be_node(holder)
        ]
        if view.is_masked and any(view.is_local or is_node_address(holder) for holder in of_nodes):
            yield ReasonCode.INTERFACE_ADDRESS_ONLY
        may_leave = [one for one in of_nodes if view.other_vpc is None or view.other_vpc != one.vpc]
        if any(map(may_be_translated, may_leave)):
            yield ReasonCode.SNAT_POSSIBLE


def _view(
    key: FlowKey,
    name: str,
    local: str | None,
    basis: _VpcBasis,
    doubted: Sequence[str],
    occupancy: Occupancy,
    other: Occupancy,
) -> EndView:
    """Return what a record says of one end."""
    is_src, is_local = name == "src", name == local
    packet, service = (key.pkt_src, key.src_service) if is_src else (key.pkt_dst, key.dst_service)
    is_shown = key.shows_source if is_src else key.shows_destination
    is_packet = packet is not None or key.is_of_transit_gateway
    is_masked = not is_packet and (is_local or local is None)
    return EndView(
        is_src=is_src,
        is_local=is_local,
        is_masked=is_masked and occupancy.ip is not None and occupancy.ip.version == 4,
        is_claimed=basis is _VpcBasis.RECORD,
        is_unconfirmed=basis is _VpcBasis.UNCONFIRMED,
        is_doubted=name in doubted,
        is_aws_service=is_aws_service(service),
        is_nat=is_local and is_shown and key.resource is not None and key.resource.startswith("nat-"),
        settled_by=key.interface if is_local and key.interface in occupancy.enis else None,
        other_vpc=other.sure_vpc,
    )


def _is_unique(occupancy: Occupancy, answer: IntervalAnswer) -> bool:
    """Return whether the answer is the same without the VPC that only the record names."""
    if occupancy.everywhere is None:
        return True
    everywhere = over_interval(occupancy.everywhere)
    return everywhere.verdict is answer.verdict and everywhere.holders == answer.holders


def _peer(
    answers: Iterable[WhoAnswer], vpc: str | None, region: str | None, *, is_in_region: bool
) -> str | None:
    """Return the VPC behind a peering connection of a VPC and Region; None unless exactly one fits."""
    vpcs = {
        holder.vpc
        for answer in answers
        for holder in answer.holders
        if holder.vpc != vpc and (region is None or (holder.region == region) is is_in_region)
    }
    return vpcs.pop() if len(vpcs) == 1 else None


_CAPS: Final = {Verdict.CERTAIN: Verdict.LIKELY, Verdict.FREE: Verdict.UNKNOWN}
"""What remains of a verdict that something leaves in doubt."""


def _capped(answer: IntervalAnswer, code: ReasonCode) -> IntervalAnswer:
    """Return an answer that is likely at best."""
    pod = answer.pod_verdict
    return replace(
        answer,
        verdict=_CAPS.get(answer.verdict, answer.verdict),
        pod_verdict=PodVerdict.LIKELY if pod is PodVerdict.CERTAIN else pod,
        reasons=(*answer.reasons, code),
    )


def _in_order(codes: Sequence[ReasonCode]) -> Iterable[ReasonCode]:
    """Return codes once each, the most telling first."""
    if len(codes) < 2:
        return codes
    first = [code for code in _MOST_TELLING if code in codes]
    return dict.fromkeys((*first, *codes))


def _remember(known: dict[Key, Value], key: Key, value: Value) -> None:
    """Add to what is remembered, which is forgotten when it gets too much."""
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value


def _name_of_pod(pod: PodEntry) -> str | None:
    return f"{pod.namespace}/{pod.pod}" if pod.pod is not None else None


def _distinct(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name for name in names if name is not None])) if names else ()
