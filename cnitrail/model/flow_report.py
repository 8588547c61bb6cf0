"""What was read of flow logs."""

from collections.abc import Mapping

from msgspec import Struct


class FlowReport(Struct, frozen=True, gc=False, kw_only=True):
    """Counts of what was read from one source of flow logs, for which two sums hold.

    ``files_found`` = ``files`` + ``files_skipped`` + all ``other_files``. ``records`` = ``joined`` (written,
    with their ends) + ``no_data`` + ``skip_data`` (written as they are) + ``filtered`` + ``records_skipped``.
    """

    uri: str
    files_found: int = 0
    files: int = 0
    files_skipped: int = 0
    other_files: Mapping[str, int] = {}
    bytes: int = 0
    records: int = 0
    joined: int = 0
    no_data: int = 0
    skip_data: int = 0
    filtered: int = 0
    records_skipped: int = 0
