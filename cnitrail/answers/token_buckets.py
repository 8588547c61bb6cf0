"""EC2's token buckets: how many calls an account may make in a Region before it is throttled.

Each API has a bucket of its own in each account and Region; a call takes a token, and tokens come
back at a steady rate. The sizes are AWS's defaults, an account may have been given others:
https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html. The second bucket of
RunInstances and TerminateInstances, for instances instead of calls, is not kept here.
"""

from datetime import datetime

from msgspec import Struct


class TokenBucket(Struct, frozen=True):
    """How many tokens fit, and how many come back in a second."""

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
    """The bucket of a call that changes something, by its name."""
    return _OWN.get(api, _MUTATING)


class Level:
    """How full a bucket is, call by call, in the order of time. It is full when it is first used."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._tokens = float(bucket.capacity)
        self._time: datetime | None = None

    def take(self, time: datetime, tokens: int = 1) -> float:
        """Take tokens, as far as there are any; how many are left. 0 tokens only looks."""
        if self._time is not None:
            passed = (time - self._time).total_seconds()
            self._tokens = min(float(self._bucket.capacity), self._tokens + passed * self._bucket.refill)
        self._time = time
        self._tokens = max(0.0, self._tokens - tokens)
        return self._tokens
