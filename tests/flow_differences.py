"""What the SQL of ``docs/flows-sql.md`` says less than ``cnitrail flows``, and of which records."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv6Network, ip_address
from typing import NamedTuple

from flow_tables import NAMES, End, Ends, Key, Values

from cnitrail.answers.flows.lease_answers import addresses_of
from cnitrail.model import LeaseEntry

_LESS = {"certain": "likely", "free": "unknown"}
_WORST_LAST = ("certain", "free", "likely", "ambiguous", "unknown")


class Case(NamedTuple):
    """An end of a record of which both do not say the same; ``side`` is 0 for the source."""

    record: Values
    side: int
    flows: Ends
    sql: Ends
    leases: Sequence[LeaseEntry]

    @property
    def said(self) -> End:
        """What ``flows`` says of the end."""
        return self.flows[self.side]

    @property
    def shown(self) -> End:
        """What SQL says of the end."""
        return self.sql[self.side]

    @property
    def is_less(self) -> bool:
        """Whether SQL has the same names and kind, and is less sure."""
        return self.shown == self.said._replace(verdict=_LESS.get(self.said.verdict, ""))

    @property
    def is_vaguer(self) -> bool:
        """Whether SQL says that pods may have the address of a node, and else the same, or less."""
        vaguer = self.said._replace(kind="node-or-pod")
        less = vaguer._replace(verdict=_LESS.get(vaguer.verdict, ""))
        return self.said.kind == "node" and self.shown in (vaguer, less)

    @property
    def names_nobody(self) -> bool:
        """Whether SQL names no holder, and says so."""
        return self.shown.verdict == "unknown" and not any(getattr(self.shown, name) for name in NAMES)

    @property
    def names_more(self) -> bool:
        """Whether SQL has the holders of ``flows``, perhaps with more candidates, and is not surer."""
        ranks = [_WORST_LAST.index(end.verdict) for end in (self.said, self.shown)]
        return ranks[0] <= ranks[1] and set(self.said.eni.split(";")) <= set(self.shown.eni.split(";"))

    @property
    def enis(self) -> Mapping[str, LeaseEntry]:
        """The ENIs of the leases, each with one of its leases."""
        return {lease.eni: lease for lease in self.leases}

    @property
    def prefixes(self) -> Sequence[IPv6Network]:
        """The IPv6 prefixes that have no answers."""
        return [IPv6Network(lease.ip) for lease in self.leases if not addresses_of(lease.ip)]

    def is_in_prefix(self, end: End) -> bool:
        """Whether an address is in a prefix that has no answers."""
        return ":" in end.ip and any(ip_address(end.ip) in prefix for prefix in self.prefixes)

    @property
    def is_peered(self) -> bool:
        """Whether the packets went to a peered VPC."""
        return (
            self.record.get("traffic_path") in ("4", "5") and self.record.get("flow_direction") != "ingress"
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether the interface of the record has no address of an end that may be there, for SQL."""
        sides = {"egress": (0,), "ingress": (1,)}.get(self.record.get("flow_direction") or "", (0, 1))
        return not any(self.record.get("interface_id") in self.sql[side].eni.split(";") for side in sides)


def _is_peered(case: Case) -> bool:
    is_unknown = case.names_nobody and case.shown.kind in ("outside-vpc", "public")
    return case.is_peered and (is_unknown if case.side == 1 else case.is_vaguer)


def _is_in_prefix(case: Case) -> bool:
    is_part = set(filter(None, case.shown.eni.split(";"))) <= set(case.said.eni.split(";"))
    return case.is_in_prefix(case.said) and case.shown.verdict == "unknown" and is_part


def _is_opposite_a_prefix(case: Case) -> bool:
    return case.is_in_prefix(case.flows[1 - case.side]) and (case.is_less or case.is_vaguer)


def _is_public(case: Case) -> bool:
    blank = {"kind": case.shown.kind}
    is_known = case.said.kind == "public" and case.shown.kind in ("unknown", "outside-vpc")
    return (
        ":" in case.said.ip and is_known and bool(case.prefixes) and case.said._replace(**blank) == case.shown
    )


def _is_without_direction(case: Case) -> bool:
    holds = {str(lease.eni) for lease in case.leases if not addresses_of(lease.ip)}
    is_there = case.record.get("interface_id") in holds and ":" in case.said.ip
    return is_there and not case.record.get("flow_direction") and case.names_more


def _is_of_an_instance(case: Case) -> bool:
    return bool(case.record.get("instance_id")) and case.is_elsewhere and case.is_less


def _is_without_leases(case: Case) -> bool:
    return case.record.get("interface_id") not in case.enis and case.is_less


def _may_be_a_nat_instance(case: Case) -> bool:
    lease = case.enis.get(case.record.get("interface_id") or "")
    return lease is not None and lease.eni_kind == "node-primary" and case.is_elsewhere and case.is_less


def _is_a_further_eni(case: Case) -> bool:
    return case.is_vaguer and "other" in case.said.eni_kind


DIFFERENCES: Mapping[str, Callable[[Case], bool]] = {
    "the destination of `traffic_path` 4 and 5 (VPC peering)": _is_peered,
    "IPv6 addresses of an assigned prefix (/80)": _is_in_prefix,
    "the other end of a record with such an address": _is_opposite_a_prefix,
    "a public IPv6 address, if the table has such prefixes": _is_public,
    "IPv6 without `flow_direction`, at an ENI with such a prefix": _is_without_direction,
    "`instance_id` of a record whose interface has neither address": _is_of_an_instance,
    "an interface that is in no lease": _is_without_leases,
    "packets that an instance without Kubernetes forwards": _may_be_a_nat_instance,
    "the own address of a node's ENI of unknown kind": _is_a_further_eni,
}
"""Whether a difference is one that the documentation names, by what it says in the first column."""


def differences(
    records: Mapping[Key, Values],
    flows: Mapping[Key, Ends],
    sql: Mapping[Key, Ends],
    leases: Sequence[LeaseEntry],
) -> tuple[Counter[str], list[Case]]:
    """The differences that the documentation names, by name, and those that it does not."""
    assert records.keys() == flows.keys() == sql.keys()
    named: Counter[str] = Counter()
    others = []
    for case in _cases(records, flows, sql, leases):
        name = next((name for name, is_it in DIFFERENCES.items() if is_it(case)), None)
        if name is None:
            others.append(case._replace(leases=()))
        else:
            named[name] += 1
    return named, others


def _cases(
    records: Mapping[Key, Values],
    flows: Mapping[Key, Ends],
    sql: Mapping[Key, Ends],
    leases: Sequence[LeaseEntry],
) -> Iterator[Case]:
    for key, record in records.items():
        said = (_without_pods(flows[key][0]), _without_pods(flows[key][1]))
        for side in (0, 1):
            if said[side] != sql[key][side]:
                yield Case(record, side, said, sql[key], leases)


def _without_pods(end: End) -> End:
    """What the history says without pod evidence, which the table does not have."""
    return end._replace(kind="pod") if end.kind == "warm-pool" else end
