"""Texts without which a record of pod evidence is not relevant; audit events are chosen by fields.

They are apart from the readers, which are imported only if there is pod evidence.
"""

from typing import Final

BRANCH_ANNOTATION: Final = "vpc.amazonaws.com/pod-eni"
"""With this, the VPC resource controller gives a pod its branch ENI (amazon-vpc-resource-controller-k8s)."""

CNI_LOG: Final = (
    "ssign IP ",
    "'s ipAddr ",
    "duplicate pod assign for IP ",
    "AddNetwork for ",
    "DelNetwork for IP ",
    "AddNetworkRequest: ",
    "DelNetworkRequest: ",
    "Recovered ",
    "s IP/Prefix ",
    "'s IP ",
    "IPv6 Prefix ",
    "Found instance-id: ",
    "Starting L-IPAMD ",
    " entering cooldown period of ",
    "(was free for ",
    " released from cooldown after ",
    "Received CNI ",
    " network response ",
    "CNI del request with prevResult: ",
)
INTROSPECTION: Final = ('"ENIs"', '"ENIIPPools"')
CHECKPOINT: Final = ('"vpc-cni-ipam/',)
KUBERNETES: Final = ('"podIP', '"providerID"', BRANCH_ANNOTATION)
PROMETHEUS: Final = ("kube_pod_info", "kube_pod_ips", '"pod_ip"', '"ip_family"')

POD_MARKERS: Final = (*CNI_LOG, *INTROSPECTION, *CHECKPOINT, *KUBERNETES, *PROMETHEUS)
