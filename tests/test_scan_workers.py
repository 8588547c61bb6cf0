"""``--workers``: several processes give the answer of one, say what they lose, and are never left behind."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnitrail.model import Event, Evidence, Scope
from cnitrail.workflows import scan_pool
from cnitrail.workflows.processes import EndedEarly, Processes
from cnitrail.workflows.read import read_evidence

COMMAND = (sys.executable, "-m", "cnitrail")
TEXTS = [gzip.decompress(path.read_bytes()) for path in sorted(FIXTURES.glob("*/AWSLogs/**/*.json.gz"))]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@pytest.fixture(autouse=True)
def processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes for any two files, although other tests may have left threads."""
    monkeypatch.setattr(scan_pool, "_ENOUGH", 2)
    monkeypatch.setattr(scan_pool, "can_fork", lambda: True)
    monkeypatch.setattr("cnitrail.workflows.processes.can_fetch_in_fork", lambda: True)


# --- what a directory may hold: each function writes one file ---------------------------------------------


def plain(path: Path, text: bytes) -> None:
    path.with_suffix(".json").write_bytes(text)


def gzipped(path: Path, text: bytes) -> None:
    path.with_suffix(".json.gz").write_bytes(gzip.compress(text))


def torn(path: Path, text: bytes) -> None:
    path.with_suffix(".json.gz").write_bytes(gzip.compress(text)[:-200])


def lines(path: Path, text: bytes) -> None:
    records = text[len(b'{"Records":[') : -2]
    path.with_suffix(".ndjson").write_bytes(records.replace(b',{"eventVersion', b'\n{"eventVersion'))


def zipped(path: Path, text: bytes) -> None:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.writestr("a.json", text)
        archive.writestr("b.json.gz", gzip.compress(text)[:-9])


def empty(path: Path, _text: bytes) -> None:
    path.with_suffix(".json").touch()


def other(path: Path, _text: bytes) -> None:
    path.with_suffix(".log").write_text("version account-id interface-id\n2 111111111111 eni-1\n")


def dead_link(path: Path, _text: bytes) -> None:
    path.with_suffix(".json").symlink_to("nowhere")


def pods(path: Path, _text: bytes) -> None:
    path.with_suffix(".log").write_text('{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"x"}\n')


KINDS = (plain, gzipped, torn, lines, zipped, empty, other, dead_link, pods)


@given(
    written=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(TEXTS)), min_size=2, max_size=12),
    batch=st.integers(1, 4),
    workers=st.integers(2, 5),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_number_of_processes_gives_the_same_answer(
    tmp_path_factory: pytest.TempPathFactory,
    written: list[tuple[Callable[[Path, bytes], None], bytes]],
    batch: int,
    workers: int,
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    for number, (write, text) in enumerate([(gzipped, TEXTS[0]), *written]):
        write(folder / f"{number:02}", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_pool, "_BATCH", batch)
        assert read_by(workers, folder) == read_by(1, folder)


def read_by(workers: int, folder: Path) -> tuple[list[Event], Evidence]:
    ledger, evidence = read_evidence((str(folder),), Scope(workers=workers))
    return list(ledger.events()), evidence


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all stories, 12 MB of them, so that they are worth two processes."""
    folder = tmp_path_factory.mktemp("logs")
    record = b'{"eventVersion":"1.08","eventName":"ListBuckets","additionalEventData":"%s"},'
    first = b'{"Records":['
    texts = [text for text in TEXTS if text.startswith(first)]
    for number, text in enumerate(texts * (150 // len(texts) + 1)):
        (folder / f"{number:03}.json").write_bytes(first + record % (b"x" * 60_000) + text[len(first) :])
    return folder


def cnitrail(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run((*COMMAND, *map(str, arguments)), capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("command", ["timeline", "leases", "findings"])
def test_commands_give_the_same_bytes(logs: Path, command: str) -> None:
    one, two, five = (cnitrail(command, logs, "-o", "json", "--workers", number) for number in (1, 2, 5))
    assert one.returncode == two.returncode == five.returncode
    assert one.stdout == two.stdout == five.stdout
    assert one.stderr == two.stderr == five.stderr
    assert len(one.stdout) > 1000


def test_collect_fills_the_same_store(logs: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        done = cnitrail("collect", logs, "--to", tmp_path / f"{workers}.db", "--workers", workers)
        assert done.returncode == 0
    one, three = (cnitrail("timeline", tmp_path / f"{workers}.db", "-o", "jsonl") for workers in (1, 3))
    assert one.stdout == three.stdout


def test_a_store_in_a_directory_is_no_evidence(logs: Path, tmp_path: Path) -> None:
    shutil.copytree(logs, tmp_path / "logs")
    cnitrail("collect", FIXTURES / "ironman", "--to", tmp_path / "logs" / "075.db")
    alone, beside = (read_by(2, folder) for folder in (logs, tmp_path / "logs"))
    assert beside[1].sources[0].files_found == alone[1].sources[0].files_found


def test_a_process_that_is_killed_costs_its_files_and_the_answer_says_so(
    logs: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, scan = os.getpid(), scan_pool._scan
    monkeypatch.setattr(scan_pool, "_BATCH", 2)

    def killed(*arguments: object) -> object:
        if os.getpid() != here and arguments[2].uri.endswith("030.json"):  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)
        return scan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scan_pool, "_scan", killed)
    result = run("timeline", logs, "-o", "jsonl", "--workers", "3")
    assert result.exit_code == 3
    skipped = [line for line in result.stderr.splitlines() if line.startswith("skipped: ")]
    why = (
        "the process that read it and 1 other file ended early (signal 9), perhaps for lack of memory; "
        "--workers 1 reads without other processes"
    )
    assert skipped == [f"skipped: {logs / '030.json'}: {why}", f"skipped: {logs / '031.json'}: {why}"]


class TestProcesses:
    """The processes themselves, with work that shows where it is done."""

    @pytest.fixture
    def start(self) -> Iterator[Callable[..., Processes[int, int, object]]]:
        started: list[Processes[int, int, object]] = []

        def starting(work: Callable[[int], object], number: int = 3) -> Processes[int, int, object]:
            started.append(Processes(lambda item: item, work, number))
            return started[-1]

        yield starting
        for processes in started:
            processes.close()
        assert not children(os.getpid())

    def test_results_are_in_order_and_from_other_processes(self, start: Callable[..., Any]) -> None:
        results = list(start(slow_if_even).results(range(40)))
        assert [(item, result[0]) for item, result in results] == [(n, n * n) for n in range(40)]
        assert len({result[1] for _, result in results} - {os.getpid()}) == 3

    def test_an_item_is_lost_with_its_process_and_no_other_one(self, start: Callable[..., Any]) -> None:
        processes = start(lambda n: n if n not in (7, 11) else os.kill(os.getpid(), signal.SIGKILL))
        results = dict(processes.results(range(60)))
        assert results.pop(7) == results.pop(11) == EndedEarly("signal 9")
        assert results == {n: n for n in range(60) if n not in (7, 11)}

    def test_every_item_is_lost_if_each_kills_its_process(self, start: Callable[..., Any]) -> None:
        results = list(start(lambda _: os._exit(4)).results(range(9)))
        assert results == [(n, EndedEarly("exit status 4")) for n in range(9)]

    def test_an_exception_of_the_work_is_raised_here(self, start: Callable[..., Any]) -> None:
        with pytest.raises(ZeroDivisionError):
            list(start(lambda n: 1 // (n - 5)).results(range(9)))

    def test_items_and_results_may_be_larger_than_a_pipe(self, start: Callable[..., Any]) -> None:
        texts = [bytes([size % 251]) * size for size in (0, 1, 70_000, 7, 3 << 20, 60_000, 100)]
        assert list(start(lambda text: text * 2, 2).results(texts)) == [(text, text * 2) for text in texts]

    def test_what_is_sent_ahead_is_bounded(self, start: Callable[..., Any]) -> None:
        taken = 0

        def items() -> Iterator[int]:
            nonlocal taken
            for number in range(10_000):
                taken = number
                yield number

        results = start(lambda n: n, 2).results(items())
        next(results)
        assert taken <= 2 * 16

    def test_items_are_prepared_before_it_is_their_turn(self) -> None:
        prepared: list[int] = []

        def prepare(item: int) -> int:
            prepared.append(item)
            return item

        def number_prepared(_: int) -> int:
            time.sleep(0.02)
            return len(prepared)

        processes = Processes(prepare, number_prepared, 1)
        ahead = [result - item for item, result in processes.results(range(20)) if isinstance(result, int)]
        processes.close()
        assert max(ahead) > 4

    def test_without_another_process_the_work_is_done_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> int:
            raise OSError(11, "Resource temporarily unavailable")

        monkeypatch.setattr("cnitrail.workflows.processes.forked", refuse)
        processes = Processes[int, int, int](lambda item: item, lambda _: os.getpid(), 3)
        assert list(processes.results(range(2))) == [(0, os.getpid()), (1, os.getpid())]

    def test_no_process_is_replaced_once_this_one_has_threads(
        self, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any]
    ) -> None:
        here = os.getpid()
        processes = start(lambda n: os.getpid() if n or os.getpid() == here else os._exit(1), 1)
        monkeypatch.setattr("cnitrail.workflows.processes.can_fetch_in_fork", lambda: False)
        assert list(processes.results(range(2))) == [(0, EndedEarly("exit status 1")), (1, here)]

    def test_the_last_items_are_done_here_if_a_process_cannot_be_replaced(
        self, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Any]
    ) -> None:
        here = os.getpid()
        processes = start(lambda n: n if n or os.getpid() == here else os._exit(1), 1)

        def refuse() -> int:
            raise OSError(11, "Resource temporarily unavailable")

        monkeypatch.setattr("cnitrail.workflows.processes.forked", refuse)
        assert list(processes.results(range(3))) == [(0, EndedEarly("exit status 1")), (1, 1), (2, 2)]


class TestEndings:
    """What is left of a command that is ended, in one way or another."""

    @pytest.fixture
    def running(self, logs: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A command with three processes that have read a directory, and wait while it reads a pipe."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        process = subprocess.Popen(
            (*COMMAND, "timeline", str(logs), str(pipe), "--workers", "3"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        awaited(lambda: len(children(process.pid)) == 3)
        yield process
        process.kill()
        process.communicate()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_no_process_outlives_one_that_is_killed(
        self, running: subprocess.Popen[bytes], number: int
    ) -> None:
        left = children(running.pid)
        os.kill(running.pid, number)
        running.wait(20)
        awaited(lambda: not any(map(is_alive, left)))

    def test_ctrl_c_ends_all_processes(self, running: subprocess.Popen[bytes]) -> None:
        left = children(running.pid)
        time.sleep(0.3)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr is not None
        assert running.stderr.read() == b"error: interrupted\n"
        awaited(lambda: not any(map(is_alive, left)))


def slow_if_even(number: int) -> tuple[int, int]:
    time.sleep(0.002 * (number % 2 == 0))
    return number * number, os.getpid()


def children(parent: int) -> list[int]:
    """Return the processes that a process has created, and that have not ended."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in found if is_alive(child)]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def awaited(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within 20 s")
