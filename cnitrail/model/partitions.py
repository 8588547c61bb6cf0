"""The partitions of AWS, with the domains that botocore's ``partitions.json`` has for their endpoints."""

from typing import Final

from msgspec import Struct


class Partition(Struct, frozen=True, gc=False, kw_only=True):
    """A partition: how its Regions begin, and its domains; ``console`` is empty if it is not public."""

    name: str
    region_prefix: str
    domain: str
    dual_stack_domain: str
    console: str = ""


PARTITIONS: Final = (
    Partition(
        name="aws-cn",
        region_prefix="cn-",
        domain="amazonaws.com.cn",
        dual_stack_domain="api.amazonwebservices.com.cn",
        console="console.amazonaws.cn",
    ),
    Partition(
        name="aws-us-gov",
        region_prefix="us-gov-",
        domain="amazonaws.com",
        dual_stack_domain="api.aws",
        console="console.amazonaws-us-gov.com",
    ),
    Partition(
        name="aws-eusc",
        region_prefix="eusc-",
        domain="amazonaws.eu",
        dual_stack_domain="api.amazonwebservices.eu",
        console="console.amazonaws-eusc.eu",
    ),
    Partition(
        name="aws-iso", region_prefix="us-iso-", domain="c2s.ic.gov", dual_stack_domain="api.aws.ic.gov"
    ),
    Partition(
        name="aws-iso-b", region_prefix="us-isob-", domain="sc2s.sgov.gov", dual_stack_domain="api.aws.scloud"
    ),
    Partition(
        name="aws-iso-e",
        region_prefix="eu-isoe-",
        domain="cloud.adc-e.uk",
        dual_stack_domain="api.cloud-aws.adc-e.uk",
    ),
    Partition(
        name="aws-iso-f",
        region_prefix="us-isof-",
        domain="csp.hci.ic.gov",
        dual_stack_domain="api.aws.hci.ic.gov",
    ),
    Partition(
        name="aws",
        region_prefix="",
        domain="amazonaws.com",
        dual_stack_domain="api.aws",
        console="console.aws.amazon.com",
    ),
)
"""All partitions; the Regions of the last one begin in any other way."""


def partition_of(region: str | None) -> Partition:
    """Return the partition of AWS that a Region is in."""
    found = (known for known in PARTITIONS if (region or "").startswith(known.region_prefix))
    return next(found)
