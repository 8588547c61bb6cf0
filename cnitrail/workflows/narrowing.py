"""How little a store has to deliver for a question, and when that turns out to be too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.history.managers import may_inherit
from cnitrail.sources import LOOKUP, is_pipe, source_type, sources_or_default
from cnitrail.workflows.request import scope_of

if TYPE_CHECKING:
    from cnitrail.model import Evidence, History, Scope
    from cnitrail.workflows.request import Request


def narrow_scope(request: Request) -> Scope:
    """Return what sources are asked for; other sources, or proofs, may change what one of them shows.

    A pipe cannot be read again if more is needed, so then a store delivers everything.
    """
    sources = sources_or_default(request.sources)
    is_alone = len(sources) == 1 and not request.verify
    scope = replace(
        scope_of(request.wanted, request.access),
        period=request.period if is_alone else None,
        managers=request.managers,
    )
    return whole_scope(scope) if _has_store(request) and any(map(is_pipe, sources)) else scope


def whole_scope(scope: Scope) -> Scope:
    """Return a scope for which a store delivers all records."""
    return replace(scope, instances=(), enis=(), addresses=())


def is_too_narrow(request: Request, scope: Scope, history: History, evidence: Evidence) -> bool:
    """Return whether a store may have more that the answer needs than it delivered for a scope.

    It does not know which of its ENIs the pod evidence of another source names, nor what other nodes of a
    cluster are managed by.
    """
    if not _has_store(request) or not (scope.instances or scope.enis or scope.addresses):
        return False
    has_pods_elsewhere = len(request.sources) > 1 and evidence.pod_records > 0
    return has_pods_elsewhere or (scope.managers and _may_inherit(history, scope))


def _has_store(request: Request) -> bool:
    """Return whether a store is among the sources, and no LookupEvents, which are not asked twice."""
    return LOOKUP not in request.sources and any(source_type(uri).narrows for uri in request.sources)


def _may_inherit(history: History, scope: Scope) -> bool:
    """Return whether other nodes may show what manages the ENIs and nodes that were asked for."""
    nodes, enis, wanted = {*scope.instances}, {*scope.enis}, Filter(ip=scope.addresses)
    for held, groups in history.holders.items() if scope.addresses else ():
        if wanted.takes_addresses([held]):
            enis.update(lease.eni for group in groups for lease in group)
    for interface in history.interfaces.values():
        places = {attachment.instance for attachment in interface.attachments}
        places |= {interface.mark[0]} if interface.mark is not None else set()
        if interface.eni in enis or not nodes.isdisjoint(places):
            nodes.update(name for name in places if name is not None)
    return any(may_inherit(history.instances.get(name), history.manager_of_node(name)) for name in nodes)
