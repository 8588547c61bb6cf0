"""``cnitrail pool``: the pools of the stories, and what-if settings."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cni_trail import history_of
from conftest import FIXTURES, Run
from stories import STORIES
from write import files

from cnitrail.answers.filters import Filter
from cnitrail.answers.pool import nodes
from cnitrail.answers.pool.size import sizes
from cnitrail.answers.state import state
from cnitrail.model import PREFIX_SIZE, is_prefix

NODE = "i-03846c730abe852f4"


def entries(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("pool", *arguments, "-o", "jsonl")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def values(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    most = found["most"]
    return f"{found['least']}+" if most is None else f"{found['least']}..{most}"


def fitting(period: dict[str, Any]) -> list[tuple[str, ...]]:
    names = ("warm_eni_target", "warm_ip_target", "minimum_ip_target")
    return [
        tuple(values(candidate[name]) for name in names)
        for candidate in period["candidates"]
        if not candidate["held_back"]
    ]


class TestIronman:
    """Nine unexpected addresses, and the release of thirteen of eighteen."""

    @pytest.fixture
    def entry(self, run: Run) -> dict[str, Any]:
        (entry,) = entries(run, "ironman")
        return entry

    def test_reads_as_reviewed(self, run: Run, golden: Callable[[str, str], None]) -> None:
        golden("ironman/pool.txt", run("pool", "ironman", "-q").stdout)

    def test_an_m5_large_may_have_three_enis_of_ten_addresses(self, entry: dict[str, Any]) -> None:
        assert entry["limits"] == {
            "enis": 3,
            "ipv4_per_eni": 10,
            "addresses": 30,
            "pod_enis": "all",
            "pool": 27,
            "prefix_pool": 432,
            "max_pods": 29,
        }

    def test_the_pool_size_follows_the_calls(self, entry: dict[str, Any]) -> None:
        sizes = [(size["time"][11:19], size["enis"], size["pool"], size["held"]) for size in entry["size"]]
        assert sizes == [
            ("13:14:10", 1, 0, 1),
            ("13:15:46", 1, 9, 10),
            ("13:16:05", 2, 9, 11),
            ("13:16:06", 2, 18, 20),
            ("15:21:23", 2, 9, 11),
            ("15:21:24", 2, 5, 7),
            ("15:22:21", 1, 5, 6),
        ]

    def test_nine_addresses_at_once_are_a_full_eni(self, entry: dict[str, Any]) -> None:
        second = entry["batches"][1]
        assert (second["eni"], second["change"]) == ("eni-0bbea279695112970", 9)
        assert second["meaning"] == (
            "requested 9 addresses at once, a full ENI of m5.large: 10 less its primary address"
        )

    def test_before_the_change_the_default_fits_among_others(self, entry: dict[str, Any]) -> None:
        before = entry["settings"][0]
        assert (before["pool_before"], before["pool_after"]) == (0, 18)
        assert fitting(before) == [
            ("0..0", "-", "-"),
            ("1..1", "-", "-"),
            ("2..2", "-", "-"),
            ("-", "9..17", "0..17"),
            ("-", "0..17", "18..18"),
            ("-", "18..18", "0..18"),
        ]

    def test_minimum_ip_target_5_changed_eighteen_to_five_and_two_enis_to_one(
        self, entry: dict[str, Any]
    ) -> None:
        after = entry["settings"][1]
        assert after["begins"] == "aws-node started: it set the security groups of its ENIs"
        assert (after["pool_before"], after["pool_after"]) == (18, 5)
        assert (after["enis_before"], after["enis_after"]) == (2, 1)
        assert ("-", "0..4", "5..5") in fitting(after)

    def test_no_warm_eni_target_releases_single_addresses(self, entry: dict[str, Any]) -> None:
        (gone,) = (
            ruled_out for ruled_out in entry["settings"][1]["ruled_out"] if ruled_out["warm_eni_target"]
        )
        assert values(gone["warm_eni_target"]) == "0+"
        assert gone["by"]["event"] == "UnassignPrivateIpAddresses"
        assert gone["because"] == "released 9 addresses: 9 addresses left for pods"

    def test_the_cni_version_creates_enis_without_secondary_addresses(self, entry: dict[str, Any]) -> None:
        assert entry["settings"][0]["versions"] == [{"since": "1.8", "until": "1.15.3"}]

    def test_calls_and_failures_are_counted(self, entry: dict[str, Any]) -> None:
        (deletes,) = (call for call in entry["calls"] if call["event"] == "DeleteNetworkInterface")
        assert (deletes["calls"], deletes["by_cni"], deletes["failed"]) == (2, 2, 1)
        assert deletes["errors"] == [{"code": "Client.InvalidParameterValue", "count": 1}]


class TestStories:
    def test_a_target_that_the_calls_show_is_the_only_candidate(self, run: Run) -> None:
        (entry,) = entries(run, "node-life")
        (period,) = entry["settings"]
        assert fitting(period) == [("-", "4..4", "0..4")]

    def test_with_other_settings_it_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("pool", "node-life", "-q", "--what-if", "WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10")
        golden("node-life/pool.txt", result.stdout)

    def test_several_nodes_have_a_sum_and_a_line_each(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        golden("silent-death/pool.txt", run("pool", "silent-death", "-q").stdout)
        together, *nodes = entries(run, "silent-death")
        assert together["instance"] is None
        assert together["nodes"] == [entry["instance"] for entry in nodes]
        last = together["size"][-1]
        assert last["pool"] == sum(entry["size"][-1]["pool"] for entry in nodes)

    def test_a_shared_node_role_is_the_cni_on_enis_that_it_created(self, run: Run) -> None:
        (entry,) = entries(run, "pod-identity-and-node-role", "--instance", "i-0e2a6d9b4f8c13570")
        assert [batch["change"] for batch in entry["batches"]] == [9, 9]
        assert entry["unsettled"] == []

    def test_after_an_address_is_assigned_by_hand_no_settings_are_concluded(self, run: Run) -> None:
        (entry,) = entries(run, "hand-assigned")
        (unsettled,) = entry["unsettled"]
        assert unsettled["because"]["text"].startswith("m.okafor (IAM user), not known to be the CNI")

    def test_an_ipv6_cluster_has_no_pool(self, run: Run) -> None:
        (entry,) = entries(run, "prefix-delegation", "--instance", "i-0f3c6f9e2a4d7a580")
        assert entry["settings"] == []
        assert entry["unsettled"][0]["because"]["code"] == "ipv6-pods"

    def test_after_a_log_gap_no_settings_are_concluded(self, run: Run) -> None:
        (entry,) = entries(run, "hole-in-the-logs", "--instance", "i-0ae4c8d2f6b1a9370")
        (unsettled,) = entry["unsettled"]
        assert unsettled["because"]["text"].startswith("log gap from 2024-01-18 09:45:00Z")


class TestSize:
    @pytest.mark.parametrize("story", STORIES)
    def test_the_pool_size_equals_the_state_at_every_moment(self, story: str) -> None:
        records = [record for text in files(story).values() for record in json.loads(text)["Records"]]
        history = history_of(*records)
        for node in nodes(history, Filter()):
            instance = node.instance.instance
            for size in sizes(node, Filter()):
                at_once = state(history, size.time, Filter(instance=(instance,)))
                attached = [
                    interface
                    for interface in at_once
                    if interface.attached and interface.eni_kind != "branch"
                ]
                held = sum(
                    PREFIX_SIZE if is_prefix(address.ip) else 1
                    for interface in attached
                    for address in interface.addresses
                    if address.ip.version == 4
                )
                assert (size.enis, size.held) == (len(attached), held)


class TestFilters:
    def test_a_cluster_has_its_nodes(self, run: Run) -> None:
        assert [entry["instance"] for entry in entries(run, "ironman", "--cluster", "ironman-2022")] == [NODE]
        assert entries(run, "ironman", "--cluster", "ironman") == []

    def test_a_subnet_filter_counts_only_its_enis(self, run: Run) -> None:
        (entry,) = entries(run, "prefix-delegation", "--subnet", "subnet-0f82bee47f93cfad0")
        assert {size["enis"] for size in entry["size"]} == {1}

    def test_since_shows_the_pool_at_that_time(self, run: Run) -> None:
        (entry,) = entries(run, "ironman", "--since", "2022-10-05T14:00Z", "--until", "2022-10-05T15:21:23Z")
        sizes = [(size["time"], size["pool"]) for size in entry["size"]]
        assert sizes == [("2022-10-05T14:00:00Z", 18), ("2022-10-05T15:21:23Z", 9)]


class TestFormats:
    def test_csv_has_a_line_per_size(self, run: Run) -> None:
        rows = list(csv.DictReader(io.StringIO(run("pool", "ironman", "-o", "csv").stdout)))
        assert [(row["pool"], row["pool_limit"], row["enis"]) for row in rows[-2:]] == [
            ("5", "27", "2"),
            ("5", "27", "1"),
        ]
        assert rows[1]["events"] == "AssignPrivateIpAddresses#38ba8051-01e3-5c75-ac89-c3c6865d2d68"

    def test_settings_that_fit_are_joined_by_or(self, run: Run) -> None:
        fitting = (
            "WARM_ENI_TARGET=0 or WARM_ENI_TARGET=1 (default) or WARM_IP_TARGET=9, MINIMUM_IP_TARGET 0 to 9"
        )
        assert f"0 of 3  {fitting}\n" in run("pool", "full-subnet").stdout

    def test_the_number_shown_is_that_of_the_nodes(self, run: Run) -> None:
        result = run("pool", "full-subnet")
        assert result.stdout.startswith("5 nodes\n")
        assert result.stderr.startswith("5 shown; read")
        assert run("pool", "hostile", "--instance", "i-0ff1a2b3c4d5e6f70").stderr.startswith("1 shown; read")

    def test_json_has_its_schema_and_the_query(self, run: Run) -> None:
        answer = json.loads(run("pool", "ironman", "--what-if", "warm_ip_target=2", "-o", "json").stdout)
        assert answer["schema"] == "cnitrail/pool/v1"
        assert answer["query"]["what_if"][0]["warm_ip_target"] == 2

    def test_the_chart_is_ascii_in_an_ascii_terminal(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", "pool", "ironman"],
            cwd=FIXTURES,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=True,
        )
        assert b"#########" in done.stdout
        assert done.stdout.isascii()

    def test_no_text_in_a_record_controls_the_terminal(self, run: Run) -> None:
        text = run("pool", "hostile", "--instance", "i-0ff1a2b3c4d5e6f70").stdout
        assert "secondary addresses" in text
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]


class TestWhatIf:
    def what_if(self, run: Run, *arguments: str) -> dict[str, Any]:
        (entry,) = entries(run, *arguments)
        found: dict[str, Any] = entry["what_if"][0]
        return found

    def test_the_pods_are_the_fewest_that_the_history_implies_and_that_is_stated(self, run: Run) -> None:
        tried = self.what_if(run, "node-life", "--what-if", "WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10")
        assert (tried["demand"], tried["lower_bound"], tried["most_pods"]) == ("history", True, 10)
        assert (tried["most_pool"], tried["most_enis"]) == (12, 2)

    def test_simulated_calls_are_shown_beside_the_real_ones(self, run: Run) -> None:
        tried = self.what_if(run, "node-life", "--what-if", "WARM_ENI_TARGET=1")
        calls = {call["event"]: (call["observed"], call["calls"]) for call in tried["calls"]}
        assert calls["AssignPrivateIpAddresses"] == (4, 1)
        assert calls["UnassignPrivateIpAddresses"] == (2, 0)
        assert calls["CreateNetworkInterface"] == (1, 2)
        assert calls["DescribeSubnets"] == (None, 2)

    def test_pods_may_come_from_a_file(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2022-10-05T13:00:00Z,0\n2022-10-05T14:00:00Z,8\n2022-10-05T15:00:00Z,1\n")
        tried = self.what_if(run, "ironman", "--pods", str(pods), "--what-if", "MINIMUM_IP_TARGET=5")
        assert (tried["demand"], tried["lower_bound"], tried["most_pods"]) == ("file", False, 8)
        (wait,) = tried["waits"]
        assert (wait["since"], wait["until"], wait["pods"]) == (
            "2022-10-05T14:00:00Z",
            "2022-10-05T15:00:00Z",
            3,
        )

    def test_there_may_have_been_more_pods_before_the_first_count(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2022-10-05T15:00:00Z,12\n")
        tried = self.what_if(run, "ironman", "--pods", str(pods), "--what-if", "WARM_IP_TARGET=3")
        assert (tried["demand"], tried["lower_bound"], tried["most_pods"]) == ("file", True, 12)

    def test_pod_counts_narrow_the_settings(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2022-10-05T13:00:00Z,0\n2022-10-05T13:16:00Z,1\n")
        (entry,) = entries(run, "ironman", "--pods", str(pods))
        before, after = entry["settings"]
        assert fitting(before) == [
            ("1..1", "-", "-"),
            ("-", "17..17", "0..17"),
            ("-", "0..17", "18..18"),
        ]
        assert fitting(after) == [("-", "0..3", "5..5"), ("-", "4..4", "0..5")]

    def test_all_nodes_of_a_cluster_drain_the_same_buckets(self, run: Run) -> None:
        together, one, other = entries(run, "silent-death", "--what-if", "WARM_IP_TARGET=3")
        counts = [
            {call["event"]: call["calls"] for call in entry["what_if"][0]["calls"]}[
                "AssignPrivateIpAddresses"
            ]
            for entry in (together, one, other)
        ]
        assert counts[0] == counts[1] + counts[2]


def assigns(entry: dict[str, Any]) -> int:
    counts = {call["event"]: call["calls"] for call in entry["what_if"][0]["calls"]}
    found: int = counts["AssignPrivateIpAddresses"]
    return found


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            (
                ["--what-if", "WARM_IPS=2"],
                2,
                "'WARM_IPS=2' is not a setting\nhint: use NAME=VALUE with WARM_ENI_TARGET",
            ),
            (
                ["--what-if", "WARM_IP_TARGET=many"],
                2,
                "'many' is not a value of WARM_IP_TARGET\nhint: use a number",
            ),
            (["--what-if", "WARM_PREFIX_TARGET=2"], 2, "has no effect without ENABLE_PREFIX_DELEGATION=true"),
            (
                ["--what-if", "ENABLE_PREFIX_DELEGATION=true,WARM_PREFIX_TARGET=0"],
                2,
                "with WARM_PREFIX_TARGET=0 alone, aws-node does not start",
            ),
            (["--pods", "no-such-file"], 1, "no-such-file: cannot be read: No such file or directory"),
            (["--pods", "README.md"], 2, "README.md: its header does not name time and pods"),
            (["--metrics", "README.md"], 1, "README.md: it has no ipamd metrics"),
            (["--ipamd", "README.md"], 1, "README.md: "),
            (["--instance-types", "README.md"], 1, "README.md: "),
        ],
    )
    def test_a_mistake_gets_one_clear_message(
        self, run: Run, arguments: list[str], status: int, said: str
    ) -> None:
        result = run("pool", "ironman", *arguments)
        assert (result.exit_code, result.stdout) == (status, "")
        assert said in result.stderr

    def test_pod_counts_need_a_single_node(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2025-04-02T05:00:00Z,1\n")
        result = run("pool", "silent-death", "--pods", str(pods))
        assert result.exit_code == 2
        assert "--pods is about one node: 2 match" in result.stderr

    def test_a_malformed_line_is_named(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2025-04-02T05:00:00Z,several\n")
        result = run("pool", "ironman", "--pods", str(pods))
        assert "line 2: '2025-04-02T05:00:00Z','several' is not a time and a pod count" in result.stderr

    def test_counts_with_old_line_ends_are_read(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_bytes(b"time,pods\r2022-10-05T13:20:00Z,4\r2022-10-05T15:20:00Z,2\r")
        assert run("pool", "ironman", "--pods", str(pods)).exit_code == 0

    def test_a_file_that_is_not_csv_is_a_one_line_error(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text(f'time,pods\n"{"x" * 200_000}",1\n')
        limit = csv.field_size_limit(131_072)  # an export read before this test raised it
        result = run("pool", "ironman", "--pods", str(pods))
        csv.field_size_limit(limit)
        assert result.exit_code == 2
        assert "not CSV (field larger than field limit (131072))" in result.stderr
