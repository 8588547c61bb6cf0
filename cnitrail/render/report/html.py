"""A report as one HTML file that makes no requests, and that can be read without scripts.

Jinja escapes every value, and control characters of texts from records are written as escapes. The
file's Content-Security-Policy allows only its own style and script, by their hashes.
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

from cnitrail.garbage import without_garbage_collection
from cnitrail.model import Answer, Report
from cnitrail.render.report.chart_data import chart_range, data, json_lines, line
from cnitrail.render.report.page import ReportPage, Sizes, environment
from cnitrail.render.safe import printable

_SIZES = Sizes(
    rows=200,
    events=1_000,
    findings=40,
    instances=10,
    interfaces=200,
    attachments=50,
    holdings=12,
    principals=50,
    holders=100,
    pods=200,
    addresses=64,
    steps=24,
    skipped=50,
    nodes=25,
    calls=100_000,
    folded_nodes=5_000,
)

_PACKED_FROM = 100_000
"""Length of the script's data, in bytes, from which it is compressed to fit into a mail."""

_LEVEL = 6
"""Of compression. With libdeflate, the text is then as short as with zlib's 9; its 9 saves another 3 %."""

_TIME = r"\d{4}-\d\d-\d\d(?:[ ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?"
_MARKED = re.compile(
    rf"""(?P<time>\b{_TIME}\b)
    |\b(?:i|eni|eni-attach|vpc|subnet|sg)-[0-9a-f]{{8,17}}\b
    |\b\d+(?:\.\d+){{3}}(?:/\d+)?\b
    |\b[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\b""",
    re.VERBOSE,
)


@without_garbage_collection()
def write(answer: Answer[Report], out: IO[str]) -> None:
    """Write the report as HTML."""
    page = ReportPage(answer, _SIZES)
    style, script = _resource("page.css"), _resource("page.js")
    templates = environment(harmless, prose=prose)
    chart = _chart(page, templates) if page.report.calls else {}
    fixed = {"style": Markup(style), "script": Markup(script), "policy": _policy(style, script)}
    out.writelines(templates.get_template("report.html.j2").stream(page=page, **fixed, **chart))


def _chart(page: ReportPage, templates: Environment) -> dict[str, object]:
    """Return what the templates draw from, and the script's data, which has the HTML of what is folded."""
    shown = chart_range(page.report)
    lines = [line(instance, page.evidence, shown) for instance in page.drawn_instances]
    folded = zip(page.scripted_instances, lines[len(page.instances) :], strict=True)
    known = data(page.report, page.scripted_calls, page.drawn_instances, lines)
    known |= {
        "folded": templates.get_template("instances.html.j2").render(page=page, shown=shown, folded=folded),
        "nodes": templates.get_template("nodes.html.j2").render(page=page, nodes=page.folded_nodes),
    }
    return {"shown": shown, "lines": lines, "packing": _packed(known)}


def harmless(value: object) -> object:
    """Return a value with invisible and control characters as escapes; Jinja then escapes it for HTML."""
    return value if isinstance(value, Markup) else printable(str(value))


def prose(text: str) -> Markup:
    """Return a sentence in which times, IDs and addresses are marked: they are not broken across lines."""
    return Markup("").join(_marked(printable(text)))


def _marked(text: str) -> Iterator[Markup]:
    place = 0
    for found in _MARKED.finditer(text):
        yield escape(text[place : found.start()])
        yield Markup("<time>{}</time>" if found["time"] else "<code>{}</code>").format(found[0])
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
    """Return the data as JSON that cannot end the script element, compressed if it is long."""
    members = (b"%b: %b" % (_json(name), _json(value)) for name, value in known.items())
    text = (b"{\n%b\n}" % b",\n".join(members)).replace(b"<", b"\\u003c")
    if len(text) < _PACKED_FROM:
        return {"packed": False, "text": Markup(text.decode())}
    return {"packed": True, "text": Markup(base64.b64encode(_deflated(text)).decode())}


def _deflated(text: bytes) -> bytes:
    """Return a text compressed as raw DEFLATE, with libdeflate where it is installed."""
    try:
        from deflate import deflate_compress
    except ImportError:
        return zlib.compress(text, _LEVEL, wbits=-15)
    return bytes(deflate_compress(text, _LEVEL))


def _json(value: object) -> bytes:
    return bytes(json_lines(value)) if isinstance(value, list) else msgspec.json.encode(value)
