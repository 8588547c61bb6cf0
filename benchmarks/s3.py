"""Measures reading a trail's bucket: `python benchmarks/s3.py [--objects 5000] [--records 8] [--rounds 5]`.

With `--latency 0.03` the server waits so many seconds before each answer, as S3 does; `--threads` is the
number of calls that the bare ways make at once.

Every way downloads the same objects from one loopback server, in turn, in several rounds of one run, so the
ratios are valid on any machine. The server is moto in its own process; because moto only handles some 300
requests per second, its responses are cached and replayed by a simple loop in that process.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from stories import STORIES  # noqa: E402
from write import files, zipped  # noqa: E402

from cnitrail.decode import MARKERS, NAMES  # noqa: E402
from cnitrail.model import Document, Growth, Scope  # noqa: E402
from cnitrail.scan import Scanner  # noqa: E402
from cnitrail.sources import open_source  # noqa: E402
from cnitrail.workflows.scan_pool import ScanPool  # noqa: E402

BUCKET = "benchmark-logs"
FOLDER = "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14"
THREADS = 32
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}


def serve(latency: float) -> None:
    """Run the server: moto, behind a cache of its responses; it waits before each of these."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    behind = moto.get_host_and_port()
    kept: dict[bytes, bytes] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *rest = head.decode("latin-1").split("\r\n")
                headers = dict(line.split(": ", 1) for line in rest if line)
                small = {name.lower(): value for name, value in headers.items()}
                if small.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(small.get("content-length", 0)))
                asked = f"{line} {small.get('range')}".encode()
                answer = kept.get(asked)
                if answer is None:
                    answer = await asyncio.to_thread(_ask, behind, line, headers, body)
                if line.startswith("GET"):
                    kept[asked] = answer
                if latency:
                    await asyncio.sleep(latency)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


def _ask(behind: tuple[str, int], line: str, headers: dict[str, str], body: bytes) -> bytes:
    method, path, _ = line.split(" ")
    connection = HTTPConnection(*behind)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN]
    head = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{n}: {v}" for n, v in kept)]
    return "\r\n".join([*head, f"Content-Length: {len(data)}", "", ""]).encode("latin-1") + data


_OWN = {"content-length", "connection", "transfer-encoding"}


class Measure(NamedTuple):
    """One measurement of a way: wall and CPU seconds, and the number of objects."""

    wall: float
    cpu: float
    objects: int


def measure(objects: Iterable[object]) -> Measure:
    """Read everything, and return the measurement."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in objects)
    return Measure(time.perf_counter() - wall, time.process_time() - cpu, count)


def upload(url: str, objects: int, records: int) -> list[str]:
    """Fill the bucket with log files, and return their keys."""
    draw = random.Random(1)
    every = [
        record
        for story in STORIES
        for data in files(story).values()
        for record in json.loads(data)["Records"]
    ]
    quiet = [record for record in every if record["readOnly"]]
    moved = [record for record in every if not record["readOnly"]]
    bodies = []
    for _ in range(50):
        chosen = [draw.choice(moved if draw.random() < 0.01 else quiet) for _ in range(records)]
        bodies.append(zipped(json.dumps({"Records": chosen}, separators=(",", ":")).encode()))
    client = boto3.client("s3", endpoint_url=url, config=Config(max_pool_connections=4))
    client.create_bucket(Bucket=BUCKET)
    keys = [
        f"{FOLDER}/111111111111_CloudTrail_eu-west-1_20240514T1200Z_{at:016}.json.gz" for at in range(objects)
    ]
    with ThreadPoolExecutor(4) as pool:
        put = pool.map(
            lambda at: client.put_object(Bucket=BUCKET, Key=keys[at], Body=bodies[at % 50]), range(objects)
        )
        assert sum(1 for _ in put) == objects
    size = sum(len(bodies[at % 50]) for at in range(objects))
    print(f"{objects:,} objects of {size / objects / 1000:.1f} kB ({records} records) each")
    return keys


def read_with_workers(url: str, workers: int) -> None:
    """Scan the bucket as commands do, with a number of processes, and print the number of objects."""
    with ScanPool(Growth(), workers=workers) as pool:
        print(sum(1 for _ in pool.read(open_source(f"s3://{BUCKET}", Scope(endpoint_url=url)))))


def with_workers(url: str, workers: int) -> Iterator[object]:
    """Do the same in a process of its own, because this one has threads."""
    command = [sys.executable, __file__, "--read", url, str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    yield from range(int(done.stdout))


def ways(url: str, keys: list[str], threads: int) -> dict[str, Callable[[], Iterator[object]]]:
    """Return every way of reading the bucket, as iterators of bytes."""
    client = boto3.client("s3", endpoint_url=url, config=Config(max_pool_connections=threads))
    scanner = Scanner(NAMES, MARKERS)

    def bare(threads: int) -> Iterator[object]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(lambda key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read(), keys)

    def source() -> Iterator[bytes]:
        for document in open_source(f"s3://{BUCKET}", Scope(endpoint_url=url)).documents():
            assert isinstance(document, Document), document
            yield b"".join(document.chunks)

    def scanned(bodies: Iterable[bytes]) -> Iterator[object]:
        for body in bodies:
            yield sum(
                1
                for part, tally in scanner.parts(Document(uri="-", chunks=iter([body])))
                for _ in scanner.scan(part, tally)
            )

    found: dict[str, Callable[[], Iterator[object]]] = {
        f"boto3, bare, {threads} threads": lambda: bare(threads),
        "cnitrail's source": source,
        "cnitrail's source, and scan": lambda: scanned(source()),
        "cnitrail's scan, two processes, with start-up": lambda: with_workers(url, 2),
    }
    try:
        import obstore
        from obstore.auth.boto3 import Boto3CredentialProvider
        from obstore.store import S3Store
    except ImportError:
        return found
    store = S3Store(
        BUCKET,
        endpoint=url,
        region="us-east-1",
        credential_provider=Boto3CredentialProvider(boto3.Session()),
        client_options={"allow_http": True},
    )

    def rust() -> Iterator[bytes]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(lambda key: bytes(obstore.get(store, key).bytes()), keys)

    found[f"obstore, bare, {threads} threads"] = rust
    found[f"obstore, bare, {threads} threads, and scan"] = lambda: scanned(rust())
    body = client.get_object(Bucket=BUCKET, Key=keys[0])["Body"].read()
    found["scan alone"] = lambda: scanned(body for _ in keys)
    return found


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--records", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.latency)
        return
    if asked.read:
        read_with_workers(asked.read[0], int(asked.read[1]))
        return
    command = [sys.executable, __file__, "--serve", "--latency", str(asked.latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            keys = upload(url, asked.objects, asked.records)
            found = ways(url, keys, asked.threads)
            for way in found.values():
                measure(way())
            rounds = [{name: measure(way()) for name, way in found.items()} for _ in range(asked.rounds)]
        finally:
            server.kill()
    table(rounds, asked.threads)


def table(rounds: list[dict[str, Measure]], threads: int) -> None:
    """Print the medians; the ratio is of wall time, to bare boto3 with threads in the same round."""
    print("| way | objects/s | CPU ms/object | CPU ÷ wall | wall ÷ bare boto3 |\n|---|---|---|---|---|")
    base = f"boto3, bare, {threads} threads"
    for name in rounds[0]:
        rate = statistics.median(measured[name].objects / measured[name].wall for measured in rounds)
        cpu = statistics.median(1000 * measured[name].cpu / measured[name].objects for measured in rounds)
        busy = statistics.median(measured[name].cpu / measured[name].wall for measured in rounds)
        ratio = statistics.median(measured[name].wall / measured[base].wall for measured in rounds)
        print(f"| {name} | {rate:,.0f} | {cpu:.2f} | {busy:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
