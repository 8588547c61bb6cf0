"""How little a store has to deliver for a question, and when that turns out to be too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnitrail.answers.filters import Filter
from cnitrail.history.managers import may_inherit
from cnitrail.intervals import meet
from cnitrail.sources import LOOKUP, source_type, sources_or_default
from cnitrail.workflows.request import scope_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from cnitrail.model import History, Scope
    from cnitrail.workflows.request import Request


def narrow_scope(request: Request) -> Scope:
    """Return what sources are asked for."""
    return replace(scope_of(request.wanted, request.access), period=request.period, managers=request.managers)


def whole_scope(scope: Scope) -> Scope:
    """Return a scope for which a store delivers all records."""
    return replace(scope, instances=(), enis=(), addresses=())


def scope_for(uri: str, uris: Collection[str], scope: Scope) -> Scope:
    """Return what one of several sources is asked for: beside others, a store delivers all records.

    Another source may show an address on an ENI, or an ENI on a node, of which the store knows only the rest.
    """
    return scope if len(uris) == 1 or uri == LOOKUP else whole_scope(scope)


def is_too_narrow(request: Request, scope: Scope, history: History) -> bool:
    """Return whether a store may have more that the answer needs than it delivered for a scope.

    It does not know what other nodes of a cluster are managed by. LookupEvents is not asked twice.
    """
    is_of_store = is_narrowed(request) and LOOKUP not in sources_or_default(request.sources)
    return is_of_store and scope.managers and _may_inherit(history, scope)


def is_narrowed(request: Request) -> bool:
    """Return whether a source delivers only the events of the places that were asked for."""
    scope, uris = scope_of(request.wanted, request.access), sources_or_default(request.sources)
    asked = (scope_for(uri, uris, scope) for uri in uris if source_type(uri).narrows)
    return any(of_source.instances or of_source.enis or of_source.addresses for of_source in asked)


def _may_inherit(history: History, scope: Scope) -> bool:
    """Return whether other nodes may show what manages the ENIs and nodes that were asked for."""
    nodes, enis, wanted = {*scope.instances}, {*scope.enis}, Filter(ip=scope.addresses)
    start, end = (scope.period.start, scope.period.end) if scope.period is not None else (None, None)
    for held, groups in history.holders.items() if scope.addresses else ():
        if wanted.takes_addresses([held]):
            leases = (lease for group in groups for lease in group)
            enis.update(
                lease.eni for lease in leases if meet(lease.possible_start(), lease.end.time, start, end)
            )
    for interface in history.interfaces.values():
        places = {attachment.instance for attachment in interface.attachments}
        places |= {interface.mark.instance} if interface.mark is not None else set()
        if interface.eni in enis or not nodes.isdisjoint(places):
            nodes.update(name for name in places if name is not None)
    return any(may_inherit(history.instances.get(name), history.manager_of_node(name)) for name in nodes)
