"""cnitrail as a library: read evidence once, then ask it as many questions as you like.

>>> import cnitrail
>>> case = cnitrail.read("logs/", since="2022-10-05")
>>> case.who("192.168.53.76", "2022-10-05T14:00Z").verdict

The command line asks the same questions through this module. Values are frozen and typed, and the same that
``-o json`` writes; ``to_dicts`` turns them into dictionaries. Errors are those of ``cnitrail.errors``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from msgspec.structs import asdict, replace

from cnitrail.answers.filters import Filter
from cnitrail.errors import UsageError
from cnitrail.model import Coverage
from cnitrail.parse import not_an_id, parse_address, parse_duration, parse_id, parse_network, parse_time
from cnitrail.sources import source_type, sources_or_default
from cnitrail.workflows.observer import SILENT
from cnitrail.workflows.request import Access, Request

if TYPE_CHECKING:
    from cnitrail.answers.pool import Settings
    from cnitrail.answers.subnet import SubnetIndex
    from cnitrail.answers.who import HolderIndex
    from cnitrail.model import (
        AccountRegion,
        Evidence,
        Finding,
        History,
        LeaseEntry,
        Limits,
        Report,
        StateEntry,
        Swimlane,
        TimelineEntry,
        WhoAnswer,
    )
    from cnitrail.model.ipamd import IpamdPool
    from cnitrail.model.pool import PoolEntry
    from cnitrail.model.subnet import SubnetCensus
    from cnitrail.workflows.observer import Observer

Time: TypeAlias = datetime | str
"""An aware datetime, or what ``--at`` takes: ISO 8601, a date, epoch seconds, an age (``2h``)."""
Length: TypeAlias = timedelta | str
"""A timedelta, or what ``--lag`` takes: ``90s``, ``15m``, ``2h``."""
Address: TypeAlias = IPv4Address | IPv6Address | str
Block: TypeAlias = Address | IPv4Network | IPv6Network
"""An address, or a CIDR block."""
Names: TypeAlias = str | Iterable[str]
"""One value, or several of which any may match."""

_DEFAULT = Access()


class Filters(TypedDict, total=False):
    """The filters of a question: those of the command line, by the same names."""

    instance: Names
    eni: Names
    ip: Block | Iterable[Block]
    vpc: Names
    subnet: Names
    cluster: Names
    account: Names
    region: Names
    actor: Names
    agent: Names
    event: Names
    since: Time | None
    until: Time | None
    failed: bool | None


def read(
    *sources: str | os.PathLike[str],
    since: Time | None = None,
    until: Time | None = None,
    instance: Names = (),
    eni: Names = (),
    ip: Block | Iterable[Block] = (),
    account: Names = (),
    region: Names = (),
    verify: bool = False,
    public_keys: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    request_payer: str | None = None,
    lag: Length = _DEFAULT.lag,
    max_calls: int = _DEFAULT.max_calls,
    delivery_lag: Length = _DEFAULT.delivery_lag,
    max_ratio: int = _DEFAULT.max_ratio,
    assume_complete: bool = False,
    observer: Observer = SILENT,
) -> Case:
    """Read evidence: files, directories, stores, ``s3://BUCKET/PREFIX``, or ``lookup:`` if none is named.

    Filters bound what is fetched, and are the defaults of every question to the case. All other arguments
    are the options of the command line with the same names. What cannot be read is in
    ``case.evidence.skipped``, and raises nothing. Raises ``UsageError`` for a value that makes no sense, and
    ``SourceError`` if a source cannot be read at all.
    """
    wanted = _filter(
        Filter(),
        {
            "instance": instance,
            "eni": eni,
            "ip": ip,
            "account": account,
            "region": region,
            "since": since,
            "until": until,
        },
    )
    access = Access(
        profile=profile,
        endpoint_url=endpoint_url,
        lag=_length(lag),
        max_calls=_count("max_calls", max_calls, 1),
        request_payer=request_payer,
        delivery_lag=_length(delivery_lag),
        max_ratio=_count("max_ratio", max_ratio, 1),
        assume_complete=assume_complete,
    )
    keys = _path(public_keys) if public_keys is not None else None
    if keys is not None and not verify:
        raise UsageError("public_keys is for verify=True", "add verify=True")
    request = Request(
        sources=tuple(map(_path, sources)), wanted=wanted, access=access, verify=verify, public_keys=keys
    )
    return open_case(request, observer)


def open_case(request: Request, observer: Observer = SILENT) -> Case:
    """Read the sources of a request. Raises as ``read`` does."""
    from cnitrail.workflows.read import read as read_sources

    history, evidence = read_sources(request, observer)
    return Case(history, evidence, request.wanted, is_narrowed=_is_narrowed(request))


class Case:
    """Everything that was read, ready to be asked.

    Every question takes the filters of ``Filters``. A filter that was given to ``read`` applies unless the
    question has its own; ``()`` or ``None`` removes it.
    """

    def __init__(
        self, history: History, evidence: Evidence, wanted: Filter | None = None, *, is_narrowed: bool = False
    ) -> None:
        self.history = history
        """All events, ENIs, instances and leases, as rebuilt from the evidence."""
        self.evidence = evidence
        """What was read, what could not be read, and what times that covers."""
        self.wanted = wanted or Filter()
        """The filters of questions that have none of their own."""
        self.is_narrowed = is_narrowed
        """Whether a source delivered only the events of the places that were asked for."""

    @property
    def coverage(self) -> Coverage:
        """The times of which the evidence is known to have all events, or not."""
        return Coverage(self.evidence.coverage, self.evidence.lost)

    def timeline(self, **filters: Unpack[Filters]) -> list[TimelineEntry]:
        """Return who assigned, moved or released which addresses, by time."""
        from cnitrail.answers.timeline import timeline

        return list(timeline(self.history, self._filter(filters)))

    def swimlanes(self, **filters: Unpack[Filters]) -> list[Swimlane]:
        """Return the timeline and the leases of each ENI, for drawing."""
        from cnitrail.answers.swimlanes import lanes

        return list(lanes(self.history, self._filter(filters)))

    def leases(self, **filters: Unpack[Filters]) -> list[LeaseEntry]:
        """Return every interval in which an ENI held an address or a prefix."""
        from cnitrail.answers.leases import leases

        return list(leases(self.history, self._filter(filters)))

    def who(
        self,
        ip: Address,
        at: Time,
        *,
        vpc: Names | None = None,
        account: Names | None = None,
        region: Names | None = None,
    ) -> WhoAnswer:
        """Return who held an address at a time, how certain that is, and why."""
        given = {"vpc": vpc, "account": account, "region": region}
        own = {name: value for name, value in given.items() if value is not None}
        wanted = Filter(vpc=self.wanted.vpc, account=self.wanted.account, region=self.wanted.region)
        return self._holders.who(_address(ip), _time(at), _filter(wanted, own))

    def state(self, at: Time, **filters: Unpack[Filters]) -> list[StateEntry]:
        """Return the ENIs, their attachments and addresses at a time."""
        from cnitrail.answers.state import state

        return list(state(self.history, _time(at), self._filter(filters)))

    def subnet(self, subnets: Names, at: Time | None = None) -> list[SubnetCensus]:
        """Return who holds the addresses of each subnet at a time: by default, when its evidence ends.

        Subnets that no event mentions are left out. Raises ``UsageError`` for what is no subnet ID.
        """
        names = tuple(dict.fromkeys(_id("subnet", name) for name in _several(subnets)))
        time = _time(at) if at is not None else None
        return [
            self._subnets.census(name, time or self._end_of(self._subnets.place(name)))
            for name in names
            if self._subnets.knows(name)
        ]

    def findings(self, **filters: Unpack[Filters]) -> tuple[Finding, ...]:
        """Return problems and suspicious changes, the gravest first.

        Filters select findings, which are judged against everything that was read. Raises ``UsageError`` if
        only the events of some instances, ENIs or addresses were read.
        """
        from cnitrail.answers.findings import findings

        if self.is_narrowed:
            raise UsageError(
                "findings need all events of an account and Region",
                "read without instance, eni and ip, and give them to findings()",
            )
        return findings(self.history, self.coverage, self._filter(filters))

    def pool(
        self,
        *,
        what_if: Settings | Iterable[Settings] = (),
        pods: Iterable[tuple[Time, int]] = (),
        metrics: tuple[str, IpamdPool] | None = None,
        ipamd: tuple[str, IpamdPool] | None = None,
        limits: Mapping[str, Limits] | None = None,
        **filters: Unpack[Filters],
    ) -> list[PoolEntry]:
        """Return the pool of addresses of each node, and the CNI settings that explain it.

        ``what_if`` are other settings to compare with, ``pods`` counts of pods, each from its time on.
        ``metrics`` and ``ipamd`` are what ipamd reports, with its name. ``limits`` are those of instance
        types that cnitrail does not know.
        """
        from cnitrail.answers.pool import PoolOptions, pool
        from cnitrail.limits import limits_of

        given = limits or {}
        options = PoolOptions(
            limits_of=lambda name: given.get(name) or limits_of(name),
            what_if=tuple(_settings(settings) for settings in _several(what_if)),
            pods=sorted((_time(time), _count("pods", number)) for time, number in pods),
            metrics=metrics,
            ipamd=ipamd,
        )
        return pool(self.history, self.coverage, self._filter(filters), options)

    def report(self, **filters: Unpack[Filters]) -> Report:
        """Return an incident postmortem; without findings if the case ``is_narrowed``."""
        from cnitrail.answers.report import report

        return report(self.history, self.evidence, self._filter(filters), whole=not self.is_narrowed)

    @cached_property
    def _holders(self) -> HolderIndex:
        from cnitrail.answers.who import HolderIndex

        return HolderIndex(self.history, self.coverage, verified=self.evidence.verified)

    @cached_property
    def _subnets(self) -> SubnetIndex:
        from cnitrail.answers.subnet import SubnetIndex

        return SubnetIndex(self.history)

    def _end_of(self, place: AccountRegion) -> datetime:
        """Return when the evidence of an account and Region ends."""
        return max(reach.last for reach in self.coverage.of(*place) or self.coverage.reaches)

    def _filter(self, filters: Filters) -> Filter:
        return _filter(self.wanted, filters)


def to_dicts(entries: object, *, flat: bool = False) -> list[dict[str, Any]]:
    """Return entries as dictionaries of what JSON can hold, with the fields of ``-o json``.

    ``entries`` is one value or several. If ``flat``, nested fields become columns (``actor.label``), the
    same in every row, as pandas, polars and ``csv.DictWriter`` want them; lists stay lists.
    """
    from msgspec import Struct, json

    several = [entries] if isinstance(entries, Struct) or not isinstance(entries, Iterable) else list(entries)
    built: list[dict[str, Any]] = json.decode(json.encode(several, enc_hook=str))
    return _flattened(built) if flat else built


def _flattened(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without nested dictionaries, all with the same columns in the same order.

    A nested dictionary that is missing leaves no column of its own: its columns are None.
    """
    rows = [dict(_columns(entry)) for entry in entries]
    names = dict.fromkeys(name for row in rows for name in row)
    nested = {name[:end] for name in names for end, sign in enumerate(name) if sign == "."}
    columns = [name for name in names if name not in nested]
    return [{name: row.get(name) for name in columns} for row in rows]


def _columns(entry: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        if isinstance(value, dict) and value:
            yield from _columns(value, f"{above}{name}.")
        else:
            yield above + name, value


def _is_narrowed(request: Request) -> bool:
    """Whether a source delivers only the events of the places that were asked for."""
    wanted = request.wanted
    is_narrow = bool(wanted.instance or wanted.eni or wanted.ip)
    return is_narrow and any(source_type(uri).narrows for uri in sources_or_default(request.sources))


def _filter(base: Filter, given: Mapping[str, Any]) -> Filter:
    """Return a filter with some of its fields replaced. Raises ``UsageError``, ``TypeError`` for a name."""
    unknown = given.keys() - set(Filter.__struct_fields__)
    if unknown:
        raise TypeError(f"no filter is named {', '.join(sorted(unknown))}")
    wanted = replace(base, **{name: _value(name, value) for name, value in given.items()})
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise UsageError("since must be before until")
    return wanted


def _value(name: str, value: Any) -> Any:
    match name:
        case "failed":
            if value is not None and not isinstance(value, bool):
                raise UsageError(f"failed: {value!r} is not True, False or None")
            return value
        case "since" | "until":
            return _time(value) if value is not None else None
        case "ip":
            return tuple(_block(block) for block in _several(value))
        case "instance" | "eni" | "vpc" | "subnet" | "account":
            return tuple(_id(name, text) for text in _several(value))
    return tuple(_text(name, text) for text in _several(value))


def _several(value: Any) -> Iterable[Any]:
    """Return the values of a filter, which may be one alone, or None."""
    if value is None:
        return ()
    is_several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, IPv4Network, IPv6Network))
    return value if is_several else (value,)


def _text(name: str, value: object) -> str:
    """Return a value of a filter. A number would match nothing: account IDs are text."""
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not text", f"try {str(value)!r}")
    return value


def _id(kind: str, value: object) -> str:
    """Return an ID as AWS writes it. Raises ``UsageError``."""
    text = _text(kind, value)
    try:
        return parse_id(kind, text)
    except ValueError:
        mistake, hint = not_an_id(kind, text)
        raise UsageError(f"{kind}: {mistake}", hint) from None


def _settings(value: Settings) -> Settings:
    """Return settings to simulate. Raises ``UsageError`` if they are none, or negative."""
    from cnitrail.answers.pool import Settings

    if not isinstance(value, Settings):
        raise UsageError(f"{value!r} is not a Settings", "use cnitrail.Settings(warm_ip_target=2)")
    for name, number in asdict(value).items():
        if number is not None:
            _count(name, number)
    return value


def _path(value: str | os.PathLike[str]) -> str:
    """Return the path or URI of a source."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise UsageError(f"{value!r} is not a path or URI", "give several as arguments: read(*paths)")
    return path


def _count(name: str, value: int, least: int = 0) -> int:
    if not isinstance(value, int) or value < least:
        raise UsageError(f"{name}: {value!r} is not a number of at least {least}")
    return value


def _time(value: Time) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise UsageError(f"{value.isoformat()} has no time zone", "use an aware datetime, or a text: UTC")
    try:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return parse_time(str(value).strip(), datetime.now(UTC))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{value!r} is not a time", "try 2022-10-05T13:16:06Z, 2022-10-05, epoch seconds, or an age: 2h"
        ) from None


def _length(value: Length) -> timedelta:
    try:
        length = value if isinstance(value, timedelta) else parse_duration(str(value))
    except (ValueError, OverflowError):
        raise UsageError(f"{value!r} is not a length of time", "try 90s, 15m or 2h") from None
    if length < timedelta():
        raise UsageError(f"{value!r} is not a length of time: it is negative")
    return length


def _address(value: Address) -> IPv4Address | IPv6Address:
    try:
        return parse_address(str(value))
    except ValueError:
        raise UsageError(f"{value!r} is not an IP address") from None


def _block(value: Block) -> IPv4Network | IPv6Network:
    try:
        return parse_network(str(value))
    except ValueError:
        raise UsageError(
            f"{value!r} is not an IP address or CIDR block", "try 10.0.1.25 or 10.0.1.0/24"
        ) from None
