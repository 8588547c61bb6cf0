"""``s3://bucket/prefix``: which objects are found, listed and fetched, and what may go wrong."""

import gzip
import itertools
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from accounts import added_up
from botocore.exceptions import ClientError
from click.testing import CliRunner
from conftest import Run
from loopback import Call, Edited, Endpoint, Fault, Portal, Refusal, endpoint
from msgspec.structs import replace
from write import files, zipped

from cnitrail.cli import main
from cnitrail.errors import SourceError
from cnitrail.model import Document, Scope, Skipped
from cnitrail.sources import aws, obstore_reader, open_source, s3_bucket, trail_discovery
from cnitrail.sources import s3 as s3_module
from cnitrail.sources.response_check import with_response_check
from cnitrail.sources.s3_bucket import S3Bucket

ACCOUNTS = ("111111111111", "222222222222")
REGIONS = ("eu-west-1", "us-east-1")
DAYS = ("2024/05/13", "2024/05/14", "2024/05/15")
CLOCKS = ("0005", "1200", "1205", "2355")
BODY = zipped(b'{"Records":[]}')
SESSION = aws.open_session
TOLD = ("hand-assigned", "ironman", "two-vpcs")


def key(account: str, region: str, day: str, clock: str, top: str = "AWSLogs/") -> str:
    """The key of a log file, as CloudTrail names it."""
    name = f"{account}_CloudTrail_{region}_{day.replace('/', '')}T{clock}Z_0123456789abcdef.json.gz"
    return f"{top}{account}/CloudTrail/{region}/{day}/{name}"


def trail(top: str = "AWSLogs/") -> list[str]:
    """The keys of two accounts, two Regions and three days, with four files each."""
    return [key(*parts, top) for parts in itertools.product(ACCOUNTS, REGIONS, DAYS, CLOCKS)]


DIGEST = (
    "AWSLogs/111111111111/CloudTrail-Digest/eu-west-1/2024/05/14/"
    "111111111111_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20240514T120000Z.json.gz"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with endpoint() as found:
        objects = [*trail(), *trail("team/a/AWSLogs/"), DIGEST, "team/notes.txt", "folder/"]
        found.put("plain-logs", dict.fromkeys(objects, BODY))
        found.put("org-logs", dict.fromkeys(trail("AWSLogs/o-abcdefghij/"), BODY))
        loose = {f"export/{at}/part.json": b'{"Records":[]}' for at in range(3)}
        found.put(
            "loose-logs", loose | {key("111111111111", "eu-west-1", "2024/05/14", "1200", "x//y/"): BODY}
        )
        found.put("story-logs", {path: zipped(data) for story in TOLD for path, data in files(story).items()})
        yield found


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One session for all tests, as loading the API model is slow."""
    return with_response_check(
        boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    )


@pytest.fixture(autouse=True)
def _fresh(server: Endpoint, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without calls, faults, and this machine's AWS configuration."""
    monkeypatch.setattr(aws, "open_session", lambda _: session)
    server.calls.clear()
    server.fault = lambda _: None
    server.page = 1000
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_MAX_ATTEMPTS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(s3_bucket, "READ_SECONDS", 2)


@pytest.fixture(params=["obstore", "boto3"])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of fetching an object."""
    if request.param == "boto3":
        monkeypatch.setattr(S3Bucket, "_open_obstore", lambda _: None)


Read = Callable[..., list[Document | Skipped]]


@pytest.fixture
def read(server: Endpoint) -> Read:
    """Return everything that a source delivers."""

    def read(uri: str, scope: Scope | None = None) -> list[Document | Skipped]:
        scope = scope or Scope()
        asked = replace(scope, endpoint_url=server.url)
        found: list[Document | Skipped] = []
        for item in open_source(uri, asked).documents():
            assert isinstance(item, (Document, Skipped))
            found.append(item)
        return found

    return read


def keys(delivered: list[Document | Skipped]) -> list[str]:
    """The delivered keys in order; no object may have been skipped."""
    assert [item for item in delivered if isinstance(item, Skipped)] == []
    return [item.uri.split("/", 3)[3] for item in delivered if isinstance(item, Document)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = Scope(since=at("2024-05-14T11:55"), until=at("2024-05-14T12:02"), delivery_lag=timedelta(minutes=5))


class TestDiscovery:
    """Wherever the prefix points, the trail's log files are found, in the order of their keys."""

    @pytest.mark.parametrize("prefix", ["/AWSLogs", "/AWSLogs/"])
    def test_the_root_of_a_trail_finds_its_files(self, read: Read, prefix: str) -> None:
        assert keys(read(f"s3://plain-logs{prefix}")) == sorted(trail())

    @pytest.mark.parametrize("prefix", ["", "/"])
    def test_the_root_of_a_bucket_finds_every_trail(self, read: Read, prefix: str) -> None:
        assert keys(read(f"s3://plain-logs{prefix}")) == sorted(trail() + trail("team/a/AWSLogs/"))

    def test_a_folder_above_a_trail_with_a_prefix_finds_it(self, read: Read) -> None:
        assert keys(read("s3://plain-logs/team")) == sorted(trail("team/a/AWSLogs/"))

    @pytest.mark.parametrize(
        "prefix",
        [
            "AWSLogs/111111111111",
            "AWSLogs/111111111111/CloudTrail",
            "AWSLogs/111111111111/CloudTrail/eu-west-1",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14/",
            key("111111111111", "eu-west-1", "2024/05/14", "1200"),
        ],
    )
    def test_any_folder_inside_a_trail_finds_its_files(self, read: Read, prefix: str) -> None:
        folder = f"{prefix.removesuffix('/')}/"
        below = [name for name in sorted(trail()) if name.startswith(folder) or name == prefix]
        assert keys(read(f"s3://plain-logs/{prefix}")) == below

    @pytest.mark.parametrize(
        "prefix",
        [
            "AWSLog",
            "AWSLogs/1",
            "AWSLogs/111111111111/CloudTrail/eu-w",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/202",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/0",
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/1",
        ],
    )
    def test_a_prefix_that_is_no_folder_finds_every_key_that_begins_with_it(
        self, read: Read, prefix: str
    ) -> None:
        found = keys(read(f"s3://plain-logs/{prefix}"))
        assert found
        assert found == [name for name in sorted(trail()) if name.startswith(prefix)]

    @pytest.mark.parametrize("prefix", ["", "/AWSLogs", "/AWSLogs/o-abcdefghij"])
    def test_an_organization_trail_is_found(self, read: Read, prefix: str) -> None:
        assert keys(read(f"s3://org-logs{prefix}")) == sorted(trail("AWSLogs/o-abcdefghij/"))

    def test_an_account_of_an_organization_trail_is_found(self, read: Read) -> None:
        found = keys(read("s3://org-logs/AWSLogs/o-abcdefghij/222222222222"))
        assert found == [name for name in sorted(trail("AWSLogs/o-abcdefghij/")) if "/222222222222/" in name]

    def test_a_folder_without_the_layout_of_a_trail_is_read_completely(self, read: Read) -> None:
        assert keys(read("s3://loose-logs/export")) == [f"export/{at}/part.json" for at in range(3)]

    def test_a_key_with_an_empty_folder_name_is_read(self, read: Read) -> None:
        assert len(keys(read("s3://loose-logs/x//y"))) == 1

    def test_log_files_outside_the_layout_are_selected_by_name(self, read: Read) -> None:
        with pytest.raises(SourceError, match="no log files of Region us-west-2"):
            read("s3://loose-logs/x", Scope(regions=("us-west-2",)))

    def test_digest_files_are_not_log_files(self, read: Read) -> None:
        with pytest.raises(SourceError, match="no log files"):
            read("s3://plain-logs/AWSLogs/111111111111/CloudTrail-Digest")

    @pytest.mark.parametrize("folder", ["copy/", "", "AWSLogs/", "AWSLogs/111111111111/CloudTrail/"])
    def test_log_files_beside_a_trail_are_said_not_to_be_read(
        self, read: Read, server: Endpoint, folder: str
    ) -> None:
        name = key("111111111111", "eu-west-1", "2024/05/14", "1207").rpartition("/")[2]
        bucket = f"beside-{folder.strip('/').replace('/', '-').lower() or 'root'}"
        server.put(bucket, dict.fromkeys([*trail(), f"{folder}{name}"], b"{}"))
        *documents, skipped = sorted(read(f"s3://{bucket}"), key=lambda found: isinstance(found, Skipped))
        assert len(documents) == len(trail())
        assert isinstance(skipped, Skipped)
        assert skipped.source == f"s3://{bucket}/{folder}"
        assert skipped.reason.startswith("1 log file beside the folders of trails, not read; ")

    @pytest.mark.parametrize("asked", ["", "/AWSLogs/333333333333"])
    def test_log_files_directly_in_the_folder_of_an_account_are_read(
        self, read: Read, server: Endpoint, asked: str
    ) -> None:
        names = [
            key("333333333333", "eu-west-1", "2024/05/14", clock).rpartition("/")[2]
            for clock in ("0600", "1207")
        ]
        flat = [f"AWSLogs/333333333333/{name}" for name in names]
        server.put("flat-account", dict.fromkeys([*trail(), *flat, "AWSLogs/333333333333/other"], b"{}"))
        found = keys(read(f"s3://flat-account{asked}"))
        assert [name for name in found if "/333333333333/" in name] == flat
        at_noon = keys(read(f"s3://flat-account{asked}", NOON))
        assert [name for name in at_noon if "/333333333333/" in name] == flat[1:]

    def test_log_files_of_another_time_beside_a_trail_are_not_missed(
        self, read: Read, server: Endpoint
    ) -> None:
        name = key("111111111111", "eu-west-1", "2024/05/14", "0600").rpartition("/")[2]
        server.put("beside-early", dict.fromkeys([*trail(), f"copy/{name}"], b"{}"))
        assert len(keys(read("s3://beside-early", NOON))) == 2 * 2 * 2

    def test_a_search_that_ends_early_has_a_note(self, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trail_discovery, "MAX_SEARCHED_PAGES", 1)
        first, *rest = read("s3://plain-logs")
        assert isinstance(first, Skipped)
        assert "were not searched for trails" in first.reason
        assert keys(rest) == sorted(trail())

    def test_a_document_has_the_size_and_etag_of_its_object(self, read: Read, server: Endpoint) -> None:
        asked = key("111111111111", "eu-west-1", "2024/05/14", "1200")
        [document] = read(f"s3://plain-logs/{asked}")
        assert isinstance(document, Document)
        listed = server.client.head_object(Bucket="plain-logs", Key=asked)
        assert (document.size, f'"{document.etag}"') == (listed["ContentLength"], listed["ETag"])
        assert b"".join(document.chunks) == BODY


class TestStraightToTheDay:
    """Only the requested days are listed, and only the files of that time are fetched."""

    def test_one_day_is_listed_by_its_own_prefix(self, read: Read, server: Endpoint) -> None:
        found = keys(read("s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1", NOON))
        assert [query["prefix"] for query in server.listings] == [
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14/"
        ]
        assert (
            sorted(server.fetched)
            == found
            == [key("111111111111", "eu-west-1", "2024/05/14", at) for at in ("1200", "1205")]
        )

    def test_from_the_root_only_folders_and_the_requested_days_are_listed(
        self, read: Read, server: Endpoint
    ) -> None:
        assert len(keys(read("s3://plain-logs/AWSLogs", NOON))) == 2 * 2 * 2
        folders = [query for query in server.listings if query.get("delimiter")]
        days = [query["prefix"] for query in server.listings if not query.get("delimiter")]
        assert len(folders) == 1 + 2, "the accounts, and the Regions of each"
        assert sorted(days) == [
            f"AWSLogs/{account}/CloudTrail/{region}/2024/05/14/" for account in ACCOUNTS for region in REGIONS
        ]

    def test_several_days_are_listed_from_the_first_to_the_last(self, read: Read, server: Endpoint) -> None:
        scope = Scope(since=at("2024-05-14T01:00"), until=at("2024-05-15T03:00"))
        found = keys(read("s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1", scope))
        [listing] = server.listings
        assert listing["start-after"] == "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14/"
        clocks = {"2024/05/14": CLOCKS[1:], "2024/05/15": CLOCKS[:1]}
        assert found == [
            key("111111111111", "eu-west-1", day, clock) for day in clocks for clock in clocks[day]
        ]

    def test_a_folder_with_a_three_digit_year_hides_no_day(self, read: Read) -> None:
        place = "s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1"
        assert keys(read(place, Scope(since=at("0300-01-01T00:00")))) == keys(read(place, Scope()))

    def test_accounts_and_regions_that_are_filtered_out_are_not_listed(
        self, read: Read, server: Endpoint
    ) -> None:
        scope = Scope(accounts=("222222222222",), regions=("us-east-1",))
        found = keys(read("s3://org-logs", scope))
        assert found == sorted(server.fetched)
        assert len(found) == len(DAYS) * len(CLOCKS)
        below = [query["prefix"] for query in server.listings if "CloudTrail" in query.get("prefix", "")]
        assert below == [
            "AWSLogs/o-abcdefghij/222222222222/CloudTrail/",
            "AWSLogs/o-abcdefghij/222222222222/CloudTrail/us-east-1/",
        ]

    def test_a_region_with_many_pages_is_listed_to_its_end_and_no_further(
        self, read: Read, server: Endpoint
    ) -> None:
        server.page = 5
        scope = Scope(since=at("2024-05-13T00:20"), until=at("2024-05-14T21:00"))
        found = keys(read("s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1", scope))
        clocks = {"2024/05/13": CLOCKS, "2024/05/14": CLOCKS[:3]}
        assert found == [
            key("111111111111", "eu-west-1", day, clock) for day in clocks for clock in clocks[day]
        ]
        assert len(server.listings) == 2, "of the three pages after the first day"

    def test_many_pages_are_one_listing(self, read: Read, server: Endpoint) -> None:
        server.page = 5
        assert keys(read("s3://plain-logs/AWSLogs")) == sorted(trail())
        assert keys(read("s3://plain-logs/team/a/AWSLogs/111111111111/CloudTrail/eu-west-1/2024")) == [
            key("111111111111", "eu-west-1", day, clock, "team/a/AWSLogs/")
            for day in DAYS
            for clock in CLOCKS
        ]

    def test_known_objects_are_not_fetched_again(self, read: Read, server: Endpoint) -> None:
        uri = "s3://plain-logs/AWSLogs/111111111111"
        known = [item for item in read(uri) if isinstance(item, Document)]
        seen = frozenset((item.uri, item.etag or "") for item in known[1:])
        server.calls.clear()
        assert keys(read(uri, Scope(seen=seen))) == server.fetched == keys(list(known[:1]))
        assert read(uri, Scope(seen=seen | {(known[0].uri, known[0].etag or "")})) == []

    def test_a_known_object_that_has_changed_is_fetched(self, read: Read, server: Endpoint) -> None:
        asked = key("111111111111", "eu-west-1", "2024/05/14", "1200")
        seen = frozenset({(f"s3://plain-logs/{asked}", "another")})
        assert keys(read(f"s3://plain-logs/{asked}", Scope(seen=seen))) == [asked]


class TestLateDelivery:
    """A file may have events of any time before its timestamp, so later files are read, too."""

    REGION = "s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1"

    def test_files_are_read_until_the_lag_after_the_end(self, read: Read) -> None:
        scope = Scope(since=at("2024-05-14T23:00"), until=at("2024-05-14T23:30"))
        assert [name[-31:-26] for name in keys(read(self.REGION, scope))] == ["T2355", "T0005"]

    def test_a_longer_lag_finds_what_was_delivered_days_later(self, read: Read) -> None:
        scope = Scope(
            since=at("2024-05-13T23:00"), until=at("2024-05-13T23:30"), delivery_lag=timedelta(days=2)
        )
        assert len(keys(read(self.REGION, scope))) == 1 + 4 + 3

    def test_a_timestamp_that_is_rounded_down_loses_no_event(self, read: Read) -> None:
        scope = Scope(since=at("2024-05-15T00:09"), until=at("2024-05-15T00:09"), delivery_lag=timedelta())
        assert [name[-31:-26] for name in keys(read(self.REGION, scope))] == ["T2355", "T0005"]

    def test_times_at_the_ends_of_the_calendar_are_accepted(self, read: Read) -> None:
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        assert len(keys(read(self.REGION, Scope(since=first, until=last)))) == 12
        assert len(keys(read(self.REGION, Scope(until=NOON.until, delivery_lag=timedelta.max)))) == 12

    def test_without_an_end_all_later_files_are_read(self, read: Read) -> None:
        assert len(keys(read(self.REGION, Scope(since=at("2024-05-14T13:00"))))) == 1 + 4


FAULTS: tuple[Fault, ...] = (
    "reset",
    "truncated",
    "short",
    "long",
    "timeout",
    Refusal(500, "InternalError"),
    Refusal(503, "SlowDown"),
)


@pytest.mark.usefixtures("_either")
class TestFaults:
    """A transient failure is retried; an object that keeps failing is skipped, and the rest is read."""

    def test_if_one_call_in_ten_fails_no_object_is_lost_or_duplicated(
        self, read: Read, server: Endpoint
    ) -> None:
        count, kinds = itertools.count(1), itertools.cycle(FAULTS)
        server.fault = lambda _: next(kinds) if next(count) % 10 == 0 else None
        delivered = read("s3://plain-logs")
        assert keys(delivered) == sorted(trail() + trail("team/a/AWSLogs/"))
        assert all(b"".join(item.chunks) == BODY for item in delivered if isinstance(item, Document))
        assert next(count) > len(delivered) * 11 // 10

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            (Refusal(403, "AccessDenied"), "s3:GetObject"),
            (Refusal(404, "NoSuchKey"), "deleted after it was listed"),
            (Refusal(403, "InvalidObjectState"), "restore it first"),
            (Refusal(503, "SlowDown"), "S3 throttled the request"),
            ("truncated", "the response broke off"),
            ("short", "the response broke off"),
        ],
    )
    def test_an_object_that_keeps_failing_is_skipped(
        self, read: Read, server: Endpoint, monkeypatch: pytest.MonkeyPatch, fault: Fault, reason: str
    ) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        bad = key("111111111111", "eu-west-1", "2024/05/14", "1200")
        server.fault = lambda call: fault if call.key == bad else None
        delivered = read("s3://plain-logs/AWSLogs", NOON)
        [skipped] = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source == f"s3://plain-logs/{bad}"
        assert re.search(reason, skipped.reason)
        rest = [item for item in delivered if isinstance(item, Document)]
        assert len(rest) == 2 * 2 * 2 - 1

    def test_an_object_replaced_after_the_listing_is_skipped(self, read: Read, server: Endpoint) -> None:
        first, second = "changing/1.json", "changing/2.json"
        server.client.put_object(Bucket="loose-logs", Key=first, Body=b"{}")
        server.client.put_object(Bucket="loose-logs", Key=second, Body=b"{}")

        def replace(call: Call) -> Fault | None:
            if call.key == second:
                server.client.put_object(Bucket="loose-logs", Key=second, Body=b"[]")
            return None

        server.fault = replace
        document, skipped = read("s3://loose-logs/changing")
        assert isinstance(document, Document)
        assert skipped == Skipped(f"s3://loose-logs/{second}", "replaced after it was listed: try again")

    def test_an_empty_object_is_a_document(self, read: Read, server: Endpoint) -> None:
        server.client.put_object(Bucket="loose-logs", Key="empty/1.json", Body=b"")
        [document] = read("s3://loose-logs/empty")
        assert isinstance(document, Document)
        assert b"".join(document.chunks) == b""


@pytest.mark.usefixtures("_either")
class TestEndInTheMiddle:
    """If every call fails from some time on, what was read before counts, and the rest is said."""

    EXPIRED = "the AWS session token has expired (ExpiredToken)"
    HINT = "sign in again: aws sso login, or however you obtained these credentials"

    @pytest.fixture(autouse=True)
    def _one_after_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_module, "MAX_AHEAD", 2)

    def test_objects_that_were_fetched_are_delivered(self, read: Read, server: Endpoint) -> None:
        first, second = (key("111111111111", "eu-west-1", "2024/05/13", clock) for clock in ("0005", "1200"))
        server.fault = lambda call: (
            None if call.is_listing or call.key in (first, second) else Refusal(403, "ExpiredToken")
        )
        delivered = read("s3://plain-logs/AWSLogs/")
        assert [item.uri for item in delivered if isinstance(item, Document)] == [
            f"s3://plain-logs/{first}",
            f"s3://plain-logs/{second}",
        ]
        *failed, rest = [item for item in delivered if isinstance(item, Skipped)]
        assert failed[0].reason == f"{self.EXPIRED}; {self.HINT}"
        assert {item.reason for item in failed[1:]} <= {self.EXPIRED}
        last = failed[-1].source.removeprefix("s3://plain-logs/")
        assert rest == Skipped(
            "s3://plain-logs/AWSLogs/", f"no log file after {last} was read: {self.EXPIRED}"
        )
        assert len(set(server.fetched)) < 8

    def test_objects_of_the_pages_that_were_listed_are_delivered(self, read: Read, server: Endpoint) -> None:
        server.page = 5
        server.fault = lambda call: (
            Refusal(403, "ExpiredToken") if "continuation-token" in call.query else None
        )
        *documents, rest = read("s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1/")
        assert len([item for item in documents if isinstance(item, Document)]) == 5
        last = key("111111111111", "eu-west-1", "2024/05/14", "0005")
        assert rest == Skipped(
            "s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1/",
            f"no log file after {last} was read: {self.EXPIRED}",
        )

    def test_the_command_answers_with_what_was_read_and_exits_with_3(
        self, server: Endpoint, run: Run
    ) -> None:
        last = max(path for story in TOLD for path in files(story))
        server.fault = lambda call: Refusal(403, "ExpiredToken") if call.key == last else None
        result = run("timeline", "s3://story-logs", "-o", "json", "--endpoint-url", server.url)
        assert result.exit_code == 3
        assert f"{self.EXPIRED}; {self.HINT}\n" in result.stderr
        answer = json.loads(result.stdout)
        [source] = answer["evidence"]["sources"]
        assert added_up(source)["files_skipped"] == 1
        assert len(answer["entries"]) > 20


@pytest.mark.usefixtures("_either")
class TestLargeObjects:
    """A large object is fetched in pieces, on demand."""

    @pytest.fixture(autouse=True)
    def _small_pieces(self, server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_bucket, "RANGE_BYTES", 1000)
        monkeypatch.setattr(s3_module, "RANGE_BYTES", 1000)
        server.client.put_object(Bucket="loose-logs", Key="large/1.json", Body=bytes(range(250)) * 10)

    def test_the_pieces_make_up_the_object(self, read: Read, server: Endpoint) -> None:
        [document] = read("s3://loose-logs/large")
        assert isinstance(document, Document)
        assert len(server.fetched) == 1
        assert [len(piece) for piece in document.chunks] == [1000, 1000, 500]
        assert [call.headers["range"] for call in server.calls if call.key] == [
            "bytes=0-999",
            "bytes=1000-1999",
            "bytes=2000-2499",
        ]

    def test_a_failure_in_the_middle_is_a_read_error(self, read: Read, server: Endpoint) -> None:
        [document] = read("s3://loose-logs/large")
        assert isinstance(document, Document)
        server.fault = lambda _: Refusal(404, "NoSuchKey")
        assert len(next(document.chunks)) == 1000
        with pytest.raises(OSError, match="deleted after it was listed"):
            next(document.chunks)


class TestObstore:
    """obstore fetches what it can, and boto3 the rest."""

    def agents(self, server: Endpoint) -> list[str]:
        return [call.headers["user-agent"].partition("/")[0] for call in server.calls if call.key]

    def test_objects_are_fetched_by_obstore(self, read: Read, server: Endpoint) -> None:
        assert len(keys(read("s3://plain-logs/AWSLogs/111111111111"))) == 24
        assert self.agents(server) == ["object_store"] * 24

    def test_a_key_that_obstore_cannot_name_is_fetched_by_boto3(self, read: Read, server: Endpoint) -> None:
        assert len(keys(read("s3://loose-logs/x"))) == 1
        assert self.agents(server) == ["Boto3"]

    def test_obstore_is_not_used_any_longer_if_it_never_succeeds(
        self, read: Read, server: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(obstore_reader, "MAX_FAILURES", 3)
        monkeypatch.setattr(s3_module, "THREADS", 1)

        def only_boto3(call: Call) -> Refusal | None:
            return None if call.headers["user-agent"].startswith("Boto3") else Refusal(403, "AccessDenied")

        server.fault = only_boto3
        assert len(keys(read("s3://plain-logs/AWSLogs/111111111111"))) == 24
        assert self.agents(server).count("object_store") == 4

    def test_a_custom_ca_bundle_is_left_to_boto3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", "own.pem")
        for scheme, given in (("https", False), ("http", True)):
            bucket = S3Bucket("s3://logs", "logs", Scope(), connections=1)
            bucket._address = (f"{scheme}://logs.example/?list-type=2", "us-east-1")
            assert (bucket._open_obstore() is not None) is given


NO_LISTINGS: dict[str, Fault] = {
    "a portal's page": Portal(b"<html><body>Please sign in</body></html>"),
    "a page that is no XML": Portal(b"<!doctype html><html><br>&nbsp;"),
    "nothing": Portal(b""),
    "JSON": Portal(b'{"ok":true}', "application/json"),
    "another root": Edited(rb"ListBucketResult", b"ListVersionsResult"),
    "an error that is called a success": Portal(
        b"<Error><Code>InternalError</Code></Error>", "application/xml"
    ),
    "no word on whether more follows": Edited(rb"<IsTruncated>.*?</IsTruncated>", b""),
    "no way to what follows": Edited(rb"<NextContinuationToken>.*?</NextContinuationToken>", b""),
    "fewer keys than announced": Edited(rb"<Contents>.*?</Contents>(?=<Contents>)", b""),
    "keys of another place": Edited(rb"<Key>", b"<Key>elsewhere/"),
    "keys without a name": Edited(rb"<Key>.*?</Key>", b""),
    "a size that is no number": Edited(rb"<Size>.*?</Size>", b"<Size>large</Size>"),
}


class TestMalformedListing:
    """A page that is not a listing is never its end: it is retried, and then reported."""

    URI = "s3://plain-logs/AWSLogs/111111111111/CloudTrail/eu-west-1/"

    @pytest.fixture(autouse=True)
    def _small_pages(self, server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        server.page = 5

    def second(self, fault: Fault, times: int) -> Callable[[Call], Fault | None]:
        """Spoil the second page this many times."""
        left = itertools.repeat(None, times)

        def spoil(call: Call) -> Fault | None:
            is_second = call.is_listing and "continuation-token" in call.query
            return fault if is_second and next(left, self) is None else None

        return spoil

    @pytest.mark.parametrize("answer", NO_LISTINGS)
    def test_one_bad_page_is_requested_again(self, read: Read, server: Endpoint, answer: str) -> None:
        server.fault = self.second(NO_LISTINGS[answer], times=1)
        assert len(keys(read(self.URI))) == 12

    @pytest.mark.parametrize("answer", NO_LISTINGS)
    def test_keys_before_a_page_that_stays_bad_are_kept_with_a_warning(
        self, read: Read, server: Endpoint, answer: str
    ) -> None:
        server.fault = self.second(NO_LISTINGS[answer], times=1000)
        delivered = read(self.URI)
        assert len([item for item in delivered if isinstance(item, Document)]) == 5
        (skipped,) = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source == self.URI
        last = "111111111111_CloudTrail_eu-west-1_20240514T0005Z_0123456789abcdef.json.gz"
        assert skipped.reason.startswith(f"listing failed after {last}; the rest was not read: ")

    @pytest.mark.parametrize("answer", ["a portal's page", "nothing", "another root"])
    def test_without_any_good_page_it_is_an_error(self, read: Read, server: Endpoint, answer: str) -> None:
        server.fault = lambda call: NO_LISTINGS[answer] if call.is_listing else None
        with pytest.raises(
            SourceError, match="listing failed: the response is damaged, or not from AWS"
        ) as raised:
            read("s3://plain-logs")
        assert raised.value.hint == "check the network, the proxy and --endpoint-url, then try again"

    def test_other_regions_are_still_read(self, read: Read, server: Endpoint) -> None:
        def spoil(call: Call) -> Fault | None:
            of_days = call.is_listing and call.query.get("prefix", "").endswith(
                "222222222222/CloudTrail/us-east-1/"
            )
            return NO_LISTINGS["a portal's page"] if of_days else None

        server.fault = spoil
        delivered = read("s3://plain-logs/AWSLogs")
        assert len([item for item in delivered if isinstance(item, Document)]) == 36
        (skipped,) = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source == "s3://plain-logs/AWSLogs/222222222222/CloudTrail/us-east-1/"
        assert skipped.reason.startswith("listing failed at its start")

    @pytest.mark.parametrize("part", [rb"<ETag>.*?</ETag>", rb"<Size>.*?</Size>"])
    def test_an_object_that_is_listed_without_an_etag_or_size_is_skipped(
        self, read: Read, server: Endpoint, part: bytes
    ) -> None:
        name = b"T1205Z_0123456789abcdef.json.gz"
        one = rb"(<Key>[^<]*20240514" + name + rb"</Key>(?:(?!</Contents>).)*?)" + part
        server.fault = lambda call: Edited(one, rb"\1") if call.is_listing else None
        delivered = read(self.URI)
        assert len([item for item in delivered if isinstance(item, Document)]) == 11
        (skipped,) = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source.endswith("_20240514T1205Z_0123456789abcdef.json.gz")
        assert "listed without an ETag or a size" in skipped.reason

    @pytest.mark.usefixtures("_either")
    @pytest.mark.parametrize("fault", [Portal(b"<html>Please sign in</html>"), Edited(rb"(?i)etag", b"")])
    def test_an_object_that_arrives_without_an_etag_is_skipped(
        self, read: Read, server: Endpoint, fault: Fault
    ) -> None:
        bad = key("111111111111", "eu-west-1", "2024/05/14", "1200")
        server.fault = lambda call: fault if call.key == bad else None
        delivered = read(self.URI)
        assert len([item for item in delivered if isinstance(item, Document)]) == 11
        (skipped,) = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source == f"s3://plain-logs/{bad}"
        assert "GetObject was answered with" in skipped.reason
        assert skipped.reason.endswith("without ETag")

    def test_the_command_answers_with_what_was_read_and_exits_with_3(self, server: Endpoint) -> None:
        server.fault = self.second(NO_LISTINGS["a portal's page"], times=1000)
        arguments = ["timeline", "s3://story-logs", "--endpoint-url", server.url, "-o", "json"]
        ran = CliRunner().invoke(main, arguments)
        assert ran.exit_code == 3
        answer = json.loads(ran.stdout)
        assert len(answer["entries"]) > 0
        assert "listing failed after" in ran.stderr
        assert added_up(answer["evidence"]["sources"][0])["files_skipped"] > 0


@pytest.fixture(scope="module")
def full(server: Endpoint) -> tuple[str, ...]:
    """A log file every three minutes, and files with names that CloudTrail does not write."""
    clocks = [f"{hour:02}{minute:02}" for hour in range(24) for minute in range(0, 60, 3)]
    made = [key("111111111111", "eu-west-1", day, clock) for day in DAYS[:2] for clock in clocks]
    folder = "AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14/"
    strange = [f"{folder}000-before.json.gz", f"{folder}renamed.json.gz"]
    server.put("full-logs", dict.fromkeys([*made, *strange], BODY))
    return tuple(strange)


class TestFullDay:
    """A day with many files is listed from the requested minute to the last that may matter."""

    @pytest.mark.parametrize(
        "uri", ["s3://full-logs", "s3://full-logs/AWSLogs/111111111111/CloudTrail/eu-west-1/2024/05/14/"]
    )
    def test_one_minute_takes_few_pages(
        self, read: Read, server: Endpoint, full: tuple[str, ...], uri: str
    ) -> None:
        server.page = 7
        asked = Scope(
            since=at("2024-05-14T11:30"), until=at("2024-05-14T11:31"), delivery_lag=timedelta(minutes=5)
        )
        clocks = [f"{at_ // 60:02}{at_ % 60:02}" for at_ in range(11 * 60 + 15, 11 * 60 + 52, 3)]
        wanted = [key("111111111111", "eu-west-1", "2024/05/14", clock) for clock in clocks]
        assert keys(read(uri, asked)) == sorted([*wanted, *full])
        of_days = [query for query in server.listings if "2024/05/14" in query.get("prefix", "")]
        assert len(of_days) == 4, "the day's beginning, two with the minute asked for, the day's end"

    def test_a_start_or_an_end_alone_takes_few_pages(
        self, read: Read, server: Endpoint, full: tuple[str, ...]
    ) -> None:
        server.page = 7
        late = keys(read("s3://full-logs", Scope(since=at("2024-05-14T23:30"))))
        assert len(late) == 15 + len(full)
        assert len(server.listings) < 12
        server.calls.clear()
        early = keys(read("s3://full-logs", Scope(until=at("2024-05-13T00:10"), delivery_lag=timedelta())))
        assert len(early) == 9
        assert len(server.listings) < 12

    def test_a_range_over_midnight_loses_no_file(
        self, read: Read, server: Endpoint, full: tuple[str, ...]
    ) -> None:
        server.page = 7
        asked = Scope(
            since=at("2024-05-13T23:50"), until=at("2024-05-13T23:55"), delivery_lag=timedelta(minutes=10)
        )
        found = keys(read("s3://full-logs", asked))
        assert len(found) == 8 + 7 + len(full)
        assert len(server.listings) < 14

    @pytest.mark.parametrize("minute", [0, 1, 14, 15, 16, 29, 719, 1425, 1438, 1439])
    def test_any_minute_gives_the_answer_of_a_full_listing(
        self, read: Read, server: Endpoint, full: tuple[str, ...], minute: int
    ) -> None:
        server.page = 1000 if minute % 2 else 16
        since = at("2024-05-14T00:00") + timedelta(minutes=minute)
        asked = Scope(since=since, until=since, delivery_lag=timedelta(minutes=3))
        found = keys(read("s3://full-logs", asked))
        first, last = since - timedelta(minutes=15), since + timedelta(minutes=18)
        clocks = [at("2024-05-13T00:00") + timedelta(minutes=offset) for offset in range(0, 2 * 1440, 3)]
        wanted = [
            key("111111111111", "eu-west-1", f"{clock:%Y/%m/%d}", f"{clock:%H%M}")
            for clock in clocks
            if first <= clock <= last
        ]
        assert [name for name in found if name not in full] == wanted
        assert set(full) <= set(found)


class TestErrors:
    """A fatal error is one sentence that names what to change."""

    def said(self, read: Read, uri: str, scope: Scope | None = None) -> str:
        with pytest.raises(SourceError) as caught:
            read(uri, scope)
        return f"{caught.value.message} | {caught.value.hint}"

    def test_a_missing_bucket_is_an_error(self, read: Read) -> None:
        assert "there is no bucket no-such-bucket" in self.said(read, "s3://no-such-bucket")

    def test_an_invalid_bucket_name_is_an_error(self, read: Read) -> None:
        assert "'Not A Bucket' is not a bucket name" in self.said(read, "s3://Not A Bucket")

    def test_a_url_without_a_bucket_is_an_error(self, read: Read) -> None:
        assert "no bucket name" in self.said(read, "s3:///AWSLogs")

    def test_an_empty_prefix_is_an_error(self, read: Read) -> None:
        assert "s3://plain-logs/nothing: no log files" in self.said(read, "s3://plain-logs/nothing")

    def test_a_time_without_log_files_is_an_error(self, read: Read) -> None:
        scope = Scope(since=at("2031-01-01"), until=at("2031-01-02"), accounts=("111111111111",))
        said = self.said(read, "s3://plain-logs", scope)
        time = "since 2031-01-01 00:00:00Z until 2031-01-02 00:00:00Z"
        assert f"no log files of account 111111111111 {time}" in said

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("S3://plain-logs/AWSLogs/", "s3://plain-logs/AWSLogs/"),
            ("s3a://plain-logs", "s3://plain-logs"),
            ("s3:plain-logs/AWSLogs", "s3://plain-logs/AWSLogs"),
            ("arn:aws:s3:::plain-logs", "s3://plain-logs"),
            ("arn:aws-us-gov:s3:::plain-logs/AWSLogs/*", "s3://plain-logs/AWSLogs/*"),
            ("https://plain-logs.s3.amazonaws.com/AWSLogs/", "s3://plain-logs/AWSLogs/"),
            ("https://plain-logs.s3.eu-west-1.amazonaws.com/a.gz", "s3://plain-logs/a.gz"),
            ("https://s3.cn-north-1.amazonaws.com.cn/plain-logs/AWSLogs", "s3://plain-logs/AWSLogs"),
            ("https://s3.eusc-de-east-1.amazonaws.eu/plain-logs/AWSLogs", "s3://plain-logs/AWSLogs"),
        ],
    )
    @pytest.mark.parametrize(
        "command", [("timeline",), ("verify",), ("sync", "--to", "copy"), ("flows", "--with", "ironman")]
    )
    def test_a_bucket_named_in_another_way_is_a_mistake_with_its_name(
        self, run: Run, command: tuple[str, ...], written: str, meant: str
    ) -> None:
        result = run(command[0], written, *command[1:])
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: {written}: buckets are named s3://BUCKET/PREFIX\nhint: did you mean {meant}?\n"
        )

    def test_a_refusal_is_not_to_be_tried_again(self, read: Read, server: Endpoint) -> None:
        server.fault = lambda _: Refusal(400, "AuthorizationHeaderMalformed")
        with pytest.raises(SourceError) as error:
            read("s3://plain-logs")
        assert error.value.hint == "check the name of the bucket, --endpoint-url and --profile"

    def test_a_malformed_setting_is_not_blamed_on_the_endpoint(
        self, read: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
        assert "an AWS setting is malformed" in self.said(read, "s3://plain-logs")

    def test_a_denied_listing_is_an_error(self, read: Read, server: Endpoint) -> None:
        server.fault = lambda _: Refusal(403, "AccessDenied")
        said = self.said(read, "s3://plain-logs")
        assert "needs the IAM action s3:ListBucket on plain-logs" in said
        assert "--request-payer requester" in said

    def test_denial_of_every_object_is_an_error(self, read: Read, server: Endpoint) -> None:
        server.fault = lambda call: None if call.is_listing else Refusal(403, "AccessDenied")
        assert "needs the IAM action s3:GetObject on plain-logs/*" in self.said(read, "s3://plain-logs", NOON)

    def test_no_more_objects_are_tried_after_enough_denials(
        self, read: Read, server: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_module, "MAX_DENIED", 3)
        monkeypatch.setattr(s3_module, "MAX_AHEAD", 4)
        server.fault = lambda call: None if call.is_listing else Refusal(403, "AccessDenied")
        assert "access denied to all 3 log files tried" in self.said(read, "s3://plain-logs")
        assert len(set(server.fetched)) < 10

    def test_a_role_that_may_not_be_assumed_is_an_error(self) -> None:
        error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
        said = aws.fatal_failure(error)
        assert said is not None
        assert "no AWS credentials could be obtained" in said.reason

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            ("ExpiredToken", "the AWS session token has expired"),
            ("InvalidAccessKeyId", "AWS does not know these credentials"),
            ("SignatureDoesNotMatch", "the AWS secret key does not match"),
            ("RequestTimeTooSkewed", "this machine's clock is wrong, so AWS rejected the call"),
        ],
    )
    @pytest.mark.parametrize("while_listing", [True, False])
    def test_bad_credentials_are_an_error(
        self, read: Read, server: Endpoint, code: str, sentence: str, while_listing: bool
    ) -> None:
        server.fault = lambda call: Refusal(403, code) if call.is_listing == while_listing else None
        assert sentence in self.said(read, "s3://plain-logs", NOON)

    def test_a_clock_error_is_reported_with_its_size(self) -> None:
        details = {
            "Code": "RequestTimeTooSkewed",
            "Message": "The difference between the request time and the current time is too large.",
            "RequestTime": "20250304T101500Z",
            "ServerTime": "2025-03-04T09:55:00Z",
        }
        said = aws.fatal_failure(ClientError({"Error": details}, "ListObjectsV2"))  # type: ignore[typeddict-item]
        assert said is not None
        assert said.reason.startswith("this machine's clock is wrong by about 20 minutes (fast)")

    @pytest.mark.parametrize(("hours", "wrong"), [(0, False), (26, True)])
    def test_a_date_far_from_the_local_one_explains_a_refusal(self, hours: int, wrong: bool) -> None:
        date = datetime.now(UTC) + timedelta(hours=hours)
        headers = {"date": f"{date:%a, %d %b %Y %H:%M:%S} GMT"}
        answer = {"Error": {"Code": "RequestExpired"}, "ResponseMetadata": {"HTTPHeaders": headers}}
        said = aws.fatal_failure(ClientError(answer, "DescribeInstances"))  # type: ignore[arg-type]
        assert said is not None
        assert ("clock is wrong by about 1,560 minutes (slow)" in said.reason) is wrong

    @pytest.fixture
    def _own_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aws, "open_session", SESSION)

    @pytest.mark.usefixtures("_own_session")
    def test_missing_credentials_are_an_error(self, read: Read) -> None:
        assert "there are no AWS credentials" in self.said(read, "s3://plain-logs")

    @pytest.mark.usefixtures("_own_session")
    def test_an_unknown_profile_is_an_error(self, read: Read) -> None:
        assert "absent" in self.said(read, "s3://plain-logs", Scope(profile="absent"))

    def test_an_unreachable_endpoint_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        source = open_source("s3://plain-logs", Scope(endpoint_url="http://127.0.0.1:9"))
        with pytest.raises(SourceError, match="AWS cannot be reached"):
            list(source.documents())

    def test_a_malformed_endpoint_is_an_error(self) -> None:
        source = open_source("s3://plain-logs", Scope(endpoint_url="nonsense"))
        with pytest.raises(SourceError, match="nonsense"):
            list(source.documents())


class TestOtherBuckets:
    """Requester Pays buckets, and buckets in another Region than the configured one."""

    def test_the_requester_pays_for_listings_and_for_objects(self, read: Read, server: Endpoint) -> None:
        read("s3://plain-logs", Scope(request_payer="requester", since=NOON.since, until=NOON.until))
        assert {call.headers.get("x-amz-request-payer") for call in server.calls} == {"requester"}

    def test_without_the_option_the_requester_does_not_pay(self, read: Read, server: Endpoint) -> None:
        read("s3://plain-logs/AWSLogs/111111111111", NOON)
        assert {call.headers.get("x-amz-request-payer") for call in server.calls} == {None}

    @pytest.mark.usefixtures("_either")
    def test_a_bucket_in_another_region_is_followed_there(self, read: Read, server: Endpoint) -> None:
        def elsewhere(call: Call) -> Refusal | None:
            if "/eu-central-1/s3/" in call.headers["authorization"]:
                return None
            return Refusal(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-central-1"})

        server.fault = elsewhere
        assert len(keys(read("s3://plain-logs/AWSLogs", NOON))) == 8
        strays = [call for call in server.calls if "/eu-central-1/s3/" not in call.headers["authorization"]]
        assert len(strays) == 1, "the Region is asked for once"


class TestStartUp:
    """AWS's libraries take a third of a second to import, so they are imported only for a bucket."""

    def test_nothing_of_aws_is_imported_before_a_bucket_is_read(self) -> None:
        code = "import sys, cnitrail.sources; print({'boto3', 'botocore', 'obstore'} & set(sys.modules))"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout == "set()\n"


class TestCommandLine:
    """A bucket gives the same answers as the same files on disk."""

    def entries(self, *arguments: str) -> list[dict[str, object]]:
        ran = CliRunner().invoke(main, ["timeline", *arguments, "-o", "jsonl"])
        assert ran.exit_code == 0, ran.output
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def test_the_timeline_is_the_same_as_from_files(self, server: Endpoint, tmp_path: Path) -> None:
        for story in TOLD:
            for path, data in files(story).items():
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_bytes(gzip.compress(data))
        there = self.entries("s3://story-logs", "--endpoint-url", server.url)
        here = self.entries(str(tmp_path))
        assert len(here) == 30
        text = json.dumps(here).replace(json.dumps(str(tmp_path))[1:-1], "s3://story-logs")
        assert there == json.loads(text)

    def test_a_filter_by_time_gives_the_same_answer_from_fewer_objects(self, server: Endpoint) -> None:
        span = ("--since", "2024-05-14T14:20Z", "--until", "2024-05-14T14:30Z")
        there = self.entries("s3://story-logs", "--endpoint-url", server.url, *span)
        assert {str(entry["time"])[:13] for entry in there} == {"2024-05-14T14"}
        assert 0 < len(server.fetched) < 10

    def test_a_failure_is_a_one_line_error_with_exit_status_1(self, server: Endpoint) -> None:
        ran = CliRunner().invoke(main, ["timeline", "s3://no-such-bucket", "--endpoint-url", server.url])
        assert ran.exit_code == 1
        assert ran.stderr.splitlines() == [
            "error: s3://no-such-bucket: there is no bucket no-such-bucket",
            "hint: aws s3 ls lists your buckets",
        ]

    def test_a_skipped_object_is_shown_with_exit_status_3(self, server: Endpoint) -> None:
        server.fault = lambda call: Refusal(404, "NoSuchKey") if "T1430Z" in call.key else None
        ran = CliRunner().invoke(main, ["timeline", "s3://story-logs", "--endpoint-url", server.url])
        assert ran.exit_code == 3
        assert "deleted after it was listed" in ran.stderr

    def test_the_counts_of_a_bucket_add_up(self, server: Endpoint) -> None:
        server.fault = lambda call: Refusal(404, "NoSuchKey") if "T1430Z" in call.key else None
        arguments = ["timeline", "s3://story-logs", "--endpoint-url", server.url, "-o", "json"]
        answer = json.loads(CliRunner().invoke(main, arguments).stdout)
        account = added_up(answer["evidence"]["sources"][0])
        listed = sum(len(files(story)) for story in TOLD)
        assert (account["files_found"], account["files_skipped"]) == (listed, account["skipped"])
        assert account["skipped"] > 0

    def test_a_malformed_lag_is_a_usage_error(self) -> None:
        ran = CliRunner().invoke(main, ["timeline", "s3://story-logs", "--delivery-lag", "soon"])
        assert ran.exit_code == 2
        assert "'soon' is not a length of time" in ran.stderr


class TestCollect:
    """A bucket is collected into a store once; later runs fetch only new objects."""

    def collect(self, server: Endpoint, store: Path) -> list[str]:
        """Return the keys that one run fetches."""
        before = len(server.fetched)
        arguments = ["collect", "s3://story-logs", "--to", str(store), "--endpoint-url", server.url]
        ran = CliRunner().invoke(main, arguments)
        assert ran.exit_code == 0, ran.output
        return server.fetched[before:]

    def test_an_unchanged_bucket_is_not_read_again(self, server: Endpoint, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        assert len(self.collect(server, store)) > 10
        assert self.collect(server, store) == []

    def test_the_store_gives_the_same_answers_as_the_bucket(self, server: Endpoint, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        self.collect(server, store)
        answers = [
            CliRunner().invoke(main, ["timeline", *source, "-o", "jsonl"]).stdout
            for source in ([str(store)], ["s3://story-logs", "--endpoint-url", server.url])
        ]
        assert answers[0] == answers[1] != ""
