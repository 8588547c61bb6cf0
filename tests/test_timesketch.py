"""``-o timesketch``: the lines, and how Timesketch's importer reads them."""

import json
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Run
from stories import STORIES

REQUIRED = ["message", "datetime", "timestamp_desc"]
REMOVED = {"_id", "_index", "_score", "_source", "_type", "label", "tag", "timesketch_label"}
"""Fields that Timesketch drops, or takes for its own."""


def events(run: Run, command: str, story: str) -> list[dict[str, Any]]:
    text = run(command, story, "-o", "timesketch", "-q").stdout
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", ["timeline", "leases"])
@pytest.mark.parametrize("story", sorted(STORIES))
class TestEveryLine:
    """The rules of ``read_and_validate_jsonl`` (Timesketch's timesketch/lib/utils.py)."""

    def test_begins_with_the_fields_that_timesketch_requires(
        self, run: Run, command: str, story: str
    ) -> None:
        for event in events(run, command, story):
            assert list(event)[:3] == REQUIRED
            assert datetime.fromisoformat(event["datetime"]).utcoffset() is not None
            assert all(isinstance(event[name], str) and event[name] for name in REQUIRED)
            assert event["data_type"] == f"cnitrail:{command}"

    def test_is_flat_and_has_no_empty_fields_and_no_reserved_names(
        self, run: Run, command: str, story: str
    ) -> None:
        for event in events(run, command, story):
            assert REMOVED.isdisjoint(event)
            for value in event.values():
                values = value if isinstance(value, list) else [value]
                assert values
                assert all(isinstance(value, (str, int)) for value in values)


class TestTimeline:
    def test_an_event_has_a_sentence_and_its_fields(self, run: Run) -> None:
        (event,) = (
            event for event in events(run, "timeline", "ironman") if "192.168.53.76" in event.get("added", ())
        )
        assert event["message"] == (
            "AssignPrivateIpAddresses by kube-system/aws-node (IRSA) via amazon-vpc-cni-k8s "
            "on eni-0bbea279695112970 cni, device 1 i-03846c730abe852f4 m5.large: "
            "+9: 192.168.53.76 192.168.41.30 192.168.47.240 192.168.47.144 "
            "192.168.61.98 192.168.35.36 192.168.61.68 192.168.51.85 192.168.52.54"
        )
        assert event["datetime"] == "2022-10-05T13:16:06+00:00"
        assert event["timestamp_desc"] == "Event Time"
        assert event["cluster"] == "ironman-2022"
        assert event["event_id"] == "d9301749-acca-56ee-827d-627737f7bed8"

    def test_the_lines_of_a_story_read_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        for story in ("hostile", "ironman", "stolen-address"):
            golden(f"{story}/timeline.timesketch.jsonl", run("timeline", story, "-o", "timesketch").stdout)


class TestLeases:
    def test_a_lease_is_an_event_at_its_start_and_one_at_its_end(self, run: Run) -> None:
        found = [event for event in events(run, "leases", "silent-death") if event["ip"] == "10.96.9.101"]
        assert [(event["datetime"], event["timestamp_desc"], event["message"]) for event in found] == [
            (
                "2025-04-02T05:11:58+00:00",
                "Lease Start",
                (
                    "Lease start: 10.96.9.101 (secondary) on eni-0c1a6e8d4b2f97350 (i-0c5e9a7d3f1b86240), "
                    "assigned by i-0c5e9a7d3f1b86240 (instance role)"
                ),
            ),
            (
                "2025-04-02T06:32:16+00:00",
                "Lease End",
                (
                    "Lease end (implied): 10.96.9.101 (secondary) on eni-0c1a6e8d4b2f97350 "
                    "(i-0c5e9a7d3f1b86240)"
                ),
            ),
            (
                "2025-04-02T06:32:16+00:00",
                "Lease Start",
                (
                    "Lease start: 10.96.9.101 (secondary) on eni-0d3c8a1f6e4b29570 (i-0d6f1b8e4a2c97350), "
                    "assigned by i-0d6f1b8e4a2c97350 (instance role)"
                ),
            ),
        ]

    def test_a_lease_without_a_known_bound_is_placed_at_the_first_event_with_a_note(self, run: Run) -> None:
        (event,) = (
            event
            for event in events(run, "leases", "logs-begin-in-the-middle")
            if event["ip"] == "10.128.5.10"
        )
        assert (event["datetime"], event["timestamp_desc"]) == (
            "2025-08-21T10:03:14+00:00",
            "First Event Of Evidence",
        )
        assert event["message"].endswith(": start and end unknown")

    def test_the_lines_of_a_story_read_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        golden(
            "silent-death/leases.timesketch.jsonl",
            run("leases", "silent-death", "-o", "timesketch").stdout,
        )


@pytest.mark.importers
class TestTheImporter:
    """Timesketch's own import client, up to the bytes that it sends to its server."""

    @pytest.fixture
    def uploaded(self, tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importer = pytest.importorskip(
                "timesketch_import_client.importer", reason="nox -s importers installs it"
            )

        def upload(text: str) -> list[dict[str, Any]]:
            sent: list[str] = []

            def post(_url: str, data: object, files: dict[str, tuple[None, str, str]]) -> object:
                sent.append(files["events"][1])
                return SimpleNamespace(status_code=200, json=lambda: {"objects": [{"id": 1}]})

            api = SimpleNamespace(api_root="http://timesketch", session=SimpleNamespace(post=post))
            file = tmp_path / "events.jsonl"
            file.write_text(text, encoding="utf-8")
            with importer.ImportStreamer() as streamer:
                streamer.set_sketch(SimpleNamespace(id=1, api=api))
                streamer.add_file(str(file))
            return [json.loads(line) for page in sent for line in page.split("\n")]

        return upload

    @pytest.mark.parametrize("command", ["timeline", "leases"])
    @pytest.mark.parametrize("story", ["hostile", "ironman", "logs-begin-in-the-middle"])
    def test_uploads_every_line_unchanged(
        self, run: Run, uploaded: Callable[[str], list[dict[str, Any]]], command: str, story: str
    ) -> None:
        text = run(command, story, "-o", "timesketch", "-q").stdout
        assert uploaded(text) == [json.loads(line) for line in text.splitlines()]
