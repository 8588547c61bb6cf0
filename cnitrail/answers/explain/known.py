"""What explanations are built from: the answers of other commands about one body of evidence."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from ipaddress import ip_network

from msgspec import Struct
from msgspec.structs import asdict

from cnitrail.answers.coverage_text import OF_TABLES, limitations
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import FindingIndex
from cnitrail.answers.leases import leases
from cnitrail.answers.pool import PoolOptions, pool
from cnitrail.answers.state import state
from cnitrail.answers.subnet import SubnetIndex
from cnitrail.answers.timeline import timeline
from cnitrail.answers.who import HolderIndex
from cnitrail.model import (
    AccountRegion,
    Address,
    Coverage,
    Event,
    Finding,
    History,
    LeaseEntry,
    Limits,
    StateEntry,
    TimelineEntry,
    WhoAnswer,
)
from cnitrail.model.pool import PoolEntry
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock, iso

_SAID_OF_TIME = (ReasonCode.BEFORE_EVIDENCE, ReasonCode.AFTER_EVIDENCE, *OF_TABLES)
"""Reasons that the limitations of a time have said already, before those of the range that ends with it."""


class Rerun(Struct, frozen=True):
    """The sources and options that the user gave, which the next command needs again."""

    sources: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def command(self, *words: str) -> str:
        """Return a cnitrail command over the same evidence, quoted for a shell."""
        return shell("cnitrail", *words, *self.sources, *self.options)


def shell(*words: str) -> str:
    """Return words as a shell command."""
    return shlex.join(words)


class Known(Struct, frozen=True, kw_only=True):
    """A history with its coverage, and the answers of other commands about it.

    ``wanted`` has the VPC, account and Region that the user asked for, ``skipped`` is the number of files and
    records that could not be read. ``is_narrowed``: findings cannot be judged, because only the events of the
    target were read. ``is_end``: no time was asked for, so it is when the evidence of the target ends.
    """

    history: History
    coverage: Coverage
    holders: HolderIndex
    subnets: SubnetIndex
    judged: FindingIndex
    limits_of: Callable[[str], Limits | None]
    wanted: Filter
    rerun: Rerun
    is_narrowed: bool = False
    skipped: int = 0
    is_end: bool = False

    def filter(self, **fields: object) -> Filter:
        """Return the filter of the user with more fields."""
        return Filter(**asdict(self.wanted) | fields)

    def who(self, ip: Address, at: datetime, vpc: str | None = None) -> WhoAnswer:
        """Return who held an address; ``vpc`` narrows it to one VPC."""
        return self.holders.who(ip, at, self.filter(vpc=(vpc,)) if vpc is not None else self.wanted)

    def leases(self, ip: Address) -> list[LeaseEntry]:
        """Return the intervals in which ENIs held an address, or its prefix, by start."""
        found = leases(self.history, self.filter(ip=(ip_network(ip),)))
        return sorted(found, key=lambda lease: (lease.start is not None, lease.start, lease.eni))

    def state(self, at: datetime, **fields: object) -> list[StateEntry]:
        """Return the ENIs at a time that a filter keeps."""
        return list(state(self.history, at, Filter(**fields)))  # type: ignore[arg-type]

    def timeline(self, until: datetime, **fields: object) -> list[TimelineEntry]:
        """Return the calls until a time that a filter keeps."""
        return list(timeline(self.history, Filter(until=until, **fields)))  # type: ignore[arg-type]

    def pool(self, instance: str) -> PoolEntry | None:
        """Return the address pool of an instance; None if no event shows an ENI of it."""
        wanted = Filter(instance=(instance,))
        found = pool(self.history, self.coverage, wanted, PoolOptions(limits_of=self.limits_of))
        return next((entry for entry in found if entry.instance == instance), None)

    def findings(self, *wanted: Filter) -> tuple[Finding, ...]:
        """Return the findings that any of some filters keeps, the gravest first."""
        return self.judged.findings(*wanted)

    def uncovered(
        self, since: datetime | None, at: datetime, places: Sequence[AccountRegion]
    ) -> Iterator[Reason]:
        """Yield what the evidence of some accounts and Regions lacks at a time, and from a start to it."""
        accounts = tuple(sorted({account for account, _ in places if account is not None}))
        regions = tuple(sorted({region for _, region in places if region is not None}))
        wanted = Filter(account=accounts, region=regions, since=since, until=at)
        yield from limitations(self.coverage, wanted, at)
        yield from (
            reason for reason in limitations(self.coverage, wanted) if reason.code not in _SAID_OF_TIME
        )

    def moment(self, at: datetime) -> str:
        """Return the time of an explanation, with what it is."""
        return f"{clock(at)} (end of the evidence)" if self.is_end else clock(at)

    def explain_next(self, at: datetime, *words: str) -> str:
        """Return the command that explains something else at the same time."""
        return self.rerun.command("explain", *words, *([] if self.is_end else ["--at", iso(at)]))

    def event(self, event_id: str | None) -> Event | None:
        """Return an event by its ID; None if there is none."""
        if event_id is None:
            return None
        return next((event for event in self.history.events if event.event_id == event_id), None)

    def first_of(self, account: str | None, region: str | None) -> datetime | None:
        """Return when the evidence of an account and Region begins; None if there is none."""
        return min((reach.first for reach in self.coverage.of(account, region)), default=None)

    def end_of(self, places: Iterable[AccountRegion]) -> datetime | None:
        """Return when the evidence of accounts and Regions ends; None if there is none."""
        found = [reach for place in places for reach in self.coverage.of(*place)] or self.coverage.reaches
        return max((reach.last for reach in found), default=None)


def distinct_sorted(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return the distinct names that are known, sorted."""
    return tuple(sorted({name for name in names if name}))


def only(values: Sequence[str | None]) -> str | None:
    """Return the one value that is known; None if there is none, or several."""
    known = distinct_sorted(values)
    return known[0] if len(known) == 1 else None
