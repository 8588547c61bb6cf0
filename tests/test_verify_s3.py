"""``verify`` and ``sync`` against S3 and CloudTrail over loopback."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from conftest import Run
from loopback import Call, Edited, Endpoint, Fault, Portal, Refusal, endpoint
from signed_trail import BUCKET, Objects, SignedTrail, public_keys, records, small_trail

TRAIL = small_trail(top="team/AWSLogs/o-abcdefghij/")
OTHER_REGION = small_trail(region="us-east-1", key="short")
OTHER_ACCOUNT = small_trail(account="222222222222")
OBJECTS = TRAIL.objects | OTHER_REGION.objects | OTHER_ACCOUNT.objects


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with endpoint() as found:
        put(found, BUCKET, OBJECTS)
        found.put("no-digests", {key: OBJECTS[key].body for key in TRAIL.logs})
        found.put("empty", {"readme.txt": b""})
        yield found


def put(server: Endpoint, bucket: str, objects: Objects) -> None:
    server.put(
        bucket,
        {key: stored.body for key, stored in objects.items()},
        {key: stored.metadata for key, stored in objects.items()},
    )


@pytest.fixture(autouse=True)
def _fresh(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    server.calls.clear()
    server.key_calls.clear()
    server.fault = lambda _: None
    server.page = 1000
    key = json.loads(public_keys())["PublicKeyList"]
    short = json.loads(public_keys("short"))["PublicKeyList"]
    stranger = json.loads(public_keys("stranger"))["PublicKeyList"]
    server.keys = {"eu-west-1": stranger + key, "us-east-1": short}
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def at(server: Endpoint) -> tuple[str, str]:
    """The options that set the endpoint."""
    return ("--endpoint-url", server.url)


Place = tuple[str, str]
ALL = {("111111111111", "eu-west-1"), ("111111111111", "us-east-1"), ("222222222222", "eu-west-1")}


class TestVerify:
    @pytest.mark.parametrize(
        ("prefix", "options", "places"),
        [
            ("", (), ALL),
            ("/team", (), {("111111111111", "eu-west-1")}),
            ("/team/AWSLogs/o-abcdefghij/111111111111", (), {("111111111111", "eu-west-1")}),
            ("/AWSLogs/", (), {("111111111111", "us-east-1"), ("222222222222", "eu-west-1")}),
            ("/AWSLogs/111111111111/CloudTrail/us-east-1/", (), {("111111111111", "us-east-1")}),
            (
                "/AWSLogs/111111111111/CloudTrail-Digest/us-east-1/2025/03/04",
                (),
                {("111111111111", "us-east-1")},
            ),
            ("", ("--region", "us-east-1"), {("111111111111", "us-east-1")}),
            ("", ("--account", "222222222222"), {("222222222222", "eu-west-1")}),
        ],
    )
    def test_finds_digests_and_log_files_wherever_the_prefix_points(
        self, run: Run, at: Place, prefix: str, options: tuple[str, ...], places: set[Place]
    ) -> None:
        result = run("verify", f"s3://{BUCKET}{prefix}", *options, *at, "-o", "json")
        answer = json.loads(result.stdout)
        assert answer["entries"] == []
        assert result.exit_code == 0
        found = [
            (interval["account"], interval["region"], interval["start"], interval["end"])
            for interval in answer["proven"]
        ]
        span = ("2025-03-04T09:01:31Z", "2025-03-04T12:01:31Z")
        assert found == [(*place, *span) for place in sorted(places)]

    @pytest.mark.parametrize(
        "prefix", ["/AWSLogs/111111111111/CloudTrail/us-east-1/2025/03/05", "/AWSLogs/333333333333"]
    )
    def test_exits_with_4_if_nothing_can_be_verified(self, run: Run, at: Place, prefix: str) -> None:
        result = run("verify", f"s3://{BUCKET}{prefix}", *at)
        assert result.exit_code == 4
        assert "nothing to verify" in result.stderr

    def test_requests_keys_in_each_region_with_slack_and_page_by_page(
        self, run: Run, server: Endpoint, at: Place
    ) -> None:
        run("verify", f"s3://{BUCKET}", *at)
        regions = [region for region, _ in server.key_calls]
        assert regions == ["eu-west-1", "eu-west-1", "us-east-1", "eu-west-1", "eu-west-1"][: len(regions)]
        assert set(regions) == {"eu-west-1", "us-east-1"}
        first = server.key_calls[0][1]
        assert (first["StartTime"], first["EndTime"]) == (1741075291, 1741096891)  # 08:01:31 and 14:01:31

    def test_takes_keys_from_a_file_without_a_call(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        keys = tmp_path / "keys.json"
        keys.write_text(public_keys("short") + public_keys())
        assert run("verify", f"s3://{BUCKET}", *at, "--public-keys", keys).exit_code == 0
        assert server.key_calls == []

    def test_without_permission_to_list_keys_it_gives_a_hint(
        self, run: Run, server: Endpoint, at: Place
    ) -> None:
        server.fault = lambda call: (
            Refusal(400, "AccessDeniedException") if call.bucket == "cloudtrail" else None
        )
        result = run("verify", f"s3://{BUCKET}", *at)
        assert result.exit_code == 1
        assert "may not call cloudtrail:ListPublicKeys" in result.stderr
        assert "--public-keys FILE" in result.stderr

    def test_without_digests_there_is_nothing_to_verify(self, run: Run, at: Place) -> None:
        result = run("verify", "s3://no-digests", *at)
        assert result.exit_code == 4
        assert (
            "undigested: it and 2 more were delivered at a time that no valid digest covers" in result.stdout
        )
        assert "nothing to verify" in result.stderr
        assert run("verify", "s3://empty", *at).exit_code == 4

    def test_an_object_that_cannot_be_fetched_gets_no_verdict(
        self, run: Run, server: Endpoint, at: Place
    ) -> None:
        server.fault = lambda call: Refusal(403, "AccessDenied") if call.key == TRAIL.logs[0] else None
        result = run("verify", f"s3://{BUCKET}/team", *at, "-o", "json")
        answer = json.loads(result.stdout)
        assert result.exit_code == 3
        assert answer["entries"] == []
        assert answer["evidence"]["logs"] == {"valid": 2, "invalid": 0, "missing": 0, "unproven": 1}
        assert [interval["start"] for interval in answer["proven"]] == ["2025-03-04T10:01:31Z"]
        assert [item["source"] for item in answer["evidence"]["skipped"]] == [
            f"s3://{BUCKET}/{TRAIL.logs[0]}"
        ]

    def test_a_file_that_is_deleted_meanwhile_is_missing(self, run: Run, server: Endpoint, at: Place) -> None:
        server.fault = lambda call: Refusal(404, "NoSuchKey") if call.key == TRAIL.logs[0] else None
        result = run("verify", f"s3://{BUCKET}/team", *at, "-o", "jsonl")
        assert [
            (fault["kind"], fault["charge"]) for fault in map(json.loads, result.stdout.splitlines())
        ] == [("missing-log", "missing")]
        assert result.exit_code == 1

    @pytest.mark.parametrize("kind", ["CloudTrail", "CloudTrail-Digest"])
    def test_a_page_that_is_not_a_listing_makes_no_file_missing(
        self, run: Run, server: Endpoint, at: Place, kind: str
    ) -> None:
        def portal(call: Call) -> Fault | None:
            of_days = call.is_listing and f"/{kind}/eu-west-1/" in call.query.get("prefix", "")
            return Portal(b"<html>Please sign in</html>") if of_days else None

        server.fault = portal
        result = run("verify", f"s3://{BUCKET}/team", *at)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "listing failed: the response is damaged, or not from AWS" in result.stderr

    @pytest.mark.parametrize(
        "body",
        [b"<html>Please sign in</html>", b"{}", b'{"PublicKeyList":{}}', b'{"PublicKeyList":[{}]}', b"["],
    )
    def test_an_answer_without_keys_is_a_one_line_error(
        self, run: Run, server: Endpoint, at: Place, body: bytes
    ) -> None:
        server.fault = lambda call: Portal(body) if call.bucket == "cloudtrail" else None
        result = run("verify", f"s3://{BUCKET}/team", *at)
        assert result.exit_code == 1
        assert "no CloudTrail public keys for eu-west-1: " in result.stderr
        assert "the response is damaged, or not from AWS" in result.stderr

    @pytest.mark.parametrize("to_its_name", [Edited(rb"(?i)etag", b""), Refusal(403, "AccessDenied")])
    def test_a_file_is_not_called_missing_if_s3_refuses_to_say(
        self, run: Run, server: Endpoint, at: Place, to_its_name: Fault
    ) -> None:
        """A log file that its digest lists, but the bucket's listing does not, is requested by its key."""
        unlisted = rb"<Contents><Key>" + TRAIL.logs[0].encode() + rb"</Key>.*?</Contents>"

        def fault(call: Call) -> Fault | None:
            if call.is_listing:
                return Edited(unlisted + rb"|<KeyCount>.*?</KeyCount>", b"")
            return to_its_name if call.key == TRAIL.logs[0] else None

        server.fault = fault
        result = run("verify", f"s3://{BUCKET}/team", *at, "-o", "json")
        answer = json.loads(result.stdout)
        assert answer["evidence"]["logs"] == {"valid": 2, "invalid": 0, "missing": 0, "unproven": 1}
        assert [interval["start"] for interval in answer["proven"]] == ["2025-03-04T10:01:31Z"]
        assert result.exit_code == 3

    def test_a_chain_that_continues_in_another_bucket_names_it(
        self, run: Run, server: Endpoint, at: Place
    ) -> None:
        trail = small_trail(bucket="old-logs")
        put(server, "old-logs", trail.objects)
        old = set(trail.objects)
        trail.bucket = "new-logs"
        trail.hour(records("D"))
        put(server, "new-logs", {key: stored for key, stored in trail.objects.items() if key not in old})
        alone = run("verify", "s3://new-logs", *at)
        assert "elsewhere: it is in another bucket: add s3://old-logs" in alone.stdout
        assert alone.exit_code == 0
        both = run("verify", "s3://new-logs", "s3://old-logs", *at)
        assert both.exit_code == 0
        assert "2025-03-04 09:01:31 to 2025-03-04 13:01:31" in both.stdout

    def test_a_copy_of_a_bucket_is_reported_as_moved(self, run: Run, server: Endpoint, at: Place) -> None:
        put(server, "replica", TRAIL.objects)
        result = run("verify", "s3://replica", *at)
        assert result.exit_code == 1
        assert result.stdout.count("moved: moved or renamed") == 3

    def test_digests_of_other_times_may_be_there(self, run: Run, at: Place) -> None:
        result = run("verify", f"s3://{BUCKET}", "--region", "eu-west-1", "--since", "2030-01-01", *at)
        assert result.exit_code == 4
        assert "hint: see whether there are others: leave out --region and --since\n" in result.stderr


class TestSync:
    @pytest.mark.parametrize("asked", [("s3://empty",), (f"s3://{BUCKET}", "--since", "2030-01-01")])
    def test_nothing_to_copy_is_an_error(
        self, run: Run, at: Place, tmp_path: Path, asked: tuple[str, ...]
    ) -> None:
        result = run("sync", *asked, "--to", tmp_path / "copy", *at)
        assert result.exit_code == 1
        assert f"error: {asked[0]}: no digests and no log files of what was asked for\n" in result.stderr

    def test_copies_everything_needed_to_verify_offline(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        copy = tmp_path / "copy"
        result = run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == f"{copy}: 9 digests and 9 log files copied, 0 already there\n"
        server.calls.clear()
        server.key_calls.clear()
        verified = run("verify", copy, "-o", "json")
        assert verified.exit_code == 0, verified.stdout
        assert json.loads(verified.stdout)["evidence"]["digests"]["valid"] == 9
        assert (server.calls, server.key_calls) == ([], [])

    def test_writes_the_documented_files(self, run: Run, at: Place, tmp_path: Path) -> None:
        run("sync", f"s3://{BUCKET}/team", "--to", tmp_path / "copy", *at)
        assert json.loads((tmp_path / "copy/public-keys.json").read_text())["PublicKeyList"]
        beside = json.loads((tmp_path / "copy" / BUCKET / f"{TRAIL.digests[0]}.s3.json").read_text())
        metadata = OBJECTS[TRAIL.digests[0]].metadata
        assert beside == {"bucket": BUCKET, "key": TRAIL.digests[0], "metadata": metadata}
        if shutil.which("sha256sum"):
            checked = subprocess.run(
                ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "copy", check=False
            )
            assert checked.returncode == 0

    def test_makes_a_copy_that_is_read_without_warnings(self, run: Run, at: Place, tmp_path: Path) -> None:
        run("sync", f"s3://{BUCKET}", "--to", tmp_path / "copy", *at)
        result = run("timeline", tmp_path / "copy")
        assert result.exit_code == 0, result.stderr

    def test_copies_only_new_files_when_run_again(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        trail = small_trail()
        put(server, "growing", trail.objects)
        copy = tmp_path / "copy"
        run("sync", "s3://growing", "--to", copy, *at)
        before = set(trail.objects)
        trail.hour(records("D"))
        for key in set(trail.objects) - before:
            stored = trail.objects[key]
            server.client.put_object(Bucket="growing", Key=key, Body=stored.body, Metadata=stored.metadata)
        server.calls.clear()
        result = run("sync", "s3://growing", "--to", copy, *at)
        assert result.stderr == f"{copy}: 1 digest and 1 log file copied, 6 already there\n"
        assert set(server.fetched) == set(trail.objects) - before

    def test_restores_files_that_were_lost_or_incomplete(self, run: Run, at: Place, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        whole = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        (copy / BUCKET / TRAIL.logs[0]).unlink()
        (copy / BUCKET / TRAIL.logs[1]).write_bytes(b"cut")
        (copy / BUCKET / f"{TRAIL.digests[0]}.s3.json").unlink()
        sums = copy / "SHA256SUMS"
        sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:-2]))
        (copy / ".incoming").mkdir()
        (copy / ".incoming" / "7").write_bytes(b"half")
        assert run("sync", f"s3://{BUCKET}", "--to", copy, *at).exit_code == 0
        assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == whole
        assert run("verify", copy).exit_code == 0

    def test_does_not_overwrite_a_copied_file_with_other_content(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        trail = small_trail()
        put(server, "changing", trail.objects)
        copy = tmp_path / "copy"
        run("sync", "s3://changing", "--to", copy, *at)
        before = (copy / "changing" / trail.logs[0]).read_bytes()
        server.client.put_object(Bucket="changing", Key=trail.logs[0], Body=b"changed since")
        result = run("sync", "s3://changing", "--to", copy, *at)
        assert result.exit_code == 3
        assert "it is not what was copied before; the copy is left as it is" in result.stderr
        assert (copy / "changing" / trail.logs[0]).read_bytes() == before

    @pytest.mark.parametrize(
        "top", ["../AWSLogs/", "a//AWSLogs/", "./AWSLogs/", "a\\b/AWSLogs/", "\x1b[2J/AWSLogs/"]
    )
    def test_writes_only_below_the_copy_whatever_the_key(
        self, server: Endpoint, tmp_path: Path, top: str
    ) -> None:
        from cnitrail.sources.trail_copy.writer import TrailCopy

        copy = TrailCopy(str(tmp_path / "copy"))
        key = SignedTrail(top=top).log(b"", TRAIL.now)
        with pytest.raises(ValueError, match="its name leads out of the copy"):
            copy.put(f"{BUCKET}/{key}", (b"",))
        copy.close()
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["SHA256SUMS", "copy"]

    def test_follows_no_symlink_out_of_the_copy(self, run: Run, at: Place, tmp_path: Path) -> None:
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "SHA256SUMS").touch()
        (tmp_path / "outside").mkdir()
        (tmp_path / "copy" / BUCKET).symlink_to(tmp_path / "outside")
        result = run("sync", f"s3://{BUCKET}", "--to", tmp_path / "copy", *at)
        assert result.exit_code == 3
        assert "a link leads from its place out of the copy" in result.stderr
        assert list((tmp_path / "outside").rglob("*.gz")) == []

    def test_refuses_a_directory_that_is_not_a_copy(self, run: Run, at: Place, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        result = run("sync", f"s3://{BUCKET}", "--to", tmp_path, *at)
        assert result.exit_code == 1
        assert "it is not a copy of a trail" in result.stderr

    def test_without_keys_makes_the_copy_with_a_warning(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        def refuse(call: Call) -> Refusal | None:
            return Refusal(400, "AccessDeniedException") if call.bucket == "cloudtrail" else None

        server.fault = refuse
        result = run("sync", f"s3://{BUCKET}", "--to", tmp_path / "copy", *at)
        assert result.exit_code == 3
        assert "verify needs --public-keys" in result.stderr

    def test_locks_the_copy(self, run: Run, server: Endpoint, at: Place, tmp_path: Path) -> None:
        copy, seconds = tmp_path / "copy", list[Result]()

        def meanwhile(call: Call) -> None:
            if call.key == TRAIL.logs[1] and not seconds:
                seconds.append(run("sync", f"s3://{BUCKET}", "--to", copy, *at))

        server.fault = meanwhile
        first = run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        (second,) = seconds
        assert (first.exit_code, second.exit_code) == (0, 1)
        assert second.stderr.splitlines() == [
            f"error: {copy}: another sync is writing to this copy",
            "hint: wait until it has finished, then run this again",
        ]
        assert run("verify", copy).exit_code == 0
        assert sorted(path.name for path in copy.iterdir()) == [
            "SHA256SUMS",
            "audit-logs",
            "public-keys.json",
        ]

    def test_many_at_once_make_one_valid_copy(self, run: Run, at: Place, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        arguments = [sys.executable, "-m", "cnitrail", "sync", f"s3://{BUCKET}", "--to", str(copy), *at]
        running = [subprocess.Popen(arguments, stderr=subprocess.DEVNULL) for _ in range(4)]
        statuses = sorted(process.wait() for process in running)
        assert statuses[0] == 0
        assert set(statuses) <= {0, 1}
        assert run("sync", f"s3://{BUCKET}", "--to", copy, *at).stderr.endswith("copied, 18 already there\n")
        assert run("verify", copy).exit_code == 0

    def test_a_killed_sync_leaves_no_lock(
        self, run: Run, server: Endpoint, at: Place, tmp_path: Path
    ) -> None:
        copy = tmp_path / "copy"

        def hang(call: Call) -> None:
            if call.key == TRAIL.logs[1]:
                time.sleep(20)

        server.fault = hang
        arguments = [sys.executable, "-m", "cnitrail", "sync", f"s3://{BUCKET}", "--to", str(copy), *at]
        with subprocess.Popen(arguments) as running:
            while not list(copy.rglob("*.json.gz")):
                assert running.poll() is None
                time.sleep(0.05)
            assert "another sync is writing" in run("sync", f"s3://{BUCKET}", "--to", copy, *at).stderr
            running.kill()
        server.fault = lambda _: None
        assert (copy / ".sync-lock").exists()
        assert run("sync", f"s3://{BUCKET}", "--to", copy, *at).exit_code == 0
        assert not (copy / ".sync-lock").exists()
        assert run("verify", copy).exit_code == 0

    @pytest.mark.parametrize("cut", [1, 2, 37, 120, 250])
    def test_a_torn_checksum_line_is_repaired(self, run: Run, at: Place, tmp_path: Path, cut: int) -> None:
        copy = tmp_path / "copy"
        run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        sums = copy / "SHA256SUMS"
        whole = sums.read_bytes()
        sums.write_bytes(whole[:-cut])
        torn = run("verify", copy)
        assert torn.exit_code == 1
        assert "the last one, is cut off: sync did not finish (run it again)" in torn.stdout
        again = run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        assert again.exit_code == 0, again.stderr
        assert sums.read_bytes() == whole
        assert run("verify", copy).exit_code == 0

    def test_a_line_damaged_in_the_middle_is_not_repaired(self, run: Run, at: Place, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        sums = copy / "SHA256SUMS"
        damaged = b"\xff" + sums.read_bytes()[1:]
        sums.write_bytes(damaged)
        result = run("sync", f"s3://{BUCKET}", "--to", copy, *at)
        assert result.exit_code == 1
        assert f"{sums}: line 1 is not the checksum of a file in this copy" in result.stderr
        assert sums.read_bytes() == damaged

    @pytest.mark.parametrize("sources", [(), ("logs/",), ("s3://a", "s3://b")])
    def test_copies_only_one_bucket(self, run: Run, tmp_path: Path, sources: tuple[str, ...]) -> None:
        assert run("sync", *sources, "--to", tmp_path / "copy").exit_code == 2
