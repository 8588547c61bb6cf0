"""Flow logs that are damaged, forged, or no flow logs: counted and shown, and everything else is read."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from flow_forms import DEFAULT, RECORDS, WITH_HEADER, WITHOUT_HEADER, s3_parquet

from cnitrail.answers.flows import FlowEnds
from cnitrail.answers.who import HolderIndex
from cnitrail.history import build
from cnitrail.model import Coverage, Scope
from cnitrail.model.flow_report import FlowReport
from cnitrail.render.flows.json_lines import JsonLines
from cnitrail.workflows.flows.format import formats_of
from cnitrail.workflows.flows.run import FlowRun

GOOD = WITH_HEADER["s3"](RECORDS)


def run(folder: Path, format_: str | None = None) -> tuple[FlowReport, list[str], str]:
    """Return the counts, why what was skipped was, and what was written."""
    history = build(())
    ends = FlowEnds(history, HolderIndex(history, Coverage(())))
    reading = FlowRun((str(folder),), Scope(), ends, JsonLines, formats=formats_of(format_))
    written = b"".join(reading.texts()).decode()
    (report,) = reading.reports
    assert report.files_found == report.files + report.files_skipped + sum(report.other_files.values())
    assert report.records == (
        report.joined + report.no_data + report.skip_data + report.filtered + report.records_skipped
    )
    return report, [skipped.reason for skipped in reading.skipped], written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good file, which sorts last."""
    (tmp_path / "z.log").write_bytes(GOOD)
    return tmp_path


def read_beside(
    folder: Path, name: str, data: bytes, format_: str | None = None
) -> tuple[FlowReport, list[str]]:
    """Return what is read of a file, with the good one beside it, which must be read."""
    (folder / name).write_bytes(data)
    report, skipped, written = run(folder, format_)
    assert '"srcaddr":"10.0.1.5","dstaddr":"10.0.2.9","srcport":41522,' in written
    assert report.joined >= 4
    return report, skipped


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("README.md", b"# Flow logs\nsee 10.0.0.1 and others\n", "text"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
        (
            "trail.json",
            b'{"Records":[{"eventVersion":"1.08","eventName":"RunInstances"}]}',
            "cloudtrail-logs",
        ),
        (
            "messages.json",
            json.dumps({"events": [{"message": '{"eventVersion":"1.08","eventName":"A"}'}]}).encode(),
            "cloudtrail-logs",
        ),
        ("_SUCCESS", b"", "empty-marker"),
        ("sums.txt", b"%b  a.log\n" % (b"0" * 64), "checksums"),
    ],
)
def test_a_file_of_another_kind_is_counted_and_no_error(
    folder: Path, name: str, data: bytes, kind: str
) -> None:
    for format_ in (None, "default"):
        report, skipped = read_beside(folder, name, data, format_)
        assert report.other_files == {kind: 1}
        assert (report.files, report.files_skipped, report.records) == (1, 0, 6)
        assert skipped == []


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", DEFAULT.encode() + b"\n", gzip.compress(b"", mtime=0), b" " * 200_000]
)
def test_an_empty_file_is_fine(folder: Path, data: bytes) -> None:
    report, skipped = read_beside(folder, "a.log", data)
    assert (report.files, report.files_skipped, report.records) == (2, 0, 6)
    assert skipped == []


def test_a_wrong_format_is_counted_and_named_with_both_counts(folder: Path) -> None:
    lines = WITHOUT_HEADER["lines"](RECORDS)
    report, skipped = read_beside(folder, "a.txt", lines, "srcaddr dstaddr start end")
    assert (report.records, report.records_skipped) == (12, 6)
    assert skipped[0] == (
        "the first record has 14 fields, and its format has 4 (srcaddr dstaddr start end): "
        "--format may be wrong"
    )


def test_several_formats_that_do_not_fit_are_listed(folder: Path, tmp_path: Path) -> None:
    described = tmp_path.parent / "described.json"
    described.write_text(
        json.dumps(
            {
                "FlowLogs": [
                    {"FlowLogId": "fl-0aaaaaaaaaaaaaaaa", "LogFormat": "${srcaddr} ${start} ${end}"},
                    {"FlowLogId": "fl-0bbbbbbbbbbbbbbbb", "LogFormat": "${start} ${end}"},
                ]
            }
        )
    )
    report, skipped = read_beside(folder, "a.txt", WITHOUT_HEADER["lines"](RECORDS), str(described))
    assert report.files_skipped == 1
    (reason,) = skipped
    assert reason == (
        "flow log records without a header line, and several formats, none of which fits by name: "
        "fl-0aaaaaaaaaaaaaaaa (3 fields), fl-0bbbbbbbbbbbbbbbb (2 fields); give its own LogFormat to --format"
    )


def test_an_address_at_the_end_of_a_file_without_a_line_end_is_not_trusted(folder: Path) -> None:
    data = b"start end log-status srcaddr dstaddr\n1664978403 1664978458 OK 10.0.0.1 10.0.0.12"
    report, skipped = read_beside(folder, "a.log", data)
    assert (report.records, report.records_skipped) == (7, 1)
    assert skipped == ["the last line has no line end, so its last field may be cut short"]
    report, skipped = read_beside(folder, "a.log", gzip.compress(data))
    assert (report.records, report.records_skipped, skipped) == (7, 0, [])


def test_a_torn_gzip_stream_gives_its_whole_lines(folder: Path) -> None:
    many = WITH_HEADER["s3"](RECORDS[:1] * 5_000)
    report, skipped = read_beside(folder, "a.log.gz", gzip.compress(many)[:-400])
    assert report.records_skipped == 0
    assert report.joined > 1000
    assert skipped == ["the gzip stream is cut short"]


def test_a_torn_last_line_is_not_another_record(folder: Path) -> None:
    for cut in range(2, len(RECORDS[3])):
        report, skipped = read_beside(folder, "a.log", GOOD[: -len(RECORDS[5]) - len(RECORDS[4]) - 2 - cut])
        assert report.joined <= 3 + 4
        assert report.records_skipped <= 1
        assert len(skipped) == report.records_skipped


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 50,
        bytes(range(256)) * 3,
        b"\xff\xfe\xfd",
        b"2 1 2 3",
        b"\r",
        b" ",
        b"-" * 500,
        b'"',
        b"\x1f" * 13,
    ],
)
def test_garbage_between_records_is_counted(folder: Path, garbage: bytes) -> None:
    lines = [DEFAULT, *RECORDS]
    data = b"\n".join(
        [*(line.encode() for line in lines[:3]), garbage, *(line.encode() for line in lines[3:]), b""]
    )
    report, _ = read_beside(folder, "a.log", data)
    assert report.joined == 8
    assert report.files_skipped == 0


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 5000, bytes(range(256)) * 99, b"\x80" * 70_000, b"hello\nworld\n"]
)
@pytest.mark.parametrize("name", ["a.log", "a.json", "a.parquet"])
def test_a_file_of_garbage_is_skipped(folder: Path, name: str, garbage: bytes) -> None:
    for format_ in (None, "default"):
        report, skipped = read_beside(folder, name, garbage, format_)
        assert report.files_skipped == 1
        assert skipped == ["not a flow log: no header line, and no records of a known form"]


def test_a_line_of_100_mb_is_one_record_that_cannot_be_read(folder: Path) -> None:
    long = b"2 " + b"x" * 100_000_000
    report, skipped = read_beside(folder, "a.log", GOOD + long + b"\n" + WITHOUT_HEADER["lines"](RECORDS))
    assert (report.records, report.records_skipped) == (19, 1)
    assert skipped == ["a line is longer than 1 MB"]


def test_a_bomb_is_stopped(folder: Path) -> None:
    report, skipped = read_beside(folder, "a.log.gz", gzip.compress(GOOD + b"\n" * 50_000_000))
    assert report.joined >= 4
    assert skipped
    assert "gzip bomb" in skipped[0]


def test_a_damaged_parquet_file_is_skipped(folder: Path) -> None:
    data = s3_parquet(RECORDS)
    report, skipped = read_beside(folder, "a.parquet", data[:300])
    assert report.files_skipped == 1
    assert "Parquet" in skipped[0]


def test_a_parquet_file_of_something_else_is_skipped(folder: Path) -> None:
    from flow_forms import parquet

    report, skipped = read_beside(folder, "a.parquet", parquet([{"name": "x", "n": 1}]))
    assert report.files_skipped == 1
    assert skipped == ["a Parquet file without the columns of a flow log: name, n"]


def test_the_members_of_an_archive_are_files_and_its_bytes_count_once(folder: Path) -> None:
    (folder / "z.log").unlink()
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.log", GOOD)
        archive.writestr("two.log.gz", gzip.compress(GOOD))
        archive.writestr("README.md", "# flow logs")
    report, skipped, _ = run(folder)
    assert (report.files_found, report.files, report.other_files) == (3, 2, {"text": 1})
    assert (report.records, report.bytes) == (12, path.stat().st_size)
    assert skipped == []


def test_a_message_with_line_breaks_is_not_several_records(folder: Path) -> None:
    forged = RECORDS[0].replace("ACCEPT", "ACCEPT OK\n" + RECORDS[1] + "\n")
    data = WITHOUT_HEADER["filter-log-events"]([RECORDS[0], forged])
    report, _ = read_beside(folder, "a.json", data, "default")
    assert (report.records, report.records_skipped) == (8, 1)


def test_a_value_with_the_separator_of_rows_moves_no_column(folder: Path) -> None:
    row = json.loads(WITH_HEADER["json-lines"](RECORDS[:1])) | {"region": "x\x1f10.9.9.9\ny", "note": "a\rb"}
    (folder / "a.json").write_text(json.dumps(row))
    report, skipped, written = run(folder)
    assert (report.records, report.joined, skipped) == (7, 5, [])
    assert r'"region":"x\\u001f10.9.9.9\\ny","note":"a\\rb"' in written


@pytest.mark.parametrize("form", [*WITH_HEADER, *WITHOUT_HEADER])
def test_every_form_cut_anywhere_keeps_the_sums(form: str, tmp_path: Path) -> None:
    data = (WITH_HEADER | WITHOUT_HEADER)[form](RECORDS)
    for end in range(0, len(data), max(1, len(data) // 25)):
        (tmp_path / "a").write_bytes(data[:end])
        run(tmp_path, "default")


@pytest.mark.parametrize("form", [*WITH_HEADER, *WITHOUT_HEADER])
def test_every_form_has_the_same_counts(form: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((WITH_HEADER | WITHOUT_HEADER)[form](RECORDS))
    report, skipped, _ = run(tmp_path, "default")
    assert (report.records, report.joined, report.no_data, report.skip_data) == (6, 4, 1, 1)
    assert skipped == []
