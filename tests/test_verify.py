"""``verify``: every change to a trail is reported, and no intact file is called invalid."""

import gzip
import hashlib
import itertools
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from errno import EACCES
from pathlib import Path
from unicodedata import category

import pytest
from conftest import FIXTURES, Run, Show
from hypothesis import given
from hypothesis import strategies as st
from memory_trail import MemoryTrail
from signed_trail import (
    BUCKET,
    HOUR,
    START,
    Objects,
    SignedTrail,
    Stored,
    fingerprint,
    public_keys,
    records,
    sign,
    small_trail,
    write_copy,
    write_plain,
    zipped,
)
from test_render_safe import ACTS_OR_HIDES

from cnitrail.errors import SourceError
from cnitrail.model import (
    Charge,
    Checked,
    DigestChain,
    Fault,
    FaultKind,
    Proven,
    Scope,
    Verification,
    Vouched,
)
from cnitrail.workflows import verify as verify_workflow
from cnitrail.workflows.verify import verify_sources


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with every public key except that of the key ``stranger``."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_text(public_keys("CloudTrail", "short"))
    return str(path)


Verify = Callable[..., Verification]


@pytest.fixture(scope="session")
def verify(keys: str) -> Verify:
    """Verify objects as they lie in a bucket."""

    def verify(objects: Objects, scope: Scope | None = None, bucket: str = BUCKET) -> Verification:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                verify_workflow, "open_trail", lambda _uri, scope: MemoryTrail(objects, scope, bucket)
            )
            return verify_sources(("s3://audit-logs",), scope or Scope(), keys)

    return verify


def invalid(found: Verification) -> set[tuple[str, str]]:
    """The faults that make a file invalid: kind, and file name."""
    return {(fault.kind.value, last(fault.uri)) for fault in found.faults if is_invalid(fault)}


def is_invalid(fault: Fault) -> bool:
    return fault.charge is not Charge.UNPROVEN


def reported(found: Verification) -> set[tuple[str, str]]:
    """The faults that make no file invalid: kind, and file name."""
    return {(fault.kind.value, last(fault.uri)) for fault in found.faults if not is_invalid(fault)}


def last(key: str) -> str:
    return key.rpartition("/")[2]


def spans(found: Verification) -> list[tuple[str, str]]:
    """The proven spans, as day and time."""
    return [(f"{interval.start:%d %H:%M}", f"{interval.end:%d %H:%M}") for interval in found.proven]


def by_trail(found: Verification) -> list[tuple[str, str, str]]:
    """The proven spans, each with the trail that proves it."""
    return [(interval.chain.trail, *span) for interval, span in zip(found.proven, spans(found), strict=True)]


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2025-03-04T{clock}+00:00")


class TestIntactTrail:
    """Nothing of it is invalid."""

    def test_is_proven_from_its_first_hour_to_its_last(self, verify: Verify) -> None:
        found = verify(small_trail().objects)
        assert found.faults == ()
        audit = DigestChain("audit", "eu-west-1")
        assert found.proven == (
            Proven(
                account="111111111111",
                region="eu-west-1",
                start=at("09:01:31"),
                end=at("12:01:31"),
                chain=audit,
            ),
        )
        assert (found.digests, found.logs) == (Checked(valid=3), Checked(valid=3))

    def test_may_have_only_empty_hours(self, verify: Verify) -> None:
        trail = SignedTrail()
        for _ in range(3):
            trail.hour()
        found = verify(trail.objects)
        assert found.faults == ()
        assert spans(found) == [("04 09:01", "04 12:01")]

    def test_may_be_in_an_organization_folder_below_a_prefix(self, verify: Verify) -> None:
        assert verify(small_trail(top="team/AWSLogs/o-abcdefghij/").objects).faults == ()

    def test_may_have_log_files_that_no_digest_lists_yet(self, verify: Verify) -> None:
        trail = small_trail()
        young = trail.log(records("D"), trail.now + timedelta(minutes=20))
        found = verify(trail.objects)
        assert invalid(found) == set()
        assert reported(found) == {("not-yet-listed", last(young))}
        assert spans(found) == [("04 09:01", "04 12:01")]

    def test_may_have_been_switched_off_for_a_while(self, verify: Verify) -> None:
        trail = small_trail()
        trail.quiet(timedelta(hours=5))
        loose = trail.log(records("D"), trail.now - timedelta(hours=2))
        trail.hour(records("E"))
        found = verify(trail.objects)
        assert invalid(found) == set()
        assert reported(found) == {("gap", last(trail.digests[-1])), ("undigested", last(loose))}
        assert spans(found) == [("04 09:01", "04 12:01"), ("04 17:01", "04 18:01")]

    def test_may_have_begun_after_its_first_log_files(self, verify: Verify) -> None:
        trail = SignedTrail()
        old = trail.log(records("older"), START - HOUR)
        trail.hour(records("A"))
        found = verify(trail.objects)
        assert invalid(found) == set()
        assert reported(found) == {("undigested", last(old))}

    def test_may_list_log_files_late_in_a_backfill_digest(self, verify: Verify) -> None:
        trail = small_trail()
        trail.backfill(trail.digests[0], records("late"))
        found = verify(trail.objects)
        assert found.faults == ()
        assert found.backfill_digests == Checked(valid=1)
        assert found.logs == Checked(valid=4)

    def test_may_share_its_bucket_with_other_trails(self, verify: Verify) -> None:
        """Of the same account and Region at other times, of another Region, and without digests."""
        first = small_trail()
        second = small_trail(trail="second", now=START + timedelta(minutes=17))
        elsewhere = small_trail(region="us-east-1")
        unsigned = small_trail(top="unsigned/AWSLogs/")
        logs = {key: unsigned.objects[key] for key in unsigned.logs}
        found = verify(first.objects | second.objects | elsewhere.objects | logs)
        assert invalid(found) == set()
        assert reported(found) == {("undigested", last(unsigned.logs[0]))}
        assert [
            (interval.region, *clocks) for interval, clocks in zip(found.proven, by_trail(found), strict=True)
        ] == [
            ("eu-west-1", "audit", "04 09:01", "04 12:01"),
            ("eu-west-1", "second", "04 09:18", "04 12:18"),
            ("us-east-1", "audit", "04 09:01", "04 12:01"),
        ]

    @pytest.mark.parametrize("clock", ["10:01:31", "10:20:00", "11:01:32"])
    def test_may_be_verified_from_the_middle(self, verify: Verify, clock: str) -> None:
        trail = small_trail()
        gone = trail.digests[0]
        trail.objects.pop(gone)
        assert verify(trail.objects, Scope(since=at(clock))).faults == ()

    def test_may_be_verified_up_to_the_middle(self, verify: Verify) -> None:
        trail = small_trail()
        for _ in range(6):
            trail.hour(records("late"))
        trail.objects.pop(trail.digests[-1])
        found = verify(trail.objects, Scope(until=at("09:30"), delivery_lag=timedelta()))
        assert found.faults == ()
        assert found.digests == Checked(valid=1)

    def test_may_be_signed_with_several_keys(self, verify: Verify) -> None:
        trail = small_trail()
        trail.key = "short"
        trail.hour(records("D"))
        found = verify(trail.objects)
        assert found.faults == ()
        assert {key.fingerprint for key in found.keys} == {fingerprint("CloudTrail"), fingerprint("short")}


class TestACopy:
    """A local copy is verified like a bucket."""

    def test_made_by_sync_needs_nothing_else(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert found.faults == ()
        assert spans(found) == [("04 09:01", "04 12:01")]
        assert {key.origin for key in found.keys} == {str(tmp_path / "public-keys.json")}

    def test_in_an_archive_is_read_but_not_verified(self, run: Run, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
            for path in (FIXTURES / "ironman-signed").rglob("*.*"):
                archive.write(path, path.relative_to(FIXTURES))
        result = run("verify", tmp_path / "case.zip")
        assert result.exit_code == 4
        assert "unpack an archive, and name the directory" in result.stderr
        result = run("timeline", tmp_path / "case.zip")
        assert (result.exit_code, "skipped" in result.stderr) == (0, False)

    def test_without_metadata_proves_all_but_its_newest_hour(self, tmp_path: Path, keys: str) -> None:
        trail = small_trail()
        write_plain(trail.objects, tmp_path)
        found = verify_sources((str(tmp_path),), Scope(), keys)
        assert invalid(found) == set()
        assert reported(found) == {("unsigned", last(trail.digests[-1]))}
        assert spans(found) == [("04 09:01", "04 11:01")]
        assert (found.digests, found.logs) == (Checked(valid=2, unproven=1), Checked(valid=2, unproven=1))

    def test_may_have_any_folders(self, tmp_path: Path, keys: str) -> None:
        for number, (key, stored) in enumerate(sorted(small_trail().objects.items())):
            folder = tmp_path / f"case {number % 2}" / "CloudTrail"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / last(key)).write_bytes(stored.body)
        assert invalid(verify_sources((str(tmp_path),), Scope(), keys)) == set()

    def test_may_be_decompressed(self, tmp_path: Path, keys: str) -> None:
        for key, stored in small_trail().objects.items():
            (tmp_path / last(key).removesuffix(".gz")).write_bytes(gzip.decompress(stored.body))
        found = verify_sources((str(tmp_path),), Scope(), keys)
        assert invalid(found) == set()
        assert found.logs == Checked(valid=2, unproven=1)

    def test_may_have_every_file_twice(self, tmp_path: Path, keys: str) -> None:
        for folder in ("one", "two"):
            write_plain(small_trail().objects, tmp_path / folder)
        assert invalid(verify_sources((str(tmp_path),), Scope(), keys)) == set()

    @pytest.mark.parametrize("order", [("signed", "plain"), ("plain", "signed")])
    def test_beside_one_without_metadata_is_as_good_as_alone(
        self, tmp_path: Path, keys: str, order: tuple[str, str]
    ) -> None:
        write_copy(small_trail().objects, tmp_path / "signed")
        write_plain(small_trail().objects, tmp_path / "plain")
        found = verify_sources(tuple(str(tmp_path / name) for name in order), Scope(), keys)
        assert found.faults == ()
        assert spans(found) == [("04 09:01", "04 12:01")]

    @pytest.mark.parametrize("region", ["eusc-de-east-1", "us-gov-west-1", "us-isob-east-1", "cn-north-1"])
    def test_of_any_partition_is_verified(self, tmp_path: Path, region: str) -> None:
        write_copy(small_trail(region=region).objects, tmp_path)
        assert verify_sources((str(tmp_path),), Scope(), None).faults == ()

    @pytest.mark.parametrize("folder", ["acme-eu-west-1", "prod-us-east-1", "hq-eu-west-1"])
    def test_may_have_the_folders_of_days_in_one_whose_name_ends_like_a_region(
        self, tmp_path: Path, keys: str, folder: str
    ) -> None:
        for key, stored in small_trail().objects.items():
            path = tmp_path / folder / "/".join(key.split("/")[4:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stored.body)
        assert invalid(verify_sources((str(tmp_path),), Scope(), keys)) == set()

    def test_has_moved_if_it_is_in_the_folder_of_another_region(self, tmp_path: Path, keys: str) -> None:
        trail = small_trail()
        for key, stored in trail.objects.items():
            path = tmp_path / key.replace("/eu-west-1/", "/us-gov-west-1/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stored.body)
        found = verify_sources((str(tmp_path),), Scope(), keys)
        assert invalid(found) == {("moved", last(key)) for key in trail.digests}

    def test_may_be_given_twice(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        found = verify_sources((str(tmp_path), str(tmp_path)), Scope(), None)
        assert found.faults == ()
        assert found.digests == Checked(valid=3)


def short_trail() -> SignedTrail:
    """Two hours with one log file each, signed with a short key, so that every bit can be tried."""
    trail = SignedTrail(key="short")
    trail.hour(records("A"))
    trail.hour(records("B"))
    return trail


SHORT = short_trail()
"""Never modified: tests change copies of its objects."""


def flipped(body: bytes, bit: int) -> bytes:
    return body[: bit // 8] + bytes([body[bit // 8] ^ 1 << bit % 8]) + body[bit // 8 + 1 :]


def text_of(body: bytes) -> bytes | None:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, ValueError, gzip.zlib.error):  # type: ignore[attr-defined]
        return None


class TestEveryBit:
    """Every single bit that is changed is reported, and nothing else is invalid for it."""

    @pytest.mark.parametrize("key", sorted(SHORT.objects), ids=last)
    def test_of_an_object_in_a_bucket_is_verified(self, verify: Verify, key: str) -> None:
        stored = SHORT.objects[key]
        text = text_of(stored.body)
        missed = []
        for bit in range(len(stored.body) * 8):
            body = flipped(stored.body, bit)
            found = verify(SHORT.objects | {key: replace(stored, body=body)})
            names = {name for _, name in invalid(found)}
            if names - {last(key)}:
                pytest.fail(f"bit {bit} makes {names} invalid")
            if not names and text_of(body) != text:
                missed.append(bit)
        assert missed == []

    def test_of_a_signature_in_s3_metadata_is_verified(self, verify: Verify) -> None:
        for key in SHORT.digests:
            stored = SHORT.objects[key]
            for name, value in stored.metadata.items():
                for bit in range(len(value) * 8):
                    changed = flipped(value.encode(), bit).decode("latin-1")
                    metadata = stored.metadata | {name: changed}
                    found = verify(SHORT.objects | {key: replace(stored, metadata=metadata)})
                    assert {name for _, name in invalid(found)} == {last(key)}

    def test_of_a_copy_is_verified(self, tmp_path: Path) -> None:
        """One bit of every byte of every file is flipped, even if the decompressed text stays the same."""
        write_copy(SHORT.objects, tmp_path, keys=public_keys("short"))
        for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
            body = path.read_bytes()
            for byte in range(len(body)):
                path.write_bytes(flipped(body, byte * 8 + byte % 8))
                assert is_detected(tmp_path), f"byte {byte} of {path.name}"
            path.write_bytes(body)
        assert not is_detected(tmp_path)

    def test_of_the_text_of_a_copy_without_checksums_is_verified(self, tmp_path: Path) -> None:
        """A flipped bit may go undetected only if the decompressed text stays the same."""
        write_copy(SHORT.objects, tmp_path, keys=public_keys("short"))
        (tmp_path / "SHA256SUMS").unlink()
        files = [path for path in tmp_path.rglob("*.json*") if path.name != "public-keys.json"]
        for path in sorted(files):
            body = path.read_bytes()
            text = text_of(body)
            for byte in range(len(body)):
                changed = flipped(body, byte * 8 + byte % 8)
                path.write_bytes(changed)
                is_same = text is not None and text_of(changed) == text
                assert is_detected(tmp_path) or is_same, f"byte {byte} of {path.name}"
            path.write_bytes(body)

    def test_of_a_plain_copy_but_its_newest_digest_is_verified(self, tmp_path: Path, keys: str) -> None:
        """Only the newest digest may change undetected, as no signature covers it."""
        write_plain(SHORT.objects, tmp_path)
        *older, newest = SHORT.digests
        for key in (*SHORT.logs, *older):
            path = tmp_path / key
            body = path.read_bytes()
            for byte in range(len(body)):
                changed = flipped(body, byte * 8 + byte % 8)
                path.write_bytes(changed)
                found = verify_sources((str(tmp_path),), Scope(), keys)
                is_newest_log = key == SHORT.logs[-1]
                seen = {name for _, name in (reported(found) if is_newest_log else invalid(found))}
                assert last(key) in seen or text_of(changed) == text_of(body)
                assert {name for _, name in invalid(found)} <= {last(key)}
            path.write_bytes(body)
        path = tmp_path / newest
        body = path.read_bytes()
        for bit in range(0, len(body) * 8, 5):
            path.write_bytes(flipped(body, bit))
            found = verify_sources((str(tmp_path),), Scope(), keys)
            assert {name for _, name in invalid(found)} <= {last(newest)}


def is_detected(copy: Path) -> bool:
    """Whether a file of a copy is invalid, or its keys cannot be read."""
    try:
        return bool(invalid(verify_sources((str(copy),), Scope(), None)))
    except SourceError:
        return True


@pytest.fixture
def trail() -> SignedTrail:
    """Five hours, one of them empty, and a backfill digest."""
    trail = small_trail()
    trail.hour(records("D"), records("E"))
    trail.hour(records("F"))
    trail.backfill(trail.digests[1], records("late"))
    return trail


class TestEveryFile:
    """Whatever is done to a file is reported, and no other file is invalid."""

    def test_that_is_removed_is_missing(self, verify: Verify, trail: SignedTrail) -> None:
        newest = trail.digests[-1]
        backfill = next(key for key in trail.objects if "_backfill" in key)
        for key in trail.objects:
            found = verify({other: stored for other, stored in trail.objects.items() if other != key})
            kind = "missing-digest" if "Digest" in key else "missing-log"
            if key not in {newest, backfill}:
                assert invalid(found) == {(kind, last(key))}

    def test_that_is_removed_at_the_end_of_a_chain_shortens_the_proven_time(
        self, verify: Verify, trail: SignedTrail
    ) -> None:
        """No digest names the newest one. Its log files remain, and the proven time ends earlier."""
        trail.objects.pop(trail.digests[-1])
        found = verify(trail.objects)
        assert reported(found) == {("not-yet-listed", last(trail.logs[-2]))}
        assert spans(found) == [("04 09:01", "04 13:01")]

    def test_that_is_a_removed_backfill_digest_leaves_its_log_files_unlisted(
        self, verify: Verify, trail: SignedTrail
    ) -> None:
        trail.objects.pop(next(key for key in trail.objects if "_backfill" in key))
        assert invalid(verify(trail.objects)) == {("unlisted", last(trail.logs[-1]))}

    def test_that_is_removed_with_all_later_digests_is_noticed_by_the_later_log_files(
        self, verify: Verify
    ) -> None:
        trail = small_trail()
        for _ in range(6):
            trail.hour(records("A"))
        for key in trail.digests[2:]:
            trail.objects.pop(key)
        found = verify(trail.objects)
        late = next(key for key in trail.logs[2:] if key > trail.logs[2] and "T1431" in key)
        assert invalid(found) == {("digests-end", last(late))}
        assert spans(found) == [("04 09:01", "04 11:01")]

    def test_that_is_renamed_is_detected(self, verify: Verify, trail: SignedTrail) -> None:
        for key in trail.objects:
            for new in (
                key.replace("Z_", "Z_x") if key in trail.logs else key.replace("31Z", "32Z"),
                key.replace("AWSLogs/", "old/AWSLogs/"),
            ):
                objects = {new if other == key else other: stored for other, stored in trail.objects.items()}
                names = {name for _, name in invalid(verify(objects))}
                assert names
                assert names <= {last(key), last(new)}

    def test_that_is_swapped_with_another_is_detected(self, verify: Verify, trail: SignedTrail) -> None:
        """All pairs. A log file that is swapped with its own digest is not judged."""
        for one, other in itertools.combinations(trail.objects, 2):
            left, right = trail.objects[one], trail.objects[other]
            swapped = trail.objects | {one: right, other: left}
            names = {name for _, name in invalid(verify(swapped))}
            unknown = {last(log) for key in (one, other) for log in listed_by(trail, key)}
            assert names <= {last(one), last(other)}
            assert names >= {last(one), last(other)} - unknown
            assert names

    def test_that_is_truncated_or_extended_is_invalid(self, verify: Verify, trail: SignedTrail) -> None:
        for key, stored in trail.objects.items():
            cut = [stored.body[:-size] for size in range(1, 12)] + [b""]
            longer = [stored.body + more for more in (b"\0", b"x", b"\n", zipped(b""), stored.body)]
            for body in cut + longer:
                found = verify(trail.objects | {key: replace(stored, body=body)})
                assert {name for _, name in invalid(found)} == {last(key)}

    @given(data=st.data())
    def test_that_is_changed_with_another_never_stays_proven(
        self, verify: Verify, data: st.DataObject
    ) -> None:
        """A fault in one file hides no other: each of two is reported, though not always invalid."""
        trail = small_trail()
        trail.hour(records("D"))
        keys = data.draw(
            st.lists(st.sampled_from(sorted(trail.objects)), min_size=2, max_size=2, unique=True)
        )
        objects = dict(trail.objects)
        for key in keys:
            body = objects[key].body
            match data.draw(st.sampled_from(("flip", "cut", "grow", "remove"))):
                case "flip":
                    bit = data.draw(st.integers(10 * 8, len(body) * 8 - 1))
                    if text_of(flipped(body, bit)) == text_of(body):
                        continue
                    objects[key] = replace(objects[key], body=flipped(body, bit))
                case "cut":
                    objects[key] = replace(objects[key], body=body[:-1])
                case "grow":
                    objects[key] = replace(objects[key], body=body + b"x")
                case _:
                    objects.pop(key)
        found = verify(objects)
        changed = {last(key) for key in keys if objects.get(key) != trail.objects[key]}
        assert {name for _, name in invalid(found)} <= changed
        assert proven_by(found) <= unchanged_hours(trail, changed)


def listed_by(trail: SignedTrail, key: str) -> list[str]:
    """The log files that an object lists; empty if it is not a digest."""
    return [log["s3Object"] for log in trail.fields(key).get("logFiles", ())]


def proven_by(found: Verification) -> set[datetime]:
    """The starts of the proven hours."""
    hours = (
        interval.start + HOUR * number
        for interval in found.proven
        for number in range(int((interval.end - interval.start) / HOUR))
    )
    return set(hours)


def unchanged_hours(trail: SignedTrail, changed: Iterable[str]) -> set[datetime]:
    """The hours of a trail of which no file was changed."""
    hours = set()
    for key in trail.digests:
        fields = trail.fields(key)
        names = {last(key), *(last(log["s3Object"]) for log in fields["logFiles"])}
        if not names & set(changed):
            hours.add(datetime.fromisoformat(fields["digestStartTime"]))
    return hours


def rewritten(trail: SignedTrail, key: str, text: bytes, signer: str = "CloudTrail") -> Objects:
    """The trail with another text of a digest, signed again, so that only the text can be wrong."""
    fields = trail.fields(key)
    metadata = {"signature": sign(fields, text, signer), "signature-algorithm": "SHA256withRSA"}
    return trail.objects | {key: Stored(zipped(text), metadata)}


class TestDigest:
    """A digest is read strictly, whoever signed it; what cannot be read is reported, never guessed."""

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda text: b"[" * 100_000, "its JSON is broken (nested too deeply)"),
            (lambda text: text.replace(b"A", b"\\ud800"), "its JSON is broken ('utf-8' codec can't encode"),
            (lambda text: b"[]", "it is not a digest (Expected `object`, got `array`)"),
            (lambda text: b"", "its JSON is broken (Expecting value"),
            (lambda text: text[:-1] + b',"x":NaN}', "its JSON is broken (NaN is not a number)"),
            (lambda text: text[:-1] + b',"x":' + b"9" * 5000 + b"}", "its JSON is broken (Exceeds the limit"),
            (lambda text: b"\xff" + text, "its JSON is broken ('utf-8' codec can't decode"),
            (lambda text: text[:-1] + b',"digestS3Bucket":"audit-logs"}', "its JSON has a duplicate key"),
            (lambda text: text.replace(b'"logFiles"', b'"logfiles"'), "it is not a digest (Object missing"),
            (lambda text: text.replace(b"SHA256withRSA", b"SHA1withRSA"), "its algorithms are not"),
            (lambda text: text.replace(b"SHA-256", b"MD5"), "its algorithms are not"),
            (lambda text: text.replace(b"T10:01:31Z", b"T10:01:31"), "is not a time as CloudTrail writes it"),
            (lambda text: text.replace(b"2025-03-04T10", b"2025-03-04T12"), "span ends before it starts"),
            (lambda text: text.replace(b"2025-03-04T10", b"0001-01-01T00"), "is not a time as CloudTrail"),
            (lambda text: text.replace(b'"audit-logs","prev', b'null,"prev'), "only part of the fields"),
        ],
    )  # fmt: skip
    def test_must_be_well_formed(self, verify: Verify, change: Callable[[bytes], bytes], reason: str) -> None:
        trail = small_trail()
        key = trail.digests[1]
        text = change(gzip.decompress(trail.objects[key].body))
        found = verify(rewritten(trail, key, text))
        assert {name for _, name in invalid(found)} == {last(key)}
        assert reason in found.faults[0].reason
        assert spans(found) == [("04 09:01", "04 10:01"), ("04 11:01", "04 12:01")]

    def test_may_not_be_longer_than_the_limit(self, verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.validation.hashing.MAX_DIGEST_TEXT", 2_000_000)
        trail = small_trail()
        key = trail.digests[1]
        long = replace(trail.objects[key], body=zipped(random.Random(1).randbytes(3_000_000)))
        found = verify(trail.objects | {key: long})
        assert [fault.reason for fault in found.faults] == ["its text is longer than 2,000,000 bytes"]

    def test_may_not_be_a_gzip_bomb(self, verify: Verify) -> None:
        trail = small_trail()
        for key in (trail.digests[1], trail.logs[0]):
            bomb = replace(trail.objects[key], body=zipped(bytes(3_000_000)))
            found = verify(trail.objects | {key: bomb})
            assert [fault.reason for fault in found.faults if fault.uri.endswith(last(key))] == [
                "it is a gzip bomb: more than 200 times its stored size; to read it anyway, raise --max-ratio"
            ]

    def test_proves_nothing_if_another_key_signed_it(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.digests[1]
        text = gzip.decompress(trail.objects[key].body)
        found = verify(rewritten(trail, key, text.replace(b"null", b"0   ", 1), "stranger"))
        assert invalid(found) == {("signature", last(key))}

    def test_proves_nothing_if_its_key_is_unknown(self, verify: Verify) -> None:
        found = verify(small_trail(key="stranger").objects)
        assert {fault.kind for fault in found.faults} == {FaultKind.UNKNOWN_KEY}
        assert found.faults[0].reason == (
            f"eu-west-1 has no public key with its fingerprint {fingerprint('stranger')!r}"
        )
        assert found.proven == ()

    def test_proves_nothing_in_another_bucket(self, verify: Verify) -> None:
        found = verify(small_trail().objects, bucket="other-bucket")
        assert {fault.kind for fault in found.faults if is_invalid(fault)} == {FaultKind.MOVED}
        assert found.proven == ()

    def test_must_be_the_one_that_the_next_digest_names_even_if_it_is_signed(self, verify: Verify) -> None:
        """As if CloudTrail had signed two digests of one hour."""
        trail = small_trail()
        key = trail.digests[1]
        text = gzip.decompress(trail.objects[key].body)
        found = verify(rewritten(trail, key, text.replace(b"null", b"0   ", 1)))
        assert invalid(found) == {("not-as-recorded", last(key))}
        assert [fault.reason for fault in found.faults] == [
            "the next digest has another hash for it",
            "the next digest has another signature for it",
        ]
        assert {fault.digest for fault in found.faults} == {f"s3://{BUCKET}/{trail.digests[2]}"}

    @pytest.mark.parametrize("year", ["0001", "9999"])
    def test_may_have_any_year_in_its_name(self, tmp_path: Path, keys: str, year: str) -> None:
        trail = small_trail()
        objects = {key.replace("_2025", f"_{year}"): stored for key, stored in trail.objects.items()}
        write_plain(objects, tmp_path)
        scope = Scope(since=datetime.min.replace(tzinfo=UTC), until=datetime.max.replace(tzinfo=UTC))
        assert verify_sources((str(tmp_path),), scope, keys).proven == ()
        trail.objects[trail.digests[0]].metadata["backfill-generation-timestamp"] = f"{year}-01-01T00:00:00Z"
        write_copy(trail.objects, tmp_path / "copy")
        assert verify_sources((str(tmp_path / "copy"),), scope, None).faults == ()

    @pytest.mark.parametrize("output", ["table", "json", "jsonl"])
    def test_is_shown_without_control_characters(
        self, tmp_path: Path, run: Run, show: Show, output: str
    ) -> None:
        trail = SignedTrail()
        trail.hour(records("A"))
        fields = trail.fields(trail.digests[0])
        fields["logFiles"][0] |= {"s3Bucket": "\x1b[2J[bold]", "s3Object": "\u202e=cmd()\n../../etc"}
        write_copy(rewritten(trail, trail.digests[0], json.dumps(fields).encode()), tmp_path)
        result = run("verify", tmp_path, "-o", output)
        assert result.exit_code == 1
        for text in (result.stdout, show(40, "verify", tmp_path, "-o", output, status=1)):
            shown = text.replace("\n", "")
            assert [character for character in shown if category(character) in ACTS_OR_HIDES] == []
        assert "2J[bold]" in result.stdout


class TestAccount:
    """What each kind of fault leaves proven."""

    def test_a_modified_log_file_leaves_the_other_hours_proven(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.logs[0]
        found = verify(trail.objects | {key: Stored(zipped(b"{}"))})
        assert [fault.reason for fault in found.faults] == [
            "its SHA-256 is not the one in the digest: it was modified"
        ]
        assert found.faults[0].digest == f"s3://{BUCKET}/{trail.digests[0]}"
        assert found.logs == Checked(valid=2, invalid=1)
        assert spans(found) == [("04 10:01", "04 12:01")]

    def test_log_files_of_an_invalid_digest_are_unproven(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.digests[0]
        broken = replace(trail.objects[key], metadata=trail.objects[trail.digests[1]].metadata)
        changed = {key: broken, trail.logs[0]: Stored(zipped(b"{}"))}
        found = verify(trail.objects | changed)
        assert invalid(found) == {("signature", last(key))}
        assert reported(found) == {("hash", last(trail.logs[0]))}
        assert found.logs == Checked(valid=1, unproven=2)

    def test_a_planted_log_file_leaves_all_listed_files_proven(self, verify: Verify) -> None:
        trail = small_trail()
        planted = trail.log(records("planted"), at("10:31:00"))
        found = verify(trail.objects)
        assert invalid(found) == {("unlisted", last(planted))}
        assert spans(found) == [("04 09:01", "04 12:01")]
        assert found.altered == {f"s3://{BUCKET}/{planted}"}

    def test_the_names_of_altered_files_are_returned(self, verify: Verify) -> None:
        trail = small_trail()
        changed, damaged, _ = trail.logs
        found = verify(trail.objects | {changed: Stored(zipped(b"{}")), damaged: Stored(zipped(b"{}")[:-4])})
        assert found.altered == {f"s3://{BUCKET}/{changed}", f"s3://{BUCKET}/{damaged}"}

    def test_a_trail_proves_no_time_in_which_another_trail_has_a_gap(self, verify: Verify) -> None:
        first = small_trail()
        second = small_trail(trail="second", now=START + timedelta(minutes=30))
        objects = first.objects | second.objects
        objects.pop(second.digests[1])
        assert by_trail(verify(objects)) == [
            ("audit", "04 09:01", "04 10:31"),
            ("second", "04 09:31", "04 10:31"),
            ("audit", "04 11:31", "04 12:01"),
            ("second", "04 11:31", "04 12:31"),
        ]

    def test_a_trail_proves_no_time_in_which_another_trail_was_switched_off(self, verify: Verify) -> None:
        first, second = small_trail(), small_trail(trail="second")
        first.quiet(timedelta(hours=2))
        first.hour(records("D"))
        for _ in range(3):
            second.hour(records("read"))
        found = verify(first.objects | second.objects)
        assert reported(found) == {("gap", last(first.digests[-1]))}
        assert by_trail(found) == [
            ("audit", "04 09:01", "04 12:01"),
            ("second", "04 09:01", "04 12:01"),
            ("audit", "04 14:01", "04 15:01"),
            ("second", "04 14:01", "04 15:01"),
        ]

    def test_every_proven_file_has_its_chain_and_the_hash_of_its_stored_bytes(self, verify: Verify) -> None:
        trail = small_trail()
        vouched = verify(trail.objects).vouched
        assert vouched == {
            f"s3://{BUCKET}/{key}": Vouched(
                DigestChain("audit", "eu-west-1"), hashlib.sha256(trail.objects[key].body).hexdigest()
            )
            for key in trail.logs
        }


class TestKeys:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "it has no public keys"),
            ("{}", "not the output of aws cloudtrail list-public-keys"),
            ('{"PublicKeyList": []}', "it has no public keys"),
            ('{"PublicKeyList": [{"Fingerprint": 1, "Value": "x"}]}', "not the output of aws cloudtrail"),
            ('{"PublicKeyList": [{"Fingerprint": "a", "Value": "%"}]}', "the key 'a' is not base64"),
            ("[" * 100_000, "JSON nested too deeply"),
            ("not json", "Expecting value"),
        ],
    )
    def test_that_cannot_be_read_are_an_error(self, run: Run, tmp_path: Path, text: str, reason: str) -> None:
        (tmp_path / "copy").mkdir()
        (tmp_path / "keys.json").write_text(text)
        result = run("verify", tmp_path / "copy", "--public-keys", tmp_path / "keys.json")
        assert result.exit_code == 1
        assert f"{tmp_path / 'keys.json'}: " in result.stderr
        assert reason in result.stderr
        assert "hint: " in result.stderr

    @pytest.mark.parametrize(
        "saved",
        [
            public_keys().encode("utf-16"),
            public_keys().encode("utf-8-sig"),
            json.dumps(json.loads(public_keys())["PublicKeyList"]).encode(),
        ],
        ids=["Windows PowerShell", "byte order mark", "--query PublicKeyList"],
    )
    def test_may_be_saved_in_other_ways(self, tmp_path: Path, saved: bytes) -> None:
        write_plain(small_trail().objects, tmp_path / "copy")
        (tmp_path / "keys.json").write_bytes(saved)
        found = verify_sources((str(tmp_path / "copy"),), Scope(), str(tmp_path / "keys.json"))
        assert spans(found) == [("04 09:01", "04 11:01")]

    def test_that_are_not_rsa_keys_verify_nothing(self, tmp_path: Path) -> None:
        write_plain(small_trail().objects, tmp_path / "copy")
        text = json.loads(public_keys())
        text["PublicKeyList"][0]["Value"] = "AAAA"
        (tmp_path / "keys.json").write_text(json.dumps(text))
        found = verify_sources((str(tmp_path / "copy"),), Scope(), str(tmp_path / "keys.json"))
        assert found.proven == ()


class TestChecksums:
    @pytest.mark.parametrize(
        "line",
        ["0" * 64 + "  ../outside", "0" * 64 + "  /etc/passwd", "0" * 64 + " *a", "x", "", "\x1b[2J"],
    )
    def test_a_malformed_line_is_reported(self, tmp_path: Path, line: str) -> None:
        write_copy(small_trail().objects, tmp_path)
        with (tmp_path / "SHA256SUMS").open("a") as file:
            file.write(line + "\n")
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert [fault.reason for fault in found.faults] == [
            "line 11 is not a checksum of a file below its directory"
        ]

    def test_an_added_file_is_reported(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        (tmp_path / "evil.json").write_bytes(b"{}")
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert invalid(found) == {("checksum", "evil.json")}

    def test_an_unreadable_checksum_file_is_skipped_and_everything_else_is_verified(
        self, run: Run, tmp_path: Path
    ) -> None:
        """/proc/self/mem starts with bytes that even root cannot read."""
        write_copy(small_trail().objects, tmp_path)
        (tmp_path / "SHA256SUMS").unlink()
        (tmp_path / "SHA256SUMS").symlink_to("/proc/self/mem")
        result = run("verify", tmp_path)
        assert result.exit_code == 3
        reason = "these checksums cannot be read: Input/output error"
        assert result.stderr == f"skipped: {tmp_path}/SHA256SUMS: {reason}\n"
        assert "3/3 log files valid" in result.stdout

    def test_a_directory_that_cannot_be_read_accuses_nobody(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its files are not missing: it is not known whether they are there."""
        trail = small_trail()
        write_copy(trail.objects, tmp_path)
        unread = (tmp_path / BUCKET / trail.logs[0]).parent
        listed = os.listdir

        def refuse(path: str) -> list[str]:
            if Path(path) == unread:
                raise PermissionError(EACCES, "Permission denied", path)
            return listed(path)

        monkeypatch.setattr("os.listdir", refuse)
        (tmp_path / "SHA256SUMS").unlink()
        result = run("verify", tmp_path)
        assert result.exit_code == 3
        assert "0/3 log files valid, 3 not proven" in result.stdout
        assert f"skipped: {unread}: cannot be read: Permission denied\n" in result.stderr
        assert f"{trail.logs[0]}: not found; it may be in {unread}, which cannot be read\n" in result.stderr

    def test_metadata_that_cannot_be_read_accuse_nobody(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trail = small_trail()
        write_copy(trail.objects, tmp_path)

        def refuse(path: str) -> None:
            raise PermissionError(EACCES, "Permission denied", path)

        monkeypatch.setattr("cnitrail.sources.trail_reader.directory.read_sidecar", refuse)
        result = run("verify", tmp_path)
        assert result.exit_code == 3
        reason = "the S3 metadata stored beside it cannot be read: Permission denied"
        assert f"skipped: {tmp_path}/{BUCKET}/{trail.digests[0]}: {reason}\n" in result.stderr

    def test_a_fifo_is_never_waited_for(self, run: Run, tmp_path: Path) -> None:
        """One in place of a listed log file, one of a digest, and one of a digest's metadata."""
        trail = small_trail()
        write_copy(trail.objects, tmp_path)
        for path in (trail.logs[0], trail.digests[0], f"{trail.digests[1]}.s3.json"):
            (tmp_path / BUCKET / path).unlink()
            os.mkfifo(tmp_path / BUCKET / path)
        result = run("verify", tmp_path)
        assert result.exit_code == 1
        assert "the S3 metadata stored beside it cannot be read: not a regular file" in result.stdout
        assert "skipped: " in result.stderr

    def test_every_removed_or_swapped_file_is_detected(self, tmp_path: Path) -> None:
        trail = small_trail()
        write_copy(trail.objects, tmp_path)
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        for path in files:
            path.rename(tmp_path.parent / "away")
            assert is_detected(tmp_path)
            (tmp_path.parent / "away").rename(path)
        for one, other in random.Random(1).sample(list(itertools.combinations(files, 2)), 20):
            left, right = one.read_bytes(), other.read_bytes()
            one.write_bytes(right)
            other.write_bytes(left)
            assert is_detected(tmp_path)
            one.write_bytes(left)
            other.write_bytes(right)
        assert not is_detected(tmp_path)


class TestCommand:
    def test_needs_a_source_with_digests(self, run: Run, tmp_path: Path) -> None:
        assert run("verify").exit_code == 2
        for source in ("-", "lookup:", "athena://a.b"):
            result = run("verify", source)
            assert result.exit_code == 1
            assert "no digests: they are stored beside the log files" in result.stderr
        assert run("verify", tmp_path / "nowhere").exit_code == 1
        assert run("verify", tmp_path).exit_code == 4

    def test_accepts_times_with_an_offset(self, run: Run, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        result = run("verify", tmp_path, "--since", "2025-03-04T12:30+01:00", "-o", "json")
        answer = json.loads(result.stdout)
        assert answer["query"]["since"] == "2025-03-04T11:30:00Z"
        assert [interval["start"] for interval in answer["proven"]] == ["2025-03-04T11:01:31Z"]

    def test_filters_accounts_and_regions(self, run: Run, tmp_path: Path) -> None:
        write_plain(small_trail().objects | small_trail(region="us-east-1").objects, tmp_path / "copy")
        (tmp_path / "keys.json").write_text(public_keys())
        keys = ("--public-keys", tmp_path / "keys.json")
        result = run("verify", tmp_path / "copy", "--region", "us-east-1", *keys, "-o", "json")
        assert {interval["region"] for interval in json.loads(result.stdout)["proven"]} == {"us-east-1"}
        assert run("verify", tmp_path / "copy", "--account", "222222222222", *keys).exit_code == 4


class TestOutput:
    """What is printed for an intact copy and for one that was tampered with."""

    @pytest.mark.parametrize(("output", "suffix"), [("table", "txt"), ("json", "json")])
    def test_of_an_intact_copy_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None], output: str, suffix: str
    ) -> None:
        result = run("verify", "ironman-signed", "-o", output)
        assert (result.exit_code, result.stderr) == (0, "")
        golden(f"ironman-signed/verify.{suffix}", result.stdout)

    @pytest.mark.parametrize(("output", "suffix"), [("table", "txt"), ("json", "json"), ("jsonl", "jsonl")])
    def test_of_a_copy_that_was_tampered_with_reads_as_reviewed(
        self, run: Run, golden: Callable[[str, str], None], output: str, suffix: str
    ) -> None:
        result = run("verify", "ironman-tampered", "-o", output)
        assert (result.exit_code, result.stderr) == (1, "")
        golden(f"ironman-tampered/verify.{suffix}", result.stdout)

    def test_as_json_lines_has_only_faults(self, run: Run) -> None:
        assert run("verify", "ironman-signed", "-o", "jsonl").stdout == ""
