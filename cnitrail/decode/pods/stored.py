"""Records of pod evidence as a store keeps them: their typed facts, and nothing else of what was read.

An audit log has secrets of other kinds in it: environment variables, tokens, annotations.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from json import dumps
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec

from cnitrail.model import Origin, Record, StoredRecord
from cnitrail.model.pod_facts import PodFact, PodRecord
from cnitrail.model.pods import PodName

_TAG = "type"
_FACTS: Mapping[object, type[Any]] = {fact.__struct_config__.tag: fact for fact in get_args(PodFact)}


def stored_record(record: Record, pods: PodRecord | None, problems: tuple[str, ...]) -> StoredRecord:
    """Return a record with the JSON of its facts, and what could not be read, in place of its payload."""
    kept = {
        "problems": problems,
        "pods": pods and {key: value for key, value in _builtins(pods).items() if key != "origins"},
    }
    payload = dumps(kept, separators=(",", ":")).encode()
    return StoredRecord(record.origins, payload)


def read_stored(record: Record, entry: object) -> tuple[PodRecord | None, tuple[str, ...]]:
    """Return what ``stored_record`` kept. Raises ``ValueError`` for anything else."""
    match entry:
        case {"problems": [*problems], "pods": pods, **more} if not more:
            reasons = tuple(_plain(str, problem) for problem in problems)
            return None if pods is None else _pod_record(pods, record.origins), reasons
    raise ValueError("not what cnitrail keeps of a record of pod evidence")


def _builtins(pods: PodRecord) -> dict[str, Any]:
    kept: dict[str, Any] = msgspec.to_builtins(pods, enc_hook=str)
    if not pods.whole_second:
        del kept["whole_second"]
    return kept | {"facts": list(map(_without_defaults, kept["facts"], pods.facts))}


def _without_defaults(kept: dict[str, Any], fact: PodFact) -> dict[str, Any]:
    """Return the fields of a fact that have a value: most have none, and a cluster writes many records."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(fact)}
    return {
        name: value for name, value in kept.items() if name == _TAG or getattr(fact, name) != defaults[name]
    }


def _pod_record(value: object, origins: tuple[Origin, ...]) -> PodRecord:
    match value:
        case {
            "key": str(key),
            "time": time,
            "facts": [*facts],
            "cluster": cluster,
            "truncated": truncated,
            **more,
        }:
            return PodRecord(
                key=key,
                time=_optional(_time, time),
                facts=tuple(map(_fact, facts)),
                origins=origins,
                cluster=_optional(lambda text: _plain(str, text), cluster),
                truncated=_plain(bool, truncated),
                whole_second=_plain(bool, more.get("whole_second", False)),
            )
    raise ValueError("not a record of pod evidence")


def _fact(value: object) -> PodFact:
    kept = _plain(dict, value)
    kind = _FACTS.get(_plain(str, kept.get(_TAG)))
    if kind is None:
        raise ValueError("an unknown fact")
    converters = _converters()[kind]
    try:
        fact: PodFact = kind(**{name: converters[name](kept[name]) for name in kept if name != _TAG})
    except (KeyError, TypeError):
        raise ValueError("a fact without its fields") from None
    return fact


_Converter = Callable[[object], object]


@cache
def _converters() -> Mapping[type[Any], Mapping[str, _Converter]]:
    """Return the function that reads each field of each kind of fact, by the field's type."""
    return {
        kind: {name: _converter(hint) for name, hint in get_type_hints(kind).items()}
        for kind in _FACTS.values()
    }


def _converter(hint: Any) -> _Converter:
    """Return the function that reads a value of a type.

    msgspec reads no union of several types that it does not know, such as those of addresses.
    """
    kinds = get_args(hint) or (hint,)
    if NoneType in kinds:
        inner = _READERS[frozenset(kinds) - {NoneType}]
        return lambda value: _optional(inner, value)
    if Ellipsis in kinds:
        element = _READERS[frozenset(get_args(kinds[0]) or kinds[:1])]
        return lambda value: tuple(map(element, _plain(list, value)))
    return _READERS[frozenset(kinds)]


def _optional(reader: Callable[[object], Any], value: object) -> Any:
    return None if value is None else reader(value)


def _plain(kind: type[Any], value: object) -> Any:
    """Return a value if it has a type. Raises ``ValueError`` if not."""
    if isinstance(value, kind):
        return value
    raise ValueError(f"not of type {kind.__name__}")


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_plain(str, value))
    if time.utcoffset() != timedelta(0):
        raise ValueError("not a time in UTC")
    return time


def _held(value: object) -> object:
    text = _plain(str, value)
    return ip_network(text) if "/" in text else ip_address(text)


def _pod_name(value: object) -> PodName:
    match value:
        case {"namespace": str(namespace), "name": str(name)}:
            return PodName(namespace, name)
    raise ValueError("not the name of a pod")


_READERS: Mapping[frozenset[Any], _Converter] = {
    frozenset({str}): lambda value: _plain(str, value),
    frozenset({bool}): lambda value: _plain(bool, value),
    frozenset({datetime}): _time,
    frozenset({PodName}): _pod_name,
    frozenset({IPv4Address, IPv6Address}): lambda value: ip_address(_plain(str, value)),
    frozenset({IPv4Address, IPv6Address, IPv4Network, IPv6Network}): _held,
}
"""The types of the fields of facts; a new one is a row here."""
