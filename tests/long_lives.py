"""Records of a few ENIs that live long, and get and lose addresses of a small pool all the time.

Unlike the worlds of ``simulator``, they need not be possible: calls may name any address, and records may be
missing. All follows from a ``random.Random``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = "10.0.1.0/28"

Call = tuple[str, dict[str, Any], dict[str, Any] | None]


class Lives:
    """A run of calls on ENIs; some of its traits are chosen once, so that no two runs are alike."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._vpcs = chance.choice((1, 1, 2, 3))
        self._enis = [f"eni-{number}" for number in range(chance.choice((2, 4, 8, 20)))]
        hosts = range(1, chance.choice((3, 8, 40)))
        self._pool = [f"10.0.{block}.{host}" for block in (0, 1) for host in hosts]
        self._moves = chance.choice((0.0, 0.01, 0.05, 0.2))
        """How often an ENI is moved, deleted or described, and not its addresses changed."""
        self._made = chance.choice((0.5, 0.9, 1.0))
        """How often the creation of an ENI is in the evidence."""
        self._lost = chance.choice((0.0, 0.0, 0.03, 0.2))
        self._with_prefixes = chance.random() < 0.2
        self._doubts = chance.choice((0.0, 0.0, 0.0, 0.0, 0.01, 0.05))
        """How often a response lacks the addresses, and how often records of a call disagree."""
        self._with_nodes = chance.random() < 0.4
        self._accounts = chance.choice((1, 1, 1, 2))
        self._reassigns = chance.choice((0.0, 0.05, 0.3))
        self._steps = chance.choice(((0, 1), (1, 2, 60), (0, 1, 1, 1, 60, 3600)))
        self._second = 0
        self._number = 0

    def records(self, size: int) -> Iterator[dict[str, Any]]:
        """Yield records, by time."""
        for eni in self._enis:
            if self._chance.random() < self._made:
                yield from self._record(eni, self._creation(eni))
        for _ in range(size):
            self._second += self._chance.choice(self._steps)
            eni = self._chance.choice(self._enis)
            is_move = self._chance.random() < self._moves
            call = self._move(eni) if is_move else self._change(eni)
            if self._chance.random() >= self._lost:
                yield from self._record(eni, call)

    def _place(self, eni: str) -> int:
        return int(eni[4:])

    def _described(self, eni: str) -> dict[str, Any]:
        described: dict[str, Any] = {
            "networkInterfaceId": eni,
            "vpcId": f"vpc-{self._place(eni) % self._vpcs}",
            "privateIpAddress": self._chance.choice(self._pool),
            "description": self._chance.choice(("", "", f"aws-K8S-{self._instance(eni)}")),
        }
        if self._chance.random() < 0.2:
            described |= {"tagSet": {"items": [{"key": "eks:cluster-name", "value": "blue"}]}}
        return described

    def _instance(self, eni: str) -> str:
        return f"i-0000000{self._place(eni) % 3}"

    def _creation(self, eni: str) -> Call:
        described = self._described(eni)
        if self._chance.random() < 0.5:
            return "CreateNetworkInterface", {}, {"networkInterface": described}
        attachment = {"attachmentId": f"eni-attach-{eni}", "deleteOnTermination": True}
        machine = {
            "instanceId": self._instance(eni),
            "networkInterfaceSet": {"items": [described | {"attachment": attachment}]},
        }
        return "RunInstances", {}, {"instancesSet": {"items": [machine]}}

    def _change(self, eni: str) -> Call:
        """Return a call on the addresses of an ENI."""
        chance, on = self._chance, {"networkInterfaceId": eni}
        some = chance.sample(self._pool, chance.choice((1, 1, 2, 3)))
        named = {"items": [{"privateIpAddress": address} for address in some]}
        given = {"assignedPrivateIpAddressesSet": {"assignedPrivateIpAddressSetType": named["items"]}}
        if self._with_prefixes and chance.random() < 0.1:
            prefixes = {"ipv4Prefixes": [{"ipv4Prefix": PREFIX}]}
            return (
                chance.choice(("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")),
                on | prefixes,
                {},
            )
        if chance.random() < self._doubts:
            return "AssignPrivateIpAddresses", on | {"secondaryPrivateIpAddressCount": 2}, {"omitted": True}
        if chance.random() < 0.45:
            return "UnassignPrivateIpAddresses", on | {"privateIpAddressesSet": named}, {"_return": True}
        if chance.random() < self._reassigns:
            by_name = {"privateIpAddressesSet": named, "allowReassignment": True}
            return "AssignPrivateIpAddresses", on | by_name, given
        if chance.random() < 0.1:
            return "AssignPrivateIpAddresses", on | {"privateIpAddressesSet": named}, None
        return "AssignPrivateIpAddresses", on | {"secondaryPrivateIpAddressCount": len(some)}, given

    def _move(self, eni: str) -> Call:
        """Return a call on an ENI, or on its instance."""
        on, instance, attachment = {"networkInterfaceId": eni}, self._instance(eni), f"eni-attach-{eni}"
        on_termination = {"attachment": {"attachmentId": attachment, "deleteOnTermination": True}}
        tags = {"items": [{"key": "eks:cluster-name", "value": self._chance.choice(("blue", "green"))}]}
        calls: tuple[Call, ...] = (
            self._creation(eni),
            ("AttachNetworkInterface", on | {"instanceId": instance}, {"attachmentId": attachment}),
            ("DetachNetworkInterface", {"attachmentId": attachment}, {}),
            ("DeleteNetworkInterface", on, {}),
            ("TerminateInstances", {"instancesSet": {"items": [{"instanceId": instance}]}}, {}),
            ("ModifyNetworkInterfaceAttribute", on | on_termination, {}),
            ("CreateTags", {"resourcesSet": {"items": [{"resourceId": eni}]}, "tagSet": tags}, {}),
            (
                "AssociateTrunkInterface",
                {"branchInterfaceId": eni, "trunkInterfaceId": self._enis[0]},
                {"interfaceAssociation": {"associationId": f"trunk-assoc-{eni}"}},
            ),
            ("DisassociateTrunkInterface", {"associationId": f"trunk-assoc-{eni}"}, {}),
        )
        return self._chance.choice(calls)

    def _record(self, eni: str, call: Call) -> Iterator[dict[str, Any]]:
        """Yield the record of a call, and now and then another one that disagrees."""
        name, request, response = call
        self._number += 1
        record = {
            "eventName": name,
            "eventID": f"{self._number}-{name}",
            "eventTime": f"{BEGIN + timedelta(seconds=self._second):%Y-%m-%dT%H:%M:%SZ}",
            "requestParameters": request,
            "responseElements": response,
            "userAgent": self._chance.choice(("terraform", "amazon-vpc-cni-k8s", "cilium-operator/1.15")),
            "userIdentity": self._caller(eni),
            "recipientAccountId": "1" * 11 + str(self._place(eni) % self._accounts),
            "awsRegion": "eu-west-1",
        }
        if response is None:
            record |= {"errorCode": "Client.PrivateIpAddressLimitExceeded"}
        yield record
        if self._chance.random() < self._doubts:
            yield json.loads(json.dumps(record).replace(eni, self._chance.choice(self._enis)))

    def _caller(self, eni: str) -> dict[str, Any]:
        if not self._with_nodes or self._chance.random() < 0.5:
            return {"type": "IAMUser", "arn": "arn:aws:iam::111111111110:user/ada"}
        instance = self._instance(eni)
        issuer = {"userName": "node", "arn": "arn:aws:iam::111111111110:role/node"}
        return {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::111111111110:assumed-role/node/{instance}",
            "accessKeyId": f"ASIA{instance}",
            "sessionContext": {"ec2RoleDelivery": "2.0", "sessionIssuer": issuer},
        }
