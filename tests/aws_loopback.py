"""AWS on loopback for ``doctor``: moto's server and CloudTrail's LookupEvents behind one logging proxy."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cloudtrail_server import CloudTrail, serve
from moto_loopback import client, empty_moto, passed_on, running

REGION = "eu-west-1"


@dataclass(frozen=True)
class AwsError:
    """An error response of AWS."""

    code: str
    message: str = "as the test asks"
    status: int = 400


@dataclass
class Aws:
    """The endpoint, the operations that were sent to it, and its faults by operation.

    ``clock`` returns the Date header of answers, None for the true one.
    """

    url: str
    behind: str
    events: CloudTrail = field(default_factory=CloudTrail)
    operations: list[str] = field(default_factory=list)
    fault: Callable[[str], AwsError | None] = lambda _: None
    date: Any = None

    def client(self, service: str) -> Any:
        """Return a client for moto itself, without the proxy."""
        return client(service, self.behind, REGION)

    def deny(self, *operations: str, message: str = "you are not authorized") -> None:
        """Refuse some operations."""
        self.fault = lambda name: AwsError("AccessDeniedException", message) if name in operations else None


@contextmanager
def aws() -> Iterator[Aws]:
    """AWS without resources, events or trails."""
    host, port = empty_moto()
    events = CloudTrail()
    lookup = serve(events)
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.aws = Aws(f"http://127.0.0.1:{proxy.server_address[1]}", f"http://{host}:{port}", events)
    proxy.behind = (host, port)
    proxy.lookup = ("127.0.0.1", lookup.server_port)
    try:
        with running(proxy):
            yield proxy.aws
    finally:
        lookup.shutdown()
        lookup.server_close()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    aws: Aws
    behind: tuple[str, int]
    lookup: tuple[str, int]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation, form = _operation(self.command, self.path, dict(self.headers.items()), body)
        self.server.aws.operations.append(operation)
        fault = self.server.aws.fault(operation)
        if fault is not None:
            self._answer(fault.status, {}, _error(form, fault))
            return
        behind = self.server.lookup if operation == "LookupEvents" else self.server.behind
        status, headers, text = passed_on(self, behind, body)
        kept = {name: value for name, value in headers.items() if name.lower() not in _OWN}
        self._answer(status, kept, text)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the Date header."""
        date = self.server.aws.date
        return format_datetime(date, usegmt=True) if date else super().date_time_string(timestamp)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_OWN = {"content-length", "connection", "transfer-encoding", "date", "server"}


def _operation(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """Return the operation of a request, and the form of its answers."""
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2], "json"
    form = parse_qs(body.decode("latin-1"))
    if "Action" in form:
        is_ec2 = re.search("/ec2/aws4_request", headers["Authorization"])
        return form["Action"][0], "ec2" if is_ec2 else "query"
    parts = urlsplit(path)
    key = parts.path.strip("/").partition("/")[2]
    if method == "GET":
        return ("GetObject" if key else "ListObjectsV2"), "s3"
    if method == "HEAD":
        return ("HeadObject" if key else "HeadBucket"), "s3"
    return f"{method.title()}Object", "s3"


def _error(form: str, fault: AwsError) -> bytes:
    inside = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
    return {
        "json": f'{{"__type": "{fault.code}", "message": "{fault.message}"}}',
        "ec2": f"<Response><Errors><Error>{inside}</Error></Errors></Response>",
        "query": f"<ErrorResponse><Error>{inside}</Error></ErrorResponse>",
        "s3": f"<Error>{inside}</Error>",
    }[form].encode()
