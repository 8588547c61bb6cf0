"""EC2's token buckets: how many calls an account may make in a Region before it is throttled.

Every API has a bucket of its own per account and Region. A call takes a token, and the bucket is refilled
at a steady rate. The sizes are AWS's defaults, which AWS may have raised for an account:
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html. The second bucket of
RunInstances and TerminateInstances, which counts instances instead of calls, is not modeled.
"""

from datetime import datetime

from msgspec import Struct


class TokenBucket(Struct, frozen=True):
    """The size of a bucket, and the tokens that are refilled per second."""

    capacity: int
    refill: int


_MUTATING = TokenBucket(50, 5)
_OWN = {
    "AssignIpv6Addresses": TokenBucket(100, 5),
    "AssignPrivateIpAddresses": TokenBucket(100, 5),
    "CreateNetworkInterface": TokenBucket(100, 5),
    "CreateTags": TokenBucket(100, 10),
    "DeleteNetworkInterface": TokenBucket(100, 5),
    "ModifyNetworkInterfaceAttribute": TokenBucket(100, 5),
    "RunInstances": TokenBucket(5, 2),
    "TerminateInstances": TokenBucket(100, 5),
    "UnassignIpv6Addresses": TokenBucket(100, 5),
    "UnassignPrivateIpAddresses": TokenBucket(100, 5),
}


def bucket_of(api: str) -> TokenBucket:
    """Return the bucket of a mutating API."""
    return _OWN.get(api, _MUTATING)


class Level:
    """The tokens in a bucket, call by call in time order. It is full at the first call."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._tokens = float(bucket.capacity)
        self._time: datetime | None = None

    def take(self, time: datetime, tokens: int = 1) -> float:
        """Take tokens, or those that are there; return how many are left. With 0 tokens it only looks."""
        if self._time is not None:
            passed = (time - self._time).total_seconds()
            self._tokens = min(float(self._bucket.capacity), self._tokens + passed * self._bucket.refill)
        self._time = time
        self._tokens = max(0.0, self._tokens - tokens)
        return self._tokens
