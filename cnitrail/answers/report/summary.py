"""The summary of a report: sentences computed from the calls, and from what the instances held."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter

from cnitrail.answers.address_limits import AddressRequests
from cnitrail.answers.report.activity import Activity, activities, describe_calls, taken_from_others
from cnitrail.answers.report.addresses import counted_addresses, named_addresses
from cnitrail.answers.report.citation_index import CitationIndex
from cnitrail.answers.report.failures import failures
from cnitrail.model import (
    Basis,
    CallOutcome,
    CitedCall,
    Effect,
    Held,
    HoldingKind,
    InstanceReport,
    ReportPrincipal,
    Statement,
)
from cnitrail.model.callers import described
from cnitrail.text import clock, counted, plural, quoted, time_range

_DESCRIBED = 12
"""Maximum number of activities with a sentence each; if there are more, each principal has one."""

_RANKED = 6
"""Number of principals, or of ENIs that lost addresses, with a sentence each; the rest share one."""

_IPV6 = {HoldingKind.IPV6, HoldingKind.IPV6_PREFIX}
_IPAMD = {
    "user-agent": "by its user agent",
    "sts-event": "by the STS event of its session",
    "eni-lineage": "by the ENIs that it created",
}


def summary(
    index: CitationIndex,
    instances: Sequence[InstanceReport],
    requests: AddressRequests,
) -> Iterator[Statement]:
    """Yield the statements of a summary: totals, activities, and failures."""
    if not index.calls:
        yield Statement("No calls match.")
    else:
        yield _totals(index)
        found = activities(index.calls)
        if len(found) <= _DESCRIBED:
            by_id = {instance.instance: instance for instance in instances}
            for activity in found:
                yield _activity(activity, index.principals, by_id.get(activity.instance))
        else:
            yield from _by_principal(index)
            yield _busiest_minute(index.calls)
            yield from _fullest(instances, index.calls)
        yield from _lost(index.calls, instances)
        yield from failures(index, requests)


def _totals(index: CitationIndex) -> Statement:
    entries = [call.entry for call in index.calls]
    failed = sum(entry.outcome is CallOutcome.FAILED for entry in entries)
    added = [held for entry in entries for held in entry.added]
    moved = [address for entry in entries for address in entry.moved]
    removed = [held for entry in entries for held in entry.removed]
    results = [f"{counted_addresses(added)} assigned"] if added else []
    share = "" if len(moved) == len(added) else f"{len(moved):,} of them "
    results += [f"{share}{taken_from_others(moved)}"] if moved else []
    results += [f"{counted_addresses(removed)} released"] if removed else []
    enis = {entry.eni for entry in entries if entry.eni}
    instances = {entry.instance for entry in entries if entry.instance}
    principals = {call.principal for call in index.calls}
    return Statement(
        f"{time_range(entries[0].time, entries[-1].time)}: {counted(len(principals), 'principal')} made "
        f"{counted(len(entries), 'API call')}{f' ({failed:,} failed)' if failed else ''} on "
        f"{counted(len(enis), 'ENI')} of {counted(len(instances), 'instance')}: "
        f"{', '.join(results) or 'no IPs assigned or released'}.",
        _events(index.calls),
    )


def _activity(
    activity: Activity, principals: Sequence[ReportPrincipal], instance: InstanceReport | None
) -> Statement:
    effects = {call.entry.effect for call in activity.calls}
    names_instance = effects & {Effect.LAUNCH, Effect.TERMINATE}
    place = f"on {quoted(activity.instance)}, " if activity.instance and not names_instance else ""
    who = _who(principals[activity.principal], activity.calls)
    when = time_range(activity.start, activity.end)
    sentence = f"{when}: {place}{who} {describe_calls(activity.calls)}."
    moved = any(call.entry.added or call.entry.removed for call in activity.calls)
    if moved and instance and instance.instance and Effect.TERMINATE not in effects:
        sentence += f" The instance then had {_held_by(instance, activity.end)}."
    return Statement(sentence, _events(activity.calls))


def _held_by(instance: InstanceReport, time: datetime) -> str:
    """Return how many addresses an instance had after a second, of how many that it can have.

    Without its launch in the evidence, neither its type nor what it had from before is known.
    """
    step = bisect_right(instance.steps, time, key=attrgetter("time"))
    number = instance.steps[max(step - 1, 0)].number
    kinds = {holding.kind for interface in instance.interfaces for holding in interface.holdings}
    noun = "IPv4 address" if kinds & _IPV6 else "IP"
    and_prefixes = " and prefixes" if HoldingKind.PREFIX in kinds else ""
    if instance.limits is None:
        return f"{counted(number, f'known {noun}') if number else f'no known {plural(noun)}'}{and_prefixes}"
    of_limit = f"{number:,} of at most {instance.limits.addresses} {plural(noun)}{and_prefixes}"
    return f"{of_limit} ({instance.limits.instance_type})"


def _who(principal: ReportPrincipal, calls: Sequence[CitedCall]) -> str:
    """Return a principal, and the program that it used."""
    facts = [*principal.facts]
    rules = [call.entry.actor.ipamd for call in calls if call.entry.actor.ipamd]
    agent = calls[0].entry.actor.agent.name
    if rules:
        facts.append(f"the VPC CNI {_IPAMD[rules[0]]}")
    elif agent and agent != principal.actor.label:
        facts.append(f"using {quoted(agent)}")
    return described(quoted(principal.name), facts)


def _by_principal(index: CitationIndex) -> Iterator[Statement]:
    by_principal: dict[int, list[CitedCall]] = defaultdict(list)
    for call in index.calls:
        by_principal[call.principal].append(call)
    ranked = sorted(by_principal)
    for position in ranked[:_RANKED]:
        calls = by_principal[position]
        yield _calls_by(_who(index.principals[position], calls), calls)
    rest = [call for position in ranked[_RANKED:] for call in by_principal[position]]
    if rest:
        yield _calls_by(counted(len(ranked) - _RANKED, "other principal"), rest)


def _calls_by(who: str, calls: Sequence[CitedCall]) -> Statement:
    made = f"{who} made {counted(len(calls), 'call')}"
    if any(call.entry.outcome is not CallOutcome.FAILED for call in calls):
        did = f": {describe_calls(calls)}"
    else:
        did = ", which failed" if len(calls) == 1 else "; all failed"
    return Statement(f"{made}{did}.", _events(calls))


def _busiest_minute(calls: Sequence[CitedCall]) -> Statement:
    minutes: dict[datetime, list[CitedCall]] = defaultdict(list)
    for call in calls:
        minutes[call.entry.time.replace(second=0)].append(call)
    minute, busiest = max(minutes.items(), key=lambda item: _moves(item[1]))
    return Statement(
        f"The busiest minute was {minute:%Y-%m-%d %H:%MZ}: calls {describe_calls(busiest)}.",
        _events(busiest),
    )


def _moves(calls: Sequence[CitedCall]) -> int:
    return sum([len(call.entry.added) + len(call.entry.removed) for call in calls])


def _fullest(instances: Sequence[InstanceReport], calls: Sequence[CitedCall]) -> Iterator[Statement]:
    """Yield the instance that came closest to the limit of its type; without limits, to most addresses."""
    known = [instance for instance in instances if instance.instance and instance.most]
    if known:
        fullest = max(known, key=_fullness)
        when = next(step.time for step in fullest.steps if step.number == fullest.most)
        then = [call for call in calls if (call.entry.instance, call.entry.time) == (fullest.instance, when)]
        name = quoted(fullest.instance or "")
        sentence = f"The fullest instance was {name} at {clock(when)}, with {_held_by(fullest, when)}."
        yield Statement(sentence, _events(then))


def _fullness(instance: InstanceReport) -> tuple[float, int]:
    return instance.most / instance.limits.addresses if instance.limits else 0, instance.most


def _lost(calls: Sequence[CitedCall], instances: Sequence[InstanceReport]) -> Iterator[Statement]:
    """Yield addresses that left an ENI without a call: a later call shows them on another ENI."""
    showing = {call.event: call.entry for call in calls if call.entry.added and not call.entry.moved}
    lost: dict[tuple[str, int], list[Held]] = defaultdict(list)
    for interface in (interface for instance in instances for interface in instance.interfaces):
        for holding in interface.holdings:
            if holding.end.basis is Basis.IMPLIED and holding.end.event in showing:
                lost[interface.eni, holding.end.event] += holding.held
    for (eni, event), held in list(lost.items())[:_RANKED]:
        entry = showing[event]
        yield Statement(
            f"{clock(entry.time)}: {named_addresses(held)} had left {quoted(eni)} by then, without a call "
            f"that released {'it' if len(held) == 1 else 'them'}: {entry.event} shows the same on "
            f"{quoted(entry.eni or '')}.",
            (event,),
        )
    rest = list(lost.items())[_RANKED:]
    if rest:
        addresses = counted_addresses([address for _, held in rest for address in held])
        events = tuple(sorted({event for (_, event), _ in rest}))
        yield Statement(f"{addresses} more left their ENIs without a call that released them.", events)


def _events(calls: Sequence[CitedCall]) -> tuple[int, ...]:
    return tuple(sorted({call.event for call in calls}))
