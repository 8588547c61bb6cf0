"""``cnitrail doctor``: against AWS on loopback, against saved files, and what it never does."""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_loopback import REGION, Aws, AwsError, aws
from conftest import FIXTURES, Run, Show
from stories import STORIES

READ_ONLY = re.compile("(Get|List|Describe|Lookup|Head)[A-Z]")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Aws]:
    """An empty account, and credentials for it in the environment."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr("cnitrail.sources.lookup_region.CALLS_PER_SECOND", 1000.0)
    with aws() as endpoint:
        yield endpoint


@pytest.fixture
def doctor(run: Run, cloud: Aws) -> Any:
    """Run doctor against the loopback; return its exit status and its checks."""

    def ask(*arguments: str, status: int = 0, **more: Any) -> list[dict[str, Any]]:
        result = run("doctor", *arguments, "--endpoint-url", cloud.url, "-o", "jsonl", **more)
        assert result.exit_code == status, result.stdout + result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return ask


def of(checks: list[dict[str, Any]], code: str) -> list[tuple[str, str]]:
    """Return status and text of the checks with a code."""
    return [(check["status"], check["text"]) for check in checks if check["code"] == code]


def vpc(cloud: Aws, block: str = "10.0.0.0/16") -> str:
    return str(cloud.client("ec2").create_vpc(CidrBlock=block)["Vpc"]["VpcId"])


def subnet(cloud: Aws, vpc_id: str, block: str) -> str:
    made = cloud.client("ec2").create_subnet(VpcId=vpc_id, CidrBlock=block, AvailabilityZone=f"{REGION}a")
    return str(made["Subnet"]["SubnetId"])


def node(cloud: Aws, subnet_id: str, instance_type: str = "m5.large", cluster: str = "orchard") -> str:
    tags = [{"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}]
    made = cloud.client("ec2").run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        InstanceType=instance_type,
        SubnetId=subnet_id,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return str(made["Instances"][0]["InstanceId"])


class TestAllFine:
    def test_an_empty_account_has_no_problem_but_no_trail(self, doctor: Any) -> None:
        checks = doctor()
        assert [(check["code"], check["status"]) for check in checks] == [
            ("identity", "ok"),
            ("clock", "ok"),
            *[("permission", "ok")] * 6,
            ("trail", "warning"),
            ("node", "skipped"),
            ("subnet", "skipped"),
            ("evidence", "ok"),
            ("cni-calls", "ok"),
            ("sign-ins", "ok"),
            ("findings", "ok"),
        ]

    def test_the_identity_says_where_everything_comes_from(self, doctor: Any) -> None:
        (identity,) = of(doctor(), "identity")
        assert identity[1] == (
            "arn:aws:sts::123456789012:user/moto in account 123456789012; "
            "Region eu-west-1 (from AWS_REGION); "
            "profile default (by default), credentials from environment variables"
        )

    def test_a_node_is_found_by_its_instance_id_and_by_its_name(self, doctor: Any, cloud: Aws) -> None:
        subnet_id = subnet(cloud, vpc(cloud), "10.0.1.0/24")
        instance = node(cloud, subnet_id)
        found = cloud.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]
        address = found["Instances"][0]["PrivateIpAddress"]
        eni = found["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
        name = f"ip-{address.replace('.', '-')}.{REGION}.compute.internal"
        for named in (instance, name, f"aws:///{REGION}a/{instance}"):
            checks = doctor("--node", named)
            assert of(checks, "node") == [
                (
                    "ok",
                    (
                        f"{instance} (m5.large) has 1 of 3 ENIs and 1 of 30 IPv4 slots; 9 free on its ENIs, "
                        "18 on ENIs it may still get"
                    ),
                )
            ]
            assert of(checks, "eni") == [("ok", f"{eni} (device 0, {subnet_id}): 1 of 10 IPv4 slots used")]
            assert of(checks, "subnet") == [("ok", f"{subnet_id} has 250 of 251 IPs free")]

    def test_a_cluster_is_found_by_the_tags_of_its_instances(self, doctor: Any, cloud: Aws) -> None:
        subnet_id = subnet(cloud, vpc(cloud), "10.0.1.0/24")
        node(cloud, subnet_id)
        node(cloud, subnet_id)
        node(cloud, subnet_id, cluster="meadow")
        checks = doctor("--cluster", "orchard")
        assert of(checks, "node") == [
            ("ok", "cluster orchard has 2 instances; 2 of them with free slots for IPs")
        ]

    def test_a_trail_that_logs_is_named_with_its_bucket(self, doctor: Any, cloud: Aws) -> None:
        cloud.client("s3").create_bucket(
            Bucket="audit-logs", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        cloud.client("cloudtrail").create_trail(Name="audit", S3BucketName="audit-logs")
        assert of(doctor(), "trail") == [
            (
                "warning",
                "Trail audit is not logging: its bucket lacks all calls from then on",
            )
        ]
        cloud.client("cloudtrail").start_logging(Name="audit")
        assert of(doctor(), "trail") == [("ok", "Trail audit is logging to s3://audit-logs")]


def shifted(story: str, end: datetime) -> list[dict[str, Any]]:
    """Return the records of a story as if its last event were at a time, in the Region of the tests."""
    records = [
        record
        for path in sorted((FIXTURES / story).rglob("*.json.gz"))
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    ]
    last = max(datetime.fromisoformat(record["eventTime"]) for record in records)
    return [
        {
            **record,
            "eventTime": f"{datetime.fromisoformat(record['eventTime']) + (end - last):%Y-%m-%dT%H:%M:%SZ}",
            "awsRegion": REGION,
        }
        for record in records
    ]


class TestRecentEvents:
    def test_denied_calls_and_findings_come_from_lookup_events(self, cloud: Aws, doctor: Any) -> None:
        cloud.events.add(shifted("full-subnet", datetime.now(UTC) - timedelta(minutes=20)))
        checks = doctor("--cluster", "orchard", "--since", "3h")
        assert [(check["rule"], check["status"]) for check in checks if check["rule"]] == [
            ("cni-call-denied", "warning"),
            ("subnet-exhausted", "failed"),
            ("interface-never-attached", "warning"),
            ("interface-never-deleted", "warning"),
        ]
        assert of(checks, "subnet") == [
            ("warning", "EC2 does not list subnet-0e1d5b9a3c7f28460: its free IPs are not known")
        ]


class TestProblems:
    def test_a_full_subnet_is_the_verdict(self, run: Run, cloud: Aws, doctor: Any) -> None:
        subnet_id = subnet(cloud, vpc(cloud), "10.0.1.0/28")
        instance = node(cloud, subnet_id)
        ec2 = cloud.client("ec2")
        for _ in range(10):
            ec2.create_network_interface(SubnetId=subnet_id)
        assert of(doctor("--node", instance), "subnet") == [
            ("failed", f"{subnet_id} has no free IPs (0 of 11)")
        ]
        result = run("doctor", "--node", instance, "--endpoint-url", cloud.url)
        assert result.exit_code == 0
        assert (
            f"\nfailed: {subnet_id} has no free IPs (0 of 11). Other checks: 1 with a warning\n"
            in result.stdout
        )

    def test_few_free_addresses_are_a_warning_with_the_threshold(self, cloud: Aws, doctor: Any) -> None:
        subnet_id = subnet(cloud, vpc(cloud), "10.0.1.0/28")
        assert of(doctor("--node", node(cloud, subnet_id)), "subnet") == [
            ("warning", f"{subnet_id} has only 10 free IPs of 11 (warning below 10% or 16)")
        ]

    def test_a_node_that_does_not_exist_is_a_failed_check(self, doctor: Any) -> None:
        checks = doctor("--node", "i-0123456789abcdef0")
        assert of(checks, "node") == [
            (
                "failed",
                (
                    "No instance of node i-0123456789abcdef0 in EC2 in eu-west-1 "
                    "(by instance ID or primary address)"
                ),
            )
        ]

    def test_a_terminated_node_is_a_failed_check(self, cloud: Aws, doctor: Any) -> None:
        instance = node(cloud, subnet(cloud, vpc(cloud), "10.0.1.0/24"))
        cloud.client("ec2").terminate_instances(InstanceIds=[instance])
        assert of(doctor("--node", instance), "node") == [("failed", f"{instance} (m5.large) is terminated")]


class TestAccess:
    def test_each_missing_permission_names_the_caller_and_the_statement(
        self, cloud: Aws, doctor: Any
    ) -> None:
        cloud.deny("DescribeSubnets")
        (denied,) = [check for check in doctor(status=3) if check["cause"] == "access-denied"]
        assert (denied["status"], denied["text"]) == (
            "failed",
            (
                "arn:aws:sts::123456789012:user/moto may not call ec2:DescribeSubnets, "
                "which shows the free IPs of a subnet"
            ),
        )
        assert json.loads(denied["policy"]) == {
            "Effect": "Allow",
            "Action": "ec2:DescribeSubnets",
            "Resource": "*",
        }

    def test_an_explicit_deny_is_not_answered_with_an_allow(self, cloud: Aws, doctor: Any) -> None:
        cloud.deny(
            "DescribeSubnets", message="not authorized with an explicit deny in a service control policy"
        )
        (denied,) = [check for check in doctor(status=3) if check["cause"] == "access-denied"]
        assert denied["policy"] is None
        assert "an explicit deny in a service control policy forbids it" in denied["hint"]

    def test_a_permission_that_only_an_option_needs_is_a_warning(self, cloud: Aws, doctor: Any) -> None:
        cloud.deny("DescribeRegions", "DescribeInstanceTypes", "DescribeTrails")
        checks = doctor()
        assert [check["action"] for check in checks if check["status"] == "warning"] == [
            *("ec2:DescribeRegions", "ec2:DescribeInstanceTypes", "cloudtrail:DescribeTrails")
        ]

    def test_without_lookup_events_nothing_is_read_and_the_other_checks_are_made(
        self, cloud: Aws, doctor: Any
    ) -> None:
        cloud.deny("LookupEvents")
        instance = node(cloud, subnet(cloud, vpc(cloud), "10.0.1.0/24"))
        checks = doctor("--node", instance, status=3)
        assert [status for status, _ in of(checks, "node")] == ["ok"]
        assert of(checks, "evidence") == [("skipped", "The source lookup: was not read: access is denied")]
        assert [status for status, _ in of(checks, "findings")] == ["skipped"]
        assert cloud.operations.count("LookupEvents") == 1

    @pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
    def test_expired_credentials_stop_the_calls_and_name_what_to_renew(
        self, cloud: Aws, doctor: Any, code: str
    ) -> None:
        cloud.fault = lambda _: AwsError(code)
        checks = doctor(status=3)
        assert {check["status"] for check in checks} == {"failed", "skipped"}
        assert checks[0]["text"].startswith(f"the AWS session token has expired ({code}). Region eu-west-1")
        assert checks[0]["hint"] == (
            "renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them"
        )
        assert set(cloud.operations) == {"GetCallerIdentity"}

    def test_an_sso_profile_without_a_token_is_answered_with_the_command(
        self, cloud: Aws, doctor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("HOME", str(tmp_path))
        config = tmp_path / "config"
        config.write_text(
            "[profile on-call]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 111111111111\n"
            "sso_role_name = OnCall\n[sso-session corp]\nsso_region = eu-west-1\n"
            "sso_start_url = https://corp.example/start\nsso_registration_scopes = sso:account:access\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.delenv("AWS_REGION")
        checks = doctor("--profile", "on-call", status=3)
        assert checks[0]["commands"] == ["aws sso login --profile on-call"]
        assert checks[0]["text"].endswith(
            ". Region eu-west-1 (from profile on-call), profile on-call (from --profile)"
        )
        assert cloud.operations == []

    def test_no_credentials_at_all_is_said(
        self, cloud: Aws, doctor: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        checks = doctor(status=3)
        assert checks[0]["text"].startswith("there are no AWS credentials")
        assert checks[0]["commands"] == ["aws sso login --profile NAME"]
        assert cloud.operations == []

    def test_no_such_profile_and_no_region_are_failed_checks(
        self, doctor: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "nobody" in of(doctor("--profile", "nobody", status=3), "identity")[0][1]
        monkeypatch.delenv("AWS_REGION")
        assert of(doctor(status=3), "identity") == [("failed", "no AWS Region is set")]

    def test_keys_in_the_environment_that_override_a_profile_are_a_warning(
        self, doctor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text("[profile prod]\nregion = eu-west-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "prod")
        identity = doctor()[0]
        assert (identity["status"], identity["hint"]) == (
            "warning",
            "AWS_ACCESS_KEY_ID takes precedence over AWS_PROFILE: use --profile prod, or unset it",
        )

    def test_throttling_is_said_and_ends_soon(self, cloud: Aws, doctor: Any) -> None:
        cloud.fault = lambda name: (
            AwsError("ThrottlingException", "Rate exceeded") if name == "LookupEvents" else None
        )
        begun = time.monotonic()
        checks = doctor(status=3)
        assert time.monotonic() - begun < 20
        throttled = [check for check in checks if check["cause"] == "throttled"]
        assert [check["code"] for check in throttled] == ["permission", "evidence"]
        assert "throttled" in throttled[0]["text"]

    def test_an_unreachable_endpoint_is_said_and_ends_soon(self, run: Run, cloud: Aws) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        begun = time.monotonic()
        result = run("doctor", "--endpoint-url", url, "-o", "jsonl")
        assert result.exit_code == 3
        assert time.monotonic() - begun < 30
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        assert {check["cause"] for check in checks if check["code"] == "permission"} == {"unreachable"}

    def test_a_wrong_clock_is_a_warning(self, cloud: Aws, doctor: Any) -> None:
        cloud.date = datetime.now(UTC) - timedelta(minutes=3)
        ((status, text),) = of(doctor(), "clock")
        assert status == "warning"
        assert re.match(r"This machine's clock is 1[78]\d seconds ahead of AWS's", text)

    def test_a_login_page_is_not_taken_for_an_answer(self, cloud: Aws, doctor: Any) -> None:
        cloud.fault = lambda name: (
            AwsError("Portal", "sign in to the network", 200) if name == "DescribeSubnets" else None
        )
        checks = doctor(status=3)
        assert [check["cause"] for check in checks if check["status"] == "failed"] == ["no-answer"]


class TestReadOnly:
    def test_every_operation_that_is_ever_sent_only_reads(self, cloud: Aws, doctor: Any) -> None:
        subnet_id = subnet(cloud, vpc(cloud), "10.0.1.0/24")
        instance = node(cloud, subnet_id)
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="audit-logs", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="audit-logs", Key="AWSLogs/any.json.gz", Body=b"any")
        cloud.client("cloudtrail").create_trail(Name="audit", S3BucketName="audit-logs")
        doctor("--node", instance, "--cluster", "orchard")
        doctor("s3://audit-logs", "--cluster", "orchard", status=3)
        doctor(str(FIXTURES / "ironman"), "--live", "--cluster", "orchard")
        assert len(set(cloud.operations)) > 9
        assert [name for name in cloud.operations if not READ_ONLY.match(name)] == []

    def test_an_operation_that_could_change_something_is_refused_before_it_is_sent(self, cloud: Aws) -> None:
        from cnitrail.answers.filters import Filter
        from cnitrail.sources.probes import AwsProbes, Probe
        from cnitrail.workflows.request import Access, scope_of

        probes = AwsProbes(scope_of(Filter(), Access(endpoint_url=cloud.url)))
        with pytest.raises(AssertionError, match="DeleteVpc is not a read-only operation"):
            probes.ask(
                [
                    Probe(
                        service="ec2",
                        operation="delete_vpc",
                        action="ec2:DeleteVpc",
                        parameters={"VpcId": "vpc-0a2e8f6ad5c3b9714"},
                    )
                ]
            )
        assert cloud.operations == []

    @pytest.mark.parametrize("output", ["table", "json", "jsonl", "md"])
    def test_nothing_secret_is_printed(self, run: Run, cloud: Aws, output: str) -> None:
        result = run("doctor", "--endpoint-url", cloud.url, "-o", output)
        assert "AKIAIOSFODNN7EXAMPLE" not in result.output + result.stderr
        assert "wJalrXUtnFEMI" not in result.output + result.stderr


class TestOffline:
    def test_nothing_is_asked_of_aws(self, run: Run) -> None:
        result = run("doctor", "full-subnet", "--node", "i-0e80bd5e7f9142600", "-o", "jsonl")
        assert result.exit_code == 0
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        assert [(check["code"], check["rule"], check["status"]) for check in checks] == [
            ("identity", None, "skipped"),
            ("permission", None, "skipped"),
            ("trail", None, "skipped"),
            ("node", None, "ok"),
            ("eni", None, "ok"),
            ("subnet", None, "skipped"),
            ("evidence", None, "ok"),
            ("cni-calls", None, "ok"),
            ("sign-ins", None, "ok"),
            ("findings", None, "ok"),
            ("finding", "subnet-exhausted", "failed"),
        ]

    def test_a_cluster_has_its_denied_calls_in_a_row_of_their_own(self, run: Run) -> None:
        result = run("doctor", "full-subnet", "--cluster", "orchard", "-o", "jsonl")
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        (denied,) = [check for check in checks if check["code"] == "cni-calls"]
        assert denied["rule"] == "cni-call-denied"
        assert "may not call ec2:DeleteNetworkInterface" in denied["text"]
        assert len(denied["events"]) == 4

    @pytest.mark.parametrize("story", list(STORIES))
    def test_the_findings_are_those_of_the_command_findings(self, run: Run, story: str) -> None:
        checks = [json.loads(line) for line in run("doctor", story, "-o", "jsonl").stdout.splitlines()]
        found = [json.loads(line) for line in run("findings", story, "-o", "jsonl").stdout.splitlines()]
        shown = {check["text"]: check["events"] for check in checks if check["rule"]}
        assert shown == {
            finding["sentence"].rstrip("."): [event["event_id"] for event in finding["events"]]
            for finding in found
        }

    def test_saved_files_feed_the_node_and_subnet_checks(self, run: Run, tmp_path: Path) -> None:
        instance = {
            "InstanceId": "i-0e80bd5e7f9142600",
            "InstanceType": "t3.small",
            "State": {"Name": "running"},
            "Tags": [{"Key": "eks:cluster-name", "Value": "orchard"}],
            "NetworkInterfaces": [
                {
                    "NetworkInterfaceId": f"eni-0f80bd5e7f914260{number}",
                    "SubnetId": "subnet-0e1d5b9a3c7f28460",
                    "PrivateIpAddresses": [
                        {"Primary": not last, "PrivateIpAddress": f"10.0.{number}.{last + 10}"}
                        for last in range(4)
                    ],
                    "Attachment": {
                        "DeviceIndex": number,
                        "Status": status,
                        "AttachTime": "2026-05-19T10:20:33Z",
                    },
                }
                for number, status in enumerate(["attached", "attached", "attaching"])
            ],
        }
        instances = tmp_path / "instances.json"
        instances.write_text(json.dumps({"Reservations": [{"Instances": [instance]}]}))
        subnets = tmp_path / "subnets.json"
        subnets.write_text(
            json.dumps(
                {
                    "Subnets": [
                        {
                            "SubnetId": "subnet-0e1d5b9a3c7f28460",
                            "CidrBlock": "10.0.0.0/16",
                            "AvailableIpAddressCount": 0,
                        }
                    ]
                }
            )
        )
        result = run(
            *("doctor", "full-subnet", "--cluster", "orchard", "-o", "jsonl"),
            *("--live", str(instances), "--live", str(subnets)),
        )
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        assert of(checks, "node") == [
            ("warning", "i-0e80bd5e7f9142600 (t3.small) is full: 3 of 3 ENIs, 12 of 12 IPv4 slots")
        ]
        assert of(checks, "subnet") == [("failed", "subnet-0e1d5b9a3c7f28460 has no free IPs (0 of 65,531)")]
        assert ("failed", "eni-0f80bd5e7f9142602 is stuck attaching on i-0e80bd5e7f9142600") in [
            (status, text.partition(" for ")[0]) for status, text in of(checks, "eni")
        ]

    def test_a_file_of_subnets_leaves_the_nodes_to_cloudtrail(self, run: Run, tmp_path: Path) -> None:
        subnet = {"SubnetId": "subnet-0a1d7e59c4b2f8603", "AvailableIpAddressCount": 8000}
        (tmp_path / "subnets.json").write_text(json.dumps({"Subnets": [subnet]}))
        node = ("--node", "i-03846c730abe852f4")
        result = run("doctor", "ironman", *node, "--live", tmp_path / "subnets.json", "-o", "jsonl")
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        ((status, text),) = of(checks, "node")
        assert status == "ok"
        assert text.startswith("i-03846c730abe852f4 (m5.large) has 1 of 3 ENIs")
        assert of(checks, "subnet") == [("ok", "subnet-0a1d7e59c4b2f8603 has 8,000 IPs free")]

    def test_a_file_without_an_instance_is_not_about_a_cluster(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "instances.json").write_text('{"Reservations": []}')
        result = run("doctor", "ironman", "--live", tmp_path / "instances.json", "-o", "jsonl")
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        assert of(checks, "node") == [("skipped", "No instance in the saved listing")]

    def test_what_cannot_be_read_of_a_file_is_a_row(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "enis.json"
        path.write_text('{"NetworkInterfaces": [{"NetworkInterfaceId": 5}]}')
        result = run("doctor", "ironman", "--live", path, "-o", "jsonl")
        checks = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == 3
        assert ("failed", f"Not read in {path}: NetworkInterfaceId is 5, not an ID") in of(checks, "node")

    def test_a_lookup_that_cannot_be_made_is_named_once(self, run: Run, cloud: Aws) -> None:
        range_ = ("--since", "2022-10-05", "--until", "2022-10-06")
        result = run("doctor", *range_, "--endpoint-url", cloud.url)
        assert result.exit_code == 3
        assert (
            "skipped: lookup: the time range ends at 2022-10-06 00:00:00Z, and LookupEvents keeps 90 days\n"
        ) in result.stderr

    def test_a_finding_changes_the_exit_status_only_if_asked(self, run: Run) -> None:
        assert run("doctor", "full-subnet").exit_code == 0
        assert run("doctor", "full-subnet", "--fail-on", "high").exit_code == 5

    def test_a_path_that_does_not_exist_is_an_error(self, run: Run) -> None:
        result = run("doctor", "no-such-place")
        assert (result.exit_code, result.stdout) == (1, "")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--node", "web-1"), "--node: 'web-1' is not the name of a node"),
            (("--cluster", "a*"), "--cluster: 'a*' is not the name of an EKS cluster"),
            (("--region", "all"), "--region: doctor checks one Region at a time"),
        ],
    )
    def test_a_wrong_value_is_a_usage_error(self, run: Run, arguments: tuple[str, ...], message: str) -> None:
        result = run("doctor", *arguments)
        assert result.exit_code == 2
        assert f"error: {message}\n" in result.stderr

    def test_a_reused_node_name_means_the_instance_that_had_it_last(self, run: Run) -> None:
        shown = run("doctor", "full-subnet", "--node", "ip-10-30-16-14.ec2.internal", "-q").stdout
        assert "ok       node  i-0e80bd5e7f9142600 (m5.large) has 1 of 3 ENIs" in shown
        assert "different VPCs" not in shown


class TestWhatAPersonReads:
    """What an on-call engineer reads, and pastes into a shell."""

    def checks(self, run: Run, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        result = run("doctor", *arguments, "-o", "jsonl")
        assert result.exit_code == status, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def test_a_blocked_sts_is_a_warning_and_the_verdict_is_about_the_subnet(
        self, cloud: Aws, run: Run
    ) -> None:
        node(cloud, subnet(cloud, vpc(cloud), "10.0.1.0/28"))
        cloud.deny("GetCallerIdentity")
        result = run("doctor", "--cluster", "orchard", "--endpoint-url", cloud.url, "-o", "json")
        assert result.exit_code == 0, result.stderr
        answer = json.loads(result.stdout)
        assert answer["entries"][0]["status"] == "warning"
        assert re.match("warning: subnet-[0-9a-f]+ has only 10 free IPs", answer["checkup"]["verdict"])

    def test_commands_have_the_region_and_the_profile_of_the_run(
        self, cloud: Aws, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text('[profile "on call"]\naws_access_key_id = AKIA\naws_secret_access_key = x\n')
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        found = self.checks(
            run,
            *("--node", "i-0123456789abcdef0", "--profile", "on call", "--region", REGION),
            *("--endpoint-url", cloud.url),
        )
        assert [check["commands"] for check in found if check["code"] == "node"] == [
            [f"cnitrail explain i-0123456789abcdef0 --region {REGION} --profile 'on call'"]
        ]

    def test_commands_over_saved_files_name_them_and_have_no_range_that_ends_now(self, run: Run) -> None:
        (row,) = [check for check in self.checks(run, "ironman", "--node", "i-03840000") if check["commands"]]
        assert row["commands"] == ["cnitrail explain i-03840000 ironman"]

    def test_what_the_evidence_does_not_reach_is_not_called_ok(self, run: Run) -> None:
        rows = {check["code"]: check for check in self.checks(run, "ironman", "--since", "2h")}
        for code, subject in (("cni-calls", "Denied calls"), ("sign-ins", "Sign-ins of service accounts")):
            assert rows[code]["status"] == "skipped"
            assert rows[code]["text"].startswith(f"{subject} not checked: the evidence covers 2022-10-05 ")
            assert rows[code]["text"].endswith(", outside of the range")

    def test_a_terminated_node_is_not_called_ok(self, run: Run) -> None:
        rows = self.checks(run, "subnet-exhausted", "--node", "i-0cba102c435d61e2b")
        assert [(row["status"], row["text"][:50]) for row in rows if row["code"] in {"node", "eni"}] == [
            ("failed", "i-0cba102c435d61e2b (m5.large) is terminated"),
            ("warning", "eni-0c97e2a8d4f1b5360 was created for i-0cba102c43"),
        ]

    def test_a_fargate_node_is_recognized(self, cloud: Aws, run: Run) -> None:
        name = f"fargate-ip-10-0-1-25.{REGION}.compute.internal"
        rows = self.checks(run, "--node", name, "--endpoint-url", cloud.url)
        (row,) = [row for row in rows if row["code"] == "node"]
        assert row["status"] == "skipped"
        assert row["text"].startswith(f"{name} is a Fargate node: ")
        assert row["commands"] == [f"cnitrail explain 10.0.1.25 --region {REGION}"]


class TestTicket:
    def test_it_names_the_verdict_the_version_and_every_check(self, run: Run) -> None:
        text = run("doctor", "full-subnet", "--cluster", "orchard", "-o", "md").stdout
        assert text.startswith("**cnitrail doctor: failed: ")
        assert re.search(r"^- checked \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ with cnitrail \S+$", text, re.MULTILINE)
        assert text.count("\n- **") == 13

    def test_wrapped_lines_on_a_screen_cannot_begin_anything_in_markdown(self, show: Show) -> None:
        block = show(60, "doctor", "stolen-address").split("For a ticket")[1].splitlines()
        lines = [line for line in block[1:] if line.strip()]
        assert any(line.startswith("      ") for line in lines)
        assert all(line.startswith(("**cnitrail doctor", "- ", "      ")) for line in lines)
