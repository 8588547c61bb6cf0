"""Answers to ``who`` from one history."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import IPv4Address
from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.coverage_text import lacking_elsewhere
from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import actor_of, takes_interface
from cnitrail.answers.over_time import OverTime, time_of
from cnitrail.answers.who.change_points import ChangePoints
from cnitrail.answers.who.doubts import doubts
from cnitrail.answers.who.grounds import (
    WEAKER_LAST,
    LeaseGround,
    ground_of,
    proof,
    unread_records,
    unused_records,
    without_eni,
)
from cnitrail.answers.who.indexes import (
    HolderAt,
    IndexedEvidence,
    LeaseGroup,
    address_and_prefix,
    with_rivals,
)
from cnitrail.answers.who.released import ReleasedLease, doubts_of_free, released_leases, shared_vpc
from cnitrail.answers.who.story import Stories, absence, never_seen, next_holders, outside_filter
from cnitrail.answers.who.verdict_rules import (
    Situation,
    VerdictRule,
    not_assigned_since,
    order_unknown,
    rule_for,
)
from cnitrail.bounded_memory import BoundedMemory
from cnitrail.model import (
    Address,
    Basis,
    Coverage,
    Ground,
    Held,
    History,
    Holder,
    Lease,
    Verdict,
    WhoAnswer,
    block_of,
    is_prefix,
)
from cnitrail.model.ec2 import PREFIX_HOST_BITS
from cnitrail.model.pods import PodAnswer
from cnitrail.model.reason import Reason, ReasonCode

if TYPE_CHECKING:
    from cnitrail.answers.pods.index import PodIndex, PodQuestion


_FILTERS: Final = 1_000
"""Filters whose answers about addresses that nothing names are remembered: a record may name any VPC."""


def _pod_index(history: History) -> "PodIndex":
    from cnitrail.answers.pods.index import PodIndex

    return PodIndex(history)


def _weakest(grounds: list[LeaseGround]) -> Ground | None:
    return max((known.ground for known in grounds), key=WEAKER_LAST.index, default=None)


def _say_the_same(one: WhoAnswer, other: WhoAnswer) -> bool:
    """Return whether two answers have the same verdict, holders, reason codes and pods.

    Their times and the texts of their reasons may differ.
    """
    return (
        one.verdict is other.verdict
        and one.holders == other.holders
        and _codes(one.reasons) == _codes(other.reasons)
        and (one.pod is None or other.pod is None or _name_the_same(one.pod, other.pod))
    )


def _name_the_same(one: PodAnswer, other: PodAnswer) -> bool:
    return (
        one.verdict is other.verdict
        and one.pods == other.pods
        and _codes(one.reasons) == _codes(other.reasons)
    )


def _codes(reasons: Sequence[Reason]) -> list[ReasonCode]:
    return [reason.code for reason in reasons]


class AskedAddress(Struct, frozen=True, kw_only=True):
    """An address as a filter narrows it: ``groups`` are its leases in the VPCs that the filter keeps."""

    forms: tuple[Address, Held]
    wanted: Filter
    everywhere: list[LeaseGroup]
    groups: list[LeaseGroup]

    @property
    def relevant(self) -> list[LeaseGroup]:
        """The groups that matter to an answer: an ENI of unknown VPC may be in any of them."""
        return [group for group in self.everywhere if group in self.groups or group.has_unknown_vpc]


class _Settled(Struct, frozen=True, gc=False, kw_only=True):
    """Who held an address at a second, before anything is said about it.

    ``found`` are the leases that may cover the second, also those that the filter leaves out; ``shown`` are
    the holders; ``released`` are the last leases before the second if there is none. ``grounds`` are what
    they rest on, if digests were asked.
    """

    situation: Situation
    rule: VerdictRule
    found: list[Lease]
    shown: tuple[Holder, ...]
    released: list[ReleasedLease]
    grounds: list[LeaseGround]

    @property
    def second(self) -> datetime:
        return self.situation.second

    @property
    def holders(self) -> tuple[Lease, ...]:
        return self.situation.holders

    @property
    def verdict(self) -> Verdict:
        return self.rule.verdict

    def answer(
        self,
        reasons: tuple[Reason, ...],
        rests_on: Ground | None = None,
        last_holder: Holder | None = None,
    ) -> WhoAnswer:
        """Return it as an answer."""
        return WhoAnswer(
            ip=str(self.situation.ip),
            at=self.second,
            verdict=self.verdict,
            holders=self.shown,
            reasons=reasons,
            rests_on=rests_on,
            last_holder=last_holder,
        )


class EniAnswer(Struct, frozen=True, gc=False):
    """An answer without a pod, which holds for several seconds.

    ``released`` is when the address was released, if it is free: the answer then names the second, too.
    """

    answer: WhoAnswer
    released: datetime | None

    def of(self, ip: str, second: datetime) -> WhoAnswer:
        """Return it as the answer about an address in one of its seconds."""
        reasons = self.answer.reasons
        if self.released is not None:
            since = not_assigned_since(self.released, second)
            reasons = tuple([since if reason.code is since.code else reason for reason in reasons])
        return replace(self.answer, ip=ip, at=second, reasons=reasons)


class HolderIndex:
    """Answers questions over one history, each by binary search.

    ``verified`` says that digests were asked: reasons then include what they prove.
    """

    def __init__(self, history: History, coverage: Coverage, *, verified: bool = False) -> None:
        self._evidence = IndexedEvidence.of(history, coverage)
        self.verified = verified
        self._stories = Stories(history)
        self._groups: dict[Held, list[LeaseGroup]] = {}
        self._unnamed: dict[Filter, OverTime[WhoAnswer]] = BoundedMemory(_FILTERS)
        self.pods = None if history.pods.is_empty else _pod_index(history)

    def who(self, ip: Address, at: datetime, wanted: Filter) -> WhoAnswer:
        """Return who held an address in the second of a time, by the evidence, and which pod.

        ``wanted`` narrows the holders by VPC, account and Region.
        """
        asked = self.asked(ip, wanted)
        question = self.pods.question(ip, at, wanted) if self.pods is not None else None
        return self.with_pod(question, self._in_full(asked, self._settle(asked, at, question)))

    def eni_answer(self, asked: "AskedAddress", second: datetime) -> "EniAnswer":
        """Return who held an address in a second, by the evidence of CloudTrail alone."""
        settled = self._settle(asked, second, None)
        released = settled.situation.released if settled.verdict is Verdict.FREE else None
        return EniAnswer(self._in_full(asked, settled), released)

    def _in_full(self, asked: "AskedAddress", settled: "_Settled") -> WhoAnswer:
        """Return an answer with all that is said about it, but the pod."""
        last, grounds = None, []
        if not settled.holders:
            last = self._last_holder(asked.groups, settled.second, asked.wanted)
        if settled.verdict is not Verdict.UNKNOWN:
            grounds = self._grounds(settled.holders, settled.released, settled.second)
        return settled.answer(
            self._reasons(asked, settled),
            rests_on=_weakest(grounds),
            last_holder=self._holder(last, self._last_second(last)) if last is not None else None,
        )

    def over_time(self, ip: Address, wanted: Filter) -> OverTime[WhoAnswer]:
        """Return the answers to ``who`` for one address by second, with reasons only if there is a doubt.

        They have no ``last_holder``, nor what they rest on. All addresses that nothing names share theirs.
        Reasons that differ only in their texts are the same.
        """
        asked = self.asked(ip, wanted)
        own, shared = self.change_points.of(asked.forms, asked.everywhere)
        if not self.names(ip):
            return self._of_unnamed(asked, shared)
        if self.pods is not None:
            instances = {
                attachment.instance
                for group in asked.everywhere
                for eni in group.enis
                for attachment in self._evidence.history.interfaces[eni].attachments
            }
            own = sorted({*own, *self.pods.change_points(ip, instances)})
        return OverTime((own, shared), lambda second: self._in_short(asked, time_of(second)), _say_the_same)

    def _of_unnamed(self, asked: "AskedAddress", shared: list[int]) -> OverTime[WhoAnswer]:
        """Return the answers for an address that no record names: the same for all such addresses."""
        wanted = asked.wanted
        if (known := self._unnamed.get(wanted)) is None:
            of_pods = self.pods.change_points(asked.forms[0], ()) if self.pods is not None else ()
            changes = (shared, of_pods)
            known = OverTime(changes, lambda second: self._in_short(asked, time_of(second)), _say_the_same)
            self._unnamed[wanted] = known
        return known

    def _in_short(self, asked: "AskedAddress", at: datetime) -> WhoAnswer:
        question = self.pods.question(asked.forms[0], at, asked.wanted) if self.pods is not None else None
        settled = self._settle(asked, at, question)
        is_doubted = settled.verdict not in (Verdict.CERTAIN, Verdict.FREE)
        reasons = self._reasons(asked, settled) if is_doubted else ()
        return self.with_pod(question, settled.answer(reasons))

    def with_pod(self, question: "PodQuestion | None", enis: WhoAnswer) -> WhoAnswer:
        """Return an answer about ENIs with the pod."""
        if self.pods is None or question is None:
            return enis
        return replace(enis, pod=self.pods.answer(question, enis))

    def names(self, ip: Address) -> bool:
        """Return whether any record names an address: of all others, the same is known."""
        if self.names_pod(ip):
            return True
        if block_of(ip) not in self.change_points.blocks:
            return False
        forms = address_and_prefix(ip)
        return any(map(self._groups_of, forms)) or self.change_points.name(forms)

    def names_pod(self, ip: Address) -> bool:
        """Return whether any pod had an address at any time."""
        return self.pods is not None and self.pods.names(ip)

    def names_any_near(self, ip: IPv4Address) -> bool:
        """Return whether any record names an address in the /16 network of an address."""
        return int(ip) >> 16 in self._named_networks

    @cached_property
    def _named_networks(self) -> set[int]:
        of_pods = map(block_of, self.pods.addresses) if self.pods is not None else ()
        blocks = (*self.change_points.blocks, *of_pods)
        return {number >> (16 - PREFIX_HOST_BITS[4]) for version, number in blocks if version == 4}

    def vpcs_of(self, ip: Address) -> set[str]:
        """Return the VPCs of all ENIs that ever had an address; an ENI whose VPC is not known is one."""
        groups = (group for held in address_and_prefix(ip) for group in self._groups_of(held))
        return {vpc for group in groups for vpc in group.vpcs}

    def instances_over_time(self, eni: str) -> OverTime[str | None]:
        """Return the instance of an interface by second."""
        history = self._evidence.history
        changes = self.change_points.of_interface(history.interfaces[eni])
        return OverTime((changes,), lambda second: history.instance_of(eni, time_of(second))[0])

    @cached_property
    def change_points(self) -> ChangePoints:
        """When the answers about addresses change."""
        return ChangePoints(self._evidence, verified=self.verified)

    def asked(self, ip: Address, wanted: Filter) -> "AskedAddress":
        """Return an address as a filter narrows it."""
        forms = address_and_prefix(ip)
        everywhere = [group for held in forms for group in self._groups_of(held)]
        kept_vpcs = {vpc for group in everywhere if self._takes(wanted, group) for vpc in group.vpcs}
        groups = [group for group in everywhere if not kept_vpcs.isdisjoint(group.vpcs)]
        return AskedAddress(forms=forms, wanted=wanted, everywhere=everywhere, groups=groups)

    def _settle(self, asked: "AskedAddress", at: datetime, question: "PodQuestion | None") -> "_Settled":
        """Return who held an address in the second of a time; ``question`` is that about its pod then."""
        evidence, second = self._evidence, at.astimezone(UTC).replace(microsecond=0)
        found = self._candidates(asked.groups, second)
        is_kept = any(takes_interface(asked.wanted, evidence.interface(lease)) for lease in found)
        holders = tuple(found if is_kept else ())
        shown = tuple(self._holder(lease, second) for lease in holders)
        contradictions = tuple(self.pods.contradictions(question, shown)) if self.pods and question else ()
        released = self._released(asked.groups, second, asked.wanted) if not found else []
        grounds = self._grounds(holders, released, second) if self.verified else []
        if holders:
            situation = self._situation(asked, second, holders, grounds, contradictions)
        else:
            situation = self._without_holder(asked, second, released, grounds, contradictions)
        return _Settled(
            situation=situation,
            rule=rule_for(situation),
            found=found,
            shown=shown,
            released=released,
            grounds=grounds,
        )

    def _grounds(
        self, holders: Iterable[Lease], released: Iterable[ReleasedLease], second: datetime
    ) -> list[LeaseGround]:
        """Return what the holders rest on, or that there is none since the last ones."""
        grounds = [ground_of(self._evidence, lease, second) for lease in holders]
        return grounds or [one.ground() for one in released]

    def _reasons(self, asked: "AskedAddress", settled: "_Settled") -> tuple[Reason, ...]:
        """Return the reasons of an answer: what happened, then how far that can be trusted."""
        evidence, second, holders = self._evidence, settled.second, settled.holders
        if holders:
            story = [reason for lease in holders for reason in self._stories.of(lease, second)]
        else:
            story = [outside_filter(evidence, lease) for lease in settled.found]
            story += never_seen(asked.everywhere, asked.groups)
            story += without_eni(evidence, asked.forms[0], second)
            story += absence(self._stories, evidence.coverage, asked.groups, second, asked.wanted)
            if settled.verdict is Verdict.FREE:
                story += [reason for one in settled.released for reason in shared_vpc(one, asked.wanted)]
        return tuple(
            dict.fromkeys(
                (
                    *story,
                    *settled.rule.reasons(settled.situation),
                    *(map(proof, settled.grounds) if self.verified else ()),
                    *unread_records(evidence, asked.forms, second),
                    *unused_records(evidence, asked.forms, {lease.eni for lease in holders}),
                )
            )
        )

    def _last_second(self, lease: Lease) -> datetime:
        """Return the last second of a lease in which its ENI was on an instance, or else its end."""
        assert lease.end.time is not None
        gone = self._evidence.history.departure(lease.eni, lease.end.time)
        left = gone.end.time if gone is not None else None
        is_during = left is not None and (lease.start.time is None or lease.start.time <= left)
        return left if left is not None and is_during else lease.end.time

    def _candidates(self, groups: list[LeaseGroup], second: datetime) -> list[Lease]:
        """Return the leases that may cover a second, with the rivals of those that are contested."""
        found = [lease for group in groups for lease in group.at(second)]
        contested = filter(self._is_contested, found)
        return with_rivals(self._evidence.history, groups, found, contested, second)

    def _situation(
        self,
        asked: "AskedAddress",
        second: datetime,
        holders: tuple[Lease, ...],
        grounds: list[LeaseGround],
        contradictions: tuple[Reason, ...],
    ) -> Situation:
        """Return what the verdict rules judge."""
        evidence = self._evidence
        is_single = len({lease.eni for lease in holders}) == 1
        judged = holders if is_single else ()
        return Situation(
            ip=asked.forms[0],
            second=second,
            holders=holders,
            vpcs=frozenset(evidence.interface(lease).vpc for lease in holders),
            contested=any(map(self._is_contested, holders)),
            doubts=(
                *chain.from_iterable([doubts(HolderAt.of(evidence, lease, second)) for lease in judged]),
                *(contradictions if is_single else ()),
                *(self._lacking_elsewhere(asked, holders, second) if is_single else ()),
            ),
            next_holders=tuple(next_holders(asked.groups, holders)) if is_single else (),
            unproven=self.verified and any(known.ground is not Ground.PROVEN for known in grounds),
        )

    def _without_holder(
        self,
        asked: "AskedAddress",
        second: datetime,
        released: list[ReleasedLease],
        grounds: list[LeaseGround],
        contradictions: tuple[Reason, ...],
    ) -> Situation:
        """Return what the verdict rules judge if no lease covers a second."""
        return Situation(
            ip=asked.forms[0],
            second=second,
            holders=(),
            vpcs=frozenset(one.lease.vpc for one in released),
            contested=False,
            doubts=(
                *(
                    order_unknown()
                    for one in released
                    if one.is_order_unknown or self._is_contested(one.lease)
                ),
                *(doubt for one in released for doubt in doubts_of_free(one, asked.everywhere, asked.forms)),
                *(unread_records(self._evidence, asked.forms, second) if released else ()),
                *(contradictions if released else ()),
                *self._lacking_elsewhere(asked, [one.lease for one in released], second),
            ),
            released=max((one.released for one in released), default=None),
            unproven=self.verified and _weakest(grounds) is not Ground.PROVEN,
        )

    def _lacking_elsewhere(
        self, asked: "AskedAddress", leases: Sequence[Lease], second: datetime
    ) -> Iterator[Reason]:
        """Yield what was not read of other Regions, in which another VPC may use the address of leases."""
        if leases and self._evidence.coverage.lost:
            places = {self._evidence.interface(lease).place for lease in leases}
            yield from lacking_elsewhere(self._evidence.coverage, asked.wanted, places, second)

    def _released(self, groups: list[LeaseGroup], second: datetime, wanted: Filter) -> list[ReleasedLease]:
        """Return the last lease before a second in each VPC; none if the filter leaves one of them out."""
        last = released_leases(self._evidence, groups, second)
        is_kept = all(takes_interface(wanted, self._evidence.interface(one.lease)) for one in last)
        return last if is_kept else []

    def _is_contested(self, lease: Lease) -> bool:
        """Return True if another interface may have got the address last, in the first second of a lease.

        A later release shows which one did, unless a call between the two may be missing.
        """
        certainty = lease.certainty
        if lease.start.time is None or certainty.settled_at is None:
            return certainty.contested
        return self._evidence.hole(lease, lease.start.time, certainty.settled_at) is not None

    def _groups_of(self, held: Held) -> list[LeaseGroup]:
        """Return the leases of an address by VPC; they are indexed when they are first asked for."""
        known = self._groups.get(held)
        if known is None:
            known = [LeaseGroup(leases) for leases in self._evidence.history.holders.get(held, ())]
            if known:
                self._groups[held] = known
        return known

    def _takes(self, wanted: Filter, group: LeaseGroup) -> bool:
        """Return True if a filter keeps any interface of a group: the leases of a VPC are rivals."""
        if not wanted.takes_value("vpc", *group.vpcs):
            return False
        interfaces = self._evidence.history.interfaces
        return any(takes_interface(wanted, interfaces[eni]) for eni in group.enis)

    def _last_holder(self, groups: list[LeaseGroup], second: datetime, wanted: Filter) -> Lease | None:
        """Return the lease that ended last before a second; None if none has a known end before it."""
        last = None
        for lease in (group.before(second) for group in groups):
            if lease is None or lease.end.time is None or lease.end.time >= second:
                continue
            if not takes_interface(wanted, self._evidence.interface(lease)):
                continue
            if last is None or last.end.time is None or lease.end.time > last.end.time:
                last = lease
        return last

    def _holder(self, lease: Lease, second: datetime) -> Holder:
        history, interface = self._evidence.history, self._evidence.interface(lease)
        attachment = interface.attachment_at(second)
        instance, basis = history.instance_of(lease.eni, second)
        start_event = lease.start.event if lease.start.basis is Basis.OBSERVED else None
        return Holder(
            eni=lease.eni,
            eni_kind=interface.kind,
            instance=instance,
            instance_basis=basis,
            cluster=history.cluster_of(lease.eni, instance, second).name,
            vpc=interface.vpc,
            subnet=interface.subnet,
            account=interface.account,
            region=interface.region,
            device_index=attachment.device_index if attachment else None,
            kind=lease.kind,
            prefix=lease.held if is_prefix(lease.held) else None,
            start=lease.start.time,
            start_basis=lease.start.basis,
            end=lease.end.shown,
            end_basis=lease.end.basis,
            assigned_by=actor_of(history, lease.start),
            assign_event=start_event.event_id if start_event else None,
            attached=history.is_attached(interface, attachment, second),
            service=history.manager_of(lease.eni).service,
        )
