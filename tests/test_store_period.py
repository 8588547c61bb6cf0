"""Questions about a time: a store answers them from fewer records as from all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import simulator
from conftest import FIXTURES
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from stories import STORIES as ALL_STORIES
from test_store import anything, collect

from cnitrail.answers.filters import Filter
from cnitrail.api import Case
from cnitrail.history import build
from cnitrail.model import History, LeasePeriod, Scope
from cnitrail.workflows.read import read_evidence

STORIES = sorted(ALL_STORIES)
HOUR = timedelta(hours=1)


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


def assert_answers_are_alike(store: Path, data: st.DataObject, most: int) -> None:
    whole = case_of(store, Scope())
    seconds, asked = times(whole.history), [*places(whole.history)]
    for _ in range(most if asked else 0):
        wanted = data.draw(st.sampled_from(asked))
        start, end = sorted(data.draw(st.sampled_from(seconds)) for _ in range(2))
        start_, end_ = data.draw(st.sampled_from([(start, end), (None, end), (start, None), (None, None)]))
        ranged = replace(wanted, since=start_, until=end_)
        filters = {name: getattr(ranged, name) for name in ("eni", "instance", "ip", "since", "until")}
        part = narrow(store, wanted, LeasePeriod(start=start_, end=end_))
        assert part.timeline(**filters) == whole.timeline(**filters), ranged
        assert part.leases(**filters) == whole.leases(**filters), ranged
        assert part.evidence == whole.evidence
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


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=5)
@given(data=st.data())
def test_any_question_about_a_story_is_answered_as_from_all_records(data: st.DataObject, story: str) -> None:
    with TemporaryDirectory() as folder:
        store = Path(folder, "trail.db")
        collect(store, FIXTURES / story / "AWSLogs")
        assert_answers_are_alike(store, data, most=12)
