"""``who`` and ``findings`` on a screen: a block for each answer, at every width, with no ID broken."""

import csv
import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from rich.console import Console

import cnitrail
from cnitrail.cli.terminal import Terminal
from cnitrail.model import Answer
from cnitrail.render.writers import writer

WIDTHS = (60, 80, 120, 200)
QUESTIONS = {
    "certain": ("ironman", "192.168.53.76", "2022-10-05T14:00:00Z"),
    "free": ("ironman", "192.168.53.76", "2022-10-05T15:30:00Z"),
    "unknown": ("ironman", "192.168.53.76", "2022-10-05T15:41:00Z"),
    "never-seen": ("ironman", "10.99.0.1", "2022-10-05T15:00:00Z"),
    "same-second": ("reused-in-3-seconds", "10.80.4.99", "2025-09-09T10:20:05Z"),
    "reassigned": ("stolen-address", "10.60.12.50", "2025-06-17T11:50:00Z"),
    "in-a-prefix": ("prefix-delegation", "10.50.8.33", "2026-03-11T08:30:00Z"),
}
ID = re.compile(r"\b(?:eni|i|vpc|subnet)-[0-9a-f]{17}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def shown(command: str, case: cnitrail.Case, entries: Any, width: int) -> str:
    """Return an answer as a screen of some width shows it."""
    out = StringIO()
    terminal = Terminal(out, Console(file=out, width=width, force_terminal=True, color_system=None))
    answer = Answer(command=command, query={}, evidence=case.evidence, entries=entries)
    writer(command, "table")(answer, terminal)  # type: ignore[arg-type]
    return out.getvalue()


def who(question: str, width: int) -> str:
    story, ip, at = QUESTIONS[question]
    case = cnitrail.read(FIXTURES / story)
    return shown("who", case, [case.who(ip, at)], width)


class TestWho:
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_every_kind_of_answer_reads_as_reviewed(
        self, golden: Callable[[str, str], None], question: str
    ) -> None:
        screens = [f"=== {width} columns\n{who(question, width)}" for width in WIDTHS]
        golden(f"{QUESTIONS[question][0]}/screens/who-{question}.txt", "\n".join(screens))

    def test_no_id_is_broken_at_any_width(self) -> None:
        for question in QUESTIONS:
            ids = set(ID.findall(who(question, 1000)))
            for width in (20, *WIDTHS):
                assert set(ID.findall(who(question, width))) == ids

    def test_the_answer_comes_first(self) -> None:
        assert who("certain", 200).splitlines()[0] == (
            "192.168.53.76 was held by eni-0bbea279695112970 on i-03846c730abe852f4 "
            "(cluster ironman-2022) — certain"
        )
        assert who("free", 200).splitlines()[0] == (
            "192.168.53.76 was free — unassigned; last held by i-03846c730abe852f4 (eni-0bbea279695112970) "
            "until 2022-10-05 15:21:23Z, 8 min 37 s earlier"
        )
        assert who("never-seen", 200).splitlines()[0] == "10.99.0.1: holder unknown"

    def test_more_than_five_answers_are_a_table(self) -> None:
        case = cnitrail.read(FIXTURES / "ironman")
        answers = [case.who("192.168.53.76", f"2022-10-05T14:0{minute}Z") for minute in range(6)]
        assert shown("who", case, answers, 200).startswith("ADDRESS")
        assert shown("who", case, answers[:5], 200).count("was held by") == 5


class TestFindings:
    def test_severity_title_and_commands_have_lines_of_their_own(self) -> None:
        case = cnitrail.read(FIXTURES / "stolen-address")
        lines = shown("findings", case, case.findings(), 60).splitlines()
        assert lines[0] == "HIGH  An IP was reassigned from another ENI"
        assert lines[-1] == "    $ kubectl get pods -A -o wide --field-selector status.podIP=10.60.12.50"

    def test_several_findings_begin_with_their_number_by_severity(self) -> None:
        case = cnitrail.read(FIXTURES / "subnet-exhausted")
        text = shown("findings", case, case.findings(), 80)
        assert text.startswith("3 findings: 2 high, 1 low\n\nHIGH  ")

    def test_nothing_is_shown_if_there_is_no_finding(self) -> None:
        case = cnitrail.read(FIXTURES / "reused-in-3-seconds")
        assert shown("findings", case, (), 80) == ""


class TestNow:
    def test_without_a_time_the_question_is_about_now_and_the_end_of_the_evidence_is_named(
        self, run: Run
    ) -> None:
        result = run("who", "192.168.53.76", "ironman", "-o", "json")
        (entry,) = json.loads(result.stdout)["entries"]
        assert result.exit_code == 0
        assert entry["verdict"] == "unknown"
        assert entry["last_holder"]["eni"] == "eni-0bbea279695112970"
        hint = "hint: add --at 2022-10-05T15:40:00Z to ask about the end of the evidence\n"
        assert hint in result.stderr

    def test_a_line_of_a_batch_without_a_time_is_not_a_question(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "asked.csv"
        file.write_text("ip,at\n192.168.53.76,\n")
        result = run("who", "--batch", str(file), "ironman", "-o", "json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["entries"][0]["reasons"][0]["code"] == "unreadable-question"


class TestCsv:
    def test_the_last_holder_of_a_free_address_has_columns(self, run: Run) -> None:
        result = run("who", "192.168.53.76", "ironman", "--at", "2022-10-05T15:30Z", "-o", "csv")
        (row,) = csv.DictReader(result.stdout.splitlines())
        assert (row["verdict"], row["eni"], row["last_eni"], row["last_instance"], row["last_end"]) == (
            "free",
            "",
            "eni-0bbea279695112970",
            "i-03846c730abe852f4",
            "2022-10-05T15:21:23Z",
        )
