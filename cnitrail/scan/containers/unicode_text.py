"""UTF-16 and UTF-32 text → UTF-8: Windows PowerShell's ``>`` writes UTF-16."""

import codecs
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.multisearch import Bytes


class Encoding(Struct, frozen=True):
    """An encoding, with the byte order mark that its texts begin with; ``name`` is what people call it."""

    mark: bytes
    name: str
    codec: str


ENCODINGS: Final = (
    Encoding(codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),  # begins with the mark of UTF-16
    Encoding(codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    Encoding(codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    Encoding(codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)


def as_utf8(encoding: Encoding, pieces: Iterator[Bytes]) -> Iterator[bytes]:
    """Yield text as UTF-8, without its mark. A lone surrogate stays one: it damages only its own record."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("surrogatepass")
    mark = encoding.mark.decode(encoding.codec)
    for piece in pieces:
        text, torn = _decoded(decoder, piece, encoding)
        text, mark = text.removeprefix(mark) if mark else text, "" if text else mark
        if text:
            yield text.encode("utf-8", "surrogatepass")
        if torn is not None:
            raise torn
    if decoder.getstate()[0]:
        raise TornStream(f"the {encoding.name.upper()} text is cut short")


def _decoded(
    decoder: codecs.IncrementalDecoder, piece: Bytes, encoding: Encoding
) -> tuple[str, TornStream | None]:
    """Return the text of a piece; if it is damaged, the text before that, and the error."""
    try:
        return decoder.decode(bytes(piece)), None
    except UnicodeDecodeError as error:
        text = error.object[: error.start].decode(encoding.codec, "surrogatepass")
        return text, TornStream(f"the {encoding.name.upper()} text is damaged ({error.reason})")
