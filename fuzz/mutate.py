"""One input from another: the same but for a few changes, most of which keep its structure.

Everything follows from the input and from ``chance``, so a seed is enough to do it again.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from fuzz.hostile import BYTES, TEXTS, TOKENS, VALUES

LONGEST: Final = 160 * 1024
"""The longest input, in bytes as it is stored."""

_LONGEST_TEXT: Final = 1024 * 1024
"""The longest text of a file that is gzipped: how much gzip may blow up has tests of its own."""

_TOKEN: Final = "@token "
"""What stands for a token while it is in a value, with the number of the token behind it."""

_SOME: Final = (1, 1, 2, 2, 3, 4, 5, 6)

GZIP: Final = b"\x1f\x8b"

Place = tuple[Any, Any]
"""Where a value stands: a list or an object, and its index or key there."""


def mutated(seed: bytes, chance: Random) -> bytes:
    """Another input of the same kind: JSON as JSON, anything else as bytes."""
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
            return text[:LONGEST]
    return mutated_bytes(text, chance)[:LONGEST]


# --- bytes -----------------------------------------------------------------------------------


def mutated_bytes(text: bytes, chance: Random) -> bytes:
    """A text with a few of its bytes gone, changed, moved or repeated."""
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
    """A JSON value, which is changed in a few places."""
    whole = [value]
    for _ in range(_few(chance)):
        places = _places(whole)
        chance.choice(_STEPS)(places, chance)
    return whole[0]


def _some_of(value: list[Any], chance: Random) -> list[Any]:
    """A few elements of a list: short inputs are quick to try, and tell more."""
    return [
        value[at] for at in sorted(chance.sample(range(len(value)), min(len(value), chance.choice(_SOME))))
    ]


def written(value: Any, chance: Random) -> bytes:
    """A value as one of those who write JSON would; tokens stand for themselves."""
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


def _places(whole: list[Any]) -> list[Place]:
    """Every place of a value, its own before all others."""
    places: list[Place] = []
    waiting: list[Any] = [whole]
    while waiting:
        inner = waiting.pop()
        for key, each in inner.items() if isinstance(inner, dict) else enumerate(inner):
            places.append((inner, key))
            if isinstance(each, (dict, list)):
                waiting.append(each)
    return places


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _put_hostile(places: Sequence[Place], chance: Random) -> None:
    inner, key = chance.choice(places)
    kind = chance.random()
    if kind < 0.6:
        inner[key] = chance.choice(TEXTS)
    elif kind < 0.9:
        inner[key] = _copied(chance.choice(VALUES))
    else:
        inner[key] = f"{_TOKEN}{chance.randrange(len(TOKENS))}"


def _put_other(places: Sequence[Place], chance: Random) -> None:
    (inner, key), (other, name) = chance.choice(places), chance.choice(places)
    inner[key] = _copied(other[name])


def _put_namesake(places: Sequence[Place], chance: Random) -> None:
    """One record names what another one names: histories cross."""
    inner, key = chance.choice(places)
    alike = [place for place in places if place[1] == key and place[0] is not inner]
    if alike:
        other, name = chance.choice(alike)
        inner[key] = _copied(other[name])


def _put_everywhere(places: Sequence[Place], chance: Random) -> None:
    """One value takes the place of another, wherever it stands."""
    texts = [place for place in places if isinstance(place[0][place[1]], str)]
    if texts:
        (inner, key), (other, name) = chance.choice(texts), chance.choice(texts)
        old, new = inner[key], other[name] if chance.random() < 0.7 else chance.choice(TEXTS)
        for inner, key in texts:
            if inner[key] == old:
                inner[key] = new


def _drop(places: Sequence[Place], chance: Random) -> None:
    if len(places) > 1:
        inner, key = chance.choice(places[1:])
        del inner[key]


def _drop_many(places: Sequence[Place], chance: Random) -> None:
    lists = _lists(places)
    if lists:
        kept = chance.choice(lists)
        kept[:] = chance.sample(kept, chance.randrange(1, 1 + len(kept)))


def _double(places: Sequence[Place], chance: Random) -> None:
    lists = _lists(places)
    if lists:
        grown = chance.choice(lists)
        grown.insert(chance.randrange(len(grown) + 1), _copied(chance.choice(grown)))


def _shuffle(places: Sequence[Place], chance: Random) -> None:
    lists = _lists(places)
    if lists:
        chance.shuffle(chance.choice(lists))


def _lists(places: Sequence[Place]) -> list[list[Any]]:
    return [inner[key] for inner, key in places if isinstance(inner[key], list) and inner[key]]


def _rename(places: Sequence[Place], chance: Random) -> None:
    objects = [place for place in places if isinstance(place[0], dict)]
    if objects:
        inner, key = chance.choice(objects)
        inner[chance.choice((chance.choice(objects)[1], chance.choice(TEXTS)))] = inner.pop(key)


def _wrap(places: Sequence[Place], chance: Random) -> None:
    inner, key = chance.choice(places)
    value = inner[key]
    inner[key] = chance.choice(
        ([value], {"items": value}, {"item": [value]}, {"value": value}, str(value)[:500])
    )


def _unwrap(places: Sequence[Place], chance: Random) -> None:
    inner, key = chance.choice(places)
    value = inner[key]
    if isinstance(value, (dict, list)) and value:
        inner[key] = next(iter(value.values() if isinstance(value, dict) else value))


def _edit(places: Sequence[Place], chance: Random) -> None:
    """A text with something in it, or a number beside the one that it was."""
    inner, key = chance.choice(places)
    value = inner[key]
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        inner[key] = value[:at] + chance.choice(TEXTS) + value[at + chance.choice((0, 0, 1, 4)) :]
    elif isinstance(value, int):
        inner[key] = value + chance.choice((-1, 1, 10, 1000))


def _retime(places: Sequence[Place], chance: Random) -> None:
    """A time somewhat earlier or later: seconds decide who held an address."""
    times = [place for place in places if str(place[1]).endswith("Time")]
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


_STEPS: Final[tuple[Callable[[Sequence[Place], Random], None], ...]] = (
    *(_put_hostile, _put_hostile, _put_other, _put_namesake, _put_namesake, _put_everywhere),
    *(_drop, _drop_many, _double, _shuffle, _rename, _wrap, _unwrap, _edit, _edit, _retime),
)


# --- log files -------------------------------------------------------------------------------


def mutated_file(seed: bytes, chance: Random) -> bytes:
    """Another log file: other records, in another form, packed in another way, damaged or not."""
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
        text = _zipped(text[:_LONGEST_TEXT], chance)
        if chance.random() < 0.3:
            text = mutated_bytes(text, chance)
    return text[:LONGEST]


def _unzipped(seed: bytes) -> bytes:
    try:
        return gzip.decompress(seed) if seed.startswith(GZIP) else seed
    except (OSError, EOFError, zlib.error):
        return seed


def _records(text: bytes) -> list[Any]:
    """The records of a file, without their envelopes; none where it has none."""
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
    return [_bare(each) for each in value] if isinstance(value, list) else [_bare(value)]


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
    """The records in one of the forms that are accepted, or in several."""
    kind = chance.randrange(10)
    if kind < 4:
        return written({"Records": records}, chance)
    if kind < 5:
        return written(records, chance)
    if kind < 6:
        looked_up = [{"EventId": "1", "CloudTrailEvent": json.dumps(each)} for each in records]
        return written({"Events": looked_up, "NextToken": "x"}, chance)
    if kind < 7:
        bridged = [
            {"version": "0", "detail-type": "AWS API Call via CloudTrail", "detail": each} for each in records
        ]
        return b"\n".join(written(each, chance) for each in bridged)
    if kind < 9:
        return b"\n".join(written(each, chance) for each in records) + chance.choice((b"", b"\n", b"\r\n\n"))
    half = chance.randrange(len(records) + 1)
    return written({"Records": records[:half]}, chance) + b"\n" + written({"Records": records[half:]}, chance)


def _zipped(text: bytes, chance: Random) -> bytes:
    """A text as gzip: in a member or in several, with something behind it or not."""
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.choice((0, 0, 0, 1, 2))))
    members = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    packed = b"".join(gzip.compress(each, chance.choice((0, 1, 6)), mtime=0) for each in members)
    return packed + chance.choice((b"", b"", b"", b"\x00" * 8, b"more", GZIP))
