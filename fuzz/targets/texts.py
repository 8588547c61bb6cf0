"""Texts of any content beside the evidence: options, questions, what ipamd and EC2 say."""

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
from cnitrail.cli.inputs.questions import Question, read_questions
from cnitrail.cli.options import Duration, Network, Time
from cnitrail.decode.agent import agent
from cnitrail.decode.ipamd import read_enis, read_metrics
from cnitrail.errors import CnitrailError
from cnitrail.limits import limits_of, read_described
from cnitrail.model import Coverage
from cnitrail.workflows.live_state import present
from cnitrail.workflows.request import Access, Request
from fuzz.seeds import CORPUS
from fuzz.targets import holds
from fuzz.targets.histories import SOME_TIME, Told, told
from fuzz.targets.outputs import written

Read = TypeVar("Read")

_LONG_LIST = 100


@cache
def _node() -> Told:
    """The history that the questions are about: every event, on one node."""
    return told((CORPUS / "records" / "every-event.json").read_bytes())


def _text(data: bytes) -> str:
    """Arguments as the command line has them: what is no UTF-8 is kept as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def options(data: bytes) -> None:
    """A value of an option is read, or refused with a sentence."""
    text = _text(data)
    for kind in (Time(), Network(), Duration(), SettingsList()):
        with suppress(click.BadParameter):
            value = kind.convert(text, None, None)
            assert not isinstance(value, datetime) or value.utcoffset() == timedelta()


def filters(data: bytes) -> None:
    """Filters of any text keep some of the entries; findings and the report take them, too."""
    whole = _node()
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
        kept = list(timeline(whole.history, wanted))
        assert all(entry in _all_entries() for entry in kept)
        for answer in (leases(whole.history, wanted), lanes(whole.history, wanted)):
            list(answer)
        list(state(whole.history, SOME_TIME, wanted))
        findings(whole.history, Coverage(whole.evidence.coverage), wanted)
    found = report(whole.history, whole.evidence, Filter(ip=tuple(blocks), eni=texts[:1]))
    holds.is_plain_markdown(written("report", "md", whole, [found]))


@cache
def _all_entries() -> tuple[object, ...]:
    return tuple(timeline(_node().history, Filter()))


def user_agents(data: bytes) -> None:
    """A user agent names a program that stands in it, or none."""
    text = data.decode("utf-8", "replace")
    read = agent.__wrapped__(text)
    assert read.raw == text
    assert read.version is None or read.version in text


def batch(data: bytes) -> None:
    """Every line of a batch is a question or told to be none; the answers are as harmless as any."""
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace")
    try:
        asked = list(read_questions(lines))
    except CnitrailError:
        return
    whole = _node()
    for each in asked[:_LONG_LIST]:
        if isinstance(each, Question):
            assert each.at.utcoffset() == timedelta()
            whole.witness.who(each.ip, each.at, Filter(vpc=(each.vpc,) if each.vpc else ()))
        else:
            assert each.reason


def metrics(data: bytes) -> None:
    """What says to be ipamd's metrics stands beside the trail's pool, or is refused with a reason."""
    with suppress(ValueError):
        _beside(PoolOptions(limits_of, metrics=("metrics", read_metrics(data))))


def enis(data: bytes) -> None:
    """What says to be ipamd's interfaces stands beside the trail's pool, or is refused with a reason."""
    with suppress(ValueError):
        _beside(PoolOptions(limits_of, ipamd=("enis", read_enis(data))))


def instance_types(data: bytes) -> None:
    """What says to describe instance types limits the pool, or is refused with a reason."""
    try:
        given = read_described(data)
    except ValueError:
        return
    settings = (Settings(warm_ip_target=2), Settings(prefix_delegation=True))
    if given:
        _beside(PoolOptions(given.get, what_if=settings))


def pods(data: bytes) -> None:
    """Counts of pods make the settings fewer that fit, or are refused with a reason."""
    try:
        counts = _from_file(data, lambda path: read_counts(str(path)))
    except CnitrailError:
        return
    assert list(counts) == sorted(counts)
    _beside(PoolOptions(limits_of, what_if=(Settings(),), pods=counts[:_LONG_LIST]))


def _beside(wish: PoolOptions) -> None:
    whole = _node()
    entries = pool(whole.history, Coverage(whole.evidence.coverage), Filter(), wish)
    for output in ("table", "json", "csv"):
        holds.is_harmless(written("pool", output, whole, entries))


def live(data: bytes) -> None:
    """What says to be EC2's own list is compared with the trail's, or refused with a reason."""
    whole = _node()
    access = Access(None, None, timedelta(), 1, None, timedelta(), 1)
    request = Request((), Filter(), access, quiet=True)
    try:
        said, skipped = _from_file(data, lambda path: present((str(path),), request, whole.evidence))
    except CnitrailError:
        return
    assert all(each.reason for each in skipped)
    entries = compare(whole.history, Coverage(whole.evidence.coverage), SOME_TIME, said, Filter())
    for output in ("table", "json", "csv"):
        holds.is_harmless(written("state", output, whole, entries, live=("FILE",)))


def _from_file(data: bytes, reader: Callable[[Path], Read]) -> Read:
    """What a reader makes of the data in a file."""
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return reader(Path(file.name))
