"""The rebuilt state against what EC2 says: from saved JSON, and from EC2 on loopback."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import write as fixtures
from callers import iam_user
from calls import Eni, Subnet, create_network_interface
from conftest import FIXTURES, Run
from ec2_loopback import Ec2, ec2
from hypothesis import HealthCheck, given, settings
from incidents import CLI, read
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
    """An interface as the AWS CLI prints it; its first address is the primary one."""
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
    """Keep interfaces as the AWS CLI prints them; the file's name."""

    def keep(*interfaces: dict[str, Any], name: str = "interfaces.json", **more: Any) -> str:
        path = tmp_path / name
        path.write_text(json.dumps({"NetworkInterfaces": interfaces, **more}, indent=4))
        return str(path)

    return keep


def compared(run: Run, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    result = run("state", *arguments, "-o", "jsonl")
    assert result.exit_code == status, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestSaved:
    """``--live FILE``: what ``aws ec2 describe-network-interfaces`` printed."""

    def test_the_same_where_all_is_as_the_trail_has_it(self, run: Run, saved: Any) -> None:
        (entry,) = compared(run, "ironman", *LATER, "--live", saved(interface(FIRST, "192.168.55.245", *SIX)))
        assert (entry["eni"], entry["match"], entry["reasons"]) == (FIRST, "same", [])
        assert [(each["ip"], each["match"]) for each in entry["addresses"]] == [(ip, "same") for ip in SIX]
        assert (entry["instance"], entry["live_instance"]) == (NODE, NODE)

    def test_addresses_that_only_one_of_the_two_has(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"))
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert entry["match"] == "differs"
        differing = {each["ip"]: (each["match"], each["reason"]) for each in entry["addresses"]}
        since = f"after {NEVER}, where the evidence ends, or without an event in it"
        assert differing["192.168.62.119"] == ("gone", f"released {since}")
        assert differing["192.168.34.1"] == ("missing", f"given {since}")
        assert differing["192.168.41.36"] == ("same", None)

    def test_what_the_evidence_covers_is_not_put_down_to_its_end(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"), interface(SECOND, "192.168.38.190"))
        at = ("--at", "2022-10-05T13:50Z")
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *at, "--live", listing)}
        reasons = {each["ip"]: each["reason"] for each in entries[FIRST]["addresses"]}
        assert reasons["192.168.62.119"] == "released without an event in the evidence"

    def test_what_the_evidence_has_later_than_the_time_is_told_from_it(self, run: Run, saved: Any) -> None:
        at = ("--at", "2022-10-05T14:00Z")
        listing = saved(interface(FIRST, *SIX))
        entries = {entry["eni"]: entry for entry in compared(run, "ironman", *at, "--live", listing)}
        reasons = {each["ip"]: each["reason"] for each in entries[FIRST]["addresses"]}
        assert reasons["192.168.34.201"] == (
            "let go at 2022-10-05 15:21:24Z, after the time that was asked for"
        )
        assert entries[SECOND]["reasons"] == [
            "deleted at 2022-10-05 15:22:24Z, after the time that was asked for"
        ]

    def test_an_address_given_later_than_the_time_is_told_from_the_evidence(
        self, run: Run, saved: Any
    ) -> None:
        listing = saved(interface(FIRST, "192.168.34.201", *SIX))
        (entry,) = compared(run, "ironman", "--at", "2022-10-05T13:15:00Z", "--live", listing)
        reasons = {each["ip"]: each["reason"] for each in entry["addresses"]}
        assert reasons["192.168.34.201"] == (
            "given at 2022-10-05 13:15:46Z, after the time that was asked for"
        )

    def test_a_place_that_only_ec2_tells_is_asked_for_as_well(
        self, run: Run, saved: Any, tmp_path: Path
    ) -> None:
        record = next(
            each
            for text in fixtures.files("ironman").values()
            for each in json.loads(text)["Records"]
            if each["eventName"] == "AssignPrivateIpAddresses"
        )
        log = tmp_path / "log.json"
        log.write_text(json.dumps({"Records": [record]}))
        listing = saved(interface(FIRST, *SIX))
        for place in (("--vpc", "vpc-0a2e8f6ad5c3b9714"), ("--subnet", "subnet-0a1b2c3d4e5f60718")):
            asked = (str(log), "--at", "2022-10-05T14:00Z", *place, "--live", listing)
            assert [entry["eni"] for entry in compared(run, *asked)] == [FIRST]

    def test_gone_is_an_interface_that_is_no_longer_there(self, run: Run, saved: Any) -> None:
        elsewhere = interface("eni-0123456789abcdef0", "192.168.1.1", instance=None)
        gone, missing = compared(run, "ironman", *LATER, "--live", saved(elsewhere))
        assert (gone["eni"], gone["match"]) == (FIRST, "gone")
        assert gone["reasons"] == [
            f"deleted after {NEVER}, where the evidence ends, or without an event in it"
        ]
        assert {each["match"] for each in gone["addresses"]} == {"gone"}
        assert missing["match"] == "missing"

    @pytest.mark.parametrize(
        ("attached", "why"),
        [
            ("2022-10-05T12:00:00+00:00", "before the evidence begins at 2022-10-05 13:10:00Z"),
            ("2022-10-05T14:00:00+00:00", "with no event in the evidence"),
            ("2022-10-05T15:30:00+00:00", f"about where the evidence ends at {NEVER}"),
            ("2022-10-05T15:59:00+00:00", f"about where the evidence ends at {NEVER}"),
        ],
    )
    def test_missing_is_an_interface_that_the_trail_does_not_have(
        self, run: Run, saved: Any, attached: str, why: str
    ) -> None:
        other = interface("eni-0123456789abcdef0", "192.168.1.1")
        other["Attachment"]["AttachTime"] = attached
        entries = compared(run, "ironman", *LATER, "--live", saved(interface(FIRST, *SIX), other))
        (entry,) = (each for each in entries if each["match"] == "missing")
        (reason,) = entry["reasons"]
        assert reason == f"attached at {attached[:10]} {attached[11:19]}Z, {why}"
        assert [each["ip"] for each in entry["addresses"]] == ["192.168.1.1"]

    def test_missing_in_a_hole_of_the_logs(self, run: Run, saved: Any) -> None:
        other = interface("eni-0123456789abcdef0", "10.144.9.9", AvailabilityZone="eu-north-1b")
        other["Attachment"]["AttachTime"] = "2024-01-18T11:00:00+00:00"
        at = ("--at", "2024-01-18T14:00Z")
        entries = compared(run, "hole-in-the-logs", *at, "--live", saved(other))
        (entry,) = (each for each in entries if each["match"] == "missing")
        assert entry["reasons"] == ["attached at 2024-01-18 11:00:00Z, where little or nothing was read"]

    def test_what_is_on_no_instance_tells_no_time(self, run: Run, saved: Any) -> None:
        other = interface("eni-0123456789abcdef0", "192.168.1.1", instance=None, InterfaceType="lambda")
        _, entry = compared(run, "ironman", *LATER, "--live", saved(other))
        assert (entry["attached"], entry["eni_kind"]) == (False, "lambda")
        assert entry["reasons"] == [
            "older than the evidence, which begins at 2022-10-05 13:10:00Z, or made without an event in it"
        ]

    def test_an_interface_that_the_evidence_has_as_deleted(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX), interface(SECOND, "192.168.38.190"))
        entry, _ = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["eni"], entry["match"]) == (SECOND, "missing")
        assert entry["reasons"] == ["observed as deleted at 2022-10-05 15:22:24Z"]

    def test_an_interface_on_another_instance(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX, instance="i-0123456789abcdef0"))
        (entry,) = compared(run, "ironman", *LATER, "--live", listing)
        assert (entry["match"], entry["live_instance"]) == ("differs", "i-0123456789abcdef0")
        (reason,) = entry["reasons"]
        assert reason == (
            f"on i-0123456789abcdef0 now, on {NODE} as the evidence has it: moved after {NEVER}, where the "
            "evidence ends, or without an event in it"
        )

    def test_unchecked_is_what_the_file_says_nothing_of(self, run: Run, saved: Any) -> None:
        for listing in (
            saved(),
            saved(interface("eni-0123456789abcdef0", "10.0.0.1", AvailabilityZone="us-east-1a")),
            saved(interface("eni-0123456789abcdef0", "10.0.0.1", OwnerId="222222222222")),
            saved(interface("eni-0123456789abcdef0", "192.168.1.1"), NextToken="more"),
        ):
            entries = compared(run, "ironman", *LATER, "--live", listing)
            (entry,) = (each for each in entries if each["eni"] == FIRST)
            assert entry["match"] == "unchecked"
            assert entry["reasons"] == ["of 111111111111 in eu-west-1 EC2 was not asked, or did not tell all"]

    def test_several_files_are_one_picture(self, run: Run, saved: Any) -> None:
        one = saved(interface("eni-0123456789abcdef0", "192.168.1.1"), name="one.json")
        other = saved(interface(FIRST, *SIX), name="other.json")
        matches = [
            entry["match"] for entry in compared(run, "ironman", *LATER, "--live", one, "--live", other)
        ]
        assert matches == ["missing", "same"]

    def test_instances_tell_of_the_interfaces_on_them(self, run: Run, tmp_path: Path) -> None:
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
        assert entry["reasons"][0] == f"{NODE} is terminated"

    @staticmethod
    def a_neighbour(tmp_path: Path) -> str:
        path = tmp_path / "neighbour.json"
        other = interface("eni-0123456789abcdef0", "192.168.1.1", instance="i-0123456789abcdef0")
        path.write_text(json.dumps({"NetworkInterfaces": [other]}))
        return str(path)

    def test_filters_take_what_either_puts_there(self, run: Run, saved: Any) -> None:
        moved = interface(FIRST, *SIX, instance="i-0123456789abcdef0")
        listing = saved(
            moved, interface("eni-0123456789abcdef0", "192.168.1.1", instance="i-0aaaaaaaaaaaaaaa1")
        )
        for asked in ((NODE,), ("i-0123456789abcdef0",)):
            (entry,) = compared(run, "ironman", *LATER, "--live", listing, "--instance", *asked)
            assert entry["eni"] == FIRST
        (entry,) = compared(run, "ironman", *LATER, "--live", listing, "--ip", "192.168.1.0/24")
        assert entry["eni"] == "eni-0123456789abcdef0"

    def test_a_prefix_is_an_address_of_its_own(self, run: Run, saved: Any) -> None:
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
        (entry,) = (each for each in entries if each["eni"] == "eni-0f2b5e8d1f3c69470")
        assert entry["match"] == "same"


class TestPrinted:
    def test_a_piped_table_tells_match_reasons_and_addresses(self, run: Run, saved: Any) -> None:
        result = run("state", "ironman", *LATER, "--live", saved(interface(FIRST, *SIX[:5], "192.168.34.1")))
        _, line = result.stdout.splitlines()
        assert line.startswith(f"differs  {NODE} m5.large  {FIRST} node-primary, device 0")
        assert "1 gone: 192.168.62.119 released after" in line
        assert "1 missing from the trail: 192.168.34.1 given after" in line
        assert "5 same: 192.168.41.36" in line
        assert "compared with EC2: 1 differs\n" in result.stderr
        assert f"beware: the evidence of 111111111111 in eu-west-1 ends at {NEVER}\n" in result.stderr

    def test_csv_has_columns_of_its_own_for_it(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX[:5], "192.168.34.1"))
        text = run("state", "ironman", *LATER, "--live", listing, "-o", "csv").stdout
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["match"], row["missing"], row["gone"]) == ("differs", "192.168.34.1", "192.168.62.119")

    def test_json_keeps_the_fields_of_a_state(self, run: Run, saved: Any) -> None:
        listing = saved(interface(FIRST, *SIX))
        answer = json.loads(run("state", "ironman", *LATER, "--live", listing, "-o", "json").stdout)
        alone = json.loads(run("state", "ironman", *LATER, "-o", "json").stdout)
        assert (answer["schema"], answer["query"]["live"]) == ("cnitrail/state/v1", [listing])
        assert set(alone["entries"][0]) < set(answer["entries"][0])


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            ([], 2, "at which time?"),
            (["--live", "ec2:", "--live", "x.json"], 2, "--live asks EC2 or takes files: not both at once"),
            (["--live", "no-such-file.json"], 1, "--live no-such-file.json: No such file or directory"),
            (
                ["--live", "ironman"],
                1,
                "--live ironman: Is a directory\ntry: --live takes saved JSON, or nothing",
            ),
            (["--live", "README.md"], 1, "--live README.md: JSON is malformed"),
            (
                ["--live", "-"],
                1,
                "--live -: neither NetworkInterfaces nor Reservations in it\ntry: save it with aws",
            ),
        ],
    )
    def test_one_clear_message_and_its_exit_status(
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
    """EC2 on loopback, with credentials that are as good as any."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("cnitrail.sources.ec2_listing._ATTEMPTS", 1)
    with ec2() as server:
        yield server


class Region:
    """A Region of EC2 with interfaces, and the trail of how they came to be."""

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
        """An interface that EC2 has, and that the trail tells of."""
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
    """``--live`` alone: EC2 is asked."""

    def test_each_region_of_the_evidence_is_asked_and_compared(
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
        addresses = {each["ip"]: each["match"] for each in differing["addresses"]}
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

    def test_only_the_regions_that_are_named(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
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

    def test_instances_that_may_not_be_described_leave_the_interfaces(
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
                "AWS went on throttling ec2:DescribeNetworkInterfaces (RequestLimitExceeded)",
            ),
            ("AuthFailure", "AWS does not know these credentials (AuthFailure)"),
            ("ExpiredToken", "the AWS session token has expired (ExpiredToken)"),
        ],
    )
    def test_where_nothing_can_be_had_there_is_no_answer(
        self, run: Run, aws: Ec2, tmp_path: Path, code: str, said: str
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        aws.fault = lambda call: code if call.action.startswith("Describe") else None
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"cnitrail: ec2:eu-west-1/describe-network-interfaces: {said}" in result.stderr

    @pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"<html><br>", b"", b"{}", b"<a><b>"])
    def test_a_page_that_is_not_ec2s_makes_no_interface_gone(
        self, run: Run, aws: Ec2, tmp_path: Path, body: bytes
    ) -> None:
        ireland, ohio = Region(aws, "eu-west-1", tmp_path), Region(aws, "us-east-2", tmp_path)
        behind, there = ireland.make(), ohio.make()
        aws.fault = lambda call: body if (call.region, call.action[:8]) == ("eu-west-1", "Describe") else None
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url, "-o", "jsonl")
        assert result.exit_code == 3
        matches = {entry["eni"]: entry["match"] for entry in map(json.loads, result.stdout.splitlines())}
        assert matches == {behind.id: "unchecked", there.id: "same"}
        assert "what answered is not AWS, or the answer is damaged" in result.stderr

    def test_without_a_word_on_whose_credentials_these_are_there_is_no_answer(
        self, run: Run, aws: Ec2, tmp_path: Path
    ) -> None:
        Region(aws, "eu-west-1", tmp_path).make()
        aws.fault = lambda _: b"<html>Please sign in</html>"
        result = run("state", str(tmp_path), "--live", "--endpoint-url", aws.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "sts:GetCallerIdentity: what answered is not AWS" in result.stderr

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
        assert "cnitrail: ec2: there are no AWS credentials" in result.stderr

    def test_another_account_than_the_credentials_is_unchecked(self, run: Run, aws: Ec2) -> None:
        (entry,) = compared(run, str(FIXTURES / "ironman"), "--live", "--endpoint-url", aws.url)
        assert (entry["account"], entry["match"]) == (ACCOUNT, "unchecked")


class TestAgainstTheTruth:
    """A simulator that knows what is there: the rebuilt state has it all, where no log is missing."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(world=worlds())
    def test_what_is_there_is_the_same(self, world: World) -> None:
        history, coverage = read(deliver(world))
        alive = {eni.id: live(eni) for eni in world.enis if eni.alive and eni.notice is None}
        whole = frozenset((each.account, each.region) for each in history.interfaces.values())
        at = max(reach.last for reach in coverage.reaches) if coverage.reaches else datetime.now(UTC)
        present = Present(alive, {}, whole, frozenset())
        unclear = unordered(history)
        for entry in compare(history, coverage, at, present, Filter()):
            assert entry.match is not Match.MISSING or entry.eni in unclear
            if entry.match is not Match.GONE and entry.eni not in unclear:
                assert {each.match for each in entry.addresses} <= {Match.SAME}
                # only an instance that ends without an event leaves an interface behind unseen
                assert entry.match is Match.SAME or entry.live_instance is None


def unordered(history: History) -> set[str]:
    """Interfaces of which calls of one second, on them or on their addresses, do not tell what came last."""
    touched: dict[tuple[object, datetime], list[str]] = defaultdict(list)
    for event in history.events:
        for subject in event.subjects:
            held = (*(holding.held for holding in subject.added), *subject.removed)
            for what in (subject.eni, *held):
                touched[what, event.time].append(subject.eni or "")
    contested = {lease.eni for lease in history.leases if lease.contested}
    return contested.union(*(enis for enis in touched.values() if len(enis) > 1))


def live(eni: SimulatedEni) -> LiveInterface:
    """An interface of a simulated world as EC2 would describe it."""
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
        addresses=tuple(Holding(each, HoldingKind.SECONDARY) for each in held),
        description=None,
        mark=None,
        interface_type=None,
        requester=None,
        tags=(),
    )
