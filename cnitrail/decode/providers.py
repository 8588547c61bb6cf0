"""OIDC providers: which of them are an EKS cluster's own.

Anybody who may create an OIDC provider in an account can choose its address, and what its tokens say;
the tokens of a cluster are AWS's. Shapes: the EKS user guide (IAM roles for service accounts), for the
dual-stack addresses the EKS service endpoints.
"""

import re

_PROVIDER = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[^:/]+):oidc-provider/"
    r"(?:oidc\.eks\.REGION\.(?:amazonaws\.com(?:\.cn)?|c2s\.ic\.gov|sc2s\.sgov\.gov)"
    r"|oidc-eks\.REGION\.api\.(?:aws|amazonwebservices\.com\.cn))"
    r"/id/[0-9A-Za-z]+".replace("REGION", "[a-z0-9-]+")
)


def is_of_eks(provider: str | None, account: str | None) -> bool:
    """Whether a provider is that of an EKS cluster, registered in this account."""
    found = _PROVIDER.fullmatch(provider or "")
    return found is not None and found["account"] == account


def account_of_role(role_arn: str | None) -> str | None:
    """The account in the ARN of a role."""
    match (role_arn or "").split(":", 5):
        case ["arn", _, "iam", _, account, _]:
            return account
    return None
