"""What the rules of findings see, and what they return: a history with its calls in, rule matches out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.filters import Filter
from cnitrail.answers.timeline import calls
from cnitrail.model import (
    AccountRegion,
    Actor,
    ActorKind,
    Attachment,
    CallOutcome,
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
from cnitrail.model.ec2 import error_code
from cnitrail.model.reason import Reason
from cnitrail.text import capitalized

_EKS = "eks.amazonaws.com"
_LAUNCHERS = ("ec2fleet.amazonaws.com", "autoscaling.amazonaws.com", "spotfleet.amazonaws.com")
"""Services that launch instances by their own decision, whatever role they use."""

T = TypeVar("T")
K = TypeVar("K")


class ResourceCall(NamedTuple):
    """A call on one ENI or instance: the event, and its entry in the timeline."""

    event: Event
    entry: TimelineEntry

    @property
    def time(self) -> datetime:
        """Return the time of the call; aware, UTC."""
        return self.event.time

    @property
    def place(self) -> AccountRegion:
        """Return the account and Region of the call."""
        return self.event.account, self.event.region

    @property
    def code(self) -> str | None:
        """Return EC2's error code without the ``Client.`` or ``Server.`` that CloudTrail puts before it."""
        failure = self.event.failure
        return error_code(failure.code) if failure is not None else None

    def did(self, *effects: Effect) -> bool:
        """Return whether the call succeeded and had one of these effects."""
        return self.event.failure is None and self.event.effect in effects


class RuleMatch(Struct, frozen=True, kw_only=True):
    """What a rule found, and the calls that it rests on, by time; at least one.

    ``ongoing`` if the evidence ends before the problem does.
    """

    severity: Severity
    sentence: str
    advice: str
    calls: Sequence[ResourceCall]
    commands: tuple[str, ...] = ()
    doubts: tuple[Reason, ...] = ()
    ongoing: bool = False

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

    def __init__(self, history: History, coverage: Coverage) -> None:
        self.history = history
        self.coverage = coverage
        self.calls = tuple(
            ResourceCall(event, entry)
            for event, entry in calls(history, Filter())
            if entry.set_aside is None and entry.outcome is not CallOutcome.DRY_RUN
        )

    @cached_property
    def names(self) -> Names:
        """Return the names of callers, which differ if the callers do."""
        return Names(call.entry.actor for call in self.calls)

    def who(self, actor: Actor) -> str:
        """Return the name of a caller with its kind and its program."""
        program = program_of(actor)
        facts = self.names.facts(actor)
        return described(actor.label, (*facts, program) if program and program != actor.label else facts)

    @cached_property
    def kinds(self) -> frozenset[tuple[AccountRegion, Effect]]:
        """Return the effects that calls have, for each account and Region in the evidence."""
        return frozenset((call.place, call.event.effect) for call in self.calls)

    @cached_property
    def by_eni(self) -> dict[str, list[ResourceCall]]:
        """Return the calls on each ENI."""
        return grouped((call for call in self.calls if call.entry.eni), lambda call: call.entry.eni or "")

    @cached_property
    def by_caller(self) -> dict[str | None, list[ResourceCall]]:
        """Return the calls that each instance made with its own role."""
        return grouped(self.calls, lambda call: call.entry.actor.instance)

    @cached_property
    def by_event(self) -> dict[str, list[ResourceCall]]:
        """Return the calls of each event, by its key: several if it touches several ENIs."""
        return grouped(self.calls, lambda call: call.event.key)

    @cached_property
    def in_second(self) -> dict[tuple[AccountRegion, datetime], list[ResourceCall]]:
        """Return the calls of each second; their order within it is not known."""
        return grouped(self.calls, lambda call: (call.place, call.time))

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
    def leases_by_start(self) -> dict[str, list[Lease]]:
        """Return the leases that began with an event, by its key."""
        began = (lease for lease in self.history.leases if lease.start.event is not None)
        return grouped(began, lambda lease: lease.start.event.key if lease.start.event else "")

    @cached_property
    def cni_enis(self) -> frozenset[str]:
        """Return the ENIs whose addresses the VPC CNI manages."""
        created = (eni for eni, interface in self.history.interfaces.items() if interface.kind == "cni")
        filled = (
            call.entry.eni
            for call in self.calls
            if call.entry.eni and call.entry.actor.ipamd and call.did(Effect.ASSIGN, Effect.UNASSIGN)
        )
        return frozenset((*created, *filled))

    def evidence_start(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region begins."""
        return min(reach.first for reach in self.coverage.of(*place))

    def evidence_end(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region ends."""
        return max(reach.last for reach in self.coverage.of(*place))

    def hole(self, place: AccountRegion, start: datetime, end: datetime) -> tuple[Reason, ...]:
        """Return a doubt if part of a time was not read, else none."""
        hole = self.coverage.hole_between(*place, start, end)
        if hole is None:
            return ()
        reason = gap_reason(hole)
        return (replace(reason, text=f"{capitalized(reason.text)}."),)


def program_of(actor: Actor) -> str | None:
    """Return the program of a caller with its version; the SDK if the user agent names no program."""
    agent = actor.agent
    if agent.name is None:
        return agent.sdk
    return f"{agent.name} {agent.version}" if agent.version else agent.name


def is_foreign(call: ResourceCall) -> bool:
    """Return whether the record shows that neither the VPC CNI nor an AWS service itself made a call.

    It shows another program, or addresses requested by name, which the CNI never does. A role session
    with an unnamed Go SDK may always be the CNI. A service that acts for somebody (``invoked_by``), or a
    user agent like a service's, exempts nothing.
    """
    actor = call.entry.actor
    if actor.ipamd is not None or actor.kind is ActorKind.AWS_SERVICE:
        return False
    if is_own_launch(call) or _is_auto_mode(actor) or is_controller(call):
        return False
    by_name = call.event.effect is Effect.ASSIGN and bool(call.entry.requested_addresses)
    return by_name or is_another_program(actor)


def _is_auto_mode(actor: Actor) -> bool:
    """Return whether EKS itself called with a cluster's role: CloudTrail writes the source of a call."""
    return actor.kind is ActorKind.ASSUMED_ROLE and actor.source_ip == _EKS


def is_own_launch(call: ResourceCall) -> bool:
    """Return whether a service launched an instance by its own decision."""
    return call.event.effect is Effect.LAUNCH and call.entry.actor.invoked_by in _LAUNCHERS


def is_controller(call: ResourceCall) -> bool:
    """Return whether the VPC resource controller made a call, as far as the record shows."""
    return callers.is_controller(call.entry.actor)


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return things by a key, in their order."""
    groups: dict[K, list[T]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return groups


def split_at_pauses(calls: Iterable[ResourceCall], pause: timedelta) -> Iterator[list[ResourceCall]]:
    """Yield runs of calls; a new one begins after a longer pause."""
    run: list[ResourceCall] = []
    for call in calls:
        if run and call.time - run[-1].time > pause:
            yield run
            run = []
        run.append(call)
    if run:
        yield run
