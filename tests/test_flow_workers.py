"""``flows --workers``: several processes give the answer of one, and none of them is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Run
from flow_logs import COLUMNS, EVIDENCE, flow, write_log

from cnitrail.errors import AccountingError
from cnitrail.model.flow_report import FlowReport
from cnitrail.workflows.flows.pool import Workers
from cnitrail.workflows.flows.run import check

COMMAND = (sys.executable, "-m", "cnitrail", "flows")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some small files, and one of several blocks."""
    folder = tmp_path_factory.mktemp("logs")
    for number in range(12):
        write_log(folder / f"small-{number}.log.gz", map(flow, range(number, number + 40)))
    write_log(folder / "z-large.log.gz", map(flow, range(60_000)))
    return folder


def flows(logs: Path, *options: object) -> subprocess.CompletedProcess[bytes]:
    command = (*COMMAND, str(logs), "--with", str(EVIDENCE), *map(str, options))
    return subprocess.run(command, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("output", ["csv", "jsonl", "json"])
def test_any_number_of_processes_gives_the_same_bytes(logs: Path, output: str) -> None:
    one, two, five = (flows(logs, "-o", output, "--workers", number) for number in (1, 2, 5))
    assert one.returncode == two.returncode == five.returncode == 0
    assert one.stdout == two.stdout == five.stdout
    assert one.stderr == two.stderr == five.stderr
    assert len(one.stdout) > 100


def test_fewer_than_one_process_is_an_error(run: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.log", [flow(1)])
    result = run("flows", log, "--with", EVIDENCE, "--workers", "0")
    assert result.exit_code == 2
    assert "--workers: 0 is not in the range" in result.stderr


class TestProcesses:
    """The pool itself, with work that shows where it is done."""

    @pytest.fixture(autouse=True)
    def forks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let it fork although other tests may have left threads, which these processes do not need."""
        monkeypatch.setattr("cnitrail.workflows.flows.pool.can_fork", lambda: True)

    def test_results_are_in_order_and_from_other_processes(self) -> None:
        with_pauses = Workers(_slow_if_even, 3)
        results = list(with_pauses.results(((n, n) for n in range(40)), lambda _: 1))
        assert [(name, result[0]) for name, result in results if result] == [(n, n * n) for n in range(40)]
        processes = {result[1] for _, result in results if result}
        assert os.getpid() not in processes
        assert len(processes) == 3

    def test_names_without_work_keep_their_place(self) -> None:
        items = [(n, n if n % 2 else None) for n in range(20)]
        results = list(Workers(_square, 2).results(iter(items), lambda _: 1))
        assert results == [(n, n * n if n % 2 else None) for n in range(20)]

    def test_what_a_killed_process_had_is_done_in_this_one(self) -> None:
        here = os.getpid()
        workers = Workers[int, int | None](
            lambda n: n if os.getpid() == here or n != 7 else os.kill(os.getpid(), 9), 3
        )
        assert [result for _, result in workers.results(((n, n) for n in range(60)), lambda _: 1)] == [
            *range(60)
        ]
        assert len(workers.lost) == 1

    def test_all_is_done_here_if_every_process_is_killed(self) -> None:
        here = os.getpid()
        workers = Workers[int, int | None](lambda n: n if os.getpid() == here else os.kill(os.getpid(), 9), 3)
        assert [result for _, result in workers.results(((n, n) for n in range(60)), lambda _: 1)] == [
            *range(60)
        ]
        assert len(workers.lost) == 3

    def test_an_error_of_the_work_is_raised_here(self) -> None:
        workers = Workers(_fail, 2)
        with pytest.raises(ValueError, match="no such number"):
            list(workers.results(((n, n) for n in range(9)), lambda _: 1))
        assert not list(_children(os.getpid()))

    def test_no_process_is_left_if_the_reader_goes_away(self) -> None:
        results = Workers(_square, 3).results(((n, n) for n in range(1000)), lambda _: 1)
        assert next(results) == (0, 0)
        results.close()  # type: ignore[attr-defined]
        assert not list(_children(os.getpid()))

    def test_messages_of_any_size_arrive_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.workflows.flows.pool._SHARED_BYTES", 4096)
        texts = [bytes([size % 251]) * size for size in (0, 1, 4000, 4096, 5000, 1 << 20, 7)]
        workers = Workers[bytes, bytes](lambda text: text[::-1] + b"!", 2)
        results = workers.results(enumerate(texts), len)
        assert [result for _, result in results] == [text[::-1] + b"!" for text in texts]

    def test_what_is_in_flight_is_bounded(self) -> None:
        taken = 0

        def items() -> Iterator[tuple[int, bytes]]:
            nonlocal taken
            for taken in range(1000):
                yield taken, bytes(1 << 20)

        results = Workers(len, 2).results(items(), len)
        next(results)
        assert taken <= 8
        results.close()  # type: ignore[attr-defined]


class TestEndings:
    """What is left if a run is ended, in one way or another."""

    @pytest.fixture
    def running(self, logs: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
        """Start a run that waits for its input, so that it is running until it is ended."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        begun: list[subprocess.Popen[bytes]] = []

        def started(*options: object) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                (
                    *COMMAND,
                    str(logs),
                    str(pipe),
                    "--with",
                    str(EVIDENCE),
                    "--workers",
                    "3",
                    *map(str, options),
                ),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            begun.append(process)
            _await(lambda: len(list(_children(process.pid))) == 3)
            return process

        yield started
        for process in begun:
            process.kill()
            process.communicate()

    @pytest.mark.parametrize("options", [("-o", "csv"), ("-o", "table")])
    def test_ctrl_c_ends_all_processes(
        self, running: Callable[..., subprocess.Popen[bytes]], options: tuple[str, ...]
    ) -> None:
        process = running(*options)
        children = list(_children(process.pid))
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"error: interrupted\n"
        _await(lambda: not any(map(_is_alive, children)))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_no_process_outlives_one_that_is_killed(
        self, running: Callable[..., subprocess.Popen[bytes]], number: int
    ) -> None:
        process = running("-o", "csv")
        children = list(_children(process.pid))
        os.kill(process.pid, number)
        process.wait(20)
        _await(lambda: not any(map(_is_alive, children)))

    def test_a_killed_process_costs_no_record(self, logs: Path) -> None:
        whole = flows(logs, "-o", "csv", "--workers", 1).stdout
        command = (*COMMAND, str(logs), "--with", str(EVIDENCE), "-o", "csv", "--workers", "3")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            _await(lambda: bool(list(_children(process.pid))))
            os.kill(next(_children(process.pid)), signal.SIGKILL)
            out, err = process.communicate(timeout=120)
        assert out == whole
        assert b"1 worker process ended early" in err


class TestAccounts:
    """Counts that do not add up are an error of the program."""

    def test_a_file_that_was_neither_read_nor_skipped(self) -> None:
        with pytest.raises(AccountingError, match="2 files found, but 1 read"):
            check(FlowReport(uri="logs", files_found=2, files=1))

    def test_a_record_that_was_neither_written_nor_skipped(self) -> None:
        with pytest.raises(AccountingError, match="9 records read, but 7 joined"):
            check(FlowReport(uri="logs", records=9, joined=7, no_data=1))


class TestOneTable:
    """Several files on standard output."""

    def test_csv_has_one_header(self, run: Run, tmp_path: Path) -> None:
        write_log(tmp_path / "a.log", [flow(1)])
        write_log(tmp_path / "b.log.gz", [flow(2), flow(3)])
        lines = run("flows", tmp_path, "--with", EVIDENCE, "-o", "csv").stdout.splitlines()
        assert [line.startswith("version,") for line in lines] == [True, False, False, False]

    def test_a_file_of_other_columns_is_left_out_of_csv(self, run: Run, tmp_path: Path) -> None:
        write_log(tmp_path / "a.log", [flow(1)])
        write_log(tmp_path / "b.log", [flow(2).rsplit(" ", 1)[0]], COLUMNS[:-1])
        result = run("flows", tmp_path, "--with", EVIDENCE, "-o", "csv")
        assert result.exit_code == 3
        assert len(result.stdout.splitlines()) == 2
        assert f"skipped: {tmp_path / 'b.log'}: it has other columns than {tmp_path / 'a.log'}" in (
            result.stderr
        )
        assert "-o jsonl" in result.stderr

    def test_json_lines_take_any_columns(self, run: Run, tmp_path: Path) -> None:
        write_log(tmp_path / "a.log", [flow(1)])
        write_log(tmp_path / "b.log", [flow(2).rsplit(" ", 1)[0]], COLUMNS[:-1])
        result = run("flows", tmp_path, "--with", EVIDENCE, "-o", "jsonl")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 2

    def test_an_output_of_flows_is_no_input(self, run: Run, tmp_path: Path) -> None:
        write_log(tmp_path / "a.log", [f"{flow(1)} 10.0.0.1"], (*COLUMNS, "src_ip"))
        result = run("flows", tmp_path, "--with", EVIDENCE, "-o", "jsonl")
        assert result.exit_code == 3
        assert "it has a column src_ip already" in result.stderr


def _square(number: int) -> int:
    return number * number


def _slow_if_even(number: int) -> tuple[int, int]:
    time.sleep(0.02 if number % 2 == 0 else 0.005)
    return number * number, os.getpid()


def _fail(number: int) -> int:
    raise ValueError("no such number")


def _children(pid: int) -> Iterator[int]:
    """Yield the IDs of the child processes of a process that are alive."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _parent_of(int(folder.name)) == pid:
            yield int(folder.name)


def _parent_of(pid: int) -> int | None:
    """Return the parent of a process; None if it has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _is_alive(pid: int) -> bool:
    return _parent_of(pid) is not None


def _await(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
