"""Records of one event that disagree: nothing tells which is true, unless CloudTrail's digests do."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from test_any_order import RECORDS

IP, AT = "192.168.34.201", "2022-10-05T14:00Z"
MALLORY = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": "arn:aws:iam::111111111111:user/mallory",
    "accountId": "111111111111",
    "userName": "mallory",
}


@pytest.fixture
def assigned() -> dict[str, Any]:
    """The record that gave the address."""
    return next(each for each in RECORDS["ironman"] if IP in json.dumps(each.get("responseElements")))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory beside the story's own logs, to put other records into."""
    folder = tmp_path / "others"
    folder.mkdir()
    return folder


def put(logs: Path, *records: dict[str, Any]) -> Path:
    (logs / "other.json").write_text(json.dumps({"Records": records}))
    return logs


def sources(logs: Path) -> list[list[str]]:
    story = str(FIXTURES / "ironman")
    return [[story, str(logs)], [str(logs), story]]


class TestWhoCalled:
    def test_is_not_said_where_records_disagree_on_it(
        self, run: Run, logs: Path, assigned: dict[str, Any]
    ) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        for asked in sources(logs):
            (answer,) = json.loads(run("who", IP, *asked, "--at", AT, "-o", "json").stdout)["entries"]
            assert answer["verdict"] == "likely"
            (holder,) = answer["holders"]
            assert holder["eni"] == "eni-06d2f4a81c9b3e750"
            assert holder["assigned_by"]["kind"] == "unknown"
            assert holder["assigned_by"]["label"] == "unknown: its records disagree"
            assert answer["reasons"][-1] == (
                f"records of AssignPrivateIpAddresses (event {assigned['eventID']}) at 2022-10-05 13:15:46Z"
                " disagree, and nothing tells which is true"
            )

    def test_is_said_where_they_agree_on_it(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"eventTime": "2022-10-05T13:15:47Z"})
        (answer,) = json.loads(run("who", IP, *sources(logs)[0], "--at", AT, "-o", "json").stdout)["entries"]
        assert answer["verdict"] == "likely"
        assert answer["holders"][0]["assigned_by"]["label"] == "kube-system/aws-node"

    def test_is_not_said_where_records_of_its_session_disagree(self, run: Run, logs: Path) -> None:
        opened = [
            json.dumps(each) for each in RECORDS["ironman"] if each["eventName"].startswith("AssumeRole")
        ]
        of_mallory = (each.replace("kube-system:aws-node", "default:mallory") for each in opened)
        put(logs, *map(json.loads, of_mallory))
        for asked in sources(logs):
            result = run("timeline", *asked, "--event", "Assign*", "-o", "jsonl")
            entries = list(map(json.loads, result.stdout.splitlines()))
            assert result.exit_code == 3
            assert [each["actor"]["service_account"] for each in entries] == [None, None]


class TestWhatIsTold:
    def test_both_places(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        for asked in sources(logs):
            result = run("timeline", *asked, "-o", "json")
            assert result.exit_code == 3
            (skipped,) = json.loads(result.stdout)["evidence"]["skipped"]
            assert skipped["extent"] == "part"
            assert "other.json" in skipped["source"] + skipped["reason"]
            assert "1320Z" in skipped["source"] + skipped["reason"]
            assert f": event {assigned['eventID']} stands otherwise in " in skipped["reason"]
            assert skipped["reason"].endswith(", and nothing tells which is true")

    def test_by_a_store_too(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        store = str(logs.parent / "trail.db")
        run("collect", *sources(logs)[0], "--to", store)
        result = run("who", IP, store, "--at", AT, "-o", "json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["entries"][0]["verdict"] == "likely"

    @pytest.mark.parametrize("missing", ["recipientAccountId", "awsRegion", "requestID"])
    def test_nothing_where_one_only_leaves_out_where_it_was_called(
        self, run: Run, logs: Path, assigned: dict[str, Any], missing: str
    ) -> None:
        put(logs, {key: value for key, value in assigned.items() if key != missing})
        result = run("who", IP, *sources(logs)[0], "--at", AT, "-o", "json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["entries"][0]["verdict"] == "certain"


class TestWithDigests:
    def test_what_they_prove_counts_and_the_other_record_is_told(
        self, run: Run, logs: Path, assigned: dict[str, Any]
    ) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        trail = str(FIXTURES / "ironman-signed")
        for asked in ([trail, str(logs)], [str(logs), trail]):
            result = run("who", IP, *asked, "--at", AT, "--verify", "-o", "json")
            answer = json.loads(result.stdout)
            (who,) = answer["entries"]
            assert who["holders"][0]["assigned_by"]["label"] == "kube-system/aws-node"
            assert (result.exit_code, who["rests_on"]) == (3, "merely_read")
            (skipped,) = answer["evidence"]["skipped"]
            assert skipped["source"] == str(logs / "other.json")
            assert skipped["reason"].endswith(", which CloudTrail's digests prove")
