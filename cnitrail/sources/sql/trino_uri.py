"""The URIs of tables in Trino: ``trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

FORM: Final = "trino://[USER@]HOST[:PORT]/CATALOG/SCHEMA/TABLE"
PASSWORD: Final = "TRINO_PASSWORD"  # noqa: S105  a variable's name


class TrinoTable(Struct, frozen=True, kw_only=True):
    """A table, and where its server is; ``user`` and ``port`` are None if the URI does not name them."""

    user: str | None
    host: str
    port: int | None
    catalog: str
    schema: str
    table: str


def parse_trino_uri(uri: str) -> TrinoTable:
    """Return what a URI names. Raises ``UsageError``, which never shows a password."""
    try:
        parts = urlsplit(uri)
        host, user, password = parts.hostname, parts.username, parts.password
    except ValueError as error:
        raise UsageError(f"trino://: not a URI of a table ({error})", f"write {FORM}") from None
    if password is not None:
        raise UsageError(
            f"trino://{host or ''}: a URI must not have a password: the shell's history keeps it",
            f"set it in the environment variable {PASSWORD}, and write {FORM}",
        )
    if parts.fragment or not host:
        raise UsageError(f"{uri}: not the URI of a table", f"write {FORM}")
    port = _port(parts)
    names = [unquote(name) for name in parts.path.removeprefix("/").split("/")]
    if len(names) != 3 or not all(names):
        raise UsageError(f"{uri}: a table has a catalog, a schema and a name", f"write {FORM}")
    if parts.query.startswith("query="):
        raise UsageError(
            f"{uri}: the answer of a finished query cannot be fetched from Trino: it keeps none",
            "leave out ?query=",
        )
    if parts.query:
        raise UsageError(f"{uri}: unknown option {parts.query!r}", f"write {FORM}")
    return TrinoTable(
        user=unquote(user) if user else None,
        host=f"[{host}]" if ":" in host else host,
        port=port,
        catalog=names[0],
        schema=names[1],
        table=names[2],
    )


def _port(parts: SplitResult) -> int | None:
    """Return the port of a URI; None if it has none. Raises ``UsageError``, which never shows a password."""
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        text = parts.netloc.rpartition(":")[2]
        shown = f" {text}" if text.isdecimal() and "@" not in parts.path else ""
        raise UsageError(
            f"trino://{parts.hostname}: the port{shown} is not a number from 1 to 65535", f"write {FORM}"
        )
    return port
