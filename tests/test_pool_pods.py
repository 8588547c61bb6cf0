"""Pool settings are narrowed by the pods that pod evidence shows, and only as far as it shows them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import FIXTURES, Run

from cnitrail.answers.pool.pod_bounds import PodBounds
from cnitrail.intervals import Interval
from cnitrail.model import Basis
from cnitrail.model.pods import PodBoundary, PodHistory, PodLease, PodName, WatchedNode

NODE, ENI, BRANCH = "i-0a1b2c3d4e5f60718", "eni-0a", "eni-0b"
LAUNCH = datetime(2026, 5, 14, 9, 0, tzinfo=UTC)


def minute(number: float) -> datetime:
    return LAUNCH + timedelta(minutes=number)


def lease(
    ip: str, start: tuple[float, float], end: tuple[float, float] | None, eni: str | None = ENI
) -> PodLease:
    """Return a lease that starts between two minutes, and ends between two; None if no end is seen."""
    last = end or (start[1], None)
    return PodLease(
        ip=ip_address(ip),
        pod=PodName("shop", "web"),
        instance=NODE if eni else None,
        eni=eni,
        start=PodBoundary(earliest=minute(start[0]), latest=minute(start[1]), basis=Basis.IMPLIED),
        end=PodBoundary(
            earliest=minute(last[0]),
            latest=minute(last[1]) if last[1] is not None else None,
            basis=Basis.IMPLIED,
        ),
    )


def bounds(*leases: PodLease, watched: tuple[float, float] | None = None) -> PodBounds:
    """Return the bounds of a node that was launched at minute 0; ``watched`` are minutes of its log."""
    node: Any = SimpleNamespace(
        stays=[
            SimpleNamespace(interface=SimpleNamespace(eni=ENI, kind="cni")),
            SimpleNamespace(interface=SimpleNamespace(eni=BRANCH, kind="branch")),
        ],
        instance=SimpleNamespace(instance=NODE, launched=SimpleNamespace(time=LAUNCH, basis=Basis.OBSERVED)),
    )
    spans = [Interval(minute(watched[0]), minute(watched[1]))] if watched is not None else []
    pods = PodHistory(leases=leases, watched=tuple(WatchedNode(instance=NODE, span=span) for span in spans))
    history: Any = SimpleNamespace(pods=pods)
    return PodBounds(node, history)


class TestBounds:
    def test_pods_that_surely_have_an_address_are_the_least(self) -> None:
        found = bounds(lease("10.0.1.1", (5, 6), (20, 21)), lease("10.0.1.2", (5, 6), (20, 21)))
        assert found.at(minute(10), 27) == (2, 27)
        assert found.at(minute(5.5), 27) == (0, 27)
        assert found.at(minute(20.5), 27) == (0, 27)

    def test_without_the_log_since_the_launch_there_may_be_more(self) -> None:
        held = lease("10.0.1.1", (5, 6), (20, 21))
        assert bounds(held, watched=(30, 60)).at(minute(40), 27) == (0, 27)
        assert bounds(held, watched=(2, 60)).at(minute(10), 27) == (1, 1)
        assert bounds(held, watched=(2, 60)).at(minute(70), 27) == (0, 27)

    def test_an_address_in_cooldown_may_count(self) -> None:
        found = bounds(lease("10.0.1.1", (6, 6), (20, 20)), watched=(2, 60))
        assert found.at(minute(20.9), 27) == (0, 1)
        assert found.at(minute(21.1), 27) == (0, 0)

    def test_pods_of_branch_enis_use_no_address_of_the_pool(self) -> None:
        assert bounds(lease("10.0.1.1", (5, 6), (20, 21), BRANCH)).at(minute(10), 27) == (0, 27)

    def test_a_pod_of_an_unknown_node_may_be_on_this_one(self) -> None:
        found = bounds(lease("10.0.1.1", (5, 6), (20, 21), None), watched=(2, 60))
        assert found.at(minute(10), 27) == (0, 1)

    def test_two_records_of_one_address_count_once(self) -> None:
        found = bounds(lease("10.0.1.1", (5, 6), (20, 21)), lease("10.0.1.1", (5, 7), (19, 21)))
        assert found.at(minute(10), 27) == (1, 27)

    def test_a_silence_is_judged_as_a_whole_and_in_parts(self) -> None:
        found = bounds(lease("10.0.1.1", (6, 6), (20, 20)))
        parts = [(start, end, count(27)) for start, end, count in found.steady(minute(0), minute(30))]
        assert parts[0] == (minute(0), minute(30), (0, 27))
        assert (minute(6), minute(20), (1, 27)) in parts

    def test_no_more_than_the_pool_has(self) -> None:
        assert bounds(lease("10.0.1.1", (5, 6), (20, 21))).at(minute(10), 0) == (0, 0)


IPAMD = (
    '{"level":"debug","ts":"2022-10-05T13:14:59.004Z","caller":"awsutils/awsutils.go:420","msg":'
    '"Found instance-id: i-03846c730abe852f4 "}\n'
    '{"level":"info","ts":"2022-10-05T%sZ","caller":"datastore/data_store.go:782","msg":'
    '"assignPodIPAddressUnsafe: Assign IP 192.168.34.201 to sandbox aws-cni/d78e79e2f3c65976/eth0 with '
    'metadata {K8SPodNamespace:shop K8SPodName:web InterfacesCount:1}"}\n'
    '{"level":"info","ts":"2022-10-05T%sZ","caller":"datastore/data_store.go:1267","msg":'
    '"unassignPodIPAddressUnsafe: Unassign IP 192.168.34.201 from sandbox aws-cni/d78e79e2f3c65976/eth0"}\n'
)


class TestSettings:
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Path:
        shutil.copytree(FIXTURES / "ironman" / "AWSLogs", tmp_path / "logs" / "AWSLogs")
        (tmp_path / "logs" / "ipamd.log").write_text(IPAMD % ("13:20:02.290", "14:30:30.101"))
        return tmp_path / "logs"

    def settings(self, run: Run, *arguments: object) -> dict[str, Any]:
        shown = run("pool", *arguments, "--instance", "i-03846c730abe852f4", "-o", "json").stdout
        (entry,) = json.loads(shown)["entries"]
        return dict(entry)

    def test_settings_that_need_a_node_without_pods_no_longer_fit(self, run: Run, logs: Path) -> None:
        without = self.settings(run, logs / "AWSLogs")
        found = self.settings(run, logs)
        assert without["pods_from"] is None
        assert found["pods_from"] == "pod-evidence"

        def two(entry: dict[str, Any]) -> list[object]:
            return [
                candidate["held_back"]
                for candidate in entry["settings"][0]["candidates"]
                if candidate["warm_eni_target"] == {"least": 2, "most": 2}
            ]

        assert two(without) == [None]
        assert two(found) == [
            {"since": "2022-10-05T13:20:02.290000Z", "until": "2022-10-05T14:30:30.101000Z"}
        ]

    def test_the_answer_says_where_the_counts_come_from(self, run: Run, logs: Path) -> None:
        shown = run("pool", logs, "--instance", "i-03846c730abe852f4").stdout
        assert "pod counts: at least those that the pod evidence shows (audit logs, logs of ipamd)" in shown

    def test_counts_of_the_user_come_first(self, run: Run, logs: Path) -> None:
        pods = logs.parent / "pods.csv"
        pods.write_text("time,pods\n2022-10-05T13:10:00Z,0\n")
        assert self.settings(run, logs, "--pods", pods)["pods_from"] == "file"
