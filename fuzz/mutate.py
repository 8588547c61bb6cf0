"""Mutates inputs: a few changes, most of which preserve the structure.

Everything is determined by the input and ``chance``, so a seed is enough to reproduce it.
"""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from fuzz.hostile import BYTES, TEXTS, TOKENS, VALUES

MAX_INPUT: Final = 160 * 1024
"""Maximum size of an input in bytes, compressed if it is gzipped."""

_MAX_TEXT: Final = 1024 * 1024
"""Maximum size of the text in a gzipped file; gzip bombs have their own tests."""

_TOKEN: Final = "@token "
"""Placeholder for a token in a value, followed by the number of the token."""

_SAMPLE_SIZES: Final = (1, 1, 2, 2, 3, 4, 5, 6)

GZIP: Final = b"\x1f\x8b"

Location = tuple[Any, Any]
"""A list or object, and the index or key of a value in it."""


def mutated(seed: bytes, chance: Random) -> bytes:
    """Return a mutation of an input: of JSON, as JSON; of anything else, as bytes."""
    text = seed
    try:
        value = json.loads(seed)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, (dict, list)) and chance.random() < 0.9:
        if isinstance(value, list) and chance.random() < 0.95:
            value = _some_of(value, chance)
        text = written(mutated_json(value, chance), chance)
        if chance.random() < 0.9:
            return text[:MAX_INPUT]
    return mutated_bytes(text, chance)[:MAX_INPUT]


# --- bytes -----------------------------------------------------------------------------------


def mutated_bytes(text: bytes, chance: Random) -> bytes:
    """Return a text in which a few bytes are removed, changed or repeated."""
    for _ in range(_few(chance)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 1, 2, 4, 16, 64, 1024)))
        inside = text[start:end]
        text = text[:start] + chance.choice(_CHANGES)(inside, chance) + text[end:]
        if chance.random() < 0.05:
            text = text[: chance.randrange(len(text) + 1)]
    return text


def _flipped(inside: bytes, chance: Random) -> bytes:
    if not inside:
        return chance.randbytes(1)
    at = chance.randrange(len(inside))
    return inside[:at] + bytes([inside[at] ^ 1 << chance.randrange(8)]) + inside[at + 1 :]


_CHANGES: Final[tuple[Callable[[bytes, Random], bytes], ...]] = (
    _flipped,
    lambda _, __: b"",
    lambda inside, _: inside * 2,
    lambda inside, chance: inside * chance.choice((3, 20, 400)),
    lambda inside, chance: inside[: len(inside) // 2] + chance.choice(BYTES) + inside[len(inside) // 2 :],
    lambda _, chance: chance.choice(BYTES),
    lambda _, chance: chance.choice(TEXTS).encode("utf-8", "surrogatepass"),
    lambda inside, chance: chance.randbytes(len(inside)),
)


# --- JSON ------------------------------------------------------------------------------------


def mutated_json(value: Any, chance: Random) -> Any:
    """Return a JSON value with a few changes."""
    whole = [value]
    for _ in range(_few(chance)):
        locations = _locations(whole)
        chance.choice(_STEPS)(locations, chance)
    return whole[0]


def _some_of(value: list[Any], chance: Random) -> list[Any]:
    """Return a few elements of a list: short inputs are faster, and easier to understand."""
    return [
        value[at]
        for at in sorted(chance.sample(range(len(value)), min(len(value), chance.choice(_SAMPLE_SIZES))))
    ]


def written(value: Any, chance: Random) -> bytes:
    """Return a value as JSON text in one of the usual styles, with its tokens inserted."""
    spaced = chance.choice(((",", ":"), (",", ":"), (",", ":"), (", ", ": "), ("\n,", " :\t")))
    text = json.dumps(
        value,
        separators=spaced,
        ensure_ascii=chance.random() < 0.8,
        indent=chance.choice((None, None, None, None, 2)),
    )
    if _TOKEN in text:
        for number, token in enumerate(TOKENS):
            text = text.replace(f'"{_TOKEN}{number}"', token)
    return text.encode("utf-8", "surrogatepass")


def _few(chance: Random) -> int:
    return chance.choice((1, 1, 1, 2, 2, 3, 4, 8))


def _locations(whole: list[Any]) -> list[Location]:
    """Return the locations of a value and of all values in it, its own first."""
    locations: list[Location] = []
    waiting: list[Any] = [whole]
    while waiting:
        inner = waiting.pop()
        for key, value in inner.items() if isinstance(inner, dict) else enumerate(inner):
            locations.append((inner, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return locations


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _put_hostile(locations: Sequence[Location], chance: Random) -> None:
    inner, key = chance.choice(locations)
    kind = chance.random()
    if kind < 0.6:
        inner[key] = chance.choice(TEXTS)
    elif kind < 0.9:
        inner[key] = _copied(chance.choice(VALUES))
    else:
        inner[key] = f"{_TOKEN}{chance.randrange(len(TOKENS))}"


def _put_other(locations: Sequence[Location], chance: Random) -> None:
    (inner, key), (other, name) = chance.choice(locations), chance.choice(locations)
    inner[key] = _copied(other[name])


def _put_namesake(locations: Sequence[Location], chance: Random) -> None:
    """Copy a value of the same field from another record, so that their histories interact."""
    inner, key = chance.choice(locations)
    alike = [location for location in locations if location[1] == key and location[0] is not inner]
    if alike:
        other, name = chance.choice(alike)
        inner[key] = _copied(other[name])


def _put_everywhere(locations: Sequence[Location], chance: Random) -> None:
    """Replace all occurrences of one string."""
    texts = [location for location in locations if isinstance(location[0][location[1]], str)]
    if texts:
        (inner, key), (other, name) = chance.choice(texts), chance.choice(texts)
        old, new = inner[key], other[name] if chance.random() < 0.7 else chance.choice(TEXTS)
        for inner, key in texts:
            if inner[key] == old:
                inner[key] = new


def _drop(locations: Sequence[Location], chance: Random) -> None:
    if len(locations) > 1:
        inner, key = chance.choice(locations[1:])
        del inner[key]


def _drop_many(locations: Sequence[Location], chance: Random) -> None:
    lists = _lists(locations)
    if lists:
        kept = chance.choice(lists)
        kept[:] = chance.sample(kept, chance.randrange(1, 1 + len(kept)))


def _double(locations: Sequence[Location], chance: Random) -> None:
    lists = _lists(locations)
    if lists:
        grown = chance.choice(lists)
        grown.insert(chance.randrange(len(grown) + 1), _copied(chance.choice(grown)))


def _shuffle(locations: Sequence[Location], chance: Random) -> None:
    lists = _lists(locations)
    if lists:
        chance.shuffle(chance.choice(lists))


def _lists(locations: Sequence[Location]) -> list[list[Any]]:
    return [inner[key] for inner, key in locations if isinstance(inner[key], list) and inner[key]]


def _rename(locations: Sequence[Location], chance: Random) -> None:
    objects = [location for location in locations if isinstance(location[0], dict)]
    if objects:
        inner, key = chance.choice(objects)
        inner[chance.choice((chance.choice(objects)[1], chance.choice(TEXTS)))] = inner.pop(key)


def _wrap(locations: Sequence[Location], chance: Random) -> None:
    inner, key = chance.choice(locations)
    value = inner[key]
    inner[key] = chance.choice(
        ([value], {"items": value}, {"item": [value]}, {"value": value}, str(value)[:500])
    )


def _unwrap(locations: Sequence[Location], chance: Random) -> None:
    inner, key = chance.choice(locations)
    value = inner[key]
    if isinstance(value, (dict, list)) and value:
        inner[key] = next(iter(value.values() if isinstance(value, dict) else value))


def _edit(locations: Sequence[Location], chance: Random) -> None:
    """Insert something into a string, or change a number a little."""
    inner, key = chance.choice(locations)
    value = inner[key]
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        inner[key] = value[:at] + chance.choice(TEXTS) + value[at + chance.choice((0, 0, 1, 4)) :]
    elif isinstance(value, int):
        inner[key] = value + chance.choice((-1, 1, 10, 1000))


def _retime(locations: Sequence[Location], chance: Random) -> None:
    """Shift a time: seconds decide who held an address."""
    times = [location for location in locations if str(location[1]).endswith("Time")]
    if times:
        inner, key = chance.choice(times)
        try:
            inner[key] = _shifted(
                inner[key], chance.choice((-86_400, -3_600, -60, -1, 1, 2, 60, 3_600, 9**10))
            )
        except (TypeError, ValueError, OverflowError):
            inner[key] = chance.choice(TEXTS)


def _shifted(text: str, seconds: int) -> str:
    return f"{datetime.fromisoformat(text) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


_STEPS: Final[tuple[Callable[[Sequence[Location], Random], None], ...]] = (
    *(_put_hostile, _put_hostile, _put_other, _put_namesake, _put_namesake, _put_everywhere),
    *(_drop, _drop_many, _double, _shuffle, _rename, _wrap, _unwrap, _edit, _edit, _retime),
)


# --- log files -------------------------------------------------------------------------------


def mutated_file(seed: bytes, chance: Random) -> bytes:
    """Return a log file with other records or another layout, gzipped or not, damaged or not."""
    text = _unzipped(seed)
    if (records := _records(text)) and chance.random() < 0.8:
        if chance.random() < 0.95:
            records = _some_of(records, chance)
        if chance.random() < 0.7:
            records = mutated_json(records, chance)
        text = _form(records, chance) if isinstance(records, list) else written(records, chance)
    if chance.random() < 0.4:
        text = mutated_bytes(text, chance)
    if chance.random() < 0.5:
        text = _zipped(text[:_MAX_TEXT], chance)
        if chance.random() < 0.3:
            text = mutated_bytes(text, chance)
    return text[:MAX_INPUT]


def mutated_form(seed: bytes, chance: Random) -> bytes:
    """Return an export with other values, other lines or damage, in UTF-16, or gzipped."""
    kind = chance.random()
    if kind < 0.4:
        text = mutated(seed, chance)
    elif kind < 0.7:
        text = mutated_bytes(seed, chance)
    else:
        text = _with_other_lines(seed, chance)
    if chance.random() < 0.2:
        text = chance.choice((_in_utf_16, lambda text: gzip.compress(text, mtime=0)))(text)
    return text[:MAX_INPUT]


def _with_other_lines(text: bytes, chance: Random) -> bytes:
    """Return a text whose lines are in another order, repeated, changed, or end in another way."""
    lines = _unzipped(text).split(b"\n")
    for _ in range(_few(chance)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        change = chance.randrange(5)
        if change == 0:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 1:
            lines.insert(at, lines[other])
        elif change == 2:
            lines[at] += chance.choice((b" ", b"\t", b",", b"[Truncated...]")) + lines[other]
        elif change == 3:
            lines[at] = lines[other].partition(b" ")[0] + b" " + lines[at]
        else:
            lines[at] = mutated_bytes(lines[at], chance)
    return chance.choice((b"\n", b"\n", b"\n", b"\r\n", b"")).join(lines)


def _unzipped(seed: bytes) -> bytes:
    try:
        return gzip.decompress(seed) if seed.startswith(GZIP) else seed
    except (OSError, EOFError, zlib.error):
        return seed


def _records(text: bytes) -> list[Any]:
    """Return the records of a file without their envelopes."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            return []
    for container in ("Records", "Events"):
        if isinstance(value, dict) and isinstance(value.get(container), list):
            value = value[container]
    return [_bare(record) for record in value] if isinstance(value, list) else [_bare(value)]


def _bare(value: Any) -> Any:
    match value:
        case {"CloudTrailEvent": str(text)}:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return value
        case {"detail-type": _, "detail": dict(record)}:
            return record
    return value


def _form(records: list[Any], chance: Random) -> bytes:
    """Return the records in one of the accepted layouts, or in two."""
    kind = chance.randrange(10)
    if kind < 4:
        return written({"Records": records}, chance)
    if kind < 5:
        return written(records, chance)
    if kind < 6:
        looked_up = [{"EventId": "1", "CloudTrailEvent": json.dumps(record)} for record in records]
        return written({"Events": looked_up, "NextToken": "x"}, chance)
    if kind < 7:
        bridged = [
            {"version": "0", "detail-type": "AWS API Call via CloudTrail", "detail": record}
            for record in records
        ]
        return b"\n".join(written(envelope, chance) for envelope in bridged)
    if kind < 9:
        return b"\n".join(written(record, chance) for record in records) + chance.choice(
            (b"", b"\n", b"\r\n\n")
        )
    half = chance.randrange(len(records) + 1)
    return written({"Records": records[:half]}, chance) + b"\n" + written({"Records": records[half:]}, chance)


def _zipped(text: bytes, chance: Random) -> bytes:
    """Return a text as gzip, in one or several members, sometimes with trailing bytes."""
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.choice((0, 0, 0, 1, 2))))
    members = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    packed = b"".join(gzip.compress(member, chance.choice((0, 1, 6)), mtime=0) for member in members)
    return packed + chance.choice((b"", b"", b"", b"\x00" * 8, b"more", GZIP))


# --- containers ------------------------------------------------------------------------------


def mutated_container(seed: bytes, chance: Random) -> bytes:
    """Return a file in further containers, or beside itself, damaged or not."""
    stored = seed
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        stored = chance.choice(PACKERS)(stored)
        if chance.random() < 0.2:
            stored = mutated_bytes(stored, chance)
    if chance.random() < 0.1:
        stored += seed
    return (mutated_bytes(stored, chance) if chance.random() < 0.7 else stored)[:MAX_INPUT]


def _in_zip(method: int) -> Callable[[bytes], bytes]:
    def packed(text: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a/b.json"), text, method)
            archive.writestr(zipfile.ZipInfo("._c"), b"[]", method)
        return file.getvalue()

    return packed


def _in_tar(form: int) -> Callable[[bytes], bytes]:
    def packed(text: bytes) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, content in (("n" * 70 + "/" + "n" * 70, text), ("b", b"[]")):
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        return file.getvalue()

    return packed


def _in_utf_16(text: bytes) -> bytes:
    return b"\xff\xfe" + text.decode("latin-1").encode("utf-16-le")


PACKERS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    *(lambda text: gzip.compress(text, mtime=0), bz2.compress, lzma.compress, _in_utf_16),
    *map(_in_zip, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    *map(_in_tar, (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)),
)
"""Ways to put a file into a container."""
