"""The rebuilt state compared with EC2: with saved JSON, and with EC2 on loopback."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import incidents
import pytest
import write as fixtures
from callers import iam_user
from calls import Eni, Subnet, create_network_interface
from cni import of_cni
from conftest import FIXTURES, Run
from ec2_loopback import Ec2, ec2
from hypothesis import HealthCheck, given, settings
from incidents import CLI, Incident, cni, node, read, second
from simulator import Eni as SimulatedEni
from simulator import World, deliver, worlds
from trail import Trail

from cnitrail.answers.filters import Filter
from cnitrail.answers.live_comparison import compare
from cnitrail.model import History, Holding, HoldingKind, LiveInterface, Match, Present

ACCOUNT = "111111111111"
NODE = "i-03846c730abe852f4"
FIRST = "eni-06d2f4a81c9b3e750"
SECOND = "eni-0bbea279695112970"
SIX = (
    *("192.168.41.36", "192.168.45.23", "192.168.49.56"),
    *("192.168.49.142", "192.168.55.245", "192.168.62.119"),
)
LATER = ("--at", "2022-10-05T16:00Z")
NEVER = "2022-10-05 15:40:00Z"


def interface(eni: str, *ips: str, instance: str | None = NODE, **more: Any) -> dict[str, Any]:
    """An ENI as the AWS CLI prints it; its first address is the primary one."""
    attachment = {
        "AttachTime": "2022-10-05T13:14:10+00:00",
        "AttachmentId": f"eni-attach-{eni}",
        "DeviceIndex": 0,
        "InstanceId": instance,
        "InstanceOwnerId": ACCOUNT,
        "Status": "attached",
    }
    return {
        "AvailabilityZone": "eu-west-1a",
        "Description": "",
        "NetworkInterfaceId": eni,
        "OwnerId": ACCOUNT,
        "PrivateIpAddresses": [{"Primary": ip == ips[0], "PrivateIpAddress": ip} for ip in ips],
        "Status": "in-use" if instance else "available",
        "SubnetId": "subnet-0a1b2c3d4e5f60718",
        "VpcId": "vpc-0a2e8f6ad5c3b9714",
        **({"Attachment": attachment} if instance else {}),
        **more,
    }


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Write ENIs to a file as the AWS CLI prints them, and return its path."""

    def keep(*interfaces: dict[str, Any], name: str = "interfaces.json", **more: Any) -> str:
        path = tmp_path / name
        path.write_text(json.dumps({"NetworkInterfaces": interfaces, **more}, indent=4))
        return str(path)

    return keep


def compared(run: Run, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    result = run("state", *arguments, "-o", "jsonl")
    assert result.exit_code == status, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def text_of(reason: dict[str, Any] | None) -> str | None:
    return reason["text"] if reason is not None else None


class TestSaved:
    """``--live FILE``: the output of ``aws ec2 describe-network-interfaces``."""

    def test_an_eni_as_in_the_trail_is_the_same(self, run: Run, saved: Any) -> None:
        (entry,) = compared(run, "ironman", *LATER, "--live", saved(interface(FIRST, "192.168.55.245", *SIX)))
        assert (entry["eni"], entry["match"], entry["reasons"]) == (FIRST, "same", [])
        assert [(address["ip"], address["match"]) for address in entry["addresses"]] == [
            (ip, "same") for ip in SIX
        ]
        assert (entry["instance"], entry["live_instance"]) == (NODE, NODE)

    def test_an_address_that_only_one_side_has_differs(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"))
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert entry["match"] == "differs"
        differing = {
            address["ip"]: (address["match"], text_of(address["reason"])) for address in entry["addresses"]
        }
        since = f"after the evidence ends at {NEVER}, or without an event in it"
        assert differing["192.168.62.119"] == ("gone", f"released {since}")
        assert differing["192.168.34.1"] == ("missing", f"assigned {since}")
        assert differing["192.168.41.36"] == ("same", None)

    def test_a_difference_within_the_evidence_is_not_explained_by_its_end(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"), interface(SECOND, "192.168.38.190"))
        at = ("--at", "2022-10-05T13:50Z")
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *at, "--live", listing)}
        reasons = {address["ip"]: text_of(address["reason"]) for address in entries[FIRST]["addresses"]}
        assert reasons["192.168.62.119"] == "released without an event in the evidence"

    def test_a_later_release_in_the_evidence_explains_a_difference(self, run: Run, saved: Any) -> None:
        at = ("--at", "2022-10-05T14:00Z")
        listing = saved(interface(FIRST, *SIX))
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *at, "--live", listing)}
        reasons = {address["ip"]: text_of(address["reason"]) for address in entries[FIRST]["addresses"]}
        assert reasons["192.168.34.201"] == ("released at 2022-10-05 15:21:24Z, after the time asked for")
        (deleted,) = entries[SECOND]["reasons"]
        assert deleted["code"] == "changed-later"
        assert deleted["text"] == "deleted at 2022-10-05 15:22:24Z, after the time asked for"
        assert len(deleted["events"]) == 1

    def test_a_later_assignment_in_the_evidence_explains_a_difference(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, "192.168.34.201", *SIX))
        (entry,) = compared(run, "ironman", "--at", "2022-10-05T13:15:00Z", "--live", listing)
        reasons = {address["ip"]: text_of(address["reason"]) for address in entry["addresses"]}
        assert reasons["192.168.34.201"] == ("assigned at 2022-10-05 13:15:46Z, after the time asked for")

    def test_a_vpc_or_subnet_that_only_ec2_knows_matches_its_filter(
        self, run: Run, saved: Any, tmp_path: Path
    ) -> None:
        record = next(
            record
            for text in fixtures.files("ironman").values()
            for record in json.loads(text)["Records"]
            if record["eventName"] == "AssignPrivateIpAddresses"
        )
        log = tmp_path / "log.json"
        log.write_text(json.dumps({"Records": [record]}))
        listing = saved(interface(FIRST, *SIX))
        for place in (("--vpc", "vpc-0a2e8f6ad5c3b9714"), ("--subnet", "subnet-0a1b2c3d4e5f60718")):
            asked = (str(log), "--at", "2022-10-05T14:00Z", *place, "--live", listing)
            assert [entry["eni"] for entry in compared(run, *asked)] == [FIRST]

    def test_an_eni_that_ec2_no_longer_has_is_gone(self, run: Run, saved: Any) -> None:
        elsewhere = interface("eni-0123456789abcdef0", "192.168.1.1", instance=None)
        gone, missing = compared(run, "ironman", *LATER, "--live", saved(elsewhere))
        assert (gone["eni"], gone["match"]) == (FIRST, "gone")
        (reason,) = gone["reasons"]
        assert reason["code"] == "after-evidence"
        assert reason["text"] == f"deleted after the evidence ends at {NEVER}, or without an event in it"
        assert {address["match"] for address in gone["addresses"]} == {"gone"}
        assert missing["match"] == "missing"

    @pytest.mark.parametrize(
        ("attached", "why"),
        [
            ("2022-10-05T12:00:00+00:00", "before the evidence begins at 2022-10-05 13:10:00Z"),
            ("2022-10-05T14:00:00+00:00", "with no event in the evidence"),
            ("2022-10-05T15:30:00+00:00", f"about when the evidence ends at {NEVER}"),
            ("2022-10-05T15:59:00+00:00", f"about when the evidence ends at {NEVER}"),
        ],
    )
    def test_an_eni_that_the_trail_does_not_have_is_missing(
        self, run: Run, saved: Any, attached: str, why: str
    ) -> None:
        other = interface("eni-0123456789abcdef0", "192.168.1.1")
        other["Attachment"]["AttachTime"] = attached
        entries = compared(run, "ironman", *LATER, "--live", saved(interface(FIRST, *SIX), other))
        (entry,) = (entry for entry in entries if entry["match"] == "missing")
        (reason,) = entry["reasons"]
        assert reason["text"] == f"attached at {attached[:10]} {attached[11:19]}Z, {why}"
        assert [address["ip"] for address in entry["addresses"]] == ["192.168.1.1"]

    def test_an_eni_that_was_created_in_a_log_gap_is_missing(self, run: Run, saved: Any) -> None:
        other = interface("eni-0123456789abcdef0", "10.144.9.9", AvailabilityZone="eu-north-1b")
        other["Attachment"]["AttachTime"] = "2024-01-18T11:00:00+00:00"
        at = ("--at", "2024-01-18T14:00Z")
        entries = compared(run, "hole-in-the-logs", *at, "--live", saved(other))
        (entry,) = (entry for entry in entries if entry["match"] == "missing")
        (reason,) = entry["reasons"]
        assert reason["code"] == "log-gap"
        assert reason["text"] == (
            "attached at 2024-01-18 11:00:00Z: log gap from 2024-01-18 09:45:00Z to 2024-01-18 12:05:00Z"
        )

    def test_an_eni_without_an_instance_has_no_known_time(self, run: Run, saved: Any) -> None:
        other = interface("eni-0123456789abcdef0", "192.168.1.1", instance=None, InterfaceType="lambda")
        _, entry = compared(run, "ironman", *LATER, "--live", saved(other))
        assert (entry["attached"], entry["eni_kind"]) == (False, "lambda")
        assert [reason["text"] for reason in entry["reasons"]] == [
            "older than the evidence, which begins at 2022-10-05 13:10:00Z, or created without an event in it"
        ]

    def test_an_eni_that_the_trail_deleted_is_missing(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX), interface(SECOND, "192.168.38.190"))
        entry, _ = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["eni"], entry["match"]) == (SECOND, "missing")
        (reason,) = entry["reasons"]
        assert reason["code"] == "deleted-in-evidence"
        assert reason["text"] == "deleted at 2022-10-05 15:22:24Z according to CloudTrail (observed)"

    def test_an_eni_on_another_instance_differs(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX, instance="i-0123456789abcdef0"))
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], entry["live_instance"]) == ("differs", "i-0123456789abcdef0")
        (reason,) = entry["reasons"]
        assert reason["code"] == "other-instance"
        assert reason["text"] == (
            f"on i-0123456789abcdef0 in EC2, on {NODE} in CloudTrail: moved after the evidence ends at "
            f"{NEVER}, or without an event in it"
        )

    def test_an_eni_that_outlived_its_instance_is_on_none_on_both_sides(self, run: Run, saved: Any) -> None:
        left = "eni-0e8a1c5d9f3b72640"
        ips = [f"10.30.16.{number}" for number in range(34, 44)]
        place = {"AvailabilityZone": "us-east-1a", "SubnetId": "subnet-0e1d5b9a3c7f28460"}
        vpc = "vpc-0e2a6c8f1d4b97350"
        listing = saved(interface(left, *ips, instance=None, VpcId=vpc, **place))
        (entry,) = compared(run, "full-subnet", "--eni", left, "--live", listing)
        assert (entry["match"], entry["reasons"]) == ("same", [])

    def test_an_eni_that_was_created_for_a_node_and_not_attached_is_so_on_both_sides(
        self, run: Run, saved: Any, tmp_path: Path
    ) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = of_cni(second(), incidents.NODE, incident.time("10:01:00"))
        incident.log("10:01:00", cni(incident), create_network_interface(eni))
        logs = tmp_path / "log.json"
        logs.write_text(json.dumps({"Records": incident._records}))
        for instance in (None, incidents.NODE):
            listing = saved(interface(eni.id, eni.address, instance=instance, VpcId=eni.subnet.vpc))
            (entry,) = compared(run, str(logs), "--eni", eni.id, "--live", listing)
            assert (entry["attached"], entry["match"], entry["reasons"]) == (False, "same", [])
        elsewhere = saved(interface(eni.id, eni.address, instance=incidents.OTHER_NODE))
        (entry,) = compared(run, str(logs), "--eni", eni.id, "--live", elsewhere)
        assert entry["match"] == "differs"

    def test_an_eni_outside_the_file_is_unchecked(self, run: Run, saved: Any) -> None:
        for listing in (
            saved(),
            saved(interface("eni-0123456789abcdef0", "10.0.0.1", AvailabilityZone="us-east-1a")),
            saved(interface("eni-0123456789abcdef0", "10.0.0.1", OwnerId="222222222222")),
            saved(interface("eni-0123456789abcdef0", "192.168.1.1"), NextToken="more"),
        ):
            entries = compared(run, "ironman", *LATER, "--live", listing)
            (entry,) = (entry for entry in entries if entry["eni"] == FIRST)
            assert entry["match"] == "unchecked"
            (reason,) = entry["reasons"]
            assert reason["code"] == "not-asked"
            assert reason["text"] == (
                "EC2 was not asked about 111111111111 in eu-west-1, or its answer is not complete"
            )

    def test_several_files_are_combined(self, run: Run, saved: Any) -> None:
        one = saved(interface("eni-0123456789abcdef0", "192.168.1.1"), name="one.json")
        other = saved(interface(FIRST, *SIX), name="other.json")
        matches = [
            entry["match"] for entry in compared(run, "ironman", *LATER, "--live", one, "--live", other)
        ]
        assert matches == ["missing", "same"]

    def test_instances_have_their_enis(self, run: Run, tmp_path: Path) -> None:
        on_it = interface(FIRST, *SIX)
        del on_it["AvailabilityZone"], on_it["Attachment"]["InstanceId"]
        machine = {
            "InstanceId": NODE,
            "InstanceType": "m5.large",
            "State": {"Name": "running"},
            "Placement": {"AvailabilityZone": "eu-west-1a"},
            "NetworkInterfaces": [on_it],
        }
        path = tmp_path / "instances.json"
        path.write_text(json.dumps({"Reservations": [{"OwnerId": ACCOUNT, "Instances": [machine]}]}))
        (entry,) = compared(run, "ironman", *LATER, "--live", str(path))
        assert (entry["match"], entry["live_instance"]) == ("same", NODE)

        machine |= {"State": {"Name": "terminated"}, "NetworkInterfaces": []}
        path.write_text(json.dumps({"Reservations": [{"OwnerId": ACCOUNT, "Instances": [machine]}]}))
        (entry,) = compared(
            run, "ironman", *LATER, "--live", str(path), "--live", self.a_neighbour(tmp_path)
        )[:1]
        assert (entry["eni"], entry["match"]) == (FIRST, "gone")
        assert entry["reasons"][0]["text"] == f"{NODE} is terminated"

    @staticmethod
    def a_neighbour(tmp_path: Path) -> str:
        path = tmp_path / "neighbour.json"
        other = interface("eni-0123456789abcdef0", "192.168.1.1", instance="i-0123456789abcdef0")
        path.write_text(json.dumps({"NetworkInterfaces": [other]}))
        return str(path)

    def test_filters_match_either_side(self, run: Run, saved: Any) -> None:
        moved = interface(FIRST, *SIX, instance="i-0123456789abcdef0")
        listing = saved(
            moved, interface("eni-0123456789abcdef0", "192.168.1.1", instance="i-0aaaaaaaaaaaaaaa1")
        )
        for asked in ((NODE,), ("i-0123456789abcdef0",)):
            (entry,) = compared(run, "ironman", *LATER, "--live", listing, "--instance", *asked)
            assert entry["eni"] == FIRST
        (entry,) = compared(run, "ironman", *LATER, "--live", listing, "--ip", "192.168.1.0/24")
        assert entry["eni"] == "eni-0123456789abcdef0"

    def test_a_prefix_is_compared_like_an_address(self, run: Run, saved: Any) -> None:
        listing = saved(
            interface(
                "eni-0f2b5e8d1f3c69470",
                "10.112.70.9",
                OwnerId="222222222222",
                AvailabilityZone="eu-central-1a",
                instance="i-0f1a4d7c9e2b58360",
                Ipv4Prefixes=[{"Ipv4Prefix": "10.112.64.16/28"}, {"Ipv4Prefix": "10.112.65.128/28"}],
            )
        )
        entries = compared(run, "prefix-delegation", "--at", "2026-03-11T09:00Z", "--live", listing)
        (entry,) = (entry for entry in entries if entry["eni"] == "eni-0f2b5e8d1f3c69470")
        assert entry["match"] == "same"


def described(eni: str, *ips: str) -> dict[str, Any]:
    """An ENI as describe-instances prints it: without its instance and its Availability Zone."""
    whole = interface(eni, *ips)
    attachment = {
        key: whole["Attachment"][key] for key in ("AttachTime", "AttachmentId", "DeviceIndex", "Status")
    }
    return {**{key: whole[key] for key in whole if key != "AvailabilityZone"}, "Attachment": attachment}


def machine(instance: str, *interfaces: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An instance as the AWS CLI prints it."""
    return {
        "InstanceId": instance,
        "InstanceType": "m5.large",
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "State": {"Name": "running"},
        "NetworkInterfaces": list(interfaces),
        **more,
    }


def by_match(entry: dict[str, Any]) -> dict[str, list[str]]:
    """The addresses of an entry, by how they compare."""
    found: dict[str, list[str]] = defaultdict(list)
    for address in entry["addresses"]:
        found[address["match"]].append(address["ip"])
    return dict(found)


STORY = (
    "192.168.55.245",
    "192.168.49.56",
    "192.168.41.36",
    "192.168.49.142",
    "192.168.45.23",
    "192.168.62.119",
)
"""The addresses of the node at the end of the story, in the order in which EC2 lists them."""

EARLIER = ("--at", "2022-10-05T14:00Z")
RELEASED = ["192.168.34.201", "192.168.43.87", "192.168.56.12", "192.168.58.233"]
ON_SECOND = [
    *("192.168.35.36", "192.168.38.190", "192.168.41.30", "192.168.47.144", "192.168.47.240"),
    *("192.168.51.85", "192.168.52.54", "192.168.53.76", "192.168.61.68", "192.168.61.98"),
]
STRANGER = "eni-0123456789abcdef0"
NOT_SAID = "the saved list may be of other ENIs: --instance or --eni says what it is of"


@pytest.fixture
def live_file(tmp_path: Path) -> Any:
    """Write a value as JSON, or a text or bytes as they are, and return the path."""

    def keep(content: Any, name: str = "live.json") -> str:
        path = tmp_path / name
        data = content if isinstance(content, (bytes, str)) else json.dumps(content, indent=4)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return keep


class TestQueriedInterfaces:
    """``--live FILE``: lists of ENIs or instances that ``--query`` took from EC2's answer."""

    @pytest.mark.parametrize(
        "nested",
        [
            [[[described(FIRST, *STORY)]]],
            [[described(FIRST, *STORY)]],
            [described(FIRST, *STORY)],
            described(FIRST, *STORY),
            [interface(FIRST, *STORY)],
            [[machine(NODE, described(FIRST, *STORY))]],
            [machine(NODE, described(FIRST, *STORY))],
            machine(NODE, described(FIRST, *STORY)),
            [{"OwnerId": ACCOUNT, "Instances": [machine(NODE, described(FIRST, *STORY))]}],
            [
                {"Reservations": [{"Instances": [machine(NODE, described(FIRST, *STORY))]}]},
                {"Reservations": []},
            ],
            {"Reservations": [[{"Instances": [[machine(NODE, described(FIRST, *STORY))]]}]]},
        ],
    )
    def test_the_eni_of_the_story_is_the_same_however_the_list_is_nested(
        self, run: Run, live_file: Any, nested: Any
    ) -> None:
        (entry,) = compared(run, "ironman", *LATER, "--live", live_file(nested))
        assert (entry["eni"], entry["match"], entry["reasons"]) == (FIRST, "same", [])
        assert by_match(entry) == {"same": list(SIX)}

    def test_an_eni_without_its_instance_is_not_said_to_have_moved(self, run: Run, live_file: Any) -> None:
        listing = live_file([[[described(FIRST, *STORY[:5], "192.168.34.1")]]])
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], entry["instance"], entry["live_instance"]) == ("differs", NODE, None)
        assert entry["reasons"] == []
        assert by_match(entry)["gone"] == ["192.168.62.119"]
        assert by_match(entry)["missing"] == ["192.168.34.1"]

    def test_an_eni_that_the_list_lacks_is_unchecked_because_the_list_may_be_of_others(
        self, run: Run, live_file: Any
    ) -> None:
        listing = live_file([[[described(FIRST, *RELEASED, *STORY)]]])
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *EARLIER, "--live", listing)}
        assert entries[FIRST]["match"] == "same"
        assert entries[SECOND]["match"] == "unchecked"
        assert entries[SECOND]["reasons"] == [{"code": "not-asked", "text": NOT_SAID, "events": []}]
        assert by_match(entries[SECOND]) == {"unchecked": ON_SECOND}

    def test_it_is_gone_if_the_filter_names_what_the_list_is_of(self, run: Run, live_file: Any) -> None:
        listing = live_file([[[described(FIRST, *RELEASED, *STORY)]]])
        for asked in (("--instance", NODE), ("--eni", SECOND)):
            gone = compared(run, "ironman", *EARLIER, "--live", listing, *asked)[0]
            assert (gone["eni"], gone["match"]) == (SECOND, "gone")
            assert gone["reasons"][0]["text"] == "deleted at 2022-10-05 15:22:24Z, after the time asked for"

    def test_an_instance_in_the_list_has_all_its_enis_there(self, run: Run, live_file: Any) -> None:
        listing = live_file([machine(NODE, described(FIRST, *RELEASED, *STORY))])
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *EARLIER, "--live", listing)}
        assert (entries[FIRST]["match"], entries[SECOND]["match"]) == ("same", "gone")

        other = live_file([machine("i-0123456789abcdef0", described(STRANGER, "192.168.1.1"))])
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *EARLIER, "--live", other)}
        assert {eni: entry["match"] for eni, entry in entries.items()} == {
            FIRST: "unchecked",
            SECOND: "unchecked",
            STRANGER: "missing",
        }

    def test_a_terminated_instance_explains_why_its_enis_are_gone(self, run: Run, live_file: Any) -> None:
        listing = live_file([machine(NODE, State={"Name": "terminated"})])
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], entry["reasons"][0]["text"]) == ("gone", f"{NODE} is terminated")

    def test_an_eni_that_only_the_list_has_is_in_the_region_of_its_vpc(
        self, run: Run, live_file: Any
    ) -> None:
        listing = live_file([[described(FIRST, *STORY), described(STRANGER, "192.168.1.1")]])
        for asked in ((), ("--instance", NODE), ("--region", "eu-west-1")):
            entries = compared(run, "ironman", *LATER, "--live", listing, *asked)
            assert [(entry["eni"], entry["match"]) for entry in entries] == [
                (STRANGER, "missing"),
                (FIRST, "same"),
            ]
            assert (entries[0]["region"], entries[0]["instance"]) == ("eu-west-1", None)

    def test_an_eni_without_its_addresses_does_not_make_them_gone(self, run: Run, live_file: Any) -> None:
        listing = live_file([{"NetworkInterfaceId": FIRST, "PrivateIpAddress": STORY[0]}])
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], by_match(entry)) == ("unchecked", {"unchecked": list(SIX)})
        assert (
            entry["reasons"][0]["text"]
            == "the list does not have all of its addresses, or not all could be read"
        )

    def test_an_eni_without_an_id_leaves_the_others_of_its_region_unchecked(
        self, run: Run, saved: Any
    ) -> None:
        listing = saved(interface(STRANGER, "192.168.1.1"), {"NetworkInterfaceId": None})
        result = run("state", "ironman", *LATER, "--live", listing, "-o", "jsonl")
        matches = {entry["eni"]: entry["match"] for entry in map(json.loads, result.stdout.splitlines())}
        assert (result.exit_code, matches) == (3, {STRANGER: "missing", FIRST: "unchecked"})
        assert "NetworkInterfaceId is None, not an ID" in result.stderr


class TestListedAddresses:
    """``--live FILE``: addresses that ``--query`` took from EC2's answer, without ENIs."""

    @pytest.mark.parametrize(
        "content",
        [
            [[[list(STORY)]]],
            [[[[ip] for ip in STORY]]],
            list(STORY),
            [[{"Primary": False, "PrivateIpAddress": ip} for ip in STORY]],
            "\n".join(f'"{ip}"' for ip in STORY),
            "\t".join(STORY) + "\n",
            "\n".join(STORY),
            "- - - - " + "\n      - ".join(STORY),
            json.dumps([[[list(STORY)]]]).encode("utf-16"),
            b"\xef\xbb\xbf" + json.dumps([[[list(STORY)]]]).encode(),
            "\r\n".join(STORY).encode("utf-16"),
        ],
    )
    def test_the_addresses_of_the_story_are_the_same_in_every_form(
        self, run: Run, live_file: Any, content: Any
    ) -> None:
        (entry,) = compared(run, "ironman", *LATER, "--live", live_file(content))
        assert (entry["eni"], entry["match"], entry["live_instance"]) == (FIRST, "same", None)
        assert by_match(entry) == {"same": list(SIX)}
        assert entry["reasons"] == [
            {"code": "address-only", "text": "compared by address: the list names no ENI", "events": []}
        ]

    def test_an_address_that_the_list_lacks_is_unchecked_because_it_may_be_of_other_nodes(
        self, run: Run, live_file: Any
    ) -> None:
        listing = live_file([[[list(STORY)]]])
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *EARLIER, "--live", listing)}
        assert {eni: entry["match"] for eni, entry in entries.items()} == {
            FIRST: "unchecked",
            SECOND: "unchecked",
        }
        assert by_match(entries[FIRST]) == {"unchecked": RELEASED, "same": list(SIX)}
        assert [reason["code"] for reason in entries[FIRST]["reasons"]] == ["address-only"]

    def test_it_is_gone_if_the_filter_names_what_the_list_is_of(self, run: Run, live_file: Any) -> None:
        asked = ("ironman", *EARLIER, "--live", live_file([[[list(STORY)]]]), "--instance", NODE)
        entries = {entry["eni"]: entry for entry in compared(run, *asked)}
        assert (entries[FIRST]["match"], by_match(entries[FIRST])) == (
            "differs",
            {"gone": RELEASED, "same": list(SIX)},
        )
        reasons = {address["ip"]: text_of(address["reason"]) for address in entries[FIRST]["addresses"]}
        assert reasons["192.168.34.201"] == "released at 2022-10-05 15:21:24Z, after the time asked for"
        assert (entries[SECOND]["match"], by_match(entries[SECOND])) == ("gone", {"gone": ON_SECOND})
        assert [reason["code"] for reason in entries[SECOND]["reasons"]] == ["changed-later", "address-only"]

    def test_only_addresses_of_a_kind_that_the_list_has_are_gone(self, run: Run, live_file: Any) -> None:
        of_node = ("--instance", NODE)
        primary = live_file(["192.168.55.245"])
        entries = {e["eni"]: e for e in compared(run, "ironman", *EARLIER, "--live", primary, *of_node)}
        assert entries[FIRST]["match"] == "unchecked"
        assert by_match(entries[FIRST])["same"] == ["192.168.55.245"]
        assert by_match(entries[SECOND])["gone"] == ["192.168.38.190"]

        secondary = live_file(list(STORY[1:]))
        (entry,) = compared(run, "ironman", *LATER, "--live", secondary, *of_node)
        assert (entry["match"], by_match(entry)) == (
            "unchecked",
            {"same": [ip for ip in SIX if ip != "192.168.55.245"], "unchecked": ["192.168.55.245"]},
        )

    def test_addresses_that_the_rebuilt_state_lacks_are_missing_and_on_no_eni(
        self, run: Run, live_file: Any
    ) -> None:
        listing = live_file([[[[*STORY, "192.168.34.1", "192.168.53.76", "10.0.0.16/28"]]]])
        for asked in ((), ("--instance", NODE), ("--vpc", "vpc-0a2e8f6ad5c3b9714")):
            missing, same = compared(run, "ironman", *LATER, "--live", listing, *asked)
            assert (same["eni"], same["match"]) == (FIRST, "same")
            assert (missing["eni"], missing["instance"], missing["account"]) == (None, None, None)
            assert (missing["match"], missing["eni_kind"], missing["attached"]) == (
                "missing",
                "unknown",
                None,
            )
            assert [(found["ip"], found["kind"]) for found in missing["addresses"]] == [
                ("10.0.0.16/28", "prefix"),
                ("192.168.34.1", None),
                ("192.168.53.76", None),
            ]
            assert [text_of(found["reason"]) for found in missing["addresses"]] == [
                "no event in the evidence shows it on an ENI",
                "no event in the evidence shows it on an ENI",
                (
                    f"on {SECOND} until 2022-10-05 15:21:23Z in CloudTrail: assigned again after the "
                    f"evidence ends at {NEVER}, or without an event in it"
                ),
            ]

    def test_an_address_that_is_assigned_later_says_so(self, run: Run, live_file: Any) -> None:
        listing = live_file(["192.168.53.76"])
        entries = compared(run, "ironman", "--at", "2022-10-05T13:15:00Z", "--live", listing)
        (missing,) = (entry for entry in entries if entry["match"] == "missing")
        assert text_of(missing["addresses"][0]["reason"]) == (
            f"assigned to {SECOND} at 2022-10-05 13:16:06Z, after the time asked for"
        )

    def test_an_address_on_another_eni_than_the_filter_names_differs(self, run: Run, live_file: Any) -> None:
        listing = live_file([*STORY, "192.168.53.76"])
        entries = compared(run, "ironman", *EARLIER, "--live", listing, "--eni", FIRST)
        (elsewhere,) = (entry for entry in entries if entry["eni"] is None)
        assert (elsewhere["match"], by_match(elsewhere)) == ("differs", {"differs": ["192.168.53.76"]})
        assert text_of(elsewhere["addresses"][0]["reason"]) == f"on {SECOND} of {NODE} in CloudTrail"
        entries = compared(run, "ironman", *EARLIER, "--live", listing, "--region", "us-east-1")
        assert entries == []

    def test_an_address_that_several_enis_hold_is_unchecked(
        self, run: Run, live_file: Any, saved: Any
    ) -> None:
        listing = live_file([[[list(STORY)]]])
        twin = saved(interface(STRANGER, "192.168.55.245", OwnerId="222222222222"))
        entries = compared(run, "ironman", *LATER, "--live", listing, "--live", twin)
        (entry,) = (entry for entry in entries if entry["eni"] == FIRST)
        assert (entry["match"], by_match(entry)["unchecked"]) == ("unchecked", ["192.168.55.245"])

    def test_the_table_has_them_on_no_known_eni(self, run: Run, live_file: Any) -> None:
        result = run("state", "ironman", *LATER, "--live", live_file([*STORY, "192.168.34.1"]))
        missing, same = result.stdout.splitlines()[1:]
        assert missing.startswith("only in EC2 the list names no ENI")
        assert "  ENI unknown  " in missing
        assert same.startswith("same compared by address: the list names no ENI")


class TestSavedForms:
    """``--live FILE``: pages, documents, YAML, encodings, and what is not a listing."""

    def test_pages_one_after_the_other_are_one_answer(self, run: Run, live_file: Any) -> None:
        pages = [
            {"NetworkInterfaces": [interface(FIRST, *SIX)], "NextToken": "more"},
            {"NetworkInterfaces": [interface(STRANGER, "192.168.1.1")]},
        ]
        for content in (
            pages,
            "\n".join(map(json.dumps, pages)),
            "".join(json.dumps(p, indent=4) for p in pages),
        ):
            entries = compared(run, "ironman", *LATER, "--live", live_file(content))
            assert [(entry["eni"], entry["match"]) for entry in entries] == [
                (STRANGER, "missing"),
                (FIRST, "same"),
            ]
        cut = live_file([{"NetworkInterfaces": [interface(STRANGER, "192.168.1.1")], "NextToken": "more"}])
        matches = {entry["eni"]: entry["match"] for entry in compared(run, "ironman", *LATER, "--live", cut)}
        assert matches == {STRANGER: "missing", FIRST: "unchecked"}

    def test_yaml_is_read_as_json_is(self, run: Run, live_file: Any) -> None:
        listing = live_file(
            f"""\
Reservations:
- Groups: []
  Instances:
  - InstanceId: {NODE}
    InstanceType: m5.large
    NetworkInterfaces:
    - Attachment:
        AttachTime: '2022-10-05T13:14:10+00:00'
        AttachmentId: eni-attach-1
        DeviceIndex: 0
      Description: ''
      NetworkInterfaceId: {FIRST}
      OwnerId: '{ACCOUNT}'
      PrivateIpAddresses:
      - Primary: true
        PrivateIpAddress: 192.168.55.245
      - Primary: false
        PrivateIpAddress: 192.168.49.56
      VpcId: vpc-0a2e8f6ad5c3b9714
    Placement:
      AvailabilityZone: eu-west-1a
    State:
      Name: running
  OwnerId: '{ACCOUNT}'
"""
        )
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], entry["live_instance"]) == ("differs", NODE)
        assert by_match(entry)["same"] == ["192.168.49.56", "192.168.55.245"]

    def test_damage_is_reported_and_the_rest_is_compared(self, run: Run, live_file: Any) -> None:
        listing = live_file([[[*STORY, "192.168.1.300", {"Ip": "192.168.1.1"}, 7]]])
        result = run("state", "ironman", *LATER, "--live", listing, "-o", "jsonl")
        (entry,) = map(json.loads, result.stdout.splitlines())
        assert (result.exit_code, by_match(entry)) == (3, {"same": list(SIX)})
        assert [line for line in result.stderr.splitlines() if line.startswith("skipped: ")] == [
            f"skipped: {listing}: '192.168.1.300' is neither an instance, nor an ENI, nor an address",
            f"skipped: {listing}: an object with Ip is neither an instance, nor an ENI, nor an address",
            f"skipped: {listing}: 7 is neither an instance, nor an ENI, nor an address",
        ]

    def test_no_listing_fills_the_answer_with_its_problems(self, run: Run, live_file: Any) -> None:
        listing = live_file([*STORY, *range(1000)])
        answer = json.loads(run("state", "ironman", *LATER, "--live", listing, "-o", "json").stdout)
        skipped = answer["evidence"]["skipped"]
        assert len(skipped) == 101
        assert skipped[-1]["reason"] == "900 more elements cannot be read"

    def test_an_answer_that_is_cut_short_makes_nothing_gone(self, run: Run, live_file: Any) -> None:
        page = json.dumps({"NetworkInterfaces": [interface(STRANGER, "192.168.1.1")]})
        listing = live_file(f"{page}\n{page[:50]}")
        result = run("state", "ironman", *LATER, "--live", listing, "-o", "jsonl")
        matches = {entry["eni"]: entry["match"] for entry in map(json.loads, result.stdout.splitlines())}
        assert (result.exit_code, matches) == (3, {STRANGER: "missing", FIRST: "unchecked"})
        assert f"it is not JSON from character {len(page) + 2} on" in result.stderr

    def test_an_empty_list_is_reported_and_makes_nothing_gone(self, run: Run, live_file: Any) -> None:
        for nested in ("[]", "[[]]", "[[[]]]"):
            result = run(
                "state", "ironman", *LATER, "--live", live_file(nested), "--instance", NODE, "-o", "jsonl"
            )
            (entry,) = map(json.loads, result.stdout.splitlines())
            assert (result.exit_code, entry["match"]) == (3, "unchecked")
            assert "an empty list: EC2 found nothing of what was asked for in that Region" in result.stderr

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "it is empty"),
            ("null", "it is null: the --query expression matches nothing"),
            ("None\n", "it is null: the --query expression matches nothing"),
            (
                [["i-03846c730abe852f4"]],
                "neither instances, nor ENIs, nor addresses, but 'i-03846c730abe852f4'",
            ),
            ([{"Id": 1, "Az": 2}], "neither instances, nor ENIs, nor addresses, but an object with Az, Id"),
            ("-------\n|  DescribeInstances  |\n", "it is a table, which wraps and cuts values"),
            ("RESERVATIONS\t111111111111\tr-1\n", "it is text whose columns have no names"),
            ("a: &x [1]\nb: *x\n", "it is YAML with aliases, which the AWS CLI does not print"),
            ("a:\n- " + "[a, " * 1000, "it is YAML that is nested too deeply"),
            ("a:\n- b: {\n", "it is neither JSON nor YAML in line 3"),
            ("[" * 100_000, "depth limit exceeded"),
            ('["192.168.1.1"', "Input data was truncated"),
            ("The node has 192.168.1.1", "JSON is malformed"),
        ],
    )
    def test_what_is_not_a_listing_is_refused_with_its_nature_and_a_hint(
        self, run: Run, live_file: Any, content: Any, said: str
    ) -> None:
        result = run("state", "ironman", *LATER, "--live", live_file(content))
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert "hint: save it with aws ec2 describe-network-interfaces --output json" in result.stderr


class TestPrinted:
    def test_a_piped_table_has_match_reasons_and_addresses(self, run: Run, saved: Any) -> None:
        result = run("state", "ironman", *LATER, "--live", saved(interface(FIRST, *SIX[:5], "192.168.34.1")))
        _, line = result.stdout.splitlines()
        assert line.startswith(f"differs  {NODE}  m5.large  {FIRST}  node-primary, device 0  ")
        assert "1 only in CloudTrail: 192.168.62.119 released after" in line
        assert "1 only in EC2: 192.168.34.1 assigned after" in line
        assert "5 same: 192.168.41.36" in line
        assert "compared with EC2: 1 differs\n" in result.stderr

    def test_the_summary_counts_matches_in_the_words_of_the_table(self, run: Run, saved: Any) -> None:
        result = run("state", "ironman", *LATER, "--live", saved(interface("eni-0123456789abcdef0")))
        assert "compared with EC2: 1 only in CloudTrail, 1 only in EC2\n" in result.stderr
        assert f"warning: the evidence of 111111111111 in eu-west-1 ends at {NEVER}\n" in result.stderr

    def test_csv_has_columns_for_the_comparison(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"))
        text = run("state", "ironman", *LATER, "--live", listing, "-o", "csv").stdout
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["match"], row["missing"], row["gone"]) == ("differs", "192.168.34.1", "192.168.62.119")
        assert (row["attached"], row["unproven"]) == ("true", "false")

    def test_json_has_all_fields_of_a_state(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX))
        answer = json.loads(run("state", "ironman", *LATER, "--live", listing, "-o", "json").stdout)
        alone = json.loads(run("state", "ironman", *LATER, "-o", "json").stdout)
        assert (answer["schema"], answer["query"]["live"]) == ("cnitrail/state/v1", [listing])
        assert set(alone["entries"][0]) < set(answer["entries"][0])


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            ([], 2, "--at is required"),
            (["--live", "ec2:", "--live", "x.json"], 2, "--live takes either EC2 or files, not both"),
            (["--live", "no-such-file.json"], 1, "--live no-such-file.json: No such file or directory"),
            (
                ["--live", "ironman"],
                1,
                "--live ironman: Is a directory\nhint: --live takes a file with saved JSON",
            ),
            (["--live", "README.md"], 1, "--live README.md: JSON is malformed"),
            (
                ["--live", "-"],
                1,
                "--live -: it has neither NetworkInterfaces nor Reservations\nhint: save it with aws",
            ),
        ],
    )
    def test_a_mistake_is_one_clear_message_with_its_exit_status(
        self, run: Run, arguments: list[str], status: int, said: str
    ) -> None:
        result = run("state", "ironman", *arguments, input='{"Vpcs": []}')
        assert result.exit_code == status
        assert said in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        "entry",
        [
            {"NetworkInterfaceId": None},
            {"NetworkInterfaceId": "eni-1", "PrivateIpAddresses": [{"PrivateIpAddress": "ten"}]},
            {"NetworkInterfaceId": "eni-1", "Attachment": [1], "TagSet": 7, "AvailabilityZone": {}},
            12,
        ],
    )
    def test_no_value_in_a_listing_breaks_the_reader(self, run: Run, saved: Any, entry: Any) -> None:
        result = run("state", "ironman", *LATER, "--live", saved(interface(FIRST, *SIX), entry))
        assert result.exit_code in (0, 3)
        assert "Traceback" not in result.stderr


OPS = iam_user("123456789012", "ops", "198.51.100.9", CLI)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2]:
    """EC2 on loopback, with made-up credentials."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("cnitrail.sources.aws.MAX_ATTEMPTS", 1)
    with ec2() as server:
        yield server


class Region:
    """A Region of EC2 with ENIs, and the trail of their creation."""

    def __init__(self, aws: Ec2, name: str, folder: Path) -> None:
        self.client = aws.client(name)
        self.trail = Trail("live", "123456789012", name, "2026-03-02", "1.11")
        self.folder = folder
        self.records: list[dict[str, Any]] = []
        self.made = 0
        vpc = self.client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = self.client.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]
        self.subnet = Subnet(subnet["SubnetId"], vpc, "123456789012", subnet["AvailabilityZone"], "sg-1")

    def make(self, *, log: bool = True) -> Eni:
        """Create an ENI in EC2 and in the trail."""
        self.made += 1
        made = self.client.create_network_interface(
            SubnetId=self.subnet.id, PrivateIpAddress=f"10.0.1.{100 + self.made}"
        )["NetworkInterface"]
        eni = Eni(made["NetworkInterfaceId"], self.subnet, made["PrivateIpAddress"])
        if log:
            self.log("10:00:00", create_network_interface(eni))
        return eni

    def log(self, clock: str, call: Any) -> None:
        self.records.append(self.trail.record(self.trail.time(clock), OPS, call))
        path = self.folder / f"{self.trail.region}.json"
        path.write_text(json.dumps({"Records": self.records}))


class TestAws:
    """``--live`` without a file: EC2 is called."""

    def test_every_region_of_the_evidence_is_described_and_compared(
        self, run: Run, aws: Ec2, tmp_path: Path
    ) -> None:
        ireland, ohio = Region(aws, "eu-west-1", tmp_path), Region(aws, "us-east-2", tmp_path)
        same, grown, gone, there = ireland.make(), ireland.make(), ireland.make(), ohio.make()
        ireland.client.assign_private_ip_addresses(
            NetworkInterfaceId=grown.id, PrivateIpAddresses=["10.0.1.99"]
        )
        ireland.client.delete_network_interface(NetworkInterfaceId=gone.id)
        unlogged = ireland.make(log=False)

        entries = compared(run, str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert {entry["eni"]: entry["match"] for entry in entries} == {
            gone.id: "gone",
            grown.id: "differs",
            unlogged.id: "missing",
            same.id: "same",
            there.id: "same",
        }
        differing = next(entry for entry in entries if entry["eni"] == grown.id)
        addresses = {address["ip"]: address["match"] for address in differing["addresses"]}
        assert addresses == {grown.address: "same", "10.0.1.99": "missing"}
        assert aws.asked("us-east-2") == ["DescribeNetworkInterfaces", "DescribeInstances"]

    def test_every_page_is_read(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        region = Region(aws, "eu-west-1", tmp_path)
        made = {region.make().id for _ in range(7)}
        aws.page = 3
        entries = compared(run, str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert {entry["eni"] for entry in entries if entry["match"] == "same"} == made
        assert aws.asked("eu-west-1").count("DescribeNetworkInterfaces") == 3
        described = [call.parameters for call in aws.calls if call.action.startswith("Describe")]
        assert {parameters["MaxResults"] for parameters in described} == {"1000"}

    def test_only_the_given_regions_are_described(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        ireland, ohio = Region(aws, "eu-west-1", tmp_path), Region(aws, "us-east-2", tmp_path)
        ireland.make(), ohio.make()
        entries = compared(run, str(tmp_path), "--live", "--endpoint-url", aws.url, "--region", "us-east-2")
        assert [entry["region"] for entry in entries] == ["us-east-2"]
        assert "eu-west-1" not in {call.region for call in aws.calls}

    def test_a_region_that_refuses_is_skipped_and_unchecked(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        ireland, ohio = Region(aws, "eu-west-1", tmp_path), Region(aws, "us-east-2", tmp_path)
        refused, there = ireland.make(), ohio.make()
        denied = {("eu-west-1", "DescribeNetworkInterfaces"), ("eu-west-1", "DescribeInstances")}
        aws.fault = lambda call: "UnauthorizedOperation" if (call.region, call.action) in denied else None
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url, "-o", "jsonl")
        assert result.exit_code == 3
        matches = {entry["eni"]: entry["match"] for entry in map(json.loads, result.stdout.splitlines())}
        assert matches == {refused.id: "unchecked", there.id: "same"}
        assert (
            "skipped: ec2:eu-west-1/describe-network-interfaces: access denied: these credentials may not "
            "call ec2:DescribeNetworkInterfaces (as the test asks)" in result.stderr
        )

    def test_without_permission_to_describe_instances_the_enis_are_compared(
        self, run: Run, aws: Ec2, tmp_path: Path
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        aws.fault = lambda call: "UnauthorizedOperation" if call.action == "DescribeInstances" else None
        (entry,) = compared(run, str(tmp_path), "--live", "--endpoint-url", aws.url, status=3)
        assert entry["match"] == "same"

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (
                "UnauthorizedOperation",
                "access denied: these credentials may not call ec2:DescribeNetworkInterfaces",
            ),
            (
                "RequestLimitExceeded",
                (
                    "ec2:DescribeNetworkInterfaces was throttled until all retries were used up "
                    "(RequestLimitExceeded)"
                ),
            ),
            ("AuthFailure", "AWS does not know these credentials (AuthFailure)"),
            ("ExpiredToken", "the AWS session token has expired (ExpiredToken)"),
        ],
    )
    def test_if_no_region_answers_there_is_no_answer(
        self, run: Run, aws: Ec2, tmp_path: Path, code: str, said: str
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        aws.fault = lambda call: code if call.action.startswith("Describe") else None
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"error: ec2:eu-west-1/describe-network-interfaces: {said}" in result.stderr

    @pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"<html><br>", b"", b"{}", b"<a><b>"])
    def test_a_page_that_is_not_from_ec2_makes_no_eni_gone(
        self, run: Run, aws: Ec2, tmp_path: Path, body: bytes
    ) -> None:
        ireland, ohio = Region(aws, "eu-west-1", tmp_path), Region(aws, "us-east-2", tmp_path)
        behind, there = ireland.make(), ohio.make()
        aws.fault = lambda call: body if (call.region, call.action[:8]) == ("eu-west-1", "Describe") else None
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url, "-o", "jsonl")
        assert result.exit_code == 3
        matches = {entry["eni"]: entry["match"] for entry in map(json.loads, result.stdout.splitlines())}
        assert matches == {behind.id: "unchecked", there.id: "same"}
        assert "the response is damaged, or not from AWS" in result.stderr

    def test_if_the_account_of_the_credentials_is_unknown_there_is_no_answer(
        self, run: Run, aws: Ec2, tmp_path: Path
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        aws.fault = lambda _: b"<html>Please sign in</html>"
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "sts:GetCallerIdentity: the response is damaged, or not from AWS" in result.stderr

    def test_without_credentials_there_is_no_answer(
        self, run: Run, aws: Ec2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        result = run("state", str(tmp_path / "eu-west-1.json"), "--live", "--endpoint-url", aws.url)
        assert result.exit_code == 1
        assert "error: ec2: there are no AWS credentials" in result.stderr

    def test_an_account_without_credentials_is_unchecked(self, run: Run, aws: Ec2) -> None:
        (entry,) = compared(run, str(FIXTURES / "ironman"), "--live", "--endpoint-url", aws.url)
        assert (entry["account"], entry["match"]) == (ACCOUNT, "unchecked")


class TestAgainstTheTruth:
    """Against a simulator: without missing logs, the rebuilt state is the real one."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(world=worlds())
    def test_the_rebuilt_state_is_the_real_state(self, world: World) -> None:
        history, coverage = read(deliver(world))
        alive = {eni.id: live(eni) for eni in world.enis if eni.alive and eni.notice is None}
        whole = frozenset((interface.account, interface.region) for interface in history.interfaces.values())
        at = max(reach.last for reach in coverage.reaches) if coverage.reaches else datetime.now(UTC)
        present = Present(alive, {}, whole, frozenset())
        unclear = unordered(history)
        for entry in compare(history, coverage, at, present, Filter()):
            assert entry.match is not Match.MISSING or entry.eni in unclear
            if entry.match is not Match.GONE and entry.eni not in unclear:
                assert {address.match for address in entry.addresses} <= {Match.SAME}
                # only an instance that ends without an event leaves an ENI behind without one
                assert entry.match is Match.SAME or entry.live_instance is None


def unordered(history: History) -> set[str]:
    """Return the ENIs with several calls in one second, on them or on their addresses."""
    touched: dict[tuple[object, datetime], list[str]] = defaultdict(list)
    for event in history.events:
        for subject in event.subjects:
            held = (*(holding.held for holding in subject.added), *subject.removed)
            for what in (subject.eni, *held):
                touched[what, event.time].append(subject.eni or "")
    contested = {lease.eni for lease in history.leases if lease.certainty.contested}
    return contested.union(*(enis for enis in touched.values() if len(enis) > 1))


def live(eni: SimulatedEni) -> LiveInterface:
    """An ENI of a simulated world as EC2 would describe it."""
    instance = eni.attachment.instance.id if eni.attachment else None
    held = (ip_network(text) if "/" in text else ip_address(text) for text in eni.held)
    return LiveInterface(
        eni=eni.id,
        account=eni.account,
        region=None,
        vpc=None,
        subnet=None,
        instance=instance,
        device_index=None,
        attachment=None,
        attached=None,
        addresses=tuple(Holding(ip, HoldingKind.SECONDARY) for ip in held),
        description=None,
        mark=None,
        interface_type=None,
        requester=None,
        tags=(),
    )
