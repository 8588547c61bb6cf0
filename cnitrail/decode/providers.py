"""Which OIDC providers belong to an EKS cluster.

Anyone who may create an OIDC provider in an account can choose its URL, and the content of its tokens;
only AWS issues the tokens of a cluster. URLs: the EKS user guide (IAM roles for service accounts), and the
EKS service endpoints for dual-stack URLs.
"""

import re

_PROVIDER = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[^:/]+):oidc-provider/"
    r"(?:oidc\.eks\.REGION\.(?:amazonaws\.com(?:\.cn)?|c2s\.ic\.gov|sc2s\.sgov\.gov)"
    r"|oidc-eks\.REGION\.api\.(?:aws|amazonwebservices\.com\.cn))"
    r"/id/[0-9A-Za-z]+".replace("REGION", "[a-z0-9-]+")
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
