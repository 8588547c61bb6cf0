"""ipamd's checkpoint, ``/var/run/aws-node/ipam.json``: which sandbox has which address.

pkg/ipamd/datastore/data_store.go of amazon-vpc-cni-k8s; times and names of pods since 1.11.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import Fields, address, elements, fields, text
from cnitrail.model.pod_facts import AddressKept
from cnitrail.model.pods import PodName

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NANOSECONDS = 1 << 63


def read(entry: object) -> PodReading:
    """Return the addresses that sandboxes have."""
    facts = tuple(_allocations(fields(entry)))
    return PodReading(facts=facts) if facts else NOTHING


def _allocations(checkpoint: Fields) -> Iterator[AddressKept]:
    for allocation in map(fields, elements(checkpoint.get("allocations"))):
        metadata = fields(allocation.get("metadata"))
        namespace, name = text(metadata.get("k8sPodNamespace")), text(metadata.get("k8sPodName"))
        for key in ("ipv4", "ipv6"):
            ip = address(text(allocation.get(key)) or "")
            if ip is not None:
                yield AddressKept(
                    ip=ip,
                    eni=None,
                    sandbox=text(allocation.get("containerID")),
                    pod=PodName(namespace, name) if namespace and name else None,
                    assigned=_time(allocation.get("allocationTimestamp")),
                    released=None,
                )


def _time(value: object) -> datetime | None:
    """Return the time of nanoseconds since 1970."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _MAX_NANOSECONDS:
        return None
    return _EPOCH + timedelta(microseconds=value // 1000)
