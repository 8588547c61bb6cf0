"""Kinds of ENIs (``Interface.kind``), and what people call the users of those that AWS services create."""

from typing import Final

SERVICE_NAMES: Final = {
    "api-gateway": "API Gateway",
    "cloudhsm": "CloudHSM",
    "codebuild": "CodeBuild",
    "codestar-connections": "CodeStar connections",
    "datasync": "DataSync",
    "dax": "DAX",
    "directory": "Directory Service",
    "dms": "DMS",
    "ecs": "ECS tasks",
    "efs": "EFS",
    "eks-control-plane": "EKS control planes",
    "elasticache": "ElastiCache",
    "elb": "load balancers",
    "emr": "EMR",
    "evs": "Amazon EVS",
    "fargate": "Fargate pods",
    "fsx": "FSx",
    "global-accelerator": "Global Accelerator",
    "glue": "Glue",
    "instance-connect-endpoint": "EC2 Instance Connect Endpoints",
    "iot-rules": "IoT rules",
    "lambda": "Lambda",
    "memorydb": "MemoryDB",
    "msk": "MSK",
    "mwaa": "MWAA",
    "nat-gateway": "NAT gateways",
    "network-firewall": "Network Firewall",
    "opensearch": "OpenSearch",
    "quicksight": "QuickSight",
    "rds": "RDS",
    "redshift": "Redshift",
    "route53-resolver": "Route 53 Resolver endpoints",
    "sagemaker": "SageMaker",
    "transit-gateway": "transit gateways",
    "vpc-endpoint": "VPC endpoints",
    "workspaces": "WorkSpaces",
}
"""The users of each kind of ENI that a service creates for itself: words that fit one ENI, and a count."""


def users_of(service: str) -> str:
    """Return what people call the users of a service's ENIs, from their kind or the service's DNS name.

    Without a name it is the kind, or the DNS name.
    """
    return SERVICE_NAMES.get(service.removesuffix(".amazonaws.com"), service)
