"""Which account and Region an interface or instance belongs to: the one that made it.

EC2 takes calls on an interface from its owner's account in its own Region only
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html). So records of another account or
Region that name it move nothing, whatever they say.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from cnitrail.model import AccountRegion, Effect, Event

_MAKING = (Effect.CREATE, Effect.LAUNCH, Effect.ATTACH)


class Owners(Struct):
    """Whose the interfaces and instances are that events name.

    ``foreign`` are the events, by key, that name what belongs to another account or Region. ``disputed`` is
    what several of them name, or make, so that the first of them may be the wrong one.
    """

    foreign: set[str] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)


def owners_of(events: Iterable[Event]) -> Owners:
    """Find out whose everything is; failed events prove nothing.

    What nobody is seen to make belongs to whoever calls most for it.
    """
    owners, places = Owners(), dict[str, AccountRegion]()
    worked = [event for event in events if event.failure is None]
    for event in worked:
        if event.effect in _MAKING:
            owners.disputed.update(_enter(_made(event), event, places))
    for event in worked:
        if event.effect is Effect.LAUNCH:
            _enter(_launched_with(event, places), event, places)
    made = frozenset(places)
    strangers = [event for event in worked if _enter(_named(event), event, places)]
    unsure = {name for event in strangers for name in _named(event)} - made
    if unsure:
        calls = Counter(
            (name, (event.account, event.region))
            for event in worked
            for name in unsure.intersection(_named(event))
        )
        for (name, place), _ in reversed(calls.most_common()):
            if not _agree(places[name], place):
                owners.disputed.add(name)
            places[name] = place
    if strangers:
        owners.foreign.update(event.key for event in worked if _enter(_named(event), event, places))
    return owners


def _enter(names: Iterable[str], event: Event, places: dict[str, AccountRegion]) -> list[str]:
    """Note who calls for things, if nobody else does; those that are somebody else's."""
    place, others = (event.account, event.region), []
    for name in names:
        known = places.setdefault(name, place)
        if known == place:
            continue
        if _agree(known, place):
            places[name] = known[0] or place[0], known[1] or place[1]
        else:
            others.append(name)
    return others


def _named(event: Event) -> list[str]:
    """The interfaces, instances and attachments that a call names."""
    return [
        name
        for subject in event.subjects
        for name in (subject.eni, subject.instance, subject.trunk, subject.attachment, subject.association)
        if name is not None
    ]


def _made(event: Event) -> Iterator[str]:
    """What a call made."""
    for subject in event.subjects:
        if subject.attachment:
            yield subject.attachment
        if event.effect is not Effect.ATTACH and subject.eni and not subject.existing:
            yield subject.eni
        if event.effect is Effect.LAUNCH and subject.instance:
            yield subject.instance


def _launched_with(event: Event, made: Mapping[str, AccountRegion]) -> list[str]:
    """The interfaces from before the evidence that an instance was launched with, by whoever had them."""
    return [each.eni for each in event.subjects if each.eni is not None and each.eni not in made]


def _agree(one: AccountRegion, other: AccountRegion) -> bool:
    """Whether two may be the same; an export may leave out an account or a Region."""
    return all(mine == theirs or None in (mine, theirs) for mine, theirs in zip(one, other, strict=True))
