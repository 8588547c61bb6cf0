"""CloudTrail's LookupEvents on loopback: its JSON protocol, pages, index and faults.

What ``Resources`` and ``Username`` hold follows recorded events; ``unindexed`` names events whose
resources are not indexed, as it is not known which ones are.
"""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Record = dict[str, Any]

PAGE = 50
ATTRIBUTES = ("AccessKeyId", "EventId", "EventName", "ResourceName", "Username")
_TOKEN_ERROR = "InvalidNextTokenException"


@dataclass(frozen=True)
class Call:
    """A received call: its time, Region and lookup, and whether it was answered."""

    time: float
    region: str
    attribute: str
    value: str
    first: bool
    answered: bool


@dataclass(frozen=True, eq=False)
class Item:
    """An event, its index entries, and its form in LookupEvents."""

    time: float
    record: Record
    keys: dict[str, str]
    resources: tuple[str, ...]

    def shown(self) -> dict[str, Any]:
        return {
            **self.keys,
            "ReadOnly": "true" if self.record.get("readOnly") else "false",
            "EventTime": self.time,
            "EventSource": self.record["eventSource"],
            "Resources": [
                {"ResourceType": "AWS::EC2::Something", "ResourceName": name} for name in self.resources
            ],
            "CloudTrailEvent": json.dumps(self.record, separators=(",", ":")),
        }


@dataclass
class CloudTrail:
    """The events of an account. ``fault`` gives the error of the n-th call, from 1, or None.

    A fault is an error code, or ``reset`` for a connection that is cut. ``limit`` is how many calls
    a second are answered in each Region, by this machine's clock. ``asked`` is the Region and the
    value of the current call, for use by a fault. ``portal`` maps an answer to what arrives
    instead, None for the answer itself; ``message`` is what an error says. ``caller`` is the ARN that STS
    answers with, None if it does not answer; ``delay`` is how many seconds an answer takes.
    """

    fault: Callable[[int], str | None] = lambda _: None
    account: str = "111111111111"
    caller: str | None = "arn:aws:sts::111111111111:assumed-role/Admin/ada"
    delay: float = 0.0
    limit: int | None = None
    portal: Callable[[dict[str, Any]], bytes | None] = lambda _: None
    message: str = "a test asked for this error"
    unindexed: tuple[str, ...] = ()
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    asked: tuple[str, str] = ("", "")
    _index: dict[tuple[str, str, str], list[Item]] = field(default_factory=lambda: defaultdict(list))
    _tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, records: Iterable[Record]) -> None:
        """Add records, in any order."""
        touched = set()
        for record in records:
            item = self._item(record)
            found_by = [*item.keys.items(), *(("ResourceName", name) for name in item.resources)]
            for key in found_by:
                self._index[record["awsRegion"], *key].append(item)
                touched.add((record["awsRegion"], *key))
        for place in touched:
            self._index[place].sort(key=lambda item: -item.time)

    def pages(self, region: str, attribute: str, values: Iterable[str]) -> int:
        """Return the number of pages for some values."""
        return sum(max(-(-len(self._index[region, attribute, value]) // PAGE), 1) for value in values)

    def answer(self, region: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Return status and body for a request; None to cut the connection."""
        with self._lock:
            attribute, value = _attribute(asked)
            self.asked = (region, value)
            trouble = self.fault(len(self.calls) + 1) or self._throttled(region)
            token = asked.get("NextToken")
            if trouble == _TOKEN_ERROR and token is None:
                trouble = None
            self.calls.append(
                Call(time.monotonic(), region, attribute, value, token is None, trouble is None)
            )
        if trouble == "reset":
            return None
        if trouble is not None:
            return (500 if trouble == "InternalFailure" else 400), _error(trouble, self.message)
        if attribute not in ATTRIBUTES:
            return 400, _error("InvalidLookupAttributesException")
        same = json.dumps({**asked, "NextToken": None}, sort_keys=True)
        known, start = self._tokens.get(token, ("", 0)) if token else (same, 0)
        if known != same:
            return 400, _error(_TOKEN_ERROR)
        since, until = asked.get("StartTime", 0), asked.get("EndTime", float("inf"))
        found = [item for item in self._index[region, attribute, value] if since <= item.time <= until]
        end = start + min(asked.get("MaxResults", PAGE), PAGE)
        body: dict[str, Any] = {"Events": [item.shown() for item in found[start:end]]}
        if end < len(found):
            body["NextToken"] = f"token-{len(self._tokens)}-{end}"
            self._tokens[body["NextToken"]] = (same, end)
        return 200, body

    def _throttled(self, region: str) -> str | None:
        """A token bucket, one token deeper than the limit because network delays vary."""
        if self.limit is None:
            return None
        now = time.monotonic()
        left, then = self._buckets.get(region, (self.limit + 1.0, now))
        left = min(left + (now - then) * self.limit, self.limit + 1.0)
        self._buckets[region] = (max(left - 1, left % 1), now)
        return "ThrottlingException" if left < 1 else None

    def _item(self, record: Record) -> Item:
        name, identity = record["eventName"], record.get("userIdentity") or {}
        keys = {
            "EventId": record["eventID"],
            "EventName": name,
            "AccessKeyId": identity.get("accessKeyId"),
            "Username": _username(identity),
        }
        return Item(
            datetime.fromisoformat(record["eventTime"]).timestamp(),
            record,
            {key: value for key, value in keys.items() if value},
            () if name in self.unindexed else _resources(record),
        )


def serve(trail: CloudTrail) -> ThreadingHTTPServer:
    """Return a running server for a trail; ``trail.url`` is its URL."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            if b"Action=GetCallerIdentity" in request:
                self._identify()
                return
            asked = json.loads(request)
            region = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])
            assert self.headers["X-Amz-Target"].endswith(".LookupEvents"), self.headers["X-Amz-Target"]
            assert region is not None
            with turn:  # so that a portal knows the current call
                answer = trail.answer(region[1], asked)
                instead = trail.portal(answer[1]) if answer and answer[0] == 200 else None
            time.sleep(trail.delay)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            text = json.dumps(body).encode() if instead is None else instead
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _identify(self) -> None:
            """Answer STS; with an error if the account has no identity."""
            caller = (
                f"<Arn>{trail.caller}</Arn><UserId>AROA:ada</UserId><Account>{trail.account}</Account>"
                if trail.caller is not None
                else None
            )
            text = (
                f"<GetCallerIdentityResponse><GetCallerIdentityResult>{caller}</GetCallerIdentityResult>"
                "</GetCallerIdentityResponse>"
                if caller is not None
                else "<ErrorResponse><Error><Code>NoSuchService</Code><Message>no</Message></Error>"
                "</ErrorResponse>"
            ).encode()
            self.send_response(200 if caller is not None else 404)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    trail.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def _attribute(asked: dict[str, Any]) -> tuple[str, str]:
    """Return the attribute of a request; the real LookupEvents takes a list of one."""
    attributes = asked.get("LookupAttributes", [])
    assert len(attributes) == 1, f"{len(attributes)} attributes in one call"
    return attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]


def _error(code: str, message: str = "it was asked for wrongly") -> dict[str, str]:
    return {"__type": code, "message": message}


def _username(identity: dict[str, Any]) -> str | None:
    match identity.get("type"):
        case "AssumedRole":
            return str(identity["principalId"]).partition(":")[2]
        case "Root":
            return "root"
        case "AWSService" | "AWSAccount" | None:
            return None
    user = identity.get("userName")
    return str(user) if user else None


def _resources(record: Record) -> tuple[str, ...]:
    """Return the resources of a call, as in recorded and published answers of LookupEvents."""
    request, response = record.get("requestParameters") or {}, record.get("responseElements") or {}
    found: list[str | None] = []
    match record["eventName"]:
        case "RunInstances":
            for instance in _items(response.get("instancesSet")):
                found += [instance["vpcId"], instance["instanceId"], instance["subnetId"]]
                interfaces = _items(instance.get("networkInterfaceSet"))
                found += [interface["networkInterfaceId"] for interface in interfaces]
        case "TerminateInstances":
            found += [item["instanceId"] for item in _items(request.get("instancesSet"))]
        case "AttachNetworkInterface":
            found += [response.get("attachmentId"), request["networkInterfaceId"], request["instanceId"]]
        case "DetachNetworkInterface":
            found.append(request["attachmentId"])
        case "CreateNetworkInterface":
            found.append(response.get("networkInterface", {}).get("networkInterfaceId"))
        case "CreateTags":
            found += [item["resourceId"] for item in _items(request.get("resourcesSet"))]
        case "AssumeRole":
            found += [response.get("credentials", {}).get("accessKeyId"), request.get("roleSessionName")]
        case name if name.startswith(("Assign", "Unassign", "Delete", "Modify")):
            found.append(request.get("networkInterfaceId"))
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))


def _items(wrapped: Any) -> list[dict[str, Any]]:
    items = (wrapped or {}).get("items", [])
    return [item for item in items if isinstance(item, dict)]
