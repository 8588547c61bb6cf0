"""Files that an eks-log-collector writes: those that name the node, and all others, which are no evidence.

log-collector-script/linux/eks-log-collector.sh and windows/eks-log-collector.ps1 of amazon-eks-ami; before
it, scripts/aws-cni-support.sh of amazon-vpc-cni-k8s. Bottlerocket's logdog collects no log of the VPC CNI. An
archive may be unpacked, and have any name.
"""

import re
from typing import Final

import msgspec

_NAMING: Final = (
    (
        "instanceId",
        re.compile(r"(?:^|/)system/instance-id\.txt(?:#\d+)?$"),
        re.compile(rb"\s*(i-[0-9a-f]{8,17})\s*"),
    ),
    (
        "region",
        re.compile(r"(?:^|/)system/region\.txt(?:#\d+)?$"),
        re.compile(rb"\s*([a-z]{2,4}(?:-[a-z]+)+-\d{1,2})\s*"),
    ),
)
"""For each fact about the node: the name of its file, and what is in it. If an archive has a name twice, the
second one ends in ``#2``."""

_ARCHIVE: Final = re.compile(
    r"(?:^|/)(?:eks_i-[0-9a-f]{8,17}_\d{4}-?\d\d-?\d\d[^/]*/|bottlerocket-logs(?:\.tar\.gz!|/))"
)
"""The names that the collectors give to their archives, which are also those of folders to unpack them to."""

_COLLECTED: Final = re.compile(
    r"(?:^|/)(?:"
    r"cni/(?:cni-configuration-variables-|[^/]+\.(?:conf|conflist)$)"
    r"|containerd/containerd[^/]*\.(?:txt|log)$"
    r"|docker/docker[^/]*\.(?:txt|log)$"
    r"|gpu/nvidia-bug-report[^/]*$"
    r"|ipamd/(?:eni-configs|pods|metrics|networkutils-env-settings|ipamd-env-settings|enis|ipam)\.json$"
    r"|ipamd/ipam(?:_introspection|_metrics)_ignore\.txt$"
    r"|kernel/(?:dmesg\.(?:boot|current|human\.current)|uname\.txt)$"
    r"|kubelet/(?:kubelet\.log|svc\.log|kubeconfig\.yaml|kubelet[^/]*\.txt|kubelet-config\.json|config\.json)"
    r"|modinfo/(?:lustre|ip_vs)$"
    r"|networking/(?:ip6?tables|ipvsadm|ipset|conntrack6?|ifconfig|ip6?r(?:ule|oute)|ping_|curl_api|resolv|ethtool"
    r"|ebpf-|configure-multicard)[^/]*$"
    r"|nodeadm/nodeadm-[^/]+\.log$"
    r"|sandbox-image/sandbox-image-log\.txt$"
    r"|storage/(?:mounts|inodes|lsblk|lvs|pvs|vgs|fstab|xfs|pod_local_storage)\.txt$"
    r"|sysctls/sysctl_all\.txt$"
    r"|system/(?:script-params|instance-id|region|availability-zone|pkglist|services|top|ps|ps-threads|netstat"
    r"|procstat|allprocstat|large_environments|cpu_throttling|io_throttling|last_reboot|selinux|network-policy"
    r"|systemd-analyze)\.(?:txt|svg)$"
    r"|aws-routed-eni/(?:(?:networkutils-env|ipamd-env|eni-configs|pod|metrics|kubelet|ifconfig|iprule|route|sysctls"
    r"|iptables(?:-save|-nat|-mangle)?)\.out|messages|cni/[^/]+)$"
    r"|var_log/(?:messages|syslog|cron|cloud-init[^/]*|user-data|kube-proxy)(?:\.log)?$"
    r"|var_log/(?:[\w-]+_)?(?:aws-node|coredns|kube-proxy|ebs-csi|efs-csi|fsx-|file-cache-csi|eks-pod-identity"
    r"|kube-multus|cni-metrics-helper)[^!]*$"
    r")"
)
"""Names of files of the collector, whatever its archive is called."""

_CNI_LOGS: Final = re.compile(r"(?:^|/)var_log/(?:aws-routed-eni/|[^!]*aws-node)[^!]*$")
_EVIDENCE: Final = re.compile(
    r'"(?:ENIs|ENIIPPools|auditID|podIPs?)"\s*:|"vpc-cni-ipam/|kube_pod_(?:info|ips)|vpc\.amazonaws\.com/pod-eni'
)
"""What evidence about pods has."""

_CNI_LINE: Final = re.compile(r'"caller":\s*"(?:ipamd|rpc|datastore|routed-eni-cni-plugin|aws-k8s-agent)/')


def node_fact_of(uri: str, head: bytes) -> bytes | None:
    """Return what a file of the collector says about its node, as JSON; None if it says nothing."""
    for key, name, content in _NAMING:
        found = content.fullmatch(head) if name.search(uri) else None
        if found is not None:
            return msgspec.json.encode({key: found[1].decode()})
    return None


def is_collected(uri: str, text: str, cloudtrail_key: re.Pattern[str]) -> bool:
    """Return whether a file is one that the collector wrote beside the evidence.

    In an archive with the collector's own name, that is any file that is not evidence; else the file must
    have a name that the collector gives, and nothing in it may look like CloudTrail's.
    """
    start = text.lstrip()
    if _CNI_LOGS.search(uri):
        is_own = "/aws-routed-eni/" in uri
        return not start or (not is_own and not _CNI_LINE.search(text))
    is_named = _ARCHIVE.search(uri) is not None
    if not is_named and not _COLLECTED.search(uri):
        return False
    is_json = start.startswith(("{", "["))
    if is_json and _EVIDENCE.search(text):
        return False
    return not ((is_json or not is_named) and cloudtrail_key.search(text))
