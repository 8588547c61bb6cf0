"""The state of ipamd on a node, from its metrics (port 61678) and its introspection (port 61679).

Formats: utils/prometheusmetrics and pkg/ipamd/introspect.go of amazon-vpc-cni-k8s.
"""

from cnitrail.decode.pods.introspection import IPV4_BLOCKS, POOLS, addresses, blocks, cards, interfaces
from cnitrail.decode.shapes import fields, number
from cnitrail.jsontext import parse
from cnitrail.model import is_prefix, order_of
from cnitrail.model.ipamd import IpamdPool, KeptAddress
from cnitrail.model.pod_facts import AddressKept

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
    if not any(isinstance(card.get(pool), dict) for card in cards(whole) for pool in POOLS):
        raise ValueError("it has no ENIs")
    enis = dict(interfaces(whole))
    held = sorted(
        ((name, block) for name, eni in enis.items() for block, _ in blocks(eni, *IPV4_BLOCKS)),
        key=lambda kept: (kept[0], order_of(kept[1])),
    )
    kept = (address for name, eni in enis.items() for address in addresses(name, eni, *IPV4_BLOCKS))
    return IpamdPool(
        total=sum(number(card.get("TotalIPs")) or 0 for card in cards(whole)),
        assigned=sum(number(card.get("AssignedIPs")) or 0 for card in cards(whole)),
        prefixes=sum(is_prefix(block) for _, block in held),
        enis=len(enis),
        interfaces=tuple(sorted(enis)),
        blocks=tuple(held),
        addresses=tuple(sorted(map(_kept, kept), key=lambda kept: (kept.eni, order_of(kept.ip)))),
    )


def _kept(found: AddressKept) -> KeptAddress:
    return KeptAddress(
        ip=found.ip,
        eni=found.eni or "",
        pod=str(found.pod) if found.pod is not None else None,
        assigned=found.assigned,
        released=found.released,
    )
