"""What other outputs than the table of findings say about the stories with findings."""

import csv
import io
import re

from calls import stop_logging
from conftest import Run
from incidents import ADA, Incident
from pipelines import written


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestCsv:
    def test_the_commands_of_a_cell_run_one_after_the_other_in_a_shell(self, run: Run) -> None:
        found = rows(run("findings", "subnet-exhausted", "-o", "csv", "-q").stdout)
        assert found[0]["commands"] == (
            "aws ec2 describe-network-interfaces --region us-west-2 --filters "
            "Name=subnet-id,Values=subnet-0c4d8e1f5a2b79360 Name=status,Values=available; "
            "aws ec2 describe-subnets --region us-west-2 --subnet-ids subnet-0c4d8e1f5a2b79360"
        )

    def test_doubts_are_sentences(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, stop_logging("audit"))
        (row,) = rows(written("csv", incident.findings("09:00:00", "12:00:00")))
        assert row["doubts"] == (
            "Another trail may have recorded the calls: the evidence does not show which trail delivered it."
        )

    def test_a_finding_without_commands_or_doubts_has_empty_cells(self) -> None:
        incident = Incident()
        incident.log("10:00:00", ADA, stop_logging("../x"))
        (row,) = rows(written("csv", incident.findings("09:00:00", "12:00:00")))
        assert row["commands"] == ""


class TestReport:
    def summary(self, run: Run) -> str:
        return run("report", "subnet-exhausted").stdout.partition("## Summary")[2].partition("\n## ")[0]

    def test_a_caller_whose_calls_all_failed_did_nothing_else(self, run: Run) -> None:
        who = "reports-NodeInstanceRole (node role, the VPC CNI by its user agent)"
        assert f"{who} made 14 calls; all failed." in self.summary(run)

    def test_a_subnet_that_was_created_is_no_eni(self, run: Run) -> None:
        summary = self.summary(run)
        assert "made 7 calls: created 6 ENIs with 6 IPs and `subnet-0c4d8e1f5a2b79360`." in summary


class TestState:
    def test_an_eni_that_was_never_attached_is_not_shown_as_attached(self, run: Run) -> None:
        """Its description names the instance that it was created for, until that is gone."""
        asked = ("state", "subnet-exhausted", "--eni", "eni-0c97e2a8d4f1b5360", "-q", "--at")
        before = run(*asked, "2026-10-13T13:37:58Z").stdout
        assert "i-0cba102c435d61e2b (not attached)  m5.large  eni-0c97e2a8d4f1b5360" in before
        at = "2026-10-13T14:00Z"
        shown = run(*asked, at).stdout
        assert "\nnot attached        eni-0c97e2a8d4f1b5360" in shown
        assert "i-0cba102c435d61e2b" not in shown
        shown = run("state", "subnet-exhausted", "--at", at, "--eni", "eni-0fcb213d546e72f3c", "-q").stdout
        assert "not attached" not in shown

    def test_an_eni_of_an_aws_service_is_not_called_unattached(self, run: Run) -> None:
        """Services attach their ENIs without an event; whoever reads that they are unused may delete them."""
        at = "2026-10-13T14:00Z"
        shown = run("state", "subnet-exhausted", "--at", at, "--eni", "eni-0d34d5e6f70819200", "-q").stdout
        assert "AWS service" in shown
        assert "not attached" not in shown


class TestPool:
    def test_a_chart_of_a_single_ip_has_no_second_zero_on_its_axis(self, run: Run) -> None:
        shown = run("pool", "false-alarms", "--instance", "i-0fa5c7e30486b9d57", "-q").stdout
        assert re.findall(r"^ *([0-9]*) [┤└]", shown, re.MULTILINE) == ["1", "", "", "", "", "", "0"]
