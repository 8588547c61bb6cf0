"""The partitions of AWS, with the domains that botocore's ``partitions.json`` has for their endpoints."""

from typing import Final

from msgspec import Struct


class Partition(Struct, frozen=True, gc=False):
    """A partition: how its Regions begin, and its domains; ``console`` is empty if it is not public."""

    name: str
    region_prefix: str
    domain: str
    dual_stack_domain: str
    console: str = ""


PARTITIONS: Final = (
    Partition(
        "aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", console="console.amazonaws.cn"
    ),
    Partition("aws-us-gov", "us-gov-", "amazonaws.com", "api.aws", console="console.amazonaws-us-gov.com"),
    Partition(
        "aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", console="console.amazonaws-eusc.eu"
    ),
    Partition("aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    Partition("aws", "", "amazonaws.com", "api.aws", console="console.aws.amazon.com"),
)
"""All partitions; the Regions of the last one begin in any other way."""


def partition_of(region: str | None) -> Partition:
    """Return the partition of AWS that a Region is in."""
    found = (known for known in PARTITIONS if (region or "").startswith(known.region_prefix))
    return next(found)
