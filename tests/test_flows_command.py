"""``cnitrail flows``: its command line, filters, summary, and what it says on stderr."""

import csv
import gc
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import FIXTURES, Run, Show

import cnitrail
from cnitrail.errors import UsageError
from cnitrail.model.flow_fields import DEFAULT as DEFAULT_FIELDS

FLOWS = "ironman-flows.log"
TRAIL = "ironman"
PODS = "pod-behind-an-address"
NODE = "i-03846c730abe852f4"
PRIMARY, SECOND = "eni-06d2f4a81c9b3e750", "eni-0bbea279695112970"
WEB = "shop/web-6d4cf56db6-x2x7k"
DEFAULT = (
    "2 111111111111 eni-06d2f4a81c9b3e750 192.168.55.245 192.168.20.9 41522 5432 6 14 2210 {} {} ACCEPT OK"
)


def records(run: Run, *arguments: str) -> list[Mapping[str, str]]:
    """Return the records that a command line writes."""
    return list(csv.DictReader(io.StringIO(run("flows", *arguments, "-o", "csv").stdout)))


@pytest.fixture
def default_format(tmp_path: Path) -> str:
    """A flow log without a header line, in the default format."""
    log = tmp_path / "default.log"
    log.write_text(DEFAULT.format(1664978403, 1664978458) + "\n")
    return str(log)


def test_columns_that_flows_writes_are_not_read_as_those_of_another_product(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "splunk.csv"
    log.write_text(
        "interface_id,src_ip,dest_ip,srcaddr,start_time,end_time\neni-1,10.0.0.1,10.0.0.2,10.0.0.1,1,2\n"
    )
    result = run("flows", str(log), "--with", TRAIL, "-o", "csv")
    assert result.exit_code == 3
    assert "it has a column src_ip already, which flows writes: rename it (AWS calls" in result.stderr
    own = tmp_path / "own.csv"
    own.write_text(run("flows", FLOWS, "--with", TRAIL, "-o", "csv").stdout)
    result = run("flows", str(own), "--with", TRAIL, "-o", "csv")
    assert result.exit_code == 3
    assert "it has a column src_ip already, so it is an output of flows" in result.stderr


def test_copies_of_a_file_are_told_as_their_records_count_twice(run: Run, tmp_path: Path) -> None:
    name = "111111111111_vpcflowlogs_eu-west-1_fl-0a1b2c3d_20221005T1400Z_5f0c1405"
    lines = f"{' '.join(DEFAULT_FIELDS)}\n{DEFAULT.format(1664978403, 1664978458)}\n"
    for path in (tmp_path / f"{name}.log", tmp_path / "copy" / f"{name}.log"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines)
    other = tmp_path / f"{name[:-4]}1410.log"
    other.write_text(lines)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / f"{name}.log").write_text(lines + lines)
    result = run("flows", str(tmp_path), "--with", TRAIL, "-o", "json")
    assert "1 file with the name and the size of another one, so records count twice: " in result.stderr
    limitations = json.loads(result.stdout)["limitations"]
    assert [one["code"] for one in limitations if "twice" in one["text"]] == ["flow-log-copied"]
    assert run("flows", str(other), "--with", TRAIL).stderr.count("twice") == 0


def test_a_copy_in_an_archive_is_told_as_its_records_count_twice(run: Run, tmp_path: Path) -> None:
    name = "111111111111_vpcflowlogs_eu-west-1_fl-0a1b2c3d_20221005T1400Z_5f0c1405.log"
    lines = f"{' '.join(DEFAULT_FIELDS)}\n{DEFAULT.format(1664978403, 1664978458)}\n".encode()
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(lines))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("AWSLogs/other.log", lines)
        archive.writestr(f"AWSLogs/{name}.gz", gzip.compress(lines))
    result = run("flows", str(tmp_path), "--with", TRAIL)
    assert "1 file with the name and the size of another one, so records count twice: " in result.stderr


class TestArguments:
    @pytest.mark.parametrize(
        "arguments",
        [
            (FLOWS, "--with", TRAIL, "two-vpcs"),
            (FLOWS, "--with", TRAIL, "two-vpcs", "-q"),
            (FLOWS, "--with", TRAIL, "--with", "two-vpcs"),
            (FLOWS, f"--with={TRAIL}", "--with=two-vpcs"),
            (f"--with={TRAIL}", FLOWS, "--with", "two-vpcs"),
            ("--with", TRAIL, "two-vpcs", "--", FLOWS),
            ("--with", TRAIL, "two-vpcs", "--port", "1-65535", FLOWS),
            ("--port", "1-65535", FLOWS, "--with", TRAIL, "two-vpcs"),
        ],
    )
    def test_with_takes_all_sources_up_to_the_next_option(self, run: Run, arguments: tuple[str, ...]) -> None:
        result = run("flows", "-o", "json", *arguments)
        document = json.loads(result.stdout)
        assert document["query"]["sources"] == [FLOWS]
        assert document["query"]["with"] == [TRAIL, "two-vpcs"]
        assert [source["uri"] for source in document["evidence"]["sources"]] == [TRAIL, "two-vpcs"]

    @pytest.mark.parametrize("arguments", [(), ("-o", "csv"), ("--", FLOWS)])
    def test_with_needs_a_source(self, run: Run, arguments: tuple[str, ...]) -> None:
        result = run("flows", FLOWS, "--with", *arguments)
        assert result.exit_code == 2
        assert result.stderr == (
            "error: --with needs a SOURCE\nhint: cnitrail flows flowlogs/ --with trail/\n"
        )

    def test_flow_logs_are_required(self, run: Run) -> None:
        result = run("flows")
        assert result.exit_code == 2
        assert result.stderr == "error: FLOWS is required\nhint: cnitrail flows flowlogs/ --with trail/\n"

    @pytest.mark.parametrize("given", [(TRAIL, FLOWS), (FLOWS, TRAIL)])
    def test_flow_logs_after_with_get_a_hint(self, run: Run, given: tuple[str, str]) -> None:
        result = run("flows", "--with", *given)
        assert result.exit_code == 2
        assert result.stderr == (
            "error: FLOWS is required, and --with takes all that follows it\n"
            f"hint: cnitrail flows {FLOWS} --with {TRAIL}\n"
        )

    def test_flow_logs_as_evidence_get_a_hint(self, run: Run) -> None:
        result = run("flows", TRAIL, "--with", FLOWS)
        assert result.exit_code == 1
        assert "only 1 other file (1 vpc-flow-logs)" in result.stderr
        assert "hint: flow logs come before --with: cnitrail flows flowlogs/ --with trail/" in result.stderr

    def test_any_other_command_names_flows_for_flow_logs(self, run: Run) -> None:
        result = run("who", "192.168.53.76", FLOWS, "--at", "2022-10-05T14:00Z")
        assert result.exit_code == 1
        assert "cnitrail flows FLOWS --with SOURCE" in result.stderr

    def test_cloudtrail_logs_as_flow_logs_get_a_hint(self, run: Run) -> None:
        result = run("flows", TRAIL, "--with", "two-vpcs")
        assert result.exit_code != 0
        assert result.stdout == ""
        assert "FLOWS are VPC flow logs" in result.stderr

    def test_a_directory_without_flow_logs_is_an_error(self, run: Run, tmp_path: Path) -> None:
        result = run("flows", str(tmp_path), "--with", TRAIL)
        assert result.exit_code == 1
        assert f"error: {tmp_path}: no VPC flow logs in it\n" in result.stderr

    def test_what_is_given_instead_of_flow_logs_is_said(self, run: Run) -> None:
        result = run("flows", TRAIL, "--with", PODS)
        assert result.exit_code == 1
        assert result.stderr == (
            f"error: {TRAIL}: no VPC flow logs in it, only 14 other files (14 cloudtrail-logs)\n"
            "hint: FLOWS are VPC flow logs, and --with names CloudTrail logs: "
            "cnitrail flows flowlogs/ --with trail/\n"
        )
        result = run("flows", PODS, "--with", TRAIL)
        assert result.exit_code == 3
        assert f"hint: {PODS}: no flow log records in it; FLOWS are VPC flow logs" in result.stderr

    def test_a_path_that_does_not_exist_is_an_error_before_the_evidence_is_read(self, run: Run) -> None:
        result = run("flows", "nosuch.log", "--with", "nosuch-trail/")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: nosuch.log: no such file or directory\n")

    def test_records_are_not_counted_twice(self, run: Run, tmp_path: Path) -> None:
        inner = tmp_path / "logs/2022"
        inner.mkdir(parents=True)
        (inner / "a.log").write_text((FIXTURES / FLOWS).read_text())
        for first, second, reason in (
            (FLOWS, FLOWS, "is given twice"),
            (str(tmp_path / "logs"), str(inner), f"is in {tmp_path}/logs, too"),
            (str(inner / "a.log"), str(tmp_path / "logs"), f"is in {tmp_path}/logs, too"),
            ("s3://logs/AWSLogs", "s3://logs", "s3://logs/AWSLogs is in s3://logs, too"),
            ("s3://logs/a", "s3://logs/a/b", "s3://logs/a/b is in s3://logs/a, too"),
        ):
            result = run("flows", first, second, "--with", TRAIL)
            assert result.exit_code == 2
            assert f"{reason}: its records would count twice\nhint: name each file once\n" in result.stderr
        (tmp_path / "logs2").mkdir()
        result = run("flows", str(tmp_path / "logs"), str(tmp_path / "logs2"), "--with", TRAIL)
        assert result.exit_code == 0

    def test_without_evidence_an_error_of_aws_names_the_option(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        result = run("flows", FLOWS)
        assert result.exit_code == 1
        assert result.stderr.startswith(
            "error: lookup: no AWS Region is set\n"
            "hint: name CloudTrail logs: cnitrail flows flowlogs/ --with trail/; or use --region REGION"
        )

    def test_only_one_of_both_is_standard_input(self, run: Run) -> None:
        result = run("flows", "-", "--with", "-", input="")
        assert result.exit_code == 2
        assert "FLOWS and --with cannot both be standard input" in result.stderr

    def test_flow_logs_may_be_standard_input(self, run: Run) -> None:
        text = (FIXTURES / FLOWS).read_text()
        result = run("flows", "-", "--with", TRAIL, "-o", "csv", input=text)
        assert result.exit_code == 0
        assert result.stdout == run("flows", FLOWS, "--with", TRAIL, "-o", "csv").stdout

    @pytest.mark.parametrize("port", ["x", "", "65536", "90-80", "-", "80,", "1-2-3"])
    def test_what_is_no_port_is_refused(self, run: Run, port: str) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, f"--port={port}")
        assert result.exit_code == 2
        assert f"error: --port: '{port}' is not a port\n" in result.stderr
        assert "hint: for example 443, 80,443 or 8000-8100" in result.stderr

    def test_records_in_json_cannot_be_queried(self, run: Run) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, "-o", "jsonl", "--query", "entries")
        assert result.exit_code == 2
        assert "use -o json for the summary" in result.stderr

    def test_the_summary_can_be_queried(self, run: Run) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, "--query", "entries[0].records")
        assert result.stdout == "52\n"

    @pytest.mark.parametrize("words", [["--with", "t"], ["f.log", "--with", "a", "t"], ["t"]])
    def test_sources_are_completed(self, words: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail"],
            env={
                **os.environ,
                "_CNITRAIL_COMPLETE": "bash_complete",
                "COMP_WORDS": " ".join(["cnitrail", "flows", *words]),
                "COMP_CWORD": str(len(words) + 1),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["file,t"]


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "flows", "no_data"),
        [
            ((), 52, 2),
            (("--instance", NODE), 52, 2),
            (("--instance", "i-0ffffffffffffffff"), 1, 0),
            (("--eni", SECOND), 9, 1),
            (("--eni", PRIMARY, "--eni", SECOND), 52, 2),
            (("--eni", "eni-0123456789abcdef0"), 0, 0),
            (("--ip", "192.168.53.76"), 9, 1),
            (("--ip", "203.0.113.0/24"), 3, 0),
            (("--ip", "203.0.113.80", "--eni", SECOND), 2, 0),
            (("--pod", WEB), 8, 1),
            (("--pod", "shop/cart-*"), 2, 1),
            (("--pod", WEB, "--port", "3389"), 2, 1),
            (("--rejected",), 42, 2),
            (("--rejected", "--ip", "198.51.100.7"), 2, 0),
            (("--port", "443"), 3, 2),
            (("--port", "443,3389"), 5, 2),
            (("--port", "443", "--port", "5432"), 7, 2),
            (("--port", "3000-6000"), 6, 2),
            (("--since", "2022-10-05T15:00Z"), 1, 0),
            (("--until", "2022-10-05T14:00:02Z"), 6, 0),
            (("--until", "2022-10-05T13:59:02Z"), 0, 0),
            (("--since", "2022-10-05T14:30:40Z", "--until", "2022-10-05T14:32:00Z"), 1, 0),
        ],
    )
    def test_a_filter_selects_flows_and_what_it_leaves_out_is_counted(
        self, run: Run, filters: tuple[str, ...], flows: int, no_data: int
    ) -> None:
        result = run("flows", FLOWS, "--with", PODS, *filters, "-o", "json")
        assert result.exit_code == 0
        report = json.loads(result.stdout)["evidence"]["flows"][0]
        assert (report["joined"], report["no_data"] + report["skip_data"]) == (flows, no_data)
        assert report["filtered"] == 54 - flows - no_data

    def test_a_filter_does_not_limit_the_evidence(self, run: Run) -> None:
        (record,) = records(run, FLOWS, "--with", TRAIL, "--since", "2022-10-05T15:00Z")
        assert (record["src_eni"], record["src_assigned_by"]) == (SECOND, "kube-system/aws-node")

    def test_records_that_are_taken_are_the_same_as_without_a_filter(self, run: Run) -> None:
        every = records(run, FLOWS, "--with", PODS)
        assert [record for record in every if record["dstport"] == "3389"] == [
            record
            for record in records(run, FLOWS, "--with", PODS, "--port", "3389")
            if record["log-status"] == "OK"
        ]

    def test_a_filter_that_nothing_mentions_is_said(self, run: Run) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, "--instance", "i-0123456789abcdef0")
        assert "no matching flows; read 1 file with 54 flow log records (54 filtered)" in result.stderr
        assert f"no event mentions i-0123456789abcdef0; instances in this evidence: {NODE}" in result.stderr

    @pytest.mark.parametrize(
        ("option", "value", "columns"),
        [
            ("--eni", SECOND, ("interface-id", "src_eni", "dst_eni")),
            ("--instance", NODE, ("instance-id", "src_instance", "dst_instance")),
            ("--instance", "i-0ffffffffffffffff", ("instance-id", "src_instance", "dst_instance")),
            ("--pod", WEB, ("src_pod", "dst_pod")),
            ("--pod", "shop/cart-7f9c64bd5d-qq8zn", ("src_pod", "dst_pod")),
            ("--ip", "192.168.34.201", ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")),
        ],
    )
    def test_selecting_before_the_join_takes_what_the_joined_columns_name(
        self, run: Run, option: str, value: str, columns: tuple[str, ...]
    ) -> None:
        every = [record for record in records(run, FLOWS, "--with", PODS) if record["log-status"] == "OK"]
        named = [record for record in every if any(value in record[column].split(";") for column in columns)]
        taken = records(run, FLOWS, "--with", PODS, option, value)
        assert named
        assert [record for record in taken if record["log-status"] == "OK"] == named


HAND_WRITTEN = """\
interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport start end action bytes log-status
eni-0bbea279695112970 192.168.38.190 192.168.55.245 192.168.53.76 192.168.34.201 1001 5432 \
1664978400 1664978430 ACCEPT 1 OK
eni-0bbea279695112970 198.51.100.7 192.168.38.190 198.51.100.7 192.168.53.76 40000 3389 \
1664978700 1664978701 REJECT 2 OK
eni-0bbea279695112970 192.168.38.190 203.0.113.80 192.168.53.76 203.0.113.80 40001 443 \
1664980240 1664980290 ACCEPT 3 OK
eni-0bbea279695112970 192.168.38.190 203.0.113.80 192.168.53.76 203.0.113.80 40002 443 \
1664980800 1664980830 ACCEPT 4 OK
eni-06d2f4a81c9b3e750 192.168.55.245 203.0.113.80 192.168.55.245 203.0.113.80 40003 8443 \
1664979000 1664979010 ACCEPT 5 OK
eni-0bbea279695112970 192.168.38.190 192.168.20.9 192.168.41.30 192.168.20.9 40004 8080 \
1664979600 1664979630 REJECT 6 OK
eni-0aaaaaaaaaaaaaaaa 10.9.9.9 10.9.9.10 10.9.9.9 10.9.9.10 40005 22 \
1664978400 1664978410 ACCEPT 7 OK
eni-0bbea279695112970 - - - - - - \
1664981400 1664981459 - - NODATA
"""
"""Records from 14:00:00, 14:05:00, 14:30:40, 14:40:00, 14:10:00, 14:20:00, 14:00:00 and 14:50:00 UTC, with
their numbers as bytes. 192.168.53.76 was of the pod web until 14:30:30, and of the pod cart from 14:31:10."""


class TestFiltersByHand:
    """What a filter takes of a few records, as one finds it by reading them."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> str:
        """The records as a file in a directory."""
        path = tmp_path / "logs/hand.log"
        path.parent.mkdir()
        path.write_text(HAND_WRITTEN)
        return str(path.parent)

    @pytest.mark.parametrize(
        ("filters", "taken"),
        [
            ("", "1 2 3 4 5 6 7 -"),
            (f"--instance {NODE}", "1 2 3 4 5 6 -"),
            ("--instance i-0ffffffffffffffff", ""),
            (f"--eni {SECOND}", "1 2 3 4 6 -"),
            (f"--eni {PRIMARY}", "1 5"),
            ("--eni eni-0aaaaaaaaaaaaaaaa", "7"),
            (f"--eni {SECOND} --eni eni-0aaaaaaaaaaaaaaaa", "1 2 3 4 6 7 -"),
            ("--ip 192.168.53.76", "1 2 3 4 -"),
            ("--ip 192.168.38.190", "1 2 3 4 6 -"),
            ("--ip 203.0.113.0/24", "3 4 5"),
            ("--ip 10.9.9.0/24", "7"),
            ("--ip 203.0.113.80 --ip 198.51.100.7", "2 3 4 5"),
            (f"--pod {WEB}", "1 2 3 -"),
            ("--pod shop/cart-*", "3 4 -"),
            ("--pod nobody", ""),
            (f"--pod {WEB} --ip 203.0.113.80", "3"),
            (f"--pod {WEB} --eni {PRIMARY}", "1"),
            ("--since 2022-10-05T14:31:30Z", "3 4 -"),
            ("--since 2022-10-05T14:31:31Z", "4 -"),
            ("--since 2022-10-05T14:51:00Z", ""),
            ("--until 2022-10-05T13:58:59Z", ""),
            ("--until 2022-10-05T13:59:00Z", "1 7"),
            ("--until 2022-10-05T14:04:00Z", "1 2 7"),
            ("--since 2022-10-05T14:05:01Z --until 2022-10-05T14:09:00Z", "2 5"),
            ("--rejected", "2 6 -"),
            (f"--rejected --pod {WEB}", "2 -"),
            ("--port 443", "3 4 -"),
            ("--port 1001", "1 -"),
            ("--port 400-5500", "1 2 3 4 -"),
            ("--port 22,8080", "6 7 -"),
            ("--rejected --port 443", "-"),
        ],
    )
    def test_it_takes_the_same_in_any_way_of_running(
        self, run: Run, log: str, tmp_path: Path, filters: str, taken: str
    ) -> None:
        command = (log, "--with", PODS, *filters.split())
        for workers in ("1", "2"):
            out = tmp_path / workers
            run("flows", *command, "--workers", workers, "-o", "csv", "--to", str(out))
            with (out / "hand.log").open(newline="") as file:
                written = list(csv.DictReader(file))
            assert [record["bytes"] for record in written] == taken.split()
            assert written == records(run, *command, "--workers", workers)

    def test_an_address_in_ipv6_form_is_the_same_address(self, run: Run, log: str) -> None:
        plain = records(run, log, "--with", PODS, "--ip", "192.168.53.76")
        path = Path(log) / "hand.log"
        path.write_text(HAND_WRITTEN.replace("192.168.", "::ffff:192.168."))
        mapped = records(run, log, "--with", PODS, "--ip", "192.168.53.76")
        assert [record["bytes"] for record in mapped] == ["1", "2", "3", "4", "-"]
        assert [
            {name: record[name] for name in record if name[:4] in ("src_", "dst_")} for record in mapped
        ] == [{name: record[name] for name in record if name[:4] in ("src_", "dst_")} for record in plain]

    def test_an_address_that_the_default_format_cannot_show_gets_a_warning(
        self, run: Run, default_format: str
    ) -> None:
        command = ("flows", default_format, "--format", "default", "--with", PODS)
        for filters in (("--ip", "192.168.53.76"), ("--pod", WEB)):
            result = run(*command, *filters)
            assert "no matching flows" in result.stderr
            assert (
                "warning: no flow matches; a flow log without pkt-srcaddr and pkt-dstaddr shows the ENI's "
                f"primary address, whichever address was used: try --eni {SECOND}" in result.stderr
            )
        for filters in (("--ip", "10.9.9.9"), ("--ip", "192.168.55.245"), ("--pod", "nobody")):
            assert "no flow matches" not in run(*command, *filters).stderr


class TestSummary:
    def test_talkers_are_named_and_each_record_counts_at_its_own_interface(self, run: Run) -> None:
        (entry,) = json.loads(run("flows", FLOWS, "--with", PODS, "-o", "json").stdout)["entries"]
        talkers = {talker["name"]: talker for talker in entry["talkers"]}
        assert talkers[WEB] == {
            "name": WEB,
            "kind": "pod",
            "records": 5,
            "certain": 5,
            "sent": 5_122_210,
            "received": 9_800,
            "rejected": 2,
        }
        assert sum(talker["records"] for talker in entry["talkers"]) == entry["records"] == 52
        assert (entry["first"], entry["last"]) == ("2022-10-05T14:00:03Z", "2022-10-05T15:21:40Z")

    def test_a_name_that_is_not_certain_is_not_counted_as_certain(self, run: Run) -> None:
        (entry,) = json.loads(run("flows", FLOWS, "--with", PODS, "-o", "json").stdout)["entries"]
        both = next(talker for talker in entry["talkers"] if " or shop/" in talker["name"])
        assert both["name"] == f"{WEB} or shop/cart-7f9c64bd5d-qq8zn"
        assert (both["records"], both["certain"]) == (1, 0)

    def test_many_ports_of_one_pair_are_one_row(self, run: Run) -> None:
        (entry,) = json.loads(run("flows", FLOWS, "--with", PODS, "-o", "json").stdout)["entries"]
        assert entry["rejected"] == [
            {
                "src": "198.51.100.9",
                "dst": f"{NODE} or its pods",
                "port": None,
                "records": 40,
                "packets": 40,
                "is_scan": True,
            },
            {
                "src": "198.51.100.7",
                "dst": WEB,
                "port": "3389",
                "records": 2,
                "packets": 2,
                "is_scan": False,
            },
        ]

    def test_it_says_why_ends_are_not_certain(self, run: Run) -> None:
        (entry,) = json.loads(run("flows", FLOWS, "--with", TRAIL, "-o", "json").stdout)["entries"]
        assert entry["unattributed"][0] == {
            "verdict": "unknown",
            "pod_verdict": None,
            "reason": "public-address",
            "text": "The address is public, and no ENI of the evidence had it.",
            "ends": 45,
            "bytes": 53_211_680,
        }
        assert sum(share["ends"] for share in entry["verdicts"]) == 2 * entry["records"]

    def test_contradictions_are_counted_by_field(self, run: Run) -> None:
        (entry,) = json.loads(run("flows", FLOWS, "--with", TRAIL, "-o", "json").stdout)["entries"]
        assert entry["contradicted"] == {"instance-id": 1}
        assert entry["confirmed"]["vpc-id"] == 52
        assert "agree with CloudTrail" not in run("flows", FLOWS, "--with", TRAIL).stdout

    @pytest.mark.parametrize("width", [80, 100, 160])
    def test_the_answer_comes_first_on_every_screen(self, show: Show, width: int) -> None:
        text = " ".join(show(width, "flows", FLOWS, "--with", PODS).split())
        assert text.startswith(
            "52 flows, 53.3 MB, 2022-10-05 14:00:03 to 15:21:40Z. 42 rejected. "
            "92% of the private ends have a certain holder. Top talkers TALKER"
        )
        assert "Metadata that contradict CloudTrail: instance-id of 1 flow; such an end is likely" in text


class TestAccount:
    def test_stderr_says_what_was_read_of_both(self, run: Run) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, "-o", "csv")
        assert result.exit_code == 0
        assert result.stderr.splitlines() == [
            "52 flows; read 1 file with 54 flow log records (1 NODATA, 1 SKIPDATA)",
            (
                "evidence: read 14 files with 56 events, 17 IP-related "
                "(2022-10-05 13:14:10Z to 2022-10-05 15:22:24Z)"
            ),
        ]

    def test_quiet_is_quiet(self, run: Run) -> None:
        assert run("flows", FLOWS, "--with", TRAIL, "-q").stderr == ""

    def test_the_default_format_is_said_once_to_name_no_pod(self, run: Run, default_format: str) -> None:
        result = run("flows", default_format, "--format", "default", "--with", TRAIL)
        assert result.exit_code == 0
        assert result.stderr.count("so no pod is named: add pkt-srcaddr and pkt-dstaddr") == 1
        assert run("flows", FLOWS, "--with", TRAIL).stderr.count("pkt-srcaddr") == 0

    def test_flows_after_the_evidence_are_said(self, run: Run, tmp_path: Path) -> None:
        log = tmp_path / "late.log"
        log.write_text(DEFAULT.format(1664988403, 1664988458) + "\n")
        result = run("flows", str(log), "--with", TRAIL, "--format", "default")
        assert "warning: the evidence of 111111111111 in eu-west-1 ends at" in result.stderr

    def test_what_could_not_be_read_of_flow_logs_is_said_with_status_3(
        self, run: Run, tmp_path: Path
    ) -> None:
        log = tmp_path / "torn.log"
        lines = (FIXTURES / FLOWS).read_text().splitlines()
        log.write_text("\n".join([*lines[:2], lines[3][:60]]) + "\n")
        result = run("flows", str(log), "--with", TRAIL, "-o", "json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["evidence"]["flows"][0]["records_skipped"] == 1
        assert f"skipped: {log}: record 1: " in result.stderr

    def test_a_file_that_cannot_be_read_is_not_said_to_have_no_records(
        self, run: Run, default_format: str
    ) -> None:
        result = run("flows", default_format, "--with", TRAIL, "-o", "csv")
        assert result.exit_code == 3
        assert "hint:" not in result.stderr
        assert (
            f"skipped: {default_format}: flow log records without a header line, and no format"
            in result.stderr
        )

    def test_a_file_without_records_gets_a_hint(self, run: Run, tmp_path: Path) -> None:
        log = tmp_path / "empty.log"
        log.write_text("")
        result = run("flows", str(log), "--with", TRAIL, "-o", "csv")
        assert f"hint: {log}: no flow log records in it; FLOWS are VPC flow logs" in result.stderr

    def test_a_run_that_finds_nothing_new_says_so(self, run: Run, tmp_path: Path) -> None:
        command = ("flows", FLOWS, "--with", TRAIL, "-o", "csv", "--to", str(tmp_path / "out"))
        run(*command)
        result = run(*command)
        assert result.exit_code == 0
        assert result.stderr.splitlines()[:2] == ["1 file written by an earlier run", "no new flow logs"]
        assert "hint:" not in result.stderr

    def test_a_filter_that_found_flows_in_an_earlier_run_is_not_said_to_match_none(
        self, run: Run, tmp_path: Path
    ) -> None:
        options = ("-o", "csv", "--to", str(tmp_path / "out"), "--ip", "192.168.34.201")
        assert run("flows", FLOWS, "--with", TRAIL, *options).stderr.startswith("4 flows")
        assert "no flow matches" not in run("flows", FLOWS, "--with", TRAIL, *options).stderr

    @pytest.mark.parametrize(("output", "name"), [("csv", "a.parquet"), ("jsonl", "a.csv"), ("csv", "a.csv")])
    def test_a_directory_with_the_name_of_a_file_is_refused(
        self, run: Run, tmp_path: Path, output: str, name: str
    ) -> None:
        result = run("flows", FLOWS, "--with", TRAIL, "-o", output, "--to", str(tmp_path / name))
        assert result.exit_code == 2
        assert "--to is a directory, with a file for each file of FLOWS" in result.stderr
        assert not (tmp_path / name).exists()


class TestApi:
    def test_the_garbage_of_the_caller_is_still_collected(self) -> None:
        case = cnitrail.read(FIXTURES / TRAIL)
        list(case.flows(FIXTURES / FLOWS))
        assert gc.get_freeze_count() == 0

    def test_records_are_those_of_jsonl(self, run: Run) -> None:
        case = cnitrail.read(FIXTURES / PODS)
        flows = case.flows(FIXTURES / FLOWS, pod=WEB, port=[443, "5432"])
        lines = run("flows", FLOWS, "--with", PODS, "--pod", WEB, "--port", "443,5432", "-o", "jsonl").stdout
        assert list(flows) == [json.loads(line) for line in lines.splitlines()]
        assert flows.summary().records == 6
        assert (flows.reports[0].filtered, flows.skipped) == (47, ())

    def test_records_come_one_by_one(self) -> None:
        flows = cnitrail.read(FIXTURES / TRAIL).flows(FIXTURES / FLOWS)
        first = next(flows)
        assert (first["src_ip"], first["src_verdict"], first["bytes"]) == ("192.168.53.76", "certain", 2210)
        assert sum(1 for _ in flows) == 53

    @pytest.mark.parametrize("port", ["x", 70_000, [80, "a"], -1])
    def test_what_is_no_port_is_an_error(self, port: object) -> None:
        case = cnitrail.read(FIXTURES / TRAIL)
        with pytest.raises(UsageError, match="is not a port"):
            case.flows(FIXTURES / FLOWS, port=port)  # type: ignore[arg-type]

    def test_flow_logs_are_required(self) -> None:
        with pytest.raises(UsageError, match="needs flow logs"):
            cnitrail.read(FIXTURES / TRAIL).flows()
