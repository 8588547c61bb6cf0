"""The timeline as a table and as CSV."""

from collections.abc import Iterable
from typing import IO

from cnitrail.model import Actor, ActorKind, Answer, TimelineEntry
from cnitrail.model.callers import Names, Principal, named, principal_of
from cnitrail.render.actors import facts, shared_facts
from cnitrail.render.csv import Columns, table
from cnitrail.render.folded_calls import FoldedCalls, folded
from cnitrail.render.pod_moments import Line, PodMoment, with_moments
from cnitrail.render.pod_parts import name_of
from cnitrail.render.text import Row, Screen, Table, draw_lines, draw_wide
from cnitrail.render.timeline_groups import grouped
from cnitrail.render.timeline_parts import (
    agent_of,
    call_of,
    claims,
    clusters_of,
    details,
    eni_kind_of,
    result,
    running,
    target_of,
    value_of,
    via,
)
from cnitrail.text import iso

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
    "changes": lambda entry: [f"{change.attribute}={value_of(change)}" for change in entry.changes],
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
    "pods": lambda entry: [name_of(pod) for pod in entry.pods],
}


def write_csv(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Write one CSV line per entry."""
    out.writelines(table(COLUMNS, answer.entries))


def write_table(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Draw the entries on a screen, grouped by what they share, or write each with all of it on one line.

    The details of their principals follow.
    """
    if not answer.entries:
        return
    names = _names(answer)
    rows = with_moments(folded(answer.entries))
    if isinstance(out, Screen):
        out.draw_groups(grouped(rows, names))
        out.write("\n")
        out.draw(_short_legend(answer, names))
    else:
        headings = tuple(heading for heading in _HEADINGS if heading not in _ONLY_WIDE)
        draw_lines(headings, (_line(row, names, headings) for row in rows), out)
        out.write("\n")
        draw_wide(_legend(answer, names), out)


def write_wide(answer: Answer[TimelineEntry], out: IO[str]) -> None:
    """Write every entry with all of its context on one line, whatever the width of the screen."""
    if not answer.entries:
        return
    names = _names(answer)
    rows = with_moments([FoldedCalls([entry]) for entry in answer.entries])
    draw_lines(_HEADINGS, (_line(row, names, _HEADINGS) for row in rows), out)
    out.write("\n")
    draw_wide(_legend(answer, names), out)


def sentence(entry: TimelineEntry) -> str:
    """Return an entry as one sentence: the call, its principal, its target and its result."""
    call = call_of(entry)
    principal = " ".join(filter(None, (named(entry.actor), via(entry.actor))))
    target = " ".join(_target(entry))
    outcome = running([*result(FoldedCalls([entry]))])
    return (
        f"{call} by {principal}" + (f" on {target}" if target else "") + (f": {outcome}" if outcome else "")
    )


_HEADINGS = (
    *("TIME (UTC)", "API CALL", "ENI", "KIND", "INSTANCE", "TYPE", "CLUSTER", "ACCOUNT", "REGION"),
    *("VPC", "SUBNET", "PRINCIPAL", "AGENT", "SOURCE IP", "EVENT ID", "DETAILS"),
)
_ONLY_WIDE = ("VPC", "SUBNET", "SOURCE IP", "EVENT ID")


def _line(row: Line, names: Names, headings: Iterable[str]) -> Row:
    """Return a row with all of its context, so that ``grep`` finds it by any of that."""
    cells = _place_cells(row.first) | (
        _moment_cells(row) if isinstance(row, PodMoment) else _call_cells(row, names)
    )
    return [[(cells.get(heading) or "", "")] for heading in headings]


def _place_cells(entry: TimelineEntry) -> dict[str, str | None]:
    """Return the ENI of a row and where it is."""
    return {
        "ENI": target_of(entry),
        "KIND": eni_kind_of(entry),
        "INSTANCE": entry.instance,
        "TYPE": entry.instance_type,
        "CLUSTER": clusters_of(entry),
        "ACCOUNT": entry.account,
        "REGION": entry.region,
        "VPC": entry.vpc,
        "SUBNET": entry.subnet,
    }


def _call_cells(row: FoldedCalls, names: Names) -> dict[str, str | None]:
    entry = row.first
    return {
        "TIME (UTC)": iso(entry.time),
        "API CALL": call_of(entry),
        "PRINCIPAL": names(entry.actor),
        "AGENT": agent_of(entry.actor),
        "SOURCE IP": entry.actor.source_ip,
        "EVENT ID": entry.event_id,
        "DETAILS": running([*details(row)]),
    }


def _moment_cells(row: PodMoment) -> dict[str, str | None]:
    """Return when a pod got or released its address; no principal did that by a call of EC2."""
    return {
        "TIME (UTC)": row.first.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "API CALL": row.what,
        "DETAILS": running([*row.details]),
    }


def _target(entry: TimelineEntry) -> Iterable[str]:
    parts = (target_of(entry), eni_kind_of(entry), entry.instance, entry.instance_type, *claims(entry))
    return filter(None, parts)


def _names(answer: Answer[TimelineEntry]) -> Names:
    return Names((entry.actor, entry.cluster) for entry in answer.entries)


def _legend(answer: Answer[TimelineEntry], names: Names) -> Table:
    """Return the table of what is known about each principal."""
    return _facts_table([(names(actor), facts(actor)) for actor in _actors(answer, names)])


def _short_legend(answer: Answer[TimelineEntry], names: Names) -> Table:
    """Return the table with one row for the nodes that share a role, and differ in nothing else."""
    alike: dict[tuple[str, ...], list[Actor]] = {}
    for actor in _actors(answer, names):
        is_node = actor.kind is ActorKind.INSTANCE_ROLE and actor.instance == actor.label
        key = shared_facts(actor) if is_node else (names(actor), *principal_of(actor))
        alike.setdefault(tuple(key), []).append(actor)
    return _facts_table(
        (names(actor), facts(actor, brief=True))
        if not others
        else (f"{len(others) + 1:,} instances (instance role)", shared_facts(actor))
        for actor, *others in alike.values()
    )


def _actors(answer: Answer[TimelineEntry], names: Names) -> Iterable[Actor]:
    actors: dict[tuple[str, Principal], Actor] = {}
    for entry in answer.entries:
        actors.setdefault((names(entry.actor), principal_of(entry.actor)), entry.actor)
    return actors.values()


def _facts_table(principals: Iterable[tuple[str, list[str]]]) -> Table:
    rows: list[Row] = [([(name, "")], [("; ".join(found), "")]) for name, found in principals]
    return Table(("PRINCIPAL", "DETAILS"), rows, shares={"PRINCIPAL": 1, "DETAILS": 3})
