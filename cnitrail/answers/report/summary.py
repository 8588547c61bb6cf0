"""What happened, in sentences that are computed from the calls and from what the instances held."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter

from cnitrail.answers.coverage_text import clock, place_of, unread
from cnitrail.answers.report.activity import Spell, deeds, spells, taken
from cnitrail.answers.report.failures import failures
from cnitrail.answers.report.principals import Principals
from cnitrail.answers.report.words import counted, listed, many, named, quoted, span
from cnitrail.model import (
    AccountRegion,
    Basis,
    CitedCall,
    Coverage,
    Effect,
    Evidence,
    Ground,
    Held,
    HoldingKind,
    InstanceLife,
    Principal,
    Statement,
)
from cnitrail.model.callers import described

_TOLD = 12
"""So many spells are told one by one; of more, who made them."""
_RANKED = 6
"""So many of the busiest are named where there are more."""
_IPV6 = {HoldingKind.IPV6, HoldingKind.IPV6_PREFIX}
_IPAMD = {
    "user-agent": "by its user agent",
    "sts-event": "by the STS event of its session",
    "eni-lineage": "by the interfaces that it made",
}


def summary(cast: Principals, told: Sequence[InstanceLife], evidence: Evidence) -> Iterator[Statement]:
    """The statements of a summary: the whole, the spells, the failures, what is missing."""
    if not cast.calls:
        yield Statement("No call in the evidence is what was asked for.")
    else:
        yield _whole(cast)
        done = spells(cast.calls)
        if len(done) <= _TOLD:
            lives = {life.instance: life for life in told}
            for spell in done:
                yield _spell(spell, cast.principals, lives.get(spell.instance))
        else:
            yield from _ranking(cast)
            yield _busiest_minute(cast.calls)
            yield from _fullest(told, cast.calls)
        yield from _lost(cast.calls, told)
        yield from failures(cast)
    yield from _gaps(cast, evidence)
    if evidence.verified and cast.calls:
        yield from _proofs(cast.calls, Coverage(evidence.coverage))


def _whole(cast: Principals) -> Statement:
    entries = [call.entry for call in cast.calls]
    failed = sum(entry.error is not None for entry in entries)
    added = [held for entry in entries for held in entry.added]
    moved = [each for entry in entries for each in entry.moved]
    removed = [held for entry in entries for held in entry.removed]
    told = [f"added {counted(added)}"] if added else []
    told += [taken(moved)] if moved else []
    told += [f"removed {counted(removed)}"] if removed else []
    enis = {entry.eni for entry in entries if entry.eni}
    instances = {entry.instance for entry in entries if entry.instance}
    actors = {call.principal for call in cast.calls}
    return Statement(
        f"{span(entries[0].time, entries[-1].time)}: {many(len(entries), 'call')}"
        f"{f', {failed:,} of which failed,' if failed else ''} by {many(len(actors), 'actor')} "
        f"{listed(told) or 'moved no address'}, on {many(len(enis), 'interface')} "
        f"of {many(len(instances), 'instance')}.",
        _events(cast.calls),
    )


def _spell(spell: Spell, principals: Sequence[Principal], life: InstanceLife | None) -> Statement:
    effects = {call.entry.effect for call in spell.calls}
    itself = effects & {Effect.LAUNCH, Effect.TERMINATE}
    place = f"on {quoted(spell.instance)}, " if spell.instance and not itself else ""
    who = _who(principals[spell.principal], spell.calls)
    sentence = f"{span(spell.start, spell.end)}: {place}{who} {deeds(spell.calls)}."
    moved = any(call.entry.added or call.entry.removed for call in spell.calls)
    if moved and life and life.instance and Effect.TERMINATE not in effects:
        sentence += f" The instance then had {_holding(life, spell.end)}."
    return Statement(sentence, _events(spell.calls))


def _holding(life: InstanceLife, time: datetime) -> str:
    """How many addresses an instance had after a second, and how many it can have."""
    place = bisect_right(life.steps, time, key=attrgetter("time"))
    kinds = {holding.kind for each in life.interfaces for holding in each.holdings}
    noun = "IPv4 address" if kinds & _IPV6 else "address"
    number = many(life.steps[max(place - 1, 0)].number, noun)
    if HoldingKind.PREFIX in kinds:
        number += " and prefixes"
    limit = f" ({life.limits.instance_type}: at most {life.limits.addresses})" if life.limits else ""
    return number + limit


def _who(principal: Principal, calls: Sequence[CitedCall]) -> str:
    """A principal, and through what it acted."""
    facts = [*principal.facts]
    rules = [call.entry.actor.ipamd for call in calls if call.entry.actor.ipamd]
    agent = calls[0].entry.actor.agent.name
    if rules:
        facts.append(f"the VPC CNI {_IPAMD[rules[0]]}")
    elif agent and agent != principal.actor.label:
        facts.append(f"through {quoted(agent)}")
    return described(quoted(principal.name), facts)


def _ranking(cast: Principals) -> Iterator[Statement]:
    by_principal: dict[int, list[CitedCall]] = defaultdict(list)
    for call in cast.calls:
        by_principal[call.principal].append(call)
    for place in sorted(by_principal)[:_RANKED]:
        calls = by_principal[place]
        who = _who(cast.principals[place], calls)
        yield Statement(f"{who} made {many(len(calls), 'call')}: {deeds(calls)}.", _events(calls))
    rest = [call for place in sorted(by_principal)[_RANKED:] for call in by_principal[place]]
    if rest:
        actors = many(len(by_principal) - _RANKED, "other actor")
        yield Statement(f"{actors} made {many(len(rest), 'call')}: {deeds(rest)}.", _events(rest))


def _busiest_minute(calls: Sequence[CitedCall]) -> Statement:
    minutes: dict[datetime, list[CitedCall]] = defaultdict(list)
    for call in calls:
        minutes[call.entry.time.replace(second=0)].append(call)
    minute, busiest = max(minutes.items(), key=lambda each: _moves(each[1]))
    return Statement(
        f"Most was moved in the minute of {minute:%Y-%m-%d %H:%MZ}: {deeds(busiest)}.", _events(busiest)
    )


def _moves(calls: Sequence[CitedCall]) -> int:
    return sum(len(call.entry.added) + len(call.entry.removed) for call in calls)


def _fullest(told: Sequence[InstanceLife], calls: Sequence[CitedCall]) -> Iterator[Statement]:
    """The instance that had most addresses, where its type's limit is known nearest to that."""
    known = [life for life in told if life.instance and life.most]
    if known:
        fullest = max(known, key=_fullness)
        when = next(each.time for each in fullest.steps if each.number == fullest.most)
        then = [call for call in calls if (call.entry.instance, call.entry.time) == (fullest.instance, when)]
        where = quoted(fullest.instance or "")
        sentence = f"Fullest was {where} at {clock(when)}, with {_holding(fullest, when)}."
        yield Statement(sentence, _events(then))


def _fullness(life: InstanceLife) -> tuple[float, int]:
    return life.most / life.limits.addresses if life.limits else 0, life.most


def _lost(calls: Sequence[CitedCall], told: Sequence[InstanceLife]) -> Iterator[Statement]:
    """Addresses that left an interface without a call: another interface turned up with them."""
    showing = {call.event: call.entry for call in calls if call.entry.added and not call.entry.moved}
    lost: dict[tuple[str, int], list[Held]] = defaultdict(list)
    for interface in (each for life in told for each in life.interfaces):
        for holding in interface.holdings:
            if holding.end.basis is Basis.IMPLIED and holding.end.event in showing:
                lost[interface.eni, holding.end.event] += holding.held
    for (eni, event), held in list(lost.items())[:_RANKED]:
        entry = showing[event]
        yield Statement(
            f"{clock(entry.time)}: {named(held)} must have left {quoted(eni)} by then, "
            f"without a call that let go: {entry.event} shows the same on {quoted(entry.eni or '')}.",
            (event,),
        )
    rest = list(lost.items())[_RANKED:]
    if rest:
        addresses = counted([each for _, held in rest for each in held])
        events = tuple(sorted({event for (_, event), _ in rest}))
        yield Statement(f"{addresses} more left their interfaces in this way.", events)


def _gaps(cast: Principals, evidence: Evidence) -> Iterator[Statement]:
    """What is not in the evidence, and may have happened."""
    for reach in evidence.coverage:
        for hole in reach.holes:
            if cast.calls and hole.start < cast.calls[-1].entry.time and cast.calls[0].entry.time < hole.end:
                told = unread(hole, _where(reach.account, reach.region))
                yield Statement(f"{told[0].upper()}{told[1:]}: what happened there is not told here.")
    if evidence.skipped:
        skipped = many(len(evidence.skipped), "piece")
        yield Statement(f"{skipped} of the evidence could not be read, and may tell more: see Evidence.")


def _proofs(calls: Sequence[CitedCall], coverage: Coverage) -> Iterator[Statement]:
    """What digests prove of the time of the calls, for each account and Region."""
    by_place: dict[AccountRegion, list[CitedCall]] = defaultdict(list)
    for call in calls:
        by_place[call.entry.account, call.entry.region].append(call)
    start, end = calls[0].entry.time, calls[-1].entry.time
    for place, made in by_place.items():
        if coverage.ground(*place, start, end) is Ground.PROVEN:
            told = f"of {_where(*place)} nothing is missing or changed, as CloudTrail's digests prove."
            yield Statement(f"{span(start, end)}: {told}", _events(made))
            continue
        rest = [
            call
            for call in made
            if coverage.ground(*place, call.entry.time, call.entry.time) is not Ground.PROVEN
        ]
        merely = f"{many(len(rest), 'call')} told here {'is' if len(rest) == 1 else 'are'} merely read"
        told = f"not all of {_where(*place)} is proven by CloudTrail's digests, and " + (
            merely if rest else "calls may be missing between those told here"
        )
        yield Statement(f"{span(start, end)}: {told}. See Evidence.", _events(rest))


def _where(account: str | None, region: str | None) -> str:
    return place_of(account and quoted(account), region and quoted(region))


def _events(calls: Sequence[CitedCall]) -> tuple[int, ...]:
    return tuple(sorted({call.event for call in calls}))
