"""Copies of one event in several forms: raw beats rebuilt, and only equals contradict each other."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from records import GOOD, PROVIDER, compact, failed, record
from test_any_order import RECORDS

from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.decode import Decoded, decode
from cnitrail.history import Ledger, build, cover
from cnitrail.model import ActorKind, Event, Fidelity, IssuedSession, Origin, Record, Verdict
from cnitrail.model.reason import ReasonCode
from cnitrail.render import actors

ASSIGN = GOOD["AssignPrivateIpAddresses"]
IRSA = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:session",
    "arn": "arn:aws:sts::111122223333:assumed-role/cni/session",
    "accountId": "111122223333",
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "arn": "arn:aws:iam::111122223333:role/cni",
            "accountId": "111122223333",
            "userName": "cni",
        },
        "webIdFederationData": {"federatedProvider": PROVIDER, "attributes": {}},
    },
}
PARTLY = {key: value for key, value in IRSA.items() if key != "sessionContext"}
MALLORY = {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/mallory", "userName": "mallory"}


def copy(entry: object, form: str = "trail", source: str = "") -> Decoded:
    return decode(Record((Origin(source or f"{form}.json", 0, form),), compact(entry)))


def fact(entry: object, form: str = "trail", source: str = "") -> Event:
    found = copy(entry, form, source).fact
    assert isinstance(found, Event)
    return found


def ledger(*facts: Event | IssuedSession, proven: tuple[Event, ...] = ()) -> Ledger:
    made = Ledger()
    for one in facts:
        made.add(one)
    for one in proven:
        made.add(one, proven=True)
    return made


def only(made: Ledger) -> Event:
    (event,) = made.events()
    return event


class TestRank:
    def test_a_raw_copy_counts_whatever_is_read_first_and_nothing_is_in_dispute(self) -> None:
        raw = fact(ASSIGN | {"userIdentity": IRSA})
        rebuilt = fact(ASSIGN | {"userIdentity": MALLORY}, "athena")
        for facts in ([raw, rebuilt], [rebuilt, raw]):
            made = ledger(*facts)
            event = only(made)
            assert (event.actor.kind, event.fidelity) == (ActorKind.IRSA, Fidelity.RAW)
            assert (event.disputed, made.disputes()) == ((), [])

    def test_origins_have_every_copy_with_its_form(self) -> None:
        made = ledger(fact(ASSIGN, "athena"), fact(ASSIGN), fact(ASSIGN, "sentinel"))
        assert [(origin.source, origin.form) for origin in only(made).origins] == [
            ("athena.json", "athena"),
            ("sentinel.json", "sentinel"),
            ("trail.json", "trail"),
        ]

    def test_a_rebuilt_copy_counts_more_than_a_partial_one(self) -> None:
        made = ledger(fact(ASSIGN, "sentinel"), fact(ASSIGN | {"userIdentity": IRSA}, "athena"))
        assert only(made).actor.kind is ActorKind.IRSA

    def test_two_raw_copies_that_differ_are_in_dispute_beside_a_rebuilt_one(self) -> None:
        raw = [fact(ASSIGN), fact(ASSIGN | {"userIdentity": MALLORY}, "lookup-events")]
        made = ledger(*raw, fact(ASSIGN, "athena"))
        assert only(made).actor.label == "unknown: its records disagree"
        (dispute,) = made.disputes()
        assert {dispute.origin.form, dispute.other.form} == {"trail", "lookup-events"}

    def test_an_intact_rebuilt_copy_counts_more_than_a_raw_one_that_may_be_altered(self) -> None:
        damaged = replace(fact(ASSIGN), damaged=True)
        made = ledger(damaged, fact(ASSIGN, "athena"))
        assert (only(made).actor.user, only(made).damaged) == ("ada", False)
        assert made.disputes() == []

    def test_an_intact_rebuilt_copy_does_not_replace_a_raw_one_of_a_damaged_file_that_differs(self) -> None:
        damaged = replace(fact(ASSIGN), damaged=True)
        rebuilt = fact(ASSIGN | {"userIdentity": MALLORY}, "athena")
        for facts in ([damaged, rebuilt], [rebuilt, damaged]):
            made = ledger(*facts)
            assert only(made).actor.label == "unknown: its records disagree"
            assert len(only(made).disputed) == 2
            (dispute,) = made.disputes()
            assert {dispute.origin.form, dispute.other.form} == {"trail", "athena"}

    def test_a_session_of_a_damaged_file_that_differs_from_a_rebuilt_one_is_not_left_out(self) -> None:
        entry = next(
            entry for entry in RECORDS["ironman"] if entry["eventName"] == "AssumeRoleWithWebIdentity"
        )
        other = json.loads(compact(entry).decode().replace("aws-load-balancer-controller", "mallory"))
        raw, rebuilt = copy(entry).fact, copy(other, "athena").fact
        assert isinstance(raw, IssuedSession)
        assert isinstance(rebuilt, IssuedSession)
        made = ledger(replace(raw, damaged=True), rebuilt)
        assert {session.service_account for session in made.sessions()} == {
            "kube-system/aws-load-balancer-controller",
            "kube-system/mallory",
        }
        assert len(made.disputes()) == 1

    def test_a_proven_record_leaves_nothing_open_between_a_damaged_and_a_rebuilt_copy(self) -> None:
        damaged = replace(fact(ASSIGN, "cloudwatch-logs"), damaged=True)
        rebuilt = fact(ASSIGN | {"userIdentity": MALLORY}, "athena")
        made = ledger(damaged, rebuilt, proven=(fact(ASSIGN),))
        assert (only(made).actor.user, only(made).disputed, made.disputes()) == ("ada", (), [])

    def test_a_correction_counts_more_than_its_original_in_a_better_form(self) -> None:
        correction = ASSIGN | {
            "eventID": "correction",
            "sourceIPAddress": "192.0.2.9",
            "addendum": {"originalEventID": ASSIGN["eventID"]},
        }
        made = ledger(fact(ASSIGN), fact(correction, "athena"))
        assert only(made).actor.source_ip == "192.0.2.9"

    def test_many_rebuilt_versions_do_not_crowd_out_the_raw_one(self) -> None:
        many = [fact(ASSIGN | {"userAgent": f"agent-{number}"}, "athena") for number in range(150)]
        assert only(ledger(*many, fact(ASSIGN))).fidelity is Fidelity.RAW

    def test_many_versions_that_are_not_proven_do_not_crowd_out_the_proven_one(self) -> None:
        many = [fact(ASSIGN | {"userAgent": f"agent-{number}"}) for number in range(150)]
        made = ledger(*many, proven=(fact(ASSIGN),))
        assert only(made).actor.agent.name == "aws-cli"
        assert made.proven() == {ASSIGN["eventID"]}


class TestProof:
    def test_a_rebuilt_copy_leaves_the_proof_as_it_is(self) -> None:
        rebuilt = fact(ASSIGN | {"userIdentity": MALLORY}, "athena")
        made = ledger(rebuilt, proven=(fact(ASSIGN),))
        assert made.proven() == {ASSIGN["eventID"]}
        assert made.disputes() == []
        assert only(made).actor.user == "ada"

    def test_a_raw_copy_that_differs_from_the_proven_one_is_reported(self) -> None:
        other = fact(ASSIGN | {"userIdentity": MALLORY}, "cloudwatch-logs")
        (dispute,) = ledger(other, proven=(fact(ASSIGN),)).disputes()
        assert (dispute.origin.form, dispute.proven) == ("cloudwatch-logs", True)


class TestRebuiltCopies:
    """Two copies that are not raw."""

    def test_agree_if_one_only_lacks_fields_and_the_fuller_one_counts(self) -> None:
        whole = fact(ASSIGN | {"userIdentity": IRSA}, "athena")
        for lacking in (
            fact(ASSIGN | {"userIdentity": PARTLY, "userAgent": None}, "security-lake"),
            fact(ASSIGN | {"userIdentity": None, "awsRegion": None}, "tailpipe"),
        ):
            for facts in ([whole, lacking], [lacking, whole]):
                made = ledger(*facts)
                assert made.disputes() == []
                assert only(made).actor == whole.actor

    def test_of_several_exports_with_the_same_content_agree(self) -> None:
        made = ledger(*(fact(ASSIGN, form) for form in ("athena", "security-lake", "tailpipe")))
        assert (made.disputes(), only(made).disputed) == ([], ())

    @pytest.mark.parametrize(
        "changed",
        [
            {"userIdentity": MALLORY},
            {"sourceIPAddress": "192.0.2.9"},
            {"eventTime": "2024-05-14T09:31:00Z"},
            {"userAgent": "another"},
            {"awsRegion": "eu-west-2"},
        ],
    )
    def test_are_in_dispute_if_a_field_that_both_have_differs(self, changed: dict[str, Any]) -> None:
        made = ledger(fact(ASSIGN, "athena"), fact(ASSIGN | changed, "security-lake"))
        assert len(made.disputes()) == 1
        assert len(only(made).disputed) == 2

    def test_are_in_dispute_about_addresses(self) -> None:
        other = GOOD["UnassignPrivateIpAddresses"] | {"eventID": "x"}
        released = str(fact(other, "athena").subjects[0].removed[0])
        changed = json.loads(compact(other).decode().replace(released, "10.9.9.9"))
        made = ledger(fact(other, "athena"), fact(changed, "security-lake"))
        assert len(made.disputes()) == 1

    def test_are_in_dispute_if_only_one_of_them_failed(self) -> None:
        made = ledger(fact(ASSIGN, "athena"), fact(failed(ASSIGN), "security-lake"))
        assert len(made.disputes()) == 1

    def test_that_lack_different_values_of_a_third_are_all_found_in_dispute(self) -> None:
        lacking = fact(ASSIGN | {"sourceIPAddress": None}, "athena")
        two = [fact(ASSIGN | {"sourceIPAddress": ip}, "security-lake") for ip in ("192.0.2.1", "192.0.2.2")]
        for facts in ([lacking, *two], [*two, lacking], [two[0], lacking, two[1]]):
            assert len(ledger(*facts).disputes()) == 1


class TestRowsWithoutEventId:
    """A query may leave out the event ID, and with it what tells calls apart."""

    def test_are_copies_of_the_event_with_the_same_call_time_and_content(self) -> None:
        row = fact(ASSIGN | {"eventID": None, "awsRegion": None, "userAgent": None}, "athena")
        for facts in ([fact(ASSIGN), row], [row, fact(ASSIGN)]):
            event = only(ledger(*facts))
            assert event.event_id == ASSIGN["eventID"]
            assert [origin.form for origin in event.origins] == ["athena", "trail"]

    @pytest.mark.parametrize(
        "changed",
        [{"userIdentity": MALLORY}, {"eventTime": "2024-05-14T09:31:00Z"}, {"errorCode": "Client.Refused"}],
    )
    def test_are_events_of_their_own_if_anything_differs(self, changed: dict[str, Any]) -> None:
        row = fact(ASSIGN | {"eventID": None} | changed, "athena")
        assert len(ledger(fact(ASSIGN), row).events()) == 2

    def test_alone_are_events(self) -> None:
        assert only(ledger(fact(ASSIGN | {"eventID": None}, "athena"))).event_id is None

    def test_a_raw_record_without_an_id_is_no_copy(self) -> None:
        assert len(ledger(fact(ASSIGN), fact(ASSIGN | {"eventID": None})).events()) == 2


VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"userIdentity": IRSA},
    {"userIdentity": PARTLY},
    {"userIdentity": MALLORY},
    {"userAgent": None},
    {"awsRegion": None},
    {"sourceIPAddress": "192.0.2.9"},
    {"eventTime": "2024-05-14T09:31:00Z"},
)
COPIES = st.lists(
    st.tuples(
        st.sampled_from(VARIANTS),
        st.sampled_from(["trail", "lookup-events", "athena", "security-lake", "sentinel"]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


class TestAnyOrder:
    @given(copies=COPIES, data=st.data())
    def test_of_copies_gives_the_same_event_proof_and_disputes(
        self, copies: list[tuple[dict[str, Any], str, bool, bool]], data: st.DataObject
    ) -> None:
        facts = [
            (replace(fact(ASSIGN | changed, form, f"{number}.json"), damaged=damaged), proven)
            for number, (changed, form, damaged, proven) in enumerate(copies)
        ]
        results = []
        for order in (facts, data.draw(st.permutations(facts))):
            made = Ledger()
            for one, proven in order:
                made.add(one, proven=proven)
            results.append((made.events(), made.proven(), made.disputes()))
        assert results[0] == results[1]

    @given(copies=COPIES)
    def test_rebuilt_copies_change_nothing_of_a_raw_one(
        self, copies: list[tuple[dict[str, Any], str, bool, bool]]
    ) -> None:
        raw = fact(ASSIGN | {"userIdentity": IRSA})
        rebuilt = [
            fact(ASSIGN | changed, form)
            for changed, form, *_ in copies
            if form not in ("trail", "lookup-events")
        ]
        made = ledger(*rebuilt, raw)
        assert replace(only(made), origins=raw.origins) == raw
        assert made.disputes() == []


class TestIdentity:
    @pytest.mark.parametrize(
        ("form", "basis"),
        [
            ("trail", None),
            ("cloudwatch-logs", None),
            ("athena", "query-row"),
            ("cloudtrail-lake", "query-row"),
            ("security-lake", "ocsf"),
            ("sentinel", "sentinel-columns"),
        ],
    )
    def test_has_the_basis_of_its_form(self, form: str, basis: str | None) -> None:
        event = fact(ASSIGN | {"userIdentity": IRSA}, form)
        assert (event.actor.kind, event.actor.basis.identity) == (ActorKind.IRSA, basis)

    def test_of_a_record_in_two_forms_is_that_of_the_better_one(self) -> None:
        origins = (Origin("a", 0, "athena"), Origin("b", 0, "trail"))
        event = decode(Record(origins, compact(ASSIGN))).fact
        assert isinstance(event, Event)
        assert (event.fidelity, event.actor.basis.identity) == (Fidelity.RAW, None)

    def test_a_session_has_a_fidelity(self) -> None:
        entry = next(
            entry for entry in RECORDS["ironman"] if entry["eventName"] == "AssumeRoleWithWebIdentity"
        )
        session = copy(entry, "athena").fact
        assert isinstance(session, IssuedSession)
        assert session.fidelity is Fidelity.REBUILT

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ("trail", []),
            ("athena", ["identity rebuilt from the row of a query"]),
            ("security-lake", ["identity rebuilt from OCSF fields"]),
        ],
    )
    def test_that_is_rebuilt_is_said_among_the_details_of_a_principal(
        self, form: str, said: list[str]
    ) -> None:
        shown = actors.facts(fact(ASSIGN, form).actor)
        assert [one for one in shown if one.startswith("identity")] == said


class TestMissingFields:
    """What a copy lacks shows nothing."""

    @pytest.mark.parametrize("form", ["athena", "sentinel"])
    def test_without_error_and_response_a_call_is_not_taken_to_have_succeeded(self, form: str) -> None:
        entry = GOOD["UnassignPrivateIpAddresses"] | {"responseElements": None}
        found = copy(entry, form)
        assert found.fact is None
        (problem,) = found.problems
        assert problem == (
            "UnassignPrivateIpAddresses: "
            "neither an error nor a response, so it is unclear whether the call succeeded"
        )
        assert found.lost is not None
        assert found.lost.enis != ()

    def test_a_call_to_cloudtrail_needs_no_response(self) -> None:
        entry = record("StopLogging", {"name": "trail"}, eventSource="cloudtrail.amazonaws.com")
        assert fact(entry, "athena").name == "StopLogging"

    @pytest.mark.parametrize(
        ("form", "verdict"),
        [("trail", Verdict.CERTAIN), ("athena", Verdict.CERTAIN), ("sentinel", Verdict.LIKELY)],
    )
    def test_who_is_not_certain_by_a_partial_copy(self, form: str, verdict: Verdict) -> None:
        decoded = [copy(entry, form).fact for entry in RECORDS["ironman"]]
        made = ledger(*(found for found in decoded if found is not None))
        history = build(made.events(), made.sessions())
        coverage = cover(set(), made.events(), assume_complete=True)
        at = datetime(2022, 10, 5, 14, tzinfo=UTC)
        answer = HolderIndex(history, coverage).who(ip_address("192.168.34.201"), at, Filter())
        assert answer.verdict is verdict
        partial = [reason.text for reason in answer.reasons if reason.code is ReasonCode.PARTIAL_COPY]
        assert [text.partition(" is known only ")[2] for text in partial] == (
            ["from a form that does not keep all fields (Microsoft Sentinel rows of AWSCloudTrail)"]
            if form == "sentinel"
            else []
        )
