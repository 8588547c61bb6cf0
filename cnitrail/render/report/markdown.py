"""A postmortem as Markdown, for a ticket: GitHub's, and what Jira makes of it when it is pasted.

A text from a record is written so that it reads as itself and does nothing: words that could mean
something to Markdown, to HTML, or to a ticket (mentions, links, issue numbers, commits, emoji)
stand in code spans, where nothing has a meaning.
"""

import re
from itertools import groupby
from operator import itemgetter
from typing import IO

from markupsafe import Markup

from cnitrail.model import Answer, Report
from cnitrail.render.report.page import ReportPage, Sizes, environment
from cnitrail.render.safe import printable

_SIZES = Sizes(
    rows=80, findings=15, lives=12, holdings=0, principals=25, tenures=60, addresses=12, steps=10, skipped=20
)

_LONGEST = 300

_PLAIN = re.compile(r"""["(]?[A-Za-z0-9]+(?:[-./:+,'%][A-Za-z0-9]+)*[.,;:)"'%]*|[-–→×+]""")
_MEANING = re.compile(
    r"""://|www\.|:(?:[a-z+_-][\w+-]*|100|1234):  # links, emoji
    |\b[A-Z][A-Z0-9]*-\d  # issues: GH-1, OPS-12
    |\b[0-9a-f]{7,40}\b  # commits""",
    re.VERBOSE | re.IGNORECASE,
)
_ID = re.compile(r"""["(]?(?:i|eni|eni-attach|vpc|subnet)-[0-9a-f]+[.,;:)"]*""")
_ADDRESS = re.compile(r"""["(]?\d+(?:\.\d+){3}(?:/\d+)?[.,;:)"]*""")
_LIST = re.compile(r"[-+]|\d+[.)]")
_BARE = re.compile(r"""(["(]?)([^"()]+?)([.,;:")]*)""")


def write(answer: Answer[Report], out: IO[str]) -> None:
    """Write the report as Markdown."""
    template = environment(harmless, prose=prose, code=code).get_template("report.md.j2")
    out.writelines(template.stream(page=ReportPage(answer, _SIZES)))


def harmless(value: object) -> Markup:
    """A value as Markdown that reads as itself, on one line; what is Markdown already stays as it is."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return prose(text)


def prose(text: str) -> Markup:
    """A text of any length in the same way."""
    return Markup(_words(printable(text).strip(" ")))


def code(value: object) -> Markup:
    """A value in a code span."""
    return Markup(_span(printable(str(value))))


def _words(text: str) -> str:
    """The words of a text; those that may not stand by themselves, together in a code span."""
    words = text.split(" ")
    kinds = ["quoted" if _LIST.fullmatch(words[0]) else _kind(words[0]), *map(_kind, words[1:])]
    phrases = groupby(zip(kinds, words, strict=True), itemgetter(0))
    told = [(kind, " ".join(word for _, word in each)) for kind, each in phrases]
    return " ".join(phrase if kind == "plain" else _quoted(phrase) for kind, phrase in told)


def _kind(word: str) -> str:
    if _ID.fullmatch(word):
        return "id"
    if _ADDRESS.fullmatch(word):
        return "address"
    return "plain" if not word or (_PLAIN.fullmatch(word) and not _MEANING.search(word)) else "quoted"


def _quoted(phrase: str) -> str:
    """A phrase in a code span; brackets and stops around it stay outside, where it has none inside."""
    bare = _BARE.fullmatch(phrase)
    return f"{bare[1]}{_span(bare[2])}{bare[3]}" if bare else _span(phrase)


def _span(text: str) -> str:
    """A code span; a bar, which ends a cell even there, stands between two of them."""
    return r"\|".join(_fenced(part) for part in text.split("|"))


def _fenced(text: str) -> str:
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"
