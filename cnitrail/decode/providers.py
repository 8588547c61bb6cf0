"""Which OIDC providers belong to an EKS cluster.

Anyone who may create an OIDC provider in an account can choose its URL, and the content of its tokens;
only AWS issues the tokens of a cluster. URLs: the EKS user guide (IAM roles for service accounts), and the
EKS service endpoints for dual-stack URLs.
"""

import re

from cnitrail.model.partitions import PARTITIONS

_DOMAINS = "|".join({re.escape(partition.domain): None for partition in PARTITIONS})
_DUAL_STACK_DOMAINS = "|".join({re.escape(partition.dual_stack_domain): None for partition in PARTITIONS})
_PROVIDER = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[^:/]+):oidc-provider/"
    rf"(?:oidc\.eks\.[a-z0-9-]+\.(?:{_DOMAINS})|oidc-eks\.[a-z0-9-]+\.(?:{_DUAL_STACK_DOMAINS}))"
    r"/id/[0-9A-Za-z]+"
)


def is_of_eks(provider: str | None, account: str | None) -> bool:
    """Whether a provider belongs to an EKS cluster, and is registered in this account."""
    found = _PROVIDER.fullmatch(provider or "")
    return found is not None and found["account"] == account


def account_of_role(role_arn: str | None) -> str | None:
    """Return the account in a role's ARN."""
    match (role_arn or "").split(":", 5):
        case ["arn", _, "iam", _, account, _]:
            return account
    return None
