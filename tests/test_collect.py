"""``collect`` reads only new files, survives being killed, and locks its store."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run

import cnitrail.store.writer
from cnitrail.cli import main
from cnitrail.cli.progress import Progress
from cnitrail.model import Scope
from cnitrail.sources import Measured, open_source
from cnitrail.sources import files as files_module
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows import collect as collect_workflow

REPOSITORY = FIXTURES.parent
IRONMAN = FIXTURES / "ironman" / "AWSLogs"


def command(*arguments: object, batch: float = 0.5) -> list[str]:
    """A command line for a cnitrail process with ``batch`` seconds between commits.

    It handles Ctrl-C even if the tests run in the background of a shell, which ignores it.
    """
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import cnitrail.workflows.collect as c, cnitrail.cli as m;"
        f"c._BATCH_SECONDS = {batch}; m.main(prog_name='cnitrail')"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


def entries(run: Run, source: Path) -> str:
    return run("timeline", source, "-o", "jsonl").stdout


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return shutil.copytree(IRONMAN, tmp_path / "logs")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The log files in the order in which they are opened."""
    paths: list[str] = []
    pieces = files_module.file_pieces

    def watched(path: str, size: int | None) -> Iterator[bytes]:
        paths.append(path)
        return pieces(path, size)

    monkeypatch.setattr(files_module, "file_pieces", watched)
    return iter([paths])


class TestNewFiles:
    def test_nothing_is_read_twice(self, run: Run, logs: Path, opened: Iterator[list[str]]) -> None:
        paths, store = next(opened), logs.parent / "trail.db"
        first = run("collect", logs, "--to", store)
        assert len(paths) == 14
        assert first.stderr == f"{store}: read 14 files with 56 events, 17 IP-related, 17 new\n"
        paths.clear()
        assert run("collect", logs, "--to", store).stderr == f"{store}: nothing new\n"
        assert paths == []

    def test_only_new_and_changed_files_are_read(
        self, run: Run, logs: Path, opened: Iterator[list[str]]
    ) -> None:
        paths, store = next(opened), logs.parent / "trail.db"
        late = max(logs.rglob("*.json.gz"))
        moved = late.rename(logs.parent / late.name)
        run("collect", logs, "--to", store)
        moved.rename(late)
        changed = min(logs.rglob("*.json.gz"))
        changed.write_bytes(gzip.compress(gzip.decompress(changed.read_bytes()), 1))
        paths.clear()
        run("collect", logs, "--to", store)
        assert sorted(paths) == sorted(map(str, (late, changed)))
        assert entries(run, store) == entries(run, logs)

    def test_a_growing_log_has_its_latest_counts(self, run: Run, tmp_path: Path) -> None:
        lines = [
            json.dumps(record)
            for path in sorted(IRONMAN.rglob("*.json.gz"))
            for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
        ]
        log, store = tmp_path / "log.jsonl", tmp_path / "trail.db"
        for count in (20, 56):
            log.write_text("\n".join(lines[:count]))
            run("collect", log, "--to", store)
        from_log, from_store = (
            json.loads(run("timeline", source, "-o", "json").stdout) for source in (log, store)
        )
        assert from_store["entries"] == from_log["entries"]
        (source,) = from_store["evidence"]["sources"]
        assert source | {"uri": str(log)} == from_log["evidence"]["sources"][0]

    def test_a_repaired_file_is_no_longer_reported(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        some = min(logs.rglob("*.json.gz"))
        whole = some.read_bytes()
        some.write_bytes(whole[:200])
        loop = logs / "loop"
        loop.symlink_to("loop")
        assert run("collect", logs, "--to", store).exit_code == 3
        assert run("timeline", store).exit_code == 3
        some.write_bytes(whole)
        loop.unlink()
        assert run("collect", logs, "--to", store).exit_code == 0
        assert run("timeline", store).exit_code == 0
        assert entries(run, store) == entries(run, logs)

    def test_an_unreadable_file_is_reported_again(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        some = min(logs.rglob("*.json.gz"))
        some.write_bytes(some.read_bytes()[:200])
        run("collect", logs, "--to", store)
        (logs / "new.json").write_text('{"Records":[]}')
        for new in ("read 1 file with 0 events, 0 IP-related, 0 new", "nothing new"):
            result = run("collect", logs, "--to", store)
            assert (result.exit_code, result.stderr) == (
                3,
                f"{store}: {new}\nskipped: {some}: the gzip stream is cut short\n",
            )

    def test_a_file_that_failed_to_read_is_read_again(
        self, run: Run, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = logs.parent / "trail.db"
        pieces = files_module.file_pieces

        def failing(path: str, size: int | None) -> Iterator[bytes]:
            data = b"".join(pieces(path, size))
            yield data[:600]
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(files_module, "file_pieces", failing)
            result = run("collect", logs, "--to", store)
        assert result.exit_code == 3
        assert "reading failed: Input/output error" in result.stderr
        assert run("collect", logs, "--to", store).exit_code == 0
        assert run("timeline", store).exit_code == 0
        assert entries(run, store) == entries(run, logs)

    def test_standard_input_is_always_read(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        for path in sorted(IRONMAN.rglob("*.json.gz")):
            run("collect", "-", "--to", store, input=path.read_bytes())
        result = run("timeline", store)
        assert "read 14 files with 56 events, 17 IP-related" in result.stderr

    def test_nothing_to_read_is_an_error(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        result = run("collect", tmp_path / "none", "--to", tmp_path / "trail.db")
        assert result.exit_code == 1
        assert "no files in it" in result.stderr

    def test_a_wrong_source_creates_no_store(self, run: Run, tmp_path: Path) -> None:
        assert run("collect", tmp_path / "none", "--to", tmp_path / "trail.db").exit_code == 1
        assert list(tmp_path.iterdir()) == []


class TestFromAStore:
    def test_a_store_can_be_collected_from(self, run: Run, logs: Path) -> None:
        first, second = logs.parent / "first.db", logs.parent / "second.db"
        run("collect", logs, "--to", first)
        run("collect", first, "--to", second)
        answers = [json.loads(run("timeline", source, "-o", "json").stdout) for source in (first, second)]
        for answer, path in zip(answers, (first, second), strict=True):
            answer["evidence"]["sources"][0].pop("uri")
            assert answer.pop("query")["sources"] == [str(path)]
        files, no_files = (answer["evidence"].pop("files") for answer in answers)
        known, unknown = (answer["evidence"]["sources"][0]["forms"][0] for answer in answers)
        assert (len(files), no_files) == (14, [])
        assert (known.pop("compression"), unknown.pop("compression")) == (["gzip"], None)
        assert answers[0] == answers[1]

    def test_an_unchanged_source_store_is_not_read_again(self, run: Run, logs: Path) -> None:
        first, second = logs.parent / "first.db", logs.parent / "second.db"
        run("collect", logs, "--to", first)
        for _ in range(2):
            result = run("collect", first, "--to", second)
        assert result.stderr == f"{second}: nothing new\n"

    def test_stores_can_be_combined(self, run: Run, tmp_path: Path) -> None:
        stories = ("ironman", "node-life")
        for story in stories:
            run("collect", f"{story}/AWSLogs", "--to", tmp_path / f"{story}.db")
        run("collect", *(tmp_path / f"{story}.db" for story in stories), "--to", tmp_path / "all.db")
        together = run("timeline", *(f"{story}/AWSLogs" for story in stories), "-o", "jsonl").stdout
        assert entries(run, tmp_path / "all.db") == together

    def test_a_store_is_not_collected_into_itself(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        run("collect", logs, "--to", store)
        result = run("collect", store, "--to", logs / ".." / "trail.db")
        assert result.exit_code == 2


def many_files(folder: Path, copies: int) -> Path:
    """Write many copies of the stories with other ids in small files."""
    texts = [gzip.decompress(path.read_bytes()) for path in sorted(FIXTURES.glob("*/AWSLogs/**/*.json.gz"))]
    for copy in range(copies):
        for number, text in enumerate(texts):
            fresh = text.replace(b'"eventID":"', b'"eventID":"%04x' % copy).replace(
                b"eni-0", b"eni-%x" % copy
            )
            path = folder / f"{copy:03}" / f"{number:03}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fresh)
    return folder


def collect_until_killed(logs: Path, store: Path) -> None:
    collect_workflow._BATCH_SECONDS = 0.001
    main(["collect", "-q", str(logs), "--to", str(store)])


class TestKilled:
    def test_50_kills_lose_and_repeat_no_event(self, run: Run, tmp_path: Path) -> None:
        logs = many_files(tmp_path / "logs", 8)
        once, store = tmp_path / "once.db", tmp_path / "killed.db"
        run("collect", logs, "--to", once)
        chance, kills, seen, midway = random.Random(7), 0, 0, 0
        patience = 0.3
        while kills < 50 or midway <= 20:
            process = get_context("fork").Process(target=collect_until_killed, args=(logs, store))
            process.start()
            process.join(chance.uniform(0, patience))
            process.kill()
            process.join()
            if process.exitcode == 0:
                store.unlink()
                seen = 0
                continue
            kills += 1
            now = read_documents(store)
            assert now >= seen
            midway += now > seen
            patience = 0.3 if now > seen else patience * 1.2  # a busy machine needs longer to get anywhere
            seen = now
        run("collect", logs, "--to", store)
        assert entries(run, store) == entries(run, once)
        assert account_of(store) == account_of(once)


def read_documents(store: Path) -> int:
    """Return how many documents an intact store has recorded as read."""
    if not store.exists() or store.stat().st_size == 0:
        return 0
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables == (0,):
            return 0
        (count,) = connection.execute("SELECT count(etag) FROM documents").fetchone()
        return int(count)


def account_of(store: Path) -> list[Any]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute("SELECT * FROM account").fetchall()


class Held:
    """A running collect: it has read some files and waits for a pipe."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.logs = folder / "held"
        shutil.copytree(IRONMAN, self.logs)
        self.process = subprocess.Popen(
            command("collect", self.logs, "-", "--to", store, batch=0),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while read_documents(store) < 14:
            assert self.process.poll() is None
            time.sleep(0.01)

    def finish(self) -> None:
        self.process.communicate(gzip.decompress(min(IRONMAN.rglob("*.gz")).read_bytes()).decode())


class TestTwoAtOnce:
    def test_the_second_waits_and_says_so(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        first = Held(tmp_path, store)
        second = subprocess.Popen(
            command("collect", FIXTURES / "node-life" / "AWSLogs", "--to", store),
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert second.stderr.readline() == f"waiting: another collect is writing to {store}\n"
        assert second.poll() is None
        first.finish()
        _, said = second.communicate()
        assert said == f"{store}: read 20 files with 77 events, 20 IP-related, 20 new\n"
        assert (first.process.returncode, second.returncode) == (0, 0)
        assert len(entries(run, store).splitlines()) == 30

    def test_the_second_does_not_wait_forever(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cnitrail.store.writer, "LOCK_TIMEOUT", 0.1)
        store = tmp_path / "trail.db"
        with StoreWriter(str(store), lambda: None):
            result = run("collect", IRONMAN, "--to", store)
        assert result.exit_code == 1
        assert f"error: {store}: locked by another collect for more than" in result.stderr
        assert "hint: " in result.stderr

    def test_questions_are_answered_while_it_runs(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        first = Held(tmp_path, store)
        assert len(entries(run, store).splitlines()) == 14
        first.finish()


class TestInterrupted:
    def test_ctrl_c_leaves_a_good_store_and_a_hint_to_resume(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        held = Held(tmp_path, store)
        held.process.send_signal(signal.SIGINT)
        _, said = held.process.communicate()
        assert held.process.returncode == 130
        assert said.splitlines() == [
            f"{store} keeps what was read so far; run the same command again to continue",
            "error: interrupted",
        ]
        assert entries(run, store) == entries(run, held.logs)
        assert run("collect", held.logs, "--to", store).stderr == f"{store}: nothing new\n"


class TestProgress:
    def test_the_total_size_of_a_directory_is_known(self, logs: Path) -> None:
        paths = sorted(logs.rglob("*.json.gz"))
        sizes = [path.stat().st_size for path in paths]
        status = paths[0].stat()
        seen = {(str(paths[0]), f"{status.st_size}-{status.st_mtime_ns}")}
        for scope, expected in ((Scope(), sum(sizes)), (Scope(seen=seen), sum(sizes[1:]))):
            source = open_source(str(logs), scope)
            assert isinstance(source, Measured)
            assert source.total_bytes() == expected

    def test_the_time_left_is_shown_on_a_terminal(
        self, logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("cnitrail.cli.progress._PROGRESS_DELAY", 0.0)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        source = open_source(str(logs), Scope())
        assert isinstance(source, Measured)
        with Progress(quiet=False) as progress:
            progress.begin(source, 0)
            progress.advance(3, 1000, 2)
            assert progress._bar is not None
            (task,) = progress._bar.tasks
            assert (task.total, task.completed) == (source.total_bytes(), 1000)

    def test_quiet_says_nothing(self, run: Run, logs: Path) -> None:
        result = run("collect", logs, "--to", logs.parent / "trail.db", "-q")
        assert (result.stdout, result.stderr) == ("", "")

    def test_a_pipe_gets_no_progress(self, logs: Path) -> None:
        arguments = command("collect", logs, "--to", logs.parent / "trail.db")
        done = subprocess.run(
            arguments, capture_output=True, check=True, env={**os.environ, "FORCE_COLOR": "1"}
        )
        assert done.stderr.count(b"\n") == 1
        assert b"\x1b" not in done.stderr
