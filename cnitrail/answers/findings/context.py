"""What the rules of findings see, and what they return: a history with its calls in, rule matches out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.calls import ResourceCall, fallbacks, grouped
from cnitrail.answers.findings.names import caller_name
from cnitrail.answers.pods.cut_off import CutOffIndex
from cnitrail.answers.subnet import SubnetIndex
from cnitrail.answers.timeline import calls
from cnitrail.model import (
    USUAL_LAG,
    AccountRegion,
    Actor,
    Attachment,
    CallOutcome,
    Coverage,
    Effect,
    Event,
    Held,
    History,
    HoldingKind,
    Lease,
    Management,
    Manager,
    Severity,
    TimelineEntry,
)
from cnitrail.model.callers import (
    CNI_AGENT,
    ON_NODES,
    Principal,
    manager_of_caller,
    may_be_cilium,
    may_be_the_cni,
    principal_of,
)
from cnitrail.model.reason import Reason
from cnitrail.model.subnet import SubnetCensus
from cnitrail.text import capitalized

if TYPE_CHECKING:
    from cnitrail.answers.findings.failed_calls import FailedCalls

NODES_SINCE = 2021
"""CloudTrail marks calls with a node's own role since this year; before, they look like any role session."""


class RuleMatch(Struct, frozen=True, kw_only=True):
    """What a rule found, and the calls that it rests on, by time; at least one.

    ``ongoing`` if the evidence ends before the problem does. ``causes`` are calls that led to it; the finding
    names their clusters as well. ``nodes`` are those that a network plugin's requests name, beside the
    instances of the calls.
    """

    severity: Severity
    sentence: str
    advice: str
    calls: Sequence[ResourceCall]
    commands: tuple[str, ...] = ()
    doubts: tuple[Reason, ...] = ()
    ongoing: bool = False
    causes: Sequence[ResourceCall] = ()
    census: SubnetCensus | None = None
    nodes: Sequence[str] = ()

    @property
    def since(self) -> datetime:
        """Return when it began."""
        return self.calls[0].time

    @property
    def until(self) -> datetime | None:
        """Return when it was last seen; None if it goes on."""
        return None if self.ongoing else self.calls[-1].time


class FindingContext:
    """A history with all its calls and the coverage of its evidence, indexed for the rules."""

    def __init__(
        self,
        history: History,
        coverage: Coverage,
        entries: Iterable[tuple[Event, TimelineEntry]] | None = None,
    ) -> None:
        """Index a history; ``entries`` are those of all its calls, if they are known already."""
        self.history = history
        self.coverage = coverage
        self._coverages: dict[AccountRegion, Coverage] = {}
        self.calls = tuple(
            [
                ResourceCall(event, entry)
                for event, entry in (calls(history, Filter()) if entries is None else entries)
                if entry.set_aside is None and entry.outcome is not CallOutcome.DRY_RUN
            ]
        )

    @cached_property
    def pods_cut_off(self) -> CutOffIndex:
        """Return the pods that had addresses when calls took these."""
        return CutOffIndex(self.history)

    def who(self, actor: Actor) -> str:
        """Return the name of a caller with its kind, its cluster and its program."""
        return caller_name(actor)

    @cached_property
    def event_names(self) -> frozenset[tuple[AccountRegion, str]]:
        """Return the names of the calls in the evidence, for each account and Region."""
        return frozenset((call.place, call.event.name) for call in self.calls)

    @cached_property
    def by_eni(self) -> dict[str, list[ResourceCall]]:
        """Return the calls on each ENI."""
        return grouped((call for call in self.calls if call.entry.eni), lambda call: call.entry.eni or "")

    @cached_property
    def by_event(self) -> dict[str, list[ResourceCall]]:
        """Return the calls of each event, by its key: several if it touches several ENIs."""
        return grouped(self.calls, lambda call: call.event.key)

    @cached_property
    def in_second(self) -> dict[tuple[AccountRegion, datetime], list[ResourceCall]]:
        """Return the calls of each second; their order within it is not known."""
        return grouped(self.calls, lambda call: (call.place, call.time))

    @cached_property
    def last_success(self) -> dict[str, datetime]:
        """Return when each ENI, or each instance that calls with its own role, was last seen to exist."""
        return {
            name: call.time
            for call in self.calls
            if call.event.failure is None and call.event.effect is not Effect.TERMINATE
            for name in (call.entry.eni, call.entry.actor.instance)
            if name is not None
        }

    @cached_property
    def instances_of_eni(self) -> dict[str, set[str]]:
        """Return the instances that calls on each ENI show it on."""
        found: dict[str, set[str]] = defaultdict(set)
        for call in self.calls:
            if call.entry.eni and call.entry.instance:
                found[call.entry.eni].add(call.entry.instance)
        return found

    @cached_property
    def contested(self) -> frozenset[tuple[str, Held]]:
        """Return the ENIs and addresses that several calls of one second moved, in an unknown order."""
        return frozenset(
            (lease.eni, lease.held) for lease in self.history.leases if lease.certainty.contested
        )

    @cached_property
    def on_instance(self) -> dict[str | None, list[Attachment]]:
        """Return the attachments of each instance."""
        attachments = (
            attachment
            for interface in self.history.interfaces.values()
            for attachment in interface.attachments
        )
        return grouped(attachments, lambda attachment: attachment.instance)

    @cached_property
    def takeovers(self) -> dict[tuple[AccountRegion, Held, datetime], set[str]]:
        """Return the ENIs of each account and Region that may have lost an address at a time.

        An ENI of unknown VPC may have taken it.
        """
        found: dict[tuple[AccountRegion, Held, datetime], set[str]] = defaultdict(set)
        for lease in self.history.leases:
            if lease.certainty.takeover_from is not None:
                place = self.history.interfaces[lease.eni].place
                found[place, lease.held, lease.certainty.takeover_from].add(lease.eni)
        return found

    @cached_property
    def leases_by_start(self) -> dict[str, list[Lease]]:
        """Return the leases that began with an event, by its key."""
        began = (lease for lease in self.history.leases if lease.start.event is not None)
        return grouped(began, lambda lease: lease.start.event.key if lease.start.event else "")

    @cached_property
    def cni_enis(self) -> frozenset[str]:
        """Return the ENIs that evidence about themselves shows the VPC CNI to manage."""
        return frozenset(
            eni
            for eni, managed in self.history.eni_managers.items()
            if managed.manager is Manager.VPC_CNI and managed.is_direct
        )

    def is_in_the_pool(self, eni: str | None) -> bool:
        """Return whether evidence shows that the VPC CNI manages an ENI, or its node.

        Of its cluster only, that is no evidence: one node of a cluster may have another plugin.
        """
        managed = self.history.manager_of(eni)
        return managed.manager is Manager.VPC_CNI and managed.is_of_node

    @cached_property
    def cni_roles(self) -> dict[AccountRegion, set[str]]:
        """Return the roles (their ARNs) with which the VPC CNI calls, for each account and Region."""
        found: dict[AccountRegion, set[str]] = defaultdict(set)
        for call in self.calls:
            if call.entry.actor.ipamd is not None and call.entry.actor.role_arn is not None:
                found[call.place].add(call.entry.actor.role_arn)
        return found

    @cached_property
    def unnamed_detachments(self) -> dict[tuple[AccountRegion, Principal], list[ResourceCall]]:
        """Return the calls of each caller that detached ENIs which the evidence does not name."""
        detached = (call for call in self.calls if call.did(Effect.DETACH) and call.entry.eni is None)
        return grouped(detached, lambda call: (call.place, principal_of(call.entry.actor)))

    @cached_property
    def creators(self) -> dict[tuple[AccountRegion, Manager, str | None], set[str]]:
        """Return the roles (their ARNs) that created the ENIs of each manager: for each instance, and all."""
        found: dict[tuple[AccountRegion, Manager, str | None], set[str]] = defaultdict(set)
        for call in self.calls:
            if call.did(Effect.CREATE) and call.entry.actor.role_arn is not None:
                eni = call.entry.eni or ""
                manager = self.history.manager_of(eni).manager
                for instance in {None, *self.instances_of_eni.get(eni, ())}:
                    found[call.place, manager, instance].add(call.entry.actor.role_arn)
        return found

    @cached_property
    def subnets(self) -> SubnetIndex:
        """Return the ENIs and leases of each subnet."""
        return SubnetIndex(self.history)

    @cached_property
    def failed_calls(self) -> "FailedCalls":
        """Return the failed calls, by the rule that explains them."""
        from cnitrail.answers.findings.failed_calls import FailedCalls

        return FailedCalls(self)

    @cached_property
    def _batches_and_singles(self) -> frozenset[str]:
        """Return the keys of the calls for a batch of addresses that failed, and for one right after it."""
        failed = [call for call in self.calls if call.event.effect is Effect.ASSIGN and call.event.failure]
        return frozenset(call.event.key for pair in fallbacks(failed, self.by_eni) for call in pair)

    def plugin_of(self, call: ResourceCall) -> Manager | None:
        """Return the network plugin that made a call, as far as its record shows; None for other callers.

        What a call asks for shows the plugin only if the caller is a program on a node.
        """
        actor = call.entry.actor
        manager = manager_of_caller(actor)
        if manager is not None:
            return manager
        if call.served is not None and may_be_cilium(actor):
            return Manager.CILIUM
        if may_be_the_cni(actor) and (actor.agent.name == CNI_AGENT or self._is_as_ipamd(call)):
            return Manager.VPC_CNI
        return None

    def _is_as_ipamd(self, call: ResourceCall) -> bool:
        """Return whether a program on a node that does not say its name does what only the VPC CNI does.

        Versions 1.19.4 to 1.21.1 have no user agent of their own. They ask for a batch of addresses, then for
        one, and in IPv6 clusters for a prefix.
        """
        if call.entry.actor.kind not in ON_NODES:
            return False
        managed = self.history.manager_of(call.entry.eni).manager
        of_ipv6 = (
            call.entry.requested_kind is HoldingKind.IPV6_PREFIX and call.entry.eni_kind == "node-primary"
        )
        is_like_it = of_ipv6 or call.event.key in self._batches_and_singles
        return managed is Manager.VPC_CNI or (managed is Manager.UNKNOWN and is_like_it)

    def cluster_of_caller(self, call: ResourceCall) -> str | None:
        """Return the cluster that the caller of a call belongs to; None if nothing shows it.

        A network plugin, a node and what launches nodes call for their own cluster; anybody else may call for
        any.
        """
        actor = call.entry.actor
        is_own_node = actor.instance is not None and actor.instance == call.entry.instance
        is_for_nodes = call.event.effect is Effect.LAUNCH or may_be_the_cni(actor) or is_own_node
        return call.cluster if is_for_nodes or self.plugin_of(call) is not None else actor.cluster

    def manager_of(self, call: ResourceCall) -> Management:
        """Return what manages the ENI of a call; if the call names no ENI, what manages its node."""
        entry, history = call.entry, self.history
        return history.manager_of(entry.eni) if entry.eni else history.manager_of_node(entry.instance)

    def goes_on(self, place: AccountRegion, last: datetime, *, within: timedelta = USUAL_LAG) -> bool:
        """Return whether a problem may go on that was last seen at a time: the evidence ends soon after."""
        return self.evidence_end(place) - last < within

    def evidence_start(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region begins."""
        return min(reach.first for reach in self._coverage_of(place).reaches)

    def evidence_end(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region ends."""
        return max(reach.last for reach in self._coverage_of(place).reaches)

    def hole(self, place: AccountRegion, start: datetime, end: datetime) -> tuple[Reason, ...]:
        """Return a doubt if part of a time was not read, else none."""
        hole = self._coverage_of(place).hole_between(*place, start, end)
        if hole is None:
            return ()
        reason = gap_reason(hole)
        return (replace(reason, text=f"{capitalized(reason.text)}."),)

    def _coverage_of(self, place: AccountRegion) -> Coverage:
        """Return the coverage of one account and Region: an organization has thousands."""
        known = self._coverages.get(place)
        if known is None:
            known = self._coverages[place] = Coverage(self.coverage.of(*place))
        return known
