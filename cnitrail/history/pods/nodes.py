"""Which instance a Kubernetes node is, over time: a later instance may get the name of an earlier one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime

from cnitrail.model.pod_facts import NodeNamed, PodRecord
from cnitrail.timeclamp import FIRST


def is_fargate(node: str | None) -> bool:
    """Return whether a node is one of Fargate, which has one pod, one ENI, and no instance.

    EKS names it; providers/v1/aws.go of cloud-provider-aws finds its ENI by the address in the name.
    """
    return node is not None and node.startswith("fargate-")


class NodeNames:
    """The instances of node names, by what kubelets and nodes say of themselves; ``records`` are in order.

    Names are those of one cluster: nodes of two VPCs may have the same address, and so the same name.
    """

    def __init__(self, records: Iterable[PodRecord]) -> None:
        self._claims: dict[tuple[str | None, str], list[tuple[datetime, str]]] = {}
        for record in records:
            for fact in record.facts:
                if isinstance(fact, NodeNamed) and fact.node is not None:
                    claims = self._claims.setdefault((record.cluster, fact.node), [])
                    # Only the first and the last of equal claims in a row are kept.
                    if len(claims) > 1 and claims[-1][1] == claims[-2][1] == fact.instance:
                        claims.pop()
                    claims.append((record.time or FIRST, fact.instance))

    def instance_of(self, cluster: str | None, node: str | None, time: datetime | None) -> str | None:
        """Return the instance of a node at a time; None if none is known, or claims around it differ."""
        if node is None:
            return None
        claims = self._claims.get((cluster, node), [])
        if time is None:
            known = {instance for _, instance in claims}
        else:
            first = bisect_left(claims, time, key=lambda claim: claim[0])
            last = bisect_right(claims, time, key=lambda claim: claim[0])
            known = {instance for _, instance in claims[max(first - 1, 0) : last + 1]}
        return known.pop() if len(known) == 1 else None

    def instances(self) -> Mapping[str, tuple[str, ...]]:
        """Return the instances of each node name, in the order in which they were seen."""
        found: dict[str, dict[str, None]] = {}
        for (_, node), claims in self._claims.items():
            found.setdefault(node, {}).update(dict.fromkeys(instance for _, instance in claims))
        return {node: tuple(known) for node, known in found.items()}
