"""A report as Markdown for a ticket: GitHub's, which Jira also understands when it is pasted.

A text from a record is written so that it reads as itself and has no effect: words that could mean
something to Markdown, to HTML, or to a ticket (mentions, links, issue numbers, commits, emoji) are
in code spans.
"""

import re
from itertools import groupby
from operator import itemgetter
from typing import IO

from markupsafe import Markup

from cnitrail.garbage import without_garbage_collection
from cnitrail.model import Answer, Report
from cnitrail.render.report.page import ReportPage, Sizes, environment
from cnitrail.render.safe import printable
from cnitrail.text import shortened

SIZES = Sizes(
    rows=80,
    events=150,
    findings=15,
    instances=12,
    interfaces=150,
    attachments=20,
    holdings=0,
    principals=25,
    holders=60,
    pods=60,
    addresses=12,
    steps=10,
    skipped=20,
    nodes=40,
)

_LONGEST = 300
"""Maximum length of a value from a record."""

_PLAIN = re.compile(r"""["(]?[A-Za-z0-9]+(?:[-./:+,'%][A-Za-z0-9]+)*[.,;:)"'%]*|[-–→×+…]""")
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


@without_garbage_collection()
def write(answer: Answer[Report], out: IO[str]) -> None:
    """Write the report as Markdown."""
    template = environment(harmless, prose=prose, code=code).get_template("report.md.j2")
    out.writelines(template.stream(page=ReportPage(answer, SIZES)))


def harmless(value: object) -> Markup:
    """Return a value as Markdown that reads as itself, on one line; Markdown is left as it is."""
    if isinstance(value, Markup):
        return value
    return prose(shortened(str(value), _LONGEST))


def prose(text: str) -> Markup:
    """Return a text of any length as Markdown that reads as itself, on one line."""
    return Markup(_words(printable(text).strip(" ")))


def code(value: object) -> Markup:
    """Return a value in a code span."""
    return Markup(_span(printable(str(value))))


def _words(text: str) -> str:
    """Return the words of a text; consecutive words that need a code span share one."""
    words = text.split(" ")
    kinds = ["quoted" if _LIST.fullmatch(words[0]) else _kind(words[0]), *map(_kind, words[1:])]
    phrases = groupby(zip(kinds, words, strict=True), itemgetter(0))
    joined = [(kind, " ".join(word for _, word in group)) for kind, group in phrases]
    return " ".join(phrase if kind == "plain" else _quoted(phrase) for kind, phrase in joined)


def _kind(word: str) -> str:
    if _ID.fullmatch(word):
        return "id"
    if _ADDRESS.fullmatch(word):
        return "address"
    return "plain" if not word or (_PLAIN.fullmatch(word) and not _MEANING.search(word)) else "quoted"


def _quoted(phrase: str) -> str:
    """Return a phrase in a code span, without brackets and stops around it if it has none inside."""
    bare = _BARE.fullmatch(phrase)
    return f"{bare[1]}{_span(bare[2])}{bare[3]}" if bare else _span(phrase)


def _span(text: str) -> str:
    """Return a text as a code span; as several if it has a bar, which ends a table cell even in code."""
    return r"\|".join(_fenced(part) for part in text.split("|"))


def _fenced(text: str) -> str:
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"
