"""A cluster's log group in CloudWatch Logs: its pods read directly, and through a store."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import audit_events
import pytest
from conftest import FIXTURES, Run
from logs_server import CloudWatchLogs, cloudwatch_logs, made_up_account
from test_collect import command as interruptible

from cnitrail.decode import decode
from cnitrail.model import Origin, Record

REGION = "eu-west-1"
CLUSTER = "blue"
GROUP = f"/aws/eks/{CLUSTER}/cluster"
AUDIT = "kube-apiserver-audit-0123456789abcdef0123456789abcdef"
NODE = "ip-10-0-1-10.eu-west-1.compute.internal"
INSTANCE = "i-0123456789abcdef0"
TIMES = ("--since", "2026-07-14", "--until", "2026-07-14T20:00Z")


@pytest.fixture(autouse=True)
def dummy_account(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_account(monkeypatch, REGION)


@pytest.fixture
def logs() -> Iterator[CloudWatchLogs]:
    with cloudwatch_logs() as server:
        yield server


class TestPodsOfALogGroup:
    """A cluster's log group, read directly and through a store."""

    LIFE = audit_events.life(
        "shop/web-1",
        "u-1",
        ips=["10.0.1.25"],
        bound="2026-07-14T12:00:01.130000Z",
        reported="2026-07-14T12:00:05.402000Z",
        gone="2026-07-14T15:00:31.000000Z",
        node=NODE,
        instance=INSTANCE,
    )

    def put(self, logs: CloudWatchLogs, *events: audit_events.Event) -> None:
        for event in events:
            logs.put(REGION, GROUP, AUDIT, (event["requestReceivedTimestamp"], json.dumps(event)))

    def pods(self, run: Run, *source: str) -> list[dict[str, Any]]:
        result = run("pods", *source, "-o", "json")
        assert result.exit_code in (0, 3), result.stderr
        return [
            {name: value for name, value in entry.items() if name != "origins"}
            for entry in json.loads(result.stdout)["entries"]
        ]

    def test_a_store_gives_the_same_pods_and_their_cluster_and_is_brought_up_to_date(
        self, logs: CloudWatchLogs, run: Run, tmp_path: Path
    ) -> None:
        live = (f"logs:{GROUP}", "--endpoint-url", logs.url, *TIMES)
        store = str(tmp_path / "pods.db")
        self.put(logs, *self.LIFE[:2])
        assert run("collect", *live, "--to", store).exit_code == 0
        (open_ended,) = self.pods(run, store)
        assert (open_ended["cluster"], open_ended["end"]) == (CLUSTER, None)
        assert open_ended == self.pods(run, *live)[0]
        self.put(logs, self.LIFE[2])
        assert run("collect", *live, "--to", store).exit_code == 0
        (ended,) = self.pods(run, store)
        assert ended["end"] == "2026-07-14T15:00:31Z"
        assert ended == self.pods(run, *live)[0]

    def test_a_store_of_an_interrupted_reading_answers_and_says_what_it_lacks_until_it_is_resumed(
        self, logs: CloudWatchLogs, run: Run, tmp_path: Path
    ) -> None:
        for day, ip in (("01", "10.0.1.25"), ("05", "10.0.1.26")):
            time = f"2026-07-{day}T12:00:00Z"
            self.put(logs, audit_events.status_patch(time, f"shop/web-{day}", day, ips=[ip], phase="Running"))
        store = str(tmp_path / "pods.db")
        times = ("--since", "2026-06-20", "--until", "2026-07-05T20:00Z")
        collect = ("collect", f"logs:{GROUP}", "--endpoint-url", logs.url, *times, "--to", store)

        def interrupt(call: int) -> None:
            if call == 3:
                process.send_signal(signal.SIGINT)
                sleep(0.5)  # the command learns of the signal before it has the answer

        logs.fault = interrupt
        process = subprocess.Popen(interruptible(*collect), stderr=subprocess.PIPE, text=True)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 3
        assert "interrupted: the answer follows, of what was read" in said
        answer = run("pods", store, "-o", "jsonl")
        assert answer.exit_code == 3
        assert [json.loads(line)["ip"] for line in answer.stdout.splitlines()] == ["10.0.1.26"]
        assert "interrupted; complete from 2026-07-" in answer.stderr
        logs.fault = lambda _: None
        assert run(*collect).exit_code == 0
        assert [entry["ip"] for entry in self.pods(run, store)] == ["10.0.1.25", "10.0.1.26"]
        assert run("pods", store).exit_code == 0

    @pytest.mark.parametrize("way", ["live", "store"])
    def test_a_group_that_was_read_in_part_lowers_no_verdict_of_an_eni(
        self, logs: CloudWatchLogs, run: Run, tmp_path: Path, way: str
    ) -> None:
        trail = FIXTURES / "pod-behind-an-address" / "AWSLogs"
        for day in ("01", "05"):
            patch = audit_events.status_patch(
                f"2022-10-{day}T12:00:00Z", "shop/web-1", "u-1", ips=["10.0.1.25"], phase="Running"
            )
            self.put(logs, patch)
        times = ("--since", "2022-09-20", "--until", "2022-10-05T20:00Z", "--max-calls", "2")
        source: tuple[str, ...] = (str(trail), f"logs:{GROUP}", "--endpoint-url", logs.url, *times)
        if way == "store":
            run("collect", *source, "--to", str(tmp_path / "pods.db"))
            source = (str(tmp_path / "pods.db"),)
        result = run("who", "192.168.53.76", *source, "--at", "2022-10-05T14:00Z", "-o", "json")
        answer = json.loads(result.stdout)
        assert [skipped["of_pods"] for skipped in answer["evidence"]["skipped"]] == [True], result.stderr
        (entry,) = answer["entries"]
        assert entry["verdict"] == "certain"
        unread = [r["text"] for r in entry["pod"]["reasons"] if r["code"] == "pod-evidence-unread"]
        assert len(unread) == 1
        assert "stopped after 2 calls (--max-calls)" in unread[0]

    @pytest.mark.parametrize(
        "name",
        [
            "logs:/aws/eks/prod/cluster",
            "logs:/aws/eks/prod/cluster@111111111111/eu-west-1/2026-07-14T12:00Z",
            "logs:/aws/eks/prod/cluster@-/eu-west-1/2026-07-14T12:00Z",
            "111122223333:/aws/eks/prod/cluster",
        ],
    )
    def test_the_cluster_is_read_from_the_name_of_the_group(self, name: str) -> None:
        payload = json.dumps(self.LIFE[1]).encode()
        decoded = decode(Record((Origin(name, 0, "eks-audit"),), payload))
        assert decoded.pods is not None
        assert decoded.pods.cluster == "prod"
