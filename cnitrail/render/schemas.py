"""JSON Schemas (draft 2020-12) of what ``-o json`` and ``-o jsonl`` print, derived from the model.

Every field is required, because every field is always printed: absent values are ``null``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from inspect import cleandoc
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from cnitrail.model import (
    Evidence,
    LeaseEntry,
    StateEntry,
    TimelineEntry,
    WhoAnswer,
)
from cnitrail.model.checkup import Check, Checkup
from cnitrail.model.explanation import Explanation
from cnitrail.model.flows import FlowSummary
from cnitrail.model.live import ComparedEntry
from cnitrail.model.pods import PodEntry
from cnitrail.model.pool import PoolEntry
from cnitrail.model.reason import Reason
from cnitrail.model.subnet import SubnetCensus
from cnitrail.model.validation import Fault, Proven
from cnitrail.render.findings import FindingEntry
from cnitrail.render.verify import VerifyEvidence

_ADDRESSES = frozenset({IPv4Address, IPv6Address, IPv4Network, IPv6Network})
_Time = Annotated[datetime, Meta(tz=True)]
_Address = Annotated[str, Meta(description="An IP address, or a prefix in CIDR notation.")]

ENTRIES: dict[str, tuple[type[Struct], ...]] = {
    "doctor": (Check,),
    "explain": (Explanation,),
    "findings": (FindingEntry,),
    "flows": (FlowSummary,),
    "leases": (LeaseEntry,),
    "pods": (PodEntry,),
    "pool": (PoolEntry,),
    "state": (StateEntry, ComparedEntry),
    "subnet": (SubnetCensus,),
    "timeline": (TimelineEntry,),
    "verify": (Fault,),
    "who": (WhoAnswer,),
}
"""The types of a command's entries: one, or any of several."""


def schema_of(command: str, *, strict: bool = False) -> dict[str, Any]:
    """Return the schema of a command's JSON document; ``$defs`` has that of its entries (``-o jsonl``).

    A ``strict`` schema rejects fields that it does not name. Published schemas are not strict, because
    fields may be added.
    """
    mirrored = _mirror if not strict else _strict_mirror
    evidence = mirrored(VerifyEvidence if command == "verify" else Evidence)
    proven = [mirrored(Proven)] if command == "verify" else []
    entries = [mirrored(entry) for entry in ENTRIES[command]]
    limitations = [mirrored(Reason)] if command != "verify" else []
    checkup = [mirrored(Checkup)] if command == "doctor" else []
    (evidence_ref, *refs), definitions = msgspec.json.schema_components(
        [evidence, *proven, *limitations, *checkup, *entries]
    )
    properties: dict[str, Any] = {
        "schema": {"const": f"cnitrail/{command}/v1"},
        "query": {
            "type": "object",
            "description": "What was asked: the command, its sources, and its filters by name.",
            "required": ["command", "sources"],
        },
        "evidence": evidence_ref,
    }
    if proven:
        properties["proven"] = _array(refs.pop(0))
    if limitations:
        properties["limitations"] = _array(refs.pop(0))
    if checkup:
        properties["checkup"] = refs.pop(0)
    properties["entries"] = _array(refs[0] if len(refs) == 1 else {"anyOf": refs})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"cnitrail/{command}/v1",
        "description": f"Output of cnitrail {command} -o json.",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "$defs": {name: _dedented(definition) for name, definition in definitions.items()},
    }


def _dedented(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition with its docstring dedented, which not every version of Python and msgspec does."""
    description = definition.get("description")
    return definition if description is None else definition | {"description": cleandoc(description)}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


@cache
def _mirror(struct: type[Struct]) -> type[Struct]:
    return _mirrored(struct, strict=False)


@cache
def _strict_mirror(struct: type[Struct]) -> type[Struct]:
    return _mirrored(struct, strict=True)


def _mirrored(struct: type[Struct], *, strict: bool) -> type[Struct]:
    """Return a copy of a struct as it is printed: addresses are strings, no field has a default."""
    hints = get_type_hints(struct)
    fields = [(name, _printed(hints[name], strict=strict)) for name in struct.__struct_fields__]
    return msgspec.defstruct(
        struct.__name__, fields, namespace={"__doc__": struct.__doc__}, forbid_unknown_fields=strict
    )


def _printed(hint: Any, *, strict: bool) -> Any:
    """Return the type that a field has in JSON."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        printed = dict.fromkeys(_printed(argument, strict=strict) for argument in arguments)
        return Union[tuple(printed)]  # noqa: UP007  built from a list
    if origin in (tuple, Sequence):
        return list[_printed(arguments[0], strict=strict)]  # type: ignore[misc]
    if origin in (dict, Mapping):
        return dict[str, _printed(arguments[1], strict=strict)]  # type: ignore[misc]
    if hint in _ADDRESSES:
        return _Address
    if hint is datetime:
        return _Time
    if hint is not NoneType and isinstance(hint, type) and issubclass(hint, Struct):
        return (_strict_mirror if strict else _mirror)(hint)
    return hint
