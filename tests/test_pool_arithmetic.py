"""The CNI's arithmetic: what it requests from EC2 for given settings, instance type and pods."""

from collections.abc import Sequence

import pytest

from cnitrail.answers.pool.arithmetic import Settings
from cnitrail.answers.pool.generations import GENERATIONS, LATEST, Generation
from cnitrail.answers.pool.simulation import Action, IpamdAction, SimulatedNode, SimulationRun, waits
from cnitrail.limits import limits_of
from cnitrail.model import Limits

OF_1_6, OF_1_8, OF_1_13 = GENERATIONS[0], GENERATIONS[1], GENERATIONS[3]
HOUR = 3600.0


def limits(instance_type: str = "m5.large") -> Limits:
    found = limits_of(instance_type)
    assert found is not None
    return found


def run(
    settings: Settings,
    *pods: tuple[float, int],
    generation: Generation = LATEST,
    node: SimulatedNode | None = None,
) -> SimulationRun:
    return (node or SimulatedNode(limits())).run(settings, generation, pods or [(0, 0)], HOUR)


def acts(run: SimulationRun) -> list[tuple[IpamdAction, int, int]]:
    return [(action.act, action.eni, action.count) for action in run.actions]


def times(run: SimulationRun, act: IpamdAction) -> list[float]:
    return [action.time for action in run.actions if action.act is act]


class TestDocumentation:
    """Every row of the table in docs/eni-and-ip-target.md of amazon-vpc-cni-k8s."""

    ROWS = (
        # type, WARM_ENI, WARM_IP, MINIMUM_IP, pods → interfaces, secondary addresses, unused, on each
        ("t3.small", 1, 0, 0, 0, 1, 3, 3, {3}),
        ("t3.small", 1, 0, 0, 5, 3, 9, 4, {3}),
        ("t3.small", 1, 0, 0, 9, 3, 9, 0, {3}),
        ("t3.small", 1, 1, 1, 0, 1, 1, 1, {1}),
        ("t3.small", 1, 1, 1, 5, 2, 6, 1, {3}),
        ("t3.small", 1, 1, 1, 9, 3, 9, 0, {3}),
        ("t3.small", 1, 2, 5, 0, 2, 5, 5, {2, 3}),
        ("t3.small", 1, 2, 5, 5, 3, 7, 2, {3, 1}),
        ("t3.small", 1, 2, 5, 9, 3, 9, 0, {3}),
        ("p3dn.24xlarge", 1, 0, 0, 0, 1, 49, 49, {49}),
        ("p3dn.24xlarge", 1, 0, 0, 3, 2, 98, 95, {49}),
        ("p3dn.24xlarge", 1, 0, 0, 95, 3, 147, 52, {49}),
        ("p3dn.24xlarge", 1, 5, 10, 0, 1, 10, 10, {10}),
        ("p3dn.24xlarge", 1, 5, 10, 7, 1, 12, 5, {12}),
        ("p3dn.24xlarge", 1, 5, 10, 15, 1, 20, 5, {20}),
        ("p3dn.24xlarge", 1, 5, 10, 45, 2, 50, 5, {49, 1}),
    )

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(map(str, row[:5])))
    def test_pods_that_start_at_once_give_the_result_of_the_table(
        self, row: tuple[str, int, int, int, int, int, int, int, set[int]]
    ) -> None:
        instance_type, warm_eni, warm_ip, minimum, pods, enis, addresses, unused, by_eni = row
        ran = run(
            Settings(warm_eni_target=warm_eni, warm_ip_target=warm_ip, minimum_ip_target=minimum),
            (0, 0),
            (60, pods),
            node=SimulatedNode(limits(instance_type), 1000),
        )
        last = ran.samples[-1]
        assert (last.enis, last.total, last.total - last.assigned) == (enis, addresses, unused)
        assert set(addresses_by_eni(ran.actions)) == by_eni


def addresses_by_eni(actions: Sequence[Action]) -> list[int]:
    held: dict[int, int] = {}
    for action in actions:
        held[action.eni] = held.get(action.eni, 0) + action.count
    return list(held.values())


class TestStart:
    def test_the_first_eni_of_an_m5_large_is_filled_with_nine(self) -> None:
        assert acts(run(Settings())) == [(IpamdAction.ASSIGN, 0, 9)]

    def test_targets_request_no_more_than_the_larger_of_them(self) -> None:
        assert acts(run(Settings(warm_ip_target=2, minimum_ip_target=5))) == [(IpamdAction.ASSIGN, 0, 5)]

    def test_prefixes_are_requested_together(self) -> None:
        ran = run(Settings(prefix_delegation=True, warm_ip_target=17))
        assert [(action.count, action.prefixes) for action in ran.actions] == [(2, True)]

    def test_warm_eni_target_2_adds_an_eni_without_any_pod(self) -> None:
        assert acts(run(Settings(warm_eni_target=2))) == [
            (IpamdAction.ASSIGN, 0, 9),
            (IpamdAction.CREATE, 1, 9),
        ]

    def test_a_change_of_mode_releases_what_the_last_mode_left(self) -> None:
        node = SimulatedNode(limits())
        run(Settings(), node=node)
        assert acts(run(Settings(prefix_delegation=True), node=node)) == [
            (IpamdAction.UNASSIGN, 0, 9),
            (IpamdAction.ASSIGN, 0, 1),
        ]


class TestGrowth:
    def test_the_first_pod_adds_a_second_eni(self) -> None:
        ran = run(Settings(), (0, 0), (600, 1))
        assert acts(ran) == [(IpamdAction.ASSIGN, 0, 9), (IpamdAction.CREATE, 1, 9)]
        assert 600 <= times(ran, IpamdAction.CREATE)[0] <= 605

    def test_warm_eni_target_0_waits_for_the_last_address(self) -> None:
        assert acts(run(Settings(warm_eni_target=0), (0, 0), (600, 8))) == [(IpamdAction.ASSIGN, 0, 9)]
        assert acts(run(Settings(warm_eni_target=0), (0, 0), (600, 10))) == [
            (IpamdAction.ASSIGN, 0, 9),
            (IpamdAction.CREATE, 1, 9),
        ]

    def test_warm_eni_target_0_deletes_and_adds_an_eni_over_and_over(self) -> None:
        ran = run(Settings(warm_eni_target=0), (0, 0), (600, 9))
        assert len(times(ran, IpamdAction.CREATE)) > 30
        assert len(times(ran, IpamdAction.FREE)) > 30

    def test_with_only_a_minimum_the_pool_never_grows_and_pods_wait(self) -> None:
        ran = run(Settings(minimum_ip_target=5), (0, 0), (600, 8))
        assert acts(ran) == [(IpamdAction.ASSIGN, 0, 5)]
        assert list(waits(ran, HOUR)) == [(600, HOUR, 3)]

    def test_until_1_7_an_eni_is_filled_and_the_surplus_released(self) -> None:
        ran = run(Settings(warm_ip_target=3), generation=OF_1_6)
        assert acts(ran) == [(IpamdAction.ASSIGN, 0, 9), (IpamdAction.UNASSIGN, 0, 6)]
        assert acts(run(Settings(warm_ip_target=3), generation=OF_1_8)) == [(IpamdAction.ASSIGN, 0, 3)]

    def test_a_pool_as_large_as_max_pods_does_not_grow(self) -> None:
        small = SimulatedNode(limits(), max_pods=9)
        assert acts(run(Settings(warm_eni_target=2), node=small)) == [(IpamdAction.ASSIGN, 0, 9)]
        small = SimulatedNode(limits(), max_pods=9)
        assert len(acts(run(Settings(warm_eni_target=2), generation=OF_1_13, node=small))) == 2

    def test_max_eni_limits_growth(self) -> None:
        assert acts(run(Settings(max_eni=1), (0, 0), (600, 9))) == [(IpamdAction.ASSIGN, 0, 9)]

    def test_with_custom_networking_the_first_eni_has_no_addresses(self) -> None:
        node = SimulatedNode(limits(), custom_networking=True)
        assert acts(run(Settings(), node=node)) == [(IpamdAction.CREATE, 1, 9)]


class TestShrinking:
    def test_the_surplus_is_released_at_most_every_thirty_seconds(self) -> None:
        settings = Settings(warm_ip_target=1)
        ran = run(settings, (0, 0), (60, 6), (600, 4), (604, 2), (608, 0))
        first, second = times(ran, IpamdAction.UNASSIGN)
        assert 30 <= second - first <= 35
        assert ran.samples[-1].total == 1

    def test_warm_eni_target_alone_releases_no_single_addresses(self) -> None:
        ran = run(Settings(), (0, 0), (60, 12), (600, 0))
        assert IpamdAction.UNASSIGN not in {action.act for action in ran.actions}
        assert ran.samples[-1].total == 9

    def test_an_eni_is_deleted_after_a_minute_and_the_cooldown(self) -> None:
        ran = run(Settings(), (0, 0), (60, 1), (70, 0))
        created, freed = times(ran, IpamdAction.CREATE)[0], times(ran, IpamdAction.FREE)[0]
        assert freed - created >= 60


class TestWaits:
    def test_pods_of_a_burst_wait_while_the_pool_grows(self) -> None:
        ran = run(Settings(warm_ip_target=2), (0, 0), (60, 9))
        ((since, until, most),) = waits(ran, HOUR)
        assert (since, most) == (60, 7)
        assert until > 75

    def test_a_freed_address_is_not_used_again_for_thirty_seconds(self) -> None:
        ran = run(Settings(minimum_ip_target=3), (0, 0), (60, 3), (100, 0), (105, 3))
        ((since, until, most),) = waits(ran, HOUR)
        assert (since, most) == (105, 3)
        assert 130 <= until <= 135
