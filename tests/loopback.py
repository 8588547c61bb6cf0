"""S3 on loopback: moto's server behind a proxy that logs every call and may spoil its answer.

The proxy also is CloudTrail, as far as validation needs it: ListPublicKeys, a key a page, and DescribeTrails.
"""

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from moto_loopback import client, empty_moto, running

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Call:
    """A call: its path without the bucket, its query and its headers, with names in lower case."""

    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def is_listing(self) -> bool:
        return not self.key


@dataclass(frozen=True)
class Refusal:
    """An error response of S3."""

    status: int
    code: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Portal:
    """A successful response of something that is not S3."""

    body: bytes
    type: str = "text/html"


@dataclass(frozen=True)
class Edited:
    """S3's own response after a regular expression replaced a part of it."""

    part: bytes
    written: bytes


Fault = Refusal | Portal | Edited | str
"""A refusal, another answer, or what happens to S3's: timeout, reset, truncated, short, long."""


@dataclass
class Endpoint:
    """The endpoint, the calls that it received, its faults, and the page size of its listings."""

    url: str
    client: "S3Client"
    calls: list[Call] = field(default_factory=list)
    fault: Callable[[Call], Fault | None] = lambda _: None
    page: int = 1000
    keys: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    trails: list[dict[str, object]] = field(default_factory=list)
    key_calls: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def listings(self) -> list[dict[str, str]]:
        """Return the queries of the listings in order."""
        return [call.query for call in self.calls if call.is_listing]

    @property
    def fetched(self) -> list[str]:
        """Return the requested keys."""
        return [call.key for call in self.calls if not call.is_listing]

    def put(
        self, bucket: str, objects: dict[str, bytes], metadata: dict[str, dict[str, str]] | None = None
    ) -> None:
        """Create a bucket with these objects, some with S3 metadata."""
        self.client.create_bucket(Bucket=bucket)
        for key, body in objects.items():
            kept = (metadata or {}).get(key, {})
            self.client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=kept)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """An endpoint; its client uses moto itself, without the proxy."""
    host, port = empty_moto()
    s3 = client("s3", f"http://{host}:{port}", "us-east-1")
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.behind = (host, port)
    proxy.endpoint = Endpoint(f"http://127.0.0.1:{proxy.server_address[1]}", s3)
    try:
        with running(proxy):
            yield proxy.endpoint
    finally:
        s3.close()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    behind: tuple[str, int]
    endpoint: Endpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_POST(self) -> None:
        """CloudTrail's own API."""
        endpoint = self.server.endpoint
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        region = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])
        assert region is not None
        fault = endpoint.fault(Call("cloudtrail", action, {}, {}))
        answer: dict[str, object] = {"trailList": endpoint.trails}
        if isinstance(fault, Portal):
            self._answer(200, {"Content-Type": fault.type}, fault.body, len(fault.body))
            return
        if isinstance(fault, Refusal):
            answer = {"__type": fault.code, "message": "as the test asks"}
        elif action == "ListPublicKeys":
            endpoint.key_calls.append((region[1], asked))
            at, keys = int(asked.get("NextToken", 0)), endpoint.keys.get(region[1], [])
            answer = {"PublicKeyList": keys[at : at + 1]}
            if at + 1 < len(keys):
                answer["NextToken"] = str(at + 1)
        body = json.dumps(answer).encode()
        status = fault.status if isinstance(fault, Refusal) else 200
        self._answer(status, {"Content-Type": "application/x-amz-json-1.1"}, body, len(body))

    def do_HEAD(self) -> None:
        """Answer a HEAD with the length of the omitted body."""
        self.do_GET()

    def do_GET(self) -> None:
        endpoint = self.server.endpoint
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path.removeprefix("/")).partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(bucket, key, query, headers)
        endpoint.calls.append(call)
        fault = endpoint.fault(call)
        if isinstance(fault, Refusal):
            body = f"<Error><Code>{fault.code}</Code><Message>as the test asks</Message></Error>".encode()
            self._answer(fault.status, {"Content-Type": "application/xml", **fault.headers}, body, len(body))
            return
        if isinstance(fault, Portal):
            self._answer(200, {"Content-Type": fault.type}, fault.body, len(fault.body))
            return
        if fault == "timeout":
            time.sleep(1.5)
        if fault in {"timeout", "reset"}:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        connection = HTTPConnection(*self.server.behind)
        paged = f"{self.path}&max-keys={endpoint.page}"
        path = paged if call.is_listing and "max-keys" not in query else self.path
        connection.request(self.command, path, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
        connection.close()
        if isinstance(fault, Edited):
            body = re.sub(fault.part, fault.written, body, flags=re.DOTALL)
            kept = {
                name: value for name, value in kept.items() if not re.fullmatch(fault.part, name.encode())
            }
        length = int(answer.headers["Content-Length"]) if self.command == "HEAD" else len(body)
        if fault == "truncated":
            body = body[: length // 2]
        elif fault == "short":
            body, length = body[: length // 2], length // 2
        elif fault == "long":
            length += 100
        self._answer(answer.status, kept, body, length)
        self.close_connection = fault is not None

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)


_OWN = {"content-length", "connection", "transfer-encoding", "date", "server"}
