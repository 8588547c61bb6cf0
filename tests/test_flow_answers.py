"""What flows are joined with, and batches are answered from, is what ``who`` answers for every second.

A value over time is right if the answers change nowhere else than where it says: so every second near
anything that any part of the evidence names is asked all ways. What is remembered has the same texts, too.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from conftest import FIXTURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from msgspec import Struct
from msgspec.structs import replace
from pod_evidence import deliver_pods, pod_losses, random_losses
from pod_runs import pod_worlds, random_pods
from pod_simulator import PodWorld
from pod_truth_figures import read_pods_of
from simulator import World, deliver, deliveries, small_world, worlds

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.flows.intervals import codes_of
from cnitrail.answers.over_time import FIRST_SECOND, LAST_SECOND, second_of, time_of
from cnitrail.answers.who import HolderIndex
from cnitrail.answers.who.indexes import address_and_prefix
from cnitrail.answers.who.remembered import RememberedAnswers
from cnitrail.history import build
from cnitrail.intervals import Interval
from cnitrail.model import Address, Coverage, Event, Fidelity, History, Lost, Verdict, WhoAnswer
from cnitrail.model.coverage import UncheckedTable
from cnitrail.model.pods import PodVerdict

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

STORIES = sorted(path.parent.name for path in FIXTURES.glob("*/AWSLogs"))
ALL_VPCS = Filter()
UNHEARD_OF = (ip_address("192.0.2.77"), ip_address("192.0.2.78"))
"""Addresses that no record names."""


def shown(answer: WhoAnswer) -> tuple[object, ...]:
    """What a flow takes from an answer; the reasons count if something is not certain."""
    pod = answer.pod
    is_settled = answer.verdict in (Verdict.CERTAIN, Verdict.FREE)
    said = (answer.verdict, answer.holders, () if is_settled else sorted(codes_of(answer.reasons)))
    if pod is None:
        return said
    is_pod_settled = pod.verdict in (PodVerdict.CERTAIN, PodVerdict.NONE)
    codes = () if is_pod_settled else sorted(codes_of(pod.reasons))
    return (*said, pod.verdict, pod.pods, codes)


def times_in(value: object) -> Iterator[datetime]:
    """Every time in a value, also in parts of its parts."""
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, Event):
        yield value.time
        yield from value.disputed
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from times_in(getattr(value, name))
    elif isinstance(value, (list, tuple, frozenset, set)):
        for part in value:
            yield from times_in(part)


class Whole:
    """A history with everything that happened in it, to be asked second by second."""

    def __init__(self, history: History, coverage: Coverage, *, verified: bool = False) -> None:
        self.history = history
        self.index = HolderIndex(history, coverage, verified=verified)
        self.remembered = RememberedAnswers(self.index, Filter())
        places = (history.events, coverage.reaches, coverage.lost)
        others = (tuple(history.interfaces.values()), tuple(history.instances.values()))
        self.times = sorted({second_of(time) for time in times_in((*places, *others, history.pods.spans))})

    def addresses(self) -> list[Address]:
        """Every address, one of each prefix, and one that nothing names."""
        held = set(self.history.holders)
        singles = {one if not hasattr(one, "network_address") else one[3] for one in held}  # type: ignore[index]
        singles |= {lease.ip for lease in self.history.pods.leases}
        named = {
            one if not hasattr(one, "network_address") else one[1]  # type: ignore[index]
            for event in self.history.events
            for subject in event.subjects
            for one in subject.addresses()
        }
        return [*UNHEARD_OF, *sorted(singles | named, key=lambda ip: (ip.version, ip))]

    def disagreements(self, ip: Address, wanted: Filter, most: int = 100, seed: int = 0) -> list[str]:
        """The seconds of which the two ways say different things."""
        over, chance = self.index.over_time(ip, wanted), random.Random(seed)
        near = {second for changes in over._changes for second in changes}
        near |= set(chance.sample(self.times, min(len(self.times), most // 7)))
        holders = self.history.holders
        groups = [group for held in address_and_prefix(ip) for group in holders.get(held, ())]
        own = [lease for group in groups for lease in group]
        near |= {second_of(time) for lease in own for time in times_in(lease)}
        pods = [lease for lease in self.history.pods.leases if lease.ip == ip]
        near |= {second_of(time) for lease in pods for time in times_in((lease.start, lease.end))}
        asked = {second + step for second in near for step in range(-3, 4)}
        if len(asked) > most:
            asked = set(chance.sample(sorted(asked), most))
        first, last = (self.times[0], self.times[-1]) if self.times else (0, 1)
        asked |= {chance.randrange(first - 900, last + 900) for _ in range(40)}
        asked = {second for second in asked if FIRST_SECOND <= second <= LAST_SECOND}
        found = []
        for second in sorted(asked):
            then = self.index.who(ip, time_of(second), wanted)
            one, other = shown(over.at(second).value), shown(then)
            if one != other:
                found.append(f"{ip} at {time_of(second)} ({wanted.vpc}): {one} over time, {other} then")
            again = self.remembered.who(ip, time_of(second), *wanted.vpc)
            if again != then:
                found.append(f"{ip} at {time_of(second)} ({wanted.vpc}): {again} remembered, {then} then")
        return found


def wanted_of(history: History) -> list[Filter]:
    vpcs = sorted({interface.vpc for interface in history.interfaces.values() if interface.vpc is not None})
    return [ALL_VPCS, *(Filter(vpc=(vpc,)) for vpc in vpcs[:2])]


def neighbors(world: Whole) -> list[Address]:
    """Addresses beside those that are named, most of which nothing names."""
    return [ip + step for ip in world.addresses()[:20] for step in (-1, 1, 16) if int(ip) > 1]


class TestWhatNothingNames:
    @pytest.mark.parametrize("story", STORIES)
    def test_all_addresses_that_are_not_named_have_the_same_answers(self, story: str) -> None:
        case = cnitrail.read(FIXTURES / story)
        world = Whole(case.history, case.coverage)
        for wanted in wanted_of(world.history):
            nothing = world.index.over_time(UNHEARD_OF[0], wanted)
            for ip in (*world.addresses()[:40], *neighbors(world)):
                if world.index.names(ip):
                    continue
                for second in {second for changes in nothing._changes for second in changes}:
                    then = world.index.who(ip, time_of(second), wanted)
                    assert shown(then) == shown(nothing.at(second).value)

    def test_what_an_unreadable_record_without_a_time_names_is_named(self) -> None:
        case = cnitrail.read(FIXTURES / "ironman")
        lost = Lost(account=None, region=None, start=None, end=None, what="a record", addresses=("10.9.9.9",))
        index = HolderIndex(case.history, replace(case.coverage, lost=(lost,)))
        doubted, other = (index.over_time(ip_address(ip), ALL_VPCS) for ip in ("10.9.9.9", "10.8.8.8"))
        second = second_of(case.history.events[0].time)
        assert "unread-record" in [reason.code for reason in doubted.at(second).value.reasons]
        assert "unread-record" not in [reason.code for reason in other.at(second).value.reasons]

    def test_the_answers_of_few_filters_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.answers.who.holder_index._FILTERS", 10)
        case = cnitrail.read(FIXTURES / "ironman")
        index = HolderIndex(case.history, case.coverage)
        for number in range(100):
            index.over_time(UNHEARD_OF[0], Filter(vpc=(f"vpc-{number}",))).at(0)
        assert len(index._unnamed) <= 10

    @pytest.mark.parametrize("story", STORIES)
    def test_every_address_of_a_lease_or_pod_is_named(self, story: str) -> None:
        history = cnitrail.read(FIXTURES / story).history
        world = Whole(history, cnitrail.read(FIXTURES / story).coverage)
        held = {ip for held in history.holders for ip in ([held[0]] if hasattr(held, "hosts") else [held])}  # type: ignore[index]
        assert all(map(world.index.names, held | {lease.ip for lease in history.pods.leases}))


def assert_same(world: Whole, addresses: Iterable[Address], most: int = 100, seed: int = 0) -> None:
    for ip in addresses:
        for wanted in wanted_of(world.history):
            assert world.disagreements(ip, wanted, most, seed) == []


class TestOfEveryStory:
    @pytest.mark.parametrize("story", STORIES)
    def test_answers_over_time_are_those_of_every_second(self, story: str) -> None:
        case = cnitrail.read(FIXTURES / story)
        world = Whole(case.history, case.coverage)
        assert_same(world, world.addresses()[:40], 100)

    @pytest.mark.parametrize("story", ["ironman", "reused-in-3-seconds", "two-vpcs", "node-life"])
    def test_also_if_digests_were_asked(self, story: str) -> None:
        case = cnitrail.read(FIXTURES / story)
        coverage = half_proven(case.coverage, seed=1)
        world = Whole(case.history, coverage, verified=True)
        assert_same(world, world.addresses()[:20], 100)


def half_proven(coverage: Coverage, seed: int) -> Coverage:
    """A coverage of which digests prove some hours."""
    chance = random.Random(seed)
    reaches = []
    for reach in coverage.reaches:
        length = (reach.last - reach.first).total_seconds()
        cuts = sorted(reach.first + timedelta(seconds=int(chance.uniform(0, length + 1))) for _ in range(4))
        proven = (Interval(cuts[0], cuts[1]), Interval(cuts[2], cuts[3]))
        reaches.append(replace(reach, proven=proven, known=chance.random() < 0.8))
    return replace(coverage, reaches=tuple(reaches))


def spoiled(history: History, seed: int) -> History:
    """A history of the same events, some of which come from damaged or partial records, or are disputed."""
    chance, events = random.Random(seed), []
    share = chance.choice((0.0, 0.1, 0.5))
    for event in history.events:
        later = event.time + timedelta(seconds=chance.randrange(200))
        changes: tuple[dict[str, object], ...] = (
            {"damaged": True},
            {"fidelity": Fidelity.PARTIAL},
            {"disputed": (event.time, later)},
        )
        changed = chance.choice(changes) if chance.random() < share else {}
        events.append(replace(event, **changed))
    return build(tuple(events), ())


def with_losses(coverage: Coverage, history: History, seed: int) -> Coverage:
    """A coverage that lacks some records which name addresses, and has a table."""
    chance, lost = random.Random(seed), []
    names = [str(held) for held in history.holders]
    for _ in range(chance.choice((0, 1, 3)) if names and coverage.reaches else 0):
        start = chance.choice(history.events).time if chance.random() < 0.8 else None
        lost.append(
            Lost(
                account=None,
                region=None,
                start=start,
                end=None,
                what="a record",
                addresses=tuple(chance.sample(names, min(len(names), 2))),
            )
        )
    tables = (UncheckedTable("athena://x/y", ("no column",)),) if chance.random() < 0.3 else ()
    return replace(
        coverage,
        lost=(*coverage.lost, *lost),
        tables=tables,
        assumed_complete=chance.random() < 0.2,
    )


def check_spoiled(history: History, coverage: Coverage, seed: int, most: int = 80) -> None:
    verified = seed % 3 == 0
    history = spoiled(history, seed) if seed % 2 else history
    coverage = with_losses(coverage, history, seed) if seed % 5 else coverage
    coverage = half_proven(coverage, seed) if verified else coverage
    world = Whole(history, coverage, verified=verified)
    addresses = world.addresses()
    assert_same(world, random.Random(seed).sample(addresses, min(len(addresses), 5)), most, seed)


class TestOfSimulatedWorlds:
    @settings(parent=thorough, max_examples=40)
    @given(data=st.data(), seed=st.integers(0, 1 << 16))
    def test_answers_over_time_are_those_of_every_second(self, data: st.DataObject, seed: int) -> None:
        world: World = data.draw(worlds())
        history, coverage = read(data.draw(deliveries(world)))
        if history.events:
            check_spoiled(history, coverage, seed)

    def test_in_many_small_worlds_whose_logs_lack_much(self, pytestconfig: pytest.Config) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 10):
            world, losses = small_world(seed)
            history, coverage = read(deliver(world, losses))
            try:
                if history.events:
                    check_spoiled(history, coverage, seed)
            except AssertionError as error:
                raise AssertionError(f"small_world({seed})") from error


class TestOfSimulatedPods:
    @settings(parent=thorough, max_examples=10)
    @given(data=st.data(), seed=st.integers(0, 1 << 16))
    def test_answers_over_time_are_those_of_every_second(
        self, data: st.DataObject, seed: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        world: PodWorld = data.draw(pod_worlds())
        delivery = deliver_pods(world, data.draw(pod_losses(world)))
        case = read_pods_of(delivery, tmp_path_factory.mktemp("pods"))
        if case.history.events:
            check_spoiled_pods(case, seed)

    def test_in_many_small_worlds_whose_evidence_lacks_much(
        self, pytestconfig: pytest.Config, tmp_path: Path
    ) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 100):
            world = random_pods(seed, 40, clusters=1 + seed % 2, skewed=seed % 3 == 0)
            case = read_pods_of(deliver_pods(world, random_losses(world, seed)), tmp_path / str(seed))
            try:
                if case.history.events or case.history.pods.leases:
                    check_spoiled_pods(case, seed)
            except AssertionError as error:
                raise AssertionError(f"random_pods({seed})") from error


def check_spoiled_pods(case: cnitrail.Case, seed: int) -> None:
    coverage = with_losses(case.coverage, case.history, seed)
    coverage = half_proven(coverage, seed) if seed % 3 == 0 else coverage
    world = Whole(case.history, coverage, verified=seed % 3 == 0)
    addresses = world.addresses()
    assert_same(world, random.Random(seed).sample(addresses, min(len(addresses), 5)), 80, seed)
