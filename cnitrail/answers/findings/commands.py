"""Shell commands that follow up a finding; all of them only read.

People paste them, and whoever made a call may have chosen what its record says. So a command holds
an ID or a name from a record only if it is well-formed; otherwise there is no command.
"""

import re
from collections.abc import Iterable

from cnitrail.model import AccountRegion, Held, is_prefix, order_of

_MOST = 10
"""Maximum number of IDs in one command: enough to begin with, and the line stays readable."""

_PODS = 3
"""Maximum number of addresses whose pods are asked for: kubectl takes one in a command."""

_RESOURCE = re.compile(r"(?:eni|i|subnet)-[0-9a-f]{8,40}", re.ASCII)
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2}", re.ASCII)
_TRAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,127}", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f.:]+", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+=,.@_-]{0,63}", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)

AWS_NODE_PODS = "kubectl -n kube-system get pods -l k8s-app=aws-node -o wide"
AWS_NODE_ROLLOUT = "kubectl -n kube-system rollout status daemonset aws-node"
AWS_NODE_SERVICE_ACCOUNT = "kubectl -n kube-system get serviceaccount aws-node -o yaml"
AWS_NODE_SETTINGS = "kubectl -n kube-system get daemonset aws-node -o yaml"
CILIUM_NODES = "kubectl get ciliumnodes -o wide"
OIDC_PROVIDERS = "aws iam list-open-id-connect-providers"


def describe_enis(place: AccountRegion, enis: Iterable[str | None]) -> tuple[str, ...]:
    """Return the command that shows ENIs as they are now."""
    ids = _well_formed(enis, _RESOURCE)
    return _aws(place, "ec2 describe-network-interfaces", f"--network-interface-ids {' '.join(ids)}", ids)


def enis_of_instance(place: AccountRegion, instance: str | None) -> tuple[str, ...]:
    """Return the command that shows all ENIs attached to an instance."""
    ids = _well_formed([instance], _RESOURCE)
    filters = f"--filters Name=attachment.instance-id,Values={','.join(ids)}"
    return _aws(place, "ec2 describe-network-interfaces", filters, ids)


def leaked_enis_of_subnet(place: AccountRegion, subnet: str | None) -> tuple[str, ...]:
    """Return the commands that show the detached ENIs of a subnet, and its number of free IPs."""
    ids = _well_formed([subnet], _RESOURCE)
    filters = f"--filters Name=subnet-id,Values={','.join(ids)} Name=status,Values=available"
    return (
        *_aws(place, "ec2 describe-network-interfaces", filters, ids),
        *_aws(place, "ec2 describe-subnets", f"--subnet-ids {' '.join(ids)}", ids),
    )


def reservations_of_subnet(place: AccountRegion, subnet: str | None) -> tuple[str, ...]:
    """Return the commands that show the blocks reserved for prefixes in a subnet, and its free IPs."""
    ids = _well_formed([subnet], _RESOURCE)
    return (
        *_aws(place, "ec2 get-subnet-cidr-reservations", f"--subnet-id {' '.join(ids)}", ids),
        *_aws(place, "ec2 describe-subnets", f"--subnet-ids {' '.join(ids)}", ids),
    )


def pods_with(addresses: Iterable[Held]) -> tuple[str, ...]:
    """Return the commands that show which pod has each of a few addresses now; prefixes are left out."""
    single = sorted({address for address in addresses if not is_prefix(address)}, key=order_of)
    names = [str(address) for address in single if _ADDRESS.fullmatch(str(address))]
    return tuple(
        f"kubectl get pods -A -o wide --field-selector status.podIP={name}" for name in names[:_PODS]
    )


def role_with_policies(role: str | None) -> tuple[str, ...]:
    """Return the commands that show the trust policy of a role, by its name or ARN, and its policies."""
    names = _well_formed([(role or "").rpartition("/")[2]], _ROLE)
    if not names:
        return ()
    return (
        f"aws iam get-role --role-name {names[0]}",
        f"aws iam list-attached-role-policies --role-name {names[0]}",
    )


def quota_of_enis(place: AccountRegion) -> tuple[str, ...]:
    """Return the command that shows the quota of ENIs per Region (L-DF5E4CA3 of service vpc)."""
    arguments = "--service-code vpc --quota-code L-DF5E4CA3"
    return _aws(place, "service-quotas get-service-quota", arguments, ["L-DF5E4CA3"])


def describe_subnets(place: AccountRegion, subnets: Iterable[str | None]) -> tuple[str, ...]:
    """Return the command that shows subnets as they are now."""
    ids = _well_formed(subnets, _RESOURCE)
    return _aws(place, "ec2 describe-subnets", f"--subnet-ids {' '.join(ids)}", ids)


def trail_status(place: AccountRegion, trail: str | None) -> tuple[str, ...]:
    """Return the commands that show whether a trail records, and what."""
    names = _well_formed([trail], _TRAIL)
    return (
        *_aws(place, "cloudtrail get-trail-status", f"--name {' '.join(names)}", names),
        *_aws(place, "cloudtrail get-event-selectors", f"--trail-name {' '.join(names)}", names),
    )


def bucket_policy(place: AccountRegion, bucket: str | None) -> tuple[str, ...]:
    """Return the commands that show who may write to a bucket, and when its objects expire."""
    names = _well_formed([bucket], _BUCKET)
    return (
        *_aws(place, "s3api get-bucket-policy", f"--bucket {' '.join(names)}", names),
        *_aws(place, "s3api get-bucket-lifecycle-configuration", f"--bucket {' '.join(names)}", names),
    )


def _well_formed(names: Iterable[str | None], form: re.Pattern[str]) -> list[str]:
    return sorted({name for name in names if name and form.fullmatch(name)})[:_MOST]


def _aws(place: AccountRegion, action: str, arguments: str, names: list[str]) -> tuple[str, ...]:
    """Return one AWS CLI command in the Region of the finding; none if it has no name to ask about."""
    regions = _well_formed([place[1]], _REGION)
    return (
        (" ".join(["aws", action, *(f"--region {region}" for region in regions), arguments]),)
        if names
        else ()
    )
