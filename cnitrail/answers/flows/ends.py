"""Who was at both ends of a flow, by the history and by the record itself."""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cached_property
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.flows.intervals import IntervalAnswer, over_interval
from cnitrail.answers.flows.kinds import (
    NAT_GATEWAY,
    NODE,
    NODE_OR_POD,
    POD,
    UNKNOWN,
    WARM_POOL,
    Nodes,
    is_aws_service,
    kind_of,
    kind_without_holder,
    may_be_translated,
)
from cnitrail.answers.flows.metadata import compared
from cnitrail.answers.flows.occupancies import MOST_REMEMBERED, Occupancies
from cnitrail.answers.flows.occupancy import (
    EndView,
    Occupancy,
    ends_elsewhere,
    local_end,
    settled,
)
from cnitrail.answers.flows.record import KEY_FIELDS, FlowKey
from cnitrail.answers.flows.unnamed import StandIn, UnnamedAddresses
from cnitrail.answers.over_time import ALL_INTERVALS, IntervalBounds, OverTime
from cnitrail.answers.who import HolderIndex
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.model import History, Holder, Interface, Subnet, Verdict
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import ENIS_OF_ONE_POD, PodEntry, PodVerdict
from cnitrail.model.reason import ReasonCode

__all__ = ["KEY_FIELDS", "FlowEnds", "FlowKey", "JoinedEnds"]

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
        self._nodes = Nodes(history)
        pods = None if history.pods.is_empty else PodVerdict.UNKNOWN
        self._nobody = IntervalAnswer(verdict=Verdict.UNKNOWN, pod_verdict=pods)
        self._instances_over_time: dict[str, OverTime[str | None]] = BoundedMemory(MOST_REMEMBERED)
        self._unnamed = UnnamedAddresses(holders)
        self._occupancies = Occupancies(holders)
        self._instances: dict[str, _Instances] = BoundedMemory(MOST_REMEMBERED)

    def stand_in(self, text: str) -> StandIn | None:
        """Return what is looked up for an address; None if the evidence names it, or if it is none."""
        return self._unnamed.stand_in(text)

    def join(self, key: FlowKey, first: int, last: int) -> JoinedEnds:
        """Return both ends of a flow whose packets lie in the Unix seconds from ``first`` to ``last``."""
        interface = self._history.interfaces.get(key.interface) if key.interface is not None else None
        vpc, region = (interface.vpc, interface.region) if interface is not None else (None, None)
        src_vpc, dst_vpc = vpc or key.src_vpc or key.vpc, vpc or key.dst_vpc or key.vpc
        src = self._occupancies.during(first, last, key.pkt_src or key.src, src_vpc)
        dst = self._occupancies.during(first, last, key.pkt_dst or key.dst, dst_vpc, key.way_out, region)
        local = local_end(key, src, dst)
        instances = self._instances_of(interface, first, last)
        confirmed, contradicted = compared(key, interface, instances.names)
        doubted = _doubted(local, contradicted)
        elsewhere = ends_elsewhere(key, local, src, dst, may_forward=instances.may_forward)
        if elsewhere:
            contradicted = (*contradicted, "interface-id")
            doubted = (*doubted, *elsewhere)
        basis, known = self._vpc_basis(
            key, vpc, _at_interface(key, local, src, dst), _agreement(confirmed, contradicted), first, last
        )
        bounds = src.bounds.intersection(dst.bounds).intersection(instances.bounds)
        return JoinedEnds(
            bounds=bounds.intersection(known),
            src=self._end(src, _view(key, "src", local, basis, doubted, src, dst)),
            dst=self._end(dst, _view(key, "dst", local, basis, doubted, dst, src)),
            local=local,
            confirmed=confirmed,
            contradicted=contradicted,
        )

    def _vpc_basis(
        self,
        key: FlowKey,
        vpc: str | None,
        own: Sequence[tuple[Occupancy, str | None]],
        agrees: bool | None,
        first: int,
        last: int,
    ) -> tuple[_VpcBasis, IntervalBounds]:
        """Return how the VPC of a record is known, and for which intervals.

        ``vpc`` is that of its interface by the history, and ``own`` are the ends that may be there.
        ``agrees``: the metadata of the record confirm the interface; None if they do not decide it.
        """
        if vpc is None:
            is_sure = key.is_of_transit_gateway or self._subnets.get(key.subnet) == key.vpc
            return _VpcBasis.RECORD if is_sure else _VpcBasis.UNCONFIRMED, ALL_INTERVALS
        known = ALL_INTERVALS
        if agrees is None:
            agrees, known = self._is_at_interface(key.interface, vpc, own, first, last)
        return _VpcBasis.HISTORY if agrees else _VpcBasis.UNCONFIRMED, known

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
            side = self._occupancies.during(first, last, text, vpc)
            bounds = bounds.intersection(side.bounds)
            is_shown = is_shown or interface in side.enis
        return is_shown, bounds

    @cached_property
    def _subnets(self) -> dict[str | None, str | None]:
        """The VPC of each subnet."""
        resources: list[Interface | Subnet] = [
            *self._history.interfaces.values(),
            *self._history.subnets.values(),
        ]
        known = ((resource.subnet, resource.vpc) for resource in resources)
        return {subnet: vpc for subnet, vpc in known if subnet is not None and vpc is not None}

    def _instances_of(self, interface: Interface | None, first: int, last: int) -> _Instances:
        if interface is None:
            return _NO_INSTANCES
        known = self._instances.get(interface.eni)
        if known is None or not known.bounds.include(first, last):
            over_time = self._instances_over_time.get(interface.eni)
            if over_time is None:
                over_time = self._holders.instances_over_time(interface.eni)
                self._instances_over_time[interface.eni] = over_time
            stretches = over_time.during(first, last)
            names = frozenset(stretch.value for stretch in stretches)
            known = _Instances(IntervalBounds.of(stretches), names, self._may_forward(interface, names))
            self._instances[interface.eni] = known
        return known

    def _may_forward(self, interface: Interface, instances: Iterable[str | None]) -> bool:
        if interface.kind != "node-primary":
            return interface.kind in _FORWARDING
        clusters = (self._history.cluster_of(interface.eni, instance, None).name for instance in instances)
        return not (any(clusters) or any(map(self._nodes.is_one, instances)))

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
        kinds = {kind_of(holder, is_node=self._nodes.has(holder)) for holder in answer.holders}
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

    def _may_be_node(self, holder: Holder) -> bool:
        """Return whether pods may run on the instance of a holder: any may, if that of none is known."""
        has_pod_evidence = not self._history.pods.is_empty
        return self._nodes.has(holder) or (has_pod_evidence and holder.instance is not None)

    def _shared_with_pods(self, holders: Sequence[Holder], view: EndView) -> Iterable[ReasonCode]:
        """Yield why the packets may be those of a pod of the node whose own address the record shows."""
        of_nodes = [
            holder
            for holder in holders
            if holder.eni_kind not in ENIS_OF_ONE_POD and self._may_be_node(holder)
        ]
        if view.is_masked and any(view.is_local or holder.is_own_address for holder in of_nodes):
            yield ReasonCode.INTERFACE_ADDRESS_ONLY
        if any(
            may_be_translated(holder, view.other_vpc, has_ipv6_pods=self._nodes.has_ipv6_pods(holder.eni))
            for holder in of_nodes
        ):
            yield ReasonCode.SNAT_POSSIBLE


def _doubted(local: str | None, contradicted: Sequence[str]) -> tuple[str, ...]:
    """Return the ends that are in doubt because the metadata of a record contradict the history."""
    if not contradicted:
        return ()
    return ("src", "dst") if local is None or "vpc-id" in contradicted else (local,)


def _agreement(confirmed: Iterable[str], contradicted: Iterable[str]) -> bool | None:
    """Return whether metadata confirm the interface of a record; None if they say neither, or both."""
    agrees, differs = not _CONFIRMING.isdisjoint(confirmed), not _LASTING.isdisjoint(contradicted)
    return agrees if agrees is not differs else None


def _at_interface(
    key: FlowKey, local: str | None, src: Occupancy, dst: Occupancy
) -> list[tuple[Occupancy, str | None]]:
    """Return the ends that may be at the interface of a record, with the addresses that it shows of them."""
    ends = (("src", src, key.src), ("dst", dst, key.dst))
    return [(occupancy, shown) for name, occupancy, shown in ends if local in (name, None)]


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


def _name_of_pod(pod: PodEntry) -> str | None:
    return f"{pod.namespace}/{pod.pod}" if pod.pod is not None else None


def _distinct(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name for name in names if name is not None])) if names else ()
