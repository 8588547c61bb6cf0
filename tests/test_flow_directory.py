"""``flows --to DIR``: an output file for each input file, done once, and whole or not at all."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from conftest import FIXTURES, Run
from flow_logs import COLUMNS, EVIDENCE, flow, flow_log, write_log

from cnitrail.workflows.flows.directory import LIST, output_name


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    write_log(tmp_path / "logs/2022/10/05/a.log.gz", map(flow, range(20)))
    write_log(tmp_path / "logs/2022/10/06/b.log.gz", map(flow, range(20, 50)))
    write_log(tmp_path / "logs/c.log", map(flow, range(50, 60)))
    return tmp_path / "logs"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder) if name != LIST}


class TestNames:
    """What the output of a file is called."""

    @pytest.mark.parametrize(
        ("source", "uri", "output", "name"),
        [
            ("logs", "logs/a/b.log.gz", "csv", "a/b.log.gz"),
            ("logs/", "logs/a/b.log.gz", "jsonl", "a/b.log.gz"),
            ("logs/a/b.log.gz", "logs/a/b.log.gz", "csv", "b.log.gz"),
            (".", "./a/b.log", "csv", "a/b.log"),
            ("s3://bucket", "s3://bucket/AWSLogs/1/b.log.gz", "csv", "AWSLogs/1/b.log.gz"),
            ("s3://bucket/AWSLogs/1", "s3://bucket/AWSLogs/1/b.log.gz", "csv", "b.log.gz"),
            ("s3://bucket/AWSLogs/1", "s3://bucket/AWSLogs/11/b.log.gz", "csv", "11/b.log.gz"),
            ("logs", "logs/a.tar.gz!/x/b.log", "csv", "a.tar.gz/x/b.log"),
            ("logs", "logs/a.tar.gz!/./b.log", "csv", "a.tar.gz/b.log"),
            ("logs", "logs/b.log.parquet", "csv", "b.log.csv"),
            ("logs", "logs/b.json.gz", "csv", "b.csv.gz"),
            ("logs", "logs/b.log.gz", "parquet", "b.log.parquet"),
            ("logs", "logs/b.log.parquet", "parquet", "b.log.parquet"),
            ("-", "-", "csv", "stdin"),
        ],
    )
    def test_it_is_that_of_the_file_below_its_source(
        self, source: str, uri: str, output: str, name: str
    ) -> None:
        assert output_name(source, uri, output) == name

    @pytest.mark.parametrize("member", ["../../x", "a/../../../x", "..", "", "a\0b"])
    def test_none_leads_out_of_the_directory(self, member: str) -> None:
        assert output_name("logs", f"logs/../{member}", "csv") is None
        if member:
            assert output_name("logs", f"logs/a.tar!/{member}", "csv") is None

    @pytest.mark.parametrize(("length", "is_one"), [(251, True), (252, False)])
    def test_none_is_longer_than_file_systems_allow(self, length: int, is_one: bool) -> None:
        name = "n" * length + ".log"
        assert output_name("logs", f"logs/{name}", "csv") == (name if is_one else None)
        assert output_name("logs", f"logs/a.tar!/{name}/b.log", "csv") == (
            f"a.tar/{name}/b.log" if is_one else None
        )

    def test_a_directory_may_end_with_an_exclamation_mark(self) -> None:
        assert output_name("logs", "logs/a!/b.log", "csv", "logs/a!/b.log") == "a!/b.log"
        assert output_name("logs", "logs/a!/b.tar!/c.log", "csv", "logs/a!/b.tar") == "a!/b.tar/c.log"

    def test_none_is_that_of_the_list(self) -> None:
        assert output_name("logs", f"logs/{LIST}", "csv") is None


class TestFiles:
    """What is written."""

    def test_every_file_gets_one_of_its_name(self, run: Run, logs: Path, out: Path) -> None:
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 0
        assert result.stdout == ""
        assert files(out) == [LIST, "2022/10/05/a.log.gz", "2022/10/06/b.log.gz", "c.log"]
        lines = gzip.decompress((out / "2022/10/05/a.log.gz").read_bytes()).decode().splitlines()
        assert lines[0].startswith("version,account-id,interface-id,")
        assert len(lines) == 21
        assert len((out / "c.log").read_text().splitlines()) == 11

    def test_they_are_those_of_standard_output(self, run: Run, logs: Path, out: Path) -> None:
        run("flows", logs, "--with", EVIDENCE, "-o", "jsonl", "--to", out)
        written = [
            gzip.decompress(text) if name.endswith(".gz") else text for name, text in content(out).items()
        ]
        assert b"".join(written).decode() == run("flows", logs, "--with", EVIDENCE, "-o", "jsonl").stdout

    def test_any_number_of_processes_writes_the_same_bytes(
        self, run: Run, logs: Path, tmp_path: Path
    ) -> None:
        write_log(logs / "large.log.gz", map(flow, range(30_000)))
        for number in (1, 3):
            subprocess.run(
                (*(sys.executable, "-m", "cnitrail", "flows", logs, "--with", EVIDENCE, "-o", "csv"),
                 *("--to", tmp_path / f"out{number}", "--workers", str(number))),
                check=True, capture_output=True,
            )  # fmt: skip
        assert content(tmp_path / "out1") == content(tmp_path / "out3")

    def test_a_file_without_records_gets_an_empty_one(self, run: Run, tmp_path: Path, out: Path) -> None:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs/empty.log.gz").write_bytes(gzip.compress(b""))
        write_log(tmp_path / "logs/a.log", [flow(1)])
        result = run("flows", tmp_path / "logs", "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 0
        assert gzip.decompress((out / "empty.log.gz").read_bytes()) == b""

    def test_members_of_an_archive_are_below_its_name(self, run: Run, tmp_path: Path, out: Path) -> None:
        (tmp_path / "logs").mkdir()
        with tarfile.open(tmp_path / "logs/all.tar.gz", "w:gz") as archive:
            for name in ("x/a.log", "../../../evil.log"):
                text = flow_log([flow(1)])
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
        result = run("flows", tmp_path / "logs", "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 3
        assert "evil.log: its name cannot be that of an output file" in result.stderr
        assert files(out) == [LIST, "all.tar.gz/x/a.log"]
        assert files(tmp_path / "logs") == ["all.tar.gz"]

    def test_hostile_members_of_an_archive_lead_nowhere_and_stop_nothing(
        self, run: Run, tmp_path: Path, out: Path
    ) -> None:
        (tmp_path / "packed").mkdir()
        with tarfile.open(tmp_path / "packed/logs.tar", "w") as archive:
            for name in (
                *("../x.log", "/etc/y.log", "a/../../z.log", "d.log", "d.log/inside.log", "n" * 300),
                *("f/g.log", "f", "last.log"),
            ):
                data = flow_log([flow(1)])
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(link)
        result = run("flows", tmp_path / "packed", "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 3
        assert files(out) == [
            LIST,
            *(f"logs.tar/{name}" for name in ("d.log", "etc/y.log", "f/g.log", "last.log")),
        ]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "packed"]
        for name in ("../x.log", "a/../../z.log", "n" * 300):
            assert f"logs.tar!/{name}: its name cannot be that of an output file" in result.stderr
        for name in ("d.log/inside.log", "f"):
            assert (
                f"logs.tar!/{name}: its output would be logs.tar/{name}, "
                "and a file cannot be in place of a directory" in result.stderr
            )

    def test_files_of_different_columns_are_all_written(self, run: Run, logs: Path, out: Path) -> None:
        write_log(logs / "d.log", [flow(2).rsplit(" ", 1)[0]], COLUMNS[:-1])
        assert run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out).exit_code == 0
        headers = [(out / name).read_text().split(",src_ip")[0] for name in ("c.log", "d.log")]
        assert headers == [",".join(COLUMNS), ",".join(COLUMNS[:-1])]


class TestAgain:
    """A second run goes on where the first one stopped."""

    def test_what_is_done_is_not_read_again(self, run: Run, logs: Path, out: Path) -> None:
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        run(*command)
        before = {name: (out / name).stat().st_mtime_ns for name in files(out)}
        assert run(*command).exit_code == 0
        assert {name: (out / name).stat().st_mtime_ns for name in files(out)} == before

    def test_what_was_skipped_before_is_said_again(self, run: Run, logs: Path, out: Path) -> None:
        write_log(logs / "bad.log", [flow(1), "no flow"])
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert run(*command).exit_code == 3
        again = run(*command)
        assert again.exit_code == 3
        assert "1 record could not be read by the run that wrote bad.log" in again.stderr

    def test_new_changed_and_lost_files_are_written(self, run: Run, logs: Path, out: Path) -> None:
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        run(*command)
        whole = content(out)
        write_log(logs / "new.log", [flow(7)])
        write_log(logs / "c.log", map(flow, range(3)))
        (out / "2022/10/06/b.log.gz").unlink()
        assert run(*command).exit_code == 0
        assert len((out / "new.log").read_text().splitlines()) == 2
        assert len((out / "c.log").read_text().splitlines()) == 4
        assert (out / "2022/10/06/b.log.gz").read_bytes() == whole["2022/10/06/b.log.gz"]

    def test_a_torn_file_is_written_as_far_as_it_goes_and_read_again(
        self, run: Run, logs: Path, out: Path
    ) -> None:
        path = logs / "2022/10/05/a.log.gz"
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        os.utime(path, ns=(1, 1))
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert run(*command).exit_code == 3
        assert (out / "2022/10/05/a.log.gz").exists()
        again = run(*command)
        assert again.exit_code == 3
        assert "a.log.gz: " in again.stderr
        path.write_bytes(whole)
        assert run(*command).exit_code == 0
        text = gzip.decompress((out / "2022/10/05/a.log.gz").read_bytes())
        assert len(text.splitlines()) == 21

    def test_a_run_that_is_killed_leaves_whole_files_only(self, tmp_path: Path, out: Path) -> None:
        logs = tmp_path / "logs"
        for number in range(8):
            write_log(logs / f"{number}.log.gz", map(flow, range(4000)))
        command = [sys.executable, "-m", "cnitrail", "flows", str(logs), "--with", str(EVIDENCE)]
        command += ["-o", "csv", "--to", str(out), "--workers", "2"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            until = time.monotonic() + 60
            while not (out / "1.log.gz").exists():
                assert time.monotonic() < until
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        for name, text in content(out).items():
            if name.endswith(".gz"):
                assert len(gzip.decompress(text).splitlines()) == 4001
        subprocess.run(command, check=True, capture_output=True)
        assert files(out) == [LIST, *(f"{number}.log.gz" for number in range(8))]

    def test_a_list_that_ends_in_the_middle_of_a_line(self, run: Run, logs: Path, out: Path) -> None:
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        run(*command)
        whole = content(out)
        text = (out / LIST).read_bytes()
        (out / LIST).write_bytes(text[:-9])
        assert run(*command).exit_code == 0
        assert content(out) == whole
        assert all(json.loads(line) for line in (out / LIST).read_text().splitlines())


class TestRefusals:
    """What is refused, before anything is written."""

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (("-o", "jsonl"), "written with -o csv"),
            (("-o", "csv", "--format", "default"), "with another value of --format\n"),
            (("-o", "csv", "--ip", "10.0.0.1", "--rejected"), "with another value of --ip, --rejected\n"),
            (("-o", "csv", "--since", "2h"), "with another value of --since\nhint: name a new directory"),
        ],
    )
    def test_other_options(
        self, run: Run, logs: Path, out: Path, changed: tuple[str, ...], message: str
    ) -> None:
        run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        before = content(out)
        result = run("flows", logs, "--with", EVIDENCE, *changed, "--to", out)
        assert result.exit_code == 2
        assert message in result.stderr
        assert content(out) == before

    def test_a_time_before_now_is_another_one_in_the_next_run_and_the_first_one_can_be_given(
        self, run: Run, logs: Path, out: Path
    ) -> None:
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        run(*command, "--last", "90000h")
        result = run(*command, "--last", "90000h")
        assert result.exit_code == 2
        assert "with another value of --since\nhint: to go on, use --since 20" in result.stderr
        since = result.stderr.partition("to go on, use --since ")[2].partition(";")[0]
        result = run(*command, "--since", since)
        assert result.exit_code == 0
        assert "3 files written by an earlier run\nno new flow logs\n" in result.stderr

    def test_other_evidence(self, run: Run, logs: Path, out: Path) -> None:
        run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        result = run("flows", logs, "--with", FIXTURES / "two-vpcs", "-o", "csv", "--to", out)
        assert result.exit_code == 2
        assert "written from other evidence" in result.stderr

    def test_a_directory_that_is_read(self, run: Run, logs: Path) -> None:
        for to in (logs, logs / "2022", logs / "new"):
            result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", to)
            assert result.exit_code == 2
            assert f"--to {to}: it is in {logs}, which is read" in result.stderr
        assert not (logs / "new").exists()

    def test_evidence_is_not_written_to(self, run: Run, logs: Path, tmp_path: Path) -> None:
        trail = tmp_path / "trail"
        trail.mkdir()
        for to in (trail, trail / "out"):
            result = run("flows", logs, "--with", trail, "-o", "csv", "--to", to)
            assert result.exit_code in (1, 2)
        assert not files(trail)

    def test_a_summary_has_no_files(self, run: Run, logs: Path, out: Path) -> None:
        result = run("flows", logs, "--with", EVIDENCE, "-o", "table", "--to", out)
        assert result.exit_code == 2
        assert "--to needs -o csv or -o jsonl or -o parquet" in result.stderr

    def test_a_directory_of_someone_else(self, run: Run, logs: Path, out: Path) -> None:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 2
        assert "not empty" in result.stderr
        assert files(out) == ["mine.txt"]

    def test_a_file_of_someone_else(self, run: Run, logs: Path, out: Path) -> None:
        command = ("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", out)
        run(*command)
        write_log(logs / "new.log", [flow(7)])
        (out / "new.log").write_text("mine")
        result = run(*command)
        assert result.exit_code == 3
        assert "which is there already" in result.stderr
        assert (out / "new.log").read_text() == "mine"

    def test_two_sources_with_a_file_of_the_same_name(self, run: Run, tmp_path: Path, out: Path) -> None:
        write_log(tmp_path / "x/a.log", [flow(1)])
        write_log(tmp_path / "y/a.log", [flow(1)])
        result = run("flows", tmp_path / "x", tmp_path / "y", "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert result.exit_code == 2
        assert "would have the same output a.log" in result.stderr
        assert not out.exists()

    def test_a_later_run_does_not_write_over_the_output_of_another_file(
        self, run: Run, tmp_path: Path, out: Path
    ) -> None:
        for folder, number in (("x", 1), ("y", 2)):
            write_log(tmp_path / folder / "a.log", [flow(number)])
        command = ("--with", EVIDENCE, "-o", "csv", "--to", out)
        run("flows", tmp_path / "x", *command)
        before = content(out)
        for _ in range(2):
            result = run("flows", tmp_path / "y", *command)
            assert result.exit_code == 3
            assert (
                f"{tmp_path}/y/a.log: its output would be a.log, "
                f"which an earlier run wrote for {tmp_path}/x/a.log; name another --to" in result.stderr
            )
            assert content(out) == before

    def test_standard_input_is_another_one_each_time(self, run: Run, tmp_path: Path, out: Path) -> None:
        command = ("flows", "-", "--with", EVIDENCE, "-o", "csv", "--to", out)
        assert run(*command, input=flow_log([flow(1)])).exit_code == 0
        before = content(out)
        result = run(*command, input=flow_log([flow(2)]))
        assert result.exit_code == 3
        assert "-: its output would be stdin, which an earlier run wrote for -;" in result.stderr
        assert content(out) == before

    def test_a_file_is_the_same_by_another_path(self, run: Run, tmp_path: Path, out: Path) -> None:
        write_log(tmp_path / "x/a.log", [flow(1)])
        for path in (tmp_path / "x", tmp_path / "x/../x", tmp_path / "x/a.log"):
            result = run("flows", path, "--with", EVIDENCE, "-o", "csv", "--to", out)
            assert result.exit_code == 0
            assert files(out) == [LIST, "a.log"]

    def test_two_files_of_one_source_with_one_output(self, run: Run, tmp_path: Path, out: Path) -> None:
        pytest.importorskip("arro3.io")
        write_log(tmp_path / "x/a.log", [flow(1)])
        write_log(tmp_path / "x/a.log.gz", [flow(1)])
        result = run("flows", tmp_path / "x", "--with", EVIDENCE, "-o", "parquet", "--to", out)
        assert result.exit_code == 3
        assert "its output would be a.log.parquet, which another file has already" in result.stderr

    def test_a_path_that_cannot_be_a_directory(self, run: Run, logs: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", tmp_path / "file/out")
        assert result.exit_code == 1
        assert result.stderr == (
            f"error: {tmp_path}/file/out: cannot be written: Not a directory\n"
            "hint: name a directory that can be written\n"
        )

    def test_a_file_in_place_of_the_directory(self, run: Run, logs: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", tmp_path / "file")
        assert result.exit_code == 2
        assert result.stderr == f"error: --to {tmp_path}/file: not a directory\nhint: name a new directory\n"
        assert (tmp_path / "file").read_text() == "mine"

    def test_no_name_at_all(self, run: Run, logs: Path) -> None:
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", "")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: --to needs a directory\n")

    def test_a_name_of_a_file(self, run: Run, logs: Path, tmp_path: Path) -> None:
        result = run("flows", logs, "--with", EVIDENCE, "-o", "csv", "--to", tmp_path / "flows.csv")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: --to {tmp_path}/flows.csv: --to is a directory, with a file for each file of FLOWS\n"
            f"hint: for one file use -o csv > {tmp_path}/flows.csv\n"
        )
        assert not (tmp_path / "flows.csv").exists()
