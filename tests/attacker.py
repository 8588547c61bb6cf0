"""An attacker in a simulated world who calls harmless APIs with any strings.

They call from inside the account and from outside, with any text that a caller can choose. The world
knows the truth: see ``simulator``. An attacker who writes to the bucket is in ``forger``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from callers import (
    STS,
    Caller,
    Irsa,
    Role,
    access_key,
    assumed_role,
    iam_user,
    node_session,
    on_behalf,
    role_user,
)
from calls import Call, tag_items
from cni import CNI_1_18, CNI_1_20, CNI_1_21, sdk_of
from simulator import (
    REGIONS,
    START,
    WINDOW,
    Attachment,
    Delivery,
    Eni,
    Holding,
    LogFile,
    Losses,
    Record,
    Refused,
    World,
    deliver,
    file_name,
    random_steps,
    second_of,
    spell,
    take,
    timestamp,
    uuids,
)

STRANGER = "999988887777"
"""An account that shares nothing with those of the worlds."""

CNI_ROLE, NODE_ROLE, CLUSTER = "quay-cni", "quay-nodes", "quay"
NOT_THEIRS = {"irsa", "pod-identity", "instance-role", "identity-center", "aws-service", "root"}
"""Kinds of identity that the attacker never has."""

AGENTS = (
    "amazon-vpc-cni-k8s/v1.19.0",
    CNI_1_18,
    CNI_1_20,
    CNI_1_21,
    "ec2.amazonaws.com",
    "autoscaling.amazonaws.com",
    "aws-cli/2.15.38 md/awscrt#0.19.19 app/amazon-vpc-cni-k8s botocore/1.43.62",
    "aws-cli/2.15.38 exec-env/amazon-vpc-cni-k8s botocore/1.43.62",
    "Boto3/1.34.20 md/Botocore#1.34.20 ua/2.0 os/linux lang/python#3.11.7 app/amazon-vpc-cni-k8s",
    "aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.4 api/ec2#1.254.1 app/amazon-vpc-cni-k8s",
    "kubernetes/v1.31 aws-sdk-go/1.55.5 (go1.22.9; linux; amd64) karpenter.sh-1.0",
    "",
)
USERS = ("root", "autoscaling.amazonaws.com", "ec2.amazonaws.com", "kube-system", "aws-node", "AutoScaling")
ROLES = (
    "admin",
    "kube-system",
    "aws-node",
    "eks-quay-node-role",
    "AWSReservedSSO_Admin_0123456789abcdef",
    "eksctl-prod-addon-vpc-cni-Role1-AAAAAAAAAAAA",
    "AWSServiceRoleForAutoScaling",
)
PROVIDERS = (
    "evil.example.com",
    "oidc.eks.evil.example.com/id/ABCDEF0123456789ABCDEF0123456789",
    "oidc.eks.us-east-1.amazonaws.com.evil.example.com/id/ABCDEF0123456789ABCDEF0123456789",
    "evil.example.com/oidc.eks.us-east-1.amazonaws.com/id/ABCDEF0123456789ABCDEF0123456789",
    "token.actions.githubusercontent.com",
)
POD_TAGS = {
    "eks-cluster-arn": "arn:aws:eks:us-east-1:111122223333:cluster/prod",
    "eks-cluster-name": "prod",
    "kubernetes-namespace": "kube-system",
    "kubernetes-service-account": "aws-node",
    "kubernetes-pod-name": "aws-node-x7k2p",
}


def day(second: int) -> datetime:
    """Return an epoch second as a time."""
    return datetime.fromtimestamp(second, UTC)


class Place(NamedTuple):
    """The account and Region of a call."""

    account: str
    region: str


def entry(number: int, second: int, place: Place, caller: Caller, call: Call) -> Record:
    """Return the record of a call; its identifiers follow from the number."""
    event_id, request_id = uuids(number)
    record: Record = {
        "eventVersion": "1.11",
        "userIdentity": deepcopy(caller.identity),
        "eventTime": timestamp(second),
        "eventSource": call.service,
        "eventName": call.event,
        "awsRegion": place.region,
        "sourceIPAddress": caller.source_ip,
        "userAgent": caller.agent,
    }
    if call.error is not None:
        record["errorCode"], record["errorMessage"] = call.error
    return record | {
        "requestParameters": call.request,
        "responseElements": call.response,
        "requestID": request_id,
        "eventID": event_id,
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": place.account,
        "eventCategory": "Management",
    }


# --- callers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mask:
    """A caller, and its earlier calls to STS."""

    caller: Caller
    opened: tuple[tuple[Caller, Call], ...] = ()


class Disguise(NamedTuple):
    """The input of a mask: place, time, an instance to name, and the caller to imitate."""

    place: Place
    second: int
    instance: str
    session: str
    chance: random.Random

    @property
    def agent(self) -> str:
        return self.chance.choice(AGENTS)


def _user(how: Disguise) -> Mask:
    name = how.chance.choice((*USERS, how.instance))
    return Mask(iam_user(how.place.account, name, "203.0.113.66", how.agent))


def _names(how: Disguise) -> tuple[str, ...]:
    return (
        how.instance,
        "aws-node",
        "eks-prod-aws-node-x7k2p-b81f0fef-97e9-47da-97a2-948c5bbcd1b3",
        "eks-prod-x-aws-node-y-b81f0fef-97e9-47da-97a2-948c5bbcd1b3",
        "AutoScaling",
        how.session,
    )


def _assume(how: Disguise, role: Role, session: str, key: str, tags: dict[str, str]) -> tuple[Caller, Call]:
    """An AssumeRole by a permitted caller; its tags are the caller's own text, too."""
    request: Record = {"roleArn": role.arn, "roleSessionName": session}
    if tags:
        request |= {"tags": tag_items(tags), "transitiveTagKeys": list(tags)}
    response = {"credentials": {"accessKeyId": key, "sessionToken": "x", "expiration": "later"}}
    caller = iam_user(how.place.account, "pods.eks.amazonaws.com", "203.0.113.66", "pods.eks.amazonaws.com")
    return caller, Call("AssumeRole", request, response, service=STS, read_only=True)


def _session(how: Disguise) -> Mask:
    """A session of a role with a chosen name."""
    role = Role(how.place.account, how.chance.choice((*ROLES, CNI_ROLE, NODE_ROLE)))
    name = how.chance.choice(_names(how))
    caller = role_user(role, name, day(how.second), "203.0.113.66", how.agent)
    caller.identity["accessKeyId"] = access_key(f"mallory/{role.arn}/{name}/{how.second}")
    tags = POD_TAGS if how.chance.random() < 0.3 else {}
    return Mask(caller, (_assume(how, role, name, caller.identity["accessKeyId"], tags),))


def _web(how: Disguise) -> Mask:
    """A web identity with the CNI's subject, from a provider other than EKS."""
    account = how.place.account
    provider = f"arn:aws:iam::{account}:oidc-provider/{how.chance.choice(PROVIDERS)}"
    role = Role(account, how.chance.choice(ROLES))
    agent = how.agent
    session = Irsa(role, provider, agent, agent, "203.0.113.66").session(day(how.second), 66)
    return Mask(session.caller, (session.opened,))


def _automation(how: Disguise) -> Mask:
    """A customer role, used by a service on behalf of a caller."""
    role = Role(how.place.account, how.chance.choice(ROLES))
    identity = assumed_role(role, how.chance.choice(_names(how)), day(how.second))
    return Mask(on_behalf(identity, how.chance.choice(("ssm.amazonaws.com", "states.amazonaws.com"))))


def _federated(how: Disguise) -> Mask:
    """A session of GetFederationToken."""
    account, name = how.place.account, how.chance.choice(_names(how))
    user = iam_user(account, "alice", "203.0.113.66", how.agent)
    issuer = {**user.identity, "type": "IAMUser"}
    identity = {
        "type": "FederatedUser",
        "principalId": f"{account}:{name}",
        "arn": f"arn:aws:sts::{account}:federated-user/{name}",
        "accountId": account,
        "accessKeyId": access_key(f"{name}{how.second}"),
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"creationDate": timestamp(how.second), "mfaAuthenticated": "false"},
        },
    }
    return Mask(Caller(identity, "203.0.113.66", how.agent))


_MASKS: tuple[Callable[[Disguise], Mask], ...] = (_user, _session, _session, _web, _automation, _federated)


# --- calls --------------------------------------------------------------------------

_DENIED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")


def _done(**more: Any) -> Record:
    return {"requestId": "59dbff89-35bd-4eac-99ed-be587EXAMPLE", **more, "_return": True}


def create_tags(resource: str, tags: dict[str, str]) -> Call:
    """CreateTags, which needs permission only for tags."""
    request = {
        "resourcesSet": {"items": [{"resourceId": resource}]},
        "tagSet": {"items": tag_items(tags)},
    }
    return Call("CreateTags", request, _done())


def describe(eni: str, text: str) -> Call:
    """A later description."""
    request = {"networkInterfaceId": eni, "description": {"value": text}}
    return Call("ModifyNetworkInterfaceAttribute", request, _done())


def assign(eni: str, *addresses: str) -> Call:
    """Assign addresses by name, taken from any ENI that has them."""
    listed = {"items": [{"privateIpAddress": address} for address in addresses]}
    response = _done(
        networkInterfaceId=eni,
        assignedPrivateIpAddressesSet={
            "assignedPrivateIpAddressSetType": [{"privateIpAddress": address} for address in addresses]
        },
    )
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": listed, "allowReassignment": True}
    return Call("AssignPrivateIpAddresses", request, response)


def unassign(eni: str, *addresses: str) -> Call:
    """Release addresses."""
    listed = {"items": [{"privateIpAddress": address} for address in addresses]}
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": listed}
    return Call("UnassignPrivateIpAddresses", request, _done())


def attach(eni: str, instance: str) -> Call:
    """Attach an ENI to an instance."""
    request = {"networkInterfaceId": eni, "instanceId": instance, "deviceIndex": 3}
    return Call("AttachNetworkInterface", request, _done(attachmentId=NO_ATTACHMENT))


def detach(attachment: str) -> Call:
    """Detach an ENI from its instance."""
    return Call("DetachNetworkInterface", {"attachmentId": attachment, "force": True}, _done())


def delete(eni: str) -> Call:
    """Delete an ENI."""
    return Call("DeleteNetworkInterface", {"networkInterfaceId": eni}, _done())


def terminate(instance: str) -> Call:
    """Terminate an instance."""
    state = {
        "instanceId": instance,
        "currentState": {"code": 32, "name": "shutting-down"},
        "previousState": {"code": 16, "name": "running"},
    }
    request = {"instancesSet": {"items": [{"instanceId": instance}]}}
    return Call("TerminateInstances", request, {"instancesSet": {"items": [state]}})


def create(eni: str, subnet: str, vpc: str, account: str, address: str, description: str = "") -> Call:
    """Create an ENI with an address by name."""
    shown = {
        "networkInterfaceId": eni,
        "subnetId": subnet,
        "vpcId": vpc,
        "ownerId": account,
        "status": "pending",
        "description": description,
        "privateIpAddress": address,
        "privateIpAddressesSet": {"item": [{"privateIpAddress": address, "primary": True}]},
        "tagSet": {},
    }
    request = {"subnetId": subnet, "privateIpAddress": address, "description": description}
    return Call("CreateNetworkInterface", request, {"networkInterface": shown})


OTHER_INSTANCE, NO_ATTACHMENT = "i-0eeeeeeeeeeeeeeee", "eni-attach-0eeeeeeeeeeeeeeee"


class Victim(NamedTuple):
    """An address of another ENI at a second, and the ENI's instance (any if unattached)."""

    holding: Holding
    second: int
    instance: str
    attachment: str

    @property
    def eni(self) -> Eni:
        return self.holding.eni

    @property
    def place(self) -> Place:
        return Place(self.eni.account, self.eni.subnet.vpc.region)

    @property
    def tagged_instance(self) -> str:
        """The instance if it was running at that second, else one that never existed."""
        return OTHER_INSTANCE if self.attachment == NO_ATTACHMENT else self.instance

    @property
    def address(self) -> str:
        return self.holding.text.partition("/")[0]


def _tags(victim: Victim, chance: random.Random) -> dict[str, str]:
    return chance.choice(
        (
            {
                "node.k8s.amazonaws.com/instance_id": victim.instance,
                "cluster.k8s.amazonaws.com/name": "decoy",
            },
            {"node.k8s.amazonaws.com/instance_id": OTHER_INSTANCE},
            {"kubernetes.io/cluster/decoy": "owned", "eks:cluster-name": "decoy"},
            {"Name": "aws-K8S-" + victim.instance},
        )
    )


def harmless(victim: Victim, chance: random.Random) -> Call:
    """A call on a resource of the victim that changes no address, or is refused."""
    eni, instance = victim.eni.id, victim.instance
    named = chance.choice((instance, OTHER_INSTANCE))
    return chance.choice(
        (
            lambda: create_tags(eni, _tags(victim, chance)),
            lambda: create_tags(victim.tagged_instance, _tags(victim, chance)),
            lambda: describe(eni, f"aws-K8S-{named}"),
            lambda: replace(assign(eni, victim.address), response=None, error=_DENIED),
            lambda: replace(unassign(eni, victim.address), response=None, error=_DENIED),
            lambda: replace(delete(eni), response=None, error=_DENIED),
            lambda: replace(detach(victim.attachment), response=None, error=_DENIED),
            lambda: replace(terminate(instance), response=None, error=_DENIED),
            lambda: replace(attach(eni, OTHER_INSTANCE), response=None, error=_DENIED),
        )
    )()


def claim(victim: Victim, chance: random.Random) -> Call:
    """A call that would move the victim's address if it were in the victim's account."""
    eni = victim.eni.id
    return chance.choice(
        (
            lambda: assign(eni, victim.address),
            lambda: assign("eni-0eeeeeeeeeeeeeeee", victim.address),
            lambda: unassign(eni, victim.address),
            lambda: delete(eni),
            lambda: detach(victim.attachment),
            lambda: terminate(victim.instance),
            lambda: attach(eni, OTHER_INSTANCE),
            lambda: describe(eni, f"aws-K8S-{OTHER_INSTANCE}"),
            lambda: create_tags(eni, _tags(victim, chance)),
        )
    )()


# --- a world with an attacker ----------------------------------------------------------------


@dataclass(eq=False)
class Attack:
    """A world, its log files with and without the attacker's records, and which records are the attacker's.

    ``theirs`` are event ids; ``planted`` those of records that are only text in another's parameters;
    ``own`` the attacker's own interfaces; ``marked`` those that the CNI itself made, with their nodes.
    """

    world: World
    delivery: Delivery
    files: list[LogFile]
    innocent: list[LogFile]
    theirs: dict[str, str]
    planted: frozenset[str]
    own: frozenset[str]
    marked: dict[str, str]

    @property
    def homes(self) -> dict[str, tuple[str, str]]:
        """Return the account and Region of each interface."""
        enis = {holding.eni.id: holding.eni for holding in self.world.holdings}
        return {name: (eni.account, eni.subnet.vpc.region) for name, eni in enis.items()}

    @property
    def born(self) -> frozenset[str]:
        """Return the interfaces whose creation is in the log files."""
        begin = (self.delivery.losses.begin or START) * 1000
        return frozenset(holding.eni.id for holding in self.world.holdings if holding.eni.born >= begin)

    def is_touched(self, ip: str) -> bool:
        """Return whether an ENI of the attacker ever held an address."""
        texts = set(spell(ip))
        return any(
            holding.eni.id in self.own and texts & set(spell(holding.text)) for holding in self.world.holdings
        )


@dataclass(eq=False)
class _Play:
    """A world during its simulation."""

    seed: int
    chance: random.Random
    world: World
    own: list[Eni] = field(default_factory=list)
    theirs: set[str] = field(default_factory=set)
    extra: list[Record] = field(default_factory=list)
    planted: set[str] = field(default_factory=set)
    number: int = 1 << 40

    def next(self) -> int:
        self.number += 1
        return self.number

    def act(self) -> None:
        """Let the attacker create an ENI, or change one of theirs."""
        world, chance = self.world, self.chance
        before = len(world.records)
        with suppress(Refused):
            living = [eni for eni in self.own if eni.alive]
            if living and chance.random() < 0.6:
                eni = chance.choice(living)
                if chance.random() < 0.5:
                    world.assign(eni, count=1)
                else:
                    world.describe(eni, f"aws-K8S-{self.some_instance()}")
            else:
                subnet = chance.choice(world.subnets)
                text = chance.choice((None, f"aws-K8S-{self.some_instance()}"))
                eni = world.create(subnet, description=text, choice=chance.randrange(8))
                world.enis.remove(eni)  # no one else uses it
                self.own.append(eni)
        self.theirs.update(record["eventID"] for record in world.records[before:])

    def some_instance(self) -> str:
        known = [attachment.instance.id for attachment in self.world.attachments]
        return self.chance.choice(known) if known else OTHER_INSTANCE

    def victim(self) -> Victim | None:
        """Choose an address of another ENI at a second in which it is held throughout."""
        owned = {eni.id for eni in self.own}
        holdings = [
            (holding, seconds)
            for holding in self.world.holdings
            if holding.eni.id not in owned and (seconds := self.seconds(holding))
        ]
        if not holdings:
            return None
        holding, seconds = self.chance.choice(holdings)
        second = self.chance.choice(seconds)
        stay = self.stay(holding.eni, second)
        if stay is None:
            return Victim(holding, second, self.some_instance(), NO_ATTACHMENT)
        return Victim(holding, second, stay.instance.id, stay.id)

    def seconds(self, holding: Holding) -> range:
        """Return the seconds in which an address is held throughout."""
        end = self.world.now if holding.end is None else holding.end
        return range(-(-holding.start // 1000), end // 1000)

    def stay(self, eni: Eni, second: int) -> Attachment | None:
        spanning = (
            attachment
            for attachment in self.world.attachments
            if attachment.eni is eni and attachment.start <= second * 1000
            if attachment.end is None or attachment.end >= second * 1000 + 1000
        )
        return next(spanning, None)

    def mask(self, place: Place, second: int, instance: str) -> Mask:
        """Choose an identity for a call; its STS events go into the world's logs."""
        how = Disguise(place, second, instance, f"{START}000000066", self.chance)
        mask = self.chance.choice(_MASKS)(how)
        for caller, call in mask.opened:
            record = entry(self.next(), max(START, second - 60), place, caller, call)
            self.extra.append(record)
            self.theirs.add(record["eventID"])
        return mask

    def log(self, place: Place, second: int, call: Call, instance: str) -> None:
        record = entry(self.next(), second, place, self.mask(place, second, instance).caller, call)
        self.extra.append(record)
        self.theirs.add(record["eventID"])


def attacked(seed: int) -> Attack:
    """Return a small world with an attacker for a seed."""
    chance = random.Random(seed * 7919 + 14)
    world = World(vpcs=chance.randint(1, 4), pool=chance.randint(3, 6))
    play = _Play(seed, chance, world)
    for step in random_steps(seed, chance.randint(1, 30)):
        take(world, step)
        if chance.random() < 0.12:
            play.act()
    world.settle()
    marked = be_a_cluster(world, chance.choice(("none", "node", "irsa")), play.theirs)
    _disguise(play)
    for _ in range(chance.randint(1, 8)):
        victim = play.victim()
        if victim is not None:
            _attack(play, victim)
    begin = chance.choice(sorted(map(second_of, world.records))) if world.records and seed % 4 == 0 else None
    delivery = deliver(world, Losses(begin=begin))
    files = with_records(delivery.files, play.extra)
    innocent = without(files, play.theirs)
    names = {record["eventID"]: record["eventName"] for _, records in files for record in records}
    theirs = {event: names[event] for event in play.theirs if event in names}
    own = frozenset(eni.id for eni in play.own)
    return Attack(world, delivery, files, innocent, theirs, frozenset(play.planted), own, marked)


def _attack(play: _Play, victim: Victim) -> None:
    """Make one call on a resource of the victim."""
    chance, second = play.chance, victim.second
    what = chance.random()
    if what < 0.5:
        play.log(victim.place, second, harmless(victim, chance), victim.instance)
    elif what < 0.85:
        elsewhere = next(region for region in REGIONS if region != victim.place.region)
        places = (Place(STRANGER, victim.place.region), Place(victim.place.account, elsewhere))
        call = claim(victim, chance)
        if chance.random() < 0.2:
            call = replace(call, response=None, error=_DENIED)
        play.log(chance.choice(places), chance.choice((second, second, START, second + 600)), call, "i-0e")
    else:
        _plant(play, victim)


def _plant(play: _Play, victim: Victim) -> None:
    """Put a bucket policy with records in it, which S3 logs as JSON."""
    chance = play.chance
    eni, subnet = victim.eni, victim.eni.subnet
    false = [
        assign("eni-0eeeeeeeeeeeeeeee", victim.address),
        create("eni-0dddddddddddddddd", subnet.id, subnet.vpc.id, eni.account, victim.address),
        terminate(victim.instance),
        delete(eni.id),
    ]
    caller = iam_user(victim.place.account, "bob", "203.0.113.66", "aws-cli/2.15.38")
    records = [entry(play.next(), victim.second, victim.place, caller, call) for call in false]
    first: list[Any] = chance.choice(([], [{"Sid": "x"}], [{"Sid": "x"}], ["x"]))
    length = chance.choice((0, 10, 700, 900, 1200))
    filler: Record = {"eventVersion": "1.11", "eventName": "x", "p": "A" * length}
    statement = [*first, *[filler] * chance.choice((0, 1, 8, 10, 12, 16, 40))]
    records += [filler] if chance.random() < 0.5 else []
    inner: list[Any] = [*statement, *records]
    play.planted.update(record["eventID"] for record in records if "eventID" in record)
    if chance.random() < 0.2:
        inner = [json.dumps({"Records": records}), {"Records": records}]
    request = {
        "bucketPolicy": {"Version": "2012-10-17", "Statement": inner, "Id": chance.choice(("", "}]}"))},
        "bucketName": "mine",
        "policy": "",
    }
    call = Call("PutBucketPolicy", request, None, service="s3.amazonaws.com")
    play.log(victim.place, victim.second, call, victim.instance)


def _disguise(play: _Play) -> None:
    """Give the attacker's own calls an identity, and their ENIs the marks of the CNI."""
    for record in play.world.records:
        if record["eventID"] not in play.theirs:
            continue
        place = Place(record["recipientAccountId"], record["awsRegion"])
        caller = play.mask(place, second_of(record), play.some_instance()).caller
        record["userIdentity"] = deepcopy(caller.identity)
        record["sourceIPAddress"], record["userAgent"] = caller.source_ip, caller.agent
        if record["eventName"] == "CreateNetworkInterface" and play.chance.random() < 0.6:
            _mark(record, play.some_instance(), tagged=True)


def _mark(record: Record, instance: str, *, tagged: bool) -> None:
    """Add the marks of the CNI to a new ENI, in the request and in the response."""
    description = f"aws-K8S-{instance}"
    record["requestParameters"]["description"] = description
    tags = {"node.k8s.amazonaws.com/instance_id": instance, "cluster.k8s.amazonaws.com/name": CLUSTER}
    if tagged:
        specification = {"resourceType": "network-interface", "tags": tag_items(tags)}
        record["requestParameters"]["tagSpecificationSet"] = {"items": [specification]}
    if record["responseElements"] is not None:
        shown = record["responseElements"]["networkInterface"]
        shown["description"] = description
        if tagged:
            shown["tagSet"] = {"items": tag_items(tags)}


def be_a_cluster(world: World, how: str, theirs: Iterable[str] = ()) -> dict[str, str]:
    """Let a CNI make the calls of a world; return the ENIs that it created, with their nodes.

    ``how`` it does is ``node`` (with the nodes' role), ``irsa`` or ``none``. Interfaces that are never
    attached stay whose they were.
    """
    if how == "none":
        return {}
    first: dict[str, str] = {}
    for attachment in world.attachments:
        first.setdefault(attachment.eni.id, attachment.instance.id)
    born = {eni.birth_event: eni for eni in {id(h.eni): h.eni for h in world.holdings}.values()}
    marked: dict[str, str] = {}
    opened: dict[Place, tuple[Caller, Call]] = {}
    for record in world.records:
        event, name = record["eventID"], record["eventName"]
        asked = record["requestParameters"] or {}
        made = born.get(event) if name == "CreateNetworkInterface" else None
        eni = made.id if made else asked.get("networkInterfaceId")
        instance = first.get(eni or "")
        if event in theirs or instance is None or name in ("RunInstances", "TerminateInstances"):
            continue
        place = Place(record["recipientAccountId"], record["awsRegion"])
        caller, sts = cni_of(place, how, instance)
        record["userIdentity"] = deepcopy(caller.identity)
        record["sourceIPAddress"], record["userAgent"] = caller.source_ip, caller.agent
        if sts is not None:
            opened[place] = sts
        if made is not None:
            _mark(record, instance, tagged=False)
            marked[made.id] = instance
    for number, place in enumerate(sorted(opened)):
        caller, call = opened[place]
        world.records.insert(number, entry((1 << 39) + number, START, place, caller, call))
    return marked


def cni_of(place: Place, how: str, instance: str) -> tuple[Caller, tuple[Caller, Call] | None]:
    """The CNI on an instance, and its STS event in an account and Region."""
    if how == "node":
        role = Role(place.account, NODE_ROLE)
        return node_session(role, instance, day(START), "198.51.100.7", CNI_1_18).caller, None
    provider = (
        f"arn:aws:iam::{place.account}:oidc-provider/"
        f"oidc.eks.{place.region}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
    )
    irsa = Irsa(Role(place.account, CNI_ROLE), provider, CNI_1_18, sdk_of(CNI_1_18), "198.51.100.7")
    session = irsa.session(day(START), 66)
    return session.caller, session.opened


def with_records(files: Iterable[LogFile], records: Iterable[Record]) -> list[LogFile]:
    """Return log files with more records, each in the file of its time, account and Region."""
    by_name = {name: list(inside) for name, inside in files}
    for record in records:
        place = record["recipientAccountId"], record["awsRegion"]
        by_name.setdefault(file_name(*place, second_of(record) // WINDOW), []).append(record)
    return sorted(by_name.items())


def without(files: Iterable[LogFile], events: Iterable[str]) -> list[LogFile]:
    """Return log files without some records; files that become empty are left out."""
    gone = set(events)
    kept = [(name, [record for record in inside if record["eventID"] not in gone]) for name, inside in files]
    return [(name, inside) for name, inside in kept if inside]
