"""The IP pools of nodes: size over time, the VPC CNI settings that explain it, and what others would do.

``nodes`` and ``size`` have what a node held, ``log`` what the CNI did, in ``batches``. ``settings`` draws
conclusions from both: ``constraints`` has the CNI's ``arithmetic`` read backwards, and ``candidates`` the
settings that fit. ``whatif`` runs the same arithmetic forward, in a ``simulation``. ``compare`` compares
all of this with what ipamd reports.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.answers.filters import Filter
from cnitrail.answers.leases import meets_time
from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.batches import BatchKind, CniLog, meaning_of
from cnitrail.answers.pool.compare import against
from cnitrail.answers.pool.generations import LATEST, Generation, generations_of
from cnitrail.answers.pool.log import by_the_cni, read_batches
from cnitrail.answers.pool.nodes import Node, nodes
from cnitrail.answers.pool.pods import PodCounts
from cnitrail.answers.pool.settings import Explanation, SettingsQuestion, explain
from cnitrail.answers.pool.size import sizes, together, within
from cnitrail.answers.pool.whatif import Demand, Outcome, Trial, attempt, summarize
from cnitrail.model import Coverage, History, Limits
from cnitrail.model.ipamd import IpamdPool
from cnitrail.model.pool import (
    AgainstIpamd,
    CallCount,
    ErrorCount,
    EventRef,
    PoolBatch,
    PoolEntry,
    PoolLimits,
    Unsettled,
    WhatIf,
)
from cnitrail.model.reason import Reason, ReasonCode

__all__ = ["Node", "PoolOptions", "Settings", "nodes", "pool"]


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

    The shared entry comes before its nodes, which are in the order of their first events.
    """
    groups: dict[tuple[str | None, str | None], list[_Pool]] = defaultdict(list)
    for node in nodes(history, wanted):
        if meets_time(node.since, node.until, wanted):
            member = _Pool(node, history, coverage, wanted, options)
            groups[node.instance.account, node.instance.region].append(member)
    entries = []
    for members in groups.values():
        of_nodes = [member.entry() for member in members]
        if len(members) > 1:
            entries.append(_group(members, of_nodes, wanted, options))
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
        self._limits = options.limits_of(instance.instance_type or "")
        self.sizes = sizes(node, wanted)
        reached = [reach.last for reach in coverage.of(instance.account, instance.region)]
        self._last = max([*reached, *(call.event.time for call in node.calls)], default=node.since)
        self.own = by_the_cni(node, history.actors)
        self.calls = _calls([node], self.own)
        self._log = self._read(coverage)
        self._explanation = self._explain()
        self.outcomes = self._outcomes()

    @property
    def _until(self) -> datetime:
        return min(self.node.until or self._last, self._last)

    def entry(self) -> PoolEntry:
        """Return the node's entry."""
        node, wanted, options = self.node, self._wanted, self._options
        instance, interfaces = node.instance, [stay.interface for stay in node.stays]
        explanation = self._explanation
        return PoolEntry(
            instance=instance.instance,
            nodes=(instance.instance,),
            instance_type=instance.instance_type,
            account=instance.account,
            region=instance.region,
            vpc=instance.vpc or next((interface.vpc for interface in interfaces if interface.vpc), None),
            subnets=_distinct(interface.subnet for interface in interfaces),
            cluster=node.cluster,
            since=node.since,
            until=node.until,
            known_until=self._until,
            complete=node.complete,
            limits=_shown_limits(self._limits),
            size=within(self.sizes, wanted),
            calls=self.calls,
            batches=tuple(self._batches()),
            settings=tuple(
                period for period in explanation.periods if meets_time(period.since, period.until, wanted)
            ),
            unsettled=tuple(
                period for period in explanation.unsettled if meets_time(period.since, period.until, wanted)
            ),
            pods=tuple(needed for needed in explanation.pods if wanted.takes_time(needed.time)),
            what_if=tuple(summarize(settings, [outcome]) for settings, outcome in self.outcomes),
            metrics=self._against(options.metrics),
            ipamd=self._against(options.ipamd) if self._is_its_own(options.ipamd) else None,
        )

    def _read(self, coverage: Coverage) -> CniLog | None:
        """Return what the CNI did; None if the limits are unknown, which all conclusions need."""
        if self._limits is None:
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

    def _explain(self) -> Explanation:
        node = self.node
        if self._log is None or self._limits is None:
            name = node.instance.instance_type
            reason = (
                Reason(ReasonCode.LIMITS_UNKNOWN, f"the limits of {name} are unknown")
                if name
                else Reason(ReasonCode.TYPE_UNKNOWN, "the node's instance type is not known")
            )
            return Explanation((), (Unsettled(node.since, None, reason),), (), ())
        return explain(
            SettingsQuestion(
                log=self._log,
                limits=self._limits,
                since=node.since,
                until=self._until,
                alive=node.until is None,
                actors=self._history.actors,
                pods=PodCounts(self._options.pods),
            )
        )

    def _outcomes(self) -> list[tuple[Settings, Outcome]]:
        """Return the result of each of the settings to try."""
        own = [call.event.time for call in self.node.calls if call.event.key in self.own]
        since = min(own, default=self.node.since)
        if self._limits is None or since >= self._until:
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
    members: Sequence[_Pool], entries: Sequence[PoolEntry], wanted: Filter, options: PoolOptions
) -> PoolEntry:
    """Return the shared entry of several nodes of one account and Region."""
    own = frozenset(key for member in members for key in member.own)
    clusters = {entry.cluster for entry in entries}
    vpcs = {entry.vpc for entry in entries}
    ends = [entry.until for entry in entries]
    return PoolEntry(
        instance=None,
        nodes=tuple(node for entry in entries for node in entry.nodes),
        instance_type=None,
        account=entries[0].account,
        region=entries[0].region,
        vpc=vpcs.pop() if len(vpcs) == 1 else None,
        subnets=_distinct(subnet for entry in entries for subnet in entry.subnets),
        cluster=clusters.pop() if len(clusters) == 1 else None,
        since=min(entry.since for entry in entries),
        until=None if None in ends else max(end for end in ends if end is not None),
        known_until=max(entry.known_until for entry in entries),
        complete=all(entry.complete for entry in entries),
        limits=None,
        size=within(together([member.sizes for member in members]), wanted),
        calls=_calls([member.node for member in members], own),
        batches=(),
        settings=(),
        unsettled=(),
        pods=(),
        what_if=tuple(_what_if(members, options)),
        metrics=None,
        ipamd=None,
    )


def _what_if(members: Sequence[_Pool], options: PoolOptions) -> Iterator[WhatIf]:
    """Yield the result of each of the settings on the nodes whose limits are known, if there are any."""
    for settings in options.what_if:
        outcomes = [outcome for member in members for tried, outcome in member.outcomes if tried is settings]
        if outcomes:
            yield summarize(settings, outcomes)


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return the distinct names, in order."""
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _shown_limits(limits: Limits | None) -> PoolLimits | None:
    if limits is None:
        return None
    return PoolLimits(
        enis=limits.enis,
        ipv4_per_eni=limits.ipv4_per_eni,
        addresses=limits.addresses,
        pool=limits.secondary,
        prefix_pool=limits.in_prefixes,
        max_pods=limits.max_pods,
    )


def _calls(nodes: Iterable[Node], own: frozenset[str]) -> tuple[CallCount, ...]:
    """Return how often each API was called about nodes; a call about several of them counts once."""
    events = {call.event.key: call.event for node in nodes for call in node.calls}.values()
    by_name = defaultdict(list)
    for event in events:
        by_name[event.name].append(event)
    return tuple(
        CallCount(
            event=name,
            calls=len(calls),
            by_cni=sum(event.key in own for event in calls),
            failed=sum(event.failure is not None for event in calls),
            errors=_errors(event.failure.code for event in calls if event.failure is not None),
        )
        for name, calls in sorted(by_name.items())
    )


def _errors(codes: Iterable[str]) -> tuple[ErrorCount, ...]:
    return tuple(ErrorCount(code, count) for code, count in sorted(Counter(codes).items()))
