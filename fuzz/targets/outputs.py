"""Every output of every command, from arbitrary records."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any, Final
from unittest.mock import patch

import yaml
from msgspec.structs import asdict

from cnitrail.answers.explain import Known, NotMentioned, Rerun, Target, explain
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import FindingIndex, findings
from cnitrail.answers.leases import leases
from cnitrail.answers.pool import PoolOptions, Settings, pool
from cnitrail.answers.report import report
from cnitrail.answers.state import state
from cnitrail.answers.subnet import SubnetIndex
from cnitrail.answers.swimlanes import lanes
from cnitrail.answers.timeline import timeline
from cnitrail.errors import UsageError
from cnitrail.limits import limits_of
from cnitrail.model import Answer, Coverage
from cnitrail.model.explanation import Explanation, TargetKind
from cnitrail.render.report.page import environment
from cnitrail.render.writers import writer
from fuzz.seeds import seeds_in
from fuzz.targets import invariants
from fuzz.targets.histories import FuzzCase, case_of, questions, times


def writes(command: str, output: str) -> Callable[[bytes], None]:
    """Return the check of one output of one command."""
    return partial(_write, command, output)


def _write(command: str, output: str, data: bytes) -> None:
    case = case_of(data)
    entries = list((ANSWERS.get(f"{command} {output}") or ANSWERS[command])(case))
    text = written(command, output, case, entries)
    invariants.is_harmless(text)
    _INVARIANTS[output](command, text, entries)


def written(command: str, output: str, case: FuzzCase, entries: Sequence[object], **asked: object) -> str:
    """Return the entries as the command prints them; ``asked`` are query fields other than filters."""
    out = io.StringIO()
    query = {"command": command, "sources": ("logs",), **asdict(Filter()), "live": (), **asked}
    write = writer(command, output)
    answer = Answer(command=command, query=query, evidence=case.evidence, entries=entries)
    environments = (f"cnitrail.render.report.{module}.environment" for module in ("html", "markdown"))
    with patch(next(environments), _environment), patch(next(environments), _environment):
        write(answer, out)
    text = out.getvalue()
    text.encode()
    return text


_environment = cache(environment)
"""Compiling the templates takes longer than rendering them."""


# --- answers ---------------------------------------------------------------------------------


def _who(case: FuzzCase) -> list[object]:
    return [case.holders.who(ip, at, Filter()) for ip, at in questions(case.history)]


def _state(case: FuzzCase) -> list[object]:
    return [entry for at in list(times(case.history))[:2] for entry in state(case.history, at, Filter())]


def _findings(case: FuzzCase) -> Sequence[object]:
    return findings(case.history, Coverage(case.evidence.coverage), Filter())


def _pool(case: FuzzCase) -> Sequence[object]:
    pool_options = PoolOptions(
        limits_of=limits_of, what_if=(Settings(warm_ip_target=2, minimum_ip_target=10),)
    )
    return pool(case.history, Coverage(case.evidence.coverage), Filter(), pool_options)


def _subnet(case: FuzzCase) -> list[object]:
    index = SubnetIndex(case.history)
    named = {interface.subnet for interface in case.history.interfaces.values() if interface.subnet}
    subnets = sorted(named | set(case.history.subnets))[:3]
    return [index.census(subnet, at) for at in list(times(case.history))[:2] for subnet in subnets]


def _explain(case: FuzzCase) -> list[Explanation]:
    known = Known(
        history=case.history,
        coverage=Coverage(case.evidence.coverage),
        holders=case.holders,
        subnets=SubnetIndex(case.history),
        judged=FindingIndex(case.history, Coverage(case.evidence.coverage)),
        limits_of=limits_of,
        wanted=Filter(),
        rerun=Rerun(("logs",)),
    )
    return [explanation for target in _targets(case) for explanation in _explained(known, target)]


def _targets(case: FuzzCase) -> Iterator[Target]:
    """Yield one target of each kind, as far as the records have one."""
    past = case.history
    named: dict[TargetKind, Iterable[str | None]] = {
        TargetKind.ADDRESS: (str(ip) for ip, _ in questions(past)),
        TargetKind.ENI: past.interfaces,
        TargetKind.INSTANCE: past.instances,
        TargetKind.SUBNET: past.subnets,
        TargetKind.CLUSTER: (past.cluster_of(eni, None, None).name for eni in past.interfaces),
    }
    for kind, names in named.items():
        yield from (Target(text=name, kind=kind, name=name) for name in sorted(filter(None, names))[:1])


def _explained(known: Known, target: Target) -> Iterator[Explanation]:
    """Yield the explanation of a target; none if no event mentions it."""
    with suppress(NotMentioned, UsageError):
        yield explain(known, target, None)


ANSWERS: Final[dict[str, Callable[[FuzzCase], Any]]] = {
    "timeline": lambda case: timeline(case.history, Filter()),
    "timeline perfetto": lambda case: lanes(case.history, Filter()),
    "who": _who,
    "leases": lambda case: leases(case.history, Filter()),
    "state": _state,
    "findings": _findings,
    "explain": _explain,
    "pool": _pool,
    "subnet": _subnet,
    "report": lambda case: [report(case.history, case.evidence, Filter())],
}
"""The answer from records, by command; by command and output if that output has its own answer."""


# --- invariants ------------------------------------------------------------------------------


def _is_document(command: str, text: str, entries: Sequence[Any]) -> None:
    document = invariants.is_document(text)
    assert document["schema"] == f"cnitrail/{command}/v1"
    assert list(document) == ["schema", "query", "evidence", "limitations", "entries"]
    shown = document["entries"]
    assert isinstance(shown, list)
    _have_fields(shown, entries)


def _is_yaml(command: str, text: str, entries: Sequence[Any]) -> None:
    _is_document(command, json.dumps(yaml.safe_load(text)), entries)


def _are_lines(_command: str, text: str, entries: Sequence[Any]) -> None:
    _have_fields(invariants.are_lines(text), entries)


def _have_fields(shown: Sequence[dict[str, object]], entries: Sequence[Any]) -> None:
    assert [set(entry) for entry in shown] == [set(entry.__struct_fields__) for entry in entries]


def _are_events_of_a_timeline(_command: str, text: str, _entries: object) -> None:
    for line in invariants.are_lines(text):
        assert {"message", "datetime", "timestamp_desc"} <= line.keys()


def _is_trace(_command: str, text: str, _entries: object) -> None:
    events = invariants.is_document(text)["traceEvents"]
    assert isinstance(events, list)
    for event in events:
        assert event.get("dur", 0) >= 0, event


def _is_sarif(_command: str, text: str, entries: Sequence[Any]) -> None:
    runs = invariants.is_document(text)["runs"]
    assert isinstance(runs, list)
    assert [len(run["results"]) for run in runs] == [len(entries)]


def _are_detections(_command: str, text: str, entries: Sequence[Any]) -> None:
    lines = invariants.are_lines(text)
    assert [line["class_uid"] for line in lines] == [2004] * len(entries)


def _is_markdown(command: str, text: str, _entries: object) -> None:
    invariants.is_plain_markdown(text, titles=int(command == "report"))


def _is_summary(_command: str, text: str, _entries: object) -> None:
    assert 3 <= len(text.splitlines()) <= 10


def _is_page(_command: str, text: str, _entries: object) -> None:
    strange = invariants.tags_of(text) - _tags_of_stories()
    assert not strange, strange


@cache
def _tags_of_stories() -> set[tuple[str, str]]:
    """Return the elements of pages that contain only what the templates have."""
    pages = [
        written("report", "html", case, [report(case.history, case.evidence, Filter())])
        for case in map(case_of, seeds_in("records"))
    ]
    return {tag for page in pages for tag in invariants.tags_of(page)}


_INVARIANTS: Final[dict[str, Callable[[str, str, Sequence[Any]], None]]] = {
    "table": lambda _command, _text, _entries: None,
    "wide": lambda _command, _text, _entries: None,
    "json": _is_document,
    "yaml": _is_yaml,
    "jsonl": _are_lines,
    "sarif": _is_sarif,
    "ocsf": _are_detections,
    "csv": lambda _command, text, _entries: invariants.is_table_of_cells(text),
    "timesketch": _are_events_of_a_timeline,
    "perfetto": _is_trace,
    "md": _is_markdown,
    "summary": _is_summary,
    "html": _is_page,
}
