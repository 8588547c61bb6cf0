"""What ``explain`` says is what ``who``, ``leases``, ``state`` and ``findings`` say."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from callers import service_linked
from calls import create_network_interface
from cloudtrail_server import CloudTrail, serve
from conftest import FIXTURES, Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import ADA, NODE, Incident, cni, read, second
from jsonschema import Draft202012Validator
from records import ENI, GOOD
from simulator import World, deliveries, worlds
from stories import STORIES as ALL_STORIES

import cnitrail
from cnitrail.answers.explain import Known, Rerun, explain, parse_target
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import FindingIndex
from cnitrail.answers.subnet import SubnetIndex
from cnitrail.answers.who import HolderIndex
from cnitrail.api import Case
from cnitrail.errors import CnitrailError, UsageError
from cnitrail.limits import limits_of
from cnitrail.model import Coverage, History, Manager, is_prefix
from cnitrail.model.explanation import Explanation, SentenceCode, TargetKind
from cnitrail.render.schemas import schema_of
from cnitrail.sources.rate_limit import RateLimiter
from cnitrail.text import clock

STORIES = sorted(
    folder.name for folder in FIXTURES.iterdir() if folder.is_dir() and list(folder.rglob("*.gz"))
)
FULL = "full-subnet"
thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(scope="module", params=STORIES)
def case(request: pytest.FixtureRequest) -> Case:
    return cnitrail.read(FIXTURES / request.param)


def addresses(history: History) -> Iterator[str]:
    """Yield every address in the evidence, and the first one of every prefix."""
    for held in history.holders:
        yield str(held.network_address if is_prefix(held) else held)  # type: ignore[union-attr]


def known_of(history: History, coverage: Coverage) -> Known:
    """Return what explanations are built from; findings are left out, which take long."""
    return Known(
        history=history,
        coverage=coverage,
        holders=HolderIndex(history, coverage),
        subnets=SubnetIndex(history),
        judged=FindingIndex(history, coverage),
        limits_of=limits_of,
        wanted=Filter(),
        rerun=Rerun(),
        is_narrowed=True,
    )


def said(told: Explanation, code: SentenceCode) -> str:
    return " ".join(sentence.text for sentence in told.sentences if sentence.code is code)


def text_of(told: Explanation) -> str:
    return " ".join(sentence.text for sentence in told.sentences)


def check_address(known: Known, told: Explanation) -> None:
    """Assert that an address has the holders and the verdict of ``who``, and that sentences name them."""
    answer = known.holders.who(ip_address(told.name), told.at, known.wanted)
    assert told.verdict == answer.verdict
    assert told.enis == tuple(holder.eni for holder in answer.holders)
    assert set(told.instances) == {holder.instance for holder in answer.holders} - {None}
    now = said(told, SentenceCode.NOW)
    if len(answer.holders) == 1:
        (holder,) = answer.holders
        assert holder.eni in now
        assert holder.instance is None or holder.instance in now
        if holder.start is not None:
            assert f"since {clock(holder.start)}" in now
    if not answer.holders and answer.last_holder is not None:
        assert answer.last_holder.eni in text_of(told)
    before = re.findall(r"^Before that, (eni-\S+)", said(told, SentenceCode.BEFORE))
    assert set(before) <= {lease.eni for lease in known.leases(ip_address(told.name))}
    if answer.verdict.value != "certain" and answer.holders:
        assert answer.verdict.value in said(told, SentenceCode.CERTAINTY)


def check_eni(known: Known, told: Explanation) -> None:
    """Assert that an ENI is attached and holds as ``state`` says."""
    entries = known.state(told.at, eni=(told.name,))
    assert told.enis == tuple(entry.eni for entry in entries)
    assert told.addresses == sum(len(entry.addresses) for entry in entries)
    assert set(told.instances) == {entry.instance for entry in entries} - {None}
    now = said(told, SentenceCode.NOW)
    for entry in entries:
        if entry.attached:
            assert f"attached to {entry.instance or 'an unknown instance'}" in now
        is_service = entry.management.manager is Manager.AWS_SERVICE
        assert ("attached to nothing" in now) == (entry.attached is False and not is_service)


def check_instance(known: Known, told: Explanation) -> None:
    """Assert that an instance has the ENIs that ``state`` shows."""
    entries = known.state(told.at, instance=(told.name,))
    assert set(told.enis) == {entry.eni for entry in entries}
    assert told.addresses == sum(len(entry.addresses) for entry in entries)
    for entry in entries if len(entries) <= 4 else ():
        assert entry.eni in said(told, SentenceCode.NOW)


def check_form(told: Explanation) -> None:
    """Assert that there are 3 to 8 sentences, in order, and a command that can be typed."""
    codes = [sentence.code for sentence in told.sentences]
    assert 3 <= len(codes) <= 9
    assert codes[0] is SentenceCode.WHAT
    assert codes[-1] is SentenceCode.NEXT
    assert sorted(codes, key=list(SentenceCode).index) == codes
    assert all(sentence.text.endswith((".", ":")) for sentence in told.sentences)
    command = told.sentences[-1].command
    assert command is not None
    assert shlex.split(command)[0] in ("cnitrail", "aws", "kubectl")


CHECKS = {
    TargetKind.ADDRESS: check_address,
    TargetKind.ENI: check_eni,
    TargetKind.INSTANCE: check_instance,
}


class TestAgreement:
    def test_every_target_of_every_story_is_explained_as_the_other_commands_answer(self, case: Case) -> None:
        known = known_of(case.history, case.coverage)
        for target in (*addresses(case.history), *case.history.interfaces, *case.history.instances):
            told = explain(known, parse_target(target), None)
            check_form(told)
            CHECKS[told.kind](known, told)

    def test_findings_are_those_of_the_command(self, case: Case) -> None:
        for kind, names in (("eni", case.history.interfaces), ("instance", case.history.instances)):
            for name in names:
                told = case.explain(name)
                found = case.findings(**{kind: name})  # type: ignore[arg-type]
                assert told.findings == len(found)
                if found:
                    assert found[0].severity.value.capitalize() in said(told, SentenceCode.FINDINGS)

    def test_the_suggested_command_shows_the_gravest_finding(self, case: Case) -> None:
        for target in (*addresses(case.history), *case.history.interfaces, *case.history.instances):
            told = case.explain(target)
            if told.findings:
                words = shlex.split(told.sentences[-1].command or "")
                assert words[:2] == ["cnitrail", "findings"]
                found = case.findings(**{words[2].removeprefix("--"): words[3]})  # type: ignore[arg-type]
                assert found, words
                gravest = said(told, SentenceCode.FINDINGS).partition("): ")[2]
                assert any(gravest.startswith(one.sentence[:60]) for one in found), words

    @thorough
    @given(data=st.data())
    def test_every_target_of_any_world_is_explained_as_the_other_commands_answer(
        self, data: st.DataObject
    ) -> None:
        world: World = data.draw(worlds())
        history, coverage = read(data.draw(deliveries(world)))
        known = known_of(history, coverage)
        ends = [reach.last for reach in coverage.reaches]
        targets = [*addresses(history), *history.interfaces, *history.instances]
        if not targets:
            return
        first = min(reach.first for reach in coverage.reaches)
        seconds = st.integers(int(first.timestamp()), int(max(ends).timestamp()) + 60)
        for target in data.draw(st.lists(st.sampled_from(targets), max_size=8)):
            at = data.draw(st.none() | seconds.map(lambda second: datetime.fromtimestamp(second, UTC)))
            told = explain(known, parse_target(target), at)
            check_form(told)
            CHECKS[told.kind](known, told)


STOLEN = "10.60.12.50"
THIEF = "i-0b6d2f8e4a1c97350"


def sentences(run: Run, *arguments: str, status: int = 0) -> dict[str, str]:
    """Return the sentences of ``explain`` by code, each with its command."""
    result = run("explain", *arguments, "-o", "json")
    assert result.exit_code == status, result.stderr
    (entry,) = json.loads(result.stdout)["entries"]
    return {
        one["code"]: one["text"] + (f" {one['command']}" if one["command"] else "")
        for one in entry["sentences"]
    }


def refused(run: Run, *arguments: str, status: int) -> str:
    result = run("explain", *arguments)
    assert result.exit_code == status
    assert result.stdout == ""
    return str(result.stderr)


class TestAddress:
    def test_a_taken_address_names_who_took_it_from_whom_and_what_to_type(self, run: Run) -> None:
        told = sentences(run, STOLEN, "stolen-address")
        assert told == {
            "what": "10.60.12.50 is an IP address in subnet-07a1c4e9b2d6f8350 of vpc-0d3b7f9e2c5a81460, "
            "account 111111111111 in eu-west-1.",
            "now": "At 2025-06-17 12:35:00Z (end of the evidence), eni-0b85e1c7d3a9f4620 of "
            "i-0b6d2f8e4a1c97350 (m5.large, cluster lighthouse) holds it as a secondary address, "
            "since 2025-06-17 11:47:25Z (47 min 35 s).",
            "origin": "dana.reyes@example.com (Identity Center, aws-cli 2.27.31) assigned it at "
            "2025-06-17 11:47:25Z (AssignPrivateIpAddresses).",
            "before": "Before that, eni-0a72f4d6c8e1b3950 of i-0a7c3e9f1b5d28460 held it from "
            "2025-06-17 10:32:15Z until this call took it away at 2025-06-17 11:47:25Z.",
            "findings": "High finding (2025-06-17 11:47:25Z): dana.reyes@example.com (Identity Center, "
            "aws-cli 2.27.31) reassigned 10.60.12.50 from eni-0a72f4d6c8e1b3950 of i-0a7c3e9f1b5d28460 "
            "(cluster lighthouse, managed by the VPC CNI) to eni-0b85e1c7d3a9f4620 of "
            "i-0b6d2f8e4a1c97350 (an ENI managed by the VPC CNI).",
            "certainty": "The verdict is likely, not certain: no release seen by the end of the evidence "
            "(2025-06-17 12:35:00Z); no later event shows that i-0b6d2f8e4a1c97350 was still running, "
            "with the ENI.",
            "next": "See the evidence and the remedy: cnitrail findings --ip 10.60.12.50 stolen-address",
        }

    def test_a_time_before_it_was_taken_names_the_holder_of_then(self, run: Run) -> None:
        told = sentences(run, STOLEN, "stolen-address", "--at", "2025-06-17T11:00Z")
        assert "eni-0a72f4d6c8e1b3950 of i-0a7c3e9f1b5d28460" in told["now"]
        assert told["now"].endswith("until 2025-06-17 11:47:25Z.")
        assert told["certainty"] == "The verdict is certain: its start and a later sign of it are logged."

    def test_a_time_before_the_evidence_says_when_it_was_first_assigned(self, run: Run) -> None:
        told = sentences(run, STOLEN, "stolen-address", "--at", "2020-01-01")
        assert told["now"].endswith(
            "; it was first assigned to eni-0a72f4d6c8e1b3950 at 2025-06-17 10:32:15Z."
        )
        assert "begins only at 2025-06-17 10:25:00Z" in told["missing"]

    def test_a_released_address_names_its_last_holder_and_who_released_it(self, run: Run) -> None:
        told = sentences(run, "10.112.64.50", "prefix-delegation")
        assert (
            "eni-0f2b5e8d1f3c69470 of i-0f1a4d7c9e2b58360 (m5.large, cluster dense) held it last"
            in told["now"]
        )
        assert "released it at 2026-03-11 08:02:57Z (17 min 3 s earlier)" in told["now"]

    def test_an_address_inside_a_prefix_names_the_prefix(self, run: Run) -> None:
        assert (
            "holds it in prefix 10.112.64.16/28" in sentences(run, "10.112.64.20", "prefix-delegation")["now"]
        )

    def test_an_address_of_two_vpcs_names_both_holders_and_how_to_choose(self, run: Run) -> None:
        told = sentences(run, "10.0.1.25", "two-vpcs", "--at", "2026-02-10T10:00Z")
        assert told["what"] == (
            "10.0.1.25 is an address in 2 VPCs: vpc-0b1e5a7c9d3f24680 and vpc-0c2f6b8d1e4a35790."
        )
        assert "eni-0b1e4d7a2c9f38560 of i-0b1e6f9c5d2a84730 in vpc-0b1e5a7c9d3f24680" in told["now"]
        assert "in vpc-0c2f6b8d1e4a35790" in told["now"]
        assert told["next"] == (
            "Choose one VPC: cnitrail explain 10.0.1.25 --vpc vpc-0b1e5a7c9d3f24680 "
            "--at 2026-02-10T10:00:00Z two-vpcs"
        )

    def test_a_vpc_chooses_one_of_them(self, run: Run) -> None:
        told = sentences(
            run, "10.0.1.25", "two-vpcs", "--at", "2026-02-10T10:00Z", "--vpc", "vpc-0c2f6b8d1e4a35790"
        )
        assert "eni-0c2f5b8d1e7a43960" in told["now"]
        assert "eni-0b1e4d7a2c9f38560" not in told["now"]

    def test_an_earlier_holder_whose_end_no_event_shows_is_named_in_doubt(self, run: Run) -> None:
        told = sentences(run, "10.128.3.41", "logs-begin-in-the-middle")
        assert told["before"] == (
            "eni-0fb2e9b5dba7ca360 also held it at 2025-08-21 10:21:30Z, perhaps in another VPC; no event "
            "shows whether it lost it to eni-0fe1ceaa3afc2f8b0."
        )

    def test_a_log_gap_is_stated_once(self, run: Run) -> None:
        told = sentences(run, "10.144.8.71", "hole-in-the-logs")
        assert told["missing"] == (
            "Missing from the evidence: log gap for 111111111111 in eu-north-1 from 2024-01-18 09:45:00Z to "
            "2024-01-18 12:05:00Z: the address may have moved then."
        )


class TestEni:
    def test_a_leaked_eni_says_who_detached_it_and_that_it_is_attached_to_nothing(self, run: Run) -> None:
        told = sentences(run, "eni-0e9b2d6e0a4c83750", FULL)
        assert told["now"] == (
            "At 2026-05-19 11:45:00Z (end of the evidence) it is attached to nothing and holds 10 IPs: "
            "i-0e5d8a2b4c6e19370 (instance role, amazon-vpc-cni-k8s v1.19.2) detached it from "
            "i-0e5d8a2b4c6e19370 at 2026-05-19 09:52:16Z."
        )
        assert told["findings"].startswith("Medium finding (since 2026-05-19 09:52:16Z, ongoing): ")

    def test_a_deleted_eni_says_who_deleted_it(self, run: Run) -> None:
        told = sentences(run, "eni-0ae5d9e3a7c2ba480", "hole-in-the-logs")
        assert told["now"].startswith("It no longer exists at 2024-01-18 15:00:00Z")
        assert "deleted by i-0ae4c8d2f6b1a9370" in told["now"]

    def test_an_eni_of_a_service_is_named_as_such(self, run: Run) -> None:
        told = sentences(run, "eni-0d34d5e6f70819200", "subnet-exhausted")
        assert told["what"].startswith("eni-0d34d5e6f70819200 is an ENI of Lambda in ")
        assert told["now"].endswith("it holds 1 IP; AWS services attach their ENIs without an event.")
        assert told["next"].startswith("Ask EC2 what uses it now: aws ec2 describe-network-interfaces ")

    def test_an_eni_whose_ips_no_event_names_is_not_said_to_hold_none(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "records.json"
        path.write_text(json.dumps({"Records": [GOOD["CreateVpcEndpoint"]]}))
        assert (
            "it holds no known IPs; AWS services attach their ENIs" in sentences(run, ENI, str(path))["now"]
        )

    def test_a_branch_of_ecs_is_of_a_task_and_of_no_pod(self, run: Run, tmp_path: Path) -> None:
        trail = Incident()
        ecs = service_linked(
            trail.account, "ecs.amazonaws.com", "ECS", "ecs-eni-provisioning", trail.time("08:00:00")
        )
        branch = replace(
            second(), type="branch", description="arn:aws:ecs:eu-west-1:111111111111:attachment/7"
        )
        records = [trail.record(trail.time("09:00:00"), ecs, create_network_interface(branch))]
        logs = tmp_path / "log.json"
        logs.write_text(json.dumps({"Records": records}))
        told = sentences(run, branch.id, str(logs))
        assert told["what"].startswith(f"{branch.id} is a branch ENI of ECS tasks in ")


MARKED = replace(second(), description=f"aws-K8S-{NODE}", secondaries=("10.9.1.2", "10.9.1.3"))
"""An ENI that the VPC CNI, or somebody who writes the same description, creates for a node."""


class TestInstance:
    def test_a_node_is_known_by_an_eni_that_nothing_attaches(self) -> None:
        trail = Incident()
        trail.log("09:00:00", cni(trail), create_network_interface(MARKED))
        told = explain(known_of(trail.history(), Coverage(())), parse_target(NODE), trail.time("10:00:00"))
        assert said(told, SentenceCode.WHAT) == (
            f"{NODE} is a node in account 111111111111 in eu-west-1; the VPC CNI manages its IPs."
        )
        assert said(told, SentenceCode.NOW).endswith(
            f"{MARKED.id} with 3 IPs, created for it, is not attached."
        )

    def test_a_node_is_in_the_cluster_that_the_tag_of_its_eni_names(self) -> None:
        trail = Incident()
        tagged = replace(MARKED, tags={"cluster.k8s.amazonaws.com/name": "quay"})
        trail.log("09:00:00", cni(trail), create_network_interface(tagged))
        told = explain(known_of(trail.history(), Coverage(())), parse_target(NODE), trail.time("10:00:00"))
        assert told.clusters == ("quay",)
        assert " is a node of cluster quay in " in said(told, SentenceCode.WHAT)

    def test_an_instance_that_a_caller_only_names_is_mentioned_and_no_node(self) -> None:
        trail = Incident()
        trail.log("09:00:00", ADA, create_network_interface(MARKED))
        told = explain(known_of(trail.history(), Coverage(())), parse_target(NODE), trail.time("10:00:00"))
        assert said(told, SentenceCode.WHAT) == (
            f"{NODE} is an instance; nothing shows that it is a Kubernetes node."
        )
        assert (told.enis, told.account) == ((), None)

    def test_an_ended_instance_has_the_enis_that_outlived_it(self, run: Run) -> None:
        told = sentences(run, "i-0e4c7f1a3b5d98260", "full-subnet")
        assert told["now"].endswith(" earlier; eni-0e8a1c5d9f3b72640 with 10 IPs still exists.")

    @pytest.mark.parametrize(
        "target",
        [
            THIEF,
            f"aws:///eu-west-1a/{THIEF}",
            f"{THIEF}.eu-west-1.compute.internal",
            f"arn:aws:ec2:eu-west-1:111111111111:instance/{THIEF}",
            "ip-10-60-9-31.eu-west-1.compute.internal",
        ],
    )
    def test_a_node_is_found_by_each_of_its_names(self, run: Run, target: str) -> None:
        told = sentences(run, target, "stolen-address")
        assert told["what"].startswith(f"{THIEF} is an m5.large node of cluster lighthouse in ")

    def test_a_terminated_node_says_who_terminated_it_and_what_it_left(self, run: Run) -> None:
        told = sentences(run, "i-0e4c7f1a3b5d98260", FULL)
        assert "it was terminated by node-drain/drain (assumed role, aws-cli 2.27.31)" in told["now"]
        assert told["now"].endswith("; eni-0e8a1c5d9f3b72640 with 10 IPs still exists.")
        assert "certainty" not in told

    def test_a_node_whose_calls_fail_says_how_many_and_why(self, run: Run) -> None:
        told = sentences(run, "i-0e80bd5e7f9142600", FULL)
        assert "10 calls failed (InsufficientFreeAddressesInSubnet)" in told["before"]
        assert "did not have enough free IPs: 10 calls failed for i-0e80bd5e7f9142600." in told["findings"]

    def test_an_instance_that_is_no_node_is_called_none(self, run: Run) -> None:
        told = sentences(run, "i-0d4b7dae4a8cb5690", "throttled")
        assert told["what"].endswith("; nothing shows that it is a Kubernetes node.")


class TestNodes:
    def test_what_is_wrong_with_a_node_comes_right_after_what_it_is(self, run: Run) -> None:
        told = sentences(run, "i-0e80bd5e7f9142600", FULL)
        assert list(told)[:3] == ["what", "findings", "now"]
        assert told["findings"].startswith("High finding (2026-05-19 11:02:04 to 11:22:05Z): subnet-")

    def test_a_node_without_findings_that_is_named_gets_the_command_that_shows_its_pods(
        self, run: Run
    ) -> None:
        name = "ip-10-30-16-4.ec2.internal"
        told = sentences(run, name, FULL)
        assert told["next"].endswith(f" kubectl get pods -A -o wide --field-selector spec.nodeName={name}")

    def test_an_instance_id_is_no_name_that_kubectl_knows(self, run: Run) -> None:
        told = sentences(run, "i-0e6e9b3c5d7f20480", FULL)
        assert " cnitrail pool --instance i-0e6e9b3c5d7f20480 " in told["next"]


class TestSubnetAndCluster:
    def test_a_full_subnet_says_who_has_the_ips(self, run: Run) -> None:
        told = sentences(run, "subnet-0c4d8e1f5a2b79360", "subnet-exhausted")
        assert told["what"].startswith(
            "subnet-0c4d8e1f5a2b79360 is a subnet with CIDR 10.40.8.0/25 and 123 usable IPs in "
        )
        assert "cluster batch 70" in told["now"]
        assert told["findings"].startswith("High finding")
        assert told["next"] == (
            "See who holds its IPs: cnitrail subnet subnet-0c4d8e1f5a2b79360 subnet-exhausted"
        )

    def test_a_cluster_has_its_nodes_and_the_gravest_finding(self, run: Run) -> None:
        told = sentences(run, "checkout", "subnet-exhausted")
        assert "it has 3 nodes with 5 ENIs and 33 IPs" in told["now"]
        assert told["findings"].startswith("High finding")
        assert told["findings"].endswith("1 other finding concerns it (low).")

    def test_the_arn_of_a_cluster_means_the_same(self, run: Run) -> None:
        arn = "arn:aws:eks:us-west-2:111122223333:cluster/checkout"
        assert "it has 3 nodes" in sentences(run, arn, "subnet-exhausted")["now"]

    def test_a_cluster_of_another_account_is_not_the_one_of_this_name(self, run: Run) -> None:
        arn = "arn:aws:eks:us-west-2:999999999999:cluster/checkout"
        assert "no event mentions checkout of account 999999999999 in us-west-2" in refused(
            run, arn, "subnet-exhausted", status=1
        )


class TestMistakes:
    @pytest.mark.parametrize(
        ("target", "instead"),
        [
            ("10.60.99.9", "addresses in this evidence: 10.60.8.30, "),
            ("i-0123456789abcdef0", "instances in this evidence: i-0a7c3e9f1b5d28460, i-0b6d2f8e4a1c97350"),
            ("eni-0123456789abcdef0", "ENIs in this evidence: eni-0a1b7d5e9c3f28640, "),
            ("subnet-0123456789abcdef0", "subnets in this evidence: subnet-07a1c4e9b2d6f8350"),
            ("lighthous", "clusters in this evidence: lighthouse"),
            ("ip-10-60-99-9.ec2.internal", "instances in this evidence: i-0a7c3e9f1b5d28460"),
        ],
    )
    def test_what_no_event_mentions_is_an_error_with_what_the_evidence_has(
        self, run: Run, target: str, instead: str
    ) -> None:
        error = refused(run, target, "stolen-address", status=1)
        assert "error: no event mentions " in error
        assert instead in error

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "TARGET is required"),
            (("stolen-address/", STOLEN), "'stolen-address/' is a source: TARGET comes first"),
            (("stolen-address", STOLEN), "hint: cnitrail explain 10.60.12.50 stolen-address"),
            (("i-0abcxyz1", "stolen-address"), "'i-0abcxyz1' is not an instance ID"),
            (("vpc-0d3b7f9e2c5a81460", "stolen-address"), "is a VPC"),
            (("10.0.0.0/28", "stolen-address"), "hint: try cnitrail leases --ip 10.0.0.0/28"),
            (("999.1.1.1", "stolen-address"), "'999.1.1.1' is not an IP address"),
            (
                ("arn:aws:s3:::logs", "stolen-address"),
                "is not the ARN of an instance, ENI, subnet or EKS cluster",
            ),
            (
                ("arn:aws:eks:eu-west-1:111111111111:cluster/a", "stolen-address", "--region", "us-east-1"),
                "is not in --region us-east-1",
            ),
        ],
    )
    def test_wrong_usage_says_what_to_type(self, run: Run, arguments: tuple[str, ...], message: str) -> None:
        assert message in refused(run, *arguments, status=2)

    def test_a_region_that_the_instance_is_not_in_is_an_error(self, run: Run) -> None:
        error = refused(run, THIEF, "stolen-address", "--region", "us-east-1", status=1)
        assert f"error: {THIEF} is in 111111111111 in eu-west-1, not in us-east-1" in error

    def test_unread_evidence_is_status_3_and_stated(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "torn.json").write_text('{"Records":[{"eventName":"RunIn')
        told = sentences(run, STOLEN, "stolen-address", str(tmp_path), status=3)
        assert told["missing"].endswith("files or records could not be read.")


class TestOutputs:
    @pytest.mark.parametrize("story", STORIES)
    def test_every_explanation_conforms_to_the_published_schema(self, run: Run, story: str) -> None:
        history = cnitrail.read(FIXTURES / story).history
        validator = Draft202012Validator(schema_of("explain", strict=True))
        for target in (*list(addresses(history))[:3], *list(history.instances)[:2], *history.interfaces):
            document = json.loads(run("explain", target, story, "-o", "json").stdout)
            assert [error.message for error in validator.iter_errors(document)] == []

    def test_a_terminal_breaks_no_id(self, run: Run) -> None:
        for columns in ("40", "60", "80", "120"):
            shown = run(
                "explain", THIEF, "stolen-address", env={"FORCE_COLOR": "1", "COLUMNS": columns}
            ).stdout
            plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
            assert THIEF in plain.splitlines()[0]
            for name in re.findall(r"\b(?:i|eni|subnet|vpc)-[0-9a-f]*", plain):
                assert len(name.rpartition("-")[2]) == 17

    def test_piped_output_has_a_sentence_a_line(self, run: Run) -> None:
        lines = run("explain", THIEF, "stolen-address").stdout.splitlines()
        assert len(lines) == 8
        assert lines[-1] == f"  $ cnitrail findings --instance {THIEF} stolen-address"

    def test_markdown_cites_events(self, run: Run) -> None:
        text = run("explain", STOLEN, "stolen-address", "-o", "md").stdout
        assert text.startswith("## `10.60.12.50`\n\n- ")
        assert "(event `a1ab0d93-0cdc-5b46-a995-643cf9693a28`)" in text

    def test_the_next_command_is_quoted_and_runs(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "it's $(here)"
        folder.symlink_to(FIXTURES / "stolen-address")
        told = run("explain", STOLEN, str(folder), "-o", "json", "--since", "2025-06-17").stdout
        command = json.loads(told)["entries"][0]["sentences"][-1]["command"]
        words = shlex.split(command)
        assert words[-3:] == [str(folder), "--since", "2025-06-17T00:00:00Z"]
        assert run(*words[1:]).exit_code == 0


class TestNames:
    @pytest.mark.parametrize(
        "text", ["", " ", "-", "a b", "A/b", "a/b/c", "x" * 101, "10.0.0", "prod\x1b[2J", "İ"]
    )
    def test_what_nothing_can_be_called_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError):
            parse_target(text)

    def test_the_python_api_has_the_same_errors(self) -> None:
        case = cnitrail.read(FIXTURES / "stolen-address")
        with pytest.raises(CnitrailError, match=r"no event mentions 10\.0\.0\.1;"):
            case.explain("10.0.0.1")
        assert case.explain(STOLEN, "2025-06-17T11:00Z").verdict == "certain"


class TestLookup:
    """With LookupEvents only the events of the target are read."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        monkeypatch.setattr(RateLimiter, "wait", lambda _: None)
        monkeypatch.setattr("cnitrail.sources.lookup.RETENTION", timedelta(days=36500))
        trail = CloudTrail()
        server = serve(trail)
        trail.add(record for file in ALL_STORIES["ironman"]() for record in file.records)
        yield (
            *("--region", "eu-west-1", "--endpoint-url", trail.url),
            *("--since", "2022-10-05", "--until", "2022-10-06"),
        )
        server.shutdown()
        server.server_close()

    @pytest.mark.parametrize(
        "target", ["i-03846c730abe852f4", "ip-192-168-55-245.eu-west-1.compute.internal"]
    )
    def test_a_node_is_looked_up_and_its_findings_are_not_judged(
        self, run: Run, asked: tuple[str, ...], target: str
    ) -> None:
        told = sentences(run, target, *asked)
        assert told["what"].startswith("i-03846c730abe852f4 is an m5.large node of cluster ironman-2022 in ")
        assert told["now"].startswith("At 2022-10-06 00:00:00Z it has eni-06d2f4a81c9b3e750 with 6 IPs")
        assert told["not-judged"].startswith(
            "Findings were not judged, because only events of the target were read. "
            "cnitrail findings --instance i-03846c730abe852f4 --region eu-west-1 --since 2022-10-05T00:00:00Z"
        )

    def test_a_cluster_needs_all_events_so_its_findings_are_judged(
        self, run: Run, asked: tuple[str, ...]
    ) -> None:
        assert sentences(run, "ironman-2022", *asked)["no-findings"] == "No findings concern it."
