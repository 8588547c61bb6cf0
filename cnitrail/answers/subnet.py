"""Subnet census: who holds the IPv4 addresses of a subnet at a time, and what could be reclaimed.

It counts what ``state`` shows for the subnet, each address once. IPv6 addresses are left out: a subnet
does not run out of them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct

from cnitrail.answers.leases import doubt_of
from cnitrail.answers.state import held_at, interface_state
from cnitrail.model import (
    AccountRegion,
    Basis,
    Held,
    History,
    HoldingKind,
    Interface,
    Lease,
    LiveInterface,
    Manager,
    Present,
    StateEntry,
    Subnet,
)
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.model.subnet import (
    SERVICE_USES,
    AddressUse,
    LiveSubnet,
    ReclaimableEni,
    SubnetCensus,
    SubnetGroup,
    SubnetLive,
    SubnetNode,
    assignable,
)
from cnitrail.text import short_list
from cnitrail.timeclamp import end_of_second

_IDLE = timedelta(minutes=5)
"""Time without an instance after which an ENI is not only about to be attached or deleted: the age at which
the VPC CNI's own cleanup takes it for a leak (pkg/awsutils/awsutils.go in amazon-vpc-cni-k8s)."""

_FOR_PODS = (Manager.VPC_CNI, Manager.RESOURCE_CONTROLLER, Manager.CILIUM, Manager.AUTO_MODE)
_NOT_OF_NODES = (Manager.AWS_SERVICE, Manager.NOT_KUBERNETES)
_IN_CLUSTER = (AddressUse.NODE, AddressUse.POD, AddressUse.NODE_OTHER, AddressUse.BRANCH)
_NAMED = 6
"""Holders that the summary names before it sums up the rest."""


class _HolderEni(Struct, frozen=True, kw_only=True):
    """An ENI of the subnet at the time, what it holds, and since when it is idle (attached to nothing)."""

    entry: StateEntry
    leases: tuple[Lease, ...]
    node: str | None
    cluster: str | None
    manager: Manager
    is_node: bool
    """Whether it is an ENI of a node, which its plugin may use for pods."""
    is_on_node: bool
    """Whether its instance is a node, whatever the ENI is for."""
    idle_since: datetime | None

    def use_of(self, kind: HoldingKind) -> AddressUse:
        """Return what an address of the ENI is used for."""
        entry = self.entry
        if entry.management.is_service:
            return SERVICE_USES.get(entry.eni_kind, AddressUse.SERVICE)
        if self.idle_since is not None:
            return AddressUse.NOT_ATTACHED
        if entry.eni_kind == "branch":
            return AddressUse.BRANCH
        if kind is HoldingKind.PRIMARY and self.is_node:
            return AddressUse.NODE
        if entry.management.manager in _FOR_PODS:
            return AddressUse.POD
        if self.is_on_node:
            return AddressUse.NODE_OTHER
        return AddressUse.INSTANCE if entry.attached or entry.instance else AddressUse.OTHER


_GroupKey = tuple[AddressUse, str | None, str | None, Manager, str | None]


class _Claim(Struct):
    """An address, its holder, and whether it may not have been held at the time."""

    holder: _HolderEni
    kind: HoldingKind
    uncertain: bool

    @property
    def key(self) -> _GroupKey:
        """Return the group that the address counts in."""
        holder = self.holder
        service = holder.entry.management.service
        return self.holder.use_of(self.kind), holder.entry.account, holder.cluster, holder.manager, service


class _Listed:
    """What EC2 lists: a subnet, which has a number of addresses, and ENIs; None for what was not listed."""

    def __init__(
        self, subnet: str, live: LiveSubnet | None, present: Present | None, size: int | None
    ) -> None:
        self.available = live.available if live is not None else None
        self.used = size - self.available if size is not None and self.available is not None else None
        self._present = present
        everything = present.interfaces.values() if present is not None else ()
        self.enis = {eni.eni: eni for eni in everything if eni.subnet == subnet}
        self.has_enis = present is not None
        self.was_asked = live is not None or present is not None
        # The owner of a shared subnet sees all ENIs in it
        # (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing-service-behavior.html).
        self._owner = (live.account, live.region) if live is not None else None
        # A saved list may be of other subnets: it says nothing of one in which it has no ENI.
        self._is_of_subnet = bool(self.enis) or self.used == 0

    def lacks(self, entry: StateEntry) -> bool:
        """Return whether an ENI does not exist in EC2: it is not in a list that has all of its place."""
        present = self._present
        if present is None or not self._is_of_subnet or entry.eni in present.interfaces:
            return False
        return not present.whole.isdisjoint({(entry.account, entry.region), self._owner})

    def is_idle(self, entry: StateEntry) -> bool:
        """Return whether an ENI may still be attached to nothing: EC2 neither lacks nor attaches it."""
        eni = self.enis.get(entry.eni)
        return not self.lacks(entry) and (eni is None or eni.attachment is None)


class SubnetIndex:
    """The ENIs and leases of a history by subnet, so that a census reads those of one subnet only."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._enis: dict[str, list[Interface]] = defaultdict(list)
        self._leases: dict[str, list[Lease]] = defaultdict(list)
        for interface in history.interfaces.values():
            if interface.subnet is not None:
                self._enis[interface.subnet].append(interface)
        for lease in history.leases:
            self._leases[lease.eni].append(lease)

    def knows(self, subnet: str) -> bool:
        """Return whether an event shows an ENI in a subnet, or its creation."""
        return subnet in self._enis or subnet in self._history.subnets

    def place(self, subnet: str) -> AccountRegion:
        """Return the account and Region of a subnet; None for what the evidence does not show."""
        known = self._described(subnet)
        return known.account, known.region

    def census(
        self,
        subnet: str,
        at: datetime,
        live: LiveSubnet | None = None,
        present: Present | None = None,
    ) -> SubnetCensus:
        """Return who holds the IPv4 addresses of a subnet at the end of a second (aware, UTC).

        ``live`` is the subnet as EC2 describes it, whose block counts if no event shows one; ``present`` are
        the ENIs that EC2 lists. Both are None if EC2 was not asked.
        """
        described = self._described(subnet)
        cidr = described.cidr or (live.cidr if live is not None else None)
        holders = list(self._holders(subnet, at))
        claims = _claims(holders, at)
        seen, uncertain = len(claims), sum(claim.uncertain for claim in claims.values())
        is_ipv6_only = cidr is None and not seen and subnet in self._history.subnets
        size = assignable(cidr) if cidr is not None else 0 if is_ipv6_only else None
        groups = tuple(_groups(claims.values()))
        unaccounted = size - seen if size is not None else None
        listed = _Listed(subnet, live, present, size)
        return SubnetCensus(
            subnet=subnet,
            account=described.account or (live.account if live is not None else None),
            region=described.region or (live.region if live is not None else None),
            vpc=described.vpc or (live.vpc if live is not None else None),
            cidr=cidr,
            at=at,
            size=size,
            seen=seen,
            uncertain=uncertain,
            unaccounted=unaccounted,
            groups=groups,
            nodes=tuple(_nodes(claims.values())),
            reclaimable=tuple(_reclaimable(claims.values(), listed)),
            reasons=tuple(
                _reasons(groups, uncertain, unaccounted, are_pods_known=self._are_pods_known(holders, at))
            ),
            live=_live(holders, claims.values(), listed),
        )

    def _are_pods_known(self, holders: Iterable[_HolderEni], at: datetime) -> bool:
        """Return whether the log of every node shows which of its addresses pods use at a time."""
        nodes = {holder.node for holder in holders if holder.node is not None}
        watched = {node.instance for node in self._history.pods.watched if node.span.includes(at)}
        return nodes <= watched

    def _described(self, subnet: str) -> Subnet:
        """Return a subnet as the call that created it shows it, or else as its ENIs do."""
        created = self._history.subnets.get(subnet)
        if created is not None:
            return created
        enis = self._enis.get(subnet, [])
        return Subnet(
            subnet=subnet,
            account=_only(eni.account for eni in enis),
            region=_only(eni.region for eni in enis),
            vpc=_only(eni.vpc for eni in enis),
            cidr=None,
        )

    def _holders(self, subnet: str, at: datetime) -> Iterator[_HolderEni]:
        history, end, enis = self._history, end_of_second(at), self._enis.get(subnet, ())
        leases = (lease for interface in enis for lease in self._leases[interface.eni])
        held = held_at(history, leases, end)
        for interface in enis:
            own = held.get(interface.eni, ())
            entry = interface_state(history, interface, own, end)
            if entry is None:
                continue
            node = entry.instance or history.last_instance_of(interface.eni, end)
            cluster = history.cluster_of(interface.eni, node, end).name
            of_node = history.manager_of_node(node).manager
            manager = entry.management.manager
            if manager is Manager.UNKNOWN:
                manager = of_node
            is_of_kubernetes = cluster is not None or of_node not in (Manager.UNKNOWN, *_NOT_OF_NODES)
            since = _idle_since(interface, at) if entry.attached is False else None
            is_node = manager not in _NOT_OF_NODES and (manager is not Manager.UNKNOWN or cluster is not None)
            is_idle = is_node and since is not None and at - since >= _IDLE
            yield _HolderEni(
                entry=entry,
                leases=tuple(own),
                node=node,
                cluster=cluster,
                manager=manager,
                is_node=is_node,
                is_on_node=entry.instance is not None and is_of_kubernetes,
                idle_since=since if is_idle else None,
            )


def _claims(holders: Iterable[_HolderEni], at: datetime) -> dict[int, _Claim]:
    """Return the holder of each IPv4 address. Of several, it is the one that got the address last."""
    held = [(lease, holder) for holder in holders for lease in holder.leases]
    held.sort(key=lambda pair: _start_order(pair[0]))
    claims: dict[int, _Claim] = {}
    for lease, holder in held:
        for address in _numbers(lease.held):
            before = claims.get(address)
            contested = before is not None and before.holder is not holder
            claims[address] = _Claim(holder, lease.kind, contested or _is_uncertain(lease, at))
    return claims


def summary(census: SubnetCensus) -> str:
    """Return who holds the addresses of a subnet as a sentence; empty if no event shows one."""
    if not census.seen:
        return ""
    shares: dict[str, int] = defaultdict(int)
    is_shared = len({group.account for group in census.groups} - {None}) > 1
    for group in census.groups:
        shares[_holder_name(group, name_account=is_shared)] += group.addresses
    ranked = sorted(shares.items(), key=lambda share: (-share[1], share[0]))
    named = [f"{name} {number:,}" for name, number in ranked[:_NAMED]]
    rest = sum(number for _, number in ranked[_NAMED:])
    listed = ", ".join([*named, *([f"others {rest:,}"] if rest else [])])
    whole = f" (of {census.size:,} in all)" if census.size is not None else ""
    seen = "address" if census.seen == 1 else "addresses"
    text = f"Of the {census.seen:,} {seen} seen in it{whole}: {listed}."
    return f"{text}{_idle_enis(census)}{_not_seen(census)}"


def _idle_enis(census: SubnetCensus) -> str:
    """Return which ENIs are attached to nothing, as a sentence with a space before it; empty if none are."""
    idle = sum(eni.addresses for eni in census.reclaimable)
    if not idle:
        return ""
    names = short_list(eni.eni for eni in census.reclaimable)
    verb = (
        "is attached to nothing and holds"
        if len(census.reclaimable) == 1
        else "are attached to nothing and hold"
    )
    return f" {names} {verb} {percent(idle, census.seen):.0f}%."


def _not_seen(census: SubnetCensus) -> str:
    """Return what a summary does not count, as a sentence with a space before it; empty if it counts all."""
    if census.unaccounted is None:
        return " IPs that were assigned before the evidence begins are not among them."
    if census.unaccounted <= 0:
        return ""
    others = "one was" if census.unaccounted == 1 else f"{census.unaccounted:,} were"
    return f" The other {others} free, or held by ENIs that no event mentions."


def percent(part: int, whole: int) -> float:
    """Return a share in percent, to one decimal."""
    return round(100 * part / whole, 1) if whole else 0.0


def _holder_name(group: SubnetGroup, *, name_account: bool) -> str:
    """Return what the summary calls the holder of a group: its cluster, or what the addresses are for."""
    account = f" ({group.account})" if name_account and group.account else ""
    if group.use not in _IN_CLUSTER:
        return group.use_name + account
    return (f"cluster {group.cluster}" if group.cluster else "nodes of unknown cluster") + account


def _only(values: Iterable[str | None]) -> str | None:
    """Return the one value that is known; None if there is none, or several."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def _idle_since(interface: Interface, at: datetime) -> datetime | None:
    """Return since when an ENI that is attached to nothing has been so; None if no event shows that."""
    last = interface.attachments.begun(at)
    return last.end.time if last is not None else interface.created.time


def _numbers(held: Held) -> range:
    """Return an IPv4 address, or the addresses of an IPv4 prefix, as numbers; none for IPv6."""
    if isinstance(held, IPv4Network):
        first = int(held.network_address)
        return range(first, first + held.num_addresses)
    return range(int(held), int(held) + 1) if isinstance(held, IPv4Address) else range(0)


def _start_order(lease: Lease) -> tuple[bool, datetime | None, str]:
    """Return the key that sorts leases by start; those of unknown start come first."""
    return lease.start.time is not None, lease.start.time, lease.eni


def _is_uncertain(lease: Lease, at: datetime) -> bool:
    """Return whether an address may not have been on its ENI at a time."""
    return lease.start.basis is not Basis.OBSERVED or doubt_of(lease, at) is not None


def _groups(claims: Iterable[_Claim]) -> list[SubnetGroup]:
    """Return the addresses by use, account, cluster and manager, the largest group first."""
    by_key: dict[_GroupKey, list[_Claim]] = defaultdict(list)
    total = 0
    for claim in claims:
        by_key[claim.key].append(claim)
        total += 1
    groups = [
        SubnetGroup(
            use=use,
            account=account,
            cluster=cluster,
            manager=manager,
            service=service,
            nodes=len({claim.holder.node for claim in same} - {None}),
            enis=len({claim.holder.entry.eni for claim in same}),
            addresses=len(same),
            share=percent(len(same), total),
            uncertain=sum(claim.uncertain for claim in same),
        )
        for (use, account, cluster, manager, service), same in by_key.items()
    ]
    groups.sort(key=lambda group: (-group.addresses, group.cluster or "~", group.use, group.account or "~"))
    return groups


def _nodes(claims: Iterable[_Claim]) -> list[SubnetNode]:
    """Return the addresses on each instance, the most first; not those of ENIs that left it."""
    by_node: dict[str, list[_HolderEni]] = defaultdict(list)
    for claim in claims:
        holder = claim.holder
        if holder.entry.instance is not None and holder.idle_since is None:
            by_node[holder.entry.instance].append(holder)
    nodes = [
        SubnetNode(
            instance=name,
            cluster=_only(holder.cluster for holder in holders),
            manager=holders[0].manager,
            enis=len({holder.entry.eni for holder in holders}),
            addresses=len(holders),
        )
        for name, holders in by_node.items()
    ]
    nodes.sort(key=lambda node: (-node.addresses, node.instance))
    return nodes


def _reclaimable(claims: Iterable[_Claim], listed: _Listed) -> list[ReclaimableEni]:
    """Return the ENIs of nodes that are attached to nothing, the most addresses first."""
    by_eni: dict[str, list[_HolderEni]] = defaultdict(list)
    for claim in claims:
        if claim.holder.idle_since is not None:
            by_eni[claim.holder.entry.eni].append(claim.holder)
    enis = [
        ReclaimableEni(
            eni=eni,
            eni_kind=holders[0].entry.eni_kind,
            cluster=holders[0].cluster,
            instance=holders[0].node,
            since=holders[0].idle_since,
            addresses=len(holders),
        )
        for eni, holders in by_eni.items()
        if listed.is_idle(holders[0].entry)
    ]
    enis.sort(key=lambda eni: (-eni.addresses, eni.eni))
    return enis


def _reasons(
    groups: Iterable[SubnetGroup], uncertain: int, unaccounted: int | None, *, are_pods_known: bool
) -> Iterator[Reason]:
    """Yield what a census leaves open."""
    if not are_pods_known and any(group.use is AddressUse.POD for group in groups):
        text = "CloudTrail does not show pods: warm IPs cannot be distinguished from those of pods."
        yield Reason(ReasonCode.WARM_POOL_UNKNOWN, text)
    if uncertain:
        were = "IP was" if uncertain == 1 else "IPs were"
        text = f"{uncertain:,} {were} perhaps not held at that time: their start or their ENI is not certain."
        yield Reason(ReasonCode.START_UNKNOWN, text)
    if unaccounted is not None and unaccounted < 0:
        text = "More addresses are seen than the subnet has: some were released without an event."
        yield Reason(ReasonCode.NO_RELEASE_SEEN, text)


def _live(holders: Collection[_HolderEni], claims: Collection[_Claim], listed: _Listed) -> SubnetLive | None:
    """Return what EC2 lists of a subnet beside its census; None if EC2 was not asked."""
    if not listed.was_asked:
        return None
    known = {holder.entry.eni for holder in holders}
    gone = [holder.entry.eni for holder in holders if listed.lacks(holder.entry)]
    still = [claim for claim in claims if not listed.lacks(claim.holder.entry)]
    return SubnetLive(
        available=listed.available,
        enis=len(listed.enis) if listed.has_enis else None,
        addresses=len(_listed_numbers(listed.enis.values())) if listed.has_enis else None,
        only_in_ec2=tuple(sorted(listed.enis.keys() - known)),
        only_in_cloudtrail=tuple(sorted(gone)),
        addresses_only_in_cloudtrail=len(claims) - len(still),
        unaccounted=listed.used - len(still) if listed.used is not None else None,
    )


def _listed_numbers(enis: Iterable[LiveInterface]) -> set[int]:
    """Return the IPv4 addresses of ENIs in EC2 as numbers."""
    return {number for eni in enis for holding in eni.addresses for number in _numbers(holding.held)}
