"""Filters and pods: what they select, and what they must not leave out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import audit_events as audit
import pytest
from conftest import FIXTURES, Run

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.errors import UsageError
from cnitrail.workflows.request import Access, scope_of

if TYPE_CHECKING:
    from pathlib import Path

STORY = FIXTURES / "pod-behind-an-address"
WEB, CART = "shop/web-6d4cf56db6-x2x7k", "shop/cart-7f9c64bd5d-qq8zn"
IP, ENI, INSTANCE = "192.168.53.76", "eni-0bbea279695112970", "i-03846c730abe852f4"


def answer(run: Run, *arguments: object) -> dict[str, Any]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


class TestReportsAndStates:
    def test_the_state_of_a_pod_is_that_of_its_eni_while_it_has_an_address(self, run: Run) -> None:
        (entry,) = answer(run, "state", STORY, "--pod", WEB, "--at", "2022-10-05T14:00Z")["entries"]
        assert entry["eni"] == ENI
        assert answer(run, "state", STORY, "--pod", CART, "--at", "2022-10-05T14:00Z")["entries"] == []
        assert answer(run, "state", STORY, "--namespace", "web", "--at", "2022-10-05T14:00Z")["entries"] == []

    def test_a_report_of_a_pod_has_the_calls_around_it_and_no_other_pod(self) -> None:
        found = cnitrail.read(STORY).report(pod=WEB)
        assert found.title == f"Private IP addresses of pod {WEB}, 2022-10-05"
        assert {call.entry.eni for call in found.calls} == {ENI}
        assert found.pods is not None
        assert [f"{pod.entry.namespace}/{pod.entry.pod}" for pod in found.pods] == [WEB]

    def test_a_report_of_a_pod_that_nothing_shows_is_empty_and_says_so(self, run: Run) -> None:
        result = run("report", STORY, "--pod", "shop/none")
        assert "0 calls" in result.stdout
        assert "no pod evidence shows an address of pod shop/none" in result.stderr

    def test_findings_of_a_pod_are_those_of_its_addresses_in_its_time(self) -> None:
        case = cnitrail.read(STORY)
        assert case.findings(pod=WEB) == ()
        assert case.findings(pod="shop/*", until="2022-10-05T13:00Z") == ()

    def test_a_pool_is_not_that_of_a_pod(self) -> None:
        with pytest.raises(UsageError, match="takes no pod"):
            cnitrail.read(STORY).pool(pod=WEB)

    def test_ec2_is_not_compared_by_pod(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "enis.json").write_text('{"NetworkInterfaces": []}')
        result = run("state", STORY, "--pod", WEB, "--live", str(tmp_path / "enis.json"))
        assert result.exit_code == 2
        assert "it takes no --pod" in result.stderr


class TestPlaces:
    @pytest.fixture
    def alone(self, tmp_path: Path) -> Path:
        """An audit log without CloudTrail, which names no account, no Region and no VPC."""
        there: dict[str, Any] = {"node": "ip-10-0-1-9.eu-west-1.compute.internal", "instance": INSTANCE}
        event = audit.status_patch(
            "2022-10-05T13:20:05.402000Z", WEB, audit.UID, ips=["10.0.1.25"], phase="Running", **there
        )
        (tmp_path / "audit.jsonl").write_bytes(audit.lines([event]))
        return tmp_path

    @pytest.mark.parametrize(
        "place",
        [("--region", "eu-west-1"), ("--account", "111111111111"), ("--vpc", "vpc-0a2e8f6ad5c3b9714")],
    )
    def test_a_pod_of_an_unknown_place_is_not_left_out(
        self, run: Run, alone: Path, place: tuple[str, str]
    ) -> None:
        (entry,) = answer(run, "pods", alone, *place)["entries"]
        assert entry["ip"] == "10.0.1.25"

    def test_a_pod_of_another_region_is_left_out(self, run: Run) -> None:
        assert answer(run, "pods", STORY, "--region", "us-east-1")["entries"] == []
        assert len(answer(run, "pods", STORY, "--region", "eu-west-1")["entries"]) == 2

    def test_nodes_and_instances_select_pods(self, run: Run, alone: Path) -> None:
        for option, name in (
            ("--instance", INSTANCE),
            ("--node", "ip-10-0-1-9.eu-west-1.compute.internal"),
        ):
            assert len(answer(run, "pods", alone, option, name)["entries"]) == 1
        assert answer(run, "pods", alone, "--instance", "i-0123456789abcdef0")["entries"] == []

    def test_a_cluster_is_also_that_of_the_eni(self, run: Run) -> None:
        assert len(answer(run, "pods", STORY, "--cluster", "ironman-2022")["entries"]) == 2
        assert answer(run, "pods", STORY, "--cluster", "other")["entries"] == []

    def test_a_filter_of_pods_does_not_narrow_what_sources_are_asked_for(self) -> None:
        asked = scope_of(Filter(pod=(WEB,), namespace=("shop",)), Access())
        assert asked == scope_of(Filter(), Access())


class TestLimits:
    def test_what_pod_evidence_covers_is_said_if_the_time_is_outside(self, run: Run) -> None:
        asked = ("who", IP, STORY, "--at", "2022-10-05T18:00Z")
        (entry,) = answer(run, *asked)["entries"]
        reasons = {reason["code"]: reason["text"] for reason in entry["pod"]["reasons"]}
        assert reasons["pod-evidence-span"] == (
            "no pod evidence covers 2022-10-05 18:00:00Z: it has records of ipamd.log of "
            "i-03846c730abe852f4 from 2022-10-05 13:16:00Z to 2022-10-05 15:34:00Z and the audit log "
            "from 2022-10-05 13:17:00Z to 2022-10-05 15:20:12.455Z"
        )

    def test_pods_say_which_part_of_a_range_is_not_covered(self, run: Run) -> None:
        inside = answer(run, "pods", STORY, "--since", "2022-10-05T13:20Z", "--until", "2022-10-05T15:00Z")
        outside = answer(run, "pods", STORY, "--until", "2022-10-05T18:00Z")
        codes = [{reason["code"] for reason in found["limitations"]} for found in (inside, outside)]
        assert ["pod-evidence-span" in found for found in codes] == [False, True]


class TestUnreadPodEvidence:
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Path:
        """The story, with an audit log of which the end is damaged."""
        folder = tmp_path / "logs"
        folder.mkdir()
        (folder / "trail").symlink_to(STORY / "AWSLogs")
        whole = audit.lines([audit.bind("2022-10-05T13:20:01.130000Z", WEB, audit.UID, node="n")])
        (folder / "audit.jsonl").write_bytes(whole + b'{"kind":"Event","apiVersion":"audit.k8s.io/v1", \n')
        return folder

    def test_it_lowers_no_verdict_of_an_eni(self, run: Run, logs: Path, tmp_path: Path) -> None:
        store = tmp_path / "pods.db"
        run("collect", logs, "--to", store)
        for source in (logs, store):
            result = run("who", IP, source, "--at", "2022-10-05T14:00Z", "-o", "json")
            found = json.loads(result.stdout)
            assert found["evidence"]["skipped"], result.stderr
            assert all(skipped["of_pods"] for skipped in found["evidence"]["skipped"])
            (entry,) = found["entries"]
            assert entry["verdict"] == "certain"
            assert "pod-evidence-unread" in {reason["code"] for reason in entry["pod"]["reasons"]}
            result = run("pods", source, "-o", "json")
            assert result.exit_code == 3
            limitations = json.loads(result.stdout)["limitations"]
            assert "pod-evidence-unread" in {reason["code"] for reason in limitations}

    @pytest.mark.parametrize("name", ["ipamd.log.gz", "kube-apiserver-audit-0a1b.json.gz"])
    def test_a_log_of_pods_that_cannot_be_read_at_all_is_known_by_its_name(
        self, run: Run, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / "trail").symlink_to(STORY / "AWSLogs")
        (tmp_path / name).write_bytes(b"\x1f\x8b" + bytes(100))
        found = json.loads(run("who", IP, tmp_path, "--at", "2022-10-05T14:00Z", "-o", "json").stdout)
        assert [skipped["of_pods"] for skipped in found["evidence"]["skipped"]] == [True]
        assert found["entries"][0]["verdict"] == "certain"


class TestExplain:
    def sentences(self, run: Run, *arguments: object) -> dict[str, str]:
        (entry,) = answer(run, "explain", *arguments)["entries"]
        return {sentence["code"]: sentence["text"] for sentence in entry["sentences"]}

    def test_a_pod_is_explained_with_its_address_its_node_and_how_sure_that_is(self, run: Run) -> None:
        found = self.sentences(run, WEB, STORY)
        assert "owned by ReplicaSet/web-6d4cf56db6, with service account shop/web" in found["what"]
        assert found["now"] == (
            f"It had {IP} on {ENI} of {INSTANCE} from 2022-10-05 13:20:02.290Z (ipamd.log) until "
            "2022-10-05 14:30:30.101Z (ipamd.log)."
        )
        assert found["certainty"] == (
            f"The verdict for {IP} at 2022-10-05 13:55:16Z is certain for its ENI, and certain for its pod."
        )

    def test_a_pod_without_an_address_is_answered_with_the_pods_that_have_one(self, run: Run) -> None:
        result = run("explain", "shop/none", STORY)
        assert result.exit_code == 1
        assert f"pods with addresses in this evidence: {CART}, {WEB}" in result.stderr

    def test_a_path_is_still_a_source(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "logs" / "a").mkdir(parents=True)
        result = run("explain", str(tmp_path / "logs" / "a"), STORY)
        assert result.exit_code == 2
        assert "is a source: TARGET comes first" in result.stderr

    def test_an_address_without_a_pod_is_explained_with_its_last_one(self, run: Run) -> None:
        text = self.sentences(run, IP, STORY)["pods"]
        assert text.endswith(
            f"The last with the address was pod {CART}, until 2022-10-05 15:20:11.020Z, 19 min 49 s earlier."
        )

    def test_an_address_that_only_pod_evidence_shows_is_explained(self, run: Run) -> None:
        found = self.sentences(run, IP, STORY / "audit", "--at", "2022-10-05T14:00Z")
        assert found["now"] == "At 2022-10-05 14:00:00Z, no CloudTrail event shows it on an ENI."
        assert found["pods"].startswith(f"Pod {WEB} has it, since at the latest 2022-10-05 13:20:0")
        assert self.sentences(run, IP, STORY / "audit")["pods"]


def test_warm_addresses_of_a_subnet_are_known_if_the_log_of_its_node_is_there() -> None:
    subnet, at = "subnet-0a1d7e59c4b2f8603", "2022-10-05T14:00Z"
    codes = [
        {reason.code for reason in cnitrail.read(source).subnet(subnet, at)[0].reasons}
        for source in (STORY, STORY / "AWSLogs")
    ]
    assert ["warm-pool-unknown" in found for found in codes] == [False, True]


def test_clusters_subnets_and_enis_are_explained_with_their_pods() -> None:
    case = cnitrail.read(STORY)
    for target, place in (
        ("ironman-2022", "on its nodes"),
        ("subnet-0a1d7e59c4b2f8603", "in it"),
        (ENI, "on it"),
    ):
        sentences = case.explain(target, "2022-10-05T14:00Z").sentences
        (text,) = [sentence.text for sentence in sentences if sentence.code == "pods"]
        assert text == f"Pod evidence shows 1 pod with an address {place} ({WEB})."
