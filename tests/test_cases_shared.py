"""The cases of ``../shared/cases``, with the answers that they expect; skipped if they are not there."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pipelines import ocsf_of, sarif_of

from cnitrail.cli import main
from cnitrail.sources.layout import digest_name

ROOT = Path(__file__).parents[1]
CASES = ROOT.parent / "shared" / "cases"
TRUST, TRUTH, DATA = CASES / "trust", CASES / "truth", CASES / "data"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")

FIRST, SECOND = "eni-0aaaaaaaaaaaaaaa1", "eni-0aaaaaaaaaaaaaaa2"
NODE = "i-0aaaaaaaaaaaaaaa1"

Entry = dict[str, Any]


def run(*arguments: object) -> Result:
    """Run a command line; only an unexpected failure raises."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def input_of(number: str) -> Path:
    """The input of a case of ``trust``."""
    (folder,) = TRUST.glob(f"{number}-*")
    return folder / "input"


def who(ip: str, at: str, place: Path, *more: str) -> Entry:
    """Return the answer to a question."""
    result = run("who", ip, place, "--at", at, "-o", "jsonl", "-q", *more)
    assert result.exit_code in (0, 3), result.output
    answer: Entry = json.loads(result.stdout)
    return answer


def enis(answer: Entry) -> list[str]:
    return [holder["eni"] for holder in answer["holders"]]


def entries(command: str, place: Path, *more: str) -> list[Entry]:
    """Return the entries that a command shows."""
    result = run(command, place, "-o", "jsonl", "-q", *more)
    assert result.exit_code in (0, 3, 5), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def by_mallory(number: str, *more: str) -> list[Entry]:
    """Return the attacker's entries of a case: those from 9:10 on."""
    since = () if "--since" in more else ("--since", "2025-03-04T09:10Z")
    return entries("timeline", input_of(number), *since, *more)


def rules(place: Path) -> list[str]:
    return [finding["rule"] for finding in entries("findings", place)]


class TestProof:
    def test_01_a_record_of_another_account_moves_nothing(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T10:30Z", input_of("01"), "--verify")
        assert enis(answer) in ([FIRST], []) or answer["rests_on"] != "proven"
        assert not (answer["verdict"] == "certain" and enis(answer) != [FIRST])

    def test_03_records_inside_a_bucket_policy_are_not_records(self) -> None:
        result = run("who", "10.0.7.8", input_of("03"), "--at", "2025-03-04T10:30Z", "--verify", "-o", "json")
        answer = json.loads(result.stdout)
        assert answer["entries"][0]["verdict"] == "unknown"
        assert answer["evidence"]["sources"][0]["records"] == 76

    def test_04_an_unproven_session_gives_no_name(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T10:30Z", input_of("04"), "--verify")
        (holder,) = answer["holders"]
        assert holder["assigned_by"]["service_account"] is None
        assert holder["assigned_by"]["label"] == "admin/mallory"

    def test_05_an_unproven_termination_hides_no_instance(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T10:30Z", input_of("05"), "--verify")
        assert [holder["instance"] for holder in answer["holders"]] == [NODE]

    def test_07_a_trail_of_reads_proves_no_writes(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T11:00Z", input_of("07"), "--verify")
        assert answer["verdict"] == "likely"
        assert answer["rests_on"] != "proven"

    def test_08_a_trail_that_was_changed_to_record_only_reads_has_a_gap(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T10:15Z", input_of("08"), "--verify")
        assert answer["verdict"] != "certain"
        assert answer["rests_on"] != "proven"
        assert "trail-narrowed" in rules(input_of("08"))

    def test_11_a_modified_file_gives_no_certain_answer(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T10:30Z", input_of("11"), "--verify")
        assert answer["verdict"] != "certain"

    def test_12_unreadable_files_leave_doubt(self) -> None:
        answer = who("10.0.0.50", "2025-03-04T09:30Z", input_of("12"))
        assert answer["verdict"] == "likely"
        assert "could not be read" in json.dumps(answer["reasons"])

    def test_14_a_flipped_bit_gives_no_certain_answer(self) -> None:
        assert who("10.0.0.80", "2025-03-04T09:30Z", input_of("14"))["verdict"] != "certain"

    @pytest.mark.parametrize("more", [(), ("--account", "111111111111")])
    def test_16_the_same_events_of_another_account_are_a_dispute(self, more: tuple[str, ...]) -> None:
        answer = who("10.0.0.50", "2025-03-04T09:30Z", input_of("16"), *more)
        assert (answer["verdict"], enis(answer)) == ("likely", [FIRST])
        assert "disagree" in json.dumps(answer["reasons"])


class TestCallers:
    def test_20_a_session_with_the_name_of_an_instance_is_a_role(self) -> None:
        (entry,) = by_mallory("20")
        assert (entry["actor"]["kind"], entry["actor"]["instance"]) == ("assumed-role", None)
        assert entry["actor"]["claimed_instance"] == NODE
        assert entry["actor"]["cluster"] is None

    def test_21_a_pod_named_aws_node_is_not_the_cni(self) -> None:
        (entry,) = by_mallory("21")
        assert (entry["actor"]["service_account"], entry["actor"]["ipamd"]) == ("default/web", None)

    def test_23_the_aws_cli_is_not_the_cni(self) -> None:
        (entry,) = by_mallory("23")
        assert (entry["actor"]["agent"]["name"], entry["actor"]["ipamd"]) == ("aws-cli", None)
        assert "address-assigned-by-hand" in rules(input_of("23"))

    def test_25_two_principals_with_one_label_are_two_lines(self) -> None:
        span = ("--since", "2025-03-04T09:01:00Z", "--until", "2025-03-04T09:02:00Z")
        text = run("timeline", input_of("25"), *span).stdout
        assert text.count("AssignPrivateIpAddresses") == 2
        assert "×2" not in text

    def test_26_users_are_neither_a_service_nor_root(self) -> None:
        found = by_mallory("26")
        assert [entry["actor"]["kind"] for entry in found] == ["iam-user", "iam-user"]
        text = run("timeline", input_of("26"), "--since", "2025-03-04T09:10Z").stdout
        lines = [line for line in text.splitlines() if "AssignPrivateIpAddresses" in line]
        assert len(lines) == 2
        assert all("user" in line for line in lines)
        assert rules(input_of("26")).count("address-assigned-by-hand") == 2

    def test_28_the_user_agent_of_a_service_silences_nothing(self) -> None:
        result = run("findings", input_of("28"), "--fail-on", "low", "-o", "jsonl", "-q")
        assert result.exit_code == 5
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert ("high", "address-assigned-by-hand") in {
            (finding["severity"], finding["rule"]) for finding in found
        }

    def test_30_another_key_of_the_same_session_has_no_service_account(self) -> None:
        (entry,) = by_mallory("30")
        assert entry["actor"]["service_account"] is None
        assert entry["actor"]["kind"] != "irsa"

    def test_31_a_later_description_does_not_affect_an_earlier_call(self) -> None:
        found = by_mallory("31")
        assert {entry["actor"]["ipamd"] for entry in found} == {None}

    def test_32_a_mark_by_another_caller_names_no_node(self) -> None:
        found = by_mallory("32")
        assert {(entry["eni_kind"], entry["instance"]) for entry in found} == {("other", None)}

    @pytest.mark.parametrize("command", ["timeline", "leases"])
    def test_34_a_tag_hides_no_past_of_a_node(self, command: str) -> None:
        assert entries(command, input_of("34"), "--cluster", "prod")

    @pytest.mark.parametrize("number", ["35", "36"])
    def test_35_36_irsa_needs_a_provider_of_eks(self, number: str) -> None:
        (entry,) = by_mallory(number)
        actor = entry["actor"]
        assert (actor["kind"], actor["service_account"], actor["ipamd"]) == ("federated", None, None)

    def test_38_a_customer_role_is_foreign_even_through_a_service(self) -> None:
        result = run("findings", input_of("38"), "--fail-on", "low", "-o", "jsonl", "-q")
        assert result.exit_code == 5
        found = {json.loads(line)["rule"] for line in result.stdout.splitlines()}
        assert {"address-assigned-by-hand", "address-released-by-hand"} <= found


class TestOther:
    def test_40_no_terminal_escape_reaches_stderr(self) -> None:
        result = run("state", input_of("40"), "--at", "2025-03-04T08:00Z")
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output

    def test_49_the_oldest_click_that_is_allowed_works(self) -> None:
        assert "click>=8.4" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    def test_50_a_copy_on_windows_has_digests(self) -> None:
        name = "111111111111_CloudTrail-Digest_eu-west-1_audit_eu-west-1_20250304T140131Z.json.gz"
        assert digest_name(rf"C:\copy\{name}") is not None


_A, _B = "eni-0aaaaaaaaaaaaaaaa", "eni-0bbbbbbbbbbbbbbbb"


class TestTruth:
    """An export without signs of coverage is read with ``--assume-complete`` to get certain answers."""

    @pytest.mark.parametrize("case", ["skip1", "skip2"])
    def test_a_reassignment_that_cannot_be_read_is_named_as_possible(self, case: str) -> None:
        answer = who("10.0.0.50", "2026-03-10T10:30Z", TRUTH / case)
        assert answer["verdict"] != "certain"
        assert _B in json.dumps(answer)

    @pytest.mark.parametrize("case", ["skip1", "skip2"])
    def test_a_reassignment_that_cannot_be_read_counts_even_with_assume_complete(self, case: str) -> None:
        answer = who("10.0.0.50", "2026-03-10T10:30Z", TRUTH / case, "--assume-complete")
        assert answer["verdict"] != "certain"

    def test_an_unreadable_file_leaves_doubt(self) -> None:
        answer = who("10.0.0.50", "2026-03-10T10:30Z", TRUTH / "file-torn")
        assert answer["verdict"] == "likely"
        assert "could not be read" in json.dumps(answer["reasons"])
        whole = who("10.0.0.50", "2026-03-10T10:30Z", TRUTH / "file-gz")
        assert (whole["verdict"], enis(whole)) == ("likely", ["eni-0bbbbbbbbbbbbbbbb"])

    @pytest.mark.parametrize(("case", "ip"), [("p1a", "10.0.0.50"), ("p1c", "10.0.0.9")])
    def test_an_address_assigned_by_count_elsewhere_leaves_no_doubt(self, case: str, ip: str) -> None:
        answer = who(
            ip, "2026-03-10T10:30Z", TRUTH / case, "--vpc", "vpc-01111111111111111", "--assume-complete"
        )
        assert (answer["verdict"], enis(answer)) == ("certain", [_A])

    def test_a_reassignment_to_an_unknown_vpc_leaves_doubt(self) -> None:
        answer = who("10.0.0.50", "2026-03-10T10:30Z", TRUTH / "p1e", "--assume-complete")
        assert answer["verdict"] in ("likely", "ambiguous")

    def test_an_unrecorded_wrapper_is_read(self) -> None:
        answer = who("10.0.1.20", "2026-03-10T10:30Z", TRUTH / "wrap-prefix", "--assume-complete")
        assert (answer["verdict"], enis(answer)) == ("certain", [_A])

    def test_twenty_quiet_minutes_are_not_a_gap(self) -> None:
        answer = who("10.0.0.50", "2026-03-10T11:05Z", TRUTH / "quiet-20min")
        assert (answer["verdict"], enis(answer)) == ("certain", [_A])

    def test_less_evidence_never_gives_more_certainty(self) -> None:
        asked = ("10.0.0.50", "2026-03-10T04:00Z")
        alone, more = (who(*asked, TRUTH / case) for case in ("relevant-only", "relevant-plus-2"))
        assert alone["verdict"] == more["verdict"] == "likely"

    def test_a_later_call_proves_that_an_eni_exists(self) -> None:
        answer = who("10.0.0.50", "2026-03-10T04:00Z", TRUTH / "alive-later", "--assume-complete")
        assert (answer["verdict"], enis(answer)) == ("certain", [_A])
        assert answer["holders"][0]["instance"] == "i-01111111111111111"

    def test_terminating_a_terminated_instance_does_not_prove_that_it_ran(self) -> None:
        answer = who("10.0.0.9", "2026-03-10T07:59Z", TRUTH / "terminate-dead", "--assume-complete")
        assert answer["verdict"] != "certain"
        (holder,) = answer["holders"] or [{"end": None}]
        assert holder["end"] != "2026-03-10T08:00:00Z"


class TestData:
    def test_01_a_session_with_the_name_of_an_instance_is_a_role(self) -> None:
        found = entries("timeline", DATA / "01-instance-role-by-session-name-alone.json")
        actor = found[-1]["actor"]
        assert (actor["kind"], actor["instance"]) == ("assumed-role", None)
        assert actor["label"] == "deploy-role/i-0bbbbccccddddeeee"

    def test_01b_a_role_delivered_by_ec2_is_an_instance_role(self) -> None:
        actor = entries("timeline", DATA / "01b-real-instance-role.json")[-1]["actor"]
        assert (actor["kind"], actor["instance"]) == ("instance-role", "i-0bbbbccccddddeeee")

    def test_02_a_federated_user_has_a_session_and_no_role(self) -> None:
        actor = entries("timeline", DATA / "02-federated-user.json")[0]["actor"]
        assert (actor["kind"], actor["role"], actor["session"]) == ("federated", None, "mallory")
        assert "mallory" in actor["label"]

    @pytest.mark.parametrize(
        "case", ["03-network-activity-twin.json", "11-logstash-codec-no-eventtime.ndjson"]
    )
    def test_03_11_the_base_story_has_three_rows(self, case: str) -> None:
        result = run("timeline", DATA / case, "-o", "jsonl", "-q")
        assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)

    def test_14_the_response_of_sts_names_the_service_account(self) -> None:
        (actor, *_) = [
            entry["actor"] for entry in entries("timeline", DATA / "14-irsa-subject-only-in-response.json")
        ]
        assert actor["service_account"] == "kube-system/aws-node"
        assert actor["basis"]["service_account"] == "sts-event"

    def test_15_a_launch_without_its_response_has_a_row(self) -> None:
        result = run("timeline", DATA / "15-response-omitted.json", "-o", "jsonl", "-q")
        launch = json.loads(result.stdout.splitlines()[-1])
        assert result.exit_code == 3
        assert (launch["event"], launch["requested"], launch["omitted"]) == ("RunInstances", 50, ["response"])

    def test_16_an_address_without_an_eni_is_not_silent(self) -> None:
        place = DATA / "16-run-instances-address-on-the-instance.json"
        (launch,) = entries("timeline", place)
        assert (launch["eni"], launch["added"]) == (None, ["10.0.0.77"])
        answer = who("10.0.0.77", "2024-05-14T10:30Z", place)
        assert "i-0aaaabbbbccccdddd" in json.dumps(answer["reasons"])

    def test_17_a_mount_target_is_an_eni_of_efs(self) -> None:
        (made,) = entries("timeline", DATA / "17-efs-mount-target.json")
        assert (made["eni"], made["eni_kind"]) == ("eni-0ccccddddeeeeffff", "efs")
        assert (made["added"], made["actor"]["user"]) == (["10.0.0.88"], "alice")

    def test_18_a_nat_gateway_has_a_row(self) -> None:
        (made,) = entries("timeline", DATA / "18-nat-gateway.json")
        assert (made["eni"], made["eni_kind"]) == ("eni-0ddddeeeeffff0000", "nat-gateway")
        assert (made["subnet"], made["added"]) == ("subnet-0aaaabbbbccccdddd", [])

    def test_20_a_dry_run_is_no_failure(self) -> None:
        (call,) = entries("timeline", DATA / "20-dry-run.json")
        assert call["outcome"] == "dry-run"
        assert entries("timeline", DATA / "20-dry-run.json", "--failed") == []

    def test_21_programs_are_named_as_people_know_them(self) -> None:
        agents = [
            entry["actor"]["agent"]["name"] for entry in entries("timeline", DATA / "21-user-agents.ndjson")
        ]
        assert agents == ["amazon-ssm-agent", "AWS Auto Scaling", None, "browser"]


class TestClusters:
    def test_01_another_service_account_is_not_the_cni(self) -> None:
        place = CASES / "01-lineage-against-sts" / "records.json"
        found = entries("timeline", place, "--since", "2026-03-02T10:00Z")
        assert [entry["actor"]["service_account"] for entry in found] == ["kube-system/cilium-operator"] * 2
        assert [entry["actor"]["ipamd"] for entry in found] == [None, None]
        assert "WARM_IP_TARGET 4 to 7" not in run("pool", place, "-q").stdout

    def test_02_an_operators_node_is_not_the_node_that_it_works_for(self) -> None:
        place = CASES / "02-operator-node-role-blamed" / "records.json"
        found = entries("timeline", place, "--failed")
        assert len(found) == 4
        assert {entry["instance"] for entry in found} <= {"i-09b93137cde10695b", None}
        text = run("findings", place, "-q").stdout
        assert "4 calls failed for i-043aed7ad5151bd8d" not in text

    def test_08_a_customer_role_is_foreign_even_through_a_service(self) -> None:
        found = rules(CASES / "08-service-driven-automation" / "records.json")
        assert {"address-released-by-hand", "address-assigned-by-hand"} <= set(found)


class TestPools17:
    def test_01_the_calls_of_cilium_are_not_the_cni_s(self) -> None:
        (entry,) = entries("pool", CASES / "01-lineage-against-sts" / "records.json")
        calls = {call["event"]: (call["calls"], call["by_cni"]) for call in entry["calls"]}
        assert calls["AssignPrivateIpAddresses"] == (1, 0)
        assert calls["UnassignPrivateIpAddresses"] == (1, 0)
        assert [period["pool_after"] for period in entry["settings"]] == [4]
        (unsettled,) = entry["unsettled"]
        assert unsettled["because"]["code"] == "changed-by-others"
        assert "kube-system/cilium-operator" in unsettled["because"]["text"]

    def test_02_failed_creations_of_cilium_are_the_claimed_node_s(self) -> None:
        found = entries("pool", CASES / "02-operator-node-role-blamed" / "records.json")
        claimed = {
            entry["instance"]: [call["claimed"] for call in entry["calls"] if call["failed"]]
            for entry in found
        }
        assert claimed["i-09b93137cde10695b"] == [4]
        assert claimed["i-043aed7ad5151bd8d"] == []

    def test_09_hosts_with_a_floating_address_are_no_nodes(self) -> None:
        result = run("pool", CASES / "09-failover-vip-cries-wolf" / "records.json")
        assert result.stdout == ""
        assert "no Kubernetes nodes in the evidence; 2 other instances" in result.stderr

    def test_12_ec2_refused_every_request(self) -> None:
        place = CASES / "12-limit-exceeded-wrong-sentence" / "records.json"
        (entry,) = entries("pool", place)
        assert entry["no_pool"]["code"] == "all-requests-refused"
        assert "each asked for 49 addresses" in entry["no_pool"]["text"]
        (assigns,) = (call for call in entry["calls"] if call["event"] == "AssignPrivateIpAddresses")
        assert (assigns["calls"], assigns["by_cni"], assigns["failed"]) == (12, 12, 12)
        assert (
            "EC2 refused all 12 requests (PrivateIpAddressLimitExceeded)" in run("pool", place, "-q").stdout
        )

    def test_13_a_windows_node_has_nine_addresses_for_pods(self) -> None:
        place = CASES / "13-windows-pool" / "records.json"
        (entry,) = entries("pool", place)
        assert entry["management"]["manager"] == "vpc-resource-controller"
        assert (entry["limits"]["enis"], entry["limits"]["pool"], entry["capacity"]) == (1, 9, 9)
        assert (entry["limits"]["prefix_pool"], entry["limits"]["max_pods"]) == (144, 9)
        text = run("pool", place, "-q").stdout
        assert "1 ENI with 10 addresses, 9 for pods" in text
        assert "addresses given by the VPC resource controller: a Windows node" in text
        assert "not known to be the CNI" not in text


class TestOutputs17:
    @pytest.mark.parametrize(
        "case", sorted(CASES.glob("[0-9]*/records.json")), ids=lambda path: path.parent.name
    )
    def test_findings_of_every_case_conform_to_sarif_and_ocsf(self, case: Path) -> None:
        found = [entry["fingerprint"] for entry in entries("findings", case)]
        results = sarif_of(run("findings", case, "-o", "sarif", "-q").stdout)["results"]
        assert [result["partialFingerprints"]["firstEvent/v1"] for result in results] == found
        lines = ocsf_of(run("findings", case, "-o", "ocsf", "-q").stdout)
        assert [line["finding_info"]["uid"] for line in lines] == found


class TestFindings17Culprit:
    """Throttling, virtual IPs, and changes by others."""

    def findings(self, case: str) -> list[Entry]:
        (folder,) = CASES.glob(f"{case}-*")
        return entries("findings", folder / "records.json")

    def test_01_two_plugins_on_one_eni(self) -> None:
        (finding,) = self.findings("01")
        assert finding["rule"] == "address-assigned-by-hand"
        assert finding["sentence"].startswith("kube-system/cilium-operator (IRSA")
        assert "(an ENI managed by the VPC CNI)" in finding["sentence"]
        assert finding["advice"].startswith("Two network plugins manage one ENI")

    def test_03_the_cluster_that_drained_the_bucket_is_named(self) -> None:
        (finding,) = self.findings("03")
        drainer = "kube-system/aws-node of cluster batch (role AmazonEKSVPCCNIRole-batch) 160 (100%)"
        assert drainer in finding["sentence"]
        assert "by kube-system/aws-node of cluster prod" in finding["sentence"]
        assert finding["clusters"] == ["batch", "prod"]
        (folder,) = CASES.glob("03-*")
        report = run("report", folder / "records.json", "-q").stdout
        assert "kube-system/aws-node (IRSA, cluster batch" in report
        assert "kube-system/aws-node (IRSA, cluster prod" in report

    def test_08_a_customers_role_used_through_a_service_is_a_stranger(self) -> None:
        found = [(finding["rule"], finding["severity"]) for finding in self.findings("08")]
        assert found == [("address-released-by-hand", "high"), ("address-assigned-by-hand", "high")]

    def test_09_a_failover_is_one_finding_for_information(self) -> None:
        (finding,) = self.findings("09")
        assert finding["severity"] == "info"
        assert (
            "10.50.0.100 moved 5 times between i-078324857e8d9bfa7 and i-0a6bfd1b0879090e8"
            in (finding["sentence"])
        )
        text = json.dumps(finding)
        assert not any(word in text for word in ("pod", "CNI", "no_manage"))

    def test_17_egress_ips_of_openshift_are_silent(self) -> None:
        assert self.findings("17") == []


class TestLeaksAndStrangers:
    """Cases 04, 05, 15, 16 and 18."""

    def place(self, number: str) -> Path:
        (folder,) = CASES.glob(f"{number}-*")
        return folder / "records.json"

    def test_04_branch_enis_are_no_leaks_and_their_tag_names_the_node(self) -> None:
        assert run("findings", self.place("04"), "--fail-on", "medium", "-q").exit_code == 0
        assert rules(self.place("04")) == []
        (holder,) = who("10.30.0.101", "2026-03-03T09:00Z", self.place("04"))["holders"]
        assert (holder["eni_kind"], holder["instance"]) == ("branch", "i-04dbe675a33257d1b")
        assert holder["instance_basis"] == "tag"

    def test_05_a_job_that_deletes_new_enis_is_found(self) -> None:
        (found,) = entries("findings", self.place("05"))
        assert (found["severity"], found["rule"]) == ("high", "cni-eni-removed")
        assert "eni-janitor-lambda" in found["sentence"]
        assert "3 ENIs of the VPC CNI" in found["sentence"]
        assert "InvalidNetworkInterfaceID.NotFound" in found["sentence"]

    def test_15_a_leak_has_its_cause(self) -> None:
        (found,) = entries("findings", self.place("15"))
        assert "its delete was refused once (still in use)" in found["sentence"]
        assert "terminated i-0a70f0750c1b50a2c 1 s later" in found["sentence"]
        assert len(found["events"]) == 3

    def test_16_enis_of_services_are_known_and_are_no_leaks(self) -> None:
        assert rules(self.place("16")) == []
        kinds = {
            entry["eni_kind"] for entry in entries("state", self.place("16"), "--at", "2026-03-06T02:00Z")
        }
        assert {"glue", "sagemaker", "dms", "elasticache", "fargate", "lambda", "rds"} <= kinds
        assert "other" not in kinds

    def test_18_an_address_follows_its_eni(self) -> None:
        found = entries("timeline", self.place("18"), "--ip", "10.112.1.25")
        assert [entry["event"] for entry in found] == [
            *("CreateNetworkInterface", "AttachNetworkInterface"),
            *("DetachNetworkInterface", "DeleteNetworkInterface"),
        ]
        answer = who("10.112.1.25", "2026-03-14T18:15:01Z", self.place("18"))
        (left,) = [reason["text"] for reason in answer["reasons"] if reason["code"] == "eni-detached"]
        assert left.startswith(
            "its ENI left i-0f3436f50b2f7f161 at 2026-03-14 18:15:00Z, detached by kube-sys"
        )


class TestSubnets:
    def found(self, place: Path) -> list[Entry]:
        return [entry for entry in entries("findings", place) if entry["rule"] == "subnet-exhausted"]

    def test_02_the_calls_failed_for_the_node_in_the_description(self) -> None:
        place = CASES / "02-operator-node-role-blamed" / "records.json"
        (finding,) = self.found(place)
        assert (
            "4 calls failed for i-09b93137cde10695b (by the description in the requests), made by the Cilium "
            "operator on i-043aed7ad5151bd8d."
        ) in finding["sentence"]
        assert "WARM_IP_TARGET" not in finding["advice"]

    def test_02_the_node_of_the_failed_calls_is_explained(self) -> None:
        place = CASES / "02-operator-node-role-blamed" / "records.json"
        text = run("explain", "i-09b93137cde10695b", place, "-q").stdout
        assert (
            "4 calls failed (InsufficientFreeAddressesInSubnet), the last one at 2026-03-02 09:03:00Z; that "
            "they were for it is only what the caller wrote (description or tag)."
        ) in text
        assert "cnitrail findings --event-id 717d0288-61ee-5691-ab04-a643ae832e66 " in text

    def test_10_the_calls_requested_prefixes(self) -> None:
        place = CASES / "10-prefix-told-as-addresses" / "records.json"
        (finding,) = self.found(place)
        assert finding["sentence"].startswith(
            "subnet-0b1b2c3d4e5f60718 had too few free /28 blocks (or addresses): the calls requested "
            "prefixes."
        )
        assert "create-subnet-cidr-reservation" in finding["advice"]
        assert "requested 1 prefix" in run("timeline", place, "-q").stdout

    def test_11_the_holders_of_the_subnet_are_counted(self) -> None:
        place = CASES / "11-subnet-exhausted-by-whom" / "records.json"
        (finding,) = self.found(place)
        assert (
            "Of the 116 addresses seen in it: cluster batch 60, cluster prod 40, not attached 10, Lambda 6."
        ) in finding["sentence"]
        assert finding["census"]["seen"] == 116
        (census,) = entries("subnet", place, "subnet-0a1b2c3d4e5f60718")
        assert [(eni["eni"], eni["addresses"]) for eni in census["reclaimable"]] == [
            ("eni-059b25a9afaa8eddc", 10)
        ]


class TestFailingCalls17:
    def only(self, case: str, *more: str) -> Entry:
        """Return the only finding of a case."""
        (finding,) = entries("findings", CASES / case / "records.json", *more)
        return finding

    def test_06_a_denied_cni_is_a_finding(self) -> None:
        finding = self.only("06-cni-unauthorized")
        assert (finding["rule"], finding["severity"], finding["until"]) == ("cni-call-denied", "high", None)
        assert len(finding["events"]) == 30
        assert "ec2:CreateNetworkInterface: 30 calls for i-0ea31b6a524d57a64" in finding["sentence"]
        assert "AmazonEKS_CNI_Policy" in finding["advice"]
        assert "service control policy" in finding["advice"]
        place = CASES / "06-cni-unauthorized" / "records.json"
        assert run("findings", place, "-q", "--fail-on", "high").exit_code == 5

    def test_07_a_node_is_refused_with_the_node_role(self) -> None:
        finding = self.only("07-node-role-beside-irsa-failing")
        assert finding["rule"] == "node-role-beside-irsa"
        assert finding["sentence"].startswith(
            "i-0a6946f99b9572bfd of cluster prod made 20 calls with the node "
        )
        assert "all refused (UnauthorizedOperation)" in finding["sentence"]
        assert "AmazonEKSVPCCNIRole-prod (IRSA) since 2026-03-04 08:01:36Z" in finding["sentence"]

    def test_12_a_wrong_limit_is_told_from_a_full_eni(self) -> None:
        finding = self.only("12-limit-exceeded-wrong-sentence")
        assert (finding["rule"], finding["severity"]) == ("address-limit-exceeded", "high")
        assert "12 calls for 49 addresses each" in finding["sentence"]
        assert "more than g4dn.16xlarge allows (15 per ENI); the ENI had 1." in finding["sentence"]
        text = run("report", CASES / "12-limit-exceeded-wrong-sentence" / "records.json", "-q").stdout
        assert "asked for 49 more; the ENI had 1 of 15" in text
        assert "has as many addresses as the instance type allows" not in text

    def test_14_an_operator_serves_a_node_that_is_gone(self) -> None:
        finding = self.only("14-create-attach-delete-loop")
        assert finding["rule"] == "create-attach-delete-loop"
        assert (
            "created 30 ENIs for i-0de06c9d39cb29076, which was terminated at 2026-03-09 09:00:00Z"
            in (finding["sentence"])
        )
        assert (
            "could not attach any of them (InvalidInstanceID.NotFound), and deleted them."
            in (finding["sentence"])
        )


class TestFindings17Attack:
    """Strangers and false alarms in the other partitions of AWS."""

    @pytest.mark.parametrize(
        ("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
    )
    @pytest.mark.parametrize("case", ["01", "04", "05", "08", "09", "16", "17"])
    def test_the_findings_are_the_same_there(
        self, case: str, partition: str, region: str, tmp_path: Path
    ) -> None:
        (folder,) = CASES.glob(f"{case}-*")
        text = (folder / "records.json").read_text()
        moved = tmp_path / "records.json"
        moved.write_text(text.replace("arn:aws:", f"arn:{partition}:").replace("eu-west-1", region))
        found, there = entries("findings", folder / "records.json"), entries("findings", moved)
        assert [(one["rule"], one["severity"]) for one in there] == [
            (one["rule"], one["severity"]) for one in found
        ]


class TestSubnetsAndPools17:
    def place(self, case: str) -> Path:
        return next(CASES.glob(f"{case}-*")) / "records.json"

    def test_02_the_operator_is_not_taken_for_the_node_it_serves(self) -> None:
        failed = entries("timeline", self.place("02"), "--failed")
        assert {entry["instance"] for entry in failed} == {None}
        assert {entry["claimed_instance"] for entry in failed} == {"i-09b93137cde10695b"}

    def test_03_the_cluster_that_drained_the_bucket_is_named(self) -> None:
        (finding,) = entries("findings", self.place("03"))
        name = "kube-system/aws-node of cluster batch (role AmazonEKSVPCCNIRole-batch)"
        assert (
            f"160 calls drained the token bucket (100 tokens, 5 per second): {name} 160 (100%)"
            in (finding["sentence"])
        )
        assert "Cluster batch slowed cluster prod" in finding["sentence"]

    def test_11_the_census_says_what_it_does_not_count(self) -> None:
        found = [one for one in entries("findings", self.place("11")) if one["rule"] == "subnet-exhausted"]
        assert found[0]["sentence"].endswith(
            "IPs that were assigned before the evidence begins are not among them."
        )

    def test_13_pool_and_report_have_the_limit_of_a_windows_node(self) -> None:
        (entry,) = entries("pool", self.place("13"))
        assert (entry["capacity"], entry["limits"]["enis"], entry["limits"]["prefix_pool"]) == (9, 1, 144)
        text = run("report", self.place("13"), "-q").stdout
        assert "of 10 IPs" in text
        assert "of 30 IPs" not in text
