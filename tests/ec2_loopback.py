"""EC2 on loopback: moto's server behind a proxy that logs calls, paginates and returns errors."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

from moto_loopback import client, empty_moto, passed_on, running

_ACTION = "DescribeNetworkInterfaces"
_SET = "networkInterfaceSet"


@dataclass(frozen=True)
class Call:
    """A call: its action and Region."""

    action: str
    region: str
    parameters: dict[str, str]


@dataclass
class Ec2:
    """The endpoint, and the calls that it received.

    ``fault`` gives the code that a call is refused with, or the bytes that something else answers with.

    moto gives all interfaces at once; ``page`` is how many of them a page has here.
    """

    url: str
    behind: str
    calls: list[Call] = field(default_factory=list)
    fault: Callable[[Call], str | bytes | None] = lambda _: None
    page: int = 1000

    def client(self, region: str) -> Any:
        """Return a client for moto itself, without the proxy."""
        return client("ec2", self.behind, region)

    def asked(self, region: str) -> list[str]:
        """Return the actions that were called in a Region."""
        return [call.action for call in self.calls if call.region == region]


@contextmanager
def ec2() -> Iterator[Ec2]:
    """EC2 and STS without resources."""
    host, port = empty_moto()
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.ec2 = Ec2(f"http://127.0.0.1:{proxy.server_address[1]}", f"http://{host}:{port}")
    proxy.behind = (host, port)
    with running(proxy):
        yield proxy.ec2


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    ec2: Ec2
    behind: tuple[str, int]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        region = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])
        assert region is not None
        call = Call(asked["Action"], region[1], asked)
        self.server.ec2.calls.append(call)
        code = self.server.ec2.fault(call)
        if isinstance(code, bytes):
            self._answer(200, code)
            return
        if code is not None:
            error = f"<Code>{code}</Code><Message>as the test asks</Message>"
            self._answer(403, f"<Response><Errors><Error>{error}</Error></Errors></Response>".encode())
            return
        status, _, text = passed_on(self, self.server.behind, body)
        paged = call.action == _ACTION and "MaxResults" in asked
        self._answer(status, self._page(text, asked) if paged else text)

    def _page(self, text: bytes, asked: dict[str, str]) -> bytes:
        root = ET.fromstring(text)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        items = root.find(f"{space}{_SET}")
        assert items is not None
        begin = int(asked.get("NextToken", "0"))
        end = begin + min(self.server.ec2.page, int(asked["MaxResults"]))
        left = list(items)
        for item in (*left[:begin], *left[end:]):
            items.remove(item)
        if end < len(left):
            ET.SubElement(root, f"{space}nextToken").text = str(end)
        return ET.tostring(root)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
