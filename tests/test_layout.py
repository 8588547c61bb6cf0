"""CloudTrail's names of files, in any folder."""

from datetime import UTC, datetime

import pytest

from cnitrail.sources.layout import DigestName, LogName, digest_name, log_name, top_of

LOG = "111111111111_CloudTrail_eu-west-1_20250304T1401Z_0123456789abcdef.json.gz"
DIGEST = "111111111111_CloudTrail-Digest_eu-west-1_audit_eu-west-1_20250304T140131Z.json.gz"
FOLDERS = ("", "/copy/", "./", "copy/x_y/", "C:\\copy\\", "\\\\server\\share\\", "C:\\copy/mixed\\", "C:")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_log_file_is_recognized_by_its_name_after_either_separator(folder: str) -> None:
    delivered = datetime(2025, 3, 4, 14, 1, tzinfo=UTC)
    assert log_name(folder + LOG) == LogName("111111111111", "eu-west-1", delivered)


@pytest.mark.parametrize("folder", FOLDERS[:-1])
def test_a_digest_is_recognized_by_its_name_after_either_separator(folder: str) -> None:
    ended = datetime(2025, 3, 4, 14, 1, 31, tzinfo=UTC)
    assert digest_name(folder + DIGEST) == DigestName(
        account="111111111111",
        region="eu-west-1",
        trail="audit",
        home_region="eu-west-1",
        ended=ended,
        backfill=False,
    )


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_a_file_in_a_folder_with_the_name_of_a_log_file_is_not_one(separator: str) -> None:
    assert log_name(f"{LOG}{separator}notes.txt") is None
    assert digest_name(f"{DIGEST}{separator}notes.json.gz") is None


@pytest.mark.parametrize(
    ("path", "top"),
    [
        ("copy/AWSLogs/111111111111/CloudTrail/eu-west-1/2025/", "copy/AWSLogs/"),
        ("copy/AWSLogs/o-abcdefghij/111111111111/CloudTrail-Digest/x", "copy/AWSLogs/o-abcdefghij/"),
        ("C:\\copy\\AWSLogs\\111111111111\\CloudTrail\\eu-west-1\\2025\\", "C:\\copy\\AWSLogs\\"),
        ("copy\\logs\\111111111111\\CloudTrail\\", ""),
    ],
)
def test_the_folder_of_a_trail_is_recognized_in_a_path(path: str, top: str) -> None:
    assert top_of(path) == top
