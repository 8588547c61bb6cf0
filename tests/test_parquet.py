"""Parquet files: read in a process of its own, whatever is in them."""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import export_forms as forms
import pytest
import records as r

from cnitrail.scan.parquet import parquet_rows
from cnitrail.scan.rows import Rebuilt, rebuild
from cnitrail.scan.split import UnreadableSpan

ASSIGNED = r.GOOD["AssignPrivateIpAddresses"]
STORY = [r.GOOD["RunInstances"], r.WEB_IDENTITY, ASSIGNED]


def rows_of(data: bytes) -> list[dict[str, Any] | UnreadableSpan]:
    return list(parquet_rows(io.BytesIO(data)))


def only_reason(data: bytes) -> str:
    (span,) = rows_of(data)
    assert isinstance(span, UnreadableSpan)
    return span.reason


class TestRows:
    @pytest.mark.parametrize("rows", [forms.own_rows, forms.security_lake_rows, forms.tailpipe_rows])
    @pytest.mark.parametrize("compression", ["zstd(3)", "snappy", "gzip(6)", "uncompressed"])
    def test_a_record_is_rebuilt(self, rows: Callable[[Any], list[Any]], compression: str) -> None:
        for row, record in zip(rows_of(forms.parquet(rows(STORY), compression)), STORY, strict=True):
            assert isinstance(row, dict)
            found = rebuild(row)
            assert isinstance(found, Rebuilt), found
            kept = ("eventName", "eventTime", "eventID", "awsRegion", "requestParameters", "responseElements")
            assert {name: found.record[name] for name in kept} == {name: record[name] for name in kept}
            assert forms.without_empty(found.record["userIdentity"]) == record["userIdentity"]

    def test_a_file_on_disk_is_read_as_one_in_memory(self, tmp_path: Path) -> None:
        data = forms.parquet(forms.own_rows(STORY))
        (tmp_path / "a.parquet").write_bytes(data)
        with (tmp_path / "a.parquet").open("rb") as file:
            file.read(4)
            assert list(parquet_rows(file)) == rows_of(data)

    @pytest.mark.parametrize("compression", ["zstd(3)", "uncompressed"])
    def test_a_file_may_come_through_a_pipe_or_in_an_archive(self, compression: str) -> None:
        story = [record | {"requestID": f"\x1e{number}"} for number, record in enumerate(STORY * 50)]
        data = forms.parquet(forms.own_rows(story), compression)
        for text in (data, r.zipped(data)):
            reading = r.scanned([text[:1000], text[1000:]])
            assert (len(reading.names), reading.skipped) == (150, [])

    def test_bytes_are_text(self) -> None:
        """Older writers of Parquet do not mark their texts."""
        from arro3.core import DataType, Field, Schema
        from arro3.io import read_json, write_parquet

        out = io.BytesIO()
        schema = Schema([Field("a", DataType.binary(), nullable=True)])
        write_parquet(read_json(b'{"a":"6869"}', schema), out)
        assert rows_of(out.getvalue()) == [{"a": "hi"}]

    def test_many_rows_keep_their_order(self) -> None:
        rows = [{"n": number, "text": "x" * 500} for number in range(5000)]
        assert rows_of(forms.parquet(rows)) == rows

    def test_reading_may_stop_early(self) -> None:
        rows = parquet_rows(
            io.BytesIO(forms.parquet([{"text": str(number) * 500} for number in range(9000)]))
        )
        assert next(rows) == {"text": "0" * 500}
        rows.close()  # type: ignore[attr-defined]

    def test_without_the_library_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "arro3", None)
        monkeypatch.setattr("cnitrail.scan.parquet.find_spec", lambda _: None)
        assert only_reason(b"PAR1") == "a Parquet file; install cnitrail[parquet] to read it"

    def test_a_file_that_cannot_be_read_is_an_error_of_the_file(self) -> None:
        class Broken(io.BytesIO):
            def read(self, _size: int | None = -1, /) -> bytes:
                raise OSError("disk")

        with pytest.raises(OSError, match="disk"):
            list(parquet_rows(Broken()))


class TestDamage:
    @pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 3, b"PAR1\xff\xff\xff\x7fPAR1"])
    def test_what_is_no_parquet_file_is_told(self, data: bytes) -> None:
        assert only_reason(data).startswith("damaged Parquet file: ")

    def test_a_file_cut_short_is_told(self) -> None:
        data = forms.parquet(forms.own_rows(STORY))
        assert only_reason(data[: len(data) // 2]).startswith("damaged Parquet file: ")

    def test_damage_anywhere_is_told_or_does_no_harm(self) -> None:
        random = Random(5)
        whole = forms.parquet(forms.security_lake_rows(STORY))
        for _ in range(30):
            data = bytearray(whole)
            for _ in range(random.choice((1, 3, 20))):
                data[random.randrange(len(data))] = random.randrange(256)
            found = rows_of(bytes(data))
            assert sum(isinstance(row, UnreadableSpan) for row in found) <= 1
            for row in found:
                if isinstance(row, dict):
                    rebuild(row)

    def test_a_crash_of_the_library_is_a_file_that_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "crash.py").write_text("import os\nos.abort()\n")
        monkeypatch.setattr("cnitrail.scan.parquet._READER", tmp_path / "crash.py")
        assert only_reason(b"PAR1") == (
            "a Parquet file that is damaged, or takes too much memory or time to read"
        )


class TestBombs:
    def test_a_text_in_many_rows_ends_the_reading(self) -> None:
        data = forms.repeated_in_parquet("z" * 1_000_000, 100, 12)
        started = time.monotonic()
        *rows, span = rows_of(data)
        assert isinstance(span, UnreadableSpan)
        assert span.reason.startswith("a Parquet file that expands more than 1,000 times")
        assert len(rows) < 1000
        assert time.monotonic() - started < 60
