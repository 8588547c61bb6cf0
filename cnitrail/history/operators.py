"""Operators: programs on an instance that use its own role, and call for other instances.

The operator of Cilium runs on one node and serves all nodes of its cluster; without a role of its own it uses
that node's. The VPC CNI calls for its own node only.
"""

from collections.abc import Iterable, Mapping

from cnitrail.model import Actor, Effect, Event
from cnitrail.model.callers import CNI_AGENT

_NAMING = (Effect.CREATE, Effect.ATTACH)
"""The calls whose request may name the instance that an ENI is for."""


def operators_of(events: Iterable[Event], actors: Mapping[str, Actor]) -> frozenset[tuple[str, str | None]]:
    """Return the operators as (instance, user agent): callers that named another instance in a request.

    They did so as the instance to attach an ENI to, or in the description of an ENI. A caller with the user
    agent of the VPC CNI is none, whatever it names.
    """
    found = set()
    for event in events:
        if event.effect not in _NAMING:
            continue
        actor = actors.get(event.key, event.actor)
        if actor.instance is None or actor.agent.name == CNI_AGENT:
            continue
        served = {name for subject in event.subjects for name in (subject.details.served, subject.instance)}
        if served - {None, actor.instance}:
            found.add((actor.instance, actor.agent.raw))
    return frozenset(found)
