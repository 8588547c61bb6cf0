"""What the command line writes: every output of every command, of records of any content."""

import io
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import asdict

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.answers.leases import leases
from cnitrail.answers.pool import PoolOptions, Settings, pool
from cnitrail.answers.report import report
from cnitrail.answers.state import state
from cnitrail.answers.swimlanes import lanes
from cnitrail.answers.timeline import timeline
from cnitrail.cli.outputs import writer
from cnitrail.limits import limits_of
from cnitrail.model import Answer, Coverage
from cnitrail.render.report.page import environment
from fuzz.seeds import seeds_in
from fuzz.targets import holds
from fuzz.targets.histories import Told, questions, times, told


def writes(command: str, output: str) -> Callable[[bytes], None]:
    """The check of one output of one command."""
    return partial(_write, command, output)


def _write(command: str, output: str, data: bytes) -> None:
    whole = told(data)
    entries = list((ANSWERS.get(f"{command} {output}") or ANSWERS[command])(whole))
    text = written(command, output, whole, entries)
    holds.is_harmless(text)
    _HOLDS[output](command, text, entries)


def written(command: str, output: str, whole: Told, entries: Sequence[object], **asked: object) -> str:
    """The entries of an answer as the command prints them; ``asked`` is what it was asked beside filters."""
    out = io.StringIO()
    query = {"command": command, "sources": ("logs",), **asdict(Filter()), "live": (), **asked}
    write = writer(command, output)
    rooms = (f"cnitrail.render.report.{room}.environment" for room in ("html", "markdown"))
    with patch(next(rooms), _environment), patch(next(rooms), _environment):
        write(Answer(command, query, whole.evidence, entries), out)
    text = out.getvalue()
    text.encode()
    return text


_environment = cache(environment)
"""Templates take longer to compile than to fill in."""


# --- answers ---------------------------------------------------------------------------------


def _who(whole: Told) -> list[object]:
    return [whole.witness.who(ip, at, Filter()) for ip, at in questions(whole.history)]


def _state(whole: Told) -> list[object]:
    return [entry for at in list(times(whole.history))[:2] for entry in state(whole.history, at, Filter())]


def _findings(whole: Told) -> Sequence[object]:
    return findings(whole.history, Coverage(whole.evidence.coverage), Filter())


def _pool(whole: Told) -> Sequence[object]:
    wish = PoolOptions(limits_of, (Settings(warm_ip_target=2, minimum_ip_target=10),))
    return pool(whole.history, Coverage(whole.evidence.coverage), Filter(), wish)


ANSWERS: Final[dict[str, Callable[[Told], Any]]] = {
    "timeline": lambda whole: timeline(whole.history, Filter()),
    "timeline perfetto": lambda whole: lanes(whole.history, Filter()),
    "who": _who,
    "leases": lambda whole: leases(whole.history, Filter()),
    "state": _state,
    "findings": _findings,
    "pool": _pool,
    "report": lambda whole: [report(whole.history, whole.evidence, Filter())],
}
"""What is answered from records, by command; where an output has an answer of its own, by both."""


# --- what holds ------------------------------------------------------------------------------


def _is_document(command: str, text: str, entries: Sequence[Any]) -> None:
    document = holds.is_document(text)
    assert document["schema"] == f"cnitrail/{command}/v1"
    assert list(document) == ["schema", "query", "evidence", "entries"]
    shown = document["entries"]
    assert isinstance(shown, list)
    _have_fields(shown, entries)


def _are_lines(_command: str, text: str, entries: Sequence[Any]) -> None:
    _have_fields(holds.are_lines(text), entries)


def _have_fields(shown: Sequence[dict[str, object]], entries: Sequence[Any]) -> None:
    assert [set(each) for each in shown] == [set(entry.__struct_fields__) for entry in entries]


def _are_events_of_a_timeline(_command: str, text: str, _entries: object) -> None:
    for line in holds.are_lines(text):
        assert {"message", "datetime", "timestamp_desc"} <= line.keys()


def _is_trace(_command: str, text: str, _entries: object) -> None:
    events = holds.is_document(text)["traceEvents"]
    assert isinstance(events, list)
    for event in events:
        assert event.get("dur", 0) >= 0, event


def _is_page(_command: str, text: str, _entries: object) -> None:
    strange = holds.tags_of(text) - _tags_of_stories()
    assert not strange, strange


@cache
def _tags_of_stories() -> set[tuple[str, str]]:
    """The elements of pages on which there is nothing but what the templates have."""
    pages = [
        written("report", "html", whole, [report(whole.history, whole.evidence, Filter())])
        for whole in map(told, seeds_in("records"))
    ]
    return {tag for page in pages for tag in holds.tags_of(page)}


_HOLDS: Final[dict[str, Callable[[str, str, Sequence[Any]], None]]] = {
    "table": lambda _command, _text, _entries: None,
    "json": _is_document,
    "jsonl": _are_lines,
    "csv": lambda _command, text, _entries: holds.is_table_of_cells(text),
    "timesketch": _are_events_of_a_timeline,
    "perfetto": _is_trace,
    "md": lambda _command, text, _entries: holds.is_plain_markdown(text),
    "html": _is_page,
}
