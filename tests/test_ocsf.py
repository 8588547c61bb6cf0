"""``-o ocsf``: Detection Findings that conform to OCSF's schema, one a line."""

import json
import shutil
from pathlib import Path

import pytest
from callers import iam_user
from calls import stop_logging
from conftest import FIXTURES, Run
from incidents import ACCOUNT, CLI, FULL, Incident, asks, cni, node, refused
from msgspec.structs import replace
from pipelines import ocsf_of, written
from test_sarif import HOSTILE
from test_schemas import STORIES

from cnitrail.model import Severity


def stopped_trail(name: str = "ada") -> Incident:
    incident = Incident()
    incident.log("10:00:00", iam_user(ACCOUNT, name, "198.51.100.7", CLI), stop_logging("audit"))
    return incident


@pytest.mark.parametrize("story", STORIES)
class TestEveryStory:
    def test_every_line_conforms_to_the_published_schema(self, run: Run, story: str) -> None:
        ocsf_of(run("findings", story, "-o", "ocsf", "-q").stdout)

    def test_there_is_a_line_for_each_finding(self, run: Run, story: str) -> None:
        found = ocsf_of(run("findings", story, "-o", "ocsf", "-q").stdout)
        entries = json.loads(run("findings", story, "-o", "json", "-q").stdout)["entries"]
        assert [(finding["message"], finding["finding_info"]["uid"]) for finding in found] == [
            (entry["sentence"], entry["fingerprint"]) for entry in entries
        ]
        assert [
            [event["uid"] for event in finding["finding_info"]["related_events"]] for finding in found
        ] == [[event["event_id"] for event in entry["events"]] for entry in entries]


class TestAFinding:
    def test_it_is_a_detection_finding_of_the_cloud_profile(self, run: Run) -> None:
        (finding,) = ocsf_of(run("findings", "stolen-address", "-o", "ocsf", "-q").stdout)
        assert (finding["category_uid"], finding["class_uid"]) == (2, 2004)
        assert (finding["activity_id"], finding["type_uid"], finding["status_id"]) == (1, 200401, 1)
        assert finding["metadata"]["version"] == "1.5.0"
        assert finding["metadata"]["profiles"] == ["cloud"]
        assert finding["metadata"]["product"]["name"] == "cnitrail"
        assert finding["cloud"]["provider"] == "AWS"
        assert finding["finding_info"]["title"] == "An IP was reassigned from another ENI"
        assert finding["finding_info"]["analytic"]["uid"] == "address-reassigned"

    def test_a_call_has_its_caller_its_source_address_and_its_api(self) -> None:
        (finding,) = ocsf_of(written("ocsf", stopped_trail().findings("09:00:00", "12:00:00")))
        (call,) = finding["evidences"]
        assert call["api"] == {"operation": "StopLogging"}
        assert call["src_endpoint"] == {"ip": "198.51.100.7"}
        assert call["actor"]["user"] == {
            "name": "ada",
            "type": "iam-user",
            "type_id": 1,
            "uid": f"arn:aws:iam::{ACCOUNT}:user/ada",
            "account": {"uid": ACCOUNT, "type": "AWS Account", "type_id": 10},
            "credential_uid": call["actor"]["user"]["credential_uid"],
        }
        assert call["actor"]["app_name"] == "aws-cli"
        assert call["data"]["sources"] == ["log.json.gz"]

    def test_a_failed_call_has_its_error(self) -> None:
        incident = Incident()
        eni = node(incident, "09:30:00")
        incident.log("10:00:00", cni(incident), refused(asks(eni, 8), FULL))
        (finding,) = ocsf_of(written("ocsf", incident.findings("09:00:00", "12:00:00")))
        assert finding["evidences"][0]["api"] == {
            "operation": "AssignPrivateIpAddresses",
            "response": {"error": FULL[0], "error_message": FULL[1]},
        }

    def test_a_technique_has_its_parent_tactic_and_version(self) -> None:
        (finding,) = ocsf_of(written("ocsf", stopped_trail().findings("09:00:00", "12:00:00")))
        assert finding["finding_info"]["attacks"] == [
            {
                "version": "19.0",
                "tactic": {"uid": "TA0112", "name": "Defense Impairment"},
                "technique": {
                    "uid": "T1685",
                    "name": "Disable or Modify Tools",
                    "src_url": "https://attack.mitre.org/techniques/T1685/",
                },
                "sub_technique": {
                    "uid": "T1685.002",
                    "name": "Disable or Modify Cloud Log",
                    "src_url": "https://attack.mitre.org/techniques/T1685/002/",
                },
            }
        ]

    def test_doubts_lower_the_confidence_and_are_kept(self, run: Run) -> None:
        (finding,) = ocsf_of(run("findings", "stolen-address", "-o", "ocsf", "-q").stdout)
        assert (finding["confidence_id"], finding["unmapped"]["doubts"]) == (3, [])
        (finding,) = ocsf_of(written("ocsf", stopped_trail().findings("09:00:00", "12:00:00")))
        assert finding["confidence_id"] == 2
        assert [doubt["code"] for doubt in finding["unmapped"]["doubts"]] == ["other-trail"]

    @pytest.mark.parametrize(
        ("severity", "number", "name"),
        [
            (Severity.CRITICAL, 5, "Critical"),
            (Severity.HIGH, 4, "High"),
            (Severity.MEDIUM, 3, "Medium"),
            (Severity.LOW, 2, "Low"),
            (Severity.INFO, 1, "Informational"),
        ],
    )
    def test_the_severity_has_its_number(self, severity: Severity, number: int, name: str) -> None:
        found = [
            replace(finding, severity=severity)
            for finding in stopped_trail().findings("09:00:00", "12:00:00")
        ]
        (finding,) = ocsf_of(written("ocsf", found))
        assert (finding["severity_id"], finding["severity"]) == (number, name)

    def test_resources_have_arns_region_and_account(self, run: Run) -> None:
        (finding,) = ocsf_of(run("findings", "hand-assigned", "-o", "ocsf", "-q").stdout)
        assert finding["resources"][0] == {
            "uid": "arn:aws:ec2:eu-central-1:222222222222:network-interface/eni-0c92e7d4b1a6f8353",
            "name": "eni-0c92e7d4b1a6f8353",
            "type": "AWS::EC2::NetworkInterface",
            "region": "eu-central-1",
            "cloud_partition": "aws",
            "owner": {"account": {"uid": "222222222222", "type": "AWS Account", "type_id": 10}},
        }
        assert finding["resources"][-1]["uid"] == "payments", "a tag names the cluster, so it has no ARN"

    def test_an_ongoing_finding_has_no_end(self, run: Run) -> None:
        (finding,) = ocsf_of(run("findings", "hand-assigned", "-o", "ocsf", "-q").stdout)
        assert "end_time" not in finding
        assert finding["unmapped"]["until"] is None

    def test_at_most_100_calls_are_given_in_full_and_1000_events_named(self) -> None:
        incident = Incident()
        eni = node(incident, "09:30:00")
        caller, call = cni(incident), refused(asks(eni, 8), FULL)
        for second in range(1200):
            incident.log(f"10:{second // 60:02}:{second % 60:02}", caller, call)
        (finding,) = ocsf_of(written("ocsf", incident.findings("09:00:00", "12:00:00")))
        assert (finding["count"], len(finding["evidences"])) == (1200, 100)
        assert len(finding["finding_info"]["related_events"]) == 1000
        assert finding["finding_info"]["related_events_count"] == 1200
        assert len(json.dumps(finding)) < 1_000_000


class TestHostileText:
    def test_escape_sequences_of_a_record_are_escaped(self) -> None:
        text = written("ocsf", stopped_trail(HOSTILE).findings("09:00:00", "12:00:00"))
        (finding,) = ocsf_of(text)
        assert "\x1b" not in text
        assert "ada {0} [free money](https://example.com/)" in finding["message"]
        assert "\\x1b" in finding["message"]


class TestWhatWasNotRead:
    def test_every_finding_names_the_files_that_could_not_be_read(self, run: Run, tmp_path: Path) -> None:
        shutil.copytree(FIXTURES / "hand-assigned", tmp_path / "logs")
        (tmp_path / "logs" / "broken.json.gz").write_bytes(b"\x1f\x8b\x08\x00 no more than its header")
        result = run("findings", str(tmp_path / "logs"), "-o", "ocsf", "-q")
        assert result.exit_code == 3
        (finding,) = ocsf_of(result.stdout)
        evidence = finding["unmapped"]["evidence"]
        assert evidence["skipped_count"] == len(evidence["skipped"]) > 0
        assert {Path(skipped["source"]).name for skipped in evidence["skipped"]} == {"broken.json.gz"}
