"""Calls that configure trails: how they are decoded, and which times were not recorded."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from calls import (
    Call,
    create_trail,
    delete_trail,
    failed,
    on_bucket,
    put_advanced_selectors,
    put_event_selectors,
    selector,
    start_logging,
    stop_logging,
    update_trail,
)
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.decode import NAMES, Decoded, decode
from cnitrail.decode.trail_events import TRAIL_EVENTS
from cnitrail.history import Ledger, unrecorded
from cnitrail.history.recording import without_foreign_buckets
from cnitrail.model import BUCKET_CALLS, TRAIL_CALLS, Effect, Event, Origin, Record, TrailChange
from cnitrail.workflows.read import from_trails

ACCOUNT, REGION = "111111111111", "eu-west-1"
MAIN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/main"
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
MANAGEMENT = {"equals": ["Management"]}
LOG = f"trail/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/log.json.gz"


def record(call: Call, at: str = "10:00:00", number: int = 0, **head: Any) -> dict[str, Any]:
    """A record of a call by a person."""
    entry = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "userName": "eve", "accountId": ACCOUNT},
        "eventTime": f"2026-03-02T{at}Z",
        "eventSource": call.service,
        "eventName": call.event,
        "awsRegion": REGION,
        "requestParameters": call.request,
        "responseElements": call.response,
        "eventID": f"{number:08}-0000-0000-0000-000000000000",
        "recipientAccountId": ACCOUNT,
    }
    if call.error:
        entry |= {"errorCode": call.error[0], "errorMessage": call.error[1]}
    return entry | head


def decoded(call: Call, **head: Any) -> Decoded:
    return decode(Record((Origin(LOG, 0),), json.dumps(record(call, **head)).encode()))


def change(call: Call) -> TrailChange:
    """Return the change that a valid call made to a trail."""
    found = decoded(call)
    assert found.problems == ()
    assert isinstance(found.fact, Event)
    assert found.fact.effect is Effect.RECORD
    assert found.fact.trail is not None
    return found.fact.trail


def unrecorded_times(
    *calls: tuple[str, Call], source: str = LOG, **head: Any
) -> list[tuple[str, str, str | None]]:
    """Return the unrecorded times after some calls: reason, start, end."""
    return [
        (period.reason.value, clock(period.start), clock(period.end) if period.end else None)
        for period in unrecorded(events(*calls, source=source, **head))
    ]


def events(*calls: tuple[str, Call], source: str = LOG, **head: Any) -> tuple[Event, ...]:
    ledger = Ledger()
    for number, (at, call) in enumerate(calls):
        entry = record(call, at, number, **head)
        fact = decode(Record((Origin(source, number),), json.dumps(entry).encode())).fact
        assert fact is not None
        ledger.add(fact)
    return ledger.events()


def clock(time: datetime) -> str:
    return f"{time:%H:%M:%S}"


class TestReading:
    def test_every_such_call_is_decoded(self) -> None:
        assert {*TRAIL_EVENTS} == {*TRAIL_CALLS, *BUCKET_CALLS}
        assert {*TRAIL_EVENTS} <= {*NAMES}

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            (stop_logging("main"), "stopped"),
            (stop_logging(MAIN), "stopped"),
            (start_logging("main"), "started"),
            (delete_trail("main"), "deleted"),
            (create_trail("main", "logs"), "created"),
            (update_trail("main", kmsKeyId="x"), "changed"),
            (put_event_selectors("main", selector()), "widened"),
            (on_bucket("DeleteBucketPolicy", "logs"), "bucket-changed"),
        ],
    )
    def test_every_call_has_its_effect(self, call: Call, expected: str) -> None:
        assert change(call).change.value == expected

    def test_a_trail_is_identified_by_the_arn_of_the_response_if_present(self) -> None:
        selectors = put_event_selectors("main", selector())
        answered = Call(selectors.event, selectors.request, {"trailARN": MAIN}, service=selectors.service)
        assert (change(selectors).trail, change(answered).trail) == ("main", MAIN)

    def test_the_same_name_of_another_service_is_irrelevant(self) -> None:
        assert decoded(stop_logging("main"), eventSource="logs.amazonaws.com") == Decoded(None)

    def test_a_call_without_a_name_is_reported(self) -> None:
        assert decoded(Call("StopLogging", {}, service="cloudtrail.amazonaws.com")).problems == (
            "StopLogging: name is None, not an ID",
        )

    def test_a_policy_that_names_cloudtrail_shows_the_bucket_of_a_trail(self) -> None:
        statement = {
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceArn": MAIN}},
        }
        found = change(on_bucket("PutBucketPolicy", "logs", bucketPolicy={"Statement": [statement]}))
        assert (found.bucket, found.trail, found.delivers) == ("logs", MAIN, True)


class TestSelectors:
    """Whether EC2's write calls are recorded: all, none, or some of them."""

    @pytest.mark.parametrize(
        ("selectors", "expected"),
        [
            ([selector("All")], True),
            ([selector("WriteOnly")], True),
            ([{}], True),  # missing fields have their defaults
            ([{"dataResources": []}], True),
            ([selector("ReadOnly")], False),
            ([selector("All", management=False)], False),
            ([selector("ReadOnly"), selector("WriteOnly")], True),
            ([selector("ReadOnly"), selector("All", management=False)], False),
            ([selector() | {"excludeManagementEventSources": ["kms.amazonaws.com"]}], True),
            ([selector() | {"excludeManagementEventSources": ["ec2.amazonaws.com"]}], False),
        ],
    )
    def test_of_the_basic_kind_are_decoded(self, selectors: list[dict[str, Any]], expected: bool) -> None:
        found = change(put_event_selectors("main", *selectors))
        assert (found.records_writes, found.change.value) == (expected, "widened" if expected else "narrowed")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ([{"eventCategory": MANAGEMENT}], True),
            ([{"eventCategory": MANAGEMENT, "readOnly": {"equals": ["false"]}}], True),
            ([{"eventCategory": MANAGEMENT, "readOnly": {"equals": ["true"]}}], False),
            ([{"eventCategory": {"equals": ["Data"]}, "readOnly": {"equals": ["false"]}}], False),
            ([{"readOnly": {"equals": ["false"]}}], False),
            ([{"eventCategory": MANAGEMENT, "eventSource": {"notEquals": ["kms.amazonaws.com"]}}], True),
            ([{"eventCategory": MANAGEMENT, "eventSource": {"notEquals": ["ec2.amazonaws.com"]}}], False),
            ([{"eventCategory": MANAGEMENT, "eventSource": {"notStartsWith": ["ec2."]}}], False),
            ([{"eventCategory": MANAGEMENT, "eventSource": {"equals": ["s3.amazonaws.com"]}}], False),
            (
                [{"eventCategory": MANAGEMENT, "eventSource": {"equals": ["s3.a"], "startsWith": ["ec2."]}}],
                True,
            ),
            ([{"eventCategory": MANAGEMENT, "eventName": {"notEndsWith": ["Addresses"]}}], None),
            ([{"eventCategory": MANAGEMENT, "eventName": {"equals": ["ConsoleLogin"]}}], False),
            ([{"eventCategory": MANAGEMENT, "eventName": {"startsWith": ["Assign"]}}], None),
            (
                [
                    {"eventCategory": MANAGEMENT, "eventName": {"startsWith": ["Assign"]}},
                    {"eventCategory": MANAGEMENT, "eventName": {"notStartsWith": ["Assign"]}},
                ],
                True,
            ),
            ([{"eventCategory": MANAGEMENT, "eventType": {"equals": ["AwsApiCall"]}}], None),
            (
                [
                    {
                        "eventCategory": MANAGEMENT,
                        "userIdentity.arn": {"notEquals": ["arn:aws:iam::1:user/eve"]},
                    }
                ],
                None,
            ),
            (
                [
                    {"eventCategory": MANAGEMENT, "readOnly": {"equals": ["true"]}},
                    {
                        "eventCategory": {"equals": ["Data"]},
                        "resources.type": {"equals": ["AWS::S3::Object"]},
                    },
                ],
                False,
            ),
        ],
    )
    def test_of_the_advanced_kind_are_decoded(
        self, fields: list[dict[str, Any]], expected: bool | None
    ) -> None:
        found = change(put_advanced_selectors("main", *fields))
        assert (found.records_writes, found.change.value) == (expected, "widened" if expected else "narrowed")

    @pytest.mark.parametrize(
        "request_", [None, {}, {"trailName": "main"}, {"trailName": "main", "eventSelectors": []}]
    )
    def test_that_cannot_be_read_may_record_less(self, request_: dict[str, Any] | None) -> None:
        found = decoded(Call("PutEventSelectors", request_, service="cloudtrail.amazonaws.com"))
        assert isinstance(found.fact, Event)
        assert found.fact.trail is not None
        assert (found.fact.trail.change.value, found.fact.trail.records_writes) == ("narrowed", None)
        assert found.problems


class TestUnrecorded:
    """Times in which not all of EC2's write calls were recorded, including the seconds of the calls."""

    def test_time_is_from_stop_to_start(self) -> None:
        assert unrecorded_times(("10:00:00", stop_logging("main")), ("10:30:00", start_logging("main"))) == [
            ("trail-stopped", "10:00:00", "10:30:01")
        ]

    def test_a_name_and_an_arn_are_the_same_trail(self) -> None:
        assert unrecorded_times(("10:00:00", stop_logging("main")), ("10:30:00", start_logging(MAIN))) == [
            ("trail-stopped", "10:00:00", "10:30:01")
        ]

    def test_time_without_a_start_is_open(self) -> None:
        assert unrecorded_times(("10:00:00", stop_logging("main"))) == [("trail-stopped", "10:00:00", None)]

    def test_a_start_in_the_same_second_may_have_come_first(self) -> None:
        assert unrecorded_times(("10:00:00", stop_logging("main")), ("10:00:00", start_logging("main"))) == [
            ("trail-stopped", "10:00:00", None)
        ]

    def test_a_second_stop_changes_nothing(self) -> None:
        calls = [("10:00:00", stop_logging("main")), ("10:10:00", stop_logging("main"))]
        assert unrecorded_times(*calls, ("10:30:00", start_logging("main"))) == [
            ("trail-stopped", "10:00:00", "10:30:01")
        ]

    def test_a_failed_stop_changes_nothing(self) -> None:
        refused = failed(stop_logging("main"), "AccessDenied", "not authorized")
        assert unrecorded_times(("10:00:00", refused)) == []

    def test_a_failed_start_does_not_end_it(self) -> None:
        refused = failed(start_logging("main"), "AccessDenied", "not authorized")
        assert unrecorded_times(("10:00:00", stop_logging("main")), ("10:10:00", refused)) == [
            ("trail-stopped", "10:00:00", None)
        ]

    def test_time_is_from_reads_only_to_all_events(self) -> None:
        narrowed = put_event_selectors("main", selector("ReadOnly"))
        widened = put_event_selectors("main", selector("All"))
        assert unrecorded_times(("10:00:00", narrowed), ("10:30:00", widened)) == [
            ("trail-narrowed", "10:00:00", "10:30:01")
        ]

    def test_selectors_that_keep_writes_leave_nothing_out(self) -> None:
        assert unrecorded_times(("10:00:00", put_event_selectors("main", selector("WriteOnly")))) == []

    def test_a_deleted_trail_records_again_only_after_it_is_created_and_started(self) -> None:
        calls = [
            ("10:00:00", delete_trail("main")),
            ("10:10:00", create_trail("main", "logs", isMultiRegionTrail=True)),
        ]
        assert unrecorded_times(*calls) == [("trail-deleted", "10:00:00", None)]
        assert unrecorded_times(*calls, ("10:20:00", start_logging("main"))) == [
            ("trail-deleted", "10:00:00", "10:20:01")
        ]

    def test_a_start_of_another_trail_does_not_end_it(self) -> None:
        calls = [("10:00:00", stop_logging("main")), ("10:01:00", create_trail("other", "elsewhere"))]
        assert unrecorded_times(*calls, ("10:02:00", start_logging("other"))) == [
            ("trail-stopped", "10:00:00", None)
        ]

    def test_a_trail_that_was_created_later_did_not_deliver_the_logs(self) -> None:
        calls = [("10:00:00", create_trail("other", "elsewhere")), ("10:01:00", start_logging("other"))]
        assert unrecorded_times(*calls, ("10:30:00", stop_logging("other"))) == []

    def test_a_trail_of_the_same_name_in_another_region_is_another_one(self) -> None:
        elsewhere = MAIN.replace(REGION, "us-west-2")
        assert unrecorded_times(
            ("10:00:00", stop_logging("main")), ("10:30:00", start_logging(elsewhere))
        ) == [("trail-stopped", "10:00:00", None)]

    def test_insights_change_nothing(self) -> None:
        insights = Call(
            "PutInsightSelectors",
            {"trailName": "main", "insightSelectors": []},
            service="cloudtrail.amazonaws.com",
        )
        assert unrecorded_times(("10:00:00", insights)) == []

    def test_a_trail_of_one_region_leaves_out_the_others(self) -> None:
        (found,) = unrecorded(events(("10:00:00", update_trail("main", isMultiRegionTrail=False))))
        assert (found.reason.value, found.region, found.unless_region, found.partly) == (
            "trail-narrowed",
            None,
            REGION,
            True,
        )
        assert [found.concerns(ACCOUNT, region) for region in (REGION, "us-east-1")] == [False, True]

    def test_a_trail_concerns_its_account_in_all_regions(self) -> None:
        (found,) = unrecorded(events(("10:00:00", stop_logging("main"))))
        assert (found.account, found.region) == (ACCOUNT, None)
        assert found.concerns(ACCOUNT, "us-east-1")
        assert not found.concerns("222222222222", REGION)

    def test_an_organization_trail_concerns_every_account(self) -> None:
        source = LOG.replace("AWSLogs/", "AWSLogs/o-abcdefghij/")
        (found,) = unrecorded(events(("10:00:00", stop_logging("main")), source=source))
        assert found.account is None

    def test_event_history_does_not_depend_on_trails(self) -> None:
        source = "lookup:111111111111/eu-west-1/EventName=StopLogging/page-1"
        stopped = events(("10:00:00", stop_logging("main")), source=source)
        assert unrecorded(from_trails(stopped)) == []
        assert len(unrecorded(stopped)) == 1

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 40),
                st.sampled_from(
                    [
                        stop_logging("main"),
                        start_logging("main"),
                        put_event_selectors("main", selector("ReadOnly")),
                        put_event_selectors("main", selector("All")),
                        delete_trail("main"),
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_every_second_without_recording_is_included(self, calls: list[tuple[int, Call]]) -> None:
        """Compared with a trail that is simulated second by second, with calls in the worst order."""
        found = unrecorded(events(*((f"10:00:{at:02}", call) for at, call in calls)))
        logging, writes = True, True
        for second in range(60):
            here = [call for at, call in calls if at == second]
            for call in here:
                if call.event in ("StopLogging", "DeleteTrail"):
                    logging = False
                elif call.event == "StartLogging":
                    logging = not any(other.event in ("StopLogging", "DeleteTrail") for other in here)
                elif call.event == "PutEventSelectors":
                    writes = all(
                        selector["readWriteType"] == "All"
                        for other in here
                        if other.event == "PutEventSelectors"
                        for selector in (other.request or {})["eventSelectors"]
                    )
            time = MIDNIGHT + timedelta(hours=10, seconds=second)
            if not (logging and writes):
                assert any(
                    period.start <= time and (period.end is None or time < period.end) for period in found
                )


class TestBuckets:
    def kept(self, *calls: tuple[str, Call], source: str = "log.json") -> list[str]:
        return [event.name for event in without_foreign_buckets(events(*calls, source=source))]

    def test_calls_on_other_buckets_are_left_out(self) -> None:
        assert self.kept(("10:00:00", on_bucket("DeleteBucket", "photos"))) == []

    def test_calls_on_a_bucket_to_which_a_trail_delivers_are_kept(self) -> None:
        calls = [("09:00:00", create_trail("main", "logs")), ("10:00:00", on_bucket("DeleteBucket", "logs"))]
        assert self.kept(*calls) == ["CreateTrail", "DeleteBucket"]

    @pytest.mark.parametrize(
        "source", ["s3://logs/AWSLogs/111111111111/x.json.gz", "copy/logs/team/AWSLogs/x.json.gz"]
    )
    def test_calls_on_the_bucket_of_the_log_files_are_kept(self, source: str) -> None:
        deleted = on_bucket("DeleteBucketPolicy", "logs")
        assert self.kept(("10:00:00", deleted), source=source) == ["DeleteBucketPolicy"]
        assert self.kept(("10:00:00", on_bucket("DeleteBucketPolicy", "log")), source=source) == []

    def test_calls_on_a_bucket_whose_policy_names_cloudtrail_are_kept(self) -> None:
        policy = {"Statement": [{"Principal": {"Service": "cloudtrail.amazonaws.com"}}]}
        calls = [
            ("09:00:00", on_bucket("PutBucketPolicy", "logs", bucketPolicy=policy)),
            ("10:00:00", on_bucket("PutBucketLifecycle", "logs")),
        ]
        assert self.kept(*calls) == ["PutBucketPolicy", "PutBucketLifecycle"]
