"""ENIs that live long: a store answers questions about them from a few of their calls as from all of them."""

from __future__ import annotations

import json
import random
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from long_lives import Lives
from test_store import collect
from test_store_period import BEGIN, assert_answers_are_alike, call, made

from cnitrail.model import LeasePeriod, Record, Scope
from cnitrail.store.reader import StoreReader

NODE = "i-00000001"


@settings(max_examples=50)
@given(data=st.data())
def test_any_question_about_long_lives_is_answered_as_from_all_records(data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 1_000_000)))
    records = [*Lives(chance).records(data.draw(st.sampled_from((10, 50, 200))))]
    with TemporaryDirectory() as folder:
        log, store = Path(folder, "log.json"), Path(folder, "trail.db")
        log.write_text(json.dumps({"Records": records}))
        collect(store, log)
        assert_answers_are_alike(store, data, most=8)


def assign(event: str, second: int, eni: str, *addresses: str, **asked: Any) -> dict[str, Any]:
    return on_addresses(event, second, "AssignPrivateIpAddresses", eni, addresses, asked)


def release(event: str, second: int, eni: str, *addresses: str) -> dict[str, Any]:
    return on_addresses(event, second, "UnassignPrivateIpAddresses", eni, addresses, {})


def on_addresses(
    event: str, second: int, name: str, eni: str, addresses: tuple[str, ...], asked: dict[str, Any]
) -> dict[str, Any]:
    named = {"items": [{"privateIpAddress": address} for address in addresses]}
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": named} | asked
    return call(event, second, name, request, {"_return": True})


def attach(event: str, second: int, eni: str) -> dict[str, Any]:
    request = {"networkInterfaceId": eni, "instanceId": NODE, "deviceIndex": 1}
    return call(event, second, "AttachNetworkInterface", request, {"attachmentId": f"eni-attach-{eni}"})


def busy(eni: str, seconds: range) -> list[dict[str, Any]]:
    """Return calls that assign and release addresses which nobody asks for."""
    calls = []
    for second in seconds:
        address = f"10.9.{int(eni[-1], 16)}.{second % 50 + 1}"
        change = assign if second // 50 % 2 == 0 else release
        calls.append(change(f"{eni} {second}", second, eni, address))
    return calls


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


class Sources:
    """A log file, and a store of it."""

    def __init__(self, folder: Path) -> None:
        self.log, self.store = folder / "log.json", folder / "trail.db"

    def write(self, records: list[dict[str, Any]]) -> None:
        self.log.write_text(json.dumps({"Records": records}))
        collect(self.store, self.log)

    def delivered(self, **asked: Any) -> int:
        """Return how many records the store delivers for a question."""
        found = StoreReader(str(self.store), Scope(**asked)).documents()
        return sum(isinstance(one, Record) for one in found)

    def entries(self, run: Run, *arguments: str) -> list[dict[str, Any]]:
        """Return what both answer, which is the same."""
        command, *rest = arguments
        at = 1 if command == "who" else 0
        answers = []
        for source in (self.log, self.store):
            result = run(command, *rest[:at], source, *rest[at:], "-o", "json")
            answers.append(json.loads(result.stdout)["entries"])
        assert answers[0] == answers[1]
        found: list[dict[str, Any]] = answers[0]
        return found


X = "10.0.0.9"
LONG_LIVES = [
    call("create a", 0, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.1")),
    call("create b", 1, "CreateNetworkInterface", {}, made("eni-b", "10.0.0.2")),
    attach("attach a", 2, "eni-a"),
    *busy("eni-a", range(3, 975)),
    *busy("eni-b", range(3, 1000)),
    assign("assign", 1000, "eni-a", X),
    release("release", 1100, "eni-a", X),
    assign("again", 1200, "eni-b", X),
    *busy("eni-a", range(1201, 1500)),
]


class TestCallsOnOtherAddresses:
    """Calls on other addresses of an ENI are not read, unless the answer shows these or depends on them."""

    def test_few_records_are_read_for_an_address(self, sources: Sources) -> None:
        sources.write(LONG_LIVES)
        address = (ip_network(X),)
        period = LeasePeriod(start=BEGIN, end=BEGIN)
        assert sources.delivered(addresses=address, period=LeasePeriod()) < 10
        assert sources.delivered(addresses=address, period=LeasePeriod(leases_only=True)) < 10
        assert sources.delivered(addresses=address, period=period, managers=True) < 10

    def test_of_other_holders_of_the_addresses_of_an_eni_few_calls_are_read(self, sources: Sources) -> None:
        sources.write([*LONG_LIVES, call("create", 2, "CreateNetworkInterface", {}, made("eni-c", X))])
        assert sources.delivered(enis=("eni-c",), period=LeasePeriod()) < 10

    def test_a_later_call_on_another_address_shows_that_an_eni_lived_on(
        self, run: Run, sources: Sources
    ) -> None:
        last = assign("last", 1500, "eni-b", "10.9.11.60")
        sources.write([*LONG_LIVES, attach("attach b", 20, "eni-b"), last])
        at = ("--at", "2026-01-01T00:23:20Z", "--assume-complete")
        (answer,) = sources.entries(run, "who", X, *at)
        assert [holder["eni"] for holder in answer["holders"]] == ["eni-b"]
        assert "no-release-seen" not in [reason["code"] for reason in answer["reasons"]]

    def test_a_deletion_shows_every_address_that_its_eni_had(self, run: Run, sources: Sources) -> None:
        others = [assign(f"more {number}", 1300, "eni-b", f"10.0.0.{number}") for number in (20, 21, 22)]
        taken = assign("taken", 1350, "eni-a", "10.0.0.21", allowReassignment=True)
        gone = call("gone", 1400, "DeleteNetworkInterface", {"networkInterfaceId": "eni-b"}, {})
        sources.write([*LONG_LIVES[:2], *LONG_LIVES[-302:-299], *others, taken, gone])
        *_, last = sources.entries(run, "timeline", "--ip", X)
        assert last["event_id"] == "gone"
        assert last["removed"] == ["10.0.0.2", X, "10.0.0.20", "10.0.0.22"]

    def test_a_release_of_which_records_disagree_may_leave_an_address_on_its_eni(
        self, run: Run, sources: Sources
    ) -> None:
        elsewhere = made("eni-a", "10.0.0.1")["networkInterface"] | {"vpcId": "vpc-2"}
        sources.write(
            [
                call("create a", 0, "CreateNetworkInterface", {}, {"networkInterface": elsewhere}),
                call("create b", 1, "CreateNetworkInterface", {}, made("eni-b", "10.0.0.2")),
                call("create c", 2, "CreateNetworkInterface", {}, made("eni-c", "10.0.0.3")),
                assign("assign", 10, "eni-b", X),
                assign("others", 11, "eni-b", "10.0.0.20", "10.0.0.21"),
                release("disputed", 20, "eni-a", X),
                release("disputed", 20, "eni-b", X),
                assign("moved", 25, "eni-c", "10.0.0.20"),
                call("gone", 30, "DeleteNetworkInterface", {"networkInterfaceId": "eni-b"}, {}),
            ]
        )
        *_, last = sources.entries(run, "timeline", "--ip", X)
        assert (last["event_id"], last["removed"]) == ("gone", ["10.0.0.2", X, "10.0.0.21"])
        (entry,) = sources.entries(run, "state", "--ip", X, "--at", "2026-01-01T00:00:28Z")
        held = [address["ip"] for address in entry["addresses"]]
        assert (entry["eni"], held) == ("eni-b", ["10.0.0.2", X, "10.0.0.21"])

    def test_a_termination_shows_addresses_that_were_assigned_only_after_it(
        self, run: Run, sources: Sources
    ) -> None:
        interface = made("eni-a", "10.0.0.1")["networkInterface"]
        attachment = {"attachmentId": "eni-attach-1", "deleteOnTermination": True}
        machine = {
            "instanceId": NODE,
            "networkInterfaceSet": {"items": [interface | {"attachment": attachment}]},
        }
        ended = {"instancesSet": {"items": [{"instanceId": NODE}]}}
        sources.write(
            [
                call("launch", 0, "RunInstances", {}, {"instancesSet": {"items": [machine]}}),
                assign("other", 10, "eni-a", "10.0.0.3"),
                call("end", 20, "TerminateInstances", ended, ended),
                assign("late", 25, "eni-a", X),
            ]
        )
        shown = {entry["event_id"]: entry["removed"] for entry in sources.entries(run, "timeline", "--ip", X)}
        assert shown == {"late": [], "end": ["10.0.0.1", "10.0.0.3", X]}

    def test_the_only_caller_on_an_old_eni_shows_its_instance(self, run: Run, sources: Sources) -> None:
        issuer = {"userName": "node", "arn": "arn:aws:iam::111111111111:role/node"}
        node = {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::111111111111:assumed-role/node/{NODE}",
            "sessionContext": {"ec2RoleDelivery": "2.0", "sessionIssuer": issuer},
        }
        own = assign("by its node", 5, "eni-old", "10.0.0.3") | {"userIdentity": node}
        by_hand = assign("by hand", 10, "eni-old", X)
        other = assign("of another", 1, "eni-other", "10.0.0.4")
        sources.write([other, own, by_hand, release("later", 60, "eni-old", "10.0.0.3")])
        (answer,) = sources.entries(run, "who", X, "--at", "2026-01-01T00:00:30Z")
        (holder,) = answer["holders"]
        assert (holder["eni"], holder["instance"], holder["instance_basis"]) == ("eni-old", NODE, "session")

    def test_a_state_shows_every_address_of_an_eni(self, run: Run, sources: Sources) -> None:
        sources.write(LONG_LIVES)
        (entry,) = sources.entries(run, "state", "--ip", X, "--at", "2026-01-01T00:17:00Z")
        held = [address["ip"] for address in entry["addresses"]]
        assert (entry["eni"], len(held), held[:2]) == ("eni-a", 28, ["10.0.0.1", X])
