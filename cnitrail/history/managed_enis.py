"""The ENIs of NAT gateways and EFS mount targets: calls that delete such a resource do not name its ENIs."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec.structs import replace

from cnitrail.model import Effect, Event, Subject

_OF_RESOURCES = (Effect.CREATE, Effect.ASSIGN, Effect.DELETE)


def with_deleted_enis(events: Iterable[Event]) -> dict[str, Event]:
    """Return the deletions of resources by event key, with the ENIs that AWS deletes with the resources.

    The ENIs are those named by the calls that created the resource or gave it addresses, except for ENIs that
    have a deletion of their own. ``events`` are in order of time; of several deletions of a resource, the
    first has its ENIs.
    """
    enis: dict[str, set[str]] = defaultdict(set)
    deletions: list[Event] = []
    deleted: set[str] = set()
    for event in events:
        if event.failure is not None or event.effect not in _OF_RESOURCES:
            continue
        for subject in event.subjects:
            if event.effect is Effect.DELETE and subject.eni is not None:
                deleted.add(subject.eni)
            elif event.effect is Effect.DELETE and subject.details.resource is not None:
                deletions.append(event)
            elif subject.details.resource is not None and subject.eni is not None:
                enis[subject.details.resource].add(subject.eni)
    return {
        event.key: replace(event, subjects=subjects)
        for event in deletions
        if (subjects := tuple(_subjects(event, enis, deleted))) != event.subjects
    }


def _subjects(event: Event, enis: dict[str, set[str]], deleted: set[str]) -> Iterable[Subject]:
    """Yield the subjects of a deletion: one for each ENI, if the ENIs are known."""
    for subject in event.subjects:
        gone = sorted(enis.pop(subject.details.resource or "", set()) - deleted)
        yield from [replace(subject, eni=eni) for eni in gone] or [subject]
