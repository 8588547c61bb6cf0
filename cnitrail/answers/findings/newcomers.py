"""Who, through what, from where: what was never seen before in the evidence.

Only what a day of evidence or more comes before can be new: of what the evidence begins with, nothing
is said.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address

import msgspec
from msgspec import Struct

from cnitrail.answers.coverage_text import clock, lasting
from cnitrail.answers.findings.context import Claim, FindingContext, ResourceCall, grouped, is_own_launch
from cnitrail.answers.findings.words import counted, listed, through
from cnitrail.model import AccountRegion, Actor, ActorKind, Severity
from cnitrail.model.callers import ON_NODES, named

_BASELINE = timedelta(days=1)
_HABITUAL = 10
"""Who made fewer calls than this has no habits that could be broken."""

_FEW = 3
"""Who calls from more addresses than this calls from anywhere."""

_Source = tuple[str | None, str | None]
"""An account, and an address from which it is called."""

_ROLE_ADVICE = (
    "If nobody expects it, find out who gave it its rights, and read all that it did (timeline --actor)."
)
_PROGRAM_ADVICE = (
    "If nobody expects it, its credentials may be in other hands: read all that it did (timeline --actor)."
)
_ADDRESS_ADVICE = (
    "If the address is none of yours (a new NAT gateway, a VPC endpoint), the credentials are used "
    "elsewhere: revoke the role's sessions, and read all that it did (timeline --actor)."
)


class _Habits(Struct):
    """What is known of an identity so far."""

    since: datetime
    calls: int = 0
    programs: set[str] = msgspec.field(default_factory=set)
    addresses: set[str] = msgspec.field(default_factory=set)


def never_seen_before(case: FindingContext) -> Iterator[Claim]:
    """A role or user, its program, or its source address, for the first time in the evidence."""
    named = [calls[0] for calls in case.by_event.values() if _identity(calls[0].entry.actor)]
    times = {place: [call.time for call in calls] for place, calls in grouped(named, _place).items()}
    for calls in grouped(named, lambda call: (call.event.account, _identity(call.entry.actor))).values():
        first = calls[0]
        before = bisect_left(times[first.place], first.time)
        if before >= _HABITUAL and first.time - case.begin(first.place) >= _BASELINE:
            yield _newcomer(case, calls)
    first_from = {at: calls[0] for at, calls in grouped(named, _source).items()}
    for calls in grouped(named, lambda call: (call.event.account, _holder(call.entry.actor))).values():
        yield from _departures(calls, first_from)


def _newcomer(case: FindingContext, calls: list[ResourceCall]) -> Claim:
    actor, first = calls[0].entry.actor, calls[0]
    begin = case.begin(first.place)
    enis = {call.entry.eni for call in calls}
    programs = listed(through(call.entry.actor) or "no program named" for call in calls)
    places = listed(call.entry.actor.source_ip or "nowhere named" for call in calls)
    return Claim(
        severity=Severity.MEDIUM if enis & case.of_the_cni and actor.kind not in ON_NODES else Severity.LOW,
        sentence=f"{_called(actor)} is new: {counted(len(calls), 'call')} through {programs} from {places}, "
        f"and none in the {lasting(first.time - begin)} of evidence before.",
        advice=_ROLE_ADVICE,
        calls=calls,
        doubts=case.hole(first.place, begin, first.time),
    )


def _departures(calls: list[ResourceCall], first_from: Mapping[_Source, ResourceCall]) -> Iterator[Claim]:
    """Programs that an identity with habits never used before, and addresses that nobody did."""
    habits = _Habits(calls[0].time)
    for call in calls:
        if call.time - habits.since >= _BASELINE and habits.calls >= _HABITUAL:
            yield from _departure(call, habits, first_from[_source(call)] is call)
        habits.calls += 1
        habits.programs.add(_program(call.entry.actor))
        habits.addresses.update(filter(None, [_address(call.entry.actor)]))


def _departure(call: ResourceCall, habits: _Habits, from_elsewhere: bool) -> Iterator[Claim]:
    """What of a call breaks the habits of who made it."""
    actor = call.entry.actor
    holder = f"{actor.instance} with its role" if actor.kind is ActorKind.INSTANCE_ROLE else _called(actor)
    before = f"for the first time: in {counted(habits.calls, 'call')} since {clock(habits.since)} it was"
    if not actor.ipamd and not is_own_launch(call) and _program(actor) not in habits.programs:
        program = through(actor) or "a program without a name"
        sentence = f"{holder} called through {program} {before} {listed(habits.programs)}."
        yield Claim(Severity.LOW, sentence, _PROGRAM_ADVICE, [call])
    address = _address(actor)
    if from_elsewhere and address and 0 < len(habits.addresses) <= _FEW:
        sentence = f"{holder} called from {address} {before} {listed(habits.addresses)}."
        severity = Severity.MEDIUM if actor.kind is ActorKind.INSTANCE_ROLE else Severity.LOW
        yield Claim(severity, sentence, _ADDRESS_ADVICE, [call])


def _place(call: ResourceCall) -> AccountRegion:
    return call.place


def _identity(actor: Actor) -> str | None:
    """The role or user, but for AWS services; a person signed in through Identity Center is one, too."""
    if actor.kind in (ActorKind.AWS_SERVICE, ActorKind.UNKNOWN):
        return None
    role = actor.role_arn or actor.role
    if actor.kind is ActorKind.IDENTITY_CENTER:
        return f"{role}/{actor.user}"
    return role or actor.arn or actor.user


def _holder(actor: Actor) -> str | None:
    """Who holds credentials: each node has its own of the role that nodes share."""
    return actor.arn if actor.kind is ActorKind.INSTANCE_ROLE else _identity(actor)


def _called(actor: Actor) -> str:
    return f"Role {actor.role}" if actor.role and actor.user is None else named(actor)


def _program(actor: Actor) -> str:
    """A program, or an SDK, without the version, which changes in the course of time."""
    return actor.agent.name or (actor.agent.sdk or "none").partition("/")[0].removesuffix("-v2")


def _source(call: ResourceCall) -> _Source:
    return call.event.account, _address(call.entry.actor)


def _address(actor: Actor) -> str | None:
    """The source address, where it is one: services write their names there."""
    try:
        return str(ip_address(actor.source_ip or ""))
    except ValueError:
        return None
