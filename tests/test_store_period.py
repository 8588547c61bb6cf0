"""Questions about a time: a store answers them from fewer records as from all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import simulator
from conftest import FIXTURES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from stories import STORIES as ALL_STORIES
from test_store import anything, assign, attach, collect, create

from cnitrail.answers.filters import Filter
from cnitrail.api import Case
from cnitrail.history import build
from cnitrail.model import History, LeasePeriod, Record, Scope
from cnitrail.store.reader import StoreReader
from cnitrail.workflows.read import read, read_evidence
from cnitrail.workflows.request import Access, Request

STORIES = sorted(ALL_STORIES)
HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def case_of(store: Path, scope: Scope) -> Case:
    ledger, evidence = read_evidence((str(store),), scope)
    pods = ledger.pods() if ledger.pod_records else None
    return Case(build(ledger.events(), ledger.sessions(), None, pods), evidence)


def places(history: History) -> Iterator[Filter]:
    """Yield a filter for every ENI, instance and address of a history."""
    for eni in history.interfaces:
        yield Filter(eni=(eni,))
    for instance in history.instances:
        yield Filter(instance=(instance,))
    for held in history.holders:
        yield Filter(ip=(ip_network(held),))


def times(history: History) -> list[datetime]:
    """Return the seconds at which something happens, and those before and after them."""
    seconds = {event.time for event in history.events}
    around = {time + timedelta(seconds=number) for time in seconds for number in (-1, 0, 1)}
    return sorted(around | {min(seconds) - HOUR, max(seconds) + HOUR})


def narrow(store: Path, wanted: Filter, period: LeasePeriod) -> Case:
    scope = Scope(enis=wanted.eni, instances=wanted.instance, addresses=wanted.ip, period=period)
    return case_of(store, scope)


def asked(store: Path, wanted: Filter, period: LeasePeriod) -> Case:
    """Return what a store has for answers that also show what manages addresses."""
    request = Request(sources=(str(store),), wanted=wanted, access=Access(), period=period, managers=True)
    return Case(*read(request), wanted)


def assert_answers_are_alike(store: Path, data: st.DataObject, most: int) -> None:
    whole = case_of(store, Scope())
    known = [*places(whole.history)]
    if not known:
        return
    seconds = times(whole.history)
    for _ in range(most):
        wanted = data.draw(st.sampled_from(known))
        start, end = sorted(data.draw(st.sampled_from(seconds)) for _ in range(2))
        start_, end_ = data.draw(st.sampled_from([(start, end), (None, end), (start, None), (None, None)]))
        ranged = replace(wanted, since=start_, until=end_)
        filters = {name: getattr(ranged, name) for name in ("eni", "instance", "ip", "since", "until")}
        part = narrow(store, wanted, LeasePeriod(start=start_, end=end_))
        assert part.timeline(**filters) == whole.timeline(**filters), ranged
        assert part.leases(**filters) == whole.leases(**filters), ranged
        assert part.evidence == whole.evidence
        place = {name: filters[name] for name in ("eni", "instance", "ip")}
        part = asked(store, wanted, LeasePeriod(start=end, end=end))
        assert part.state(end) == whole.state(end, **place), (wanted, end)
        if wanted.instance:
            part = asked(store, ranged, LeasePeriod(start=start_, end=end_))
            assert part.pool() == whole.pool(**filters), ranged
        if wanted.ip:
            part = narrow(store, wanted, LeasePeriod(start=start_, end=end_, leases_only=True))
            assert part.leases(**filters) == whole.leases(**filters), ranged
            (address,) = wanted.ip
            ip = address.network_address
            part = narrow(
                store, Filter(ip=(ip_network(ip),)), LeasePeriod(start=end, end=end, leases_only=True)
            )
            assert part.who(ip, end) == whole.who(ip, end), (ip, end)


@settings(max_examples=40)
@given(data=st.data())
def test_any_question_of_any_world_is_answered_as_from_all_records(data: st.DataObject) -> None:
    world = data.draw(simulator.worlds(30))
    delivery = data.draw(simulator.deliveries(world, drop_records=True))
    if not delivery.files:
        return
    with TemporaryDirectory() as folder:
        logs, store = Path(folder, "logs"), Path(folder, "trail.db")
        logs.mkdir()
        simulator.write(delivery.files, logs, compress=False)
        collect(store, logs)
        assert_answers_are_alike(store, data, most=12)


@settings(max_examples=100)
@given(data=st.data())
def test_even_impossible_calls_are_answered_as_from_all_records(data: st.DataObject) -> None:
    records = [anything(data, number) for number in range(data.draw(st.integers(1, 14)))]
    with TemporaryDirectory() as folder:
        log, store = Path(folder, "log.json"), Path(folder, "trail.db")
        log.write_text(json.dumps({"Records": records}))
        collect(store, log)
        assert_answers_are_alike(store, data, most=8)


def lives(data: st.DataObject, number: int) -> Iterator[dict[str, Any]]:
    """Yield the calls of many ENIs, one after the other, that share few addresses; some are not recorded."""
    second = 0
    for eni in (f"eni-{one}" for one in range(number)):
        first, other = data.draw(st.sampled_from([("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.3")]))
        named = {"items": [{"privateIpAddress": other}]}
        takes = data.draw(st.integers(0, 9)) == 0
        calls = [
            create(eni, first),
            attach(eni, f"i-0000000{int(eni[4:]) // 3}"),
            assign(eni, other, reassign=takes),
            ("UnassignPrivateIpAddresses", {"networkInterfaceId": eni, "privateIpAddressesSet": named}, {}),
            ("DeleteNetworkInterface", {"networkInterfaceId": eni}, {}),
        ]
        for name, request, response in calls:
            second += data.draw(st.sampled_from([0, 1, 1, 1, 60]))
            if data.draw(st.integers(0, 19)):
                yield {
                    "eventName": name,
                    "eventID": f"{eni}-{name}",
                    "eventTime": (BEGIN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z"),
                    "requestParameters": request,
                    "responseElements": response,
                    "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ada"},
                    "recipientAccountId": "111111111111",
                    "awsRegion": "eu-west-1",
                }


@settings(max_examples=40)
@given(data=st.data())
def test_of_many_holders_of_an_address_those_around_a_time_are_enough(data: st.DataObject) -> None:
    records = [*lives(data, data.draw(st.integers(2, 25)))]
    with TemporaryDirectory() as folder:
        log, store = Path(folder, "log.json"), Path(folder, "trail.db")
        log.write_text(json.dumps({"Records": records}))
        collect(store, log)
        assert_answers_are_alike(store, data, most=12)


def test_few_records_are_read_for_one_address_and_a_time(tmp_path: Path) -> None:
    log, store = tmp_path / "log.json", tmp_path / "trail.db"
    trail = [
        {
            "eventName": name,
            "eventID": f"{number}-{name}",
            "eventTime": (BEGIN + timedelta(minutes=10 * number + minute)).isoformat().replace("+00:00", "Z"),
            "requestParameters": request,
            "responseElements": response,
        }
        for number in range(200)
        for minute, (name, request, response) in enumerate(
            (
                create(f"eni-{number}", "10.0.0.1"),
                ("DeleteNetworkInterface", {"networkInterfaceId": f"eni-{number}"}, {}),
            )
        )
    ]
    log.write_text(json.dumps({"Records": trail}))
    collect(store, log)
    time = BEGIN + timedelta(minutes=1000)
    for period in (
        LeasePeriod(start=time, end=time, leases_only=True),
        LeasePeriod(start=time, end=time + timedelta(minutes=5)),
    ):
        scope = Scope(addresses=(ip_network("10.0.0.1"),), period=period)
        delivered = [*StoreReader(str(store), scope).documents()]
        assert sum(isinstance(one, Record) for one in delivered) < 15


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=5)
@given(data=st.data())
def test_any_question_about_a_story_is_answered_as_from_all_records(data: st.DataObject, story: str) -> None:
    with TemporaryDirectory() as folder:
        store = Path(folder, "trail.db")
        collect(store, FIXTURES / story / "AWSLogs")
        assert_answers_are_alike(store, data, most=12)


def call(event: str, second: int, name: str, request: Any, response: Any) -> dict[str, Any]:
    return {
        "eventName": name,
        "eventID": event,
        "eventTime": f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z",
        "requestParameters": request,
        "responseElements": response,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111111111111:user/ada"},
        "recipientAccountId": "111111111111",
        "awsRegion": "eu-west-1",
    }


def made(eni: str, address: str) -> dict[str, Any]:
    return {"networkInterface": {"networkInterfaceId": eni, "vpcId": "vpc-1", "privateIpAddress": address}}


def test_an_eni_whose_vpc_only_a_disputed_record_shows_may_be_in_any(run: Run, tmp_path: Path) -> None:
    log, store = tmp_path / "log.json", tmp_path / "trail.db"
    held = {
        "networkInterfaceId": "eni-u",
        "privateIpAddressesSet": {"items": [{"privateIpAddress": "10.0.0.1"}]},
    }
    records = [
        call("disputed", 0, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.8")),
        call("disputed", 0, "CreateNetworkInterface", {}, made("eni-u", "10.0.0.9")),
        *(
            one
            for number in range(6)
            for one in (
                call(
                    f"{number}",
                    10 * number + 10,
                    "CreateNetworkInterface",
                    {},
                    made(f"eni-{number}", "10.0.0.1"),
                ),
                call(
                    f"-{number}",
                    10 * number + 15,
                    "DeleteNetworkInterface",
                    {"networkInterfaceId": f"eni-{number}"},
                    {},
                ),
            )
        ),
        call("release", 100, "UnassignPrivateIpAddresses", held, {"_return": True}),
    ]
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    for source in (log, store):
        result = run("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:12Z", "-o", "json")
        (answer,) = json.loads(result.stdout)["entries"]
        assert answer["verdict"] == "ambiguous"
        assert [holder["eni"] for holder in answer["holders"]] == ["eni-u", "eni-0"]


def test_a_lease_of_an_eni_that_got_and_lost_its_address_in_one_second_ends_with_the_next_one(
    run: Run, tmp_path: Path
) -> None:
    log, store = tmp_path / "log.json", tmp_path / "trail.db"
    held = {
        "networkInterfaceId": "eni-a",
        "privateIpAddressesSet": {"items": [{"privateIpAddress": "10.0.0.9"}]},
    }
    records = [
        call("create", 1, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.8")),
        call(
            "attach", 2, "AttachNetworkInterface", _on("eni-a", "i-0000001"), {"attachmentId": "eni-attach-1"}
        ),
        call("assign", 10, "AssignPrivateIpAddresses", held, {"_return": True}),
        call("again", 20, "AssignPrivateIpAddresses", held, {"_return": True}),
        call("release", 20, "UnassignPrivateIpAddresses", held, {"_return": True}),
        call("next", 40, "CreateNetworkInterface", {}, made("eni-b", "10.0.0.9")),
    ]
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    for source in (log, store):
        result = run("leases", source, "--instance", "i-0000001", "-o", "json")
        leases = json.loads(result.stdout)["entries"]
        assert [(one["ip"], one["start_event"], one["end"], one["end_event"]) for one in leases] == [
            ("10.0.0.8", "create", None, None),
            ("10.0.0.9", "assign", "2026-01-01T00:00:20Z", "release"),
            ("10.0.0.9", "again", "2026-01-01T00:00:40Z", "next"),
        ]


def test_the_vpc_of_an_eni_that_only_shares_a_node_with_the_one_asked_for_is_known(tmp_path: Path) -> None:
    log, store = tmp_path / "log.json", tmp_path / "trail.db"
    other = {"networkInterfaceId": "eni-0", "privateIpAddress": "10.0.0.7"}
    records = [
        call("no VPC", 1, "CreateNetworkInterface", {}, {"networkInterface": other}),
        call("one", 2, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.8")),
        call("two", 3, "CreateNetworkInterface", {}, made("eni-b", "10.0.0.9")),
        call(
            "three", 4, "AttachNetworkInterface", _on("eni-a", "i-0000001"), {"attachmentId": "eni-attach-1"}
        ),
        call(
            "four", 5, "AttachNetworkInterface", _on("eni-b", "i-0000001"), {"attachmentId": "eni-attach-2"}
        ),
    ]
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    case = case_of(store, Scope(addresses=(ip_network("10.0.0.8"),)))
    assert {eni: found.vpc for eni, found in case.history.interfaces.items()} == {
        "eni-0": None,
        "eni-a": "vpc-1",
        "eni-b": "vpc-1",
    }


def next_holders(run: Run, folder: Path, *records: dict[str, Any]) -> list[list[str]]:
    """Return what log files, and a store of them, say of the next holder of 10.0.0.8."""
    log, store = folder / "log.json", folder / "trail.db"
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    said = []
    for source in (log, store):
        result = run("who", "10.0.0.8", source, "--at", "2026-01-01T00:00:30Z", "-o", "json")
        (answer,) = json.loads(result.stdout)["entries"]
        said.append([reason["text"] for reason in answer["reasons"] if reason["code"] == "next-holder"])
    return said


def later_lives(vpc: str) -> Iterator[dict[str, Any]]:
    """Yield how six ENIs of a VPC get 10.0.0.8 one after the other, each for 50 seconds."""
    for number in range(1, 7):
        shown = {"networkInterfaceId": f"eni-{number}", "vpcId": vpc, "privateIpAddress": "10.0.0.8"}
        gone = {"networkInterfaceId": f"eni-{number}"}
        yield call(f"+{number}", 100 * number, "CreateNetworkInterface", {}, {"networkInterface": shown})
        yield call(f"-{number}", 100 * number + 50, "DeleteNetworkInterface", gone, {"_return": True})


def test_the_next_holder_in_another_vpc_is_named_however_late_the_first_one_ends(
    run: Run, tmp_path: Path
) -> None:
    first = call("first", 1, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.8"))
    end = call("end", 460, "DeleteNetworkInterface", {"networkInterfaceId": "eni-a"}, {"_return": True})
    said = next_holders(run, tmp_path, first, end, *later_lives("vpc-2"))
    assert said == [["seen on eni-5 40 s later"], ["seen on eni-5 40 s later"]]


def test_the_next_holder_of_the_address_of_an_eni_of_unknown_vpc_is_named(run: Run, tmp_path: Path) -> None:
    unknown = {"networkInterface": {"networkInterfaceId": "eni-u", "privateIpAddress": "10.0.0.8"}}
    first = call("first", 1, "CreateNetworkInterface", {}, unknown)
    end = call("end", 460, "DeleteNetworkInterface", {"networkInterfaceId": "eni-u"}, {"_return": True})
    said = next_holders(run, tmp_path, first, end, *later_lives("vpc-1"))
    assert said == [["seen on eni-5 40 s later"], ["seen on eni-5 40 s later"]]


def _on(eni: str, instance: str) -> dict[str, Any]:
    return {"networkInterfaceId": eni, "instanceId": instance, "deviceIndex": 1}


_NAMED = {
    "networkInterfaceId": "eni-a",
    "privateIpAddressesSet": {"items": [{"privateIpAddress": "10.0.0.9"}]},
}
_IN_STORE = (
    call("other", 5, "AttachNetworkInterface", _on("eni-b", "i-0000001"), {"attachmentId": "eni-attach-0"}),
    call("detach", 40, "DetachNetworkInterface", {"attachmentId": "eni-attach-1"}, {"_return": True}),
    call("move", 50, "AttachNetworkInterface", _on("eni-a", "i-0000002"), {"attachmentId": "eni-attach-2"}),
    call("leave", 400, "DetachNetworkInterface", {"attachmentId": "eni-attach-2"}, {"_return": True}),
)
_IN_FILE = (
    call("create", 10, "CreateNetworkInterface", {}, made("eni-a", "10.0.0.8")),
    call("attach", 20, "AttachNetworkInterface", _on("eni-a", "i-0000001"), {"attachmentId": "eni-attach-1"}),
    call("assign", 30, "AssignPrivateIpAddresses", _NAMED, {"_return": True}),
    call("release", 300, "UnassignPrivateIpAddresses", _NAMED, {"_return": True}),
)


class TestBesideOtherSources:
    """Another source shows what a store cannot know, so the store is asked for everything."""

    @pytest.fixture
    def sources(self, tmp_path: Path) -> list[Path]:
        """Return a store, and the file beside it."""
        earlier, file, store = tmp_path / "earlier.json", tmp_path / "later.json", tmp_path / "trail.db"
        earlier.write_text(json.dumps({"Records": _IN_STORE}))
        file.write_text(json.dumps({"Records": _IN_FILE}))
        collect(store, earlier)
        return [store, file]

    def test_an_eni_is_on_the_node_to_which_only_the_store_knows_it_moved(
        self, run: Run, sources: list[Path]
    ) -> None:
        for ordered in (sources, sources[::-1]):
            at = ("--at", "2026-01-01T00:01:40Z", "--assume-complete")
            result = run("who", "10.0.0.9", *ordered, *at, "-o", "json")
            (answer,) = json.loads(result.stdout)["entries"]
            assert answer["verdict"] == "certain"
            assert [(one["eni"], one["instance"]) for one in answer["holders"]] == [("eni-a", "i-0000002")]

    def test_what_nothing_mentions_is_said_with_what_there_is(self, run: Run, sources: list[Path]) -> None:
        asked = ("--eni", "eni-0000000000000000c", "--instance", "i-0000002")
        beside, alone = run("timeline", *sources, *asked), run("timeline", sources[0], *asked)
        assert "no event mentions eni-0000000000000000c; " in beside.stderr
        assert "no event mentions eni-0000000000000000c, of those that were read" in alone.stderr
