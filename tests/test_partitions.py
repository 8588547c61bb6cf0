"""The partitions of AWS."""

import json
from pathlib import Path

import botocore
import pytest

from cnitrail.model.partitions import PARTITIONS, partition_of


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-west-2", "aws"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("new-region-1", "aws"),
        (None, "aws"),
    ],
)
def test_a_region_is_in_the_partition_that_its_name_begins_with(region: str | None, partition: str) -> None:
    assert partition_of(region).name == partition


def test_names_and_domains_are_those_that_botocore_has() -> None:
    content = (Path(botocore.__file__).parent / "data" / "partitions.json").read_text()
    known = {
        (partition["id"], partition["outputs"]["dnsSuffix"], partition["outputs"]["dualStackDnsSuffix"])
        for partition in json.loads(content)["partitions"]
    }
    ours = {(partition.name, partition.domain, partition.dual_stack_domain) for partition in PARTITIONS}
    assert known <= ours
