"""``--watch``: sources that fill while they are polled, over loopback and in real processes."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cloudtrail_server import CloudTrail, serve
from conftest import FIXTURES
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from loopback import Call, Endpoint, Refusal, endpoint
from stories import STORIES
from test_lookup import records
from write import files

from cnitrail.answers.filters import Filter
from cnitrail.answers.timeline import calls
from cnitrail.api import read
from cnitrail.cli import main
from cnitrail.errors import SourceError
from cnitrail.render.schemas import schema_of
from cnitrail.workflows.new_entries import NewEntries
from cnitrail.workflows.request import Access, Request
from cnitrail.workflows.watch import Poll, Watch, polls

Record = dict[str, Any]
ACCOUNT, REGION = "111111111111", "eu-west-1"
NODE, ENI = "i-0123456789abcdef0", "eni-0123456789abcdef0"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ENTRY = {
    "$defs": schema_of("timeline")["$defs"],
    "$ref": "#/$defs/TimelineEntry",
}

FINDING = {
    "$defs": schema_of("findings")["$defs"],
    "$ref": "#/$defs/FindingEntry",
}


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, and nothing of this machine's configuration."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def call(number: int, at: datetime, name: str = "AssignPrivateIpAddresses", eni: str = ENI) -> Record:
    """A record of an address that a user assigns."""
    address = {"privateIpAddress": f"10.0.{number >> 8}.{number & 255}"}
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": ACCOUNT, "principalId": "AIDA", "userName": "ada"},
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "requestParameters": {"networkInterfaceId": eni},
        "responseElements": {
            "assignedPrivateIpAddressesSet": {"assignedPrivateIpAddressSetType": [address]},
        },
        "eventID": f"event-{number}",
        "readOnly": False,
        "recipientAccountId": ACCOUNT,
    }


def attach(number: int, at: datetime, eni: str = ENI) -> Record:
    """A record of an ENI that is attached to a node."""
    return call(number, at, "AttachNetworkInterface") | {
        "requestParameters": {"networkInterfaceId": eni, "instanceId": NODE, "deviceIndex": 1},
        "responseElements": {"attachmentId": "eni-attach-0123456789abcdef0"},
    }


def log(*records: Record) -> bytes:
    return json.dumps({"Records": records}).encode()


def stop(_: object = None) -> None:
    """Ctrl-C, while a watch waits for its next poll."""
    raise KeyboardInterrupt


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Watch with a command line; between two polls the next of ``steps`` is done, then comes Ctrl-C."""

    def run(*arguments: object, steps: list[Callable[[], object]] | None = None) -> Result:
        waiting = [*(steps or [])]
        monkeypatch.setattr("cnitrail.cli.watching._pause", lambda _: waiting.pop(0)() if waiting else stop())
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def lines(result: Result) -> list[Record]:
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestDirectory:
    """A directory that a log shipper fills."""

    def test_what_is_there_is_shown_first_then_what_arrives_once_each(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        second = log(call(1, NOON), call(2, NOON + timedelta(minutes=1)))
        result = watch(
            *("timeline", tmp_path, "--watch", "-o", "jsonl"),
            steps=[lambda: (tmp_path / "2.json").write_bytes(second), lambda: None],
        )
        assert [entry["event_id"] for entry in lines(result)] == ["event-1", "event-2"]
        assert result.exit_code == 130
        assert "polling every 30 s; Ctrl-C ends\n" in result.stderr
        assert result.stderr.splitlines()[-1] == "stopped after 3 polls: 2 shown"

    def test_a_file_that_grows_is_read_again_and_shows_only_what_is_new(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        file = tmp_path / "events.jsonl"
        text = [json.dumps(call(number, NOON + timedelta(seconds=number))) + "\n" for number in range(4)]
        file.write_text(text[0])
        result = watch(
            *("timeline", file, "--watch", "1s", "-o", "jsonl"),
            steps=[lambda end=end: file.write_text("".join(text[:end])) for end in (2, 3, 4)],
        )
        assert [entry["event_id"] for entry in lines(result)] == [f"event-{number}" for number in range(4)]

    def test_a_new_call_has_the_node_that_an_earlier_poll_has_shown(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        (tmp_path / "1.json").write_bytes(log(attach(1, NOON)))
        later = log(call(2, NOON + timedelta(minutes=9)))
        result = watch(
            *("timeline", tmp_path, "--watch", "-o", "jsonl", "--instance", NODE),
            steps=[lambda: (tmp_path / "2.json").write_bytes(later)],
        )
        assert [(entry["event_id"], entry["instance"]) for entry in lines(result)] == [
            ("event-1", NODE),
            ("event-2", NODE),
        ]

    def test_an_entry_that_is_far_behind_is_late(self, tmp_path: Path, watch: Callable[..., Result]) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        late = log(call(2, NOON - timedelta(minutes=9)), call(3, NOON - timedelta(minutes=2)))
        steps = [lambda: (tmp_path / "2.json").write_bytes(late)]
        table = watch("timeline", tmp_path, "--watch", steps=steps)
        assert [line[:37] for line in table.stdout.splitlines()] == [
            "TIME (UTC)            API CALL",
            "2026-05-04 12:00:00Z  AssignPrivateIp",
            "2026-05-04 11:51:00Z  late by 9 min: ",
            "2026-05-04 11:58:00Z  AssignPrivateIp",
        ]
        (tmp_path / "2.json").unlink()
        as_lines = watch("timeline", tmp_path, "--watch", "-o", "jsonl", steps=steps)
        assert [entry["late"] for entry in lines(as_lines)] == [False, True, False]

    def test_a_call_whose_eni_becomes_known_later_is_shown_again_as_an_update(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        detached = call(2, NOON, "DetachNetworkInterface") | {
            "requestParameters": {"attachmentId": "eni-attach-0123456789abcdef0"},
            "responseElements": {"_return": True},
        }
        (tmp_path / "1.json").write_bytes(log(detached))
        earlier = log(attach(1, NOON - timedelta(hours=1)))
        result = watch(
            *("timeline", tmp_path, "--watch", "-o", "jsonl"),
            steps=[lambda: (tmp_path / "2.json").write_bytes(earlier)],
        )
        assert [(e["event_id"], e["eni"], e["late"], e["updated"]) for e in lines(result)] == [
            ("event-2", None, False, False),
            ("event-1", ENI, True, False),
            ("event-2", ENI, False, True),
        ]

    def test_every_line_is_an_entry_of_the_schema_with_what_a_watch_knows(
        self, watch: Callable[..., Result]
    ) -> None:
        found = lines(watch("timeline", FIXTURES / "ironman", "--watch", "-o", "jsonl"))
        whole = CliRunner().invoke(main, ["timeline", str(FIXTURES / "ironman"), "-o", "jsonl"])
        for entry in found:
            Draft202012Validator(ENTRY).validate(entry)
            seen_at = entry.pop("seen_at")
            assert datetime.now(UTC) - datetime.fromisoformat(seen_at) < timedelta(minutes=1)
            assert (entry.pop("late"), entry.pop("updated")) == (False, False)
        assert found == lines(whole)

    def test_csv_has_one_header(self, tmp_path: Path, watch: Callable[..., Result]) -> None:
        steps = [
            lambda number=number: (tmp_path / f"{number}.json").write_bytes(log(call(number, NOON)))
            for number in (1, 2)
        ]
        header, *rows = watch("timeline", tmp_path, "--watch", "-o", "csv", steps=steps).stdout.splitlines()
        assert header.startswith("time,event_id,")
        assert header.endswith(",seen_at,late,updated")
        assert [row.split(",")[1] for row in rows] == ["event-1", "event-2"]
        assert all(row.endswith("Z,false,false") for row in rows)

    def test_an_empty_directory_is_waited_for(self, tmp_path: Path, watch: Callable[..., Result]) -> None:
        steps = [lambda: (tmp_path / "1.json").write_bytes(log(call(1, NOON)))]
        result = watch("timeline", tmp_path, "--watch", "-o", "jsonl", steps=steps)
        assert f"{tmp_path}: no files in it yet; waiting" in result.stderr
        assert len(lines(result)) == 1

    def test_a_store_is_read_again_when_it_has_grown(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        logs, store = tmp_path / "logs", tmp_path / "trail.db"
        logs.mkdir()

        def collect(number: int) -> None:
            (logs / f"{number}.json").write_bytes(log(call(number, NOON)))
            assert CliRunner().invoke(main, ["collect", str(logs), "--to", str(store)]).exit_code == 0

        collect(1)
        result = watch(
            *("timeline", store, "--watch", "-o", "jsonl"), steps=[lambda: collect(2), lambda: None]
        )
        assert [entry["event_id"] for entry in lines(result)] == ["event-1", "event-2"]

    def test_a_damaged_file_is_named_once(self, tmp_path: Path, watch: Callable[..., Result]) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        (tmp_path / "2.json").write_bytes(log(call(2, NOON))[:-40])
        result = watch("timeline", tmp_path, "--watch", "-q", steps=[lambda: None] * 3)
        assert result.stderr.count("2.json: broken JSON") == 1


class TestFindings:
    def test_a_finding_comes_again_only_if_it_has_changed(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        story = files("subnet-exhausted")
        paths = sorted(story)
        half = len(paths) // 2

        def fill(some: list[str]) -> None:
            for path in some:
                (tmp_path / Path(path).name).write_bytes(story[path])

        fill(paths[:half])
        result = watch(
            *("findings", tmp_path, "--watch", "-o", "jsonl"),
            steps=[lambda: None, lambda: fill(paths[half:]), lambda: None],
        )
        shown = lines(result)
        last = {finding["fingerprint"]: finding["sentence"] for finding in shown}
        whole = lines(CliRunner().invoke(main, ["findings", str(tmp_path), "-o", "jsonl"]))
        assert last.items() >= {finding["fingerprint"]: finding["sentence"] for finding in whole}.items()
        for finding in shown:
            Draft202012Validator(FINDING).validate(finding)
        states = [(f["fingerprint"], f["severity"], f["sentence"], f["until"]) for f in shown]
        assert len(set(states)) == len(states)
        first: set[str] = set()
        for finding in shown:
            assert finding["updated"] == (finding["fingerprint"] in first)
            first.add(finding["fingerprint"])


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("lookup:", "--watch", "2s"), "--watch: AWS can be polled every 5 s at most"),
            (("s3://logs", "--watch", "1s"), "--watch: AWS can be polled every 5 s at most"),
            ((".", "--watch", "0s"), "--watch: files can be polled every 1 s at most"),
            ((".", "--watch", "--until", "1h"), "--until cannot be used with --watch"),
            ((".", "--watch", "--verify"), "--verify cannot be used with --watch"),
            (("-", "--watch"), "--watch cannot read - again"),
            ((".", "--watch", "-o", "json"), "-o json cannot be used with --watch"),
            ((".", "--watch", "-o", "timesketch"), "-o timesketch cannot be used with --watch"),
            (("--watch=often", "."), "'often' is not a length of time"),
        ],
    )
    def test_what_cannot_be_watched_is_a_usage_error(
        self, arguments: tuple[str, ...], message: str, watch: Callable[..., Result]
    ) -> None:
        result = watch("timeline", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stdout == ""

    def test_a_source_may_follow_watch_without_a_value(
        self, tmp_path: Path, watch: Callable[..., Result]
    ) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        result = watch("timeline", "--watch", tmp_path, "-o", "jsonl")
        assert len(lines(result)) == 1

    def test_a_directory_that_does_not_exist_is_an_error_at_once(self, watch: Callable[..., Result]) -> None:
        result = watch("timeline", "nowhere", "--watch")
        assert result.exit_code == 1
        assert "nowhere: no such file or directory" in result.stderr


@contextmanager
def served(trail: CloudTrail) -> Iterator[CloudTrail]:
    server = serve(trail)
    yield trail
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudTrail]:
    """LookupEvents of an account, which may be called as often as one likes."""
    monkeypatch.setattr("cnitrail.sources.lookup_region.CALLS_PER_SECOND", 1000.0)
    with served(CloudTrail()) as trail:
        yield trail


class TestLookup:
    """LookupEvents, on loopback."""

    def test_new_events_come_once_and_only_the_delay_is_asked_for_again(
        self, account: CloudTrail, watch: Callable[..., Result]
    ) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        account.add([attach(1, now - timedelta(hours=2)), call(2, now - timedelta(minutes=1))])
        asked: list[int] = []

        def arrive() -> None:
            asked.append(len(account.calls))
            account.add([call(3, now), call(4, now - timedelta(minutes=8))])

        result = watch(
            *("timeline", "--watch", "--endpoint-url", account.url, "--eni", ENI, "-o", "jsonl"),
            *("--since", "3h"),
            steps=[arrive, lambda: None],
        )
        assert [(entry["event_id"], entry["late"]) for entry in lines(result)] == [
            ("event-1", False),
            ("event-2", False),
            ("event-4", True),
            ("event-3", False),
        ]
        assert {entry["instance"] for entry in lines(result)} == {NODE}
        assert "complete from" in result.stderr.splitlines()[-1]
        assert "(events may be 15 min late)" in result.stderr.splitlines()[-1]

    def test_without_since_the_last_quarter_of_an_hour_is_shown(
        self, account: CloudTrail, watch: Callable[..., Result]
    ) -> None:
        now = datetime.now(UTC)
        account.add([call(1, now - timedelta(hours=1)), call(2, now - timedelta(minutes=5))])
        result = watch("timeline", "--watch", "--endpoint-url", account.url, "--eni", ENI, "-o", "jsonl")
        assert [entry["event_id"] for entry in lines(result)] == ["event-2"]
        assert result.stderr.count("showing the last 15 min (--since shows more)") == 1
        assert "not complete for any time yet" in result.stderr.splitlines()[-1]

    def test_credentials_that_expire_are_named_once_and_polling_goes_on(
        self, account: CloudTrail, watch: Callable[..., Result]
    ) -> None:
        now = datetime.now(UTC)
        account.add([call(1, now)])

        def expire() -> None:
            account.fault = lambda _: "ExpiredTokenException"
            account.add([call(2, now)])

        def deny() -> None:
            account.fault = lambda _: "AccessDeniedException"

        def sign_in() -> None:
            account.fault = lambda _: None

        result = watch(
            *("timeline", "--watch", "--endpoint-url", account.url, "--eni", ENI, "-o", "jsonl"),
            steps=[expire, lambda: None, deny, lambda: None, sign_in],
        )
        assert [entry["event_id"] for entry in lines(result)] == ["event-1", "event-2"]
        assert result.stderr.count("the AWS session token has expired") == 1
        assert result.stderr.count("access denied") == 1
        assert result.stderr.count("polling works again") == 1
        assert "Traceback" not in result.stderr

    def test_credentials_that_are_wrong_from_the_start_end_it(
        self, account: CloudTrail, watch: Callable[..., Result]
    ) -> None:
        account.fault = lambda _: "UnrecognizedClientException"
        result = watch("timeline", "--watch", "--endpoint-url", account.url)
        assert result.exit_code == 1
        assert "AWS does not know these credentials" in result.stderr
        assert result.stdout == ""


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with endpoint() as found:
        yield found


def key(at: datetime, name: str = "0123456789abcdef") -> str:
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{at:%Y/%m/%d}"
    return f"{folder}/{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%M}Z_{name}.json.gz"


class TestS3:
    """A trail's bucket, on moto."""

    def test_objects_that_arrive_are_read_once_each_and_late_ones_too(
        self, server: Endpoint, watch: Callable[..., Result]
    ) -> None:
        server.calls.clear()
        server.put("watched", {key(NOON): log(attach(1, NOON - timedelta(minutes=5)))})

        def put(number: int, delivered: datetime, happened: datetime) -> None:
            body = log(call(number, happened))
            server.client.put_object(Bucket="watched", Key=key(delivered, f"{number:016}"), Body=body)

        minute = timedelta(minutes=1)
        result = watch(
            *("timeline", "s3://watched", "--watch", "--endpoint-url", server.url, "-o", "jsonl"),
            *("--since", "2026-05-04T11:00Z"),
            steps=[
                lambda: put(2, NOON + 5 * minute, NOON + minute),
                lambda: put(3, NOON + 2 * minute, NOON - 40 * minute),
                lambda: None,
            ],
        )
        assert [(entry["event_id"], entry["late"]) for entry in lines(result)] == [
            ("event-1", False),
            ("event-2", False),
            ("event-3", True),
        ]
        assert len(server.fetched) == len(set(server.fetched)) == 3

    def test_a_bucket_without_new_log_files_is_waited_for(
        self, server: Endpoint, watch: Callable[..., Result]
    ) -> None:
        server.put("quiet", {key(NOON): log(attach(1, NOON))})
        now = datetime.now(UTC)

        def arrive() -> None:
            server.client.put_object(Bucket="quiet", Key=key(now), Body=log(call(2, now)))

        result = watch(
            *("timeline", "s3://quiet", "--watch", "--endpoint-url", server.url, "-o", "jsonl"),
            steps=[lambda: None, arrive],
        )
        assert [entry["event_id"] for entry in lines(result)] == ["event-2"]
        assert result.stderr.count("yet; waiting") == 1

    def test_an_object_that_is_denied_at_first_is_read_later(
        self, server: Endpoint, watch: Callable[..., Result]
    ) -> None:
        denied = key(NOON, "denied0000000000")
        server.put("denied", {key(NOON): log(call(1, NOON)), denied: log(call(2, NOON))})

        def fault(call: Call) -> Refusal | None:
            return Refusal(403, "AccessDenied") if call.key == denied else None

        def allow() -> None:
            server.fault = lambda _: None

        server.fault = fault
        result = watch(
            *("timeline", "s3://denied", "--watch", "--endpoint-url", server.url, "-o", "jsonl"),
            *("--since", "2026-05-04"),
            steps=[lambda: None, allow],
        )
        assert [entry["event_id"] for entry in lines(result)] == ["event-1", "event-2"]
        assert result.stderr.count("denied0000000000") == 1


class TestPauses:
    def test_failures_make_the_pauses_longer_up_to_five_minutes(self) -> None:
        class Failing(Watch):
            def __init__(self) -> None:
                self.left = 7

            def poll(self, observer: object = None) -> Poll:
                self.left -= 1
                error = SourceError("network down")
                return Poll(
                    at=NOON,
                    took=timedelta(),
                    history=None,
                    evidence=None,
                    failures=(error,),
                    failed=self.left > 0,
                )

        pauses: list[timedelta] = []
        polled = polls(Failing(), timedelta(seconds=30), pauses.append)
        for _ in range(8):
            next(polled)
        assert [pause.total_seconds() for pause in pauses] == [60, 120, 240, 300, 300, 300, 30]


@cache
def story_records(story: str) -> tuple[Record, ...]:
    return tuple(record for file in STORIES[story]() for record in file.records)


@settings(max_examples=20)
@given(data=st.data())
@pytest.mark.parametrize("story", ["ironman", "stolen-address", "silent-death", "two-vpcs", "hostile"])
def test_any_order_of_arrival_in_any_polls_shows_every_entry_once(
    story: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    arriving = data.draw(st.permutations(story_records(story)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arriving)), max_size=4)) | {len(arriving)})
    folder = tmp_path_factory.mktemp("arriving")
    watched = Watch(Request(sources=(str(folder),), wanted=Filter(), access=Access()))
    entries, shown, before = NewEntries(), list[tuple[str, str | None]](), 0
    for cut in cuts:
        for number in range(before, cut):
            (folder / f"{number:05}.json").write_bytes(log(arriving[number]))
        before = cut
        poll = watched.poll()
        if poll.history is not None:
            for seen in entries.take(calls(poll.history, Filter()), poll.at):
                shown.append((seen.entry.event_id or "", seen.entry.eni))
    case = read(folder)
    whole = [(entry.event_id or "", entry.eni) for entry in case.timeline()]
    incomplete = {pair for pair in shown if pair[1] is None} - set(whole)
    assert set(shown) - incomplete == set(whole)
    assert len(shown) - len(incomplete) == len(whole)


class TestProcess:
    """Signals and pipes, in processes of their own."""

    @pytest.fixture
    def start(self) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        begun: list[subprocess.Popen[str]] = []

        def start(*arguments: object) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "cnitrail", *map(str, arguments)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
            )
            begun.append(process)
            return process

        yield start
        for process in begun:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_it_cleanly(
        self,
        number: signal.Signals,
        status: int,
        tmp_path: Path,
        start: Callable[..., subprocess.Popen[str]],
    ) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        process = start("timeline", tmp_path, "--watch", "1s", "-o", "jsonl")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event_id"] == "event-1"
        (tmp_path / "2.json").write_bytes(log(call(2, NOON)))
        assert json.loads(process.stdout.readline())["event_id"] == "event-2"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
        assert (rest, process.returncode) == ("", status)
        assert errors.startswith("polling every 1 s; Ctrl-C ends\nstopped after ")
        assert errors.endswith(" polls: 2 shown\n")

    def test_a_reader_that_goes_away_ends_it_without_waiting_for_the_next_poll(
        self, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        (tmp_path / "1.json").write_bytes(log(call(1, NOON)))
        process = start("timeline", tmp_path, "--watch", "1h", "-o", "jsonl")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.stdout.close()
        assert process.wait(timeout=20) == 141


class TestTornFiles:
    """A file that is still being written when it is first polled."""

    def test_a_file_that_was_torn_and_is_whole_later_leaves_no_trace(self, tmp_path: Path) -> None:
        text = gzip.compress(json.dumps({"Records": records("ironman")}).encode())
        path = tmp_path / "log.json.gz"
        path.write_bytes(text[: len(text) // 2])
        request = Request(sources=(str(tmp_path),), wanted=Filter(), access=Access())
        watch = Watch(request)
        torn = watch.poll()
        assert [skip.reason for skip in torn.unread] == ["the gzip stream is cut short"]
        path.write_bytes(text)
        os.utime(path, (time.time() + 5, time.time() + 5))
        whole = watch.poll()
        assert whole.evidence is not None
        assert whole.history is not None
        assert len(whole.history.events) > 10
        assert whole.evidence.skipped == ()
        assert whole.evidence.lost == ()
