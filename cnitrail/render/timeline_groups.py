"""The timeline on a screen: what calls share is the header of a group, and a call is one row.

The header also names the principal of most calls: a row names its principal only if that is another one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from cnitrail.model import ActorKind, CallOutcome, TimelineEntry
from cnitrail.model.callers import Names
from cnitrail.render.folded_calls import FoldedCalls
from cnitrail.render.pod_moments import Line, PodMoment
from cnitrail.render.text import Group, GroupedTable, Part, Row
from cnitrail.render.timeline_parts import (
    call_of,
    clusters_of,
    details,
    eni_kind_of,
    separated,
    target_of,
    via,
)
from cnitrail.text import fraction

_FEW = 3
"""Rows that a group has on average at least: a header for every row would be no help."""


class _Grouping(Struct, frozen=True):
    """What the rows of a group share, and what each row has to show then."""

    context: Callable[[TimelineEntry], tuple[object, ...]]
    header: Callable[[TimelineEntry], Iterator[Part]]
    has_instances: bool
    has_clusters: bool


def grouped(rows: Sequence[Line], names: Names) -> GroupedTable:
    """Return rows under headers: of an instance if calls for it follow each other, else of all instances."""
    grouping = next(filter(lambda grouping: _helps(grouping, rows), _GROUPINGS), _GROUPINGS[-1])
    instance = ("INSTANCE",) if grouping.has_instances else ()
    headings = ("TIME", "API CALL", *instance, "ENI", "DETAILS")
    return GroupedTable(headings, [_group(together, grouping, names) for together in _runs(grouping, rows)])


def _group(rows: Sequence[Line], grouping: _Grouping, names: Names) -> Group:
    """Return the rows of one group below what they share."""
    header = list(grouping.header(rows[0].first))
    calls = [row for row in rows if isinstance(row, FoldedCalls)]
    principals = Counter(_principal(row.first, names) for row in calls)
    usual, number = principals.most_common(1)[0] if principals else ("", 0)
    if 2 * number <= len(calls):
        return Group(header, list(_rows(rows, grouping, names)))
    program = via(next(row.first.actor for row in calls if _principal(row.first, names) == usual))
    note = [("calls by", ""), (usual, "bold"), (program, "")]
    if number < len(calls):
        note.append(("unless noted", ""))
    return Group(header, list(_rows(rows, grouping, names, usual, program)), note)


def _principal(entry: TimelineEntry, names: Names) -> str:
    """Return the name of the principal of a call; that of the instance that the row names is not repeated."""
    actor = entry.actor
    is_own = actor.kind is ActorKind.INSTANCE_ROLE and actor.instance == entry.instance == actor.label
    return "the instance's own role" if is_own else names(actor)


def _runs(grouping: _Grouping, rows: Sequence[Line]) -> Iterator[list[Line]]:
    return (list(run) for _, run in groupby(rows, lambda row: grouping.context(row.first)))


def _helps(grouping: _Grouping, rows: Sequence[Line]) -> bool:
    if grouping.has_instances and not any(clusters_of(row.first) for row in rows):
        return False
    groups = sum(1 for _ in groupby(rows, lambda row: grouping.context(row.first)))
    return groups == 1 or groups * _FEW <= len(rows)


def _rows(
    rows: Sequence[Line],
    grouping: _Grouping,
    names: Names,
    usual: str | None = None,
    program: str = "",
) -> Iterator[Row]:
    """Yield the rows of one group; the usual principal and its program are named above them.

    The program of a principal, the kind of an ENI and the type of an instance are in the first row that
    has them, and again in each that has others.
    """
    shown = {f"principal {usual}": program}
    for row in rows:
        entry = row.first
        if isinstance(row, PodMoment):
            yield _moment_row(row, grouping)
            continue
        principal, target, instance = _principal(entry, names), target_of(entry) or "", entry.instance or ""
        own = via(entry.actor)
        caller = [f"by {principal}"] if principal != usual else []
        caller += [own] if own and shown.get(f"principal {principal}") != own else []
        shown[f"principal {principal}"] = own
        facts = [(f"ENI {target}", eni_kind_of(entry))]
        if grouping.has_instances:
            facts.append((f"instance {instance}", entry.instance_type or ""))
        if grouping.has_clusters:
            facts.append((f"cluster of {instance}", _cluster(entry)))
        news = [fact for name, fact in facts if fact and shown.get(name) != fact]
        shown.update(facts)
        unusual = [(" ".join(caller), "" if usual is None else "bold")] if caller else []
        cells: list[Sequence[Part]] = [
            [(f"{entry.time:%H:%M:%S}", "")],
            [(call_of(entry), _CALL_STYLES[entry.outcome])],
            *([[(instance, "")]] if grouping.has_instances else []),
            [(target, "")],
            list(separated([*unusual, *details(row), *((fact, "dim") for fact in news)])),
        ]
        yield cells


def _moment_row(row: PodMoment, grouping: _Grouping) -> Row:
    """Return the row of a pod: with milliseconds, and its ENI, which calls have around it."""
    entry = row.first
    return [
        [(f"{entry.time:%H:%M:%S}{fraction(entry.time)[:4]}", "")],
        [(row.what, "")],
        *([[(entry.instance or "", "")]] if grouping.has_instances else []),
        [(target_of(entry) or "", "")],
        list(separated([*row.details])),
    ]


_CALL_STYLES = {CallOutcome.OK: "bold", CallOutcome.FAILED: "bold red", CallOutcome.DRY_RUN: "bold"}


def _cluster(entry: TimelineEntry) -> str:
    names = clusters_of(entry)
    return f"{'clusters' if ', ' in names and entry.cluster is None else 'cluster'} {names}" if names else ""


def _place(entry: TimelineEntry) -> tuple[object, ...]:
    return entry.account, entry.region, entry.time.date()


def _place_parts(entry: TimelineEntry) -> Iterator[Part]:
    yield entry.account or "unknown account", ""
    yield entry.region or "unknown Region", ""
    yield f"{entry.time.date()} UTC", "bold"


def _instance_parts(entry: TimelineEntry) -> Iterator[Part]:
    yield (entry.instance, "bold") if entry.instance else ("no known instance", "bold")
    if entry.instance_type:
        yield entry.instance_type, ""
    if cluster := _cluster(entry):
        yield cluster, ""
    yield from _place_parts(entry)


def _cluster_parts(entry: TimelineEntry) -> Iterator[Part]:
    yield _cluster(entry) or "no known cluster", "bold"
    yield from _place_parts(entry)


_GROUPINGS = (
    _Grouping(
        lambda entry: (entry.instance, entry.instance_type, clusters_of(entry), *_place(entry)),
        _instance_parts,
        has_instances=False,
        has_clusters=False,
    ),
    _Grouping(
        lambda entry: (clusters_of(entry), *_place(entry)),
        _cluster_parts,
        has_instances=True,
        has_clusters=False,
    ),
    _Grouping(_place, _place_parts, has_instances=True, has_clusters=True),
)
"""From the finest to the coarsest."""
