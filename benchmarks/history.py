"""Measures how building a history scales: time and memory for 10^5, 3*10^5 and 10^6 events.

    python benchmarks/history.py

The events are synthetic: nodes are launched, get ENIs, and take and release addresses of a small pool in
their VPC, so that addresses are reused all the time. Each size runs in its own process; the exponent is the
slope between sizes on a log-log scale (1 is linear).
"""

import json
import math
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.decode import decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import Origin, Record

SIZES = (100_000, 300_000, 1_000_000)
QUESTIONS = 100_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NODES_IN_A_VPC = 50
POOL = 4000


def synthetic_records(size: int, seed: int = 1) -> Iterator[bytes]:
    """Yield CloudTrail records of nodes that take and release addresses, in order."""
    chance = random.Random(seed)
    nodes: list[tuple[str, str, int, list[str]]] = []
    pools: dict[int, list[str]] = {}
    for number in range(size):
        when = BEGIN + timedelta(seconds=number)
        if number % 250 == 0:
            vpc = len(nodes) // NODES_IN_A_VPC
            pool = pools.setdefault(vpc, [f"10.0.{n >> 8}.{n & 255}" for n in range(POOL)])
            eni, instance = f"eni-{number:017x}", f"i-{number:017x}"
            nodes.append((eni, instance, vpc, []))
            yield record(number, when, "RunInstances", *launch(eni, instance, vpc, pool.pop()))
            continue
        eni, _, vpc, held = chance.choice(nodes[-200:])
        pool = pools[vpc]
        if held and (len(held) > 20 or chance.random() < 0.5):
            given = [held.pop(chance.randrange(len(held))) for _ in range(min(3, len(held)))]
            pool.extend(given)
            request = {"networkInterfaceId": eni, "privateIpAddressesSet": {"items": named(given)}}
            yield record(number, when, "UnassignPrivateIpAddresses", request, {"_return": True})
        else:
            taken = [pool.pop(chance.randrange(len(pool))) for _ in range(3)]
            held.extend(taken)
            response = {"assignedPrivateIpAddressesSet": {"assignedPrivateIpAddressSetType": named(taken)}}
            request = {"networkInterfaceId": eni, "secondaryPrivateIpAddressCount": 3}
            yield record(number, when, "AssignPrivateIpAddresses", request, response)


def named(addresses: list[str]) -> list[dict[str, str]]:
    """Return addresses as the elements of a set."""
    return [{"privateIpAddress": address} for address in addresses]


def launch(eni: str, instance: str, vpc: int, address: str) -> tuple[object, object]:
    """Return the request and response of a launch with one ENI."""
    interface = {
        "networkInterfaceId": eni,
        "vpcId": f"vpc-{vpc:017x}",
        "subnetId": f"subnet-{vpc:017x}",
        "privateIpAddress": address,
        "attachment": {
            "attachmentId": eni.replace("eni", "eni-attach"),
            "deviceIndex": 0,
            "deleteOnTermination": True,
        },
        "privateIpAddressesSet": {"item": [{"privateIpAddress": address, "primary": True}]},
    }
    described = {"instanceId": instance, "networkInterfaceSet": {"items": [interface]}}
    return {"instanceType": "m5.large"}, {"instancesSet": {"items": [described]}}


def record(number: int, when: datetime, name: str, request: object, response: object) -> bytes:
    """Return one record as CloudTrail writes it."""
    role = "arn:aws:sts::111111111111:assumed-role/cni"
    return json.dumps(
        {
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "AssumedRole",
                "arn": f"{role}/{number // 5000}",
                "accountId": "111111111111",
            },
            "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "ec2.amazonaws.com",
            "eventName": name,
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "amazon-vpc-cni-k8s/version/v1.18.3 aws-sdk-go/1.51.32 (go1.22.3; linux; amd64)",
            "requestParameters": request,
            "responseElements": response,
            "eventID": f"{number:032x}",
            "recipientAccountId": "111111111111",
        },
        separators=(",", ":"),
    ).encode()


def measure(size: int) -> dict[str, float]:
    """Return the seconds of each step, and the peak memory in MB."""
    payloads = list(synthetic_records(size))
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun = time.process_time()
    ledger = Ledger()
    for index, payload in enumerate(payloads):
        fact = decode(Record((Origin("log", index),), payload)).fact
        assert fact is not None
        ledger.add(fact)
    decoded = time.process_time()
    history = build(ledger.events())
    built = time.process_time()
    chance = random.Random(2)
    witness = HolderIndex(history, cover((), history.events))
    leases = history.leases
    wanted = Filter()
    for _ in range(QUESTIONS):
        lease = chance.choice(leases)
        assert lease.start.time is not None
        witness.who(ip_address(str(lease.held)), lease.start.time + timedelta(seconds=1), wanted)
    asked = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "decode": decoded - begun,
        "history": built - decoded,
        "who": asked - built,
        "memory": peak - base,
        "leases": len(leases),
    }


def main() -> None:
    """Measure each size in its own process, and print a table."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    rows = {}
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, __file__, str(size)], capture_output=True, text=True, check=True
        )
        rows[size] = json.loads(done.stdout)
    print(
        f"{'events':>10} {'leases':>10} {'decode s':>9} {'history s':>9} {'10^5 who s':>10} {'memory MB':>9}"
    )
    for size, row in rows.items():
        print(
            f"{size:>10,} {row['leases']:>10,.0f} {row['decode']:>9.2f} {row['history']:>9.2f} "
            f"{row['who']:>10.2f} {row['memory']:>9.0f}"
        )
    for step in ("decode", "history", "who", "memory"):
        slope = math.log(rows[SIZES[-1]][step] / rows[SIZES[0]][step]) / math.log(SIZES[-1] / SIZES[0])
        print(f"exponent of {step}: {slope:.2f}")


if __name__ == "__main__":
    main()
