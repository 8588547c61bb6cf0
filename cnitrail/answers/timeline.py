"""Who added, moved or removed which addresses, when."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.model import (
    ActorKind,
    Attachment,
    Basis,
    Effect,
    Event,
    Held,
    History,
    Interface,
    Lease,
    Moved,
    Subject,
    TimelineEntry,
    held_of,
    is_prefix,
    order_of,
)

_OWN_INTERFACE = (Effect.ASSIGN, Effect.UNASSIGN, Effect.CREATE)
"""What a node does to its own interfaces only; it also deletes those that others left behind."""


_NAMED = {Effect.LAUNCH: "launch", Effect.ATTACH: "attach"}
"""How the instance is known that a call itself names."""


def timeline(history: History, wanted: Filter) -> Iterator[TimelineEntry]:
    """The entries that a filter keeps: by time, within a second cause before effect, by event id."""
    return (entry for _, entry in calls(history, wanted))


def calls(history: History, wanted: Filter) -> Iterator[tuple[Event, TimelineEntry]]:
    """The entries that a filter keeps in the same order, each with its event."""
    ended = _leases_by_ending_event(history)
    for event in history.events:
        if not wanted.takes_time(event.time) or not wanted.takes_event(event.name):
            continue
        if wanted.failed not in (None, event.failure is not None):
            continue
        if not wanted.takes_actor(history.actors[event.key]):
            continue
        for entry in _entries(history, event, ended.get(event.key, [])):
            if takes_place(wanted, entry):
                yield event, entry


def takes_place(wanted: Filter, entry: TimelineEntry) -> bool:
    """Whether an entry is about the places and addresses that were asked for."""
    clusters = (entry.cluster, entry.actor.cluster)
    return (
        wanted.takes_value("instance", entry.instance)
        and wanted.takes_value("eni", entry.eni, *(moved.from_eni for moved in entry.moved))
        and wanted.takes_value("vpc", entry.vpc)
        and wanted.takes_value("subnet", entry.subnet)
        and wanted.takes_value("account", entry.account)
        and wanted.takes_value("region", entry.region)
        and wanted.takes_value("cluster", *clusters)
        and wanted.takes_addresses(_addresses(entry))
    )


def _addresses(entry: TimelineEntry) -> Iterator[Held]:
    yield from entry.added
    yield from entry.shown
    yield from entry.removed
    for requested in entry.requested_addresses:
        read = held_of(requested)
        if read is not None:
            yield read


def _leases_by_ending_event(history: History) -> dict[str, list[Lease]]:
    """What a call ended beside what it names: a release names all that it ends."""
    ended: dict[str, list[Lease]] = defaultdict(list)
    for lease in history.leases:
        if lease.end.event is not None and not lease.released:
            ended[lease.end.event.key].append(lease)
    return ended


def _entries(history: History, event: Event, ended: list[Lease]) -> Iterator[TimelineEntry]:
    """One entry for each interface that the event touches."""
    if event.effect is Effect.TERMINATE and event.failure is None:
        for subject in event.subjects:
            enis = sorted({lease.eni for lease in ended if _was_on(history, lease.eni, event, subject)})
            touched = [replace(subject, eni=eni) for eni in enis] or [subject]
            for each in touched:
                yield _entry(history, event, each, ended)
        return
    for subject in event.subjects:
        yield _entry(history, event, subject, ended)


def _was_on(history: History, eni: str, event: Event, subject: Subject) -> bool:
    """Whether an interface was on the instance that the event ends."""
    return any(
        each.instance == subject.instance and each.end.event is event
        for each in history.interfaces[eni].attachments
    )


def _entry(history: History, event: Event, subject: Subject, ended: list[Lease]) -> TimelineEntry:
    eni = subject.eni or _eni_of(history, subject)
    interface = history.interfaces.get(eni or "")
    attachment = _attachment(interface, subject, event.time)
    instance, basis = _instance(history, event, subject, interface, attachment)
    known_instance = history.instances.get(instance or "")
    held = tuple(holding.held for holding in subject.added)
    removed = subject.removed
    if event.effect in (Effect.DELETE, Effect.TERMINATE):
        removed = tuple(sorted((lease.held for lease in ended if lease.eni == eni), key=order_of))
    return TimelineEntry(
        time=event.time,
        event_id=event.event_id,
        event=event.name,
        effect=event.effect,
        outcome="ok" if event.failure is None else "failed",
        error=event.failure,
        account=event.account,
        region=event.region,
        actor=history.actors[event.key],
        eni=eni,
        eni_kind=interface.kind if interface else None,
        attachment=subject.attachment or (attachment.attachment if attachment else None),
        device_index=_first(subject.device_index, attachment.device_index if attachment else None),
        instance=instance,
        instance_basis=basis,
        instance_type=known_instance.instance_type if known_instance else subject.instance_type,
        cluster=(interface.cluster if interface else None)
        or (known_instance.cluster if known_instance else None),
        vpc=(interface.vpc if interface else None) or subject.vpc,
        subnet=(interface.subnet if interface else None) or subject.subnet,
        added=() if subject.existing else held,
        shown=held if subject.existing else (),
        removed=removed,
        requested=subject.requested,
        requested_addresses=subject.requested_addresses,
        moved=_moved(subject, ended),
        trunk=subject.trunk,
        public_address=subject.public_address,
        allocation=subject.allocation,
        origins=event.origins,
        trail=event.trail,
    )


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _eni_of(history: History, subject: Subject) -> str | None:
    """The interface behind an attachment or an association, where the evidence connects them."""
    if subject.attachment is not None:
        return history.attachments.get(subject.attachment)
    if subject.association is not None:
        return history.associations.get(subject.association, (None, None))[0]
    return None


def _attachment(interface: Interface | None, subject: Subject, time: datetime) -> Attachment | None:
    if interface is None:
        return None
    name = subject.attachment or subject.association
    if name is not None:
        for attachment in interface.attachments:
            if attachment.attachment == name:
                return attachment
    return interface.attachment_at(time)


def _instance(
    history: History,
    event: Event,
    subject: Subject,
    interface: Interface | None,
    attachment: Attachment | None,
) -> tuple[str | None, str | None]:
    """The instance that the interface was on at that moment, and how that is known."""
    if subject.instance is not None:
        known = attachment is not None and attachment.instance == subject.instance
        return subject.instance, attachment.how if attachment and known else _NAMED.get(event.effect)
    if attachment is not None and attachment.instance is not None:
        return attachment.instance, attachment.how
    if subject.association is not None:
        instance = history.associations.get(subject.association, (None, None))[1]
        if instance is not None:
            return instance, "attach"
    mark = subject.mark or (interface.mark_at(event.time) if interface is not None else None)
    if mark is not None and not _moved_away(interface, mark[0]):
        return mark
    actor = event.actor
    own = actor.kind is ActorKind.INSTANCE_ROLE and event.effect in _OWN_INTERFACE
    if own and not _moved_away(interface, actor.instance):
        return actor.instance, "session"
    return None, None


def _moved_away(interface: Interface | None, instance: str | None) -> bool:
    """Whether the interface is known to have been on another instance."""
    attachments = interface.attachments if interface else ()
    return any(each.instance not in (None, instance) for each in attachments)


def _moved(subject: Subject, ended: list[Lease]) -> tuple[Moved, ...]:
    """The addresses that a call took from another interface, where the history shows which."""
    if not subject.reassign:
        return ()
    return tuple(
        Moved(lease.held, lease.eni)
        for lease in ended
        if lease.eni != subject.eni and lease.end.basis is Basis.IMPLIED and not is_prefix(lease.held)
    )
