"""Who had the address at one end of a record, before the record itself is taken into account."""

from collections.abc import Sequence
from operator import is_

from msgspec import Struct, field
from msgspec.structs import replace

from cnitrail.answers.flows.record import FlowKey
from cnitrail.answers.over_time import ALL_INTERVALS, IntervalBounds
from cnitrail.model import Address, Verdict, WhoAnswer
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import PodAnswer, PodVerdict


class EndView(Struct, frozen=True, gc=False, kw_only=True):
    """What a record says of one end, beside its address and time: the same view gives the same end.

    ``settled_by`` is the interface of the record, if it may have had the address at this end. ``is_local``:
    the end is at that interface. ``is_masked``: its own address may be shown in the place of the packet's.
    ``is_claimed``: only the record names the VPC. ``is_unconfirmed``: a single field of the record leads to
    the VPC. ``is_doubted``: the record contradicts the history.
    ``is_nat``: a NAT gateway without an ENI made the record. ``other_vpc`` is the VPC that the other end
    surely is in.
    """

    is_src: bool
    is_local: bool
    is_masked: bool
    is_claimed: bool
    is_unconfirmed: bool
    is_doubted: bool
    is_aws_service: bool
    is_nat: bool
    settled_by: str | None
    other_vpc: str | None


class Occupancy(Struct, eq=False, kw_only=True):
    """Who had an address in an interval: the answers to ``who``, in order.

    They are the same for all intervals within ``bounds``. ``vpc`` is the one asked for; ``is_outside``: by
    the record, the address is not in it. ``everywhere`` are the answers without a VPC, if an ENI of another
    VPC ever had the address, else None. ``enis`` are all that may have had it, ``is_certain``: one surely had
    at some time, ``sure_vpc`` is the VPC that the address surely belonged to. ``ends`` are those already
    named.
    """

    ip: Address | None
    is_public: bool
    vpc: str | None
    is_outside: bool
    answers: Sequence[WhoAnswer] = ()
    everywhere: Sequence[WhoAnswer] | None = None
    bounds: IntervalBounds = ALL_INTERVALS
    enis: frozenset[str] = frozenset()
    is_certain: bool = False
    sure_vpc: str | None = None
    ends: dict[EndView, FlowEnd] = field(default_factory=dict)

    @property
    def is_held_elsewhere(self) -> bool:
        """Return whether an ENI of another VPC may have had the address."""
        answers = self.everywhere or ()
        return any(holder.vpc != self.vpc for answer in answers for holder in answer.holders)

    def says_the_same(self, other: "Occupancy") -> bool:
        """Return whether another one, of the same question, has the very same answers."""
        return _are(self.answers, other.answers) and _are(self.everywhere or (), other.everywhere or ())


def _are(one: Sequence[WhoAnswer], other: Sequence[WhoAnswer]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def sure_vpc(answers: Sequence[WhoAnswer], vpc: str | None) -> str | None:
    """Return the VPC that an address belonged to in every second, held or free; None if that is not known."""
    if not answers or any(answer.verdict is Verdict.UNKNOWN for answer in answers):
        return None
    vpcs = {holder.vpc for answer in answers for holder in answer.holders} or {vpc}
    return vpcs.pop() if len(vpcs) == 1 else None


def local_end(key: FlowKey, src: Occupancy, dst: Occupancy) -> str | None:
    """Return the end at the interface of the record; None if it is not known.

    It is known by the direction, else by the history, else because AWS shows the interface's primary address
    in the place of the packet's at this end only.
    """
    if key.is_of_transit_gateway:
        return None
    if key.direction == "egress":
        return "src"
    if key.direction == "ingress":
        return "dst"
    is_src, is_dst = key.interface in src.enis, key.interface in dst.enis
    if key.interface is not None and not (is_src or is_dst):
        is_src, is_dst = not key.shows_source, not key.shows_destination
    if is_src is is_dst:
        return None
    return "src" if is_src else "dst"


def ends_elsewhere(
    key: FlowKey, local: str | None, src: Occupancy, dst: Occupancy, *, may_forward: bool
) -> tuple[str, ...]:
    """Return the ends that the record sees at its interface and the history on another ENI.

    ``may_forward``: the interface may also forward packets of others. What ``srcaddr`` or ``dstaddr`` shows
    at an interface is its own address even then.
    """
    if key.interface is None or key.is_of_transit_gateway:
        return ()
    is_src = local != "dst" and _is_explained(key, src, may_forward=may_forward and not key.shows_source)
    is_dst = local != "src" and _is_explained(key, dst, may_forward=may_forward and not key.shows_destination)
    if is_src or is_dst:
        return ()
    return (local,) if local is not None else ("src", "dst")


def _is_explained(key: FlowKey, side: Occupancy, *, may_forward: bool) -> bool:
    return may_forward or not side.is_certain or key.interface in side.enis


def settled(answers: Sequence[WhoAnswer], eni: str) -> list[WhoAnswer] | None:
    """Return the answers with the interface of the record in place of others; None if that changes nothing.

    The record was made there, so another ENI that may have had the address, or had it for a part of the time,
    was not this end. Seconds without a holder stay as they are.
    """
    kept = [_only(answer, eni) for answer in answers if not answer.holders or _names(answer, eni)]
    return kept if kept != list(answers) else None


def _names(answer: WhoAnswer, eni: str) -> bool:
    return any(holder.eni == eni for holder in answer.holders)


def _only(answer: WhoAnswer, eni: str) -> WhoAnswer:
    """Return an answer with one of its holders, which is likely at best if there are others."""
    holders = tuple(holder for holder in answer.holders if holder.eni == eni)
    if len(holders) == len(answer.holders):
        return answer
    pod = _only_pods(answer.pod, eni) if answer.pod is not None else None
    return replace(answer, holders=holders, verdict=Verdict.LIKELY, pod=pod)


def _only_pods(answer: PodAnswer, eni: str) -> PodAnswer:
    """Return an answer without the pods of other ENIs, which then is ambiguous at best."""
    pods = tuple(pod for pod in answer.pods if pod.eni in (None, eni))
    if len(pods) == len(answer.pods):
        return answer
    return replace(answer, pods=pods, verdict=PodVerdict.AMBIGUOUS if pods else PodVerdict.UNKNOWN)
