"""Where ``flows`` reads: buckets by AWS's layouts, log groups, and the formats that EC2 lists."""

import gzip
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from conftest import FIXTURES, Run
from logs_server import CloudWatchLogs, FlowLog, LogsError, cloudwatch_logs, made_up_account
from loopback import Call, Endpoint, Refusal, endpoint
from msgspec.structs import replace

from cnitrail.errors import EmptySourceError, SourceError, UsageError
from cnitrail.model import Document, Note, Scope, Skipped
from cnitrail.sources import aws, s3_bucket
from cnitrail.sources.flow_logs import open_flow_source
from cnitrail.sources.flow_logs.formats import columns_of_flow_log, describe_formats
from cnitrail.sources.flow_logs.key_layout import dated_folder, is_in_scope, keys_of
from cnitrail.sources.flow_logs.log_group import FlowLogGroup
from cnitrail.sources.response_check import with_response_check

SESSION = aws.open_session
A, B = "111111111111", "222222222222"
REGION = "eu-west-1"
RECORD = (
    "2 111111111111 eni-0a0a0a0a0a0a0a0a0 10.0.1.10 10.0.1.20 443 49152 6 10 840 1664971200 1664971260 "
    "ACCEPT OK"
)
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status"
)
BODY = gzip.compress(f"{V2}\n{RECORD}\n".encode())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def name(account: str, region: str, stamp: str) -> str:
    """The name of a file, as AWS gives it."""
    return f"{account}_vpcflowlogs_{region}_fl-0aaaaaaaaaaaaaaaa_{stamp}Z_fe123456.log.gz"


def plain(
    account: str, stamp: str, top: str = "AWSLogs/", *, region: str = REGION, hours: bool = False
) -> str:
    """The key of a file below folders of dates."""
    day = f"{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}/" + (f"{stamp[9:11]}/" if hours else "")
    return f"{top}{account}/vpcflowlogs/{region}/{day}{name(account, region, stamp)}"


def hive(
    account: str, stamp: str, top: str = "AWSLogs/", *, region: str = REGION, hours: bool = False
) -> str:
    """The key of a file below folders that Hive reads as partitions."""
    day = f"year={stamp[:4]}/month={stamp[4:6]}/day={stamp[6:8]}/" + (f"hour={stamp[9:11]}/" if hours else "")
    above = f"{top}aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/"
    return f"{above}{day}{name(account, region, stamp)}"


def lake(account: str, day: str, top: str = "aws/VPC_FLOW/2.0/", *, region: str = REGION) -> str:
    """The key of a file of Security Lake."""
    return f"{top}region={region}/accountId={account}/eventDay={day}/0123456789abcdef.gz.parquet"


def trail(account: str, day: str) -> str:
    """The key of a CloudTrail file."""
    stamp = day.replace("/", "")
    return (
        f"AWSLogs/{account}/CloudTrail/{REGION}/{day}/{account}_CloudTrail_{REGION}_{stamp}T1200Z_abc.json.gz"
    )


STAMPS = ("20221004T2355", "20221005T0000", "20221005T1420", "20221005T1530", "20221006T0000")
TWO = [plain(account, stamp) for account in (A, B) for stamp in STAMPS]
BUCKETS: dict[str, list[str]] = {
    "plain": [*TWO, trail(A, "2022/10/05"), f"AWSLogs/{A}/elasticloadbalancing/{REGION}/2022/10/05/x.log.gz"],
    "hourly": [plain(A, stamp, hours=True) for stamp in STAMPS],
    "hive": [hive(A, stamp) for stamp in STAMPS],
    "hive-hourly": [hive(A, stamp, hours=True) for stamp in STAMPS],
    "regions": [plain(A, STAMPS[2], region=region) for region in (REGION, "us-east-1")],
    "deep": [*(plain(A, stamp, "team/net/AWSLogs/") for stamp in STAMPS), "team/notes.txt"],
    "renamed": [plain(A, stamp, "export/of/2022/") for stamp in STAMPS],
    "lake": [
        *(lake(A, day) for day in ("20221003", "20221005", "20221007")),
        lake(A, "20221005", "aws/ROUTE53/2.0/"),
        lake(A, "20221005", "ext/own-flows/"),
    ],
    "firehose": [f"2022/10/05/14/stream-1-{part}.gz" for part in range(3)],
    "only-a-trail": [trail(A, "2022/10/05")],
    "organization": [plain(A, stamp, "AWSLogs/o-abcdefghij/") for stamp in STAMPS],
    "zeros": [
        *(plain("041111111111", stamp) for stamp in STAMPS),
        *(plain("041111111111", stamp, hours=True) for stamp in STAMPS),
    ],
}
NOON = Scope(since=at("2022-10-05T14:22"), until=at("2022-10-05T14:30"), delivery_lag=timedelta(minutes=5))


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with endpoint() as found:
        for bucket, objects in BUCKETS.items():
            found.put(f"flows-{bucket}", dict.fromkeys(objects, BODY))
        yield found


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One session for all tests of buckets, as loading the API model is slow."""
    return with_response_check(
        boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    )


Read = Callable[..., list[Document | Skipped]]


@pytest.fixture
def read(server: Endpoint, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Return everything that a bucket delivers."""
    monkeypatch.setattr(aws, "open_session", lambda _: session)
    monkeypatch.setattr(s3_bucket, "READ_SECONDS", 2)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    server.calls.clear()
    server.fault = lambda _: None
    server.page = 1000

    def read(uri: str, scope: Scope | None = None) -> list[Document | Skipped]:
        asked = replace(scope or Scope(), endpoint_url=server.url)
        delivered = [*open_flow_source(uri, asked).documents()]
        assert all(isinstance(item, (Document, Skipped)) for item in delivered)
        return delivered  # type: ignore[return-value]

    return read


def keys(delivered: list[Document | Skipped]) -> list[str]:
    """The delivered keys in order; no object may have been skipped."""
    assert [item for item in delivered if isinstance(item, Skipped)] == []
    return [item.uri.split("/", 3)[3] for item in delivered if isinstance(item, Document)]


class TestDiscovery:
    """Flow logs are found in each layout, wherever the prefix points."""

    @pytest.mark.parametrize("prefix", ["", "/", "/AWSLogs", "/AWSLogs/"])
    def test_a_bucket_with_other_logs_has_its_flow_logs_read_and_nothing_else(
        self, read: Read, server: Endpoint, prefix: str
    ) -> None:
        assert keys(read(f"s3://flows-plain{prefix}")) == sorted(TWO)
        assert not [q for q in server.listings if "elasticloadbalancing" in q.get("prefix", "")]

    @pytest.mark.parametrize(
        "prefix",
        [
            f"AWSLogs/{A}",
            f"AWSLogs/{A}/vpcflowlogs/",
            f"AWSLogs/{A}/vpcflowlogs/{REGION}",
            f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/",
            f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/10",
        ],
    )
    def test_a_prefix_inside_the_layout_is_a_part_of_it(self, read: Read, prefix: str) -> None:
        assert keys(read(f"s3://flows-plain/{prefix}")) == [plain(A, stamp) for stamp in STAMPS]
        assert keys(read(f"s3://flows-plain/{prefix}", NOON)) == [plain(A, STAMPS[2])]

    @pytest.mark.parametrize(
        ("prefix", "found"),
        [
            (f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/10/05/", STAMPS[1:4]),
            (f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/10/0", STAMPS),
            (plain(A, STAMPS[2])[:-12], STAMPS[2:3]),
        ],
    )
    def test_a_prefix_may_end_with_a_day_or_within_a_name(
        self, read: Read, prefix: str, found: tuple[str, ...]
    ) -> None:
        assert keys(read(f"s3://flows-plain/{prefix}")) == [plain(A, stamp) for stamp in found]

    @pytest.mark.parametrize(
        ("bucket", "prefix"),
        [
            *(("hourly", p) for p in ("", f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/10/05/")),
            *(("hive", p) for p in ("", "AWSLogs/", f"AWSLogs/aws-account-id={A}/")),
            *(("hive-hourly", p) for p in ("", f"AWSLogs/aws-account-id={A}/aws-service=vpcflowlogs/")),
            *(("organization", p) for p in ("", "AWSLogs/o-abcdefghij")),
            *(("deep", p) for p in ("", "team", "team/net/")),
            *(("renamed", p) for p in ("", "export/of", f"export/of/2022/{A}/vpcflowlogs/")),
        ],
    )
    def test_every_layout_below_any_prefix_is_found_and_read_by_time(
        self, read: Read, bucket: str, prefix: str
    ) -> None:
        everything = sorted(key for key in BUCKETS[bucket] if "vpcflowlogs" in key)
        if "05" not in prefix:
            assert keys(read(f"s3://flows-{bucket}/{prefix}")) == everything
        assert keys(read(f"s3://flows-{bucket}/{prefix}", NOON)) == [
            key for key in everything if STAMPS[2] in key
        ]

    def test_security_lake_is_read_by_the_day_of_its_events(self, read: Read) -> None:
        assert keys(read("s3://flows-lake")) == [lake(A, day) for day in ("20221003", "20221005", "20221007")]
        assert keys(read("s3://flows-lake/aws/", NOON)) == [lake(A, "20221005")]
        assert keys(read(f"s3://flows-lake/aws/VPC_FLOW/2.0/region={REGION}/", NOON)) == [lake(A, "20221005")]

    def test_a_custom_source_of_security_lake_is_read_if_it_is_named(self, read: Read) -> None:
        assert keys(read("s3://flows-lake/ext/", NOON)) == [lake(A, "20221005", "ext/own-flows/")]

    def test_without_a_layout_every_object_is_left_to_the_reader(self, read: Read) -> None:
        assert keys(read("s3://flows-firehose", NOON)) == BUCKETS["firehose"]

    def test_a_trails_bucket_has_no_flow_logs_and_is_not_listed_for_them(
        self, read: Read, server: Endpoint
    ) -> None:
        with pytest.raises(EmptySourceError, match="no log files") as raised:
            read("s3://flows-only-a-trail")
        assert "AWSLogs/ACCOUNT/vpcflowlogs/" in str(raised.value.hint)
        assert not [q for q in server.listings if "CloudTrail" in q.get("prefix", "")]


class TestScope:
    """Accounts, Regions and times that were not asked for are not listed, and none too many left out."""

    def test_accounts_and_regions_are_selected_by_their_folders(self, read: Read, server: Endpoint) -> None:
        assert keys(read("s3://flows-plain", Scope(accounts=(B,)))) == [plain(B, stamp) for stamp in STAMPS]
        assert not [q for q in server.listings if f"{A}/vpcflowlogs" in q.get("prefix", "")]
        found = keys(read("s3://flows-regions", Scope(regions=("us-east-1",))))
        assert found == [plain(A, STAMPS[2], region="us-east-1")]
        assert len(keys(read("s3://flows-regions", Scope(regions=("all",))))) == 2

    @pytest.mark.parametrize(
        ("stamp", "is_read"),
        [
            ("20221005T1400", False),
            ("20221005T1402", True),
            ("20221005T1420", True),
            ("20221005T1501", True),
            ("20221005T1502", False),
        ],
    )
    def test_a_file_is_read_if_a_record_in_scope_may_be_in_it(self, stamp: str, is_read: bool) -> None:
        # from 20 min before 14:22, to 14:30 and 11 min of a record, 15 min of slack and 5 min of lag
        assert is_in_scope(plain(A, stamp), NOON) is is_read

    def test_a_range_over_midnight_lists_both_days(self, read: Read) -> None:
        scope = Scope(
            since=at("2022-10-05T00:05"), until=at("2022-10-05T00:05"), delivery_lag=timedelta(minutes=1)
        )
        assert keys(read(f"s3://flows-plain/AWSLogs/{A}/", scope)) == [plain(A, s) for s in STAMPS[:2]]

    def test_an_account_that_looks_like_an_hour_loses_no_file_of_a_day_without_hours(
        self, read: Read
    ) -> None:
        found = keys(read("s3://flows-zeros", NOON))
        assert found == sorted(key for key in BUCKETS["zeros"] if STAMPS[2] in key)

    def test_hours_that_are_out_of_scope_are_jumped_over(self) -> None:
        folder = dated_folder(f"AWSLogs/{A}/vpcflowlogs/{REGION}/")
        assert folder is not None
        found = keys_of(folder, NOON)
        assert found is not None
        day = f"AWSLogs/{A}/vpcflowlogs/{REGION}/2022/10/05/"
        assert found.prefix == found.first == day
        # the account begins with 11, which may be an hour before the first one, and not one after the last
        assert found.unwanted[0] == (f"{day}00/", f"{day}000")
        assert found.unwanted[-1] == (f"{day}16/", f"{day}230")

    def test_small_pages_change_nothing(self, read: Read, server: Endpoint) -> None:
        everything = keys(read("s3://flows-zeros", NOON))
        server.page = 1
        assert keys(read("s3://flows-zeros", NOON)) == everything

    @pytest.mark.parametrize("key", ["AWSLogs/", trail(A, "2022/10/05")])
    def test_folders_and_a_trails_files_are_never_flow_logs(self, key: str) -> None:
        assert not is_in_scope(key, Scope())


class TestFailures:
    """What cannot be read is reported as for a trail."""

    def test_one_denied_object_is_skipped_and_the_rest_is_read(self, read: Read, server: Endpoint) -> None:
        server.fault = lambda call: Refusal(403, "AccessDenied") if STAMPS[1] in call.key else None
        delivered = read(f"s3://flows-plain/AWSLogs/{A}/")
        (skipped,) = [item for item in delivered if isinstance(item, Skipped)]
        assert skipped.source.endswith(plain(A, STAMPS[1]))
        assert "s3:GetObject" in skipped.reason
        assert len(delivered) == len(STAMPS)

    def test_if_all_objects_are_denied_the_error_names_the_action(self, read: Read, server: Endpoint) -> None:
        server.fault = lambda call: Refusal(403, "AccessDenied") if not call.is_listing else None
        with pytest.raises(SourceError, match=r"access denied to all 5 log files tried.*s3:GetObject"):
            read("s3://flows-hive")

    def test_a_bucket_that_pays_by_request_is_read_if_that_is_confirmed(
        self, read: Read, server: Endpoint
    ) -> None:
        def unpaid(call: Call) -> Refusal | None:
            return None if "x-amz-request-payer" in call.headers else Refusal(403, "AccessDenied")

        server.fault = unpaid
        with pytest.raises(SourceError) as raised:
            read("s3://flows-hive")
        assert "--request-payer requester" in str(raised.value.hint)
        assert len(keys(read("s3://flows-hive", Scope(request_payer="requester")))) == len(STAMPS)

    def test_a_missing_bucket_is_an_error(self, read: Read) -> None:
        with pytest.raises(SourceError, match="there is no bucket flows-nowhere"):
            read("s3://flows-nowhere")


GROUP = "/vpc/flow-logs"
ENI, OTHER = "eni-0a0a0a0a0a0a0a0a0", "eni-0b0b0b0b0b0b0b0b0"
PKT = "${interface-id} ${pkt-srcaddr} ${pkt-dstaddr} ${start} ${end} ${log-status}"
TIMES = Scope(since=at("2022-10-05T12:00"), until=at("2022-10-05T14:00"))


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudWatchLogs]:
    made_up_account(monkeypatch, REGION)
    monkeypatch.setattr(aws, "open_session", SESSION)
    with cloudwatch_logs() as found:
        yield found


class Clock:
    """A clock that does not wait."""

    def now(self) -> float:
        return 0.0

    def wait_until(self, moment: float) -> None:
        """Return at once."""


def texts(
    logs: CloudWatchLogs, scope: Scope = TIMES, columns: tuple[str, ...] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Return the text of each document, and the reasons of what was skipped."""
    scope = replace(scope, endpoint_url=logs.url)
    found: dict[str, str] = {}
    skipped: list[str] = []
    for item in FlowLogGroup(f"logs:{GROUP}", scope, columns, Clock()).documents():
        if isinstance(item, Document):
            text = b"".join(item.chunks)
            assert item.size == len(text)
            found[item.uri.partition(f"@{A}/{REGION}/")[2]] = text.decode()
        elif isinstance(item, Skipped):
            skipped.append(item.reason)
        else:
            assert isinstance(item, Note)
    return found, skipped


def record(time: str, eni: str = ENI) -> tuple[str, str]:
    """A record of the format ``PKT``, after its time."""
    start = int(datetime.fromisoformat(time).timestamp())
    return time, f"{eni} 10.0.1.10 10.0.1.20 {start} {start + 60} OK"


HEADER = "interface-id pkt-srcaddr pkt-dstaddr start end log-status"


class TestLogGroup:
    """Each hour of a log group is a text with a header."""

    def test_the_format_comes_from_ec2_and_each_hour_is_a_document(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP)]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"), record("2022-10-05T13:10:00Z"))
        logs.put(REGION, GROUP, f"{OTHER}-all", record("2022-10-05T12:20:00Z", OTHER))
        logs.page = 1
        found, skipped = texts(logs)
        assert skipped == []
        assert found == {
            "2022-10-05T12": f"{HEADER}\n{record('2022-10-05T12:10:00Z')[1]}\n"
            f"{record('2022-10-05T12:20:00Z', OTHER)[1]}\n",
            "2022-10-05T13": f"{HEADER}\n{record('2022-10-05T13:10:00Z')[1]}\n",
        }
        assert all("filterPattern" not in call for call in logs.calls)

    def test_a_format_that_the_user_names_is_not_asked_of_ec2(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"))
        found, _ = texts(logs, columns=tuple(HEADER.split()))
        assert found["2022-10-05T12"].splitlines()[0] == HEADER
        assert logs.flow_log_calls == []

    def test_only_the_streams_of_the_interfaces_in_scope_are_read(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP)]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"))
        logs.put(REGION, GROUP, f"{OTHER}-all", record("2022-10-05T12:20:00Z", OTHER))
        found, _ = texts(logs, replace(TIMES, enis=(OTHER,)))
        assert found == {f"{OTHER}/2022-10-05T12": f"{HEADER}\n{record('2022-10-05T12:20:00Z', OTHER)[1]}\n"}

    def test_streams_with_other_names_are_all_read(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, "copied", record("2022-10-05T12:10:00Z"))
        found, _ = texts(logs, replace(TIMES, enis=(OTHER,)), tuple(HEADER.split()))
        assert [*found] == ["2022-10-05T12"]

    def test_events_are_asked_for_a_record_around_the_time(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP)]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T11:50:00Z"))
        found, _ = texts(logs)
        assert [*found] == ["2022-10-05T11"]
        (call,) = logs.calls
        assert call["startTime"] == at("2022-10-05T11:44").timestamp() * 1000
        assert call["endTime"] == at("2022-10-05T14:11").timestamp() * 1000

    def test_records_before_the_flow_log_existed_are_not_read_with_its_format(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP, created="2022-10-05T13:00:00.000Z")]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"), record("2022-10-05T13:10:00Z"))
        found, (reason,) = texts(logs)
        assert [*found] == ["2022-10-05T13"]
        assert "records before 2022-10-05T13:00:00Z were not read" in reason
        assert "--format" in reason

    def test_a_message_of_several_lines_is_one_line(self, logs: CloudWatchLogs) -> None:
        forged = f"{HEADER}\n{record('2022-10-05T12:10:00Z')[1]}"
        logs.put(REGION, GROUP, "own", ("2022-10-05T12:10:00Z", forged))
        found, _ = texts(logs, columns=tuple(HEADER.split()))
        assert found["2022-10-05T12"].count("\n") == 2

    def test_a_large_hour_is_divided(self, logs: CloudWatchLogs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.sources.flow_logs.log_group._MAX_BYTES", 100)
        logs.put(REGION, GROUP, "s", *(record(f"2022-10-05T12:{minute}:00Z") for minute in range(10, 15)))
        found, _ = texts(logs, columns=tuple(HEADER.split()))
        assert [*found] == ["2022-10-05T12", "2022-10-05T12.1", "2022-10-05T12.2"]
        assert all(text.startswith(f"{HEADER}\n") for text in found.values())

    def test_what_a_failure_leaves_unread_is_reported(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"), record("2022-10-05T13:10:00Z"))
        logs.page = 1
        found, (reason,) = texts(logs, replace(TIMES, max_calls=1), columns=tuple(HEADER.split()))
        assert [*found] == ["2022-10-05T12"]
        assert "stopped after 1 call (--max-calls)" in reason
        assert "was read until 2022-10-05T12:10:00Z only" in reason

    def test_a_group_without_records_in_scope_is_an_error(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, "s", record("2022-10-05T02:10:00Z"))
        with pytest.raises(EmptySourceError, match="no flow log records"):
            texts(logs, columns=("version",))

    def test_denied_calls_name_their_iam_action(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, "s")
        logs.fault = lambda _: LogsError("AccessDeniedException")
        with pytest.raises(SourceError, match="logs:FilterLogEvents"):
            texts(logs, columns=("version",))


class TestFormats:
    """DescribeFlowLogs gives the format, or an error that says what to do."""

    def test_flow_logs_with_one_format_are_one(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [
            FlowLog(f"fl-{number:017x}", PKT, GROUP, created=f"2022-0{9 - number}-01T00:00:00.000Z")
            for number in range(3)
        ]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"))
        found, skipped = texts(logs)
        assert (len(found), skipped) == (1, [])
        assert len(logs.flow_log_calls) == 2, "two pages"

    @pytest.mark.parametrize("end", ["", ":*"])
    def test_a_flow_log_may_name_its_group_by_arn(self, logs: CloudWatchLogs, end: str) -> None:
        arn = f"arn:aws:logs:{REGION}:{A}:log-group:{GROUP}{end}"
        logs.flow_logs = [
            FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, destination=arn),
            FlowLog("fl-0bbbbbbbbbbbbbbbb", "${version}", destination="arn:aws:s3:::flow-logs"),
            FlowLog("fl-0cccccccccccccccc", "${version}", f"{GROUP}-prod"),
        ]
        (found,) = describe_formats(Scope(endpoint_url=logs.url), log_group=GROUP)
        assert found.flow_log == "fl-0aaaaaaaaaaaaaaaa"

    def test_a_resource_whose_default_is_not_known_needs_a_format(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", "", GROUP, resource="core-network-0a")]
        with pytest.raises(SourceError, match="EC2 lists no format of fl-0aaaaaaaaaaaaaaaa"):
            columns_of_flow_log("fl-0aaaaaaaaaaaaaaaa", Scope(endpoint_url=logs.url))

    def test_several_formats_are_an_error_that_lists_them(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [
            FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP),
            FlowLog("fl-0bbbbbbbbbbbbbbbb", "${version} ${srcaddr}", GROUP, traffic="REJECT"),
        ]
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"))
        with pytest.raises(SourceError, match="2 flow logs with different formats") as raised:
            texts(logs)
        assert f"fl-0aaaaaaaaaaaaaaaa (ALL of vpc-0123456789abcdef0): {HEADER}" in raised.value.message
        assert (
            "fl-0bbbbbbbbbbbbbbbb (REJECT of vpc-0123456789abcdef0): version srcaddr" in raised.value.message
        )
        assert "--format" in str(raised.value.hint)

    def test_many_flow_logs_of_one_format_are_counted(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog(f"fl-{number:017x}", PKT, GROUP) for number in range(9)]
        logs.flow_logs.append(FlowLog("fl-0bbbbbbbbbbbbbbbb", "${version} ${srcaddr}", GROUP))
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"))
        with pytest.raises(SourceError, match="10 flow logs with different formats") as raised:
            texts(logs)
        assert (
            f"fl-00000000000000002 (ALL of vpc-0123456789abcdef0), 6 more: {HEADER}" in raised.value.message
        )

    def test_a_group_of_no_flow_log_needs_a_format(self, logs: CloudWatchLogs) -> None:
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"))
        with pytest.raises(SourceError, match="no flow log is listed that wrote to this log group") as raised:
            texts(logs)
        assert "--format" in str(raised.value.hint)

    def test_a_flow_log_that_was_created_after_the_time_range_does_not_count(
        self, logs: CloudWatchLogs
    ) -> None:
        late = "2022-10-06T00:00:00.000Z"
        logs.flow_logs = [
            FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP),
            FlowLog("fl-0bbbbbbbbbbbbbbbb", "${version}", GROUP, created=late),
        ]
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"))
        found, skipped = texts(logs)
        assert (len(found), skipped) == (1, [])

    def test_a_group_that_does_not_exist_is_the_reason_rather_than_its_format(
        self, logs: CloudWatchLogs
    ) -> None:
        logs.put(REGION, f"{GROUP}-prod", "s", record("2022-10-05T12:10:00Z"))
        with pytest.raises(SourceError, match="there is no such log group") as raised:
            texts(logs)
        assert f"did you mean logs:{GROUP}-prod?" in str(raised.value.hint)

    def test_a_denied_call_names_the_iam_action_and_the_way_without_it(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs_fault = "UnauthorizedOperation"
        logs.put(REGION, GROUP, "s", record("2022-10-05T12:10:00Z"))
        with pytest.raises(SourceError, match="may not call ec2:DescribeFlowLogs") as raised:
            texts(logs)
        assert "--format names the format without asking EC2" in str(raised.value.hint)

    def test_a_flow_log_is_found_by_its_id_in_every_region_asked(self, logs: CloudWatchLogs) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, region="us-east-1")]
        scope = Scope(endpoint_url=logs.url, regions=(REGION, "us-east-1"))
        assert columns_of_flow_log("fl-0aaaaaaaaaaaaaaaa", scope) == tuple(HEADER.split())
        with pytest.raises(SourceError, match=f"no such flow log in {REGION}"):
            columns_of_flow_log("fl-0aaaaaaaaaaaaaaaa", replace(scope, regions=(REGION,)))

    @pytest.mark.parametrize("text", ["fl-", "fl-XYZ", "fl-0aaaaaaaaaaaaaaaa;", "vpc-0123456789abcdef0"])
    def test_what_is_no_id_of_a_flow_log_is_not_asked_for(self, text: str) -> None:
        with pytest.raises(UsageError, match="not the ID of a flow log"):
            columns_of_flow_log(text, Scope())

    @pytest.mark.parametrize(
        ("resource", "first", "length"),
        [("vpc-0123456789abcdef0", "account-id", 14), ("tgw-0123456789abcdef0", "resource-type", 36)],
    )
    def test_without_a_format_the_default_of_the_resource_is_meant(
        self, logs: CloudWatchLogs, resource: str, first: str, length: int
    ) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", "", GROUP, resource=resource)]
        (found,) = describe_formats(Scope(endpoint_url=logs.url), log_group=GROUP)
        assert (found.columns[1], len(found.columns)) == (first, length)


class TestOtherSources:
    """What has no flow logs is refused with the option that takes it."""

    @pytest.mark.parametrize(
        "uri",
        ["lookup:", "athena://default.cloudtrail_logs", "trino://host/hive/default/cloudtrail", "athena:x"],
    )
    def test_sources_of_cloudtrail_belong_to_with(self, uri: str) -> None:
        with pytest.raises(UsageError, match="not a source of flow logs") as raised:
            open_flow_source(uri, Scope())
        assert f"use --with {uri}" in str(raised.value.hint)

    def test_a_store_belongs_to_with(self, run: Run, tmp_path: Path) -> None:
        store = tmp_path / "events.db"
        store.write_bytes(b"SQLite format 3\0" + bytes(100))
        with pytest.raises(UsageError, match="a store of CloudTrail events"):
            open_flow_source(str(store), Scope())

    def test_a_missing_file_and_another_scheme_say_what_can_be_read(self) -> None:
        with pytest.raises(SourceError, match="no such file") as missing:
            open_flow_source("nowhere.log.gz", Scope())
        with pytest.raises(UsageError, match="cannot be read from there") as other:
            open_flow_source("gs://bucket/logs", Scope())
        assert "s3://BUCKET/PREFIX" in str(missing.value.hint)
        assert "s3://BUCKET/PREFIX" in str(other.value.hint)


class TestCommand:
    """The command reads what the sources deliver."""

    TRAIL = ("--with", str(FIXTURES / "pod-behind-an-address" / "AWSLogs"), "-o", "csv")

    @pytest.mark.usefixtures("read")
    def test_a_bucket_is_read_in_the_order_of_its_keys(self, server: Endpoint, run: Run) -> None:
        result = run("flows", "s3://flows-hive-hourly", *self.TRAIL, "--endpoint-url", server.url)
        assert result.exit_code == 0, result.stderr
        header, *lines = result.stdout.splitlines()
        assert header.startswith(V2.replace(" ", ","))
        assert [line.startswith(RECORD.replace(" ", ",")) for line in lines] == [True] * len(STAMPS)

    def test_a_log_group_needs_no_format(self, logs: CloudWatchLogs, run: Run) -> None:
        logs.flow_logs = [FlowLog("fl-0aaaaaaaaaaaaaaaa", PKT, GROUP)]
        logs.put(REGION, GROUP, f"{ENI}-all", record("2022-10-05T12:10:00Z"))
        result = run("flows", f"logs:{GROUP}", *self.TRAIL, "--endpoint-url", logs.url)
        assert result.exit_code == 0, result.stderr
        header, line = result.stdout.splitlines()
        assert header.startswith(HEADER.replace(" ", ","))
        assert line.startswith(record("2022-10-05T12:10:00Z")[1].replace(" ", ","))

    def test_a_trail_as_flows_is_refused_with_the_option_that_takes_it(self, run: Run) -> None:
        result = run("flows", "lookup:", *self.TRAIL)
        assert result.exit_code == 2
        assert "error: lookup:: not a source of flow logs, but of CloudTrail events" in result.stderr
        assert "use --with lookup:" in result.stderr
