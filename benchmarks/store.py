"""Measures how fast a store is filled and queried, and its size: `python benchmarks/store.py [EVENTS…]`.

The events are synthetic: nodes get ENIs and addresses from a subnet of 4,000 addresses, which are reused all
the time, and are terminated. Records have the size of real ones (about 1.9 KB).
"""

import os
import random
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from cnitrail.decode import decode
from cnitrail.model import Origin, Record
from cnitrail.model.forms import TRAIL
from cnitrail.store.writer import ReadFile, StoreWriter
from cnitrail.workflows.index_entry import index_entry

EVENTS_A_FILE = 10
NODES_AT_ONCE = 200
ACCOUNT = "111122223333"
ROLE = "bench-addon-vpc-cni-Role1-0A1B2C3D4E5F"


def records(count: int) -> Iterator[dict[str, object]]:
    """Yield the events of nodes that come and go."""
    chance, time_now = random.Random(1), datetime(2026, 1, 1, tzinfo=UTC)
    addresses = [f"10.0.{b}.{c}" for b in range(16) for c in range(4, 252)]
    chance.shuffle(addresses)
    free = deque(addresses)
    made = 0
    nodes: list[Iterator[tuple[str, dict[str, object], dict[str, object]]]] = []
    number = 0
    while made < count:
        while len(nodes) < NODES_AT_ONCE:
            number += 1
            nodes.append(life(number, free))
        node = chance.choice(nodes)
        call = next(node, None)
        if call is None:
            nodes.remove(node)
            continue
        made += 1
        time_now += timedelta(seconds=chance.randrange(4))
        yield record(made, number, time_now, *call)


def life(number: int, free: deque[str]) -> Iterator[tuple[str, dict[str, object], dict[str, object]]]:
    """Yield the events of one node: three ENIs with 12 addresses each, assigned and released."""
    instance = f"i-{number:017x}"
    for index in (1, 2, 3):
        eni, attachment = f"eni-{number * 4 + index:017x}", f"eni-attach-{number * 4 + index:017x}"
        address = free.popleft()
        described = {
            "networkInterfaceId": eni,
            "subnetId": "subnet-0a1b2c3d4e5f60718",
            "vpcId": "vpc-0a1b2c3d4e5f60718",
            "privateIpAddress": address,
            "description": f"aws-K8S-{instance}",
            "tagSet": {"items": [{"key": "cluster.k8s.amazonaws.com/name", "value": "bench"}]},
        }
        yield "CreateNetworkInterface", {"subnetId": described["subnetId"]}, {"networkInterface": described}
        asked = {"networkInterfaceId": eni, "instanceId": instance, "deviceIndex": index}
        yield "AttachNetworkInterface", asked, {"attachmentId": attachment}
        for _ in range(4):
            given = [free.popleft() for _ in range(3)]
            named = {"items": [{"privateIpAddress": address} for address in given]}
            on = {"networkInterfaceId": eni}
            wrapped = {
                "assignedPrivateIpAddressSetType": [{"privateIpAddress": address} for address in given]
            }
            yield (
                "AssignPrivateIpAddresses",
                on | {"secondaryPrivateIpAddressCount": 3},
                {"assignedPrivateIpAddressesSet": wrapped},
            )
            yield "UnassignPrivateIpAddresses", on | {"privateIpAddressesSet": named}, {"_return": True}
            free.extend(given)
        yield "DetachNetworkInterface", {"attachmentId": attachment}, {"_return": True}
        yield "DeleteNetworkInterface", {"networkInterfaceId": eni}, {"_return": True}
        free.append(address)
    instances = {"items": [{"instanceId": instance}]}
    yield "TerminateInstances", {"instancesSet": instances}, {"instancesSet": instances}


def record(
    number: int,
    session: int,
    time_now: datetime,
    name: str,
    request: dict[str, object],
    response: dict[str, object],
) -> dict[str, object]:
    """Return a record as CloudTrail writes it."""
    unique = sha256(str(number).encode()).hexdigest()
    return {
        "eventVersion": "1.10",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROA0123456789ABCDEF:{session}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{session}",
            "accountId": ACCOUNT,
            "accessKeyId": f"ASIA{session:016d}",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROA0123456789ABCDEF",
                    "arn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
                    "accountId": ACCOUNT,
                    "userName": ROLE,
                },
                "webIdFederationData": {
                    "federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/"
                    "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
                    "attributes": {},
                },
                "attributes": {"creationDate": f"{time_now:%Y-%m-%dT%H:00:00Z}", "mfaAuthenticated": "false"},
            },
        },
        "eventTime": f"{time_now:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.90",
        "userAgent": "amazon-vpc-cni-k8s/version/v1.19.2 aws-sdk-go/1.55.5 (go1.22.9; linux; amd64)",
        "requestParameters": request,
        "responseElements": {"requestId": unique[:36]} | response,
        "requestID": unique[:36],
        "eventID": f"{unique[:8]}-{unique[8:12]}-{unique[12:16]}-{unique[16:20]}-{unique[20:32]}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "ec2.eu-west-1.amazonaws.com",
        },
    }


def fill(path: str, count: int) -> tuple[float, float, int]:
    """Return the CPU seconds in the store and for decoding, and the bytes of text."""
    storing = decoding = 0.0
    size = 0
    with StoreWriter(path, lambda: None) as store:
        for number, fields in enumerate(records(count)):
            payload = msgspec.json.encode(fields)
            size += len(payload)
            name = (
                f"s3://trail/AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2026/01/01/{number // EVENTS_A_FILE}.gz"
            )
            found = Record((Origin(name, number % EVENTS_A_FILE),), payload)
            start = time.process_time()
            entry = index_entry(found, decode(found))
            assert entry is not None
            middle = time.process_time()
            store.add(found, entry)
            if number % EVENTS_A_FILE == EVENTS_A_FILE - 1:
                store.sign([(ACCOUNT, "eu-west-1", delivered_at(fields))])
                store.read(read_file(name))
            if number % 10_000 == 0:
                store.commit()
            storing += time.process_time() - middle
            decoding += middle - start
        start = time.process_time()
    return storing + time.process_time() - start, decoding, size


def delivered_at(fields: dict[str, object]) -> datetime:
    """Return the stamp in the name of the log file of a record: minutes, as CloudTrail writes it."""
    time_now = datetime.fromisoformat(str(fields["eventTime"]))
    return time_now.replace(second=0) + timedelta(minutes=5)


def read_file(name: str) -> ReadFile:
    """Return the counts of a log file of which one record in ten matters."""
    passed_over = 9 * EVENTS_A_FILE
    return ReadFile(
        uri=name,
        etag="etag",
        files=1,
        bytes=10_000,
        passed_over=passed_over,
        unreadable=0,
        compression=("gzip",),
        forms={TRAIL: (1, passed_over)},
        other_files={},
    )


def ask(*arguments: str) -> tuple[float, float, int]:
    """Return the median wall and CPU seconds of five processes, and the lines of output."""
    return run_five([sys.executable, "-m", "cnitrail", *arguments, "-o", "jsonl", "-q"])


def run_five(command: list[str]) -> tuple[float, float, int]:
    """Return the median wall and CPU seconds of five runs, and the lines of the last one."""
    walls, cpus, lines = [], [], 0
    for _ in range(5):
        start, before = time.perf_counter(), os.times()
        done = subprocess.run(command, capture_output=True, check=True)
        after = os.times()
        walls.append(time.perf_counter() - start)
        used = after.children_user + after.children_system - before.children_user - before.children_system
        cpus.append(used)
        lines = done.stdout.count(b"\n")
    return median(walls), median(cpus), lines


def smaller(path: str) -> str:
    """Return the size of payloads compressed one by one with zlib, with and without a dictionary."""
    connection = sqlite3.connect(path)
    texts = [text.encode() for (text,) in connection.execute("SELECT payload FROM records LIMIT 2000")]
    common = b"".join(texts[:16])
    plain = sum(len(zlib.compress(text, 6)) for text in texts[16:])
    sized = 0
    for text in texts[16:]:
        packer = zlib.compressobj(6, zdict=common)
        sized += len(packer.compress(text)) + len(packer.flush())
    number = len(texts) - 16
    return f"{plain / number:.0f} B with zlib, {sized / number:.0f} B with a dictionary"


def main(counts: list[int]) -> None:
    """Measure stores with these numbers of events."""
    for count in counts:
        with TemporaryDirectory() as folder:
            path = os.path.join(folder, "bench.db")
            storing, decoding, text = fill(path, count)
            size = Path(path).stat().st_size
            print(f"{count:,} events: stored {count / storing:,.0f}/s (decoded {count / decoding:,.0f}/s)")
            print(f"  {size / count:,.0f} B an event in the file, {text / count:,.0f} of them its text")
            print(f"  text compressed: {smaller(path)}")
            print(f"  a small timeline (fixtures/ironman): CPU {small():.2f} s", flush=True)
            for command in questions(path):
                _, cpu, lines = ask(*command)
                print(
                    f"  {' '.join(command).replace(path, 'FILE.db')}: CPU {cpu:.2f} s, "
                    f"{cpu / small():.1f} × a small timeline, {lines} entries",
                    flush=True,
                )


@cache
def small() -> float:
    """Return the CPU seconds of the timeline of a small story."""
    story = Path(__file__).resolve().parent.parent / "fixtures" / "ironman" / "AWSLogs"
    _, cpu, _ = ask("timeline", str(story))
    return cpu


def questions(path: str) -> Iterator[tuple[str, ...]]:
    """Yield the arguments of questions about what is in the middle of a store."""
    connection = sqlite3.connect(path)
    middle = (
        "SELECT {0} FROM subjects WHERE {0} NOT NULL LIMIT 1 OFFSET (SELECT count({0}) / 2 FROM subjects)"
    )
    (eni,) = connection.execute(middle.format("eni")).fetchone()
    (host,) = connection.execute(middle.format("instance")).fetchone()
    address, time_of_call = connection.execute(
        "SELECT address, time FROM addresses LIMIT 1 OFFSET (SELECT count(*) / 2 FROM addresses)"
    ).fetchone()
    hour_later = (datetime.fromisoformat(time_of_call) + timedelta(hours=1)).isoformat()
    hour = ("--since", time_of_call, "--until", hour_later)
    yield "who", address, path, "--at", time_of_call
    yield "timeline", path, "--ip", address, *hour
    yield "leases", path, "--ip", address, *hour
    yield "timeline", path, "--eni", eni, *hour
    yield "timeline", path, "--instance", host, *hour
    yield "state", path, "--ip", address, "--at", time_of_call
    yield "state", path, "--instance", host, "--at", time_of_call
    yield "pool", path, "--instance", host
    yield "timeline", path, "--eni", eni
    yield "timeline", path, "--instance", host
    yield "timeline", path, "--ip", address


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
