"""Which rule explains each failed call: exactly one does, so that no call is reported twice."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, islice

from cnitrail.answers.error_meanings import DENIED, ENI_GONE, ENI_QUOTA, INSTANCE_GONE, is_too_early
from cnitrail.answers.findings.attach_limit import calls_in_loops, was_deleted_by_another
from cnitrail.answers.findings.calls import ResourceCall, grouped, split_at_pauses
from cnitrail.answers.findings.context import FindingContext
from cnitrail.answers.findings.ip_exhaustion import REQUESTS, is_exhausted
from cnitrail.answers.findings.names import principal_name
from cnitrail.answers.findings.node_role_fallback import calls_with_node_role
from cnitrail.answers.findings.throttling import is_throttled
from cnitrail.model import ActorKind, Effect, Manager
from cnitrail.model.callers import (
    ON_NODES,
    role_principal_of,
    service_of,
)
from cnitrail.model.ec2 import ADDRESS_LIMIT, ATTACHMENT_LIMIT
from cnitrail.text import counted, listed, short_list

FEWEST = 3
"""Failures that a finding needs: the AWS SDKs make three attempts at a call, and give up after them."""

_FEWEST_BY_PEOPLE = 10
"""Failures of anybody who is not a program of a node or an AWS service: people try again, too."""

_PAUSE = timedelta(hours=1)
"""Longest pause between two failures of one problem: the CNI of an idle node tries every few minutes."""

_PAUSE_OF_DENIALS = timedelta(hours=3)
"""Longest pause between two refusals by one policy: the VPC CNI looks for leaked ENIs once an hour."""

_MANY_ALIKE = 10
"""Number of principals with the same problem up to which each is a finding of its own."""

_DETACHING = timedelta(minutes=20)
"""Time after a detachment in which the VPC CNI tries to delete the ENI again and again: at most 12 times,
with pauses that double from half a second."""

_NAMED = 3
"""Maximum number of principals that a sentence names before it counts the rest."""

_OF_NODES = ("cni", "trunk", "branch")
_PROGRAMS = (*ON_NODES, ActorKind.AWS_SERVICE)
_GONE = {
    Effect.DELETE: (ENI_GONE,),
    Effect.UNASSIGN: (ENI_GONE,),
    Effect.DETACH: ("InvalidAttachmentID.NotFound", ENI_GONE),
    Effect.TERMINATE: (INSTANCE_GONE,),
}
"""The codes that mean for a call that what it asks for is done already."""

_NO_CAPACITY = frozenset(
    {
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "InsufficientReservedInstanceCapacity",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "ReservationCapacityExceeded",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
        "Unsupported",
        "VcpuLimitExceeded",
    }
)
"""The codes of launches that lack instances, not addresses."""


class FailedCalls:
    """The failed calls of a history, by the rule that explains them."""

    def __init__(self, case: FindingContext) -> None:
        self._case = case
        self._events = [calls[0] for calls in case.by_event.values()]
        self.with_node_role = calls_with_node_role(case, self.is_of_cni)
        self._with_node_role = frozenset(call.event.key for call, _ in self.with_node_role)
        self._in_loops = frozenset(call.event.key for call in calls_in_loops(case))

    @cached_property
    def by_rule(self) -> Mapping[str, Sequence[ResourceCall]]:
        """Return the failed calls that each rule explains, by its name, without those that are normal."""
        rules: dict[str, list[ResourceCall]] = defaultdict(list)
        for call in self._events:
            rule = self._rule_of(call) if call.event.failure is not None else None
            if rule is not None:
                rules[rule].append(call)
        return rules

    @cached_property
    def reported(self) -> frozenset[str]:
        """Return the keys of the events that the rules about denied and failing calls report."""
        groups = (*self.denied, *self.failing)
        with_node_role = self.by_rule.get("node-role-beside-irsa", ())
        return frozenset(call.event.key for group in (*groups, with_node_role) for call in group)

    @cached_property
    def denied(self) -> Sequence[Sequence[ResourceCall]]:
        """Return the calls of network plugins that policies refused several times, for each principal.

        A success in between changes nothing: it was for another subnet, or another node.
        """
        by_principal = grouped(self.by_rule.get("cni-call-denied", ()), _principal).values()
        runs = (run for calls in by_principal for run in split_at_pauses(calls, _PAUSE_OF_DENIALS))
        return _many_as_one(run for run in runs if len(run) >= FEWEST)

    @cached_property
    def failing(self) -> Sequence[Sequence[ResourceCall]]:
        """Return the calls of one principal to one API that fail again and again, by their problem.

        A quota is one problem for all principals of its account and Region.
        """
        failed = frozenset(call.event.key for call in self.by_rule.get("calls-keep-failing", ()))
        problems: list[Sequence[ResourceCall]] = []
        for calls in self._by_caller_and_api.values() if failed else ():
            if any(call.event.key in failed for call in calls):
                problems += self._by_problem(self._again_and_again(calls, failed))
        by_quota = grouped(problems, lambda calls: {call.code for call in calls} == {ENI_QUOTA})
        of_places = grouped(by_quota.get(True, ()), lambda calls: calls[0].place)
        return [*_many_as_one(by_quota.get(False, ())), *map(_by_time, of_places.values())]

    def _by_problem(self, calls: Iterable[ResourceCall]) -> Iterator[Sequence[ResourceCall]]:
        """Yield calls by their error code; codes that hit the same node, ENI or subnet are one problem."""
        problems: list[tuple[set[str | None], Sequence[ResourceCall]]] = []
        for same in grouped(calls, lambda call: call.code).values():
            targets = {self._target_of(call) for call in same}
            met = [problem for problem in problems if problem[0] & targets]
            problems = [problem for problem in problems if problem not in met]
            merged = _by_time([*(others for _, others in met), same]) if met else same
            problems.append((targets.union(*(others for others, _ in met)), merged))
        yield from (merged for _, merged in problems)

    def recovery(self, calls: Sequence[ResourceCall]) -> ResourceCall | None:
        """Return the call with which a problem was over: every caller had a success with every API.

        It is for one of the same nodes, after the last failure; None if one of them had none.
        """
        found = [self._success_after(same) for same in grouped(calls, _caller_and_api).values()]
        successes = [call for call in found if call is not None]
        return max(successes, key=lambda call: call.time) if len(successes) == len(found) else None

    def _success_after(self, calls: Sequence[ResourceCall]) -> ResourceCall | None:
        last, nodes = calls[-1].time, {self.node_of(call) for call in calls}
        same = self._by_caller_and_api.get(_caller_and_api(calls[0]), ())
        for call in _after(last, same):
            if call.event.failure is None and (None in nodes or self.node_of(call) in nodes):
                return call
        return self._with_another_role(calls[0], last, nodes)

    def _with_another_role(
        self, call: ResourceCall, last: datetime, nodes: Iterable[str | None]
    ) -> ResourceCall | None:
        """Return when the VPC CNI had done on all nodes, with a role of its own, what was refused before."""
        if call.entry.actor.kind is not ActorKind.INSTANCE_ROLE or not self.is_of_cni(call):
            return None
        key = call.place, call.event.name
        first = [next(_after(last, self._cni_on_node.get((*key, node), ())), None) for node in nodes]
        done = [success for success in first if success is not None]
        return max(done, key=lambda success: success.time) if done and len(done) == len(first) else None

    @cached_property
    def _cni_on_node(self) -> Mapping[tuple[object, ...], Sequence[ResourceCall]]:
        """Return the successful calls of the VPC CNI with roles of its own, by place, API and node."""
        done = (
            call
            for call in self._events
            if call.event.failure is None
            and call.entry.actor.ipamd
            and call.entry.actor.kind is not ActorKind.INSTANCE_ROLE
        )
        return grouped(done, lambda call: (call.place, call.event.name, self.node_of(call)))

    @cached_property
    def _by_caller_and_api(self) -> Mapping[tuple[object, ...], Sequence[ResourceCall]]:
        return grouped(self._events, _caller_and_api)

    def of_role(self, role_arn: str) -> Sequence[ResourceCall]:
        """Return the successful calls with a role."""
        return self._by_role.get(role_arn, ())

    @cached_property
    def _by_role(self) -> Mapping[str, Sequence[ResourceCall]]:
        done = (call for call in self._events if call.event.failure is None)
        return grouped(done, lambda call: call.entry.actor.role_arn or "")

    @cached_property
    def roles_of_cni(self) -> frozenset[str]:
        """Return the ARNs of the roles that the VPC CNI called with, except node roles."""
        actors = (call.entry.actor for call in self._events)
        pods = (actor for actor in actors if actor.ipamd and actor.kind is not ActorKind.INSTANCE_ROLE)
        return frozenset(actor.role_arn for actor in pods if actor.role_arn is not None)

    def is_of_cni(self, call: ResourceCall) -> bool:
        """Return whether the VPC CNI made a call, as far as its record shows."""
        return self._case.plugin_of(call) is Manager.VPC_CNI

    def node_of(self, call: ResourceCall) -> str | None:
        """Return the node that a call is for; for a network plugin, the one that its request names."""
        entry = call.entry
        if entry.instance is None and self._case.plugin_of(call) is not None:
            return entry.claimed_instance
        return entry.instance

    def who(self, calls: Sequence[ResourceCall]) -> str:
        """Return the names of the principals of some calls, with their clusters."""
        names = sorted(self._who(same) for same in grouped(calls, _principal).values())
        rest = [counted(len(names) - _NAMED, "more principal")] if len(names) > _NAMED else []
        return listed([*names[:_NAMED], *rest])

    def _who(self, calls: Sequence[ResourceCall]) -> str:
        clusters = {name for call in calls if (name := self._case.cluster_of_caller(call)) is not None}
        return principal_name(calls, clusters)

    def nodes_of(self, calls: Iterable[ResourceCall]) -> Sequence[str]:
        """Return the nodes that calls are for."""
        return sorted({node for call in calls if (node := self.node_of(call)) is not None})

    def for_nodes(self, calls: Iterable[ResourceCall]) -> str:
        """Return for which nodes calls were made, after a space; empty if the nodes call for themselves."""
        nodes = {node for call in calls if (node := self.node_of(call)) and node != call.entry.actor.instance}
        return f" for {short_list(nodes)}" if nodes else ""

    def _rule_of(self, call: ResourceCall) -> str | None:
        """Return the rule that explains a failed call; None if it is normal, or about no address."""
        return next((rule for rule, owns in self._owners if owns(call)), "calls-keep-failing")

    @cached_property
    def _owners(self) -> tuple[tuple[str | None, Callable[[ResourceCall], bool]], ...]:
        """Return the rules that explain some failed calls, each with its condition; the first counts."""
        return (
            ("irsa-sign-in-failing", lambda call: call.event.effect is Effect.SIGN_IN),
            (None, lambda call: call.event.effect is Effect.RECORD),
            ("api-throttled", is_throttled),
            ("subnet-exhausted", lambda call: call.event.effect in REQUESTS and is_exhausted(call)),
            (None, self._is_normal),
            ("node-role-beside-irsa", lambda call: call.event.key in self._with_node_role),
            ("cni-call-denied", lambda call: is_denied(call) and self._case.plugin_of(call) is not None),
            ("address-limit-exceeded", lambda call: call.code == ADDRESS_LIMIT),
            ("cni-eni-removed", lambda call: was_deleted_by_another(self._case, call)),
            ("attach-limit-loop", _is_attach_limit),
            ("create-attach-delete-loop", lambda call: call.event.key in self._in_loops),
            ("interface-never-deleted", self._is_about_a_leak),
        )

    def _is_normal(self, call: ResourceCall) -> bool:
        """Return whether a failure is expected: the work was done already, or comes a little later."""
        effect, failure = call.event.effect, call.event.failure
        if call.code in _GONE.get(effect, ()) or (effect is Effect.LAUNCH and call.code in _NO_CAPACITY):
            return True
        interface = self._case.history.interfaces.get(call.entry.eni or "")
        if failure is None or interface is None or not is_too_early(failure, effect):
            return False
        ends = [
            attachment.end.time for attachment in interface.attachments if attachment.end.time is not None
        ]
        is_detaching = any(end >= call.time - _DETACHING for end in ends)
        return interface.deleted.event is not None or is_detaching

    def _is_about_a_leak(self, call: ResourceCall) -> bool:
        """Return whether a call could not delete an ENI of a node that is attached to nothing any more."""
        interface = self._case.history.interfaces.get(call.entry.eni or "")
        if call.event.effect is not Effect.DELETE or interface is None or interface.kind not in _OF_NODES:
            return False
        left = interface.attachments[-1].end.event if interface.attachments else None
        return left is not None and interface.deleted.event is None

    def _again_and_again(
        self, calls: Sequence[ResourceCall], failed: frozenset[str]
    ) -> Iterator[ResourceCall]:
        """Yield the failures without a success in between.

        They have one code in all calls, or any codes in the calls for one node or ENI.
        """
        by_target = grouped(calls, self._target_of).values()
        runs = chain(
            _runs(calls, failed, lambda call: call.code),
            *(_runs(same, failed, lambda _: None) for same in by_target),
        )
        long = (run for run in runs if len(run) >= self._fewest(run[0]))
        keys = {call.event.key for run in long for call in run}
        yield from (call for call in calls if call.event.key in keys)

    def _target_of(self, call: ResourceCall) -> str | None:
        return self.node_of(call) or call.entry.eni or call.entry.subnet

    def _fewest(self, call: ResourceCall) -> int:
        actor = call.entry.actor
        is_program = (
            actor.kind in _PROGRAMS or service_of(actor) is not None or self._case.plugin_of(call) is not None
        )
        return FEWEST if is_program else _FEWEST_BY_PEOPLE


def is_denied(call: ResourceCall) -> bool:
    """Return whether a policy refused a call."""
    return call.code in DENIED


def _principal(call: ResourceCall) -> tuple[object, ...]:
    return call.place, role_principal_of(call.entry.actor)


def _caller_and_api(call: ResourceCall) -> tuple[object, ...]:
    return *_principal(call), call.cluster, call.event.name


def _after(time: datetime, calls: Sequence[ResourceCall]) -> Iterator[ResourceCall]:
    """Return the calls after a time."""
    return islice(calls, bisect_right(calls, time, key=lambda call: call.time), None)


def _by_time(problems: Iterable[Sequence[ResourceCall]]) -> Sequence[ResourceCall]:
    return sorted(chain.from_iterable(problems), key=lambda call: call.time)


def _is_attach_limit(call: ResourceCall) -> bool:
    return call.event.effect is Effect.ATTACH and call.code == ATTACHMENT_LIMIT


def _many_as_one(problems: Iterable[Sequence[ResourceCall]]) -> list[Sequence[ResourceCall]]:
    """Return problems; those that very many principals have with the same calls and codes are one."""

    def calls_and_codes(calls: Sequence[ResourceCall]) -> tuple[object, ...]:
        return calls[0].place, frozenset((call.event.name, call.code) for call in calls)

    found: list[Sequence[ResourceCall]] = []
    for alike in grouped(problems, calls_and_codes).values():
        found += [_by_time(alike)] if len(alike) > _MANY_ALIKE else alike
    return found


def _runs(
    calls: Iterable[ResourceCall],
    failed: frozenset[str],
    kind: Callable[[ResourceCall], str | None],
) -> Iterator[list[ResourceCall]]:
    """Yield failures of one kind each, without a success or a long pause in between."""
    runs: dict[str | None, list[ResourceCall]] = defaultdict(list)
    for call in calls:
        if call.event.failure is None:
            yield from runs.values()
            runs.clear()
        elif call.event.key in failed:
            run = runs[kind(call)]
            if run and call.time - run[-1].time > _PAUSE:
                yield run
                run = runs[kind(call)] = []
            run.append(call)
    yield from runs.values()
