"""Which settings explain a pool: the true settings are never ruled out."""

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
from msgspec.structs import replace
from trail import Trail

from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.generations import GENERATIONS, LATEST, Generation
from cnitrail.answers.pool.simulation import PodDemand
from cnitrail.limits import limits_of
from cnitrail.model import Limits
from cnitrail.model.pool import Candidate, Mode, PoolEntry, SettingsPeriod, Values
from cnitrail.model.reason import ReasonCode

# --- reading an answer -----------------------------------------------------------------------------


def range_of(values: Values | None) -> str:
    if values is None:
        return ""
    if values.most is None:
        return f"{values.least}+"
    return str(values.least) if values.least == values.most else f"{values.least}..{values.most}"


def text(candidate: Candidate) -> str:
    """A candidate as text: ``eni 1``, ``prefix 1``, ``ip 2 min 0..5``, after ``/28`` with prefixes."""
    parts = (
        ("eni", candidate.warm_eni_target),
        ("prefix", candidate.warm_prefix_target),
        ("ip", candidate.warm_ip_target),
        ("min", candidate.minimum_ip_target),
    )
    named = " ".join(f"{name} {range_of(values)}" for name, values in parts if values is not None)
    return f"/28 {named}" if candidate.mode is Mode.PREFIX else named


def fit(period: SettingsPeriod) -> list[str]:
    """The candidates of a period, without those that would have been held back."""
    return [text(candidate) for candidate in period.candidates if candidate.held_back is None]


def last(entry: PoolEntry) -> SettingsPeriod:
    return entry.settings[-1]


# --- random lives --------------------------------------------------------------------------------------

TYPES = ("t3.small", "t3.medium", "m5.large", "m4.large", "c5.4xlarge")


@st.composite
def demands(draw: st.DrawFn, start: float, end: float, most: int) -> PodDemand:
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
    warm, minimum = draw(target), draw(target)
    starts_without_prefixes = not prefixes or warm > 0 or minimum > 0
    return Settings(
        # until 1.7 a target of 0 interfaces never grew
        warm_eni_target=draw(st.integers(1 if generation.fills_interfaces else 0, 3)),
        warm_ip_target=warm,
        minimum_ip_target=minimum,
        # with WARM_PREFIX_TARGET=0 alone, aws-node does not start
        warm_prefix_target=draw(st.integers(0 if starts_without_prefixes else 1, 3)),
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
    """Every period with its phase."""
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
            assert any(is_true(candidate, phase.settings) for candidate in period.candidates)

    @settings(max_examples=60)
    @given(life=lives(), known=st.booleans())
    def test_the_true_settings_are_not_called_held_back_if_the_cni_was_not(
        self, life: Life, known: bool
    ) -> None:
        free = [changed(phase, settings=unlimited(phase.settings)) for phase in life.phases]
        life = changed(life, phases=tuple(free), max_pods=None)
        for phase, period in truths(life, of_life(life, known=known)):
            likely = [candidate for candidate in period.candidates if candidate.held_back is None]
            assert any(is_true(candidate, phase.settings) for candidate in likely)

    @settings(max_examples=40)
    @given(life=lives())
    def test_the_true_version_is_never_ruled_out(self, life: Life) -> None:
        for phase, period in truths(life, of_life(life)):
            version = number(phase.generation.since)
            assert any(
                number(span.since) <= version and (span.until is None or version <= number(span.until))
                for span in period.versions
            )

    @settings(max_examples=40)
    @given(life=lives())
    def test_the_pod_counts_that_the_candidates_need_are_real_ones(self, life: Life) -> None:
        had = [(at(time), pods) for run in life.runs() for time, pods in assigned(run)]
        for needed in of_life(life).pods:
            decided = needed.time - timedelta(seconds=2)
            during = [pods for time, pods in had if decided <= time <= needed.time]
            before = [pods for time, pods in had if time < decided][-1:]
            assert any(needed.least <= pods <= needed.most for pods in [*during, *before])

    @settings(max_examples=40)
    @given(life=lives())
    def test_every_batch_is_explained(self, life: Life) -> None:
        assert not [
            reason for reason in of_life(life).unsettled if reason.because.code is ReasonCode.UNEXPLAINED
        ]


def unlimited(chosen: Settings) -> Settings:
    return replace(chosen, max_eni=None)


# --- an m5.large ------------------------------------------------------------------


def m5_large(chosen: Settings, *pods: tuple[float, int], generation: Generation = LATEST) -> Life:
    return Life("m5.large", (Phase(chosen, generation, [(60, 0), *pods], 3600),))


class TestKnownPods:
    """With pod counts, a life that shows enough leaves only the true settings."""

    @pytest.mark.parametrize(
        ("chosen", "pods", "expected"),
        [
            # 9 at boot; an ENI with the first pod; another with ten pods; none released
            (Settings(), [(600, 1), (1200, 10), (1800, 3)], ["eni 1"]),
            # 9 at boot, and an ENI within seconds, without any pod
            (Settings(warm_eni_target=2), [(600, 2), (1200, 0)], ["eni 2"]),
            # an ENI only with the ninth pod
            (Settings(warm_eni_target=0), [(600, 8), (1200, 10), (1800, 17)], ["eni 0"]),
            # boot 4, more with each pod, less without: the targets are range_of apart
            (Settings(warm_ip_target=4), [(600, 3), (1200, 1), (1800, 0)], ["ip 4 min 0..4"]),
            (Settings(minimum_ip_target=5), [(600, 3), (1200, 5)], ["ip 0 min 5"]),
            (
                Settings(warm_ip_target=2, minimum_ip_target=6),
                [(600, 3), (1200, 8), (1800, 1), (2400, 8)],
                ["ip 2 min 6"],
            ),
            # 9 at boot, then 3 more: the target is the sum
            (Settings(warm_ip_target=12), [(600, 4), (1200, 0)], ["ip 12 min 0..12"]),
        ],
        ids=str,
    )
    def test_only_one_set_of_settings_remains(
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
    def test_with_prefixes_a_warm_prefix_target_and_a_warm_ip_target_look_the_same(
        self, chosen: Settings, expected: list[str]
    ) -> None:
        assert fit(last(of_life(m5_large(chosen), known=True))) == expected


class TestTrailAlone:
    """Conclusions from the calls, without pod counts."""

    def test_the_first_batch_is_the_larger_of_the_two_targets(self) -> None:
        life = m5_large(Settings(warm_ip_target=2, minimum_ip_target=5))
        assert fit(last(of_life(life))) == ["ip 0..4 min 5", "ip 5 min 0..5"]

    def test_a_second_equal_batch_shows_the_warm_target(self) -> None:
        assert fit(last(of_life(m5_large(Settings(warm_ip_target=4), (600, 4))))) == ["ip 4 min 0..4"]

    def test_a_full_eni_and_a_second_have_several_candidates_with_their_pods(self) -> None:
        period = last(of_life(m5_large(Settings(), (600, 1))))
        assert fit(period) == ["eni 0", "eni 1", "ip 9 min 0..9"]
        needs = {
            text(candidate): candidate.pods_at_least and candidate.pods_at_least.pods
            for candidate in period.candidates
        }
        assert (needs["eni 0"], needs["eni 1"], needs["ip 9 min 0..9"]) == (9, 1, 9)

    def test_values_that_only_a_cordoned_node_explains_are_marked(self) -> None:
        period = last(of_life(m5_large(Settings(), (600, 1))))
        held_back = {
            text(candidate): candidate.held_back for candidate in period.candidates if candidate.held_back
        }
        quiet = held_back["eni 2"]
        assert quiet is not None
        assert (quiet.since, quiet.until) == (at(60), at(604))

    def test_every_ruled_out_value_names_the_call(self) -> None:
        period = last(of_life(m5_large(Settings(warm_ip_target=4), (600, 1))))
        first, *_ = (ruled_out for ruled_out in period.ruled_out if ruled_out.warm_eni_target is not None)
        assert range_of(first.warm_eni_target) == "0+"
        assert (first.by.event, first.by.time) == ("AssignPrivateIpAddresses", at(60))
        assert first.because == "requested 4 addresses with 9 free slots: target reached"

    def test_settings_may_change_at_a_restart(self) -> None:
        phases = (
            Phase(Settings(), LATEST, [(60, 0), (600, 1)], 1200),
            Phase(Settings(minimum_ip_target=5), LATEST, [(1205, 1)], 3600),
        )
        first, second = of_life(Life("m5.large", phases)).settings
        assert "eni 1" in fit(first)
        assert fit(second) == ["ip 0 min 1..4", "ip 1..4 min 0..4", "ip 0..4 min 5", "ip 5 min 0..5"]
        assert (second.pool_before, second.pool_after) == (18, 5)
        assert (second.enis_before, second.enis_after) == (2, 2)

    def test_with_custom_networking_every_session_has_its_own_period(self) -> None:
        phases = (
            Phase(Settings(), LATEST, [(60, 0), (600, 1)], 1200),
            Phase(Settings(minimum_ip_target=5), LATEST, [(1205, 1)], 3600),
        )
        first, second = of_life(Life("m5.large", phases, custom_networking=True)).settings
        assert any(is_true(candidate, Settings()) for candidate in first.candidates)
        assert any(is_true(candidate, Settings(minimum_ip_target=5)) for candidate in second.candidates)
        assert second.begins == "calls of one session: no call shows when aws-node started"


# --- no conclusion --------------------------------------------------------------------

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
    return [unsettled.because.text for unsettled in entry.unsettled]


class TestDoubt:
    """No settings are concluded if the CNI's data may differ from EC2's, or EC2's is unknown."""

    SHORT = changed(m5_large(Settings(), (600, 1)), irsa=False)

    def entry(self, *more: Record) -> PoolEntry:
        return entry_of([*records_of(self.SHORT), *more], until=3600)

    def test_an_address_assigned_by_another_caller_ends_it_until_aws_node_restarts(self) -> None:
        entry = self.entry(call(700, assign_named(FIRST, "10.7.0.1"), by_ada=True))
        assert because(entry) == [
            "ada (IAM user), not known to be the CNI, changed the node's addresses (AssignPrivateIpAddresses)"
        ]
        assert entry.unsettled[0].since == at(700)
        assert "eni 1" in fit(last(entry))

    def test_a_failed_release_ends_it_until_aws_node_restarts(self) -> None:
        entry = self.entry(call(700, failed(unassign(FIRST, "10.0.0.10"), *FULL)))
        assert because(entry) == ["UnassignPrivateIpAddresses by the CNI failed"]

    def test_logs_that_begin_in_the_middle_of_a_life_give_no_settings(self) -> None:
        entry = entry_of(records_of(self.SHORT)[1:], until=3600)
        assert because(entry) == ["the node's instance type is not known"]
        assert entry.settings == ()

    def test_instances_with_several_network_cards_give_no_settings(self) -> None:
        life = Life("p4d.24xlarge", (Phase(Settings(), LATEST, [(60, 0)], 3600),))
        assert because(of_life(life)) == [
            "the instance type has several network cards, and the CNI may keep a pool on each"
        ]

    def test_calls_that_no_settings_explain_are_reported(self) -> None:
        entry = self.entry(call(1000, assign(FIRST, *addresses(0, 3))))
        (reason,) = because(entry)
        assert reason.startswith("no settings explain AssignPrivateIpAddresses at 2024-03-05")
        assert reason.endswith("it requested 3 addresses, more than the 0 free slots of the ENI")
        assert entry.settings == ()

    def test_an_address_after_a_refusal_says_nothing_about_settings(self) -> None:
        """In an almost full subnet the CNI requests nine addresses, and then one at once."""
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
        assert {"eni 0", "eni 1", "eni 2"} <= {text(candidate) for candidate in period.candidates}


class TestVersions:
    @pytest.mark.parametrize("generation", GENERATIONS, ids=str)
    def test_the_user_agent_and_the_order_of_calls_show_the_generation(self, generation: Generation) -> None:
        life = m5_large(Settings(), (600, 1), generation=generation)
        (span,) = last(of_life(life)).versions
        told_apart = {
            "1.8": ("1.8", "1.15.3"),
            "1.9": ("1.8", "1.15.3"),
            "1.13": ("1.8", "1.15.3"),
        }
        expected = told_apart.get(generation.since, (generation.since, generation.until))
        assert (span.since, span.until) == expected
