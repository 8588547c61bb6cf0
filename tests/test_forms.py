"""Every form in which people have CloudTrail records gives the answers of the trail's own files."""

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import write as fixtures
from accounts import added_up
from backports import zstd
from click.testing import CliRunner
from export_forms import (
    CONTROL_MESSAGE,
    LAKE_FORMS,
    PARTIAL_FORMS,
    RAW_FORMS,
    REBUILT_FORMS,
    REFUSED_FORMS,
    Write,
    compact,
    csv_text,
    own_rows,
    parquet,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from records import GOOD, Reading, scanned
from test_envelopes import wrapped as _wrapped

from cnitrail.cli import main
from cnitrail.decode import decode
from cnitrail.scan.envelopes import ENVELOPES, Content

Entry = dict[str, Any]


@cache
def story(name: str) -> tuple[Entry, ...]:
    """Return the records of a story."""
    return tuple(record for text in fixtures.files(name).values() for record in json.loads(text)["Records"])


def answer(source: Path, status: int = 0) -> Any:
    """Return the timeline of a source, after checking that its account adds up."""
    result = CliRunner().invoke(main, ["timeline", str(source), "-o", "json"], catch_exceptions=False)
    assert result.exit_code == status, result.stderr
    assert status or "skipped" not in result.stderr
    shown = json.loads(result.stdout)
    evidence = shown["evidence"]
    for one in evidence["sources"]:
        added_up(one)
        counted = sum(form["records"] for form in one["forms"])
        assert counted == one["records"] == sum(file["records"] for file in evidence["files"])
    return shown


def entries(source: Path, status: int = 0) -> list[Entry]:
    """Return the entries of a timeline, without where their records were."""
    shown = answer(source, status)["entries"]
    return [{key: value for key, value in entry.items() if key != "origins"} for entry in shown]


@cache
def of_the_trail(name: str) -> list[Entry]:
    """Return the entries of a story whose records are in one file of a trail."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "trail.json")
        path.write_text(compact({"Records": story(name)}))
        return entries(path)


def without(found: list[Entry], *paths: str) -> list[Entry]:
    """Return entries without some of their fields; a field of the actor has a dot before it."""
    fields = {path for path in paths if "." not in path}
    actors = {path.removeprefix("actor.") for path in paths} - fields
    return [
        {key: value for key, value in entry.items() if key not in fields}
        | {"actor": {key: value for key, value in entry["actor"].items() if key not in actors}}
        for entry in found
    ]


def events_of(reading: Reading) -> list[object]:
    """Return the facts in the records that were found; which others are found, depends on the libraries."""
    return [fact for record in reading.records if (fact := decode(record).fact) is not None]


_HAVE_RECORDS = (Content.RECORD, Content.MESSAGE)
FAST_LIBRARIES = ("multisearch.ahocorasick_rs", "multisearch.stringzilla", "containers.gzipped.deflate")
ALL_FORMS = RAW_FORMS | REBUILT_FORMS | LAKE_FORMS | PARTIAL_FORMS
stories = pytest.mark.parametrize("name", ["ironman", "two-vpcs"])


@stories
class TestForms:
    @pytest.mark.parametrize("write", RAW_FORMS.values(), ids=RAW_FORMS)
    def test_that_keep_records_whole_change_nothing(self, tmp_path: Path, name: str, write: Write) -> None:
        (tmp_path / "export").write_bytes(write(list(story(name))))
        assert entries(tmp_path / "export") == of_the_trail(name)

    @pytest.mark.parametrize("write", REBUILT_FORMS.values(), ids=REBUILT_FORMS)
    def test_that_put_records_together_again_change_only_the_basis_of_an_identity(
        self, tmp_path: Path, name: str, write: Write
    ) -> None:
        (tmp_path / "export").write_bytes(write(list(story(name))))
        found = entries(tmp_path / "export")
        for entry in found:
            entry["actor"]["basis"]["identity"] = None
        assert found == of_the_trail(name)

    @pytest.mark.parametrize("write", LAKE_FORMS.values(), ids=LAKE_FORMS)
    def test_whose_parameters_are_ambiguous_lose_only_what_was_requested(
        self, tmp_path: Path, name: str, write: Write
    ) -> None:
        (tmp_path / "export").write_bytes(write(list(story(name))))
        lost = ("actor.basis", "requested_addresses", "requested_kind")
        assert without(entries(tmp_path / "export", 3), *lost) == without(of_the_trail(name), *lost)
        for one in answer(tmp_path / "export", 3)["evidence"]["skipped"]:
            assert "requestParameters is damaged, or could be read in more than one way" in one["reason"]

    @pytest.mark.parametrize("write", PARTIAL_FORMS.values(), ids=PARTIAL_FORMS)
    def test_that_keep_less_of_the_caller_keep_the_calls(
        self, tmp_path: Path, name: str, write: Write
    ) -> None:
        (tmp_path / "export").write_bytes(write(list(story(name))))
        found, expected = entries(tmp_path / "export"), of_the_trail(name)
        lost = ("actor", "requested_addresses")
        assert [{key: one[key] for key in one.keys() - lost} for one in found] == [
            {key: one[key] for key in one.keys() - lost} for one in expected
        ]
        assert [one["actor"]["arn"] for one in found] == [one["actor"]["arn"] for one in expected]

    @pytest.mark.parametrize("write", ALL_FORMS.values(), ids=ALL_FORMS)
    def test_have_the_same_records_without_the_fast_libraries(
        self, name: str, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = write(list(story(name)))
        with_libraries = scanned(text)
        for library in (
            "multisearch.ahocorasick_rs",
            "multisearch.stringzilla",
            "containers.gzipped.deflate",
        ):
            monkeypatch.setattr(f"cnitrail.scan.{library}", None)
        without = scanned(text)
        assert events_of(without) == events_of(with_libraries) != []
        assert without.skipped == with_libraries.skipped
        assert (without.tally.records, without.tally.forms) == (
            with_libraries.tally.records,
            with_libraries.tally.forms,
        )


LINE_ENDS = ("\n", "\t", '"\n"', "'\n- ")


def forged(between: str) -> Entry:
    """Return a call whose caller wrote records wherever a text or an object can be chosen."""
    record = next(one for one in story("ironman") if one["eventName"] == "CreateNetworkInterface")
    planted = GOOD["DeleteNetworkInterface"] | {"eventID": "planted"}
    wrapped = [_wrapped(row.path, planted) for row in ENVELOPES if row.content in _HAVE_RECORDS]
    texts = [between.join(["", compact(one), compact([one]), compact({"a": one}), ""]) for one in wrapped]
    parameters = record["requestParameters"] | {
        "description": "".join(texts),
        "tagSet": {"items": [{"key": "Name", "value": text} for text in texts]},
        "planted": wrapped,
    }
    return record | {
        "requestParameters": parameters,
        "userAgent": f"x{between}{compact(planted)}{between}",
        "requestID": between + compact(planted),
        "additionalEventData": {"a": wrapped, "b": texts},
    }


class TestForgery:
    @pytest.mark.parametrize("between", LINE_ENDS)
    @pytest.mark.parametrize("write", ALL_FORMS.values(), ids=ALL_FORMS)
    def test_what_a_caller_wrote_is_never_a_record(self, write: Write, between: str) -> None:
        entry = forged(between)
        for records in ([entry], [entry, entry, entry]):
            reading = scanned(write(records))
            found = [json.loads(one.payload) for one in reading.records]
            assert {one.get("eventID") for one in found} <= {entry["eventID"], None}
            assert {one["eventName"] for one in found} <= {"CreateNetworkInterface"}
            assert reading.tally.records == len(records)
            assert write not in RAW_FORMS.values() or len(found) == len(records)


class TestRefusedForms:
    @pytest.mark.parametrize(("write", "reason"), REFUSED_FORMS.values(), ids=REFUSED_FORMS)
    def test_say_why(self, tmp_path: Path, write: Write, reason: str) -> None:
        (tmp_path / "export").write_bytes(write(list(story("ironman"))))
        shown = answer(tmp_path / "export", 3)
        assert shown["entries"] == []
        assert reason in shown["evidence"]["skipped"][0]["reason"]

    @pytest.mark.parametrize("write", [parquet, csv_text], ids=["Parquet", "CSV"])
    def test_a_call_is_no_success_because_its_error_was_not_selected(
        self, tmp_path: Path, write: Callable[[list[Entry]], bytes]
    ) -> None:
        """A row of JSON without an error has none; a table without its column shows nothing."""
        failed = next(record for record in story("ironman") if record.get("errorCode"))
        row = {key: value for key, value in failed.items() if not key.startswith("error")}
        (tmp_path / "export").write_bytes(write(own_rows([row])))
        shown = answer(tmp_path / "export", 3)
        assert shown["entries"] == []
        assert "so the call may have failed" in shown["evidence"]["skipped"][0]["reason"]


def zipped(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/part", text)
        archive.writestr("README.md", "# Logs of the incident\n")
    return file.getvalue()


def tarred(text: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        header = tarfile.TarInfo("logs/part")
        header.size = len(text)
        archive.addfile(header, io.BytesIO(text))
    return file.getvalue()


def in_utf16(text: bytes) -> bytes:
    """Text as PowerShell redirects it; anything else as it is."""
    try:
        return text.decode("utf-8-sig").replace("\n", "\r\n").encode("utf-16")
    except UnicodeDecodeError:
        return text


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "gzip twice": lambda text: gzip.compress(gzip.compress(text)),
    "gzip members": lambda text: gzip.compress(text[:500]) + gzip.compress(text[500:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "tar": tarred,
    "tar.gz in zip": lambda text: zipped(gzip.compress(tarred(text))),
    "UTF-16": in_utf16,
    "UTF-16, gzip": lambda text: gzip.compress(in_utf16(text)),
}


def scattered(folder: Path, records: list[Entry], forms: dict[str, Write], chance: Random) -> None:
    """Write records into folders: in pieces, each of them in a form and a container, some of them twice."""
    start = 0
    while start < len(records):
        end = start + chance.randrange(1, 40)
        for copy in range(chance.choice((1, 1, 2))):
            text = forms[chance.choice(list(forms))](records[start:end])
            path = folder / chance.choice(("", "a", "a/b")) / f"{start}-{copy}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTAINERS[chance.choice(list(CONTAINERS))](text))
        start = end


@stories
class TestAnyForm:
    @settings(max_examples=12)
    @given(seed=st.integers(0, 2**32))
    def test_shuffling_splitting_and_wrapping_change_nothing(self, name: str, seed: int) -> None:
        chance = Random(seed)
        records = chance.sample(story(name), len(story(name)))
        with TemporaryDirectory() as folder:
            scattered(Path(folder), records, RAW_FORMS, chance)
            assert entries(Path(folder)) == of_the_trail(name)

    @settings(max_examples=8)
    @given(seed=st.integers(0, 2**32))
    def test_other_copies_beside_the_raw_ones_change_nothing(self, name: str, seed: int) -> None:
        chance = Random(seed)
        records = chance.sample(story(name), len(story(name)))
        with TemporaryDirectory() as folder:
            scattered(Path(folder, "raw"), records, RAW_FORMS, chance)
            scattered(Path(folder, "others"), records, REBUILT_FORMS | PARTIAL_FORMS, chance)
            assert entries(Path(folder)) == of_the_trail(name)


BLANKS = b" " * (32 << 20)
BOMBS: dict[str, bytes] = {
    "gzip": gzip.compress(BLANKS),
    "gzip twice": gzip.compress(gzip.compress(BLANKS)),
    "bzip2": bz2.compress(BLANKS),
    "xz": lzma.compress(BLANKS),
    "zstd": zstd.compress(BLANKS),
    "zip": zipped(BLANKS),
    "zip of bzip2": zipped(bz2.compress(BLANKS)),
    "tar.gz": gzip.compress(tarred(BLANKS)),
    "tar of xz": tarred(lzma.compress(BLANKS)),
    "zip of zip": zipped(zipped(BLANKS)),
    "UTF-16, gzip": gzip.compress(b"\xff\xfe" + b" \0" * (16 << 20)),
    "log events after each other": gzip.compress(compact(CONTROL_MESSAGE).encode() * 20_000),
    "Lambda": json.dumps({"awslogs": {"data": b64encode(gzip.compress(BLANKS)).decode()}}).encode(),
}


class TestBombs:
    @pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
    def test_are_reported_in_each_container_and_everything_else_is_answered(
        self, tmp_path: Path, bomb: bytes
    ) -> None:
        (tmp_path / "trail.json").write_text(compact({"Records": story("ironman")}))
        (tmp_path / "bomb").write_bytes(bomb)
        tracemalloc.start()
        try:
            found = entries(tmp_path, 3)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == of_the_trail("ironman")
        assert peak < 100 << 20
        (reason,) = (one["reason"] for one in answer(tmp_path, 3)["evidence"]["skipped"])
        assert "bomb" in reason


LONG_FORMS = (
    "lines",
    "indented records after each other",
    "the same --output text",
    "lookup-events --output text",
    "logs tail",
    "Splunk CSV",
    "subscription",
)
"""Forms that may be repeated without limit."""


class TestSmallMemory:
    @pytest.mark.parametrize("form", LONG_FORMS)
    def test_is_enough_for_texts_of_any_length(self, form: str) -> None:
        """Python and its libraries need about half of the memory."""
        record = next(one for one in story("ironman") if one["eventName"] == "DescribeInstances")
        text = RAW_FORMS[form]([record] * 200)
        separator = b"\t" if form == "the same --output text" else b"\n"
        code = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (90 << 20,) * 2);"
            "from cnitrail.cli import main; main(prog_name='cnitrail')"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, "timeline", "-", "-o", "json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            repeats = (40 << 20) // len(text)
            for _ in range(repeats):
                process.stdin.write(text + separator)
            stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr[-500:]
        assert json.loads(stdout)["evidence"]["sources"][0]["records"] == 200 * repeats
