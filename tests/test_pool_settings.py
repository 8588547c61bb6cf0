"""Which settings explain a pool: what the CNI's own arithmetic did is never ruled out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace as changed
from datetime import timedelta

import pytest
from callers import iam_user, node_session
from calls import Call, Record, assign, assign_named, failed, unassign
from cni_trail import (
    ACCOUNT,
    AGENTS,
    INSTANCE,
    LAUNCHED,
    ROLE,
    Life,
    Phase,
    assigned,
    at,
    entry_of,
    of_life,
    records_of,
)
from hypothesis import event, given, settings
from hypothesis import strategies as st
from trail import Trail

from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.generations import GENERATIONS, LATEST, Generation
from cnitrail.answers.pool.simulation import Demand
from cnitrail.limits import limits_of
from cnitrail.model import Limits
from cnitrail.model.pool import Candidate, Mode, PoolEntry, SettingsPeriod, Values

# --- reading an answer -----------------------------------------------------------------------------


def told(values: Values | None) -> str:
    if values is None:
        return ""
    if values.most is None:
        return f"{values.least}+"
    return str(values.least) if values.least == values.most else f"{values.least}..{values.most}"


def text(candidate: Candidate) -> str:
    """A candidate in short: ``eni 1``, ``prefix 1``, ``ip 2 min 0..5``, after ``/28`` with prefixes."""
    parts = (
        ("eni", candidate.warm_eni_target),
        ("prefix", candidate.warm_prefix_target),
        ("ip", candidate.warm_ip_target),
        ("min", candidate.minimum_ip_target),
    )
    named = " ".join(f"{name} {told(values)}" for name, values in parts if values is not None)
    return f"/28 {named}" if candidate.mode is Mode.PREFIX else named


def fit(period: SettingsPeriod) -> list[str]:
    """What fits a period, calls and silences."""
    return [text(each) for each in period.candidates if each.held_back is None]


def last(entry: PoolEntry) -> SettingsPeriod:
    return entry.settings[-1]


# --- any life --------------------------------------------------------------------------------------

TYPES = ("t3.small", "t3.medium", "m5.large", "m4.large", "c5.4xlarge")


@st.composite
def demands(draw: st.DrawFn, start: float, end: float, most: int) -> Demand:
    steps = draw(st.lists(st.tuples(st.floats(3, 900), st.integers(0, most)), max_size=12))
    demand, time = [(start, draw(st.sampled_from([0, 0, 0, most])))], start
    for pause, pods in steps:
        time += pause
        if time < end - 5:
            demand.append((time, pods))
    return demand


@st.composite
def any_settings(draw: st.DrawFn, limits: Limits, generation: Generation) -> Settings:
    prefixes = generation.prefixes and limits.prefixes and draw(st.booleans())
    targeted = draw(st.booleans())
    target = st.integers(0, 40 if prefixes else limits.secondary + 2) if targeted else st.just(0)
    return Settings(
        # until 1.7 a target of 0 interfaces never grew
        warm_eni_target=draw(st.integers(1 if generation.fills_interfaces else 0, 3)),
        warm_ip_target=draw(target),
        minimum_ip_target=draw(target),
        warm_prefix_target=draw(st.integers(0, 3)),
        prefix_delegation=prefixes,
        max_eni=draw(st.sampled_from([None, None, None, 1, 2])),
    )


@st.composite
def lives(draw: st.DrawFn) -> Life:
    instance_type = draw(st.sampled_from(TYPES))
    limits = limits_of(instance_type)
    assert limits is not None
    phases: list[Phase] = []
    start = 60.0
    for _ in range(draw(st.integers(1, 3))):
        generation = draw(st.sampled_from(GENERATIONS))
        end = start + draw(st.sampled_from([120.0, 1500.0, 6000.0]))
        chosen = draw(any_settings(limits, generation))
        most = draw(st.sampled_from([3, limits.max_pods - 2]))
        phases.append(Phase(chosen, generation, draw(demands(start, end, most)), end))
        start = end + draw(st.sampled_from([1.0, 5.0, 30.0]))
    irsa = draw(st.booleans())
    return Life(
        instance_type=instance_type,
        phases=tuple(phases),
        max_pods=draw(st.sampled_from([None, None, 5, 17, 110])),
        irsa=irsa,
        seed=draw(st.none() | st.integers(0, 9)),
        custom_networking=(irsa or len(phases) == 1) and draw(st.booleans()),
    )


def takes(values: Values | None, value: int) -> bool:
    return values is not None and values.least <= value and (values.most is None or value <= values.most)


def is_true(candidate: Candidate, truth: Settings) -> bool:
    if (candidate.mode is Mode.PREFIX) != truth.prefix_delegation:
        return False
    if truth.targeted:
        warm, minimum = candidate.warm_ip_target, candidate.minimum_ip_target
        return takes(warm, truth.warm_ip_target) and takes(minimum, truth.minimum_ip_target)
    if truth.prefix_delegation:
        return takes(candidate.warm_prefix_target, truth.warm_prefix_target)
    return takes(candidate.warm_eni_target, truth.warm_eni_target)


def truths(life: Life, entry: PoolEntry) -> Iterator[tuple[Phase, SettingsPeriod]]:
    """Each period with the phase that it lies in."""
    for period in entry.settings:
        yield [phase for phase in life.phases if at(phase.start) <= period.since][-1], period


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class TestAnyLife:
    """Random settings, types, versions and pods, through scan, decode and history."""

    @settings(max_examples=100)
    @given(life=lives(), known=st.booleans())
    def test_the_true_settings_are_never_ruled_out(self, life: Life, known: bool) -> None:
        for phase, period in truths(life, of_life(life, known=known)):
            event(f"{min(period.batches, 5)} batches")
            assert any(is_true(each, phase.settings) for each in period.candidates)

    @settings(max_examples=60)
    @given(life=lives(), known=st.booleans())
    def test_nor_called_held_back_where_nothing_held_the_cni_back(self, life: Life, known: bool) -> None:
        free = [changed(phase, settings=unlimited(phase.settings)) for phase in life.phases]
        life = changed(life, phases=tuple(free), max_pods=None)
        for phase, period in truths(life, of_life(life, known=known)):
            likely = [each for each in period.candidates if each.held_back is None]
            assert any(is_true(each, phase.settings) for each in likely)

    @settings(max_examples=40)
    @given(life=lives())
    def test_nor_is_the_true_version(self, life: Life) -> None:
        for phase, period in truths(life, of_life(life)):
            version = number(phase.generation.since)
            assert any(
                number(span.since) <= version and (span.until is None or version <= number(span.until))
                for span in period.versions
            )

    @settings(max_examples=40)
    @given(life=lives())
    def test_the_pods_that_the_candidates_need_are_those_that_there_were(self, life: Life) -> None:
        had = [(at(time), pods) for run in life.runs() for time, pods in assigned(run)]
        for needed in of_life(life).pods:
            decided = needed.time - timedelta(seconds=2)
            during = [pods for time, pods in had if decided <= time <= needed.time]
            before = [pods for time, pods in had if time < decided][-1:]
            assert any(needed.least <= pods <= needed.most for pods in [*during, *before])

    @settings(max_examples=40)
    @given(life=lives())
    def test_every_batch_is_explained(self, life: Life) -> None:
        assert not [each for each in of_life(life).unsettled if "no settings explain" in each.because]


def unlimited(chosen: Settings) -> Settings:
    return Settings(
        chosen.warm_eni_target,
        chosen.warm_ip_target,
        chosen.minimum_ip_target,
        chosen.warm_prefix_target,
        chosen.prefix_delegation,
    )


# --- what is known of an m5.large ------------------------------------------------------------------


def m5_large(chosen: Settings, *pods: tuple[float, int], generation: Generation = LATEST) -> Life:
    return Life("m5.large", (Phase(chosen, generation, [(60, 0), *pods], 3600),))


class TestKnownPods:
    """Where the pods are counted, the settings of a life that shows enough narrow to the only ones."""

    @pytest.mark.parametrize(
        ("chosen", "pods", "expected"),
        [
            # boot 9; first pod: an interface; ten pods: another; nothing ever given back
            (Settings(), [(600, 1), (1200, 10), (1800, 3)], ["eni 1"]),
            # boot 9, and an interface more within seconds, without any pod
            (Settings(warm_eni_target=2), [(600, 2), (1200, 0)], ["eni 2"]),
            # an interface more only when the ninth pod lands
            (Settings(warm_eni_target=0), [(600, 8), (1200, 10), (1800, 17)], ["eni 0"]),
            # boot 4, more with each pod, less without: the targets are told apart
            (Settings(warm_ip_target=4), [(600, 3), (1200, 1), (1800, 0)], ["ip 4 min 0..4"]),
            (Settings(minimum_ip_target=5), [(600, 3), (1200, 5)], ["ip 0 min 5"]),
            (
                Settings(warm_ip_target=2, minimum_ip_target=6),
                [(600, 3), (1200, 8), (1800, 1), (2400, 8)],
                ["ip 2 min 6"],
            ),
            # boot 9, then 3 more: the sum is the target
            (Settings(warm_ip_target=12), [(600, 4), (1200, 0)], ["ip 12 min 0..12"]),
        ],
        ids=str,
    )
    def test_the_settings_narrow_to_one(
        self, chosen: Settings, pods: Sequence[tuple[float, int]], expected: list[str]
    ) -> None:
        assert fit(last(of_life(m5_large(chosen, *pods), known=True))) == expected

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            # one at first: a prefix in reserve, or up to sixteen addresses
            (
                Settings(prefix_delegation=True),
                ["/28 prefix 1", "/28 ip 0 min 1..16", "/28 ip 1..16 min 0..16"],
            ),
            # two at first: two in reserve, or more addresses than one has
            (
                Settings(prefix_delegation=True, warm_prefix_target=2),
                ["/28 prefix 2", "/28 ip 0..16 min 17..32", "/28 ip 17..32 min 0..32"],
            ),
        ],
        ids=str,
    )
    def test_prefixes_do_not_tell_a_reserve_of_prefixes_from_one_of_addresses(
        self, chosen: Settings, expected: list[str]
    ) -> None:
        assert fit(last(of_life(m5_large(chosen), known=True))) == expected


class TestTrailAlone:
    """What the calls alone tell, with no word of the pods."""

    def test_the_first_batch_is_the_larger_of_the_two_targets(self) -> None:
        life = m5_large(Settings(warm_ip_target=2, minimum_ip_target=5))
        assert fit(last(of_life(life))) == ["ip 0..4 min 5", "ip 5 min 0..5"]

    def test_as_many_again_for_pods_that_took_all_tell_the_warm_target(self) -> None:
        assert fit(last(of_life(m5_large(Settings(warm_ip_target=4), (600, 4))))) == ["ip 4 min 0..4"]

    def test_a_full_interface_and_a_second_fit_several_and_each_says_with_which_pods(self) -> None:
        period = last(of_life(m5_large(Settings(), (600, 1))))
        assert fit(period) == ["eni 0", "eni 1", "ip 9 min 0..9"]
        needs = {text(each): each.pods_at_least and each.pods_at_least.pods for each in period.candidates}
        assert (needs["eni 0"], needs["eni 1"], needs["ip 9 min 0..9"]) == (9, 1, 9)

    def test_values_that_only_a_cordoned_node_explains_are_told_apart(self) -> None:
        period = last(of_life(m5_large(Settings(), (600, 1))))
        held_back = {text(each): each.held_back for each in period.candidates if each.held_back}
        quiet = held_back["eni 2"]
        assert quiet is not None
        assert (quiet.since, quiet.until) == (at(60), at(604))

    def test_each_value_that_is_ruled_out_names_the_call(self) -> None:
        period = last(of_life(m5_large(Settings(warm_ip_target=4), (600, 1))))
        first, *_ = (each for each in period.ruled_out if each.warm_eni_target is not None)
        assert told(first.warm_eni_target) == "0+"
        assert (first.by.event, first.by.time) == ("AssignPrivateIpAddresses", at(60))
        assert first.because == "asked for 4 addresses where 9 had room: no more were wanted"

    def test_settings_of_before_a_start_do_not_bind_those_of_after(self) -> None:
        phases = (
            Phase(Settings(), LATEST, [(60, 0), (600, 1)], 1200),
            Phase(Settings(minimum_ip_target=5), LATEST, [(1205, 1)], 3600),
        )
        first, second = of_life(Life("m5.large", phases)).settings
        assert "eni 1" in fit(first)
        assert fit(second) == ["ip 0 min 1..4", "ip 1..4 min 0..4", "ip 0..4 min 5", "ip 5 min 0..5"]
        assert (second.pool_before, second.pool_after) == (18, 5)
        assert (second.enis_before, second.enis_after) == (2, 2)

    def test_with_custom_networking_each_session_is_taken_alone(self) -> None:
        phases = (
            Phase(Settings(), LATEST, [(60, 0), (600, 1)], 1200),
            Phase(Settings(minimum_ip_target=5), LATEST, [(1205, 1)], 3600),
        )
        first, second = of_life(Life("m5.large", phases, custom_networking=True)).settings
        assert any(is_true(each, Settings()) for each in first.candidates)
        assert any(is_true(each, Settings(minimum_ip_target=5)) for each in second.candidates)
        assert second.begins == "calls of one session: starts of aws-node do not show"


# --- where nothing is concluded --------------------------------------------------------------------

TRAIL = Trail("by-hand", ACCOUNT, "eu-west-1", "2024-03-05", "1.09")
CNI = node_session(ROLE, INSTANCE, LAUNCHED, "198.51.100.2", AGENTS[LATEST.since]).caller
ADA = iam_user(ACCOUNT, "ada", "198.51.100.7", "aws-cli/2.15.30")
FIRST = "eni-00000000000000000"
FULL = ("Client.InsufficientFreeAddressesInSubnet", "There are not enough free addresses in the subnet.")


def call(seconds: float, made: Call, *, by_ada: bool = False) -> Record:
    return TRAIL.record(at(seconds), ADA if by_ada else CNI, made)


def addresses(first: int, count: int) -> list[str]:
    return [f"10.7.0.{number}" for number in range(first, first + count)]


def because(entry: PoolEntry) -> list[str]:
    return [each.because for each in entry.unsettled]


class TestDoubt:
    """Where the CNI's books may differ from EC2's, or EC2's are not known, nothing is concluded."""

    SHORT = changed(m5_large(Settings(), (600, 1)), irsa=False)

    def entry(self, *more: Record) -> PoolEntry:
        return entry_of([*records_of(self.SHORT), *more], until=3600)

    def test_an_address_from_another_hand_ends_it_until_aws_node_starts_anew(self) -> None:
        entry = self.entry(call(700, assign_named(FIRST, "10.7.0.1"), by_ada=True))
        assert because(entry) == [
            "ada (IAM user), not known to be the CNI, changed what it holds (AssignPrivateIpAddresses)"
        ]
        assert entry.unsettled[0].since == at(700)
        assert "eni 1" in fit(last(entry))

    def test_so_does_a_release_that_failed(self) -> None:
        entry = self.entry(call(700, failed(unassign(FIRST, "10.0.0.10"), *FULL)))
        assert because(entry) == ["UnassignPrivateIpAddresses of the CNI failed"]

    def test_logs_that_begin_in_the_middle_of_a_life_tell_nothing(self) -> None:
        entry = entry_of(records_of(self.SHORT)[1:], until=3600)
        assert because(entry) == ["its instance type is not known"]
        assert entry.settings == ()

    def test_nor_do_instances_with_several_network_cards(self) -> None:
        life = Life("p4d.24xlarge", (Phase(Settings(), LATEST, [(60, 0)], 3600),))
        assert because(of_life(life)) == ["it has several network cards, and the CNI may keep a pool on each"]

    def test_calls_that_no_settings_explain_are_said_to_be_such(self) -> None:
        entry = self.entry(call(1000, assign(FIRST, *addresses(0, 3))))
        (reason,) = because(entry)
        assert reason.startswith(
            "no settings explain all that it did: AssignPrivateIpAddresses at 2024-03-05"
        )
        assert reason.endswith("asked for 3 addresses where 0 should have had room")
        assert entry.settings == ()

    def test_an_address_after_a_refusal_was_not_wanted_by_settings(self) -> None:
        """In a subnet that is all but full the CNI asks for nine, then for one at once."""
        nine, one = assign(FIRST, *addresses(0, 9)), assign(FIRST, *addresses(0, 1))
        launch, groups, *_ = records_of(self.SHORT)
        refused = [
            call(60, failed(nine, *FULL)),
            call(61, one),
            call(185, failed(assign(FIRST, *addresses(1, 8)), *FULL)),
            call(186, failed(assign(FIRST, *addresses(1, 1)), *FULL)),
            call(310, assign(FIRST, *addresses(1, 8))),
        ]
        period = last(entry_of([launch, groups, *refused], until=400))
        assert period.batches == 1
        assert {"eni 0", "eni 1", "eni 2"} <= {text(each) for each in period.candidates}


class TestVersions:
    @pytest.mark.parametrize("generation", GENERATIONS, ids=str)
    def test_the_user_agent_and_the_order_of_calls_tell_a_generation(self, generation: Generation) -> None:
        life = m5_large(Settings(), (600, 1), generation=generation)
        (span,) = last(of_life(life)).versions
        told_apart = {
            "1.8": ("1.8", "1.15.3"),
            "1.9": ("1.8", "1.15.3"),
            "1.13": ("1.8", "1.15.3"),
        }
        expected = told_apart.get(generation.since, (generation.since, generation.until))
        assert (span.since, span.until) == expected
