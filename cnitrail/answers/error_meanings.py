"""What the error codes of failed calls mean for the addresses of a node: one answer for every room.

Codes are EC2's (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html) and those of
STS (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html); what the VPC
CNI does then is in pkg/ipamd/ipamd.go and pkg/awsutils/awsutils.go of amazon-vpc-cni-k8s.
"""

import re
from typing import Final

from cnitrail.model import Effect, Failure
from cnitrail.model.ec2 import (
    ADDRESS_LIMIT,
    ATTACHMENT_LIMIT,
    DENIED_BY_ENDPOINT,
    NO_FREE_ADDRESS,
    NO_FREE_BLOCK,
    REQUEST_LIMIT,
    error_code,
)
from cnitrail.text import quoted

_QUOTED: Final = 160
"""Characters of EC2's message in a sentence: enough for a value with its reason."""

DENIED: Final = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", DENIED_BY_ENDPOINT}
)
"""Every code with which a policy refuses a call."""

ENI_GONE: Final = "InvalidNetworkInterfaceID.NotFound"
INSTANCE_GONE: Final = "InvalidInstanceID.NotFound"
NO_SUBNET: Final = "InvalidSubnetID.NotFound"
ENI_QUOTA: Final = "NetworkInterfaceLimitExceeded"
NO_GROUP: Final = frozenset(
    {"InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound", "InvalidSecurityGroup.NotFound"}
)
"""The codes for a security group that does not exist, or is in another VPC."""

_ACTION = re.compile(r"is not authorized to perform: (?P<action>[a-z0-9-]{1,40}:[A-Za-z0-9]{1,80})")
_NO_GROUP_MEANING = "a security group of the request does not exist in the VPC"

MEANINGS: Final = {
    ATTACHMENT_LIMIT: "the instance has as many ENIs as its type allows",
    "AuthFailure": "EC2 did not accept the caller's credentials",
    "DryRunOperation": "this was a dry run, which changes nothing",
    NO_FREE_BLOCK: "the subnet has no free /28 block, although it may have free addresses",
    NO_FREE_ADDRESS: "the subnet does not have enough free addresses",
    "IncorrectInstanceState": "the instance is not in a state in which EC2 attaches ENIs",
    "InternalError": "EC2 had an error of its own",
    "InvalidAttachmentID.NotFound": "the attachment did not exist any more",
    INSTANCE_GONE: "the instance did not exist any more",
    "InvalidIPAddress.InUse": "another ENI in the subnet has the address",
    "InvalidNetworkInterface.InUse": "the ENI is in use",
    ENI_GONE: "the ENI did not exist any more",
    "InvalidParameterValue": "EC2 does not accept a value of the request",
    NO_SUBNET: "the subnet does not exist",
    ENI_QUOTA: "the account has as many ENIs in the Region as its quota allows",
    "SecurityGroupsPerInterfaceLimitExceeded": "the request has more security groups than an ENI may have",
    "OperationNotPermitted": "EC2 does not permit the caller to do this to the ENI",
    ADDRESS_LIMIT: "the ENI would have more addresses than its instance type allows",
    REQUEST_LIMIT: "EC2 throttled the call: the account exceeded its API limit in this Region",
    "Unavailable": "EC2 was not available",
    **dict.fromkeys(NO_GROUP, _NO_GROUP_MEANING),
    **dict.fromkeys(DENIED, "the caller's policies do not allow it"),
    DENIED_BY_ENDPOINT: "the policy of a VPC endpoint does not allow it",
}
"""What each code of EC2 means, as a clause."""

_OTHER_TOKEN: Final = re.compile(r"audience|signature|verification key|thumbprint|claim", re.IGNORECASE)
"""What STS says of a token that has another fault than that the account lacks its OIDC provider."""

_SIGN_IN_MEANINGS: Final = {
    "AccessDenied": "the trust policy of the role does not allow the service account, or there is no such "
    "role",
    "ExpiredToken": "the token of the service account had expired",
    "IDPCommunicationError": "STS could not reach the OIDC provider",
    "InvalidIdentityToken": "STS does not accept the token, as without an OIDC provider in the account",
}
"""What each code of STS means, without the ``Exception`` that some records have at its end."""


def meaning(failure: Failure, effect: Effect) -> str | None:
    """Return what a failure means, as a clause; None if only its message says so."""
    code = error_code(failure.code)
    if effect is Effect.SIGN_IN:
        is_another_token = code.startswith("InvalidIdentityToken") and _OTHER_TOKEN.search(
            failure.message or ""
        )
        return None if is_another_token else _SIGN_IN_MEANINGS.get(code.removesuffix("Exception"))
    if is_too_early(failure, effect):
        return "the ENI was still detaching (normal right after DetachNetworkInterface)"
    if code == "InvalidParameterValue" and failure.message:
        return None
    action = denied_action(failure) if code in DENIED else None
    return f"the caller may not call {action}" if action is not None else MEANINGS.get(code)


def denied_action(failure: Failure) -> str | None:
    """Return the action that a policy refused, such as ``ec2:CreateTags``; None if the message names none."""
    found = _ACTION.search(failure.message or "")
    return found["action"] if found is not None else None


def what_failed(failure: Failure, effect: Effect) -> str:
    """Return a failure in a sentence: its code, and after a colon what it means, or what EC2 said."""
    code = error_code(failure.code)
    message = failure.message and quoted(failure.message[:_QUOTED].rstrip("."))
    explained = meaning(failure, effect) or message
    return f"{code}: {explained}" if explained else code


def is_too_early(failure: Failure, effect: Effect) -> bool:
    """Return whether a call tried to delete an ENI that was still attached to an instance."""
    return effect is Effect.DELETE and "currently in use" in (failure.message or "")
