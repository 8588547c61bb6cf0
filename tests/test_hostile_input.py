"""Hostile files, stores and arguments are reported in one line each, and everything else is answered.

Commands run in their own processes, with an address space that is too small for a bomb.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import zlib
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import write as fixtures
from accounts import added_up
from conftest import FIXTURES, Run
from records import ENI, GOOD, compact, scanned, zipped

from cnitrail import read
from cnitrail.model import Growth
from cnitrail.scan.error_list import MAX_ERRORS

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
GOOD_FILE = compact({"Records": [ASSIGN, DELETE]})
BOTH = ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]
MEGABYTE = b" " * (1 << 20)


def bomb(megabytes: int, begin: bytes = b"", end: bytes = b"") -> bytes:
    """Gzipped text with a ratio of about 1000:1."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(begin), *(packer.compress(MEGABYTE) for _ in range(megabytes))]
    return b"".join([*parts, packer.compress(end), packer.flush()])


def hostile_record(entry: dict[str, Any], raw: bytes) -> bytes:
    """A record with a field of raw JSON text."""
    return compact(entry)[:-1] + b',"additionalEventData":' + raw + b"}"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory with a good log file, to which every test adds a bad one."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "good.json").write_bytes(GOOD_FILE)
    return folder


def answered(run: Run, logs: Path) -> str:
    """Return what is reported about a directory, after checking the answer from its good file."""
    result = run("timeline", logs, "-o", "json")
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert [entry["event"] for entry in answer["entries"]] == BOTH
    added_up(answer["evidence"]["sources"][0])
    return "\n".join(skipped["reason"] for skipped in answer["evidence"]["skipped"])


class TestBombs:
    TOLD = (
        "a gzip bomb: decompression stopped at more than 200 times its stored size; "
        "to read it anyway, raise --max-ratio"
    )

    @pytest.mark.parametrize(
        "stored",
        [bomb(4), bomb(64), bomb(64) * 2, zipped(b"") * 3 + bomb(64), bomb(64)[:-8] + bytes(8)],
        ids=["small", "large", "two members", "behind empty members", "with a false length"],
    )
    def test_are_reported_and_everything_else_is_answered(self, run: Run, logs: Path, stored: bytes) -> None:
        (logs / "bomb.json.gz").write_bytes(stored)
        assert answered(run, logs) == self.TOLD

    def test_on_standard_input_are_reported(self, run: Run) -> None:
        result = run("timeline", "-", input=bomb(64))
        assert (result.exit_code, result.stderr.splitlines()[1:]) == (3, [f"skipped: -: {self.TOLD}"])

    def test_in_a_store_are_reported_again(self, run: Run, logs: Path, tmp_path: Path) -> None:
        (logs / "bomb.json.gz").write_bytes(bomb(4))
        assert run("collect", logs, "--to", tmp_path / "a.db").exit_code == 3
        assert self.TOLD in run("timeline", tmp_path / "a.db").stderr

    def test_leave_the_records_before_them(self) -> None:
        reading = scanned(bomb(64, begin=GOOD_FILE))
        assert (reading.names, reading.skipped) == (BOTH, [self.TOLD])

    def test_are_read_with_a_higher_ratio(self, run: Run, logs: Path) -> None:
        (logs / "blanks.json.gz").write_bytes(bomb(4, end=GOOD_FILE))
        assert run("timeline", logs, "--max-ratio", "2000").exit_code == 0

    def test_are_skipped_in_bounded_memory(self) -> None:
        stored = bomb(64)
        tracemalloc.start()
        try:
            reading = scanned(stored, growth=Growth(most=2000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reading.skipped == []
        assert peak < 16 << 20

    def test_an_honest_file_of_50_mb_is_not_a_bomb(self) -> None:
        """Similar calls with unique ids expand to 60 times their stored size."""
        assert Growth().allows(50 << 20, 60 * (50 << 20))
        look = ASSIGN | {"eventName": "DescribeInstances"}
        records = [look | {"eventID": os.urandom(16).hex()} for _ in range(3000)]
        assert scanned(zipped(compact({"Records": records}))).skipped == []


class TestDepth:
    @pytest.mark.parametrize(
        "deep", [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000]
    )
    def test_a_record_of_10_000_levels_is_reported(self, run: Run, logs: Path, deep: bytes) -> None:
        (logs / "deep.json").write_bytes(b'{"Records":[%s]}' % hostile_record(DELETE, deep))
        assert "depth limit exceeded" in answered(run, logs)

    @pytest.mark.parametrize("text", [b"[", b"{", b'{"a":', b"[{"])
    def test_a_million_brackets_are_reported(self, run: Run, logs: Path, text: bytes) -> None:
        (logs / "deep.json").write_bytes(text * (1_000_000 // len(text)))
        assert answered(run, logs)


class TestLength:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.scan.split._REREAD_LIMIT", 1 << 18)

    @pytest.mark.parametrize(
        "unit",
        [
            b"x",
            b'"',
            b"\\",
            b"{\n",
            b"{},",
            b"1,",
            b"\n{",
            b',{"eventVersion":',
            b',{"eventVersion":["',
            b"},{",
        ],
    )
    def test_half_a_megabyte_of_anything_is_read_completely(self, unit: bytes) -> None:
        reading = scanned(b'{"Records":[%s,' % compact(DELETE) + unit * ((1 << 19) // len(unit)))
        assert reading.names[:1] == ["DeleteNetworkInterface"]
        assert 0 < len(reading.skipped) <= MAX_ERRORS + 1

    def test_after_a_thousand_unreadable_records_the_rest_is_counted(self, run: Run, logs: Path) -> None:
        (logs / "bad.json").write_bytes(b"[%s1]" % (b"1," * 4999))
        reasons = answered(run, logs).splitlines()
        assert reasons[0] == "record 0: not an object but 1"
        assert reasons[1000:] == ["4,000 more unreadable parts"]


class TestAmbiguity:
    """CloudTrail never repeats a key, and parsers disagree about which value of a repeated one counts."""

    @pytest.mark.parametrize(
        ("old", "new", "key"),
        [
            (b'"eventName":', b'"eventName":"DescribeInstances","eventName":', "eventName"),
            (
                b'"networkInterfaceId":',
                b'"networkInterfaceId":"eni-0","networkInterfaceId":',
                "networkInterfaceId",
            ),
            (b'"eventTime":', b'"event\\u0054ime":"2020-01-01T00:00:00Z","eventTime":', "eventTime"),
        ],
    )
    def test_a_repeated_key_makes_a_record_unreadable(
        self, run: Run, logs: Path, old: bytes, new: bytes, key: str
    ) -> None:
        text = compact(ASSIGN | {"eventID": "another"}).replace(old, new, 1)
        (logs / "twice.json").write_bytes(b'{"Records":[%s]}' % text)
        said = f"record 0: the key {key!r} is repeated: it is unclear which value counts"
        assert answered(run, logs) == said

    def test_a_repeated_key_does_not_matter_in_an_irrelevant_record(self, run: Run, logs: Path) -> None:
        entry = ASSIGN | {"eventName": "DescribeInstances", "userAgent": "RunInstances"}
        text = compact(entry).replace(b'"awsRegion":', b'"awsRegion":"","awsRegion":', 1)
        (logs / "twice.json").write_bytes(b'{"Records":[%s]}' % text)
        assert run("timeline", logs).exit_code == 0

    def test_a_key_in_two_objects_is_not_repeated(self, run: Run, logs: Path) -> None:
        (logs / "good.json").write_bytes(json.dumps({"Records": [ASSIGN, DELETE]}, indent=1).encode())
        assert run("timeline", logs).exit_code == 0


class TestNumbers:
    @pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"NaN", b"Infinity", b"-Infinity"])
    def test_that_overflow_or_are_malformed_are_reported(self, run: Run, logs: Path, number: bytes) -> None:
        (logs / "number.json").write_bytes(b'{"Records":[%s]}' % hostile_record(DELETE, number))
        assert answered(run, logs).startswith("record 0: broken JSON (")


class TestCharacters:
    @pytest.mark.parametrize(
        "raw", [b'"\xff\xfe"', b'"\\ud800"', b'"\xed\xa0\x80"', b'"\\u0000"', b'"\xc0\x80"']
    )
    def test_that_are_malformed_hide_no_record(self, run: Run, logs: Path, raw: bytes) -> None:
        (logs / "good.json").write_bytes(
            b'{"Records":[%s,%s]}' % (hostile_record(ASSIGN, raw), compact(DELETE))
        )
        result = run("timeline", logs, "-o", "jsonl")
        assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == BOTH


class TestFiles:
    def test_what_is_not_a_regular_file_is_reported_and_not_waited_for(self, run: Run, logs: Path) -> None:
        os.mkfifo(logs / "pipe")
        (logs / "loop").symlink_to("loop")
        (logs / "round").mkdir()
        (logs / "round" / "again").symlink_to("..")
        (logs / "null").symlink_to("/dev/zero")
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(logs / "socket"))
            reasons = answered(run, logs)
        assert reasons.splitlines() == [
            f"cannot be read: {os.strerror(40)}",
            *["not a regular file"] * 3,
        ]

    def test_a_device_given_as_source_is_refused(self, run: Run) -> None:
        result = run("timeline", "/dev/zero")
        assert "skipped: /dev/zero: not a regular file" in result.stderr

    @pytest.mark.parametrize("size", [0, 100, 10_000_000])
    def test_a_file_that_changes_its_size_while_it_is_read_never_crashes(
        self, logs: Path, run: Run, size: int
    ) -> None:
        stop = threading.Event()
        unruly = logs / "unruly.json"
        unruly.write_bytes(GOOD_FILE * 100)

        def change() -> None:
            while not stop.is_set():
                os.truncate(unruly, size)
                unruly.write_bytes(GOOD_FILE * 100)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(20):
                result = run("timeline", logs, "-o", "json")
                assert result.exit_code in (0, 3)
                added_up(json.loads(result.stdout)["evidence"]["sources"][0])
        finally:
            stop.set()
            thread.join()


SQL = [
    "x' OR '1'='1",
    "'; DROP TABLE records; --",
    '" OR ""="',
    "eni-%",
    "eni_0",
    "\x00",
    "a" * 100_000,
    "💥'",
]


class TestSql:
    @pytest.mark.parametrize("text", SQL)
    def test_in_any_filter_is_text(self, run: Run, logs: Path, tmp_path: Path, text: str) -> None:
        store = tmp_path / "a.db"
        run("collect", logs, "--to", store)
        before = store.read_bytes()
        for option in (
            "--eni",
            "--instance",
            "--vpc",
            "--subnet",
            "--cluster",
            "--account",
            "--actor",
            "--agent",
        ):
            assert run("timeline", store, option, text, "-o", "jsonl").stdout == ""
        assert store.read_bytes() == before

    @pytest.mark.parametrize("text", SQL)
    def test_in_a_record_is_text(self, run: Run, logs: Path, tmp_path: Path, text: str) -> None:
        entry = json.loads(compact(ASSIGN))
        entry["requestParameters"]["networkInterfaceId"] = text
        entry["responseElements"]["networkInterfaceId"] = text
        (logs / "good.json").write_bytes(compact({"Records": [entry, DELETE]}))
        run("collect", logs, "--to", tmp_path / "a.db")
        answers = [run("timeline", source, "-o", "jsonl").stdout for source in (logs, tmp_path / "a.db")]
        assert answers[0] == answers[1] != ""


class TestStores:
    @pytest.fixture
    def store(self, run: Run, logs: Path, tmp_path: Path) -> Path:
        run("collect", logs, "--to", tmp_path / "a.db")
        return tmp_path / "a.db"

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM account",
            "UPDATE account SET records = -1",
            "UPDATE account SET kept = 'many'",
            "UPDATE account SET relevant = relevant + 1",
            "UPDATE origins SET position = 'first'",
            "UPDATE documents SET uri = CAST(x'ff' AS TEXT)",
            "INSERT INTO skipped VALUES (1, 'why', NULL, 'everything', 0)",
            "INSERT INTO signs VALUES ('1', '2', 'now')",
            "INSERT INTO signs VALUES ('1', '2', '2024-05-14')",
            "INSERT INTO reaches VALUES ('1', '2', 3, 4)",
            "DROP TABLE signs",
            "ALTER TABLE records RENAME COLUMN payload TO text",
            "UPDATE records SET payload = zeroblob(200000000)",
        ],
    )
    def test_manipulated_tables_are_damage(self, run: Run, store: Path, sql: str) -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA legacy_alter_table = ON")
            connection.execute(sql)
            connection.commit()
        result = run("timeline", store)
        assert (result.exit_code, result.stdout) == (1, "")
        said, hint = result.stderr.splitlines()
        assert said.startswith(f"error: {store}: the store is damaged (")
        assert hint == "hint: collect its sources again, into a new file"

    @pytest.mark.parametrize(
        "sql",
        [
            "CREATE VIEW endless AS WITH RECURSIVE n AS (SELECT 1 i UNION SELECT i+1 FROM n) SELECT i FROM n",
            "CREATE TRIGGER trap AFTER INSERT ON records BEGIN DELETE FROM records; END",
            "CREATE VIRTUAL TABLE words USING fts5(text)",
        ],
    )
    def test_a_database_with_code_in_it_is_refused(self, run: Run, store: Path, sql: str) -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute(sql)
            connection.commit()
        for command in (("timeline", store), ("collect", FIXTURES / "ironman", "--to", store)):
            result = run(*command)
            assert result.exit_code == 1
            assert "it contains an object that cnitrail did not create: " in result.stderr

    @pytest.mark.parametrize("payload", [b"", b"null", b"[1]", b"{", b"\xff", b'{"a":' * 5000])
    def test_a_malformed_record_is_reported(self, run: Run, store: Path, payload: bytes) -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("UPDATE records SET payload = ? WHERE event LIKE 'Assign%'", (payload,))
            connection.commit()
        result = run("timeline", store, "-o", "json")
        assert result.exit_code == 3
        answer = json.loads(result.stdout)
        assert [entry["event"] for entry in answer["entries"]] == ["DeleteNetworkInterface"]
        added_up(answer["evidence"]["sources"][0])

    def test_a_million_versions_or_places_of_one_event_take_linear_time(self, run: Run, logs: Path) -> None:
        (logs / "good.json").write_bytes(compact({"Records": [ASSIGN] * 20_000 + [DELETE]}))
        result = run("timeline", logs, "-o", "json")
        answer = json.loads(result.stdout)
        assert added_up(answer["evidence"]["sources"][0])["duplicates"] == 19_999


class TestEndsOfTheCalendar:
    """Stories that begin at the start of the calendar or end at its end."""

    @pytest.mark.parametrize("story", ["ironman", "node-life", "hand-assigned", "hole-in-the-logs"])
    @pytest.mark.parametrize("end", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
    @pytest.mark.parametrize(
        "command",
        [
            ("findings",),
            ("pool", "--what-if", "WARM_IP_TARGET=3"),
            ("report",),
            ("state", "--live", "ironman-interfaces.json"),
        ],
    )
    def test_are_answered(
        self, run: Run, tmp_path: Path, story: str, end: str, command: tuple[str, ...]
    ) -> None:
        records = [entry for text in fixtures.files(story).values() for entry in json.loads(text)["Records"]]
        times = [datetime.fromisoformat(record["eventTime"].removesuffix("Z")) for record in records]
        reached = datetime.fromisoformat(end)
        anchor = min(times) if reached.year == 1 else max(times)
        for record, time in zip(records, times, strict=True):
            record["eventTime"] = (reached + (time - anchor)).isoformat() + "Z"
        (tmp_path / "log.json").write_text(json.dumps({"Records": records}))
        at = ("--at", end + "Z") if command[0] == "state" else ()
        result = run(command[0], tmp_path, *command[1:], *at)
        assert result.exit_code in (0, 3)
        assert " IP-related" in result.stderr

    @pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    @pytest.mark.parametrize(
        "command",
        [["timeline"], ["leases"], ["report"], ["report", "-o", "html"], ["explain", ENI], ["doctor"]],
    )
    def test_every_command_answers(self, command: list[str], time: str, run: Run, tmp_path: Path) -> None:
        modify = GOOD["ModifyNetworkInterfaceAttribute"]
        calls = [modify, modify | {"eventTime": time}]
        calls[1]["eventID"] = "00000000-0000-4000-8000-000000000009"
        (tmp_path / "events.json").write_text(json.dumps({"Records": calls}))
        result = run(*command, tmp_path)
        assert result.exit_code == 0, result.stderr
        assert read(tmp_path).evidence.skipped == ()


class TestOtherInputs:
    """Files other than logs: questions, counts, metrics, listings."""

    @pytest.mark.parametrize(
        ("option", "command"),
        [
            ("--metrics", "pool"),
            ("--ipamd", "pool"),
            ("--instance-types", "pool"),
            ("--pods", "pool"),
            ("--live", "state"),
        ],
    )
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00" * 1000,
            b"\xff\xfe" * 50,
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1e999",
            b"a" * 1_000_000,
            b"time,pods\n1e999,NaN\n",
            b"awscni_total_ip_addresses NaN\n",
            b'{"ENIs":{"a":{"AvailableIPv4Cidrs":7}}}',
        ],
    )
    def test_any_file_gives_an_answer_or_a_one_line_error(
        self, run: Run, tmp_path: Path, option: str, command: str, content: bytes
    ) -> None:
        (tmp_path / "file").write_bytes(content)
        result = run(command, "ironman", option, tmp_path / "file")
        assert result.exit_code in (0, 1, 2, 3)
        assert result.exit_code in (0, 3) or len(result.stderr.splitlines()) <= 4

    @pytest.mark.parametrize(
        "questions",
        [
            b"ip,at\n" + b"x" * 3_000_000,
            b"ip,at\n" + b'"' * 300_000,
            b"ip,at\n\x00,\x00\n",
            b"ip,at\n10.0.0.1,1e999\n10.0.0.1," + b"9" * 10_000,
            b'{"ip": {"ip": {}}, "at": [1]}\n{"ip":' + b"[" * 100_000,
            b"ip,at\n10.0.0.1,9999-12-31T23:59:59-23:59\n10.0.0.1,0001-01-01T00:00:00+23:59\n",
        ],
    )
    def test_malformed_questions_keep_their_place(self, run: Run, tmp_path: Path, questions: bytes) -> None:
        (tmp_path / "questions").write_bytes(questions)
        result = run("who", "--batch", tmp_path / "questions", "ironman", "-o", "jsonl")
        assert result.exit_code == 3
        assert {json.loads(line)["verdict"] for line in result.stdout.splitlines()} == {"unknown"}

    def test_a_very_long_version_is_unknown(self, run: Run, tmp_path: Path) -> None:
        agent = "amazon-vpc-cni-k8s/version/v" + "9" * 5000
        texts = map(json.loads, fixtures.files("node-life").values())
        calls = [entry | {"userAgent": agent} for text in texts for entry in text["Records"]]
        (tmp_path / "log.json").write_text(json.dumps({"Records": calls}))
        assert run("pool", tmp_path).exit_code == 0

    @pytest.mark.parametrize("option", ["--lag", "--delivery-lag"])
    def test_a_very_long_duration_is_a_usage_error(self, run: Run, option: str) -> None:
        assert run("timeline", "ironman", option, "9" * 5000 + "s").exit_code == 2

    def test_a_malformed_lock_file_is_reported(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "trail.db-lock").write_text("hello")
        result = run("collect", "ironman", "--to", tmp_path / "trail.db")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {tmp_path}/trail.db")

    @pytest.mark.parametrize(
        ("option", "hint"),
        [
            ("--metrics", "kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > FILE"),
            ("--ipamd", "on the node: curl http://localhost:61679/v1/enis > FILE"),
            ("--instance-types", "aws ec2 describe-instance-types > FILE"),
            (
                "--pods",
                "write the line time,pods; then a line such as 2024-05-14T09:30:00Z,12 for each change",
            ),
        ],
    )
    def test_an_endless_file_is_refused(self, run: Run, option: str, hint: str) -> None:
        result = run("pool", "ironman", option, "/dev/zero")
        assert (result.exit_code, result.stderr) == (
            1,
            f"error: {option} /dev/zero: longer than 16 MB\nhint: {hint}\n",
        )

    def test_questions_without_a_header_are_a_usage_error(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "questions").write_bytes(b'"' + b"x\n" * 100_000)
        result = run("who", "--batch", tmp_path / "questions", "ironman")
        assert result.exit_code == 2
        assert "not a header that names ip and at" in result.stderr


class TestSurroundings:
    def test_an_output_encoding_that_lacks_characters_is_an_error_with_a_hint(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", "report", FIXTURES / "ironman", "-q"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(FIXTURES.parent)},
        )
        assert (done.returncode, done.stderr.splitlines()) == (
            1,
            ["error: the answer cannot be written in ascii", "hint: set PYTHONIOENCODING=utf-8"],
        )

    def test_a_device_never_becomes_a_store(self, run: Run, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        result = run("collect", "ironman", "--to", tmp_path / "pipe")
        assert (result.exit_code, result.stderr.splitlines()[0]) == (
            1,
            f"error: {tmp_path / 'pipe'}: not a regular file",
        )
        assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


class TestExports:
    def test_a_failed_run_leaves_the_old_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "events.jsonl").write_text("kept")
        (tmp_path / "none").mkdir()
        result = run("collect", tmp_path / "none", "--export", tmp_path / "events.jsonl")
        assert result.exit_code == 1
        assert (tmp_path / "events.jsonl").read_text() == "kept"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "none"]

    def test_a_failed_run_leaves_no_new_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        run("collect", tmp_path / "none", "--export", tmp_path / "events.jsonl")
        assert [path.name for path in tmp_path.iterdir()] == ["none"]


class TestSmallMemory:
    """The whole program, with about 300 MB of address space beyond that of Python."""

    def limited(self, *arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        code = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (400 << 20,) * 2);"
            "from cnitrail.cli import main; main(prog_name='cnitrail')"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(FIXTURES.parent)},
        )

    @pytest.mark.parametrize(
        "text",
        [
            b"x" * (200 << 20),
            b'{"Records":[{"eventVersion":"1.08","eventName":"AssignPrivateIpAddresses","a":"'
            + b"x" * (100 << 20),
        ],
        ids=["a line", "a record"],
    )
    def test_is_enough_for_endless_lines(self, text: bytes) -> None:
        result = self.limited("timeline", "-", stdin=text)
        assert result.returncode == 3, result.stderr[-500:]
        assert result.stderr.count(b"\n") <= 3

    def test_is_enough_for_bombs(self, logs: Path) -> None:
        for number in range(8):
            (logs / f"{number}.gz").write_bytes(bomb(512, begin=GOOD_FILE[:-2] + b","))
        result = self.limited("timeline", logs, "-o", "jsonl")
        assert result.returncode == 3, result.stderr[-500:]
        assert result.stdout.count(b"\n") == 2
