"""Measures `cnitrail flows`.

    python benchmarks/flows.py [--records 500000] [--rounds 3] [--with-reader PYTHON]

Writes CloudTrail logs of many nodes (fixtures/crowd.py) and version 5 flow logs, gzipped as in a bucket:

- ``steady``: of addresses that stay where they are,
- ``churn``: of three hours in which all addresses move, most of them several times,
- ``scan``: from each of these addresses to another public one in every record.

Each way is a whole process on one core, in turns; a ratio is that to decompressing the same files and
splitting every line into all of its fields, of the same round. PYTHON has flowlogs-reader installed.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median

from measuring import Taken, taken

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures"))

from crowd import ACCOUNT, REGION, crowd  # noqa: E402

CALLS = 4_000
"""Calls in the CloudTrail logs: about 190 nodes over more than two hours, with 5,000 leases."""

WINDOW = 60
PEERS = 2
"""Number of addresses that a pod talks to."""

HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id "
    "sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"
)
GUNZIP = (
    "import gzip,sys\nfor path in sys.argv[1:]:\n    f = gzip.open(path)\n    while f.read(1 << 20): pass\n"
)
SPLIT = (
    "import gzip,sys\nfor path in sys.argv[1:]:\n    for line in gzip.open(path):\n        line.split(b' ')\n"
)
READER = (
    "import sys\nfrom flowlogs_reader import FlowRecord\nimport gzip\n"
    "for path in sys.argv[1:]:\n    lines = gzip.open(path, 'rt')\n    fields = next(lines).split()\n"
    "    fields = [f.replace('-', '_') for f in fields]\n"
    "    for line in lines:\n        FlowRecord(dict(zip(fields, line.split())))\n"
)
DUCKDB = """
import sys, duckdb
leases, *paths = sys.argv[1:]
db = duckdb.connect(config={"threads": 1})
db.execute("SET TimeZone='UTC'")
db.execute(f\"\"\"CREATE TABLE leases AS SELECT ip, eni, vpc,
  epoch(start_time)::BIGINT AS begin, coalesce(epoch(end_time)::BIGINT, 253402300799) AS finish
  FROM (SELECT ip, eni, vpc, "start"::TIMESTAMPTZ start_time, "end"::TIMESTAMPTZ end_time
        FROM read_csv('{leases}', header=true))\"\"\")
flows = f"read_csv({paths!r}, delim=' ', header=true, nullstr='-')"
db.execute(f\"\"\"COPY (SELECT f.*, s.eni AS src_eni, d.eni AS dst_eni FROM {flows} f
  LEFT JOIN leases s ON s.ip = f."pkt-srcaddr" AND f.start - 60 <= s.finish AND f."end" >= s.begin
  LEFT JOIN leases d ON d.ip = f."pkt-dstaddr" AND f.start - 60 <= d.finish AND f."end" >= d.begin)
  TO '/dev/null' (FORMAT csv)\"\"\")
"""


@dataclass(frozen=True)
class Lease:
    """An address of an ENI from one Unix second to another."""

    ip: str
    eni: str
    instance: str
    vpc: str
    subnet: str
    primary: str
    start: int
    end: int


def write_trail(folder: Path) -> None:
    """Write CloudTrail logs."""
    files: dict[str, list[object]] = {}
    for path, _, record in crowd(CALLS):
        files.setdefault(path, []).append(record)
    for name, records in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))


def leases(trail: Path) -> list[Lease]:
    """Return the leases of some CloudTrail logs."""
    ran = subprocess.run([*CNITRAIL, "leases", str(trail), "-o", "jsonl"], stdout=subprocess.PIPE, check=True)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    primary = {row["eni"]: row["ip"] for row in rows if row["kind"] == "primary"}
    return [
        Lease(
            ip=row["ip"],
            eni=row["eni"],
            instance=row["attachments"][0]["instance"],
            vpc=row["vpc"],
            subnet=row["subnet"],
            primary=primary.get(row["eni"], row["ip"]),
            start=_second(row["start"]),
            end=_second(row["end"]) if row["end"] else 1 << 31,
        )
        for row in rows
        if row["attachments"]
    ]


def _second(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def records(found: list[Lease], count: int, *, is_scan: bool = False) -> Iterator[str]:
    """Yield flow log records in order of time; ``is_scan``: to another public address each."""
    random = Random(7)
    begin = min(lease.start for lease in found)
    windows = (max(lease.start for lease in found) - begin) // WINDOW
    per_window = count // windows + 1
    peers: dict[Lease, list[tuple[str, str]]] = {}
    made = 0
    while made < count:
        for window in range(windows):
            at = begin + window * WINDOW
            alive = [lease for lease in found if lease.start <= at - WINDOW and at + WINDOW < lease.end]
            if not alive:
                continue
            for _ in range(min(per_window, count - made)):
                lease = random.choice(alive)
                known = peers.get(lease)
                if known is None:
                    known = peers[lease] = [_peer(random, alive) for _ in range(PEERS)]
                peer = _public(random) if is_scan else random.choice(known)
                yield _record(random, lease, peer, at)
                made += 1


def steady(found: list[Lease], count: int, minute: int) -> Iterator[str]:
    """Yield flow log records of one of ten minutes, of the addresses that nothing moves in all of them."""
    random = Random(8)
    begin = min(lease.start for lease in found)
    middles = range(begin + 3600, begin + 10_000, 300)
    alive = max((_alive(found, at) for at in middles), key=len)
    at = next(at for at in middles if _alive(found, at) == alive)
    peers = {lease: [_peer(random, alive) for _ in range(PEERS)] for lease in alive}
    for _ in range(count):
        lease = random.choice(alive)
        yield _record(random, lease, random.choice(peers[lease]), at + minute * WINDOW)


def _alive(found: list[Lease], at: int) -> list[Lease]:
    return [lease for lease in found if lease.start <= at - 2 * WINDOW and at + 12 * WINDOW <= lease.end]


def _peer(random: Random, alive: list[Lease]) -> tuple[str, str]:
    if random.random() < 0.2:
        return _public(random)
    lease = random.choice(alive)
    return lease.ip, "1"


def _public(random: Random) -> tuple[str, str]:
    return f"52.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}", "8"


def _record(random: Random, lease: Lease, peer: tuple[str, str], at: int) -> str:
    address, path = peer
    start = at + random.randrange(30)
    end = start + random.randrange(30)
    packets = random.randrange(1, 200)
    size, port = packets * random.randrange(40, 1500), random.randrange(1024, 65536)
    action = "REJECT" if random.random() < 0.02 else "ACCEPT"
    service = random.choice((443, 443, 53, 5432, 8080))
    is_egress = random.random() < 0.5
    ends = (
        (lease.primary, address, lease.ip, address)
        if is_egress
        else (address, lease.primary, address, lease.ip)
    )
    ports = (port, service) if is_egress else (service, port)
    direction = f"egress {path}" if is_egress else "ingress -"
    return (
        f"5 {ACCOUNT} {lease.eni} {ends[0]} {ends[1]} {ports[0]} {ports[1]} 6 {packets} {size} {start} {end} "
        f"{action} OK {lease.vpc} {lease.subnet} {lease.instance} 3 IPv4 {ends[2]} {ends[3]} {REGION} "
        f"euw1-az2 - - - - {direction}\n"
    )


def write_flows(path: Path, lines: Iterator[str]) -> None:
    """Write a file of flow logs."""
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write(HEADER + "\n")
        file.writelines(lines)


CNITRAIL = [sys.executable, "-m", "cnitrail"]


def ways(flows: list[Path], trail: Path, table: Path, reader: str | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands that are measured."""
    files = [str(path) for path in flows]
    with_trail = ["--with", str(trail), "--workers", "1"]
    yield "gunzip", [sys.executable, "-c", GUNZIP, *files]
    yield SPLITTING, [sys.executable, "-c", SPLIT, *files]
    yield EVIDENCE, [*CNITRAIL, "flows", str(table.parent / "none.log"), *with_trail]
    for output in ("csv", "jsonl", "table"):
        yield f"flows -o {output}", [*CNITRAIL, "flows", *files, *with_trail, "-o", output]
    if reader:
        yield "flowlogs-reader", [reader, "-c", READER, *files]
    yield "DuckDB", [sys.executable, "-c", DUCKDB, str(table), *files]


SPLITTING, EVIDENCE = "gunzip and split", "reading evidence alone"
FILES = 20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--with-reader", help="Python with flowlogs-reader")
    parser.add_argument("--folder", type=Path, help="where the files are made once and kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        prepare(folder, args.records)
        measure(folder, args.records, args.rounds, args.with_reader)


def prepare(folder: Path, count: int) -> None:
    """Write the files that are not there yet."""
    trail, table = folder / "trail", folder / "leases.csv"
    if table.exists():
        return
    write_trail(trail)
    found = leases(trail)
    (folder / "none.log").write_text(HEADER + "\n")
    for kind in ("steady", "churn", "scan"):
        (folder / kind).mkdir()
    for number in range(FILES):
        lines = steady(found, count // 5, minute=number // 2)
        write_flows(folder / "steady" / f"{number:02}.log.gz", lines)
    write_flows(folder / "churn" / "00.log.gz", records(found, count))
    write_flows(folder / "scan" / "00.log.gz", records(found, count // 5, is_scan=True))
    rows = (f"{one.ip},{one.eni},{one.vpc},{_text(one.start)},{_text(one.end)}\n" for one in found)
    table.write_text("ip,eni,vpc,start,end\n" + "".join(rows))


def _text(second: int) -> str:
    return datetime.fromtimestamp(second).astimezone().isoformat()


def measure(folder: Path, count: int, rounds: int, reader: str | None) -> None:
    """Print what each way takes, of each kind of flow logs."""
    for kind, number in (("steady", FILES * (count // 5)), ("churn", count), ("scan", count // 5)):
        measure_ways(folder, kind, number, rounds, reader)
    measure_memory(folder)
    measure_workers(folder, rounds)


def measure_ways(folder: Path, kind: str, count: int, rounds: int, reader: str | None) -> None:
    """Print what each way takes of some flow logs, on one core."""
    flows, output = sorted((folder / kind).iterdir()), folder / "output"
    taken_by: dict[str, list[Taken]] = {}
    for _ in range(rounds):
        for name, command in ways(flows, folder / "trail", folder / "leases.csv", reader):
            taken_by.setdefault(name, []).append(taken(command, output, cores=1))
    limits = [one.cpu for one in taken_by[SPLITTING]]
    evidence = min(one.cpu for one in taken_by[EVIDENCE])
    print(f"\n{kind}: {count:,} records\n")
    print("| way | CPU s | µs a record | ÷ gunzip and split | the same without reading evidence | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, all_taken in taken_by.items():
        cpu = min(one.cpu for one in all_taken)
        ratio = median(one.cpu / limit for one, limit in zip(all_taken, limits, strict=True))
        without = f"{(cpu - evidence) / min(limits):.2f}" if name.startswith("flows") else ""
        peak = max(one.process_mb for one in all_taken)
        print(f"| {name} | {cpu:.2f} | {cpu / count * 1e6:.1f} | {ratio:.2f} | {without} | {peak:.0f} |")


def measure_memory(folder: Path) -> None:
    """Print the peak memory with one file and with many."""
    files = sorted((folder / "steady").iterdir())
    for some in (files[:1], files):
        command = [*CNITRAIL, "flows", *map(str, some), "--with", str(folder / "trail"), "-o", "csv"]
        peak = taken([*command, "--workers", "1"], folder / "output", cores=1).process_mb
        print(f"\npeak memory with {len(some)} of the steady files: {peak:.0f} MB")


def measure_workers(folder: Path, rounds: int) -> None:
    """Print the time of one and of two processes, on two cores."""
    steady_files = str(folder / "steady")
    command = [*CNITRAIL, "flows", steady_files, "--with", str(folder / "trail"), "-o", "csv", "--workers"]
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in walls.items():
            found.append(taken([*command, str(workers)], folder / "output", cores=2).wall)
    one, two = map(min, walls.values())
    print(f"\n--workers 1: {one:.1f} s, --workers 2: {two:.1f} s ({one / two:.2f} times as fast)")


if __name__ == "__main__":
    main()
