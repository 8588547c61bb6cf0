"""The numbers under which a report cites events, and the principals behind those events."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from cnitrail.model import (
    Actor,
    ActorKind,
    Agent,
    Bound,
    CallOutcome,
    Citation,
    CitedBound,
    CitedCall,
    Event,
    History,
    ReportPrincipal,
    TimelineEntry,
)
from cnitrail.model.callers import Names, principal_of
from cnitrail.text import distinct

_Key = tuple[str, ...]


class CitationIndex:
    """The events that a report cites, by time, and their principals, by number of calls."""

    def __init__(
        self, history: History, cited: Collection[str], found: Sequence[tuple[Event, TimelineEntry]]
    ) -> None:
        """Number the events: ``cited`` are the keys of all; ``found`` are the calls of the report."""
        events = [event for event in history.events if event.key in cited]
        self._numbers = {event.key: number for number, event in enumerate(events, 1)}
        keys = {event.key: _key(history.actors[event.key]) for event in events}
        actors: dict[_Key, Actor] = {}
        for event in events:
            actors.setdefault(keys[event.key], history.actors[event.key])
        counts = Counter([keys[event.key] for event, _ in found])
        ranked = sorted(actors, key=lambda key: (-counts[key], key))
        places = {key: position for position, key in enumerate(ranked)}
        self._positions = {event: places[key] for event, key in keys.items()}
        self.calls = tuple(
            [CitedCall(entry, self._numbers[event.key], self._positions[event.key]) for event, entry in found]
        )
        self.events = tuple([self._citation(event) for event in events])
        calls_of = defaultdict(list)
        for call in self.calls:
            calls_of[call.principal].append(call)
        names = Names(
            (
                *((actor, None) for actor in actors.values()),
                *((call.entry.actor, call.entry.cluster) for call in self.calls),
            )
        )
        self.principals = tuple(
            _principal(actors[key], calls_of[position], names) for position, key in enumerate(ranked)
        )

    def numbers(self, events: Iterable[Event]) -> tuple[int, ...]:
        """Return the numbers under which events are cited."""
        return tuple(self._numbers[event.key] for event in events)

    def bound(self, bound: Bound) -> CitedBound:
        """Return a bound of the history with the number of its event."""
        if bound.event is None:
            return CitedBound(bound.shown, bound.basis, None, None)
        number = self._numbers[bound.event.key]
        return CitedBound(bound.time, bound.basis, number, self._positions[bound.event.key])

    def _citation(self, event: Event) -> Citation:
        return Citation(
            time=event.time,
            event=event.name,
            event_id=event.event_id,
            origins=event.origins,
            principal=self._positions[event.key],
            region=event.region,
        )


def _key(actor: Actor) -> _Key:
    """Return what the calls of one principal share: the nodes of a node group use one role."""
    if actor.kind is ActorKind.INSTANCE_ROLE:
        return actor.kind, actor.role_arn or actor.role or actor.label
    return principal_of(actor)


def _principal(actor: Actor, calls: Sequence[CitedCall], names: Names) -> ReportPrincipal:
    entries = [call.entry for call in calls]
    actors = [entry.actor for entry in entries] or [actor]
    succeeded = Counter([entry.event for entry in entries if entry.outcome is CallOutcome.OK])
    failed = Counter([entry.event for entry in entries if entry.outcome is CallOutcome.FAILED])
    node_role = actor.role if actor.kind is ActorKind.INSTANCE_ROLE else None
    return ReportPrincipal(
        name=node_role or actor.label,
        actor=actors[0],
        instances=distinct(actor.instance for actor in actors),
        agents=distinct(map(_agent_name, dict.fromkeys(actor.agent for actor in actors))),
        source_ips=distinct(actor.source_ip for actor in actors),
        calls=tuple(
            (name, succeeded[name], failed[name])
            for name in distinct(entry.event for entry in entries if entry.outcome is not CallOutcome.DRY_RUN)
        ),
        added=sum([len(entry.added) for entry in entries]),
        removed=sum([len(entry.removed) for entry in entries]),
        events=tuple(sorted({call.event for call in calls})),
        facts=("node role",) if node_role else names.facts(actor),
    )


def _agent_name(agent: Agent) -> str | None:
    """Return the program behind a call with its version; the whole user agent if it names none."""
    if agent.name is None:
        return agent.sdk or agent.raw
    return f"{agent.name} {agent.version}" if agent.version else agent.name
