"""Prometheus text → the series of kube-state-metrics in it, as the HTTP API of Prometheus would answer them.

The exposition format (https://prometheus.io/docs/instrumenting/exposition_formats/), OpenMetrics, and what
``promtool query`` prints. Only samples with a time can be placed.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.split import UnreadableSpan

_SERIES: Final = rb"kube_pod_(?:info|ips)\{"
_COMMENT: Final = rb"#[ \t]+(?:HELP|TYPE|UNIT)[ \t]+[a-zA-Z_:]"
_BEGINNING: Final = re.compile(
    rb"\A\s*(?:"
    + _COMMENT
    + rb"|"
    + _SERIES
    + rb"|[a-zA-Z_:][^\s{}]*(?:\{[^\n]*\})? -?[0-9.][^\n]*\n"
    + _COMMENT
    + rb")"
)
_WANTED: Final = re.compile(rb"\s*" + _SERIES)
_MATRIX: Final = re.compile(rb"(.*\}) =>[ \t]*(.*)$", re.DOTALL)
_SAMPLE: Final = re.compile(rb"(1)(?:\.0)? @\[([0-9]{1,12}(?:\.[0-9]{1,9})?)\]")
_MAX_LINE: Final = 1 << 20
_SECONDS: Final = 10**11
"""A larger time of a sample is in milliseconds, as in the older format; OpenMetrics has seconds."""


UNTIMED: Final = (
    "samples of kube-state-metrics without a time: it is not known when the pods had their addresses "
    "({count:,} passed over); ask Prometheus for a range: "
    "/api/v1/query_range?query=kube_pod_info&start=START&end=END&step=30"
)


class Series(Struct, frozen=True):
    """A series as JSON, and whether any of its samples has a time."""

    text: bytes
    timed: bool


def is_prometheus_text(head: bytes) -> bool:
    """Return whether a text begins like Prometheus' text formats."""
    return _BEGINNING.match(head) is not None


def series_of(pieces: Iterator[Bytes]) -> Iterator[Series | UnreadableSpan]:
    """Yield the series of pods in a text, and what could not be read of it."""
    labels: bytes | None = None
    samples: list[tuple[bytes, bytes]] = []
    for line in _lines(pieces):
        if isinstance(line, UnreadableSpan):
            yield line
            continue
        if labels is not None and (found := _SAMPLE.findall(line)):
            samples += found
            continue
        if labels is not None:
            yield _series(labels, samples)
            labels, samples = None, []
        if not _WANTED.match(line):
            continue
        matrix = _MATRIX.fullmatch(line)
        if matrix is not None:
            labels, samples = matrix[1], _SAMPLE.findall(matrix[2])
        else:
            yield _exposed(line)
    if labels is not None:
        yield _series(labels, samples)


def _lines(pieces: Iterator[Bytes]) -> Iterator[bytes | UnreadableSpan]:
    rest = b""
    try:
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if len(rest) > _MAX_LINE:
                yield UnreadableSpan(f"a line is longer than {_MAX_LINE >> 20} MB: ", bytes(rest))
                rest = b""
    except TornStream as torn:
        yield UnreadableSpan(str(torn))
        return
    yield rest


def _exposed(line: bytes) -> Series | UnreadableSpan:
    """Return the series of one sample in the exposition format."""
    parsed = _parsed(line)
    if parsed is None:
        return UnreadableSpan("not the Prometheus text format: ", line.strip())
    metric, value, time = parsed
    if time is None:
        return Series(msgspec.json.encode({"metric": metric, "values": []}), timed=False)
    return Series(msgspec.json.encode({"metric": metric, "value": [time, f"{value:g}"]}), timed=True)


def _series(labels: bytes, samples: list[tuple[bytes, bytes]]) -> Series | UnreadableSpan:
    """Return a series as promtool prints it: its labels, then each value with its time."""
    parsed = _parsed(labels + b" 1")
    if parsed is None:
        return UnreadableSpan("not the Prometheus text format: ", labels.strip())
    values = [[float(time), value.decode()] for value, time in samples]
    return Series(msgspec.json.encode({"metric": parsed[0], "values": values}), timed=bool(values))


def _parsed(line: bytes) -> tuple[dict[str, str], float, float | None] | None:
    """Return the labels, value and time (seconds since 1970) of a line; None if it is none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(line.decode("utf-8", "replace") + "\n"))
        (sample,) = [sample for family in families for sample in family.samples]
    except (ValueError, IndexError, KeyError, OverflowError, TypeError):
        return None
    # the parser takes all times for milliseconds
    time = sample.timestamp
    seconds = None if time is None else float(time) if float(time) * 1000 >= _SECONDS else float(time) * 1000
    return {"__name__": sample.name, **sample.labels}, sample.value, seconds
