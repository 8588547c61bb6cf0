"""The source ``logs:``, against a loopback server with CloudWatch Logs' protocol, and moto's."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from conftest import FIXTURES, Run
from logs_server import CloudWatchLogs, LogsError, cloudwatch_logs, made_up_account, matches
from moto_loopback import client, empty_moto
from msgspec.structs import replace

from cnitrail.decode import NAMES
from cnitrail.errors import SourceError, UsageError
from cnitrail.model import CutShort, Document, Note, Scope
from cnitrail.sources.logs import days
from cnitrail.sources.logs.group import LogGroup, parse_log_group
from cnitrail.sources.logs.patterns import AUDIT_PATTERN, MAX_PATTERN, trail_pattern
from cnitrail.sources.logs.source import LogsSource
from cnitrail.sources.rate_limit import SystemClock

REGION = "eu-west-1"
GROUP = "/aws/eks/blue/cluster"
AUDIT = "kube-apiserver-audit-0123456789abcdef0123456789abcdef"
NODE = "ip-10-0-1-10.eu-west-1.compute.internal"
INSTANCE = "i-0123456789abcdef0"
DAY = datetime(2026, 7, 14, tzinfo=UTC)


TIMES = ("--since", "2024-09-24", "--until", "2024-09-24T12:00Z")
"""The time of the story node-life."""


class FastClock(SystemClock):
    """A clock whose waits return at once."""

    def wait_until(self, moment: float) -> None:
        pass


@pytest.fixture(autouse=True)
def dummy_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, and no waits in botocore."""
    made_up_account(monkeypatch, REGION)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def logs() -> Iterator[CloudWatchLogs]:
    with cloudwatch_logs() as server:
        yield server


def audit(time: str, verb: str, uri: str, resource: str = "pods", **more: object) -> tuple[str, str]:
    """Return the time and the text of an audit event, as a kubelet's."""
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": f"id-{time}-{verb}",
        "stage": "ResponseComplete",
        "requestURI": uri,
        "verb": verb,
        "user": {
            "username": f"system:node:{NODE}",
            "groups": ["system:bootstrappers", "system:nodes", "system:authenticated"],
            "extra": {"sessionName": [INSTANCE]},
        },
        "objectRef": {"resource": resource, "namespace": "shop", "name": "web-1", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": time,
        "stageTimestamp": time,
        **more,
    }
    return time, json.dumps(event, separators=(",", ":"))


POD = "/api/v1/namespaces/shop/pods/web-1"


def status(time: str, ip: str) -> tuple[str, str]:
    """Return a kubelet's patch that sets the address of a pod."""
    body = {"metadata": {"uid": "uid-1"}, "status": {"podIP": ip, "podIPs": [{"ip": ip}]}}
    ref = {"resource": "pods", "namespace": "shop", "name": "web-1", "subresource": "status"}
    return audit(time, "patch", f"{POD}/status", objectRef=ref, requestObject=body)


def lease(time: str) -> tuple[str, str]:
    """Return the most frequent event: a kubelet renews its lease."""
    return audit(time, "update", f"/apis/coordination.k8s.io/v1/leases/{NODE}", "leases")


def scope(logs: CloudWatchLogs, **fields: Any) -> Scope:
    whole = Scope(since=DAY, until=DAY + timedelta(hours=20), endpoint_url=logs.url, event_names=NAMES)
    return replace(whole, **fields)


class Reading:
    """Everything that a source delivers."""

    def __init__(self, uri: str, scope: Scope) -> None:
        self.documents: list[Document] = []
        self.texts: list[str] = []
        self.notes: list[str] = []
        self.cuts: list[CutShort] = []
        for delivered in LogsSource(uri, scope, FastClock()).documents():
            if isinstance(delivered, Document):
                self.documents.append(delivered)
                self.texts += [event["message"] for event in json.loads(b"".join(delivered.chunks))["events"]]
            elif isinstance(delivered, CutShort):
                self.cuts.append(delivered)
            elif isinstance(delivered, Note):
                self.notes.append(delivered.text)

    @property
    def seen(self) -> frozenset[tuple[str, str]]:
        return frozenset((document.uri, str(document.etag)) for document in self.documents)


class TestWhatIsAskedFor:
    def test_a_pod_address_is_found_in_the_log_group_of_a_cluster(
        self, logs: CloudWatchLogs, run: Run
    ) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T12:00:05Z", "10.0.1.25"))
        result = run(
            *("pods", f"logs:{GROUP}", "--endpoint-url", logs.url, "-o", "json"),
            *("--since", "2026-07-14", "--until", "2026-07-15"),
        )
        assert result.exit_code == 0, result.output
        (entry,) = json.loads(result.stdout)["entries"]
        assert (entry["ip"], entry["pod"], entry["instance"]) == ("10.0.1.25", "web-1", INSTANCE)

    def test_only_audit_streams_are_read_and_leases_of_kubelets_are_left_to_aws(
        self, logs: CloudWatchLogs
    ) -> None:
        wanted = [status("2026-07-14T12:00:05Z", "10.0.1.25"), audit("2026-07-14T12:10:05Z", "delete", POD)]
        logs.put(REGION, GROUP, AUDIT, lease("2026-07-14T12:00:01Z"), *wanted)
        logs.put(REGION, GROUP, "kube-scheduler-0123", ("2026-07-14T12:00:02Z", "pods pods pods"))
        assert Reading(f"logs:{GROUP}", scope(logs)).texts == [text for _, text in wanted]

    @pytest.mark.parametrize(
        "message",
        [
            audit("2026-07-14T12:00:00Z", "create", "/api/v1/namespaces/shop/pods"),
            audit("2026-07-14T12:00:00Z", "create", f"{POD}/binding"),
            audit("2026-07-14T12:00:00Z", "patch", f"{POD}/status"),
            audit("2026-07-14T12:00:00Z", "delete", POD),
            audit("2026-07-14T12:00:00Z", "deletecollection", "/api/v1/namespaces/shop/pods"),
            audit(
                "2026-07-14T12:00:00Z",
                "create",
                "/api/v1/nodes",
                "nodes",
                requestObject={"spec": {"providerID": f"aws:///eu-west-1a/{INSTANCE}"}},
            ),
            ("", audit("2026-07-14T12:00:00Z", "delete", POD)[1][:400] + "[Truncated...]"),
            (
                "",
                audit("2026-07-14T12:00:00Z", "create", "/api/v1/nodes", "nodes")[1][:90] + "[Truncated...]",
            ),
        ],
    )
    def test_the_pattern_selects_every_event_that_shows_a_pod_or_a_node_even_if_it_was_cut(
        self, message: tuple[str, str]
    ) -> None:
        assert matches(AUDIT_PATTERN, message[1])

    def test_the_pattern_of_a_trail_has_every_event_name_as_a_word_and_is_short_enough(self) -> None:
        pattern = trail_pattern(NAMES)
        assert pattern is not None
        assert len(pattern) <= MAX_PATTERN
        assert all(matches(pattern, f'{{"eventName":"{name}"}}') for name in NAMES)
        assert not matches(pattern, '{"eventName":"DescribeInstances"}')

    def test_a_pattern_that_would_be_too_long_is_not_used(self) -> None:
        assert trail_pattern([f"Event{number:04}" for number in range(200)]) is None

    def test_a_trail_is_recognized_by_its_events_and_its_calls_are_found(
        self, logs: CloudWatchLogs, run: Run
    ) -> None:
        files = sorted((FIXTURES / "node-life").rglob("*.json*"))
        records = [record for file in files for record in records_of(file)]
        for record in records:
            text = json.dumps(record)
            logs.put(REGION, "trail", f"111111111111_CloudTrail_{REGION}", (record["eventTime"], text))
        read = ["--endpoint-url", logs.url, "-o", "jsonl"]
        found, expected = run("leases", "logs:trail", *read), run("leases", "node-life", "-o", "jsonl")
        assert names_and_times(found.stdout) == names_and_times(expected.stdout)
        assert {call.get("filterPattern") for call in logs.calls[1:]} == {trail_pattern(NAMES)}

    def test_events_of_another_kind_are_all_read(self, logs: CloudWatchLogs) -> None:
        line = '{"level":"info","ts":"2026-07-14T12:21:22.523Z","caller":"x.go:1","msg":"any line"}'
        logs.put(REGION, "node-logs", "ipamd", ("2026-07-14T12:21:23Z", line))
        reading = Reading("logs:node-logs", scope(logs))
        assert reading.texts == [line]
        assert "asking for all events" in " ".join(reading.notes)

    def test_a_pattern_that_is_refused_is_left_out_on_every_page(self, logs: CloudWatchLogs) -> None:
        messages = [lease("2026-07-14T12:00:01Z"), status("2026-07-14T12:00:05Z", "10.0.1.25")]
        logs.put(REGION, GROUP, AUDIT, *messages)
        logs.page = 1
        logs.fault = lambda call: LogsError("InvalidParameterException") if call == 1 else None
        reading = Reading(f"logs:{GROUP}", scope(logs))
        assert len(reading.texts) == 2
        assert [call.get("filterPattern") for call in logs.calls] == [AUDIT_PATTERN, None, None]
        assert "the filter pattern was refused, so all events were asked for" in reading.notes[-1]

    def test_the_last_millisecond_of_a_day_is_asked_for(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-13T23:59:59.999Z", "10.0.1.25"))
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T00:00:00.000Z", "10.0.1.25"))
        into = scope(logs, into="store.db", since=DAY - timedelta(days=3))
        assert len(Reading(f"logs:{GROUP}", into).texts) == 2

    def test_events_that_were_logged_an_hour_late_are_asked_for(self, logs: CloudWatchLogs) -> None:
        logs.put(
            REGION, GROUP, AUDIT, ("2026-07-14T20:40:00Z", status("2026-07-14T19:59:00Z", "10.0.1.2")[1])
        )
        assert len(Reading(f"logs:{GROUP}", scope(logs)).texts) == 1

    def test_empty_pages_are_followed_to_the_end(self, logs: CloudWatchLogs) -> None:
        leases = [lease(f"2026-07-14T11:{minute:02}:00Z") for minute in range(60)]
        logs.put(REGION, GROUP, AUDIT, *leases, status("2026-07-14T12:00:05Z", "10.0.1.25"))
        logs.page = 3
        assert len(Reading(f"logs:{GROUP}", scope(logs)).texts) == 1
        assert len(logs.calls) > 20

    def test_without_a_start_everything_since_the_first_event_is_read_in_few_calls(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2021-07-14T12:00:05Z", "10.0.1.25"))
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T12:00:05Z", "10.0.1.26"))
        reading = Reading(f"logs:{GROUP}", scope(logs, since=None, until=None))
        assert len(reading.texts) == 2
        assert len(logs.calls) < 20
        assert (
            "no time range given: reading everything since 2021-07-14T12:00:05Z. Use --since 6h."
            in reading.notes
        )


def records_of(file: Path) -> list[dict[str, Any]]:
    import gzip

    data = file.read_bytes()
    text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    found: list[dict[str, Any]] = json.loads(text)["Records"]
    return found


def names_and_times(lines: str) -> list[tuple[Any, ...]]:
    entries = [json.loads(line) for line in lines.splitlines()]
    return [tuple(entry[key] for key in ("ip", "eni", "start", "end", "end_basis")) for entry in entries]


class TestWhatIsDelivered:
    def test_a_document_has_the_events_of_an_hour_and_is_named_after_group_account_and_region(
        self, logs: CloudWatchLogs
    ) -> None:
        times = ("11:59:59", "12:00:00", "12:59:59", "13:00:00")
        logs.put(REGION, GROUP, AUDIT, *(status(f"2026-07-14T{time}Z", "10.0.1.25") for time in times))
        reading = Reading(f"logs:{GROUP}", scope(logs))
        assert [document.uri for document in reading.documents] == [
            f"logs:{GROUP}@111111111111/{REGION}/2026-07-14T{hour}" for hour in (11, 12, 13)
        ]

    def test_hours_that_a_store_has_are_not_asked_for_again(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T11:00:00Z", "10.0.1.25"))
        into = scope(logs, into="store.db", since=DAY + timedelta(hours=3))
        first = Reading(f"logs:{GROUP}", into)
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T15:00:00Z", "10.0.1.26"))
        again = Reading(f"logs:{GROUP}", replace(into, seen=first.seen))
        assert [document.uri[-13:] for document in again.documents] == ["2026-07-14T15"]
        assert logs.calls[-1]["startTime"] == (DAY + timedelta(hours=12)).timestamp() * 1000

    def test_an_earlier_part_of_a_day_is_not_missed_because_a_later_one_was_asked_for_first(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T02:00:00Z", "10.0.1.25"))
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T15:00:00Z", "10.0.1.26"))
        into = scope(logs, into="store.db")
        late = Reading(f"logs:{GROUP}", replace(into, since=DAY + timedelta(hours=14)))
        early = Reading(f"logs:{GROUP}", replace(into, seen=late.seen))
        assert len(late.texts) + len(early.texts) == 2

    def test_the_document_of_a_busy_hour_is_divided(
        self, logs: CloudWatchLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(days, "MAX_BYTES", 2500)
        times = [f"2026-07-14T12:{minute:02}:00Z" for minute in range(5)]
        logs.put(REGION, GROUP, AUDIT, *(status(time, "10.0.1.25") for time in times))
        into = scope(logs, into="store.db")
        reading = Reading(f"logs:{GROUP}", into)
        names = [document.uri.rpartition("/")[2] for document in reading.documents]
        assert names == ["2026-07-14T12.1", "2026-07-14T12.2", "2026-07-14T12"]
        assert len(reading.texts) == 5
        assert not Reading(f"logs:{GROUP}", replace(into, seen=reading.seen)).texts

    def test_the_newest_hour_is_read_again(self, logs: CloudWatchLogs) -> None:
        now = datetime.now(UTC).isoformat()
        logs.put(REGION, GROUP, AUDIT, status(now, "10.0.1.25"))
        into = scope(logs, into="store.db", since=datetime.now(UTC) - timedelta(hours=1), until=None)
        first = Reading(f"logs:{GROUP}", into)
        assert len(Reading(f"logs:{GROUP}", replace(into, seen=first.seen)).texts) == 1

    def test_collecting_a_trail_twice_adds_nothing(
        self, logs: CloudWatchLogs, run: Run, tmp_path: Path
    ) -> None:
        for file in sorted((FIXTURES / "node-life").rglob("*.json*")):
            for record in records_of(file):
                stream = f"111111111111_CloudTrail_{REGION}"
                logs.put(REGION, "trail", stream, (record["eventTime"], json.dumps(record)))
        store = str(tmp_path / "store.db")
        collect = ("collect", "logs:trail", "--endpoint-url", logs.url, *TIMES, "--to", store)
        assert run(*collect).exit_code == 0
        first = run("timeline", store, "-o", "json").stdout
        again = run(*collect)
        assert again.exit_code == 0, again.output
        assert json.loads(run("timeline", store, "-o", "json").stdout) == json.loads(first)


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("AccessDeniedException", "may not call logs:FilterLogEvents"),
            ("ExpiredTokenException", "the AWS session token has expired"),
            ("ThrottlingException", "was throttled until all retries were used up"),
        ],
    )
    def test_an_error_says_what_failed(self, logs: CloudWatchLogs, code: str, expected: str) -> None:
        logs.put(REGION, GROUP, AUDIT)
        logs.fault = lambda _: LogsError(code)
        with pytest.raises(SourceError, match=expected):
            Reading(f"logs:{GROUP}", scope(logs))

    def test_a_group_of_the_infrequent_access_class_is_to_be_queried_with_insights(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.put(REGION, GROUP, AUDIT)
        text = f"The log group {GROUP} is of log-group-class INFREQUENT_ACCESS."
        logs.fault = lambda _: LogsError("InvalidOperationException", text)
        with pytest.raises(SourceError, match="INFREQUENT_ACCESS") as raised:
            Reading(f"logs:{GROUP}", scope(logs))
        assert "aws logs start-query" in str(raised.value.hint)

    def test_a_missing_group_is_answered_with_the_most_similar_name(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, AUDIT)
        with pytest.raises(SourceError, match="there is no such log group in eu-west-1") as raised:
            Reading("logs:/aws/eks/bleu/cluster", scope(logs))
        assert f"did you mean logs:{GROUP}?" in str(raised.value.hint)

    def test_a_missing_group_is_reported_if_groups_may_not_be_listed(self, logs: CloudWatchLogs) -> None:
        logs.may_list = False
        with pytest.raises(SourceError, match="there is no such log group in eu-west-1"):
            Reading(f"logs:{GROUP}", scope(logs))

    def test_a_group_without_audit_events_says_that_audit_logging_may_be_off(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.put(REGION, GROUP, "kube-scheduler-0123", ("2026-07-14T12:00:02Z", "pods"))
        with pytest.raises(SourceError, match="no audit events about pods since 2026-07-14") as raised:
            Reading(f"logs:{GROUP}", scope(logs))
        assert "audit logging is off by default" in str(raised.value.hint)

    def test_what_was_read_before_an_error_is_kept_and_the_rest_is_stated(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-01T12:00:00Z", "10.0.1.25"))
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T12:00:00Z", "10.0.1.26"))
        logs.fault = lambda call: LogsError("ExpiredTokenException") if call > 2 else None
        reading = Reading(f"logs:{GROUP}", scope(logs, since=DAY - timedelta(days=30)))
        (cut,) = reading.cuts
        assert len(reading.texts) == 1
        assert "the AWS session token has expired" in cut.reason
        assert "complete from 2026-07-11T21:00:00Z on, older events were not all read" in cut.reason

    def test_the_number_of_calls_is_limited(self, logs: CloudWatchLogs) -> None:
        times = [f"2026-07-14T12:{minute:02}:00Z" for minute in range(60)]
        logs.put(REGION, GROUP, AUDIT, *(status(time, "10.0.1.25") for time in times))
        logs.page = 1
        reading = Reading(f"logs:{GROUP}", scope(logs, max_calls=10))
        assert len(reading.texts) == 10
        assert "stopped after 10 calls (--max-calls)" in reading.cuts[0].reason

    def test_an_answer_of_a_part_has_status_3_and_says_what_is_missing(
        self, logs: CloudWatchLogs, run: Run
    ) -> None:
        for day in ("01", "14"):
            logs.put(REGION, GROUP, AUDIT, status(f"2026-07-{day}T12:00:00Z", f"10.0.1.{day}"))
        result = run(
            *("pods", f"logs:{GROUP}", "--endpoint-url", logs.url, "-o", "jsonl", "--max-calls", "2"),
            *("--since", "2026-07-01", "--until", "2026-07-14T20:00Z"),
        )
        assert result.exit_code == 3, result.output
        assert [json.loads(line)["ip"] for line in result.stdout.splitlines()] == ["10.0.1.14"]
        assert "stopped after 2 calls (--max-calls); complete from 2026-07-11T21:00:00Z on" in result.stderr

    def test_an_interruption_ends_with_what_was_read(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, AUDIT, status("2026-07-01T12:00:00Z", "10.0.1.25"))
        logs.put(REGION, GROUP, AUDIT, status("2026-07-14T12:00:00Z", "10.0.1.26"))
        source = LogsSource(f"logs:{GROUP}", scope(logs, since=DAY - timedelta(days=30)), FastClock())
        assert not source.stop()
        delivered = []
        for item in source.documents():
            delivered.append(item)
            if isinstance(item, Document):
                assert source.stop()
        assert sum(isinstance(item, Document) for item in delivered) == 1
        (cut,) = [item for item in delivered if isinstance(item, CutShort)]
        assert cut.reason.startswith("interrupted; complete from ")


class TestNames:
    def test_an_arn_names_region_account_and_group(self, logs: CloudWatchLogs) -> None:
        arn = f"arn:aws:logs:eu-central-1:222222222222:log-group:{GROUP}"
        assert parse_log_group(f"logs:{arn}:*") == LogGroup(GROUP, "eu-central-1", "222222222222", arn)
        logs.put("eu-central-1", GROUP, AUDIT, status("2026-07-14T12:00:00Z", "10.0.1.26"))
        reading = Reading(f"logs:{arn}:*", scope(logs))
        assert logs.calls[0]["logGroupIdentifier"] == arn
        assert reading.documents[0].uri.startswith(f"logs:{GROUP}@222222222222/eu-central-1/")
        assert reading.notes[0].startswith("FilterLogEvents in 222222222222/eu-central-1 as arn:")

    @pytest.mark.parametrize(
        "uri", ["logs:", "logs:a b", "logs:arn:aws:logs:eu-west-1:1:log-group:x", "logs:é"]
    )
    def test_what_is_no_log_group_is_a_usage_error(self, uri: str) -> None:
        with pytest.raises(UsageError, match="not the name or ARN of a log group"):
            parse_log_group(uri)

    def test_slashes_after_the_scheme_are_pointed_out(self) -> None:
        with pytest.raises(UsageError) as raised:
            parse_log_group("logs://aws/eks/blue/cluster")
        assert raised.value.hint == "did you mean logs:/aws/eks/blue/cluster?"

    def test_a_group_is_in_one_region(self, logs: CloudWatchLogs) -> None:
        with pytest.raises(UsageError, match="a log group is in one Region, and --region names 2"):
            Reading(f"logs:{GROUP}", scope(logs, regions=("eu-west-1", "eu-central-1")))

    def test_a_log_group_is_not_watched(self, run: Run) -> None:
        result = run("timeline", "logs:trail", "--watch")
        assert result.exit_code == 2
        assert "--watch cannot be used with logs:trail" in result.stderr


def test_moto_answers_as_the_loopback_server_does() -> None:
    host, port = empty_moto()
    url = f"http://{host}:{port}"
    moto = client("logs", url, REGION)
    moto.create_log_group(logGroupName=GROUP)
    moto.create_log_stream(logGroupName=GROUP, logStreamName=AUDIT)
    now = datetime.now(UTC) - timedelta(minutes=10)
    events = [
        {
            "timestamp": round(now.timestamp() * 1000) + number,
            "message": status(now.isoformat(), "10.0.1.25")[1],
        }
        for number in range(3)
    ]
    moto.put_log_events(logGroupName=GROUP, logStreamName=AUDIT, logEvents=events)
    since = now - timedelta(hours=1)
    reading = Reading(f"logs:{GROUP}", Scope(since=since, endpoint_url=url, event_names=NAMES))
    assert len(reading.texts) == 3
    moto.close()
