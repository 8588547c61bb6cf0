"""Tables of the settings that fit, and of the events that rule out the others."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import IO

from msgspec.structs import replace

from cnitrail.model.pool import (
    Candidate,
    Mode,
    PoolEntry,
    RuledOut,
    SettingsPeriod,
    Unsettled,
    Values,
)
from cnitrail.model.reason import ReasonCode
from cnitrail.render.pool.words import draw_below, many_pods, time_heading, times_on, write_wrapped
from cnitrail.render.shared import TimeStyle
from cnitrail.render.text import Row, Table
from cnitrail.text import clock


def write_settings(entry: PoolEntry, out: IO[str]) -> None:
    """Write the settings of each period, then what each event rules out."""
    if entry.pods_from == "pod-evidence" and entry.settings:
        write_wrapped(
            "pod counts: at least those that the pod evidence shows (audit logs, logs of ipamd)", out
        )
    for period in entry.settings:
        for text in _about(period):
            write_wrapped(text, out)
        candidates = sorted(joined(period.candidates), key=lambda candidate: candidate.held_back is not None)
        rows: list[Row] = [
            (
                [(candidate_text(candidate), "" if candidate.held_back else "bold")],
                [(_condition(candidate), "")],
            )
            for candidate in candidates
        ]
        draw_below([Table(("SETTINGS THAT FIT", "IF"), rows, {"SETTINGS THAT FIT": 1, "IF": 1})], out)
    for unsettled in entry.unsettled:
        if entry.is_node and (entry.no_pool is None or unsettled.because.code is not entry.no_pool.code):
            write_wrapped(_unknown(unsettled), out)
            out.write("\n")
    times = times_on(out, (ruled_out.by.time for period in entry.settings for ruled_out in period.ruled_out))
    headings = (time_heading(times), "EVENT", "RULED OUT")
    draw_below([Table(headings, list(_ruled_out_rows(entry, times)), {"EVENT": 1, "RULED OUT": 1})], out)


def _unknown(unsettled: Unsettled) -> str:
    because = unsettled.because
    if because.code is ReasonCode.OTHER_MANAGER:
        return because.text
    since = clock(unsettled.since)
    when = f"from {since} to {clock(unsettled.until)}" if unsettled.until else f"after {since}"
    return f"settings unknown {when}: {because.text}"


def _ruled_out_rows(entry: PoolEntry, times: TimeStyle) -> Iterator[Row]:
    """Yield a row for each event that rules out settings or versions."""
    everything = (ruled_out for period in entry.settings for ruled_out in period.ruled_out)
    for (by, because), group in groupby(everything, key=attrgetter("by", "because")):
        texts = [_ruled_out(ruled_out) for ruled_out in group]
        yield (
            [(times.show(by.time), "")],
            [(by.event, "bold"), (by.event_id or "", ""), (because, "")],
            [*((f"{text};", "") for text in texts[:-1]), (texts[-1], "")],
        )


def _about(period: SettingsPeriod) -> Iterator[str]:
    versions = ", ".join(map(str, period.versions))
    since = clock(period.since)
    when = f"{since} to {clock(period.until)}" if period.until else f"since {since}"
    yield (
        f"{when}: addresses {period.pool_before} to {period.pool_after}, "
        f"ENIs {period.enis_before} to {period.enis_after}, CNI {versions}"
    )
    yield f"  ({period.begins})"


def _condition(candidate: Candidate) -> str:
    """Return what a candidate needs to explain every call, in plain words."""
    least, most, held_back = candidate.pods_at_least, candidate.pods_at_most, candidate.held_back
    needs = []
    if held_back is not None:
        needs.append(f"something held the CNI back, {_span(held_back.since, held_back.until)}")
    if least is not None and least == most:
        needs.append(f"{many_pods(least.pods)}, {_span(least.since, least.until)}")
        return "; ".join(needs)
    if least is not None:
        needs.append(f"{many_pods(least.pods)} or more, {_span(least.since, least.until)}")
    if most is not None:
        needs.append(
            f"{many_pods(most.pods)}{' or fewer' if most.pods else ''}, {_span(most.since, most.until)}"
        )
    return "; ".join(needs)


def _span(since: datetime, until: datetime) -> str:
    if since == until:
        return f"at {since:%H:%M:%S}"
    until_text = f"{until:%H:%M:%S}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%S}"
    return f"{since:%H:%M:%S} to {until_text}"


def _ruled_out(ruled_out: RuledOut) -> str:
    if ruled_out.versions is not None:
        return f"CNI {ruled_out.versions}"
    return _settings(ruled_out) or f"{ruled_out.mode} mode"


def joined(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates, those with adjacent values of one target and the same condition as one.

    The CNI's default keeps a line of its own.
    """
    lines: list[Candidate] = []
    for candidate in candidates:
        if lines and (both := _together(lines[-1], candidate)) is not None:
            lines[-1] = both
        else:
            lines.append(candidate)
    return lines


def _together(one: Candidate, other: Candidate) -> Candidate | None:
    """Return two candidates as one if they differ only in adjacent values of one target; else None."""
    for name in ("warm_eni_target", "warm_prefix_target"):
        first, second = getattr(one, name), getattr(other, name)
        if first is None or second is None or _is_default(one) or _is_default(other):
            continue
        values = Values(first.least, second.most)
        is_next = first.most is not None and first.most + 1 == second.least
        if is_next and replace(one, **{name: values}) == replace(other, **{name: values}):
            return replace(one, **{name: values})
    return None


def _is_default(candidate: Candidate) -> bool:
    return Values(1, 1) in (candidate.warm_eni_target, candidate.warm_prefix_target)


def candidate_text(candidate: Candidate) -> str:
    """Return the settings of a candidate, marked if they are the CNI's default."""
    return _settings(candidate) + (" (default)" if _is_default(candidate) else "")


def _settings(named: Candidate | RuledOut) -> str:
    targets = (
        ("WARM_ENI_TARGET", named.warm_eni_target),
        ("WARM_PREFIX_TARGET", named.warm_prefix_target),
        ("WARM_IP_TARGET", named.warm_ip_target),
        ("MINIMUM_IP_TARGET", named.minimum_ip_target),
    )
    texts = [_setting(name, values) for name, values in targets if values is not None]
    if texts and named.mode is Mode.PREFIX:
        texts.insert(0, "ENABLE_PREFIX_DELEGATION=true")
    return ", ".join(texts)


def _setting(name: str, values: Values) -> str:
    """Return a setting with its values: ``NAME=4``, ``NAME 0 to 3``, ``NAME 4 or more``."""
    if values.most is None:
        return f"{name} {values.least} or more"
    return (
        f"{name}={values.least}" if values.least == values.most else f"{name} {values.least} to {values.most}"
    )
