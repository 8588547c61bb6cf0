"""The account and Region that own an interface or instance: those that created it.

EC2 accepts calls on an interface from its owner's account in its own Region only
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html). So records of another account or
Region that name it change nothing, whatever they say.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from cnitrail.model import AccountRegion, Effect, Event
from cnitrail.model.coverage import may_be_one_place

_CREATING = (Effect.CREATE, Effect.LAUNCH, Effect.ATTACH)


class Owners(Struct):
    """Doubts about who owns what events name.

    ``foreign`` are the keys of events that name an interface or instance of another account or Region.
    ``disputed`` are the interfaces and instances that several accounts or Regions name, or create: the first
    of them may not be the owner.
    """

    foreign: set[str] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)


def owners_of(events: Iterable[Event]) -> Owners:
    """Return the doubts about the owners of all that events name; failed events prove nothing.

    If no event shows who created something, it belongs to the account and Region of what a call names beside
    it, if that is known; else to those with the most calls on it.
    """
    doubts, owners = Owners(), dict[str, AccountRegion]()
    succeeded = [event for event in events if event.failure is None]
    if len({event.place for event in succeeded}) < 2:
        return doubts
    for event in succeeded:
        if event.effect in _CREATING:
            doubts.disputed.update(_enter(_created(event), event, owners))
    for event in succeeded:
        if event.effect is Effect.LAUNCH:
            _enter(_launched_with(event, owners), event, owners)
    _enter_beside(_resources(succeeded) - doubts.disputed, succeeded, owners)
    settled = frozenset(owners)
    foreign = [event for event in succeeded if _enter(_named(event), event, owners)]
    unclear = {name for event in foreign for name in _named(event)} - settled
    if unclear:
        calls = Counter(
            (name, event.place) for event in succeeded for name in unclear.intersection(_named(event))
        )
        for (name, caller), _ in reversed(calls.most_common()):
            if not may_be_one_place(owners[name], caller):
                doubts.disputed.add(name)
            owners[name] = caller
    if foreign:
        doubts.foreign.update(event.key for event in succeeded if _enter(_named(event), event, owners))
    return doubts


def _enter(names: Iterable[str], event: Event, owners: dict[str, AccountRegion]) -> list[str]:
    """Note the caller as the owner of what has none yet; return the names that have another owner."""
    caller, others = event.place, []
    for name in names:
        known = owners.setdefault(name, caller)
        if known == caller:
            continue
        if may_be_one_place(known, caller):
            owners[name] = known[0] or caller[0], known[1] or caller[1]
        else:
            others.append(name)
    return others


def _enter_beside(created: set[str], events: Iterable[Event], owners: dict[str, AccountRegion]) -> None:
    """Note the owners of what calls name beside something that the same account and Region created."""
    for event in events:
        if {owners[name] for name in created.intersection(_named(event))} == {event.place}:
            _enter(_named(event), event, owners)


def _named(event: Event) -> list[str]:
    """Return the interfaces, instances and attachments that a call names."""
    return [
        name
        for subject in event.subjects
        for name in (
            subject.eni,
            subject.instance,
            subject.details.trunk,
            subject.attachment,
            subject.details.association,
            subject.details.resource,
        )
        if name is not None
    ]


def _created(event: Event) -> Iterator[str]:
    """Yield the interfaces, instances and attachments that a call created."""
    for subject in event.subjects:
        if subject.attachment:
            yield subject.attachment
        if event.effect is not Effect.ATTACH and subject.eni and not subject.details.existing:
            yield subject.eni
        if event.effect is Effect.CREATE and subject.details.resource:
            yield subject.details.resource
        if event.effect is Effect.LAUNCH and subject.instance:
            yield subject.instance


def _resources(events: Iterable[Event]) -> set[str]:
    """Return what calls created, without the attachments to instances that existed before."""
    creating = (event for event in events if event.effect in (Effect.CREATE, Effect.LAUNCH))
    return {name for event in creating for name in _created(event)}


def _launched_with(event: Event, known: Mapping[str, AccountRegion]) -> list[str]:
    """Return the interfaces from before the evidence that an instance was launched with."""
    enis = (subject.eni for subject in event.subjects)
    return [eni for eni in enis if eni is not None and eni not in known]
