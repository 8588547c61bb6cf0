"""Which time digests prove, which was read but not verified, and which is missing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cnitrail.answers.coverage_text import how_proven
from cnitrail.answers.filters import Filter
from cnitrail.answers.report import report
from cnitrail.answers.who import HolderIndex
from cnitrail.history import build, cover
from cnitrail.intervals import Interval
from cnitrail.model import (
    Coverage,
    Evidence,
    Ground,
    History,
    Hole,
    HoleReason,
    Moment,
    Proven,
    Reach,
    Report,
    Scope,
    Sign,
    Unproven,
    Verdict,
    WhoAnswer,
)
from cnitrail.model.coverage import may_be_one_place
from cnitrail.model.reason import ReasonCode
from cnitrail.sources.layout import log_name
from cnitrail.workflows.read import read_evidence

ACCOUNT, REGION = "111111111111", "eu-west-1"
PLACE = (ACCOUNT, REGION)
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def at(clock: str) -> datetime:
    """A time of the day: ``09:30``."""
    hours, minutes, *seconds = map(int, clock.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))


def delivered(start: str, end: str) -> Proven:
    """Deliveries that digests prove."""
    return Proven(account=ACCOUNT, region=REGION, start=at(start), end=at(end))


def doubt(start: str, end: str, account: str | None = ACCOUNT, region: str | None = REGION) -> Unproven:
    """Events that no digest proves."""
    return Unproven(account, region, at(start), at(end))


def files(start: str, end: str, minutes: int = 5) -> list[Sign]:
    """The timestamps of log files that are delivered every five minutes."""
    count = (at(end) - at(start)) // timedelta(minutes=minutes)
    return [(*PLACE, at(start) + timedelta(minutes=minutes) * number) for number in range(count + 1)]


def clocks(periods: Iterable[Interval]) -> str:
    """Periods as a person writes them: ``09:00-11:30 14:00-15:00``."""
    return " ".join(f"{period.start:%H:%M}-{period.end:%H:%M}" for period in periods)


def kinds(coverage: Coverage) -> dict[str, str]:
    """The three kinds of time of the only account and Region."""
    (reach,) = coverage.reaches
    return {
        "proven": clocks(reach.proven),
        "not verified": clocks(reach.merely_read),
        "missing": clocks(reach.holes),
    }


class TestProvenTime:
    def test_without_digests_all_time_is_read_but_not_verified(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), ())) == {
            "proven": "",
            "not verified": "09:00-12:00",
            "missing": "",
        }

    def test_late_events_from_before_the_first_file_leave_their_time_missing(self) -> None:
        late = Moment(*PLACE, at("08:00"))
        assert kinds(cover(files("09:00", "12:00"), [late])) == {
            "proven": "",
            "not verified": "08:55-12:00",
            "missing": "08:00-08:55",
        }

    def test_the_minutes_before_the_first_file_are_covered_by_it(self) -> None:
        soon = Moment(*PLACE, at("08:55"))
        assert kinds(cover(files("09:00", "12:00"), [soon]))["missing"] == ""

    def test_event_time_is_proven_up_to_an_hour_before_the_proven_deliveries_end(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), (), [delivered("09:00", "12:00")])) == {
            "proven": "09:00-11:00",
            "not verified": "11:00-12:00",
            "missing": "",
        }

    def test_the_delivery_lag_can_be_set(self) -> None:
        covered = cover(files("09:00", "12:00"), (), [delivered("09:00", "12:00")], lag=timedelta(minutes=30))
        assert kinds(covered)["proven"] == "09:00-11:30"

    def test_deliveries_for_no_longer_than_the_lag_prove_nothing(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), (), [delivered("10:00", "11:00")])) == {
            "proven": "",
            "not verified": "09:00-12:00",
            "missing": "",
        }

    def test_the_time_between_two_proven_spans_is_not_proven(self) -> None:
        proven = [delivered("06:00", "09:00"), delivered("10:00", "14:00")]
        assert kinds(cover(files("06:00", "14:00"), (), proven)) == {
            "proven": "06:00-08:00 10:00-13:00",
            "not verified": "08:00-10:00 13:00-14:00",
            "missing": "",
        }

    def test_a_proven_quiet_night_is_not_a_log_gap(self) -> None:
        signs = [*files("00:00", "02:00"), *files("06:00", "08:00")]
        assert kinds(cover(signs, ())) == {
            "proven": "",
            "not verified": "00:00-01:45 06:00-08:00",
            "missing": "01:45-06:00",
        }
        assert kinds(cover(signs, (), [delivered("00:00", "08:00")])) == {
            "proven": "00:00-07:00",
            "not verified": "07:00-08:00",
            "missing": "",
        }

    def test_a_region_where_nothing_happened_is_proven_without_a_file(self) -> None:
        assert kinds(cover((), (), [delivered("00:00", "08:00")])) == {
            "proven": "00:00-07:00",
            "not verified": "",
            "missing": "",
        }

    def test_time_without_files_between_proven_spans_and_files_is_missing(self) -> None:
        proven = [delivered("00:00", "05:00"), delivered("09:00", "12:00")]
        assert kinds(cover((), (), proven)) == {
            "proven": "00:00-04:00 09:00-11:00",
            "not verified": "",
            "missing": "04:00-09:00",
        }

    def test_the_time_of_a_missing_listed_log_file_is_missing(self) -> None:
        signs, proven = files("09:00", "14:00"), [delivered("12:00", "14:00")]
        (reach,) = cover(signs, (), proven, missing=[(*PLACE, at("11:30"))]).reaches
        assert reach.holes == (Hole(at("11:15"), at("11:30"), True, HoleReason.MISSING),)
        assert clocks(reach.merely_read) == "09:00-11:15 11:30-12:00 13:00-14:00"

    def test_time_with_unproven_events_is_read_but_not_verified(self) -> None:
        proven, unread = [delivered("00:00", "12:00")], doubt("03:45", "05:15")
        assert kinds(cover(files("00:00", "12:00"), (), proven, [unread]))["proven"] == (
            "00:00-03:45 05:15-11:00"
        )

    def test_unproven_events_of_one_account_and_region_do_not_affect_another(self) -> None:
        proven = [delivered("00:00", "12:00")]
        others = [doubt("03:00", "04:00", "222222222222"), doubt("03:00", "04:00", region="eu-west-2")]
        assert kinds(cover((), (), proven, others))["proven"] == "00:00-11:00"
        assert kinds(cover((), (), proven, [doubt("03:00", "04:00", None, None)]))["proven"] == (
            "00:00-03:00 04:00-11:00"
        )

    @given(
        st.lists(st.integers(0, 200), max_size=12),
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=4),
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=4),
        st.lists(st.integers(0, 200), max_size=4),
    )
    def test_the_three_kinds_cover_everything_and_never_overlap(
        self,
        seen: list[int],
        proven: list[tuple[int, int]],
        doubts: list[tuple[int, int]],
        missing: list[int],
    ) -> None:
        def minute(number: int) -> datetime:
            return DAY + timedelta(minutes=10 * number)

        coverage = cover(
            [(*PLACE, minute(number)) for number in seen],
            (),
            [
                Proven(account=ACCOUNT, region=REGION, start=minute(start), end=minute(start + length))
                for start, length in proven
            ],
            [Unproven(*PLACE, minute(start), minute(start + length)) for start, length in doubts],
            [(*PLACE, minute(number)) for number in missing],
        )
        for reach in coverage.reaches:
            holes = [Interval(hole.start, hole.end) for hole in reach.holes]
            periods = sorted([*reach.proven, *reach.merely_read, *holes])
            assert all(earlier.end <= later.start for earlier, later in pairwise(periods))
            inside = sum(
                (min(period.end, reach.last) - max(period.start, reach.first) for period in periods),
                timedelta(),
            )
            assert inside == reach.last - reach.first


def read(
    story: str, proven: Iterable[Proven] = (), unproven: Iterable[Unproven] = ()
) -> tuple[History, Evidence]:
    """A story's history, and its evidence as if digests proved some of it."""
    ledger, evidence = read_evidence((str(FIXTURES / story),), Scope())
    events = ledger.events()
    names = filter(None, (log_name(path.name) for path in (FIXTURES / story).rglob("*.json.gz")))
    signs = [(name.account, name.region, name.delivered) for name in names]
    reaches = cover(signs, events, proven, unproven).reaches
    return build(events, ledger.sessions()), replace(evidence, coverage=reaches, verified=True)


class TestWho:
    """``reused-in-3-seconds``: a node launched at 9:29:50 has an address from 9:31:10 to 10:12:41."""

    START, END = datetime(2025, 9, 9, 9, 29, 50, tzinfo=UTC), datetime(2025, 9, 9, 10, 12, 41, tzinfo=UTC)

    def asked(
        self,
        since: datetime = START,
        until: datetime = END,
        *,
        at: str = "2025-09-09T10:00Z",
        ip: str = "10.80.4.17",
        unproven: Iterable[Unproven] = (),
    ) -> WhoAnswer:
        proven = Proven(
            account="111111111111", region="us-east-1", start=since, end=until + timedelta(hours=1)
        )
        history, evidence = read("reused-in-3-seconds", [proven], unproven)
        index = HolderIndex(history, Coverage(evidence.coverage), verified=True)
        return index.who(ip_address(ip), datetime.fromisoformat(at), Filter())

    def test_it_is_proven_if_all_time_from_start_to_end_is(self) -> None:
        answer = self.asked()
        assert (answer.verdict, answer.rests_on) == (Verdict.CERTAIN, Ground.PROVEN)
        assert answer.reasons[-1].text == (
            "proven by CloudTrail's digests: no event is missing or changed from 2025-09-09 09:29:50Z to "
            "2025-09-09 10:12:41Z"
        )

    def test_one_unproven_second_makes_it_not_verified(self) -> None:
        second = timedelta(seconds=1)
        for answer in (self.asked(since=self.START + second), self.asked(until=self.END - second)):
            assert answer.rests_on is Ground.MERELY_READ
            assert answer.reasons[-1].text == (
                "not verified: digests do not cover all of the time from 2025-09-09 09:29:50Z to "
                "2025-09-09 10:12:41Z"
            )

    def test_one_unproven_event_makes_it_not_verified(self) -> None:
        time = datetime(2025, 9, 9, 9, 40, tzinfo=UTC)
        forged = Unproven("111111111111", "us-east-1", time, time + timedelta(seconds=2))
        assert self.asked(unproven=[forged]).rests_on is Ground.MERELY_READ

    def test_an_open_end_is_proven_up_to_the_time_of_the_question(self) -> None:
        for at, expected in (
            ("10:19", (Verdict.CERTAIN, Ground.PROVEN)),  # a later call shows that the interface was there
            ("10:21", (Verdict.LIKELY, Ground.MERELY_READ)),
            ("11:00", (Verdict.LIKELY, Ground.MISSING)),
        ):
            until = datetime(2025, 9, 9, 10, 20, tzinfo=UTC)
            answer = self.asked(until=until, at=f"2025-09-09T{at}Z")
            assert (answer.verdict, answer.rests_on) == expected

    def test_an_answer_without_a_holder_rests_on_nothing(self) -> None:
        answer = self.asked(ip="10.99.99.99")
        assert (answer.verdict, answer.rests_on) == (Verdict.UNKNOWN, None)
        assert [reason.code for reason in answer.reasons] == [ReasonCode.NEVER_SEEN]

    def test_a_holder_whose_start_is_not_in_the_evidence_rests_on_missing_time(self) -> None:
        history, evidence = read("logs-begin-in-the-middle")
        lease = next(lease for lease in history.leases if lease.start.time is None)
        assert lease.end.time is not None
        index = HolderIndex(history, Coverage(evidence.coverage), verified=True)
        answer = index.who(ip_address(str(lease.held)), lease.end.time - timedelta(minutes=1), Filter())
        assert answer.rests_on is Ground.MISSING
        assert answer.reasons[-1].code is ReasonCode.NOT_PROVEN

    def test_a_proven_quiet_time_removes_the_doubt_of_a_log_gap(self) -> None:
        ledger, evidence = read_evidence((str(FIXTURES / "hole-in-the-logs"),), Scope())
        history = build(ledger.events(), ledger.sessions())
        (reach,) = evidence.coverage
        (hole,) = reach.holes
        whole = Reach(
            account=reach.account,
            region=reach.region,
            first=reach.first,
            last=reach.last,
            holes=(),
            proven=(),
            merely_read=(),
        )
        proven = replace(whole, proven=(Interval(reach.first, reach.last),))
        for covering, doubted in ((reach, True), (proven, False)):
            answer = HolderIndex(history, Coverage((covering,))).who(
                ip_address("10.144.9.77"), hole.end, Filter()
            )
            assert any("may have left" in reason.text for reason in answer.reasons) is doubted


class TestReport:
    def report_of(self, *proven: tuple[str, str], wanted: Filter | None = None) -> Report:
        day = "2025-06-17"
        spans = [
            Proven(
                account="111111111111",
                region="eu-west-1",
                start=datetime.fromisoformat(f"{day}T{start}Z"),
                end=datetime.fromisoformat(f"{day}T{end}Z") + timedelta(hours=1),
            )
            for start, end in proven
        ]
        return report(*read("stolen-address", spans), wanted or Filter())

    def test_a_report_with_only_proven_events_states_that(self) -> None:
        last = self.report_of(("10:00", "13:00")).quality[-1]
        assert last.sentence == (
            "2025-06-17 10:30:02 to 12:20:11Z: CloudTrail's digests prove that nothing of 111111111111 in "
            "eu-west-1 is missing or changed."
        )
        assert last.events == tuple(range(1, 15))

    def test_the_events_that_are_not_verified_are_listed(self) -> None:
        last = self.report_of(("10:00", "12:20:10")).quality[-1]
        assert last.sentence == (
            "2025-06-17 10:30:02 to 12:20:11Z: CloudTrail's digests do not cover all of 111111111111 in "
            "eu-west-1, and 1 call listed here is not verified. See Evidence."
        )
        assert last.events == (14,)

    def test_calls_may_be_missing_between_proven_ones(self) -> None:
        assert (
            self.report_of(("10:00", "10:40"), ("11:45", "13:00"))
            .quality[-1]
            .sentence.endswith(", and calls may be missing between those listed here. See Evidence.")
        )

    @pytest.mark.parametrize(
        ("until", "rests_on"),
        [("13:00", [Ground.PROVEN, Ground.PROVEN]), ("12:00", [Ground.PROVEN, Ground.MERELY_READ])],
    )
    def test_every_holder_states_what_it_rests_on(self, until: str, rests_on: list[Ground]) -> None:
        found = self.report_of(("10:00", until), wanted=Filter(ip=(ip_network("10.60.12.50"),)))
        assert [holder.rests_on for holder in found.holders or ()] == rests_on


class TestSummary:
    def test_the_proven_time_is_stated_for_all_accounts_and_regions_together(self) -> None:
        other = Proven(account="222222222222", region=REGION, start=at("09:00"), end=at("12:00"))
        signs = [*files("09:00", "10:00"), *files("14:00", "15:00")]
        assert how_proven(cover(signs, (), [delivered("09:00", "11:00"), other])) == (
            "3 h proven by CloudTrail's digests, 1 h not verified, 4 h missing, "
            "of 2 accounts and Regions together"
        )

    def test_the_absence_of_any_proof_comes_first(self) -> None:
        assert how_proven(cover(files("09:00", "10:30"), ())) == (
            "nothing proven by CloudTrail's digests (cnitrail verify shows why), 1 h 30 min not verified"
        )


class TestPlaces:
    """An export may leave out the account or the Region of a record."""

    @pytest.mark.parametrize(
        ("other", "expected"),
        [
            (("111111111111", REGION), True),
            ((None, REGION), True),
            (("111111111111", None), True),
            (("222222222222", REGION), False),
            (("222222222222", None), False),
            (("111111111111", "us-east-1"), False),
        ],
    )
    def test_what_is_not_known_may_be_the_same(
        self, other: tuple[str | None, str | None], expected: bool
    ) -> None:
        assert may_be_one_place(("111111111111", REGION), other) is expected
        assert may_be_one_place(other, ("111111111111", REGION)) is expected
