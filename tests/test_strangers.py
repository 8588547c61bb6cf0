"""What a stranger's calls say about somebody else, in the ironman story: what they chose names nobody."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from records import record

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
