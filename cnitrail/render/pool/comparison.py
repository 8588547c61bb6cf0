"""What other settings would have meant, and what ipamd itself says."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model.pool import AgainstIpamd, PoolEntry, WhatIf
from cnitrail.render.pool.words import clock, draw_below, many_pods
from cnitrail.render.safe import printable
from cnitrail.render.text import Row, Table

_SAME = {True: ("same", "green"), False: ("differs", "bold yellow"), None: ("", "")}


def write_what_if(entry: PoolEntry, out: IO[str]) -> None:
    """Write what came of each of the other settings."""
    for what_if in entry.what_if:
        for text in _assumed(what_if):
            out.write(text + "\n")
        rows: list[Row] = [
            (
                [(call.event, "")],
                [("" if call.observed is None else str(call.observed), "dim")],
                [(str(call.calls), "bold")],
                [(str(call.most_per_second), "")],
                [(f"{call.least_tokens:g} of {call.capacity}, {call.refill} more a second", "dim")],
                [(str(call.throttled) if call.throttled else "", "red")],
            )
            for call in what_if.calls
        ]
        headings = ("CALL TO EC2", "SEEN", "INSTEAD", "MOST A SECOND", "LEFT IN ITS BUCKET", "THROTTLED")
        draw_below(Table(headings, rows, shares={}), out)
        waits: list[Row] = [
            (
                [(clock(wait.since), "")],
                [(clock(wait.until), "")],
                [(str(wait.pods), "yellow")],
                [(wait.instance, "cyan")],
            )
            for wait in what_if.waits
        ]
        draw_below(Table(("PODS WAIT FROM", "TO", "PODS", "ON"), waits, shares={}), out)


def _assumed(what_if: WhatIf) -> Iterator[str]:
    named = " ".join(f"{name}={str(value).lower()}" for name, value in what_if.settings.items())
    least = "at least " if what_if.lower_bound else ""
    yield f"what if {named}, from {clock(what_if.since)} to {clock(what_if.until)}"
    history = what_if.demand == "history"
    known = "that the history shows: there may have been more" if history else "as counted"
    yield f"  for {least}{many_pods(what_if.most_pods)} at once, {known}"
    yield (
        f"  {least}{what_if.mean_pool:g} addresses held in the mean, {what_if.most_pool} at most, "
        f"on {what_if.most_enis} interfaces; {what_if.observed_mean_pool:g} were, in the mean"
    )
    if not what_if.waits:
        yield "  none of these pods would have waited for an address"


def write_against(entry: PoolEntry, out: IO[str]) -> None:
    """Write what ipamd says beside what the trail shows."""
    for said in (entry.metrics, entry.ipamd):
        if said is not None:
            _write_said(said, out)


def _write_said(said: AgainstIpamd, out: IO[str]) -> None:
    until = clock(said.trail_until) if said.trail_until else "its end"
    out.write(f"ipamd ({printable(said.source)}) beside the trail, which ends at {until}\n")
    rows: list[Row] = [
        (
            [(each.what, "")],
            [("" if each.ipamd is None else str(each.ipamd), "bold")],
            [("" if each.trail is None else str(each.trail), "")],
            [_SAME[each.same]],
        )
        for each in said.compared
        if each.ipamd is not None
    ]
    draw_below(Table(("", "IPAMD", "TRAIL", ""), rows, shares={}), out)
    addresses: list[Row] = [
        (
            [(str(each.ip), "bold")],
            [(each.eni, "")],
            [(each.pod or "", "cyan")],
            [(clock(each.assigned) if each.assigned else "", "dim")],
            [("" if each.in_trail else "not in the trail", "yellow")],
        )
        for each in said.addresses
    ]
    draw_below(Table(("ADDRESS", "INTERFACE", "POD", "SINCE", ""), addresses, shares={"POD": 1}), out)
    if said.only_in_trail:
        out.write(f"only in the trail: {' '.join(map(str, said.only_in_trail))}\n\n")
