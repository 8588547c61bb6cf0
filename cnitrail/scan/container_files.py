"""The output of containers on a node: any pod can print lines that look like evidence about pods.

Only ipamd's own container counts. Kubernetes allows no underscore in a name, so no pod can forge the path of
its files. See pkg/kubelet/kuberuntime/helpers.go and legacy.go of Kubernetes.
"""

import re
from functools import cache
from typing import Final

_FILE: Final = (
    # /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log, and rotated ones
    r"(?:^|[/\\])(?P<namespace>[a-z0-9-]+)_[a-z0-9.-]+_[0-9a-f-]+[/\\](?P<container>[a-z0-9-]+)[/\\]"
    r"[0-9]+\.log[^/\\]*$"
    # /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
    r"|(?:^|[/\\])[a-z0-9.-]+_(?P<in_namespace>[a-z0-9-]+)_(?P<named>[a-z0-9-]+)-[0-9a-f]+\.log[^/\\]*$"
    # /var/log of a node as the eks-log-collector copies it: programs other than the CNI
    r"|(?:^|[/\\])var_log[/\\](?!.*(?:aws-routed-eni[/\\]|aws-node|[/\\](?:ipamd|plugin)[^/\\]*$))(?!(?:ipamd|plugin)[^/\\]*$)"
    # /var/lib/docker/containers/ID/ID-json.log, which names nothing
    r"|(?:^|[/\\])[0-9a-f]{64}-json\.log[^/\\]*$"
)
_GROUP: Final = re.compile(
    r"(?:\d{12}:)?(?:/aws/(?!eks/|containerinsights/[^/]+/(?:dataplane|host)\b)|/ecs/)"
)
"""Log groups with the output of programs by AWS's names, such as ``/aws/containerinsights/prod/application``,
not those of a control plane and of the parts of a node. Groups with other names may have copies of these."""

_PREFIX: Final = re.compile(rb"\s*\[pod/(?P<pod>[^/\]\s]+)/(?P<container>[^\]\s]+)\]")
"""What ``kubectl logs --prefix`` writes in front of a line."""


@cache
def _file() -> re.Pattern[str]:
    return re.compile(_FILE)


def is_of_other_container(uri: str) -> bool:
    """Return whether a file has the output of a container that is not known to be ipamd's."""
    if ".log" not in uri and "var_log" not in uri:
        return False
    found = _file().search(uri)
    if found is None:
        return False
    namespace, container = found["namespace"] or found["in_namespace"], found["container"] or found["named"]
    return (namespace, container) != ("kube-system", "aws-node")


def is_of_programs(log_group: str | None) -> bool:
    """Return whether a log group of CloudWatch Logs has the output of programs, by its name."""
    return log_group is not None and _GROUP.match(log_group) is not None


def is_line_of_other_container(line: bytes) -> bool:
    """Return whether ``kubectl logs`` names another container than ipamd's in front of a line."""
    found = _PREFIX.match(line)
    return found is not None and (
        found["container"] != b"aws-node" or not found["pod"].startswith(b"aws-node-")
    )
