"""The names that filters take: IDs, nodes, pods, Regions and events; for commands and the Python API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cnitrail.errors import UsageError
from cnitrail.parse import (
    node_name,
    not_a_namespace,
    not_a_node,
    not_a_pod,
    not_an_id,
    parse_id,
    parse_namespace,
    parse_pod,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def parse_name(kind: str, text: str) -> str:
    """Return a name as AWS or Kubernetes writes it; ``kind`` is the filter that takes it.

    Raises ``UsageError``, with what is wrong and a hint.
    """
    parse, mistake = _parser_of(kind)
    try:
        return parse(text)
    except ValueError:
        raise UsageError(*mistake(text)) from None


def _parser_of(kind: str) -> tuple[Callable[[str], str], Callable[[str], tuple[str, str]]]:
    """Return the function that parses a name, or raises ``ValueError``, and the one that says why."""
    match kind:
        case "node":
            return node_name, not_a_node
        case "pod":
            return parse_pod, not_a_pod
        case "namespace":
            return parse_namespace, not_a_namespace
        case "region":
            from cnitrail.sources.regions import not_a_region, parse_region

            return parse_region, not_a_region
        case "event":
            from cnitrail.decode.event_names import not_an_event, parse_event

            return parse_event, not_an_event
    return partial(parse_id, kind), partial(not_an_id, kind)
