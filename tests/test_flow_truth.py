"""The ends of flows compared with who really sent and received the packets of simulated traffic.

Whatever the evidence lacks, and whatever metadata of a record is missing or wrong: no end that is certain is
of another ENI, no pod that is certain is another one, no sender is free, and nobody has an address that is.

What the traffic does not have, and what is not judged:

* Two fields that are wrong and agree: of ``interface-id``, ``vpc-id`` and ``subnet-id``, one is wrong at
  most. Addresses, times, ``flow-direction``, ``traffic-path`` and the VPCs of transit gateways are missing or
  right.
* A wrong ``interface-id``, if by ``who`` that interface may have had an address of the record at the time,
  and nothing that the record says of its interface differs. No reader can tell: it might be a record of
  that interface. Such records are joined and counted, and only they may be wrong.
* Sources that were forged, and NAT gateways, load balancers and appliances, which forward packets of others.
* Traffic between two VPCs of one address range: AWS does not route it.
* That an address is free in a VPC that an account shares whose trail is not there at all, and in logs that
  end before a file that was delivered late.
* That an end without a certain verdict names the right ENI; and that no pod was there, if the clock of a node
  is wrong.
"""

import random
from pathlib import Path

import pytest
from flow_traffic import FlowFigures, Traffic, calm_world, calm_worlds, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from pod_evidence import deliver_pods, random_losses
from pod_runs import random_pods
from pod_truth_figures import read_pods_of
from simulator import Delivery, deliver, deliveries, random_world, small_world, worlds

from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.who import HolderIndex
from cnitrail.model import Verdict

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def joined_flows(delivery: Delivery, seed: int, count: int) -> FlowFigures:
    """Join the traffic of a world with its logs."""
    history, coverage = read(delivery)
    holders = HolderIndex(history, coverage)
    traffic = Traffic(delivery.world, random.Random(seed))
    return joined(FlowEnds(history, holders), holders, traffic, delivery, count)


def joined_pods(seed: int, place: Path, *, skewed: bool = False) -> FlowFigures:
    """Join the traffic of a world of pods whose evidence lacks much."""
    pods = random_pods(seed, 40, clusters=1 + seed % 2, skewed=skewed)
    delivery = deliver_pods(pods, random_losses(pods, seed))
    case = read_pods_of(delivery, place)
    holders = HolderIndex(case.history, case.coverage)
    traffic = Traffic(pods.ec2, random.Random(seed), pods)
    return joined(FlowEnds(case.history, holders), holders, traffic, delivery.trail, 60)


class TestNoCertainEndIsWrongAndNoHeldOneIsFree:
    @thorough
    @given(data=st.data(), seed=st.integers(0, 1 << 16))
    def test_whatever_the_logs_lack(self, data: st.DataObject, seed: int) -> None:
        delivery: Delivery = data.draw(deliveries(data.draw(worlds() | calm_worlds())))
        assert joined_flows(delivery, seed, 40).wrong == []

    def test_in_crowded_worlds_whose_logs_lack_much(self, pytestconfig: pytest.Config) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 10):
            found = joined_flows(deliver(*small_world(seed)), seed, 40)
            assert found.wrong == [], f"small_world({seed})"

    def test_in_calm_worlds_with_and_without_all_of_their_logs(self, pytestconfig: pytest.Config) -> None:
        first = pytestconfig.getoption("--first-world")
        total = FlowFigures()
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 5):
            found = joined_flows(deliver(*calm_world(seed)), seed, 40)
            assert found.wrong == [], f"calm_world({seed})"
            total.add(found)
        assert total.certain > total.ends / 10
        assert total.free > total.ends / 1000
        assert {*total.verdicts} == {*Verdict}
        assert len(total.mistaken) < total.certain / 200

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
            total.add(joined_flows(deliver(random_world(seed, actions=1000)), seed, 500))
        assert total.wrong == []
        assert total.determined > 100
        assert total.answered / total.determined > 0.95
