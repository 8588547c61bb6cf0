"""The rebuilt history compared with the truth of a simulator.

Two promises: a ``certain`` answer is never wrong, whatever evidence is missing; and if the logs
determine who held an address, that holder is named.
"""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incidents import read
from simulator import (
    Delivery,
    Losses,
    Question,
    World,
    deliver,
    deliveries,
    numbered,
    play,
    questions,
    random_world,
    second_of,
    small_world,
    worlds,
)

from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.model import History, Verdict, WhoAnswer

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def index_of(delivery: Delivery) -> tuple[HolderIndex, History]:
    """Return the index of the holders in the delivered log files."""
    history, coverage = read(delivery)
    return HolderIndex(history, coverage), history


def answer(index: HolderIndex, question: Question, vpc: bool = True) -> WhoAnswer:
    wanted = Filter(vpc=(question.vpc,)) if vpc else Filter()
    return index.who(ip_address(question.ip), datetime.fromtimestamp(question.second, UTC), wanted)


def never_wrong(world: World, delivery: Delivery) -> None:
    """Assert that every certain answer is true, with and without the VPC."""
    index, _ = index_of(delivery)
    for question in questions(world, delivery, count=60):
        for narrowed in (True, False):
            said = answer(index, question, narrowed)
            if said.verdict is Verdict.CERTAIN:
                (holder,) = {(holder.vpc, holder.eni) for holder in said.holders}
                held = world.holders_throughout(question.ip, question.second)
                assert holder[1] in {eni for _, eni in held}
                assert holder in held or holder[0] is None


class TestNeverAWrongCertain:
    @thorough
    @given(data=st.data())
    def test_whatever_the_logs_lack(self, data: st.DataObject) -> None:
        world: World = data.draw(worlds())
        never_wrong(world, data.draw(deliveries(world)))

    def test_in_many_small_worlds_whose_logs_lack_much(self, pytestconfig: pytest.Config) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds")):
            world, losses = small_world(seed)
            try:
                never_wrong(world, deliver(world, losses))
            except AssertionError as error:
                raise AssertionError(f"small_world({seed}): {losses}") from error

    def test_with_few_files_far_apart(self) -> None:
        """Lost between two files: a reassignment, and the assignment back."""
        actions = ["unassign", "create", "terminate", "steal", "steal", "terminate", "unassign"]
        waits = [0, 0, 400_000, 0, 1000, 0, 0]
        world = play(map(numbered, actions, waits, [0] * 7), vpcs=1, pool=3)
        hole = (second_of(world.records[-1]), second_of(world.records[-1]) + 900)
        never_wrong(world, deliver(world, Losses(holes=(hole,), repeated=((0, 4), (9, 1)))))

    @thorough
    @given(data=st.data())
    def test_of_an_instance_if_the_attachment_is_observed(self, data: st.DataObject) -> None:
        world: World = data.draw(worlds())
        delivery: Delivery = data.draw(deliveries(world))
        _, history = index_of(delivery)
        for interface in history.interfaces.values():
            for attachment in interface.attachments:
                start, end = attachment.start, attachment.end
                if start.time is None or end.time is None or end.basis != "observed":
                    continue
                for second in {int(start.time.timestamp()) + 1, int(end.time.timestamp()) - 1}:
                    if start.time.timestamp() < second < end.time.timestamp():
                        assert world.attached_throughout(interface.eni, second) == attachment.instance


class TestEveryDeterminedHolderIsNamed:
    @thorough
    @given(data=st.data())
    def test_or_at_least_no_other_eni_is_named(self, data: st.DataObject) -> None:
        world: World = data.draw(worlds())
        delivery: Delivery = data.draw(deliveries(world))
        index, _ = index_of(delivery)
        for question in questions(world, delivery, count=60):
            if question.determined:
                said = answer(index, question)
                named = {holder.eni for holder in said.holders}
                assert not named or said.verdict is Verdict.AMBIGUOUS or question.eni in named, question

    @pytest.mark.parametrize("seed", range(4))
    def test_in_a_large_world_999_in_1000_are_named_and_no_certain_is_wrong(self, seed: int) -> None:
        world = random_world(seed, actions=6000)
        index, _ = index_of(deliver(world))
        asked = named = 0
        for question in questions(world, count=4000, seed=seed):
            said = answer(index, question)
            if said.verdict is Verdict.CERTAIN:
                assert {holder.eni for holder in said.holders} == {question.eni}
            if question.determined and question.eni is not None:
                asked += 1
                named += question.eni in {holder.eni for holder in said.holders}
        assert asked > 1000
        assert named >= 0.999 * asked
