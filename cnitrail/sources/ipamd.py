"""Metrics and introspection of ipamd, over HTTP or from a saved file."""

from typing import Final, Protocol

from cnitrail.errors import SourceError
from cnitrail.sources.files import standard_input

_TIMEOUT_SECONDS: Final = 10
_MAX_BYTES: Final = 16 << 20
"""More than the metrics of any node have, or any other file that is given beside the evidence."""

_HINT: Final = (
    "metrics: kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > FILE, then use FILE; "
    "introspection (port 61679) listens on the node only: curl -s http://localhost:61679/v1/enis"
)
"""``:61678`` and ``127.0.0.1:61679`` are the defaults of amazon-vpc-cni-k8s (METRICS_PORT in
pkg/utils/prometheusmetrics, INTROSPECTION_BIND_ADDRESS in its README)."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def fetch(uri: str) -> bytes:
    """Return the content of a URL (http or https), a file, or ``-`` for standard input.

    Raises ``SourceError`` if it cannot be read.
    """
    if uri.startswith(("http://", "https://")):
        return _get(uri)
    try:
        if uri == "-":
            return _read_all(uri, standard_input())
        with open(uri, "rb") as file:
            return _read_all(uri, file)
    except OSError as error:
        raise SourceError(f"{uri}: cannot be read: {error.strerror}") from None


def _read_all(uri: str, file: _Readable) -> bytes:
    """Return everything in a file. Raises ``SourceError`` if that is too much."""
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise SourceError(f"{uri}: longer than {_MAX_BYTES >> 20} MB")
    return content


def _get(url: str) -> bytes:
    """Return the body of an HTTP response."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  its scheme was checked
            return _read_all(url, response)
    except HTTPError as error:
        error.close()
        raise SourceError(f"{url}: the server answers {error.code} {error.reason}", _HINT) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise SourceError(f"{url}: cannot be read: {getattr(error, 'reason', error)}", _HINT) from None
