"""What a failure of a Trino server means, in one sentence each, and what to do.

Names of errors: ``StandardErrorCode.java`` and ``HiveErrorCode.java`` in trinodb/trino.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cnitrail.errors import SourceError
from cnitrail.text import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trino.exceptions import TrinoQueryError

_MOST_TEXT: Final = 400
"""Characters of a server's message that are shown: a stack of causes would hide the sentence."""

_LESS: Final = "ask for less: give --since, --until, --account or --region"
_AGAIN: Final = "try again; the server's administrator can see why"
_NAMES: Final = "SHOW CATALOGS, SHOW SCHEMAS FROM CATALOG and SHOW TABLES FROM CATALOG.SCHEMA list the names"
_DDL: Final = "docs/athena.md shows the tables that can be read, and the DDL for a new one"
_LOGIN: Final = (
    "set TRINO_PASSWORD (with USER@ before the host) or TRINO_ACCESS_TOKEN, and ask who may read the table"
)
_CERTIFICATE: Final = "if your own CA signed the certificate, name its file in REQUESTS_CA_BUNDLE"
_PORT: Final = (
    "check the host and the port; ports 443 and 8443 use HTTPS, and so does any port with a password"
)

_BY_NAME: Final[Mapping[str, tuple[str, str]]] = {
    "CATALOG_NOT_FOUND": ("the server has no such catalog", _NAMES),
    "SCHEMA_NOT_FOUND": ("the catalog has no such schema", _NAMES),
    "TABLE_NOT_FOUND": ("the schema has no such table", _NAMES),
    "COLUMN_NOT_FOUND": ("the table has no such column", _DDL),
    "FUNCTION_NOT_FOUND": (
        "the server does not know a function that the statement needs",
        "use Trino 400 or later",
    ),
    "SYNTAX_ERROR": ("the server does not understand the statement", "use Trino 400 or later"),
    "TYPE_MISMATCH": ("a column has a type that the statement does not expect", _DDL),
    "NOT_SUPPORTED": ("the server cannot read this table", _DDL),
    "INVALID_VIEW": ("the view is invalid", "name the table itself"),
    "PERMISSION_DENIED": ("you may not read this table", "ask the server's administrator for SELECT on it"),
    "QUERY_REJECTED": ("the server rejected the query", _LESS),
    "QUERY_TEXT_TOO_LARGE": ("the statement is too long for the server", _LESS),
    "QUERY_QUEUE_FULL": ("too many queries are waiting", "try again later"),
    "NO_NODES_AVAILABLE": ("the server has no worker that could run the query", _AGAIN),
    "EXCEEDED_TIME_LIMIT": ("the query took longer than the server allows", _LESS),
    "EXCEEDED_CPU_LIMIT": ("the query took more CPU time than the server allows", _LESS),
    "EXCEEDED_SCAN_LIMIT": ("the query scanned more than the server allows", _LESS),
    "EXCEEDED_LOCAL_MEMORY_LIMIT": ("the query took more memory than a node allows", _LESS),
    "EXCEEDED_GLOBAL_MEMORY_LIMIT": ("the query took more memory than the server allows", _LESS),
    "CLUSTER_OUT_OF_MEMORY": ("the server ran out of memory", _LESS),
    "GENERIC_INSUFFICIENT_RESOURCES": ("the server ran out of resources", _LESS),
    "ADMINISTRATIVELY_KILLED": ("an administrator ended the query", "ask the server's administrator why"),
    "ADMINISTRATIVELY_PREEMPTED": ("the server ended the query in favor of others", "try again later"),
    "USER_CANCELED": ("the query was stopped", "run the command again"),
    "ABANDONED_QUERY": ("the server ended the query, as nothing fetched its answer", "run the command again"),
    "SERVER_STARTING_UP": ("the server is starting", "try again in a minute"),
    "SERVER_SHUTTING_DOWN": ("the server is shutting down", "try again in a minute"),
    "SERVER_RESTARTED": ("the server was restarted during the query", "run the command again"),
    "REMOTE_HOST_GONE": ("a worker was lost during the query", "run the command again"),
    "REMOTE_TASK_ERROR": ("a worker failed during the query", "run the command again"),
    "PAGE_TRANSPORT_ERROR": ("a worker failed during the query", "run the command again"),
    "PAGE_TRANSPORT_TIMEOUT": ("a worker did not answer in time", "run the command again"),
    "HIVE_BAD_DATA": ("a file does not fit the columns of the table", _DDL),
    "HIVE_CURSOR_ERROR": (
        "a file could not be read",
        "find the damaged file with --since and --until, or read the log files with s3://BUCKET/PREFIX",
    ),
    "HIVE_CANNOT_OPEN_SPLIT": (
        "a file could not be opened",
        "check that the server may read the bucket, or ask for another time",
    ),
    "HIVE_FILESYSTEM_ERROR": (
        "the server cannot list the files of the table",
        "check the table's location, and that the server may read the bucket",
    ),
    "HIVE_FILE_NOT_FOUND": (
        "a partition's folder does not exist",
        "set hive.ignore-absent-partitions=true on the server, or drop the partition",
    ),
    "HIVE_UNSUPPORTED_FORMAT": (
        "the server cannot read files of this table's format",
        "CloudTrailInputFormat is Athena's own: use athena://, or make a table for Trino (docs/athena.md)",
    ),
    "HIVE_INVALID_METADATA": ("the definition of the table is invalid", _DDL),
    "HIVE_INVALID_PARTITION_VALUE": ("a partition has a value that its column cannot have", _DDL),
    "HIVE_PARTITION_SCHEMA_MISMATCH": ("a partition has other columns than the table", _DDL),
    "HIVE_EXCEEDED_PARTITION_LIMIT": ("the query reads more partitions than the server allows", _LESS),
    "HIVE_TOO_MANY_OPEN_PARTITIONS": ("the query reads more partitions than the server allows", _LESS),
    "HIVE_METASTORE_ERROR": ("the server cannot reach its metastore", _AGAIN),
    "HIVE_UNSERIALIZABLE_COLUMN_TYPE": ("the server cannot read a column of the table", _DDL),
    "UNSUPPORTED_TABLE_TYPE": ("the catalog cannot read tables of this kind", "name another catalog"),
}
"""By the name of the error: the sentence, and the hint."""

_LONG_LINE: Final = (
    "a log file is longer than the server reads as one line",
    "raise hive.text.max-line-length on the server, or read the files with s3://BUCKET/PREFIX",
)

_BY_STATUS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("the server does not accept the login", _LOGIN),
    403: ("the server refuses access", _LOGIN),
    404: (
        "there is no Trino server at this address, or it was restarted",
        _PORT,
    ),
    407: ("a proxy asks for a login", "set HTTPS_PROXY with the login, or add the host to NO_PROXY"),
    410: ("the server has forgotten the query", "run the command again"),
    429: ("the server gets too many requests", "try again later"),
    502: ("the server cannot be reached through its gateway", "try again in a minute"),
    503: ("the server is not ready", "try again in a minute"),
    504: ("the server did not answer its gateway in time", "try again in a minute"),
}
"""By the status of HTTP."""

_BY_CONNECTION: Final = (
    (
        "CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the server's certificate is not trusted",
        _CERTIFICATE,
    ),
    ("doesn't match|hostname mismatch", "the server's certificate is for another host", _PORT),
    ("WRONG_VERSION_NUMBER|SSLError|SSLEOF|record layer", "there is no HTTPS at this port", _PORT),
    ("InvalidURL|Failed to parse", "the host is invalid", _PORT),
    (
        "ProxyError|Unable to connect to proxy",
        "the proxy cannot be reached",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    ("NameResolutionError|getaddrinfo", "the host has no address", "check the host's name, and the VPN"),
    ("Connection refused", "nothing listens at this port", _PORT),
    (
        "timed out|Timeout",
        "the server did not answer in time",
        "check the network and the VPN, then try again",
    ),
    ("", "the connection failed", "check the network and the VPN, then try again"),
)
"""By what a text of ``requests`` contains; the first that fits."""  # fmt: skip

_HTTP_ERROR = re.compile(r"error (\d{3})")
_TLS_REQUIRED = re.compile(
    r"plain HTTP request was sent to HTTPS|requires TLS|SSL is required", re.IGNORECASE
)


def trino_error(uri: str, error: Exception) -> SourceError:
    """Return the error that ends the reading of a table, for what the ``trino`` client raised."""
    from trino.exceptions import HttpError, TrinoConnectionError, TrinoQueryError

    reason, hint, detail = "the server does not answer as Trino does", _PORT, ""
    if isinstance(error, TrinoQueryError):
        reason, hint = _query_failure(error)
        detail = ": ".join(text for text in (error.error_name, error.message) if text)
    elif isinstance(error, HttpError) or _HTTP_ERROR.match(str(error)):
        reason, hint, detail = _http_failure(str(error))
    elif isinstance(error, TrinoConnectionError) and "empty response" not in str(error):
        reason, hint = next((r, h) for pattern, r, h in _BY_CONNECTION if re.search(pattern, str(error)))
    said = f" ({shortened(' '.join(detail.split()), _MOST_TEXT)})" if detail else ""
    return SourceError(f"{uri}: {reason}{said}", hint)


def _query_failure(error: TrinoQueryError) -> tuple[str, str]:
    if "Max line length exceeded" in str(error.failure_info):  # LineBuffer.java; the message is its cause's
        return _LONG_LINE
    return _BY_NAME.get(error.error_name or "", ("the query failed", _AGAIN))


def _http_failure(text: str) -> tuple[str, str, str]:
    """Return the sentence, the hint and what the server said; a page of HTML says nothing."""
    found = _HTTP_ERROR.match(text)
    status = int(found[1]) if found else 0
    if _TLS_REQUIRED.search(text):
        return "the server wants HTTPS at this port", _LOGIN, ""
    reason, hint = _BY_STATUS.get(status, ("the server does not answer as Trino does", _PORT))
    said = text.partition(": ")[2].removeprefix("b'").removesuffix("'")
    return reason, hint, f"HTTP {status}" + (f": {said}" if said and "<" not in said else "")
