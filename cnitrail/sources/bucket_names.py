"""What people write for ``s3://BUCKET/PREFIX``: ARNs, URLs of objects, the schemes of Hadoop."""

from __future__ import annotations

import os
import re
from typing import Final

from cnitrail.errors import UsageError

_BUCKET: Final = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
_PREFIX: Final = r"(?P<prefix>(?:/.*)?)"
_HOST: Final = r"s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.(?:com(?:\.cn)?|eu)"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.DOTALL)
    for form in (
        rf"(?i:s3[an]?):/{{0,2}}{_BUCKET}{_PREFIX}",
        rf"arn:aws[a-z-]*:s3:::{_BUCKET}{_PREFIX}",
        rf"https?://{_BUCKET}\.{_HOST}{_PREFIX}",
        rf"https?://{_HOST}/{_BUCKET}{_PREFIX}",
    )
)


def is_misnamed_bucket(uri: str) -> bool:
    """Return whether a source seems to be a bucket, and is not named as one."""
    return not uri.startswith("s3://") and _meant(uri) is not None and not os.path.lexists(uri)


def check_bucket_name(uri: str) -> None:
    """Refuse such a source. Raises ``UsageError``."""
    if is_misnamed_bucket(uri):
        raise misnamed_bucket(uri)


def misnamed_bucket(uri: str) -> UsageError:
    """Return the error for such a source, with the name that is meant."""
    return UsageError(f"{uri}: buckets are named s3://BUCKET/PREFIX", f"did you mean {_meant(uri)}?")


def _meant(uri: str) -> str | None:
    found = next((match for form in _FORMS if (match := form.fullmatch(uri))), None)
    return f"s3://{found['bucket']}{found['prefix']}" if found else None
