"""``who --batch`` reads, answers and writes as a stream, and remembers a bounded number of answers."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import FIXTURES, Run

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.answers.who.remembered import RememberedAnswers
from cnitrail.cli.inputs.questions import Questions

QUESTION = "192.168.53.76,2022-10-05T14:00:00Z\n"
WHO = [sys.executable, "-m", "cnitrail", "who", "-q", "--batch", "-", "ironman", "-o"]


class TestStream:
    @pytest.mark.parametrize("output", ["jsonl", "csv"])
    def test_answers_come_while_questions_are_still_being_asked(self, output: str) -> None:
        with subprocess.Popen(
            [*WHO, output], cwd=FIXTURES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("ip,at\n" + QUESTION * 2_000)
            process.stdin.flush()
            first = process.stdout.readline() + process.stdout.readline()
            assert "eni-0bbea279695112970" in first
            assert process.poll() is None
            process.stdin.close()
            assert len(process.stdout.readlines()) == (1_998 if output == "jsonl" else 1_999)

    @pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv", "yaml"])
    def test_a_pipe_has_the_answers_of_a_file(self, run: Run, tmp_path: Path, output: str) -> None:
        text = f"ip,at\n{QUESTION}10.9.9.9,nonsense\n{QUESTION}"
        file = tmp_path / "asked.csv"
        file.write_text(text)
        piped = subprocess.run(
            [*WHO, output], cwd=FIXTURES, input=text, capture_output=True, text=True, check=False
        )
        read = run("who", "-q", "--batch", str(file), "ironman", "-o", output)
        assert piped.stdout == read.stdout
        assert piped.returncode == read.exit_code == 3

    def test_a_document_counts_its_questions_and_has_their_answers_in_order(
        self, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "asked.csv"
        file.write_text(f"ip,at\n{QUESTION}\n10.9.9.9,2022-10-05\nno address,2022-10-05\n")
        document = json.loads(run("who", "--batch", str(file), "ironman", "-o", "json").stdout)
        assert document["query"]["questions"] == 3
        assert [entry["ip"] for entry in document["entries"]] == ["192.168.53.76", "10.9.9.9", "no address"]

    def test_a_document_without_an_answer_has_an_empty_list(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "asked.csv"
        file.write_text("ip,at\n")
        result = run("who", "--batch", str(file), "ironman", "-o", "json")
        assert json.loads(result.stdout)["entries"] == []
        assert result.stdout.endswith('  "entries": []\n}\n')

    def test_ages_count_from_the_same_time_whenever_questions_are_read(self, tmp_path: Path) -> None:
        file = tmp_path / "asked.csv"
        file.write_text("ip,at\n10.0.0.1,2h\n10.0.0.2,2h\n")
        with file.open() as opened:
            questions = Questions(opened, is_read_twice=True)
            times = {line.at for _ in range(2) for line in questions}  # type: ignore[union-attr]
        assert len(times) == 1


class TestMemory:
    def test_few_answers_are_remembered_and_all_are_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.answers.who.remembered._REMEMBERED", 50)
        case = cnitrail.read(FIXTURES / "ironman")
        index = HolderIndex(case.history, case.coverage)
        remembered = RememberedAnswers(index, Filter())
        begin = case.history.events[0].time
        for number in range(300):
            for held in case.history.holders:
                if not hasattr(held, "network_address"):
                    at = begin + timedelta(seconds=number * 40)
                    assert remembered.who(held, at) == index.who(held, at, Filter())
        kept = sum(len(address.answers) for address in remembered._addresses.values())
        assert kept <= 50
        assert len(remembered._addresses) <= 50
