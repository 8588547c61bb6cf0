"""The texts of which a row of the timeline consists, and their styles."""

import re
from collections.abc import Iterable, Iterator, Sequence
from json import dumps
from typing import TYPE_CHECKING

from cnitrail.model import (
    Actor,
    AttributeChange,
    CallOutcome,
    Effect,
    Held,
    HoldingKind,
    SetAside,
    TimelineEntry,
)
from cnitrail.model.ec2 import error_code
from cnitrail.render.text import Part
from cnitrail.text import counted, iso, shortened

if TYPE_CHECKING:
    from cnitrail.render.folded_calls import FoldedCalls


def call_of(entry: TimelineEntry) -> str:
    """Return the name of a call, and its outcome if it changed nothing."""
    return entry.event + outcome_mark(entry)


def outcome_mark(entry: TimelineEntry) -> str:
    """Return what follows the name of a call that changed nothing; empty for any other."""
    return _OUTCOME_MARKS[entry.outcome]


_OUTCOME_MARKS = {CallOutcome.OK: "", CallOutcome.FAILED: " FAILED", CallOutcome.DRY_RUN: " (dry run)"}


def target_of(entry: TimelineEntry) -> str | None:
    """Return the ENI of a call; if it names none, the resource or the attachment that it names."""
    return entry.eni or entry.resource or entry.attachment


def eni_kind_of(entry: TimelineEntry) -> str:
    """Return the kind of an ENI and its device index: ``cni, device 1``."""
    device = f"device {entry.device_index}" if entry.device_index is not None else None
    return ", ".join(filter(None, (entry.eni_kind, device)))


def clusters_of(entry: TimelineEntry) -> str:
    """Return the cluster of a call; all of them if its tags name several."""
    return entry.cluster or ", ".join(entry.clusters)


def agent_of(actor: Actor) -> str:
    """Return the program that a caller's user agent names; empty if the caller is named after it."""
    agent = actor.agent.name or actor.agent.sdk or actor.agent.raw
    if not agent or agent == actor.label:
        return ""
    return f"{agent} {actor.agent.version}" if actor.agent.version else agent


def via(actor: Actor) -> str:
    """Return through what a caller made a call, and how it is known to be the VPC CNI if not by that."""
    agent = agent_of(actor)
    ipamd = f"ipamd by {actor.ipamd}" if actor.ipamd not in (None, "user-agent") else ""
    return " ".join(filter(None, (f"via {agent}" if agent else "", ipamd)))


def separated(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield parts that follow each other, with a semicolon between them."""
    for number, (text, style) in enumerate(parts, 1):
        yield (text if number == len(parts) else f"{text.removesuffix('.')};"), style


def running(parts: Sequence[Part]) -> str:
    """Return parts as one text."""
    return " ".join(text for text, _ in separated(parts))


def details(row: "FoldedCalls") -> Iterator[Part]:
    """Yield how often a call was made and until when, what it did, and what else its record says."""
    if len(row.entries) > 1:
        yield _repeated(row), "bold"
    yield from result(row)
    yield from ((claim, "dim") for claim in claims(row.first))


def _repeated(row: "FoldedCalls") -> str:
    first, last, times = row.first.time, row.last.time, f"×{len(row.entries):,}"
    if first == last:
        return f"{times} in the same second"
    end = f"{last:%H:%M:%SZ}" if first.date() == last.date() else iso(last)
    return f"{times} {'until' if last > first else 'since'} {end}"


def result(row: "FoldedCalls") -> Iterator[Part]:
    """Yield what calls did, or why they failed, and the reasons to doubt their records."""
    first = row.first
    if first.error is not None:
        yield from _refused(first)
    else:
        yield from _done(row)
    yield from notes(first)


def _refused(entry: TimelineEntry) -> Iterator[Part]:
    if entry.error is not None and entry.outcome is CallOutcome.FAILED:
        message = f": {entry.error.message}" if entry.error.message else ""
        yield error_code(entry.error.code) + message, "red"
    if entry.requested_addresses:
        yield "requested " + " ".join(entry.requested_addresses), "dim"
    elif entry.requested is not None:
        yield f"requested {_number(entry.requested, entry.requested_kind)}", "dim"
    for change in changes_of(entry):
        yield change, "dim"


def _done(row: "FoldedCalls") -> Iterator[Part]:
    first, entries = row.first, row.entries
    yield from _addresses("+", "green", (held for entry in entries for held in entry.added))
    yield from _addresses("has ", "dim", (held for entry in entries for held in entry.shown))
    yield from _addresses("-", "red", (held for entry in entries for held in entry.removed))
    for moved in (moved for entry in entries for moved in entry.moved):
        yield f"{moved.ip} taken from {moved.from_eni}", "magenta"
    for change in changes_of(first):
        yield change, ""
    if first.force:
        yield "forced", "magenta"
    unnamed = _UNNAMED.get(first.effect)
    if unnamed is not None and first.requested is not None and not first.added:
        yield f"requested {_number(first.requested, first.requested_kind)}", "dim"
        if "response" not in first.omitted:
            yield f"the record does not name the {unnamed}", ""
    if first.trail is not None:
        yield f"{first.trail.trail or first.trail.bucket or 'a trail'} {first.trail.change}", "magenta"
    if first.cidr is not None:
        yield str(first.cidr), ""
    if first.public_address or first.allocation:
        address = first.public_address or f"of {first.allocation}"
        yield f"public address {address}", "dim"


def claims(entry: TimelineEntry) -> Iterator[str]:
    """Yield what else a record names: a claimed instance, a resource, a trunk interface."""
    if entry.claimed_instance:
        yield f"claimed for {entry.claimed_instance}"
    if entry.resource and entry.eni:
        yield entry.resource
    if entry.trunk:
        yield f"trunk {entry.trunk}"


_ATTRIBUTES = {
    "groupSet": "security groups",
    "sourceDestCheck": "source/dest check",
    "enaSrdSpecification": "ENA Express",
    "connectionTrackingSpecification": "connection tracking",
}
"""What people call the attributes of an ENI, if that is not the name in the request."""


def changes_of(entry: TimelineEntry) -> list[str]:
    """Return the changes of attributes that a call made; if it changed nothing, those that it requested."""
    requested = "" if entry.error is None else "requested "
    return [requested + change_of(change) for change in entry.changes]


def change_of(change: AttributeChange) -> str:
    """Return a change of an attribute: ``source/dest check off``, ``security groups sg-0a, sg-0b``."""
    name = _ATTRIBUTES.get(change.attribute, change.attribute)
    match change.value:
        case None:
            return f"{name} changed"
        case bool():
            return f"{name} {'on' if change.value else 'off'}"
        case str():
            written = shortened(change.value, _WRITTEN).replace('"', '\\"')
            return f'{name} "{written}"'
        case _:
            return f"{name} {', '.join(change.value) or 'none'}"


_WRITTEN = 120
"""Characters of a text that a caller wrote which a row shows at most."""


def value_of(change: AttributeChange) -> str:
    """Return the new value of an attribute in one cell, as the request writes it.

    A text with spaces or quotes is a JSON string, so that it cannot look like another attribute.
    """
    match change.value:
        case None:
            return ""
        case bool():
            return str(change.value).lower()
        case str():
            is_word = not re.search(r'[\s"]', change.value)
            return change.value if is_word else dumps(change.value, ensure_ascii=False)
        case _:
            return ",".join(change.value)


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


def notes(entry: TimelineEntry) -> Iterator[Part]:
    """Yield the reasons to doubt a record."""
    if entry.set_aside is not None:
        yield _ASIDE[entry.set_aside], "bold magenta"
        if entry.requested_addresses:
            yield "names " + " ".join(entry.requested_addresses), "dim"
    elif entry.proven is False:
        yield "not verified: no valid digest covers it", "magenta"
    if entry.omitted:
        parts = " and ".join(entry.omitted)
        yield f"{parts} omitted by CloudTrail (over 100 KB)", "magenta"
    if entry.disputed:
        yield "records of this event disagree", "magenta"
    if entry.damaged:
        yield "from a damaged file: may be altered", "magenta"
    if entry.correction_of is not None:
        yield f"corrects event {entry.correction_of}", "dim"


def _addresses(sign: str, style: str, held: Iterable[Held]) -> Iterator[Part]:
    """Yield the distinct addresses of a row: its calls may name the same address again and again."""
    distinct = dict.fromkeys(held)
    if distinct:
        yield f"{sign}{len(distinct)}: " + " ".join(map(str, distinct)), style
