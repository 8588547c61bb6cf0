"""Facts about EC2 that several parts of the program rely on.

Prefixes: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html.
Error codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

PREFIX_LENGTH: Final = {4: 28, 6: 80}
"""Length of the prefixes that EC2 delegates to an ENI, by IP version: a /28, or an IPv6 /80."""

PREFIX_HOST_BITS: Final = {4: 32 - PREFIX_LENGTH[4], 6: 128 - PREFIX_LENGTH[6]}
"""Number of bits that tell the addresses of one prefix apart, by IP version."""

PREFIX_SIZE: Final = 1 << PREFIX_HOST_BITS[4]
"""Number of addresses in a delegated IPv4 prefix."""

TRUNK_TAG: Final = "vpcresources.k8s.aws/trunk-eni-id"
"""The tag that names the trunk of a branch ENI (pkg/config/type.go in amazon-vpc-resource-controller-k8s)."""

SHUTDOWN: Final = timedelta(minutes=10)
"""How long EC2 may take to terminate an instance after the call; until then the instance has its ENIs."""

ADDRESS_LIMIT: Final = "PrivateIpAddressLimitExceeded"
"""The ENI has as many addresses as its instance type allows."""

ATTACHMENT_LIMIT: Final = "AttachmentLimitExceeded"
"""The instance has as many ENIs as its type allows."""

NO_FREE_ADDRESS: Final = "InsufficientFreeAddressesInSubnet"
NO_FREE_BLOCK: Final = "InsufficientCidrBlocks"
"""The subnet has no free block of a prefix's size, although it may have free addresses."""

REQUEST_LIMIT: Final = "RequestLimitExceeded"
"""EC2 throttled the call."""

THROTTLED: Final = frozenset(
    {
        REQUEST_LIMIT,
        "EC2ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
    }
)
"""Every code that a throttled call fails with."""

DRY_RUN: Final = "DryRunOperation"
"""The call had DryRun set, and would have succeeded: EC2 did nothing."""

DENIED_BY_ENDPOINT: Final = "VpceAccessDenied"
"""The policy of a VPC endpoint denied the call, in a network activity event of that endpoint."""


def prefix_of(address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network:
    """Return the prefix that an address is in if it is held through a delegated prefix."""
    # Bytes: the text of an address would be parsed again.
    return ip_network((address.packed, PREFIX_LENGTH[address.version]), strict=False)


@lru_cache(maxsize=1024)
def error_code(code: str) -> str:
    """Return EC2's own error code, without the ``Client.`` or ``Server.`` that CloudTrail puts before it."""
    return code.removeprefix("Client.").removeprefix("Server.")
