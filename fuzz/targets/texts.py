"""Arbitrary input other than logs: options, batches of questions, output of ipamd and EC2."""

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

import click

from cnitrail.answers.filters import Filter
from cnitrail.answers.findings import findings
from cnitrail.answers.leases import leases
from cnitrail.answers.live_comparison import compare
from cnitrail.answers.pool import PoolOptions, Settings, pool
from cnitrail.answers.report import report
from cnitrail.answers.state import state
from cnitrail.answers.swimlanes import lanes
from cnitrail.answers.timeline import timeline
from cnitrail.cli.commands.pool import SettingsList
from cnitrail.cli.inputs.pod_counts import read_counts
from cnitrail.cli.inputs.questions import Question, Questions
from cnitrail.cli.param_types import Duration, Network, Time
from cnitrail.decode.agent import agent_of
from cnitrail.decode.ipamd import read_enis, read_metrics
from cnitrail.errors import CnitrailError
from cnitrail.limits import limits_of, read_described
from cnitrail.model import Coverage
from cnitrail.workflows.live_state import present
from cnitrail.workflows.request import Access, Request
from fuzz.seeds import CORPUS
from fuzz.targets import invariants
from fuzz.targets.histories import SOME_TIME, FuzzCase, case_of
from fuzz.targets.outputs import written

Read = TypeVar("Read")

_LONG_LIST = 100


@cache
def _node() -> FuzzCase:
    """Return the history that is queried: every event, on one node."""
    return case_of((CORPUS / "records" / "every-event.json").read_bytes())


def _text(data: bytes) -> str:
    """Return the data as command-line text: invalid UTF-8 becomes lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def options(data: bytes) -> None:
    """The value of an option is read, or refused with a message."""
    text = _text(data)
    for kind in (Time(), Network(), Duration(), SettingsList()):
        with suppress(click.BadParameter):
            value = kind.convert(text, None, None)
            assert not isinstance(value, datetime) or value.utcoffset() == timedelta()


def filters(data: bytes) -> None:
    """Arbitrary filters only remove entries; findings and the report accept them, too."""
    case = _node()
    lines = _text(data).splitlines()[:8] or [""]
    blocks = []
    for line in lines:
        with suppress(ValueError):
            blocks.append(ip_network(line, strict=False))
    texts = tuple(lines)
    for wanted in (
        Filter(actor=texts),
        Filter(agent=texts),
        Filter(event=texts),
        Filter(ip=tuple(blocks)),
        Filter(instance=texts[:1], eni=texts[1:2], vpc=texts[2:3], subnet=texts[3:4], cluster=texts[4:5]),
        Filter(account=texts[:1], region=texts[1:2], failed=len(texts) % 2 == 0),
    ):
        kept = list(timeline(case.history, wanted))
        assert all(entry in _all_entries() for entry in kept)
        for answer in (leases(case.history, wanted), lanes(case.history, wanted)):
            list(answer)
        list(state(case.history, SOME_TIME, wanted))
        findings(case.history, Coverage(case.evidence.coverage), wanted)
    found = report(case.history, case.evidence, Filter(ip=tuple(blocks), eni=texts[:1]))
    invariants.is_plain_markdown(written("report", "md", case, [found]))


@cache
def _all_entries() -> tuple[object, ...]:
    return tuple(timeline(_node().history, Filter()))


def user_agents(data: bytes) -> None:
    """The version in a user agent is a part of its text."""
    text = data.decode("utf-8", "replace")
    read = agent_of.__wrapped__(text)
    assert read.raw == text
    assert read.version is None or read.version in text


def batch(data: bytes) -> None:
    """Every line of a batch is a question, or refused with a reason."""
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace")
    try:
        asked = list(Questions(lines, is_read_twice=False))
    except CnitrailError:
        return
    case = _node()
    for line in asked[:_LONG_LIST]:
        if isinstance(line, Question):
            assert line.at.utcoffset() == timedelta()
            case.holders.who(line.ip, line.at, Filter(vpc=(line.vpc,) if line.vpc else ()))
        else:
            assert line.reason


def metrics(data: bytes) -> None:
    """Alleged ipamd metrics are compared with the trail's pool, or refused with a reason."""
    with suppress(ValueError):
        _compare_pool(PoolOptions(limits_of=limits_of, metrics=("metrics", read_metrics(data))))


def enis(data: bytes) -> None:
    """Alleged ipamd ENIs are compared with the trail's pool, or refused with a reason."""
    with suppress(ValueError):
        _compare_pool(PoolOptions(limits_of=limits_of, ipamd=("enis", read_enis(data))))


def instance_types(data: bytes) -> None:
    """Alleged instance types limit the pool, or are refused with a reason."""
    try:
        given = read_described(data)
    except ValueError:
        return
    settings = (Settings(warm_ip_target=2), Settings(prefix_delegation=True))
    if given:
        _compare_pool(PoolOptions(limits_of=given.get, what_if=settings))


def pods(data: bytes) -> None:
    """Pod counts narrow down the settings, or are refused with a reason."""
    try:
        counts = _from_file(data, lambda path: read_counts(str(path)))
    except CnitrailError:
        return
    assert list(counts) == sorted(counts)
    _compare_pool(PoolOptions(limits_of=limits_of, what_if=(Settings(),), pods=counts[:_LONG_LIST]))


def _compare_pool(pool_options: PoolOptions) -> None:
    case = _node()
    entries = pool(case.history, Coverage(case.evidence.coverage), Filter(), pool_options)
    for output in ("table", "json", "csv"):
        invariants.is_harmless(written("pool", output, case, entries))


def live(data: bytes) -> None:
    """An alleged EC2 listing is compared with the trail, or refused with a reason."""
    case = _node()
    request = Request(sources=(), wanted=Filter(), access=Access())
    try:
        said, queried, skipped = _from_file(data, lambda path: present((str(path),), request, case.evidence))
    except CnitrailError:
        return
    assert all(part.reason for part in skipped)
    known = next(iter(case.history.interfaces))
    for wanted in (Filter(), Filter(eni=(known,))):
        entries = compare(case.history, Coverage(case.evidence.coverage), SOME_TIME, said, wanted, queried)
        for output in ("table", "json", "csv"):
            invariants.is_harmless(written("state", output, case, entries, live=("FILE",)))


def _from_file(data: bytes, reader: Callable[[Path], Read]) -> Read:
    """Write the data to a file, and return what the reader makes of it."""
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return reader(Path(file.name))
