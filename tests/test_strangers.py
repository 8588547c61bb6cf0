"""What a stranger's calls say about somebody else, in the ironman story: what they chose names nobody."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from msgspec.structs import replace
from records import record

from cnitrail.render.report import html

ENI = "eni-0bbea279695112970"
ACCOUNT = "111111111111"
REGION = "eu-west-1"
MALLORY = {
    "type": "IAMUser",
    "principalId": "AIDAMALLORY",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAMALLORYEXAMPLE12",
    "userName": "mallory",
}


def with_calls(folder: Path, *calls: dict[str, Any]) -> Path:
    """The log files of the story, and one with these calls of a stranger."""
    for log in (FIXTURES / "ironman").rglob("*.json.gz"):
        (folder / log.name).write_bytes(log.read_bytes())
    text = json.dumps({"Records": calls}).encode()
    name = f"{ACCOUNT}_CloudTrail_{REGION}_20221005T1415Z_AAAAAAAAAAAAAAAA.json.gz"
    (folder / name).write_bytes(gzip.compress(text))
    return folder


def called(event: str, request: object, time: str, number: int = 0) -> dict[str, Any]:
    """A successful call of the stranger."""
    return record(
        event,
        request,
        {"requestId": "r", "_return": True},
        eventTime=time,
        eventID=f"00000000-0000-4000-8000-{number:012d}",
        recipientAccountId=ACCOUNT,
        awsRegion=REGION,
        userIdentity=MALLORY,
    )


class TestTags:
    @pytest.mark.parametrize("time", ["2022-10-05T13:16:04Z", "2022-10-05T13:40:00Z"])
    def test_of_a_stranger_do_not_name_the_cluster_of_the_eni_s_creator(
        self, run: Run, tmp_path: Path, time: str
    ) -> None:
        tags = {"items": [{"key": "cluster.k8s.amazonaws.com/name", "value": "evil"}]}
        request = {"resourcesSet": {"items": [{"resourceId": ENI}]}, "tagSet": tags}
        logs = with_calls(tmp_path, called("CreateTags", request, time))
        entries = json.loads(run("timeline", logs, "--eni", ENI, "-o", "json").stdout)["entries"]
        aws_node = [entry["actor"] for entry in entries if entry["actor"]["kind"] == "irsa"]
        assert len(aws_node) == 9
        assert {actor["cluster"] for actor in aws_node} == {"ironman-2022"}

    @pytest.mark.parametrize("resource", [ENI, "i-03846c730abe852f4"])
    def test_that_contradict_those_of_the_node_leave_the_cluster_of_the_eni_open(
        self, run: Run, tmp_path: Path, resource: str
    ) -> None:
        tags = {"items": [{"key": "cluster.k8s.amazonaws.com/name", "value": "evil"}]}
        request = {"resourcesSet": {"items": [{"resourceId": resource}]}, "tagSet": tags}
        logs = with_calls(tmp_path, called("CreateTags", request, "2022-10-05T13:40:00Z"))
        clusters = []
        for at in ("2022-10-05T13:30Z", "2022-10-05T14:00Z"):
            answer = json.loads(run("who", "192.168.53.76", logs, "--at", at, "-o", "json").stdout)
            ((holder,),) = (entry["holders"] for entry in answer["entries"])
            clusters.append(holder["cluster"])
        assert clusters == ["ironman-2022", None]
        for cluster in ("ironman-2022", "evil"):
            found = run("leases", logs, "--cluster", cluster, "-o", "jsonl").stdout
            assert any(json.loads(line)["eni"] == ENI for line in found.splitlines())

    def test_that_name_more_clusters_than_a_resource_can_have_tags_cost_nothing(
        self, run: Run, tmp_path: Path
    ) -> None:
        calls = []
        for number in range(200):
            tags = {"items": [{"key": f"kubernetes.io/cluster/c{number:03}", "value": "owned"}]}
            request = {"resourcesSet": {"items": [{"resourceId": ENI}]}, "tagSet": tags}
            calls.append(
                called("CreateTags", request, f"2022-10-05T13:4{number // 60}:{number % 60:02}Z", number)
            )
        logs = with_calls(tmp_path, *calls)
        assert len(run("leases", logs, "--cluster", "c048", "-o", "jsonl").stdout.splitlines()) > 0
        found = run("leases", logs, "--cluster", "c199", "-o", "jsonl").stdout
        assert found == ""


class TestDescriptions:
    def test_each_call_says_which_instance_was_claimed_last(self, run: Run, tmp_path: Path) -> None:
        calls = []
        claims = ["i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb", "i-0bbbbbbbbbbbbbbbb", "i-03846c730abe852f4"]
        for number, claimed in enumerate(claims):
            request = {"networkInterfaceId": ENI, "description": {"value": f"aws-K8S-{claimed}"}}
            time = f"2022-10-05T13:40:0{number}Z"
            calls.append(called("ModifyNetworkInterfaceAttribute", request, time, number))
        logs = with_calls(tmp_path, *calls)
        entries = json.loads(run("timeline", logs, "--eni", ENI, "-o", "json").stdout)["entries"]
        said = [entry["claimed_instance"] for entry in entries if entry["actor"]["label"] == "mallory"]
        assert said == ["i-0aaaaaaaaaaaaaaaa", *["i-0bbbbbbbbbbbbbbbb"] * 3]


class TestReportsOfManyCalls:
    def test_every_instance_that_is_listed_is_drawn(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A single instance may have more calls than the chart takes, with others listed after it."""
        monkeypatch.setattr(html, "_SIZES", replace(html._SIZES, calls=1))
        result = run("report", "throttled", "-o", "html")
        assert result.exit_code == 0
        assert result.stdout.count('<section class="instance">') == 7
