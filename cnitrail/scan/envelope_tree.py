"""The table ``envelopes`` as a tree: where in a value a record may be, step by step."""

import re
from typing import Final

from msgspec import Struct, field

from cnitrail.scan.envelopes import ENVELOPES, MESSAGES, POD_ENVELOPES, Content, Envelope


class Place(Struct, kw_only=True):
    """A place in an envelope: what may be here, and which steps lead further in."""

    record: str | None = None
    """The form of a record that is here."""
    rows: Content | None = None
    """The kind of rows that may be here."""
    keys: dict[str, "Place"] = field(default_factory=dict)
    element: "Place | None" = None
    chosen: "tuple[str, str, Place] | None" = None
    """A key, its value, and the place of an object that has both."""
    text: "Place | None" = None
    """What a JSON text here contains."""
    packed: "Place | None" = None
    """What the gzipped bytes in a Base64 text here contain."""


_STEP: Final = re.compile(
    r'"(?P<quoted>[^"]+)"|(?P<key>[^."\[\]{}|]+)|(?P<element>\[\])|\{(?P<field>[^=]+)=(?P<value>[^}]+)\}'
    r"|(?P<packed>\|base64\|gzip\|json)|(?P<text>\|json)|(?P<dot>\.)"
)


def _child(place: Place, step: re.Match[str]) -> Place:
    """Return the place that a step leads to; it is made if there is none yet."""
    match step.lastgroup:
        case "dot":
            return place
        case "element":
            place.element = place.element or Place()
            return place.element
        case "text":
            place.text = place.text or Place()
            return place.text
        case "packed":
            place.packed = place.packed or Place()
            return place.packed
        case "value":
            place.chosen = place.chosen or (step["field"], step["value"], Place())
            return place.chosen[2]
    return place.keys.setdefault(step["quoted"] or step["key"], Place())


def _tree(envelopes: tuple[Envelope, ...]) -> Place:
    """Return the table as a tree, in which each path is followed only as far as a text has its steps."""
    root = Place()
    for envelope in envelopes:
        is_message = envelope.content is Content.MESSAGE
        for suffix, bare_form in MESSAGES if is_message else MESSAGES[:1]:
            place = root
            for step in _STEP.finditer(envelope.path + suffix):
                place = _child(place, step)
            if envelope.content in (Content.RECORD, Content.MESSAGE):
                is_bare = envelope.path == "" and bare_form is not None
                place.record = place.record or (bare_form if is_bare else envelope.form)
            else:
                place.rows = envelope.content
    return root


ROOT: Final = _tree((*ENVELOPES, *POD_ENVELOPES))
"""The outside: a document, a line, or an element of an outermost array."""


def place_of(path: str) -> Place:
    """Return the place to which a path of the table leads."""
    place = ROOT
    for step in _STEP.finditer(path):
        place = _child(place, step)
    return place


CONTAINERS: Final = {key: place.element for key, place in ROOT.keys.items() if place.element is not None}
"""The keys of a document's outermost object under which a list has one envelope or record in each element."""
