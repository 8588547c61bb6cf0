"""Who acts in a report, and the numbers under which its events are cited."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from cnitrail.answers.report.words import distinct
from cnitrail.model import (
    Actor,
    ActorKind,
    Bound,
    Citation,
    CitedCall,
    Edge,
    Event,
    History,
    Principal,
    TimelineEntry,
)
from cnitrail.model.callers import Names, principal_of

Key = tuple[str, ...]


class Principals:
    """The events that a report cites, by time, and the principals behind them, the busiest first."""

    def __init__(
        self, history: History, cited: Collection[str], found: Sequence[tuple[Event, TimelineEntry]]
    ) -> None:
        """``cited`` are the keys of all events; ``found`` the calls that the report is about."""
        events = [event for event in history.events if event.key in cited]
        self._numbers = {event.key: number for number, event in enumerate(events, 1)}
        self._keys = {event.key: _key(history.actors[event.key]) for event in events}
        actors: dict[Key, Actor] = {}
        for event in events:
            actors.setdefault(self._keys[event.key], history.actors[event.key])
        counts = Counter(self._keys[event.key] for event, _ in found)
        ranked = sorted(actors, key=lambda key: (-counts[key], key))
        self._places = {key: place for place, key in enumerate(ranked)}
        self.calls = tuple(CitedCall(entry, self.number(event), self._place(event)) for event, entry in found)
        self.events = tuple(
            Citation(each.time, each.name, each.event_id, each.origins, self._place(each)) for each in events
        )
        acts = defaultdict(list)
        for call in self.calls:
            acts[call.principal].append(call)
        names = Names(actors.values())
        self.principals = tuple(
            _principal(actors[key], acts[place], names) for place, key in enumerate(ranked)
        )

    def number(self, event: Event) -> int:
        """The number under which an event is cited."""
        return self._numbers[event.key]

    def edge(self, bound: Bound) -> Edge:
        """A bound of the history, with its event's number."""
        if bound.event is None:
            return Edge(bound.time, bound.basis, None, None)
        return Edge(bound.time, bound.basis, self.number(bound.event), self._place(bound.event))

    def _place(self, event: Event) -> int:
        return self._places[self._keys[event.key]]


def _key(actor: Actor) -> Key:
    """What the calls of one principal share: the nodes of a node group use one role."""
    if actor.kind is ActorKind.INSTANCE_ROLE:
        return actor.kind, actor.role_arn or actor.role or actor.label
    kind, label, arn, assumed_by = principal_of(actor)
    return kind, label, arn, assumed_by or ""


def _principal(actor: Actor, calls: Sequence[CitedCall], names: Names) -> Principal:
    entries = [call.entry for call in calls]
    actors = [entry.actor for entry in entries] or [actor]
    outcomes = Counter((entry.event, entry.error is None) for entry in entries)
    node_role = actor.role if actor.kind is ActorKind.INSTANCE_ROLE else None
    return Principal(
        name=node_role or actor.label,
        actor=actors[0],
        instances=distinct(each.instance for each in actors),
        agents=distinct(_agent(each) for each in actors),
        source_ips=distinct(each.source_ip for each in actors),
        calls=tuple(
            (name, outcomes[name, True], outcomes[name, False])
            for name in distinct(entry.event for entry in entries)
        ),
        added=sum(len(entry.added) for entry in entries),
        removed=sum(len(entry.removed) for entry in entries),
        events=tuple(sorted({call.event for call in calls})),
        facts=("the nodes' role",) if node_role else names.facts(actor),
    )


def _agent(actor: Actor) -> str | None:
    """The program behind a call, with its version; its whole text where that names none."""
    agent = actor.agent
    if agent.name is None:
        return agent.sdk or agent.raw
    return f"{agent.name} {agent.version}" if agent.version else agent.name
