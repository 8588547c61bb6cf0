"""moto's server, and proxies in front of it that see each request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

Address = tuple[str, int]
"""Host and port."""


@cache
def moto() -> Address:
    """Return where the server of this process is; it takes a second to start and to stop, so it stays."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    return server.get_host_and_port()


def empty_moto() -> Address:
    """Return where the server of this process is, without the resources of earlier tests."""
    connection = HTTPConnection(*moto())
    connection.request("POST", "/moto-api/reset")
    connection.getresponse().read()
    connection.close()
    return moto()


def client(service: str, url: str, region: str) -> Any:
    """Return a client of boto3 for an endpoint."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """Serve in another thread."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def passed_on(
    request: BaseHTTPRequestHandler, behind: Address, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body of the server behind a proxy."""
    connection = HTTPConnection(*behind)
    connection.request(request.command, request.path, body, dict(request.headers.items()))
    answer = connection.getresponse()
    text = answer.read()
    headers = dict(answer.getheaders())
    connection.close()
    return answer.status, headers, text
