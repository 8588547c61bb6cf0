"""The settings that fit, and what rules the others out."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import IO

from cnitrail.model.pool import Candidate, Mode, PoolEntry, RuledOut, SettingsPeriod, Values, Versions
from cnitrail.render.pool.words import clock, draw_below, many_pods
from cnitrail.render.safe import printable
from cnitrail.render.text import Row, Table


def write_settings(entry: PoolEntry, out: IO[str]) -> None:
    """Write the settings of each period, then what each event rules out."""
    for period in entry.settings:
        out.write("\n".join(map(printable, _about(period))) + "\n")
        likely = sorted(period.candidates, key=lambda each: each.held_back is not None)
        rows: list[Row] = [
            ([(candidate_text(each), "dim" if each.held_back else "bold")], [(_condition(each), "dim")])
            for each in likely
        ]
        draw_below(Table(("SETTINGS THAT FIT", "IF"), rows, shares={"SETTINGS THAT FIT": 1, "IF": 1}), out)
    for unsettled in entry.unsettled:
        until = f" to {clock(unsettled.until)}" if unsettled.until else " on"
        since = clock(unsettled.since)
        out.write(f"no settings are concluded from {since}{until}: {printable(unsettled.because)}\n\n")
    rows = list(_ruled_out_rows(entry))
    draw_below(Table(("TIME (UTC)", "BY", "RULED OUT"), rows, shares={"BY": 1, "RULED OUT": 1}), out)


def _ruled_out_rows(entry: PoolEntry) -> Iterator[Row]:
    """What each event rules out."""
    every = (each for period in entry.settings for each in period.ruled_out)
    for (by, because), group in groupby(every, key=lambda each: (each.by, each.because)):
        texts = [_ruled_out(each) for each in group]
        yield (
            [(f"{by.time:%Y-%m-%d}", "dim"), (f"{by.time:%H:%M:%S}", "")],
            [(by.event, "bold"), (by.event_id or "", "dim"), (because, "")],
            [*((f"{text};", "") for text in texts[:-1]), (texts[-1], "")],
        )


def _about(period: SettingsPeriod) -> Iterator[str]:
    versions = ", ".join(map(_version, period.versions))
    until = f"to {clock(period.until)}" if period.until else "on"
    yield (
        f"from {clock(period.since)} {until}: addresses {period.pool_before} to {period.pool_after}, "
        f"interfaces {period.enis_before} to {period.enis_after}, CNI {versions}"
    )
    yield f"  ({period.begins})"


def _version(versions: Versions) -> str:
    return f"{versions.since} to {versions.until}" if versions.until else f"{versions.since} or later"


def _condition(candidate: Candidate) -> str:
    """What a candidate needs to explain all, in plain words."""
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


def _ruled_out(each: RuledOut) -> str:
    if each.versions is not None:
        return f"CNI {_version(each.versions)}"
    return _settings(each) or f"{each.mode} mode"


def candidate_text(candidate: Candidate) -> str:
    """The settings of a candidate, and whether they are the CNI's defaults."""
    default = Values(1, 1) in (candidate.warm_eni_target, candidate.warm_prefix_target)
    return _settings(candidate) + (" (the default)" if default else "")


def _settings(named: Candidate | RuledOut) -> str:
    targets = (
        ("WARM_ENI_TARGET", named.warm_eni_target),
        ("WARM_PREFIX_TARGET", named.warm_prefix_target),
        ("WARM_IP_TARGET", named.warm_ip_target),
        ("MINIMUM_IP_TARGET", named.minimum_ip_target),
    )
    texts = [f"{name}={_values(values)}" for name, values in targets if values is not None]
    if texts and named.mode is Mode.PREFIX:
        texts.insert(0, "ENABLE_PREFIX_DELEGATION=true")
    return " ".join(texts)


def _values(values: Values) -> str:
    if values.most is None:
        return f"{values.least}+"
    return str(values.least) if values.least == values.most else f"{values.least}..{values.most}"
