"""DescribeFlowLogs as moto answers it: its own file, as moto forgets the buckets of other tests."""

import pytest
from ec2_loopback import ec2
from logs_server import made_up_account
from moto_loopback import client

from cnitrail.model import Scope
from cnitrail.sources.flow_logs.formats import columns_of_flow_log, describe_formats

REGION = "eu-west-1"


def test_a_flow_log_is_described_with_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_account(monkeypatch, REGION)
    with ec2() as endpoint:
        client("s3", endpoint.behind, "us-east-1").create_bucket(Bucket="flow-destination")
        own = endpoint.client(REGION)
        vpc = own.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        (made,) = own.create_flow_logs(
            ResourceIds=[vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="s3",
            LogDestination="arn:aws:s3:::flow-destination",
            LogFormat="${interface-id} ${pkt-srcaddr} ${pkt-dstaddr} ${start} ${end}",
        )["FlowLogIds"]
        scope = Scope(endpoint_url=endpoint.url)
        (found,) = describe_formats(scope, flow_log_id=made)
        assert (found.flow_log, found.resource, found.region) == (made, vpc, REGION)
        assert found.created is not None
        assert columns_of_flow_log(made, scope) == (
            *("interface-id", "pkt-srcaddr", "pkt-dstaddr", "start", "end"),
        )
