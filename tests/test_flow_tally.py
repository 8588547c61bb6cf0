"""What many flows show together is counted exactly, in bounded memory, and the same by several processes."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cnitrail.answers.flows import tally as tally_module
from cnitrail.answers.flows.ends import JoinedEnds
from cnitrail.answers.flows.tally import MANY_PORTS, EndsKind, FlowTally, TopCounts, name_of_end
from cnitrail.answers.over_time import ALL_INTERVALS
from cnitrail.model import Verdict
from cnitrail.model.flows import FlowEnd
from cnitrail.model.pods import PodVerdict
from cnitrail.model.reason import ReasonCode

END = FlowEnd(ip="10.0.0.1", verdict=Verdict.CERTAIN, kind="node")


def end(name: str, verdict: Verdict = Verdict.CERTAIN, *reasons: ReasonCode) -> FlowEnd:
    return FlowEnd(ip="10.0.0.1", verdict=verdict, kind="node", instance=(name,), reasons=reasons)


def ends(src: str, dst: str, local: str | None = "dst") -> JoinedEnds:
    return JoinedEnds(
        bounds=ALL_INTERVALS,
        src=end(src),
        dst=end(dst),
        local=local,
        confirmed=("vpc-id",),
        contradicted=(),
    )


def of_kind(joined: JoinedEnds) -> tuple[JoinedEnds, EndsKind]:
    return joined, EndsKind.of(joined)


FLOWS = st.lists(
    st.tuples(
        st.builds(
            ends, st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["src", "dst", None])
        ),
        st.sampled_from([None, "22", "80"]),
        st.booleans(),
        st.integers(1, 9),
        st.integers(0, 10**6),
    )
)


def counted(flows: list[tuple[JoinedEnds, str | None, bool, int, int]]) -> FlowTally:
    tally = FlowTally()
    for joined, port, is_rejected, records, size in flows:
        tally.add(
            joined,
            EndsKind.of(joined),
            port,
            is_rejected=is_rejected,
            records=records,
            size=size,
            packets=records,
        )
        tally.add_times(size, size + records)
    return tally


class TestMerge:
    @given(FLOWS, FLOWS)
    def test_two_tallies_are_one_of_all_flows(
        self,
        first: list[tuple[JoinedEnds, str | None, bool, int, int]],
        second: list[tuple[JoinedEnds, str | None, bool, int, int]],
    ) -> None:
        merged = counted(first)
        merged.merge(pickle.loads(pickle.dumps(counted(second))))
        assert merged.summary() == counted([*first, *second]).summary()

    def test_a_port_scan_is_one_in_the_end_also_if_no_process_saw_all_of_it(self) -> None:
        halves = [FlowTally(), FlowTally()]
        for port in range(MANY_PORTS + 2):
            halves[port % 2].add(*of_kind(ends("a", "b")), str(port), is_rejected=True, packets=1)
        halves[0].merge(halves[1])
        (scan,) = halves[0].summary().rejected
        assert (scan.port, scan.is_scan, scan.records) == (None, True, MANY_PORTS + 2)


class TestBounds:
    def test_what_is_not_told_apart_is_summed_up(self) -> None:
        counts = TopCounts[tuple[str, str]](2, kept=2)
        for number in range(100):
            counts.add((str(number), ""), number, 1)
        assert [key for (key, _), _ in counts.largest()] == ["99", "98"]
        assert counts.others == [sum(range(98)), 98]

    def test_a_scan_of_the_internet_has_a_row_for_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tally_module, "_PAIRS", 10)
        monkeypatch.setattr(tally_module, "_TALKERS", 10)
        tally = FlowTally()
        for number in range(1000):
            tally.add(*of_kind(ends(str(number), str(number))), str(number), is_rejected=True, packets=2)
        summary = tally.summary()
        assert (len(summary.rejected), len(summary.talkers)) == (10, 10)
        assert summary.other_rejected is not None
        assert summary.other_talkers is not None
        assert (summary.other_rejected.records, summary.other_rejected.packets) == (990, 1980)
        assert summary.other_talkers.rejected == 990
        assert len(tally._ports) <= 40

    def test_a_pair_has_rows_by_port_until_there_are_too_many(self) -> None:
        tally = FlowTally()
        for port in range(MANY_PORTS):
            tally.add(*of_kind(ends("a", "b")), str(port), is_rejected=True)
        assert len(tally.summary().rejected) == MANY_PORTS
        tally.add(*of_kind(ends("a", "b")), "65535", is_rejected=True)
        assert len(tally.summary().rejected) == 1


class TestCounts:
    def test_a_record_counts_at_its_own_interface(self) -> None:
        tally = FlowTally()
        tally.add(*of_kind(ends("a", "b", "src")), size=10)
        tally.add(*of_kind(ends("a", "b", "dst")), size=10)
        talkers = {talker.name: (talker.sent, talker.received) for talker in tally.summary().talkers}
        assert talkers == {"a": (10, 0), "b": (0, 10)}

    def test_a_record_at_neither_end_counts_for_its_source_and_is_said(self) -> None:
        tally = FlowTally()
        tally.add(*of_kind(ends("a", "b", None)), size=10, records=3)
        summary = tally.summary()
        assert (summary.talkers[0].name, summary.at_no_end) == ("a", 3)

    def test_rejected_traffic_is_neither_sent_nor_received(self) -> None:
        tally = FlowTally()
        tally.add(*of_kind(ends("a", "b")), size=10, is_rejected=True)
        (talker,) = tally.summary().talkers
        assert (talker.sent, talker.received, talker.rejected) == (0, 0, 1)

    @pytest.mark.parametrize(
        ("found", "name"),
        [
            (END, "10.0.0.1"),
            (replace(END, pod=("shop/a", "shop/b")), "shop/a or shop/b"),
            (replace(END, instance=("i-1",), kind="pod"), "a pod of i-1"),
            (replace(END, instance=("i-1",), kind="pod", pod_verdict=PodVerdict.NONE), "i-1"),
            (replace(END, instance=("i-1",), kind="node-or-pod"), "i-1 or its pods"),
            (replace(END, instance=("i-1",)), "i-1"),
            (replace(END, eni=("eni-1",), kind="load-balancer"), "eni-1"),
            (replace(END, ip=None), "no address"),
        ],
    )
    def test_an_end_has_the_best_name_that_is_known(self, found: FlowEnd, name: str) -> None:
        assert name_of_end(found) == name

    def test_a_free_address_is_free_for_no_lack_of_pods(self) -> None:
        tally = FlowTally()
        tally.add(*of_kind(replace(ends("a", "b"), dst=end("x", Verdict.FREE))), records=3, size=30)
        (share,) = tally.summary().unattributed
        assert (share.verdict, share.reason, share.ends) == (Verdict.FREE, None, 3)
        assert share.text == "No ENI had the address then, and the evidence of that time is complete."
