"""``cnitrail pool``: the pools of the stories, other settings, what ipamd says of its own."""

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
        tuple(values(each[name]) for name in names) for each in period["candidates"] if not each["held_back"]
    ]


class TestIronman:
    """Nine addresses nobody asked for, and thirteen of eighteen that went again."""

    @pytest.fixture
    def entry(self, run: Run) -> dict[str, Any]:
        (entry,) = entries(run, "ironman")
        return entry

    def test_reads_as_reviewed(self, run: Run, golden: Callable[[str, str], None]) -> None:
        golden("ironman/pool.txt", run("pool", "ironman", "-q").stdout)

    def test_an_m5_large_may_have_three_interfaces_of_ten_addresses(self, entry: dict[str, Any]) -> None:
        assert entry["limits"] == {
            "enis": 3,
            "ipv4_per_eni": 10,
            "addresses": 30,
            "pool": 27,
            "prefix_pool": 432,
            "max_pods": 29,
        }

    def test_its_size_follows_the_calls(self, entry: dict[str, Any]) -> None:
        sizes = [(each["time"][11:19], each["enis"], each["pool"], each["held"]) for each in entry["size"]]
        assert sizes == [
            ("13:14:10", 1, 0, 1),
            ("13:15:46", 1, 9, 10),
            ("13:16:05", 2, 9, 11),
            ("13:16:06", 2, 18, 20),
            ("15:21:23", 2, 9, 11),
            ("15:21:24", 2, 5, 7),
            ("15:22:21", 1, 5, 6),
        ]

    def test_nine_at_once_are_a_full_interface(self, entry: dict[str, Any]) -> None:
        second = entry["batches"][1]
        assert (second["eni"], second["change"]) == ("eni-0bbea279695112970", 9)
        assert second["meaning"] == (
            "asked for 9 addresses at once, a full interface of m5.large: 10 less its primary one"
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

    def test_minimum_ip_target_5_changed_eighteen_to_five_and_two_interfaces_to_one(
        self, entry: dict[str, Any]
    ) -> None:
        after = entry["settings"][1]
        assert after["begins"] == "aws-node started: it set the security groups of its interfaces"
        assert (after["pool_before"], after["pool_after"]) == (18, 5)
        assert (after["enis_before"], after["enis_after"]) == (2, 1)
        assert ("-", "0..4", "5..5") in fitting(after)

    def test_no_number_of_warm_interfaces_gives_addresses_back_in_parts(self, entry: dict[str, Any]) -> None:
        (gone,) = (each for each in entry["settings"][1]["ruled_out"] if each["warm_eni_target"])
        assert values(gone["warm_eni_target"]) == "0+"
        assert gone["by"]["event"] == "UnassignPrivateIpAddresses"
        assert gone["because"] == "gave 9 addresses back: 9 addresses left for pods"

    def test_the_cni_was_of_a_version_that_makes_bare_interfaces(self, entry: dict[str, Any]) -> None:
        assert entry["settings"][0]["versions"] == [{"since": "1.8", "until": "1.15.3"}]

    def test_the_calls_are_counted_with_their_failures(self, entry: dict[str, Any]) -> None:
        (deletes,) = (each for each in entry["calls"] if each["event"] == "DeleteNetworkInterface")
        assert (deletes["calls"], deletes["by_cni"], deletes["failed"]) == (2, 2, 1)
        assert deletes["errors"] == [{"code": "Client.InvalidParameterValue", "count": 1}]


class TestStories:
    def test_a_target_that_the_calls_betray_is_the_only_one_that_fits(self, run: Run) -> None:
        (entry,) = entries(run, "node-life")
        (period,) = entry["settings"]
        assert fitting(period) == [("-", "4..4", "0..4")]

    def test_with_other_settings_it_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        result = run("pool", "node-life", "-q", "--what-if", "WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10")
        golden("node-life/pool.txt", result.stdout)

    def test_several_nodes_are_one_sum_and_a_line_for_each(
        self, run: Run, golden: Callable[[str, str], None]
    ) -> None:
        golden("silent-death/pool.txt", run("pool", "silent-death", "-q").stdout)
        together, *each = entries(run, "silent-death")
        assert together["instance"] is None
        assert together["nodes"] == [entry["instance"] for entry in each]
        last = together["size"][-1]
        assert last["pool"] == sum(entry["size"][-1]["pool"] for entry in each)

    def test_a_node_role_that_other_programs_share_is_the_cni_by_what_it_made(self, run: Run) -> None:
        (entry,) = entries(run, "pod-identity-and-node-role", "--instance", "i-0e2a6d9b4f8c13570")
        assert [each["change"] for each in entry["batches"]] == [9, 9]
        assert entry["unsettled"] == []

    def test_after_a_hand_assigned_address_nothing_is_concluded(self, run: Run) -> None:
        (entry,) = entries(run, "hand-assigned")
        (unsettled,) = entry["unsettled"]
        assert unsettled["because"].startswith("m.okafor (IAM user), not known to be the CNI")

    def test_pods_with_ipv6_have_no_pool(self, run: Run) -> None:
        (entry,) = entries(run, "prefix-delegation", "--instance", "i-0f3c6f9e2a4d7a580")
        assert entry["settings"] == []
        assert "IPv6" in entry["unsettled"][0]["because"]

    def test_after_a_hole_in_the_logs_nothing_is_concluded(self, run: Run) -> None:
        (entry,) = entries(run, "hole-in-the-logs", "--instance", "i-0ae4c8d2f6b1a9370")
        (unsettled,) = entry["unsettled"]
        assert unsettled["because"].startswith("little or nothing was read between 2024-01-18 09:45:00Z")


class TestSize:
    @pytest.mark.parametrize("story", STORIES)
    def test_it_agrees_with_the_state_at_every_moment(self, story: str) -> None:
        records = [record for text in files(story).values() for record in json.loads(text)["Records"]]
        history = history_of(*records)
        for node in nodes(history, Filter()):
            instance = node.instance.instance
            for size in sizes(node, Filter()):
                at_once = state(history, size.time, Filter(instance=(instance,)))
                attached = [each for each in at_once if each.attached and each.eni_kind != "branch"]
                held = sum(
                    PREFIX_SIZE if is_prefix(address.ip) else 1
                    for each in attached
                    for address in each.addresses
                    if address.ip.version == 4
                )
                assert (size.enis, size.held) == (len(attached), held)


class TestFilters:
    def test_a_cluster_is_that_of_its_nodes(self, run: Run) -> None:
        assert [entry["instance"] for entry in entries(run, "ironman", "--cluster", "ironman-2022")] == [NODE]
        assert entries(run, "ironman", "--cluster", "ironman") == []

    def test_of_a_subnet_only_its_own_interfaces_count(self, run: Run) -> None:
        (entry,) = entries(run, "prefix-delegation", "--subnet", "subnet-0f82bee47f93cfad0")
        assert {each["enis"] for each in entry["size"]} == {1}

    def test_since_shows_what_was_held_then(self, run: Run) -> None:
        (entry,) = entries(run, "ironman", "--since", "2022-10-05T14:00Z", "--until", "2022-10-05T15:21:23Z")
        sizes = [(each["time"], each["pool"]) for each in entry["size"]]
        assert sizes == [("2022-10-05T14:00:00Z", 18), ("2022-10-05T15:21:23Z", 9)]


class TestFormats:
    def test_csv_has_a_line_for_each_size(self, run: Run) -> None:
        rows = list(csv.DictReader(io.StringIO(run("pool", "ironman", "-o", "csv").stdout)))
        assert [(row["pool"], row["pool_limit"], row["enis"]) for row in rows[-2:]] == [
            ("5", "27", "2"),
            ("5", "27", "1"),
        ]
        assert rows[1]["events"] == "AssignPrivateIpAddresses#38ba8051-01e3-5c75-ac89-c3c6865d2d68"

    def test_json_has_its_schema_and_what_was_asked(self, run: Run) -> None:
        answer = json.loads(run("pool", "ironman", "--what-if", "warm_ip_target=2", "-o", "json").stdout)
        assert answer["schema"] == "cnitrail/pool/v1"
        assert answer["query"]["what_if"][0]["warm_ip_target"] == 2

    def test_the_chart_is_ascii_where_the_terminal_is(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", "pool", "ironman"],
            cwd=FIXTURES,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=True,
        )
        assert b"#########" in done.stdout
        assert done.stdout.isascii()

    def test_nothing_in_a_record_steers_a_terminal(self, run: Run) -> None:
        text = run("pool", "hostile").stdout
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]


class TestWhatIf:
    def what_if(self, run: Run, *arguments: str) -> dict[str, Any]:
        (entry,) = entries(run, *arguments)
        found: dict[str, Any] = entry["what_if"][0]
        return found

    def test_the_pods_are_the_fewest_that_the_history_shows_and_it_says_so(self, run: Run) -> None:
        tried = self.what_if(run, "node-life", "--what-if", "WARM_IP_TARGET=2,MINIMUM_IP_TARGET=10")
        assert (tried["demand"], tried["lower_bound"], tried["most_pods"]) == ("history", True, 10)
        assert (tried["most_pool"], tried["most_enis"]) == (12, 2)

    def test_the_calls_stand_beside_those_that_were_made(self, run: Run) -> None:
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

    def test_before_the_first_count_there_may_have_been_more(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2022-10-05T15:00:00Z,12\n")
        tried = self.what_if(run, "ironman", "--pods", str(pods), "--what-if", "WARM_IP_TARGET=3")
        assert (tried["demand"], tried["lower_bound"], tried["most_pods"]) == ("file", True, 12)

    def test_they_narrow_the_settings_too(self, run: Run, tmp_path: Path) -> None:
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

    def test_a_cluster_drains_the_buckets_together(self, run: Run) -> None:
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
            (["--what-if", "WARM_IPS=2"], 2, "'WARM_IPS=2' is no setting; try WARM_IP_TARGET=2"),
            (["--what-if", "WARM_IP_TARGET=many"], 2, "'many' is no value of WARM_IP_TARGET"),
            (["--what-if", "WARM_PREFIX_TARGET=2"], 2, "means nothing without ENABLE_PREFIX_DELEGATION=true"),
            (
                ["--what-if", "ENABLE_PREFIX_DELEGATION=true,WARM_PREFIX_TARGET=0"],
                2,
                "with WARM_PREFIX_TARGET=0 alone aws-node does not start",
            ),
            (["--pods", "no-such-file"], 1, "no-such-file: cannot be read: No such file or directory"),
            (["--pods", "README.md"], 2, "README.md: no header that names time and pods"),
            (["--metrics", "README.md"], 1, "README.md: no metrics of ipamd in it"),
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

    def test_a_count_of_pods_is_about_one_node(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2025-04-02T05:00:00Z,1\n")
        result = run("pool", "silent-death", "--pods", str(pods))
        assert result.exit_code == 2
        assert "--pods is about one node: 2 are selected" in result.stderr

    def test_a_line_that_is_no_count_is_named(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text("time,pods\n2025-04-02T05:00:00Z,several\n")
        result = run("pool", "ironman", "--pods", str(pods))
        assert "line 2: '2025-04-02T05:00:00Z','several' is no time and number of pods" in result.stderr

    def test_counts_with_the_line_ends_of_old_are_read(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_bytes(b"time,pods\r2022-10-05T13:20:00Z,4\r2022-10-05T15:20:00Z,2\r")
        assert run("pool", "ironman", "--pods", str(pods)).exit_code == 0

    def test_what_is_no_csv_is_said_in_a_sentence(self, run: Run, tmp_path: Path) -> None:
        pods = tmp_path / "pods.csv"
        pods.write_text(f'time,pods\n"{"x" * 200_000}",1\n')
        result = run("pool", "ironman", "--pods", str(pods))
        assert result.exit_code == 2
        assert "not CSV (field larger than field limit (131072))" in result.stderr
