"""Every answer says what of its range the evidence does not cover, also if the answer is empty."""

import json
from pathlib import Path

import pytest
from conftest import Run
from records import GOOD

GAP = "log gap for 111111111111 in eu-north-1 from 2024-01-18 09:45:00Z to 2024-01-18 12:05:00Z"
BEGINS = (
    "the evidence of 111111111111 in eu-west-1 begins at 2022-10-05 13:10:00Z, so the first part of the "
    "range is missing"
)
ENDS = (
    "the evidence of 111111111111 in eu-west-1 ends at 2022-10-05 15:40:00Z, so the last part of the range "
    "is missing"
)
UNKNOWN = "nothing shows whether the evidence of 111122223333 in eu-west-1 has all events of its time"
ADDRESS = "192.168.53.76"
COMMANDS = ("timeline", "leases", "findings", "pool")


def warnings(stderr: str) -> list[str]:
    return [line.removeprefix("warning: ") for line in stderr.splitlines() if line.startswith("warning: ")]


class TestLogGaps:
    @pytest.mark.parametrize("command", [*COMMANDS, "report"])
    def test_a_log_gap_is_stated(self, command: str, run: Run) -> None:
        assert warnings(run(command, "hole-in-the-logs").stderr) == [GAP]

    @pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
    @pytest.mark.parametrize("command", COMMANDS)
    def test_it_is_stated_on_stderr_with_every_output(self, command: str, output: str, run: Run) -> None:
        result = run(command, "hole-in-the-logs", "-o", output)
        assert GAP in warnings(result.stderr)
        assert "warning" not in result.stdout

    @pytest.mark.parametrize("command", COMMANDS)
    def test_it_is_in_the_json_document_as_a_coded_reason(self, command: str, run: Run) -> None:
        document = json.loads(run(command, "hole-in-the-logs", "-o", "json").stdout)
        assert document["limitations"] == [{"code": "log-gap", "text": GAP, "events": []}]

    def test_it_is_stated_beside_an_empty_answer(self, run: Run) -> None:
        result = run("timeline", "hole-in-the-logs", "--event", "DeleteTrail")
        assert result.stdout == ""
        assert GAP in warnings(result.stderr)

    def test_a_gap_outside_of_the_range_does_not_matter(self, run: Run) -> None:
        assert warnings(run("timeline", "hole-in-the-logs", "--since", "2024-01-18T12:10Z").stderr) == []

    def test_a_gap_of_another_region_does_not_matter(self, run: Run) -> None:
        result = run("timeline", "hole-in-the-logs", "ironman", "--region", "eu-west-1")
        assert warnings(result.stderr) == []

    def test_state_asks_about_one_moment(self, run: Run) -> None:
        assert warnings(run("state", "hole-in-the-logs", "--at", "2024-01-18T10:00Z").stderr) == [GAP]
        assert warnings(run("state", "hole-in-the-logs", "--at", "2024-01-18T13:00Z").stderr) == []


class TestRange:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_range_that_begins_before_the_evidence(self, command: str, run: Run) -> None:
        assert warnings(run(command, "ironman", "--since", "2022-10-04").stderr) == [BEGINS]

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_range_that_ends_after_the_evidence(self, command: str, run: Run) -> None:
        assert warnings(run(command, "ironman", "--until", "2022-10-06").stderr) == [ENDS]

    def test_a_range_after_the_evidence(self, run: Run) -> None:
        assert warnings(run("timeline", "ironman", "--since", "2022-10-06").stderr) == [
            "the evidence of 111111111111 in eu-west-1 ends at 2022-10-05 15:40:00Z, before the range"
        ]

    def test_a_range_before_the_evidence(self, run: Run) -> None:
        assert warnings(run("timeline", "ironman", "--until", "2022-10-04").stderr) == [
            "the evidence of 111111111111 in eu-west-1 begins only at 2022-10-05 13:10:00Z, after the range"
        ]

    def test_an_account_or_region_without_evidence(self, run: Run) -> None:
        found = warnings(
            run("leases", "ironman", "--account", "222222222222", "--region", "us-east-1").stderr
        )
        assert found[:2] == [
            "the evidence has nothing of account 222222222222; it has 111111111111",
            "the evidence has nothing of Region us-east-1; it has eu-west-1",
        ]

    def test_the_whole_evidence_has_no_limits_to_state(self, run: Run) -> None:
        assert warnings(run("timeline", "ironman").stderr) == []

    @pytest.mark.parametrize(
        "question", [(ADDRESS, "ironman", "--at", "2022-10-05T14:00Z"), ("ironman", "--batch", "-")]
    )
    def test_a_region_without_evidence_may_have_another_holder(
        self, run: Run, question: tuple[str, ...]
    ) -> None:
        regions = ("--region", "eu-west-1", "--region", "us-east-1")
        result = run("who", *question, *regions, input=f"ip,at\n{ADDRESS},2022-10-05T14:00Z\n")
        assert warnings(result.stderr) == [
            "the evidence has nothing of Region us-east-1; it has eu-west-1",
        ]


class TestExports:
    """An export of some events does not show which other events of its time were logged."""

    @pytest.fixture
    def export(self, tmp_path: Path) -> Path:
        path = tmp_path / "export.jsonl"
        path.write_text(json.dumps(GOOD["UnassignPrivateIpAddresses"]))
        return path

    def test_an_empty_answer_says_so_in_a_terminal(self, run: Run, export: Path) -> None:
        result = run("timeline", export, "--event", "DeleteTrail")
        assert result.stdout == ""
        assert warnings(result.stderr) == [
            "no event is named DeleteTrail; event names in this evidence: UnassignPrivateIpAddresses",
            UNKNOWN,
        ]

    def test_another_answer_says_so_in_json_only(self, run: Run, export: Path) -> None:
        result = run("timeline", export, "-o", "json")
        assert warnings(result.stderr) == []
        assert [limit["code"] for limit in json.loads(result.stdout)["limitations"]] == ["coverage-unknown"]
