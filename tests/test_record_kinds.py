"""Kinds of records beside the plain API call: dry runs, copies of a call, omitted parts, other ENI makers."""

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from conftest import Run
from records import (
    ACCOUNT,
    ENDPOINT,
    ENI,
    GOOD,
    IAM_USER,
    INSTANCE,
    MOUNT_TARGET,
    NAT_GATEWAY,
    OTHER_ENI,
    SUBNET,
    VPC,
    Entry,
    decoded,
    event_of,
    failed,
    interface,
    items,
    record,
)

from cnitrail.decode import _with_parsed_texts
from cnitrail.model import CallOutcome

DRY_RUN = ("Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
ASSIGN = GOOD["AssignPrivateIpAddresses"]


def trail(folder: Path, *entries: Entry) -> str:
    """A log file with these records."""
    path = folder / "log.json"
    path.write_text(json.dumps({"Records": entries}))
    return str(path)


def timeline(run: Run, path: str, *more: str, status: int = 0) -> list[dict[str, Any]]:
    result = run("timeline", path, "-o", "jsonl", "-q", *more)
    assert result.exit_code == status, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def through_endpoint(entry: Entry, **fields: object) -> Entry:
    """The network activity event of a call: without its parameters, and with an ID of its own."""
    return (
        entry
        | {
            "requestParameters": None,
            "responseElements": None,
            "eventType": "AwsVpceEvent",
            "eventCategory": "NetworkActivity",
            "eventID": "6e1cbd44-0000-4000-8000-000000000001",
            "vpcEndpointId": "vpce-0123456789abcdef0",
        }
        | fields
    )


def denied(entry: Entry) -> Entry:
    message = "The request was denied due to a VPC endpoint policy"
    return through_endpoint(entry, errorCode="VpceAccessDenied", errorMessage=message)


class TestNetworkActivity:
    @pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
    def test_a_successful_call_is_passed_over_because_it_has_a_record_of_its_own(self, entry: Entry) -> None:
        assert not decoded(through_endpoint(entry)).is_relevant

    def test_one_call_is_one_row_and_one_record_is_passed_over(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, through_endpoint(ASSIGN), ASSIGN)
        assert [row["event"] for row in timeline(run, path)] == ["AssignPrivateIpAddresses"]
        source = json.loads(run("timeline", path, "-o", "json", "-q").stdout)["evidence"]["sources"][0]
        assert (source["records"], source["relevant"], source["passed_over"]) == (2, 1, 1)

    def test_a_call_that_the_endpoint_denied_is_a_failed_call(self, run: Run, tmp_path: Path) -> None:
        (row,) = timeline(run, trail(tmp_path, denied(ASSIGN)))
        assert (row["outcome"], row["error"]["code"], row["eni"]) == ("failed", "VpceAccessDenied", None)

    @pytest.mark.parametrize("code", ["Client.UnauthorizedOperation", "AccessDenied"])
    def test_a_denied_call_with_a_record_of_its_own_is_one_row(
        self, run: Run, tmp_path: Path, code: str
    ) -> None:
        (row,) = timeline(run, trail(tmp_path, denied(ASSIGN), failed(ASSIGN, code)))
        assert (row["error"]["code"], row["eni"]) == (code, ENI)

    def test_calls_with_other_request_ids_are_other_calls(self, run: Run, tmp_path: Path) -> None:
        other = failed(ASSIGN) | {"requestID": "7a7a7a7a-1111-2222-3333-444455556666"}
        assert len(timeline(run, trail(tmp_path, denied(ASSIGN), other))) == 2

    @pytest.mark.parametrize(
        "fields", [{"eventCategory": "Insight"}, {"eventType": "AwsCloudTrailInsight", "eventCategory": None}]
    )
    def test_an_insight_about_calls_is_no_call(self, fields: Entry) -> None:
        assert not decoded(ASSIGN | fields).is_relevant


class TestDryRun:
    @pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
    @pytest.mark.parametrize("code", ["Client.DryRunOperation", "DryRunOperation"])
    def test_it_is_neither_a_success_nor_a_failure(self, entry: Entry, code: str) -> None:
        assert event_of(failed(entry, code)).outcome is CallOutcome.DRY_RUN
        assert event_of(failed(entry)).outcome is CallOutcome.FAILED
        assert event_of(entry).outcome is CallOutcome.OK

    def test_it_changes_nothing(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, failed(GOOD["RunInstances"], *DRY_RUN))
        assert run("leases", path, "-q").stdout == ""

    def test_it_is_left_out_by_failed_and_kept_by_no_failed(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, failed(GOOD["RunInstances"], *DRY_RUN))
        assert timeline(run, path, "--failed") == []
        (row,) = timeline(run, path, "--no-failed")
        assert (row["outcome"], row["error"]["code"]) == ("dry-run", "Client.DryRunOperation")

    def test_the_table_says_dry_run(self, run: Run, tmp_path: Path) -> None:
        table = run("timeline", trail(tmp_path, failed(GOOD["RunInstances"], *DRY_RUN)), "-q").stdout
        assert "RunInstances (dry run)" in table
        assert "FAILED" not in table

    def test_the_report_counts_no_failed_call(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, failed(GOOD["RunInstances"], *DRY_RUN))
        report = run("report", path, "-q").stdout
        assert "(dry run)" in report
        assert "failed" not in report.replace("0 failed", "")

    def test_a_dry_run_that_is_not_allowed_fails(self) -> None:
        refused = failed(GOOD["RunInstances"], "Client.UnauthorizedOperation", "You are not authorized")
        refused["requestParameters"]["dryRun"] = True
        assert event_of(refused).outcome is CallOutcome.FAILED


class TestTime:
    @pytest.mark.parametrize("written", ["2024-05-14T09:30:00.000Z", "2024-05-14T09:30:00Z"])
    def test_the_codec_of_logstash_renames_the_event_time(self, written: str) -> None:
        entry = {name: value for name, value in ASSIGN.items() if name != "eventTime"}
        assert event_of(entry | {"@timestamp": written, "@version": "1"}).time == event_of(ASSIGN).time

    def test_the_event_time_counts_where_both_are_present(self) -> None:
        entry = ASSIGN | {"@timestamp": "2024-05-14T11:00:00.000Z"}
        assert event_of(entry).time == event_of(ASSIGN).time

    @pytest.mark.parametrize("written", ["2024-05-14T09:31:12.345Z", "yesterday", None, 1715679000])
    def test_the_time_at_which_a_shipper_read_the_record_is_no_event_time(self, written: object) -> None:
        entry = {name: value for name, value in ASSIGN.items() if name != "eventTime"}
        read = decoded(entry | {"@timestamp": written})
        assert read.fact is None
        assert "eventTime is None" in read.problems[0]


OMITTED = {"omitted": True, "originalSize": 151850, "reason": "responseElements too large"}


class TestOmitted:
    def test_a_launch_without_its_response_says_what_was_requested(self, run: Run, tmp_path: Path) -> None:
        request = {
            "instancesSet": items({"imageId": "ami-0123456789abcdef0", "minCount": 50, "maxCount": 50}),
            "instanceType": "m5.large",
            "subnetId": SUBNET,
        }
        path = trail(tmp_path, record("RunInstances", request, OMITTED))
        (row,) = timeline(run, path, status=3)
        assert (row["outcome"], row["requested"], row["subnet"]) == ("ok", 50, SUBNET)
        assert (row["eni"], row["instance"], row["added"]) == (None, None, [])
        assert row["omitted"] == ["response"]
        shown = run("timeline", path)
        assert "requested 50; response omitted by CloudTrail" in " ".join(shown.stdout.split())
        assert "response omitted by CloudTrail" in " ".join(shown.stdout.split())
        assert "RunInstances: CloudTrail omitted the response (over 100 KB)" in shown.stderr

    @pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
    @pytest.mark.parametrize("field", ["requestParameters", "responseElements"])
    def test_every_call_has_one_row_and_one_problem(self, entry: Entry, field: str) -> None:
        read = decoded(entry | {field: OMITTED})
        part = {"requestParameters": "request", "responseElements": "response"}[field]
        assert read.fact is not None
        assert read.fact.omitted == (part,)  # type: ignore[union-attr]
        assert read.problems == (f"{entry['eventName']}: CloudTrail omitted the {part} (over 100 KB)",)

    def test_a_response_names_the_eni_of_an_omitted_request(self) -> None:
        read = decoded(ASSIGN | {"requestParameters": OMITTED})
        assert read.lost is not None
        assert read.lost.enis == (ENI,)
        assert read.lost.addresses == ("10.0.1.12", "10.0.1.13")

    def test_an_omitted_request_leaves_the_eni_of_a_release_unknown(self, run: Run, tmp_path: Path) -> None:
        release = GOOD["UnassignPrivateIpAddresses"] | {"requestParameters": OMITTED}
        (row,) = timeline(run, trail(tmp_path, release), status=3)
        assert (row["eni"], row["removed"], row["omitted"]) == (None, [], ["request"])

    def test_an_answer_of_that_time_is_in_doubt(self, run: Run, tmp_path: Path) -> None:
        made = GOOD["CreateNetworkInterface"] | {"eventTime": "2024-05-14T09:00:00Z"}
        release = GOOD["UnassignPrivateIpAddresses"] | {"requestParameters": OMITTED}
        path = trail(tmp_path, made, release)
        question = ("who", "10.0.1.11", path, "--at", "2024-05-14T09:40Z", "-o", "jsonl", "-q")
        answer = json.loads(run(*question, "--assume-complete").stdout)
        assert answer["verdict"] == "likely"
        assert "unread-file" in {reason["code"] for reason in answer["reasons"]}

    def test_a_failed_call_may_have_had_any_request(self, run: Run, tmp_path: Path) -> None:
        (row,) = timeline(run, trail(tmp_path, failed(ASSIGN) | {"requestParameters": OMITTED}))
        assert (row["outcome"], row["omitted"]) == ("failed", ["request"])


class TestNulls:
    @pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
    def test_a_successful_call_without_parameters_is_never_silent(self, entry: Entry) -> None:
        read = decoded(
            entry | {"requestParameters": None, "responseElements": None, "serviceEventDetails": None}
        )
        assert read.problems

    def test_a_launch_without_a_response_has_a_row(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, GOOD["RunInstances"] | {"responseElements": None})
        (row,) = timeline(run, path, status=3)
        assert (row["event"], row["requested"], row["subnet"]) == ("RunInstances", 1, SUBNET)


ADDRESS = "10.0.1.77"


def classic(**fields: object) -> Entry:
    """A launch whose instance has an address and no described ENI."""
    instance = {"instanceId": INSTANCE, "instanceType": "t2.micro", "privateIpAddress": ADDRESS} | fields
    return record("RunInstances", {"instanceType": "t2.micro"}, {"instancesSet": items(instance)})


class TestAddressOfTheInstance:
    def test_the_address_is_shown_without_an_eni(self, run: Run, tmp_path: Path) -> None:
        (row,) = timeline(run, trail(tmp_path, classic(subnetId=SUBNET, ipv6Address="2001:db8::77")))
        assert (row["instance"], row["eni"], row["added"]) == (INSTANCE, None, [ADDRESS, "2001:db8::77"])

    def test_no_eni_and_no_interval_is_made_up(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, classic())
        assert run("leases", path, "-o", "jsonl", "-q").stdout == ""
        assert "on 1 ENI." not in run("report", path, "-q").stdout

    def test_who_says_which_instance_has_it(self, run: Run, tmp_path: Path) -> None:
        result = run(
            "who", ADDRESS, trail(tmp_path, classic()), "--at", "2024-05-14T09:40Z", "-o", "jsonl", "-q"
        )
        answer = json.loads(result.stdout)
        assert (answer["verdict"], answer["holders"]) == ("unknown", [])
        (shown,) = [reason for reason in answer["reasons"] if reason["code"] == "no-eni-named"]
        assert shown["text"].startswith(
            f"RunInstances at 2024-05-14 09:30:00Z shows the address on {INSTANCE}"
        )

    @pytest.mark.parametrize(
        ("vpc", "doubted"), [(VPC, True), (None, True), ("vpc-0fffffffffffffff0", False)]
    )
    def test_an_older_holder_is_in_doubt_unless_it_is_in_another_vpc(
        self, run: Run, tmp_path: Path, vpc: str | None, doubted: bool
    ) -> None:
        made = record(
            "CreateNetworkInterface",
            {"subnetId": SUBNET},
            {
                "networkInterface": interface(
                    privateIpAddress=ADDRESS, privateIpAddressesSet={}, description=""
                )
            },
            eventTime="2024-05-14T09:00:00Z",
        )
        alive = ASSIGN | {"eventTime": "2024-05-14T10:00:00Z"}
        path = trail(tmp_path, made, classic(vpcId=vpc), alive)
        question = (
            "who",
            ADDRESS,
            path,
            "--at",
            "2024-05-14T09:40Z",
            "-o",
            "jsonl",
            "-q",
            "--assume-complete",
        )
        answer = json.loads(run(*question).stdout)
        assert [holder["eni"] for holder in answer["holders"]] == [ENI]
        assert answer["verdict"] == ("likely" if doubted else "certain")
        assert doubted is ("no-eni-named" in {reason["code"] for reason in answer["reasons"]})


def at(clock: str, entry: Entry, **fields: object) -> Entry:
    """The same call at another time, as an event of its own."""
    event_id = str(uuid5(NAMESPACE_URL, f"{entry['eventName']}{clock}"))
    return entry | {"eventTime": f"2024-05-14T{clock}Z", "eventID": event_id} | fields


def who(run: Run, path: str, ip: str, clock: str) -> dict[str, Any]:
    question = ("who", ip, path, "--at", f"2024-05-14T{clock}Z", "-o", "jsonl", "-q", "--assume-complete")
    answer: dict[str, Any] = json.loads(run(*question).stdout)
    return answer


MOUNT, UNMOUNT = GOOD["CreateMountTarget"], GOOD["DeleteMountTarget"]
MOUNTED = "10.0.1.88"


def of_efs(clock: str, eni: str = ENI) -> Entry:
    """The CreateNetworkInterface event of EFS, which acts for the user."""
    described = interface(
        networkInterfaceId=eni,
        privateIpAddress=MOUNTED,
        privateIpAddressesSet={},
        tagSet={},
        description=f"EFS mount target for fs-0123456789abcdef0 ({MOUNT_TARGET})",
    )
    identity = IAM_USER | {"invokedBy": "elasticfilesystem.amazonaws.com"}
    request = {"subnetId": SUBNET}
    made = record("CreateNetworkInterface", request, {"networkInterface": described}, userIdentity=identity)
    return at(clock, made)


class TestMountTarget:
    def test_the_caller_creates_an_eni_of_efs_with_its_address(self, run: Run, tmp_path: Path) -> None:
        (row,) = timeline(run, trail(tmp_path, MOUNT))
        assert (row["effect"], row["eni"], row["eni_kind"], row["added"]) == ("create", ENI, "efs", [MOUNTED])
        assert (row["vpc"], row["subnet"], row["resource"]) == (VPC, SUBNET, MOUNT_TARGET)
        assert row["actor"]["user"] == "ada"

    @pytest.mark.parametrize("clock", ["08:59:59", "09:00:00", "09:00:01"])
    def test_the_event_of_efs_itself_shows_the_same_eni_and_no_other_holder(
        self, run: Run, tmp_path: Path, clock: str
    ) -> None:
        alive = at("10:00:00", ASSIGN)
        path = trail(tmp_path, at("09:00:00", MOUNT), of_efs(clock), alive)
        assert {row["eni_kind"] for row in timeline(run, path)} == {"efs"}
        answer = who(run, path, MOUNTED, "09:30:00")
        assert (answer["verdict"], [holder["eni"] for holder in answer["holders"]]) == ("certain", [ENI])
        leases = [json.loads(line) for line in run("leases", path, "-o", "jsonl", "-q").stdout.splitlines()]
        assert [lease["eni"] for lease in leases if lease["ip"] == MOUNTED] == [ENI]

    def test_its_deletion_ends_what_its_creation_shows(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, at("09:00:00", MOUNT), at("09:20:00", UNMOUNT))
        row = timeline(run, path)[1]
        assert (row["effect"], row["eni"], row["removed"]) == ("delete", ENI, [MOUNTED])
        answer = who(run, path, MOUNTED, "09:30:00")
        assert (answer["verdict"], answer["last_holder"]["eni"]) == ("unknown", ENI)

    def test_the_deletion_by_efs_itself_is_the_end_if_it_is_logged(self, run: Run, tmp_path: Path) -> None:
        own = at("09:20:03", GOOD["DeleteNetworkInterface"])
        path = trail(tmp_path, at("09:00:00", MOUNT), at("09:20:00", UNMOUNT), own)
        assert [row["removed"] for row in timeline(run, path)[1:]] == [[], [MOUNTED]]

    def test_the_deletion_of_an_unknown_one_names_only_the_mount_target(
        self, run: Run, tmp_path: Path
    ) -> None:
        (row,) = timeline(run, trail(tmp_path, UNMOUNT))
        assert (row["eni"], row["resource"]) == (None, MOUNT_TARGET)

    def test_another_service_has_calls_of_the_same_name(self) -> None:
        assert not decoded(MOUNT | {"eventSource": "fsx.amazonaws.com"}).is_relevant

    def test_a_failed_one_shows_the_requested_address(self) -> None:
        refused = failed(MOUNT, "IpAddressInUse")
        refused["requestParameters"]["ipAddress"] = MOUNTED
        (subject,) = event_of(refused).subjects
        assert (subject.eni, subject.added, subject.requested_addresses) == (None, (), (MOUNTED,))


def gateway(*described: Entry) -> Entry:
    """A new NAT gateway whose response describes these addresses."""
    made = {"natGatewayId": NAT_GATEWAY, "subnetId": SUBNET, "vpcId": VPC, "state": "pending"}
    made["natGatewayAddressSet"] = {"item": list(described)}  # type: ignore[assignment]
    response = {"CreateNatGatewayResponse": {"natGateway": made}}
    return GOOD["CreateNatGateway"] | {"responseElements": response}


class TestNatGateway:
    def test_the_row_has_the_eni_and_the_address_if_the_response_names_them(
        self, run: Run, tmp_path: Path
    ) -> None:
        (row,) = timeline(run, trail(tmp_path, GOOD["CreateNatGateway"]))
        assert (row["effect"], row["eni"], row["eni_kind"]) == ("create", ENI, "nat-gateway")
        assert (row["added"], row["subnet"], row["resource"]) == (["10.0.1.70"], SUBNET, NAT_GATEWAY)

    @pytest.mark.parametrize("described", [(), ({"allocationId": "eipalloc-0123456789abcdef0"},)])
    def test_the_row_says_in_which_subnet_it_was_made_otherwise(
        self, run: Run, tmp_path: Path, described: tuple[Entry, ...]
    ) -> None:
        path = trail(tmp_path, gateway(*described))
        (row,) = timeline(run, path)
        assert (row["eni"], row["added"]) == (None, [])
        assert (row["vpc"], row["subnet"], row["resource"]) == (VPC, SUBNET, NAT_GATEWAY)
        assert row["allocation"] == "eipalloc-0123456789abcdef0"
        assert run("leases", path, "-q").stdout == ""
        assert f"created `{NAT_GATEWAY}`" in run("report", path, "-q").stdout

    def test_an_eni_without_an_address_holds_nothing(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, gateway({"networkInterfaceId": ENI}))
        assert [row["eni"] for row in timeline(run, path)] == [ENI]
        assert run("leases", path, "-q").stdout == ""

    def test_secondary_addresses_are_on_the_eni_of_the_primary_one(self) -> None:
        addresses = (
            {"networkInterfaceId": ENI, "privateIp": "10.0.1.71", "isPrimary": False},
            {"networkInterfaceId": ENI, "privateIp": "10.0.1.70", "isPrimary": True},
        )
        (subject,) = event_of(gateway(*addresses)).subjects
        assert [(str(found.held), found.kind.value) for found in subject.added] == [
            ("10.0.1.71", "secondary"),
            ("10.0.1.70", "primary"),
        ]

    def test_its_deletion_ends_the_interval_of_its_address(self, run: Run, tmp_path: Path) -> None:
        gone = at("09:20:00", GOOD["DeleteNatGateway"])
        path = trail(tmp_path, at("09:00:00", GOOD["CreateNatGateway"]), gone)
        assert who(run, path, "10.0.1.70", "09:30:00")["verdict"] == "unknown"

    def test_its_eni_is_of_an_aws_service_and_on_no_unknown_instance(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, at("09:00:00", GOOD["CreateNatGateway"]))
        shown = run("who", "10.0.1.70", path, "--at", "2024-05-14T09:30:00Z", "-q").stdout
        assert f"{ENI} nat-gateway of an AWS service" in shown
        assert "instance unknown" not in shown

    @pytest.mark.parametrize("name", ["AssignPrivateNatGatewayAddress", "AssociateNatGatewayAddress"])
    def test_a_secondary_address_is_on_its_eni_from_the_call_that_added_it(
        self, run: Run, tmp_path: Path, name: str
    ) -> None:
        path = trail(tmp_path, at("09:00:00", GOOD[name]))
        answer = who(run, path, "10.0.1.71", "09:30:00")
        assert [(holder["eni"], holder["eni_kind"]) for holder in answer["holders"]] == [(ENI, "nat-gateway")]
        assert who(run, path, "10.0.1.71", "08:30:00")["verdict"] == "unknown"

    @pytest.mark.parametrize(
        "name",
        ["UnassignPrivateNatGatewayAddress", "DisassociateNatGatewayAddress", "DeleteNatGateway"],
    )
    def test_nobody_is_said_to_hold_it_after_the_call_that_removes_it(
        self, run: Run, tmp_path: Path, name: str
    ) -> None:
        added = at("09:00:00", GOOD["AssignPrivateNatGatewayAddress"])
        path = trail(tmp_path, added, at("09:20:00", GOOD[name]))
        answer = who(run, path, "10.0.1.71", "09:30:00")
        assert (answer["verdict"], answer["holders"]) == ("unknown", [])
        assert answer["last_holder"]["eni"] == ENI

    def test_an_address_that_only_the_request_names_is_on_no_known_eni(self) -> None:
        name = "AssignPrivateNatGatewayAddress"
        asked = {"NatGatewayId": NAT_GATEWAY, "PrivateIpAddress": {"tag": 1, "content": "10.0.1.71"}}
        (subject,) = event_of(record(name, {f"{name}Request": asked}, {f"{name}Response": {}})).subjects
        assert (subject.eni, [str(found.held) for found in subject.added]) == (None, ["10.0.1.71"])

    def test_one_that_is_never_attached_is_no_leak(self, run: Run, tmp_path: Path) -> None:
        later = at(
            "12:00:00",
            GOOD["AttachNetworkInterface"],
            requestParameters={"networkInterfaceId": OTHER_ENI, "instanceId": INSTANCE, "deviceIndex": 1},
        )
        for made in (GOOD["CreateNatGateway"], GOOD["CreateVpcEndpoint"], MOUNT):
            path = trail(tmp_path, made, later)
            assert run("findings", path, "-o", "jsonl", "-q").stdout == ""

    def test_a_node_that_makes_one_is_not_its_instance(self, run: Run, tmp_path: Path) -> None:
        issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/node", "userName": "node"}
        identity = {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/node/{INSTANCE}",
            "accountId": ACCOUNT,
            "sessionContext": {"sessionIssuer": issuer, "ec2RoleDelivery": "2.0"},
        }
        for made in (GOOD["CreateNatGateway"], gateway(), MOUNT):
            (row,) = timeline(run, trail(tmp_path, made | {"userIdentity": identity}))
            assert (row["actor"]["instance"], row["instance"]) == (INSTANCE, None)


def enis(run: Run, path: str, clock: str) -> list[str]:
    """Return the ENIs that ``state`` shows at a time."""
    result = run("state", path, "--at", f"2024-05-14T{clock}Z", "-o", "jsonl", "-q")
    return [json.loads(line)["eni"] for line in result.stdout.splitlines()]


class TestVpcEndpoint:
    def test_the_row_has_the_enis_if_the_response_names_them(self, run: Run, tmp_path: Path) -> None:
        path = trail(tmp_path, GOOD["CreateVpcEndpoint"])
        (row,) = timeline(run, path)
        assert (row["effect"], row["eni"], row["eni_kind"]) == ("create", ENI, "vpc-endpoint")
        assert (row["added"], row["resource"]) == ([], ENDPOINT)
        assert run("leases", path, "-q").stdout == ""

    def test_a_gateway_endpoint_has_no_eni_and_no_row(self) -> None:
        request = {"CreateVpcEndpointRequest": {"VpcId": VPC, "RouteTableId": {"tag": 1, "content": "rtb-1"}}}
        made = {"vpcEndpointId": ENDPOINT, "vpcEndpointType": "Gateway", "networkInterfaceIdSet": ""}
        response = {"CreateVpcEndpointResponse": {"vpcEndpoint": made}}
        assert not decoded(record("CreateVpcEndpoint", request, response)).is_relevant

    def test_a_change_matters_only_if_it_adds_a_subnet(self) -> None:
        assert decoded(GOOD["ModifyVpcEndpoint"]).is_relevant
        request = {"ModifyVpcEndpointRequest": {"VpcEndpointId": ENDPOINT, "PolicyDocument": "{}"}}
        assert not decoded(record("ModifyVpcEndpoint", request, {"return": True})).is_relevant

    def test_its_deletion_ends_its_enis(self, run: Run, tmp_path: Path) -> None:
        made = at("09:00:00", GOOD["CreateVpcEndpoint"])
        path = trail(tmp_path, made, at("09:20:00", GOOD["DeleteVpcEndpoints"]))
        assert enis(run, path, "09:19:59") == [ENI]
        assert enis(run, path, "09:20:00") == []
        assert [(row["effect"], row["resource"]) for row in timeline(run, path)] == [
            ("create", ENDPOINT),
            ("delete", ENDPOINT),
        ]

    def test_an_endpoint_that_its_deletion_kept_keeps_its_enis(self, run: Run, tmp_path: Path) -> None:
        other = "vpce-0fedcba9876543210"
        asked = [{"tag": 1, "content": ENDPOINT}, {"tag": 2, "content": other}]
        error = {"code": "InvalidParameter", "message": "Operation is not allowed"}
        for kept, left in ((ENDPOINT, [ENI]), (other, [])):
            unsuccessful = {"item": {"error": error, "resourceId": kept}}
            deletion = record(
                "DeleteVpcEndpoints",
                {"DeleteVpcEndpointsRequest": {"VpcEndpointId": asked}},
                {"DeleteVpcEndpointsResponse": {"unsuccessful": unsuccessful}},
            )
            made = at("09:00:00", GOOD["CreateVpcEndpoint"])
            assert enis(run, trail(tmp_path, made, at("09:20:00", deletion)), "09:30:00") == left

    def test_another_service_has_a_call_of_the_same_name(self) -> None:
        entry = record("CreateVpcEndpoint", {"domainArn": "arn"}, eventSource="es.amazonaws.com")
        assert not decoded(entry).is_relevant


class TestTextsOfObjects:
    """Exports of tables have JSON texts in place of a record's objects."""

    PARTS = ("userIdentity", "requestParameters", "responseElements")

    def test_the_texts_are_read_as_what_they_contain(self) -> None:
        texts = ASSIGN | {part: json.dumps(ASSIGN[part]) for part in self.PARTS}
        assert event_of(texts) == event_of(ASSIGN)

    def test_a_text_that_can_be_read_in_two_ways_is_not_read(self) -> None:
        twice = '{"networkInterfaceId": "eni-1", "networkInterfaceId": "eni-2"}'
        assert decoded(ASSIGN | {"requestParameters": twice}).problems != ()

    def test_a_log_file_with_texts_has_the_same_timeline(self, run: Run, tmp_path: Path) -> None:
        texts = ASSIGN | {part: json.dumps(ASSIGN[part]) for part in self.PARTS}
        assert timeline(run, trail(tmp_path, texts)) == timeline(run, trail(tmp_path, ASSIGN))

    def test_what_is_no_object_stays_as_it_is(self) -> None:
        entry: Entry = {
            "eventName": "x",
            "requestParameters": "[1]",
            "responseElements": "{a=b}",
            "userIdentity": None,
        }
        assert _with_parsed_texts(entry) is entry
