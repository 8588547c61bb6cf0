"""DescribeInstanceTypes: the limits of instance types that are not known here."""

import re
from collections.abc import Iterable, Mapping

from cnitrail.limits import described
from cnitrail.model import Limits
from cnitrail.sources.aws import failure, session

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}")
"""What can be the name of an instance type: others in a record are not asked for."""


def describe(names: Iterable[str], region: str | None, profile: str | None) -> Mapping[str, Limits]:
    """The limits of those types that EC2 knows in a Region, by name.

    Raises ``SourceError`` where EC2 cannot be asked.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import understood

    values = sorted(name for name in names if _NAME.fullmatch(name))
    if not values:
        return {}
    try:
        quick = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2, "mode": "standard"})
        client = session(profile).client("ec2", region_name=region, config=quick)
        pages = client.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": values}]
        )
        with understood():
            found = [described(each) for page in pages for each in page["InstanceTypes"]]
    except (BotoCoreError, ClientError) as error:
        raise failure(error, "ec2:DescribeInstanceTypes").of("EC2") from None
    return {limits.instance_type: limits for limits in found}
