"""ipamd's answer to ``/v1/enis``, of all versions of the VPC CNI: the addresses of its pool and who has them.

pkg/ipamd/datastore/data_store.go and pkg/apis of amazon-vpc-cni-k8s. The answer has no time of its own.
"""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import Fields, address, fields, prefix, text, time
from cnitrail.model import Address, Held, is_prefix
from cnitrail.model.pod_facts import AddressKept, EniListed, PodFact
from cnitrail.model.pods import PodName

POOLS = ("ENIs", "ENIIPPools")
"""The key of the interfaces, since 1.7 and before."""

IPV4_BLOCKS = ("AvailableIPv4Cidrs", "IPv4Addresses")
"""The keys of an interface's addresses and prefixes, since 1.9 and before."""

_BLOCKS = (*IPV4_BLOCKS, "IPv6Cidrs")


def read(entry: object) -> PodReading:
    """Return the addresses and prefixes of the pool, and the addresses that a pod has, or had last."""
    facts: list[PodFact] = []
    for name, eni in interfaces(fields(entry)):
        facts += (EniListed(eni=name, held=held) for held, _ in blocks(eni, *_BLOCKS))
        facts += (kept for kept in addresses(name, eni, *_BLOCKS) if _was_used(kept))
    return PodReading(facts=tuple(facts)) if facts else NOTHING


def _was_used(kept: AddressKept) -> bool:
    return kept.pod is not None or kept.sandbox is not None or kept.released is not None


def interfaces(answer: Fields) -> Iterator[tuple[str, Fields]]:
    """Yield the ENI and the entry of each interface; since 1.20, the answer has them by network card."""
    for card in cards(answer):
        for pool in POOLS:
            for name, eni in fields(card.get(pool)).items():
                yield name, fields(eni)


def cards(answer: Fields) -> list[Fields]:
    """Return the entries of the network cards; before 1.20, the answer itself."""
    is_one = any(pool in answer for pool in POOLS)
    return [answer] if is_one else list(map(fields, answer.values()))


def blocks(eni: Fields, *keys: str) -> Iterator[tuple[Held, Fields]]:
    """Yield the addresses and prefixes under some keys of an interface, with what ipamd stores about each."""
    for key in keys:
        for name, block in fields(eni.get(key)).items():
            held = address(name.removesuffix("/32").removesuffix("/128")) or prefix(name)
            if held is not None:
                yield held, fields(block)


def addresses(name: str, eni: Fields, *keys: str) -> Iterator[AddressKept]:
    """Yield the addresses under some keys of an interface; of a prefix, those that a pod has or had."""
    for block, entry in blocks(eni, *keys):
        listed = fields(entry.get("IPAddresses")) or fields(entry.get("IPv4Addresses"))
        if not is_prefix(block):
            listed = {str(block): next(iter(listed.values()), entry)}
        for written, kept in listed.items():
            ip = address(written)
            if ip is not None:
                yield _kept(ip, name, fields(kept))


def _kept(ip: Address, eni: str, entry: Fields) -> AddressKept:
    """Return what ipamd stores about an address: its pod, or since a release the time of that only.

    A release empties the pod's name and sandbox, and keeps both times; a new assignment keeps the time of the
    release before it.
    """
    pod, key = _pod(fields(entry.get("IPAMMetadata"))), fields(entry.get("IPAMKey"))
    sandbox = text(key.get("containerID"))
    assigned, released = _time(entry.get("AssignedTime")), _time(entry.get("UnassignedTime"))
    is_released = released is not None and (assigned is None or assigned <= released)
    is_held = pod is not None or sandbox is not None or entry.get("Assigned") is True or not is_released
    return AddressKept(
        ip=ip,
        eni=eni,
        sandbox=sandbox,
        pod=pod,
        assigned=assigned,
        released=None if is_held else released,
    )


def _pod(metadata: Fields) -> PodName | None:
    namespace, name = text(metadata.get("k8sPodNamespace")), text(metadata.get("k8sPodName"))
    return PodName(namespace, name) if namespace and name else None


def _time(value: object) -> datetime | None:
    """Return a time that Go wrote; None for its zero value, in the year 1."""
    found = time(value)
    return found if found is not None and found.year > 1 else None
