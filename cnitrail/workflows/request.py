"""What is asked for: sources, filters, and how AWS is reached."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnitrail.decode import NAMES, RELEVANT_CALLS
from cnitrail.decode.lookup_hints import LOOKUP_HINTS
from cnitrail.model import DELIVERY_LAG, Growth, LeasePeriod, Scope
from cnitrail.model.table import EngineOptions
from cnitrail.parse import parse_node

if TYPE_CHECKING:
    from cnitrail.answers.filters import Filter


class Access(Struct, frozen=True, kw_only=True):
    """How AWS is called, and how far files are trusted.

    ``lag`` is the delay of LookupEvents, ``max_calls`` the number of its calls in each Region at most.
    ``newest`` is how many of the newest events a lookup by event name has to read; None for all. It is for a
    request whose filters are only Regions and times: others keep fewer (``api.open_newest``).
    ``delivery_lag`` is how late an event's log file may be delivered. ``max_ratio`` bounds the text of
    a compressed file by its size. ``workers`` is the number of processes that read files; None for as many
    as are useful. ``assume_complete`` is the user's statement that no event is missing
    except those that could not be read. ``engine`` is how a query engine is used.
    """

    profile: str | None = None
    endpoint_url: str | None = None
    lag: timedelta = timedelta(minutes=15)
    max_calls: int = 3600
    newest: int | None = None
    request_payer: str | None = None
    delivery_lag: timedelta = DELIVERY_LAG
    max_ratio: int = Growth().most
    workers: int | None = None
    assume_complete: bool = False
    engine: EngineOptions = EngineOptions()


class Request(Struct, frozen=True, kw_only=True):
    """What to read, what of it to keep, and whether digests have to prove it.

    ``public_keys`` is the path of a file with the keys that digests are signed with. ``period`` is what the
    answer will show of who had addresses, if it shows nothing else of the history. ``managers``: answers
    may show what manages the addresses of ENIs and nodes.
    """

    sources: tuple[str, ...]
    wanted: Filter
    access: Access
    verify: bool = False
    public_keys: str | None = None
    period: LeasePeriod | None = None
    managers: bool = False


def for_findings(request: Request) -> Request:
    """Return a request that reads what findings are judged by: no filter of the resources of one node."""
    return replace(request, wanted=replace(request.wanted, instance=(), node=(), eni=(), ip=()))


def period_of(wanted: Filter, *, leases_only: bool = False) -> LeasePeriod | None:
    """Return what an answer shows of who had addresses; None if other records decide what it says.

    Whether anything mentions the values of other filters is said of everything that was read.
    """
    kept = ("instance", "node", "eni", "ip", "account", "region", "since", "until", "failed")
    has_others = any(
        getattr(wanted, name) not in ((), None) for name in wanted.__struct_fields__ if name not in kept
    )
    kinds = (wanted.eni, wanted.instance or wanted.node, wanted.ip)
    if has_others or sum(map(bool, kinds)) > 1:
        return None
    return LeasePeriod(start=wanted.since, end=wanted.until, leases_only=leases_only)


def scope_of(wanted: Filter, access: Access) -> Scope:
    """Return what sources are asked for, given what will be kept.

    A node that is named by its address may be any instance, and its other ENIs are found only by the ID of
    that instance: everything is read.
    """
    nodes = tuple(map(parse_node, wanted.node))
    instances = tuple(node for node in nodes if isinstance(node, str))
    is_narrow = len(instances) == len(nodes)
    return Scope(
        since=wanted.since,
        until=wanted.until,
        regions=wanted.region,
        accounts=wanted.account,
        instances=(wanted.instance or instances) if is_narrow else (),
        enis=wanted.eni if is_narrow else (),
        addresses=wanted.ip if is_narrow else (),
        event_names=NAMES,
        lookup_hints=LOOKUP_HINTS,
        relevant_calls=RELEVANT_CALLS,
        engine=access.engine,
        profile=access.profile,
        endpoint_url=access.endpoint_url,
        lag=access.lag,
        max_calls=access.max_calls,
        newest=access.newest,
        request_payer=access.request_payer,
        delivery_lag=access.delivery_lag,
        growth=Growth(access.max_ratio),
        workers=access.workers,
    )
