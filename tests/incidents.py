"""Small stories for the findings, written call by call with the records of the fixtures."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import calls
from callers import Caller, Irsa, Role, iam_user, node_session, resource_controller
from calls import Call, Eni, Instance, Subnet, assign, create_network_interface, failed
from calls import Record as Entry
from cni import CNI_1_18, go_sdk_v2, launch, node_tags, sdk_of, signs_in
from simulator import Delivery
from trail import Trail

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.decode import decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import Coverage, Finding, History, Origin, Record, Sign
from cnitrail.sources.layout import log_name

ACCOUNT = "111111111111"
REGION = "eu-west-1"
CLUSTER = "quay"
SUBNET = Subnet(
    "subnet-0aaaaaaaaaaaaaaa1",  # 10.9.0.0/16
    "vpc-0aaaaaaaaaaaaaaa1",
    ACCOUNT,
    "eu-west-1a",
    "sg-0aaaaaaaaaaaaaaa1",
)
NODE = "i-0aaaaaaaaaaaaaaa1"
OTHER_NODE = "i-0bbbbbbbbbbbbbbb1"
NODE_ROLE = Role(ACCOUNT, "quay-NodeInstanceRole")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE0QUAY"
AWS_NODE = Irsa(
    Role(ACCOUNT, "eksctl-quay-addon-vpc-cni-Role1-AAAAAAAAAAAA"),
    PROVIDER,
    CNI_1_18,
    sdk_of(CNI_1_18),
    "203.0.113.9",
)
GO = f"{go_sdk_v2('1.24.1', '1.36.3', 'ec2#1.215.0')} m/E,e"
"""A user agent that names no program, only the Go SDK."""

CILIUM = Irsa(
    Role(ACCOUNT, "cilium-operator-quay"), PROVIDER, GO, GO, "203.0.113.9", "kube-system:cilium-operator"
)
CLI = (
    "aws-cli/2.27.31 md/awscrt#0.26.1 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.13.3 md/pyimpl#CPython"
)
BOTO = "Boto3/1.34.20 md/Botocore#1.34.20 ua/2.0 os/linux#5.15.0 md/arch#x86_64 lang/python#3.11.7"

FULL = (
    "Client.InsufficientFreeAddressesInSubnet",
    "The specified subnet does not have enough free addresses.",
)
DENIED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
THROTTLED = ("Client.RequestLimitExceeded", "Request limit exceeded.")
LIMIT = ("Client.PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")

ADA = iam_user(ACCOUNT, "ada", "198.51.100.7", CLI)
"""A person with the AWS CLI."""


class Incident(Trail):
    """The trail of one account and Region from a Monday on; hours continue beyond 24."""

    def __init__(self) -> None:
        super().__init__("incident", ACCOUNT, REGION, "2026-03-02", "1.11")
        self._records: list[Entry] = []

    def log(self, clock: str, caller: Caller, call: Call, *, request_id: str = "", late: int = 0) -> None:
        """Add a record."""
        self._records.append(self.record(self.time(clock), caller, call, request_id))

    def add(self, *records: Entry) -> None:
        """Add records of another trail."""
        self._records.extend(records)

    def history(self) -> History:
        """Return the history of the records so far."""
        ledger = Ledger()
        for index, entry in enumerate(self._records):
            fact = decode(Record((Origin("log.json.gz", index),), json.dumps(entry).encode())).fact
            if fact is not None:
                ledger.add(fact)
        return build(ledger.events(), ledger.sessions())

    def findings(
        self, since: str, until: str, *, hole: tuple[str, str] | None = None, wanted: Filter | None = None
    ) -> list[Finding]:
        """Return the findings in log files that cover a time, except for a log gap."""
        history = self.history()
        coverage = cover(self._signs(since, until, hole), history.events)
        return list(findings(history, coverage, wanted or Filter()))

    def found(
        self, rule: str, since: str, until: str, *, hole: tuple[str, str] | None = None
    ) -> list[Finding]:
        """Return the findings of one rule."""
        return [finding for finding in self.findings(since, until, hole=hole) if finding.rule == rule]

    def _signs(self, since: str, until: str, hole: tuple[str, str] | None) -> Iterator[Sign]:
        time, end = self.time(since), self.time(until)
        closed = [self.time(clock) for clock in hole] if hole else [end, end]
        while time <= end:
            if not closed[0] < time < closed[1]:
                yield ACCOUNT, REGION, time
            time += timedelta(minutes=5)


def clock(seconds: int) -> str:
    """A time of the story, in seconds after midnight."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def node(
    incident: Incident, at: str, instance: str = NODE, kind: str = "m5.large", cluster: str = CLUSTER
) -> Eni:
    """Launch a node of the cluster; return its first ENI."""
    mark = instance.removeprefix("i-")
    first = Eni(f"eni-{mark}", SUBNET, f"10.9.0.{int(mark[-3:], 16) % 200 + 4}", f"eni-attach-{mark}")
    launch(incident, at, NODE_ROLE, Instance(instance, kind, first, node_tags(cluster, "apps")))
    return first


def cni(incident: Incident, instance: str = NODE, agent: str = CNI_1_18) -> Caller:
    """The CNI of a node as a caller with the node's role."""
    return node_session(NODE_ROLE, instance, incident.time("00:00:00"), "203.0.113.7", agent).caller


def create_subnet(subnet: Subnet = SUBNET, cidr: str = "10.9.0.0/24") -> Call:
    """The creation of a subnet without tags."""
    return calls.create_subnet(subnet, cidr, {})


def controller(incident: Incident, role: str = "quay-ClusterRole") -> Caller:
    """The VPC resource controller, with the role of the cluster."""
    return resource_controller(Role(ACCOUNT, role), incident.time("00:00:00"))


def cilium(incident: Incident) -> Caller:
    """The Cilium operator, which signed in a minute before 10 o'clock."""
    return signs_in(incident, "09:59:00", CILIUM, 5)


def of_cilium(eni: Eni, instance: str = NODE) -> Eni:
    """An ENI as the Cilium operator creates it for a node."""
    return replace(eni, description=f"Cilium-CNI ({instance})", tags={"io.cilium/cilium-managed": "true"})


def second(instance: str = NODE, number: int = 1) -> Eni:
    """Another ENI of a node, without the CNI's marks yet."""
    mark = f"{instance.removeprefix('i-')[:-2]}{number:02x}"
    return Eni(f"eni-1{mark[1:]}", SUBNET, f"10.9.1.{number}", f"eni-attach-1{mark[1:]}")


def asks(eni: Eni, count: int) -> Call:
    """A call that assigns addresses by count."""
    return assign(eni.id, *(f"10.9.{count}.{number}" for number in range(1, count + 1)))


def refused(call: Call, error: tuple[str, str]) -> Call:
    """The same call, failed."""
    return failed(call, *error)


def creation_refused(eni: Eni, count: int, error: tuple[str, str]) -> Call:
    """A failed creation of an ENI with addresses by count."""
    asked = replace(eni, secondaries=tuple(f"10.9.2.{number}" for number in range(1, count + 1)))
    return failed(create_network_interface(asked), *error)


def read(delivery: Delivery) -> tuple[History, Coverage]:
    """Return the history in the log files of a simulated world, and their coverage."""
    ledger, signs = Ledger(), set()
    for name, records in delivery.files:
        log = log_name(name)
        assert log is not None
        signs.add((log.account, log.region, log.delivered))
        for index, record in enumerate(records):
            fact = decode(Record((Origin(name, index),), json.dumps(record).encode())).fact
            if fact is not None:
                ledger.add(fact)
    history = build(ledger.events(), ledger.sessions())
    return history, cover(signs, history.events)
