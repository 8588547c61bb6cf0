"""The names of log groups: ``logs:NAME`` and ``logs:ARN``."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from cnitrail.errors import UsageError

SCHEME: Final = "logs:"

_NAME = r"[\w./#-]{1,512}"
_GROUP: Final = re.compile(_NAME, re.ASCII)
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):logs:(?P<region>[a-z0-9-]+):(?P<account>\d{12})"
    rf":log-group:(?P<name>{_NAME})(?::\*)?",
    re.ASCII,
)
_AUDIT: Final = re.compile(r"/aws/eks/[^/]+/cluster")


class LogGroup(Struct, frozen=True):
    """A log group as the user named it; Region, account and ARN are None if only its name was given.

    The ARN is without the ``:*`` at its end, as ``logGroupIdentifier`` takes it.
    """

    name: str
    region: str | None = None
    account: str | None = None
    arn: str | None = None

    @property
    def is_of_cluster(self) -> bool:
        """Whether EKS writes the logs of a cluster's control plane to it."""
        return _AUDIT.fullmatch(self.name) is not None


def parse_log_group(uri: str) -> LogGroup:
    """Return the log group that a source names. Raises ``UsageError`` if it is no name of one."""
    text = uri.removeprefix(SCHEME)
    arn = _ARN.fullmatch(text)
    if arn is not None:
        return LogGroup(arn["name"], arn["region"], arn["account"], text.removesuffix(":*"))
    if text.startswith("//"):
        raise UsageError(f"{uri}: not the name of a log group", f"did you mean {SCHEME}/{text.lstrip('/')}?")
    if _GROUP.fullmatch(text) is None:
        raise UsageError(
            f"{uri}: not the name or ARN of a log group",
            f"for example {SCHEME}/aws/eks/CLUSTER/cluster; aws logs describe-log-groups lists the names",
        )
    return LogGroup(text)
