"""The command line as a user meets it: help, filters, formats, mistakes, exit status."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from errno import EACCES, EPIPE
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run

NODE = "i-03846c730abe852f4"
SECOND = "eni-0bbea279695112970"


def names(run: Run, *arguments: str) -> list[str]:
    result = run("timeline", "ironman", *arguments, "-o", "jsonl")
    assert result.exit_code == 0
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


class TestFilters:
    def test_each_value_of_an_option_widens_and_each_option_narrows(self, run: Run) -> None:
        assert names(run, "--event", "AttachNetworkInterface", "--event", "DetachNetworkInterface") == [
            "AttachNetworkInterface",
            "DetachNetworkInterface",
        ]
        assert names(run, "--event", "Attach*", "--eni", "eni-0000000000000000f") == []

    def test_an_address_selects_every_call_that_moved_it(self, run: Run) -> None:
        expected = ["AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
        assert names(run, "--ip", "192.168.53.76") == expected

    def test_a_block_selects_every_address_inside_it(self, run: Run) -> None:
        assert names(run, "--ip", "192.168.55.240/28") == ["RunInstances"]

    def test_the_instance_is_the_one_that_the_interface_was_on_then(self, run: Run) -> None:
        assert len(names(run, "--instance", NODE)) == 14
        assert names(run, "--instance", "i-00000000000000000") == []

    def test_actor_and_agent_take_a_substring_or_a_glob_in_any_case(self, run: Run) -> None:
        assert names(run, "--actor", "AUTOSCALING") == ["RunInstances"]
        assert names(run, "--actor", "autoscaling.*") == ["RunInstances"]
        assert "RunInstances" not in names(run, "--agent", "VPC-cni")

    @pytest.mark.parametrize(
        "name",
        [
            "kube-system/aws-node",
            "kube-system:aws-node",
            "kube-system:aws-*",
            "system:serviceaccount:kube-system:aws-node",
        ],
    )
    def test_a_service_account_goes_by_each_of_its_names(self, run: Run, name: str) -> None:
        assert len(names(run, "--actor", name)) == 13

    def test_the_cluster_is_that_of_the_actor_or_of_the_node(self, run: Run) -> None:
        assert len(names(run, "--cluster", "ironman-2022")) == 14
        assert names(run, "--cluster", "ironman") == []

    def test_failed_and_no_failed_part_the_calls_in_two(self, run: Run) -> None:
        assert names(run, "--failed") == ["DeleteNetworkInterface"]
        assert len(names(run, "--no-failed")) == 13

    @pytest.mark.parametrize(
        "since",
        ["2022-10-05T15:22:23Z", "2022-10-05 17:22:23+02:00", "20221005T152223Z", "1664983343"],
    )
    def test_times_are_iso_8601_or_epoch_seconds_and_included(self, run: Run, since: str) -> None:
        assert names(run, "--since", since) == ["DeleteNetworkInterface", "DeleteNetworkInterface"]
        assert len(names(run, "--until", since)) == 13

    def test_a_time_without_an_offset_is_utc(self, run: Run) -> None:
        assert names(run, "--since", "2022-10-05T15:22:24") == ["DeleteNetworkInterface"]

    def test_an_age_counts_back_from_now(self, run: Run) -> None:
        assert names(run, "--since", "1h") == []
        assert len(names(run, "--since", "9999w")) == 14


class TestFormats:
    def test_json_is_one_object_with_schema_query_evidence_and_entries(self, run: Run) -> None:
        answer = json.loads(run("timeline", "ironman", "--eni", SECOND, "-o", "json").stdout)
        assert list(answer) == ["schema", "query", "evidence", "limitations", "entries"]
        assert answer["schema"] == "cnitrail/timeline/v1"
        assert answer["query"]["eni"] == [SECOND]
        (source,) = answer["evidence"]["sources"]
        assert (source["uri"], source["files"], source["records"]) == ("ironman", 14, 56)
        assert (source["relevant"], source["duplicates"], source["skipped"]) == (17, 0, 0)
        assert answer["evidence"]["first_event"] == "2022-10-05T13:14:10Z"
        assert answer["evidence"]["skipped"] == []

    def test_absent_is_null_and_lists_are_never_null(self, run: Run) -> None:
        for line in run("timeline", "ironman", "-o", "jsonl").stdout.splitlines():
            entry: dict[str, Any] = json.loads(line)
            assert all(isinstance(entry[name], list) for name in ("added", "removed", "moved", "origins"))
            assert "" not in entry.values()

    def test_csv_has_a_header_and_a_line_for_each_entry(self, run: Run) -> None:
        rows = list(csv.DictReader(io.StringIO(run("timeline", "ironman", "-o", "csv").stdout)))
        assert len(rows) == 14
        assert rows[5]["eni"] == SECOND
        assert rows[5]["added"].split()[0] == "192.168.53.76"

    def test_calls_that_ask_for_different_things_are_not_read_as_one(self, run: Run, tmp_path: Path) -> None:
        refused = [
            {
                "eventVersion": "1.08",
                "eventID": f"refused-{number}",
                "eventName": "AssignPrivateIpAddresses",
                "eventTime": f"2026-03-01T10:00:0{number}Z",
                "userIdentity": {"type": "IAMUser", "userName": "ada"},
                "errorCode": "Client.InvalidParameterValue",
                "errorMessage": "not in the subnet",
                "requestParameters": {
                    "networkInterfaceId": "eni-0a",
                    "privateIpAddressesSet": {"items": [{"privateIpAddress": address}]},
                },
            }
            for number, address in enumerate(("10.40.48.10", "10.40.99.77"))
        ]
        (tmp_path / "log.json").write_text(json.dumps({"Records": refused}))
        table = run("timeline", tmp_path).stdout
        assert ("requested 10.40.48.10" in table, "requested 10.40.99.77" in table) == (True, True)

    def test_a_prefix_that_a_refused_call_asked_for_is_found_by_its_address(
        self, run: Run, tmp_path: Path
    ) -> None:
        refused = {
            "eventVersion": "1.08",
            "eventID": "refused",
            "eventName": "AssignPrivateIpAddresses",
            "eventTime": "2026-03-01T10:00:00Z",
            "errorCode": "Client.InvalidParameterValue",
            "requestParameters": {
                "networkInterfaceId": "eni-0a",
                "ipv4Prefixes": {"items": [{"ipv4Prefix": "10.0.1.16/28"}]},
            },
        }
        (tmp_path / "log.json").write_text(json.dumps({"Records": [refused]}))
        result = run("timeline", tmp_path, "--ip", "10.0.1.20", "-o", "jsonl")
        assert [json.loads(line)["event_id"] for line in result.stdout.splitlines()] == ["refused"]

    def test_findings_that_a_filter_hides_are_counted(self, run: Run) -> None:
        result = run("findings", "hand-assigned", "--eni", "eni-0123456789abcdef0")
        assert result.stderr.startswith("no matching findings (1 without filters); read 14 files")

    def test_all_is_every_region(self, run: Run) -> None:
        everything = run("timeline", "ironman", "-o", "jsonl").stdout
        assert run("timeline", "ironman", "--region", "all", "-o", "jsonl").stdout == everything

    def test_cloudtrails_keys_are_passed_over_wherever_they_lie(self, run: Run, tmp_path: Path) -> None:
        keys = {"PublicKeyList": [{"Fingerprint": "00", "Value": "AAAA"}]}
        (tmp_path / "public-keys.json").write_text(json.dumps(keys, indent=4))
        result = run("timeline", "ironman", tmp_path)
        assert (result.exit_code, "skipped" in result.stderr) == (0, False)

    def test_a_piped_table_has_one_whole_line_for_each_row(self, run: Run) -> None:
        lines = run("timeline", "ironman").stdout.splitlines()
        nine = next(line for line in lines if "192.168.53.76" in line and "+9" in line)
        assert all(part in nine for part in ("13:16:06", "192.168.52.54", SECOND, NODE, "amazon-vpc-cni-k8s"))

    def test_results_go_to_stdout_and_everything_else_to_stderr(self, run: Run) -> None:
        result = run("timeline", "ironman", "-o", "jsonl")
        assert all(line.startswith("{") for line in result.stdout.splitlines())
        assert result.stderr == (
            "14 shown; read 14 files with 56 events, 17 IP-related "
            "(2022-10-05 13:14:10Z to 2022-10-05 15:22:24Z)\n"
        )

    def test_quiet_says_nothing_where_nothing_is_wrong(self, run: Run) -> None:
        assert run("timeline", "ironman", "-q").stderr == ""

    def test_calls_alike_within_seconds_read_as_one_line_with_a_count(self, run: Run) -> None:
        assert "×2 until 09:58:36Z; +5: 10.20.67.2 " in run("timeline", "node-life").stdout
        assert len(run("timeline", "node-life", "-o", "jsonl").stdout.splitlines()) == 16

    def test_an_address_that_such_calls_assign_again_and_again_is_listed_once(self, run: Run) -> None:
        assert "×100 until 15:10:03Z; +1: 10.52.1.200\n" in run("timeline", "throttled").stdout


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            (
                ["timeline", "--since", "yesterday", "ironman"],
                2,
                (
                    "error: --since: 'yesterday' is not a time\n"
                    "hint: use ISO 8601 (2022-10-05T13:16:06Z, 2022-10-05), epoch seconds (1664975766) "
                    "or an age (90s, 15m, 2h, 3d, 1w)\n"
                ),
            ),
            (
                ["timeline", "--until", "2022-13-45", "ironman"],
                2,
                "error: --until: '2022-13-45' is not a time\n",
            ),
            (
                ["timeline", "--ip", "999.1.1.1", "ironman"],
                2,
                (
                    "error: --ip: '999.1.1.1' is not an IP address or CIDR block\n"
                    "hint: for example 10.0.1.25 or 10.0.1.0/24\n"
                ),
            ),
            (
                ["timeline", "--lag", "soon", "ironman"],
                2,
                "error: --lag: 'soon' is not a length of time\nhint: for example 90s, 15m or 2h\n",
            ),
            (
                ["timeline", "--since", "1h", "--until", "2h", "ironman"],
                2,
                "error: --since must be before --until\n",
            ),
            (
                ["timeline", "-o", "xml", "ironman"],
                2,
                (
                    "error: --output: 'xml' is not one of 'table', 'wide', 'json', 'jsonl', 'yaml', 'csv', "
                    "'timesketch', "
                    "'perfetto'\nhint: see cnitrail timeline --help\n"
                ),
            ),
            (
                ["timeline", "--max-calls", "0", "ironman"],
                2,
                "error: --max-calls: 0 is not in the range x>=1\nhint: see cnitrail timeline --help\n",
            ),
            (
                ["timeline", "--instnace", "x", "ironman"],
                2,
                "error: no such option --instnace\nhint: did you mean --instance?\n",
            ),
            (
                ["timeline", "--verbose", "ironman"],
                2,
                "error: no such option --verbose\nhint: see cnitrail timeline --help\n",
            ),
            (
                ["timeline", "--since"],
                2,
                "error: option '--since' requires an argument\nhint: see cnitrail timeline --help\n",
            ),
            (
                ["sync", "s3://logs"],
                2,
                "error: --to is required\nhint: cnitrail sync s3://audit-logs --since 30d --to case-17/\n",
            ),
            (["verfy"], 2, "error: no such command 'verfy'\nhint: did you mean verify?\n"),
            (["Lease"], 2, "error: no such command 'Lease'\nhint: did you mean leases?\n"),
            (["logs/"], 2, "error: no such command 'logs/'\nhint: see cnitrail --help\n"),
            (["--vresion"], 2, "error: no such option --vresion\nhint: did you mean --version?\n"),
            (["who"], 2, "error: IP is required\n"),
            (
                ["state", "ironman"],
                2,
                "error: --at is required\nhint: a time that the evidence covers, for example --at 2022",
            ),
            (["verify"], 2, "error: SOURCE is required\n"),
            (["timeline", "no-such-place"], 1, "error: no-such-place: no such file or directory\n"),
            (["timeline", ""], 1, "error: '': no such file or directory\n"),
            (["timeline", "gopher://x"], 1, "error: gopher://x"),
        ],
    )
    def test_a_mistake_gets_an_error_a_hint_and_its_exit_status(
        self, run: Run, arguments: list[str], status: int, said: str
    ) -> None:
        result = run(*arguments)
        assert result.stderr.startswith(said)
        assert all(line.startswith(("error: ", "hint: ")) for line in result.stderr.splitlines())
        assert (result.exit_code, result.stdout) == (status, "")

    def test_no_arguments_at_all_show_the_help(self, run: Run) -> None:
        result = run()
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == run("--help").stdout

    def test_an_empty_directory_is_no_answer(self, run: Run, tmp_path: Path) -> None:
        result = run("timeline", str(tmp_path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no files in it" in result.stderr

    def test_filters_that_keep_nothing_are_answered_and_said(self, run: Run) -> None:
        result = run("timeline", "ironman", "--eni", "eni-00000000000000000")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "no matching events; read " in result.stderr


class TestDamage:
    """What cannot be read is counted and shown, and loses nothing else."""

    @pytest.fixture
    def damaged(self, tmp_path: Path) -> Path:
        (log,) = (FIXTURES / "ironman").rglob("*T1320Z*.json.gz")
        text = gzip.decompress(log.read_bytes())
        (tmp_path / "sound.json.gz").write_bytes(log.read_bytes())
        (tmp_path / "torn.json.gz").write_bytes(log.read_bytes()[:-400])
        (tmp_path / "empty.json.gz").write_bytes(b"")
        (tmp_path / "note.json").write_text("remember to rotate the logs\n")
        (tmp_path / "odd.json").write_bytes(text.replace(b'"Records":[', b'"Records":["no record",12,', 1))
        return tmp_path

    def test_the_rest_is_answered_with_exit_status_3(self, run: Run, damaged: Path) -> None:
        result = run("timeline", str(damaged), "-o", "json")
        assert result.exit_code == 3
        answer = json.loads(result.stdout)
        assert len(answer["entries"]) == 7
        skipped = {Path(item["source"]).name: item["reason"] for item in answer["evidence"]["skipped"]}
        assert set(skipped) == {"torn.json.gz", "empty.json.gz", "note.json", "odd.json"}
        assert skipped["torn.json.gz"] == "the gzip stream is cut short"
        assert skipped["empty.json.gz"] == "the file is empty"
        assert skipped["note.json"] == "not JSON: remember to rotate the logs"
        assert answer["evidence"]["sources"][0]["skipped"] == 5

    def test_each_is_shown_on_stderr_even_where_quiet(self, run: Run, damaged: Path) -> None:
        shown = run("timeline", str(damaged), "-q").stderr.splitlines()
        assert [line.partition(":")[0] for line in shown] == ["skipped"] * 5 + ["warning"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
    def test_a_directory_that_may_not_be_listed_is_skipped(self, run: Run, damaged: Path) -> None:
        locked = damaged / "locked"
        locked.mkdir(mode=0)
        assert f"skipped: {locked}: cannot be read: Permission denied" in run("timeline", str(damaged)).stderr

    @pytest.mark.parametrize(
        "value", ["NaN", "[" * 5000, '"\\ud800"', '"' + "x" * 3_000_000 + '"', "1e999", "9" * 400]
    )
    def test_no_value_in_a_record_breaks_the_reader(self, run: Run, tmp_path: Path, value: str) -> None:
        record = f'{{"eventVersion":"1.08","eventName":"DeleteNetworkInterface","userAgent":{value}}}'
        good = (
            '{"eventVersion":"1.08","eventName":"DeleteNetworkInterface",'
            '"eventTime":"2022-10-05T13:16:06Z","eventSource":"ec2.amazonaws.com","eventID":"1",'
            '"requestParameters":{"networkInterfaceId":"eni-1"}}'
        )
        (tmp_path / "log.json").write_text(f'{{"Records":[{record},{good}]}}')
        result = run("timeline", str(tmp_path), "-o", "jsonl")
        assert result.exit_code == 3
        assert [json.loads(line)["eni"] for line in result.stdout.splitlines()] == ["eni-1"]


class TestWriting:
    @pytest.mark.parametrize(
        "arguments",
        [
            "timeline ironman",
            "verify ironman-signed",
            "collect ironman --export - -q",
            "--help",
            "--version",
            "timeline --help",
        ],
    )
    @pytest.mark.parametrize(
        ("redirection", "said"),
        [
            (">/dev/full", "error: the answer cannot be written: No space left on device\n"),
            (">&-", "error: standard output is closed, so the answer cannot be written\n"),
        ],
    )
    def test_an_answer_that_cannot_be_written_is_one_sentence(
        self, arguments: str, redirection: str, said: str
    ) -> None:
        result = in_shell(f"{sys.executable} -m cnitrail {arguments} {redirection}")
        assert (result.returncode, result.stderr) == (1, said)

    def test_an_export_that_cannot_be_written_is_named(self) -> None:
        result = in_shell(f"{sys.executable} -m cnitrail collect ironman --export /dev/full -q")
        assert (result.returncode, result.stderr) == (
            1,
            "error: /dev/full cannot be written: No space left on device\n",
        )

    @pytest.mark.parametrize("command", ["--export /dev/stdout -q | wc -l", "--export >(wc -l) -q | cat"])
    def test_an_export_goes_into_a_pipe(self, command: str) -> None:
        result = in_shell(f"{sys.executable} -m cnitrail collect ironman {command}")
        assert (result.stdout.strip(), result.stderr) == ("17", "")

    def test_an_input_that_cannot_be_read_is_named_and_no_fault_of_the_output(self, tmp_path: Path) -> None:
        (tmp_path / "keys.json").symlink_to("keys.json")
        keys = f"--public-keys {tmp_path}/keys.json"
        result = in_shell(f"{sys.executable} -m cnitrail verify ironman-signed {keys}")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: ")
        assert f"{tmp_path}/keys.json" in result.stderr
        assert "Too many levels of symbolic links" in result.stderr

    def test_a_refusal_of_the_system_names_its_file(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(EACCES, "Permission denied", "case-17/SHA256SUMS")

        monkeypatch.setattr("cnitrail.workflows.verify.verify_sources", refuse)
        result = run("verify", "ironman-signed")
        assert (result.exit_code, result.stderr) == (1, "error: case-17/SHA256SUMS: Permission denied\n")

    def test_a_connection_that_breaks_is_no_reader_that_has_seen_enough(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise BrokenPipeError(EPIPE, "Broken pipe")

        monkeypatch.setattr("cnitrail.workflows.verify.verify_sources", broken)
        result = run("verify", "ironman-signed")
        assert (result.exit_code, result.stderr) == (1, "error: Broken pipe\n")

    @pytest.mark.parametrize(("redirection", "status"), [("", 0), (">/dev/full", 1)])
    def test_with_standard_error_closed_the_answer_and_the_status_are_the_same(
        self, redirection: str, status: int
    ) -> None:
        told, silent = (
            subprocess.run(
                f"{sys.executable} -m cnitrail timeline ironman {redirection} {closed}",
                shell=True,
                cwd=FIXTURES,
                capture_output=True,
                text=True,
                check=False,
            )
            for closed in ("", "2>&-")
        )
        assert told.returncode == silent.returncode == status
        assert told.stdout == silent.stdout
        assert silent.stderr == ""

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            ("timeline ironman", 0),
            ("timeline no-such-place", 1),
            ("", 2),
            ("bogus", 2),
            ("timeline /dev/null", 3),
        ],
    )
    def test_the_status_is_the_same_if_the_disk_of_standard_error_is_full(
        self, arguments: str, status: int
    ) -> None:
        assert in_shell(f"{sys.executable} -m cnitrail {arguments} 2>/dev/full").returncode == status

    @pytest.mark.parametrize(
        "arguments",
        [
            "timeline -",
            "who --batch - ironman",
            "pool ironman --pods -",
            "state ironman --live -",
        ],
    )
    def test_standard_input_that_is_closed_is_an_error(self, arguments: str) -> None:
        result = in_shell(f"{sys.executable} -m cnitrail {arguments} <&-")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: -: standard input is closed\n")

    @pytest.mark.parametrize(("source", "status"), [("ironman", 0), ("no-such-place", 1)])
    def test_the_status_is_the_same_if_nobody_reads_standard_error(self, source: str, status: int) -> None:
        command = f"(sleep 0.2; {sys.executable} -m cnitrail timeline {source} 2>&1 >/dev/null) | true"
        assert in_shell(f"{command}; echo ${{PIPESTATUS[0]}}").stdout == f"{status}\n"

    def test_an_interruption_while_it_starts_is_one_word(self) -> None:
        program = """
import sys
from cnitrail.__main__ import run

class Interrupted:
    def find_spec(self, name, *_):
        if name == "cnitrail.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
run()
"""
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (130, "error: interrupted\n")

    @pytest.mark.parametrize(
        "arguments", ["timeline ironman -q", "collect ironman --export - -q", "--help", "timeline --help"]
    )
    def test_a_reader_that_has_seen_enough_is_no_error(self, arguments: str) -> None:
        result = in_shell(
            f"(sleep 0.2; {sys.executable} -m cnitrail {arguments}) | true; echo ${{PIPESTATUS[0]}}"
        )
        assert (result.stdout, result.stderr) == ("141\n", "")


def in_shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command among the fixture stories, in bash, with streams that are buffered as by default."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", command], cwd=FIXTURES, capture_output=True, text=True, check=False, env=environment
    )


class TestStandardInput:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("timeline", "-", "-"),
            ("who", "--batch", "-", "-"),
            ("collect", "-", "-", "--to", "x.db"),
            ("pool", "-", "--pods", "-"),
            ("pool", "ironman", "--pods", "-", "--metrics", "-"),
            ("state", "-", "--live", "-"),
        ],
    )
    def test_it_can_be_read_only_once(self, run: Run, arguments: tuple[str, ...]) -> None:
        result = run(*arguments, input="ip,at\n10.0.1.25,2026-02-10T10:00Z\n")
        assert result.exit_code == 2
        assert "standard input" in result.stderr

    def test_a_dash_reads_what_is_piped_in(self, run: Run) -> None:
        logs = sorted((FIXTURES / "ironman").rglob("*.json.gz"))
        piped = run("timeline", "-", "-o", "jsonl", input=b"".join(log.read_bytes() for log in logs))
        assert piped.exit_code == 0
        assert len(piped.stdout.splitlines()) == 14

    def test_the_installed_command_works_in_a_pipeline(self) -> None:
        log = next((FIXTURES / "ironman").rglob("*T1320Z*.json.gz"))
        result = subprocess.run(
            [sys.executable, "-m", "cnitrail", "timeline", "-", "-o", "jsonl"],
            input=log.read_bytes(),
            capture_output=True,
            check=True,
        )
        assert [json.loads(line)["event"] for line in result.stdout.splitlines()][
            -1
        ] == "ModifyNetworkInterfaceAttribute"

    def test_a_named_pipe_is_read_as_a_file(self) -> None:
        log = next((FIXTURES / "ironman").rglob("*T1320Z*.json.gz"))
        command = f"{sys.executable} -m cnitrail timeline <(cat {log}) -o jsonl -q"
        result = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
        assert len(result.stdout.splitlines()) == 7
