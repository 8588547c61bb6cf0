"""The event names that a filter may ask for."""

import re
from fnmatch import fnmatchcase

from cnitrail.decode import NAMES
from cnitrail.text import listed

_READ_ONLY = ("describe", "get", "list")
"""Prefixes of calls that change nothing: no name that cnitrail reads is meant by one."""
_WORD = re.compile(r"[A-Z][a-z0-9]*")


def parse_event(text: str) -> str:
    """Return the name of an event that cnitrail reads, or a glob that matches one; capitals do not matter.

    Raises ``ValueError`` for any other name.
    """
    found = text.strip()
    if not any(fnmatchcase(name.lower(), found.lower()) for name in NAMES):
        raise ValueError(text)
    return found


def not_an_event(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_event`` refuses, and a hint."""
    from difflib import get_close_matches

    found = text.strip().lower()
    is_glob = any(sign in found for sign in "*?[")
    known = {name.lower(): name for name in NAMES}
    if is_glob:
        known = {word.lower(): f"{word}*" for name in NAMES for word in _WORD.findall(name)[:1]}
    near = [] if found.startswith(_READ_ONLY) else get_close_matches(found.strip("*?"), known, cutoff=0.7)
    if near:
        hint = f"did you mean {' or '.join(repr(known[name]) for name in near)}?"
    else:
        verbs = sorted({word for name in NAMES for word in _WORD.findall(name)[:1]})
        hint = f"it reads {listed([f'{verb}*' for verb in verbs])}"
    verb = "reads no event that matches" if is_glob else "does not read"
    return f"cnitrail {verb} {text!r}", hint
