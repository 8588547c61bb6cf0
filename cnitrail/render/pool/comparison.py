"""Tables of what-if simulations, and of the comparison with ipamd."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model.pool import AgainstIpamd, PoolEntry, WhatIf
from cnitrail.render.pool.words import draw_below, many_pods, write_wrapped
from cnitrail.render.text import Row, Table
from cnitrail.text import clock, counted

_SAME = {True: ("same", "green"), False: ("differs", "bold magenta"), None: ("", "")}


def write_what_if(entry: PoolEntry, out: IO[str]) -> None:
    """Write the result of each what-if."""
    for what_if in entry.what_if:
        for text in _assumed(what_if):
            write_wrapped(text, out)
        rows: list[Row] = [
            (
                [(call.event, "")],
                [("" if call.observed is None else str(call.observed), "")],
                [(str(call.calls), "bold")],
                [(str(call.most_per_second), "")],
                [(f"{call.least_tokens:g} of {call.capacity}, refill {call.refill}/s", "")],
                [(str(call.throttled) if call.throttled else "", "red")],
            )
            for call in what_if.calls
        ]
        headings = ("EC2 API CALL", "IN CLOUDTRAIL", "WHAT IF", "PEAK PER SECOND", "TOKENS LEFT", "THROTTLED")
        draw_below([Table(headings, rows, {}, right=headings[1:4])], out)
        waits: list[Row] = [
            (
                [(clock(wait.since), "")],
                [(clock(wait.until), "")],
                [(str(wait.pods), "bold")],
                [(wait.instance, "")],
            )
            for wait in what_if.waits
        ]
        draw_below([Table(("PODS WAITED FROM", "TO", "PODS", "NODE"), waits, {}, right=["PODS"])], out)


def _assumed(what_if: WhatIf) -> Iterator[str]:
    named = " ".join(f"{name}={str(value).lower()}" for name, value in what_if.settings.items())
    least = "at least " if what_if.lower_bound else ""
    yield f"what if {named}, from {clock(what_if.since)} to {clock(what_if.until)}"
    history = what_if.demand == "history"
    known = "concluded from CloudTrail: there may have been more" if history else "as counted"
    yield f"  {least}{many_pods(what_if.most_pods)} at once, {known}"
    yield (
        f"  {least}{what_if.mean_pool:g} addresses on average, {what_if.most_pool} at most, "
        f"on {counted(what_if.most_enis, 'ENI')}; in CloudTrail {what_if.observed_mean_pool:g} on average"
    )
    if not what_if.waits:
        yield "  none of these pods would have waited for an address"


def write_against(entry: PoolEntry, out: IO[str]) -> None:
    """Write what ipamd reports beside what CloudTrail shows."""
    for comparison in (entry.metrics, entry.ipamd):
        if comparison is not None:
            _write_comparison(comparison, out)


def _write_comparison(comparison: AgainstIpamd, out: IO[str]) -> None:
    until = clock(comparison.trail_until) if comparison.trail_until else "its end"
    write_wrapped(f"ipamd ({comparison.source}) compared with CloudTrail up to {until}", out)
    rows: list[Row] = [
        (
            [(number.what, "")],
            [("" if number.ipamd is None else str(number.ipamd), "bold")],
            [("" if number.trail is None else str(number.trail), "")],
            [_SAME[number.same]],
        )
        for number in comparison.compared
        if number.ipamd is not None
    ]
    draw_below([Table(("", "IPAMD", "CLOUDTRAIL", " "), rows, {}, right=["IPAMD", "CLOUDTRAIL"])], out)
    addresses: list[Row] = [
        (
            [(str(address.ip), "bold")],
            [(address.eni, "")],
            [(address.pod or "", "")],
            [(clock(address.assigned) if address.assigned else "", "")],
            [(clock(address.released) if address.released else "", "")],
            [("" if address.in_trail else "not in CloudTrail", "magenta")],
        )
        for address in comparison.addresses
    ]
    draw_below([Table(("ADDRESS", "ENI", "POD", "SINCE", "UNTIL", ""), addresses, shares={"POD": 1})], out)
    if comparison.only_in_trail:
        write_wrapped(f"only in CloudTrail: {' '.join(map(str, comparison.only_in_trail))}", out)
        out.write("\n")
