"""Which files are of one node: those of one archive of the eks-log-collector, or rotations of one log."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from cnitrail.model.evidence import Origin
from cnitrail.model.pod_facts import (
    AddressKept,
    EniListed,
    IpamdStarted,
    NodeNamed,
    PodRecord,
    RegionNamed,
)

NODE_FORMS: Final = frozenset({"ipamd-log", "ipamd-enis", "ipam-checkpoint", "node-facts"})
"""Forms of files that are a node's own."""

OWN: Final = frozenset({"instance-id-file", "ipamd-log"})
"""Bases of an instance that a file of the node names as its own."""

_COLLECTED: Final = re.compile(
    r"(?:^|(?<=/))(?:\./)?(?:system/(?:instance-id|region)\.txt(?:#\d+)?|ipamd/[^/]+|var_log/(?!.*/var_log/).+)$"
)
"""A file that the eks-log-collector wrote, by its place in the archive."""

_LOG: Final = re.compile(r"(?P<home>.*/|)(?P<node>[^/]*?)(?:ipamd|plugin)[^/]*$")


def collection_of(source: str) -> str | None:
    """Return the archive or folder of the eks-log-collector that a file is of; None if it is of none."""
    found = _COLLECTED.search(source)
    return source[: found.start()].removesuffix("/").removesuffix("!") if found is not None else None


@lru_cache(maxsize=4096)
def home_of(source: str) -> str:
    """Return what the files of one node have in common: an archive, a directory, or the text before ipamd."""
    log, collection = _LOG.match(source), collection_of(source)
    if collection is not None and (log is None or "var_log/" in source[len(collection) :]):
        return collection
    return log["home"] + log["node"] if log is not None else source


class Homes:
    """The homes of all files; two with a copy of one record are the same, or with one instance or ENI."""

    def __init__(self, records: Iterable[PodRecord], of_nodes: Iterable[PodRecord]) -> None:
        """Take all records, and those that name an instance or an ENI."""
        self._same: dict[str, str] = {}
        instances: dict[str, set[str]] = {}
        enis: dict[str, set[str]] = {}
        for record in of_nodes:
            homes = {home_of(origin.source) for origin in _of_nodes(record.origins)}
            for fact in record.facts:
                if isinstance(fact, NodeNamed) and fact.basis in OWN:
                    for home in homes:
                        instances.setdefault(home, set()).add(fact.instance)
                elif isinstance(fact, (EniListed, AddressKept)) and fact.eni is not None:
                    enis.setdefault(fact.eni, set()).update(homes)
        copies = (
            {home_of(origin.source) for origin in _of_nodes(record.origins)}
            for record in records
            if len(record.origins) > 1 and _is_of_one_node(record)
        )
        of_one: dict[str, set[str]] = {}
        for home, names in instances.items():
            if len(names) == 1:
                of_one.setdefault(min(names), set()).add(home)
        for homes in of_one.values():
            self._unite(homes)
        for homes in (*copies, *enis.values()):
            # An ENI may be moved to another node, and two nodes may log the same.
            named = set().union(*(instances.get(self.root(home), set()) for home in homes))
            if len(named) <= 1:
                self._unite(homes)
                instances.update({self.root(home): named for home in homes})

    def of(self, origins: tuple[Origin, ...]) -> str | None:
        """Return the home of the first file of a node; None if no such file is among the origins."""
        return next(self.all_of(origins), None)

    def all_of(self, origins: tuple[Origin, ...]) -> Iterator[str]:
        """Yield the home of every file of a node, each once: nodes may have files with the same text."""
        yield from dict.fromkeys(self.root(home_of(origin.source)) for origin in _of_nodes(origins))

    def root(self, home: str) -> str:
        """Return the name of a home that all the same have."""
        while home in self._same:
            home = self._same[home]
        return home

    def _unite(self, homes: Iterable[str]) -> None:
        first, *others = sorted({self.root(home) for home in homes}) or [""]
        self._same.update(dict.fromkeys(others, first))


def _of_nodes(origins: tuple[Origin, ...]) -> Iterator[Origin]:
    return (origin for origin in origins if origin.form in NODE_FORMS)


def _is_of_one_node(record: PodRecord) -> bool:
    """Return whether no other node has the same record: many are in one Region, or start at one time."""
    return any(not isinstance(fact, (RegionNamed, IpamdStarted)) for fact in record.facts)


def is_plugin_log(source: str) -> bool:
    """Return whether a file is ``plugin.log``, which has lines only when pods come and go."""
    return "plugin" in source.rsplit("/", 1)[-1]
