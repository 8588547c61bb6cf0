"""CloudWatch Logs on loopback: FilterLogEvents and DescribeLogGroups over its JSON protocol.

The same server is EC2 as far as DescribeFlowLogs, whose XML has the flow logs that a test sets.

Filter patterns follow https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html as
far as cnitrail uses them: terms, of which an event has to contain all, or with ``?`` any. AWS does not say
whether a term matches within a word, so here it does not: that is the narrower reading.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import pytest
from moto_loopback import running

MAX_PATTERN = 1024


@dataclass(frozen=True)
class LogEvent:
    """An event of a stream; ``time`` is in milliseconds."""

    stream: str
    time: int
    message: str
    id: str


@dataclass(frozen=True)
class LogsError:
    """An error response."""

    code: str
    message: str = "as the test asks"


@dataclass(frozen=True)
class FlowLog:
    """A flow log of EC2 that writes to a log group, or to S3 if that is None."""

    id: str
    format: str
    group: str | None = None
    resource: str = "vpc-0123456789abcdef0"
    traffic: str = "ALL"
    created: str = "2022-01-01T00:00:00.000Z"
    region: str = "eu-west-1"
    destination: str | None = None

    @property
    def xml(self) -> str:
        """The flow log as EC2 lists it."""
        fields = {
            "flowLogId": self.id,
            "resourceId": self.resource,
            "trafficType": self.traffic,
            "creationTime": self.created,
            "logGroupName": self.group,
            "logFormat": self.format,
            "logDestination": self.destination,
        }
        inside = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items() if text)
        return f"<item>{inside}</item>"


@dataclass
class CloudWatchLogs:
    """Log groups by Region and name. ``page`` is how many events a call searches, matching or not.

    ``fault`` gives the error of the n-th call of FilterLogEvents, from 1, or None; ``calls`` has all of them.
    """

    url: str = ""
    account: str = "111111111111"
    page: int = 1000
    fault: Callable[[int], LogsError | None] = lambda _: None
    groups: dict[tuple[str, str], list[LogEvent]] = field(default_factory=dict)
    may_list: bool = True
    calls: list[dict[str, Any]] = field(default_factory=list)
    flow_logs: list[FlowLog] = field(default_factory=list)
    flow_logs_fault: str | None = None
    flow_log_calls: list[dict[str, str]] = field(default_factory=list)

    def put(self, region: str, group: str, stream: str, *messages: tuple[str, str]) -> None:
        """Add messages, each after its time in ISO 8601."""
        events = self.groups.setdefault((region, group), [])
        for time, message in messages:
            at = round(datetime.fromisoformat(time).timestamp() * 1000)
            events.append(LogEvent(stream, at, message, f"{len(events):056}"))
        events.sort(key=lambda event: event.time)

    def answer(self, operation: str, region: str, asked: dict[str, Any]) -> dict[str, Any] | LogsError:
        """Return the answer to a request."""
        if operation == "DescribeLogGroups":
            if not self.may_list:
                return LogsError("AccessDeniedException")
            prefix = asked.get("logGroupNamePrefix", "")
            names = [name for at, name in self.groups if at == region and name.startswith(prefix)]
            return {"logGroups": [{"logGroupName": name} for name in names]}
        assert operation == "FilterLogEvents", operation
        self.calls.append(asked)
        return self.fault(len(self.calls)) or self._filtered(region, asked)

    def described(self, region: str, asked: dict[str, str]) -> tuple[int, bytes]:
        """Return the status and the XML of an answer of DescribeFlowLogs, with two flow logs a page."""
        self.flow_log_calls.append(asked)
        if self.flow_logs_fault is not None:
            error = f"<Code>{self.flow_logs_fault}</Code><Message>as the test asks</Message>"
            return 403, f"<Response><Errors><Error>{error}</Error></Errors></Response>".encode()
        assert asked.get("Filter.1.Name", "flow-log-id") == "flow-log-id"
        found = [log for log in self.flow_logs if log.region == region]
        if "Filter.1.Value.1" in asked:
            found = [log for log in found if log.id == asked["Filter.1.Value.1"]]
        at = int(asked.get("NextToken", 0))
        items = "".join(log.xml for log in found[at : at + 2])
        token = f"<nextToken>{at + 2}</nextToken>" if at + 2 < len(found) else ""
        text = f"<flowLogSet>{items}</flowLogSet>{token}"
        return 200, f"<DescribeFlowLogsResponse>{text}</DescribeFlowLogsResponse>".encode()

    def _filtered(self, region: str, asked: dict[str, Any]) -> dict[str, Any] | LogsError:
        if ("logGroupName" in asked) == ("logGroupIdentifier" in asked):
            return LogsError("InvalidParameterException", "one of logGroupName and logGroupIdentifier")
        name = asked.get("logGroupName") or asked["logGroupIdentifier"].split(":log-group:")[-1]
        if (region, name) not in self.groups:
            return LogsError("ResourceNotFoundException", "The specified log group does not exist.")
        pattern = asked.get("filterPattern", "")
        if len(pattern) > MAX_PATTERN:
            return LogsError("InvalidParameterException", "the pattern is too long")
        begin, end = asked.get("startTime", 0), asked.get("endTime", float("inf"))
        events = [
            event
            for event in self.groups[region, name]
            if begin <= event.time <= end and event.stream.startswith(asked.get("logStreamNamePrefix", ""))
        ]
        at = int(asked.get("nextToken", 0))
        searched = events[at : at + min(self.page, asked.get("limit", 10_000))]
        found = [event for event in searched if matches(pattern, event.message)]
        body: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": event.stream,
                    "timestamp": event.time,
                    "message": event.message,
                    "ingestionTime": event.time + 1500,
                    "eventId": event.id,
                }
                for event in found
            ],
            "searchedLogStreams": [],
        }
        if at + len(searched) < len(events):
            body["nextToken"] = str(at + len(searched))
        return body


def matches(pattern: str, message: str) -> bool:
    """Return whether a pattern of terms matches: all of them, or any if they have question marks."""
    terms = pattern.split()
    assert all(re.fullmatch(r"\??[A-Za-z0-9]+", term) for term in terms), pattern
    assert len({term.startswith("?") for term in terms}) <= 1, "? is ignored beside other terms"
    words = set(re.findall(r"[A-Za-z0-9]+", message))
    if not terms:
        return True
    if terms[0].startswith("?"):
        return any(term[1:] in words for term in terms)
    return all(term in words for term in terms)


@contextmanager
def cloudwatch_logs() -> Iterator[CloudWatchLogs]:
    """CloudWatch Logs without log groups."""
    logs = CloudWatchLogs()
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            if b"Action=GetCallerIdentity" in request:
                self._send(200, "text/xml", _IDENTITY.format(account=logs.account).encode())
                return
            if b"Action=DescribeFlowLogs" in request:
                asked = {name: values[0] for name, values in parse_qs(request.decode()).items()}
                signed = re.search(r"Credential=[^/]+/\d+/([^/]+)/ec2/", self.headers["Authorization"])
                assert signed is not None
                status, body = logs.described(signed[1], asked)
                self._send(status, "text/xml", body)
                return
            target = self.headers["X-Amz-Target"]
            assert target.startswith("Logs_20140328."), target
            region = re.search(r"Credential=[^/]+/\d+/([^/]+)/logs/", self.headers["Authorization"])
            assert region is not None
            with turn:
                answer = logs.answer(target.partition(".")[2], region[1], json.loads(request))
            if isinstance(answer, LogsError):
                body = json.dumps({"__type": answer.code, "message": answer.message}).encode()
                self._send(400, "application/x-amz-json-1.1", body)
            else:
                self._send(200, "application/x-amz-json-1.1", json.dumps(answer).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    logs.url = f"http://127.0.0.1:{server.server_port}"
    with running(server):
        yield logs


_IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::{account}:assumed-role/Admin/ada</Arn>"
    "<UserId>AROA:ada</UserId><Account>{account}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)


def made_up_account(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """Let boto3 use made-up credentials and a Region, and nothing else of this machine."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
