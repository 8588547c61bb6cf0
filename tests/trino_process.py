"""A real Trino: one node with the Hive connector over local files, for as long as tests run.

``nox -s trino`` fetches it, and names its folder in ``TRINO_HOME``.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from java_homes import TRINO, java_home

START_SECONDS = 120

_CONFIG = """\
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
catalog.config-dir={folder}/catalog
query.max-memory=1GB
"""
_HIVE = """\
connector.name=hive
hive.metastore=file
hive.metastore.catalog.dir=local:///metastore
hive.metastore.disable-location-checks=true
hive.security=allow-all
hive.recursive-directories=true
hive.partition-projection-enabled=true
hive.ignore-absent-partitions=true
hive.non-managed-table-writes-enabled=true
hive.allow-register-partition-procedure=true
fs.native-local.enabled=true
local.location={files}
"""
"""Locations of tables are ``local:///FOLDER``, under a folder of the test."""
_ICEBERG = """\
connector.name=iceberg
iceberg.catalog.type=TESTING_FILE_METASTORE
hive.metastore.catalog.dir=local:///iceberg
fs.native-local.enabled=true
local.location={files}
"""
_PLAIN = "connector.name=memory\n"
"""A connector without ``$path``."""
_FIRST = (
    "CREATE SCHEMA IF NOT EXISTS {}.ready",
    "CREATE TABLE IF NOT EXISTS {}.ready.t AS SELECT 1 AS n",
    "SELECT n FROM {}.ready.t",
)
PLUGINS = ("hive", "iceberg", "memory")
"""The plugins of the server that tests use."""


def trino_home() -> Path | None:
    """The folder of an unpacked server."""
    named = os.environ.get("TRINO_HOME")
    return Path(named) if named else None


@contextmanager
def trino_server(home: Path, folder: Path, files: Path) -> Iterator[int]:
    """The port of a server whose own files are in ``folder``, and the files of its tables in ``files``.

    Both are removed when it ends.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "catalog").mkdir(parents=True)
    (folder / "config.properties").write_text(_CONFIG.format(port=port, folder=folder))
    (folder / "catalog" / "hive.properties").write_text(_HIVE.format(files=files))
    (folder / "catalog" / "iceberg.properties").write_text(_ICEBERG.format(files=files))
    (folder / "catalog" / "memory.properties").write_text(_PLAIN)
    (folder / "plugin").mkdir()
    for name in PLUGINS:  # the other fifty take longer to load
        (folder / "plugin" / name).symlink_to((home / "plugin" / name).resolve())
    java = java_home(TRINO)
    assert java is not None
    command = [
        *_dies_with_us(),
        *(str(java / "bin" / "java"), "-Xmx2G", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector"),
        *(f"-Dconfig={folder}/config.properties", f"-Dplugin.dir={folder}/plugin"),
        *("-Dnode.environment=test", f"-Dnode.data-dir={folder}/data"),
        *("-cp", f"{home}/lib/*", "io.trino.server.TrinoServer"),
    ]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, port, log)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(files, ignore_errors=True)


def _dies_with_us() -> tuple[str, ...]:
    """A command that ends the server if the tests are killed."""
    return ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until the server runs queries: some seconds after it takes them, it knows its only node."""
    from trino.dbapi import connect

    options = {"user": "admin", "max_attempts": 1, "timezone": "UTC"}
    connection = connect(host="127.0.0.1", port=port, **options)  # type: ignore[no-untyped-call]
    left = [statement.format(catalog) for catalog in ("hive", "iceberg") for statement in _FIRST]
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            cursor = connection.cursor()
            cursor.execute(left[0])
            cursor.fetchall()
        except Exception:  # noqa: BLE001  whatever the client raises of a server that is starting
            time.sleep(0.2)
            continue
        if not (left := left[1:]):
            return
    raise AssertionError(f"Trino did not start: {log.read_text()[-3000:]}")
