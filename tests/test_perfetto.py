"""``-o perfetto``: the lanes in the trace, and how Perfetto reads them."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Run
from stories import STORIES
from trace_processor import trace_processor

NODE = "i-03846c730abe852f4 m5.large"
NOWHERE = "not attached, or instance unknown"

Event = dict[str, Any]


def trace(run: Run, story: str, *arguments: str) -> list[Event]:
    text = run("timeline", story, *arguments, "-o", "perfetto", "-q").stdout
    events: list[Event] = json.loads(text)["traceEvents"]
    return events


def names(events: list[Event], what: str) -> dict[tuple[int, int], str]:
    return {
        (event["pid"], event["tid"] if what == "thread_name" else 0): event["args"]["name"]
        for event in events
        if event["name"] == what
    }


def slices(events: list[Event]) -> list[tuple[str, str, str, str]]:
    """Return the instance, the name, and the start and end (hours and minutes) of every lease."""
    processes = names(events, "process_name")
    ends = {event["id2"]["local"]: event["ts"] for event in events if event["ph"] == "e"}
    return [
        (processes[event["pid"], 0], event["name"], clock(event["ts"]), clock(ends[event["id2"]["local"]]))
        for event in events
        if event["ph"] == "b"
    ]


def clock(ts: int) -> str:
    minutes, seconds = divmod(ts // 1_000_000 % 86_400, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


class TestLanes:
    def test_an_instance_is_a_process_and_an_eni_is_a_thread_of_it(self, run: Run) -> None:
        events = trace(run, "ironman")
        assert list(names(events, "process_name").values()) == [NODE, NOWHERE]
        assert list(names(events, "thread_name").values()) == [
            "eni-06d2f4a81c9b3e750 node-primary",
            "eni-0bbea279695112970 cni",
            "eni-0bbea279695112970 cni",
        ]

    def test_an_attachment_is_a_slice_with_the_basis_of_its_bounds(self, run: Run) -> None:
        first, second = (event for event in trace(run, "ironman") if event["ph"] == "X")
        assert (first["name"], clock(first["ts"]), first["args"]["end_basis"]) == (
            "attached, device 0",
            "13:14:10",
            "open",
        )
        assert (second["name"], clock(second["ts"]), second["dur"]) == (
            "attached, device 1",
            "13:16:05",
            7_576_000_000,
        )
        assert second["args"] == {
            "attachment": "eni-attach-0d7e21b6c3f849a05",
            "start": "2022-10-05T13:16:05Z",
            "start_basis": "observed",
            "end": "2022-10-05T15:22:21Z",
            "end_basis": "observed",
        }

    def test_a_call_is_an_instant_that_reads_as_a_sentence(self, run: Run) -> None:
        (failed,) = (event for event in trace(run, "ironman") if event.get("cat") == "failed call")
        assert (failed["ph"], failed["name"], clock(failed["ts"])) == (
            "i",
            "DeleteNetworkInterface FAILED",
            "15:22:23",
        )
        assert failed["args"]["call"] == (
            "DeleteNetworkInterface FAILED by kube-system/aws-node (IRSA) via amazon-vpc-cni-k8s "
            "on eni-0bbea279695112970 cni i-03846c730abe852f4 m5.large: "
            "InvalidParameterValue: Network interface 'eni-0bbea279695112970' is currently in use."
        )
        assert failed["args"]["event_id"] == "417661d8-0e92-584f-907f-1f5d1e79bf99"

    def test_a_lease_is_split_when_its_eni_moves_to_another_instance(self, run: Run) -> None:
        events = trace(run, "eni-outlives-instance", "--ip", "172.20.18.11")
        assert slices(events) == [
            ("i-05a9d3c7e1f8b2640 c6i.large", "device 1: 172.20.18.11", "14:10:02", "15:02:41"),
            ("i-05c4f7b2d8e1a9360 c6i.large", "device 1: 172.20.18.11", "15:09:12", "15:20:05"),
            (NOWHERE, "eni-09f2c5a8e1b7d4360: 172.20.18.11", "14:09:30", "14:10:02"),
            (NOWHERE, "eni-09f2c5a8e1b7d4360: 172.20.18.11", "15:02:41", "15:09:12"),
        ]

    def test_counters_show_how_many_addresses_and_prefixes_an_instance_holds(self, run: Run) -> None:
        counted = [event for event in trace(run, "ironman") if event["ph"] == "C"]
        assert {event["name"] for event in counted} == {"addresses"}
        assert [(clock(event["ts"]), event["args"]["held"]) for event in counted] == [
            ("13:14:10", 1),
            ("13:15:46", 10),
            ("13:16:05", 11),
            ("13:16:06", 20),
            ("15:21:23", 11),
            ("15:21:24", 7),
            ("15:22:21", 6),
        ]
        assert "prefixes" in {event["name"] for event in trace(run, "prefix-delegation")}

    def test_a_filter_of_calls_does_not_affect_the_leases(self, run: Run) -> None:
        events = trace(run, "ironman", "--failed")
        assert [event["name"] for event in events if event["ph"] == "i"] == ["DeleteNetworkInterface FAILED"]
        assert len(slices(events)) == len(slices(trace(run, "ironman")))

    def test_lanes_of_filtered_out_instances_are_omitted(self, run: Run) -> None:
        events = trace(run, "eni-outlives-instance", "--instance", "i-05c4f7b2d8e1a9360")
        assert list(names(events, "process_name").values()) == ["i-05c4f7b2d8e1a9360 c6i.large", NOWHERE]

    def test_an_empty_answer_is_a_trace_without_events(self, run: Run) -> None:
        assert trace(run, "ironman", "--eni", "eni-00000000000000000") == []


@pytest.mark.parametrize("story", sorted(STORIES))
class TestEveryStory:
    def test_slices_of_a_thread_nest_and_lease_events_are_paired(self, run: Run, story: str) -> None:
        events = trace(run, story)
        taken: dict[int, int] = defaultdict(int)
        for event in events:
            if event["ph"] == "X":
                assert event["ts"] >= taken[event["tid"]]
                taken[event["tid"]] = event["ts"] + event["dur"]
        begun = {
            (event["id2"]["local"], event["name"], event["pid"]) for event in events if event["ph"] == "b"
        }
        ended = [
            (event["id2"]["local"], event["name"], event["pid"]) for event in events if event["ph"] == "e"
        ]
        assert sorted(begun) == sorted(ended)

    def test_every_call_and_every_lease_is_drawn(self, run: Run, story: str) -> None:
        events = trace(run, story)
        calls = run("timeline", story, "-o", "jsonl").stdout.splitlines()
        leases = [json.loads(line) for line in run("leases", story, "-o", "jsonl").stdout.splitlines()]
        assert sum(event["ph"] == "i" for event in events) == len(calls)
        drawn = {
            (e["args"]["eni"], e["args"]["ip"], e["args"].get("start")) for e in events if e["ph"] == "b"
        }
        assert drawn == {(lease["eni"], lease["ip"], lease["start"]) for lease in leases}

    def test_the_parts_of_a_lease_add_up_to_the_lease(self, run: Run, story: str) -> None:
        events = trace(run, story)
        ends = {event["id2"]["local"]: event["ts"] for event in events if event["ph"] == "e"}
        lengths: dict[tuple[str, ...], int] = defaultdict(int)
        for event in events:
            if event["ph"] == "b" and {"start", "end"} <= event["args"].keys():
                lease = tuple(event["args"][name] for name in ("eni", "ip", "start", "end"))
                lengths[lease] += ends[event["id2"]["local"]] - event["ts"]
        for (_, _, start, end), length in lengths.items():
            assert length == seconds_between(start, end) * 1_000_000

    @pytest.mark.importers
    def test_perfetto_reads_it_without_an_error(self, run: Run, story: str) -> None:
        text = run("timeline", story, "-o", "perfetto", "-q").stdout
        with trace_processor(text) as perfetto:
            assert (
                perfetto.query("SELECT name, value FROM stats WHERE severity = 'error' AND value > 0") == []
            )
            assert perfetto.query("SELECT count(*) FROM slice") == [
                (sum(event["ph"] in "Xib" for event in json.loads(text)["traceEvents"]),)
            ]


@pytest.mark.importers
class TestPerfetto:
    def test_perfetto_shows_the_calls_of_an_eni_on_its_thread(self, run: Run) -> None:
        with trace_processor(run("timeline", "ironman", "-o", "perfetto", "-q").stdout) as perfetto:
            found = perfetto.query(
                "SELECT process.name AS process, slice.name, slice.ts, slice.dur FROM slice"
                " JOIN thread_track ON slice.track_id = thread_track.id JOIN thread USING (utid)"
                " JOIN process USING (upid)"
                " WHERE thread.name LIKE 'eni-06d2f4a81c9b3e750 %' ORDER BY slice.ts, slice.name LIMIT 3"
            )
        assert found == [
            (NODE, "RunInstances", 1_664_975_650_000_000_000, 0),
            (NODE, "attached, device 0", 1_664_975_650_000_000_000, 7_694_000_000_000),
            (NODE, "AssignPrivateIpAddresses", 1_664_975_746_000_000_000, 0),
        ]

    def test_perfetto_shows_the_counters_of_an_instance(self, run: Run) -> None:
        with trace_processor(run("timeline", "ironman", "-o", "perfetto", "-q").stdout) as perfetto:
            counted = perfetto.query(
                "SELECT process_counter_track.name, value FROM counter"
                " JOIN process_counter_track ON counter.track_id = process_counter_track.id ORDER BY ts"
            )
        assert counted == [("addresses held", float(held)) for held in (1, 10, 11, 20, 11, 7, 6)]


class TestGolden:
    @pytest.mark.parametrize("story", ["eni-outlives-instance", "hostile", "ironman"])
    def test_the_trace_of_a_story_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None], story: str
    ) -> None:
        golden(f"{story}/timeline.perfetto.json", run("timeline", story, "-o", "perfetto").stdout)


def seconds_between(start: str, end: str) -> int:
    from datetime import datetime

    return int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
