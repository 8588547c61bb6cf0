"""The ends of flows compared with who really sent and received the packets of simulated traffic.

Whatever the evidence lacks, and whatever metadata of a record is missing or wrong: no end that is certain is
of another ENI, and no pod that is certain is another one.
"""

import random
from pathlib import Path

import pytest
from flow_traffic import FlowFigures, Traffic, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from pod_evidence import deliver_pods, random_losses
from pod_runs import random_pods
from pod_truth_figures import read_pods_of
from simulator import World, deliver, deliveries, random_world, small_world, worlds

from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.who import HolderIndex

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def joined_pods(seed: int, place: Path, *, skewed: bool = False) -> FlowFigures:
    """Join the traffic of a world of pods whose evidence lacks much."""
    pods = random_pods(seed, 40, clusters=1 + seed % 2, skewed=skewed)
    case = read_pods_of(deliver_pods(pods, random_losses(pods, seed)), place)
    ends = FlowEnds(case.history, HolderIndex(case.history, case.coverage))
    return joined(ends, Traffic(pods.ec2, random.Random(seed), pods), 60)


class TestNoCertainEndIsWrong:
    @thorough
    @given(data=st.data(), seed=st.integers(0, 1 << 16))
    def test_whatever_the_logs_lack(self, data: st.DataObject, seed: int) -> None:
        world: World = data.draw(worlds())
        history, coverage = read(data.draw(deliveries(world)))
        ends = FlowEnds(history, HolderIndex(history, coverage))
        assert joined(ends, Traffic(world, random.Random(seed)), 40).wrong == []

    def test_in_many_small_worlds_whose_logs_lack_much(self, pytestconfig: pytest.Config) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 5):
            world, losses = small_world(seed)
            history, coverage = read(deliver(world, losses))
            ends = FlowEnds(history, HolderIndex(history, coverage))
            found = joined(ends, Traffic(world, random.Random(seed)), 40)
            assert found.wrong == [], f"small_world({seed})"

    def test_of_pods_in_many_small_worlds(self, pytestconfig: pytest.Config, tmp_path: Path) -> None:
        first = pytestconfig.getoption("--first-world")
        total = FlowFigures()
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 50):
            found = joined_pods(seed, tmp_path / str(seed), skewed=seed % 3 == 0)
            assert found.wrong == [], f"random_pods({seed})"
            total.add(found)
        assert total.pods_certain

    def test_that_no_pod_was_there_is_said_only_if_it_is_true(self, tmp_path: Path) -> None:
        for seed in range(8):
            found = joined_pods(seed, tmp_path / str(seed))
            assert found.wrong_none == [], f"random_pods({seed})"


class TestEveryDeterminedEndIsNamed:
    def test_nearly_always(self) -> None:
        total = FlowFigures()
        for seed in range(2):
            world = random_world(seed, actions=1000)
            delivery = deliver(world)
            history, coverage = read(delivery)
            ends = FlowEnds(history, HolderIndex(history, coverage))
            total.add(joined(ends, Traffic(world, random.Random(seed)), 500, delivery))
        assert total.wrong == []
        assert total.determined > 100
        assert total.answered / total.determined > 0.95
