"""The life of each interface and instance: creation, attachments, descriptions, deletion."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from msgspec import Struct, field

from cnitrail.history.kinds import cluster_tags, clusters_of_tags, interface_kind
from cnitrail.model import (
    OPEN,
    OWN_INTERFACE_EFFECTS,
    UNKNOWN,
    Actor,
    Attachment,
    Attachments,
    Basis,
    Bound,
    ClaimedMark,
    CniMark,
    Effect,
    Event,
    Instance,
    InstanceBasis,
    Interface,
    Subject,
    Tagged,
)
from cnitrail.model.callers import is_controller, is_of_eks, may_mark
from cnitrail.model.ec2 import TRUNK_TAG
from cnitrail.model.history import ALIVE
from cnitrail.timeclamp import LAST

_ANY_TYPE = "interface"
"""The interface type of most interfaces; EC2 names services in others."""

_MAX_TAGS = 50
"""Maximum number of tags of a resource (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html).
Whoever adds and deletes tags again and again can name more clusters; those that come first count."""

_ON_ADDRESSES = (Effect.ASSIGN, Effect.UNASSIGN)
"""What most calls do: nothing to the interface itself."""


class _AttachmentDraft(Struct, kw_only=True):
    """An attachment under construction."""

    eni: str
    attachment: str | None
    instance: str | None = None
    device_index: int | None = None
    start: Bound = UNKNOWN
    end: Bound = OPEN
    how: InstanceBasis = InstanceBasis.ATTACH
    dies_with_instance: bool | None = None
    branches: list["_AttachmentDraft"] = field(default_factory=list)
    """The attachments of branches, if it is that of their trunk: they end with it."""


class _Tags(Struct):
    """Cluster tags of one resource, and the clusters that they named at each time."""

    tags: dict[str, str] = field(default_factory=dict)
    tagged: list[Tagged] = field(default_factory=list)

    def write(self, tags: tuple[tuple[str, str], ...], time: datetime) -> None:
        """Add the tags that a call wrote."""
        named = cluster_tags(tags)
        if not named:
            return
        for key, value in named.items():
            if key in self.tags or len(self.tags) < _MAX_TAGS:
                self.tags[key] = value
        clusters, by_aws = clusters_of_tags(self.tags)
        self.tagged.append(Tagged(time, clusters, by_aws))


class _InterfaceDraft(Struct, kw_only=True):
    """An interface under construction."""

    eni: str
    account: str | None
    region: str | None
    vpcs: set[str] = field(default_factory=set)
    subnet: str | None = None
    type: str | None = None
    requester: str | None = None
    creator: Actor | None = None
    launched_first: bool = False
    created: Bound = UNKNOWN
    deleted: Bound = OPEN
    alive: datetime | None = None
    description: str | None = None
    """The description that it was created with."""
    mark: CniMark | None = None
    marked: datetime | None = None
    claimed: list[ClaimedMark] = field(default_factory=list)
    tags: _Tags = field(default_factory=_Tags)
    attachments: list[_AttachmentDraft] = field(default_factory=list)
    maybe_open: list[_AttachmentDraft] = field(default_factory=list)
    """Those that had no end when they were last looked at, in their order."""
    callers: set[str] = field(default_factory=set)
    """The instances whose own role assigned or released its addresses."""


class _InstanceDraft(Struct, kw_only=True):
    """An instance under construction."""

    instance: str
    account: str | None
    region: str | None
    vpc: str | None = None
    subnet: str | None = None
    type: str | None = None
    platform: str | None = None
    launched: Bound = UNKNOWN
    ended: Bound = OPEN
    alive: datetime | None = None
    tags: _Tags = field(default_factory=_Tags)
    maybe_open: list[_AttachmentDraft] = field(default_factory=list)
    """The attachments that had no end when they were last looked at."""


class Registry:
    """Interfaces and instances, built from events in order.

    ``actors`` are the callers by event key that STS events identify; ``disputed`` are the
    interfaces and instances whose owner is not certain; ``operators`` are (instance, user agent) of callers
    that call for other instances.

    ``deaths`` are the terminations that deleted an interface, by ENI: the logged termination of the instance
    that it was attached to with deleteOnTermination. ``associations`` are (ENI, instance) by association ID.
    """

    def __init__(
        self,
        actors: Mapping[str, Actor],
        disputed: AbstractSet[str] = frozenset(),
        operators: AbstractSet[tuple[str, str | None]] = frozenset(),
    ) -> None:
        self._actors = actors
        self._disputed = disputed
        self._operators = operators
        self.deaths: dict[str, Event] = {}
        self.associations: dict[str, tuple[str | None, str | None]] = {}
        self._interfaces: dict[str, _InterfaceDraft] = {}
        self._instances: dict[str, _InstanceDraft] = {}
        self._attachments: dict[str, _AttachmentDraft] = {}

    def read(self, event: Event) -> None:
        """Apply one event; failed calls change nothing."""
        if event.failure is not None:
            return
        is_sure = not event.disputed and not event.damaged
        for subject in event.subjects:
            self._read_properties(event, subject)
            if is_sure:
                self._read_life(event, subject)
            if event.effect in _ON_ADDRESSES:
                continue
            match event.effect:
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
        """Return every interface that an event names, by ENI ID."""
        return {
            eni: _finished(interface, self.deaths.get(eni), self._inferred(interface), eni in self._disputed)
            for eni, interface in self._interfaces.items()
        }

    def instances(self) -> dict[str, Instance]:
        """Return every instance that an event names, by ID."""
        return {
            name: Instance(
                instance=name,
                account=instance.account,
                region=instance.region,
                vpc=instance.vpc,
                subnet=instance.subnet,
                instance_type=instance.type,
                platform=instance.platform,
                tagged=tuple(instance.tags.tagged),
                launched=instance.launched,
                ended=instance.ended,
                alive=instance.alive,
            )
            for name, instance in self._instances.items()
        }

    def enis_by_attachment(self) -> dict[str, str]:
        """Return the ENI of each attachment ID, if the evidence connects the two."""
        return {name: attachment.eni for name, attachment in self._attachments.items()}

    def _interface(self, event: Event, eni: str) -> _InterfaceDraft:
        known = self._interfaces.get(eni)
        if known is None:
            known = self._interfaces[eni] = _InterfaceDraft(
                eni=eni, account=event.account, region=event.region
            )
        return known

    def _instance(self, event: Event, name: str) -> _InstanceDraft:
        known = self._instances.get(name)
        if known is None:
            known = self._instances[name] = _InstanceDraft(
                instance=name, account=event.account, region=event.region
            )
        return known

    def _read_properties(self, event: Event, subject: Subject) -> None:
        """Apply what a call of any kind may say: VPC, subnet, types, tags, description."""
        details = subject.details
        if subject.instance is not None:
            instance = self._instance(event, subject.instance)
            instance.type = instance.type or details.instance_type
            instance.platform = instance.platform or details.platform
            if subject.eni is None and details.tags:
                instance.tags.write(details.tags, event.time)
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        if subject.vpc is not None:
            interface.vpcs.add(subject.vpc)
        interface.subnet = interface.subnet or subject.subnet
        if interface.type in (None, _ANY_TYPE):
            interface.type = details.interface_type or interface.type
        interface.requester = interface.requester or details.requester
        if details.mark is not None:
            self._marked(event, details.mark, interface)
        if details.tags and event.effect is not Effect.LAUNCH:
            interface.tags.write(details.tags, event.time)

    def _marked(self, event: Event, mark: CniMark, interface: _InterfaceDraft) -> None:
        """Add a mark of the CNI: anybody can write one, so it counts only from its creator, at creation."""
        actor = self._actors.get(event.key, event.actor)
        if event.effect is Effect.CREATE and may_mark(actor, mark.instance):
            interface.mark, interface.marked = mark, event.time
        elif not interface.claimed or interface.claimed[-1].mark.instance != mark.instance:
            interface.claimed.append(ClaimedMark(mark, event.time))

    def _read_life(self, event: Event, subject: Subject) -> None:
        """Note which interfaces and instances a successful call shows to exist."""
        eni, effect = subject.eni, event.effect
        if eni is None and (name := subject.attachment or subject.details.association) is not None:
            attachment = self._attachments.get(name)
            eni = attachment.eni if attachment is not None else None
        if eni is not None:
            self._interface(event, eni).alive = event.time
        if subject.instance is not None and _shows_running(effect, subject):
            self._instance(event, subject.instance).alive = event.time
        actor = self._actors.get(event.key, event.actor)
        caller = actor.instance  # this does not show that it exists: its credentials outlive it by hours
        is_own = effect in OWN_INTERFACE_EFFECTS and subject.details.resource is None
        if caller is not None and eni is not None and is_own:
            is_operator = (caller, actor.agent.raw) in self._operators
            self._interface(event, eni).callers.update(() if is_operator else (caller,))

    def _launch(self, event: Event, subject: Subject) -> None:
        if subject.instance is None:
            return
        instance = self._instance(event, subject.instance)
        instance.vpc = instance.vpc or subject.vpc
        instance.subnet = instance.subnet or subject.subnet
        instance.tags.write(subject.details.tags, event.time)
        instance.launched = Bound(event.time, Basis.OBSERVED, event)
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        if not subject.details.existing:
            interface.created = Bound(event.time, Basis.OBSERVED, event)
            interface.launched_first = subject.details.device_index in (0, None)
        self._attached(event, subject, instance, how=InstanceBasis.LAUNCH)

    def _create(self, event: Event, subject: Subject) -> None:
        """Note how an interface was created; the call for its ``resource`` says less than its own does."""
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        details = subject.details
        if details.resource is None or interface.created.event is None:
            interface.created = Bound(event.time, Basis.OBSERVED, event)
            interface.creator = self._actors.get(event.key, event.actor)
            interface.description = details.description
            trunk = dict(details.tags).get(TRUNK_TAG)
            creator = interface.creator
            if trunk is not None and (is_controller(creator) or is_of_eks(creator)):
                self._attach_by_tag(event, interface, trunk)

    def _attach_by_tag(self, event: Event, interface: _InterfaceDraft, trunk: str) -> None:
        """Attach a branch to the instance of the trunk that its tag names.

        The VPC resource controller associates the two from an account of AWS, which the trail of the
        customer's account may not record (pkg/aws/ec2/api/wrapper.go).
        """
        attachment = _AttachmentDraft(eni=interface.eni, attachment=None, how=InstanceBasis.TAG)
        on_instance = self._attachment_of_trunk(trunk) if self._is_by_one_role(interface, trunk) else None
        if on_instance is not None:
            attachment.instance = on_instance.instance
            on_instance.branches.append(attachment)
        attachment.start = Bound(event.time, Basis.IMPLIED, event)
        _add(interface, attachment)
        if attachment.instance is not None:
            self._instance(event, attachment.instance).maybe_open.append(attachment)

    def _is_by_one_role(self, interface: _InterfaceDraft, trunk: str) -> bool:
        """Return whether a branch and its trunk may have one creator: anybody can name a trunk in a tag."""
        known = self._interfaces.get(trunk)
        creator = known.creator if known is not None else None
        return creator is None or (
            interface.creator is not None and creator.role_arn == interface.creator.role_arn
        )

    def _attachment_of_trunk(self, trunk: str) -> _AttachmentDraft | None:
        known = self._interfaces.get(trunk)
        attachments = _still_open(known) if known is not None else ()
        return attachments[-1] if attachments else None

    def _attach(self, event: Event, subject: Subject) -> None:
        if subject.eni is None:
            return
        if subject.details.trunk is not None:
            self._attach_branch(event, subject)
        elif subject.instance is not None:
            instance = self._instance(event, subject.instance)
            self._attached(event, subject, instance, how=InstanceBasis.ATTACH)

    def _attached(self, event: Event, subject: Subject, instance: _InstanceDraft, how: InstanceBasis) -> None:
        assert subject.eni is not None
        self._survives(subject.eni)
        interface = self._interface(event, subject.eni)
        known = self._attachments.get(subject.attachment) if subject.attachment else None
        if known is not None and known.end is not OPEN:
            known = None  # an ended attachment does not start again: this is another one
        attachment = known or _AttachmentDraft(eni=subject.eni, attachment=subject.attachment)
        attachment.instance, attachment.how = instance.instance, how
        attachment.device_index = subject.details.device_index
        attachment.start = Bound(event.time, Basis.OBSERVED, event)
        if how is InstanceBasis.LAUNCH:
            attachment.dies_with_instance = subject.details.delete_on_termination
        elif attachment.dies_with_instance is None:
            attachment.dies_with_instance = False
        _end_earlier(interface, attachment, event)
        if known is None:
            _add(interface, attachment)
        instance.maybe_open.append(attachment)
        if subject.attachment is not None:
            self._attachments[subject.attachment] = attachment

    def _attach_branch(self, event: Event, subject: Subject) -> None:
        """Attach a branch interface to the instance that its trunk is attached to."""
        assert subject.eni is not None
        details = subject.details
        assert details.trunk is not None
        trunk, interface = self._interface(event, details.trunk), self._interface(event, subject.eni)
        trunk.type, interface.type = trunk.type or "trunk", "branch"
        on_instance = self._attachment_of_trunk(details.trunk)
        instance = on_instance.instance if on_instance is not None else None
        if details.association is not None:
            self.associations[details.association] = (subject.eni, instance)
        attachment = next((one for one in _still_open(interface) if _is_inferred(one, instance)), None)
        if attachment is None:
            attachment = _AttachmentDraft(eni=subject.eni, attachment=None, instance=instance)
            _add(interface, attachment)
            if instance is not None:
                self._instance(event, instance).maybe_open.append(attachment)
        if on_instance is not None:
            on_instance.branches.append(attachment)
        attachment.attachment, attachment.how = details.association, InstanceBasis.ATTACH
        attachment.start = Bound(event.time, Basis.OBSERVED, event)
        _end_earlier(interface, attachment, event)
        if details.association is not None:
            self._attachments[details.association] = attachment

    def _detach(self, event: Event, subject: Subject) -> None:
        attachment = self._attachments.get(subject.attachment or subject.details.association or "")
        if attachment is not None:
            self._survives(attachment.eni)
            attachment.end = Bound(event.time, Basis.OBSERVED, event)
            _end_branches(attachment, event)

    def _modify(self, event: Event, subject: Subject) -> None:
        details = subject.details
        if details.association is not None and (subject.eni or subject.instance):
            self.associations[details.association] = (subject.eni, subject.instance)
        if subject.attachment is None or subject.eni is None:
            return
        attachment = self._attachments.get(subject.attachment)
        if attachment is None:
            attachment = self._attachments[subject.attachment] = _AttachmentDraft(
                eni=subject.eni, attachment=subject.attachment
            )
            _add(self._interface(event, subject.eni), attachment)
        if details.delete_on_termination is not None:
            attachment.dies_with_instance = details.delete_on_termination

    def _delete(self, event: Event, subject: Subject) -> None:
        if subject.eni is None:
            return
        interface = self._interface(event, subject.eni)
        interface.deleted = Bound(event.time, Basis.OBSERVED, event)
        for attachment in _still_open(interface):
            attachment.end = Bound(event.time, Basis.IMPLIED, event)
            _end_branches(attachment, event)

    def _terminate(self, event: Event, subject: Subject) -> None:
        if subject.instance is None:
            return
        instance = self._instance(event, subject.instance)
        if instance.ended is OPEN:
            ended_now = subject.details.previous_state in ALIVE
            instance.ended = Bound(event.time, Basis.OBSERVED if ended_now else Basis.IMPLIED, event)
        for attachment in _still_open(instance):
            attachment.end = Bound(event.time, Basis.IMPLIED, event)
            if attachment.dies_with_instance:
                self.deaths.setdefault(attachment.eni, event)

    def _survives(self, eni: str) -> None:
        """Note that an interface outlives its instance: a call moved it after the termination.

        To terminate an instance takes minutes, and only what is still attached is deleted at the end.
        """
        self.deaths.pop(eni, None)

    def _inferred(self, interface: _InterfaceDraft) -> list[_AttachmentDraft]:
        """Infer the attachment of an interface from before the evidence: to the only node that called on it.

        A node calls on its own interfaces only (pkg/awsutils/awsutils.go in amazon-vpc-cni-k8s).
        """
        is_known = any(known.instance is not None for known in interface.attachments)
        if is_known or interface.created.event is not None or len(interface.callers) != 1:
            return []
        instance, how = next(iter(interface.callers)), InstanceBasis.SESSION
        attachments = interface.attachments or [_AttachmentDraft(eni=interface.eni, attachment=None)]
        for attachment in attachments:
            attachment.instance, attachment.how = instance, how
        node = self._instances.get(instance)
        if node is None:
            node = self._instances[instance] = _InstanceDraft(
                instance=instance, account=interface.account, region=interface.region
            )
        first, last = attachments[0], attachments[-1]
        if first.start is UNKNOWN:
            first.start = Bound(node.launched.time, Basis.UNKNOWN)
        if last.end is OPEN and (over := _first_end(node.ended, interface.deleted)) is not None:
            last.end = Bound(over.time, Basis.IMPLIED, over.event)
        return [] if interface.attachments else attachments


def _shows_running(effect: Effect, subject: Subject) -> bool:
    """Return whether a call shows that its instance is not terminated."""
    if effect is Effect.TERMINATE:
        return subject.details.previous_state in ALIVE
    return effect is not Effect.MODIFY


def _is_inferred(attachment: _AttachmentDraft, instance: str | None) -> bool:
    """Return whether only a tag shows an attachment that a call on the same instance confirms."""
    return attachment.how is InstanceBasis.TAG and attachment.end is OPEN and attachment.instance == instance


def _first_end(*bounds: Bound) -> Bound | None:
    """Return the earliest bound that has a time; None if none has."""
    known = [bound for bound in bounds if bound.time is not None]
    return min(known, key=lambda bound: bound.time or LAST, default=None)


def _add(interface: _InterfaceDraft, attachment: _AttachmentDraft) -> None:
    interface.attachments.append(attachment)
    interface.maybe_open.append(attachment)


def _still_open(resource: _InterfaceDraft | _InstanceDraft) -> Sequence[_AttachmentDraft]:
    """Return the attachments of an interface or instance that have no end, in their order."""
    resource.maybe_open = [attachment for attachment in resource.maybe_open if attachment.end is OPEN]
    return resource.maybe_open


def _end_earlier(interface: _InterfaceDraft, newer: _AttachmentDraft, event: Event) -> None:
    """End open attachments of an interface: it is on one instance at a time."""
    for attachment in _still_open(interface):
        if attachment is not newer:
            attachment.end = Bound(event.time, Basis.IMPLIED, event)
            _end_branches(attachment, event)


def _end_branches(trunk: _AttachmentDraft, event: Event) -> None:
    """End the open attachments of branches that go through a trunk: it leaves its instance with them."""
    for branch in trunk.branches:
        if branch.end is OPEN:
            branch.end = Bound(event.time, Basis.IMPLIED, event)
    trunk.branches.clear()


def _finished(
    interface: _InterfaceDraft, death: Event | None, inferred: list[_AttachmentDraft], disputed: bool
) -> Interface:
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
            launched_first=interface.launched_first,
            created_with_mark=interface.mark is not None,
            description=interface.description,
            interface_type=interface.type,
            requester=interface.requester,
            creator=interface.creator,
        ),
        created=interface.created,
        deleted=deleted,
        mark=interface.mark,
        marked=interface.marked,
        tagged=tuple(interface.tags.tagged),
        claimed=tuple(interface.claimed),
        alive=interface.alive,
        disputed_owner=disputed,
        attachments=Attachments(
            Attachment(
                eni=attachment.eni,
                instance=attachment.instance,
                device_index=attachment.device_index,
                attachment=attachment.attachment,
                start=attachment.start,
                end=attachment.end,
                how=attachment.how,
                dies_with_instance=bool(attachment.dies_with_instance),
            )
            for attachment in [*interface.attachments, *inferred]
        ),
    )
