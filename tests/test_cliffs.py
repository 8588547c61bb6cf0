"""What broken data and attackers may log much of has the answers of what is usual."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from extremes import ENI, NODES, extreme
from hypothesis import given
from hypothesis import strategies as st
from reports import written

import cnitrail
from cnitrail.model import OPEN, UNKNOWN, Attachment, Attachments, Basis, Bound, InstanceBasis, Verdict

Read = Callable[[str, int], cnitrail.Case]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a case of the benchmark with so many attachments, addresses or ENIs."""

    def case(name: str, size: int) -> cnitrail.Case:
        path = tmp_path / "log.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"Records": [*extreme(name, size)]}).encode()))
        return cnitrail.read(path, assume_complete=True)

    return case


class TestManyAttachmentsOfOneEni:
    def test_each_has_its_time_and_the_holder_of_the_address_its_instance(self, read: Read) -> None:
        case = read("attachments", 2_000)
        found = case.history.interfaces[ENI.id].attachments
        assert len(found) == 2_000
        assert {attachment.end.basis for attachment in found} == {Basis.OBSERVED}
        for number in (0, 1, 777, 1_999):
            begin = BEGIN + timedelta(seconds=10 + 4 * number)
            on, off = (case.who(ENI.address, begin + timedelta(seconds=later)) for later in (1, 3))
            assert on.holders[0].instance == NODES[number % 2]
            assert off.holders[0].instance is None
            assert case.remembered_answers.who(ip_address(ENI.address), begin + timedelta(seconds=1)) == on

    def test_each_call_is_on_the_instance_of_its_attachment(self, read: Read) -> None:
        case = read("attachments", 2_000)
        calls = [entry for entry in case.timeline() if entry.attachment and entry.event != "RunInstances"]
        assert Counter(entry.instance for entry in calls) == dict.fromkeys(NODES, 2_000)
        (lease,) = case.leases(eni=ENI.id)
        assert len(lease.attachments) == 2_000

    @pytest.mark.parametrize("output", ["md", "html"])
    def test_a_report_lists_a_bounded_number_and_says_how_many_there_are(
        self, read: Read, output: str
    ) -> None:
        case = read("attachments", 2_000)
        page = written(case.report(), output)
        listed = {"md": 150, "html": 200}[output]
        assert page.count(ENI.id) < listed * 4
        assert f"{1_001 - listed:,} more ENIs of this instance, or the same again." in page
        if output == "html":
            assert f"Not drawn: {2_002 - 2 * listed:,} more ENIs, or the same ENIs again." in page


class TestManyAddressesOfOneCall:
    def test_each_has_a_lease_that_starts_with_the_call(self, read: Read) -> None:
        case = read("addresses", 20_000)
        found = [lease for lease in case.leases() if lease.kind == "secondary"]
        assert len(found) == 20_000
        assert {lease.start for lease in found} == {BEGIN + timedelta(seconds=9)}
        assert Counter(lease.end for lease in found) == {
            None: 10_000,
            BEGIN + timedelta(hours=1): 10_000,
        }


class TestManyEnisForOneAddressInOneSecond:
    def test_any_of_them_may_have_it_from_then_on(self, read: Read) -> None:
        case = read("enis", 2_000)
        then = BEGIN + timedelta(hours=1)
        answer = case.who("10.9.0.99", then + timedelta(minutes=1))
        assert answer.verdict is Verdict.AMBIGUOUS
        assert len({holder.eni for holder in answer.holders}) == 2_000
        assert case.who("10.9.0.99", then - timedelta(minutes=1)).holders == ()


seconds = st.integers(0, 30)
bounds = st.one_of(st.none(), seconds)


def attachment(start: int | None, end: int | None, number: int) -> Attachment:
    def bound(second: int | None, unknown: Bound) -> Bound:
        return unknown if second is None else Bound(BEGIN + timedelta(seconds=second), Basis.OBSERVED)

    return Attachment(
        eni="eni-1",
        instance=f"i-{number % 3}",
        device_index=1,
        attachment=f"eni-attach-{number % 7}",
        start=bound(start, UNKNOWN),
        end=bound(end, OPEN),
        how=InstanceBasis.ATTACH,
    )


class TestAttachments:
    @given(st.lists(st.tuples(bounds, bounds), max_size=30), seconds, st.booleans())
    def test_those_found_by_search_are_those_found_one_by_one(
        self, times: list[tuple[int | None, int | None]], second: int, is_sorted: bool
    ) -> None:
        if is_sorted:
            times.sort(key=lambda pair: -1 if pair[0] is None else pair[0])
        found = Attachments(attachment(*pair, number) for number, pair in enumerate(times))
        time = BEGIN + timedelta(seconds=second)
        later = time + timedelta(seconds=5)
        covering = [one for one in found if one.covers(time)]
        begun = [one for one in found if one.start.time is None or one.start.time <= time]
        meeting = [
            one
            for one in found
            if (one.start.time is None or one.start.time <= later)
            and (one.end.time is None or time <= one.end.time)
        ]
        assert found.at(time) is (covering[-1] if covering else None)
        assert found.begun(time) is (begun[-1] if begun else None)
        assert [one for one in found.during(time, later) if one in meeting] == meeting
        assert found.named("eni-attach-3") is next(
            (one for one in found if one.attachment == "eni-attach-3"), None
        )
        assert found.are_only_on("i-0") is all(one.instance == "i-0" for one in found)
