"""``--verify``: answers from a copy of a trail whose log files CloudTrail's digests cover."""

import gzip
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import FIXTURES, Run
from loopback import endpoint
from signed_trail import HOUR, SignedTrail, Stored, public_keys, write_copy, write_plain, zipped

from cnitrail.model import Evidence, Faulty, Scope
from cnitrail.sources.layout import log_name
from cnitrail.workflows.proof import Proof
from cnitrail.workflows.read import read_evidence

STORY = "reused-in-3-seconds"
"""10.80.4.17 is assigned at 9:31:10 to a node launched at 9:29:50, and released at 10:12:41."""

FOLDER = "AWSLogs/111111111111/CloudTrail/us-east-1/2025/09/09"
GIVEN = f"{FOLDER}/111111111111_CloudTrail_us-east-1_20250909T0935Z_cc2reXgOBY7RU9Lv.json.gz"
RELEASE = f"{FOLDER}/111111111111_CloudTrail_us-east-1_20250909T1015Z_73fbaHUIDpKrp97f.json.gz"
LATEST = f"{FOLDER}/111111111111_CloudTrail_us-east-1_20250909T1045Z_M1SOdQjk07nLDv6R.json.gz"


def logs() -> dict[str, Stored]:
    """The log files of the story, by their keys."""
    top = FIXTURES / STORY
    return {
        path.relative_to(top).as_posix(): Stored(path.read_bytes()) for path in sorted(top.rglob("*.json.gz"))
    }


def signed(objects: dict[str, Stored] | None = None, bucket: str = "audit-logs") -> SignedTrail:
    """Log files, and digests of the hours from 9:01:31 to 13:01:31."""
    start = datetime(2025, 9, 9, 9, 1, 31, tzinfo=UTC)
    trail = SignedTrail("111111111111", "us-east-1", bucket=bucket, now=start)
    trail.objects.update(objects or logs())
    names = [(key, name) for key in trail.objects if (name := log_name(key)) is not None]
    for _ in range(4):
        start, trail.now = trail.now, trail.now + HOUR
        listed = [key for key, name in names if start <= name.delivered < trail.now]
        trail.digests.append(trail._digest(start, trail.now, listed))
    return trail


def records(stored: Stored) -> list[dict[str, Any]]:
    """The records of a log file."""
    found: list[dict[str, Any]] = json.loads(gzip.decompress(stored.body))["Records"]
    return found


@pytest.fixture
def trail() -> SignedTrail:
    return signed()


class Copy:
    """A copy of a trail as ``cnitrail sync`` makes it, and questions about it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self._run = run

    def of(self, trail: SignedTrail) -> "Copy":
        """Write the copy."""
        write_copy(trail.objects, self.folder)
        return self

    def plainly_of(self, trail: SignedTrail) -> tuple[str, str]:
        """Write the copy as ``aws s3 sync`` does; return the options that give the public keys."""
        write_plain(trail.objects, self.folder)
        keys = self.folder.with_name("keys.json")
        keys.write_text(public_keys(), encoding="utf-8")
        return "--public-keys", str(keys)

    def path(self, key: str) -> Path:
        """Return the path of an object."""
        return self.folder / "audit-logs" / key

    def ask(self, command: str, *arguments: str) -> Result:
        return self._run(command, str(self.folder), "--verify", *arguments)

    def who(self, *arguments: str) -> tuple[int, str | None, dict[str, Any]]:
        """Who held the address at ten: the exit status, what the answer rests on, and the evidence."""
        asked = ("10.80.4.17", str(self.folder), "--at", "2025-09-09T10:00Z", "--verify", "-o", "json")
        result = self._run("who", *asked, *arguments)
        answered = json.loads(result.stdout)
        (answer,) = answered["entries"]
        assert [holder["eni"] for holder in answer["holders"]] == ["eni-08a3e7c1f5d9b4860"]
        return result.exit_code, answer["rests_on"], answered["evidence"]


@pytest.fixture
def copy(tmp_path: Path, run: Run) -> Copy:
    return Copy(tmp_path / "trail", run)


def proven(evidence: dict[str, Any]) -> list[tuple[str, str]]:
    """The proven times of the only account and Region."""
    (reach,) = evidence["coverage"]
    return [(span["start"][11:19], span["end"][11:19]) for span in reach["proven"]]


def minutes(evidence: Evidence) -> list[tuple[str, str]]:
    """The proven times of the only account and Region, to the minute."""
    (reach,) = evidence.coverage
    return [(f"{span.start:%H:%M}", f"{span.end:%H:%M}") for span in reach.proven]


class TestGolden:
    """A copy without the file that has the address's release at 10:12:41."""

    @pytest.mark.parametrize("story", ["sound", "at-fault"])
    def test_an_answer_and_a_report_read_as_reviewed(
        self,
        story: str,
        copy: Copy,
        trail: SignedTrail,
        run: Run,
        golden: Callable[[str, str], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(copy.of(trail).folder.parent)
        if story == "at-fault":
            copy.path(RELEASE).unlink()
        asked = ("--at", "2025-09-09T10:14Z", "--verify")
        golden(f"verified/{story}-who.txt", run("who", "10.80.4.17", "trail", *asked).output)
        report = run("report", "trail", "--ip", "10.80.4.17", "--verify").output
        golden(f"verified/{story}-report.md", re.sub(r"(?<=\| `trail` \| )(\d+ \| )[\d,]+", r"\1…", report))


class TestIntactTrail:
    def test_who_states_that_its_answer_is_proven(self, copy: Copy, trail: SignedTrail) -> None:
        status, rests_on, evidence = copy.of(trail).who()
        assert (status, rests_on) == (0, "proven")
        assert (evidence["verified"], evidence["faults"], evidence["skipped"]) == (True, [], [])

    def test_events_are_proven_up_to_an_hour_before_the_deliveries(
        self, copy: Copy, trail: SignedTrail
    ) -> None:
        _, _, evidence = copy.of(trail).who()
        assert proven(evidence) == [("09:01:31", "12:01:31")]
        assert evidence["coverage"][0]["merely_read"] == evidence["coverage"][0]["holes"] == []

    def test_delivery_lag_sets_how_late_an_event_may_be_delivered(
        self, copy: Copy, trail: SignedTrail
    ) -> None:
        _, rests_on, evidence = copy.of(trail).who("--delivery-lag", "3h")
        assert (rests_on, proven(evidence)) == ("merely_read", [("09:01:31", "10:01:31")])

    def test_only_the_requested_time_is_proven(self, copy: Copy, trail: SignedTrail) -> None:
        asked = ("--since", "2025-09-09T09:20Z", "--until", "2025-09-09T10:30Z")
        _, rests_on, evidence = copy.of(trail).who(*asked)
        assert (rests_on, proven(evidence)) == ("proven", [("09:20:00", "10:30:00")])

    @pytest.mark.parametrize(
        ("command", "arguments"),
        [
            ("timeline", ()),
            ("leases", ()),
            ("findings", ()),
            ("pool", ()),
            ("report", ()),
            ("state", ("--at", "2025-09-09T10:00Z")),
        ],
    )
    def test_every_command_states_how_much_is_proven(
        self, command: str, arguments: tuple[str, ...], copy: Copy, trail: SignedTrail
    ) -> None:
        result = copy.of(trail).ask(command, *arguments)
        assert result.exit_code == 0
        assert "\n3 h proven by CloudTrail's digests\n" in result.stderr

    def test_quiet_prints_nothing(self, copy: Copy, trail: SignedTrail) -> None:
        assert copy.of(trail).ask("timeline", "--quiet").stderr == ""

    def test_a_plain_copy_is_verified_with_public_keys(self, copy: Copy, trail: SignedTrail) -> None:
        _, rests_on, evidence = copy.who(*copy.plainly_of(trail))
        assert (rests_on, proven(evidence)) == ("proven", [("09:01:31", "11:01:31")])

    def test_the_report_states_the_proven_time_and_its_end(self, copy: Copy, trail: SignedTrail) -> None:
        text = copy.of(trail).ask("report").stdout
        assert (
            "- 2025-09-09 09:29:50 to 10:20:05Z: CloudTrail's digests prove that nothing of `111111111111` "
            "in `us-east-1` is missing or changed. (E1–E7)\n"
        ) in text
        assert (
            "read from 2025-09-09 09:01:31 to 2025-09-09 12:01:31, no log gaps; proven by CloudTrail's "
            "digests from 2025-09-09 09:01:31 to 2025-09-09 12:01:31.\n"
        ) in text
        assert "not verified" not in text


class TestInvalidTrail:
    def test_a_modified_log_file_is_reported_and_its_records_are_missing(
        self, copy: Copy, trail: SignedTrail
    ) -> None:
        copy.of(trail)
        changed = records(trail.objects[GIVEN])
        changed[0]["sourceIPAddress"] = "192.0.2.66"
        copy.path(GIVEN).write_bytes(zipped(json.dumps({"Records": changed}).encode()))
        status, rests_on, evidence = copy.who()
        assert (status, rests_on, proven(evidence)) == (3, "missing", [("10:01:31", "12:01:31")])
        assert {fault["source"] for fault in evidence["faults"]} == {str(copy.path(GIVEN))}

    def test_invalid_files_are_reported_even_with_quiet(self, copy: Copy, trail: SignedTrail) -> None:
        copy.of(trail).path(LATEST).unlink()
        result = copy.ask("timeline", "--quiet")
        assert result.exit_code == 3
        assert result.stdout.startswith("TIME (UTC)")
        assert beginnings(result.stderr) == {"at fault", "warning"}
        assert f"/{LATEST}: a digest lists it, but it is not there\n" in result.stderr

    def test_a_missing_digest_splits_the_proven_time(self, copy: Copy, trail: SignedTrail) -> None:
        copy.of(trail).path(trail.digests[1]).unlink()
        status, rests_on, evidence = copy.who()
        assert (status, rests_on, proven(evidence)) == (3, "merely_read", [("11:01:31", "12:01:31")])

    def test_the_report_lists_invalid_files(self, copy: Copy, trail: SignedTrail) -> None:
        copy.of(trail).path(RELEASE).unlink()
        text = copy.ask("report").stdout
        assert (
            f"- Integrity fault: `s3://audit-logs/{RELEASE}`: a digest lists it, but it is not there\n"
            in text
        )
        assert (
            "CloudTrail's digests do not cover all of `111111111111` in `us-east-1`, and 6 calls listed here "
            "are not verified. See Evidence."
        ) in text

    def test_without_a_digest_nothing_is_proven_and_the_command_fails(self, run: Run) -> None:
        result = run("who", "10.80.4.17", STORY, "--at", "2025-09-09T10:00Z", "--verify", "-o", "jsonl")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["rests_on"] == "merely_read"
        assert (
            "\nnothing proven by CloudTrail's digests (cnitrail verify shows why), 1 h 20 min not verified\n"
        ) in result.stderr


class TestEventsWithoutDigest:
    """A proven hour has everything that CloudTrail delivered; other evidence of it may still be false."""

    def test_an_event_in_an_unlisted_file_is_set_aside(self, copy: Copy, trail: SignedTrail) -> None:
        (release,) = [
            record for record in records(trail.objects[RELEASE]) if "Unassign" in record["eventName"]
        ]
        forged = release | {"eventID": "forged", "eventTime": "2025-09-09T10:05:00Z"}
        keys = copy.plainly_of(trail)
        (copy.folder / "notes.json").write_text(json.dumps({"Records": [forged]}), encoding="utf-8")
        status, rests_on, evidence = copy.who(*keys)
        assert (status, rests_on) == (3, "proven")
        assert proven(evidence) == [("09:01:31", "11:01:31")]
        (aside,) = evidence["skipped"]
        assert aside["source"] == str(copy.folder / "notes.json")
        assert aside["reason"].startswith("UnassignPrivateIpAddresses (event forged)")

    def test_a_proven_event_with_a_copy_in_another_file_stays_proven(
        self, copy: Copy, trail: SignedTrail
    ) -> None:
        keys = copy.plainly_of(trail)
        (copy.folder / "copy.json.gz").write_bytes(trail.objects[GIVEN].body)
        assert copy.who(*keys)[:2] == (0, "proven")

    def test_a_proven_event_with_a_copy_in_a_source_without_digests_stays_proven(
        self, copy: Copy, trail: SignedTrail, run: Run, tmp_path: Path
    ) -> None:
        store = str(tmp_path / "trail.db")
        assert run("collect", str(copy.of(trail).folder), "--to", store).exit_code == 0
        assert copy.who(store)[:2] == (0, "proven")

    def test_a_file_that_could_not_be_read_makes_its_time_not_verified(self, copy: Copy) -> None:
        torn = logs() | {LATEST: Stored(zipped(b'{"Records":[{"eventName":'))}
        status, rests_on, evidence = copy.of(signed(torn)).who()
        assert (status, rests_on, evidence["faults"]) == (3, "merely_read", [])
        assert {item["source"] for item in evidence["skipped"]} == {str(copy.path(LATEST))}
        assert proven(evidence) == [("09:01:31", "09:30:00"), ("11:00:00", "12:01:31")]

    def test_a_night_without_a_file_is_proven_to_be_quiet(self, copy: Copy, trail: SignedTrail) -> None:
        (reach,) = copy.of(trail).who()[2]["coverage"]
        assert (reach["last"], reach["holes"]) == ("2025-09-09T12:01:31Z", [])


class TestBetweenVerificationAndReading:
    """The bytes that were read are those that were verified."""

    def read(self, folder: Path, meanwhile: Callable[[], object]) -> Evidence:
        """Read a copy that changes after it was verified."""
        proof = Proof((str(folder),), Scope())
        meanwhile()
        return read_evidence((str(folder),), Scope(), proof=proof)[1]

    def test_an_intact_trail_stays_proven(self, copy: Copy, trail: SignedTrail) -> None:
        evidence = self.read(copy.of(trail).folder, lambda: None)
        assert (evidence.faults, minutes(evidence)) == ((), [("09:01", "12:01")])

    def test_a_file_that_changes_is_invalid_and_proves_nothing(self, copy: Copy, trail: SignedTrail) -> None:
        path = copy.of(trail).path(GIVEN)
        changed = records(trail.objects[GIVEN])
        changed[0]["sourceIPAddress"] = "192.0.2.66"
        body = zipped(json.dumps({"Records": changed}).encode())
        evidence = self.read(copy.folder, lambda: path.write_bytes(body))
        assert evidence.faults == (Faulty(str(path), "it was modified between verification and reading"),)
        assert minutes(evidence) == [("09:50", "12:01")]

    def test_a_file_that_is_only_compressed_again_is_invalid(self, copy: Copy, trail: SignedTrail) -> None:
        path = copy.of(trail).path(GIVEN)
        body = gzip.compress(gzip.decompress(trail.objects[GIVEN].body), 1, mtime=1)
        evidence = self.read(copy.folder, lambda: path.write_bytes(body))
        assert [fault.source for fault in evidence.faults] == [str(path)]

    def test_a_file_that_is_deleted_is_missing(self, copy: Copy, trail: SignedTrail) -> None:
        path = copy.of(trail).path(RELEASE)
        evidence = self.read(copy.folder, path.unlink)
        assert evidence.faults == (
            Faulty(str(path), "it was verified, but removed before the evidence was read"),
        )
        assert minutes(evidence) == [("10:30", "12:01")]


class TestTwoTrails:
    """A second trail, which records only reads, delivers without a gap."""

    def second(self) -> SignedTrail:
        """A trail of the same account and Region whose digests have no gap."""
        start = datetime(2025, 9, 9, 9, 1, 31, tzinfo=UTC)
        trail = SignedTrail("111111111111", "us-east-1", trail="reads", now=start)
        reads = [{"eventName": "DescribeInstances", "eventSource": "ec2.amazonaws.com", "number": 0}]
        for _ in range(4):
            trail.hour(*(json.dumps({"Records": reads * (at + 1)}).encode() for at in range(11)))
        return trail

    def both(self, trail: SignedTrail) -> SignedTrail:
        trail.objects.update(self.second().objects)
        return trail

    def test_both_prove_the_same_time_as_one(self, copy: Copy, trail: SignedTrail) -> None:
        status, rests_on, evidence = copy.of(self.both(trail)).who()
        assert (status, rests_on, proven(evidence)) == (0, "proven", [("09:01:31", "12:01:31")])

    def test_the_second_does_not_prove_the_time_after_the_first_ended(
        self, copy: Copy, trail: SignedTrail
    ) -> None:
        for key in trail.digests[2:]:
            trail.objects.pop(key)
        _, rests_on, evidence = copy.of(self.both(trail)).who()
        assert proven(evidence) == [("09:01:31", "10:01:31")]
        assert rests_on == "merely_read"

    def test_the_second_does_not_prove_the_time_in_which_the_first_was_switched_off(self, copy: Copy) -> None:
        objects = {
            key: stored
            for key, stored in logs().items()
            if key < f"{FOLDER}/111111111111_CloudTrail_us-east-1_20250909T1001Z"
        }
        first = SignedTrail("111111111111", "us-east-1", now=datetime(2025, 9, 9, 9, 1, 31, tzinfo=UTC))
        first.objects.update(objects)
        first.hour(logs=list(objects))
        first.quiet(2 * HOUR)
        first.hour(b'{"Records":[]}')
        asked = ("--at", "2025-09-09T11:00Z", "--delivery-lag", "20m")
        _, rests_on, evidence = copy.of(self.both(first)).who(*asked)
        assert (rests_on, proven(evidence)) == (
            "missing",
            [("09:01:31", "09:41:31"), ("12:01:31", "12:41:31")],
        )
        (hole,) = evidence["coverage"][0]["holes"]
        assert (hole["start"], hole["end"]) == ("2025-09-09T09:45:00Z", "2025-09-09T12:01:31Z")


class TestBucket:
    @pytest.fixture
    def bucket(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
        """The options for the trail's bucket, where CloudTrail also lists its public keys."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        with endpoint() as server:
            server.keys = {"us-east-1": json.loads(public_keys())["PublicKeyList"]}
            objects = signed(bucket="story-with-digests").objects
            server.put(
                "story-with-digests",
                {key: stored.body for key, stored in objects.items()},
                {key: stored.metadata for key, stored in objects.items()},
            )
            yield "s3://story-with-digests", "--endpoint-url", server.url, "--verify"

    @pytest.mark.parametrize(
        ("asked", "rests_on"),
        [
            ((), "proven"),
            (("--since", "2025-09-09T09:29Z", "--until", "2025-09-09T10:13Z"), "proven"),
            (("--since", "2025-09-09T09:30Z", "--until", "2025-09-09T10:13Z"), "merely_read"),
            (("--since", "2025-09-09T09:50Z", "--until", "2025-09-09T10:13Z"), "missing"),
            (("--until", "2025-09-09T10:05Z"), "merely_read"),
            (("--until", "2025-09-09T10:13Z", "--delivery-lag", "3h"), "merely_read"),
        ],
    )
    def test_answers_rest_on_the_requested_time(
        self, asked: tuple[str, ...], rests_on: str, bucket: tuple[str, ...], run: Run
    ) -> None:
        question = ("who", "10.80.4.17", "--at", "2025-09-09T10:00Z", "-o", "jsonl")
        result = run(*question, *bucket, *asked)
        assert (result.exit_code, json.loads(result.stdout)["rests_on"]) == (0, rests_on)


class TestUsage:
    @pytest.mark.parametrize("source", ["lookup:", "-"])
    def test_a_source_that_has_no_digests_cannot_be_verified(self, source: str, run: Run) -> None:
        result = run("timeline", source, "--verify")
        assert result.exit_code == 2
        assert result.stderr == (
            "error: --verify: no source here has digests\n"
            "hint: name a trail's bucket (s3://BUCKET), or a copy that cnitrail sync has made\n"
        )

    def test_a_store_cannot_be_verified(self, run: Run, tmp_path: Path) -> None:
        store = str(tmp_path / "trail.db")
        assert run("collect", STORY, "--to", store).exit_code == 0
        assert run("timeline", store, "--verify").exit_code == 2

    def test_public_keys_need_verify(self, run: Run) -> None:
        result = run("timeline", STORY, "--public-keys", "keys.json")
        assert (result.exit_code, result.stderr) == (
            2,
            "error: --public-keys needs --verify\nhint: add --verify\n",
        )

    def test_without_verify_who_states_that_its_answer_is_not_verified(self, run: Run) -> None:
        result = run("who", "10.80.4.17", STORY, "--at", "2025-09-09T10:00Z", "-o", "json")
        answered = json.loads(result.stdout)
        assert (answered["evidence"]["verified"], answered["entries"][0]["rests_on"]) == (
            False,
            "merely_read",
        )
        assert result.stderr.endswith("\nlog integrity not verified (add --verify)\n")


def beginnings(text: str) -> set[str]:
    """Return the beginning of every line, up to the first colon."""
    return {line.partition(":")[0] for line in text.splitlines()}
