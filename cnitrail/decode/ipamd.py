"""The state of ipamd on a node, from its metrics (port 61678) and its introspection (port 61679).

Formats: utils/prometheusmetrics and pkg/ipamd/introspect.go of amazon-vpc-cni-k8s.
"""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.decode.shapes import Fields, address, fields, number, prefix, text, time
from cnitrail.jsontext import parse
from cnitrail.model import Held, is_prefix, order_of
from cnitrail.model.ipamd import IpamdPool, KeptAddress

_NO_METRICS = "it has no ipamd metrics, such as awscni_total_ip_addresses"
_MAX_VALUE = 10**11
"""Larger values, infinity and NaN cannot be counts of one node, and are ignored."""


def read_metrics(content: bytes) -> IpamdPool:
    """Return the pool from metrics in the Prometheus text format.

    Raises ``ValueError`` with the reason if they are not metrics, or not ipamd's.
    """
    if b"awscni_" not in content:
        raise ValueError(_NO_METRICS)
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(content.decode("utf-8", "replace")))
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"not the Prometheus text format ({error})") from None
    samples = [sample for family in families for sample in family.samples]
    values = {sample.name: int(sample.value) for sample in samples if abs(sample.value) < _MAX_VALUE}
    if not any(name.startswith("awscni_") for name in values):
        raise ValueError(_NO_METRICS)
    return IpamdPool(
        total=values.get("awscni_total_ip_addresses"),
        assigned=values.get("awscni_assigned_ip_addresses"),
        prefixes=values.get("awscni_total_ipv4_prefixes"),
        enis=values.get("awscni_eni_allocated"),
        most_enis=values.get("awscni_eni_max"),
        most_addresses=values.get("awscni_ip_max"),
    )


def read_enis(content: bytes) -> IpamdPool:
    """Return the pool from the answer of ``/v1/enis``, in which 1.20 and later list each network card.

    Raises ``ValueError`` with the reason if it is not such an answer.
    """
    whole = fields(parse(content))
    cards = [whole] if "ENIs" in whole else list(map(fields, whole.values()))
    if not any(isinstance(card.get("ENIs"), dict) for card in cards):
        raise ValueError("it has no ENIs")
    enis = {name: fields(eni) for card in cards for name, eni in fields(card.get("ENIs")).items()}
    blocks = sorted(
        ((name, block) for name, eni in enis.items() for block, _ in _blocks(eni)),
        key=lambda kept: (kept[0], order_of(kept[1])),
    )
    addresses = [kept for name, eni in enis.items() for kept in _addresses(name, eni)]
    return IpamdPool(
        total=sum(number(card.get("TotalIPs")) or 0 for card in cards),
        assigned=sum(number(card.get("AssignedIPs")) or 0 for card in cards),
        prefixes=sum(is_prefix(block) for _, block in blocks),
        enis=len(enis),
        interfaces=tuple(sorted(enis)),
        blocks=tuple(blocks),
        addresses=tuple(sorted(addresses, key=lambda kept: (kept.eni, order_of(kept.ip)))),
    )


def _blocks(eni: Fields) -> Iterator[tuple[Held, Fields]]:
    """Yield the IPv4 addresses and prefixes of an ENI, with what ipamd stores about each."""
    for name, block in fields(eni.get("AvailableIPv4Cidrs")).items():
        read = address(name.removesuffix("/32")) or prefix(name)
        if read is not None:
            yield read, fields(block)


def _addresses(name: str, eni: Fields) -> Iterator[KeptAddress]:
    """Yield the addresses of an ENI; within a prefix, ipamd lists only those that a pod has had."""
    for block, kept in _blocks(eni):
        listed = {address(ip): fields(entry) for ip, entry in fields(kept.get("IPAddresses")).items()}
        if not is_prefix(block):
            listed = {address(str(block)): next(iter(listed.values()), {})}
        for ip, entry in listed.items():
            if ip is not None:
                pod = _pod(entry)
                yield KeptAddress(ip, name, pod, _time(entry.get("AssignedTime")) if pod else None)


def _pod(kept: Fields) -> str | None:
    """Return the pod that has an address as ``namespace/name``; ipamd clears both when it is released."""
    pod = fields(kept.get("IPAMMetadata"))
    namespace, name = text(pod.get("k8sPodNamespace")), text(pod.get("k8sPodName"))
    return f"{namespace}/{name}" if namespace and name else None


def _time(value: object) -> datetime | None:
    """Return a time that Go wrote; None for its zero value, in the year 1."""
    found = time(value)
    return found if found is not None and found.year > 1 else None
