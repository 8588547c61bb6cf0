"""Reports, explanations and findings name the pods that pod evidence shows, and say nothing without it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import audit_events as audit
import pytest
from conftest import FIXTURES, Run

import cnitrail

STOLEN = "10.60.12.50"
LOSER = "i-0a7c3e9f1b5d28460"
NODE = "ip-10-60-12-9.eu-west-1.compute.internal"
WEB, JOB = "shop/web-6d4cf56db6-x2x7k", "shop/job-8hv2q"
MARKUP = "shop/<img-src=x>`|[a](http://example.com)"


def lived(pod: str, uid: str, ip: str, start: str, end: str) -> list[audit.Event]:
    """Return the events of a pod with an address on the node that loses one."""
    return audit.life(
        pod,
        uid,
        ips=[ip],
        bound=f"2025-06-17T{start}:00.100000Z",
        reported=f"2025-06-17T{start}:05.400000Z",
        proven=f"2025-06-17T{end}:00.000000Z",
        gone=f"2025-06-17T{end}:31.000000Z",
        node=NODE,
        instance=LOSER,
    )


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A node that loses an address at 11:47:25 to a reassignment, and the audit log of its cluster."""
    folder = tmp_path / "logs"
    shutil.copytree(FIXTURES / "stolen-address", folder / "trail")
    events = lived(WEB, audit.UID, STOLEN, "10:40", "12:10") + lived(JOB, "job", STOLEN, "10:33", "10:35")
    alive = audit.heartbeats("2025-06-17T10:33:00Z", "2025-06-17T12:10:00Z", node=NODE, instance=LOSER)
    (folder / "audit.jsonl").write_bytes(audit.lines([*events, *alive]))
    return folder


def without_later_reports(logs: Path) -> None:
    """Let the audit log end at 11:00, so that nothing shows that the pod still had its address at 11:47."""
    lines = (logs / "audit.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["requestReceivedTimestamp"] < "2025-06-17T11:00:30"]
    (logs / "audit.jsonl").write_text("".join(kept))


def with_a_gap(logs: Path) -> None:
    """Take the hour before the call out of the audit log: the pod may have had another address since."""
    lines = (logs / "audit.jsonl").read_text().splitlines(keepends=True)
    times = [json.loads(line)["requestReceivedTimestamp"] for line in lines]
    kept = [
        line
        for line, time in zip(lines, times, strict=True)
        if not "2025-06-17T10:45" < time < "2025-06-17T11:45"
    ]
    (logs / "audit.jsonl").write_text("".join(kept))


class TestFindings:
    def test_the_pod_that_was_cut_off_is_named(self, run: Run, logs: Path) -> None:
        found = [json.loads(line) for line in run("findings", logs, "-o", "jsonl").stdout.splitlines()]
        (sentence,) = (one["sentence"] for one in found if one["rule"] == "address-reassigned")
        assert f" Pod {WEB} ({STOLEN}) had it then." in sentence
        assert JOB not in sentence

    @pytest.mark.parametrize("spoiled", [without_later_reports, with_a_gap])
    def test_a_pod_that_nothing_shows_until_the_call_may_have_been_cut_off(
        self, run: Run, logs: Path, spoiled: Callable[[Path], None]
    ) -> None:
        spoiled(logs)
        found = [json.loads(line) for line in run("findings", logs, "-o", "jsonl").stdout.splitlines()]
        (sentence,) = (one["sentence"] for one in found if one["rule"] == "address-reassigned")
        assert f" Pod {WEB} ({STOLEN}) may have had it then." in sentence

    def test_without_pod_evidence_no_pod_is_named(self, run: Run, logs: Path) -> None:
        assert "Pod " not in run("findings", logs / "trail", "--rule", "address-reassigned").stdout


class TestReport:
    @pytest.mark.parametrize("output", ["md", "html"])
    def test_pods_of_the_nodes_are_listed(self, run: Run, logs: Path, output: str) -> None:
        shown = run("report", logs, "-o", output).stdout
        assert WEB in shown
        assert JOB in shown

    def test_pods_that_lost_an_address_come_first(self, logs: Path) -> None:
        found = cnitrail.read(logs).report()
        assert found.pods is not None
        lost, kept = found.pods
        assert (lost.entry.pod, kept.entry.pod) == ("web-6d4cf56db6-x2x7k", "job-8hv2q")
        assert lost.surely
        assert [found.events[number - 1].event for number in lost.lost_by] == ["AssignPrivateIpAddresses"]
        assert kept.lost_by == ()
        assert found.summary[-1].sentence == f"Pods that lost an IP to a call: {WEB} ({STOLEN})."

    def test_the_summary_names_them(self, run: Run, logs: Path) -> None:
        shown = run("report", logs, "-o", "summary").stdout
        assert f"Pods that lost an IP to a call: `{WEB}` (`{STOLEN}`).\n" in shown

    def test_without_pod_evidence_there_is_no_section(self, run: Run, logs: Path) -> None:
        for output in ("md", "html"):
            assert "Pods</h2>" not in run("report", logs / "trail", "-o", output).stdout
            assert "## Pods" not in run("report", logs / "trail", "-o", output).stdout

    def test_hostile_names_act_nowhere(self, run: Run, logs: Path) -> None:
        events = lived("shop/<img-src=x>`|[a](http:x)", "x", STOLEN, "10:40", "12:10")
        (logs / "audit.jsonl").write_bytes(audit.lines(events))
        page = run("report", logs, "-o", "html").stdout
        assert "&lt;img-src=x&gt;" in page
        assert "<img-src" not in page
        assert "| `` shop/<img-src=x>` ``\\|`[a](http:x)` |" in run("report", logs, "-o", "md").stdout


class TestExplanations:
    def test_an_address_says_its_pod(self, run: Run, logs: Path) -> None:
        shown = run("explain", STOLEN, logs, "--at", "2025-06-17T11:00:00Z", "-o", "json").stdout
        (found,) = json.loads(shown)["entries"]
        (sentence,) = (one["text"] for one in found["sentences"] if one["code"] == "pods")
        assert sentence.startswith(f"Pod {WEB} has it, since at the latest 2025-06-17 10:40:05.400Z (")
        answer = json.loads(run("who", STOLEN, logs, "--at", "2025-06-17T11:00:00Z", "-o", "jsonl").stdout)
        assert f"({answer['pod']['verdict']}" in sentence

    def test_instances_and_enis_count_their_pods(self, run: Run, logs: Path) -> None:
        for target in (LOSER, "eni-0a72f4d6c8e1b3950"):
            shown = run("explain", target, logs, "--at", "2025-06-17T11:00:00Z", "-o", "json").stdout
            (found,) = json.loads(shown)["entries"]
            (sentence,) = (one["text"] for one in found["sentences"] if one["code"] == "pods")
            assert sentence == f"Pod evidence shows 1 pod with an address on it ({WEB})."

    def test_pods_that_only_may_have_had_an_address_are_named_as_such(self, run: Run, logs: Path) -> None:
        shown = run("explain", LOSER, logs, "--at", "2025-06-17T10:40:02Z", "-o", "json").stdout
        (found,) = json.loads(shown)["entries"]
        (sentence,) = (one["text"] for one in found["sentences"] if one["code"] == "pods")
        assert sentence == f"Pod evidence shows 1 pod that may have had an address on it ({WEB})."
        shown = run("explain", LOSER, logs, "--at", "2025-06-17T12:30:00Z", "-o", "json").stdout
        (found,) = json.loads(shown)["entries"]
        (sentence,) = (one["text"] for one in found["sentences"] if one["code"] == "pods")
        covered = "it has records of the audit log from 2025-06-17 10:33:00Z to 2025-06-17 12:10:31Z"
        assert sentence == f"No pod evidence covers 2025-06-17 12:30:00Z: {covered}."

    def test_without_pod_evidence_nothing_is_said_of_pods(self, run: Run, logs: Path) -> None:
        for target in (STOLEN, LOSER):
            (found,) = json.loads(run("explain", target, logs / "trail", "-o", "json").stdout)["entries"]
            assert "pods" not in {one["code"] for one in found["sentences"]}
