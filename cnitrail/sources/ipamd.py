"""What ipamd tells: over HTTP, or from a file that somebody saved."""

import sys
from typing import Protocol

from cnitrail.errors import SourceError

_SECONDS = 10
_MOST = 16 << 20
"""More bytes than any node's metrics have, or any other file that stands beside the evidence."""


_HINT = (
    "ipamd listens on the node alone: kubectl -n kube-system exec ds/aws-node -- curl -s "
    "http://localhost:61678/metrics > FILE, then name the file"
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def fetch(uri: str) -> bytes:
    """The content of a URL (http or https), a file, or ``-`` for standard input.

    Raises ``SourceError`` where it cannot be had.
    """
    if uri.startswith(("http://", "https://")):
        return _get(uri)
    try:
        if uri == "-":
            return _whole(uri, sys.stdin.buffer)
        with open(uri, "rb") as file:
            return _whole(uri, file)
    except OSError as error:
        raise SourceError(f"{uri}: cannot be read: {error.strerror}") from None


def _whole(uri: str, file: _Readable) -> bytes:
    """All that there is to read. Raises ``SourceError`` where that is too much."""
    content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise SourceError(f"{uri}: longer than {_MOST >> 20} MB")
    return content


def _get(url: str) -> bytes:
    """The body of an answer."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  its scheme was looked at
            return _whole(url, answer)
    except HTTPError as error:
        raise SourceError(f"{url}: the server answers {error.code} {error.reason}", _HINT) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise SourceError(f"{url}: cannot be read: {getattr(error, 'reason', error)}", _HINT) from None
