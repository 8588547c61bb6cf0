"""Records of one event that disagree: only CloudTrail's digests can show which is true."""

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
    """The record that assigned the address."""
    return next(record for record in RECORDS["ironman"] if IP in json.dumps(record.get("responseElements")))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory for other records, beside the logs of the story."""
    folder = tmp_path / "others"
    folder.mkdir()
    return folder


def put(logs: Path, *records: dict[str, Any]) -> Path:
    (logs / "other.json").write_text(json.dumps({"Records": records}))
    return logs


def sources(logs: Path) -> list[list[str]]:
    story = str(FIXTURES / "ironman")
    return [[story, str(logs)], [str(logs), story]]


class TestCaller:
    def test_is_unknown_if_records_disagree_on_it(
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
            reason = answer["reasons"][-1]
            assert (reason["code"], reason["events"]) == ("records-disagree", [assigned["eventID"]])
            assert reason["text"] == (
                f"records of AssignPrivateIpAddresses (event {assigned['eventID']}) at 2022-10-05 13:15:46Z"
                " disagree, and the evidence does not show which is true"
            )

    def test_is_known_if_records_agree_on_it(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"eventTime": "2022-10-05T13:15:47Z"})
        (answer,) = json.loads(run("who", IP, *sources(logs)[0], "--at", AT, "-o", "json").stdout)["entries"]
        assert answer["verdict"] == "likely"
        assert answer["holders"][0]["assigned_by"]["label"] == "kube-system/aws-node"

    def test_is_unknown_if_the_records_of_its_session_disagree(self, run: Run, logs: Path) -> None:
        opened = [
            json.dumps(record)
            for record in RECORDS["ironman"]
            if record["eventName"].startswith("AssumeRole")
        ]
        of_mallory = (text.replace("kube-system:aws-node", "default:mallory") for text in opened)
        put(logs, *map(json.loads, of_mallory))
        for asked in sources(logs):
            result = run("timeline", *asked, "--event", "Assign*", "-o", "jsonl")
            entries = list(map(json.loads, result.stdout.splitlines()))
            assert result.exit_code == 3
            assert [entry["actor"]["service_account"] for entry in entries] == [None, None]


class TestWarning:
    def test_names_both_places(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        for asked in sources(logs):
            result = run("timeline", *asked, "-o", "json")
            assert result.exit_code == 3
            (skipped,) = json.loads(result.stdout)["evidence"]["skipped"]
            assert skipped["extent"] == "part"
            assert "other.json" in skipped["source"] + skipped["reason"]
            assert "1320Z" in skipped["source"] + skipped["reason"]
            assert f": event {assigned['eventID']} differs in " in skipped["reason"]
            assert skipped["reason"].endswith(", and nothing shows which is true")

    def test_is_given_from_a_store(self, run: Run, logs: Path, assigned: dict[str, Any]) -> None:
        put(logs, assigned | {"userIdentity": MALLORY})
        store = str(logs.parent / "trail.db")
        run("collect", *sources(logs)[0], "--to", store)
        result = run("who", IP, store, "--at", AT, "-o", "json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["entries"][0]["verdict"] == "likely"

    @pytest.mark.parametrize("missing", ["recipientAccountId", "awsRegion", "requestID"])
    def test_is_not_given_if_a_record_only_lacks_account_region_or_request_id(
        self, run: Run, logs: Path, assigned: dict[str, Any], missing: str
    ) -> None:
        put(logs, {key: value for key, value in assigned.items() if key != missing})
        result = run("who", IP, *sources(logs)[0], "--at", AT, "-o", "json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["entries"][0]["verdict"] == "certain"


class TestWithDigests:
    def test_the_proven_record_counts_and_the_other_is_reported(
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
