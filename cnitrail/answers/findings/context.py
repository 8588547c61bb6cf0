"""What the rules look at, and what they say: calls in, claims out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, TypeVar

from msgspec import Struct

from cnitrail.answers.coverage_text import unread
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.words import through
from cnitrail.answers.timeline import calls
from cnitrail.model import (
    AccountRegion,
    Actor,
    ActorKind,
    Attachment,
    Coverage,
    Effect,
    Event,
    Held,
    History,
    Lease,
    Severity,
    TimelineEntry,
    callers,
)
from cnitrail.model.callers import Names, described, is_another_program

_EKS = "eks.amazonaws.com"
_LAUNCHERS = ("ec2fleet.amazonaws.com", "autoscaling.amazonaws.com", "spotfleet.amazonaws.com")
"""Services that decide themselves when to launch an instance, with whose role ever."""

T = TypeVar("T")
K = TypeVar("K")


class ResourceCall(NamedTuple):
    """A call on one interface or instance: the event, and what the history makes of it."""

    event: Event
    entry: TimelineEntry

    @property
    def time(self) -> datetime:
        """When it was made; aware, UTC."""
        return self.event.time

    @property
    def place(self) -> AccountRegion:
        """Where it was made."""
        return self.event.account, self.event.region

    @property
    def code(self) -> str | None:
        """EC2's own error code, without the ``Client.`` or ``Server.`` before it in CloudTrail."""
        failure = self.event.failure
        return failure.code.removeprefix("Client.").removeprefix("Server.") if failure is not None else None

    def did(self, *effects: Effect) -> bool:
        """Whether it worked, and had one of these effects."""
        return self.event.failure is None and self.event.effect in effects


class Claim(Struct, frozen=True):
    """What a rule says, and the calls that it rests on, in the order of time; at least one.

    ``began`` where it did not begin with the first of them; ``ongoing`` where the end of the
    evidence still shows it.
    """

    severity: Severity
    sentence: str
    advice: str
    calls: Sequence[ResourceCall]
    doubts: tuple[str, ...] = ()
    began: datetime | None = None
    ongoing: bool = False

    @property
    def since(self) -> datetime:
        """When it began."""
        return self.began or self.calls[0].time

    @property
    def until(self) -> datetime | None:
        """When it was last seen; None where it goes on."""
        return None if self.ongoing else self.calls[-1].time


class FindingContext:
    """One history with all its calls, and the evidence behind it."""

    def __init__(self, history: History, coverage: Coverage) -> None:
        self.history = history
        self.coverage = coverage
        self.calls = tuple(
            ResourceCall(event, entry) for event, entry in calls(history, Filter()) if entry.set_aside is None
        )

    @cached_property
    def names(self) -> Names:
        """What each caller is called, so that none is taken for another."""
        return Names(call.entry.actor for call in self.calls)

    def who(self, actor: Actor) -> str:
        """An actor and the program that it called through."""
        program = through(actor)
        facts = self.names.facts(actor)
        return described(actor.label, (*facts, program) if program and program != actor.label else facts)

    @cached_property
    def kinds(self) -> frozenset[tuple[AccountRegion, Effect]]:
        """What kinds of calls the evidence of each account and Region holds."""
        return frozenset((call.place, call.event.effect) for call in self.calls)

    @cached_property
    def by_eni(self) -> dict[str, list[ResourceCall]]:
        """The calls on each interface."""
        return grouped((call for call in self.calls if call.entry.eni), lambda call: call.entry.eni or "")

    @cached_property
    def by_caller(self) -> dict[str | None, list[ResourceCall]]:
        """The calls that each instance made with its own role."""
        return grouped(self.calls, lambda call: call.entry.actor.instance)

    @cached_property
    def by_event(self) -> dict[str, list[ResourceCall]]:
        """The calls of each event, by its key: several where it touches several interfaces."""
        return grouped(self.calls, lambda call: call.event.key)

    @cached_property
    def in_second(self) -> dict[tuple[AccountRegion, datetime], list[ResourceCall]]:
        """The calls of each second, whose order within it is not known."""
        return grouped(self.calls, lambda call: (call.place, call.time))

    @cached_property
    def contested(self) -> frozenset[tuple[str, Held]]:
        """Interfaces and addresses of which the calls of some second do not tell who had them last."""
        return frozenset((lease.eni, lease.held) for lease in self.history.leases if lease.contested)

    @cached_property
    def on_instance(self) -> dict[str | None, list[Attachment]]:
        """The attachments of each instance."""
        attachments = (
            each for interface in self.history.interfaces.values() for each in interface.attachments
        )
        return grouped(attachments, lambda attachment: attachment.instance)

    @cached_property
    def taken_by(self) -> dict[str, list[Lease]]:
        """The leases that began with an event, by its key."""
        began = (lease for lease in self.history.leases if lease.start.event is not None)
        return grouped(began, lambda lease: lease.start.event.key if lease.start.event else "")

    @cached_property
    def of_the_cni(self) -> frozenset[str]:
        """The interfaces whose addresses the VPC CNI manages."""
        made = (eni for eni, each in self.history.interfaces.items() if each.kind == "cni")
        filled = (
            call.entry.eni
            for call in self.calls
            if call.entry.eni and call.entry.actor.ipamd and call.did(Effect.ASSIGN, Effect.UNASSIGN)
        )
        return frozenset((*made, *filled))

    def begin(self, place: AccountRegion) -> datetime:
        """When the evidence of an account and Region begins."""
        return min(reach.first for reach in self.coverage.of(*place))

    def end(self, place: AccountRegion) -> datetime:
        """When the evidence of an account and Region ends."""
        return max(reach.last for reach in self.coverage.of(*place))

    def hole(self, place: AccountRegion, start: datetime, end: datetime) -> tuple[str, ...]:
        """A sentence where not all was read of some of a time, else none."""
        hole = self.coverage.hole_between(*place, start, end)
        if hole is None:
            return ()
        told = unread(hole)
        return (f"{told[0].upper()}{told[1:]}.",)


def is_foreign(call: ResourceCall) -> bool:
    """Whether something shows that a call on addresses is not the VPC CNI's, nor an AWS service's own.

    Another program, or addresses asked for by name or from another interface, which the CNI never does. A
    role session with a Go SDK without a name may always be the CNI. A service that acts for somebody
    (``invoked_by``), or a user agent like a service's, exempts nothing.
    """
    actor = call.entry.actor
    if actor.ipamd is not None or actor.kind is ActorKind.AWS_SERVICE:
        return False
    if is_own_launch(call) or _is_auto_mode(actor) or is_controller(call):
        return False
    by_name = call.event.effect is Effect.ASSIGN and bool(call.entry.requested_addresses)
    return by_name or is_another_program(actor)


def _is_auto_mode(actor: Actor) -> bool:
    """Whether EKS itself calls with a cluster's role; CloudTrail writes where a call came from."""
    return actor.kind is ActorKind.ASSUMED_ROLE and actor.source_ip == _EKS


def is_own_launch(call: ResourceCall) -> bool:
    """Whether a service launched an instance by its own decision."""
    return call.event.effect is Effect.LAUNCH and call.entry.actor.invoked_by in _LAUNCHERS


def is_controller(call: ResourceCall) -> bool:
    """Whether a call is the VPC resource controller's, as far as it shows."""
    return callers.is_controller(call.entry.actor)


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Things by a key, in the order in which they come."""
    groups: dict[K, list[T]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return groups


def spells(calls: Iterable[ResourceCall], pause: timedelta) -> Iterator[list[ResourceCall]]:
    """Calls in stretches: a new one begins after a pause that is longer than this."""
    spell: list[ResourceCall] = []
    for call in calls:
        if spell and call.time - spell[-1].time > pause:
            yield spell
            spell = []
        spell.append(call)
    if spell:
        yield spell
