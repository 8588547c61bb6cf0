"""``verify``: whatever is done to a trail is told, and nothing sound is accused."""

import gzip
import hashlib
import itertools
import json
import os
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import category

import pytest
from conftest import Run
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
    """A file with the public keys of all but the stranger."""
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


def accused(found: Verification) -> set[tuple[str, str]]:
    """What is accused: the kind, and the last of the uri."""
    return {(fault.kind.value, last(fault.uri)) for fault in found.faults if is_accused(fault)}


def is_accused(fault: Fault) -> bool:
    return fault.charge is not Charge.UNPROVEN


def told(found: Verification) -> set[tuple[str, str]]:
    """What is told without being accused."""
    return {(fault.kind.value, last(fault.uri)) for fault in found.faults if not is_accused(fault)}


def last(key: str) -> str:
    return key.rpartition("/")[2]


def spans(found: Verification) -> list[tuple[str, str]]:
    """The spans that are proven, by the clock."""
    return [(f"{each.start:%d %H:%M}", f"{each.end:%d %H:%M}") for each in found.proven]


def by_trail(found: Verification) -> list[tuple[str, str, str]]:
    """The spans that are proven, each with the trail that proves it."""
    return [(each.chain.trail, *span) for each, span in zip(found.proven, spans(found), strict=True)]


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2025-03-04T{clock}+00:00")


class TestASoundTrail:
    """Nothing of it is accused."""

    def test_is_proven_from_its_first_hour_to_its_last(self, verify: Verify) -> None:
        found = verify(small_trail().objects)
        assert found.faults == ()
        audit = DigestChain("audit", "eu-west-1")
        assert found.proven == (Proven("111111111111", "eu-west-1", at("09:01:31"), at("12:01:31"), audit),)
        assert (found.digests, found.logs) == (Checked(valid=3), Checked(valid=3))

    def test_may_have_nothing_but_empty_hours(self, verify: Verify) -> None:
        trail = SignedTrail()
        for _ in range(3):
            trail.hour()
        found = verify(trail.objects)
        assert found.faults == ()
        assert spans(found) == [("04 09:01", "04 12:01")]

    def test_may_lie_in_an_organisations_folder_below_a_prefix(self, verify: Verify) -> None:
        assert verify(small_trail(top="team/AWSLogs/o-abcdefghij/").objects).faults == ()

    def test_may_have_log_files_that_are_not_yet_listed(self, verify: Verify) -> None:
        trail = small_trail()
        young = trail.log(records("D"), trail.now + timedelta(minutes=20))
        found = verify(trail.objects)
        assert accused(found) == set()
        assert told(found) == {("not-yet-listed", last(young))}
        assert spans(found) == [("04 09:01", "04 12:01")]

    def test_may_have_been_switched_off_for_a_while(self, verify: Verify) -> None:
        trail = small_trail()
        trail.quiet(timedelta(hours=5))
        loose = trail.log(records("D"), trail.now - timedelta(hours=2))
        trail.hour(records("E"))
        found = verify(trail.objects)
        assert accused(found) == set()
        assert told(found) == {("gap", last(trail.digests[-1])), ("undigested", last(loose))}
        assert spans(found) == [("04 09:01", "04 12:01"), ("04 17:01", "04 18:01")]

    def test_may_have_begun_after_its_first_log_files(self, verify: Verify) -> None:
        trail = SignedTrail()
        old = trail.log(records("older"), START - HOUR)
        trail.hour(records("A"))
        found = verify(trail.objects)
        assert accused(found) == set()
        assert told(found) == {("undigested", last(old))}

    def test_may_list_log_files_late_in_a_backfill_digest(self, verify: Verify) -> None:
        trail = small_trail()
        trail.backfill(trail.digests[0], records("late"))
        found = verify(trail.objects)
        assert found.faults == ()
        assert found.backfill_digests == Checked(valid=1)
        assert found.logs == Checked(valid=4)

    def test_may_share_its_bucket_with_other_trails(self, verify: Verify) -> None:
        """Of the same account and Region, with other hours; of another Region; and one without digests."""
        first = small_trail()
        second = small_trail(trail="second", now=START + timedelta(minutes=17))
        elsewhere = small_trail(region="us-east-1")
        unsigned = small_trail(top="unsigned/AWSLogs/")
        logs = {key: unsigned.objects[key] for key in unsigned.logs}
        found = verify(first.objects | second.objects | elsewhere.objects | logs)
        assert accused(found) == set()
        assert told(found) == {("undigested", last(unsigned.logs[0]))}
        assert [
            (each.region, *clocks) for each, clocks in zip(found.proven, by_trail(found), strict=True)
        ] == [
            ("eu-west-1", "audit", "04 09:01", "04 12:01"),
            ("eu-west-1", "second", "04 09:18", "04 12:18"),
            ("us-east-1", "audit", "04 09:01", "04 12:01"),
        ]

    @pytest.mark.parametrize("clock", ["10:01:31", "10:20:00", "11:01:32"])
    def test_may_be_looked_at_from_the_middle(self, verify: Verify, clock: str) -> None:
        trail = small_trail()
        gone = trail.digests[0]
        trail.objects.pop(gone)
        assert verify(trail.objects, Scope(since=at(clock))).faults == ()

    def test_may_be_looked_at_up_to_the_middle(self, verify: Verify) -> None:
        trail = small_trail()
        for _ in range(6):
            trail.hour(records("late"))
        trail.objects.pop(trail.digests[-1])
        found = verify(trail.objects, Scope(until=at("09:30"), delivery_lag=timedelta()))
        assert found.faults == ()
        assert found.digests == Checked(valid=1)

    def test_is_what_signatures_by_several_keys_prove(self, verify: Verify) -> None:
        trail = small_trail()
        trail.key = "short"
        trail.hour(records("D"))
        found = verify(trail.objects)
        assert found.faults == ()
        assert {key.fingerprint for key in found.keys} == {fingerprint("CloudTrail"), fingerprint("short")}


class TestACopy:
    """What holds for a bucket holds for a copy on this machine."""

    def test_by_sync_needs_nothing_else(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert found.faults == ()
        assert spans(found) == [("04 09:01", "04 12:01")]
        assert {key.origin for key in found.keys} == {str(tmp_path / "public-keys.json")}

    def test_without_metadata_proves_all_but_its_newest_hour(self, tmp_path: Path, keys: str) -> None:
        trail = small_trail()
        write_plain(trail.objects, tmp_path)
        found = verify_sources((str(tmp_path),), Scope(), keys)
        assert accused(found) == set()
        assert told(found) == {("unsigned", last(trail.digests[-1]))}
        assert spans(found) == [("04 09:01", "04 11:01")]
        assert (found.digests, found.logs) == (Checked(valid=2, unproven=1), Checked(valid=2, unproven=1))

    def test_may_have_folders_of_any_kind(self, tmp_path: Path, keys: str) -> None:
        for number, (key, stored) in enumerate(sorted(small_trail().objects.items())):
            folder = tmp_path / f"case {number % 2}" / "CloudTrail"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / last(key)).write_bytes(stored.body)
        assert accused(verify_sources((str(tmp_path),), Scope(), keys)) == set()

    def test_may_be_unzipped(self, tmp_path: Path, keys: str) -> None:
        for key, stored in small_trail().objects.items():
            (tmp_path / last(key).removesuffix(".gz")).write_bytes(gzip.decompress(stored.body))
        found = verify_sources((str(tmp_path),), Scope(), keys)
        assert accused(found) == set()
        assert found.logs == Checked(valid=2, unproven=1)

    def test_may_lie_there_twice(self, tmp_path: Path, keys: str) -> None:
        for folder in ("one", "two"):
            write_plain(small_trail().objects, tmp_path / folder)
        assert accused(verify_sources((str(tmp_path),), Scope(), keys)) == set()

    def test_may_be_named_twice(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        found = verify_sources((str(tmp_path), str(tmp_path)), Scope(), None)
        assert found.faults == ()
        assert found.digests == Checked(valid=3)


def short_trail() -> SignedTrail:
    """Two hours with a log file each, signed with a short key: every bit of them is changed."""
    trail = SignedTrail(key="short")
    trail.hour(records("A"))
    trail.hour(records("B"))
    return trail


SHORT = short_trail()
"""Never changed: what is done to it is done to a copy of its objects."""


def flipped(body: bytes, bit: int) -> bytes:
    return body[: bit // 8] + bytes([body[bit // 8] ^ 1 << bit % 8]) + body[bit // 8 + 1 :]


def text_of(body: bytes) -> bytes | None:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, ValueError, gzip.zlib.error):  # type: ignore[attr-defined]
        return None


class TestEveryBit:
    """Every single bit that is changed is told, and nothing else is accused for it."""

    @pytest.mark.parametrize("key", sorted(SHORT.objects), ids=last)
    def test_of_an_object_in_the_bucket(self, verify: Verify, key: str) -> None:
        stored = SHORT.objects[key]
        text = text_of(stored.body)
        missed = []
        for bit in range(len(stored.body) * 8):
            body = flipped(stored.body, bit)
            found = verify(SHORT.objects | {key: replace(stored, body=body)})
            names = {name for _, name in accused(found)}
            if names - {last(key)}:
                pytest.fail(f"bit {bit} accuses {names}")
            if not names and text_of(body) != text:
                missed.append(bit)
        assert missed == []

    def test_of_a_signature_in_s3s_metadata(self, verify: Verify) -> None:
        for key in SHORT.digests:
            stored = SHORT.objects[key]
            for name, value in stored.metadata.items():
                for bit in range(len(value) * 8):
                    changed = flipped(value.encode(), bit).decode("latin-1")
                    metadata = stored.metadata | {name: changed}
                    found = verify(SHORT.objects | {key: replace(stored, metadata=metadata)})
                    assert {name for _, name in accused(found)} == {last(key)}

    def test_of_a_copy(self, tmp_path: Path) -> None:
        """Of every file there, one bit of each of its bytes: even where it leaves the text as it is."""
        write_copy(SHORT.objects, tmp_path, keys=public_keys("short"))
        for path in sorted(each for each in tmp_path.rglob("*") if each.is_file()):
            body = path.read_bytes()
            for byte in range(len(body)):
                path.write_bytes(flipped(body, byte * 8 + byte % 8))
                assert is_told(tmp_path), f"byte {byte} of {path.name}"
            path.write_bytes(body)
        assert not is_told(tmp_path)

    def test_of_a_copy_without_its_checksums(self, tmp_path: Path) -> None:
        """A bit may go unseen only where the text stays the same."""
        write_copy(SHORT.objects, tmp_path, keys=public_keys("short"))
        (tmp_path / "SHA256SUMS").unlink()
        files = [each for each in tmp_path.rglob("*.json*") if each.name != "public-keys.json"]
        for path in sorted(files):
            body = path.read_bytes()
            text = text_of(body)
            for byte in range(len(body)):
                changed = flipped(body, byte * 8 + byte % 8)
                path.write_bytes(changed)
                is_same = text is not None and text_of(changed) == text
                assert is_told(tmp_path) or is_same, f"byte {byte} of {path.name}"
            path.write_bytes(body)

    def test_of_a_plain_copy(self, tmp_path: Path, keys: str) -> None:
        """Nothing but its newest digest may change unseen, as nothing signs that."""
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
                seen = {name for _, name in (told(found) if is_newest_log else accused(found))}
                assert last(key) in seen or text_of(changed) == text_of(body)
                assert {name for _, name in accused(found)} <= {last(key)}
            path.write_bytes(body)
        path = tmp_path / newest
        body = path.read_bytes()
        for bit in range(0, len(body) * 8, 5):
            path.write_bytes(flipped(body, bit))
            found = verify_sources((str(tmp_path),), Scope(), keys)
            assert {name for _, name in accused(found)} <= {last(newest)}


def is_told(copy: Path) -> bool:
    """Whether anything in a copy is accused, or its keys cannot be read."""
    try:
        return bool(accused(verify_sources((str(copy),), Scope(), None)))
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
    """Whatever is done to a file is told, and no other file is accused."""

    def test_that_is_removed(self, verify: Verify, trail: SignedTrail) -> None:
        newest = trail.digests[-1]
        backfill = next(key for key in trail.objects if "_backfill" in key)
        for key in trail.objects:
            found = verify({each: stored for each, stored in trail.objects.items() if each != key})
            kind = "missing-digest" if "Digest" in key else "missing-log"
            if key not in {newest, backfill}:
                assert accused(found) == {(kind, last(key))}

    def test_that_is_removed_at_the_end_of_a_chain_ends_what_is_proven(
        self, verify: Verify, trail: SignedTrail
    ) -> None:
        """No digest names the newest one. Its log files remain, and what is proven ends earlier."""
        trail.objects.pop(trail.digests[-1])
        found = verify(trail.objects)
        assert told(found) == {("not-yet-listed", last(trail.logs[-2]))}
        assert spans(found) == [("04 09:01", "04 13:01")]

    def test_that_is_a_backfill_digest_and_removed_leaves_its_log_files_unlisted(
        self, verify: Verify, trail: SignedTrail
    ) -> None:
        trail.objects.pop(next(key for key in trail.objects if "_backfill" in key))
        assert accused(verify(trail.objects)) == {("unlisted", last(trail.logs[-1]))}

    def test_that_is_gone_with_all_later_digests_is_missed_for_the_log_files_that_come_after(
        self, verify: Verify
    ) -> None:
        trail = small_trail()
        for _ in range(6):
            trail.hour(records("A"))
        for key in trail.digests[2:]:
            trail.objects.pop(key)
        found = verify(trail.objects)
        late = next(key for key in trail.logs[2:] if key > trail.logs[2] and "T1431" in key)
        assert accused(found) == {("digests-end", last(late))}
        assert spans(found) == [("04 09:01", "04 11:01")]

    def test_that_is_renamed(self, verify: Verify, trail: SignedTrail) -> None:
        for key in trail.objects:
            for new in (
                key.replace("Z_", "Z_x") if key in trail.logs else key.replace("31Z", "32Z"),
                key.replace("AWSLogs/", "old/AWSLogs/"),
            ):
                objects = {new if each == key else each: stored for each, stored in trail.objects.items()}
                names = {name for _, name in accused(verify(objects))}
                assert names
                assert names <= {last(key), last(new)}

    def test_that_takes_the_place_of_another_one(self, verify: Verify, trail: SignedTrail) -> None:
        """Two by two. Of a log file nothing is known where its own digest is the other one."""
        for one, other in itertools.combinations(trail.objects, 2):
            left, right = trail.objects[one], trail.objects[other]
            swapped = trail.objects | {one: right, other: left}
            names = {name for _, name in accused(verify(swapped))}
            unknown = {last(log) for key in (one, other) for log in listed_by(trail, key)}
            assert names <= {last(one), last(other)}
            assert names >= {last(one), last(other)} - unknown
            assert names

    def test_that_is_cut_short_or_longer(self, verify: Verify, trail: SignedTrail) -> None:
        for key, stored in trail.objects.items():
            cut = [stored.body[:-size] for size in range(1, 12)] + [b""]
            longer = [stored.body + more for more in (b"\0", b"x", b"\n", zipped(b""), stored.body)]
            for body in cut + longer:
                found = verify(trail.objects | {key: replace(stored, body=body)})
                assert {name for _, name in accused(found)} == {last(key)}

    @given(data=st.data())
    def test_and_any_two(self, verify: Verify, data: st.DataObject) -> None:
        """A fault in one file hides no other: each of two is told, though not always accused."""
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
        assert {name for _, name in accused(found)} <= changed
        assert proven_by(found) <= sound_hours(trail, changed)


def listed_by(trail: SignedTrail, key: str) -> list[str]:
    """The log files that an object lists: none where it is no digest."""
    return [log["s3Object"] for log in trail.fields(key).get("logFiles", ())]


def proven_by(found: Verification) -> set[datetime]:
    """The hours that are proven, by their starts."""
    hours = (
        each.start + HOUR * number
        for each in found.proven
        for number in range(int((each.end - each.start) / HOUR))
    )
    return set(hours)


def sound_hours(trail: SignedTrail, changed: Iterable[str]) -> set[datetime]:
    """The hours of a trail in which nothing was changed."""
    hours = set()
    for key in trail.digests:
        fields = trail.fields(key)
        names = {last(key), *(last(log["s3Object"]) for log in fields["logFiles"])}
        if not names & set(changed):
            hours.add(datetime.fromisoformat(fields["digestStartTime"]))
    return hours


def rewritten(trail: SignedTrail, key: str, text: bytes, signer: str = "CloudTrail") -> Objects:
    """The trail with another text of a digest, signed anew, so that nothing but the text can be wrong."""
    fields = trail.fields(key)
    metadata = {"signature": sign(fields, text, signer), "signature-algorithm": "SHA256withRSA"}
    return trail.objects | {key: Stored(zipped(text), metadata)}


class TestWhatADigestSays:
    """A digest is read strictly, whoever signed it; what cannot be read is told, never guessed."""

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda text: b"[" * 100_000, "its JSON is broken (nested too deeply)"),
            (lambda text: text.replace(b"A", b"\\ud800"), "its JSON is broken ('utf-8' codec can't encode"),
            (lambda text: b"[]", "it is no digest (Expected `object`, got `array`)"),
            (lambda text: b"", "its JSON is broken (Expecting value"),
            (lambda text: text[:-1] + b',"x":NaN}', "its JSON is broken (NaN is no number)"),
            (lambda text: text[:-1] + b',"x":' + b"9" * 5000 + b"}", "its JSON is broken (Exceeds the limit"),
            (lambda text: b"\xff" + text, "its JSON is broken ('utf-8' codec can't decode"),
            (lambda text: text[:-1] + b',"digestS3Bucket":"audit-logs"}', "a key comes twice in its JSON"),
            (lambda text: text.replace(b'"logFiles"', b'"logfiles"'), "it is no digest (Object missing"),
            (lambda text: text.replace(b"SHA256withRSA", b"SHA1withRSA"), "it names other algorithms than"),
            (lambda text: text.replace(b"SHA-256", b"MD5"), "it names other algorithms than"),
            (lambda text: text.replace(b"T10:01:31Z", b"T10:01:31"), "is no time as CloudTrail writes it"),
            (lambda text: text.replace(b"2025-03-04T10", b"2025-03-04T12"), "its span ends before it begins"),
            (lambda text: text.replace(b"2025-03-04T10", b"0001-01-01T00"), "is no time as CloudTrail"),
            (lambda text: text.replace(b'"audit-logs","prev', b'null,"prev'), "names the digest before it"),
        ],
    )  # fmt: skip
    def test_must_be_plain(self, verify: Verify, change: Callable[[bytes], bytes], reason: str) -> None:
        trail = small_trail()
        key = trail.digests[1]
        text = change(gzip.decompress(trail.objects[key].body))
        found = verify(rewritten(trail, key, text))
        assert {name for _, name in accused(found)} == {last(key)}
        assert reason in found.faults[0].reason
        assert spans(found) == [("04 09:01", "04 10:01"), ("04 11:01", "04 12:01")]

    def test_may_not_be_longer_than_any_digest(self, verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.validation.hashing.LONGEST_DIGEST", 2_000_000)
        trail = small_trail()
        key = trail.digests[1]
        long = replace(trail.objects[key], body=zipped(random.Random(1).randbytes(3_000_000)))
        found = verify(trail.objects | {key: long})
        assert [fault.reason for fault in found.faults] == ["its text is longer than 2,000,000 bytes"]

    def test_is_no_bomb(self, verify: Verify) -> None:
        trail = small_trail()
        for key in (trail.digests[1], trail.logs[0]):
            bomb = replace(trail.objects[key], body=zipped(bytes(3_000_000)))
            found = verify(trail.objects | {key: bomb})
            assert [fault.reason for fault in found.faults if fault.uri.endswith(last(key))] == [
                "it is a gzip bomb: more than 200 times its stored size; if it is none, raise --max-ratio"
            ]

    def test_is_worth_nothing_if_a_stranger_signed_it(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.digests[1]
        text = gzip.decompress(trail.objects[key].body)
        found = verify(rewritten(trail, key, text.replace(b"null", b"0   ", 1), "stranger"))
        assert accused(found) == {("signature", last(key))}

    def test_is_worth_nothing_with_a_key_that_nobody_knows(self, verify: Verify) -> None:
        found = verify(small_trail(key="stranger").objects)
        assert {fault.kind for fault in found.faults} == {FaultKind.UNKNOWN_KEY}
        assert found.faults[0].reason == (
            f"eu-west-1 has no public key of the fingerprint {fingerprint('stranger')!r} that it names"
        )
        assert found.proven == ()

    def test_proves_nothing_elsewhere(self, verify: Verify) -> None:
        found = verify(small_trail().objects, bucket="other-bucket")
        assert {fault.kind for fault in found.faults if is_accused(fault)} == {FaultKind.MOVED}
        assert found.proven == ()

    def test_is_not_what_the_next_one_names_even_if_it_is_signed(self, verify: Verify) -> None:
        """As if CloudTrail had signed two texts of one hour."""
        trail = small_trail()
        key = trail.digests[1]
        text = gzip.decompress(trail.objects[key].body)
        found = verify(rewritten(trail, key, text.replace(b"null", b"0   ", 1)))
        assert accused(found) == {("not-as-recorded", last(key))}
        assert [fault.reason for fault in found.faults] == [
            "the digest after it names another hash of it",
            "the digest after it names another signature of it",
        ]
        assert {fault.digest for fault in found.faults} == {f"s3://{BUCKET}/{trail.digests[2]}"}

    @pytest.mark.parametrize("year", ["0001", "9999"])
    def test_in_its_name_may_be_any_time(self, tmp_path: Path, keys: str, year: str) -> None:
        trail = small_trail()
        objects = {key.replace("_2025", f"_{year}"): each for key, each in trail.objects.items()}
        write_plain(objects, tmp_path)
        scope = Scope(since=datetime.min.replace(tzinfo=UTC), until=datetime.max.replace(tzinfo=UTC))
        assert verify_sources((str(tmp_path),), scope, keys).proven == ()
        trail.objects[trail.digests[0]].metadata["backfill-generation-timestamp"] = f"{year}-01-01T00:00:00Z"
        write_copy(trail.objects, tmp_path / "copy")
        assert verify_sources((str(tmp_path / "copy"),), scope, None).faults == ()

    @pytest.mark.parametrize("output", ["table", "json", "jsonl"])
    def test_names_are_harmless_when_they_are_shown(self, tmp_path: Path, run: Run, output: str) -> None:
        trail = SignedTrail()
        trail.hour(records("A"))
        fields = trail.fields(trail.digests[0])
        fields["logFiles"][0] |= {"s3Bucket": "\x1b[2J[bold]", "s3Object": "\u202e=cmd()\n../../etc"}
        write_copy(rewritten(trail, trail.digests[0], json.dumps(fields).encode()), tmp_path)
        for more in ({}, {"FORCE_COLOR": "1", "COLUMNS": "40"}):
            result = run("verify", tmp_path, "-o", output, env=more)
            assert result.exit_code == 1
            shown = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).replace("\n", "")
            assert [each for each in shown if category(each) in ACTS_OR_HIDES] == []
            assert "2J[bold]" in shown


class TestAccount:
    """What is not known is not said."""

    def test_a_log_file_that_changes_an_hour_keeps_the_others(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.logs[0]
        found = verify(trail.objects | {key: Stored(zipped(b"{}"))})
        assert [fault.reason for fault in found.faults] == [
            "its SHA-256 is not the one that the digest lists: it was changed"
        ]
        assert found.faults[0].digest == f"s3://{BUCKET}/{trail.digests[0]}"
        assert found.logs == Checked(valid=2, invalid=1)
        assert spans(found) == [("04 10:01", "04 12:01")]

    def test_log_files_of_a_digest_that_is_not_valid_are_not_proven(self, verify: Verify) -> None:
        trail = small_trail()
        key = trail.digests[0]
        broken = replace(trail.objects[key], metadata=trail.objects[trail.digests[1]].metadata)
        changed = {key: broken, trail.logs[0]: Stored(zipped(b"{}"))}
        found = verify(trail.objects | changed)
        assert accused(found) == {("signature", last(key))}
        assert told(found) == {("hash", last(trail.logs[0]))}
        assert found.logs == Checked(valid=1, unproven=2)

    def test_a_planted_log_file_takes_nothing_from_what_digests_list(self, verify: Verify) -> None:
        trail = small_trail()
        planted = trail.log(records("planted"), at("10:31:00"))
        found = verify(trail.objects)
        assert accused(found) == {("unlisted", last(planted))}
        assert spans(found) == [("04 09:01", "04 12:01")]
        assert found.altered == {f"s3://{BUCKET}/{planted}"}

    def test_files_that_are_not_as_listed_are_named(self, verify: Verify) -> None:
        trail = small_trail()
        changed, damaged, _ = trail.logs
        found = verify(trail.objects | {changed: Stored(zipped(b"{}")), damaged: Stored(zipped(b"{}")[:-4])})
        assert found.altered == {f"s3://{BUCKET}/{changed}", f"s3://{BUCKET}/{damaged}"}

    def test_a_trail_proves_nothing_of_the_time_in_which_another_one_has_a_gap(self, verify: Verify) -> None:
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

    def test_so_it_is_if_the_other_one_was_switched_off(self, verify: Verify) -> None:
        first, second = small_trail(), small_trail(trail="second")
        first.quiet(timedelta(hours=2))
        first.hour(records("D"))
        for _ in range(3):
            second.hour(records("read"))
        found = verify(first.objects | second.objects)
        assert told(found) == {("gap", last(first.digests[-1]))}
        assert by_trail(found) == [
            ("audit", "04 09:01", "04 12:01"),
            ("second", "04 09:01", "04 12:01"),
            ("audit", "04 14:01", "04 15:01"),
            ("second", "04 14:01", "04 15:01"),
        ]

    def test_what_vouches_for_a_file_is_said_with_the_hash_of_its_stored_bytes(self, verify: Verify) -> None:
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
            ("", "there are no public keys in it"),
            ("{}", "it is not what aws cloudtrail list-public-keys prints"),
            ('{"PublicKeyList": []}', "there are no public keys in it"),
            ('{"PublicKeyList": [{"Fingerprint": 1, "Value": "x"}]}', "it is not what aws cloudtrail"),
            ('{"PublicKeyList": [{"Fingerprint": "a", "Value": "%"}]}', "the key 'a' is no base64"),
            ("[" * 100_000, "its JSON is nested too deeply"),
            ("not json", "Expecting value"),
        ],
    )
    def test_that_cannot_be_read_end_it_with_a_sentence(
        self, run: Run, tmp_path: Path, text: str, reason: str
    ) -> None:
        (tmp_path / "copy").mkdir()
        (tmp_path / "keys.json").write_text(text)
        result = run("verify", tmp_path / "copy", "--public-keys", tmp_path / "keys.json")
        assert result.exit_code == 1
        assert f"{tmp_path / 'keys.json'}: " in result.stderr
        assert reason in result.stderr
        assert "try: " in result.stderr

    def test_that_are_no_rsa_keys_verify_nothing(self, tmp_path: Path) -> None:
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
    def test_a_line_that_is_none_is_told(self, tmp_path: Path, line: str) -> None:
        write_copy(small_trail().objects, tmp_path)
        with (tmp_path / "SHA256SUMS").open("a") as file:
            file.write(line + "\n")
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert [fault.reason for fault in found.faults] == [
            "line 11 is no checksum of a file below its folder"
        ]

    def test_a_file_that_was_put_there_is_told(self, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        (tmp_path / "evil.json").write_bytes(b"{}")
        found = verify_sources((str(tmp_path),), Scope(), None)
        assert accused(found) == {("checksum", "evil.json")}

    def test_what_is_no_file_is_never_waited_for(self, run: Run, tmp_path: Path) -> None:
        """A FIFO that is listed, one beside a digest, and one that is named as a digest."""
        trail = small_trail()
        write_copy(trail.objects, tmp_path)
        for path in (trail.logs[0], trail.digests[0], f"{trail.digests[1]}.s3.json"):
            (tmp_path / BUCKET / path).unlink()
            os.mkfifo(tmp_path / BUCKET / path)
        result = run("verify", tmp_path)
        assert result.exit_code == 1
        assert "S3's metadata kept beside it cannot be read: not a regular file" in result.stdout
        assert "skipped: " in result.stderr

    def test_every_file_that_is_removed_or_swapped_is_told(self, tmp_path: Path) -> None:
        trail = small_trail()
        write_copy(trail.objects, tmp_path)
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        for path in files:
            path.rename(tmp_path.parent / "away")
            assert is_told(tmp_path)
            (tmp_path.parent / "away").rename(path)
        for one, other in random.Random(1).sample(list(itertools.combinations(files, 2)), 20):
            left, right = one.read_bytes(), other.read_bytes()
            one.write_bytes(right)
            other.write_bytes(left)
            assert is_told(tmp_path)
            one.write_bytes(left)
            other.write_bytes(right)
        assert not is_told(tmp_path)


class TestCommand:
    def test_needs_a_source_that_has_digests(self, run: Run, tmp_path: Path) -> None:
        assert run("verify").exit_code == 2
        for source in ("-", "lookup:", "athena://a.b"):
            result = run("verify", source)
            assert result.exit_code == 1
            assert "there are no digests" in result.stderr
        assert run("verify", tmp_path / "nowhere").exit_code == 1
        assert run("verify", tmp_path).exit_code == 4

    def test_reads_offsets_of_times(self, run: Run, tmp_path: Path) -> None:
        write_copy(small_trail().objects, tmp_path)
        result = run("verify", tmp_path, "--since", "2025-03-04T12:30+01:00", "-o", "json")
        answer = json.loads(result.stdout)
        assert answer["query"]["since"] == "2025-03-04T11:30:00Z"
        assert [each["start"] for each in answer["proven"]] == ["2025-03-04T11:01:31Z"]

    def test_filters_accounts_and_regions(self, run: Run, tmp_path: Path) -> None:
        write_plain(small_trail().objects | small_trail(region="us-east-1").objects, tmp_path / "copy")
        (tmp_path / "keys.json").write_text(public_keys())
        keys = ("--public-keys", tmp_path / "keys.json")
        result = run("verify", tmp_path / "copy", "--region", "us-east-1", *keys, "-o", "json")
        assert {each["region"] for each in json.loads(result.stdout)["proven"]} == {"us-east-1"}
        assert run("verify", tmp_path / "copy", "--account", "222222222222", *keys).exit_code == 4


class TestOutput:
    """What is printed of a sound copy, and of one that was tampered with."""

    @pytest.mark.parametrize(("output", "suffix"), [("table", "txt"), ("json", "json")])
    def test_of_a_sound_copy(
        self, run: Run, golden: Callable[[str, str], None], output: str, suffix: str
    ) -> None:
        result = run("verify", "ironman-signed", "-o", output)
        assert (result.exit_code, result.stderr) == (0, "")
        golden(f"ironman-signed/verify.{suffix}", result.stdout)

    @pytest.mark.parametrize(("output", "suffix"), [("table", "txt"), ("json", "json"), ("jsonl", "jsonl")])
    def test_of_a_copy_that_was_tampered_with(
        self, run: Run, golden: Callable[[str, str], None], output: str, suffix: str
    ) -> None:
        result = run("verify", "ironman-tampered", "-o", output)
        assert (result.exit_code, result.stderr) == (1, "")
        golden(f"ironman-tampered/verify.{suffix}", result.stdout)

    def test_of_the_lines_is_the_faults_alone(self, run: Run) -> None:
        assert run("verify", "ironman-signed", "-o", "jsonl").stdout == ""
