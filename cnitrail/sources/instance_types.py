"""DescribeInstanceTypes: ENI and address limits of instance types that cnitrail's own table lacks."""

import re
from collections.abc import Iterable, Mapping

from cnitrail.limits import described
from cnitrail.model import Limits
from cnitrail.sources.aws import failure_of, open_session

_INSTANCE_TYPE = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}")
"""What can be an instance type: any other text in a record is not sent to EC2."""


def describe(
    names: Iterable[str], region: str | None, profile: str | None, endpoint_url: str | None = None
) -> Mapping[str, Limits]:
    """Return the limits of the instance types that EC2 knows in a Region, by name.

    Raises ``SourceError`` if EC2 does not answer.
    """
    import logging

    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    values = sorted(name for name in names if _INSTANCE_TYPE.fullmatch(name))
    if not values:
        return {}
    logging.getLogger(__name__).debug("DescribeInstanceTypes in %s: %s", region, ", ".join(values))
    try:
        config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2, "mode": "standard"})
        client = open_session(profile).client(
            "ec2", region_name=region, endpoint_url=endpoint_url, config=config
        )
        pages = client.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": values}]
        )
        with parser_errors_raised():
            found = [described(instance_type) for page in pages for instance_type in page["InstanceTypes"]]
    except (BotoCoreError, ClientError) as error:
        raise failure_of(error, "ec2:DescribeInstanceTypes", profile).as_error("EC2") from None
    return {limits.instance_type: limits for limits in found}
