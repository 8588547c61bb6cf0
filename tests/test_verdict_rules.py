"""How reliable an answer of ``who`` is: every rule, every doubt, and the code of every reason."""

from collections.abc import Iterable
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from test_history import (
    NOON,
    assign,
    at,
    attach,
    create,
    detach,
    history,
    shown,
    steal,
    terminate,
    unassign,
)

from cnitrail.answers.who.doubts import CHECKS, doubts
from cnitrail.answers.who.indexes import HolderAt, IndexedEvidence
from cnitrail.answers.who.verdict_rules import RULES, Situation, judge
from cnitrail.history import cover
from cnitrail.model import Basis, Bound, Event, HoldingKind, Lease, Sign, Verdict
from cnitrail.model.reason import MEANING, Reason, ReasonCode

IP = ip_address("10.0.0.5")
DOUBT = Reason(ReasonCode.LOG_GAP, "log gap")
NEXT = Reason(ReasonCode.NEXT_HOLDER, "seen on eni-b 3 s later")


def lease(eni: str, start: int, end: int | None, vpc: str | None = "vpc-1") -> Lease:
    """A lease with both bounds in seconds after noon; an end of None is open."""
    until = Bound(at(end), Basis.OBSERVED) if end is not None else Bound(None, Basis.OPEN)
    return Lease(
        held=IP,
        kind=HoldingKind.SECONDARY,
        eni=eni,
        vpc=vpc,
        start=Bound(at(start), Basis.OBSERVED),
        end=until,
    )


def situation(second: int, *holders: Lease, **more: Any) -> Situation:
    vpcs = frozenset(holder.vpc for holder in holders)
    whole: dict[str, Any] = {"contested": False, **more}
    return Situation(ip=IP, second=at(second), holders=holders, vpcs=vpcs, **whole)


def verdict(case: Situation) -> tuple[str, list[str]]:
    found, reasons = judge(case)
    return found.value, [reason.code.value for reason in reasons]


def applying(case: Situation) -> list[str]:
    """Return the names of all rules that apply; the first decides."""
    return [rule.name for rule in RULES if rule.applies(case)]


class TestRules:
    A, B = lease("eni-a", 0, 100), lease("eni-b", 0, 100)

    def test_without_a_holder_the_answer_is_unknown(self) -> None:
        assert verdict(situation(50)) == ("unknown", [])

    def test_without_a_holder_since_a_release_it_is_free_unless_that_is_in_doubt_or_unproven(self) -> None:
        assert verdict(situation(50, released=at(40))) == ("free", ["not-assigned-since"])
        assert verdict(situation(50, released=at(40), doubts=(DOUBT,))) == ("unknown", ["log-gap"])
        assert verdict(situation(50, released=at(40), unproven=True)) == ("unknown", [])

    @pytest.mark.parametrize("second", [0, 100])
    def test_a_change_in_the_second_itself_is_ambiguous(self, second: int) -> None:
        assert verdict(situation(second, self.A)) == ("ambiguous", ["same-second"])

    def test_the_seconds_before_and_after_a_change_are_certain(self) -> None:
        assert [verdict(situation(second, self.A))[0] for second in (1, 99)] == ["certain", "certain"]

    def test_a_termination_in_the_second_does_not_change_the_address(self) -> None:
        ended = Bound(at(100), Basis.IMPLIED, terminate(100, "i-1"))
        held = Lease(
            held=IP, kind=HoldingKind.SECONDARY, eni="eni-a", vpc=None, start=self.A.start, end=ended
        )
        assert "same-second" not in applying(situation(100, held))

    def test_an_unknown_order_of_calls_is_ambiguous(self) -> None:
        case = situation(50, self.A, contested=True)
        assert verdict(case) == ("ambiguous", ["order-unknown"])

    def test_two_enis_of_one_vpc_are_ambiguous(self) -> None:
        assert verdict(situation(50, self.A, self.B)) == ("ambiguous", ["change-unknown"])

    def test_two_vpcs_are_ambiguous_and_the_reason_names_them(self) -> None:
        case = situation(50, self.A, lease("eni-b", 0, 100, vpc="vpc-2"))
        _, (reason,) = judge(case)
        assert reason.code is ReasonCode.OTHER_VPC
        assert reason.text == "10.0.0.5 exists in 2 VPCs (vpc-1, vpc-2); narrow with --vpc vpc-1"

    def test_an_eni_of_unknown_vpc_is_ambiguous(self) -> None:
        case = situation(50, self.A, lease("eni-b", 0, 100, vpc=None))
        assert verdict(case) == ("ambiguous", ["vpc-unknown"])

    def test_two_leases_of_one_eni_are_one_holder(self) -> None:
        assert verdict(situation(50, self.A, lease("eni-a", 10, 90)))[0] == "certain"

    def test_any_doubt_makes_a_single_holder_likely_and_is_named(self) -> None:
        case = situation(50, self.A, doubts=(DOUBT,), next_holders=(NEXT,))
        assert verdict(case) == ("likely", ["next-holder", "log-gap"])

    def test_a_missing_requested_proof_makes_it_likely(self) -> None:
        assert verdict(situation(50, self.A, unproven=True)) == ("likely", [])

    def test_otherwise_it_is_certain_and_names_the_next_holder(self) -> None:
        assert verdict(situation(50, self.A, next_holders=(NEXT,))) == ("certain", ["next-holder"])

    def test_a_weaker_verdict_comes_before_a_stronger_one_after_those_without_a_holder(self) -> None:
        strength = (Verdict.FREE, Verdict.UNKNOWN, Verdict.AMBIGUOUS, Verdict.LIKELY, Verdict.CERTAIN)
        ranks = [strength.index(rule.verdict) for rule in RULES]
        assert ranks == sorted(ranks)

    def test_one_rule_applies_whatever_the_situation(self) -> None:
        assert applying(situation(50))[-1] == "beyond-doubt"


def codes(second: int, *events: Event, signs: Iterable[Sign] = (), eni: str = "eni-a") -> list[str]:
    """The codes of the doubts about the last lease of an interface that covers a second."""
    past = history(*events)
    coverage = cover(signs, past.events, assume_complete=not signs)
    evidence = IndexedEvidence.of(past, coverage)
    held = next(
        known
        for known in reversed(past.leases)
        if known.eni == eni and known.held == IP and (known.end.time is None or known.end.time >= at(second))
    )
    return [doubt.code.value for doubt in doubts(HolderAt.of(evidence, held, at(second)))]


class TestDoubts:
    RELEASED = (create(0, "eni-a", "10.0.0.5"), unassign(100, "eni-a", "10.0.0.5"))

    @staticmethod
    def files(*minutes: int) -> list[Sign]:
        return [("111111111111", "eu-west-1", NOON + timedelta(minutes=minute)) for minute in minutes]

    def test_two_observed_bounds_leave_no_doubt(self) -> None:
        assert codes(50, *self.RELEASED) == []

    def test_an_unseen_start_is_a_doubt(self) -> None:
        assert "start-unknown" in codes(50, unassign(100, "eni-a", "10.0.0.5"))

    def test_an_unseen_end_is_a_doubt(self) -> None:
        assert codes(50, create(0, "eni-a", "10.0.0.5")) == ["no-release-seen", "after-evidence"]

    def test_a_later_event_of_the_eni_removes_the_doubt(self) -> None:
        assert codes(50, create(0, "eni-a", "10.0.0.5"), assign(90, "eni-a", "10.0.0.9")) == []

    def test_an_inferred_end_is_a_doubt(self) -> None:
        events = (create(0, "eni-a", "10.0.0.5"), create(0, "eni-b"), steal(100, "eni-b", "10.0.0.5"))
        assert codes(50, *events) == ["implied-end"]

    def test_a_possible_reassignment_to_an_eni_of_unknown_vpc_is_a_doubt(self) -> None:
        events = (*self.RELEASED, steal(30, "eni-x", "10.0.0.5"))
        assert "may-be-taken" in codes(50, *events)
        assert "may-be-taken" not in codes(20, *events)

    def test_a_log_gap_since_the_assignment_is_a_doubt(self) -> None:
        signs = self.files(*range(-60, 60, 5), *range(180, 300, 5))
        events = (create(0, "eni-a", "10.0.0.5"), assign(4 * 3600, "eni-a", "10.0.0.9"))
        assert codes(600, *events, signs=signs) == []
        assert "log-gap" in codes(2 * 3600, *events, signs=signs)

    def test_an_instance_without_later_events_is_a_doubt(self) -> None:
        events = (*self.RELEASED, attach(10, "eni-a", "i-1", "eni-attach-1"))
        assert codes(50, *events) == ["no-later-sign"]
        assert codes(50, *events, detach(200, "eni-attach-1")) == []

    def test_an_attachment_in_the_same_second_is_a_doubt(self) -> None:
        events = (*self.RELEASED, attach(50, "eni-a", "i-1", "eni-attach-1"), detach(90, "eni-attach-1"))
        assert codes(50, *events) == ["attached-same-second"]

    def test_an_unknown_time_of_detachment_is_a_doubt(self) -> None:
        events = (
            *(*self.RELEASED, attach(10, "eni-a", "i-1", "eni-attach-1")),
            attach(90, "eni-a", "i-2", "eni-attach-2"),
        )
        assert codes(50, *events) == ["detach-time-unknown"]

    def test_an_eni_older_than_its_instance_is_a_doubt(self) -> None:
        assert "start-unknown" in codes(10, shown(5, "eni-a", "10.0.0.5"), unassign(90, "eni-a", "10.0.0.5"))

    def test_unknown_coverage_is_a_doubt(self) -> None:
        past = history(*self.RELEASED)
        (held,) = past.leases
        evidence = IndexedEvidence.of(past, cover((), past.events))
        found = [doubt.code for doubt in doubts(HolderAt.of(evidence, held, at(50)))]
        assert found == [ReasonCode.COVERAGE_UNKNOWN]

    def test_every_check_occurs_once(self) -> None:
        assert len(set(CHECKS)) == len(CHECKS)


class TestReasons:
    def test_every_code_has_a_one_sentence_meaning(self) -> None:
        assert list(MEANING) == list(ReasonCode)
        assert all(text.endswith(".") and len(text) < 100 for text in MEANING.values())

    def test_codes_are_in_kebab_case_and_match_their_names(self) -> None:
        assert all(code.value == code.name.lower().replace("_", "-") for code in ReasonCode)

    def test_a_reason_has_the_ids_of_its_events(self) -> None:
        first, second = create(0, "eni-a"), assign(1, "eni-a", "10.0.0.5")
        reason = Reason.citing(ReasonCode.ASSIGNED, "assigned", first, None, second)
        assert reason.events == (first.event_id, second.event_id)
