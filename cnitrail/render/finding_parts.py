"""The parts of a finding that SARIF and OCSF share: its AWS resources, and its doubts."""

from collections.abc import Iterator

from msgspec import Struct

from cnitrail.model import Finding
from cnitrail.model.partitions import partition_of
from cnitrail.render.safe import printable


class NamedDoubt(Struct, frozen=True, gc=False):
    """What the evidence of a finding leaves open."""

    code: str
    text: str


class NamedResource(Struct, frozen=True, gc=False):
    """A resource of a finding: its ID, its ARN (None if it has none here), and its CloudFormation type."""

    name: str
    arn: str | None
    kind: str


def doubts(finding: Finding) -> tuple[NamedDoubt, ...]:
    """Return the doubts of a finding."""
    return tuple(NamedDoubt(doubt.code.value, printable(doubt.text)) for doubt in finding.doubts)


def resources(finding: Finding) -> Iterator[NamedResource]:
    """Yield the resources of a finding, the smallest first. Clusters have no ARN: only names are known."""
    for names, noun, kind in (
        (finding.enis, "network-interface", "AWS::EC2::NetworkInterface"),
        (finding.instances, "instance", "AWS::EC2::Instance"),
        (finding.subnets, "subnet", "AWS::EC2::Subnet"),
        (finding.vpcs, "vpc", "AWS::EC2::VPC"),
    ):
        for name in names:
            yield NamedResource(name, _arn(finding, noun, name), kind)
    for name in finding.clusters:
        yield NamedResource(name, None, "AWS::EKS::Cluster")


def _arn(finding: Finding, noun: str, name: str) -> str | None:
    if finding.account is None or finding.region is None:
        return None
    return f"arn:{partition_of(finding.region).name}:ec2:{finding.region}:{finding.account}:{noun}/{name}"
