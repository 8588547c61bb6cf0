"""Which time is proven by digests, which was merely read, which is missing; and who says so."""

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
from cnitrail.cli.progress import Progress
from cnitrail.history import build, cover
from cnitrail.model import (
    Coverage,
    Evidence,
    Ground,
    History,
    Hole,
    HoleReason,
    Moment,
    Period,
    Proven,
    Reach,
    Report,
    Scope,
    Sign,
    Unproven,
    Verdict,
    WhoAnswer,
)
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
    return Proven(*PLACE, at(start), at(end))


def doubt(start: str, end: str, account: str | None = ACCOUNT, region: str | None = REGION) -> Unproven:
    """Events that nothing vouches for."""
    return Unproven(account, region, at(start), at(end))


def files(start: str, end: str, minutes: int = 5) -> list[Sign]:
    """The stamps of log files that were delivered every five minutes."""
    count = (at(end) - at(start)) // timedelta(minutes=minutes)
    return [(*PLACE, at(start) + timedelta(minutes=minutes) * number) for number in range(count + 1)]


def told(periods: Iterable[Period]) -> str:
    """Periods as a person writes them: ``09:00-11:30 14:00-15:00``."""
    return " ".join(f"{each.start:%H:%M}-{each.end:%H:%M}" for each in periods)


def kinds(coverage: Coverage) -> dict[str, str]:
    """The three kinds of time of the only account and Region."""
    (reach,) = coverage.reaches
    return {
        "proven": told(reach.proven),
        "merely read": told(reach.merely_read),
        "missing": told(reach.holes),
    }


class TestProvenTime:
    def test_without_digests_all_that_was_read_is_merely_read(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), ())) == {
            "proven": "",
            "merely read": "09:00-12:00",
            "missing": "",
        }

    def test_what_came_late_before_all_files_leaves_open_what_else_was_then(self) -> None:
        late = Moment(*PLACE, at("08:00"))
        assert kinds(cover(files("09:00", "12:00"), [late])) == {
            "proven": "",
            "merely read": "08:55-12:00",
            "missing": "08:00-08:55",
        }

    def test_what_the_first_file_tells_of_the_minutes_before_it_was_read(self) -> None:
        soon = Moment(*PLACE, at("08:55"))
        assert kinds(cover(files("09:00", "12:00"), [soon]))["missing"] == ""

    def test_an_event_counts_as_proven_an_hour_before_the_deliveries_that_are(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), (), [delivered("09:00", "12:00")])) == {
            "proven": "09:00-11:00",
            "merely read": "11:00-12:00",
            "missing": "",
        }

    def test_how_late_an_event_may_be_delivered_can_be_said(self) -> None:
        covered = cover(files("09:00", "12:00"), (), [delivered("09:00", "12:00")], lag=timedelta(minutes=30))
        assert kinds(covered)["proven"] == "09:00-11:30"

    def test_deliveries_of_no_longer_time_than_an_event_may_be_late_prove_nothing(self) -> None:
        assert kinds(cover(files("09:00", "12:00"), (), [delivered("10:00", "11:00")])) == {
            "proven": "",
            "merely read": "09:00-12:00",
            "missing": "",
        }

    def test_between_two_proven_times_the_beginning_of_the_second_is_not_proven(self) -> None:
        proven = [delivered("06:00", "09:00"), delivered("10:00", "14:00")]
        assert kinds(cover(files("06:00", "14:00"), (), proven)) == {
            "proven": "06:00-08:00 10:00-13:00",
            "merely read": "08:00-10:00 13:00-14:00",
            "missing": "",
        }

    def test_a_quiet_night_that_digests_prove_is_no_hole(self) -> None:
        signs = [*files("00:00", "02:00"), *files("06:00", "08:00")]
        assert kinds(cover(signs, ())) == {
            "proven": "",
            "merely read": "00:00-01:45 06:00-08:00",
            "missing": "01:45-06:00",
        }
        assert kinds(cover(signs, (), [delivered("00:00", "08:00")])) == {
            "proven": "00:00-07:00",
            "merely read": "07:00-08:00",
            "missing": "",
        }

    def test_a_region_where_nothing_happened_is_proven_without_a_file(self) -> None:
        assert kinds(cover((), (), [delivered("00:00", "08:00")])) == {
            "proven": "00:00-07:00",
            "merely read": "",
            "missing": "",
        }

    def test_between_proven_times_and_files_what_nothing_was_read_of_is_missing(self) -> None:
        proven = [delivered("00:00", "05:00"), delivered("09:00", "12:00")]
        assert kinds(cover((), (), proven)) == {
            "proven": "00:00-04:00 09:00-11:00",
            "merely read": "",
            "missing": "04:00-09:00",
        }

    def test_where_a_log_file_that_digests_list_is_gone_something_is_missing(self) -> None:
        signs, proven = files("09:00", "14:00"), [delivered("12:00", "14:00")]
        (reach,) = cover(signs, (), proven, missing=[(*PLACE, at("11:30"))]).reaches
        assert reach.holes == (Hole(at("11:15"), at("11:30"), True, HoleReason.MISSING),)
        assert told(reach.merely_read) == "09:00-11:15 11:30-12:00 13:00-14:00"

    def test_what_nothing_vouches_for_is_merely_read(self) -> None:
        proven, unread = [delivered("00:00", "12:00")], doubt("03:45", "05:15")
        assert kinds(cover(files("00:00", "12:00"), (), proven, [unread]))["proven"] == (
            "00:00-03:45 05:15-11:00"
        )

    def test_a_doubt_of_one_account_and_region_is_none_of_another(self) -> None:
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
    def test_the_three_make_the_whole_and_never_overlap(
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
            [Proven(*PLACE, minute(start), minute(start + length)) for start, length in proven],
            [Unproven(*PLACE, minute(start), minute(start + length)) for start, length in doubts],
            [(*PLACE, minute(number)) for number in missing],
        )
        for reach in coverage.reaches:
            holes = [Period(hole.start, hole.end) for hole in reach.holes]
            periods = sorted([*reach.proven, *reach.merely_read, *holes])
            assert all(earlier.end <= later.start for earlier, later in pairwise(periods))
            inside = sum(
                (min(each.end, reach.last) - max(each.start, reach.first) for each in periods), timedelta()
            )
            assert inside == reach.last - reach.first


def read(
    story: str, proven: Iterable[Proven] = (), unproven: Iterable[Unproven] = ()
) -> tuple[History, Evidence]:
    """A story's history, and its evidence as if digests proved some of it."""
    ledger, evidence = read_evidence((str(FIXTURES / story),), Scope(), Progress(quiet=True))
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
        proven = Proven("111111111111", "us-east-1", since, until + timedelta(hours=1))
        history, evidence = read("reused-in-3-seconds", [proven], unproven)
        witness = HolderIndex(history, Coverage(evidence.coverage), verified=True)
        return witness.who(ip_address(ip), datetime.fromisoformat(at), Filter())

    def test_it_is_proven_if_all_from_the_start_to_the_end_is(self) -> None:
        answer = self.asked()
        assert (answer.verdict, answer.rests_on) == (Verdict.CERTAIN, Ground.PROVEN)
        assert answer.reasons[-1] == (
            "proven by CloudTrail's digests: nothing is missing or changed from 2025-09-09 09:29:50Z to "
            "2025-09-09 10:12:41Z"
        )

    def test_a_second_that_is_not_proven_is_enough(self) -> None:
        second = timedelta(seconds=1)
        for answer in (self.asked(since=self.START + second), self.asked(until=self.END - second)):
            assert answer.rests_on is Ground.MERELY_READ
            assert answer.reasons[-1] == (
                "merely read: digests do not prove all from 2025-09-09 09:29:50Z to 2025-09-09 10:12:41Z"
            )

    def test_an_event_within_that_nothing_vouches_for_is_enough(self) -> None:
        time = datetime(2025, 9, 9, 9, 40, tzinfo=UTC)
        forged = Unproven("111111111111", "us-east-1", time, time + timedelta(seconds=2))
        assert self.asked(unproven=[forged]).rests_on is Ground.MERELY_READ

    def test_an_open_end_is_proven_up_to_the_time_asked_for(self) -> None:
        for at, expected in (
            ("10:19", (Verdict.CERTAIN, Ground.PROVEN)),  # a later call shows that the interface was there
            ("10:21", (Verdict.LIKELY, Ground.MERELY_READ)),
            ("11:00", (Verdict.LIKELY, Ground.MISSING)),
        ):
            until = datetime(2025, 9, 9, 10, 20, tzinfo=UTC)
            answer = self.asked(until=until, at=f"2025-09-09T{at}Z")
            assert (answer.verdict, answer.rests_on) == expected

    def test_where_nobody_is_known_nothing_is_said_of_what_it_rests_on(self) -> None:
        answer = self.asked(ip="10.99.99.99")
        assert (answer.verdict, answer.rests_on) == (Verdict.UNKNOWN, None)
        assert answer.reasons == ("no event in the evidence shows this address on an interface",)

    def test_of_a_holder_whose_beginning_is_not_in_the_evidence_it_is_missing(self) -> None:
        history, evidence = read("logs-begin-in-the-middle")
        lease = next(lease for lease in history.leases if lease.start.time is None)
        assert lease.end.time is not None
        witness = HolderIndex(history, Coverage(evidence.coverage), verified=True)
        answer = witness.who(ip_address(str(lease.held)), lease.end.time - timedelta(minutes=1), Filter())
        assert answer.rests_on is Ground.MISSING
        assert answer.reasons[-1] == "not proven by digests: its beginning is not in the evidence"

    def test_a_quiet_time_that_is_proven_lifts_the_doubt_that_a_hole_left(self) -> None:
        ledger, evidence = read_evidence((str(FIXTURES / "hole-in-the-logs"),), Scope(), Progress(quiet=True))
        history = build(ledger.events(), ledger.sessions())
        (reach,) = evidence.coverage
        (hole,) = reach.holes
        whole = Reach(reach.account, reach.region, reach.first, reach.last, (), (), ())
        proven = replace(whole, proven=(Period(reach.first, reach.last),))
        for each, doubted in ((reach, True), (proven, False)):
            answer = HolderIndex(history, Coverage((each,))).who(
                ip_address("10.144.9.77"), hole.end, Filter()
            )
            assert any("may have left" in reason for reason in answer.reasons) is doubted


class TestReport:
    def told(self, *proven: tuple[str, str], wanted: Filter | None = None) -> Report:
        day = "2025-06-17"
        spans = [
            Proven(
                "111111111111",
                "eu-west-1",
                datetime.fromisoformat(f"{day}T{start}Z"),
                datetime.fromisoformat(f"{day}T{end}Z") + timedelta(hours=1),
            )
            for start, end in proven
        ]
        return report(*read("stolen-address", spans), wanted or Filter())

    def test_where_all_is_proven_that_is_said_of_all_its_events(self) -> None:
        last = self.told(("10:00", "13:00")).summary[-1]
        assert last.sentence == (
            "2025-06-17 10:30:02 to 12:20:11Z: of 111111111111 in eu-west-1 nothing is missing or changed, "
            "as CloudTrail's digests prove."
        )
        assert last.events == tuple(range(1, 15))

    def test_the_events_that_are_merely_read_are_named(self) -> None:
        last = self.told(("10:00", "12:20:10")).summary[-1]
        assert last.sentence == (
            "2025-06-17 10:30:02 to 12:20:11Z: not all of 111111111111 in eu-west-1 is proven by "
            "CloudTrail's digests, and 1 call told here is merely read. See Evidence."
        )
        assert last.events == (14,)

    def test_between_calls_that_are_proven_others_may_be_missing(self) -> None:
        assert (
            self.told(("10:00", "10:40"), ("11:45", "13:00"))
            .summary[-1]
            .sentence.endswith(", and calls may be missing between those told here. See Evidence.")
        )

    @pytest.mark.parametrize(
        ("until", "rests_on"),
        [("13:00", [Ground.PROVEN, Ground.PROVEN]), ("12:00", [Ground.PROVEN, Ground.MERELY_READ])],
    )
    def test_each_holder_of_an_address_asked_for_says_what_it_rests_on(
        self, until: str, rests_on: list[Ground]
    ) -> None:
        found = self.told(("10:00", until), wanted=Filter(ip=(ip_network("10.60.12.50"),)))
        assert [tenure.rests_on for tenure in found.tenures or ()] == rests_on


class TestInFewWords:
    def test_how_much_is_proven_is_told_of_all_accounts_and_regions_together(self) -> None:
        other = Proven("222222222222", REGION, at("09:00"), at("12:00"))
        signs = [*files("09:00", "10:00"), *files("14:00", "15:00")]
        assert how_proven(cover(signs, (), [delivered("09:00", "11:00"), other])) == (
            "3 h 0 min proven by CloudTrail's digests, 1 h 0 min merely read, 4 h 0 min missing, "
            "of 2 accounts and Regions together"
        )

    def test_that_nothing_is_proven_comes_first(self) -> None:
        assert how_proven(cover(files("09:00", "10:30"), ())) == (
            "nothing proven by CloudTrail's digests (cnitrail verify says why), 1 h 30 min merely read"
        )
