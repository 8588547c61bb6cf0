"""Callers, their programs and their source addresses that the evidence did not show before.

Only what follows at least a day of evidence can be new.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address

import msgspec
from msgspec import Struct

from cnitrail.answers.findings.calls import (
    UNNAMED_PROGRAM,
    ResourceCall,
    grouped,
    is_own_launch,
    named_program,
)
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.model import AccountRegion, Actor, ActorKind, Effect, Severity
from cnitrail.model.callers import ON_NODES, named
from cnitrail.text import clock, counted, duration, short_list

_BASELINE = timedelta(days=1)
_HABITUAL = 10
"""Minimum number of calls before a caller has habits that it can break."""

_FEW = 3
"""Maximum number of source addresses of a caller that calls from fixed places."""

_AccountAddress = tuple[str | None, str | None]
"""An account, and the source address of its calls."""

_REVIEW = "review all of its calls (cnitrail timeline SOURCE --actor NAME)"
_CALLER_ADVICE = f"If you do not expect this caller, find out who granted it access, and {_REVIEW}."
_PROGRAM_ADVICE = (
    f"If you do not expect this program, the caller's credentials may be in other hands: {_REVIEW}."
)
_ADDRESS_ADVICE = (
    "If the address is not yours (a new NAT gateway, a VPC endpoint), the credentials are used elsewhere: "
    f"revoke the role's sessions, and {_REVIEW}."
)


class _Habits(Struct):
    """What is known about a caller so far."""

    since: datetime
    calls: int = 0
    programs: set[str] = msgspec.field(default_factory=set)
    addresses: set[str] = msgspec.field(default_factory=set)

    @property
    def before(self) -> str:
        """Return how often the caller called before, as the middle of a sentence about its first time."""
        return f"for the first time; its {counted(self.calls, 'call')} since {clock(self.since)}"


def never_seen_before(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield roles and users that are new in the evidence, and new programs and source addresses of others."""
    first_calls = [calls[0] for calls in case.by_event.values()]
    others = [call for call in first_calls if call.event.effect is not Effect.SIGN_IN]
    by_caller = grouped(others, lambda call: (call.event.account, _identity(call.entry.actor)))
    callers = [calls for (_, identity), calls in by_caller.items() if identity]
    late = [calls for calls in callers if _is_after_baseline(case, calls[0])]
    in_place = grouped(_identified(others) if late else (), _place)
    times = {place: [call.time for call in calls] for place, calls in in_place.items()}
    for calls in late:
        if bisect_left(times[calls[0].place], calls[0].time) >= _HABITUAL:
            yield _new_caller(case, calls)
    candidates = filter(_may_have_habits, callers)
    habitual = [own for calls in candidates for own in _by_credentials(calls) if _may_have_habits(own)]
    from_source = grouped(_identified(others) if habitual else (), _source)
    first_from = {source: calls[0] for source, calls in from_source.items()}
    for calls in habitual:
        yield from _broken_habits(calls, first_from)


def _identified(calls: Iterable[ResourceCall]) -> Iterator[ResourceCall]:
    return (call for call in calls if _identity(call.entry.actor))


def _by_credentials(calls: Iterable[ResourceCall]) -> Iterable[list[ResourceCall]]:
    """Return the calls of one role or user by credentials: each node has its own for the role of nodes."""
    return grouped(calls, _node).values()


def _node(call: ResourceCall) -> str | None:
    actor = call.entry.actor
    return actor.arn if actor.kind is ActorKind.INSTANCE_ROLE else None


def _is_after_baseline(case: FindingContext, call: ResourceCall) -> bool:
    """Return whether the evidence before a call is long enough to show who is usual."""
    return call.time - case.evidence_start(call.place) >= _BASELINE


def _new_caller(case: FindingContext, calls: list[ResourceCall]) -> RuleMatch:
    actor, first = calls[0].entry.actor, calls[0]
    begin = case.evidence_start(first.place)
    enis = {call.entry.eni for call in calls}
    programs = short_list(named_program(call.entry.actor) for call in calls)
    addresses = short_list(call.entry.actor.source_ip or "an unknown address" for call in calls)
    return RuleMatch(
        severity=Severity.MEDIUM if enis & case.cni_enis and actor.kind not in ON_NODES else Severity.LOW,
        sentence=f"{_caller(actor)} is new: {counted(len(calls), 'call')} with {programs} from {addresses}, "
        f"and none in the {duration(first.time - begin)} of evidence before.",
        advice=_CALLER_ADVICE,
        calls=calls,
        doubts=case.hole(first.place, begin, first.time),
    )


def _may_have_habits(calls: list[ResourceCall]) -> bool:
    """Return whether a caller called often and long enough to break habits; most nodes do not."""
    return len(calls) > _HABITUAL and calls[-1].time - calls[0].time >= _BASELINE


def _broken_habits(
    calls: list[ResourceCall], first_from: Mapping[_AccountAddress, ResourceCall]
) -> Iterator[RuleMatch]:
    """Yield programs that a caller with habits never used before, and addresses that nobody used."""
    habits = _Habits(calls[0].time)
    for call in calls:
        if call.time - habits.since >= _BASELINE and habits.calls >= _HABITUAL:
            yield from _broken_by(call, habits, from_new_address=first_from[_source(call)] is call)
        habits.calls += 1
        habits.programs.add(_program(call.entry.actor))
        address = _address(call.entry.actor.source_ip)
        if address is not None:
            habits.addresses.add(address)


def _broken_by(call: ResourceCall, habits: _Habits, *, from_new_address: bool) -> Iterator[RuleMatch]:
    """Yield what about a call breaks the habits of its caller."""
    actor = call.entry.actor
    if not actor.ipamd and not is_own_launch(call) and _program(actor) not in habits.programs:
        program = named_program(actor)
        yield RuleMatch(
            severity=Severity.LOW,
            sentence=f"{_user(actor)} used {program} {habits.before} used {short_list(habits.programs)}.",
            advice=_PROGRAM_ADVICE,
            calls=[call],
        )
    address = _address(actor.source_ip)
    if from_new_address and address and 0 < len(habits.addresses) <= _FEW:
        yield RuleMatch(
            severity=Severity.MEDIUM if actor.kind is ActorKind.INSTANCE_ROLE else Severity.LOW,
            sentence=f"{_user(actor)} called from {address} {habits.before} came from "
            f"{short_list(habits.addresses)}.",
            advice=_ADDRESS_ADVICE,
            calls=[call],
        )


def _place(call: ResourceCall) -> AccountRegion:
    return call.place


def _identity(actor: Actor) -> str | None:
    """Return the role or user, with the person behind an Identity Center role; None for AWS services."""
    if actor.kind in (ActorKind.AWS_SERVICE, ActorKind.UNKNOWN):
        return None
    role = actor.role_arn or actor.role
    if actor.kind is ActorKind.IDENTITY_CENTER:
        return f"{role}/{actor.user}"
    return role or actor.arn or actor.user


def _caller(actor: Actor) -> str:
    return f"Role {actor.role}" if actor.role and actor.user is None else named(actor)


def _user(actor: Actor) -> str:
    """Return who uses credentials: for the role that nodes share, the node."""
    return f"{actor.instance} with its role" if actor.kind is ActorKind.INSTANCE_ROLE else _caller(actor)


def _program(actor: Actor) -> str:
    """Return the program, or its SDK, without the version, which changes over time."""
    sdk = (actor.agent.sdk or "").partition("/")[0].removesuffix("-v2")
    return actor.agent.name or sdk or UNNAMED_PROGRAM


def _source(call: ResourceCall) -> _AccountAddress:
    return call.event.account, _address(call.entry.actor.source_ip)


@lru_cache(maxsize=4096)  # callers have few addresses
def _address(source: str | None) -> str | None:
    """Return the source of a call if it is an address: for AWS services it is a name."""
    try:
        return str(ip_address(source or ""))
    except ValueError:
        return None
