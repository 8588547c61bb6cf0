"""Every story in fixtures/, in the timeline, leases, findings and state."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import write as fixtures
from conftest import FIXTURES, Run
from stories import STORIES as ALL_STORIES

from cnitrail.model import Scope
from cnitrail.workflows.read import read_evidence

STORIES = sorted(ALL_STORIES)


def entries(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("timeline", *arguments, "-o", "jsonl")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestFixtures:
    @pytest.mark.parametrize("story", STORIES)
    def test_the_log_files_on_disk_are_those_of_the_story(self, story: str) -> None:
        on_disk = {
            str(path.relative_to(FIXTURES / story)): gzip.decompress(path.read_bytes())
            for path in (FIXTURES / story).rglob("*.json.gz")
        }
        assert on_disk == fixtures.files(story)

    @pytest.mark.parametrize("story", STORIES)
    def test_every_record_of_a_story_can_be_read(self, story: str) -> None:
        _, evidence = read_evidence((str(FIXTURES / story),), Scope())
        assert evidence.skipped == ()
        assert evidence.sources[0].files == len(fixtures.files(story))


class TestGolden:
    @pytest.mark.parametrize("story", STORIES)
    def test_the_timeline_of_each_story_reads_as_reviewed(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("timeline", story)
        assert result.exit_code == 0
        golden(f"{story}/timeline.txt", result.stdout + "\n" + result.stderr)

    @pytest.mark.parametrize("story", STORIES)
    def test_the_leases_of_each_story_read_as_reviewed(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"{story}/leases.txt", run("leases", story, "-q").stdout)

    @pytest.mark.parametrize("story", STORIES)
    def test_the_findings_of_each_story_read_as_reviewed(
        self, story: str, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("findings", story)
        assert result.exit_code == 0
        golden(f"{story}/findings.txt", result.stdout + "\n" + result.stderr)

    def test_the_json_of_the_ironman_node_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run(
            "timeline",
            "ironman",
            "--since",
            "2022-10-05T13:16:06Z",
            "--event",
            "Assign*",
            "-o",
            "json",
        )
        golden("ironman/timeline.json", result.stdout)

    def test_the_csv_of_the_hostile_story_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        golden("hostile/timeline.csv", run("timeline", "hostile", "-o", "csv").stdout)


class TestIronman:
    """The first story: nine new addresses on a second ENI of an EKS node."""

    NINE = (
        *("192.168.53.76", "192.168.41.30", "192.168.47.240", "192.168.47.144", "192.168.61.98"),
        *("192.168.35.36", "192.168.61.68", "192.168.51.85", "192.168.52.54"),
    )

    @pytest.fixture
    def entry(self, run: Run) -> dict[str, Any]:
        (entry,) = entries(
            run, "ironman", "--eni", "eni-0bbea279695112970", "--event", "AssignPrivateIpAddresses"
        )
        return entry

    def test_the_nine_addresses_were_assigned_in_one_call(self, entry: dict[str, Any]) -> None:
        assert entry["time"] == "2022-10-05T13:16:06Z"
        assert entry["added"] == list(self.NINE)
        assert (entry["requested"], entry["effect"], entry["outcome"]) == (9, "assign", "ok")

    def test_they_are_on_the_second_eni_of_the_node(self, entry: dict[str, Any]) -> None:
        assert (entry["eni"], entry["eni_kind"], entry["device_index"]) == (
            "eni-0bbea279695112970",
            "cni",
            1,
        )
        assert (entry["instance"], entry["instance_basis"]) == ("i-03846c730abe852f4", "attach")
        assert entry["instance_type"] == "m5.large"

    def test_they_were_assigned_by_an_irsa_role_of_the_cluster(self, entry: dict[str, Any]) -> None:
        actor = entry["actor"]
        assert actor["kind"] == "irsa"
        assert actor["role"] == "eksctl-ironman-2022-addon-iamserviceaccount-kube-Role1-EMRZZYBVKCRL"
        assert actor["oidc_provider"] == (
            "arn:aws:iam::111111111111:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/"
            "EXAMPLED539D4633E53DE1B71EXAMPLE"
        )
        assert (actor["cluster"], actor["basis"]["cluster"]) == ("ironman-2022", "role-name")

    def test_the_sts_event_names_the_service_account(self, entry: dict[str, Any]) -> None:
        actor = entry["actor"]
        assert (actor["service_account"], actor["basis"]["service_account"]) == (
            "kube-system/aws-node",
            "sts-event",
        )

    def test_they_were_assigned_with_the_vpc_cni_without_a_version(self, entry: dict[str, Any]) -> None:
        agent = entry["actor"]["agent"]
        assert (agent["name"], agent["version"]) == ("amazon-vpc-cni-k8s", None)
        assert entry["actor"]["ipamd"] == "user-agent"

    def test_the_service_account_is_never_guessed_from_the_role(self, run: Run, tmp_path: Path) -> None:
        for path in (FIXTURES / "ironman").rglob("*.json.gz"):
            log = json.loads(gzip.decompress(path.read_bytes()))
            log["Records"] = [
                record for record in log["Records"] if record["eventSource"] != "sts.amazonaws.com"
            ]
            (tmp_path / path.name).write_bytes(gzip.compress(json.dumps(log).encode()))
        (entry,) = entries(run, str(tmp_path), "--eni", "eni-0bbea279695112970", "--event", "Assign*")
        assert entry["actor"]["service_account"] is None
        assert entry["actor"]["basis"]["service_account"] is None
        assert entry["actor"]["kind"] == "irsa"

    def test_minimum_ip_target_5_left_the_addresses_of_the_last_listing(self, run: Run) -> None:
        held: set[str] = set()
        for entry in entries(run, "ironman", "--instance", "i-03846c730abe852f4", "--no-failed"):
            held |= set(entry["added"])
            held -= set(entry["removed"])
        assert held == {
            "192.168.55.245",
            "192.168.49.56",
            "192.168.41.36",
            "192.168.49.142",
            "192.168.45.23",
            "192.168.62.119",
        }


class TestHandAssigned:
    def test_a_person_with_the_aws_cli_assigned_two_named_addresses(self, run: Run) -> None:
        (entry,) = entries(run, "hand-assigned", "--actor", "okafor", "--no-failed")
        assert entry["added"] == ["10.40.41.10", "10.40.41.11"]
        assert entry["actor"]["kind"] == "iam-user"
        assert entry["actor"]["agent"]["name"] == "aws-cli"
        assert entry["actor"]["ipamd"] is None

    def test_the_failed_attempt_changed_nothing_and_shows_the_requested_addresses(self, run: Run) -> None:
        (entry,) = entries(run, "hand-assigned", "--failed")
        assert entry["error"]["code"] == "Client.InvalidParameterValue"
        assert (entry["added"], entry["requested_addresses"]) == ([], ["10.40.48.10"])


class TestStolenAddress:
    def test_the_history_names_the_loser_that_no_event_names(self, run: Run) -> None:
        (entry,) = entries(run, "stolen-address", "--actor", "dana*")
        (moved,) = entry["moved"]
        assert (moved["ip"], moved["from_eni"]) == ("10.60.12.50", "eni-0a72f4d6c8e1b3950")
        assert moved["from_instance"] == "i-0a7c3e9f1b5d28460"
        assert entry["eni"] == "eni-0b85e1c7d3a9f4620"
        assert (entry["actor"]["kind"], entry["actor"]["user"]) == (
            "identity-center",
            "dana.reyes@example.com",
        )

    def test_it_is_found_by_the_eni_that_lost_the_address(self, run: Run) -> None:
        found = entries(run, "stolen-address", "--eni", "eni-0a72f4d6c8e1b3950", "--agent", "aws-cli")
        assert [entry["eni"] for entry in found] == ["eni-0b85e1c7d3a9f4620"]

    def test_the_deletion_of_the_loser_releases_only_the_addresses_that_it_still_held(self, run: Run) -> None:
        (entry,) = entries(run, "stolen-address", "--event", "DeleteNetworkInterface", "--no-failed")
        assert entry["removed"] == ["10.60.11.40"]


class TestNodeLife:
    def test_the_life_of_a_node_reads_from_launch_to_termination(self, run: Run) -> None:
        found = entries(run, "node-life", "--instance", "i-0d4e5f60718293a4b")
        assert [(entry["event"], entry["outcome"]) for entry in found] == [
            ("RunInstances", "ok"),
            ("CreateFleet", "ok"),
            ("AssignPrivateIpAddresses", "ok"),
            ("ModifyNetworkInterfaceAttribute", "ok"),
            ("AssignPrivateIpAddresses", "ok"),
            ("AssignPrivateIpAddresses", "ok"),
            ("CreateNetworkInterface", "ok"),
            ("AttachNetworkInterface", "ok"),
            ("ModifyNetworkInterfaceAttribute", "ok"),
            ("AssignPrivateIpAddresses", "ok"),
            ("UnassignPrivateIpAddresses", "ok"),
            ("UnassignPrivateIpAddresses", "ok"),
            ("DetachNetworkInterface", "ok"),
            ("DeleteNetworkInterface", "failed"),
            ("DeleteNetworkInterface", "ok"),
            ("TerminateInstances", "ok"),
        ]

    def test_the_detachment_is_resolved_through_the_remembered_attachment(self, run: Run) -> None:
        (entry,) = entries(run, "node-life", "--event", "DetachNetworkInterface")
        assert (entry["eni"], entry["instance"]) == ("eni-0d2c8f5a9e1b74360", "i-0d4e5f60718293a4b")

    def test_a_launch_by_karpenter_through_ec2_fleet_is_attributed_to_karpenter(self, run: Run) -> None:
        (entry,) = entries(run, "node-life", "--event", "RunInstances")
        assert (entry["actor"]["kind"], entry["actor"]["invoked_by"]) == (
            "irsa",
            "ec2fleet.amazonaws.com",
        )

    def test_the_termination_releases_the_addresses_that_the_eni_still_held(self, run: Run) -> None:
        (entry,) = entries(run, "node-life", "--event", "TerminateInstances")
        assert entry["eni"] == "eni-0d1b7e4f8c2a63950"
        assert len(entry["removed"]) == 9
        assert "10.20.71.18" in entry["removed"]


class TestPodIdentityAndNodeRole:
    def test_pod_identity_is_known_from_the_sts_event_of_the_pods_service(self, run: Run) -> None:
        found = entries(run, "pod-identity-and-node-role", "--actor", "kube-system/aws-node")
        assert {entry["actor"]["kind"] for entry in found} == {"pod-identity"}
        assert {entry["actor"]["cluster"] for entry in found} == {"tidewater-production"}
        assert {entry["actor"]["basis"]["cluster"] for entry in found} == {"sts-event"}

    def test_a_user_agent_without_a_name_is_the_cni_by_the_stated_rule(self, run: Run) -> None:
        found = entries(run, "pod-identity-and-node-role", "--actor", "kube-system/aws-node")
        assert {(entry["actor"]["agent"]["name"], entry["actor"]["ipamd"]) for entry in found} == {
            (None, "sts-event")
        }

    def test_a_node_role_session_names_the_instance(self, run: Run) -> None:
        found = entries(run, "pod-identity-and-node-role", "--actor", "i-0e2a6d9b4f8c13570")
        assert {entry["actor"]["kind"] for entry in found} == {"instance-role"}
        assert {entry["actor"]["instance"] for entry in found} == {"i-0e2a6d9b4f8c13570"}
        assert {entry["actor"]["basis"]["instance"] for entry in found} == {"ec2-role-delivery"}

    def test_the_node_is_the_cni_by_lineage_on_the_eni_that_it_created(self, run: Run) -> None:
        found = entries(run, "pod-identity-and-node-role", "--eni", "eni-0e4c8e2a6b1d39750")
        assert {entry["actor"]["ipamd"] for entry in found} == {"eni-lineage"}


def verdict(run: Run, story: str, ip: str, at: str, *more: str) -> tuple[str, list[str]]:
    result = run("who", ip, story, "--at", at, "-o", "jsonl", *more)
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    return answer["verdict"], [holder["eni"] for holder in answer["holders"]]


class TestWhoHeldIt:
    def test_two_vpcs_with_one_address_are_ambiguous_until_one_is_named(self, run: Run) -> None:
        blue, green = "eni-0b1e4d7a2c9f38560", "eni-0c2f5b8d1e7a43960"
        when = "2026-02-10T10:00Z"
        assert verdict(run, "two-vpcs", "10.0.1.25", when) == ("ambiguous", [blue, green])
        named = verdict(run, "two-vpcs", "10.0.1.25", when, "--vpc", "vpc-0c2f6b8d1e4a35790")
        assert named == ("certain", [green])

    def test_an_address_reused_after_three_seconds_is_unassigned_in_between(self, run: Run) -> None:
        giver, taker = "eni-08a3e7c1f5d9b4860", "eni-08b4f8d2a6e1c5970"
        asked = [
            verdict(run, "reused-in-3-seconds", "10.80.4.17", f"2025-09-09T10:12:{s}Z") for s in (40, 42, 45)
        ]
        assert asked == [("certain", [giver]), ("free", []), ("certain", [taker])]

    def test_without_a_holder_the_last_one_is_named(self, run: Run) -> None:
        asked = ("who", "192.168.34.201", "ironman", "--at")
        (answer,) = json.loads(run(*asked, "2022-10-05T15:30Z", "-o", "json").stdout)["entries"]
        last = answer["last_holder"]
        assert (answer["verdict"], last["eni"]) == ("free", "eni-06d2f4a81c9b3e750")
        assert [reason["code"] for reason in answer["reasons"]] == [
            "assigned",
            "released",
            "not-assigned-since",
        ]
        assert (
            "unassigned; last held by i-03846c730abe852f4 (eni-06d2f4a81c9b3e750) "
            "until 2022-10-05 15:21:24Z, 8 min 36 s earlier"
        ) in run(*asked, "2022-10-05T15:30Z").stdout

    def test_a_later_or_current_holder_is_not_named(self, run: Run) -> None:
        asked = ("who", "192.168.34.201", "ironman", "-o", "json", "--at")
        for when in ("2022-10-05T13:15:00Z", "2022-10-05T14:00Z"):
            (answer,) = json.loads(run(*asked, when).stdout)["entries"]
            assert answer["last_holder"] is None

    def test_both_may_have_held_it_in_the_second_of_the_move(self, run: Run) -> None:
        giver, taker = "eni-08a3e7c1f5d9b4860", "eni-08b4f8d2a6e1c5970"
        asked = verdict(run, "reused-in-3-seconds", "10.80.4.99", "2025-09-09T10:20:05Z")
        assert asked == ("ambiguous", [giver, taker])

    def test_a_reassigned_address_is_held_by_the_new_eni_from_then_on(self, run: Run) -> None:
        loser, thief = "eni-0a72f4d6c8e1b3950", "eni-0b85e1c7d3a9f4620"
        asked = [
            verdict(run, "stolen-address", "10.60.12.50", f"2025-06-17T{t}Z") for t in ("11:47:00", "12:30")
        ]
        assert asked == [("certain", [loser]), ("likely", [thief])]

    def test_an_unlogged_termination_shows_by_the_reuse_of_its_address(self, run: Run) -> None:
        asked = [verdict(run, "silent-death", "10.96.8.14", f"2025-04-02T{t}Z") for t in ("06:00", "06:40")]
        assert asked == [("likely", ["eni-0c1a6e8d4b2f97350"]), ("likely", ["eni-0d3c8a1f6e4b29570"])]

    def test_an_eni_that_outlives_its_instance_keeps_its_addresses(self, run: Run) -> None:
        kept = "eni-09f2c5a8e1b7d4360"
        for time, instance in (
            ("15:00", "i-05a9d3c7e1f8b2640"),
            ("15:05", None),
            ("15:12", "i-05c4f7b2d8e1a9360"),
        ):
            when = f"2025-10-07T{time}Z"
            result = run("who", "172.20.18.11", "eni-outlives-instance", "--at", when, "-o", "jsonl")
            (holder,) = json.loads(result.stdout)["holders"]
            assert (holder["eni"], holder["instance"]) == (kept, instance)

    def test_an_address_of_a_delegated_prefix_is_held_through_it(self, run: Run) -> None:
        asked = verdict(run, "prefix-delegation", "10.112.64.50", "2026-03-11T07:30Z")
        assert asked == ("certain", ["eni-0f2b5e8d1f3c69470"])
        asked = verdict(run, "prefix-delegation", "2001:db8:1234:1a10:5b1c::42", "2026-03-11T07:40Z")
        assert asked == ("likely", ["eni-0f4d7aaf3b5e8b690"])

    def test_logs_that_begin_in_the_middle_prove_leases_by_their_release(self, run: Run) -> None:
        asked = verdict(run, "logs-begin-in-the-middle", "10.128.2.11", "2025-08-21T10:01Z")
        assert asked == ("likely", ["eni-0fa1c6e2b8d4f7930"])

    def test_an_eni_of_unknown_vpc_makes_the_holder_of_the_same_address_doubtful(self, run: Run) -> None:
        asked = verdict(run, "logs-begin-in-the-middle", "10.128.3.41", "2025-08-21T11:00Z")
        assert asked == ("ambiguous", ["eni-0fb2e9b5dba7ca360", "eni-0fe1ceaa3afc2f8b0"])
        asked = verdict(run, "logs-begin-in-the-middle", "10.128.3.41", "2025-08-21T10:30Z")
        assert asked == ("likely", ["eni-0fb2e9b5dba7ca360"])  # its instance is known only from its calls

    def test_a_log_gap_within_a_lease_makes_it_likely(self, run: Run) -> None:
        when = "2024-01-18T12:30Z"
        assert verdict(run, "hole-in-the-logs", "10.144.9.21", when)[0] == "likely"
        assert verdict(run, "hole-in-the-logs", "10.144.9.77", when)[0] == "likely"
        assert verdict(run, "hole-in-the-logs", "10.144.9.21", "2024-01-18T08:30Z")[0] == "certain"


class TestBatch:
    QUESTIONS = "ip,at,vpc\n10.0.1.25,2026-02-10T10:00Z,\n10.0.1.25,2026-02-10T10:00Z,vpc-0c2f6b8d1e4a35790\n"

    def test_csv_questions_are_answered_in_their_order(self, run: Run) -> None:
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=self.QUESTIONS)
        assert [json.loads(line)["verdict"] for line in result.stdout.splitlines()] == [
            "ambiguous",
            "certain",
        ]

    def test_json_lines_are_questions_too(self, run: Run) -> None:
        asked = '{"ip":"10.0.1.25","at":1770717600}\n\n{"ip":"10.0.1.26","at":"2026-02-10T10:00Z"}\n'
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=asked)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert [(answer["ip"], answer["at"]) for answer in answers] == [
            ("10.0.1.25", "2026-02-10T10:00:00Z"),
            ("10.0.1.26", "2026-02-10T10:00:00Z"),
        ]

    def test_a_malformed_question_keeps_its_place_and_has_a_reason(self, run: Run) -> None:
        asked = "at,ip\nyesterday,10.0.1.25\n2026-02-10T10:00Z,ten\n2026-02-10T10:00Z,10.0.1.25\n"
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=asked)
        assert result.exit_code == 3
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert [answer["verdict"] for answer in answers] == ["unknown", "unknown", "ambiguous"]
        (first,), (second,) = answers[0]["reasons"], answers[1]["reasons"]
        assert (first["code"], first["text"]) == (
            "unreadable-question",
            "line 2: at is 'yesterday', not a time",
        )
        assert second["text"] == "line 3: ip is 'ten', not an address"

    def test_a_file_without_a_header_is_a_usage_error(self, run: Run) -> None:
        result = run("who", "--batch", "-", "two-vpcs", input="10.0.1.25,2026-02-10T10:00Z\n")
        assert result.exit_code == 2
        assert "not a header that names ip and at" in result.stderr

    def test_a_field_too_long_for_csv_is_a_usage_error(self, run: Run) -> None:
        result = run("who", "--batch", "-", "two-vpcs", input="s." * 70_000)
        assert result.exit_code == 2
        assert "'s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.', not a header" in result.stderr

    def test_keys_may_have_capitals_and_occur_once(self, run: Run) -> None:
        asked = (
            '{"IP":"10.0.1.25","At":"2026-02-10T10:00Z","VPC":"vpc-0c2f6b8d1e4a35790"}\n'
            '{"ip":"10.0.1.25","at":"2026-02-10T10:00Z","ip":"10.0.1.26"}\n'
            '{"ip":"10.0.1.25","at":"2026-02-10T10:00Z","vpc":0}\n'
        )
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=asked)
        answers = list(map(json.loads, result.stdout.splitlines()))
        assert [answer["verdict"] for answer in answers] == ["certain", "unknown", "unknown"]
        assert [reason["text"] for reason in answers[1]["reasons"]] == ["line 2: it has ip twice"]

    def test_a_column_may_occur_only_once(self, run: Run) -> None:
        result = run("who", "--batch", "-", "two-vpcs", input="ip,at,IP\n10.0.1.25,2026-02-10T10:00Z,\n")
        assert result.exit_code == 2
        assert "the header names ip twice" in result.stderr

    def test_a_line_of_any_length_is_one_question(self, run: Run) -> None:
        asked = self.QUESTIONS.splitlines()[0] + "\n10.0.1.25,2026-02-10T10:00Z," + "x" * 200_000 + "\n"
        result = run("who", "--batch", "-", "two-vpcs", "-o", "jsonl", input=asked)
        assert len(result.stdout.splitlines()) == 1

    def test_a_single_question_needs_an_address(self, run: Run) -> None:
        assert run("who", "two-vpcs", "--at", "2h").exit_code == 2
        assert run("who").exit_code == 2


class TestState:
    def test_the_state_is_that_of_the_last_listing_of_the_story(self, run: Run) -> None:
        (entry,) = map(
            json.loads,
            run("state", "ironman", "--at", "2022-10-05T16:00Z", "-o", "jsonl").stdout.splitlines(),
        )
        assert (entry["instance"], entry["eni_kind"], entry["device_index"]) == (
            "i-03846c730abe852f4",
            "node-primary",
            0,
        )
        assert [address["ip"] for address in entry["addresses"]] == [
            "192.168.41.36",
            "192.168.45.23",
            "192.168.49.56",
            "192.168.49.142",
            "192.168.55.245",
            "192.168.62.119",
        ]

    def test_the_state_before_the_first_event_is_empty(self, run: Run) -> None:
        assert run("state", "ironman", "--at", "2022-10-05T13:00Z", "-o", "jsonl").stdout == ""
