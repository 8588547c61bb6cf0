"""The IP pools of nodes: size over time, the VPC CNI settings that explain it, and what others would do.

``nodes`` and ``size`` have what a node held, ``log`` what the CNI did, in ``batches``; ``capacity`` is what
it can hold. ``settings`` draws conclusions from all of it: ``constraints`` has the CNI's ``arithmetic`` read
backwards, and ``candidates`` the settings that fit. ``unexplained`` is why a pool is empty, or not the CNI's.
``whatif`` runs the same arithmetic forward, in a ``simulation``. ``compare`` compares all of this with what
ipamd reports.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import meets_time
from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.batches import BatchKind, CniLog, meaning_of
from cnitrail.answers.pool.capacity import capacity, pool_limits, usable_limits
from cnitrail.answers.pool.compare import against
from cnitrail.answers.pool.generations import LATEST, Generation, generations_of
from cnitrail.answers.pool.log import by_the_cni, read_batches
from cnitrail.answers.pool.nodes import InstanceCount, Node, count_instances, nodes
from cnitrail.answers.pool.pod_bounds import PodBounds
from cnitrail.answers.pool.pods import PodCounts
from cnitrail.answers.pool.settings import SettingsExplanation, SettingsQuestion, explain
from cnitrail.answers.pool.size import sizes, together, within
from cnitrail.answers.pool.unexplained import IPV6, has_ipv6_pods, not_of_the_cni, why_empty
from cnitrail.answers.pool.whatif import Demand, Outcome, Trial, attempt, summarize
from cnitrail.intervals import Interval, between
from cnitrail.model import AccountRegion, Coverage, History, Limits, Management, Manager
from cnitrail.model.ipamd import IpamdPool
from cnitrail.model.pool import (
    AgainstIpamd,
    CallCount,
    ErrorCount,
    EventRef,
    LogGap,
    PodEnis,
    PoolBatch,
    PoolEntry,
    Unsettled,
    WhatIf,
)
from cnitrail.model.reason import Reason, ReasonCode

__all__ = ["InstanceCount", "Node", "PoolOptions", "Settings", "count_instances", "nodes", "pool"]


class PoolOptions(Struct, frozen=True, kw_only=True):
    """Limits of instance types, settings to try, and what is known from elsewhere.

    ``pods`` are pod counts (aware, UTC, in order); ``metrics`` and ``ipamd`` are what ipamd reports, with
    the file or URL that it was read from.
    """

    limits_of: Callable[[str], Limits | None]
    what_if: tuple[Settings, ...] = ()
    pods: Sequence[tuple[datetime, int]] = ()
    metrics: tuple[str, IpamdPool] | None = None
    ipamd: tuple[str, IpamdPool] | None = None


def pool(history: History, coverage: Coverage, wanted: Filter, options: PoolOptions) -> list[PoolEntry]:
    """Return an entry for each node that a filter keeps; several of one account and Region also share one.

    The shared entry comes before its nodes, which are in the order of their first events. An instance that is
    not known to be a node has an entry only if the filter names it.
    """
    groups: dict[tuple[str | None, str | None], list[_Pool]] = defaultdict(list)
    for node in nodes(history, wanted):
        if meets_time(node.since, node.until, wanted):
            member = _Pool(node, history, coverage, wanted, options)
            groups[node.instance.account, node.instance.region].append(member)
    entries = []
    for members in groups.values():
        of_nodes = [member.entry() for member in members]
        kubernetes = [member for member in members if member.node.is_kubernetes]
        if len(kubernetes) > 1:
            shared = [entry for entry in of_nodes if entry.is_node]
            entries.append(_group(kubernetes, shared, coverage, wanted, options))
        entries += of_nodes
    return entries


class _Pool:
    """One node's pool, and everything that is concluded about it."""

    def __init__(
        self, node: Node, history: History, coverage: Coverage, wanted: Filter, options: PoolOptions
    ) -> None:
        self.node = node
        self._history = history
        self._wanted = wanted
        self._options = options
        instance = node.instance
        known = options.limits_of(instance.instance_type or "")
        self._limits = usable_limits(known, node.management) if known is not None else None
        self.sizes = sizes(node, wanted)
        reached = [reach.last for reach in coverage.of(instance.account, instance.region)]
        self._last = max([*reached, *(call.event.time for call in node.calls)], default=node.since)
        self.own = by_the_cni(node, history.actors)
        self.calls = _calls([node], self.own)
        self._is_cni = node.management.manager is Manager.VPC_CNI
        self._ipv6 = self._is_cni and has_ipv6_pods(node, self.own)
        self._log = self._read(coverage)
        bounds = PodBounds(node, history)
        self._pods = bounds if bounds.are_known and not options.pods else PodCounts(options.pods)
        self._explanation = self._explain()
        self._gaps = _gaps(coverage, (instance.account, instance.region), node.since, self._until, wanted)
        self.outcomes = self._outcomes()

    @property
    def _until(self) -> datetime:
        return min(self.node.until or self._last, self._last)

    def entry(self) -> PoolEntry:
        """Return the node's entry."""
        node, wanted, options = self.node, self._wanted, self._options
        instance, interfaces = node.instance, [stay.interface for stay in node.stays]
        explanation = self._explanation
        shown = within(self.sizes, wanted)
        limits = pool_limits(self._limits, self._pod_enis()) if self._limits is not None else None
        return PoolEntry(
            instance=instance.instance,
            nodes=(instance.instance,),
            is_node=node.is_kubernetes,
            management=node.management,
            instance_type=instance.instance_type,
            platform=instance.platform,
            account=instance.account,
            region=instance.region,
            vpc=instance.vpc or next((interface.vpc for interface in interfaces if interface.vpc), None),
            subnets=_distinct(interface.subnet for interface in interfaces),
            cluster=node.cluster,
            since=node.since,
            until=node.until,
            known_until=self._until,
            complete=node.complete,
            limits=limits,
            capacity=capacity(limits, self.sizes),
            size=shown,
            no_pool=why_empty(node.calls, self.sizes, shown, self._limits, ipv6=self._ipv6),
            gaps=self._gaps,
            calls=self.calls,
            batches=tuple(self._batches()),
            settings=tuple(
                period for period in explanation.periods if meets_time(period.since, period.until, wanted)
            ),
            unsettled=tuple(
                period for period in explanation.unsettled if meets_time(period.since, period.until, wanted)
            ),
            pods=tuple(needed for needed in explanation.pods if wanted.takes_time(needed.time)),
            pods_from=self._pods.source,
            what_if=tuple(summarize(settings, [outcome]) for settings, outcome in self.outcomes),
            metrics=self._against(options.metrics),
            ipamd=self._against(options.ipamd) if self._is_its_own(options.ipamd) else None,
        )

    def _pod_enis(self) -> PodEnis | None:
        """Return which ENIs may have addresses for pods; None if no pool of IPv4 addresses is known."""
        if self.node.management.manager is Manager.RESOURCE_CONTROLLER:
            return PodEnis.PRIMARY
        if not self._is_cni or self._ipv6:
            return None
        is_custom = self._log is not None and self._log.custom_networking
        return PodEnis.SECONDARY if is_custom else PodEnis.ALL

    def _read(self, coverage: Coverage) -> CniLog | None:
        """Return what the CNI did; None if it has no pool, or if the limits are unknown."""
        if self._limits is None or not self._is_cni:
            return None
        return read_batches(self.node, self.own, self._history.actors, self._limits, coverage)

    def _batches(self) -> Iterator[PoolBatch]:
        for batch in self._log.batches if self._log else ():
            event, grows = batch.event, batch.kind is BatchKind.GROW
            if self._limits is not None and self._wanted.takes_time(event.time):
                yield PoolBatch(
                    by=EventRef(event.time, event.name, event.event_id),
                    eni=batch.eni,
                    change=batch.count if grows else -batch.count,
                    prefixes=batch.prefixes,
                    room=batch.room if grows else None,
                    pool=batch.pool,
                    meaning=meaning_of(batch, self._limits),
                )

    def _explain(self) -> SettingsExplanation:
        node = self.node
        reason = not_of_the_cni(node) or (IPV6 if self._ipv6 else None)
        if reason is not None:
            return SettingsExplanation((), (Unsettled(node.since, None, reason),), (), ())
        if self._log is None or self._limits is None:
            name = node.instance.instance_type
            reason = (
                Reason(ReasonCode.LIMITS_UNKNOWN, f"the limits of {name} are unknown")
                if name
                else Reason(ReasonCode.TYPE_UNKNOWN, "the node's instance type is not known")
            )
            return SettingsExplanation((), (Unsettled(node.since, None, reason),), (), ())
        return explain(
            SettingsQuestion(
                log=self._log,
                limits=self._limits,
                since=node.since,
                until=self._until,
                alive=node.until is None,
                actors=self._history.actors,
                pods=self._pods,
            )
        )

    def _outcomes(self) -> list[tuple[Settings, Outcome]]:
        """Return the result of each of the settings to try."""
        own = [call.event.time for call in self.node.calls if call.event.key in self.own]
        since = min(own, default=self.node.since)
        if self._limits is None or not self._is_cni or self._ipv6 or since >= self._until:
            return []
        trial = Trial(
            instance=self.node.instance.instance,
            limits=self._limits,
            generation=self._generation(),
            demand=self._demand(since),
            since=since,
            until=self._until,
            custom_networking=self._log is not None and self._log.custom_networking,
            observed={count.event: count.calls for count in self.calls},
            sizes=self.sizes,
        )
        return [(settings, attempt(trial, settings)) for settings in self._options.what_if]

    def _demand(self, since: datetime) -> Demand:
        pods = self._options.pods
        if pods:
            return Demand(pods, "file", lower_bound=pods[0][0] > since)
        least = [(needed.time, needed.least) for needed in self._explanation.demand]
        return Demand(least, "history", lower_bound=True)

    def _generation(self) -> Generation:
        """Return the latest generation of the CNI that its last call can be of."""
        own = [call.event for call in self.node.calls if call.event.key in self.own]
        return generations_of(self._history.actors[own[-1].key])[-1] if own else LATEST

    def _is_its_own(self, reported: tuple[str, IpamdPool] | None) -> bool:
        enis = {stay.interface.eni for stay in self.node.stays}
        return reported is not None and not enis.isdisjoint(reported[1].interfaces)

    def _against(self, reported: tuple[str, IpamdPool] | None) -> AgainstIpamd | None:
        if reported is None:
            return None
        last = self.sizes[-1] if self.sizes else None
        return against(*reported, self.node, last, self._limits, self._until)


def _group(
    members: Sequence[_Pool],
    entries: Sequence[PoolEntry],
    coverage: Coverage,
    wanted: Filter,
    options: PoolOptions,
) -> PoolEntry:
    """Return the shared entry of several nodes of one account and Region, each with its own entry."""
    own = frozenset(key for member in members for key in member.own)
    clusters = {entry.cluster for entry in entries}
    vpcs = {entry.vpc for entry in entries}
    ends = [entry.until for entry in entries]
    since = min(entry.since for entry in entries)
    known_until = max(entry.known_until for entry in entries)
    account, region = entries[0].account, entries[0].region
    sizes = together([member.sizes for member in members])
    size = within(sizes, wanted)
    return PoolEntry(
        instance=None,
        nodes=tuple(node for entry in entries for node in entry.nodes),
        is_node=True,
        management=_shared_management([member.node.management for member in members]),
        instance_type=None,
        platform=None,
        account=account,
        region=region,
        vpc=vpcs.pop() if len(vpcs) == 1 else None,
        subnets=_distinct(subnet for entry in entries for subnet in entry.subnets),
        cluster=clusters.pop() if len(clusters) == 1 else None,
        since=since,
        until=None if None in ends else max(end for end in ends if end is not None),
        known_until=known_until,
        complete=all(entry.complete for entry in entries),
        limits=None,
        capacity=None,
        size=size,
        no_pool=why_empty((call for member in members for call in member.node.calls), sizes, size),
        gaps=_gaps(coverage, (account, region), since, known_until, wanted),
        calls=_calls([member.node for member in members], own),
        batches=(),
        settings=(),
        unsettled=(),
        pods=(),
        what_if=tuple(_what_if(members, options)),
        metrics=None,
        ipamd=None,
    )


def _shared_management(of_nodes: Sequence[Management]) -> Management | None:
    """Return what manages all of several nodes, with the basis that they share; None if managers differ."""
    first = of_nodes[0]
    if any(management.manager is not first.manager for management in of_nodes):
        return None
    return first if len(set(of_nodes)) == 1 else Management(first.manager)


def _what_if(members: Sequence[_Pool], options: PoolOptions) -> Iterator[WhatIf]:
    """Yield the result of each of the settings on the nodes whose limits are known, if there are any."""
    for settings in options.what_if:
        outcomes = [outcome for member in members for tried, outcome in member.outcomes if tried is settings]
        if outcomes:
            yield summarize(settings, outcomes)


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return the distinct names, in order."""
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _gaps(
    coverage: Coverage, place: AccountRegion, since: datetime, until: datetime, wanted: Filter
) -> tuple[LogGap, ...]:
    """Return the times of an account and Region, in a range and as far as asked for, that may lack events."""
    whole = Interval(since, until).intersection(between(wanted.since, wanted.until))
    holes = sorted({hole for reach in coverage.of(*place) for hole in reach.holes})
    parts = ((hole, hole.intersection(whole)) for hole in holes if whole is not None)
    return tuple(LogGap(part.start, part.end, gap_reason(hole)) for hole, part in parts if part is not None)


def _calls(nodes: Iterable[Node], own: frozenset[str]) -> tuple[CallCount, ...]:
    """Return how often each API was called about nodes; a call about several of them counts once."""
    about = {(call.event.key, call.claimed): call.event for node in nodes for call in node.calls}
    only_claimed = {key for key, claimed in about if claimed and (key, False) not in about}
    by_name = defaultdict(list)
    for event in {event.key: event for event in about.values()}.values():
        by_name[event.name].append(event)
    return tuple(
        CallCount(
            event=name,
            calls=len(calls),
            by_cni=sum(event.key in own for event in calls),
            failed=sum(event.failure is not None for event in calls),
            errors=_errors(event.failure.code for event in calls if event.failure is not None),
            claimed=sum(event.key in only_claimed for event in calls),
        )
        for name, calls in sorted(by_name.items())
    )


def _errors(codes: Iterable[str]) -> tuple[ErrorCount, ...]:
    return tuple(ErrorCount(code, count) for code, count in sorted(Counter(codes).items()))
