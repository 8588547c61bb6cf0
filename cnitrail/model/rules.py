"""What each rule of ``findings`` is called, how severe it can be, and what it may show of an attack.

The rules themselves are in ``cnitrail.answers.findings``; docs/findings.md has a section on each.
"""

from msgspec import Struct

from cnitrail.model.finding import Severity

_CLOUD_ACCOUNTS = "T1078.004"
_COMPUTE_INFRASTRUCTURE = "T1578"
_CLOUD_LOG = "T1685.002"


class RuleDescription(Struct, frozen=True, gc=False):
    """A rule: its title, its highest severity, its meaning in one sentence, and ATT&CK technique IDs."""

    title: str
    severity: Severity
    meaning: str
    techniques: tuple[str, ...] = ()


RULE_DESCRIPTIONS: dict[str, RuleDescription] = {
    "address-assigned-by-hand": RuleDescription(
        "An IP was assigned by hand to an ENI of a network plugin",
        Severity.HIGH,
        "The plugin may give the IP to a pod, although somebody else uses it.",
        (_COMPUTE_INFRASTRUCTURE,),
    ),
    "address-released-by-hand": RuleDescription(
        "An IP of a network plugin was released by hand",
        Severity.HIGH,
        "A pod that has the IP loses its network, and the IP can be assigned elsewhere at once.",
    ),
    "address-reassigned": RuleDescription(
        "An IP was reassigned from another ENI",
        Severity.CRITICAL,
        "EC2 moved the IP to another ENI without an event for the one that lost it.",
        (_COMPUTE_INFRASTRUCTURE,),
    ),
    "subnet-exhausted": RuleDescription(
        "A subnet has no free IPs",
        Severity.CRITICAL,
        "Nodes cannot get IPs for new pods, which stay in ContainerCreating.",
    ),
    "several-then-one": RuleDescription(
        "The VPC CNI asked for a batch of IPs, then for one",
        Severity.HIGH,
        "The VPC CNI asks for a single IP after a batch is refused, so the subnet has almost no free IPs.",
    ),
    "api-throttled": RuleDescription(
        "EC2 throttled API calls",
        Severity.HIGH,
        "All callers of an account and Region share EC2's request limits, so one can stop the others.",
    ),
    "address-churn": RuleDescription(
        "A node assigns and releases IPs all the time",
        Severity.MEDIUM,
        "The warm pool is too small for the pods that come and go, and uses up EC2's request limits.",
    ),
    "interface-never-attached": RuleDescription(
        "An ENI was created and never attached",
        Severity.MEDIUM,
        "The ENI holds IPs of its subnet that no pod can use.",
    ),
    "interface-never-deleted": RuleDescription(
        "An ENI was detached and never deleted",
        Severity.MEDIUM,
        "The ENI holds IPs of its subnet that no pod can use.",
    ),
    "interface-deleted-by-others": RuleDescription(
        "An ENI of the VPC CNI was deleted by another caller",
        Severity.LOW,
        "The node that the ENI was created for did not delete it, so another caller cleaned up.",
    ),
    "cni-eni-removed": RuleDescription(
        "An ENI of a network plugin was detached or deleted by a stranger",
        Severity.CRITICAL,
        "Pods with its IPs lose their network, or the node does not get the ENI that it waits for.",
    ),
    "attach-limit-loop": RuleDescription(
        "A node creates ENIs that it cannot attach",
        Severity.HIGH,
        "The instance has as many ENIs as its type allows, or the device index is taken.",
    ),
    "create-attach-delete-loop": RuleDescription(
        "ENIs are created, cannot be attached, and are deleted again",
        Severity.HIGH,
        "The node gets no more ENIs, and the calls use up EC2's request limits.",
    ),
    "address-limit-exceeded": RuleDescription(
        "More IPs were requested than the ENI can have",
        Severity.HIGH,
        "The ENI is full, or the caller has a wrong limit for the instance type.",
    ),
    "cni-call-denied": RuleDescription(
        "A policy refuses the calls of a network plugin",
        Severity.HIGH,
        "Pods get no IPs until the role may make the calls.",
    ),
    "irsa-sign-in-failing": RuleDescription(
        "A service account cannot get the credentials of its role",
        Severity.HIGH,
        "The trust policy of the role, the OIDC provider or the Pod Identity association is wrong.",
    ),
    "node-role-beside-irsa": RuleDescription(
        "The VPC CNI uses the node role although its cluster uses a pod role",
        Severity.HIGH,
        "The pod role of aws-node is missing or broken on the node, and the node role has permissions "
        "that every pod on the node can use.",
    ),
    "calls-keep-failing": RuleDescription(
        "Calls keep failing with the same error",
        Severity.HIGH,
        "A caller repeats a call that cannot succeed, so what it needs does not happen.",
    ),
    "never-seen-before": RuleDescription(
        "A caller, program or source address was never seen before",
        Severity.MEDIUM,
        "Credentials may be stolen, or a new tool or network has come into use.",
        (_CLOUD_ACCOUNTS,),
    ),
    "mixed-cni-versions": RuleDescription(
        "Nodes of one cluster run different versions of the VPC CNI",
        Severity.MEDIUM,
        "An upgrade of aws-node has not reached all nodes, so they manage their IPs differently.",
    ),
    "trail-stopped": RuleDescription(
        "A trail was stopped or deleted",
        Severity.HIGH,
        "The log files of the trail lack all calls from then on.",
        (_CLOUD_LOG,),
    ),
    "trail-narrowed": RuleDescription(
        "A trail no longer records all write calls of EC2",
        Severity.HIGH,
        "The log files of the trail lack calls from then on.",
        (_CLOUD_LOG,),
    ),
    "trail-bucket-changed": RuleDescription(
        "The bucket of a trail was changed",
        Severity.MEDIUM,
        "Log files may be lost, readable by others, or deleted early.",
        (_CLOUD_LOG,),
    ),
}
"""The rules by name, in the order in which they run."""
