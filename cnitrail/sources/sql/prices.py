"""What queries and requests cost: the prices of most Regions, in US dollars."""

import math
from typing import Final

_USD_PER_TB: Final = 5.0
"""Athena, for each TB of stored (compressed) bytes that is scanned (https://aws.amazon.com/athena/pricing/)."""

_MB: Final = 10**6
_MIN_MB: Final = 10
"""Athena rounds the bytes of a query up to a MB, and bills 10 MB at least."""

_USD_PER_GET: Final = 0.4 / 10**6
"""S3 Standard, for each GET request (https://aws.amazon.com/s3/pricing/). Every file takes one or more."""


def scan_cost(scanned_bytes: int, *, is_reused: bool = False) -> float:
    """Return what Athena charges for a query by the bytes that it scans; nothing for a reused answer.

    A TB is taken as 10¹² bytes: AWS does not say which it means, and this gives the larger amount.
    """
    if is_reused:
        return 0.0
    return max(_MIN_MB, math.ceil(scanned_bytes / _MB)) * _MB / 10**12 * _USD_PER_TB


def request_cost(files: int) -> float:
    """Return what S3 charges for reading a number of files."""
    return files * _USD_PER_GET
