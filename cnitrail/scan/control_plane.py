"""What the other components of an EKS control plane write to the log group of its audit events.

https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html
"""

import re
from typing import Final

STREAM: Final = (
    r"(?:kube-apiserver|authenticator|kube-controller-manager|kube-scheduler|cloud-controller-manager)"
    r"-[0-9a-f]{4,32}"
)
"""The name of a log stream, except those of audit events: ``kube-apiserver-audit-…``."""

LINE: Final = (
    r"(?:[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ |Trace\[\d+\]: "
    r'|time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]{0,10}" level=)'
)
"""What a line begins with: of klog (also a trace that goes on), and of the authenticator."""


def is_other_stream(name: str | None) -> bool:
    """Return whether a log stream is one of a control plane, but not of its audit events."""
    return name is not None and re.fullmatch(STREAM, name) is not None


def is_other_line(message: str) -> bool:
    """Return whether a log event is one of a control plane, but no audit event."""
    return not message.startswith("{") and re.match(LINE, message) is not None
