"""The LookupEvents source, against a loopback server with CloudTrail's protocol."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import botocore.loaders
import pytest
from accounts import added_up
from callers import Irsa, Role
from calls import Eni, Instance, Subnet, assign, unassign
from cloudtrail_server import CloudTrail, Record, serve
from cni import CNI_1_21, adds_eni, frees_eni, launch, of_cni, sdk_of, signs_in
from conftest import Run
from msgspec.structs import replace
from stories import STORIES
from trail import Noise, Trail

from cnitrail.answers.filters import Filter
from cnitrail.answers.timeline import timeline
from cnitrail.decode import MARKERS, NAMES, decode
from cnitrail.decode.lookup_hints import LOOKUP_HINTS
from cnitrail.errors import EmptySourceError, SourceError
from cnitrail.history import Ledger, build
from cnitrail.model import (
    BUCKET_CALLS,
    TRAIL_CALLS,
    CutShort,
    Document,
    LookupProgress,
    Note,
    Scope,
    Skipped,
    TimelineEntry,
)
from cnitrail.scan import Scanner
from cnitrail.sources import lookup
from cnitrail.sources.lookup import LookupSource
from cnitrail.sources.rate_limit import RateLimiter

REGION = "eu-west-1"
ACCOUNT = "111111111111"
IRONMAN = "i-03846c730abe852f4"
NODE = "i-0123456789abcdef0"
LOADER = botocore.loaders.create_loader()  # later than any time in these tests
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


class FastClock:
    """A clock whose waits return at once."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)


class Reading:
    """Everything that a source delivers."""

    def __init__(self, scope: Scope, trail: CloudTrail) -> None:
        self.documents: dict[str, bytes] = {}
        self.notes: list[Note] = []
        self.skipped: list[Skipped] = []
        self.cuts: list[CutShort] = []
        self.progress: list[LookupProgress] = []
        self.ledger = Ledger()
        self.records = 0
        scanner = Scanner(NAMES, MARKERS)
        before = len(trail.calls)
        source = LookupSource("lookup:", replace(scope, endpoint_url=trail.url), FastClock())
        for delivered in source.documents():
            if isinstance(delivered, Document):
                text = b"".join(delivered.chunks)
                self.documents[delivered.uri] = text
                page = Document(uri=delivered.uri, chunks=iter((text,)))
                ((part, tally),) = scanner.parts(page)
                for record in scanner.scan(part, tally):
                    assert not isinstance(record, Skipped), record
                    fact = decode(record).fact
                    if fact is not None:
                        self.ledger.add(fact)
                self.records += tally.records
            elif isinstance(delivered, Note):
                self.notes.append(delivered)
            elif isinstance(delivered, Skipped):
                self.skipped.append(delivered)
            elif isinstance(delivered, CutShort):
                self.cuts.append(delivered)
                self.skipped.append(Skipped(delivered.source, delivered.reason))
            elif isinstance(delivered, LookupProgress):
                self.progress.append(delivered)
        self.calls = trail.calls[before:]

    def entries(self, **wanted: Any) -> list[TimelineEntry]:
        """The timeline of these records, without the origins of its entries."""
        history = build(self.ledger.events(), self.ledger.sessions())
        return [replace(entry, origins=()) for entry in timeline(history, Filter(**wanted))]

    @property
    def notes_text(self) -> str:
        return "\n".join(note.text for note in self.notes)


def scope(**fields: object) -> Scope:
    return replace(Scope(regions=(REGION,), event_names=NAMES, lookup_hints=LOOKUP_HINTS), **fields)


@contextmanager
def served(trail: CloudTrail) -> Iterator[CloudTrail]:
    server = serve(trail)
    yield trail
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def dummy_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, and no waits in botocore."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(botocore.loaders, "create_loader", lambda *_: LOADER)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def account() -> Iterator[CloudTrail]:
    with served(CloudTrail()) as trail:
        yield trail


@cache
def records(story: str) -> tuple[Record, ...]:
    return tuple(record for file in STORIES[story]() for record in file.records)


PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/{'EXAMPLE1' * 4}"


def node_with_four_enis() -> list[Record]:
    """A node with its first ENI and three more, one of which it releases."""
    trail = Trail("four", ACCOUNT, REGION, "2026-05-04", "1.11")
    subnet = Subnet("subnet-0aa", "vpc-0aa", ACCOUNT, f"{REGION}a", "sg-0aa", "euw1-az1")
    irsa = Irsa(Role(ACCOUNT, "cni"), PROVIDER, CNI_1_21, sdk_of(CNI_1_21), "192.0.2.9")
    first = Eni("eni-0f0", subnet, "10.9.0.10", "eni-attach-0f0")
    launch(trail, "09:00:00", Role(ACCOUNT, "node"), Instance(NODE, "m5.large", first, {}))
    cni = signs_in(trail, "09:01:00", irsa, 1)
    trail.log("09:01:01", cni, assign(first.id, "10.9.0.11", "10.9.0.12"))
    for number in (1, 2, 3):
        plain = Eni(f"eni-0f{number}", subnet, f"10.9.{number}.10", f"eni-attach-0f{number}")
        eni = of_cni(plain, NODE, trail.time(f"09:0{number}:30"))
        adds_eni(trail, (f"09:0{number}:30", f"09:0{number}:31", f"09:0{number}:32"), cni, eni, NODE)
        trail.log(f"09:0{number}:40", cni, assign(eni.id, f"10.9.{number}.11", f"10.9.{number}.12"))
    trail.log("09:30:00", cni, unassign(eni.id, "10.9.3.11", "10.9.3.12"))
    frees_eni(trail, ("09:31:00", "09:31:02", "09:31:03"), cni, eni)
    return [
        record
        for file in trail.files("08:50:00", "10:00:00", noise=Noise(NODE, first.id, CNI_1_21))
        for record in file.records
    ]


def other_nodes(count: int) -> Iterator[Record]:
    """ENI events of other nodes, over 60 days."""
    names = (
        ("AssignPrivateIpAddresses",) * 6 + ("UnassignPrivateIpAddresses",) * 3 + ("DeleteNetworkInterface",)
    )
    begin = TODAY - timedelta(days=61)
    for number in range(count):
        name, eni = names[number % 10], f"eni-{number % 4000:08x}bbbb"
        address = {"privateIpAddress": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        request: Record = {"networkInterfaceId": eni}
        response: Record = {"requestId": "r", "_return": True}
        if name.startswith("Assign"):
            response |= {"assignedPrivateIpAddressesSet": {"assignedPrivateIpAddressSetType": [address]}}
        elif name.startswith("Unassign"):
            request["privateIpAddressesSet"] = {"items": [address]}
        yield {
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "principalId": "AIDA", "userName": "ada"},
            "eventTime": f"{begin + timedelta(seconds=number * 52):%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "ec2.amazonaws.com",
            "eventName": name,
            "awsRegion": REGION,
            "requestParameters": request,
            "responseElements": response,
            "eventID": f"other-{number}",
            "readOnly": False,
            "recipientAccountId": ACCOUNT,
        }


class TestPlan:
    """Which lookups are made, and which are not."""

    def test_a_node_with_four_enis_takes_15_calls_and_a_scan_2000(self, account: CloudTrail) -> None:
        account.add(node_with_four_enis())
        account.add(other_nodes(100_000))
        reading = Reading(scope(instances=(NODE,)), account)
        assert len(reading.calls) <= 15
        assert account.pages(REGION, "EventName", NAMES) > 2000
        assert {entry.eni for entry in reading.entries(instance=(NODE,))} == {
            "eni-0f0",
            "eni-0f1",
            "eni-0f2",
            "eni-0f3",
        }

    def test_a_lookup_gives_the_same_answer_as_a_scan(self, account: CloudTrail) -> None:
        account.add(node_with_four_enis())
        account.add(other_nodes(1000))
        by_resource, by_name = Reading(scope(instances=(NODE,)), account), Reading(scope(), account)
        assert len(by_resource.calls) < len(by_name.calls)
        answer = by_resource.entries(instance=(NODE,))
        assert len(answer) == 18
        assert answer == by_name.entries(instance=(NODE,))

    @pytest.mark.parametrize("story", sorted(STORIES.keys() - {"stolen-address", "false-alarms"}))
    def test_every_story_is_the_same_by_resource_and_by_event_name(
        self, story: str, account: CloudTrail
    ) -> None:
        account.add(records(story))
        regions = tuple({record["awsRegion"] for record in records(story)})
        by_name = Reading(scope(regions=regions), account)
        instances = {entry.instance for entry in by_name.entries() if entry.instance}
        for instance in sorted(instances):
            by_resource = Reading(scope(regions=regions, instances=(instance,)), account)
            wanted = {"instance": (instance,)}
            assert by_resource.entries(**wanted) == by_name.entries(**wanted), instance

    def test_only_a_lookup_by_address_shows_reassignments_between_enis(self, account: CloudTrail) -> None:
        account.add(records("stolen-address"))
        loser, address = "eni-0a72f4d6c8e1b3950", ip_network("10.60.12.50")
        by_resource = Reading(scope(enis=(loser,)), account)
        assert not any(entry.moved for entry in by_resource.entries())
        assert "addresses reassigned to or from other ENIs" in by_resource.notes_text
        by_address = Reading(scope(addresses=(address,)), account)
        assert [moved.from_eni for entry in by_address.entries() for moved in entry.moved] == [loser]

    @pytest.mark.parametrize(
        "unindexed",
        [
            ("UnassignPrivateIpAddresses",),
            ("CreateNetworkInterface", "DeleteNetworkInterface"),
            tuple(name for name in NAMES if name not in ("RunInstances", "AttachNetworkInterface")),
        ],
    )
    def test_events_that_are_not_indexed_by_resource_are_read_by_name(
        self, unindexed: tuple[str, ...]
    ) -> None:
        with served(CloudTrail(unindexed=unindexed)) as account:
            account.add(records("ironman"))
            by_resource, by_name = Reading(scope(instances=(IRONMAN,)), account), Reading(scope(), account)
        wanted = {"instance": (IRONMAN,)}
        assert by_resource.entries(**wanted) == by_name.entries(**wanted)
        assert "UnassignPrivateIpAddresses" not in unindexed or "UnassignPriv" in by_resource.notes_text

    def test_an_eni_is_followed_to_its_instance_and_no_further(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        second = "eni-0bbea279695112970"
        reading = Reading(scope(enis=(second,)), account)
        asked = {call.value for call in reading.calls if call.attribute == "ResourceName"}
        assert asked == {second, IRONMAN, "eni-attach-0d7e21b6c3f849a05"}
        assert reading.entries(eni=(second,)) == Reading(scope(), account).entries(eni=(second,))

    def test_an_address_is_looked_up_by_event_name_and_its_enis_are_followed_back(
        self, account: CloudTrail
    ) -> None:
        account.add(records("ironman"))
        address = ip_network("192.168.53.76")
        reading = Reading(scope(addresses=(address,), since=datetime(2022, 10, 5, 15, tzinfo=UTC)), account)
        wanted = {"ip": (address,)}
        found = reading.entries(**wanted)
        assert found == Reading(scope(), account).entries(**wanted)
        assert [entry.instance for entry in found] == [IRONMAN, IRONMAN]

    def test_only_the_requested_instance_of_a_launch_is_followed(self, account: CloudTrail) -> None:
        account.add(records("stolen-address"))
        reading = Reading(scope(instances=("i-0b6d2f8e4a1c97350",)), account)
        assert "eni-0a72f4d6c8e1b3950" not in {call.value for call in reading.calls}

    def test_a_node_with_many_calls_is_read_only_in_part_with_a_note(self, account: CloudTrail) -> None:
        node = "i-0e2a6d9b4f8c13570"
        story = records("pod-identity-and-node-role")
        identity = next(
            record["userIdentity"]
            for record in story
            if record["userIdentity"].get("principalId", "").endswith(f":{node}")
        )
        chatter = [
            {**event, "userIdentity": identity, "eventName": "UpdateInstanceInformation", "readOnly": True}
            for event in other_nodes(1100)
        ]
        account.add(story)
        account.add({**event, "awsRegion": "ap-northeast-1"} for event in chatter)
        reading = Reading(scope(instances=(node,), regions=("ap-northeast-1",)), account)
        assert sum(call.attribute == "Username" for call in reading.calls) == 20
        assert f"Username={node}: only its newest 1,000 calls were read" in reading.notes_text

    def test_trail_changes_are_looked_up_only_without_a_filter(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        asked = Reading(scope(), account).calls
        named = Reading(scope(instances=(IRONMAN,)), account).calls
        address = Reading(scope(addresses=(ip_network("192.168.53.76"),)), account).calls
        of_trails = {*TRAIL_CALLS, *BUCKET_CALLS}
        assert of_trails <= {call.value for call in asked}
        assert of_trails.isdisjoint(call.value for call in (*named, *address))

    def test_the_notes_state_the_lookups_and_their_limits(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        notes = Reading(scope(instances=(IRONMAN,)), account).notes_text
        assert "looked up 5 resources (1 instance, 2 ENIs, 2 attachments)" in notes
        assert "addresses reassigned to or from other ENIs" in notes

    def test_the_origin_of_every_page_names_account_region_and_lookup(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        reading = Reading(scope(instances=(IRONMAN,)), account)
        assert f"lookup:{ACCOUNT}/{REGION}/ResourceName={IRONMAN}/page-1" in reading.documents
        sessions = [uri for uri in reading.documents if "AssumeRoleWithWebIdentity" in uri]
        assert sessions == [
            f"lookup:{ACCOUNT}/{REGION}/EventName=AssumeRoleWithWebIdentity@2022-10-05T13:15:45Z/page-1",
            f"lookup:{ACCOUNT}/{REGION}/EventName=AssumeRoleWithWebIdentity@2022-10-05T15:21:17Z/page-1",
        ]

    def test_records_are_delivered_unchanged(self, account: CloudTrail) -> None:
        account.add(records("hostile"))
        reading = Reading(scope(regions=("eu-west-3",)), account)
        came = {
            event["CloudTrailEvent"]
            for text in reading.documents.values()
            for event in json.loads(text)["Events"]
        }
        sent = {json.dumps(record, separators=(",", ":")) for record in records("hostile")}
        assert came
        assert came <= sent


class TestPace:
    """Two calls per second in every Region."""

    def test_two_calls_per_second_are_used_and_exceeded_by_no_more_than_a_burst(self) -> None:
        clock = FastClock()
        limiter = RateLimiter(per_second=2, burst=2, clock=clock)
        times = []
        for number in range(400):
            limiter.wait()
            times.append(clock.now())
            clock.time += 0.9 if number % 20 == 0 else 0.1  # an answer takes a while, and some take longer
        assert len(times) / times[-1] >= 2 * 0.95
        for start in range(len(times)):
            for end in range(start, len(times)):
                assert end - start + 1 <= 2 + 2 * (times[end] - times[start]) + 1e-6

    def test_a_scan_keeps_the_pace(self, account: CloudTrail) -> None:
        account.add(other_nodes(1500))
        clock = FastClock()
        source = LookupSource("lookup:", scope(endpoint_url=account.url), clock)
        assert sum(isinstance(item, Document) for item in source.documents()) == len(account.calls)
        assert 1.9 <= len(account.calls) / clock.time <= 2.1

    def test_each_region_has_its_own(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        reading = Reading(scope(regions=("eu-west-1", "us-east-1")), account)
        assert {call.region for call in reading.calls} == {"eu-west-1", "us-east-1"}
        assert reading.entries() == Reading(scope(), account).entries()

    def test_a_scan_without_a_start_states_beforehand_where_it_ends(self, account: CloudTrail) -> None:
        account.add(other_nodes(500))
        reading = Reading(scope(max_calls=3600), account)
        assert "no time range given: reading back 90 days" in reading.notes_text
        assert "Stops after 3,600 calls (30 min, --max-calls). Use --since 6h." in reading.notes_text

    def test_a_scan_that_is_cut_short_states_how_far_back_it_read(self, account: CloudTrail) -> None:
        account.add(other_nodes(5_000))
        reading = Reading(scope(max_calls=58), account)
        (skip,) = reading.skipped
        assert len(reading.calls) == 58
        assert "stopped after 58 calls (--max-calls); complete from " in skip.reason
        since = skip.reason.partition("complete from ")[2][:20]
        complete = [event for event in other_nodes(5_000) if event["eventTime"] >= since]
        assert len(complete) > 450
        read = {event.event_id for event in reading.ledger.events()}
        assert {event["eventID"] for event in complete} <= read


class TestFaults:
    """A failure is retried or reported; it is never an empty answer."""

    @pytest.mark.parametrize(
        "fault", ["ThrottlingException", "InternalFailure", "reset", "InvalidNextTokenException"]
    )
    def test_if_a_tenth_of_the_calls_fail_no_event_is_lost_or_duplicated(self, fault: str) -> None:
        with served(CloudTrail(fault=lambda call: fault if call % 10 == 7 else None)) as account:
            account.add(other_nodes(600))
            account.add(records("ironman"))
            reading = Reading(scope(), account)
            assert not all(call.answered for call in account.calls)
        events = [
            event["EventId"] for text in reading.documents.values() for event in json.loads(text)["Events"]
        ]
        named = set(NAMES) - {"AssumeRole"}
        sent = [*other_nodes(600), *(event for event in records("ironman") if event["eventName"] in named)]
        assert sorted(events) == sorted(event["eventID"] for event in sent)
        assert reading.skipped == []

    def test_endless_throttling_is_an_error_and_not_an_empty_answer(self) -> None:
        with (
            served(CloudTrail(fault=lambda _: "ThrottlingException")) as account,
            pytest.raises(
                SourceError, match="cloudtrail:LookupEvents was throttled until all retries were used up"
            ),
        ):
            Reading(scope(), account)

    def test_a_lookup_that_fails_is_skipped_and_the_rest_is_read(self) -> None:
        with served(CloudTrail()) as account:
            account.add(records("ironman"))
            broken = "UnassignPrivateIpAddresses"
            account.fault = lambda _: "InternalFailure" if account.asked[1] == broken else None
            reading = Reading(scope(), account)
        (skip,) = reading.skipped
        assert skip.source == f"lookup:{REGION}/EventName={broken}"
        assert skip.reason.startswith("cloudtrail:LookupEvents failed: InternalFailure")
        assert len(reading.entries()) > 5

    def test_a_region_that_fails_is_skipped_and_the_others_are_read(self) -> None:
        with served(CloudTrail()) as account:
            account.add(records("ironman"))
            account.fault = lambda _: "AccessDeniedException" if account.asked[0] == "us-east-1" else None
            reading = Reading(scope(regions=("us-east-1", REGION)), account)
        (skip,) = reading.skipped
        assert skip.source == "lookup:us-east-1"
        assert "may not call cloudtrail:LookupEvents" in skip.reason
        assert len(reading.entries()) > 5

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>portal</html>",
            b"<html><br>",
            b"",
            b"{}",
            b"[]",
            b"null",
            b'"Events"',
            b'{"Events":null}',
            b'{"Events":"none"}',
            b'{"Events":{}}',
            b'{"Events":["event"]}',
            b'{"Events":[{"EventTime":"at noon"}]}',
            b'{"Events":[{"EventTime":1e300}]}',
            b'{"Events":[{"EventId":"x","Eve',
            b"\xff\xfe\x00",
            b"[" * 100_000,
        ],
    )
    def test_a_malformed_answer_is_retried_and_then_skipped(self, body: bytes) -> None:
        with served(CloudTrail()) as account:
            account.add(other_nodes(120))
            times = count()
            account.portal = lambda _: body if next(times) % 9 == 4 else None
            assert Reading(scope(), account).skipped == []
            asked = "AssignPrivateIpAddresses"
            account.portal = lambda _: body if account.asked[1] == asked and account.calls[-1].first else None
            reading = Reading(scope(), account)
        (skip,) = reading.skipped
        assert skip.source == f"lookup:{REGION}/EventName={asked}"
        assert "the response is damaged, or not from AWS" in skip.reason
        assert "were not read" in skip.reason
        assert len(reading.calls) == len({call.value for call in reading.calls}) + 3

    def test_events_before_a_malformed_answer_are_kept(self, run: Run) -> None:
        with served(CloudTrail()) as account:
            account.add(other_nodes(120))
            account.portal = lambda _: None if account.calls[-1].first else b"<html>portal</html>"
            where = ("lookup:", "--region", REGION, "--endpoint-url", account.url)
            result = run("timeline", *where, "-o", "json")
        answer = json.loads(result.stdout)
        assert result.exit_code == 3
        assert len(answer["entries"]) == 50 + 36 + 12, "the newest 50 of 72, and all of two other names"
        (skip,) = answer["evidence"]["skipped"]
        reached = min(
            entry["time"] for entry in answer["entries"] if entry["event"] == "AssignPrivateIpAddresses"
        )
        after = datetime.fromisoformat(reached) + timedelta(seconds=1)
        assert f"events before {after:%Y-%m-%dT%H:%M:%SZ} were not read" in skip["reason"]
        assert added_up(answer["evidence"]["sources"][0])["files_skipped"] == 1

    def test_only_malformed_answers_are_a_one_line_error(self, run: Run) -> None:
        with served(CloudTrail(portal=lambda _: b"<html>portal</html>")) as account:
            result = run("timeline", "lookup:", "--region", REGION, "--endpoint-url", account.url)
        assert result.exit_code == 1
        assert "LookupEvents was answered with application/x-amz-json-1.1 without Events" in result.stderr

    @pytest.mark.parametrize("member", ["EventId", "EventTime", "CloudTrailEvent"])
    def test_an_event_without_a_required_member_is_reported_and_the_others_are_read(
        self, member: str, run: Run
    ) -> None:
        def lacking(body: dict[str, Any]) -> bytes:
            for event in body["Events"][::2]:
                del event[member]
            return json.dumps(body).encode()

        with served(CloudTrail(portal=lacking)) as account:
            account.add(other_nodes(120))
            where = ("lookup:", "--region", REGION, "--endpoint-url", account.url)
            result = run("timeline", *where, "-o", "json")
        answer = json.loads(result.stdout)
        assert result.exit_code == 3
        assert len(answer["entries"]) == (60 if member == "CloudTrailEvent" else 120)
        reasons = [skip["reason"] for skip in answer["evidence"]["skipped"]]
        if member == "CloudTrailEvent":
            assert len(reasons) == 60
            assert {reason.partition(": ")[2] for reason in reasons} == {
                "a LookupEvents item without its CloudTrailEvent"
            }
        else:
            assert sum(int(reason.partition(" ")[0]) for reason in reasons) == 60
            assert {reason.partition("without ")[2] for reason in reasons} == {
                f"{member}, which LookupEvents always returns"
            }
        added_up(answer["evidence"]["sources"][0])

    @pytest.mark.parametrize(
        ("message", "wrong"),
        [
            (
                (
                    "Signature expired: 20250304T090000Z is now earlier than 20250304T093000Z "
                    "(20250304T093500Z - 5 min.)"
                ),
                "this machine's clock is wrong by about 35 minutes (slow)",
            ),
            (
                (
                    "Signature not yet current: 20250304T110000Z is still later than 20250304T100500Z "
                    "(20250304T100000Z + 5 min.)"
                ),
                "this machine's clock is wrong by about 60 minutes (fast)",
            ),
            ("Signature expired", "this machine's clock is wrong, so"),
        ],
    )
    def test_a_clock_error_is_reported_with_its_size(self, message: str, wrong: str) -> None:
        with (
            served(CloudTrail(lambda _: "InvalidSignatureException", message=message)) as account,
            pytest.raises(SourceError) as raised,
        ):
            Reading(scope(), account)
        assert wrong in raised.value.message
        assert raised.value.hint
        assert raised.value.hint.startswith("set the clock")

    def test_a_wrong_secret_is_not_reported_as_a_clock_error(self) -> None:
        message = "The request signature we calculated does not match the signature you provided."
        with (
            served(CloudTrail(lambda _: "InvalidSignatureException", message=message)) as account,
            pytest.raises(SourceError, match="the AWS secret key does not match the access key"),
        ):
            Reading(scope(), account)

    def test_an_error_message_cannot_control_the_terminal(self, run: Run) -> None:
        message = "no\x1b]8;;https://evil.example\x07here\x1b[2J\u202e"
        with served(CloudTrail(lambda _: "AccessDeniedException", message=message)) as account:
            result = run("timeline", "lookup:", "--region", REGION, "--endpoint-url", account.url)
        assert result.exit_code == 1
        assert r"no\x1b]8;;https://evil.example\x07here\x1b[2J\u202e" in result.stderr
        assert "\x1b" not in result.stderr

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("AccessDeniedException", "these credentials may not call cloudtrail:LookupEvents"),
            ("ExpiredTokenException", "the AWS session token has expired"),
            ("UnrecognizedClientException", "AWS does not know these credentials"),
        ],
    )
    def test_missing_permissions_are_a_one_line_error(self, code: str, message: str) -> None:
        with (
            served(CloudTrail(fault=lambda _: code)) as account,
            pytest.raises(SourceError, match=message) as raised,
        ):
            Reading(scope(), account)
        assert raised.value.message.startswith(f"lookup:{REGION}: ")
        assert raised.value.hint

    def test_without_credentials_it_states_how_to_get_them(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(SourceError, match="there are no AWS credentials"):
            Reading(scope(), account)

    def test_without_a_region_it_asks_for_one(self, account: CloudTrail) -> None:
        with pytest.raises(SourceError, match="no AWS Region is set"):
            Reading(scope(regions=()), account)

    @pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_the_environment_names_the_region_as_for_the_aws_cli(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, "eu-west-3")
        reading = Reading(scope(regions=()), account)
        assert {call.region for call in reading.calls} == {"eu-west-3"}

    def test_an_unknown_profile_is_named_in_the_error(self, account: CloudTrail) -> None:
        with pytest.raises(SourceError, match="nobody"):
            Reading(scope(profile="nobody"), account)

    def test_an_unreachable_endpoint_fails_quickly(self) -> None:
        nowhere = CloudTrail(url="http://127.0.0.1:9")
        with pytest.raises(SourceError, match=r"AWS cannot be reached .*127\.0\.0\.1:9"):
            Reading(scope(), nowhere)

    def test_an_account_without_events_is_an_answer(self, account: CloudTrail) -> None:
        reading = Reading(scope(), account)
        assert reading.entries() == []
        assert reading.skipped == []


class TestFreshness:
    """How late LookupEvents may show an event."""

    def test_it_states_after_which_time_events_may_be_missing(self, account: CloudTrail) -> None:
        fresh = datetime.now(UTC) - timedelta(hours=2)
        notes = Reading(scope(lag=timedelta(hours=2)), account).notes_text
        assert f"events after {fresh:%Y-%m-%dT%H}" in notes

    def test_a_time_long_past_has_no_note(self, account: CloudTrail) -> None:
        notes = Reading(scope(until=datetime.now(UTC) - timedelta(days=2)), account).notes_text
        assert "may still be missing" not in notes

    def test_a_range_that_ends_more_than_90_days_ago_is_an_error_without_a_call(
        self, account: CloudTrail
    ) -> None:
        """An empty answer would look as if nothing had happened."""
        with pytest.raises(EmptySourceError) as error:
            Reading(scope(until=datetime(2022, 10, 6, tzinfo=UTC)), account)
        assert error.value.message == (
            "lookup: the time range ends at 2022-10-06 00:00:00Z, and LookupEvents keeps 90 days"
        )
        assert account.calls == []

    def test_a_range_that_begins_in_the_future_is_an_error_without_a_call(self, account: CloudTrail) -> None:
        with pytest.raises(EmptySourceError) as error:
            Reading(scope(since=datetime(2099, 1, 1, tzinfo=UTC)), account)
        assert error.value.message == (
            "lookup: the time range begins at 2099-01-01 00:00:00Z, which is in the future"
        )
        assert account.calls == []

    def test_a_time_more_than_90_days_ago_has_a_note(self, account: CloudTrail) -> None:
        notes = Reading(scope(since=datetime(2022, 10, 4, tzinfo=UTC)), account).notes_text
        assert "LookupEvents keeps 90 days" in notes


class TestDebugLog:
    """What ``--debug`` shows."""

    def test_shows_every_page_and_failed_call_and_no_credentials(
        self, account: CloudTrail, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", logger="cnitrail")
        account.fault = lambda number: "ThrottlingException" if number == 2 else None
        account.add(records("ironman"))
        Reading(scope(instances=(IRONMAN,)), account)
        assert f"lookup:{REGION}: ResourceName={IRONMAN}: page 1, " in caplog.text
        assert f"lookup:{REGION}: call failed: " in caplog.text
        assert "AKIAIOSFODNN7EXAMPLE" not in caplog.text
        assert "nobody's" not in caplog.text


class TestCommandLine:
    """The command as a user runs it."""

    def test_an_instance_needs_only_credentials(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        account.limit = 2
        command = (
            f"timeline lookup: --eni eni-0bbea279695112970 --region {REGION} --endpoint-url {account.url}"
        )
        root = Path(__file__).parents[1]
        done = subprocess.run(
            [sys.executable, "-m", "cnitrail", *command.split()],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "kube-system/aws-node" in done.stdout
        assert "AttachNetworkInterface" in done.stdout
        assert "9 shown" in done.stderr
        assert all(call.answered for call in account.calls)

    @pytest.fixture
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lookup, "SystemClock", FastClock)

    @pytest.mark.usefixtures("at_once")
    def test_no_source_means_lookup(self, account: CloudTrail, run: Run) -> None:
        account.add(records("ironman"))
        options = ("--region", REGION, "--endpoint-url", account.url)
        named, unnamed = (
            run("timeline", *source, "--instance", IRONMAN, *options) for source in (["lookup:"], [])
        )
        assert unnamed.exit_code == 0
        assert unnamed.stdout == named.stdout
        assert unnamed.stdout.count("\n") > 14
        assert "may still be missing" in unnamed.stderr

    @pytest.mark.usefixtures("at_once")
    def test_all_regions_are_read_and_kept(self, account: CloudTrail, run: Run) -> None:
        account.add(records("ironman"))
        result = run(
            "timeline", "--region", "all", "--eni", "eni-0bbea279695112970", "--endpoint-url", account.url
        )
        assert len({call.region for call in account.calls}) > 15
        assert "AttachNetworkInterface" in result.stdout

    @pytest.mark.usefixtures("at_once")
    def test_the_counts_add_up_with_pages_and_failing_regions(self, account: CloudTrail, run: Run) -> None:
        account.add(records("ironman"))
        account.fault = lambda _: "AccessDeniedException" if account.asked[0] == "us-east-1" else None
        regions = ("--region", REGION, "--region", "us-east-1", "--endpoint-url", account.url)
        answer = json.loads(run("timeline", *regions, "--eni", "eni-0bbea279695112970", "-o", "json").stdout)
        source = added_up(answer["evidence"]["sources"][0])
        assert (source["files"], source["files_skipped"]) == (source["files_found"] - 1, 1)
        assert source["kept"] > 0

    @pytest.mark.usefixtures("at_once")
    def test_an_address_is_not_certain_if_a_region_that_was_asked_for_was_not_read(
        self, account: CloudTrail, run: Run
    ) -> None:
        account.add(records("ironman"))
        account.fault = lambda _: "AccessDeniedException" if account.asked[0] == "us-east-1" else None

        def who(*options: str) -> tuple[str, set[str], set[str]]:
            asked = ("who", "192.168.53.76", "--at", "2022-10-05T14:00Z", "lookup:", "-o", "json")
            given = run(*asked, "--endpoint-url", account.url, "--region", REGION, *options)
            document = json.loads(given.stdout)
            (answer,) = document["entries"]
            codes = (
                {reason["code"] for reason in found} for found in (answer["reasons"], document["limitations"])
            )
            return answer["verdict"], *codes

        for narrowed in ((), ("--region", "us-east-1", "--vpc", "vpc-0a2e8f6ad5c3b9714")):
            verdict, reasons, _ = who(*narrowed)
            assert verdict == "certain"
            assert "not-read" not in reasons
        verdict, reasons, limitations = who("--region", "us-east-1")
        assert verdict == "likely"
        assert "not-read" in reasons
        assert "not-read" in limitations

    @pytest.mark.usefixtures("at_once")
    def test_quiet_prints_only_failures(self, account: CloudTrail, run: Run) -> None:
        result = run("timeline", "-q", "--region", REGION, "--endpoint-url", account.url, "--lag", "1h")
        assert result.stderr == ""

    def test_a_malformed_lag_is_a_usage_error(self, run: Run) -> None:
        result = run("timeline", "--lag", "soon")
        assert result.exit_code == 2
        assert "'soon' is not a length of time" in result.stderr

    def test_text_after_the_colon_is_a_usage_error(self, run: Run) -> None:
        result = run("timeline", "lookup:eu-west-1")
        assert result.exit_code == 1
        assert "name the Region with --region" in result.stderr
