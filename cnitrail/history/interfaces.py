"""What becomes of each interface and instance: creation, attachments, descriptions, the end."""

from datetime import datetime

from msgspec import Struct, field

from cnitrail.history.kinds import cluster_of_tags, interface_kind
from cnitrail.model import (
    OPEN,
    UNKNOWN,
    Attachment,
    Basis,
    Bound,
    Effect,
    Event,
    Instance,
    Interface,
    Subject,
)


class _Attachment(Struct):
    """An attachment while its story is being read."""

    eni: str
    attachment: str | None
    instance: str | None = None
    device_index: int | None = None
    start: Bound = UNKNOWN
    end: Bound = OPEN
    how: str = "attach"
    dies_with_instance: bool | None = None


class _Interface(Struct):
    """An interface while its story is being read."""

    eni: str
    account: str | None
    region: str | None
    vpcs: set[str] = field(default_factory=set)
    subnet: str | None = None
    type: str | None = None
    requester: str | None = None
    creator: str | None = None
    launched_first: bool = False
    created: Bound = UNKNOWN
    deleted: Bound = OPEN
    descriptions: list[str] = field(default_factory=list)
    mark: tuple[str, str] | None = None
    marked: datetime | None = None
    born_marked: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    attachments: list[_Attachment] = field(default_factory=list)


class _Instance(Struct):
    instance: str
    account: str | None
    region: str | None
    vpc: str | None = None
    subnet: str | None = None
    type: str | None = None
    launched: Bound = UNKNOWN
    ended: Bound = OPEN
    tags: dict[str, str] = field(default_factory=dict)
    attachments: list[_Attachment] = field(default_factory=list)


class Registry:
    """Reads events in order and keeps what they say of interfaces and instances.

    ``deaths`` are the terminations that took an interface with them, by ENI: a logged
    termination of the instance that it was attached to with deleteOnTermination.
    ``associations`` give the (ENI, instance) behind an association id.
    """

    def __init__(self) -> None:
        self.deaths: dict[str, Event] = {}
        self.associations: dict[str, tuple[str | None, str | None]] = {}
        self._interfaces: dict[str, _Interface] = {}
        self._instances: dict[str, _Instance] = {}
        self._attachments: dict[str, _Attachment] = {}

    def read(self, event: Event) -> None:
        """Take in one event; failed calls change nothing."""
        if event.failure is not None:
            return
        for subject in event.subjects:
            self._read_place(event, subject)
            match event.effect:
                case Effect.ASSIGN | Effect.UNASSIGN:  # as most are
                    pass
                case Effect.LAUNCH:
                    self._launch(event, subject)
                case Effect.CREATE:
                    self._create(event, subject)
                case Effect.ATTACH:
                    self._attach(event, subject)
                case Effect.MODIFY:
                    self._modify(event, subject)
                case Effect.DETACH:
                    self._detach(event, subject)
                case Effect.DELETE:
                    self._delete(event, subject)
                case Effect.TERMINATE:
                    self._terminate(event, subject)

    def interfaces(self) -> dict[str, Interface]:
        """Every interface that an event names."""
        return {
            eni: _finished(interface, self.deaths.get(eni)) for eni, interface in self._interfaces.items()
        }

    def instances(self) -> dict[str, Instance]:
        """Every instance that an event names."""
        return {
            name: Instance(
                instance=name,
                account=instance.account,
                region=instance.region,
                vpc=instance.vpc,
                subnet=instance.subnet,
                instance_type=instance.type,
                cluster=cluster_of_tags(instance.tags),
                launched=instance.launched,
                ended=instance.ended,
            )
            for name, instance in self._instances.items()
        }

    def enis_by_attachment(self) -> dict[str, str]:
        """The ENI behind each attachment id that the evidence connects with one."""
        return {name: attachment.eni for name, attachment in self._attachments.items()}

    def _interface(self, event: Event, eni: str) -> _Interface:
        known = self._interfaces.get(eni)
        if known is None:
            known = self._interfaces[eni] = _Interface(eni, event.account, event.region)
        return known

    def _instance(self, event: Event, name: str) -> _Instance:
        known = self._instances.get(name)
        if known is None:
            known = self._instances[name] = _Instance(name, event.account, event.region)
        return known

    def _read_place(self, event: Event, subject: Subject) -> None:
        """What any call may say: where an interface is, what it is, how it is described."""
        if subject.instance is not None:
            instance = self._instance(event, subject.instance)
            instance.type = instance.type or subject.instance_type
            if subject.eni is None:
                instance.tags.update(subject.tags)
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        if subject.vpc is not None:
            interface.vpcs.add(subject.vpc)
        interface.subnet = interface.subnet or subject.subnet
        interface.type = interface.type or subject.interface_type
        interface.requester = interface.requester or subject.requester
        if subject.description is not None:
            interface.descriptions.append(subject.description)
        if interface.mark is None and subject.mark is not None:
            interface.mark, interface.marked = subject.mark, event.time
            interface.born_marked = event.effect is Effect.CREATE
        if event.effect is not Effect.LAUNCH:
            interface.tags.update(subject.tags)

    def _launch(self, event: Event, subject: Subject) -> None:
        if subject.instance is None:
            return
        instance = self._instance(event, subject.instance)
        instance.vpc = instance.vpc or subject.vpc
        instance.subnet = instance.subnet or subject.subnet
        instance.tags.update(subject.tags)
        instance.launched = Bound(event.time, Basis.OBSERVED, event)
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        if not subject.existing:
            interface.created = Bound(event.time, Basis.OBSERVED, event)
            interface.launched_first = subject.device_index in (0, None)
        self._attached(event, subject, instance, how="launch")

    def _create(self, event: Event, subject: Subject) -> None:
        if subject.eni is not None:
            interface = self._interface(event, subject.eni)
            interface.created = Bound(event.time, Basis.OBSERVED, event)
            interface.creator = event.actor.label

    def _attach(self, event: Event, subject: Subject) -> None:
        if subject.eni is None:
            return
        if subject.trunk is not None:
            self._attach_branch(event, subject)
        elif subject.instance is not None:
            instance = self._instance(event, subject.instance)
            self._attached(event, subject, instance, how="attach")

    def _attached(self, event: Event, subject: Subject, instance: _Instance, how: str) -> None:
        assert subject.eni is not None
        interface = self._interface(event, subject.eni)
        known = self._attachments.get(subject.attachment) if subject.attachment else None
        if known is not None and known.end is not OPEN:  # what has ended does not begin: another one, at odds
            known = None
        attachment = known or _Attachment(subject.eni, subject.attachment)
        attachment.instance, attachment.how = instance.instance, how
        attachment.device_index = subject.device_index
        attachment.start = Bound(event.time, Basis.OBSERVED, event)
        if how == "launch":
            attachment.dies_with_instance = subject.delete_on_termination
        elif attachment.dies_with_instance is None:
            attachment.dies_with_instance = False
        _end_earlier(interface, attachment, event)
        if known is None:
            interface.attachments.append(attachment)
        instance.attachments.append(attachment)
        if subject.attachment is not None:
            self._attachments[subject.attachment] = attachment

    def _attach_branch(self, event: Event, subject: Subject) -> None:
        """A branch interface is on the instance that its trunk is on."""
        assert subject.eni is not None
        assert subject.trunk is not None
        trunk = self._interface(event, subject.trunk)
        carrier = next((each for each in reversed(trunk.attachments) if each.end is OPEN), None)
        if subject.association is not None:
            instance = carrier.instance if carrier else None
            self.associations[subject.association] = (subject.eni, instance)
        attachment = _Attachment(subject.eni, subject.association)
        attachment.instance = carrier.instance if carrier else None
        attachment.start = Bound(event.time, Basis.OBSERVED, event)
        interface = self._interface(event, subject.eni)
        _end_earlier(interface, attachment, event)
        interface.attachments.append(attachment)
        if attachment.instance is not None:
            self._instance(event, attachment.instance).attachments.append(attachment)
        if subject.association is not None:
            self._attachments[subject.association] = attachment

    def _detach(self, event: Event, subject: Subject) -> None:
        attachment = self._attachments.get(subject.attachment or subject.association or "")
        if attachment is not None:
            attachment.end = Bound(event.time, Basis.OBSERVED, event)

    def _modify(self, event: Event, subject: Subject) -> None:
        if subject.association is not None and (subject.eni or subject.instance):
            self.associations[subject.association] = (subject.eni, subject.instance)
        if subject.attachment is None or subject.eni is None:
            return
        attachment = self._attachments.get(subject.attachment)
        if attachment is None:
            attachment = self._attachments[subject.attachment] = _Attachment(subject.eni, subject.attachment)
            self._interface(event, subject.eni).attachments.append(attachment)
        if subject.delete_on_termination is not None:
            attachment.dies_with_instance = subject.delete_on_termination

    def _delete(self, event: Event, subject: Subject) -> None:
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        interface.deleted = Bound(event.time, Basis.OBSERVED, event)
        for attachment in interface.attachments:
            if attachment.end is OPEN:
                attachment.end = Bound(event.time, Basis.IMPLIED, event)

    def _terminate(self, event: Event, subject: Subject) -> None:
        if subject.instance is None:
            return
        instance = self._instance(event, subject.instance)
        if instance.ended is OPEN:
            instance.ended = Bound(event.time, Basis.OBSERVED, event)
        for attachment in instance.attachments:
            if attachment.end is not OPEN:
                continue
            attachment.end = Bound(event.time, Basis.IMPLIED, event)
            if attachment.dies_with_instance:
                self.deaths.setdefault(attachment.eni, event)


def _end_earlier(interface: _Interface, newer: _Attachment, event: Event) -> None:
    """An interface is on one instance at a time: a new attachment ends an open one."""
    for attachment in interface.attachments:
        if attachment.end is OPEN and attachment is not newer:
            attachment.end = Bound(event.time, Basis.IMPLIED, event)


def _finished(interface: _Interface, death: Event | None) -> Interface:
    deleted = interface.deleted
    if deleted is OPEN and death is not None:
        deleted = Bound(death.time, Basis.IMPLIED, death)
    return Interface(
        eni=interface.eni,
        account=interface.account,
        region=interface.region,
        vpc=next(iter(interface.vpcs)) if len(interface.vpcs) == 1 else None,
        subnet=interface.subnet,
        kind=interface_kind(
            interface.launched_first,
            interface.born_marked,
            interface.descriptions,
            interface.type,
            interface.requester,
            interface.creator,
        ),
        created=interface.created,
        deleted=deleted,
        mark=interface.mark,
        marked=interface.marked,
        cluster=cluster_of_tags(interface.tags),
        attachments=tuple(
            Attachment(
                eni=each.eni,
                instance=each.instance,
                device_index=each.device_index,
                attachment=each.attachment,
                start=each.start,
                end=each.end,
                how=each.how,
            )
            for each in interface.attachments
        ),
    )
