"""Audit logs hold secrets of many kinds: nothing of them gets into a store, an answer or a message."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit_events as audit
import pytest
from conftest import FIXTURES, Run

from cnitrail.render.writers import OUTPUTS

SECRET = "S3CR3T"
"""What every value has in it that must not be kept; each has its own place after it."""

POD = "shop/web-6d4cf56db6-x2x7k"
IP = "192.168.34.201"
NODE = "ip-192-168-55-245.eu-west-1.compute.internal"
INSTANCE = "i-03846c730abe852f4"

FLOWS = FIXTURES / "ironman-flows.log"
ARGUMENTS = {
    "explain": (IP,),
    "pool": ("--instance", INSTANCE),
    "state": ("--at", "2022-10-05T13:30:00Z"),
    "subnet": ("subnet-0b36b0ceb8eb6a9c5",),
    "who": (IP, "--at", "2022-10-05T13:30:00Z"),
}


def with_secrets(event: dict[str, Any]) -> dict[str, Any]:
    """Return an audit event with a secret wherever a cluster may have one."""
    event["userAgent"] = f"kubectl/{SECRET}-user-agent"
    event["requestURI"] += f"?token={SECRET}-query"
    event["user"].setdefault("extra", {})["authentication.kubernetes.io/credential-id"] = [f"{SECRET}-id"]
    event["annotations"] |= {"authorization.k8s.io/reason": f"{SECRET}-reason"}
    event["responseStatus"]["message"] = f"{SECRET}-status"
    for part in ("requestObject", "responseObject"):
        made = event.setdefault(part, {})
        meta = made.setdefault("metadata", {})
        meta["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": f"{SECRET}-applied"}
        meta["labels"] = {"password": f"{SECRET}-label"}
        meta["managedFields"] = [{"manager": f"{SECRET}-manager"}]
        if made.get("kind") == "Pod":
            made["spec"]["containers"] = [
                {
                    "name": f"{SECRET}-container",
                    "image": f"registry.example/{SECRET}-image",
                    "args": [f"--password={SECRET}-argument"],
                    "env": [{"name": "DB_PASSWORD", "value": f"{SECRET}-env"}],
                }
            ]
            made["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": f"{SECRET}-volume"}}]
        made.setdefault("status", {})
        if isinstance(made["status"], dict):
            made["status"]["message"] = f"{SECRET}-message"
            made["status"]["conditions"] = [{"type": "Ready", "message": f"{SECRET}-condition"}]
    return event


def life() -> Iterator[dict[str, Any]]:
    """Yield the events of a pod's life, and some that are about other things."""
    there: dict[str, Any] = {"node": NODE, "instance": INSTANCE}
    yield audit.create("2022-10-05T13:20:01.101010Z", POD)
    yield from audit.life(
        POD,
        ips=[IP],
        bound="2022-10-05T13:20:01.130000Z",
        reported="2022-10-05T13:20:05.402000Z",
        gone="2022-10-05T14:30:31.000000Z",
        **there,
    )
    yield audit.node_create("2022-10-05T13:15:00.000000Z", **there)
    secret = {"resource": "secrets", "namespace": "shop", "name": "db"}
    stored = {"kind": "Secret", "data": {"password": f"{SECRET}-data"}, "note": f'"podIP":"{IP}"'}
    yield audit.event(
        "2022-10-05T13:21:00.000000Z", "create", audit.kubelet(), secret, asked=stored, answered=dict(stored)
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit log of a cluster in several wrappers, whole, cut short, and broken in the middle of lines."""
    folder = tmp_path_factory.mktemp("logs")
    events = list(map(with_secrets, life()))
    lines = audit.lines(events)
    (folder / "audit.jsonl").write_bytes(lines)
    (folder / "filtered.json").write_bytes(audit.log_events(events))
    exported = b"".join(b"2022-10-05T13:20:05.000Z " + line + b"\n" for line in lines.splitlines())
    (folder / "000000.gz").write_bytes(gzip.compress(exported))
    (folder / "cut.jsonl").write_bytes(
        b"".join(line[: len(line) * 2 // 3] + b"[Truncated...]\n" for line in lines.splitlines())
    )
    rows = json.loads(audit.log_events(events))
    for row in rows["events"]:
        row["message"] = row["message"][: len(row["message"]) * 2 // 3] + "[Truncated...]"
    (folder / "cut.json").write_text(json.dumps(rows))
    halves = lines.split(SECRET.encode())
    (folder / "split.jsonl").write_bytes((b"\n" + SECRET.encode()).join(halves))
    (folder / "pretty.json").write_text(json.dumps(events, indent=2).replace(f'"{SECRET}', f"{SECRET}"))
    (folder / "secrets.json").write_text(
        json.dumps({"apiVersion": "v1", "data": {"p": f"{SECRET}-of-kubectl"}, "kind": "Secret"})
    )
    return folder


@pytest.fixture
def store(run: Run, logs: Path, tmp_path: Path) -> Path:
    path = tmp_path / "trail.db"
    result = run("collect", logs, FIXTURES / "ironman", "--to", path, "--debug")
    assert SECRET not in result.stdout + result.stderr
    return path


class TestStore:
    def test_nothing_of_an_audit_event_but_its_facts_is_in_a_store(self, store: Path) -> None:
        assert POD.split("/")[1].encode() in store.read_bytes()
        for file in store.parent.iterdir():
            assert SECRET.encode() not in file.read_bytes()

    def test_a_merged_store_has_no_more(self, run: Run, store: Path) -> None:
        merged = store.with_name("merged.db")
        assert run("collect", store, "--to", merged).exit_code == 3
        assert SECRET.encode() not in merged.read_bytes()


@pytest.mark.parametrize(
    ("command", "output"),
    [(command, output) for command in OUTPUTS if command != "verify" for output in OUTPUTS[command]],
)
class TestOutputs:
    def test_no_output_has_anything_of_an_audit_event(
        self, run: Run, logs: Path, store: Path, command: str, output: str
    ) -> None:
        for sources in ((logs, FIXTURES / "ironman"), (store,)):
            flow_logs = (FLOWS, "--with") if command == "flows" else ()
            asked = (*ARGUMENTS.get(command, ()), *flow_logs, *sources)
            result = run(command, *asked, "-o", output, "--debug")
            assert result.exit_code in (0, 3, 4, 5), result.stderr
            assert SECRET.encode() not in result.stdout_bytes
            assert SECRET not in result.stderr
