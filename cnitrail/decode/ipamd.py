"""What ipamd tells on a node: its metrics (port 61678), and its introspection (port 61679).

Shapes: utils/prometheusmetrics and pkg/ipamd/introspect.go of amazon-vpc-cni-k8s.
"""

from collections.abc import Iterator
from datetime import datetime

from cnitrail.decode.shapes import Fields, address, fields, number, prefix, text, time
from cnitrail.jsontext import parse
from cnitrail.model import Held, is_prefix, order_of
from cnitrail.model.ipamd import IpamdPool, KeptAddress

_NO_METRICS = "no metrics of ipamd in it, as awscni_total_ip_addresses"
_LARGEST = 10**11
"""Larger numbers, infinity and what is no number count nothing of a node's."""


def read_metrics(content: bytes) -> IpamdPool:
    """The pool in metrics of the Prometheus text format.

    Raises ``ValueError`` with the reason where they are none, or none of ipamd's.
    """
    if b"awscni_" not in content:
        raise ValueError(_NO_METRICS)
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(content.decode("utf-8", "replace")))
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"not the text format of Prometheus ({error})") from None
    samples = [sample for family in families for sample in family.samples]
    values = {sample.name: int(sample.value) for sample in samples if abs(sample.value) < _LARGEST}
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
    """The pool in the answer of ``/v1/enis``: plain, or under the number of a network card (from 1.20).

    Raises ``ValueError`` with the reason where it is none.
    """
    whole = fields(parse(content))
    cards = [whole] if "ENIs" in whole else list(map(fields, whole.values()))
    if not any(isinstance(card.get("ENIs"), dict) for card in cards):
        raise ValueError("no ENIs in it")
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
    """The IPv4 addresses and prefixes of an interface, each with what ipamd keeps of it."""
    for name, block in fields(eni.get("AvailableIPv4Cidrs")).items():
        read = address(name.removesuffix("/32")) or prefix(name)
        if read is not None:
            yield read, fields(block)


def _addresses(name: str, eni: Fields) -> Iterator[KeptAddress]:
    """An address that no pod has had yet is none of those that ipamd lists; a prefix lists no other."""
    for block, kept in _blocks(eni):
        listed = {address(ip): fields(each) for ip, each in fields(kept.get("IPAddresses")).items()}
        if not is_prefix(block):
            listed = {address(str(block)): next(iter(listed.values()), {})}
        for ip, each in listed.items():
            if ip is not None:
                yield KeptAddress(
                    ip, name, _pod(each), _time(each.get("AssignedTime")) if _pod(each) else None
                )


def _pod(kept: Fields) -> str | None:
    """``namespace/name`` of the pod that has an address; ipamd empties both when it is given back."""
    pod = fields(kept.get("IPAMMetadata"))
    namespace, name = text(pod.get("k8sPodNamespace")), text(pod.get("k8sPodName"))
    return f"{namespace}/{name}" if namespace and name else None


def _time(value: object) -> datetime | None:
    """A time of Go's; its zero, in the year 1, is none."""
    found = time(value)
    return found if found is not None and found.year > 1 else None
