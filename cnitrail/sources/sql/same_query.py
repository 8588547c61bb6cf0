"""Whether a query that was started earlier is the one that a command would start now."""

from __future__ import annotations

import re
from typing import Final

from cnitrail.errors import SourceError
from cnitrail.text import listed, shortened

_LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")

_AGAIN: Final = "or run it without ?query= to scan again"


def check_same(ran: str, asked: str, table: str, place: str) -> None:
    """Raise ``SourceError`` if two statements differ in more than white space.

    ``ran`` is the statement of the earlier query, ``table`` is the table as statements name it, and ``place``
    is the query in a sentence.
    """
    ran, asked = " ".join(ran.split()), " ".join(asked.split())
    if ran == asked:
        return
    if ran[:20] != asked[:20] or table not in ran:
        raise SourceError(
            f"{place} asked something else: {shortened(ran, 100)}",
            f"give the ID of a query that cnitrail started for this table, {_AGAIN}",
        )
    raise SourceError(
        f"{place} asked for something else than this command{_difference(ran, asked)}",
        "repeat the options of the command that started it, with fixed times: ages such as 2h change with "
        f"every command{_times(ran)}; {_AGAIN}",
    )


def _difference(ran: str, asked: str) -> str:
    """Return in which literals two statements differ, as the end of a sentence; empty if in none."""
    old, new = _LITERAL.findall(ran), _LITERAL.findall(asked)
    only_old = list(dict.fromkeys(text for text in old if text not in new))[:3]
    only_new = list(dict.fromkeys(text for text in new if text not in old))[:3]
    if only_old and only_new:
        return f": it has {listed(only_old)} instead of {listed(only_new)}"
    if only_old or only_new:
        return f": it also has {listed(only_old)}" if only_old else f": it does not have {listed(only_new)}"
    return ""


def _times(ran: str) -> str:
    """Return the options of the time range of a statement, in brackets; empty if it shows none."""
    since = re.search(r"event_time >= '([\dT:-]+)'", ran)
    until = re.search(r"event_time <= '([\dT:-]+)~?'", ran)
    options = [
        f"--{name} {found[1]}{'Z' if 'T' in found[1] else ''}"
        for name, found in (("since", since), ("until", until))
        if found is not None
    ]
    return f" (its times are {' '.join(options)})" if options else ""
