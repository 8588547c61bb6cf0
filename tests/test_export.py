"""``collect --export``: events in the format of LookupEvents, and how plaso reads them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from stories import STORIES

from cnitrail.atomic import atomic_file

Record = dict[str, Any]


def record(number: int, **more: object) -> Record:
    """A call in the second of its number."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:session",
            "arn": "arn:aws:sts::111111111111:assumed-role/role/session",
            "accessKeyId": "ASIAEXAMPLE",
        },
        "eventTime": f"2026-04-15T02:00:0{number}Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "DeleteNetworkInterface",
        "sourceIPAddress": "203.0.113.250",
        "requestParameters": {"networkInterfaceId": "eni-0ff2b3c4d5e6f7a81"},
        "readOnly": False,
        "eventID": f"event-{number}",
        **more,
    }


@pytest.fixture
def export(run: Run, tmp_path: Path) -> Callable[..., list[Record]]:
    """Export some records and return the lines."""

    def exported(*records: Record) -> list[Record]:
        log = tmp_path / "log.json"
        log.write_text(json.dumps({"Records": records}))
        text = run("collect", log, "--export", "-", "-q").stdout
        return [json.loads(line) for line in text.splitlines()]

    return exported


class TestLines:
    def test_a_record_is_unchanged_in_its_envelope(self, export: Callable[..., list[Record]]) -> None:
        original = record(1)
        (line,) = export(original)
        assert line.pop("CloudTrailEvent") == json.dumps(original)
        assert line == {
            "EventId": "event-1",
            "EventName": "DeleteNetworkInterface",
            "ReadOnly": "false",
            "AccessKeyId": "ASIAEXAMPLE",
            "EventTime": "2026-04-15 02:00:01+00:00",
            "EventSource": "ec2.amazonaws.com",
            "Username": "session",
            "Resources": [
                {"ResourceType": "AWS::EC2::NetworkInterface", "ResourceName": "eni-0ff2b3c4d5e6f7a81"}
            ],
        }

    def test_an_event_is_written_once_and_an_irrelevant_one_not_at_all(
        self, export: Callable[..., list[Record]]
    ) -> None:
        lines = export(record(1), record(2, eventName="DescribeInstances"), record(1), record(3))
        assert [line["EventId"] for line in lines] == ["event-1", "event-3"]

    def test_a_long_line_is_last_because_plaso_identifies_a_file_by_its_first(
        self, export: Callable[..., list[Record]]
    ) -> None:
        lines = export(record(1, userAgent="A" * 70_000), record(2), record(3))
        assert [line["EventId"] for line in lines] == ["event-2", "event-3", "event-1"]

    def test_half_a_character_is_replaced_because_plaso_stops_there(
        self, export: Callable[..., list[Record]]
    ) -> None:
        (line,) = export(record(1, sourceIPAddress="\ud800"))
        assert json.loads(line["CloudTrailEvent"])["sourceIPAddress"] == "?"

    def test_an_event_is_not_reported_as_left_out_if_another_record_has_it(
        self, run: Run, tmp_path: Path
    ) -> None:
        both = [record(1, userIdentity=None), record(1)]
        (tmp_path / "log.json").write_text(json.dumps({"Records": both}))
        result = run("collect", tmp_path / "log.json", "--export", "-")
        assert len(result.stdout.splitlines()) == 1
        assert (result.exit_code, "skipped" in result.stderr) == (0, False)

    def test_an_event_that_would_stop_plaso_is_left_out_and_reported(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "log.json").write_text(
            json.dumps({"Records": [record(1), record(2, userIdentity=None), record(3)]})
        )
        result = run("collect", tmp_path / "log.json", "--export", "-")
        assert len(result.stdout.splitlines()) == 2
        assert result.exit_code == 3
        assert result.stderr == (
            "<stdout>: read 1 file with 3 events, 3 IP-related, 3 new\n"
            "<stdout>: 2 events written\n"
            f"skipped: {tmp_path / 'log.json'}: record 1: not exported: it has no userIdentity, "
            "and plaso reads nothing after such an event\n"
        )

    @pytest.mark.parametrize("story", sorted(STORIES))
    def test_an_export_gives_the_same_timeline(self, run: Run, tmp_path: Path, story: str) -> None:
        run("collect", story, "--export", tmp_path / "events.jsonl")

        def timeline_of(source: object) -> list[Record]:
            lines = run("timeline", source, "-o", "jsonl").stdout.splitlines()
            return [{**json.loads(line), "origins": None} for line in lines]

        assert timeline_of(tmp_path / "events.jsonl") == timeline_of(story)

    def test_the_lines_of_a_story_read_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        for story in ("hostile", "stolen-address"):
            golden(f"{story}/collect.export.jsonl", run("collect", story, "--export", "-").stdout)


class TestCommand:
    def test_an_export_alone_leaves_no_store(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        result = run("collect", "ironman", "--export", tmp_path / "events.jsonl")
        assert result.stderr == (
            f"{tmp_path}/events.jsonl: read 14 files with 56 events, 17 IP-related, 17 new\n"
            f"{tmp_path}/events.jsonl: 17 events written\n"
        )
        assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]

    def test_an_export_with_a_store_has_everything_in_the_store(self, run: Run, tmp_path: Path) -> None:
        store, file = tmp_path / "trail.db", tmp_path / "events.jsonl"
        run("collect", "ironman", "--to", store)
        result = run("collect", "ironman", "--to", store, "--export", file)
        assert result.stderr == f"{store}: nothing new\n{file}: 17 events written\n"

    def test_a_store_is_exported_without_its_sources(self, run: Run, tmp_path: Path) -> None:
        run("collect", "ironman", "--to", tmp_path / "trail.db")
        of_store = run("collect", tmp_path / "trail.db", "--export", "-").stdout
        assert of_store == run("collect", "ironman", "--export", "-").stdout

    def test_collect_needs_somewhere_to_write(self, run: Run) -> None:
        result = run("collect", "ironman")
        assert (result.exit_code, result.stderr) == (
            2,
            "error: --to FILE.db or --export FILE is required\nhint: cnitrail collect logs/ --to trail.db\n",
        )

    def test_nothing_overwrites_evidence_or_is_written_into_it(self, run: Run, tmp_path: Path) -> None:
        logs, store = tmp_path / "logs", tmp_path / "trail.db"
        shutil.copytree(FIXTURES / "ironman", logs)
        run("collect", logs, "--to", store)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        log = next(logs.rglob("*.json.gz"))
        for sources, to, export, said in (
            ((store,), None, store, "which is a source"),
            ((logs,), store, store, "is the store to collect into"),
            ((logs,), None, store, "would replace a database"),
            ((logs,), None, log, "which is a source"),
            ((logs,), None, logs / "new.jsonl", "which is a source"),
            ((logs,), store, f"{store}-wal", "is a file that belongs to the store"),
            ((logs,), store, "", "the name of the file is empty"),
        ):
            result = run("collect", *sources, *(("--to", to) if to else ()), "--export", export)
            assert (result.exit_code, said in result.stderr) == (2, True)
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before

    def test_evidence_on_standard_input_is_not_overwritten(self, tmp_path: Path) -> None:
        log = tmp_path / "log.json.gz"
        shutil.copy(next((FIXTURES / "ironman").rglob("*.json.gz")), log)
        before = log.read_bytes()
        with log.open("rb") as file:
            command = [sys.executable, "-m", "cnitrail", "collect", "-", "--export", str(log)]
            done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
        assert (done.returncode, log.read_bytes()) == (2, before)
        assert "is standard input, which is a source" in done.stderr

    def test_what_a_killed_export_left_behind_stops_no_other(self, tmp_path: Path) -> None:
        """In a container every run may have the same process ID."""
        file = tmp_path / "events.jsonl"
        (tmp_path / f"events.jsonl.{os.getpid()}.part").write_text("torn")
        with atomic_file(str(file)) as out:
            out.write("whole")
        assert file.read_text() == "whole"

    def test_no_other_file_is_overwritten(self, run: Run, tmp_path: Path) -> None:
        beside = tmp_path / "events.jsonl.part"
        shutil.copy(next((FIXTURES / "ironman").rglob("*.json.gz")), beside)
        before = beside.read_bytes()
        assert run("collect", beside, "--export", tmp_path / "events.jsonl").exit_code == 0
        assert beside.read_bytes() == before
        assert {path.name for path in tmp_path.iterdir()} == {"events.jsonl", "events.jsonl.part"}

    def test_a_store_cannot_be_written_to_a_stream(self, run: Run) -> None:
        assert run("collect", "ironman", "--to", "-").exit_code == 2

    def test_an_unwritable_file_is_an_error_before_anything_is_read(self, run: Run, tmp_path: Path) -> None:
        result = run("collect", "ironman", "--export", tmp_path / "missing" / "events.jsonl")
        assert result.exit_code == 2
        assert "No such file or directory" in result.stderr


@pytest.mark.importers
class TestPlaso:
    """plaso itself, from the export to its timeline."""

    @pytest.fixture
    def timeline(self, tmp_path: Path) -> Callable[[Path], list[Record]]:
        pytest.importorskip("plaso", reason="nox -s importers installs it")
        psteal = Path(sys.executable).with_name("psteal")

        def read(file: Path) -> list[Record]:
            command: list[str | Path] = [
                psteal,
                "--unattended",
                "-q",
                "--status-view",
                "none",
                "--parsers",
                "jsonl",
            ]
            command += ["--source", file, "--storage-file", "events.plaso", "-o", "json_line", "-w", "out"]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
            return [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]

        return read

    def test_plaso_reads_every_event_of_a_story(
        self, run: Run, tmp_path: Path, timeline: Callable[[Path], list[Record]]
    ) -> None:
        run("collect", "ironman", "--export", tmp_path / "events.jsonl")
        events = timeline(tmp_path / "events.jsonl")
        assert len(events) == 17
        assert {event["parser"] for event in events} == {"jsonl/aws_cloudtrail_log"}
        assert [
            event["message"] for event in events if event["event_name"] == "AssignPrivateIpAddresses"
        ] == [
            (
                f"User 1664975745915204877 performed AssignPrivateIpAddresses on [{eni}] "
                "using access key ASIASQQRGOM32EXAMPLE from IP address 52.210.231.138"
            )
            for eni in ("eni-06d2f4a81c9b3e750", "eni-0bbea279695112970")
        ]

    def test_no_hostile_event_hides_another(
        self, run: Run, tmp_path: Path, timeline: Callable[[Path], list[Record]]
    ) -> None:
        logs = tmp_path / "logs"
        logs.mkdir()
        hostile = [
            record(1, userAgent="A" * 70_000),
            record(2, sourceIPAddress="\ud800"),
            record(
                3, userIdentity={"type": "AssumedRole", "principalId": "A:\x00", "arn": "\x00\u2028\n\x1b[2J"}
            ),
            record(4, userIdentity=None),
            record(5),
        ]
        (logs / "log.json").write_text(json.dumps({"Records": hostile}))
        run("collect", logs, FIXTURES / "hostile", "--export", tmp_path / "events.jsonl")
        assert len(timeline(tmp_path / "events.jsonl")) == 4 + 11
