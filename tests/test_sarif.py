"""``-o sarif``: the log conforms to the published schema, and says everything that a finding says."""

import json
import re
import shutil
from pathlib import Path

import pytest
from callers import iam_user
from calls import stop_logging
from conftest import FIXTURES, Run
from incidents import ACCOUNT, ADA, CLI, FULL, Incident, asks, cni, node, refused
from msgspec.structs import replace
from pipelines import sarif_of, written
from test_schemas import STORIES

from cnitrail.answers.findings import RULES
from cnitrail.model import Severity

HOSTILE = "ada {0} [free money](https://example.com/) \\[x\\](1) \x1b[31m"


@pytest.mark.parametrize("story", STORIES)
class TestEveryStory:
    def test_the_log_conforms_to_the_published_schema(self, run: Run, story: str) -> None:
        sarif_of(run("findings", story, "-o", "sarif", "-q").stdout)

    def test_it_has_the_findings_of_json_and_their_sentences(self, run: Run, story: str) -> None:
        results = sarif_of(run("findings", story, "-o", "sarif", "-q").stdout)["results"]
        entries = json.loads(run("findings", story, "-o", "json", "-q").stdout)["entries"]
        assert [(result["ruleId"], result["message"]["text"]) for result in results] == [
            (entry["rule"], entry["sentence"]) for entry in entries
        ]
        for result, entry in zip(results, entries, strict=True):
            properties = result["properties"]
            assert properties["events"] == [event["event_id"] for event in entry["events"]]
            same = properties.keys() & entry.keys() - {"doubts", "events"}
            assert {name: properties[name] for name in same} == {name: entry[name] for name in same}
            assert [doubt["code"] for doubt in properties["doubts"]] == [
                doubt["code"] for doubt in entry["doubts"]
            ]


class TestRules:
    def test_the_log_has_every_rule_also_without_results(self, run: Run) -> None:
        found = sarif_of(run("findings", "ironman", "-o", "sarif", "-q").stdout)
        assert found["results"] == []
        driver = found["tool"]["driver"]
        assert [rule["id"] for rule in driver["rules"]] == list(RULES)
        assert driver["name"] == "cnitrail"

    def test_a_rule_with_a_technique_is_one_of_security(self, run: Run) -> None:
        rules = sarif_of(run("findings", "ironman", "-o", "sarif", "-q").stdout)["tool"]["driver"]["rules"]
        by_id = {rule["id"]: rule for rule in rules}
        assert by_id["trail-stopped"]["properties"] == {
            "tags": ["security", "external/attack/T1685.002"],
            "security-severity": "8.0",
        }
        assert by_id["subnet-exhausted"]["properties"]["tags"] == ["reliability"]
        assert by_id["address-reassigned"]["shortDescription"] == {
            "text": "An IP was reassigned from another ENI."
        }

    def test_a_result_points_to_its_rule(self, run: Run) -> None:
        found = sarif_of(run("findings", "stolen-address", "-o", "sarif", "-q").stdout)
        (result,) = found["results"]
        assert found["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "address-reassigned"


class TestResults:
    @pytest.mark.parametrize(
        ("severity", "level"),
        [
            (Severity.CRITICAL, "error"),
            (Severity.HIGH, "error"),
            (Severity.MEDIUM, "warning"),
            (Severity.LOW, "note"),
            (Severity.INFO, "note"),
        ],
    )
    def test_the_level_follows_the_severity(self, severity: Severity, level: str) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, stop_logging("audit"))
        found = [replace(finding, severity=severity) for finding in incident.findings("09:00:00", "12:00:00")]
        (result,) = sarif_of(written("sarif", found))["results"]
        assert result["level"] == level
        assert result["properties"]["severity"] == severity.value

    def test_the_first_location_is_the_record_and_the_resources(self, run: Run) -> None:
        (result,) = sarif_of(run("findings", "hand-assigned", "-o", "sarif", "-q").stdout)["results"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert (FIXTURES / uri).exists()
        assert location["properties"] == {"record": 2, "form": "trail"}
        assert location["logicalLocations"][0] == {
            "name": "eni-0c92e7d4b1a6f8353",
            "fullyQualifiedName": (
                "arn:aws:ec2:eu-central-1:222222222222:network-interface/eni-0c92e7d4b1a6f8353"
            ),
            "kind": "resource",
        }
        assert [place["name"] for place in location["logicalLocations"][1:]] == [
            "i-0e8b5a2c7d1f49036",
            "subnet-0b7e3f1a9d5c24680",
            "vpc-04c8d2a6e01f7b935",
            "payments",
        ]

    def test_github_recognizes_a_result_by_the_fingerprint_of_its_finding(self, run: Run) -> None:
        (result,) = sarif_of(run("findings", "hand-assigned", "-o", "sarif", "-q").stdout)["results"]
        (entry,) = json.loads(run("findings", "hand-assigned", "-o", "json", "-q").stdout)["entries"]
        assert result["partialFingerprints"]["primaryLocationLineHash"] == entry["fingerprint"]

    def test_a_result_points_to_at_most_100_records_and_names_all_events(self) -> None:
        incident = Incident()
        eni = node(incident, "09:30:00")
        for minute in range(60):
            for second in ("10", "20"):
                incident.log(f"10:{minute:02}:{second}", cni(incident), refused(asks(eni, 8), FULL))
        (result,) = sarif_of(written("sarif", incident.findings("09:00:00", "12:00:00")))["results"]
        assert len(result["locations"]) == 100
        assert len(result["properties"]["events"]) == 120

    def test_file_names_become_uris(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "logs of [today] #1"
        shutil.copytree(FIXTURES / "hand-assigned", folder)
        (result,) = sarif_of(run("findings", str(folder), "-o", "sarif", "-q").stdout)["results"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.startswith(f"file://{tmp_path}/logs%20of%20%5Btoday%5D%20%231/AWSLogs/")


class TestHostileText:
    def test_placeholders_links_and_escape_sequences_of_a_record_are_escaped(self) -> None:
        incident = Incident()
        incident.log("10:00:00", iam_user(ACCOUNT, HOSTILE, "198.51.100.7", CLI), stop_logging("audit"))
        text = written("sarif", incident.findings("09:00:00", "12:00:00"))
        (result,) = sarif_of(text)["results"]
        message = result["message"]["text"]
        assert "ada {{0}} \\[free money\\](https://example.com/)" in message
        assert re.search(r"(?<!\\)(?:\\\\)*\]\(", message) is None
        assert "\\x1b" in message
        assert "\x1b" not in text


class TestWhatWasNotRead:
    def test_intact_evidence_is_a_successful_execution(self, run: Run) -> None:
        found = sarif_of(run("findings", "ironman", "-o", "sarif", "-q").stdout)
        assert found["invocations"] == [{"executionSuccessful": True}]

    def test_a_file_that_could_not_be_read_is_stated(self, run: Run, tmp_path: Path) -> None:
        shutil.copytree(FIXTURES / "ironman", tmp_path / "logs")
        first = min((tmp_path / "logs").rglob("*.json.gz"))
        first.write_bytes(first.read_bytes()[:200])
        result = run("findings", str(tmp_path / "logs"), "-o", "sarif", "-q")
        assert result.exit_code == 3
        (invocation,) = sarif_of(result.stdout)["invocations"]
        assert invocation["executionSuccessful"] is False
        notifications = invocation["toolExecutionNotifications"]
        assert any(first.name in notification["message"]["text"] for notification in notifications)

    def test_a_log_gap_is_a_warning(self, run: Run) -> None:
        (invocation,) = sarif_of(run("findings", "hole-in-the-logs", "-o", "sarif", "-q").stdout)[
            "invocations"
        ]
        assert invocation["executionSuccessful"] is True
        (notification,) = invocation["toolExecutionNotifications"]
        assert notification["level"] == "warning"
        assert notification["message"]["text"].startswith("Events of ")
