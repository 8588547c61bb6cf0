"""The timeline as a table and as CSV."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import IO

from msgspec import Struct, field

from cnitrail.model import Actor, Answer, CallOutcome, Effect, Held, HoldingKind, SetAside, TimelineEntry
from cnitrail.model.callers import Names, Principal, named, principal_of
from cnitrail.model.ec2 import error_code
from cnitrail.render.actors import facts
from cnitrail.render.csv import Columns, table
from cnitrail.render.text import Part, Row, Table, draw
from cnitrail.text import counted

BURST = timedelta(seconds=10)
"""Maximum pause between equal calls that are shown as one row."""

COLUMNS: Columns = {
    "time": lambda entry: entry.time,
    "event_id": lambda entry: entry.event_id,
    "event": lambda entry: entry.event,
    "effect": lambda entry: entry.effect.value,
    "outcome": lambda entry: entry.outcome,
    "error_code": lambda entry: entry.error and entry.error.code,
    "error_message": lambda entry: entry.error and entry.error.message,
    "account": lambda entry: entry.account,
    "region": lambda entry: entry.region,
    "actor_kind": lambda entry: entry.actor.kind.value,
    "actor": lambda entry: entry.actor.label,
    "actor_arn": lambda entry: entry.actor.arn,
    "role": lambda entry: entry.actor.role,
    "session": lambda entry: entry.actor.session,
    "service_account": lambda entry: entry.actor.service_account,
    "cluster": lambda entry: entry.actor.cluster,
    "oidc_provider": lambda entry: entry.actor.oidc_provider,
    "access_key_id": lambda entry: entry.actor.access_key_id,
    "source_ip": lambda entry: entry.actor.source_ip,
    "invoked_by": lambda entry: entry.actor.invoked_by,
    "claimed_instance": lambda entry: entry.actor.claimed_instance,
    "assumed_by": lambda entry: entry.actor.assumed_by,
    "source_identity": lambda entry: entry.actor.source_identity,
    "agent": lambda entry: entry.actor.agent.name,
    "agent_version": lambda entry: entry.actor.agent.version,
    "agent_raw": lambda entry: entry.actor.agent.raw,
    "ipamd": lambda entry: entry.actor.ipamd,
    "eni": lambda entry: entry.eni,
    "eni_kind": lambda entry: entry.eni_kind,
    "attachment": lambda entry: entry.attachment,
    "device_index": lambda entry: entry.device_index,
    "instance": lambda entry: entry.instance,
    "instance_basis": lambda entry: entry.instance_basis,
    "eni_claimed_instance": lambda entry: entry.claimed_instance,
    "vpc": lambda entry: entry.vpc,
    "subnet": lambda entry: entry.subnet,
    "added": lambda entry: entry.added,
    "removed": lambda entry: entry.removed,
    "shown": lambda entry: entry.shown,
    "requested": lambda entry: entry.requested,
    "requested_kind": lambda entry: entry.requested_kind and entry.requested_kind.value,
    "requested_addresses": lambda entry: entry.requested_addresses,
    "carried": lambda entry: entry.carried,
    "force": lambda entry: entry.force,
    "moved": lambda entry: [f"{moved.ip}<{moved.from_eni}" for moved in entry.moved],
    "public_address": lambda entry: entry.public_address,
    "set_aside": lambda entry: entry.set_aside and entry.set_aside.value,
    "proven": lambda entry: entry.proven,
    "damaged": lambda entry: entry.damaged,
    "disputed": lambda entry: entry.disputed,
    "correction_of": lambda entry: entry.correction_of,
    "resource": lambda entry: entry.resource,
    "omitted": lambda entry: entry.omitted,
    "origins": lambda entry: [f"{origin.source}#{origin.index}" for origin in entry.origins],
}


class _Burst(Struct):
    """Equal calls in quick succession, shown as one row."""

    entries: list[TimelineEntry] = field(default_factory=list)

    def takes(self, entry: TimelineEntry) -> bool:
        """Return whether an entry continues the burst."""
        last = self.entries[-1]
        return _alike(last) == _alike(entry) and entry.time - last.time <= BURST


def write_csv(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Write one CSV line per entry."""
    out.writelines(table(COLUMNS, answer.entries))


def write_table(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Write a table of the entries, and below it the details of their principals."""
    names = Names((entry.actor, entry.cluster) for entry in answer.entries)
    actors: dict[tuple[str, Principal], Actor] = {}
    rows: list[Row] = []
    for burst in _bursts(answer.entries):
        actor = burst.entries[0].actor
        actors.setdefault((names(actor), principal_of(actor)), actor)
        rows.append(_row(burst, names))
    if not rows:
        return
    headings = ("TIME (UTC)", "API CALL", "PRINCIPAL", "ENI")
    draw(Table(headings, rows, shares={"API CALL": 3, "PRINCIPAL": 2}), out)
    out.write("\n")
    legend: list[Row] = [
        ([(names(actor), "")], [("; ".join(facts(actor)), "dim")]) for actor in actors.values()
    ]
    draw(Table(("PRINCIPAL", "DETAILS"), legend, shares={"PRINCIPAL": 1, "DETAILS": 3}), out)


def sentence(entry: TimelineEntry) -> str:
    """Return an entry as one sentence: the call, its principal, its target and its result."""
    (call, _), *result = _call(_Burst([entry]))
    principal, target, outcome = (
        " ".join(text for text, _ in parts)
        for parts in (_principal(entry.actor, named), _target(entry), result)
    )
    return (
        f"{call} by {principal}" + (f" on {target}" if target else "") + (f": {outcome}" if outcome else "")
    )


def outcome_mark(entry: TimelineEntry) -> str:
    """Return what follows the name of a call that changed nothing; empty for any other."""
    return _OUTCOME_MARKS[entry.outcome]


_OUTCOME_MARKS = {CallOutcome.OK: "", CallOutcome.FAILED: " FAILED", CallOutcome.DRY_RUN: " (dry run)"}


def _bursts(entries: Iterable[TimelineEntry]) -> Iterator[_Burst]:
    burst = _Burst()
    for entry in entries:
        if burst.entries and not burst.takes(entry):
            yield burst
            burst = _Burst()
        burst.entries.append(entry)
    if burst.entries:
        yield burst


def _alike(entry: TimelineEntry) -> tuple[object, ...]:
    """Return what entries must share to be shown as one row."""
    target = (
        entry.eni,
        entry.instance,
        entry.resource,
        entry.public_address,
        entry.allocation,
        entry.force,
        tuple(_notes(entry)),
    )
    asked = (entry.requested, entry.requested_kind, entry.requested_addresses) if entry.error else None
    actor = entry.actor
    caller = principal_of(actor), _credentials(actor), actor.agent
    return entry.event, entry.error, entry.trail, *target, asked, *caller


def _credentials(actor: Actor) -> tuple[str | None, ...]:
    return actor.arn, actor.access_key_id


def _row(burst: _Burst, names: Names) -> Row:
    first, last = burst.entries[0], burst.entries[-1]
    time: list[Part] = [(f"{first.time:%Y-%m-%d}", "dim"), (f"{first.time:%H:%M:%S}", "")]
    if last.time != first.time:
        time.append((f"to {last.time:%H:%M:%S}", "dim"))
    return time, list(_call(burst)), list(_principal(first.actor, names)), list(_target(first))


def _call(burst: _Burst) -> Iterator[Part]:
    first, count = burst.entries[0], len(burst.entries)
    times = f" ×{count}" if count > 1 else ""
    if first.error is not None:
        failed = first.outcome is CallOutcome.FAILED
        yield f"{first.event}{times}{outcome_mark(first)}", "bold red" if failed else "bold"
        if failed:
            message = f": {first.error.message}" if first.error.message else ""
            yield error_code(first.error.code) + message, "red"
        if first.requested_addresses:
            yield "requested " + " ".join(first.requested_addresses), "dim"
        elif first.requested is not None:
            yield f"requested {_number(first.requested, first.requested_kind)}", "dim"
        yield from _notes(first)
        return
    yield first.event + times, "bold"
    yield from _addresses("+", "green", (held for entry in burst.entries for held in entry.added))
    yield from _addresses("has ", "dim", (held for entry in burst.entries for held in entry.shown))
    yield from _addresses("-", "yellow", (held for entry in burst.entries for held in entry.removed))
    for moved in (moved for entry in burst.entries for moved in entry.moved):
        yield f"{moved.ip} taken from {moved.from_eni}", "magenta"
    if first.force:
        yield "forced", "yellow"
    unnamed = _UNNAMED.get(first.effect)
    if unnamed is not None and first.requested is not None and not first.added:
        lacks = "" if "response" in first.omitted else f" the record does not name the {unnamed}"
        yield f"requested {_number(first.requested, first.requested_kind)};{lacks}", "dim"
    if first.trail is not None:
        yield f"{first.trail.trail or first.trail.bucket or 'a trail'} {first.trail.change}", "yellow"
    if first.cidr is not None:
        yield str(first.cidr), ""
    if first.public_address or first.allocation:
        address = first.public_address or f"of {first.allocation}"
        yield f"public address {address}", "dim"
    yield from _notes(first)


def _number(count: int, kind: HoldingKind | None) -> str:
    """Return how many were requested; what EC2 counts in whole prefixes is said to be prefixes."""
    nouns = {HoldingKind.PREFIX: "prefix", HoldingKind.IPV6_PREFIX: "IPv6 prefix"}
    return counted(count, nouns[kind]) if kind in nouns else str(count)


_UNNAMED = {Effect.LAUNCH: "instances", Effect.CREATE: "addresses", Effect.ASSIGN: "addresses"}
"""What a record without a response does not name, by what its call did."""

_ASIDE = {
    SetAside.FOREIGN: "set aside: the ENI or instance belongs to another account or Region",
    SetAside.UNPROVEN: "set aside: no valid digest covers it",
}


def _notes(entry: TimelineEntry) -> Iterator[Part]:
    """Yield the reasons to doubt a record."""
    if entry.set_aside is not None:
        yield _ASIDE[entry.set_aside], "bold yellow"
        if entry.requested_addresses:
            yield "names " + " ".join(entry.requested_addresses), "dim"
    elif entry.proven is False:
        yield "not verified: no valid digest covers it", "yellow"
    if entry.omitted:
        parts = " and ".join(entry.omitted)
        yield f"{parts} omitted by CloudTrail (over 100 KB)", "yellow"
    if entry.disputed:
        yield "records of this event disagree", "yellow"
    if entry.damaged:
        yield "from a damaged file: may be altered", "yellow"
    if entry.correction_of is not None:
        yield f"corrects event {entry.correction_of}", "dim"


def _addresses(sign: str, style: str, held: Iterable[Held]) -> Iterator[Part]:
    """Yield the distinct addresses of a burst: its calls may name the same address again and again."""
    distinct = dict.fromkeys(held)
    if distinct:
        yield f"{sign}{len(distinct)}: " + " ".join(map(str, distinct)), style


def _principal(actor: Actor, names: Callable[[Actor], str]) -> Iterator[Part]:
    yield names(actor), ""
    agent = actor.agent.name or actor.agent.sdk or actor.agent.raw
    if agent and agent != actor.label:
        version = f" {actor.agent.version}" if actor.agent.version else ""
        yield f"via {agent}{version}", "dim"
    if actor.ipamd not in (None, "user-agent"):
        yield f"ipamd by {actor.ipamd}", "dim"


def _target(entry: TimelineEntry) -> Iterator[Part]:
    if entry.eni:
        yield entry.eni, ""
    kind = [entry.eni_kind] if entry.eni_kind else []
    if entry.device_index is not None:
        kind.append(f"device {entry.device_index}")
    if kind:
        yield ", ".join(kind), "dim"
    if entry.instance:
        yield entry.instance, "cyan"
    if entry.instance_type:
        yield entry.instance_type, "dim"
    if entry.claimed_instance:
        yield f"claimed for {entry.claimed_instance}", "dim"
    if entry.resource:
        yield entry.resource, ""
    if entry.trunk:
        yield f"trunk {entry.trunk}", "dim"
    if not entry.eni and entry.attachment:
        yield entry.attachment, "dim"
