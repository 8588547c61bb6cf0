"""Pods of a rebuilt history compared with the truth of a simulator.

Three promises, whatever evidence is missing and whoever attacks: an answer that is certain, or that says
that there was no pod, is never wrong; if the evidence determines the pod, it is named; and the surely held
part of a pod's lease is inside the truth, which is inside the part in which the pod perhaps held it.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_evidence import AUDIT, IPAMD, LOGS, TRAIL, PodLosses, deliver_pods, pod_losses, random_losses
from pod_runs import pod_worlds, random_pods
from pod_simulator import PodWorld
from pod_truth_figures import SORTS, PodFigures, ask_all, figures_of, read_pods_of, wrong_leases
from simulator import NOTICED, WINDOW, Losses

thorough = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def never_wrong(world: PodWorld, losses: PodLosses, place: Path, seed: int = 0) -> None:
    """Assert that no certain answer and no lease is wrong."""
    delivery = deliver_pods(world, losses)
    case = read_pods_of(delivery, place)
    assert ask_all(delivery, case, count=30, seed=seed).wrong == []
    assert list(wrong_leases(delivery, case)) == []


class TestNeverAWrongPod:
    @thorough
    @given(data=st.data())
    def test_whatever_the_evidence_lacks(
        self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        world: PodWorld = data.draw(pod_worlds())
        never_wrong(world, data.draw(pod_losses(world)), tmp_path_factory.mktemp("pods"))

    def test_in_many_small_worlds_whose_evidence_lacks_much(
        self, pytestconfig: pytest.Config, tmp_path: Path
    ) -> None:
        first = pytestconfig.getoption("--first-world")
        for seed in range(first, first + pytestconfig.getoption("--worlds") // 10):
            world = random_pods(seed, 40, clusters=1 + seed % 2, skewed=seed % 3 == 0)
            losses = random_losses(world, seed)
            try:
                never_wrong(world, losses, tmp_path / str(seed), seed)
            except AssertionError as error:
                raise AssertionError(f"random_pods({seed}): {losses}") from error

    @pytest.mark.parametrize("sort", SORTS)
    def test_with_one_sort_of_evidence(self, sort: str) -> None:
        assert figures_of(SORTS[sort], seed=len(sort)).wrong == []


WHOLE = PodLosses()


class Story:
    """A node with two pods, told step by step; then questions about the address of the first."""

    def __init__(self, place: Path) -> None:
        self.world, self.place = PodWorld(), place
        self.cluster = self.world.clusters[0]
        self.node = self.world.launch(self.cluster)
        self.pod, self.other = (self.world.create(self.cluster, name, node=self.node) for name in ("a", "b"))
        self.world.wait(60_000)
        assert self.pod.holding is not None
        assert self.other.holding is not None
        self.ip = self.pod.holding.ip

    def verdict(
        self, given: frozenset[str], second: int | None = None, losses: PodLosses = WHOLE
    ) -> tuple[str, set[str | None]]:
        """Return the verdict on the address now, or at a second, and the names of the pods."""
        at = self.world.now // 1000 if second is None else second
        self.world.wait(120_000)
        self.world.terminate(self.node)  # which shows that it was still there
        self.world.wait(20_000)
        delivery = deliver_pods(self.world, replace(losses, given=given))
        said = read_pods_of(delivery, self.place).who(self.ip, datetime.fromtimestamp(at, UTC)).pod
        assert said is not None
        return said.verdict.value, {entry.pod for entry in said.pods}


class TestStories:
    def test_the_log_of_the_cni_names_the_pod_with_certainty(self, tmp_path: Path) -> None:
        assert Story(tmp_path).verdict(frozenset({IPAMD, TRAIL})) == ("certain", {"a"})

    def test_the_audit_log_names_the_pod(self, tmp_path: Path) -> None:
        verdict, pods = Story(tmp_path).verdict(frozenset({AUDIT, TRAIL}))
        assert (verdict in ("certain", "likely"), pods) == (True, {"a"})

    @pytest.mark.parametrize(
        ("kinds", "has_gap", "verdict"),
        [({AUDIT, TRAIL}, False, "certain"), ({AUDIT, TRAIL}, True, "likely"), (LOGS, True, "certain")],
    )
    def test_a_gap_in_the_audit_log_matters_unless_the_log_of_the_cni_covers_it(
        self, tmp_path: Path, kinds: set[str], has_gap: bool, verdict: str
    ) -> None:
        story = Story(tmp_path)
        begin = story.world.now
        story.world.wait(600_000)
        story.pod.state["change"] += 1  # so that the report says once more that it is ready
        story.world.touch(story.pod)
        story.world.wait(90_000)
        losses = PodLosses(holes=((begin + 60_000, begin + 500_000),) if has_gap else ())
        assert story.verdict(frozenset(kinds), begin // 1000 + 30, losses) == (verdict, {"a"})

    @pytest.mark.parametrize(("has_hole", "verdict"), [(False, "none"), (True, "unknown")])
    def test_a_free_address_may_be_that_of_a_branch_eni_while_cloudtrail_has_a_hole(
        self, tmp_path: Path, has_hole: bool, verdict: str
    ) -> None:
        story = Story(tmp_path)
        story.world.delete(story.pod)
        story.world.wait(600_000)
        asked = story.world.now // 1000
        hole = (asked - 300, asked + NOTICED * WINDOW)
        story.world.wait(2 * NOTICED * WINDOW * 1000)
        losses = PodLosses(trail=Losses(holes=(hole,) if has_hole else ()))
        assert story.verdict(frozenset({IPAMD, TRAIL}), asked, losses) == (verdict, set())

    def test_a_report_of_another_pod_does_not_bound_what_the_log_of_the_cni_shows(self) -> None:
        found = figures_of(None, seed=2014)  # a kubelet lies, and the log of its node lacks its beginning
        assert found.wrong == []

    def test_a_pod_surely_has_an_address_only_until_the_audit_log_has_a_gap(self) -> None:
        found = figures_of(None, seed=3015)  # the gap has the report of another address
        assert found.wrong == []

    def test_a_kubelet_that_claims_the_address_of_another_pod_is_not_believed(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        story.world.lie(story.other, story.ip)
        for _ in range(10):
            story.world.wait(60_000)
            story.world.touch(story.other)
        asked = story.world.now // 1000 - 300
        verdict, pods = story.verdict(frozenset({AUDIT, TRAIL}), asked)
        assert verdict != "certain"
        assert "a" in pods

    def test_a_person_who_writes_an_address_into_a_status_changes_no_answer(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        story.world.usurp(story.other, story.ip)
        assert story.verdict(LOGS) == ("certain", {"a"})

    def test_a_stolen_token_used_from_the_address_of_another_pod_changes_no_answer(
        self, tmp_path: Path
    ) -> None:
        story = Story(tmp_path)
        story.world.call(story.other, story.ip)
        assert story.verdict(LOGS) == ("certain", {"a"})

    def test_a_pod_of_a_lost_node_is_not_certain_after_the_end_of_the_instance(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        story.world.lose(story.node)
        story.world.wait(700_000)
        for kinds in ({AUDIT, TRAIL}, {IPAMD, TRAIL}, LOGS):
            verdict, _ = story.verdict(frozenset(kinds))
            assert verdict not in ("certain", "none")

    def test_a_force_deleted_pod_is_not_certain_once_its_kubelet_has_noticed(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        story.world.force_delete(story.pod)
        story.world.wait(60_000)
        assert story.verdict(frozenset({AUDIT, TRAIL}))[0] != "certain"
        assert story.verdict(LOGS)[0] in ("none", "unknown")

    def test_an_address_that_is_moved_to_another_node_leaves_its_pod(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        thief = story.world.launch(story.cluster)
        eni = story.world.ec2.create(story.node.instance.subnet)
        story.world.ec2.attach(eni, thief.instance)
        story.world.ec2.assign(eni, story.ip, allow_reassignment=True)
        story.world.wait(30_000)
        assert story.verdict(LOGS)[0] != "certain"


class TestEveryDeterminedPodIsNamed:
    @pytest.mark.parametrize("sort", ["everything", "ipamd.log", "audit log"])
    def test_in_999_of_1000_questions(self, sort: str) -> None:
        total = PodFigures()
        for seed in range(8):
            total.add(figures_of(SORTS[sort], seed, count=100))
        assert total.determined > 250
        assert total.share_right >= 0.999, total.missed[:5]
        assert total.wrong == []


class TestTheSameEvidence:
    @pytest.mark.parametrize("seed", range(3))
    def test_repeated_in_another_order_and_in_other_files_gives_the_same_leases(
        self, seed: int, tmp_path: Path
    ) -> None:
        world = random_pods(seed, 60, clusters=2)
        delivery = deliver_pods(world, PodLosses(given=LOGS))
        once = read_pods_of(delivery, tmp_path / "once")
        expected = [_bare(lease) for lease in once.pods()]
        for order in range(2):
            again = read_pods_of(delivery, tmp_path / str(order), order)
            assert [_bare(lease) for lease in again.pods()] == expected

    def test_follows_from_the_seed(self) -> None:
        first, second = (deliver_pods(random_pods(5, 60)).files for _ in range(2))
        assert first == second


def _bare(entry: object) -> dict[str, object]:
    """Return what an entry says, without the places where it was found."""
    return {key: getattr(entry, key) for key in entry.__struct_fields__ if key != "origins"}  # type: ignore[attr-defined]
