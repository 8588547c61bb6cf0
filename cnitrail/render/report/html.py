"""A postmortem as one HTML file that asks nobody for anything, and that can be read without scripts.

Jinja escapes every value; texts from records are shown with their control characters written out.
The file's policy (Content-Security-Policy) lets only its own style and script act, by their hashes.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import IO

import msgspec
from jinja2 import Environment
from markupsafe import Markup, escape

from cnitrail.model import Answer, Report
from cnitrail.render.report.chart_data import data, frame, line
from cnitrail.render.report.page import ReportPage, Sizes, environment
from cnitrail.render.safe import printable

_SIZES = Sizes(
    rows=200,
    findings=40,
    lives=10,
    holdings=12,
    principals=50,
    tenures=100,
    addresses=64,
    steps=24,
    skipped=50,
)

_PACKED_FROM = 100_000
"""Characters from which on the script's data are compressed: a mail should not carry more."""

_ID = re.compile(r"\b(?:i|eni|eni-attach|vpc|subnet)-[0-9a-f]{8,17}\b|\b\d+(?:\.\d+){3}(?:/\d+)?\b")


def write(answer: Answer[Report], out: IO[str]) -> None:
    """Write the report as HTML."""
    page = ReportPage(answer, _SIZES)
    style, script = _resource("page.css"), _resource("page.js")
    templates = environment(harmless, prose=prose)
    picture = _picture(page, templates) if page.report.calls else {}
    fixed = {"style": Markup(style), "script": Markup(script), "policy": _policy(style, script)}
    out.writelines(templates.get_template("report.html.j2").stream(page=page, **fixed, **picture))


def _picture(page: ReportPage, templates: Environment) -> dict[str, object]:
    """What the templates draw from, and the data, in which folded instances lie as they would stand."""
    shown = frame(page.report)
    drawn = [line(life, page.evidence, shown) for life in page.report.instances]
    template = templates.get_template("life.html.j2")
    folded = [
        template.render(page=page, shown=shown, life=life, line=each, listed=False)
        for life, each in zip(page.folded_lives, drawn[len(page.lives) :], strict=True)
    ]
    known = data(page.report, page.timeline.rows, page.evidence) | {"folded": "".join(folded)}
    return {"shown": shown, "lines": drawn, "packing": _packed(known)}


def harmless(value: object) -> object:
    """A value with every character written out that hides, or steers the text; Jinja escapes it then."""
    return value if isinstance(value, Markup) else printable(str(value))


def prose(text: str) -> Markup:
    """A sentence in which ids and addresses are set as code."""
    return Markup("").join(_marked(printable(text)))


def _marked(text: str) -> Iterator[Markup]:
    place = 0
    for found in _ID.finditer(text):
        yield escape(text[place : found.start()])
        yield Markup("<code>{}</code>").format(found[0])
        place = found.end()
    yield escape(text[place:])


def _resource(name: str) -> str:
    return files("cnitrail.render.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _packed(known: Mapping[str, object]) -> dict[str, object]:
    """The data as JSON that no end of a script hides in, or compressed where it is long."""
    text = "{\n" + ",\n".join(f"{_json(name)}: {_lines(value)}" for name, value in known.items()) + "\n}"
    text = text.replace("<", "\\u003c")
    if len(text) < _PACKED_FROM:
        return {"packed": False, "text": Markup(text)}
    squeeze = zlib.compressobj(level=9, wbits=-15, memLevel=9, strategy=zlib.Z_FILTERED)
    squeezed = squeeze.compress(text.encode()) + squeeze.flush()
    return {"packed": True, "text": Markup(base64.b64encode(squeezed).decode())}


def _lines(value: object) -> str:
    """A list with a line for each element, so that a person can read the file."""
    if not isinstance(value, list) or not value:
        return _json(value)
    return "[\n" + ",\n".join(map(_json, value)) + "\n]"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
