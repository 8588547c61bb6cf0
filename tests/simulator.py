"""A small model of EC2 networking: the truth against which a rebuilt history is checked.

A :class:`World` obeys EC2's rules for network interfaces, keeps its true timeline in
milliseconds and writes the CloudTrail record of every call, if CloudTrail would have one.
It knows nothing of the code under test. Four layers, each usable alone:

* ``World`` and its calls (``run``, ``create``, ``assign``, ...), for stories written by hand;
* ``Step`` and ``play``: a run as a list of plain numbers, so that it shrinks well;
* ``deliver``: the log files that reach a reader, whole, late, repeated or with parts missing;
* ``worlds``, ``deliveries`` (hypothesis) and ``random_world`` (a seed, for large runs).

A time is a count of milliseconds; a *second* is an epoch second, as in ``eventTime``.
"""

from __future__ import annotations

import gc
import gzip
import heapq
import json
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from hypothesis import strategies as st

Record = dict[str, Any]
LogFile = tuple[str, list[Record]]
T = TypeVar("T")

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("us-east-1", "eu-west-1")
START = 1_777_881_600  # 2026-05-04T08:00:00Z
WINDOW = 300  # seconds of events that one log file holds
NOTICED = 11  # missing windows that are noticed; fewer may be a quiet time
HEARTBEAT = 150  # seconds between two reads by a monitor, so that no window is empty
LONGEST_DEATH = 5_000  # milliseconds from a termination to the end of its interfaces

# what an ENI may hold
PRIMARY, SECONDARY, PREFIX = "primary", "secondary", "prefix"
IPV6, IPV6_PREFIX = "ipv6", "ipv6-prefix"

# how a holding may end
UNASSIGNED, DELETED, STOLEN = "unassigned", "deleted", "stolen"
TERMINATED, SILENT = "terminated", "silent"


class Refused(Exception):
    """EC2 refused a call; the record of the refusal is written, nothing else changed."""


# --- texts -----------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 16)
def spell(text: str) -> tuple[str, str]:
    """Return the usual spelling of an address or prefix, and the prefix that contains it."""
    if "/" in text:
        return str(ip_network(text)), str(ip_network(text))
    address = ip_address(text)
    length = 28 if address.version == 4 else 80
    return str(address), str(ip_network(f"{address}/{length}", strict=False))


@lru_cache(maxsize=1 << 16)
def lies_in(text: str, *cidrs: str) -> bool:
    """Return whether an address or prefix is in one of these networks."""
    first, last = ip_network(text)[0], ip_network(text)[-1]
    return any(first in ip_network(cidr) and last in ip_network(cidr) for cidr in cidrs)


def kind_of(text: str) -> str:
    """Return the kind of an address or prefix that is assigned by name."""
    if ":" in text:
        return IPV6_PREFIX if "/" in text else IPV6
    return PREFIX if "/" in text else SECONDARY


@lru_cache(maxsize=1 << 10)
def _day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%dT")


@lru_cache(maxsize=1 << 10)
def _midnight(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}+00:00").timestamp())


def timestamp(second: int) -> str:
    """Return a second as CloudTrail writes it."""
    day, rest = divmod(second, 86_400)
    return f"{_day(day)}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def second_of(record: Record) -> int:
    """Return the epoch second of a record's event time."""
    text = record["eventTime"]
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    return _midnight(text[:10]) + hour * 3600 + minute * 60 + second


def scramble(number: int) -> int:
    """Return 64 bits that are unique for the number and do not keep its order."""
    number = number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    number = (number ^ number >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return number ^ number >> 31


def uuids(number: int) -> tuple[str, str]:
    """Return two identifiers in the shape of UUIDs, unique for the number."""
    text = f"{scramble(number):016x}"
    first, last = f"{text[:8]}-{text[8:12]}-{text[12:]}", f"{number:012x}"
    return f"{first}-8000-{last}", f"{first}-9000-{last}"


# --- what exists -----------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Vpc:
    """A network; ``accounts`` may all make interfaces in it, the first owns it."""

    id: str
    region: str
    accounts: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Subnet:
    """A subnet with the few addresses that EC2 assigns, the last one released first."""

    id: str
    vpc: Vpc
    cidrs: tuple[str, str]
    pool: dict[str, list[str]]
    held: dict[str, Holding] = field(default_factory=dict)
    singles_in: dict[str, int] = field(default_factory=dict)

    def free(self, kind: str) -> list[str]:
        """Return what may be assigned as this kind, the last one released first."""
        return list(filter(self.is_free, self.pool[kind]))

    def is_free(self, text: str) -> bool:
        """Return whether no ENI holds an address or prefix, nor a part or the whole of it."""
        held = self.held
        if text in held:
            return False
        block = spell(text)[1]
        return not self.singles_in.get(text) if block == text else block not in held


@dataclass(slots=True, eq=False)
class Eni:
    """A network interface; ``held`` is what it holds now, its primary address first.

    ``notice`` is the time of a logged termination that takes it along some seconds later.
    """

    id: str
    subnet: Subnet
    account: str
    born: int
    birth_event: str
    held: dict[str, Holding] = field(default_factory=dict)
    attachment: Attachment | None = None
    notice: int | None = None
    alive: bool = True

    def holds(self, kind: str) -> list[str]:
        """Return the addresses or prefixes of one kind that it holds now."""
        return [text for text, holding in self.held.items() if holding.kind == kind]


@dataclass(slots=True, eq=False)
class Instance:
    """A machine; ``state`` is running, shutting-down or terminated."""

    id: str
    subnet: Subnet
    account: str
    state: str = "running"
    devices: dict[int, Attachment] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Attachment:
    """The true time [start, end) in which an interface was attached to an instance."""

    id: str
    eni: Eni
    instance: Instance
    device_index: int
    delete_on_termination: bool
    start: int
    start_event: str
    end: int | None = None
    end_event: str | None = None


@dataclass(slots=True, eq=False)
class Holding:
    """The true time [start, end) in which an interface held an address or a prefix."""

    text: str
    kind: str
    eni: Eni
    vpc: str
    start: int
    start_event: str
    end: int | None = None
    end_event: str | None = None
    ending: str | None = None


class _Death(NamedTuple):
    """An attachment that will end without an event of its own."""

    due: int
    order: int
    attachment: Attachment
    event: str | None


# --- shapes of records -----------------------------------------------------------------------


class Call(NamedTuple):
    """A call to EC2: its name, who makes it where, and its parameters."""

    name: str
    account: str
    region: str
    request: Record | None


class _Shape(NamedTuple):
    """How requests and responses name one kind of addresses."""

    names: str
    number: str
    member: str
    response: str


_SHAPES = {
    SECONDARY: _Shape(
        "privateIpAddressesSet",
        "secondaryPrivateIpAddressCount",
        "privateIpAddress",
        "assignedPrivateIpAddressesSet",
    ),
    PREFIX: _Shape("ipv4Prefixes", "ipv4PrefixCount", "ipv4Prefix", "assignedIpv4PrefixSet"),
    IPV6: _Shape("ipv6Addresses", "ipv6AddressCount", "ipv6Address", "assignedIpv6Addresses"),
    IPV6_PREFIX: _Shape("ipv6Prefixes", "ipv6PrefixCount", "ipv6Prefix", "assignedIpv6PrefixSet"),
}


def _set(texts: Sequence[str], member: str = "privateIpAddress", wrapper: str = "items") -> Record:
    """Return a set in its usual form: an empty one has no member."""
    return {wrapper: [{member: text} for text in texts]} if texts else {}


def _asked(texts: Sequence[str], kind: str, form: int) -> Record:
    """Return the set of a request; if no recording exists, in one of two likely forms."""
    if kind == IPV6 and texts and form % 2:
        return {"items": list(texts)}
    return _set(texts, _SHAPES[kind].member)


def _given(texts: Sequence[str], kind: str, form: int) -> Record:
    """Return the set of a response; if no recording exists, in one of the likely forms."""
    if kind == SECONDARY:
        return _set(texts, wrapper="assignedPrivateIpAddressSetType")
    if kind != PREFIX and texts and form % 3 == 2:
        return {"item": list(texts)}
    wrapper = ("items", "item", "assignedIpv4PrefixSetType")[form % 3]
    return _set(texts, _SHAPES[kind].member, wrapper)


_GROUPS = {"items": [{"groupId": "sg-0a1b2c3d4e5f60718"}]}


def _interface(eni_id: str, subnet: Subnet, account: str, held: dict[str, str]) -> Record:
    """Return an interface as RunInstances and CreateNetworkInterface show it."""
    of = {kind: [text for text in held if held[text] == kind] for kind in set(held.values())}
    shown: Record = {
        "networkInterfaceId": eni_id,
        "subnetId": subnet.id,
        "vpcId": subnet.vpc.id,
        "ownerId": account,
        "status": "pending",
        "privateIpAddress": of[PRIMARY][0],
        "interfaceType": "interface",
        "groupSet": _GROUPS,
        "privateIpAddressesSet": {
            "item": [
                {"privateIpAddress": text, "primary": held[text] == PRIMARY}
                for text in held
                if held[text] in (PRIMARY, SECONDARY)
            ]
        },
        "ipv6AddressesSet": _set(of.get(IPV6, ()), "ipv6Address", "item"),
        "tagSet": {},
    }
    if PREFIX in of:
        shown["ipv4PrefixSet"] = _set(of[PREFIX], "ipv4Prefix", "item")
    if IPV6_PREFIX in of:
        shown["ipv6PrefixSet"] = _set(of[IPV6_PREFIX], "ipv6Prefix", "item")
    return shown


def _launched(
    instance: Instance, number: int, now: int, interfaces: list[Record], joins: list[str]
) -> Record:
    """Return an instance as RunInstances shows it, with its attached interfaces."""
    for index, interface in enumerate(interfaces):
        interface["status"] = "in-use"
        interface["attachment"] = {
            "attachmentId": joins[index],
            "deviceIndex": index,
            "status": "attaching",
            "attachTime": now // 1000 * 1000,
            "deleteOnTermination": index == 0,
        }
    return {
        "instanceId": instance.id,
        "imageId": "ami-0f1e2d3c4b5a69788",
        "instanceState": {"code": 0, "name": "pending"},
        "amiLaunchIndex": number,
        "instanceType": "m5.large",
        "launchTime": now // 1000 * 1000,
        "subnetId": instance.subnet.id,
        "vpcId": instance.subnet.vpc.id,
        "privateIpAddress": interfaces[0]["privateIpAddress"],
        "networkInterfaceSet": {"items": interfaces},
    }


def _identity(account: str, role: str, session: str, **more: str) -> Record:
    """Return the identity of a role's session."""
    principal = f"AROA{account}{role[:4].upper()}"
    issuer = {
        "type": "Role",
        "principalId": principal,
        "arn": f"arn:aws:iam::{account}:role/{role}",
        "accountId": account,
        "userName": role,
    }
    made = {"creationDate": timestamp(START), "mfaAuthenticated": "false"}
    return {
        "type": "AssumedRole",
        "principalId": f"{principal}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "accountId": account,
        "accessKeyId": f"ASIA{account}{role[:4].upper()}",
        "sessionContext": {"sessionIssuer": issuer, "attributes": made},
        **more,
    }


_SCALING, _EC2 = "autoscaling.amazonaws.com", "ec2.amazonaws.com"
_CALLERS = {
    "RunInstances": _SCALING,
    "TerminateInstances": _SCALING,
    "BidEvictedEvent": _EC2,
}
_IDENTITIES = {
    (account, who): identity
    for account in ACCOUNTS
    for who, identity in (
        ("agent", _identity(account, "pod-network", str(START * 10**9))),
        (_SCALING, _identity(account, "ScalingService", "AutoScaling", invokedBy=_SCALING)),
        (_EC2, {"accountId": account, "invokedBy": _EC2}),
    )
}


def make_record(
    number: int,
    second: int,
    call: Call,
    response: Record | None,
    error: tuple[str, str] | None = None,
) -> Record:
    """Return a whole CloudTrail record; its identifiers follow from the number."""
    who = _CALLERS.get(call.name, "agent")
    event_id, request_id = uuids(number)
    record: Record = {
        "eventVersion": "1.11",
        "userIdentity": _IDENTITIES[call.account, who],
        "eventTime": timestamp(second),
        "eventSource": _EC2,
        "eventName": call.name,
        "awsRegion": call.region,
        "sourceIPAddress": "198.51.100.7" if who == "agent" else who,
        "userAgent": "pod-network/1.0 (linux; amd64)" if who == "agent" else who,
    }
    if error is not None:
        record["errorCode"], record["errorMessage"] = error
    record["requestParameters"] = call.request
    record["responseElements"] = {"requestId": request_id, **response} if response is not None else None
    record["requestID"] = request_id
    record["eventID"] = event_id
    record["readOnly"] = call.name.startswith("Describe")
    record["eventType"] = "AwsApiCall"
    record["managementEvent"] = True
    record["recipientAccountId"] = call.account
    record["eventCategory"] = "Management"
    return record


# --- the world -------------------------------------------------------------------------------


class World:
    """A simulated EC2: its calls, its records and its true timeline.

    ``vpcs``: the second has the same addresses as the first, the third is shared by two
    accounts, the fourth has the first's addresses in another region; further ones repeat
    this with addresses of their own. ``pool`` is the number of single addresses of a
    subnet. ``sink`` gets each record instead of ``records``, for runs larger than memory.

    Every call takes at least a millisecond; one that EC2 refuses raises :class:`Refused`.
    ``choice`` selects among the free addresses; 0 is the one that was freed last.
    """

    def __init__(self, vpcs: int = 3, pool: int = 6, sink: Callable[[Record], object] | None = None) -> None:
        self.now = START * 1000
        self.records: list[Record] = []
        self.holdings: list[Holding] = []
        self.attachments: list[Attachment] = []
        self.enis: list[Eni] = []
        self.instances: list[Instance] = []
        self.dead: list[Instance] = []
        self.vpcs: list[Vpc] = []
        self.subnets: list[Subnet] = []
        self._sink = sink or self.records.append
        self._made = 0
        self._events = 0
        self._deaths: list[_Death] = []
        self._history: dict[tuple[str, str], list[Holding]] = {}
        self._attached: dict[str, list[Attachment]] = {}
        for index in range(vpcs):
            self._make_vpc(index, pool)

    def __repr__(self) -> str:
        return f"<World of {self._events} records until {timestamp(self.now // 1000)}>"

    def _make_vpc(self, index: int, pool: int) -> None:
        """Make a VPC with its subnets, of which only the first kind has two."""
        sort, octet = index % 4, index // 4 * 2 + (index % 4 == 2)
        accounts = (ACCOUNTS[:1], ACCOUNTS[:1], ACCOUNTS, ACCOUNTS[1:])[sort]
        vpc = Vpc(self._new("vpc"), REGIONS[sort == 3], accounts)
        self.vpcs.append(vpc)
        for part in range(2 if sort == 0 else 1):
            base = int(IPv4Address(f"10.{octet}.{16 * part}.0"))
            base6 = int(IPv6Address(f"fd80:{octet:x}:0:{part:x}::"))
            # the first prefix of each family also has an address that is assigned alone
            block, block6 = base + (4 + pool + 15) // 16 * 16, base6 + (1 << 48)
            singles = [*range(base + 4, base + 4 + pool), block + 1]
            singles6 = [*range(base6 + 4, base6 + 6 + pool // 4), block6 + 9]
            blocks = [block + 16 * number for number in range(2 + pool // 12)]
            texts = {
                SECONDARY: [str(IPv4Address(number)) for number in singles],
                PREFIX: [f"{IPv4Address(number)}/28" for number in blocks],
                IPV6: [str(IPv6Address(number)) for number in singles6],
                IPV6_PREFIX: [f"{IPv6Address(block6 + (n << 48))}/80" for n in range(2)],
            }
            cidrs = (f"{IPv4Address(base)}/20", f"{IPv6Address(base6)}/64")
            self.subnets.append(Subnet(self._new("subnet"), vpc, cidrs, texts))

    # - time and bookkeeping -

    def wait(self, milliseconds: int) -> None:
        """Let time pass, including ends without an event."""
        self.now += milliseconds
        while self._deaths and self._deaths[0].due <= self.now:
            self._die(heapq.heappop(self._deaths))

    def settle(self) -> None:
        """Let time pass until every termination is complete."""
        self.wait(LONGEST_DEATH + 1)

    def refuse(self, call: Call, code: str, message: str = "It is not possible.") -> NoReturn:
        """Write the record of a failed call, which changes nothing, and raise."""
        self._emit(call, None, (f"Client.{code}", message))
        raise Refused(f"{call.name}: {code}")

    def _call(self, name: str, account: str, subnet: Subnet, request: Record | None) -> Call:
        """Begin a call."""
        self.wait(1)
        return Call(name, account, subnet.vpc.region, request)

    def _emit(self, call: Call, response: Record | None, error: tuple[str, str] | None = None) -> str:
        """Write the record of a call and return its event id."""
        self._events += 1
        record = make_record(self._events, self.now // 1000, call, response, error)
        self._sink(record)
        return str(record["eventID"])

    def _new(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-0{scramble(self._made):016x}"

    def _hold(self, eni: Eni, text: str, kind: str, event: str) -> None:
        subnet = eni.subnet
        holding = Holding(text, kind, eni, subnet.vpc.id, self.now, event)
        eni.held[text] = subnet.held[text] = holding
        self.holdings.append(holding)
        self._history.setdefault((holding.vpc, text), []).append(holding)
        block = spell(text)[1]
        if block != text:
            subnet.singles_in[block] = subnet.singles_in.get(block, 0) + 1

    def _release(self, holding: Holding, at: int, event: str | None, ending: str) -> None:
        text, subnet = holding.text, holding.eni.subnet
        holding.end, holding.end_event, holding.ending = at, event, ending
        del holding.eni.held[text], subnet.held[text]
        block = spell(text)[1]
        if block != text:
            subnet.singles_in[block] -= 1
        pool = subnet.pool[kind_of(text)]
        if text in pool:
            pool.remove(text)
            pool.insert(0, text)

    def _born(self, eni_id: str, subnet: Subnet, account: str, held: dict[str, str], event: str) -> Eni:
        eni = Eni(eni_id, subnet, account, self.now, event)
        self.enis.append(eni)
        for text, kind in held.items():
            self._hold(eni, text, kind, event)
        return eni

    def _attach(self, eni: Eni, instance: Instance, index: int, id_: str, event: str) -> Attachment:
        attachment = Attachment(id_, eni, instance, index, index == 0, self.now, event)
        eni.attachment = instance.devices[index] = attachment
        self.attachments.append(attachment)
        self._attached.setdefault(eni.id, []).append(attachment)
        return attachment

    def _detach(self, attachment: Attachment, at: int, event: str | None) -> None:
        attachment.end, attachment.end_event = at, event
        attachment.eni.attachment = None
        del attachment.instance.devices[attachment.device_index]

    def _destroy(self, eni: Eni, at: int, event: str | None, ending: str) -> None:
        for holding in list(eni.held.values()):
            self._release(holding, at, event, ending)
        eni.alive = False
        self.enis.remove(eni)

    def _shut_down(self, instance: Instance, event: str | None, delay: int) -> None:
        """Begin the end of an instance; its interfaces follow within five seconds."""
        instance.state = "shutting-down"
        self.instances.remove(instance)
        self.dead = [*self.dead[-7:], instance]
        for order, attachment in enumerate(instance.devices.values(), 1):
            due = self.now + delay * order % (LONGEST_DEATH + 1)
            if attachment.delete_on_termination and event is not None:
                attachment.eni.notice = self.now
            self._made += 1
            heapq.heappush(self._deaths, _Death(due, self._made, attachment, event))
        self.wait(0)

    def _die(self, death: _Death) -> None:
        """End an attachment of a terminated instance, and its interface if it must be deleted."""
        attachment, event = death.attachment, death.event
        self._detach(attachment, death.due, event)
        if not attachment.instance.devices:
            attachment.instance.state = "terminated"
        if attachment.delete_on_termination:
            ending = SILENT if event is None else TERMINATED
            self._destroy(attachment.eni, death.due, event, ending)

    @staticmethod
    def _choose(subnet: Subnet, kind: str, count: int, choice: int, named: str = "") -> list[str]:
        """Return free addresses, the named one first; empty if there are too few."""
        free = subnet.free(kind)
        if named:
            if not (lies_in(named, *subnet.cidrs) and subnet.is_free(named)):
                return []
            free = [named, *(text for text in free if text != named)]
            choice = 0
        if count > len(free):
            return []
        return [free[(choice + number) % len(free)] for number in range(count)]

    @staticmethod
    def can_attach(eni: Eni, account: str, vpc: Vpc) -> bool:
        """Return whether an ENI can be attached to an instance of this account and VPC."""
        is_free = eni.alive and eni.attachment is None
        return is_free and eni.account == account and eni.subnet.vpc is vpc

    # - calls: instances -

    def run(
        self,
        subnet: Subnet,
        *,
        account: str | None = None,
        count: int = 1,
        secondaries: int = 0,
        address: str = "",
        existing: Eni | None = None,
        choice: int = 0,
    ) -> list[Instance]:
        """RunInstances: new instances, each with a new primary interface of its own.

        ``existing`` joins as device 1; such an interface outlives the instance.
        """
        account = account or subnet.vpc.accounts[0]
        asked: list[Record] = [{"deviceIndex": 0, "subnetId": subnet.id}]
        if secondaries:
            asked[0]["secondaryPrivateIpAddressCount"] = secondaries
        if address:
            asked[0]["privateIpAddress"] = address
        if existing is not None:
            asked.append({"deviceIndex": 1, "networkInterfaceId": existing.id})
        request = {
            "instancesSet": {"items": [{"minCount": count, "maxCount": count}]},
            "instanceType": "m5.large",
            "networkInterfaceSet": {"items": asked},
        }
        call = self._call("RunInstances", account, subnet, request)
        if existing is not None and not (count == 1 and self.can_attach(existing, account, subnet.vpc)):
            self.refuse(call, "InvalidNetworkInterface.InUse")
        per_instance = 1 + secondaries
        taken = self._choose(subnet, SECONDARY, count * per_instance, choice, address)
        if not taken:
            self.refuse(call, "InsufficientFreeAddressesInSubnet")
        made: list[tuple[Instance, dict[str, str], list[str]]] = []
        shown = []
        for number in range(count):
            instance = Instance(self._new("i"), subnet, account)
            held = dict.fromkeys(taken[number * per_instance : (number + 1) * per_instance], SECONDARY)
            held[next(iter(held))] = PRIMARY
            ids = [self._new("eni"), self._new("eni-attach"), self._new("eni-attach")]
            interfaces = [_interface(ids[0], subnet, account, held)]
            if existing is not None:
                theirs = {text: holding.kind for text, holding in existing.held.items()}
                interfaces.append(_interface(existing.id, existing.subnet, account, theirs))
            made.append((instance, held, ids))
            shown.append(_launched(instance, number, self.now, interfaces, ids[1:]))
        response = {"ownerId": account, "instancesSet": {"items": shown}}
        event = self._emit(call, response)
        for instance, held, ids in made:
            self.instances.append(instance)
            eni = self._born(ids[0], subnet, account, held, event)
            self._attach(eni, instance, 0, ids[1], event)
            if existing is not None:
                self._attach(existing, instance, 1, ids[2], event)
        return [instance for instance, *_ in made]

    def terminate(self, *instances: Instance, delay: int = 0) -> None:
        """TerminateInstances, all of one account; again on a dead one it changes nothing.

        ``delay`` milliseconds later, or a multiple of them, each interface goes or is free.
        """
        codes = {"running": 16, "shutting-down": 32, "terminated": 48}
        request = {"instancesSet": {"items": [{"instanceId": instance.id} for instance in instances]}}
        first = instances[0]
        call = self._call("TerminateInstances", first.account, first.subnet, request)
        states = []
        for instance in instances:
            old = instance.state
            new = "terminated" if old == "terminated" else "shutting-down"
            states.append(
                {
                    "instanceId": instance.id,
                    "currentState": {"code": codes[new], "name": new},
                    "previousState": {"code": codes[old], "name": old},
                }
            )
        event = self._emit(call, {"instancesSet": {"items": states}})
        for instance in instances:
            if instance.state == "running":
                self._shut_down(instance, event, delay)

    def evict(self, *instances: Instance, delay: int = 0) -> None:
        """End spot instances, all of one account: the service writes one event."""
        first = instances[0]
        call = self._call("BidEvictedEvent", first.account, first.subnet, None)
        self._events += 1
        record = make_record(self._events, self.now // 1000, call, None)
        record["eventType"] = "AwsServiceEvent"
        record["serviceEventDetails"] = {"instanceIdSet": [instance.id for instance in instances]}
        self._sink(record)
        for instance in instances:
            self._shut_down(instance, str(record["eventID"]), delay)

    def vanish(self, instance: Instance, delay: int = 0) -> None:
        """Terminate an instance without any event at all."""
        self.wait(1)
        self._shut_down(instance, None, delay)

    # - calls: interfaces -

    def create(
        self,
        subnet: Subnet,
        *,
        account: str | None = None,
        address: str = "",
        secondaries: int = 0,
        explicit: bool = False,
        prefixes: int = 0,
        ipv6: int = 0,
        description: str | None = None,
        choice: int = 0,
    ) -> Eni:
        """CreateNetworkInterface, with secondary addresses or prefixes by count.

        ``address`` is the primary one; ``explicit`` names all addresses in the request.
        """
        account = account or subnet.vpc.accounts[0]
        singles = self._choose(subnet, SECONDARY, 1 + secondaries, choice, address)
        blocks = self._choose(subnet, PREFIX, prefixes, choice)
        sixes = self._choose(subnet, IPV6, ipv6, choice)
        listed = [{"privateIpAddress": a, "primary": a == singles[0]} for a in singles]
        request: Record = {
            "subnetId": subnet.id,
            "groupSet": _GROUPS,
            "privateIpAddressesSet": {"items": listed} if explicit and singles else {},
            "clientToken": f"token-{self._events}",
        }
        for name, value in (
            ("description", description),
            ("privateIpAddress", "" if explicit else address),
            ("secondaryPrivateIpAddressCount", 0 if explicit else secondaries),
            ("ipv4PrefixCount", prefixes),
            ("ipv6AddressCount", ipv6),
        ):
            if value:
                request[name] = value
        call = self._call("CreateNetworkInterface", account, subnet, request)
        if address and not singles:
            self.refuse(call, "InvalidIPAddress.InUse")
        meet = {spell(text)[1] for text in singles}.intersection(blocks)
        if not singles or len(blocks) < prefixes or len(sixes) < ipv6 or meet:
            self.refuse(call, "InsufficientFreeAddressesInSubnet")
        held = dict.fromkeys(singles, SECONDARY) | {singles[0]: PRIMARY}
        held |= dict.fromkeys(blocks, PREFIX) | dict.fromkeys(sixes, IPV6)
        eni_id = self._new("eni")
        shown = _interface(eni_id, subnet, account, held)
        if description:
            shown["description"] = description
        event = self._emit(call, {"networkInterface": shown})
        return self._born(eni_id, subnet, account, held, event)

    def attach(self, eni: Eni, instance: Instance) -> Attachment:
        """AttachNetworkInterface at the lowest free device; it will outlive the instance."""
        index = next(number for number in range(1, 99) if number not in instance.devices)
        request = {
            "networkInterfaceId": eni.id,
            "instanceId": instance.id,
            "deviceIndex": index,
        }
        call = self._call("AttachNetworkInterface", eni.account, eni.subnet, request)
        if not self.can_attach(eni, instance.account, instance.subnet.vpc):
            self.refuse(call, "InvalidNetworkInterface.InUse")
        if instance.state != "running":
            self.refuse(call, "IncorrectState")
        attachment_id = self._new("eni-attach")
        event = self._emit(call, {"attachmentId": attachment_id})
        return self._attach(eni, instance, index, attachment_id, event)

    def modify(self, eni: Eni, delete_on_termination: bool) -> None:
        """ModifyNetworkInterfaceAttribute: whether it goes with its instance."""
        attachment = eni.attachment
        named = {
            "attachmentId": attachment.id if attachment else self._new("eni-attach"),
            "deleteOnTermination": delete_on_termination,
        }
        request = {"networkInterfaceId": eni.id, "attachment": named}
        call = self._call("ModifyNetworkInterfaceAttribute", eni.account, eni.subnet, request)
        if attachment is None or attachment.instance.state != "running":
            self.refuse(call, "InvalidAttachmentID.NotFound")
        self._emit(call, {"_return": True})
        attachment.delete_on_termination = delete_on_termination

    def describe(self, eni: Eni, text: str) -> None:
        """ModifyNetworkInterfaceAttribute: a description, which moves no address."""
        request = {"networkInterfaceId": eni.id, "description": {"value": text}}
        call = self._call("ModifyNetworkInterfaceAttribute", eni.account, eni.subnet, request)
        self._emit(call, {"_return": True})

    def detach(self, attachment: Attachment, force: bool = False) -> None:
        """DetachNetworkInterface: the record names only the attachment."""
        request: Record = {"attachmentId": attachment.id} | ({"force": True} if force else {})
        eni = attachment.eni
        call = self._call("DetachNetworkInterface", eni.account, eni.subnet, request)
        if attachment.end is not None:
            self.refuse(call, "InvalidAttachmentID.NotFound")
        if attachment.device_index == 0 or attachment.instance.state != "running":
            self.refuse(call, "OperationNotPermitted")
        self._detach(attachment, self.now, self._emit(call, {"_return": True}))

    def delete(self, eni: Eni) -> None:
        """DeleteNetworkInterface: only one that is not attached."""
        request = {"networkInterfaceId": eni.id}
        call = self._call("DeleteNetworkInterface", eni.account, eni.subnet, request)
        if not eni.alive:
            self.refuse(call, "InvalidNetworkInterfaceID.NotFound")
        if eni.attachment is not None:
            self.refuse(call, "InvalidParameterValue", f"Interface {eni.id} is in use.")
        self._destroy(eni, self.now, self._emit(call, {"_return": True}), DELETED)

    # - calls: addresses -

    def assign(
        self,
        eni: Eni,
        *names: str,
        count: int = 0,
        kind: str = SECONDARY,
        allow_reassignment: bool | None = None,
        choice: int = 0,
    ) -> list[str]:
        """AssignPrivateIpAddresses or AssignIpv6Addresses: by name, or a count of a kind.

        What the interface has already, it simply keeps; with ``allow_reassignment`` it
        takes secondary addresses from others. IPv6 may be spelled in any way.
        """
        is_v6 = (kind_of(names[0]) if names else kind) in (IPV6, IPV6_PREFIX)
        kinds = (IPV6, IPV6_PREFIX) if is_v6 else (SECONDARY, PREFIX)
        request: Record = {"networkInterfaceId": eni.id}
        for held_kind in kinds:
            wanted = [name for name in names if kind_of(name) == held_kind]
            if wanted or not is_v6:
                request[_SHAPES[held_kind].names] = _asked(wanted, held_kind, self._events)
        if count:
            request[_SHAPES[kind].number] = count
        if allow_reassignment is not None:
            request["allowReassignment"] = allow_reassignment
        action = "AssignIpv6Addresses" if is_v6 else "AssignPrivateIpAddresses"
        call = self._call(action, eni.account, eni.subnet, request)
        if not eni.alive:
            self.refuse(call, "InvalidNetworkInterfaceID.NotFound")
        given = [spell(name)[0] for name in names]
        stolen = self._in_the_way(call, eni, given, bool(allow_reassignment))
        if count:
            given = self._choose(eni.subnet, kind, count, choice)
        if not given:
            self.refuse(call, "InsufficientFreeAddressesInSubnet")
        response: Record = {"networkInterfaceId": eni.id}
        for held_kind in kinds:
            got = [text for text in given if kind_of(text) == held_kind]
            response[_SHAPES[held_kind].response] = _given(got, held_kind, self._events)
        if not is_v6:
            response["_return"] = True
        event = self._emit(call, response)
        for holding in stolen:
            self._release(holding, self.now, event, STOLEN)
        for text in given:
            if text not in eni.held:
                self._hold(eni, text, kind_of(text), event)
        return given

    def _in_the_way(self, call: Call, eni: Eni, texts: Sequence[str], allow: bool) -> list[Holding]:
        """Return the holdings of others that end; refuse if an address is not available."""
        stolen = []
        for text in texts:
            held = eni.subnet.held.get(text)
            if not lies_in(text, *eni.subnet.cidrs):
                self.refuse(call, "InvalidParameterValue", f"{text} is not in the subnet.")
            if held is None and not eni.subnet.is_free(text):
                self.refuse(call, "InvalidParameterValue", f"[{text}] is in use.")
            if held is None or (held.eni is eni and held.kind != PRIMARY):
                continue
            same_owner = held.eni is not eni and held.eni.account == eni.account
            if not (allow and same_owner and held.kind == SECONDARY):
                self.refuse(call, "InvalidParameterValue", f"[{text}] may not be moved.")
            stolen.append(held)
        return stolen

    def unassign(self, eni: Eni, *names: str) -> None:
        """UnassignPrivateIpAddresses or UnassignIpv6Addresses: all must be there, no primary."""
        is_v6 = ":" in names[0]
        request: Record = {"networkInterfaceId": eni.id}
        response: Record = {"networkInterfaceId": eni.id} if is_v6 else {"_return": True}
        texts = list(dict.fromkeys(spell(name)[0] for name in names))
        for held_kind in (IPV6, IPV6_PREFIX) if is_v6 else (SECONDARY, PREFIX):
            asked = [name for name in names if kind_of(name) == held_kind]
            request[_SHAPES[held_kind].names] = _asked(asked, held_kind, self._events)
            if is_v6:
                gone = [text for text in texts if kind_of(text) == held_kind]
                response[f"un{_SHAPES[held_kind].response}"] = _given(gone, held_kind, self._events)
        action = "UnassignIpv6Addresses" if is_v6 else "UnassignPrivateIpAddresses"
        call = self._call(action, eni.account, eni.subnet, request)
        if any(text not in eni.held or eni.held[text].kind == PRIMARY for text in texts):
            self.refuse(call, "InvalidParameterValue", "Some are not assigned to it.")
        event = self._emit(call, response)
        for text in texts:
            self._release(eni.held[text], self.now, event, UNASSIGNED)

    # - the truth -

    def during(self, ip: str, second: int, vpc: str | None = None) -> Iterator[Holding]:
        """Yield the holdings of an address that overlap a second, in one VPC or in all.

        An address is held by itself or through the prefix that contains it.
        """
        begin = second * 1000
        for vpc_id in [known.id for known in self.vpcs] if vpc is None else [vpc]:
            for text in dict.fromkeys(spell(ip)):
                history = self._history.get((vpc_id, text), ())
                index = bisect_left(history, begin + 1000, key=_start)
                for holding in history[index - 1 :: -1] if index else ():
                    if holding.end is not None and holding.end <= begin:
                        break
                    yield holding

    def holders(self, ip: str, at_second: int) -> set[tuple[str, str]]:
        """Return (VPC, interface) of all that held the address at some moment of a second."""
        return {(h.vpc, h.eni.id) for h in self.during(ip, at_second)}

    def holders_throughout(self, ip: str, at_second: int) -> set[tuple[str, str]]:
        """Return (VPC, interface) of all that held the address for the whole second."""
        return {(h.vpc, h.eni.id) for h in self.during(ip, at_second) if _spans(h, at_second)}

    def latest(self, ip: str, at_second: int, vpc: str) -> Holding | None:
        """Return the last holding of an address in a VPC that began by the end of a second."""
        found: list[Holding] = []
        for text in dict.fromkeys(spell(ip)):
            history = self._history.get((vpc, text), ())
            index = bisect_left(history, (at_second + 1) * 1000, key=_start)
            found += history[index - 1 : index] if index else []
        return max(found, key=_start, default=None)

    def attached(self, eni: str, at_second: int) -> set[str]:
        """Return the instances to which an interface was attached at some moment."""
        begin = at_second * 1000
        return {
            a.instance.id
            for a in self._attached.get(eni, ())
            if a.start < begin + 1000 and (a.end is None or a.end > begin)
        }

    def attached_throughout(self, eni: str, at_second: int) -> str | None:
        """Return the instance to which an interface was attached for the whole second."""
        spanning = (a for a in self._attached.get(eni, ()) if _spans(a, at_second))
        return next((a.instance.id for a in spanning), None)


def _start(holding: Holding) -> int:
    return holding.start


def _spans(time: Holding | Attachment, second: int) -> bool:
    """Return whether something lasted for the whole second."""
    return time.start <= second * 1000 and (time.end is None or time.end >= second * 1000 + 1000)


# --- runs as plain numbers -------------------------------------------------------------------


class Step(NamedTuple):
    """One action of a run; the numbers choose among what is possible when it is played."""

    action: str
    wait: int = 0
    which: int = 0
    what: int = 0
    how: int = 0


def _pick(candidates: Sequence[T], number: int) -> T:
    return candidates[number % len(candidates)]


def _eni(world: World, step: Step, kind: str = PRIMARY) -> Eni:
    """Return an interface, if possible one that holds something of a kind; or make one."""
    enis = world.enis
    for number in range(len(enis) if kind != PRIMARY else 0):
        eni = _pick(enis, step.which + number)
        for holding in eni.held.values():
            if holding.kind == kind:
                return eni
    return _pick(enis, step.which) if enis else _create(world, step)


def _instance(world: World, step: Step) -> Instance:
    """Return a running instance, or launch one."""
    return _pick(world.instances, step.which) if world.instances else _run(world, step)


def _oddly(name: str) -> str:
    """Return an IPv6 address in an unusual spelling."""
    return ip_address(name).exploded.upper()


def _run(world: World, step: Step) -> Instance:
    subnet = _pick(world.subnets, step.which)
    account = _pick(subnet.vpc.accounts, step.how >> 4)
    loose = [e for e in world.enis if world.can_attach(e, account, subnet.vpc)]
    form = step.how % 8
    return world.run(
        subnet,
        account=account,
        count=2 if form == 4 else 1,
        secondaries=1 if form == 5 else 0,
        existing=_pick(loose, step.what) if loose and form in (3, 7) else None,
        choice=step.what,
    )[0]


def _create(world: World, step: Step) -> Eni:
    subnet = _pick(world.subnets, step.which)
    form = step.how % 8
    return world.create(
        subnet,
        account=_pick(subnet.vpc.accounts, step.how >> 4),
        address=_pick(subnet.pool[SECONDARY], step.what) if form == 5 else "",
        secondaries=(1, 2, 0, 0, 1, 1, 3, 0)[form],
        explicit=form == 4,
        prefixes=1 if form == 3 else 0,
        ipv6=1 if form == 7 else 0,
        description="addresses of pods" if step.how & 8 else None,
        choice=step.what,
    )


def _attach(world: World, step: Step) -> None:
    loose = [eni for eni in world.enis if eni.attachment is None]
    eni = _pick(loose, step.which) if loose else _create(world, step)
    near = [i for i in world.instances if world.can_attach(eni, i.account, i.subnet.vpc)]
    if not near:
        world.run(eni.subnet, account=eni.account, existing=eni, choice=step.what)
    else:
        world.attach(eni, _pick(near, step.what))
        if step.how % 4 == 1:
            world.modify(eni, True)


def _detach(world: World, step: Step) -> None:
    extra = [e for e in world.enis if e.attachment and e.attachment.device_index]
    eni = _pick(extra, step.which) if extra else _eni(world, step)
    if eni.attachment is None:
        _attach(world, step)
    else:
        world.detach(eni.attachment, force=bool(step.how & 1))


def _modify(world: World, step: Step) -> None:
    extra = [e for e in world.enis if e.attachment and e.attachment.device_index]
    eni = _pick(extra, step.which) if extra else _eni(world, step)
    if step.how % 8 == 7:
        world.describe(eni, f"renamed <{step.what}>")
    else:
        world.modify(eni, step.how % 4 != 1)


def _delete(world: World, step: Step) -> None:
    loose = [eni for eni in world.enis if eni.attachment is None]
    if loose and step.how % 8 != 7:
        world.delete(_pick(loose, step.which))
    else:
        world.delete(_eni(world, step))


def _assign_some(kind: str, world: World, step: Step) -> None:
    """Assign by count or, for an odd ``how``, by a name that may be taken."""
    eni = _eni(world, step)
    if step.how & 1 and kind != SECONDARY:
        name = _pick(eni.subnet.pool[kind], step.what)
        world.assign(eni, _oddly(name) if kind == IPV6 and step.how & 2 else name)
    else:
        count = 1 if kind in (PREFIX, IPV6_PREFIX) else 1 + (step.how >> 2) % 3
        world.assign(eni, count=count, kind=kind, choice=step.what)


def _assign_named(world: World, step: Step) -> None:
    eni = _eni(world, step)
    pool = eni.subnet.pool[SECONDARY]
    names = {_pick(eni.subnet.free(SECONDARY) or pool, step.what)}
    if step.how & 1:
        names.add(_pick(pool, step.what + 1))
    allow = (None, False, True, True)[step.how >> 1 & 3]
    world.assign(eni, *sorted(names), allow_reassignment=allow)


def _assign_again(world: World, step: Step) -> None:
    eni = _eni(world, step, SECONDARY)
    names = [_pick(eni.holds(SECONDARY) or eni.holds(PRIMARY), step.what)]
    free = eni.subnet.free(SECONDARY)
    if free and step.how & 1:
        names.append(_pick(free, step.what))
    world.assign(eni, *names, allow_reassignment=True if step.how & 2 else None)


def _steal(world: World, step: Step) -> None:
    held = [holding for subnet in world.subnets for holding in subnet.held.values()]
    victims = [holding for holding in held if holding.kind == SECONDARY]
    if not victims:
        return _assign_some(SECONDARY, world, step)
    victim = _pick(victims, step.what)
    eni, names = victim.eni, [victim.text]
    near = [e for e in world.enis if e.subnet is eni.subnet and e is not eni]
    own = [e for e in near if e.account == eni.account]
    if not own:
        own = [world.create(eni.subnet, account=eni.account, choice=step.what)]
    free = eni.subnet.free(SECONDARY)
    if free and step.how % 4 == 1:
        names.append(_pick(free, step.what))
    thief = _pick(near if near and step.how % 8 == 6 else own, step.which)
    world.assign(thief, *names, allow_reassignment=step.how % 8 != 7)
    return None


def _unassign_some(kind: str, world: World, step: Step) -> None:
    """Unassign one of a kind, sometimes all, sometimes a primary address, which fails."""
    eni = _eni(world, step, kind)
    names = eni.holds(kind)
    if not names and step.how & 3:
        return _assign_some(kind, world, step)
    if step.how % 8 != 3:
        names = [_pick(names or eni.holds(PRIMARY), step.what)]
    if kind == IPV6 and names[0] and step.how & 4:
        names = [_oddly(name) if ":" in name else name for name in names]
    return world.unassign(eni, *names)


def _doomed(world: World, step: Step) -> list[Instance]:
    """Return one instance, or two of one account and region."""
    first = _instance(world, step)
    peers = [
        instance
        for instance in world.instances
        if instance is not first
        and instance.account == first.account
        and instance.subnet.vpc.region == first.subnet.vpc.region
    ]
    return [first, _pick(peers, step.what)] if peers and step.how % 4 == 3 else [first]


def _delay(step: Step) -> int:
    return step.what * 613 % (LONGEST_DEATH + 1)


def _terminate(world: World, step: Step) -> None:
    if world.dead and step.how % 8 == 6:
        world.terminate(_pick(world.dead, step.which))
    else:
        world.terminate(*_doomed(world, step), delay=_delay(step))


def _evict(world: World, step: Step) -> None:
    world.evict(*_doomed(world, step), delay=_delay(step))


def _vanish(world: World, step: Step) -> None:
    world.vanish(_instance(world, step), delay=_delay(step))


def _nothing(world: World, step: Step) -> None:
    world.wait(1)


def _on(eni: Eni, **more: object) -> Record:
    return {"networkInterfaceId": eni.id, **more}


def _device(eni: Eni) -> tuple[str, str]:
    """Return the attachment and the instance of an interface, or ids that never were."""
    attachment = eni.attachment
    if attachment is None:
        return "eni-attach-00000000000000000", "i-00000000000000000"
    return attachment.id, attachment.instance.id


# parameters with values that a check would have rejected
_NO_IPS = {"privateIpAddressesSet": _set(["no address", "::g/x"])}
_NO_COUNT = {"privateIpAddressesSet": {}, "secondaryPrivateIpAddressCount": -1}
_NO_IPV6 = {"ipv6Addresses": "everything", "ipv6PrefixCount": "x"}
_NO_RUN = {"instancesSet": {"items": [{"minCount": -1, "maxCount": 0}]}}

# calls that fail, mostly about existing resources: name, error, parameters
_ASSIGN, _UNASSIGN = "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"
_NAME, _DENIED, _VALUE = "NetworkInterface", "UnauthorizedOperation", "InvalidParameterValue"
_FAILURES: list[tuple[str, str, Callable[[Eni, str], Record | None]]] = [
    (_ASSIGN, _DENIED, lambda e, ip: _on(e, **_ips([ip]), allowReassignment=True)),
    (_ASSIGN, _VALUE, lambda e, ip: _on(e, **_NO_IPS)),
    (_ASSIGN, _VALUE, lambda e, ip: _on(e, **_NO_COUNT)),
    (_ASSIGN, _VALUE, lambda e, ip: {"networkInterfaceId": "<eni>", **_ips([ip])}),
    (_UNASSIGN, _DENIED, lambda e, ip: _on(e, **_ips(e.holds(SECONDARY)))),
    (_UNASSIGN, _DENIED, lambda e, ip: _on(e, ipv4Prefixes=_asked(e.holds(PREFIX), PREFIX, 0))),
    ("AssignIpv6Addresses", _VALUE, lambda e, ip: _on(e, **_NO_IPV6)),
    (
        "UnassignIpv6Addresses",
        "RequestLimitExceeded",
        lambda e, ip: _on(e, ipv6Addresses=_asked(e.holds(IPV6), IPV6, 0)),
    ),
    (f"Create{_NAME}", _VALUE, lambda e, ip: {"subnetId": e.subnet.id, "privateIpAddress": ip}),
    (f"Create{_NAME}", "InvalidRequest", lambda e, ip: None),
    (f"Delete{_NAME}", _DENIED, lambda e, ip: _on(e)),
    (f"Detach{_NAME}", _DENIED, lambda e, ip: {"attachmentId": _device(e)[0]}),
    (
        f"Attach{_NAME}",
        "AttachmentLimitExceeded",
        lambda e, ip: _on(e, instanceId=_device(e)[1], deviceIndex=1),
    ),
    (
        f"Modify{_NAME}Attribute",
        "InvalidParameterCombination",
        lambda e, ip: _on(
            e,
            description={"value": "two at once"},
            attachment={"attachmentId": _device(e)[0], "deleteOnTermination": True},
        ),
    ),
    (
        "RunInstances",
        "InsufficientInstanceCapacity",
        lambda e, ip: {**_NO_RUN, "networkInterfaceSet": {"items": [_on(e)]}},
    ),
    (
        "TerminateInstances",
        "DryRunOperation",
        lambda e, ip: {"instancesSet": _set([_device(e)[1]], "instanceId")},
    ),
]


def _ips(texts: Sequence[str]) -> Record:
    return {"privateIpAddressesSet": _set(texts)}


def _fail(world: World, step: Step) -> None:
    eni = _eni(world, step)
    name, code, request = _pick(_FAILURES, step.how)
    address = _pick(eni.subnet.pool[SECONDARY], step.what)
    world.wait(1)
    world.refuse(Call(name, eni.account, eni.subnet.vpc.region, request(eni, address)), code)


# each action with its weight; the simplest first, towards which a run shrinks
ACTIONS: dict[str, tuple[Callable[[World, Step], object], int]] = {
    "nothing": (_nothing, 1),
    "create": (_create, 7),
    "run": (_run, 6),
    "assign": (partial(_assign_some, SECONDARY), 6),
    "unassign": (partial(_unassign_some, SECONDARY), 12),
    "assign named": (_assign_named, 6),
    "steal": (_steal, 6),
    "delete": (_delete, 6),
    "attach": (_attach, 8),
    "detach": (_detach, 3),
    "modify": (_modify, 3),
    "terminate": (_terminate, 6),
    "evict": (_evict, 1),
    "vanish": (_vanish, 1),
    "assign again": (_assign_again, 3),
    "assign prefix": (partial(_assign_some, PREFIX), 2),
    "unassign prefix": (partial(_unassign_some, PREFIX), 3),
    "assign ipv6": (partial(_assign_some, IPV6), 2),
    "unassign ipv6": (partial(_unassign_some, IPV6), 3),
    "assign ipv6 prefix": (partial(_assign_some, IPV6_PREFIX), 2),
    "unassign ipv6 prefix": (partial(_unassign_some, IPV6_PREFIX), 2),
    "fail": (_fail, 3),
}
_WEIGHTED = [name for name, (_, weight) in ACTIONS.items() for _ in range(weight)]
_WAITS = (0, 0, 1, 50, 100, 200, 400, 700, 900, 1_000, 1_300, 1_700, 2_000, 2_500, 3_000)
_LONG_WAITS = (6_000, 30_000, 70_000, 400_000)


def take(world: World, step: Step) -> None:
    """Take one step in a world; EC2 may refuse it."""
    world.wait(step.wait)
    with suppress(Refused):
        ACTIONS[step.action][0](world, step)


def perform(world: World, run: Iterable[Step]) -> World:
    """Play a run in a world and let it settle."""
    for step in run:
        take(world, step)
    world.settle()
    return world


def play(run: Iterable[Step], vpcs: int = 3, pool: int = 6) -> World:
    """Return a new world after a run."""
    return perform(World(vpcs, pool), run)


def random_steps(seed: int, actions: int) -> Iterator[Step]:
    """Yield the steps of a run that follows from a seed."""
    bits, names = random.Random(seed).getrandbits, len(_WEIGHTED)
    waits = (*_WAITS * 4, *_LONG_WAITS)
    for _ in range(actions):
        number = bits(64)
        wait = waits[(number >> 52) % len(waits)] + (number >> 48 & 0xF)
        # half of the choices take what was released last, so that addresses are reused at once
        what = number >> 24 & 0xFF if number >> 23 & 1 else 0
        which, how = number >> 32 & 0xFFFF, number >> 17 & 0x3F
        yield Step(_WEIGHTED[(number & 0x1FFFF) % names], wait, which, what, how)


def random_world(
    seed: int,
    actions: int,
    vpcs: int = 4,
    pool: int = 10,
    sink: Callable[[Record], object] | None = None,
) -> World:
    """Return a large world that follows from a seed."""
    world, collecting = World(vpcs, pool, sink), gc.isenabled()
    gc.disable()  # everything created here is kept, so there is no garbage to collect
    try:
        return perform(world, random_steps(seed, actions))
    finally:
        if collecting:
            gc.enable()


# --- what reaches the reader -----------------------------------------------------------------


@dataclass(frozen=True)
class Losses:
    """What goes wrong between the calls and the reader; nothing by default.

    ``begin``, ``end``: there is no record from before a second, or from then on.
    ``holes``: [from, to) seconds whose delivery windows are missing as whole files.
    ``late``: (record number, windows later); ``repeated``: the same, as a second copy.
    ``accounts``: those whose trail is not there at all.
    ``drop_records``: single records that vanish from among their neighbours, which does
    not happen with CloudTrail; kept apart for tests of what cannot be.
    Numbers of records count modulo the number of records.
    """

    begin: int | None = None
    end: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    late: tuple[tuple[int, int], ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    accounts: frozenset[str] = frozenset()
    drop_records: frozenset[int] = frozenset()

    def misses_window(self, window: int) -> bool:
        """Return whether the files of a delivery window are missing."""
        begin, end = window * WINDOW, (window + 1) * WINDOW
        return any(start < end and begin < stop for start, stop in self.holes)

    def misses_second(self, second: int) -> bool:
        """Return whether a second is before the start or after the end of the logs."""
        early = self.begin is not None and second < self.begin
        return early or (self.end is not None and second >= self.end)


def small_world(seed: int) -> tuple[World, Losses]:
    """Return a small and crowded world that follows from a seed, and what goes wrong with its logs."""
    chance = random.Random(seed)
    steps = random_steps(seed, chance.randint(1, 40))
    world = play(steps, vpcs=chance.randint(1, 4), pool=chance.randint(3, 6))
    return world, losses_of(world, chance)


def losses_of(world: World, chance: random.Random) -> Losses:
    """Return what goes wrong with the logs of a world, near its events."""
    seconds = sorted({second_of(record) for record in world.records}) or [START]
    accounts = sorted({account for vpc in world.vpcs for account in vpc.accounts})

    def moment() -> int:
        return chance.choice(seconds) + chance.randint(0, 1)

    def hole() -> tuple[int, int]:
        start = moment()
        return start, start + chance.randint(NOTICED, 30) * WINDOW

    def delayed() -> tuple[tuple[int, int], ...]:
        some = range(chance.choice((0, 0, 1, 2, 4)))
        return tuple((chance.randrange(max(1, len(world.records))), chance.randint(1, 40)) for _ in some)

    return Losses(
        begin=chance.choice((None, None, moment())),
        end=chance.choice((None, None, moment())),
        holes=tuple(hole() for _ in range(chance.choice((0, 1, 1, 2)))),
        late=delayed(),
        repeated=delayed(),
        accounts=frozenset(chance.sample(accounts, chance.choice((0, 0, min(1, len(accounts) - 1))))),
    )


@dataclass(eq=False)
class Delivery:
    """The log files of a world as they reached the reader.

    ``lost`` has the ids of the events that did not; ``old`` the addresses and prefixes
    that interfaces older than the logs' begin held after it, each with its prefix.
    """

    world: World
    losses: Losses
    files: list[LogFile]
    lost: frozenset[str]
    old: dict[str, str]

    @property
    def lacks_only_the_begin(self) -> bool:
        """Return whether nothing is missing after the start of the logs."""
        losses = self.losses
        return losses.end is None and not (losses.holes or losses.accounts or losses.drop_records)

    @property
    def complete(self) -> bool:
        """Return whether nothing is missing, though records may be late or repeated."""
        return self.losses.begin is None and self.lacks_only_the_begin

    @property
    def records(self) -> list[Record]:
        """Return the records of all files, one after the other."""
        return [record for _, records in self.files for record in records]


def file_name(account: str, region: str, window: int, part: int = 0) -> str:
    """Return the key of a window's log file in the layout of a trail."""
    stamp = datetime.fromtimestamp((window + 1) * WINDOW, UTC)
    letters = f"{scramble(int(account) ^ window * 8 + part):016x}"
    return (
        f"AWSLogs/{account}/CloudTrail/{region}/{stamp:%Y/%m/%d}/"
        f"{account}_CloudTrail_{region}_{stamp:%Y%m%dT%H%MZ}_{letters}.json.gz"
    )


def _heartbeats(world: World, last: int) -> Iterator[Record]:
    """Yield the reads of a monitor up to a window, so that a window without a file is a log gap."""
    trails = sorted({(account, vpc.region) for vpc in world.vpcs for account in vpc.accounts})
    for place, (account, region) in enumerate(trails):
        call = Call("DescribeInstances", account, region, {"instancesSet": {}, "filterSet": {}})
        for second in range(START + place, (last + 1) * WINDOW, HEARTBEAT):
            yield make_record((1 << 46) + (second << 3) + place, second, call, None)


def deliver(world: World, losses: Losses | None = None, heartbeat: bool = True) -> Delivery:
    """Return the log files of a world, in the order of their delivery.

    A late record never gets lost by being late: it waits for the next window that is
    there, or else comes in its own. It survives if only its own window is missing.
    """
    losses = losses or Losses()
    total = max(1, len(world.records))
    late = {number % total: windows for number, windows in losses.late}
    repeated = {number % total: windows for number, windows in losses.repeated}
    dropped = {number % total for number in losses.drop_records}
    last = world.now // 1000 // WINDOW + max([0, *late.values(), *repeated.values()])
    files: dict[tuple[int, str, str, int], list[Record]] = {}
    lost: set[str] = set()

    def land(record: Record, later: int = 0, part: int = 0) -> bool:
        """Put a record into the file of a window that is delivered, if there is one."""
        second = second_of(record)
        window = target = second // WINDOW
        account, region = record["recipientAccountId"], record["awsRegion"]
        if losses.misses_second(second) or account in losses.accounts:
            return False
        if later:
            rest = range(window + later, last + 1)
            target = next((number for number in rest if not losses.misses_window(number)), window)
        if losses.misses_window(target):
            return False
        files.setdefault((target, account, region, part), []).append(record)
        return True

    for number, record in enumerate(world.records):
        arrived = number not in dropped and land(record, late.get(number, 0))
        if number in repeated and number not in dropped:
            arrived = land(record, repeated[number], 1) or arrived
        if not arrived:
            lost.add(record["eventID"])
    for record in _heartbeats(world, last) if heartbeat else ():
        land(record)
    named = [
        (file_name(account, region, window, part), files[window, account, region, part])
        for window, account, region, part in sorted(files)
    ]
    return Delivery(world, losses, named, frozenset(lost), _held_by_old(world, losses.begin))


def _held_by_old(world: World, begin: int | None) -> dict[str, str]:
    """Return what interfaces older than the logs' begin held after it, with its prefixes."""
    since = START if begin is None else begin
    return {
        holding.text: spell(holding.text)[1]
        for holding in world.holdings
        if holding.eni.born < since * 1000
        if holding.end is None or holding.end >= since * 1000
    }


def write(files: Iterable[LogFile], directory: Path, compress: bool = True) -> list[Path]:
    """Write log files below a directory, compact as CloudTrail writes them."""
    written = []
    for name, records in files:
        path = directory / (name if compress else name.removesuffix(".gz"))
        path.parent.mkdir(parents=True, exist_ok=True)
        body = json.dumps({"Records": records}, separators=(",", ":")).encode()
        path.write_bytes(gzip.compress(body, 1, mtime=0) if compress else body)
        written.append(path)
    return written


# --- questions and their answers -------------------------------------------------------------


class Question(NamedTuple):
    """A question, its true answer, and whether the delivered logs determine it.

    ``eni`` held the address in that VPC for the whole second; None: no single one did.
    """

    ip: str
    vpc: str
    second: int
    eni: str | None
    determined: bool


def determined(world: World, delivery: Delivery, ip: str, at_second: int, vpc: str | None = None) -> bool:
    """Return whether the delivered logs determine who held an address; in doubt, they do not.

    They do if nothing is missing (or only what came before a begin, and no interface
    older than that has to do with the address), the second is no boundary of the address
    in its VPC, and the last to hold it by then did not end silently, nor was about to go
    after a logged termination. Without a VPC, this must hold in all of them.
    """
    begin = delivery.losses.begin or START
    if not (delivery.lacks_only_the_begin and begin <= at_second <= world.now // 1000):
        return False
    old = delivery.old
    if any(text in old for text in spell(ip)):
        return False
    for vpc_id in [known.id for known in world.vpcs] if vpc is None else [vpc]:
        last = world.latest(ip, at_second, vpc_id)
        if last is None:
            continue
        if last.text == spell(ip)[1] and last.text in old.values():
            return False
        end = None if last.end is None else last.end // 1000
        if last.ending == SILENT or at_second in (last.start // 1000, end):
            return False
        notice = last.eni.notice
        if notice is not None and notice // 1000 <= at_second and (end is None or at_second < end):
            return False
    return True


def ask(world: World, delivery: Delivery, ip: str, vpc: str, second: int) -> Question:
    """Return a question with its true answer."""
    spanning = (h for h in world.during(ip, second, vpc) if _spans(h, second))
    eni = next((holding.eni.id for holding in spanning), None)
    return Question(ip, vpc, second, eni, determined(world, delivery, ip, second, vpc))


def questions(
    world: World, delivery: Delivery | None = None, count: int = 200, seed: int = 0
) -> Iterator[Question]:
    """Yield questions about addresses and times around which something happened."""
    delivery = delivery or deliver(world, heartbeat=False)
    chance = random.Random(seed)
    for _ in range(count if world.holdings else 0):
        holding = chance.choice(world.holdings)
        begin = holding.start // 1000
        end = (world.now if holding.end is None else holding.end) // 1000
        within = chance.randint(begin, end)
        second = chance.choice((begin, end, begin + 1, end - 1, within, within, within))
        second += chance.choice((0, 0, 0, 0, 0, -1, 1, 3))
        yield ask(world, delivery, _one_of(holding.text, chance), holding.vpc, second)


def _one_of(text: str, chance: random.Random) -> str:
    """Return an address itself, or one address of a prefix."""
    if "/" not in text:
        return text
    network = ip_network(text)
    return str(network[chance.randrange(min(network.num_addresses, 1 << 16))])


# --- hypothesis ------------------------------------------------------------------------------


def numbered(action: str, wait: int, number: int) -> Step:
    """Return a step whose three choices are packed into one number."""
    return Step(action, wait, number & 15, number >> 4 & 15, number >> 8)


def steps() -> st.SearchStrategy[Step]:
    """Draw one action of a run; it shrinks towards no waiting and the first choice."""
    waits = st.sampled_from(sorted({*_WAITS, *_LONG_WAITS, 1_500_000}))
    # three draws and not five: drawing takes longer than playing
    return st.builds(numbered, st.sampled_from(_WEIGHTED), waits, st.integers(0, (1 << 14) - 1))


def worlds(max_actions: int = 40) -> st.SearchStrategy[World]:
    """Draw a whole run of at most ``max_actions`` actions, in small and crowded networks."""
    runs = st.integers(1, max_actions).flatmap(lambda size: st.lists(steps(), min_size=size, max_size=size))
    return st.builds(play, runs, vpcs=st.integers(1, 4), pool=st.integers(3, 6))


def losses(
    world: World, shortest_hole: int = NOTICED * WINDOW, drop_records: bool = False
) -> st.SearchStrategy[Losses]:
    """Draw what goes wrong on the way, from nothing to a lot, near the events."""
    seconds = sorted({second_of(record) for record in world.records}) or [START]
    moments = st.builds(int.__add__, st.sampled_from(seconds), st.integers(0, 1))
    numbers = st.integers(0, max(0, len(world.records) - 1))
    delayed = st.lists(st.tuples(numbers, st.integers(1, 40)), max_size=4).map(tuple)
    longer = st.integers(0, 12)
    hole = st.builds(lambda at, more: (at, at + shortest_hole + more * WINDOW), moments, longer)
    accounts = sorted({account for vpc in world.vpcs for account in vpc.accounts})
    return st.builds(
        Losses,
        begin=st.none() | moments,
        end=st.none() | moments,
        holes=st.lists(hole, max_size=2).map(tuple),
        late=delayed,
        repeated=delayed,
        accounts=st.frozensets(st.sampled_from(accounts), max_size=len(accounts) - 1),
        drop_records=st.frozensets(numbers, max_size=3 if drop_records else 0),
    )


def deliveries(
    world: World, shortest_hole: int = NOTICED * WINDOW, drop_records: bool = False
) -> st.SearchStrategy[Delivery]:
    """Draw how a world's logs reach the reader."""
    return st.builds(deliver, st.just(world), losses(world, shortest_hole, drop_records))
