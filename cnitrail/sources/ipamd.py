"""What ipamd tells: over HTTP, or from a file that somebody saved."""

import sys

from cnitrail.errors import SourceError

_SECONDS = 10
_MOST = 64 << 20
"""More bytes than any node's metrics have."""


_HINT = (
    "ipamd listens on the node alone: kubectl -n kube-system exec ds/aws-node -- curl -s "
    "http://localhost:61678/metrics > FILE, then name the file"
)


def fetch(uri: str) -> bytes:
    """The content of a URL (http or https), a file, or ``-`` for standard input.

    Raises ``SourceError`` where it cannot be had.
    """
    if uri.startswith(("http://", "https://")):
        return _get(uri)
    try:
        if uri == "-":
            return sys.stdin.buffer.read(_MOST)
        with open(uri, "rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise SourceError(f"{uri}: cannot be read: {error.strerror}") from None


def _get(url: str) -> bytes:
    """The body of an answer."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  its scheme was looked at
            body: bytes = answer.read(_MOST)
    except HTTPError as error:
        raise SourceError(f"{url}: the server answers {error.code} {error.reason}", _HINT) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise SourceError(f"{url}: cannot be read: {getattr(error, 'reason', error)}", _HINT) from None
    return body
