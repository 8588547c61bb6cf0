"""Calls as the rules of findings see them: each with its entry in the timeline, and what it shows alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, TypeVar

from cnitrail.model import (
    AccountRegion,
    Actor,
    ActorKind,
    Effect,
    Event,
    TimelineEntry,
    callers,
)
from cnitrail.model.callers import is_another_program, is_of_eks
from cnitrail.model.ec2 import error_code
from cnitrail.model.reason import Reason, ReasonCode

_AT_ONCE = timedelta(seconds=5)

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

    @property
    def message(self) -> str:
        """Return EC2's error message; empty if the call succeeded, or its record has none."""
        return self.event.failure.message or "" if self.event.failure is not None else ""

    @property
    def cluster(self) -> str | None:
        """Return the cluster that a call is for: its caller's, or else that of its ENI or node.

        The name of a role is the weakest sign of a cluster: tags of the ENI or the node count before it.
        """
        actor = self.entry.actor
        own = None if actor.basis.cluster == "role-name" else actor.cluster
        return own or self.entry.cluster or actor.cluster

    @property
    def vpc(self) -> str | None:
        """Return the VPC of the ENI; if that is not known, of an ENI that lost an address to it."""
        return self.entry.vpc or next((moved.from_vpc for moved in self.entry.moved), None)

    @property
    def may_reassign(self) -> bool:
        """Return whether the call may take addresses from other ENIs, which is a finding of its own."""
        return any(subject.reassign for subject in self.event.subjects)

    @property
    def served(self) -> str | None:
        """Return the node that the description in a request names as the one that it is for; else None."""
        named = (subject.details.served for subject in self.event.subjects)
        return next((instance for instance in named if instance is not None), None)

    def did(self, *effects: Effect) -> bool:
        """Return whether the call succeeded and had one of these effects."""
        return self.event.failure is None and self.event.effect in effects


Fallback = tuple[ResourceCall, ResourceCall]
"""A failed call for a batch of addresses, and the call for a single one right after it."""


UNNAMED_PROGRAM = "an unnamed program"
MAY_BE_THE_CNI = Reason(
    ReasonCode.CALLER_MAY_BE_CNI,
    "The caller has the user agent of the VPC CNI or of no program, and may be the VPC CNI.",
)


def program_of(actor: Actor) -> str | None:
    """Return the program of a caller with its version; the SDK if the user agent names no program."""
    agent = actor.agent
    if agent.name is None:
        return agent.sdk
    return f"{agent.name} {agent.version}" if agent.version else agent.name


def named_program(actor: Actor) -> str:
    """Return what to call the program of a caller, whether or not its user agent names one."""
    return program_of(actor) or UNNAMED_PROGRAM


def is_foreign(call: ResourceCall) -> bool:
    """Return whether the record shows that neither the VPC CNI nor an AWS service itself made a call.

    It shows another program, or addresses requested by name, which the CNI never does. A role session
    with an unnamed Go SDK may always be the CNI. A service that acts for somebody (``invoked_by``), or a
    user agent like a service's, exempts nothing.
    """
    actor = call.entry.actor
    if actor.ipamd is not None or actor.kind is ActorKind.AWS_SERVICE:
        return False
    if is_own_launch(call) or is_of_eks(actor) or is_controller(call):
        return False
    by_name = call.event.effect is Effect.ASSIGN and bool(call.entry.requested_addresses)
    return by_name or is_another_program(actor)


def is_elsewhere(call: ResourceCall) -> bool:
    """Return whether a node or a cluster's CNI changes an ENI of another one, which the VPC CNI never does.

    It only deletes what others have left behind. Calls of its own pods that name no addresses are its own,
    unless the history shows that they are of another cluster.
    """
    actor, instance = call.entry.actor, call.entry.instance
    if call.event.effect not in (Effect.ASSIGN, Effect.UNASSIGN, Effect.DETACH):
        return False
    is_of_another_node = actor.instance is not None and instance not in (None, actor.instance)
    return is_of_another_node or (actor.service_account == callers.CNI_ACCOUNT and actor.ipamd is None)


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


def fallbacks(
    failed: Iterable[ResourceCall], by_eni: Mapping[str, Sequence[ResourceCall]]
) -> Iterator[Fallback]:
    """Yield the CNI's failed calls for a batch, each with the call for a single address right after it.

    Both are often of the same second, in which their order is not recorded: the batch comes first.
    """
    batches = (call for call in failed if (call.entry.requested or 0) > 1 and not is_foreign(call))
    eni_of = {call.event.key: call.entry.eni for call in batches}
    for eni in sorted({eni for eni in eni_of.values() if eni is not None}):
        requests = [call for call in by_eni[eni] if call.event.effect is Effect.ASSIGN]
        requests.sort(key=lambda call: (call.time, -(call.entry.requested or 0)))
        for first, second in pairwise(requests):
            at_once = second.time - first.time <= _AT_ONCE
            if first.event.key in eni_of and second.entry.requested == 1 and at_once:
                yield first, second
