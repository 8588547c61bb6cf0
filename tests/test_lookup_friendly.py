"""``lookup:`` as a person meets it: who asks, newest first, how far it is, Ctrl-C, and what errors say."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.exceptions import ClientError
from cloudtrail_server import CloudTrail
from conftest import Run
from msgspec.structs import replace
from test_lookup import (
    IRONMAN,
    REGION,
    TODAY,
    FastClock,
    Reading,
    dummy_account,
    other_nodes,
    records,
    scope,
    served,
)

from cnitrail.cli.lookup_progress import Status, newest_calls
from cnitrail.decode import NAMES
from cnitrail.errors import SourceError
from cnitrail.model import LookupProgress, SeenCall
from cnitrail.sources import aws, lookup
from cnitrail.sources.daemon_pool import DaemonPool

ROOT = Path(__file__).parents[1]
CALLER = "arn:aws:sts::111111111111:assumed-role/Admin/ada"

__all__ = ["dummy_account"]


@pytest.fixture
def account() -> Iterator[CloudTrail]:
    with served(CloudTrail()) as trail:
        yield trail


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "SystemClock", FastClock)


def options(account: CloudTrail, *more: str) -> tuple[str, ...]:
    return ("timeline", "lookup:", "--region", REGION, "--endpoint-url", account.url, *more)


class TestAnnouncement:
    """Before the first call, one line says who asks, in which account and Region."""

    def first_note(self, account: CloudTrail, **fields: object) -> str:
        return Reading(scope(**{"since": TODAY, **fields}), account).notes[0].text

    def test_it_names_account_region_caller_and_where_the_credentials_are_from(
        self, account: CloudTrail
    ) -> None:
        assert self.first_note(account) == (
            f"LookupEvents in 111111111111/{REGION} as {CALLER} (credentials from environment variables)"
        )

    def test_it_names_the_profile(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text(
            "[profile prod]\nregion = eu-west-1\naws_access_key_id = AKIA\naws_secret_access_key = x\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        note = self.first_note(account, profile="prod", regions=())
        assert note.endswith("(profile prod, Region from the AWS config file)")

    def test_it_names_the_variable_that_the_region_comes_from(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
        assert self.first_note(account, regions=()).endswith(", Region from AWS_DEFAULT_REGION)")

    def test_several_regions_are_one_line(self, account: CloudTrail) -> None:
        reading = Reading(scope(regions=("eu-west-1", "us-east-1"), since=TODAY), account)
        assert [note.text for note in reading.notes if "LookupEvents in" in note.text] == [
            (
                f"LookupEvents in 111111111111/eu-west-1, 111111111111/us-east-1 as {CALLER} "
                "(credentials from environment variables)"
            )
        ]

    def test_without_an_answer_of_sts_the_lookup_goes_on(self) -> None:
        with served(CloudTrail(caller=None)) as account:
            account.add(records("ironman"))
            reading = Reading(scope(), account)
        assert reading.notes[0].text == (f"LookupEvents in {REGION} (credentials from environment variables)")
        assert len(reading.entries()) > 10

    @pytest.mark.usefixtures("at_once")
    def test_it_is_the_first_line_on_stderr_and_absent_with_quiet(
        self, account: CloudTrail, run: Run
    ) -> None:
        account.add(records("ironman"))
        said = run(*options(account)).stderr
        assert said.splitlines()[0].startswith(f"LookupEvents in 111111111111/{REGION} as {CALLER} (")
        assert said.count("LookupEvents in") == 1
        assert "LookupEvents in" not in run(*options(account, "-q")).stderr


class TestNewestFirst:
    """At any moment there is a time from which on everything was read."""

    def test_everything_since_the_time_reached_was_read(self, account: CloudTrail) -> None:
        sent = [*other_nodes(6000)]
        account.add(sent)
        for calls in (45, 60, 75):
            reading = Reading(scope(max_calls=calls), account)
            (cut,) = reading.cuts
            assert cut.complete_since is not None
            read = {event.event_id for event in reading.ledger.events()}
            since = f"{cut.complete_since:%Y-%m-%dT%H:%M:%SZ}"
            assert {event["eventID"] for event in sent if event["eventTime"] >= since} <= read

    def test_the_time_reached_only_goes_back(self, account: CloudTrail) -> None:
        account.add(other_nodes(1500))
        reached = [step.reached for step in Reading(scope(), account).progress if step.reached]
        assert len(reached) > 10
        assert reached == sorted(reached, reverse=True)

    def test_it_takes_no_more_calls_than_there_are_pages(self, account: CloudTrail) -> None:
        account.add(other_nodes(3000))
        names = [name for name in NAMES if name != "AssumeRole"]
        reading = Reading(scope(), account)
        assert len(reading.calls) == account.pages(REGION, "EventName", names)

    def test_the_newest_events_are_enough_if_no_more_were_asked_for(self, account: CloudTrail) -> None:
        sent = [*other_nodes(5000)]
        account.add(sent)
        reading = Reading(scope(newest=60), account)
        assert len(reading.calls) < 75
        (cut,) = reading.cuts
        assert cut.is_wanted
        assert cut.complete_since is not None
        since = f"{cut.complete_since:%Y-%m-%dT%H:%M:%SZ}"
        newest = {event["eventID"] for event in sent if event["eventTime"] >= since}
        assert len(newest) >= 60
        assert newest <= {event.event_id for event in reading.ledger.events()}

    def test_progress_shows_the_newest_calls_after_the_first_page(self, account: CloudTrail) -> None:
        account.add(records("ironman"))
        first = Reading(scope(), account).progress[1]
        assert first.newest[0].event_name == "AssignPrivateIpAddresses"
        assert first.newest[0].resources[0].startswith("eni-")


class TestProgress:
    """What a terminal shows while a lookup reads."""

    NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def step(self, hours: float | None, calls: int, since: float | None = 10) -> LookupProgress:
        return LookupProgress(
            region=REGION,
            calls=calls,
            max_calls=3600,
            events=calls * 20,
            since=None if since is None else self.NOON - timedelta(hours=since),
            until=self.NOON,
            reached=None if hours is None else self.NOON - timedelta(hours=hours),
            newest=(),
        )

    def test_it_counts_events_and_calls_before_a_time_is_reached(self) -> None:
        assert Status().line([self.step(None, 12)], 6) == "reading: 240 events, 12 of at most 3,600 calls"

    def test_it_says_how_far_back_it_is(self) -> None:
        assert Status().line([self.step(2, 62, since=None)], 31) == (
            "back to 2026-11-29 10:00:00Z: 1,240 events, 62 of at most 3,600 calls"
        )

    def test_it_estimates_nothing_from_a_few_pages(self) -> None:
        status = Status()
        status.line([self.step(5, 38)], 19)
        assert status.line([self.step(5.1, 50)], 25).endswith("50 of at most 3,600 calls, 51% of the range")

    def test_it_estimates_from_the_time_that_it_went_back_over(self) -> None:
        status = Status()
        status.line([self.step(5, 38)], 20)  # the quiet time before cost nothing
        line = status.line([self.step(6, 158)], 80)
        assert line.endswith("60% of the range, about 4 min left at this pace")

    def test_the_region_that_is_least_far_counts(self) -> None:
        other = replace(self.step(9, 40), region="us-east-1")
        assert Status().line([self.step(2, 40), other], 20).startswith("back to 2026-11-29 10:00:00Z: ")

    def test_the_newest_calls_of_all_regions_are_listed_and_harmless(self) -> None:
        late = SeenCall(self.NOON, "AssignPrivateIpAddresses", ("eni-0a",))
        early = SeenCall(self.NOON - timedelta(hours=1), "Delete\x1b[2J", ("eni-0b",))
        steps = [replace(self.step(2, 40), newest=(early,)), replace(self.step(1, 40), newest=(late,))]
        assert newest_calls(steps) == [
            "newest calls so far:",
            "  2026-11-29 12:00:00Z  AssignPrivateIpAddresses  eni-0a",
            r"  2026-11-29 11:00:00Z  Delete\x1b[2J  eni-0b",
        ]


class TestCtrlC:
    """The first Ctrl-C asks for the answer so far, the second one ends the program."""

    FAST = (
        "from cnitrail.sources import lookup_region; lookup_region.CALLS_PER_SECOND = 20.0;"
        "from cnitrail.__main__ import run; run()"
    )
    """The program with ten times as many calls a second as AWS allows."""

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", self.FAST, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_calls(self, account: CloudTrail, calls: int) -> None:
        deadline = time.monotonic() + 60
        while len(account.calls) < calls:
            assert time.monotonic() < deadline, "the lookup makes no calls"
            time.sleep(0.02)

    def test_it_gives_the_partial_answer_with_status_3_and_says_from_when_on_it_is_complete(
        self, account: CloudTrail
    ) -> None:
        sent = [*other_nodes(3000)]
        account.add(sent)
        account.delay = 0.05
        program = self.start(*options(account, "-o", "json"))
        self.wait_for_calls(account, 48)
        program.send_signal(signal.SIGINT)
        stdout, stderr = program.communicate(timeout=30)
        assert program.returncode == 3, stderr
        answer = json.loads(stdout)
        (skip,) = answer["evidence"]["skipped"]
        assert skip["source"] == f"lookup:{REGION}"
        assert skip["reason"].startswith("interrupted: complete from ")
        assert skip["reason"].endswith(" on, older events were not all read")
        since = skip["reason"].partition("complete from ")[2][:20]
        complete = {event["eventID"] for event in sent if event["eventTime"] >= since}
        assert len(complete) > 50
        assert complete <= {entry["event_id"] for entry in answer["entries"]}
        codes = {limitation["code"] for limitation in answer["limitations"]}
        assert "not-read" in codes
        (reach,) = answer["evidence"]["coverage"]
        (hole,) = reach["holes"]
        assert (hole["end"], hole["reason"]) == (since, "not-read")
        assert "interrupted: the answer follows" in stderr

    def test_before_the_first_answer_it_ends_with_130(self, account: CloudTrail) -> None:
        account.delay = 5
        program = self.start(*options(account))
        self.wait_for_calls(account, 1)
        program.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, stderr = program.communicate(timeout=30)
        assert program.returncode == 130
        assert stderr.splitlines()[-1] == "error: interrupted"
        assert time.monotonic() - begun < 3, "it does not wait for the answer"

    def test_a_second_one_ends_at_once_with_130(self, account: CloudTrail) -> None:
        account.add(other_nodes(6000))
        program = self.start(*options(account))
        self.wait_for_calls(account, 5)
        account.delay = 20
        self.wait_for_calls(account, 7)
        program.send_signal(signal.SIGINT)
        time.sleep(0.5)
        program.send_signal(signal.SIGINT)
        begun = time.monotonic()
        stdout, _ = program.communicate(timeout=30)
        assert program.returncode == 130
        assert time.monotonic() - begun < 1.5
        assert stdout == ""

    def test_an_ignored_sigint_stays_ignored(self, account: CloudTrail) -> None:
        account.add(other_nodes(50))
        program = subprocess.Popen(
            [
                *("sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", self.FAST),
                *options(account, "--eni", "eni-00000000bbbb"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.wait_for_calls(account, 1)
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)
        assert program.returncode == 0

    def test_a_store_keeps_what_was_read_and_says_what_was_not(
        self, account: CloudTrail, tmp_path: Path, run: Run
    ) -> None:
        account.add(other_nodes(6000))
        store = tmp_path / "trail.db"
        program = self.start(
            *("collect", "lookup:", "--to", str(store), "--region", REGION, "--endpoint-url", account.url)
        )
        self.wait_for_calls(account, 45)
        program.send_signal(signal.SIGINT)
        _, stderr = program.communicate(timeout=30)
        assert program.returncode == 3, stderr
        assert "interrupted: complete from " in stderr
        result = run("timeline", store, "-o", "json")
        assert result.exit_code == 3
        assert len(json.loads(result.stdout)["entries"]) > 100

    def test_an_interrupted_lookup_calls_no_older_address_free(self, account: CloudTrail, run: Run) -> None:
        account.add(other_nodes(3000))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lookup, "SystemClock", FastClock)
            result = run(
                *("who", "10.0.0.1", "--at", "59d", "lookup:", "--region", REGION),
                *("--endpoint-url", account.url, "--max-calls", "50", "-o", "json"),
            )
        assert result.exit_code == 3
        (answer,) = json.loads(result.stdout)["entries"]
        assert answer["verdict"] == "unknown"


class TestCoverage:
    """A lookup that was read to its end covers its time, whether or not anything happened."""

    @pytest.mark.usefixtures("at_once")
    def test_an_empty_answer_of_aws_is_evidence(self, account: CloudTrail, run: Run) -> None:
        result = run(*options(account, "--since", "2d", "-o", "json"))
        answer = json.loads(result.stdout)
        assert result.exit_code == 0
        assert answer["entries"] == []
        assert answer["limitations"] == []
        (reach,) = answer["evidence"]["coverage"]
        assert (reach["account"], reach["region"], reach["known"]) == ("111111111111", REGION, True)
        ended = datetime.now(UTC) - datetime.fromisoformat(reach["last"])
        assert timedelta(minutes=15) <= ended < timedelta(minutes=20), "of the lag, events may be missing"

    @pytest.mark.usefixtures("at_once")
    def test_the_last_allowed_call_leaves_the_time_before_it_uncovered(
        self, account: CloudTrail, run: Run
    ) -> None:
        account.add(other_nodes(3000))
        result = run(*options(account, "--max-calls", "50", "-o", "json"))
        assert result.exit_code == 3
        assert "stopped after 50 calls (--max-calls); complete from " in result.stderr
        assert "warning:" not in result.stderr, "one fact is said once"


def client_error(code: str, message: str = "no", operation: str = "LookupEvents") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class TestHints:
    """Every failure has a sentence, and a hint with the exact command."""

    @pytest.mark.parametrize(
        ("error", "sentence", "hint"),
        [
            (
                boto.UnauthorizedSSOTokenError(),
                "you are not signed in to AWS, or the sign-in has expired",
                "sign in: aws sso login --profile prod",
            ),
            (
                boto.SSOTokenLoadError(error_msg="no token"),
                "you are not signed in to AWS, or the sign-in has expired",
                "sign in: aws sso login --profile prod",
            ),
            (
                boto.TokenRetrievalError(provider="sso", error_msg="expired"),
                "you are not signed in to AWS, or the sign-in has expired",
                "sign in: aws sso login --profile prod",
            ),
            (
                client_error("ExpiredToken"),
                "the AWS session token has expired (ExpiredToken)",
                "sign in again: aws sso login --profile prod, or however you obtained these credentials",
            ),
            (
                client_error("InvalidClientTokenId"),
                "AWS does not know these credentials (InvalidClientTokenId)",
                (
                    "they were deleted, belong to another partition, or the Region is not enabled in the "
                    "account (aws account list-regions); --profile NAME selects others "
                    "(aws configure list-profiles)"
                ),
            ),
            (
                boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
                "the AWS credentials are incomplete",
                "aws configure list --profile prod shows where each value comes from",
            ),
            (
                boto.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
                "no AWS credentials could be obtained",
                "correct the profile until aws sts get-caller-identity --profile prod succeeds",
            ),
            (
                boto.ProxyConnectionError(proxy_url="http://proxy:3128"),
                "AWS cannot be reached through the proxy",
                "check HTTPS_PROXY; NO_PROXY=amazonaws.com bypasses the proxy",
            ),
            (
                boto.EndpointConnectionError(endpoint_url="https://cloudtrail.eu-wset-1.amazonaws.com/"),
                "AWS cannot be reached",
                "check the Region's name, the network, HTTPS_PROXY and --endpoint-url",
            ),
            (
                boto.ReadTimeoutError(endpoint_url="https://cloudtrail.eu-west-1.amazonaws.com/"),
                "cloudtrail:LookupEvents: AWS did not answer in time",
                "check the network and the proxy, then try again",
            ),
            (
                client_error("AccessDeniedException", f"User: {CALLER} is not authorized to perform it"),
                f"access denied: these credentials may not call cloudtrail:LookupEvents (User: {CALLER} is",
                "allow cloudtrail:LookupEvents in their IAM policy, or use another --profile",
            ),
        ],
    )
    def test_a_failure_says_what_to_type(self, error: Exception, sentence: str, hint: str) -> None:
        failure = aws.failure_of(error, "cloudtrail:LookupEvents", "prod")
        assert failure.reason.startswith(sentence)
        assert failure.hint == hint

    def test_the_profile_may_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "team one")
        failure = aws.failure_of(boto.UnauthorizedSSOTokenError(), "any:Action")
        assert failure.hint == "sign in: aws sso login --profile 'team one'"

    def config(self, monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Path:
        path = folder / "config"
        path.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        return path

    def failing(self, account: CloudTrail, **fields: object) -> SourceError:
        with pytest.raises(SourceError) as raised:
            Reading(scope(**fields), account)
        return raised.value

    def test_a_broken_config_file_is_named(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        path = self.config(monkeypatch, tmp_path, "[profile prod\nregion = eu-west-1\n")
        error = self.failing(account)
        assert error.message == f"AWS configuration: Unable to parse config file: {path}"
        assert error.hint == "correct this file; AWS_CONFIG_FILE names another one"

    @pytest.mark.parametrize("by_environment", [False, True])
    def test_an_unknown_profile_is_a_configuration_error(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch, by_environment: bool
    ) -> None:
        if by_environment:
            monkeypatch.setenv("AWS_PROFILE", "prd")
        error = self.failing(account, profile=None if by_environment else "prd")
        assert error.message == "AWS configuration: The config profile (prd) could not be found"
        assert error.hint == "aws configure list-profiles lists your profiles"

    def test_an_expired_sso_session_names_the_command_for_the_profile(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.config(
            monkeypatch,
            tmp_path,
            "[profile prod]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Admin\n"
            "region = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\n"
            "sso_start_url = https://corp.awsapps.com/start\n",
        )
        monkeypatch.setenv("HOME", str(tmp_path))
        error = self.failing(account, profile="prod")
        assert "you are not signed in to AWS, or the sign-in has expired" in error.message
        assert error.hint == "sign in: aws sso login --profile prod"
        assert not account.calls

    def test_incomplete_credentials_are_not_called_a_wrong_region(
        self, account: CloudTrail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        assert "the AWS credentials are incomplete" in self.failing(account).message

    def test_a_malformed_region_is_named(self, account: CloudTrail) -> None:
        error = self.failing(account, regions=("eu west 1",))
        assert "eu west 1" in error.message
        assert error.hint == "use the name of a Region, such as --region eu-west-1"

    def test_a_malformed_endpoint_is_an_error_with_an_example(self) -> None:
        error = self.failing(CloudTrail(url="nonsense"))
        assert error.hint == "--endpoint-url is a URL, such as https://HOST:PORT"

    def test_a_password_in_an_endpoint_is_not_shown(self, run: Run) -> None:
        url = "http://ada:secret@127.0.0.1:9"
        result = run("timeline", "lookup:", "--region", REGION, "--endpoint-url", url, "--debug")
        assert result.exit_code == 1
        assert "AWS cannot be reached" in result.stderr
        assert "***@127.0.0.1:9" in result.stderr
        assert "secret" not in result.output + result.stderr

    def test_ipamd_metrics_are_fetched_through_the_api_server(self, run: Run) -> None:
        said = run("pool", "ironman", "--instance", IRONMAN, "--metrics", "http://127.0.0.1:9/metrics").stderr
        assert "kubectl get --raw /api/v1/nodes/NODE:61678/proxy/metrics > FILE" in said


@pytest.mark.usefixtures("at_once")
class TestLimit:
    """``timeline --limit`` reads no more of LookupEvents than its newest entries need."""

    def entries(self, run: Run, *arguments: str) -> list[dict[str, Any]]:
        result = run(*arguments, "-o", "json")
        assert result.exit_code == 0, result.stderr
        entries: list[dict[str, Any]] = json.loads(result.stdout)["entries"]
        return entries

    @pytest.mark.parametrize("limit", [1, 7, 60, 500])
    def test_the_answer_is_that_of_a_whole_read(self, account: CloudTrail, run: Run, limit: int) -> None:
        account.add([*other_nodes(3000), *records("ironman")])
        whole = self.entries(run, *options(account))[-limit:]
        calls = len(account.calls)
        short = self.entries(run, *options(account, "--limit", str(limit)))
        told = ("event_id", "time", "event", "eni", "instance", "vpc", "added", "removed", "clusters")
        assert [[entry[name] for name in told] for entry in short] == [
            [entry[name] for name in told] for entry in whole
        ]
        assert len(account.calls) - calls < calls

    def test_it_says_once_that_older_events_were_not_read(self, account: CloudTrail, run: Run) -> None:
        account.add(other_nodes(3000))
        result = run(*options(account, "--limit", "5"))
        assert result.exit_code == 0
        assert result.stderr.count("were not read") == 1
        assert f"warning: lookup:{REGION}: read only the newest events, as --limit asks; events before " in (
            result.stderr
        )
        assert "not shown" not in result.stderr
        assert "reading back 90 days" not in result.stderr

    @pytest.mark.parametrize("narrower", [("--failed",), ("--actor", "*node*"), ("--ip", "10.0.0.0/8")])
    def test_filters_that_keep_fewer_events_read_everything(
        self, account: CloudTrail, run: Run, narrower: tuple[str, ...]
    ) -> None:
        account.add(other_nodes(500))
        whole = self.entries(run, *options(account, *narrower))[-3:]
        calls = len(account.calls)
        assert self.entries(run, *options(account, *narrower, "--limit", "3")) == whole
        assert len(account.calls) == 2 * calls


class TestPasswords:
    """No password of a URL is printed."""

    @pytest.mark.parametrize(
        "text",
        [
            "Could not connect to https://ada:s3cret@proxy:3128/x",
            "Invalid endpoint: ada:s3cret@host",
            'Invalid endpoint: "https://ada:s3@cret@host/"',
        ],
    )
    def test_it_is_left_out(self, text: str) -> None:
        assert "cret" not in aws.shown(text)

    def test_names_with_an_at_sign_stay(self) -> None:
        text = "User: arn:aws:sts::111111111111:assumed-role/Admin/ada@corp.example is not authorized"
        assert aws.shown(text) == text


class TestDaemonPool:
    """A thread pool that the end of the program does not wait for."""

    def test_results_come_in_order_and_errors_where_they_belong(self) -> None:
        pool = DaemonPool(3)
        results: Iterator[Any] = pool.map(lambda number: 6 // number, [1, 2, 0, 3])
        assert (next(results), next(results)) == (6, 3)
        with pytest.raises(ZeroDivisionError):
            next(results)
        pool.close()

    def test_a_running_call_does_not_delay_the_end(self) -> None:
        code = (
            "import time; from cnitrail.sources.daemon_pool import DaemonPool;"
            "DaemonPool(1).map(time.sleep, [60]); time.sleep(0.2)"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=10, check=True)
