"""What-if: the same pods and the CNI's arithmetic, with other settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.drains import drains
from cnitrail.answers.pool.generations import Generation
from cnitrail.answers.pool.simulation import Action, IpamdAction, SimulatedNode, SimulationRun, waits
from cnitrail.answers.pool.size import mean
from cnitrail.model import Limits
from cnitrail.model.pool import Drain, PoolSize, Usage, Wait, WhatIf


class Demand(Struct, frozen=True):
    """How many pods need an address, each count from its time on (aware, UTC, in order), and the source.

    ``lower_bound`` is True if there may have been more.
    """

    pods: Sequence[tuple[datetime, int]]
    source: str
    lower_bound: bool


class Trial(Struct, frozen=True, kw_only=True):
    """One node, as it was, to run with other settings."""

    instance: str
    limits: Limits
    generation: Generation
    demand: Demand
    since: datetime
    until: datetime
    custom_networking: bool
    observed: Mapping[str, int]
    sizes: Sequence[PoolSize]


class Outcome(Struct, frozen=True):
    """The result of a trial; times of its run are seconds since the start of the trial."""

    trial: Trial
    run: SimulationRun

    def at(self, seconds: float) -> datetime:
        """Return a time of the run as a datetime."""
        return self.trial.since + timedelta(seconds=seconds)

    def calls(self) -> Iterator[tuple[datetime, str]]:
        """Yield the calls that the CNI would have made."""
        for action in self.run.actions:
            for name in _calls_of(action, self.trial.generation):
                yield self.at(action.time), name


def attempt(trial: Trial, settings: Settings) -> Outcome:
    """Run the CNI with other settings on a node."""
    end = (trial.until - trial.since).total_seconds()
    before = [pods for time, pods in trial.demand.pods if time <= trial.since]
    demand = [(0.0, before[-1] if before else 0)]
    demand += [
        ((time - trial.since).total_seconds(), pods)
        for time, pods in trial.demand.pods
        if trial.since < time < trial.until
    ]
    node = SimulatedNode(trial.limits, custom_networking=trial.custom_networking)
    if settings.prefix_delegation and not trial.limits.prefixes:
        settings = replace(settings, prefix_delegation=False)  # as the CNI does (isConfigValid)
    return Outcome(trial, node.run(settings, trial.generation, demand, end))


_POOL_CALLS = (
    "AssignPrivateIpAddresses",
    "AttachNetworkInterface",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DetachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "UnassignPrivateIpAddresses",
)


def _calls_of(action: Action, generation: Generation) -> Iterator[str]:
    """Yield the calls of an action, as CloudTrail would have them."""
    match action.act:
        case IpamdAction.ASSIGN:
            yield "AssignPrivateIpAddresses"
        case IpamdAction.UNASSIGN:
            yield "UnassignPrivateIpAddresses"
        case IpamdAction.CREATE:
            if generation.looks_for_subnets:
                yield "DescribeSubnets"
            yield "CreateNetworkInterface"
            yield "DescribeInstances"
            yield "AttachNetworkInterface"
            yield "ModifyNetworkInterfaceAttribute"
            if not generation.asks_at_create:
                yield "AssignPrivateIpAddresses"
        case IpamdAction.FREE:
            yield "DescribeNetworkInterfaces"
            yield "DetachNetworkInterface"
            yield "DeleteNetworkInterface"
            yield "DeleteNetworkInterface"  # the first usually comes too early, and fails


def summarize(settings: Settings, outcomes: Sequence[Outcome]) -> WhatIf:
    """Return the result of the same settings on nodes of one account and Region."""
    trials = [outcome.trial for outcome in outcomes]
    since, until = min(trial.since for trial in trials), max(trial.until for trial in trials)
    size = tuple(_usage(outcomes))
    versions = {str(trial.generation) for trial in trials}
    return WhatIf(
        settings=_named(settings),
        version=versions.pop() if len(versions) == 1 else None,
        demand=trials[0].demand.source,
        lower_bound=any(trial.demand.lower_bound for trial in trials),
        since=since,
        until=until,
        most_pods=max((usage.pods + usage.waiting for usage in size), default=0),
        most_pool=max((usage.pool for usage in size), default=0),
        mean_pool=round(_mean(size, since, until), 1),
        observed_mean_pool=round(sum(mean(trial.sizes, since, until) for trial in trials), 1),
        most_enis=max((usage.enis for usage in size), default=0),
        size=size,
        calls=_drains(outcomes),
        waits=tuple(sorted(_waits(outcomes), key=lambda wait: (wait.since, wait.instance))),
    )


def _named(settings: Settings) -> dict[str, int | bool]:
    """Return the settings that have an effect, by the CNI's own names."""
    found: dict[str, int | bool] = {"ENABLE_PREFIX_DELEGATION": settings.prefix_delegation}
    if settings.targeted:
        found |= {
            "WARM_IP_TARGET": settings.warm_ip_target,
            "MINIMUM_IP_TARGET": settings.minimum_ip_target,
        }
    elif settings.prefix_delegation:
        found["WARM_PREFIX_TARGET"] = settings.warm_prefix_target
    else:
        found["WARM_ENI_TARGET"] = settings.warm_eni_target
    if settings.max_eni is not None:
        found["MAX_ENI"] = settings.max_eni
    return found


def _usage(outcomes: Sequence[Outcome]) -> Iterator[Usage]:
    """Yield the sum of the pools at every second at which one changes."""
    samples = [
        (outcome.at(sample.time).replace(microsecond=0), number, sample)
        for number, outcome in enumerate(outcomes)
        for sample in outcome.run.samples
    ]
    samples.sort(key=itemgetter(0))
    last: dict[int, tuple[int, int, int, int]] = {}
    for place, (time, number, sample) in enumerate(samples):
        last[number] = (sample.total, sample.assigned, sample.waiting, sample.enis)
        if place + 1 == len(samples) or samples[place + 1][0] != time:
            pool, pods, waiting, enis = map(sum, zip(*last.values(), strict=True))
            yield Usage(time=time, pool=pool, pods=pods, waiting=waiting, enis=enis)


def _mean(size: Sequence[Usage], since: datetime, until: datetime) -> float:
    ends = [*(usage.time for usage in size[1:]), until]
    total = sum(
        usage.pool * (end - usage.time).total_seconds() for usage, end in zip(size, ends, strict=True)
    )
    seconds = (until - since).total_seconds()
    return total / seconds if seconds else 0.0


def _drains(outcomes: Sequence[Outcome]) -> tuple[Drain, ...]:
    """Return the calls of all nodes by API: they share the token buckets."""
    observed: Counter[str] = Counter()
    for outcome in outcomes:
        observed.update({name: outcome.trial.observed.get(name, 0) for name in _POOL_CALLS})
    return drains((call for outcome in outcomes for call in outcome.calls()), observed)


def _waits(outcomes: Sequence[Outcome]) -> Iterator[Wait]:
    for outcome in outcomes:
        end = (outcome.trial.until - outcome.trial.since).total_seconds()
        for since, until, pods in waits(outcome.run, end):
            yield Wait(outcome.trial.instance, outcome.at(since), outcome.at(until), pods)
