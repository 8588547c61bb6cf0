"""Kinds of ENIs of AWS services: the service must have made the call itself."""

import pytest

from cnitrail.decode.actor import actor_of
from cnitrail.history.kinds import SERVICE_KINDS, interface_kind
from cnitrail.model import Actor
from cnitrail.model.callers import service_of
from cnitrail.model.eni_kinds import SERVICE_NAMES, users_of

DOMAIN = "[DO NOT DELETE] ENI managed by SageMaker for Studio Domain (d-0abcdefabcde)"


def caller(source: str, agent: str = "", invoked_by: str | None = None, role: str = "etl") -> Actor:
    """A session of a customer's role."""
    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/job",
        "sessionContext": {
            "sessionIssuer": {"arn": f"arn:aws:iam::111122223333:role/{role}", "userName": role}
        },
    }
    if invoked_by is not None:
        identity["invokedBy"] = invoked_by
    return actor_of({"userIdentity": identity, "sourceIPAddress": source, "userAgent": agent or source})


def kind(
    creator: Actor | None, description: str = "", type_: str = "interface", requester: str | None = None
) -> str:
    return interface_kind(
        launched_first=False,
        created_with_mark=False,
        description=description,
        interface_type=type_,
        requester=requester,
        creator=creator,
    )


@pytest.mark.parametrize(
    ("service", "description", "expected"),
    [
        ("lambda", "AWS Lambda VPC ENI-orders-0f1e2d3c", "lambda"),
        ("glue", "Attached to Glue using role: arn:aws:iam::111122223333:role/etl", "glue"),
        ("sagemaker", DOMAIN, "sagemaker"),
        ("sagemaker", "anything", "sagemaker"),
        ("dms", "DMSNetworkInterface", "dms"),
        ("redshift", "RedshiftNetworkInterface", "redshift"),
        ("elasticache", "ElastiCache sessions-001", "elasticache"),
        ("ds", "AWS created network interface for directory d-0123456789", "directory"),
        ("workspaces", "Created By Amazon Workspaces for AWS Account ID 111122223333", "workspaces"),
        ("datasync", "", "datasync"),
        ("eks-fargate", "", "fargate"),
        ("eks", "Amazon EKS quay", "eks-control-plane"),
        ("ec2", "Interface for NAT Gateway nat-0a1b2c3d4e5f60718", "nat-gateway"),
        ("newservice", "anything", "other"),
    ],
)
def test_a_service_with_a_customers_role_makes_its_own_kind(
    service: str, description: str, expected: str
) -> None:
    assert kind(caller(f"{service}.amazonaws.com"), description) == expected
    assert kind(caller("AWS Internal", invoked_by=f"{service}.amazonaws.com"), description) == expected


@pytest.mark.parametrize(
    "description",
    [DOMAIN, "DMSNetworkInterface", "ElastiCache x", "RDSNetworkInterface", "Amazon EKS quay", "ELB app/x"],
)
def test_a_description_and_a_user_agent_alone_make_no_service(description: str) -> None:
    imposter = caller("198.51.100.7", "sagemaker.amazonaws.com", role="SageMakerExec")
    assert kind(imposter, description) == "other"
    assert service_of(imposter) is None


def test_the_description_of_another_service_does_not_count() -> None:
    assert kind(caller("glue.amazonaws.com"), "RDSNetworkInterface") == "glue"


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("transit_gateway", "transit-gateway"),
        ("natGateway", "nat-gateway"),
        ("gateway_load_balancer_endpoint", "vpc-endpoint"),
        ("api_gateway_managed", "api-gateway"),
        ("efa", "other"),
    ],
)
def test_the_type_that_ec2_sets_counts_without_a_creator(type_: str, expected: str) -> None:
    assert kind(None, "", type_) == expected


def test_a_requester_that_ec2_names_confirms_a_description() -> None:
    assert kind(None, "ElastiCache sessions-001", requester="amazon-elasticache") == "elasticache"


def test_controllers_of_clusters_make_no_service_kinds() -> None:
    assert {"glue", "lambda", "fargate", "transit-gateway"} <= SERVICE_KINDS
    assert SERVICE_KINDS.isdisjoint({"cni", "trunk", "branch", "cilium", "node-primary", "other"})


def test_every_kind_of_a_service_has_a_name_that_people_know() -> None:
    assert set(SERVICE_NAMES) == SERVICE_KINDS
    assert users_of("elb") == "load balancers"


def test_a_service_is_named_by_its_dns_name_as_by_the_kind_of_its_enis() -> None:
    assert users_of("ecs.amazonaws.com") == users_of("ecs") == "ECS tasks"
    assert users_of("new.amazonaws.com") == "new.amazonaws.com"
