"""Who manages the addresses of each ENI and node.

What a manager writes on an ENI at its creation counts, and what it calls; what somebody writes later
does not. Sources: the tags and descriptions in pkg/awsutils of amazon-vpc-cni-k8s, pkg/config of
amazon-vpc-resource-controller-k8s, pkg/aws/eni/node.go of Cilium and cloud-network-config-controller of
OpenShift; https://docs.aws.amazon.com/eks/latest/userguide/auto-networking.html for EKS Auto Mode.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from cnitrail.history.kinds import SERVICE_KINDS
from cnitrail.model import (
    AccountRegion,
    Actor,
    Effect,
    Event,
    Instance,
    Interface,
    Management,
    ManagementBasis,
    Manager,
    Strength,
    Subject,
)
from cnitrail.model.callers import (
    is_controller,
    is_of_eks,
    manager_of_caller,
    may_be_cilium,
    may_mark,
    role_or_user_of,
    service_of,
)
from cnitrail.model.manager import PLUGINS

NO_MANAGE = "node.k8s.amazonaws.com/no_manage"
"""The tag that makes the VPC CNI leave an ENI alone (pkg/awsutils/awsutils.go in amazon-vpc-cni-k8s)."""

_AUTO_MODE_TAGS = frozenset(("eks:eks-cluster-name", "eks:kubernetes-cni-node-name"))
_KARPENTER_TAGS = ("karpenter.sh/nodepool", "karpenter.sh/provisioner-name")
_ORCHESTRATORS = (
    *("cloudformation", "servicecatalog", "ssm", "states", "scheduler", "events"),
    *("codedeploy", "codepipeline"),
)
"""Services that call what their users order, by the first part of their DNS name."""

_OF_CONTROLLER = ("trunk", "branch")
_CREATE, _MODIFY = Effect.CREATE, Effect.MODIFY
_SHOWING = (Effect.ASSIGN, Effect.UNASSIGN, Effect.CREATE)
_RANKS = {manager: rank for rank, manager in enumerate(Manager)}
_Cluster = tuple[AccountRegion, str]


class Managers(Struct, frozen=True):
    """The management of ENIs and instances, by ID; those of unknown management are left out."""

    enis: Mapping[str, Management]
    nodes: Mapping[str, Management]


def managers_of(
    events: Iterable[Event],
    actors: Mapping[str, Actor],
    interfaces: Mapping[str, Interface],
    instances: Mapping[str, Instance],
) -> Managers:
    """Return who manages ENIs and nodes, from the events that count and their completed callers."""
    calls = _Calls(actors, interfaces)
    for event in events:
        calls.read(event)
    enis = {
        eni: found
        for eni, interface in interfaces.items()
        if (found := calls.manager_of(interface)) is not None
    }
    on_node = _enis_by_node(interfaces)
    seen: dict[str, list[Management]] = defaultdict(list)
    for name, held in on_node.items():
        of_pods = (eni for eni in held if interfaces[eni].kind not in _OF_CONTROLLER)
        seen[name] += [enis[eni] for eni in of_pods if eni in enis]
    for name, tried in calls.nodes.items():
        seen[name] += tried
    nodes = {name: found for name, shown in seen.items() if (found := _of_node(shown)) is not None}
    _inherit(nodes, instances)
    for name, claimed in calls.claims.items():
        if name not in nodes or nodes[name].manager is Manager.KARPENTER:
            nodes[name] = claimed
    _inherit(nodes, instances)
    for name, managed in nodes.items():
        basis = ManagementBasis.NODE if managed.is_of_node else managed.basis
        by_node = Management(managed.manager, basis, managed.strength)
        for eni in on_node.get(name, []):
            known = enis.get(eni)
            is_open = known is None and interfaces[eni].kind == "node-primary"
            if is_open or (known is not None and _is_overruled(known, by_node)):
                enis[eni] = by_node
    return Managers(enis, nodes)


def _inherit(nodes: dict[str, Management], instances: Mapping[str, Instance]) -> None:
    """Add the nodes of which nothing shows a manager, as the others of their cluster are managed."""
    clusters = _by_cluster(nodes, instances)
    for name, instance in instances.items():
        known, found = nodes.get(name), _inherited(instance, clusters)
        if found is not None and (known is None or _is_named_only(known, found)):
            nodes[name] = found


def _is_named_only(known: Management, other: Management) -> bool:
    """Return whether a node is OpenShift's only by the name of a caller, in a cluster of the VPC CNI."""
    return known.manager is Manager.OPENSHIFT and other.manager is Manager.VPC_CNI


def _is_overruled(known: Management, other: Management) -> bool:
    """Return whether a manager is known only by a name that its caller may have chosen, and is not alone.

    The VPC CNI manages every ENI of its nodes that has no tag against it, whatever others are named.
    """
    by_name = known.basis is ManagementBasis.CALLS and known.strength is Strength.CLAIMED
    return by_name and other.manager is Manager.VPC_CNI


def _of_eni(created: Management | None, called: Management | None) -> Management | None:
    """Return who manages an ENI: as it was created, unless that is only claimed and the VPC CNI uses it."""
    is_claimed = created is None or created.strength is Strength.CLAIMED
    is_used = called is not None and called.manager is Manager.VPC_CNI
    return called if created is None or (is_claimed and is_used) else created


def _at_creation(interface: Interface, actors: Mapping[str, Actor]) -> Management | None:
    """Return who manages an ENI by its kind, or by what was written on it when it was created."""
    if interface.kind in SERVICE_KINDS:
        return Management(Manager.AWS_SERVICE, ManagementBasis.CREATOR, Strength.PROVEN, interface.kind)
    event = interface.created.event
    creator = actors[event.key] if event is not None and event.effect is Effect.CREATE else None
    if interface.kind in _OF_CONTROLLER:
        return _of_trunk(creator)
    if event is None or creator is None:
        return None
    if interface.kind == "cni" and interface.mark is not None:
        strength = Strength.OBSERVED if creator.ipamd else Strength.CLAIMED
        return Management(Manager.VPC_CNI, ManagementBasis(interface.mark.basis), strength)
    if interface.kind == "cilium":
        known = creator.service_account is not None
        return Management(
            Manager.CILIUM, ManagementBasis.DESCRIPTION, Strength.OBSERVED if known else Strength.CLAIMED
        )
    if creator.ipamd is not None:
        return Management(Manager.VPC_CNI, ManagementBasis.CREATOR, Strength.CLAIMED)
    subject = next((subject for subject in event.subjects if subject.eni == interface.eni), None)
    return _by_tags(subject, creator) or _of_service(creator)


def _of_trunk(creator: Actor | None) -> Management:
    """Return who manages a trunk or a branch: ECS has them as well, and anybody may create one."""
    service = _of_service(creator) if creator is not None and not is_of_eks(creator) else None
    is_known = creator is None or is_controller(creator) or is_of_eks(creator)
    strength = Strength.OBSERVED if is_known else Strength.CLAIMED
    return service or Management(Manager.RESOURCE_CONTROLLER, ManagementBasis.INTERFACE_TYPE, strength)


def _of_service(creator: Actor) -> Management | None:
    """Return the AWS service that created an ENI for itself; None if it only did what somebody ordered."""
    service = service_of(creator)
    if service is None or service.partition(".")[0] in _ORCHESTRATORS:
        return None
    return Management(Manager.AWS_SERVICE, ManagementBasis.CREATOR, Strength.PROVEN, service)


def _by_tags(subject: Subject | None, creator: Actor) -> Management | None:
    """Return who manages an ENI by the tags of its creation."""
    tags = dict(subject.details.tags) if subject is not None else {}
    if is_of_eks(creator):
        return Management(Manager.AUTO_MODE, ManagementBasis.CREATOR, Strength.PROVEN)
    if tags.keys() >= _AUTO_MODE_TAGS:
        return Management(Manager.AUTO_MODE, ManagementBasis.TAG, Strength.CLAIMED)
    if any(key.startswith("io.cilium/") for key in tags):
        return Management(Manager.CILIUM, ManagementBasis.TAG, Strength.CLAIMED)
    if tags.get(NO_MANAGE) == "true":
        return Management(Manager.NOT_KUBERNETES, ManagementBasis.TAG, Strength.CLAIMED)
    return None


class _Calls:
    """What the calls of managers show: whose each ENI is, and for which nodes they tried without success.

    Of several managers of an ENI, the first in the order of ``Manager`` counts.
    """

    def __init__(self, actors: Mapping[str, Actor], interfaces: Mapping[str, Interface]) -> None:
        self._actors = actors
        self._interfaces = interfaces
        self.enis: dict[str, Management] = {}
        self.nodes: dict[str, list[Management]] = defaultdict(list)
        self.claims: dict[str, Management] = {}
        """What only descriptions of requests say; it counts only for nodes of which nothing else is known."""
        self._left_alone: dict[str, set[str | None]] = defaultdict(set)
        """Who wrote the tag ``no_manage`` on each ENI after its creation."""
        self._callers: dict[int, Management | None] = {}
        """What each caller manages addresses for, by the identity of its value: many calls share one."""

    def manager_of(self, interface: Interface) -> Management | None:
        """Return who manages an ENI; None if nothing shows it."""
        found = _of_eni(_at_creation(interface, self._actors), self.enis.get(interface.eni))
        return found or self._of_tagger(interface)

    def _of_tagger(self, interface: Interface) -> Management | None:
        """Return that an ENI is its creator's own, who wrote so in a later call, as scripts do."""
        event, taggers = interface.created.event, self._left_alone.get(interface.eni)
        if event is None or taggers is None or role_or_user_of(self._actors[event.key]) not in taggers:
            return None
        return Management(Manager.NOT_KUBERNETES, ManagementBasis.TAG, Strength.CLAIMED)

    def read(self, event: Event) -> None:
        """Note the manager behind a call, if it is one."""
        effect = event.effect
        if effect is _MODIFY and event.failure is None:
            for subject in event.subjects:
                if subject.eni is not None and (NO_MANAGE, "true") in subject.details.tags:
                    self._left_alone[subject.eni].add(role_or_user_of(self._actors[event.key]))
        if effect not in _SHOWING:
            return
        caller = self._caller(self._actors[event.key])
        for subject in event.subjects:
            if caller is not None and event.failure is None and effect is not _CREATE:
                self._note(subject.eni, caller)
            elif event.failure is not None or subject.details.served is not None:
                self._tried(event, subject, caller)

    def _caller(self, actor: Actor) -> Management | None:
        if id(actor) not in self._callers:
            self._callers[id(actor)] = _of_caller(actor)
        return self._callers[id(actor)]

    def _note(self, eni: str | None, caller: Management) -> None:
        known = self.enis.get(eni or "")
        if eni is not None and (known is None or _RANKS[caller.manager] < _RANKS[known.manager]):
            self.enis[eni] = caller

    def _tried(self, event: Event, subject: Subject, caller: Management | None) -> None:
        """Note for which node a call was made that failed, or whose ENI may never be attached."""
        actor, interface = self._actors[event.key], self._interfaces.get(subject.eni or "")
        details = subject.details
        attachment = interface.attachment_at(event.time) if interface is not None else None
        if details.served is not None and caller is not None and caller.manager is Manager.CILIUM:
            self._tried_for(details.served, caller)
        elif details.served is not None and may_be_cilium(actor):
            self.claims[details.served] = Management(
                Manager.CILIUM, ManagementBasis.DESCRIPTION, Strength.CLAIMED
            )
        elif caller is None:
            return
        elif details.mark is not None and may_mark(actor, details.mark.instance):
            self._tried_for(details.mark.instance, caller)
        elif attachment is not None and attachment.instance is not None:
            self._tried_for(attachment.instance, caller)
        elif interface is None and actor.ipamd is not None and actor.instance is not None:
            self._tried_for(actor.instance, caller)

    def _tried_for(self, instance: str, caller: Management) -> None:
        if caller not in self.nodes[instance]:
            self.nodes[instance].append(caller)


def _of_caller(actor: Actor) -> Management | None:
    """Return what a caller manages addresses for; None if it is no manager, as far as its calls show."""
    manager = manager_of_caller(actor)
    return Management(manager, ManagementBasis.CALLS, _STRENGTHS[manager]) if manager is not None else None


_STRENGTHS = {
    Manager.VPC_CNI: Strength.OBSERVED,
    Manager.RESOURCE_CONTROLLER: Strength.CLAIMED,
    Manager.CILIUM: Strength.OBSERVED,
    Manager.AUTO_MODE: Strength.PROVEN,
    Manager.OPENSHIFT: Strength.CLAIMED,
}
"""How well a record shows that its caller is a manager."""


def _enis_by_node(interfaces: Mapping[str, Interface]) -> dict[str, list[str]]:
    """Return the ENIs that were ever on each instance, or that the VPC CNI created for it."""
    by_node: dict[str, list[str]] = defaultdict(list)
    for eni, interface in interfaces.items():
        instances = {attachment.instance for attachment in interface.attachments}
        if interface.mark is not None:
            instances.add(interface.mark.instance)
        for instance in instances:
            if instance is not None:
                by_node[instance].append(eni)
    return by_node


def _of_node(shown: Iterable[Management]) -> Management | None:
    """Return who manages the addresses for pods on a node, from what its ENIs and calls for it show."""
    found = [managed for managed in shown if managed.manager in PLUGINS]
    managers = {managed.manager for managed in found}
    if Manager.VPC_CNI in managers:
        managers = {Manager.VPC_CNI}
    return next(managed for managed in found if managed.manager in managers) if len(managers) == 1 else None


def _clusters_of(instance: Instance) -> Collection[_Cluster]:
    """Return the cluster that an instance is in; none if its tags name none, or several."""
    names = {name for tagged in instance.tagged for name in tagged.clusters}
    return [((instance.account, instance.region), name) for name in names] if len(names) == 1 else ()


def _by_cluster(
    nodes: Mapping[str, Management], instances: Mapping[str, Instance]
) -> dict[_Cluster, set[Manager]]:
    """Return what manages the nodes of each cluster; what is only claimed of some counts for no others.

    That is, in a cluster of the VPC CNI: anybody can create an ENI that looks like another plugin's.
    """
    found: dict[_Cluster, set[Management]] = defaultdict(set)
    for name, managed in nodes.items():
        for cluster in _clusters_of(instances[name]) if name in instances else ():
            found[cluster].add(managed)
    managers: dict[_Cluster, set[Manager]] = {}
    for cluster, shown in found.items():
        is_of_cni = any(managed.manager is Manager.VPC_CNI for managed in shown)
        managers[cluster] = {
            managed.manager
            for managed in shown
            if managed.manager is Manager.VPC_CNI or not is_of_cni or managed.strength is not Strength.CLAIMED
        }
    return managers


def _inherited(instance: Instance, clusters: Mapping[_Cluster, set[Manager]]) -> Management | None:
    """Return who manages a node that no call shows a manager of: as for the other nodes of its cluster.

    The VPC CNI does not run on Windows: in its clusters the VPC resource controller manages Windows nodes
    (https://docs.aws.amazon.com/eks/latest/userguide/windows-support.html).
    """
    for cluster in _clusters_of(instance):
        if instance.is_windows:
            of_eks = clusters.get(cluster, set()) & {Manager.VPC_CNI, Manager.RESOURCE_CONTROLLER}
            windows = Management(Manager.RESOURCE_CONTROLLER, ManagementBasis.PLATFORM, Strength.CLAIMED)
            return windows if of_eks else _of_launch(instance)
        managers = clusters.get(cluster, set()) - {Manager.RESOURCE_CONTROLLER}
        if managers:
            is_one = len(managers) == 1
            return (
                Management(next(iter(managers)), ManagementBasis.CLUSTER, Strength.CLAIMED)
                if is_one
                else None
            )
    return _of_launch(instance)


def may_inherit(instance: Instance | None, known: Management) -> bool:
    """Return whether other nodes of a cluster may change who is known to manage an instance."""
    if instance is None or not _clusters_of(instance):
        return False
    is_sure = known.manager is Manager.VPC_CNI or known.strength not in (None, Strength.CLAIMED)
    return known.basis is ManagementBasis.CLUSTER or not is_sure


def _of_launch(instance: Instance) -> Management | None:
    """Return Karpenter as the manager of a node if it launched the node, as its tags say."""
    event = instance.launched.event
    subjects = event.subjects if event is not None else ()
    tags = {
        key
        for subject in subjects
        if subject.instance == instance.instance
        for key, _ in subject.details.tags
    }
    return (
        Management(Manager.KARPENTER, ManagementBasis.TAG, Strength.CLAIMED)
        if tags & {*_KARPENTER_TAGS}
        else None
    )
